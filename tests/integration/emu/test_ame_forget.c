/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hba-emu's AME boxes that do not forget: commands that they have given up, or that an earlier driver left, go on and are
 * answered. The emulator's exit status is part of every test, as in test_ame.c: it knows when an identifier is used
 * that it has.
 */
#include <unistd.h>

#include "ame_load.h"
#include "tests/unit/run_suite.h"

static void start(const char *latency_us)
{
	const char *const more[] = {"--forget-keeps", "--latency-us", latency_us, NULL};

	ame_start(0, "full", more);
}

static uint64_t function_resets(void)
{
	return emu_number(&emu, "stats", "resets");
}

/* In the middle of a load, whose commands end one after the other. */
static void give_up(const char *rule)
{
	load_begin(load, UINT64_MAX, 100);
	load_progress(load, 200);
	if (rule)
		emu_do(&emu, "fault %s", rule);
	usleep(50000);
	emu_do(&emu, "notice 4");
}

/* All that is answered is answered while the box is kept from memory: its writes fail, and so do its reads. */
START_TEST(commands_that_go_on_reach_for_nothing)
{
	/* They end long after the machine, however busy, has kept the box from memory, and before that is over. */
	start("1000000");
	box_times.linger = 4000;
	load_up(load);
	give_up(NULL);
	wait_for_resets(1);
	load_stop(load);
	expect_recovery(1);
	ck_assert_uint_gt(emu_number(&emu, "stats", "dma_blocked"), 0);
}
END_TEST

/* Executed long ago, answered when the box is kept from memory, or was told to forget: that is seen, and it is reset. */
START_TEST(answers_that_stay_cost_a_reset_of_the_function)
{
	start("200");
	box_times.linger = _i ? 20 : 1000;
	box_times.settle = _i ? 1000 : 5;
	load_up(load);
	give_up("delay=300 on=read+write count=0 one-in=4");
	wait_for_resets(1);
	emu_do(&emu, "fault-clear");
	load_stop(load);
	expect_recovery(1);
	ck_assert_uint_ge(function_resets(), 1);
}
END_TEST

/* ... or when others are at work: none of them is ended by that. */
START_TEST(late_answers_end_nobody)
{
	start("200");
	box_times.linger = 20;
	load_up(load);
	give_up("delay=4000 on=read+write count=20");
	wait_for_resets(1);
	ck_assert_uint_eq(function_resets(), 0);
	wait_for_resets(2);
	load_stop(load);
	expect_recovery(2);
	ck_assert_uint_eq(function_resets(), 1);
	/* From now on at once. */
	give_up(NULL);
	wait_for_resets(3);
	load_stop(load);
	expect_recovery(3);
	ck_assert_uint_eq(function_resets(), 2);
}
END_TEST

/* A driver that died, and its successor, which nobody has made a new box for. */
START_TEST(commands_of_an_earlier_driver_end_nobody)
{
	start("200");
	box_times.settle = 1000;
	load_up(load);
	load_begin(load, UINT64_MAX, 64);
	load_progress(load, 200);
	emu_do(&emu, "fault delay=500 on=read+write count=0");
	usleep(50000);
	emu_do(&emu, "disconnect");
	wait_until(hba_state(load->h) > HBA_RESETTING);
	load_stop(load);
	load_down(load);
	emu_do(&emu, "fault-clear");
	load_up(load);
	ck_assert_uint_eq(function_resets(), 1);
	load_verify_cut(load);
	ck_assert_uint_eq(load->wrong_blocks, 0);
	load->gone = 0;
	load_begin(load, 2000, 64);
	expect_recovery(0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("AME boxes that do not forget");
	TCase *t = tcase_create("driver");

	tcase_add_checked_fixture(t, NULL, rig_teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, commands_that_go_on_reach_for_nothing);
	tcase_add_loop_test(t, answers_that_stay_cost_a_reset_of_the_function, 0, 2);
	tcase_add_test(t, late_answers_end_nobody);
	tcase_add_test(t, commands_of_an_earlier_driver_end_nobody);
	suite_add_tcase(s, t);
	return run_suite(s);
}
