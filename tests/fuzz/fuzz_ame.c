/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Firmware of an AME box of any family that says what the input says: messages, reply frames, sense, pages, doorbell
 * bits and other registers; and a box that goes, or forgets its configuration. See controller.h. The first byte of the
 * input is the family.
 */
#include <stdlib.h>
#include "controller.h"
#include "hba/ame/ame.h"
#include "hba/ame/box.h"
#include "redzone.h"
#include "unit/hba/ame/ame_model.h"

#define MESSAGES 32

static const struct ame_family *const families[] = {&ame_341, &ame_2208, &ame_3108};
static const uint16_t devices[] = {0x6201, 0x6233, 0x626f};

static struct model *model;
static struct ame *a;
static struct hba clean; /* as bring-up left it */
static uint8_t config[sizeof(((struct model_fn *)0)->cfg)];

/* The box's side. */
static uint32_t said[MESSAGES];
static unsigned n_said, said_at;
static uint32_t ringing, mask;
static uint32_t babble; /* it says this for ever, if it is not 0 */
static bool stuck;	/* its doorbell */
static bool answers;	/* to management requests and polled commands, at once */

/* --- set-up --- */

/* Between what the box may touch of one slot and the next one. */
static void set_redzones(void)
{
	uint8_t *end = a->data_mem + AME_DATA_BYTES;

	for (uint32_t i = 0; i < AME_MAX_SLOTS; i++)
		redzone(ame_slot_at(a, i, AME_AT_SENSE) + AME_SENSE_SIZE,
			AME_SLOT_SIZE - AME_AT_SENSE - AME_SENSE_SIZE);
	redzone(end, (size_t)(a->mem.cpu + a->mem.size - end));
}

static void bring_up(void)
{
	model = malloc(sizeof(*model));
	model_init(model, BOX_3108, devices[BOX_3108]);
	controller_up(&model->fn.pci, devices[BOX_3108]);
	a = ame_of(h);
	set_redzones();
	memcpy(config, model->fn.cfg, sizeof(config));
	clean = *h;
}

static void forget(void)
{
	ame_forget(a);
}

static void rewind_driver(void)
{
	static const typeof(a->seen) none;

	memcpy(h->unit, clean.unit, sizeof(h->unit));
	h->n_units = clean.n_units;
	memset(a->page_mem, 0, AME_PAGE_SIZE);
	for (unsigned i = 0; i < AME_MAX_LUNS; i++)
		a->map[i] = i % 3 ? AME_LUN_NOT_THERE : 0;
	a->map_known = true;
	a->want_switch = a->want_map = a->no_tasks = a->mask_restless = a->unforgetting = false;
	ame_carriers_pardon(a);
	a->page_tries = 0;
	a->page_after_ns = 0;
	a->health_ns = clock_ns();
	a->garbage_limit = a->event_limit = a->failure_limit = a->notice_limit = (struct log_limit){0};
	a->seen = none;
	n_said = said_at = 0;
	ringing = babble = 0;
	mask = a->mask_read;
	stuck = answers = false;
}

static void set_family(enum model_family f)
{
	a->family = families[f];
	model->family = f;
}

static void resume(void)
{
	set_family(take8(source) % ARRAY_SIZE(families));
	mask = a->mask_read = a->family->mask_run;
}

/* It has not seen what the driver did: it is one that has just restarted. */
static void truth(void)
{
	model_restart(model, false);
	model->fn.gone = model->reset_fails = false;
	memcpy(model->fn.cfg, config, sizeof(config));
	model->fn.bus_master = true;
	model->fn.protocol_errors = model->fn.dma_faults = 0;
}

/* --- the box --- */

/* One of the driver's own that is at the box, if any is. */
static uint32_t own_slot(unsigned n)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < AME_N_OWN; i++)
		if (a->slot[i].at_box) {
			found = i;
			if (!n--)
				break;
		}
	return found;
}

static uint32_t some_slot(struct input *in)
{
	uint8_t what = take8(in);

	switch (what >> 6) {
	case 0:
	case 1:
		return a->slot_of[what % REQS] >= 0 ? (uint32_t)a->slot_of[what % REQS] : AME_N_OWN;
	case 2:
		return own_slot(what & 3);
	default:
		return what % (AME_MAX_SLOTS + 2);
	}
}

/* The n-th that it has got, or any. */
static uint32_t some_frame(unsigned n)
{
	for (uint32_t i = 0; i < AME_REPLY_FRAMES; i++)
		if (a->lent[i] && !n--)
			return i;
	return 0;
}

static void put_sense_block(struct input *in, struct ame_sense *s)
{
	uint8_t what = take8(in);
	uint32_t skip = what & 0x10 ? take8(in) : 0;

	memset(s, 0, sizeof(*s));
	s->flags = what & 0x0f;
	s->residual = cpu_to_le32(what & 0x80 ? take32(in) : what & 0x40 ? 512 : 0);
	s->sense_len = cpu_to_le32(what & 0x20 ? take32(in) : 18);
	s->response_len = cpu_to_le32(skip);
	skip = MIN(skip, 30);
	put_sense(in, s->data + skip, sizeof(s->data) - skip);
}

static void put_scsi(struct input *in, struct ame_reply *r, uint32_t slot)
{
	static const uint8_t statuses[] = {0, 2, 2, 8},
			     states[] = {AME_STATE_SENSE, AME_STATE_SENSE, AME_STATE_NO_SENSE,
				     AME_STATE_NO_STATUS, AME_STATE_TERMINATED};

	r->scsi_status = choose(in, statuses, ARRAY_SIZE(statuses));
	r->scsi_state = choose(in, states, ARRAY_SIZE(states));
	r->moved = cpu_to_le32(r->scsi_state & 0x80 ? take32(in) : take16(in));
	if (r->scsi_state & AME_STATE_SENSE && slot < AME_MAX_SLOTS)
		put_sense_block(in, (struct ame_sense *)ame_slot_at(a, slot, AME_AT_SENSE));
}

static void put_event(struct input *in, struct ame_reply *r)
{
	static const uint8_t events[] = {
		AME_E_LUNS, AME_E_LUNS, AME_E_USING, AME_E_COMPLETE, AME_E_RAID_ERROR};

	r->event[0] = choose(in, events, ARRAY_SIZE(events));
	take(in, r->event + 1, 4);
}

static uint32_t in_frame(struct input *in, uint8_t what, uint32_t slot)
{
	static const uint8_t statuses[] = {AME_S_OK, AME_S_OK, AME_S_OK, AME_S_INVALID_FUNCTION, AME_S_BUSY,
		AME_S_RECOVERED, AME_S_NO_DEVICE, AME_S_OVERRUN, AME_S_UNDERRUN, AME_S_DATA_ERROR,
		AME_S_TERMINATED, AME_S_TASK_FAILED, AME_S_TASK_FAILED};
	uint32_t frame = some_frame(what & 3);
	struct ame_reply *r = (struct ame_reply *)ame_reply_at(a, frame);

	memset(r, 0, sizeof(*r));
	r->function = slot < AME_MAX_SLOTS ? a->slot[slot].function : 0;
	if (what & 4)
		r->function = what & 8 ? take8(in) : AME_F_EVENT;
	r->id = cpu_to_le32(what & 0x10 ? take32(in) : ame_id(slot));
	r->status = choose(in, statuses, ARRAY_SIZE(statuses));
	if (r->function == AME_F_SCSI)
		put_scsi(in, r, slot);
	else if (r->function == AME_F_EVENT)
		put_event(in, r);
	else
		r->inband_error = cpu_to_le16(what & 0x20 ? take8(in) : 0);
	return AME_MSG_FRAME | (uint32_t)ame_iova(a, r) >> 1;
}

/* Right, nearly right, or wild. */
static uint32_t message(struct input *in)
{
	uint8_t what = take8(in);
	uint32_t slot;

	if (what >= 0xe0)
		return take32(in);
	slot = some_slot(in);
	return what & 0x80 ? ame_id(slot) : in_frame(in, what, slot);
}

static void speak(uint32_t m)
{
	if (said_at == n_said)
		n_said = said_at = 0;
	if (n_said < MESSAGES)
		said[n_said++] = m;
}

/* What a register says as long as all is well. */
static uint32_t usual(uint64_t off)
{
	switch (off) {
	case AME_OUTBOUND:
		return ringing;
	case AME_MASK:
		return mask;
	case AME_STATUS:
	case AME_PAD_READY:
		return 1;
	default:
		return 0;
	}
}

static uint32_t box_read(unsigned bar, uint64_t off, unsigned len)
{
	uint8_t what;

	if (model->fn.gone)
		return UINT32_MAX;
	if (off == AME_REPLY)
		return said_at < n_said ? said[said_at++] : babble ? babble : AME_ALL_ONES;
	what = take8(source);
	if (what < 0xd0)
		return usual(off);
	return what < 0xd8 ? UINT32_MAX : what < 0xe0 ? 0 : take32(source);
}

static void put_page(struct input *in)
{
	uint8_t what = take8(in);
	struct ame_page0 *page = (struct ame_page0 *)a->page_mem;

	if (what & 0x80)
		take(in, a->page_mem, 48);
	for (unsigned i = 0; i < 8; i++) {
		uint8_t value = take8(in), *to = page->map[(what + i) % AME_MAX_LUNS];

		to[0] = value;
		to[1] = value < 0x80 ? 0 : 0xff;
	}
}

static void answer_one(const struct ame_scsi *q)
{
	uint32_t slot = (le32_to_cpu(q->id) >> AME_ID_SHIFT) - 1;
	uint8_t what = take8(source);

	if (q->function == AME_F_INBAND) {
		put_page(source);
	} else if (q->function == AME_F_SCSI && what & 1) {
		take(source, a->data_mem, 36);
	} else if (q->function == AME_F_SCSI && what < 0x80) {
		speak(ame_id(slot));
		return;
	}
	if (what < 0xe0)
		speak(in_frame(source, what & 0x20, slot));
	else if (what < 0xf8)
		speak(message(source));
}

static void box_write(unsigned bar, uint64_t off, uint32_t v, unsigned len)
{
	switch (off) {
	case AME_REQUEST:
		/* Every request is a frame of ours. */
		v -= (uint32_t)a->mem.iova;
		ck_assert(v % AME_SLOT_SIZE == AME_AT_FRAME && v / AME_SLOT_SIZE < AME_MAX_SLOTS);
		if (answers)
			answer_one((const struct ame_scsi *)(a->mem.cpu + v));
		return;
	case AME_INBOUND:
		if (v & AME_IN_HIGH && v != AME_IN_FORGET)
			ringing |= AME_OUT_READY;
		return;
	case AME_OUTBOUND_CLEAR:
		if (!stuck)
			ringing &= ~v;
		return;
	case AME_MASK:
		mask = v;
		return;
	}
}

/* --- steps --- */

static void submit(struct input *in)
{
	uint8_t what;
	struct hba_req *r = new_request(in, &what);

	if (!r)
		return;
	if (what & 0x80)
		vary_request(in, r);
	submit_step(r);
}

static void say(struct input *in)
{
	for (unsigned n = 1 + take8(in) % 8; n; n--)
		speak(message(in));
}

/* The list where a flush reads its modes, the page, and sense are firmware's to write. */
static void scribble(struct input *in)
{
	uint32_t slot = some_slot(in) % AME_MAX_SLOTS;
	uint8_t what = take8(in);

	if (what < 0x60)
		put_page(in);
	else if (what < 0xc0)
		take(in, ame_slot_at(a, slot, AME_AT_LIST), 24);
	else
		take(in, ame_slot_at(a, slot, AME_AT_SENSE), AME_SENSE_SIZE);
}

/* Doorbells, and whether it is there at all. */
static void ring(struct input *in)
{
	uint8_t what = take8(in);

	if (what < 0xc0) {
		ringing |= what & 0x1f;
		stuck = what & 0x40 && what & 0x20;
		return;
	}
	switch (what & 7) {
	case 0:
		ringing = take32(in);
		return;
	case 1:
		model->fn.gone = !model->fn.gone;
		return;
	case 2: /* command register */
		model->fn.cfg[4] = take8(in);
		return;
	case 3:
		model->fn.cfg[0x10 + take8(in) % 8] ^= 0x10;
		return;
	case 4:
		mask = take8(in);
		return;
	case 5:
		model->reset_fails = !model->reset_fails;
		return;
	case 6:
		memcpy(model->fn.cfg, config, sizeof(config));
		babble = babble ? 0 : message(in);
		return;
	default:
		time_passes(take8(in) * NS_PER_SEC);
	}
}

static void abort_one(struct input *in)
{
	struct hba_req *r = flying_request(in);

	if (!r || (!r->doom && take8(in) & 0x80))
		return;
	r->doom = HBA_ABORTED;
	abort_step(r);
}

static void check_text(const char *p)
{
	for (; *p; p++)
		ck_assert(*p >= 0x20 && *p < 0x7f);
}

/* What only the set-up thread does: the units at the start, and the orderly end, with nothing at the box. */
static void polled(struct input *in)
{
	struct err e = {""};
	int r;

	forget_all();
	answers = true;
	r = take8(in) & 1 ? ame_ops.shutdown(h, &e) : ame_discover(a, &e);
	answers = false;
	ck_assert(r == 0 || e.text[0]);
	/* A start that failed is not gone on from, and nothing comes behind the end. */
	if (r < 0)
		forget_all();
	check_text(h->info.product);
	check_text(h->info.serial);
}

/* --- what is always true --- */

static bool listed(const struct list *l, const struct hba_req *r)
{
	unsigned n = 0;

	list_for_each(pos, l) {
		ck_assert_uint_le(++n, REQS);
		if (pos == &r->drv_link)
			return true;
	}
	return false;
}

/* Each that flies is at one place, the others at none. */
static void check_request(uint32_t tag)
{
	int slot = a->slot_of[tag];
	unsigned places = slot >= 0;

	ck_assert(slot < AME_MAX_SLOTS);
	if (slot >= 0)
		ck_assert(slot >= AME_N_OWN && a->slot[slot].at_box && a->slot[slot].tag == tag);
	places += listed(&a->waiting, &req[tag]);
	places += listed(&a->local, &req[tag]);
	ck_assert_uint_eq(places, is_flying(tag));
}

static void check(void)
{
	uint32_t at_box = 0, carried = 0, lent = 0;

	for (uint32_t tag = 0; tag < REQS; tag++)
		check_request(tag);
	for (uint32_t i = 0; i < AME_MAX_SLOTS; i++) {
		at_box += a->slot[i].at_box;
		carried += i >= AME_N_OWN && a->slot[i].at_box;
	}
	ck_assert_uint_eq(at_box, a->n_at_box);
	ck_assert_uint_eq(a->carrier_in - a->carrier_out + a->n_exile + carried, AME_N_CARRIERS);
	ck_assert_uint_le(a->n_exile, AME_DEPTH);
	for (uint32_t i = 0; i < a->n_exile; i++)
		ck_assert(a->slot[a->exile[i]].exiled && !a->slot[a->exile[i]].at_box);
	for (uint32_t i = 0; i < AME_REPLY_FRAMES; i++)
		lent += a->lent[i];
	ck_assert_uint_eq(lent + a->n_spare, AME_REPLY_FRAMES);
	for (unsigned i = 0; i < h->n_units; i++)
		ck_assert(h->unit[i].target < AME_MAX_LUNS && h->unit[i].name[0]);
}

const struct target target = {
	.ops = &ame_ops,
	.truth = truth,
	.read = box_read,
	.write = box_write,
	.bring_up = bring_up,
	.forget = forget,
	.rewind = rewind_driver,
	.resume = resume,
	.step = {submit, say, scribble, ring, abort_one, polled, reset_step, poll_step},
	.check = check,
};
