/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When things go wrong: deadline -> abort -> (10 s) -> controller reset -> re-issue; and the end, when the
 * reset does not help or the device is gone. A request at the hardware is given up only when it provably
 * cannot run any more: firmware answered it, the controller was reset, or bus mastering is off. The exception
 * is a reset of the function without an end: then nothing that the device may reach is given back.
 */
#include "base/clock.h"
#include "core.h"

#include <errno.h>

void recover_poll(struct hba_lane *l)
{
	const struct hba_ops *ops = l->h->ops;
	int r = l->n ? ops->poll_lane(l->h, l->n) : ops->poll(l->h);

	if (r == -ENODEV)
		lane_trouble(l, r, "its registers read all ones");
	else if (r < 0)
		lane_trouble(l, r, "firmware misbehaved");
}

/* --- deadlines --- */

/* A stop's flush of firmware's cache is not cut short by a reset for the sake of anybody else; but it may be that one which it
 * waits for. So long as there is time for a reset and for the flush to be sent again, and no longer. */
static bool may_cost_a_reset(const struct hba_req *req)
{
	const struct hba_times *t = &req->hba->core->times;

	return !__atomic_load_n(&req->hba->core->cache_flushes, __ATOMIC_RELAXED) || run_flushes_cache(req) ||
	       clock_ns() + t->again_ms * NS_PER_MS >= last_flush_until(req->hba);
}

void recover_try_abort(struct hba_req *req)
{
	int r = req->hba->ops->abort(req->hba, req);
	bool costs_a_reset = r == -EOPNOTSUPP && req->doom == HBA_TIMEOUT;

	if (r == -EAGAIN)
		__atomic_store_n(&lane_of(req)->abort_wanted, true, __ATOMIC_RELAXED);
	/* The next tick tries again, and each turn of the lane: an answer to another abort makes room. */
	if (r == -EAGAIN || (costs_a_reset && !may_cost_a_reset(req)))
		return;
	/* When it cannot be aborted, waiting is all that is left. */
	if (req->state == REQ_FLIGHT)
		req->state = REQ_ABORTING;
	if (costs_a_reset)
		lane_trouble(lane_of(req), -EIO, "a request timed out and cannot be aborted");
}

/* A drive that hangs has more commands than a driver has places for aborts: by ticks alone the last of them would be asked
 * for so late that the reset came first, which all units suffer from. */
void recover_abort_more(struct hba_lane *l)
{
	__atomic_store_n(&l->abort_wanted, false, __ATOMIC_RELAXED);
	/* The oldest first, as the list is: what hangs is at its head, also where others come and go. Asking ends none of them. */
	list_for_each(pos, &l->flight) {
		struct hba_req *req = container_of(pos, struct hba_req, link);

		if (l->abort_wanted || l->state != HBA_RUNNING)
			return;
		if (req->doom && req->state == REQ_FLIGHT)
			recover_try_abort(req);
	}
}

static void expire(struct hba_req *req)
{
	struct hba_lane *l = lane_of(req);

	stat_inc(&l->stats.timeouts);
	if (log_limit_ok(&l->timeout_limit, 10, 60 * NS_PER_SEC))
		log_warn("%s: %s: no answer within %u ms (kind %d, CDB %02x), aborting", l->h->pci->uri,
			req->unit->name, req->timeout_ms, (int)req->kind, req->cdb[0]);
	request_doom(req, HBA_TIMEOUT, loop_now(l->loop) + l->h->core->times.abort_ms * NS_PER_MS);
	recover_try_abort(req);
}

static void check_deadline(struct hba_req *req)
{
	struct hba_lane *l = lane_of(req);
	bool due = loop_now(l->loop) >= request_deadline(req);

	if (due && !req->doom)
		expire(req);
	else if (due && may_cost_a_reset(req))
		lane_trouble(l, -EIO, "an aborted request did not come back");
	else if (req->doom && req->state == REQ_FLIGHT)
		recover_try_abort(req);
}

/* By tag, not along the list: done() of one may change the list in any way. */
static void look_at_deadlines(struct hba_lane *l)
{
	for (uint32_t i = 0; i < l->tags.n && l->state == HBA_RUNNING; i++) {
		struct hba_req *req = hba_req_by_tag(l->h, l->first_tag + i);

		if (req)
			check_deadline(req);
	}
}

static void on_look(struct loop_msg *m)
{
	struct hba_lane *l = container_of(m, struct hba_lane, look);

	l->looking = false;
	look_at_deadlines(l);
}

/* The first lane: what it finds now, and what it has found, comes to the other one before the look does. */
static void before_look(struct loop_msg *m)
{
	struct hba_lane *l = container_of(m, struct hba_lane, look), *first = &l->h->core->lane[0];

	if (first->state == HBA_RUNNING)
		recover_poll(first);
	m->cb = on_look;
	loop_post(l->loop, m);
}

void recover_tick(struct loop_timer *t)
{
	struct hba_lane *l = container_of(t, struct hba_lane, tick);
	struct hba *h = l->h;

	loop_arm(l->loop, t, loop_now(l->loop) + h->core->times.tick_ms * NS_PER_MS);
	backoff_look(l);
	/* Replies first: after a stall of this thread deadlines are over that firmware has met. */
	if (l->state == HBA_RUNNING)
		recover_poll(l);
	if (!l->n) {
		look_at_deadlines(l);
		return;
	}
	/* Many of this lane's replies are found by the first one, which may have been held up, too. One that does not come
	 * round at all is noticed by those who watch its heartbeat. */
	if (l->looking)
		return;
	l->looking = true;
	l->look.cb = before_look;
	loop_post(h->loop, &l->look);
}

/* --- reset --- */

void hba_fault(struct hba *h, const char *why)
{
	struct hba_core *c = h->core;
	uint32_t pause;

	if (c->state != HBA_RUNNING)
		return;
	if (loop_now(h->loop) - c->reset_ended_ns > HBA_BARREN_NS)
		__atomic_store_n(&c->barren_resets, 0, __ATOMIC_RELAXED);
	pause = backoff_begin(h);
	if (pause)
		log_warn("%s: %s; it was reset shortly before: it is reset again in %u ms at most, %u "
			 "requests wait",
			h->pci->uri, why, pause, hba_inflight(h));
	else
		log_warn("%s: %s; resetting the controller, %u requests wait", h->pci->uri, why,
			hba_inflight(h));
	stat_inc(&c->lane[0].stats.resets);
	c->reset_phase = 0;
	hba_set_state(h, HBA_RESETTING);
	lanes_halt(h);
}

/* Sorts what was at the hardware: re-issue or end. */
static void judge(struct hba_req *req)
{
	if (req->doom) {
		request_end_later(req, req->doom);
	} else if (req->no_reissue) {
		request_end_later(req, HBA_ABORTED);
	} else if (req->reissues >= HBA_MAX_REISSUES) {
		request_end_later(req, HBA_TIMEOUT);
	} else {
		req->reissues++;
		stat_inc(&lane_of(req)->stats.reissues);
		req->state = REQ_HELD;
	}
}

void recover_resume(struct hba_lane *l)
{
	struct list again;
	struct hba_req *req;

	list_init(&again);
	list_for_each_safe(pos, &l->flight)
		judge(container_of(pos, struct hba_req, link));
	list_splice(&again, &l->flight);
	list_splice(&again, &l->held);
	while ((req = list_first(&again, struct hba_req, link))) {
		list_remove(&req->link);
		request_issue(req);
	}
}

static void resume(struct hba *h)
{
	log_info("%s: controller runs again", h->pci->uri);
	h->core->reset_ended_ns = loop_now(h->loop);
	hba_set_state(h, HBA_RUNNING);
	/* First: whatever the first one's requests bring about comes behind it. */
	lanes_go(h, HBA_RUNNING);
	recover_resume(&h->core->lane[0]);
}

/* In the pause before a reset nobody looks at the device otherwise. */
static bool is_put_off(struct hba *h, uint64_t now)
{
	uint64_t next;

	if (!backoff_holds(h, now, &next))
		return false;
	if (pci_is_gone(h->pci))
		recover_give_up(h, HBA_REMOVED, "its registers read all ones");
	else
		loop_arm(h->loop, &h->core->reset, next);
	return true;
}

static void on_reset(struct loop_timer *t)
{
	struct hba_core *c = container_of(t, struct hba_core, reset);
	struct hba *h = c->h;
	uint64_t now = loop_now(h->loop), next = now;
	int r;

	if (__atomic_load_n(&c->quieting, __ATOMIC_RELAXED)) {
		recover_halted(h);
		return;
	}
	if (c->reset_phase == 0 && is_put_off(h, now))
		return;
	if (c->reset_phase == 0 &&
		__atomic_add_fetch(&c->barren_resets, 1, __ATOMIC_RELAXED) > HBA_MAX_BARREN_RESETS) {
		recover_give_up(h, HBA_FAILED, "several resets in a row brought no answer");
		return;
	}
	r = h->ops->reset_step(h, &c->reset_phase, now, &next);
	if (r > 0)
		loop_arm(h->loop, t, MAX(next, now + 1));
	else if (r == 0)
		resume(h);
	else if (r == -ENODEV)
		recover_give_up(h, HBA_REMOVED, "its registers read all ones");
	else
		recover_give_up(h, HBA_FAILED, "the reset failed");
}

/* --- the end --- */

static void end_all(struct list *l)
{
	list_for_each_safe(pos, l)
		request_end_later(container_of(pos, struct hba_req, link), HBA_GONE);
}

void recover_end_all(struct hba_lane *l)
{
	loop_disarm(&l->tick);
	loop_del_fd(l->loop, &l->irq);
	end_all(&l->flight);
	end_all(&l->held);
}

void recover_give_up(struct hba *h, enum hba_state state, const char *why)
{
	struct hba_core *c = h->core;

	if (c->state != HBA_RUNNING && c->state != HBA_RESETTING)
		return;
	log_err("%s: controller %s: %s", h->pci->uri, state == HBA_REMOVED ? "is gone" : "has failed", why);
	hba_set_state(h, state);
	backoff_end(h);
	loop_disarm(&c->reset);
	loop_disarm(&c->lane[0].tick);
	/* The descriptors stay readable for ever; nothing that they could tell matters now. */
	loop_del_fd(h->loop, &c->lane[0].irq);
	loop_del_fd(h->loop, &c->request);
	lanes_halt(h);
}

void recover_halted(struct hba *h)
{
	struct hba_core *c = h->core;
	bool again;

	if (c->state == HBA_RESETTING) {
		/* From a timer, because the caller may be in the middle of the reply queue. */
		loop_arm(h->loop, &c->reset, 0);
		return;
	}
	/* Quiet before anybody learns of it: buffers are reused as soon as done() was called. When a reset has no end they are
	 * not: this controller takes no more requests, and keeps its memory. */
	again = hba_try_quiet(h) == -EAGAIN;
	__atomic_store_n(&c->quieting, again, __ATOMIC_RELAXED);
	if (again) {
		loop_arm(h->loop, &c->reset, loop_now(h->loop) + QUIET_LOOK_MS * NS_PER_MS);
		return;
	}
	recover_end_all(&c->lane[0]);
	lanes_go(h, c->state);
}

static void on_request(struct loop_fd *f, uint32_t events)
{
	struct hba_core *c = container_of(f, struct hba_core, request);

	recover_give_up(c->h, HBA_REMOVED, "it is being taken away");
}

void recover_init(struct hba *h)
{
	struct hba_core *c = h->core;

	c->reset.cb = on_reset;
	c->request.fd = h->pci->request_fd;
	c->request.cb = on_request;
}
