/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See emulator.h. */
#include "soak.h"

#include <errno.h>
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

#include "base/clock.h"

#define MAX_ARGS 64

static int connect_to(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void run(const struct emulator *e, const char *program, const char *const *options)
{
	const char *argv[MAX_ARGS] = {
		"hba-emu", "--socket", e->uri + strlen("vfio-user:"), "--control", e->control, "--strict"};

	for (unsigned n = 6; *options && n < MAX_ARGS - 1; options++)
		argv[n++] = *options;
	/* It does not outlive a soak that is killed. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execv(program, (char *const *)argv);
	fprintf(stderr, "%s: %s\n", program, strerror(errno));
	_exit(127);
}

int emulator_start(struct emulator *e, const char *program, const char *const *options)
{
	int fd = -1;

	strcpy(e->dir, "/tmp/hbad-soak-XXXXXX");
	if (!mkdtemp(e->dir)) {
		soak_wrong("no directory can be made in /tmp: %s", strerror(errno));
		return -1;
	}
	snprintf(e->uri, sizeof(e->uri), "vfio-user:%s/s", e->dir);
	snprintf(e->control, sizeof(e->control), "%s/c", e->dir);
	e->pid = fork();
	if (e->pid == 0)
		run(e, program, options);
	for (unsigned i = 0; e->pid > 0 && i < SOAK_STUCK_MS && fd < 0; i++) {
		fd = connect_to(e->control);
		if (fd >= 0 || waitpid(e->pid, NULL, WNOHANG) != 0)
			break;
		clock_sleep_ms(1);
	}
	if (fd < 0) {
		soak_wrong("the emulator (%s) does not start", program);
		return -1;
	}
	close(fd);
	return 0;
}

void emulator_stop(struct emulator *e)
{
	int status = 0;

	if (e->pid <= 0)
		return;
	kill(e->pid, SIGTERM);
	if (waitpid(e->pid, &status, 0) != e->pid || !WIFEXITED(status) || WEXITSTATUS(status))
		soak_wrong(
			"the emulator ended with wait status 0x%x: wrong DMA, a breach of the controller's "
			"protocol, or a fault of its own",
			status);
	e->pid = 0;
	rmdir(e->dir);
}

static bool ask(struct emulator *e, const char *line)
{
	size_t n = 0;
	int fd = connect_to(e->control);

	if (fd < 0)
		return false;
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line)) {
		close(fd);
		return false;
	}
	do {
		ssize_t got = recv(fd, e->answer + n, sizeof(e->answer) - 1 - n, 0);

		if (got <= 0)
			break;
		n += (size_t)got;
	} while (e->answer[n - 1] != '\n');
	e->answer[n] = '\0';
	close(fd);
	return n > 0;
}

bool emulator_do(struct emulator *e, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	/* Looking is no event. */
	if (strncmp(line, "stat", 4) != 0)
		fprintf(stderr, "soak: %s\n", line);
	strcat(line, "\n");
	if (!ask(e, line)) {
		soak_wrong("the emulator does not answer '%s'", line);
		return false;
	}
	if (strncmp(e->answer, "{\"ok\":true", 10) != 0) {
		soak_wrong("the emulator refuses '%s': %s", line, e->answer);
		return false;
	}
	return true;
}

uint64_t emulator_number(struct emulator *e, const char *command, const char *name)
{
	char key[64];
	const char *at;

	if (!emulator_do(e, "%s", command))
		return 0;
	snprintf(key, sizeof(key), "\"%s\":", name);
	at = strstr(e->answer, key);
	if (!at) {
		soak_wrong("the emulator's '%s' has no %s", command, name);
		return 0;
	}
	return strtoull(at + strlen(key), NULL, 10);
}
