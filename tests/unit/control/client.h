/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The handler's end of the hand-off socket, and a service to talk to. */
#ifndef TESTS_CONTROL_CLIENT_H
#define TESTS_CONTROL_CLIENT_H

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <glib.h>
#include "base/clock.h"
#include "base/log.h"
#include "control/handoff.h"
#include "control/sock.h"
#include "fakes.h"
#include "open_fds.h"
#include "temp.h"

static struct luns luns;
static struct handoff_service *service;
static uint32_t next_seq = 100;
static pid_t server_pid; /* 0: the service lives in this process */

static inline void service_start_for(uid_t uid)
{
	struct handoff_config cfg = {.luns = &luns, .listen_fd = -1, .peer_uid = uid};
	struct err e = {""};

	temp_make();
	fakes_start();
	log_fd(); /* makes its descriptor now, not while descriptors are counted */
	ck_assert_int_eq(mkdir(temp_path("g2"), 0755), 0);
	ck_assert_msg(!sock_listen(temp_dir, "g2", "handoff.sock", SOCK_SEQPACKET, 0600, &cfg.listen_fd, &e),
		"%s", e.text);
	luns_init(&luns, "g2", fake_host(), &fake_io);
	luns.state = HANDOFF_READY;
	luns.attached = true;
	service = handoff_service_new(&cfg);
}

static inline void service_start(void)
{
	service_start_for(getuid());
}

static inline void service_stop(void)
{
	handoff_service_free(service);
	fakes_stop();
	temp_remove();
}

static inline int client_connect(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/g2/handoff.sock", temp_dir);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

#define SPEAKS(reply, words)                                                                                 \
	ck_assert_msg(strstr((reply).reason, words) != NULL, "\"%s\" is not in: %s", words, (reply).reason)

/* Lets the service work until fd is readable, for ms rounds of at least 1 ms. False: it is not. Rounds, not time: on a
 * machine that stops for a while the service still gets its turns. */
static inline bool pump(int fd, unsigned ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	for (unsigned round = 0; round < ms; round++) {
		while (g_main_context_iteration(NULL, FALSE))
			;
		if (fd >= 0 && poll(&p, 1, 0) == 1)
			return true;
		clock_sleep_ms(1);
	}
	return false;
}

/* Lets the service work until the expression is true; fails the test if it never is. */
#define pump_until(expr)                                                                                     \
	do {                                                                                                 \
		for (unsigned _round = 0; !(expr) && _round < FAKE_LIMIT_MS; _round++)                       \
			pump(-1, 1);                                                                         \
		ck_assert_msg(expr, "never true: %s", #expr);                                                \
	} while (0)

/* The event that hbad stops. */
static inline void client_expect_stopping(int fd, uint32_t back_s)
{
	struct handoff_event ev;

	ck_assert_msg(pump(fd, FAKE_LIMIT_MS), "no event");
	ck_assert_int_eq(recv(fd, &ev, sizeof(ev), 0), sizeof(ev));
	ck_assert_uint_eq(ev.head.size, 32);
	ck_assert_uint_eq(ev.head.type, HANDOFF_EVENT);
	ck_assert_uint_eq(ev.head.magic, HANDOFF_MAGIC);
	ck_assert_uint_eq(ev.head.version, 1);
	ck_assert_uint_eq(ev.head.seq, 0);
	ck_assert_uint_eq(ev.what, HANDOFF_EVENT_STOPPING);
	ck_assert_uint_eq(ev.back_s, back_s);
}

static inline void client_send(int fd, const void *msg, size_t size, int pass_fd, unsigned n_pass)
{
	union {
		char buf[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = (void *)msg, .iov_len = size};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n_pass) {
		struct cmsghdr *cm = &control.align;

		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(n_pass * sizeof(int));
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(n_pass * sizeof(int));
		for (unsigned i = 0; i < n_pass; i++)
			memcpy(CMSG_DATA(cm) + i * sizeof(int), &pass_fd, sizeof(int));
	}
	ck_assert_int_eq(sendmsg(fd, &mh, MSG_NOSIGNAL), (ssize_t)size);
}

static inline struct handoff_reply client_receive(int fd)
{
	struct handoff_reply reply;

	ck_assert_msg(pump(fd, FAKE_LIMIT_MS), "no reply");
	ck_assert_int_eq(recv(fd, &reply, sizeof(reply), 0), sizeof(reply));
	ck_assert_uint_eq(reply.head.magic, HANDOFF_MAGIC);
	ck_assert_uint_eq(reply.head.size, sizeof(reply));
	ck_assert_uint_eq(reply.head.version, HANDOFF_VERSION);
	ck_assert_uint_eq(reply.pid, (uint32_t)(server_pid ? server_pid : getpid()));
	ck_assert_msg(reply.head.status <= 0, "status %d", reply.head.status);
	ck_assert_msg(!reply.head.status == !reply.reason[0], "status %d with \"%s\"", reply.head.status,
		reply.reason);
	return reply;
}

static inline struct handoff_head head_of(enum handoff_type type, size_t size)
{
	return (struct handoff_head){
		.size = (uint32_t)size,
		.version = HANDOFF_VERSION,
		.type = (uint16_t)type,
		.magic = HANDOFF_MAGIC,
		.seq = ++next_seq,
	};
}

static inline struct handoff_reply client_answer(int fd, enum handoff_type type)
{
	struct handoff_reply reply = client_receive(fd);

	ck_assert_uint_eq(reply.head.type, type | HANDOFF_REPLY);
	ck_assert_uint_eq(reply.head.seq, next_seq);
	return reply;
}

static inline struct handoff_reply client_plain(int fd, enum handoff_type type)
{
	struct handoff_head h = head_of(type, sizeof(h));

	client_send(fd, &h, sizeof(h), -1, 0);
	return client_answer(fd, type);
}

static inline struct handoff_reply client_hello(int fd, uint8_t nonce)
{
	struct handoff_hello m = {.head = head_of(HANDOFF_HELLO, sizeof(m)), .version = "0.1.0"};

	memset(m.nonce, nonce, sizeof(m.nonce));
	client_send(fd, &m, sizeof(m), -1, 0);
	return client_answer(fd, HANDOFF_HELLO);
}

static inline struct handoff_reply client_check(int fd, const char *cfgstring)
{
	struct handoff_check m = {.head = head_of(HANDOFF_CHECK, sizeof(m))};

	snprintf(m.cfgstring, sizeof(m.cfgstring), "%s", cfgstring);
	client_send(fd, &m, sizeof(m), -1, 0);
	return client_answer(fd, HANDOFF_CHECK);
}

/* A new LUN on ld0 with its right size. */
static inline struct handoff_open open_msg(const char *device, const char *cfgstring, uint8_t nonce)
{
	struct handoff_open m = {
		.head = head_of(HANDOFF_OPEN, sizeof(m)),
		.map_len = 1 << 20,
		.map_offset = 4096,
		.blocks = 2048,
		.block_size = 512,
	};

	memset(m.nonce, nonce, sizeof(m.nonce));
	snprintf(m.device, sizeof(m.device), "%s", device);
	snprintf(m.cfgstring, sizeof(m.cfgstring), "%s", cfgstring);
	return m;
}

static inline struct handoff_reply client_send_open(int fd, const struct handoff_open *m)
{
	int uio = memfd_create("uio", MFD_CLOEXEC);

	client_send(fd, m, sizeof(*m), uio, 1);
	close(uio);
	return client_answer(fd, HANDOFF_OPEN);
}

static inline struct handoff_reply client_open(
	int fd, const char *device, const char *cfgstring, uint8_t nonce)
{
	struct handoff_open m = open_msg(device, cfgstring, nonce);

	if (strstr(cfgstring, "ld1") || strstr(cfgstring, "60a1")) {
		m.blocks = 10;
		m.block_size = 4096;
	}
	return client_send_open(fd, &m);
}

static inline struct handoff_reply client_handle(int fd, enum handoff_type type, uint64_t handle)
{
	struct handoff_handle m = {.head = head_of(type, sizeof(m)), .handle = handle};

	client_send(fd, &m, sizeof(m), -1, 0);
	return client_answer(fd, type);
}

static inline struct handoff_reply client_resize(int fd, uint64_t handle, uint64_t blocks)
{
	struct handoff_resize m = {
		.head = head_of(HANDOFF_RESIZE, sizeof(m)), .handle = handle, .blocks = blocks};

	client_send(fd, &m, sizeof(m), -1, 0);
	return client_answer(fd, HANDOFF_RESIZE);
}

/* OPEN and START, both well; the handle. */
static inline uint64_t client_serve(int fd, const char *device, const char *cfgstring, uint8_t nonce)
{
	struct handoff_reply r = client_open(fd, device, cfgstring, nonce);

	ck_assert_msg(!r.head.status, "%s", r.reason);
	ck_assert_uint_ne(r.handle, 0);
	ck_assert_int_eq(client_handle(fd, HANDOFF_START, r.handle).head.status, 0);
	return r.handle;
}

/* The service ends the connection without a word. */
static inline void expect_end(int fd)
{
	char byte;

	ck_assert_msg(pump(fd, FAKE_LIMIT_MS), "the connection is not ended");
	ck_assert_int_eq(recv(fd, &byte, 1, 0), 0);
	close(fd);
}

#endif
