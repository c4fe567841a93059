/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FORMAT UNIT and SANITIZE: lists by hand from SBC-3, what lands on the disk, and what others hear meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/endian.h"
#include "fixture.h"
#include "scsi/scsi.h"

#define BLOCKS 4096 /* 2 MiB: 16 requests */

static struct fx x;

static void use_lun(const char *text)
{
	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, text);
}

static void setup(void)
{
	fx_setup(&x, BLOCKS);
	use_lun("ld0;allow=format+sanitize");
}
static void teardown(void)
{
	fx_teardown(&x);
}

/* --- the commands --- */

static void start(struct tst *t, const void *cdb, size_t cdb_len, const void *list, size_t len)
{
	tst_init(t, x.lun, cdb, cdb_len, len, len ? MIN(len, 2) : 0);
	if (len)
		memcpy(t->buf, list, len);
	t->filled = true;
	tst_submit(t);
}

static void format(struct tst *t, uint8_t byte1, const void *list, size_t len)
{
	uint8_t cdb[6] = {0x04, byte1};

	start(t, cdb, 6, list, len);
}

/* SANITIZE OVERWRITE; byte1: IMMED and AUSE */
static void overwrite(struct tst *t, uint8_t byte1, uint8_t byte0, const void *pattern, uint16_t len)
{
	uint8_t cdb[10] = {0x48, byte1 | 0x01}, list[5000];

	put_be16(cdb + 7, (uint16_t)(4 + len));
	list[0] = byte0;
	list[1] = 0;
	put_be16(list + 2, len);
	memcpy(list + 4, pattern, len);
	start(t, cdb, 10, list, 4U + len);
}

static void exit_failure(struct tst *t)
{
	start(t, "\x48\x1f\0\0\0\0\0\0\0\0", 10, NULL, 0);
}

static void tur(struct tst *t)
{
	tst_init(t, x.lun, "\0\0\0\0\0\0", 6, 0, 0);
	tst_submit(t);
}

static void assert_tur_good(void)
{
	struct tst t;

	tst_do(&t, &x, "\0\0\0\0\0\0", 6, 0);
	assert_good(&t);
	tst_fini(&t);
}

static void assert_tur(uint8_t key, uint8_t asc, uint8_t ascq)
{
	struct tst t;

	tur(&t);
	assert_check(&t, key, asc, ascq);
	tst_fini(&t);
}

/* Does each block of the disk start with the pattern, repeated? */
static bool holds(const uint8_t *pattern, size_t len)
{
	for (uint32_t i = 0; i < BLOCKS * 512U; i++)
		if (x.disk->store[i] != pattern[i % 512 % len])
			return false;
	return true;
}

/* --- FORMAT UNIT --- */

START_TEST(a_format_without_list_fills_the_unit_with_zeros_and_flushes)
{
	struct tst t;

	format(&t, 0, NULL, 0);
	ck_assert_uint_eq(t.done, 0);
	ck_assert_int_eq(t.task.dir, DMA_NONE);
	fake_run(x.fake, 17);
	assert_good(&t);
	ck_assert(holds((const uint8_t *)"", 1));
	ck_assert(!x.disk->dirty);
	ck_assert_uint_le(x.fake->most_in_flight, 4);
	ck_assert_uint_eq(x.fake->n_log, 18); /* flush, 16 writes, flush */
	ck_assert_int_eq(x.fake->log[17].kind, HBA_REQ_FLUSH);
	tst_fini(&t);
	assert_tur_good();
}
END_TEST

START_TEST(an_initialization_pattern_is_repeated_in_each_block)
{
	/* FOV and IP; pattern type 1 */
	static const uint8_t brief[] = {0, 0x88, 0, 0, 0, 1, 0, 5, 'h', 'e', 'l', 'l', 'o'};
	static const uint8_t wide[] = {0, 0x88, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3, 'a', 'b', 'c'};
	static const uint8_t zeros[] = {0, 0xb8, 0, 0, 0, 0, 0, 0}; /* DCRT and STPF as well; type 0 */
	struct tst t;

	format(&t, 0x10, brief, sizeof(brief));
	fake_run(x.fake, 0);
	assert_good(&t);
	ck_assert(holds((const uint8_t *)"hello", 5));
	tst_fini(&t);
	format(&t, 0x30, wide, sizeof(wide));
	fake_run(x.fake, 0);
	assert_good(&t);
	ck_assert(holds((const uint8_t *)"abc", 3));
	tst_fini(&t);
	format(&t, 0x18, zeros, sizeof(zeros)); /* with CMPLST */
	fake_run(x.fake, 0);
	assert_good(&t);
	ck_assert(holds((const uint8_t *)"", 1));
	tst_fini(&t);
}
END_TEST

START_TEST(immed_is_good_at_once_and_the_work_goes_on)
{
	struct tst t;

	format(&t, 0x10, "\0\x02\0\0", 4);
	assert_good(&t);
	ck_assert_uint_eq(scsi_lun_busy(x.lun), 0);
	assert_tur(0x02, 0x04, 0x04);
	fake_run(x.fake, 3);
	ck_assert(holds((const uint8_t *)"", 1));
	assert_tur_good();
	tst_fini(&t);
}
END_TEST

START_TEST(formats_that_cannot_be_had_are_refused)
{
	static const struct {
		uint8_t byte1, byte4, len, list[16], key_asc, pointer[3];
	} rows[] = {
		{0x40, 0, 0, {0}, 0x24, {0xcf, 0, 1}}, /* protection information */
		{0x80, 0, 0, {0}, 0x24, {0xcf, 0, 1}},
		{0x00, 1, 0, {0}, 0x24, {0xc9, 0, 4}}, /* fast format */
		{0x00, 2, 0, {0}, 0x24, {0xc9, 0, 4}},
		{0x10, 0, 4, {1}, 0x26, {0x8a, 0, 0}},			     /* protection field usage */
		{0x10, 0, 4, {0, 0x08}, 0x26, {0x8f, 0, 1}},		     /* IP without FOV */
		{0x10, 0, 4, {0, 0x40}, 0x26, {0x8f, 0, 1}},		     /* DPRY without FOV */
		{0x10, 0, 4, {0, 0xc0}, 0x26, {0x8e, 0, 1}},		     /* DPRY */
		{0x10, 0, 12, {0, 0, 0, 8}, 0x26, {0x8f, 0, 2}},	     /* a defect list */
		{0x30, 0, 16, {0, 0, 0, 0, 0, 0, 0, 8}, 0x26, {0x8f, 0, 4}}, /* likewise */
		{0x30, 0, 8, {0, 0, 0, 1}, 0x26, {0x8f, 0, 3}},		     /* protection interval */
		{0x10, 0, 8, {0, 0x88, 0, 0, 0x40}, 0x26, {0x8f, 0, 4}},     /* pattern modifier */
		{0x10, 0, 8, {0, 0x88, 0, 0, 0x20}, 0x26, {0x8d, 0, 4}},     /* SI */
		{0x10, 0, 8, {0, 0x88, 0, 0, 0, 2}, 0x26, {0x8f, 0, 5}},     /* pattern type */
		{0x10, 0, 9, {0, 0x88, 0, 0, 0, 0, 0, 1}, 0x26, {0x8f, 0, 6}},
		{0x10, 0, 8, {0, 0x88, 0, 0, 0, 1, 0, 0}, 0x26, {0x8f, 0, 6}},
		{0x10, 0, 8, {0, 0x88, 0, 0, 0, 1, 2, 1}, 0x26, {0x8f, 0, 6}}, /* longer than a block */
		{0x00, 0, 4, {0}, 0x0e, {0}},				       /* data that nobody wants */
		{0x10, 0, 0, {0}, 0x0e, {0}},				       /* too little of it */
		{0x10, 0, 3, {0}, 0x0e, {0}},
		{0x30, 0, 7, {0}, 0x0e, {0}},
		{0x10, 0, 5, {0}, 0x0e, {0}},
		{0x10, 0, 7, {0, 0x88}, 0x0e, {0}},
		{0x10, 0, 9, {0, 0x88, 0, 0, 0, 1, 0, 2}, 0x0e, {0}},
		{0x10, 0, 11, {0, 0x88, 0, 0, 0, 1, 0, 2}, 0x0e, {0}},
	};
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t cdb[6] = {0x04, rows[i].byte1, 0, 0, rows[i].byte4};

		start(&t, cdb, 6, rows[i].list, rows[i].len);
		ck_assert_msg(t.done == 1 && t.task.sense[12] == rows[i].key_asc, "row %u: %02x", i,
			t.task.sense[12]);
		assert_check(&t, 0x05, rows[i].key_asc, rows[i].key_asc == 0x0e ? 3 : 0);
		ck_assert_mem_eq(t.task.sense + 15, rows[i].pointer, 3);
		tst_fini(&t);
	}
	ck_assert_uint_eq(x.fake->n_log, 0);
	assert_tur_good();
}
END_TEST

/* --- while it runs --- */

START_TEST(only_questions_are_answered_while_it_runs)
{
	static const struct {
		const char *cdb;
		uint8_t len;
		bool answered;
	} rows[] = {{"\0\0\0\0\0\0", 6, false}, {"\x28\0\0\0\0\0\0\0\x01\0", 10, false},
		{"\x2a\0\0\0\0\0\0\0\x01\0", 10, false}, {"\x1b\0\0\0\x01\0", 6, false},
		{"\x1b\0\0\0\x12\0", 6, false}, {"\x25\0\0\0\0\0\0\0\0\0", 10, false},
		{"\x35\0\0\0\0\0\0\0\0\0", 10, false}, {"\x04\0\0\0\0\0", 6, false},
		{"\x48\x1f\0\0\0\0\0\0\0\0", 10, false}, {"\x12\0\0\0\x24\0", 6, true},
		{"\x03\0\0\0\x12\0", 6, true}, {"\xa0\0\0\0\0\0\0\0\0\x10\0\0", 12, true},
		{"\xa3\x0c\0\0\0\0\0\0\0\x10\0\0", 12, true}};
	struct tst t, r;
	unsigned n;

	overwrite(&t, 0x80, 1, "", 1);
	n = x.fake->n_log;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		tst_init(&r, x.lun, rows[i].cdb, rows[i].len, 512, 1);
		tst_submit(&r);
		if (rows[i].answered) {
			assert_good(&r);
		} else {
			assert_check(&r, 0x02, 0x04, 0x1b);
			ck_assert_uint_eq(r.task.sense[15], 0x80); /* a progress, not a field */
		}
		free(r.buf);
	}
	ck_assert_uint_eq(x.fake->n_log, n);
	fake_run(x.fake, 0);
	tst_fini(&t);
	assert_tur_good();
}
END_TEST

static uint16_t progress(bool desc)
{
	uint8_t cdb[6] = {0x03, desc, 0, 0, 0xff, 0};
	uint16_t ret;
	struct tst t;

	tst_init(&t, x.lun, cdb, 6, 255, 1);
	tst_submit(&t);
	assert_good(&t);
	if (desc) {
		ck_assert_mem_eq(t.buf, "\x72\x02\x04\x1b\0\0\0\x08\x02\x06\0\0\x80", 13);
		ret = get_be16(t.buf + 13);
	} else {
		ck_assert_uint_eq(t.buf[2], 0x02);
		ck_assert_mem_eq(t.buf + 12, "\x04\x1b\0\x80", 4);
		ret = get_be16(t.buf + 16);
	}
	tst_fini(&t);
	return ret;
}

START_TEST(request_sense_tells_how_far_it_is)
{
	uint16_t last = 0, now;
	struct tst t, r;

	overwrite(&t, 0x80, 2, "", 1);
	ck_assert_uint_eq(progress(false), 0);
	for (unsigned i = 0; i < 34; i++) {
		fake_complete(x.fake, 0);
		now = progress(i & 1);
		ck_assert_uint_ge(now, last);
		last = now;
		if (i == 17) /* a flush, 16 writes, a flush: half of it */
			ck_assert(now > 0x8000 && now < 0xb000);
		tur(&r);
		ck_assert_uint_eq(get_be16(r.task.sense + 16), now);
		tst_fini(&r);
	}
	ck_assert_uint_gt(last, 0xf000);
	fake_run(x.fake, 0);
	assert_tur_good();
	tst_do(&r, &x, "\x03\0\0\0\xff\0", 6, 255);
	ck_assert_uint_eq(r.buf[2], 0);
	tst_fini(&r);
	tst_fini(&t);
}
END_TEST

START_TEST(commands_that_came_before_have_their_blocks_to_the_end)
{
	struct tst w, t;

	tst_init(&w, x.lun, "\x2a\0\0\0\0\x07\0\0\x01\0", 10, 512, 1);
	tst_fill(&w, 1);
	tst_submit(&w);
	format(&t, 0, NULL, 0);
	ck_assert_uint_eq(x.fake->n_flight, 1);
	assert_tur(0x02, 0x04, 0x04);
	fake_complete(x.fake, 0);
	assert_good(&w);
	fake_run(x.fake, 0);
	assert_good(&t);
	ck_assert(holds((const uint8_t *)"", 1));
	tst_fini(&w);
	tst_fini(&t);
}
END_TEST

START_TEST(an_abort_ends_the_command_and_not_the_work)
{
	struct tst t;

	overwrite(&t, 0, 1, "x", 1);
	fake_complete(x.fake, 0);
	ck_assert_uint_eq(t.done, 0);
	scsi_task_abort(&t.task);
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(t.task.status, SCSI_TASK_ABORTED);
	ck_assert_uint_eq(x.fake->n_aborts, 0);
	assert_tur(0x02, 0x04, 0x1b);
	tst_fini(&t);
	fake_run(x.fake, 0);
	ck_assert(holds((const uint8_t *)"x", 1));
	assert_tur_good();
}
END_TEST

/* --- SANITIZE --- */

START_TEST(overwrite_writes_the_pattern_as_often_as_it_is_told)
{
	unsigned flushes = 0, writes = 0;
	uint8_t block[512];
	struct tst t;

	for (unsigned i = 0; i < 512; i++)
		block[i] = (uint8_t)(i * 7);
	overwrite(&t, 0, 3, block, 512);
	fake_run(x.fake, 0);
	assert_good(&t);
	ck_assert(holds(block, 512));
	for (unsigned i = 0; i < x.fake->n_log; i++) {
		flushes += x.fake->log[i].kind == HBA_REQ_FLUSH;
		writes += x.fake->log[i].kind == HBA_REQ_RW;
	}
	ck_assert_uint_eq(writes, 48);
	ck_assert_uint_eq(flushes, 4); /* before each pass and at the end */
	tst_fini(&t);
}
END_TEST

START_TEST(invert_turns_the_pattern_around_between_passes)
{
	static const uint8_t odd[] = {0x0f, 0x55, 0x00}, even[] = {0xf0, 0xaa, 0xff};
	struct tst t;

	for (unsigned passes = 1; passes < 5; passes++) {
		overwrite(&t, 0, (uint8_t)(0x80 | passes), odd, 3);
		fake_run(x.fake, 5);
		assert_good(&t);
		ck_assert(holds(passes & 1 ? odd : even, 3));
		tst_fini(&t);
	}
}
END_TEST

static void assert_sanitize_refused(
	uint8_t cdb[10], const void *list, size_t len, uint8_t asc, uint8_t ascq, const char *pointer)
{
	struct tst t;

	start(&t, cdb, 10, list, len);
	assert_check(&t, 0x05, asc, ascq);
	ck_assert_mem_eq(t.task.sense + 15, pointer, 3);
	tst_fini(&t);
}

START_TEST(sanitizes_that_cannot_be_had_are_refused)
{
	static const uint8_t good[600] = {1, 0, 0, 4};
	static const uint16_t lengths[] = {0, 1, 2, 3, 4, 517, 600};
	uint8_t cdb[10] = {0x48, 0x01}, list[16] = {1, 0, 0, 4};

	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
		put_be16(cdb + 7, lengths[i]);
		assert_sanitize_refused(cdb, good, lengths[i], 0x24, 0, "\xcf\x00\x07");
	}
	put_be16(cdb + 7, 8);
	assert_sanitize_refused(cdb, good, 7, 0x0e, 3, "\0\0\0");
	assert_sanitize_refused(cdb, good, 9, 0x0e, 3, "\0\0\0");
	assert_sanitize_refused(cdb, good, 0, 0x0e, 3, "\0\0\0");
	cdb[1] = 0x41; /* ZNR */
	assert_sanitize_refused(cdb, good, 8, 0x24, 0, "\xce\x00\x01");
	for (uint8_t i = 2; i < 7; i++) {
		const char pointer[3] = {(char)0xcf, 0, (char)i};

		cdb[1] = 0x01;
		cdb[i] = i;
		assert_sanitize_refused(cdb, good, 8, 0x24, 0, pointer);
		cdb[i] = 0;
	}
	list[0] = 0;
	assert_sanitize_refused(cdb, list, 8, 0x26, 0, "\x8c\x00\x00"); /* no pass */
	list[0] = 0x21;
	assert_sanitize_refused(cdb, list, 8, 0x26, 0, "\x8e\x00\x00"); /* TEST */
	list[0] = 1;
	list[3] = 0;
	assert_sanitize_refused(cdb, list, 8, 0x26, 0, "\x8f\x00\x02"); /* no pattern */
	list[3] = 5;
	assert_sanitize_refused(cdb, list, 8, 0x26, 0, "\x8f\x00\x02"); /* more than there is */
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(erasures_and_unknown_actions_are_refused)
{
	for (uint8_t sa = 0; sa < 0x1f; sa++) {
		uint8_t cdb[10] = {0x48, sa};

		if (sa != 0x01)
			assert_sanitize_refused(cdb, NULL, 0, 0x24, 0, "\xcc\x00\x01");
	}
}
END_TEST

START_TEST(both_need_to_be_allowed_and_ro_refuses_both)
{
	static const char *const luns[] = {"ld0", "ld0;allow=nodata", "ld0;ro=1;allow=format+sanitize"};
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(luns); i++) {
		bool ro = i == 2;

		use_lun(luns[i]);
		for (unsigned j = 0; j < 3; j++) {
			if (j == 0)
				format(&t, 0, NULL, 0);
			else if (j == 1)
				overwrite(&t, 0, 1, "x", 1);
			else
				exit_failure(&t);
			assert_check(&t, ro ? 0x07 : 0x05, ro ? 0x27 : 0x20, 0x00);
			tst_fini(&t);
		}
	}
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

/* --- failures --- */

START_TEST(what_the_unit_has_to_tell_does_not_end_it)
{
	static const uint8_t reset[18] = {0x70, 0, 0x06, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0x00};
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
}
END_TEST

/* A flush at the end of hours, too. */
START_TEST(what_the_unit_has_to_tell_a_flush_does_not_end_it)
{
	static const uint8_t reset[18] = {0x70, 0, 0x06, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0x00};
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
	static const uint8_t reset[18] = {0x70, 0, 0x06, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0x00};
	struct tst t;
	unsigned n = 0;

	format(&t, 0, NULL, 0);
	fake_complete(x.fake, 0);
	for (; x.fake->n_flight; n++)
		fake_end(x.fake, 0, HBA_DONE, 0x02, reset, 18);
	ck_assert_uint_lt(n, 32);
	assert_check(&t, 0x03, 0x31, 0x01);
	tst_fini(&t);
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

static void add_luns(Suite *s)
{
	TCase *c = tcase_create("comings and goings");

	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, it_goes_on_when_its_lun_is_let_go_of);
	tcase_add_test(c, a_failure_is_known_to_the_units_next_lun);
	tcase_add_test(c, another_unit_is_not_touched);
	tcase_add_test(c, as_many_as_can_run_leave_buffers_for_the_commands_of_others);
	tcase_add_test(c, an_initiator_that_begins_it_again_and_again_does_not_flood_the_log);
	tcase_add_test(c, it_fails_when_the_controller_goes);
	tcase_add_test(c, the_host_can_end_with_a_failure_that_no_lun_is_left_for);
	tcase_add_test(c, it_is_still_known_after_the_units_were_looked_at_anew);
	suite_add_tcase(s, c);
}

static void add_failures(Suite *s)
{
	TCase *c = tcase_create("failures");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, what_the_unit_has_to_tell_does_not_end_it);
	tcase_add_loop_test(c, what_the_unit_has_to_tell_a_flush_does_not_end_it, 0, 2);
	tcase_add_test(c, atomic_writes_are_refused_after_a_failed_format);
	tcase_add_test(c, a_unit_that_never_stops_telling_does);
	tcase_add_test(c, a_failed_format_leaves_a_unit_that_only_another_one_makes_usable);
	tcase_add_test(c, a_failed_sanitize_is_left_by_another_one_or_where_it_was_allowed_by_exit);
	tcase_add_test(c, a_flush_that_fails_is_a_failure);
	suite_add_tcase(s, c);
}

int main(void)
{
	Suite *s = suite_create("scsi wipe");
	TCase *c = tcase_create("wipe");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_format_without_list_fills_the_unit_with_zeros_and_flushes);
	tcase_add_test(c, an_initialization_pattern_is_repeated_in_each_block);
	tcase_add_test(c, immed_is_good_at_once_and_the_work_goes_on);
	tcase_add_test(c, formats_that_cannot_be_had_are_refused);
	tcase_add_test(c, only_questions_are_answered_while_it_runs);
	tcase_add_test(c, request_sense_tells_how_far_it_is);
	tcase_add_test(c, commands_that_came_before_have_their_blocks_to_the_end);
	tcase_add_test(c, an_abort_ends_the_command_and_not_the_work);
	tcase_add_test(c, overwrite_writes_the_pattern_as_often_as_it_is_told);
	tcase_add_test(c, invert_turns_the_pattern_around_between_passes);
	tcase_add_test(c, sanitizes_that_cannot_be_had_are_refused);
	tcase_add_test(c, erasures_and_unknown_actions_are_refused);
	tcase_add_test(c, both_need_to_be_allowed_and_ro_refuses_both);
	suite_add_tcase(s, c);
	add_failures(s);
	add_luns(s);
	return run_suite(s);
}
