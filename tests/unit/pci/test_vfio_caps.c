/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capability chains as bytes, whole and broken. Layout: include/uapi/linux/vfio.h of Linux. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/pci/vfio.h"

/* Kernel structures are in this machine's byte order; these vectors are little endian. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

/* 24 bytes of struct vfio_iommu_type1_info, at 24 the IOVA ranges (id 1), at 72 the mappings left (id 3) */
static const uint8_t iommu_info[] = {
	/* 0: argsz 84, flags PGSIZES|CAPS, page sizes 4K|2M|1G, cap_offset 24, pad */
	84, 0, 0, 0, 3, 0, 0, 0, 0x00, 0x10, 0x20, 0x40, 0, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0,
	/* 24: id 1, version 1, next 72; 2 ranges, reserved */
	1, 0, 1, 0, 72, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,
	/* 40: 0xfef00000 to 0x7fffffffff */
	0x00, 0x00, 0xf0, 0xfe, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0,
	/* 56: 0 to 0xfedfffff */
	0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xdf, 0xfe, 0, 0, 0, 0,
	/* 72: id 3, version 1, last; 65535 left */
	3, 0, 1, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0};

START_TEST(chain_is_followed_to_the_id)
{
	ck_assert_int_eq(vfio_cap_find(iommu_info, sizeof(iommu_info), 24, 1), 24);
	ck_assert_int_eq(vfio_cap_find(iommu_info, sizeof(iommu_info), 24, 3), 72);
	ck_assert_int_eq(vfio_cap_find(iommu_info, sizeof(iommu_info), 24, 2), -ENOENT);
	ck_assert_int_eq(vfio_cap_find(iommu_info, sizeof(iommu_info), 0, 1), -ENOENT);
}
END_TEST

START_TEST(ranges_are_sorted)
{
	struct pci_iova_range r[4];
	unsigned n = 0;

	ck_assert_int_eq(vfio_cap_iova(iommu_info, sizeof(iommu_info), 24, r, 4, &n), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(r[0].first, 0);
	ck_assert_uint_eq(r[0].last, 0xfedfffff);
	ck_assert_uint_eq(r[1].first, 0xfef00000);
	ck_assert_uint_eq(r[1].last, 0x7fffffffff);
	/* too many for the caller: the lowest are kept */
	ck_assert_int_eq(vfio_cap_iova(iommu_info, sizeof(iommu_info), 24, r, 1, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(r[0].last, 0xfedfffff);
}
END_TEST

START_TEST(touching_ranges_are_joined)
{
	static const uint8_t b[] = {1, 0, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0,
		0xff, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0x18,
		0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct pci_iova_range r[4];
	unsigned n = 0;

	ck_assert_int_eq(vfio_cap_iova(b, sizeof(b), 0, r, 4, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(r[0].first, 0);
	ck_assert_uint_eq(r[0].last, UINT64_MAX);
}
END_TEST

START_TEST(broken_chains_are_refused)
{
	uint8_t b[sizeof(iommu_info)];
	struct pci_iova_range r[4];
	unsigned n = 99;

	/* first header beyond the end, or half in it */
	ck_assert_int_eq(vfio_cap_find(iommu_info, sizeof(iommu_info), 85, 1), -EBADMSG);
	ck_assert_int_eq(vfio_cap_find(iommu_info, sizeof(iommu_info), 77, 1), -EBADMSG);
	ck_assert_int_eq(vfio_cap_find(iommu_info, sizeof(iommu_info), UINT32_MAX, 1), -EBADMSG);
	/* next beyond the end */
	memcpy(b, iommu_info, sizeof(b));
	b[28] = 80;
	ck_assert_int_eq(vfio_cap_find(b, sizeof(b), 24, 3), -EBADMSG);
	ck_assert_int_eq(vfio_cap_find(b, sizeof(b), 24, 1), 24);
	/* a circle */
	b[28] = 24;
	ck_assert_int_eq(vfio_cap_find(b, sizeof(b), 24, 3), -EBADMSG);
	/* more ranges than bytes: 3 would end at 88, and a count whose product wraps */
	b[32] = 4;
	ck_assert_int_eq(vfio_cap_iova(b, sizeof(b), 24, r, 4, &n), -EBADMSG);
	memset(b + 32, 0xff, 4);
	ck_assert_int_eq(vfio_cap_iova(b, sizeof(b), 24, r, 4, &n), -EBADMSG);
	/* first behind last */
	b[32] = 2;
	memset(b + 33, 0, 3);
	b[47] = 0x80;
	ck_assert_int_eq(vfio_cap_iova(b, sizeof(b), 24, r, 4, &n), -EBADMSG);
	/* the capability itself is cut */
	ck_assert_int_eq(vfio_cap_iova(iommu_info, 39, 24, r, 4, &n), -EBADMSG);
	ck_assert_int_eq(vfio_cap_iova(iommu_info, 20, 24, r, 4, &n), -EBADMSG);
	ck_assert_uint_eq(n, 99);
}
END_TEST

START_TEST(every_truncation_is_found)
{
	for (size_t len = 0; len < sizeof(iommu_info); len++) {
		uint8_t *cut = malloc(len ? len : 1);
		struct pci_iova_range r[4];
		unsigned n;

		/* exactly len bytes on the heap: a read behind them is seen by the sanitizer */
		memcpy(cut, iommu_info, len);
		if (len < 72)
			ck_assert_int_eq(vfio_cap_iova(cut, len, 24, r, 4, &n), -EBADMSG);
		if (len < 80)
			ck_assert_int_eq(vfio_cap_find(cut, len, 24, 3), -EBADMSG);
		free(cut);
	}
}
END_TEST

/* sparse mmap: id 1, version 1, last; 3 areas: 0x4000+0x1000, 0+0x2000, 0x2000+0x1000 */
static const uint8_t sparse[] = {1, 0, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0,
	0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0,
	0, 0x10, 0, 0, 0, 0, 0, 0};

START_TEST(sparse_areas_give_what_is_mappable_from_the_beginning)
{
	uint8_t b[sizeof(sparse)];
	uint64_t got = 77;

	ck_assert_int_eq(vfio_cap_sparse(sparse, sizeof(sparse), 0, 0x5000, &got), 0);
	ck_assert_uint_eq(got, 0x3000);
	/* an area outside the region is not believed */
	ck_assert_int_eq(vfio_cap_sparse(sparse, sizeof(sparse), 0, 0x2800, &got), 0);
	ck_assert_uint_eq(got, 0x2000);
	/* the hole closes */
	memcpy(b, sparse, sizeof(b));
	b[17] = 0x30;
	ck_assert_int_eq(vfio_cap_sparse(b, sizeof(b), 0, 0x5000, &got), 0);
	ck_assert_uint_eq(got, 0x4000);
	/* a hole at the beginning: nothing */
	b[33] = 0x08;
	ck_assert_int_eq(vfio_cap_sparse(b, sizeof(b), 0, 0x5000, &got), 0);
	ck_assert_uint_eq(got, 0);
	/* a length that wraps */
	memcpy(b, sparse, sizeof(b));
	memset(b + 40, 0xff, 8);
	ck_assert_int_eq(vfio_cap_sparse(b, sizeof(b), 0, 0x5000, &got), 0);
	ck_assert_uint_eq(got, 0);
	got = 77;
	b[8] = 4;
	ck_assert_int_eq(vfio_cap_sparse(b, sizeof(b), 0, 0x5000, &got), -EBADMSG);
	ck_assert_uint_eq(got, 77);
}
END_TEST

#endif

/* --- info ioctls whose answer grows --- */
static uint32_t need[8];
static unsigned calls;

static int t_ioctl(int fd, unsigned long request, void *arg)
{
	uint32_t argsz;

	memcpy(&argsz, arg, 4);
	if (need[calls] == 0) {
		errno = ENODEV;
		return -1;
	}
	/* the whole buffer is the kernel's */
	memset((uint8_t *)arg + 4, 0x5a, argsz - 4);
	memcpy(arg, &need[calls++], 4);
	return 0;
}

START_TEST(info_is_asked_for_until_it_fits)
{
	static const struct vfio_sys sys = {.ioctl = t_ioctl};
	static const struct {
		uint32_t need[8];
		int r;
		unsigned calls;
	} rows[] = {
		{{32}, 32, 1},
		{{16}, 32, 1},
		{{100, 100}, 100, 2},
		{{100, 200, 150}, 200, 3},
		{{65536, 65536}, 65536, 2},
		{{65537}, -EBADMSG, 1},
		{{0}, -ENODEV, 0},
		{{40, 41, 42, 43, 44}, -EBADMSG, 4},
	};
	struct {
		uint32_t argsz, rest[7];
	} init = {32, {0}};
	uint8_t *buf = NULL;

	memcpy(need, rows[_i].need, sizeof(need));
	calls = 0;
	ck_assert_int_eq(vfio_info(&sys, 3, 1, &init, sizeof(init), &buf), rows[_i].r);
	ck_assert_uint_eq(calls, rows[_i].calls);
	if (rows[_i].r > 0)
		ck_assert_uint_eq(buf[rows[_i].r - 1], 0x5a);
	else
		ck_assert_ptr_null(buf);
	free(buf);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vfio capabilities");
	TCase *tc = tcase_create("caps");
	SRunner *run;
	int failed;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	tcase_add_test(tc, chain_is_followed_to_the_id);
	tcase_add_test(tc, ranges_are_sorted);
	tcase_add_test(tc, touching_ranges_are_joined);
	tcase_add_test(tc, broken_chains_are_refused);
	tcase_add_test(tc, every_truncation_is_found);
	tcase_add_test(tc, sparse_areas_give_what_is_mappable_from_the_beginning);
#endif
	tcase_add_loop_test(tc, info_is_asked_for_until_it_fits, 0, 8);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed != 0;
}
