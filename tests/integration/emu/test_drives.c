/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System drives of the SAS3108 by its map of them: reads and writes go directly, by handle and sequence number, and so do
 * aborts. Both change when a drive is changed, and when firmware starts anew.
 */
#include <string.h>

#include "load_rig.h"
#include "tests/unit/run_suite.h"

#define PD8 2 /* of the units */

static void setup(void)
{
	const char *const more[] = {"--latency-us", "200", "--vectors", "4", NULL};

	megaraid_start(MODEL, 11, more);
	load_up(load);
	take_attention();
}

static struct fusion_drive drive(void)
{
	return fusion_drive_of(fusion_of(mfi_of(load->h)), &load->h->unit[PD8]);
}

static bool has_handle(void)
{
	return drive().handle != FUSION_NO_HANDLE;
}

static uint64_t sent_again(void)
{
	return __atomic_load_n(&fusion_of(mfi_of(load->h))->count.again, __ATOMIC_RELAXED);
}

static struct hba_stats stats(void)
{
	struct hba_stats s;

	hba_get_stats(load->h, &s);
	return s;
}

static struct hba_req rw(bool write, uint32_t lba, struct iovec *iov)
{
	return (struct hba_req){
		.unit = &load->h->unit[PD8],
		.kind = HBA_REQ_RW,
		.lba = lba,
		.nblocks = (uint32_t)iov->iov_len / 512,
		.block_size = 512,
		.xfer = {.iov = iov,
			.niov = 1,
			.len = (uint32_t)iov->iov_len,
			.dir = write ? DMA_TO_DEVICE : DMA_FROM_DEVICE},
		.timeout_ms = LIMIT_MS,
	};
}

static struct hba_req run(struct hba_req t)
{
	ck_assert_int_eq(hba_run(load->h, &t), 0);
	return t;
}

static void must(struct hba_req t)
{
	t = run(t);
	ck_assert_int_eq(t.result, HBA_DONE);
	ck_assert_uint_eq(t.scsi_status, 0);
}

static void io_is_right(uint32_t lba)
{
	static uint8_t out[200 * 512], in[200 * 512];
	struct iovec o = {out, sizeof(out)}, i = {in, sizeof(in)};

	for (unsigned n = 0; n < sizeof(out); n++)
		out[n] = (uint8_t)rng_next(&load->rng);
	must(rw(true, lba, &o));
	memset(in, 0, sizeof(in));
	must(rw(false, lba, &i));
	ck_assert_int_eq(memcmp(in, out, sizeof(in)), 0);
}

START_TEST(reads_and_writes_go_directly)
{
	ck_assert(has_handle() && drive().tm);
	for (unsigned i = 0; i < 20; i++)
		io_is_right(i * 300);
	/* Firmware had nothing to say against handle and sequence number. */
	ck_assert_uint_eq(sent_again(), 0);
	ck_assert_uint_eq(emu_number(&emu, "stats", "protocol_errors"), 0);
}
END_TEST

/* Its number is another one at once, the map comes later: what is sent meanwhile is refused, and goes the other way. */
START_TEST(a_number_that_has_changed_costs_one_more_attempt)
{
	uint16_t seq = drive().seq;
	uint8_t buf[512];
	struct iovec iov = {buf, sizeof(buf)};

	/* The new map comes late, so that what is sent meanwhile has the old number. */
	emu_do(&emu, "fault delay=2000 on=dcmd op=200e102");
	emu_do(&emu, "online pd8");
	must(rw(false, 0, &iov));
	ck_assert_uint_eq(sent_again(), 1);
	wait_until(has_handle() && drive().seq != seq);
	io_is_right(5);
	ck_assert_uint_eq(stats().resets, 0);
}
END_TEST

START_TEST(a_drive_that_was_changed_has_another_handle)
{
	struct fusion_drive was = drive();

	emu_do(&emu, "remove pd8");
	wait_until(state_of(PD8) == HBA_UNIT_OFFLINE && !has_handle());
	emu_do(&emu, "add pd8,size=16M");
	wait_until(state_of(PD8) == HBA_UNIT_OPTIMAL && has_handle());
	ck_assert_uint_ne(drive().handle, was.handle);
	ck_assert_uint_ne(drive().seq, was.seq);
	take_attention();
	io_is_right(7);
	ck_assert_uint_eq(sent_again(), 0);
	ck_assert_uint_eq(stats().resets, 0);
}
END_TEST

START_TEST(firmware_that_starts_anew_gives_other_handles)
{
	struct fusion_drive was = drive();

	emu_do(&emu, "fw-fault 100");
	wait_for_resets(1);
	wait_until(has_handle() && drive().handle != was.handle);
	take_attention();
	io_is_right(9);
	ck_assert_uint_eq(stats().resets, 1);
}
END_TEST

/* One that takes too long is aborted by the drive's handle; one that firmware has lost goes with the unit's reset, which names
 * it, too. The controller's is not needed. */
START_TEST(a_request_is_aborted_by_the_handle)
{
	uint8_t buf[512];
	struct iovec iov = {buf, sizeof(buf)};
	struct hba_req t = rw(false, 0, &iov);

	emu_do(&emu, "fault %s on=read", _i ? "drop" : "late-dma=0");
	t.timeout_ms = 500;
	t = run(t);
	ck_assert_int_eq(t.result, HBA_TIMEOUT);
	ck_assert_uint_eq(stats().timeouts, 1);
	ck_assert_uint_eq(stats().resets, 0);
	ck_assert_uint_eq(
		__atomic_load_n(&fusion_of(mfi_of(load->h))->count.unit_resets, __ATOMIC_RELAXED), _i);
	ck_assert(has_handle());
	io_is_right(11);
}
END_TEST

int main(void)
{
	Suite *s = suite_create(MODEL " drives");
	TCase *t = tcase_create("map");

	tcase_add_checked_fixture(t, setup, rig_teardown);
	tcase_set_timeout(t, 200);
	tcase_add_test(t, reads_and_writes_go_directly);
	tcase_add_test(t, a_number_that_has_changed_costs_one_more_attempt);
	tcase_add_test(t, a_drive_that_was_changed_has_another_handle);
	tcase_add_test(t, firmware_that_starts_anew_gives_other_handles);
	tcase_add_loop_test(t, a_request_is_aborted_by_the_handle, 0, 2);
	suite_add_tcase(s, t);
	return run_suite(s);
}
