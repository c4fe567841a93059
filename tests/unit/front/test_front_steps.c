/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A ring that cannot be created or started, for each step: nothing stays mapped, open or allocated, and the uio
 * descriptor stays the caller's until it was taken over. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/front/harness.h"
#include "tests/unit/steps.h"

#define RING_BYTES (16 * 4096 - MODEL_CMDR_OFF)
#define BLOCKS	   256

/* A child may copy pages, which costs time only; a loop that is not woken looks again after a second. */
static const char *const dispensable[] = {"madvise", "write", NULL};

/* As the uio device does it, through a call that can fail. */
static void *map_step(int fd, uint64_t len, uint64_t offset)
{
	return steps_fail_here("the ring's mmap", EAGAIN) ? NULL : harness_os.map(fd, len, offset);
}

static int create(struct front_ring **ret, struct err *e)
{
	struct front_os os = harness_os;
	static struct front_os used;
	int fd = dup(h.m.event[0]), r;
	struct front_config cfg = {
		.uio_fd = fd, .map_len = h.m.map_len, .loop = h.loop, .name = "vol1", .cmd_time_out_s = 30};

	os.map = map_step;
	used = os;
	r = front_create_os(&cfg, &used, ret, e);
	if (r < 0)
		ck_assert_msg(fcntl(fd, F_GETFD) >= 0 && close(fd) == 0, "the caller's descriptor is closed");
	return r;
}

static int create_and_destroy(struct err *e)
{
	struct front_ring *r = NULL;
	int ret = create(&r, e);

	front_destroy(r);
	return ret;
}

/* On this thread, which plays the I/O thread, so that its calls are steps too. */
static int start_and_stop(struct err *e)
{
	struct front_ring *r = NULL;
	int ret = create(&r, e);

	if (ret < 0)
		return ret;
	ret = front_io_start(r, e);
	front_io_stop(r);
	front_put(r);
	return ret;
}

static void *io_main(void *arg)
{
	loop_run(h.loop);
	return NULL;
}

/* From the control thread, with an I/O thread behind it. */
static int live(struct err *e)
{
	struct front_ring *r = NULL;
	int ret = create(&r, e);

	if (ret < 0)
		return ret;
	ret = front_start(r, e);
	steps_up();
	front_destroy(r);
	return ret;
}

static void forget_ring_state(void)
{
	/* What a start on this ring left in the mailbox is its own affair. */
	h.m.mb->cmd_tail = h.m.mb->cmd_head = 0;
}

static void setup(void)
{
	harness_open(RING_BYTES, BLOCKS);
}

static void teardown(void)
{
	h.r = NULL;
	harness_close();
}

START_TEST(create_gives_everything_back)
{
	static const struct steps s = {.attempt = create_and_destroy,
		.before = forget_ring_state,
		.dispensable = dispensable,
		.at_least = 10};

	steps_run(&s);
}
END_TEST

START_TEST(start_gives_everything_back)
{
	static const struct steps s = {.attempt = start_and_stop,
		.before = forget_ring_state,
		.dispensable = dispensable,
		.at_least = 11};

	steps_run(&s);
	ck_assert(!fake.serving);
}
END_TEST

START_TEST(start_from_the_control_thread_gives_everything_back)
{
	static const struct steps s = {
		.attempt = live, .before = forget_ring_state, .dispensable = dispensable, .at_least = 12};
	pthread_t io;

	ck_assert_int_eq(pthread_create(&io, NULL, io_main, NULL), 0);
	steps_run(&s);
	loop_stop(h.loop);
	pthread_join(io, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("front steps");
	TCase *t = tcase_create("steps");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, create_gives_everything_back);
	tcase_add_test(t, start_gives_everything_back);
	tcase_add_test(t, start_from_the_control_thread_gives_everything_back);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
