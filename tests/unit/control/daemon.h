/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The whole daemon above fake layers, in a process of its own, and its systemd. */
#ifndef TESTS_CONTROL_DAEMON_H
#define TESTS_CONTROL_DAEMON_H

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include "client.h"
#include "control/lock.h"
#include "control/proto.h"
#include "hbad.h"

#define BOOT_READY_MS 600

static pid_t pid;
static int notify_fd;
static char heard[8192]; /* what systemd was told, newline separated */
static unsigned stop_boot_ms, stop_ms, retry_ms;
static bool is_next; /* an hbad before has left something */
static const char *device;
static unsigned io_threads;

static inline void start(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	temp_make();
	fakes_reset();
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/notify", temp_dir);
	ck_assert_int_eq(bind(notify_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	setenv("NOTIFY_SOCKET", sa.sun_path, 1);
	unsetenv("HBAD_FDSTORE");
	setenv("FDSTORE", "16", 1);
	heard[0] = 0;
	pid = 0;
	is_next = false;
	device = "0000:03:00.0";
	io_threads = 1;
	stop_boot_ms = 60000;
	stop_ms = 300000;
	retry_ms = 3600000;
}

static inline void stop(void)
{
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(notify_fd);
	temp_remove();
}

/* As systemd does. */
static inline void leave_something(void)
{
	struct kept k = {.addr = "0000:03:00.0",
		.hba = {.driver = "fake", .n_arenas = 1, .arena = {{.iova = 0x1000, .size = 0x1000}}}};
	char text[16];
	int fd;

	if (kept_write_record(&k, &fd, NULL))
		exit(98);
	dup2(fd, 3);
	for (int i = 4; i < 8; i++)
		dup2(0, i);
	snprintf(text, sizeof(text), "%d", getpid());
	setenv("LISTEN_PID", text, 1);
	setenv("LISTEN_FDS", "5", 1);
	setenv("LISTEN_FDNAMES", "hbad-record:hbad-container:hbad-group:hbad-device:hbad-memory-0", 1);
}

static inline void run_daemon(void)
{
	static struct hbad d;
	struct err e = {""};

	hbad_init(&d, "g2", temp_dir);
	d.sysfs_root = temp_dir;
	d.peer_uid = getuid();
	d.times.boot_ready_ms = BOOT_READY_MS;
	d.times.stop_boot_ms = stop_boot_ms;
	d.times.stop_ms = stop_ms;
	d.times.retry_min_ms = retry_ms;
	d.times.retry_max_ms = retry_ms < 100 ? 100 : retry_ms;
	config_init(&d.config);
	strcpy(d.config.device, device);
	d.config.io_threads = io_threads;
	if (is_next)
		leave_something();
	hbad_take_over(&d);
	if (hbad_prepare(&d, &e)) {
		fprintf(stderr, "%s\n", e.text);
		exit(99);
	}
	exit(hbad_run(&d));
}

static inline void spawn(void)
{
	fflush(stdout);
	pid = server_pid = fork();
	if (!pid)
		run_daemon();
}

static inline const char *hear(void)
{
	for (;;) {
		size_t at = strlen(heard);
		ssize_t n = recv(notify_fd, heard + at, sizeof(heard) - at - 2, MSG_DONTWAIT);

		if (n <= 0)
			return heard;
		heard[at + (size_t)n] = '\n';
		heard[at + (size_t)n + 1] = 0;
	}
}

static inline bool told_already(const char *what)
{
	return strstr(hear(), what);
}

/* Waits for it. */
static inline bool told(const char *what)
{
	for (unsigned left = FAKE_LIMIT_MS; left && !told_already(what); left--)
		clock_sleep_ms(1);
	return told_already(what);
}

/* The exit code; fails when the daemon does not end. */
static inline int ended(void)
{
	unsigned left = FAKE_LIMIT_MS;
	int status;

	while (!waitpid(pid, &status, WNOHANG)) {
		hear(); /* it may wait for that */
		ck_assert_msg(--left, "hbad does not end");
		clock_sleep_ms(1);
	}
	pid = 0;
	ck_assert_msg(WIFEXITED(status), "status %x", status);
	return WEXITSTATUS(status);
}

static inline void wait_for_socket(void)
{
	for (unsigned left = FAKE_LIMIT_MS; left && access(temp_path("g2/control.sock"), F_OK); left--)
		clock_sleep_ms(1);
}

static inline char *status(void)
{
	struct err e = {""};
	char *reply = NULL;

	ck_assert_msg(!proto_call(temp_dir, "g2", "status", FAKE_LIMIT_MS, &reply, &e), "%s", e.text);
	return reply;
}

static inline void expect_status(const char *words)
{
	g_autofree char *reply = status();

	ck_assert_msg(strstr(reply, words) != NULL, "%s is not in %s", words, reply);
}

/* Waits for it. */
static inline void status_becomes(const char *words)
{
	for (unsigned left = FAKE_LIMIT_MS / 10; left; left--) {
		g_autofree char *reply = status();

		if (strstr(reply, words))
			return;
		clock_sleep_ms(10);
	}
	expect_status(words);
}

#define DOWN "host-detach, drain, halt, host-destroy, close"

static inline int serve_and_watch(void)
{
	int fd, watch;

	spawn();
	ck_assert(told("STATUS=Fake"));
	fd = client_connect();
	watch = client_connect();
	client_serve(fd, "a", "hba/g2/ld0", 1);
	client_plain(watch, HANDOFF_WATCH);
	ck_assert(told("1 LUNs served"));
	fake_calls();
	close(fd);
	return watch;
}

#endif
