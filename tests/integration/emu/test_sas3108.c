/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the SAS3108 has and the older model has not: several reply queues, resets of units, system drives. */
#include <stdlib.h>
#include <string.h>

#include "load_rig.h"
#include "tests/unit/run_suite.h"

static void start(const char *vectors)
{
	const char *const more[] = {
		"--latency-us", "200", "--max-cmds", "400", "--seed", "5", "--vectors", vectors, NULL};

	megaraid_start(MODEL, 7, more);
	load_up(load);
}

static void setup(void)
{
	start("16");
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

START_TEST(more_than_two_hundred_in_flight)
{
	take_attention();
	emu_do(&emu, "fault delay=3000 on=read+write count=0");
	load->flush_one_in = UINT32_MAX;
	load_begin(load, UINT64_MAX, 220);
	wait_until(emu_number(&emu, "status", "most_in_flight") >= 210);
	emu_do(&emu, "fault-clear");
	load_stop(load);
	load_verify(load);
	ck_assert_uint_eq(load->bad_results, 0);
}
END_TEST

/* The SAS2108 is left out: the driver uses a frame anew that a false answer has freed, and the emulator, which has the
 * frame still, calls that an error of the host's. */
START_TEST(an_answer_under_anothers_name_ends_nothing_twice)
{
	take_attention();
	answer_under_anothers_names();
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

/* The firmware's flush is not known to reach it: a stop flushes it by itself. */
START_TEST(an_orderly_stop_keeps_what_a_system_drive_was_given)
{
	static uint8_t out[600 * 512], in[600 * 512];

	take_attention();
	for (unsigned i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)rng_next(&load->rng);
	ck_assert_int_eq(drive(true, 77, 600, out), HBA_DONE);
	load_down(load);
	emu_do(&emu, "power-cut survive=none");
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

	tcase_add_checked_fixture(t, setup, rig_teardown);
	tcase_set_timeout(t, 200);
	tcase_add_test(t, more_than_two_hundred_in_flight);
	tcase_add_test(t, an_answer_under_anothers_name_ends_nothing_twice);
	tcase_add_test(t, a_system_drive_keeps_what_was_flushed);
	tcase_add_test(t, an_orderly_stop_keeps_what_a_system_drive_was_given);
	tcase_add_checked_fixture(own, NULL, rig_teardown);
	tcase_set_timeout(own, 200);
	tcase_add_loop_test(own, all_reply_queues_are_used, 0, 3);
	suite_add_tcase(s, t);
	suite_add_tcase(s, own);
	return run_suite(s);
}
