/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a test program's main(). */
#ifndef HBAD_TESTS_UNIT_RUN_SUITE_H
#define HBAD_TESTS_UNIT_RUN_SUITE_H

#include <check.h>
#include <stdlib.h>

/* Runs and frees it. The program's exit status. CK_VERBOSITY says how much is told. */
static inline int run_suite(Suite *s)
{
	SRunner *sr = srunner_create(s);
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
