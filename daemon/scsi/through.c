/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands that the unit answers itself, with data. The body counts as one byte, since there is one request;
 * the length of the data is arg[1]. */
#include "through.h"

#include <string.h>
#include "base/endian.h"

static void put_be(uint8_t *p, unsigned width, uint64_t value)
{
	for (unsigned i = width; i--; value >>= 8)
		p[i] = (uint8_t)value;
}

static uint64_t get_be(const uint8_t *p, unsigned width)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < width; i++)
		value = value << 8 | p[i];
	return value;
}

static const struct through *how_of(const struct scsi_task *t)
{
	return (const struct through *)(uintptr_t)t->arg[0];
}

static int through_fill(struct scsi_task *t, struct hba_req *req, uint64_t *ret_span)
{
	const struct through *how = how_of(t);
	uint64_t len = t->arg[1];

	memcpy(req->cdb, t->cdb, t->op->cdb_len);
	req->cdb_len = t->op->cdb_len;
	if (t->dir == DMA_FROM_DEVICE && how->len_width)
		put_be(req->cdb + how->len_at, how->len_width, len / how->unit);
	req->no_reissue = how->once;
	if (len) {
		req->xfer.iov = t->iov;
		req->xfer.niov = t->niov;
		req->xfer.len = (uint32_t)len;
		req->xfer.dir = t->dir;
	}
	*ret_span = 1;
	return 0;
}

/* What the driver says was moved; most firmware does not tell how much the unit sent, but most data do. Neither can make
 * it more than what was asked for. */
static void count_data(struct scsi_task *t, uint32_t moved)
{
	const struct through *how = how_of(t);
	uint8_t head[8];

	if (t->dir != DMA_FROM_DEVICE)
		return;
	t->in_bytes = MIN(t->arg[1], moved);
	if (!how->head_width || how->head_at + how->head_width > t->in_bytes ||
		iov_get(t->iov, t->niov, how->head_at, head, how->head_width) < how->head_width)
		return;
	t->in_bytes = MIN(t->in_bytes, get_be(head, how->head_width) + how->head_len);
}

static void through_good(struct scsi_task *t, const struct hba_req *req, uint64_t offset)
{
	count_data(t, req->moved);
}

/* Sense may come with data, and initiators want both: ATA PASS-THROUGH answers with RECOVERED ERROR when CK_COND is set.
 * When nothing was moved, nothing was put over what lies in the initiator's memory. */
static bool through_rescue(struct scsi_task *t, const struct hba_req *req, uint64_t offset)
{
	enum scsi_sense code;

	if (req->moved && req_sense(req, &code))
		count_data(t, req->moved);
	return false;
}

static const struct scsi_work work_through = {
	.max_children = 1, .fill = through_fill, .good = through_good, .rescue = through_rescue};

static void go(struct scsi_task *t, const struct through *how, enum dma_dir dir, uint64_t len)
{
	t->dir = dir;
	t->arg[0] = (uintptr_t)how;
	t->arg[1] = len;
	t->flags |= TASK_OWN_COUNT;
	task_work(t, &work_through, 1);
}

/* One request takes it all; false: completed. */
static bool fits(struct scsi_task *t, const struct through *how, uint64_t len)
{
	if (len <= t->lun->max_piece)
		return true;
	if (how->len_width)
		task_bad_field(t, how->len_at, 7);
	else
		task_check(t, SENSE_INVALID_IU_FIELD);
	return false;
}

void through_in(struct scsi_task *t, const struct through *how, uint64_t alloc)
{
	uint64_t len = MIN(MIN(alloc, t->iov_bytes), (uint64_t)t->lun->max_piece);

	go(t, how, DMA_FROM_DEVICE, len - len % how->unit);
}

void through_in_exact(struct scsi_task *t, const struct through *how, uint64_t len)
{
	t->dir = DMA_FROM_DEVICE;
	if (len > t->iov_bytes)
		task_check(t, SENSE_INVALID_IU_FIELD);
	else if (fits(t, how, len))
		go(t, how, DMA_FROM_DEVICE, len);
}

void through_out(struct scsi_task *t, const struct through *how, uint64_t len)
{
	t->dir = DMA_TO_DEVICE;
	if (len != t->iov_bytes)
		task_check(t, SENSE_INVALID_IU_FIELD);
	else if (fits(t, how, len))
		go(t, how, DMA_TO_DEVICE, len);
}

/* Data that come although the CDB means none are not looked at: initiators do that. */
void through_no_data(struct scsi_task *t, const struct through *how)
{
	go(t, how, DMA_NONE, 0);
}
