/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Several I/O threads with one controller: aborts, resets of all of it, and the end. rig_down() asserts that every request was
 * done once, on its own thread. */
#include "lanes_rig.h"
#include "hba/handover.h"
#include "tests/unit/run_suite.h"

#include <errno.h>

/* --- aborts --- */

START_TEST(an_abort_of_any_lane)
{
	struct rig *r = lanes_new(INVADER, LANES);

	r->ladder.abort_ms = 60000;
	r->model->pd_map = true; /* or the drive could not be named */
	rig_must_start(r);
	hold_on_all(r, 8);
	for (unsigned i = 0; i < 8; i++) {
		job_abort(&r->job[i]);
		job_ends(&r->job[i], HBA_ABORTED);
	}
	ck_assert_uint_eq(seen(r, n_abort), 8);
	ck_assert_int_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

START_TEST(time_outs_of_any_lane)
{
	struct rig *r = lanes_new(INVADER, LANES);

	r->ladder.abort_ms = 60000;
	rig_must_start(r);
	tell(r, hold, true);
	for (unsigned i = 0; i < 8; i++) {
		struct job *job = on_lane(job_rw(r, i, LD0, DMA_FROM_DEVICE, i, 1), i % LANES);

		job->tmpl.timeout_ms = 20;
		job_submit(job);
	}
	jobs_end(r, 0, 8, HBA_TIMEOUT);
	ck_assert_int_eq(stat_of(r, timeouts), 8);
	ck_assert_int_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

/* The frames for it are there for all lanes together. */
START_TEST(aborts_of_one_lane_wait_for_those_of_another)
{
	struct rig *r = lanes_new(INVADER, LANES);

	r->ladder.abort_ms = 60000;
	r->model->pd_map = true; /* or the drive could not be named */
	rig_must_start(r);
	hold_on_all(r, 24);
	tell(r, hold_tasks, true);
	for (unsigned i = 0; i < 24; i++)
		job_abort(&r->job[i]);
	rig_sync(r);
	tell(r, hold_tasks, false);
	while (__atomic_load_n(&r->n_done, __ATOMIC_RELAXED) < 24) {
		model_finish_task(r->model);
		clock_sleep_ms(1);
	}
	jobs_end(r, 0, 24, HBA_ABORTED);
	ck_assert_int_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

/* Eight reads at firmware, two of each lane; the abort of the third is refused, and a reset of its unit is asked for. */
static void until_unit_reset(struct rig *r)
{
	tell(r, hold, true);
	tell(r, abort_response, 0x05);
	tell(r, abort_kills, false);
	for (unsigned i = 0; i < 8; i++)
		job_submit(on_lane(job_rw(r, i, LD0, DMA_FROM_DEVICE, i, 1), i % LANES));
	tell(r, hold_tasks, true);
	job_abort(&r->job[2]);
	rig_wait(model_task_waits(r->model));
	model_finish_task(r->model);
	rig_wait(seen(r, n_unit_reset) == 1);
}

START_TEST(what_a_unit_reset_takes_along_is_sent_again_by_its_lane)
{
	struct rig *r = lanes_new(INVADER, LANES);

	r->ladder.abort_ms = 60000;
	rig_must_start(r);
	until_unit_reset(r);
	model_finish_task(r->model);
	job_ends(&r->job[2], HBA_ABORTED);
	rig_wait(model_pending(r->model) == 7);
	tell(r, hold_tasks, false);
	while (model_pending(r->model))
		model_complete(r->model, 0);
	for (unsigned i = 0; i < 8; i++)
		if (i != 2)
			job_ends(&r->job[i], HBA_DONE);
	ck_assert_int_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

/* What it ended lies in the queue of a lane that nobody has told: it is that lane's, as long as it puts aside what the reset
 * ends. */
START_TEST(a_unit_reset_ends_when_all_have_looked_into_their_queues)
{
	struct rig *r = lanes_new(INVADER, LANES);

	r->ladder.tick_ms = 60000;
	rig_must_start(r);
	until_unit_reset(r);
	tell(r, silent_queues, 1 << 3);
	model_finish_task(r->model);
	job_ends(&r->job[2], HBA_ABORTED);
	rig_wait(model_pending(r->model) == 7);
	tell(r, silent_queues, 0);
	while (model_pending(r->model))
		model_complete(r->model, 0);
	for (unsigned i = 0; i < 8; i++)
		if (i != 2)
			job_ends(&r->job[i], HBA_DONE);
	ck_assert_uint_eq(rig_fusion(r)->count.again, 7);
	rig_down(r);
}
END_TEST

/* --- controller resets --- */

START_TEST(a_fault_sends_everything_again)
{
	struct rig *r = lanes_up((enum model_gen)_i);

	for (unsigned round = 1; round <= 2; round++) {
		hold_on_all(r, 20);
		model_set_state(r->model, 0xf);
		rig_wait(rig_was_reset(r, round));
		rig_wait(model_pending(r->model) == 20);
		release_all(r, 20);
	}
	ck_assert_uint_eq(stat_of(r, reissues), 40);
	rig_down(r);
}
END_TEST

/* Slots are not given out then, but who has one may use it. */
START_TEST(what_comes_during_a_reset_waits_for_its_end)
{
	struct rig *r = lanes_up(INVADER);
	struct stall second;

	for (unsigned i = 8; i < 12; i++)
		job_take(on_lane(job_rw(r, i, LD0, DMA_FROM_DEVICE, 40, 1), i % LANES));
	hold_on_all(r, 8);
	stall_begin(r, 1, &second); /* so that it cannot come to its end yet */
	model_set_state(r->model, 0xf);
	rig_wait(hba_state(r->h) == HBA_RESETTING);
	rig_wait(lane_state(r, 2) == HBA_RESETTING && lane_state(r, 3) == HBA_RESETTING);
	for (unsigned i = 8; i < 12; i++) {
		if (i % LANES == 1)
			continue;
		job_submit(&r->job[i]);
		job_try(on_lane(job_rw(r, 8 + i, LD0, DMA_FROM_DEVICE, 40, 1), i % LANES));
		ck_assert_int_eq(job_submitted(&r->job[8 + i]), 1);
	}
	job_abort(&r->job[11]);
	job_ends(&r->job[11], HBA_ABORTED);
	ck_assert_uint_eq(model_pending(r->model), 8);
	stall_end(&second);
	rig_wait(rig_was_reset(r, 1));
	job_submit(&r->job[9]);
	rig_wait(model_pending(r->model) == 11);
	while (model_pending(r->model))
		model_complete(r->model, 0);
	jobs_end(r, 0, 11, HBA_DONE);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_lt(r->job[i].order, r->job[4 + i].order);
		ck_assert_uint_lt(r->job[4 + i].order, r->job[8 + i].order);
	}
	ck_assert_uint_eq(stat_of(r, reissues), 8);
	rig_down(r);
}
END_TEST

/* It lies in the lane's queue, and nobody has told the lane. */
START_TEST(what_firmware_has_answered_does_not_run_again)
{
	struct rig *r = lanes_new(INVADER, LANES);

	r->ladder.tick_ms = 60000;
	rig_must_start(r);
	hold_on_all(r, 8);
	tell(r, silent_queues, 1 << 2);
	model_complete(r->model, 2);
	model_complete(r->model, 5);
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

START_TEST(flushes_of_other_lanes_begin_anew_after_a_reset)
{
	struct rig *r = lanes_up(INVADER);

	tell(r, hold_flush, true);
	for (unsigned i = 0; i < LANES; i++)
		job_submit(on_lane(job_flush(r, i, LD0), i));
	rig_wait(model_flush_waits(r->model));
	model_set_state(r->model, 0xf);
	rig_wait(rig_was_reset(r, 1));
	rig_wait(model_flush_waits(r->model));
	tell(r, hold_flush, false);
	model_finish_flush(r->model);
	for (unsigned i = 0; i < LANES; i++)
		job_ends_well(&r->job[i]);
	rig_down(r);
}
END_TEST

START_TEST(a_reset_that_never_helps_ends_everything)
{
	struct rig *r = lanes_new(INVADER, LANES);

	rig_times(r)->diag_end = 50;
	rig_must_start(r);
	hold_on_all(r, 12);
	tell(r, chip_dead, true);
	model_set_state(r->model, 0xf);
	jobs_end(r, 0, 12, HBA_GONE);
	for (unsigned i = 0; i < 12; i++)
		ck_assert(r->job[i].quiet);
	ck_assert_int_eq(hba_state(r->h), HBA_FAILED);
	rig_down(r);
}
END_TEST

START_TEST(a_device_that_is_gone_ends_everything)
{
	struct rig *r = lanes_up(INVADER);

	hold_on_all(r, 12);
	tell(r, fn.gone, true);
	jobs_end(r, 0, 12, HBA_GONE);
	ck_assert_int_eq(hba_state(r->h), HBA_REMOVED);
	for (unsigned i = 0; i < LANES; i++) {
		job_try(on_lane(job_rw(r, 20 + i, LD0, DMA_FROM_DEVICE, 0, 1), i));
		ck_assert_int_eq(job_submitted(&r->job[20 + i]), 1);
	}
	rig_down(r);
}
END_TEST

/* Whatever that thread is in the middle of, nothing is done to the controller before it has let go. */
START_TEST(a_reset_waits_for_a_thread_that_does_not_answer)
{
	struct rig *r = lanes_up(INVADER);
	struct stall second;

	hold_on_all(r, 8);
	stall_begin(r, 2, &second);
	model_set_state(r->model, 0xf);
	rig_wait(hba_state(r->h) == HBA_RESETTING);
	clock_sleep_ms(100);
	ck_assert_uint_eq(seen(r, n_chip_reset), 0);
	ck_assert_int_eq(hba_state(r->h), HBA_RESETTING);
	stall_end(&second);
	rig_wait(rig_was_reset(r, 1));
	rig_wait(model_pending(r->model) == 8);
	release_all(r, 8);
	rig_down(r);
}
END_TEST

/* What a lane still takes when all but it may know that the controller is gone: it does not know itself then. Behind that
 * there are no answers. */
START_TEST(a_lane_takes_answers_until_it_hears_of_the_loss)
{
	struct rig *r = lanes_up(INVADER);
	struct stall second;

	hold_on_all(r, 12);
	stall_begin(r, 2, &second);
	for (unsigned i = 0; i < 8; i++)
		model_complete(r->model, 0);
	tell(r, fn.gone, true);
	rig_wait(hba_state(r->h) == HBA_REMOVED);
	ck_assert_uint_eq(job_done(&r->job[2]) + job_done(&r->job[6]) + job_done(&r->job[10]), 0);
	stall_end(&second);
	for (unsigned i = 0; i < 12; i++) {
		job_wait(&r->job[i]);
		ck_assert_int_eq(
			r->job[i].lane_state, r->job[i].result == HBA_DONE ? HBA_RUNNING : HBA_REMOVED);
	}
	job_ends(&r->job[2], HBA_DONE);
	job_ends(&r->job[10], HBA_GONE);
	rig_down(r);
}
END_TEST

/* The thread was held up, and its deadlines are over; but the first one has an answer for it. */
START_TEST(an_answer_that_waits_for_its_thread_came_in_time)
{
	static const uint8_t inquiry[6] = {0x12, 0, 0, 0, 36};
	struct rig *r = lanes_up(INVADER);
	struct job *job = on_lane(job_cdb(r, 0, LD0, inquiry, 6, DMA_FROM_DEVICE, 36), 2);
	struct stall second;
	uint16_t smid;

	job->tmpl.timeout_ms = 3000;
	tell(r, hold, true);
	job_submit(job);
	smid = model_smid(r->model, 0);
	stall_begin(r, 2, &second);
	model_complete(r->model, 0);
	rig_wait(was_handed_on(r, smid));
	clock_sleep_ms(3500);
	stall_end(&second);
	job_ends_well(job);
	ck_assert_int_eq(stat_of(r, timeouts), 0);
	ck_assert_int_eq(stat_of(r, resets), 0);
	ck_assert_uint_eq(seen(r, n_abort), 0);
	rig_down(r);
}
END_TEST

/* Firmware had answered in time, but all were held up, and the first one, which has to find it, for longest. */
START_TEST(an_answer_that_the_first_has_not_found_yet_came_in_time)
{
	struct rig *r = lanes_up(INVADER);
	struct job *job = on_lane(job_flush(r, 0, LD0), 2);
	struct stall first;

	job->tmpl.timeout_ms = 3000;
	tell(r, hold_flush, true);
	job_submit(job);
	rig_wait(model_flush_waits(r->model));
	stall_begin(r, 0, &first);
	tell(r, hold_flush, false);
	model_finish_flush(r->model);
	clock_sleep_ms(3500);
	stall_end(&first);
	job_ends_well(job);
	rig_sync(r);
	ck_assert_int_eq(stat_of(r, timeouts), 0);
	ck_assert_int_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

/* --- the end --- */

START_TEST(a_stop_ends_what_others_have_at_the_controller)
{
	struct rig *r = lanes_up(INVADER);

	hold_on_all(r, 12);
	r->h->core->times.flush_ms = r->h->core->times.cache_ms = 10;
	ck_assert_int_lt(hba_stop(r->h), 0); /* nor did the flushes come back */
	ck_assert_uint_eq(r->h->core->left, 12);
	ck_assert_uint_eq(r->h->core->beside, 12);
	jobs_end(r, 0, 12, HBA_GONE);
	for (unsigned i = 0; i < 12; i++) {
		ck_assert(r->job[i].quiet);
		ck_assert_int_eq(r->job[i].lane_state, HBA_FAILED);
	}
	rig_down(r);
}
END_TEST

static void *stop_main(void *arg)
{
	struct rig *r = arg;

	return (void *)(intptr_t)hba_stop(r->h);
}

/* Firmware answers a write when the last flush is over and its lane has left: nobody may take that for an answer, because
 * the stop says that all that was acknowledged is flushed. */
START_TEST(nothing_is_acknowledged_behind_the_last_flush_of_a_stop)
{
	static const uint8_t write_and_verify[10] = {0x2e, 0, 0, 0, 0, 0, 0, 0, 1};
	struct rig *r = lanes_new(INVADER, LANES);
	struct stall second, third;
	struct job *job;
	uint16_t smid;
	pthread_t t;
	void *stopped;

	r->ladder.flush_ms = r->ladder.cache_ms = RIG_WAIT_MS;
	rig_must_start(r);
	job = on_lane(job_cdb(r, 0, LD0, write_and_verify, 10, DMA_TO_DEVICE, 512), 2);
	job->tmpl.timeout_ms = 600000;
	job_fill(job, 1);
	tell(r, hold, true);
	job_submit(job);
	smid = model_smid(r->model, 0);
	tell(r, hold, false);
	tell(r, hold_flush, true);
	ck_assert_int_eq(pthread_create(&t, NULL, stop_main, r), 0);
	rig_wait(model_flush_waits(r->model));
	stall_begin(r, 3, &third);
	tell(r, hold_flush, false);
	model_finish_flush(r->model);
	rig_wait(lane_state(r, 2) != HBA_RUNNING);
	stall_begin(r, 2, &second);
	model_complete(r->model, 0);
	rig_wait(was_handed_on(r, smid));
	stall_end(&third);
	rig_wait(hba_state(r->h) == HBA_FAILED);
	stall_end(&second);
	pthread_join(t, &stopped);
	ck_assert_int_eq((intptr_t)stopped, 0);
	job_ends(job, HBA_GONE);
	rig_down(r);
}
END_TEST

/* What a thread that does not answer may still touch is there until the process ends. */
static const struct hba *left_behind;

enum silent { BEFORE_THE_DRAIN, BEFORE_IT_LEAVES, AFTER_IT_LEFT, N_SILENT };

static void let_last_flush_end(struct rig *r)
{
	tell(r, hold_flush, false);
	model_finish_flush(r->model);
}

/* Lane 2 does not answer from that moment on. Returns what the stop said, which has a time limit for each of three calls. */
static int stop_without(struct rig *r, enum silent when, struct stall *second)
{
	uint64_t begun = clock_ns();
	struct stall third;
	pthread_t t;
	void *stopped;

	if (when == BEFORE_THE_DRAIN)
		stall_begin(r, 2, second);
	ck_assert_int_eq(pthread_create(&t, NULL, stop_main, r), 0);
	if (when != BEFORE_THE_DRAIN)
		rig_wait(model_flush_waits(r->model));
	if (when == BEFORE_IT_LEAVES) {
		stall_begin(r, 2, second);
		let_last_flush_end(r);
	} else if (when == AFTER_IT_LEFT) {
		stall_begin(r, 3, &third);
		let_last_flush_end(r);
		rig_wait(lane_state(r, 2) != HBA_RUNNING);
		stall_begin(r, 2, second);
		stall_end(&third);
	}
	pthread_join(t, &stopped);
	ck_assert_uint_lt(clock_ns() - begun, 6 * HBA_IO_CALL_MS * NS_PER_MS);
	return (int)(intptr_t)stopped;
}

/* As firmware, and as the thread, for neither of which anything has changed. */
static void go_on_after_stop(struct rig *r, enum silent when, struct stall *second)
{
	ck_assert_uint_eq(seen(r, n_shutdown), 0);
	ck_assert(seen(r, fn.bus_master) == (when != AFTER_IT_LEFT));
	ck_assert_int_eq(hba_state(r->h), when == AFTER_IT_LEFT ? HBA_FAILED : HBA_RUNNING);
	if (when != AFTER_IT_LEFT)
		model_complete(r->model, 2);
	stall_end(second);
	rig_sync(r);
	while (when != AFTER_IT_LEFT && model_pending(r->model))
		model_complete(r->model, 0);
	for (unsigned i = 0; i < 3; i++)
		rig_sync(r);
}

START_TEST(a_stop_leaves_a_thread_that_does_not_answer_what_it_has)
{
	enum silent when = (enum silent)_i;
	struct rig *r = lanes_new(INVADER, LANES);
	struct stall second;

	r->ladder.flush_ms = r->ladder.cache_ms = RIG_WAIT_MS;
	rig_must_start(r);
	left_behind = r->h;
	hold_on_all(r, LANES);
	tell(r, hold, false);
	tell(r, hold_flush, true);
	ck_assert_int_eq(stop_without(r, when, &second), -ETIMEDOUT);
	/* At once from now on. */
	ck_assert_int_eq(hba_stop(r->h), -ETIMEDOUT);
	hba_close(r->h);
	go_on_after_stop(r, when, &second);
	if (when == AFTER_IT_LEFT) {
		/* The last one was not asked to end what it has. */
		jobs_end(r, 0, 3, HBA_GONE);
		ck_assert_uint_eq(job_done(&r->job[3]), 0);
	} else {
		/* The one before had left. */
		ck_assert_uint_eq(job_done(&r->job[1]), 0);
		job_ends(&r->job[0], HBA_DONE);
		jobs_end(r, 2, 2, HBA_DONE);
	}
	rig_down(r);
}
END_TEST

START_TEST(a_drain_waits_for_all)
{
	struct rig *r = lanes_up(INVADER);

	hold_on_all(r, 4);
	for (unsigned i = 0; i < 3; i++)
		model_complete(r->model, 0);
	ck_assert_int_eq(hba_drain(r->h, 50), -ETIMEDOUT);
	model_complete(r->model, 0);
	ck_assert_int_eq(hba_drain(r->h, RIG_WAIT_MS), 0);
	for (unsigned i = 0; i < LANES; i++) {
		job_try(on_lane(job_rw(r, 20 + i, LD0, DMA_FROM_DEVICE, 0, 1), i));
		ck_assert_int_eq(job_submitted(&r->job[20 + i]), 1);
	}
	rig_down(r);
}
END_TEST

/* One that has left the controller running, and the next: each has its own configuration. */
START_TEST(the_next_process_may_have_more_or_fewer)
{
	static const unsigned lanes[] = {1, LANES, 2, LANES};
	struct rig *r = lanes_up((enum model_gen)_i);
	struct hba_frozen f;

	for (unsigned i = 0; i < ARRAY_SIZE(lanes); i++) {
		rig_leave(r, &f);
		r->n_lanes = lanes[i];
		rig_must_adopt(r, &f);
		ck_assert_uint_eq(r->h->n_lanes, lanes[i]);
		for (unsigned n = 0; n < 4 * lanes[i]; n++) {
			struct job *job = on_lane(job_rw(r, n, LD0, DMA_TO_DEVICE, n, 1), n % lanes[i]);

			job_fill(job, n + i);
			job_run_well(job);
			ck_assert_mem_eq(r->model->disk[LD0] + n * 512, job->buf, 512);
			job_run_well(on_lane(job_flush(r, n, LD0), n % lanes[i]));
		}
	}
	ck_assert_uint_eq(seen(r, n_init), 1);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fusion lanes trouble");
	TCase *t = tcase_create("lanes");

	log_set_level(LOG_LV_ERR);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, an_abort_of_any_lane);
	tcase_add_test(t, time_outs_of_any_lane);
	tcase_add_test(t, aborts_of_one_lane_wait_for_those_of_another);
	tcase_add_test(t, what_a_unit_reset_takes_along_is_sent_again_by_its_lane);
	tcase_add_test(t, a_unit_reset_ends_when_all_have_looked_into_their_queues);
	tcase_add_loop_test(t, a_fault_sends_everything_again, 0, 4);
	tcase_add_test(t, what_comes_during_a_reset_waits_for_its_end);
	tcase_add_test(t, what_firmware_has_answered_does_not_run_again);
	tcase_add_test(t, flushes_of_other_lanes_begin_anew_after_a_reset);
	tcase_add_test(t, a_reset_that_never_helps_ends_everything);
	tcase_add_test(t, a_device_that_is_gone_ends_everything);
	tcase_add_test(t, a_reset_waits_for_a_thread_that_does_not_answer);
	tcase_add_test(t, a_lane_takes_answers_until_it_hears_of_the_loss);
	tcase_add_test(t, an_answer_that_waits_for_its_thread_came_in_time);
	tcase_add_test(t, an_answer_that_the_first_has_not_found_yet_came_in_time);
	tcase_add_test(t, a_stop_ends_what_others_have_at_the_controller);
	tcase_add_test(t, nothing_is_acknowledged_behind_the_last_flush_of_a_stop);
	tcase_add_loop_test(t, a_stop_leaves_a_thread_that_does_not_answer_what_it_has, 0, N_SILENT);
	tcase_add_test(t, a_drain_waits_for_all);
	tcase_add_loop_test(t, the_next_process_may_have_more_or_fewer, INVADER, VENTURA + 1);
	suite_add_tcase(s, t);
	return run_suite(s);
}
