/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Replies and the slots that they go into, and changes behind our back, against the model of the kernel's side. */
#include <errno.h>

#include "tests/unit/front/ring_rig.h"
#include "tests/unit/run_suite.h"

/* --- replies and other slots --- */

static struct model_cmd *queue(uint8_t opcode, uint32_t tag, enum model_dir dir, uint32_t len)
{
	struct model_cmd *c = model_cmd_new(opcode, tag, dir, len);

	ck_assert_int_eq(model_queue(&m, c), 0);
	return c;
}

static uint16_t take(void)
{
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	ring_advance(&g, &e);
	return e.id;
}

static void publish(void)
{
	ck_assert_int_eq(ring_publish(&g), 1);
	model_completions(&m);
	ck_assert(!m.broken);
}

/* H18: replies of commands with every length of slot. */
START_TEST(replies_of_every_slot_length_go_into_other_slots)
{
	/* 1 to 40 iovecs: slots of 120 to 704 bytes; replies in reverse order */
	struct model_cmd *c[40];
	uint16_t id[40];

	rig_close();
	rig_open(16 * 4096 - MODEL_CMDR_OFF, 2048);
	for (unsigned i = 0; i < 40; i++) {
		c[i] = model_cmd_new(i % 2 ? 0x08 : 0x88, i, MODEL_READ, (i + 1) * 4096);
		ck_assert_int_eq(model_queue_scattered(&m, c[i]), 0);
	}
	for (unsigned i = 0; i < 40; i++) {
		id[i] = take();
		ck_assert_uint_eq(e.count, i + 1);
		ck_assert_uint_eq(e.len, model_entry_size(&m, c[i], i + 1));
	}
	for (unsigned i = 40; i-- > 0;)
		rig_reply(id[i]);
	publish();
	for (unsigned i = 0; i < 40; i++) {
		ck_assert_uint_eq(c[i]->answers, 1);
		model_cmd_free(c[i]);
	}
	ck_assert_uint_eq(m.last_cleaned, model_head(&m));
}
END_TEST

/* H18: wrap and PAD. */
START_TEST(a_pad_at_the_end_is_stepped_over_by_both_sides)
{
	/* every possible room at the end of the ring, from none over a PAD of 8 bytes to one a byte short */
	for (uint32_t room = 0; room <= 160; room += 8) {
		struct model_cmd *c;

		model_set_position(&m, room ? RIG_RING_BYTES - room : 0);
		ck_assert_int_eq(ring_start(&g, NULL), 0);
		c = queue(0x28, room, MODEL_NONE, 0);
		rig_reply(take());
		publish();
		ck_assert_uint_eq(c->answers, 1);
		ck_assert_uint_eq(g.published, model_head(&m));
		ck_assert_uint_eq(m.last_cleaned, model_head(&m));
		model_cmd_free(c);
	}
}
END_TEST

/* H18: TMR entries in every place. */
START_TEST(silent_slots_never_get_a_reply_wherever_they_are)
{
	/* all placements of up to one TMR before, between and after three commands; every order of replies */
	static const uint8_t order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	for (unsigned where = 0; where < 16; where++)
		for (unsigned o = 0; o < 6; o++) {
			struct model_cmd *c[3];
			uint16_t id[3], named[1] = {1};
			unsigned n = 0, tmrs = 0;

			for (unsigned i = 0; i < 4; i++) {
				if (where >> i & 1)
					ck_assert_int_eq(model_tmr(&m, 1, named, 1), 0);
				if (i < 3)
					c[i] = queue(0x88, i, MODEL_READ, 512);
			}
			while (n < 3 || ring_peek(&g, &e) == RING_TMR) {
				if (ring_peek(&g, &e) == RING_CMD)
					id[n++] = e.id;
				else
					tmrs++;
				ring_advance(&g, &e);
			}
			ck_assert_uint_eq(tmrs, (unsigned)__builtin_popcount(where));
			for (unsigned i = 0; i < 3; i++) {
				rig_reply(id[order[o][i]]);
				publish();
				ck_assert_uint_eq(m.in_ring, 2 - i);
			}
			ck_assert_uint_eq(m.last_cleaned, model_head(&m));
			for (unsigned i = 0; i < 3; i++) {
				ck_assert_uint_eq(c[i]->answers, 1);
				model_cmd_free(c[i]);
			}
		}
}
END_TEST

START_TEST(a_lone_tmr_does_not_stay_unpublished)
{
	ck_assert_int_eq(model_tmr(&m, 5, NULL, 0), 0); /* 32 bytes */
	ck_assert_int_eq(ring_peek(&g, &e), RING_TMR);
	ring_advance(&g, &e);
	ck_assert(!ring_settled(&g));
	publish();
	ck_assert(ring_settled(&g));
	ck_assert(ring_empty(&g));
	ck_assert_uint_eq(m.last_cleaned, 32);
}
END_TEST

START_TEST(an_unread_silent_slot_is_not_published)
{
	struct model_cmd *c = queue(0x88, 1, MODEL_NONE, 0);

	rig_reply(take());
	ck_assert_int_eq(model_tmr(&m, 5, NULL, 0), 0);
	publish();
	ck_assert_uint_eq(model_tail(&m), 128);
	ck_assert_int_eq(ring_peek(&g, &e), RING_TMR);
	model_cmd_free(c);
}
END_TEST

START_TEST(a_reply_without_a_taken_command_is_refused)
{
	struct model_cmd *c = queue(0x88, 1, MODEL_NONE, 0);

	ck_assert_int_eq(ring_put_reply(&g, &(struct ring_reply){.id = 1}), -ESTALE);
	ck_assert(g.lost);
	ck_assert(model_unread_intact(&m, 0));
	ck_assert_int_eq(ring_publish(&g), -ESTALE);
	model_cmd_free(c);
}
END_TEST

/* --- changes behind our back --- */

START_TEST(nothing_is_published_after_a_reset)
{
	struct model_cmd *c[4];
	uint16_t id;

	for (unsigned i = 0; i < 3; i++)
		c[i] = queue(0x88, i, MODEL_NONE, 0);
	id = take();
	rig_reply(id);
	publish();
	id = take();
	take();
	model_reset_ring(&m);
	c[3] = queue(0x88, 3, MODEL_NONE, 0);
	ck_assert(!ring_intact(&g));
	ck_assert_int_eq(ring_publish(&g), -ESTALE);
	ck_assert_int_eq(ring_put_reply(&g, &(struct ring_reply){.id = id}), -ESTALE);
	ck_assert_int_eq(ring_peek(&g, &e), RING_LOST);
	ck_assert_uint_eq(model_tail(&m), 0);
	ck_assert(model_unread_intact(&m, 0));
	ck_assert_uint_eq(c[3]->answers, 0);
	for (unsigned i = 0; i < 4; i++)
		model_cmd_free(c[i]);
}
END_TEST

START_TEST(a_reset_between_reply_and_publish_is_noticed)
{
	struct model_cmd *c[2] = {queue(0x88, 0, MODEL_NONE, 0), queue(0x88, 1, MODEL_NONE, 0)};

	rig_reply(take());
	publish();
	rig_reply(take());
	model_reset_ring(&m);
	ck_assert_int_eq(ring_publish(&g), -ESTALE);
	ck_assert_uint_eq(model_tail(&m), 0);
	model_cmd_free(c[0]);
	model_cmd_free(c[1]);
}
END_TEST

START_TEST(a_reset_before_the_first_reply_is_noticed_by_the_head)
{
	struct model_cmd *c[2] = {queue(0x88, 0, MODEL_NONE, 0), queue(0x88, 1, MODEL_NONE, 0)};

	take();
	take();
	model_reset_ring(&m);
	ck_assert(!ring_intact(&g));
	ck_assert_int_eq(ring_peek(&g, &e), RING_LOST);
	model_cmd_free(c[0]);
	model_cmd_free(c[1]);
}
END_TEST

START_TEST(a_reset_before_the_first_reply_is_noticed_when_new_entries_took_the_slots)
{
	/* tail 0 before and after, the same ids, and a head that is where it was, or further */
	struct model_cmd *c[6];
	uint16_t id;

	for (unsigned i = 0; i < 2; i++)
		c[i] = queue(0x88, i, MODEL_NONE, 0);
	id = take();
	take();
	model_reset_ring(&m);
	for (unsigned i = 2; i < 4u + (unsigned)_i; i++)
		c[i] = queue(0x88, i, MODEL_NONE, 0);
	ck_assert_int_eq(ring_put_reply(&g, &(struct ring_reply){.id = id}), -ESTALE);
	ck_assert_int_eq(ring_publish(&g), -ESTALE);
	ck_assert_uint_eq(model_tail(&m), 0);
	ck_assert(model_unread_intact(&m, 0));
	for (unsigned i = 0; i < 4u + (unsigned)_i; i++)
		model_cmd_free(c[i]);
}
END_TEST

START_TEST(a_head_outside_the_ring_loses_it)
{
	static const uint32_t bad[] = {4, 7, RIG_RING_BYTES, RIG_RING_BYTES + 8, UINT32_MAX};

	rig_set_head(bad[_i]);
	ck_assert_int_eq(ring_peek(&g, &e), RING_LOST);
	rig_set_head(0);
	ck_assert_int_eq(ring_peek(&g, &e), RING_LOST);
}
END_TEST

START_TEST(a_taken_slot_that_changed_loses_the_ring)
{
	static const uint32_t bad[] = {0 | 1, 128 | 3, 104 | 1, 136 | 1, 0xfffffff8 | 1, 0, 264};

	rig_write_read10(0);
	ck_assert_int_eq(ring_peek(&g, &e), RING_CMD);
	ring_advance(&g, &e);
	rig_put32(0, 0, bad[_i]);
	ck_assert_int_eq(ring_put_reply(&g, &(struct ring_reply){.id = 5}), -ESTALE);
	ck_assert_uint_eq(rig_slot(0)[8], 1); /* not written */
	ck_assert_int_eq(ring_publish(&g), -ESTALE);
	ck_assert_uint_eq(model_tail(&m), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("front-ring-slots");
	TCase *t = tcase_create("slots");

	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, rig_setup, rig_close);
	tcase_add_test(t, replies_of_every_slot_length_go_into_other_slots);
	tcase_add_test(t, a_pad_at_the_end_is_stepped_over_by_both_sides);
	tcase_add_test(t, silent_slots_never_get_a_reply_wherever_they_are);
	tcase_add_test(t, a_lone_tmr_does_not_stay_unpublished);
	tcase_add_test(t, an_unread_silent_slot_is_not_published);
	tcase_add_test(t, a_reply_without_a_taken_command_is_refused);
	tcase_add_test(t, nothing_is_published_after_a_reset);
	tcase_add_test(t, a_reset_between_reply_and_publish_is_noticed);
	tcase_add_test(t, a_reset_before_the_first_reply_is_noticed_by_the_head);
	tcase_add_loop_test(
		t, a_reset_before_the_first_reply_is_noticed_when_new_entries_took_the_slots, 0, 3);
	tcase_add_loop_test(t, a_head_outside_the_ring_loses_it, 0, 5);
	tcase_add_loop_test(t, a_taken_slot_that_changed_loses_the_ring, 0, 7);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return run_suite(suite());
}
