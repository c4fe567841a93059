/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The address allocator against a brute-force model, and its edges. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dma/iova.h"

#define CELLS 700

/* One flag per byte, at base. */
struct model {
	uint64_t base;
	bool allowed[CELLS], free[CELLS];
};

static unsigned runs(const struct model *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CELLS; i++)
		n += m->free[i] && (i == 0 || !m->free[i - 1]);
	return n;
}

static bool all(const struct model *m, unsigned at, unsigned len, bool free)
{
	for (unsigned i = at; i < at + len; i++)
		if (m->free[i] != free)
			return false;
	return true;
}

static bool model_take(struct model *m, unsigned size, uint64_t align, uint64_t limit, uint64_t *ret)
{
	for (unsigned at = 0; at + size <= CELLS; at++) {
		if ((m->base + at) & (align - 1) || m->base + at + size - 1 > limit ||
			!all(m, at, size, true))
			continue;
		memset(&m->free[at], false, size);
		*ret = m->base + at;
		return true;
	}
	return false;
}

static void same(const struct iova_space *s, const struct model *m)
{
	uint64_t sum = 0;

	ck_assert_uint_eq(s->n, runs(m));
	for (unsigned i = 0; i < s->n; i++)
		for (uint64_t a = s->range[i].first - m->base;; a++) {
			if (a >= CELLS || !m->free[a])
				ck_abort_msg(
					"%#llx is not free in the model", (unsigned long long)(m->base + a));
			sum++;
			if (m->base + a == s->range[i].last)
				break;
		}
	ck_assert_uint_eq(sum, iova_free_bytes(s));
	for (unsigned i = 0; i < CELLS; i++)
		sum -= m->free[i];
	ck_assert_uint_eq(sum, 0);
}

/* What was taken and not given back. */
struct taken {
	uint64_t iova;
	unsigned size;
};

static void random_take(struct iova_space *s, struct model *m, struct taken *t, unsigned *n)
{
	unsigned size = 1 + (unsigned)rand() % (rand() % 4 ? 12 : 200);
	uint64_t align = 1u << rand() % 6, limit, got = 42, want;
	bool ok;

	limit = rand() % 3 ? UINT64_MAX : m->base + (unsigned)rand() % CELLS;
	ok = model_take(m, size, align, limit, &want);
	ck_assert_int_eq(iova_take(s, size, align, limit, &got), ok ? 0 : -ENOSPC);
	ck_assert_uint_eq(got, ok ? want : 42);
	if (ok)
		t[(*n)++] = (struct taken){got, size};
}

static void random_put(struct iova_space *s, struct model *m, struct taken *t, unsigned *n)
{
	unsigned i = (unsigned)rand() % *n;

	ck_assert_int_eq(iova_put(s, t[i].iova, t[i].size), 0);
	memset(&m->free[t[i].iova - m->base], true, t[i].size);
	ck_assert_int_eq(iova_put(s, t[i].iova, t[i].size), -EINVAL);
	t[i] = t[--*n];
}

static void random_allow(struct iova_space *s, struct model *m)
{
	unsigned a = (unsigned)rand() % CELLS, len = 1 + (unsigned)rand() % 90;

	len = MIN(len, CELLS - a);
	/* Only where nothing is taken: a range that is allowed twice while in use is the caller's mistake. */
	for (unsigned i = a; i < a + len; i++)
		if (m->allowed[i] && !m->free[i])
			return;
	ck_assert_int_eq(iova_allow(s, m->base + a, m->base + a + len - 1), 0);
	memset(&m->allowed[a], true, len);
	memset(&m->free[a], true, len);
}

static void against_model(uint64_t base, unsigned seed)
{
	struct model m = {.base = base};
	struct taken taken[CELLS];
	struct iova_space s;
	unsigned n = 0;

	srand(seed);
	iova_init(&s);
	for (unsigned step = 0; step < 4000; step++) {
		unsigned what = (unsigned)rand() % 100;

		if (what < 4)
			random_allow(&s, &m);
		else if (what < 54 || !n)
			random_take(&s, &m, taken, &n);
		else
			random_put(&s, &m, taken, &n);
		same(&s, &m);
	}
	while (n)
		random_put(&s, &m, taken, &n);
	for (unsigned i = 0; i < CELLS; i++)
		ck_assert(m.free[i] == m.allowed[i]);
	same(&s, &m);
}

START_TEST(random_operations_agree_with_a_brute_force_model)
{
	against_model(4096, 100 + (unsigned)_i);
}
END_TEST

START_TEST(random_operations_at_the_top_of_the_space_agree_with_the_model)
{
	against_model(UINT64_MAX - CELLS + 1, 200 + (unsigned)_i);
}
END_TEST

START_TEST(page_zero_is_never_given_out)
{
	struct iova_space s;
	uint64_t got;

	iova_init(&s);
	ck_assert_int_eq(iova_allow(&s, 0, 4095), 0);
	ck_assert_int_eq(iova_take(&s, 1, 1, UINT64_MAX, &got), -ENOSPC);
	ck_assert_int_eq(iova_allow(&s, 0, 8191), 0);
	ck_assert_int_eq(iova_take(&s, 1, 1, UINT64_MAX, &got), 0);
	ck_assert_uint_eq(got, 4096);
	ck_assert_int_eq(iova_put(&s, 0, 4096), -EINVAL);
	ck_assert_int_eq(iova_put(&s, 4095, 1), -EINVAL);
}
END_TEST

START_TEST(whole_space_can_be_allowed_and_taken)
{
	struct iova_space s;
	uint64_t got;

	iova_init(&s);
	ck_assert_int_eq(iova_allow(&s, 0, UINT64_MAX), 0);
	ck_assert_uint_eq(iova_free_bytes(&s), UINT64_MAX - 4095);
	ck_assert_int_eq(iova_take(&s, UINT64_MAX - 4095, 4096, UINT64_MAX, &got), 0);
	ck_assert_uint_eq(got, 4096);
	ck_assert_uint_eq(s.n, 0);
	ck_assert_int_eq(iova_put(&s, got, UINT64_MAX - 4095), 0);
	ck_assert_uint_eq(s.n, 1);
	ck_assert_uint_eq(s.range[0].last, UINT64_MAX);
}
END_TEST

START_TEST(limit_is_the_highest_usable_byte)
{
	struct iova_space s;
	uint64_t got = 7;

	iova_init(&s);
	ck_assert_int_eq(iova_allow(&s, 0xfffff000, 0x100000fff), 0);
	ck_assert_int_eq(iova_take(&s, 0x1001, 0x1000, 0xffffffff, &got), -ENOSPC);
	ck_assert_int_eq(iova_take(&s, 0x1000, 0x1000, 0xfffffffe, &got), -ENOSPC);
	ck_assert_uint_eq(got, 7);
	ck_assert_int_eq(iova_take(&s, 0x1000, 0x1000, 0xffffffff, &got), 0);
	ck_assert_uint_eq(got, 0xfffff000);
	ck_assert_int_eq(iova_take(&s, 0x1000, 0x1000, 0xffffffff, &got), -ENOSPC);
	ck_assert_int_eq(iova_take(&s, 0x1000, 0x1000, UINT64_MAX, &got), 0);
	ck_assert_uint_eq(got, 0x100000000);
}
END_TEST

START_TEST(alignment_beyond_the_end_of_the_space_is_no_fit)
{
	struct iova_space s;
	uint64_t got;

	iova_init(&s);
	ck_assert_int_eq(iova_allow(&s, UINT64_MAX - 0x2000, UINT64_MAX), 0);
	ck_assert_int_eq(iova_take(&s, 1, UINT64_C(1) << 63, UINT64_MAX, &got), -ENOSPC);
	ck_assert_int_eq(iova_take(&s, 0x2000, 0x1000, UINT64_MAX, &got), 0);
	ck_assert_uint_eq(got, UINT64_MAX - 0x1fff);
	ck_assert_int_eq(iova_take(&s, 2, 1, UINT64_MAX, &got), -ENOSPC);
	ck_assert_int_eq(iova_take(&s, 1, 1, UINT64_MAX, &got), 0);
}
END_TEST

START_TEST(nonsense_is_refused)
{
	struct iova_space s;
	uint64_t got = 9;

	iova_init(&s);
	ck_assert_int_eq(iova_allow(&s, 0x2000, 0x1fff), -EINVAL);
	ck_assert_int_eq(iova_allow(&s, 0x10000, 0x1ffff), 0);
	ck_assert_int_eq(iova_take(&s, 0, 1, UINT64_MAX, &got), -EINVAL);
	ck_assert_int_eq(iova_take(&s, 1, 0, UINT64_MAX, &got), -EINVAL);
	ck_assert_int_eq(iova_take(&s, 1, 3, UINT64_MAX, &got), -EINVAL);
	ck_assert_uint_eq(got, 9);
	ck_assert_int_eq(iova_put(&s, 0x20000, 0), -EINVAL);
	ck_assert_int_eq(iova_put(&s, UINT64_MAX, 2), -EINVAL);
	/* one byte of overlap with free space on either side */
	ck_assert_int_eq(iova_put(&s, 0xf001, 0x1000), -EINVAL);
	ck_assert_int_eq(iova_put(&s, 0x1ffff, 0x10), -EINVAL);
	ck_assert_uint_eq(iova_free_bytes(&s), 0x10000);
}
END_TEST

START_TEST(allowed_ranges_overlap_touch_and_come_in_any_order)
{
	struct iova_space s;

	iova_init(&s);
	ck_assert_int_eq(iova_allow(&s, 0x30000, 0x3ffff), 0);
	ck_assert_int_eq(iova_allow(&s, 0x10000, 0x1ffff), 0);
	ck_assert_uint_eq(s.n, 2);
	ck_assert_int_eq(iova_allow(&s, 0x18000, 0x2ffff), 0);
	ck_assert_uint_eq(s.n, 1);
	ck_assert_uint_eq(s.range[0].first, 0x10000);
	ck_assert_uint_eq(s.range[0].last, 0x3ffff);
	ck_assert_int_eq(iova_allow(&s, 0x20000, 0x20fff), 0);
	ck_assert_uint_eq(iova_free_bytes(&s), 0x30000);
}
END_TEST

/* IOVA_MAX_FREE ranges of 8 KiB, with holes of 4 KiB between. */
static void fill(struct iova_space *s)
{
	iova_init(s);
	for (unsigned i = 0; i < IOVA_MAX_FREE; i++)
		ck_assert_int_eq(iova_allow(s, 0x3000 * (i + 1), 0x3000 * (i + 1) + 0x1fff), 0);
	ck_assert_uint_eq(s->n, IOVA_MAX_FREE);
}

START_TEST(full_table_refuses_another_range_and_loses_nothing)
{
	struct iova_space s;
	uint64_t before;

	fill(&s);
	before = iova_free_bytes(&s);
	ck_assert_int_eq(iova_allow(&s, UINT64_C(1) << 40, UINT64_C(1) << 41), -ENOSPC);
	ck_assert_int_eq(iova_put(&s, UINT64_C(1) << 40, 4096), -ENOSPC);
	ck_assert_uint_eq(iova_free_bytes(&s), before);
	/* what touches a neighbour needs no entry */
	ck_assert_int_eq(iova_put(&s, 0x5000, 0x1000), 0);
	ck_assert_uint_eq(s.n, IOVA_MAX_FREE - 1);
	ck_assert_int_eq(iova_put(&s, UINT64_C(1) << 40, 4096), 0);
}
END_TEST

START_TEST(full_table_gives_out_only_what_needs_no_new_range)
{
	struct iova_space s;
	uint64_t got = 5;

	fill(&s);
	/* The lowest multiple of 64 KiB that leaves one rest, not two. */
	ck_assert_int_eq(iova_take(&s, 0x800, 0x10000, UINT64_MAX, &got), 0);
	/* 0x30000 begins a range (0x3000 * 16); 0x10000, inside 0xf000..0x10fff, would split one. */
	ck_assert_uint_eq(got, 0x30000);
	ck_assert_uint_eq(s.n, IOVA_MAX_FREE);
	/* a range taken whole makes room for a split */
	ck_assert_int_eq(iova_take(&s, 0x2000, 0x1000, UINT64_MAX, &got), 0);
	ck_assert_int_eq(iova_take(&s, 0x800, 0x10000, UINT64_MAX, &got), 0);
	ck_assert_uint_eq(got, 0x10000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("iova");
	TCase *tc = tcase_create("iova");
	SRunner *run;
	int failed;

	tcase_add_loop_test(tc, random_operations_agree_with_a_brute_force_model, 0, 8);
	tcase_add_loop_test(tc, random_operations_at_the_top_of_the_space_agree_with_the_model, 0, 4);
	tcase_add_test(tc, page_zero_is_never_given_out);
	tcase_add_test(tc, whole_space_can_be_allowed_and_taken);
	tcase_add_test(tc, limit_is_the_highest_usable_byte);
	tcase_add_test(tc, alignment_beyond_the_end_of_the_space_is_no_fit);
	tcase_add_test(tc, nonsense_is_refused);
	tcase_add_test(tc, allowed_ranges_overlap_touch_and_come_in_any_order);
	tcase_add_test(tc, full_table_refuses_another_range_and_loses_nothing);
	tcase_add_test(tc, full_table_gives_out_only_what_needs_no_new_range);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed != 0;
}
