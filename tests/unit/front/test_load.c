/* SPDX-License-Identifier: GPL-2.0-or-later */
/* As much as a ring can hold, and random load. */
#include <string.h>

#include "tests/unit/front/harness.h"
#include "tests/unit/run_suite.h"

/* --- many --- */

/* H7: a slot for every id. */
START_TEST(all_65535_ids_can_be_outstanding)
{
	static struct model_cmd *c[65535];

	harness_open(2048 * 4096 - MODEL_CMDR_OFF, 16);
	harness_create();
	harness_start();
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 65535; i++) {
			c[i] = model_cmd_new(0x00, i, MODEL_NONE, 0);
			if (model_queue(&h.m, c[i]) < 0)
				ck_abort_msg("command %u", i);
			if (i % 1000 == 0)
				harness_spin();
		}
		harness_spin();
		ck_assert_uint_eq(fake.n, 65535);
		ck_assert_uint_eq(front_outstanding(h.r), 65535);
		fake_finish_all();
		harness_spin();
		ck_assert_uint_eq(front_outstanding(h.r), 0);
		ck_assert_uint_eq(h.m.in_ring, 0);
		for (unsigned i = 0; i < 65535; i++) {
			if (c[i]->answers != 1)
				ck_abort_msg("command %u answered %u times", i, c[i]->answers);
			model_cmd_free(c[i]);
		}
	}
	ck_assert(!harness_dropped());
}
END_TEST

/* H26: fragments of 4 KiB by the thousand. */
START_TEST(commands_of_many_iovecs_are_carried)
{
	static const uint32_t n[] = {8, 9, 64, 65, 512, 513, 1024, 4096, 4097, 10000};
	struct model_cmd *c[10];

	harness_open(512 * 4096 - MODEL_CMDR_OFF, 64 * 1024);
	harness_create();
	harness_start();
	for (unsigned i = 0; i < 10; i++) {
		c[i] = model_cmd_new(
			i % 2 ? 0x8a : 0x88, i, i % 2 ? MODEL_WRITE : MODEL_READ, n[i] * 4096 - 100);
		ck_assert_int_eq(model_queue_scattered(&h.m, c[i]), 0);
	}
	harness_spin();
	ck_assert_uint_eq(fake.n, 10);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_uint_eq(fake_by_tag(i)->niov, n[i]);
	fake_finish_all();
	harness_spin();
	ck_assert_uint_eq(fake.bad_data, 0);
	for (unsigned i = 0; i < 10; i++) {
		ck_assert_uint_eq(c[i]->answers, 1);
		ck_assert(i % 2 || harness_data_is(c[i], c[i]->len, 0));
		model_cmd_free(c[i]);
	}
}
END_TEST

#define AT_ONCE	 512
#define COMMANDS 60000

static struct {
	struct model_cmd *cmd[AT_ONCE];
	unsigned n, total, bad, aborted;
} load;

static void load_queue(uint64_t *rng)
{
	static const uint8_t ops[] = {0x08, 0x28, 0xa8, 0x88, 0x0a, 0x2a, 0xaa, 0x8a, 0x00};
	uint8_t op = ops[model_rand(rng) % 9];
	enum model_dir dir = op == 0 ? MODEL_NONE : op & 2 ? MODEL_WRITE : MODEL_READ;
	uint32_t len = op == 0 ? 0 : 1 + model_rand(rng) % (model_rand(rng) % 16 ? 4096 : 30000);
	struct model_cmd *c;

	if (load.n == AT_ONCE)
		return;
	c = model_cmd_new(op, load.total, dir, len);
	if ((model_rand(rng) % 2 ? model_queue(&h.m, c) : model_queue_scattered(&h.m, c)) < 0) {
		model_cmd_free(c);
		return;
	}
	load.cmd[load.n++] = c;
	load.total++;
}

static void load_tmr(uint64_t *rng)
{
	uint16_t ids[8];
	unsigned n = model_rand(rng) % 8;

	for (unsigned i = 0; i < n; i++)
		ids[i] = load.n ? load.cmd[model_rand(rng) % load.n]->id : 0;
	model_tmr(&h.m, n > 1 ? 5 : 1, ids, n);
}

static void load_finish(uint64_t *rng)
{
	struct scsi_task *t;

	if (!fake.n)
		return;
	t = fake.task[model_rand(rng) % fake.n];
	switch (model_rand(rng) % 8) {
	case 0:
		fake_short(t, t->iov_bytes / 2);
		break;
	case 1:
		fake_check(t, 3, t->iov_bytes / 3);
		break;
	case 2:
		fake_status(t, SCSI_BUSY);
		break;
	default:
		fake_good(t);
	}
}

static bool load_answer_ok(const struct model_cmd *c)
{
	if (c->answers != 1)
		return false;
	if (c->dir != MODEL_READ)
		return true;
	if (c->status == 0 && !c->has_read_len)
		return c->len / 2 == 0 || harness_data_is(c, c->len, 0);
	if (c->has_read_len)
		return harness_data_is(c, c->read_len, 0xee);
	return c->status == 2 ? harness_data_is(c, 0, 0xee) : harness_data_is(c, 0, 0);
}

static void load_collect(void)
{
	for (unsigned i = 0; i < load.n;) {
		struct model_cmd *c = load.cmd[i];

		if (!c->answers) {
			i++;
			continue;
		}
		load.bad += !load_answer_ok(c);
		model_cmd_free(c);
		load.cmd[i] = load.cmd[--load.n];
	}
}

START_TEST(random_load_is_answered_once_and_right)
{
	uint64_t rng = (uint64_t)_i + 11;

	memset(&load, 0, sizeof(load));
	while (load.total < COMMANDS) {
		unsigned keen = model_rand(&rng) % 3;

		for (unsigned i = 0; i < 200; i++)
			switch (model_rand(&rng) % 12) {
			case 0:
				loop_once(h.loop, 0);
				load_collect();
				break;
			case 1:
				load_tmr(&rng);
				break;
			case 2:
				fake.abort_at_once = model_rand(&rng) % 2;
				break;
			default:
				model_rand(&rng) % 3 < keen ? load_finish(&rng) : load_queue(&rng);
			}
		if (harness_dropped() || h.m.broken || load.bad || fake.bad_data)
			ck_abort_msg("after %u commands: %s, kernel %s, %u wrong, %u bad writes", load.total,
				harness_dropped() ? harness_dropped() : "served",
				h.m.broken ? "broken" : "fine", load.bad, fake.bad_data);
	}
	fake.abort_at_once = false;
	harness_spin();
	fake_finish_all();
	harness_spin();
	load_collect();
	ck_assert_uint_eq(load.n, 0);
	ck_assert_uint_eq(load.bad, 0);
	ck_assert_uint_eq(h.m.in_ring, 0);
	ck_assert_uint_eq(h.m.dirty_reserved, 0);
	ck_assert_uint_eq(h.m.last_cleaned, model_head(&h.m));
	ck_assert_int_eq(front_io_drain(h.r), 0);
	ck_assert_uint_gt(harness_stats().tmrs, 1000);
}
END_TEST

/* Entries of the kernel with some bytes changed, mailbox included: no crash, no hang, no access outside the
 * data area (the fake touches every byte of every iovec). */
START_TEST(changed_bytes_neither_crash_nor_hang)
{
	uint64_t rng = (uint64_t)_i * 31 + 5;
	struct model_cmd *c[12];

	harness_close();
	for (unsigned round = 0; round < 120; round++) {
		harness_setup_small();
		for (unsigned i = 0; i < 12; i++) {
			c[i] = model_cmd_new(
				i % 2 ? 0x2a : 0x88, i, i % 2 ? MODEL_WRITE : MODEL_READ, 4096 + i);
			model_queue_scattered(&h.m, c[i]);
		}
		for (unsigned step = 0; step < 6; step++) {
			for (unsigned i = model_rand(&rng) % 4; i > 0; i--) {
				uint32_t at = model_rand(&rng) % (model_rand(&rng) % 8 ? 4096 : 80);

				h.m.map[at] = (uint8_t)(model_rand(&rng) % 4 ? model_rand(&rng) : 8);
			}
			loop_once(h.loop, 0);
			if (fake.n && model_rand(&rng) % 2)
				fake_good(fake.task[model_rand(&rng) % fake.n]);
			model_notify(&h.m);
		}
		harness_spin();
		fake_finish_all();
		harness_spin();
		ck_assert_uint_eq(front_outstanding(h.r), 0);
		harness_close();
		h.r = NULL;
		for (unsigned i = 0; i < 12; i++)
			model_cmd_free(c[i]);
	}
	harness_setup_small();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("front-load");
	TCase *t = tcase_create("random");

	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, harness_setup_small, harness_close);
	tcase_add_loop_test(t, random_load_is_answered_once_and_right, 0, 2);
	tcase_add_loop_test(t, changed_bytes_neither_crash_nor_hang, 0, 6);
	suite_add_tcase(s, t);

	t = tcase_create("own-ring");
	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, NULL, harness_close);
	tcase_add_test(t, all_65535_ids_can_be_outstanding);
	tcase_add_test(t, commands_of_many_iovecs_are_carried);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return run_suite(suite());
}
