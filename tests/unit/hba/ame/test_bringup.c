/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Start and end of a conversation with the box, register by register, for every family. */
#include "rig.h"
#include "tests/unit/run_suite.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct rig *rig;

/* Where in the log of register writes this one is, from at on; fails if it is not there. */
static unsigned expect_write(unsigned at, uint32_t off, uint32_t val)
{
	const struct model *m = rig->model;

	for (; at < m->n_write; at++)
		if (m->write[at].off == off && m->write[at].val == val)
			return at + 1;
	ck_abort_msg("%08xh was not written to %02xh", val, off);
}

/* What public drivers of these boxes do. */
START_TEST(doorbell_families_start_in_the_vendors_order)
{
	static const struct {
		uint32_t off, val;
	} steps[] = {{0x34, 0x0f}, {0xa0, 0x01}, {0x20, 0xffffffff}, {0xb8, 0x00010000}, {0xa0, 0x10},
		{0x20, 0x80000000}, {0xa0, 0x01}, {0x34, 0x01}};

	rig = rig_up(_i ? BOX_3108 : BOX_2208);
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		ck_assert_uint_eq(rig->model->write[i].off, steps[i].off);
		ck_assert_uint_eq(rig->model->write[i].val, steps[i].val);
	}
	/* 510 reply frames; then page 0, events on, and the word that all is well. */
	ck_assert_uint_eq(rig->model->write[8].off, 0x44);
	ck_assert_uint_eq(model_wrote(rig->model, 0x20, 0x10000000) > 500, _i == 0);
	ck_assert_uint_eq(seen(rig, pad2), 0x00010000);
	ck_assert_uint_eq(model_wrote(rig->model, 0xb8, 0x00010000), 2);
	ck_assert(seen(rig, events_on));
	ck_assert_uint_eq(model_wrote(rig->model, 0xb4, 0), 0);
	rig_down(rig);
}
END_TEST

START_TEST(a_341_starts_by_message_and_status)
{
	static const struct {
		uint32_t off, val;
	} steps[] = {{0x30, 0x01}, {0x10, 0}, {0x30, 0x01}, {0x34, 0x17}};

	rig = rig_up(BOX_341);
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		ck_assert_uint_eq(rig->model->write[i].off, steps[i].off);
		ck_assert_uint_eq(rig->model->write[i].val, steps[i].val);
	}
	ck_assert_uint_eq(rig->model->write[4].off, 0x44);
	ck_assert(seen(rig, events_on));
	rig_down(rig);
}
END_TEST

START_TEST(the_box_has_all_reply_frames_after_a_start)
{
	rig = rig_up((enum model_family)_i);
	rig_wait(seen(rig, n_frames) == 510);
	rig_down(rig);
}
END_TEST

START_TEST(units_are_the_disks_of_the_map)
{
	static const char *const names[] = {"341", "2208", "3108"};

	rig = rig_up((enum model_family)_i);
	ck_assert_uint_eq(rig->h->n_units, 3);
	ck_assert_str_eq(rig->h->unit[0].name, "lun0");
	ck_assert_str_eq(rig->h->unit[1].name, "lun3");
	ck_assert_str_eq(rig->h->unit[2].name, "lun63");
	ck_assert_uint_eq(rig->h->unit[2].blocks, 2048);
	ck_assert(rig->h->unit[0].write_back);
	ck_assert_int_eq(rig->h->unit[0].kind, HBA_UNIT_LD);
	ck_assert_str_eq(rig->h->info.product, "Model Box one");
	ck_assert_str_eq(rig->h->info.serial, "0123456789");
	ck_assert_str_eq(rig->h->info.driver + 4, names[_i]);
	ck_assert(!rig->h->fua_native);
	rig_down(rig);
}
END_TEST

START_TEST(without_a_map_all_luns_are_asked)
{
	rig = rig_new(BOX_3108);
	rig->model->page_status = 0x11;
	rig_must_start(rig);
	ck_assert_uint_eq(rig->h->n_units, 3);
	rig_down(rig);
}
END_TEST

START_TEST(a_map_that_lies_is_found_out)
{
	rig = rig_new(BOX_3108);
	/* All are in the map, few answer. */
	rig->model->lun[5].present = false;
	rig->model->map_value = 0;
	rig->model->lun[9] = (struct model_lun){.present = true, .type = 0x1f};
	rig_must_start(rig);
	ck_assert_uint_eq(rig->h->n_units, 3);
	rig_down(rig);
}
END_TEST

START_TEST(unit_attentions_do_not_hide_a_unit)
{
	rig = rig_new(BOX_3108);
	rig->model->lun[3].attentions = 2;
	rig_must_start(rig);
	ck_assert_uint_eq(rig->h->n_units, 3);
	ck_assert_uint_eq(rig->h->unit[1].blocks, 2048);
	rig_down(rig);
}
END_TEST

START_TEST(limits_are_declared)
{
	const struct hba_limits *l;

	rig = rig_up((enum model_family)_i);
	l = &rig->h->limits;
	ck_assert_uint_eq(l->max_segments, 128);
	ck_assert_uint_eq(l->max_transfer, 524288);
	ck_assert_uint_eq(l->queue_depth, 448);
	ck_assert_uint_eq(l->max_cdb, 16);
	ck_assert_uint_eq(l->control_addr_max, UINT32_MAX);
	ck_assert_uint_eq(l->data_addr_max, UINT32_MAX);
	rig_down(rig);
}
END_TEST

START_TEST(other_notices_are_no_answer_at_first)
{
	rig = rig_new(BOX_3108);
	rig->model->ready_after = 30;
	rig->model->outbound = 0x10;
	rig_must_start(rig);
	ck_assert_uint_ge(model_wrote(rig->model, 0xa0, 0x01), 2);
	rig_down(rig);
}
END_TEST

/* ... but later they are, as for the vendor's driver. */
START_TEST(any_notice_is_an_answer_in_the_end)
{
	rig = rig_new(BOX_3108);
	rig->model->ready_bits = 0x20;
	rig_times(rig)->strict = 20;
	rig->model->ready_after = 100;
	rig_must_start(rig);
	rig_down(rig);
}
END_TEST

START_TEST(a_box_that_never_answers_fails_the_start)
{
	rig = rig_new((enum model_family)_i);
	rig->model->ready_bits = 0;
	rig_times(rig)->ready = 30;
	rig_must_not_start(rig, -ETIMEDOUT, "does not answer");
	rig_down(rig);
}
END_TEST

START_TEST(a_box_that_is_not_there_fails_the_attach)
{
	rig = rig_new((enum model_family)_i);
	rig->fn->gone = true;
	rig_must_not_attach(rig, -ENODEV, NULL);
	rig_down(rig);
}
END_TEST

START_TEST(a_box_that_goes_during_the_start_fails_it)
{
	rig = rig_new((enum model_family)_i);
	ck_assert_int_eq(rig_attach(rig), 0);
	tell(rig, fn.gone, true);
	ck_assert_int_eq(hba_start(rig->h, &rig->e), -ENODEV);
	rig_down(rig);
}
END_TEST

START_TEST(a_bar_that_cannot_be_it_fails_the_attach)
{
	rig = rig_new(BOX_3108);
	if (_i)
		rig->fn->pci.bar[1].is_io = true;
	else
		rig->fn->pci.bar[1].size = 0x80;
	rig_must_not_attach(rig, -EIO, NULL);
	rig_down(rig);
}
END_TEST

START_TEST(garbage_during_the_start_fails_it)
{
	rig = rig_new(BOX_3108);
	ck_assert_int_eq(rig_attach(rig), 0);
	tell(rig, reply_in, 1);
	tell(rig, reply[0], 0x00000404);
	/* It is forgotten with the box's queue; so it has to come later. */
	tell(rig, lun[0].type, 0);
	tell(rig, hold_inband, true);
	rig_times(rig)->inband = 50;
	ck_assert_int_eq(hba_start(rig->h, &rig->e), -ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(rig->e.text, "management request"));
	rig_down(rig);
}
END_TEST

START_TEST(a_ring_of_frames_that_is_stuck_is_no_hang)
{
	rig = rig_new(BOX_2208);
	rig->model->ring_stuck = true;
	rig_times(rig)->inband = 50;
	/* No frame, no answer: it says so. */
	rig->model->hold_inband = true;
	rig_must_not_start(rig, -ETIMEDOUT, NULL);
	rig_down(rig);
}
END_TEST

START_TEST(without_a_line_the_box_is_polled)
{
	struct job *j;

	rig = rig_new((enum model_family)_i);
	rig->fn->pci.n_vectors[PCI_IRQ_INTX] = 0;
	rig->ladder.tick_ms = 10000;
	rig_must_start(rig);
	ck_assert(!seen(rig, fn.irq_on));
	for (unsigned i = 0; i < 20; i++) {
		j = job_rw(rig, i, 0, DMA_TO_DEVICE, i, 1);
		ck_assert_int_eq(job_run(j)->result, HBA_DONE);
	}
	/* ... and after a rest too. */
	clock_sleep_ms(30);
	j = job_rw(rig, 30, 0, DMA_FROM_DEVICE, 3, 1);
	job_run(j);
	rig_down(rig);
}
END_TEST

/* However slow the machine: the last flushes. */
static void patient(struct rig *r)
{
	r->h->core->times.flush_ms = RIG_WAIT_MS;
}

START_TEST(an_orderly_end_flushes_switches_off_and_takes_the_frames_back)
{
	unsigned at;

	rig = rig_up((enum model_family)_i);
	patient(rig);
	tell(rig, n_write, 0);
	ck_assert_int_eq(hba_stop(rig->h), 0);
	ck_assert_uint_eq(seen(rig, n_sync10), 3);
	ck_assert(!seen(rig, events_on));
	at = expect_write(0, 0x34, _i == BOX_341 ? 0x1f : 0x0f);
	if (_i != BOX_341) {
		expect_write(at, 0x20, 0xffffffff);
		ck_assert_uint_eq(seen(rig, n_frames), 0);
	}
	rig_down(rig);
}
END_TEST

START_TEST(an_end_that_cannot_flush_comes_all_the_same)
{
	rig = rig_up(BOX_3108);
	patient(rig);
	tell(rig, no_sync10, true);
	tell(rig, no_sync16, true);
	ck_assert_int_eq(hba_stop(rig->h), -EIO);
	for (unsigned i = 0; i < rig->h->n_units; i++)
		ck_assert(rig->h->unit[i].unflushed);
	ck_assert(!seen(rig, events_on));
	rig_down(rig);
}
END_TEST

START_TEST(an_orderly_end_flushes_as_firmware_knows_it)
{
	rig = rig_up(BOX_3108);
	patient(rig);
	tell(rig, no_sync10, true);
	ck_assert_int_eq(hba_stop(rig->h), 0);
	ck_assert_uint_eq(seen(rig, n_sync16), 3);
	rig_down(rig);
}
END_TEST

START_TEST(an_end_that_hangs_ends)
{
	rig = rig_new(BOX_3108);
	rig_times(rig)->inband = 50;
	rig_must_start(rig);
	tell(rig, hold, true);
	tell(rig, hold_inband, true);
	ck_assert_int_lt(hba_stop(rig->h), 0);
	ck_assert(!seen(rig, fn.bus_master));
	rig_down(rig);
}
END_TEST

START_TEST(what_the_box_had_to_say_is_told_in_the_end)
{
	int file = memfd_create("log", 0), before = dup(STDERR_FILENO);
	char text[4096] = "";

	rig = rig_up(BOX_3108);
	rig_notice(rig, 0x18);
	model_event(rig->model, 0x14);
	rig_wait(seen(rig, n_page) == 3);
	log_set_level(LOG_LV_INFO);
	/* The last steps are this thread's, so the line is written at once. */
	ck_assert_int_eq(dup2(file, STDERR_FILENO), STDERR_FILENO);
	hba_stop(rig->h);
	dup2(before, STDERR_FILENO);
	ck_assert_int_gt(pread(file, text, sizeof(text) - 1, 0), 0);
	ck_assert_msg(strstr(text, "0 restarts, 0 times of giving up all commands, 1 pauses, 0 unknown "
				   "notices, 1 changes of units, 0 other events"),
		"%s", text);
	close(file);
	close(before);
	rig_down(rig);
}
END_TEST

static void *stop(void *r)
{
	return (void *)(intptr_t)hba_stop(((struct rig *)r)->h);
}

/* The box gives up all commands, the last flushes among them: they are sent again. */
START_TEST(a_flush_notice_in_an_orderly_end_costs_no_flush)
{
	pthread_t stopper;

	rig = rig_up(BOX_3108);
	patient(rig);
	tell(rig, hold, true);
	ck_assert_int_eq(pthread_create(&stopper, NULL, stop, rig), 0);
	rig_wait(model_pending(rig->model) == 3);
	tell(rig, hold, false);
	model_notice(rig->model, 0x04);
	/* What it says of the switch of events may go either way: the one that the reset has begun may not have been answered. */
	ck_assert_int_eq(pthread_join(stopper, NULL), 0);
	ck_assert_uint_eq(stat_of(rig, resets), 1);
	ck_assert_uint_eq(seen(rig, n_sync10), 3);
	for (unsigned i = 0; i < rig->h->n_units; i++)
		ck_assert(!rig->h->unit[i].unflushed);
	ck_assert(!seen(rig, fn.bus_master));
	rig_down(rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("AME start and end");
	TCase *t = tcase_create("bring-up");

	tcase_set_timeout(t, 100);
	tcase_add_loop_test(t, doorbell_families_start_in_the_vendors_order, 0, 2);
	tcase_add_test(t, a_341_starts_by_message_and_status);
	tcase_add_loop_test(t, the_box_has_all_reply_frames_after_a_start, 0, 3);
	tcase_add_loop_test(t, units_are_the_disks_of_the_map, 0, 3);
	tcase_add_test(t, without_a_map_all_luns_are_asked);
	tcase_add_test(t, a_map_that_lies_is_found_out);
	tcase_add_test(t, unit_attentions_do_not_hide_a_unit);
	tcase_add_loop_test(t, limits_are_declared, 0, 3);
	tcase_add_test(t, other_notices_are_no_answer_at_first);
	tcase_add_test(t, any_notice_is_an_answer_in_the_end);
	tcase_add_loop_test(t, a_box_that_never_answers_fails_the_start, 0, 3);
	tcase_add_loop_test(t, a_box_that_is_not_there_fails_the_attach, 0, 3);
	tcase_add_loop_test(t, a_box_that_goes_during_the_start_fails_it, 0, 3);
	tcase_add_loop_test(t, a_bar_that_cannot_be_it_fails_the_attach, 0, 2);
	tcase_add_test(t, garbage_during_the_start_fails_it);
	tcase_add_test(t, a_ring_of_frames_that_is_stuck_is_no_hang);
	tcase_add_loop_test(t, without_a_line_the_box_is_polled, 0, 3);
	tcase_add_loop_test(t, an_orderly_end_flushes_switches_off_and_takes_the_frames_back, 0, 3);
	tcase_add_test(t, an_end_that_cannot_flush_comes_all_the_same);
	tcase_add_test(t, an_orderly_end_flushes_as_firmware_knows_it);
	tcase_add_test(t, an_end_that_hangs_ends);
	tcase_add_test(t, a_flush_notice_in_an_orderly_end_costs_no_flush);
	tcase_add_test(t, what_the_box_had_to_say_is_told_in_the_end);
	suite_add_tcase(s, t);
	return run_suite(s);
}
