/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A box that does not forget what it was told to forget: commands that it has given up, and their answers. */
#include "rig.h"
#include "tests/unit/run_suite.h"

#include <errno.h>
#include <string.h>

#define FORGET 0xffffffff

static struct rig *rig;

static void setup(void)
{
	rig = rig_new(BOX_3108);
	rig->model->forget_keeps = true;
}

static void teardown(void)
{
	tell(rig, hold, false);
	rig_down(rig);
}

/* At the box, with this in its memory. */
static struct job *write_held(unsigned n)
{
	struct job *j = job_rw(rig, n, 0, DMA_TO_DEVICE, n, 1);
	unsigned before = model_pending(rig->model);

	tell(rig, hold, true);
	job_fill(j, n + 1);
	job_submit(j);
	rig_wait(model_pending(rig->model) == before + 1);
	return j;
}

static void is_on_disk(struct job *j)
{
	pthread_mutex_lock(&rig->fn->lock);
	ck_assert_mem_eq(rig->model->disk[0] + 512 * j->tmpl.lba, j->buf, 512);
	pthread_mutex_unlock(&rig->fn->lock);
}

/* The answer of before has an identifier that nobody uses now; and what else may be at work ends with a reset. */
START_TEST(a_late_answer_ends_nothing_but_the_belief_in_the_box)
{
	struct job *j;
	uint32_t id;

	rig_must_start(rig);
	j = write_held(0);
	id = model_id(rig->model, 0);
	model_notice(rig->model, 0x04);
	/* Sent again, beside the one that is still there. */
	rig_wait(model_pending(rig->model) == 2);
	ck_assert_uint_ne(model_id(rig->model, 1), id);
	ck_assert_uint_eq(seen(rig, n_reset), 0);
	/* It is executed no more, but answered. */
	tell(rig, hold, false);
	model_say(rig->model, id);
	job_ends_well(j);
	is_on_disk(j);
	ck_assert_uint_eq(seen(rig, n_reset), 1);
	ck_assert_uint_eq(stat_of(rig, resets), 2);
	/* Its word counts for nothing any more. */
	j = write_held(1);
	tell(rig, hold, false);
	model_notice(rig->model, 0x04);
	job_ends_well(j);
	ck_assert_uint_eq(seen(rig, n_reset), 2);
}
END_TEST

/* While it is kept from memory, and while it is being talked to. */
START_TEST(an_answer_before_the_box_is_used_again_costs_a_reset_of_the_function)
{
	struct job *j;

	rig_times(rig)->linger = _i ? 5 : RIG_WAIT_MS / 2;
	rig_must_start(rig);
	j = write_held(0);
	tell(rig, hold, false);
	tell(rig, n_write, 0);
	if (_i)
		tell(rig, ready_bits, 0);
	model_notice(rig->model, 0x04);
	if (_i)
		rig_wait(model_wrote(rig->model, 0x20, FORGET) == 1);
	else
		rig_wait(!seen(rig, fn.bus_master));
	ck_assert_uint_eq(seen(rig, n_reset), 0);
	model_say(rig->model, model_id(rig->model, 0));
	tell(rig, ready_bits, 1);
	job_ends_well(j);
	is_on_disk(j);
	ck_assert_uint_eq(seen(rig, n_reset), 1);
	ck_assert_uint_eq(stat_of(rig, resets), 1);
}
END_TEST

/* It is no bus master until then, and alive. */
START_TEST(a_box_that_has_given_up_is_kept_from_memory_for_a_while)
{
	struct job *j;

	rig_times(rig)->linger = 400;
	rig_must_start(rig);
	j = write_held(0);
	tell(rig, hold, false);
	model_notice(rig->model, 0x04);
	rig_wait(!seen(rig, fn.bus_master));
	for (unsigned i = 0; i < 10; i++) {
		clock_sleep_ms(20);
		ck_assert(!seen(rig, fn.bus_master));
		ck_assert_uint_eq(job_done(j), 0);
	}
	/* "Is the host alive?" */
	rig_notice(rig, 0x10);
	job_ends_well(j);
	is_on_disk(j);
	ck_assert_uint_eq(seen(rig, n_reset), 0);
}
END_TEST

/* Once is enough: the second announcement without a restart is not believed. */
START_TEST(a_box_that_announces_a_restart_again_and_again_is_spoken_to)
{
	struct job *j;

	rig_times(rig)->linger = 100;
	rig_times(rig)->away = 50;
	rig_must_start(rig);
	j = write_held(0);
	tell(rig, hold, false);
	model_notice(rig->model, 0x04);
	rig_wait(!seen(rig, fn.bus_master));
	for (unsigned i = 0; i < 5; i++) {
		rig_notice(rig, 0x02);
		clock_sleep_ms(20);
	}
	job_ends_well(j);
	ck_assert_uint_eq(seen(rig, n_reset), 0);
}
END_TEST

/* A box full of commands: those that carry them now have other identifiers, as many as there are, and all come round. */
START_TEST(identifiers_of_before_are_not_used_for_a_while)
{
	static uint32_t before[AME_DEPTH];
	const unsigned left = AME_N_CARRIERS - AME_DEPTH;

	rig_times(rig)->exile = _i ? 300 : 600000;
	rig_must_start(rig);
	for (unsigned n = 0; n < AME_DEPTH; n++)
		write_held(n);
	for (unsigned n = 0; n < AME_DEPTH; n++)
		before[n] = model_id(rig->model, n);
	tell(rig, forget_keeps, false);
	model_notice(rig->model, 0x04);
	rig_wait(model_pending(rig->model) >= left);
	if (_i) {
		/* ... but then. */
		rig_wait(model_pending(rig->model) > left);
	} else {
		clock_sleep_ms(50);
		ck_assert_uint_eq(model_pending(rig->model), left);
		for (unsigned n = 0; n < left; n++)
			for (unsigned k = 0; k < AME_DEPTH; k++)
				ck_assert_uint_ne(model_id(rig->model, n), before[k]);
	}
	rig_pump(rig);
	for (unsigned n = 0; n < AME_DEPTH; n++) {
		job_ends_well(&rig->job[n]);
		is_on_disk(&rig->job[n]);
	}
	ck_assert_uint_eq(seen(rig, n_reset), 0);
}
END_TEST

/* It is reset by the one who comes next, and not taken for one that talks nonsense. */
START_TEST(answers_to_an_earlier_driver_cost_a_reset_of_the_function)
{
	rig->model->reset_fails = _i;
	fn_do_locked(rig->fn, rig->model->reply[rig->model->reply_in++] = 0x40);
	rig_must_start(rig);
	ck_assert_uint_eq(seen(rig, n_reset), 1);
	job_run_well(job_rw(rig, 0, 0, DMA_TO_DEVICE, 0, 1));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("AME boxes that do not forget");
	TCase *t = tcase_create("3108");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_late_answer_ends_nothing_but_the_belief_in_the_box);
	tcase_add_loop_test(t, an_answer_before_the_box_is_used_again_costs_a_reset_of_the_function, 0, 2);
	tcase_add_test(t, a_box_that_has_given_up_is_kept_from_memory_for_a_while);
	tcase_add_test(t, a_box_that_announces_a_restart_again_and_again_is_spoken_to);
	tcase_add_loop_test(t, identifiers_of_before_are_not_used_for_a_while, 0, 2);
	tcase_add_loop_test(t, answers_to_an_earlier_driver_cost_a_reset_of_the_function, 0, 2);
	suite_add_tcase(s, t);
	return run_suite(s);
}
