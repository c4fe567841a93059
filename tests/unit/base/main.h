/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The main() of a Check program with one suite. */
#ifndef HBAD_TESTS_BASE_MAIN_H
#define HBAD_TESTS_BASE_MAIN_H

#include <check.h>
#include <stdlib.h>

static inline int run_case(TCase *c, const char *name)
{
	Suite *s = suite_create(name);
	SRunner *r;
	int failed;

	tcase_set_timeout(c, 30);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
