/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stands in for Check's header in the fakes of the unit tests: a fuzzer has no runner, a broken promise ends it. */
#ifndef HBAD_TESTS_FUZZ_SHIM_CHECK_H
#define HBAD_TESTS_FUZZ_SHIM_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define ck_assert_msg(cond, ...)                                                                             \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #cond);                           \
			fprintf(stderr, "" __VA_ARGS__);                                                     \
			fputc('\n', stderr);                                                                 \
			abort();                                                                             \
		}                                                                                            \
	} while (0)
#define ck_assert(cond)		  ck_assert_msg(cond, " ")
#define ck_assert_uint_eq(a, b)	  ck_assert((a) == (b))
#define ck_assert_uint_ne(a, b)	  ck_assert((a) != (b))
#define ck_assert_uint_lt(a, b)	  ck_assert((a) < (b))
#define ck_assert_uint_le(a, b)	  ck_assert((a) <= (b))
#define ck_assert_uint_gt(a, b)	  ck_assert((a) > (b))
#define ck_assert_uint_ge(a, b)	  ck_assert((a) >= (b))
#define ck_assert_int_eq(a, b)	  ck_assert((a) == (b))
#define ck_assert_int_ge(a, b)	  ck_assert((a) >= (b))
#define ck_assert_ptr_nonnull(p)  ck_assert((p) != NULL)
#define ck_assert_ptr_eq(a, b)	  ck_assert((a) == (b))
#define ck_assert_mem_eq(a, b, n) ck_assert(memcmp(a, b, n) == 0)

#endif
