/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hbad's MegaRAID drivers against hba-emu in another process, over a vfio-user socket: what both sides understood
 * of the facts, put to the test. The emulator's exit status is part of every test: no DMA outside of what was mapped,
 * and no breach of the controller's protocol. Built once for each model.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "load.h"

static const struct {
	const char *name, *product;
} models[] = {
	{"sas2108", "LSI MegaRAID SAS 9260-8i"},
	{"sas3108", "AVAGO MegaRAID SAS 9361-8i"},
};

static unsigned model;
static struct emu_proc emu;
static struct load *load;

static void start(const char *ld_sync)
{
	const char *const options[] = {"--model", MODEL, "--unit", "ld0,size=64M", "--unit", "ld1,size=64M",
		"--unit", "pd8,size=16M", "--boot-ms", "20", "--latency-us", "200", "--max-cmds", "400",
		"--seed", "11", "--ld-sync", ld_sync, NULL};

	emu_start_proc(&emu, options);
	load = load_new(&emu, 42);
	load_megaraid(load, MODEL);
}

static void setup(void)
{
	start("controller");
	load_up(load);
}

static void teardown(void)
{
	load_free(load);
	emu_end_proc(&emu);
}

/* Power on is told once to each unit. */
static void take_attention(void)
{
	static const uint8_t tur[6];

	for (unsigned u = 0; u < load->h->n_units; u++) {
		struct hba_req t = {.unit = &load->h->unit[u],
			.kind = HBA_REQ_CDB,
			.cdb_len = sizeof(tur),
			.timeout_ms = 5000};

		ck_assert_int_eq(hba_run(load->h, &t), 0);
	}
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
	load_begin(load, 20000, 220);
	load_wait(load);
	ck_assert_uint_eq(load->bad_results, 0);
	ck_assert_uint_eq(load->gone, 0);
	ck_assert_uint_eq(load->reads + load->writes + load->flushes, 20000);
	ck_assert_uint_gt(emu_number(&emu, "status", "most_in_flight"), 200);
	load_verify(load);
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

/* The cut strikes in the middle of the load. */
static unsigned cut(unsigned n)
{
	static const char *const survive[] = {"none", "random", "reorder", "prefix", "all"};
	struct rng lots = {n};

	load_begin(load, UINT64_MAX, 64);
	/* So many, and not so long: a slow machine would lose nothing. */
	load_progress(load, 100 + rng_below(&lots, 300));
	usleep((unsigned)rng_below(&lots, 3000));
	emu_do(&emu, "power-cut survive=%s seed=%u", survive[n % 5], n);
	load_stop(load);
	load_down(load);
	load_up(load);
	return load_verify_cut(load);
}

static unsigned cuts(unsigned n)
{
	unsigned lost = 0;

	load_up(load);
	take_attention();
	for (unsigned i = 0; i < n; i++)
		lost += cut(i);
	ck_assert_uint_eq(load->wrong_blocks, 0);
	ck_assert_uint_eq(load->bad_results, 0);
	return lost;
}

/* What a SYNCHRONIZE CACHE means to the controller must not matter. */
START_TEST(fifty_power_cuts_lose_nothing_that_was_flushed)
{
	static const char *const ld_sync[] = {"ignored", "controller", "rejected", "full"};
	unsigned lost;

	start(ld_sync[_i]);
	load->flush_one_in = 100;
	lost = cuts(_i ? 10 : 50);
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
	for (unsigned i = 0; i < 25; i++) {
		load_begin(load, 150, 48);
		load_wait(load);
		load_flush(load);
		emu_do(&emu, "power-cut survive=none seed=%u", i);
		load_down(load);
		load_up(load);
		ck_assert_uint_eq(load_verify_cut(load), 0);
	}
	ck_assert_uint_eq(load->bad_results, 0);
}
END_TEST

START_TEST(an_orderly_stop_keeps_every_byte)
{
	take_attention();
	load_begin(load, 1000, 48);
	load_wait(load);
	load_down(load);
	emu_do(&emu, "power-cut survive=none");
	load_up(load);
	ck_assert_uint_eq(load_verify_cut(load), 0);
}
END_TEST

/* --- trouble in the middle of the load --- */

static void expect_recovery(unsigned resets)
{
	struct hba_stats s;

	load_wait(load);
	hba_get_stats(load->h, &s);
	ck_assert_uint_eq(load->bad_results, 0);
	ck_assert_uint_eq(load->gone, 0);
	ck_assert_uint_ge(s.resets, resets);
	load_verify(load);
}

static void wait_for_resets(unsigned resets)
{
	struct hba_stats s = {0};

	for (unsigned n = 0; n < 60000; n++) {
		hba_get_stats(load->h, &s);
		if (s.resets >= resets && hba_state(load->h) == HBA_RUNNING)
			return;
		clock_sleep_ms(1);
	}
	ck_abort_msg("%u resets instead of %u", (unsigned)s.resets, resets);
}

START_TEST(a_firmware_fault_costs_a_reset_and_no_byte)
{
	take_attention();
	for (unsigned i = 0; i < 3; i++) {
		/* Endless: on a quiet machine a counted load may be over before the fault. */
		load_begin(load, UINT64_MAX, 100);
		usleep(20000);
		emu_do(&emu, "fw-fault %x", 0x100 + i);
		wait_for_resets(i + 1);
		load_stop(load);
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
	load->timeout_ms = 3000;
	emu_do(&emu, "fault %s", trouble[_i].rule);
	load_begin(load, 3000, 64);
	load_wait(load);
	/* A read that was aborted may have been reported as timed out; nothing else. */
	ck_assert_uint_le(load->bad_results, 1);
	load->bad_results = 0;
	expect_recovery(trouble[_i].resets[model]);
	ck_assert_uint_gt(emu_number(&emu, "stats", "faults"), 0);
}
END_TEST

START_TEST(a_device_that_vanishes_under_load_ends_everything_and_can_come_back)
{
	static const char *const how[] = {
		"gone ff", "gone socket", "fault gone on=write nth=300", "disconnect"};

	take_attention();
	for (unsigned i = 0; i < 5; i++) {
		load_begin(load, UINT64_MAX, 100);
		usleep(20000);
		emu_do(&emu, "%s", how[_i]);
		for (unsigned n = 0; n < 60000 && hba_state(load->h) <= HBA_RESETTING; n++)
			clock_sleep_ms(1);
		ck_assert_int_gt(hba_state(load->h), HBA_RESETTING);
		load_stop(load);
		load_down(load);
		emu_do(&emu, "back");
		load_up(load);
		load_verify_cut(load);
	}
	ck_assert_uint_eq(load->bad_results, 0);
}
END_TEST

/* --- attach and detach --- */

START_TEST(attaching_again_and_again_works)
{
	for (unsigned i = 0; i < 20; i++) {
		load_begin(load, 50, 16);
		load_wait(load);
		load_down(load);
		load_up(load);
	}
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
	struct err e = {""};

	load_down(load);
	emu_do(&emu, "gone socket");
	ck_assert_int_lt(load_attach(load, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.text, emu.dir));
	emu_do(&emu, "back");
	load_up(load);
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
	tcase_add_loop_test(t, a_device_that_vanishes_under_load_ends_everything_and_can_come_back, 0, 4);
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
	SRunner *sr;
	int failed;

	while (strcmp(models[model].name, MODEL) != 0)
		model++;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(own, NULL, teardown);
	tcase_set_timeout(own, 120);
	add_all(t, own);
	suite_add_tcase(s, t);
	suite_add_tcase(s, own);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
