/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stop of a Fusion controller: its parts together take what a stop may take, and no more; see ../test_stop.c. */
#include "rig.h"
#include "tests/unit/run_suite.h"

#include <errno.h>
#include <pthread.h>

static struct rig *with_slow_firmware(void)
{
	struct rig *r = rig_new(INVADER);

	rig_times(r)->dcmd = 2 * RIG_WAIT_MS;
	r->ladder.cache_ms = 2 * RIG_WAIT_MS;
	r->ladder.stop_ms = 2000;
	r->ladder.shutdown_ms = 1000;
	rig_must_start(r);
	return r;
}

static void must_stop_in_time(struct rig *r, int result)
{
	uint64_t began = clock_ns();

	ck_assert_int_eq(hba_stop(r->h), result);
	ck_assert_uint_lt((clock_ns() - began) / NS_PER_MS, r->ladder.stop_ms + RIG_WAIT_MS / 8);
}

/* Its caches are flushed, and it is told to shut down. */
START_TEST(a_wait_for_events_that_is_not_given_back_takes_no_more_than_its_share)
{
	struct rig *r = with_slow_firmware();

	tell(r, abort_silent, true);
	must_stop_in_time(r, 0);
	ck_assert_uint_eq(seen(r, n_mfi_abort), 1);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	for (unsigned i = LD0; i <= PD8; i++)
		ck_assert(!r->h->unit[i].unflushed);
	rig_down(r);
}
END_TEST

START_TEST(a_flush_that_does_not_end_ends_the_stop)
{
	struct rig *r = with_slow_firmware();

	tell(r, hold_flush, true);
	must_stop_in_time(r, -EIO);
	ck_assert_uint_eq(seen(r, n_shutdown), 0);
	ck_assert(r->h->unit[LD0].unflushed);
	ck_assert(r->h->unit[LD5].unflushed);
	/* The drive, beside that, has no part in it. */
	ck_assert_uint_eq(seen(r, n_sync[PD8]), 1);
	ck_assert(!r->h->unit[PD8].unflushed);
	rig_down(r);
}
END_TEST

/* A freeze that comes to nothing has used up its part of the time. */
START_TEST(a_freeze_and_the_stop_behind_it_share_their_time)
{
	struct rig *r = with_slow_firmware();
	uint64_t began = clock_ns();
	struct hba_frozen f;

	tell(r, abort_silent, true);
	ck_assert_int_eq(hba_drain(r->h, RIG_WAIT_MS), 0);
	ck_assert_int_lt(hba_freeze(r->h, &f, &r->e), 0);
	hba_stop(r->h);
	ck_assert_uint_lt((clock_ns() - began) / NS_PER_MS, r->ladder.stop_ms + RIG_WAIT_MS / 8);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fusion stop");
	TCase *c = tcase_create("time");

	tcase_set_timeout(c, 120);
	tcase_add_test(c, a_wait_for_events_that_is_not_given_back_takes_no_more_than_its_share);
	tcase_add_test(c, a_flush_that_does_not_end_ends_the_stop);
	tcase_add_test(c, a_freeze_and_the_stop_behind_it_share_their_time);
	suite_add_tcase(s, c);
	return run_suite(s);
}
