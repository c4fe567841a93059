/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a test program's main(). */
#ifndef HBAD_TESTS_UNIT_RUN_SUITE_H
#define HBAD_TESTS_UNIT_RUN_SUITE_H

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>

/* Runs and frees it. The program's exit status. CK_VERBOSITY says how much is told, CK_RUN_CASE what is run: a name that no
 * case has is a failure. */
static inline int run_suite(Suite *s)
{
	SRunner *sr = srunner_create(s);
	bool ok;

	srunner_run_all(sr, CK_ENV);
	ok = srunner_ntests_run(sr) && !srunner_ntests_failed(sr);
	srunner_free(sr);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
