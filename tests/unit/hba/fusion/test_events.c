/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fusion controllers: events and what they make the driver ask, and firmware that talks nonsense. */
#include "rig.h"
#include "tests/unit/run_suite.h"

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
		jobs_end(r, 0, 10, HBA_DONE);
		rig_wait(rig_was_reset(r, i + 1));
	}
	rig_down(r);
}
END_TEST

START_TEST(a_reply_that_comes_twice_completes_nobody_twice)
{
	struct rig *r = rig_up(INVADER);
	uint16_t first;

	tell(r, hold, true);
	job_send_read(r, 0, LD0);
	first = model_smid(r->model, 0);
	model_complete(r->model, 0);
	job_wait(&r->job[0]);
	/* The next requests have other numbers, although one alone is there at a time. */
	for (unsigned n = 1; n < 10; n++)
		job_send_read(r, n, LD0);
	tell(r, hold, false);
	model_post(r->model, 0, (uint64_t)first << 16);
	rig_wait(rig_was_reset(r, 1));
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
	ck_assert_int_eq(job_run(job_rw(r, 0, PD8, DMA_FROM_DEVICE, 0, 1))->result, HBA_DONE);
	ck_assert_uint_eq(seen(r, n_fast_path), 1);
	rig_down(r);
}
END_TEST

static uint32_t outages(const struct rig *r, unsigned unit)
{
	return __atomic_load_n(&r->h->unit[unit].outages, __ATOMIC_RELAXED);
}

/* The list has it, as if nothing had been; but its cache had no power for a while. 4 to 7: in a reset of the controller. */
START_TEST(a_drive_that_is_back_before_the_list_is_read_was_pulled)
{
	struct rig *r = rig_up((enum model_gen)(_i % 4));
	uint32_t news;

	rig_wait(seen(r, n_event_wait) == 1);
	news = hba_unit_news(r->h);
	if (_i < 4) {
		model_event_args(r->model, 0x70, 10, 8);
	} else {
		model_event_args_missed(r->model, 0x70, 10, 8);
		model_set_state(r->model, 0xf);
	}
	rig_wait(seen(r, event_from) == 1001);
	ck_assert_uint_eq(outages(r, PD8), 1);
	ck_assert_uint_eq(outages(r, LD0) + outages(r, LD5), 0);
	ck_assert(!__atomic_load_n(&r->h->unit[PD8].missing, __ATOMIC_RELAXED));
	ck_assert_int_eq(__atomic_load_n(&r->h->unit[PD8].state, __ATOMIC_RELAXED), HBA_UNIT_OPTIMAL);
	/* Is it the same one? */
	ck_assert_uint_ne(hba_unit_news(r->h), news);
	rig_down(r);
}
END_TEST

START_TEST(a_drive_that_is_pulled_counts_once_each_time)
{
	struct rig *r = rig_up(INVADER);
	uint32_t news;

	for (unsigned n = 0; n < 3; n++) {
		rig_wait(seen(r, n_event_wait) == 1 + 2 * n);
		tell(r, pd_gone, n != 1);
		model_event_args(r->model, 0x70, 10, 8);
		rig_wait(seen(r, n_event_wait) == 2 + 2 * n);
		ck_assert_uint_eq(outages(r, PD8), n + 1);
		tell(r, pd_gone, false);
		news = hba_unit_news(r->h);
		model_event_args(r->model, 0x5b, 10, 8);
		rig_wait(seen(r, n_event_wait) == 3 + 2 * n);
		/* Whether the list had it already or not. */
		ck_assert_uint_ne(hba_unit_news(r->h), news);
		ck_assert_uint_eq(outages(r, PD8), n + 1);
		ck_assert(!__atomic_load_n(&r->h->unit[PD8].missing, __ATOMIC_RELAXED));
	}
	rig_down(r);
}
END_TEST

/* Drives that are no units, members of LDs, and arguments that are no drive. */
START_TEST(events_of_others_pull_no_unit)
{
	static const struct {
		uint32_t code;
		uint16_t id;
		uint8_t arg_type;
	} other[] = {
		{0x70, 0, 10},
		{0x70, 5, 10},
		{0x70, 9, 10},
		{0x70, 0x108, 10},
		{0x70, 0x800, 10},
		{0x70, 0xffff, 10},
		{0x70, 8, 0},
		{0x70, 8, 2},
		{0x5b, 8, 10},
		{0x72, 8, 10},
	};
	struct rig *r = rig_up(INVADER);

	for (unsigned i = 0; i < ARRAY_SIZE(other); i++) {
		rig_wait(seen(r, n_event_wait) == 1 + i);
		model_event_args(r->model, other[i].code, other[i].arg_type, other[i].id);
	}
	rig_wait(seen(r, n_event_wait) == 1 + ARRAY_SIZE(other));
	for (unsigned i = 0; i < r->h->n_units; i++)
		ck_assert_uint_eq(outages(r, i), 0);
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

/* Its log may have lost its end with the firmware that died: the lists tell all the same. */
START_TEST(what_no_event_tells_after_a_reset_is_found)
{
	struct rig *r = rig_up(INVADER);

	rig_wait(seen(r, n_event_wait) == 1);
	tell(r, ld_state[0], 1);
	tell(r, pd_gone, true);
	model_set_state(r->model, 0xf);
	rig_wait(seen(r, n_event_wait) == 2);
	ck_assert_int_eq(r->h->unit[LD0].state, HBA_UNIT_DEGRADED);
	ck_assert_int_eq(r->h->unit[PD8].state, HBA_UNIT_OFFLINE);
	rig_down(r);
}
END_TEST

/* Nobody waits for such an answer but those who look at units' states: no reason to stop all others for a reset. */
START_TEST(a_list_that_does_not_come_stops_nobody)
{
	struct rig *r = rig_new(INVADER);

	rig_must_start(r);
	rig_wait(seen(r, n_event_wait) == 1);
	rig_times(r)->dcmd = 20;
	tell(r, silent_lists, true);
	model_event(r->model, 0x51, "");
	rig_wait(__atomic_load_n(&rig_fusion(r)->m.event.lost, __ATOMIC_RELAXED));
	for (unsigned n = 0; n < 10; n++)
		ck_assert_int_eq(job_run(job_rw(r, n, n % 3, DMA_FROM_DEVICE, 0, 1))->result, HBA_DONE);
	ck_assert_int_eq(stat_of(r, resets), 0);
	/* After the next reset it is asked for again. */
	tell(r, silent_lists, false);
	tell(r, ld_state[1], 0);
	rig_times(r)->dcmd = 60000;
	model_set_state(r->model, 0xf);
	rig_wait(seen(r, n_event_wait) == 2);
	ck_assert_int_eq(r->h->unit[LD5].state, HBA_UNIT_OFFLINE);
	ck_assert(!__atomic_load_n(&rig_fusion(r)->m.event.lost, __ATOMIC_RELAXED));
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

/* ... but its units are looked at. */
START_TEST(firmware_without_events_is_not_asked_again_at_once)
{
	struct rig *r = rig_new(INVADER);

	rig_times(r)->health = 3600 * 1000 / 60;
	r->model->event_info_status = 2;
	r->model->event_status = 2;
	rig_must_start(r);
	rig_wait(seen(r, n_event_wait) == 1);
	job_run(job_rw(r, 0, LD0, DMA_FROM_DEVICE, 0, 1));
	ck_assert_uint_eq(seen(r, n_event_wait), 1);
	rig_down(r);
}
END_TEST

START_TEST(units_of_firmware_without_events_are_looked_at)
{
	struct rig *r = rig_new(INVADER);

	r->model->event_info_status = 2;
	r->model->event_status = 2;
	rig_must_start(r);
	rig_wait(seen(r, n_event_wait) == 1);
	tell(r, ld_state[0], 1);
	rig_wait(__atomic_load_n(&r->h->unit[LD0].state, __ATOMIC_RELAXED) == HBA_UNIT_DEGRADED);
	rig_wait(seen(r, n_event_wait) >= 3);
	ck_assert_int_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

/* Its numbers begin anew: a wait for the old ones would last for ever. */
START_TEST(a_log_that_was_cleared_is_found_again)
{
	struct rig *r = rig_up((enum model_gen)_i);

	rig_wait(seen(r, n_event_wait) == 1);
	tell(r, ld_state[0], 1);
	model_end_wait(r->model, 0x04, 5);
	rig_wait(seen(r, n_event_wait) == 2);
	ck_assert_uint_eq(seen(r, event_from), 5);
	/* What happened in between was looked up. */
	ck_assert_int_eq(__atomic_load_n(&r->h->unit[LD0].state, __ATOMIC_RELAXED), HBA_UNIT_DEGRADED);
	tell(r, ld_state[0], 3);
	model_event(r->model, 0x51, "");
	rig_wait(__atomic_load_n(&r->h->unit[LD0].state, __ATOMIC_RELAXED) == HBA_UNIT_OPTIMAL);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fusion events");
	TCase *t = tcase_create("events");

	log_set_level(LOG_LV_ERR);
	tcase_set_timeout(t, 90);
	tcase_add_loop_test(t, a_reply_that_names_nobody_costs_a_reset, 0, 2);
	tcase_add_test(t, a_reply_that_comes_twice_completes_nobody_twice);
	tcase_add_test(t, half_a_descriptor_is_none);
	tcase_add_loop_test(t, a_drive_that_goes_offline_is_noticed, 0, 4);
	tcase_add_test(t, a_drive_that_is_pulled_is_noticed_and_its_handle_forgotten);
	tcase_add_loop_test(t, a_drive_that_is_back_before_the_list_is_read_was_pulled, 0, 8);
	tcase_add_test(t, a_drive_that_is_pulled_counts_once_each_time);
	tcase_add_test(t, events_of_others_pull_no_unit);
	tcase_add_test(t, what_happened_during_a_reset_is_told_after_it);
	tcase_add_test(t, what_no_event_tells_after_a_reset_is_found);
	tcase_add_test(t, a_list_that_does_not_come_stops_nobody);
	tcase_add_test(t, events_that_change_nothing_ask_nothing);
	tcase_add_test(t, a_list_without_sense_is_ignored);
	tcase_add_test(t, firmware_without_events_is_not_asked_again_at_once);
	tcase_add_test(t, units_of_firmware_without_events_are_looked_at);
	tcase_add_loop_test(t, a_log_that_was_cleared_is_found_again, 0, 4);
	suite_add_tcase(s, t);
	return run_suite(s);
}
