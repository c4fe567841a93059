/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guard on a made-up configfs, and the instance lock. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "control/guard.h"
#include "control/guard_walk.h"
#include "control/lock.h"
#include "temp.h"

#define INFO "Status: ACTIVATED  Max Queue Depth: 128  SectorSize: 512  HwMaxSectors: 128\n        Config: "
#define TAIL " Size: 1073741824 MaxDataAreaMB: 1024 DataPagesPerBlk: 1\n"

/* A backstore of user space: user_N/NAME */
static void add_device(const char *group, const char *name, const char *config)
{
	g_autofree char *base = g_strdup_printf("target/core/%s/%s", group, name);
	g_autofree char *info = g_strconcat(base, "/info", NULL);
	g_autofree char *block = g_strconcat(base, "/action/block_dev", NULL);
	g_autofree char *reset = g_strconcat(base, "/action/reset_ring", NULL);
	g_autofree char *text = g_strconcat(INFO, config, TAIL, NULL);

	temp_write(info, text);
	temp_write(block, "0\n");
	temp_write(reset, "0\n");
}

static char *value_of(const char *group, const char *name, const char *attribute)
{
	g_autofree char *path = g_strdup_printf("target/core/%s/%s/action/%s", group, name, attribute);
	char *text = NULL;

	g_file_get_contents(temp_path(path), &text, NULL, NULL);
	return text;
}

static void check_value(const char *group, const char *name, const char *attribute, const char *want)
{
	g_autofree char *got = value_of(group, name, attribute);

	ck_assert_str_eq(got, want);
}

static void check_guarded(const char *group, const char *name, bool guarded)
{
	check_value(group, name, "block_dev", guarded ? "1\n" : "0\n");
	check_value(group, name, "reset_ring", guarded ? "1\n" : "0\n");
}

static int run(unsigned deadline_ms, struct guard_result *res, struct err *e)
{
	struct guard_config cfg = {
		.name = "g2",
		.configfs_root = temp_dir,
		.runtime_dir = temp_path("run"),
		.deadline_ms = deadline_ms,
	};

	memset(res, 0, sizeof(*res));
	return guard_run(&cfg, res, e);
}

/* H4: the guard needs no tcmu-runner. */
START_TEST(only_the_instances_luns_are_blocked_and_reset)
{
	struct guard_result res;
	struct err e = {""};

	add_device("user_0", "mine", "hba/g2/ld0;ro=1");
	add_device("user_1", "mine2", "hba/g2/naa.6001");
	add_device("user_2", "longer", "hba/g22/ld0");
	add_device("user_3", "other", "hba/g1/ld0");
	add_device("user_4", "file", "file/srv/hba/g2/x");
	add_device("user_5", "tricky", "file/srv/Config: hba/g2/x");
	add_device("user_6", "none", "NULL");
	add_device("iblock_0", "kernel", "hba/g2/ld0");
	ck_assert_msg(!run(60000, &res, &e), "%s", e.text);
	ck_assert_uint_eq(res.guarded, 2);
	ck_assert_uint_eq(res.failed, 0);
	ck_assert_uint_eq(res.stuck, 0);
	check_guarded("user_0", "mine", true);
	check_guarded("user_1", "mine2", true);
	check_guarded("user_2", "longer", false);
	check_guarded("user_3", "other", false);
	check_guarded("user_4", "file", false);
	check_guarded("user_5", "tricky", false);
	check_guarded("user_6", "none", false);
	check_guarded("iblock_0", "kernel", false);
}
END_TEST

/* H9: the guard closes the gate before it resets. */
START_TEST(block_comes_before_reset)
{
	char buf[4096] __attribute__((aligned(8)));
	int in = inotify_init1(IN_NONBLOCK);
	struct guard_result res;
	const struct inotify_event *ev = (const struct inotify_event *)buf;
	int block, reset;

	add_device("user_0", "mine", "hba/g2/ld0");
	block = inotify_add_watch(in, temp_path("target/core/user_0/mine/action/block_dev"), IN_MODIFY);
	reset = inotify_add_watch(in, temp_path("target/core/user_0/mine/action/reset_ring"), IN_MODIFY);
	ck_assert_int_eq(run(60000, &res, NULL), 0);
	ck_assert_int_ge(read(in, buf, sizeof(buf)), 2 * (ssize_t)sizeof(*ev));
	ck_assert_int_eq(ev[0].wd, block);
	ck_assert_int_eq(ev[1].wd, reset);
	close(in);
}
END_TEST

/* H9: no reset without a closed gate. */
START_TEST(failed_block_is_never_followed_by_reset)
{
	struct guard_result res;
	struct err e = {""};

	add_device("user_0", "mine", "hba/g2/ld0");
	add_device("user_1", "mine2", "hba/g2/ld1");
	ck_assert_int_eq(remove(temp_path("target/core/user_0/mine/action/block_dev")), 0);
	ck_assert_int_eq(mkdir(temp_path("target/core/user_0/mine/action/block_dev"), 0755), 0);
	ck_assert_int_eq(run(60000, &res, &e), -EIO);
	ck_assert_uint_eq(res.failed, 1);
	ck_assert_uint_eq(res.guarded, 1);
	ck_assert_ptr_nonnull(strstr(e.text, "mine (action/block_dev: Is a directory)"));
	check_value("user_0", "mine", "reset_ring", "0\n");
	check_guarded("user_1", "mine2", true);
}
END_TEST

START_TEST(device_that_goes_away_is_no_failure)
{
	struct guard_result res;

	add_device("user_0", "mine", "hba/g2/ld0");
	ck_assert_int_eq(remove(temp_path("target/core/user_0/mine/action/block_dev")), 0);
	ck_assert_int_eq(run(60000, &res, NULL), 0);
	ck_assert_uint_eq(res.guarded, 0);
	check_value("user_0", "mine", "reset_ring", "0\n");
}
END_TEST

START_TEST(machine_without_target_core_is_fine)
{
	struct guard_result res;

	ck_assert_int_eq(run(60000, &res, NULL), 0);
	ck_assert_uint_eq(res.guarded, 0);
}
END_TEST

/* H12: opening a FIFO that nobody reads waits for ever, as a path does below a directory that is being removed. */
START_TEST(stuck_configfs_costs_the_deadline_and_harms_no_other_lun)
{
	struct guard_result res;
	struct err e = {""};
	uint64_t start = clock_ns();
	int lock;

	add_device("user_0", "stuck", "hba/g2/ld0");
	add_device("user_1", "fine", "hba/g2/ld1");
	ck_assert_int_eq(remove(temp_path("target/core/user_0/stuck/action/block_dev")), 0);
	ck_assert_int_eq(mkfifo(temp_path("target/core/user_0/stuck/action/block_dev"), 0600), 0);
	/* Enough for the helper of the other one. */
	ck_assert_int_eq(run(3000, &res, &e), -EIO);
	ck_assert_uint_ge((clock_ns() - start) / NS_PER_MS, 2990);
	ck_assert_uint_eq(res.guarded, 1);
	ck_assert_uint_eq(res.stuck, 1);
	ck_assert_ptr_nonnull(strstr(e.text, "stuck (configfs does not answer)"));
	check_guarded("user_1", "fine", true);
	check_value("user_0", "stuck", "reset_ring", "0\n");
	/* Neither the lock nor a helper that could write later is left. */
	ck_assert_int_eq(lock_take(temp_path("run"), "g2", &lock, NULL), 0);
	ck_assert_int_lt(
		open(temp_path("target/core/user_0/stuck/action/block_dev"), O_WRONLY | O_NONBLOCK), 0);
	lock = open(temp_path("target/core/user_0/stuck/action/block_dev"), O_RDONLY | O_NONBLOCK);
	clock_sleep_ms(100);
	check_value("user_0", "stuck", "reset_ring", "0\n");
	close(lock);
}
END_TEST

/* H25: nothing is answered for an hbad that lives. */
START_TEST(live_hbad_keeps_the_guard_away)
{
	struct guard_result res;
	struct err e = {""};
	char want[32];
	int lock;

	add_device("user_0", "mine", "hba/g2/ld0");
	ck_assert_int_eq(lock_take(temp_path("run"), "g2", &lock, NULL), 0);
	ck_assert_int_eq(run(60000, &res, &e), -EBUSY);
	snprintf(want, sizeof(want), "process %d", getpid());
	ck_assert_ptr_nonnull(strstr(e.text, want));
	check_guarded("user_0", "mine", false);
	close(lock);
	ck_assert_int_eq(run(60000, &res, &e), 0);
	check_guarded("user_0", "mine", true);
}
END_TEST

/* --- lock --- */

/* H10: the lock of the one hbad dies with it. */
START_TEST(lock_dies_with_its_holder)
{
	struct err e = {""};
	int lock, pipe_fds[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(pipe_fds), 0);
	pid = fork();
	if (!pid) {
		if (!lock_take(temp_dir, "g2", &lock, NULL) && write(pipe_fds[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	ck_assert_int_eq(read(pipe_fds[0], &byte, 1), 1);
	ck_assert_int_eq(lock_take(temp_dir, "g2", &lock, &e), -EBUSY);
	ck_assert_int_eq(lock_take(temp_dir, "g1", &lock, NULL), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(lock_take(temp_dir, "g2", &lock, NULL), 0);
}
END_TEST

START_TEST(lock_is_not_inherited_by_programs)
{
	int lock;

	ck_assert_int_eq(lock_take(temp_dir, "g2", &lock, NULL), 0);
	ck_assert_int_eq(fcntl(lock, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}
END_TEST

#define OTHER_UID 12345

/* The guard, which is root, comes first; hbad, which is not, must find a lock that it can take. */
START_TEST(lock_belongs_to_who_owns_the_folder)
{
	struct stat st;
	int lock;

	if (geteuid() != 0)
		return; /* only root can play root */
	ck_assert_int_eq(mkdir(temp_path("g2"), 0755), 0);
	ck_assert_int_eq(chown(temp_path("g2"), OTHER_UID, OTHER_UID), 0);
	ck_assert_int_eq(lock_take(temp_dir, "g2", &lock, NULL), 0);
	ck_assert_int_eq(fstat(lock, &st), 0);
	ck_assert_uint_eq(st.st_uid, OTHER_UID);
}
END_TEST

START_TEST(lock_is_no_way_to_get_a_file_of_somebody_else)
{
	struct stat st;
	int lock;

	if (geteuid() != 0)
		return;
	temp_write("victim", "precious");
	ck_assert_int_eq(mkdir(temp_path("g2"), 0755), 0);
	ck_assert_int_eq(chown(temp_path("g2"), OTHER_UID, OTHER_UID), 0);
	ck_assert_int_eq(link(temp_path("victim"), temp_path("g2/lock")), 0);
	ck_assert_int_eq(lock_take(temp_dir, "g2", &lock, NULL), 0);
	ck_assert_int_eq(fstat(lock, &st), 0);
	ck_assert_uint_eq(st.st_uid, OTHER_UID);
	ck_assert_int_eq(stat(temp_path("victim"), &st), 0);
	ck_assert_uint_eq(st.st_uid, 0);
	ck_assert_int_eq(st.st_size, 8);
	ck_assert_uint_eq(st.st_nlink, 1);
}
END_TEST

/* A link's count may have been more than one a moment ago: a file of root's is never given away, only one that was made
 * here. It may also be what an hbad left that ran as root, or a guard that was killed between two steps. */
START_TEST(lock_of_somebody_else_is_replaced)
{
	struct stat before, now;
	int old, lock;

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(mkdir(temp_path("g2"), 0755), 0);
	temp_write("g2/lock", "precious");
	ck_assert_int_eq(chown(temp_path("g2"), OTHER_UID, OTHER_UID), 0);
	old = open(temp_path("g2/lock"), O_RDONLY);
	ck_assert_int_eq(lock_take(temp_dir, "g2", &lock, NULL), 0);
	ck_assert_int_eq(fstat(old, &before), 0);
	ck_assert_uint_eq(before.st_uid, 0);
	ck_assert_int_eq(before.st_size, 8);
	ck_assert_int_eq(stat(temp_path("g2/lock"), &now), 0);
	ck_assert_uint_eq(now.st_uid, OTHER_UID);
	ck_assert_int_ne(lock_take(temp_dir, "g2", &old, NULL), 0);
}
END_TEST

/* One that is held is never replaced, whoever owns it. */
START_TEST(lock_of_somebody_else_that_is_held_is_held)
{
	int holder, lock;

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(mkdir(temp_path("g2"), 0755), 0);
	temp_write("g2/lock", "4711");
	holder = open(temp_path("g2/lock"), O_RDWR);
	ck_assert_int_eq(flock(holder, LOCK_EX), 0);
	ck_assert_int_eq(chown(temp_path("g2"), OTHER_UID, OTHER_UID), 0);
	ck_assert_int_eq(lock_take(temp_dir, "g2", &lock, NULL), -EBUSY);
	close(holder);
	ck_assert_int_eq(lock_take(temp_dir, "g2", &lock, NULL), 0);
}
END_TEST

START_TEST(lock_follows_no_symbolic_link)
{
	int lock;

	temp_write("victim", "precious");
	ck_assert_int_eq(mkdir(temp_path("g2"), 0755), 0);
	ck_assert_int_eq(symlink(temp_path("victim"), temp_path("g2/lock")), 0);
	ck_assert_int_eq(lock_take(temp_dir, "g2", &lock, NULL), -ELOOP);
}
END_TEST

static const struct {
	const char *info;
	bool match;
} infos[] = {
	{INFO "hba/g2/ld0" TAIL, true},
	{"Config: hba/g2/", true},
	{"Config: hba/g2", false},
	{"Config: hba/g2x/ld0", false},
	{"Config: hba/g/ld0", false},
	{"Config: xhba/g2/ld0", false},
	{"Config:hba/g2/ld0", false},
	{"", false},
};

START_TEST(info_is_matched_by_whole_name)
{
	ck_assert_int_eq(guard_info_matches(infos[_i].info, "g2"), infos[_i].match);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guard");
	TCase *t = tcase_create("guard");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, temp_make, temp_remove);
	tcase_add_test(t, only_the_instances_luns_are_blocked_and_reset);
	tcase_add_test(t, block_comes_before_reset);
	tcase_add_test(t, failed_block_is_never_followed_by_reset);
	tcase_add_test(t, device_that_goes_away_is_no_failure);
	tcase_add_test(t, machine_without_target_core_is_fine);
	tcase_add_test(t, stuck_configfs_costs_the_deadline_and_harms_no_other_lun);
	tcase_add_test(t, live_hbad_keeps_the_guard_away);
	tcase_add_test(t, lock_dies_with_its_holder);
	tcase_add_test(t, lock_is_not_inherited_by_programs);
	tcase_add_test(t, lock_belongs_to_who_owns_the_folder);
	tcase_add_test(t, lock_is_no_way_to_get_a_file_of_somebody_else);
	tcase_add_test(t, lock_of_somebody_else_is_replaced);
	tcase_add_test(t, lock_of_somebody_else_that_is_held_is_held);
	tcase_add_test(t, lock_follows_no_symbolic_link);
	tcase_add_loop_test(t, info_is_matched_by_whole_name, 0, ARRAY_SIZE(infos));
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
