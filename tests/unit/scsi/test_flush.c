/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FUA and SYNCHRONIZE CACHE: what is flushed, when, and what an answer may claim. */
#include "fixture.h"

#define BLOCKS 16384 /* 8 MiB: all of it remembers writes */

static struct fx x;

static void setup(void)
{
	fx_setup(&x, BLOCKS);
}
static void teardown(void)
{
	fx_teardown(&x);
}

START_TEST(without_native_fua_a_flush_follows_the_last_data)
{
	uint8_t cdb[16];
	struct tst t;

	cdb16(cdb, 0x8a, _i ? 0x02 : 0x08, 0, 3 * 256); /* FUA; FUA_NV is taken for it */
	tst_init(&t, x.lun, cdb, 16, 3 * 131072, 4);
	tst_fill(&t, 1);
	tst_submit(&t);
	ck_assert_uint_eq(x.fake->n_flight, 3);
	fake_complete(x.fake, 2);
	fake_complete(x.fake, 0);
	ck_assert_uint_eq(x.fake->n_log, 3); /* no flush yet */
	fake_complete(x.fake, 0);
	ck_assert_uint_eq(x.fake->n_log, 4);
	ck_assert_uint_eq(x.fake->log[3].kind, HBA_REQ_FLUSH);
	ck_assert_uint_eq(t.done, 0);
	ck_assert(x.disk->dirty);
	fake_complete(x.fake, 0);
	assert_good(&t);
	ck_assert(!x.disk->dirty);
	tst_fini(&t);
}
END_TEST

START_TEST(a_failed_flush_fails_the_write)
{
	uint8_t cdb[10];
	struct tst t;

	x.fake->fault.count = 1;
	x.fake->fault.kind = HBA_REQ_FLUSH;
	x.fake->fault.result = HBA_IO_ERROR;
	cdb10(cdb, 0x2a, 0x08, 0, 1);
	tst_do(&t, &x, cdb, 10, 512);
	assert_check(&t, 0x04, 0x44, 0x00);
	tst_fini(&t);
}
END_TEST

START_TEST(a_failed_write_is_not_flushed)
{
	uint8_t cdb[10];
	struct tst t;

	x.disk->bad_lba = 0;
	cdb10(cdb, 0x2a, 0x08, 0, 1);
	tst_do(&t, &x, cdb, 10, 512);
	assert_check(&t, 0x03, 0x11, 0x00);
	ck_assert_uint_eq(x.fake->n_log, 1);
	tst_fini(&t);
}
END_TEST

START_TEST(a_fua_read_comes_after_a_flush)
{
	uint8_t cdb[10];
	struct tst t;

	cdb10(cdb, 0x28, 0x08, 9, 300);
	tst_init(&t, x.lun, cdb, 10, 300 * 512, 1);
	tst_submit(&t);
	ck_assert_uint_eq(x.fake->n_flight, 1);
	ck_assert_uint_eq(x.fake->log[0].kind, HBA_REQ_FLUSH);
	fake_complete(x.fake, 0);
	ck_assert_uint_eq(x.fake->n_flight, 2);
	fake_run(x.fake, 1);
	assert_good(&t);
	ck_assert(is_pattern(t.buf, 9, t.len, 512));
	tst_fini(&t);
	/* A failed flush: nothing can be said about the medium. */
	x.fake->fault.count = 1;
	x.fake->fault.kind = HBA_REQ_FLUSH;
	x.fake->fault.result = HBA_TIMEOUT;
	tst_do(&t, &x, cdb, 10, 300 * 512);
	assert_check(&t, 0x0b, 0x08, 0x01);
	ck_assert_uint_eq(t.task.in_bytes, 0);
	tst_fini(&t);
}
END_TEST

START_TEST(native_fua_goes_with_every_piece)
{
	struct fake *f = fake_new(1, BLOCKS, 512);
	struct fx native;
	uint8_t cdb[16];
	struct tst t;

	f->hba.fua_native = true;
	fx_attach(&native, f);
	cdb16(cdb, _i ? 0x88 : 0x8a, 0x18, 0, 3 * 256);
	tst_init(&t, native.lun, cdb, 16, 3 * 131072, 1);
	if (!_i)
		tst_fill(&t, 2);
	tst_submit(&t);
	fake_run(f, 0);
	assert_good(&t);
	ck_assert_uint_eq(f->n_log, 3);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(f->log[i].fua && f->log[i].dpo);
	tst_fini(&t);
	fx_teardown(&native);
}
END_TEST

START_TEST(fua_of_nothing_is_nothing)
{
	struct tst t;

	tst_do(&t, &x, "\x2a\x08\0\0\0\0\0\0\0\0", 10, 0);
	assert_good(&t);
	tst_fini(&t);
	tst_do(&t, &x, "\x28\x08\0\0\0\0\0\0\x01\0", 10, 0);
	assert_good(&t);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(synchronize_cache_is_one_flush_of_a_valid_range)
{
	static const struct {
		const char *cdb;
		uint8_t len;
		bool good;
	} rows[] = {
		{"\x35\0\0\0\0\0\0\0\0\0", 10, true},
		{"\x35\x02\0\0\0\0\0\0\0\0", 10, true}, /* IMMED: GOOD comes after the flush all the same */
		{"\x35\0\0\0\x3f\xff\0\0\x01\0", 10, true},
		{"\x35\0\0\0\x3f\xff\0\0\x02\0", 10, false},
		{"\x35\0\0\0\x40\x01\0\0\0\0", 10, false},
		{"\x91\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, true},
		{"\x91\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0", 16, false},
	};
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		x.disk->dirty = true;
		x.fake->n_log = 0;
		tst_do(&t, &x, rows[i].cdb, rows[i].len, 0);
		ck_assert(x.disk->dirty == !rows[i].good);
		ck_assert_uint_eq(x.fake->n_log, rows[i].good);
		if (!rows[i].good) {
			assert_check(&t, 0x05, 0x21, 0x00);
		} else {
			assert_good(&t);
			ck_assert_uint_ge(x.fake->log[0].timeout_ms, 120000);
		}
		tst_fini(&t);
	}
}
END_TEST

START_TEST(a_flush_of_unknown_outcome_is_an_error)
{
	static const struct {
		enum hba_result result;
		uint8_t key, asc, ascq;
	} rows[] = {
		{HBA_NO_UNIT, 0x05, 0x25, 0x00},
		{HBA_IO_ERROR, 0x04, 0x44, 0x00},
		{HBA_TIMEOUT, 0x0b, 0x08, 0x01},
		{HBA_GONE, 0x02, 0x04, 0x03},
	};
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		x.fake->fault.count = 1;
		x.fake->fault.kind = HBA_REQ_FLUSH;
		x.fake->fault.result = rows[i].result;
		tst_do(&t, &x, "\x35\0\0\0\0\0\0\0\0\0", 10, 0);
		assert_check(&t, rows[i].key, rows[i].asc, rows[i].ascq);
		tst_fini(&t);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi flush");
	TCase *c = tcase_create("flush");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, without_native_fua_a_flush_follows_the_last_data, 0, 2);
	tcase_add_test(c, a_failed_flush_fails_the_write);
	tcase_add_test(c, a_failed_write_is_not_flushed);
	tcase_add_test(c, a_fua_read_comes_after_a_flush);
	tcase_add_loop_test(c, native_fua_goes_with_every_piece, 0, 2);
	tcase_add_test(c, fua_of_nothing_is_nothing);
	tcase_add_test(c, synchronize_cache_is_one_flush_of_a_valid_range);
	tcase_add_test(c, a_flush_of_unknown_outcome_is_an_error);
	suite_add_tcase(s, c);
	return run_suite(s);
}
