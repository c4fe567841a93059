/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl attach: what it refuses, what it does, and that a failing step leaves nothing behind. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "fake.h"
#include "hbactl/json.h"

#define ATTACH	"attach 3:0.0 --name g2"
#define U	"hbad@g2.service"
#define BINDING "hbad-bind@g2.path hbad-bind@g2.service"

START_TEST(attach_writes_binds_enables_starts_and_prints_what_to_paste)
{
	fake->status_after = 3;
	fake->boot_status = fake_booting;
	ck_assert_int_eq(fake_run(ATTACH " --queue-depth 64"), CTL_OK);
	ck_assert_str_eq(fake->log->str, "save " HBA_ADDR " queue_depth=64 kernel_driver=megaraid_sas\n"
					 "bind " HBA_ADDR "\n"
					 "systemctl enable --quiet " U "\n"
					 "systemctl reset-failed " U "\n"
					 "systemctl start --no-block " U "\n");
	ck_assert_str_eq(fake->err, "");
	ck_has(fake->out, "  booting\n  ready\n");
	ck_has(fake->out, "  targetcli /backstores/user:hba create name=g2-ld0 size=10737418240 "
			  "cfgstring=g2/naa.600605b00a1b2c3d hw_max_sectors=8192\n");
	ck_assert(fake_has_config("g2"));
}
END_TEST

START_TEST(attach_prints_json_alone_on_standard_output)
{
	g_autoptr(JsonNode) root = NULL;
	JsonObject *o, *unit;

	ck_assert_int_eq(fake_run(ATTACH " --json"), CTL_OK);
	ck_assert_int_eq(json_parse(fake->out, &root, NULL), 0);
	o = json_node_get_object(root);
	ck_assert_str_eq(json_str(o, "name"), "g2");
	ck_assert_str_eq(json_str(o, "device"), HBA_ADDR);
	ck_assert_str_eq(json_str(o, "state"), "ready");
	unit = json_arr_obj(json_arr(o, "units"), 0);
	ck_has(json_str(unit, "targetcli"), "name=g2-ld0 ");
	ck_has(fake->err, "Binding");
}
END_TEST

START_TEST(attach_without_start_leaves_the_hba_alone)
{
	ck_assert_int_eq(fake_run(ATTACH " --no-start"), CTL_OK);
	ck_assert_str_eq(fake->log->str, "save " HBA_ADDR " queue_depth=0 kernel_driver=megaraid_sas\n"
					 "systemctl enable --quiet " U "\n");
	ck_assert_str_eq(fake->hba[0].driver, "megaraid_sas");
	ck_has(fake->out, "systemctl start hbad@g2");
}
END_TEST

START_TEST(socket_of_another_process_is_attached_without_binding)
{
	ck_assert_int_eq(fake_run("attach vfio-user:/run/x.sock --name g2"), CTL_OK);
	ck_assert_str_eq(fake->log->str, "save vfio-user:/run/x.sock queue_depth=0 kernel_driver=\n"
					 "systemctl enable --quiet " U "\n"
					 "systemctl reset-failed " U "\n"
					 "systemctl start --no-block " U "\n");
	ck_has(fake->out, "vfio-user:/run/x.sock is attached as g2.");
	ck_assert_str_eq(fake->hba[0].driver, "megaraid_sas");
	/* one instance for each */
	ck_assert_int_eq(fake_run("attach vfio-user:/run/x.sock --name g3"), CTL_FAILED);
	ck_has(fake->err, "vfio-user:/run/x.sock is attached as 'g2'");
	ck_assert_int_eq(fake_run("attach vfio-user:/run/y.sock --name g3"), CTL_OK);
}
END_TEST

START_TEST(socket_that_cannot_be_started_is_undone_without_unbinding)
{
	fake->fail_on = "systemctl start";
	ck_assert_int_eq(fake_run("attach vfio-user:/run/x.sock --name g2"), CTL_FAILED);
	ck_assert_msg(g_str_has_suffix(fake->log->str, "systemctl disable --quiet " U "\nremove\n"), "%s",
		fake->log->str);
	ck_assert(!fake_has_config("g2"));
}
END_TEST

/* What is undone after each failing call, newest first. */
#define INTERRUPTS_MAX 40 /* more than there are steps */

static const struct {
	const char *fail_on;
	const char *undone;
} failures[] = {
	{"save", "remove\n"},
	{"bind", "remove\n"},
	{"systemctl enable", "systemctl disable --quiet " U "\nunbind " HBA_ADDR " megaraid_sas\nremove\n"},
	{"systemctl start", "systemctl stop " U "\nsystemctl reset-failed " U "\nsystemctl stop " BINDING
			    "\nsystemctl reset-failed " BINDING "\nsystemctl disable --quiet " U
			    "\nunbind " HBA_ADDR " megaraid_sas\nremove\n"},
};

START_TEST(a_failing_step_undoes_those_before_it)
{
	fake->fail_on = failures[_i].fail_on;
	ck_assert_int_eq(fake_run(ATTACH), CTL_FAILED);
	ck_assert_msg(g_str_has_suffix(fake->log->str, failures[_i].undone), "%s", fake->log->str);
	ck_assert(!fake_has_config("g2"));
	ck_assert(!fake->unit_enabled && !fake->unit_active);
	ck_assert_str_eq(fake->hba[0].driver, "megaraid_sas");
	ck_has(fake->err, "3:0.0 is not attached: ");
	ck_has(fake->err, "made to fail");
	ck_has(fake->out, "Rolled back: the configuration is removed");
}
END_TEST

static void must_be_rolled_back(void)
{
	ck_assert_msg(g_str_has_suffix(fake->log->str, failures[3].undone), "%s", fake->log->str);
	ck_assert(!fake_has_config("g2"));
	ck_assert(!fake->unit_enabled && !fake->unit_active);
	ck_assert_str_eq(fake->hba[0].driver, "megaraid_sas");
}

static const struct {
	const char *status, *unit_show;
	const char *reason;
} never_ready[] = {
	{"{\"state\":\"failed\",\"problem\":\"firmware is in FAULT\"}", NULL, "firmware is in FAULT"},
	{"{\"state\":\"removed\",\"problem\":\"\"}", NULL, "'removed': no reason given"},
	{fake_booting, NULL, "not ready after 300 s (booting)"},
	{NULL, "ActiveState=activating\nSubState=auto-restart\nResult=exit-code\nNRestarts=2\nJob=0\n",
		"does not start (exit-code)"},
	{NULL, "ActiveState=failed\nSubState=failed\nResult=watchdog\nNRestarts=0\n",
		"does not start (watchdog)"},
	{NULL, "ActiveState=inactive\nSubState=dead\nResult=success\nNRestarts=0\nJob=0\n",
		"was not started"},
	{NULL, "ActiveState=inactive\nSubState=dead\nResult=success\nNRestarts=0\nJob=77\n",
		"not ready after 300 s (stopped)"},
	{NULL, "", "not ready after 300 s (unknown)"},
	{"nonsense", NULL, "not ready after 300 s"},
	{"[]", NULL, "not ready after 300 s"},
};

START_TEST(an_instance_that_does_not_get_ready_is_rolled_back)
{
	uint64_t began = fake->now_ns;

	fake->status = never_ready[_i].status;
	fake->unit_show = never_ready[_i].unit_show;
	ck_assert_int_eq(fake_run(ATTACH), CTL_FAILED);
	ck_has(fake->err, never_ready[_i].reason);
	ck_has(fake->out, "  | firmware does not answer\n"); /* the journal */
	ck_assert_uint_le((fake->now_ns - began) / 1000000000u, 301);
	must_be_rolled_back();
}
END_TEST

START_TEST(a_slow_controller_is_reported_on_while_it_boots)
{
	fake->status_after = 100; /* looks, half a second apart */
	fake->boot_status = fake_booting;
	ck_assert_int_eq(fake_run(ATTACH), CTL_OK);
	ck_has(fake->out, "  booting\n  still booting after 15 s\n  still booting after 30 s\n");
}
END_TEST

START_TEST(an_interrupt_rolls_back)
{
	fake->interrupt_after = 2;
	ck_assert_int_eq(fake_run(ATTACH), CTL_FAILED);
	ck_assert_str_eq(fake->log->str, "save " HBA_ADDR " queue_depth=0 kernel_driver=megaraid_sas\n"
					 "bind " HBA_ADDR "\n"
					 "unbind " HBA_ADDR " megaraid_sas\n"
					 "remove\n");
	ck_has(fake->err, "interrupted");
}
END_TEST

/* One that comes when all is done changes nothing any more. */
START_TEST(an_interrupt_after_any_step_leaves_all_or_nothing)
{
	bool done;

	fake->interrupt_after = (unsigned)_i;
	done = fake_run(ATTACH) == CTL_OK;
	ck_assert_int_eq(done, _i == INTERRUPTS_MAX);
	ck_assert_int_eq(fake_has_config("g2"), done);
	ck_assert_int_eq(fake->unit_enabled, done);
	ck_assert_int_eq(fake->unit_active, done);
	ck_assert_str_eq(fake->hba[0].driver, done ? "vfio-pci" : "megaraid_sas");
	if (!done)
		ck_has(fake->err, "interrupted");
}
END_TEST

START_TEST(an_hba_that_was_with_vfio_stays_there_after_a_failure)
{
	g_strlcpy(fake->hba[0].driver, "vfio-pci", sizeof(fake->hba[0].driver));
	fake->fail_on = "systemctl enable";
	ck_assert_int_eq(fake_run(ATTACH), CTL_FAILED);
	ck_has(fake->log->str, "kernel_driver=\n");
	ck_hasnt(fake->log->str, "unbind");
	ck_assert(!fake_has_config("g2"));
}
END_TEST

/* Unbinding below a unit that does not stop would block; the configuration stays so that detach can finish. */
START_TEST(a_rollback_that_gets_stuck_says_so_and_leaves_the_rest_to_detach)
{
	fake->status = "{\"state\":\"failed\",\"problem\":\"x\"}";
	fake->fail_on = "systemctl stop";
	ck_assert_int_eq(fake_run(ATTACH), CTL_FAILED);
	ck_hasnt(fake->log->str, "unbind");
	ck_hasnt(fake->log->str, "remove");
	ck_assert(fake_has_config("g2"));
	ck_has(fake->err, "'hbactl detach g2' does the rest");
}
END_TEST

static void no_hba(void)
{
	fake->n_hba = 0;
}
static void unsupported(void)
{
	fake->hba[0].device = 0xffff;
}
static void no_iommu(void)
{
	fake->hba[0].iommu_group = -1;
}
static void in_use(void)
{
	fake->in_use = true;
}
static void shares_group(void)
{
	g_strlcpy(fake->hba[0].group_others, "0000:03:00.1", sizeof(fake->hba[0].group_others));
	fake->group_other_driver = "ahci";
}
static void name_taken(void)
{
	fake_write_config("g2", OTHER_ADDR);
}
static void name_taken_by_a_broken_file(void)
{
	fake_write_config("g2", "");
}
static void device_taken(void)
{
	fake_write_config("old", HBA_ADDR);
}

static const struct {
	void (*set)(void);
	const char *reason;
} refusals[] = {
	{no_hba, "no PCI device"},
	{unsupported, "1000:ffff"},
	{no_iommu, "intel_iommu=on"},
	{in_use, "mounted on /srv"},
	{shares_group, "shares IOMMU group 12 with 0000:03:00.1, which the kernel's ahci drives"},
	{name_taken, "there is an instance 'g2'"},
	{name_taken_by_a_broken_file, "there is an instance 'g2'"},
	{device_taken, "'hbactl detach old' first"},
};

START_TEST(attach_refuses_before_it_changes_anything)
{
	refusals[_i].set();
	ck_assert_int_eq(fake_run(ATTACH), CTL_FAILED);
	ck_has(fake->err, refusals[_i].reason);
	ck_assert_str_eq(fake->log->str, "");
}
END_TEST

START_TEST(a_group_shared_with_passive_devices_is_fine)
{
	static const char *const drivers[] = {"", "vfio-pci", "pci-stub", "pcieport"};

	g_strlcpy(fake->hba[0].group_others, "0000:03:00.1", sizeof(fake->hba[0].group_others));
	fake->group_other_driver = drivers[_i];
	ck_assert_int_eq(fake_run(ATTACH), CTL_OK);
}
END_TEST

START_TEST(two_attaches_at_once_are_refused)
{
	struct err e = {""};
	int lock = ctl_lock(&fake->ctl, &e);

	ck_assert_int_ge(lock, 0);
	ck_assert_int_eq(fake_run(ATTACH), CTL_FAILED);
	ck_has(fake->err, "another hbactl attach or detach is running");
	close(lock);
	ck_assert_int_eq(fake_run(ATTACH), CTL_OK);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hbactl attach");
	TCase *tc = tcase_create("attach");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, fake_setup, fake_teardown);
	tcase_add_test(tc, attach_writes_binds_enables_starts_and_prints_what_to_paste);
	tcase_add_test(tc, attach_prints_json_alone_on_standard_output);
	tcase_add_test(tc, attach_without_start_leaves_the_hba_alone);
	tcase_add_test(tc, socket_of_another_process_is_attached_without_binding);
	tcase_add_test(tc, socket_that_cannot_be_started_is_undone_without_unbinding);
	tcase_add_loop_test(tc, a_failing_step_undoes_those_before_it, 0, ARRAY_SIZE(failures));
	tcase_add_loop_test(
		tc, an_instance_that_does_not_get_ready_is_rolled_back, 0, ARRAY_SIZE(never_ready));
	tcase_add_test(tc, a_slow_controller_is_reported_on_while_it_boots);
	tcase_add_test(tc, an_interrupt_rolls_back);
	tcase_add_loop_test(tc, an_interrupt_after_any_step_leaves_all_or_nothing, 1, 6);
	tcase_add_loop_test(
		tc, an_interrupt_after_any_step_leaves_all_or_nothing, INTERRUPTS_MAX, INTERRUPTS_MAX + 1);
	tcase_add_test(tc, an_hba_that_was_with_vfio_stays_there_after_a_failure);
	tcase_add_test(tc, a_rollback_that_gets_stuck_says_so_and_leaves_the_rest_to_detach);
	tcase_add_loop_test(tc, attach_refuses_before_it_changes_anything, 0, ARRAY_SIZE(refusals));
	tcase_add_loop_test(tc, a_group_shared_with_passive_devices_is_fine, 0, 4);
	tcase_add_test(tc, two_attaches_at_once_are_refused);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
