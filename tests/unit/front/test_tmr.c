/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Task management functions in the ring. */

#include "base/clock.h"
#include "tests/unit/front/harness.h"
#include "tests/unit/run_suite.h"

/* H8: each named command is answered once; unknown and ended ids are normal. */
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
	ck_assert_uint_eq(harness_stats().tmrs, 2);
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

/* H8: ids are resolved when the entry is read. */
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
	ck_assert(fake_by_tag(0)->unheard);
	ck_assert(fake_by_tag(1)->unheard);
	ck_assert(!fake_by_tag(2)->unheard);
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
	ck_assert_uint_eq(harness_stats().tmrs, 5000);
	ck_assert_uint_eq(h.m.last_cleaned, model_head(&h.m));
}
END_TEST

/*
 * H8: with nothing to reset, LIO has answered before the entry is read, and newer commands stand behind it, perhaps
 * under ids that were in use a moment ago. They are nobody's to end.
 */
START_TEST(a_reset_of_an_idle_lun_ends_no_later_write)
{
	static const uint8_t types[] = {1, 5, 128}; /* ABORT TASK, LUN RESET, PREEMPT AND ABORT */
	struct model_cmd *before = harness_queue(0x28, 99, MODEL_READ, 512), *c[8];
	uint16_t id = before->id;

	harness_spin();
	fake_finish_all();
	harness_spin();
	ck_assert_uint_eq(before->answers, 1);
	for (unsigned i = 0; i < 8; i++) {
		ck_assert_int_eq(model_tmr(&h.m, types[i % 3], NULL, 0), 0);
		c[i] = harness_queue(0x2a, i, MODEL_WRITE, 512);
	}
	ck_assert_uint_eq(c[0]->id, id);
	harness_spin();
	ck_assert_uint_eq(harness_stats().tmrs, 8);
	ck_assert_uint_eq(fake.aborts, 0);
	ck_assert_uint_eq(fake.n, 8);
	fake_finish_all();
	harness_spin();
	ck_assert_uint_eq(fake.bad_data, 0);
	for (unsigned i = 0; i < 8; i++) {
		ck_assert_uint_eq(c[i]->answers, 1);
		ck_assert_uint_eq(c[i]->status, 0);
		model_cmd_free(c[i]);
	}
	model_cmd_free(before);
}
END_TEST

/* When the function comes: while the command is at the controller, when it is done, when it is answered. */
enum named_when { NAMED_IN_TIME, NAMED_WHEN_DONE, NAMED_WHEN_ANSWERED };

static void race(uint32_t tag, enum named_when when, bool in_vain)
{
	struct model_cmd *c = harness_queue(0x28, tag, MODEL_READ, 512), *next;
	unsigned aborts = fake.aborts;
	bool aborted = when == NAMED_IN_TIME && !in_vain;

	loop_once(h.loop, 0);
	if (when != NAMED_IN_TIME)
		fake_good(fake_by_tag(tag));
	if (when == NAMED_WHEN_ANSWERED)
		loop_once(h.loop, 0);
	if (model_tmr(&h.m, 1, &c->id, 1) < 0)
		ck_abort_msg("no room for the function that names %u", tag);
	/* The next one, perhaps under the same id and in the same slot; and a function that names nobody. */
	next = harness_queue(0x28, tag + 1, MODEL_READ, 512);
	if (model_tmr(&h.m, 5, NULL, 0) < 0)
		ck_abort_msg("no room for the function behind %u", tag);
	loop_once(h.loop, 0);
	if (fake.aborts != aborts + (when == NAMED_IN_TIME))
		ck_abort_msg("command %u, case %d: %u aborts", tag, when, fake.aborts - aborts);
	/* It wins, or comes too late for firmware. */
	if (aborted)
		fake_status(fake_by_tag(tag), SCSI_TASK_ABORTED);
	else if (when == NAMED_IN_TIME)
		fake_good(fake_by_tag(tag));
	fake_good(fake_by_tag(tag + 1));
	loop_once(h.loop, 0);
	if (next->answers != 1 || next->status)
		ck_abort_msg("behind command %u: %u answers, status %02x", tag, next->answers, next->status);
	if (c->answers != 1 || c->status != (aborted ? 0x40 : 0))
		ck_abort_msg(
			"command %u, case %d: %u answers, status %02x", tag, when, c->answers, c->status);
	model_cmd_free(c);
	model_cmd_free(next);
}

/* H8: whoever wins, each command is answered once, and the next one under its id has nothing to do with it. */
START_TEST(an_abort_and_the_end_race_a_hundred_thousand_times)
{
	uint64_t rng = 8;

	for (uint32_t i = 0; i < 100000; i++)
		race(2 * i, model_rand(&rng) % 3, model_rand(&rng) % 2);
	ck_assert_uint_gt(fake.aborts, 30000);
	ck_assert_uint_eq(harness_stats().tmrs, 200000);
	ck_assert_uint_eq(front_outstanding(h.r), 0);
	ck_assert_uint_eq(h.m.last_cleaned, model_head(&h.m));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("front-tmr");
	TCase *t = tcase_create("tmr");

	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, harness_setup, harness_close);
	tcase_add_test(t, a_tmr_aborts_the_commands_it_names);
	tcase_add_test(t, a_tmr_does_not_reach_a_later_command_with_the_same_id);
	tcase_add_test(t, an_abort_that_ends_the_task_at_once_is_answered);
	tcase_add_test(t, a_named_command_may_end_by_itself_before_it_is_aborted);
	tcase_add_test(t, each_named_command_has_the_whole_time);
	tcase_add_test(t, an_abort_may_end_other_named_commands);
	tcase_add_test(t, a_ring_that_ends_meanwhile_aborts_nothing_later);
	tcase_add_test(t, a_tmr_alone_gives_its_space_back);
	tcase_add_test(t, a_reset_of_an_idle_lun_ends_no_later_write);
	tcase_add_test(t, an_abort_and_the_end_race_a_hundred_thousand_times);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return run_suite(suite());
}
