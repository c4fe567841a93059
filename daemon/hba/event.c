/* SPDX-License-Identifier: GPL-2.0-or-later */
/* News of a controller on its way from the I/O thread to the one that tells people: one writer, one reader, no lock. */
#include "core.h"

#include <string.h>

void hba_tell(struct hba *h, uint32_t code, const char *text)
{
	struct hba_core *c = h->core;
	uint32_t at = c->told;

	/* Acquire: what the reader has copied may be overwritten. */
	if (at - __atomic_load_n(&c->heard, __ATOMIC_ACQUIRE) >= HBA_EVENTS) {
		__atomic_store_n(&c->untold, c->untold + 1, __ATOMIC_RELAXED);
		return;
	}
	c->event[at % HBA_EVENTS].code = code;
	strncpy(c->event[at % HBA_EVENTS].text, text, HBA_EVENT_TEXT - 1);
	c->event[at % HBA_EVENTS].text[HBA_EVENT_TEXT - 1] = '\0';
	__atomic_store_n(&c->told, at + 1, __ATOMIC_RELEASE);
}

bool hba_next_event(struct hba *h, struct hba_event *ret)
{
	struct hba_core *c = h->core;
	uint32_t at = c->heard;

	if (__atomic_load_n(&c->told, __ATOMIC_ACQUIRE) == at)
		return false;
	*ret = c->event[at % HBA_EVENTS];
	__atomic_store_n(&c->heard, at + 1, __ATOMIC_RELEASE);
	return true;
}

uint32_t hba_events_untold(const struct hba *h)
{
	return __atomic_load_n(&h->core->untold, __ATOMIC_RELAXED);
}

void hba_unit_listed(struct hba_unit *u, bool listed)
{
	if (!listed && !u->missing) {
		__atomic_fetch_add(&u->outages, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&u->goings, 1, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&u->missing, !listed, __ATOMIC_RELAXED);
}

static void on_answered(void *arg)
{
	struct hba *h = arg;

	/* All of them: a call that was too late for its caller may come behind the next one's answer. */
	for (unsigned i = 0; hba_lane_runs(h, 0) && i < h->n_units; i++) {
		struct hba_unit *u = &h->unit[i];
		uint64_t answered = __atomic_exchange_n(&u->answered, 0, __ATOMIC_RELAXED);

		if (answered && u->state == HBA_UNIT_OFFLINE &&
			__atomic_load_n(&u->goings, __ATOMIC_RELAXED) == (uint32_t)(answered - 1))
			h->ops->unit_answers(h, u);
	}
}

void hba_unit_answered(struct hba *h, const struct hba_unit *u, uint32_t goings)
{
	if (!h->ops->unit_answers)
		return;
	__atomic_store_n(&h->unit[u->index].answered, (uint64_t)goings + 1, __ATOMIC_RELAXED);
	/* A thread that does not answer in time looks later. */
	loop_call(h->loop, on_answered, h, HBA_IO_CALL_MS);
}

void hba_units_changed(struct hba *h)
{
	__atomic_store_n(&h->core->unit_news, h->core->unit_news + 1, __ATOMIC_RELEASE);
}

uint32_t hba_unit_news(const struct hba *h)
{
	return __atomic_load_n(&h->core->unit_news, __ATOMIC_ACQUIRE);
}

unsigned hba_n_units(const struct hba *h)
{
	return __atomic_load_n(&h->n_units, __ATOMIC_ACQUIRE);
}

bool hba_add_unit(struct hba *h, const struct hba_unit *u)
{
	unsigned n = h->n_units;

	if (n == HBA_MAX_UNITS)
		return false;
	h->unit[n] = *u;
	h->unit[n].index = (uint8_t)n;
	/* Who sees the number sees the unit. */
	__atomic_store_n(&h->n_units, n + 1, __ATOMIC_RELEASE);
	hba_units_changed(h);
	return true;
}
