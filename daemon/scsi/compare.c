/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * COMPARE AND WRITE (SBC-3 5.2) and ORWRITE (SBC-3 5.16): read, look, write, while nobody else touches the
 * range. Both are done here by plain reads and writes, since few RAID firmwares know these commands.
 *
 * When this daemon dies, LIO answers BUSY for what was in flight, and initiators send it again (hazard H21). A
 * COMPARE AND WRITE that had been done by then miscompares against its own data. Nothing here can tell: whoever
 * uses it as a lock has to read the block after a miscompare, as after a lost path. An ORWRITE may run twice
 * unnoticed.
 */
#include "commands.h"

#include <errno.h>
#include "base/endian.h"
#include "task.h"

/* Of a command with FUA the first body alone is read after a flush: later ones have no older data to find. */
static void flush_no_more(struct scsi_task *t)
{
	t->flags &= (uint16_t)~TASK_FLUSH_BEFORE;
}

static void take_bits(struct scsi_task *t)
{
	rw_take_dpo(t);
	if (!rw_has_fua(t))
		return;
	rw_force_medium(t);
	rw_force_write(t);
}

/* --- COMPARE AND WRITE --- */

uint8_t scsi_compare_max(uint32_t block_size, uint32_t max_transfer)
{
	return (uint8_t)MIN(MIN(max_transfer, SCRATCH_BYTES) / block_size, UINT8_MAX);
}

/* As initiators see it. */
static uint8_t shown_max(const struct scsi_lun *lun)
{
	return lun->facts.page[PAGE_VPD_B0].data[5];
}

static int caw_fill(struct scsi_task *t, struct hba_req *req, uint64_t *ret_span)
{
	int r = rw_fill_scratch(t, req, 0, DMA_FROM_DEVICE);

	*ret_span = req->xfer.len;
	return r;
}

/* SBC-3 5.2: INFORMATION is the offset, from the start of data-out, of the first byte that is not equal. */
static void caw_good(struct scsi_task *t, const struct hba_req *req, uint64_t offset)
{
	const uint8_t *data = (const uint8_t *)req->xfer.iov->iov_base + req->xfer.offset;
	uint64_t equal = iov_differs(t->iov, t->niov, offset, data, req->xfer.len);
	struct sense_detail detail = {.has_info = true, .info = offset + equal};

	if (equal < req->xfer.len)
		task_fail_at(t, offset, SENSE_MISCOMPARE, &detail);
}

/* All is equal: the second half of data-out is what to write, in one request: half of it would be neither the old nor
 * the new value of a lock if the controller lost its power in between. */
static bool caw_next(struct scsi_task *t)
{
	t->iov_base = t->bytes;
	flush_no_more(t);
	task_next_body(t, &work_rw, t->bytes);
	return true;
}

static const struct scsi_work work_caw = {
	.max_children = 1, .fill = caw_fill, .good = caw_good, .next = caw_next};

void cmd_compare_and_write(struct scsi_task *t)
{
	uint8_t nblocks = t->cdb[13];
	uint64_t bytes = (uint64_t)nblocks * t->lun->facts.id.block_size;

	if (!rw_no_protection(t))
		return;
	if (nblocks > shown_max(t->lun)) {
		task_bad_field(t, 13, 7);
		return;
	}
	if (!rw_place(t, get_be64(t->cdb + 2), nblocks) || !rw_data_out(t, 2 * bytes))
		return;
	if (bytes)
		take_bits(t);
	t->flags |= TASK_EXCLUSIVE;
	task_work(t, bytes ? &work_caw : NULL, bytes);
}

/* --- ORWRITE, a scratch buffer at a time --- */

/* Bytes that are done, and so where the piece in hand begins */
static uint64_t *orw_done(struct scsi_task *t)
{
	return &t->arg[0];
}

static uint64_t orw_piece(struct scsi_task *t)
{
	uint64_t all = t->nblocks * t->lun->facts.id.block_size;

	return MIN(all - *orw_done(t), (uint64_t)SCRATCH_BYTES);
}

static int orw_fill_read(struct scsi_task *t, struct hba_req *req, uint64_t *ret_span)
{
	int r = rw_fill_scratch(t, req, *orw_done(t), DMA_FROM_DEVICE);

	*ret_span = req->xfer.len;
	return r;
}

static int orw_fill_write(struct scsi_task *t, struct hba_req *req, uint64_t *ret_span)
{
	int r = rw_fill_scratch(t, req, *orw_done(t), DMA_TO_DEVICE);

	*ret_span = req->xfer.len;
	return r;
}

static bool orw_next_read(struct scsi_task *t);

static const struct scsi_work work_orw_write = {
	.max_children = 1, .fill = orw_fill_write, .next = orw_next_read};

static bool orw_next_write(struct scsi_task *t)
{
	iov_or(t->iov, t->niov, *orw_done(t), task_scratch(t)->iov_base, t->bytes);
	flush_no_more(t);
	task_next_body(t, &work_orw_write, t->bytes);
	return true;
}

static const struct scsi_work work_orw_read = {
	.max_children = 1, .fill = orw_fill_read, .next = orw_next_write};

static bool orw_next_read(struct scsi_task *t)
{
	uint64_t piece;

	*orw_done(t) += t->bytes;
	piece = orw_piece(t);
	if (!piece)
		return false;
	task_next_body(t, &work_orw_read, piece);
	return true;
}

void cmd_orwrite(struct scsi_task *t)
{
	uint32_t nblocks;
	uint64_t bytes;

	if (!rw_no_protection(t) || !rw_range(t, &nblocks))
		return;
	bytes = (uint64_t)nblocks * t->lun->facts.id.block_size;
	if (!rw_data_out(t, bytes))
		return;
	if (bytes)
		take_bits(t);
	t->flags |= TASK_EXCLUSIVE;
	task_work(t, bytes ? &work_orw_read : NULL, orw_piece(t));
}
