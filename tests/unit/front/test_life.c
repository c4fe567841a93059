/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rings from the control thread's side, with a real I/O thread. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/unit/front/harness.h"

#define RING_BYTES (16 * 4096 - MODEL_CMDR_OFF)
#define BLOCKS	   256

static pthread_t io;
static bool io_runs;

static void *io_main(void *arg)
{
	log_this_thread_is_io();
	loop_run(h.loop);
	return NULL;
}

static void io_start(void)
{
	ck_assert_int_eq(pthread_create(&io, NULL, io_main, NULL), 0);
	io_runs = true;
}

static void io_join(void)
{
	if (!io_runs)
		return;
	loop_stop(h.loop);
	pthread_join(io, NULL);
	io_runs = false;
}

static void setup_idle(void)
{
	harness_open(RING_BYTES, BLOCKS);
}

static void setup(void)
{
	setup_idle();
	harness_create();
	io_start();
}

static void teardown(void)
{
	if (h.r)
		front_destroy(h.r);
	io_join();
	loop_destroy(h.loop);
	model_fini(&h.m);
}

#define LIMIT_MS 30000u /* for what must come, however slow the machine */

static void finish_all(void *arg)
{
	fake_finish_all();
}

static void abort_all(void *arg)
{
	while (fake.n)
		fake_status(fake.task[0], SCSI_TASK_ABORTED);
}

static void on_io(void (*fn)(void *))
{
	ck_assert_int_eq(loop_call(h.loop, fn, NULL, LIMIT_MS), 0);
}

/* Waits for what the I/O thread does. */
#define eventually(cond)                                                                                     \
	do {                                                                                                 \
		uint64_t due = clock_ns() + LIMIT_MS * NS_PER_MS;                                            \
		while (!(cond) && clock_ns() < due)                                                          \
			clock_sleep_ms(1);                                                                   \
		ck_assert_msg(cond, "%s", #cond);                                                            \
	} while (0)

static unsigned answers(const struct model_cmd *c)
{
	unsigned n;

	pthread_mutex_lock(&h.m.lock);
	n = c->answers;
	pthread_mutex_unlock(&h.m.lock);
	return n;
}

/* --- create --- */

static int create(uint64_t map_len, struct err *e)
{
	const struct front_config cfg = {
		.uio_fd = h.m.memfd,
		.map_len = map_len,
		.loop = h.loop,
		.name = "disk1",
	};

	return front_create(&cfg, &h.r, e);
}

/* H5: no other page is touched before START. */
START_TEST(create_touches_nothing_but_the_mailbox_page)
{
	struct err err = {0};
	int keep = dup(h.m.memfd);

	/* Every page behind the first is a bus error, as a page that the kernel never allocated is. */
	ck_assert_int_eq(ftruncate(h.m.memfd, 4096), 0);
	ck_assert_msg(create(h.m.map_len, &err) == 0, "%s", err.text);
	front_destroy(h.r);
	h.r = NULL;
	h.m.memfd = keep;
}
END_TEST

START_TEST(destroy_without_start_closes_and_unmaps)
{
	int keep = dup(h.m.memfd);
	int fd = h.m.memfd;

	ck_assert_int_eq(create(h.m.map_len, NULL), 0);
	front_destroy(h.r);
	h.r = NULL;
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	h.m.memfd = keep;
	front_destroy(NULL);
}
END_TEST

START_TEST(a_failed_create_leaves_the_descriptor_and_says_why)
{
	struct err err = {0};

	ck_assert_int_lt(create(0, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "disk1"));
	memset(&err, 0, sizeof(err));
	h.m.mb->version = 9;
	ck_assert_int_eq(create(h.m.map_len, &err), -EPROTO);
	ck_assert_uint_gt(strlen(err.text), 20);
	ck_assert_ptr_null(h.r);
	ck_assert_int_ge(fcntl(h.m.memfd, F_GETFD), 0);
}
END_TEST

START_TEST(a_bad_descriptor_is_an_error)
{
	const struct front_config cfg = {.uio_fd = 999, .map_len = h.m.map_len, .loop = h.loop, .name = "x"};
	struct err err = {0};

	ck_assert_int_eq(front_create(&cfg, &h.r, &err), -EBADF);
	ck_assert_uint_gt(strlen(err.text), 10);
}
END_TEST

/* H19: no child inherits the descriptor. */
START_TEST(the_descriptor_is_made_non_blocking_and_private)
{
	int keep = dup(h.m.memfd);

	ck_assert_int_eq(fcntl(h.m.memfd, F_SETFL, 0), 0);
	ck_assert_int_eq(create(h.m.map_len, NULL), 0);
	ck_assert_int_ne(fcntl(h.r->fd.fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(fcntl(h.r->fd.fd, F_GETFD), FD_CLOEXEC);
	front_destroy(h.r);
	h.r = NULL;
	h.m.memfd = keep;
}
END_TEST

/* --- the uio operations --- */

/* H19: a child of ours that kept the mapping would keep the device open: EBUSY for the next owner. */
START_TEST(a_child_does_not_get_the_mapping)
{
	int keep = dup(h.m.memfd), status;
	unsigned char in_core;
	pid_t pid;

	ck_assert_int_eq(create(h.m.map_len, NULL), 0);
	ck_assert_int_eq(mincore(h.r->ring.map, 4096, &in_core), 0);
	pid = fork();
	if (!pid)
		_exit(mincore(h.r->ring.map, 4096, &in_core) < 0 && errno == ENOMEM ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	front_destroy(h.r);
	h.r = NULL;
	h.m.memfd = keep;
}
END_TEST

/* H19: the count is four bytes, anything else the end. */
START_TEST(an_event_is_read_as_four_bytes)
{
	const uint32_t count = 7;
	uint8_t got[8];

	signal(SIGPIPE, SIG_IGN); /* a uio device has none */
	ck_assert_int_eq(front_os_uio.ack(h.m.event[0]), -EAGAIN);
	ck_assert_int_eq(write(h.m.event[1], &count, 4), 4);
	ck_assert_int_eq(front_os_uio.ack(h.m.event[0]), 0);
	ck_assert_int_eq(front_os_uio.ack(h.m.event[0]), -EAGAIN);
	ck_assert_int_eq(front_os_uio.kick(h.m.event[0]), 0);
	ck_assert_int_eq(read(h.m.event[1], got, 8), 4);
	/* anything else than four bytes is no uio device */
	ck_assert_int_eq(write(h.m.event[1], &count, 2), 2);
	ck_assert_int_eq(front_os_uio.ack(h.m.event[0]), -EIO);
	close(h.m.event[1]);
	h.m.event[1] = -1;
	ck_assert_int_eq(front_os_uio.ack(h.m.event[0]), -EIO);
	ck_assert_int_eq(front_os_uio.kick(h.m.event[0]), -EPIPE);
	ck_assert_int_eq(front_os_uio.ack(-1), -EBADF);
}
END_TEST

/* --- start, drain, stop, destroy --- */

START_TEST(nothing_is_consumed_before_start)
{
	struct model_cmd *c = harness_queue(0x88, 1, MODEL_READ, 512);
	struct err err = {0};

	fake.immediate = true;
	clock_sleep_ms(30);
	ck_assert_uint_eq(answers(c), 0);
	ck_assert_int_eq(front_start(h.r, &err), 0);
	eventually(answers(c) == 1);
	ck_assert_int_eq(front_stop(h.r, 0), 0);
	ck_assert_ptr_null(h.r->ring.map);
	model_cmd_free(c);
}
END_TEST

START_TEST(start_says_what_is_wrong_with_the_ring)
{
	struct err err = {0};

	model_set_position(&h.m, 4);
	ck_assert_int_eq(front_start(h.r, &err), -EIO);
	ck_assert_uint_gt(strlen(err.text), 20);
	ck_assert_int_eq(front_stop(h.r, 0), 0);
}
END_TEST

/* H27: every drain has a deadline. */
START_TEST(drain_waits_for_the_commands_and_gives_up_in_time)
{
	struct model_cmd *c = harness_queue(0x88, 1, MODEL_READ, 512);
	uint64_t t;

	ck_assert_int_eq(front_start(h.r, NULL), 0);
	t = clock_ns();
	ck_assert_int_eq(front_drain(h.r, 50), -ETIMEDOUT);
	ck_assert_uint_ge(clock_ns() - t, 50 * NS_PER_MS);
	on_io(finish_all);
	ck_assert_int_eq(front_drain(h.r, LIMIT_MS), 0);
	ck_assert_uint_eq(answers(c), 1);
	ck_assert_uint_eq(front_outstanding(h.r), 0);
	model_cmd_free(c);
}
END_TEST

static void *finish_later(void *arg)
{
	clock_sleep_ms(40);
	loop_call(h.loop, finish_all, NULL, LIMIT_MS);
	return NULL;
}

START_TEST(stop_waits_for_commands_at_the_controller)
{
	struct model_cmd *c = harness_queue(0x88, 1, MODEL_READ, 512);
	pthread_t other;

	ck_assert_int_eq(front_start(h.r, NULL), 0);
	eventually(front_outstanding(h.r) == 1);
	ck_assert_int_eq(pthread_create(&other, NULL, finish_later, NULL), 0);
	ck_assert_int_eq(front_stop(h.r, LIMIT_MS), 0);
	ck_assert_uint_eq(answers(c), 1);
	ck_assert(harness_data_is(c, 512, 0));
	pthread_join(other, NULL);
	model_cmd_free(c);
}
END_TEST

START_TEST(orphans_outlive_the_ring)
{
	struct model_cmd *c = harness_queue(0x88, 1, MODEL_READ, 8192);
	int fd = h.r->fd.fd;
	uint8_t before[8192];

	ck_assert_int_eq(front_start(h.r, NULL), 0);
	eventually(front_outstanding(h.r) == 1);
	memcpy(before, h.m.map + h.m.data_off, sizeof(before));
	ck_assert_int_eq(front_stop(h.r, 20), 1);
	ck_assert_int_eq(front_stop(h.r, 20), 1); /* again does no harm */
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	ck_assert_uint_eq(front_outstanding(h.r), 1);
	front_destroy(h.r);
	h.r = NULL;
	ck_assert_uint_eq(fake.aborts, 1);
	on_io(finish_all);
	ck_assert_mem_eq(h.m.map + h.m.data_off, before, sizeof(before));
	ck_assert_uint_eq(c->answers, 0);
	ck_assert_uint_eq(model_tail(&h.m), 0);
	model_cmd_free(c);
}
END_TEST

START_TEST(destroy_stops_a_running_ring)
{
	struct model_cmd *c = harness_queue(0x88, 1, MODEL_READ, 512);

	ck_assert_int_eq(front_start(h.r, NULL), 0);
	eventually(front_outstanding(h.r) == 1);
	front_destroy(h.r);
	h.r = NULL;
	on_io(abort_all);
	model_cmd_free(c);
}
END_TEST

START_TEST(removal_is_seen_from_the_control_thread)
{
	const char *why = NULL;

	ck_assert_int_eq(front_start(h.r, NULL), 0);
	ck_assert(!front_dropped(h.r, &why));
	ck_assert_ptr_null(why);
	model_remove(&h.m);
	eventually(front_dropped(h.r, &why));
	ck_assert_str_eq(why, "the kernel removed the device");
	ck_assert_int_eq(front_drain(h.r, 1000), -EIO);
	ck_assert_int_eq(front_stop(h.r, 1000), 0);
}
END_TEST

START_TEST(a_thread_that_does_not_answer_does_not_start_the_ring_later)
{
	struct model_cmd *c = harness_queue(0x88, 1, MODEL_READ, 512);
	struct err err = {0};

	io_join(); /* hangs */
	ck_assert_int_eq(front_start(h.r, &err), -ETIMEDOUT);
	ck_assert_uint_gt(strlen(err.text), 20);
	front_destroy(h.r);
	h.r = NULL;
	io_start(); /* runs again */
	clock_sleep_ms(30);
	on_io(finish_all);
	ck_assert_uint_eq(fake.submitted, 0);
	ck_assert_uint_eq(answers(c), 0);
	model_cmd_free(c);
}
END_TEST

START_TEST(a_thread_that_does_not_answer_lets_go_when_it_does)
{
	struct model_cmd *c = harness_queue(0x88, 1, MODEL_READ, 512);
	int fd = h.r->fd.fd;

	ck_assert_int_eq(front_start(h.r, NULL), 0);
	eventually(front_outstanding(h.r) == 1);
	io_join();
	ck_assert_int_eq(front_stop(h.r, 0), -ETIMEDOUT);
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	front_destroy(h.r);
	h.r = NULL;
	io_start();
	on_io(finish_all);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	model_cmd_free(c);
}
END_TEST

/* --- load --- */

#define LOAD 30000

static void queue_soon(struct model_cmd *c)
{
	int ret;

	while ((ret = model_queue(&h.m, c)) == -ENOSPC)
		clock_sleep_ms(1);
	must(ret == 0);
}

START_TEST(a_loaded_ring_can_be_drained_and_stopped)
{
	static struct model_cmd *c[LOAD];
	struct front_stats st;

	fake.immediate = true;
	ck_assert_int_eq(front_start(h.r, NULL), 0);
	for (unsigned i = 0; i < LOAD; i++) {
		c[i] = model_cmd_new(i % 2 ? 0x88 : 0x8a, i, i % 2 ? MODEL_READ : MODEL_WRITE, 1 + i % 5000);
		queue_soon(c[i]);
		if (i % 512 == 0)
			front_get_stats(h.r, &st);
	}
	ck_assert_int_eq(front_drain(h.r, LIMIT_MS), 0);
	ck_assert_int_eq(front_stop(h.r, 0), 0);
	front_get_stats(h.r, &st);
	ck_assert_uint_eq(st.commands, LOAD);
	ck_assert_uint_eq(st.completions, LOAD);
	ck_assert_uint_eq(fake.bad_data, 0);
	for (unsigned i = 0; i < LOAD; i++) {
		if (c[i]->answers != 1 || (i % 2 && !harness_data_is(c[i], c[i]->len, 0)))
			ck_abort_msg("command %u", i);
		model_cmd_free(c[i]);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("front-life");
	TCase *t = tcase_create("create");

	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, setup_idle, teardown);
	tcase_add_test(t, create_touches_nothing_but_the_mailbox_page);
	tcase_add_test(t, destroy_without_start_closes_and_unmaps);
	tcase_add_test(t, a_failed_create_leaves_the_descriptor_and_says_why);
	tcase_add_test(t, a_bad_descriptor_is_an_error);
	tcase_add_test(t, the_descriptor_is_made_non_blocking_and_private);
	tcase_add_test(t, a_child_does_not_get_the_mapping);
	tcase_add_test(t, an_event_is_read_as_four_bytes);
	suite_add_tcase(s, t);

	t = tcase_create("life");
	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, nothing_is_consumed_before_start);
	tcase_add_test(t, start_says_what_is_wrong_with_the_ring);
	tcase_add_test(t, drain_waits_for_the_commands_and_gives_up_in_time);
	tcase_add_test(t, stop_waits_for_commands_at_the_controller);
	tcase_add_test(t, orphans_outlive_the_ring);
	tcase_add_test(t, destroy_stops_a_running_ring);
	tcase_add_test(t, removal_is_seen_from_the_control_thread);
	suite_add_tcase(s, t);

	t = tcase_create("slow");
	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_thread_that_does_not_answer_does_not_start_the_ring_later);
	tcase_add_test(t, a_thread_that_does_not_answer_lets_go_when_it_does);
	tcase_add_test(t, a_loaded_ring_can_be_drained_and_stopped);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
