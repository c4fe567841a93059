/* SPDX-License-Identifier: GPL-2.0-or-later */
/* check_config, and HELLO when the plugin is loaded. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fake.h"
#include "handler/handler.h"
#include "handler/timing.h"

static void setup(void)
{
	fake_setup();
	hbad_start(fake.a);
}

static void act(enum handoff_type type, enum act what)
{
	atomic_store(&fake.a->act[type], what);
}

static void gone(void)
{
	atomic_store(&fake.a->exit_now, 1);
	hbad_wait_dead(fake.a);
}

/* part NULL: must be accepted. Else refused, with part in the reason. */
static void check(const char *cfgstring, const char *part)
{
	char *reason = NULL;
	bool ok = fake.handler->check_config(cfgstring, &reason);

	ck_assert_msg(ok == !part, "%s: %s", cfgstring, reason ? reason : "accepted");
	if (part)
		ck_assert_msg(
			strstr(reason, part) != NULL, "%s: \"%s\" lacks \"%s\"", cfgstring, reason, part);
	free(reason);
}

/* --- asked over D-Bus, before a create --- */

START_TEST(hbad_is_asked_about_something_new)
{
	check("hba/g2/ld0;ro=1", NULL);
	ck_assert_str_eq(hbad_log(fake.a, "CHECK", 0), "CHECK hba/g2/ld0;ro=1");
}
END_TEST

START_TEST(refusal_of_hbad_is_the_reason)
{
	act(HANDOFF_CHECK, ACT_REFUSE);
	check("hba/g2/ld0", "the unit is on holiday");
}
END_TEST

START_TEST(refusal_without_a_reason_still_says_something)
{
	act(HANDOFF_CHECK, ACT_NOENT);
	check("hba/g2/ld0", "No such file");
}
END_TEST

START_TEST(stopped_hbad_is_explained)
{
	gone();
	check("hba/g2/ld0", "hbad@g2 is not running: systemctl start hbad@g2");
}
END_TEST

START_TEST(unknown_controller_is_explained)
{
	fake_write("etc/a1.conf", "");
	fake_write("etc/not-one.txt", "");
	check("hba/g3/ld0",
		"known: a1, g2 (see \"hbactl list\"); to add one: hbactl attach PCI-ADDRESS --name g3");
	check("hba/hba/g2/ld0", "known: a1, g2. targetcli puts \"hba/\" in front by itself");
}
END_TEST

START_TEST(machine_without_controllers_is_explained)
{
	char path[128];

	gone();
	snprintf(path, sizeof(path), "%s/etc/g2.conf", fake.root);
	unlink(path);
	snprintf(path, sizeof(path), "%s/run/g2/handoff.sock", fake.root);
	unlink(path);
	check("hba/g2/ld0", "known: none");
}
END_TEST

START_TEST(bad_string_is_refused_without_asking)
{
	check("hba/g2", "names no unit");
	ck_assert_uint_eq(hbad_count(fake.a, "CHECK"), 0);
}
END_TEST

/* H24: a question is no reason to kill: no ring is at stake. */
START_TEST(silent_hbad_is_named_and_not_killed)
{
	uint64_t start = now_ms();
	char part[64];

	act(HANDOFF_CHECK, ACT_SILENT);
	snprintf(part, sizeof(part), "(process %d) cannot be asked: it does not answer", (int)fake.a->pid);
	check("hba/g2/ld0", part);
	ck_assert_uint_lt(now_ms() - start, timing.call + BUSY_MS);
	ck_assert(hbad_alive(fake.a));
}
END_TEST

START_TEST(hbad_that_ends_the_connection_is_named)
{
	act(HANDOFF_CHECK, ACT_HANG_UP);
	check("hba/g2/ld0", "it closed the connection");
	act(HANDOFF_CHECK, ACT_DIE);
	check("hba/g2/ld0", "it closed the connection");
}
END_TEST

START_TEST(hbad_of_another_version_is_explained)
{
	act(HANDOFF_CHECK, ACT_EPROTO);
	check("hba/g2/ld0", "install both from the same release");
}
END_TEST

/* --- asked by the runner: the ring exists --- */

START_TEST(free_ring_is_let_through_whatever_hbad_says)
{
	fake_device("vol1", "hba/g2/ld0", true);
	act(HANDOFF_CHECK, ACT_REFUSE);
	check("hba/g2/ld0", NULL);
	gone();
	check("hba/g2/ld0", NULL);
	ck_assert_uint_eq(hbad_count(fake.a, "CHECK"), 0);
}
END_TEST

START_TEST(ring_with_the_kernels_newline_is_found)
{
	fake_device("vol1", "hba/g2/ld0\n", true);
	gone();
	check("hba/g2/ld0\n", NULL);
	check("hba/g2/ld0", NULL);
}
END_TEST

START_TEST(held_ring_is_asked_for)
{
	fake_device("vol1", "hba/g2/ld0", true);
	atomic_store(&fake.held, 2); /* until HELLO */
	check("hba/g2/ld0", NULL);
	ck_assert_uint_eq(hbad_count(fake.a, "HELLO"), 1);
	ck_assert(hbad_alive(fake.a));
}
END_TEST

/* H1: the runner resets the ring next. */
START_TEST(held_ring_of_a_silent_hbad_is_fenced)
{
	uint64_t start = now_ms();

	fake_device("vol1", "hba/g2/ld0", true);
	atomic_store(&fake.held, 3); /* while it lives */
	kill(fake.a->pid, SIGSTOP);
	check("hba/g2/ld0", NULL);
	ck_assert(!hbad_alive(fake.a));
	ck_assert_uint_lt(now_ms() - start, timing.call + timing.release + BUSY_MS);
}
END_TEST

/* 1: it does not end in time. */
START_TEST(held_ring_of_an_hbad_that_is_being_stopped_is_waited_for)
{
	uint64_t start = now_ms(), drain = timing.release + 300;

	fake_device("vol1", "hba/g2/ld0", true);
	fake.drained_ms = start + (_i ? 3600 * 1000 : drain);
	atomic_store(&fake.held, 4);
	act(HANDOFF_HELLO, ACT_DRAINING);
	check("hba/g2/ld0", NULL);
	ck_assert(hbad_alive(fake.a) == !_i);
	ck_assert_uint_ge(now_ms() - start, _i ? timing.drain : drain);
}
END_TEST

/* What it has said goes before the guess, which is over long before; it says how it is all the time. */
START_TEST(held_ring_of_an_hbad_that_says_how_long_it_takes_is_waited_for)
{
	uint64_t start = now_ms(), drain = timing.silent + 1500;

	timing.drain = 200;
	fake_device("vol1", "hba/g2/ld0", true);
	fake.drained_ms = start + drain;
	atomic_store(&fake.held, 4);
	atomic_store(&fake.a->wait_ms, 3600 * 1000);
	act(HANDOFF_HELLO, ACT_DRAINING);
	check("hba/g2/ld0", NULL);
	ck_assert(hbad_alive(fake.a));
	ck_assert_uint_ge(now_ms() - start, drain);
	ck_assert_uint_gt(hbad_count(fake.a, "PING"), 1);
}
END_TEST

/* 0: it does not say how it is any more; 1: it has had the time that it gave itself; 2: that a stop ever has */
START_TEST(an_hbad_that_is_being_stopped_has_no_end_of_time)
{
	uint64_t start = now_ms();

	timing.leave = 300;
	fake_device("vol1", "hba/g2/ld0", true);
	fake.drained_ms = now_ms() + 3600 * 1000;
	atomic_store(&fake.held, 4);
	atomic_store(&fake.a->wait_ms, _i == 1 ? 400 : 3600 * 1000);
	if (_i == 0)
		act(HANDOFF_PING, ACT_SILENT);
	if (_i == 2)
		timing.stop_max = 400;
	act(HANDOFF_HELLO, ACT_DRAINING);
	check("hba/g2/ld0", NULL);
	ck_assert(!hbad_alive(fake.a));
	/* Then it ends by itself, in the time that this takes. */
	if (_i == 1)
		ck_assert_uint_ge(now_ms() - start, 400 + 300);
}
END_TEST

/* H1: no yes to a reset while somebody has the ring. */
START_TEST(held_ring_is_a_veto)
{
	fake_device("vol1", "hba/g2/ld0", true);
	atomic_store(&fake.held, 1);
	check("hba/g2/ld0", "the ring uio0 of hba/g2/ld0 is still held");
	ck_assert(hbad_alive(fake.a));
	ck_assert_uint_eq(record_total(), 0);
}
END_TEST

START_TEST(held_ring_without_hbad_is_a_veto)
{
	fake_device("vol1", "hba/g2/ld0", true);
	atomic_store(&fake.held, 1);
	gone();
	check("hba/g2/ld0", "hbad@g2 cannot be reached");
}
END_TEST

START_TEST(fence_that_does_not_help_is_tried_once)
{
	uint64_t start;

	timing.killed = 500;
	atomic_store(&fake.killing_off, 1);
	fake_device("vol1", "hba/g2/ld0", true);
	fake_device("vol2", "hba/g2/ld1", true);
	atomic_store(&fake.held, 1);
	kill(fake.a->pid, SIGSTOP);
	check("hba/g2/ld0", "does not die");
	timing.killed = 3 * BUSY_MS;
	start = now_ms();
	check("hba/g2/ld1", "does not die");
	ck_assert_uint_lt(now_ms() - start, BUSY_MS);
}
END_TEST

/* A backstore of ours has the unit; somebody asks for a second one. Its ring is held, by right. */
START_TEST(own_ring_is_not_fenced)
{
	struct tcmu_device *dev = fake_device("vol1", "hba/g2/ld0", true);

	ck_assert_int_eq(fake.handler->open(dev, false), 0);
	atomic_store(&fake.held, 1);
	act(HANDOFF_CHECK, ACT_REFUSE);
	check("hba/g2/ld0", "on holiday");
	ck_assert_uint_eq(hbad_count(fake.a, "HELLO"), 0);
	ck_assert(hbad_alive(fake.a));
}
END_TEST

/* --- loading --- */

START_TEST(loading_greets_every_instance)
{
	ck_assert_int_eq(handler_register(), 0);
	ck_assert_uint_eq(hbad_count(fake.a, "HELLO"), 1);
	ck_assert_uint_eq(log_count("hbad@g2 9.9-fake is there"), 1);
}
END_TEST

/* H24: loading the plugin has a deadline. */
START_TEST(loading_does_not_wait_for_long)
{
	uint64_t start = now_ms();

	act(HANDOFF_HELLO, ACT_SILENT);
	ck_assert_int_eq(handler_register(), 0);
	ck_assert_uint_lt(now_ms() - start, timing.hello + BUSY_MS);
	ck_assert_uint_eq(log_count("did not let go of older rings: it does not answer"), 1);
	ck_assert(hbad_alive(fake.a));
}
END_TEST

START_TEST(loading_goes_on_after_bad_answers)
{
	static const enum act acts[] = {
		ACT_REFUSE, ACT_HANG_UP, ACT_DIE, ACT_MAGIC, ACT_SEQ, ACT_SHORT, ACT_EPROTO};

	act(HANDOFF_HELLO, acts[_i]);
	ck_assert_int_eq(handler_register(), 0);
	ck_assert_uint_eq(log_count("did not let go of older rings"), 1);
}
END_TEST

/* H24: a copy of the plugin does no harm. */
START_TEST(second_copy_of_the_plugin_stays_idle)
{
	fake.register_result = -1;
	ck_assert_int_eq(handler_register(), -1);
	ck_assert_uint_eq(hbad_count(fake.a, "HELLO"), 0);
}
END_TEST

START_TEST(loading_without_any_instance_is_fine)
{
	setenv("HBAD_RUNTIME_DIR", "/nonexistent", 1);
	ck_assert_int_eq(handler_register(), 0);
	ck_assert_uint_eq(log_count(""), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("handler check");
	TCase *dbus = tcase_create("new"), *ring = tcase_create("existing ring"),
	      *load = tcase_create("loading");
	TCase *all[] = {dbus, ring, load};

	tcase_add_test(dbus, hbad_is_asked_about_something_new);
	tcase_add_test(dbus, refusal_of_hbad_is_the_reason);
	tcase_add_test(dbus, refusal_without_a_reason_still_says_something);
	tcase_add_test(dbus, stopped_hbad_is_explained);
	tcase_add_test(dbus, unknown_controller_is_explained);
	tcase_add_test(dbus, machine_without_controllers_is_explained);
	tcase_add_test(dbus, bad_string_is_refused_without_asking);
	tcase_add_test(dbus, silent_hbad_is_named_and_not_killed);
	tcase_add_test(dbus, hbad_that_ends_the_connection_is_named);
	tcase_add_test(dbus, hbad_of_another_version_is_explained);

	tcase_add_test(ring, free_ring_is_let_through_whatever_hbad_says);
	tcase_add_test(ring, ring_with_the_kernels_newline_is_found);
	tcase_add_test(ring, held_ring_is_asked_for);
	tcase_add_test(ring, held_ring_of_a_silent_hbad_is_fenced);
	tcase_add_loop_test(ring, held_ring_of_an_hbad_that_is_being_stopped_is_waited_for, 0, 2);
	tcase_add_test(ring, held_ring_of_an_hbad_that_says_how_long_it_takes_is_waited_for);
	tcase_add_loop_test(ring, an_hbad_that_is_being_stopped_has_no_end_of_time, 0, 3);
	tcase_add_test(ring, held_ring_is_a_veto);
	tcase_add_test(ring, held_ring_without_hbad_is_a_veto);
	tcase_add_test(ring, fence_that_does_not_help_is_tried_once);
	tcase_add_test(ring, own_ring_is_not_fenced);

	tcase_add_test(load, loading_greets_every_instance);
	tcase_add_test(load, loading_does_not_wait_for_long);
	tcase_add_loop_test(load, loading_goes_on_after_bad_answers, 0, 7);
	tcase_add_test(load, second_copy_of_the_plugin_stays_idle);
	tcase_add_test(load, loading_without_any_instance_is_fine);

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		tcase_set_timeout(all[i], 100);
		tcase_add_checked_fixture(all[i], setup, fake_teardown);
		suite_add_tcase(s, all[i]);
	}
	return s;
}

int main(void)
{
	return run_suite(suite());
}
