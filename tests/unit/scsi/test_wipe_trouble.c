/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FORMAT UNIT and SANITIZE that fail, and LUNs and controllers that come and go meanwhile. */
#include <stdio.h>
#include <string.h>
#include "base/endian.h"
#include "wipe_rig.h"

static const uint8_t reset[18] = {0x70, 0, 0x06, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0x00};

/* --- failures --- */

START_TEST(what_the_unit_has_to_tell_does_not_end_it)
{
	static const uint8_t lost[18] = {0x70, 0, 0x0b, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x44, 0x00};
	struct tst t;

	format(&t, 0x10, "\0\x88\0\0\0\x01\0\x01z", 9);
	fake_complete(x.fake, 0); /* the flush */
	for (unsigned i = 0; x.fake->n_flight; i++) {
		if (i % 3 == 1 && x.fake->log[x.fake->entry[0]].kind == HBA_REQ_RW)
			fake_end(x.fake, 0, HBA_DONE, 0x02, i & 1 ? reset : lost, 18);
		else
			fake_complete(x.fake, x.fake->n_flight - 1);
	}
	assert_good(&t);
	ck_assert(holds((const uint8_t *)"z", 1));
	tst_fini(&t);
	/* Initiators are told of it, if not of what was lost. */
	assert_tur(0x06, 0x29, 0x00);
	assert_tur_good();
}
END_TEST

/* A flush at the end of hours, too. */
START_TEST(what_the_unit_has_to_tell_a_flush_does_not_end_it)
{
	struct tst t;

	format(&t, 0, NULL, 0);
	x.fake->fault.count = 2;
	x.fake->fault.skip = (unsigned)_i; /* the flush before, or that after */
	x.fake->fault.kind = HBA_REQ_FLUSH;
	x.fake->fault.result = HBA_DONE;
	x.fake->fault.status = 0x02;
	x.fake->fault.sense_len = 18;
	memcpy(x.fake->fault.sense, reset, 18);
	fake_run(x.fake, 0);
	assert_good(&t);
	ck_assert_uint_eq(x.fake->fault.count, 0);
	ck_assert(!x.disk->dirty);
	ck_assert(holds((const uint8_t *)"", 1));
	tst_fini(&t);
	assert_tur(0x06, 0x29, 0x00);
	assert_tur_good();
}
END_TEST

START_TEST(atomic_writes_are_refused_after_a_failed_format)
{
	struct fake *f = fake_new(1, BLOCKS, 512);
	uint8_t cdb[16] = {0x9c};
	struct tst t;

	memset(f->disk[0].vpd[0xb0].data + 44, 0, 20);
	put_be32(f->disk[0].vpd[0xb0].data + 44, 8);
	fx_teardown(&x);
	fx_attach(&x, f);
	use_lun("ld0;allow=format");
	put_be16(cdb + 12, 1);
	x.disk->bad_lba = 10;
	format(&t, 0, NULL, 0);
	fake_run(x.fake, 0);
	assert_check(&t, 0x03, 0x31, 0x01);
	tst_fini(&t);
	x.disk->bad_lba = UINT64_MAX;
	tst_do(&t, &x, cdb, 16, 512);
	assert_check(&t, 0x03, 0x31, 0x00);
	tst_fini(&t);
}
END_TEST

START_TEST(a_unit_that_never_stops_telling_does)
{
	struct tst t;
	unsigned n = 0;

	format(&t, 0, NULL, 0);
	fake_complete(x.fake, 0);
	for (; x.fake->n_flight; n++)
		fake_end(x.fake, 0, HBA_DONE, 0x02, reset, 18);
	ck_assert_uint_lt(n, 32);
	assert_check(&t, 0x03, 0x31, 0x01);
	tst_fini(&t);
	assert_tur(0x06, 0x29, 0x00);
	format(&t, 0, NULL, 0);
	fake_run(x.fake, 0);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

START_TEST(a_failed_format_leaves_a_unit_that_only_another_one_makes_usable)
{
	struct tst t;

	x.disk->bad_lba = 3000;
	format(&t, 0, NULL, 0);
	fake_run(x.fake, 0);
	assert_check(&t, 0x03, 0x31, 0x01);
	tst_fini(&t);
	tst_do(&t, &x, "\x28\0\0\0\0\0\0\0\x01\0", 10, 512);
	assert_check(&t, 0x03, 0x31, 0x00);
	tst_fini(&t);
	tst_do(&t, &x, "\x25\0\0\0\0\0\0\0\0\0", 10, 8); /* how large it is can be told */
	assert_good(&t);
	tst_fini(&t);
	tst_do(&t, &x, "\x03\0\0\0\xff\0", 6, 255);
	ck_assert_uint_eq(t.buf[2], 0x03);
	ck_assert_mem_eq(t.buf + 12, "\x31\x00\0\0", 4);
	tst_fini(&t);
	x.disk->bad_lba = UINT64_MAX;
	format(&t, 0, NULL, 0);
	fake_run(x.fake, 0);
	assert_good(&t);
	tst_fini(&t);
	tst_do(&t, &x, "\x28\0\0\0\0\0\0\0\x01\0", 10, 512);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

static void fail_sanitize(uint8_t byte1)
{
	struct tst t;

	x.disk->bad_lba = 10;
	overwrite(&t, byte1, 1, "x", 1);
	fake_run(x.fake, 0);
	assert_check(&t, 0x03, 0x31, 0x03);
	tst_fini(&t);
	x.disk->bad_lba = UINT64_MAX;
	assert_tur(0x03, 0x31, 0x03);
	format(&t, 0, NULL, 0);
	assert_check(&t, 0x03, 0x31, 0x03);
	tst_fini(&t);
}

START_TEST(a_failed_sanitize_is_left_by_another_one_or_where_it_was_allowed_by_exit)
{
	struct tst t;

	exit_failure(&t); /* nothing to exit from */
	assert_good(&t);
	tst_fini(&t);
	fail_sanitize(0x00);
	exit_failure(&t);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	assert_tur(0x03, 0x31, 0x03);
	overwrite(&t, 0x20, 1, "y", 1); /* AUSE, too late */
	assert_check(&t, 0x05, 0x24, 0x00);
	ck_assert_mem_eq(t.task.sense + 15, "\xcd\x00\x01", 3);
	tst_fini(&t);
	overwrite(&t, 0x00, 1, "y", 1);
	fake_run(x.fake, 0);
	assert_good(&t);
	tst_fini(&t);
	assert_tur_good();
	fail_sanitize(0x20);
	start(&t, "\x48\x1f\0\0\0\0\0\0\x08\0", 10, "\0\0\0\0\0\0\0\0", 8);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	exit_failure(&t);
	assert_good(&t);
	tst_fini(&t);
	assert_tur_good();
}
END_TEST

START_TEST(a_flush_that_fails_is_a_failure)
{
	struct tst t;

	overwrite(&t, 0, 1, "x", 1);
	x.fake->fault.count = 1;
	x.fake->fault.kind = HBA_REQ_FLUSH;
	x.fake->fault.skip = 1;
	x.fake->fault.result = HBA_IO_ERROR;
	fake_run(x.fake, 0);
	assert_check(&t, 0x03, 0x31, 0x03);
	tst_fini(&t);
}
END_TEST

/* --- LUNs and controllers that come and go --- */

/* H27: runner restart: the next LUN of the unit answers 04/1B. */
START_TEST(it_goes_on_when_its_lun_is_let_go_of)
{
	struct tst t;

	overwrite(&t, 0x80, 1, "x", 1);
	fake_complete(x.fake, 0);
	tst_fini(&t);
	use_lun("ld0"); /* as after a restart of tcmu-runner */
	assert_tur(0x02, 0x04, 0x1b);
	tst_do(&t, &x, "\x28\0\0\0\0\0\0\0\x01\0", 10, 512);
	ck_assert(holds((const uint8_t *)"x", 1)); /* tst_do() ran it to its end */
	assert_check(&t, 0x02, 0x04, 0x1b);
	tst_fini(&t);
	assert_tur_good();
	use_lun("ld0");
	assert_tur_good();
}
END_TEST

START_TEST(what_the_unit_has_to_tell_meanwhile_is_told_by_its_next_lun)
{
	struct tst t;

	overwrite(&t, 0x80, 1, "x", 1);
	fake_complete(x.fake, 0);
	tst_fini(&t);
	use_lun("ld0");
	assert_tur(0x02, 0x04, 0x1b);
	fake_end(x.fake, 0, HBA_DONE, 0x02, reset, 18);
	assert_tur(0x06, 0x29, 0x00);
	assert_tur(0x02, 0x04, 0x1b);
	fake_run(x.fake, 0);
	ck_assert(holds((const uint8_t *)"x", 1));
	assert_tur_good();
}
END_TEST

START_TEST(a_failure_is_known_to_the_units_next_lun)
{
	struct tst t;

	fail_sanitize(0x00);
	use_lun("ld0;allow=sanitize");
	assert_tur(0x03, 0x31, 0x03);
	overwrite(&t, 0x00, 1, "y", 1);
	fake_run(x.fake, 0);
	assert_good(&t);
	tst_fini(&t);
	assert_tur_good();
	use_lun("ld0");
	assert_tur_good();
}
END_TEST

START_TEST(another_unit_is_not_touched)
{
	struct fake *f = fake_new(2, BLOCKS, 512);
	struct fx two, other;
	struct tst t;

	fx_attach(&two, f);
	scsi_lun_destroy(two.lun);
	two.lun = fx_lun(&two, "ld0;allow=format");
	other = two;
	other.lun = fx_lun(&two, "ld1");
	tst_init(&t, two.lun, "\x04\0\0\0\0\0", 6, 0, 0);
	tst_submit(&t);
	{
		struct tst r;

		tst_init(&r, other.lun, "\x28\0\0\0\0\0\0\0\x01\0", 10, 512, 1);
		tst_submit(&r);
		fake_complete(f, f->n_flight - 1);
		assert_good(&r);
		tst_fini(&r);
	}
	fake_run(f, 0);
	assert_good(&t);
	tst_fini(&t);
	ck_assert(is_pattern(f->disk[1].store, 0, BLOCKS * 512, 512));
	scsi_lun_destroy(other.lun);
	fx_teardown(&two);
}
END_TEST

/* Many more than there are scratch buffers, all of which the commands of others may need. */
#define MANY 72

static void wipe_all(struct fx *m, struct scsi_lun *lun[MANY], struct tst t[MANY])
{
	for (unsigned i = 0; i < MANY; i++) {
		tst_init(&t[i], lun[i], i % 2 ? "\x04\0\0\0\0\0" : "\x48\x81\0\0\0\0\0\0\x05\0",
			i % 2 ? 6 : 10, i % 2 ? 0 : 5, i % 2 ? 0 : 1);
		if (!(i % 2))
			memcpy(t[i].buf, "\x82\0\0\x01z", 5); /* twice, the second time inverted */
		t[i].filled = true;
		tst_submit(&t[i]);
	}
	/* Each has its turn, and is half way. */
	for (unsigned i = 0; i < 6 * MANY; i++)
		fake_complete(m->fake, 0);
}

/* Each needs a buffer, or two in turn. */
static void need_scratch(struct fx *m, struct scsi_lun *lun)
{
	uint8_t cdb[16];
	struct tst t;

	cdb16(cdb, 0x89, 0, 0, 0); /* COMPARE AND WRITE */
	cdb[13] = 1;
	tst_init(&t, lun, cdb, 16, 1024, 1);
	tst_fill(&t, 0);
	memcpy(t.buf, m->fake->disk[MANY].store, 512);
	tst_submit(&t);
	for (unsigned i = 0; i < 10000 && !t.done; i++)
		fake_complete(m->fake, 0);
	assert_good(&t);
	tst_fini(&t);
	cdb16(cdb, 0x93, 0, 8, 8); /* WRITE SAME */
	tst_init(&t, lun, cdb, 16, 512, 1);
	tst_fill(&t, 1);
	tst_submit(&t);
	for (unsigned i = 0; i < 10000 && !t.done; i++)
		fake_complete(m->fake, 0);
	assert_good(&t);
	tst_fini(&t);
}

START_TEST(as_many_as_can_run_leave_buffers_for_the_commands_of_others)
{
	static struct tst t[MANY];
	struct scsi_lun *lun[MANY + 1];
	struct fake *f = fake_new(MANY + 1, 512, 512);
	struct fx m;
	char text[40];

	f->hba.limits.max_transfer = 8192;
	fx_attach(&m, f);
	for (unsigned i = 1; i <= MANY; i++) {
		snprintf(text, sizeof(text), "ld%u;allow=format+sanitize", i);
		lun[i] = fx_lun(&m, text);
	}
	scsi_lun_destroy(m.lun);
	lun[0] = m.lun = fx_lun(&m, "ld0;allow=format+sanitize");
	wipe_all(&m, lun, t);
	need_scratch(&m, lun[MANY]);
	for (unsigned i = 1; i < MANY; i += 2)
		ck_assert_uint_eq(t[i].done, 0); /* they are still at it */
	fake_run(f, 0);
	for (unsigned i = 0; i < MANY; i++) {
		assert_good(&t[i]);
		for (unsigned at = 0; at < 512 * 512; at += 511)
			ck_assert_uint_eq(f->disk[i].store[at], i % 2 ? 0 : (uint8_t) ~'z');
		tst_fini(&t[i]);
	}
	for (unsigned i = 1; i <= MANY; i++)
		scsi_lun_destroy(lun[i]);
	fx_teardown(&m);
}
END_TEST

static void fail_many(struct fx *m)
{
	for (unsigned i = 0; i < 100; i++) {
		struct tst t;

		m->fake->fault.count = 1;
		m->fake->fault.kind = HBA_REQ_RW;
		m->fake->fault.result = HBA_IO_ERROR;
		tst_do(&t, m, "\x04\0\0\0\0\0", 6, 0);
		assert_check(&t, 0x03, 0x31, 0x01);
		tst_fini(&t);
	}
}

static void succeed_many(struct fx *m)
{
	for (unsigned i = 0; i < 20; i++) {
		struct tst t;

		tst_do(&t, m, "\x04\0\0\0\0\0", 6, 0);
		assert_good(&t);
		tst_fini(&t);
	}
}

START_TEST(an_initiator_that_begins_it_again_and_again_does_not_flood_the_log)
{
	const char *text = fx_logged(fail_many, &x);

	ck_assert_ptr_nonnull(strstr(text, "FORMAT UNIT failed half way"));
	ck_assert_uint_le(fx_lines(text), 12);
	ck_assert_uint_eq(fx_lines(fx_logged(fail_many, &x)), 0);
	ck_assert_uint_eq(fx_lines(fx_logged(succeed_many, &x)), 0);
}
END_TEST

/* H27: it ends when the controller is let go of, as in a stop of hbad. */
START_TEST(it_fails_when_the_controller_goes)
{
	struct tst t;

	overwrite(&t, 0, 1, "x", 1);
	fake_complete(x.fake, 0);
	scsi_host_detach(x.host, SCSI_GATE_BECOMING_READY);
	ck_assert_uint_eq(t.done, 0);
	fake_run(x.fake, 0);
	assert_check(&t, 0x03, 0x31, 0x03);
	tst_fini(&t);
	assert_tur(0x02, 0x04, 0x01);
}
END_TEST

START_TEST(the_host_can_end_with_a_failure_that_no_lun_is_left_for)
{
	struct tst t;

	overwrite(&t, 0x80, 1, "x", 1);
	fake_complete(x.fake, 0);
	tst_fini(&t);
	use_lun("ld0");
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	fake_run(x.fake, 0);
}
END_TEST

START_TEST(it_is_still_known_after_the_units_were_looked_at_anew)
{
	struct err e = {""};
	struct tst t;

	overwrite(&t, 0x80, 1, "x", 1);
	fake_complete(x.fake, 0);
	tst_fini(&t);
	ck_assert_int_eq(scsi_host_attach(x.host, &x.fake->hba, &e), 0);
	assert_tur(0x02, 0x04, 0x1b);
	fake_run(x.fake, 0);
	ck_assert(holds((const uint8_t *)"x", 1));
	assert_tur_good();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi wipe trouble");
	TCase *c = tcase_create("wipe");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, it_goes_on_when_its_lun_is_let_go_of);
	tcase_add_test(c, what_the_unit_has_to_tell_meanwhile_is_told_by_its_next_lun);
	tcase_add_test(c, a_failure_is_known_to_the_units_next_lun);
	tcase_add_test(c, another_unit_is_not_touched);
	tcase_add_test(c, as_many_as_can_run_leave_buffers_for_the_commands_of_others);
	tcase_add_test(c, an_initiator_that_begins_it_again_and_again_does_not_flood_the_log);
	tcase_add_test(c, it_fails_when_the_controller_goes);
	tcase_add_test(c, the_host_can_end_with_a_failure_that_no_lun_is_left_for);
	tcase_add_test(c, it_is_still_known_after_the_units_were_looked_at_anew);
	tcase_add_test(c, what_the_unit_has_to_tell_does_not_end_it);
	tcase_add_loop_test(c, what_the_unit_has_to_tell_a_flush_does_not_end_it, 0, 2);
	tcase_add_test(c, atomic_writes_are_refused_after_a_failed_format);
	tcase_add_test(c, a_unit_that_never_stops_telling_does);
	tcase_add_test(c, a_failed_format_leaves_a_unit_that_only_another_one_makes_usable);
	tcase_add_test(c, a_failed_sanitize_is_left_by_another_one_or_where_it_was_allowed_by_exit);
	tcase_add_test(c, a_flush_that_fails_is_a_failure);
	suite_add_tcase(s, c);
	return run_suite(s);
}
