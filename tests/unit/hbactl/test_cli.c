/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl: commands, options, exit codes, suggestions. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "fake.h"

static const struct {
	const char *args;
	int exit_code;
	const char *out, *err; /* has to be in it; NULL: nothing may be printed there */
} lines[] = {
	{"", CTL_USAGE, NULL, "which command?"},
	{"--help", CTL_OK, "Commands:", NULL},
	{"-h", CTL_OK, "candidates", NULL},
	{"help", CTL_OK, "For the unit", NULL},
	{"help attach", CTL_OK, "--queue-depth", NULL},
	{"help atach", CTL_USAGE, NULL, "did you mean 'attach'?"},
	{"--version", CTL_OK, "hbactl " HBAD_VERSION "\n", NULL},
	{"--verbose", CTL_USAGE, NULL, "there is no option '--verbose'"},
	{"lst", CTL_USAGE, NULL, "did you mean 'list'?"},
	{"detatch", CTL_USAGE, NULL, "did you mean 'detach'?"},
	{"cand", CTL_USAGE, NULL, "did you mean 'candidates'?"},
	{"frobnicate", CTL_USAGE, NULL, "there is no command 'frobnicate'\n"},

	{"candidates --help", CTL_OK, "--json", NULL},
	{"candidates extra", CTL_USAGE, NULL, "'extra' is one argument too many"},
	{"candidates --jsn", CTL_USAGE, NULL, "Try 'hbactl candidates --help'"},
	{"list -j", CTL_OK, "\"instances\"", NULL},
	{"list g2", CTL_USAGE, NULL, "one argument too many"},

	{"attach", CTL_USAGE, NULL, "PCI-ADDRESS is missing"},
	{"attach 03:00.0", CTL_USAGE, NULL, "--name NAME is missing"},
	{"attach 03:00.0 --name", CTL_USAGE, NULL, "attach"},
	{"attach 03:00.0 --name Bad", CTL_USAGE, NULL, "Bad"},
	{"attach 03:00.0 --name g2 --queue-depth x", CTL_USAGE, NULL, "queue-depth"},
	{"attach 03:00.0 --name g2 --queue-depth=-1", CTL_USAGE, NULL, "0 to 4096"},
	{"attach 03:00.0 --name g2 --queue-depth 4097", CTL_USAGE, NULL, "0 to 4096"},
	{"attach 03:00.0 04:00.0 --name g2", CTL_USAGE, NULL, "'04:00.0' is one argument too many"},
	{"attach nonsense --name g2", CTL_USAGE, NULL, "nonsense"},
	{"attach 03:20.0 --name g2", CTL_USAGE, NULL, "is not a PCI address"},
	{"attach vfio-user: --name g2", CTL_USAGE, NULL, "the whole path of a socket"},
	{"attach vfio-user:x.sock --name g2", CTL_USAGE, NULL, "the whole path of a socket"},
	{"attach --help", CTL_OK, "--no-start", NULL},

	{"detach", CTL_USAGE, NULL, "NAME is missing"},
	{"detach ../g2", CTL_USAGE, NULL, "../g2"},
	{"detach --help", CTL_OK, "--force", NULL},
	{"show", CTL_USAGE, NULL, "NAME is missing"},
	{"show G2", CTL_USAGE, NULL, "G2"},
	{"units", CTL_USAGE, NULL, "NAME is missing"},
	{"units -- -x", CTL_USAGE, NULL, "-x"},
	{"units -- g2", CTL_OK, "ld0", NULL},
	{"bind", CTL_USAGE, NULL, "NAME is missing"},
	{"bind g2 --wait=-1", CTL_USAGE, NULL, "0 to 3600"},
	{"bind g2 --wait 3601", CTL_USAGE, NULL, "0 to 3600"},
	{"guard", CTL_USAGE, NULL, "NAME is missing"},
	{"guard ''", CTL_USAGE, NULL, "Try 'hbactl guard --help'"},
	{"guard g2 --force", CTL_USAGE, NULL, "force"},
};

START_TEST(a_command_line_prints_and_exits_as_documented)
{
	int ret = fake_run(lines[_i].args);

	ck_assert_msg(ret == lines[_i].exit_code, "'%s' exits with %d: %s", lines[_i].args, ret, fake->err);
	if (lines[_i].out)
		ck_has(fake->out, lines[_i].out);
	else
		ck_assert_str_eq(fake->out, "");
	if (lines[_i].err)
		ck_has(fake->err, lines[_i].err);
	else
		ck_assert_str_eq(fake->err, "");
}
END_TEST

START_TEST(each_command_has_help_and_is_listed)
{
	for (const struct ctl_command *const *cmd = ctl_commands; *cmd; cmd++) {
		g_autofree char *args = g_strdup_printf("%s --help", (*cmd)->name);
		g_autofree char *usage = g_strdup_printf("hbactl %s", (*cmd)->name);

		ck_assert_int_eq(fake_run("--help"), CTL_OK);
		ck_has(fake->out, (*cmd)->summary);
		ck_assert_int_eq(fake_run(args), CTL_OK);
		ck_has(fake->out, usage);
		ck_has(fake->out, "--help");
	}
}
END_TEST

START_TEST(commands_that_change_the_machine_want_root)
{
	static const char *const args[] = {"attach 03:00.0 --name g2", "detach g2", "bind g2", "guard g2"};

	fake->unprivileged = true;
	for (size_t i = 0; i < ARRAY_SIZE(args); i++) {
		ck_assert_int_eq(fake_run(args[i]), CTL_FAILED);
		ck_has(fake->err, "run it as root");
		ck_assert_str_eq(fake->log->str, "");
	}
}
END_TEST

static const struct {
	const char *typed, *meant;
} slips[] = {
	{"lsit", "list"},
	{"atach", "attach"},
	{"attahc", "attach"},
	{"shwo", "show"},
	{"sho", "show"},
	{"unit", "units"},
	{"unots", "units"},
	{"candidate", "candidates"},
	{"gaurd", "guard"},
	{"dettach", "detach"},
	{"bnd", "bind"},
	{"x", NULL},
	{"", NULL},
	{"create", NULL},
	{"zzzzzz", NULL},
	{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
};

START_TEST(slips_of_the_finger_are_understood_and_other_words_are_not)
{
	static const char *const words[] = {
		"candidates", "attach", "detach", "list", "show", "units", "bind", "guard", NULL};
	const char *guess = ctl_suggest(slips[_i].typed, words);

	if (slips[_i].meant)
		ck_assert_str_eq(guess ? guess : "(none)", slips[_i].meant);
	else
		ck_assert_ptr_null(guess);
}
END_TEST

START_TEST(bind_gives_the_configured_device_to_vfio)
{
	fake_write_config("g2", HBA_ADDR);
	ck_assert_int_eq(fake_run("bind g2"), CTL_OK);
	ck_assert_str_eq(fake->log->str, "bind " HBA_ADDR "\n");
	ck_has(fake->out, "taken from megaraid_sas");
}
END_TEST

START_TEST(bind_lets_hbads_user_open_the_device)
{
	fake_write_config("g2", HBA_ADDR);
	ck_assert_int_eq(fake_run("bind g2 --user hbad"), CTL_OK);
	ck_assert_str_eq(fake->log->str, "bind " HBA_ADDR "\ngrant " HBA_ADDR " hbad\n");
}
END_TEST

/* A network adapter is in the slot of the HBA now, and its driver keeps it. */
START_TEST(bind_refuses_what_hbad_does_not_know)
{
	fake_write_config("g2", HBA_ADDR);
	fake->hba[0].device = 0x1521;
	ck_assert_int_eq(fake_run("bind g2 --user hbad"), CTL_FAILED);
	ck_has(fake->err, HBA_ADDR " is no controller that hbad knows");
	ck_assert_str_eq(fake->log->str, "bind " HBA_ADDR "\n");
}
END_TEST

START_TEST(bind_has_nothing_to_do_for_a_socket)
{
	fake_write_config("g2", "vfio-user:/run/x.sock");
	ck_assert_int_eq(fake_run("bind g2"), CTL_OK);
	ck_assert_str_eq(fake->log->str, "");
}
END_TEST

START_TEST(bind_without_configuration_fails)
{
	ck_assert_int_eq(fake_run("bind g2"), CTL_FAILED);
	ck_has(fake->err, "g2.conf");
}
END_TEST

START_TEST(bind_fails_at_once_unless_told_to_wait)
{
	fake_write_config("g2", HBA_ADDR);
	fake->bind_failures = 1;
	ck_assert_int_eq(fake_run("bind g2"), CTL_FAILED);
	ck_has(fake->err, "sda is open");
}
END_TEST

START_TEST(bind_waits_for_a_disk_that_is_only_probed)
{
	fake_write_config("g2", HBA_ADDR);
	fake->bind_failures = 5;
	ck_assert_int_eq(fake_run("bind g2 --wait 20"), CTL_OK);
	ck_has(fake->err, "sda is open (trying again for 20 s)");
}
END_TEST

START_TEST(bind_waits_no_longer_than_told)
{
	uint64_t began = fake->now_ns;

	fake_write_config("g2", HBA_ADDR);
	fake->bind_failures = 1000;
	ck_assert_int_eq(fake_run("bind g2 --wait 20"), CTL_FAILED);
	ck_assert_uint_eq((fake->now_ns - began) / 1000000000u, 20);
}
END_TEST

START_TEST(guard_of_a_name_that_nothing_has_warns)
{
	ck_assert_int_eq(fake_run("guard g2"), CTL_OK);
	ck_has(fake->err, "warning: there is no instance 'g2'");
	/* what detach --force left behind */
	fake->guarded = 1;
	ck_assert_int_eq(fake_run("guard g2"), CTL_OK);
	ck_assert_str_eq(fake->err, "");
}
END_TEST

START_TEST(guard_fails_with_the_reason)
{
	fake_write_config("g2", HBA_ADDR);
	ck_assert_int_eq(fake_run("guard g2"), CTL_OK);
	ck_assert_str_eq(fake->log->str, "guard g2\n");
	ck_assert_str_eq(fake->err, "");
	fake->guard_ret = -16;
	ck_assert_int_eq(fake_run("guard g2"), CTL_FAILED);
	ck_has(fake->err, "hbactl: hbad of g2 lives\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hbactl");
	TCase *tc = tcase_create("command line");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, fake_setup, fake_teardown);
	tcase_add_loop_test(tc, a_command_line_prints_and_exits_as_documented, 0, ARRAY_SIZE(lines));
	tcase_add_test(tc, each_command_has_help_and_is_listed);
	tcase_add_test(tc, commands_that_change_the_machine_want_root);
	tcase_add_loop_test(
		tc, slips_of_the_finger_are_understood_and_other_words_are_not, 0, ARRAY_SIZE(slips));
	tcase_add_test(tc, bind_gives_the_configured_device_to_vfio);
	tcase_add_test(tc, bind_lets_hbads_user_open_the_device);
	tcase_add_test(tc, bind_refuses_what_hbad_does_not_know);
	tcase_add_test(tc, bind_has_nothing_to_do_for_a_socket);
	tcase_add_test(tc, bind_without_configuration_fails);
	tcase_add_test(tc, bind_fails_at_once_unless_told_to_wait);
	tcase_add_test(tc, bind_waits_for_a_disk_that_is_only_probed);
	tcase_add_test(tc, bind_waits_no_longer_than_told);
	tcase_add_test(tc, guard_of_a_name_that_nothing_has_warns);
	tcase_add_test(tc, guard_fails_with_the_reason);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
