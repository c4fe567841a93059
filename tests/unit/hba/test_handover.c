/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A controller that is left running, and gone on with: no INIT in between, and nothing of what was left is believed. */
#include "rig.h"
#include "handover.h"
#include "tests/unit/run_suite.h"

static const enum model_gen gens[] = {GEN1, GEN2, SKINNY};

/* Writes block n, and reads it back. */
START_TEST(goes_on_without_a_start_of_the_controller)
{
	struct rig *r = rig_up(gens[_i]);
	struct hba_frozen f;

	for (unsigned n = 0; n < 5; n++) {
		rig_do_io(r, n);
		rig_leave(r, &f);
		ck_assert_str_eq(f.driver, "megaraid-mfi");
		ck_assert_uint_eq(f.n_arenas, 3);
		/* Frames, sense and control; no data. */
		ck_assert_uint_eq(rig_maps(r), 3);
		rig_must_adopt(r, &f);
		ck_assert_uint_eq(rig_maps(r), 4);
		ck_assert_int_eq(hba_state(r->h), HBA_RUNNING);
		ck_assert_uint_eq(r->h->n_units, 3);
		ck_assert_str_eq(r->h->info.product, "LSI MegaRAID MODEL");
		ck_assert(seen(r, fn.irq_on));
	}
	rig_do_io(r, 6);
	ck_assert_uint_eq(seen(r, n_init), 1);
	ck_assert_uint_eq(seen(r, n_soft_reset) + seen(r, n_adapter_reset), 0);
	ck_assert_uint_eq(seen(r, n_shutdown), 0);
	ck_assert_uint_eq(seen(r, n_flush), 5);
	hba_stop(r->h);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	ck_assert_uint_eq(rig_maps(r), 0);
	rig_down(r);
}
END_TEST

START_TEST(the_ring_goes_round_before_and_after)
{
	struct rig *r = rig_new(gens[_i]);
	struct hba_frozen f;

	tell(r, fw_cmds, 19);
	rig_must_start(r);
	for (unsigned n = 0; n < 40; n++) {
		rig_do_io(r, n);
		if (n % 7)
			continue;
		rig_leave(r, &f);
		rig_must_adopt(r, &f);
	}
	ck_assert_uint_eq(seen(r, n_init), 1);
	rig_down(r);
}
END_TEST

/* Of real firmware, which does not post polled commands. */
START_TEST(polled_commands_need_not_be_posted)
{
	struct rig *r = rig_new(gens[_i]);
	struct hba_frozen f;

	r->model->real_dont_post = true;
	rig_must_start(r);
	rig_leave(r, &f);
	rig_must_adopt(r, &f);
	rig_do_io(r, 1);
	ck_assert_uint_eq(seen(r, n_init), 1);
	rig_down(r);
}
END_TEST

START_TEST(a_reset_after_it_works)
{
	struct rig *r = rig_up(gens[_i]);
	struct hba_frozen f;

	rig_leave(r, &f);
	rig_must_adopt(r, &f);
	hold_writes(r, 5);
	tell(r, hold, false);
	model_set_state(r->model, 0xf);
	jobs_end(r, 0, 5, HBA_DONE);
	ck_assert_uint_eq(seen(r, n_init), 2);
	rig_leave(r, &f);
	rig_must_adopt(r, &f);
	rig_do_io(r, 9);
	ck_assert_uint_eq(seen(r, n_init), 2);
	rig_down(r);
}
END_TEST

START_TEST(another_depth_and_more_bounce_memory_are_no_obstacle)
{
	struct rig *r = rig_up(GEN2);
	struct hba_frozen f;

	rig_leave(r, &f);
	r->cfg.queue_depth = 5;
	r->cfg.bounce_bytes = 16u << 20;
	rig_must_adopt(r, &f);
	ck_assert_uint_eq(r->h->limits.queue_depth, 5);
	rig_do_io(r, 3);
	rig_down(r);
}
END_TEST

/* --- what cannot be frozen is shut down as always --- */

static void must_not_freeze(struct rig *r, const char *word)
{
	struct hba_frozen f;

	ck_assert_int_lt(hba_freeze(r->h, &f, &r->e), 0);
	ck_assert_msg(strstr(r->e.text, word) != NULL, "%s", r->e.text);
}

START_TEST(commands_at_the_controller_are_in_the_way)
{
	struct rig *r = rig_up(GEN2);

	hold_writes(r, 1);
	must_not_freeze(r, "commands are at the controller");
	tell(r, hold, false);
	model_complete(r->model, 0);
	model_interrupt(r->model);
	job_ends_well(&r->job[0]);
	rig_do_io(r, 1);
	rig_down(r);
}
END_TEST

START_TEST(a_refused_flush_is_in_the_way)
{
	struct rig *r = rig_up(GEN2);

	tell(r, flush_status, 0x15);
	must_not_freeze(r, "status 15h");
	hba_stop(r->h);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	ck_assert(!seen(r, fn.bus_master) && !seen(r, fn.irq_on));
	rig_down(r);
}
END_TEST

START_TEST(a_wait_that_is_not_given_back_is_in_the_way)
{
	struct rig *r = rig_up(GEN2);

	tell(r, wait_abort_silent, true);
	must_not_freeze(r, "the wait for events");
	hba_stop(r->h);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	rig_down(r);
}
END_TEST

START_TEST(firmware_that_died_is_in_the_way)
{
	struct rig *r = rig_up(GEN2);

	/* Before anybody has looked. */
	rig_times(r)->health = 3600000;
	rig_sync(r);
	ck_assert_int_eq(hba_drain(r->h, RIG_WAIT_MS), 0);
	model_set_state(r->model, 0xf);
	must_not_freeze(r, "FAULT");
	/* Nothing was sent to it; the stop asks for a flush, as ever, which nobody hears. */
	ck_assert_uint_eq(seen(r, fn.protocol_errors), 0);
	hba_stop(r->h);
	tell(r, fn.protocol_errors, 0);
	ck_assert(!seen(r, fn.bus_master) && !seen(r, fn.irq_on));
	rig_down(r);
}
END_TEST

START_TEST(what_is_frozen_can_still_be_shut_down)
{
	struct rig *r = rig_up(gens[_i]);
	struct hba_frozen f;

	ck_assert_int_eq(hba_freeze(r->h, &f, &r->e), 0);
	hba_stop(r->h);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	ck_assert_int_eq(hba_state(r->h), HBA_DOWN);
	ck_assert(!seen(r, fn.bus_master) && !seen(r, fn.irq_on));
	ck_assert_uint_eq(rig_maps(r), 0);
	rig_down(r);
}
END_TEST

START_TEST(a_controller_that_does_not_run_is_not_frozen)
{
	struct rig *r = rig_new(GEN2);

	ck_assert_int_eq(rig_attach(r), 0);
	must_not_freeze(r, "does not run");
	rig_down(r);
}
END_TEST

START_TEST(a_transport_without_descriptors_cannot)
{
	struct rig *r = rig_up(GEN2);

	ck_assert_int_eq(hba_can_freeze(r->h, &r->e), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(r->e.text, "another process"));
	rig_down(r);
}
END_TEST

/* --- what does not fit is refused --- */

static void put32(struct hba_frozen *f, unsigned at, uint32_t v)
{
	v = htole32(v);
	memcpy(f->bytes + at, &v, 4);
}

static void other_driver(struct rig *r, struct hba_frozen *f)
{
	strcpy(f->driver, "megaraid-fusion");
}
static void other_device(struct rig *r, struct hba_frozen *f)
{
	f->id.subdevice ^= 1;
}
static void no_arenas(struct rig *r, struct hba_frozen *f)
{
	left_close(f);
	f->n_arenas = 0;
}
static void too_many_arenas(struct rig *r, struct hba_frozen *f)
{
	left_close(f);
	f->n_arenas = UINT32_MAX;
}
static void one_arena_less(struct rig *r, struct hba_frozen *f)
{
	close(f->arena[2].memfd);
	f->arena[2].memfd = -1;
	f->n_arenas = 2;
}
static void no_bytes(struct rig *r, struct hba_frozen *f)
{
	f->n_bytes = 0;
}
static void too_many_bytes(struct rig *r, struct hba_frozen *f)
{
	f->n_bytes = UINT32_MAX;
}
static void other_version(struct rig *r, struct hba_frozen *f)
{
	put32(f, 0, 3);
}
static void version_before_events(struct rig *r, struct hba_frozen *f)
{
	put32(f, 0, 1);
	f->n_bytes = 16;
}
static void not_ready(struct rig *r, struct hba_frozen *f)
{
	f->bytes[7] = 0xc4;
}
static void more_commands(struct rig *r, struct hba_frozen *f)
{
	put32(f, 4, 0xb4500000 | 800);
}
static void no_commands(struct rig *r, struct hba_frozen *f)
{
	put32(f, 4, 0xb4500000);
}
static void consumer_elsewhere(struct rig *r, struct hba_frozen *f)
{
	put32(f, 8, 77);
}
static void consumer_outside(struct rig *r, struct hba_frozen *f)
{
	put32(f, 8, 400);
}
static void ieee_of_two(struct rig *r, struct hba_frozen *f)
{
	put32(f, 12, 2);
}
static void flags_without_sense(struct rig *r, struct hba_frozen *f)
{
	put32(f, 20, 4);
}
static void other_lists(struct rig *r, struct hba_frozen *f)
{
	put32(f, 12, 0);
}
static void arena_larger(struct rig *r, struct hba_frozen *f)
{
	f->arena[0].size += 4096;
}
static void arena_odd(struct rig *r, struct hba_frozen *f)
{
	f->arena[1].iova += 128;
}
static void arena_nowhere(struct rig *r, struct hba_frozen *f)
{
	f->arena[1].iova = 0xfee00000;
}
static void arena_too_high(struct rig *r, struct hba_frozen *f)
{
	f->arena[1].iova = 0x100000000;
}
static void arenas_overlap(struct rig *r, struct hba_frozen *f)
{
	f->arena[1].iova = f->arena[0].iova;
}
static void arena_closed(struct rig *r, struct hba_frozen *f)
{
	close(f->arena[2].memfd);
	f->arena[2].memfd = -1;
}
static void arenas_swapped(struct rig *r, struct hba_frozen *f)
{
	int fd = f->arena[0].memfd;

	f->arena[0].memfd = f->arena[1].memfd;
	f->arena[1].memfd = fd;
}
static void firmware_ready(struct rig *r, struct hba_frozen *f)
{
	tell(r, queue_active, false);
	model_set_state(r->model, 0xb);
}
static void firmware_dead(struct rig *r, struct hba_frozen *f)
{
	model_set_state(r->model, 0xf);
}
static void ring_forgotten(struct rig *r, struct hba_frozen *f)
{
	tell(r, queue_active, false);
}
/* The producer index is the first word of the third arena. */
static void put_producer(struct hba_frozen *f, uint32_t v)
{
	v = htole32(v);
	ck_assert_int_eq(pwrite(f->arena[2].memfd, &v, 4, 0), 4);
}
static void ring_moved_on(struct rig *r, struct hba_frozen *f)
{
	put_producer(f, 170);
}
static void ring_wild(struct rig *r, struct hba_frozen *f)
{
	put_producer(f, 0x10000);
}

static const struct {
	const char *what;
	void (*spoil)(struct rig *r, struct hba_frozen *f);
} spoils[] = {
#define SPOIL(x)                                                                                             \
	{                                                                                                    \
#x, x                                                                                        \
	}
	SPOIL(other_driver),
	SPOIL(other_device),
	SPOIL(no_arenas),
	SPOIL(too_many_arenas),
	SPOIL(one_arena_less),
	SPOIL(no_bytes),
	SPOIL(too_many_bytes),
	SPOIL(other_version),
	SPOIL(version_before_events),
	SPOIL(not_ready),
	SPOIL(more_commands),
	SPOIL(no_commands),
	SPOIL(consumer_elsewhere),
	SPOIL(consumer_outside),
	SPOIL(ieee_of_two),
	SPOIL(flags_without_sense),
	SPOIL(other_lists),
	SPOIL(arena_larger),
	SPOIL(arena_odd),
	SPOIL(arena_nowhere),
	SPOIL(arena_too_high),
	SPOIL(arenas_overlap),
	SPOIL(arena_closed),
	SPOIL(arenas_swapped),
	SPOIL(firmware_ready),
	SPOIL(firmware_dead),
	SPOIL(ring_forgotten),
	SPOIL(ring_moved_on),
	SPOIL(ring_wild),
};

START_TEST(what_does_not_fit_is_refused_and_started_anew)
{
	struct rig *r = rig_up(GEN2);
	struct hba_frozen f;

	rig_do_io(r, 1);
	rig_leave(r, &f);
	spoils[_i].spoil(r, &f);
	rig_must_not_adopt(r, &f, spoils[_i].what);
	/* A model that has no ring takes the command for one that comes too early. */
	if (spoils[_i].spoil == ring_forgotten)
		tell(r, fn.protocol_errors, 0);
	ck_assert_uint_eq(seen(r, n_init), 2);
	rig_do_io(r, 2);
	rig_down(r);
}
END_TEST

/* H11: the device left while nobody was there: not adopted. */
START_TEST(a_device_that_is_gone_is_not_adopted)
{
	struct rig *r = rig_up(GEN2);
	struct hba_frozen f;

	rig_leave(r, &f);
	tell(r, fn.gone, true);
	ck_assert_int_eq(rig_adopt(r, &f), -ENODEV);
	fn_do_locked(r->fn, memset(r->fn->map, 0, sizeof(r->fn->map)));
	fn_do_locked(r->fn, r->fn->bus_master = false);
	hba_close(r->h);
	r->open = false;
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("handover");
	TCase *c = tcase_create("mfi");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, goes_on_without_a_start_of_the_controller, 0, 3);
	tcase_add_loop_test(c, the_ring_goes_round_before_and_after, 0, 3);
	tcase_add_loop_test(c, polled_commands_need_not_be_posted, 0, 3);
	tcase_add_loop_test(c, a_reset_after_it_works, 0, 3);
	tcase_add_test(c, another_depth_and_more_bounce_memory_are_no_obstacle);
	tcase_add_test(c, commands_at_the_controller_are_in_the_way);
	tcase_add_test(c, a_refused_flush_is_in_the_way);
	tcase_add_test(c, a_wait_that_is_not_given_back_is_in_the_way);
	tcase_add_test(c, firmware_that_died_is_in_the_way);
	tcase_add_loop_test(c, what_is_frozen_can_still_be_shut_down, 0, 3);
	tcase_add_test(c, a_controller_that_does_not_run_is_not_frozen);
	tcase_add_test(c, a_transport_without_descriptors_cannot);
	tcase_add_loop_test(c, what_does_not_fit_is_refused_and_started_anew, 0, (int)ARRAY_SIZE(spoils));
	tcase_add_test(c, a_device_that_is_gone_is_not_adopted);
	suite_add_tcase(s, c);
	return run_suite(s);
}
