/* SPDX-License-Identifier: GPL-2.0-or-later */
/* WRITE AND VERIFY, WRITE ATOMIC, and the commands with CDBs of 32 bytes. */
#include <stdlib.h>
#include <string.h>
#include "base/endian.h"
#include "fixture.h"

#define BLOCKS 16384
#define BYTCHK 0x02

static struct fx x;

static void setup(void)
{
	fx_setup(&x, BLOCKS);
}
static void teardown(void)
{
	fx_teardown(&x);
}

static void cdb12(uint8_t cdb[12], uint8_t opcode, uint8_t bits, uint32_t lba, uint32_t n)
{
	memset(cdb, 0, 12);
	cdb[0] = opcode;
	cdb[1] = bits;
	put_be32(cdb + 2, lba);
	put_be32(cdb + 6, n);
}

/* SBC-3 table of READ(32): bits of byte 1 in byte 10, LBA at 12, length at 28. */
static void cdb32(uint8_t cdb[32], uint8_t sa, uint8_t bits, uint64_t lba, uint32_t n)
{
	memset(cdb, 0, 32);
	cdb[0] = 0x7f;
	cdb[7] = 0x18;
	cdb[9] = sa;
	cdb[10] = bits;
	put_be64(cdb + 12, lba);
	put_be32(cdb + 28, n);
}

/* WRITE AND VERIFY of each length */
static size_t wv_cdb(uint8_t cdb[32], unsigned which, uint8_t bits, uint32_t lba, uint16_t n)
{
	switch (which) {
	case 0:
		cdb10(cdb, 0x2e, bits, lba, n);
		return 10;
	case 1:
		cdb12(cdb, 0xae, bits, lba, n);
		return 12;
	case 2:
		cdb16(cdb, 0x8e, bits, lba, n);
		return 16;
	default:
		cdb32(cdb, 0x0c, bits, lba, n);
		return 32;
	}
}

static void wv_init(struct tst *t, struct fx *f, unsigned which, uint8_t bits, uint32_t lba, uint16_t n)
{
	uint8_t cdb[32];
	size_t len = wv_cdb(cdb, which, bits, lba, n);

	tst_init(t, f->lun, cdb, len, (size_t)n * 512, n ? 3 : 0);
	tst_fill(t, 0x31);
}

/* --- WRITE AND VERIFY --- */

START_TEST(data_is_written_flushed_and_verified_by_the_unit)
{
	struct tst t;

	wv_init(&t, &x, (unsigned)_i, 0, 40, 600);
	tst_submit(&t);
	fake_run(x.fake, 9);
	assert_good(&t);
	ck_assert_uint_eq(t.task.dir, DMA_TO_DEVICE);
	ck_assert_mem_eq(x.disk->store + 40 * 512, t.buf, t.len);
	/* 3 pieces of 128 KiB, then the cache, then VERIFY(10) of all */
	ck_assert_uint_eq(x.fake->n_log, 5);
	ck_assert_uint_eq(x.fake->log[2].dir, DMA_TO_DEVICE);
	ck_assert_uint_eq(x.fake->log[3].kind, HBA_REQ_FLUSH);
	ck_assert_uint_eq(x.fake->log[4].cdb0, 0x2f);
	ck_assert_uint_eq(x.fake->log[4].lba, 40);
	tst_fini(&t);
}
END_TEST

START_TEST(bytchk_reads_back_what_was_written)
{
	struct tst t;

	wv_init(&t, &x, (unsigned)_i, BYTCHK, 40, 200);
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_good(&t);
	/* write; flush; two buffers of 64 KiB */
	ck_assert_uint_eq(x.fake->n_log, 4);
	ck_assert_uint_eq(x.fake->log[1].kind, HBA_REQ_FLUSH);
	ck_assert_uint_eq(x.fake->log[2].dir, DMA_FROM_DEVICE);
	ck_assert_uint_eq(x.fake->log[3].lba, 40 + 128);
	ck_assert_uint_eq(x.disk->cdbs[0x2f], 0);
	tst_fini(&t);
}
END_TEST

START_TEST(a_medium_that_took_something_else_is_a_miscompare)
{
	struct tst t;

	wv_init(&t, &x, 0, BYTCHK, 40, 200);
	tst_submit(&t);
	fake_complete(x.fake, 0);
	x.disk->store[(40 + 150) * 512 + 3] ^= 1;
	fake_run(x.fake, 0);
	assert_check(&t, 0x0e, 0x1d, 0x00);
	ck_assert_uint_eq(get_be32(t.task.sense + 3), 190);
	tst_fini(&t);
}
END_TEST

START_TEST(native_fua_writes_and_reads_through)
{
	struct fake *f = fake_new(1, BLOCKS, 512);
	struct fx native;
	struct tst t;

	f->hba.fua_native = true;
	fx_attach(&native, f);
	wv_init(&t, &native, 2, BYTCHK, 40, 4);
	tst_submit(&t);
	fake_run(f, 0);
	assert_good(&t);
	ck_assert_uint_eq(f->n_log, 2);
	ck_assert(f->log[0].fua && f->log[1].fua);
	tst_fini(&t);
	fx_teardown(&native);
}
END_TEST

/* Read instead of verified, and into nowhere: not written from there. */
START_TEST(a_unit_without_verify_has_its_data_read_back_and_kept)
{
	static const bool known[] = {false, true};
	struct tst t;

	x.disk->verify = false;
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(x.disk->cdbs[0x2f], known[i]);
		wv_init(&t, &x, 0, 0, 40, 600);
		tst_submit(&t);
		fake_run(x.fake, 0);
		assert_good(&t);
		ck_assert_mem_eq(x.disk->store + 40 * 512, t.buf, t.len);
		ck_assert_uint_eq(x.fake->log[x.fake->n_log - 1].dir, DMA_FROM_DEVICE);
		tst_fini(&t);
	}
	x.disk->bad_lba = 300;
	tst_do(&t, &x, "\x2f\0\0\0\x01\0\0\x01\0\0", 10, 0);
	assert_check(&t, 0x03, 0x11, 0x00);
	tst_fini(&t);
}
END_TEST

START_TEST(what_could_not_be_written_is_not_verified)
{
	struct tst t;

	x.disk->bad_lba = 41;
	wv_init(&t, &x, 0, BYTCHK, 40, 4);
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_check(&t, 0x03, 0x11, 0x00);
	ck_assert_uint_eq(x.fake->n_log, 1);
	tst_fini(&t);
	/* Nor when the cache could not be written out. */
	x.disk->bad_lba = UINT64_MAX;
	x.fake->fault.count = 1;
	x.fake->fault.kind = HBA_REQ_FLUSH;
	x.fake->fault.result = HBA_IO_ERROR;
	wv_init(&t, &x, 0, BYTCHK, 40, 4);
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_check(&t, 0x04, 0x44, 0x00);
	ck_assert_uint_eq(x.fake->n_log, 3);
	tst_fini(&t);
}
END_TEST

/* BYTCHK 10b and 11b are reserved here. */
START_TEST(write_and_verify_is_checked_like_a_write)
{
	unsigned which = (unsigned)_i, bits_at = which == 3 ? 10 : 1;
	uint8_t cdb[32], sks[3] = {0xca, 0x00, (uint8_t)bits_at};
	struct scsi_lun *ro = fx_lun(&x, "ld0;ro=1");
	struct tst t;

	for (uint8_t bytchk = 2; bytchk < 4; bytchk++) {
		wv_init(&t, &x, which, (uint8_t)(bytchk << 1), 0, 1);
		tst_submit(&t);
		assert_check(&t, 0x05, 0x24, 0x00);
		ck_assert_mem_eq(t.task.sense + 15, sks, 3);
		tst_fini(&t);
	}
	wv_init(&t, &x, which, 0x20, 0, 1);
	tst_submit(&t);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	wv_init(&t, &x, which, BYTCHK, BLOCKS - 1, 2);
	tst_submit(&t);
	assert_check(&t, 0x05, 0x21, 0x00);
	tst_fini(&t);
	wv_init(&t, &x, which, BYTCHK, BLOCKS + 1, 0);
	tst_submit(&t);
	assert_check(&t, 0x05, 0x21, 0x00);
	tst_fini(&t);
	wv_init(&t, &x, which, BYTCHK, BLOCKS, 0);
	tst_submit(&t);
	assert_good(&t);
	tst_fini(&t);
	tst_do(&t, &x, cdb, wv_cdb(cdb, which, BYTCHK, 0, 2), 512);
	assert_check(&t, 0x05, 0x0e, 0x03);
	tst_fini(&t);
	wv_init(&t, &x, which, 0, 0, 1);
	t.task.lun = ro;
	tst_submit(&t);
	assert_check(&t, 0x07, 0x27, 0x00);
	tst_fini(&t);
	scsi_lun_destroy(ro);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

/* --- CDBs of 32 bytes --- */

START_TEST(long_reads_writes_and_verifies_do_what_the_short_ones_do)
{
	uint8_t cdb[32];
	struct tst w, r, v;

	cdb32(cdb, 0x0b, 0x18, 1000, 9);
	/* reference and application tags: nothing without protection information */
	memset(cdb + 20, 0xff, 8);
	cdb[6] = 0x3f; /* group number */
	tst_init(&w, x.lun, cdb, 32, 9 * 512, 2);
	tst_fill(&w, 0x55);
	tst_submit(&w);
	fake_run(x.fake, 0);
	assert_good(&w);
	ck_assert_mem_eq(x.disk->store + 1000 * 512, w.buf, w.len);
	ck_assert(x.fake->log[0].dpo);
	ck_assert_uint_eq(x.fake->log[1].kind, HBA_REQ_FLUSH);
	cdb32(cdb, 0x09, 0x08, 1000, 9);
	tst_do(&r, &x, cdb, 32, 9 * 512);
	assert_good(&r);
	ck_assert_uint_eq(r.task.dir, DMA_FROM_DEVICE);
	ck_assert_mem_eq(r.buf, w.buf, w.len);
	ck_assert_uint_eq(x.fake->log[2].kind, HBA_REQ_FLUSH);
	cdb32(cdb, 0x0a, BYTCHK, 1000, 9);
	tst_init(&v, x.lun, cdb, 32, 9 * 512, 4);
	memcpy(v.buf, w.buf, w.len);
	v.buf[3 * 512]++;
	v.filled = true;
	tst_submit(&v);
	fake_run(x.fake, 0);
	assert_check(&v, 0x0e, 0x1d, 0x00);
	ck_assert_uint_eq(get_be32(v.task.sense + 3), 1003);
	tst_fini(&w);
	tst_fini(&r);
	tst_fini(&v);
}
END_TEST

START_TEST(long_commands_are_checked_against_medium_and_protection)
{
	static const uint8_t actions[] = {0x09, 0x0a, 0x0b, 0x0c};
	uint8_t cdb[32];
	struct tst t;

	for (unsigned i = 0; i < sizeof(actions); i++) {
		cdb32(cdb, actions[i], 0, BLOCKS, 1);
		tst_do(&t, &x, cdb, 32, 512);
		assert_check(&t, 0x05, 0x21, 0x00);
		tst_fini(&t);
		cdb32(cdb, actions[i], 0, UINT64_MAX, UINT32_MAX);
		tst_do(&t, &x, cdb, 32, 512);
		assert_check(&t, 0x05, 0x21, 0x00);
		tst_fini(&t);
		cdb32(cdb, actions[i], 0x20, 0, 1);
		tst_do(&t, &x, cdb, 32, 512);
		assert_check(&t, 0x05, 0x24, 0x00);
		ck_assert_mem_eq(t.task.sense + 15, "\xcf\x00\x0a", 3);
		tst_fini(&t);
		cdb32(cdb, actions[i], 0, BLOCKS, 0);
		tst_do(&t, &x, cdb, 32, 0);
		assert_good(&t);
		tst_fini(&t);
	}
	/* bits of the shorter CDBs mean nothing at byte 1: that is CONTROL here */
	cdb32(cdb, 0x09, 0, 0, 1);
	cdb[1] = 0xe0;
	tst_do(&t, &x, cdb, 32, 512);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

/* --- WRITE ATOMIC(16) --- */

/* A unit that writes up to max blocks atomically, in steps of gran at multiples of align */
static void atomic_unit(struct fx *f, uint32_t max, uint32_t align, uint32_t gran)
{
	struct fake *fake = fake_new(1, BLOCKS, 512);
	struct fake_page *p = &fake->disk[0].vpd[0xb0];

	put_be32(p->data + 44, max);
	put_be32(p->data + 48, align);
	put_be32(p->data + 52, gran);
	put_be32(p->data + 56, max);
	put_be32(p->data + 60, max);
	fx_attach(f, fake);
}

static void atomic_cdb(uint8_t cdb[16], uint8_t bits, uint64_t lba, uint16_t boundary, uint16_t n)
{
	memset(cdb, 0, 16);
	cdb[0] = 0x9c;
	cdb[1] = bits;
	put_be64(cdb + 2, lba);
	put_be16(cdb + 10, boundary);
	put_be16(cdb + 12, n);
}

START_TEST(a_unit_that_promises_nothing_is_offered_no_atomic_write)
{
	struct fx none;
	uint8_t cdb[16];
	struct tst t;

	/* the last one: a granularity that no single request can keep */
	static const uint32_t limits[][3] = {{0, 0, 0}, {0, 8, 8}, {4096, 512, 512}};

	for (unsigned i = 0; i < ARRAY_SIZE(limits); i++) {
		atomic_unit(&none, limits[i][0], limits[i][1], limits[i][2]);
		atomic_cdb(cdb, 0, 0, 0, 8);
		tst_do(&t, &none, cdb, 16, 4096);
		assert_check(&t, 0x05, 0x20, 0x00);
		tst_fini(&t);
		tst_do(&t, &none, "\x12\x01\xb0\0\xff\0", 6, 255);
		ck_assert_mem_eq(t.buf + 44, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
		tst_fini(&t);
		tst_do(&t, &none, "\xa3\x0c\x01\x9c\0\0\0\0\0\x40\0\0", 12, 64);
		ck_assert_uint_eq(t.buf[1], 1);
		tst_fini(&t);
		fx_teardown(&none);
	}
}
END_TEST

START_TEST(an_atomic_write_is_one_request)
{
	struct fx a;
	uint8_t cdb[16];
	struct tst t;

	atomic_unit(&a, 300, 4, 8); /* a request carries 256 */
	tst_do(&t, &a, "\x12\x01\xb0\0\xff\0", 6, 255);
	ck_assert_mem_eq(t.buf + 44, "\0\0\x01\0\0\0\0\x04\0\0\0\x08\0\0\0\0\0\0\0\0", 20);
	tst_fini(&t);
	atomic_cdb(cdb, 0x18, 12, 0, 256);
	tst_init(&t, a.lun, cdb, 16, 256 * 512, 9);
	tst_fill(&t, 0x66);
	tst_submit(&t);
	fake_run(a.fake, 0);
	assert_good(&t);
	ck_assert_mem_eq(a.disk->store + 12 * 512, t.buf, t.len);
	ck_assert_uint_eq(a.fake->n_log, 2);
	ck_assert_uint_eq(a.fake->log[0].cdb0, 0x9c);
	ck_assert_uint_eq(a.fake->log[0].len, 256 * 512);
	/* FUA: a flush, and no bit that the controller may ignore */
	ck_assert_uint_eq(a.fake->log[1].kind, HBA_REQ_FLUSH);
	tst_fini(&t);
	fx_teardown(&a);
}
END_TEST

START_TEST(no_atomic_write_is_longer_than_one_request)
{
	static const struct {
		uint32_t max_transfer, gran;
		uint8_t most;
	} rows[] = {{1536, 0, 3}, {4095, 0, 7}, {4095, 2, 6}, {8192, 8, 16}, {8191, 8, 8}};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fake *f = fake_new(1, BLOCKS, 512);
		uint8_t cdb[16], most = rows[i].most;
		struct fx a;
		struct tst t;

		put_be32(f->disk[0].vpd[0xb0].data + 44, 300);
		put_be32(f->disk[0].vpd[0xb0].data + 48, 0);
		put_be32(f->disk[0].vpd[0xb0].data + 52, rows[i].gran);
		f->hba.limits.max_transfer = rows[i].max_transfer;
		fx_attach(&a, f);
		tst_do(&t, &a, "\x12\x01\xb0\0\xff\0", 6, 255);
		ck_assert_uint_eq(get_be32(t.buf + 44), most);
		tst_fini(&t);
		for (unsigned n = most; n <= most + MAX(rows[i].gran, 1); n += MAX(rows[i].gran, 1)) {
			atomic_cdb(cdb, 0, 8, 0, (uint16_t)n);
			tst_do(&t, &a, cdb, 16, n * 512);
			ck_assert_uint_eq(t.task.status, n == most ? SCSI_GOOD : SCSI_CHECK_CONDITION);
			tst_fini(&t);
		}
		ck_assert_uint_eq(f->n_log, 1);
		ck_assert_uint_eq(f->log[0].len, most * 512U);
		fx_teardown(&a);
	}
}
END_TEST

START_TEST(an_atomic_write_beyond_the_units_limits_is_refused)
{
	static const struct {
		uint64_t lba;
		uint16_t boundary, n;
		uint8_t field; /* 0: good; 255: LBA out of range */
	} rows[] = {{0, 0, 8, 0}, {4, 0, 16, 0}, {0, 0, 0, 0}, {1, 0, 0, 0}, {BLOCKS - 8, 0, 8, 0},
		{0, 0, 264, 12}, {0, 0, 4, 12}, {0, 0, 9, 12}, {2, 0, 8, 2}, {0, 8, 8, 10},
		{BLOCKS - 4, 0, 8, 255}, {UINT64_MAX - 3, 0, 8, 255}, {BLOCKS + 4, 0, 0, 255}};
	uint8_t cdb[16], sks[3] = {0xcf, 0x00, 0x00};
	struct fx a;
	struct tst t;

	atomic_unit(&a, 300, 4, 8);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		atomic_cdb(cdb, 0, rows[i].lba, rows[i].boundary, rows[i].n);
		tst_do(&t, &a, cdb, 16, rows[i].n * 512U);
		if (rows[i].field == 0) {
			assert_good(&t);
		} else if (rows[i].field == 255) {
			assert_check(&t, 0x05, 0x21, 0x00);
		} else {
			assert_check(&t, 0x05, 0x24, 0x00);
			sks[2] = rows[i].field;
			ck_assert_mem_eq(t.task.sense + 15, sks, 3);
		}
		free(t.buf);
	}
	atomic_cdb(cdb, 0, 0, 0, 8);
	tst_do(&t, &a, cdb, 16, 4095);
	assert_check(&t, 0x05, 0x0e, 0x03);
	tst_fini(&t);
	atomic_cdb(cdb, 0x20, 0, 0, 8);
	tst_do(&t, &a, cdb, 16, 4096);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	ck_assert_uint_eq(a.fake->n_log, 3);
	fx_teardown(&a);
}
END_TEST

/* A read that takes several requests sees all of an atomic write or nothing. */
START_TEST(a_split_read_does_not_see_half_an_atomic_write)
{
	struct fx a;
	uint8_t cdb[16];
	struct tst r, w;

	atomic_unit(&a, 256, 0, 0);
	cdb16(cdb, 0x88, 0, 0, 4096);
	tst_init(&r, a.lun, cdb, 16, 4096 * 512, 1);
	tst_submit(&r);
	fake_complete(a.fake, 0);
	atomic_cdb(cdb, 0, 200, 0, 256);
	tst_init(&w, a.lun, cdb, 16, 256 * 512, 1);
	tst_fill(&w, 1);
	tst_submit(&w);
	fake_run(a.fake, 7);
	assert_good(&r);
	assert_good(&w);
	ck_assert(is_pattern(r.buf, 0, r.len, 512));
	tst_fini(&r);
	tst_fini(&w);
	fx_teardown(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi write and verify");
	TCase *c = tcase_create("wverify");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, data_is_written_flushed_and_verified_by_the_unit, 0, 4);
	tcase_add_loop_test(c, bytchk_reads_back_what_was_written, 0, 4);
	tcase_add_test(c, a_medium_that_took_something_else_is_a_miscompare);
	tcase_add_test(c, native_fua_writes_and_reads_through);
	tcase_add_test(c, a_unit_without_verify_has_its_data_read_back_and_kept);
	tcase_add_test(c, what_could_not_be_written_is_not_verified);
	tcase_add_loop_test(c, write_and_verify_is_checked_like_a_write, 0, 4);
	tcase_add_test(c, long_reads_writes_and_verifies_do_what_the_short_ones_do);
	tcase_add_test(c, long_commands_are_checked_against_medium_and_protection);
	tcase_add_test(c, a_unit_that_promises_nothing_is_offered_no_atomic_write);
	tcase_add_test(c, an_atomic_write_is_one_request);
	tcase_add_test(c, no_atomic_write_is_longer_than_one_request);
	tcase_add_test(c, an_atomic_write_beyond_the_units_limits_is_refused);
	tcase_add_test(c, a_split_read_does_not_see_half_an_atomic_write);
	suite_add_tcase(s, c);
	return run_suite(s);
}
