/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl upgrade: what it waits for, and what it says came of it. */
#include <check.h>
#include <glib.h>
#include "fake.h"
#include "hbactl/json.h"
#include "tests/unit/run_suite.h"

#define OLD	  "{\"pid\":4711,\"version\":\"0.1.0\",\"state\":\"ready\"}"
#define NEW(more) "{\"pid\":4712,\"version\":\"0.2.0\",\"state\":\"ready\",\"taken_over\":" more "}"
#define IN_PLACE  NEW("true,\"start_note\":\"\"")

static void setup(void)
{
	fake_setup();
	fake_write_config("g2", HBA_ADDR);
	fake->unit_active = fake->unit_enabled = true;
	fake->upgrade = "{\"pid\":4711,\"in_place\":true,\"reason\":\"\"}";
	/* The old one answers for a while. */
	fake->boot_status = OLD;
	fake->status_after = 4;
	fake->status = IN_PLACE;
}

START_TEST(waits_for_another_hbad_and_says_that_the_controller_ran_on)
{
	ck_assert_int_eq(fake_run("upgrade g2"), CTL_OK);
	ck_has(fake->log->str, "ask for an upgrade");
	ck_has(fake->out, "hbad 0.2.0 runs in the place of hbad 0.1.0");
	ck_has(fake->out, "went on running");
	ck_assert_str_eq(fake->err, "");
	ck_assert_uint_eq(fake->status_after, 0);
}
END_TEST

START_TEST(a_start_of_the_controller_is_told_with_its_reason)
{
	fake->status = NEW("false,\"start_note\":\"it was \\u001b[2J late\"");
	ck_assert_int_eq(fake_run("upgrade g2"), CTL_OK);
	ck_has(fake->out, "started anew: it was ");
	ck_has(fake->out, " late");
	ck_hasnt(fake->out, "\x1b");
	ck_hasnt(fake->out, "went on running");
}
END_TEST

START_TEST(what_is_known_before_is_warned_of)
{
	fake->upgrade = "{\"pid\":4711,\"in_place\":false,\"reason\":\"the driver cannot\"}";
	fake->status = NEW("false,\"start_note\":\"the driver cannot\"");
	ck_assert_int_eq(fake_run("upgrade g2"), CTL_OK);
	ck_has(fake->err, "will be started anew: the driver cannot");
}
END_TEST

START_TEST(a_start_without_a_reason_is_told_as_one)
{
	fake->status = NEW("false,\"start_note\":\"\"");
	ck_assert_int_eq(fake_run("upgrade g2"), CTL_OK);
	ck_has(fake->out, "started anew: ");
}
END_TEST

START_TEST(json_says_the_same)
{
	g_autoptr(JsonNode) root = NULL;
	JsonObject *o;

	ck_assert_int_eq(fake_run("upgrade g2 --json"), CTL_OK);
	ck_assert_int_eq(json_parse(fake->out, &root, NULL), 0);
	o = json_node_get_object(root);
	ck_assert_str_eq(json_str(o, "name"), "g2");
	ck_assert(json_bool(o, "in_place"));
	ck_assert_str_eq(json_str(o, "version_before"), "0.1.0");
	ck_assert_str_eq(json_str(o, "version"), "0.2.0");
}
END_TEST

START_TEST(one_that_never_comes_back_is_an_error)
{
	fake->status_after = UINT_MAX;
	fake->boot_status = OLD;
	ck_assert_int_eq(fake_run("upgrade g2"), CTL_FAILED);
	ck_has(fake->err, "not ready after");
	ck_has(fake->err, "firmware does not answer"); /* the journal */
}
END_TEST

START_TEST(one_that_fails_is_an_error)
{
	fake->status = "{\"pid\":4712,\"state\":\"failed\",\"problem\":\"no firmware\"}";
	ck_assert_int_eq(fake_run("upgrade g2"), CTL_FAILED);
	ck_has(fake->err, "no firmware");
}
END_TEST

START_TEST(a_refusal_is_an_error)
{
	fake->upgrade = NULL;
	ck_assert_int_eq(fake_run("upgrade g2"), CTL_FAILED);
	ck_has(fake->err, "the controller is not ready");
}
END_TEST

START_TEST(wrong_use_is_told)
{
	fake->unprivileged = true;
	ck_assert_int_eq(fake_run("upgrade g2"), CTL_FAILED);
	ck_has(fake->err, "root");
	fake->unprivileged = false;
	ck_assert_int_eq(fake_run("upgrade"), CTL_USAGE);
	ck_assert_int_eq(fake_run("upgrade G2"), CTL_USAGE);
	ck_assert_int_eq(fake_run("upgrade g2 g3"), CTL_USAGE);
	ck_hasnt(fake->log->str, "ask for an upgrade");
	fake->boot_status = fake->status = NULL;
	ck_assert_int_eq(fake_run("upgrade g3"), CTL_FAILED);
	ck_has(fake->err, "there is no instance 'g3'");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hbactl upgrade");
	TCase *t = tcase_create("upgrade");

	tcase_add_checked_fixture(t, setup, fake_teardown);
	tcase_add_test(t, waits_for_another_hbad_and_says_that_the_controller_ran_on);
	tcase_add_test(t, a_start_of_the_controller_is_told_with_its_reason);
	tcase_add_test(t, what_is_known_before_is_warned_of);
	tcase_add_test(t, a_start_without_a_reason_is_told_as_one);
	tcase_add_test(t, json_says_the_same);
	tcase_add_test(t, one_that_never_comes_back_is_an_error);
	tcase_add_test(t, one_that_fails_is_an_error);
	tcase_add_test(t, a_refusal_is_an_error);
	tcase_add_test(t, wrong_use_is_told);
	suite_add_tcase(s, t);
	return run_suite(s);
}
