/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Resets in a row: the third is put off, and what has to end, or to come, does not wait for it. */
#include "rig.h"
#include "tests/unit/run_suite.h"

#include <sys/eventfd.h>
#include <unistd.h>

#define NEVER_MS (100 * RIG_WAIT_MS)

static struct rig *rig_with(uint32_t pause_ms, uint32_t max_ms, uint32_t calm_ms)
{
	struct rig *r = rig_new(GEN2);

	r->ladder.pause_ms = pause_ms;
	r->ladder.pause_max_ms = max_ms;
	r->ladder.calm_ms = calm_ms;
	r->ladder.reset_ms = RIG_WAIT_MS;
	return r;
}

/* It brings something, so that the controller is not given up. */
static void is_of_use(struct rig *r)
{
	job_run_well(job_rw(r, 100, 0, DMA_FROM_DEVICE, 0, 1));
}

static void reset_once(struct rig *r)
{
	unsigned before = seen(r, n_init);

	model_post(r->model, 0xffffffff);
	rig_wait(seen(r, n_init) == before + 1 && hba_state(r->h) == HBA_RUNNING);
}

/* Two have come and gone, and the third does not begin by itself. n writes are at the controller. */
static void put_off(struct rig *r, unsigned n)
{
	rig_must_start(r);
	reset_once(r);
	is_of_use(r);
	reset_once(r);
	is_of_use(r);
	ck_assert_uint_eq(stat_of(r, pauses), 0);
	if (n)
		hold_writes(r, n);
}

static void fault_now(struct rig *r)
{
	model_post(r->model, 0xffffffff);
	rig_wait(hba_state(r->h) == HBA_RESETTING);
	ck_assert_uint_eq(stat_of(r, pauses), 1);
	ck_assert_uint_eq(stat_of(r, resets), 3);
}

static bool still_put_off(struct rig *r)
{
	return seen(r, n_init) == 3 && hba_state(r->h) == HBA_RESETTING;
}

/* They were sent again. */
static void writes_end(struct rig *r, unsigned first, unsigned n)
{
	rig_wait(hba_state(r->h) == HBA_RUNNING && model_pending(r->model) == n);
	while (model_pending(r->model))
		model_complete(r->model, 0);
	jobs_end(r, first, n, HBA_DONE);
}

START_TEST(each_of_a_row_waits_twice_as_long)
{
	static const uint32_t at_least[] = {0, 0, 20, 40, 80, 100, 100, 100};
	struct rig *r = rig_with(20, 100, NEVER_MS);

	rig_must_start(r);
	for (unsigned i = 0; i < ARRAY_SIZE(at_least); i++) {
		uint64_t start = clock_ns();

		reset_once(r);
		ck_assert_uint_ge(clock_ns() - start, at_least[i] * NS_PER_MS);
		is_of_use(r);
	}
	ck_assert_uint_eq(stat_of(r, resets), ARRAY_SIZE(at_least));
	ck_assert_uint_eq(stat_of(r, pauses), ARRAY_SIZE(at_least) - 2);
	rig_down(r);
}
END_TEST

START_TEST(the_third_waits)
{
	struct rig *r = rig_with(NEVER_MS, NEVER_MS, NEVER_MS);

	put_off(r, 4);
	fault_now(r);
	clock_sleep_ms(100);
	ck_assert(still_put_off(r));
	ck_assert_uint_eq(hba_inflight(r->h), 4);
	hba_hasten(r->h);
	writes_end(r, 0, 4);
	ck_assert_uint_eq(stat_of(r, reissues), 4);
	/* From then on none is put off. */
	reset_once(r);
	ck_assert_uint_eq(stat_of(r, pauses), 1);
	rig_down(r);
}
END_TEST

START_TEST(a_calm_controller_is_reset_at_once_again)
{
	struct rig *r = rig_with(NEVER_MS, NEVER_MS, 50);

	put_off(r, 0);
	clock_sleep_ms(150);
	reset_once(r);
	ck_assert_uint_eq(stat_of(r, pauses), 0);
	rig_down(r);
}
END_TEST

/* However long it lasted: a storm that is over takes as many steps back as there are. */
START_TEST(the_longest_pause_is_the_last_step)
{
	struct rig *r = rig_with(1, 4, NEVER_MS);

	rig_must_start(r);
	for (unsigned i = 0; i < 12; i++) {
		reset_once(r);
		is_of_use(r);
	}
	ck_assert_uint_eq(r->h->core->backoff.level, 5);
	rig_down(r);
}
END_TEST

/* The rule is the one that there was: so many without an answer. The last of them is no longer waited for. */
START_TEST(a_controller_that_brings_nothing_is_given_up_as_ever)
{
	struct rig *r = rig_with(5, 10, NEVER_MS);

	rig_must_start(r);
	for (unsigned i = 0; i < HBA_MAX_BARREN_RESETS; i++)
		reset_once(r);
	model_post(r->model, 0xffffffff);
	rig_wait(hba_state(r->h) == HBA_FAILED);
	ck_assert_uint_eq(stat_of(r, pauses), HBA_MAX_BARREN_RESETS - 2);
	rig_down(r);
}
END_TEST

/* --- in the pause --- */

START_TEST(what_is_at_the_controller_ends_by_its_time_limit)
{
	struct rig *r = rig_with(NEVER_MS, NEVER_MS, NEVER_MS);
	struct job *job;

	put_off(r, 3);
	job = job_rw(r, 3, 0, DMA_TO_DEVICE, 100, 1);
	job->tmpl.timeout_ms = RIG_WAIT_MS / 20;
	job_submit(job);
	fault_now(r);
	job_ends(job, HBA_TIMEOUT);
	writes_end(r, 0, 3);
	/* It did not run again. */
	ck_assert_uint_eq(r->model->ld[0][100 * 512], 0);
	ck_assert_uint_eq(stat_of(r, timeouts), 1);
	rig_down(r);
}
END_TEST

START_TEST(what_is_at_the_controller_is_aborted)
{
	struct rig *r = rig_with(NEVER_MS, NEVER_MS, NEVER_MS);

	put_off(r, 3);
	fault_now(r);
	job_abort(&r->job[0]);
	job_ends(&r->job[0], HBA_ABORTED);
	writes_end(r, 1, 2);
	rig_down(r);
}
END_TEST

/* Nothing at the controller is in its way. */
START_TEST(what_came_since_ends_without_the_reset)
{
	struct rig *r = rig_with(NEVER_MS, NEVER_MS, NEVER_MS);
	struct job *limited, *aborted, *patient;

	put_off(r, 1);
	limited = job_rw(r, 1, 0, DMA_TO_DEVICE, 1, 1);
	limited->tmpl.timeout_ms = 50;
	aborted = job_rw(r, 2, 0, DMA_TO_DEVICE, 2, 1);
	patient = job_rw(r, 3, 0, DMA_TO_DEVICE, 3, 1);
	job_take(limited);
	job_take(aborted);
	job_take(patient);
	fault_now(r);
	job_submit(limited);
	job_submit(aborted);
	job_submit(patient);
	job_ends(limited, HBA_TIMEOUT);
	job_abort(aborted);
	job_ends(aborted, HBA_ABORTED);
	ck_assert(still_put_off(r));
	ck_assert_uint_eq(job_done(patient), 0);
	hba_hasten(r->h);
	rig_wait(hba_state(r->h) == HBA_RUNNING && model_pending(r->model) == 2);
	model_complete(r->model, 0);
	model_complete(r->model, 0);
	job_ends(&r->job[0], HBA_DONE);
	job_ends(patient, HBA_DONE);
	rig_down(r);
}
END_TEST

START_TEST(a_stop_does_not_wait)
{
	struct rig *r = rig_with(NEVER_MS, NEVER_MS, NEVER_MS);

	put_off(r, 0);
	fault_now(r);
	ck_assert_int_eq(hba_stop(r->h), 0);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	rig_down(r);
}
END_TEST

/* As a stop begins, with commands that it waits for. */
START_TEST(a_drain_does_not_wait)
{
	struct rig *r = rig_with(NEVER_MS, NEVER_MS, NEVER_MS);

	put_off(r, 3);
	fault_now(r);
	tell(r, hold, false);
	ck_assert_int_eq(hba_drain(r->h, RIG_WAIT_MS), 0);
	jobs_end(r, 0, 3, HBA_DONE);
	rig_down(r);
}
END_TEST

START_TEST(a_controller_that_is_taken_away_ends_at_once)
{
	struct rig *r = rig_with(NEVER_MS, NEVER_MS, NEVER_MS);
	uint64_t one = 1;

	r->model->fn.pci.request_fd = eventfd(0, EFD_NONBLOCK);
	put_off(r, 3);
	fault_now(r);
	ck_assert_int_eq(write(r->model->fn.pci.request_fd, &one, sizeof(one)), sizeof(one));
	jobs_end(r, 0, 3, HBA_GONE);
	ck_assert_int_eq(hba_state(r->h), HBA_REMOVED);
	close(r->model->fn.pci.request_fd);
	rig_down(r);
}
END_TEST

/* Nobody has told, and nothing else makes anybody look. */
START_TEST(a_controller_that_is_gone_is_noticed)
{
	struct rig *r = rig_with(NEVER_MS, NEVER_MS, NEVER_MS);
	struct job *job;

	put_off(r, 1);
	model_complete(r->model, 0);
	job_ends(&r->job[0], HBA_DONE);
	job = job_rw(r, 1, 0, DMA_TO_DEVICE, 0, 1);
	job->tmpl.timeout_ms = NEVER_MS;
	job_submit(job);
	fault_now(r);
	pthread_mutex_lock(&r->fn->lock);
	r->fn->gone = true;
	r->fn->bus_master = false;
	pthread_mutex_unlock(&r->fn->lock);
	job_ends(job, HBA_GONE);
	ck_assert_int_eq(hba_state(r->h), HBA_REMOVED);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("back-off");
	TCase *row = tcase_create("row"), *pause = tcase_create("pause");

	tcase_set_timeout(row, 60);
	tcase_add_test(row, each_of_a_row_waits_twice_as_long);
	tcase_add_test(row, the_third_waits);
	tcase_add_test(row, a_calm_controller_is_reset_at_once_again);
	tcase_add_test(row, the_longest_pause_is_the_last_step);
	tcase_add_test(row, a_controller_that_brings_nothing_is_given_up_as_ever);
	suite_add_tcase(s, row);
	tcase_set_timeout(pause, 60);
	tcase_add_test(pause, what_is_at_the_controller_ends_by_its_time_limit);
	tcase_add_test(pause, what_is_at_the_controller_is_aborted);
	tcase_add_test(pause, what_came_since_ends_without_the_reset);
	tcase_add_test(pause, a_stop_does_not_wait);
	tcase_add_test(pause, a_drain_does_not_wait);
	tcase_add_test(pause, a_controller_that_is_taken_away_ends_at_once);
	tcase_add_test(pause, a_controller_that_is_gone_is_noticed);
	suite_add_tcase(s, pause);
	return run_suite(s);
}
