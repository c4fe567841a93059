/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration file: what is taken, what is refused and with which words, and how it is written. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "control/config.h"
#include "temp.h"

/* --- names --- */

static const struct {
	const char *name;
	bool ok;
} names[] = {
	{"g2", true},
	{"0", true},
	{"raid-1_b", true},
	{"abcdefghijabcdefghijabcdefghij12", true},
	{"abcdefghijabcdefghijabcdefghij123", false},
	{"", false},
	{"-a", false},
	{"_a", false},
	{"A", false},
	{"a.b", false},
	{"a/b", false},
	{"..", false},
	{"a b", false},
	{"\xc3\xa4", false},
};

START_TEST(instance_names_are_lower_case_and_short)
{
	struct err e = {""};

	ck_assert_int_eq(config_check_name(names[_i].name, &e), names[_i].ok ? 0 : -EINVAL);
	ck_assert_int_eq(!e.text[0], names[_i].ok);
}
END_TEST

START_TEST(path_is_made_of_folder_and_name)
{
	char path[32];

	ck_assert_int_eq(config_path(NULL, "g2", path, sizeof(path)), 0);
	ck_assert_str_eq(path, "/etc/hbad/g2.conf");
	ck_assert_int_eq(config_path("/x", "g2", path, sizeof(path)), 0);
	ck_assert_str_eq(path, "/x/g2.conf");
	ck_assert_int_eq(config_path("/x", "g2", path, 10), -ENAMETOOLONG);
	ck_assert_int_eq(config_path("/x", "g2", path, 11), 0);
}
END_TEST

/* --- reading --- */

static const struct {
	const char *text;
	struct config want;
} good[] = {
	{"[controller]\ndevice=0000:03:00.0\n", {"0000:03:00.0", "", 0, 64, LOG_LV_INFO, .io_threads = 1}},
	{"# c\n\n[controller]\n\ndevice = 0000:03:00.0 \nkernel_driver=megaraid_sas\nqueue_depth=1\n"
	 "bounce_mib=8\n[log]\nlevel=debug\n",
		{"0000:03:00.0", "megaraid_sas", 1, 8, LOG_LV_DEBUG, .io_threads = 1}},
	{"[log]\nlevel=error\n[controller]\ndevice=ffff:ff:1f.7\nqueue_depth=4096\nhold_s=3600\nbounce_mib="
	 "1024",
		{"ffff:ff:1f.7", "", 4096, 1024, LOG_LV_ERR, "", 3600, .io_threads = 1}},
	{"[controller]\r\ndevice=vfio-user:/run/x.sock\r\nkernel_driver=\r\nqueue_depth=0\r\n",
		{"vfio-user:/run/x.sock", "", 0, 64, LOG_LV_INFO, .io_threads = 1}},
	{"[controller]\ndevice=0000:03:00.0\n[log]\nlevel=warning\n[controller]\nqueue_depth=7\n",
		{"0000:03:00.0", "", 7, 64, LOG_LV_WARN, .io_threads = 1}},
	{"[controller]\ndevice=0000:03:00.0\n[log]\ncapture=/var/lib/hbad/x.cap\n",
		{"0000:03:00.0", "", 0, 64, LOG_LV_INFO, "/var/lib/hbad/x.cap", .io_threads = 1}},
	{"[controller]\ndevice=0000:03:00.0\nio_threads=8\n",
		{"0000:03:00.0", "", 0, 64, LOG_LV_INFO, .io_threads = 8}},
	{"[controller]\ndevice=0000:03:00.0\nio_threads = auto \n",
		{"0000:03:00.0", "", 0, 64, LOG_LV_INFO, .io_threads = 0}},
};

static void check_same(const struct config *got, const struct config *want)
{
	ck_assert_str_eq(got->device, want->device);
	ck_assert_str_eq(got->kernel_driver, want->kernel_driver);
	ck_assert_uint_eq(got->queue_depth, want->queue_depth);
	ck_assert_uint_eq(got->bounce_mib, want->bounce_mib);
	ck_assert_uint_eq(got->hold_s, want->hold_s);
	ck_assert_uint_eq(got->io_threads, want->io_threads);
	ck_assert_int_eq(got->log_level, want->log_level);
	ck_assert_str_eq(got->capture, want->capture);
}

START_TEST(good_files_are_taken)
{
	struct config c;
	struct err e = {""};

	temp_write("g2.conf", good[_i].text);
	ck_assert_msg(!config_load(temp_path("g2.conf"), &c, &e), "%s", e.text);
	check_same(&c, &good[_i].want);
}
END_TEST

#define DEV "[controller]\ndevice=0000:03:00.0\n"

static const struct {
	const char *text, *words; /* words must be in the sentence */
} bad[] = {
	{"", "there is no device"},
	{"[controller]\n", "there is no device"},
	{"[log]\nlevel=info\n", "there is no device"},
	{"device=0000:03:00.0\n", "line 1: a key before the first group"},
	{"[controller]\ndevice=\n", "line 2: \"\" is no device"},
	{"[controller]\ndevice=03:00.0\n", "line 2"},
	{"[controller]\ndevice=0000:03:00.8\n", "line 2"},
	{"[controller]\ndevice=0000:03:20.0\n", "line 2"},
	{"[controller]\ndevice=0000:0g:00.0\n", "line 2"},
	{"[controller]\ndevice=0000:0A:00.0\n", "lower case"},
	{"[controller]\ndevice=0000:03:00.0x\n", "hbactl candidates"},
	{"[controller]\ndevice=vfio-user:x\n", "line 2"},
	{"[controller]\ndevice=vfio-user:/\n", "line 2"},
	{"[controller]\ndevice=0000\\q\n", "line 2"},
	{DEV "device=0000:03:00.0\n", "line 3: \"device\" is given in line 2 too: keep one"},
	{DEV "[controller]\ndevice=0000:04:00.0\n", "line 4: \"device\" is given in line 2 too"},
	{DEV "queue_depht=1\n",
		"line 3: [controller] has no key \"queue_depht\": remove it, or use one of device, "
		"kernel_driver, queue_depth, bounce_mib, hold_s"},
	{DEV "level=info\n", "line 3: [controller] has no key \"level\""},
	{DEV "device[de]=x\n", "line 3"},
	{DEV "[logs]\n", "line 3: there is no group [logs]: use [controller] or [log]"},
	{DEV "[log] # x\nlevel=info\n", "line 3: a group is written as"},
	{DEV "[log\n", "line 3: a group is written as"},
	{DEV "\n\nnonsense\n", "line 5: neither"},
	{DEV "queue_depth=4097\n", "line 3: queue_depth is \"4097\": use a whole number from 0 to 4096"},
	{DEV "queue_depth=-1\n", "line 3"},
	{DEV "queue_depth=+1\n", "line 3"},
	{DEV "queue_depth=0x10\n", "line 3"},
	{DEV "queue_depth=1 2\n", "line 3"},
	{DEV "queue_depth=18446744073709551617\n", "line 3"},
	{DEV "queue_depth=\n", "line 3: queue_depth is \"\""},
	{DEV "hold_s=3601\n", "use a whole number from 0 to 3600"},
	{DEV "io_threads=0\n", "line 3: io_threads is \"0\": use a whole number from 1 to 8, or auto"},
	{DEV "io_threads=9\n", "line 3: io_threads"},
	{DEV "io_threads=-1\n", "line 3: io_threads"},
	{DEV "io_threads=all\n", "line 3: io_threads"},
	{DEV "io_threads=\n", "line 3: io_threads"},
	{DEV "bounce_mib=7\n", "use a whole number from 8 to 1024"},
	{DEV "bounce_mib=1025\n", "use a whole number from 8 to 1024"},
	{DEV "kernel_driver=a b\n", "line 3: \"a b\" is no name of a kernel driver"},
	{DEV "kernel_driver=../x\n", "line 3"},
	{DEV "kernel_driver=abcdefghijabcdefghijabcdefghij12\n", "line 3"},
	{DEV "[log]\nlevel=verbose\n",
		"line 4: \"verbose\" is no log level: use error, warning, info or debug"},
	{DEV "[log]\nlevel=\n", "line 4"},
	{DEV "[log]\ncapture=x.cap\n", "line 4: \"x.cap\" is no whole path"},
	{DEV "[log]\ncapture=\n", "line 4"},
	{DEV "# \xff\n", "is not a text file"},
};

START_TEST(bad_files_are_refused_with_line_and_cure)
{
	struct config c, before;
	struct err e = {""};

	memset(&c, 0x5a, sizeof(c));
	before = c;
	temp_write("g2.conf", bad[_i].text);
	ck_assert_int_eq(config_load(temp_path("g2.conf"), &c, &e), -EINVAL);
	ck_assert_msg(strstr(e.text, bad[_i].words) != NULL, "\"%s\" is not in: %s", bad[_i].words, e.text);
	ck_assert_ptr_nonnull(strstr(e.text, temp_path("g2.conf")));
	ck_assert(!memcmp(&c, &before, sizeof(c)));
}
END_TEST

START_TEST(nul_byte_is_no_text)
{
	static const char text[] = DEV "#\0\n";
	struct config c;

	ck_assert(g_file_set_contents(temp_path("g2.conf"), text, sizeof(text) - 1, NULL));
	ck_assert_int_eq(config_load(temp_path("g2.conf"), &c, NULL), -EINVAL);
}
END_TEST

START_TEST(missing_file_names_the_command_that_makes_it)
{
	struct config c;
	struct err e = {""};

	ck_assert_int_eq(config_load(temp_path("g2.conf"), &c, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "hbactl attach"));
}
END_TEST

START_TEST(folder_and_fifo_are_no_files)
{
	struct config c;

	ck_assert_int_eq(mkdir(temp_path("d.conf"), 0755), 0);
	ck_assert_int_eq(config_load(temp_path("d.conf"), &c, NULL), -EINVAL);
	ck_assert_int_eq(mkfifo(temp_path("f.conf"), 0600), 0);
	ck_assert_int_eq(config_load(temp_path("f.conf"), &c, NULL), -EINVAL);
}
END_TEST

START_TEST(size_limit_is_exact)
{
	g_autofree char *text = g_malloc(CONFIG_MAX_BYTES + 2);
	struct config c;

	memset(text, '#', CONFIG_MAX_BYTES + 1);
	memcpy(text, DEV, strlen(DEV));
	text[CONFIG_MAX_BYTES + 1] = 0;
	temp_write("g2.conf", text);
	ck_assert_int_eq(config_load(temp_path("g2.conf"), &c, NULL), -EFBIG);
	text[CONFIG_MAX_BYTES] = 0;
	temp_write("g2.conf", text);
	ck_assert_int_eq(config_load(temp_path("g2.conf"), &c, NULL), 0);
}
END_TEST

/* --- writing --- */

START_TEST(what_is_written_is_read_back)
{
	struct config c;
	struct err e = {""};

	ck_assert_msg(!config_save(temp_path("sub/g2.conf"), &good[_i].want, &e), "%s", e.text);
	ck_assert_msg(!config_load(temp_path("sub/g2.conf"), &c, &e), "%s", e.text);
	check_same(&c, &good[_i].want);
}
END_TEST

static unsigned count_entries(const char *path)
{
	g_autoptr(GDir) d = g_dir_open(path, 0, NULL);
	unsigned n = 0;

	while (g_dir_read_name(d))
		n++;
	return n;
}

START_TEST(writing_replaces_the_file_and_leaves_nothing_beside_it)
{
	struct stat before, after;
	mode_t mask = umask(0);

	temp_write("g2.conf", "old");
	stat(temp_path("g2.conf"), &before);
	ck_assert_int_eq(config_save(temp_path("g2.conf"), &good[0].want, NULL), 0);
	umask(mask);
	ck_assert_int_eq(stat(temp_path("g2.conf"), &after), 0);
	ck_assert_uint_eq(after.st_mode & 07777, 0644);
	/* Another inode: somebody who has the old file open reads the whole old file. */
	ck_assert_uint_ne(before.st_ino, after.st_ino);
	ck_assert_uint_eq(count_entries(temp_dir), 1);
}
END_TEST

START_TEST(writing_does_not_depend_on_roots_umask)
{
	mode_t mask = umask(0077);
	struct stat st;

	ck_assert_int_eq(config_save(temp_path("sub/g2.conf"), &good[0].want, NULL), 0);
	umask(mask);
	ck_assert_int_eq(stat(temp_path("sub"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0755);
	ck_assert_int_eq(stat(temp_path("sub/g2.conf"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0644);
	/* A folder that is there already is the administrator's. */
	ck_assert_int_eq(chmod(temp_path("sub"), 0700), 0);
	ck_assert_int_eq(config_save(temp_path("sub/g2.conf"), &good[0].want, NULL), 0);
	ck_assert_int_eq(stat(temp_path("sub"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
}
END_TEST

START_TEST(a_file_that_may_not_be_read_names_the_cure)
{
	struct err e = {""};
	struct config c;

	/* The folder is ours alone; cases have processes of their own. */
	temp_write("g2.conf", good[0].text);
	ck_assert_int_eq(chmod(temp_path("g2.conf"), 0), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	ck_assert_int_eq(config_load(temp_path("g2.conf"), &c, &e), -EACCES);
	if (geteuid() != getuid())
		ck_assert_int_eq(seteuid(getuid()), 0);
	ck_assert_ptr_nonnull(strstr(e.text, "g2.conf"));
	ck_assert_ptr_nonnull(strstr(e.text, "chmod 644"));
}
END_TEST

static const struct config unfit[] = {
	{"", "", 0, 64, LOG_LV_INFO},
	{"03:00.0", "", 0, 64, LOG_LV_INFO},
	{"0000:03:00.0", "a\nb", 0, 64, LOG_LV_INFO},
	{"0000:03:00.0", "", 4097, 64, LOG_LV_INFO},
	{"0000:03:00.0", "", 0, 7, LOG_LV_INFO},
	{"0000:03:00.0", "", 0, 1025, LOG_LV_INFO},
};

START_TEST(unfit_values_are_not_written)
{
	struct err e = {""};
	g_autofree char *text = NULL;

	temp_write("g2.conf", "old");
	ck_assert_int_eq(config_save(temp_path("g2.conf"), &unfit[_i], &e), -EINVAL);
	ck_assert(e.text[0]);
	ck_assert(g_file_get_contents(temp_path("g2.conf"), &text, NULL, NULL));
	ck_assert_str_eq(text, "old");
	ck_assert_uint_eq(count_entries(temp_dir), 1);
}
END_TEST

START_TEST(failed_rename_leaves_no_temporary_file)
{
	struct err e = {""};

	/* A folder with something in it cannot be replaced. */
	temp_write("g2.conf/x", "");
	ck_assert_int_lt(config_save(temp_path("g2.conf"), &good[0].want, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.text, "cannot replace"));
	ck_assert_uint_eq(count_entries(temp_dir), 1);
}
END_TEST

START_TEST(levels_have_one_name_each)
{
	static const enum log_level all[] = {LOG_LV_ERR, LOG_LV_WARN, LOG_LV_INFO, LOG_LV_DEBUG};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		enum log_level l;

		ck_assert_int_eq(config_parse_level(config_level_name(all[i]), &l, NULL), 0);
		ck_assert_int_eq(l, all[i]);
	}
}
END_TEST

/* --- hbad.conf(5) --- */

/* What the manual says between a heading and the next one; g_free(). */
static char *manual_section(const char *group)
{
	g_autofree char *manual = NULL, *heading = g_strdup_printf("\n.SH [%s]\n", group);
	const char *from, *to;

	ck_assert(g_file_get_contents(HBAD_CONF_MANUAL, &manual, NULL, NULL));
	from = strstr(manual, heading);
	ck_assert_msg(from != NULL, "hbad.conf.5 has no section [%s]", group);
	from += strlen(heading) - 1;
	to = strstr(from, "\n.SH ");
	ck_assert_ptr_nonnull(to);
	return g_strndup(from, (gsize)(to - from));
}

static unsigned count_of(const char *text, const char *part)
{
	unsigned n = 0;

	for (text = strstr(text, part); text; text = strstr(text + 1, part))
		n++;
	return n;
}

/* The reader lists its keys when it refuses one. */
START_TEST(the_manual_has_each_key_and_no_other)
{
	static const char *const groups[] = {"controller", "log"};
	const char *group = groups[_i], *list;
	g_autofree char *section = manual_section(group);
	g_autofree char *text = g_strdup_printf("[%s]\nno_such_key=1\n", group);
	g_auto(GStrv) keys = NULL;
	struct config c;
	struct err e = {""};

	temp_write("g2.conf", text);
	ck_assert_int_eq(config_load(temp_path("g2.conf"), &c, &e), -EINVAL);
	list = strstr(e.text, "use one of ");
	ck_assert_msg(list != NULL, "%s", e.text);
	keys = g_strsplit(list + strlen("use one of "), ", ", -1);
	for (char **key = keys; *key; key++) {
		g_autofree char *tag = g_strdup_printf("\n.TP\n.B %s\n", *key);

		ck_assert_msg(strstr(section, tag) != NULL, "hbad.conf.5 does not describe %s", *key);
	}
	ck_assert_uint_eq(count_of(section, "\n.TP\n"), g_strv_length(keys));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("config");
	TCase *t = tcase_create("config");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, temp_make, temp_remove);
	tcase_add_loop_test(t, instance_names_are_lower_case_and_short, 0, ARRAY_SIZE(names));
	tcase_add_test(t, path_is_made_of_folder_and_name);
	tcase_add_loop_test(t, good_files_are_taken, 0, ARRAY_SIZE(good));
	tcase_add_loop_test(t, bad_files_are_refused_with_line_and_cure, 0, ARRAY_SIZE(bad));
	tcase_add_test(t, nul_byte_is_no_text);
	tcase_add_test(t, missing_file_names_the_command_that_makes_it);
	tcase_add_test(t, folder_and_fifo_are_no_files);
	tcase_add_test(t, size_limit_is_exact);
	tcase_add_loop_test(t, what_is_written_is_read_back, 0, ARRAY_SIZE(good));
	tcase_add_test(t, writing_replaces_the_file_and_leaves_nothing_beside_it);
	tcase_add_test(t, a_file_that_may_not_be_read_names_the_cure);
	tcase_add_test(t, writing_does_not_depend_on_roots_umask);
	tcase_add_loop_test(t, unfit_values_are_not_written, 0, ARRAY_SIZE(unfit));
	tcase_add_test(t, failed_rename_leaves_no_temporary_file);
	tcase_add_test(t, levels_have_one_name_each);
	tcase_add_loop_test(t, the_manual_has_each_key_and_no_other, 0, 2);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
