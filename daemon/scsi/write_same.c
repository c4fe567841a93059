/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * WRITE SAME, and the writing of one block's content to many that FORMAT UNIT and SANITIZE need, too. The unit's own
 * WRITE SAME is never used: few logical drives have it, and there are controllers that answer it with a reply for
 * a request which nobody sent. So what the UNMAP bit asks for cannot be had either; thin units have UNMAP.
 */
#include "commands.h"

#include <errno.h>
#include <string.h>
#include "base/endian.h"
#include "task.h"

#define WRPROTECT 0xe0
#define NDOB	  0x01 /* no data-out: zeros are meant */
#define NDOB_BIT  0

static_assert(PATTERN_BYTES <= SCRATCH_BYTES, "the pattern is kept in a scratch buffer");

/* --- one block to many --- */

void pattern_repeat(uint8_t buf[PATTERN_BYTES], uint32_t block_size)
{
	for (uint32_t at = block_size; at + block_size <= PATTERN_BYTES; at += block_size)
		memcpy(buf + at, buf, block_size);
}

void pattern_fill(
	struct scsi_task *t, struct hba_req *req, const struct iovec iov[PATTERN_IOVS], uint64_t *ret_span)
{
	uint64_t most = MIN((uint64_t)t->lun->max_piece, (uint64_t)PATTERN_IOVS * PATTERN_BYTES);
	uint64_t piece = MIN(t->bytes - t->next, most);

	req->kind = HBA_REQ_RW;
	req->lba = t->lba + t->next / req->block_size;
	req->nblocks = (uint32_t)(piece / req->block_size);
	req->xfer.iov = iov;
	req->xfer.niov = (uint32_t)DIV_ROUND_UP(piece, PATTERN_BYTES);
	req->xfer.len = (uint32_t)piece;
	req->xfer.dir = DMA_TO_DEVICE;
	*ret_span = piece;
}

/* The initiator's memory is read once; arg[0]: it was. */
static bool load_block(struct scsi_task *t)
{
	uint32_t bs = t->lun->facts.id.block_size;
	struct iovec *scratch = task_scratch(t);

	if (!scratch)
		return false;
	memset(scratch->iov_base, 0, bs);
	iov_get(t->iov, t->niov, 0, scratch->iov_base, bs);
	pattern_repeat(scratch->iov_base, bs);
	t->arg[0] = true;
	return true;
}

static int same_fill(struct scsi_task *t, struct hba_req *req, uint64_t *ret_span)
{
	if (!t->arg[0] && !load_block(t))
		return -ENOBUFS;
	pattern_fill(t, req, t->lun->host->pattern_iov[t->scratch], ret_span);
	return 0;
}

/* The first block of iov, or zeros where iov holds less, to all blocks of the range. */
static const struct scsi_work work_same = {.max_children = PATTERN_CHILDREN, .fill = same_fill};

/* --- the command --- */

/* Of the bits beside the protection field (ANCHOR, UNMAP, PBDATA, LBDATA, and bit 0, which is NDOB, or RELADR in
 * the oldest form) only NDOB means something here. False: completed. */
static bool check_bits(struct scsi_task *t, unsigned at)
{
	uint8_t bits = t->cdb[at] & ~WRPROTECT;

	if (!rw_no_protection(t))
		return false;
	if (t->op->cdb_len == 10 ? bits : bits & ~NDOB) {
		task_bad_field(t, at, 31 - __builtin_clz(bits));
		return false;
	}
	/* LIO's read-only and reservation checks do not see a write that has no data (hazard H16). */
	if (bits & NDOB && !(t->lun->cfg.allow & ALLOW_NODATA)) {
		task_not_allowed(t, ALLOW_NODATA, at, NDOB_BIT);
		return false;
	}
	return true;
}

/* The first byte of NUMBER OF LOGICAL BLOCKS */
static unsigned length_at(const struct scsi_task *t)
{
	switch (t->op->cdb_len) {
	case 10:
		return 7;
	case 16:
		return 10;
	default:
		return 28;
	}
}

void cmd_write_same(struct scsi_task *t)
{
	uint32_t bs = t->lun->facts.id.block_size, nblocks;
	unsigned at = rw_bits_at(t);
	bool ndob = t->op->cdb_len != 10 && t->cdb[at] & NDOB;

	if (ndob)
		t->dir = DMA_NONE;
	if (!check_bits(t, at) || !rw_range(t, &nblocks))
		return;
	/* 0 is no length (WSNZ). */
	if (!nblocks || nblocks > SCSI_WRITE_SAME_MAX / bs)
		task_bad_field(t, length_at(t), 7);
	else if (rw_data_out(t, ndob ? 0 : bs))
		task_work(t, &work_same, (uint64_t)nblocks * bs);
}
