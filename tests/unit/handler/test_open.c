/* SPDX-License-Identifier: GPL-2.0-or-later */
/* open(): the hand-over, and what is left when a step of it fails. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "fake.h"
#include "handler/instance.h"
#include "handler/timing.h"

static struct tcmu_device *dev;

static int open_dev(bool configured)
{
	dev = fake_device("vol1", "hba/g2/ld0;ro=1", configured);
	return fake.handler->open(dev, false);
}

static void setup(void)
{
	fake_setup();
	hbad_start(fake.a);
}

static void act(enum handoff_type type, enum act what)
{
	atomic_store(&fake.a->act[type], what);
}

/* A create that must fail, with deadlines of ms in all on its way, and leave nothing behind. */
static void expect_failure(unsigned ms)
{
	unsigned fds;
	uint64_t start = now_ms();

	if (ms <= timing.grace)
		fake_patient();
	dev = fake_device("vol1", "hba/g2/ld0", false);
	ck_assert_ptr_nonnull(registry_get("g2", NULL)); /* stays */
	fds = open_fds();
	ck_assert_msg(fake.handler->open(dev, false) < 0, "open() did not fail");
	ck_assert_msg(
		now_ms() - start < ms + BUSY_MS, "took %llu ms", (unsigned long long)(now_ms() - start));
	ck_assert_uint_eq(open_fds(), fds);
	ck_assert_ptr_null(dev->priv);
	ck_assert_uint_eq(record_count("vol1/reset_ring=1"), 0);
}

/* --- what works --- */

START_TEST(new_device_is_handed_over)
{
	ck_assert_int_eq(open_dev(false), 0);
	ck_assert_str_eq(
		hbad_log(fake.a, "OPEN", 0), "OPEN vol1 hba/g2/ld0;ro=1 known=0 blocks=2048*512 ring=ok");
	ck_assert_str_eq(hbad_log(fake.a, "START", 0), "START 7001");
	ck_assert(map_is_decoy(dev));
	ck_assert_ptr_nonnull(dev->priv);
	ck_assert_uint_eq(hbad_count(fake.a, "dropped"), 0);
}
END_TEST

START_TEST(passed_descriptor_is_the_real_ring)
{
	uint64_t *map;

	ck_assert_int_eq(open_dev(false), 0);
	/* hbad left a mark in the memory behind the descriptor it was given. */
	map = mmap(NULL, RING_BYTES, PROT_READ, MAP_SHARED, dev->real_fd, 0);
	ck_assert(map != MAP_FAILED);
	ck_assert_uint_eq(map[4096 / 8 + 1], RING_MAGIC);
	ck_assert_uint_eq(((uint64_t *)dev->map)[4096 / 8 + 1], 0);
	munmap(map, RING_BYTES);
}
END_TEST

/* H3: cmd_time_out=0 is written before anything else. */
START_TEST(attributes_are_set_before_hbad_is_asked)
{
	act(HANDOFF_OPEN, ACT_REFUSE);
	ck_assert_int_lt(open_dev(false), 0);
	ck_assert_uint_eq(record_count("vol1/cmd_time_out=0"), 1);
	ck_assert_uint_ge(
		record_count("vol1/tmr_notification=1"), 1); /* once more in each round of the watcher */
}
END_TEST

START_TEST(gate_of_a_new_device_is_not_touched)
{
	ck_assert_int_eq(open_dev(false), 0);
	stays(!record_count("vol1/block_dev=1") && !record_count("vol1/block_dev=0"), 200);
	ck_assert_uint_eq(record_count("vol1/reset_ring=1"), 0);
}
END_TEST

START_TEST(existing_device_is_known)
{
	ck_assert_int_eq(open_dev(true), 0);
	ck_assert_ptr_nonnull(strstr(hbad_log(fake.a, "OPEN", 0), "known=1"));
	stays(!record_count("vol1/reset_ring=1"), 200);
}
END_TEST

START_TEST(newline_that_the_kernel_kept_is_dropped)
{
	dev = fake_device("vol1", "hba/g2/ld0\n", true);
	ck_assert_int_eq(fake.handler->open(dev, false), 0);
	ck_assert_str_eq(hbad_log(fake.a, "OPEN", 0), "OPEN vol1 hba/g2/ld0 known=1 blocks=2048*512 ring=ok");
}
END_TEST

START_TEST(long_name_is_cut_between_characters)
{
	/* 62 bytes and two-byte characters: 63 would end in the middle of one */
	dev = fake_device(
		"v2345678901234567890123456789012345678901234567890123456789012äöü", "hba/g2/ld0", false);
	ck_assert_int_eq(fake.handler->open(dev, false), 0);
	ck_assert_uint_eq(strlen(((struct device *)dev->priv)->name), 62);
}
END_TEST

START_TEST(reopen_is_refused)
{
	dev = fake_device("vol1", "hba/g2/ld0", true);
	ck_assert_int_eq(fake.handler->open(dev, true), -EOPNOTSUPP);
	ck_assert_uint_eq(hbad_count(fake.a, "OPEN"), 0);
}
END_TEST

START_TEST(backstore_without_its_files_is_refused)
{
	dev = fake_device("vol1", "hba/g2/ld0", false);
	fake_write("uio/uio0/name", "tcm-user/0/other/hba/g2/ld0\n");
	ck_assert_int_eq(fake.handler->open(dev, false), -ENOENT);
	ck_assert_uint_eq(log_count("action/block_dev of user_0/other"), 1);
	fake_write("uio/uio0/name", "tcm-user/0/hba\n");
	ck_assert_int_eq(fake.handler->open(dev, false), -EPROTO);
}
END_TEST

/* --- a create that fails --- */

START_TEST(create_without_hbad_fails_and_says_what_to_do)
{
	atomic_store(&fake.a->exit_now, 1);
	hbad_wait_dead(fake.a);
	expect_failure(0);
	ck_assert_uint_eq(log_count("systemctl start hbad@g2"), 1);
}
END_TEST

START_TEST(create_that_hbad_refuses_fails_with_its_reason)
{
	act(HANDOFF_OPEN, ACT_REFUSE);
	expect_failure(0);
	/* without the control character */
	ck_assert_uint_eq(log_count("the unit is on holiday: ?wait"), 1);
	ck_assert(hbad_alive(fake.a));
	ck_assert_uint_eq(hbad_count(fake.a, "START"), 0);
	eventually(hbad_count(fake.a, "dropped") == 1);
}
END_TEST

START_TEST(create_that_cannot_start_is_closed)
{
	act(HANDOFF_START, ACT_REFUSE);
	expect_failure(0);
	ck_assert_str_eq(hbad_log(fake.a, "CLOSE", 0), "CLOSE 7001");
	ck_assert(hbad_alive(fake.a));
}
END_TEST

START_TEST(create_that_hbad_has_forgotten_already_fails)
{
	act(HANDOFF_START, ACT_REFUSE);
	act(HANDOFF_CLOSE, ACT_NOENT);
	expect_failure(0);
	ck_assert(hbad_alive(fake.a));
}
END_TEST

/* H5: open() fails only when hbad has let go, or is dead. */
START_TEST(create_with_silence_on_open_kills)
{
	act(HANDOFF_OPEN, ACT_SILENT);
	act(HANDOFF_CHECK, ACT_SILENT);
	expect_failure(timing.open + timing.call + timing.grace);
	ck_assert(!hbad_alive(fake.a));
}
END_TEST

START_TEST(create_with_silence_on_open_and_a_later_answer_fails)
{
	act(HANDOFF_OPEN, ACT_SILENT);
	expect_failure(timing.open + timing.grace);
	ck_assert(hbad_alive(fake.a));
	ck_assert_uint_eq(hbad_count(fake.a, "CHECK"), 1);
	/* The answer came after it had let go. */
	ck_assert_uint_eq(hbad_count(fake.a, "dropped"), 1);
}
END_TEST

START_TEST(create_with_a_frozen_hbad_kills)
{
	act(HANDOFF_OPEN, ACT_FREEZE);
	expect_failure(timing.open + timing.call + timing.grace);
	ck_assert(!hbad_alive(fake.a));
}
END_TEST

START_TEST(create_with_a_hang_up_on_open_asks_once_more)
{
	act(HANDOFF_OPEN, ACT_HANG_UP);
	expect_failure(timing.grace);
	ck_assert(hbad_alive(fake.a));
	ck_assert_uint_eq(hbad_count(fake.a, "CHECK"), 1);
}
END_TEST

START_TEST(create_with_death_on_open_fails_at_once)
{
	act(HANDOFF_OPEN, ACT_DIE);
	expect_failure(0);
	ck_assert_uint_eq(log_count("closed the connection"), 1);
}
END_TEST

START_TEST(create_with_death_on_start_fails)
{
	act(HANDOFF_START, ACT_DIE);
	expect_failure(timing.grace);
}
END_TEST

START_TEST(create_with_silence_on_start_takes_it_back)
{
	act(HANDOFF_START, ACT_SILENT);
	expect_failure(timing.open);
	ck_assert_uint_eq(hbad_count(fake.a, "CLOSE 7001"), 1);
	ck_assert(hbad_alive(fake.a));
}
END_TEST

START_TEST(create_with_silence_on_start_and_close_kills)
{
	act(HANDOFF_START, ACT_SILENT);
	act(HANDOFF_CLOSE, ACT_SILENT);
	expect_failure(timing.open + timing.call + timing.grace);
	ck_assert(!hbad_alive(fake.a));
}
END_TEST

static const enum act garbage[] = {
	ACT_SHORT, ACT_SEQ, ACT_MAGIC, ACT_LONG, ACT_SIZE, ACT_TYPE, ACT_POSITIVE, ACT_VERSION};

/* hbad has the descriptor and cannot be trusted to say what it did with it. */
START_TEST(create_with_garbage_on_open_kills)
{
	act(HANDOFF_OPEN, garbage[_i]);
	act(HANDOFF_CHECK, garbage[_i]);
	expect_failure(timing.open + timing.call + timing.grace);
	ck_assert(!hbad_alive(fake.a));
	ck_assert_uint_eq(log_count("breaks the hand-off protocol"), 1);
}
END_TEST

START_TEST(create_with_garbage_on_start_takes_it_back)
{
	act(HANDOFF_START, garbage[_i]);
	expect_failure(0);
	ck_assert_uint_eq(hbad_count(fake.a, "CLOSE 7001"), 1);
	ck_assert(hbad_alive(fake.a));
}
END_TEST

START_TEST(another_version_is_explained)
{
	act(HANDOFF_OPEN, ACT_EPROTO);
	expect_failure(0);
	ck_assert_uint_eq(log_count("hbad 9.9-fake speaks version 2"), 1);
	ck_assert(hbad_alive(fake.a));
}
END_TEST

/* The kernel would free a ring that hbad may have mapped (H5): such a create must not fail. */
START_TEST(create_that_cannot_be_undone_succeeds_with_its_gate_closed)
{
	act(HANDOFF_START, ACT_SILENT);
	act(HANDOFF_CLOSE, ACT_SILENT);
	atomic_store(&fake.killing_off, 1);
	timing.killed = 100;
	record_fail("vol1/block_dev", EINVAL); /* the create is not finished yet */
	record_fail("vol1/reset_ring", EINVAL);
	ck_assert_int_eq(open_dev(false), 0);
	ck_assert(map_is_decoy(dev));
	ck_assert_uint_eq(log_count("ALARM"), 1);
	record_fail("vol1/block_dev", 0);
	record_fail("vol1/reset_ring", 0);
	eventually(record_count("vol1/block_dev=1") > 0);
	/* It may be consuming. */
	stays(!record_count("vol1/reset_ring=1"), 200);
	kill(fake.a->pid, SIGKILL);
	eventually(record_count("vol1/reset_ring=1") > 0);
}
END_TEST

START_TEST(create_whose_close_is_not_confirmed_succeeds_with_its_gate_closed)
{
	act(HANDOFF_START, ACT_REFUSE);
	act(HANDOFF_CLOSE, ACT_SILENT);
	act(HANDOFF_WATCH, ACT_REFUSE);
	ck_assert_int_eq(open_dev(false), 0);
	ck_assert(hbad_alive(fake.a));
	ck_assert_uint_eq(log_count("ALARM"), 1);
	act(HANDOFF_START, ACT_OK);
	act(HANDOFF_WATCH, ACT_OK);
	/* By then it exists. */
	eventually(hbad_count(fake.a, "OPEN") >= 2 && record_count("vol1/block_dev=0") == 1);
	ck_assert_ptr_nonnull(strstr(hbad_log(fake.a, "OPEN", 1), "known=1"));
}
END_TEST

/* --- a device that exists --- */

/* H6: a known device is taken, and comes alive with its hbad. */
START_TEST(known_device_is_taken_without_hbad)
{
	atomic_store(&fake.a->exit_now, 1);
	hbad_wait_dead(fake.a);
	ck_assert_int_eq(open_dev(true), 0);
	ck_assert(map_is_decoy(dev));
	eventually(record_count("vol1/block_dev=1") && record_count("vol1/reset_ring=1"));
	ck_assert_int_lt(record_index("vol1/block_dev=1", 0), record_index("vol1/reset_ring=1", 0));
	/* and comes alive when hbad does, the gate last */
	hbad_start(fake.b);
	eventually(record_count("vol1/block_dev=0") == 1);
	ck_assert_ptr_nonnull(strstr(hbad_log(fake.b, "OPEN", 0), "known=1"));
	ck_assert_ptr_nonnull(strstr(hbad_log(fake.b, "OPEN", 0), "ring=ok"));
	stays(record_at(record_index("vol1/block_dev=0", 0)) && hbad_count(fake.b, "START") == 1, 100);
	ck_assert_int_gt(record_index("vol1/block_dev=0", 0), record_index("vol1/reset_ring=1", 0));
}
END_TEST

/* H6: the runner opens the gate as soon as open() has returned. */
START_TEST(gate_that_the_runner_opens_is_closed_again)
{
	char text[16];
	unsigned n;

	atomic_store(&fake.a->exit_now, 1);
	hbad_wait_dead(fake.a);
	ck_assert_int_eq(open_dev(true), 0);
	fake_write("cfg/target/core/user_0/vol1/action/block_dev", "0");
	n = record_count("vol1/block_dev=1");
	eventually(record_count("vol1/block_dev=1") > n);
	fake_read("cfg/target/core/user_0/vol1/action/block_dev", text, sizeof(text));
	ck_assert_str_eq(text, "1");
}
END_TEST

START_TEST(known_device_is_taken_when_hbad_refuses)
{
	act(HANDOFF_OPEN, ACT_REFUSE);
	ck_assert_int_eq(open_dev(true), 0);
	eventually(record_count("vol1/block_dev=1") > 0);
	eventually(hbad_count(fake.a, "OPEN") > 3);
	/* said once, not at each attempt */
	ck_assert_uint_eq(log_count("on holiday"), 1);
	ck_assert_uint_eq(record_count("vol1/block_dev=0"), 0);
	act(HANDOFF_OPEN, ACT_OK);
	eventually(record_count("vol1/block_dev=0") == 1);
}
END_TEST

START_TEST(known_device_is_taken_when_hbad_is_silent_and_nobody_is_killed_for_it)
{
	uint64_t start = now_ms();

	act(HANDOFF_OPEN, ACT_SILENT);
	ck_assert_int_eq(open_dev(true), 0);
	ck_assert_uint_lt(now_ms() - start, timing.open + BUSY_MS);
	ck_assert(hbad_alive(fake.a));
	act(HANDOFF_OPEN, ACT_OK);
	eventually(record_count("vol1/block_dev=0") == 1);
	ck_assert(hbad_alive(fake.a));
}
END_TEST

/* It may be consuming: the runner opens the gate next, so it has to be known first (H6, H10). */
/* The runner waits for all of them, and all its handlers wait with it (H24). */
START_TEST(known_devices_wait_for_a_silent_hbad_once)
{
	struct tcmu_device *more[2];

	timing.mute = 3600 * 1000;
	act(HANDOFF_WATCH, ACT_SILENT); /* so that the watcher offers nothing */
	act(HANDOFF_OPEN, ACT_SILENT);
	ck_assert_int_eq(open_dev(true), 0);
	more[0] = fake_device("vol2", "hba/g2/ld1", true);
	more[1] = fake_device("vol3", "hba/g2/ld2", true);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(fake.handler->open(more[i], false), 0);
		ck_assert(map_is_decoy(more[i]));
	}
	ck_assert_uint_eq(hbad_count(fake.a, "OPEN"), 1);
	ck_assert_uint_eq(log_count("did not answer a moment ago"), 2);
	/* A new one is asked for at once: it has no second chance. */
	act(HANDOFF_OPEN, ACT_REFUSE);
	ck_assert_int_ne(fake.handler->open(fake_device("vol4", "hba/g2/ld3", false), false), 0);
	ck_assert_uint_eq(hbad_count(fake.a, "OPEN"), 2);
	act(HANDOFF_OPEN, ACT_OK);
	act(HANDOFF_WATCH, ACT_OK);
	eventually(record_count("vol1/block_dev=0") && record_count("vol2/block_dev=0") &&
		   record_count("vol3/block_dev=0"));
	ck_assert(hbad_alive(fake.a));
}
END_TEST

/* H6, H10: what may be consuming is known before the runner opens the gate. */
START_TEST(known_device_with_silence_on_start_fences)
{
	act(HANDOFF_START, ACT_SILENT);
	act(HANDOFF_CLOSE, ACT_SILENT);
	ck_assert_int_eq(open_dev(true), 0);
	ck_assert(!hbad_alive(fake.a));
	eventually(record_count("vol1/reset_ring=1") > 0);
}
END_TEST

/* --- the rest of the runner's calls --- */

static int reconfig(enum tcmulib_cfg_type type, uint64_t value, char *text)
{
	struct tcmulib_cfg_info info = {.type = type};

	if (type == TCMULIB_CFG_DEV_SIZE)
		info.data.dev_size = value;
	else if (type == TCMULIB_CFG_WRITE_CACHE)
		info.data.write_cache = value;
	else
		info.data.dev_cfgstring = text;
	return fake.handler->reconfig(dev, &info);
}

START_TEST(reconfig_accepts_what_does_not_change)
{
	ck_assert_int_eq(open_dev(false), 0);
	ck_assert_int_eq(reconfig(TCMULIB_CFG_DEV_SIZE, 2048 * 512, NULL), 0);
	ck_assert_int_eq(reconfig(TCMULIB_CFG_WRITE_CACHE, 0, NULL), 0);
	ck_assert_int_eq(reconfig(TCMULIB_CFG_DEV_CFGSTR, 0, (char[]){"hba/g2/ld0;ro=1"}), 0);
	ck_assert_int_eq(reconfig(TCMULIB_CFG_DEV_CFGSTR, 0, (char[]){"hba/g2/ld0;ro=1\n"}), 0);
}
END_TEST

START_TEST(reconfig_refuses_changes_and_says_why)
{
	ck_assert_int_eq(open_dev(false), 0);
	ck_assert_int_lt(reconfig(TCMULIB_CFG_DEV_SIZE, 2049 * 512 + 1, NULL), 0);
	ck_assert_uint_eq(log_count("no whole number of blocks"), 1);
	ck_assert_int_lt(reconfig(TCMULIB_CFG_WRITE_CACHE, 1, NULL), 0);
	ck_assert_uint_eq(log_count("the write cache is the controller's"), 1);
	ck_assert_int_lt(reconfig(TCMULIB_CFG_DEV_CFGSTR, 0, (char[]){"hba/g2/ld0"}), 0);
	ck_assert_int_lt(reconfig(TCMULIB_CFG_DEV_CFGSTR, 0, (char[]){""}), 0);
	ck_assert_uint_eq(log_count("delete the backstore and create another"), 2);
}
END_TEST

START_TEST(a_new_size_is_hbads_to_take)
{
	ck_assert_int_eq(open_dev(false), 0);
	ck_assert_int_eq(reconfig(TCMULIB_CFG_DEV_SIZE, 4096 * 512, NULL), 0);
	ck_assert_ptr_nonnull(strstr(hbad_log(fake.a, "RESIZE", 0), "blocks=4096"));
	/* It has that size now, also for the next hbad. */
	ck_assert_int_eq(reconfig(TCMULIB_CFG_DEV_SIZE, 4096 * 512, NULL), 0);
	ck_assert_ptr_null(hbad_log(fake.a, "RESIZE", 1));
	act(HANDOFF_RESIZE, ACT_REFUSE);
	ck_assert_int_lt(reconfig(TCMULIB_CFG_DEV_SIZE, 8192 * 512, NULL), 0);
	ck_assert_uint_eq(log_count("keeps its size: the unit is on holiday"), 1);
	act(HANDOFF_RESIZE, ACT_SILENT);
	ck_assert_int_lt(reconfig(TCMULIB_CFG_DEV_SIZE, 8192 * 512, NULL), 0);
	ck_assert_uint_eq(log_count("did not say whether it took the new size"), 1);
	ck_assert_int_eq(reconfig(TCMULIB_CFG_DEV_SIZE, 4096 * 512, NULL), 0);
}
END_TEST

/* A restore writes the size that there is, while the watcher may wait for an hbad that does not answer. */
START_TEST(the_size_that_it_has_waits_for_nobody)
{
	kill(fake.a->pid, SIGKILL);
	hbad_wait_dead(fake.a);
	ck_assert_int_eq(open_dev(true), 0);
	fake_patient();
	atomic_store(&fake.b->act[HANDOFF_OPEN], ACT_SILENT);
	hbad_start(fake.b);
	eventually(hbad_count(fake.b, "OPEN") == 1);
	ck_assert_int_eq(reconfig(TCMULIB_CFG_DEV_SIZE, 2048 * 512, NULL), 0);
	ck_assert_uint_eq(hbad_count(fake.b, "OPEN"), 1);
	fake.handler->close(dev);
}
END_TEST

START_TEST(reconfig_and_watcher_do_not_disturb_each_other)
{
	ck_assert_int_eq(open_dev(false), 0);
	/* In this order: the watcher, which looks at any time, must not put it right. */
	record_fail("vol1/cmd_time_out", EINVAL);
	fake_write("cfg/target/core/user_0/vol1/attrib/cmd_time_out", "5");
	for (uint64_t end = now_ms() + 300; now_ms() < end;)
		ck_assert_int_eq(reconfig(TCMULIB_CFG_WRITE_CACHE, 0, NULL), 0);
	ck_assert_uint_eq(log_count("ALARM"), 1);
}
END_TEST

/* A restore writes cmd_time_out, and then dev_config, before it maps LUNs. */
START_TEST(reconfig_puts_the_time_out_right_again)
{
	timing.ping = 60000; /* not the watcher, after its first round */
	ck_assert_int_eq(open_dev(false), 0);
	eventually(record_count("vol1/tmr_notification=1") == 2);
	ck_assert_uint_eq(record_count("vol1/cmd_time_out=0"), 1);
	reconfig(TCMULIB_CFG_DEV_CFGSTR, 0, (char[]){"hba/g2/ld0;ro=1"});
	/* right already: the kernel logs refusals */
	ck_assert_uint_eq(record_count("vol1/cmd_time_out=0"), 1);
	fake_write("cfg/target/core/user_0/vol1/attrib/cmd_time_out", "5");
	reconfig(TCMULIB_CFG_DEV_CFGSTR, 0, (char[]){"hba/g2/ld0;ro=1"});
	/* More than 2 if the watcher's round, of which the first write was seen above, came as far as here only now. */
	ck_assert_uint_ge(record_count("vol1/cmd_time_out=0"), 2);
}
END_TEST

START_TEST(commands_are_not_handled_and_that_is_said_once)
{
	ck_assert_int_eq(fake.handler->handle_cmd(NULL, NULL), TCMU_STS_NOT_HANDLED);
	ck_assert_int_eq(fake.handler->handle_cmd(NULL, NULL), TCMU_STS_NOT_HANDLED);
	ck_assert_uint_eq(log_count("ALARM"), 1);
}
END_TEST

START_TEST(runner_takes_it_for_a_handler_of_plain_commands)
{
	const struct tcmur_handler *h = fake.handler;

	ck_assert_str_eq(h->subtype, "hba");
	ck_assert(!h->read && !h->write && !h->flush && h->handle_cmd && !h->nr_threads);
	ck_assert(!h->lock && !h->report_event && !h->is_dbus_handler);
	ck_assert_ptr_nonnull(strstr(h->cfg_desc, "NAME/UNIT[;ro=1]"));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("handler open");
	TCase *good = tcase_create("hand-over"), *create = tcase_create("failed create"),
	      *known = tcase_create("known device"), *rest = tcase_create("rest");

	tcase_add_test(good, new_device_is_handed_over);
	tcase_add_test(good, passed_descriptor_is_the_real_ring);
	tcase_add_test(good, attributes_are_set_before_hbad_is_asked);
	tcase_add_test(good, gate_of_a_new_device_is_not_touched);
	tcase_add_test(good, existing_device_is_known);
	tcase_add_test(good, newline_that_the_kernel_kept_is_dropped);
	tcase_add_test(good, long_name_is_cut_between_characters);
	tcase_add_test(good, reopen_is_refused);
	tcase_add_test(good, backstore_without_its_files_is_refused);

	tcase_add_test(create, create_without_hbad_fails_and_says_what_to_do);
	tcase_add_test(create, create_that_hbad_refuses_fails_with_its_reason);
	tcase_add_test(create, create_that_cannot_start_is_closed);
	tcase_add_test(create, create_that_hbad_has_forgotten_already_fails);
	tcase_add_test(create, create_with_silence_on_open_kills);
	tcase_add_test(create, create_with_silence_on_open_and_a_later_answer_fails);
	tcase_add_test(create, create_with_a_frozen_hbad_kills);
	tcase_add_test(create, create_with_a_hang_up_on_open_asks_once_more);
	tcase_add_test(create, create_with_death_on_open_fails_at_once);
	tcase_add_test(create, create_with_death_on_start_fails);
	tcase_add_test(create, create_with_silence_on_start_takes_it_back);
	tcase_add_test(create, create_with_silence_on_start_and_close_kills);
	tcase_add_loop_test(create, create_with_garbage_on_open_kills, 0, ARRAY_SIZE(garbage));
	tcase_add_loop_test(create, create_with_garbage_on_start_takes_it_back, 0, ARRAY_SIZE(garbage));
	tcase_add_test(create, another_version_is_explained);
	tcase_add_test(create, create_that_cannot_be_undone_succeeds_with_its_gate_closed);
	tcase_add_test(create, create_whose_close_is_not_confirmed_succeeds_with_its_gate_closed);

	tcase_add_test(known, known_device_is_taken_without_hbad);
	tcase_add_test(known, gate_that_the_runner_opens_is_closed_again);
	tcase_add_test(known, known_device_is_taken_when_hbad_refuses);
	tcase_add_test(known, known_device_is_taken_when_hbad_is_silent_and_nobody_is_killed_for_it);
	tcase_add_test(known, known_devices_wait_for_a_silent_hbad_once);
	tcase_add_test(known, known_device_with_silence_on_start_fences);

	tcase_add_test(rest, reconfig_accepts_what_does_not_change);
	tcase_add_test(rest, reconfig_refuses_changes_and_says_why);
	tcase_add_test(rest, a_new_size_is_hbads_to_take);
	tcase_add_test(rest, the_size_that_it_has_waits_for_nobody);
	tcase_add_test(rest, reconfig_and_watcher_do_not_disturb_each_other);
	tcase_add_test(rest, reconfig_puts_the_time_out_right_again);
	tcase_add_test(rest, commands_are_not_handled_and_that_is_said_once);
	tcase_add_test(rest, runner_takes_it_for_a_handler_of_plain_commands);

	TCase *all[] = {good, create, known, rest};

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
