/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is wrong, and what hbad and the emulator said before. */
#include "soak.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOLD 20
#define TAIL (24 * 1024)

/* With sanitizers only. */
void __sanitizer_set_report_fd(void *fd) __attribute__((weak));

static unsigned wrongs; /* atomic */
static char log_path[64];
static int own_stderr = -1;

void soak_wrong(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (__atomic_fetch_add(&wrongs, 1, __ATOMIC_RELAXED) < TOLD) {
		printf("%s\n", text);
		fflush(stdout);
		fprintf(stderr, "soak: %s\n", text);
	}
}

unsigned soak_wrongs(void)
{
	return __atomic_load_n(&wrongs, __ATOMIC_RELAXED);
}

int findings_begin(bool verbose)
{
	int fd;

	log_set_level(LOG_LV_INFO);
	if (verbose)
		return 0;
	strcpy(log_path, "/tmp/hbad-soak-log-XXXXXX");
	fd = mkostemp(log_path, O_CLOEXEC | O_APPEND);
	own_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0 || own_stderr < 0 || dup2(fd, STDERR_FILENO) < 0) {
		printf("no log can be made in /tmp: %s\n", strerror(errno));
		return -1;
	}
	close(fd);
	/* A report kills the process: nobody would show the log. */
	if (__sanitizer_set_report_fd)
		__sanitizer_set_report_fd((void *)(intptr_t)own_stderr);
	return 0;
}

/* The log may be long; what came last is what counts. */
static void show_tail(void)
{
	static char tail[TAIL + 1];
	int fd = open(log_path, O_RDONLY | O_CLOEXEC);
	off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	ssize_t n = fd < 0 ? -1 : pread(fd, tail, TAIL, end > TAIL ? end - TAIL : 0);

	if (n > 0) {
		tail[n] = '\0';
		printf("--- the end of the log, %s ---\n%s--- end of the log ---\n", log_path, tail);
	}
	if (fd >= 0)
		close(fd);
}

void findings_end(bool keep)
{
	log_drain();
	if (own_stderr < 0)
		return;
	if (soak_wrongs())
		show_tail();
	if (!soak_wrongs() || !keep)
		unlink(log_path);
	dup2(own_stderr, STDERR_FILENO);
	close(own_stderr);
}
