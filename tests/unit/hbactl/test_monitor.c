/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl monitor on a made-up instance. */
#include <check.h>
#include <stdlib.h>
#include "fake.h"

#define ANSWER(pid, last, events)                                                                            \
	"{\"pid\":" #pid ",\"state\":\"ready\",\"last\":" #last ",\"events\":[" events "]}"
#define EVENT(seq, event, unit, text)                                                                        \
	"{\"seq\":" #seq ",\"time_us\":1790000000000000,\"event\":\"" event "\",\"unit\":\"" unit            \
	"\",\"naa\":\"\",\"text\":\"" text "\"}"

static void setup(void)
{
	fake_setup();
	fake_write_config("g2", HBA_ADDR);
}

START_TEST(events_are_followed_from_now_on)
{
	static const char *const answers[] = {ANSWER(7, 41, ""), ANSWER(7, 41, ""),
		ANSWER(7, 42, EVENT(42, "unit-resized", "ld0", "has 2048 bytes, had 1024")),
		ANSWER(7, 43, EVENT(43, "controller-gone", "", "it was unplugged")), ANSWER(7, 43, ""), NULL};

	fake->events = answers;
	fake->events_until = 5;
	ck_assert_int_eq(fake_run("monitor g2"), CTL_OK);
	ck_assert_int_eq(fake->since[0], -1);
	ck_assert_int_eq(fake->since[1], 41);
	ck_assert_int_eq(fake->since[2], 41);
	ck_assert_int_eq(fake->since[3], 42);
	ck_assert_int_eq(fake->since[4], 43);
	ck_has(fake->out, "unit-resized       ld0 has 2048 bytes, had 1024\n");
	ck_has(fake->out, "controller-gone    it was unplugged\n");
	ck_assert_str_eq(fake->err, "");
}
END_TEST

START_TEST(all_begins_with_what_was_before_and_says_what_is_forgotten)
{
	static const char *const answers[] = {ANSWER(7, 41, ""),
		ANSWER(7, 41,
			EVENT(40, "unit-added", "ld1", "is new") "," EVENT(
				41, "unit-removed", "ld1", "gone")),
		NULL};

	fake->events = answers;
	fake->events_until = 3;
	ck_assert_int_eq(fake_run("monitor --all g2"), CTL_OK);
	ck_assert_int_eq(fake->since[1], 0);
	ck_has(fake->out, "events-lost        39 events are forgotten already\n");
	ck_has(fake->out, "ld1 is new\n");
	/* The same answer again is no news. */
	ck_assert_ptr_null(strstr(strstr(fake->out, "ld1 is new") + 1, "ld1 is new"));
}
END_TEST

START_TEST(json_is_one_object_a_line)
{
	static const char *const answers[] = {ANSWER(7, 0, ""),
		ANSWER(7, 2, EVENT(1, "unit-offline", "pd8", "a\\n\\u001bb") "," EVENT(2, "x", "", "")),
		NULL};
	g_auto(GStrv) lines = NULL;

	fake->events = answers;
	fake->events_until = 2;
	ck_assert_int_eq(fake_run("monitor g2 --json"), CTL_OK);
	lines = g_strsplit(fake->out, "\n", -1);
	ck_assert_uint_eq(g_strv_length(lines), 3);
	ck_assert_str_eq(lines[0],
		"{\"instance\":\"g2\",\"time_us\":1790000000000000,\"event\":\"unit-offline\","
		"\"unit\":\"pd8\",\"naa\":\"\",\"text\":\"a\\n\\u001bb\"}");
}
END_TEST

START_TEST(what_firmware_says_does_not_reach_the_terminal_as_it_is)
{
	static const char *const answers[] = {
		ANSWER(7, 0, ""), ANSWER(7, 1, EVENT(1, "e\\u001b", "u\\n", "a\\n\\u001bb")), NULL};

	fake->events = answers;
	fake->events_until = 2;
	ck_assert_int_eq(fake_run("monitor g2"), CTL_OK);
	ck_has(fake->out, "e?                 u? a??b\n");
}
END_TEST

START_TEST(an_instance_that_is_restarted_is_followed_on)
{
	static const char *const answers[] = {ANSWER(7, 5, ""), "", "",
		ANSWER(8, 1, EVENT(1, "unit-added", "ld9", "early")),
		ANSWER(8, 1, EVENT(1, "unit-added", "ld9", "early")), ANSWER(8, 1, ""), NULL};

	fake->events = answers;
	fake->events_until = 6;
	ck_assert_int_eq(fake_run("monitor g2"), CTL_OK);
	ck_has(fake->out, "instance-silent    hbad \"g2\" does not run\n");
	ck_assert_ptr_null(strstr(strstr(fake->out, "instance-silent") + 1, "instance-silent"));
	ck_has(fake->out, "instance-started   hbad \"g2\" runs (process 8)\n");
	ck_has(fake->out, "ld9 early\n");
	ck_assert_int_eq(fake->since[4], 0);
}
END_TEST

START_TEST(an_instance_that_does_not_answer_at_first_is_an_error)
{
	ck_assert_int_eq(fake_run("monitor g2"), CTL_FAILED);
	ck_has(fake->err, "does not run");
	ck_assert_int_eq(fake_run("monitor other"), CTL_FAILED);
	ck_has(fake->err, "there is no instance 'other'");
	ck_assert_int_eq(fake_run("monitor"), CTL_USAGE);
	ck_assert_int_eq(fake_run("monitor NO"), CTL_USAGE);
	ck_assert_int_eq(fake_run("monitor --help"), CTL_OK);
	ck_has(fake->out, "--json");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hbactl monitor");
	TCase *t = tcase_create("monitor");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, fake_teardown);
	tcase_add_test(t, events_are_followed_from_now_on);
	tcase_add_test(t, all_begins_with_what_was_before_and_says_what_is_forgotten);
	tcase_add_test(t, json_is_one_object_a_line);
	tcase_add_test(t, what_firmware_says_does_not_reach_the_terminal_as_it_is);
	tcase_add_test(t, an_instance_that_is_restarted_is_followed_on);
	tcase_add_test(t, an_instance_that_does_not_answer_at_first_is_an_error);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
