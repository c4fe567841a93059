/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the initiator's buffer holds when a command has ended (H15). */
#include <string.h>

#include "tests/unit/front/harness.h"
#include "tests/unit/run_suite.h"

/* Blocks that the next command gets again are full of another command's data. */
static void poison_blocks(void)
{
	memset(h.m.map + h.m.data_off, 0xdd, (size_t)HARNESS_BLOCKS * MODEL_BLOCK);
}

static struct model_cmd *one(uint8_t opcode, enum model_dir dir, uint32_t len)
{
	struct model_cmd *c = harness_queue(opcode, 3, dir, len);

	if (dir != MODEL_WRITE)
		poison_blocks();
	harness_spin();
	ck_assert_uint_eq(fake.n, 1);
	return c;
}

static void check_answer(struct model_cmd *c, uint8_t status, uint32_t read_len)
{
	harness_spin();
	ck_assert_uint_eq(c->answers, 1);
	ck_assert_uint_eq(c->status, status);
	ck_assert_int_eq(c->has_read_len, read_len != 0);
	ck_assert_uint_eq(c->read_len, read_len);
	ck_assert(!h.m.broken);
}

START_TEST(a_short_read_says_its_length)
{
	static const uint32_t in[] = {1, 511, 4096, 5000, 12287};

	for (unsigned i = 0; i < 5; i++) {
		struct model_cmd *c = one(0x28, MODEL_READ, 12288);

		fake_short(fake.task[0], in[i]);
		check_answer(c, 0, in[i]);
		ck_assert(harness_data_is(c, in[i], 0xee)); /* the rest of the buffer is not touched */
		model_cmd_free(c);
	}
	ck_assert_uint_eq(harness_stats().residuals, 5);
}
END_TEST

START_TEST(a_full_read_says_nothing)
{
	struct model_cmd *c = one(0x28, MODEL_READ, 12288);

	fake_good(fake.task[0]);
	check_answer(c, 0, 0);
	ck_assert(harness_data_is(c, 12288, 0));
	ck_assert_uint_eq(harness_stats().residuals, 0);
	model_cmd_free(c);
}
END_TEST

START_TEST(an_empty_read_gives_zeros)
{
	struct model_cmd *c = one(0x28, MODEL_READ, 5000);

	fake_short(fake.task[0], 0);
	check_answer(c, 0, 0);
	ck_assert(harness_data_is(c, 0, 0));
	ck_assert_uint_eq(harness_stats().residuals, 1);
	model_cmd_free(c);
}
END_TEST

START_TEST(more_data_than_expected_is_a_full_read)
{
	struct model_cmd *c = one(0x28, MODEL_READ, 4096);

	fake_short(fake.task[0], 4096 + 512);
	check_answer(c, 0, 0);
	ck_assert(harness_data_is(c, 4096, 0));
	model_cmd_free(c);
}
END_TEST

START_TEST(a_kernel_without_read_len_gets_zeros_behind_a_short_read)
{
	struct model_cmd *c;

	h.r->ring.caps &= (uint16_t)~TCMU_MAILBOX_FLAG_CAP_READ_LEN;
	c = one(0x28, MODEL_READ, 12288);
	fake_short(fake.task[0], 5000);
	check_answer(c, 0, 0);
	ck_assert(harness_data_is(c, 5000, 0));
	model_cmd_free(c);
	c = one(0x28, MODEL_READ, 4096);
	fake_check(fake.task[0], 3, 512);
	check_answer(c, 2, 0);
	ck_assert(harness_data_is(c, 0, 0xee));
	model_cmd_free(c);
}
END_TEST

/* H18: READ_LEN beside sense. */
START_TEST(check_condition_carries_its_data_and_sense)
{
	static const uint32_t in[] = {512, 8192, 12288};

	for (unsigned i = 0; i < 3; i++) {
		struct model_cmd *c = one(0x28, MODEL_READ, 12288);

		fake_check(fake.task[0], 3, in[i]);
		check_answer(c, 2, in[i]);
		ck_assert(harness_data_is(c, in[i], 0xee));
		ck_assert_uint_eq(c->sense[0], 0x70);
		ck_assert_uint_eq(c->sense[2], 3);
		ck_assert_uint_eq(c->sense[3], 0);
		ck_assert_uint_eq(c->sense[95], 0x5a);
		model_cmd_free(c);
	}
}
END_TEST

START_TEST(check_condition_without_data_gives_none)
{
	struct model_cmd *c = one(0x28, MODEL_READ, 4096);

	fake_check(fake.task[0], 5, 0);
	check_answer(c, 2, 0);
	ck_assert(harness_data_is(c, 0, 0xee));
	model_cmd_free(c);
	c = one(0x2a, MODEL_WRITE, 4096);
	fake_check(fake.task[0], 7, 4096);
	check_answer(c, 2, 0);
	model_cmd_free(c);
}
END_TEST

START_TEST(other_statuses_leak_no_earlier_data)
{
	static const enum scsi_status st[] = {SCSI_BUSY, SCSI_TASK_SET_FULL, SCSI_TASK_ABORTED};

	for (unsigned i = 0; i < 3; i++) {
		struct model_cmd *c = one(0x28, MODEL_READ, 5000);

		fake.task[0]->in_bytes = 2500 * i; /* counts for nothing */
		fake_status(fake.task[0], st[i]);
		check_answer(c, (uint8_t)st[i], 0);
		ck_assert(harness_data_is(c, 0, 0));
		model_cmd_free(c);
	}
}
END_TEST

START_TEST(a_command_without_data_whose_initiator_expects_some_gives_zeros)
{
	struct model_cmd *c = one(0x00, MODEL_READ, 5000);

	fake_good(fake.task[0]);
	check_answer(c, 0, 0);
	ck_assert(harness_data_is(c, 0, 0));
	model_cmd_free(c);
}
END_TEST

START_TEST(a_good_write_leaves_its_data_alone)
{
	struct model_cmd *c = one(0x2a, MODEL_WRITE, 5000);

	fake_good(fake.task[0]);
	check_answer(c, 0, 0);
	for (uint32_t i = 0; i < 5000; i++)
		if (h.m.map[h.m.data_off + i] != model_pattern(3, i))
			ck_abort_msg("byte %u", i);
	model_cmd_free(c);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("front-data");
	TCase *t = tcase_create("data");

	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, harness_setup, harness_close);
	tcase_add_test(t, a_short_read_says_its_length);
	tcase_add_test(t, a_full_read_says_nothing);
	tcase_add_test(t, an_empty_read_gives_zeros);
	tcase_add_test(t, more_data_than_expected_is_a_full_read);
	tcase_add_test(t, a_kernel_without_read_len_gets_zeros_behind_a_short_read);
	tcase_add_test(t, check_condition_carries_its_data_and_sense);
	tcase_add_test(t, check_condition_without_data_gives_none);
	tcase_add_test(t, other_statuses_leak_no_earlier_data);
	tcase_add_test(t, a_command_without_data_whose_initiator_expects_some_gives_zeros);
	tcase_add_test(t, a_good_write_leaves_its_data_alone);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return run_suite(suite());
}
