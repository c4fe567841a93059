/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes that were lost with a cache, unflushed: who wrote them hears of it with the next SYNCHRONIZE CACHE, once. */
#include "hold_rig.h"
#include "scsi/host.h"

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
		assert_check(&t[1], 0x04, 0x0c, 0x00);
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
		assert_check(&t[i], 0x04, 0x0c, 0x00);
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
	assert_check(&t[1], 0x04, 0x0c, 0x00);
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
		assert_check(&t[1], 0x04, 0x0c, 0x00);
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
	assert_check(&t[1], 0x04, 0x0c, 0x00);
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
		assert_check(&t[1], 0x04, 0x0c, 0x00);
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
		assert_check(&t[1], 0x04, 0x0c, 0x00);
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
		assert_check(&t[1], 0x04, 0x0c, 0x00);
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
	assert_check(&t[1], 0x04, 0x0c, 0x00);
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
	assert_check(&t[1], 0x04, 0x0c, 0x00);
}
END_TEST

/* Its commands never end, or hbad has no time for it. 0: its controller was flushed; 1: not; 2: nobody knows */
START_TEST(a_lun_that_nobody_lets_go_of_leaves_what_it_owes)
{
	struct scsi_untold left[HBA_MAX_UNITS];
	struct tst read;
	unsigned n;

	x.fake->hba.unit[0].write_back = true;
	take_over("ld0;hold=30");
	write_unflushed();
	tst_init(&read, x.lun, "\x28\0\0\0\0\0\0\0\1\0", 10, 512, 1);
	tst_submit(&read);
	x.fake->hba.unit[0].unflushed = _i == 1;
	/* As every stop does before it flushes. */
	scsi_host_detach(x.host, SCSI_GATE_BECOMING_READY);
	fake_loop_run();
	n = scsi_host_leave(x.host, _i == 2 ? NULL : &x.fake->hba, left);
	ck_assert_uint_eq(n, _i != 0);
	ck_assert(!n || left[0].lost);
	fake_run(x.fake, 0);
	tst_fini(&read);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lost");
	TCase *c = tcase_create("lost");

	tcase_add_checked_fixture(c, setup, teardown);
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
	tcase_add_loop_test(c, a_lun_that_nobody_lets_go_of_leaves_what_it_owes, 0, 3);
	suite_add_tcase(s, c);
	return run_suite(s);
}
