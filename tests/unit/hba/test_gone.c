/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a controller: resets that fail, unplug. Everything ends once, after the device was made quiet. */
#include "rig.h"
#include "tests/unit/run_suite.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const enum model_gen gens[] = {GEN1, GEN2, SKINNY};

/* All n jobs ended as HBA_GONE when the device could not DMA any more, and nothing new is taken. */
static void expect_gone(struct rig *r, unsigned n, enum hba_state state)
{
	for (unsigned i = 0; i < n; i++) {
		job_ends(&r->job[i], HBA_GONE);
		ck_assert(r->job[i].quiet);
	}
	ck_assert_int_eq(hba_state(r->h), state);
	ck_assert(!seen(r, fn.irq_on));
	rig_wait(hba_inflight(r->h) == 0);
	job_try(job_rw(r, n, 0, DMA_FROM_DEVICE, 0, 1));
	ck_assert_int_eq(job_submitted(&r->job[n]), 1);
	ck_assert_int_eq(hba_run(r->h, &r->job[n].tmpl), -ENODEV);
	ck_assert_uint_eq(r->h->core->lane[0].pool.n_free, r->h->core->lane[0].pool.n);
}

START_TEST(reset_that_fails_is_the_end)
{
	struct rig *r = rig_up(GEN2);
	unsigned ready;

	hold_writes(r, 10);
	ready = __atomic_load_n(&r->n_ready, __ATOMIC_RELAXED);
	tell(r, adapter_dead, true);
	model_set_state(r->model, 0xf);
	expect_gone(r, 10, HBA_FAILED);
	rig_wait(__atomic_load_n(&r->n_ready, __ATOMIC_RELAXED) > ready);
	hba_stop(r->h);
	ck_assert_uint_eq(seen(r, n_shutdown), 0);
	rig_down(r);
}
END_TEST

START_TEST(fault_after_adapter_reset_is_the_end)
{
	struct rig *r = rig_up(gens[_i]);

	hold_writes(r, 3);
	tell(r, adapter_faults, UINT32_MAX);
	model_set_state(r->model, 0xf);
	expect_gone(r, 3, HBA_FAILED);
	ck_assert_uint_eq(seen(r, n_adapter_reset), 3);
	rig_down(r);
}
END_TEST

START_TEST(forbidden_adapter_reset_is_the_end)
{
	struct rig *r = rig_new(GEN2);

	r->model->on_off = 0x400;
	rig_must_start(r);
	hold_writes(r, 3);
	model_set_state(r->model, 0xf);
	expect_gone(r, 3, HBA_FAILED);
	ck_assert_uint_eq(seen(r, n_adapter_reset), 0);
	rig_down(r);
}
END_TEST

START_TEST(init_that_fails_in_a_reset_is_the_end)
{
	struct rig *r = rig_new(GEN2);

	rig_times(r)->dcmd = 20; /* the model answers at once, or not at all */
	rig_must_start(r);
	hold_writes(r, 3);
	if (_i == 0)
		tell(r, init_status, 3);
	else if (_i == 1)
		tell(r, init_silent, true);
	else
		tell(r, fw_cmds, 300); /* it takes fewer commands than before */
	model_post(r->model, 0xffffffff);
	expect_gone(r, 3, HBA_FAILED);
	rig_down(r);
}
END_TEST

START_TEST(resets_without_end_are_the_end)
{
	struct rig *r = rig_up(GEN2);

	for (unsigned i = 0; i < HBA_MAX_BARREN_RESETS; i++) {
		model_post(r->model, 0xffffffff);
		rig_wait(seen(r, n_init) == 2 + i && hba_state(r->h) == HBA_RUNNING);
	}
	model_post(r->model, 0xffffffff);
	rig_wait(hba_state(r->h) == HBA_FAILED);
	ck_assert_uint_eq(seen(r, n_init), 1 + HBA_MAX_BARREN_RESETS);
	rig_down(r);
}
END_TEST

START_TEST(answers_between_resets_start_the_count_again)
{
	struct rig *r = rig_up(GEN2);

	for (unsigned i = 0; i < 2 * HBA_MAX_BARREN_RESETS; i++) {
		struct job *job = job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 1);

		model_post(r->model, 0xffffffff);
		rig_wait(seen(r, n_init) == 2 + i && hba_state(r->h) == HBA_RUNNING);
		job_run(job);
	}
	ck_assert_int_eq(hba_state(r->h), HBA_RUNNING);
	rig_down(r);
}
END_TEST

START_TEST(unplugged)
{
	struct rig *r = rig_up(gens[_i]);

	hold_writes(r, 10);
	pthread_mutex_lock(&r->model->fn.lock);
	r->model->fn.gone = true;
	r->model->fn.bus_master = false; /* what is not there does not DMA */
	pthread_mutex_unlock(&r->model->fn.lock);
	expect_gone(r, 10, HBA_REMOVED);
	ck_assert_uint_eq(stat_of(r, resets), 0); /* no retry loop */
	rig_down(r);
}
END_TEST

START_TEST(unplugged_during_a_reset)
{
	struct rig *r = rig_new(GEN2);

	/* The doorbell changes nothing, and that is waited for as long as it takes. */
	rig_times(r)->soft = rig_times(r)->state = 3600 * 1000;
	rig_must_start(r);
	hold_writes(r, 3);
	tell(r, stuck, true);
	model_post(r->model, 0xffffffff);
	rig_wait(hba_state(r->h) == HBA_RESETTING);
	pthread_mutex_lock(&r->model->fn.lock);
	r->model->fn.gone = true;
	r->model->fn.bus_master = false;
	pthread_mutex_unlock(&r->model->fn.lock);
	expect_gone(r, 3, HBA_REMOVED);
	rig_down(r);
}
END_TEST

START_TEST(kernel_asks_for_the_device_back)
{
	struct rig *r = rig_new(GEN2);
	uint64_t one = 1;

	r->model->fn.pci.request_fd = eventfd(0, EFD_NONBLOCK);
	rig_must_start(r);
	hold_writes(r, 3);
	ck_assert_int_eq(write(r->model->fn.pci.request_fd, &one, sizeof(one)), sizeof(one));
	expect_gone(r, 3, HBA_REMOVED);
	close(r->model->fn.pci.request_fd);
	rig_down(r);
}
END_TEST

static void submit_more(struct job *job)
{
	/* A user who tries again at once is told no, and does not loop. */
	job_submit_here(&job->rig->job[50]);
}

START_TEST(done_of_a_gone_request_may_try_again)
{
	struct rig *r = rig_up(GEN2);

	hold_writes(r, 3);
	job_rw(r, 50, 0, DMA_FROM_DEVICE, 0, 1);
	r->job[1].then = submit_more;
	pthread_mutex_lock(&r->model->fn.lock);
	r->model->fn.gone = true;
	r->model->fn.bus_master = false;
	pthread_mutex_unlock(&r->model->fn.lock);
	expect_gone(r, 3, HBA_REMOVED);
	ck_assert_int_eq(job_submitted(&r->job[50]), 1);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("the end");
	TCase *c = tcase_create("mfi");

	tcase_set_timeout(c, 60);
	tcase_add_test(c, reset_that_fails_is_the_end);
	tcase_add_loop_test(c, fault_after_adapter_reset_is_the_end, 0, 3);
	tcase_add_test(c, forbidden_adapter_reset_is_the_end);
	tcase_add_loop_test(c, init_that_fails_in_a_reset_is_the_end, 0, 3);
	tcase_add_test(c, resets_without_end_are_the_end);
	tcase_add_test(c, answers_between_resets_start_the_count_again);
	tcase_add_loop_test(c, unplugged, 0, 3);
	tcase_add_test(c, unplugged_during_a_reset);
	tcase_add_test(c, kernel_asks_for_the_device_back);
	tcase_add_test(c, done_of_a_gone_request_may_try_again);
	suite_add_tcase(s, c);
	return run_suite(s);
}
