/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a command becomes by the unit's results, statuses and sense. */
#include <stdlib.h>
#include <string.h>
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

static void one_read(struct tst *t, enum hba_result result, uint8_t status, const uint8_t *sense, uint8_t len)
{
	tst_init(t, x.lun, "\x28\0\0\0\0\0\0\0\x01\0", 10, 512, 1);
	tst_submit(t);
	fake_end(x.fake, 0, result, status, sense, len);
	ck_assert_uint_eq(t->done, 1);
}

START_TEST(the_units_statuses_and_sense_come_through)
{
	static const uint8_t plain[] = {SCSI_BUSY, 0x18, SCSI_TASK_SET_FULL, SCSI_TASK_ABORTED};
	uint8_t sense[255];
	struct tst t;

	for (unsigned i = 0; i < sizeof(plain); i++) {
		one_read(&t, HBA_DONE, plain[i], NULL, 0);
		ck_assert_uint_eq(t.task.status, plain[i]);
		ck_assert_uint_eq(t.task.sense_len, 0);
		tst_fini(&t);
	}
	/* Nobody asked for it: see test_through.c. */
	one_read(&t, HBA_ABORTED, 0, NULL, 0);
	assert_check(&t, 0x0b, 0x2f, 0x02);
	tst_fini(&t);
	/* Descriptor format, and a length beyond what there is room for. */
	memset(sense, 0x5a, sizeof(sense));
	memcpy(sense, "\x72\x06\x2a\x01\0\0\0\x58", 8);
	one_read(&t, HBA_DONE, 0x02, sense, 8);
	ck_assert_uint_eq(t.task.status, SCSI_CHECK_CONDITION);
	ck_assert_uint_eq(t.task.sense_len, 8);
	ck_assert_mem_eq(t.task.sense, sense, 8);
	for (unsigned i = 8; i < SCSI_SENSE_SIZE; i++)
		ck_assert_uint_eq(t.task.sense[i], 0);
	tst_fini(&t);
	one_read(&t, HBA_DONE, 0x02, sense, 255);
	ck_assert_uint_eq(t.task.sense_len, SCSI_SENSE_SIZE);
	tst_fini(&t);
}
END_TEST

START_TEST(check_condition_without_sense_and_odd_statuses_become_hardware_errors)
{
	static const uint8_t zeros[18];
	struct tst t;

	one_read(&t, HBA_DONE, 0x02, NULL, 0);
	assert_check(&t, 0x04, 0x44, 0x00);
	tst_fini(&t);
	one_read(&t, HBA_DONE, 0x02, zeros, 18);
	assert_check(&t, 0x04, 0x44, 0x00);
	tst_fini(&t);
	one_read(&t, HBA_DONE, 0x77, NULL, 0);
	assert_check(&t, 0x04, 0x44, 0x00);
	tst_fini(&t);
	/* GOOD for a read of which less came than was asked */
	for (unsigned missing = 1; missing <= 1024; missing += 341) {
		x.fake->short_moved = missing;
		tst_do(&t, &x, "\x28\0\0\0\0\0\0\0\x02\0", 10, 1024);
		assert_check(&t, 0x04, 0x44, 0x00);
		/* whole blocks of what came */
		ck_assert_uint_eq(t.task.in_bytes, missing <= 512 ? 512 : 0);
		free(t.buf);
	}
}
END_TEST

/* A driver that knows how much came before the error: the blocks in front of it reach the initiator. */
START_TEST(data_that_arrived_before_an_error_is_counted)
{
	static const struct {
		uint32_t moved, in_bytes;
	} rows[] = {{0, 0}, {511, 0}, {512, 512}, {1535, 1024}, {4096, 4096}, {UINT32_MAX, 4096}};
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		tst_init(&t, x.lun, "\x28\0\0\0\0\0\0\0\x08\0", 10, 4096, 3);
		tst_submit(&t);
		fake_end_moved(x.fake, 0, fake_sense_medium, 18, rows[i].moved);
		assert_check(&t, 0x03, 0x11, 0x00);
		ck_assert_uint_eq(t.task.in_bytes, rows[i].in_bytes);
		tst_fini(&t);
	}
}
END_TEST

START_TEST(a_recovered_error_is_a_success)
{
	static const uint8_t recovered[18] = {0x70, 0, 0x01, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x17, 0x01};
	uint8_t cdb[16];
	struct tst t;

	cdb16(cdb, 0x8a, 0, 0, 1024);
	tst_init(&t, x.lun, cdb, 16, 1024 * 512, 1);
	tst_fill(&t, 1);
	tst_submit(&t);
	fake_end(x.fake, 1, HBA_DONE, 0x02, recovered, 18);
	fake_run(x.fake, 0);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

/* Deferred sense (71h): an earlier command's story, and this write never ran. */
START_TEST(a_deferred_recovered_error_is_none)
{
	static const uint8_t deferred[18] = {0x71, 0, 0x01, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x17, 0x01};
	uint8_t cdb[16];
	struct tst t;

	cdb16(cdb, 0x8a, 0, 0, 8);
	tst_init(&t, x.lun, cdb, 16, 8 * 512, 1);
	tst_fill(&t, 1);
	tst_submit(&t);
	fake_end(x.fake, 0, HBA_DONE, 0x02, deferred, 18);
	fake_run(x.fake, 0);
	ck_assert_uint_eq(t.task.status, SCSI_CHECK_CONDITION);
	ck_assert_uint_eq(t.task.sense[0] & 0x7f, 0x71);
	tst_fini(&t);
}
END_TEST

/* Only the driver knows what a flush's sense means: nothing but GOOD is one. */
START_TEST(a_flush_with_recovered_error_is_no_flush)
{
	static const uint8_t recovered[18] = {0x70, 0, 0x01, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x17, 0x01};
	struct tst t;

	tst_init(&t, x.lun, "\x35\0\0\0\0\0\0\0\0\0", 10, 0, 0);
	tst_submit(&t);
	fake_end(x.fake, 0, HBA_DONE, 0x02, recovered, 18);
	fake_run(x.fake, 0);
	ck_assert_uint_eq(t.task.status, SCSI_CHECK_CONDITION);
	tst_fini(&t);
}
END_TEST

START_TEST(counters_count)
{
	struct scsi_lun_stats st;
	struct tst t;

	tst_do(&t, &x, "\x28\0\0\0\0\0\0\0\x02\0", 10, 1024);
	tst_fini(&t);
	tst_do(&t, &x, "\x28\0\0\0\0\0\0\0\x02\0", 10, 512);
	tst_fini(&t);
	tst_do(&t, &x, "\x2a\x08\0\0\0\0\0\0\x01\0", 10, 512);
	tst_fini(&t);
	tst_do(&t, &x, "\x2a\0\0\0\x7f\0\0\0\x01\0", 10, 512);
	tst_fini(&t);
	tst_do(&t, &x, "\x35\0\0\0\0\0\0\0\0\0", 10, 0);
	tst_fini(&t);
	scsi_lun_get_stats(x.lun, &st);
	ck_assert_uint_eq(st.tasks, 5);
	ck_assert_uint_eq(st.reads, 2);
	ck_assert_uint_eq(st.read_bytes, 1536);
	ck_assert_uint_eq(st.writes, 2);
	ck_assert_uint_eq(st.write_bytes, 512);
	ck_assert_uint_eq(st.flushes, 2);
	ck_assert_uint_eq(st.errors, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi results");
	TCase *c = tcase_create("results");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, the_units_statuses_and_sense_come_through);
	tcase_add_test(c, check_condition_without_sense_and_odd_statuses_become_hardware_errors);
	tcase_add_test(c, data_that_arrived_before_an_error_is_counted);
	tcase_add_test(c, a_recovered_error_is_a_success);
	tcase_add_test(c, a_deferred_recovered_error_is_none);
	tcase_add_test(c, a_flush_with_recovered_error_is_no_flush);
	tcase_add_test(c, counters_count);
	suite_add_tcase(s, c);
	return run_suite(s);
}
