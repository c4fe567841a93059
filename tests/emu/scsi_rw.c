/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands that touch the media. */
#include <stdlib.h>
#include <string.h>

#include "scsi.h"

/* SBC-3: where each CDB keeps address and length. */
static bool decode(const uint8_t *cdb, uint64_t *lba, uint32_t *blocks)
{
	switch (cdb[0] >> 5) {
	case 0: /* 6 bytes; a length of 0 means 256 */
		*lba = get_be24(cdb + 1) & 0x1fffff;
		*blocks = cdb[4] ? cdb[4] : 256;
		return true;
	case 1:
	case 2:
		*lba = get_be32(cdb + 2);
		*blocks = get_be16(cdb + 7);
		return true;
	case 4:
		*lba = get_be64(cdb + 2);
		*blocks = get_be32(cdb + 10);
		return true;
	case 5:
		*lba = get_be32(cdb + 2);
		*blocks = get_be32(cdb + 6);
		return true;
	}
	return false;
}

/* Decoded, and within the disk. */
static bool range_of(struct scsi_disk *d, struct scsi_cmd *c, uint64_t *lba, uint32_t *blocks)
{
	if (!decode(c->cdb, lba, blocks)) {
		scsi_sense(c, KEY_ILLEGAL, ASC_INVALID_OPCODE);
		return false;
	}
	if (!store_holds(d->store, *lba, *blocks)) {
		scsi_sense(c, KEY_ILLEGAL, ASC_LBA_OUT_OF_RANGE);
		return false;
	}
	return true;
}

void scsi_rw(struct scsi_disk *d, struct scsi_cmd *c, bool write, uint64_t lba, uint32_t blocks, bool fua)
{
	struct store *s = d->store;
	int r;

	c->status = SCSI_GOOD;
	if (!store_holds(s, lba, blocks)) {
		scsi_sense(c, KEY_ILLEGAL, ASC_LBA_OUT_OF_RANGE);
		return;
	}
	if (!blocks)
		return;
	if ((uint64_t)blocks * s->block > c->data_len) {
		/* The transport offers less than the command moves. */
		scsi_sense(c, KEY_ILLEGAL, ASC_INVALID_FIELD_CDB);
		return;
	}
	if (write)
		r = s->ops->write(s, lba, blocks, c->data, fua && d->honours_fua);
	else
		r = s->ops->read(s, lba, blocks, c->data);
	*(write ? &d->writes : &d->reads) += 1;
	if (r < 0)
		scsi_sense(c, KEY_MEDIUM, write ? ASC_WRITE_ERROR : ASC_READ_ERROR);
	else if (!write)
		c->moved = blocks * s->block;
}

void scsi_read_write(struct scsi_disk *d, struct scsi_cmd *c)
{
	bool write = c->cdb[0] & 0x02;
	bool six = c->cdb[0] < 0x20;
	uint64_t lba;
	uint32_t blocks;

	if (!six && c->cdb[1] & 0xe0) {
		scsi_invalid_field(c); /* RDPROTECT: formatted without protection information */
		return;
	}
	if (range_of(d, c, &lba, &blocks))
		scsi_rw(d, c, write, lba, blocks, !six && c->cdb[1] & 0x08);
}

void scsi_verify(struct scsi_disk *d, struct scsi_cmd *c)
{
	uint32_t block = d->store->block, blocks;
	/* Without it there is nothing to look for: this media has no bad blocks. */
	bool compare = c->cdb[1] & 0x02;
	uint64_t lba;
	uint8_t *buf;

	if (!range_of(d, c, &lba, &blocks))
		return;
	if ((c->cdb[1] & 0x06) == 0x06 || c->cdb[1] & 0xe0 ||
		(compare && (uint64_t)blocks * block > c->data_len)) {
		scsi_invalid_field(c);
		return;
	}
	if (!compare)
		return;
	buf = malloc(block);
	for (uint32_t i = 0; buf && i < blocks && c->status == SCSI_GOOD; i++) {
		if (d->store->ops->read(d->store, lba + i, 1, buf) < 0)
			scsi_sense(c, KEY_MEDIUM, ASC_READ_ERROR);
		else if (memcmp(buf, c->data + (size_t)i * block, block) != 0)
			scsi_sense(c, KEY_MISCOMPARE, ASC_MISCOMPARE);
	}
	if (!buf)
		scsi_sense(c, KEY_HARDWARE, ASC_TARGET_FAILURE);
	free(buf);
}

void scsi_sync_cache(struct scsi_disk *d, struct scsi_cmd *c)
{
	uint64_t lba;
	uint32_t blocks;

	if (d->sync_rejected) {
		scsi_sense(c, KEY_ILLEGAL, ASC_INVALID_OPCODE);
		return;
	}
	if (!range_of(d, c, &lba, &blocks))
		return;
	d->syncs++;
	/* More than was asked for is allowed; drives flush all. */
	if (d->sync(d) < 0)
		scsi_sense(c, KEY_MEDIUM, ASC_WRITE_ERROR);
}

void scsi_write_same(struct scsi_disk *d, struct scsi_cmd *c)
{
	struct store *s = d->store;
	bool unmap = c->cdb[1] & 0x08, no_data = c->cdb[0] == 0x93 && c->cdb[1] & 0x01;
	static const uint8_t zeros[4096];
	const uint8_t *block = no_data ? zeros : c->data;
	uint64_t lba;
	uint32_t blocks;
	int r = 0;

	if (!range_of(d, c, &lba, &blocks))
		return;
	if (c->cdb[1] & 0xf0 || (!no_data && c->data_len < s->block)) {
		scsi_invalid_field(c);
		return;
	}
	if (!blocks)
		blocks = (uint32_t)MIN(s->blocks - lba, UINT64_C(0xffffffff));
	if (blocks > SCSI_WRITE_SAME_MAX) {
		scsi_invalid_field(c);
		return;
	}
	if (unmap && memcmp(block, zeros, s->block) == 0)
		r = s->ops->discard(s, lba, blocks);
	else
		for (uint32_t i = 0; i < blocks && r == 0; i++)
			r = s->ops->write(s, lba + i, 1, block, false);
	if (r < 0)
		scsi_sense(c, KEY_MEDIUM, ASC_WRITE_ERROR);
}

void scsi_unmap(struct scsi_disk *d, struct scsi_cmd *c)
{
	uint32_t len = get_be16(c->cdb + 7), list;

	if (!len)
		return;
	if (len < 8 || c->data_len < len) {
		scsi_sense(c, KEY_ILLEGAL, ASC_PARAMETER_LENGTH);
		return;
	}
	list = MIN(get_be16(c->data + 2), len - 8u);
	for (uint32_t at = 8; at + 16 <= 8 + list; at += 16) {
		if (!store_holds(d->store, get_be64(c->data + at), get_be32(c->data + at + 8))) {
			scsi_sense(c, KEY_ILLEGAL, ASC_LBA_OUT_OF_RANGE);
			return;
		}
	}
	for (uint32_t at = 8; at + 16 <= 8 + list; at += 16) {
		if (d->store->ops->discard(d->store, get_be64(c->data + at), get_be32(c->data + at + 8)) <
			0) {
			scsi_sense(c, KEY_MEDIUM, ASC_WRITE_ERROR);
			return;
		}
	}
}
