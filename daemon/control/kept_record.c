/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a controller was left like, as bytes in a memory file. Whoever reads them believes nothing. */
#include "kept.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "pci/sysfs.h"

/* Changes with every change of what follows; drivers have versions of their own for theirs. */
#define RECORD_VERSION 1
#define RECORD_SEALS   (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

static const char magic[8] = {'h', 'b', 'a', 'd', 'k', 'e', 'p', 't'};

struct record_arena {
	le64_t iova, size;
};

struct record {
	char magic[8];
	le32_t version;
	le32_t size;	 /* of all of it */
	le32_t checksum; /* CRC-32 of all of it, with 0 here */
	le32_t n_arenas, n_bytes;
	char addr[KEPT_ADDR_LEN];
	char driver[32];
	le16_t vendor, device, subvendor, subdevice;
	le32_t class_code, revision;
	le32_t reserved_5c;
	struct record_arena arena[HBA_FROZEN_ARENAS];
	uint8_t bytes[]; /* n_bytes of the driver's */
};
static_assert(offsetof(struct record, addr) == 0x1c, "record");
static_assert(offsetof(struct record, arena) == 0x60, "record");
static_assert(offsetof(struct record, bytes) == 0xe0, "record");
static_assert(sizeof(struct record) + HBA_FROZEN_BYTES <= KEPT_RECORD_MAX, "record");
static_assert(KEPT_ADDR_LEN >= PCI_ADDR_LEN, "record");

static uint32_t crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

/* --- bytes --- */

static void put_id(struct record *r, const struct pci_id *id)
{
	r->vendor = cpu_to_le16(id->vendor);
	r->device = cpu_to_le16(id->device);
	r->subvendor = cpu_to_le16(id->subvendor);
	r->subdevice = cpu_to_le16(id->subdevice);
	r->class_code = cpu_to_le32(id->class_code);
	r->revision = cpu_to_le32(id->revision);
}

static struct pci_id get_id(const struct record *r)
{
	return (struct pci_id){
		.vendor = le16_to_cpu(r->vendor),
		.device = le16_to_cpu(r->device),
		.subvendor = le16_to_cpu(r->subvendor),
		.subdevice = le16_to_cpu(r->subdevice),
		.class_code = le32_to_cpu(r->class_code),
		.revision = (uint8_t)le32_to_cpu(r->revision),
	};
}

size_t kept_encode(const struct kept *k, uint8_t buf[KEPT_RECORD_MAX])
{
	struct record r = {
		.version = cpu_to_le32(RECORD_VERSION),
		.n_arenas = cpu_to_le32(k->hba.n_arenas),
		.n_bytes = cpu_to_le32(k->hba.n_bytes),
	};
	size_t size = sizeof(r) + k->hba.n_bytes;
	le32_t sum;

	assert(k->hba.n_arenas <= HBA_FROZEN_ARENAS && k->hba.n_bytes <= HBA_FROZEN_BYTES);
	memcpy(r.magic, magic, sizeof(magic));
	r.size = cpu_to_le32((uint32_t)size);
	memcpy(r.addr, k->addr, sizeof(r.addr));
	memcpy(r.driver, k->hba.driver, sizeof(r.driver));
	put_id(&r, &k->hba.id);
	for (unsigned i = 0; i < k->hba.n_arenas; i++)
		r.arena[i] = (struct record_arena){
			cpu_to_le64(k->hba.arena[i].iova), cpu_to_le64(k->hba.arena[i].size)};
	memcpy(buf, &r, sizeof(r));
	memcpy(buf + sizeof(r), k->hba.bytes, k->hba.n_bytes);
	sum = cpu_to_le32(crc32(buf, size));
	memcpy(buf + offsetof(struct record, checksum), &sum, sizeof(sum));
	return size;
}

static int bad(struct err *e, const char *what)
{
	return err_set(e, -EBADMSG, "the record of the hbad before makes no sense: %s", what);
}

/* buf's checksum is set to 0 on the way. */
static int check_whole(uint8_t *buf, size_t n, struct record *r, struct err *e)
{
	const le32_t zero = cpu_to_le32(0);

	if (n < sizeof(*r) || n > KEPT_RECORD_MAX)
		return bad(e, "its length");
	memcpy(r, buf, sizeof(*r));
	if (memcmp(r->magic, magic, sizeof(magic)) != 0)
		return bad(e, "it is none");
	if (le32_to_cpu(r->version) != RECORD_VERSION)
		return err_set(e, -EBADMSG,
			"the hbad before has left a record of version %u, this one reads version %u",
			le32_to_cpu(r->version), RECORD_VERSION);
	memcpy(buf + offsetof(struct record, checksum), &zero, sizeof(zero));
	if (crc32(buf, n) != le32_to_cpu(r->checksum))
		return bad(e, "its checksum");
	if (le32_to_cpu(r->size) != n || le32_to_cpu(r->n_arenas) > HBA_FROZEN_ARENAS ||
		le32_to_cpu(r->n_bytes) > HBA_FROZEN_BYTES || sizeof(*r) + le32_to_cpu(r->n_bytes) != n)
		return bad(e, "its numbers");
	return 0;
}

static bool is_text(const char *s, size_t size)
{
	const char *end = memchr(s, '\0', size);

	for (; end && s < end; s++)
		if (*s < 0x21 || *s > 0x7e)
			return false;
	return end;
}

static int check_text(const struct record *r, struct err *e)
{
	char addr[PCI_ADDR_LEN];

	if (!is_text(r->addr, sizeof(r->addr)) || pci_addr_parse(r->addr, addr, NULL) < 0 ||
		strcmp(addr, r->addr) != 0)
		return bad(e, "its device");
	if (!is_text(r->driver, sizeof(r->driver)) || !r->driver[0])
		return bad(e, "its driver");
	return le32_to_cpu(r->revision) > UINT8_MAX ? bad(e, "its device's revision") : 0;
}

static int check_arenas(const struct record *r, struct err *e)
{
	for (unsigned i = 0; i < le32_to_cpu(r->n_arenas); i++) {
		uint64_t first = le64_to_cpu(r->arena[i].iova), size = le64_to_cpu(r->arena[i].size);

		if (!size || size > INT64_MAX || first + (size - 1) < first)
			return bad(e, "the place of its memory");
		for (unsigned j = 0; j < i; j++) {
			uint64_t other = le64_to_cpu(r->arena[j].iova), len = le64_to_cpu(r->arena[j].size);

			if (first <= other + (len - 1) && other <= first + (size - 1))
				return bad(e, "its memory overlaps");
		}
	}
	return 0;
}

int kept_decode(const uint8_t *from, size_t n, struct kept *k, struct err *e)
{
	uint8_t buf[KEPT_RECORD_MAX];
	struct record r;
	int ret;

	memcpy(buf, from, MIN(n, sizeof(buf)));
	ret = check_whole(buf, n, &r, e);
	if (ret == 0)
		ret = check_text(&r, e);
	if (ret == 0)
		ret = check_arenas(&r, e);
	if (ret < 0)
		return ret;
	memcpy(k->addr, r.addr, sizeof(k->addr));
	memcpy(k->hba.driver, r.driver, sizeof(k->hba.driver));
	k->hba.id = get_id(&r);
	k->hba.n_arenas = le32_to_cpu(r.n_arenas);
	for (unsigned i = 0; i < k->hba.n_arenas; i++) {
		k->hba.arena[i].iova = le64_to_cpu(r.arena[i].iova);
		k->hba.arena[i].size = le64_to_cpu(r.arena[i].size);
	}
	k->hba.n_bytes = le32_to_cpu(r.n_bytes);
	memcpy(k->hba.bytes, buf + sizeof(r), k->hba.n_bytes);
	return 0;
}

/* --- the file --- */

int kept_write_record(const struct kept *k, int *ret_fd, struct err *e)
{
	uint8_t buf[KEPT_RECORD_MAX];
	size_t n = kept_encode(k, buf);
	hb_autoclose int fd = memfd_create("hbad-record", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_set(e, -errno, "cannot create a memory file: %m");
	if (pwrite(fd, buf, n, 0) != (ssize_t)n || fcntl(fd, F_ADD_SEALS, RECORD_SEALS) < 0)
		return err_set(e, errno ? -errno : -EIO, "cannot write a memory file: %m");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int kept_read_record(int fd, struct kept *k, struct err *e)
{
	uint8_t buf[KEPT_RECORD_MAX];
	struct stat st;

	if (fcntl(fd, F_GET_SEALS) != RECORD_SEALS || fstat(fd, &st) < 0)
		return bad(e, "it is no sealed file");
	if (st.st_size < 0 || (uint64_t)st.st_size > sizeof(buf) ||
		pread(fd, buf, (size_t)st.st_size, 0) != (ssize_t)st.st_size)
		return bad(e, "its length");
	return kept_decode(buf, (size_t)st.st_size, k, e);
}
