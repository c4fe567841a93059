/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * WRITE ATOMIC(16) (SBC-4): all of it reaches the medium or nothing, whatever happens to power. Only the unit
 * can promise that, so it is offered where the unit's own block limits page does, for lengths that travel in one
 * request, and passed. Parts with boundaries in between are not: a request is one part.
 */
#include "commands.h"

#include <string.h>
#include "base/endian.h"
#include "task.h"

#define FUA_BITS 0x0a

/* Of VPD page B0h, SBC-4 */
enum { B0_MAX = 44, B0_ALIGNMENT = 48, B0_GRANULARITY = 52, B0_END = 56 };

void scsi_atomic_limits(const uint8_t *own_b0, size_t len, uint32_t block_size, uint32_t max_transfer,
	struct scsi_atomic *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (len < B0_END)
		return;
	ret->max = MIN(get_be32(own_b0 + B0_MAX), max_transfer / block_size);
	ret->alignment = get_be32(own_b0 + B0_ALIGNMENT);
	ret->granularity = get_be32(own_b0 + B0_GRANULARITY);
	if (ret->granularity)
		ret->max -= ret->max % ret->granularity;
	if (!ret->max)
		memset(ret, 0, sizeof(*ret));
}

/* What initiators see of it. */
static void shown_limits(const struct scsi_lun *lun, struct scsi_atomic *ret)
{
	const struct scsi_page *b0 = &lun->facts.page[PAGE_VPD_B0];

	scsi_atomic_limits(b0->data, b0->len, 1, UINT32_MAX, ret);
}

bool atomic_able(const struct scsi_lun *lun)
{
	struct scsi_atomic limits;

	shown_limits(lun, &limits);
	return limits.max > 0;
}

static int atomic_fill(struct scsi_task *t, struct hba_req *req, uint64_t *ret_span)
{
	memcpy(req->cdb, t->cdb, 16);
	req->cdb_len = 16;
	/* A flush follows instead: nobody knows whether FUA in a CDB that is passed gets past the cache. */
	req->cdb[1] &= (uint8_t)~FUA_BITS;
	req->xfer.iov = t->iov;
	req->xfer.niov = t->niov;
	req->xfer.len = (uint32_t)t->bytes;
	req->xfer.dir = DMA_TO_DEVICE;
	*ret_span = t->bytes;
	return 0;
}

static const struct scsi_work work_atomic = {.max_children = 1, .fill = atomic_fill};

/* The byte of the CDB that asks for what the unit cannot do, or 0. */
static unsigned field_beyond(const struct scsi_task *t, const struct scsi_atomic *limits)
{
	uint16_t nblocks = get_be16(t->cdb + 12);

	if (get_be16(t->cdb + 10))
		return 10;
	if (nblocks > limits->max || (limits->granularity && nblocks % limits->granularity))
		return 12;
	return nblocks && limits->alignment && get_be64(t->cdb + 2) % limits->alignment ? 2 : 0;
}

void cmd_write_atomic(struct scsi_task *t)
{
	uint16_t nblocks = get_be16(t->cdb + 12);
	uint64_t bytes = (uint64_t)nblocks * t->lun->facts.id.block_size;
	struct scsi_atomic limits;
	unsigned field;

	if (!rw_no_protection(t))
		return;
	shown_limits(t->lun, &limits);
	field = field_beyond(t, &limits);
	if (field) {
		task_bad_field(t, field, 7);
		return;
	}
	if (!rw_place(t, get_be64(t->cdb + 2), nblocks) || !rw_data_out(t, bytes))
		return;
	if (bytes && rw_has_fua(t))
		t->flags |= TASK_FLUSH_AFTER;
	/* Readers see all of it or nothing, even those whose reads are split. */
	t->flags |= TASK_EXCLUSIVE;
	task_work(t, bytes ? &work_atomic : NULL, bytes);
}
