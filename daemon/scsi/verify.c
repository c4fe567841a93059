/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VERIFY. Without data-out the unit is asked to verify, some megabytes at a time so that a whole disk is not
 * one request that nobody can stop; a unit that does not know the command (many RAID firmwares) is read
 * instead. With data-out the blocks are read and compared here.
 */
#include "commands.h"

#include <errno.h>
#include <string.h>
#include "base/endian.h"
#include "task.h"

#define VERIFY_PIECE (UINT32_C(16) << 20) /* bytes per request; well within TIME_MEDIA for a slow disk */

/* --- by the unit --- */

static int verify_fill(struct scsi_task *t, struct hba_req *req, uint64_t *ret_span)
{
	uint64_t piece = MIN(t->bytes - t->next, VERIFY_PIECE);
	uint32_t n = (uint32_t)(piece / req->block_size);

	req->lba = t->lba + t->next / req->block_size;
	memset(req->cdb, 0, sizeof(req->cdb));
	if (req->lba + n <= UINT32_MAX) {
		req->cdb[0] = 0x2f;
		put_be32(req->cdb + 2, (uint32_t)req->lba);
		put_be16(req->cdb + 7, (uint16_t)n);
		req->cdb_len = 10;
	} else {
		req->cdb[0] = 0x8f;
		put_be64(req->cdb + 2, req->lba);
		put_be32(req->cdb + 10, n);
		req->cdb_len = 16;
	}
	*ret_span = piece;
	return 0;
}

/* The rest, from the refused part on, by reading; and all later ones. */
static void read_instead(struct scsi_task *t, uint64_t offset)
{
	t->lun->verify_by_read = true;
	t->work = &work_rw;
	t->next = offset;
	t->flags |= TASK_SINK;
	rw_force_medium(t);
	if (t->flags & TASK_FLUSH_BEFORE)
		t->phase = PHASE_BEFORE;
}

static bool verify_rescue(struct scsi_task *t, const struct hba_req *req, uint64_t offset)
{
	enum scsi_sense code;

	if (!req_sense(req, &code))
		return false;
	if (code == SENSE_INVALID_OPCODE || code == SENSE_INVALID_FIELD) {
		read_instead(t, offset);
		return true;
	}
	/* The blocks could be read after all: the next part, please. */
	return req_recovered(req);
}

static const struct scsi_work work_verify = {.max_children = 1, .fill = verify_fill, .rescue = verify_rescue};

/* --- with data-out --- */

static int compare_fill(struct scsi_task *t, struct hba_req *req, uint64_t *ret_span)
{
	int r = rw_fill_scratch(t, req, 0, DMA_FROM_DEVICE);

	*ret_span = req->xfer.len;
	return r;
}

static void compare_good(struct scsi_task *t, const struct hba_req *req, uint64_t offset)
{
	const uint8_t *data = (const uint8_t *)req->xfer.iov->iov_base + req->xfer.offset;
	uint32_t bs = req->block_size;

	for (uint32_t at = 0; at < req->xfer.len; at += bs) {
		uint64_t expected = t->flags & TASK_ONE_BLOCK ? 0 : offset + at;
		struct sense_detail detail = {.has_info = true, .info = req->lba + at / bs};

		if (iov_differs(t->iov, t->niov, expected, data + at, bs) == bs)
			continue;
		task_fail_at(t, offset + at, SENSE_MISCOMPARE, &detail);
		return;
	}
	/* One block of data-out may be compared with a whole disk. */
	scratch_share(t);
}

static const struct scsi_work work_compare = {.max_children = 1, .fill = compare_fill, .good = compare_good};

/* --- for others, too --- */

const struct scsi_work *verify_work(struct scsi_task *t, enum bytchk bytchk)
{
	if (bytchk == BYTCHK_NONE && !t->lun->verify_by_read)
		return &work_verify;
	rw_force_medium(t);
	if (bytchk == BYTCHK_NONE) {
		t->flags |= TASK_SINK;
		return &work_rw;
	}
	if (bytchk == BYTCHK_ONE)
		t->flags |= TASK_ONE_BLOCK;
	return &work_compare;
}

enum bytchk verify_bytchk(const struct scsi_task *t)
{
	return (enum bytchk)(t->cdb[rw_bits_at(t)] >> 1 & 3);
}

/* --- the command --- */

/* Data that comes although BYTCHK asks for none is not looked at: initiators do that. */
static bool has_its_data(struct scsi_task *t, enum bytchk bytchk, uint64_t bytes)
{
	if (bytchk == BYTCHK_NONE)
		return true;
	return rw_data_out(t, bytes && bytchk == BYTCHK_ONE ? t->lun->facts.id.block_size : bytes);
}

void cmd_verify(struct scsi_task *t)
{
	enum bytchk bytchk = verify_bytchk(t);
	uint32_t nblocks;
	uint64_t bytes;

	if (bytchk != BYTCHK_NONE)
		t->dir = DMA_TO_DEVICE;
	if (bytchk == BYTCHK_RESERVED) {
		task_bad_field(t, rw_bits_at(t), 2);
		return;
	}
	if (!rw_no_protection(t) || !rw_range(t, &nblocks))
		return;
	bytes = (uint64_t)nblocks * t->lun->facts.id.block_size;
	if (!has_its_data(t, bytchk, bytes))
		return;
	/* All of a disk may be verified for hours, and a COMPARE AND WRITE must not wait for that. Blocks may change
	 * meanwhile: nothing is compared, or each block by itself with the same one. Data-out for all of them is a
	 * value that the blocks have together, and there is little of it. */
	if (bytchk != BYTCHK_ALL)
		t->nblocks = 0;
	rw_take_dpo(t);
	task_work(t, bytes ? verify_work(t, bytchk) : NULL, bytes);
}
