/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a MegaRAID driver hears of its units: those that go, come and change, also while its firmware starts anew. */
#include <string.h>

#include "load_rig.h"
#include "tests/unit/run_suite.h"

static void setup(void)
{
	const char *const more[] = {"--latency-us", "200", "--max-cmds", "400", "--seed", "5", NULL};

	megaraid_start(MODEL, 7, more);
	load_up(load);
}

static bool is_waiting(void)
{
	return strstr(emu_do(&emu, "status"), "\"event_wait\":true");
}

START_TEST(units_that_go_and_come_are_noticed)
{
	wait_until(is_waiting());
	emu_do(&emu, "offline ld1");
	wait_until(state_of(1) == HBA_UNIT_OFFLINE);
	emu_do(&emu, "online ld1");
	wait_until(state_of(1) == HBA_UNIT_OPTIMAL);
	emu_do(&emu, "remove ld1");
	wait_until(state_of(1) == HBA_UNIT_OFFLINE);
	emu_do(&emu, "add ld1,size=64M");
	wait_until(state_of(1) == HBA_UNIT_OPTIMAL);
	emu_do(&emu, "remove pd8");
	wait_until(state_of(2) == HBA_UNIT_OFFLINE);
	wait_until(is_waiting());
}
END_TEST

START_TEST(a_storm_of_events_disturbs_nobody)
{
	take_attention();
	load_begin(load, UINT64_MAX, 64);
	for (unsigned i = 0; i < 10; i++)
		emu_do(&emu, "aen-storm 100");
	emu_do(&emu, "offline ld1");
	emu_do(&emu, "online ld1");
	load_stop(load);
	/* ld1 was away for a moment. */
	wait_until(state_of(1) == HBA_UNIT_OPTIMAL);
	wait_until(is_waiting());
	ck_assert_uint_eq(load->wrong_blocks, 0);
	ck_assert_uint_gt(emu_number(&emu, "stats", "events"), 0);
}
END_TEST

/* The log goes on behind the reset, whatever happened in between. */
START_TEST(what_happens_during_a_reset_is_noticed)
{
	emu_do(&emu, "fw-fault 100");
	emu_do(&emu, "offline ld1");
	wait_for_resets(1);
	wait_until(state_of(1) == HBA_UNIT_OFFLINE);
	emu_do(&emu, "online ld1");
	wait_until(state_of(1) == HBA_UNIT_OPTIMAL);
}
END_TEST

static uint32_t outages(unsigned unit)
{
	return __atomic_load_n(&load->h->unit[unit].outages, __ATOMIC_RELAXED);
}

/* Back before firmware's list is asked for: only its log tells. */
START_TEST(a_drive_that_was_away_during_a_reset_was_pulled)
{
	wait_until(is_waiting());
	emu_do(&emu, "fw-fault 100");
	emu_do(&emu, "remove pd8");
	emu_do(&emu, "add pd8,size=16M");
	wait_for_resets(1);
	wait_until(outages(2) > 0 && state_of(2) == HBA_UNIT_OPTIMAL);
	/* However much of it the list has seen, it was once. */
	emu_do(&emu, "offline ld1");
	wait_until(state_of(1) == HBA_UNIT_OFFLINE);
	ck_assert_uint_eq(outages(2), 1);
	ck_assert_uint_eq(outages(0) + outages(1), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create(MODEL);
	TCase *t = tcase_create("units");

	tcase_add_checked_fixture(t, setup, rig_teardown);
	tcase_set_timeout(t, 200);
	tcase_add_test(t, units_that_go_and_come_are_noticed);
	tcase_add_test(t, a_storm_of_events_disturbs_nobody);
	tcase_add_test(t, what_happens_during_a_reset_is_noticed);
	tcase_add_test(t, a_drive_that_was_away_during_a_reset_was_pulled);
	suite_add_tcase(s, t);
	return run_suite(s);
}
