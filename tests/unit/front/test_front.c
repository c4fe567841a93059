/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A ring on its I/O thread, played by the test: from the model's queue to the model's answer, and to its end. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/front/harness.h"
#include "tests/unit/run_suite.h"

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
	ck_assert_uint_eq(harness_stats().commands, 56);
	ck_assert_uint_eq(harness_stats().completions, 56);
	ck_assert_uint_eq(harness_stats().outstanding, 0);
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
	ck_assert_uint_eq(harness_stats().batches, 1);
	ck_assert_uint_eq(harness_stats().completions, 50);
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

/* H19: no wake-up is lost. */
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

/* H7: hundreds stuck: the abort of the oldest is seen at once. */
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
	harness_open(HARNESS_RING_BYTES, HARNESS_BLOCKS);
	model_set_position(&h.m, HARNESS_RING_BYTES - 200);
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
	ck_assert_uint_eq(harness_stats().invalid, 2);
	ck_assert(!harness_dropped());
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
	ck_assert(!harness_dropped());
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
	before = harness_snapshot();
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

/* H19: no ghost events, no descriptors. */
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
	ck_assert(harness_sleeps());
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("front");
	TCase *t = tcase_create("commands");

	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, harness_setup, harness_close);
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

	t = tcase_create("end");
	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, harness_setup, harness_close);
	tcase_add_test(t, drain_ends_when_all_is_answered);
	tcase_add_test(t, drain_sees_what_the_kernel_queues_when_it_gets_space);
	tcase_add_test(t, stop_publishes_what_is_done_and_leaves_the_rest_unread);
	tcase_add_test(t, orphans_end_without_touching_the_ring);
	tcase_add_test(t, tasks_that_wait_for_the_controller_end_at_stop);
	tcase_add_test(t, a_ring_can_be_handed_over_a_thousand_times);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return run_suite(suite());
}
