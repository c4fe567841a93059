/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands that go to the unit with their data, and what a LUN must allow for that. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/endian.h"
#include "base/log.h"
#include "fixture.h"
#include "scsi/opcodes.h"

static struct fx x;

static void setup(void)
{
	struct fake *f = fake_new(1, 4096, 512);

	fake_set_page(&f->disk[0].log[0x00], "\x00\x00\x00\x06\x00\x02\x0d\x18\x2f\x3e", 10);
	fake_set_page(&f->disk[0].log[0x0d], "\x0d\x00\x00\x0c\0\0\x03\x02\0\x21\0\x01\x03\x02\0\x41", 16);
	memset(f->disk[0].passes + 0x3b, true, 2);
	memset(f->disk[0].passes + 0xc0, true, 64);
	f->disk[0].passes[0x37] = f->disk[0].passes[0xb7] = true;
	f->disk[0].passes[0x85] = f->disk[0].passes[0xa1] = true;
	f->disk[0].passes[0xa2] = f->disk[0].passes[0xb5] = true;
	for (unsigned i = 0; i < sizeof(f->disk[0].answer.data); i++)
		f->disk[0].answer.data[i] = (uint8_t)(i + 1);
	f->disk[0].answer.len = sizeof(f->disk[0].answer.data);
	fx_attach(&x, f);
	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, "ld0;allow=buffer+security+ata+c1-in+c2-out+c3-none");
}
static void teardown(void)
{
	fx_teardown(&x);
}

/* Data-in that leaves bytes behind in_bytes: hba_submit() puts zeros there. */
static void do_in(struct tst *t, const void *cdb, size_t cdb_len, size_t len)
{
	tst_do(t, &x, cdb, cdb_len, len);
	t->filled = true;
}

static void do_out(struct tst *t, const void *cdb, size_t cdb_len, size_t len)
{
	tst_init(t, x.lun, cdb, cdb_len, len, len ? 3 : 0);
	tst_fill(t, 5);
	tst_submit(t);
	fake_run(x.fake, 0);
}

static void assert_passed(const void *cdb, uint8_t len, enum dma_dir dir, uint32_t bytes, bool once)
{
	ck_assert_uint_eq(x.disk->passed_cdb_len, len);
	ck_assert_mem_eq(x.disk->passed_cdb, cdb, len);
	ck_assert_uint_eq(x.disk->passed_dir, dir);
	ck_assert_uint_eq(x.disk->passed_len, bytes);
	ck_assert_uint_eq(x.disk->passed_once, once);
}

/* --- LOG SENSE --- */

START_TEST(log_page_lists_name_what_is_passed)
{
	struct tst t;

	/* 18h speaks of the unit's ports and 3Eh is the vendor's. */
	tst_do(&t, &x, "\x4d\0\x40\0\0\0\0\0\xff\0", 10, 255);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 8);
	ck_assert_mem_eq(t.buf, "\x00\x00\x00\x04\x00\x02\x0d\x2f", 8);
	tst_fini(&t);
	tst_do(&t, &x, "\x4d\0\x40\xff\0\0\0\0\xff\0", 10, 255);
	ck_assert_uint_eq(t.task.in_bytes, 14);
	ck_assert_mem_eq(t.buf, "\x40\xff\x00\x0a\x00\x00\x00\xff\x02\x00\x0d\x00\x2f\x00", 14);
	tst_fini(&t);
	tst_do(&t, &x, "\x4d\0\0\0\0\0\0\0\x05\0", 10, 255);
	ck_assert_uint_eq(t.task.in_bytes, 5);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(a_log_page_is_the_units_with_its_own_length)
{
	static const unsigned rooms[] = {0, 3, 4, 5, 16, 255};

	for (unsigned i = 0; i < ARRAY_SIZE(rooms); i++) {
		struct tst t;

		do_in(&t, "\x4d\0\x4d\0\0\0\0\0\xff\0", 10, rooms[i]);
		assert_good(&t);
		ck_assert_uint_eq(t.task.in_bytes, MIN(rooms[i], 16));
		ck_assert_mem_eq(t.buf, x.disk->log[0x0d].data, MIN(rooms[i], 16));
		tst_fini(&t);
		do_in(&t, (uint8_t[]){0x4d, 0, 0x4d, 0, 0, 0, 0, 0, (uint8_t)rooms[i], 0}, 10, 255);
		ck_assert_uint_eq(t.task.in_bytes, MIN(rooms[i], 16));
		tst_fini(&t);
	}
	ck_assert_uint_eq(x.fake->log[0].len, 0);
	ck_assert_uint_eq(x.fake->log[0].dir, DMA_NONE);
}
END_TEST

START_TEST(other_log_pages_and_fields_are_refused)
{
	static const struct {
		const char *cdb, *pointer;
	} rows[] = {
		{"\x4d\0\x43\0\0\0\0\0\xff\0", "\xcd\x00\x02"},	  /* not the unit's */
		{"\x4d\0\x58\0\0\0\0\0\xff\0", "\xcd\x00\x02"},	  /* 18h */
		{"\x4d\0\x4d\x01\0\0\0\0\xff\0", "\xcf\x00\x03"}, /* subpage */
		{"\x4d\0\x40\x01\0\0\0\0\xff\0", "\xcf\x00\x03"},
		{"\x4d\x01\x4d\0\0\0\0\0\xff\0", "\xc8\x00\x01"}, /* SP */
		{"\x4d\x02\x4d\0\0\0\0\0\xff\0", "\xc9\x00\x01"}, /* PPC */
		{"\x4d\0\x40\0\0\0\x01\0\xff\0", "\xcf\x00\x05"}, /* parameter pointer */
	};
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		tst_do(&t, &x, rows[i].cdb, 10, 255);
		assert_check(&t, 0x05, 0x24, 0x00);
		ck_assert_mem_eq(t.task.sense + 15, rows[i].pointer, 3);
		tst_fini(&t);
	}
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(a_unit_without_log_pages_has_an_empty_list)
{
	struct fx y;
	struct tst t;

	fx_setup(&y, 4096);
	tst_do(&t, &y, "\x4d\0\x40\0\0\0\0\0\xff\0", 10, 255);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 5);
	ck_assert_mem_eq(t.buf, "\x00\x00\x00\x01\x00", 5);
	tst_fini(&t);
	tst_do(&t, &y, "\x4d\0\x4d\0\0\0\0\0\xff\0", 10, 255);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	fx_teardown(&y);
}
END_TEST

/* --- READ DEFECT DATA --- */

START_TEST(a_logical_drive_has_no_defects)
{
	struct tst t;

	tst_do(&t, &x, "\x37\0\x1d\0\0\0\0\0\xff\0", 10, 255);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 4);
	ck_assert_mem_eq(t.buf, "\x00\x1d\x00\x00", 4);
	tst_fini(&t);
	tst_do(&t, &x, "\xb7\x08\0\0\0\0\0\0\0\xff\0\0", 12, 255);
	ck_assert_uint_eq(t.task.in_bytes, 8);
	ck_assert_mem_eq(t.buf, "\x00\x08\x00\x00\x00\x00\x00\x00", 8);
	tst_fini(&t);
	tst_do(&t, &x, "\x37\0\x07\0\0\0\0\0\xff\0", 10, 255); /* a reserved format */
	assert_check(&t, 0x05, 0x24, 0x00);
	ck_assert_mem_eq(t.task.sense + 15, "\xca\x00\x02", 3);
	tst_fini(&t);
	tst_do(&t, &x, "\xb7\x08\0\0\0\x01\0\0\0\xff\0\0", 12, 255); /* beyond the end of the list */
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(a_disk_answers_for_its_defects)
{
	struct tst t;

	x.fake->hba.unit[0].kind = HBA_UNIT_PD;
	fake_set_page(&x.disk->answer,
		"\x00\x1d\x00\x08"
		"defects!"
		"behind",
		18);
	do_in(&t, "\x37\0\x1d\0\0\0\0\x01\x00\0", 10, 512);
	assert_good(&t);
	assert_passed("\x37\0\x1d\0\0\0\0\x01\x00\0", 10, DMA_FROM_DEVICE, 256, false);
	ck_assert_uint_eq(t.task.in_bytes, 12);
	ck_assert_mem_eq(t.buf,
		"\x00\x1d\x00\x08"
		"defects!",
		12);
	tst_fini(&t);
	/* the CDB asks for more than there is room for */
	fake_set_page(&x.disk->answer,
		"\x00\x1d\x00\x00\x00\x00\x00\x30"
		"defects!",
		16);
	do_in(&t, "\xb7\x1d\0\0\0\0\xff\xff\xff\xff\0\0", 12, 12);
	assert_passed("\xb7\x1d\0\0\0\0\0\0\0\x0c\0\0", 12, DMA_FROM_DEVICE, 12, false);
	ck_assert_uint_eq(t.task.in_bytes, 12);
	tst_fini(&t);
}
END_TEST

/* --- diagnostics --- */

START_TEST(the_default_self_test_asks_whether_the_unit_is_ready)
{
	struct tst t;

	tst_do(&t, &x, "\x1d\x04\0\0\0\0", 6, 0);
	assert_good(&t);
	ck_assert_uint_eq(x.fake->n_log, 1);
	ck_assert_uint_eq(x.fake->log[0].cdb0, 0x00);
	tst_fini(&t);
	x.disk->becoming_ready = 1;
	tst_do(&t, &x, "\x1d\x04\0\0\0\0", 6, 0);
	assert_check(&t, 0x02, 0x04, 0x01);
	tst_fini(&t);
}
END_TEST

START_TEST(diagnostic_pages_are_a_list_of_itself)
{
	struct tst t;

	do_out(&t, "\x1d\x10\0\0\0\0", 6, 0);
	assert_good(&t);
	tst_fini(&t);
	tst_init(&t, x.lun, "\x1d\x10\0\0\x04\0", 6, 4, 2);
	memset(t.buf, 0, 4);
	t.filled = true;
	tst_submit(&t);
	assert_good(&t);
	tst_fini(&t);
	tst_do(&t, &x, "\x1c\x01\0\0\xff\0", 6, 255);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 5);
	ck_assert_mem_eq(t.buf, "\0\0\0\x01\0", 5);
	tst_fini(&t);
	tst_do(&t, &x, "\x1c\x01\x40\0\xff\0", 6, 255);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(other_self_tests_and_pages_are_refused)
{
	static const struct {
		const char *cdb;
		uint8_t len, asc;
		const char *pointer;
	} rows[] = {
		{"\x1d\x20\0\0\0\0", 0, 0x24, "\xcf\x00\x01"},	 /* background short */
		{"\x1d\x14\0\0\x04\0", 4, 0x24, "\xcf\x00\x03"}, /* self-test and page */
		{"\x1d\x00\0\0\x04\0", 4, 0x24, "\xcc\x00\x01"}, /* no PF */
		{"\x1d\x10\0\0\x03\0", 3, 0x1a, "\0\0\0"},
		{"\x1d\x10\0\0\x04\0", 4, 0x26, "\x8f\x00\x00"}, /* tst_fill(): page 05h */
	};
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		do_out(&t, rows[i].cdb, 6, rows[i].len);
		assert_check(&t, 0x05, rows[i].asc, 0x00);
		ck_assert_mem_eq(t.task.sense + 15, rows[i].pointer, 3);
		tst_fini(&t);
	}
	do_out(&t, "\x1d\x10\0\0\x04\0", 6, 8);
	assert_check(&t, 0x05, 0x0e, 0x03);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

/* --- buffers --- */

START_TEST(write_buffer_goes_to_the_unit_once)
{
	struct tst t;

	do_out(&t, "\x3b\x05\x01\0\0\x10\0\x02\0\0", 10, 512);
	assert_good(&t);
	assert_passed("\x3b\x05\x01\0\0\x10\0\x02\0\0", 10, DMA_TO_DEVICE, 512, true);
	ck_assert_mem_eq(x.disk->passed, t.buf, 512);
	ck_assert_uint_eq(x.fake->log[0].timeout_ms, 600000);
	tst_fini(&t);
	do_out(&t, "\x3b\x0f\0\0\0\0\0\0\0\0", 10, 0); /* activate: no data */
	assert_good(&t);
	assert_passed("\x3b\x0f\0\0\0\0\0\0\0\0", 10, DMA_NONE, 0, true);
	tst_fini(&t);
}
END_TEST

/* H15: data-out of another length than the CDB says is refused in what is passed through, too. */
START_TEST(data_out_of_another_length_than_the_cdb_says_is_refused)
{
	static const struct {
		const char *cdb;
		uint8_t len;
	} rows[] = {
		{"\x3b\x05\0\0\0\0\0\x02\0\0", 10},
		{"\xb5\0\0\0\0\0\0\0\x02\0\0\0", 12},
		{"\xb5\0\0\0\x80\0\0\0\0\x01\0\0", 12},
		{"\x85\x0a\x06\0\0\0\x01\0\0\0\0\0\0\0\xca\0", 16},
	};
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		for (unsigned room = 511; room <= 513; room += 2) {
			do_out(&t, rows[i].cdb, rows[i].len, room);
			assert_check(&t, 0x05, 0x0e, 0x03);
			ck_assert_uint_eq(t.task.dir, DMA_TO_DEVICE);
			tst_fini(&t);
		}
	}
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(what_does_not_fit_one_request_is_refused)
{
	uint32_t max = x.fake->hba.limits.max_transfer;
	uint8_t cdb[10] = {0x3b, 0x05};
	struct tst t;

	put_be24(cdb + 6, max + 512);
	do_out(&t, cdb, 10, max + 512);
	assert_check(&t, 0x05, 0x24, 0x00);
	ck_assert_mem_eq(t.task.sense + 15, "\xcf\x00\x06", 3);
	tst_fini(&t);
	do_out(&t, "\xc2\0\0\0\0\0\0\0\0\0", 10, max + 512);
	assert_check(&t, 0x05, 0x0e, 0x03);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
	cdb[0] = 0x3c; /* an allocation length is cut instead */
	do_in(&t, cdb, 10, max + 512);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, max);
	ck_assert_uint_eq(get_be24(x.disk->passed_cdb + 6), max);
	tst_fini(&t);
}
END_TEST

START_TEST(read_buffer_asks_for_what_there_is_room_for)
{
	struct tst t;

	do_in(&t, "\x3c\x02\x07\0\0\0\xff\xff\xff\0", 10, 100);
	assert_good(&t);
	assert_passed("\x3c\x02\x07\0\0\0\0\0\x64\0", 10, DMA_FROM_DEVICE, 100, false);
	ck_assert_uint_eq(t.task.in_bytes, 100);
	ck_assert_mem_eq(t.buf, x.disk->answer.data, 100);
	tst_fini(&t);
	do_in(&t, "\x3c\x03\0\0\0\0\0\0\xff\0", 10, 100); /* a descriptor has 4 bytes */
	ck_assert_uint_eq(t.task.in_bytes, 4);
	tst_fini(&t);
	do_in(&t, "\x3c\x02\0\0\0\0\0\0\xff\0", 10, 0);
	assert_good(&t);
	assert_passed("\x3c\x02\0\0\0\0\0\0\0\0", 10, DMA_NONE, 0, false);
	tst_fini(&t);
}
END_TEST

/* --- security --- */

START_TEST(security_protocols_are_passed_in_bytes_and_blocks)
{
	struct tst t;

	do_in(&t, "\xa2\x01\0\x01\0\0\0\0\x01\0\0\0", 12, 512);
	assert_good(&t);
	assert_passed("\xa2\x01\0\x01\0\0\0\0\x01\0\0\0", 12, DMA_FROM_DEVICE, 256, true);
	ck_assert_uint_eq(t.task.in_bytes, 256);
	tst_fini(&t);
	do_in(&t, "\xa2\x01\0\x01\x80\0\0\0\x01\0\0\0", 12, 1500); /* 256 blocks asked, room for 2 */
	assert_passed("\xa2\x01\0\x01\x80\0\0\0\0\x02\0\0", 12, DMA_FROM_DEVICE, 1024, true);
	ck_assert_uint_eq(t.task.in_bytes, 1024);
	tst_fini(&t);
	do_out(&t, "\xb5\x01\0\x01\x80\0\0\0\0\x03\0\0", 12, 1536);
	assert_good(&t);
	assert_passed("\xb5\x01\0\x01\x80\0\0\0\0\x03\0\0", 12, DMA_TO_DEVICE, 1536, true);
	ck_assert_mem_eq(x.disk->passed, t.buf, 1536);
	tst_fini(&t);
}
END_TEST

/* --- ATA --- */

static const struct {
	uint8_t cdb[16], len;
	enum dma_dir dir;
	uint32_t bytes;
} ata[] = {
	/* IDENTIFY DEVICE, PIO-in, one block by COUNT */
	{{0x85, 0x08, 0x0e, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xec, 0}, 16, DMA_FROM_DEVICE, 512},
	{{0xa1, 0x08, 0x0e, 0, 1, 0, 0, 0, 0, 0xec, 0, 0}, 12, DMA_FROM_DEVICE, 512},
	/* bytes by FEATURES, 16 bits of it with EXTEND */
	{{0x85, 0x0d, 0x09, 0x01, 0x04, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x2f, 0}, 16, DMA_FROM_DEVICE, 260},
	{{0x85, 0x0c, 0x09, 0x01, 0x04, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x2f, 0}, 16, DMA_FROM_DEVICE, 4},
	/* blocks by COUNT, 16 bits of it */
	{{0x85, 0x15, 0x0e, 0, 0, 0x00, 0x02, 0, 0, 0, 0, 0, 0, 0, 0x25, 0}, 16, DMA_FROM_DEVICE, 1024},
	/* DMA whose direction is T_DIR, length by the transport */
	{{0x85, 0x0c, 0x0b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xc8, 0}, 16, DMA_FROM_DEVICE, 1000},
	{{0x85, 0x0c, 0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xca, 0}, 16, DMA_TO_DEVICE, 1000},
	/* UDMA-out */
	{{0x85, 0x16, 0x06, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xca, 0}, 16, DMA_TO_DEVICE, 512},
	/* blocks of the device */
	{{0x85, 0x0a, 0x16, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0x30, 0}, 16, DMA_TO_DEVICE, 1024},
	/* CHECK POWER MODE, non-data, CK_COND */
	{{0x85, 0x06, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xe5, 0}, 16, DMA_NONE, 0},
	{{0x85, 0x1e, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 16, DMA_NONE, 0},
};

START_TEST(ata_commands_move_what_their_fields_say)
{
	struct tst t;
	size_t room = ata[_i].dir == DMA_NONE ? 0 : ata[_i].bytes;

	if (ata[_i].dir == DMA_TO_DEVICE)
		do_out(&t, ata[_i].cdb, ata[_i].len, room);
	else
		do_in(&t, ata[_i].cdb, ata[_i].len, room);
	assert_good(&t);
	assert_passed(ata[_i].cdb, ata[_i].len, ata[_i].dir, ata[_i].bytes, true);
	ck_assert_uint_eq(t.task.in_bytes, ata[_i].dir == DMA_FROM_DEVICE ? ata[_i].bytes : 0);
	tst_fini(&t);
}
END_TEST

START_TEST(ata_fields_that_contradict_each_other_are_refused)
{
	static const struct {
		uint8_t byte1, byte2, count;
		const char *pointer;
	} rows[] = {
		{0x08, 0x0c, 1, "\xc9\x00\x02"}, /* PIO-in without a length */
		{0x08, 0x0e, 0, "\xc9\x00\x02"}, /* ... with a length of nothing */
		{0x08, 0x06, 1, "\xcb\x00\x02"}, /* ... to the device */
		{0x0a, 0x0e, 1, "\xcb\x00\x02"}, /* PIO-out from the device */
		{0x06, 0x0e, 1, "\xc9\x00\x02"}, /* non-data with a length */
		{0x00, 0x00, 0, "\xcc\x00\x01"}, /* hard reset */
		{0x02, 0x00, 0, "\xcc\x00\x01"}, /* software reset */
		{0x04, 0x00, 0, "\xcc\x00\x01"}, /* reserved */
		{0x1c, 0x00, 0, "\xcc\x00\x01"},
	};
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t cdb[16] = {0x85, rows[i].byte1, rows[i].byte2, [6] = rows[i].count, [14] = 0xec};

		do_out(&t, cdb, 16, 512);
		assert_check(&t, 0x05, 0x24, 0x00);
		ck_assert_mem_eq(t.task.sense + 15, rows[i].pointer, 3);
		tst_fini(&t);
	}
	do_out(&t, ata[0].cdb, 16, 511); /* no room for the sector */
	assert_check(&t, 0x05, 0x0e, 0x03);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

/* SAT-4: with CK_COND the ATA registers come as RECOVERED ERROR, 00h/1Dh, beside the data. */
START_TEST(data_and_recovered_error_both_reach_the_initiator)
{
	static const uint8_t sense[22] = {0x72, 0x01, 0x00, 0x1d, 0, 0, 0, 14, 0x09, 0x0c, 0, 0, 0, 1};
	struct tst t;

	tst_init(&t, x.lun, ata[0].cdb, 16, 512, 3);
	tst_submit(&t);
	t.filled = true;
	fake_end_moved(x.fake, 0, sense, sizeof(sense), 512);
	assert_check_desc(&t, 0x01, 0x00, 0x1d);
	ck_assert_uint_eq(t.task.in_bytes, 512);
	ck_assert_mem_eq(t.task.sense, sense, sizeof(sense));
	tst_fini(&t);
	/* No data came with it: nothing of what lies in the ring may go to the initiator. */
	tst_init(&t, x.lun, ata[0].cdb, 16, 512, 3);
	tst_submit(&t);
	fake_end_moved(x.fake, 0, sense, sizeof(sense), 0);
	assert_check_desc(&t, 0x01, 0x00, 0x1d);
	ck_assert_uint_eq(t.task.in_bytes, 0);
	tst_fini(&t);
	/* Deferred: this very command was not done. */
	tst_init(&t, x.lun, ata[0].cdb, 16, 512, 3);
	tst_submit(&t);
	t.filled = true;
	fake_end(x.fake, 0, HBA_DONE, 0x02, (const uint8_t *)"\x73\x01\x00\x1d\0\0\0\0", 8);
	ck_assert_uint_eq(t.task.status, SCSI_CHECK_CONDITION);
	ck_assert_uint_eq(t.task.in_bytes, 0);
	tst_fini(&t);
}
END_TEST

/* A virtio device tells how much it moved. Others say that all was, and then it is the data that tell. */
START_TEST(a_residual_that_the_controller_reports_is_the_initiators)
{
	static const struct {
		const char *cdb;
		uint8_t len;
		uint32_t moved, in_bytes; /* of 64 */
	} rows[] = {{"\x3c\x02\0\0\0\0\0\0\x40\0", 10, 64, 64}, {"\x3c\x02\0\0\0\0\0\0\x40\0", 10, 33, 33},
		{"\x3c\x02\0\0\0\0\0\0\x40\0", 10, 0, 0}, {"\x3c\x02\0\0\0\0\0\0\x40\0", 10, 65, 64},
		{"\x3c\x02\0\0\0\0\0\0\x40\0", 10, UINT32_MAX, 64}, {"\xc1\0\0\0\0\0\0\0\0\0", 10, 17, 17},
		{"\xa2\0\0\0\0\0\0\0\0\x40\0\0", 12, 8, 8},
		/* a log page of 16 bytes: the nearer end counts */
		{"\x4d\0\x4d\0\0\0\0\0\x40\0", 10, 64, 16}, {"\x4d\0\x4d\0\0\0\0\0\x40\0", 10, 16, 16},
		{"\x4d\0\x4d\0\0\0\0\0\x40\0", 10, 7, 7}, {"\x4d\0\x4d\0\0\0\0\0\x40\0", 10, 3, 3}};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct tst t;

		x.fake->tells_moved = true;
		x.fake->cdb_moved = rows[i].moved;
		do_in(&t, rows[i].cdb, rows[i].len, 64);
		assert_good(&t);
		ck_assert_msg(t.task.in_bytes == rows[i].in_bytes, "row %u: %llu", i,
			(unsigned long long)t.task.in_bytes);
		tst_fini(&t);
	}
}
END_TEST

/* Not only with RECOVERED ERROR. */
START_TEST(data_that_came_with_an_error_reaches_the_initiator)
{
	static const uint8_t hardware[18] = {0x70, 0, 0x04, 0, 0, 0, 0, 10};
	static const uint32_t moved[] = {0, 9, 512, 100000};
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(moved); i++) {
		tst_init(&t, x.lun, ata[0].cdb, 16, 512, 3);
		tst_submit(&t);
		fake_end_moved(x.fake, 0, hardware, sizeof(hardware), moved[i]);
		assert_check(&t, 0x04, 0x00, 0x00);
		ck_assert_uint_eq(t.task.in_bytes, MIN(moved[i], 512));
		tst_fini(&t);
	}
}
END_TEST

/* H21: what must not be done twice is not sent again after a reset of the controller. Nobody asked for its end, and nobody
 * can say whether it was done. */
START_TEST(what_a_reset_has_ended_may_have_been_done)
{
	static const char *const cdbs[] = {
		"\x3b\x05\0\0\0\0\0\x02\0\0", "\xc2\0\0\0\0\0\0\0\0\0", "\xb5\0\0\0\x80\0\0\0\0\x01\0\0"};

	for (unsigned i = 0; i < ARRAY_SIZE(cdbs); i++) {
		for (unsigned asked = 0; asked < 2; asked++) {
			struct tst t;

			tst_init(&t, x.lun, cdbs[i], i == 2 ? 12 : 10, 512, 1);
			tst_fill(&t, 1);
			tst_submit(&t);
			ck_assert(x.fake->flight[0]->no_reissue);
			if (asked)
				scsi_task_abort(&t.task);
			fake_end(x.fake, 0, HBA_ABORTED, 0, NULL, 0);
			if (asked) {
				ck_assert_uint_eq(t.task.status, SCSI_TASK_ABORTED);
				ck_assert_uint_eq(t.task.sense_len, 0);
			} else {
				assert_check(&t, 0x0b, 0x2f, 0x02);
			}
			tst_fini(&t);
		}
	}
}
END_TEST

START_TEST(the_units_refusal_reaches_the_initiator)
{
	struct tst t;

	x.disk->passes[0x85] = false;
	do_out(&t, ata[0].cdb, 16, 512);
	assert_check(&t, 0x05, 0x20, 0x00);
	ck_assert_uint_eq(t.task.in_bytes, 0);
	tst_fini(&t);
}
END_TEST

/* --- vendor's opcodes --- */

/* H17: ten bytes go to the unit, fewer are refused. */
START_TEST(vendor_opcodes_are_passed_as_configured)
{
	struct tst t;

	do_in(&t, "\xc1\x01\x02\x03\x04\x05\x06\x07\x08\xff", 10, 100); /* bit 2 at the end is no NACA */
	assert_good(&t);
	assert_passed("\xc1\x01\x02\x03\x04\x05\x06\x07\x08\xff", 10, DMA_FROM_DEVICE, 100, true);
	ck_assert_uint_eq(t.task.in_bytes, 100);
	tst_fini(&t);
	do_out(&t, "\xc2\0\0\0\0\0\0\0\0\0", 10, 100);
	assert_good(&t);
	assert_passed("\xc2\0\0\0\0\0\0\0\0\0", 10, DMA_TO_DEVICE, 100, true);
	ck_assert_mem_eq(x.disk->passed, t.buf, 100);
	tst_fini(&t);
	do_out(&t, "\xc3\0\0\0\0\0\0\0\0\0", 10, 100);
	assert_good(&t);
	assert_passed("\xc3\0\0\0\0\0\0\0\0\0", 10, DMA_NONE, 0, true);
	tst_fini(&t);
	do_in(&t, "\xc1\0\0\0\0\0\0\0\0\0", 10, 0);
	assert_good(&t);
	assert_passed("\xc1\0\0\0\0\0\0\0\0\0", 10, DMA_NONE, 0, true);
	tst_fini(&t);
	do_in(&t, "\xc1\0\0\0\0\0", 6, 100); /* less than LIO delivers */
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
}
END_TEST

START_TEST(vendor_opcodes_are_reported_as_the_vendors)
{
	static const uint8_t want[] = {
		0x00, 0x85, 0x00, 0x0a, 0xc1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 10};
	unsigned found = 0;
	struct tst t;

	tst_do(&t, &x, "\xa3\x0c\x81\xc1\0\0\0\0\0\xff\0\0", 12, 255);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 14 + 12);
	ck_assert_mem_eq(t.buf, want, sizeof(want));
	ck_assert_uint_eq(get_be32(t.buf + 22), 600);
	tst_fini(&t);
	tst_do(&t, &x, "\xa3\x0c\x03\xc4\0\0\0\0\0\xff\0\0", 12, 255);
	ck_assert_uint_eq(t.task.in_bytes, 4);
	ck_assert_uint_eq(t.buf[1], 1);
	tst_fini(&t);
	tst_do(&t, &x, "\xa3\x0c\x02\xc1\0\0\0\0\0\xff\0\0", 12, 255); /* no service actions */
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	tst_do(&t, &x, "\xa3\x0c\0\0\0\0\0\0\x20\0\0\0", 12, 8192);
	for (uint32_t at = 4; at < t.task.in_bytes; at += 8)
		found += t.buf[at] >= 0xc0;
	ck_assert_uint_eq(found, 3);
	ck_assert_mem_eq(t.buf + t.task.in_bytes - 8, "\xc3\0\0\0\0\0\0\x0a", 8);
	tst_fini(&t);
}
END_TEST

/* --- what is not allowed --- */

static void refuse_one(struct fx *fx)
{
	struct tst t;

	tst_do(&t, fx, "\x3b\x05\0\0\0\0\0\x02\0\0", 10, 512);
	assert_check(&t, 0x05, 0x20, 0x00);
	tst_fini(&t);
}

static void refuse_vendor(struct fx *fx)
{
	struct tst t;

	tst_do(&t, fx, "\xc7\0\0\0\0\0\0\0\0\0", 10, 512);
	assert_check(&t, 0x05, 0x20, 0x00);
	tst_fini(&t);
}

static void refuse_many(struct fx *fx)
{
	for (unsigned i = 0; i < 1000; i++)
		refuse_one(fx);
}

static void refuse_unknown(struct fx *fx)
{
	struct tst t;

	tst_do(&t, fx, "\x3f\0\0\0\0\0\0\0\0\0", 10, 0);
	assert_check(&t, 0x05, 0x20, 0x00);
	tst_fini(&t);
}

START_TEST(a_refusal_is_told_once_and_names_the_option)
{
	struct fx plain = x;
	const char *text;

	plain.lun = fx_lun(&x, "ld0");
	text = fx_logged(refuse_one, &plain);
	ck_assert_uint_eq(fx_lines(text), 1);
	ck_assert_ptr_nonnull(strstr(text, "ld0: refused WRITE BUFFER (opcode 3bh)"));
	ck_assert_ptr_nonnull(strstr(text, "allow=buffer\n"));
	text = fx_logged(refuse_vendor, &plain);
	ck_assert_uint_eq(fx_lines(text), 1);
	ck_assert_ptr_nonnull(strstr(text, "opcode c7h"));
	ck_assert_ptr_nonnull(strstr(text, "allow=c7-in, c7-out or c7-none"));
	/* An opcode that no option allows is nothing to tell about. */
	ck_assert_uint_eq(fx_lines(fx_logged(refuse_unknown, &plain)), 0);
	ck_assert_uint_eq(x.fake->n_log, 0);
	scsi_lun_destroy(plain.lun);
}
END_TEST

START_TEST(an_initiator_that_insists_does_not_flood_the_log)
{
	struct fx plain = x;

	plain.lun = fx_lun(&x, "ld0");
	ck_assert_uint_eq(fx_lines(fx_logged(refuse_many, &plain)), 5);
	ck_assert_uint_eq(fx_lines(fx_logged(refuse_many, &plain)), 0);
	scsi_lun_destroy(plain.lun);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi through");
	TCase *c = tcase_create("through");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, log_page_lists_name_what_is_passed);
	tcase_add_test(c, a_log_page_is_the_units_with_its_own_length);
	tcase_add_test(c, other_log_pages_and_fields_are_refused);
	tcase_add_test(c, a_unit_without_log_pages_has_an_empty_list);
	tcase_add_test(c, a_logical_drive_has_no_defects);
	tcase_add_test(c, a_disk_answers_for_its_defects);
	tcase_add_test(c, the_default_self_test_asks_whether_the_unit_is_ready);
	tcase_add_test(c, diagnostic_pages_are_a_list_of_itself);
	tcase_add_test(c, other_self_tests_and_pages_are_refused);
	tcase_add_test(c, write_buffer_goes_to_the_unit_once);
	tcase_add_test(c, data_out_of_another_length_than_the_cdb_says_is_refused);
	tcase_add_test(c, what_does_not_fit_one_request_is_refused);
	tcase_add_test(c, read_buffer_asks_for_what_there_is_room_for);
	tcase_add_test(c, security_protocols_are_passed_in_bytes_and_blocks);
	tcase_add_loop_test(c, ata_commands_move_what_their_fields_say, 0, ARRAY_SIZE(ata));
	tcase_add_test(c, ata_fields_that_contradict_each_other_are_refused);
	tcase_add_test(c, data_and_recovered_error_both_reach_the_initiator);
	tcase_add_test(c, a_residual_that_the_controller_reports_is_the_initiators);
	tcase_add_test(c, data_that_came_with_an_error_reaches_the_initiator);
	tcase_add_test(c, what_a_reset_has_ended_may_have_been_done);
	tcase_add_test(c, the_units_refusal_reaches_the_initiator);
	tcase_add_test(c, vendor_opcodes_are_passed_as_configured);
	tcase_add_test(c, vendor_opcodes_are_reported_as_the_vendors);
	tcase_add_test(c, a_refusal_is_told_once_and_names_the_option);
	tcase_add_test(c, an_initiator_that_insists_does_not_flood_the_log);
	suite_add_tcase(s, c);
	return run_suite(s);
}
