/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The main loop has nothing to do while there are no descriptors for those who wait to be accepted. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <check.h>
#include <glib.h>
#include "base/clock.h"
#include "base/compiler.h"
#include "control/listen.h"
#include "control/sock.h"
#include "temp.h"

#define LIMIT_S 60
#define MANY	64

static struct listener listener;
static int accepted_fd[MANY], n_accepted, client_fd[MANY], n_clients;

static void on_accepted(int fd, void *user)
{
	ck_assert_ptr_eq(user, &listener);
	ck_assert_int_lt(n_accepted, MANY);
	accepted_fd[n_accepted++] = fd;
}

static void setup(void)
{
	struct err e = {""};
	int fd;

	temp_make();
	ck_assert_int_eq(mkdir(temp_path("g2"), 0755), 0);
	ck_assert_msg(!sock_listen(temp_dir, "g2", "s", SOCK_STREAM, 0600, &fd, &e), "%s", e.text);
	n_accepted = n_clients = 0;
	listener_start(&listener, fd, on_accepted, &listener);
}

static void teardown(void)
{
	listener_stop(&listener);
	while (n_accepted)
		close(accepted_fd[--n_accepted]);
	while (n_clients)
		close(client_fd[--n_clients]);
	temp_remove();
}

static void connect_one(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(a.sun_path, temp_path("g2/s"));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	client_fd[n_clients++] = fd;
}

static void wait_accepted(int n)
{
	uint64_t until = clock_ns() + LIMIT_S * NS_PER_SEC;

	while (n_accepted < n) {
		ck_assert_uint_lt(clock_ns(), until);
		g_main_context_iteration(NULL, FALSE);
		clock_sleep_ms(1);
	}
}

/* No descriptor can be made from now on. */
static void use_up(struct rlimit *before)
{
	struct rlimit none;
	int lowest = dup(0);

	ck_assert_int_ge(lowest, 0);
	close(lowest);
	getrlimit(RLIMIT_NOFILE, before);
	none = *before;
	none.rlim_cur = (rlim_t)lowest;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(dup(0), -1);
	ck_assert_int_eq(errno, EMFILE);
}

START_TEST(connections_are_handed_over)
{
	for (int i = 0; i < 5; i++)
		connect_one();
	wait_accepted(5);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(fcntl(accepted_fd[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
		ck_assert_int_eq(fcntl(accepted_fd[i], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	}
}
END_TEST

START_TEST(without_descriptors_the_loop_rests_and_then_goes_on)
{
	struct rlimit before;
	unsigned turns = 0;

	connect_one();
	connect_one();
	use_up(&before);
	/* Each turn of a busy loop has something to do, so it never comes to an end here. */
	while (g_main_context_iteration(NULL, FALSE))
		ck_assert_uint_lt(++turns, 1000);
	ck_assert_int_eq(n_accepted, 0);
	setrlimit(RLIMIT_NOFILE, &before);
	wait_accepted(2);
	connect_one();
	wait_accepted(3);
}
END_TEST

START_TEST(one_that_rests_can_be_stopped)
{
	struct rlimit before;

	connect_one();
	use_up(&before);
	g_main_context_iteration(NULL, FALSE);
	setrlimit(RLIMIT_NOFILE, &before);
	listener_stop(&listener);
	listener_stop(&listener);
	ck_assert_int_eq(listener.fd, -1);
	ck_assert(!g_main_context_pending(NULL));
	ck_assert_int_eq(n_accepted, 0);
}
END_TEST

/* The handler speaks to the folder's owner only; hbad's user owned it before root started hbad by hand. */
START_TEST(who_listens_owns_the_folder)
{
	struct err e = {""};
	struct stat st;
	int fd;

	if (geteuid() != 0)
		return; /* only root can own what was somebody else's */
	ck_assert_int_eq(chown(temp_path("g2"), 12345, 12345), 0);
	ck_assert_msg(!sock_listen(temp_dir, "g2", "t", SOCK_SEQPACKET, 0600, &fd, &e), "%s", e.text);
	close(fd);
	ck_assert_int_eq(stat(temp_path("g2"), &st), 0);
	ck_assert_uint_eq(st.st_uid, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("listen");
	TCase *t = tcase_create("listen");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, connections_are_handed_over);
	tcase_add_test(t, without_descriptors_the_loop_rests_and_then_goes_on);
	tcase_add_test(t, one_that_rests_can_be_stopped);
	tcase_add_test(t, who_listens_owns_the_folder);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
