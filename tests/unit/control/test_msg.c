/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes of the hand-off protocol, worked out by hand from the description in handoff.h. */
#include <check.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "control/handoff_msg.h"

/* CHECK, 24 bytes of head and 256 of text: size, version, type, "HBAD", seq, status, reserved. */
static const uint8_t check_head[24] = {0x18, 0x01, 0, 0, 1, 0, 2, 0, 'H', 'B', 'A', 'D', 7, 0, 0, 0};

static size_t make_check(uint8_t *packet, const char *text, size_t text_len)
{
	memset(packet, 0, HANDOFF_MAX);
	memcpy(packet, check_head, sizeof(check_head));
	memcpy(packet + 24, text, text_len);
	return 280;
}

START_TEST(check_is_read_from_its_bytes)
{
	uint8_t packet[HANDOFF_MAX];
	size_t len = make_check(packet, "hba/g2/ld0", 10);
	union handoff_msg m;

	if (BYTE_ORDER != LITTLE_ENDIAN)
		return;
	ck_assert_int_eq(handoff_parse(packet, len, false, &m, NULL), 0);
	ck_assert_uint_eq(m.head.type, HANDOFF_CHECK);
	ck_assert_uint_eq(m.head.seq, 7);
	ck_assert_str_eq(m.check.cfgstring, "hba/g2/ld0");
}
END_TEST

START_TEST(open_is_read_from_its_bytes)
{
	uint8_t packet[392] = {0x88, 0x01, 0, 0, 1, 0, 3, 0, 'H', 'B', 'A', 'D'};
	union handoff_msg m;

	if (BYTE_ORDER != LITTLE_ENDIAN)
		return;
	packet[24] = 0xaa; /* nonce */
	memcpy(packet + 40, "hba/g2/ld1", 10);
	memcpy(packet + 296, "disk1", 5);
	packet[363] = 0x40; /* map_len: 1 GiB */
	packet[369] = 0x10; /* map_offset: 4096 */
	packet[376] = 9;    /* blocks */
	packet[385] = 2;    /* block_size: 512 */
	packet[388] = 1;    /* known */
	ck_assert_int_eq(handoff_parse(packet, sizeof(packet), false, &m, NULL), 0);
	ck_assert_uint_eq(m.open.nonce[0], 0xaa);
	ck_assert_str_eq(m.open.cfgstring, "hba/g2/ld1");
	ck_assert_str_eq(m.open.device, "disk1");
	ck_assert_uint_eq(m.open.map_len, 1u << 30);
	ck_assert_uint_eq(m.open.map_offset, 4096);
	ck_assert_uint_eq(m.open.blocks, 9);
	ck_assert_uint_eq(m.open.block_size, 512);
	ck_assert_uint_eq(m.open.known, 1);
}
END_TEST

static void check_refusal(void *packet, size_t len, bool truncated, int want, const char *words)
{
	union handoff_msg m;
	struct err e = {""};

	ck_assert_int_eq(handoff_parse(packet, len, truncated, &m, &e), want);
	ck_assert_msg(strstr(e.text, words) != NULL, "\"%s\" is not in: %s", words, e.text);
}

START_TEST(strangers_are_not_answered)
{
	uint8_t packet[HANDOFF_MAX];
	size_t len = make_check(packet, "x", 1);

	for (size_t n = 0; n < 24; n++)
		check_refusal(packet, n, false, -EBADMSG, "no hand-off message");
	packet[8] ^= 1;
	check_refusal(packet, len, false, -EBADMSG, "mark");
}
END_TEST

START_TEST(wrong_sizes_and_versions_are_answered)
{
	uint8_t packet[HANDOFF_MAX];
	size_t len = make_check(packet, "x", 1);

	check_refusal(packet, len - 1, false, -EPROTO, "280 bytes and came with 279");
	check_refusal(packet, len + 1, false, -EPROTO, "280 bytes and came with 281");
	check_refusal(packet, len, true, -EPROTO, "more than");
	packet[4] = 2;
	check_refusal(packet, len, false, -EPROTO, "version 2");
	packet[4] = 0;
	check_refusal(packet, len, false, -EPROTO, "version 0");
}
END_TEST

static const uint8_t bad_types[] = {0, 10, 0x40, 0x80, 0x81, 0xff};

START_TEST(unknown_requests_are_refused)
{
	uint8_t packet[HANDOFF_MAX];
	size_t len = make_check(packet, "x", 1);

	packet[6] = bad_types[_i];
	check_refusal(packet, len, false, -EPROTO, "knows no hand-off request");
	packet[6] = HANDOFF_CHECK;
	packet[7] = 1;
	check_refusal(packet, len, false, -EPROTO, "knows no hand-off request");
}
END_TEST

START_TEST(missing_tail_reads_as_zero_and_longer_tail_is_ignored)
{
	uint8_t packet[HANDOFF_MAX];
	union handoff_msg m;

	make_check(packet, "hba/g2/ld0", 10);
	packet[0] = 24 + 6;
	packet[1] = 0;
	ck_assert_int_eq(handoff_parse(packet, 30, false, &m, NULL), 0);
	ck_assert_str_eq(m.check.cfgstring, "hba/g2");
	packet[0] = 24;
	ck_assert_int_eq(handoff_parse(packet, 24, false, &m, NULL), 0);
	ck_assert_str_eq(m.check.cfgstring, "");
	make_check(packet, "hba/g2/ld0", 10);
	memset(packet + 280, 0xff, HANDOFF_MAX - 280);
	packet[0] = 0;
	packet[1] = HANDOFF_MAX >> 8;
	ck_assert_int_eq(handoff_parse(packet, HANDOFF_MAX, false, &m, NULL), 0);
	ck_assert_str_eq(m.check.cfgstring, "hba/g2/ld0");
}
END_TEST

static const struct {
	const char *text, *words;
} bad_texts[] = {
	{"a\nb", "control character"},
	{"a\x1b[31m", "control character"},
	{"a\x7f", "control character"},
	{"a\xff", "not UTF-8"},
	{"\xc3", "not UTF-8"},
};

START_TEST(strings_must_be_printable_text)
{
	uint8_t packet[HANDOFF_MAX];
	size_t len = make_check(packet, bad_texts[_i].text, strlen(bad_texts[_i].text));

	check_refusal(packet, len, false, -EINVAL, bad_texts[_i].words);
}
END_TEST

START_TEST(string_without_end_is_refused)
{
	uint8_t packet[HANDOFF_MAX];
	char text[HANDOFF_CFG_LEN];
	size_t len;

	memset(text, 'a', sizeof(text));
	len = make_check(packet, text, sizeof(text));
	check_refusal(packet, len, false, -EINVAL, "without an end");
	len = make_check(packet, text, sizeof(text) - 1);
	ck_assert_int_eq(handoff_parse(packet, len, false, &(union handoff_msg){}, NULL), 0);
}
END_TEST

START_TEST(reply_has_every_byte_defined)
{
	struct handoff_head request = {.type = HANDOFF_OPEN, .seq = 9};
	struct handoff_reply a, b;
	struct err e;

	memset(&a, 0x11, sizeof(a));
	memset(&b, 0x22, sizeof(b));
	memset(e.text, 'x', sizeof(e.text));
	e.text[sizeof(e.text) - 1] = 0;
	handoff_reply(&request, -EINVAL, &e, &a);
	handoff_reply(&request, -EINVAL, &e, &b);
	ck_assert(!memcmp(&a, &b, sizeof(a)));
	ck_assert_uint_eq(a.head.type, 0x83);
	ck_assert_uint_eq(a.head.seq, 9);
	ck_assert_uint_eq(strlen(a.reason), HANDOFF_REASON_LEN - 1);
	handoff_reply(&request, 0, &e, &a);
	ck_assert_str_eq(a.reason, "");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("handoff messages");
	TCase *t = tcase_create("messages");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, check_is_read_from_its_bytes);
	tcase_add_test(t, open_is_read_from_its_bytes);
	tcase_add_test(t, strangers_are_not_answered);
	tcase_add_test(t, wrong_sizes_and_versions_are_answered);
	tcase_add_loop_test(t, unknown_requests_are_refused, 0, ARRAY_SIZE(bad_types));
	tcase_add_test(t, missing_tail_reads_as_zero_and_longer_tail_is_ignored);
	tcase_add_loop_test(t, strings_must_be_printable_text, 0, ARRAY_SIZE(bad_texts));
	tcase_add_test(t, string_without_end_is_refused);
	tcase_add_test(t, reply_has_every_byte_defined);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
