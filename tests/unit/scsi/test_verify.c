/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VERIFY, TEST UNIT READY and START STOP UNIT. */
#include <string.h>
#include "base/endian.h"
#include "fixture.h"

#define BLOCKS 16384
#define ALL    0x02 /* BYTCHK 01b */
#define ONE    0x06 /* BYTCHK 11b */

static struct fx x;

static void setup(void)
{
	fx_setup(&x, BLOCKS);
}
static void teardown(void)
{
	fx_teardown(&x);
}

/* VERIFY(10) with the disk's own content as data-out */
static void init_compare(struct tst *t, uint8_t bytchk, uint32_t lba, uint16_t n, size_t len)
{
	uint8_t cdb[10];

	cdb10(cdb, 0x2f, bytchk, lba, n);
	tst_init(t, x.lun, cdb, 10, len, len ? 5 : 0);
	memcpy(t->buf, x.disk->store + (size_t)lba * 512, len);
	t->filled = true;
}

/* --- without data-out --- */

START_TEST(the_unit_verifies_in_pieces_that_end)
{
	struct fx big;
	uint8_t cdb[16];
	struct tst t;

	fx_setup(&big, UINT64_C(1) << 33);
	cdb16(cdb, 0x8f, 0, UINT32_MAX - 1000, 70000);
	tst_do(&t, &big, cdb, 16, 0);
	assert_good(&t);
	ck_assert_uint_eq(t.task.dir, DMA_NONE);
	/* 32768 blocks each; VERIFY(16) where an LBA does not fit VERIFY(10) */
	ck_assert_uint_eq(big.fake->n_log, 3);
	ck_assert_uint_eq(big.fake->log[0].cdb0, 0x8f);
	ck_assert_uint_eq(big.fake->log[0].timeout_ms, 60000);
	tst_fini(&t);
	cdb16(cdb, 0x8f, 0, 7, 65536);
	tst_do(&t, &big, cdb, 16, 0);
	ck_assert_uint_eq(big.fake->n_log, 5);
	ck_assert_uint_eq(big.fake->log[3].cdb0, 0x2f);
	ck_assert_uint_eq(big.fake->log[4].lba, 7 + 32768);
	tst_fini(&t);
	fx_teardown(&big);
}
END_TEST

START_TEST(a_medium_error_found_by_the_unit_comes_through)
{
	struct tst t;

	x.disk->bad_lba = 5;
	tst_do(&t, &x, "\x2f\0\0\0\0\0\0\0\x10\0", 10, 0);
	assert_check(&t, 0x03, 0x11, 0x00);
	ck_assert_uint_eq(get_be32(t.task.sense + 3), 5);
	tst_fini(&t);
	x.disk->bad_lba = UINT64_MAX;
}
END_TEST

START_TEST(a_unit_without_verify_is_read_once_and_for_ever)
{
	struct tst t;

	x.disk->verify = false;
	tst_do(&t, &x, "\x2f\0\0\0\0\0\0\x20\0\0", 10, 0); /* 8192 blocks = 4 MiB */
	assert_good(&t);
	ck_assert_uint_eq(x.disk->cdbs[0x2f], 1);
	/* its cache first: what is verified is the medium */
	ck_assert_uint_eq(x.fake->log[1].kind, HBA_REQ_FLUSH);
	ck_assert_uint_eq(x.fake->n_log, 2 + 32);
	ck_assert_uint_eq(x.fake->log[2].kind, HBA_REQ_RW);
	tst_fini(&t);
	x.disk->bad_lba = 300;
	tst_do(&t, &x, "\x2f\0\0\0\x01\0\0\x01\0\0", 10, 0);
	assert_check(&t, 0x03, 0x11, 0x00);
	ck_assert_uint_eq(x.disk->cdbs[0x2f], 1);
	tst_fini(&t);
	tst_do(&t, &x, "\x2f\0\0\0\x01\0\0\0\0\0", 10, 0);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

START_TEST(with_native_fua_a_unit_without_verify_is_read_with_it)
{
	struct fake *f = fake_new(1, BLOCKS, 512);
	struct fx native;
	struct tst t;

	f->hba.fua_native = true;
	f->disk[0].verify = false;
	fx_attach(&native, f);
	/* Refused in the last piece that there is, and an error behind it. */
	f->disk[0].bad_lba = 7;
	tst_do(&t, &native, "\x2f\0\0\0\0\0\0\0\x08\0", 10, 0);
	assert_check(&t, 0x03, 0x11, 0x00);
	ck_assert_uint_eq(f->n_log, 2);
	ck_assert_uint_eq(f->log[1].kind, HBA_REQ_RW);
	ck_assert(f->log[1].fua);
	tst_fini(&t);
	fx_teardown(&native);
}
END_TEST

START_TEST(verify_without_bytchk_ignores_data_that_comes_along)
{
	struct tst t;

	init_compare(&t, 0, 0, 4, 4 * 512);
	memset(t.buf, 0x11, t.len);
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

START_TEST(verify_is_checked_against_the_end_of_the_medium)
{
	struct tst t;

	tst_do(&t, &x, "\x2f\0\0\0\x3f\xff\0\0\x01\0", 10, 0);
	assert_good(&t);
	tst_fini(&t);
	tst_do(&t, &x, "\x2f\0\0\0\x3f\xff\0\0\x02\0", 10, 0);
	assert_check(&t, 0x05, 0x21, 0x00);
	tst_fini(&t);
	tst_do(&t, &x, "\x2f\0\0\0\x40\x01\0\0\0\0", 10, 0);
	assert_check(&t, 0x05, 0x21, 0x00);
	tst_fini(&t);
	tst_do(&t, &x, "\xaf\0\0\0\0\0\0\0\0\0\0\0", 12, 0);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

/* --- with data-out --- */

START_TEST(equal_data_is_good)
{
	struct tst t;

	init_compare(&t, ALL, 3, 100, 100 * 512);
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_good(&t);
	ck_assert_uint_eq(t.task.dir, DMA_TO_DEVICE);
	ck_assert_uint_eq(t.task.in_bytes, 0);
	ck_assert_uint_eq(x.fake->log[0].kind, HBA_REQ_FLUSH);
	tst_fini(&t);
}
END_TEST

START_TEST(the_first_difference_is_a_miscompare_with_its_lba)
{
	static const size_t at[] = {0, 511, 512, 65535, 65536, 102399};
	struct tst t;

	init_compare(&t, ALL, 3, 200, 200 * 512);
	t.buf[at[_i]] ^= 0x80;
	t.buf[102399] ^= 0x40; /* another one, last of all */
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_check(&t, 0x0e, 0x1d, 0x00);
	ck_assert_uint_eq(t.task.sense[0], 0xf0);
	ck_assert_uint_eq(get_be32(t.task.sense + 3), 3 + at[_i] / 512);
	tst_fini(&t);
}
END_TEST

START_TEST(one_block_is_compared_with_each)
{
	struct tst t;

	for (unsigned i = 10; i < 310; i++)
		memset(x.disk->store + i * 512, 0x77, 512);
	init_compare(&t, ONE, 10, 300, 512);
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_good(&t);
	tst_fini(&t);
	x.disk->store[309 * 512 + 100] = 0;
	init_compare(&t, ONE, 10, 300, 512);
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_check(&t, 0x0e, 0x1d, 0x00);
	ck_assert_uint_eq(get_be32(t.task.sense + 3), 309);
	tst_fini(&t);
}
END_TEST

/* One block with all of a disk takes hours: a COMPARE AND WRITE goes past it. */
START_TEST(one_block_with_each_holds_up_nobody)
{
	uint8_t cdb[16], caw[16];
	struct tst v, w;

	memset(x.disk->store, 0x11, 4096 * 512);
	cdb16(cdb, 0x8f, 0x06, 0, 4096);
	tst_init(&v, x.lun, cdb, 16, 512, 1);
	memset(v.buf, 0x11, 512);
	v.filled = true;
	tst_submit(&v);
	ck_assert_uint_eq(x.fake->n_flight, 1);
	for (unsigned i = 0; i < 3; i++) {
		cdb16(caw, 0x89, 0, 4000, 0);
		caw[13] = 1;
		tst_init(&w, x.lun, caw, 16, 1024, 1);
		memset(w.buf, 0x11, 1024);
		w.filled = true;
		tst_submit(&w);
		fake_complete(x.fake, x.fake->n_flight - 1); /* its read */
		fake_complete(x.fake, x.fake->n_flight - 1); /* its write */
		assert_good(&w);
		tst_fini(&w);
	}
	ck_assert_uint_eq(v.done, 0);
	fake_run(x.fake, 0);
	assert_good(&v);
	tst_fini(&v);
}
END_TEST

START_TEST(data_of_another_length_and_reserved_bytchk_are_refused)
{
	struct tst t;

	init_compare(&t, ALL, 0, 4, 3 * 512);
	tst_submit(&t);
	assert_check(&t, 0x05, 0x0e, 0x03);
	tst_fini(&t);
	init_compare(&t, ONE, 0, 4, 4 * 512);
	tst_submit(&t);
	assert_check(&t, 0x05, 0x0e, 0x03);
	tst_fini(&t);
	init_compare(&t, 0x04, 0, 4, 4 * 512);
	tst_submit(&t);
	assert_check(&t, 0x05, 0x24, 0x00);
	ck_assert_mem_eq(t.task.sense + 15, "\xca\x00\x01", 3);
	tst_fini(&t);
	init_compare(&t, ALL, 0, 0, 0);
	tst_submit(&t);
	assert_good(&t);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

/* SBC-3 5.36: DPO may be set; group number, and the bit that was RELADR, mean nothing. */
START_TEST(verify_takes_dpo_and_looks_at_no_reserved_bits)
{
	struct tst t;

	init_compare(&t, ALL | 0x19, 0, 4, 4 * 512);
	t.task.cdb[6] = 0xff;
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_good(&t);
	ck_assert(x.fake->log[1].dpo);
	tst_fini(&t);
	tst_do(&t, &x, "\x2f\x19\0\0\0\0\xff\0\x10\0", 10, 0);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

START_TEST(a_read_error_while_comparing_is_no_miscompare)
{
	struct tst t;

	x.disk->bad_lba = 40;
	init_compare(&t, ALL, 0, 100, 100 * 512);
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_check(&t, 0x03, 0x11, 0x00);
	tst_fini(&t);
}
END_TEST

/* --- passed commands --- */

START_TEST(test_unit_ready_asks_the_unit)
{
	struct tst t;

	tst_do(&t, &x, "\0\0\0\0\0\0", 6, 0);
	assert_good(&t);
	tst_fini(&t);
	x.disk->attentions = 1;
	tst_do(&t, &x, "\0\0\0\0\0\0", 6, 0);
	assert_check(&t, 0x06, 0x29, 0x00);
	tst_fini(&t);
	ck_assert_uint_eq(x.disk->cdbs[0x00], 2);
	ck_assert_uint_eq(x.fake->log[0].len, 0);
}
END_TEST

START_TEST(stopping_the_unit_flushes_it_first)
{
	struct tst t;

	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, "ld0;allow=power");
	tst_do(&t, &x, "\x1b\0\0\0\0\0", 6, 0);
	assert_good(&t);
	ck_assert_uint_eq(x.fake->n_log, 2);
	ck_assert_uint_eq(x.fake->log[0].kind, HBA_REQ_FLUSH);
	ck_assert_uint_eq(x.fake->log[1].cdb0, 0x1b);
	ck_assert_uint_ge(x.fake->log[1].timeout_ms, 120000);
	tst_fini(&t);
	tst_do(&t, &x, "\x1b\0\0\0\x01\0", 6, 0); /* START */
	tst_fini(&t);
	tst_do(&t, &x, "\x1b\0\0\0\x04\0", 6, 0); /* NO_FLUSH */
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 4);
	/* Not stopped when its cache could not be written. */
	x.fake->fault.count = 1;
	x.fake->fault.kind = HBA_REQ_FLUSH;
	x.fake->fault.result = HBA_IO_ERROR;
	tst_do(&t, &x, "\x1b\0\0\0\0\0", 6, 0);
	assert_check(&t, 0x04, 0x44, 0x00);
	ck_assert_uint_eq(x.disk->cdbs[0x1b], 3);
	tst_fini(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi verify");
	TCase *c = tcase_create("verify");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, the_unit_verifies_in_pieces_that_end);
	tcase_add_test(c, a_medium_error_found_by_the_unit_comes_through);
	tcase_add_test(c, a_unit_without_verify_is_read_once_and_for_ever);
	tcase_add_test(c, with_native_fua_a_unit_without_verify_is_read_with_it);
	tcase_add_test(c, verify_without_bytchk_ignores_data_that_comes_along);
	tcase_add_test(c, verify_is_checked_against_the_end_of_the_medium);
	tcase_add_test(c, equal_data_is_good);
	tcase_add_loop_test(c, the_first_difference_is_a_miscompare_with_its_lba, 0, 6);
	tcase_add_test(c, one_block_is_compared_with_each);
	tcase_add_test(c, one_block_with_each_holds_up_nobody);
	tcase_add_test(c, data_of_another_length_and_reserved_bytchk_are_refused);
	tcase_add_test(c, verify_takes_dpo_and_looks_at_no_reserved_bits);
	tcase_add_test(c, a_read_error_while_comparing_is_no_miscompare);
	tcase_add_test(c, test_unit_ready_asks_the_unit);
	tcase_add_test(c, stopping_the_unit_flushes_it_first);
	suite_add_tcase(s, c);
	return run_suite(s);
}
