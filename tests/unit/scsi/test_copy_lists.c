/* SPDX-License-Identifier: GPL-2.0-or-later */
/* EXTENDED COPY: parameter lists of SPC-4, put down by hand, that are refused or abort the copy. */
#include <string.h>
#include "base/endian.h"
#include "copy_rig.h"

/* --- refused lists --- */

/* Among them: what the initiator sends is not what the CDB says (hazard H15). */
START_TEST(lengths_that_do_not_fit_are_refused)
{
	uint8_t cdb[16] = {0x83, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 76};
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 100);
	finish_list(&l);
	for (uint32_t len = 1; len < 76; len++) {
		xcopy_len(&t, &l, len);
		assert_check(&t, 0x05, 0x1a, 0x00);
		tst_fini(&t);
	}
	tst_do(&t, &x, cdb, 16, 75);
	assert_check(&t, 0x05, 0x0e, 0x03);
	tst_fini(&t);
	tst_do(&t, &x, cdb, 16, 0);
	assert_check(&t, 0x05, 0x0e, 0x03);
	tst_fini(&t);
	put_be16(l.data + 2, 0xffff);
	put_be32(l.data + 8, 0xffffffff);
	xcopy_len(&t, &l, 8000);
	assert_check(&t, 0x05, 0x1a, 0x00);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

/* Key and code of fixed sense, and a pointer to a byte of the list; bit: as the sense-key specific byte has it. */
#define assert_list(t, asc, ascq, sks, field)                                                                \
	do {                                                                                                 \
		assert_check(t, 0x05, asc, ascq);                                                            \
		ck_assert_uint_eq((t)->task.sense[15], sks);                                                 \
		ck_assert_uint_eq(get_be16((t)->task.sense + 16), field);                                    \
	} while (0)

START_TEST(fields_of_the_header_are_judged)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 100);
	l.data[1] = 0x08; /* LIST ID USAGE 01b */
	xcopy(&t, &l);
	assert_list(&t, 0x26, 0x00, 0x8c, 1);
	tst_fini(&t);
	l.data[0] = 0x01; /* an identifier, */
	l.data[1] = 0x18; /* and none is used */
	xcopy(&t, &l);
	assert_list(&t, 0x26, 0x00, 0x8f, 0);
	tst_fini(&t);
	l.data[0] = 0x00;
	l.data[1] = 0x3f; /* STR and PRIORITY are hints */
	xcopy(&t, &l);
	assert_good(&t);
	tst_fini(&t);
	l.data[15] = 1; /* inline data */
	xcopy(&t, &l);
	assert_list(&t, 0x26, 0x0b, 0x8f, 12);
	tst_fini(&t);
	l.data[15] = 0;
	finish_list(&l);
	put_be16(l.data + 2, 33);
	xcopy_len(&t, &l, 100);
	assert_list(&t, 0x26, 0x00, 0x8f, 2);
	tst_fini(&t);
}
END_TEST

START_TEST(more_descriptors_than_the_maxima_are_refused)
{
	struct list_bytes l = {{0}};
	struct tst t;

	for (unsigned i = 0; i < 17; i++)
		add_cscd(&l, x.lun, 512);
	add_segment(&l, 0, 0, 8, 0, 100);
	xcopy(&t, &l);
	assert_list(&t, 0x26, 0x06, 0x8f, 2);
	tst_fini(&t);
	in_lun(&l, 8, 0, 100);
	while (l.segments < 65)
		add_segment(&l, 0, 0, 8, 0, 100);
	xcopy(&t, &l);
	assert_list(&t, 0x26, 0x08, 0x8f, 8);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
	memset(&l, 0, sizeof(l));
	for (unsigned i = 0; i < 16; i++)
		add_cscd(&l, x.lun, 512);
	for (unsigned i = 0; i < 64; i++)
		add_segment(&l, (uint16_t)(i % 16), 15, 8, 0, 1000 + i * 8);
	xcopy(&t, &l);
	assert_good(&t);
	for (unsigned i = 0; i < 64; i++)
		ck_assert(holds(0, 1000 + i * 8, 0, 8));
	tst_fini(&t);
	/* Longer than any list can be, whatever is in it. */
	for (unsigned i = 0; i < 16; i++)
		add_segment(&l, 0, 0, 8, 0, 100);
	xcopy(&t, &l);
	assert_check(&t, 0x05, 0x1a, 0x00);
	tst_fini(&t);
}
END_TEST

START_TEST(unknown_descriptors_are_refused)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 100);
	l.data[16] = 0xe0; /* N_Port_Name */
	xcopy(&t, &l);
	assert_list(&t, 0x26, 0x07, 0x8f, 16);
	tst_fini(&t);
	in_lun(&l, 8, 0, 100);
	l.data[48] = 0x03; /* stream to stream, 20 bytes */
	l.data[51] = 0x10;
	finish_list(&l);
	put_be32(l.data + 8, 20);
	xcopy_len(&t, &l, 68);
	assert_list(&t, 0x26, 0x09, 0x8f, 48);
	tst_fini(&t);
	l.data[48] = 0x02;
	xcopy_len(&t, &l, 68);
	assert_check(&t, 0x05, 0x1a, 0x00);
	tst_fini(&t);
	put_be32(l.data + 8, 28);
	xcopy_len(&t, &l, 76);
	assert_list(&t, 0x26, 0x00, 0x8f, 50);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

/* --- COPY ABORTED --- */

/* The second segment is at fault; sense-key specific: a byte of the list. */
#define assert_aborted(t, asc, ascq, field)                                                                  \
	do {                                                                                                 \
		assert_check(t, 0x0a, asc, ascq);                                                            \
		ck_assert_uint_eq(get_be16((t)->task.sense + 10), 1);                                        \
		ck_assert_uint_eq((t)->task.sense[15], 0x80);                                                \
		ck_assert_uint_eq(get_be16((t)->task.sense + 16), field);                                    \
	} while (0)

static void in_lun_second(
	struct list_bytes *l, uint16_t src, uint16_t dst, uint16_t blocks, uint64_t src_lba, uint64_t dst_lba)
{
	in_lun(l, 8, 0, 100);
	add_segment(l, src, dst, blocks, src_lba, dst_lba);
}

START_TEST(devices_that_cannot_be_copied_from_or_to_abort_it)
{
	struct list_bytes l;
	struct tst t;

	in_lun_second(&l, 0, 1, 8, 0, 100);
	xcopy(&t, &l);
	assert_aborted(&t, 0x08, 0x04, 48 + 28 + 6);
	tst_fini(&t);
	in_lun_second(&l, 0xffff, 0, 8, 0, 100);
	xcopy(&t, &l);
	assert_aborted(&t, 0x08, 0x04, 48 + 28 + 4);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0); /* the first segment was not begun */
}
END_TEST

START_TEST(descriptors_that_are_of_no_lun_or_of_another_kind_abort_it)
{
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 100);
	l.data[16 + 8 + 7] ^= 1; /* nobody's name */
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x08, 0x04);
	tst_fini(&t);
	in_lun(&l, 8, 0, 100);
	l.data[16 + 5] |= 0x10; /* of a port */
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x08, 0x04);
	tst_fini(&t);
	in_lun(&l, 8, 0, 100);
	l.data[16 + 7] = 21; /* longer than there is room for */
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x08, 0x04);
	tst_fini(&t);
	in_lun(&l, 8, 0, 100);
	l.data[17] = 0x01; /* a tape */
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x0d, 0x03);
	tst_fini(&t);
	in_lun(&l, 8, 0, 100);
	put_be24(l.data + 16 + 29, 520);
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x26, 0x00);
	ck_assert_uint_eq(get_be16(t.task.sense + 16), 16 + 29);
	tst_fini(&t);
	in_lun(&l, 8, 0, 100);
	l.data[17] = 0xe0; /* LU ID TYPE is ignored (SPC-4), NUL is obsolete */
	xcopy(&t, &l);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

/* Every unit of this controller has the same T10 designator: it names none of them, once there are two LUNs. */
START_TEST(a_designator_of_two_luns_names_none)
{
	static const uint8_t t10[] = "\x02\x01\x00\x0cLSI     XYZ1";
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 100);
	memset(l.data + 20, 0, 24);
	memcpy(l.data + 20, t10, 16);
	xcopy(&t, &l);
	assert_good(&t);
	tst_fini(&t);
	open_all("");
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x08, 0x04);
	tst_fini(&t);
	/* Nor when only one of them is served. */
	for (unsigned i = 1; i < UNITS; i++)
		scsi_lun_retire(other[i]);
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x08, 0x04);
	tst_fini(&t);
}
END_TEST

static void setup_lanes(void)
{
	struct fake *f = fake_new(UNITS, BLOCKS, 512);

	f->hba.n_lanes = 2;
	fx_attach(&x, f);
}

/* Whether others are served is another I/O thread's knowledge. */
START_TEST(a_designator_of_two_units_names_none_with_several_lanes)
{
	static const uint8_t t10[] = "\x02\x01\x00\x0cLSI     XYZ1";
	struct list_bytes l;
	struct tst t;

	in_lun(&l, 8, 0, 100);
	xcopy(&t, &l);
	assert_good(&t);
	tst_fini(&t);
	memset(l.data + 20, 0, 24);
	memcpy(l.data + 20, t10, 16);
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x08, 0x04);
	tst_fini(&t);
}
END_TEST

START_TEST(ranges_beyond_the_end_abort_it)
{
	static const struct {
		uint64_t src, dst;
		uint16_t n;
		bool of_destination;
	} rows[] = {
		{0, BLOCKS - 1, 2, true},
		{BLOCKS - 1, 0, 2, false},
		{0, UINT64_MAX, 1, true},
		{UINT64_MAX - 1, 0, 1, false},
		{0, BLOCKS + 1, 0, true},
	};
	struct list_bytes l;
	struct tst t;

	in_lun_second(&l, 0, 0, rows[_i].n, rows[_i].src, rows[_i].dst);
	xcopy(&t, &l);
	assert_aborted(&t, 0x00, 0x00, rows[_i].of_destination ? 48 + 28 + 20 : 48 + 28 + 12);
	/* where to find what the device would have said: CHECK CONDITION and 05/21/00 */
	ck_assert_uint_eq(t.task.sense[8], rows[_i].of_destination ? 0 : 18);
	ck_assert_uint_eq(t.task.sense[9], rows[_i].of_destination ? 18 : 0);
	ck_assert_uint_eq(t.task.sense_len, 18 + 1 + 18);
	ck_assert_uint_eq(t.task.sense[7], 18 + 1 + 18 - 8);
	ck_assert_uint_eq(t.task.sense[18], 0x02);
	ck_assert_uint_eq(t.task.sense[19], 0x70);
	ck_assert_uint_eq(t.task.sense[19 + 2], 0x05);
	ck_assert_uint_eq(t.task.sense[19 + 12], 0x21);
	ck_assert_uint_eq(x.fake->n_log, 0);
	tst_fini(&t);
}
END_TEST

/* H16: EXTENDED COPY reaches no LUN that has not allowed it. */
START_TEST(other_luns_without_leave_are_unreachable)
{
	static const char *const options[][2] = {
		{"ld0", "ld1"}, {"ld0;allow=copy", "ld1"}, {"ld0", "ld1;allow=copy"}};
	struct list_bytes l = {{0}};
	struct tst t;

	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, options[_i][0]);
	other[1] = fx_lun(&x, options[_i][1]);
	add_cscd(&l, x.lun, 512);
	add_cscd(&l, other[1], 512);
	add_segment(&l, 0, 1, 8, 0, 0);
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x08, 0x04);
	tst_fini(&t);
	l.segments = 0;
	add_segment(&l, 1, 0, 8, 0, 0);
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x08, 0x04);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(a_read_only_lun_is_copied_from_and_not_to)
{
	struct list_bytes l = {{0}};
	struct tst t;

	scsi_lun_destroy(other[1]);
	other[1] = fx_lun(&x, "ld1;ro=1;allow=copy");
	add_cscd(&l, x.lun, 512);
	add_cscd(&l, other[1], 512);
	add_segment(&l, 0, 1, 8, 100, 0);
	xcopy(&t, &l);
	assert_check(&t, 0x0a, 0x0d, 0x01);
	ck_assert_uint_eq(t.task.sense[9], 18);
	ck_assert_uint_eq(t.task.sense[19 + 2], 0x07);
	ck_assert_uint_eq(t.task.sense[19 + 12], 0x27);
	ck_assert_uint_eq(writes(), 0);
	tst_fini(&t);
	l.segments = 0;
	add_segment(&l, 1, 0, 8, 100, 0);
	xcopy(&t, &l);
	assert_good(&t);
	ck_assert(holds(0, 0, 100, 8));
	tst_fini(&t);
	/* The command itself does not go to it at all. */
	xcopy_init(&t, &l, finish_list(&l));
	t.task.lun = other[1];
	tst_submit(&t);
	assert_check(&t, 0x07, 0x27, 0x00);
	tst_fini(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi copy lists");
	TCase *c = tcase_create("copy"), *o = tcase_create("other luns");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, lengths_that_do_not_fit_are_refused);
	tcase_add_test(c, fields_of_the_header_are_judged);
	tcase_add_test(c, more_descriptors_than_the_maxima_are_refused);
	tcase_add_test(c, unknown_descriptors_are_refused);
	tcase_add_test(c, devices_that_cannot_be_copied_from_or_to_abort_it);
	tcase_add_test(c, descriptors_that_are_of_no_lun_or_of_another_kind_abort_it);
	tcase_add_test(c, a_designator_of_two_luns_names_none);
	tcase_add_loop_test(c, ranges_beyond_the_end_abort_it, 0, 5);
	tcase_add_loop_test(c, other_luns_without_leave_are_unreachable, 0, 3);
	suite_add_tcase(s, c);

	tcase_add_checked_fixture(o, setup_allowed, teardown);
	tcase_add_test(o, a_read_only_lun_is_copied_from_and_not_to);
	suite_add_tcase(s, o);

	c = tcase_create("lanes");
	tcase_add_checked_fixture(c, setup_lanes, teardown);
	tcase_add_test(c, a_designator_of_two_units_names_none_with_several_lanes);
	suite_add_tcase(s, c);
	return run_suite(s);
}
