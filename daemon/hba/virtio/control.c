/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Control queue: task management [5.6.6.2]. Event queue: what the device tells by itself [5.6.6.3]. */
#include "vio.h"

#include <errno.h>
#include <string.h>

#define TMF_DESCS     2 /* of each: request, response */
#define ASC_CAPACITY  0x2a
#define ASCQ_CAPACITY 0x09

/* --- task management --- */

/* There are few of them, and all lanes have these. Acquire and release: what the last owner wrote is over. */
static struct vio_tmf *take(struct vio *v, unsigned lane)
{
	for (uint32_t i = 0; i < v->n_tmf; i++) {
		uint8_t nobody = 0;

		if (__atomic_compare_exchange_n(&v->tmf[i].owner, &nobody, (uint8_t)(lane + 1), false,
			    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return &v->tmf[i];
	}
	return NULL;
}

static void release(const struct vio *v, struct vio_tmf *t)
{
	__atomic_store_n(&t->owner, 0, __ATOMIC_RELEASE);
	hba_abort_room(v->h);
}

static unsigned owner_of(const struct vio_tmf *t)
{
	return __atomic_load_n(&t->owner, __ATOMIC_RELAXED);
}

static void fire(struct vio *v, struct vio_tmf *t)
{
	struct vio_ring *q = &v->ring[VIO_Q_CONTROL];
	uint32_t n = (uint32_t)(t - v->tmf);
	uint8_t *mem = v->tmf_mem + n * VIO_TMF_MEM;
	struct vio_tmf_req *to = (struct vio_tmf_req *)mem;
	const struct vio_addr *a = &v->addr[t->unit];
	le64_t id = cpu_to_le64((uint64_t)t->generation << 32 | t->tag);
	uint16_t head = (uint16_t)(n * TMF_DESCS);

	to->type = cpu_to_le32(VIO_T_TMF);
	to->subtype = cpu_to_le32(t->lun_reset ? VIO_TMF_LOGICAL_UNIT_RESET : VIO_TMF_ABORT_TASK);
	vio_lun_put(to->lun, a->target, a->lun);
	memcpy(to->id, &id, sizeof(id));
	mem[VIO_TMF_RESP] = VIO_S_UNWRITTEN;
	vio_desc_put(&q->desc[head], vio_iova(v, mem), sizeof(*to), VIO_DESC_NEXT, (uint16_t)(head + 1));
	vio_desc_put(&q->desc[head + 1], vio_iova(v, mem + VIO_TMF_RESP), 1, VIO_DESC_WRITE, 0);
	t->at_device = true;
	vio_ring_offer(q, head);
	vio_kick(v, q);
}

/* First lane. Whoever had a lane halted has asked for it before, so that this comes first; but the first lane itself may
 * have stopped. Then the reset, or the end, is what the command meets. */
static void on_fire(struct loop_msg *m)
{
	struct vio_tmf *t = container_of(m, struct vio_tmf, msg);

	if (hba_lane_runs(t->v->h, 0))
		fire(t->v, t);
	else
		release(t->v, t);
}

/* Owner's thread. */
static void send(struct vio *v, struct vio_tmf *t)
{
	if (owner_of(t) == 1) {
		fire(v, t);
		return;
	}
	t->v = v;
	t->msg.cb = on_fire;
	loop_post(v->h->loop, &t->msg);
}

/* What counts is the command's own answer, whatever the device says to this. If that comes first, the abort names nobody:
 * an identifier is not used again. */
int vio_abort(struct hba *h, struct hba_req *req)
{
	struct vio *v = vio_of(h);
	struct vio_tmf *t;

	if (vio_turn_give_up(v, req))
		return 0;
	t = take(v, req->lane);
	if (!t)
		return -EAGAIN;
	t->answered = t->refused = t->lun_reset = false;
	t->unit = req->unit->index;
	t->tag = req->tag;
	t->generation = req->generation;
	send(v, t);
	return 0;
}

/* The command that it was for, if that is still at the device and to be ended. */
static struct hba_req *victim(struct vio *v, const struct vio_tmf *t)
{
	struct hba_req *req = hba_req_by_tag(v->h, t->tag);

	return req && req->generation == t->generation && req->doom ? req : NULL;
}

static void settle(struct vio *v, struct vio_tmf *t, unsigned lane)
{
	struct hba_req *req = t->refused ? victim(v, t) : NULL;

	t->answered = false;
	if (!req) {
		release(v, t);
		return;
	}
	if (log_limit_ok(&v->lane[lane].unit_limit, 5, 60 * NS_PER_SEC))
		log_warn("%s: %s: the device does not abort request %u; resetting the unit", v->h->pci->uri,
			req->unit->name, req->tag);
	__atomic_store_n(&v->addr[t->unit].expect_ua, true, __ATOMIC_RELAXED);
	t->lun_reset = true;
	t->refused = false;
	send(v, t);
}

void vio_tmfs_settle(struct vio *v, unsigned lane)
{
	for (uint32_t i = 0; i < v->n_tmf; i++)
		if (owner_of(&v->tmf[i]) == lane + 1 && v->tmf[i].answered)
			settle(v, &v->tmf[i], lane);
}

/* Owner's thread, which is not the first one. Messages come in the order in which they were sent, so one that runs again
 * after a reset has had those of before. */
static void on_answered(struct loop_msg *m)
{
	struct vio_tmf *t = container_of(m, struct vio_tmf, msg);
	struct vio *v = t->v;
	unsigned lane = owner_of(t) - 1;

	if (!hba_lane_runs(v->h, lane)) {
		release(v, t);
		return;
	}
	t->answered = true;
	/* The command's own answer first, if there is one. */
	if (vio_poll_lane(v->h, lane) < 0) {
		release(v, t);
		hba_lane_fault(v->h, lane, "the device misbehaved");
	}
}

static void tmf_answered(struct vio *v, struct vio_tmf *t)
{
	uint32_t n = (uint32_t)(t - v->tmf);
	uint8_t response = __atomic_load_n(v->tmf_mem + n * VIO_TMF_MEM + VIO_TMF_RESP, __ATOMIC_RELAXED);

	log_debug("%s: task management %u of request %u: %u", v->h->pci->uri, t->lun_reset, t->tag, response);
	t->at_device = false;
	t->refused = !t->lun_reset && response != VIO_S_OK && response != VIO_S_FUNCTION_SUCCEEDED;
	if (owner_of(t) == 1) {
		t->answered = true;
		return;
	}
	t->msg.cb = on_answered;
	loop_post(hba_lane_loop(v->h, owner_of(t) - 1), &t->msg);
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

/* Those that are on their way to or from another lane's thread are released there: it is halted. */
void vio_tmfs_forget(struct vio *v)
{
	for (uint32_t i = 0; i < VIO_N_TMF; i++) {
		struct vio_tmf *t = &v->tmf[i];
		bool ours = t->at_device || (owner_of(t) == 1 && t->answered);

		if (!ours)
			continue;
		t->at_device = t->answered = false;
		release(v, t);
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

/* Others may look. */
static void count(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
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
	/* One that goes was there, and one that comes was away, even if the event that said so was missed. */
	if (!there)
		hba_unit_listed(u, true);
	hba_unit_listed(u, false);
	if (there)
		hba_unit_listed(u, true);
	/* Alone of all fields these may change while others look. */
	__atomic_store_n(&u->state, there ? HBA_UNIT_OPTIMAL : HBA_UNIT_OFFLINE, __ATOMIC_RELAXED);
}

void vio_unit_answers(struct hba *h, struct hba_unit *u)
{
	struct vio *v = vio_of(h);

	v->doubt_looks = 0;
	set_there(u, true);
	hba_units_changed(h);
	if (log_limit_ok(&v->event_limit, 20, 60 * NS_PER_SEC))
		log_info("%s: %s is back: it answers, though no event said so", h->pci->uri, u->name);
}

void vio_units_doubt(struct vio *v)
{
	v->doubt = true;
	vio_doubt_look(v);
}

void vio_doubt_look(struct vio *v)
{
	const struct hba *h = v->h;
	bool any = false;

	if (!v->doubt)
		return;
	for (unsigned i = 0; i < h->n_units; i++)
		any |= __atomic_load_n(&h->unit[i].state, __ATOMIC_RELAXED) == HBA_UNIT_OFFLINE;
	/* Ever more seldom: one that hangs when it is asked costs a reset, and that is the next doubt. */
	if (any && !log_limit_ok(&v->doubt_limit, 2, (600 * NS_PER_SEC) << MIN(v->doubt_looks / 2, 8u)))
		return;
	v->doubt_looks += any;
	v->doubt = false;
	if (any)
		hba_units_changed(v->h);
}

/* What a reset event says; NULL: nothing that is known. */
static const char *on_transport_reset(struct vio *v, struct hba_unit *u, uint32_t reason)
{
	switch (reason) {
	case VIO_RESET_HARD:
		count(&v->events.hard);
		return "was reset";
	case VIO_RESET_RESCAN:
		count(&v->events.rescan);
		v->doubt_looks = 0;
		set_there(u, true);
		return u ? "is back" : "is new: it can be used after the instance was restarted";
	case VIO_RESET_REMOVED:
		count(&v->events.removed);
		set_there(u, false);
		return "was removed";
	}
	return NULL;
}

/* ASC in bits 0 to 7, ASCQ in 8 to 15 */
static const char *on_param_change(struct vio *v, uint32_t reason)
{
	count(&v->events.changed);
	if (reason != (ASC_CAPACITY | ASCQ_CAPACITY << 8))
		return "has changed its parameters";
	count(&v->events.capacity);
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
	if (missed) {
		count(&v->events.missed);
		vio_units_doubt(v);
	}
	if (!what && !missed)
		count(&v->events.other);
	if (!log_limit_ok(&v->event_limit, 20, 60 * NS_PER_SEC))
		return;
	if (what)
		log_info("%s: t%ul%u %s", v->h->pci->uri, target, lun, what);
	if (missed)
		log_warn("%s: events of the device were lost: units may have come, gone or changed; \"hbactl "
			 "rescan\" looks at those that are known",
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
