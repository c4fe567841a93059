/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Firmware of a Fusion controller that says what the input says: reply descriptors, RAID contexts, sense, task management,
 * events, and, when it is attached anew, what the model answers with some of its bytes changed: controller info, lists of
 * units, the map of drives. fuzz_fusion_lanes.c is the same with several lanes.
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

#define POLLED	   (MFI_SLOT_POLLED)
#define REG_LOW	   0xc0
#define REG_HIGH   0xc4
#define TYPE_INIT  1 /* of a descriptor [5.5] */

#define OP_INQUIRY 0x12

static struct model *model;
static struct fusion *f;
static uint32_t low;
static bool strange; /* it was attached, or asked for its units, as the input said */
static bool answers; /* to polled commands, at once */

static const struct hba_unit ld0 = {.name = "ld0", .kind = HBA_UNIT_LD};
static const struct hba_unit pd8 = {.name = "pd8", .kind = HBA_UNIT_PD, .target = 8, .index = 1};

/* --- set-up --- */

static void bring_up(void)
{
	model = malloc(sizeof(*model));
	model_init(model, INVADER);
	model->pd_map = true;
	/* Fewer queues, which are looked through at each INIT. */
	model->fn.pci.n_vectors[PCI_IRQ_MSIX] = LANES + 1;
	for (unsigned i = 0; i < 512; i++) {
		model->disk[0][i] = (uint8_t)(i * 7);
		model->disk[2][i] = (uint8_t)(i * 11 + 1);
	}
	controller_up(&model->fn.pci, 0x005d);
	f = fusion_of(h->drv);
}

static const uint8_t *block(unsigned unit)
{
	return model->disk[unit ? 2 : 0];
}

static void forget(void)
{
	if (!f)
		return;
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

static void rewind_units(void)
{
	h->unit[0] = ld0;
	h->unit[1] = pd8;
	h->n_units = 2;
	fusion_forget_pd_map(f);
	f->unit[1] = (struct fusion_unit){.drive = {.handle = 0x19, .map_target = 263, .tm = true}};
}

static void rewind_driver(void)
{
	for (unsigned i = 0; i < LANES; i++)
		rewind_lane(&f->lane[i]);
	for (unsigned i = 0; i < FUSION_N_TASKS; i++)
		ck_assert(!f->settling[i].busy && !f->task_owner[i]);
	f->no_seq = false;
	f->m.live = true;
	memset(&f->m.event, 0, sizeof(f->m.event));
	f->m.event.known = true;
	memset(f->m.control.cpu, 0, FUSION_CTL_SIZE);
	memset(f->requests.cpu, 0, f->requests.size);
	memset(f->m.sense.cpu, 0, f->m.sense.size);
	f->m.context_limit = f->m.event.limit = (struct log_limit){0};
	f->m.health_ns = clock_ns();
	rewind_units();
	answers = false;
}

static void resume(void)
{
	mfi_events_resume(&f->m);
}

static bool attach_anew(void)
{
	bool ok;

	forget_all();
	f = NULL;
	ok = controller_again();
	if (ok)
		f = fusion_of(h->drv);
	return ok;
}

/* It runs, and has not seen what the driver did; hbad attaches what it has given up, and so is done here. */
static void truth(void)
{
	model->fn.gone = false;
	model->fn.bus_master = true;
	model->state = 0xc;
	model->boot_n = model->boot_at = 0;
	if (strange || !f || !f->m.live)
		ck_assert(attach_anew());
	strange = false;
	rewind_units();
	model->fn.protocol_errors = model->fn.dma_faults = 0;
}

/* --- the device --- */

static uint32_t device_read(unsigned bar, uint64_t off, unsigned len)
{
	uint8_t what = model->fn.gone ? UINT8_MAX : take8(source);

	/* Rarely anything else, or no reset comes to its end. */
	if (model->fn.gone || what == 0xff)
		return UINT32_MAX;
	if (what < 0xfa)
		return truth_read(bar, off, len);
	return what == 0xfe ? 0 : take32(source);
}

/* What the model has written there, but for what the input says; the status, too. */
static void falsify(struct fusion *to)
{
	struct mfi_header *head = mfi_frame(&to->m, to->m.depth + POLLED);
	uint8_t what = take8(source);

	for (unsigned n = what & 7; n; n--) {
		uint8_t *at = to->m.control.cpu + MFI_CTL_DATA + take16(source) % (MFI_CTL_DATA_LEN - 8);

		take(source, at, 1 + (what >> 3 & 7));
	}
	if (what >= 0xf0)
		head->cmd_status = take8(source);
}

static void device_write(unsigned bar, uint64_t off, uint32_t val, unsigned len)
{
	struct fusion *now = fusion_of(mfi_of(h));

	if (off == REG_LOW) {
		low = val;
	} else if (off == REG_HIGH) {
		bool polled = answers && now->smid && low >> 16 == now->slot_smid + POLLED;

		if ((low >> 1 & 7) != TYPE_INIT && !polled)
			return;
		truth_write(bar, REG_LOW, low, len);
		truth_write(bar, REG_HIGH, val, len);
		if (polled)
			falsify(now);
	} else if (off < FUSION_REG_HOST_INDEX || answers) {
		truth_write(bar, off, val, len);
	}
}

/* --- steps --- */

static void submit(struct input *in)
{
	uint8_t what;
	struct hba_req *r = new_request(in, &what);

	if (!r)
		return;
	/* Reads are never sent as anything else, and the model knows. */
	if (r->kind == HBA_REQ_CDB)
		r->cdb[0] = OP_INQUIRY;
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
	uint8_t what;

	take(in, frame + 0x76, 2);
	what = take8(in);
	/* DataLength: how much was moved. */
	if (what & 1)
		take(in, frame + 0x1c, what & 2 ? 4 : 1);
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

	take(in, f->m.control.cpu + MFI_CTL_EVENT + at % 0x1000, 64);
}

static void abort_one(struct input *in)
{
	struct hba_req *r = flying_request(in);

	if (!r)
		return;
	r->doom = HBA_ABORTED;
	abort_step(r);
}

/* Nothing of what firmware says of itself is out of bounds. */
static void check_offer(void)
{
	ck_assert_uint_le(h->n_units, HBA_MAX_UNITS);
	ck_assert(h->limits.max_transfer >= 4096 && h->limits.max_transfer % 4096 == 0);
	for (const char *p = h->info.product; *p; p++)
		ck_assert(*p >= 0x20 && *p < 0x7f);
	for (unsigned i = 0; i < HBA_MAX_UNITS; i++) {
		const struct fusion_drive d = fusion_drive_of(f, &(struct hba_unit){.index = (uint8_t)i});

		ck_assert(d.handle == FUSION_NO_HANDLE || (i < h->n_units && h->unit[i].kind == HBA_UNIT_PD));
	}
}

/* Nothing comes behind it. */
static void shut_down(struct input *in)
{
	struct err e = {""};

	h->stop_until_ns = clock_ns() + HBA_STOP_MS * NS_PER_MS;
	ck_assert(fusion_ops.shutdown(h, &e) == 0 || e.text[0]);
	ck_assert_uint_lt(clock_ns(), h->stop_until_ns + 10 * NS_PER_SEC);
	h->stop_until_ns = 0;
	forget_all();
	in->n = 0;
}

/* From registers to the units and the map of drives, and sometimes to the orderly end. Either it is as good as another, or the
 * run is over. */
static void again(struct input *in)
{
	strange = answers = true;
	if (attach_anew()) {
		check_offer();
		if (take8(in) & 1)
			shut_down(in);
	} else {
		in->n = 0;
		source = NULL;
		truth();
	}
	answers = false;
}

/* Resets, anew, whether it is there; and time. With lanes the driver is attached by the first run alone. */
static void turn(struct input *in)
{
	uint8_t what = take8(in);

	if ((what & 3) == 0)
		reset_step(in);
	else if ((what & 3) == 1 && LANES == 1)
		again(in);
	else if (what == 2)
		model->fn.gone = !model->fn.gone;
	else
		time_passes(what * NS_PER_SEC);
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
	.lanes = LANES > 1 ? LANES : 0,
	.truth = truth,
	.block = block,
	.read = device_read,
	.write = device_write,
	.bring_up = bring_up,
	.forget = forget,
	.rewind = rewind_driver,
	.resume = resume,
	.step = {submit, submit, scribble, post, abort_one, event_data, turn, poll_step},
	.check = check,
};
