/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fusion controllers: requests, their verdicts, many queues, flushes. */
#include <string.h>

#include "rig.h"
#include "tests/unit/run_suite.h"

START_TEST(what_was_written_is_read_on_every_generation_and_unit)
{
	/* one element; all that fit in a frame, and one more; as many as there may be */
	static const uint32_t sizes[] = {1, 8, 33, 255, 256, 257, 512, 2048};
	struct rig *r = rig_up((enum model_gen)_i);
	unsigned n = 0;

	for (unsigned u = 0; u < 3; u++)
		for (unsigned k = 0; k < ARRAY_SIZE(sizes); k++, n += 2) {
			struct job *w = job_rw(r, n, u, DMA_TO_DEVICE, 100 * k, sizes[k]);
			struct job *g;

			job_fill(w, n);
			job_run(w);
			ck_assert_int_eq(w->result, HBA_DONE);
			ck_assert_int_eq(
				memcmp(r->model->disk[u] + 100 * k * 512, w->buf, sizes[k] * 512), 0);
			g = job_run(job_rw(r, n + 1, u, DMA_FROM_DEVICE, 100 * k, sizes[k]));
			ck_assert_int_eq(g->result, HBA_DONE);
			ck_assert_uint_eq(g->moved, sizes[k] * 512);
			ck_assert_int_eq(memcmp(g->buf, w->buf, sizes[k] * 512), 0);
			ck_assert_uint_eq(g->buf[sizes[k] * 512], 0xee);
		}
	ck_assert_uint_eq(seen(r, n_fast_path), 0);
	ck_assert_uint_eq(seen(r, n_atomic) > 0, _i == AERO);
	/* Threads that post halves would post mixtures. */
	ck_assert_uint_eq(seen(r, n_halves), 0);
	rig_down(r);
}
END_TEST

START_TEST(a_drive_with_a_handle_is_read_directly)
{
	struct rig *r = rig_new((enum model_gen)_i);
	struct job *w, *g;

	r->model->pd_map = true;
	rig_must_start(r);
	w = job_rw(r, 0, PD8, DMA_TO_DEVICE, 5, 400);
	job_fill(w, 3);
	job_run(w);
	g = job_run(job_rw(r, 1, PD8, DMA_FROM_DEVICE, 5, 400));
	ck_assert_int_eq(memcmp(g->buf, w->buf, 400 * 512), 0);
	ck_assert_uint_eq(seen(r, n_fast_path), 2);
	ck_assert_uint_eq(seen(r, last_request[0x66]) | seen(r, last_request[0x67]) << 8, 263);
	/* Other commands go to firmware, by the drive's own number. */
	job_run(job_cdb(r, 2, PD8, (const uint8_t[6]){0x12, 0, 0, 0, 36, 0}, 6, DMA_FROM_DEVICE, 36));
	ck_assert_int_eq(r->job[2].result, HBA_DONE);
	ck_assert_uint_eq(r->job[2].buf[3], 2);
	ck_assert_uint_eq(seen(r, last_request[0x66]) | seen(r, last_request[0x67]) << 8, 8);
	ck_assert_int_eq(job_run(job_flush(r, 3, PD8))->result, HBA_DONE);
	ck_assert_uint_eq(seen(r, n_sync[PD8]), 1);
	ck_assert_uint_eq(seen(r, n_fast_path), 2);
	rig_down(r);
}
END_TEST

/* The direct way to NVMe drives wants another kind of list [5.9]. */
START_TEST(a_drive_that_may_be_nvme_is_not_read_directly)
{
	struct rig *r = rig_new(_i % 2 ? AERO : VENTURA);

	r->model->pd_map = true;
	if (_i < 2)
		r->model->pd_interface = 5;
	else
		r->model->pd_info_status = 0x0c;
	rig_must_start(r);
	ck_assert_int_eq(job_run(job_rw(r, 0, PD8, DMA_TO_DEVICE, 0, 400))->result, HBA_DONE);
	ck_assert_int_eq(job_run(job_rw(r, 1, PD8, DMA_FROM_DEVICE, 0, 8))->result, HBA_DONE);
	ck_assert_uint_eq(seen(r, n_fast_path), 0);
	rig_down(r);
}
END_TEST

START_TEST(a_map_without_sense_is_not_used)
{
	struct rig *r = rig_new(INVADER);

	r->model->pd_map = true;
	r->model->pd_map_count = 257;
	rig_must_start(r);
	job_run(job_rw(r, 0, PD8, DMA_FROM_DEVICE, 0, 8));
	ck_assert_int_eq(r->job[0].result, HBA_DONE);
	ck_assert_uint_eq(seen(r, n_fast_path), 0);
	rig_down(r);
}
END_TEST

/* Numbers go round, so every queue has its turn. */
START_TEST(replies_come_in_every_queue)
{
	struct rig *r = rig_up((enum model_gen)_i);
	unsigned queues = _i == THUNDERBOLT ? 8 : 16;

	for (unsigned n = 0; n < 200; n++)
		job_run(job_rw(r, n % 100, n % 2, DMA_FROM_DEVICE, n, 1));
	for (unsigned q = 0; q < queues; q++)
		ck_assert_uint_gt(seen(r, n_posted[q]), 5);
	rig_down(r);
}
END_TEST

START_TEST(hundreds_in_flight_completed_in_any_order)
{
	struct rig *r = rig_up(INVADER);
	unsigned depth = r->h->limits.queue_depth;

	tell(r, hold, true);
	for (unsigned n = 0; n < depth; n++) {
		struct job *j = job_rw(r, n, n % 3, n % 2 ? DMA_TO_DEVICE : DMA_FROM_DEVICE, n, 1);

		job_fill(j, n);
		job_submit(j);
	}
	ck_assert_uint_eq(depth, 397);
	ck_assert_uint_eq(model_pending(r->model), depth);
	for (unsigned left = depth; left; left--)
		model_complete(r->model, left * 7 % left);
	for (unsigned n = 0; n < depth; n++)
		job_wait(&r->job[n]);
	tell(r, hold, false);
	for (unsigned n = 0; n < depth; n++)
		ck_assert_int_eq(r->job[n].result, HBA_DONE);
	ck_assert_int_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

/* Many times around queues and numbers. */
START_TEST(queues_wrap)
{
	struct rig *r = rig_new(INVADER);

	r->model->pad1 = 0; /* one queue, of 2 x 128 */
	r->model->ext_cmds = 0;
	r->model->fw_cmds = 128;
	rig_must_start(r);
	for (unsigned n = 0; n < 1000; n++)
		ck_assert_int_eq(job_run(job_rw(r, n % 50, LD0, DMA_FROM_DEVICE, n, 1))->result, HBA_DONE);
	ck_assert_uint_gt(seen(r, n_posted[0]), 1000);
	rig_down(r);
}
END_TEST

/* --- verdicts --- */

START_TEST(verdicts)
{
	static const struct {
		uint8_t status, ex, sense[14];
		enum hba_result result;
		uint8_t scsi, sense_len;
		uint32_t moved;
	} all[] = {
		{0x2d, 0x02, {0x70, 0, 3, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x11}, HBA_DONE, 2, 18, 0},
		{0x2d, 0x02, {0x70, 0, 1, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x17}, HBA_DONE, 2, 18, 512},
		{0x2d, 0x02, {0x71, 0, 1, 0, 0, 0, 0, 10}, HBA_DONE, 2, 18, 0},
		{0x2d, 0x02, {0x72, 5, 0x20, 0, 0, 0, 0, 0}, HBA_DONE, 2, 8, 0},
		{0x2d, 0x02, {0x70, 0, 3, 0, 0, 0, 0, 255}, HBA_DONE, 2, 96, 0},
		{0x2d, 0x02, {0}, HBA_IO_ERROR, 2, 0, 0},
		{0x2d, 0x00, {0}, HBA_IO_ERROR, 0, 0, 0},
		{0x2d, 0x08, {0}, HBA_DONE, 8, 0, 0},
		{0x2d, 0x18, {0}, HBA_DONE, 0x18, 0, 0},
		{0x0c, 0, {0}, HBA_NO_UNIT, 0, 0, 0},
		{0x33, 0, {0}, HBA_NO_UNIT, 0, 0, 0},
		{0x2e, 0, {0}, HBA_IO_ERROR, 0, 0, 0},
		{0x01, 0, {0}, HBA_IO_ERROR, 0, 0, 0},
		{0xff, 0, {0}, HBA_IO_ERROR, 0, 0, 0},
	};
	struct rig *r = rig_up(INVADER);

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		struct job *j = job_rw(r, 0, i % 3, DMA_FROM_DEVICE, 0, 1);

		pthread_mutex_lock(&r->model->fn.lock);
		memset(r->model->io_sense, 0, sizeof(r->model->io_sense));
		memcpy(r->model->io_sense, all[i].sense, sizeof(all[i].sense));
		r->model->io_status = all[i].status;
		r->model->io_scsi_status = all[i].ex;
		pthread_mutex_unlock(&r->model->fn.lock);
		job_run(j);
		ck_assert_msg(j->result == all[i].result, "%u: result %d", i, j->result);
		ck_assert_uint_eq(j->fw_status, all[i].status);
		ck_assert_uint_eq(j->sense_len, all[i].sense_len);
		ck_assert_uint_eq(j->moved, all[i].moved);
		if (j->result == HBA_DONE)
			ck_assert_uint_eq(j->scsi_status, all[i].scsi);
	}
	ck_assert_int_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

/* Firmware's way to say that a unit had less to send than was asked for: no error, and how much it was [5.6, 5.7]. */
START_TEST(a_short_answer_is_an_answer)
{
	static const struct {
		uint8_t op;
		uint32_t told, moved;
		enum hba_result result;
	} all[] = {
		{0x12, 36, 36, HBA_DONE},
		{0x12, 254, 254, HBA_DONE},
		{0x12, 255, 255, HBA_DONE},
		{0x12, 256, 0, HBA_IO_ERROR}, /* more than there is room for */
		{0x12, 0xffffffff, 0, HBA_IO_ERROR},
	};
	struct rig *r = rig_up((enum model_gen)_i);

	tell(r, io_status, 0x2d);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		const uint8_t cdb[6] = {all[i].op, 0, 0, 0, 255, 0};
		struct job *j = job_cdb(r, i, i % 3, cdb, 6, DMA_FROM_DEVICE, 255);

		tell(r, io_moved, all[i].told);
		job_run(j);
		ck_assert_msg(j->result == all[i].result, "%u: result %d", i, j->result);
		ck_assert_uint_eq(j->moved, all[i].moved);
		if (j->result == HBA_DONE)
			ck_assert_uint_eq(j->scsi_status, 0);
	}
	/* Blocks are another matter: all of them, or an error. */
	tell(r, io_moved, 512);
	ck_assert_int_eq(job_run(job_rw(r, 9, LD0, DMA_FROM_DEVICE, 0, 2))->result, HBA_IO_ERROR);
	ck_assert_int_eq(job_run(job_rw(r, 10, LD0, DMA_TO_DEVICE, 0, 2))->result, HBA_IO_ERROR);
	ck_assert_int_eq(
		job_run(job_cdb(r, 11, LD0, (const uint8_t[6]){0}, 6, DMA_NONE, 0))->result, HBA_IO_ERROR);
	rig_down(r);
}
END_TEST

/* Sense data of the command before must not be taken for this one's. */
START_TEST(old_sense_is_nobodys)
{
	struct rig *r = rig_new(INVADER);
	struct job *j;

	r->model->ext_cmds = 0;
	r->model->fw_cmds = 64; /* the same numbers come soon again */
	rig_must_start(r);
	tell(r, io_status, 0x2d);
	tell(r, io_scsi_status, 2);
	tell(r, io_sense[0], 0x70);
	for (unsigned n = 0; n < 64; n++)
		job_run(job_rw(r, n, LD0, DMA_FROM_DEVICE, 0, 1));
	tell(r, io_sense[0], 0);
	j = job_run(job_rw(r, 64, LD0, DMA_FROM_DEVICE, 0, 1));
	ck_assert_int_eq(j->result, HBA_IO_ERROR);
	ck_assert_uint_eq(j->sense_len, 0);
	rig_down(r);
}
END_TEST

START_TEST(sequence_numbers_that_are_refused_are_left_out)
{
	struct rig *r = rig_new((enum model_gen)_i);

	r->model->pd_map = true;
	r->model->check_seq = true;
	rig_must_start(r);
	for (unsigned u = 0; u < 3; u++)
		ck_assert_int_eq(job_run(job_rw(r, u, u, DMA_FROM_DEVICE, 0, 8))->result, HBA_DONE);
	/* The drive's read went to firmware then. */
	ck_assert_uint_eq(seen(r, n_fast_path), 1);
	ck_assert_int_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

START_TEST(a_refusal_that_stays_is_an_error)
{
	struct rig *r = rig_up(INVADER);

	tell(r, io_status, 0x67);
	ck_assert_int_eq(job_run(job_rw(r, 0, LD0, DMA_FROM_DEVICE, 0, 8))->result, HBA_IO_ERROR);
	ck_assert_int_eq(
		job_run(job_cdb(r, 1, LD0, (const uint8_t[6]){0}, 6, DMA_NONE, 0))->result, HBA_IO_ERROR);
	rig_down(r);
}
END_TEST

/* --- flushes --- */

START_TEST(a_flush_of_a_logical_drive_is_both_commands)
{
	struct rig *r = rig_up((enum model_gen)_i);

	ck_assert_int_eq(job_run(job_flush(r, 0, LD5))->result, HBA_DONE);
	ck_assert_uint_eq(r->job[0].scsi_status, 0);
	ck_assert_uint_eq(seen(r, n_sync[LD5]), 1);
	ck_assert_uint_eq(seen(r, n_flush), 1);
	rig_down(r);
}
END_TEST

/* [6.1]: pad 1 bit 24 */
START_TEST(firmware_that_does_not_honour_the_scsi_flush_is_not_asked)
{
	struct rig *r = rig_new((enum model_gen)_i);

	r->model->pad1 &= ~0x01000000u;
	rig_must_start(r);
	ck_assert_int_eq(job_run(job_flush(r, 0, LD5))->result, HBA_DONE);
	ck_assert_uint_eq(seen(r, n_sync[LD5]), 0);
	ck_assert_uint_eq(seen(r, n_flush), 1);
	ck_assert_int_eq(job_run(job_flush(r, 1, PD8))->result, HBA_DONE);
	ck_assert_uint_eq(seen(r, n_sync[PD8]), 1);
	ck_assert_uint_eq(seen(r, n_flush), 1);
	rig_down(r);
}
END_TEST

START_TEST(a_failed_flush_is_an_error)
{
	struct rig *r = rig_up(INVADER);

	tell(r, flush_status, 0x15);
	ck_assert_int_eq(job_run(job_flush(r, 0, LD0))->result, HBA_IO_ERROR);
	ck_assert_uint_eq(r->job[0].fw_status, 0x15);
	tell(r, flush_status, 0);
	tell(r, io_status, 0x2e);
	ck_assert_int_eq(job_run(job_flush(r, 1, LD0))->result, HBA_IO_ERROR);
	ck_assert_int_eq(job_run(job_flush(r, 2, PD8))->result, HBA_IO_ERROR);
	rig_down(r);
}
END_TEST

START_TEST(flushes_share_the_next_round_never_the_running_one)
{
	struct rig *r = rig_up(INVADER);

	tell(r, hold_flush, true);
	job_submit(job_flush(r, 0, LD0));
	rig_wait(model_flush_waits(r->model));
	for (unsigned n = 1; n < 4; n++)
		job_submit(job_flush(r, n, n % 2));
	rig_wait(seen(r, n_sync[LD0]) + seen(r, n_sync[LD5]) == 4);
	model_finish_flush(r->model);
	job_wait(&r->job[0]);
	for (unsigned n = 1; n < 4; n++)
		ck_assert_uint_eq(job_done(&r->job[n]), 0);
	rig_wait(model_flush_waits(r->model));
	model_finish_flush(r->model);
	for (unsigned n = 1; n < 4; n++)
		job_wait(&r->job[n]);
	ck_assert_uint_eq(seen(r, n_flush), 2);
	tell(r, hold_flush, false);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fusion requests");
	TCase *t = tcase_create("requests");

	log_set_level(LOG_LV_ERR);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, what_was_written_is_read_on_every_generation_and_unit, 0, 4);
	tcase_add_loop_test(t, a_drive_with_a_handle_is_read_directly, 0, 4);
	tcase_add_loop_test(t, a_drive_that_may_be_nvme_is_not_read_directly, 0, 4);
	tcase_add_test(t, a_map_without_sense_is_not_used);
	tcase_add_loop_test(t, replies_come_in_every_queue, 0, 4);
	tcase_add_test(t, hundreds_in_flight_completed_in_any_order);
	tcase_add_test(t, queues_wrap);
	tcase_add_test(t, verdicts);
	tcase_add_loop_test(t, a_short_answer_is_an_answer, 0, 4);
	tcase_add_test(t, old_sense_is_nobodys);
	tcase_add_loop_test(t, sequence_numbers_that_are_refused_are_left_out, 1, 4);
	tcase_add_test(t, a_refusal_that_stays_is_an_error);
	tcase_add_loop_test(t, a_flush_of_a_logical_drive_is_both_commands, 0, 4);
	tcase_add_loop_test(t, firmware_that_does_not_honour_the_scsi_flush_is_not_asked, 0, 4);
	tcase_add_test(t, a_failed_flush_is_an_error);
	tcase_add_test(t, flushes_share_the_next_round_never_the_running_one);
	suite_add_tcase(s, t);
	return run_suite(s);
}
