/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A Fusion controller that is left running, and gone on with; see ../test_handover.c. */
#include "rig.h"
#include "hba/handover.h"
#include "tests/unit/run_suite.h"

START_TEST(goes_on_without_a_start_of_the_controller)
{
	struct rig *r = rig_up((enum model_gen)_i);
	struct hba_frozen f;
	unsigned n_irqs = seen(r, fn.n_irqs);

	for (unsigned n = 0; n < 5; n++) {
		rig_do_io(r, n);
		rig_leave(r, &f);
		ck_assert_str_eq(f.driver, "megaraid-fusion");
		ck_assert_uint_eq(f.n_arenas, 6);
		ck_assert_uint_eq(rig_maps(r), 6);
		/* Nothing of ours waits at firmware. */
		ck_assert_uint_eq(seen(r, event.smid), 0);
		rig_must_adopt(r, &f);
		ck_assert_uint_eq(rig_maps(r), 7);
		ck_assert_uint_eq(seen(r, fn.n_irqs), n_irqs);
		ck_assert_uint_eq(r->h->n_units, 3);
	}
	rig_do_io(r, 6);
	ck_assert_uint_eq(seen(r, n_init), 1);
	ck_assert_uint_eq(seen(r, n_soft_reset) + seen(r, n_chip_reset), 0);
	ck_assert_uint_eq(seen(r, n_shutdown), 0);
	assert_last_flushes(r, 5);
	hba_stop(r->h);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	ck_assert_uint_eq(rig_maps(r), 0);
	rig_down(r);
}
END_TEST

START_TEST(the_queues_go_round_before_and_after)
{
	struct rig *r = rig_new((enum model_gen)_i);
	struct hba_frozen f;

	tell(r, fw_cmds, 70);
	tell(r, ext_cmds, 0);
	rig_must_start(r);
	for (unsigned n = 0; n < 150; n++) {
		rig_do_io(r, n);
		if (n % 29)
			continue;
		rig_leave(r, &f);
		rig_must_adopt(r, &f);
	}
	ck_assert_uint_eq(seen(r, n_init), 1);
	rig_down(r);
}
END_TEST

/* What happened meanwhile is told by the log of events. */
START_TEST(events_in_between_are_told)
{
	struct rig *r = rig_up(INVADER);
	struct hba_frozen f;

	rig_leave(r, &f);
	model_event_missed(r->model, 0x6a);
	rig_must_adopt(r, &f);
	rig_wait(rig_take_events(r) == 1);
	model_event(r->model, 0x6b, "another one");
	rig_wait(rig_take_events(r) == 1);
	rig_down(r);
}
END_TEST

/* Nobody listens to it in the one that ends. */
START_TEST(an_event_that_comes_with_the_end_is_told_by_the_next_one)
{
	struct rig *r = rig_up(INVADER);
	struct hba_frozen f;

	rig_wait(seen(r, event.smid) != 0);
	model_event_missed(r->model, 0x6a);
	tell(r, abort_too_late, true);
	rig_leave(r, &f);
	ck_assert_uint_eq(seen(r, event.smid), 0);
	tell(r, abort_too_late, false);
	rig_must_adopt(r, &f);
	rig_wait(rig_take_events(r) == 1);
	rig_down(r);
}
END_TEST

START_TEST(a_reset_after_it_works)
{
	struct rig *r = rig_up((enum model_gen)_i);
	struct hba_frozen f;

	rig_leave(r, &f);
	rig_must_adopt(r, &f);
	model_set_state(r->model, 0xf);
	rig_wait(rig_was_reset(r, 1));
	rig_do_io(r, 1);
	ck_assert_uint_eq(seen(r, n_init), 2);
	rig_leave(r, &f);
	rig_must_adopt(r, &f);
	rig_do_io(r, 2);
	ck_assert_uint_eq(seen(r, n_init), 2);
	rig_down(r);
}
END_TEST

START_TEST(with_one_line_for_an_interrupt_too)
{
	struct rig *r = rig_new(INVADER);
	struct hba_frozen f;

	r->model->no_msix = true;
	r->model->fn.pci.n_vectors[PCI_IRQ_MSIX] = r->model->fn.pci.n_vectors[PCI_IRQ_MSI] = 0;
	rig_must_start(r);
	rig_do_io(r, 1);
	rig_leave(r, &f);
	rig_must_adopt(r, &f);
	ck_assert_int_eq(seen(r, fn.irq_kind), PCI_IRQ_INTX);
	rig_do_io(r, 2);
	ck_assert_uint_eq(seen(r, n_init), 1);
	rig_down(r);
}
END_TEST

START_TEST(a_refused_flush_is_in_the_way)
{
	struct rig *r = rig_up(INVADER);
	struct hba_frozen f;

	tell(r, flush_status, 0x15);
	ck_assert_int_lt(hba_freeze(r->h, &f, &r->e), 0);
	ck_assert_ptr_nonnull(strstr(r->e.text, "status 15h"));
	hba_stop(r->h);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	ck_assert(!seen(r, fn.bus_master) && !seen(r, fn.irq_on));
	rig_down(r);
}
END_TEST

START_TEST(what_is_frozen_can_still_be_shut_down)
{
	struct rig *r = rig_up((enum model_gen)_i);
	struct hba_frozen f;

	ck_assert_int_eq(hba_freeze(r->h, &f, &r->e), 0);
	hba_stop(r->h);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	ck_assert_uint_eq(rig_maps(r), 0);
	rig_down(r);
}
END_TEST

/* --- what does not fit is refused --- */

static uint32_t get32(const struct hba_frozen *f, unsigned at)
{
	uint32_t v;

	memcpy(&v, f->bytes + at, 4);
	return le32toh(v);
}
static void put32(struct hba_frozen *f, unsigned at, uint32_t v)
{
	v = htole32(v);
	memcpy(f->bytes + at, &v, 4);
}

/* By offset: version, ready word, pad 1, commands, flags, interrupt, queues, queues with memory, next event, indices. */
static const struct {
	const char *what;
	unsigned at;
	uint32_t value;
} spoils[] = {
	{"version", 0, 2},
	{"state", 4, 0xc0000000},
	{"no commands", 12, 0},
	{"few commands", 12, 60},
	{"many commands", 12, UINT32_MAX},
	{"flags", 16, 0x10},
	{"other flags", 16, 4},
	{"no interrupt", 20, 0},
	{"INTx with many queues", 20, PCI_IRQ_INTX},
	{"an interrupt that there is not", 20, 4},
	{"no queue", 24, 0},
	{"more queues than memory", 24, 17},
	{"less memory of queues", 28, 1},
	{"more memory of queues", 28, 200},
	{"index outside", 36, 100000},
	{"index elsewhere", 36, 5},
};

START_TEST(what_does_not_fit_is_refused_and_started_anew)
{
	struct rig *r = rig_up(INVADER);
	struct hba_frozen f;

	rig_do_io(r, 1);
	rig_leave(r, &f);
	ck_assert_uint_eq(f.n_bytes, 100);
	ck_assert_uint_eq(get32(&f, 0), 1);
	ck_assert_uint_gt(get32(&f, 24), 1);
	ck_assert_uint_ne(get32(&f, 36), 5);
	put32(&f, spoils[_i].at, spoils[_i].value);
	rig_must_not_adopt(r, &f, spoils[_i].what);
	ck_assert_uint_eq(seen(r, n_init), 2);
	rig_do_io(r, 2);
	rig_down(r);
}
END_TEST

START_TEST(firmware_that_died_meanwhile_is_not_adopted)
{
	struct rig *r = rig_up(INVADER);
	struct hba_frozen f;

	rig_leave(r, &f);
	model_set_state(r->model, 0xf);
	rig_must_not_adopt(r, &f, "FAULT");
	rig_do_io(r, 2);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fusion handover");
	TCase *c = tcase_create("fusion");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, goes_on_without_a_start_of_the_controller, 0, 4);
	tcase_add_loop_test(c, the_queues_go_round_before_and_after, 0, 4);
	tcase_add_test(c, events_in_between_are_told);
	tcase_add_test(c, an_event_that_comes_with_the_end_is_told_by_the_next_one);
	tcase_add_loop_test(c, a_reset_after_it_works, 0, 4);
	tcase_add_test(c, with_one_line_for_an_interrupt_too);
	tcase_add_test(c, a_refused_flush_is_in_the_way);
	tcase_add_loop_test(c, what_is_frozen_can_still_be_shut_down, 0, 4);
	tcase_add_loop_test(c, what_does_not_fit_is_refused_and_started_anew, 0, (int)ARRAY_SIZE(spoils));
	tcase_add_test(c, firmware_that_died_meanwhile_is_not_adopted);
	suite_add_tcase(s, c);
	return run_suite(s);
}
