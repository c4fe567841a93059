/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who a unit is, in a way that survives reboots, other PCI slots and other controllers: its own NAA
 * designator when it has one, else one derived from vendor, product and serial number. Never from where it
 * was found.
 */
#include "facts.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include "base/endian.h"
#include "base/vpd83.h"

#define ASSOCIATION(d) ((d)[1] >> 4 & 3)
#define TYPE(d)	       ((d)[1] & 0x0f)
#define BINARY	       1

/* --- designators --- */

bool scsi_next_designator(const struct scsi_page *p, size_t *at, const uint8_t **ret_desig, size_t *ret_len)
{
	return vpd83_next(p->data, p->len, at, ret_desig, ret_len);
}

bool scsi_designator_is_of_unit(const uint8_t *d, size_t len)
{
	if (ASSOCIATION(d) != 0 || len <= 4)
		return false;
	switch (TYPE(d)) {
	case 0: /* vendor specific */
	case DESIG_T10:
	case DESIG_EUI64:
	case DESIG_NAA:
	case DESIG_MD5:
	case DESIG_SCSI_NAME:
		return true;
	default: /* ports, port groups and logical unit groups are LIO's */
		return false;
	}
}

static bool is_good_naa(const uint8_t *d, size_t len)
{
	uint8_t any = 0;

	if ((d[0] & 0x0f) != BINARY || TYPE(d) != DESIG_NAA)
		return false;
	/* All zeros or all ones below the first nibble: memory that nobody has set. */
	for (size_t i = 5; i < len; i++)
		any |= (uint8_t)(d[i] ^ d[len - 1]);
	if (!any && (d[len - 1] == 0x00 || d[len - 1] == 0xff))
		return false;
	switch (d[4] >> 4) {
	case 2:
	case 3:
	case 5:
		return len == 4 + 8;
	case 6:
		return len == 4 + 16;
	default:
		return false;
	}
}

/* The longest there is, since NAA 6h may name a logical disk where NAA 5h names the box; the first of a
 * length. */
static bool naa_of_unit(const struct scsi_page *p, struct scsi_identity *id)
{
	const uint8_t *d;
	size_t at = 4, len;

	while (scsi_next_designator(p, &at, &d, &len)) {
		if (!scsi_designator_is_of_unit(d, len) || !is_good_naa(d, len) || len - 4 <= id->naa_len)
			continue;
		id->naa_len = (uint8_t)(len - 4);
		memcpy(id->naa, d + 4, id->naa_len);
		id->naa_from_unit = true;
	}
	return id->naa_from_unit;
}

/* --- derived identity --- */

/* With the terminating zero, so that "ab" "c" and "a" "bc" differ. */
static void hash_string(GChecksum *sum, const char *s)
{
	g_checksum_update(sum, (const guchar *)s, (gssize)strlen(s) + 1);
}

/* NAA 3h, locally assigned: 60 bits of a hash. The strings below are for ever: another word is another disk. */
static bool derive_naa(const struct hba *h, const struct hba_unit *u, struct scsi_identity *id)
{
	guint8 digest[32];
	gsize len = sizeof(digest);
	GChecksum *sum;

	if (!id->serial[0] && !h->info.serial[0])
		return false;
	sum = g_checksum_new(G_CHECKSUM_SHA256);
	hash_string(sum, "hbad unit identity 1");
	if (id->serial[0]) {
		hash_string(sum, id->vendor);
		hash_string(sum, id->product);
		hash_string(sum, id->serial);
	} else {
		hash_string(sum, "unit of controller");
		hash_string(sum, h->info.serial);
		hash_string(sum, u->name);
	}
	g_checksum_get_digest(sum, digest, &len);
	g_checksum_free(sum);
	id->naa_len = 8;
	memcpy(id->naa, digest, id->naa_len);
	id->naa[0] = (uint8_t)(0x30 | (id->naa[0] & 0x0f));
	return true;
}

static void put_naa_text(struct scsi_identity *id)
{
	int n = snprintf(id->naa_text, sizeof(id->naa_text), "naa.");

	for (unsigned i = 0; i < id->naa_len; i++)
		n += snprintf(id->naa_text + n, sizeof(id->naa_text) - (size_t)n, "%02x", id->naa[i]);
}

/* --- strings and sizes --- */

/* Firmware's characters made safe for logs and terminals, without the spaces around them. */
static void copy_trimmed(char *to, size_t size, const uint8_t *from, size_t n)
{
	size_t len = 0;

	while (n && (*from == ' ' || *from == '\0')) {
		from++;
		n--;
	}
	while (n && (from[n - 1] == ' ' || from[n - 1] == '\0'))
		n--;
	for (; len < n && len + 1 < size; len++)
		to[len] = (char)(from[len] >= 0x20 && from[len] < 0x7f ? from[len] : '?');
	to[len] = '\0';
}

static bool lio_can_export(uint32_t block_size)
{
	return block_size == 512 || block_size == 1024 || block_size == 2048 || block_size == 4096;
}

static int check_disk(
	const struct scsi_identity *id, uint8_t qualifier, uint32_t max_transfer, char problem[160])
{
	if (qualifier) {
		snprintf(problem, 160, "is not connected (peripheral qualifier %u)", qualifier);
		return -ENXIO;
	}
	if (id->type != 0) {
		snprintf(problem, 160, "is not a disk (peripheral device type %02xh)", id->type);
		return -EMEDIUMTYPE;
	}
	if (!lio_can_export(id->block_size)) {
		snprintf(problem, 160, "has blocks of %u bytes; LIO exports 512, 1024, 2048 and 4096 only",
			id->block_size);
		return -EINVAL;
	}
	if (!id->blocks || id->blocks > UINT64_MAX / id->block_size) {
		snprintf(problem, 160, "reports an impossible size of %llu blocks",
			(unsigned long long)id->blocks);
		return -EINVAL;
	}
	if (max_transfer < id->block_size) {
		snprintf(problem, 160, "has blocks of %u bytes and the controller moves %u at most",
			id->block_size, max_transfer);
		return -EINVAL;
	}
	return 0;
}

int scsi_identify(const struct hba *h, const struct hba_unit *u, const struct scsi_raw *raw,
	struct scsi_identity *id, char problem[160])
{
	const struct scsi_page *inq = &raw->page[PAGE_INQUIRY], *serial = &raw->page[PAGE_VPD_80];
	int r;

	memset(id, 0, sizeof(*id));
	id->type = inq->data[0] & 0x1f;
	copy_trimmed(id->vendor, sizeof(id->vendor), inq->data + 8, 8);
	copy_trimmed(id->product, sizeof(id->product), inq->data + 16, 16);
	copy_trimmed(id->revision, sizeof(id->revision), inq->data + 32, 4);
	if (serial->len > 4)
		copy_trimmed(id->serial, sizeof(id->serial), serial->data + 4, serial->len - 4U);
	id->blocks = raw->blocks;
	id->block_size = raw->block_size;
	id->lbppbe = raw->lbppbe;
	id->lowest_aligned = raw->lowest_aligned;
	r = check_disk(id, inq->data[0] >> 5, h->limits.max_transfer, problem);
	if (r < 0)
		return r;
	if (!naa_of_unit(&raw->page[PAGE_VPD_83], id) && !derive_naa(h, u, id)) {
		snprintf(problem, 160,
			"has no identity that lasts: neither it nor its controller has a serial number");
		return -EINVAL;
	}
	put_naa_text(id);
	return 0;
}
