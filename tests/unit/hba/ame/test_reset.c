/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Resets of the function that take long, or have no end. */
#include "rig.h"
#include "tests/unit/run_suite.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct rig *rig;
static struct hba *left_behind; /* for the leak checker: nobody frees it */

static void setup(void)
{
	rig = rig_new(BOX_3108);
}

static void teardown(void)
{
	tell(rig, reset_blocks, false);
	tell(rig, hold, false);
	rig_down(rig);
}

static struct job *hold_one(void)
{
	struct job *j = job_rw(rig, 0, 0, DMA_TO_DEVICE, 0, 1);

	tell(rig, hold, true);
	job_submit(j);
	rig_wait(model_pending(rig->model) == 1);
	tell(rig, hold, false);
	return j;
}

/* Nonsense costs the box a reset, which stays in the middle. */
static struct job *blocked(void)
{
	struct job *j;

	rig_must_start(rig);
	j = hold_one();
	tell(rig, reset_blocks, true);
	model_say(rig->model, 0x00000404);
	rig_wait(seen(rig, n_reset) == 1);
	/* The thread serves its loop. */
	rig_sync(rig);
	return j;
}

START_TEST(a_long_reset_is_followed_by_the_rest)
{
	struct job *j = blocked();
	unsigned before = seen(rig, n_write);

	clock_sleep_ms(50);
	rig_sync(rig);
	ck_assert_int_eq(hba_state(rig->h), HBA_RESETTING);
	ck_assert_uint_eq(job_done(j), 0);
	/* Nothing is said to the box meanwhile. */
	ck_assert_uint_eq(seen(rig, n_write), before);
	tell(rig, reset_blocks, false);
	job_ends_well(j);
	ck_assert_uint_eq(seen(rig, n_reset), 1);
}
END_TEST

/* Then nobody may touch the function ever again, nor free what it uses. */
START_TEST(a_reset_without_end_is_given_up)
{
	struct job *j;

	rig->ladder.function_ms = 200;
	j = blocked();
	left_behind = rig->h;
	job_ends(j, HBA_GONE);
	ck_assert_int_eq(hba_state(rig->h), HBA_FAILED);
	ck_assert(!seen(rig, fn.bus_master));
	/* Interrupts are not switched off by one who would have to wait. */
	ck_assert(seen(rig, fn.irq_on));
	ck_assert_int_eq(hba_stop(rig->h), -ETIMEDOUT);
	ck_assert_int_eq(hba_stop(rig->h), -ETIMEDOUT);
	hba_close(rig->h);
	tell(rig, reset_blocks, false);
	rig_wait(pci_resetter_result(rig->h->core->resetter, NULL) == 0);
}
END_TEST

/* One that comes to its end after all, before the stop, is waited for no longer. */
START_TEST(a_reset_that_ends_too_late_is_no_obstacle_to_a_stop)
{
	struct job *j;

	rig->ladder.function_ms = 200;
	j = blocked();
	job_ends(j, HBA_GONE);
	tell(rig, reset_blocks, false);
	rig_wait(pci_resetter_result(rig->h->core->resetter, NULL) == 0);
	ck_assert_int_eq(hba_stop(rig->h), -ENODEV);
}
END_TEST

static void *stop(void *arg)
{
	struct rig *r = arg;

	return (void *)(intptr_t)hba_stop(r->h);
}

START_TEST(a_stop_waits_for_the_end_of_a_reset)
{
	struct job *j = blocked();
	pthread_t t;
	void *r;

	ck_assert_int_eq(pthread_create(&t, NULL, stop, rig), 0);
	clock_sleep_ms(300);
	/* It may still be in the middle of a transfer. */
	ck_assert_uint_eq(job_done(j), 0);
	tell(rig, reset_blocks, false);
	ck_assert_int_eq(pthread_join(t, &r), 0);
	ck_assert_uint_eq(job_done(j), 1);
}
END_TEST

/* The last way to end its DMA has no end; the end of the process is left. */
static void must_stop_in_time(void)
{
	uint64_t began = clock_ns();

	left_behind = rig->h;
	ck_assert_int_eq(hba_stop(rig->h), -ETIMEDOUT);
	ck_assert_uint_lt((clock_ns() - began) / NS_PER_MS, rig->ladder.stop_ms + RIG_WAIT_MS / 4);
	/* Nothing that it may still touch is freed. */
	hba_close(rig->h);
	ck_assert(!seen(rig, fn.bus_master) || seen(rig, master_stuck));
	tell(rig, reset_blocks, false);
	rig_wait(pci_resetter_result(rig->h->core->resetter, NULL) == 0);
	tell(rig, master_stuck, false);
}

START_TEST(a_stop_is_over_in_time_though_a_reset_of_the_function_is_not)
{
	struct job *j;

	rig->ladder.stop_ms = 1500;
	rig->ladder.shutdown_ms = 500;
	j = blocked();
	must_stop_in_time();
	ck_assert_uint_eq(job_done(j), 1);
	ck_assert_int_eq(j->result, HBA_GONE);
}
END_TEST

START_TEST(a_stop_is_over_in_time_though_its_device_cannot_be_made_quiet)
{
	rig->ladder.stop_ms = 1500;
	rig->ladder.shutdown_ms = 500;
	rig_must_start(rig);
	tell(rig, master_stuck, true);
	tell(rig, reset_blocks, true);
	must_stop_in_time();
	ck_assert_uint_eq(seen(rig, n_reset), 1);
}
END_TEST

/* The kernel asks for the device back. */
static void ask_for_it(void)
{
	uint64_t one = 1;

	ck_assert_int_eq(write(rig->fn->pci.request_fd, &one, sizeof(one)), sizeof(one));
	rig_wait(hba_state(rig->h) == HBA_REMOVED);
	rig_sync(rig);
}

START_TEST(a_box_that_is_taken_away_during_a_reset_is_quiet_behind_it)
{
	struct job *j;

	rig->fn->pci.request_fd = eventfd(0, EFD_NONBLOCK);
	j = blocked();
	ask_for_it();
	clock_sleep_ms(50);
	ck_assert_uint_eq(job_done(j), 0);
	tell(rig, reset_blocks, false);
	job_ends(j, HBA_GONE);
	ck_assert(j->quiet);
	ck_assert_uint_eq(seen(rig, n_reset), 1);
	close(rig->fn->pci.request_fd);
}
END_TEST

/* Then only a reset stops its DMA: the I/O thread does not wait for it, and nobody learns of the end before. */
START_TEST(a_box_that_stays_bus_master_is_made_quiet_by_a_reset)
{
	struct job *j;

	rig->fn->pci.request_fd = eventfd(0, EFD_NONBLOCK);
	rig_must_start(rig);
	j = hold_one();
	tell(rig, master_stuck, true);
	tell(rig, reset_blocks, true);
	ask_for_it();
	rig_wait(seen(rig, n_reset) == 1);
	clock_sleep_ms(50);
	rig_sync(rig);
	ck_assert_uint_eq(job_done(j), 0);
	if (_i)
		tell(rig, reset_fails, true);
	tell(rig, reset_blocks, false);
	job_ends(j, HBA_GONE);
	ck_assert(j->quiet == !_i);
	ck_assert_uint_eq(seen(rig, n_reset), 1);
	/* One that fails changes nothing, but nobody can do more. */
	tell(rig, master_stuck, false);
	close(rig->fn->pci.request_fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("AME resets of the function");
	TCase *t = tcase_create("3108");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_long_reset_is_followed_by_the_rest);
	tcase_add_test(t, a_reset_without_end_is_given_up);
	tcase_add_test(t, a_reset_that_ends_too_late_is_no_obstacle_to_a_stop);
	tcase_add_test(t, a_stop_waits_for_the_end_of_a_reset);
	tcase_add_test(t, a_stop_is_over_in_time_though_a_reset_of_the_function_is_not);
	tcase_add_test(t, a_stop_is_over_in_time_though_its_device_cannot_be_made_quiet);
	tcase_add_test(t, a_box_that_is_taken_away_during_a_reset_is_quiet_behind_it);
	tcase_add_loop_test(t, a_box_that_stays_bus_master_is_made_quiet_by_a_reset, 0, 2);
	suite_add_tcase(s, t);
	return run_suite(s);
}
