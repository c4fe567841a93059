/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries that may be too old to be executed (H2). */

#include "base/clock.h"
#include "tests/unit/front/harness.h"
#include "tests/unit/run_suite.h"

static void open_with_time_out(uint32_t seconds)
{
	harness_open(HARNESS_RING_BYTES, HARNESS_BLOCKS);
	h.cmd_time_out_s = seconds;
	harness_create();
}

START_TEST(an_entry_found_after_a_long_pause_is_not_executed)
{
	/* cmd_time_out 30 s: 28 s are the bound */
	static const struct {
		uint64_t pause_ms;
		bool aged;
	} t[] = {{1, false}, {27999, false}, {28000, false}, {28001, true}, {60000, true}};

	open_with_time_out(30);
	harness_start();
	for (unsigned i = 0; i < 5; i++) {
		struct model_cmd *c;

		harness_spin(); /* a look */
		c = harness_queue(0x2a, i, MODEL_WRITE, 512);
		h.now_ns += t[i].pause_ms * NS_PER_MS;
		harness_spin();
		ck_assert_uint_eq(fake.n, !t[i].aged);
		if (t[i].aged)
			ck_assert_uint_eq(c->status, 8);
		fake_finish_all();
		harness_spin();
		ck_assert_uint_eq(c->answers, 1);
		model_cmd_free(c);
	}
	ck_assert_uint_eq(harness_stats().aged, 2);
}
END_TEST

START_TEST(an_entry_of_unknown_age_is_not_executed)
{
	struct model_cmd *c;

	open_with_time_out(30);
	c = harness_queue(0x2a, 1, MODEL_WRITE, 512);
	harness_start();
	harness_spin();
	ck_assert_uint_eq(fake.submitted, 0);
	ck_assert_uint_eq(c->status, 8);
	model_cmd_free(c);
	c = harness_queue(0x2a, 2, MODEL_WRITE, 512);
	harness_spin();
	ck_assert_uint_eq(fake.n, 1);
	fake_finish_all();
	harness_spin();
	model_cmd_free(c);
}
END_TEST

START_TEST(idling_does_not_age_the_next_entry)
{
	struct model_cmd *c;

	/* a clock that stands while nothing comes would hide it: looks are due every 14 s */
	open_with_time_out(30);
	harness_start();
	for (unsigned i = 0; i < 100; i++) {
		h.now_ns += 20 * NS_PER_SEC;
		loop_once(h.loop, 0);
	}
	c = harness_queue(0x2a, 1, MODEL_WRITE, 512);
	harness_spin();
	ck_assert_uint_eq(fake.n, 1);
	ck_assert_uint_eq(harness_stats().aged, 0);
	fake_finish_all();
	harness_spin();
	model_cmd_free(c);
}
END_TEST

static void stall(struct scsi_task *task)
{
	h.now_ns += 9 * NS_PER_SEC;
}

START_TEST(a_stall_while_taking_counts)
{
	/* stopped after the look and the first submission: the other two are too old by then */
	struct model_cmd *c[3];

	open_with_time_out(10);
	harness_start();
	harness_spin();
	for (unsigned i = 0; i < 3; i++)
		c[i] = harness_queue(0x2a, i, MODEL_WRITE, 512);
	fake.on_submit = stall;
	harness_spin();
	ck_assert_uint_eq(fake.n, 1);
	ck_assert_uint_eq(c[1]->status, 8);
	ck_assert_uint_eq(c[2]->status, 8);
	fake_finish_all();
	harness_spin();
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(c[i]->answers, 1);
		model_cmd_free(c[i]);
	}
}
END_TEST

START_TEST(without_a_time_out_nothing_is_too_old)
{
	struct model_cmd *c;

	open_with_time_out(0);
	c = harness_queue(0x2a, 1, MODEL_WRITE, 512);
	h.now_ns += 3600 * NS_PER_SEC;
	harness_start();
	ck_assert_uint_eq(fake.n, 1);
	fake_finish_all();
	harness_spin();
	model_cmd_free(c);
	c = harness_queue(0x2a, 2, MODEL_WRITE, 512);
	h.now_ns += 3600 * NS_PER_SEC;
	harness_spin();
	ck_assert_uint_eq(fake.n, 1);
	fake_finish_all();
	harness_spin();
	ck_assert_uint_eq(harness_stats().aged, 0);
	model_cmd_free(c);
}
END_TEST

START_TEST(short_time_outs_keep_half_of_their_time)
{
	static const struct {
		uint32_t s;
		uint64_t bound_ms;
	} t[] = {{1, 500}, {2, 1000}, {3, 1500}, {4, 2000}, {5, 3000}, {30, 28000}};

	for (unsigned i = 0; i < 6; i++) {
		open_with_time_out(t[i].s);
		ck_assert_uint_eq(h.r->age_bound_ns, t[i].bound_ms * NS_PER_MS);
		harness_close();
	}
	open_with_time_out(0);
	ck_assert_uint_eq(h.r->age_bound_ns, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("front-age");
	TCase *t = tcase_create("age");

	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, NULL, harness_close);
	tcase_add_test(t, an_entry_found_after_a_long_pause_is_not_executed);
	tcase_add_test(t, an_entry_of_unknown_age_is_not_executed);
	tcase_add_test(t, idling_does_not_age_the_next_entry);
	tcase_add_test(t, a_stall_while_taking_counts);
	tcase_add_test(t, without_a_time_out_nothing_is_too_old);
	tcase_add_test(t, short_time_outs_keep_half_of_their_time);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return run_suite(suite());
}
