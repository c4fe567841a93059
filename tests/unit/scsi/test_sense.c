/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sense data against bytes worked out from SPC-4. */
#include <string.h>
#include "fixture.h"
#include "scsi/sense.h"

START_TEST(fixed_format_holds_the_triple_and_nothing_else)
{
	static const uint8_t want[18] = {0x70, 0, 0x05, 0, 0, 0, 0, 0x0a, 0, 0, 0, 0, 0x21, 0x00};
	uint8_t buf[SCSI_SENSE_SIZE];

	memset(buf, 0xff, sizeof(buf));
	ck_assert_uint_eq(sense_fixed(buf, SENSE_LBA_OUT_OF_RANGE, NULL), 18);
	ck_assert_mem_eq(buf, want, sizeof(want));
	for (unsigned i = 18; i < sizeof(buf); i++)
		ck_assert_uint_eq(buf[i], 0);
}
END_TEST

START_TEST(a_field_pointer_names_byte_and_bit_of_the_cdb)
{
	/* SKSV, C/D, BPV, bit 7; byte 1 */
	static const uint8_t with_bit[3] = {0xcf, 0x00, 0x01};
	static const uint8_t without[3] = {0xc0, 0x00, 0x0e};
	struct sense_detail d = {.has_field = true, .field = 1, .bit = 7};
	uint8_t buf[SCSI_SENSE_SIZE];

	sense_fixed(buf, SENSE_INVALID_FIELD, &d);
	ck_assert_mem_eq(buf + 15, with_bit, 3);
	d = (struct sense_detail){.has_field = true, .field = 14, .bit = SENSE_NO_BIT};
	sense_fixed(buf, SENSE_INVALID_FIELD, &d);
	ck_assert_mem_eq(buf + 15, without, 3);
}
END_TEST

START_TEST(an_lba_of_32_bits_is_information_and_a_larger_one_is_left_out)
{
	struct sense_detail d = {.has_info = true, .info = UINT32_MAX};
	uint8_t buf[SCSI_SENSE_SIZE];

	sense_fixed(buf, SENSE_MISCOMPARE, &d);
	ck_assert_uint_eq(buf[0], 0xf0);
	ck_assert_mem_eq(buf + 3, "\xff\xff\xff\xff", 4);
	d.info = UINT64_C(1) << 32;
	sense_fixed(buf, SENSE_MISCOMPARE, &d);
	ck_assert_uint_eq(buf[0], 0x70);
	ck_assert_mem_eq(buf + 3, "\0\0\0\0", 4);
}
END_TEST

START_TEST(descriptor_format_is_eight_bytes_without_descriptors)
{
	static const uint8_t want[8] = {0x72, 0x02, 0x04, 0x01};
	uint8_t buf[SCSI_SENSE_SIZE];

	ck_assert_uint_eq(sense_descriptor(buf, SENSE_BECOMING_READY, NULL), 8);
	ck_assert_mem_eq(buf, want, sizeof(want));
}
END_TEST

START_TEST(a_field_pointer_into_a_list_and_progress_are_told_apart)
{
	struct sense_detail list = {.has_field = true, .in_list = true, .field = 0x102, .bit = 3};
	struct sense_detail progress = {.has_progress = true, .progress = 0x8000};
	uint8_t buf[SCSI_SENSE_SIZE];

	sense_fixed(buf, SENSE_INVALID_LIST, &list);
	ck_assert_mem_eq(buf + 12, "\x26\x00\x00\x8b\x01\x02", 6);
	sense_fixed(buf, SENSE_FORMAT_IN_PROGRESS, &progress);
	ck_assert_mem_eq(buf + 12, "\x04\x04\x00\x80\x80\x00", 6);
}
END_TEST

START_TEST(descriptors_hold_long_addresses_pointers_and_progress)
{
	static const uint8_t want[28] = {0x72, 0x0e, 0x1d, 0x00, 0, 0, 0, 20, 0x00, 0x0a, 0x80, 0, 0x01, 0x23,
		0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x02, 0x06, 0, 0, 0xcf, 0x00, 0x02, 0};
	static const uint8_t busy[16] = {
		0x72, 0x02, 0x04, 0x1b, 0, 0, 0, 8, 0x02, 0x06, 0, 0, 0x80, 0x12, 0x34, 0};
	struct sense_detail d = {.has_info = true,
		.info = UINT64_C(0x0123456789abcdef),
		.has_field = true,
		.field = 2,
		.bit = 7};
	struct sense_detail progress = {.has_progress = true, .progress = 0x1234};
	uint8_t buf[SCSI_SENSE_SIZE];

	memset(buf, 0xff, sizeof(buf));
	ck_assert_uint_eq(sense_descriptor(buf, SENSE_MISCOMPARE, &d), sizeof(want));
	ck_assert_mem_eq(buf, want, sizeof(want));
	for (unsigned i = sizeof(want); i < sizeof(buf); i++)
		ck_assert_uint_eq(buf[i], 0);
	ck_assert_uint_eq(sense_descriptor(buf, SENSE_SANITIZE_IN_PROGRESS, &progress), sizeof(busy));
	ck_assert_mem_eq(buf, busy, sizeof(busy));
}
END_TEST

/* SPC-4 tables 27 and 48: nothing that fixed format tells gets lost. */
START_TEST(a_units_sense_is_converted_whole)
{
	static const uint8_t fixed[SCSI_SENSE_SIZE] = {0xf1, 0, 0x03, 0x00, 0xab, 0xcd, 0xef, 10, 0x11, 0x22,
		0x33, 0x44, 0x11, 0x01, 0x5a, 0x80, 0x00, 0x07, 0x77};
	static const uint8_t want[] = {0x73, 0x03, 0x11, 0x01, 0, 0, 0, 36,  /* deferred */
		0x00, 0x0a, 0x80, 0, 0, 0, 0, 0, 0x00, 0xab, 0xcd, 0xef,     /* information */
		0x01, 0x0a, 0, 0, 0, 0, 0, 0, 0x11, 0x22, 0x33, 0x44,	     /* command specific */
		0x02, 0x06, 0, 0, 0x80, 0x00, 0x07, 0, 0x03, 0x02, 0, 0x5a}; /* retries, unit */
	static const uint8_t desc[8] = {0x72, 0x01, 0x00, 0x1d};
	uint8_t buf[SCSI_SENSE_SIZE];

	memcpy(buf, fixed, sizeof(buf));
	ck_assert_uint_eq(sense_to_descriptor(buf, 18), sizeof(want));
	ck_assert_mem_eq(buf, want, sizeof(want));
	for (unsigned i = sizeof(want); i < sizeof(buf); i++)
		ck_assert_uint_eq(buf[i], 0);
	memcpy(buf, fixed, sizeof(buf));
	ck_assert_uint_eq(sense_to_descriptor(buf, 14), 8 + 12 + 12); /* cut before the rest */
	memcpy(buf, desc, sizeof(desc));
	ck_assert_uint_eq(sense_to_descriptor(buf, 8), 8);
	ck_assert_mem_eq(buf, desc, sizeof(desc));
}
END_TEST

START_TEST(a_units_descriptors_become_fixed_format_when_that_has_room)
{
	static const uint8_t desc[] = {0x73, 0x03, 0x11, 0x01, 0, 0, 0, 40, /* deferred */
		0x00, 0x0a, 0x80, 0, 0, 0, 0, 0, 0xf0, 0xab, 0xcd, 0xef,    /* information */
		0x01, 0x0a, 0, 0, 0, 0, 0, 0, 0x11, 0x22, 0x33, 0x44,	    /* command specific */
		0x02, 0x06, 0, 0, 0x80, 0x00, 0x07, 0, 0x03, 0x02, 0, 0x5a, /* retries, unit */
		0x05, 0x02, 0, 0x20};					    /* ILI */
	static const uint8_t want[SCSI_SENSE_SIZE] = {0xf1, 0, 0x23, 0xf0, 0xab, 0xcd, 0xef, 10, 0x11, 0x22,
		0x33, 0x44, 0x11, 0x01, 0x5a, 0x80, 0x00, 0x07};
	uint8_t buf[SCSI_SENSE_SIZE] = {0};

	memcpy(buf, desc, sizeof(desc));
	ck_assert_uint_eq(sense_to_fixed(buf, sizeof(desc)), 18);
	ck_assert_mem_eq(buf, want, sizeof(want));
	memset(buf, 0, sizeof(buf));
	memcpy(buf, "\x72\x06\x29\x00\0\0\0\0", 8);
	ck_assert_uint_eq(sense_to_fixed(buf, 8), 18);
	ck_assert_mem_eq(buf, "\x70\0\x06\0\0\0\0\x0a\0\0\0\0\x29\0\0\0\0\0", 18);
	ck_assert_uint_eq(sense_to_fixed(buf, 18), 18); /* as it is */
}
END_TEST

START_TEST(what_fixed_format_has_no_room_for_stays_in_descriptors)
{
	static const struct {
		uint8_t len, sense[28];
	} rows[] = {
		/* an address of 33 bits */
		{20, {0x72, 3, 0x11, 0, 0, 0, 0, 12, 0, 0x0a, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 7}},
		{20, {0x72, 3, 0x11, 0, 0, 0, 0, 12, 1, 0x0a, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 7}},
		/* ATA registers, a vendor's descriptor */
		{22, {0x72, 1, 0, 0x1d, 0, 0, 0, 14, 9, 12}},
		{10, {0x72, 1, 0, 0, 0, 0, 0, 2, 0x80, 0}},
		/* cut, too short, beyond the end, half of a head */
		{7, {0x72, 3, 0x11, 0}},
		{20, {0x72, 3, 0x11, 0, 0, 0, 0, 13, 0, 0x0a, 0x80}},
		{19, {0x72, 3, 0x11, 0, 0, 0, 0, 11, 0, 0x09, 0x80}},
		{20, {0x72, 3, 0x11, 0, 0, 0, 0, 12, 0, 0x0b, 0x80}},
		{13, {0x72, 3, 0x11, 0, 0, 0, 0, 5, 3, 2, 0, 1, 2}},
		{10, {0x72, 3, 0x11, 0, 0, 0, 0, 2, 2, 0}},
		{10, {0x72, 3, 0x11, 0, 0, 0, 0, 2, 5, 0}},
	};
	uint8_t buf[SCSI_SENSE_SIZE];

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		memset(buf, 0, sizeof(buf));
		memcpy(buf, rows[i].sense, sizeof(rows[i].sense));
		ck_assert_msg(sense_to_fixed(buf, rows[i].len) == rows[i].len, "row %u", i);
		ck_assert_mem_eq(buf, rows[i].sense, sizeof(rows[i].sense));
	}
	/* All that the buffer holds, and more claimed. */
	memset(buf, 0, sizeof(buf));
	memcpy(buf, "\x72\x03\x11\0\0\0\0\xff", 8);
	ck_assert_uint_eq(sense_to_fixed(buf, sizeof(buf)), sizeof(buf));
}
END_TEST

START_TEST(both_formats_are_read_and_rubbish_is_not)
{
	static const uint8_t fixed[18] = {0xf1, 0, 0x26, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0x03};
	static const uint8_t desc[4] = {0x73, 0x05, 0x24, 0x02};
	static const uint8_t zeros[18];
	enum scsi_sense s;

	ck_assert(sense_parse(fixed, sizeof(fixed), &s));
	ck_assert_uint_eq(s, 0x062903);
	ck_assert(sense_parse(fixed, 8, &s)); /* cut short: key alone */
	ck_assert_uint_eq(s, 0x060000);
	ck_assert(sense_parse(desc, sizeof(desc), &s));
	ck_assert_uint_eq(s, 0x052402);
	ck_assert(!sense_parse(desc, 3, &s));
	ck_assert(!sense_parse(zeros, sizeof(zeros), &s));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi sense");
	TCase *c = tcase_create("sense");

	tcase_add_test(c, fixed_format_holds_the_triple_and_nothing_else);
	tcase_add_test(c, a_field_pointer_names_byte_and_bit_of_the_cdb);
	tcase_add_test(c, an_lba_of_32_bits_is_information_and_a_larger_one_is_left_out);
	tcase_add_test(c, descriptor_format_is_eight_bytes_without_descriptors);
	tcase_add_test(c, a_field_pointer_into_a_list_and_progress_are_told_apart);
	tcase_add_test(c, descriptors_hold_long_addresses_pointers_and_progress);
	tcase_add_test(c, a_units_sense_is_converted_whole);
	tcase_add_test(c, a_units_descriptors_become_fixed_format_when_that_has_room);
	tcase_add_test(c, what_fixed_format_has_no_room_for_stays_in_descriptors);
	tcase_add_test(c, both_formats_are_read_and_rubbish_is_not);
	suite_add_tcase(s, c);
	return run_suite(s);
}
