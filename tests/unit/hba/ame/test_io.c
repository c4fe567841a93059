/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests on a model box: data, short data, errors, flushes, notices, events. */
#include "rig.h"
#include "tests/unit/run_suite.h"

#include <string.h>

static struct rig *rig;

static void setup_of(enum model_family family)
{
	rig = rig_up(family);
}

static void setup(void)
{
	setup_of(BOX_3108);
}

static void teardown(void)
{
	/* The end has flushes of its own. */
	tell(rig, hold, false);
	rig_down(rig);
}

/* --- data --- */

START_TEST(data_comes_back_as_it_was_written)
{
	static const uint32_t sizes[] = {1, 7, 8, 32, 100, 928, 1024};
	struct job *w, *r;

	setup_of((enum model_family)_i);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		w = job_rw(rig, 0, i % 3, DMA_TO_DEVICE, i, sizes[i]);
		job_fill(w, i);
		job_run_well(w);
		r = job_rw(rig, 1, i % 3, DMA_FROM_DEVICE, i, sizes[i]);
		job_ends_well(job_run(r));
		ck_assert_int_eq(memcmp(w->buf, r->buf, sizes[i] * 512), 0);
		ck_assert_uint_eq(r->buf[sizes[i] * 512], 0xee);
	}
}
END_TEST

/* As if four billion commands had been carried. */
static void age(void *arg)
{
	struct ame *a = arg;

	a->carrier_in -= 2048;
	a->carrier_out -= 2048;
	ck_assert_uint_gt(a->carrier_out, UINT32_MAX - 2048);
}

static void each_carrier_is_free_once(void *arg)
{
	const struct ame *a = arg;
	bool known[AME_MAX_SLOTS] = {false};

	ck_assert_uint_eq(a->carrier_in - a->carrier_out, AME_N_CARRIERS);
	for (uint32_t i = a->carrier_out; i != a->carrier_in; i++) {
		uint16_t slot = a->carrier[i % ARRAY_SIZE(a->carrier)];

		ck_assert_uint_ge(slot, AME_N_OWN);
		ck_assert_uint_lt(slot, AME_MAX_SLOTS);
		ck_assert_msg(!known[slot], "slot %u is free twice", slot);
		known[slot] = true;
	}
}

/* What counts them goes beyond its end, with answers in any order. */
START_TEST(carriers_go_round_for_ever)
{
	struct ame *a = ame_of(rig->h);
	unsigned which = 0;

	rig_io(rig, age, a);
	for (unsigned round = 0; round < 128; round++) {
		tell(rig, hold, true);
		for (unsigned n = 0; n < 32; n++) {
			struct job *j = job_rw(rig, n, 0, DMA_TO_DEVICE, n, 1);

			job_fill(j, round + n);
			job_submit(j);
		}
		rig_wait(model_pending(rig->model) == 32);
		for (unsigned left = 32; left; left--) {
			which = which * 1103515245 + 12345;
			model_complete(rig->model, (which >> 16) % left);
		}
		for (unsigned n = 0; n < 32; n++) {
			job_ends_well(&rig->job[n]);
			ck_assert_mem_eq(rig->model->disk[0] + (size_t)512 * n, rig->job[n].buf, 512);
		}
	}
	ck_assert_uint_lt(a->carrier_out, UINT32_MAX - 2048);
	rig_sync(rig);
	rig_io(rig, each_carrier_is_free_once, a);
}
END_TEST

/* As many segments as bounce chunks allow; one chunk is taken out of the middle so that they are not neighbours. */
START_TEST(segments_beyond_the_frame_go_into_a_list)
{
	struct job *held[64], *j;

	setup_of((enum model_family)_i);
	/* Every second chunk is taken while all the others are free. */
	tell(rig, hold, true);
	for (unsigned i = 0; i < 64; i++) {
		held[i] = job_rw(rig, 10 + i, 0, DMA_FROM_DEVICE, i, 1);
		job_submit(held[i]);
	}
	rig_wait(model_pending(rig->model) == 64);
	for (unsigned i = 0; i < 64; i += 2) {
		model_complete(rig->model, i / 2);
		job_wait(held[i]);
	}
	tell(rig, hold, false);
	j = job_rw(rig, 0, 1, DMA_TO_DEVICE, 0, 1024);
	for (uint32_t b = 0; b < 524288; b++)
		j->buf[b] = (uint8_t)(b >> 9 ^ b);
	job_ends_well(job_run(j));
	ck_assert_int_eq(memcmp(rig->model->disk[1], j->buf, 524288), 0);
	while (model_pending(rig->model))
		model_complete(rig->model, 0);
	for (unsigned i = 1; i < 64; i += 2)
		job_wait(held[i]);
}
END_TEST

START_TEST(all_slots_at_once)
{
	tell(rig, hold, true);
	for (unsigned i = 0; i < 448; i++)
		job_submit(job_rw(rig, i, i % 3, DMA_FROM_DEVICE, i, 1));
	rig_wait(model_pending(rig->model) == 448);
	job_try(job_rw(rig, 500, 0, DMA_FROM_DEVICE, 0, 1));
	ck_assert_int_eq(job_submitted(&rig->job[500]), 1);
	/* Backwards, to tell order from luck. */
	for (unsigned i = 448; i-- > 0;)
		model_complete(rig->model, i);
	for (unsigned i = 0; i < 448; i++)
		job_ends_well(&rig->job[i]);
	ck_assert_uint_eq(stat_of(rig, resets), 0);
}
END_TEST

START_TEST(a_full_box_is_waited_for)
{
	struct job *j = job_rw(rig, 0, 0, DMA_FROM_DEVICE, 0, 1);

	tell(rig, full_reads, 5);
	job_ends_well(job_run(j));
}
END_TEST

START_TEST(short_data_in_is_told_and_the_rest_is_zeros)
{
	static const uint8_t inquiry[] = {0x12, 0, 0, 0, 255, 0};
	struct job *j = job_cdb(rig, 0, 0, inquiry, 6, DMA_FROM_DEVICE, 255);

	job_ends_well(job_run(j));
	ck_assert_uint_eq(j->moved, 96);
	ck_assert_uint_eq(j->buf[2], 6);
	for (unsigned i = 96; i < 255; i++)
		ck_assert_uint_eq(j->buf[i], 0);
}
END_TEST

START_TEST(errors_have_their_sense)
{
	struct job *j = job_rw(rig, 0, 0, DMA_FROM_DEVICE, 2048, 1);

	job_run(j);
	ck_assert_int_eq(j->result, HBA_DONE);
	ck_assert_uint_eq(j->scsi_status, 2);
	ck_assert_uint_eq(j->sense_len, 18);
	ck_assert_uint_eq(j->sense[2], 5);
	ck_assert_uint_eq(j->sense[12], 0x21);
	ck_assert_uint_eq(j->moved, 0);
}
END_TEST

START_TEST(a_unit_that_went_is_no_unit)
{
	struct job *j = job_rw(rig, 0, 1, DMA_FROM_DEVICE, 0, 1);

	tell(rig, lun[3].present, false);
	job_run(j);
	ck_assert_int_eq(j->result, HBA_NO_UNIT);
}
END_TEST

/* What the vendor's driver answers by itself. */
START_TEST(test_unit_ready_reaches_the_unit)
{
	static const uint8_t tur[6];
	struct job *j = job_cdb(rig, 0, 0, tur, 6, DMA_NONE, 0);
	unsigned before = seen(rig, n_cmds);

	job_ends_well(job_run(j));
	ck_assert_uint_eq(seen(rig, n_cmds), before + 1);
	ck_assert_uint_eq(rig->model->last[0x10], 0x00);
	ck_assert_uint_eq(rig->model->last[0x0c], 0x2c);
	tell(rig, lun[0].attentions, 1);
	j = job_cdb(rig, 1, 0, tur, 6, DMA_NONE, 0);
	job_run(j);
	ck_assert_uint_eq(j->scsi_status, 2);
	ck_assert_uint_eq(j->sense[2], 6);
}
END_TEST

static const struct {
	uint8_t cdb[16], len;
	enum hba_result result;
} nothing[] = {
	{{0x28}, 10, HBA_DONE}, {{0x2a}, 10, HBA_DONE}, {{0x88}, 16, HBA_DONE}, {{0xa8}, 12, HBA_DONE},
	{{0x28, [8] = 1}, 10, HBA_IO_ERROR}, {{0x8a, [10] = 1}, 16, HBA_IO_ERROR},
	{{0xaa, [9] = 1}, 12, HBA_IO_ERROR}, {{0x08}, 6, HBA_IO_ERROR}, /* means 256 blocks */
};

START_TEST(reads_and_writes_without_data_stay_here)
{
	struct job *j = job_cdb(rig, 0, 0, nothing[_i].cdb, nothing[_i].len, DMA_NONE, 0);
	unsigned before = seen(rig, n_cmds);

	job_run(j);
	ck_assert_int_eq(j->result, nothing[_i].result);
	ck_assert_uint_eq(seen(rig, n_cmds), before);
}
END_TEST

/* --- flush --- */

START_TEST(a_flush_is_a_synchronize_cache)
{
	struct job *j;

	setup_of((enum model_family)_i);
	j = job_flush(rig, 0, 1);
	job_ends_well(job_run(j));
	ck_assert_uint_eq(seen(rig, n_sync10), 1);
	ck_assert_uint_eq(rig->model->last[0x02], 3);
}
END_TEST

START_TEST(firmware_that_knows_only_the_long_one_is_asked_that)
{
	struct job *j = job_flush(rig, 0, 0);

	tell(rig, no_sync10, true);
	job_ends_well(job_run(j));
	ck_assert_uint_eq(seen(rig, n_sync10), 1);
	ck_assert_uint_eq(seen(rig, n_sync16), 1);
	ck_assert_uint_eq(seen(rig, n_mode), 3); /* of the start */
}
END_TEST

START_TEST(firmware_that_knows_none_is_believed_only_without_a_cache)
{
	struct job *j = job_flush(rig, 0, 0);

	tell(rig, no_sync10, true);
	tell(rig, no_sync16, true);
	tell(rig, lun[0].wce, _i == 0);
	job_run(j);
	if (_i == 0)
		ck_assert_int_eq(j->result, HBA_IO_ERROR);
	else
		job_ends_well(j);
	ck_assert_uint_eq(seen(rig, n_mode), 4);
}
END_TEST

START_TEST(a_flush_that_recovered_is_good)
{
	struct job *j = job_flush(rig, 0, 0);

	tell(rig, sync_recovered, true);
	job_ends_well(job_run(j));
}
END_TEST

START_TEST(a_flush_that_fails_is_not_good)
{
	struct job *j = job_flush(rig, 0, 0);

	tell(rig, lun[0].attentions, 1);
	job_run(j);
	ck_assert_uint_eq(j->scsi_status, 2);
}
END_TEST

/* --- notices --- */

START_TEST(heartbeats_are_answered_without_an_interrupt)
{
	tell(rig, no_irq, true);
	for (unsigned i = 0; i < 3; i++) {
		model_notice(rig->model, 0x10);
		rig_wait(seen(rig, outbound) == 0);
	}
	ck_assert_uint_ge(model_wrote(rig->model, 0xa0, 0x10), 4);
}
END_TEST

START_TEST(nothing_is_sent_in_a_pause)
{
	struct job *j = job_rw(rig, 0, 0, DMA_TO_DEVICE, 0, 1),
		   *flying = job_rw(rig, 1, 0, DMA_FROM_DEVICE, 9, 1);
	unsigned before;

	tell(rig, hold, true);
	job_submit(flying);
	rig_wait(model_pending(rig->model) == 1);
	tell(rig, hold, false);
	rig_notice(rig, 0x08);
	before = seen(rig, n_cmds);
	job_submit(j);
	/* What is answered is taken. */
	model_complete(rig->model, 0);
	job_wait(flying);
	clock_sleep_ms(20);
	ck_assert_uint_eq(seen(rig, n_cmds), before);
	ck_assert_uint_eq(job_done(j), 0);
	model_notice(rig->model, 0x10);
	job_ends_well(j);
}
END_TEST

static uint32_t new_limit_ms;

static void give_limit(void *arg)
{
	struct job *j = arg;

	j->req->timeout_ms = new_limit_ms;
	hba_req_rearm(j->req);
}

/* Only once the pause is known, so that a slow machine is not too late for it. */
static void limit_both(struct job *a, struct job *b, uint32_t ms)
{
	new_limit_ms = ms;
	rig_io(rig, give_limit, a);
	rig_io(rig, give_limit, b);
}

/* Nor does a pause, or a restart that was announced, cost commands their lives, when it is longer than their limit. */
START_TEST(no_time_runs_in_a_pause)
{
	struct job *waits = job_rw(rig, 0, 0, DMA_TO_DEVICE, 0, 1),
		   *flies = job_rw(rig, 1, 0, DMA_FROM_DEVICE, 9, 1);

	tell(rig, hold, true);
	job_submit(flies);
	rig_wait(model_pending(rig->model) == 1);
	tell(rig, hold, false);
	rig_notice(rig, _i ? 0x02 : 0x08);
	job_submit(waits);
	limit_both(waits, flies, 40);
	clock_sleep_ms(400);
	ck_assert_uint_eq(job_done(waits), 0);
	ck_assert_uint_eq(job_done(flies), 0);
	limit_both(waits, flies, 30000);
	if (_i) {
		model_restart(rig->model, true);
	} else {
		model_complete(rig->model, 0);
		model_notice(rig->model, 0x10);
	}
	job_ends_well(waits);
	job_ends_well(flies);
	ck_assert_uint_eq(stat_of(rig, timeouts), 0);
	ck_assert_uint_eq(stat_of(rig, resets), _i);
}
END_TEST

START_TEST(an_abort_in_a_pause_ends_what_has_not_been_sent)
{
	struct job *j = job_rw(rig, 0, 0, DMA_TO_DEVICE, 0, 1);

	rig_notice(rig, 0x08);
	job_submit(j);
	job_abort(j);
	job_ends(j, HBA_ABORTED);
	ck_assert_uint_eq(seen(rig, n_abort), 0);
	model_notice(rig->model, 0x10);
}
END_TEST

START_TEST(a_restart_that_does_not_come_ends_its_pause)
{
	struct job *j;

	rig_down(rig);
	rig = rig_new(BOX_3108);
	rig_times(rig)->away = 30;
	rig_must_start(rig);
	j = job_rw(rig, 0, 0, DMA_TO_DEVICE, 0, 1);
	rig_notice(rig, 0x02);
	job_ends_well(job_run(j));
	ck_assert_uint_eq(stat_of(rig, resets), 0);
}
END_TEST

START_TEST(unknown_notices_are_cleared)
{
	struct job *j = job_rw(rig, 0, 0, DMA_TO_DEVICE, 0, 1);

	rig_notice(rig, 0xffff0021);
	job_ends_well(job_run(j));
	ck_assert_uint_eq(stat_of(rig, resets), 0);
}
END_TEST

/* --- events --- */

static enum hba_unit_state state(unsigned unit)
{
	return __atomic_load_n(&rig->h->unit[unit].state, __ATOMIC_RELAXED);
}

START_TEST(units_that_go_and_come_change_their_state)
{
	uint32_t news;

	setup_of((enum model_family)_i);
	tell(rig, lun[3].present, false);
	model_event(rig->model, 0x14);
	rig_wait(state(1) == HBA_UNIT_OFFLINE);
	ck_assert_int_eq(state(0), HBA_UNIT_OPTIMAL);
	ck_assert(__atomic_load_n(&rig->h->unit[1].missing, __ATOMIC_RELAXED));
	ck_assert(!__atomic_load_n(&rig->h->unit[0].missing, __ATOMIC_RELAXED));
	news = hba_unit_news(rig->h);
	tell(rig, lun[3].present, true);
	model_event(rig->model, 0x14);
	rig_wait(state(1) == HBA_UNIT_OPTIMAL);
	rig_wait(hba_unit_news(rig->h) != news);
	ck_assert(!__atomic_load_n(&rig->h->unit[1].missing, __ATOMIC_RELAXED));
	rig_wait(seen(rig, n_frames) == 510);
}
END_TEST

START_TEST(a_unit_that_is_new_can_be_used)
{
	struct job *j;

	setup_of((enum model_family)_i);
	/* Those that are there and are no disks do not become new ones. */
	tell(rig, lun[7].present, true);
	model_event(rig->model, 0x14);
	rig_wait(hba_n_units(rig->h) == 4);
	ck_assert_str_eq(rig->h->unit[3].name, "lun7");
	ck_assert_uint_eq(rig->h->unit[3].index, 3);
	j = job_rw(rig, 0, 3, DMA_TO_DEVICE, 0, 1);
	job_ends_well(job_run(j));
	ck_assert_uint_eq(rig->model->last[0x02], 7);
	/* It goes, and comes again as the same. */
	tell(rig, lun[7].present, false);
	model_event(rig->model, 0x14);
	rig_wait(state(3) == HBA_UNIT_OFFLINE);
	tell(rig, lun[7].present, true);
	model_event(rig->model, 0x14);
	rig_wait(state(3) == HBA_UNIT_OPTIMAL);
	ck_assert_uint_eq(hba_n_units(rig->h), 4);
}
END_TEST

/* Another value in the map: perhaps another disk. It has to be asked. */
START_TEST(a_unit_that_changes_is_news)
{
	uint32_t news = hba_unit_news(rig->h);

	tell(rig, map_value, 9);
	model_event(rig->model, 0x14);
	rig_wait(hba_unit_news(rig->h) != news);
	ck_assert_int_eq(state(1), HBA_UNIT_OPTIMAL);
	ck_assert_uint_eq(hba_n_units(rig->h), 3);
}
END_TEST

START_TEST(records_are_told)
{
	const uint8_t record[96] = {[3] = 2, [8] = 0x21, [9] = 0x43, [15] = 0x65};
	struct hba_event e = {0};

	model_say_frame(rig->model, record);
	rig_wait(hba_next_event(rig->h, &e));
	ck_assert_uint_eq(e.code, 0x21);
	ck_assert_str_eq(e.text, "event 21 43 00 00 00 00 00 65");
	ck_assert(!hba_next_event(rig->h, &e));
}
END_TEST

START_TEST(a_change_while_the_map_is_read_makes_it_be_read_again)
{
	unsigned before = seen(rig, n_page);

	tell(rig, hold_inband, true);
	model_event(rig->model, 0x14);
	rig_wait(model_pending(rig->model) == 1);
	tell(rig, lun[3].present, false);
	model_event(rig->model, 0x14);
	rig_wait(seen(rig, reply_in) == seen(rig, reply_out));
	clock_sleep_ms(5);
	/* One at a time. */
	ck_assert_uint_eq(model_pending(rig->model), 1);
	tell(rig, hold_inband, false);
	model_complete(rig->model, 0);
	rig_wait(state(1) == HBA_UNIT_OFFLINE);
	ck_assert_uint_ge(seen(rig, n_page), before + 2);
}
END_TEST

/* While its second page is on its way, or right behind that; and then there is a change that must not be missed. */
START_TEST(a_change_during_the_start_is_not_the_last_one_seen)
{
	rig_down(rig);
	rig = rig_new(BOX_3108);
	rig->model->event_at_page = 2;
	rig->model->event_behind = _i;
	rig_must_start(rig);
	ck_assert_uint_eq(rig->h->n_units, 3);
	/* It is read once more, for the change that was told. */
	rig_wait(seen(rig, n_page) >= 3);
	tell(rig, lun[3].present, false);
	model_event(rig->model, 0x14);
	rig_wait(state(1) == HBA_UNIT_OFFLINE);
	ck_assert_int_eq(state(0), HBA_UNIT_OPTIMAL);
}
END_TEST

/* All answers to pages fail at first: there is no map to compare the first good one with, but there are the units. */
START_TEST(the_first_map_is_compared_with_the_units)
{
	rig_down(rig);
	rig = rig_new(BOX_3108);
	rig->model->page_status = 0x11;
	rig_must_start(rig);
	ck_assert_uint_eq(rig->h->n_units, 3);
	tell(rig, page_status, 0);
	tell(rig, lun[3].present, false);
	model_event(rig->model, 0x14);
	rig_wait(state(1) == HBA_UNIT_OFFLINE);
	ck_assert_int_eq(state(0), HBA_UNIT_OPTIMAL);
	ck_assert_int_eq(state(2), HBA_UNIT_OPTIMAL);
}
END_TEST

START_TEST(a_page_that_fails_is_asked_for_again_and_not_for_ever)
{
	unsigned before = seen(rig, n_page);

	tell(rig, page_status, 0x11);
	model_event(rig->model, 0x14);
	rig_wait(seen(rig, n_page) == before + 5);
	clock_sleep_ms(30);
	ck_assert_uint_eq(seen(rig, n_page), before + 5);
	tell(rig, page_status, 0);
	tell(rig, lun[3].present, false);
	model_event(rig->model, 0x14);
	rig_wait(state(1) == HBA_UNIT_OFFLINE);
}
END_TEST

START_TEST(other_events_mean_nothing)
{
	static const uint8_t what[] = {0x00, 0x55, 0xaa, 0xff, 0x01};
	struct job *j = job_rw(rig, 0, 0, DMA_TO_DEVICE, 0, 1);

	for (unsigned i = 0; i < 100; i++)
		model_event(rig->model, what[i % sizeof(what)]);
	job_ends_well(job_run(j));
	rig_wait(seen(rig, n_frames) == 510);
	ck_assert_uint_eq(stat_of(rig, resets), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("AME I/O");
	TCase *t = tcase_create("3108"), *all = tcase_create("all families");

	tcase_set_timeout(t, 100);
	tcase_set_timeout(all, 100);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_checked_fixture(all, NULL, teardown);
	tcase_add_loop_test(all, data_comes_back_as_it_was_written, 0, 3);
	tcase_add_test(t, carriers_go_round_for_ever);
	tcase_add_loop_test(all, segments_beyond_the_frame_go_into_a_list, 0, 3);
	tcase_add_loop_test(all, a_flush_is_a_synchronize_cache, 0, 3);
	tcase_add_loop_test(all, units_that_go_and_come_change_their_state, 0, 3);
	tcase_add_loop_test(all, a_unit_that_is_new_can_be_used, 0, 3);
	tcase_add_test(t, all_slots_at_once);
	tcase_add_test(t, a_full_box_is_waited_for);
	tcase_add_test(t, short_data_in_is_told_and_the_rest_is_zeros);
	tcase_add_test(t, errors_have_their_sense);
	tcase_add_test(t, a_unit_that_went_is_no_unit);
	tcase_add_test(t, test_unit_ready_reaches_the_unit);
	tcase_add_loop_test(t, reads_and_writes_without_data_stay_here, 0, (int)ARRAY_SIZE(nothing));
	tcase_add_test(t, firmware_that_knows_only_the_long_one_is_asked_that);
	tcase_add_loop_test(t, firmware_that_knows_none_is_believed_only_without_a_cache, 0, 2);
	tcase_add_test(t, a_flush_that_recovered_is_good);
	tcase_add_test(t, a_flush_that_fails_is_not_good);
	tcase_add_test(t, heartbeats_are_answered_without_an_interrupt);
	tcase_add_test(t, nothing_is_sent_in_a_pause);
	tcase_add_loop_test(t, no_time_runs_in_a_pause, 0, 2);
	tcase_add_test(t, an_abort_in_a_pause_ends_what_has_not_been_sent);
	tcase_add_test(t, a_restart_that_does_not_come_ends_its_pause);
	tcase_add_test(t, unknown_notices_are_cleared);
	tcase_add_test(t, a_change_while_the_map_is_read_makes_it_be_read_again);
	tcase_add_loop_test(t, a_change_during_the_start_is_not_the_last_one_seen, 0, 2);
	tcase_add_test(t, the_first_map_is_compared_with_the_units);
	tcase_add_test(t, a_page_that_fails_is_asked_for_again_and_not_for_ever);
	tcase_add_test(t, other_events_mean_nothing);
	tcase_add_test(t, a_unit_that_changes_is_news);
	tcase_add_test(t, records_are_told);
	suite_add_tcase(s, t);
	suite_add_tcase(s, all);
	return run_suite(s);
}
