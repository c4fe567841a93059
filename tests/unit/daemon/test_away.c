/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Losing a controller, letting go of it, and what a stop does in between. The test plays the worker thread. */
#include "daemon/away.c"
#include "run_suite.h"

static struct hbad d;
static struct hba hba;
static void (*job)(void *arg), (*job_done)(void *arg);
static void *job_arg;
static char calls[256]; /* what was done to host and controller, in order */
static unsigned boots;

/* --- the layers below --- */

static void note(const char *word)
{
	g_strlcat(calls, word, sizeof(calls));
}

void scsi_host_detach(struct scsi_host *s, enum scsi_gate why)
{
	note(why == SCSI_GATE_GONE ? "gone " : why == SCSI_GATE_BECOMING_READY ? "ready " : "? ");
}

int hba_stop(struct hba *h)
{
	ck_assert_ptr_eq(h, &hba);
	note("stop ");
	return 0;
}

void hba_close(struct hba *h)
{
	ck_assert_ptr_eq(h, &hba);
	note("close ");
}

void worker_push(struct worker *w, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
	ck_assert_ptr_null(job);
	job = run;
	job_done = done;
	job_arg = arg;
}

void hbad_boot(struct hbad *self, bool again)
{
	ck_assert(again);
	boots++;
}

void hbad_status(struct hbad *self, const char *fmt, ...)
{
}

static int looked; /* what hbad_returned_not() heard last */

void hbad_returned_not(struct hbad *self, int result)
{
	looked = result;
}

/* --- the rig --- */

static void setup(void)
{
	memset(&d, 0, sizeof(d));
	log_set_level(LOG_LV_ERR - 1);
	d.phase = HBAD_RUN;
	d.hba = &hba;
	d.luns.attached = true;
	d.times = (struct hbad_times){.retry_min_ms = 1, .retry_max_ms = 40};
	d.events = events_new();
	g_strlcpy(d.config.device, "0000:03:00.0", sizeof(d.config.device));
	calls[0] = '\0';
	job = NULL;
	boots = looked = 0;
}

static void teardown(void)
{
	if (d.retry)
		g_source_remove(d.retry);
	events_free(d.events);
}

static void job_runs(void)
{
	job(job_arg);
	job = NULL;
}

/* The looks for it, until one begins. */
static void await_boot(void)
{
	while (!boots)
		g_main_context_iteration(NULL, TRUE);
}

START_TEST(a_lost_controller_is_let_go_of_before_it_is_looked_for)
{
	hbad_lose(&d, true);
	ck_assert_ptr_null(d.hba);
	ck_assert(!d.luns.attached);
	ck_assert_uint_eq(d.retry, 0);
	job_runs();
	ck_assert_str_eq(calls, "gone stop close ");
	job_done(job_arg);
	ck_assert_uint_ne(d.retry, 0);
	await_boot();
	ck_assert_uint_eq(d.retry, 0);
}
END_TEST

/* Letting go says that the controller is gone, and what waits goes on waiting. A stop that began in between has told it
 * to come again, and must have the last word: else it waits for commands that wait for the controller. */
START_TEST(a_stop_has_the_last_word)
{
	hbad_lose(&d, true);
	scsi_host_detach(d.host, SCSI_GATE_BECOMING_READY); /* hbad_begin_stop() */
	d.phase = HBAD_STOP;
	job_runs();
	job_done(job_arg);
	ck_assert_str_eq(calls, "ready gone stop close ready ");
	ck_assert_uint_eq(d.retry, 0);
	ck_assert_uint_eq(boots, 0);
}
END_TEST

START_TEST(pauses_grow_to_their_limit_and_an_answer_is_told_once)
{
	static const unsigned ms[] = {2, 4, 8, 16, 32, 40, 40};
	struct err why;

	err_set(&why, -ENODEV, "nothing there");
	hbad_lose(&d, true);
	job_runs();
	job_done(job_arg);
	for (unsigned i = 0; i < ARRAY_SIZE(ms); i++) {
		boots = 0;
		await_boot();
		hbad_not_found(&d, -ENODEV, &why);
		ck_assert_uint_eq(d.retry_ms, ms[i]);
	}
	ck_assert_uint_eq(events_last(d.events), 2);
	boots = 0;
	await_boot();
	hbad_not_found(&d, -EEXIST, &why);
	ck_assert_uint_eq(d.retry_ms, 240);
	boots = 0;
	await_boot();
	hbad_not_found(&d, -ENODEV, &why);
	ck_assert_uint_eq(d.retry_ms, 40);
}
END_TEST

START_TEST(another_controller_is_told_by_its_serial_number)
{
	static const struct {
		const char *serial, *product, *now_serial, *now_product;
		bool same;
	} rows[] = {
		{"A1", "X", "A1", "X", true},
		{"A1", "X", "A1", "Y", true},
		{"A1", "X", "A2", "X", false},
		{"A1", "X", "", "X", false},
		{"", "X", "A1", "X", false},
		{"", "X", "", "X", true},
		{"", "X", "", "Y", false},
	};
	struct err e;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		g_strlcpy(d.serial, rows[i].serial, sizeof(d.serial));
		g_strlcpy(d.product, rows[i].product, sizeof(d.product));
		g_strlcpy(hba.info.serial, rows[i].now_serial, sizeof(hba.info.serial));
		g_strlcpy(hba.info.product, rows[i].now_product, sizeof(hba.info.product));
		ck_assert_int_eq(hbad_check_identity(&d, &hba, &e), rows[i].same ? 0 : -EEXIST);
	}
}
END_TEST

/* Looks come more and more rarely, until somebody knows better. */
START_TEST(looks_are_soon_again_when_something_was_plugged_in)
{
	const struct err why = {"there is no such device"};

	hbad_lose(&d, true);
	job_runs();
	job_done(job_arg);
	await_boot();
	for (unsigned i = 0; i < 8; i++) {
		if (d.retry)
			g_source_remove(d.retry);
		hbad_not_found(&d, -ENOENT, &why);
	}
	ck_assert_uint_eq(d.retry_ms, 40);
	ck_assert_int_eq(looked, -ENOENT);
	boots = 0;
	hbad_look_soon(&d);
	ck_assert_uint_eq(d.retry_ms, 1);
	await_boot();
	/* A look goes on: nothing to begin, but the next one is soon. */
	hbad_look_soon(&d);
	ck_assert_uint_eq(d.retry, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("away");
	TCase *c = tcase_create("away");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_lost_controller_is_let_go_of_before_it_is_looked_for);
	tcase_add_test(c, a_stop_has_the_last_word);
	tcase_add_test(c, looks_are_soon_again_when_something_was_plugged_in);
	tcase_add_test(c, pauses_grow_to_their_limit_and_an_answer_is_told_once);
	tcase_add_test(c, another_controller_is_told_by_its_serial_number);
	suite_add_tcase(s, c);
	return run_suite(s);
}
