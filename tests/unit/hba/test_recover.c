/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Time-outs, aborts, resets with re-issue, and the end of a controller. Every request is done exactly once. */
#include "rig.h"
#include "tests/unit/run_suite.h"

static const enum model_gen gens[] = {GEN1, GEN2, SKINNY};

/* After a reset: all n are at the controller again; lets them through and checks data. */
static void finish_writes(struct rig *r, unsigned n)
{
	rig_wait(model_pending(r->model) == n && hba_state(r->h) == HBA_RUNNING);
	while (model_pending(r->model))
		model_complete(r->model, 0);
	for (unsigned i = 0; i < n; i++) {
		job_ends(&r->job[i], HBA_DONE);
		ck_assert_uint_eq(r->model->ld[0][i * 512 + 511], i + 1);
	}
}

/* --- firmware that lies --- */

START_TEST(wild_context_costs_one_reset)
{
	/* out of range; in range but idle; the right slot in a use that never was; the driver's own idle slots */
	static const uint32_t wild[] = {0xffffffff, 0x00010190, 0x00000000, 0x00010020, 0x77770000, 394, 395};
	struct rig *r = rig_up(gens[_i % 3]);

	hold_writes(r, 20);
	model_post(r->model, wild[_i / 3]);
	rig_wait(seen(r, n_init) == 2);
	finish_writes(r, 20);
	ck_assert_uint_eq(stat_of(r, resets), 1);
	ck_assert_uint_eq(stat_of(r, reissues), 20);
	ck_assert_uint_eq(seen(r, n_adapter_reset), 0); /* the doorbell was enough */
	rig_down(r);
}
END_TEST

START_TEST(repeated_context_completes_once)
{
	struct rig *r = rig_up(GEN2);
	uint32_t context;

	hold_writes(r, 3);
	context = model_context(r->model, 1);
	model_complete(r->model, 1);
	job_wait(&r->job[1]);
	model_post(r->model, context);
	rig_wait(seen(r, n_init) == 2);
	rig_wait(model_pending(r->model) == 2);
	model_complete(r->model, 0);
	model_complete(r->model, 0);
	job_wait(&r->job[0]);
	job_wait(&r->job[2]);
	ck_assert_uint_eq(job_done(&r->job[1]), 1);
	rig_down(r);
}
END_TEST

START_TEST(repeated_context_does_not_hit_the_next_user_of_the_slot)
{
	struct rig *r = rig_up(GEN2);
	uint32_t context;

	hold_writes(r, 1);
	context = model_context(r->model, 0);
	model_complete(r->model, 0);
	job_wait(&r->job[0]);
	/* Same slot again */
	job_submit(job_rw(r, 1, 0, DMA_TO_DEVICE, 5, 1));
	ck_assert_uint_eq(model_context(r->model, 0) & 0xffff, context & 0xffff);
	model_post(r->model, context);
	rig_wait(seen(r, n_init) == 2);
	ck_assert_uint_eq(job_done(&r->job[1]), 0);
	rig_wait(model_pending(r->model) == 1);
	model_complete(r->model, 0);
	job_wait(&r->job[1]);
	rig_down(r);
}
END_TEST

START_TEST(wild_producer_costs_one_reset)
{
	static const uint32_t wild[] = {400, 0xffffffff, 0x80000000};
	struct rig *r = rig_up(GEN2);

	hold_writes(r, 2);
	model_set_producer(r->model, wild[_i]);
	rig_wait(seen(r, n_init) == 2);
	finish_writes(r, 2);
	rig_down(r);
}
END_TEST

/* On the I/O thread: it sees all three at once. */
static void good_wild_good(void *arg)
{
	struct rig *r = arg;

	model_complete(r->model, 0);
	model_post(r->model, 0xdddddddd);
	model_complete(r->model, 0);
}

START_TEST(good_entries_beside_a_wild_one_count)
{
	struct rig *r = rig_up(GEN2);

	hold_writes(r, 3);
	rig_io(r, good_wild_good, r);
	job_wait(&r->job[0]);
	job_wait(&r->job[1]);
	rig_wait(seen(r, n_init) == 2 && model_pending(r->model) == 1);
	ck_assert_uint_eq(stat_of(r, reissues), 1); /* the answered ones were not run again */
	model_complete(r->model, 0);
	job_wait(&r->job[2]);
	rig_down(r);
}
END_TEST

/* --- time-outs and aborts --- */

START_TEST(timeout_then_confirmed_abort)
{
	struct rig *r = rig_up(GEN2);
	struct job *job;

	hold_writes(r, 1); /* with a time limit of 30 s */
	job = job_rw(r, 1, 0, DMA_FROM_DEVICE, 0, 1);
	job->tmpl.timeout_ms = 20;
	ck_assert_int_eq(job_run(job)->result, HBA_TIMEOUT);
	ck_assert_uint_eq(job->buf[0], 0xee);
	ck_assert_uint_eq(seen(r, n_abort), 1);
	ck_assert_uint_eq(stat_of(r, timeouts), 1);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	finish_writes(r, 1);
	rig_down(r);
}
END_TEST

START_TEST(timeout_then_reset_then_reissue)
{
	struct rig *r = rig_up(gens[_i]);
	struct job *victim;

	tell(r, abort_lies, true);
	hold_writes(r, 5);
	victim = job_rw(r, 5, 0, DMA_TO_DEVICE, 100, 1);
	victim->tmpl.timeout_ms = 20;
	ck_assert_int_eq(job_run(victim)->result, HBA_TIMEOUT);
	rig_wait(seen(r, n_init) == 2);
	ck_assert_uint_eq(stat_of(r, resets), 1);
	finish_writes(r, 5);
	/* It did not run again. */
	ck_assert_uint_eq(r->model->ld[0][100 * 512], 0);
	rig_down(r);
}
END_TEST

START_TEST(abort_that_is_confirmed)
{
	struct rig *r = rig_up(GEN2);

	hold_writes(r, 2);
	job_abort(&r->job[1]);
	job_ends(&r->job[1], HBA_ABORTED);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	finish_writes(r, 1);
	rig_down(r);
}
END_TEST

static void submit_and_abort(void *arg)
{
	struct job *job = arg;

	job_submit_here(job);
	hba_abort(job->req);
}

START_TEST(abort_waits_for_the_deadline_before_it_resets)
{
	struct rig *r = rig_up(GEN2);
	struct job *job, *later;

	tell(r, abort_lies, true);
	hold_writes(r, 1);
	later = job_rw(r, 1, 0, DMA_TO_DEVICE, 9, 1);
	later->tmpl.timeout_ms = 3600 * 1000;
	job_submit(later);
	job_abort(later);
	clock_sleep_ms(100); /* abort_ms is 30 here */
	ck_assert_uint_eq(stat_of(r, resets), 0);
	ck_assert_uint_eq(job_done(later), 0);
	/* One whose own deadline is near. */
	job = job_rw(r, 2, 0, DMA_TO_DEVICE, 10, 1);
	job->tmpl.timeout_ms = 100;
	rig_io(r, submit_and_abort, job);
	job_ends(job, HBA_ABORTED);
	job_ends(later, HBA_ABORTED);
	ck_assert_uint_eq(stat_of(r, resets), 1);
	finish_writes(r, 1);
	rig_down(r);
}
END_TEST

START_TEST(answer_beats_the_abort)
{
	struct rig *r = rig_up(GEN2);

	tell(r, abort_lies, true);
	hold_writes(r, 1);
	job_abort(&r->job[0]);
	model_complete(r->model, 0);
	job_ends(&r->job[0], HBA_DONE);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

/* On the I/O thread, which takes no answer in between. */
static void abort_all(void *arg)
{
	struct rig *r = arg;

	for (unsigned i = 0; i < 40; i++)
		hba_abort(r->job[i].req);
}

START_TEST(more_aborts_than_abort_frames)
{
	struct rig *r = rig_new(GEN2);

	/* An answer makes room for the next one: no need to wait for a look at the time. */
	r->ladder.tick_ms = 60000;
	rig_must_start(r);
	hold_writes(r, 40);
	rig_io(r, abort_all, r);
	jobs_end(r, 0, 40, HBA_ABORTED);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

/* On the I/O thread, which sees nothing of it before it is over. */
static void answer_without_interrupt_then_stall(void *arg)
{
	struct job *job = arg;

	job_submit_here(job);
	tell(job->rig, fn.irq_on, false);
	model_complete(job->rig->model, 0);
	clock_sleep_ms(3 * job->tmpl.timeout_ms);
}

START_TEST(stalled_thread_takes_replies_before_it_judges)
{
	struct rig *r = rig_up(GEN2);
	struct job *job;

	tell(r, hold, true);
	job = job_rw(r, 0, 0, DMA_TO_DEVICE, 0, 1);
	job->tmpl.timeout_ms = 40;
	/* Answered in time, but without an interrupt, and seen after its deadline. */
	rig_io(r, answer_without_interrupt_then_stall, job);
	ck_assert_int_eq(job_submitted(job), 0);
	job_ends(job, HBA_DONE);
	ck_assert_uint_eq(stat_of(r, timeouts), 0);
	rig_down(r);
}
END_TEST

/* --- reset --- */

/* H21: what must not run twice is not sent again after a reset. */
START_TEST(what_must_not_run_twice_ends_as_aborted)
{
	static const uint8_t tur[6];
	struct rig *r = rig_up(GEN2);
	struct job *once;

	hold_writes(r, 2);
	once = job_cdb(r, 2, 0, tur, 6, DMA_NONE, 0);
	once->tmpl.no_reissue = true;
	job_submit(once);
	job_submit(job_cdb(r, 3, 0, tur, 6, DMA_NONE, 0)); /* this one may */
	model_post(r->model, 0xffffffff);
	job_ends(once, HBA_ABORTED);
	rig_wait(model_pending(r->model) == 3);
	model_complete(r->model, 2);
	job_wait(&r->job[3]);
	finish_writes(r, 2);
	ck_assert_int_eq(r->job[3].result, HBA_DONE);
	rig_down(r);
}
END_TEST

START_TEST(reissued_twice_at_most)
{
	struct rig *r = rig_up(GEN2);

	hold_writes(r, 1);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(job_done(&r->job[0]), 0);
		model_post(r->model, 0xffffffff);
		rig_wait(hba_state(r->h) == HBA_RUNNING && seen(r, n_init) == 2 + i &&
			 (model_pending(r->model) == 1 || i == 2));
	}
	job_ends(&r->job[0], HBA_TIMEOUT);
	ck_assert_uint_eq(model_pending(r->model), 0);
	ck_assert_uint_eq(stat_of(r, reissues), 2);
	rig_down(r);
}
END_TEST

static void fault_then_submit(void *arg)
{
	struct rig *r = arg;
	struct hba_req *spare = hba_req_get(r->h);

	hba_fault(r->h, "the test says so");
	ck_assert_int_eq(hba_state(r->h), HBA_RESETTING);
	ck_assert_ptr_null(hba_req_get(r->h));
	/* A slot from before the fault is held, not refused. */
	spare->unit = &r->h->unit[0];
	spare->kind = HBA_REQ_FLUSH;
	spare->timeout_ms = 30000;
	spare->done = hba_req_put;
	ck_assert_int_eq(hba_submit(spare), 0);
	hba_fault(r->h, "again, which counts for nothing");
}

START_TEST(submitted_during_a_reset_runs_after_it)
{
	struct rig *r = rig_up(GEN2);

	rig_io(r, fault_then_submit, r);
	rig_wait(seen(r, n_sync[0]) == 1 && hba_inflight(r->h) == 0);
	ck_assert_uint_eq(stat_of(r, resets), 1);
	ck_assert_uint_eq(stat_of(r, reissues), 0);
	rig_down(r);
}
END_TEST

static void fault_submit_abort(void *arg)
{
	struct rig *r = arg;
	struct job *job = job_rw(r, 0, 0, DMA_TO_DEVICE, 0, 1);
	struct job *held = job_rw(r, 1, 0, DMA_TO_DEVICE, 1, 1);
	struct hba_req *req;

	job_submit_here(job);
	req = hba_req_get(r->h);
	hba_fault(r->h, "the test says so");
	hba_req_put(req); /* job_submit_here() gets it: no, the gate is closed */
	job_submit_here(held);
	ck_assert_int_eq(job_submitted(held), 1);
	hba_abort(job->req);
	ck_assert_uint_eq(job_done(job), 0);
}

START_TEST(abort_during_a_reset_is_not_reissued)
{
	struct rig *r = rig_up(GEN2);

	tell(r, hold, true);
	rig_io(r, fault_submit_abort, r);
	job_ends(&r->job[0], HBA_ABORTED);
	ck_assert_uint_eq(model_pending(r->model), 0);
	ck_assert_int_eq(hba_state(r->h), HBA_RUNNING);
	rig_down(r);
}
END_TEST

static void answer_unseen_then_fault(void *arg)
{
	struct rig *r = arg;

	model_complete(r->model, 0);
	hba_fault(r->h, "the test says so");
}

START_TEST(answered_before_the_reset_is_not_run_again)
{
	struct rig *r = rig_up(GEN2);

	hold_writes(r, 2);
	rig_io(r, answer_unseen_then_fault, r);
	job_ends(&r->job[0], HBA_DONE);
	/* The other one is held before the reset too. */
	rig_wait(seen(r, n_init) == 2 && model_pending(r->model) == 1);
	ck_assert_uint_eq(stat_of(r, reissues), 1);
	model_complete(r->model, 0);
	job_wait(&r->job[1]);
	rig_down(r);
}
END_TEST

START_TEST(fault_state_is_noticed_and_cured)
{
	struct rig *r = rig_up(gens[_i]);

	hold_writes(r, 4);
	model_set_state(r->model, 0xf);
	rig_wait(seen(r, n_init) == 2);
	ck_assert_uint_eq(seen(r, n_adapter_reset), 1);
	finish_writes(r, 4);
	rig_down(r);
}
END_TEST

START_TEST(doorbell_that_is_ignored_leads_to_adapter_reset)
{
	struct rig *r = rig_new(gens[1 + _i]);

	rig_times(r)->soft = 40;
	rig_must_start(r);
	hold_writes(r, 4);
	tell(r, stuck, true);
	model_post(r->model, 0xffffffff);
	rig_wait(seen(r, n_adapter_reset) == 1);
	finish_writes(r, 4);
	rig_down(r);
}
END_TEST

/* The last try counts as much as the first. */
START_TEST(firmware_that_faults_while_it_starts_is_reset_again)
{
	struct rig *r = rig_up(gens[_i]);

	hold_writes(r, 4);
	tell(r, adapter_faults, 2);
	model_set_state(r->model, 0xf);
	rig_wait(seen(r, n_init) == 2);
	finish_writes(r, 4);
	ck_assert_uint_eq(seen(r, n_adapter_reset), 3);
	ck_assert_uint_eq(stat_of(r, resets), 1);
	rig_down(r);
}
END_TEST

/* It does not answer INIT then; waiting for that would take longer than the test. */
START_TEST(firmware_that_faults_over_init_is_reset_at_once)
{
	struct rig *r = rig_new(gens[_i]);

	rig_times(r)->dcmd = 2 * RIG_WAIT_MS;
	rig_must_start(r);
	hold_writes(r, 4);
	tell(r, init_silent, true);
	model_post(r->model, 0xffffffff);
	rig_wait(seen(r, n_init) == 2);
	tell(r, init_silent, false);
	model_set_state(r->model, 0xf);
	rig_wait(seen(r, n_init) == 3);
	finish_writes(r, 4);
	ck_assert_uint_eq(seen(r, n_adapter_reset), 1);
	rig_down(r);
}
END_TEST

START_TEST(io_goes_on_over_a_shared_line_after_a_reset)
{
	struct rig *r = rig_new(GEN2);

	r->model->fn.pci.n_vectors[PCI_IRQ_MSIX] = r->model->fn.pci.n_vectors[PCI_IRQ_MSI] = 0;
	rig_must_start(r);
	hold_writes(r, 4);
	model_post(r->model, 0xffffffff);
	rig_wait(seen(r, n_init) == 2);
	finish_writes(r, 4);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("recovery");
	TCase *c = tcase_create("mfi");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, wild_context_costs_one_reset, 0, 21);
	tcase_add_test(c, repeated_context_completes_once);
	tcase_add_test(c, repeated_context_does_not_hit_the_next_user_of_the_slot);
	tcase_add_loop_test(c, wild_producer_costs_one_reset, 0, 3);
	tcase_add_test(c, good_entries_beside_a_wild_one_count);
	tcase_add_test(c, timeout_then_confirmed_abort);
	tcase_add_loop_test(c, timeout_then_reset_then_reissue, 0, 3);
	tcase_add_test(c, abort_that_is_confirmed);
	tcase_add_test(c, abort_waits_for_the_deadline_before_it_resets);
	tcase_add_test(c, answer_beats_the_abort);
	tcase_add_test(c, more_aborts_than_abort_frames);
	tcase_add_test(c, stalled_thread_takes_replies_before_it_judges);
	tcase_add_test(c, what_must_not_run_twice_ends_as_aborted);
	tcase_add_test(c, reissued_twice_at_most);
	tcase_add_test(c, submitted_during_a_reset_runs_after_it);
	tcase_add_test(c, abort_during_a_reset_is_not_reissued);
	tcase_add_test(c, answered_before_the_reset_is_not_run_again);
	tcase_add_loop_test(c, fault_state_is_noticed_and_cured, 0, 3);
	tcase_add_loop_test(c, doorbell_that_is_ignored_leads_to_adapter_reset, 0, 2);
	tcase_add_loop_test(c, firmware_that_faults_while_it_starts_is_reset_again, 0, 3);
	tcase_add_loop_test(c, firmware_that_faults_over_init_is_reset_at_once, 0, 3);
	tcase_add_test(c, io_goes_on_over_a_shared_line_after_a_reset);
	suite_add_tcase(s, c);
	return run_suite(s);
}
