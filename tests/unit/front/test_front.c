/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A ring on its I/O thread, played by the test: from the model's queue to the model's answer. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/unit/front/harness.h"

#define RING_BYTES (16 * 4096 - MODEL_CMDR_OFF)
#define BLOCKS	   256

static void setup_created(void)
{
	harness_open(RING_BYTES, BLOCKS);
	harness_create();
}

static void setup(void)
{
	setup_created();
	harness_start();
}

static void setup_small(void)
{
	harness_open(4096 - MODEL_CMDR_OFF, 64);
	harness_create();
	harness_start();
}

static void teardown(void)
{
	harness_close();
}

static struct front_stats stats(void)
{
	struct front_stats st;

	front_get_stats(h.r, &st);
	return st;
}

static const char *dropped(void)
{
	const char *why = NULL;

	return front_dropped(h.r, &why) ? why : NULL;
}

/* --- up and down --- */

START_TEST(data_of_every_cdb_length_goes_both_ways)
{
	static const struct {
		uint8_t read, write;
		uint8_t cdb_len;
	} t[] = {{0x08, 0x0a, 6}, {0x28, 0x2a, 10}, {0xa8, 0xaa, 12}, {0x88, 0x8a, 16}};
	static const uint32_t lens[] = {1, 512, 4095, 4096, 4097, 65536, 262144};

	for (unsigned i = 0; i < 4; i++)
		for (unsigned k = 0; k < 7; k++) {
			struct model_cmd *rd = harness_queue(t[i].read, 100 * i + k, MODEL_READ, lens[k]);
			struct model_cmd *wr =
				harness_queue(t[i].write, 100 * i + k + 50, MODEL_WRITE, lens[k]);

			harness_spin();
			ck_assert_uint_eq(fake.n, 2);
			ck_assert_uint_eq(fake.task[0]->cdb_len, t[i].cdb_len);
			ck_assert_mem_eq(fake.task[0]->cdb, rd->cdb, t[i].cdb_len);
			ck_assert_uint_eq(fake.task[1]->iov_bytes, lens[k]);
			fake_good(fake.task[1]);
			fake_good(fake.task[0]);
			harness_spin();
			ck_assert_uint_eq(rd->answers + wr->answers, 2);
			ck_assert_uint_eq(rd->status + wr->status, 0);
			ck_assert(!rd->has_read_len);
			ck_assert(harness_data_is(rd, lens[k], 0));
			ck_assert_uint_eq(fake.bad_data, 0);
			model_cmd_free(rd);
			model_cmd_free(wr);
		}
	ck_assert_uint_eq(stats().commands, 56);
	ck_assert_uint_eq(stats().completions, 56);
	ck_assert_uint_eq(stats().outstanding, 0);
}
END_TEST

START_TEST(a_task_that_ends_within_submit_is_answered_in_the_same_iteration)
{
	struct model_cmd *c = harness_queue(0x88, 1, MODEL_READ, 4096);

	fake.immediate = true;
	loop_once(h.loop, 0);
	ck_assert_uint_eq(c->answers, 1);
	ck_assert(harness_data_is(c, 4096, 0));
	model_cmd_free(c);
}
END_TEST

START_TEST(a_batch_costs_one_uio_write)
{
	struct model_cmd *c[50];

	fake.immediate = true;
	for (unsigned i = 0; i < 50; i++)
		c[i] = harness_queue(0x28, i, MODEL_READ, 512);
	harness_spin();
	ck_assert_uint_eq(h.m.kicks, 1);
	ck_assert_uint_eq(stats().batches, 1);
	ck_assert_uint_eq(stats().completions, 50);
	for (unsigned i = 0; i < 50; i++) {
		ck_assert_uint_eq(c[i]->answers, 1);
		model_cmd_free(c[i]);
	}
	/* idle iterations cost none */
	harness_spin();
	ck_assert_uint_eq(h.m.kicks, 1);
}
END_TEST

static struct model_cmd *late;

static void queue_late(void)
{
	if (!late)
		late = harness_queue(0x28, 99, MODEL_READ, 512);
}

START_TEST(the_event_is_taken_before_the_ring_is_read)
{
	struct model_cmd *c = harness_queue(0x28, 1, MODEL_READ, 512);

	/* It comes while an event is pending, so the kernel raises none for it. */
	late = NULL;
	h.before_ack = queue_late;
	loop_once(h.loop, 0);
	ck_assert_uint_eq(fake.n, 2);
	ck_assert(!h.m.event_pending);
	fake_finish_all();
	harness_spin();
	ck_assert_uint_eq(late->answers, 1);
	model_cmd_free(late);
	model_cmd_free(c);
}
END_TEST

START_TEST(intake_does_not_wait_for_completions)
{
	static struct model_cmd *c[400];
	const uint16_t oldest[1] = {1};

	for (unsigned i = 0; i < 400; i++) {
		c[i] = harness_queue(0x00, i, MODEL_NONE, 0);
		if (i % 50 == 0)
			harness_spin();
	}
	ck_assert_int_eq(model_tmr(&h.m, 1, oldest, 1), 0);
	harness_spin();
	ck_assert_uint_eq(fake.n, 400);
	ck_assert_uint_eq(fake.aborts, 1);
	ck_assert_uint_eq(fake_tag(fake.aborted[0]), 0);
	ck_assert_uint_eq(front_outstanding(h.r), 400);
	fake_finish_all();
	harness_spin();
	ck_assert_uint_eq(front_outstanding(h.r), 0);
	for (unsigned i = 0; i < 400; i++)
		model_cmd_free(c[i]);
}
END_TEST

/* EXTENDED COPY asks for it. */
static void must_be_served(struct scsi_task *task)
{
	ck_assert(fake.serving);
}

START_TEST(a_ring_that_was_in_use_is_served_from_its_tail_on)
{
	struct model_cmd *c[3];

	/* created while it is empty, entries come before START, one of them behind the end of the ring */
	harness_close();
	harness_open(RING_BYTES, BLOCKS);
	model_set_position(&h.m, RING_BYTES - 200);
	harness_create();
	for (unsigned i = 0; i < 3; i++)
		c[i] = harness_queue(0x88, i, MODEL_READ, 512);
	ck_assert_uint_eq(fake.n, 0);
	fake.serving = false; /* that was the first ring */
	fake.on_submit = must_be_served;
	harness_start();
	ck_assert_uint_eq(fake.n, 3);
	fake_finish_all();
	harness_spin();
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(c[i]->answers, 1);
		ck_assert(harness_data_is(c[i], 512, 0));
		model_cmd_free(c[i]);
	}
	ck_assert_uint_eq(h.m.last_cleaned, model_head(&h.m));
}
END_TEST

START_TEST(a_ring_is_started_once)
{
	struct err err = {0};

	ck_assert_int_eq(front_io_start(h.r, &err), -EALREADY);
}
END_TEST

START_TEST(a_bidirectional_command_is_refused_with_sense)
{
	struct model_cmd *c = model_cmd_new(0x28, 1, MODEL_READ, 4096);
	struct model_cmd *varlen = model_cmd_new(0x7f, 2, MODEL_NONE, 0);
	uint32_t one = 1;

	varlen->cdb[7] = 32; /* a CDB of 40 bytes */
	ck_assert_int_eq(model_queue(&h.m, c), 0);
	ck_assert_int_eq(model_queue(&h.m, varlen), 0);
	memcpy(h.m.map + MODEL_CMDR_OFF + 12, &one, 4);
	harness_spin();
	ck_assert_uint_eq(fake.submitted, 0);
	ck_assert_uint_eq(c->answers, 1);
	ck_assert_uint_eq(c->status, 2);
	ck_assert_uint_eq(c->sense[0], 0x70);
	ck_assert_uint_eq(c->sense[2], 5);
	ck_assert_uint_eq(c->sense[7], 10);
	ck_assert_uint_eq(c->sense[12], 0x20);
	ck_assert_uint_eq(c->sense[13], 0);
	ck_assert_uint_eq(varlen->status, 2);
	ck_assert_uint_eq(stats().invalid, 2);
	ck_assert(!dropped());
	model_cmd_free(c);
	model_cmd_free(varlen);
}
END_TEST

START_TEST(a_task_that_ends_twice_is_answered_once)
{
	struct model_cmd *c = harness_queue(0x28, 1, MODEL_READ, 512);
	struct scsi_task *task;

	harness_spin();
	task = fake.task[0];
	fake_good(task);
	task->done(task); /* before the reply is written */
	harness_spin();
	task->done(task); /* the slot is free */
	harness_spin();
	ck_assert_uint_eq(c->answers, 1);
	ck_assert(!h.m.broken);
	ck_assert_uint_eq(front_outstanding(h.r), 0);
	model_cmd_free(c);
}
END_TEST

/* --- what the initiator's buffer holds (H15) --- */

/* Blocks that the next command gets again are full of another command's data. */
static void poison_blocks(void)
{
	memset(h.m.map + h.m.data_off, 0xdd, (size_t)BLOCKS * MODEL_BLOCK);
}

static struct model_cmd *one(uint8_t opcode, enum model_dir dir, uint32_t len)
{
	struct model_cmd *c = harness_queue(opcode, 3, dir, len);

	if (dir != MODEL_WRITE)
		poison_blocks();
	harness_spin();
	ck_assert_uint_eq(fake.n, 1);
	return c;
}

static void check_answer(struct model_cmd *c, uint8_t status, uint32_t read_len)
{
	harness_spin();
	ck_assert_uint_eq(c->answers, 1);
	ck_assert_uint_eq(c->status, status);
	ck_assert_int_eq(c->has_read_len, read_len != 0);
	ck_assert_uint_eq(c->read_len, read_len);
	ck_assert(!h.m.broken);
}

START_TEST(a_short_read_says_its_length)
{
	static const uint32_t in[] = {1, 511, 4096, 5000, 12287};

	for (unsigned i = 0; i < 5; i++) {
		struct model_cmd *c = one(0x28, MODEL_READ, 12288);

		fake_short(fake.task[0], in[i]);
		check_answer(c, 0, in[i]);
		ck_assert(harness_data_is(c, in[i], 0xee)); /* the rest of the buffer is not touched */
		model_cmd_free(c);
	}
	ck_assert_uint_eq(stats().residuals, 5);
}
END_TEST

START_TEST(a_full_read_says_nothing)
{
	struct model_cmd *c = one(0x28, MODEL_READ, 12288);

	fake_good(fake.task[0]);
	check_answer(c, 0, 0);
	ck_assert(harness_data_is(c, 12288, 0));
	ck_assert_uint_eq(stats().residuals, 0);
	model_cmd_free(c);
}
END_TEST

START_TEST(an_empty_read_gives_zeros)
{
	struct model_cmd *c = one(0x28, MODEL_READ, 5000);

	fake_short(fake.task[0], 0);
	check_answer(c, 0, 0);
	ck_assert(harness_data_is(c, 0, 0));
	ck_assert_uint_eq(stats().residuals, 1);
	model_cmd_free(c);
}
END_TEST

START_TEST(more_data_than_expected_is_a_full_read)
{
	struct model_cmd *c = one(0x28, MODEL_READ, 4096);

	fake_short(fake.task[0], 4096 + 512);
	check_answer(c, 0, 0);
	ck_assert(harness_data_is(c, 4096, 0));
	model_cmd_free(c);
}
END_TEST

START_TEST(a_kernel_without_read_len_gets_zeros_behind_a_short_read)
{
	struct model_cmd *c;

	h.r->ring.caps &= (uint16_t)~TCMU_MAILBOX_FLAG_CAP_READ_LEN;
	c = one(0x28, MODEL_READ, 12288);
	fake_short(fake.task[0], 5000);
	check_answer(c, 0, 0);
	ck_assert(harness_data_is(c, 5000, 0));
	model_cmd_free(c);
	c = one(0x28, MODEL_READ, 4096);
	fake_check(fake.task[0], 3, 512);
	check_answer(c, 2, 0);
	ck_assert(harness_data_is(c, 0, 0xee));
	model_cmd_free(c);
}
END_TEST

START_TEST(check_condition_carries_its_data_and_sense)
{
	static const uint32_t in[] = {512, 8192, 12288};

	for (unsigned i = 0; i < 3; i++) {
		struct model_cmd *c = one(0x28, MODEL_READ, 12288);

		fake_check(fake.task[0], 3, in[i]);
		check_answer(c, 2, in[i]);
		ck_assert(harness_data_is(c, in[i], 0xee));
		ck_assert_uint_eq(c->sense[0], 0x70);
		ck_assert_uint_eq(c->sense[2], 3);
		ck_assert_uint_eq(c->sense[3], 0);
		ck_assert_uint_eq(c->sense[95], 0x5a);
		model_cmd_free(c);
	}
}
END_TEST

START_TEST(check_condition_without_data_gives_none)
{
	struct model_cmd *c = one(0x28, MODEL_READ, 4096);

	fake_check(fake.task[0], 5, 0);
	check_answer(c, 2, 0);
	ck_assert(harness_data_is(c, 0, 0xee));
	model_cmd_free(c);
	c = one(0x2a, MODEL_WRITE, 4096);
	fake_check(fake.task[0], 7, 4096);
	check_answer(c, 2, 0);
	model_cmd_free(c);
}
END_TEST

START_TEST(other_statuses_leak_no_earlier_data)
{
	static const enum scsi_status st[] = {SCSI_BUSY, SCSI_TASK_SET_FULL, SCSI_TASK_ABORTED};

	for (unsigned i = 0; i < 3; i++) {
		struct model_cmd *c = one(0x28, MODEL_READ, 5000);

		fake.task[0]->in_bytes = 2500 * i; /* counts for nothing */
		fake_status(fake.task[0], st[i]);
		check_answer(c, (uint8_t)st[i], 0);
		ck_assert(harness_data_is(c, 0, 0));
		model_cmd_free(c);
	}
}
END_TEST

START_TEST(a_command_without_data_whose_initiator_expects_some_gives_zeros)
{
	struct model_cmd *c = one(0x00, MODEL_READ, 5000);

	fake_good(fake.task[0]);
	check_answer(c, 0, 0);
	ck_assert(harness_data_is(c, 0, 0));
	model_cmd_free(c);
}
END_TEST

START_TEST(a_good_write_leaves_its_data_alone)
{
	struct model_cmd *c = one(0x2a, MODEL_WRITE, 5000);

	fake_good(fake.task[0]);
	check_answer(c, 0, 0);
	for (uint32_t i = 0; i < 5000; i++)
		if (h.m.map[h.m.data_off + i] != model_pattern(3, i))
			ck_abort_msg("byte %u", i);
	model_cmd_free(c);
}
END_TEST

/* --- task management --- */

START_TEST(a_tmr_aborts_the_commands_it_names)
{
	struct model_cmd *c[5];
	uint16_t ids[6];

	for (unsigned i = 0; i < 5; i++)
		c[i] = harness_queue(0x28, i, MODEL_READ, 512);
	harness_spin();
	ids[0] = c[1]->id;
	ids[1] = c[1]->id; /* named twice */
	ids[2] = 0;	   /* never an id */
	ids[3] = 65535;	   /* not in use */
	ids[4] = c[3]->id;
	ids[5] = c[4]->id;
	fake_good(fake_by_tag(4)); /* done, not yet replied to */
	ck_assert_int_eq(model_tmr(&h.m, 5, ids, 6), 0);
	loop_once(h.loop, 0);
	/* the youngest first: it may wait for the blocks of the older one */
	ck_assert_uint_eq(fake.aborts, 2);
	ck_assert_uint_eq(fake_tag(fake.aborted[0]), 3);
	ck_assert_uint_eq(fake_tag(fake.aborted[1]), 1);
	/* named again by a LUN RESET: once is enough */
	ck_assert_int_eq(model_tmr(&h.m, 5, ids, 6), 0);
	harness_spin();
	ck_assert_uint_eq(fake.aborts, 2);
	ck_assert_uint_eq(stats().tmrs, 2);
	/* LIO waits for the named commands, and gets each once */
	fake_status(fake_by_tag(1), SCSI_TASK_ABORTED);
	fake_finish_all();
	harness_spin();
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_uint_eq(c[i]->answers, 1);
		ck_assert_uint_eq(c[i]->status, i == 1 ? 0x40 : 0);
		model_cmd_free(c[i]);
	}
	ck_assert_uint_eq(h.m.last_cleaned, model_head(&h.m));
}
END_TEST

START_TEST(a_tmr_does_not_reach_a_later_command_with_the_same_id)
{
	struct model_cmd *a, *b;
	uint16_t id;

	a = harness_queue(0x28, 1, MODEL_READ, 512);
	id = a->id;
	/* The TMR stands in the ring before the id comes back with b. */
	harness_spin();
	ck_assert_int_eq(model_tmr(&h.m, 1, &id, 1), 0);
	fake_good(fake.task[0]);
	harness_spin();
	b = harness_queue(0x28, 2, MODEL_READ, 512);
	ck_assert_uint_eq(b->id, id);
	harness_spin();
	ck_assert_uint_eq(fake.aborts, 0);
	ck_assert_uint_eq(fake.n, 1);
	/* and one that names b reaches b */
	ck_assert_int_eq(model_tmr(&h.m, 1, &id, 1), 0);
	harness_spin();
	ck_assert_uint_eq(fake.aborts, 1);
	ck_assert_uint_eq(fake_tag(fake.aborted[0]), 2);
	model_cmd_free(a);
	fake_finish_all();
	harness_spin();
	model_cmd_free(b);
}
END_TEST

START_TEST(an_abort_that_ends_the_task_at_once_is_answered)
{
	struct model_cmd *c = harness_queue(0x28, 1, MODEL_READ, 512);

	harness_spin();
	fake.abort_at_once = true;
	ck_assert_int_eq(model_tmr(&h.m, 1, &c->id, 1), 0);
	harness_spin();
	ck_assert_uint_eq(c->answers, 1);
	ck_assert_uint_eq(c->status, 0x40);
	model_cmd_free(c);
}
END_TEST

/* From now on. */
static void start_with_grace(uint32_t ms)
{
	h.r->grace_ns = ms * NS_PER_MS;
}

START_TEST(a_named_command_may_end_by_itself_before_it_is_aborted)
{
	struct model_cmd *c[3];
	uint16_t ids[2];

	start_with_grace(200);
	for (unsigned i = 0; i < 3; i++)
		c[i] = harness_queue(0x28, i, MODEL_READ, 512);
	harness_spin();
	ids[0] = c[0]->id;
	ids[1] = c[1]->id;
	ck_assert_int_eq(model_tmr(&h.m, 5, ids, 2), 0);
	harness_spin();
	ck_assert_uint_eq(fake.aborts, 0);
	/* one of the two ends well, and its data are the initiator's */
	fake_good(fake_by_tag(1));
	harness_spin();
	ck_assert_uint_eq(c[1]->answers, 1);
	ck_assert_uint_eq(c[1]->status, 0);
	for (unsigned i = 0; i < 600 && !fake.aborts; i++)
		loop_once(h.loop, 100);
	ck_assert_uint_eq(fake.aborts, 1);
	ck_assert_uint_eq(fake_tag(fake.aborted[0]), 0);
	/* the slot of the one that ended is used anew: what named it does not reach the next */
	model_cmd_free(c[1]);
	c[1] = harness_queue(0x28, 7, MODEL_READ, 512);
	harness_spin();
	ck_assert_int_eq(model_tmr(&h.m, 5, ids, 1), 0);
	for (unsigned i = 0; i < 600 && h.r->abort_armed; i++)
		loop_once(h.loop, 100);
	ck_assert(!h.r->abort_armed);
	ck_assert_uint_eq(fake.aborts, 1);
	fake_status(fake_by_tag(0), SCSI_TASK_ABORTED);
	fake_finish_all();
	harness_spin();
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(c[i]->answers, 1);
		ck_assert_uint_eq(c[i]->status, i == 0 ? 0x40 : 0);
		model_cmd_free(c[i]);
	}
}
END_TEST

/* One reset after another: the time of what the last one names does not begin with the first one's. */
START_TEST(each_named_command_has_the_whole_time)
{
	struct model_cmd *c[4];
	uint64_t between;

	start_with_grace(3600000);
	for (unsigned i = 0; i < 4; i++)
		c[i] = harness_queue(0x28, i, MODEL_READ, 512);
	harness_spin();
	ck_assert_int_eq(model_tmr(&h.m, 5, (uint16_t[]){c[0]->id, c[2]->id}, 2), 0);
	harness_spin();
	clock_sleep_ms(2);
	harness_spin();
	between = loop_now(h.loop);
	clock_sleep_ms(2);
	/* the first one again: that it was named before counts */
	ck_assert_int_eq(model_tmr(&h.m, 5, (uint16_t[]){c[0]->id, c[1]->id}, 2), 0);
	harness_spin();
	/* as if so much time were allowed as has gone by since between the two */
	h.r->grace_ns = loop_now(h.loop) - between;
	h.r->abort_timer.cb(&h.r->abort_timer);
	ck_assert_uint_eq(fake.aborts, 2);
	ck_assert_uint_eq(fake_tag(fake.aborted[0]), 2);
	ck_assert_uint_eq(fake_tag(fake.aborted[1]), 0);
	ck_assert(h.r->abort_armed);
	for (unsigned i = 0; i < 600 && h.r->abort_armed; i++)
		loop_once(h.loop, 100);
	ck_assert_uint_eq(fake.aborts, 3);
	ck_assert_uint_eq(fake_tag(fake.aborted[2]), 1);
	fake_finish_all();
	harness_spin();
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_uint_eq(c[i]->answers, 1);
		model_cmd_free(c[i]);
	}
}
END_TEST

/* What an abort sets free may end others, named ones too, before the abort returns. */
static void end_all_but_one(void)
{
	for (unsigned i = 0; i < 3; i++)
		if (fake_by_tag(i) && fake_by_tag(i) != fake.aborted[0])
			fake_good(fake_by_tag(i));
}

START_TEST(an_abort_may_end_other_named_commands)
{
	struct model_cmd *c[4];
	uint16_t ids[4];

	for (unsigned i = 0; i < 4; i++) {
		c[i] = harness_queue(0x28, i, MODEL_READ, 512);
		ids[i] = c[i]->id;
	}
	harness_spin();
	fake.on_abort = end_all_but_one;
	ck_assert_int_eq(model_tmr(&h.m, 5, ids, 4), 0);
	harness_spin();
	/* the youngest alone: the others had ended */
	ck_assert_uint_eq(fake.aborts, 1);
	ck_assert_uint_eq(fake_tag(fake.aborted[0]), 3);
	fake.on_abort = NULL;
	fake_finish_all();
	harness_spin();
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_uint_eq(c[i]->answers, 1);
		model_cmd_free(c[i]);
	}
}
END_TEST

START_TEST(a_ring_that_ends_meanwhile_aborts_nothing_later)
{
	struct model_cmd *c = harness_queue(0x28, 1, MODEL_READ, 512);

	start_with_grace(3600000);
	harness_spin();
	ck_assert_int_eq(model_tmr(&h.m, 5, &c->id, 1), 0);
	harness_spin();
	ck_assert(h.r->abort_armed);
	fake_finish_all();
	harness_spin();
	ck_assert_uint_eq(c->answers, 1);
	ck_assert_uint_eq(c->status, 0);
	/* the fixture ends the ring with its timer armed, and the loop without one */
	model_cmd_free(c);
}
END_TEST

START_TEST(a_tmr_alone_gives_its_space_back)
{
	for (unsigned i = 0; i < 5000; i++) {
		if (model_tmr(&h.m, 5, NULL, 0) < 0)
			ck_abort_msg("full after %u", i);
		if (i % 100 == 0)
			harness_spin();
	}
	harness_spin();
	ck_assert_uint_eq(stats().tmrs, 5000);
	ck_assert_uint_eq(h.m.last_cleaned, model_head(&h.m));
}
END_TEST

/* --- age (H2) --- */

static void open_with_time_out(uint32_t seconds)
{
	harness_open(RING_BYTES, BLOCKS);
	h.cmd_time_out_s = seconds;
	harness_create();
}

START_TEST(an_entry_found_after_a_long_pause_is_not_executed)
{
	/* cmd_time_out 30 s: 28 s are the bound */
	static const struct {
		uint64_t pause_ms;
		bool aged;
	} t[] = {{1, false}, {27999, false}, {28000, false}, {28001, true}, {60000, true}};

	open_with_time_out(30);
	harness_start();
	for (unsigned i = 0; i < 5; i++) {
		struct model_cmd *c;

		harness_spin(); /* a look */
		c = harness_queue(0x2a, i, MODEL_WRITE, 512);
		h.now_ns += t[i].pause_ms * NS_PER_MS;
		harness_spin();
		ck_assert_uint_eq(fake.n, !t[i].aged);
		if (t[i].aged)
			ck_assert_uint_eq(c->status, 8);
		fake_finish_all();
		harness_spin();
		ck_assert_uint_eq(c->answers, 1);
		model_cmd_free(c);
	}
	ck_assert_uint_eq(stats().aged, 2);
}
END_TEST

START_TEST(an_entry_of_unknown_age_is_not_executed)
{
	struct model_cmd *c;

	open_with_time_out(30);
	c = harness_queue(0x2a, 1, MODEL_WRITE, 512);
	harness_start();
	harness_spin();
	ck_assert_uint_eq(fake.submitted, 0);
	ck_assert_uint_eq(c->status, 8);
	model_cmd_free(c);
	c = harness_queue(0x2a, 2, MODEL_WRITE, 512);
	harness_spin();
	ck_assert_uint_eq(fake.n, 1);
	fake_finish_all();
	harness_spin();
	model_cmd_free(c);
}
END_TEST

START_TEST(idling_does_not_age_the_next_entry)
{
	struct model_cmd *c;

	/* a clock that stands while nothing comes would hide it: looks are due every 14 s */
	open_with_time_out(30);
	harness_start();
	for (unsigned i = 0; i < 100; i++) {
		h.now_ns += 20 * NS_PER_SEC;
		loop_once(h.loop, 0);
	}
	c = harness_queue(0x2a, 1, MODEL_WRITE, 512);
	harness_spin();
	ck_assert_uint_eq(fake.n, 1);
	ck_assert_uint_eq(stats().aged, 0);
	fake_finish_all();
	harness_spin();
	model_cmd_free(c);
}
END_TEST

static void stall(struct scsi_task *task)
{
	h.now_ns += 9 * NS_PER_SEC;
}

START_TEST(a_stall_while_taking_counts)
{
	/* stopped after the look and the first submission: the other two are too old by then */
	struct model_cmd *c[3];

	open_with_time_out(10);
	harness_start();
	harness_spin();
	for (unsigned i = 0; i < 3; i++)
		c[i] = harness_queue(0x2a, i, MODEL_WRITE, 512);
	fake.on_submit = stall;
	harness_spin();
	ck_assert_uint_eq(fake.n, 1);
	ck_assert_uint_eq(c[1]->status, 8);
	ck_assert_uint_eq(c[2]->status, 8);
	fake_finish_all();
	harness_spin();
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(c[i]->answers, 1);
		model_cmd_free(c[i]);
	}
}
END_TEST

START_TEST(without_a_time_out_nothing_is_too_old)
{
	struct model_cmd *c;

	open_with_time_out(0);
	c = harness_queue(0x2a, 1, MODEL_WRITE, 512);
	h.now_ns += 3600 * NS_PER_SEC;
	harness_start();
	ck_assert_uint_eq(fake.n, 1);
	fake_finish_all();
	harness_spin();
	model_cmd_free(c);
	c = harness_queue(0x2a, 2, MODEL_WRITE, 512);
	h.now_ns += 3600 * NS_PER_SEC;
	harness_spin();
	ck_assert_uint_eq(fake.n, 1);
	fake_finish_all();
	harness_spin();
	ck_assert_uint_eq(stats().aged, 0);
	model_cmd_free(c);
}
END_TEST

START_TEST(short_time_outs_keep_half_of_their_time)
{
	static const struct {
		uint32_t s;
		uint64_t bound_ms;
	} t[] = {{1, 500}, {2, 1000}, {3, 1500}, {4, 2000}, {5, 3000}, {30, 28000}};

	for (unsigned i = 0; i < 6; i++) {
		open_with_time_out(t[i].s);
		ck_assert_uint_eq(h.r->age_bound_ns, t[i].bound_ms * NS_PER_MS);
		harness_close();
	}
	open_with_time_out(0);
	ck_assert_uint_eq(h.r->age_bound_ns, 0);
}
END_TEST

/* --- the ring is changed or taken away --- */

static uint8_t *snapshot(void)
{
	uint8_t *copy = malloc(h.m.map_len);

	must(copy);
	memcpy(copy, h.m.map, h.m.map_len);
	return copy;
}

START_TEST(after_a_reset_nothing_is_written_any_more)
{
	struct model_cmd *c[6];
	uint8_t *before;

	for (unsigned i = 0; i < 4; i++)
		c[i] = harness_queue(i == 3 ? 0x2a : 0x28, i, i == 3 ? MODEL_WRITE : MODEL_READ, 4096);
	harness_spin();
	fake_good(fake_by_tag(0));
	harness_spin();
	ck_assert_uint_eq(c[0]->answers, 1);
	fake_good(fake_by_tag(1)); /* done, not replied to */
	model_reset_ring(&h.m);
	/* new commands get the same ids, slots and blocks */
	c[4] = harness_queue(0x2a, 4, MODEL_WRITE, 4096);
	c[5] = harness_queue(0x2a, 5, MODEL_WRITE, 4096);
	before = snapshot();
	harness_spin();
	ck_assert_ptr_nonnull(dropped());
	/* those at the controller were aborted, youngest first, and end late */
	ck_assert_uint_eq(fake.aborts, 2);
	ck_assert_uint_eq(fake_tag(fake.aborted[0]), 3);
	ck_assert_uint_eq(fake_tag(fake.aborted[1]), 2);
	ck_assert_uint_eq(front_outstanding(h.r), 2);
	fake_good(fake_by_tag(2));
	fake.bad_data = 0;
	fake_status(fake_by_tag(3), SCSI_TASK_ABORTED);
	harness_spin();
	ck_assert_mem_eq(h.m.map, before, h.m.map_len);
	ck_assert_uint_eq(front_outstanding(h.r), 0);
	ck_assert(model_unread_intact(&h.m, 0));
	ck_assert_uint_eq(c[4]->answers + c[5]->answers, 0);
	ck_assert_uint_eq(fake.n, 0);
	ck_assert_int_eq(front_io_stop(h.r), 0);
	free(before);
	for (unsigned i = 0; i < 6; i++)
		model_cmd_free(c[i]);
}
END_TEST

START_TEST(a_reset_is_noticed_before_a_reply_touches_the_data_area)
{
	struct model_cmd *c[4];
	uint8_t *before;

	for (unsigned i = 0; i < 2; i++)
		c[i] = harness_queue(0x28, i, MODEL_READ, 4096);
	harness_spin();
	fake_good(fake_by_tag(0));
	harness_spin();
	fake_short(fake_by_tag(1), 0); /* to be filled with zeros by the next iteration */
	model_reset_ring(&h.m);
	h.m.event_pending = true; /* no event leads to a look before it */
	for (unsigned i = 2; i < 4; i++)
		c[i] = harness_queue(0x2a, i, MODEL_WRITE, 4096);
	before = snapshot();
	harness_spin();
	ck_assert_ptr_nonnull(dropped());
	ck_assert_mem_eq(h.m.map, before, h.m.map_len);
	free(before);
	for (unsigned i = 0; i < 4; i++)
		model_cmd_free(c[i]);
}
END_TEST

START_TEST(a_reset_before_the_first_reply_answers_no_later_command)
{
	struct model_cmd *c[6];

	/* The tail is 0 all the time, the same ids come again, and the head goes on where it was. */
	for (unsigned i = 0; i < 2; i++)
		c[i] = harness_queue(0x88, i, MODEL_READ, 512);
	harness_spin();
	model_reset_ring(&h.m);
	for (unsigned i = 2; i < 5; i++)
		c[i] = harness_queue(0x88, i, MODEL_READ, 512);
	fake_good(fake_by_tag(0));
	harness_spin();
	ck_assert_ptr_nonnull(dropped());
	ck_assert_uint_eq(model_tail(&h.m), 0);
	fake_finish_all();
	harness_spin();
	ck_assert_uint_eq(model_tail(&h.m), 0);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_uint_eq(c[i]->answers, i < 2); /* by the reset */
		model_cmd_free(c[i]);
	}
}
END_TEST

START_TEST(an_id_that_is_in_use_proves_a_reset)
{
	struct model_cmd *a = harness_queue(0x88, 0, MODEL_READ, 512), *b;

	harness_spin();
	h.m.by_id[a->id] = NULL;
	h.m.lowest_free_id = a->id;
	b = harness_queue(0x88, 1, MODEL_READ, 512);
	harness_spin();
	ck_assert_ptr_nonnull(dropped());
	ck_assert_uint_eq(fake.submitted, 1);
	fake_finish_all();
	harness_spin();
	ck_assert_uint_eq(model_tail(&h.m), 0);
	model_cmd_free(a);
	model_cmd_free(b);
}
END_TEST

START_TEST(a_malformed_entry_stops_intake_but_not_replies)
{
	struct model_cmd *c[3];
	uint32_t bad = 128 | 3, at;

	c[0] = harness_queue(0x88, 0, MODEL_READ, 512);
	harness_spin();
	at = model_head(&h.m);
	c[1] = harness_queue(0x88, 1, MODEL_READ, 512);
	c[2] = harness_queue(0x88, 2, MODEL_READ, 512);
	memcpy(h.m.map + MODEL_CMDR_OFF + at, &bad, 4);
	harness_spin();
	ck_assert_ptr_nonnull(dropped());
	ck_assert_uint_eq(fake.n, 1);
	ck_assert_uint_eq(stats().invalid, 1);
	ck_assert_int_eq(front_io_drain(h.r), -EIO);
	fake_good(fake.task[0]);
	harness_spin();
	ck_assert_uint_eq(c[0]->answers, 1);
	ck_assert(harness_data_is(c[0], 512, 0));
	ck_assert_uint_eq(c[1]->answers + c[2]->answers, 0);
	for (unsigned i = 0; i < 3; i++)
		model_cmd_free(c[i]);
}
END_TEST

/* One iteration that finds nothing to do sleeps its whole time. */
static bool sleeps(void)
{
	uint64_t t = clock_ns();

	loop_once(h.loop, 60);
	return clock_ns() - t >= 55 * NS_PER_MS;
}

START_TEST(a_dropped_ring_does_not_spin)
{
	struct model_cmd *c = harness_queue(0x88, 0, MODEL_READ, 512);
	uint32_t bad = 7;

	memcpy(h.m.map + MODEL_CMDR_OFF, &bad, 4);
	harness_spin();
	ck_assert_ptr_nonnull(dropped());
	model_notify(&h.m);
	ck_assert(sleeps());
	model_cmd_free(c);
}
END_TEST

START_TEST(a_removed_device_is_let_go_without_a_spin)
{
	struct model_cmd *c = harness_queue(0x88, 0, MODEL_READ, 4096);
	int fd = h.r->fd.fd;
	uint8_t *before;

	harness_spin();
	model_remove(&h.m);
	before = snapshot();
	harness_spin();
	ck_assert_str_eq(dropped(), "the kernel removed the device");
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	ck_assert(sleeps());
	ck_assert_uint_eq(fake.aborts, 1);
	fake_good(fake.task[0]);
	harness_spin();
	ck_assert_mem_eq(h.m.map, before, h.m.map_len);
	ck_assert_uint_eq(front_outstanding(h.r), 0);
	free(before);
	model_cmd_free(c);
}
END_TEST

START_TEST(an_idle_removed_device_is_unmapped_at_once)
{
	/* by what it polls alone, or by what reading it says */
	h.ack_fails = _i ? -EAGAIN : 0;
	model_remove(&h.m);
	harness_spin();
	ck_assert_ptr_nonnull(dropped());
	ck_assert_ptr_null(h.r->ring.map);
}
END_TEST

START_TEST(a_failing_read_or_write_of_the_device_means_removal)
{
	struct model_cmd *c = harness_queue(0x88, 0, MODEL_NONE, 0);

	if (_i == 0)
		h.ack_fails = -EIO;
	else
		h.kick_fails = -EINVAL;
	fake.immediate = true;
	harness_spin();
	ck_assert_str_eq(dropped(), "the kernel removed the device");
	ck_assert_ptr_null(h.r->ring.map);
	model_cmd_free(c);
}
END_TEST

START_TEST(a_ring_that_is_broken_from_the_start_is_not_started)
{
	struct model_cmd *c;
	struct err err = {0};
	uint32_t bad = 5;

	harness_open(RING_BYTES, BLOCKS);
	harness_create();
	c = harness_queue(0x88, 0, MODEL_NONE, 0);
	memcpy(h.m.map + MODEL_CMDR_OFF, &bad, 4);
	ck_assert(!fake.serving);
	ck_assert_int_eq(front_io_start(h.r, &err), -EIO);
	ck_assert_uint_gt(strlen(err.text), 20);
	ck_assert(!fake.serving);
	model_cmd_free(c);
}
END_TEST

START_TEST(more_iovecs_than_the_data_area_has_blocks_drop_the_ring)
{
	struct model_cmd *c;
	uint8_t *ent;

	/* 8 blocks; nine iovecs all over the same one */
	harness_open(RING_BYTES, 8);
	harness_create();
	harness_start();
	c = model_cmd_new(0x88, 0, MODEL_READ, 4 * 4096);
	ck_assert_int_eq(model_queue_scattered(&h.m, c), 0); /* 128-byte slot */
	ent = h.m.map + MODEL_CMDR_OFF;
	memcpy(ent, &(uint32_t){(48 + 9 * 16 + 16) | 1}, 4);
	memcpy(ent + 8, &(uint32_t){9}, 4);
	memcpy(ent + 24, &(uint64_t){MODEL_CMDR_OFF + 48 + 9 * 16}, 8);
	for (unsigned i = 0; i < 9; i++) {
		memcpy(ent + 48 + 16 * i, &(uint64_t){h.m.data_off}, 8);
		memcpy(ent + 56 + 16 * i, &(uint64_t){512}, 8);
	}
	h.m.mb->cmd_head = 48 + 9 * 16 + 16;
	harness_spin();
	ck_assert_ptr_nonnull(dropped());
	ck_assert_uint_eq(front_outstanding(h.r), 0);
	model_cmd_free(c);
}
END_TEST

/* --- drain and stop --- */

START_TEST(drain_ends_when_all_is_answered)
{
	struct model_cmd *c[3];

	ck_assert_int_eq(front_io_drain(h.r), 0);
	for (unsigned i = 0; i < 3; i++)
		c[i] = harness_queue(0x88, i, MODEL_READ, 512);
	/* consumes by itself, whether or not an event comes */
	ck_assert_int_eq(front_io_drain(h.r), -EAGAIN);
	ck_assert_uint_eq(fake.n, 3);
	fake_good(fake.task[2]);
	fake_good(fake.task[1]);
	ck_assert_int_eq(front_io_drain(h.r), -EAGAIN);
	fake_good(fake.task[0]);
	ck_assert_int_eq(model_tmr(&h.m, 1, &c[0]->id, 1), 0);
	ck_assert_int_eq(front_io_drain(h.r), 0);
	ck_assert_uint_eq(h.m.in_ring, 0);
	ck_assert_uint_eq(h.m.last_cleaned, model_head(&h.m));
	for (unsigned i = 0; i < 3; i++)
		model_cmd_free(c[i]);
}
END_TEST

START_TEST(drain_sees_what_the_kernel_queues_when_it_gets_space)
{
	struct model_cmd *c = harness_queue(0x28, 1, MODEL_READ, 512);

	harness_spin();
	late = NULL;
	h.after_kick = queue_late; /* as from its queue of those that found the ring full */
	fake_good(fake.task[0]);
	ck_assert_int_eq(front_io_drain(h.r), -EAGAIN);
	fake.immediate = true;
	ck_assert_int_eq(front_io_drain(h.r), 0);
	ck_assert_uint_eq(late->answers, 1);
	model_cmd_free(late);
	model_cmd_free(c);
}
END_TEST

START_TEST(stop_publishes_what_is_done_and_leaves_the_rest_unread)
{
	struct model_cmd *c[3];
	uint32_t unread;
	int fd = h.r->fd.fd;

	for (unsigned i = 0; i < 2; i++)
		c[i] = harness_queue(0x88, i, MODEL_READ, 4096);
	harness_spin();
	unread = model_head(&h.m);
	c[2] = harness_queue(0x88, 2, MODEL_READ, 4096);
	front_io_quiet(h.r);
	loop_once(h.loop, 0);
	ck_assert_uint_eq(fake.n, 2);
	fake_good(fake_by_tag(1));
	fake_good(fake_by_tag(0));
	ck_assert_uint_eq(fake.retired, 0);
	ck_assert(fake.serving);
	ck_assert_int_eq(front_io_stop(h.r), 0);
	ck_assert_uint_eq(fake.retired, 1); /* the LUN: nobody copies from or to it any more */
	ck_assert(!fake.serving);
	ck_assert_uint_eq(c[0]->answers + c[1]->answers, 2);
	ck_assert_uint_eq(c[2]->answers, 0);
	ck_assert_uint_eq(model_tail(&h.m), unread);
	ck_assert(model_unread_intact(&h.m, unread));
	ck_assert(!dropped());
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	for (unsigned i = 0; i < 3; i++)
		model_cmd_free(c[i]);
}
END_TEST

START_TEST(orphans_end_without_touching_the_ring)
{
	struct model_cmd *c[3];
	struct scsi_task *read_task, *write_task;
	uint8_t *before;

	c[0] = harness_queue(0x28, 0, MODEL_READ, 8192);
	c[1] = harness_queue(0x2a, 1, MODEL_WRITE, 8192);
	c[2] = harness_queue(0x28, 2, MODEL_READ, 8192);
	harness_spin();
	read_task = fake_by_tag(0);
	write_task = fake_by_tag(1);
	fake_good(fake_by_tag(2));
	ck_assert_int_eq(front_io_stop(h.r), 2);
	ck_assert_uint_eq(c[2]->answers, 1);
	before = snapshot();
	/* both were told to end, the write before the older read */
	ck_assert_uint_eq(fake.aborts, 2);
	ck_assert_ptr_eq(fake.aborted[0], write_task);
	ck_assert_ptr_eq(fake.aborted[1], read_task);
	/* the creator goes, the slots stay */
	front_put(h.r);
	fake_good(read_task);
	ck_assert_uint_eq(front_outstanding(h.r), 1);
	fake_status(
		write_task, SCSI_TASK_ABORTED); /* frees the ring: a leak or a late use would be reported */
	h.r = NULL;
	ck_assert_mem_eq(h.m.map, before, h.m.map_len);
	free(before);
	for (unsigned i = 0; i < 3; i++)
		model_cmd_free(c[i]);
}
END_TEST

START_TEST(tasks_that_wait_for_the_controller_end_at_stop)
{
	struct model_cmd *c[20];

	for (unsigned i = 0; i < 20; i++)
		c[i] = harness_queue(0x2a, i, MODEL_WRITE, 4096);
	harness_spin();
	fake.abort_at_once = true;
	ck_assert_int_eq(front_io_stop(h.r), 0);
	ck_assert_uint_eq(fake.n, 0);
	for (unsigned i = 0; i < 20; i++) {
		ck_assert_uint_eq(c[i]->answers, 0);
		model_cmd_free(c[i]);
	}
}
END_TEST

START_TEST(a_ring_can_be_handed_over_a_thousand_times)
{
	struct model_cmd *c;

	for (unsigned i = 0; i < 1000; i++) {
		int keep = dup(h.m.event[0]); /* the handler's duplicate */

		c = harness_queue(0x88, i, MODEL_READ, 512);
		harness_spin();
		fake_finish_all();
		if (front_io_drain(h.r) != 0 || front_io_stop(h.r) != 0)
			ck_abort_msg("round %u", i);
		front_put(h.r);
		if (c->answers != 1 || keep > 40)
			ck_abort_msg("round %u, descriptor %d", i, keep);
		model_cmd_free(c);
		h.m.event[0] = keep;
		harness_create();
		harness_start();
	}
	ck_assert(sleeps());
}
END_TEST

/* --- many --- */

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
	ck_assert(!dropped());
}
END_TEST

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
		if (dropped() || h.m.broken || load.bad || fake.bad_data)
			ck_abort_msg("after %u commands: %s, kernel %s, %u wrong, %u bad writes", load.total,
				dropped() ? dropped() : "served", h.m.broken ? "broken" : "fine", load.bad,
				fake.bad_data);
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
	ck_assert_uint_gt(stats().tmrs, 1000);
}
END_TEST

/* Entries of the kernel with some bytes changed, mailbox included: no crash, no hang, no access outside the
 * data area (the fake touches every byte of every iovec). */
START_TEST(changed_bytes_neither_crash_nor_hang)
{
	uint64_t rng = (uint64_t)_i * 31 + 5;
	struct model_cmd *c[12];

	teardown();
	for (unsigned round = 0; round < 120; round++) {
		setup_small();
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
	setup_small();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("front");
	TCase *t = tcase_create("commands");

	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, data_of_every_cdb_length_goes_both_ways);
	tcase_add_test(t, a_task_that_ends_within_submit_is_answered_in_the_same_iteration);
	tcase_add_test(t, a_batch_costs_one_uio_write);
	tcase_add_test(t, the_event_is_taken_before_the_ring_is_read);
	tcase_add_test(t, intake_does_not_wait_for_completions);
	tcase_add_test(t, a_ring_that_was_in_use_is_served_from_its_tail_on);
	tcase_add_test(t, a_ring_is_started_once);
	tcase_add_test(t, a_bidirectional_command_is_refused_with_sense);
	tcase_add_test(t, a_task_that_ends_twice_is_answered_once);
	suite_add_tcase(s, t);

	t = tcase_create("data");
	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_short_read_says_its_length);
	tcase_add_test(t, a_full_read_says_nothing);
	tcase_add_test(t, an_empty_read_gives_zeros);
	tcase_add_test(t, more_data_than_expected_is_a_full_read);
	tcase_add_test(t, a_kernel_without_read_len_gets_zeros_behind_a_short_read);
	tcase_add_test(t, check_condition_carries_its_data_and_sense);
	tcase_add_test(t, check_condition_without_data_gives_none);
	tcase_add_test(t, other_statuses_leak_no_earlier_data);
	tcase_add_test(t, a_command_without_data_whose_initiator_expects_some_gives_zeros);
	tcase_add_test(t, a_good_write_leaves_its_data_alone);
	suite_add_tcase(s, t);

	t = tcase_create("tmr");
	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_tmr_aborts_the_commands_it_names);
	tcase_add_test(t, a_tmr_does_not_reach_a_later_command_with_the_same_id);
	tcase_add_test(t, an_abort_that_ends_the_task_at_once_is_answered);
	tcase_add_test(t, a_named_command_may_end_by_itself_before_it_is_aborted);
	tcase_add_test(t, each_named_command_has_the_whole_time);
	tcase_add_test(t, an_abort_may_end_other_named_commands);
	tcase_add_test(t, a_ring_that_ends_meanwhile_aborts_nothing_later);
	tcase_add_test(t, a_tmr_alone_gives_its_space_back);
	suite_add_tcase(s, t);

	t = tcase_create("age");
	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, an_entry_found_after_a_long_pause_is_not_executed);
	tcase_add_test(t, an_entry_of_unknown_age_is_not_executed);
	tcase_add_test(t, idling_does_not_age_the_next_entry);
	tcase_add_test(t, a_stall_while_taking_counts);
	tcase_add_test(t, without_a_time_out_nothing_is_too_old);
	tcase_add_test(t, short_time_outs_keep_half_of_their_time);
	suite_add_tcase(s, t);

	t = tcase_create("loss");
	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, after_a_reset_nothing_is_written_any_more);
	tcase_add_test(t, a_reset_is_noticed_before_a_reply_touches_the_data_area);
	tcase_add_test(t, a_reset_before_the_first_reply_answers_no_later_command);
	tcase_add_test(t, an_id_that_is_in_use_proves_a_reset);
	tcase_add_test(t, a_malformed_entry_stops_intake_but_not_replies);
	tcase_add_test(t, a_dropped_ring_does_not_spin);
	tcase_add_test(t, a_removed_device_is_let_go_without_a_spin);
	tcase_add_loop_test(t, an_idle_removed_device_is_unmapped_at_once, 0, 2);
	tcase_add_loop_test(t, a_failing_read_or_write_of_the_device_means_removal, 0, 2);
	suite_add_tcase(s, t);

	t = tcase_create("own-ring");
	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, a_ring_that_is_broken_from_the_start_is_not_started);
	tcase_add_test(t, more_iovecs_than_the_data_area_has_blocks_drop_the_ring);
	tcase_add_test(t, all_65535_ids_can_be_outstanding);
	tcase_add_test(t, commands_of_many_iovecs_are_carried);
	suite_add_tcase(s, t);

	t = tcase_create("end");
	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, drain_ends_when_all_is_answered);
	tcase_add_test(t, drain_sees_what_the_kernel_queues_when_it_gets_space);
	tcase_add_test(t, stop_publishes_what_is_done_and_leaves_the_rest_unread);
	tcase_add_test(t, orphans_end_without_touching_the_ring);
	tcase_add_test(t, tasks_that_wait_for_the_controller_end_at_stop);
	tcase_add_test(t, a_ring_can_be_handed_over_a_thousand_times);
	suite_add_tcase(s, t);

	t = tcase_create("random");
	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, setup_small, teardown);
	tcase_add_loop_test(t, random_load_is_answered_once_and_right, 0, 2);
	tcase_add_loop_test(t, changed_bytes_neither_crash_nor_hang, 0, 6);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
