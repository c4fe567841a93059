/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tags: unique while held, generations against late replies. */
#include "main.h"

#include <signal.h>
#include <string.h>

#include "base/tags.h"

START_TEST(all_are_handed_out_once)
{
	struct tags t;
	bool seen[100] = {false};

	ck_assert_int_eq(tags_init(&t, 100), 0);
	for (int i = 0; i < 100; i++) {
		int32_t tag = tags_get(&t);

		ck_assert_int_ge(tag, 0);
		ck_assert_int_lt(tag, 100);
		ck_assert(!seen[tag]);
		seen[tag] = true;
		ck_assert(tags_in_use(&t, (uint32_t)tag));
	}
	ck_assert_int_eq(tags_get(&t), -1);
	tags_put(&t, 42);
	ck_assert(!tags_in_use(&t, 42));
	ck_assert_int_eq(tags_get(&t), 42);
	ck_assert_int_eq(tags_get(&t), -1);
	tags_fini(&t);
}
END_TEST

START_TEST(generation_changes_with_each_use)
{
	struct tags t;
	uint32_t held, free_;

	ck_assert_int_eq(tags_init(&t, 1), 0);
	free_ = t.generation[0];
	ck_assert_int_eq(tags_get(&t), 0);
	held = t.generation[0];
	ck_assert_uint_ne(held, free_);
	tags_put(&t, 0);
	ck_assert_uint_ne(t.generation[0], held);
	ck_assert_int_eq(tags_get(&t), 0);
	ck_assert_uint_ne(t.generation[0], held);
	ck_assert_uint_ne(t.generation[0], free_);
	tags_fini(&t);
}
END_TEST

START_TEST(last_freed_comes_first)
{
	struct tags t;

	ck_assert_int_eq(tags_init(&t, 4), 0);
	ck_assert_int_eq(tags_get(&t), 0);
	ck_assert_int_eq(tags_get(&t), 1);
	ck_assert_int_eq(tags_get(&t), 2);
	tags_put(&t, 0);
	tags_put(&t, 2);
	ck_assert_int_eq(tags_get(&t), 2);
	ck_assert_int_eq(tags_get(&t), 0);
	ck_assert_int_eq(tags_get(&t), 3);
	tags_fini(&t);
}
END_TEST

START_TEST(out_of_range_is_not_in_use)
{
	struct tags t;

	ck_assert_int_eq(tags_init(&t, 3), 0);
	ck_assert(!tags_in_use(&t, 3));
	ck_assert(!tags_in_use(&t, UINT32_MAX));
	tags_fini(&t);
	/* none at all, and not initialised */
	ck_assert_int_eq(tags_init(&t, 0), 0);
	ck_assert_int_eq(tags_get(&t), -1);
	tags_fini(&t);
	memset(&t, 0, sizeof(t));
	tags_fini(&t);
}
END_TEST

#ifndef NDEBUG
START_TEST(putting_twice_stops_the_program)
{
	struct tags t;

	ck_assert_int_eq(tags_init(&t, 3), 0);
	tags_get(&t);
	tags_put(&t, 0);
	tags_put(&t, 0);
}
END_TEST
#endif

int main(void)
{
	TCase *c = tcase_create("tags");

	tcase_add_test(c, all_are_handed_out_once);
	tcase_add_test(c, generation_changes_with_each_use);
	tcase_add_test(c, last_freed_comes_first);
	tcase_add_test(c, out_of_range_is_not_in_use);
#ifndef NDEBUG
	tcase_add_test_raise_signal(c, putting_twice_stops_the_program, SIGABRT);
#endif
	return run_case(c, "tags");
}
