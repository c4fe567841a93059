/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hbad's MegaRAID drivers against hba-emu in another process, over a vfio-user socket: what both sides understood
 * of the facts, put to the test. The emulator's exit status is part of every test: no DMA outside of what was mapped,
 * and no breach of the controller's protocol. Built once for each model.
 */
#include <stdio.h>
#include <string.h>

#include "load_rig.h"
#include "tests/unit/run_suite.h"

static const struct {
	const char *name, *product;
} models[] = {
	{"sas2108", "LSI MegaRAID SAS 9260-8i"},
	{"sas3108", "AVAGO MegaRAID SAS 9361-8i"},
};

static unsigned model;

static void start(const char *ld_sync)
{
	const char *const more[] = {
		"--latency-us", "200", "--max-cmds", "400", "--seed", "11", "--ld-sync", ld_sync, NULL};

	megaraid_start(MODEL, 42, more);
}

static void setup(void)
{
	start("controller");
	load_up(load);
}

START_TEST(discovery_finds_what_the_emulator_was_told)
{
	const struct hba *h = load->h;

	ck_assert_str_eq(h->info.product, models[model].product);
	ck_assert(!h->info.battery_present);
	ck_assert_uint_eq(h->n_units, 3);
	ck_assert_str_eq(h->unit[0].name, "ld0");
	ck_assert_str_eq(h->unit[1].name, "ld1");
	ck_assert_str_eq(h->unit[2].name, "pd8");
	ck_assert_uint_eq(h->unit[0].blocks, 131072);
	ck_assert_uint_eq(h->unit[2].blocks, 32768);
	ck_assert(h->unit[0].write_back);
	ck_assert(h->unit[0].disk_cache);
}
END_TEST

START_TEST(random_io_with_many_in_flight_is_verified)
{
	take_attention();
	/* All at once, however slow this machine is. */
	emu_do(&emu, "fault delay=3000 on=read+write count=210");
	ck_assert_uint_gt(random_io(20000, 220), 200);
}
END_TEST

START_TEST(a_flush_reaches_the_emulators_flush_command)
{
	uint64_t before = emu_number(&emu, "stats", "flushes");

	take_attention();
	load_begin(load, 500, 32);
	load_wait(load);
	before = emu_number(&emu, "stats", "flushes");
	load_flush(load);
	ck_assert_uint_eq(emu_number(&emu, "stats", "flushes"), before + 2);
	ck_assert_uint_eq(emu_number(&emu, "status", "controller_dirty"), 0);
	ck_assert_uint_eq(emu_number(&emu, "status", "drive_dirty"), 0);
}
END_TEST

/* What a SYNCHRONIZE CACHE means to the controller must not matter. */
START_TEST(fifty_power_cuts_lose_nothing_that_was_flushed)
{
	static const char *const ld_sync[] = {"ignored", "controller", "rejected", "full"};
	unsigned lost;

	start(ld_sync[_i]);
	load->flush_one_in = 100;
	load_up(load);
	take_attention();
	lost = power_cuts(0, _i ? 10 : 50);
	/* The load is one that loses something, or this test says nothing. */
	ck_assert_uint_gt(lost, 20);
	ck_assert_uint_gt(load->flushes, 5);
}
END_TEST

START_TEST(a_cut_right_after_a_flush_keeps_every_byte)
{
	start("ignored");
	load_up(load);
	take_attention();
	cut_after_flushes(25);
}
END_TEST

START_TEST(an_orderly_stop_keeps_every_byte)
{
	take_attention();
	stop_in_order();
}
END_TEST

/* --- trouble in the middle of the load --- */

START_TEST(a_firmware_fault_costs_a_reset_and_no_byte)
{
	char command[24];

	take_attention();
	for (unsigned i = 0; i < 3; i++) {
		snprintf(command, sizeof(command), "fw-fault %x", 0x100 + i);
		disturb(command, i + 1);
	}
	expect_recovery(3);
	ck_assert_uint_ge(emu_number(&emu, "stats", "resets"), 3);
}
END_TEST

static const struct {
	const char *rule;
	unsigned resets[2]; /* by model: SAS3108 has resets of units */
} trouble[] = {
	{"drop on=read nth=100", {1, 0}},
	{"drop on=write nth=100", {1, 0}},
	{"drop op=01101000", {1, 1}},
	{"wrong-context on=write nth=50", {1, 1}},
	{"twice on=read nth=50", {0, 0}},
	{"delay=50 on=read+write count=500 one-in=5", {0, 0}},
	{"fw-fault=321 on=write nth=200", {1, 1}},
	{"late-dma=0 on=read nth=100", {0, 0}},
};

START_TEST(misbehaving_firmware_costs_no_byte)
{
	take_attention();
	misbehave(trouble[_i].rule);
	/* A read that was aborted may have been reported as timed out; nothing else. */
	ck_assert_uint_le(load->bad_results, 1);
	load->bad_results = 0;
	expect_recovery(trouble[_i].resets[model]);
	ck_assert_uint_gt(emu_number(&emu, "stats", "faults"), 0);
}
END_TEST

START_TEST(a_device_that_vanishes_under_load_ends_everything_and_can_come_back)
{
	take_attention();
	vanish_and_come_back((unsigned)_i, 5);
}
END_TEST

/* --- attach and detach --- */

START_TEST(attaching_again_and_again_works)
{
	attach_again(20);
}
END_TEST

START_TEST(firmware_that_faults_during_start_up_is_reset)
{
	load_down(load);
	emu_do(&emu, "fw-fault");
	load_up(load);
	ck_assert_uint_eq(load->h->n_units, 3);
}
END_TEST

START_TEST(nobody_there_is_told_plainly)
{
	attach_to_nobody("gone socket");
}
END_TEST

static void add_all(TCase *t, TCase *own)
{
	tcase_add_test(t, discovery_finds_what_the_emulator_was_told);
	tcase_add_test(t, random_io_with_many_in_flight_is_verified);
	tcase_add_test(t, a_flush_reaches_the_emulators_flush_command);
	tcase_add_test(t, an_orderly_stop_keeps_every_byte);
	tcase_add_test(t, a_firmware_fault_costs_a_reset_and_no_byte);
	tcase_add_loop_test(t, misbehaving_firmware_costs_no_byte, 0, (int)ARRAY_SIZE(trouble));
	tcase_add_loop_test(
		t, a_device_that_vanishes_under_load_ends_everything_and_can_come_back, 0, N_VANISHINGS);
	tcase_add_test(t, attaching_again_and_again_works);
	tcase_add_test(t, firmware_that_faults_during_start_up_is_reset);
	tcase_add_test(t, nobody_there_is_told_plainly);
	tcase_add_loop_test(own, fifty_power_cuts_lose_nothing_that_was_flushed, 0, 4);
	tcase_add_test(own, a_cut_right_after_a_flush_keeps_every_byte);
}

int main(void)
{
	Suite *s = suite_create("hbad on " MODEL);
	TCase *t = tcase_create("driver"), *own = tcase_create("power");

	while (strcmp(models[model].name, MODEL) != 0)
		model++;
	tcase_add_checked_fixture(t, setup, rig_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(own, NULL, rig_teardown);
	tcase_set_timeout(own, 120);
	add_all(t, own);
	suite_add_tcase(s, t);
	suite_add_tcase(s, own);
	return run_suite(s);
}
