/* SPDX-License-Identifier: GPL-2.0-or-later */
/* READ, WRITE and SYNCHRONIZE CACHE: split at the controller's limits, with FUA that means it. */
#include "commands.h"

#include <errno.h>
#include "base/endian.h"
#include "task.h"

#define PROTECT 0xe0
#define DPO	0x10
#define FUA	0x08
#define FUA_NV	0x02 /* obsolete; taken for FUA, see opcodes.c */

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

bool rw_place(struct scsi_task *t, uint64_t lba, uint32_t nblocks)
{
	uint64_t blocks = t->lun->facts.id.blocks;

	/* No block at the very end is a valid place for nothing. No sum here can overflow. */
	if (lba <= blocks && nblocks <= blocks - lba) {
		t->lba = lba;
		t->nblocks = nblocks;
		return true;
	}
	task_check(t, SENSE_LBA_OUT_OF_RANGE);
	return false;
}

bool rw_range(struct scsi_task *t, uint32_t *ret_nblocks)
{
	uint64_t lba;

	decode(t->cdb, t->op->cdb_len, &lba, ret_nblocks);
	return rw_place(t, lba, *ret_nblocks);
}

unsigned rw_bits_at(const struct scsi_task *t)
{
	return t->op->opcode == OP_VARIABLE ? 10 : 1;
}

/* Byte 1 of the CDB, or what stands for it. That of six-byte CDBs belongs to the LBA. */
static uint8_t rw_bits(const struct scsi_task *t)
{
	return t->op->cdb_len == 6 ? 0 : t->cdb[rw_bits_at(t)];
}

bool rw_no_protection(struct scsi_task *t)
{
	if (!(rw_bits(t) & PROTECT))
		return true;
	task_bad_field(t, rw_bits_at(t), 7);
	return false;
}

bool rw_data_out(struct scsi_task *t, uint64_t bytes)
{
	/* Too little data would write what lies behind it, and with too much nobody knows what was meant
	 * (H15). */
	if (bytes == t->iov_bytes)
		return true;
	task_check(t, SENSE_INVALID_IU_FIELD);
	return false;
}

bool rw_has_fua(const struct scsi_task *t)
{
	return rw_bits(t) & (FUA | FUA_NV);
}

void rw_take_dpo(struct scsi_task *t)
{
	if (rw_bits(t) & DPO)
		t->flags |= TASK_DPO;
}

void rw_force_write(struct scsi_task *t)
{
	t->flags |= t->lun->fua_native ? TASK_FUA : TASK_FLUSH_AFTER;
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

int rw_fill(struct scsi_task *t, struct hba_req *req, uint64_t *ret_span)
{
	uint64_t left = t->bytes - t->next;
	uint64_t piece = MIN(left, t->lun->max_piece);
	/* What is thrown away is always read, whatever the command does with its data. */
	bool write = t->op->dir == DMA_TO_DEVICE && !(t->flags & TASK_SINK);

	req->kind = HBA_REQ_RW;
	req->lba = t->lba + t->next / req->block_size;
	req->fua = t->flags & TASK_FUA;
	req->dpo = t->flags & TASK_DPO;
	req->xfer.dir = write ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
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

int rw_fill_scratch(struct scsi_task *t, struct hba_req *req, uint64_t base, enum dma_dir dir)
{
	uint32_t at = t->next % SCRATCH_BYTES;
	uint64_t piece = MIN(MIN(t->bytes - t->next, (uint64_t)SCRATCH_BYTES - at), t->lun->max_piece);
	struct iovec *scratch = task_scratch(t);

	if (!scratch)
		return -ENOBUFS;
	req->kind = HBA_REQ_RW;
	req->lba = t->lba + (base + t->next) / req->block_size;
	req->nblocks = (uint32_t)piece / req->block_size;
	req->fua = t->flags & TASK_FUA;
	req->dpo = t->flags & TASK_DPO;
	req->xfer.iov = scratch;
	req->xfer.niov = 1;
	req->xfer.offset = at;
	req->xfer.len = (uint32_t)piece;
	req->xfer.dir = dir;
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
	rw_take_dpo(t);
	if (bytes && rw_has_fua(t))
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
	if (!rw_data_out(t, bytes))
		return;
	rw_take_dpo(t);
	if (bytes && rw_has_fua(t))
		rw_force_write(t);
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
