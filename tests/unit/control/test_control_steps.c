/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the daemon and its tool set up before any controller is touched, with each library call failing once. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/loop.h"
#include "control/config.h"
#include "control/lock.h"
#include "control/sock.h"
#include "control/worker.h"
#include "temp.h"
#include "tests/unit/steps.h"

static unsigned count_files(const char *folder)
{
	g_autoptr(GDir) d = g_dir_open(folder, 0, NULL);
	unsigned n = 0;

	while (d && g_dir_read_name(d))
		n++;
	return n;
}

/* --- the instance's folder --- */

static int take_folder(struct err *e)
{
	int lock = -1, handoff = -1, control = -1;
	int r = lock_take(temp_dir, "g2", &lock, e);

	if (!r)
		r = sock_listen(temp_dir, "g2", "handoff", SOCK_SEQPACKET, 0600, &handoff, e);
	if (!r)
		r = sock_listen(temp_dir, "g2", "control", SOCK_STREAM, 0660, &control, e);
	steps_up();
	hb_close(&control);
	hb_close(&handoff);
	hb_close(&lock);
	return r;
}

START_TEST(lock_and_sockets)
{
	/* A lock file that cannot be looked at is opened anew. */
	static const char *const dispensable[] = {"fstat", NULL};
	static const struct steps s = {.attempt = take_folder, .dispensable = dispensable, .at_least = 12};

	steps_run(&s);
	/* Nobody has it: it can be taken again, over what the failures have left. */
	ck_assert_int_eq(take_folder(NULL), 0);
}
END_TEST

/* --- the configuration --- */

static int save_config(struct err *e)
{
	struct config c, read;
	int r;

	config_init(&c);
	strcpy(c.device, "0000:03:00.0");
	r = config_save(temp_path("etc/g2.conf"), &c, e);
	steps_up();
	/* Whole or not there, and nothing beside it. */
	ck_assert_uint_le(count_files(temp_path("etc")), 1);
	if (count_files(temp_path("etc")))
		ck_assert_int_eq(config_load(temp_path("etc/g2.conf"), &read, NULL), 0);
	else
		ck_assert_int_lt(r, 0);
	return r;
}

static void no_config(void)
{
	remove(temp_path("etc/g2.conf"));
}

START_TEST(configuration)
{
	static const struct steps s = {.attempt = save_config, .before = no_config, .at_least = 6};

	steps_run(&s);
}
END_TEST

static int load_config(struct err *e)
{
	struct config c;

	return config_load(temp_path("g2.conf"), &c, e);
}

START_TEST(reading_the_configuration)
{
	static const struct steps s = {.attempt = load_config, .at_least = 3};

	temp_write("g2.conf", "[controller]\ndevice=0000:03:00.0\n");
	steps_run(&s);
}
END_TEST

/* --- threads and loops --- */

static int make_loop(struct err *e)
{
	struct loop *l = NULL;
	int r = loop_create(&l);

	steps_up();
	loop_destroy(l);
	return r < 0 ? err_set(e, r, "its caller says so") : r;
}

START_TEST(event_loop)
{
	static const struct steps s = {.attempt = make_loop, .at_least = 4};

	steps_run(&s);
}
END_TEST

static int make_worker(struct err *e)
{
	struct worker *w = worker_new();

	steps_up();
	worker_free(w);
	return w ? 0 : err_set(e, -EAGAIN, "its caller says so");
}

START_TEST(set_up_thread)
{
	static const struct steps s = {.attempt = make_worker, .at_least = 2};

	/* GLib makes its main context once. */
	worker_free(worker_new());
	steps_run(&s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control steps");
	TCase *t = tcase_create("steps");
	SRunner *sr;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, temp_make, temp_remove);
	tcase_add_test(t, lock_and_sockets);
	tcase_add_test(t, configuration);
	tcase_add_test(t, reading_the_configuration);
	tcase_add_test(t, event_loop);
	tcase_add_test(t, set_up_thread);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
