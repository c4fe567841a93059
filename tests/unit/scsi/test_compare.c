/* SPDX-License-Identifier: GPL-2.0-or-later */
/* COMPARE AND WRITE and ORWRITE. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/endian.h"
#include "fixture.h"

#define BLOCKS 16384
#define MOST   128 /* 64 KiB of scratch */

static struct fx x;

static void setup(void)
{
	fx_setup(&x, BLOCKS);
}
static void teardown(void)
{
	fx_teardown(&x);
}

static void caw_cdb(uint8_t cdb[16], uint8_t bits, uint64_t lba, uint8_t n)
{
	memset(cdb, 0, 16);
	cdb[0] = 0x89;
	cdb[1] = bits;
	put_be64(cdb + 2, lba);
	cdb[13] = n;
}

/* First half: what f's disk has; second half: a sequence. */
static void caw_init(struct tst *t, struct fx *f, uint8_t bits, uint64_t lba, uint8_t n, unsigned pieces)
{
	size_t half = (size_t)n * f->disk->block_size;
	uint8_t cdb[16];

	caw_cdb(cdb, bits, lba, n);
	tst_init(t, f->lun, cdb, 16, 2 * half, n ? pieces : 0);
	tst_fill(t, 0x42);
	memcpy(t->buf, f->disk->store + lba * f->disk->block_size, half);
}

/* --- COMPARE AND WRITE --- */

START_TEST(equal_data_is_replaced)
{
	static const uint8_t counts[] = {1, 2, 16, 17, MOST};
	struct tst t;

	caw_init(&t, &x, 0, 77, counts[_i], 5);
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_good(&t);
	ck_assert_uint_eq(t.task.dir, DMA_TO_DEVICE);
	ck_assert_uint_eq(t.task.in_bytes, 0);
	ck_assert_mem_eq(x.disk->store + 77 * 512, t.buf + t.len / 2, t.len / 2);
	ck_assert(is_pattern(x.disk->store + 76 * 512, 76, 512, 512));
	ck_assert(is_pattern(x.disk->store + (77 + counts[_i]) * 512, 77 + counts[_i], 512, 512));
	/* one read, one write */
	ck_assert_uint_eq(x.fake->n_log, 2);
	ck_assert_uint_eq(x.fake->log[0].dir, DMA_FROM_DEVICE);
	ck_assert_uint_eq(x.fake->log[1].dir, DMA_TO_DEVICE);
	ck_assert_uint_eq(x.fake->log[1].lba, 77);
	ck_assert_uint_eq(x.fake->log[1].nblocks, counts[_i]);
	tst_fini(&t);
}
END_TEST

/* SBC-3: the sense data's INFORMATION is an offset in data-out, not an LBA. */
START_TEST(the_first_difference_is_told_by_its_offset_and_nothing_is_written)
{
	static const unsigned at[] = {0, 1, 511, 512, 1000, 4095, 8192, MOST * 512 - 1};
	uint8_t before[MOST * 512];
	struct tst t;

	memcpy(before, x.disk->store + 5 * 512, sizeof(before));
	caw_init(&t, &x, 0, 5, MOST, 7);
	t.buf[at[_i]] ^= 0x01;
	t.buf[MOST * 512 - 1] ^= 0x10;
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_check(&t, 0x0e, 0x1d, 0x00);
	ck_assert_uint_eq(t.task.sense[0], 0xf0);
	ck_assert_uint_eq(get_be32(t.task.sense + 3), at[_i]);
	ck_assert_mem_eq(x.disk->store + 5 * 512, before, sizeof(before));
	ck_assert_uint_eq(x.fake->n_log, 1);
	tst_fini(&t);
}
END_TEST

START_TEST(more_blocks_than_the_page_says_are_refused)
{
	uint8_t cdb[16];
	struct tst t;

	tst_do(&t, &x, "\x12\x01\xb0\0\xff\0", 6, 255);
	ck_assert_uint_eq(t.buf[5], MOST);
	tst_fini(&t);
	for (unsigned n = MOST + 1; n < 256; n++) {
		caw_cdb(cdb, 0, 0, (uint8_t)n);
		tst_do(&t, &x, cdb, 16, n * 1024U);
		assert_check(&t, 0x05, 0x24, 0x00);
		ck_assert_mem_eq(t.task.sense + 15, "\xcf\x00\x0d", 3);
		tst_fini(&t);
	}
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(blocks_of_4096_bytes_are_fewer)
{
	struct fake *f = fake_new(1, 2048, 4096);
	uint8_t cdb[16];
	struct fx big;
	struct tst t;

	fx_attach(&big, f);
	tst_do(&t, &big, "\x12\x01\xb0\0\xff\0", 6, 255);
	ck_assert_uint_eq(t.buf[5], 16);
	tst_fini(&t);
	caw_init(&t, &big, 0, 3, 16, 3);
	t.buf[4097] ^= 1;
	tst_submit(&t);
	fake_run(f, 0);
	assert_check(&t, 0x0e, 0x1d, 0x00);
	ck_assert_uint_eq(get_be32(t.task.sense + 3), 4097);
	tst_fini(&t);
	caw_cdb(cdb, 0, 0, 17);
	tst_do(&t, &big, cdb, 16, 17 * 8192);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	fx_teardown(&big);
}
END_TEST

/* What is written is written by one request, so that no power cut leaves half of it. */
START_TEST(no_more_is_offered_than_one_request_of_the_controller_writes)
{
	static const struct {
		uint32_t max_transfer, block_size;
		uint8_t most;
	} rows[] = {{1536, 512, 3}, {512, 512, 1}, {4095, 512, 7}, {65535, 512, 127}, {65536, 512, 128},
		{131072, 512, 128}, {4096, 4096, 1}, {12287, 4096, 2}, {131072, 4096, 16}};
	uint32_t bs = rows[_i].block_size;
	uint8_t most = rows[_i].most, cdb[16];
	struct fake *f = fake_new(1, BLOCKS * 512 / bs, bs);
	struct fx small;
	struct tst t;

	f->hba.limits.max_transfer = rows[_i].max_transfer;
	fx_attach(&small, f);
	tst_do(&t, &small, "\x12\x01\xb0\0\xff\0", 6, 255);
	ck_assert_uint_eq(t.buf[5], most);
	tst_fini(&t);
	caw_cdb(cdb, 0, 0, (uint8_t)(most + 1));
	tst_do(&t, &small, cdb, 16, (most + 1U) * 2 * bs);
	assert_check(&t, 0x05, 0x24, 0x00);
	ck_assert_mem_eq(t.task.sense + 15, "\xcf\x00\x0d", 3);
	tst_fini(&t);
	ck_assert_uint_eq(f->n_log, 0);
	caw_init(&t, &small, 0, 9, most, 4);
	tst_submit(&t);
	fake_run(f, 3);
	assert_good(&t);
	ck_assert_uint_eq(f->n_log, 2);
	ck_assert_int_eq(f->log[0].dir, DMA_FROM_DEVICE);
	ck_assert_int_eq(f->log[1].dir, DMA_TO_DEVICE);
	ck_assert_uint_eq(f->log[1].len, most * bs);
	ck_assert_mem_eq(f->disk[0].store + 9 * bs, t.buf + most * bs, most * bs);
	tst_fini(&t);
	fx_teardown(&small);
}
END_TEST

START_TEST(compare_and_write_is_checked_against_the_end_of_the_medium)
{
	static const struct {
		uint64_t lba;
		uint8_t n;
		bool in_range;
	} rows[] = {{BLOCKS - 1, 1, true}, {BLOCKS - 1, 2, false}, {BLOCKS, 1, false}, {BLOCKS, 0, true},
		{BLOCKS + 1, 0, false}, {0, 0, true}, {UINT64_MAX, 1, false}, {UINT64_MAX, 0, false},
		{UINT64_C(1) << 63, 1, false}, {UINT64_C(1) << 32, 1, false}};
	uint8_t cdb[16];
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		caw_cdb(cdb, 0, rows[i].lba, rows[i].n);
		tst_init(&t, x.lun, cdb, 16, rows[i].n * 1024U, rows[i].n ? 1 : 0);
		t.filled = true;
		if (rows[i].in_range && rows[i].n)
			memcpy(t.buf, x.disk->store + rows[i].lba * 512, 512);
		if (rows[i].n)
			memset(t.buf + rows[i].n * 512, POISON, rows[i].n * 512);
		tst_submit(&t);
		fake_run(x.fake, 0);
		if (rows[i].in_range)
			assert_good(&t);
		else
			assert_check(&t, 0x05, 0x21, 0x00);
		tst_fini(&t);
	}
	ck_assert_uint_eq(x.fake->n_log, 2);
}
END_TEST

/* Bytes 10 to 12 are reserved: the number of blocks is one byte. */
START_TEST(reserved_bytes_are_no_length)
{
	struct tst t;

	caw_init(&t, &x, 0, 0, 1, 1);
	memset(t.task.cdb + 10, 0xff, 3);
	t.task.cdb[14] = 0xff; /* group number */
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_good(&t);
	ck_assert_uint_eq(x.fake->log[1].nblocks, 1);
	tst_fini(&t);
}
END_TEST

START_TEST(data_of_another_length_is_refused)
{
	static const struct {
		uint8_t n;
		uint32_t bytes;
	} rows[] = {{1, 512}, {1, 1023}, {1, 1025}, {1, 2048}, {1, 0}, {0, 1024}, {3, 2048}, {2, 1024}};
	uint8_t cdb[16];
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		caw_cdb(cdb, 0, 0, rows[i].n);
		tst_do(&t, &x, cdb, 16, rows[i].bytes);
		assert_check(&t, 0x05, 0x0e, 0x03);
		tst_fini(&t);
	}
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(protection_and_write_protection_are_kept)
{
	struct scsi_lun *ro;
	struct tst t;

	for (unsigned op = 0x89; op <= 0x8b; op += 2) {
		uint8_t cdb[16] = {(uint8_t)op, 0x20};

		tst_do(&t, &x, cdb, 16, 0);
		assert_check(&t, 0x05, 0x24, 0x00);
		ck_assert_mem_eq(t.task.sense + 15, "\xcf\x00\x01", 3);
		tst_fini(&t);
	}
	ro = fx_lun(&x, "ld0;ro=1");
	for (unsigned op = 0x89; op <= 0x8b; op += 2) {
		uint8_t cdb[16] = {(uint8_t)op};

		cdb[13] = 1;
		tst_init(&t, ro, cdb, 16, op == 0x89 ? 1024 : 512, 1);
		tst_submit(&t);
		assert_check(&t, 0x07, 0x27, 0x00);
		tst_fini(&t);
	}
	scsi_lun_destroy(ro);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(fua_reads_after_a_flush_and_flushes_what_it_wrote)
{
	static const enum hba_req_kind kinds[] = {HBA_REQ_FLUSH, HBA_REQ_RW, HBA_REQ_RW, HBA_REQ_FLUSH};
	struct tst t;

	caw_init(&t, &x, 0x18, 4, 2, 1);
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_good(&t);
	ck_assert_uint_eq(x.fake->n_log, 4);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(x.fake->log[i].kind, kinds[i]);
	ck_assert(x.fake->log[1].dpo && x.fake->log[2].dpo && !x.fake->log[2].fua);
	ck_assert(!x.disk->dirty);
	tst_fini(&t);
	/* Not written when the last flush fails: nobody knows. */
	caw_init(&t, &x, 0x08, 4, 2, 1);
	x.fake->fault.skip = 1;
	x.fake->fault.count = 1;
	x.fake->fault.kind = HBA_REQ_FLUSH;
	x.fake->fault.result = HBA_IO_ERROR;
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_check(&t, 0x04, 0x44, 0x00);
	tst_fini(&t);
}
END_TEST

START_TEST(native_fua_goes_with_both_steps)
{
	struct fake *f = fake_new(1, BLOCKS, 512);
	struct fx native;
	struct tst t;

	f->hba.fua_native = true;
	fx_attach(&native, f);
	caw_init(&t, &native, 0x08, 4, 2, 1);
	tst_submit(&t);
	fake_run(f, 0);
	assert_good(&t);
	ck_assert_uint_eq(f->n_log, 2);
	ck_assert(f->log[0].fua && f->log[1].fua);
	tst_fini(&t);
	fx_teardown(&native);
}
END_TEST

START_TEST(an_unreadable_block_is_no_miscompare)
{
	struct tst t;

	x.disk->bad_lba = 6;
	caw_init(&t, &x, 0, 5, 3, 1);
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_check(&t, 0x03, 0x11, 0x00);
	ck_assert_uint_eq(get_be32(t.task.sense + 3), 6);
	ck_assert_uint_eq(x.fake->n_log, 1);
	tst_fini(&t);
}
END_TEST

START_TEST(a_write_that_fails_fails_the_command)
{
	struct tst t;

	x.fake->fault.count = 1;
	x.fake->fault.skip = 1;
	x.fake->fault.kind = HBA_REQ_RW;
	x.fake->fault.result = HBA_TIMEOUT;
	caw_init(&t, &x, 0, 5, 3, 1);
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_check(&t, 0x0b, 0x08, 0x01);
	tst_fini(&t);
}
END_TEST

/* --- ORWRITE --- */

START_TEST(bits_are_added_and_none_is_taken)
{
	static const uint32_t counts[] = {1, 3, 127, 128, 129, 256, 1000};
	uint32_t n = counts[_i];
	static uint8_t want[1000 * 512];
	uint8_t cdb[16];
	struct tst t;

	cdb16(cdb, 0x8b, 0, 33, n);
	tst_init(&t, x.lun, cdb, 16, n * 512, 7);
	tst_fill(&t, 0x19);
	for (uint32_t i = 0; i < n * 512; i++)
		want[i] = x.disk->store[33 * 512 + i] | t.buf[i];
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_good(&t);
	ck_assert_mem_eq(x.disk->store + 33 * 512, want, n * 512);
	ck_assert(is_pattern(x.disk->store + 32 * 512, 32, 512, 512));
	ck_assert(is_pattern(x.disk->store + (33 + n) * 512, 33 + n, 512, 512));
	ck_assert_uint_eq(x.fake->n_log, 2 * ((n + 127) / 128));
	tst_fini(&t);
}
END_TEST

START_TEST(orwrite_counts_what_it_wrote)
{
	struct scsi_lun_stats stats;
	uint8_t cdb[16];
	struct tst t;

	cdb16(cdb, 0x8b, 0, 0, 300);
	tst_do(&t, &x, cdb, 16, 300 * 512);
	assert_good(&t);
	free(t.buf);
	scsi_lun_get_stats(x.lun, &stats);
	ck_assert_uint_eq(stats.writes, 1);
	ck_assert_uint_eq(stats.write_bytes, 300 * 512);
}
END_TEST

START_TEST(orwrite_with_small_requests_mixes_nothing_up)
{
	struct fake *f = fake_new(1, BLOCKS, 512);
	static uint8_t want[200 * 512];
	struct fx small;
	uint8_t cdb[16];
	struct tst t;

	f->hba.limits.max_transfer = 3584; /* does not divide the scratch buffer */
	fx_attach(&small, f);
	cdb16(cdb, 0x8b, 0, 1, 200);
	tst_init(&t, small.lun, cdb, 16, sizeof(want), 13);
	tst_fill(&t, 0x70);
	for (uint32_t i = 0; i < sizeof(want); i++)
		want[i] = f->disk[0].store[512 + i] | t.buf[i];
	tst_submit(&t);
	fake_run(f, 0);
	assert_good(&t);
	ck_assert_mem_eq(f->disk[0].store + 512, want, sizeof(want));
	tst_fini(&t);
	fx_teardown(&small);
}
END_TEST

START_TEST(orwrite_is_checked_like_a_write)
{
	uint8_t cdb[16];
	struct tst t;

	cdb16(cdb, 0x8b, 0, BLOCKS, 0);
	tst_do(&t, &x, cdb, 16, 0);
	assert_good(&t);
	tst_fini(&t);
	cdb16(cdb, 0x8b, 0, BLOCKS + 1, 0);
	tst_do(&t, &x, cdb, 16, 0);
	assert_check(&t, 0x05, 0x21, 0x00);
	tst_fini(&t);
	cdb16(cdb, 0x8b, 0, BLOCKS - 1, 2);
	tst_do(&t, &x, cdb, 16, 1024);
	assert_check(&t, 0x05, 0x21, 0x00);
	tst_fini(&t);
	cdb16(cdb, 0x8b, 0, UINT64_MAX, UINT32_MAX);
	tst_do(&t, &x, cdb, 16, 1024);
	assert_check(&t, 0x05, 0x21, 0x00);
	tst_fini(&t);
	cdb16(cdb, 0x8b, 0, 0, 2);
	tst_do(&t, &x, cdb, 16, 1536);
	assert_check(&t, 0x05, 0x0e, 0x03);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(orwrite_with_fua_flushes_once_before_and_once_after)
{
	uint8_t cdb[16];
	struct tst t;

	cdb16(cdb, 0x8b, 0x08, 0, 300);
	tst_do(&t, &x, cdb, 16, 300 * 512);
	assert_good(&t);
	free(t.buf);
	ck_assert_uint_eq(x.fake->n_log, 8);
	for (unsigned i = 0; i < 8; i++)
		ck_assert_uint_eq(x.fake->log[i].kind, i == 0 || i == 7 ? HBA_REQ_FLUSH : HBA_REQ_RW);
}
END_TEST

START_TEST(an_orwrite_that_fails_half_way_says_where)
{
	uint8_t cdb[16];
	struct tst t;

	x.disk->bad_lba = 200;
	cdb16(cdb, 0x8b, 0, 0, 300);
	tst_do(&t, &x, cdb, 16, 300 * 512);
	assert_check(&t, 0x03, 0x11, 0x00);
	ck_assert_uint_eq(get_be32(t.task.sense + 3), 200);
	ck_assert_uint_eq(x.fake->n_log, 3);
	free(t.buf);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi compare");
	TCase *c = tcase_create("compare");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, equal_data_is_replaced, 0, 5);
	tcase_add_loop_test(c, the_first_difference_is_told_by_its_offset_and_nothing_is_written, 0, 8);
	tcase_add_test(c, more_blocks_than_the_page_says_are_refused);
	tcase_add_test(c, blocks_of_4096_bytes_are_fewer);
	tcase_add_loop_test(c, no_more_is_offered_than_one_request_of_the_controller_writes, 0, 9);
	tcase_add_test(c, compare_and_write_is_checked_against_the_end_of_the_medium);
	tcase_add_test(c, reserved_bytes_are_no_length);
	tcase_add_test(c, data_of_another_length_is_refused);
	tcase_add_test(c, protection_and_write_protection_are_kept);
	tcase_add_test(c, fua_reads_after_a_flush_and_flushes_what_it_wrote);
	tcase_add_test(c, native_fua_goes_with_both_steps);
	tcase_add_test(c, an_unreadable_block_is_no_miscompare);
	tcase_add_test(c, a_write_that_fails_fails_the_command);
	tcase_add_loop_test(c, bits_are_added_and_none_is_taken, 0, 7);
	tcase_add_test(c, orwrite_counts_what_it_wrote);
	tcase_add_test(c, orwrite_with_small_requests_mixes_nothing_up);
	tcase_add_test(c, orwrite_is_checked_like_a_write);
	tcase_add_test(c, orwrite_with_fua_flushes_once_before_and_once_after);
	tcase_add_test(c, an_orwrite_that_fails_half_way_says_where);
	suite_add_tcase(s, c);
	return run_suite(s);
}
