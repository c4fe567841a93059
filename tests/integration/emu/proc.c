/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Starts, asks and ends the emulator. */
#include "proc.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int connect_to(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void exec_emu(const struct emu_proc *p, const char *const *options)
{
	const char *argv[48] = {
		"hba-emu", "--socket", p->uri + strlen("vfio-user:"), "--control", p->control, "--strict"};
	unsigned n = 6;

	for (; *options; options++)
		argv[n++] = *options;
	/* A test that is killed takes it along. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execv(HBA_EMU, (char *const *)argv);
	_exit(127);
}

void emu_start_proc(struct emu_proc *p, const char *const *options)
{
	strcpy(p->dir, "/tmp/hbad-emu-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(p->dir));
	snprintf(p->uri, sizeof(p->uri), "vfio-user:%s/s", p->dir);
	snprintf(p->control, sizeof(p->control), "%s/c", p->dir);
	emu_restart_proc(p, options);
}

void emu_kill_proc(struct emu_proc *p)
{
	kill(p->pid, SIGKILL);
	ck_assert_int_eq(waitpid(p->pid, NULL, 0), p->pid);
	unlink(p->control);
	unlink(p->uri + strlen("vfio-user:"));
}

void emu_restart_proc(struct emu_proc *p, const char *const *options)
{
	int fd = -1;

	p->pid = fork();
	ck_assert_int_ge(p->pid, 0);
	if (!p->pid)
		exec_emu(p, options);
	for (unsigned i = 0; i < 60000 && (fd = connect_to(p->control)) < 0; i++) {
		ck_assert_int_eq(waitpid(p->pid, NULL, WNOHANG), 0);
		usleep(1000);
	}
	ck_assert_int_ge(fd, 0);
	close(fd);
}

void emu_end_proc(struct emu_proc *p)
{
	int status;

	kill(p->pid, SIGTERM);
	ck_assert_int_eq(waitpid(p->pid, &status, 0), p->pid);
	ck_assert_msg(
		WIFEXITED(status) && WEXITSTATUS(status) == 0, "hba-emu ended with wait status %x", status);
	rmdir(p->dir);
}

const char *emu_do(struct emu_proc *p, const char *fmt, ...)
{
	static char text[16384];
	char line[256];
	size_t n = 0;
	va_list ap;
	int fd = connect_to(p->control);

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	strcat(line, "\n");
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(send(fd, line, strlen(line), 0), (ssize_t)strlen(line));
	do {
		ssize_t got = recv(fd, text + n, sizeof(text) - 1 - n, 0);

		ck_assert_int_gt(got, 0);
		n += (size_t)got;
	} while (text[n - 1] != '\n');
	text[n] = '\0';
	close(fd);
	ck_assert_msg(strncmp(text, "{\"ok\":true", 10) == 0, "%s: %s", line, text);
	return text;
}

uint64_t emu_number(struct emu_proc *p, const char *command, const char *name)
{
	char key[64];
	const char *at = emu_do(p, "%s", command);

	snprintf(key, sizeof(key), "\"%s\":", name);
	at = strstr(at, key);
	ck_assert_msg(at, "%s has no %s", command, name);
	return strtoull(at + strlen(key), NULL, 10);
}
