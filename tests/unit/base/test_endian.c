/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Byte order at any alignment, and the small arithmetic of compiler.h. */
#include "main.h"

#include "base/compiler.h"
#include "base/endian.h"

START_TEST(big_endian_fields)
{
	uint8_t b[12];

	for (unsigned off = 0; off < 4; off++) {
		memset(b, 0xee, sizeof(b));
		put_be64(b + off, UINT64_C(0x0123456789abcdef));
		ck_assert_uint_eq(b[off], 0x01);
		ck_assert_uint_eq(b[off + 7], 0xef);
		ck_assert_uint_eq(get_be64(b + off), UINT64_C(0x0123456789abcdef));
		ck_assert_uint_eq(get_be32(b + off + 4), 0x89abcdef);
		ck_assert_uint_eq(get_be24(b + off + 1), 0x234567);
		ck_assert_uint_eq(get_be16(b + off + 6), 0xcdef);
	}
	memset(b, 0xee, sizeof(b));
	put_be24(b + 1, 0xff123456);
	ck_assert_mem_eq(b, "\xee\x12\x34\x56\xee", 5);
	put_be16(b, 0xfff1);
	ck_assert_mem_eq(b, "\xff\xf1\x34", 3);
	put_be32(b, 0xfedcba98);
	ck_assert_mem_eq(b, "\xfe\xdc\xba\x98", 4);
}
END_TEST

START_TEST(little_endian_fields)
{
	le16_t a = cpu_to_le16(0x1234);
	le32_t b = cpu_to_le32(0x12345678);
	le64_t c = cpu_to_le64(UINT64_C(0x123456789abcdef0));

	ck_assert_mem_eq(&a, "\x34\x12", 2);
	ck_assert_mem_eq(&b, "\x78\x56\x34\x12", 4);
	ck_assert_mem_eq(&c, "\xf0\xde\xbc\x9a\x78\x56\x34\x12", 8);
	ck_assert_uint_eq(le16_to_cpu(a), 0x1234);
	ck_assert_uint_eq(le32_to_cpu(b), 0x12345678);
	ck_assert_uint_eq(le64_to_cpu(c), UINT64_C(0x123456789abcdef0));
}
END_TEST

START_TEST(rounding)
{
	ck_assert_uint_eq(DIV_ROUND_UP(0u, 4u), 0);
	ck_assert_uint_eq(DIV_ROUND_UP(1u, 4u), 1);
	ck_assert_uint_eq(DIV_ROUND_UP(4u, 4u), 1);
	ck_assert_uint_eq(DIV_ROUND_UP(5u, 4u), 2);
	ck_assert_uint_eq(ALIGN_UP(0u, 8u), 0);
	ck_assert_uint_eq(ALIGN_UP(1u, 8u), 8);
	ck_assert_uint_eq(ALIGN_UP(8u, 8u), 8);
	/* the mask is as wide as the value, whatever the type of the alignment */
	ck_assert_uint_eq(ALIGN_UP(UINT64_C(0x100000001), 4096), UINT64_C(0x100001000));
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("endian");

	tcase_add_test(c, big_endian_fields);
	tcase_add_test(c, little_endian_fields);
	tcase_add_test(c, rounding);
	return run_case(c, "endian");
}
