/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages byte by byte, and the waits. The packets here are written out by hand from include/hbad/handoff.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include "base/cleanup.h"
#include "fake.h"
#include "handler/link.h"

static struct link l;
static int peer = -1;

static void setup(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	l = (struct link){.fd = pair[0], .pidfd = -1};
	peer = pair[1];
}

static void teardown(void)
{
	link_close(&l);
	hb_close(&peer);
}

/* size 584 (0x248), version 1, type, magic "HBAD", seq, status, 0 */
static void fill_reply(uint8_t *p, uint8_t type, uint8_t seq)
{
	static const uint8_t head[] = {
		0x48, 0x02, 0, 0, 1, 0, 0, 0, 'H', 'B', 'A', 'D', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};

	memset(p, 0, HANDOFF_MAX);
	memcpy(p, head, sizeof(head));
	p[6] = type;
	p[12] = seq;
}

static int call(struct handoff_reply *ret, unsigned ms)
{
	struct handoff_check msg = {.cfgstring = "hba/g2/ld0"};

	return link_call(&l, &msg, sizeof(msg), HANDOFF_CHECK, -1, until_ms(ms, -1), ret);
}

/* The packet is sent ahead: seq of the first call is 1. */
static int call_with(const void *packet, size_t size, struct handoff_reply *ret)
{
	ck_assert_int_eq(send(peer, packet, size, 0), size);
	return call(ret, 200);
}

START_TEST(request_has_the_bytes_of_the_contract)
{
	static const uint8_t expected[40] = {
		0x18,
		0x01,
		0,
		0, /* 280 */
		1,
		0,
		2,
		0, /* version 1, CHECK */
		'H',
		'B',
		'A',
		'D',
		1,
		0,
		0,
		0, /* magic, seq */
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0, /* status, reserved */
		'h',
		'b',
		'a',
		'/',
		'g',
		'2',
		'/',
		'l',
		'd',
		'0',
		0,
		0,
		0,
		0,
		0,
		0,
	};
	uint8_t packet[HANDOFF_MAX], got[HANDOFF_MAX];
	struct handoff_reply reply;

	fill_reply(packet, 0x82, 1);
	ck_assert_int_eq(call_with(packet, 584, &reply), 0);
	ck_assert_int_eq(recv(peer, got, sizeof(got), 0), 280);
	ck_assert_mem_eq(got, expected, sizeof(expected));
}
END_TEST

START_TEST(reply_is_read_from_the_bytes_of_the_contract)
{
	struct handoff_reply reply;
	uint8_t p[HANDOFF_MAX];

	fill_reply(p, 0x82, 1);
	memcpy(p + 16, (uint8_t[]){0xea, 0xff, 0xff, 0xff}, 4); /* -22 */
	memcpy(p + 24, (uint8_t[]){8, 7, 6, 5, 4, 3, 2, 1}, 8);
	p[32] = 1;
	p[36] = 0x39;
	p[37] = 0x30;
	memcpy(p + 40, "1.2", 3);
	memcpy(p + 104, "no", 2);
	ck_assert_int_eq(call_with(p, 584, &reply), 0);
	ck_assert_int_eq(reply.head.status, -EINVAL);
	ck_assert_uint_eq(reply.handle, 0x0102030405060708ull);
	ck_assert_uint_eq(reply.state, HANDOFF_BOOTING);
	ck_assert_uint_eq(reply.pid, 12345);
	ck_assert_str_eq(reply.version, "1.2");
	ck_assert_str_eq(reply.reason, "no");
}
END_TEST

START_TEST(shorter_reply_reads_as_zero)
{
	struct handoff_reply reply;
	uint8_t p[HANDOFF_MAX];

	memset(&reply, 0xff, sizeof(reply));
	fill_reply(p, 0x82, 1);
	p[0] = 32;
	p[1] = 0;
	p[24] = 9;
	memset(p + 32, 0xff, 100);
	ck_assert_int_eq(call_with(p, 32, &reply), 0);
	ck_assert_uint_eq(reply.handle, 9);
	ck_assert_uint_eq(reply.state, 0);
	ck_assert_str_eq(reply.version, "");
	ck_assert_str_eq(reply.reason, "");
}
END_TEST

START_TEST(longer_reply_of_a_later_release_is_understood)
{
	struct handoff_reply reply;
	uint8_t p[HANDOFF_MAX];

	fill_reply(p, 0x82, 1);
	p[0] = 0x00;
	p[1] = 0x08; /* 2048 */
	ck_assert_int_eq(call_with(p, HANDOFF_MAX, &reply), 0);
	ck_assert_int_eq(reply.head.status, 0);
}
END_TEST

START_TEST(texts_without_an_end_are_ended)
{
	struct handoff_reply reply;
	uint8_t p[HANDOFF_MAX];

	fill_reply(p, 0x82, 1);
	p[16] = p[17] = p[18] = p[19] = 0xff;
	memset(p + 40, 'v', 64);
	memset(p + 104, 'r', 480);
	p[110] = 0x1b; /* escape sequences do not reach a terminal */
	ck_assert_int_eq(call_with(p, 584, &reply), 0);
	ck_assert_uint_eq(strlen(reply.version), 63);
	ck_assert_uint_eq(strlen(reply.reason), 479);
	ck_assert_int_eq(reply.reason[6], '?');
}
END_TEST

static const struct {
	const char *what;
	size_t at, size;
	uint8_t value;
} broken[] = {
	{"one byte too short for a head", 0, 23, 23},
	{"a single byte", 0, 1, 1},
	{"size less than the packet", 0, 584, 0x47},
	{"size more than the packet", 0, 584, 0x49},
	{"size with a high bit", 3, 584, 0x80},
	{"version 0", 4, 584, 0},
	{"version 2", 4, 584, 2},
	{"version 257", 5, 584, 1},
	{"a request", 6, 584, 0x02},
	{"another reply", 6, 584, 0x83},
	{"type 0x182", 7, 584, 1},
	{"an event's bits", 6, 584, 0xc2},
	{"magic", 8, 584, 'h'},
	{"seq before", 12, 584, 0},
	{"seq after", 12, 584, 2},
	{"seq high byte", 15, 584, 1},
	{"positive status", 16, 584, 1},
	{"longer than the largest message", 0, HANDOFF_MAX + 1, 1},
	{"longer than the largest message, and than it says", 0, HANDOFF_MAX + 1, 0},
};

START_TEST(broken_reply_is_refused)
{
	uint8_t p[HANDOFF_MAX + 1] = {0};
	struct handoff_reply reply = {.handle = 77};

	fill_reply(p, 0x82, 1);
	p[broken[_i].at] = broken[_i].value;
	if (broken[_i].size > HANDOFF_MAX)
		p[1] = 8;
	ck_assert_msg(call_with(p, broken[_i].size, &reply) == -EBADMSG, "%s", broken[_i].what);
	ck_assert_uint_eq(reply.handle, 77);
}
END_TEST

START_TEST(another_version_may_only_say_so)
{
	struct handoff_reply reply;
	uint8_t p[HANDOFF_MAX];

	fill_reply(p, 0x82, 1);
	p[4] = 7;
	memcpy(p + 16, (uint8_t[]){0xb9, 0xff, 0xff, 0xff}, 4); /* -71 */
	memcpy(p + 40, "8.8", 3);
	ck_assert_int_eq(call_with(p, 584, &reply), 0);
	ck_assert_int_eq(reply.head.status, -EPROTO);
	ck_assert_ptr_nonnull(strstr(reply.reason, "hbad 8.8 speaks version 7"));
}
END_TEST

START_TEST(descriptors_in_a_reply_do_not_stay)
{
	unsigned before = open_fds();
	struct handoff_reply reply;
	uint8_t p[HANDOFF_MAX];
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr cm;
	} control = {
		.cm = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))}};
	struct iovec iov = {.iov_base = p, .iov_len = 584};
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};

	fill_reply(p, 0x82, 1);
	memcpy(CMSG_DATA(&control.cm), &peer, sizeof(peer));
	ck_assert_int_eq(sendmsg(peer, &mh, 0), 584);
	ck_assert_int_eq(call(&reply, BUSY_MS), 0);
	ck_assert_uint_eq(open_fds(), before);
}
END_TEST

START_TEST(silence_ends_at_the_deadline)
{
	struct handoff_reply reply;
	uint64_t start = now_ms();

	ck_assert_int_eq(call(&reply, 100), -ETIMEDOUT);
	ck_assert_uint_ge(now_ms() - start, 100);
	ck_assert_uint_lt(now_ms() - start, BUSY_MS);
}
END_TEST

/* H24: no SIGPIPE. */
START_TEST(hang_up_before_and_after_the_request_differ)
{
	struct handoff_reply reply;

	shutdown(peer, SHUT_WR);
	ck_assert_int_eq(call(&reply, BUSY_MS), -ECONNRESET);
	hb_close(&peer);
	/* Nothing was delivered, and no signal was raised. */
	ck_assert_int_eq(call(&reply, BUSY_MS), -ENOTCONN);
}
END_TEST

START_TEST(cancel_ends_a_call)
{
	struct handoff_check msg = {.cfgstring = ""};
	struct handoff_reply reply;
	int cancel = eventfd(1, EFD_CLOEXEC);
	uint64_t start = now_ms();

	ck_assert_int_eq(
		link_call(&l, &msg, sizeof(msg), HANDOFF_CHECK, -1, until_ms(3 * BUSY_MS, cancel), &reply),
		-ECANCELED);
	ck_assert_uint_lt(now_ms() - start, BUSY_MS);
	close(cancel);
}
END_TEST

START_TEST(peer_that_does_not_read_is_given_up)
{
	struct handoff_check msg = {.cfgstring = ""};
	uint64_t start = now_ms();
	int r;

	do
		r = link_send(&l, &msg, sizeof(msg), HANDOFF_CHECK, -1, until_ms(100, -1));
	while (!r);
	ck_assert_int_eq(r, -ETIMEDOUT);
	ck_assert_uint_lt(now_ms() - start, BUSY_MS);
}
END_TEST

START_TEST(events_are_told_from_replies)
{
	static const uint8_t event[32] = {
		32,
		0,
		0,
		0,
		1,
		0,
		0x40,
		0,
		'H',
		'B',
		'A',
		'D',
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		1,
		0,
		0,
		0,
	};
	union link_message m;

	ck_assert_int_eq(link_receive(&l, &m), 0);
	send(peer, event, sizeof(event), 0);
	ck_assert_int_eq(link_receive(&l, &m), 1);
	ck_assert_uint_eq(m.head.type, HANDOFF_EVENT);
	ck_assert_uint_eq(m.event.what, HANDOFF_EVENT_STOPPING);
	ck_assert_int_eq(link_receive(&l, &m), 0);
}
END_TEST

/* --- connecting --- */

static char root[] = "/tmp/hbad-link-XXXXXX";

static void make_socket(int backlog, int *ret_fd)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	ck_assert_ptr_nonnull(mkdtemp(root));
	setenv("HBAD_RUNTIME_DIR", root, 1);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/g2", root);
	mkdir(addr.sun_path, 0700);
	strcat(addr.sun_path, "/handoff.sock");
	*ret_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(*ret_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	if (backlog >= 0)
		ck_assert_int_eq(listen(*ret_fd, backlog), 0);
}

static void remove_root(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(connection_knows_the_process_that_listens)
{
	struct link c = LINK_INIT;
	int fd;

	make_socket(4, &fd);
	ck_assert_int_eq(link_connect(&c, "g2", until_ms(BUSY_MS, -1)), 0);
	ck_assert_int_eq(c.pid, getpid());
	ck_assert(!proc_dead(c.pidfd));
	/* and will not be told to kill the runner */
	ck_assert_int_eq(proc_kill(c.pidfd, c.pid), -EPERM);
	ck_assert_int_eq(proc_kill(c.pidfd, 1), -EPERM);
	ck_assert_int_eq(proc_kill(c.pidfd, 0), -EPERM);
	link_close(&c);
	link_close(&c);
	close(fd);
}
END_TEST

START_TEST(nobody_there_is_told_from_nobody_accepts)
{
	struct link c = LINK_INIT;
	uint64_t start;
	int fd, r;

	setenv("HBAD_RUNTIME_DIR", "/nonexistent", 1);
	ck_assert_int_eq(link_connect(&c, "g2", until_ms(100, -1)), -ENOENT);
	make_socket(0, &fd);
	start = now_ms();
	/* The kernel queues one more than the backlog. */
	do
		r = link_connect(&c, "g2", until_ms(150, -1));
	while (!r);
	ck_assert_int_eq(r, -ETIMEDOUT);
	ck_assert_uint_ge(now_ms() - start, 150);
	ck_assert_uint_lt(now_ms() - start, BUSY_MS);
	close(fd);
	ck_assert_int_eq(link_connect(&c, "g2", until_ms(100, -1)), -ECONNREFUSED);
}
END_TEST

START_TEST(dead_listener_is_found_out)
{
	struct link c = LINK_INIT;
	int fd;
	pid_t pid;

	make_socket(-1, &fd);
	pid = fork();
	if (!pid) {
		listen(fd, 4);
		pause();
		_exit(0);
	}
	while (link_connect(&c, "g2", until_ms(100, -1)))
		usleep(1000);
	ck_assert_int_eq(c.pid, pid);
	ck_assert_int_eq(proc_wait(c.pidfd, until_ms(20, -1)), -ETIMEDOUT);
	ck_assert_int_eq(proc_kill(c.pidfd, c.pid), 0);
	ck_assert_int_eq(proc_wait(c.pidfd, until_ms(BUSY_MS, -1)), 0);
	link_close(&c);
	/* Somebody else still has the socket: reaped or not, the process that listens is not there. */
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(link_connect(&c, "g2", until_ms(100, -1)), -ECONNREFUSED);
	close(fd);
}
END_TEST

#define OTHER_UID 12345

/* We are root and may kill who does not answer: so it is not enough that somebody listens. */
START_TEST(only_the_folders_owner_is_spoken_to)
{
	/* user of the folder; of who listens, then and now */
	static const struct {
		uid_t folder, listens, now;
		int expected;
	} cases[] = {
		{OTHER_UID, 0, 0, -EPERM}, /* another service's socket, laid there */
		{0, OTHER_UID, OTHER_UID, -EPERM},
		{OTHER_UID, 0, OTHER_UID, -EPERM},
		{0, 0, OTHER_UID, -EPERM},
		{OTHER_UID, OTHER_UID, OTHER_UID, 0},
		{0, 0, 0, 0},
	};
	struct link c = LINK_INIT;
	char folder[80], byte = 0;
	int fd, pipe_fds[2], r;
	pid_t pid;

	if (geteuid() != 0)
		return; /* only root can play others */
	make_socket(-1, &fd);
	snprintf(folder, sizeof(folder), "%s/g2", root);
	ck_assert_int_eq(pipe(pipe_fds), 0);
	pid = fork();
	if (!pid) {
		r = seteuid(cases[_i].listens) || listen(fd, 4) || seteuid(0) || seteuid(cases[_i].now) ||
		    write(pipe_fds[1], "x", 1) != 1;
		if (!r)
			pause();
		_exit(1);
	}
	ck_assert_int_eq(read(pipe_fds[0], &byte, 1), 1);
	ck_assert_int_eq(byte, 'x');
	ck_assert_int_eq(chown(folder, cases[_i].folder, 0), 0);
	ck_assert_int_eq(link_connect(&c, "g2", until_ms(BUSY_MS, -1)), cases[_i].expected);
	link_close(&c);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	close(fd);
}
END_TEST

START_TEST(users_of_processes_are_known)
{
	uid_t uid = 4711;
	pid_t pid;

	ck_assert_int_eq(proc_user(getpid(), &uid), 0);
	ck_assert_uint_eq(uid, geteuid());
	pid = fork();
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(proc_user(pid, &uid), -ESRCH);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("handler link");
	TCase *t = tcase_create("messages"), *c = tcase_create("connecting");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, request_has_the_bytes_of_the_contract);
	tcase_add_test(t, reply_is_read_from_the_bytes_of_the_contract);
	tcase_add_test(t, shorter_reply_reads_as_zero);
	tcase_add_test(t, longer_reply_of_a_later_release_is_understood);
	tcase_add_test(t, texts_without_an_end_are_ended);
	tcase_add_loop_test(t, broken_reply_is_refused, 0, ARRAY_SIZE(broken));
	tcase_add_test(t, another_version_may_only_say_so);
	tcase_add_test(t, descriptors_in_a_reply_do_not_stay);
	tcase_add_test(t, silence_ends_at_the_deadline);
	tcase_add_test(t, hang_up_before_and_after_the_request_differ);
	tcase_add_test(t, cancel_ends_a_call);
	tcase_add_test(t, peer_that_does_not_read_is_given_up);
	tcase_add_test(t, events_are_told_from_replies);
	suite_add_tcase(s, t);

	tcase_add_checked_fixture(c, NULL, remove_root);
	tcase_add_test(c, connection_knows_the_process_that_listens);
	tcase_add_test(c, nobody_there_is_told_from_nobody_accepts);
	tcase_add_test(c, dead_listener_is_found_out);
	tcase_add_loop_test(c, only_the_folders_owner_is_spoken_to, 0, 6);
	tcase_add_test(c, users_of_processes_are_known);
	suite_add_tcase(s, c);
	return s;
}

int main(void)
{
	return run_suite(suite());
}
