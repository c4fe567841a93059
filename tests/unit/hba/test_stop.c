/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stop of a controller: what it had acknowledged is flushed, or somebody is told. */
#include "rig.h"
#include "tests/unit/run_suite.h"

#include <errno.h>
#include <pthread.h>

/* A request that does not come back. A stop waits five seconds for it first. */
static struct rig *with_one_stuck(uint32_t flush_ms)
{
	struct rig *r = rig_new(GEN2);

	r->ladder.flush_ms = flush_ms;
	rig_must_start(r);
	tell(r, hold, true);
	job_submit(job_rw(r, 0, 0, DMA_TO_DEVICE, 0, 1));
	rig_wait(model_pending(r->model) == 1);
	return r;
}

static void ended_quietly(struct rig *r)
{
	ck_assert_uint_eq(job_done(&r->job[0]), 1);
	ck_assert_int_eq(r->job[0].result, HBA_GONE);
	ck_assert(r->job[0].quiet);
	ck_assert_uint_eq(seen(r, n_shutdown), 0);
	rig_down(r);
}

/* H27: firmware that answers nobody: neither the flushes. */
START_TEST(stop_ends_what_is_in_flight_quietly)
{
	struct rig *r = with_one_stuck(30);

	ck_assert_int_lt(hba_stop(r->h), 0);
	ended_quietly(r);
}
END_TEST

START_TEST(stop_flushes_every_unit_beside_what_does_not_come_back)
{
	struct rig *r = with_one_stuck(RIG_WAIT_MS);

	tell(r, hold, false);
	ck_assert_int_eq(hba_stop(r->h), 0);
	/* The third logical drive is offline. */
	ck_assert_uint_eq(seen(r, n_sync[0]), 1);
	ck_assert_uint_eq(seen(r, n_sync[1]), 1);
	ck_assert_uint_eq(seen(r, n_sync[2]), 0);
	ck_assert_uint_eq(seen(r, n_flush), 2);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	ended_quietly(r);
}
END_TEST

/* The flush of one unit fails: the others are asked all the same. */
START_TEST(stop_tells_of_a_flush_that_failed)
{
	struct rig *r = with_one_stuck(RIG_WAIT_MS);

	tell(r, hold, false);
	tell(r, flush_status, MFI_LD_OFFLINE);
	ck_assert_int_eq(hba_stop(r->h), -EIO);
	ck_assert_uint_eq(seen(r, n_flush), 2);
	ended_quietly(r);
}
END_TEST

static void *stop(void *rig)
{
	struct rig *r = rig;

	return (void *)(intptr_t)hba_stop(r->h);
}

/* What does not come back, but does while the units are flushed, one write in each round: GOOD, and perhaps behind its unit's
 * flush. Once is mended by another round; when it does not end, the stop has to tell. */
START_TEST(a_write_that_comes_back_beside_a_flush_is_flushed_too)
{
	const unsigned rounds = _i ? FLUSHES_BESIDE + 1 : 1;
	struct rig *r = with_one_stuck(RIG_WAIT_MS);
	pthread_t stopper;
	void *result;

	for (unsigned i = 1; i <= rounds; i++)
		job_submit(job_rw(r, i, 0, DMA_TO_DEVICE, i, 1));
	rig_wait(model_pending(r->model) == rounds + 1);
	tell(r, hold, false);
	tell(r, hold_flush, true);
	ck_assert_int_eq(pthread_create(&stopper, NULL, stop, r), 0);
	for (unsigned i = 1; i <= rounds; i++) {
		rig_wait(seen(r, n_flush) == 2 * i - 1);
		model_complete(r->model, 1);
		rig_wait(job_done(&r->job[i]) == 1);
		ck_assert_int_eq(r->job[i].result, HBA_DONE);
		model_finish_flush(r->model);
		rig_wait(seen(r, n_flush) == 2 * i);
		tell(r, hold_flush, i < rounds);
		model_finish_flush(r->model);
	}
	ck_assert_int_eq(pthread_join(stopper, &result), 0);
	ck_assert_int_eq((intptr_t)result, _i ? -EIO : 0);
	ck_assert_uint_eq(seen(r, n_flush), _i ? 2 * rounds : 4);
	ended_quietly(r);
}
END_TEST

/* Also when runs had been ended for it, and drained before. */
START_TEST(an_ended_run_does_not_keep_a_stop_from_its_flushes)
{
	struct rig *r = with_one_stuck(RIG_WAIT_MS);

	hba_end_runs(r->h);
	ck_assert_int_eq(hba_drain(r->h, 1), -ETIMEDOUT);
	tell(r, hold, false);
	ck_assert_int_eq(hba_stop(r->h), 0);
	ck_assert_uint_eq(seen(r, n_flush), 2);
	ended_quietly(r);
}
END_TEST

START_TEST(a_stop_tells_of_a_shutdown_that_failed)
{
	struct rig *r = rig_up(GEN2);

	tell(r, flush_status, MFI_LD_OFFLINE);
	ck_assert_int_lt(hba_stop(r->h), 0);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	ck_assert_int_eq(hba_stop(r->h), 0); /* it was told */
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stop");
	TCase *c = tcase_create("mfi");

	tcase_set_timeout(c, 60);
	tcase_add_test(c, stop_ends_what_is_in_flight_quietly);
	tcase_add_test(c, stop_flushes_every_unit_beside_what_does_not_come_back);
	tcase_add_loop_test(c, a_write_that_comes_back_beside_a_flush_is_flushed_too, 0, 2);
	tcase_add_test(c, stop_tells_of_a_flush_that_failed);
	tcase_add_test(c, an_ended_run_does_not_keep_a_stop_from_its_flushes);
	tcase_add_test(c, a_stop_tells_of_a_shutdown_that_failed);
	suite_add_tcase(s, c);
	return run_suite(s);
}
