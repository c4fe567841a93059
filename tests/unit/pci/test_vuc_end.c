/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vfio-user: a server that is slow, busy, talks nonsense or is gone; and many threads. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "vu_rig.h"

static const struct vuc_times times = VU_PATIENT;

/* --- time --- */

START_TEST(slow_answer_within_the_deadline_is_fine)
{
	open_with(&times);
	s.slow_at = OPENING + 1;
	s.slow_ms = 300;
	ck_assert_uint_eq(pci_read32(dev, 0, 4), 0xb0000004);
	ck_assert(!readable(dev->request_fd, 0));
}
END_TEST

START_TEST(answer_that_does_not_come_ends_the_connection_once)
{
	struct vuc_times t = VU_PATIENT;
	uint64_t begin;

	s.twist_at = OPENING + 1;
	s.twist = TWIST_SILENT;
	open_with(&t);
	t.access_ms = 200;
	begin = now_ms();
	ck_assert_uint_eq(pci_read32(dev, 0, 4), UINT32_MAX);
	ck_assert_uint_ge(now_ms() - begin, 190);
	t.access_ms = 200000; /* nothing waits for it again */
	expect_gone();
	vu_teardown();
	vu_setup();
}
END_TEST

START_TEST(server_that_reads_nothing_does_not_block_writes_for_ever)
{
	struct vuc_times t = VU_PATIENT;

	s.stop_reading_at = OPENING + 1;
	open_with(&t);
	t.access_ms = 200;
	for (unsigned i = 0; i < 100000 && !readable(dev->request_fd, 0); i++)
		pci_write32(dev, 1, 0, i);
	t.access_ms = 200000;
	expect_gone();
	vu_teardown();
	vu_setup();
}
END_TEST

static void *reset_run(void *arg)
{
	*(int *)arg = pci_reset(dev, NULL);
	return NULL;
}

static unsigned reading; /* atomic */

static void *read_run(void *arg)
{
	__atomic_store_n(&reading, 1, __ATOMIC_RELEASE);
	*(uint32_t *)arg = pci_read32(dev, 0, 4);
	return NULL;
}

START_TEST(access_behind_a_long_reset_waits_as_long_as_that)
{
	struct vuc_times t = VU_PATIENT;
	pthread_t reset, read;
	uint32_t val = 0;
	int r = 1;

	/* The server hears of the reset, and of nothing more until it is told to go on. */
	s.stop_reading_at = OPENING + 1;
	open_with(&t);
	t.access_ms = 150;
	ck_assert_int_eq(pthread_create(&reset, NULL, reset_run, &r), 0);
	ck_assert_ptr_nonnull(srv_find(&s, 13, 0));
	ck_assert_int_eq(pthread_create(&read, NULL, read_run, &val), 0);
	for (unsigned left = SRV_LIMIT_MS; left && !__atomic_load_n(&reading, __ATOMIC_ACQUIRE); left--)
		usleep(1000);
	usleep(600000);
	srv_go_on(&s);
	pthread_join(reset, NULL);
	pthread_join(read, NULL);
	ck_assert_uint_eq(val, 0xb0000004);
	ck_assert_int_eq(r, 0);
	ck_assert_uint_eq(s.resets, 1);
	ck_assert_uint_eq(srv_find(&s, 13, 0)->size, 16);
	vu_teardown();
	vu_setup();
}
END_TEST

START_TEST(device_without_reset_says_so)
{
	s.device_flags = 2;
	open_with(&times);
	ck_assert_int_eq(pci_reset(dev, &e), -ENOTSUP);
	ck_assert_ptr_null(strstr(e.text, "refuses"));
}
END_TEST

/* --- the end --- */

START_TEST(server_that_hangs_up_is_noticed_without_asking)
{
	unsigned fds = open_fds();

	log_fd(); /* which the log opens with its first line */
	fds = open_fds();
	open_with(&times);
	ck_assert(!readable(dev->request_fd, 50));
	srv_hang_up(&s);
	expect_gone();
	pci_close(dev);
	dev = NULL;
	srv_stop(&s);
	ck_assert_uint_eq(open_fds(), fds);
}
END_TEST

START_TEST(log_says_why_the_device_is_gone_and_is_silent_at_close)
{
	char text[256] = "";
	int log = memfd_create("log", MFD_CLOEXEC);

	dup2(log, STDERR_FILENO);
	open_with(&times);
	pci_close(dev);
	srv_stop(&s);
	ck_assert_int_eq(pread(log, text, sizeof(text) - 1, 0), 0);
	srv_init(&s);
	open_with(&times);
	srv_hang_up(&s);
	ck_assert(readable(dev->request_fd, SRV_LIMIT_MS));
	pci_close(dev); /* at once: it is said all the same */
	dev = NULL;
	ck_assert_int_gt(pread(log, text, sizeof(text) - 1, 0), 0);
	ck_assert_msg(strstr(text, s.uri) && strstr(text, "the server closed the connection"), "%s", text);
	close(log);
}
END_TEST

START_TEST(server_that_asks_for_the_device_is_heard)
{
	/* argsz 20, DATA_EVENTFD|ACTION_TRIGGER, index 4, start 0, count 1 */
	static const uint8_t want[20] = {20, 0, 0, 0, 0x24, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1};
	const struct srv_msg *m;
	eventfd_t count;

	s.irq_flags[4] = 9;
	s.irq_count[4] = 1;
	open_with(&times);
	m = srv_find(&s, 8, 0);
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->n_fds, 1);
	ck_assert_mem_eq(m->payload, want, 20);
	ck_assert(!readable(dev->request_fd, 0));
	srv_irq(&s, 4, 0);
	ck_assert(readable(dev->request_fd, 0));
	ck_assert_uint_eq(pci_read32(dev, 0, 4), 0xb0000004);
	/* it may take that back, but not the news of its end */
	ck_assert_int_eq(eventfd_read(s.irq_fd[4][0], &count), 0);
	ck_assert(!readable(dev->request_fd, 0));
	srv_hang_up(&s);
	expect_gone();
	ck_assert_int_eq(eventfd_read(s.irq_fd[4][0], &count), -1);
	ck_assert(readable(dev->request_fd, 0));
}
END_TEST

static const struct {
	uint8_t bytes[40];
	size_t len;
	unsigned n_fds;
} unasked[] = {
	{{1, 0, 9, 0, 16, 0, 0, 0, 1}, 16, 0},	   /* a reply */
	{{1, 0, 11, 0, 15, 0, 0, 0, 0}, 16, 0},	   /* too short to be a message */
	{{1, 0, 11, 0, 0, 0, 2, 0, 0}, 16, 0},	   /* longer than we take */
	{{1, 0, 11, 0, 16, 0, 0, 0, 3}, 16, 0},	   /* unknown type */
	{{1, 0, 11, 0, 16, 0, 0, 0, 0x80}, 16, 0}, /* unknown flag */
	{{1, 0, 11, 0, 32, 0, 0, 0, 0}, 32, 2},	   /* descriptors with a command */
	{{1, 0, 11, 0, 32, 0, 0, 0, 0}, 32, 20},
};

START_TEST(nonsense_out_of_the_blue_ends_the_connection)
{
	int dup_fd[20];
	unsigned fds;

	open_with(&times);
	fds = open_fds();
	for (unsigned i = 0; i < 20; i++)
		dup_fd[i] = s.listener;
	srv_send(&s, unasked[_i].bytes, unasked[_i].len, dup_fd, unasked[_i].n_fds);
	expect_gone();
	/* closed a moment after the end was told; one is the log's own */
	for (unsigned left = SRV_LIMIT_MS; left && open_fds() > fds + 1; left--)
		usleep(1000);
	ck_assert_uint_le(open_fds(), fds + 1);
}
END_TEST

/* --- threads --- */

struct hammer {
	pthread_t thread;
	unsigned bar, n, wrong, ones;
};

static void *hammer_run(void *arg)
{
	struct hammer *h = arg;

	for (unsigned i = 0; i < __atomic_load_n(&h->n, __ATOMIC_RELAXED); i++) {
		uint32_t off = i * 4 % 256, val = pci_read32(dev, h->bar, off);

		if (val == UINT32_MAX)
			__atomic_add_fetch(&h->ones, 1, __ATOMIC_RELAXED);
		else if (val != 0xb0000000 + (h->bar << 24) + off)
			h->wrong++;
		if (i % 3 == 0)
			pci_write32(dev, 1, 0x1000 + 4 * h->bar, i);
	}
	return NULL;
}

static void hammer(struct hammer *h, unsigned threads, unsigned n)
{
	for (unsigned i = 0; i < threads; i++) {
		h[i] = (struct hammer){.bar = i % 2, .n = n};
		ck_assert_int_eq(pthread_create(&h[i].thread, NULL, hammer_run, &h[i]), 0);
	}
}

START_TEST(threads_share_the_socket_with_commands_of_the_server)
{
	uint8_t mem[4096] = {0};
	struct hammer h[4];

	s.read_dma_between = true;
	s.dma_addr = 0x10000;
	open_with(&times);
	ck_assert_int_eq(dev->ops->dma_map(dev, mem, sizeof(mem), 0x10000, -1, 0, &e), 0);
	hammer(h, 4, 1500);
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(h[i].thread, NULL);
		ck_assert_uint_eq(h[i].wrong, 0);
		ck_assert_uint_eq(h[i].ones, 0);
	}
	ck_assert(srv_await_replies(&s, 6000));
	/* those that were asked while opening came before the mapping */
	ck_assert_uint_le(s.dma_errors, 10);
	ck_assert(!readable(dev->request_fd, 0));
}
END_TEST

START_TEST(all_threads_get_all_ones_when_the_server_dies)
{
	struct hammer h[4];

	open_with(&times);
	hammer(h, 4, 100000000);
	usleep(50000);
	srv_hang_up(&s);
	expect_gone();
	for (unsigned i = 0; i < 4; i++) {
		while (!__atomic_load_n(&h[i].ones, __ATOMIC_RELAXED))
			usleep(1000);
		__atomic_store_n(&h[i].n, 0, __ATOMIC_RELAXED);
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(h[i].thread, NULL);
		ck_assert_uint_eq(h[i].wrong, 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vfio-user end");
	TCase *tc = tcase_create("end");
	SRunner *run;
	int failed;

	tcase_add_checked_fixture(tc, vu_setup, vu_teardown);
	tcase_set_timeout(tc, 100);
	tcase_add_test(tc, slow_answer_within_the_deadline_is_fine);
	tcase_add_test(tc, answer_that_does_not_come_ends_the_connection_once);
	tcase_add_test(tc, server_that_reads_nothing_does_not_block_writes_for_ever);
	tcase_add_test(tc, access_behind_a_long_reset_waits_as_long_as_that);
	tcase_add_test(tc, device_without_reset_says_so);
	tcase_add_test(tc, server_that_hangs_up_is_noticed_without_asking);
	tcase_add_test(tc, log_says_why_the_device_is_gone_and_is_silent_at_close);
	tcase_add_test(tc, server_that_asks_for_the_device_is_heard);
	tcase_add_loop_test(tc, nonsense_out_of_the_blue_ends_the_connection, 0, ARRAY_SIZE(unasked));
	tcase_add_test(tc, threads_share_the_socket_with_commands_of_the_server);
	tcase_add_test(tc, all_threads_get_all_ones_when_the_server_dies);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed != 0;
}
