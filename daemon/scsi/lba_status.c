/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET LBA STATUS. A thin unit is asked; of all others, and of thin ones that do not know the command, each block is
 * what status 0 says: mapped, or nobody knows.
 */
#include "commands.h"

#include <errno.h>
#include <string.h>
#include "base/endian.h"
#include "task.h"

#define HEADER	  8
#define DESC	  16
#define MAX_DESCS 64
#define MAX_BYTES (HEADER + MAX_DESCS * DESC)

static_assert(MAX_BYTES <= SCRATCH_BYTES, "the unit's answer fits a scratch buffer");

static void put_header(uint8_t *data, size_t bytes)
{
	memset(data, 0, HEADER);
	put_be32(data, (uint32_t)bytes - 4);
}

/* One extent from the LBA that was asked for to the end of the medium, or as far as it can count. */
static void reply_mapped(const struct scsi_task *t, uint8_t data[HEADER + DESC])
{
	uint64_t left = t->lun->facts.id.blocks - t->lba;

	memset(data, 0, HEADER + DESC);
	put_header(data, HEADER + DESC);
	put_be64(data + HEADER, t->lba);
	put_be32(data + HEADER + 8, left > UINT32_MAX ? UINT32_MAX : (uint32_t)left);
}

static void put_reply(struct scsi_task *t, const uint8_t *data, size_t bytes)
{
	uint64_t n = MIN((uint64_t)bytes, (uint64_t)get_be32(t->cdb + 10));

	t->in_bytes = iov_put(t->iov, t->niov, 0, data, MIN(n, t->iov_bytes));
}

/* --- from the unit --- */

static int status_fill(struct scsi_task *t, struct hba_req *req, uint64_t *ret_span)
{
	struct iovec *scratch = task_scratch(t);

	if (!scratch)
		return -ENOBUFS;
	memset(scratch->iov_base, 0, MAX_BYTES);
	memset(req->cdb, 0, sizeof(req->cdb));
	req->cdb[0] = 0x9e;
	req->cdb[1] = 0x12;
	put_be64(req->cdb + 2, t->lba);
	put_be32(req->cdb + 10, MAX_BYTES);
	req->cdb_len = 16;
	req->xfer.iov = scratch;
	req->xfer.niov = 1;
	req->xfer.len = MAX_BYTES;
	req->xfer.dir = DMA_FROM_DEVICE;
	*ret_span = 1;
	return 0;
}

/* The extents that follow each other from the LBA that was asked for on, cut at the LUN's end, which may lie before
 * the unit's; what comes after a gap the unit had no reason to say. */
static unsigned take_extents(const struct scsi_task *t, uint8_t *data)
{
	uint64_t said = (uint64_t)get_be32(data) + 4;
	unsigned room = said < HEADER ? 0 : (unsigned)MIN((said - HEADER) / DESC, (uint64_t)MAX_DESCS), n;
	uint64_t next = t->lba, end = t->lun->facts.id.blocks;

	for (n = 0; n < room && next < end; n++) {
		uint8_t *desc = data + HEADER + n * DESC;
		uint32_t blocks = get_be32(desc + 8);

		if (get_be64(desc) != next || !blocks)
			break;
		if (blocks > end - next)
			put_be32(desc + 8, blocks = (uint32_t)(end - next));
		next += blocks;
	}
	return n;
}

static void reply_own(struct scsi_task *t)
{
	uint8_t data[HEADER + DESC];

	reply_mapped(t, data);
	put_reply(t, data, sizeof(data));
}

static void status_good(struct scsi_task *t, const struct hba_req *req, uint64_t offset)
{
	uint8_t *data = req->xfer.iov->iov_base;
	unsigned n = take_extents(t, data);

	if (!n) {
		reply_own(t);
		return;
	}
	put_header(data, HEADER + n * DESC);
	put_reply(t, data, HEADER + n * DESC);
}

static bool status_rescue(struct scsi_task *t, const struct hba_req *req, uint64_t offset)
{
	enum scsi_sense code;

	if (!req_sense(req, &code) || (code != SENSE_INVALID_OPCODE && code != SENSE_INVALID_FIELD))
		return false;
	t->lun->no_lba_status = true;
	reply_own(t);
	return true;
}

static const struct scsi_work work_status = {
	.max_children = 1, .fill = status_fill, .good = status_good, .rescue = status_rescue};

/* --- the command --- */

void cmd_get_lba_status(struct scsi_task *t)
{
	const struct scsi_lun *lun = t->lun;

	t->lba = get_be64(t->cdb + 2);
	if (t->lba >= lun->facts.id.blocks) {
		task_check(t, SENSE_LBA_OUT_OF_RANGE);
		return;
	}
	t->flags |= TASK_OWN_COUNT;
	if (lun->facts.thin.unmap && !lun->no_lba_status) {
		task_work(t, &work_status, 1);
	} else {
		reply_own(t);
		task_good(t);
	}
}
