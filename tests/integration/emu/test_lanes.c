/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All of hbad with several I/O threads, in this process, on hba-emu in another one: LUNs that are handed over while the
 * controller boots, resets, aborts, removal and return, and the end. Initiators check each block that they read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/proto.h"
#include "daemon_rig.h"
#include "ring_disk.h"
#include "tests/unit/run_suite.h"

#define LUNS 3 /* that are there from the beginning */

static struct emu_proc emu;
static struct ring_disk disk[LUNS + 1]; /* and one that comes later */
static unsigned n_luns;
static unsigned threads;

#define get(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)

static bool is_virtio(void)
{
	return !strcmp(MODEL, "virtio");
}

/* --- as the handler does it, on hbad's main loop --- */

struct hand_over {
	struct ring_disk *k;
	bool done; /* atomic */
	int result;
	struct err e;
};

static gboolean do_hand_over(gpointer arg)
{
	struct hand_over *h = arg;
	struct handoff_open m = {
		.map_len = h->k->model.map_len, .blocks = 32768, .block_size = DISK_BLOCK, .known = 1};
	int fd = h->k->fd;
	struct lun *lun;

	snprintf(m.device, sizeof(m.device), "disk%u", h->k->index);
	snprintf(m.cfgstring, sizeof(m.cfgstring), "hba/g2/%s%u;hold=3600", is_virtio() ? "t0l" : "ld",
		h->k->index);
	h->result = luns_open(&d.luns, &m, &fd, NULL, &lun, &h->e);
	if (h->result == 0)
		h->result = luns_start(&d.luns, lun, &h->e);
	__atomic_store_n(&h->done, true, __ATOMIC_RELEASE);
	return G_SOURCE_REMOVE;
}

static void hand_over(struct ring_disk *k)
{
	struct hand_over h = {.k = k};

	g_main_context_invoke_full(NULL, G_PRIORITY_DEFAULT, do_hand_over, &h, NULL);
	while (!get(h.done))
		clock_sleep_ms(1);
	ck_assert_msg(h.result == 0, "%s", h.e.text);
}

/* --- the rig --- */

#define BOOTING "\"state\":\"booting\""
#define READY	"\"state\":\"ready\""

/* It takes its time, so that the LUNs are there before it runs. A virtio host has nothing to boot. */
static void await_boot(void)
{
	unsigned looks = 0;

	while (!status_has(&emu, BOOTING) && !status_has(&emu, READY))
		clock_sleep_ms(1);
	for (unsigned i = 0; i < LUNS; i++) {
		hand_over(&disk[i]);
		ring_disk_start(&disk[i]);
	}
	/* Initiators are answered meanwhile. A machine that stands still for longer than the boot sees little of it. */
	for (; !get(disk[LUNS - 1].n_retries) && status_has(&emu, BOOTING); looks++)
		clock_sleep_ms(1);
	ck_assert(get(disk[LUNS - 1].n_retries) || looks < 200);
	status_becomes(&emu, READY);
}

static void setup(void)
{
	static const char *const options[] = {"--model", MODEL, "--unit", "ld0,size=16M", "--unit",
		"ld1,size=16M", "--unit", "ld2,size=16M", "--unit", "ld3,size=16M", "--boot-ms", "1500",
		NULL};

	n_luns = LUNS;
	for (unsigned i = 0; i <= LUNS; i++)
		ring_disk_init(&disk[i], i);
	emu_start_proc(&emu, options);
	daemon_begin(&emu, threads);
	if (!is_virtio()) {
		await_boot();
		return;
	}
	status_becomes(&emu, "\"state\":\"ready\"");
	for (unsigned i = 0; i < LUNS; i++) {
		hand_over(&disk[i]);
		ring_disk_start(&disk[i]);
	}
}

static void progress(uint64_t commands)
{
	for (unsigned i = 0; i < n_luns; i++) {
		uint64_t want = ring_disk_done(&disk[i]) + commands;

		for (unsigned n = 0; ring_disk_done(&disk[i]) < want; n++) {
			ck_assert_msg(n < LIMIT_MS, "disk %u does not get on", i);
			clock_sleep_ms(1);
		}
	}
}

static void judge(void)
{
	for (unsigned i = 0; i < n_luns; i++) {
		ck_assert_uint_eq(get(disk[i].n_wrong), 0);
		ck_assert_uint_eq(get(disk[i].n_twice), 0);
		ck_assert_uint_eq(disk[i].model.unknown_ids + disk[i].model.bad_slots, 0);
	}
}

static void nothing_is_dirty(void)
{
	static const char key[] = "\"controller_dirty\":";
	const char *at = emu_do(&emu, "status");
	unsigned n = 0;

	for (; (at = strstr(at, key)); n++) {
		at += strlen(key);
		ck_assert_uint_eq(strtoull(at, NULL, 10), 0);
	}
	ck_assert_uint_eq(n, LUNS + 1);
}

/* What it was told to keep is on disks. */
static void teardown(void)
{
	uint64_t flushes = emu_number(&emu, "stats", "flushes");

	for (unsigned i = 0; i < n_luns; i++)
		ring_disk_stop(&disk[i]);
	daemon_stop(&emu);
	judge();
	ck_assert_uint_gt(emu_number(&emu, "stats", "flushes"), flushes);
	nothing_is_dirty();
	for (unsigned i = 0; i <= LUNS; i++)
		ring_disk_fini(&disk[i]);
	emu_end_proc(&emu);
}

static void with_2(void)
{
	threads = 2;
	setup();
}

static void with_3(void)
{
	threads = 3;
	setup();
}

/* As it was before there could be several. */
static void with_1(void)
{
	threads = 1;
	setup();
}

/* That the emulator has. */
static unsigned n_queues(void)
{
	return is_virtio() ? 4 : 16;
}

static uint64_t replies(unsigned queue)
{
	const char *at = strstr(emu_do(&emu, "status"), "\"queue_replies\":[");

	ck_assert_ptr_nonnull(at);
	at += strlen("\"queue_replies\":[");
	while (queue--)
		at = strchr(at, ',') + 1;
	return strtoull(at, NULL, 10);
}

/* --- tests --- */

START_TEST(each_thread_serves_its_luns_by_its_queue)
{
	uint64_t before[16];

	progress(300);
	for (unsigned q = 0; q < n_queues(); q++)
		before[q] = replies(q);
	progress(300);
	for (unsigned q = 0; q < n_queues(); q++) {
		/* One thread has all of Fusion's queues, and spreads its commands over them. */
		bool used = (threads == 1 && !is_virtio()) || q < threads;

		ck_assert_msg((replies(q) > before[q]) == used, "queue %u", q);
	}
	status_becomes(&emu, "\"luns\":[\"disk0\"");
	if (threads == 2)
		ck_assert(status_has(&emu, "\"luns\":[\"disk0\",\"disk2\"]"));
	if (threads > 1)
		ck_assert(status_has(&emu, "\"luns\":[\"disk1\"]"));
	if (threads == 3)
		ck_assert(status_has(&emu, "\"luns\":[\"disk2\"]"));
	judge();
}
END_TEST

START_TEST(resets_do_not_harm)
{
	for (unsigned i = 1; i <= 3; i++) {
		progress(100);
		emu_do(&emu, "fw-fault");
		for (unsigned n = 0; emu_number(&emu, "stats", "resets") < i; n++) {
			ck_assert_uint_lt(n, LIMIT_MS);
			clock_sleep_ms(10);
		}
	}
	progress(100);
	judge();
}
END_TEST

static unsigned aborted(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < n_luns; i++)
		n += get(disk[i].n_aborted);
	return n;
}

/* Some of them are lost in firmware, so that nothing but the abort ends them in time. */
START_TEST(aborts_end_what_is_lost)
{
	uint64_t begun = clock_ns();

	progress(50);
	emu_do(&emu, "fault drop on=read+write nth=40 count=3");
	progress(60);
	for (unsigned i = 0; i < LUNS; i++)
		ring_disk_abort_all(&disk[i]);
	progress(300);
	emu_do(&emu, "fault-clear");
	for (unsigned i = 0; i < LUNS; i++)
		ring_disk_abort_all(&disk[i]);
	for (unsigned n = 0; aborted() < 3; n++) {
		ck_assert_msg(n < LIMIT_MS, "%u commands were aborted", aborted());
		clock_sleep_ms(1);
	}
	progress(100);
	/* Else a time limit may have ended them. */
	if (clock_ns() - begun < 30 * NS_PER_SEC)
		ck_assert(status_has(&emu, "\"timeouts\":0"));
	judge();
}
END_TEST

START_TEST(pulled_out_and_put_back)
{
	static const char *const ways[] = {"gone ff", "gone socket"};

	for (unsigned i = 0; i < 4; i++) {
		progress(100);
		emu_do(&emu, "%s", ways[i % 2]);
		status_becomes(&emu, "\"gate\":\"held\"");
		clock_sleep_ms(50);
		emu_do(&emu, "back");
		status_becomes(&emu, "\"state\":\"ready\"");
	}
	progress(200);
	judge();
}
END_TEST

static void pull_out(void)
{
	emu_do(&emu, "gone ff");
	status_becomes(&emu, "\"gate\":\"held\"");
}

/* Units are asked, lanes are offered to, LUNs are opened one after the other: nothing of that comes to its end. */
START_TEST(gone_again_in_each_phase_of_the_return)
{
	static const unsigned phases[] = {2, 6, 15, 40};

	for (unsigned i = 0; i < ARRAY_SIZE(phases); i++) {
		progress(100);
		pull_out();
		emu_vanish_at(&emu, phases[i]);
		emu_do(&emu, "back");
		status_becomes(&emu, "\"state\":\"ready\"");
	}
	progress(200);
	judge();
}
END_TEST

/* As when tcmu-runner is started anew: it has no I/O thread of its own before the return, and is away twice on its way. */
START_TEST(a_lun_that_comes_while_the_controller_is_away)
{
	progress(50);
	pull_out();
	hand_over(&disk[LUNS]);
	ring_disk_start(&disk[n_luns++]);
	clock_sleep_ms(100);
	ck_assert_uint_eq(ring_disk_done(&disk[LUNS]), 0);
	emu_vanish_at(&emu, 6);
	emu_do(&emu, "back");
	progress(200);
	status_becomes(&emu, threads == 3 ? "\"luns\":[\"disk0\",\"disk3\"]" : "\"disk3\"");
	judge();
}
END_TEST

/* The units are asked anew while all of them are served. */
START_TEST(a_rescan_disturbs_nobody)
{
	for (unsigned i = 1; i <= 5; i++) {
		char *reply = NULL, words[32];

		ck_assert_int_eq(proto_call(emu.dir, "g2", "rescan", LIMIT_MS, &reply, NULL), 0);
		free(reply);
		snprintf(words, sizeof(words), "\"rescans\":%u", i);
		status_becomes(&emu, words);
		progress(20);
	}
	judge();
}
END_TEST

static TCase *tests(const char *name, void (*with)(void), bool away)
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, with, teardown);
	tcase_set_timeout(t, 400);
	tcase_add_test(t, each_thread_serves_its_luns_by_its_queue);
	tcase_add_test(t, resets_do_not_harm);
	tcase_add_test(t, aborts_end_what_is_lost);
	tcase_add_test(t, pulled_out_and_put_back);
	tcase_add_test(t, a_rescan_disturbs_nobody);
	if (away) {
		tcase_add_test(t, gone_again_in_each_phase_of_the_return);
		tcase_add_test(t, a_lun_that_comes_while_the_controller_is_away);
	}
	return t;
}

int main(void)
{
	Suite *s = suite_create("lanes " MODEL);

	suite_add_tcase(s, tests("one", with_1, true));
	suite_add_tcase(s, tests("two", with_2, false));
	suite_add_tcase(s, tests("three", with_3, true));
	return run_suite(s);
}
