/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio SCSI host that says what the input says: used rings, responses, sense, events, registers, and, when it is
 * attached anew, capabilities, configuration and the answers to the first commands. See controller.h. The first byte of
 * the input tells how it interrupts.
 */
#include <stdlib.h>
#include "controller.h"
#include "hba/virtio/vio.h"
#include "hba/virtio/virtio.h"
#include "redzone.h"
#include "unit/hba/virtio/vio_model.h"

#define PER_LUN	  3	 /* of REQS: some have to wait */
#define DOORBELLS 0x3000 /* of the model */

static struct model *model;
static struct vio *v;
static uint8_t config[sizeof(((struct model_fn *)0)->cfg)];
static bool strange; /* it was attached as the input said */
static bool answers; /* to polled commands, at once */

/* --- set-up --- */

/* Behind what the device may touch, up to what comes next. */
static void set_redzones(void)
{
	uint8_t *end = v->data_mem + VIO_DATA_MEM;

	for (uint32_t i = 0; i <= v->depth; i++) {
		uint8_t *slot = vio_slot_mem(v, i);
		size_t resp = ALIGN_UP(VIO_SLOT_RESP + sizeof(struct vio_cmd_resp), (size_t)8);

		redzone(slot + resp, VIO_SLOT_SIZE - resp);
	}
	for (uint32_t i = 0; i < VIO_N_TMF; i++)
		redzone(v->tmf_mem + i * VIO_TMF_MEM + VIO_TMF_RESP + 8, VIO_TMF_MEM - VIO_TMF_RESP - 8);
	redzone(end, (size_t)(v->mem.cpu + v->mem.size - end));
}

static void attached(void)
{
	v = vio_of(h);
	set_redzones();
}

static void bring_up(void)
{
	model = malloc(sizeof(*model));
	model_init(model);
	model_config32(model, 0x0c, PER_LUN);
	controller_up(&model->fn.pci, VIO_PCI_SCSI);
	memcpy(config, model->fn.cfg, sizeof(config));
	attached();
}

static void forget(void)
{
	if (!v)
		return;
	for (uint32_t i = 0; i <= v->depth; i++)
		v->slot[i].at_device = false;
	for (unsigned i = 0; i < v->n_queues; i++)
		vio_ring_clear(&v->ring[i]);
	memset(v->tmf, 0, sizeof(v->tmf));
	memset(v->event_posted, 0, sizeof(v->event_posted));
	vio_turns_forget(v);
}

static void make_true(void)
{
	model->fn.gone = false;
	memcpy(model->fn.cfg, config, sizeof(config));
	model->fn.bus_master = true;
	model->status &= 0x0f;
	model->isr = 0;
}

static void rewind_driver(void)
{
	vio_events_post(v);
	vio_ring_wants_kick(&v->ring[VIO_Q_EVENT]);
	for (unsigned i = 0; i < HBA_MAX_UNITS; i++)
		v->addr[i].expect_ua = false;
	for (unsigned i = 0; i < h->n_units; i++) {
		h->unit[i].state = HBA_UNIT_OPTIMAL;
		h->unit[i].missing = false;
	}
	v->event_limit = (struct log_limit){0};
	v->lane[0].garbage_limit = v->lane[0].failure_limit = v->lane[0].unit_limit = v->event_limit;
	memset(&v->events, 0, sizeof(v->events));
	v->health_ns = clock_ns();
	answers = false;
}

static void resume(void)
{
	v->irq = take8(source) & 1 ? PCI_IRQ_INTX : PCI_IRQ_MSIX;
	model->fn.irq_kind = v->irq;
}

/* The redzones go with the memory. */
static bool attach_anew(void)
{
	bool ok;

	forget_all();
	if (v)
		redzones_off(v->mem.cpu, v->mem.size);
	v = NULL;
	ok = controller_again();
	if (ok)
		attached();
	return ok;
}

static void truth(void)
{
	make_true();
	if (strange)
		ck_assert(attach_anew());
	strange = false;
	model->fn.protocol_errors = model->fn.dma_faults = 0;
}

/* --- the device --- */

static uint32_t device_read(unsigned bar, uint64_t off, unsigned len)
{
	uint8_t what = model->fn.gone ? UINT8_MAX : take8(source);

	if (model->fn.gone || (what >= 0xe0 && what < 0xe8))
		return UINT32_MAX;
	if (what < 0xe0)
		return truth_read(bar, off, len);
	return what < 0xf0 ? 0 : take32(source);
}

/* One more in the used ring, and so many more than that in its index. */
static void put_used(struct vio_ring *q, uint32_t id, uint32_t len, uint16_t more)
{
	uint16_t idx = le16_to_cpu(q->used->idx);

	q->used->ring[idx & (q->size - 1)] = (struct vio_used_elem){cpu_to_le32(id), cpu_to_le32(len)};
	q->used->idx = cpu_to_le16((uint16_t)(idx + 1 + more));
}

static void put_response(struct input *in, uint8_t *slot)
{
	static const uint8_t responses[] = {VIO_S_OK, VIO_S_OK, VIO_S_OK, VIO_S_OVERRUN, VIO_S_ABORTED,
		VIO_S_BAD_TARGET, VIO_S_RESET, VIO_S_BUSY, VIO_S_FAILURE};
	static const uint8_t statuses[] = {0, 2, 2, 8};
	struct vio_cmd_resp *r = (struct vio_cmd_resp *)(slot + VIO_SLOT_RESP);
	uint8_t what = take8(in);

	memset(r, 0, sizeof(*r));
	r->response = choose(in, responses, ARRAY_SIZE(responses));
	if (r->response == VIO_S_OK)
		r->status = choose(in, statuses, ARRAY_SIZE(statuses));
	if (what & 1)
		r->residual = cpu_to_le32(take32(in));
	if (!r->status)
		return;
	r->sense_len = cpu_to_le32(what & 2 ? take32(in) : 18);
	put_sense(in, r->sense, sizeof(r->sense));
}

static void put_event(struct input *in, uint8_t *to)
{
	static const uint8_t events[] = {VIO_T_TRANSPORT_RESET, VIO_T_PARAM_CHANGE, VIO_T_ASYNC_NOTIFY};
	static const uint8_t reasons[] = {VIO_RESET_HARD, VIO_RESET_RESCAN, VIO_RESET_REMOVED, 0x2a};
	static const uint8_t luns[] = {0, 1, 3};
	struct vio_event *ev = (struct vio_event *)to;
	uint8_t what = take8(in), lun = choose(in, luns, ARRAY_SIZE(luns));

	ev->event = cpu_to_le32(choose(in, events, ARRAY_SIZE(events)) | (what & 1 ? VIO_EVENTS_MISSED : 0));
	ev->reason = cpu_to_le32(choose(in, reasons, ARRAY_SIZE(reasons)) | (what & 2 ? 0x900 : 0));
	vio_lun_put(ev->lun, lun == 3 ? 3 : 0, lun == 3 ? 300 : lun);
	if (what & 4)
		take(in, ev->lun, sizeof(ev->lun));
}

static void answer_polled(struct vio *to)
{
	uint32_t slot = vio_polled_slot(to);
	struct vio_ring *q = &to->ring[VIO_Q_REQUEST];
	uint8_t what = take8(source);

	if (what >= 0xf8)
		return;
	if (what & 1)
		put_response(source, vio_slot_mem(to, slot));
	else
		memset(vio_slot_mem(to, slot) + VIO_SLOT_RESP, 0, sizeof(struct vio_cmd_resp));
	if (what & 2)
		take(source, to->data_mem, 40);
	if (what < 0xe0)
		put_used(q, vio_slot_number(to, 0, slot) * to->stride,
			what & 4 ? take32(source) : sizeof(struct vio_cmd_resp), 0);
	else
		put_used(q, take16(source), take32(source), take8(source));
}

static void device_write(unsigned bar, uint64_t off, uint32_t val, unsigned len)
{
	struct vio *now = vio_of(h);

	if (answers && len == 2 && now && now->slot && off == now->ring[VIO_Q_REQUEST].notify &&
		now->slot[vio_polled_slot(now)].at_device) {
		answer_polled(now);
	} else if (off < DOORBELLS) {
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
	if (what & 0x80)
		vary_request(in, r);
	submit_step(r);
}

/* Of what is there. */
static uint32_t some_id(struct input *in, unsigned queue)
{
	uint8_t what = take8(in);

	if (what >= 0xe0)
		return take32(in);
	if (queue == VIO_Q_EVENT)
		return what % v->n_events;
	if (queue == VIO_Q_REQUEST)
		return what & 0x80 ? what % (v->depth + 2) * v->stride : what % REQS * v->stride;
	for (uint32_t i = 0; i < v->n_tmf; i++)
		if (v->tmf[i].at_device && !(what-- & 3))
			return 2 * i;
	return 0;
}

/* What the answer consists of, unless it was never written. */
static void put_answer(struct input *in, unsigned queue, uint32_t id)
{
	static const uint8_t responses[] = {VIO_S_OK, VIO_S_FUNCTION_SUCCEEDED, VIO_S_FUNCTION_REJECTED};

	if (queue == VIO_Q_REQUEST && id / v->stride <= v->depth)
		put_response(in, vio_slot_mem(v, id / v->stride));
	else if (queue == VIO_Q_EVENT && id < v->n_events)
		put_event(in, v->event_mem + (size_t)id * v->event_size);
	else if (queue == VIO_Q_CONTROL && id / 2 < v->n_tmf)
		v->tmf_mem[id / 2 * VIO_TMF_MEM + VIO_TMF_RESP] =
			choose(in, responses, ARRAY_SIZE(responses));
}

/* Right, nearly right, or wild, in any queue. */
static void post(struct input *in)
{
	for (unsigned n = 1 + take8(in) % 4; n; n--) {
		uint8_t what = take8(in);
		unsigned queue = what < 0x80 ? VIO_Q_REQUEST : what & 1 ? VIO_Q_EVENT : VIO_Q_CONTROL;
		uint32_t id = some_id(in, queue);

		if ((what & 0x0c) != 0x0c)
			put_answer(in, queue, id);
		put_used(&v->ring[queue], id, what & 2 ? take32(in) : 0,
			(what & 0x70) == 0x70 ? take16(in) : 0);
	}
}

/* Responses and events, and what the ring says of interrupts. */
static void scribble(struct input *in)
{
	uint8_t what = take8(in);

	if (what < 0xa0)
		take(in, vio_slot_mem(v, MIN(what % REQS, v->depth)) + VIO_SLOT_RESP, 32);
	else if (what < 0xe0)
		take(in, v->event_mem + (size_t)(what % v->n_events) * v->event_size,
			sizeof(struct vio_event));
	else
		v->ring[what % v->n_queues].used->flags = cpu_to_le16(take16(in));
}

/* No ring is believed to hold more than was in it. */
static void poll(struct input *in)
{
	poll_step(in);
	for (unsigned i = 0; i < v->n_queues; i++) {
		const struct vio_ring *q = &v->ring[i];

		ck_assert((uint16_t)(le16_to_cpu(q->used->idx) - q->used_idx) <= q->at_device);
	}
}

/* Whether it is there, and well; and time. */
static void turn(struct input *in)
{
	uint8_t what = take8(in);

	switch (what & 7) {
	case 0:
		model->fn.gone = !model->fn.gone;
		return;
	case 1:
		model->status = take8(in);
		return;
	case 2:
		model->fn.cfg[take8(in)] = take8(in);
		return;
	default:
		time_passes(what * NS_PER_SEC / 16);
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

static void check_areas(void)
{
	for (unsigned t = VIO_CAP_COMMON; t < VIO_N_CAPS; t++) {
		const struct vio_area *area = &v->area[t];
		const struct pci_bar *bar = &h->pci->bar[area->bar % PCI_NUM_BARS];

		ck_assert(area->bar < PCI_NUM_BARS && !bar->is_io && area->length);
		ck_assert((uint64_t)area->offset + area->length <= bar->size);
	}
	for (unsigned i = 0; i < v->n_queues; i++)
		ck_assert(v->ring[i].notify + 2 <= h->pci->bar[v->area[VIO_CAP_NOTIFY].bar].size);
}

/* Nothing comes behind it. */
static void shut_down(struct input *in)
{
	struct err e = {""};

	ck_assert(vio_ops.shutdown(h, &e) == 0 || e.text[0]);
	forget_all();
	in->n = 0;
}

/* From configuration space to the units, and sometimes to the orderly end. Either it is as good as another, or the run is over. */
static void again(struct input *in)
{
	for (unsigned n = take8(in) % 8; n; n--) {
		uint8_t at = take8(in);

		take(in, model->fn.cfg + (at & 0xfc), at & 3 ? at & 3 : 0);
	}
	strange = answers = true;
	if (attach_anew()) {
		check_areas();
		if (take8(in) & 1)
			shut_down(in);
	} else {
		in->n = 0;
		source = NULL;
		truth();
	}
	answers = false;
}

/* --- what is always true --- */

static unsigned count(const struct list *l)
{
	unsigned n = 0;

	list_for_each(pos, l)
		ck_assert_uint_le(++n, REQS);
	return n;
}

/* Each that flies is at one place, the others at none. */
static void check(void)
{
	const struct vio_ring *q = &v->ring[VIO_Q_REQUEST];
	unsigned flying = 0, busy = 0, at_device = 0, waiting = count(&v->lane[0].given_up), waits = 0;
	uint32_t limit = v->config.cmd_per_lun < v->depth ? v->config.cmd_per_lun : 0;

	for (uint32_t tag = 0; tag < MIN(v->depth, REQS); tag++) {
		const struct hba_req *r = &req[tag];

		flying += is_flying(tag);
		ck_assert(!v->slot[tag].at_device || is_flying(tag));
		waits += is_flying(tag) && !v->slot[tag].at_device;
		ck_assert(!v->slot[tag].at_device || list_empty(&r->drv_link));
	}
	for (uint32_t i = 0; i <= v->depth; i++)
		at_device += v->slot[i].at_device;
	for (unsigned i = 0; i < HBA_MAX_UNITS; i++) {
		unsigned here = count(&v->lane[0].wait[i].requests);

		ck_assert_uint_le(v->turn[i].busy, limit);
		ck_assert_uint_eq(v->turn[i].wanted, here > 0);
		ck_assert(!here || v->turn[i].busy == limit);
		busy += v->turn[i].busy;
		waiting += here;
	}
	ck_assert_uint_eq(waiting, waits);
	ck_assert(!limit || busy + waiting == flying);
	ck_assert_uint_eq(q->at_device, at_device);
	ck_assert_uint_le(h->n_units, HBA_MAX_UNITS);
}

const struct target target = {
	.ops = &vio_ops,
	.truth = truth,
	.read = device_read,
	.write = device_write,
	.bring_up = bring_up,
	.forget = forget,
	.rewind = rewind_driver,
	.resume = resume,
	.step = {submit, post, scribble, turn, abort_one, again, reset_step, poll},
	.check = check,
};
