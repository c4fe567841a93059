/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hbad's virtio driver against hba-emu in another process, over a vfio-user socket: what both sides understood of the
 * specification, put to the test, beside request queues that are not used and without (test_lanes.c uses several). The
 * emulator's exit status is part of every test: no DMA outside of what was mapped, and no breach of the specification.
 */
#include <string.h>
#include <unistd.h>

#include "load_rig.h"
#include "scsi/scsi.h"
#include "tests/unit/run_suite.h"

static const char *const queues[] = {"4", "1"};
#define N_QUEUES ((int)ARRAY_SIZE(queues))

static void start(int which, const char *ld_sync)
{
	const char *const more[] = {
		"--latency-us", "200", "--seed", "11", "--queues", queues[which], "--ld-sync", ld_sync, NULL};

	virtio_start(42, more);
}

static void up(int which)
{
	start(which, "controller");
	load_up(load);
	take_attention();
}

START_TEST(discovery_finds_what_the_emulator_was_told)
{
	const struct hba *h;

	up(_i);
	h = load->h;
	ck_assert_uint_eq(h->n_units, 3);
	ck_assert_str_eq(h->unit[0].name, "t0l0");
	ck_assert_str_eq(h->unit[1].name, "t0l1");
	ck_assert_str_eq(h->unit[2].name, "t9l0");
	ck_assert_uint_eq(h->unit[0].blocks, 131072);
	ck_assert_uint_eq(h->unit[2].blocks, 32768);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(h->unit[i].disk_cache);
}
END_TEST

START_TEST(random_io_with_many_in_flight_is_verified)
{
	up(_i);
	/* So that many are in flight even where sending one takes long. */
	emu_do(&emu, "fault delay=3000 on=read+write count=210");
	ck_assert_uint_gt(random_io(20000, 220), 200);
}
END_TEST

static void nothing(void *arg)
{
}

START_TEST(the_scsi_layer_knows_the_units)
{
	const struct scsi_unit *u;
	struct scsi_host *host;
	struct err e = {""};

	up(_i);
	ck_assert_int_eq(scsi_host_create(load->loop, &host), 0);
	ck_assert_msg(scsi_host_attach(host, load->h, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(scsi_host_units(host, &u), 3);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_msg(u[i].identified, "%s", u[i].problem);
	ck_assert_str_eq(u[1].id.naa_text, "naa.600605b0a1b2c3d02a5e000000000001");
	ck_assert_str_eq(u[2].id.naa_text, "naa.5000c500a1b2c308");
	scsi_host_detach(host, SCSI_GATE_BECOMING_READY);
	/* The I/O thread has let go of it when it has come past what the detach posted. */
	ck_assert_int_eq(loop_call(load->loop, nothing, NULL, 60000), 0);
	scsi_host_destroy(host);
}
END_TEST

/* --- caches --- */

START_TEST(a_flush_reaches_the_media)
{
	uint64_t before;

	up(0);
	load_begin(load, 500, 32);
	load_wait(load);
	before = emu_number(&emu, "stats", "flushes");
	load_flush(load);
	ck_assert_uint_eq(emu_number(&emu, "stats", "flushes"), before + 2);
	ck_assert_uint_eq(emu_number(&emu, "status", "controller_dirty"), 0);
	ck_assert_uint_eq(emu_number(&emu, "status", "drive_dirty"), 0);
}
END_TEST

START_TEST(fifty_power_cuts_lose_nothing_that_was_flushed)
{
	unsigned lost;

	up(_i);
	load->flush_one_in = 100;
	/* Half of the seeds with either number of queues. */
	lost = power_cuts((unsigned)_i * 25, 25);
	/* The load is one that loses something, or this test says nothing. */
	ck_assert_uint_gt(lost, 0);
	ck_assert_uint_gt(load->flushes, 0);
}
END_TEST

START_TEST(a_cut_right_after_a_flush_keeps_every_byte)
{
	up(_i);
	cut_after_flushes(10);
}
END_TEST

START_TEST(an_orderly_stop_keeps_every_byte)
{
	up(_i);
	stop_in_order();
}
END_TEST

/* Of a drive as well, whose cache is its own. */
START_TEST(an_orderly_stop_flushes_drives)
{
	static uint8_t out[64 * 512], in[64 * 512];
	struct iovec iov = {out, sizeof(out)};
	struct hba_req t = {
		.kind = HBA_REQ_RW, .lba = 77, .nblocks = 64, .block_size = 512, .timeout_ms = 60000};

	up(0);
	for (unsigned i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)rng_next(&load->rng);
	t.unit = &load->h->unit[2];
	t.xfer = (struct dma_xfer){.iov = &iov, .niov = 1, .len = sizeof(out), .dir = DMA_TO_DEVICE};
	ck_assert_int_eq(hba_run(load->h, &t), 0);
	ck_assert_int_eq(t.result, HBA_DONE);
	load_down(load);
	emu_do(&emu, "power-cut survive=none");
	load_up(load);
	take_attention();
	iov.iov_base = in;
	t.unit = &load->h->unit[2];
	t.xfer = (struct dma_xfer){.iov = &iov, .niov = 1, .len = sizeof(in), .dir = DMA_FROM_DEVICE};
	ck_assert_int_eq(hba_run(load->h, &t), 0);
	ck_assert_int_eq(t.result, HBA_DONE);
	ck_assert_int_eq(memcmp(in, out, sizeof(in)), 0);
}
END_TEST

/* Without flushes, and with a device whose flush does nothing: what was written last may be lost, but no block is ever
 * anything else than one of its own generations. */
START_TEST(what_a_liar_loses_is_lost_whole)
{
	start(0, "ignored");
	load->flush_one_in = UINT32_MAX;
	load_up(load);
	take_attention();
	/* Or there was nothing to lose, and this says nothing. */
	ck_assert_uint_gt(power_cuts(0, 5), 0);
}
END_TEST

/* --- trouble in the middle of the load --- */

START_TEST(a_device_that_needs_a_reset_gets_one_and_no_byte_is_lost)
{
	static const char *const how[] = {"fw-fault", "power-cut survive=all keep-client"};

	up(_i % N_QUEUES);
	for (unsigned i = 0; i < 3; i++)
		disturb(how[_i / N_QUEUES], i + 1);
	expect_recovery(3);
}
END_TEST

static const struct {
	const char *rule;
	unsigned resets;
} trouble[] = {
	{"drop on=read nth=100", 0},
	{"drop on=write nth=100", 0},
	{"wrong-context on=write nth=50", 1},
	{"twice on=read nth=50", 1},
	{"delay=50 on=read+write count=500 one-in=5", 0},
	{"fw-fault=321 on=write nth=200", 1},
	{"late-dma=0 on=read nth=100", 0},
	{"late-dma=0 on=write nth=100", 0},
	{"used-index=180 on=read nth=50", 1},
	{"used-len=7fff on=write nth=50", 1},
	{"status=5 on=read+write count=0 one-in=20", 0},
};

START_TEST(misbehaviour_costs_no_byte)
{
	up(_i % N_QUEUES);
	misbehave(trouble[_i].rule);
	ck_assert_uint_gt(emu_number(&emu, "stats", "faults"), 0);
	emu_do(&emu, "fault-clear");
	/* A read that was aborted may have been reported as timed out; nothing else, but where BUSY is an answer. */
	if (strncmp(trouble[_i].rule, "status=5", 8) != 0)
		ck_assert_uint_le(load->bad_results, 1);
	load->bad_results = 0;
	expect_recovery(trouble[_i].resets);
}
END_TEST

START_TEST(a_device_that_vanishes_under_load_ends_everything_and_can_come_back)
{
	up(_i % N_QUEUES);
	vanish_and_come_back((unsigned)_i, 3);
}
END_TEST

/* The command was aborted, and its memory is the driver's again: what still comes must not come through. */
START_TEST(dma_after_an_abort_reaches_nobody)
{
	struct hba_req t = {.kind = HBA_REQ_RW, .nblocks = 64, .block_size = 512, .timeout_ms = 1};
	static uint8_t data[64 * 512];
	struct iovec iov = {data, sizeof(data)};

	up(_i);
	load_begin(load, 500, 16);
	load_wait(load);
	for (unsigned i = 0; i < 3; i++) {
		emu_do(&emu, "fault late-dma=0 on=read");
		t.unit = &load->h->unit[0];
		t.xfer = (struct dma_xfer){
			.iov = &iov, .niov = 1, .len = sizeof(data), .dir = DMA_FROM_DEVICE};
		ck_assert_int_eq(hba_run(load->h, &t), 0);
		ck_assert_int_eq(t.result, HBA_TIMEOUT);
		load_verify(load);
	}
}
END_TEST

/* It ends, and nothing that was acknowledged and flushed is lost. */
START_TEST(a_stop_in_the_middle_of_trouble_ends)
{
	static const char *const how[] = {"fw-fault", "fault drop on=write", "fault delay=5000 on=write"};

	up(_i % N_QUEUES);
	load_begin(load, UINT64_MAX, 64);
	load_progress(load, 200);
	emu_do(&emu, "%s", how[_i]);
	usleep(1000 * (unsigned)_i);
	load_begin(load, 0, 0); /* nothing more; what was sent goes on */
	load_down(load);
	ck_assert_uint_eq(__atomic_load_n(&load->active, __ATOMIC_ACQUIRE), 0);
	emu_do(&emu, "fault-clear");
	load_up(load);
	load_verify_cut(load);
	ck_assert_uint_eq(load->wrong_blocks, 0);
}
END_TEST

/* --- events --- */

START_TEST(units_that_go_and_come_are_noticed)
{
	up(_i);
	for (unsigned i = 0; i < 5; i++) {
		emu_do(&emu, "remove pd8");
		wait_until(state_of(2) == HBA_UNIT_OFFLINE);
		emu_do(&emu, "add pd8,size=16M");
		wait_until(state_of(2) == HBA_UNIT_OPTIMAL);
		emu_do(&emu, "offline ld1");
		wait_until(state_of(1) == HBA_UNIT_OFFLINE);
		emu_do(&emu, "online ld1");
		wait_until(state_of(1) == HBA_UNIT_OPTIMAL);
	}
	load_begin(load, 500, 64);
	expect_recovery(0);
}
END_TEST

START_TEST(an_event_storm_disturbs_nobody)
{
	struct hba_stats s;

	up(_i);
	load_begin(load, 3000, 64);
	emu_do(&emu, "aen-storm 5000");
	load_wait(load);
	wait_until(emu_number(&emu, "stats", "events") == 5000);
	emu_do(&emu, "offline pd8");
	wait_until(state_of(2) == HBA_UNIT_OFFLINE);
	expect_recovery(0);
	hba_get_stats(load->h, &s);
	ck_assert_uint_eq(s.resets, 0);
}
END_TEST

/* --- attach and detach --- */

START_TEST(attaching_again_and_again_works)
{
	up(_i);
	attach_again(10);
	/* The second half of this: after trouble that nobody has cleared. */
	load_down(load);
	emu_do(&emu, "fw-fault");
	load_up(load);
	load_verify(load);
}
END_TEST

START_TEST(nobody_there_is_told_plainly)
{
	static const char *const how[] = {"gone ff", "gone socket"};

	up(0);
	attach_to_nobody(how[_i]);
}
END_TEST

static void add_all(TCase *t)
{
	tcase_add_loop_test(t, discovery_finds_what_the_emulator_was_told, 0, N_QUEUES);
	tcase_add_loop_test(t, random_io_with_many_in_flight_is_verified, 0, N_QUEUES);
	tcase_add_loop_test(t, the_scsi_layer_knows_the_units, 0, N_QUEUES);
	tcase_add_test(t, a_flush_reaches_the_media);
	tcase_add_loop_test(t, fifty_power_cuts_lose_nothing_that_was_flushed, 0, N_QUEUES);
	tcase_add_loop_test(t, a_cut_right_after_a_flush_keeps_every_byte, 0, N_QUEUES);
	tcase_add_loop_test(t, an_orderly_stop_keeps_every_byte, 0, N_QUEUES);
	tcase_add_test(t, an_orderly_stop_flushes_drives);
	tcase_add_test(t, what_a_liar_loses_is_lost_whole);
	tcase_add_loop_test(t, a_device_that_needs_a_reset_gets_one_and_no_byte_is_lost, 0, 2 * N_QUEUES);
	tcase_add_loop_test(t, misbehaviour_costs_no_byte, 0, (int)ARRAY_SIZE(trouble));
	tcase_add_loop_test(
		t, a_device_that_vanishes_under_load_ends_everything_and_can_come_back, 0, N_VANISHINGS);
	tcase_add_loop_test(t, dma_after_an_abort_reaches_nobody, 0, N_QUEUES);
	tcase_add_loop_test(t, a_stop_in_the_middle_of_trouble_ends, 0, 3);
	tcase_add_loop_test(t, units_that_go_and_come_are_noticed, 0, N_QUEUES);
	tcase_add_loop_test(t, an_event_storm_disturbs_nobody, 0, N_QUEUES);
	tcase_add_loop_test(t, attaching_again_and_again_works, 0, N_QUEUES);
	tcase_add_loop_test(t, nobody_there_is_told_plainly, 0, 2);
}

int main(void)
{
	Suite *s = suite_create("hbad on virtio hosts");
	TCase *t = tcase_create("driver");

	tcase_add_checked_fixture(t, NULL, rig_teardown);
	tcase_set_timeout(t, 120);
	add_all(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
