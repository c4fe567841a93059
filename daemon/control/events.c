/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A ring of events: whoever follows too slowly misses the oldest, and can see that by their numbers. */
#include "events.h"

#include <stdarg.h>
#include <stdio.h>
#include <glib.h>
#include "base/log.h"

struct events {
	uint64_t last;
	struct event event[EVENTS_KEPT];
};

struct events *events_new(void)
{
	return g_new0(struct events, 1);
}

void events_free(struct events *ev)
{
	g_free(ev);
}

static void tell_journal(int level, const struct event *e)
{
	const char *colon = e->unit[0] ? ": " : "";

	if (level == LOG_LV_ERR)
		log_err("%s%s%s", e->unit, colon, e->text);
	else if (level == LOG_LV_WARN)
		log_warn("%s%s%s", e->unit, colon, e->text);
	else if (level == LOG_LV_INFO)
		log_info("%s%s%s", e->unit, colon, e->text);
}

void events_add(struct events *ev, int level, const char *what, const char *unit, const char *naa,
	const char *fmt, ...)
{
	struct event *e;
	va_list ap;

	if (!ev)
		return;
	e = &ev->event[ev->last % EVENTS_KEPT];
	e->seq = ++ev->last;
	e->time_us = g_get_real_time();
	e->what = what;
	g_strlcpy(e->unit, unit, sizeof(e->unit));
	g_strlcpy(e->naa, naa, sizeof(e->naa));
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	tell_journal(level, e);
}

const struct event *events_after(const struct events *ev, uint64_t seq)
{
	uint64_t oldest;

	if (!ev || seq >= ev->last)
		return NULL;
	oldest = ev->last > EVENTS_KEPT ? ev->last - EVENTS_KEPT + 1 : 1;
	return &ev->event[((seq + 1 > oldest ? seq + 1 : oldest) - 1) % EVENTS_KEPT];
}

uint64_t events_last(const struct events *ev)
{
	return ev ? ev->last : 0;
}
