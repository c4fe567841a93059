/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A loop without a thread: posted calls run at once, or when the test says so. Sleeping costs nothing. */
#include "fake_hba.h"

#include <check.h>
#include "base/clock.h"

bool fake_loop_defer;
unsigned fake_slept_ms;
static struct loop_msg *posted[64];
static unsigned n_posted;

void loop_post(struct loop *l, struct loop_msg *m)
{
	if (!fake_loop_defer) {
		m->cb(m);
		return;
	}
	ck_assert_uint_lt(n_posted, ARRAY_SIZE(posted));
	for (unsigned i = 0; i < n_posted; i++)
		ck_assert_msg(posted[i] != m, "posted twice");
	posted[n_posted++] = m;
}

void fake_loop_run(void)
{
	unsigned n = n_posted;
	struct loop_msg *batch[ARRAY_SIZE(posted)];

	for (unsigned i = 0; i < n; i++)
		batch[i] = posted[i];
	n_posted = 0;
	for (unsigned i = 0; i < n; i++)
		batch[i]->cb(batch[i]);
}

int loop_call(struct loop *l, void (*fn)(void *arg), void *arg, unsigned timeout_ms)
{
	fake_loop_run();
	fn(arg);
	return 0;
}

uint64_t fake_now = 1;

uint64_t loop_now(const struct loop *l)
{
	return fake_now;
}

static struct list timers = {&timers, &timers};

void loop_arm(struct loop *l, struct loop_timer *t, uint64_t due_ns)
{
	loop_disarm(t);
	t->due_ns = due_ns;
	list_append(&timers, &t->link);
}

void loop_disarm(struct loop_timer *t)
{
	if (t->link.next)
		list_remove(&t->link);
}

static struct loop_timer *due_timer(void)
{
	list_for_each_safe(pos, &timers) {
		struct loop_timer *t = container_of(pos, struct loop_timer, link);

		if (t->due_ns <= fake_now)
			return t;
	}
	return NULL;
}

void fake_time_passes(uint64_t ns)
{
	struct loop_timer *t;

	fake_now += ns;
	while ((t = due_timer())) {
		loop_disarm(t);
		t->cb(t);
	}
}

void clock_sleep_ms(unsigned ms)
{
	fake_slept_ms += ms;
}
