/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Several I/O threads with one device: aborts, garbage, resets of all of it, and the end. rig_down() asserts that every request
 * was done once, on its own thread. */
#include "lanes_rig.h"
#include "tests/unit/run_suite.h"

#include <errno.h>
#include <string.h>

/* --- aborts --- */

static struct rig *patient(void)
{
	struct rig *r = lanes_new(LANES);

	r->ladder.abort_ms = 60000; /* no reset helps out */
	rig_must_start(r);
	return r;
}

static unsigned owner(struct rig *r, unsigned tmf)
{
	return __atomic_load_n(&rig_vio(r)->tmf[tmf].owner, __ATOMIC_ACQUIRE);
}

START_TEST(an_abort_of_any_lane)
{
	struct rig *r = patient();

	hold_on_all(r, 12);
	for (unsigned i = 0; i < 8; i++) {
		job_abort(&r->job[i]);
		job_ends(&r->job[i], HBA_ABORTED);
	}
	ck_assert_uint_eq(seen(r, n_abort), 8);
	rig_pump(r);
	jobs_end(r, 8, 4, HBA_DONE);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

/* There are four places for all lanes together. */
START_TEST(aborts_of_one_lane_wait_for_those_of_another)
{
	struct rig *r = patient();

	hold_on_all(r, 24);
	tell(r, hold_tmf, true);
	for (unsigned i = 0; i < 24; i++)
		job_abort(&r->job[i]);
	rig_wait(seen(r, n_held_tmf) == VIO_N_TMF);
	tell(r, hold_tmf, false);
	while (model_finish_tmf(r->model))
		;
	jobs_end(r, 0, 24, HBA_ABORTED);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

START_TEST(time_outs_of_any_lane)
{
	struct rig *r = patient();

	tell(r, hold, true);
	for (unsigned i = 0; i < 8; i++) {
		struct job *job = on_lane(job_rw(r, i, 0, DMA_FROM_DEVICE, i, 1), i % LANES);

		job->tmpl.timeout_ms = 20;
		job_submit(job);
	}
	jobs_end(r, 0, 8, HBA_TIMEOUT);
	ck_assert_uint_eq(stat_of(r, timeouts), 8);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

/* Its answer came before the abort's, but lies in a queue that nobody has looked into. */
START_TEST(an_answer_counts_more_than_the_refusal_of_its_abort)
{
	struct rig *r = lanes_new(LANES);

	r->ladder.abort_ms = r->ladder.tick_ms = 60000;
	rig_must_start(r);
	tell(r, tmf, TMF_REFUSES);
	hold_on_all(r, 8);
	tell(r, hold_tmf, true);
	job_abort(&r->job[2]);
	rig_wait(seen(r, n_held_tmf) == 1);
	tell(r, silent_queues, 1 << (2 + 2));
	complete_of(r, 2);
	ck_assert(model_finish_tmf(r->model));
	job_ends(&r->job[2], HBA_DONE);
	rig_sync(r);
	ck_assert_uint_eq(seen(r, n_lun_reset), 0);
	tell(r, silent_queues, 0);
	release_all(r, 8);
	rig_down(r);
}
END_TEST

/* Each sends its own again, and the unit attention is nobody's business. */
START_TEST(what_a_unit_reset_takes_along_is_sent_again_by_its_lane)
{
	struct rig *r = patient();

	tell(r, tmf, TMF_REFUSES);
	hold_on_all(r, 24);
	job_abort(&r->job[6]); /* unit 0, lane 2 */
	job_ends(&r->job[6], HBA_ABORTED);
	ck_assert_uint_eq(seen(r, n_lun_reset), 1);
	rig_wait(model_pending(r->model) == 23);
	rig_pump(r);
	for (unsigned i = 0; i < 24; i++)
		if (i != 6) {
			job_ends_well(&r->job[i]);
			ck_assert_mem_eq(r->model->unit[i % 3].disk + i * 512, r->job[i].buf, 512);
		}
	ck_assert_uint_eq(r->model->unit[0].disk[6 * 512], 0);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

struct faulty {
	struct loop_msg msg;
	struct hba *h;
};

static void fault_now(struct loop_msg *m)
{
	hba_fault(container_of(m, struct faulty, msg)->h, "a test");
}

/* The reset meets one on its way to the first lane, one that the device answers only then, and one on its way back. */
START_TEST(aborts_that_meet_a_reset_give_their_places_back)
{
	struct rig *r = patient();
	struct stall first, second;

	for (unsigned round = 1; round <= 3; round++) {
		struct faulty f = {.msg.cb = fault_now, .h = r->h};

		hold_on_all(r, 16);
		tell(r, tmf, TMF_LIES);
		tell(r, hold_tmf, true);
		job_abort(&r->job[1]);
		rig_wait(seen(r, n_held_tmf) == 1);
		job_abort(&r->job[2]);
		rig_wait(seen(r, n_held_tmf) == 2);
		stall_begin(r, 1, &second);
		ck_assert(model_finish_tmf(r->model));
		stall_begin(r, 0, &first);
		loop_post(r->loop, &f.msg);
		job_abort(&r->job[3]); /* the first lane hears of it behind the fault */
		stall_end(&first);
		rig_wait(hba_state(r->h) == HBA_RESETTING);
		rig_wait(lane_state(r, 2) == HBA_RESETTING && lane_state(r, 0) == HBA_RESETTING);
		ck_assert_uint_eq(seen(r, n_held_tmf), 1);
		ck_assert(model_finish_tmf(r->model));
		stall_end(&second);
		rig_wait(rig_was_reset(r, round));
		tell(r, hold_tmf, false);
		rig_pump(r);
		for (unsigned i = 0; i < 16; i++)
			job_ends(&r->job[i], i > 0 && i < 4 ? HBA_ABORTED : HBA_DONE);
		for (unsigned i = 0; i < VIO_N_TMF; i++)
			ck_assert_uint_eq(owner(r, i), 0);
		tell(r, tmf, TMF_WORKS);
	}
	rig_down(r);
}
END_TEST

/* --- a device that lies --- */

/* In the queue of one: all come back, and the others' answers do not change owners. */
START_TEST(garbage_in_one_ring_costs_one_reset_of_all)
{
	/* out of the table; idle; set-up's, which is the first one's only; another lane's; more than 16 bits */
	static const uint32_t wild[] = {0xffffffff, 200, 252, 253, 254, 255, 0x10000};
	struct rig *r = lanes_up();
	unsigned queue = 2 + (unsigned)_i % LANES;

	hold_on_all(r, 20);
	model_post(r->model, queue, wild[_i / LANES], 0);
	rig_wait(rig_was_reset(r, 1));
	rig_wait(model_pending(r->model) == 20);
	ck_assert_uint_eq(stat_of(r, reissues), 20);
	release_all(r, 20);
	ck_assert_uint_eq(stat_of(r, resets), 1);
	rig_down(r);
}
END_TEST

START_TEST(wild_index_of_one_ring_costs_one_reset_of_all)
{
	static const uint16_t by[] = {6, 300, 0x8000, 0xffff};
	struct rig *r = lanes_up();

	hold_on_all(r, 20);
	model_skip(r->model, 2 + (unsigned)_i % LANES, by[_i / LANES]);
	rig_wait(rig_was_reset(r, 1));
	rig_wait(model_pending(r->model) == 20);
	release_all(r, 20);
	ck_assert_uint_eq(stat_of(r, resets), 1);
	rig_down(r);
}
END_TEST

/* The number means another command there, or none. */
START_TEST(an_answer_in_anothers_queue_is_none)
{
	struct rig *r = lanes_up();

	tell(r, hold, true);
	job_submit(on_lane(job_rw(r, 0, 0, DMA_TO_DEVICE, 0, 1), 1));
	rig_wait(model_pending(r->model) == 1);
	model_post(r->model, 4, model_head(r->model, 0), 0);
	rig_wait(rig_was_reset(r, 1));
	ck_assert_uint_eq(job_done(&r->job[0]), 0);
	rig_pump(r);
	job_ends_well(&r->job[0]);
	tell(r, hold, false);
	rig_down(r);
}
END_TEST

/* --- resets --- */

START_TEST(a_reset_under_load_sends_everything_again)
{
	struct rig *r = lanes_up();

	for (unsigned round = 1; round <= 3; round++) {
		hold_on_all(r, 100);
		model_needs_reset(r->model);
		rig_wait(rig_was_reset(r, round));
		rig_wait(model_pending(r->model) == 100);
		release_all(r, 100);
	}
	ck_assert_uint_eq(stat_of(r, reissues), 300);
	rig_down(r);
}
END_TEST

/* It lies in the lane's queue, and nobody has told the lane. */
START_TEST(what_the_device_has_answered_does_not_run_again)
{
	struct rig *r = lanes_new(LANES);

	r->ladder.tick_ms = 60000;
	rig_must_start(r);
	hold_on_all(r, 8);
	tell(r, silent_queues, 1 << (2 + 2));
	complete_of(r, 2);
	complete_of(r, 2);
	rig_sync(r);
	ck_assert_uint_eq(job_done(&r->job[2]) + job_done(&r->job[6]), 0);
	fault(r);
	rig_wait(rig_was_reset(r, 1));
	job_ends(&r->job[2], HBA_DONE);
	job_ends(&r->job[6], HBA_DONE);
	rig_wait(model_pending(r->model) == 6);
	ck_assert_uint_eq(stat_of(r, reissues), 6);
	tell(r, silent_queues, 0);
	release_all(r, 8);
	rig_down(r);
}
END_TEST

/* Its lane is halted, and no other one may touch what is its. */
START_TEST(what_is_answered_behind_the_halt_runs_again)
{
	struct rig *r = lanes_up();
	struct stall second;

	hold_on_all(r, 8);
	stall_begin(r, 1, &second);
	model_needs_reset(r->model);
	rig_wait(lane_state(r, 2) == HBA_RESETTING);
	complete_of(r, 2);
	complete_of(r, 2);
	stall_end(&second);
	rig_wait(rig_was_reset(r, 1));
	rig_wait(model_pending(r->model) == 8);
	ck_assert_uint_eq(stat_of(r, reissues), 8);
	release_all(r, 8);
	rig_down(r);
}
END_TEST

/* Whatever that thread is in the middle of, nothing is done to the device before it has let go. */
START_TEST(a_reset_waits_for_a_thread_that_does_not_answer)
{
	struct rig *r = lanes_up();
	struct stall third;
	unsigned before = seen(r, n_reset);

	hold_on_all(r, 8);
	stall_begin(r, 2, &third);
	model_needs_reset(r->model);
	rig_wait(hba_state(r->h) == HBA_RESETTING);
	clock_sleep_ms(100);
	ck_assert_uint_eq(seen(r, n_reset), before);
	ck_assert_int_eq(hba_state(r->h), HBA_RESETTING);
	stall_end(&third);
	rig_wait(rig_was_reset(r, 1));
	rig_wait(model_pending(r->model) == 8);
	release_all(r, 8);
	rig_down(r);
}
END_TEST

START_TEST(fewer_queues_after_the_reset_are_the_end)
{
	struct rig *r = lanes_up();

	hold_on_all(r, 8);
	if (_i == 0)
		tell(r, num_queues, 5);
	else if (_i == 1)
		tell(r, config[0], 3);
	else
		tell(r, queue[4].max, 128);
	model_needs_reset(r->model);
	rig_wait(hba_state(r->h) == HBA_FAILED);
	jobs_end(r, 0, 8, HBA_GONE);
	rig_down(r);
}
END_TEST

/* --- the end --- */

START_TEST(a_device_that_is_gone_ends_everything)
{
	struct rig *r = lanes_up();

	hold_on_all(r, 100);
	tell(r, fn.gone, true);
	rig_wait(hba_state(r->h) == HBA_REMOVED);
	jobs_end(r, 0, 100, HBA_GONE);
	for (unsigned i = 0; i < 100; i++)
		ck_assert(r->job[i].quiet);
	for (unsigned i = 0; i < LANES; i++) {
		job_try(on_lane(job_rw(r, 100 + i, 0, DMA_FROM_DEVICE, 0, 1), i));
		ck_assert_int_eq(job_submitted(&r->job[100 + i]), 1);
	}
	tell(r, fn.gone, false);
	tell(r, fn.bus_master, false);
	tell(r, fn.cfg[4], 0);
	tell(r, status, 0);
	rig_down(r);
}
END_TEST

START_TEST(a_reset_that_never_ends_is_the_end_for_all)
{
	struct rig *r = lanes_new(LANES);

	rig_times(r)->reset = 200;
	rig_must_start(r);
	hold_on_all(r, 12);
	tell(r, reset_dead, true);
	model_needs_reset(r->model);
	jobs_end(r, 0, 12, HBA_GONE);
	for (unsigned i = 0; i < 12; i++)
		ck_assert(r->job[i].quiet);
	ck_assert_int_eq(hba_state(r->h), HBA_FAILED);
	rig_down(r);
}
END_TEST

START_TEST(a_stop_ends_what_all_have_at_the_device)
{
	struct rig *r = lanes_up();

	hold_on_all(r, 12);
	r->h->core->times.flush_ms = 10;
	ck_assert_int_lt(hba_stop(r->h), 0); /* nor did the flushes come back */
	jobs_end(r, 0, 12, HBA_GONE);
	for (unsigned i = 0; i < 12; i++)
		ck_assert(r->job[i].quiet);
	rig_down(r);
}
END_TEST

START_TEST(an_orderly_end_drains_all_and_flushes)
{
	struct rig *r = lanes_new(LANES);

	r->ladder.flush_ms = RIG_WAIT_MS;
	rig_must_start(r);
	hold_on_all(r, 8);
	ck_assert_int_eq(hba_drain(r->h, 50), -ETIMEDOUT);
	release_all(r, 8);
	ck_assert_int_eq(hba_drain(r->h, RIG_WAIT_MS), 0);
	ck_assert_int_eq(hba_stop(r->h), 0);
	for (unsigned u = 0; u < 3; u++)
		ck_assert_uint_eq(r->model->unit[u].n_sync, 1);
	ck_assert_uint_eq(r->model->status, 0);
	rig_down(r);
}
END_TEST

static void reset_that_brings_something(struct rig *r)
{
	uint64_t before = stat_of(r, resets);

	fault(r);
	rig_wait(stat_of(r, resets) == before + 1 && hba_state(r->h) == HBA_RUNNING);
	job_run_well(job_rw(r, 20, 0, DMA_FROM_DEVICE, 0, 1));
}

/* The third reset of a row is put off, for ever here. What came since ends by itself, also on another lane; what the device
 * has, on whichever lane, ends by the reset, which is not put off any more then. */
START_TEST(a_reset_that_is_put_off_keeps_nothing_of_any_lane)
{
	struct rig *r = lanes_new(LANES);
	struct job *since;

	r->ladder.pause_ms = r->ladder.pause_max_ms = r->ladder.calm_ms = 100 * RIG_WAIT_MS;
	rig_must_start(r);
	reset_that_brings_something(r);
	reset_that_brings_something(r);
	hold_on_all(r, 8);
	since = on_lane(job_rw(r, 8, 0, DMA_TO_DEVICE, 100, 1), LANES - 1);
	since->tmpl.timeout_ms = 50;
	job_take(since);
	fault(r);
	rig_wait(lane_state(r, LANES - 1) == HBA_RESETTING);
	job_submit(since);
	job_ends(since, HBA_TIMEOUT);
	ck_assert_int_eq(hba_state(r->h), HBA_RESETTING);
	ck_assert_uint_eq(stat_of(r, pauses), 1);
	job_abort(&r->job[_i]);
	job_ends(&r->job[_i], HBA_ABORTED);
	rig_wait(hba_state(r->h) == HBA_RUNNING);
	rig_pump(r);
	for (unsigned i = 0; i < 8; i++)
		if (i != (unsigned)_i)
			job_ends(&r->job[i], HBA_DONE);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio lanes trouble");
	TCase *t = tcase_create("lanes");

	log_set_level(LOG_LV_ERR);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, an_abort_of_any_lane);
	tcase_add_test(t, aborts_of_one_lane_wait_for_those_of_another);
	tcase_add_test(t, time_outs_of_any_lane);
	tcase_add_test(t, an_answer_counts_more_than_the_refusal_of_its_abort);
	tcase_add_test(t, what_a_unit_reset_takes_along_is_sent_again_by_its_lane);
	tcase_add_test(t, aborts_that_meet_a_reset_give_their_places_back);
	tcase_add_loop_test(t, garbage_in_one_ring_costs_one_reset_of_all, 0, 7 * LANES);
	tcase_add_loop_test(t, wild_index_of_one_ring_costs_one_reset_of_all, 0, 4 * LANES);
	tcase_add_test(t, an_answer_in_anothers_queue_is_none);
	tcase_add_test(t, a_reset_under_load_sends_everything_again);
	tcase_add_test(t, what_the_device_has_answered_does_not_run_again);
	tcase_add_test(t, what_is_answered_behind_the_halt_runs_again);
	tcase_add_test(t, a_reset_waits_for_a_thread_that_does_not_answer);
	tcase_add_loop_test(t, fewer_queues_after_the_reset_are_the_end, 0, 3);
	tcase_add_test(t, a_device_that_is_gone_ends_everything);
	tcase_add_test(t, a_reset_that_never_ends_is_the_end_for_all);
	tcase_add_test(t, a_stop_ends_what_all_have_at_the_device);
	tcase_add_test(t, an_orderly_end_drains_all_and_flushes);
	suite_add_tcase(s, t);
	t = tcase_create("row of resets");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_reset_that_is_put_off_keeps_nothing_of_any_lane, 0, LANES);
	suite_add_tcase(s, t);
	return run_suite(s);
}
