/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the process asks of the kernel because pages may go out through its own LUNs (H20). */
#include <check.h>
#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "control/process.h"
#include "tests/unit/run_suite.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

#define PF_MEMALLOC_NOIO 0x80000 /* include/linux/sched.h */
#define BOUNCE_MIB	 64
#define NEED_MIB	 1160 /* that, 64 of its own, and a ring of 1032 */

enum { OK, WRONG, CANNOT };

/* What is asked for lasts as long as the process: so in a child. */
static void in_child(int (*what)(void), const char *needs)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(what());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status) == CANNOT)
		printf("not tested: this needs %s\n", needs);
	else
		ck_assert_int_eq(WEXITSTATUS(status), OK);
}

/* Flags of the calling thread: field 9 of its stat, what comes after the name's bracket begins with field 3. */
static unsigned long task_flags(void)
{
	char path[64], line[512] = "", *p;
	unsigned long flags = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%ld/stat", syscall(SYS_gettid));
	f = fopen(path, "re");
	if (!f)
		return 0;
	p = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	if (p)
		sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags);
	fclose(f);
	return flags;
}

static void *flags_in_thread(void *ret)
{
	*(unsigned long *)ret = task_flags();
	return NULL;
}

static int flusher(void)
{
	unsigned long flags = 0;
	pthread_t t;

	/* On and off again: may this process do it at all? */
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) || prctl(PR_SET_IO_FLUSHER, 0, 0, 0, 0))
		return CANNOT;
	if (task_flags() & PF_MEMALLOC_NOIO)
		return WRONG;
	process_io_flusher();
	pthread_create(&t, NULL, flags_in_thread, &flags);
	pthread_join(t, NULL);
	return task_flags() & flags & PF_MEMALLOC_NOIO ? OK : WRONG;
}

START_TEST(threads_that_come_later_are_io_flushers_too)
{
	in_child(flusher, "CAP_SYS_RESOURCE");
}
END_TEST

/* CAP_IPC_LOCK knows no limit. */
static void drop_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	memset(none, 0, sizeof(none));
	syscall(SYS_capset, &head, none);
}

static bool limit_to(uint64_t mib)
{
	struct rlimit rl = {.rlim_cur = mib << 20, .rlim_max = mib << 20};

	return !setrlimit(RLIMIT_MEMLOCK, &rl);
}

/* A limit one MiB too low, or as low as this machine's; where it is high enough, also one that just suffices. */
static int limits(void)
{
	struct rlimit rl;
	struct err e = {""};
	char want[64];
	bool high = limit_to(NEED_MIB);
	uint64_t low = NEED_MIB - 1;

	getrlimit(RLIMIT_MEMLOCK, &rl);
	drop_capabilities();
	if (high && (process_check_memlock(BOUNCE_MIB, 1, &e) || e.text[0]))
		return WRONG;
	/* More threads have stacks, and bounce memory of which each has some. */
	if (process_check_memlock(BOUNCE_MIB, 2, &e) != -ENOMEM ||
		!strstr(e.text, "needs 1176 MiB with one LUN (64 of bounce memory, 80 of its own"))
		return WRONG;
	if (process_check_memlock(8, 8, &e) != -ENOMEM ||
		!strstr(e.text, "needs 1272 MiB with one LUN (64 of bounce memory, 176 of its own"))
		return WRONG;
	e.text[0] = 0;
	if (rl.rlim_max >> 20 < low)
		low = rl.rlim_max >> 20;
	snprintf(want, sizeof(want), "is %u MiB, and hbad needs %u MiB", (unsigned)low, NEED_MIB);
	if (!limit_to(low) || process_check_memlock(BOUNCE_MIB, 1, &e) != -ENOMEM)
		return WRONG;
	printf("%s\n", e.text);
	return strstr(e.text, want) && strstr(e.text, "LimitMEMLOCK=infinity") && strstr(e.text, "ulimit -l")
		       ? OK
		       : WRONG;
}

START_TEST(too_low_a_limit_is_named_with_the_sum_and_the_cure)
{
	in_child(limits, "nothing");
}
END_TEST

/* KiB, of /proc/self/status */
static unsigned long status_kib(const char *key)
{
	char line[256];
	unsigned long kib = 0;
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			kib = strtoul(line + strlen(key), NULL, 10);
	if (f)
		fclose(f);
	return kib;
}

static int lock(void)
{
	const size_t len = 256u << 20;
	unsigned long resident;
	char *p;

	/* AddressSanitizer has mlockall() succeed and do nothing. */
	if (mlockall(MCL_CURRENT) || !status_kib("VmLck:") || munlockall())
		return CANNOT;
	process_lock_memory();
	resident = status_kib("VmRSS:");
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return CANNOT;
	/* It is locked, but nothing of it is there: TCMU's pages do not exist before the kernel has made them. */
	if (status_kib("VmLck:") < len >> 10 || status_kib("VmRSS:") > resident + (32 << 10))
		return WRONG;
	p[0] = 1;
	return OK;
}

START_TEST(what_is_mapped_later_is_locked_page_by_page)
{
	in_child(lock, "CAP_IPC_LOCK or a high limit on locked memory, and no AddressSanitizer");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("control process");
	TCase *t = tcase_create("process");

	tcase_add_test(t, threads_that_come_later_are_io_flushers_too);
	tcase_add_test(t, too_low_a_limit_is_named_with_the_sum_and_the_cure);
	tcase_add_test(t, what_is_mapped_later_is_locked_page_by_page);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return run_suite(suite());
}
