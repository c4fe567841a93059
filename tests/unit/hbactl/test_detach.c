/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl detach: refusals, order of steps, waiting for disks. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "fake.h"
#include "hbactl/json.h"

#define U	"hbad@g2.service"
#define BINDING "hbad-bind@g2.path hbad-bind@g2.service"

static const char idle_status[] =
	"{\"state\":\"ready\",\"controller\":{},\"luns\":[],"
	"\"units\":[{\"exportable\":true},{\"exportable\":true},{\"exportable\":false}]}";

static const char all_steps[] = "systemctl stop " U "\n"
				"systemctl reset-failed " U "\n"
				"systemctl stop " BINDING "\n"
				"systemctl reset-failed " BINDING "\n"
				"systemctl disable --quiet " U "\n"
				"unbind " HBA_ADDR " megaraid_sas\n"
				"systemctl clean --what=runtime " U "\n"
				"remove\n";

static void setup(void)
{
	fake_setup();
	fake_write_config("g2", HBA_ADDR);
	g_strlcpy(fake->hba[0].driver, "vfio-pci", sizeof(fake->hba[0].driver));
	fake->status = idle_status;
	fake->unit_active = fake->unit_enabled = true;
}

START_TEST(detach_stops_disables_unbinds_and_removes)
{
	ck_assert_int_eq(fake_run("detach g2"), CTL_OK);
	ck_assert_str_eq(fake->log->str, all_steps);
	ck_assert(!fake_has_config("g2"));
	ck_has(fake->out, HBA_ADDR " with driver megaraid_sas has the disks:");
	ck_has(fake->out, "  DISK       SIZE  MODEL\n  sda    10.0 GiB  LSI MR9260\n");
	ck_has(fake->out, "  sdb   931.5 GiB  -\n");
	ck_assert_str_eq(fake->err, "");
}
END_TEST

START_TEST(detach_prints_json_alone_on_standard_output)
{
	g_autoptr(JsonNode) root = NULL;
	JsonObject *o;

	ck_assert_int_eq(fake_run("detach g2 --json"), CTL_OK);
	ck_assert_int_eq(json_parse(fake->out, &root, NULL), 0);
	o = json_node_get_object(root);
	ck_assert_str_eq(json_str(o, "driver"), "megaraid_sas");
	ck_assert_uint_eq(json_arr_len(json_arr(o, "disks")), 2);
	ck_assert_int_eq(json_int(json_arr_obj(json_arr(o, "disks"), 1), "size_bytes"), 1000204886016);
}
END_TEST

START_TEST(detach_refuses_while_hbad_serves_luns)
{
	fake->status = fake_ready; /* serves g2-ld2 */
	ck_assert_int_eq(fake_run("detach g2"), CTL_FAILED);
	ck_has(fake->err, "exported as g2-ld2:");
	ck_has(fake->err, "targetcli /backstores/user:hba delete");
	ck_assert_str_eq(fake->log->str, "");
	ck_assert(fake_has_config("g2"));
}
END_TEST

START_TEST(detach_refuses_while_lio_is_configured_for_a_stopped_instance)
{
	static const char *const names[] = {"one", "two", NULL};

	fake->status = NULL;
	fake->unit_active = false;
	fake->backstores = names;
	ck_assert_int_eq(fake_run("detach g2"), CTL_FAILED);
	ck_has(fake->err, "exported as one two:");
	ck_assert_str_eq(fake->log->str, "");
}
END_TEST

START_TEST(a_lun_known_to_both_is_named_once)
{
	static const char *const names[] = {"g2-ld2", "other", NULL};

	fake->status = fake_ready;
	fake->backstores = names;
	ck_assert_int_eq(fake_run("detach g2"), CTL_FAILED);
	ck_has(fake->err, "exported as g2-ld2 other:");
}
END_TEST

START_TEST(detach_refuses_when_lio_cannot_be_asked)
{
	fake->backstores_ret = -ETIMEDOUT;
	ck_assert_int_eq(fake_run("detach g2"), CTL_FAILED);
	ck_has(fake->err, "configfs does not answer");
	ck_assert_str_eq(fake->log->str, "");
}
END_TEST

START_TEST(force_detaches_below_luns_with_a_warning)
{
	fake->status = fake_ready;
	ck_assert_int_eq(fake_run("detach g2 --force"), CTL_OK);
	ck_has(fake->err, "warning: detaching below the backstores g2-ld2");
	ck_has(fake->log->str, "unbind " HBA_ADDR);
	/* the lock in the runtime folder is what keeps the guard and a new hbad apart */
	ck_hasnt(fake->log->str, "clean");
	ck_assert(!fake_has_config("g2"));
}
END_TEST

static const struct {
	const char *fail_on;
	const char *last; /* last line of the log */
} failures[] = {
	{"systemctl stop", "systemctl stop " U "\n"},
	{"systemctl stop hbad-bind@", "systemctl stop " BINDING "\n"},
	{"systemctl disable", "systemctl disable --quiet " U "\n"},
	{"unbind", "unbind " HBA_ADDR " megaraid_sas\n"},
};

START_TEST(a_failing_step_keeps_the_configuration_so_that_detach_can_be_repeated)
{
	fake->fail_on = failures[_i].fail_on;
	ck_assert_int_eq(fake_run("detach g2"), CTL_FAILED);
	ck_assert_msg(g_str_has_suffix(fake->log->str, failures[_i].last), "%s", fake->log->str);
	ck_assert(fake_has_config("g2"));
	ck_has(fake->err, "g2 is not detached: ");
	fake->fail_on = NULL;
	ck_assert_int_eq(fake_run("detach g2"), CTL_OK);
	ck_assert(!fake_has_config("g2"));
}
END_TEST

START_TEST(a_unit_that_does_not_stop_keeps_its_hba)
{
	fake->unit_show = "ActiveState=deactivating\nSubState=final-sigkill\n";
	ck_assert_int_eq(fake_run("detach g2"), CTL_FAILED);
	ck_has(fake->err, "does not stop (it is deactivating)");
	ck_hasnt(fake->log->str, "unbind");
}
END_TEST

START_TEST(detach_of_an_unplugged_hba_removes_the_rest)
{
	fake->n_hba = 0;
	ck_assert_int_eq(fake_run("detach g2"), CTL_OK);
	ck_hasnt(fake->log->str, "unbind");
	/* Its group's number may be another device's next. */
	ck_has(fake->log->str, "revoke " HBA_ADDR "\n");
	ck_has(fake->out, "not in this machine any more");
	ck_assert(!fake_has_config("g2"));
}
END_TEST

START_TEST(detach_of_an_hba_that_is_with_its_driver_does_not_unbind)
{
	g_strlcpy(fake->hba[0].driver, "megaraid_sas", sizeof(fake->hba[0].driver));
	ck_assert_int_eq(fake_run("detach g2"), CTL_OK);
	ck_hasnt(fake->log->str, "unbind");
}
END_TEST

START_TEST(detach_that_was_interrupted_half_way_is_finished_by_the_next)
{
	fake->hba[0].driver[0] = '\0'; /* off vfio-pci, not yet with the kernel driver */
	ck_assert_int_eq(fake_run("detach g2"), CTL_OK);
	ck_has(fake->log->str, "unbind " HBA_ADDR " megaraid_sas");
	ck_assert_str_eq(fake->hba[0].driver, "megaraid_sas");
}
END_TEST

START_TEST(an_hba_that_had_no_driver_may_stay_without)
{
	g_autofree char *path = g_strdup_printf("%s/g2.conf", fake->dir);

	ck_assert(g_file_set_contents(path, "[controller]\ndevice=" HBA_ADDR "\n", -1, NULL));
	fake->nobody_wants_it = true;
	ck_assert_int_eq(fake_run("detach g2"), CTL_OK);
	ck_assert(!fake_has_config("g2"));
	ck_assert_uint_eq(fake->now_ns / 1000000000u, 1000); /* no disks are waited for */
}
END_TEST

START_TEST(an_hba_whose_driver_does_not_take_it_back_is_a_failure)
{
	fake->nobody_wants_it = true;
	ck_assert_int_eq(fake_run("detach g2"), CTL_FAILED);
	ck_has(fake->err, "no driver has it after 60 s");
	ck_assert(fake_has_config("g2"));
}
END_TEST

START_TEST(detach_of_a_socket_has_no_device_to_give_back)
{
	fake_write_config("g2", "vfio-user:/run/x.sock");
	ck_assert_int_eq(fake_run("detach g2"), CTL_OK);
	ck_hasnt(fake->log->str, "unbind");
	ck_assert(!fake_has_config("g2"));
}
END_TEST

START_TEST(detach_of_nothing_fails)
{
	ck_assert_int_eq(fake_run("detach g3"), CTL_FAILED);
	ck_has(fake->err, "there is no instance 'g3'");
	ck_assert_str_eq(fake->log->str, "");
}
END_TEST

START_TEST(detach_waits_until_as_many_disks_are_back_as_could_be_exported)
{
	fake->disks_after = 21; /* looks: one before unbinding, the others a quarter of a second apart */
	ck_assert_int_eq(fake_run("detach g2"), CTL_OK);
	ck_has(fake->out, "sdb");
	ck_assert_uint_eq(fake->now_ns / 1000000u, 1000 * 1000 + 20 * 250);
	ck_assert_str_eq(fake->err, "");
}
END_TEST

START_TEST(disks_that_do_not_come_back_are_told_and_no_failure)
{
	fake->hba[0].n_disks = 1;
	ck_assert_int_eq(fake_run("detach g2"), CTL_OK);
	ck_has(fake->err, "1 of 2 disks are back after 60 s");
	ck_assert_uint_eq(fake->now_ns / 1000000000u, 1060);
}
END_TEST

START_TEST(with_an_unknown_number_of_disks_detach_waits_until_no_more_come)
{
	fake->status = NULL;
	ck_assert_int_eq(fake_run("detach g2"), CTL_OK);
	ck_has(fake->out, "sdb");
	ck_assert_uint_eq(fake->now_ns / 1000000u, 1000 * 1000 + 2000);
}
END_TEST

START_TEST(an_empty_controller_is_waited_for_twenty_seconds)
{
	fake->status = NULL;
	fake->hba[0].n_disks = 0;
	ck_assert_int_eq(fake_run("detach g2"), CTL_OK);
	ck_assert_uint_eq(fake->now_ns / 1000000000u, 1020);
	ck_assert_str_eq(fake->err, "");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hbactl detach");
	TCase *tc = tcase_create("detach");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, fake_teardown);
	tcase_add_test(tc, detach_stops_disables_unbinds_and_removes);
	tcase_add_test(tc, detach_prints_json_alone_on_standard_output);
	tcase_add_test(tc, detach_refuses_while_hbad_serves_luns);
	tcase_add_test(tc, detach_refuses_while_lio_is_configured_for_a_stopped_instance);
	tcase_add_test(tc, a_lun_known_to_both_is_named_once);
	tcase_add_test(tc, detach_refuses_when_lio_cannot_be_asked);
	tcase_add_test(tc, force_detaches_below_luns_with_a_warning);
	tcase_add_loop_test(tc, a_failing_step_keeps_the_configuration_so_that_detach_can_be_repeated, 0,
		ARRAY_SIZE(failures));
	tcase_add_test(tc, a_unit_that_does_not_stop_keeps_its_hba);
	tcase_add_test(tc, detach_of_an_unplugged_hba_removes_the_rest);
	tcase_add_test(tc, detach_of_an_hba_that_is_with_its_driver_does_not_unbind);
	tcase_add_test(tc, detach_that_was_interrupted_half_way_is_finished_by_the_next);
	tcase_add_test(tc, an_hba_that_had_no_driver_may_stay_without);
	tcase_add_test(tc, an_hba_whose_driver_does_not_take_it_back_is_a_failure);
	tcase_add_test(tc, detach_of_a_socket_has_no_device_to_give_back);
	tcase_add_test(tc, detach_of_nothing_fails);
	tcase_add_test(tc, detach_waits_until_as_many_disks_are_back_as_could_be_exported);
	tcase_add_test(tc, disks_that_do_not_come_back_are_told_and_no_failure);
	tcase_add_test(tc, with_an_unknown_number_of_disks_detach_waits_until_no_more_come);
	tcase_add_test(tc, an_empty_controller_is_waited_for_twenty_seconds);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
