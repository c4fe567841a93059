/* SPDX-License-Identifier: GPL-2.0-or-later */
/* INQUIRY, VPD, READ CAPACITY, REQUEST SENSE and reports: bytes by hand from SPC-4 and SBC-3. */
#include <string.h>
#include "base/endian.h"
#include "fixture.h"

static struct fx x;

static void setup(void)
{
	fx_setup(&x, 4096);
}
static void teardown(void)
{
	ck_assert_uint_eq(x.fake->n_log, 0); /* nothing here reaches the controller */
	fx_teardown(&x);
}

static const uint16_t allocs[] = {0, 1, 4, 5, 35, 36, 96, 255, 512};

/* --- INQUIRY --- */

/* H23: TPGS is 0. */
START_TEST(standard_inquiry_is_the_units_without_what_lio_does)
{
	/* TPGS, PROTECT, SCCS, ENCSERV, MULTIP, NORMACA and HISUP of the unit are gone; 3PC is ours. */
	static const uint8_t head[8] = {0x00, 0x00, 0x06, 0x02, 91, 0x08, 0x00, 0x02};
	struct tst t;

	tst_do(&t, &x, "\x12\0\0\0\xff\0", 6, 255);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 96);
	ck_assert_mem_eq(t.buf, head, 8);
	ck_assert_mem_eq(t.buf + 8, "LSI     MR9260-8i       2.13", 28);
	/* SAM-5, SPC-4 and SBC-3, of hbad; nothing of the unit's SAS-2 */
	ck_assert_mem_eq(t.buf + 56, "\0\0\x00\xa0\x04\x60\x04\xc0\x00\x00", 10);
	tst_fini(&t);
}
END_TEST

START_TEST(inquiry_is_cut_at_the_allocation_length)
{
	uint8_t cdb[6] = {0x12};
	struct tst t;

	put_be16(cdb + 3, allocs[_i]);
	tst_do(&t, &x, cdb, 6, 512);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, MIN(allocs[_i], 96));
	if (t.task.in_bytes > 4)
		ck_assert_uint_eq(t.buf[4], 91); /* says how much there is, not how much came */
	tst_fini(&t);
}
END_TEST

START_TEST(inquiry_is_cut_at_the_initiators_room)
{
	uint8_t cdb[6] = {0x12, 0, 0, 0, 0xff, 0};
	struct tst t;

	tst_init(&t, x.lun, cdb, 6, allocs[_i], allocs[_i] ? MIN(allocs[_i], 3) : 0);
	tst_submit(&t);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, MIN(allocs[_i], 96));
	tst_fini(&t);
}
END_TEST

START_TEST(inquiry_fields_that_make_no_sense_are_refused)
{
	static const struct {
		const char *cdb, *pointer;
	} rows[] = {
		{"\x12\x00\x80\x00\xff\x00", "\xcf\x00\x02"}, /* page without EVPD */
		{"\x12\x02\x00\x00\xff\x00", "\xc9\x00\x01"}, /* CMDDT */
		{"\x12\x01\x88\x00\xff\x00", "\xcf\x00\x02"}, /* a page that is not there */
		{"\x12\x04\x00\x00\xff\x00", "\xcf\x00\x01"}, /* a reserved bit */
	};
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		tst_do(&t, &x, rows[i].cdb, 6, 255);
		assert_check(&t, 0x05, 0x24, 0x00);
		ck_assert_mem_eq(t.task.sense + 15, rows[i].pointer, 3);
		ck_assert_uint_eq(t.task.in_bytes, 0);
		tst_fini(&t);
	}
}
END_TEST

static void vpd(struct tst *t, uint8_t page)
{
	uint8_t cdb[6] = {0x12, 0x01, page, 0x04, 0x00, 0};

	tst_do(t, &x, cdb, 6, 1024);
	assert_good(t);
	ck_assert_uint_eq(t->buf[0], 0);
	ck_assert_uint_eq(t->buf[1], page);
	ck_assert_uint_eq(get_be16(t->buf + 2) + 4U, t->task.in_bytes);
}

START_TEST(page_00_lists_just_the_pages_that_are_answered)
{
	struct tst t, p;
	unsigned n = 0;

	vpd(&t, 0x00);
	ck_assert_mem_eq(t.buf, "\x00\x00\x00\x09\x00\x80\x83\x86\x87\x8f\xb0\xb1\xb2", 13);
	for (unsigned code = 0; code < 256; code++) {
		uint8_t cdb[6] = {0x12, 0x01, (uint8_t)code, 0, 255, 0};

		tst_do(&p, &x, cdb, 6, 255);
		if (p.task.status == SCSI_GOOD)
			ck_assert_uint_eq(t.buf[4 + n++], code);
		tst_fini(&p);
	}
	ck_assert_uint_eq(n, 9);
	tst_fini(&t);
}
END_TEST

START_TEST(page_80_is_the_units_serial_number)
{
	struct tst t;

	vpd(&t, 0x80);
	ck_assert_uint_eq(t.task.in_bytes, 10);
	ck_assert_mem_eq(t.buf + 4, "SN0000", 6);
	tst_fini(&t);
}
END_TEST

/* H23: no designator of a port. */
START_TEST(page_83_names_the_unit_and_no_port)
{
	struct tst t;

	vpd(&t, 0x83);
	/* our NAA 3h, since the unit has none, then its own T10 designator; nothing else */
	ck_assert_uint_eq(t.task.in_bytes, 4 + 12 + 16);
	ck_assert_mem_eq(t.buf + 4, "\x01\x03\x00\x08", 4);
	ck_assert_uint_eq(t.buf[8] >> 4, 3);
	ck_assert_mem_eq(t.buf + 16, "\x02\x01\x00\x0cLSI     XYZ1", 16);
	tst_fini(&t);
}
END_TEST

START_TEST(page_86_promises_simple_tasks_and_names_the_caches)
{
	static const struct {
		bool write_back, cache_protected, disk_cache;
		uint8_t wce, bits;
	} rows[] = {{false, false, false, 0, 0x00}, {true, false, false, 0, 0x01},
		{true, true, false, 0, 0x02}, {true, true, true, 0, 0x03}, {false, false, false, 0x04, 0x01}};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t want[64] = {0x00, 0x86, 0x00, 0x3c, 0x00, 0x01, rows[i].bits, [13] = 96};
		uint8_t cdb[6] = {0x12, 0x01, 0x86, 0, 255, 0};
		struct fake *f = fake_new(1, 4096, 512);
		struct fx y;
		struct tst t;

		f->hba.unit[0].write_back = rows[i].write_back;
		f->hba.unit[0].cache_protected = rows[i].cache_protected;
		f->hba.unit[0].disk_cache = rows[i].disk_cache;
		f->disk[0].mode_wce = rows[i].wce;
		fx_attach(&y, f);
		tst_do(&t, &y, cdb, 6, 255);
		assert_good(&t);
		ck_assert_uint_eq(t.task.in_bytes, 64);
		ck_assert_mem_eq(t.buf, want, 64);
		tst_fini(&t);
		fx_teardown(&y);
	}
}
END_TEST

START_TEST(page_87_says_that_mode_pages_are_shared)
{
	struct tst t;

	vpd(&t, 0x87);
	ck_assert_uint_eq(t.task.in_bytes, 8);
	ck_assert_mem_eq(t.buf, "\x00\x87\x00\x04\x3f\xff\x00\x00", 8);
	tst_fini(&t);
}
END_TEST

/* H26: the limits that initiators see. */
START_TEST(page_b0_claims_what_this_daemon_does)
{
	/* WSNZ, COMPARE AND WRITE, the unit's granularity and optimal length; WRITE SAME of 32 MiB */
	uint8_t want[64] = {0x00, 0xb0, 0x00, 0x3c, 0x01, 0x80, 0, 8, 0, 0, 0, 0, 0, 0, 0, 128, [41] = 0x01};
	struct tst t;

	vpd(&t, 0xb0);
	ck_assert_uint_eq(t.task.in_bytes, 64);
	ck_assert_mem_eq(t.buf, want, 64);
	tst_fini(&t);
}
END_TEST

START_TEST(pages_b1_and_b2_promise_no_zones_and_no_unmap)
{
	uint8_t b1[64] = {0x00, 0xb1, 0x00, 0x3c, 0x1c, 0x20, 0x00, 0x02};
	struct tst t;

	vpd(&t, 0xb1);
	ck_assert_uint_eq(t.task.in_bytes, 64);
	ck_assert_mem_eq(t.buf, b1, 64);
	tst_fini(&t);
	vpd(&t, 0xb2);
	ck_assert_uint_eq(t.task.in_bytes, 8);
	ck_assert_mem_eq(t.buf, "\x00\xb2\x00\x04\x00\x00\x00\x00", 8);
	tst_fini(&t);
}
END_TEST

START_TEST(vpd_pages_are_cut_at_the_allocation_length)
{
	uint8_t cdb[6] = {0x12, 0x01, 0xb0};
	struct tst t;

	put_be16(cdb + 3, allocs[_i]);
	tst_do(&t, &x, cdb, 6, 512);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, MIN(allocs[_i], 64));
	tst_fini(&t);
}
END_TEST

/* --- READ CAPACITY --- */

START_TEST(capacity_10_is_last_block_and_size)
{
	struct tst t;

	tst_do(&t, &x, "\x25\0\0\0\0\0\0\0\0\0", 10, 8);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 8);
	ck_assert_mem_eq(t.buf, "\x00\x00\x0f\xff\x00\x00\x02\x00", 8);
	tst_fini(&t);
	tst_do(&t, &x, "\x25\0\0\0\0\x01\0\0\0\0", 10, 8); /* an LBA without PMI */
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	tst_do(&t, &x, "\x25\0\0\0\0\x01\0\0\x01\0", 10, 8);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

START_TEST(capacity_10_of_a_big_disk_points_to_capacity_16)
{
	struct fx big;
	struct tst t;

	fx_setup(&big, (UINT64_C(1) << 32) + _i);
	tst_do(&t, &big, "\x25\0\0\0\0\0\0\0\0\0", 10, 8);
	ck_assert_mem_eq(t.buf, "\xff\xff\xff\xff\x00\x00\x02\x00", 8);
	tst_fini(&t);
	fx_teardown(&big);
}
END_TEST

START_TEST(capacity_16_has_no_protection_and_no_provisioning)
{
	static const uint8_t want[32] = {0, 0, 0, 0, 0, 0, 0x0f, 0xff, 0, 0, 2, 0, 0x00, 0x03, 0x00, 0x05};
	struct tst t;

	tst_do(&t, &x, "\x9e\x10\0\0\0\0\0\0\0\0\0\0\0\x20\0\0", 16, 32);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 32);
	ck_assert_mem_eq(t.buf, want, 32);
	tst_fini(&t);
	tst_do(&t, &x, "\x9e\x10\0\0\0\0\0\0\0\0\0\0\0\x0c\0\0", 16, 32);
	ck_assert_uint_eq(t.task.in_bytes, 12);
	tst_fini(&t);
	tst_do(&t, &x, "\x9e\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, 32);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 0);
	tst_fini(&t);
}
END_TEST

/* --- REQUEST SENSE and reports --- */

START_TEST(request_sense_without_a_condition)
{
	static const uint8_t fixed[18] = {0x70, 0, 0, 0, 0, 0, 0, 0x0a};
	struct tst t;

	tst_do(&t, &x, "\x03\0\0\0\xff\0", 6, 255);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 18);
	ck_assert_mem_eq(t.buf, fixed, 18);
	tst_fini(&t);
	tst_do(&t, &x, "\x03\x01\0\0\xff\0", 6, 255);
	ck_assert_uint_eq(t.task.in_bytes, 8);
	ck_assert_mem_eq(t.buf, "\x72\0\0\0\0\0\0\0", 8);
	tst_fini(&t);
	tst_do(&t, &x, "\x03\0\0\0\x04\0", 6, 255);
	ck_assert_uint_eq(t.task.in_bytes, 4);
	tst_fini(&t);
}
END_TEST

START_TEST(report_luns_knows_this_lun)
{
	struct tst t;

	tst_do(&t, &x, "\xa0\0\0\0\0\0\0\0\0\x20\0\0", 12, 32);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 16);
	ck_assert_mem_eq(t.buf, "\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	tst_fini(&t);
	tst_do(&t, &x, "\xa0\0\x01\0\0\0\0\0\0\x20\0\0", 12, 32);
	ck_assert_uint_eq(t.task.in_bytes, 8);
	tst_fini(&t);
	tst_do(&t, &x, "\xa0\0\0\0\0\0\0\0\0\x0f\0\0", 12, 32);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
	tst_do(&t, &x, "\xa0\0\x03\0\0\0\0\0\0\x20\0\0", 12, 32);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
}
END_TEST

START_TEST(task_management_functions_are_abort_task_and_lun_reset)
{
	struct tst t;

	tst_do(&t, &x, "\xa3\x0d\0\0\0\0\0\0\0\x20\0\0", 12, 32);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 4);
	ck_assert_mem_eq(t.buf, "\x88\0\0\0", 4);
	tst_fini(&t);
	tst_do(&t, &x, "\xa3\x0d\x80\0\0\0\0\0\0\x20\0\0", 12, 32);
	ck_assert_uint_eq(t.task.in_bytes, 16);
	ck_assert_mem_eq(t.buf, "\x88\0\0\x0c", 4);
	tst_fini(&t);
	tst_do(&t, &x, "\xa3\x0d\0\0\0\0\0\0\0\x03\0\0", 12, 32);
	assert_check(&t, 0x05, 0x24, 0x00);
	tst_fini(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi emulated");
	TCase *c = tcase_create("emulated");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, standard_inquiry_is_the_units_without_what_lio_does);
	tcase_add_loop_test(c, inquiry_is_cut_at_the_allocation_length, 0, ARRAY_SIZE(allocs));
	tcase_add_loop_test(c, inquiry_is_cut_at_the_initiators_room, 0, ARRAY_SIZE(allocs));
	tcase_add_test(c, inquiry_fields_that_make_no_sense_are_refused);
	tcase_add_test(c, page_00_lists_just_the_pages_that_are_answered);
	tcase_add_test(c, page_80_is_the_units_serial_number);
	tcase_add_test(c, page_83_names_the_unit_and_no_port);
	tcase_add_test(c, page_86_promises_simple_tasks_and_names_the_caches);
	tcase_add_test(c, page_87_says_that_mode_pages_are_shared);
	tcase_add_test(c, page_b0_claims_what_this_daemon_does);
	tcase_add_test(c, pages_b1_and_b2_promise_no_zones_and_no_unmap);
	tcase_add_loop_test(c, vpd_pages_are_cut_at_the_allocation_length, 0, ARRAY_SIZE(allocs));
	tcase_add_test(c, capacity_10_is_last_block_and_size);
	tcase_add_loop_test(c, capacity_10_of_a_big_disk_points_to_capacity_16, 0, 3);
	tcase_add_test(c, capacity_16_has_no_protection_and_no_provisioning);
	tcase_add_test(c, request_sense_without_a_condition);
	tcase_add_test(c, report_luns_knows_this_lun);
	tcase_add_test(c, task_management_functions_are_abort_task_and_lun_reset);
	suite_add_tcase(s, c);
	return run_suite(s);
}
