/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Error sentences. */
#include "main.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"

START_TEST(keeps_code_and_errno)
{
	struct err e = {""};

	errno = EXDEV;
	ck_assert_int_eq(err_set(&e, -EBUSY, "%s is %d", "it", 7), -EBUSY);
	ck_assert_str_eq(e.text, "it is 7");
	ck_assert_int_eq(errno, EXDEV);
	ck_assert_int_eq(err_prefix(&e, -ENOENT, "ctl%d", 0), -ENOENT);
	ck_assert_str_eq(e.text, "ctl0: it is 7");
	ck_assert_int_eq(errno, EXDEV);
}
END_TEST

START_TEST(nobody_has_to_listen)
{
	ck_assert_int_eq(err_set(NULL, -EIO, "text"), -EIO);
	ck_assert_int_eq(err_prefix(NULL, -EIO, "text"), -EIO);
}
END_TEST

START_TEST(long_texts_are_cut_and_terminated)
{
	struct err e;
	char text[1000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memset(&e, 0xff, sizeof(e));
	err_set(&e, -1, "%s", text);
	ck_assert_uint_eq(strlen(e.text), sizeof(e.text) - 1);
	err_prefix(&e, -1, "where");
	ck_assert_uint_eq(strlen(e.text), sizeof(e.text) - 1);
	ck_assert_int_eq(strncmp(e.text, "where: xxx", 10), 0);
	/* a prefix that fills it alone */
	err_prefix(&e, -1, "%s", text);
	ck_assert_uint_eq(strlen(e.text), sizeof(e.text) - 1);
}
END_TEST

START_TEST(own_text_may_be_an_argument)
{
	struct err e;

	err_set(&e, -1, "inner");
	/* the way callers wrap what a callee wrote */
	err_prefix(&e, -1, "a %s", "b");
	err_prefix(&e, -1, "c");
	ck_assert_str_eq(e.text, "c: a b: inner");
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("err");

	tcase_add_test(c, keeps_code_and_errno);
	tcase_add_test(c, nobody_has_to_listen);
	tcase_add_test(c, long_texts_are_cut_and_terminated);
	tcase_add_test(c, own_text_may_be_an_argument);
	return run_case(c, "err");
}
