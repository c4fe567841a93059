/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HBA_REQ_FLUSH is never answered from thin air, and shares the controller's flush only forward in time. */
#include "rig.h"
#include "tests/unit/run_suite.h"

#include <string.h>

START_TEST(each_flush_syncs_its_unit_once)
{
	struct rig *r = rig_up(GEN2);

	for (unsigned i = 0; i < 100; i++) {
		struct job *job = job_run(job_flush(r, i, i % 2));

		ck_assert_int_eq(job->result, HBA_DONE);
		ck_assert_uint_eq(job->scsi_status, 0);
		ck_assert_uint_eq(seen(r, n_sync[0]), i / 2 + 1);
		ck_assert_uint_eq(seen(r, n_sync[1]), (i + 1) / 2);
		ck_assert_uint_eq(seen(r, n_flush), i + 1); /* one after the other: nobody to share with */
	}
	rig_down(r);
}
END_TEST

START_TEST(firmware_may_not_know_synchronize_cache)
{
	struct rig *r = rig_up(GEN2);

	tell(r, sync_mode, MODEL_SYNC_UNKNOWN);
	ck_assert_int_eq(job_run(job_flush(r, 0, 0))->result, HBA_DONE);
	ck_assert_uint_eq(r->job[0].scsi_status, 0);
	ck_assert_uint_eq(r->job[0].sense_len, 0);
	ck_assert_uint_eq(seen(r, n_flush), 1);
	rig_down(r);
}
END_TEST

START_TEST(failed_sync_fails_the_flush)
{
	struct rig *r = rig_up(GEN2);
	struct job *job;

	tell(r, sync_mode, MODEL_SYNC_FAILS);
	job = job_run(job_flush(r, 0, 0));
	ck_assert_int_eq(job->result, HBA_DONE);
	ck_assert_uint_eq(job->scsi_status, 2);
	ck_assert_uint_eq(job->sense[12], 0x44);
	ck_assert_uint_eq(seen(r, n_flush), 0);
	tell(r, io_status, 0x2e);
	job = job_run(job_flush(r, 1, 0));
	ck_assert_int_eq(job->result, HBA_IO_ERROR);
	ck_assert_uint_eq(seen(r, n_flush), 0);
	rig_down(r);
}
END_TEST

static void answer_with(struct rig *r, uint8_t status, uint8_t scsi_status, uint8_t format, uint8_t key)
{
	tell(r, io_status, status);
	tell(r, io_scsi_status, scsi_status);
	memset(r->model->io_sense, 0, sizeof(r->model->io_sense));
	r->model->io_sense[0] = format;
	r->model->io_sense[2] = key;
	r->model->io_sense[7] = 10;
}

/* A success with a story, or firmware that does not take the frame: step 2 decides, and is never left out. */
START_TEST(recovered_or_refused_sync_goes_on_to_the_dcmd)
{
	struct rig *r = rig_up(GEN2);
	struct job *job;

	answer_with(r, 0x2d, 2, 0x70, 1);
	job = job_run(job_flush(r, 0, 0));
	ck_assert_int_eq(job->result, HBA_DONE);
	ck_assert_uint_eq(job->scsi_status, 0);
	ck_assert_uint_eq(seen(r, n_flush), 1);
	answer_with(r, 0x01, 0, 0, 0);
	job = job_run(job_flush(r, 1, 0));
	ck_assert_int_eq(job->result, HBA_DONE);
	ck_assert_uint_eq(seen(r, n_flush), 2);
	answer_with(r, 0x01, 0, 0, 0);
	tell(r, flush_status, 0x15);
	job = job_run(job_flush(r, 2, 0));
	ck_assert_int_eq(job->result, HBA_IO_ERROR);
	rig_down(r);
}
END_TEST

/* Deferred sense is about another command: this SYNCHRONIZE CACHE has not run. */
START_TEST(deferred_error_fails_the_flush)
{
	struct rig *r = rig_up(GEN2);
	struct job *job;

	answer_with(r, 0x2d, 2, 0x71, 1);
	job = job_run(job_flush(r, 0, 0));
	ck_assert_uint_eq(job->scsi_status, 2);
	ck_assert_uint_eq(seen(r, n_flush), 0);
	rig_down(r);
}
END_TEST

START_TEST(failed_dcmd_fails_the_flush)
{
	static const uint8_t status[] = {0x15, 0x02, 0xff};
	struct rig *r = rig_up(GEN2);

	for (unsigned i = 0; i < ARRAY_SIZE(status); i++) {
		tell(r, flush_status, status[i]);
		ck_assert_int_eq(job_run(job_flush(r, i, 0))->result, HBA_IO_ERROR);
		ck_assert_uint_eq(r->job[i].fw_status, status[i]);
	}
	tell(r, flush_status, 0);
	ck_assert_int_eq(job_run(job_flush(r, 9, 0))->result, HBA_DONE);
	rig_down(r);
}
END_TEST

START_TEST(late_comers_share_the_next_one)
{
	struct rig *r = rig_up(GEN2);

	tell(r, hold_flush, true);
	job_submit(job_flush(r, 0, 0));
	rig_wait(model_flush_waits(r->model));
	for (unsigned i = 1; i < 6; i++)
		job_submit(job_flush(r, i, i % 2));
	rig_wait(seen(r, n_sync[0]) + seen(r, n_sync[1]) == 6);
	clock_sleep_ms(10);
	ck_assert_uint_eq(seen(r, n_flush), 1);
	model_finish_flush(r->model);
	job_wait(&r->job[0]);
	/* The flush that ran when they came proves nothing for them. */
	rig_wait(model_flush_waits(r->model));
	for (unsigned i = 1; i < 6; i++)
		ck_assert_uint_eq(job_done(&r->job[i]), 0);
	ck_assert_uint_eq(seen(r, n_flush), 2);
	model_finish_flush(r->model);
	jobs_end(r, 1, 5, HBA_DONE);
	ck_assert_uint_eq(seen(r, n_flush), 2);
	rig_down(r);
}
END_TEST

static void flush_more(struct job *job)
{
	job_submit_here(job_flush(job->rig, 7, 0));
}

START_TEST(flush_from_done_gets_its_own_round)
{
	struct rig *r = rig_up(GEN2);
	struct job *job = job_flush(r, 0, 0);

	tell(r, hold_flush, true);
	job->then = flush_more;
	job_submit(job);
	rig_wait(model_flush_waits(r->model));
	model_finish_flush(r->model);
	rig_wait(model_flush_waits(r->model));
	ck_assert_uint_eq(job_done(&r->job[7]), 0);
	model_finish_flush(r->model);
	job_wait(&r->job[7]);
	ck_assert_uint_eq(seen(r, n_flush), 2);
	rig_down(r);
}
END_TEST

START_TEST(system_drive_needs_good_sync_and_nothing_else)
{
	struct rig *r = rig_new(GEN2);

	r->model->pd_count = 1;
	r->model->pd_ids[0] = 1;
	rig_must_start(r);
	ck_assert_int_eq(job_run(job_flush(r, 0, 3))->result, HBA_DONE);
	ck_assert_uint_eq(r->job[0].scsi_status, 0);
	ck_assert_uint_eq(seen(r, last_frame[0]), 0x04);
	ck_assert_uint_eq(seen(r, n_flush), 0);
	/* A drive that does not know it has not flushed. */
	tell(r, sync_mode, MODEL_SYNC_UNKNOWN);
	ck_assert_uint_eq(job_run(job_flush(r, 1, 3))->scsi_status, 2);
	ck_assert_uint_eq(seen(r, n_flush), 0);
	rig_down(r);
}
END_TEST

START_TEST(reset_repeats_both_steps)
{
	struct rig *r = rig_up(GEN2);

	tell(r, hold_flush, true);
	job_submit(job_flush(r, 0, 0));
	rig_wait(model_flush_waits(r->model));
	job_submit(job_flush(r, 1, 1)); /* waits for the next round */
	rig_wait(seen(r, n_sync[1]) == 1);
	model_post(r->model, 0xffff0123);
	rig_wait(hba_state(r->h) == HBA_RUNNING && seen(r, n_init) == 2 && model_flush_waits(r->model));
	ck_assert_uint_eq(job_done(&r->job[0]) + job_done(&r->job[1]), 0);
	ck_assert_uint_eq(seen(r, n_sync[0]), 2);
	rig_wait(seen(r, n_sync[1]) == 2);
	model_finish_flush(r->model);
	job_wait(&r->job[0]);
	if (!job_done(&r->job[1])) {
		rig_wait(model_flush_waits(r->model) || job_done(&r->job[1]));
		if (model_flush_waits(r->model))
			model_finish_flush(r->model);
	}
	job_wait(&r->job[1]);
	ck_assert_int_eq(r->job[0].result, HBA_DONE);
	ck_assert_int_eq(r->job[1].result, HBA_DONE);
	rig_down(r);
}
END_TEST

START_TEST(flush_that_never_ends_costs_a_reset)
{
	struct rig *r = rig_up(GEN2);
	struct job *job = job_flush(r, 0, 0);

	tell(r, hold_flush, true);
	job->tmpl.timeout_ms = 30;
	ck_assert_int_eq(job_run(job)->result, HBA_TIMEOUT);
	ck_assert_uint_eq(seen(r, n_init), 2);
	/* Its slot goes to a write, which another flush must leave alone. */
	tell(r, hold_flush, false);
	tell(r, hold, true);
	job_submit(job_rw(r, 1, 0, DMA_TO_DEVICE, 0, 1));
	ck_assert_uint_eq(model_context(r->model, 0) & 0xffff, 0);
	job_submit(job_flush(r, 2, 0));
	model_complete(r->model, 1);
	job_ends(&r->job[2], HBA_DONE);
	rig_sync(r);
	ck_assert_uint_eq(job_done(&r->job[1]), 0);
	model_complete(r->model, 0);
	job_ends(&r->job[1], HBA_DONE);
	rig_down(r);
}
END_TEST

START_TEST(aborted_flush_does_not_disturb_the_others)
{
	struct rig *r = rig_up(GEN2);

	tell(r, hold_flush, true);
	job_submit(job_flush(r, 0, 0));
	rig_wait(model_flush_waits(r->model));
	job_submit(job_flush(r, 1, 0));
	rig_wait(seen(r, n_sync[0]) == 2);
	job_abort(&r->job[1]);
	job_abort(&r->job[0]);
	clock_sleep_ms(60);
	ck_assert_uint_eq(job_done(&r->job[0]) + job_done(&r->job[1]), 0);
	ck_assert_uint_eq(seen(r, n_init), 1); /* an abort alone resets nothing */
	model_finish_flush(r->model);
	job_wait(&r->job[0]);
	rig_wait(model_flush_waits(r->model));
	model_finish_flush(r->model);
	job_wait(&r->job[1]);
	/* It was faster than the abort: it is what it is. */
	ck_assert_int_eq(r->job[0].result, HBA_DONE);
	rig_down(r);
}
END_TEST

START_TEST(flush_aborted_in_its_first_step_ends)
{
	struct rig *r = rig_up(GEN2);

	tell(r, hold, true);
	job_submit(job_flush(r, 0, 0));
	job_abort(&r->job[0]);
	job_ends(&r->job[0], HBA_ABORTED);
	ck_assert_uint_eq(seen(r, n_flush), 0);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("flush");
	TCase *c = tcase_create("mfi");

	tcase_set_timeout(c, 60);
	tcase_add_test(c, each_flush_syncs_its_unit_once);
	tcase_add_test(c, firmware_may_not_know_synchronize_cache);
	tcase_add_test(c, failed_sync_fails_the_flush);
	tcase_add_test(c, recovered_or_refused_sync_goes_on_to_the_dcmd);
	tcase_add_test(c, deferred_error_fails_the_flush);
	tcase_add_test(c, failed_dcmd_fails_the_flush);
	tcase_add_test(c, late_comers_share_the_next_one);
	tcase_add_test(c, flush_from_done_gets_its_own_round);
	tcase_add_test(c, system_drive_needs_good_sync_and_nothing_else);
	tcase_add_test(c, reset_repeats_both_steps);
	tcase_add_test(c, flush_that_never_ends_costs_a_reset);
	tcase_add_test(c, aborted_flush_does_not_disturb_the_others);
	tcase_add_test(c, flush_aborted_in_its_first_step_ends);
	suite_add_tcase(s, c);
	return run_suite(s);
}
