/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON that comes with VERSION: what servers send, and what hostile ones might. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/pci/vuc.h"

/* On the heap and no byte longer, so that the sanitizer sees a read behind it. */
static int parse(const char *text, size_t len, struct vuc_caps *caps)
{
	char *copy = calloc(1, len ? len : 1);
	int r;

	memcpy(copy, text, len);
	r = vuc_caps_parse(copy, len, caps);
	free(copy);
	return r;
}

static const struct {
	const char *text;
	struct vuc_caps caps; /* fds, xfer, maps, pgsizes */
} good[] = {
	{"{}", {1, 1048576, 65535, 4096}},
	{"{\"capabilities\":{}}", {1, 1048576, 65535, 4096}},
	{"{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":65536}}", {8, 65536, 65535, 4096}},
	/* as json-c prints it, with migration */
	{"{ \"capabilities\": { \"max_msg_fds\": 8, \"max_data_xfer_size\": 1048576, \"migration\": { "
	 "\"pgsize\": 4096 } } }",
		{8, 1048576, 65535, 4096}},
	{"{\"capabilities\":{\"max_dma_maps\":10,\"pgsizes\":2101248,\"write_multiple\":true}}",
		{1, 1048576, 10, 2101248}},
	{"\t{\r\n\"capabilities\" : "
	 "{\"twin_socket\":{\"supported\":false,\"list\":[1,-2.5e+3,[],null,\"\\\"}\"]},"
	 "\"max_msg_fds\":0}} \n",
		{0, 1048576, 65535, 4096}},
	{"{\"other\":[{\"capabilities\":{\"max_msg_fds\":99}}],\"capabilities\":{\"pgsizes\":"
	 "18446744073709551615}}",
		{1, 1048576, 65535, UINT64_MAX}},
};

START_TEST(capabilities_are_read_and_the_rest_is_skipped)
{
	struct vuc_caps got, want = good[_i].caps;

	ck_assert_int_eq(parse(good[_i].text, strlen(good[_i].text) + 1, &got), 0);
	ck_assert_uint_eq(got.max_fds, want.max_fds);
	ck_assert_uint_eq(got.max_xfer, want.max_xfer);
	ck_assert_uint_eq(got.max_maps, want.max_maps);
	ck_assert_uint_eq(got.pgsizes, want.pgsizes);
}
END_TEST

START_TEST(no_text_means_the_defaults)
{
	struct vuc_caps got;

	ck_assert_int_eq(parse("", 0, &got), 0);
	ck_assert_uint_eq(got.max_fds, 1);
	ck_assert_uint_eq(got.max_xfer, 1048576);
	ck_assert_uint_eq(got.max_maps, 65535);
	ck_assert_uint_eq(got.pgsizes, 4096);
}
END_TEST

static const char *const bad[] = {
	"",
	" ",
	"[]",
	"8",
	"null",
	"{",
	"{\"",
	"{\"capabilities",
	"{\"capabilities\\",
	"{\"capabilities\"",
	"{\"capabilities\":",
	"{\"capabilities\":{",
	"{\"capabilities\":{}",
	"{\"capabilities\":[]}",
	"{\"capabilities\":7}",
	"{\"capabilities\":null}",
	"{\"capabilities\":{}} x",
	"{\"capabilities\":{}}{}",
	"{\"capabilities\":{\"max_msg_fds\":}}",
	"{\"capabilities\":{\"max_msg_fds\":-1}}",
	"{\"capabilities\":{\"max_msg_fds\":1.5}}",
	"{\"capabilities\":{\"max_msg_fds\":1e9}}",
	"{\"capabilities\":{\"max_msg_fds\":\"8\"}}",
	"{\"capabilities\":{\"max_msg_fds\":true}}",
	"{\"capabilities\":{\"max_msg_fds\":18446744073709551616}}",
	"{\"capabilities\":{\"max_msg_fds\":8,}}",
	"{\"capabilities\":{\"max_msg_fds\":8 9}}",
	"{\"capabilities\":{max_msg_fds:8}}",
	"{\"a\":[1,]}",
	"{\"a\":[1 2]}",
	"{\"a\":tru}",
	"{\"a\":\"line\nbreak\"}",
	"{\"a\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}",
};

START_TEST(text_that_makes_no_sense_is_refused)
{
	struct vuc_caps got = {7, 7, 7, 7};

	ck_assert_msg(parse(bad[_i], strlen(bad[_i]) + 1, &got) == -EBADMSG, "%s", bad[_i]);
	ck_assert_uint_eq(got.max_fds, 7);
}
END_TEST

START_TEST(text_must_end_with_its_only_nul)
{
	struct vuc_caps got;

	ck_assert_int_eq(parse("{}", 2, &got), -EBADMSG);
	ck_assert_int_eq(parse("{}\0", 4, &got), -EBADMSG);
	ck_assert_int_eq(parse("{\0}", 4, &got), -EBADMSG);
}
END_TEST

START_TEST(every_truncation_and_every_changed_byte_is_survived)
{
	const char *text = good[5].text;
	size_t len = strlen(text) + 1;
	struct vuc_caps got;
	char buf[256];

	for (size_t cut = 1; cut < len; cut++)
		ck_assert_int_eq(parse(text, cut, &got), -EBADMSG);
	for (size_t at = 0; at + 1 < len; at++)
		for (unsigned c = 0; c < 256; c++) {
			memcpy(buf, text, len);
			buf[at] = (char)c;
			parse(buf, len, &got);
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vfio-user capabilities");
	TCase *tc = tcase_create("caps");
	SRunner *run;
	int failed;

	tcase_add_loop_test(tc, capabilities_are_read_and_the_rest_is_skipped, 0, ARRAY_SIZE(good));
	tcase_add_test(tc, no_text_means_the_defaults);
	tcase_add_loop_test(tc, text_that_makes_no_sense_is_refused, 0, ARRAY_SIZE(bad));
	tcase_add_test(tc, text_must_end_with_its_only_nul);
	tcase_add_test(tc, every_truncation_and_every_changed_byte_is_survived);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed != 0;
}
