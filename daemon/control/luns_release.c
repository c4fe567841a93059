/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Letting go of LUNs: on request, for a new tcmu-runner, when the kernel takes a ring away, and at the end. */
#include <errno.h>
#include <string.h>
#include <glib.h>
#include "base/clock.h"
#include "base/log.h"
#include "luns_private.h"

#define REAP_CALL_MS 1000

static unsigned ms_until(uint64_t deadline_ns)
{
	uint64_t now = clock_ns();

	return now >= deadline_ns ? 0 : (unsigned)((deadline_ns - now) / NS_PER_MS);
}

static void destroy_scsi(void *scsi_lun)
{
	scsi_lun_destroy(scsi_lun);
}

/* On the I/O thread: the last task's completion, which made the LUN idle, may still be running there. */
static void end_scsi(struct luns *l, struct lun *lun)
{
	struct scsi_lun *scsi = lun->scsi;

	lun->scsi = NULL;
	if (l->loop_gone)
		scsi_lun_destroy(scsi);
	else if (loop_call(scsi_lun_loop(scsi), destroy_scsi, scsi, REAP_CALL_MS))
		log_warn("%s: the I/O thread is slow to forget it", lun->device);
}

static void forget(struct lun *lun)
{
	list_remove(&lun->link);
	g_free(lun);
}

void luns_reap(struct luns *l)
{
	list_for_each_safe(pos, &l->all) {
		struct lun *lun = container_of(pos, struct lun, link);

		if (lun->state != LUN_ORPHAN && lun->state != LUN_DROPPED)
			continue;
		if (lun->scsi && !scsi_lun_busy(lun->scsi))
			end_scsi(l, lun);
		if (!lun->scsi && lun->state == LUN_ORPHAN)
			forget(lun);
	}
}

/* Unmaps and closes. Returns the number of commands left at the controller, or -ETIMEDOUT. */
static int end_ring(struct lun *lun, unsigned timeout_ms, struct err *e)
{
	int r = lun->stopped ? 0 : front_stop(lun->ring, timeout_ms);

	if (r < 0)
		return err_set(e, r, "\"%s\" is not let go of: the I/O thread does not answer", lun->device);
	front_destroy(lun->ring);
	lun->ring = NULL;
	if (r)
		log_warn("%s: let go of with %d commands still at the controller", lun->device, r);
	return r;
}

int luns_release(struct luns *l, struct lun *lun, uint64_t deadline_ns, struct err *e)
{
	int r = lun->ring ? end_ring(lun, ms_until(deadline_ns), e) : 0;

	if (r < 0)
		return r;
	log_info("%s: let go of", lun->device);
	lun->state = LUN_ORPHAN;
	lun->owner = NULL;
	luns_reap(l);
	return 0;
}

static bool any_lun(const struct lun *lun, const void *arg)
{
	return true;
}

static bool is_strange(const struct lun *lun, const void *nonce)
{
	return memcmp(lun->nonce, nonce, sizeof(lun->nonce)) != 0;
}

static bool has_owner(const struct lun *lun, const void *owner)
{
	return lun->owner == owner;
}

static bool is_idle(const struct lun *lun, const void *arg)
{
	return lun->state == LUN_PREPARED || lun->state == LUN_HELD;
}

/* luns_release() frees nothing but lun and orphans; start over each time, since any neighbour may be one. */
static struct lun *first_match(
	struct luns *l, bool (*match)(const struct lun *, const void *), const void *arg)
{
	list_for_each(pos, &l->all) {
		struct lun *lun = container_of(pos, struct lun, link);

		if (lun->state != LUN_ORPHAN && match(lun, arg))
			return lun;
	}
	return NULL;
}

static int release_matching(
	struct luns *l, bool (*match)(const struct lun *, const void *), const void *arg, struct err *e)
{
	uint64_t deadline = clock_ns() + LUNS_RELEASE_MS * NS_PER_MS;
	struct lun *lun;

	while ((lun = first_match(l, match, arg))) {
		int r = luns_release(l, lun, deadline, e);

		if (r)
			return r;
	}
	return 0;
}

static void release_or_warn(struct luns *l, bool (*match)(const struct lun *, const void *), const void *arg)
{
	struct err e = {""};

	if (release_matching(l, match, arg, &e))
		log_err("%s", e.text);
}

int luns_release_strangers(struct luns *l, const uint8_t nonce[HANDOFF_NONCE_LEN], struct err *e)
{
	return release_matching(l, is_strange, nonce, e);
}

void luns_release_owner(struct luns *l, const void *owner)
{
	release_or_warn(l, has_owner, owner);
}

void luns_release_idle(struct luns *l)
{
	release_or_warn(l, is_idle, NULL);
}

int luns_release_all(struct luns *l, struct err *e)
{
	return release_matching(l, any_lun, NULL, e);
}

void luns_drop(struct lun *lun, const char *reason)
{
	luns_drop_whole(lun, 0, reason);
}

void luns_drop_whole(struct lun *lun, uint64_t deadline_ns, const char *reason)
{
	struct err e = {""};

	log_err("%s: not served any more: %s", lun->device, reason);
	if (end_ring(lun, ms_until(deadline_ns), &e) < 0) {
		log_err("%s", e.text);
		return;
	}
	lun->state = LUN_DROPPED;
	lun->reason = reason;
	lun->owner = NULL;
}

uint64_t luns_next_dropped(struct luns *l)
{
	uint64_t lowest = 0, next = 0;

	list_for_each(pos, &l->all) {
		const struct lun *lun = container_of(pos, struct lun, link);

		if (lun->state != LUN_DROPPED)
			continue;
		if (!lowest || lun->handle < lowest)
			lowest = lun->handle;
		if (lun->handle > l->told_dropped && (!next || lun->handle < next))
			next = lun->handle;
	}
	l->told_dropped = next ? next : lowest;
	return l->told_dropped;
}

void luns_tick(struct luns *l)
{
	bool answers = true;

	if (l->away)
		return;
	list_for_each(pos, &l->all) {
		struct lun *lun = container_of(pos, struct lun, link);
		const char *reason;

		if (lun->ring && front_dropped(lun->ring, &reason))
			luns_drop(lun, reason);
		/* Whoever waits for a thread that hangs does so for seconds: once for all LUNs. */
		answers = answers && luns_settle(l, lun);
	}
	luns_reap(l);
	luns_start_held(l);
}

static bool drain_one(struct lun *lun, bool gated, uint64_t deadline)
{
	int r = gated ? front_drain(lun->ring, ms_until(deadline)) : 0;
	int left;

	if (r)
		log_warn("%s: its ring is not empty yet; what is left in it is answered with BUSY and comes "
			 "again",
			lun->device);
	left = front_stop(lun->ring, gated ? MIN(ms_until(deadline), LUNS_RELEASE_MS) : ms_until(deadline));
	lun->stopped = left >= 0;
	if (left > 0)
		log_warn("%s: stopped with %d commands still at the controller", lun->device, left);
	return !r && !left;
}

unsigned luns_drain(struct luns *l, bool gated, unsigned timeout_ms)
{
	uint64_t deadline = clock_ns() + timeout_ms * NS_PER_MS;
	unsigned missed = 0;

	list_for_each(pos, &l->all) {
		struct lun *lun = container_of(pos, struct lun, link);

		if (lun->ring && lun->state == LUN_SERVING && !drain_one(lun, gated, deadline))
			missed++;
	}
	return missed;
}
