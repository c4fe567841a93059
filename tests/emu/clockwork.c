/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Emulated time on the loop's timers. */
#include "clockwork.h"

#include "base/clock.h"

uint64_t clockwork_now(const struct clockwork *c)
{
	return (clock_ns() - c->real_start) / 1000 * c->speed_milli;
}

/* The host's timer is for the first in the queue. */
static void wind(struct clockwork *c)
{
	struct wheel *w = list_first(&c->armed, struct wheel, link);

	if (!w)
		loop_disarm(&c->timer);
	else
		loop_arm(c->loop, &c->timer, c->real_start + (w->due / c->speed_milli + 1) * 1000);
}

static void on_timer(struct loop_timer *t)
{
	struct clockwork *c = container_of(t, struct clockwork, timer);
	uint64_t now = clockwork_now(c);

	for (;;) {
		struct wheel *w = list_first(&c->armed, struct wheel, link);

		if (!w || w->due > now)
			break;
		list_remove(&w->link);
		w->cb(w);
	}
	wind(c);
}

void clockwork_init(struct clockwork *c, struct loop *loop, unsigned speed)
{
	*c = (struct clockwork){
		.loop = loop,
		.real_start = clock_ns(),
		.speed_milli = (uint64_t)speed * 1000,
		.timer.cb = on_timer,
	};
	list_init(&c->armed);
}

void clockwork_fini(struct clockwork *c)
{
	while (!list_empty(&c->armed))
		list_remove(c->armed.next);
	loop_disarm(&c->timer);
}

void clockwork_after(struct clockwork *c, struct wheel *w, uint64_t ns)
{
	struct list *at;

	/* First: it may be the last in the queue itself. */
	clockwork_stop(w);
	at = c->armed.prev;
	w->due = clockwork_now(c) + ns;
	/* From the end: most are due last. */
	while (at != &c->armed && container_of(at, struct wheel, link)->due > w->due)
		at = at->prev;
	list_prepend(at, &w->link);
	if (c->armed.next == &w->link)
		wind(c);
}

void clockwork_stop(struct wheel *w)
{
	if (!w->link.next)
		list_init(&w->link);
	list_remove(&w->link);
}
