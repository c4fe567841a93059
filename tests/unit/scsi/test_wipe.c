/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FORMAT UNIT and SANITIZE: lists by hand from SBC-3, what lands on the disk, and what others hear meanwhile. */
#include <stdlib.h>
#include "base/clock.h"
#include "base/endian.h"
#include "wipe_rig.h"

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

/* H27: nobody waits for a SANITIZE: its work has a life of its own. */
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

/* Hazard H27. Rows: FORMAT UNIT, SANITIZE. */
START_TEST(who_waits_for_long_hears_how_far_it_is)
{
	static const uint8_t ascq[] = {0x04, 0x1b};
	struct tst t;

	if (_i == 0)
		format(&t, 0, NULL, 0);
	else
		overwrite(&t, 0, 1, "", 1);
	for (unsigned i = 0; i < 9; i++)
		fake_complete(x.fake, 0); /* the flush, and half of it */
	fake_time_passes(30 * NS_PER_SEC - 1);
	ck_assert_uint_eq(t.done, 0);
	fake_time_passes(1);
	assert_check(&t, 0x02, 0x04, ascq[_i]);
	ck_assert_uint_eq(t.task.sense[15], 0x80);
	ck_assert_uint_ge(get_be16(t.task.sense + 16), 0x8000);
	ck_assert_uint_eq(scsi_lun_busy(x.lun), 0);
	assert_tur(0x02, 0x04, ascq[_i]);
	fake_run(x.fake, 0);
	ck_assert(holds((const uint8_t *)"", 1));
	assert_tur_good();
	ck_assert_uint_eq(t.done, 1);
	tst_fini(&t);
}
END_TEST

/* Rows: the command ended, it was aborted. Another one of its LUN has the whole time again. */
START_TEST(who_waits_no_more_hears_nothing)
{
	struct tst t, next;

	overwrite(&t, 0, 1, "", 1);
	if (_i == 0)
		fake_run(x.fake, 0);
	else
		scsi_task_abort(&t.task);
	fake_time_passes(31 * NS_PER_SEC);
	ck_assert_uint_eq(t.done, 1);
	tst_fini(&t);
	fake_run(x.fake, 0);
	overwrite(&next, 0, 1, "", 1);
	fake_time_passes(29 * NS_PER_SEC);
	ck_assert_uint_eq(next.done, 0);
	fake_run(x.fake, 0);
	assert_good(&next);
	tst_fini(&next);
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

/* H16: FORMAT and SANITIZE need to be allowed, and a read-only LUN refuses them. */
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
	tcase_add_loop_test(c, who_waits_for_long_hears_how_far_it_is, 0, 2);
	tcase_add_loop_test(c, who_waits_no_more_hears_nothing, 0, 2);
	tcase_add_test(c, overwrite_writes_the_pattern_as_often_as_it_is_told);
	tcase_add_test(c, invert_turns_the_pattern_around_between_passes);
	tcase_add_test(c, sanitizes_that_cannot_be_had_are_refused);
	tcase_add_test(c, erasures_and_unknown_actions_are_refused);
	tcase_add_test(c, both_need_to_be_allowed_and_ro_refuses_both);
	suite_add_tcase(s, c);
	return run_suite(s);
}
