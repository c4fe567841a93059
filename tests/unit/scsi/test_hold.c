/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LUNs with a hold time: their commands wait for a controller that was unplugged, and are done once. */
#include <string.h>
#include "base/clock.h"
#include "hold_rig.h"
#include "scsi/host.h"

static void cdb_init(unsigned n, const char *cdb, size_t len, size_t data)
{
	tst_init(&t[n], x.lun, cdb, len, data, data != 0);
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
	tcase_add_test(c, what_is_half_done_between_two_requests_is_not_called_not_ready);
	tcase_add_loop_test(c, a_copy_waits_for_both_of_its_luns, 0, 4);
	tcase_add_test(c, a_lun_that_is_deleted_while_it_is_held_leaves_nothing);
	suite_add_tcase(s, c);
	return run_suite(s);
}
