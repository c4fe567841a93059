/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scatter-gather lists: what is added, what comes out. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dma/dma.h"

#define NSEG 6

struct add {
	uint64_t addr, len;
};

/* Adds in order with the same limits; the list that must come out. */
static const struct row {
	const char *what;
	uint32_t max_seg;
	uint64_t boundary;
	struct add in[4];
	struct dma_seg out[NSEG];
	uint32_t n;
} rows[] = {
	{"one piece is one segment", 0, 0, {{0x1000, 0x234}}, {{0x1000, 0x234}}, 1},
	{"neighbours melt", 0, 0, {{0x1000, 0x1000}, {0x2000, 0x1000}}, {{0x1000, 0x2000}}, 1},
	{"only forward neighbours melt", 0, 0, {{0x2000, 0x1000}, {0x1000, 0x1000}},
		{{0x2000, 0x1000}, {0x1000, 0x1000}}, 2},
	{"a gap of one byte does not melt", 0, 0, {{0x1000, 0x1000}, {0x2001, 8}},
		{{0x1000, 0x1000}, {0x2001, 8}}, 2},
	{"split at the largest segment", 0x1000, 0, {{0x800, 0x2100}},
		{{0x800, 0x1000}, {0x1800, 0x1000}, {0x2800, 0x100}}, 3},
	{"exactly the largest segment", 0x1000, 0, {{0x800, 0x1000}}, {{0x800, 0x1000}}, 1},
	{"one byte more", 0x1000, 0, {{0x800, 0x1001}}, {{0x800, 0x1000}, {0x1800, 1}}, 2},
	{"melting stops at the largest segment", 0x1800, 0, {{0x1000, 0x1000}, {0x2000, 0x1000}},
		{{0x1000, 0x1800}, {0x2800, 0x800}}, 2},
	{"no segment crosses the boundary", 0, 0x10000, {{0xf000, 0x3000}},
		{{0xf000, 0x1000}, {0x10000, 0x2000}}, 2},
	{"a segment may end at the boundary", 0, 0x10000, {{0xf000, 0x1000}}, {{0xf000, 0x1000}}, 1},
	{"melting stops at the boundary", 0, 0x10000, {{0xf000, 0x1000}, {0x10000, 0x1000}},
		{{0xf000, 0x1000}, {0x10000, 0x1000}}, 2},
	{"boundary above 4 GiB", 0, UINT64_C(1) << 32, {{0xfffff000, 0x2000}},
		{{0xfffff000, 0x1000}, {0x100000000, 0x1000}}, 2},
	{"boundary and largest segment together", 0x3000, 0x4000, {{0x2000, 0x7000}},
		{{0x2000, 0x2000}, {0x4000, 0x3000}, {0x7000, 0x1000}, {0x8000, 0x1000}}, 4},
	{"more than a length can say", 0, 0, {{0, 0x100000000}}, {{0, 0xfffff000}, {0xfffff000, 0x1000}}, 2},
	{"nothing adds nothing", 0, 0, {{0x1000, 4}, {0x5000, 0}, {0x1004, 4}}, {{0x1000, 8}}, 1},
	{"the last byte of the space", 0, 0, {{UINT64_MAX - 7, 8}}, {{UINT64_MAX - 7, 8}}, 1},
};

START_TEST(list_obeys_its_limits)
{
	const struct row *r = &rows[_i];
	struct dma_seg seg[NSEG];
	struct dma_sgl l = {.seg = seg, .cap = NSEG};
	uint64_t sum = 0;

	for (unsigned i = 0; i < 4; i++) {
		ck_assert_msg(dma_sgl_add(&l, r->in[i].addr, r->in[i].len, r->max_seg, r->boundary) == 0,
			"%s", r->what);
		sum += r->in[i].len;
	}
	ck_assert_msg(l.n == r->n && l.bytes == sum, "%s: %u segments", r->what, l.n);
	for (unsigned i = 0; i < r->n; i++)
		ck_assert_msg(seg[i].addr == r->out[i].addr && seg[i].len == r->out[i].len,
			"%s: segment %u is %#llx + %#x", r->what, i, (unsigned long long)seg[i].addr,
			seg[i].len);
}
END_TEST

START_TEST(list_that_is_too_short_stays_as_it_was)
{
	struct dma_seg seg[3], before[3];
	struct dma_sgl l = {.seg = seg, .cap = 2}, was;

	seg[2] = (struct dma_seg){0xdead, 0xbeef};
	ck_assert_int_eq(dma_sgl_add(&l, 0x1000, 0x800, 0x1000, 0), 0);
	was = l;
	memcpy(before, seg, sizeof(seg));
	/* 0x800 would melt, 0x1000 would be new, 0x1000 has no room */
	ck_assert_int_eq(dma_sgl_add(&l, 0x1800, 0x2800, 0x1000, 0), -E2BIG);
	ck_assert_mem_eq(&l, &was, sizeof(l));
	ck_assert_mem_eq(&seg[0], &before[0], sizeof(seg[0]));
	ck_assert_mem_eq(&seg[2], &before[2], sizeof(seg[2]));
	ck_assert_int_eq(dma_sgl_add(&l, 0x1800, 0x1800, 0x1000, 0), 0);
	ck_assert_uint_eq(l.n, 2);
	ck_assert_int_eq(dma_sgl_add(&l, 0x9000, 1, 0x1000, 0), -E2BIG);
	ck_assert_uint_eq(l.bytes, 0x2000);
}
END_TEST

START_TEST(address_that_wraps_is_refused)
{
	struct dma_seg seg[2];
	struct dma_sgl l = {.seg = seg, .cap = 2};

	ck_assert_int_eq(dma_sgl_add(&l, UINT64_MAX, 2, 0, 0), -EINVAL);
	ck_assert_uint_eq(l.n, 0);
}
END_TEST

/* Every segment against the definition of the limits; together they are the input, byte for byte. */
START_TEST(random_lists_keep_every_byte_in_order)
{
	static struct dma_seg seg[4096];

	srand(77);
	for (unsigned round = 0; round < 300; round++) {
		uint32_t max_seg = rand() % 3 ? 1 + (unsigned)rand() % 5000 : 0;
		uint64_t boundary = rand() % 2 ? UINT64_C(512) << rand() % 6 : 0;
		struct dma_sgl l = {.seg = seg, .cap = 4096};
		struct add in[8];
		unsigned at = 0;
		uint64_t done = 0;

		for (unsigned i = 0; i < 8; i++) {
			in[i].addr =
				i && rand() % 2 ? in[i - 1].addr + in[i - 1].len : (unsigned)rand() % 100000;
			in[i].len = 1 + (unsigned)rand() % 9000;
			if (dma_sgl_add(&l, in[i].addr, in[i].len, max_seg, boundary) == -E2BIG)
				in[i].len = 0;
		}
		for (unsigned i = 0; i < l.n; i++) {
			ck_assert(seg[i].len && (!max_seg || seg[i].len <= max_seg));
			ck_assert(!boundary ||
				  seg[i].addr / boundary == (seg[i].addr + seg[i].len - 1) / boundary);
			for (uint32_t b = 0; b < seg[i].len; b++) {
				while (done == in[at].len) {
					at++;
					done = 0;
				}
				/* A ck_assert per byte would write millions of messages. */
				if (seg[i].addr + b != in[at].addr + done++)
					ck_abort_msg("round %u, segment %u, byte %u", round, i, b);
			}
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sgl");
	TCase *tc = tcase_create("sgl");
	SRunner *run;
	int failed;

	tcase_add_loop_test(tc, list_obeys_its_limits, 0, ARRAY_SIZE(rows));
	tcase_add_test(tc, list_that_is_too_short_stays_as_it_was);
	tcase_add_test(tc, address_that_wraps_is_refused);
	tcase_add_test(tc, random_lists_keep_every_byte_in_order);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed != 0;
}
