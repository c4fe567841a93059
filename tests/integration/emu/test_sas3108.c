/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the SAS3108 has and the older model has not: several reply queues, events, resets of units, system drives. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "load.h"

#define LIMIT_MS 60000 /* for what must come, however slow the machine */

static struct emu_proc emu;
static struct load *load;

static void start(const char *vectors)
{
	const char *const options[] = {"--model", MODEL, "--unit", "ld0,size=64M", "--unit", "ld1,size=64M",
		"--unit", "pd8,size=16M", "--boot-ms", "20", "--latency-us", "200", "--max-cmds", "400",
		"--seed", "5", "--vectors", vectors, NULL};

	emu_start_proc(&emu, options);
	load = load_new(&emu, 7);
	load_megaraid(load, MODEL);
	load_up(load);
}

static void setup(void)
{
	start("16");
}

static void teardown(void)
{
	load_free(load);
	emu_end_proc(&emu);
}

static void wait_for(bool (*is_so)(void), const char *what)
{
	for (unsigned n = 0; n < LIMIT_MS; n++) {
		if (is_so())
			return;
		clock_sleep_ms(1);
	}
	ck_abort_msg("never: %s", what);
}

/* Power on is told once to each unit. */
static void take_attention(void)
{
	for (unsigned u = 0; u < load->h->n_units; u++) {
		struct hba_req t = {
			.unit = &load->h->unit[u], .kind = HBA_REQ_CDB, .cdb_len = 6, .timeout_ms = LIMIT_MS};

		ck_assert_int_eq(hba_run(load->h, &t), 0);
	}
}

static uint32_t queue_index(unsigned q)
{
	return __atomic_load_n(&fusion_of(mfi_of(load->h))->queue[q].index, __ATOMIC_RELAXED);
}

START_TEST(all_reply_queues_are_used)
{
	static const char *const vectors[] = {"1", "4", "16"};
	unsigned n = (unsigned)atoi(vectors[_i]);

	start(vectors[_i]);
	take_attention();
	ck_assert_uint_eq(fusion_of(mfi_of(load->h))->n_queues, n);
	load_begin(load, 5000, 128);
	load_wait(load);
	ck_assert_uint_eq(load->bad_results, 0);
	for (unsigned q = 0; q < n; q++)
		ck_assert_uint_gt(queue_index(q), 0);
	load_verify(load);
}
END_TEST

static bool are_many_in_flight(void)
{
	return emu_number(&emu, "status", "most_in_flight") >= 210;
}

START_TEST(more_than_two_hundred_in_flight)
{
	take_attention();
	emu_do(&emu, "fault delay=3000 on=read+write count=0");
	load->flush_one_in = UINT32_MAX;
	load_begin(load, UINT64_MAX, 220);
	wait_for(are_many_in_flight, "210 at once");
	emu_do(&emu, "fault-clear");
	load_stop(load);
	load_verify(load);
	ck_assert_uint_eq(load->bad_results, 0);
}
END_TEST

/* --- events --- */

static enum hba_unit_state state_of(unsigned u)
{
	return __atomic_load_n(&load->h->unit[u].state, __ATOMIC_RELAXED);
}

static bool is_offline(void)
{
	return state_of(1) == HBA_UNIT_OFFLINE;
}
static bool is_optimal(void)
{
	return state_of(1) == HBA_UNIT_OPTIMAL;
}
static bool is_drive_gone(void)
{
	return state_of(2) == HBA_UNIT_OFFLINE;
}
static bool is_waiting(void)
{
	return strstr(emu_do(&emu, "status"), "\"event_wait\":true");
}

START_TEST(units_that_go_and_come_are_noticed)
{
	wait_for(is_waiting, "a wait for events");
	emu_do(&emu, "offline ld1");
	wait_for(is_offline, "ld1 offline");
	emu_do(&emu, "online ld1");
	wait_for(is_optimal, "ld1 online");
	emu_do(&emu, "remove ld1");
	wait_for(is_offline, "ld1 removed");
	emu_do(&emu, "add ld1,size=64M");
	wait_for(is_optimal, "ld1 added");
	emu_do(&emu, "remove pd8");
	wait_for(is_drive_gone, "pd8 removed");
	wait_for(is_waiting, "a wait for events");
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
	wait_for(is_optimal, "ld1 online");
	wait_for(is_waiting, "a wait for events");
	ck_assert_uint_eq(load->wrong_blocks, 0);
	ck_assert_uint_gt(emu_number(&emu, "stats", "events"), 0);
}
END_TEST

static bool has_reset(void)
{
	struct hba_stats s;

	hba_get_stats(load->h, &s);
	return s.resets >= 1 && hba_state(load->h) == HBA_RUNNING;
}

/* The log goes on behind the reset, whatever happened in between. */
START_TEST(what_happens_during_a_reset_is_noticed)
{
	emu_do(&emu, "fw-fault 100");
	emu_do(&emu, "offline ld1");
	wait_for(has_reset, "a reset");
	wait_for(is_offline, "ld1 offline");
	emu_do(&emu, "online ld1");
	wait_for(is_optimal, "ld1 online");
}
END_TEST

/* --- a system drive --- */

static enum hba_result drive(bool write, uint32_t lba, uint32_t n, uint8_t *buf)
{
	struct iovec iov = {buf, n * 512};
	struct hba_req t = {
		.unit = &load->h->unit[2],
		.kind = HBA_REQ_RW,
		.lba = lba,
		.nblocks = n,
		.block_size = 512,
		.xfer = {.iov = &iov,
			.niov = 1,
			.len = n * 512,
			.dir = write ? DMA_TO_DEVICE : DMA_FROM_DEVICE},
		.timeout_ms = LIMIT_MS,
	};

	ck_assert_int_eq(hba_run(load->h, &t), 0);
	ck_assert_uint_eq(t.scsi_status, 0);
	return t.result;
}

START_TEST(a_system_drive_keeps_what_was_flushed)
{
	static uint8_t out[600 * 512], in[600 * 512];
	struct hba_req flush = {.unit = &load->h->unit[2], .kind = HBA_REQ_FLUSH, .timeout_ms = LIMIT_MS};

	take_attention();
	for (unsigned i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)rng_next(&load->rng);
	ck_assert_int_eq(drive(true, 77, 600, out), HBA_DONE);
	flush.unit = &load->h->unit[2];
	ck_assert_int_eq(hba_run(load->h, &flush), 0);
	ck_assert_int_eq(flush.result, HBA_DONE);
	emu_do(&emu, "power-cut survive=none");
	load_down(load);
	load_up(load);
	take_attention();
	ck_assert_int_eq(drive(false, 77, 600, in), HBA_DONE);
	ck_assert_int_eq(memcmp(in, out, sizeof(in)), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create(MODEL);
	TCase *t = tcase_create("driver"), *own = tcase_create("queues");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 200);
	tcase_add_test(t, more_than_two_hundred_in_flight);
	tcase_add_test(t, units_that_go_and_come_are_noticed);
	tcase_add_test(t, a_storm_of_events_disturbs_nobody);
	tcase_add_test(t, what_happens_during_a_reset_is_noticed);
	tcase_add_test(t, a_system_drive_keeps_what_was_flushed);
	tcase_add_checked_fixture(own, NULL, teardown);
	tcase_set_timeout(own, 200);
	tcase_add_loop_test(own, all_reply_queues_are_used, 0, 3);
	suite_add_tcase(s, t);
	suite_add_tcase(s, own);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
