/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bounce transfers: which bytes move, which do not, and that chunks come back. */
#include <check.h>
#include <stdlib.h>

#include "fake_pci.h"

#define CHUNK  4096u
#define CHUNKS 8u

static struct fake_pci pci;
static struct dma_space space;
static struct dma_pool pool;
static struct dma_seg seg[64];

static void setup(void)
{
	struct err e = {0};

	fake_pci_init(&pci);
	dma_space_init(&space, &pci.dev);
	ck_assert_msg(dma_pool_init(&pool, &space, CHUNK, CHUNKS, UINT32_MAX, &e) == 0, "%s", e.text);
}

static void teardown(void)
{
	dma_pool_fini(&pool);
	ck_assert_uint_eq(pci.n, 0);
	ck_assert_uint_eq(space.maps, 0);
}

static struct dma_sgl new_sgl(uint32_t cap)
{
	return (struct dma_sgl){.seg = seg, .cap = cap};
}

/* What the device sees at the i-th byte of the transfer. */
static uint8_t *device_byte(const struct dma_sgl *l, uint64_t i)
{
	for (uint32_t s = 0; s < l->n; s++) {
		if (i < l->seg[s].len)
			return pool.arena.cpu + (l->seg[s].addr - pool.arena.iova) + i;
		i -= l->seg[s].len;
	}
	ck_abort_msg("byte %llu is not in the list", (unsigned long long)i);
	return NULL;
}

/* 20000 bytes cut unevenly, with empty pieces. */
static uint8_t mem[20000];
static const size_t cuts[] = {1, 0, 4095, 4096, 0, 3, 5001, 6804, 0};

static struct iovec iov[ARRAY_SIZE(cuts)];

static void cut_memory(void)
{
	size_t at = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(cuts); i++) {
		iov[i] = (struct iovec){cuts[i] ? mem + at : NULL, cuts[i]};
		at += cuts[i];
	}
	ck_assert_uint_eq(at, sizeof(mem));
}

START_TEST(write_data_reaches_the_device_from_any_offset)
{
	static const struct {
		uint64_t offset;
		uint32_t len;
	} cases[] = {{0, 20000}, {0, 1}, {1, 4095}, {1, 4096}, {4096, 4096}, {8192, 3}, {8191, 6},
		{8195, 11805}, {19999, 1}, {20000, 0}, {4097, 12345}};

	cut_memory();
	for (unsigned i = 0; i < sizeof(mem); i++)
		mem[i] = (uint8_t)(i * 7 + i / 256);
	for (unsigned c = 0; c < ARRAY_SIZE(cases); c++) {
		struct dma_xfer x = {iov, ARRAY_SIZE(iov), cases[c].offset, cases[c].len, DMA_TO_DEVICE};
		struct dma_sgl l = new_sgl(64);

		ck_assert_int_eq(dma_xfer_map(&pool, &x, &l, 0), 0);
		ck_assert_uint_eq(l.bytes, cases[c].len);
		for (uint32_t i = 0; i < cases[c].len; i++)
			if (*device_byte(&l, i) != mem[cases[c].offset + i])
				ck_abort_msg("case %u: byte %u", c, i);
		dma_xfer_unmap(&pool, &x, 0);
		ck_assert_uint_eq(pool.n_free, CHUNKS);
	}
}
END_TEST

START_TEST(read_copies_the_valid_bytes_and_touches_no_other)
{
	static const uint32_t valid[] = {0, 1, 2, 4095, 4096, 4097, 9000, 9001, 0xffffffff};
	const uint64_t offset = 3;
	const uint32_t len = 9001;

	cut_memory();
	for (unsigned c = 0; c < ARRAY_SIZE(valid); c++) {
		struct dma_xfer x = {iov, ARRAY_SIZE(iov), offset, len, DMA_FROM_DEVICE};
		struct dma_sgl l = new_sgl(64);
		uint32_t good = MIN(valid[c], len);

		memset(mem, 0xee, sizeof(mem));
		ck_assert_int_eq(dma_xfer_map(&pool, &x, &l, 0), 0);
		for (uint32_t i = 0; i < len; i++)
			*device_byte(&l, i) = (uint8_t)(i * 13 % 200);
		dma_xfer_unmap(&pool, &x, valid[c]);
		for (uint32_t i = 0; i < sizeof(mem); i++) {
			bool in = i >= offset && i < offset + good;

			if (mem[i] != (in ? (i - offset) * 13 % 200 : 0xee))
				ck_abort_msg("case %u: byte %u", c, i);
		}
	}
}
END_TEST

START_TEST(write_data_is_never_copied_back)
{
	struct dma_xfer x = {iov, ARRAY_SIZE(iov), 0, 4096, DMA_TO_DEVICE};
	struct dma_sgl l = new_sgl(64);

	cut_memory();
	memset(mem, 0x11, sizeof(mem));
	ck_assert_int_eq(dma_xfer_map(&pool, &x, &l, 0), 0);
	*device_byte(&l, 0) = 0x99;
	dma_xfer_unmap(&pool, &x, 4096);
	ck_assert_uint_eq(mem[0], 0x11);
}
END_TEST

START_TEST(memory_of_a_read_is_not_shown_to_the_device)
{
	struct dma_xfer x = {iov, ARRAY_SIZE(iov), 0, 4096, DMA_FROM_DEVICE};
	struct dma_sgl l = new_sgl(64);

	cut_memory();
	memset(mem, 0x77, sizeof(mem));
	memset(pool.arena.cpu, 0, pool.arena.size);
	ck_assert_int_eq(dma_xfer_map(&pool, &x, &l, 0), 0);
	ck_assert_uint_eq(*device_byte(&l, 0), 0);
	dma_xfer_unmap(&pool, &x, 0);
}
END_TEST

START_TEST(unmapping_twice_frees_once)
{
	struct dma_xfer x = {iov, ARRAY_SIZE(iov), 0, 4097, DMA_FROM_DEVICE};
	struct dma_sgl l = new_sgl(64);

	cut_memory();
	ck_assert_int_eq(dma_xfer_map(&pool, &x, &l, 0), 0);
	ck_assert_uint_eq(pool.n_free, CHUNKS - 2);
	dma_xfer_unmap(&pool, &x, 4097);
	memset(mem, 0x42, sizeof(mem));
	dma_xfer_unmap(&pool, &x, 4097);
	ck_assert_uint_eq(pool.n_free, CHUNKS);
	ck_assert_uint_eq(mem[0], 0x42);
}
END_TEST

START_TEST(pool_that_is_empty_for_now_takes_nothing)
{
	struct dma_xfer x = {iov, ARRAY_SIZE(iov), 0, 4096 * 4, DMA_FROM_DEVICE}, y = x, z = x;
	struct dma_sgl l = new_sgl(64);

	cut_memory();
	ck_assert_int_eq(dma_xfer_map(&pool, &x, &l, 0), 0);
	l = new_sgl(64);
	y.len = 4096 * 4 + 1;
	ck_assert_int_eq(dma_xfer_map(&pool, &y, &l, 0), -EAGAIN);
	ck_assert_uint_eq(pool.n_free, CHUNKS - 4);
	ck_assert_uint_eq(l.n, 0);
	ck_assert_uint_eq(l.bytes, 0);
	/* harmless after a failure */
	dma_xfer_unmap(&pool, &y, 1);
	ck_assert_uint_eq(pool.n_free, CHUNKS - 4);
	ck_assert_int_eq(dma_xfer_map(&pool, &z, &l, 0), 0);
	ck_assert_uint_eq(pool.n_free, 0);
	dma_xfer_unmap(&pool, &z, 0);
	dma_xfer_unmap(&pool, &x, 0);
	ck_assert_uint_eq(pool.n_free, CHUNKS);
}
END_TEST

START_TEST(what_can_never_fit_is_told_apart_from_what_must_wait)
{
	struct iovec big = {NULL, UINT64_C(1) << 33};
	struct dma_xfer x = {&big, 1, 0, CHUNK * CHUNKS + 1, DMA_FROM_DEVICE};
	struct dma_sgl l = new_sgl(64);

	ck_assert_int_eq(dma_xfer_map(&pool, &x, &l, 0), -E2BIG);
	x.len = UINT32_MAX;
	ck_assert_int_eq(dma_xfer_map(&pool, &x, &l, 0), -E2BIG);
	/* the list cannot hold two chunks that are not neighbours, also while they happen to be */
	x.len = CHUNK + 1;
	l = new_sgl(1);
	ck_assert_int_eq(dma_xfer_map(&pool, &x, &l, 0), -E2BIG);
	l = new_sgl(7);
	ck_assert_int_eq(dma_xfer_map(&pool, &x, &l, 512), -E2BIG);
	ck_assert_uint_eq(pool.n_free, CHUNKS);
	ck_assert_uint_eq(l.n, 0);
}
END_TEST

START_TEST(list_shorter_than_the_transfer_is_refused)
{
	struct dma_xfer x = {iov, ARRAY_SIZE(iov), 19999, 2, DMA_FROM_DEVICE};
	struct dma_sgl l = new_sgl(64);

	cut_memory();
	ck_assert_int_eq(dma_xfer_map(&pool, &x, &l, 0), -EINVAL);
	x.offset = 20001;
	x.len = 0;
	ck_assert_int_eq(dma_xfer_map(&pool, &x, &l, 0), -EINVAL);
	x.offset = UINT64_MAX;
	x.len = 2;
	ck_assert_int_eq(dma_xfer_map(&pool, &x, &l, 0), -EINVAL);
	x = (struct dma_xfer){NULL, 0, 0, 1, DMA_TO_DEVICE};
	ck_assert_int_eq(dma_xfer_map(&pool, &x, &l, 0), -EINVAL);
	ck_assert_uint_eq(pool.n_free, CHUNKS);
}
END_TEST

START_TEST(segments_obey_their_largest_size)
{
	struct dma_xfer x = {iov, ARRAY_SIZE(iov), 0, 3 * CHUNK, DMA_FROM_DEVICE};
	struct dma_sgl l = new_sgl(64);

	cut_memory();
	ck_assert_int_eq(dma_xfer_map(&pool, &x, &l, 1000), 0);
	for (uint32_t i = 0; i < l.n; i++)
		ck_assert_uint_le(l.seg[i].len, 1000);
	dma_xfer_unmap(&pool, &x, 0);
	/* neighbours melt in a fresh pool */
	l = new_sgl(64);
	ck_assert_int_eq(dma_xfer_map(&pool, &x, &l, 0), 0);
	ck_assert_uint_eq(l.n, 1);
	dma_xfer_unmap(&pool, &x, 0);
}
END_TEST

START_TEST(chunks_of_live_transfers_never_overlap)
{
	struct iovec one = {mem, sizeof(mem)};
	struct dma_xfer x[CHUNKS] = {0};
	bool live[CHUNKS] = {0};
	unsigned used = 0;

	srand(3);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = (unsigned)rand() % CHUNKS;
		uint64_t seen = 0;

		if (live[i]) {
			used -= x[i].n_chunks;
			dma_xfer_unmap(&pool, &x[i], 0);
			live[i] = false;
		} else {
			struct dma_sgl l = new_sgl(64);
			uint32_t len = (uint32_t)rand() % (4 * CHUNK);
			bool fits = DIV_ROUND_UP(len, CHUNK) <= CHUNKS - used;

			x[i] = (struct dma_xfer){&one, 1, 0, len, DMA_FROM_DEVICE};
			ck_assert_int_eq(dma_xfer_map(&pool, &x[i], &l, 0), fits ? 0 : -EAGAIN);
			used += fits ? x[i].n_chunks : 0;
			live[i] = fits;
		}
		for (unsigned k = 0; k < CHUNKS; k++)
			for (unsigned c = 0; live[k] && c < x[k].n_chunks; c++) {
				if (x[k].chunk[c] >= CHUNKS || seen & 1u << x[k].chunk[c])
					ck_abort_msg("chunk %u is given out twice", x[k].chunk[c]);
				seen |= 1u << x[k].chunk[c];
			}
		ck_assert_uint_eq(pool.n_free, CHUNKS - used);
	}
	for (unsigned i = 0; i < CHUNKS; i++)
		dma_xfer_unmap(&pool, &x[i], 0);
}
END_TEST

START_TEST(pool_needs_sensible_chunks)
{
	struct dma_pool p;
	struct err e = {0};

	ck_assert_int_eq(dma_pool_init(&p, &space, 3000, 4, UINT32_MAX, &e), -EINVAL);
	dma_pool_fini(&p);
	ck_assert_int_eq(dma_pool_init(&p, &space, 4096, 0, UINT32_MAX, &e), -EINVAL);
	/* two lists would fit, the address limit lets none */
	ck_assert_int_eq(dma_pool_init(&p, &space, 4096, 4, 0x100000, &e), -ENOSPC);
	ck_assert_ptr_null(p.free_stack);
	dma_pool_fini(&p);
	ck_assert_uint_eq(space.maps, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xfer");
	TCase *tc = tcase_create("xfer");
	SRunner *run;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, write_data_reaches_the_device_from_any_offset);
	tcase_add_test(tc, read_copies_the_valid_bytes_and_touches_no_other);
	tcase_add_test(tc, write_data_is_never_copied_back);
	tcase_add_test(tc, memory_of_a_read_is_not_shown_to_the_device);
	tcase_add_test(tc, unmapping_twice_frees_once);
	tcase_add_test(tc, pool_that_is_empty_for_now_takes_nothing);
	tcase_add_test(tc, what_can_never_fit_is_told_apart_from_what_must_wait);
	tcase_add_test(tc, list_shorter_than_the_transfer_is_refused);
	tcase_add_test(tc, segments_obey_their_largest_size);
	tcase_add_test(tc, chunks_of_live_transfers_never_overlap);
	tcase_add_test(tc, pool_needs_sensible_chunks);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed != 0;
}
