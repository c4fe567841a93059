/* SPDX-License-Identifier: GPL-2.0-or-later */
/* WRITE SAME: what lands on the disk, in which requests, and what is refused. */
#include <stdlib.h>
#include <string.h>
#include "base/endian.h"
#include "fixture.h"
#include "scsi/scsi.h"

#define BLOCKS 400000 /* more than the longest WRITE SAME and the fake's memory */

static struct fx x;

static void setup(void)
{
	fx_setup(&x, BLOCKS);
}
static void teardown(void)
{
	fx_teardown(&x);
}

static void cdb32(uint8_t cdb[32], uint8_t bits, uint64_t lba, uint32_t n)
{
	memset(cdb, 0, 32);
	cdb[0] = 0x7f;
	cdb[7] = 0x18;
	put_be16(cdb + 8, 0x000d);
	cdb[10] = bits;
	put_be64(cdb + 12, lba);
	put_be32(cdb + 28, n);
}

/* In the form of that length */
static void ws_cdb(uint8_t cdb[32], unsigned len, uint8_t bits, uint64_t lba, uint32_t n)
{
	memset(cdb, 0, 32);
	if (len == 10)
		cdb10(cdb, 0x41, bits, (uint32_t)lba, (uint16_t)n);
	else if (len == 16)
		cdb16(cdb, 0x93, bits, lba, n);
	else
		cdb32(cdb, bits, lba, n);
}

static const struct {
	unsigned len, bits_at, length_at;
} forms[] = {{10, 1, 7}, {16, 1, 10}, {32, 10, 28}};

static void write_same(struct tst *t, unsigned len, uint8_t bits, uint64_t lba, uint32_t n, size_t room)
{
	uint8_t cdb[32];

	ws_cdb(cdb, len, bits, lba, n);
	tst_init(t, x.lun, cdb, len, room, room ? 1 : 0);
	tst_fill(t, 7);
	tst_submit(t);
	fake_run(x.fake, 0);
	ck_assert_uint_eq(t->done, 1);
}

static const uint8_t *block_at(uint64_t lba)
{
	return x.disk->store + lba * 512;
}

static bool is_untouched(uint64_t lba)
{
	return is_pattern(block_at(lba), lba, 512, 512);
}

/* --- what is written --- */

START_TEST(each_form_writes_the_block_to_all_of_the_range_and_to_nothing_else)
{
	static const uint32_t lengths[] = {1, 2, 15, 16, 17, 255, 256, 257, 511, 512, 513, 3000};
	unsigned len = forms[_i].len;
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
		uint32_t n = lengths[i];

		write_same(&t, len, 0, 100, n, 512);
		assert_good(&t);
		for (uint32_t b = 0; b < n; b++)
			ck_assert_mem_eq(block_at(100 + b), t.buf, 512);
		ck_assert(is_untouched(99));
		ck_assert(is_untouched(100 + n));
		tst_fini(&t);
	}
}
END_TEST

START_TEST(big_blocks_are_written_alike)
{
	struct fake *f = fake_new(1, 100000, 4096);
	uint8_t cdb[32];
	struct fx big;
	struct tst t;

	fx_attach(&big, f);
	ws_cdb(cdb, 16, 0, 3, 100);
	tst_init(&t, big.lun, cdb, 16, 4096, 5);
	tst_fill(&t, 9);
	tst_submit(&t);
	fake_run(f, 3);
	assert_good(&t);
	for (unsigned i = 3; i < 103; i++)
		ck_assert_mem_eq(f->disk[0].store + i * 4096, t.buf, 4096);
	ck_assert(is_pattern(f->disk[0].store + 103 * 4096, 103, 4096, 4096));
	ck_assert(is_pattern(f->disk[0].store + 2 * 4096, 2, 4096, 4096));
	tst_fini(&t);
	/* 32 MiB are 8192 of them. */
	ws_cdb(cdb, 16, 0, 0, 8193);
	tst_init(&t, big.lun, cdb, 16, 4096, 1);
	tst_submit(&t);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	fx_teardown(&big);
}
END_TEST

START_TEST(the_last_block_can_be_written)
{
	struct tst t;

	write_same(&t, 16, 0, BLOCKS - 1, 1, 512);
	assert_good(&t);
	ck_assert_uint_eq(x.fake->log[0].lba, BLOCKS - 1);
	tst_fini(&t);
}
END_TEST

START_TEST(the_longest_is_many_large_requests_few_at_once)
{
	uint8_t cdb[32];
	uint64_t sum = 0;
	struct tst t;

	ws_cdb(cdb, 16, 0, 0, 65536);
	tst_init(&t, x.lun, cdb, 16, 512, 1);
	tst_fill(&t, 1);
	tst_submit(&t);
	ck_assert_uint_eq(x.fake->n_flight, 4);
	fake_run(x.fake, 11);
	assert_good(&t);
	ck_assert_uint_le(x.fake->most_in_flight, 4);
	ck_assert_uint_eq(x.fake->n_log, (32 << 20) / 131072);
	for (unsigned i = 0; i < x.fake->n_log; i++) {
		ck_assert_int_eq(x.fake->log[i].kind, HBA_REQ_RW);
		ck_assert_int_eq(x.fake->log[i].dir, DMA_TO_DEVICE);
		sum += x.fake->log[i].len;
	}
	ck_assert_uint_eq(sum, 32 << 20);
	tst_fini(&t);
}
END_TEST

/* A controller that takes a megabyte at once gets no more than the pattern has room for. */
START_TEST(requests_are_no_larger_than_the_pattern)
{
	struct fake *f = fake_new(1, BLOCKS, 512);
	uint8_t cdb[32];
	struct fx wide;
	struct tst t;

	f->hba.limits.max_transfer = 1 << 20;
	fx_attach(&wide, f);
	ws_cdb(cdb, 16, 0, 5, 1500);
	tst_init(&t, wide.lun, cdb, 16, 512, 1);
	tst_fill(&t, 1);
	tst_submit(&t);
	fake_run(f, 0);
	assert_good(&t);
	ck_assert_uint_eq(f->n_log, 2);
	ck_assert_uint_eq(f->log[0].len, 524288);
	for (unsigned i = 5; i < 1505; i++)
		ck_assert_mem_eq(f->disk[0].store + i * 512, t.buf, 512);
	tst_fini(&t);
	fx_teardown(&wide);
}
END_TEST

START_TEST(what_the_initiator_changes_meanwhile_is_not_written)
{
	uint8_t cdb[32], block[512];
	struct tst t;

	ws_cdb(cdb, 16, 0, 0, 4096);
	tst_init(&t, x.lun, cdb, 16, 512, 1);
	tst_fill(&t, 1);
	memcpy(block, t.buf, 512);
	tst_submit(&t);
	fake_complete(x.fake, 0);
	memset(t.buf, 0x5a, 512);
	fake_run(x.fake, 0);
	assert_good(&t);
	for (unsigned i = 0; i < 4096; i++)
		ck_assert_mem_eq(block_at(i), block, 512);
	tst_fini(&t);
}
END_TEST

START_TEST(others_get_their_turn_while_a_long_one_runs)
{
	uint8_t cdb[32];
	struct tst t, r;

	ws_cdb(cdb, 16, 0, 0, 65536);
	tst_init(&t, x.lun, cdb, 16, 512, 1);
	tst_fill(&t, 1);
	tst_submit(&t);
	cdb10(cdb, 0x28, 0, 390000, 8);
	tst_init(&r, x.lun, cdb, 10, 4096, 1);
	tst_submit(&r);
	/* behind the four */
	ck_assert_uint_eq(x.fake->n_flight, 5);
	fake_complete(x.fake, 4);
	assert_good(&r);
	tst_fini(&r);
	fake_run(x.fake, 0);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

/* --- trouble --- */

START_TEST(without_scratch_it_waits)
{
	static struct tst t[65];
	uint8_t cdb[32];

	x.fake->slots = FAKE_MAX_SLOTS;
	for (unsigned i = 0; i < 65; i++) {
		ws_cdb(cdb, 16, 0, i, 1);
		tst_init(&t[i], x.lun, cdb, 16, 512, 1);
		tst_fill(&t[i], (uint8_t)i);
		tst_submit(&t[i]);
	}
	ck_assert_uint_eq(x.fake->n_flight, 64);
	fake_complete(x.fake, 63);
	ck_assert_uint_eq(x.fake->n_flight, 64);
	fake_run(x.fake, 5);
	for (unsigned i = 0; i < 65; i++) {
		assert_good(&t[i]);
		ck_assert_mem_eq(block_at(i), t[i].buf, 512);
		tst_fini(&t[i]);
	}
}
END_TEST

START_TEST(an_error_of_the_unit_ends_it)
{
	struct tst t;

	x.disk->bad_lba = 1000;
	write_same(&t, 16, 0, 0, 65536, 512);
	assert_check(&t, 0x03, 0x11, 0x00);
	ck_assert_uint_eq(get_be32(t.task.sense + 3), 1000);
	ck_assert_uint_le(x.fake->n_log, 8);
	tst_fini(&t);
}
END_TEST

START_TEST(an_abort_stops_it)
{
	uint8_t cdb[32];
	struct tst t;

	ws_cdb(cdb, 16, 0, 0, 65536);
	tst_init(&t, x.lun, cdb, 16, 512, 1);
	tst_fill(&t, 1);
	tst_submit(&t);
	scsi_task_abort(&t.task);
	ck_assert_uint_eq(t.done, 0);
	ck_assert_uint_eq(x.fake->n_aborts, 4);
	fake_run(x.fake, 0);
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(t.task.status, SCSI_TASK_ABORTED);
	ck_assert_uint_eq(x.fake->n_log, 4);
	tst_fini(&t);
}
END_TEST

/* --- refusals --- */

static void assert_refused(
	unsigned len, uint8_t bits, uint64_t lba, uint32_t n, size_t room, const char *field)
{
	struct tst t;

	write_same(&t, len, bits, lba, n, room);
	assert_check(&t, 0x05, 0x24, 0x00);
	ck_assert_mem_eq(t.task.sense + 15, field, 3);
	ck_assert_uint_eq(x.fake->n_log, 0);
	tst_fini(&t);
}

START_TEST(bits_that_need_more_than_writes_are_refused)
{
	char field[3] = {0, 0, (char)forms[_i].bits_at};
	unsigned len = forms[_i].len;

	for (unsigned bit = len == 10 ? 0 : 1; bit < 8; bit++) {
		/* ANCHOR, UNMAP, PBDATA, LBDATA; the protection field is pointed to by its first bit */
		field[0] = (char)(0xc8 | (bit >= 5 ? 7 : bit));
		assert_refused(len, (uint8_t)(1U << bit), 0, 1, 512, field);
	}
}
END_TEST

START_TEST(a_length_of_0_or_beyond_the_limit_is_refused)
{
	char field[3] = {(char)0xcf, 0, (char)forms[_i].length_at};
	unsigned len = forms[_i].len;

	assert_refused(len, 0, 0, 0, 512, field);
	assert_refused(len, 0, 0, 0, 0, field);
	if (len == 10)
		return;
	assert_refused(len, 0, 0, 65537, 512, field);
	assert_refused(len, 0, 0, BLOCKS, 512, field);
}
END_TEST

START_TEST(a_range_that_is_not_on_the_medium_is_refused)
{
	static const struct {
		uint64_t lba;
		uint32_t n;
	} rows[] = {{BLOCKS, 1}, {BLOCKS - 1, 2}, {UINT64_MAX, 1}, {UINT64_MAX, UINT32_MAX},
		{1ULL << 63, 256}, {1, BLOCKS}};
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		write_same(&t, 16, 0, rows[i].lba, rows[i].n, 512);
		assert_check(&t, 0x05, 0x21, 0x00);
		tst_fini(&t);
	}
	write_same(&t, 10, 0, BLOCKS - 255, 256, 512);
	assert_check(&t, 0x05, 0x21, 0x00);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(data_out_of_another_length_than_a_block_is_refused)
{
	static const size_t rooms[] = {0, 1, 256, 511, 513, 1024, 131072};
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(rooms); i++) {
		write_same(&t, forms[_i].len, 0, 0, 4, rooms[i]);
		assert_check(&t, 0x05, 0x0e, 0x03);
		tst_fini(&t);
	}
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

/* Hazard H16: LIO's guards do not see a write without data. */
START_TEST(ndob_writes_zeros_where_it_is_allowed_and_nothing_elsewhere)
{
	static const uint8_t zeros[512];
	struct fx nodata = x;
	struct tst t;

	assert_refused(16, 0x01, 0, 8, 0, "\xc8\x00\x01");
	assert_refused(32, 0x01, 0, 8, 0, "\xc8\x00\x0a");
	nodata.lun = x.lun;
	x.lun = fx_lun(&x, "ld0;allow=nodata");
	for (unsigned i = 1; i < 3; i++) {
		write_same(&t, forms[i].len, 0x01, 10 * i, 8, 0);
		assert_good(&t);
		ck_assert_int_eq(t.task.dir, DMA_NONE);
		for (unsigned b = 0; b < 8; b++)
			ck_assert_mem_eq(block_at(10 * i + b), zeros, 512);
		ck_assert(is_untouched(10 * i - 1));
		ck_assert(is_untouched(10 * i + 8));
		tst_fini(&t);
		/* data that comes all the same */
		write_same(&t, forms[i].len, 0x01, 100, 8, 512);
		assert_check(&t, 0x05, 0x0e, 0x03);
		tst_fini(&t);
	}
	ck_assert(is_untouched(100));
	/* bit 0 of the oldest form is something else */
	write_same(&t, 10, 0x01, 100, 8, 512);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	scsi_lun_destroy(x.lun);
	x.lun = nodata.lun;
}
END_TEST

START_TEST(read_only_refuses_all_forms)
{
	struct scsi_lun *plain = x.lun;
	struct tst t;

	x.lun = fx_lun(&x, "ld0;ro=1;allow=nodata");
	write_same(&t, forms[_i].len, 0, 0, 1, 512);
	assert_check(&t, 0x07, 0x27, 0x00);
	tst_fini(&t);
	write_same(&t, forms[_i].len, 0x01, 0, 1, 0);
	assert_check(&t, 0x07, 0x27, 0x00);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
	scsi_lun_destroy(x.lun);
	x.lun = plain;
}
END_TEST

START_TEST(it_counts_as_a_write_of_all_it_wrote)
{
	struct scsi_lun_stats s;
	struct tst t;

	write_same(&t, 16, 0, 0, 100, 512);
	tst_fini(&t);
	scsi_lun_get_stats(x.lun, &s);
	ck_assert_uint_eq(s.writes, 1);
	ck_assert_uint_eq(s.write_bytes, 51200);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi write same");
	TCase *c = tcase_create("write_same");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, each_form_writes_the_block_to_all_of_the_range_and_to_nothing_else, 0, 3);
	tcase_add_test(c, big_blocks_are_written_alike);
	tcase_add_test(c, the_last_block_can_be_written);
	tcase_add_test(c, the_longest_is_many_large_requests_few_at_once);
	tcase_add_test(c, requests_are_no_larger_than_the_pattern);
	tcase_add_test(c, what_the_initiator_changes_meanwhile_is_not_written);
	tcase_add_test(c, others_get_their_turn_while_a_long_one_runs);
	tcase_add_test(c, without_scratch_it_waits);
	tcase_add_test(c, an_error_of_the_unit_ends_it);
	tcase_add_test(c, an_abort_stops_it);
	tcase_add_loop_test(c, bits_that_need_more_than_writes_are_refused, 0, 3);
	tcase_add_loop_test(c, a_length_of_0_or_beyond_the_limit_is_refused, 0, 3);
	tcase_add_test(c, a_range_that_is_not_on_the_medium_is_refused);
	tcase_add_loop_test(c, data_out_of_another_length_than_a_block_is_refused, 0, 3);
	tcase_add_test(c, ndob_writes_zeros_where_it_is_allowed_and_nothing_elsewhere);
	tcase_add_loop_test(c, read_only_refuses_all_forms, 0, 3);
	tcase_add_test(c, it_counts_as_a_write_of_all_it_wrote);
	suite_add_tcase(s, c);
	return run_suite(s);
}
