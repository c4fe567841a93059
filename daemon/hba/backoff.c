/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pauses before resets that come one after the other: a controller that answers a little and faults again would be reset in a
 * tight row without end, which wears it (and what hangs on it) out, fills logs, and serves nobody.
 *
 * A bucket: each reset fills it by one, and each calm_ms of running without one empty it by one. The first two of a row
 * begin at once, the third waits pause_ms, each further one twice as long, up to pause_max_ms. Requests wait meanwhile, as
 * in the reset itself. One that is at the controller and has to end ends the pause: it can only end by the reset.
 */
#include "core.h"

#define AT_ONCE 2

static uint32_t pause_of(const struct hba_times *t, unsigned level)
{
	uint64_t ms = t->pause_ms;

	if (level <= AT_ONCE)
		return 0;
	for (unsigned i = AT_ONCE + 1; i < level && ms < t->pause_max_ms; i++)
		ms *= 2;
	return (uint32_t)MIN(ms, t->pause_max_ms);
}

/* No higher than what it takes for the longest pause, or it would take as long as the storm to empty it. */
static void fill(struct hba *h, uint64_t now)
{
	struct hba_core *c = h->core;
	uint64_t calm = (now - c->reset_ended_ns) / (MAX(c->times.calm_ms, 1u) * NS_PER_MS);

	c->backoff.level -= (unsigned)MIN(calm, c->backoff.level);
	if (pause_of(&c->times, c->backoff.level) < c->times.pause_max_ms)
		c->backoff.level++;
}

static bool hastened(const struct hba_core *c)
{
	return __atomic_load_n(&c->backoff.hastened, __ATOMIC_RELAXED);
}

uint32_t backoff_begin(struct hba *h)
{
	struct hba_core *c = h->core;
	uint64_t now = loop_now(h->loop);
	uint32_t ms;

	fill(h, now);
	ms = pause_of(&c->times, c->backoff.level);
	/* One that is to be given up is not waited for. */
	if (!ms || hastened(c) ||
		__atomic_load_n(&c->barren_resets, __ATOMIC_RELAXED) >= HBA_MAX_BARREN_RESETS)
		return 0;
	stat_inc(&c->lane[0].stats.pauses);
	c->backoff.until_ns = now + ms * NS_PER_MS;
	__atomic_store_n(&c->backoff.cut, false, __ATOMIC_RELAXED);
	__atomic_store_n(&c->backoff.pausing, true, __ATOMIC_RELAXED);
	return ms;
}

void backoff_end(struct hba *h)
{
	__atomic_store_n(&h->core->backoff.pausing, false, __ATOMIC_RELAXED);
}

static bool is_pausing(const struct hba_core *c)
{
	return __atomic_load_n(&c->backoff.pausing, __ATOMIC_RELAXED);
}

bool backoff_holds(struct hba *h, uint64_t now_ns, uint64_t *ret_next_ns)
{
	struct hba_core *c = h->core;

	if (!is_pausing(c))
		return false;
	if (now_ns < c->backoff.until_ns && !hastened(c) &&
		!__atomic_load_n(&c->backoff.cut, __ATOMIC_RELAXED)) {
		*ret_next_ns = MIN(c->backoff.until_ns, now_ns + c->times.tick_ms * NS_PER_MS);
		return true;
	}
	backoff_end(h);
	return false;
}

/* What is at the controller is there until the reset. */
static bool has_to_end(struct hba_lane *l, struct hba_req *req)
{
	if (!req->doom && loop_now(l->loop) >= request_deadline(req)) {
		stat_inc(&l->stats.timeouts);
		request_doom(req, HBA_TIMEOUT, loop_now(l->loop));
	}
	return req->doom;
}

void backoff_look(struct hba_lane *l)
{
	struct hba_core *c = l->h->core;

	if (!is_pausing(c) || l->state != HBA_RESETTING)
		return;
	list_for_each(pos, &l->flight)
		if (has_to_end(l, container_of(pos, struct hba_req, link)))
			__atomic_store_n(&c->backoff.cut, true, __ATOMIC_RELAXED);
	/* What came since the fault has never been there. */
	list_for_each_safe(pos, &l->held) {
		struct hba_req *req = container_of(pos, struct hba_req, link);

		if (loop_now(l->loop) < request_deadline(req))
			continue;
		stat_inc(&l->stats.timeouts);
		request_end_later(req, HBA_TIMEOUT);
	}
}

void hba_hasten(struct hba *h)
{
	__atomic_store_n(&h->core->backoff.hastened, true, __ATOMIC_RELAXED);
}
