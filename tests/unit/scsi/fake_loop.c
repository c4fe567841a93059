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

void clock_sleep_ms(unsigned ms)
{
	fake_slept_ms += ms;
}
