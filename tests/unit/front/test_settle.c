/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rings that go to the I/O thread of another lane. */
#include "tests/unit/run_suite.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "tests/unit/front/harness.h"

#define LIMIT_MS 30000u
#define NAA	 "naa.600507680c80"

static struct loop *second;
static pthread_t io[2];
static bool runs[2];
static pthread_t submitter;  /* the thread that took the last command */
static unsigned taken_by[2]; /* commands, of each thread */

static struct loop *loop_of(unsigned n)
{
	return n ? second : h.loop;
}

static void *io_main(void *arg)
{
	log_this_thread_is_io();
	loop_run(arg);
	return NULL;
}

static void io_start(unsigned n)
{
	ck_assert_int_eq(pthread_create(&io[n], NULL, io_main, loop_of(n)), 0);
	runs[n] = true;
}

static void io_join(unsigned n)
{
	if (!runs[n])
		return;
	loop_stop(loop_of(n));
	pthread_join(io[n], NULL);
	runs[n] = false;
}

static void on_submit(struct scsi_task *task)
{
	submitter = pthread_self();
	for (unsigned n = 0; n < 2; n++)
		taken_by[n] += runs[n] && pthread_equal(submitter, io[n]);
}

static void setup(void)
{
	harness_open(HARNESS_RING_BYTES, HARNESS_BLOCKS);
	ck_assert_int_eq(loop_create(&second), 0);
	harness_create();
	fake.unsettled = true;
	fake.lane_loop[0] = h.loop;
	fake.lane_loop[1] = second;
	fake.on_submit = on_submit;
	io_start(0);
	io_start(1);
}

static void teardown(void)
{
	if (h.r)
		front_destroy(h.r);
	for (unsigned n = 0; n < 2; n++)
		io_join(n);
	loop_destroy(second);
	loop_destroy(h.loop);
	model_fini(&h.m);
}

static void nothing(void *arg)
{
}

static unsigned aborts_seen;

static void look(void *arg)
{
	aborts_seen = fake.aborts;
}

static void finish_all(void *arg)
{
	fake_finish_all();
}

static void on_io(unsigned n, void (*fn)(void *arg))
{
	ck_assert_int_eq(loop_call(loop_of(n), fn, NULL, LIMIT_MS), 0);
}

static unsigned answers(const struct model_cmd *c)
{
	unsigned n;

	pthread_mutex_lock(&h.m.lock);
	n = c->answers;
	pthread_mutex_unlock(&h.m.lock);
	return n;
}

#define eventually(cond)                                                                                     \
	do {                                                                                                 \
		uint64_t due = clock_ns() + LIMIT_MS * NS_PER_MS;                                            \
		while (!(cond) && clock_ns() < due)                                                          \
			clock_sleep_ms(1);                                                                   \
		ck_assert_msg(cond, "%s", #cond);                                                            \
	} while (0)

static void settle(unsigned lane)
{
	struct err e = {""};

	ck_assert_msg(front_settle(h.r, lane, NAA, &e) == 0, "%s", e.text);
	ck_assert(!fake.unsettled);
	ck_assert_uint_eq(fake.lane, lane);
	ck_assert_str_eq(fake.naa, NAA);
}

/* A command that comes now is taken by the thread of this lane, and answered once. */
static void is_served_by(unsigned lane)
{
	struct model_cmd *c = harness_queue(0x8a, 99, MODEL_WRITE, 5000);

	eventually(front_outstanding(h.r) == 1);
	on_io(lane, nothing);
	ck_assert(pthread_equal(submitter, io[lane]));
	on_io(lane, finish_all);
	eventually(answers(c) == 1);
	ck_assert_uint_eq(c->status, 0);
	model_cmd_free(c);
}

START_TEST(a_ring_that_is_not_started_begins_on_its_lane)
{
	settle((unsigned)_i);
	ck_assert_int_eq(front_start(h.r, NULL), 0);
	is_served_by((unsigned)_i);
	ck_assert_int_eq(front_stop(h.r, 0), 0);
	ck_assert_ptr_null(h.r->ring.map);
}
END_TEST

START_TEST(a_ring_goes_on_where_it_was)
{
	ck_assert_int_eq(front_start(h.r, NULL), 0);
	for (unsigned i = 0; i < 100; i++)
		is_served_by(0);
	settle((unsigned)_i);
	for (unsigned i = 0; i < 100; i++)
		is_served_by((unsigned)_i);
	/* Once and for all, also for those who have another one in mind by now. */
	ck_assert_int_eq(front_settle(h.r, (unsigned)_i, NAA, NULL), 0);
	ck_assert_int_eq(front_settle(h.r, 1 - (unsigned)_i, NAA, NULL), 0);
	ck_assert_ptr_eq(h.r->loop, loop_of((unsigned)_i));
	ck_assert_uint_eq(h.r->lane, (unsigned)_i);
	is_served_by((unsigned)_i);
	ck_assert_uint_eq(front_outstanding(h.r), 0);
	ck_assert_int_eq(front_drain(h.r, LIMIT_MS), 0);
}
END_TEST

/* Those that wait for a controller that is away. */
START_TEST(commands_that_were_taken_go_with_it)
{
	struct model_cmd *c[8];

	ck_assert_int_eq(front_start(h.r, NULL), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(c); i++)
		c[i] = harness_queue(i % 2 ? 0x88 : 0x8a, i, i % 2 ? MODEL_READ : MODEL_WRITE, 512);
	eventually(front_outstanding(h.r) == ARRAY_SIZE(c));
	settle(1);
	ck_assert_uint_eq(fake.aborts, 0);
	on_io(1, finish_all);
	for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
		eventually(answers(c[i]) == 1);
		ck_assert_uint_eq(c[i]->status, 0);
		if (i % 2)
			ck_assert(harness_data_is(c[i], 512, 0));
		model_cmd_free(c[i]);
	}
	ck_assert_uint_eq(fake.bad_data, 0);
	is_served_by(1);
}
END_TEST

START_TEST(an_abort_that_waits_goes_with_it)
{
	struct model_cmd *c;
	uint16_t id;

	h.r->grace_ns = 300 * NS_PER_MS;
	ck_assert_int_eq(front_start(h.r, NULL), 0);
	c = harness_queue(0x88, 1, MODEL_READ, 512);
	id = c->id;
	eventually(front_outstanding(h.r) == 1);
	ck_assert_int_eq(model_tmr(&h.m, 1, &id, 1), 0);
	eventually(harness_stats().tmrs == 1);
	settle(1);
	io_join(0);
	for (unsigned n = 0; n < LIMIT_MS; n++) {
		on_io(1, look);
		if (aborts_seen)
			break;
		clock_sleep_ms(1);
	}
	ck_assert_uint_eq(aborts_seen, 1);
	on_io(1, finish_all);
	eventually(answers(c) == 1);
	model_cmd_free(c);
}
END_TEST

static unsigned settled; /* atomic */

/* Some are kept for the new thread. */
static void *queue_all(void *arg)
{
	struct model_cmd **c = arg;

	for (unsigned i = 0; i < 2000; i++) {
		while (i == 1900 && !__atomic_load_n(&settled, __ATOMIC_ACQUIRE))
			clock_sleep_ms(1);
		while (model_queue(&h.m, c[i]) != 0)
			clock_sleep_ms(1);
	}
	return NULL;
}

START_TEST(nothing_is_lost_or_done_twice_on_the_way)
{
	static struct model_cmd *c[2000];
	pthread_t initiator;

	fake.immediate = true;
	settled = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(c); i++)
		c[i] = model_cmd_new(0x8a, i, MODEL_WRITE, 1 + i % 3000);
	ck_assert_int_eq(front_start(h.r, NULL), 0);
	ck_assert_int_eq(pthread_create(&initiator, NULL, queue_all, c), 0);
	eventually(harness_stats().commands > 100);
	settle(1);
	__atomic_store_n(&settled, 1, __ATOMIC_RELEASE);
	pthread_join(initiator, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
		eventually(answers(c[i]) == 1);
		model_cmd_free(c[i]);
	}
	on_io(1, nothing);
	ck_assert_uint_gt(taken_by[0], 100);
	ck_assert_uint_ge(taken_by[1], 100);
	ck_assert_uint_eq(taken_by[0] + taken_by[1], ARRAY_SIZE(c));
	ck_assert_uint_eq(fake.submitted, ARRAY_SIZE(c));
	ck_assert_uint_eq(fake.bad_data, 0);
	ck_assert_uint_eq(h.m.bad_slots + h.m.unknown_ids, 0);
}
END_TEST

START_TEST(a_removed_device_goes_nowhere)
{
	struct err e = {""};

	ck_assert_int_eq(front_start(h.r, NULL), 0);
	model_remove(&h.m);
	eventually(front_dropped(h.r, NULL));
	ck_assert_int_eq(front_settle(h.r, 1, NAA, &e), -EIO);
	ck_assert_uint_gt(strlen(e.text), 10);
	ck_assert(fake.unsettled);
	ck_assert_int_eq(front_stop(h.r, 0), 0);
}
END_TEST

/* Neither thread need answer; the ring is somewhere, or on its way, and can be settled or stopped later. */
START_TEST(a_thread_that_hangs_gets_the_ring_later)
{
	struct err e = {""};

	ck_assert_int_eq(front_start(h.r, NULL), 0);
	is_served_by(0);
	io_join((unsigned)_i); /* hangs */
	ck_assert_int_eq(front_settle(h.r, 1, NAA, &e), -ETIMEDOUT);
	ck_assert(fake.unsettled);
	io_start((unsigned)_i);
	settle(1);
	is_served_by(1);
}
END_TEST

START_TEST(a_ring_on_its_way_can_be_stopped)
{
	struct model_cmd *c = harness_queue(0x88, 1, MODEL_READ, 512);

	ck_assert_int_eq(front_start(h.r, NULL), 0);
	eventually(front_outstanding(h.r) == 1);
	io_join(1);
	ck_assert_int_eq(front_settle(h.r, 1, NAA, NULL), -ETIMEDOUT);
	ck_assert_int_eq(front_stop(h.r, 0), 1);
	front_destroy(h.r);
	h.r = NULL;
	on_io(0, finish_all);
	io_start(1);
	on_io(1, nothing);
	ck_assert_uint_eq(answers(c), 0);
	model_cmd_free(c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("front settle");
	TCase *t = tcase_create("settle");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, a_ring_that_is_not_started_begins_on_its_lane, 0, 2);
	tcase_add_loop_test(t, a_ring_goes_on_where_it_was, 0, 2);
	tcase_add_test(t, commands_that_were_taken_go_with_it);
	tcase_add_test(t, an_abort_that_waits_goes_with_it);
	tcase_add_test(t, nothing_is_lost_or_done_twice_on_the_way);
	tcase_add_test(t, a_removed_device_goes_nowhere);
	tcase_add_loop_test(t, a_thread_that_hangs_gets_the_ring_later, 0, 2);
	tcase_add_test(t, a_ring_on_its_way_can_be_stopped);
	suite_add_tcase(s, t);
	return run_suite(s);
}
