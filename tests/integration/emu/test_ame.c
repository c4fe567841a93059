/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hbad's AME driver against hba-emu in another process, over a vfio-user socket: what both sides understood of the
 * facts, put to the test, on both models. The emulator's exit status is part of every test: no DMA outside of what was
 * mapped, and no breach of the box's protocol.
 */
#include <string.h>
#include <unistd.h>

#include "ame_load.h"
#include "scsi/scsi.h"
#include "tests/unit/run_suite.h"

static void up(int model)
{
	ame_start(model, "full", NULL);
	load_up(load);
}

START_TEST(discovery_finds_what_the_emulator_was_told)
{
	const struct hba *h;

	up(_i);
	h = load->h;
	ck_assert_str_eq(h->info.product, "Gamma Carry A16S3-PS");
	ck_assert_str_eq(h->info.serial, "EMU0000000000001");
	ck_assert_str_eq(h->info.driver, "ame 3108");
	ck_assert_uint_eq(h->n_units, 3);
	ck_assert_str_eq(h->unit[0].name, "lun0");
	ck_assert_str_eq(h->unit[1].name, "lun5");
	ck_assert_str_eq(h->unit[2].name, "lun63");
	ck_assert_uint_eq(h->unit[0].blocks, 131072);
	ck_assert_uint_eq(h->unit[2].blocks, 32768);
	ck_assert(h->unit[0].write_back);
	ck_assert(!h->fua_native);
	ck_assert_uint_eq(h->limits.data_addr_max, UINT32_MAX);
}
END_TEST

START_TEST(random_io_with_many_in_flight_is_verified)
{
	up(_i);
	/* So that many are in flight even where sending one takes long. */
	emu_do(&emu, "fault delay=2000 on=read+write count=180");
	ck_assert_uint_gt(random_io(10000, 200), 100);
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
	ck_assert_str_eq(u[1].id.naa_text, "naa.600605b0a1b2c3d02a5e000000000005");
	ck_assert_uint_eq(u[2].id.blocks, 32768);
	scsi_host_detach(host, SCSI_GATE_BECOMING_READY);
	/* The I/O thread has let go of it when it has come past what the detach posted. */
	ck_assert_int_eq(loop_call(load->loop, nothing, NULL, 60000), 0);
	scsi_host_destroy(host);
}
END_TEST

/* --- caches: the founding trap --- */

START_TEST(a_flush_reaches_the_media)
{
	ame_start(0, _i ? "controller" : "full", NULL);
	load_up(load);
	load_begin(load, 500, 32);
	load_wait(load);
	load_flush(load);
	ck_assert_uint_eq(emu_number(&emu, "status", "controller_dirty"), 0);
	ck_assert_uint_eq(emu_number(&emu, "status", "drive_dirty"), 0);
	ck_assert_uint_gt(emu_number(&emu, "status", "syncs"), 0);
}
END_TEST

START_TEST(fifty_power_cuts_lose_nothing_that_was_flushed)
{
	unsigned lost;

	up(_i);
	load->flush_one_in = 100;
	/* Half of the seeds on either model. */
	lost = power_cuts((unsigned)_i * 25, 25);
	/* The load is one that loses something, or this test says nothing. */
	ck_assert_uint_gt(lost, 0);
	ck_assert_uint_gt(load->flushes, 0);
}
END_TEST

START_TEST(a_cut_right_after_a_flush_keeps_every_byte)
{
	up(_i);
	cut_after_flushes(5);
}
END_TEST

START_TEST(an_orderly_stop_keeps_every_byte)
{
	up(_i);
	stop_in_order();
}
END_TEST

/* Without flushes, and with firmware whose flush does nothing: what was written last may be lost, but no block is ever
 * anything else than one of its own generations. No driver can tell such firmware from an honest one. */
START_TEST(what_firmware_loses_is_lost_whole)
{
	ame_start(0, "ignored", NULL);
	load->flush_one_in = UINT32_MAX;
	load_up(load);
	/* Or there was nothing to lose, and this says nothing. */
	ck_assert_uint_gt(power_cuts(0, 5), 0);
}
END_TEST

static enum hba_result flush_result(uint8_t *ret_status)
{
	struct hba_req t = {.unit = &load->h->unit[0], .kind = HBA_REQ_FLUSH, .timeout_ms = 20000};

	ck_assert_int_eq(hba_run(load->h, &t), 0);
	*ret_status = t.scsi_status;
	return t.result;
}

START_TEST(firmware_that_knows_no_flush_is_believed_only_without_a_cache)
{
	uint8_t status;

	ame_start(0, "rejected", NULL);
	load_up(load);
	ck_assert(load->h->unit[0].write_back);
	ck_assert_int_ne(flush_result(&status), HBA_DONE);
	emu_do(&emu, "set ld0 write-back 0");
	ck_assert_int_eq(flush_result(&status), HBA_DONE);
	ck_assert_uint_eq(status, 0);
}
END_TEST

/* What the vendor's driver answers by itself. */
START_TEST(test_unit_ready_and_synchronize_cache_go_to_the_device)
{
	static const struct {
		uint8_t cdb[10], len;
	} commands[] = {{{0x00}, 6}, {{0x35}, 10}};
	struct hba_req t = {.kind = HBA_REQ_CDB, .timeout_ms = 20000};
	uint64_t before;

	up(0);
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
		before = emu_number(&emu, "stats", "commands");
		t.unit = &load->h->unit[1];
		memcpy(t.cdb, commands[i].cdb, sizeof(commands[i].cdb));
		t.cdb_len = commands[i].len;
		ck_assert_int_eq(hba_run(load->h, &t), 0);
		ck_assert_int_eq(t.result, HBA_DONE);
		ck_assert_uint_eq(t.scsi_status, 0);
		ck_assert_uint_ge(emu_number(&emu, "stats", "commands"), before + 1);
	}
	emu_do(&emu, "fault sense=2/0401 op=0");
	t.cdb[0] = 0;
	t.cdb_len = 6;
	ck_assert_int_eq(hba_run(load->h, &t), 0);
	ck_assert_uint_eq(t.scsi_status, 2);
	ck_assert_uint_eq(t.sense[2], 2);
}
END_TEST

/* --- trouble in the middle of the load --- */

/* The box restarts by itself: with its configuration lost, without a word, and after it has given up all commands. */
START_TEST(a_box_that_restarts_or_gives_up_costs_a_reset_and_no_byte)
{
	static const char *const how[] = {"fw-fault", "power-cut survive=all keep-client", "notice 4"};

	up(_i / 3);
	for (unsigned i = 0; i < 3; i++)
		disturb(how[_i % 3], i + 1);
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
	{"status=4 on=dcmd", 0},
	{"status=2 on=read+write count=0 one-in=20", 0},
};

START_TEST(misbehaving_firmware_costs_no_byte)
{
	up(_i % N_AME_MODELS);
	misbehave(trouble[_i].rule);
	emu_do(&emu, "fault-clear");
	/* A read that was aborted may have been reported as timed out. */
	if (strncmp(trouble[_i].rule, "status=2", 8) != 0)
		ck_assert_uint_le(load->bad_results, 1);
	load->bad_results = 0;
	expect_recovery(trouble[_i].resets);
}
END_TEST

START_TEST(an_answer_under_anothers_name_ends_nothing_twice)
{
	up(_i);
	answer_under_anothers_names();
}
END_TEST

/* The command was aborted, its memory is the driver's again, and then nobody's: what the box still writes must not come
 * through, neither when hbad has let go of the box nor to the next one, while the box settles. */
START_TEST(dma_after_an_abort_reaches_nobody)
{
	struct hba_req t = {.kind = HBA_REQ_RW, .nblocks = 64, .block_size = 512, .timeout_ms = 1};
	static uint8_t data[64 * 512];
	struct iovec iov = {data, sizeof(data)};

	ame_start(_i, "full", NULL);
	box_times.settle = 500;
	load_up(load);
	load_begin(load, 500, 16);
	load_wait(load);
	for (unsigned i = 0; i < 3; i++) {
		emu_do(&emu, "fault late-dma=100 on=read");
		t.unit = &load->h->unit[0];
		t.xfer = (struct dma_xfer){
			.iov = &iov, .niov = 1, .len = sizeof(data), .dir = DMA_FROM_DEVICE};
		ck_assert_int_eq(hba_run(load->h, &t), 0);
		ck_assert_int_eq(t.result, HBA_TIMEOUT);
		load_down(load);
		load_up(load);
		load_verify(load);
	}
}
END_TEST

/* A stop while the box is being recovered, and one while it is held: it ends, and nothing that was acknowledged and
 * flushed is lost. */
START_TEST(a_stop_in_the_middle_of_trouble_ends)
{
	static const char *const how[] = {
		"fw-fault", "notice 4", "notice 2", "notice 8", "fault drop on=write"};

	up(_i % N_AME_MODELS);
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

START_TEST(a_box_that_vanishes_under_load_ends_everything_and_can_come_back)
{
	up(_i % N_AME_MODELS);
	vanish_and_come_back((unsigned)_i, 3);
}
END_TEST

/* --- notices and events --- */

static uint64_t done_so_far(void)
{
	return __atomic_load_n(&load->reads, __ATOMIC_RELAXED) +
	       __atomic_load_n(&load->writes, __ATOMIC_RELAXED);
}

START_TEST(pauses_under_load_cost_nothing)
{
	struct hba_stats s;

	up(_i);
	load_begin(load, UINT64_MAX, 64);
	for (unsigned i = 0; i < 10; i++) {
		uint64_t before = done_so_far();

		emu_do(&emu, "notice 8");
		usleep(10000);
		emu_do(&emu, "notice 10");
		wait_until(done_so_far() >= before + 300);
	}
	load_stop(load);
	expect_recovery(0);
	hba_get_stats(load->h, &s);
	ck_assert_uint_eq(s.resets, 0);
}
END_TEST

/* It says that it restarts, and then does not: nothing is lost but time. */
START_TEST(a_restart_that_does_not_come_is_not_waited_for_for_ever)
{
	ame_start(_i, "full", NULL);
	box_times.away = 200;
	load_up(load);
	load_begin(load, 500, 64);
	emu_do(&emu, "notice 2");
	expect_recovery(0);
}
END_TEST

static void wait_for_state(unsigned unit, enum hba_unit_state state)
{
	wait_until(state_of(unit) == state);
}

START_TEST(units_come_and_go)
{
	up(_i);
	for (unsigned i = 0; i < 5; i++) {
		emu_do(&emu, "remove ld63");
		wait_for_state(2, HBA_UNIT_OFFLINE);
		emu_do(&emu, "add ld63,size=16M");
		wait_for_state(2, HBA_UNIT_OPTIMAL);
		emu_do(&emu, "offline ld5");
		wait_for_state(1, HBA_UNIT_OFFLINE);
		emu_do(&emu, "online ld5");
		wait_for_state(1, HBA_UNIT_OPTIMAL);
	}
	load_begin(load, 500, 64);
	expect_recovery(0);
}
END_TEST

/* Others come, go and are replaced while two units are at work. */
START_TEST(units_come_and_go_under_load)
{
	struct hba_stats s;

	up(_i);
	load_begin(load, UINT64_MAX, 64);
	for (unsigned i = 0; i < 5; i++) {
		emu_do(&emu, "remove ld63");
		emu_do(&emu, "aen-storm 50");
		wait_for_state(2, HBA_UNIT_OFFLINE);
		emu_do(&emu, "add ld63,size=16M");
		wait_for_state(2, HBA_UNIT_OPTIMAL);
		emu_do(&emu, "add ld%u,size=1M", 10 + i);
		wait_until(hba_n_units(load->h) == 4 + i);
		wait_for_state(3 + i, HBA_UNIT_OPTIMAL);
		load_progress(load, 100);
	}
	ck_assert_str_eq(load->h->unit[7].name, "lun14");
	load_stop(load);
	expect_recovery(0);
	hba_get_stats(load->h, &s);
	ck_assert_uint_eq(s.resets, 0);
}
END_TEST

START_TEST(an_event_storm_disturbs_nobody)
{
	struct hba_stats s;

	up(_i);
	load_begin(load, 3000, 64);
	emu_do(&emu, "aen-storm 5000");
	load_wait(load);
	emu_do(&emu, "offline ld63");
	wait_for_state(2, HBA_UNIT_OFFLINE);
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
	/* The second half of this: after a recovery, whose mark the box still has. */
	emu_do(&emu, "fw-fault");
	wait_for_resets(1);
	load_down(load);
	load_up(load);
	load_verify(load);
}
END_TEST

START_TEST(nobody_there_is_told_plainly)
{
	up(0);
	attach_to_nobody("gone ff");
}
END_TEST

static void add_all(TCase *t)
{
	tcase_add_loop_test(t, discovery_finds_what_the_emulator_was_told, 0, N_AME_MODELS);
	tcase_add_loop_test(t, random_io_with_many_in_flight_is_verified, 0, N_AME_MODELS);
	tcase_add_loop_test(t, the_scsi_layer_knows_the_units, 0, N_AME_MODELS);
	tcase_add_loop_test(t, a_flush_reaches_the_media, 0, 2);
	tcase_add_loop_test(t, fifty_power_cuts_lose_nothing_that_was_flushed, 0, N_AME_MODELS);
	tcase_add_loop_test(t, a_cut_right_after_a_flush_keeps_every_byte, 0, N_AME_MODELS);
	tcase_add_loop_test(t, an_orderly_stop_keeps_every_byte, 0, N_AME_MODELS);
	tcase_add_test(t, what_firmware_loses_is_lost_whole);
	tcase_add_test(t, firmware_that_knows_no_flush_is_believed_only_without_a_cache);
	tcase_add_test(t, test_unit_ready_and_synchronize_cache_go_to_the_device);
	tcase_add_loop_test(
		t, a_box_that_restarts_or_gives_up_costs_a_reset_and_no_byte, 0, 3 * N_AME_MODELS);
	tcase_add_loop_test(t, misbehaving_firmware_costs_no_byte, 0, (int)ARRAY_SIZE(trouble));
	tcase_add_loop_test(t, an_answer_under_anothers_name_ends_nothing_twice, 0, N_AME_MODELS);
	tcase_add_loop_test(t, dma_after_an_abort_reaches_nobody, 0, N_AME_MODELS);
	tcase_add_loop_test(t, a_stop_in_the_middle_of_trouble_ends, 0, 5);
	tcase_add_loop_test(
		t, a_box_that_vanishes_under_load_ends_everything_and_can_come_back, 0, N_VANISHINGS);
	tcase_add_loop_test(t, pauses_under_load_cost_nothing, 0, N_AME_MODELS);
	tcase_add_loop_test(t, a_restart_that_does_not_come_is_not_waited_for_for_ever, 0, N_AME_MODELS);
	tcase_add_loop_test(t, units_come_and_go, 0, N_AME_MODELS);
	tcase_add_loop_test(t, units_come_and_go_under_load, 0, N_AME_MODELS);
	tcase_add_loop_test(t, an_event_storm_disturbs_nobody, 0, N_AME_MODELS);
	tcase_add_loop_test(t, attaching_again_and_again_works, 0, N_AME_MODELS);
	tcase_add_test(t, nobody_there_is_told_plainly);
}

int main(void)
{
	Suite *s = suite_create("hbad on AME boxes");
	TCase *t = tcase_create("driver");

	tcase_add_checked_fixture(t, NULL, rig_teardown);
	tcase_set_timeout(t, 120);
	add_all(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
