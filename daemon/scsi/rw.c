/* SPDX-License-Identifier: GPL-2.0-or-later */
/* READ, WRITE and SYNCHRONIZE CACHE: split at the controller's limits, with FUA that means it. */
#include "commands.h"

#include <errno.h>
#include "base/endian.h"
#include "task.h"

#define BYTE1_PROTECT 0xe0
#define BYTE1_DPO     0x10
#define BYTE1_FUA     0x08
#define BYTE1_FUA_NV  0x02

/* --- CDB fields --- */

static void decode(const uint8_t *cdb, unsigned len, uint64_t *ret_lba, uint32_t *ret_nblocks)
{
	switch (len) {
	case 6:
		*ret_lba = get_be24(cdb + 1) & 0x1fffff;
		*ret_nblocks = cdb[4] ? cdb[4] : 256;
		break;
	case 10:
		*ret_lba = get_be32(cdb + 2);
		*ret_nblocks = get_be16(cdb + 7);
		break;
	case 12:
		*ret_lba = get_be32(cdb + 2);
		*ret_nblocks = get_be32(cdb + 6);
		break;
	case 16:
		*ret_lba = get_be64(cdb + 2);
		*ret_nblocks = get_be32(cdb + 10);
		break;
	default:
		assert(len == 32);
		*ret_lba = get_be64(cdb + 12);
		*ret_nblocks = get_be32(cdb + 28);
	}
}

bool rw_range(struct scsi_task *t, uint32_t *ret_nblocks)
{
	uint64_t blocks = t->lun->facts.id.blocks;

	decode(t->cdb, t->op->cdb_len, &t->lba, ret_nblocks);
	/* No block at the very end is a valid place for nothing. No sum here can overflow. */
	if (t->lba <= blocks && *ret_nblocks <= blocks - t->lba) {
		t->nblocks = *ret_nblocks;
		return true;
	}
	task_check(t, SENSE_LBA_OUT_OF_RANGE);
	return false;
}

bool rw_no_protection(struct scsi_task *t)
{
	if (t->op->cdb_len == 6 || !(t->cdb[1] & BYTE1_PROTECT))
		return true;
	task_bad_field(t, 1, 7);
	return false;
}

static bool has_fua(const struct scsi_task *t)
{
	return t->op->cdb_len != 6 && t->cdb[1] & (BYTE1_FUA | BYTE1_FUA_NV);
}

static void take_dpo(struct scsi_task *t)
{
	if (t->op->cdb_len != 6 && t->cdb[1] & BYTE1_DPO)
		t->flags |= TASK_DPO;
}

void rw_force_medium(struct scsi_task *t)
{
	/* Where the controller does not honour FUA, its cache is emptied first: then what is read is on the
	 * medium. */
	t->flags |= t->lun->fua_native ? TASK_FUA : TASK_FLUSH_BEFORE;
}

/* --- requests --- */

/* The rest of a block of which the initiator takes only a part: through a scratch buffer. */
static int fill_tail(struct scsi_task *t, struct hba_req *req)
{
	struct iovec *scratch = task_scratch(t);

	if (!scratch)
		return -ENOBUFS;
	req->xfer.iov = scratch;
	req->xfer.niov = 1;
	req->xfer.len = req->block_size;
	req->nblocks = 1;
	return 0;
}

static int rw_fill(struct scsi_task *t, struct hba_req *req, uint64_t *ret_span)
{
	uint64_t left = t->bytes - t->next;
	uint64_t piece = MIN(left, t->lun->max_piece);

	req->kind = HBA_REQ_RW;
	req->lba = t->lba + t->next / req->block_size;
	req->fua = t->flags & TASK_FUA;
	req->dpo = t->flags & TASK_DPO;
	req->xfer.dir = t->op->dir == DMA_TO_DEVICE ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
	if (left < req->block_size) {
		*ret_span = left;
		return fill_tail(t, req);
	}
	piece -= piece % req->block_size;
	if (t->flags & TASK_SINK) {
		piece = MIN(piece, (uint64_t)SINK_IOVS * SCRATCH_BYTES);
		req->xfer.iov = t->lun->host->sink;
		req->xfer.niov = SINK_IOVS;
	} else {
		req->xfer.iov = t->iov;
		req->xfer.niov = t->niov;
		req->xfer.offset = t->iov_base + t->next;
	}
	req->xfer.len = (uint32_t)piece;
	req->nblocks = (uint32_t)(piece / req->block_size);
	*ret_span = piece;
	return 0;
}

static void rw_good(struct scsi_task *t, const struct hba_req *req, uint64_t offset)
{
	if (t->scratch >= 0 && req->xfer.iov == &t->lun->host->scratch_iov[t->scratch])
		iov_put(t->iov, t->niov, t->iov_base + offset, req->xfer.iov->iov_base, t->bytes - offset);
}

const struct scsi_work work_rw = {.max_children = SCSI_MAX_CHILDREN, .fill = rw_fill, .good = rw_good};

/* --- commands --- */

void cmd_read(struct scsi_task *t)
{
	uint32_t nblocks;
	uint64_t bytes;

	if (!rw_no_protection(t) || !rw_range(t, &nblocks))
		return;
	/* What the initiator has room for (hazard H15); a longer CDB is cut, a shorter one leaves a residual. */
	bytes = MIN((uint64_t)nblocks * t->lun->facts.id.block_size, t->iov_bytes);
	take_dpo(t);
	if (bytes && has_fua(t))
		rw_force_medium(t);
	task_work(t, &work_rw, bytes);
}

void cmd_write(struct scsi_task *t)
{
	uint32_t nblocks;
	uint64_t bytes;

	if (!rw_no_protection(t) || !rw_range(t, &nblocks))
		return;
	bytes = (uint64_t)nblocks * t->lun->facts.id.block_size;
	/* Too little data would write what lies behind it, and with too much nobody knows what was meant
	 * (H15). */
	if (bytes != t->iov_bytes) {
		task_check(t, SENSE_INVALID_IU_FIELD);
		return;
	}
	take_dpo(t);
	if (bytes && has_fua(t))
		t->flags |= t->lun->fua_native ? TASK_FUA : TASK_FLUSH_AFTER;
	task_work(t, &work_rw, bytes);
}

/* The whole unit is flushed whatever the range is, and GOOD comes when it is done whatever IMMED says. */
void cmd_sync_cache(struct scsi_task *t)
{
	uint32_t nblocks;

	if (!rw_range(t, &nblocks))
		return;
	/* A flush touches no block: it waits for nobody's range. */
	t->nblocks = 0;
	t->flags |= TASK_FLUSH_AFTER;
	task_work(t, NULL, 0);
}
