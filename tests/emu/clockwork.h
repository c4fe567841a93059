/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The emulator's own time: real time times a speed, in one queue of timers. What is due at the same time happens in
 * the order it was armed, whatever the host was busy with meanwhile.
 */
#ifndef HBAD_EMU_CLOCKWORK_H
#define HBAD_EMU_CLOCKWORK_H

#include "base/loop.h"

struct clockwork {
	struct loop *loop;
	uint64_t real_start, speed_milli; /* 1000: real time */
	struct list armed;		  /* by due time */
	struct loop_timer timer;
};

struct wheel {
	void (*cb)(struct wheel *self);
	struct list link; /* private; zeroed is fine before the first use */
	uint64_t due;
};

void clockwork_init(struct clockwork *c, struct loop *loop, unsigned speed);
void clockwork_fini(struct clockwork *c);
uint64_t clockwork_now(const struct clockwork *c); /* ns of emulated time */
/* Arms or re-arms. */
void clockwork_after(struct clockwork *c, struct wheel *w, uint64_t ns);
void clockwork_stop(struct wheel *w);
static inline bool clockwork_armed(const struct wheel *w)
{
	return w->link.next && !list_empty(&w->link);
}

#endif
