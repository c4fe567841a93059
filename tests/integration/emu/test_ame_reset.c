/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Resets of hba-emu's AME boxes that take long, as the kernel's may: nobody answers for the function meanwhile, and the I/O
 * thread is not to be caught in that. The emulator's exit status is part of every test, as in test_ame.c.
 */
#include <unistd.h>

#include "ame_load.h"
#include "tests/unit/run_suite.h"

#define RESET_MS 5000
#define ALIVE_NS (2 * NS_PER_SEC) /* a loop that has nothing to do beats each second */

static void nothing(void *arg)
{
}

/* How long the I/O thread has been silent, or takes for a call. */
static uint64_t silence(void)
{
	uint64_t before = clock_ns(), beat = loop_heartbeat_ns(load->loop), took;

	clock_sleep_ms(5);
	ck_assert_int_eq(loop_call(load->loop, nothing, NULL, LIMIT_MS), 0);
	took = clock_ns() - before;
	return before > beat && before - beat > took ? before - beat : took;
}

/* The longest as long as expr is true. */
#define silence_while(expr)                                                                                  \
	({                                                                                                   \
		uint64_t _worst = 0, _until = clock_ns() + LIMIT_MS * NS_PER_MS;                             \
		while (expr) {                                                                               \
			uint64_t _now = silence();                                                           \
			_worst = MAX(_worst, _now);                                                          \
			ck_assert_msg(clock_ns() < _until, "for ever: %s", #expr);                           \
		}                                                                                            \
		_worst;                                                                                      \
	})

static void up(const char *reset_ms)
{
	const char *const more[] = {"--reset-ms", reset_ms, NULL};

	ame_start(0, "full", more);
	load_up(load);
}

/* Under load, until its function is being reset. */
static void reset_begins(void)
{
	uint64_t before = emu_number(&emu, "stats", "resets");

	load_begin(load, UINT64_MAX, 64);
	load_progress(load, 200);
	emu_do(&emu, "fault wrong-context on=read+write");
	wait_until(emu_number(&emu, "stats", "resets") > before);
}

/* What is at the box waits, nothing else does, and it all comes back. */
START_TEST(a_long_reset_holds_up_nothing_but_the_box)
{
	uint64_t begun, worst;

	up("5000");
	reset_begins();
	begun = clock_ns();
	worst = silence_while(hba_state(load->h) == HBA_RESETTING);
	ck_assert_uint_gt(clock_ns() - begun, (RESET_MS - 2000) * NS_PER_MS);
	ck_assert_msg(worst < ALIVE_NS, "%u ms", (unsigned)(worst / NS_PER_MS));
	load_progress(load, 200);
	load_stop(load);
	expect_recovery(1);
}
END_TEST

/* It is waited for: what is at the box ends when that is quiet. */
START_TEST(a_stop_during_a_long_reset_ends_in_order)
{
	up("3000");
	reset_begins();
	load_begin(load, 0, 0); /* nothing more; what was sent goes on */
	ck_assert_int_eq(hba_stop(load->h), 0);
	load_down(load);
	ck_assert_uint_eq(__atomic_load_n(&load->active, __ATOMIC_ACQUIRE), 0);
	ck_assert_uint_eq(load->bad_results, 0);
	ck_assert_uint_eq(load->gone, 0);
	emu_do(&emu, "reset-ms 0");
	load_up(load);
	load_verify_cut(load);
	ck_assert_uint_eq(load->wrong_blocks, 0);
}
END_TEST

/* One that has lost its patience with the reset: all ends, but not before the function is quiet. */
START_TEST(a_stop_that_does_not_wait_for_the_recovery_waits_for_the_reset)
{
	uint64_t begun;

	up("9000");
	load->h->core->times.reset_ms = load->h->core->times.flush_ms = 100;
	reset_begins();
	begun = clock_ns();
	load_begin(load, 0, 0);
	ck_assert_int_lt(hba_stop(load->h), 0);
	ck_assert_uint_gt(clock_ns() - begun, 7000 * NS_PER_MS);
	load_down(load);
	ck_assert_uint_eq(__atomic_load_n(&load->active, __ATOMIC_ACQUIRE), 0);
	ck_assert_uint_gt(load->gone, 0);
	emu_do(&emu, "reset-ms 0");
	load_up(load);
	load_verify_cut(load);
	ck_assert_uint_eq(load->wrong_blocks, 0);
}
END_TEST

static const char *const leave[] = {"gone socket", "disconnect", "gone ff", "unplug-request"};

/* It is let go of as soon as that is possible: at once, when nobody is there who could end the reset, else behind it. */
START_TEST(a_box_that_goes_during_a_long_reset_is_let_go_of)
{
	uint64_t worst;

	up("5000");
	reset_begins();
	emu_do(&emu, "%s", leave[_i]);
	worst = silence_while(__atomic_load_n(&load->active, __ATOMIC_ACQUIRE) > 0);
	ck_assert_msg(worst < ALIVE_NS, "%u ms", (unsigned)(worst / NS_PER_MS));
	ck_assert_int_eq(hba_state(load->h), HBA_REMOVED);
	load_stop(load);
	load_down(load);
	ck_assert_uint_gt(load->gone, 0);
	ck_assert_uint_eq(load->bad_results, 0);
	emu_do(&emu, "back");
	load_up(load);
	load_verify_cut(load);
	ck_assert_uint_eq(load->wrong_blocks, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("long resets of AME boxes");
	TCase *t = tcase_create("driver");

	tcase_add_checked_fixture(t, NULL, rig_teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, a_long_reset_holds_up_nothing_but_the_box);
	tcase_add_test(t, a_stop_during_a_long_reset_ends_in_order);
	tcase_add_test(t, a_stop_that_does_not_wait_for_the_recovery_waits_for_the_reset);
	tcase_add_loop_test(t, a_box_that_goes_during_a_long_reset_is_let_go_of, 0, (int)ARRAY_SIZE(leave));
	suite_add_tcase(s, t);
	return run_suite(s);
}
