/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads and writes: limits of the medium, lengths, splitting, sharing the controller. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/endian.h"
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

/* --- ranges --- */

struct row {
	const char *cdb;
	uint8_t cdb_len;
	uint32_t blocks; /* moved; iov_bytes is that much */
	bool in_range;
	uint64_t lba;
};

/* 16384 = 4000h blocks */
static const struct row read_rows[] = {
	{"\x08\x00\x00\x00\x01\x00", 6, 1, true, 0},
	{"\x08\x00\x00\x00\x00\x00", 6, 256, true, 0}, /* 0 is 256 */
	{"\x08\x00\x3f\xff\x01\x00", 6, 1, true, 0x3fff},
	{"\x08\x00\x3f\xff\x02\x00", 6, 2, false, 0},
	{"\x08\x00\x3f\x00\x00\x00", 6, 256, true, 0x3f00},
	{"\x08\x00\x3f\x01\x00\x00", 6, 256, false, 0},
	{"\x08\xe0\x00\x05\x01\x00", 6, 1, true, 5}, /* reserved bits above the 21 of the LBA */
	{"\x28\x00\x00\x00\x3f\xff\x00\x00\x01\x00", 10, 1, true, 0x3fff},
	{"\x28\x00\x00\x00\x3f\xff\x00\x00\x02\x00", 10, 2, false, 0},
	{"\x28\x00\x00\x00\x40\x00\x00\x00\x01\x00", 10, 1, false, 0},
	{"\x28\x00\x00\x00\x40\x00\x00\x00\x00\x00", 10, 0, true, 0x4000},
	{"\x28\x00\x00\x00\x40\x01\x00\x00\x00\x00", 10, 0, false, 0},
	{"\x28\x00\x00\x00\x00\x00\x00\x00\x00\x00", 10, 0, true, 0},
	{"\x28\x00\xff\xff\xff\xff\x00\x00\x01\x00", 10, 1, false, 0},
	{"\x28\x00\x80\x00\x00\x00\x00\x00\x00\x00", 10, 0, false, 0},
	{"\x28\x00\x00\x00\x10\x00\x1f\x00\x07\x40", 10, 7, true, 0x1000}, /* group number, vendor bits */
	{"\xa8\x00\x00\x00\x3f\xff\x00\x00\x00\x01\x00\x00", 12, 1, true, 0x3fff},
	{"\xa8\x00\x00\x00\x3f\xff\xff\xff\xff\xff\x00\x00", 12, 1, false, 0},
	{"\x88\x00\x00\x00\x00\x00\x00\x00\x3f\xff\x00\x00\x00\x01\x00\x00", 16, 1, true, 0x3fff},
	{"\x88\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00\x00\x01\x00\x00", 16, 1, false, 0},
	{"\x88\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x01\x00\x00", 16, 1, false, 0},
	{"\x88\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00", 16, 0, false, 0},
	{"\x88\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00", 16, 1, false, 0},
	{"\x88\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00", 16, 1, false, 0},
	{"\x88\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00", 16, 1, false, 0},
};

START_TEST(reads_are_checked_against_the_end_of_the_medium)
{
	const struct row *r = &read_rows[_i];
	struct tst t;

	tst_do(&t, &x, r->cdb, r->cdb_len, r->blocks * 512);
	ck_assert_uint_eq(t.task.dir, DMA_FROM_DEVICE);
	if (r->in_range) {
		assert_good(&t);
		ck_assert_uint_eq(t.task.in_bytes, r->blocks * 512);
		ck_assert(is_pattern(t.buf, r->lba, t.len, 512));
	} else {
		assert_check(&t, 0x05, 0x21, 0x00);
		ck_assert_uint_eq(t.task.in_bytes, 0);
		ck_assert_uint_eq(x.fake->n_log, 0);
	}
	tst_fini(&t);
}
END_TEST

/* The same CDBs as writes: opcode + 2. */
START_TEST(writes_are_checked_against_the_end_of_the_medium)
{
	const struct row *r = &read_rows[_i];
	uint8_t cdb[16];
	struct tst t;

	memcpy(cdb, r->cdb, r->cdb_len);
	cdb[0] += 2;
	tst_init(&t, x.lun, cdb, r->cdb_len, r->blocks * 512, r->blocks ? 1 : 0);
	tst_fill(&t, 3);
	tst_submit(&t);
	fake_run(x.fake, 0);
	ck_assert_uint_eq(t.task.dir, DMA_TO_DEVICE);
	if (r->in_range) {
		assert_good(&t);
		ck_assert_mem_eq(x.disk->store + r->lba * 512, t.buf, t.len);
	} else {
		assert_check(&t, 0x05, 0x21, 0x00);
		ck_assert_uint_eq(x.fake->n_log, 0);
	}
	tst_fini(&t);
}
END_TEST

START_TEST(protection_information_is_refused)
{
	static const uint8_t opcodes[] = {0x28, 0xa8, 0x88, 0x2a, 0xaa, 0x8a, 0x2f, 0xaf, 0x8f};
	struct tst t;

	for (unsigned i = 0; i < sizeof(opcodes); i++) {
		uint8_t cdb[16] = {opcodes[i], 0x20};

		tst_do(&t, &x, cdb, sizeof(cdb), 0);
		assert_check(&t, 0x05, 0x24, 0x00);
		ck_assert_mem_eq(t.task.sense + 15, "\xcf\x00\x01", 3);
		tst_fini(&t);
	}
}
END_TEST

START_TEST(a_disk_beyond_32_bits_is_addressed_whole)
{
	struct fx big;
	uint8_t cdb[16];
	struct tst t;

	fx_setup(&big, UINT64_C(1) << 36);
	cdb16(cdb, 0x88, 0, (UINT64_C(1) << 36) - 1, 1);
	tst_do(&t, &big, cdb, 16, 512);
	assert_good(&t);
	ck_assert(is_pattern(t.buf, (UINT64_C(1) << 36) - 1, 512, 512));
	tst_fini(&t);
	cdb16(cdb, 0x88, 0, UINT64_C(1) << 36, 1);
	tst_do(&t, &big, cdb, 16, 512);
	assert_check_desc(&t, 0x05, 0x21, 0x00);
	tst_fini(&t);
	fx_teardown(&big);
}
END_TEST

/* --- lengths, hazard H15 --- */

static const struct {
	uint32_t blocks, room, moved;
} residuals[] = {
	{2, 1024, 1024},
	{2, 4096, 1024},
	{2, 512, 512},
	{2, 0, 0},
	{2, 700, 700},
	{2, 511, 511},
	{2, 1, 1},
	{1, 200, 200},
	{2, 1023, 1023},
	{0, 512, 0},
	{600, 300 * 512 + 7, 300 * 512 + 7},
};

/* H15: reads: the lesser of CDB and buffer. */
START_TEST(a_read_moves_the_lesser_of_cdb_and_room)
{
	uint8_t cdb[10];
	struct tst t;

	cdb10(cdb, 0x28, 0, 77, (uint16_t)residuals[_i].blocks);
	tst_init(&t, x.lun, cdb, 10, residuals[_i].room, residuals[_i].room ? 3 : 0);
	tst_submit(&t);
	fake_run(x.fake, 5);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, residuals[_i].moved);
	ck_assert(is_pattern(t.buf, 77, residuals[_i].moved, 512));
	tst_fini(&t);
}
END_TEST

/* H15: writes: a mismatch is refused. */
START_TEST(a_write_of_another_length_than_its_data_is_refused)
{
	static const struct {
		uint16_t blocks;
		uint32_t room;
	} rows[] = {{2, 512}, {2, 1023}, {2, 1025}, {2, 0}, {0, 512}, {1, 4096}, {2, 1536}};
	uint8_t cdb[10];
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		cdb10(cdb, 0x2a, 0, 0, rows[i].blocks);
		tst_do(&t, &x, cdb, 10, rows[i].room);
		assert_check(&t, 0x05, 0x0e, 0x03);
		tst_fini(&t);
	}
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(tails_wait_for_scratch_and_all_get_one)
{
	enum { N = 150 }; /* more than there is scratch */
	static struct tst t[N];
	uint8_t cdb[10];

	x.fake->slots = 200;
	for (unsigned i = 0; i < N; i++) {
		cdb10(cdb, 0x28, 0, i, 1);
		tst_init(&t[i], x.lun, cdb, 10, 100 + i, 1);
		tst_submit(&t[i]);
	}
	ck_assert_uint_eq(x.fake->n_flight, 64);
	scsi_task_abort(&t[100].task); /* one that waits for scratch */
	ck_assert_uint_eq(t[100].done, 1);
	ck_assert_uint_eq(t[100].task.status, SCSI_TASK_ABORTED);
	fake_run(x.fake, 77);
	for (unsigned i = 0; i < N; i++) {
		ck_assert_uint_eq(t[i].done, 1);
		if (i != 100)
			ck_assert(is_pattern(t[i].buf, i, 100 + i, 512));
		tst_fini(&t[i]);
	}
}
END_TEST

/* --- splitting --- */

#define MIB4 (4U << 20)

/* H26: large commands go down in pieces that the controller takes. */
START_TEST(a_read_of_4_mib_is_split_and_put_together)
{
	uint8_t cdb[16];
	struct tst t;

	cdb16(cdb, 0x88, 0, 100, MIB4 / 512);
	tst_init(&t, x.lun, cdb, 16, MIB4, 300); /* iovecs that end anywhere */
	tst_submit(&t);
	ck_assert_uint_eq(x.fake->n_flight, 8);
	fake_run(x.fake, (unsigned)_i);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, MIB4);
	ck_assert(is_pattern(t.buf, 100, MIB4, 512));
	ck_assert_uint_eq(x.fake->n_log, 32);
	ck_assert_uint_eq(x.fake->most_in_flight, 8);
	for (unsigned i = 0; i < 32; i++) {
		ck_assert_uint_eq(x.fake->log[i].lba, 100 + i * 256);
		ck_assert_uint_eq(x.fake->log[i].nblocks, 256);
	}
	tst_fini(&t);
}
END_TEST

START_TEST(a_write_of_4_mib_is_split_and_every_byte_lands)
{
	uint8_t cdb[16];
	struct tst t;

	cdb16(cdb, 0x8a, 0x10, 33, MIB4 / 512);
	tst_init(&t, x.lun, cdb, 16, MIB4, 300);
	tst_fill(&t, 9);
	tst_submit(&t);
	fake_run(x.fake, (unsigned)_i);
	assert_good(&t);
	ck_assert_mem_eq(x.disk->store + 33 * 512, t.buf, MIB4);
	ck_assert(is_pattern(x.disk->store, 0, 33 * 512, 512));
	ck_assert(x.fake->log[0].dpo && !x.fake->log[0].fua);
	tst_fini(&t);
}
END_TEST

/* H26: LIO's limits bind nobody, so an initiator may send what no fabric of Linux does. */
START_TEST(commands_of_32_mib_are_split_too)
{
	enum { MIB32 = 32 << 20, STORED = FAKE_STORE / 512 };
	uint8_t cdb[16];
	struct fx big;
	struct tst t;

	fx_setup(&big, STORED + MIB32 / 512 + 1);
	cdb16(cdb, 0x8a, 0, 1, MIB32 / 512);
	tst_init(&t, big.lun, cdb, 16, MIB32, 300);
	tst_fill(&t, 9);
	tst_submit(&t);
	fake_run(big.fake, (unsigned)_i);
	assert_good(&t);
	/* What the disk has room for; of the rest, where it went. */
	ck_assert(!memcmp(big.disk->store + 512, t.buf, FAKE_STORE - 512));
	ck_assert_uint_eq(big.fake->n_log, 256);
	for (unsigned i = 0; i < 256; i++) {
		ck_assert_uint_eq(big.fake->log[i].lba, 1 + i * 256);
		ck_assert_uint_eq(big.fake->log[i].nblocks, 256);
	}
	ck_assert_uint_le(big.fake->most_in_flight, 8);
	tst_fini(&t);
	cdb16(cdb, 0x88, 0, STORED + 1, MIB32 / 512);
	tst_init(&t, big.lun, cdb, 16, MIB32, 300);
	tst_submit(&t);
	fake_run(big.fake, (unsigned)_i);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, MIB32);
	ck_assert(is_pattern(t.buf, STORED + 1, MIB32, 512));
	tst_fini(&t);
	fx_teardown(&big);
}
END_TEST

START_TEST(pieces_are_whole_blocks_at_an_odd_limit)
{
	struct fake *f = fake_new(1, 4096, 4096);
	struct fx odd;
	uint8_t cdb[10];
	struct tst t;

	f->hba.limits.max_transfer = 3 * 4096 + 4095;
	fx_attach(&odd, f);
	cdb10(cdb, 0x28, 0, 1, 10);
	tst_do(&t, &odd, cdb, 10, 10 * 4096);
	assert_good(&t);
	ck_assert(is_pattern(t.buf, 1, t.len, 4096));
	ck_assert_uint_eq(f->n_log, 4);
	ck_assert_uint_eq(f->log[3].nblocks, 1);
	tst_fini(&t);
	fx_teardown(&odd);
}
END_TEST

START_TEST(a_medium_error_ends_the_command_with_its_lba_and_what_came_before)
{
	uint8_t cdb[16];
	struct tst t;

	x.disk->bad_lba = 256 * 5 + 17; /* in the sixth piece */
	cdb16(cdb, 0x88, 0, 0, MIB4 / 512);
	tst_init(&t, x.lun, cdb, 16, MIB4, 7);
	tst_submit(&t);
	fake_run(x.fake, (unsigned)_i);
	assert_check(&t, 0x03, 0x11, 0x00);
	ck_assert_uint_eq(t.task.sense[0], 0xf0);
	ck_assert_uint_eq(get_be32(t.task.sense + 3), 256 * 5 + 17);
	ck_assert_uint_eq(t.task.in_bytes, 5 * 131072);
	ck_assert(is_pattern(t.buf, 0, t.task.in_bytes, 512));
	free(t.buf);
}
END_TEST

START_TEST(after_an_error_nothing_more_is_handed_down)
{
	uint8_t cdb[16];
	struct tst t;

	cdb16(cdb, 0x88, 0, 0, MIB4 / 512);
	tst_init(&t, x.lun, cdb, 16, MIB4, 1);
	tst_submit(&t);
	fake_end(x.fake, 7, HBA_DONE, 0x02, fake_sense_medium, 18);
	ck_assert_uint_eq(t.done, 0);
	ck_assert_uint_eq(x.fake->n_flight, 7);
	/* A second error nearer to the start, when one further on is known already. */
	fake_end(x.fake, 2, HBA_IO_ERROR, 0, NULL, 0);
	fake_end(x.fake, 5, HBA_TIMEOUT, 0, NULL, 0);
	fake_run(x.fake, 3);
	assert_check(&t, 0x04, 0x44, 0x00);
	ck_assert_uint_eq(t.task.in_bytes, 2 * 131072);
	ck_assert_uint_eq(x.fake->n_log, 8);
	free(t.buf);
}
END_TEST

static void assert_next_hears(uint8_t key, uint8_t asc, uint8_t ascq)
{
	struct tst t;

	tst_do(&t, &x, "\0\0\0\0\0\0", 6, 0);
	if (key)
		assert_check(&t, key, asc, ascq);
	else
		assert_good(&t);
	tst_fini(&t);
}

/* A unit says each of them once. Whichever part of the command comes first, the other's is for the next command. */
START_TEST(of_two_unit_attentions_in_one_command_none_is_lost)
{
	static const uint8_t reset[18] = {0x70, 0, 0x06, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0x00};
	static const uint8_t mode_changed[18] = {0x70, 0, 0x06, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x2a, 0x01};
	bool near_first = _i;
	uint8_t cdb[16];
	struct tst t;

	cdb16(cdb, 0x88, 0, 0, MIB4 / 512);
	tst_init(&t, x.lun, cdb, 16, MIB4, 1);
	tst_submit(&t);
	if (near_first) {
		fake_end(x.fake, 2, HBA_DONE, 0x02, reset, 18);
		fake_end(x.fake, 6, HBA_DONE, 0x02, mode_changed, 18);
	} else {
		fake_end(x.fake, 7, HBA_DONE, 0x02, mode_changed, 18);
		fake_end(x.fake, 2, HBA_DONE, 0x02, reset, 18);
	}
	fake_run(x.fake, 3);
	assert_check(&t, 0x06, 0x29, 0x00);
	tst_fini(&t);
	assert_next_hears(0x06, 0x2a, 0x01);
	assert_next_hears(0, 0, 0);
}
END_TEST

START_TEST(an_error_in_the_first_piece_leaves_no_data)
{
	uint8_t cdb[10];
	struct tst t;

	x.disk->bad_lba = 3;
	cdb10(cdb, 0x28, 0, 3, 1);
	tst_do(&t, &x, cdb, 10, 512);
	assert_check(&t, 0x03, 0x11, 0x00);
	ck_assert_uint_eq(t.task.in_bytes, 0);
	tst_fini(&t);
}
END_TEST

/* --- sharing the controller --- */

START_TEST(a_big_command_leaves_slots_to_small_ones)
{
	uint8_t cdb[16];
	struct tst big, small;

	x.fake->slots = 9;
	cdb16(cdb, 0x88, 0, 0, MIB4 / 512);
	tst_init(&big, x.lun, cdb, 16, MIB4, 1);
	tst_submit(&big);
	cdb10(cdb, 0x28, 0, 1, 1);
	tst_init(&small, x.lun, cdb, 10, 512, 1);
	tst_submit(&small);
	ck_assert_uint_eq(x.fake->n_flight, 9);
	fake_complete(x.fake, 8);
	assert_good(&small);
	fake_run(x.fake, 0);
	assert_good(&big);
	tst_fini(&small);
	tst_fini(&big);
}
END_TEST

START_TEST(luns_take_turns)
{
	static struct tst t[40];
	struct fake *f = fake_new(2, BLOCKS, 512);
	struct scsi_lun *second;
	struct fx two;
	uint8_t cdb[10];

	fx_attach(&two, f);
	second = fx_lun(&two, "ld1");
	f->slots = 1;
	for (unsigned i = 0; i < 40; i++) {
		cdb10(cdb, 0x28, 0, i, 1);
		tst_init(&t[i], i < 20 ? two.lun : second, cdb, 10, 512, 1);
		tst_submit(&t[i]);
	}
	ck_assert_uint_eq(f->n_flight, 1);
	fake_run(f, 0);
	/* After the first, which was alone, one each; the last has nobody to take turns with. */
	for (unsigned i = 1; i < 38; i++)
		ck_assert_uint_ne(f->log[i].unit, f->log[i + 1].unit);
	for (unsigned i = 0; i < 40; i++) {
		assert_good(&t[i]);
		tst_fini(&t[i]);
	}
	scsi_lun_destroy(second);
	fx_teardown(&two);
}
END_TEST

/* H7: thousands wait for a slot of the controller behind the ring, not in it. */
START_TEST(thousands_of_commands_wait_for_one_slot)
{
	enum { N = 3000 };
	static struct tst t[N];
	uint8_t cdb[10];

	x.fake->slots = 1;
	for (unsigned i = 0; i < N; i++) {
		cdb10(cdb, 0x28, 0, i, 1);
		tst_init(&t[i], x.lun, cdb, 10, 512, 1);
		tst_submit(&t[i]);
	}
	ck_assert_uint_eq(scsi_lun_busy(x.lun), N);
	fake_run(x.fake, 0);
	ck_assert_uint_eq(scsi_lun_busy(x.lun), 0);
	for (unsigned i = 0; i < N; i++) {
		assert_good(&t[i]);
		ck_assert_uint_eq(x.fake->log[i].lba, i); /* oldest first */
		tst_fini(&t[i]);
	}
}
END_TEST

START_TEST(without_bounce_memory_commands_wait_for_ready)
{
	uint8_t cdb[10];
	struct tst t;

	cdb10(cdb, 0x28, 0, 0, 8);
	tst_init(&t, x.lun, cdb, 10, 8 * 512, 1);
	x.fake->refuse_eagain = 2;
	tst_submit(&t);
	ck_assert_uint_eq(x.fake->n_flight, 0);
	fake_ready(x.fake);
	ck_assert_uint_eq(x.fake->n_flight, 0);
	fake_ready(x.fake);
	ck_assert_uint_eq(x.fake->n_flight, 1);
	fake_run(x.fake, 0);
	assert_good(&t);
	ck_assert(is_pattern(t.buf, 0, t.len, 512));
	tst_fini(&t);
}
END_TEST

/* The request that had to wait was filled for another task. */
START_TEST(a_request_that_waited_carries_nothing_of_an_aborted_task)
{
	uint8_t cdb[16];
	struct tst t, flush;

	cdb16(cdb, 0x8a, 0x08, 5, 8);
	tst_init(&t, x.lun, cdb, 16, 8 * 512, 2);
	x.fake->refuse_eagain = 1;
	tst_submit(&t);
	scsi_task_abort(&t.task);
	ck_assert_uint_eq(t.task.status, SCSI_TASK_ABORTED);
	tst_init(&flush, x.lun, "\x35\0\0\0\0\0\0\0\0\0", 10, 0, 0);
	tst_submit(&flush);
	ck_assert_uint_eq(x.fake->n_flight, 1);
	ck_assert_uint_eq(x.fake->log[0].kind, HBA_REQ_FLUSH);
	ck_assert_uint_eq(x.fake->log[0].len, 0);
	fake_run(x.fake, 0);
	assert_good(&flush);
	tst_fini(&flush);
	tst_fini(&t);
}
END_TEST

START_TEST(while_the_controller_resets_commands_wait)
{
	uint8_t cdb[10];
	struct tst t;

	x.fake->state = HBA_RESETTING;
	cdb10(cdb, 0x28, 0, 0, 1);
	tst_init(&t, x.lun, cdb, 10, 512, 1);
	tst_submit(&t);
	fake_ready(x.fake);
	ck_assert_uint_eq(t.done, 0);
	x.fake->state = HBA_RUNNING;
	fake_ready(x.fake);
	fake_run(x.fake, 0);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

START_TEST(a_request_refused_for_good_fails_its_command_alone)
{
	uint8_t cdb[10];
	struct tst t;

	x.fake->refuse = -E2BIG;
	cdb10(cdb, 0x28, 0, 0, 1);
	tst_do(&t, &x, cdb, 10, 512);
	assert_check(&t, 0x04, 0x44, 0x00);
	tst_fini(&t);
	x.fake->refuse = 0;
	tst_do(&t, &x, cdb, 10, 512);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi rw");
	TCase *c = tcase_create("rw");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, reads_are_checked_against_the_end_of_the_medium, 0, ARRAY_SIZE(read_rows));
	tcase_add_loop_test(c, writes_are_checked_against_the_end_of_the_medium, 0, ARRAY_SIZE(read_rows));
	tcase_add_test(c, protection_information_is_refused);
	tcase_add_test(c, a_disk_beyond_32_bits_is_addressed_whole);
	tcase_add_loop_test(c, a_read_moves_the_lesser_of_cdb_and_room, 0, ARRAY_SIZE(residuals));
	tcase_add_test(c, a_write_of_another_length_than_its_data_is_refused);
	tcase_add_test(c, tails_wait_for_scratch_and_all_get_one);
	tcase_add_loop_test(c, a_read_of_4_mib_is_split_and_put_together, 0, 4);
	tcase_add_loop_test(c, a_write_of_4_mib_is_split_and_every_byte_lands, 0, 4);
	tcase_add_loop_test(c, commands_of_32_mib_are_split_too, 0, 2);
	tcase_add_test(c, pieces_are_whole_blocks_at_an_odd_limit);
	tcase_add_loop_test(c, a_medium_error_ends_the_command_with_its_lba_and_what_came_before, 0, 8);
	tcase_add_test(c, after_an_error_nothing_more_is_handed_down);
	tcase_add_loop_test(c, of_two_unit_attentions_in_one_command_none_is_lost, 0, 2);
	tcase_add_test(c, an_error_in_the_first_piece_leaves_no_data);
	tcase_add_test(c, a_big_command_leaves_slots_to_small_ones);
	tcase_add_test(c, luns_take_turns);
	tcase_add_test(c, thousands_of_commands_wait_for_one_slot);
	tcase_add_test(c, without_bounce_memory_commands_wait_for_ready);
	tcase_add_test(c, a_request_that_waited_carries_nothing_of_an_aborted_task);
	tcase_add_test(c, while_the_controller_resets_commands_wait);
	tcase_add_test(c, a_request_refused_for_good_fails_its_command_alone);
	suite_add_tcase(s, c);
	return run_suite(s);
}
