/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the box hangs, talks nonsense, restarts or goes. */
#include "rig.h"
#include "tests/unit/run_suite.h"

#include <string.h>

static struct rig *rig;

static void setup(void)
{
	rig = rig_up(BOX_3108);
}

static void teardown(void)
{
	/* The end has flushes of its own. */
	tell(rig, hold, false);
	rig_down(rig);
}

/* The rig once more, to be given other time limits before it starts. */
static struct ame_times *fresh(void)
{
	rig_down(rig);
	rig = rig_new(BOX_3108);
	return rig_times(rig);
}

static struct job *hold_one(unsigned n, unsigned unit, uint32_t timeout_ms)
{
	struct job *j = job_rw(rig, n, unit, DMA_TO_DEVICE, n, 1);
	unsigned before = model_pending(rig->model);

	tell(rig, hold, true);
	j->tmpl.timeout_ms = timeout_ms;
	job_submit(j);
	rig_wait(model_pending(rig->model) == before + 1);
	return j;
}

/* One that is at the box, which does not answer it before it has been reset. */
static struct job *hold_until_reset(unsigned n)
{
	struct job *j = hold_one(n, 0, 30000);

	tell(rig, hold, false);
	return j;
}

/* Nonsense: it costs the box a reset. */
static void say_nonsense(void)
{
	model_say(rig->model, 0x00000404);
}

/* The box is given up, and can do no harm any more. */
static void ends_with_the_box(struct job *j, enum hba_state state)
{
	job_ends(j, HBA_GONE);
	ck_assert(j->quiet);
	ck_assert_int_eq(hba_state(rig->h), state);
}

/* --- abort --- */

START_TEST(a_command_that_hangs_is_aborted)
{
	struct job *j = hold_one(0, 0, 20);

	job_ends(j, HBA_TIMEOUT);
	ck_assert_uint_eq(seen(rig, n_abort), 1);
	ck_assert_uint_eq(seen(rig, n_lun_reset), 0);
	ck_assert_uint_eq(stat_of(rig, resets), 0);
}
END_TEST

/* The command that was not meant is sent again and nobody above learns of it. */
START_TEST(a_refused_abort_becomes_a_reset_of_the_unit)
{
	struct job *other, *far, *j;

	tell(rig, tm, TM_LUN_ONLY);
	other = hold_one(1, 0, 30000);
	far = hold_one(2, 1, 30000);
	j = hold_one(0, 0, 30000);
	job_abort(j);
	job_ends(j, HBA_ABORTED);
	ck_assert_uint_eq(seen(rig, n_lun_reset), 1);
	/* other was swept away and came again, far was left alone */
	rig_wait(model_pending(rig->model) == 2);
	ck_assert_uint_eq(job_done(far), 0);
	model_complete(rig->model, 0);
	model_complete(rig->model, 0);
	job_ends_well(other);
	job_ends_well(far);
	ck_assert_uint_eq(stat_of(rig, resets), 0);
}
END_TEST

/* Nothing but the command's own answer proves that it is over. */
START_TEST(without_an_answer_the_box_is_reset_and_the_rest_sent_again)
{
	static const enum model_tm tms[] = {TM_UNKNOWN, TM_REFUSES, TM_SILENT};
	struct job *other, *j;

	tell(rig, tm, tms[_i]);
	other = hold_one(1, 1, 30000);
	j = hold_one(0, 0, 20);
	tell(rig, hold, false);
	job_wait(j);
	job_wait(other);
	ck_assert_int_eq(j->result, HBA_TIMEOUT);
	job_ends_well(other);
	ck_assert_uint_ge(seen(rig, n_reset), 1);
	/* The second abort of one that knows none is not even tried. */
	if (tms[_i] == TM_UNKNOWN) {
		unsigned before = seen(rig, n_abort);

		j = hold_one(2, 0, 20);
		tell(rig, hold, false);
		job_wait(j);
		ck_assert_uint_eq(seen(rig, n_abort), before);
	}
}
END_TEST

START_TEST(a_late_answer_to_an_abort_that_was_refused_still_counts)
{
	struct job *j;

	tell(rig, tm, TM_UNKNOWN);
	j = hold_one(0, 0, 30000);
	job_abort(j);
	rig_wait(seen(rig, n_abort) == 1);
	model_complete(rig->model, 0);
	job_ends_well(j);
}
END_TEST

/* --- reset --- */

START_TEST(recovery_follows_the_vendors_order)
{
	static const struct {
		uint32_t off, val;
	} steps[] = {{0xb8, 0x0001ffff}, {0x34, 0x0f}, {0xa0, 0x01}, {0x20, 0xffffffff}, {0xa0, 0x10},
		{0x20, 0x80000000}, {0xa0, 0x01}, {0xb4, 0}, {0x34, 0x01}};
	const struct model *m = rig->model;
	unsigned at = 0;

	tell(rig, n_write, 0);
	say_nonsense();
	rig_wait(stat_of(rig, resets) == 1 && hba_state(rig->h) == HBA_RUNNING);
	rig_wait(seen(rig, events_on));
	rig_wait(seen(rig, pad2) == 0x00010000);
	pthread_mutex_lock(&rig->fn->lock);
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		while (at < m->n_write &&
			(m->write[at].off != steps[i].off || m->write[at].val != steps[i].val))
			at++;
		ck_assert_msg(at++ < m->n_write, "step %u is missing", i);
	}
	pthread_mutex_unlock(&rig->fn->lock);
	ck_assert_uint_eq(seen(rig, n_reset), 1);
	rig_wait(seen(rig, n_frames) == 510);
}
END_TEST

START_TEST(a_341_recovers_too)
{
	struct job *j;

	rig_down(rig);
	rig = rig_up(_i ? BOX_2208 : BOX_341);
	j = hold_until_reset(0);
	say_nonsense();
	job_ends_well(j);
	ck_assert_uint_eq(seen(rig, n_reset), 1);
	rig_wait(seen(rig, n_frames) == 510);
}
END_TEST

static const uint32_t wild[] = {
	0x00000000,		/* identifier 0 */
	0x00000004,		/* in-band slot, which has nothing */
	0x0000001d,		/* low bits */
	0x000007f8,		/* the last slot: free */
	0x000007fc,		/* one beyond */
	0x7ffffffc, 0x80000000, /* a frame at 0 */
	0xfffffffe, 0xa0000001, /* anywhere */
};

START_TEST(wild_messages_cost_a_reset_and_no_request)
{
	struct job *j = hold_until_reset(0);

	model_say(rig->model, wild[_i]);
	job_ends_well(j);
	ck_assert_uint_eq(stat_of(rig, resets), 1);
	ck_assert_uint_eq(seen(rig, n_reset), 1);
}
END_TEST

static const struct {
	uint8_t function;
	uint32_t id;
} frames[] = {
	{0, 0},		 /* never written */
	{0, 0x00000004}, /* a slot of another function */
	{3, 0x00000004}, /* nothing is asked */
	{1, 0x00000010},
	{1, 0x00000020}, /* a SCSI request's slot */
	{0, 0xffffffff},
	{0, 0x80000020},
	{0, 0x00000021},
	{9, 0x00000020},
	{0xff, 0x00000020},
};

START_TEST(wild_frames_cost_a_reset_and_no_request)
{
	uint8_t reply[96] = {[3] = frames[_i].function,
		[4] = (uint8_t)frames[_i].id,
		[5] = (uint8_t)(frames[_i].id >> 8),
		[6] = (uint8_t)(frames[_i].id >> 16),
		[7] = (uint8_t)(frames[_i].id >> 24)};
	struct job *j = hold_one(0, 0, 30000);

	ck_assert_uint_eq(model_id(rig->model, 0), 0x20);
	tell(rig, hold, false);
	model_say_frame(rig->model, reply);
	job_ends_well(j);
	ck_assert_uint_eq(stat_of(rig, resets), 1);
}
END_TEST

START_TEST(a_reply_that_comes_twice_ends_nothing_twice)
{
	struct job *j = hold_one(0, 0, 30000), *next;
	uint32_t id = model_id(rig->model, 0);

	model_complete(rig->model, 0);
	job_ends_well(j);
	/* The next request has another slot, so it is not ended by this. */
	next = hold_one(1, 0, 30000);
	ck_assert_uint_ne(model_id(rig->model, 0), id);
	tell(rig, hold, false);
	model_say(rig->model, id);
	job_ends_well(next);
	ck_assert_int_eq(memcmp(rig->model->disk[0] + 512, next->buf, 512), 0);
	ck_assert_uint_eq(stat_of(rig, resets), 1);
}
END_TEST

START_TEST(a_frame_that_comes_twice_costs_a_reset)
{
	const uint8_t event[96] = {[3] = 2, [8] = 0x77};
	uint32_t low = model_say_frame(rig->model, event);

	rig_wait(seen(rig, reply_in) == seen(rig, reply_out));
	model_say(rig->model, 0x80000000u | low >> 1);
	rig_wait(stat_of(rig, resets) == 1 && hba_state(rig->h) == HBA_RUNNING);
}
END_TEST

START_TEST(a_storm_of_nonsense_ends)
{
	struct job *j;

	pthread_mutex_lock(&rig->fn->lock);
	for (unsigned i = 0; i < 4000; i++)
		rig->model->reply[rig->model->reply_in++ % MODEL_REPLIES] = i * 0x01234567u & 0x7fffffff;
	pthread_mutex_unlock(&rig->fn->lock);
	rig_wait(stat_of(rig, resets) >= 1 && hba_state(rig->h) == HBA_RUNNING);
	j = job_rw(rig, 0, 0, DMA_TO_DEVICE, 0, 1);
	job_ends_well(job_run(j));
}
END_TEST

/* It comes from a fault of firmware, not from the lists of a request: the request is ended by it. */
START_TEST(replies_full_of_nonsense_end_their_request_only)
{
	struct job *j;

	tell(rig, forced, true);
	for (unsigned i = 0; i < 300; i++) {
		pthread_mutex_lock(&rig->fn->lock);
		for (unsigned k = 0; k < 96; k++)
			rig->model->force_reply[k] = (uint8_t)(i * 37 + k * (i | 1));
		for (unsigned k = 0; k < 64; k++)
			rig->model->force_sense[k] = (uint8_t)(i * 91 ^ k * (i | 3));
		rig->model->force_reply[3] = 0;
		pthread_mutex_unlock(&rig->fn->lock);
		j = job_rw(rig, i, i % 3, i & 1 ? DMA_TO_DEVICE : DMA_FROM_DEVICE, 0, 8);
		job_run(j);
		ck_assert_uint_le(j->moved, 4096);
		ck_assert_uint_le(j->sense_len, 48);
	}
	ck_assert_uint_eq(stat_of(rig, resets), 0);
}
END_TEST

START_TEST(a_doorbell_that_cannot_be_cleared_costs_resets_and_then_the_box)
{
	tell(rig, stuck_doorbell, true);
	model_notice(rig->model, 0x20);
	rig_wait(hba_state(rig->h) == HBA_FAILED || stat_of(rig, resets) >= 2);
	tell(rig, stuck_doorbell, false);
	rig_wait(hba_state(rig->h) != HBA_RESETTING);
}
END_TEST

/* --- the box by itself --- */

START_TEST(a_flush_notice_costs_no_reset_of_the_function)
{
	struct job *j = hold_until_reset(0);

	model_notice(rig->model, 0x04);
	job_ends_well(j);
	ck_assert_uint_eq(stat_of(rig, resets), 1);
	ck_assert_uint_eq(seen(rig, n_reset), 0);
	ck_assert(seen(rig, fn.bus_master));
}
END_TEST

/* It may be saving its cache: it is neither reset nor spoken to before it has done so. */
START_TEST(a_box_that_gives_up_and_restarts_is_waited_for)
{
	struct job *j = hold_until_reset(0);

	model_notice(rig->model, 0x06);
	rig_wait(stat_of(rig, resets) == 1);
	clock_sleep_ms(30);
	ck_assert_uint_eq(model_wrote(rig->model, 0xb8, 0x0001ffff), 0);
	ck_assert_uint_eq(job_done(j), 0);
	model_restart(rig->model, _i);
	job_ends_well(j);
	ck_assert_uint_eq(seen(rig, n_reset), 0);
	ck_assert_uint_eq(stat_of(rig, resets), 1);
}
END_TEST

/* The restart that does not come is not waited for for ever; and what was given up need not be reset for that. */
START_TEST(a_box_that_gives_up_and_does_not_restart_is_spoken_to)
{
	struct job *j;

	fresh()->away = 50;
	rig_must_start(rig);
	j = hold_until_reset(0);
	model_notice(rig->model, 0x06);
	job_ends_well(j);
	ck_assert_uint_eq(seen(rig, n_reset), 0);
}
END_TEST

/* The mark was taken away by the first recovery, and nobody sets it again. */
START_TEST(firmware_that_survives_a_reset_is_spoken_to_again_and_again)
{
	struct job *j;

	fresh()->boot = 50;
	rig_must_start(rig);
	tell(rig, reset_keeps_firmware, true);
	for (unsigned i = 0; i < 3; i++) {
		j = hold_until_reset(i);
		say_nonsense();
		job_ends_well(j);
		ck_assert_uint_eq(seen(rig, n_reset), i + 1);
	}
}
END_TEST

START_TEST(a_box_that_restarts_is_waited_for)
{
	struct job *j = hold_until_reset(0);
	uint8_t bar[4];

	tell(rig, boot_reads, 30);
	if (_i == 1)
		model_notice(rig->model, 0x02);
	model_restart(rig->model, _i != 2);
	job_ends_well(j);
	ck_assert_uint_eq(stat_of(rig, resets), 1);
	/* It was not hit while it was down, and has its configuration again. */
	ck_assert_uint_eq(seen(rig, n_reset), 0);
	ck_assert_uint_eq(seen(rig, boot_reads), 0);
	pthread_mutex_lock(&rig->fn->lock);
	memcpy(bar, rig->fn->cfg + 0x14, 4);
	ck_assert_uint_eq(rig->fn->cfg[4] & 6, 6);
	pthread_mutex_unlock(&rig->fn->lock);
	ck_assert_uint_eq(bar[3], 0xf0);
	rig_wait(seen(rig, events_on));
}
END_TEST

START_TEST(nothing_is_sent_to_a_box_that_is_about_to_restart)
{
	struct job *j;
	unsigned before;

	rig_notice(rig, 0x02);
	before = seen(rig, n_cmds);
	j = job_rw(rig, 0, 0, DMA_TO_DEVICE, 0, 1);
	job_submit(j);
	clock_sleep_ms(20);
	ck_assert_uint_eq(seen(rig, n_cmds), before);
	model_restart(rig->model, true);
	job_ends_well(j);
	ck_assert_uint_eq(seen(rig, n_reset), 0);
}
END_TEST

START_TEST(a_pause_without_end_costs_a_reset)
{
	struct job *j;

	fresh()->pause = 30;
	rig_must_start(rig);
	rig_notice(rig, 0x08);
	j = job_rw(rig, 0, 0, DMA_TO_DEVICE, 0, 1);
	job_ends_well(job_run(j));
	ck_assert_uint_eq(stat_of(rig, resets), 1);
}
END_TEST

START_TEST(a_management_request_without_answer_costs_a_reset)
{
	fresh()->inband = 300;
	rig_must_start(rig);
	tell(rig, hold_inband, true);
	model_event(rig->model, 0x14);
	rig_wait(model_pending(rig->model) == 1);
	tell(rig, hold_inband, false);
	rig_wait(stat_of(rig, resets) == 1 && hba_state(rig->h) == HBA_RUNNING);
}
END_TEST

/* --- the end --- */

START_TEST(firmware_that_stays_down_is_tried_again_and_then_given_up)
{
	struct job *j;

	fresh()->ready = 200;
	rig_must_start(rig);
	j = hold_one(0, 0, 30000);
	tell(rig, reset_kills, true);
	say_nonsense();
	ends_with_the_box(j, HBA_FAILED);
	ck_assert_uint_eq(seen(rig, n_reset), 3);
}
END_TEST

START_TEST(firmware_that_does_not_come_up_is_tried_again_and_then_given_up)
{
	struct ame_times *times = fresh();
	struct job *j;

	times->boot = 200;
	times->ready = 200;
	rig_must_start(rig);
	j = hold_one(0, 0, 30000);
	tell(rig, boot_reads, 1000000000);
	say_nonsense();
	ends_with_the_box(j, HBA_FAILED);
	ck_assert_uint_eq(seen(rig, n_reset), 3);
}
END_TEST

/* Then nobody knows when a command that hangs ends, and its memory is not given back while it might be written. */
START_TEST(a_function_that_cannot_be_reset_is_given_up)
{
	struct job *j = hold_one(0, 0, 30000);

	tell(rig, reset_fails, true);
	say_nonsense();
	ends_with_the_box(j, HBA_FAILED);
}
END_TEST

START_TEST(a_box_that_is_gone_is_noticed)
{
	struct job *j;

	rig_down(rig);
	rig = rig_up((enum model_family)(_i % 3));
	j = hold_one(0, 0, 30000);
	/* With an interrupt, or by the tick alone. */
	tell(rig, fn.gone, true);
	if (_i < 3)
		fn_interrupt(rig->fn);
	ends_with_the_box(j, HBA_REMOVED);
	tell(rig, fn.gone, false);
}
END_TEST

START_TEST(a_box_that_goes_in_a_reset_is_noticed)
{
	struct job *j = hold_one(0, 0, 30000);

	tell(rig, boot_reads, 1000000000);
	say_nonsense();
	rig_wait(seen(rig, n_reset) == 1);
	tell(rig, fn.gone, true);
	ends_with_the_box(j, HBA_REMOVED);
	tell(rig, fn.gone, false);
}
END_TEST

/* One that said that it restarts may be away for a while. */
START_TEST(a_box_that_goes_to_restart_may_be_away)
{
	struct job *j;

	rig_notice(rig, 0x02);
	j = job_rw(rig, 0, 0, DMA_TO_DEVICE, 0, 1);
	job_submit(j);
	tell(rig, fn.gone, true);
	rig_wait(stat_of(rig, resets) == 1);
	clock_sleep_ms(20);
	ck_assert_int_eq(hba_state(rig->h), HBA_RESETTING);
	model_restart(rig->model, true);
	tell(rig, fn.gone, false);
	job_ends_well(j);
}
END_TEST

START_TEST(a_flush_in_several_steps_survives_a_reset)
{
	struct job *j = job_flush(rig, 0, 0);

	tell(rig, no_sync10, true);
	tell(rig, hold, true);
	job_submit(j);
	rig_wait(model_pending(rig->model) == 1);
	model_complete(rig->model, 0);
	rig_wait(model_pending(rig->model) == 1); /* the long one */
	tell(rig, hold, false);
	say_nonsense();
	job_ends_well(j);
	/* From its first step again. */
	ck_assert_uint_eq(seen(rig, n_sync10), 2);
	ck_assert_uint_eq(seen(rig, n_sync16), 1);
}
END_TEST

START_TEST(what_must_not_run_twice_is_ended)
{
	static const uint8_t caw[] = {0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0};
	struct job *j = job_cdb(rig, 0, 0, caw, 16, DMA_TO_DEVICE, 1024);

	tell(rig, hold, true);
	j->tmpl.no_reissue = true;
	job_submit(j);
	rig_wait(model_pending(rig->model) == 1);
	say_nonsense();
	job_ends(j, HBA_ABORTED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("AME recovery");
	TCase *t = tcase_create("3108");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_command_that_hangs_is_aborted);
	tcase_add_test(t, a_refused_abort_becomes_a_reset_of_the_unit);
	tcase_add_loop_test(t, without_an_answer_the_box_is_reset_and_the_rest_sent_again, 0, 3);
	tcase_add_test(t, a_late_answer_to_an_abort_that_was_refused_still_counts);
	tcase_add_test(t, recovery_follows_the_vendors_order);
	tcase_add_loop_test(t, a_341_recovers_too, 0, 2);
	tcase_add_loop_test(t, wild_messages_cost_a_reset_and_no_request, 0, (int)ARRAY_SIZE(wild));
	tcase_add_loop_test(t, wild_frames_cost_a_reset_and_no_request, 0, (int)ARRAY_SIZE(frames));
	tcase_add_test(t, a_reply_that_comes_twice_ends_nothing_twice);
	tcase_add_test(t, a_frame_that_comes_twice_costs_a_reset);
	tcase_add_test(t, a_storm_of_nonsense_ends);
	tcase_add_test(t, replies_full_of_nonsense_end_their_request_only);
	tcase_add_test(t, a_doorbell_that_cannot_be_cleared_costs_resets_and_then_the_box);
	tcase_add_test(t, a_flush_notice_costs_no_reset_of_the_function);
	tcase_add_loop_test(t, a_box_that_gives_up_and_restarts_is_waited_for, 0, 2);
	tcase_add_test(t, a_box_that_gives_up_and_does_not_restart_is_spoken_to);
	tcase_add_test(t, firmware_that_survives_a_reset_is_spoken_to_again_and_again);
	tcase_add_loop_test(t, a_box_that_restarts_is_waited_for, 0, 3);
	tcase_add_test(t, nothing_is_sent_to_a_box_that_is_about_to_restart);
	tcase_add_test(t, a_pause_without_end_costs_a_reset);
	tcase_add_test(t, a_management_request_without_answer_costs_a_reset);
	tcase_add_test(t, firmware_that_stays_down_is_tried_again_and_then_given_up);
	tcase_add_test(t, firmware_that_does_not_come_up_is_tried_again_and_then_given_up);
	tcase_add_test(t, a_function_that_cannot_be_reset_is_given_up);
	tcase_add_loop_test(t, a_box_that_is_gone_is_noticed, 0, 6);
	tcase_add_test(t, a_box_that_goes_in_a_reset_is_noticed);
	tcase_add_test(t, a_box_that_goes_to_restart_may_be_away);
	tcase_add_test(t, a_flush_in_several_steps_survives_a_reset);
	tcase_add_test(t, what_must_not_run_twice_is_ended);
	suite_add_tcase(s, t);
	return run_suite(s);
}
