/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Several I/O threads with one controller: what is on its way to them is overtaken by what comes next. rig_down() asserts that
 * every request was done once, on its own thread. */
#include "lanes_rig.h"
#include "tests/unit/run_suite.h"

#include <limits.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* --- lanes on their way from halted to running --- */

enum trouble { FAULT, WILD_REPLY, ALL_ONES, UNPLUG, N_TROUBLES };

#define N_HELD 12

static void make_trouble(struct rig *r, enum trouble what)
{
	uint64_t one = 1;

	switch (what) {
	case FAULT:
		model_set_state(r->model, 0xf);
		break;
	case WILD_REPLY:
		model_post(r->model, 1, UINT64_C(0xfffe) << 16);
		break;
	case ALL_ONES:
		tell(r, fn.gone, true);
		break;
	case UNPLUG:
		ck_assert_int_eq(write(r->fn->pci.request_fd, &one, sizeof(one)), sizeof(one));
		break;
	case N_TROUBLES:
		break;
	}
}

/* The controller runs again after its first reset, and all threads with it, but for the one that has yet to hear of it. */
static void reset_unheard_by(struct rig *r, unsigned lane, struct stall *s)
{
	tell(r, busy_reads, UINT_MAX);
	model_set_state(r->model, 0xf);
	rig_wait(seen(r, n_chip_reset) == 1);
	stall_begin(r, lane, s);
	tell(r, busy_reads, 0);
	rig_wait(rig_was_reset(r, 1));
	for (unsigned i = 0; i < LANES; i++)
		if (i != lane)
			rig_wait(lane_state(r, i) == HBA_RUNNING);
	rig_wait(model_pending(r->model) == N_HELD - N_HELD / LANES);
}

static void all_run(struct rig *r)
{
	for (unsigned i = 0; i < LANES; i++) {
		rig_wait(lane_state(r, i) == HBA_RUNNING);
		job_run_well(on_lane(job_rw(r, 20, LD0, DMA_FROM_DEVICE, 0, 1), i));
	}
}

static void all_have_ended(struct rig *r)
{
	ck_assert_int_eq(hba_state(r->h), HBA_REMOVED);
	for (unsigned i = 0; i < LANES; i++) {
		rig_wait(lane_state(r, i) == HBA_REMOVED);
		job_try(on_lane(job_rw(r, 20, LD0, DMA_FROM_DEVICE, 0, 1), i));
		ck_assert_int_eq(job_submitted(&r->job[20]), 1);
	}
	for (unsigned i = 0; i <= N_HELD; i++) {
		ck_assert(r->job[i].quiet);
		ck_assert_int_eq(r->job[i].lane_state, HBA_REMOVED);
	}
}

/* What comes next waits until the last thread has heard of the one before, and is not forgotten then. */
START_TEST(trouble_while_lanes_are_on_their_way_back)
{
	struct rig *r = lanes_new(INVADER, LANES);
	bool gone = _i == ALL_ONES || _i == UNPLUG;
	struct stall second;

	r->fn->pci.request_fd = eventfd(0, EFD_NONBLOCK);
	rig_must_start(r);
	hold_on_all(r, N_HELD);
	reset_unheard_by(r, 2, &second);
	job_submit(on_lane(job_rw(r, N_HELD, LD0, DMA_FROM_DEVICE, 0, 1), 1));
	make_trouble(r, (enum trouble)_i);
	rig_wait(hba_state(r->h) == (gone ? HBA_REMOVED : HBA_RESETTING));
	clock_sleep_ms(50);
	ck_assert_uint_eq(seen(r, n_chip_reset), 1);
	ck_assert(seen(r, fn.bus_master));
	for (unsigned i = 0; i <= N_HELD; i++)
		ck_assert_uint_eq(job_done(&r->job[i]), 0);
	stall_end(&second);
	if (gone) {
		jobs_end(r, 0, N_HELD + 1, HBA_GONE);
		all_have_ended(r);
	} else {
		rig_wait(rig_was_reset(r, 2));
		rig_wait(model_pending(r->model) == N_HELD + 1);
		ck_assert_uint_eq(stat_of(r, reissues), N_HELD + N_HELD + 1);
		release_all(r, N_HELD);
		job_ends_well(&r->job[N_HELD]);
		tell(r, hold, false);
		all_run(r);
	}
	close(r->fn->pci.request_fd);
	rig_down(r);
}
END_TEST

/* --- a unit's reset, overtaken by the controller's --- */

/* Firmware does not abort this job, and is asked to reset the unit: the n-th time. It has not answered that yet. */
static void refuse_abort(struct rig *r, struct job *job, unsigned n)
{
	tell(r, hold_tasks, true);
	job_abort(job);
	rig_wait(model_task_waits(r->model));
	model_finish_task(r->model);
	rig_wait(seen(r, n_unit_reset) == n);
}

static unsigned settling(struct rig *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FUSION_N_TASKS; i++)
		n += __atomic_load_n(&rig_fusion(r)->settling[i].busy, __ATOMIC_ACQUIRE);
	return n;
}

static unsigned tasks_in_use(struct rig *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FUSION_N_TASKS; i++)
		n += __atomic_load_n(&rig_fusion(r)->task_owner[i], __ATOMIC_ACQUIRE) > 0;
	return n;
}

/* The reset of a unit is answered, and its lane (2) asks all threads to look into their queues: that request reaches lane 3
 * behind the message that halts it for a reset of the controller, and is not looked at before that reset is over. */
static void settle_across_a_reset(struct rig *r, struct stall *behind)
{
	struct stall second, third;

	stall_begin(r, 3, &third);
	stall_begin(r, 2, &second);
	model_finish_task(r->model);
	rig_wait(was_handed_on(r, (uint16_t)rig_fusion(r)->task_smid));
	fault(r);
	stall_post(r, 3, behind);
	stall_end(&second);
	stall_end(&third);
	stall_await(behind);
	rig_wait(rig_was_reset(r, 1));
	for (unsigned i = 0; i < 3; i++)
		rig_wait(lane_state(r, i) == HBA_RUNNING);
	ck_assert_uint_eq(settling(r), 1);
}

/* What is left of it must not end the next reset of that unit, whose victims are still to come back. */
START_TEST(a_unit_reset_from_before_a_controller_reset_ends_no_later_one)
{
	struct rig *r = lanes_new(INVADER, LANES);
	struct stall behind;

	r->ladder.abort_ms = 60000;
	rig_must_start(r);
	tell(r, hold, true);
	tell(r, abort_response, 0x05);
	tell(r, abort_kills, false);
	tell(r, reset_kills, false);
	for (unsigned i = 0; i < 8; i++)
		job_submit(on_lane(job_rw(r, i, LD0, DMA_FROM_DEVICE, i, 1), i % LANES));
	refuse_abort(r, &r->job[2], 1);
	settle_across_a_reset(r, &behind);
	job_ends(&r->job[2], HBA_ABORTED);
	rig_wait(model_pending(r->model) == 5); /* lane 3 has not sent its two yet */
	refuse_abort(r, &r->job[1], 2);
	stall_end(&behind);
	rig_wait(settling(r) == 0);
	rig_wait(model_pending(r->model) == 7);
	tell(r, reset_kills, true);
	model_finish_task(r->model);
	job_ends(&r->job[1], HBA_ABORTED);
	rig_wait(model_pending(r->model) == 6);
	ck_assert_uint_eq(rig_fusion(r)->count.again, 6);
	while (model_pending(r->model))
		model_complete(r->model, 0);
	job_ends(&r->job[0], HBA_DONE);
	jobs_end(r, 3, 5, HBA_DONE);
	rig_wait(tasks_in_use(r) == 0);
	ck_assert_int_eq(stat_of(r, resets), 1);
	/* The stop's flushes are not held, or they would have the time of an abort. */
	tell(r, hold, false);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fusion lanes crossing");
	TCase *t = tcase_create("lanes");

	log_set_level(LOG_LV_ERR);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, trouble_while_lanes_are_on_their_way_back, 0, N_TROUBLES);
	tcase_add_test(t, a_unit_reset_from_before_a_controller_reset_ends_no_later_one);
	suite_add_tcase(s, t);
	return run_suite(s);
}
