/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Several I/O threads with one controller: what each has, and how answers find them. rig_down() asserts that every request was
 * done once, on its own thread. */
#include "lanes_rig.h"
#include "tests/unit/run_suite.h"

#include <string.h>

/* --- shares --- */

START_TEST(each_has_its_share_and_its_queue)
{
	struct rig *r = lanes_up((enum model_gen)_i);
	struct fusion *f = rig_fusion(r);
	uint32_t n, first = 0, smid = 1;

	for (unsigned i = 0; i < LANES; i++) {
		ck_assert_uint_eq(hba_lane_tags(r->h, i, &n), first);
		first += n;
		ck_assert_uint_eq(f->lane[i].first_smid, smid);
		smid += f->lane[i].n_smids;
		ck_assert_uint_ge(f->lane[i].n_smids, n + FUSION_SPARE);
	}
	ck_assert_uint_eq(first, r->h->limits.queue_depth);
	ck_assert_uint_eq(smid, f->n_io + 1);
	for (unsigned i = 0; i < 2 * LANES; i++) {
		unsigned before = seen(r, n_posted[i % LANES]);
		struct job *job = on_lane(job_rw(r, i, i % 3, DMA_TO_DEVICE, i, 3), i % LANES);

		job_fill(job, i);
		job_run_well(job);
		ck_assert_int_eq(memcmp(r->model->disk[i % 3] + i * 512, job->buf, 3 * 512), 0);
		ck_assert_uint_gt(seen(r, n_posted[i % LANES]), before);
	}
	ck_assert_uint_eq(stat_of(r, requests), 2 * LANES);
	ck_assert_int_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

/* All slots of one lane at work: nobody else's are touched. */
START_TEST(a_full_lane_is_nobody_elses_business)
{
	struct rig *r = lanes_new(INVADER, LANES);
	uint32_t n;

	r->cfg.queue_depth = 67; /* 16, 16, 16 and 19 */
	rig_must_start(r);
	tell(r, hold, true);
	hba_lane_tags(r->h, 3, &n);
	ck_assert_uint_eq(n, 19);
	for (unsigned i = 0; i < n; i++)
		job_submit(on_lane(job_rw(r, i, LD0, DMA_FROM_DEVICE, i, 1), 3));
	job_try(on_lane(job_rw(r, n, LD0, DMA_FROM_DEVICE, 0, 1), 3));
	ck_assert_int_eq(job_submitted(&r->job[n]), 1);
	job_submit(on_lane(job_rw(r, n + 1, LD0, DMA_FROM_DEVICE, 0, 1), 2));
	ck_assert_uint_eq(hba_inflight(r->h), n + 1);
	while (model_pending(r->model))
		model_complete(r->model, 0);
	jobs_end(r, 0, n, HBA_DONE);
	job_ends(&r->job[n + 1], HBA_DONE);
	rig_down(r);
}
END_TEST

/* What is not a read or write comes in the first queue, and is done where it belongs. */
START_TEST(what_the_first_finds_for_others_is_handed_on)
{
	static const uint8_t inquiry[6] = {0x12, 0, 0, 0, 36};
	struct rig *r = lanes_up(INVADER);

	for (unsigned i = 1; i < LANES; i++) {
		job_run(on_lane(job_cdb(r, i, LD0, inquiry, 6, DMA_FROM_DEVICE, 36), i));
		job_ends_well(&r->job[i]);
		ck_assert_uint_eq(r->job[i].buf[3], 2);
		ck_assert_uint_eq(seen(r, n_posted[i]), 0);
	}
	rig_down(r);
}
END_TEST

START_TEST(flushes_of_all_lanes_share_rounds)
{
	struct rig *r = lanes_up(INVADER);
	unsigned before = seen(r, n_flush);

	tell(r, hold_flush, true);
	job_submit(on_lane(job_flush(r, 0, LD0), 1));
	rig_wait(model_flush_waits(r->model));
	for (unsigned i = 1; i < LANES; i++)
		job_submit(on_lane(job_flush(r, i, i % 2 ? LD5 : LD0), i));
	job_submit(on_lane(job_flush(r, LANES, PD8), 2)); /* has no second step */
	job_ends_well(&r->job[LANES]);
	rig_wait(seen(r, n_sync[LD0]) + seen(r, n_sync[LD5]) == LANES);
	rig_sync(r);
	rig_sync(r);
	for (unsigned i = 0; i < LANES; i++)
		ck_assert_uint_eq(job_done(&r->job[i]), 0);
	model_finish_flush(r->model);
	job_ends_well(&r->job[0]);
	rig_wait(model_flush_waits(r->model));
	model_finish_flush(r->model);
	for (unsigned i = 1; i < LANES; i++)
		job_ends_well(&r->job[i]);
	ck_assert_uint_eq(seen(r, n_flush), before + 2);
	tell(r, hold_flush, false);
	/* A failed one is everybody's. */
	tell(r, flush_status, 0x2d);
	ck_assert_int_eq(job_run(on_lane(job_flush(r, 9, LD0), 3))->result, HBA_IO_ERROR);
	tell(r, flush_status, 0);
	rig_down(r);
}
END_TEST

struct newcomers {
	struct loop_msg msg;
	struct hba *h;
};

static void units_come(struct loop_msg *m)
{
	struct newcomers *c = container_of(m, struct newcomers, msg);

	for (unsigned i = 0; i < 20; i++) {
		struct hba_unit u = {
			.kind = HBA_UNIT_LD, .target = (uint16_t)(100 + i), .state = HBA_UNIT_OFFLINE};

		hba_add_unit(c->h, &u);
		clock_sleep_ms(1);
	}
}

/* ThreadSanitizer looks on. */
START_TEST(units_may_come_while_others_submit)
{
	struct rig *r = lanes_up(INVADER);
	struct newcomers c = {.msg.cb = units_come, .h = r->h};
	unsigned n = hba_n_units(r->h);

	for (unsigned i = 0; i < 100; i++)
		on_lane(job_rw(r, i, LD0, DMA_FROM_DEVICE, i, 1), 1 + i % (LANES - 1));
	loop_post(r->loop, &c.msg);
	for (unsigned i = 0; i < 100; i++)
		job_run_well(&r->job[i]);
	rig_sync(r);
	ck_assert_uint_eq(hba_n_units(r->h), n + 20);
	rig_down(r);
}
END_TEST

/* --- fewer than were asked for --- */

START_TEST(halves_of_descriptors_would_be_mixed)
{
	struct rig *r = lanes_new(INVADER, LANES);

	r->model->no_whole64 = true;
	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_lanes, 1);
	job_run_well(job_rw(r, 0, LD0, DMA_FROM_DEVICE, 0, 1));
	rig_down(r);
}
END_TEST

START_TEST(small_firmware_is_not_shared_by_many)
{
	struct rig *r = lanes_new(VENTURA, HBA_MAX_LANES);
	uint32_t n;

	r->model->fw_cmds = 110;
	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_lanes, 3);
	for (unsigned i = 0; i < 3; i++) {
		hba_lane_tags(r->h, i, &n);
		ck_assert_uint_ge(n, 16);
		job_run_well(on_lane(job_rw(r, i, LD0, DMA_FROM_DEVICE, 0, 1), i));
	}
	rig_down(r);
}
END_TEST

/* Firmware knows many numbers, and takes few of them at once. */
START_TEST(few_at_once_are_not_shared_by_many)
{
	struct rig *r = lanes_new(INVADER, HBA_MAX_LANES);
	uint32_t n;

	r->model->fw_cmds = 40; /* of 500 */
	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_lanes, 2);
	for (unsigned i = 0; i < 2; i++) {
		hba_lane_tags(r->h, i, &n);
		ck_assert_uint_ge(n, HBA_LANE_SLOTS);
		job_run_well(on_lane(job_rw(r, i, LD0, DMA_FROM_DEVICE, 0, 1), i));
	}
	rig_down(r);
}
END_TEST

/* What the administrator allows. The first lane's are also those of hba_run(), without which nothing begins. */
static const struct {
	uint32_t depth;
	unsigned lanes;
} caps[] = {{1, 1}, {3, 1}, {31, 1}, {32, 2}, {63, 3}, {64, LANES}};

START_TEST(a_small_cap_is_not_shared_by_many)
{
	struct rig *r = lanes_new(INVADER, LANES);
	struct hba_req flush;

	r->cfg.queue_depth = caps[_i].depth;
	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_lanes, caps[_i].lanes);
	flush = (struct hba_req){.unit = &r->h->unit[LD0], .kind = HBA_REQ_FLUSH, .timeout_ms = 30000};
	ck_assert_int_eq(hba_run(r->h, &flush), 0);
	for (unsigned i = 0; i < caps[_i].lanes; i++)
		job_run_well(on_lane(job_rw(r, i, LD0, DMA_FROM_DEVICE, 0, 1), i));
	rig_down(r);
}
END_TEST

START_TEST(a_thread_without_a_queue_is_not_worth_it)
{
	struct rig *r = lanes_new(INVADER, LANES);

	r->model->no_msix = true;
	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_lanes, 1);
	job_run_well(job_rw(r, 0, LD0, DMA_FROM_DEVICE, 0, 1));
	rig_down(r);
}
END_TEST

/* The kernel has none left. */
START_TEST(without_vectors_all_comes_through_the_first)
{
	struct rig *r = lanes_new(INVADER, LANES);

	r->fn->no_vectors = true;
	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_lanes, LANES);
	hold_on_all(r, 12);
	release_all(r, 12);
	ck_assert_uint_eq(seen(r, n_posted[1]), 0);
	rig_down(r);
}
END_TEST

/* --- firmware that lies --- */

/* Other drivers take any reply from any queue, so firmware need not keep to what it was told. */
START_TEST(a_reply_in_anothers_queue_is_handed_on)
{
	static const uint8_t inquiry[6] = {0x12, 0, 0, 0, 36};
	struct rig *r = lanes_up(INVADER);

	tell(r, stray, (unsigned)_i);
	hold_on_all(r, 16);
	release_all(r, 16);
	tell(r, hold, false);
	for (unsigned i = 0; i < LANES; i++) {
		job_run_well(on_lane(job_cdb(r, 20, LD0, inquiry, 6, DMA_FROM_DEVICE, 36), i));
		job_run_well(on_lane(job_flush(r, 21, LD0), i));
	}
	ck_assert_int_eq(stat_of(r, resets), 0);
	ck_assert_uint_eq(__atomic_load_n(&rig_fusion(r)->count.strays, __ATOMIC_RELAXED) > 0, _i > 0);
	rig_down(r);
}
END_TEST

START_TEST(aborts_and_resets_find_their_replies_in_any_queue)
{
	struct rig *r = lanes_new(INVADER, LANES);

	r->ladder.abort_ms = 60000;
	r->model->pd_map = true; /* or the drive could not be named */
	rig_must_start(r);
	tell(r, stray, (unsigned)_i);
	for (unsigned round = 1; round <= 2; round++) {
		hold_on_all(r, 8);
		for (unsigned i = 0; i < 8; i++) {
			job_abort(&r->job[i]);
			job_ends(&r->job[i], HBA_ABORTED);
		}
		ck_assert_int_eq(stat_of(r, resets), round - 1);
		hold_on_all(r, 20);
		model_set_state(r->model, 0xf);
		rig_wait(rig_was_reset(r, round));
		rig_wait(model_pending(r->model) == 20);
		release_all(r, 20);
	}
	rig_down(r);
}
END_TEST

/* In its own queue and in another one: whoever comes first has it. */
START_TEST(a_reply_in_two_queues_counts_once)
{
	struct rig *r = lanes_up(INVADER);
	uint16_t smid;

	tell(r, hold, true);
	job_submit(on_lane(job_rw(r, 0, LD0, DMA_TO_DEVICE, 0, 1), 1));
	rig_wait(model_pending(r->model) == 1);
	smid = model_smid(r->model, 0);
	model_post(r->model, _i ? 0 : 2, (uint64_t)smid << 16);
	model_complete(r->model, 0);
	tell(r, hold, false);
	job_ends(&r->job[0], HBA_DONE);
	rig_wait(rig_was_reset(r, 1));
	rig_down(r);
}
END_TEST

START_TEST(a_reply_that_comes_twice_is_handed_on_once)
{
	static const uint8_t inquiry[6] = {0x12, 0, 0, 0, 36};
	struct rig *r = lanes_up(INVADER);
	uint16_t smid;

	tell(r, hold, true);
	job_submit(on_lane(job_cdb(r, 0, LD0, inquiry, 6, DMA_FROM_DEVICE, 36), 2));
	smid = model_smid(r->model, 0);
	model_complete(r->model, 0);
	model_post(r->model, 0, (uint64_t)smid << 16);
	tell(r, hold, false);
	job_ends_well(&r->job[0]);
	rig_wait(rig_was_reset(r, 1));
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fusion lanes");
	TCase *t = tcase_create("lanes");

	log_set_level(LOG_LV_ERR);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, each_has_its_share_and_its_queue, 0, 4);
	tcase_add_test(t, a_full_lane_is_nobody_elses_business);
	tcase_add_test(t, what_the_first_finds_for_others_is_handed_on);
	tcase_add_test(t, flushes_of_all_lanes_share_rounds);
	tcase_add_test(t, units_may_come_while_others_submit);
	tcase_add_test(t, halves_of_descriptors_would_be_mixed);
	tcase_add_test(t, small_firmware_is_not_shared_by_many);
	tcase_add_test(t, few_at_once_are_not_shared_by_many);
	tcase_add_loop_test(t, a_small_cap_is_not_shared_by_many, 0, ARRAY_SIZE(caps));
	tcase_add_test(t, a_thread_without_a_queue_is_not_worth_it);
	tcase_add_test(t, without_vectors_all_comes_through_the_first);
	tcase_add_loop_test(t, a_reply_in_anothers_queue_is_handed_on, 0, LANES);
	tcase_add_loop_test(t, aborts_and_resets_find_their_replies_in_any_queue, 0, LANES);
	tcase_add_loop_test(t, a_reply_in_two_queues_counts_once, 0, 2);
	tcase_add_test(t, a_reply_that_comes_twice_is_handed_on_once);
	suite_add_tcase(s, t);
	return run_suite(s);
}
