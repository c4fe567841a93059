/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which LIO backstores belong to an instance, as the kernel's configfs tells it. */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "hbad/handoff.h"

#define NAMES_MAX (1u << 20) /* bytes of names taken from the child */

/* "Config: hba/g2/ld0 Size: ..." in the backstore's info file. */
static bool belongs(const char *info_path, const char *want)
{
	char buf[4096];
	hb_autoclose int fd = open(info_path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (n <= 0)
		return false;
	buf[n] = '\0';
	return strstr(buf, want) != NULL;
}

static void scan_group(const char *group, const char *want, FILE *to)
{
	hb_autoclosedir DIR *d = opendir(group);
	struct dirent *de;

	while (d && (de = readdir(d))) {
		g_autofree char *info = g_strdup_printf("%s/%s/info", group, de->d_name);

		if (de->d_name[0] != '.' && belongs(info, want))
			fprintf(to, "%s\n", de->d_name);
	}
}

static void scan(const char *configfs, const char *name, FILE *to)
{
	g_autofree char *core = g_strdup_printf("%s/target/core", configfs);
	g_autofree char *want = g_strdup_printf("Config: " HBAD_SUBTYPE "/%s/", name);
	hb_autoclosedir DIR *d = opendir(core);
	struct dirent *de;

	while (d && (de = readdir(d))) {
		g_autofree char *group = g_strdup_printf("%s/%s", core, de->d_name);

		if (strncmp(de->d_name, "user_", 5) == 0)
			scan_group(group, want, to);
	}
	fflush(to);
}

/* Everything up to the end of the pipe, or -ETIMEDOUT. */
static int read_until(int fd, uint64_t deadline_ns, GString *to)
{
	while (to->len < NAMES_MAX) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		uint64_t now = clock_ns();
		char buf[4096];
		ssize_t n;

		if (now >= deadline_ns || poll(&p, 1, (int)((deadline_ns - now) / NS_PER_MS) + 1) == 0)
			return -ETIMEDOUT;
		n = read(fd, buf, sizeof(buf));
		if (n == 0)
			return 0;
		if (n > 0)
			g_string_append_len(to, buf, n);
		else if (errno != EINTR)
			return -errno;
	}
	return -EFBIG;
}

static pid_t start_child(const char *configfs, const char *name, int *ret_fd)
{
	int fds[2];
	pid_t pid;
	FILE *to;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		to = fdopen(fds[1], "w");
		if (to)
			scan(configfs, name, to);
		_exit(to ? 0 : 1);
	}
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return -errno;
	}
	*ret_fd = fds[0];
	return pid;
}

int machine_backstores(const char *configfs, const char *name, char ***ret, struct err *e)
{
	g_autoptr(GString) names = g_string_new(NULL);
	hb_autoclose int fd = -1;
	pid_t pid = start_child(configfs, name, &fd);
	int r;

	if (pid < 0)
		return err_set(e, (int)pid, "cannot look for LIO backstores: %s", strerror(-(int)pid));
	r = read_until(fd, clock_ns() + BACKSTORES_DEADLINE_MS * NS_PER_MS, names);
	if (r < 0)
		kill(pid, SIGKILL);
	/* A child that the kernel holds inside configfs cannot be waited for: it is left to init. */
	waitpid(pid, NULL, r < 0 ? WNOHANG : 0);
	if (r < 0)
		return err_set(e, r,
			"the kernel's list of LIO backstores below %s does not answer (%s): a backstore is "
			"being "
			"deleted; try again, and look at 'dmesg' if it stays so",
			configfs, strerror(-r));
	g_strchomp(names->str);
	*ret = *names->str ? g_strsplit(names->str, "\n", -1) : g_new0(char *, 1);
	return 0;
}
