/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl's real machine: running programs, finding backstores in a made-up configfs, removing a file. */
#include <check.h>
#include <errno.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "fake.h"
#include "hbactl/machine.h"

static char root[64];

static void make_root(void)
{
	g_strlcpy(root, "/tmp/hbactl-configfs-XXXXXX", sizeof(root));
	ck_assert_ptr_nonnull(g_mkdtemp(root));
}

static void remove_root(void)
{
	const char *const argv[] = {"rm", "-rf", root, NULL};
	g_autofree char *out = NULL;

	ck_assert_int_eq(machine_run(argv, &out, NULL), 0);
}

/* As the kernel prints it: state line, then "Config: ... Size: ..." */
static void backstore(const char *group, const char *device, const char *config)
{
	g_autofree char *dir = g_strdup_printf("%s/target/core/%s/%s", root, group, device);
	g_autofree char *info = g_strdup_printf("%s/info", dir);
	g_autofree char *text = g_strdup_printf(
		"Status: ACTIVATED  Max Queue Depth: 128  SectorSize: 512  "
		"HwMaxSectors: 128\n        Config: %s Size: 1073741824 MaxDataAreaMB: 1024\n",
		config);

	ck_assert_int_eq(g_mkdir_with_parents(dir, 0755), 0);
	ck_assert(g_file_set_contents(info, text, -1, NULL));
}

START_TEST(backstores_of_one_instance_are_found_in_all_groups)
{
	g_auto(GStrv) names = NULL;
	struct err e = {""};

	backstore("user_0", "mine", "hba/g2/ld0;ro=1");
	backstore("user_1", "not-mine", "hba/g20/ld0");
	backstore("user_2", "others", "qcow//srv/hba/g2/x");
	backstore("user_3", "unset", "NULL");
	backstore("iblock_0", "impostor", "hba/g2/ld0");
	ck_assert_msg(machine_backstores(root, "g2", &names, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(g_strv_length(names), 1);
	ck_assert_str_eq(names[0], "mine");
}
END_TEST

START_TEST(several_backstores_are_all_named)
{
	g_auto(GStrv) names = NULL;

	backstore("user_0", "a", "hba/g2/ld0");
	backstore("user_1", "b", "hba/g2/ld1");
	ck_assert_int_eq(machine_backstores(root, "g2", &names, NULL), 0);
	ck_assert_uint_eq(g_strv_length(names), 2);
	ck_assert(g_strv_contains((const char *const *)names, "a"));
	ck_assert(g_strv_contains((const char *const *)names, "b"));
}
END_TEST

START_TEST(no_lio_means_no_backstores)
{
	g_auto(GStrv) names = NULL;

	ck_assert_int_eq(machine_backstores(root, "g2", &names, NULL), 0);
	ck_assert_uint_eq(g_strv_length(names), 0);
}
END_TEST

START_TEST(a_configfs_that_blocks_is_given_up)
{
	g_autofree char *dir = g_strdup_printf("%s/target/core/user_0/stuck", root);
	g_autofree char *fifo = g_strdup_printf("%s/info", dir);
	g_auto(GStrv) names = NULL;
	struct err e = {""};
	uint64_t began = clock_ns();

	ck_assert_int_eq(g_mkdir_with_parents(dir, 0755), 0);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0); /* open() for reading waits for a writer that never comes */
	ck_assert_int_eq(machine_backstores(root, "g2", &names, &e), -ETIMEDOUT);
	ck_has(e.text, root);
	ck_assert_uint_ge((clock_ns() - began) / NS_PER_MS, BACKSTORES_DEADLINE_MS);
}
END_TEST

START_TEST(run_returns_output_status_and_complaint)
{
	const char *const argv[] = {
		"sh", "-c", "echo out; printf ' complaint\\nand more \\n' >&2; exit 3", NULL};
	g_autofree char *out = NULL;
	struct err e = {""};

	ck_assert_int_eq(machine_run(argv, &out, &e), 3);
	ck_assert_str_eq(out, "out\n");
	ck_assert_str_eq(e.text, "sh: complaint and more");
}
END_TEST

START_TEST(run_of_what_is_not_there_names_it)
{
	const char *const argv[] = {"hbactl-no-such-program", NULL};
	g_autofree char *out = NULL;
	struct err e = {""};

	ck_assert_int_lt(machine_run(argv, &out, &e), 0);
	ck_has(e.text, "hbactl-no-such-program");
}
END_TEST

START_TEST(run_tells_a_signal)
{
	const char *const argv[] = {"sh", "-c", "kill -9 $$", NULL};
	g_autofree char *out = NULL;
	struct err e = {""};

	ck_assert_int_lt(machine_run(argv, &out, &e), 0);
	ck_has(e.text, "signal 9");
}
END_TEST

START_TEST(a_configuration_that_is_gone_is_removed)
{
	g_autofree char *path = g_strdup_printf("%s/g2.conf", root);

	ck_assert(g_file_set_contents(path, "x", -1, NULL));
	ck_assert_int_eq(machine_config_remove(path, NULL), 0);
	ck_assert(!g_file_test(path, G_FILE_TEST_EXISTS));
	ck_assert_int_eq(machine_config_remove(path, NULL), 0);
	ck_assert_int_lt(machine_config_remove(root, NULL), 0);
}
END_TEST

START_TEST(the_tested_controllers_are_supported)
{
	/* SAS1078 and SAS2108, which QEMU's megasas and megasas-gen2 show */
	ck_assert_ptr_nonnull(machine_ops.supported(0x1000, 0x0060));
	ck_assert_ptr_nonnull(machine_ops.supported(0x1000, 0x0079));
	ck_assert_ptr_null(machine_ops.supported(0x1000, 0xffff));
	ck_assert_ptr_null(machine_ops.supported(0, 0));
}
END_TEST

START_TEST(a_signal_is_noticed_and_not_obeyed)
{
	ck_assert(!machine_ops.interrupted());
	raise(SIGTERM);
	ck_assert(machine_ops.interrupted());
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hbactl machine");
	TCase *tc = tcase_create("machine");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, make_root, remove_root);
	tcase_set_timeout(tc, 20);
	tcase_add_test(tc, backstores_of_one_instance_are_found_in_all_groups);
	tcase_add_test(tc, several_backstores_are_all_named);
	tcase_add_test(tc, no_lio_means_no_backstores);
	tcase_add_test(tc, a_configfs_that_blocks_is_given_up);
	tcase_add_test(tc, run_returns_output_status_and_complaint);
	tcase_add_test(tc, run_of_what_is_not_there_names_it);
	tcase_add_test(tc, run_tells_a_signal);
	tcase_add_test(tc, a_configuration_that_is_gone_is_removed);
	tcase_add_test(tc, the_tested_controllers_are_supported);
	tcase_add_test(tc, a_signal_is_noticed_and_not_obeyed);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
