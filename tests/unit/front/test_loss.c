/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ring is changed or taken away, or makes no sense. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/front/harness.h"
#include "tests/unit/run_suite.h"

/* H1: commands that end late write nothing into what is another ring by now. */
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
	before = harness_snapshot();
	harness_spin();
	ck_assert_ptr_nonnull(harness_dropped());
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
	before = harness_snapshot();
	harness_spin();
	ck_assert_ptr_nonnull(harness_dropped());
	ck_assert_mem_eq(h.m.map, before, h.m.map_len);
	free(before);
	for (unsigned i = 0; i < 4; i++)
		model_cmd_free(c[i]);
}
END_TEST

/* H1: no reply goes into a ring that was reset, not even while the tail is still 0. */
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
	ck_assert_ptr_nonnull(harness_dropped());
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
	ck_assert_ptr_nonnull(harness_dropped());
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
	ck_assert_ptr_nonnull(harness_dropped());
	ck_assert_uint_eq(fake.n, 1);
	ck_assert_uint_eq(harness_stats().invalid, 1);
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

START_TEST(a_dropped_ring_does_not_spin)
{
	struct model_cmd *c = harness_queue(0x88, 0, MODEL_READ, 512);
	uint32_t bad = 7;

	memcpy(h.m.map + MODEL_CMDR_OFF, &bad, 4);
	harness_spin();
	ck_assert_ptr_nonnull(harness_dropped());
	model_notify(&h.m);
	ck_assert(harness_sleeps());
	model_cmd_free(c);
}
END_TEST

/* H19: a removed device does not spin. */
START_TEST(a_removed_device_is_let_go_without_a_spin)
{
	struct model_cmd *c = harness_queue(0x88, 0, MODEL_READ, 4096);
	int fd = h.r->fd.fd;
	uint8_t *before;

	harness_spin();
	model_remove(&h.m);
	before = harness_snapshot();
	harness_spin();
	ck_assert_str_eq(harness_dropped(), "the kernel removed the device");
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	ck_assert(harness_sleeps());
	ck_assert_uint_eq(fake.aborts, 1);
	fake_good(fake.task[0]);
	harness_spin();
	ck_assert_mem_eq(h.m.map, before, h.m.map_len);
	ck_assert_uint_eq(front_outstanding(h.r), 0);
	free(before);
	model_cmd_free(c);
}
END_TEST

/* H5, H19: a device that is gone is unmapped. */
START_TEST(an_idle_removed_device_is_unmapped_at_once)
{
	/* by what it polls alone, or by what reading it says */
	h.ack_fails = _i ? -EAGAIN : 0;
	model_remove(&h.m);
	harness_spin();
	ck_assert_ptr_nonnull(harness_dropped());
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
	ck_assert_str_eq(harness_dropped(), "the kernel removed the device");
	ck_assert_ptr_null(h.r->ring.map);
	model_cmd_free(c);
}
END_TEST

START_TEST(a_ring_that_is_broken_from_the_start_is_not_started)
{
	struct model_cmd *c;
	struct err err = {0};
	uint32_t bad = 5;

	harness_open(HARNESS_RING_BYTES, HARNESS_BLOCKS);
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
	harness_open(HARNESS_RING_BYTES, 8);
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
	ck_assert_ptr_nonnull(harness_dropped());
	ck_assert_uint_eq(front_outstanding(h.r), 0);
	model_cmd_free(c);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("front-loss");
	TCase *t = tcase_create("loss");

	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, harness_setup, harness_close);
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
	tcase_add_checked_fixture(t, NULL, harness_close);
	tcase_add_test(t, a_ring_that_is_broken_from_the_start_is_not_started);
	tcase_add_test(t, more_iovecs_than_the_data_area_has_blocks_drop_the_ring);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return run_suite(suite());
}
