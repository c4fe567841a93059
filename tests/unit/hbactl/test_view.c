/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl candidates, list, show, units: tables and JSON from canned answers; targetcli lines. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "fake.h"
#include "hbactl/export.h"
#include "hbactl/json.h"
#include "hbactl/table.h"

static JsonObject *parse_out(JsonNode **root)
{
	struct err e = {""};

	ck_assert_msg(json_parse(fake->out, root, &e) == 0, "%s: %s", e.text, fake->out);
	return json_node_get_object(*root);
}

/* --- targetcli lines --- */

#define UNIT(name, naa, blocksize, bytes, more)                                                              \
	"{\"name\":\"" name "\",\"naa\":\"" naa "\",\"block_size\":" blocksize ",\"size_bytes\":" bytes more \
	"}"
#define CAN ",\"exportable\":true,\"exported_by\":\"\""

static const struct {
	const char *unit;
	const char *line; /* NULL: none */
} commands[] = {
	{UNIT("ld0", "naa.6001", "512", "10737418240", CAN),
		"targetcli /backstores/user:hba create name=g2-ld0 size=10737418240 cfgstring=g2/naa.6001 "
		"hw_max_sectors=8192"},
	{UNIT("ld0", "naa.6001", "4096", "10737418240", CAN),
		"targetcli /backstores/user:hba create name=g2-ld0 size=10737418240 cfgstring=g2/naa.6001 "
		"hw_max_sectors=1024 control=hw_block_size=4096"},
	{UNIT("pd8", "", "512", "512", CAN), "targetcli /backstores/user:hba create name=g2-pd8 size=512 "
					     "cfgstring=g2/pd8 hw_max_sectors=8192"},
	{UNIT("ld0", "naa.6001", "512", "9223372036854775296", CAN),
		"targetcli /backstores/user:hba create name=g2-ld0 size=9223372036854775296 "
		"cfgstring=g2/naa.6001 "
		"hw_max_sectors=8192"},
	/* exported already, or not exportable */
	{UNIT("ld0", "naa.6001", "512", "1024", ",\"exportable\":true,\"exported_by\":\"x\""), NULL},
	{UNIT("ld0", "naa.6001", "512", "1024", ",\"exportable\":false"), NULL},
	{UNIT("ld0", "naa.6001", "512", "1024", ""), NULL},
	{UNIT("ld0", "naa.6001", "512", "1024", ",\"exportable\":\"yes\""), NULL},
	/* numbers that targetcli or the kernel would take wrongly */
	{UNIT("ld0", "naa.6001", "512", "0", CAN), NULL},
	{UNIT("ld0", "naa.6001", "512", "1000", CAN), NULL},
	{UNIT("ld0", "naa.6001", "512", "-512", CAN), NULL},
	{UNIT("ld0", "naa.6001", "0", "1024", CAN), NULL},
	{UNIT("ld0", "naa.6001", "520", "5200", CAN), NULL},
	{UNIT("ld0", "naa.6001", "131072", "131072", CAN), NULL},
	/* nothing that a shell, targetcli or TCMU would read as something else is ever printed for pasting */
	{UNIT("ld0", "naa.6001;reboot", "512", "1024", CAN), NULL},
	{UNIT("ld0$(x)", "naa.6001", "512", "1024", CAN), NULL},
	{UNIT("ld0", "naa:6001", "512", "1024", CAN), NULL},
	{UNIT("", "naa.6001", "512", "1024", CAN), NULL},
	{UNIT("a b", "naa.6001", "512", "1024", CAN), NULL},
};

START_TEST(a_unit_gives_this_targetcli_line)
{
	g_autoptr(JsonNode) root = NULL;
	g_autofree char *line = NULL;

	ck_assert_int_eq(json_parse(commands[_i].unit, &root, NULL), 0);
	line = export_command("g2", json_node_get_object(root));
	if (commands[_i].line)
		ck_assert_str_eq(line, commands[_i].line);
	else
		ck_assert_msg(line == NULL, "%s", line);
}
END_TEST

/* --- units --- */

START_TEST(units_prints_an_aligned_table_problems_and_commands)
{
	ck_assert_int_eq(fake_run("units g2"), CTL_OK);
	ck_assert_str_eq(fake->out,
		"UNIT  RAID        SIZE  BLOCK  STATE     CACHE                         EXPORTED AS  NAA\n"
		"ld0   RAID 5  10.0 GiB    512  optimal   write-back, protected         -            "
		"naa.600605b00a1b2c3d\n"
		"ld1   RAID 1       0 B    512  offline   write-through, disk cache on  -            -\n"
		"ld2   RAID 6  10.0 GiB   4096  degraded  write-back, NOT protected     g2-ld2       "
		"naa.600605b00a1b2c3e\n"
		"ld1: two member disks are missing\n"
		"\nTo export:\n"
		"  targetcli /backstores/user:hba create name=g2-ld0 size=10737418240 "
		"cfgstring=g2/naa.600605b00a1b2c3d hw_max_sectors=8192\n");
}
END_TEST

START_TEST(units_json_adds_the_command_to_what_hbad_says)
{
	g_autoptr(JsonNode) root = NULL;
	JsonArray *units;

	ck_assert_int_eq(fake_run("units g2 --json"), CTL_OK);
	units = json_arr(parse_out(&root), "units");
	ck_assert_uint_eq(json_arr_len(units), 3);
	ck_assert_str_eq(json_str(json_arr_obj(units, 0), "raid"), "RAID 5");
	ck_assert_int_eq(json_int(json_arr_obj(units, 0), "size_bytes"), 10737418240);
	ck_has(json_str(json_arr_obj(units, 0), "targetcli"), "name=g2-ld0 ");
	ck_assert_str_eq(json_str(json_arr_obj(units, 2), "targetcli"), "");
	ck_assert_str_eq(json_str(json_arr_obj(units, 2), "exported_by"), "g2-ld2");
	/* in hbad's order, the command last */
	ck_assert_ptr_nonnull(strstr(fake->out, "\"name\" : \"ld0\",\n      \"kind\""));
	ck_assert_ptr_nonnull(strstr(fake->out, "\"exported_by\" : \"\",\n      \"targetcli\""));
}
END_TEST

START_TEST(units_of_a_stopped_or_booting_instance_fails_with_a_cure)
{
	fake_write_config("g2", HBA_ADDR);
	fake->status = NULL;
	ck_assert_int_eq(fake_run("units g2"), CTL_FAILED);
	ck_has(fake->err, "systemctl start hbad@g2");
	fake->status = fake_booting;
	ck_assert_int_eq(fake_run("units g2"), CTL_FAILED);
	ck_has(fake->err, "booting");
	ck_assert_str_eq(fake->out, "");
}
END_TEST

/* "exported_by" becomes a part of a command that root pastes. */
START_TEST(rescan_prints_commands_for_plain_names_only)
{
	static const char *const users[] = {"g2-ld0", "x; rm -rf /", "$(id)", ""};
	g_autofree char *after = g_strdup_printf("{\"rescans\":2,\"units\":[{\"name\":\"\\u001b[2Jld0\","
						 "\"size_bytes\":2048,\"exported_by\":\"%s\"}]}",
		users[_i]);

	fake_write_config("g2", HBA_ADDR);
	fake->boot_status = "{\"rescans\":1,\"units\":[{\"name\":\"\\u001b[2Jld0\",\"size_bytes\":1024}]}";
	fake->status_after = 1;
	fake->status = after;
	ck_assert_int_eq(fake_run("rescan g2"), CTL_OK);
	ck_has(fake->out, "ld0: 2048 bytes, was 1024\n");
	ck_assert_ptr_null(strchr(fake->out, '\033'));
	if (_i == 0)
		ck_has(fake->out, "/backstores/user:hba/g2-ld0 set attribute dev_size=2048\n");
	else
		ck_hasnt(fake->out, "targetcli");
}
END_TEST

START_TEST(questions_about_no_instance_say_so)
{
	static const char *const commands[] = {"units g2", "rescan g2", "show g2"};

	fake->status = NULL;
	ck_assert_int_eq(fake_run(commands[_i]), CTL_FAILED);
	ck_has(fake->err, "there is no instance 'g2'");
}
END_TEST

START_TEST(a_controller_without_units_is_told)
{
	fake->status = "{\"controller\":{},\"units\":[]}";
	ck_assert_int_eq(fake_run("units g2"), CTL_OK);
	ck_has(fake->out, "has no units");
}
END_TEST

/* hbad is trusted no more than its firmware is: every answer is survived. */
static const char *const odd[] = {
	"{}",
	"{\"controller\":{},\"units\":{}}",
	"{\"controller\":{},\"units\":[1,\"x\",null,[],{}]}",
	"{\"controller\":[],\"units\":null,\"luns\":7,\"stats\":\"x\",\"handler\":0,\"state\":{}}",
	("{\"controller\":{\"product\":7,\"cache_mb\":\"x\"},\"luns\":[1,{\"stats\":3}],\"uptime_s\":-1,"
	 "\"pid\":1.5}"),
	"{\"state\":\"\\u001b[31mred\\n\",\"controller\":{\"product\":\"a\\tb\\u0007\"}}",
	"{\"state\":\"ready\",\"problem\":\"\\u001b[2Jgone\",\"controller\":null}",
	"nonsense",
	"",
	"null",
};

START_TEST(odd_answers_are_survived)
{
	static const char *const args[] = {
		"units g2", "units g2 -j", "show g2", "show g2 -j", "list", "list -j", "detach g2"};

	fake->status = odd[_i];
	fake_write_config("g2", HBA_ADDR);
	for (size_t i = 0; i < ARRAY_SIZE(args); i++) {
		ck_assert_int_ne(fake_run(args[i]), CTL_USAGE);
		ck_assert_ptr_null(strchr(fake->out, '\033'));
		ck_assert_ptr_null(strchr(fake->out, '\a'));
		ck_assert_ptr_null(strchr(fake->err, '\033'));
	}
}
END_TEST

/* --- show --- */

START_TEST(show_prints_everything)
{
	static const char *const parts[] = {"Instance g2\n", "  State:           ready\n",
		"  Device:          0000:03:00.0\n", "active (running), enabled", "up 1d 02:03:04",
		"connected, handler 0.1.0", "LSI MegaRAID 9260", "12.15.0-0239", "512 MiB, battery present",
		"1008 commands at once, 512.0 KiB and 80 segments each", "ld1: two member disks are missing",
		"  g2-ld2     ld2   serving  open  rw         3  1.0 MiB  1.0 GiB       42       0\n",
		"  Resets put off:  2\n", "  Re-issued:       7\n"};

	fake_write_config("g2", HBA_ADDR);
	fake->unit_active = fake->unit_enabled = true;
	ck_assert_int_eq(fake_run("show g2"), CTL_OK);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		ck_has(fake->out, parts[i]);
}
END_TEST

/* H25 */
START_TEST(show_warns_of_what_lies_on_its_own_lun)
{
	g_autoptr(JsonNode) root = NULL;
	g_autofree char *dir = g_dir_make_tmp("hbactl-XXXXXX", NULL);
	g_autofree char *command = g_strdup_printf(
		"cd %s && mkdir -p proc/self sys/dev/block sys/class/block sys/x/sdb/device && "
		"echo '22 1 8:1 / / rw - ext4 /dev/sda1 rw' >proc/self/mountinfo && "
		"echo '/dev/sdb partition 1 0 -2' >proc/swaps && echo 8:16 >sys/x/sdb/dev && "
		"printf '\\0\\203\\0\\14\\1\\3\\0\\10\\140\\6\\5\\260\\12\\33\\54\\76' "
		">sys/x/sdb/device/vpd_pg83 && "
		"ln -s ../../x/sdb sys/dev/block/8:16 && ln -s ../../x/sdb sys/class/block/sdb",
		dir);
	g_autofree char *clean = g_strdup_printf("rm -rf %s", dir);

	ck_assert_int_eq(system(command), 0);
	fake->ctl.sysfs_root = dir;
	fake_write_config("g2", HBA_ADDR);
	ck_assert_int_eq(fake_run("show g2"), CTL_OK);
	ck_has(fake->out, "\nWarning\n  swap (/dev/sdb) is on sdb, a LUN of this hbad: ");
	ck_assert_int_eq(fake_run("show g2 --json"), CTL_OK);
	ck_assert_uint_eq(json_arr_len(json_arr(parse_out(&root), "own_use")), 1);
	/* Not without hbad, which alone knows its units. */
	fake->status = NULL;
	ck_assert_int_eq(fake_run("show g2"), CTL_OK);
	ck_hasnt(fake->out, "Warning");
	ck_assert_int_eq(system(clean), 0);
}
END_TEST

START_TEST(show_names_what_was_refused_and_why_in_local_time)
{
	g_autoptr(JsonNode) root = NULL;
	JsonArray *refused;

	g_setenv("TZ", "UTC-2", TRUE); /* two hours ahead */
	fake_write_config("g2", HBA_ADDR);
	ck_assert_int_eq(fake_run("show g2"), CTL_OK);
	ck_has(fake->out, "\nRefused: backstores that could not be created or resized, newest first\n"
			  "  2026-11-21 13:20:33  bad (hba/g2/ld0)\n"
			  "    create it with size=10737418240\n"
			  "\nCounters");
	ck_assert_int_eq(fake_run("show g2 --json"), CTL_OK);
	refused = json_arr(json_obj(parse_out(&root), "status"), "refused");
	ck_assert_uint_eq(json_arr_len(refused), 1);
	ck_assert_str_eq(json_str(json_arr_obj(refused, 0), "time"), "2026-11-21T11:20:33Z");
	ck_assert_str_eq(json_str(json_arr_obj(refused, 0), "device"), "bad");
	ck_assert_str_eq(json_str(json_arr_obj(refused, 0), "cfgstring"), "hba/g2/ld0");
	ck_assert_str_eq(json_str(json_arr_obj(refused, 0), "reason"), "create it with size=10737418240");
}
END_TEST

START_TEST(show_says_nothing_of_refusals_when_there_are_none)
{
	static const char *const none[] = {"{\"refused\":[]}", "{}", "{\"refused\":null}"};

	fake->status = none[_i];
	ck_assert_int_eq(fake_run("show g2"), CTL_OK);
	ck_hasnt(fake->out, "Refused");
}
END_TEST

START_TEST(refused_names_do_not_reach_the_terminal_as_they_are)
{
	fake->status =
		"{\"refused\":[{\"time\":\"\\u001b[2J\",\"device\":\"a\\u001b[2Jb\",\"cfgstring\":\"c\\nd\","
		"\"reason\":\"e\\rf\"},7,null,{}]}";
	ck_assert_int_eq(fake_run("show g2"), CTL_OK);
	ck_has(fake->out, "  ?  a?[2Jb (c?d)\n    e?f\n");
	ck_assert_ptr_null(strchr(fake->out, '\033'));
}
END_TEST

START_TEST(show_tells_whether_a_missing_handler_matters)
{
	fake->status = fake_booting; /* no LUN */
	ck_assert_int_eq(fake_run("show g2"), CTL_OK);
	ck_has(fake->out, "not connected: it has no LUN");
	fake->status =
		"{\"state\":\"ready\",\"luns\":[{\"device\":\"x\"}],\"handler\":{\"connected\":false}}";
	ck_assert_int_eq(fake_run("show g2"), CTL_OK);
	ck_has(fake->out, "NOT connected: see 'systemctl status tcmu-runner'");
}
END_TEST

START_TEST(show_of_a_stopped_instance_tells_what_is_known)
{
	g_autoptr(JsonNode) root = NULL;
	JsonObject *o;

	fake_write_config("g2", HBA_ADDR);
	fake->status = NULL;
	ck_assert_int_eq(fake_run("show g2"), CTL_OK);
	ck_has(fake->out, "State:           stopped");
	ck_has(fake->out, "systemctl start hbad@g2");
	ck_assert_int_eq(fake_run("show g2 --json"), CTL_OK);
	o = parse_out(&root);
	ck_assert_str_eq(json_str(o, "state"), "stopped");
	ck_assert(JSON_NODE_HOLDS_NULL(json_object_get_member(o, "status")));
	ck_assert_str_eq(json_str(json_obj(o, "configuration"), "kernel_driver"), "megaraid_sas");
	ck_assert_int_eq(json_int(json_obj(o, "configuration"), "bounce_mib"), 64);
	ck_assert_str_eq(json_str(json_obj(o, "unit"), "enabled"), "disabled");
	ck_has(json_str(o, "problem"), "does not run");
}
END_TEST

START_TEST(the_problem_that_hbad_tells_is_the_instances)
{
	g_autoptr(JsonNode) root = NULL;

	fake_write_config("g2", HBA_ADDR);
	fake->status = "{\"state\":\"failed\",\"problem\":\"it was unplugged\"}";
	ck_assert_int_eq(fake_run("show g2 -j"), CTL_OK);
	ck_assert_str_eq(json_str(parse_out(&root), "problem"), "it was unplugged");
}
END_TEST

START_TEST(show_has_the_whole_configuration)
{
	g_autofree char *path = g_strdup_printf("%s/g2.conf", fake->dir);
	g_autoptr(JsonNode) root = NULL;
	JsonObject *c;

	ck_assert(g_file_set_contents(path,
		"[controller]\ndevice=" HBA_ADDR "\nkernel_driver=x\nqueue_depth=7\nhold_s=8\nbounce_mib=9\n"
		"[log]\nlevel=debug\ncapture=/var/lib/hbad/x\n",
		-1, NULL));
	ck_assert_int_eq(fake_run("show g2 -j"), CTL_OK);
	c = json_obj(parse_out(&root), "configuration");
	ck_assert_str_eq(json_str(c, "device"), HBA_ADDR);
	ck_assert_str_eq(json_str(c, "kernel_driver"), "x");
	ck_assert_int_eq(json_int(c, "queue_depth"), 7);
	ck_assert_int_eq(json_int(c, "hold_s"), 8);
	ck_assert_int_eq(json_int(c, "bounce_mib"), 9);
	ck_assert_str_eq(json_str(c, "log_level"), "debug");
	ck_assert_str_eq(json_str(c, "capture"), "/var/lib/hbad/x");
}
END_TEST

START_TEST(show_of_a_running_instance_has_hbads_whole_answer)
{
	g_autoptr(JsonNode) root = NULL;
	JsonObject *status;

	fake_write_config("g2", HBA_ADDR);
	ck_assert_int_eq(fake_run("show g2 -j"), CTL_OK);
	status = json_obj(parse_out(&root), "status");
	ck_assert_int_eq(json_int(json_obj(status, "stats"), "heartbeat_age_ms"), 12);
	ck_assert_uint_eq(json_arr_len(json_arr(status, "luns")), 1);
	ck_assert_str_eq(json_str(json_node_get_object(root), "problem"), "");
}
END_TEST

START_TEST(show_of_an_unknown_name_fails)
{
	fake->status = NULL;
	ck_assert_int_eq(fake_run("show nobody"), CTL_FAILED);
	ck_has(fake->err, "there is no instance 'nobody'");
	ck_has(fake->err, "hbactl list");
}
END_TEST

/* --- list --- */

START_TEST(list_without_instances_says_how_to_make_one)
{
	ck_assert_int_eq(fake_run("list"), CTL_OK);
	ck_has(fake->out, "hbactl attach");
	ck_assert_int_eq(fake_run("list --json"), CTL_OK);
	ck_has(fake->out, "\"instances\" : []");
}
END_TEST

START_TEST(list_is_a_sorted_aligned_table)
{
	fake_write_config("g2", HBA_ADDR);
	fake_write_config("alpha", OTHER_ADDR);
	fake->unit_enabled = true;
	ck_assert_int_eq(fake_run("list"), CTL_OK);
	ck_assert_str_eq(fake->out, "NAME   DEVICE        STATE  AT BOOT  CONTROLLER         UNITS  LUNS\n"
				    "alpha  0000:04:00.0  ready  enabled  LSI MegaRAID 9260      3     1\n"
				    "g2     0000:03:00.0  ready  enabled  LSI MegaRAID 9260      3     1\n");
}
END_TEST

static const struct {
	const char *show, *state;
} states[] = {
	{"ActiveState=activating\nSubState=start\n", "starting"},
	{"ActiveState=activating\nSubState=auto-restart\n", "restarting"},
	{"ActiveState=active\nSubState=running\n", "silent"},
	{"ActiveState=deactivating\nSubState=stop-sigterm\n", "stopping"},
	{"ActiveState=inactive\nSubState=dead\n", "stopped"},
	{"ActiveState=failed\nSubState=failed\n", "failed"},
	{"", "unknown"},
	{"garbage", "unknown"},
};

START_TEST(without_an_answer_of_hbad_systemds_state_is_told)
{
	g_autoptr(JsonNode) root = NULL;
	JsonObject *o;

	fake_write_config("g2", HBA_ADDR);
	fake->status = NULL;
	fake->unit_show = states[_i].show;
	ck_assert_int_eq(fake_run("list --json"), CTL_OK);
	o = json_arr_obj(json_arr(parse_out(&root), "instances"), 0);
	ck_assert_str_eq(json_str(o, "state"), states[_i].state);
}
END_TEST

START_TEST(list_counts_units_exports_and_luns)
{
	g_autoptr(JsonNode) root = NULL;
	JsonObject *o;

	fake_write_config("g2", HBA_ADDR);
	ck_assert_int_eq(fake_run("list -j"), CTL_OK);
	o = json_arr_obj(json_arr(parse_out(&root), "instances"), 0);
	ck_assert_int_eq(json_int(o, "units"), 3);
	ck_assert_int_eq(json_int(o, "exported"), 1);
	ck_assert_int_eq(json_int(o, "luns"), 1);
	ck_assert_str_eq(json_str(o, "firmware"), "12.15.0-0239");
}
END_TEST

START_TEST(list_warns_of_files_that_it_cannot_use)
{
	fake_write_config("Bad Name", HBA_ADDR);
	fake_write_config("broken", "");
	ck_assert_int_eq(fake_run("list"), CTL_OK);
	ck_has(fake->err, "ignoring");
	ck_has(fake->err, "Bad Name.conf");
	ck_has(fake->err, "broken.conf");
	ck_hasnt(fake->out, "Bad Name");
	ck_has(fake->out, "broken");
}
END_TEST

/* --- candidates --- */

static void two_hbas(void)
{
	struct pci_candidate *p = &fake->hba[1];

	fake->n_hba = 2;
	*p = (struct pci_candidate){
		.addr = OTHER_ADDR, .vendor = 0x9005, .device = 0x028f, .iommu_group = -1};
	g_strlcpy(fake->disks[0].use, "mounted on /srv", sizeof(fake->disks[0].use));
	g_strlcpy(fake->hba[0].group_others, "0000:03:00.1", sizeof(fake->hba[0].group_others));
}

START_TEST(candidates_prints_hbas_disks_and_hints)
{
	two_hbas();
	fake_write_config("g2", HBA_ADDR);
	ck_assert_int_eq(fake_run("candidates"), CTL_OK);
	ck_has(fake->out, "ADDRESS       IDS        DRIVER        GROUP  SUPPORTED BY HBAD              "
			  "ATTACHED AS  NAME\n"
			  "0000:03:00.0  1000:0079  megaraid_sas     12  yes: SAS2108 (MegaRAID gen 2)  g2   "
			  "        MegaRAID SAS "
			  "2108\n"
			  "0000:04:00.0  9005:028f  -                 -  no                             -    "
			  "        -\n"
			  "\n"
			  "DISK  OF                 SIZE  MODEL       USED BY\n"
			  "sda   0000:03:00.0   10.0 GiB  LSI MR9260  mounted on /srv\n"
			  "sdb   0000:03:00.0  931.5 GiB  -           -\n");
	ck_has(fake->out, "0000:03:00.0 shares IOMMU group 12 with 0000:03:00.1");
	ck_has(fake->out, "intel_iommu=on");
}
END_TEST

START_TEST(candidates_json_has_the_documented_members)
{
	g_autoptr(JsonNode) root = NULL;
	JsonObject *o;

	two_hbas();
	fake_write_config("g2", HBA_ADDR);
	ck_assert_int_eq(fake_run("candidates --json"), CTL_OK);
	o = json_arr_obj(json_arr(parse_out(&root), "candidates"), 0);
	ck_assert_str_eq(json_str(o, "address"), HBA_ADDR);
	ck_assert_str_eq(json_str(o, "vendor"), "1000");
	ck_assert_str_eq(json_str(o, "device"), "0079");
	ck_assert_int_eq(json_int(o, "iommu_group"), 12);
	ck_assert_str_eq(json_array_get_string_element(json_arr(o, "group_others"), 0), "0000:03:00.1");
	ck_assert(json_bool(o, "supported"));
	ck_assert_str_eq(json_str(o, "attached_as"), "g2");
	ck_assert_str_eq(json_str(json_arr_obj(json_arr(o, "disks"), 0), "use"), "mounted on /srv");
	o = json_arr_obj(json_arr(json_node_get_object(root), "candidates"), 1);
	ck_assert(!json_bool(o, "supported"));
	ck_assert_int_eq(json_int(o, "iommu_group"), -1);
	ck_assert_uint_eq(json_arr_len(json_arr(o, "group_others")), 0);
}
END_TEST

START_TEST(a_machine_without_hbas_is_no_failure)
{
	fake->n_hba = 0;
	ck_assert_int_eq(fake_run("candidates"), CTL_OK);
	ck_has(fake->out, "no SCSI HBA");
}
END_TEST

/* --- building blocks --- */

static const struct {
	uint64_t bytes;
	const char *text;
} sizes[] = {
	{0, "0 B"},
	{1023, "1023 B"},
	{1024, "1.0 KiB"},
	{1536, "1.5 KiB"},
	{1048575, "1023.9 KiB"},
	{1048576, "1.0 MiB"},
	{UINT64_C(1000204886016), "931.5 GiB"},
	{UINT64_C(0xffffffffffffffff), "15.9 EiB"},
};

START_TEST(a_size_is_cut_to_tenths_of_a_binary_unit)
{
	g_autofree char *text = table_size(sizes[_i].bytes);

	ck_assert_str_eq(text, sizes[_i].text);
}
END_TEST

static const struct {
	const char *raw, *clean;
} cells[] = {
	{"plain", "plain"},
	{"a\tb", "a?b"},
	{"\033[2J", "?[2J"},
	{"caf\303\251", "caf\303\251"},
	{"bad\377", "bad?"},
	{"cut\303", "cut?"},
	{"", ""},
	{NULL, ""},
};

START_TEST(what_a_terminal_would_obey_is_not_printed)
{
	g_autofree char *text = table_clean(cells[_i].raw);

	ck_assert_str_eq(text, cells[_i].clean);
}
END_TEST

static void add_tests(TCase *tc)
{
	tcase_add_loop_test(tc, a_unit_gives_this_targetcli_line, 0, ARRAY_SIZE(commands));
	tcase_add_test(tc, units_prints_an_aligned_table_problems_and_commands);
	tcase_add_test(tc, units_json_adds_the_command_to_what_hbad_says);
	tcase_add_test(tc, units_of_a_stopped_or_booting_instance_fails_with_a_cure);
	tcase_add_loop_test(tc, rescan_prints_commands_for_plain_names_only, 0, 4);
	tcase_add_loop_test(tc, questions_about_no_instance_say_so, 0, 3);
	tcase_add_test(tc, a_controller_without_units_is_told);
	tcase_add_loop_test(tc, odd_answers_are_survived, 0, ARRAY_SIZE(odd));
	tcase_add_test(tc, show_prints_everything);
	tcase_add_test(tc, show_names_what_was_refused_and_why_in_local_time);
	tcase_add_test(tc, show_warns_of_what_lies_on_its_own_lun);
	tcase_add_loop_test(tc, show_says_nothing_of_refusals_when_there_are_none, 0, 3);
	tcase_add_test(tc, refused_names_do_not_reach_the_terminal_as_they_are);
	tcase_add_test(tc, show_tells_whether_a_missing_handler_matters);
	tcase_add_test(tc, show_of_a_stopped_instance_tells_what_is_known);
	tcase_add_test(tc, the_problem_that_hbad_tells_is_the_instances);
	tcase_add_test(tc, show_has_the_whole_configuration);
	tcase_add_test(tc, show_of_a_running_instance_has_hbads_whole_answer);
	tcase_add_test(tc, show_of_an_unknown_name_fails);
	tcase_add_test(tc, list_without_instances_says_how_to_make_one);
	tcase_add_test(tc, list_is_a_sorted_aligned_table);
	tcase_add_loop_test(tc, without_an_answer_of_hbad_systemds_state_is_told, 0, ARRAY_SIZE(states));
	tcase_add_test(tc, list_counts_units_exports_and_luns);
	tcase_add_test(tc, list_warns_of_files_that_it_cannot_use);
	tcase_add_test(tc, candidates_prints_hbas_disks_and_hints);
	tcase_add_test(tc, candidates_json_has_the_documented_members);
	tcase_add_test(tc, a_machine_without_hbas_is_no_failure);
	tcase_add_loop_test(tc, a_size_is_cut_to_tenths_of_a_binary_unit, 0, ARRAY_SIZE(sizes));
	tcase_add_loop_test(tc, what_a_terminal_would_obey_is_not_printed, 0, ARRAY_SIZE(cells));
}

int main(void)
{
	Suite *s = suite_create("hbactl views");
	TCase *tc = tcase_create("views");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, fake_setup, fake_teardown);
	add_tests(tc);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
