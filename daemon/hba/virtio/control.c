/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Control queue: task management [5.6.6.2]. Event queue: what the device tells by itself [5.6.6.3]. */
#include "vio.h"

#include <errno.h>
#include <string.h>

#define TMF_DESCS     2 /* of each: request, response */
#define ASC_CAPACITY  0x2a
#define ASCQ_CAPACITY 0x09

/* --- task management --- */

static struct vio_tmf *tmf_free(struct vio *v)
{
	for (uint32_t i = 0; i < v->n_tmf; i++)
		if (!v->tmf[i].at_device && !v->tmf[i].refused)
			return &v->tmf[i];
	return NULL;
}

static void tmf_fire(struct vio *v, struct vio_tmf *t, enum vio_tmf_type type, const struct hba_req *req)
{
	struct vio_ring *q = &v->ring[VIO_Q_CONTROL];
	uint32_t n = (uint32_t)(t - v->tmf);
	uint8_t *mem = v->tmf_mem + n * VIO_TMF_MEM;
	struct vio_tmf_req *to = (struct vio_tmf_req *)mem;
	const struct vio_addr *a = &v->addr[req->unit->index];
	le64_t id = cpu_to_le64((uint64_t)req->generation << 32 | req->tag);
	uint16_t head = (uint16_t)(n * TMF_DESCS);

	to->type = cpu_to_le32(VIO_T_TMF);
	to->subtype = cpu_to_le32(type);
	vio_lun_put(to->lun, a->target, a->lun);
	memcpy(to->id, &id, sizeof(id));
	mem[VIO_TMF_RESP] = VIO_S_UNWRITTEN;
	vio_desc_put(&q->desc[head], vio_iova(v, mem), sizeof(*to), VIO_DESC_NEXT, (uint16_t)(head + 1));
	vio_desc_put(&q->desc[head + 1], vio_iova(v, mem + VIO_TMF_RESP), 1, VIO_DESC_WRITE, 0);
	*t = (struct vio_tmf){
		.at_device = true,
		.lun_reset = type == VIO_TMF_LOGICAL_UNIT_RESET,
		.tag = req->tag,
		.generation = req->generation,
	};
	vio_ring_offer(q, head);
	vio_kick(v, q);
}

/* What counts is the command's own answer, whatever the device says to this. */
int vio_abort(struct hba *h, struct hba_req *req)
{
	struct vio *v = vio_of(h);
	struct vio_tmf *t = tmf_free(v);

	if (vio_give_up_waiting(v, req))
		return 0;
	if (!t)
		return -EAGAIN;
	tmf_fire(v, t, VIO_TMF_ABORT_TASK, req);
	return 0;
}

/* The command that it was for, if that is still at the device and to be ended. */
static struct hba_req *victim(struct vio *v, const struct vio_tmf *t)
{
	struct hba_req *req = hba_req_by_tag(v->h, t->tag);

	return req && req->generation == t->generation && req->doom ? req : NULL;
}

static void tmf_answered(struct vio *v, struct vio_tmf *t)
{
	uint32_t n = (uint32_t)(t - v->tmf);
	uint8_t response = __atomic_load_n(v->tmf_mem + n * VIO_TMF_MEM + VIO_TMF_RESP, __ATOMIC_RELAXED);

	log_debug("%s: task management %u of request %u: %u", v->h->pci->uri, t->lun_reset, t->tag, response);
	t->at_device = false;
	t->refused = !t->lun_reset && response != VIO_S_OK && response != VIO_S_FUNCTION_SUCCEEDED;
}

int vio_drain_control(struct vio *v)
{
	uint32_t id = 0, len = 0;
	int r;

	while ((r = vio_ring_take(&v->ring[VIO_Q_CONTROL], &id, &len)) > 0) {
		if (id % TMF_DESCS || id / TMF_DESCS >= v->n_tmf || !v->tmf[id / TMF_DESCS].at_device)
			return -EIO;
		tmf_answered(v, &v->tmf[id / TMF_DESCS]);
	}
	return r;
}

void vio_escalate(struct vio *v)
{
	for (uint32_t i = 0; i < v->n_tmf; i++) {
		struct vio_tmf *t = &v->tmf[i];
		struct hba_req *req = t->refused ? victim(v, t) : NULL;

		t->refused = false;
		if (!req)
			continue;
		log_warn("%s: %s: the device does not abort request %u; resetting the unit", v->h->pci->uri,
			req->unit->name, req->tag);
		v->addr[req->unit->index].expect_ua = true;
		tmf_fire(v, t, VIO_TMF_LOGICAL_UNIT_RESET, req);
	}
}

/* --- events --- */

static uint8_t *event_mem(const struct vio *v, uint32_t n)
{
	return v->event_mem + (size_t)n * v->event_size;
}

static void event_post(struct vio *v, uint32_t n)
{
	struct vio_ring *q = &v->ring[VIO_Q_EVENT];

	memset(event_mem(v, n), 0, v->event_size);
	vio_desc_put(&q->desc[n], vio_iova(v, event_mem(v, n)), v->event_size, VIO_DESC_WRITE, 0);
	v->event_posted[n] = true;
	vio_ring_offer(q, (uint16_t)n);
}

void vio_events_post(struct vio *v)
{
	for (uint32_t n = 0; n < v->n_events; n++)
		if (!v->event_posted[n])
			event_post(v, n);
}

static struct hba_unit *unit_at(struct vio *v, uint8_t target, uint16_t lun)
{
	struct hba *h = v->h;

	for (unsigned i = 0; i < h->n_units; i++)
		if (v->addr[i].target == target && v->addr[i].lun == lun)
			return &h->unit[i];
	return NULL;
}

static void set_there(struct hba_unit *u, bool there)
{
	if (!u)
		return;
	/* One that comes was away, even if the event that said so was missed. */
	hba_unit_listed(u, false);
	if (there)
		hba_unit_listed(u, true);
	/* Alone of all fields these may change while others look. */
	__atomic_store_n(&u->state, there ? HBA_UNIT_OPTIMAL : HBA_UNIT_OFFLINE, __ATOMIC_RELAXED);
}

/* What a reset event says; NULL: nothing that is known. */
static const char *on_transport_reset(struct vio *v, struct hba_unit *u, uint32_t reason)
{
	switch (reason) {
	case VIO_RESET_HARD:
		v->events.hard++;
		return "was reset";
	case VIO_RESET_RESCAN:
		v->events.rescan++;
		set_there(u, true);
		return u ? "is back" : "is new: it can be used after the instance was restarted";
	case VIO_RESET_REMOVED:
		v->events.removed++;
		set_there(u, false);
		return "was removed";
	}
	return NULL;
}

/* ASC in bits 0 to 7, ASCQ in 8 to 15 */
static const char *on_param_change(struct vio *v, uint32_t reason)
{
	v->events.changed++;
	if (reason != (ASC_CAPACITY | ASCQ_CAPACITY << 8))
		return "has changed its parameters";
	v->events.capacity++;
	return "has changed its capacity: \"hbactl rescan\" takes it over";
}

static void on_event(struct vio *v, const struct vio_event *ev)
{
	uint32_t event = le32_to_cpu(ev->event), reason = le32_to_cpu(ev->reason);
	bool missed = event & VIO_EVENTS_MISSED, known;
	uint8_t target = 0;
	uint16_t lun = 0;
	const char *what = NULL;
	struct hba_unit *u;

	event &= ~VIO_EVENTS_MISSED;
	known = vio_lun_get(ev->lun, &target, &lun);
	u = known ? unit_at(v, target, lun) : NULL;
	if (event == VIO_T_TRANSPORT_RESET && known)
		what = on_transport_reset(v, u, reason);
	else if (event == VIO_T_PARAM_CHANGE && known)
		what = on_param_change(v, reason);
	if (what)
		hba_units_changed(v->h);
	if (missed)
		v->events.missed++;
	if (!what && !missed)
		v->events.other++;
	if (!log_limit_ok(&v->event_limit, 20, 60 * NS_PER_SEC))
		return;
	if (what)
		log_info("%s: t%ul%u %s", v->h->pci->uri, target, lun, what);
	if (missed)
		log_warn("%s: events of the device were lost: \"hbactl rescan\" looks at its units",
			v->h->pci->uri);
	else if (!what)
		log_info("%s: event %u with reason %xh, which means nothing here", v->h->pci->uri, event,
			reason);
}

int vio_drain_events(struct vio *v)
{
	struct vio_ring *q = &v->ring[VIO_Q_EVENT];
	uint32_t id = 0, len = 0, budget = v->n_events;
	int r;

	while (budget-- && (r = vio_ring_take(q, &id, &len)) != 0) {
		struct vio_event ev;

		if (r < 0 || id >= v->n_events || !v->event_posted[id])
			return -EIO;
		memcpy(&ev, event_mem(v, id), sizeof(ev));
		v->event_posted[id] = false;
		on_event(v, &ev);
		event_post(v, id);
	}
	return 0;
}
