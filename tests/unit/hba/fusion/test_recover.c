/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fusion controllers: task management, controller reset, events, and firmware that talks nonsense. */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

static bool is_reset(struct rig *r, unsigned times)
{
	return stat_of(r, resets) >= times && hba_state(r->h) == HBA_RUNNING;
}

static struct job *held_read(struct rig *r, unsigned n, unsigned unit)
{
	struct job *j = job_rw(r, n, unit, DMA_FROM_DEVICE, n, 1);

	job_submit(j);
	return j;
}

/* --- task management --- */

START_TEST(an_abort_names_the_command)
{
	struct rig *r = rig_up((enum model_gen)_i);
	struct job *j;
	uint16_t smid;

	tell(r, hold, true);
	held_read(r, 0, LD0);
	j = held_read(r, 1, LD5);
	smid = model_smid(r->model, 1);
	job_abort(j);
	job_wait(j);
	ck_assert_int_eq(j->result, HBA_ABORTED);
	ck_assert_uint_eq(seen(r, n_abort), 1);
	ck_assert_uint_eq(seen(r, last_task[0]), 5);
	ck_assert_uint_eq(seen(r, last_task[0x30]), smid & 0xff);
	ck_assert_uint_eq(seen(r, last_task[0x80]), 1);
	model_complete(r->model, 0);
	job_wait(&r->job[0]);
	ck_assert_int_eq(r->job[0].result, HBA_DONE);
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
	j = held_read(r, 0, PD8);
	job_abort(j);
	job_wait(j);
	ck_assert_int_eq(j->result, HBA_ABORTED);
	ck_assert_uint_eq(seen(r, last_task[0]), 0x19);
	ck_assert_uint_eq(seen(r, last_task[0x80]), 2);
	rig_down(r);
}
END_TEST

/* Without a handle, nobody could say which drive the abort hits. */
START_TEST(a_drive_without_handle_is_not_aborted)
{
	struct rig *r = rig_up(INVADER);
	struct job *j;

	tell(r, hold, true);
	j = job_rw(r, 0, PD8, DMA_FROM_DEVICE, 0, 1);
	j->tmpl.timeout_ms = 50;
	job_submit(j);
	rig_wait(is_reset(r, 1));
	job_wait(j);
	ck_assert_int_eq(j->result, HBA_TIMEOUT);
	ck_assert_uint_eq(seen(r, n_abort), 0);
	rig_down(r);
}
END_TEST

START_TEST(more_aborts_than_there_are_frames_for)
{
	struct rig *r = rig_up(INVADER);

	tell(r, hold, true);
	for (unsigned n = 0; n < 50; n++)
		held_read(r, n, n % 2);
	tell(r, hold_tasks, true);
	for (unsigned n = 0; n < 50; n++)
		job_abort(&r->job[n]);
	ck_assert_uint_eq(seen(r, n_tasks), 4);
	for (unsigned n = 0; n < 50; n++) {
		rig_wait(model_task_waits(r->model));
		model_finish_task(r->model);
	}
	for (unsigned n = 0; n < 50; n++) {
		job_wait(&r->job[n]);
		ck_assert_int_eq(r->job[n].result, HBA_ABORTED);
	}
	rig_down(r);
}
END_TEST

START_TEST(a_refused_abort_resets_the_unit_and_nobody_else_notices)
{
	struct rig *r = rig_new(INVADER);
	struct job *victim;

	r->ladder.abort_ms = 60000;
	rig_must_start(r);
	tell(r, hold, true);
	tell(r, abort_response, 0x05);
	tell(r, abort_kills, false);
	victim = held_read(r, 0, LD0);
	held_read(r, 1, LD0);
	held_read(r, 2, LD5);
	tell(r, hold_tasks, true);
	job_abort(victim);
	rig_wait(model_task_waits(r->model));
	/* The abort is refused; the reset waits; both commands of the unit end with it. */
	model_finish_task(r->model);
	rig_wait(seen(r, n_unit_reset) == 1);
	model_finish_task(r->model);
	job_wait(victim);
	ck_assert_int_eq(victim->result, HBA_ABORTED);
	/* Its neighbour was sent again, and so is at firmware as before. */
	rig_wait(model_pending(r->model) == 2);
	ck_assert_uint_eq(job_done(&r->job[1]), 0);
	tell(r, hold_tasks, false);
	while (model_pending(r->model))
		model_complete(r->model, 0);
	for (unsigned n = 1; n < 3; n++) {
		job_wait(&r->job[n]);
		ck_assert_int_eq(r->job[n].result, HBA_DONE);
	}
	ck_assert_uint_eq(seen(r, last_task[0x05]), 5);
	ck_assert_int_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

/* A failure is a failure when no reset is under way. */
START_TEST(an_io_error_by_itself_is_not_sent_again)
{
	struct rig *r = rig_up(INVADER);

	tell(r, io_status, 0x2e);
	job_submit(job_rw(r, 0, LD0, DMA_FROM_DEVICE, 0, 1));
	job_wait(&r->job[0]);
	ck_assert_int_eq(r->job[0].result, HBA_IO_ERROR);
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
	held_read(r, 1, LD5);
	job_wait(j);
	ck_assert_int_eq(j->result, HBA_TIMEOUT);
	rig_wait(is_reset(r, 1));
	ck_assert_uint_ge(seen(r, n_unit_reset), 1);
	ck_assert_uint_eq(seen(r, n_chip_reset), 1);
	/* The other one was sent again. */
	rig_wait(model_pending(r->model) == 1);
	model_complete(r->model, 0);
	job_wait(&r->job[1]);
	ck_assert_int_eq(r->job[1].result, HBA_DONE);
	rig_down(r);
}
END_TEST

/* --- reset --- */

START_TEST(a_fault_sends_everything_again)
{
	struct rig *r = rig_up((enum model_gen)_i);

	tell(r, hold, true);
	for (unsigned n = 0; n < 100; n++)
		held_read(r, n, n % 3);
	tell(r, hold, false);
	model_set_state(r->model, 0xf);
	for (unsigned n = 0; n < 100; n++) {
		job_wait(&r->job[n]);
		ck_assert_int_eq(r->job[n].result, HBA_DONE);
	}
	ck_assert_uint_eq(seen(r, n_init), 2);
	ck_assert_uint_eq(seen(r, n_chip_reset), 1);
	/* The wait for events went on where it was. */
	rig_wait(seen(r, n_event_wait) == 2);
	ck_assert_uint_eq(seen(r, event_from), 1000);
	rig_down(r);
}
END_TEST

START_TEST(what_was_answered_before_the_fault_is_not_run_again)
{
	struct rig *r = rig_up(INVADER);
	struct job *j;

	tell(r, hold, true);
	j = job_rw(r, 0, LD0, DMA_TO_DEVICE, 0, 1);
	job_submit(j);
	pthread_mutex_lock(&r->model->fn.lock);
	r->model->mask = UINT32_MAX; /* no interrupt tells of it */
	r->model->state = 0xf;
	pthread_mutex_unlock(&r->model->fn.lock);
	model_complete(r->model, 0);
	rig_wait(is_reset(r, 1));
	job_wait(j);
	ck_assert_int_eq(j->result, HBA_DONE);
	ck_assert_uint_eq(model_pending(r->model), 0);
	rig_down(r);
}
END_TEST

START_TEST(the_second_or_third_reset_may_help)
{
	struct rig *r = rig_up(INVADER);

	rig_times(r)->state = rig_times(r)->diag_end = 30;
	tell(r, resets_fail, 2);
	model_set_state(r->model, 0xf);
	rig_wait(is_reset(r, 1));
	ck_assert_uint_eq(seen(r, n_chip_reset), 3);
	job_submit(job_rw(r, 0, LD0, DMA_FROM_DEVICE, 0, 1));
	job_wait(&r->job[0]);
	ck_assert_int_eq(r->job[0].result, HBA_DONE);
	rig_down(r);
}
END_TEST

enum { DEAD_CHIP, FAULTS_AGAIN, REFUSED_INIT, SILENT_INIT, NO_RESET_BIT, SMALLER_OFFER, N_HOPELESS };

START_TEST(a_reset_that_never_helps_ends_everything)
{
	struct rig *r = rig_up(INVADER);

	rig_times(r)->state = rig_times(r)->diag_end = rig_times(r)->dcmd = 20;
	tell(r, hold, true);
	held_read(r, 0, LD0);
	tell(r, chip_dead, _i == DEAD_CHIP);
	tell(r, resets_fail, _i == FAULTS_AGAIN ? 100 : 0);
	tell(r, init_status, _i == REFUSED_INIT ? 3 : 0);
	tell(r, init_silent, _i == SILENT_INIT);
	if (_i == SMALLER_OFFER)
		tell(r, ext_cmds, 499);
	if (_i == NO_RESET_BIT)
		tell(r, fault_bits, 0x01000001);
	model_set_state(r->model, 0xf);
	rig_wait(hba_state(r->h) == HBA_FAILED);
	job_wait(&r->job[0]);
	ck_assert_int_eq(r->job[0].result, HBA_GONE);
	ck_assert(r->job[0].quiet);
	ck_assert_uint_eq(seen(r, n_chip_reset), _i == NO_RESET_BIT ? 0 : _i == SMALLER_OFFER ? 1 : 3);
	rig_down(r);
}
END_TEST

START_TEST(resets_may_be_forbidden)
{
	struct rig *r = rig_new(INVADER);

	r->model->no_ocr = true;
	rig_must_start(r);
	tell(r, hold, true);
	held_read(r, 0, LD0);
	model_set_state(r->model, 0xf);
	job_wait(&r->job[0]);
	ck_assert_int_eq(r->job[0].result, HBA_GONE);
	ck_assert_uint_eq(seen(r, n_chip_reset), 0);
	rig_down(r);
}
END_TEST

START_TEST(firmware_that_writes_out_its_cache_is_not_interrupted)
{
	struct rig *r = rig_up(INVADER);
	static const uint32_t states[] = {0xa, 0xa, 0xa, 0xa, 0xa, 0xa, 0xa, 0xa, 0xc};

	pthread_mutex_lock(&r->model->fn.lock);
	memcpy(r->model->boot, states, sizeof(states));
	r->model->boot_n = ARRAY_SIZE(states);
	pthread_mutex_unlock(&r->model->fn.lock);
	/* A wild reply: the reset finds firmware busy. */
	model_post(r->model, 0, 0x3ff0000);
	rig_wait(stat_of(r, resets) == 1 && hba_state(r->h) == HBA_RUNNING);
	ck_assert_uint_eq(seen(r, boot_at), ARRAY_SIZE(states));
	ck_assert_uint_eq(seen(r, n_chip_reset), 1);
	rig_down(r);
}
END_TEST

START_TEST(a_device_that_is_gone_ends_everything)
{
	struct rig *r = rig_up((enum model_gen)_i);

	tell(r, hold, true);
	for (unsigned n = 0; n < 20; n++)
		held_read(r, n, n % 3);
	job_submit(job_flush(r, 20, LD0));
	tell(r, fn.gone, true);
	rig_wait(hba_state(r->h) == HBA_REMOVED);
	for (unsigned n = 0; n < 21; n++) {
		job_wait(&r->job[n]);
		ck_assert_int_eq(r->job[n].result, HBA_GONE);
		ck_assert(r->job[n].quiet);
	}
	tell(r, fn.gone, false);
	rig_down(r);
}
END_TEST

/* --- nonsense --- */

/* Numbers 1 to 489 are requests', to 495 management's, to 499 task management's. */
static const struct {
	uint64_t desc;
	unsigned queue;
} wild[] = {
	{0x0000000000000000, 0},
	{0x00000000000000ff, 3},
	{0x0000000001f40000, 0}, /* 500: beyond the last */
	{0x00000000ffff0000, 1},
	{0x00000000fffe00ff, 15},
	{0x000000000003000f, 0}, /* 3: one of ours, and not at firmware */
	{0x0000000001ea0000, 0}, /* the polled slot */
	{0x0000000001eb0000, 0}, /* the flush */
	{0x0000000001f00000, 0}, /* task management */
	{0x7fffffff12345678, 2},
};

START_TEST(a_reply_that_names_nobody_costs_a_reset)
{
	struct rig *r = rig_up((enum model_gen)_i);

	/* Firmware of this generation has no pad for depth: the numbers end earlier, which is as wild. */
	for (unsigned i = 0; i < ARRAY_SIZE(wild); i++) {
		unsigned queue = _i == THUNDERBOLT ? wild[i].queue % 8 : wild[i].queue;

		tell(r, hold, true);
		/* Others are at work: the first numbers are not free any more, nor theirs. */
		for (unsigned n = 0; n < 10; n++)
			job_submit(job_rw(r, n, n % 3, DMA_FROM_DEVICE, n, 1));
		tell(r, hold, false);
		model_post(r->model, queue, i == 5 ? 0x1e00000f : wild[i].desc);
		for (unsigned n = 0; n < 10; n++) {
			job_wait(&r->job[n]);
			ck_assert_int_eq(r->job[n].result, HBA_DONE);
		}
		rig_wait(is_reset(r, i + 1));
	}
	rig_down(r);
}
END_TEST

START_TEST(a_reply_that_comes_twice_completes_nobody_twice)
{
	struct rig *r = rig_up(INVADER);
	uint16_t first;

	tell(r, hold, true);
	held_read(r, 0, LD0);
	first = model_smid(r->model, 0);
	model_complete(r->model, 0);
	job_wait(&r->job[0]);
	/* The next requests have other numbers, although one alone is there at a time. */
	for (unsigned n = 1; n < 10; n++)
		held_read(r, n, LD0);
	tell(r, hold, false);
	model_post(r->model, 0, (uint64_t)first << 16);
	rig_wait(is_reset(r, 1));
	for (unsigned n = 0; n < 10; n++)
		job_wait(&r->job[n]);
	rig_down(r);
}
END_TEST

/* Either half all ones: firmware has not written all of it yet. */
START_TEST(half_a_descriptor_is_none)
{
	struct rig *r = rig_up(INVADER);

	model_post(r->model, 5, 0xffffffff00010000);
	model_post(r->model, 6, 0x00000000ffffffff);
	for (unsigned n = 0; n < 64; n++)
		job_submit(job_cdb(r, n, LD0, (const uint8_t[6]){0}, 6, DMA_NONE, 0)); /* queue 0 */
	for (unsigned n = 0; n < 64; n++)
		job_wait(&r->job[n]);
	ck_assert_int_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

/* --- events --- */

START_TEST(a_drive_that_goes_offline_is_noticed)
{
	struct rig *r = rig_up((enum model_gen)_i);

	rig_wait(seen(r, n_event_wait) == 1);
	ck_assert_uint_eq(seen(r, event_from), 1000);
	ck_assert_uint_eq(seen(r, event_filter), 0x0000ffff);
	tell(r, ld_state[1], 0);
	model_event(r->model, 0x51, "state of VD 5 changed\n\x01");
	rig_wait(__atomic_load_n(&r->h->unit[LD5].state, __ATOMIC_RELAXED) == HBA_UNIT_OFFLINE);
	rig_wait(seen(r, n_event_wait) == 2);
	ck_assert_uint_eq(seen(r, event_from), 1001);
	tell(r, ld_state[1], 2);
	model_event(r->model, 0x8a, "created");
	rig_wait(__atomic_load_n(&r->h->unit[LD5].state, __ATOMIC_RELAXED) == HBA_UNIT_DEGRADED);
	ck_assert_int_eq(r->h->unit[LD0].state, HBA_UNIT_OPTIMAL);
	rig_down(r);
}
END_TEST

START_TEST(a_drive_that_is_pulled_is_noticed_and_its_handle_forgotten)
{
	struct rig *r = rig_new(INVADER);

	r->model->pd_map = true;
	rig_must_start(r);
	rig_wait(seen(r, n_event_wait) == 1);
	tell(r, pd_gone, true);
	tell(r, pd_handle, 0xffff);
	model_event(r->model, 0x70, "removed");
	rig_wait(seen(r, n_event_wait) == 2);
	ck_assert_int_eq(r->h->unit[PD8].state, HBA_UNIT_OFFLINE);
	tell(r, pd_gone, false);
	tell(r, pd_handle, 0x33);
	model_event(r->model, 0x5b, "inserted");
	rig_wait(seen(r, n_event_wait) == 3);
	ck_assert_int_eq(r->h->unit[PD8].state, HBA_UNIT_OPTIMAL);
	job_submit(job_rw(r, 0, PD8, DMA_FROM_DEVICE, 0, 1));
	job_wait(&r->job[0]);
	ck_assert_int_eq(r->job[0].result, HBA_DONE);
	ck_assert_uint_eq(seen(r, n_fast_path), 1);
	rig_down(r);
}
END_TEST

START_TEST(what_happened_during_a_reset_is_told_after_it)
{
	struct rig *r = rig_up(INVADER);

	tell(r, ld_state[0], 1);
	model_event_missed(r->model, 0xfc);
	model_set_state(r->model, 0xf);
	rig_wait(__atomic_load_n(&r->h->unit[LD0].state, __ATOMIC_RELAXED) == HBA_UNIT_DEGRADED);
	ck_assert_uint_ge(stat_of(r, resets), 1);
	rig_down(r);
}
END_TEST

START_TEST(events_that_change_nothing_ask_nothing)
{
	struct rig *r = rig_up(INVADER);
	unsigned lists = seen(r, n_ld_list);

	for (unsigned n = 0; n < 200; n++) {
		rig_wait(seen(r, n_event_wait) == n + 1);
		model_event(r->model, 0x12f, "storm");
	}
	rig_wait(seen(r, n_event_wait) == 201);
	ck_assert_uint_eq(seen(r, n_ld_list), lists);
	rig_down(r);
}
END_TEST

/* A list that makes no sense changes nothing; the wait goes on. */
START_TEST(a_list_without_sense_is_ignored)
{
	struct rig *r = rig_up(INVADER);

	tell(r, ld_count, 0xffffffff);
	model_event(r->model, 0x51, "");
	rig_wait(seen(r, n_event_wait) == 2);
	ck_assert_int_eq(r->h->unit[LD0].state, HBA_UNIT_OPTIMAL);
	rig_down(r);
}
END_TEST

START_TEST(firmware_without_events_is_not_asked_again)
{
	struct rig *r = rig_new(INVADER);

	r->model->event_info_status = 2;
	r->model->event_status = 2;
	rig_must_start(r);
	rig_wait(seen(r, n_event_wait) == 1);
	job_submit(job_rw(r, 0, LD0, DMA_FROM_DEVICE, 0, 1));
	job_wait(&r->job[0]);
	ck_assert_uint_eq(seen(r, n_event_wait), 1);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fusion recovery");
	TCase *t = tcase_create("recovery");
	SRunner *sr;
	int failed;

	log_set_level(LOG_LV_ERR);
	tcase_set_timeout(t, 90);
	tcase_add_loop_test(t, an_abort_names_the_command, 0, 4);
	tcase_add_test(t, a_drive_is_named_by_its_handle);
	tcase_add_test(t, a_drive_without_handle_is_not_aborted);
	tcase_add_test(t, more_aborts_than_there_are_frames_for);
	tcase_add_test(t, a_refused_abort_resets_the_unit_and_nobody_else_notices);
	tcase_add_test(t, an_io_error_by_itself_is_not_sent_again);
	tcase_add_loop_test(t, firmware_that_ignores_all_that_is_reset, 0, 4);
	tcase_add_loop_test(t, a_fault_sends_everything_again, 0, 4);
	tcase_add_test(t, what_was_answered_before_the_fault_is_not_run_again);
	tcase_add_test(t, the_second_or_third_reset_may_help);
	tcase_add_loop_test(t, a_reset_that_never_helps_ends_everything, 0, N_HOPELESS);
	tcase_add_test(t, resets_may_be_forbidden);
	tcase_add_test(t, firmware_that_writes_out_its_cache_is_not_interrupted);
	tcase_add_loop_test(t, a_device_that_is_gone_ends_everything, 0, 4);
	tcase_add_loop_test(t, a_reply_that_names_nobody_costs_a_reset, 0, 2);
	tcase_add_test(t, a_reply_that_comes_twice_completes_nobody_twice);
	tcase_add_test(t, half_a_descriptor_is_none);
	tcase_add_loop_test(t, a_drive_that_goes_offline_is_noticed, 0, 4);
	tcase_add_test(t, a_drive_that_is_pulled_is_noticed_and_its_handle_forgotten);
	tcase_add_test(t, what_happened_during_a_reset_is_told_after_it);
	tcase_add_test(t, events_that_change_nothing_ask_nothing);
	tcase_add_test(t, a_list_without_sense_is_ignored);
	tcase_add_test(t, firmware_without_events_is_not_asked_again);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
