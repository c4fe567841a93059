/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The event loop: descriptors, timers, hooks, messages. */
#include "main.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/loop.h"

static struct loop *l;
static char trail[64]; /* one letter for each callback */

static void left(char what)
{
	size_t n = strlen(trail);

	ck_assert_uint_lt(n, sizeof(trail) - 1);
	trail[n] = what;
	trail[n + 1] = '\0';
}

static void setup(void)
{
	trail[0] = '\0';
	ck_assert_int_eq(loop_create(&l), 0);
}

static void teardown(void)
{
	loop_destroy(l);
}

/* --- descriptors --- */

struct watch {
	struct loop_fd f;
	char letter;
	struct watch *victim; /* removed (and scribbled over) in the callback */
};

static void watch_cb(struct loop_fd *f, uint32_t events)
{
	struct watch *w = container_of(f, struct watch, f);

	ck_assert_uint_eq(events & EPOLLIN, EPOLLIN);
	left(w->letter);
	if (w->victim) {
		loop_del_fd(l, &w->victim->f);
		memset(&w->victim->f, 0xa5, sizeof(w->victim->f)); /* its owner frees it */
		w->victim = NULL;
	}
}

static void watch_init(struct watch *w, char letter)
{
	*w = (struct watch){.f = {.fd = eventfd(1, EFD_NONBLOCK), .cb = watch_cb}, .letter = letter};
	ck_assert_int_ge(w->f.fd, 0);
}

START_TEST(readable_descriptor_calls_back)
{
	struct watch w;

	watch_init(&w, 'a');
	ck_assert_int_eq(loop_add_fd(l, &w.f, EPOLLIN), 0);
	ck_assert_int_eq(loop_add_fd(l, &w.f, EPOLLIN), -EEXIST);
	ck_assert_int_eq(loop_once(l, 0), 0);
	ck_assert_int_eq(loop_once(l, 0), 0);
	ck_assert_str_eq(trail, "aa"); /* level triggered */
	loop_del_fd(l, &w.f);
	loop_del_fd(l, &w.f);
	loop_once(l, 0);
	ck_assert_str_eq(trail, "aa");
	ck_assert_int_eq(loop_add_fd(l, &w.f, EPOLLIN), 0);
	loop_once(l, 0);
	ck_assert_str_eq(trail, "aaa");
	loop_del_fd(l, &w.f);
	close(w.f.fd);
}
END_TEST

START_TEST(bad_descriptor_is_an_error)
{
	struct watch w = {.f = {.fd = -1, .cb = watch_cb}};

	ck_assert_int_eq(loop_add_fd(l, &w.f, EPOLLIN), -EBADF);
	ck_assert(!w.f.added);
}
END_TEST

START_TEST(removal_within_a_batch_drops_the_pending_event)
{
	struct watch a, b;
	int fds[2];

	/* Whichever comes first removes the other one. */
	watch_init(&a, 'a');
	watch_init(&b, 'b');
	a.victim = &b;
	b.victim = &a;
	fds[0] = a.f.fd;
	fds[1] = b.f.fd;
	loop_add_fd(l, &a.f, EPOLLIN);
	loop_add_fd(l, &b.f, EPOLLIN);
	loop_once(l, 0);
	ck_assert_uint_eq(strlen(trail), 1);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(removal_of_oneself)
{
	struct watch a;
	int fd;

	watch_init(&a, 'a');
	a.victim = &a;
	fd = a.f.fd;
	loop_add_fd(l, &a.f, EPOLLIN);
	loop_once(l, 0);
	loop_once(l, 0);
	ck_assert_str_eq(trail, "a");
	close(fd);
}
END_TEST

/* --- timers --- */

struct alarm {
	struct loop_timer t;
	char letter;
	unsigned again; /* re-arms itself so often, already due */
	struct alarm *victim;
};

static void alarm_cb(struct loop_timer *t)
{
	struct alarm *a = container_of(t, struct alarm, t);

	left(a->letter);
	if (a->again) {
		a->again--;
		loop_arm(l, t, 0);
	}
	if (a->victim)
		loop_disarm(&a->victim->t);
}

START_TEST(timers_run_in_order_of_time)
{
	struct alarm a = {.t.cb = alarm_cb, .letter = 'a'}, b = {.t.cb = alarm_cb, .letter = 'b'},
		     c = {.t.cb = alarm_cb, .letter = 'c'};
	uint64_t now = clock_ns();

	loop_arm(l, &a.t, now - 1);
	loop_arm(l, &b.t, now - 3);
	loop_arm(l, &c.t, now - 2);
	loop_once(l, 0);
	ck_assert_str_eq(trail, "bca");
	loop_once(l, 0);
	ck_assert_str_eq(trail, "bca"); /* once */
}
END_TEST

START_TEST(loop_wakes_for_a_timer)
{
	uint64_t took;
	unsigned left = 20;

	/* For the timer, not for the heartbeat, which comes once per second. A busy machine may be late, but not always. */
	do {
		struct alarm a = {.t.cb = alarm_cb, .letter = 'a'};
		uint64_t start = clock_ns();

		trail[0] = 0;
		loop_arm(l, &a.t, start + 20 * NS_PER_MS);
		while (!trail[0])
			loop_once(l, -1);
		took = clock_ns() - start;
		ck_assert_str_eq(trail, "a");
		ck_assert_uint_ge(took, 20 * NS_PER_MS);
	} while (took > 800 * NS_PER_MS && --left);
	ck_assert_uint_gt(left, 0);
}
END_TEST

START_TEST(rearming_moves_and_disarming_stops)
{
	struct alarm a = {.t.cb = alarm_cb, .letter = 'a'}, b = {.t.cb = alarm_cb, .letter = 'b'};

	loop_disarm(&a.t); /* never armed */
	loop_arm(l, &a.t, 0);
	loop_arm(l, &a.t, clock_ns() + 3600 * NS_PER_SEC);
	loop_arm(l, &b.t, 0);
	loop_disarm(&b.t);
	loop_once(l, 0);
	ck_assert_str_eq(trail, "");
	loop_arm(l, &a.t, 0);
	loop_once(l, 0);
	ck_assert_str_eq(trail, "a");
}
END_TEST

START_TEST(timer_disarms_another_that_is_due)
{
	struct alarm b = {.t.cb = alarm_cb, .letter = 'b'},
		     a = {.t.cb = alarm_cb, .letter = 'a', .victim = &b};

	loop_arm(l, &a.t, 1);
	loop_arm(l, &b.t, 2);
	loop_once(l, 0);
	loop_once(l, 0);
	ck_assert_str_eq(trail, "a");
}
END_TEST

static void endless_cb(struct loop_timer *t)
{
	loop_arm(l, t, 0);
}

START_TEST(timer_that_is_always_due_does_not_hold_the_loop)
{
	struct loop_timer t = {.cb = endless_cb};

	loop_arm(l, &t, 0);
	ck_assert_int_eq(loop_once(l, 0), 0); /* returns */
	loop_disarm(&t);
}
END_TEST

/* --- hooks --- */

struct hook {
	struct loop_hook h;
	char letter;
	unsigned progress; /* so often it says that it did something */
	unsigned calls;
};

static bool hook_cb(struct loop_hook *h)
{
	struct hook *k = container_of(h, struct hook, h);

	k->calls++;
	if (strlen(trail) < 40)
		left(k->letter);
	return k->progress && k->progress--;
}

START_TEST(hooks_run_in_order_until_all_are_content)
{
	struct hook a = {.h.cb = hook_cb, .letter = 'a'}, b = {.h.cb = hook_cb, .letter = 'b', .progress = 2},
		    c = {.h.cb = hook_cb, .letter = 'c'};

	loop_add_hook(l, &a.h);
	loop_add_hook(l, &b.h);
	loop_add_hook(l, &c.h);
	loop_once(l, 0);
	ck_assert_str_eq(trail, "abcabcabc");
	loop_del_hook(&b.h);
	loop_del_hook(&b.h);
	loop_once(l, 0);
	ck_assert_str_eq(trail, "abcabcabcac");
	loop_del_hook(&a.h);
	loop_del_hook(&c.h);
}
END_TEST

START_TEST(hooks_that_feed_each_other_do_not_hold_the_loop)
{
	struct hook a = {.h.cb = hook_cb, .letter = 'a', .progress = 1000000};
	unsigned calls, left = 20;
	uint64_t start;

	loop_add_hook(l, &a.h);
	loop_once(l, 0);
	calls = a.calls;
	ck_assert_uint_ge(calls, 2);
	ck_assert_uint_lt(calls, 1000);
	/* and the next iteration does not sleep, because work is left: of several not all are late */
	do {
		start = clock_ns();
		calls = a.calls;
		loop_once(l, 900);
		ck_assert_uint_gt(a.calls, calls);
	} while (clock_ns() - start > 500 * NS_PER_MS && --left);
	ck_assert_uint_gt(left, 0);
	loop_del_hook(&a.h);
}
END_TEST

START_TEST(callbacks_come_before_hooks)
{
	struct hook k = {.h.cb = hook_cb, .letter = 'h'};
	struct alarm t = {.t.cb = alarm_cb, .letter = 't'};
	struct watch w;

	watch_init(&w, 'f');
	loop_add_hook(l, &k.h);
	loop_add_fd(l, &w.f, EPOLLIN);
	loop_arm(l, &t.t, 0);
	loop_once(l, 0);
	ck_assert_str_eq(trail, "fth");
	loop_del_fd(l, &w.f);
	loop_del_hook(&k.h);
	close(w.f.fd);
}
END_TEST

/* --- messages --- */

struct note {
	struct loop_msg m;
	char letter;
	unsigned again;
};

static void note_cb(struct loop_msg *m)
{
	struct note *n = container_of(m, struct note, m);

	left(n->letter);
	if (n->again) {
		n->again--;
		loop_post(l, m);
	}
}

START_TEST(messages_come_in_the_order_of_posting)
{
	struct note n[5];

	for (int i = 0; i < 5; i++) {
		n[i] = (struct note){.m.cb = note_cb, .letter = (char)('0' + i)};
		loop_post(l, &n[i].m);
	}
	loop_once(l, 0);
	ck_assert_str_eq(trail, "01234");
}
END_TEST

START_TEST(message_may_be_posted_again_from_its_callback)
{
	struct note n = {.m.cb = note_cb, .letter = 'n', .again = 3};

	loop_post(l, &n.m);
	for (int i = 0; i < 5; i++)
		loop_once(l, 0);
	ck_assert_str_eq(trail, "nnnn");
}
END_TEST

static void free_cb(struct loop_msg *m)
{
	left('x');
	free(m);
}

START_TEST(message_may_be_freed_by_its_callback)
{
	for (int i = 0; i < 3; i++) {
		struct loop_msg *m = calloc(1, sizeof(*m));

		m->cb = free_cb;
		loop_post(l, m);
	}
	loop_once(l, 0);
	ck_assert_str_eq(trail, "xxx");
}
END_TEST

/* --- threads --- */

static void *loop_main(void *arg)
{
	ck_assert_int_eq(loop_run(l), 0);
	return NULL;
}

#define POSTERS 4
#define POSTS	2000

static unsigned counted; /* by the loop's thread */
static unsigned last_of[POSTERS];

struct numbered {
	struct loop_msg m;
	unsigned poster, n;
};

static void count_cb(struct loop_msg *m)
{
	struct numbered *n = container_of(m, struct numbered, m);

	ck_assert_uint_eq(n->n, last_of[n->poster] + 1); /* in order, per poster */
	last_of[n->poster] = n->n;
	counted++;
	free(n);
}

static void *poster_main(void *arg)
{
	for (unsigned i = 1; i <= POSTS; i++) {
		struct numbered *n = calloc(1, sizeof(*n));

		n->m.cb = count_cb;
		n->poster = (unsigned)(uintptr_t)arg;
		n->n = i;
		loop_post(l, &n->m);
	}
	return NULL;
}

static void nothing(void *arg)
{
}

START_TEST(messages_of_many_threads_all_arrive)
{
	pthread_t io, poster[POSTERS];

	pthread_create(&io, NULL, loop_main, NULL);
	for (unsigned i = 0; i < POSTERS; i++)
		pthread_create(&poster[i], NULL, poster_main, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < POSTERS; i++)
		pthread_join(poster[i], NULL);
	ck_assert_int_eq(loop_call(l, nothing, NULL, 60000), 0);
	loop_stop(l);
	pthread_join(io, NULL);
	ck_assert_uint_eq(counted, POSTERS * POSTS);
}
END_TEST

static pthread_t called_on;

static void note_thread(void *arg)
{
	called_on = pthread_self();
	*(int *)arg = 7;
}

START_TEST(call_runs_there_and_waits)
{
	pthread_t io;
	int value = 0;

	pthread_create(&io, NULL, loop_main, NULL);
	ck_assert_int_eq(loop_call(l, note_thread, &value, 60000), 0);
	ck_assert_int_eq(value, 7);
	ck_assert(pthread_equal(called_on, io));
	loop_stop(l);
	pthread_join(io, NULL);
}
END_TEST

static unsigned stalled, released; /* atomic */

static void stall(void *arg)
{
	__atomic_store_n(&stalled, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&released, __ATOMIC_ACQUIRE))
		clock_sleep_ms(1);
}

static int late_value;

START_TEST(call_gives_up_and_runs_later)
{
	struct note block = {.m.cb = note_cb, .letter = 'z'};
	uint64_t start;

	/* Nobody runs the loop. */
	start = clock_ns();
	ck_assert_int_eq(loop_call(l, note_thread, &late_value, 30), -ETIMEDOUT);
	ck_assert_uint_ge(clock_ns() - start, 30 * NS_PER_MS);
	ck_assert_int_eq(late_value, 0);
	loop_post(l, &block.m);
	loop_once(l, 0);
	ck_assert_int_eq(late_value, 7);
	ck_assert_str_eq(trail, "z");
}
END_TEST

#define ALL_LOOPS  3
#define ALL_ROUNDS 500

static struct {
	struct loop_all all;
	struct loop *loop[ALL_LOOPS];
	pthread_t thread[ALL_LOOPS];
	pthread_barrier_t known; /* whose thread is whose, before any loop runs */
	unsigned ran[ALL_LOOPS]; /* each written by its own thread alone, and read after all of them */
	unsigned rounds;
	unsigned over; /* atomic */
} every;

static void *every_main(void *arg)
{
	unsigned n = (unsigned)(uintptr_t)arg;

	every.thread[n] = pthread_self();
	pthread_barrier_wait(&every.known);
	loop_run(every.loop[n]);
	return NULL;
}

static void every_fn(struct loop_all *a, unsigned n)
{
	ck_assert(pthread_equal(pthread_self(), every.thread[n]));
	every.ran[n]++;
}

static void every_done(struct loop_all *a)
{
	ck_assert(pthread_equal(pthread_self(), every.thread[1]));
	every.rounds++;
	for (unsigned i = 0; i < ALL_LOOPS; i++)
		ck_assert_uint_eq(every.ran[i], every.rounds);
	if (every.rounds < ALL_ROUNDS)
		loop_post_all(a, every.loop, ALL_LOOPS, every.loop[1]);
	else
		__atomic_store_n(&every.over, 1, __ATOMIC_RELEASE);
}

/* Also shows that its memory is free for another round as soon as done() begins. */
START_TEST(message_to_all_loops_is_over_when_all_have_run_it)
{
	pthread_t thread[ALL_LOOPS];

	every.all.fn = every_fn;
	every.all.done = every_done;
	for (unsigned i = 0; i < ALL_LOOPS; i++)
		ck_assert_int_eq(loop_create(&every.loop[i]), 0);
	loop_post_all(&every.all, every.loop, ALL_LOOPS, every.loop[1]);
	pthread_barrier_init(&every.known, NULL, ALL_LOOPS);
	for (unsigned i = 0; i < ALL_LOOPS; i++)
		pthread_create(&thread[i], NULL, every_main, (void *)(uintptr_t)i);
	while (!__atomic_load_n(&every.over, __ATOMIC_ACQUIRE))
		clock_sleep_ms(1);
	for (unsigned i = 0; i < ALL_LOOPS; i++) {
		loop_stop(every.loop[i]);
		pthread_join(thread[i], NULL);
		loop_destroy(every.loop[i]);
	}
	ck_assert_uint_eq(every.rounds, ALL_ROUNDS);
}
END_TEST

START_TEST(message_to_all_loops_waits_for_the_last)
{
	struct loop *loops[2] = {l, NULL};

	every.all.fn = every_fn;
	every.all.done = every_done;
	every.thread[0] = every.thread[1] = pthread_self();
	every.rounds = ALL_ROUNDS - 1;
	every.ran[0] = every.ran[1] = ALL_ROUNDS - 1;
	every.ran[2] = ALL_ROUNDS;
	ck_assert_int_eq(loop_create(&loops[1]), 0);
	loop_post_all(&every.all, loops, 2, l);
	loop_once(l, 0);
	loop_once(l, 0);
	ck_assert_uint_eq(every.ran[0], ALL_ROUNDS);
	ck_assert_uint_eq(every.rounds, ALL_ROUNDS - 1);
	loop_once(loops[1], 0);
	ck_assert_uint_eq(every.rounds, ALL_ROUNDS - 1); /* not here: on l */
	loop_once(l, 0);
	ck_assert_uint_eq(every.rounds, ALL_ROUNDS);
	loop_destroy(loops[1]);
}
END_TEST

START_TEST(stop_ends_the_run)
{
	pthread_t io;

	pthread_create(&io, NULL, loop_main, NULL);
	clock_sleep_ms(5);
	loop_stop(l);
	pthread_join(io, NULL);
	/* and it can run again */
	pthread_create(&io, NULL, loop_main, NULL);
	ck_assert_int_eq(loop_call(l, nothing, NULL, 60000), 0);
	loop_stop(l);
	pthread_join(io, NULL);
}
END_TEST

START_TEST(heart_beats_in_sleep_and_stops_in_a_stall)
{
	pthread_t io;
	uint64_t beat;

	stalled = released = 0;
	pthread_create(&io, NULL, loop_main, NULL);
	/* Nothing to do: it wakes each second all the same. */
	for (unsigned i = 0; i < 2; i++) {
		beat = loop_heartbeat_ns(l);
		while (loop_heartbeat_ns(l) == beat)
			clock_sleep_ms(5);
	}
	ck_assert_int_eq(loop_call(l, stall, NULL, 20), -ETIMEDOUT);
	while (!__atomic_load_n(&stalled, __ATOMIC_ACQUIRE))
		clock_sleep_ms(1);
	beat = loop_heartbeat_ns(l);
	clock_sleep_ms(1200);
	ck_assert_uint_eq(loop_heartbeat_ns(l), beat);
	__atomic_store_n(&released, 1, __ATOMIC_RELEASE);
	loop_stop(l);
	pthread_join(io, NULL);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("loop");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, readable_descriptor_calls_back);
	tcase_add_test(c, bad_descriptor_is_an_error);
	tcase_add_test(c, removal_within_a_batch_drops_the_pending_event);
	tcase_add_test(c, removal_of_oneself);
	tcase_add_test(c, timers_run_in_order_of_time);
	tcase_add_test(c, loop_wakes_for_a_timer);
	tcase_add_test(c, rearming_moves_and_disarming_stops);
	tcase_add_test(c, timer_disarms_another_that_is_due);
	tcase_add_test(c, timer_that_is_always_due_does_not_hold_the_loop);
	tcase_add_test(c, hooks_run_in_order_until_all_are_content);
	tcase_add_test(c, hooks_that_feed_each_other_do_not_hold_the_loop);
	tcase_add_test(c, callbacks_come_before_hooks);
	tcase_add_test(c, messages_come_in_the_order_of_posting);
	tcase_add_test(c, message_may_be_posted_again_from_its_callback);
	tcase_add_test(c, message_may_be_freed_by_its_callback);
	tcase_add_test(c, messages_of_many_threads_all_arrive);
	tcase_add_test(c, call_runs_there_and_waits);
	tcase_add_test(c, call_gives_up_and_runs_later);
	tcase_add_test(c, message_to_all_loops_is_over_when_all_have_run_it);
	tcase_add_test(c, message_to_all_loops_waits_for_the_last);
	tcase_add_test(c, stop_ends_the_run);
	tcase_add_test(c, heart_beats_in_sleep_and_stops_in_a_stall);
	return run_case(c, "loop");
}
