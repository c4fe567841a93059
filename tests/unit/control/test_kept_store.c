/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one hbad leaves for the next goes through systemd's descriptor store: names, and what is said to systemd. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "control/kept.h"
#include "temp.h"
#include "tests/unit/run_suite.h"

static struct kept k;
static struct err e;

static void setup(void)
{
	memset(&e, 0, sizeof(e));
	kept_init(&k);
	strcpy(k.addr, "0000:03:00.0");
	strcpy(k.hba.driver, "megaraid-mfi");
	k.hba.id = (struct pci_id){0x1000, 0x0079, 0x1028, 0x1f17, 0x010400, 5};
	k.hba.n_arenas = 3;
	for (unsigned i = 0; i < 3; i++) {
		k.hba.arena[i].iova = 0x100000 * (i + 1);
		k.hba.arena[i].size = 0x8000;
	}
	k.hba.n_bytes = 5;
	memcpy(k.hba.bytes, "12345", 5);
}

/* --- names --- */

#define FIRST 200

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int sort(const char *const *names, unsigned n, struct kept *ret, int *record)
{
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(dup2(0, FIRST + (int)i), FIRST + (int)i);
	e.text[0] = '\0';
	return kept_sort((char *const *)names, n, FIRST, ret, record, &e);
}

START_TEST(descriptors_are_known_by_their_names)
{
	static const char *const names[] = {"hbad-memory-1", "hbad-device", "hbad-record", "hbad-memory-0",
		"hbad-group", "hbad-container"};
	struct kept to;
	int record = -1;

	ck_assert_int_eq(sort(names, 6, &to, &record), 0);
	ck_assert_int_eq(record, FIRST + 2);
	ck_assert_int_eq(to.pci.container, FIRST + 5);
	ck_assert_int_eq(to.pci.group, FIRST + 4);
	ck_assert_int_eq(to.pci.device, FIRST + 1);
	ck_assert_uint_eq(to.hba.n_arenas, 2);
	ck_assert_int_eq(to.hba.arena[0].memfd, FIRST + 3);
	ck_assert_int_eq(to.hba.arena[1].memfd, FIRST);
	ck_assert_int_eq(to.hba.arena[2].memfd, -1);
	kept_close(&to);
	close(record);
	for (int i = 0; i < 6; i++)
		ck_assert(!is_open(FIRST + i));
}
END_TEST

static const char *const bad_names[][8] = {
	{"hbad-device", "hbad-group", "hbad-container", "hbad-memory-0"},
	{"hbad-record", "hbad-group", "hbad-container", "hbad-memory-0"},
	{"hbad-record", "hbad-device", "hbad-container", "hbad-memory-0"},
	{"hbad-record", "hbad-device", "hbad-group", "hbad-memory-0"},
	{"hbad-record", "hbad-device", "hbad-group", "hbad-container", "hbad-memory-1"},
	{"hbad-record", "hbad-device", "hbad-group", "hbad-container", "hbad-memory-0", "hbad-memory-2"},
	{"hbad-record", "hbad-device", "hbad-group", "hbad-container", "hbad-memory-0", "hbad-memory-0"},
	{"hbad-record", "hbad-device", "hbad-group", "hbad-container", "hbad-memory-8"},
	{"hbad-record", "hbad-device", "hbad-group", "hbad-container", "hbad-memory-00"},
	{"hbad-record", "hbad-device", "hbad-group", "hbad-container", "hbad-memory-"},
	{"hbad-record", "hbad-device", "hbad-group", "hbad-container", "stored"},
	{"hbad-record", "hbad-device", "hbad-group", "hbad-container", ""},
	{"hbad-record", "hbad-record", "hbad-device", "hbad-group", "hbad-container"},
	{"stored", "stored"},
};

START_TEST(other_sets_are_closed)
{
	const char *const *names = bad_names[_i];
	struct kept to;
	int record = -1;
	unsigned n = 0;

	while (n < 8 && names[n])
		n++;
	ck_assert_int_eq(sort(names, n, &to, &record), -EBADMSG);
	ck_assert(e.text[0]);
	ck_assert_int_eq(record, -1);
	for (unsigned i = 0; i < n; i++)
		ck_assert_msg(!is_open(FIRST + (int)i), "descriptor %u is open", i);
}
END_TEST

/* --- systemd --- */

static int notify_fd;
static char heard
	[16384]; /* messages, each with the number of its descriptors in front: "1|FDSTORE=1 FDPOLL=0 ..." */

static void systemd_start(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	setup();
	temp_make();
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/notify", temp_dir);
	ck_assert_int_eq(bind(notify_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	setenv("NOTIFY_SOCKET", sa.sun_path, 1);
	unsetenv("FDSTORE");
	unsetenv("HBAD_FDSTORE");
	unsetenv("LISTEN_FDS");
	heard[0] = '\0';
}

static void systemd_stop(void)
{
	close(notify_fd);
	temp_remove();
}

/* One message; its descriptors are closed, which is what a barrier waits for. */
static bool hear(int timeout_ms)
{
	struct timeval tv = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
	char text[1024], control[CMSG_SPACE(8 * sizeof(int))];
	struct iovec iov = {text, sizeof(text) - 1};
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	unsigned n_fds = 0;
	ssize_t n;

	setsockopt(notify_fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	n = recvmsg(notify_fd, &m, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return false;
	text[n] = '\0';
	for (c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_type == SCM_RIGHTS)
			for (; n_fds < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); n_fds++)
				close(((int *)CMSG_DATA(c))[n_fds]);
	for (char *p = text; *p; p++)
		if (*p == '\n')
			*p = ' ';
	snprintf(heard + strlen(heard), sizeof(heard) - strlen(heard), "%u|%s\n", n_fds, text);
	return true;
}

/* fn in a process of its own, which is heard until it ends. Its exit status. */
static int run(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(fn());
	while (!waitpid(pid, &status, WNOHANG))
		hear(20);
	while (hear(1))
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static int do_store(void)
{
	for (unsigned i = 0; i < 3; i++)
		k.hba.arena[i].memfd = dup(0);
	k.pci = (struct pci_descriptors){dup(0), dup(0), dup(0)};
	return kept_store(&k, &e) == 0 ? 0 : 1;
}

START_TEST(all_goes_into_the_store_and_the_record_last)
{
	ck_assert_int_eq(run(do_store), 0);
	ck_assert_str_eq(heard, "1|FDSTORE=1 FDPOLL=0 FDNAME=hbad-memory-2\n"
				"1|FDSTORE=1 FDPOLL=0 FDNAME=hbad-memory-1\n"
				"1|FDSTORE=1 FDPOLL=0 FDNAME=hbad-memory-0\n"
				"1|FDSTORE=1 FDPOLL=0 FDNAME=hbad-device\n"
				"1|FDSTORE=1 FDPOLL=0 FDNAME=hbad-group\n"
				"1|FDSTORE=1 FDPOLL=0 FDNAME=hbad-container\n"
				"1|FDSTORE=1 FDPOLL=0 FDNAME=hbad-record\n"
				"1|BARRIER=1\n");
}
END_TEST

static int do_store_half(void)
{
	for (unsigned i = 0; i < 3; i++)
		k.hba.arena[i].memfd = dup(0);
	k.pci = (struct pci_descriptors){dup(0), -1, dup(0)};
	return kept_store(&k, &e) < 0 && e.text[0] ? 0 : 1;
}

START_TEST(what_went_is_taken_back_when_not_all_goes)
{
	ck_assert_int_eq(run(do_store_half), 0);
	ck_assert_msg(
		strstr(heard, "FDNAME=hbad-device\n0|FDSTOREREMOVE=1 FDNAME=hbad-record\n"), "%s", heard);
	ck_assert_msg(strstr(heard, "0|FDSTOREREMOVE=1 FDNAME=hbad-device\n"), "%s", heard);
	ck_assert_msg(strstr(heard, "0|FDSTOREREMOVE=1 FDNAME=hbad-memory-2\n1|BARRIER=1\n"), "%s", heard);
}
END_TEST

START_TEST(a_store_is_asked_for_before_it_is_counted_on)
{
	ck_assert_int_eq(kept_store_check(&e), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(e.text, "FileDescriptorStoreMax="));
	setenv("FDSTORE", "4", 1);
	setenv("HBAD_FDSTORE", "16", 1);
	ck_assert_int_eq(kept_store_check(&e), -ENOSPC);
	setenv("FDSTORE", "12", 1);
	ck_assert_int_eq(kept_store_check(&e), 0);
	unsetenv("FDSTORE");
	ck_assert_int_eq(kept_store_check(&e), 0);
	unsetenv("NOTIFY_SOCKET");
	ck_assert_int_eq(kept_store_check(&e), -ENOTCONN);
}
END_TEST

/* As systemd starts it. */
static void listen_with(const char *names, unsigned n)
{
	char text[16];

	for (unsigned i = 1; i < n; i++)
		dup2(0, 3 + (int)i);
	snprintf(text, sizeof(text), "%u", n);
	setenv("LISTEN_FDS", text, 1);
	snprintf(text, sizeof(text), "%d", getpid());
	setenv("LISTEN_PID", text, 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

#define ALL_NAMES                                                                                            \
	"hbad-record:hbad-container:hbad-group:hbad-device:hbad-memory-0:hbad-memory-1:hbad-memory-2"

static int do_take(void)
{
	struct kept to;
	int fd, bad = 0;

	if (kept_write_record(&k, &fd, &e))
		return 2;
	dup2(fd, 3);
	listen_with(ALL_NAMES, 7);
	if (kept_take(&to, &e))
		return 3;
	bad |= strcmp(to.addr, k.addr) != 0 || to.hba.n_arenas != 3 || to.pci.device != 6;
	bad |= is_open(3) || !is_open(9) || !(fcntl(9, F_GETFD) & FD_CLOEXEC) || getenv("LISTEN_FDS");
	return bad;
}

/* H11: they leave the store when the next one starts, so that a crash of that one closes the device. */
START_TEST(what_is_left_leaves_the_store_and_is_read)
{
	ck_assert_int_eq(run(do_take), 0);
	ck_assert_str_eq(heard, "0|FDSTOREREMOVE=1 FDNAME=hbad-record\n"
				"0|FDSTOREREMOVE=1 FDNAME=hbad-container\n"
				"0|FDSTOREREMOVE=1 FDNAME=hbad-group\n"
				"0|FDSTOREREMOVE=1 FDNAME=hbad-device\n"
				"0|FDSTOREREMOVE=1 FDNAME=hbad-memory-0\n"
				"0|FDSTOREREMOVE=1 FDNAME=hbad-memory-1\n"
				"0|FDSTOREREMOVE=1 FDNAME=hbad-memory-2\n"
				"1|BARRIER=1\n");
}
END_TEST

/* 0: refused, and all is closed. */
static int refused(const char *names, unsigned n)
{
	struct kept to;

	listen_with(names, n);
	if (kept_take(&to, &e) >= 0 || !e.text[0])
		return 1;
	for (unsigned i = 0; i < n; i++)
		if (is_open(3 + (int)i))
			return 2;
	return 0;
}

static int do_take_garbage(void)
{
	dup2(0, 3);
	return refused(ALL_NAMES, 7);
}

static int do_take_other_number(void)
{
	int fd;

	if (kept_write_record(&k, &fd, &e))
		return 3;
	dup2(fd, 3);
	return refused("hbad-record:hbad-container:hbad-group:hbad-device:hbad-memory-0", 5);
}

static int do_take_strange(void)
{
	dup2(0, 3);
	return refused("connection:stored", 2);
}

static int do_take_without_systemd(void)
{
	int fd;

	unsetenv("NOTIFY_SOCKET");
	if (kept_write_record(&k, &fd, &e))
		return 3;
	dup2(fd, 3);
	return refused(ALL_NAMES, 7);
}

static int do_take_nothing(void)
{
	struct kept to;

	return kept_take(&to, &e) == -ENOENT ? 0 : 1;
}

/* H11: they leave the store whether they are of use or not. */
START_TEST(what_cannot_be_used_leaves_the_store_all_the_same)
{
	ck_assert_int_eq(run(do_take_garbage), 0);
	ck_assert_ptr_nonnull(strstr(heard, "0|FDSTOREREMOVE=1 FDNAME=hbad-memory-2\n1|BARRIER=1\n"));
	heard[0] = '\0';
	ck_assert_int_eq(run(do_take_other_number), 0);
	ck_assert_ptr_nonnull(strstr(heard, "0|FDSTOREREMOVE=1 FDNAME=hbad-memory-0\n1|BARRIER=1\n"));
	heard[0] = '\0';
	ck_assert_int_eq(run(do_take_strange), 0);
	ck_assert_str_eq(
		heard, "0|FDSTOREREMOVE=1 FDNAME=connection\n0|FDSTOREREMOVE=1 FDNAME=stored\n1|BARRIER=1\n");
	heard[0] = '\0';
	/* Nobody says that the store is empty: a crash might not stop the device. */
	ck_assert_int_eq(run(do_take_without_systemd), 0);
	ck_assert_int_eq(run(do_take_nothing), 0);
	ck_assert_str_eq(heard, "");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kept store");
	TCase *t = tcase_create("names"), *sd = tcase_create("systemd");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, descriptors_are_known_by_their_names);
	tcase_add_loop_test(t, other_sets_are_closed, 0, (int)ARRAY_SIZE(bad_names));
	tcase_add_checked_fixture(sd, systemd_start, systemd_stop);
	tcase_add_test(sd, all_goes_into_the_store_and_the_record_last);
	tcase_add_test(sd, what_went_is_taken_back_when_not_all_goes);
	tcase_add_test(sd, a_store_is_asked_for_before_it_is_counted_on);
	tcase_add_test(sd, what_is_left_leaves_the_store_and_is_read);
	tcase_add_test(sd, what_cannot_be_used_leaves_the_store_all_the_same);
	suite_add_tcase(s, t);
	suite_add_tcase(s, sd);
	return run_suite(s);
}
