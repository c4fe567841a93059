/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the disk says of itself: INQUIRY, capacity, sense, logs, LUNs, and starting and stopping. */
#include <stdio.h>
#include <string.h>

#include "scsi.h"

/* --- INQUIRY --- */

static void text(uint8_t *to, size_t n, const char *from)
{
	memset(to, ' ', n);
	memcpy(to, from, MIN(strlen(from), n));
}

static uint32_t standard(const struct scsi_disk *d, uint8_t *p)
{
	p[2] = 0x06; /* SPC-4 */
	p[3] = 0x12; /* HISUP, response data format 2 */
	p[4] = 91;
	p[7] = 0x02; /* CMDQUE */
	text(p + 8, 8, d->vendor);
	text(p + 16, 16, d->product);
	text(p + 32, 4, d->revision);
	put_be16(p + 58, 0x0460); /* SPC-4 */
	put_be16(p + 60, 0x04c0); /* SBC-3 */
	return 96;
}

static uint32_t vpd_pages(const struct scsi_disk *d, uint8_t *p)
{
	static const uint8_t pages[] = {0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2};
	uint32_t n = d->logical ? 3 : sizeof(pages);

	memcpy(p + 4, pages, n);
	return n;
}

static uint32_t vpd_serial(const struct scsi_disk *d, uint8_t *p)
{
	text(p + 4, 20, d->serial);
	return 20;
}

static uint32_t vpd_ids(const struct scsi_disk *d, uint8_t *p)
{
	p[4] = 0x01;		    /* binary */
	p[5] = 0x03;		    /* NAA, of the logical unit */
	p[7] = d->logical ? 16 : 8; /* NAA 6 has 16 bytes, NAA 5 has 8 */
	put_be64(p + 8, d->naa);
	if (d->logical)
		put_be64(p + 16, d->naa_low);
	return 4u + p[7];
}

static uint32_t vpd_limits(const struct scsi_disk *d, uint8_t *p)
{
	put_be16(p + 6, 1);		       /* optimal granularity */
	put_be32(p + 8, 0xffff);	       /* most blocks of a transfer */
	put_be32(p + 20, SCSI_WRITE_SAME_MAX); /* blocks and descriptors of UNMAP */
	put_be32(p + 24, 256);
	put_be64(p + 36, SCSI_WRITE_SAME_MAX); /* WRITE SAME */
	return 0x3c;
}

static uint32_t vpd_medium(const struct scsi_disk *d, uint8_t *p)
{
	put_be16(p + 4, 7200); /* turns per minute */
	p[7] = 0x02;	       /* 3.5 inch */
	return 0x3c;
}

static uint32_t vpd_provisioning(const struct scsi_disk *d, uint8_t *p)
{
	p[5] = 0xe4; /* UNMAP, WRITE SAME (16) and (10) unmap; unmapped blocks read as zeros */
	p[6] = 0x02; /* thin */
	return 4;
}

static const struct {
	uint8_t page;
	bool drives_only;
	uint32_t (*build)(const struct scsi_disk *d, uint8_t *p); /* returns the page length */
} vpd[] = {
	{0x00, false, vpd_pages},
	{0x80, false, vpd_serial},
	{0x83, false, vpd_ids},
	{0xb0, true, vpd_limits},
	{0xb1, true, vpd_medium},
	{0xb2, true, vpd_provisioning},
};

void scsi_inquiry(struct scsi_disk *d, struct scsi_cmd *c)
{
	uint8_t p[256] = {0};
	uint32_t allocation = get_be16(c->cdb + 3);

	if (!(c->cdb[1] & 1)) {
		if (c->cdb[2])
			scsi_invalid_field(c);
		else
			scsi_data_in(c, p, standard(d, p), allocation);
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(vpd); i++) {
		if (vpd[i].page != c->cdb[2] || (d->logical && vpd[i].drives_only))
			continue;
		p[1] = c->cdb[2];
		put_be16(p + 2, (uint16_t)vpd[i].build(d, p));
		scsi_data_in(c, p, 4u + get_be16(p + 2), allocation);
		return;
	}
	scsi_invalid_field(c);
}

/* --- capacity --- */

void scsi_read_capacity10(struct scsi_disk *d, struct scsi_cmd *c)
{
	uint8_t p[8];

	put_be32(p, (uint32_t)MIN(d->store->blocks - 1, UINT64_C(0xffffffff)));
	put_be32(p + 4, d->store->block);
	scsi_data_in(c, p, sizeof(p), sizeof(p));
}

void scsi_service_in16(struct scsi_disk *d, struct scsi_cmd *c)
{
	uint8_t p[32] = {0};

	if ((c->cdb[1] & 0x1f) != 0x10) {
		scsi_invalid_field(c);
		return;
	}
	put_be64(p, d->store->blocks - 1);
	put_be32(p + 8, d->store->block);
	if (!d->logical)
		p[14] = 0xc0; /* LBPME, LBPRZ */
	scsi_data_in(c, p, sizeof(p), get_be32(c->cdb + 10));
}

/* --- sense, logs --- */

void scsi_request_sense(struct scsi_disk *d, struct scsi_cmd *c)
{
	uint8_t p[18] = {0x70};
	uint16_t asc = d->attention;

	p[7] = 10;
	if (asc) {
		p[2] = KEY_UNIT_ATTENTION;
		d->attention = 0;
	} else if (d->stopped) {
		p[2] = KEY_NOT_READY;
		asc = ASC_NOT_READY_INITIALIZE;
	} else if (d->failing) {
		asc = 0x5d00;
	}
	put_be16(p + 12, asc);
	if (c->cdb[1] & 1) {
		const uint8_t desc[8] = {0x72, p[2], p[12], p[13]};

		scsi_data_in(c, desc, sizeof(desc), c->cdb[4]);
		return;
	}
	scsi_data_in(c, p, sizeof(p), c->cdb[4]);
}

/* One parameter: code, control 03h (binary list), length, value. */
static uint32_t parameter(uint8_t *p, uint16_t code, const uint8_t *value, uint8_t len)
{
	put_be16(p, code);
	p[2] = 0x03;
	p[3] = len;
	memcpy(p + 4, value, len);
	return 4u + len;
}

void scsi_log_sense(struct scsi_disk *d, struct scsi_cmd *c)
{
	uint8_t p[64] = {(uint8_t)(c->cdb[2] & 0x3f)};
	const uint8_t now[] = {0, d->temperature}, reference[] = {0, 68};
	const uint8_t exception[] = {d->failing ? 0x5d : 0, 0, d->temperature, 0};
	static const uint8_t pages[] = {0x00, 0x0d, 0x2f};
	uint32_t n = 4;

	if (c->cdb[3]) {
		scsi_invalid_field(c);
		return;
	}
	switch (p[0]) {
	case 0x00:
		memcpy(p + 4, pages, sizeof(pages));
		n += sizeof(pages);
		break;
	case 0x0d:
		n += parameter(p + n, 0, now, sizeof(now));
		n += parameter(p + n, 1, reference, sizeof(reference));
		break;
	case 0x2f:
		n += parameter(p + n, 0, exception, sizeof(exception));
		break;
	default:
		scsi_invalid_field(c);
		return;
	}
	put_be16(p + 2, (uint16_t)(n - 4));
	scsi_data_in(c, p, n, get_be16(c->cdb + 7));
}

/* --- the rest --- */

void scsi_start_stop(struct scsi_disk *d, struct scsi_cmd *c)
{
	if (c->cdb[4] >> 4) {
		/* ACTIVE (1h) and START_VALID (0h) only; others are told to be off */
		if (c->cdb[4] >> 4 > 3)
			scsi_invalid_field(c);
		return;
	}
	/* What is cached goes to the media before the motor stops. */
	if (!(c->cdb[4] & 1) && d->sync(d) < 0) {
		scsi_sense(c, KEY_MEDIUM, ASC_WRITE_ERROR);
		return;
	}
	d->stopped = !(c->cdb[4] & 1);
	/* IMMED: the answer comes at once. */
	c->delay_ms = c->cdb[1] & 1 ? 0 : d->start_ms;
}

void scsi_report_luns(struct scsi_disk *d, struct scsi_cmd *c)
{
	uint8_t p[16] = {0};

	if (get_be32(c->cdb + 6) < 16) {
		scsi_invalid_field(c);
		return;
	}
	put_be32(p, 8);
	scsi_data_in(c, p, sizeof(p), get_be32(c->cdb + 6));
}
