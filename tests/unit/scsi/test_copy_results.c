/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RECEIVE COPY RESULTS, byte by byte by SPC-4. */
#include "base/endian.h"
#include "copy_rig.h"

static void results(struct tst *t, uint8_t sa, uint8_t id, uint32_t alloc, struct scsi_lun *lun)
{
	uint8_t cdb[16] = {0x84, sa, id};

	put_be32(cdb + 10, alloc);
	tst_init(t, lun, cdb, 16, 200, 1);
	tst_submit(t);
	ck_assert_uint_eq(t->done, 1);
}

static void copy_with_id(struct list_bytes *l, uint8_t id, uint8_t usage)
{
	struct tst t;

	l->data[0] = id;
	l->data[1] = (uint8_t)(usage << 3);
	xcopy(&t, l);
	tst_fini(&t);
}

START_TEST(operating_parameters_tell_the_maxima)
{
	static const uint8_t want[46] = {
		0,
		0,
		0,
		42,
		0x01,
		0,
		0,
		0, /* SNLID */
		0,
		16,
		0,
		64, /* descriptors */
		0,
		0,
		0x09,
		0, /* 16 x 32 + 64 x 28 = 2304 bytes of them */
		0x0f,
		0xff,
		0xf0,
		0, /* 65,535 x 4,096 bytes per segment */
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0, /* no inline data, held data, streams */
		0,
		0,
		0,
		4,
		4, /* copies at once */
		9,
		0,
		0,
		0,
		0,
		0, /* granularity 2^9 */
		2,
		0x02,
		0xe4,
	};
	struct tst t;

	results(&t, 0x03, 0, 200, x.lun);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 46);
	ck_assert_mem_eq(t.buf, want, 46);
	tst_fini(&t);
	results(&t, 0x03, 0, 10, x.lun);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 10);
	tst_fini(&t);
}
END_TEST

START_TEST(held_data_and_other_service_actions_are_refused)
{
	static const uint8_t actions[] = {0x01, 0x02, 0x05, 0x06, 0x07, 0x1f};
	struct tst t;

	for (unsigned i = 0; i < sizeof(actions); i++) {
		results(&t, actions[i], 0, 200, x.lun);
		assert_check(&t, 0x05, 0x24, 0x00);
		ck_assert_mem_eq(t.task.sense + 15, "\xcc\x00\x01", 3);
		tst_fini(&t);
	}
	tst_do(&t, &x, "\x83\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, 0); /* EXTENDED COPY(LID4) */
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
}
END_TEST

START_TEST(status_tells_of_a_copy_in_progress_and_at_its_end)
{
	static const uint8_t ended[12] = {0, 0, 0, 8, 0x01, 0, 2, 0x00, 0, 0x0f, 0xb0, 0};
	struct list_bytes l;
	struct tst t, s;

	results(&s, 0x00, 0x55, 200, x.lun);
	assert_check(&s, 0x05, 0x24, 0x00);
	ck_assert_mem_eq(s.task.sense + 15, "\xcf\x00\x02", 3);
	tst_fini(&s);
	in_lun(&l, 8, 0, 4000);
	add_segment(&l, 0, 0, 2000, 0, 5000);
	l.data[0] = 0x55;
	xcopy_init(&t, &l, finish_list(&l));
	tst_submit(&t);
	fake_complete(x.fake, 0);
	fake_complete(x.fake, 0); /* 8 blocks written: 4,096 bytes */
	results(&s, 0x00, 0x55, 200, x.lun);
	assert_good(&s);
	ck_assert_uint_eq(s.task.in_bytes, 12);
	ck_assert_mem_eq(s.buf, "\0\0\0\x08\x00\0\x01\0\0\0\x10\0", 12);
	tst_fini(&s);
	results(&s, 0x04, 0x55, 200, x.lun); /* it has not failed yet */
	assert_check(&s, 0x05, 0x24, 0x00);
	tst_fini(&s);
	fake_run(x.fake, 0);
	assert_good(&t);
	tst_fini(&t);
	results(&s, 0x00, 0x55, 200, x.lun); /* 2,008 blocks: FB000h bytes */
	assert_good(&s);
	ck_assert_mem_eq(s.buf, ended, 12);
	tst_fini(&s);
	results(&s, 0x04, 0x55, 200, x.lun);
	assert_good(&s);
	ck_assert_uint_eq(s.task.in_bytes, 4);
	ck_assert_mem_eq(s.buf, "\0\0\0\0", 4);
	tst_fini(&s);
	results(&s, 0x00, 0x54, 200, x.lun);
	assert_check(&s, 0x05, 0x24, 0x00);
	tst_fini(&s);
}
END_TEST

START_TEST(failure_details_hold_the_sense_that_the_command_ended_with)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, BLOCKS);
	copy_with_id(&l, 7, 0);
	results(&t, 0x00, 7, 200, x.lun);
	assert_good(&t);
	ck_assert_uint_eq(t.buf[4], 0x02);
	tst_fini(&t);
	results(&t, 0x04, 7, 200, x.lun);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 60 + 37);
	ck_assert_uint_eq(get_be32(t.buf), 60 + 37 - 4);
	ck_assert_uint_eq(t.buf[56], 0x02);
	ck_assert_uint_eq(get_be16(t.buf + 58), 37);
	ck_assert_uint_eq(t.buf[60], 0x70);
	ck_assert_uint_eq(t.buf[62], 0x0a);
	tst_fini(&t);
	in_lun(&l, 8, 0, 100); /* the identifier is used again */
	copy_with_id(&l, 7, 0);
	results(&t, 0x04, 7, 200, x.lun);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 4);
	tst_fini(&t);
}
END_TEST

START_TEST(what_need_not_be_kept_is_not_kept)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 100);
	copy_with_id(&l, 1, 2); /* discard */
	results(&t, 0x00, 1, 200, x.lun);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	copy_with_id(&l, 0, 3); /* no identifier */
	results(&t, 0x00, 0, 200, x.lun);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	l.data[16] = 0xe0;
	copy_with_id(&l, 1, 0); /* never began */
	results(&t, 0x00, 1, 200, x.lun);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
}
END_TEST

START_TEST(the_oldest_results_make_room)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 100);
	for (uint8_t id = 0; id < 17; id++)
		copy_with_id(&l, id, 0);
	for (uint8_t id = 0; id < 17; id++) {
		results(&t, 0x00, id, 200, x.lun);
		ck_assert_uint_eq(t.task.status, id ? SCSI_GOOD : SCSI_CHECK_CONDITION);
		tst_fini(&t);
	}
}
END_TEST

START_TEST(results_belong_to_a_lun_and_leave_with_it)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 100);
	copy_with_id(&l, 3, 0);
	results(&t, 0x00, 3, 200, other[1]);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	scsi_lun_retire(x.lun);
	results(&t, 0x00, 3, 200, x.lun);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
}
END_TEST

/* Nobody tells of an initiator that leaves. */
START_TEST(results_are_forgotten_after_a_while)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 100);
	copy_with_id(&l, 1, 0);
	fake_now += UINT64_C(9999999999);
	results(&t, 0x00, 1, 200, x.lun);
	assert_good(&t);
	tst_fini(&t);
	fake_now += 1;
	results(&t, 0x00, 1, 200, x.lun);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
}
END_TEST

/* SPC-4 7.8.17, by hand: the mandatory descriptors. */
START_TEST(page_8f_tells_what_copies_are_taken)
{
	static const uint8_t want[] = {0x00, 0x8f, 0x00, 132,
		/* supported commands */
		0x00, 0x01, 0x00, 12, 8, 0x83, 1, 0x00, 0x84, 3, 0x00, 0x03, 0x04, 0, 0, 0,
		/* parameter data: CSCDs, segments, bytes of both */
		0x00, 0x04, 0x00, 28, 0, 0, 0, 0, 0, 16, 0, 64, 0, 0, 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0,
		/* supported descriptors */
		0x00, 0x08, 0x00, 4, 2, 0x02, 0xe4, 0,
		/* supported CSCD ids: none */
		0x00, 0x0c, 0x00, 4, 0, 0, 0, 0,
		/* general copy operations: concurrent copies, segment length, granularity */
		0x80, 0x01, 0x00, 32, 0, 0, 0, 4, 0, 0, 0, 4, 0x0f, 0xff, 0xf0, 0x00, 9, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		/* held data: none */
		0xc0, 0x01, 0x00, 28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0};
	struct tst t;

	tst_do(&t, &x, "\x12\x01\x8f\x00\xff\x00", 6, 255);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, sizeof(want));
	ck_assert_mem_eq(t.buf, want, sizeof(want));
	tst_fini(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi copy results");
	TCase *c = tcase_create("copy"), *o = tcase_create("other luns");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, operating_parameters_tell_the_maxima);
	tcase_add_test(c, held_data_and_other_service_actions_are_refused);
	tcase_add_test(c, status_tells_of_a_copy_in_progress_and_at_its_end);
	tcase_add_test(c, failure_details_hold_the_sense_that_the_command_ended_with);
	tcase_add_test(c, what_need_not_be_kept_is_not_kept);
	tcase_add_test(c, the_oldest_results_make_room);
	tcase_add_test(c, results_are_forgotten_after_a_while);
	tcase_add_test(c, page_8f_tells_what_copies_are_taken);
	suite_add_tcase(s, c);

	tcase_add_checked_fixture(o, setup_allowed, teardown);
	tcase_add_test(o, results_belong_to_a_lun_and_leave_with_it);
	suite_add_tcase(s, o);
	return run_suite(s);
}
