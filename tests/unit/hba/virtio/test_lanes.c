/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Several I/O threads with one device: what each has, what it has not, and turns that they share. rig_down() asserts that every
 * request was done once, on its own thread. */
#include "lanes_rig.h"
#include "tests/unit/run_suite.h"

#include <string.h>

/* --- shares --- */

static const unsigned counts[] = {1, 2, 4, 8};

START_TEST(each_has_its_share_and_its_queue)
{
	unsigned lanes = counts[_i], first = 0;
	struct rig *r = lanes_new(lanes);
	uint32_t n;

	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_lanes, lanes);
	for (unsigned i = 0; i < lanes; i++) {
		ck_assert_uint_eq(hba_lane_tags(r->h, i, &n), first);
		ck_assert_uint_ge(n, 250);
		first += n;
		ck_assert_uint_eq(seen(r, queue[2 + i].enable), 1);
		ck_assert_uint_eq(seen(r, queue[2 + i].vector), i);
	}
	ck_assert_uint_eq(first, r->h->limits.queue_depth);
	for (unsigned i = 0; i < 3 * lanes; i++) {
		unsigned before[MODEL_QUEUES], lane = i % lanes;
		struct job *job = on_lane(job_rw(r, i, i % 3, DMA_TO_DEVICE, i, 3), lane);

		fn_do_locked(r->fn, memcpy(before, r->model->n_used, sizeof(before)));
		job_fill(job, i);
		job_run_well(job);
		ck_assert_mem_eq(r->model->unit[i % 3].disk + i * 512, job->buf, 3 * 512);
		for (unsigned q = 0; q < MODEL_QUEUES; q++)
			ck_assert_uint_eq(seen(r, n_used[q]), before[q] + (q == 2 + lane));
	}
	for (unsigned i = 0; i < lanes; i++)
		job_run_well(on_lane(job_flush(r, i, 1), i));
	ck_assert_uint_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

/* All slots of one lane at work: nobody else's are touched. What a smaller depth leaves over is the last one's. */
START_TEST(a_full_lane_is_nobody_elses_business)
{
	static const uint32_t depths[] = {67, 64, 1000, 0};
	struct rig *r = lanes_new(LANES);
	uint32_t n;

	r->cfg.queue_depth = depths[_i];
	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_lanes, LANES);
	tell(r, hold, true);
	hba_lane_tags(r->h, 3, &n);
	for (unsigned i = 0; i < n; i++)
		job_submit(on_lane(job_rw(r, i, 0, DMA_FROM_DEVICE, i, 1), 3));
	job_try(on_lane(job_rw(r, n, 0, DMA_FROM_DEVICE, 0, 1), 3));
	ck_assert_int_eq(job_submitted(&r->job[n]), 1);
	job_submit(on_lane(job_rw(r, n + 1, 0, DMA_FROM_DEVICE, 0, 1), 2));
	rig_wait(model_pending(r->model) == n + 1);
	rig_pump(r);
	jobs_end(r, 0, n, HBA_DONE);
	job_ends(&r->job[n + 1], HBA_DONE);
	rig_down(r);
}
END_TEST

/* The most that is left over: room for it is kept. */
START_TEST(a_depth_that_leaves_much_over)
{
	struct rig *r = lanes_new(HBA_MAX_LANES);
	uint32_t n, depth;

	rig_must_start(r);
	depth = r->h->limits.queue_depth;
	rig_down(r);
	r = lanes_new(HBA_MAX_LANES);
	r->cfg.queue_depth = depth - 1;
	rig_must_start(r);
	hba_lane_tags(r->h, HBA_MAX_LANES - 1, &n);
	ck_assert_uint_eq(n, depth / HBA_MAX_LANES + HBA_MAX_LANES - 2);
	tell(r, hold, true);
	for (unsigned i = 0; i < n; i++)
		job_submit(on_lane(job_rw(r, i, 0, DMA_FROM_DEVICE, i, 1), HBA_MAX_LANES - 1));
	rig_wait(model_pending(r->model) == n);
	rig_pump(r);
	jobs_end(r, 0, n, HBA_DONE);
	rig_down(r);
}
END_TEST

START_TEST(answers_of_one_queue_are_not_anothers)
{
	struct rig *r = lanes_new(LANES);
	struct stall third;

	r->ladder.tick_ms = 60000;
	rig_must_start(r);
	hold_on_all(r, 12);
	stall_begin(r, 2, &third);
	for (unsigned i = 0; i < 12; i++)
		model_complete(r->model, 0);
	for (unsigned i = 0; i < 12; i++)
		if (i % LANES != 2)
			job_ends_well(&r->job[i]);
	for (unsigned i = 2; i < 12; i += LANES)
		ck_assert_uint_eq(job_done(&r->job[i]), 0);
	stall_end(&third);
	release_all(r, 12);
	rig_down(r);
}
END_TEST

/* --- fewer than were asked for --- */

static void must_have(struct rig *r, unsigned lanes)
{
	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_lanes, lanes);
	hold_on_all(r, 3 * lanes);
	release_all(r, 3 * lanes);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	rig_down(r);
}

START_TEST(fewer_queues)
{
	static const struct {
		uint32_t config, common; /* what the device says, of request queues and of all */
		unsigned lanes;
	} t[] = {{1, 12, 1}, {2, 12, 2}, {3, 12, 3}, {100, 5, 3}, {100, 3, 1}, {0xffffffff, 0xffff, 4}};
	struct rig *r = lanes_new(LANES);

	model_config32(r->model, 0x00, t[_i].config);
	r->model->num_queues = (uint16_t)t[_i].common;
	must_have(r, t[_i].lanes);
}
END_TEST

static void take_note(struct pci_dev *pci, enum pci_note what, uint64_t iova, const void *mem, uint32_t len)
{
}

START_TEST(a_capture_is_one_threads_view)
{
	struct rig *r = lanes_new(LANES);
	struct pci_ops ops = *r->fn->pci.ops;

	ops.note = take_note;
	r->fn->pci.ops = &ops;
	must_have(r, 1);
}
END_TEST

/* It would have to be set up before it is used, and less of all queues is worse than fewer. */
START_TEST(a_queue_that_is_smaller_or_not_there)
{
	static const uint16_t size[] = {0, 128, 100, 16};
	struct rig *r = lanes_new(LANES);

	r->model->queue[4].max = size[_i];
	must_have(r, 2);
}
END_TEST

START_TEST(small_queues_are_not_worth_a_thread)
{
	static const struct {
		uint16_t size;
		unsigned asked, lanes;
	} t[] = {{16, 4, 1}, {32, 4, 4}, {32, 8, 8}, {8, 8, 1}};
	struct rig *r = lanes_new(t[_i].asked);

	for (unsigned i = 2; i < MODEL_QUEUES; i++)
		r->model->queue[i].max = t[_i].size;
	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_lanes, t[_i].lanes);
	for (unsigned i = 0; i < t[_i].lanes; i++)
		job_run_well(on_lane(job_rw(r, i, 0, DMA_FROM_DEVICE, 0, 1), i));
	rig_down(r);
}
END_TEST

START_TEST(segments_in_the_queue_cost_the_lanes)
{
	struct rig *r = lanes_new(LANES);

	r->model->offered &= ~UINT64_C(0x10000000); /* no lists */
	must_have(r, 1);
}
END_TEST

START_TEST(queues_without_lists_are_shared_if_they_are_large)
{
	struct rig *r = lanes_new(LANES);

	r->model->offered &= ~UINT64_C(0x10000000);
	for (unsigned i = 2; i < MODEL_QUEUES; i++)
		r->model->queue[i].max = 1024;
	must_have(r, LANES);
}
END_TEST

START_TEST(fewer_vectors)
{
	static const unsigned vectors[] = {0, 1, 2, 3};
	struct rig *r = lanes_new(LANES);

	r->fn->pci.n_vectors[PCI_IRQ_MSIX] = vectors[_i];
	must_have(r, MAX(vectors[_i], 1u));
}
END_TEST

/* The kernel has none left, or one, or the device no room for them: nobody waits for the next tick. */
START_TEST(without_vectors_all_interrupts_are_the_first_ones)
{
	struct rig *r = lanes_new(LANES);

	r->ladder.tick_ms = 60000;
	r->fn->no_vectors = _i == 0;
	r->fn->one_vector = _i == LANES;
	if (_i && _i < LANES)
		r->model->vectors = (uint16_t)_i;
	must_have(r, LANES);
}
END_TEST

/* --- turns --- */

#define PER_LUN 4

static struct rig *few_per_unit(void)
{
	struct rig *r = lanes_new(LANES);

	model_config32(r->model, 0x0c, PER_LUN);
	r->ladder.tick_ms = 60000; /* nobody is helped by chance */
	rig_must_start(r);
	tell(r, hold, true);
	return r;
}

static void nothing(void *arg)
{
}

static bool over_with_few(struct rig *r, void *arg)
{
	ck_assert_uint_le(model_pending(r->model), PER_LUN);
	return hba_inflight(r->h) == 0;
}

/* One unit, all lanes: never more at once, and all have their turn. */
START_TEST(lanes_share_the_turns_of_a_unit)
{
	struct rig *r = few_per_unit();

	for (unsigned i = 0; i < 40; i++)
		job_submit(on_lane(job_rw(r, i, 0, DMA_FROM_DEVICE, i, 1), i % LANES));
	rig_wait(model_pending(r->model) == PER_LUN);
	rig_pump_until(r, over_with_few, NULL);
	rig_sync(r);
	jobs_end(r, 0, 40, HBA_DONE);
	for (unsigned u = 0; u < 3; u++) {
		ck_assert_uint_eq(rig_vio(r)->turn[u].busy, 0);
		ck_assert_uint_eq(rig_vio(r)->turn[u].wanted, 0);
	}
	rig_down(r);
}
END_TEST

/* As a rescan has it, whose questions go by the first lane. */
START_TEST(nobody_waits_behind_a_lane_that_never_runs_dry)
{
	struct rig *r = few_per_unit();

	for (unsigned i = 0; i < 60; i++)
		job_submit(on_lane(job_rw(r, i, 0, DMA_FROM_DEVICE, i, 1), 2));
	rig_wait(model_pending(r->model) == PER_LUN);
	job_submit(on_lane(job_rw(r, 60, 0, DMA_FROM_DEVICE, 60, 1), 0));
	for (unsigned i = 0; i < 3 * PER_LUN; i++) {
		rig_wait(model_pending(r->model) > 0);
		model_complete(r->model, 0);
		rig_sync(r);
	}
	job_ends_well(&r->job[60]);
	ck_assert_uint_lt(r->job[60].order, 3 * PER_LUN + 1);
	rig_pump(r);
	jobs_end(r, 0, 60, HBA_DONE);
	rig_down(r);
}
END_TEST

START_TEST(who_comes_anew_waits_behind_those_that_wait)
{
	struct rig *r = few_per_unit();
	struct stall third;

	for (unsigned i = 0; i < PER_LUN; i++)
		job_submit(on_lane(job_rw(r, i, 0, DMA_FROM_DEVICE, i, 1), 1));
	rig_wait(model_pending(r->model) == PER_LUN);
	job_submit(on_lane(job_rw(r, PER_LUN, 0, DMA_FROM_DEVICE, 0, 1), 2));
	stall_begin(r, 2, &third);
	model_complete(r->model, 0);
	job_wait(&r->job[0]);
	job_submit(on_lane(job_rw(r, PER_LUN + 1, 0, DMA_FROM_DEVICE, 0, 1), 1));
	rig_lane_io(r, 1, nothing, NULL);
	ck_assert_uint_eq(model_pending(r->model), PER_LUN - 1);
	stall_end(&third);
	rig_wait(model_pending(r->model) == PER_LUN);
	ck_assert_uint_eq(model_queue_of(r->model, PER_LUN - 1), VIO_Q_REQUEST + 2);
	rig_pump(r);
	jobs_end(r, 1, PER_LUN + 1, HBA_DONE);
	rig_down(r);
}
END_TEST

/* The one before needs less room than was made for it. */
START_TEST(room_that_others_do_not_need_is_passed_on)
{
	struct rig *r = few_per_unit();
	struct stall third;

	for (unsigned i = 0; i < PER_LUN + 1; i++)
		job_submit(on_lane(job_rw(r, i, 0, DMA_FROM_DEVICE, i, 1), 1));
	job_submit(on_lane(job_rw(r, PER_LUN + 1, 0, DMA_FROM_DEVICE, 0, 1), 2));
	rig_wait(model_pending(r->model) == PER_LUN);
	stall_begin(r, 2, &third);
	for (unsigned i = 0; i < PER_LUN; i++)
		model_complete(r->model, 0);
	jobs_end(r, 0, PER_LUN, HBA_DONE);
	rig_lane_io(r, 1, nothing, NULL);
	ck_assert_uint_eq(model_pending(r->model), 0); /* others first */
	stall_end(&third);
	rig_wait(model_pending(r->model) == 2);
	rig_pump(r);
	jobs_end(r, PER_LUN, 2, HBA_DONE);
	rig_down(r);
}
END_TEST

START_TEST(those_that_wait_are_aborted_where_they_wait)
{
	struct rig *r = few_per_unit();

	for (unsigned i = 0; i < PER_LUN; i++)
		job_submit(on_lane(job_rw(r, i, 0, DMA_FROM_DEVICE, i, 1), 1));
	for (unsigned i = PER_LUN; i < 12; i++)
		job_submit(on_lane(job_rw(r, i, 0, DMA_FROM_DEVICE, i, 1), i % LANES));
	for (unsigned i = PER_LUN; i < 12; i += 2)
		job_abort(&r->job[i]);
	for (unsigned i = PER_LUN; i < 12; i += 2)
		job_ends(&r->job[i], HBA_ABORTED);
	ck_assert_uint_eq(seen(r, n_abort), 0);
	rig_pump_until(r, over_with_few, NULL);
	rig_sync(r);
	for (unsigned i = 0; i < 12; i++)
		job_ends(&r->job[i], i >= PER_LUN && i % 2 == 0 ? HBA_ABORTED : HBA_DONE);
	rig_down(r);
}
END_TEST

START_TEST(those_that_wait_survive_a_reset)
{
	struct rig *r = few_per_unit();

	for (unsigned i = 0; i < 30; i++)
		job_submit(on_lane(job_rw(r, i, 0, DMA_TO_DEVICE, i, 1), i % LANES));
	rig_wait(model_pending(r->model) == PER_LUN);
	fault(r);
	rig_wait(rig_was_reset(r, 1) && model_pending(r->model) == PER_LUN);
	rig_pump_until(r, over_with_few, NULL);
	rig_sync(r);
	jobs_end(r, 0, 30, HBA_DONE);
	ck_assert_uint_eq(stat_of(r, reissues), 30);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio lanes");
	TCase *t = tcase_create("lanes");

	log_set_level(LOG_LV_ERR);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, each_has_its_share_and_its_queue, 0, ARRAY_SIZE(counts));
	tcase_add_loop_test(t, a_full_lane_is_nobody_elses_business, 0, 4);
	tcase_add_test(t, a_depth_that_leaves_much_over);
	tcase_add_test(t, answers_of_one_queue_are_not_anothers);
	tcase_add_loop_test(t, fewer_queues, 0, 6);
	tcase_add_test(t, a_capture_is_one_threads_view);
	tcase_add_loop_test(t, a_queue_that_is_smaller_or_not_there, 0, 4);
	tcase_add_loop_test(t, small_queues_are_not_worth_a_thread, 0, 4);
	tcase_add_test(t, segments_in_the_queue_cost_the_lanes);
	tcase_add_test(t, queues_without_lists_are_shared_if_they_are_large);
	tcase_add_loop_test(t, fewer_vectors, 0, 4);
	tcase_add_loop_test(t, without_vectors_all_interrupts_are_the_first_ones, 0, LANES + 1);
	tcase_add_test(t, lanes_share_the_turns_of_a_unit);
	tcase_add_test(t, nobody_waits_behind_a_lane_that_never_runs_dry);
	tcase_add_test(t, who_comes_anew_waits_behind_those_that_wait);
	tcase_add_test(t, room_that_others_do_not_need_is_passed_on);
	tcase_add_test(t, those_that_wait_are_aborted_where_they_wait);
	tcase_add_test(t, those_that_wait_survive_a_reset);
	suite_add_tcase(s, t);
	return run_suite(s);
}
