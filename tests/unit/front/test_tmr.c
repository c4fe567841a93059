/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Task management functions in the ring. */

#include "base/clock.h"
#include "tests/unit/front/harness.h"
#include "tests/unit/run_suite.h"

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
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return run_suite(suite());
}
