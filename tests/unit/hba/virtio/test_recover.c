/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Garbage, time-outs, task management, resets with re-issue, and the end of a device. Each request is done once. */
#include "rig.h"
#include "tests/unit/run_suite.h"

#include <string.h>

/* n held writes to unit 0, each with its own pattern. */
static void hold_writes(struct rig *r, unsigned n)
{
	tell(r, hold, true);
	for (unsigned i = 0; i < n; i++) {
		struct job *job = job_rw(r, i, 0, DMA_TO_DEVICE, i, 1);

		memset(job->buf, (int)(i + 1), 512);
		job_submit(job);
	}
	rig_wait(model_pending(r->model) == n);
}

/* After a reset: all n are at the device again; lets them through and checks data. Those that meet the unit attention
 * of the reset come twice. */
static void finish_writes(struct rig *r, unsigned n)
{
	rig_wait(hba_state(r->h) == HBA_RUNNING);
	rig_pump(r);
	for (unsigned i = 0; i < n; i++) {
		job_ends(&r->job[i], HBA_DONE);
		ck_assert_uint_eq(r->job[i].scsi_status, 0);
		ck_assert_uint_eq(r->model->unit[0].disk[i * 512 + 511], i + 1);
	}
	tell(r, hold, false);
}

/* The end of most tests here: one reset, after which all n held writes are done. */
static void one_reset_and_done(struct rig *r, unsigned n)
{
	rig_wait(rig_was_reset(r, 1));
	finish_writes(r, n);
	rig_down(r);
}

/* --- a device that lies --- */

START_TEST(wild_used_id_costs_one_reset)
{
	/* out of the table; idle; set-up's slot, idle; more than 16 bits */
	static const uint32_t wild[] = {0xffffffff, 256, 100, 255, 0x10000, 0x80000000};
	struct rig *r = rig_up();

	hold_writes(r, 20);
	model_post(r->model, 2, wild[_i], 0);
	rig_wait(rig_was_reset(r, 1));
	rig_wait(model_pending(r->model) == 20);
	ck_assert_uint_eq(stat_of(r, reissues), 20);
	finish_writes(r, 20);
	ck_assert_uint_eq(stat_of(r, resets), 1);
	rig_down(r);
}
END_TEST

START_TEST(wild_used_id_on_the_other_queues)
{
	/* out of the table; the second element of a chain; an idle one; beyond the 16 buffers of the event queue */
	static const struct {
		unsigned queue;
		uint32_t id;
	} t[] = {{0, 0xffffffff}, {0, 15}, {0, 0}, {1, 0xffffffff}, {1, 16}};
	struct rig *r = rig_up();

	hold_writes(r, 3);
	model_post(r->model, t[_i].queue, t[_i].id, 0);
	one_reset_and_done(r, 3);
}
END_TEST

START_TEST(wild_used_index_costs_one_reset)
{
	static const uint16_t by[] = {4, 300, 0x8000, 0xffff, 17};
	struct rig *r = rig_up();

	hold_writes(r, 3);
	/* The event queue has 16 buffers at the device. */
	model_skip(r->model, (unsigned)_i / 4, by[_i == 4 ? 4 : _i % 4]);
	one_reset_and_done(r, 3);
}
END_TEST

START_TEST(wild_length_costs_one_reset)
{
	struct rig *r = rig_up();

	hold_writes(r, 2);
	model_post(r->model, 2, model_head(r->model, 0), 51 + 108 + 512 + 1);
	one_reset_and_done(r, 2);
}
END_TEST

START_TEST(length_of_nothing_is_fine)
{
	struct rig *r = rig_up();
	struct job *job = job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 1);

	/* Some devices never tell it. */
	tell(r, used_len_extra, (uint32_t) - (108 + 512));
	ck_assert_int_eq(job_run(job)->result, HBA_DONE);
	tell(r, used_len_extra, 0);
	rig_down(r);
}
END_TEST

START_TEST(answer_that_was_never_written_is_none)
{
	struct rig *r = rig_up();

	hold_writes(r, 3);
	tell(r, unwritten, true);
	model_complete(r->model, 1);
	tell(r, unwritten, false);
	rig_wait(rig_was_reset(r, 1));
	ck_assert_uint_eq(job_done(&r->job[1]), 0);
	finish_writes(r, 3);
	ck_assert_uint_eq(stat_of(r, reissues), 3);
	rig_down(r);
}
END_TEST

START_TEST(repeated_id_completes_once)
{
	struct rig *r = rig_up();
	uint16_t head;

	hold_writes(r, 3);
	head = model_head(r->model, 1);
	model_complete(r->model, 1);
	job_wait(&r->job[1]);
	model_post(r->model, 2, head, 0);
	rig_wait(rig_was_reset(r, 1));
	finish_writes(r, 3);
	ck_assert_uint_eq(stat_of(r, reissues), 2);
	rig_down(r);
}
END_TEST

/* On the I/O thread: it sees all three at once. */
static void good_wild_good(void *arg)
{
	struct rig *r = arg;

	model_complete(r->model, 0);
	model_post(r->model, 2, 0xdddd, 0);
	model_complete(r->model, 0);
}

START_TEST(good_entries_beside_a_wild_one_count)
{
	struct rig *r = rig_up();

	hold_writes(r, 4);
	rig_io(r, good_wild_good, r);
	job_wait(&r->job[0]);
	job_wait(&r->job[1]);
	rig_wait(rig_was_reset(r, 1));
	ck_assert_uint_eq(stat_of(r, reissues), 2); /* the answered ones were not run again */
	finish_writes(r, 4);
	rig_down(r);
}
END_TEST

START_TEST(device_that_asks_for_a_reset)
{
	struct rig *r = rig_up();

	hold_writes(r, 4);
	model_needs_reset(r->model);
	one_reset_and_done(r, 4);
}
END_TEST

START_TEST(device_that_somebody_else_reset)
{
	struct rig *r = rig_up();

	hold_writes(r, 4);
	tell(r, status, 0);
	one_reset_and_done(r, 4);
}
END_TEST

static unsigned rnd(unsigned *seed, unsigned n)
{
	return (unsigned)rand_r(seed) % n;
}

static void mischief(struct rig *r, unsigned *seed)
{
	unsigned queue = rnd(seed, 3);

	switch (rnd(seed, 6)) {
	case 0:
		model_post(r->model, queue, (uint32_t)rand_r(seed), (uint32_t)rand_r(seed));
		return;
	case 1:
		model_post(r->model, queue, rnd(seed, 300), rnd(seed, 2000));
		return;
	case 2:
		model_skip(r->model, queue, (uint16_t)rnd(seed, 65536));
		return;
	case 3:
		model_event(r->model, (uint32_t)rand_r(seed), (uint8_t)rnd(seed, 256),
			(uint16_t)rnd(seed, 16384), (uint32_t)rand_r(seed));
		return;
	case 4:
		model_needs_reset(r->model);
		return;
	default:
		tell(r, unwritten, true);
		model_complete(r->model, 0);
		tell(r, unwritten, false);
	}
}

static bool job_is_over(struct rig *r, void *arg)
{
	return job_done(arg) > 0;
}

/* The device answers something properly, or it is given up after a few resets in a row. What was done to it before may
 * hit this read as well, so it is a new one until one comes through. Returns how many were accepted. */
static unsigned read_until_good(struct rig *r, unsigned n)
{
	uint64_t until = clock_ns() + RIG_WAIT_MS * NS_PER_MS;
	unsigned accepted = 0;

	for (;;) {
		struct job *job;

		rig_wait(hba_state(r->h) != HBA_RESETTING);
		ck_assert_msg(hba_state(r->h) != HBA_FAILED, "it was given up");
		job = job_rw(r, n, 0, DMA_FROM_DEVICE, 0, 1);
		job_try(job);
		if (job_submitted(job) == 0) {
			accepted++;
			rig_pump_until(r, job_is_over, job);
			job_wait(job);
			if (job->result == HBA_DONE && job->scsi_status == 0)
				return accepted;
		}
		ck_assert_msg(clock_ns() < until, "no read comes through any more");
	}
}

#define GARBAGE_JOBS 150

/* Whatever it does: every request ends once, and memory that is not the device's stays untouched (the sanitizers look).
 * Every second request is submitted while the controller runs, the others whenever it happens. */
START_TEST(random_garbage)
{
	struct rig *r = rig_up();
	unsigned seed = (unsigned)_i + 1, accepted = 0, good = 0;

	tell(r, hold, true);
	for (unsigned i = 0; i < GARBAGE_JOBS; i++) {
		struct job *job = job_rw(r, i, rnd(&seed, 3), rnd(&seed, 2) ? DMA_TO_DEVICE : DMA_FROM_DEVICE,
			rnd(&seed, 8000), 1 + rnd(&seed, 64));

		if (i % 2 == 0)
			good += read_until_good(r, GARBAGE_JOBS + i);
		job_try(job);
		accepted += job_submitted(job) == 0;
		if (rnd(&seed, 4) == 0)
			mischief(r, &seed);
		if (rnd(&seed, 2))
			model_complete(r->model, 0);
		if (rnd(&seed, 8) == 0)
			clock_sleep_ms(3);
	}
	rig_pump(r);
	for (unsigned i = 0; i < GARBAGE_JOBS; i++)
		ck_assert_uint_eq(job_done(&r->job[i]), job_submitted(&r->job[i]) == 0);
	/* It lives. */
	good += read_until_good(r, GARBAGE_JOBS);
	rig_pump(r);
	ck_assert_uint_eq(__atomic_load_n(&r->n_done, __ATOMIC_RELAXED), accepted + good);
	tell(r, hold, false);
	/* It may have written to memory that is no command's any more; that is what the bounce pool is for. */
	rig_down(r);
}
END_TEST

/* --- time-outs and aborts --- */

START_TEST(stuck_command_is_aborted_by_task_management)
{
	struct rig *r = rig_up();
	struct job *job;

	hold_writes(r, 1); /* with a time limit of 30 s */
	job = job_rw(r, 1, 0, DMA_FROM_DEVICE, 0, 1);
	job->tmpl.timeout_ms = 20;
	ck_assert_int_eq(job_run(job)->result, HBA_TIMEOUT);
	ck_assert_uint_eq(job->buf[0], 0xee);
	ck_assert_uint_eq(seen(r, n_abort), 1);
	ck_assert_uint_eq(seen(r, n_lun_reset), 0);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	finish_writes(r, 1);
	rig_down(r);
}
END_TEST

START_TEST(refused_abort_becomes_a_unit_reset_that_others_survive)
{
	struct rig *r = rig_up();
	struct job *job;

	tell(r, tmf, TMF_REFUSES);
	hold_writes(r, 5);
	/* another unit's command is not touched */
	job_submit(job_rw(r, 5, 1, DMA_TO_DEVICE, 7, 1));
	job = job_rw(r, 6, 0, DMA_TO_DEVICE, 100, 1);
	job->tmpl.timeout_ms = 20;
	memset(job->buf, 0x77, 512);
	ck_assert_int_eq(job_run(job)->result, HBA_TIMEOUT);
	ck_assert_uint_eq(seen(r, n_lun_reset), 1);
	rig_wait(model_pending(r->model) == 6);
	finish_writes(r, 5);
	job_ends(&r->job[5], HBA_DONE);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	/* It did not run again. */
	ck_assert_uint_eq(r->model->unit[0].disk[100 * 512], 0);
	rig_down(r);
}
END_TEST

START_TEST(unit_reset_does_not_run_twice_what_must_not)
{
	static const uint8_t tur[6];
	struct rig *r = rig_up();
	struct job *once, *job;

	tell(r, tmf, TMF_REFUSES);
	hold_writes(r, 1);
	once = job_cdb(r, 1, 0, tur, 6, DMA_NONE, 0);
	once->tmpl.no_reissue = true;
	job_submit(once);
	job = job_rw(r, 2, 0, DMA_FROM_DEVICE, 0, 1);
	job->tmpl.timeout_ms = 20;
	job_run(job);
	job_ends(once, HBA_ABORTED);
	finish_writes(r, 1);
	rig_down(r);
}
END_TEST

START_TEST(abort_that_does_not_help_leads_to_reset_and_reissue)
{
	static const enum model_tmf how[] = {TMF_LIES, TMF_SILENT};
	struct rig *r = rig_up();
	struct job *victim;

	tell(r, tmf, how[_i]);
	hold_writes(r, 5);
	victim = job_rw(r, 5, 0, DMA_TO_DEVICE, 100, 1);
	victim->tmpl.timeout_ms = 20;
	memset(victim->buf, 0x77, 512);
	ck_assert_int_eq(job_run(victim)->result, HBA_TIMEOUT);
	rig_wait(rig_was_reset(r, 1));
	finish_writes(r, 5);
	ck_assert_uint_eq(r->model->unit[0].disk[100 * 512], 0);
	rig_down(r);
}
END_TEST

START_TEST(abort_that_is_confirmed)
{
	struct rig *r = rig_up();

	hold_writes(r, 2);
	job_abort(&r->job[1]);
	job_ends(&r->job[1], HBA_ABORTED);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	finish_writes(r, 1);
	rig_down(r);
}
END_TEST

START_TEST(answer_beats_the_abort)
{
	struct rig *r = rig_up();

	tell(r, tmf, TMF_LIES);
	hold_writes(r, 1);
	job_abort(&r->job[0]);
	model_complete(r->model, 0);
	job_ends(&r->job[0], HBA_DONE);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

START_TEST(more_aborts_than_there_are_places)
{
	struct rig *r = rig_up();

	hold_writes(r, 40);
	for (unsigned i = 0; i < 40; i++)
		job_abort(&r->job[i]);
	jobs_end(r, 0, 40, HBA_ABORTED);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

START_TEST(swept_away_by_somebody_else_it_is_sent_again)
{
	struct rig *r = rig_up();
	struct job *job = job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 1);

	tell(r, forced, true);
	tell(r, force_response, 4); /* RESET */
	job_submit(job);
	/* ... but not for ever */
	job_ends(job, HBA_ABORTED);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

/* --- reset --- */

START_TEST(unit_attention_of_our_reset_is_not_passed_on)
{
	struct rig *r = rig_up();

	hold_writes(r, 6);
	model_needs_reset(r->model);
	one_reset_and_done(r, 6);
}
END_TEST

START_TEST(nor_to_a_request_that_was_swept_away_before)
{
	struct rig *r = rig_up();

	hold_writes(r, 1);
	tell(r, forced, true);
	tell(r, force_response, 4); /* RESET */
	for (unsigned i = 0; i < 3; i++) {
		model_complete(r->model, 0);
		rig_wait(model_pending(r->model) == 1);
	}
	tell(r, forced, false);
	model_needs_reset(r->model);
	one_reset_and_done(r, 1);
}
END_TEST

START_TEST(unit_attention_of_others_is_passed_on)
{
	struct rig *r = rig_up();
	struct job *job;

	tell(r, unit[0].ua, 0x29);
	job = job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 1);
	ck_assert_int_eq(job_run(job)->result, HBA_DONE);
	ck_assert_uint_eq(job->scsi_status, 2);
	ck_assert_uint_eq(job->sense[12], 0x29);
	rig_down(r);
}
END_TEST

START_TEST(after_our_reset_only_the_first_unit_attention_is_ours)
{
	struct rig *r = rig_up();
	struct job *job;

	model_needs_reset(r->model);
	rig_wait(rig_was_reset(r, 1));
	job = job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 1);
	job_run(job);
	ck_assert_uint_eq(job->scsi_status, 0);
	tell(r, unit[0].ua, 0x29);
	job = job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 1);
	job_run(job);
	ck_assert_uint_eq(job->scsi_status, 2);
	rig_down(r);
}
END_TEST

/* All others beside what follows ours: nobody but the unit can say it, and it does so once. */
START_TEST(loss_of_power_is_never_taken_for_our_reset)
{
	static const struct {
		uint8_t asc, ascq;
		bool is_ours;
	} t[] = {{0x29, 0x00, true}, {0x29, 0x01, false}, {0x29, 0x02, true}, {0x29, 0x03, true},
		{0x29, 0x04, false}, {0x2a, 0x09, false}};
	struct rig *r = rig_up();
	struct job *f;

	model_needs_reset(r->model);
	rig_wait(rig_was_reset(r, 1));
	tell(r, unit[0].ua_q, t[_i].ascq);
	tell(r, unit[0].ua, t[_i].asc);
	f = job_run(job_flush(r, 0, 0));
	ck_assert_int_eq(f->result, HBA_DONE);
	ck_assert_uint_eq(f->scsi_status, t[_i].is_ours ? 0 : 2);
	ck_assert_uint_eq(__atomic_load_n(&r->h->unit[0].outages, __ATOMIC_RELAXED),
		t[_i].ascq == 0x01 || t[_i].ascq == 0x04);
	job_run_well(job_rw(r, 1, 0, DMA_FROM_DEVICE, 0, 1));
	rig_down(r);
}
END_TEST

START_TEST(slow_reset_is_waited_for)
{
	struct rig *r = rig_up();

	hold_writes(r, 3);
	tell(r, reset_slow, 10);
	model_needs_reset(r->model);
	one_reset_and_done(r, 3);
}
END_TEST

/* The bit would never go away by itself. */
START_TEST(device_that_fails_anew_during_its_reset)
{
	struct rig *r = rig_up();

	hold_writes(r, 3);
	tell(r, fails_anew, 2);
	model_needs_reset(r->model);
	rig_wait(rig_was_reset(r, 1));
	ck_assert_uint_eq(seen(r, n_reset), RIG_SET_UP_RESETS + 3);
	finish_writes(r, 3);
	rig_down(r);
}
END_TEST

START_TEST(reset_that_never_ends_is_the_end)
{
	struct rig *r = rig_new();

	rig_times(r)->reset = 200;
	rig_must_start(r);
	hold_writes(r, 3);
	tell(r, reset_dead, true);
	model_needs_reset(r->model);
	rig_wait(hba_state(r->h) == HBA_FAILED);
	for (unsigned i = 0; i < 3; i++) {
		job_ends(&r->job[i], HBA_GONE);
		ck_assert(r->job[i].quiet);
	}
	rig_down(r);
}
END_TEST

START_TEST(other_features_after_the_reset_are_the_end)
{
	struct rig *r = rig_up();

	tell(r, offered, UINT64_C(0x300000000));
	model_needs_reset(r->model);
	rig_wait(hba_state(r->h) == HBA_FAILED);
	rig_down(r);
}
END_TEST

START_TEST(smaller_queue_after_the_reset_is_the_end)
{
	struct rig *r = rig_up();

	tell(r, queue[2].max, 128);
	model_needs_reset(r->model);
	rig_wait(hba_state(r->h) == HBA_FAILED);
	rig_down(r);
}
END_TEST

START_TEST(io_goes_on_over_a_shared_line_after_a_reset)
{
	struct rig *r = rig_new();

	r->model->fn.pci.n_vectors[PCI_IRQ_MSIX] = 0;
	rig_must_start(r);
	hold_writes(r, 4);
	model_needs_reset(r->model);
	one_reset_and_done(r, 4);
}
END_TEST

START_TEST(aborts_and_events_work_after_a_reset)
{
	struct rig *r = rig_up();

	tell(r, tmf, TMF_SILENT);
	hold_writes(r, 6);
	for (unsigned i = 0; i < 6; i++)
		job_abort(&r->job[i]); /* takes all places */
	model_needs_reset(r->model);
	rig_wait(rig_was_reset(r, 1));
	for (unsigned i = 0; i < 6; i++)
		job_wait(&r->job[i]);
	tell(r, tmf, TMF_WORKS);
	hold_writes(r, 6);
	for (unsigned i = 0; i < 6; i++)
		job_abort(&r->job[i]);
	jobs_end(r, 0, 6, HBA_ABORTED);
	for (unsigned i = 0; i < 16; i++)
		ck_assert(model_event(r->model, 1, 0, 0, 0));
	rig_wait(__atomic_load_n(&((struct vio *)r->h->drv)->events.hard, __ATOMIC_RELAXED) == 16);
	rig_down(r);
}
END_TEST

/* --- unplugged --- */

/* What is not there is quiet, whatever its registers were. */
static void forget_unplugged(struct rig *r)
{
	tell(r, fn.gone, false);
	tell(r, fn.bus_master, false);
	tell(r, fn.cfg[4], 0);
	tell(r, status, 0);
	rig_down(r);
}

START_TEST(all_ones_is_the_end_of_the_device)
{
	struct rig *r = rig_new();

	if (_i)
		r->model->fn.pci.n_vectors[PCI_IRQ_MSIX] = 0;
	rig_must_start(r);
	hold_writes(r, 5);
	tell(r, fn.gone, true);
	rig_wait(hba_state(r->h) == HBA_REMOVED);
	jobs_end(r, 0, 5, HBA_GONE);
	forget_unplugged(r);
}
END_TEST

START_TEST(unplugged_during_the_reset)
{
	struct rig *r = rig_up();

	hold_writes(r, 2);
	tell(r, reset_slow, 1000000);
	model_needs_reset(r->model);
	rig_wait(hba_state(r->h) == HBA_RESETTING);
	tell(r, fn.gone, true);
	rig_wait(hba_state(r->h) == HBA_REMOVED);
	job_wait(&r->job[0]);
	job_wait(&r->job[1]);
	tell(r, slow_left, 0);
	forget_unplugged(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio recovery");
	TCase *c = tcase_create("device");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, wild_used_id_costs_one_reset, 0, 6);
	tcase_add_loop_test(c, wild_used_id_on_the_other_queues, 0, 5);
	tcase_add_loop_test(c, wild_used_index_costs_one_reset, 0, 12);
	tcase_add_test(c, wild_length_costs_one_reset);
	tcase_add_test(c, length_of_nothing_is_fine);
	tcase_add_test(c, answer_that_was_never_written_is_none);
	tcase_add_test(c, repeated_id_completes_once);
	tcase_add_test(c, good_entries_beside_a_wild_one_count);
	tcase_add_loop_test(c, random_garbage, 0, 12);
	tcase_add_test(c, device_that_asks_for_a_reset);
	tcase_add_test(c, device_that_somebody_else_reset);
	tcase_add_test(c, stuck_command_is_aborted_by_task_management);
	tcase_add_test(c, refused_abort_becomes_a_unit_reset_that_others_survive);
	tcase_add_test(c, unit_reset_does_not_run_twice_what_must_not);
	tcase_add_loop_test(c, abort_that_does_not_help_leads_to_reset_and_reissue, 0, 2);
	tcase_add_test(c, abort_that_is_confirmed);
	tcase_add_test(c, answer_beats_the_abort);
	tcase_add_test(c, more_aborts_than_there_are_places);
	tcase_add_test(c, swept_away_by_somebody_else_it_is_sent_again);
	tcase_add_test(c, unit_attention_of_our_reset_is_not_passed_on);
	tcase_add_test(c, nor_to_a_request_that_was_swept_away_before);
	tcase_add_test(c, unit_attention_of_others_is_passed_on);
	tcase_add_test(c, after_our_reset_only_the_first_unit_attention_is_ours);
	tcase_add_loop_test(c, loss_of_power_is_never_taken_for_our_reset, 0, 6);
	tcase_add_test(c, slow_reset_is_waited_for);
	tcase_add_test(c, device_that_fails_anew_during_its_reset);
	tcase_add_test(c, reset_that_never_ends_is_the_end);
	tcase_add_test(c, other_features_after_the_reset_are_the_end);
	tcase_add_test(c, smaller_queue_after_the_reset_is_the_end);
	tcase_add_test(c, io_goes_on_over_a_shared_line_after_a_reset);
	tcase_add_test(c, aborts_and_events_work_after_a_reset);
	tcase_add_loop_test(c, all_ones_is_the_end_of_the_device, 0, 2);
	tcase_add_test(c, unplugged_during_the_reset);
	suite_add_tcase(s, c);
	return run_suite(s);
}
