/* SPDX-License-Identifier: GPL-2.0-or-later */
/* INQUIRY, VPD, READ CAPACITY, MODE SENSE, REQUEST SENSE and reports: bytes by hand from SPC-4 and SBC-3. */
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

START_TEST(standard_inquiry_is_the_units_without_what_lio_does)
{
	/* TPGS, PROTECT, SCCS, ENCSERV, MULTIP and NORMACA of the unit are gone, HISUP and its version stay. */
	static const uint8_t head[8] = {0x00, 0x00, 0x06, 0x12, 91, 0x00, 0x00, 0x02};
	struct tst t;

	tst_do(&t, &x, "\x12\0\0\0\xff\0", 6, 255);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 96);
	ck_assert_mem_eq(t.buf, head, 8);
	ck_assert_mem_eq(t.buf + 8, "LSI     MR9260-8i       2.13", 28);
	/* SPC-4 and SBC-3 moved together, SAS-2 left out */
	ck_assert_mem_eq(t.buf + 58, "\x04\x62\x04\xc5\x00\x00", 6);
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
		{"\x12\x01\x86\x00\xff\x00", "\xcf\x00\x02"}, /* a page that is not there */
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
	ck_assert_mem_eq(t.buf, "\x00\x00\x00\x06\x00\x80\x83\xb0\xb1\xb2", 10);
	for (unsigned code = 0; code < 256; code++) {
		uint8_t cdb[6] = {0x12, 0x01, (uint8_t)code, 0, 255, 0};

		tst_do(&p, &x, cdb, 6, 255);
		if (p.task.status == SCSI_GOOD)
			ck_assert_uint_eq(t.buf[4 + n++], code);
		tst_fini(&p);
	}
	ck_assert_uint_eq(n, 6);
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

START_TEST(page_b0_claims_what_this_daemon_does)
{
	uint8_t want[64] = {0x00, 0xb0, 0x00, 0x3c, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 128};
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

/* --- MODE SENSE --- */

#define DESCRIPTOR 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x02, 0x00
#define ZEROS4	   0, 0, 0, 0
#define CACHING(b) 0x08, 0x12, b, 0, ZEROS4, ZEROS4, ZEROS4, ZEROS4
#define CONTROL	   0x0a, 0x0a, 0x02, 0x10, 0, 0x40, ZEROS4, 0, 0
#define EXCEPTIONS 0x1c, 0x0a, 0x08, 0, 0, 0, ZEROS4, 0, 0

static void mode(struct tst *t, const char *cdb, uint8_t cdb_len, const uint8_t *want, unsigned len)
{
	tst_do(t, &x, cdb, cdb_len, 255);
	assert_good(t);
	ck_assert_uint_eq(t->task.in_bytes, len);
	ck_assert_mem_eq(t->buf, want, len);
	tst_fini(t);
}

START_TEST(mode_sense_6_gives_each_page_and_all)
{
	static const uint8_t caching[] = {31, 0, 0x10, 8, DESCRIPTOR, CACHING(0)};
	static const uint8_t control[] = {15, 0, 0x10, 0, CONTROL};
	static const uint8_t all[] = {55, 0, 0x10, 8, DESCRIPTOR, CACHING(0), CONTROL, EXCEPTIONS};
	struct tst t;

	mode(&t, "\x1a\x00\x08\x00\xff\x00", 6, caching, sizeof(caching));
	mode(&t, "\x1a\x08\x0a\x00\xff\x00", 6, control, sizeof(control));
	mode(&t, "\x1a\x00\x3f\x00\xff\x00", 6, all, sizeof(all));
	mode(&t, "\x1a\x00\x3f\xff\xff\x00", 6, all, sizeof(all));
	mode(&t, "\x1a\x00\xbf\x00\xff\x00", 6, all, sizeof(all)); /* default values */
	mode(&t, "\x1a\x00\x3f\x00\x04\x00", 6, all, 4);
	mode(&t, "\x1a\x00\x3f\x00\x00\x00", 6, all, 0);
}
END_TEST

START_TEST(mode_sense_10_has_short_and_long_descriptors)
{
	static const uint8_t brief[] = {0, 26, 0, 0x10, 0, 0, 0, 8, DESCRIPTOR, EXCEPTIONS};
	static const uint8_t wide[] = {
		0, 34, 0, 0x10, 1, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 2, 0, EXCEPTIONS};
	static const uint8_t none[] = {0, 18, 0, 0x10, 0, 0, 0, 0, EXCEPTIONS};
	struct tst t;

	mode(&t, "\x5a\x00\x1c\x00\x00\x00\x00\x01\x00\x00", 10, brief, sizeof(brief));
	mode(&t, "\x5a\x10\x1c\x00\x00\x00\x00\x01\x00\x00", 10, wide, sizeof(wide));
	mode(&t, "\x5a\x18\x1c\x00\x00\x00\x00\x01\x00\x00", 10, none, sizeof(none));
	mode(&t, "\x5a\x18\x1c\x00\x00\x00\x00\x00\x05\x00", 10, none, 5);
}
END_TEST

START_TEST(nothing_is_changeable_and_nothing_is_saved)
{
	static const uint8_t changeable[] = {
		23, 0, 0x10, 0, 0x08, 0x12, 0, 0, ZEROS4, ZEROS4, ZEROS4, ZEROS4};
	struct tst t;

	x.fake->hba.unit[0].write_back = true;
	mode(&t, "\x1a\x08\x48\x00\xff\x00", 6, changeable, sizeof(changeable));
	tst_do(&t, &x, "\x1a\x08\xc8\x00\xff\x00", 6, 255);
	assert_check(&t, 0x05, 0x39, 0x00);
	tst_fini(&t);
}
END_TEST

START_TEST(unknown_pages_and_subpages_are_refused)
{
	static const char *const cdbs[] = {"\x1a\x00\x02\x00\xff\x00", "\x1a\x00\x00\x00\xff\x00",
		"\x1a\x00\x0a\x01\xff\x00", "\x1a\x00\x3f\x01\xff\x00"};
	struct tst t;

	for (unsigned i = 0; i < ARRAY_SIZE(cdbs); i++) {
		tst_do(&t, &x, cdbs[i], 6, 255);
		assert_check(&t, 0x05, 0x24, 0x00);
		tst_fini(&t);
	}
}
END_TEST

static uint8_t caching_bits(struct fx *fx)
{
	struct tst t;
	uint8_t bits;

	tst_do(&t, fx, "\x1a\x08\x08\x00\xff\x00", 6, 255);
	assert_good(&t);
	bits = t.buf[6];
	tst_fini(&t);
	return bits;
}

START_TEST(wce_is_set_when_anything_on_the_way_caches)
{
	struct hba_unit *u = &x.fake->hba.unit[0];
	struct fake *f = fake_new(1, 4096, 512);
	struct fx cached;

	ck_assert_uint_eq(caching_bits(&x), 0);
	u->write_back = true;
	ck_assert_uint_eq(caching_bits(&x), 0x04);
	u->cache_protected = true;
	ck_assert_uint_eq(caching_bits(&x), 0x04);
	u->write_back = false;
	ck_assert_uint_eq(caching_bits(&x), 0x00);
	u->disk_cache = true;
	ck_assert_uint_eq(caching_bits(&x), 0x04);
	f->disk[0].mode_wce = 0x05;
	fx_attach(&cached, f);
	ck_assert_uint_eq(caching_bits(&cached), 0x05); /* with RCD */
	fx_teardown(&cached);
}
END_TEST

START_TEST(ro_sets_wp_and_refuses_what_writes)
{
	static const struct {
		const char *cdb;
		uint8_t len;
	} writes[] = {{"\x0a\0\0\0\x01\0", 6}, {"\x2a\0\0\0\0\0\0\0\x01\0", 10},
		{"\xaa\0\0\0\0\0\0\0\0\x01\0\0", 12}, {"\x8a\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0", 16},
		{"\x1b\0\0\0\0\0", 6}};
	struct fx ro = x;
	struct tst t;

	ro.lun = fx_lun(&x, "ld0;ro=1");
	tst_do(&t, &ro, "\x1a\x08\x0a\x00\xff\x00", 6, 255);
	ck_assert_uint_eq(t.buf[2], 0x90);
	tst_fini(&t);
	for (unsigned i = 0; i < ARRAY_SIZE(writes); i++) {
		tst_do(&t, &ro, writes[i].cdb, writes[i].len, 512);
		assert_check(&t, 0x07, 0x27, 0x00);
		tst_fini(&t);
	}
	ck_assert_uint_eq(x.fake->n_log, 0);
	tst_do(&t, &ro, "\x28\0\0\0\0\0\0\0\x01\0", 10, 512);
	assert_good(&t);
	tst_fini(&t);
	x.fake->n_log = 0;
	scsi_lun_destroy(ro.lun);
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
	tcase_add_test(c, page_b0_claims_what_this_daemon_does);
	tcase_add_test(c, pages_b1_and_b2_promise_no_zones_and_no_unmap);
	tcase_add_loop_test(c, vpd_pages_are_cut_at_the_allocation_length, 0, ARRAY_SIZE(allocs));
	tcase_add_test(c, capacity_10_is_last_block_and_size);
	tcase_add_loop_test(c, capacity_10_of_a_big_disk_points_to_capacity_16, 0, 3);
	tcase_add_test(c, capacity_16_has_no_protection_and_no_provisioning);
	tcase_add_test(c, mode_sense_6_gives_each_page_and_all);
	tcase_add_test(c, mode_sense_10_has_short_and_long_descriptors);
	tcase_add_test(c, nothing_is_changeable_and_nothing_is_saved);
	tcase_add_test(c, unknown_pages_and_subpages_are_refused);
	tcase_add_test(c, wce_is_set_when_anything_on_the_way_caches);
	tcase_add_test(c, ro_sets_wp_and_refuses_what_writes);
	tcase_add_test(c, request_sense_without_a_condition);
	tcase_add_test(c, report_luns_knows_this_lun);
	tcase_add_test(c, task_management_functions_are_abort_task_and_lun_reset);
	suite_add_tcase(s, c);
	return run_suite(s);
}
