/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MFI controllers: events, what they make the driver ask, and firmware that tells of none. */
#include "rig.h"
#include "handover.h"
#include "tests/unit/run_suite.h"

static const enum model_gen gens[] = {GEN1, GEN2, SKINNY};

enum { LD0, LD1, LD2, PD8 }; /* units of the model, as the driver finds them */

static struct rig *new_with_drives(enum model_gen gen)
{
	struct rig *r = rig_new(gen);

	r->model->pd_count = 2;
	r->model->pd_ids[0] = 8;
	r->model->pd_ids[1] = 252;
	r->model->pd_types[1] = 0x0d; /* an enclosure */
	return r;
}

static struct rig *up_with_drives(enum model_gen gen)
{
	struct rig *r = new_with_drives(gen);

	rig_must_start(r);
	rig_wait(seen(r, n_event_wait) == 1);
	return r;
}

static enum hba_unit_state state_of(const struct rig *r, unsigned unit)
{
	return __atomic_load_n(&r->h->unit[unit].state, __ATOMIC_RELAXED);
}

static uint32_t outages(const struct rig *r, unsigned unit)
{
	return __atomic_load_n(&r->h->unit[unit].outages, __ATOMIC_RELAXED);
}

static bool is_lost(const struct rig *r)
{
	return __atomic_load_n(&mfi_of(r->h)->event.lost, __ATOMIC_RELAXED);
}

static void must_do_io(struct rig *r)
{
	for (unsigned n = 0; n < 10; n++)
		ck_assert_int_eq(job_run(job_rw(r, n, n % 2, DMA_FROM_DEVICE, 0, 1))->result, HBA_DONE);
	ck_assert_int_eq(stat_of(r, resets), 0);
}

/* --- news --- */

START_TEST(a_drive_that_goes_offline_is_noticed)
{
	struct rig *r = up_with_drives(gens[_i]);

	ck_assert_uint_eq(seen(r, event_from), 1000);
	ck_assert_uint_eq(seen(r, event_filter), 0x0000ffff);
	tell(r, ld_state[1], 0);
	model_event(r->model, 0x51, "state of VD 1 changed\n\x01");
	rig_wait(state_of(r, LD1) == HBA_UNIT_OFFLINE);
	rig_wait(seen(r, n_event_wait) == 2);
	ck_assert_uint_eq(seen(r, event_from), 1001);
	tell(r, ld_state[1], 1);
	model_event(r->model, 0x8a, "created");
	rig_wait(state_of(r, LD1) == HBA_UNIT_DEGRADED);
	ck_assert_int_eq(state_of(r, LD0), HBA_UNIT_OPTIMAL);
	must_do_io(r);
	rig_down(r);
}
END_TEST

START_TEST(a_new_drive_is_a_unit)
{
	struct rig *r = rig_new(gens[_i]);

	r->model->ld_count = 2;
	rig_must_start(r);
	rig_wait(seen(r, n_event_wait) == 1);
	ck_assert_uint_eq(hba_n_units(r->h), 2);
	tell(r, ld_count, 3);
	tell(r, ld_state[2], 3);
	model_event(r->model, 0x8a, "created");
	rig_wait(hba_n_units(r->h) == 3);
	ck_assert_str_eq(r->h->unit[LD2].name, "ld2");
	ck_assert_int_eq(job_run(job_rw(r, 0, LD2, DMA_FROM_DEVICE, 0, 1))->result, HBA_DONE);
	/* Gone, and known. */
	rig_wait(seen(r, n_event_wait) == 2);
	tell(r, ld_count, 2);
	model_event(r->model, 0x8b, "deleted");
	rig_wait(state_of(r, LD2) == HBA_UNIT_OFFLINE);
	rig_wait(seen(r, n_event_wait) == 3);
	ck_assert_uint_eq(outages(r, LD2), 1);
	rig_down(r);
}
END_TEST

START_TEST(another_size_is_news)
{
	struct rig *r = rig_up(gens[_i]);
	uint32_t news = hba_unit_news(r->h);

	model_event(r->model, 0x51, "");
	rig_wait(seen(r, n_event_wait) == 2);
	ck_assert_uint_eq(hba_unit_news(r->h), news);
	tell(r, ld_blocks, 2 * MODEL_LD_BLOCKS);
	model_event(r->model, 0x51, "");
	rig_wait(seen(r, n_event_wait) == 3);
	ck_assert_uint_ne(hba_unit_news(r->h), news);
	/* Once. */
	news = hba_unit_news(r->h);
	model_event(r->model, 0x51, "");
	rig_wait(seen(r, n_event_wait) == 4);
	ck_assert_uint_eq(hba_unit_news(r->h), news);
	/* As it was when hbad began with it. */
	tell(r, ld_blocks, MODEL_LD_BLOCKS);
	model_event(r->model, 0x51, "");
	rig_wait(seen(r, n_event_wait) == 5);
	ck_assert_uint_ne(hba_unit_news(r->h), news);
	rig_down(r);
}
END_TEST

/* The list has it, as if nothing had been; but its cache had no power for a while. */
START_TEST(a_drive_that_is_pulled_counts_once_each_time)
{
	struct rig *r = up_with_drives(gens[_i]);

	for (unsigned n = 0; n < 3; n++) {
		rig_wait(seen(r, n_event_wait) == 1 + 2 * n);
		tell(r, pd_count, n == 1 ? 2 : 0);
		model_drive_event(r->model, 0x70, 8);
		rig_wait(seen(r, n_event_wait) == 2 + 2 * n);
		ck_assert_uint_eq(outages(r, PD8), n + 1);
		ck_assert_int_eq(state_of(r, PD8), n == 1 ? HBA_UNIT_OPTIMAL : HBA_UNIT_OFFLINE);
		tell(r, pd_count, 2);
		model_drive_event(r->model, 0x5b, 8);
		rig_wait(seen(r, n_event_wait) == 3 + 2 * n);
		ck_assert_int_eq(state_of(r, PD8), HBA_UNIT_OPTIMAL);
	}
	ck_assert_uint_eq(outages(r, LD0) + outages(r, LD1), 0);
	rig_down(r);
}
END_TEST

/* A target is one byte of an MFI frame: cut, this one's would be another drive. QEMU has such ids. */
START_TEST(a_drive_that_no_frame_can_name_is_left_out)
{
	struct rig *r = up_with_drives(gens[_i]);

	ck_assert_uint_eq(hba_n_units(r->h), 4);
	tell(r, pd_ids[1], 0x108);
	tell(r, pd_types[1], 0);
	model_drive_event(r->model, 0x5b, 0x108);
	rig_wait(seen(r, n_event_wait) == 2);
	ck_assert_uint_eq(hba_n_units(r->h), 4);
	rig_down(r);
}
END_TEST

START_TEST(events_that_change_nothing_ask_nothing)
{
	struct rig *r = rig_up(GEN2);
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

/* Between the list of the start and the end of the log: the list is read again. */
START_TEST(what_happens_before_the_first_wait_is_found)
{
	struct rig *r = rig_new(gens[_i]);

	r->model->info_changes_ld = true;
	rig_must_start(r);
	rig_wait(seen(r, n_event_wait) == 1);
	ck_assert_int_eq(state_of(r, LD0), HBA_UNIT_OFFLINE);
	rig_down(r);
}
END_TEST

/* --- resets --- */

START_TEST(what_happened_during_a_reset_is_told_after_it)
{
	struct rig *r = rig_up(gens[_i]);
	unsigned lists = seen(r, n_ld_list);

	model_event_missed(r->model, 0xfc);
	model_set_state(r->model, 0xf);
	rig_wait(seen(r, event_from) == 1001);
	ck_assert_uint_ge(stat_of(r, resets), 1);
	/* Once for the reset, and once for the event. */
	ck_assert_uint_ge(seen(r, n_ld_list), lists + 2);
	ck_assert_uint_eq(seen(r, n_event_info), 1);
	rig_down(r);
}
END_TEST

/* Its log may have lost its end with the firmware that died: the lists tell all the same. */
START_TEST(what_no_event_tells_after_a_reset_is_found)
{
	struct rig *r = up_with_drives(gens[_i]);

	tell(r, ld_state[0], 1);
	tell(r, pd_count, 0);
	model_set_state(r->model, 0xf);
	rig_wait(seen(r, n_event_wait) == 2);
	ck_assert_int_eq(state_of(r, LD0), HBA_UNIT_DEGRADED);
	ck_assert_int_eq(state_of(r, PD8), HBA_UNIT_OFFLINE);
	rig_down(r);
}
END_TEST

/* --- firmware that does not answer, or refuses --- */

static const uint32_t questions[] = {0x01040100, 0x03010000, 0x02010100};

/* Nobody waits for such an answer but those who look at units' states: no reason to stop all others for a reset. */
START_TEST(an_answer_that_does_not_come_stops_nobody)
{
	struct rig *r = rig_up(GEN2);

	rig_times(r)->dcmd = 20;
	tell(r, silent_op, questions[_i]);
	/* The end of the log is looked for when the wait was refused. */
	model_end_wait(r->model, 0x04, 5);
	rig_wait(is_lost(r));
	must_do_io(r);
	/* After the next reset it is asked for again. */
	tell(r, silent_op, 0);
	tell(r, ld_state[1], 0);
	rig_times(r)->dcmd = 60000;
	model_set_state(r->model, 0xf);
	rig_wait(seen(r, n_event_wait) == 2);
	ck_assert_int_eq(state_of(r, LD1), HBA_UNIT_OFFLINE);
	ck_assert(!is_lost(r));
	rig_down(r);
}
END_TEST

/* It starts, and stops, all the same. */
START_TEST(firmware_that_is_silent_about_its_log_is_used_without)
{
	struct rig *r = rig_new(gens[_i]);

	rig_times(r)->dcmd = 50;
	r->model->silent_op = 0x01040100;
	rig_must_start(r);
	rig_wait(is_lost(r));
	must_do_io(r);
	ck_assert_uint_eq(seen(r, n_event_wait), 0);
	ck_assert_int_eq(hba_stop(r->h), 0);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	rig_down(r);
}
END_TEST

START_TEST(firmware_without_events_is_not_asked_again_at_once)
{
	struct rig *r = rig_new(gens[_i]);

	rig_times(r)->health = 3600 * 1000 / 60;
	r->model->event_info_status = r->model->event_status = 2;
	rig_must_start(r);
	rig_wait(seen(r, n_event_wait) == 1);
	must_do_io(r);
	ck_assert_uint_eq(seen(r, n_event_wait), 1);
	rig_down(r);
}
END_TEST

START_TEST(units_of_firmware_without_events_are_looked_at)
{
	struct rig *r = rig_new(gens[_i]);

	r->model->event_info_status = r->model->event_status = 2;
	rig_must_start(r);
	rig_wait(seen(r, n_event_wait) == 1);
	tell(r, ld_state[0], 1);
	rig_wait(state_of(r, LD0) == HBA_UNIT_DEGRADED);
	rig_wait(seen(r, n_event_wait) >= 3);
	ck_assert_int_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

/* Its numbers begin anew: a wait for the old ones would last for ever. */
START_TEST(a_log_that_was_cleared_is_found_again)
{
	struct rig *r = rig_up(gens[_i]);

	tell(r, ld_state[0], 1);
	model_end_wait(r->model, 0x04, 5);
	rig_wait(seen(r, n_event_wait) == 2);
	ck_assert_uint_eq(seen(r, event_from), 5);
	ck_assert_int_eq(state_of(r, LD0), HBA_UNIT_DEGRADED);
	rig_down(r);
}
END_TEST

/* A list that makes no sense changes nothing; the wait goes on. */
START_TEST(a_list_without_sense_is_ignored)
{
	struct rig *r = up_with_drives(GEN2);

	tell(r, ld_count, 65);
	tell(r, pd_count, 0xffffffff);
	model_event(r->model, 0x152, "");
	rig_wait(seen(r, n_event_wait) == 2);
	ck_assert_int_eq(state_of(r, LD0), HBA_UNIT_OPTIMAL);
	ck_assert_int_eq(state_of(r, PD8), HBA_UNIT_OPTIMAL);
	ck_assert_uint_eq(hba_n_units(r->h), 4);
	rig_down(r);
}
END_TEST

/* --- the end --- */

/* The model takes it amiss if the wait is still there at CTRL_SHUTDOWN. */
START_TEST(the_wait_is_taken_back_before_the_shutdown)
{
	struct rig *r = rig_up(gens[_i]);

	ck_assert_int_eq(hba_stop(r->h), 0);
	ck_assert_uint_eq(seen(r, n_wait_abort), 1);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	rig_down(r);
}
END_TEST

/* QEMU says that it has, and it is there for ever; or there is no answer at all. */
START_TEST(a_wait_that_is_not_given_back_does_not_keep_from_the_shutdown)
{
	struct rig *r = rig_up(gens[_i % 3]);
	uint64_t began = clock_ns();

	rig_times(r)->dcmd = _i < 3 ? RIG_WAIT_MS : 200;
	if (_i < 3)
		tell(r, keeps_wait, true);
	else
		tell(r, wait_abort_silent, true);
	ck_assert_int_eq(hba_stop(r->h), 0);
	ck_assert_uint_lt(clock_ns() - began, 9 * NS_PER_SEC);
	ck_assert_uint_eq(seen(r, n_wait_abort), 1);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	rig_down(r);
}
END_TEST

/* --- from one process to the next --- */

/* What happened meanwhile is told by the log of events. */
START_TEST(events_in_between_are_told)
{
	struct rig *r = rig_up(gens[_i]);
	struct hba_frozen f;

	rig_leave(r, &f);
	ck_assert_uint_eq(seen(r, event_frame), 0);
	model_event_missed(r->model, 0x6a);
	rig_must_adopt(r, &f);
	rig_wait(rig_take_events(r) == 1);
	model_event(r->model, 0x6b, "another one");
	rig_wait(rig_take_events(r) == 1);
	ck_assert_uint_eq(seen(r, n_event_info), 1);
	rig_down(r);
}
END_TEST

START_TEST(an_event_that_comes_with_the_end_is_told_by_the_next_one)
{
	struct rig *r = rig_up(gens[_i]);
	struct hba_frozen f;

	model_event_missed(r->model, 0x6a);
	tell(r, wait_abort_late, true);
	rig_leave(r, &f);
	ck_assert_uint_eq(seen(r, event_frame), 0);
	tell(r, wait_abort_late, false);
	rig_must_adopt(r, &f);
	rig_wait(rig_take_events(r) == 1);
	rig_down(r);
}
END_TEST

/* QEMU says that it has ended the wait, and has it for ever: it is not asked again, and nothing is sent in its place. */
START_TEST(a_wait_that_is_kept_is_handed_over)
{
	struct rig *r = rig_up(gens[_i]);
	struct hba_frozen f;

	tell(r, keeps_wait, true);
	for (unsigned n = 0; n < 3; n++) {
		rig_leave(r, &f);
		ck_assert_uint_ne(seen(r, event_frame), 0);
		rig_must_adopt(r, &f);
		must_do_io(r);
	}
	ck_assert_uint_eq(seen(r, n_wait_abort), 1);
	ck_assert_uint_eq(seen(r, n_event_wait), 1);
	ck_assert_uint_eq(seen(r, n_init), 1);
	/* The next reset makes an end of it. */
	model_set_state(r->model, 0xf);
	rig_wait(seen(r, n_event_wait) == 2);
	hba_stop(r->h);
	ck_assert_uint_eq(seen(r, n_wait_abort), 2);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	rig_down(r);
}
END_TEST

/* Firmware that is only slow: what it ends late was ended, and is no refusal; or it tells of an event with it. */
START_TEST(a_wait_that_ends_late_is_followed_by_another)
{
	struct rig *r = rig_up(gens[_i % 3]);
	struct hba_frozen f;

	tell(r, keeps_wait, true);
	rig_leave(r, &f);
	rig_must_adopt(r, &f);
	tell(r, keeps_wait, false);
	if (_i < 3) {
		model_end_wait(r->model, 0x23, 1000);
		rig_wait(seen(r, n_event_wait) == 2);
		ck_assert_uint_eq(seen(r, event_from), 1000);
	}
	model_event(r->model, 0x6a, "late");
	rig_wait(rig_take_events(r) == 1);
	ck_assert_uint_eq(seen(r, n_event_info), 1);
	rig_leave(r, &f);
	rig_must_adopt(r, &f);
	must_do_io(r);
	ck_assert_uint_eq(seen(r, n_init), 1);
	rig_down(r);
}
END_TEST

static TCase *group(Suite *s, const char *name)
{
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 90);
	suite_add_tcase(s, t);
	return t;
}

int main(void)
{
	Suite *s = suite_create("mfi events");
	TCase *t = group(s, "news");

	log_set_level(LOG_LV_ERR);
	tcase_add_loop_test(t, a_drive_that_goes_offline_is_noticed, 0, 3);
	tcase_add_loop_test(t, a_new_drive_is_a_unit, 0, 3);
	tcase_add_loop_test(t, another_size_is_news, 0, 3);
	tcase_add_loop_test(t, a_drive_that_is_pulled_counts_once_each_time, 0, 3);
	tcase_add_loop_test(t, a_drive_that_no_frame_can_name_is_left_out, 0, 3);
	tcase_add_test(t, events_that_change_nothing_ask_nothing);
	tcase_add_loop_test(t, what_happens_before_the_first_wait_is_found, 0, 3);
	t = group(s, "resets");
	tcase_add_loop_test(t, what_happened_during_a_reset_is_told_after_it, 0, 3);
	tcase_add_loop_test(t, what_no_event_tells_after_a_reset_is_found, 0, 3);
	t = group(s, "silence");
	tcase_add_loop_test(t, an_answer_that_does_not_come_stops_nobody, 0, (int)ARRAY_SIZE(questions));
	tcase_add_loop_test(t, firmware_that_is_silent_about_its_log_is_used_without, 0, 3);
	tcase_add_loop_test(t, firmware_without_events_is_not_asked_again_at_once, 0, 3);
	tcase_add_loop_test(t, units_of_firmware_without_events_are_looked_at, 0, 3);
	tcase_add_loop_test(t, a_log_that_was_cleared_is_found_again, 0, 3);
	tcase_add_test(t, a_list_without_sense_is_ignored);
	t = group(s, "end");
	tcase_add_loop_test(t, the_wait_is_taken_back_before_the_shutdown, 0, 3);
	tcase_add_loop_test(t, a_wait_that_is_not_given_back_does_not_keep_from_the_shutdown, 0, 6);
	t = group(s, "handover");
	tcase_add_loop_test(t, events_in_between_are_told, 0, 3);
	tcase_add_loop_test(t, an_event_that_comes_with_the_end_is_told_by_the_next_one, 0, 3);
	tcase_add_loop_test(t, a_wait_that_is_kept_is_handed_over, 0, 3);
	tcase_add_loop_test(t, a_wait_that_ends_late_is_followed_by_another, 0, 6);
	return run_suite(s);
}
