/* SPDX-License-Identifier: GPL-2.0-or-later */
/* EXTENDED COPY: what is copied, what errors of devices become, and many copies beside each other. */
#include <stdlib.h>
#include <string.h>
#include "base/endian.h"
#include "copy_rig.h"

/* --- copies --- */

START_TEST(blocks_are_copied_within_the_lun)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 2000, 100, 5000);
	xcopy(&t, &l);
	assert_good(&t);
	ck_assert(holds(0, 5000, 100, 2000));
	ck_assert(holds(0, 0, 0, 5000)); /* and nothing else has changed */
	ck_assert(holds(0, 7000, 7000, BLOCKS - 7000));
	ck_assert_uint_eq(t.task.dir, DMA_TO_DEVICE);
	ck_assert_uint_ge(x.fake->most_in_flight, 2);
	ck_assert_uint_le(x.fake->most_in_flight, 4);
	tst_fini(&t);
}
END_TEST

START_TEST(in_whatever_order_the_controller_answers)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 3000, 0, 4000);
	add_segment(&l, 0, 0, 1000, 4000, 7100); /* of what the first one has written */
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	fake_run(x.fake, (unsigned)_i + 1);
	assert_good(&t);
	ck_assert(holds(0, 4000, 0, 3000));
	ck_assert(holds(0, 7100, 0, 1000));
	tst_fini(&t);
}
END_TEST

START_TEST(no_list_no_segments_and_no_blocks_are_nothing_to_do)
{
	struct list_bytes l = {{0}};
	struct tst t;

	xcopy_len(&t, &l, 0);
	assert_good(&t);
	tst_fini(&t);
	xcopy(&t, &l);
	assert_good(&t);
	tst_fini(&t);
	in_lun(&l, 0, BLOCKS, BLOCKS);
	xcopy(&t, &l);
	assert_good(&t);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(overlapping_ranges_end_as_if_copied_at_once)
{
	static const struct {
		uint64_t src, dst;
	} rows[] = {{1000, 1001}, {1001, 1000}, {1000, 1700}, {1700, 1000}, {1000, 1000}};
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 2000, rows[_i].src, rows[_i].dst);
	xcopy(&t, &l);
	assert_good(&t);
	ck_assert(holds(0, rows[_i].dst, rows[_i].src, 2000));
	ck_assert_uint_eq(x.fake->most_in_flight, 1);
	tst_fini(&t);
}
END_TEST

START_TEST(other_luns_take_part_when_both_allow_it)
{
	struct list_bytes l = {{0}};
	struct tst t;

	add_cscd(&l, x.lun, 512);
	add_cscd(&l, other[1], 512);
	add_cscd(&l, other[3], 0); /* not told */
	add_segment(&l, 0, 1, 700, 10, 20);
	add_segment(&l, 1, 2, 100, 25, 0);
	xcopy(&t, &l);
	assert_good(&t);
	ck_assert(holds(1, 20, 10, 700));
	ck_assert(holds(1, 0, 0, 20));
	ck_assert(holds(3, 0, 15, 100));
	ck_assert(holds(0, 0, 0, BLOCKS));
	tst_fini(&t);
}
END_TEST

START_TEST(block_sizes_may_differ_when_the_bytes_fit)
{
	struct list_bytes l = {{0}};
	struct tst t;

	add_cscd(&l, x.lun, 512);
	add_cscd(&l, other[2], 4096);
	add_segment(&l, 0, 1, 800, 8, 3); /* counted in blocks of 512 bytes */
	xcopy(&t, &l);
	assert_good(&t);
	ck_assert(is_pattern(x.fake->disk[2].store + 3 * 4096, 8, 800 * 512, 512));
	ck_assert(holds(2, 103, 103, BLOCKS / 8 - 103));
	tst_fini(&t);

	l.segments = 0;
	add_segment(&l, 0, 1, 2, 1, 500)[1] = 0x02; /* DC: in blocks of 4096 bytes */
	xcopy(&t, &l);
	assert_good(&t);
	ck_assert(is_pattern(x.fake->disk[2].store + 500 * 4096, 1, 2 * 4096, 512));
	ck_assert(holds(2, 502, 502, 100));
	tst_fini(&t);

	l.segments = 0;
	add_segment(&l, 0, 1, 7, 0, 0)[1] = 0x01; /* CAT does not help */
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x26, 0x0a);
	tst_fini(&t);
}
END_TEST

/* --- errors of the devices --- */

START_TEST(an_error_of_the_source_is_told_with_its_sense)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 100, 0, 4000);
	add_segment(&l, 0, 0, 2000, 100, 5000);
	x.disk->bad_lba = 1800;
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x0d, 0x01);
	ck_assert_uint_eq(t.task.sense[8], 18);
	ck_assert_uint_eq(t.task.sense[9], 0);
	ck_assert_uint_eq(get_be16(t.task.sense + 10), 1);
	ck_assert_uint_eq(t.task.sense[15], 0);
	ck_assert_uint_eq(t.task.sense[18], 0x02);
	ck_assert_uint_eq(t.task.sense[19], 0xf0);
	ck_assert_uint_eq(get_be32(t.task.sense + 19 + 3), 1800);
	ck_assert_uint_eq(t.task.sense[19 + 12], 0x11);
	ck_assert(holds(0, 4000, 0, 100)); /* the segment before is done */
	tst_fini(&t);
}
END_TEST

START_TEST(an_error_of_the_destination_is_told_with_its_status)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 4000);
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	fake_complete(x.fake, 0);
	ck_assert_uint_eq(x.fake->log[1].dir, DMA_TO_DEVICE);
	fake_end(x.fake, 0, HBA_DONE, SCSI_TASK_SET_FULL, NULL, 0);
	assert_check(&t, 0x0a, 0x0d, 0x01);
	ck_assert_uint_eq(t.task.sense[8], 0);
	ck_assert_uint_eq(t.task.sense[9], 18);
	ck_assert_uint_eq(t.task.sense[18], SCSI_TASK_SET_FULL);
	ck_assert_uint_eq(t.task.sense_len, 19);
	tst_fini(&t);
}
END_TEST

START_TEST(sense_in_descriptor_format_forwards_the_devices_answer)
{
	struct fake *f = fake_new(1, UINT64_C(1) << 33, 512); /* D_SENSE is set then */
	struct list_bytes l;
	struct tst t;

	fx_teardown(&x);
	fx_attach(&x, f);
	in_lun(&l, 8, 0, 4000);
	add_segment(&l, 0, 0, 8, 100, 5000);
	x.disk->bad_lba = 100;
	xcopy(&t, &l);
	ck_assert_uint_eq(t.task.status, SCSI_CHECK_CONDITION);
	/* COPY ABORTED, third party device failure */
	ck_assert_mem_eq(t.task.sense, "\x72\x0a\x0d\x01\0\0\0", 7);
	/* command-specific information: segment 1; then the source's CHECK CONDITION with its sense */
	ck_assert_mem_eq(t.task.sense + 8, "\x01\x0a\0\0\0\0\0\0\0\0\0\x01", 12);
	ck_assert_mem_eq(t.task.sense + 20, "\x0c", 1);
	ck_assert_uint_eq(t.task.sense[21], t.task.sense_len - 22);
	ck_assert_uint_eq(t.task.sense[22], 0x01);
	ck_assert_uint_eq(t.task.sense[23], 0x02);
	ck_assert_uint_eq(t.task.sense[7], t.task.sense_len - 8);
	tst_fini(&t);
}
END_TEST

START_TEST(a_controller_that_goes_away_ends_all_copies)
{
	struct list_bytes l;
	struct tst t[6];

	in_lun(&l, 2000, 0, 4000);
	finish_list(&l);
	for (unsigned i = 0; i < 6; i++) {
		xcopy_init(&t[i], &l, finish_list(&l));
		tst_submit(&t[i]);
	}
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	while (x.fake->n_flight)
		fake_end(x.fake, 0, HBA_GONE, 0, NULL, 0);
	for (unsigned i = 0; i < 6; i++) {
		assert_check(&t[i], 0x0a, 0x0d, 0x02);
		tst_fini(&t[i]);
	}
}
END_TEST

/* --- many, and none --- */

START_TEST(more_copies_than_there_are_wait_for_one_to_end)
{
	struct list_bytes l;
	struct tst t[20];

	for (unsigned i = 0; i < 20; i++) {
		in_lun(&l, 64, i * 64, 4000 + i * 64);
		xcopy_init(&t[i], &l, finish_list(&l));
		tst_submit(&t[i]);
	}
	ck_assert_uint_eq(x.fake->n_flight, 4);
	fake_run(x.fake, 7);
	for (unsigned i = 0; i < 20; i++) {
		assert_good(&t[i]);
		tst_fini(&t[i]);
	}
	ck_assert(holds(0, 4000, 0, 20 * 64));
}
END_TEST

/* All of them end in the call that frees the copy; the stack must not grow with their number. */
START_TEST(many_waiting_lists_that_are_wrong_end_one_after_another)
{
	enum { N = 3000 };
	struct tst *t = calloc(N, sizeof(*t));
	struct tst first[4];
	struct list_bytes l;

	in_lun(&l, 8, 0, 4000);
	for (unsigned i = 0; i < 4; i++) {
		xcopy_init(&first[i], &l, finish_list(&l));
		tst_submit(&first[i]);
	}
	l.data[16] = 0xe0;
	for (unsigned i = 0; i < N; i++) {
		xcopy_init(&t[i], &l, finish_list(&l));
		tst_submit(&t[i]);
		ck_assert_uint_eq(t[i].done, 0);
	}
	fake_run(x.fake, 0);
	for (unsigned i = 0; i < N; i++) {
		assert_check(&t[i], 0x05, 0x26, 0x07);
		tst_fini(&t[i]);
	}
	for (unsigned i = 0; i < 4; i++)
		tst_fini(&first[i]);
	free(t);
}
END_TEST

START_TEST(other_commands_have_their_turn)
{
	struct list_bytes l;
	struct tst copy, read;
	uint8_t cdb[16];

	x.fake->slots = 1;
	in_lun(&l, 4000, 0, 4000);
	xcopy_init(&copy, &l, finish_list(&l));
	tst_submit(&copy);
	cdb16(cdb, 0x88, 0, 0, 1);
	tst_init(&read, x.lun, cdb, 16, 512, 1);
	tst_submit(&read);
	for (unsigned i = 0; i < 8; i++)
		fake_complete(x.fake, 0);
	assert_good(&read);
	fake_run(x.fake, 0);
	assert_good(&copy);
	tst_fini(&read);
	tst_fini(&copy);
}
END_TEST

/* COMPARE AND WRITE of a block that a piece of the copy is just writing waits for that piece. */
START_TEST(exclusive_commands_and_pieces_wait_for_each_other)
{
	struct list_bytes l;
	struct tst copy, caw, other_block;
	uint8_t cdb[16];

	in_lun(&l, 8, 0, 4000);
	xcopy_init(&copy, &l, finish_list(&l));
	tst_submit(&copy);
	fake_complete(x.fake, 0); /* read; the write is at the controller */
	cdb16(cdb, 0x89, 0, 4003, 0);
	cdb[13] = 1;
	tst_init(&caw, x.lun, cdb, 16, 1024, 1);
	fake_pattern(3, caw.buf, 512); /* what the copy brings */
	memset(caw.buf + 512, 0x77, 512);
	caw.filled = true;
	tst_submit(&caw);
	ck_assert_uint_eq(x.fake->n_flight, 1);
	cdb16(cdb, 0x88, 0, 5000, 1);
	tst_init(&other_block, x.lun, cdb, 16, 512, 1);
	tst_submit(&other_block);
	ck_assert_uint_eq(x.fake->n_flight, 2);
	fake_run(x.fake, 0);
	assert_good(&copy);
	assert_good(&caw);
	assert_good(&other_block);
	ck_assert_uint_eq(x.disk->store[4003 * 512], 0x77);
	tst_fini(&copy);
	tst_fini(&caw);
	tst_fini(&other_block);
}
END_TEST

START_TEST(an_abort_ends_a_copy_when_its_requests_are_back)
{
	struct list_bytes l;
	struct tst t;
	unsigned n;

	in_lun(&l, 4000, 0, 4000);
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	for (int i = 0; i < _i; i++)
		fake_complete(x.fake, 0);
	n = x.fake->n_log;
	scsi_task_abort(&t.task);
	scsi_task_abort(&t.task);
	ck_assert_uint_eq(t.done, 0);
	ck_assert_uint_eq(x.fake->n_aborts, x.fake->n_flight);
	while (x.fake->n_flight > 1)
		fake_end(x.fake, 1, HBA_ABORTED, 0, NULL, 0);
	ck_assert_uint_eq(t.done, 0);
	fake_complete(x.fake, 0); /* the last one was faster */
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(t.task.status, SCSI_TASK_ABORTED);
	ck_assert_uint_eq(t.task.sense_len, 0);
	ck_assert_uint_eq(x.fake->n_log, n); /* nothing new was begun */
	tst_fini(&t);
}
END_TEST

START_TEST(a_copy_that_waits_is_aborted_at_once)
{
	struct list_bytes l;
	struct tst t[6];

	in_lun(&l, 8, 0, 4000);
	for (unsigned i = 0; i < 6; i++) {
		xcopy_init(&t[i], &l, finish_list(&l));
		tst_submit(&t[i]);
	}
	scsi_task_abort(&t[4].task);
	ck_assert_uint_eq(t[4].done, 1);
	ck_assert_uint_eq(t[4].task.status, SCSI_TASK_ABORTED);
	fake_run(x.fake, 0);
	for (unsigned i = 0; i < 6; i++) {
		ck_assert_uint_eq(t[i].done, 1);
		ck_assert_uint_eq(t[i].task.status, i == 4 ? SCSI_TASK_ABORTED : SCSI_GOOD);
		tst_fini(&t[i]);
	}
}
END_TEST

/* Pieces that wait for a slot are gone at once. */
START_TEST(an_abort_with_nothing_at_the_controller_ends_it_at_once)
{
	struct list_bytes l;
	struct tst t;

	x.fake->state = HBA_RESETTING; /* no slots */
	in_lun(&l, 4000, 0, 4000);
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	scsi_task_abort(&t.task);
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(t.task.status, SCSI_TASK_ABORTED);
	x.fake->state = HBA_RUNNING;
	fake_ready(x.fake);
	ck_assert_uint_eq(x.fake->n_log, 0);
	tst_fini(&t);
}
END_TEST

/* --- LUNs that leave --- */

static void to_other(struct list_bytes *l, uint16_t blocks)
{
	memset(l, 0, sizeof(*l));
	add_cscd(l, x.lun, 512);
	add_cscd(l, other[1], 512);
	add_segment(l, 0, 1, blocks, 0, 0);
}

static void from_other(struct list_bytes *l, uint16_t blocks)
{
	memset(l, 0, sizeof(*l));
	add_cscd(l, x.lun, 512);
	add_cscd(l, other[1], 512);
	add_segment(l, 1, 0, blocks, 0, 0);
}

START_TEST(copies_with_a_lun_that_leaves_end)
{
	struct list_bytes l;
	struct tst t;

	to_other(&l, 4000);
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	for (int i = 0; i < _i; i++)
		fake_complete(x.fake, 0);
	/* The LUN's memory lives on until its requests are back, which ASan watches. */
	scsi_lun_destroy(other[1]);
	other[1] = NULL;
	ck_assert_uint_eq(t.done, 0);
	while (x.fake->n_flight)
		fake_end(x.fake, 0, HBA_ABORTED, 0, NULL, 0);
	assert_check(&t, 0x0a, 0x0d, 0x02);
	tst_fini(&t);
}
END_TEST

/* A copy that has failed already, and whose other pieces wait for slots of the controller. */
START_TEST(a_lun_may_leave_a_copy_that_fails)
{
	struct list_bytes l;
	struct tst t;

	to_other(&l, 4000);
	x.fake->slots = 1;
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	fake_complete(x.fake, 0); /* its write waits behind the other reads */
	x.fake->state = HBA_RESETTING;
	fake_end(x.fake, 0, HBA_DONE, 0x02, fake_sense_medium, 18);
	ck_assert_uint_eq(t.done, 0);
	scsi_lun_destroy(other[1]);
	other[1] = NULL;
	x.fake->state = HBA_RUNNING;
	fake_ready(x.fake);
	fake_run(x.fake, 0);
	assert_check(&t, 0x0a, 0x0d, 0x01);
	tst_fini(&t);
}
END_TEST

/* ... and none is begun until it is served. */
START_TEST(nobody_copies_from_or_to_a_lun_that_is_not_served)
{
	struct list_bytes l;
	struct tst t;

	to_other(&l, 8);
	if (_i)
		from_other(&l, 8);
	scsi_lun_retire(other[1]);
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x0d, 0x02); /* copy target device not reachable */
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
	scsi_lun_serve(other[1]);
	xcopy(&t, &l);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

/* Between OPEN and START of its ring: the gate is open, and commands may still come by the old owner of the ring. */
START_TEST(nobody_copies_from_or_to_a_lun_whose_ring_was_never_started)
{
	struct scsi_lun_config cfg;
	struct err e = {""};
	struct list_bytes l;
	struct tst t;

	to_other(&l, 8);
	if (_i)
		from_other(&l, 8);
	scsi_lun_destroy(other[1]);
	ck_assert_int_eq(scsi_lun_parse("ld1;allow=copy", &cfg, &e), 0);
	ck_assert_int_eq(scsi_lun_create(x.host, &cfg, &other[1]), 0);
	ck_assert_int_eq(scsi_lun_gate(other[1]), SCSI_GATE_OPEN);
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x0d, 0x02);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
	scsi_lun_serve(other[1]);
	xcopy(&t, &l);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

/* The old LUN of a unit, which still has pieces of a copy, does not stand in the way of the new one. */
START_TEST(of_two_luns_of_a_unit_the_one_that_is_served_is_copied_to)
{
	struct scsi_lun *old = other[1];
	struct list_bytes l;
	struct tst t, held;

	to_other(&l, 8);
	xcopy_init(&held, &l, finish_list(&l));
	tst_submit(&held);
	scsi_lun_retire(old);
	other[1] = fx_lun(&x, "ld1;allow=copy");
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_check(&held, 0x0a, 0x0d, 0x02);
	assert_good(&t);
	scsi_lun_destroy(old);
	tst_fini(&t);
	tst_fini(&held);
}
END_TEST

START_TEST(copies_that_do_not_need_the_lun_any_more_go_on)
{
	struct list_bytes l;
	struct tst t;

	to_other(&l, 8);
	add_segment(&l, 0, 0, 8, 0, 4000);
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	fake_complete(x.fake, 0);
	fake_complete(x.fake, 0);
	ck_assert_uint_eq(x.fake->n_flight, 1); /* the second segment */
	scsi_lun_destroy(other[1]);
	other[1] = NULL;
	fake_run(x.fake, 0);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi copy");
	TCase *c = tcase_create("copy"), *o = tcase_create("other luns");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, blocks_are_copied_within_the_lun);
	tcase_add_loop_test(c, in_whatever_order_the_controller_answers, 0, 20);
	tcase_add_test(c, no_list_no_segments_and_no_blocks_are_nothing_to_do);
	tcase_add_loop_test(c, overlapping_ranges_end_as_if_copied_at_once, 0, 5);
	tcase_add_test(c, an_error_of_the_source_is_told_with_its_sense);
	tcase_add_test(c, an_error_of_the_destination_is_told_with_its_status);
	tcase_add_test(c, sense_in_descriptor_format_forwards_the_devices_answer);
	tcase_add_test(c, a_controller_that_goes_away_ends_all_copies);
	tcase_add_test(c, more_copies_than_there_are_wait_for_one_to_end);
	tcase_add_test(c, many_waiting_lists_that_are_wrong_end_one_after_another);
	tcase_add_test(c, other_commands_have_their_turn);
	tcase_add_test(c, exclusive_commands_and_pieces_wait_for_each_other);
	tcase_add_loop_test(c, an_abort_ends_a_copy_when_its_requests_are_back, 0, 7);
	tcase_add_test(c, a_copy_that_waits_is_aborted_at_once);
	tcase_add_test(c, an_abort_with_nothing_at_the_controller_ends_it_at_once);
	suite_add_tcase(s, c);

	tcase_add_checked_fixture(o, setup_allowed, teardown);
	tcase_add_test(o, other_luns_take_part_when_both_allow_it);
	tcase_add_test(o, block_sizes_may_differ_when_the_bytes_fit);
	tcase_add_loop_test(o, copies_with_a_lun_that_leaves_end, 0, 7);
	tcase_add_test(o, a_lun_may_leave_a_copy_that_fails);
	tcase_add_loop_test(o, nobody_copies_from_or_to_a_lun_that_is_not_served, 0, 2);
	tcase_add_loop_test(o, nobody_copies_from_or_to_a_lun_whose_ring_was_never_started, 0, 2);
	tcase_add_test(o, of_two_luns_of_a_unit_the_one_that_is_served_is_copied_to);
	tcase_add_test(o, copies_that_do_not_need_the_lun_any_more_go_on);
	suite_add_tcase(s, o);
	return run_suite(s);
}
