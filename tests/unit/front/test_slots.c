/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command slots, their pools, and the bound on iovec storage. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/front/slots.h"

static struct slots s;

static void teardown(void)
{
	slots_fini(&s);
}

START_TEST(a_pool_hands_out_each_index_once)
{
	struct pool p;
	uint8_t seen[100] = {0};

	ck_assert_int_eq(pool_init(&p, 24, 100), 0);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_uint_eq(pool_get(&p), i);
	ck_assert_uint_eq(pool_get(&p), POOL_NONE);
	pool_put(&p, 17);
	pool_put(&p, 99);
	ck_assert_uint_eq(pool_get(&p), 99);
	ck_assert_uint_eq(pool_get(&p), 17);
	ck_assert_uint_eq(pool_get(&p), POOL_NONE);
	for (unsigned i = 0; i < 100; i++)
		pool_put(&p, i);
	for (unsigned i = 0; i < 100; i++)
		seen[pool_get(&p)]++;
	for (unsigned i = 0; i < 100; i++)
		ck_assert_uint_eq(seen[i], 1);
	ck_assert_uint_eq(pool_get(&p), POOL_NONE);
	pool_fini(&p);
	pool_fini(&p);
}
END_TEST

START_TEST(an_empty_pool_is_always_exhausted)
{
	struct pool p;

	ck_assert_int_eq(pool_init(&p, 0, 0), 0);
	ck_assert_uint_eq(pool_get(&p), POOL_NONE);
	pool_prefault(&p, 10);
	pool_fini(&p);
}
END_TEST

START_TEST(prefaulting_changes_nothing)
{
	struct pool p;

	ck_assert_int_eq(pool_init(&p, 512, 64), 0);
	pool_prefault(&p, 1000);
	ck_assert_uint_eq(pool_get(&p), 0);
	for (unsigned i = 0; i < 512; i++)
		ck_assert_uint_eq(((uint8_t *)pool_at(&p, 0))[i], 0);
	pool_fini(&p);
}
END_TEST

START_TEST(there_is_a_slot_for_every_id)
{
	static struct front_cmd *c[FRONT_SLOTS];
	struct iovec *iov;

	ck_assert_int_eq(slots_init(&s, 1 << 20), 0);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned id = 1; id < FRONT_SLOTS; id++) {
			c[id] = slots_get(&s, (uint16_t)id, 0, &iov);
			if (!c[id] || slots_find(&s, (uint16_t)id) != c[id])
				ck_abort_msg("id %u", id);
		}
		for (unsigned id = FRONT_SLOTS - 1; id > 0; id--)
			slots_put(&s, c[id]);
		ck_assert_ptr_null(slots_find(&s, 1));
		ck_assert_ptr_null(slots_find(&s, 65535));
	}
}
END_TEST

START_TEST(the_generation_is_odd_while_a_slot_is_in_use)
{
	struct front_cmd *a, *b;
	struct iovec *iov;
	uint32_t g;

	ck_assert_int_eq(slots_init(&s, 1 << 20), 0);
	a = slots_get(&s, 7, 1, &iov);
	g = a->generation;
	ck_assert_uint_eq(g & 1, 1);
	slots_put(&s, a);
	ck_assert_uint_eq(a->generation, g + 1);
	b = slots_get(&s, 8, 1, &iov);
	ck_assert_ptr_eq(a, b);
	ck_assert_uint_eq(b->generation, g + 2);
	slots_put(&s, b);
}
END_TEST

/* H26: as many lists as disjoint blocks can make, all at once, for each length around the classes' edges. */
START_TEST(storage_suffices_for_all_that_fits_the_data_area)
{
	static const uint32_t len[] = {1, 8, 9, 63, 64, 65, 512, 513, 4096, 4097, 32768, 32769, 262144};
	const uint32_t blocks = 262144;
	const uint32_t n = len[_i], lists = blocks / n < 65535 ? blocks / n : 65535;
	static struct front_cmd *c[FRONT_SLOTS];
	static struct iovec *iov[FRONT_SLOTS];

	ck_assert_int_eq(slots_init(&s, (uint64_t)blocks * 4096), 0);
	for (uint32_t i = 0; i < lists; i++) {
		c[i] = slots_get(&s, (uint16_t)(i + 1), n, &iov[i]);
		if (!c[i])
			ck_abort_msg("list %u of %u iovecs", i, n);
		iov[i][0].iov_len = i;
		iov[i][n - 1].iov_base = c[i];
	}
	for (uint32_t i = 0; i < lists; i++) {
		if (iov[i][n - 1].iov_base != c[i] || (n > 1 && iov[i][0].iov_len != i))
			ck_abort_msg("lists overlap");
		slots_put(&s, c[i]);
	}
}
END_TEST

START_TEST(more_than_fits_the_data_area_gets_no_storage)
{
	struct iovec *iov;

	/* 100 blocks: one list of 65 to 100, none beyond */
	ck_assert_int_eq(slots_init(&s, 100 * 4096), 0);
	ck_assert_ptr_null(slots_get(&s, 1, 101, &iov));
	ck_assert_ptr_null(slots_get(&s, 1, UINT32_MAX, &iov));
	ck_assert_ptr_null(slots_find(&s, 1));
	ck_assert_ptr_nonnull(slots_get(&s, 1, 100, &iov));
	ck_assert_ptr_null(slots_get(&s, 2, 65, &iov));
	ck_assert_ptr_nonnull(slots_get(&s, 2, 64, &iov));
	ck_assert_ptr_nonnull(slots_get(&s, 3, 8, &iov));
}
END_TEST

START_TEST(a_small_or_missing_data_area_is_fine)
{
	struct iovec *iov;

	ck_assert_int_eq(slots_init(&s, 0), 0);
	ck_assert_ptr_nonnull(slots_get(&s, 1, 0, &iov));
	ck_assert_ptr_null(slots_get(&s, 2, 9, &iov));
}
END_TEST

static Suite *suite(void)
{
	Suite *su = suite_create("front-slots");
	TCase *t = tcase_create("slots");

	tcase_set_timeout(t, 60); /* for busy machines and sanitizers */
	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, a_pool_hands_out_each_index_once);
	tcase_add_test(t, an_empty_pool_is_always_exhausted);
	tcase_add_test(t, prefaulting_changes_nothing);
	tcase_add_test(t, there_is_a_slot_for_every_id);
	tcase_add_test(t, the_generation_is_odd_while_a_slot_is_in_use);
	tcase_add_loop_test(t, storage_suffices_for_all_that_fits_the_data_area, 0, 13);
	tcase_add_test(t, more_than_fits_the_data_area_gets_no_storage);
	tcase_add_test(t, a_small_or_missing_data_area_is_fine);
	suite_add_tcase(su, t);
	return su;
}

int main(void)
{
	SRunner *r = srunner_create(suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
