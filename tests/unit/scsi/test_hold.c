/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LUNs with a hold time: their commands wait for a controller that was unplugged, and are done once. */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "fixture.h"
#include "scsi/host.h"

#define BLOCKS 16384
#define HOLD_S 30

static struct fx x;
static struct tst t[8];

static void setup(void)
{
	fake_loop_defer = false;
	fx_setup(&x, BLOCKS);
	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, "ld0;hold=30");
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_OPEN);
}

static void teardown(void)
{
	fx_teardown(&x);
}

static void rw_init(unsigned n, bool write, uint32_t lba, uint16_t blocks)
{
	uint8_t cdb[10];

	cdb10(cdb, write ? 0x2a : 0x28, 0, lba, blocks);
	tst_init(&t[n], x.lun, cdb, 10, blocks * 512U, 1);
	if (write)
		tst_fill(&t[n], (uint8_t)(n + 1));
}

static void cdb_init(unsigned n, const char *cdb, size_t len, size_t data)
{
	tst_init(&t[n], x.lun, cdb, len, data, data != 0);
}

/* What was at the controller ends, newest first if asked to. */
static void unplug(bool newest_first)
{
	x.fake->state = HBA_REMOVED;
	while (x.fake->n_flight)
		fake_end(x.fake, newest_first ? x.fake->n_flight - 1 : 0, HBA_GONE, 0, NULL, 0);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
}

static void plug_in(void)
{
	struct err e = {""};

	x.fake->state = HBA_RUNNING;
	ck_assert_msg(scsi_host_attach(x.host, &x.fake->hba, &e) == 0, "%s", e.text);
	scsi_host_trim(x.host);
}

static void time_passes(unsigned s)
{
	fake_now += s * NS_PER_SEC;
	scsi_host_tick(x.host);
}

static unsigned index_of(unsigned from, uint64_t lba)
{
	for (unsigned i = from; i < x.fake->n_log; i++)
		if (x.fake->log[i].kind == HBA_REQ_RW && x.fake->log[i].lba == lba)
			return i;
	ck_abort_msg("block %llu was not asked for again", (unsigned long long)lba);
	return 0;
}

static void assert_disk(uint32_t lba, const struct tst *w)
{
	ck_assert_mem_eq(x.disk->store + lba * 512U, w->buf, w->len);
}

START_TEST(commands_wait_and_are_done_when_the_controller_is_back)
{
	unsigned before;

	rw_init(0, true, 8, 8);
	rw_init(1, false, 64, 8);
	rw_init(2, true, 128, 8);
	cdb_init(3, "\x35\0\0\0\0\0\0\0\0\0", 10, 0);
	tst_submit(&t[0]);
	tst_submit(&t[1]);
	unplug(_i);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_HELD);
	tst_submit(&t[2]);
	tst_submit(&t[3]);
	time_passes(HOLD_S - 1);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(t[i].done, 0);
	ck_assert_uint_eq(scsi_lun_busy(x.lun), 4);
	before = x.fake->n_log;
	plug_in();
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_OPEN);
	/* In the order in which they came, whatever the order in which they ended. */
	ck_assert_uint_lt(index_of(before, 8), index_of(before, 64));
	ck_assert_uint_lt(index_of(before, 64), index_of(before, 128));
	fake_run(x.fake, 7);
	for (unsigned i = 0; i < 4; i++)
		assert_good(&t[i]);
	ck_assert(is_pattern(t[1].buf, 64, 8 * 512, 512));
	assert_disk(8, &t[0]);
	assert_disk(128, &t[2]);
	for (unsigned i = 0; i < 4; i++)
		tst_fini(&t[i]);
}
END_TEST

START_TEST(a_second_loss_is_waited_for_like_the_first)
{
	rw_init(0, true, 8, 8);
	tst_submit(&t[0]);
	for (unsigned i = 0; i < 5; i++) {
		unplug(false);
		time_passes(HOLD_S - 1);
		plug_in();
		ck_assert_uint_eq(t[0].done, 0);
		ck_assert_uint_eq(x.fake->n_flight, 1);
	}
	fake_run(x.fake, 0);
	assert_good(&t[0]);
	tst_fini(&t[0]);
}
END_TEST

START_TEST(a_command_of_many_parts_is_done_again_from_its_beginning)
{
	unsigned parts, before;

	x.fake->hba.limits.max_transfer = 4096;
	plug_in();
	rw_init(0, true, 0, 64); /* 8 parts */
	tst_submit(&t[0]);
	parts = x.fake->n_flight;
	ck_assert_uint_gt(parts, 3);
	fake_complete(x.fake, 1);
	fake_complete(x.fake, 0);
	unplug(true);
	ck_assert_uint_eq(t[0].done, 0);
	before = x.fake->n_log;
	plug_in();
	fake_run(x.fake, 3);
	assert_good(&t[0]);
	for (unsigned lba = 0; lba < 64; lba += 8)
		index_of(before, lba);
	assert_disk(0, &t[0]);
	tst_fini(&t[0]);
}
END_TEST

START_TEST(what_waits_too_long_fails)
{
	rw_init(0, true, 8, 8);
	rw_init(1, false, 64, 8);
	tst_submit(&t[0]);
	unplug(false);
	tst_submit(&t[1]);
	time_passes(HOLD_S - 1);
	ck_assert_uint_eq(t[0].done + t[1].done, 0);
	time_passes(2);
	assert_check(&t[0], 0x02, 0x04, 0x03);
	assert_check(&t[1], 0x02, 0x04, 0x03);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_GONE);
	tst_fini(&t[0]);
	tst_fini(&t[1]);
	tst_do(&t[2], &x, "\x28\0\0\0\0\0\0\0\x01\0", 10, 512);
	assert_check(&t[2], 0x02, 0x04, 0x03);
	tst_fini(&t[2]);
	/* It may come back all the same. */
	plug_in();
	tst_do(&t[2], &x, "\x28\0\0\0\0\0\0\0\x01\0", 10, 512);
	assert_good(&t[2]);
	tst_fini(&t[2]);
}
END_TEST

START_TEST(without_a_hold_time_nothing_waits)
{
	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, _i ? "ld0;hold=0" : "ld0");
	rw_init(0, true, 8, 8);
	tst_submit(&t[0]);
	unplug(false);
	assert_check(&t[0], 0x02, 0x04, 0x03);
	tst_fini(&t[0]);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_GONE);
}
END_TEST

/* H21: what may have been done is not done again when the controller is back. */
START_TEST(what_must_not_be_done_twice_is_not)
{
	/* COMPARE AND WRITE of one block: the block is read first. */
	cdb_init(0, "\x89\0\0\0\0\0\0\0\0\x08\0\0\0\x01\0\0", 16, 1024);
	tst_fill(&t[0], 1);
	tst_submit(&t[0]);
	ck_assert_uint_eq(x.fake->n_flight, 1);
	/* It has to wait for the first one's range, and so has begun nothing. */
	cdb_init(1, "\x89\0\0\0\0\0\0\0\0\x08\0\0\0\x01\0\0", 16, 1024);
	tst_fill(&t[1], 1);
	tst_submit(&t[1]);
	unplug(false);
	assert_check(&t[0], 0x0b, 0x2f, 0x02);
	ck_assert_uint_eq(t[1].done, 0);
	tst_fini(&t[0]);
	plug_in();
	fake_run(x.fake, 0);
	assert_check(&t[1], 0x0e, 0x1d, 0x00);
	tst_fini(&t[1]);
}
END_TEST

START_TEST(who_waits_can_be_aborted)
{
	rw_init(0, true, 8, 8);
	rw_init(1, false, 64, 8);
	tst_submit(&t[0]);
	unplug(false);
	tst_submit(&t[1]);
	for (unsigned i = 0; i < 2; i++) {
		scsi_task_abort(&t[i].task);
		ck_assert_uint_eq(t[i].done, 1);
		ck_assert_uint_eq(t[i].task.status, SCSI_TASK_ABORTED);
		tst_fini(&t[i]);
	}
	plug_in();
	ck_assert_uint_eq(x.fake->n_flight, 0);
}
END_TEST

/* All of it was handed down, and part of that has not come back when it is named: none of it is GOOD. */
START_TEST(one_that_is_named_while_it_is_being_lost_is_not_good)
{
	x.fake->hba.limits.max_transfer = 4096;
	plug_in();
	rw_init(0, _i, 0, 16); /* 2 parts */
	tst_submit(&t[0]);
	ck_assert_uint_eq(x.fake->n_flight, 2);
	x.fake->state = HBA_REMOVED;
	fake_end(x.fake, 0, HBA_GONE, 0, NULL, 0);
	ck_assert_uint_eq(t[0].done, 0);
	scsi_task_abort(&t[0].task);
	fake_end(x.fake, 0, HBA_GONE, 0, NULL, 0);
	ck_assert_uint_eq(t[0].done, 1);
	ck_assert_uint_ne(t[0].task.status, SCSI_GOOD);
	ck_assert_uint_eq(t[0].task.in_bytes, 0);
	tst_fini(&t[0]);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
}
END_TEST

START_TEST(one_that_was_named_by_a_function_does_not_wait)
{
	rw_init(0, true, 8, 8);
	tst_submit(&t[0]);
	scsi_task_abort(&t[0].task);
	unplug(false);
	ck_assert_uint_eq(t[0].done, 1);
	tst_fini(&t[0]);
}
END_TEST

START_TEST(another_disk_in_its_place_is_not_written_to)
{
	rw_init(0, true, 8, 8);
	tst_submit(&t[0]);
	unplug(false);
	fake_default_pages(x.disk, "another");
	x.disk->vpd[0x83].data[12] ^= 0x55;
	plug_in();
	assert_check(&t[0], 0x05, 0x25, 0x00);
	ck_assert_uint_eq(x.fake->n_flight, 0);
	tst_fini(&t[0]);
}
END_TEST

START_TEST(a_drive_that_needs_longer_than_its_controller_is_waited_for)
{
	unsigned n = x.fake->hba.n_units;

	rw_init(0, true, 8, 8);
	tst_submit(&t[0]);
	unplug(false);
	x.fake->hba.n_units = 0;
	plug_in();
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_HELD);
	if (_i) {
		time_passes(HOLD_S + 1);
		assert_check(&t[0], 0x05, 0x25, 0x00);
	}
	x.fake->hba.n_units = n;
	plug_in();
	fake_run(x.fake, 0);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_OPEN);
	if (!_i)
		assert_good(&t[0]);
	tst_fini(&t[0]);
}
END_TEST

START_TEST(a_stop_ends_the_wait_with_becoming_ready)
{
	rw_init(0, true, 8, 8);
	tst_submit(&t[0]);
	unplug(false);
	scsi_host_detach(x.host, SCSI_GATE_BECOMING_READY);
	assert_check(&t[0], 0x02, 0x04, 0x01);
	tst_fini(&t[0]);
}
END_TEST

/* The order of the daemon's threads: letting go of the controller may come after the stop has begun. */
START_TEST(a_stop_is_not_undone_by_the_loss_before_it)
{
	unplug(false);
	scsi_host_detach(x.host, SCSI_GATE_BECOMING_READY);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	tst_do(&t[0], &x, "\x28\0\0\0\0\0\0\0\x01\0", 10, 512);
	assert_check(&t[0], 0x02, 0x04, 0x01);
	tst_fini(&t[0]);
}
END_TEST

START_TEST(a_lun_that_is_taken_over_in_the_meantime_waits_too)
{
	unplug(false);
	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, "ld0;hold=30");
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_HELD);
	rw_init(0, true, 8, 8);
	tst_submit(&t[0]);
	plug_in();
	fake_run(x.fake, 0);
	assert_good(&t[0]);
	assert_disk(8, &t[0]);
	tst_fini(&t[0]);
}
END_TEST

START_TEST(while_it_is_held_a_lun_tells_who_it_is)
{
	unplug(false);
	tst_do(&t[0], &x, "\x12\0\0\0\x24\0", 6, 36);
	assert_good(&t[0]);
	ck_assert_mem_eq(t[0].buf + 8, "LSI     MR9260-8i       2.13", 28);
	tst_fini(&t[0]);
	tst_do(&t[0], &x, "\x03\0\0\0\x12\0", 6, 18);
	assert_good(&t[0]);
	ck_assert_uint_eq(t[0].buf[2], 0x02);
	ck_assert_uint_eq(t[0].buf[12], 0x04);
	ck_assert_uint_eq(t[0].buf[13], 0x01);
	tst_fini(&t[0]);
}
END_TEST

static void synchronize(void)
{
	tst_do(&t[1], &x, "\x35\0\0\0\0\0\0\0\0\0", 10, 0);
	tst_fini(&t[1]);
}

/* 0: no battery; 1: battery; 2: battery, but the drives have caches; 3: flushed in time; 4: no cache at all;
 * 5: written with FUA */
START_TEST(the_first_flush_tells_of_writes_that_may_be_lost)
{
	bool lost = _i == 0 || _i == 2;
	uint8_t cdb[10];

	x.fake->hba.unit[0].write_back = _i != 4;
	x.fake->hba.unit[0].cache_protected = _i == 1 || _i == 2;
	x.fake->hba.unit[0].disk_cache = _i == 2;
	cdb10(cdb, 0x2a, _i == 5 ? 0x08 : 0, 8, 1);
	tst_init(&t[0], x.lun, cdb, 10, 512, 1);
	tst_fill(&t[0], 1);
	tst_submit(&t[0]);
	fake_run(x.fake, 0);
	assert_good(&t[0]);
	tst_fini(&t[0]);
	if (_i == 3)
		synchronize();
	unplug(false);
	plug_in();
	synchronize();
	if (lost)
		assert_check(&t[1], 0x03, 0x0c, 0x00);
	else
		assert_good(&t[1]);
	synchronize();
	assert_good(&t[1]);
	unplug(false);
	plug_in();
	synchronize();
	assert_good(&t[1]);
}
END_TEST

/* Another initiator's may be among them, and its writes may be those that were lost. */
START_TEST(flushes_beside_the_first_one_tell_it_too)
{
	static const uint8_t flush[10] = {0x35};

	x.fake->hba.unit[0].write_back = true;
	rw_init(0, true, 8, 1);
	tst_submit(&t[0]);
	fake_run(x.fake, 0);
	assert_good(&t[0]);
	tst_fini(&t[0]);
	unplug(false);
	for (unsigned i = 0; i < 3; i++) {
		tst_init(&t[i], x.lun, flush, 10, 0, 0);
		tst_submit(&t[i]);
	}
	plug_in();
	fake_run(x.fake, 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_check(&t[i], 0x03, 0x0c, 0x00);
		tst_fini(&t[i]);
	}
	synchronize();
	assert_good(&t[1]);
}
END_TEST

/* Writes a block; its data may be in a cache that no battery keeps. */
static void write_unflushed(void)
{
	x.fake->hba.unit[0].write_back = true;
	rw_init(0, true, 8, 1);
	tst_submit(&t[0]);
	fake_run(x.fake, 0);
	assert_good(&t[0]);
	tst_fini(&t[0]);
}

static void take_over(const char *text)
{
	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, text);
}

/* What else flushes vouches for its own blocks alone: it is not refused for others' writes, and who sent them still
 * hears of it. 0: READ with FUA, 1: WRITE with FUA, 2: VERIFY, 3: FORMAT UNIT, 4: a stop of the unit */
START_TEST(only_synchronize_cache_tells_of_lost_writes)
{
	static const struct {
		const char *cdb;
		size_t len, data;
	} rows[] = {{"\x28\x08\0\0\0\x40\0\0\x01\0", 10, 512}, {"\x2a\x08\0\0\0\x40\0\0\x01\0", 10, 512},
		{"\x2f\0\0\0\0\x40\0\0\x01\0", 10, 0}, {"\x04\0\0\0\0\0", 6, 0}, {"\x1b\0\0\0\0\0", 6, 0}};

	take_over("ld0;hold=30;allow=format+power");
	write_unflushed();
	unplug(false);
	plug_in();
	tst_do(&t[0], &x, rows[_i].cdb, rows[_i].len, rows[_i].data);
	assert_good(&t[0]);
	t[0].filled |= _i == 1;
	tst_fini(&t[0]);
	synchronize();
	assert_check(&t[1], 0x03, 0x0c, 0x00);
	synchronize();
	assert_good(&t[1]);
}
END_TEST

/* tcmu-runner restarts, and initiators do not notice: before the controller is lost, while it is away, or around all of
 * that. 3: flushed in time. 4: a battery. */
START_TEST(who_takes_a_lun_over_tells_of_lost_writes)
{
	write_unflushed();
	if (_i == 3)
		synchronize();
	if (_i == 4) {
		x.fake->hba.unit[0].cache_protected = true;
		plug_in();
	}
	if (_i == 2)
		scsi_lun_destroy(x.lun);
	else if (_i != 1)
		take_over("ld0;hold=30");
	unplug(false);
	if (_i == 1)
		take_over("ld0;hold=30");
	plug_in();
	if (_i == 2)
		x.lun = fx_lun(&x, "ld0;hold=30");
	synchronize();
	if (_i < 3)
		assert_check(&t[1], 0x03, 0x0c, 0x00);
	else
		assert_good(&t[1]);
	synchronize();
	assert_good(&t[1]);
	take_over("ld0;hold=30");
	unplug(false);
	plug_in();
	synchronize();
	assert_good(&t[1]);
}
END_TEST

START_TEST(a_unit_that_was_missing_before_its_controller_was_lost_tells_too)
{
	unsigned n = x.fake->hba.n_units;

	write_unflushed();
	x.fake->hba.n_units = 0;
	plug_in();
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_NO_UNIT);
	unplug(false);
	x.fake->hba.n_units = n;
	plug_in();
	synchronize();
	assert_check(&t[1], 0x03, 0x0c, 0x00);
}
END_TEST

/* Pulled out alone and put back. 0: pulled out and looked for meanwhile; 1: so, without a cache; 2: only unusable; 3: back before
 * anybody looked; 4: back, and nobody has looked yet; 5: first unusable, then pulled out; 6: taken over while it is out */
START_TEST(drives_that_lost_their_power_alone_tell_too)
{
	struct hba_unit *u = &x.fake->hba.unit[0];
	unsigned n = x.fake->hba.n_units;
	bool told = _i != 1 && _i != 2;

	u->disk_cache = _i != 1;
	write_unflushed();
	if (_i != 2 && _i != 5)
		u->outages++;
	if (_i != 3 && _i != 4) {
		x.fake->hba.n_units = 0;
		plug_in();
		ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_NO_UNIT);
	}
	if (_i == 5)
		u->outages++;
	if (_i == 6)
		take_over("ld0;hold=30");
	x.fake->hba.n_units = n;
	if (_i != 4)
		plug_in();
	synchronize();
	if (told)
		assert_check(&t[1], 0x03, 0x0c, 0x00);
	else
		assert_good(&t[1]);
	synchronize();
	assert_good(&t[1]);
}
END_TEST

static void hear_of_outage(void)
{
	static const uint8_t power_on[18] = {0x70, 0, 0x06, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0x01};
	struct tst read;

	tst_init(&read, x.lun, "\x28\0\0\0\0\0\0\0\1\0", 10, 512, 1);
	tst_submit(&read);
	x.fake->hba.unit[0].outages++; /* as the core counts it */
	fake_end(x.fake, 0, HBA_DONE, SCSI_CHECK_CONDITION, power_on, sizeof(power_on));
	assert_check(&read, 0x06, 0x29, 0x01);
	tst_fini(&read);
}

/* A drive says that it was without power. 0: writes were in its cache; 1: they were flushed before; 2: they came after it; 3: its
 * cache is off; 4: as 0, and the LUN is taken over before the flush */
START_TEST(a_drive_that_was_without_power_tells_with_the_next_flush)
{
	bool told = _i == 0 || _i == 4;

	x.fake->hba.unit[0].disk_cache = _i != 3;
	if (_i != 2)
		write_unflushed();
	if (_i == 1) {
		synchronize();
		assert_good(&t[1]);
	}
	hear_of_outage();
	if (_i == 2)
		write_unflushed();
	if (_i == 4)
		take_over("ld0;hold=30");
	synchronize();
	if (told)
		assert_check(&t[1], 0x03, 0x0c, 0x00);
	else
		assert_good(&t[1]);
	synchronize();
	assert_good(&t[1]);
}
END_TEST

/* Pulled out before there was a LUN, or anything in its cache: no reason to tell. 1: taken over with a write in it. */
START_TEST(drives_that_were_pulled_out_long_ago_do_not_tell)
{
	struct hba_unit *u = &x.fake->hba.unit[0];

	u->disk_cache = true;
	u->outages = 3;
	take_over("ld0;hold=30");
	write_unflushed();
	if (_i == 1)
		take_over("ld0;hold=30");
	synchronize();
	assert_good(&t[1]);
}
END_TEST

/* The next LUN is made before the last one is let go of. 0: lost before; 1: lost after; 2: pulled out before, and the next one
 * has seen that while it owed nothing; 3: flushed in time. */
START_TEST(a_lun_that_is_there_already_inherits)
{
	struct scsi_lun *last = x.lun, *next = fx_lun(&x, "ld0;hold=30");

	x.fake->hba.unit[0].disk_cache = true;
	write_unflushed();
	if (_i == 3)
		synchronize();
	if (_i == 0) {
		unplug(false);
		plug_in();
	}
	x.lun = next;
	if (_i == 2) {
		x.fake->hba.unit[0].outages++;
		synchronize();
		assert_good(&t[1]);
	}
	scsi_lun_destroy(last);
	if (_i == 1 || _i == 3) {
		unplug(false);
		plug_in();
	}
	synchronize();
	if (_i == 3)
		assert_good(&t[1]);
	else
		assert_check(&t[1], 0x03, 0x0c, 0x00);
}
END_TEST

/* Its initiator has given it up, and asks again. 1: tcmu-runner restarted; 2: named, and ends before it is aborted;
 * 3: named, and done again after a second loss. */
START_TEST(an_aborted_flush_has_told_nobody)
{
	write_unflushed();
	unplug(false);
	plug_in();
	tst_init(&t[0], x.lun, "\x35\0\0\0\0\0\0\0\0\0", 10, 0, 0);
	tst_submit(&t[0]);
	ck_assert_uint_eq(x.fake->n_flight, 1);
	if (_i >= 2)
		t[0].task.unheard = true;
	else
		scsi_task_abort(&t[0].task);
	if (_i == 3) {
		unplug(false);
		plug_in();
	}
	fake_run(x.fake, 0);
	ck_assert_uint_eq(t[0].done, 1);
	tst_fini(&t[0]);
	if (_i == 1)
		take_over("ld0;hold=30");
	synchronize();
	assert_check(&t[1], 0x03, 0x0c, 0x00);
	synchronize();
	assert_good(&t[1]);
}
END_TEST

/* The driver knows of no cache, but the unit's own caching page does. */
START_TEST(a_cache_that_only_the_unit_knows_of_may_lose_writes)
{
	x.disk->mode_wce = 0x04;
	plug_in();
	rw_init(0, true, 8, 1);
	tst_submit(&t[0]);
	fake_run(x.fake, 0);
	assert_good(&t[0]);
	tst_fini(&t[0]);
	unplug(false);
	plug_in();
	synchronize();
	assert_check(&t[1], 0x03, 0x0c, 0x00);
}
END_TEST

/* NOT READY would say that it has not begun; sent again, it would miscompare against its own data. */
START_TEST(what_is_half_done_between_two_requests_is_not_called_not_ready)
{
	cdb_init(0, "\x89\x08\0\0\0\0\0\0\0\x08\0\0\0\x01\0\0", 16, 1024);
	tst_fill(&t[0], 1);
	memcpy(t[0].buf, x.disk->store + 8 * 512, 512);
	tst_submit(&t[0]);
	fake_complete(x.fake, 0); /* a flush */
	fake_complete(x.fake, 0); /* the read */
	ck_assert_uint_eq(x.fake->n_flight, 1);
	x.fake->refuse_eagain = 100;
	fake_complete(x.fake, 0); /* the write; the second flush has to wait */
	ck_assert_uint_eq(x.fake->n_flight, 0);
	ck_assert_uint_eq(t[0].done, 0);
	unplug(false);
	x.fake->refuse_eagain = 0;
	assert_check(&t[0], 0x0b, 0x2f, 0x02);
	tst_fini(&t[0]);
}
END_TEST

/* The NAA designator of VPD page 83h, its first one */
static void put_designator(uint8_t *to, struct scsi_lun *lun)
{
	tst_init(&t[1], lun, "\x12\x01\x83\x00\xff\x00", 6, 255, 1);
	tst_submit(&t[1]);
	assert_good(&t[1]);
	memcpy(to, t[1].buf + 4, 4U + t[1].buf[7]);
	tst_fini(&t[1]);
}

/* One block from ld1 to ld0. 0, 1: asked of the one or the other while both are away; 2, 3: lost while it reads or writes. */
START_TEST(a_copy_waits_for_both_of_its_luns)
{
	struct fake *f = fake_new(2, BLOCKS, 512);
	struct scsi_lun *other;
	uint8_t *list;

	fx_teardown(&x);
	fx_attach(&x, f);
	take_over("ld0;hold=30;allow=copy");
	other = fx_lun(&x, "ld1;hold=30;allow=copy");
	cdb_init(0, "\x83\0\0\0\0\0\0\0\0\0\0\0\0\x6c\0\0", 16, 16 + 2 * 32 + 28);
	memset(t[0].buf, 0, t[0].len);
	t[0].filled = true;
	if (_i == 1)
		t[0].task.lun = other;
	list = t[0].buf;
	list[3] = 2 * 32;
	list[11] = 28;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *d = list + 16 + i * 32;

		d[0] = 0xe4;
		put_designator(d + 4, i ? x.lun : other);
		d[30] = 0x02; /* blocks of 512 bytes */
	}
	memcpy(list + 80, "\x02\0\0\x18\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x07", 28);
	if (_i >= 2)
		tst_submit(&t[0]);
	if (_i == 3)
		fake_complete(f, 0);
	ck_assert_uint_eq(f->n_flight, _i >= 2);
	unplug(false);
	if (_i < 2)
		tst_submit(&t[0]);
	ck_assert_uint_eq(t[0].done, 0);
	plug_in();
	fake_run(f, 0);
	assert_good(&t[0]);
	ck_assert_mem_eq(f->disk[0].store + 7 * 512, f->disk[1].store + 5 * 512, 512);
	tst_fini(&t[0]);
	scsi_lun_destroy(other);
}
END_TEST

START_TEST(a_lun_that_is_deleted_while_it_is_held_leaves_nothing)
{
	unplug(false);
	ck_assert_uint_eq(atomic_load(&x.host->holding), 1);
	scsi_lun_destroy(x.lun);
	ck_assert_uint_eq(atomic_load(&x.host->holding), 0);
	time_passes(HOLD_S + 1);
	plug_in();
	x.lun = fx_lun(&x, "ld0");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hold");
	TCase *c = tcase_create("hold");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, commands_wait_and_are_done_when_the_controller_is_back, 0, 2);
	tcase_add_test(c, a_second_loss_is_waited_for_like_the_first);
	tcase_add_test(c, a_command_of_many_parts_is_done_again_from_its_beginning);
	tcase_add_test(c, what_waits_too_long_fails);
	tcase_add_loop_test(c, without_a_hold_time_nothing_waits, 0, 2);
	tcase_add_test(c, what_must_not_be_done_twice_is_not);
	tcase_add_test(c, who_waits_can_be_aborted);
	tcase_add_loop_test(c, one_that_is_named_while_it_is_being_lost_is_not_good, 0, 2);
	tcase_add_test(c, one_that_was_named_by_a_function_does_not_wait);
	tcase_add_test(c, another_disk_in_its_place_is_not_written_to);
	tcase_add_loop_test(c, a_drive_that_needs_longer_than_its_controller_is_waited_for, 0, 2);
	tcase_add_test(c, a_stop_ends_the_wait_with_becoming_ready);
	tcase_add_test(c, a_stop_is_not_undone_by_the_loss_before_it);
	tcase_add_test(c, a_lun_that_is_taken_over_in_the_meantime_waits_too);
	tcase_add_test(c, while_it_is_held_a_lun_tells_who_it_is);
	tcase_add_loop_test(c, the_first_flush_tells_of_writes_that_may_be_lost, 0, 6);
	tcase_add_test(c, flushes_beside_the_first_one_tell_it_too);
	tcase_add_loop_test(c, only_synchronize_cache_tells_of_lost_writes, 0, 5);
	tcase_add_loop_test(c, who_takes_a_lun_over_tells_of_lost_writes, 0, 5);
	tcase_add_test(c, a_unit_that_was_missing_before_its_controller_was_lost_tells_too);
	tcase_add_loop_test(c, drives_that_lost_their_power_alone_tell_too, 0, 7);
	tcase_add_loop_test(c, a_drive_that_was_without_power_tells_with_the_next_flush, 0, 5);
	tcase_add_loop_test(c, drives_that_were_pulled_out_long_ago_do_not_tell, 0, 2);
	tcase_add_loop_test(c, a_lun_that_is_there_already_inherits, 0, 4);
	tcase_add_loop_test(c, an_aborted_flush_has_told_nobody, 0, 4);
	tcase_add_test(c, a_cache_that_only_the_unit_knows_of_may_lose_writes);
	tcase_add_test(c, what_is_half_done_between_two_requests_is_not_called_not_ready);
	tcase_add_loop_test(c, a_copy_waits_for_both_of_its_luns, 0, 4);
	tcase_add_test(c, a_lun_that_is_deleted_while_it_is_held_leaves_nothing);
	suite_add_tcase(s, c);
	return run_suite(s);
}
