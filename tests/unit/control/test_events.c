/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ring of events: who follows misses nothing, or can see what he missed. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "control/events.h"

static struct events *ev;

static void setup(void)
{
	ev = events_new();
}

static void teardown(void)
{
	events_free(ev);
}

START_TEST(events_come_in_order_with_numbers_from_one)
{
	const struct event *e;

	ck_assert_ptr_null(events_after(ev, 0));
	ck_assert_uint_eq(events_last(ev), 0);
	events_add(ev, -1, "unit-added", "ld1", "naa.6", "is new, %d", 7);
	events_add(ev, -1, "unit-removed", "ld1", "", "gone");
	e = events_after(ev, 0);
	ck_assert_uint_eq(e->seq, 1);
	ck_assert_str_eq(e->what, "unit-added");
	ck_assert_str_eq(e->unit, "ld1");
	ck_assert_str_eq(e->naa, "naa.6");
	ck_assert_str_eq(e->text, "is new, 7");
	ck_assert_int_gt(e->time_us, 0);
	e = events_after(ev, 1);
	ck_assert_uint_eq(e->seq, 2);
	ck_assert_ptr_null(events_after(ev, 2));
	ck_assert_ptr_null(events_after(ev, UINT64_MAX));
}
END_TEST

START_TEST(the_oldest_are_forgotten_first)
{
	for (unsigned i = 1; i <= EVENTS_KEPT + 3; i++)
		events_add(ev, -1, "x", "", "", "%u", i);
	ck_assert_uint_eq(events_after(ev, 0)->seq, 4);
	ck_assert_str_eq(events_after(ev, 0)->text, "4");
	ck_assert_uint_eq(events_after(ev, 3)->seq, 4);
	ck_assert_uint_eq(events_after(ev, 4)->seq, 5);
	ck_assert_str_eq(events_after(ev, EVENTS_KEPT + 2)->text, "515");
	ck_assert_ptr_null(events_after(ev, EVENTS_KEPT + 3));
}
END_TEST

START_TEST(what_is_too_long_is_cut)
{
	char word[2000];

	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	events_add(ev, -1, "x", word, word, "%s", word);
	ck_assert_uint_eq(strlen(events_after(ev, 0)->unit), 15);
	ck_assert_uint_eq(strlen(events_after(ev, 0)->naa), 39);
	ck_assert_uint_eq(strlen(events_after(ev, 0)->text), 511);
}
END_TEST

START_TEST(without_a_ring_nothing_is_kept)
{
	events_add(NULL, -1, "x", "", "", "text");
	ck_assert_ptr_null(events_after(NULL, 0));
	ck_assert_uint_eq(events_last(NULL), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("events");
	TCase *t = tcase_create("events");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, events_come_in_order_with_numbers_from_one);
	tcase_add_test(t, the_oldest_are_forgotten_first);
	tcase_add_test(t, what_is_too_long_is_cut);
	tcase_add_test(t, without_a_ring_nothing_is_kept);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
