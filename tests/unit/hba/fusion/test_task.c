/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fusion controllers: task management. */
#include "rig.h"
#include "tests/unit/run_suite.h"

START_TEST(an_abort_names_the_command)
{
	struct rig *r = rig_up((enum model_gen)_i);
	struct job *j;
	uint16_t smid;

	tell(r, hold, true);
	job_send_read(r, 0, LD0);
	j = job_send_read(r, 1, LD5);
	smid = model_smid(r->model, 1);
	job_abort(j);
	job_ends(j, HBA_ABORTED);
	ck_assert_uint_eq(seen(r, n_abort), 1);
	ck_assert_uint_eq(seen(r, last_task[0]), 5);
	ck_assert_uint_eq(seen(r, last_task[0x30]), smid & 0xff);
	ck_assert_uint_eq(seen(r, last_task[0x80]), 1);
	model_complete(r->model, 0);
	job_ends(&r->job[0], HBA_DONE);
	ck_assert_int_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

START_TEST(a_drive_is_named_by_its_handle)
{
	struct rig *r = rig_new(INVADER);
	struct job *j;

	r->model->pd_map = true;
	rig_must_start(r);
	tell(r, hold, true);
	j = job_send_read(r, 0, PD8);
	job_abort(j);
	job_ends(j, HBA_ABORTED);
	ck_assert_uint_eq(seen(r, last_task[0]), 0x19);
	ck_assert_uint_eq(seen(r, last_task[0x80]), 2);
	rig_down(r);
}
END_TEST

/* Without a handle nobody could say which drive the abort hits. 1: with one that task management does not reach; reads and writes
 * still take the direct way. */
START_TEST(a_drive_without_handle_is_not_aborted)
{
	struct rig *r = rig_new(INVADER);
	struct job *j;

	r->model->pd_map = r->model->pd_no_tm = _i;
	rig_must_start(r);
	tell(r, hold, true);
	j = job_rw(r, 0, PD8, DMA_FROM_DEVICE, 0, 1);
	j->tmpl.timeout_ms = 50;
	job_submit(j);
	ck_assert_uint_eq(seen(r, last_request[0x03]), _i ? 0x00 : 0xf1);
	rig_wait(rig_was_reset(r, 1));
	job_ends(j, HBA_TIMEOUT);
	ck_assert_uint_eq(seen(r, n_abort) + seen(r, n_unit_reset), 0);
	rig_down(r);
}
END_TEST

START_TEST(more_aborts_than_there_are_frames_for)
{
	struct rig *r = rig_up(INVADER);

	tell(r, hold, true);
	for (unsigned n = 0; n < 50; n++)
		job_send_read(r, n, n % 2);
	tell(r, hold_tasks, true);
	for (unsigned n = 0; n < 50; n++)
		job_abort(&r->job[n]);
	ck_assert_uint_eq(seen(r, n_tasks), 4);
	for (unsigned n = 0; n < 50; n++) {
		rig_wait(model_task_waits(r->model));
		model_finish_task(r->model);
	}
	jobs_end(r, 0, 50, HBA_ABORTED);
	rig_down(r);
}
END_TEST

/* Firmware may look at an abort long after the command that it names was answered. */
START_TEST(the_number_that_an_abort_names_is_nobody_elses_until_it_is_answered)
{
	struct rig *r = rig_new(INVADER);
	bool again = false;
	uint16_t smid;

	r->model->ext_cmds = 0;
	r->model->fw_cmds = 64; /* the same numbers come soon again */
	rig_must_start(r);
	tell(r, hold, true);
	tell(r, hold_tasks, true);
	job_send_read(r, 0, LD0);
	smid = model_smid(r->model, 0);
	job_abort(&r->job[0]);
	rig_wait(model_task_waits(r->model));
	/* It was faster. */
	model_complete(r->model, 0);
	job_ends(&r->job[0], HBA_DONE);
	for (unsigned n = 1; n < 200; n++) {
		job_send_read(r, n, LD0);
		ck_assert_uint_ne(model_smid(r->model, 0), smid);
		model_complete(r->model, 0);
		job_wait(&r->job[n]);
	}
	/* Answered, or forgotten in a reset: then it is a number as all others. */
	if (_i) {
		model_set_state(r->model, 0xf);
		rig_wait(rig_was_reset(r, 1));
	} else {
		model_finish_task(r->model);
	}
	for (unsigned n = 200; n < 400; n++) {
		job_send_read(r, n, LD0);
		again |= model_smid(r->model, 0) == smid;
		model_complete(r->model, 0);
		job_wait(&r->job[n]);
	}
	ck_assert(again);
	tell(r, hold_tasks, false);
	rig_down(r);
}
END_TEST

/* All numbers, the spare ones too, while as many aborts as there can be are under way. */
START_TEST(aborts_that_are_not_answered_cost_no_depth)
{
	struct rig *r = rig_new(INVADER);
	unsigned depth;

	r->model->ext_cmds = 0;
	r->model->fw_cmds = 64;
	rig_must_start(r);
	depth = r->h->limits.queue_depth;
	tell(r, hold, true);
	tell(r, hold_tasks, true);
	for (unsigned n = 0; n < 4; n++) {
		job_send_read(r, n, LD0);
		job_abort(&r->job[n]);
	}
	rig_wait(seen(r, n_tasks) == 4);
	while (model_pending(r->model))
		model_complete(r->model, 0);
	for (unsigned n = 0; n < 4; n++)
		job_wait(&r->job[n]);
	for (unsigned n = 4; n < 4 + depth; n++)
		job_send_read(r, n, LD0);
	ck_assert_uint_eq(model_pending(r->model), depth);
	tell(r, hold_tasks, false);
	for (unsigned n = 0; n < 4; n++)
		model_finish_task(r->model);
	for (unsigned n = 0; n < depth; n++)
		model_complete(r->model, 0);
	jobs_end(r, 4, depth, HBA_DONE);
	rig_down(r);
}
END_TEST

static void time_is_over(void *arg)
{
	struct fusion *f = arg;

	for (unsigned i = 0; i < FUSION_N_TASKS; i++)
		f->task[i].due_ns = 0;
}

/* Its victim came back, so that nobody waits for it; but a unit would be "in a reset" for ever. */
START_TEST(task_management_that_is_not_answered_costs_a_reset)
{
	struct rig *r = rig_new((enum model_gen)(_i % 4));

	r->ladder.abort_ms = 60000;
	rig_must_start(r);
	tell(r, hold, true);
	tell(r, hold_tasks, true);
	tell(r, abort_response, 0x05);
	tell(r, abort_kills, false);
	job_send_read(r, 0, LD0);
	job_abort(&r->job[0]);
	if (_i >= 4) {
		/* refused: then it is the unit's reset */
		rig_wait(model_task_waits(r->model));
		model_finish_task(r->model);
		rig_wait(seen(r, n_unit_reset) == 1);
	}
	model_complete(r->model, 0);
	job_wait(&r->job[0]);
	tell(r, hold, false);
	ck_assert_int_eq(stat_of(r, resets), 0);
	rig_io(r, time_is_over, rig_fusion(r));
	rig_wait(rig_was_reset(r, 1));
	tell(r, hold_tasks, false);
	/* A failure is a failure again. */
	tell(r, io_status, 0x2e);
	ck_assert_int_eq(job_run(job_rw(r, 1, LD0, DMA_FROM_DEVICE, 0, 1))->result, HBA_IO_ERROR);
	rig_down(r);
}
END_TEST

/* H8: innocents are issued again. */
START_TEST(a_refused_abort_resets_the_unit_and_nobody_else_notices)
{
	struct rig *r = rig_new(INVADER);
	struct job *victim;

	r->ladder.abort_ms = 60000;
	rig_must_start(r);
	tell(r, hold, true);
	tell(r, abort_response, 0x05);
	tell(r, abort_kills, false);
	victim = job_send_read(r, 0, LD0);
	job_send_read(r, 1, LD0);
	job_send_read(r, 2, LD5);
	tell(r, hold_tasks, true);
	job_abort(victim);
	rig_wait(model_task_waits(r->model));
	/* The abort is refused; the reset waits; both commands of the unit end with it. */
	model_finish_task(r->model);
	rig_wait(seen(r, n_unit_reset) == 1);
	model_finish_task(r->model);
	job_ends(victim, HBA_ABORTED);
	/* Its neighbour was sent again, and so is at firmware as before. */
	rig_wait(model_pending(r->model) == 2);
	ck_assert_uint_eq(job_done(&r->job[1]), 0);
	tell(r, hold_tasks, false);
	while (model_pending(r->model))
		model_complete(r->model, 0);
	jobs_end(r, 1, 2, HBA_DONE);
	ck_assert_uint_eq(seen(r, last_task[0x05]), 3);
	ck_assert_int_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

static void swept_at_the_last_moment(void *arg)
{
	struct rig *r = arg;

	/* Whoever looks for replies next finds this one, and then that its time is over. */
	r->job[1].req->deadline_ns = loop_now(r->loop);
	model_begin_task(r->model);
}

struct tick {
	const struct rig *r;
	uint64_t due_ns;
};

static void look_at_tick(void *arg)
{
	struct tick *t = arg;

	t->due_ns = t->r->h->core->lane[0].tick.due_ns;
}

/* All deadlines have been looked at since the call. */
static void wait_for_tick(struct rig *r)
{
	struct tick before = {.r = r}, now = {.r = r};

	rig_io(r, look_at_tick, &before);
	rig_wait((rig_io(r, look_at_tick, &now), now.due_ns != before.due_ns));
}

/* How long the unit's reset takes is not up to those that it takes along. */
START_TEST(what_a_unit_reset_takes_along_has_its_time_anew)
{
	struct rig *r = rig_new((enum model_gen)_i);

	r->ladder.abort_ms = 60000;
	rig_must_start(r);
	tell(r, hold, true);
	tell(r, hold_tasks, true);
	tell(r, abort_response, 0x05);
	tell(r, abort_kills, false);
	job_send_read(r, 0, LD0);
	job_send_read(r, 1, LD0);
	job_abort(&r->job[0]);
	rig_wait(model_task_waits(r->model));
	model_finish_task(r->model);
	rig_wait(seen(r, n_unit_reset) == 1);
	/* Both end, but the reset does not yet. */
	rig_io(r, swept_at_the_last_moment, r);
	job_ends(&r->job[0], HBA_ABORTED);
	wait_for_tick(r);
	ck_assert_int_eq(stat_of(r, timeouts), 0);
	ck_assert_int_eq(stat_of(r, resets), 0);
	ck_assert_uint_eq(job_done(&r->job[1]), 0);
	model_finish_task(r->model);
	rig_wait(model_pending(r->model) == 1);
	model_complete(r->model, 0);
	job_ends(&r->job[1], HBA_DONE);
	ck_assert_int_eq(stat_of(r, resets), 0);
	/* The stop's flushes are not held, or they would have the time of an abort. */
	tell(r, hold, false);
	tell(r, hold_tasks, false);
	rig_down(r);
}
END_TEST

/* A failure is a failure when no reset is under way. */
START_TEST(an_io_error_by_itself_is_not_sent_again)
{
	struct rig *r = rig_up(INVADER);

	tell(r, io_status, 0x2e);
	ck_assert_int_eq(job_run(job_rw(r, 0, LD0, DMA_FROM_DEVICE, 0, 1))->result, HBA_IO_ERROR);
	rig_down(r);
}
END_TEST

START_TEST(firmware_that_ignores_all_that_is_reset)
{
	struct rig *r = rig_up((enum model_gen)_i);
	struct job *j;

	tell(r, hold, true);
	tell(r, abort_kills, false);
	tell(r, reset_kills, false);
	tell(r, abort_response, 0x05);
	j = job_rw(r, 0, LD0, DMA_FROM_DEVICE, 0, 1);
	j->tmpl.timeout_ms = 20;
	job_submit(j);
	job_send_read(r, 1, LD5);
	job_ends(j, HBA_TIMEOUT);
	rig_wait(rig_was_reset(r, 1));
	ck_assert_uint_ge(seen(r, n_unit_reset), 1);
	ck_assert_uint_eq(seen(r, n_chip_reset), 1);
	/* The other one was sent again. */
	rig_wait(model_pending(r->model) == 1);
	model_complete(r->model, 0);
	job_ends(&r->job[1], HBA_DONE);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fusion task management");
	TCase *t = tcase_create("task");

	log_set_level(LOG_LV_ERR);
	tcase_set_timeout(t, 90);
	tcase_add_loop_test(t, an_abort_names_the_command, 0, 4);
	tcase_add_test(t, a_drive_is_named_by_its_handle);
	tcase_add_loop_test(t, a_drive_without_handle_is_not_aborted, 0, 2);
	tcase_add_test(t, more_aborts_than_there_are_frames_for);
	tcase_add_loop_test(t, the_number_that_an_abort_names_is_nobody_elses_until_it_is_answered, 0, 2);
	tcase_add_test(t, aborts_that_are_not_answered_cost_no_depth);
	tcase_add_loop_test(t, task_management_that_is_not_answered_costs_a_reset, 0, 8);
	tcase_add_test(t, a_refused_abort_resets_the_unit_and_nobody_else_notices);
	tcase_add_loop_test(t, what_a_unit_reset_takes_along_has_its_time_anew, 0, 4);
	tcase_add_test(t, an_io_error_by_itself_is_not_sent_again);
	tcase_add_loop_test(t, firmware_that_ignores_all_that_is_reset, 0, 4);
	suite_add_tcase(s, t);
	return run_suite(s);
}
