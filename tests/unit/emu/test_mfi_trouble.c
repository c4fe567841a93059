/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The SAS2108 model: what a power cut leaves, resets, fault rules, start-up. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mfi_host.h"

extern const struct model model_sas2108;

/* --- caches and power --- */

static void write_one(uint8_t target, uint64_t lba, uint8_t fill, uint8_t access)
{
	ld_rw(1, true, target, lba, 8)[0x05] = access;
	memset(data_at(1), fill, 4096);
	ck_assert_uint_eq(run(1, 0), 0x00);
}

/* Up again after the cut, and what is there? */
static uint8_t after_cut(uint8_t target, uint64_t lba)
{
	rig_do(rig, "power-cut survive=none");
	ck_assert(client_is_closed(&c));
	client_close(&c);
	client_up(&c, rig->socket);
	to_ready();
	bring_up();
	for (unsigned i = 0; i < 2; i++) { /* the first one gets the unit attention */
		static const uint8_t tur[6];

		ld_scsi(1, target, tur, 6, 0, 0);
		run(1, 0);
	}
	ld_rw(1, false, target, lba, 1);
	memset(data_at(1), 0xee, 512);
	ck_assert_uint_eq(run(1, 0), 0x00);
	return data_at(1)[0];
}

START_TEST(acknowledged_writes_are_lost_without_a_flush)
{
	bring_up();
	write_one(0, 100, 0x42, 0);
	ck_assert_uint_eq(after_cut(0, 100), 0x00);
}
END_TEST

START_TEST(the_flush_command_saves_them)
{
	bring_up();
	write_one(0, 100, 0x42, 0);
	dcmd(2, 0x01101000, 0)[0x1c] = (uint8_t)_i;
	ck_assert_uint_eq(run(2, 0), 0x00);
	/* 1: the controller's cache only, and the drive's is lost. 2: the drive's only. 3: both */
	ck_assert_uint_eq(after_cut(0, 100), _i == 3 ? 0x42 : 0x00);
}
END_TEST

START_TEST(synchronize_cache_to_a_logical_drive_does_what_was_chosen)
{
	static const uint8_t sync[10] = {0x35};
	uint8_t status;

	rig->emu.units.ld_sync = (enum ld_sync)_i;
	unit_by_name(&rig->emu.units, "ld0")->disk.sync_rejected = _i == LD_SYNC_REJECTED;
	bring_up();
	write_one(0, 100, 0x42, 0);
	ld_scsi(2, 0, sync, 10, 0, 0);
	status = run(2, 0);
	ck_assert_uint_eq(status, _i == LD_SYNC_REJECTED ? 0x2d : 0x00);
	ck_assert_int_eq(strstr(rig_do(rig, "status"), "\"controller_dirty\":4096") == NULL,
		_i == LD_SYNC_CONTROLLER || _i == LD_SYNC_FULL);
	ck_assert_uint_eq(after_cut(0, 100), _i == LD_SYNC_FULL ? 0x42 : 0x00);
}
END_TEST

START_TEST(fua_of_a_logical_drive_counts_only_if_chosen)
{
	unit_by_name(&rig->emu.units, "ld0")->disk.honours_fua = _i;
	bring_up();
	write_one(0, 100, 0x42, 0x08);
	ck_assert_uint_eq(after_cut(0, 100), _i ? 0x42 : 0x00);
}
END_TEST

START_TEST(shutdown_flushes_and_wants_init_again)
{
	bring_up();
	write_one(0, 100, 0x42, 0);
	dcmd(2, 0x01050000, 0);
	ck_assert_uint_eq(run(2, 0), 0x00);
	rig_wait(client_read32(&c, 1, 0xb0) >> 28 == 0xb);
	bring_up();
	ck_assert_uint_eq(after_cut(0, 100), 0x42);
}
END_TEST

/* --- reset --- */

START_TEST(the_doorbell_takes_it_back_to_ready_without_answers)
{
	bring_up();
	rig_do(rig, "fault delay=2500");
	ld_rw(1, false, 0, 0, 1);
	fire(1, 0);
	client_write32(&c, 1, 0x20, 0x7);
	rig_wait(client_read32(&c, 1, 0xb0) >> 28 == 0xb);
	ck_assert(nothing_comes());
	bring_up();
	ld_rw(2, false, 0, 0, 1);
	ck_assert_uint_eq(run(2, 0), 0x00);
	usleep(2600000);
	ck_assert_uint_eq(frame_again(1)[2], 0xff);
}
END_TEST

START_TEST(a_fault_interrupts_and_the_diagnostic_reset_cures_it)
{
	static const uint32_t key[] = {0x0, 0x4, 0xb, 0x2, 0x7, 0xd};

	bring_up();
	rig_do(rig, "fw-fault 456");
	ck_assert_uint_eq(client_irq_wait(efd, LIMIT_MS), 1);
	ck_assert_uint_eq(client_read32(&c, 1, 0x30), 0x4);
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0), 0xf4560003);
	client_write32(&c, 1, 0x20, 0x7);
	usleep(20000);
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0) >> 28, 0xf);
	client_write32(&c, 1, 0xf8, 0x4); /* locked */
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0) >> 28, 0xf);
	for (unsigned i = 0; i < 6; i++)
		client_write32(&c, 1, 0xfc, key[i]);
	ck_assert_uint_eq(client_read32(&c, 1, 0xf8), 0x80);
	client_write32(&c, 1, 0xf8, 0x84);
	rig_wait(!(client_read32(&c, 1, 0xf8) & 0x4));
	rig_wait(client_read32(&c, 1, 0xb0) >> 28 == 0xb);
	ck_assert_uint_eq(client_read32(&c, 1, 0x34), 0xffffffff);
	bring_up();
	ld_rw(2, false, 0, 0, 1);
	ck_assert_uint_eq(run(2, 0), 0x00);
}
END_TEST

START_TEST(a_wrong_key_opens_nothing)
{
	static const uint32_t wrong[] = {0x0, 0x4, 0xb, 0x2, 0x7, 0xc, 0x4, 0xb, 0x2, 0x7, 0xd};

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
		client_write32(&c, 1, 0xfc, wrong[i]);
	ck_assert_uint_eq(client_read32(&c, 1, 0xf8), 0);
}
END_TEST

START_TEST(stop_adapter_is_for_good)
{
	bring_up();
	client_write32(&c, 1, 0x20, 0x20);
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0) >> 28, 0xf);
	ld_rw(1, false, 0, 0, 1);
	fire(1, 0);
	ck_assert(nothing_comes());
}
END_TEST

/* --- fault rules --- */

START_TEST(a_dropped_command_is_never_answered)
{
	bring_up();
	rig_do(rig, "fault drop on=read unit=ld0 nth=2");
	ld_rw(1, false, 0, 0, 1);
	ck_assert_uint_eq(run(1, 0), 0x00);
	ld_rw(2, false, 5, 0, 1);
	ck_assert_uint_eq(run(2, 0), 0x00);
	ld_rw(3, false, 0, 0, 1);
	fire(3, 0);
	ck_assert(nothing_comes());
	ld_rw(4, false, 0, 0, 1);
	ck_assert_uint_eq(run(4, 0), 0x00);
	ck_assert_uint_eq(rig_stats(rig).faults, 1);
}
END_TEST

START_TEST(wrong_and_repeated_contexts)
{
	bring_up();
	rig_do(rig, "fault wrong-context");
	ld_rw(1, false, 0, 0, 1);
	fire(1, 0);
	ck_assert_uint_ne(take(1), 0x1001);
	rig_do(rig, "fault twice");
	ld_rw(1, false, 0, 0, 1);
	fire(1, 0);
	ck_assert_uint_eq(take(1), 0x1001);
	ck_assert_uint_eq(take(1), 0x1001);
	ck_assert(nothing_comes());
}
END_TEST

START_TEST(chosen_sense_and_status)
{
	const uint8_t *sense = c.mem + AT_SENSE + 128;

	bring_up();
	rig_do(rig, "fault sense=3/1100 on=read");
	ld_rw(1, false, 0, 0, 1);
	memset(data_at(1), 0xee, 512);
	ck_assert_uint_eq(run(1, 0), 0x2d);
	ck_assert_uint_eq(sense[2], 0x03);
	ck_assert_uint_eq(sense[12], 0x11);
	ck_assert_uint_eq(data_at(1)[0], 0xee);
	rig_do(rig, "fault status=21 op=01101000");
	dcmd(2, 0x01101000, 0)[0x1c] = 3;
	ck_assert_uint_eq(run(2, 0), 0x21);
	dcmd(2, 0x01101000, 0)[0x1c] = 3;
	ck_assert_uint_eq(run(2, 0), 0x00);
}
END_TEST

START_TEST(dma_after_an_abort_really_comes)
{
	bring_up();
	rig_do(rig, "fault late-dma=500 on=read");
	ld_rw(1, false, 0, 0, 1);
	memset(data_at(1), 0xee, 512);
	fire(1, 0);
	ck_assert(nothing_comes());
	abort_of(2, 1);
	fire(2, 0);
	take(2);
	ck_assert_uint_eq(data_at(1)[511], 0xee);
	rig_wait(*(volatile uint8_t *)(data_at(1) + 511) == 0xdb);
}
END_TEST

START_TEST(a_command_makes_firmware_fault_or_the_device_vanish)
{
	bring_up();
	rig_do(rig, _i ? "fault gone on=write" : "fault fw-fault=77 on=write");
	ld_rw(1, false, 0, 0, 1);
	ck_assert_uint_eq(run(1, 0), 0x00);
	ld_rw(1, true, 0, 0, 1);
	fire(1, 0);
	rig_wait(client_read32(&c, 1, 0xb0) == (_i ? 0xffffffff : 0xf0770003));
	ck_assert(nothing_comes());
}
END_TEST

START_TEST(a_slow_start_stop_unit_does_not_hold_others_up)
{
	static const uint8_t start[6] = {0x1b, 0, 0, 0, 1, 0};

	rig_do(rig, "set pd8 start-ms 1500");
	bring_up();
	ld_scsi(1, 8, start, 6, 0, 0)[0] = 0x04;
	fire(1, 0);
	for (unsigned i = 0; i < 20; i++) {
		ld_rw(2, false, 0, 0, 1);
		ck_assert_uint_eq(run(2, 0), 0x00);
	}
	ck_assert_uint_eq(frame_again(1)[2], 0xff);
	ck_assert_uint_eq(take(1), 0x1001);
	ck_assert_uint_eq(frame_again(1)[2], 0x00);
}
END_TEST

/* --- a driver out of its mind: nothing may crash, and the next one finds a controller that works --- */

static void forgive_all(void)
{
	struct emu_stats s = rig_stats(rig);

	forgiven_protocol = s.protocol_errors;
	forgiven_dma = s.wrong_dma;
}

static uint32_t random_address(struct rng *r)
{
	static const uint32_t likely[] = {
		MEM_IOVA, MEM_IOVA + AT_DATA, MEM_IOVA + AT_FRAMES, MEM_IOVA + MEM_SIZE - 8, 0};

	return likely[rng_below(r, ARRAY_SIZE(likely))] +
	       (uint32_t)rng_below(r, rng_below(r, 2) ? 16 : 0x100000);
}

static void random_frame(struct rng *r, unsigned slot)
{
	static const uint32_t opcodes[] = {0x01010000, 0x01040100, 0x01040500, 0x01101000, 0x02010100,
		0x02020000, 0x03010000, 0x03010100, 0x03020000, 0x0300e101};
	uint8_t *f = frame(slot);

	for (unsigned i = 0; i < 256; i++)
		f[i] = (uint8_t)(rng_below(r, 4) ? 0 : rng_next(r));
	f[0x00] = (uint8_t)rng_below(r, 9);
	f[0x04] = (uint8_t)(rng_below(r, 3) * 4);
	f[0x07] = (uint8_t)rng_below(r, rng_below(r, 8) ? 5 : 256);
	le16(f, 0x10, (uint16_t)rng_below(r, 64));
	le32(f, 0x14, (uint32_t)rng_below(r, rng_below(r, 4) ? 64 : UINT32_MAX));
	if (f[0] == 5)
		le32(f, 0x18, opcodes[rng_below(r, ARRAY_SIZE(opcodes))]);
	for (unsigned i = 0x28; i < 0x60; i += rng_below(r, 2) ? 4 : 8)
		le32(f, i, random_address(r));
	f[0x20] = (uint8_t[]){0x28, 0x2a, 0x12, 0x35, 0x1a, 0x41, 0x42, 0x88}[rng_below(r, 8)];
}

START_TEST(frames_that_mean_nothing)
{
	struct rng r = {(uint64_t)_i + 1000};

	bring_up();
	for (unsigned n = 0; n < 1500; n++) {
		unsigned slot = (unsigned)rng_below(&r, 8);

		random_frame(&r, slot);
		fire(slot, (unsigned)rng_below(&r, 8));
		if (rng_below(&r, 50) == 0)
			client_write32(&c, 1, (uint32_t)rng_below(&r, 0x40) * 4, (uint32_t)rng_next(&r));
		le32(c.mem, AT_CONSUMER, producer());
	}
	rig_do(rig, "back");
	client_bus_master(&c, true);
	to_ready();
	bring_up();
	ld_rw(0, false, 0, 0, 1);
	ck_assert_uint_eq(run(0, 0), 0x00);
	forgive_all();
}
END_TEST

/* --- start-up in time --- */

static void setup_slow(void)
{
	rig = rig_new(&model_sas2108);
	rig->cfg.opt.boot_ms = 2000; /* a machine that stops for a moment misses a few steps only */
	rig_up(rig);
	client_up(&c, rig->socket);
	forgiven_protocol = forgiven_dma = 0;
}

START_TEST(start_up_walks_through_the_states_with_progress)
{
	static const uint8_t order[] = {0x0, 0x1, 0x4, 0x6, 0x7, 0x8, 0xb};
	unsigned at = 0, changes = 0;
	uint32_t last = UINT32_MAX;

	for (unsigned n = 0; n < 300000 && order[at] != 0xb; n++) {
		uint32_t word = client_read32(&c, 1, 0xb0);

		changes += word != last;
		last = word;
		while (order[at] != word >> 28)
			ck_assert_uint_lt(++at, sizeof(order));
		if (order[at] == 0x6)
			client_write32(&c, 1, 0x20, 0x18);
		usleep(100);
	}
	ck_assert_uint_eq(order[at], 0xb);
	ck_assert_uint_gt(changes, 15);
}
END_TEST

static void add_trouble(TCase *t)
{
	tcase_add_test(t, acknowledged_writes_are_lost_without_a_flush);
	tcase_add_loop_test(t, the_flush_command_saves_them, 1, 4);
	tcase_add_loop_test(t, synchronize_cache_to_a_logical_drive_does_what_was_chosen, 0, N_LD_SYNC);
	tcase_add_loop_test(t, fua_of_a_logical_drive_counts_only_if_chosen, 0, 2);
	tcase_add_test(t, shutdown_flushes_and_wants_init_again);
	tcase_add_test(t, the_doorbell_takes_it_back_to_ready_without_answers);
	tcase_add_test(t, a_fault_interrupts_and_the_diagnostic_reset_cures_it);
	tcase_add_test(t, a_wrong_key_opens_nothing);
	tcase_add_test(t, stop_adapter_is_for_good);
	tcase_add_test(t, a_dropped_command_is_never_answered);
	tcase_add_test(t, wrong_and_repeated_contexts);
	tcase_add_test(t, chosen_sense_and_status);
	tcase_add_test(t, dma_after_an_abort_really_comes);
	tcase_add_loop_test(t, a_command_makes_firmware_fault_or_the_device_vanish, 0, 2);
	tcase_add_loop_test(t, frames_that_mean_nothing, 0, 6);
	tcase_add_test(t, a_slow_start_stop_unit_does_not_hold_others_up);
}

int main(void)
{
	Suite *s = suite_create("sas2108 in trouble");
	TCase *t = tcase_create("trouble"), *slow = tcase_create("start-up");

	tcase_add_checked_fixture(t, mfi_setup, mfi_teardown);
	tcase_set_timeout(t, 30);
	add_trouble(t);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(slow, setup_slow, mfi_teardown);
	tcase_add_test(slow, start_up_walks_through_the_states_with_progress);
	suite_add_tcase(s, slow);
	return run_suite(s);
}
