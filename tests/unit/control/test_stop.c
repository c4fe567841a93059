/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stopping: the event, the gates, draining, and requests that come meanwhile. */
#include <stdlib.h>
#include "client.h"
#include "control/notify.h"
#include "control/worker.h"

static int gated_calls;
static bool gated_value;

static const unsigned back_s = 17;

static void on_done(bool gated, void *user)
{
	gated_calls++;
	gated_value = gated;
}

static void begin(void)
{
	gated_calls = 0;
	luns.state = HANDOFF_STOPPING;
	handoff_service_stopping(service, back_s, on_done, NULL);
}

static int watcher(void)
{
	int fd = client_connect();

	ck_assert_int_eq(client_plain(fd, HANDOFF_WATCH).head.status, 0);
	ck_assert(handoff_service_watched(service));
	return fd;
}

START_TEST(without_watcher_the_stop_goes_on_at_once)
{
	int fd = client_connect();

	client_plain(fd, HANDOFF_PING);
	begin();
	ck_assert_int_eq(gated_calls, 1);
	ck_assert(!gated_value);
	close(fd);
}
END_TEST

START_TEST(all_watchers_are_told_and_waited_for)
{
	int a = watcher(), b = watcher(), other = client_connect();

	client_plain(other, HANDOFF_PING);
	begin();
	client_expect_stopping(a, back_s);
	client_expect_stopping(b, back_s);
	ck_assert(!pump(other, 20));
	ck_assert_uint_eq(client_plain(a, HANDOFF_GATED).state, HANDOFF_STOPPING);
	ck_assert_int_eq(gated_calls, 0);
	client_plain(b, HANDOFF_GATED);
	ck_assert_int_eq(gated_calls, 1);
	ck_assert(gated_value);
	client_plain(b, HANDOFF_GATED);
	ck_assert_int_eq(gated_calls, 1);
	close(a);
	close(b);
	close(other);
}
END_TEST

START_TEST(silent_watcher_is_waited_for_a_bounded_time)
{
	int a = watcher();
	uint64_t start = clock_ns();

	begin();
	client_expect_stopping(a, back_s);
	pump_until(gated_calls);
	ck_assert_int_eq(gated_calls, 1);
	ck_assert(!gated_value);
	ck_assert_uint_ge((clock_ns() - start) / NS_PER_MS, HANDOFF_GATED_MS - 50);
	close(a);
}
END_TEST

START_TEST(watcher_that_goes_away_is_not_waited_for)
{
	int a = watcher();

	begin();
	close(a);
	pump(-1, 50);
	ck_assert_int_eq(gated_calls, 1);
	ck_assert(!gated_value);
}
END_TEST

START_TEST(watcher_that_comes_late_is_told_too)
{
	int a = watcher(), b;

	begin();
	b = watcher();
	client_expect_stopping(b, back_s);
	close(a);
	close(b);
}
END_TEST

START_TEST(stopping_hbad_takes_no_lun)
{
	int fd = client_connect();
	uint64_t handle = client_open(fd, "a", "hba/g2/ld0", 1).handle;
	struct handoff_open m = open_msg("b", "hba/g2/ld1", 1);

	luns.state = HANDOFF_STOPPING;
	m.known = 1;
	ck_assert_int_eq(client_send_open(fd, &m).head.status, -ESHUTDOWN);
	ck_assert_int_eq(client_check(fd, "hba/g2/ld1").head.status, -ESHUTDOWN);
	ck_assert_int_eq(client_handle(fd, HANDOFF_START, handle).head.status, -ESHUTDOWN);
	ck_assert(!fake_ring(0)->started);
	close(fd);
}
END_TEST

/* H2: a ring that is handed over on purpose is empty. */
START_TEST(gated_rings_are_drained_then_stopped)
{
	int fd = client_connect();

	client_serve(fd, "a", "hba/g2/ld0", 1);
	client_serve(fd, "b", "hba/g2/ld1", 1);
	fake_calls();
	luns.away = true;
	ck_assert_uint_eq(luns_drain(&luns, true, 1000), 0);
	luns.away = false;
	ck_assert_str_eq(fake_calls(), "drain a, stop a, drain b, stop b");
	ck_assert_int_eq(luns_release_all(&luns, NULL), 0);
	ck_assert_str_eq(fake_calls(), "destroy a, unlun ld0, destroy b, unlun ld1");
	close(fd);
}
END_TEST

START_TEST(open_gates_mean_stop_without_drain)
{
	int fd = client_connect();

	client_serve(fd, "a", "hba/g2/ld0", 1);
	fake_calls();
	ck_assert_uint_eq(luns_drain(&luns, false, 1000), 0);
	ck_assert_str_eq(fake_calls(), "stop a");
	close(fd);
}
END_TEST

/* H27: all rings together have one deadline. */
START_TEST(missed_rings_are_counted_and_the_time_is_shared)
{
	int fd = client_connect();

	client_serve(fd, "a", "hba/g2/ld0", 1);
	client_serve(fd, "b", "hba/g2/ld1", 1);
	fake.stop = 2;
	fake.stop_sleep_ms = 10000;
	ck_assert_uint_eq(luns_drain(&luns, false, 300), 2);
	/* The first one has used it up. */
	ck_assert_uint_le(fake_ring(0)->stop_ms, 300);
	ck_assert_uint_eq(fake_ring(1)->stop_ms, 0);
	/* Their commands are orphans now; the rings are given back all the same. */
	ck_assert_int_eq(luns_release_all(&luns, NULL), 0);
	ck_assert(fake_ring(0)->destroyed && fake_ring(1)->destroyed);
	ck_assert(!list_empty(&luns.all));
	close(fd);
}
END_TEST

START_TEST(close_waits_for_rings_that_are_away_and_hello_is_told)
{
	int fd = client_connect(), other = client_connect(), watch = client_connect();
	uint64_t a = client_serve(fd, "a", "hba/g2/ld0", 1);
	struct handoff_handle m = {.head = head_of(HANDOFF_CLOSE, sizeof(m)), .handle = a};
	struct handoff_reply r;

	luns.state = HANDOFF_STOPPING;
	luns.away = true;
	fake_calls();
	client_send(fd, &m, sizeof(m), -1, 0);
	ck_assert(!pump(fd, 50));
	r = client_hello(other, 2);
	ck_assert_int_eq(r.head.status, -EINPROGRESS);
	ck_assert_uint_eq(r.wait_ms, 0); /* nobody knows */
	luns.stop_until_ns = clock_ns() + 5000 * NS_PER_SEC;
	r = client_hello(other, 2);
	ck_assert_int_eq(r.head.status, -EINPROGRESS);
	ck_assert(r.wait_ms > 4900 * 1000 && r.wait_ms <= 5000 * 1000);
	luns.stop_until_ns = clock_ns() - NS_PER_SEC;
	ck_assert_uint_eq(client_hello(other, 2).wait_ms, 1);
	ck_assert_int_eq(client_plain(watch, HANDOFF_PING).head.status, 0);
	luns_tick(&luns);
	ck_assert_str_eq(fake_calls(), "");
	luns.away = false;
	ck_assert_int_eq(luns_release_all(&luns, NULL), 0);
	handoff_service_released(service);
	ck_assert_uint_eq(client_receive(fd).head.seq, m.head.seq);
	ck_assert_int_eq(client_hello(other, 2).head.status, 0);
	handoff_service_released(service);
	ck_assert(!pump(fd, 20));
	close(fd);
	close(other);
	close(watch);
}
END_TEST

START_TEST(idle_rings_are_let_go_of_before_draining)
{
	int fd = client_connect();
	uint64_t b;

	ck_assert_int_eq(client_open(fd, "a", "hba/g2/ld0", 1).head.status, 0);
	b = client_serve(fd, "b", "hba/g2/ld1", 1);
	luns_release_idle(&luns);
	ck_assert(fake_ring(0)->destroyed && !fake_ring(1)->destroyed);
	ck_assert_ptr_nonnull(luns_find(&luns, b));
	close(fd);
}
END_TEST

START_TEST(luns_end_without_io_thread_after_it_is_joined)
{
	int fd = client_connect();

	client_serve(fd, "a", "hba/g2/ld0", 1);
	fake.stop = 1;
	luns_release_all(&luns, NULL);
	ck_assert(!fake_ring(0)->lun->destroyed);
	luns.loop_gone = true;
	fake_ring(0)->lun->busy = 0;
	luns_tick(&luns);
	ck_assert(fake_ring(0)->lun->destroyed);
	ck_assert(list_empty(&luns.all));
	close(fd);
}
END_TEST

/* --- watchdog --- */

static unsigned take_beats(int fd)
{
	char text[256];
	unsigned n = 0;
	ssize_t len;

	pump(-1, 5);
	while ((len = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT)) > 0) {
		text[len] = 0;
		n += g_str_has_prefix(text, "WATCHDOG=1");
	}
	return n;
}

static unsigned count_beats(int fd, unsigned ms)
{
	uint64_t end = clock_ns() + ms * NS_PER_MS;
	unsigned n = 0;

	do {
		n += take_beats(fd);
	} while (clock_ns() < end);
	return n;
}

/* It goes on beating. */
static void expect_beats(int fd, unsigned n)
{
	uint64_t end = clock_ns() + FAKE_LIMIT_MS * NS_PER_MS;

	for (unsigned got = 0; got < n; got += take_beats(fd))
		ck_assert_msg(clock_ns() < end, "%u beats of %u", got, n);
}

/* H10: a hung I/O thread starves the watchdog. */
START_TEST(watchdog_is_fed_only_while_the_io_thread_moves)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/notify", temp_dir);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	setenv("NOTIFY_SOCKET", sa.sun_path, 1);
	setenv("WATCHDOG_USEC", "400000", 1);
	notify_watchdog_start(&fake_io);
	expect_beats(fd, 6);
	fakes_hang_io(true);
	count_beats(fd, LUNS_ALIVE_AGE_MS + 200);
	ck_assert_uint_eq(count_beats(fd, 800), 0);
	fakes_hang_io(false);
	expect_beats(fd, 1);
	notify_watchdog_stop();
	ck_assert_uint_eq(count_beats(fd, 500), 0);
	close(fd);
}
END_TEST

/* So does the handler's watch. */
START_TEST(a_ping_is_not_answered_while_any_io_thread_hangs)
{
	struct handoff_head h = head_of(HANDOFF_PING, sizeof(h));
	struct io io = fake_io;
	int fd;

	ck_assert_int_eq(loop_create(&io.loop[1]), 0);
	io.n_loops = io.n_threads = 2;
	luns.io = &io;
	fd = client_connect();
	client_plain(fd, HANDOFF_PING);
	clock_sleep_ms(LUNS_ALIVE_AGE_MS + 200);
	client_send(fd, &h, sizeof(h), -1, 0);
	ck_assert(!pump(fd, 300));
	/* It is no thread. */
	io.n_threads = 1;
	client_plain(fd, HANDOFF_PING);
	luns.io = &fake_io;
	loop_destroy(io.loop[1]);
	close(fd);
}
END_TEST

/* All have to move; this one has hung from the beginning. */
START_TEST(watchdog_is_starved_by_any_io_thread)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct io io = fake_io;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/notify", temp_dir);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	setenv("NOTIFY_SOCKET", sa.sun_path, 1);
	setenv("WATCHDOG_USEC", "400000", 1);
	ck_assert_int_eq(loop_create(&io.loop[1]), 0);
	io.n_loops = io.n_threads = 2;
	notify_watchdog_start(&io);
	expect_beats(fd, 1);
	count_beats(fd, LUNS_ALIVE_AGE_MS + 200);
	ck_assert_uint_eq(count_beats(fd, 800), 0);
	/* It is no thread. */
	io.n_threads = 1;
	expect_beats(fd, 1);
	notify_watchdog_stop();
	loop_destroy(io.loop[1]);
	close(fd);
}
END_TEST

/* --- worker --- */

static char order[8];
static unsigned jobs_run; /* atomic */

static void run_job(void *arg)
{
	clock_sleep_ms(10);
	strcat(order, arg);
	__atomic_add_fetch(&jobs_run, 1, __ATOMIC_RELEASE);
}

static void done_job(void *arg)
{
	strcat(order, "d");
}

START_TEST(jobs_run_in_order_and_end_on_the_main_loop)
{
	struct worker *w = worker_new();
	char one[] = "1", two[] = "2";

	order[0] = 0;
	jobs_run = 0;
	worker_push(w, run_job, done_job, one);
	worker_push(w, run_job, done_job, two);
	for (unsigned left = FAKE_LIMIT_MS; left && __atomic_load_n(&jobs_run, __ATOMIC_ACQUIRE) < 2; left--)
		clock_sleep_ms(1);
	ck_assert_str_eq(order, "12");
	pump_until(strlen(order) == 4);
	ck_assert_str_eq(order, "12dd");
	worker_free(w);
	worker_free(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stop");
	TCase *t = tcase_create("stop");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, service_start, service_stop);
	tcase_add_test(t, without_watcher_the_stop_goes_on_at_once);
	tcase_add_test(t, all_watchers_are_told_and_waited_for);
	tcase_add_test(t, silent_watcher_is_waited_for_a_bounded_time);
	tcase_add_test(t, watcher_that_goes_away_is_not_waited_for);
	tcase_add_test(t, watcher_that_comes_late_is_told_too);
	tcase_add_test(t, stopping_hbad_takes_no_lun);
	tcase_add_test(t, gated_rings_are_drained_then_stopped);
	tcase_add_test(t, open_gates_mean_stop_without_drain);
	tcase_add_test(t, missed_rings_are_counted_and_the_time_is_shared);
	tcase_add_test(t, close_waits_for_rings_that_are_away_and_hello_is_told);
	tcase_add_test(t, idle_rings_are_let_go_of_before_draining);
	tcase_add_test(t, luns_end_without_io_thread_after_it_is_joined);
	tcase_add_test(t, watchdog_is_fed_only_while_the_io_thread_moves);
	tcase_add_test(t, a_ping_is_not_answered_while_any_io_thread_hangs);
	tcase_add_test(t, watchdog_is_starved_by_any_io_thread);
	tcase_add_test(t, jobs_run_in_order_and_end_on_the_main_loop);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
