/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A MegaRAID controller that runs on while one driver leaves it and the next one takes it: the emulator counts what
 * starts its firmware. One process plays both, with one connection; the descriptors of the memory go the way they go
 * through systemd. Built once for each model.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "load_rig.h"
#include "tests/unit/run_suite.h"

#define HANDOVERS 10

static uint64_t boots, inits;

static uint64_t starts(void)
{
	return emu_number(&emu, "stats", "resets");
}

static void setup(void)
{
	static const char *const more[] = {"--latency-us", "200", "--max-cmds", "400", "--seed", "5", NULL};

	megaraid_start(MODEL, 43, more);
	load_up(load);
	take_attention();
	boots = starts();
	inits = emu_number(&emu, "stats", "inits");
	ck_assert_uint_eq(inits, 1);
}

static void hand_over(struct hba_frozen *f)
{
	struct err e = {""};
	struct pci_dev *pci;
	int r;

	ck_assert_int_eq(hba_drain(load->h, LIMIT_MS), 0);
	r = hba_freeze(load->h, f, &e);
	ck_assert_msg(r == 0, "freeze: %d %s", r, e.text);
	for (unsigned i = 0; i < f->n_arenas; i++)
		f->arena[i].memfd = dup(f->arena[i].memfd);
	pci = hba_leave(load->h);
	load->h = NULL;
	load_on(load, pci);
}

static void take_over(struct hba_frozen *f)
{
	struct err e = {""};
	int r = hba_adopt(load->h, f, &e);

	if (r == 0)
		r = hba_start(load->h, &e);
	ck_assert_msg(r == 0, "adopt: %d %s", r, e.text);
}

static void more_load(unsigned n)
{
	load_begin(load, n, 64);
	load_wait(load);
	load_verify(load);
	ck_assert_uint_eq(load->bad_results, 0);
	ck_assert_uint_eq(load->gone, 0);
	ck_assert_uint_eq(load->wrong_blocks, 0);
}

static void expect_no_start(void)
{
	ck_assert_uint_eq(starts(), boots);
	ck_assert_uint_eq(emu_number(&emu, "stats", "inits"), inits);
	ck_assert_uint_eq(emu_number(&emu, "stats", "protocol_errors"), 0);
	ck_assert_uint_eq(emu_number(&emu, "stats", "dma_blocked"), 0);
	ck_assert_uint_eq(emu_number(&emu, "stats", "wrong_dma"), 0);
}

/* H11: verified load over handovers. */
START_TEST(load_before_and_after_is_verified_and_firmware_never_starts)
{
	struct hba_frozen f;

	for (unsigned i = 0; i < HANDOVERS; i++) {
		load_begin(load, UINT64_MAX, 64);
		load_progress(load, 300);
		load_stop(load);
		hand_over(&f);
		take_over(&f);
		expect_no_start();
		load_verify(load);
	}
	more_load(2000);
	expect_no_start();
}
END_TEST

/* What was acknowledged is on disk when the process ends, as after every stop. */
START_TEST(a_power_cut_in_between_loses_nothing)
{
	struct hba_frozen f;

	load_begin(load, 1000, 64);
	load_wait(load);
	hand_over(&f);
	ck_assert_uint_eq(emu_number(&emu, "status", "controller_dirty"), 0);
	ck_assert_uint_eq(emu_number(&emu, "status", "drive_dirty"), 0);
	take_over(&f);
	expect_no_start();
	load_verify(load);
}
END_TEST

START_TEST(a_reset_after_it_costs_no_byte)
{
	struct hba_frozen f;

	hand_over(&f);
	take_over(&f);
	disturb("fw-fault 123", 1);
	expect_recovery(1);
	hand_over(&f);
	take_over(&f);
	more_load(500);
}
END_TEST

/* Units that changed meanwhile are found as they are. */
START_TEST(units_are_looked_at_anew)
{
	struct hba_frozen f;

	hand_over(&f);
	emu_do(&emu, "add ld5,size=32M");
	take_over(&f);
	ck_assert_uint_eq(load->h->n_units, 4);
	expect_no_start();
}
END_TEST

static bool is_waiting(void)
{
	return strstr(emu_do(&emu, "status"), "\"event_wait\":true");
}

/* The wait for events is the process's: the next one waits behind the last that the first one has seen. */
START_TEST(changes_are_noticed_after_it)
{
	struct hba_frozen f;

	for (unsigned i = 0; i < 3; i++) {
		wait_until(is_waiting());
		hand_over(&f);
		ck_assert(!is_waiting());
		take_over(&f);
		wait_until(is_waiting());
		emu_do(&emu, "offline ld1");
		wait_until(state_of(1) == HBA_UNIT_OFFLINE);
		emu_do(&emu, "online ld1");
		wait_until(state_of(1) == HBA_UNIT_OPTIMAL);
	}
	expect_no_start();
}
END_TEST

/* A reset meanwhile, by whomever: firmware does not run, which is seen; the usual start follows. */
START_TEST(firmware_that_was_reset_meanwhile_is_started_as_always)
{
	struct hba_frozen f;
	struct err e = {""};
	struct pci_dev *pci;

	hand_over(&f);
	pci = load->h->pci;
	ck_assert_int_eq(pci_reset(pci, &e), 0);
	ck_assert_int_lt(hba_adopt(load->h, &f, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.text, "firmware is not running"));
	load_down(load);
	load_up(load);
	more_load(500);
	ck_assert_uint_eq(emu_number(&emu, "stats", "inits"), inits + 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("handover on " MODEL);
	TCase *t = tcase_create("handover");

	tcase_add_checked_fixture(t, setup, rig_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, load_before_and_after_is_verified_and_firmware_never_starts);
	tcase_add_test(t, a_power_cut_in_between_loses_nothing);
	tcase_add_test(t, a_reset_after_it_costs_no_byte);
	tcase_add_test(t, units_are_looked_at_anew);
	tcase_add_test(t, changes_are_noticed_after_it);
	tcase_add_test(t, firmware_that_was_reset_meanwhile_is_started_as_always);
	suite_add_tcase(s, t);
	return run_suite(s);
}
