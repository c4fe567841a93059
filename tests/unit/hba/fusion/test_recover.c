/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fusion controllers: controller reset. */
#include <string.h>

#include "rig.h"
#include "tests/unit/run_suite.h"

START_TEST(a_fault_sends_everything_again)
{
	struct rig *r = rig_up((enum model_gen)_i);

	tell(r, hold, true);
	for (unsigned n = 0; n < 100; n++)
		job_send_read(r, n, n % 3);
	tell(r, hold, false);
	model_set_state(r->model, 0xf);
	jobs_end(r, 0, 100, HBA_DONE);
	ck_assert_uint_eq(seen(r, n_init), 2);
	ck_assert_uint_eq(seen(r, n_chip_reset), 1);
	/* The wait for events went on where it was. */
	rig_wait(seen(r, n_event_wait) == 2);
	ck_assert_uint_eq(seen(r, event_from), 1000);
	rig_down(r);
}
END_TEST

/* Firmware that starts anew deals them out anew: what had been one drive's may be another's. The model counts a direct
 * command with another handle than the drive's as an error. */
START_TEST(handles_of_drives_do_not_outlive_a_reset)
{
	struct rig *r = rig_new((enum model_gen)_i);
	unsigned direct;

	r->model->pd_map = true;
	rig_must_start(r);
	job_run(job_rw(r, 0, PD8, DMA_FROM_DEVICE, 0, 1));
	direct = seen(r, n_fast_path);
	ck_assert_uint_eq(direct, 1);
	tell(r, hold, true);
	for (unsigned n = 1; n < 20; n++)
		job_send_read(r, n, PD8);
	pthread_mutex_lock(&r->model->fn.lock);
	r->model->hold = false;
	r->model->pd_handle = 0x2a;
	r->model->state = 0xf;
	pthread_mutex_unlock(&r->model->fn.lock);
	jobs_end(r, 1, 19, HBA_DONE);
	/* The new one is asked for, and used, without any event. */
	rig_wait(seen(r, n_event_wait) == 2);
	direct = seen(r, n_fast_path);
	ck_assert_int_eq(job_run(job_rw(r, 20, PD8, DMA_FROM_DEVICE, 0, 1))->result, HBA_DONE);
	ck_assert_uint_eq(seen(r, n_fast_path), direct + 1);
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
	rig_wait(rig_was_reset(r, 1));
	job_ends(j, HBA_DONE);
	ck_assert_uint_eq(model_pending(r->model), 0);
	rig_down(r);
}
END_TEST

/* Whatever of them was done before: GOOD is what a flush after the reset says. */
START_TEST(flushes_in_each_of_their_steps_begin_anew_after_a_reset)
{
	struct rig *r = rig_up((enum model_gen)_i);
	unsigned flushes;

	tell(r, hold_flush, true);
	job_submit(job_flush(r, 0, LD0));
	rig_wait(model_flush_waits(r->model)); /* runs */
	job_submit(job_flush(r, 1, LD5));
	rig_wait(seen(r, n_sync[LD5]) == 1); /* waits for the next round */
	rig_sync(r);
	tell(r, hold, true);
	job_submit(job_flush(r, 2, LD0)); /* at its first command */
	job_submit(job_flush(r, 3, PD8));
	flushes = seen(r, n_flush);
	pthread_mutex_lock(&r->model->fn.lock);
	r->model->hold = false;
	r->model->state = 0xf;
	pthread_mutex_unlock(&r->model->fn.lock);
	rig_wait(rig_was_reset(r, 1));
	rig_wait(model_flush_waits(r->model));
	ck_assert_uint_gt(seen(r, n_flush), flushes);
	for (unsigned n = 0; n < 3; n++)
		ck_assert_uint_eq(job_done(&r->job[n]), 0);
	tell(r, hold_flush, false);
	model_finish_flush(r->model);
	for (unsigned n = 0; n < 4; n++) {
		job_ends(&r->job[n], HBA_DONE);
		ck_assert_uint_eq(r->job[n].scsi_status, 0);
	}
	/* Each LD's first command anew, and the drive's. */
	ck_assert_uint_eq(seen(r, n_sync[LD0]), 3);
	ck_assert_uint_eq(seen(r, n_sync[LD5]), 2);
	ck_assert_uint_eq(seen(r, n_sync[PD8]), 1);
	rig_down(r);
}
END_TEST

START_TEST(the_second_or_third_reset_may_help)
{
	struct rig *r = rig_up(INVADER);

	rig_times(r)->state = rig_times(r)->diag_end = 30;
	tell(r, resets_fail, 2);
	model_set_state(r->model, 0xf);
	rig_wait(rig_was_reset(r, 1));
	ck_assert_uint_eq(seen(r, n_chip_reset), 3);
	ck_assert_int_eq(job_run(job_rw(r, 0, LD0, DMA_FROM_DEVICE, 0, 1))->result, HBA_DONE);
	rig_down(r);
}
END_TEST

/* It is not waited for until the INIT's own time limit, which is longer than this test. */
START_TEST(firmware_that_dies_over_the_init_is_reset_again)
{
	struct rig *r = rig_up((enum model_gen)_i);

	tell(r, init_faults, 2);
	model_set_state(r->model, 0xf);
	rig_wait(rig_was_reset(r, 1));
	ck_assert_uint_eq(seen(r, n_chip_reset), 3);
	ck_assert_uint_eq(seen(r, n_init), 4);
	ck_assert_int_eq(job_run(job_rw(r, 0, LD0, DMA_FROM_DEVICE, 0, 1))->result, HBA_DONE);
	rig_down(r);
}
END_TEST

enum { DEAD_CHIP, FAULTS_AGAIN, REFUSED_INIT, SILENT_INIT, NO_RESET_BIT, SMALLER_OFFER, N_HOPELESS };

START_TEST(a_reset_that_never_helps_ends_everything)
{
	struct rig *r = rig_up(INVADER);

	rig_times(r)->state = rig_times(r)->diag_end = rig_times(r)->dcmd = 20;
	tell(r, hold, true);
	job_send_read(r, 0, LD0);
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
	job_ends(&r->job[0], HBA_GONE);
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
	job_send_read(r, 0, LD0);
	model_set_state(r->model, 0xf);
	job_ends(&r->job[0], HBA_GONE);
	ck_assert_uint_eq(seen(r, n_chip_reset), 0);
	rig_down(r);
}
END_TEST

/* What it has in its cache is to be written out, even if it must come back for that first. */
START_TEST(a_stop_in_the_middle_of_a_reset_waits_for_the_flush)
{
	struct rig *r = rig_new((enum model_gen)_i);

	r->ladder.reset_ms = RIG_WAIT_MS;
	rig_must_start(r);
	/* So many looks until the INIT may be sent. */
	tell(r, busy_reads, 100);
	model_set_state(r->model, 0xf);
	rig_wait(stat_of(r, resets) == 1);
	hba_stop(r->h);
	ck_assert_uint_eq(seen(r, n_init), 2);
	assert_last_flushes(r, 1);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	rig_down(r);
}
END_TEST

/* Not for ever. */
START_TEST(a_stop_does_not_wait_for_a_reset_that_does_not_end)
{
	struct rig *r = rig_new(INVADER);

	r->ladder.reset_ms = 50;
	rig_must_start(r);
	tell(r, chip_dead, true);
	model_set_state(r->model, 0xf);
	rig_wait(stat_of(r, resets) == 1);
	hba_stop(r->h);
	ck_assert_int_eq(hba_state(r->h), HBA_FAILED);
	ck_assert_uint_eq(seen(r, n_flush), 0);
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
		job_send_read(r, n, n % 3);
	job_submit(job_flush(r, 20, LD0));
	tell(r, fn.gone, true);
	rig_wait(hba_state(r->h) == HBA_REMOVED);
	for (unsigned n = 0; n < 21; n++) {
		job_ends(&r->job[n], HBA_GONE);
		ck_assert(r->job[n].quiet);
	}
	tell(r, fn.gone, false);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fusion recovery");
	TCase *t = tcase_create("recovery");

	log_set_level(LOG_LV_ERR);
	tcase_set_timeout(t, 90);
	tcase_add_loop_test(t, a_fault_sends_everything_again, 0, 4);
	tcase_add_loop_test(t, handles_of_drives_do_not_outlive_a_reset, 0, 4);
	tcase_add_test(t, what_was_answered_before_the_fault_is_not_run_again);
	tcase_add_loop_test(t, flushes_in_each_of_their_steps_begin_anew_after_a_reset, 0, 4);
	tcase_add_test(t, the_second_or_third_reset_may_help);
	tcase_add_loop_test(t, firmware_that_dies_over_the_init_is_reset_again, 0, 4);
	tcase_add_loop_test(t, a_reset_that_never_helps_ends_everything, 0, N_HOPELESS);
	tcase_add_test(t, resets_may_be_forbidden);
	tcase_add_loop_test(t, a_stop_in_the_middle_of_a_reset_waits_for_the_flush, 0, 4);
	tcase_add_test(t, a_stop_does_not_wait_for_a_reset_that_does_not_end);
	tcase_add_test(t, firmware_that_writes_out_its_cache_is_not_interrupted);
	tcase_add_loop_test(t, a_device_that_is_gone_ends_everything, 0, 4);
	suite_add_tcase(s, t);
	return run_suite(s);
}
