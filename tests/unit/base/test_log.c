/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Logging: direct on control threads, through the ring on I/O threads. */
#include "main.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

static int out; /* what was written to standard error since capture() */

static void capture(void)
{
	int p[2];

	ck_assert_int_eq(pipe2(p, O_NONBLOCK), 0);
	out = p[0];
	dup2(p[1], STDERR_FILENO);
	close(p[1]);
	log_set_name(NULL);
	log_set_level(LOG_LV_INFO);
}

static const char *written(void)
{
	static char buf[65536];
	ssize_t n = read(out, buf, sizeof(buf) - 1);

	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

static bool readable(void)
{
	struct pollfd p = {.fd = log_fd(), .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

START_TEST(control_threads_write_at_once)
{
	unsetenv("JOURNAL_STREAM");
	capture();
	errno = EXDEV;
	log_warn("one %d", 1);
	ck_assert_int_eq(errno, EXDEV);
	log_set_name("hbad@x");
	log_err("two");
	ck_assert_str_eq(written(), "one 1\nhbad@x: two\n");
}
END_TEST

START_TEST(journal_gets_priorities)
{
	setenv("JOURNAL_STREAM", "8:1234", 1);
	capture();
	log_set_name("hbad@x");
	log_err("e");
	log_warn("w");
	log_info("i");
	ck_assert_str_eq(written(), "<3>e\n<4>w\n<6>i\n");
}
END_TEST

START_TEST(level_filters)
{
	unsetenv("JOURNAL_STREAM");
	capture();
	log_debug("no");
	ck_assert(!log_enabled(LOG_LV_DEBUG));
	log_set_level(LOG_LV_DEBUG);
	log_debug("yes");
	log_set_level(LOG_LV_ERR);
	log_warn("no");
	log_err("also");
	ck_assert_str_eq(written(), "yes\nalso\n");
}
END_TEST

START_TEST(io_threads_leave_it_to_the_drain)
{
	unsetenv("JOURNAL_STREAM");
	capture();
	log_this_thread_is_io();
	ck_assert(!readable());
	log_info("from io %s", "thread");
	ck_assert_str_eq(written(), "");
	ck_assert(readable());
	log_drain();
	ck_assert_str_eq(written(), "from io thread\n");
	ck_assert(!readable());
	log_drain();
	ck_assert_str_eq(written(), "");
}
END_TEST

START_TEST(full_ring_drops_and_says_so)
{
	unsigned lines = 0;
	const char *text;

	unsetenv("JOURNAL_STREAM");
	capture();
	log_this_thread_is_io();
	for (unsigned i = 0; i < 10000; i++)
		log_info("%u", i);
	log_drain();
	text = written();
	ck_assert_int_eq(strncmp(text, "0\n1\n2\n", 6), 0); /* the oldest survive */
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	ck_assert_uint_ge(lines, 100);
	ck_assert_uint_lt(lines, 10000);
	ck_assert_ptr_nonnull(strstr(text, "dropped"));
	/* and it goes on */
	log_info("after");
	log_drain();
	ck_assert_str_eq(written(), "after\n");
}
END_TEST

START_TEST(long_lines_are_cut)
{
	static char text[5000];
	const char *got;

	unsetenv("JOURNAL_STREAM");
	capture();
	memset(text, 'x', sizeof(text) - 1);
	log_info("%s", text);
	got = written();
	ck_assert_uint_gt(strlen(got), 200);
	ck_assert_uint_lt(strlen(got), 2000);
	ck_assert_int_eq(got[strlen(got) - 1], '\n');
	log_this_thread_is_io();
	log_info("%s", text);
	log_drain();
	got = written();
	ck_assert_uint_gt(strlen(got), 200);
	ck_assert_int_eq(got[strlen(got) - 1], '\n');
}
END_TEST

#define WRITERS 4
#define LINES	50 /* 200 lines fit into the ring */

static void *writer(void *arg)
{
	log_this_thread_is_io();
	for (unsigned i = 0; i < LINES; i++)
		log_info("w%u %u end", (unsigned)(uintptr_t)arg, i);
	return NULL;
}

START_TEST(many_writers_lose_and_mix_nothing)
{
	pthread_t t[WRITERS];
	unsigned next[WRITERS] = {0}, lines = 0;
	char *p;
	char *text;

	unsetenv("JOURNAL_STREAM");
	capture();
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_create(&t[i], NULL, writer, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(t[i], NULL);
	log_drain();
	text = strdup(written());
	for (char *line = strtok_r(text, "\n", &p); line; line = strtok_r(NULL, "\n", &p)) {
		unsigned w, n;
		char end[8];

		ck_assert_int_eq(sscanf(line, "w%u %u %3s", &w, &n, end), 3);
		ck_assert_uint_lt(w, WRITERS);
		ck_assert_uint_eq(n, next[w]++); /* in order, per writer */
		lines++;
	}
	ck_assert_uint_eq(lines, WRITERS * LINES);
	free(text);
}
END_TEST

START_TEST(limit_lets_a_burst_through)
{
	struct log_limit lim = {0};

	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(log_limit_ok(&lim, 3, 10 * NS_PER_SEC), i < 3);
	ck_assert_uint_eq(lim.suppressed, 7);
}
END_TEST

START_TEST(limit_opens_again)
{
	struct log_limit lim = {0};

	ck_assert(log_limit_ok(&lim, 1, 3600 * NS_PER_SEC));
	ck_assert(!log_limit_ok(&lim, 1, 3600 * NS_PER_SEC));
	clock_sleep_ms(60);
	ck_assert(log_limit_ok(&lim, 1, 30 * NS_PER_MS));
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("log");

	tcase_add_test(c, control_threads_write_at_once);
	tcase_add_test(c, journal_gets_priorities);
	tcase_add_test(c, level_filters);
	tcase_add_test(c, io_threads_leave_it_to_the_drain);
	tcase_add_test(c, full_ring_drops_and_says_so);
	tcase_add_test(c, long_lines_are_cut);
	tcase_add_test(c, many_writers_lose_and_mix_nothing);
	tcase_add_test(c, limit_lets_a_burst_through);
	tcase_add_test(c, limit_opens_again);
	return run_case(c, "log");
}
