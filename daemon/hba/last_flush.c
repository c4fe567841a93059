/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a stop asks the units themselves. The firmware's own flush covers what is behind the controller's cache; drives that it
 * passes commands through to have caches of their own, and nothing says that it flushes those. All are asked at once, so that
 * one that does not answer costs its own time only. Where there are such drives the controller's cache is flushed beside them,
 * and not only by the shutdown behind them: one that hangs may take all the time, and a reset of the controller, with it.
 */
#include "core.h"

#include <errno.h>

#include "sense.h"

#define AGAIN_MS 100 /* after answers that say nothing of the cache */

/* SAM-5 5.3.1 */
#define STATUS_GOOD	     0x00
#define STATUS_BUSY	     0x08
#define STATUS_TASK_SET_FULL 0x28

/* SPC-4 annex D */
#define ASC_NOT_READY	       0x04
#define ASCQ_BECOMING_READY    0x01
#define ASCQ_START_REQUIRED    0x02
#define ASC_INVALID_OPCODE     0x20
#define ASC_RESET_OCCURRED     0x29
#define ASCQ_POWER_ON_OR_RESET 0x00

enum answer { FLUSHED, NO_ANSWER_YET, FAILED, STOPPED, NOT_THERE };

static bool we_reset_something(const struct hba *h)
{
	struct hba_stats s;

	hba_get_stats(h, &s);
	return s.resets;
}

/* Whether its cache may have been without power since the flush before. A deferred error is of a write before. */
static bool tells_of_loss(const struct hba_req *t)
{
	/* Drives that tell of any reset by one code do so after the controller's, too, which takes no power. */
	return hba_sense_is_deferred(t) || hba_sense_is_outage(t) ||
	       (hba_sense_is_exactly(
			t, SENSE_KEY_UNIT_ATTENTION, ASC_RESET_OCCURRED, ASCQ_POWER_ON_OR_RESET) &&
		       !we_reset_something(t->hba));
}

static bool may_change(const struct hba_req *t)
{
	return t->scsi_status == STATUS_BUSY || t->scsi_status == STATUS_TASK_SET_FULL ||
	       hba_sense_key_is(t, SENSE_KEY_UNIT_ATTENTION) ||
	       hba_sense_key_is(t, SENSE_KEY_ABORTED_COMMAND) ||
	       hba_sense_is_exactly(t, SENSE_KEY_NOT_READY, ASC_NOT_READY, ASCQ_BECOMING_READY) ||
	       hba_sense_is_deferred(t);
}

static enum answer answer_of(const struct hba_unit *u, const struct hba_req *t, int r)
{
	if (r < 0)
		return FAILED;
	switch (t->result) {
	case HBA_DONE:
		break;
	case HBA_ABORTED: /* swept away by a reset, perhaps because of another unit */
		return NO_ANSWER_YET;
	case HBA_NO_UNIT:
		return NOT_THERE;
	default:
		return FAILED;
	}
	if (t->scsi_status == STATUS_GOOD || hba_sense_key_is(t, SENSE_KEY_RECOVERED_ERROR))
		return FLUSHED;
	/* Who has no cache need not know the command. */
	if (hba_sense_is(t, SENSE_KEY_ILLEGAL_REQUEST, ASC_INVALID_OPCODE) && !u->write_back &&
		!u->disk_cache)
		return FLUSHED;
	if (hba_sense_is_exactly(t, SENSE_KEY_NOT_READY, ASC_NOT_READY, ASCQ_START_REQUIRED))
		return STOPPED;
	return may_change(t) ? NO_ANSWER_YET : FAILED;
}

static bool is_offline(const struct hba_unit *u)
{
	return __atomic_load_n(&u->state, __ATOMIC_RELAXED) == HBA_UNIT_OFFLINE;
}

struct asked {
	struct hba *h;
	struct run *run[HBA_MAX_UNITS];
	int begun[HBA_MAX_UNITS]; /* 0, or why not */
	bool pending[HBA_MAX_UNITS];
	unsigned n;
	uint64_t until, end; /* of clock_ns(): to ask again, and to wait for an answer */
	int result;
};

static uint32_t ms_before(uint64_t when)
{
	uint64_t now = clock_ns();

	return now < when ? (uint32_t)((when - now) / NS_PER_MS) : 0;
}

static void ask(struct asked *a, unsigned i)
{
	struct hba *h = a->h;
	const struct hba_times *times = &h->core->times;
	/* One that is asked late has some time all the same. */
	uint32_t alone = MAX(ms_before(a->until), DIV_ROUND_UP(times->flush_ms, 4));
	uint32_t ms = h->unit[i].flush_alone ? alone : times->cache_ms;
	const struct hba_req t = {
		.unit = &h->unit[i],
		.kind = HBA_REQ_FLUSH,
		.timeout_ms = MAX(MIN(ms, ms_before(a->end)), 1u),
	};

	a->begun[i] = run_last_begin(h, &t, &a->run[i]);
}

/* What nobody can mend by leaving the power on is no failure of the stop, but not flushed either. */
static void judge(struct asked *a, unsigned i, enum answer answer)
{
	static const char *const text[] = {
		[FLUSHED] = "was reset or without power, and may have lost what was not flushed before",
		[STOPPED] =
			"is stopped; what was not flushed before is on its media only if it stopped in order",
		[NOT_THERE] = "is not there any more, and may have lost what was not flushed before",
	};
	struct hba *h = a->h;

	if (answer == FLUSHED && !h->core->doubted[i]) {
		h->unit[i].unflushed = false;
	} else if (answer == FAILED || answer == NO_ANSWER_YET) {
		h->core->flush_failed[i] = true;
		a->result = -EIO;
		log_err("%s: %s: the flush of its cache failed", h->pci->uri, h->unit[i].name);
	} else {
		log_warn("%s: %s %s", h->pci->uri, h->unit[i].name, text[answer]);
	}
}

static void hear(struct asked *a, unsigned i, bool last)
{
	struct hba_req t = {.hba = a->h};
	int r = a->begun[i] < 0 ? a->begun[i] : run_last_finish(a->run[i], &t, a->end);
	enum answer answer = answer_of(&a->h->unit[i], &t, r);

	a->h->core->doubted[i] |= r == 0 && tells_of_loss(&t);
	if (answer == NO_ANSWER_YET && !last)
		return;
	a->pending[i] = false;
	judge(a, i, answer);
}

static bool waits(const struct asked *a, unsigned i, bool alone)
{
	return a->pending[i] && a->h->unit[i].flush_alone == alone;
}

static void ask_all(struct asked *a, bool alone)
{
	for (unsigned i = 0; i < a->n; i++)
		if (waits(a, i, alone))
			ask(a, i);
}

/* Of those that were asked. False: nobody is left to be asked again. */
static bool hear_all(struct asked *a, bool alone)
{
	bool last = clock_ns() + AGAIN_MS * NS_PER_MS >= a->until, any = false;

	for (unsigned i = 0; i < a->n; i++) {
		if (waits(a, i, alone))
			hear(a, i, last);
		any |= waits(a, i, alone);
	}
	return any;
}

static void hear_until_told(struct asked *a, bool alone)
{
	while (hear_all(a, alone)) {
		clock_sleep_ms(AGAIN_MS);
		ask_all(a, alone);
	}
}

static uint64_t most_ms(const struct asked *a)
{
	const struct hba_times *t = &a->h->core->times;
	uint32_t ms = t->flush_ms + t->flush_ms / 4;

	for (unsigned i = 0; i < a->n; i++)
		if (waits(a, i, false))
			ms = MAX(ms, t->cache_ms);
	return (uint64_t)ms + t->abort_ms + t->reset_ms;
}

uint64_t last_flush_until(const struct hba *h)
{
	uint64_t kept = h->core->times.shutdown_ms * NS_PER_MS, until = stop_until(h);

	return until > kept ? until - kept : 0;
}

static bool any_alone(const struct hba *h)
{
	for (unsigned i = 0; i < hba_n_units(h); i++)
		if (h->unit[i].flush_alone && !is_offline(&h->unit[i]))
			return true;
	return false;
}

static void choose(struct asked *a, bool all)
{
	for (unsigned i = 0; i < a->n; i++) {
		struct hba_unit *u = &a->h->unit[i];

		if (!all && !u->flush_alone)
			continue;
		u->unflushed = true;
		a->h->core->flush_failed[i] = false;
		a->pending[i] = !is_offline(u);
	}
}

int last_flush(struct hba *h, bool all)
{
	struct asked a = {.h = h, .n = hba_n_units(h)};
	uint64_t now = clock_ns();

	/* What is asked now would keep the controller from its shutdown. */
	if (now >= last_flush_until(h)) {
		log_err("%s: there is no time left to flush its units one by one", h->pci->uri);
		last_flush_void(h, all);
		return -ETIMEDOUT;
	}
	choose(&a, all || any_alone(h));
	a.end = MIN(now + most_ms(&a) * NS_PER_MS, last_flush_until(h));
	a.until = MIN(now + h->core->times.flush_ms * NS_PER_MS, a.end);
	ask_all(&a, false);
	ask_all(&a, true);
	hear_until_told(&a, true);
	/* Heard late, they can be asked again all the same. */
	a.until = MIN(clock_ns() + h->core->times.flush_ms * NS_PER_MS, a.end);
	hear_until_told(&a, false);
	return a.result;
}

bool last_flush_failed(const struct hba *h)
{
	for (unsigned i = 0; i < hba_n_units(h); i++)
		if (h->unit[i].flush_alone && h->core->flush_failed[i])
			return true;
	return false;
}

void last_flush_confirmed(struct hba *h)
{
	for (unsigned i = 0; i < hba_n_units(h); i++)
		if (!h->unit[i].flush_alone)
			h->unit[i].unflushed = h->core->doubted[i] || is_offline(&h->unit[i]);
}

void last_flush_void(struct hba *h, bool all)
{
	for (unsigned i = 0; i < hba_n_units(h); i++) {
		if (!all && !h->unit[i].flush_alone)
			continue;
		h->unit[i].unflushed = true;
		h->core->flush_failed[i] = true;
	}
}
