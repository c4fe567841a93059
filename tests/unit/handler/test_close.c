/* SPDX-License-Identifier: GPL-2.0-or-later */
/* close(): the runner stops, the backstore is deleted, or its creation failed after open(). */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>
#include "fake.h"
#include "handler/timing.h"

int __wrap_cfgfs_read(int fd, char *text, size_t size);
int __real_cfgfs_read(int fd, char *text, size_t size);

static struct tcmu_device *dev;
static atomic_int read_error; /* what reading the fate gives */

/* The watcher stands still when it next looks at an attribute of vol2. */
static atomic_int stall, stalled;

static bool is_of_vol2(int fd)
{
	char link[64], path[256];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	return strstr(path, "/vol2/attrib/");
}

int __wrap_cfgfs_read(int fd, char *text, size_t size)
{
	while (atomic_load(&stall) && is_of_vol2(fd)) {
		atomic_store(&stalled, 1);
		usleep(1000);
	}
	return atomic_load(&read_error) ? read_error : __real_cfgfs_read(fd, text, size);
}

static void setup(void)
{
	fake_setup();
	hbad_start(fake.a);
}

static void act(enum handoff_type type, enum act what)
{
	atomic_store(&fake.a->act[type], what);
}

static void open_dev(bool configured)
{
	dev = fake_device("vol1", "hba/g2/ld0", configured);
	ck_assert_int_eq(fake.handler->open(dev, false), 0);
	eventually(hbad_count(fake.a, "PING") || !hbad_alive(fake.a));
}

static void delete_backstore(void)
{
	read_error = -ENOENT;
	record_fail("vol1/block_dev", ENOENT);
	record_fail("vol1/reset_ring", ENOENT);
	record_fail("vol1/cmd_time_out", ENOENT);
}

static void *close_in_thread(void *arg)
{
	fake.handler->close(arg);
	return NULL;
}

/* As the runner does it: in the thread that it has cancelled, and waits for. */
static unsigned timed_close(void)
{
	uint64_t start = now_ms();
	pthread_t t;

	pthread_create(&t, NULL, close_in_thread, dev);
	pthread_join(t, NULL);
	return (unsigned)(now_ms() - start);
}

START_TEST(deletion_takes_the_device_back)
{
	unsigned before = open_fds(), n;

	open_dev(true);
	n = open_fds();
	delete_backstore();
	fake_patient();
	ck_assert_uint_lt(timed_close(), BUSY_MS);
	ck_assert_str_eq(hbad_log(fake.a, "CLOSE", 0), "CLOSE 7001");
	ck_assert_uint_lt(open_fds(), n);
	/* The runner's own end and the test's copies are left, and the watcher's eventfds. */
	close(dev->fd);
	close(dev->real_fd);
	eventually(open_fds() == before + 2);
	ck_assert_ptr_null(dev->priv);
	ck_assert(hbad_alive(fake.a));
}
END_TEST

/* H24: close() ends in its cancelled thread. */
START_TEST(deletion_does_not_wait_long_for_a_silent_hbad)
{
	open_dev(true);
	act(HANDOFF_CLOSE, ACT_SILENT);
	delete_backstore();
	ck_assert_uint_lt(timed_close(), timing.call + BUSY_MS);
	ck_assert_uint_eq(log_count("did not say that it let go"), 1);
	/* Removal is safe (H5): nobody dies for it. */
	ck_assert(hbad_alive(fake.a));
}
END_TEST

/* H4: delete ends without an hbad. */
START_TEST(deletion_without_hbad_is_quick)
{
	open_dev(true);
	kill(fake.a->pid, SIGKILL);
	hbad_wait_dead(fake.a);
	delete_backstore();
	fake_patient();
	ck_assert_uint_lt(timed_close(), BUSY_MS);
}
END_TEST

/* What another process says about a handle is no proof. */
START_TEST(deletion_asks_only_the_process_that_has_the_device)
{
	open_dev(true);
	atomic_store(&fake.b->act[HANDOFF_CLOSE], ACT_NOENT);
	hbad_start(fake.b); /* has the socket now; the first one lives */
	delete_backstore();
	fake_patient();
	ck_assert_uint_lt(timed_close(), BUSY_MS);
	ck_assert_uint_eq(hbad_count(fake.b, "CLOSE"), 0);
	ck_assert_uint_eq(log_count("did not say that it let go"), 1);
}
END_TEST

/* H12: delete while a ring is being offered. */
START_TEST(deletion_interrupts_the_watcher)
{
	fake_patient();
	open_dev(true);
	kill(fake.a->pid, SIGKILL);
	atomic_store(&fake.b->act[HANDOFF_OPEN], ACT_SILENT);
	hbad_start(fake.b);
	eventually(hbad_count(fake.b, "OPEN") == 1);
	delete_backstore();
	fake_patient();
	ck_assert_uint_lt(timed_close(), BUSY_MS);
	/* and is no reason to kill anybody */
	ck_assert(hbad_alive(fake.b));
	eventually(hbad_count(fake.b, "dropped") == 1);
}
END_TEST

/* H12: delete while it is being started. */
START_TEST(deletion_in_the_middle_of_start_takes_the_device_back)
{
	fake_patient();
	open_dev(true);
	kill(fake.a->pid, SIGKILL);
	atomic_store(&fake.b->act[HANDOFF_START], ACT_SILENT);
	hbad_start(fake.b);
	eventually(hbad_count(fake.b, "START") == 1);
	delete_backstore();
	fake_patient();
	ck_assert_uint_lt(timed_close(), BUSY_MS);
	ck_assert(hbad_alive(fake.b));
	ck_assert_str_eq(hbad_log(fake.b, "CLOSE", 0), "CLOSE 7001");
}
END_TEST

START_TEST(watcher_leaves_a_closed_device_alone)
{
	unsigned n;

	open_dev(true);
	delete_backstore();
	timed_close();
	n = record_total();
	kill(fake.a->pid, SIGKILL);
	stays(record_total() == n, 300);
}
END_TEST

/* H6: close() of a stopping runner takes nothing away. */
START_TEST(stopping_runner_leaves_the_device_with_hbad)
{
	open_dev(true);
	fake_patient();
	ck_assert_uint_lt(timed_close(), BUSY_MS);
	ck_assert_uint_eq(hbad_count(fake.a, "CLOSE"), 0);
	ck_assert_uint_eq(record_count("vol1/reset_ring=1"), 0);
	ck_assert_uint_eq(record_count("vol1/block_dev=0"), 0);
	/* nor does the end of the plugin change that */
	fake.handler->destroy();
	ck_assert_uint_eq(hbad_count(fake.a, "CLOSE"), 0);
	ck_assert_uint_eq(record_count("vol1/reset_ring=1"), 0);
	ck_assert(hbad_alive(fake.a));
}
END_TEST

/* The runner opens the gate after close(); with nobody behind it, initiators would wait for ever. */
START_TEST(stopping_runner_leaves_an_unserved_device_closed)
{
	char text[16];

	open_dev(true);
	kill(fake.a->pid, SIGKILL);
	eventually(record_count("vol1/reset_ring=1") > 0);
	timed_close();
	fake_write("cfg/target/core/user_0/vol1/action/block_dev", "0");
	fake.handler->destroy();
	fake_read("cfg/target/core/user_0/vol1/action/block_dev", text, sizeof(text));
	ck_assert_str_eq(text, "1");
	ck_assert_str_eq(record_at(record_total() - 1), "vol1/reset_ring=1");
}
END_TEST

/* What the runner does when all its devices are closed, and then the end of the plugin. */
static void end_runner(char *block_dev, size_t size)
{
	fake_write("cfg/target/core/user_0/vol1/action/block_dev", "0");
	fake.handler->destroy();
	fake_read("cfg/target/core/user_0/vol1/action/block_dev", block_dev, size);
}

/* It died a moment ago, and its watcher has not heard of it yet. */
START_TEST(stopping_runner_leaves_a_device_whose_hbad_is_dead_closed)
{
	struct tcmu_device *other;
	char text[16];

	open_dev(true);
	other = fake_device("vol2", "hba/g2/ld1", true);
	ck_assert_int_eq(fake.handler->open(other, false), 0);
	atomic_store(&stall, 1);
	eventually(atomic_load(&stalled));
	kill(fake.a->pid, SIGKILL);
	hbad_wait_dead(fake.a);
	timed_close();
	ck_assert_uint_eq(record_count("vol1/reset_ring=1"), 0);
	atomic_store(&stall, 0);
	fake.handler->close(other);
	end_runner(text, sizeof(text));
	ck_assert_str_eq(text, "1");
	ck_assert_int_gt(record_index("vol1/reset_ring=1", 0), record_index("vol1/block_dev=1", 0));
}
END_TEST

/* Both are stopped at once, as when the machine goes down. It may still be at work on the ring. */
START_TEST(stopping_runner_leaves_a_device_whose_hbad_is_stopping_closed)
{
	char text[16];

	open_dev(true);
	atomic_store(&fake.a->stop_event, 1);
	eventually(hbad_count(fake.a, "GATED") == 1);
	timed_close();
	end_runner(text, sizeof(text));
	ck_assert_str_eq(text, "1");
	ck_assert_uint_eq(record_count("vol1/reset_ring=1"), 0);
	ck_assert_uint_eq(hbad_count(fake.a, "CLOSE"), 0);
	ck_assert(hbad_alive(fake.a));
}
END_TEST

/* hbad lives and does not serve it any more. */
START_TEST(stopping_runner_leaves_a_dropped_device_closed)
{
	char text[16];

	open_dev(true);
	act(HANDOFF_CLOSE, ACT_SILENT);
	act(HANDOFF_PING, ACT_DROPPED);
	eventually(hbad_count(fake.a, "CLOSE") == 1);
	if (_i == 0)
		act(HANDOFF_CLOSE, ACT_OK);
	timed_close();
	end_runner(text, sizeof(text));
	ck_assert_str_eq(text, "1");
	/* Not without its word. */
	if (_i != 0)
		ck_assert_uint_eq(record_count("vol1/reset_ring=1"), 0);
	else
		ck_assert_uint_ge(record_count("vol1/reset_ring=1"), 1);
	ck_assert(hbad_alive(fake.a));
}
END_TEST

/* A bug of ours; but the next device with that number is not taken for this one. */
START_TEST(device_that_its_watcher_keeps_is_ours_no_more)
{
	static void *left; /* for good, as it is said to be */
	char *reason = NULL;

	timing.join = 100;
	dev = fake_device("vol2", "hba/g2/ld0", true);
	ck_assert_int_eq(fake.handler->open(dev, false), 0);
	atomic_store(&stall, 1);
	eventually(atomic_load(&stalled));
	left = dev->priv;
	fake.handler->close(dev);
	ck_assert_uint_eq(log_count("its watcher does not let go of it"), 1);
	ck_assert_ptr_nonnull(left);
	/* Another runner's now, or a new device: the question is who holds it, not what hbad thinks. */
	ck_assert(fake.handler->check_config("hba/g2/ld0", &reason));
	ck_assert_uint_eq(hbad_count(fake.a, "CHECK"), 0);
	atomic_store(&stall, 0);
	timing.join = 5000;
}
END_TEST

START_TEST(failed_create_takes_the_device_back)
{
	open_dev(false);
	record_fail("vol1/block_dev", EINVAL);
	fake_patient();
	ck_assert_uint_lt(timed_close(), BUSY_MS);
	ck_assert_str_eq(hbad_log(fake.a, "CLOSE", 0), "CLOSE 7001");
	ck_assert(hbad_alive(fake.a));
}
END_TEST

/* H5: a create that fails after open(): whoever does not confirm that it let go is killed. */
START_TEST(failed_create_with_a_silent_hbad_kills)
{
	open_dev(false);
	act(HANDOFF_CLOSE, ACT_SILENT);
	record_fail("vol1/block_dev", EINVAL);
	ck_assert_uint_lt(timed_close(), timing.call + timing.grace + BUSY_MS);
	ck_assert(!hbad_alive(fake.a));
}
END_TEST

START_TEST(close_of_what_was_never_opened_is_harmless)
{
	dev = fake_device("vol1", "hba/g2/ld0", false);
	fake.handler->close(dev);
}
END_TEST

/* Opens below vol1 from now on. */
static int watch_opens(void)
{
	static const char *const folders[] = {"", "/action", "/attrib"};
	int in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	char path[256];

	for (unsigned i = 0; i < ARRAY_SIZE(folders); i++) {
		snprintf(path, sizeof(path), "%s/cfg/target/core/user_0/vol1%s", fake.root, folders[i]);
		ck_assert_int_ge(inotify_add_watch(in, path, IN_OPEN), 0);
	}
	return in;
}

static void expect_no_opens(int in)
{
	char buf[4096] __attribute__((aligned(8)));
	const struct inotify_event *ev = (const struct inotify_event *)buf;
	ssize_t n = read(in, buf, sizeof(buf));

	ck_assert_msg(n < 0 && errno == EAGAIN, "opened again: %s", n > 0 && ev->len ? ev->name : "?");
	close(in);
}

/*
 * H12: while the backstore is being deleted, opening a path below it waits for the deletion, which waits for close().
 * Recovery may be at any step just then.
 */
START_TEST(after_open_no_path_of_the_backstore_is_opened)
{
	int in;

	open_dev(true);
	in = watch_opens();
	kill(fake.a->pid, SIGKILL);
	eventually(record_count("vol1/reset_ring=1") > 0);
	hbad_start(fake.b);
	eventually(record_count("vol1/block_dev=0") == 1);
	atomic_store(&fake.b->stop_event, 1);
	eventually(hbad_count(fake.b, "GATED") == 1);
	if (_i)
		delete_backstore();
	timed_close();
	fake.handler->destroy();
	expect_no_opens(in);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("handler close");
	TCase *t = tcase_create("close");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, fake_teardown);
	tcase_add_test(t, deletion_takes_the_device_back);
	tcase_add_test(t, deletion_does_not_wait_long_for_a_silent_hbad);
	tcase_add_test(t, deletion_without_hbad_is_quick);
	tcase_add_test(t, deletion_asks_only_the_process_that_has_the_device);
	tcase_add_test(t, deletion_interrupts_the_watcher);
	tcase_add_test(t, deletion_in_the_middle_of_start_takes_the_device_back);
	tcase_add_test(t, watcher_leaves_a_closed_device_alone);
	tcase_add_test(t, stopping_runner_leaves_the_device_with_hbad);
	tcase_add_test(t, stopping_runner_leaves_an_unserved_device_closed);
	tcase_add_test(t, stopping_runner_leaves_a_device_whose_hbad_is_dead_closed);
	tcase_add_test(t, stopping_runner_leaves_a_device_whose_hbad_is_stopping_closed);
	tcase_add_loop_test(t, stopping_runner_leaves_a_dropped_device_closed, 0, 2);
	tcase_add_test(t, device_that_its_watcher_keeps_is_ours_no_more);
	tcase_add_test(t, failed_create_takes_the_device_back);
	tcase_add_test(t, failed_create_with_a_silent_hbad_kills);
	tcase_add_test(t, close_of_what_was_never_opened_is_harmless);
	tcase_add_loop_test(t, after_open_no_path_of_the_backstore_is_opened, 0, 2);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return run_suite(suite());
}
