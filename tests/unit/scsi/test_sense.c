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

	ck_assert_uint_eq(sense_descriptor(buf, SENSE_BECOMING_READY), 8);
	ck_assert_mem_eq(buf, want, sizeof(want));
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
	tcase_add_test(c, both_formats_are_read_and_rubbish_is_not);
	suite_add_tcase(s, c);
	return run_suite(s);
}
