/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Turns: a unit is sent no more commands at once than the device says. LUNs of one unit are all on one lane, but what asks
 * the unit who it is, or flushes it for the last time, goes by the first one: the number of its commands at the device is
 * everybody's, those that wait are their lanes'.
 *
 * As long as a unit has room, and some wait with a lane, that lane is about to look: whoever makes room looks for others that
 * wait, and calls them; whoever begins to wait looks for room after it has said so. Each does the one before the other for
 * all to see (hence the sequentially consistent accesses), so they cannot miss each other. Who has made room lets the others
 * go first, and so does who comes anew; those that were called, when they have looked, call whoever still waits. So nobody
 * waits for ever behind a lane that never runs dry.
 */
#include "vio.h"

/* 0: there can never be too many. */
static uint32_t limit(const struct vio *v)
{
	return v->config.cmd_per_lun < v->depth ? v->config.cmd_per_lun : 0;
}

static uint8_t bit_of(unsigned lane)
{
	return (uint8_t)(1u << lane);
}

/* --- room --- */

static bool take(struct vio *v, struct vio_turn *t)
{
	uint32_t busy = __atomic_load_n(&t->busy, __ATOMIC_SEQ_CST);

	while (busy < limit(v))
		if (__atomic_compare_exchange_n(
			    &t->busy, &busy, busy + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return true;
	return false;
}

static uint8_t others_of(const struct vio_turn *t, unsigned lane)
{
	return __atomic_load_n(&t->wanted, __ATOMIC_SEQ_CST) & (uint8_t)~bit_of(lane);
}

static void call(struct vio *v, unsigned unit, uint8_t lanes)
{
	if (lanes)
		__atomic_fetch_or(&v->turn[unit].called, lanes, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; lanes >> i; i++)
		if (lanes & bit_of(i))
			hba_lane_wake(v->h, i);
}

/* What this lane does not need may be what others wait for. */
static void pass_on(struct vio *v, unsigned lane, unsigned unit)
{
	const struct vio_turn *t = &v->turn[unit];
	uint8_t others = others_of(t, lane);

	if (others && __atomic_load_n(&t->busy, __ATOMIC_SEQ_CST) < limit(v))
		call(v, unit, others);
}

/* --- those that wait --- */

static void begin_to_wait(struct vio *v, unsigned lane, unsigned unit)
{
	list_append(&v->lane[lane].waiting, &v->lane[lane].wait[unit].link);
	__atomic_fetch_or(&v->turn[unit].wanted, bit_of(lane), __ATOMIC_SEQ_CST);
}

/* If that was the last one. */
static void end_to_wait(struct vio *v, unsigned lane, unsigned unit)
{
	struct vio_wait *w = &v->lane[lane].wait[unit];

	if (list_empty(&w->requests) && !list_empty(&w->link)) {
		list_remove(&w->link);
		__atomic_fetch_and(&v->turn[unit].wanted, (uint8_t)~bit_of(lane), __ATOMIC_SEQ_CST);
	}
	pass_on(v, lane, unit);
}

static void look(struct vio *v, unsigned lane, unsigned unit)
{
	struct list *l = &v->lane[lane].wait[unit].requests;

	while (!list_empty(l) && take(v, &v->turn[unit])) {
		struct hba_req *req = list_first(l, struct hba_req, drv_link);

		list_remove(&req->drv_link);
		/* Its time limit is for the unit, not for the wait behind others. */
		hba_req_rearm(req);
		vio_send(v, req);
	}
	end_to_wait(v, lane, unit);
}

void vio_turn_await(struct vio *v, struct hba_req *req)
{
	unsigned lane = req->lane, unit = req->unit->index;
	struct list *l = &v->lane[lane].wait[unit].requests;
	struct vio_turn *t = &v->turn[unit];
	bool first = list_empty(l);

	if (!limit(v) || (first && !others_of(t, lane) && take(v, t))) {
		vio_send(v, req);
		return;
	}
	list_append(l, &req->drv_link);
	if (!first)
		return;
	begin_to_wait(v, lane, unit);
	if (others_of(t, lane))
		pass_on(v, lane, unit);
	else
		look(v, lane, unit);
}

void vio_turn_over(struct vio *v, unsigned lane, unsigned unit)
{
	struct vio_turn *t = &v->turn[unit];
	uint8_t others;

	if (!limit(v))
		return;
	__atomic_fetch_sub(&t->busy, 1, __ATOMIC_SEQ_CST);
	others = others_of(t, lane);
	call(v, unit, others);
	/* In a reset nothing new is sent. */
	if (!others && hba_lane_runs(v->h, lane) && !list_empty(&v->lane[lane].wait[unit].requests))
		look(v, lane, unit);
}

void vio_turns_look(struct vio *v, unsigned lane)
{
	list_for_each_safe(pos, &v->lane[lane].waiting) {
		const struct vio_wait *w = container_of(pos, struct vio_wait, link);
		unsigned unit = (unsigned)(w - v->lane[lane].wait);
		uint8_t *called = &v->turn[unit].called;

		if (!(__atomic_load_n(called, __ATOMIC_SEQ_CST) & bit_of(lane)))
			continue;
		__atomic_fetch_and(called, (uint8_t)~bit_of(lane), __ATOMIC_SEQ_CST);
		look(v, lane, unit);
	}
}

bool vio_turn_give_up(struct vio *v, struct hba_req *req)
{
	struct vio_lane *l = &v->lane[req->lane];

	if (v->slot[req->tag].at_device)
		return false;
	/* From one list to the other; never ended from within the call. */
	list_remove(&req->drv_link);
	list_append(&l->given_up, &req->drv_link);
	end_to_wait(v, req->lane, req->unit->index);
	hba_lane_wake(v->h, req->lane);
	return true;
}

void vio_turns_end_given_up(struct vio *v, unsigned lane)
{
	struct list *l = &v->lane[lane].given_up;
	struct hba_req *req;

	while ((req = list_first(l, struct hba_req, drv_link))) {
		list_remove(&req->drv_link);
		req->result = HBA_ABORTED;
		req->fw_status = VIO_S_ABORTED;
		req->scsi_status = 0;
		req->sense_len = 0;
		req->moved = 0;
		hba_complete(req);
	}
}

/* --- all of it --- */

void vio_turns_init(struct vio *v)
{
	for (unsigned i = 0; i < HBA_MAX_LANES; i++) {
		struct vio_lane *l = &v->lane[i];

		list_init(&l->waiting);
		list_init(&l->given_up);
		for (unsigned u = 0; u < HBA_MAX_UNITS; u++) {
			list_init(&l->wait[u].requests);
			list_init(&l->wait[u].link);
		}
	}
}

void vio_turns_forget(struct vio *v)
{
	for (unsigned i = 0; i < HBA_MAX_LANES; i++) {
		struct vio_lane *l = &v->lane[i];

		list_scatter(&l->given_up);
		list_scatter(&l->waiting);
		for (unsigned u = 0; u < HBA_MAX_UNITS; u++)
			list_scatter(&l->wait[u].requests);
	}
	for (unsigned u = 0; u < HBA_MAX_UNITS; u++) {
		__atomic_store_n(&v->turn[u].busy, 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(&v->turn[u].wanted, 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(&v->turn[u].called, 0, __ATOMIC_SEQ_CST);
	}
}
