/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Firmware of a Fusion controller that says what the input says: as fuzz_firmware.c does for MFI, with reply
 * descriptors, RAID contexts, task management and events. fuzz_fusion_lanes.c is the same with several lanes.
 */
#include <stdlib.h>
#include <string.h>
#include "controller.h"
#include "hba/megaraid/fusion.h"
#include "hba/megaraid/megaraid.h"
#include "unit/hba/fusion/fusion_model.h"

#ifndef LANES
#define LANES 1
#endif

static struct model *model;
static struct fusion *f;

static void bring_up(void)
{
	model = malloc(sizeof(*model));
	model_init(model, INVADER);
	model->pd_map = true;
	controller_up(&model->fn.pci, 0x005d);
	f = fusion_of(h->drv);
}

static void forget(void)
{
	mfi_flush_forget(&f->m);
	fusion_forget_swept(f);
	fusion_tasks_forget(f);
	fusion_queue_reset(f);
}

static void rewind_lane(struct fusion_lane *l)
{
	for (uint32_t i = 0; i < l->n_smids; i++)
		l->free_smid[i] = (uint16_t)(l->first_smid + i);
	l->free_first = 0;
	l->wild_limit = l->unit_limit = (struct log_limit){0};
}

static void rewind_driver(void)
{
	for (unsigned i = 0; i < LANES; i++)
		rewind_lane(&f->lane[i]);
	for (unsigned i = 0; i < FUSION_N_TASKS; i++)
		ck_assert(!f->settling[i].busy && !f->task_owner[i]);
	f->no_seq = false;
	f->live = true;
	f->unit[1] = (struct fusion_unit){.drive = {.handle = 0x19, .map_target = 263}};
	memset(&f->event, 0, sizeof(f->event));
	memset(f->m.control.cpu, 0, FUSION_CTL_SIZE);
	memset(f->requests.cpu, 0, f->requests.size);
	memset(f->m.sense.cpu, 0, f->m.sense.size);
	f->m.context_limit = f->event_limit = (struct log_limit){0};
	h->n_units = 0;
}

static void resume(void)
{
	fusion_events_resume(f);
}

/* --- steps --- */

static void submit(struct input *in)
{
	uint8_t what;
	struct hba_req *r = new_request(in, &what);

	if (!r)
		return;
	r->no_reissue = what & 8;
	r->doom = what & 0x10 ? HBA_ABORTED : 0;
	submit_step(r);
}

/* The number of a command that is (or was) at the controller, of any kind. */
static uint32_t some_smid(struct input *in)
{
	uint8_t what = take8(in);

	switch (what >> 6) {
	case 0:
	case 1:
		return f->tag[what % REQS].smid;
	case 2:
		return f->slot_smid + what % MFI_INTERNAL;
	default:
		return f->task_smid + what % FUSION_N_TASKS;
	}
}

/* Right or wild descriptors, in any queue. */
static void post(struct input *in)
{
	unsigned n = take8(in) % 16;

	while (n--) {
		struct fusion_queue *q = &f->queue[take8(in) % f->n_queues];
		uint32_t at = q->index;

		while (le64_to_cpu(q->ring[at]) != FUSION_REPLY_NONE && (at + 1) % f->queue_depth != q->index)
			at = (at + 1) % f->queue_depth;
		if (take8(in) & 0x80)
			take(in, &q->ring[at], sizeof(q->ring[at]));
		else
			q->ring[at] = cpu_to_le64((uint64_t)some_smid(in) << 16);
	}
}

/* Frames, sense and data are firmware's to write while a command is there. */
static void scribble(struct input *in)
{
	uint32_t smid = some_smid(in);
	uint8_t *frame = fusion_frame(f, smid);
	struct mfi_header *head;

	take(in, frame + 0x76, 2);
	take(in, frame + 0x80, 8);
	take(in, fusion_sense(f, smid), 20);
	if (smid < f->slot_smid || smid >= f->task_smid)
		return;
	head = mfi_frame(&f->m, f->m.depth + smid - f->slot_smid);
	head->cmd_status = take8(in);
}

static void event_data(struct input *in)
{
	unsigned at = take8(in) * 32u;

	take(in, f->m.control.cpu + FUSION_CTL_EVENT + at % 0x1000, 64);
}

static void abort_one(struct input *in)
{
	struct hba_req *r = flying_request(in);

	if (!r)
		return;
	r->doom = HBA_ABORTED;
	abort_step(r);
}

static void reset(struct input *in)
{
	halt_lanes();
	reset_step(in);
	f->live = true;
	let_lanes_go();
}

static uint32_t check_lane(const struct fusion_lane *l)
{
	uint32_t at_work = 0, kept = 0;

	for (uint32_t smid = l->first_smid; smid < l->first_smid + l->n_smids; smid++) {
		ck_assert(!f->smid[smid].kept || (f->smid[smid].named && !f->smid[smid].fired));
		at_work += f->smid[smid].fired != FUSION_IDLE;
		kept += f->smid[smid].kept;
	}
	ck_assert_uint_eq(at_work + kept + l->n_free, l->n_smids);
	return kept;
}

/* Until a unit's reset is answered, and that was seen, every lane puts aside what it ends. */
static bool check_task(const struct fusion_tm *t, uint8_t owner)
{
	ck_assert_uint_le(owner, LANES);
	if (t->unit_reset && (t->fired || t->answered))
		ck_assert_uint_eq(f->unit[t->unit].resetting, (1u << LANES) - 1);
	return owner;
}

static void check(void)
{
	uint32_t kept = 0, tasks = 0;

	for (unsigned i = 0; i < LANES; i++)
		kept += check_lane(&f->lane[i]);
	ck_assert_uint_le(kept, FUSION_N_TASKS);
	for (unsigned i = 0; i < FUSION_N_TASKS; i++)
		tasks += check_task(&f->task[i], f->task_owner[i]);
	/* As long as a unit is marked somebody will end that. */
	for (unsigned i = 0; i < 2; i++)
		ck_assert(!f->unit[i].resetting || tasks > 0);
	for (unsigned q = 0; q < f->n_queues; q++)
		ck_assert(f->queue[q].index < f->queue_depth);
}

const struct target target = {
	.ops = &fusion_ops,
	.lanes = LANES,
	.bring_up = bring_up,
	.forget = forget,
	.rewind = rewind_driver,
	.resume = resume,
	.step = {submit, submit, scribble, post, abort_one, event_data, reset, poll_step},
	.check = check,
};
