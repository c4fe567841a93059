/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Firmware of a MegaRAID controller that says what the input says: command statuses, sense, contexts and the index of the
 * reply ring, register values, events and lists of units, and what the model answers to DCMDs with some of its bytes changed.
 * See controller.h.
 */
#include <stdlib.h>
#include <string.h>
#include "controller.h"
#include "hba/megaraid/megaraid.h"
#include "hba/megaraid/mfi.h"
#include "unit/hba/mfi_model.h"

#define REG_FIRE   0x40
#define FRAME_ADDR 0xffffffe0u /* of what is written there [3.9] */

#define OP_INQUIRY 0x12

static struct model *model;
static struct mfi *m;
static bool strange;	     /* it was attached, or asked for its units, as the input said */
static bool answers;	     /* to polled commands, at once */
static unsigned known_units; /* since it was attached: events may add some */

/* --- set-up --- */

static void bring_up(void)
{
	model = malloc(sizeof(*model));
	model_init(model, GEN2);
	for (unsigned i = 0; i < 512; i++)
		model->ld[0][i] = (uint8_t)(i * 7);
	controller_up(&model->fn.pci, 0x0078);
	m = h->drv;
	known_units = h->n_units;
}

/* Its only drive has the data of the first logical drive. */
static const uint8_t *block(unsigned unit)
{
	return model->ld[0];
}

static void forget(void)
{
	if (!m)
		return;
	mfi_flush_forget(m);
	mfi_queue_reset(m);
}

static void rewind_driver(void)
{
	memset(m->control.cpu + MFI_CTL_DATA, 0, MFI_CTL_DATA_LEN);
	memset(m->control.cpu + MFI_CTL_EVENT, 0, MFI_CTL_EVENT_LEN);
	for (uint32_t i = 0; i < m->depth + MFI_INTERNAL; i++)
		m->slot[i].use = 0;
	memset(&m->event, 0, sizeof(m->event));
	m->context_limit = (struct log_limit){0};
	m->health_ns = clock_ns();
	m->polled_lost = answers = false;
	m->live = true;
	h->n_units = known_units;
}

static void resume(void)
{
	mfi_events_resume(m);
}

static bool attach_anew(void)
{
	bool ok;

	forget_all();
	m = NULL;
	ok = controller_again();
	if (ok) {
		m = h->drv;
		known_units = h->n_units;
	}
	return ok;
}

/* It runs, and has not seen what the driver did; hbad attaches what it has given up, and so is done here. */
static void truth(void)
{
	model->fn.gone = false;
	if (strange || !m || !model->fn.irq_on) {
		model->state = 0xc;
		ck_assert(attach_anew());
	}
	strange = false;
	model->fn.bus_master = true;
	model->state = 0xc;
	model->fn.protocol_errors = model->fn.dma_faults = 0;
}

/* --- firmware --- */

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

/* What the model has written, but for what the input says; the status, too. */
static void falsify(struct mfi *to, struct mfi_header *head)
{
	uint8_t what = take8(source);

	for (unsigned n = what & 7; n; n--) {
		uint8_t *at = to->control.cpu + MFI_CTL_DATA + take16(source) % (MFI_CTL_DATA_LEN - 8);

		take(source, at, 1 + (what >> 3 & 7));
	}
	if (what >= 0xf0)
		head->cmd_status = take8(source);
}

static void fire(unsigned bar, uint32_t val)
{
	struct mfi *to = h->drv;
	uint32_t slot = ((val & FRAME_ADDR) - (uint32_t)to->frames.iova) / MFI_FRAME_SLOT;
	struct mfi_header *head = mfi_frame(to, slot);

	ck_assert(slot < to->depth + MFI_INTERNAL);
	if (slot != to->depth + MFI_SLOT_POLLED)
		return;
	if (head->cmd == MFI_CMD_INIT || answers)
		truth_write(bar, REG_FIRE, val, 4);
	if (head->cmd != MFI_CMD_INIT && answers)
		falsify(to, head);
}

static void device_write(unsigned bar, uint64_t off, uint32_t val, unsigned len)
{
	if (off == REG_FIRE)
		fire(bar, val);
	else
		truth_write(bar, off, val, len);
}

/* --- steps --- */

/* Nothing of what firmware says of itself is out of bounds. */
static void check_offer(void)
{
	ck_assert_uint_le(h->n_units, HBA_MAX_UNITS);
	ck_assert(h->limits.max_transfer >= 4096 && h->limits.max_transfer % 4096 == 0);
	for (unsigned i = 0; i < h->n_units; i++)
		ck_assert_uint_le(h->unit[i].target, UINT8_MAX);
	for (const char *p = h->info.product; *p; p++)
		ck_assert(*p >= 0x20 && *p < 0x7f);
}

/* Nothing comes behind it. */
static void shut_down(struct input *in)
{
	struct err e = {""};

	h->stop_until_ns = clock_ns() + HBA_STOP_MS * NS_PER_MS;
	ck_assert(mfi_ops.shutdown(h, &e) == 0 || e.text[0]);
	ck_assert_uint_lt(clock_ns(), h->stop_until_ns + 10 * NS_PER_SEC);
	h->stop_until_ns = 0;
	forget_all();
	in->n = 0;
}

/* From registers to the units, and sometimes to the orderly end. Either it is as good as another, or the run is over. */
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

static void turn(struct input *in)
{
	uint8_t what = take8(in);

	if (what & 1)
		again(in);
	else if (what == 2)
		model->fn.gone = !model->fn.gone;
	else
		time_passes(what * NS_PER_SEC);
}

static void submit(struct input *in)
{
	uint8_t what;
	struct hba_req *r = new_request(in, &what);

	if (!r)
		return;
	if (r->kind == HBA_REQ_CDB)
		r->cdb[0] = OP_INQUIRY;
	submit_step(r);
}

/* Right, nearly right, or wild contexts, in any number. */
static void post(struct input *in)
{
	le32_t *ring = (le32_t *)(m->control.cpu + MFI_CTL_RING);
	le32_t *producer = (le32_t *)(m->control.cpu + MFI_CTL_PRODUCER);
	uint32_t at = le32_to_cpu(*producer) % m->fw_cmds, n = take8(in) % 16;

	while (n--) {
		uint8_t what = take8(in);
		uint32_t slot = (what & 0x40 ? m->depth : 0) + (what & 0x0f) % (MFI_INTERNAL + 2);
		uint32_t context = slot < m->depth + MFI_INTERNAL ? mfi_slot_context(m, slot) : slot;

		ring[at] = cpu_to_le32(what & 0x80 ? take32(in) : context);
		at = (at + 1) % m->fw_cmds;
	}
	*producer = cpu_to_le32(take8(in) == 0xff ? take32(in) : at);
}

/* An event, a list, or where the log ends. */
static void event_data(struct input *in)
{
	unsigned at = take8(in) * 32u;

	take(in, m->control.cpu + MFI_CTL_EVENT + at % 0x1000, 64);
}

/* Frames, sense and data are firmware's to write while a command is there. */
static void scribble(struct input *in)
{
	uint32_t slot = take8(in) % (REQS + 2);
	struct mfi_header *head;

	if (slot == REQS + 1)
		event_data(in);
	if (slot >= REQS)
		slot = m->depth + (slot == REQS ? MFI_SLOT_FLUSH : MFI_SLOT_EVENT);
	head = mfi_frame(m, slot);
	head->cmd_status = take8(in);
	head->scsi_status = take8(in);
	if (slot < REQS)
		take(in, m->sense.cpu + slot * MFI_SENSE_SLOT, 20);
}

static void abort_one(struct input *in)
{
	struct hba_req *r = flying_request(in);

	if (!r)
		return;
	r->doom = HBA_ABORTED;
	abort_step(r);
}

const struct target target = {
	.ops = &mfi_ops,
	.truth = truth,
	.block = block,
	.read = device_read,
	.write = device_write,
	.bring_up = bring_up,
	.forget = forget,
	.rewind = rewind_driver,
	.resume = resume,
	.step = {submit, submit, scribble, post, abort_one, turn, reset_step, poll_step},
	.check = check_offer,
};
