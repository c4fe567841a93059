/* SPDX-License-Identifier: GPL-2.0-or-later */
/* START STOP UNIT, PREVENT ALLOW MEDIUM REMOVAL, PRE-FETCH, and what SYNCHRONIZE CACHE promises. */
#include <string.h>
#include "base/endian.h"
#include "fixture.h"

#define BLOCKS 4096

static struct fx x;

static void setup(void)
{
	fx_setup(&x, BLOCKS);
	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, "ld0;allow=power");
}
static void teardown(void)
{
	fx_teardown(&x);
}

static void start_stop(struct tst *t, uint8_t byte1, uint8_t byte4)
{
	uint8_t cdb[6] = {0x1b, byte1, 0, 0, byte4, 0};

	x.fake->n_log = 0;
	tst_do(t, &x, cdb, 6, 0);
}

/* --- START STOP UNIT --- */

START_TEST(what_stops_the_medium_flushes_first)
{
	static const struct {
		uint8_t byte4;
		bool flush;
	} rows[] = {{0x00, true}, {0x01, false}, {0x04, false}, {0x05, false}, {0x10, false}, {0x11, false},
		{0x20, false}, {0x30, true}, {0x31, true}, {0x32, true}, {0x34, false}, {0x70, false},
		{0xa0, false}, {0xb0, true}, {0xb4, false}};
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		start_stop(&t, 0, rows[i].byte4);
		assert_good(&t);
		ck_assert_uint_eq(x.fake->n_log, rows[i].flush ? 2 : 1);
		if (rows[i].flush)
			ck_assert_int_eq(x.fake->log[0].kind, HBA_REQ_FLUSH);
		ck_assert_uint_eq(x.fake->log[x.fake->n_log - 1].cdb0, 0x1b);
		ck_assert_uint_ge(x.fake->log[x.fake->n_log - 1].timeout_ms, 120000);
		tst_fini(&t);
	}
}
END_TEST

static void assert_bit_of_byte4(const struct tst *t, unsigned bit)
{
	ck_assert_uint_eq(t->task.sense[15], 0xc8 | bit);
	ck_assert_mem_eq(t->task.sense + 16, "\x00\x04", 2);
}

/* Hazard H16: LIO does not keep anybody from sending it. */
START_TEST(only_to_start_is_allowed_by_itself)
{
	static const uint8_t refused[] = {
		0x00, 0x04, 0x10, 0x11, 0x20, 0x21, 0x30, 0x31, 0x34, 0x70, 0x71, 0xa0, 0xb0, 0xb1, 0xb4};
	struct tst t;

	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, "ld0;allow=format+sanitize+buffer+security+ata+nodata+copy");
	for (unsigned i = 0; i < ARRAY_SIZE(refused); i++) {
		start_stop(&t, i & 1, refused[i]);
		assert_check(&t, 0x05, 0x24, 0x00);
		assert_bit_of_byte4(&t, refused[i] >> 4 ? 7 : 0);
		tst_fini(&t);
		ck_assert_uint_eq(x.fake->n_log, 0);
	}
	for (uint8_t no_flush = 0; no_flush < 8; no_flush += 4) {
		start_stop(&t, 0x01, 0x01 | no_flush);
		assert_good(&t);
		tst_fini(&t);
		ck_assert_uint_eq(x.fake->n_log, 1);
	}
}
END_TEST

START_TEST(a_read_only_lun_is_started_but_not_stopped)
{
	struct tst t;

	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, "ld0;ro=1;allow=power");
	for (uint8_t b = 0; b < 0x40; b += 0x10) {
		start_stop(&t, 0, b);
		assert_check(&t, 0x07, 0x27, 0x00);
		tst_fini(&t);
		ck_assert_uint_eq(x.fake->n_log, 0);
	}
	start_stop(&t, 0, 0x01);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

START_TEST(loading_and_unknown_power_conditions_are_refused)
{
	static const uint8_t unknown[] = {0x40, 0x50, 0x60, 0x80, 0x90, 0xc0, 0xd0, 0xe0, 0xf0};
	struct tst t;

	for (uint8_t b = 0x02; b < 0x08; b++) {
		if (!(b & 0x02))
			continue;
		start_stop(&t, 0, b);
		assert_check(&t, 0x05, 0x24, 0x00);
		ck_assert_mem_eq(t.task.sense + 15, "\xc9\x00\x04", 3);
		tst_fini(&t);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++) {
		start_stop(&t, 0, unknown[i]);
		assert_check(&t, 0x05, 0x24, 0x00);
		ck_assert_mem_eq(t.task.sense + 15, "\xcf\x00\x04", 3);
		tst_fini(&t);
	}
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

/* Disks that need half a minute to turn hold one slot, and nobody else. */
START_TEST(a_start_that_takes_long_disturbs_nobody)
{
	struct tst start, r;

	tst_init(&start, x.lun, "\x1b\0\0\0\x01\0", 6, 0, 0);
	tst_submit(&start);
	ck_assert_uint_eq(x.fake->n_flight, 1);
	for (unsigned i = 0; i < 10; i++) {
		tst_init(&r, x.lun, "\x28\0\0\0\0\0\0\0\x01\0", 10, 512, 1);
		tst_submit(&r);
		ck_assert_uint_eq(x.fake->n_flight, 2);
		fake_complete(x.fake, 1);
		assert_good(&r);
		tst_fini(&r);
	}
	ck_assert_uint_eq(start.done, 0);
	fake_complete(x.fake, 0);
	assert_good(&start);
	tst_fini(&start);
}
END_TEST

/* --- PREVENT ALLOW MEDIUM REMOVAL --- */

START_TEST(a_fixed_medium_may_be_kept_in_and_let_go)
{
	struct tst t;

	for (uint8_t prevent = 0; prevent < 4; prevent++) {
		uint8_t cdb[6] = {0x1e, 0, 0, 0, prevent, 0};

		tst_do(&t, &x, cdb, 6, 0);
		if (prevent < 2) {
			assert_good(&t);
		} else {
			assert_check(&t, 0x05, 0x24, 0x00);
			ck_assert_mem_eq(t.task.sense + 15, "\xc9\x00\x04", 3);
		}
		tst_fini(&t);
	}
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(the_medium_is_said_to_be_fixed_whatever_the_unit_says)
{
	struct fake *f = fake_new(1, BLOCKS, 512);
	struct fx usb;
	struct tst t;

	f->disk[0].inquiry.data[1] = 0x80;
	fx_attach(&usb, f);
	tst_do(&t, &usb, "\x12\0\0\0\x24\0", 6, 36);
	assert_good(&t);
	ck_assert_uint_eq(t.buf[1], 0);
	tst_fini(&t);
	fx_teardown(&usb);
}
END_TEST

/* --- PRE-FETCH --- */

static const struct {
	uint64_t lba;
	uint32_t n;
	bool good;
} ranges[] = {{0, 0, true}, {0, 1, true}, {0, BLOCKS, true}, {BLOCKS, 0, true}, {BLOCKS - 1, 1, true},
	{BLOCKS - 1, 2, false}, {BLOCKS, 1, false}, {BLOCKS + 1, 0, false}, {UINT32_MAX, 0, false},
	{UINT32_MAX, 256, false}, {0, BLOCKS + 1, false}};

static void check_range(struct tst *t, bool good)
{
	if (good)
		assert_good(t);
	else
		assert_check(t, 0x05, 0x21, 0x00);
	tst_fini(t);
}

START_TEST(prefetch_checks_its_range_and_promises_nothing)
{
	uint8_t cdb[16];
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++) {
		for (uint8_t immed = 0; immed < 4; immed += 2) {
			cdb10(cdb, 0x34, immed, (uint32_t)ranges[i].lba, (uint16_t)ranges[i].n);
			cdb[6] = 3; /* a group */
			tst_do(&t, &x, cdb, 10, 0);
			check_range(&t, ranges[i].good);
			cdb16(cdb, 0x90, immed, ranges[i].lba, ranges[i].n);
			tst_do(&t, &x, cdb, 16, 0);
			check_range(&t, ranges[i].good);
		}
	}
	cdb16(cdb, 0x90, 0, UINT64_MAX, UINT32_MAX);
	tst_do(&t, &x, cdb, 16, 0);
	check_range(&t, false);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

/* --- SYNCHRONIZE CACHE --- */

/* IMMED would let status come before the flush. It never does: what is GOOD is on the medium. */
START_TEST(synchronize_cache_is_good_when_the_flush_is_done_whatever_immed_says)
{
	static const uint8_t bits[] = {0x00, 0x02, 0x04, 0x06}; /* IMMED; SYNC_NV, obsolete */
	uint8_t cdb[16];
	struct tst t;

	for (unsigned i = 0; i < 2 * sizeof(bits); i++) {
		bool sixteen = i & 1;

		if (sixteen)
			cdb16(cdb, 0x91, bits[i / 2], 100, 8);
		else
			cdb10(cdb, 0x35, bits[i / 2], 100, 8);
		tst_init(&t, x.lun, cdb, sixteen ? 16 : 10, 0, 0);
		tst_submit(&t);
		ck_assert_uint_eq(t.done, 0);
		ck_assert_uint_eq(x.fake->n_flight, 1);
		fake_complete(x.fake, 0);
		assert_good(&t);
		tst_fini(&t);
	}
}
END_TEST

START_TEST(synchronize_cache_checks_its_range)
{
	uint8_t cdb[16];
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++) {
		cdb16(cdb, 0x91, 0, ranges[i].lba, ranges[i].n);
		tst_do(&t, &x, cdb, 16, 0);
		check_range(&t, ranges[i].good);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi power");
	TCase *c = tcase_create("power");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, what_stops_the_medium_flushes_first);
	tcase_add_test(c, only_to_start_is_allowed_by_itself);
	tcase_add_test(c, a_read_only_lun_is_started_but_not_stopped);
	tcase_add_test(c, loading_and_unknown_power_conditions_are_refused);
	tcase_add_test(c, a_start_that_takes_long_disturbs_nobody);
	tcase_add_test(c, a_fixed_medium_may_be_kept_in_and_let_go);
	tcase_add_test(c, the_medium_is_said_to_be_fixed_whatever_the_unit_says);
	tcase_add_test(c, prefetch_checks_its_range_and_promises_nothing);
	tcase_add_test(c, synchronize_cache_is_good_when_the_flush_is_done_whatever_immed_says);
	tcase_add_test(c, synchronize_cache_checks_its_range);
	suite_add_tcase(s, c);
	return run_suite(s);
}
