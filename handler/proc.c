/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Deadlines and pidfds. */
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"

struct until until_ms(unsigned ms, int cancel_fd)
{
	return (struct until){.deadline_ns = clock_ns() + ms * NS_PER_MS, .cancel_fd = cancel_fd};
}

/* Rounded up, so that poll() does not spin through the last millisecond. */
static int ms_left(uint64_t deadline_ns)
{
	uint64_t now = clock_ns(), ms;

	if (now >= deadline_ns)
		return 0;
	ms = DIV_ROUND_UP(deadline_ns - now, NS_PER_MS);
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

int until_ready(struct until u, int fd, short events)
{
	struct pollfd p[] = {{.fd = u.cancel_fd, .events = POLLIN}, {.fd = fd, .events = events}};

	for (;;) {
		int timeout = ms_left(u.deadline_ns);
		int n = poll(p, ARRAY_SIZE(p), timeout);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && p[0].revents)
			return -ECANCELED;
		if (n > 0 && p[1].revents)
			return 0;
		if (!n && !timeout)
			return -ETIMEDOUT;
	}
}

int until_slept(struct until u)
{
	int r = until_ready(u, -1, 0);

	return r == -ETIMEDOUT ? 0 : r;
}

/* glibc 2.36 (Debian 12) has no header for these. */
int proc_open(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

int proc_user(pid_t pid, uid_t *ret)
{
	char path[40], text[512], *at;
	hb_autoclose int fd = -1;
	unsigned uid;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	text[n] = '\0';
	/* A name cannot fake the line: the kernel escapes the line feeds in it. Real, then effective. */
	at = strstr(text, "\nUid:");
	if (!at || sscanf(at, " Uid: %*u %u", &uid) != 1)
		return -EPROTO;
	*ret = uid;
	return 0;
}

bool proc_dead(int pidfd)
{
	struct until now = {.cancel_fd = -1};

	return !proc_wait(pidfd, now);
}

int proc_wait(int pidfd, struct until u)
{
	return until_ready(u, pidfd, POLLIN);
}

int proc_kill(int pidfd, pid_t pid)
{
	if (pid <= 1 || pid == getpid())
		return -EPERM;
	return syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) ? -errno : 0;
}
