/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fake SCSI layer. */
#include "tests/unit/front/fake_scsi.h"

#include <string.h>

#include "base/endian.h"
#include "daemon/front/slots.h"
#include "tests/unit/front/tcmu_model.h"

struct fake_scsi fake;

/* Where a task is in fake.task. Its own fields are the SCSI layer's business; its slot has a number. */
static unsigned *where(const struct scsi_task *task)
{
	static unsigned at[FRONT_SLOTS];

	return &at[container_of(task, struct front_cmd, task)->index];
}

void fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.rng = 1;
}

uint32_t fake_tag(const struct scsi_task *task)
{
	return get_be32(task->cdb + 2);
}

/* Opcodes of the tests: 08h, 28h, A8h, 88h and 7Fh read, the same with 02h set (but 7Fh) write. */
static enum dma_dir direction(const struct scsi_task *task)
{
	switch (task->cdb[0]) {
	case 0x08:
	case 0x28:
	case 0x88:
	case 0xa8:
	case 0x7f:
		return DMA_FROM_DEVICE;
	case 0x0a:
	case 0x2a:
	case 0x8a:
	case 0xaa:
		return DMA_TO_DEVICE;
	default:
		return DMA_NONE;
	}
}

/* Reads or writes every byte, so that a wrong address does not go unnoticed. */
static void move(struct scsi_task *task, uint64_t bytes)
{
	uint32_t tag = fake_tag(task);
	uint64_t at = 0;

	for (uint32_t i = 0; i < task->niov; i++) {
		uint8_t *p = task->iov[i].iov_base;

		for (size_t k = 0; k < task->iov[i].iov_len && at < bytes; k++, at++) {
			if (task->dir == DMA_FROM_DEVICE)
				p[k] = model_pattern(tag, at);
			else if (p[k] != model_pattern(tag, at))
				fake.bad_data++;
		}
	}
}

static void end(struct scsi_task *task)
{
	unsigned i = *where(task);

	must(i < fake.n && fake.task[i] == task);
	fake.task[i] = fake.task[--fake.n];
	if (i < fake.n)
		*where(fake.task[i]) = i;
	task->done(task);
}

void fake_short(struct scsi_task *task, uint64_t bytes)
{
	task->dir = direction(task);
	task->status = SCSI_GOOD;
	if (task->dir != DMA_NONE)
		move(task, bytes);
	task->in_bytes = task->dir == DMA_FROM_DEVICE ? bytes : 0;
	end(task);
}

void fake_good(struct scsi_task *task)
{
	fake_short(task, task->iov_bytes);
}

void fake_status(struct scsi_task *task, enum scsi_status status)
{
	task->dir = direction(task);
	task->status = (uint8_t)status;
	end(task);
}

void fake_check(struct scsi_task *task, uint8_t key, uint64_t in_bytes)
{
	task->dir = direction(task);
	task->status = SCSI_CHECK_CONDITION;
	task->sense[0] = 0x70;
	task->sense[2] = key;
	task->sense[95] = 0x5a;
	task->sense_len = 18;
	if (task->dir == DMA_FROM_DEVICE)
		move(task, in_bytes);
	task->in_bytes = in_bytes;
	end(task);
}

struct scsi_task *fake_by_tag(uint32_t tag)
{
	for (unsigned i = 0; i < fake.n; i++)
		if (fake_tag(fake.task[i]) == tag)
			return fake.task[i];
	return NULL;
}

void fake_finish_all(void)
{
	while (fake.n)
		fake_good(fake.task[model_rand(&fake.rng) % fake.n]);
}

void scsi_submit(struct scsi_task *task)
{
	uint64_t sum = 0;

	must(fake.n < FAKE_MAX && task->done && task->cdb_len);
	for (uint32_t i = 0; i < task->niov; i++)
		sum += task->iov[i].iov_len;
	must(sum == task->iov_bytes);
	*where(task) = fake.n;
	fake.task[fake.n++] = task;
	fake.submitted++;
	if (fake.on_submit)
		fake.on_submit(task);
	if (fake.immediate)
		fake_good(task);
}

void scsi_lun_serve(struct scsi_lun *lun)
{
	fake.serving = true;
}

void scsi_lun_retire(struct scsi_lun *lun)
{
	fake.serving = false;
	fake.retired++;
}

bool scsi_lun_is_settled(const struct scsi_lun *lun)
{
	return !fake.unsettled;
}

void scsi_lun_leave(struct scsi_lun *lun)
{
	fake.left |= fake.unsettled;
}

void scsi_lun_settle(struct scsi_lun *lun, unsigned lane, const char *naa)
{
	if (!fake.unsettled)
		return;
	must(fake.left);
	fake.unsettled = fake.left = false;
	fake.lane = lane;
	fake.naa = naa;
}

struct loop *scsi_lane_loop(const struct scsi_lun *lun, unsigned lane)
{
	return fake.lane_loop[lane];
}

void scsi_task_abort(struct scsi_task *task)
{
	must(*where(task) < fake.n && fake.task[*where(task)] == task);
	must(fake.aborts < FAKE_MAX);
	fake.aborted[fake.aborts++] = task;
	if (fake.on_abort)
		fake.on_abort();
	if (fake.abort_at_once)
		fake_status(task, SCSI_TASK_ABORTED);
}
