/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arenas and the address space they live in; each step of set-up made to fail. */
#include "daemon/dma/arena.c"

#include <check.h>
#include <stdlib.h>

#include "fake_pci.h"
#include "../pci/drop_caps.h"
#include "open_fds.h"

static unsigned count_mappings(const char *name)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned n = 0;

	while (fgets(line, sizeof(line), f))
		n += strstr(line, name) != NULL;
	fclose(f);
	return n;
}

static struct fake_pci pci;
static struct dma_space space;

static void setup(void)
{
	fake_pci_init(&pci);
	dma_space_init(&space, &pci.dev);
}

/* --- system calls that fail on demand; errno, 0: works --- */
static struct {
	int memfd, size, seal, map, lock, advise;
} fails;

static int refuse(int err)
{
	errno = err;
	return -1;
}
static int t_memfd(const char *name, unsigned flags)
{
	return fails.memfd ? refuse(fails.memfd) : memfd_create(name, flags);
}
static int t_ftruncate(int fd, off_t len)
{
	return fails.size ? refuse(fails.size) : ftruncate(fd, len);
}
static int t_seal(int fd, int seals)
{
	return fails.seal ? refuse(fails.seal) : seal_memfd(fd, seals);
}
static void *t_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (fails.map) {
		errno = fails.map;
		return MAP_FAILED;
	}
	return mmap(addr, len, prot, flags, fd, off);
}
static int t_mlock(const void *addr, size_t len)
{
	return fails.lock ? refuse(fails.lock) : 0;
}
static int t_madvise(void *addr, size_t len, int advice)
{
	return fails.advise ? refuse(fails.advise) : madvise(addr, len, advice);
}
static const struct arena_sys t_sys = {t_memfd, t_ftruncate, t_seal, t_mmap, t_mlock, t_madvise};

static const struct failure {
	const char *step;
	int *err;
	int value, code;
	const char *text;
} failures[] = {
	{"memfd", &fails.memfd, EMFILE, -EMFILE, "memory file"},
	{"size", &fails.size, ENOSPC, -ENOSPC, "size"},
	{"seal", &fails.seal, EPERM, -EPERM, "seal"},
	{"map", &fails.map, EAGAIN, -ENOMEM, "lock 32 KiB"},
	{"lock", &fails.lock, ENOMEM, -ENOMEM, "lock 32 KiB"},
	{"advise", &fails.advise, EINVAL, -EINVAL, "map 16 KiB"},
	{"dma map", &pci.map_fails, ENOMEM, -ENOMEM, "fake map failure"},
};

START_TEST(failing_step_gives_everything_back)
{
	const struct failure *f = &failures[_i];
	uint64_t free_before = iova_free_bytes(&space.iova);
	unsigned fds = open_fds();
	struct dma_arena a;
	struct err e = {0};

	*f->err = f->value;
	ck_assert_int_eq(
		arena_alloc(&t_sys, &space, "hbad-test-fail", 16384, 0, UINT64_MAX, &a, &e), f->code);
	ck_assert_msg(
		strstr(e.text, f->text) && strstr(e.text, "arena hbad-test-fail"), "%s: %s", f->step, e.text);
	ck_assert_uint_eq(open_fds(), fds);
	ck_assert_uint_eq(count_mappings("hbad-test-fail"), 0);
	ck_assert_uint_eq(iova_free_bytes(&space.iova), free_before);
	ck_assert_uint_eq(space.maps, 0);
	ck_assert_uint_eq(pci.n, 0);
	ck_assert(!a.cpu && a.memfd == -1 && !a.size);
	dma_arena_free(&a);
	/* and with the cause gone it works */
	*f->err = 0;
	ck_assert_int_eq(arena_alloc(&t_sys, &space, "hbad-test-fail", 16384, 0, UINT64_MAX, &a, &e), 0);
	dma_arena_free(&a);
	ck_assert_uint_eq(open_fds(), fds);
}
END_TEST

START_TEST(memory_that_nobody_pins_need_not_be_locked)
{
	struct dma_arena a;
	struct err e = {0};

	pci.dev.dma_unpinned = true;
	fails.lock = ENOMEM;
	ck_assert_msg(arena_alloc(&t_sys, &space, "t", 16384, 0, UINT64_MAX, &a, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(pci.map[0].size, 16384);
	dma_arena_free(&a);
	/* that it stays out of children is needed all the same */
	fails.advise = EINVAL;
	ck_assert_int_eq(arena_alloc(&t_sys, &space, "t", 16384, 0, UINT64_MAX, &a, &e), -EINVAL);
	fails.lock = fails.advise = 0;
}
END_TEST

START_TEST(arena_is_zeroed_mapped_sealed_and_given_back)
{
	uint64_t free_before = iova_free_bytes(&space.iova);
	unsigned fds = open_fds();
	struct dma_arena a;
	struct err e = {0};

	ck_assert_msg(
		dma_arena_alloc(&space, "hbad-test-ok", 5000, 0, UINT64_MAX, &a, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(a.size, 8192);
	ck_assert_uint_eq(a.iova, 0x100000);
	for (unsigned i = 0; i < a.size; i++)
		if (a.cpu[i])
			ck_abort_msg("byte %u is not zero", i);
	ck_assert_uint_eq(pci.n, 1);
	ck_assert_ptr_eq(pci.map[0].vaddr, a.cpu);
	ck_assert_uint_eq(pci.map[0].size, 8192);
	ck_assert_int_eq(pci.map[0].memfd, a.memfd);
	ck_assert_uint_eq(space.maps, 1);
	/* whoever gets the descriptor cannot pull the memory from under us */
	ck_assert_int_eq(ftruncate(a.memfd, 0), -1);
	ck_assert_uint_eq(count_mappings("hbad-test-ok"), 1);
	dma_arena_free(&a);
	dma_arena_free(&a);
	ck_assert_uint_eq(count_mappings("hbad-test-ok"), 0);
	ck_assert_uint_eq(open_fds(), fds);
	ck_assert_uint_eq(iova_free_bytes(&space.iova), free_before);
	ck_assert_uint_eq(space.maps, 0);
}
END_TEST

START_TEST(zeroed_arena_can_be_freed)
{
	struct dma_arena a = {0};
	unsigned fds = open_fds();

	/* memfd is 0 there: standard input must survive */
	dma_arena_free(&a);
	ck_assert_uint_eq(open_fds(), fds);
}
END_TEST

START_TEST(arena_obeys_alignment_and_limit)
{
	struct dma_arena a, b;
	struct err e = {0};

	ck_assert_int_eq(dma_arena_alloc(&space, "t", 4096, 1 << 22, UINT64_MAX, &a, &e), 0);
	ck_assert_uint_eq(a.iova, 0x400000);
	ck_assert_int_eq(dma_arena_alloc(&space, "t", 8192, 0, 0x100fff, &b, &e), -ENOSPC);
	ck_assert_msg(strstr(e.text, "0x100fff"), "%s", e.text);
	ck_assert_int_eq(dma_arena_alloc(&space, "t", 4096, 0, 0x100fff, &b, &e), 0);
	ck_assert_uint_eq(b.iova, 0x100000);
	dma_arena_free(&b);
	dma_arena_free(&a);
	ck_assert_int_eq(dma_arena_alloc(&space, "t", 0, 0, UINT64_MAX, &a, &e), -EINVAL);
	ck_assert_int_eq(dma_arena_alloc(&space, "t", 4096, 3, UINT64_MAX, &a, &e), -EINVAL);
	ck_assert_int_eq(dma_arena_alloc(&space, "t", UINT64_MAX, 0, UINT64_MAX, &a, &e), -EINVAL);
}
END_TEST

START_TEST(entry_limit_is_named)
{
	struct dma_arena a[9];
	struct err e = {0};

	for (unsigned i = 0; i < 8; i++)
		ck_assert_int_eq(dma_arena_alloc(&space, "t", 4096, 0, UINT64_MAX, &a[i], &e), 0);
	ck_assert_int_eq(dma_arena_alloc(&space, "t", 4096, 0, UINT64_MAX, &a[8], &e), -ENOSPC);
	ck_assert_msg(strstr(e.text, "dma_entry_limit"), "%s", e.text);
	dma_arena_free(&a[3]);
	ck_assert_int_eq(dma_arena_alloc(&space, "t", 4096, 0, UINT64_MAX, &a[3], &e), 0);
	for (unsigned i = 0; i < 8; i++)
		dma_arena_free(&a[i]);
}
END_TEST

START_TEST(address_that_stays_mapped_is_not_given_out_again)
{
	struct dma_arena a, b;
	struct err e = {0};

	ck_assert_int_eq(dma_arena_alloc(&space, "t", 4096, 0, UINT64_MAX, &a, &e), 0);
	pci.unmap_fails = EIO;
	dma_arena_free(&a);
	pci.unmap_fails = 0;
	ck_assert_uint_eq(space.maps, 1);
	ck_assert_int_eq(dma_arena_alloc(&space, "t", 4096, 0, UINT64_MAX, &b, &e), 0);
	ck_assert_uint_eq(b.iova, 0x101000);
	dma_arena_free(&b);
}
END_TEST

START_TEST(memlock_error_names_limit_sum_and_cure)
{
	struct err e = {0};

	memlock_limit(65536);
	ck_assert_int_eq(pci_memlock_error(&e, -ENOMEM, 10 << 20), -ENOMEM);
	ck_assert_msg(strstr(e.text, "lock 10240 KiB") && strstr(e.text, "limit is 64 KiB") &&
			      strstr(e.text, "LimitMEMLOCK=infinity"),
		"%s", e.text);
}
END_TEST

START_TEST(memlock_error_blames_no_limit_that_does_not_bind)
{
	struct err e = {0};

	/* as root the limit does not count; without it there is none to name */
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(pci_memlock_error(&e, -ENOMEM, 4096), -ENOMEM);
	ck_assert_msg(strstr(e.text, "not enough memory is free") && !strstr(e.text, "limit"), "%s", e.text);
}
END_TEST

/* The sanitizers' mlock does nothing. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
START_TEST(real_lock_limit_is_met)
{
	struct dma_arena a;
	struct err e = {0};

	memlock_limit(65536);
	ck_assert_int_eq(dma_arena_alloc(&space, "t", 1 << 20, 0, UINT64_MAX, &a, &e), -ENOMEM);
	ck_assert_msg(strstr(e.text, "limit is 64 KiB") != NULL, "%s", e.text);
	ck_assert_uint_eq(space.maps, 0);
}
END_TEST

#endif

START_TEST(space_keeps_only_whole_pages)
{
	struct dma_space s;

	pci.dev.dma_page = 0x10000;
	pci.dev.iova[0] = (struct pci_iova_range){0x1000, 0xfeff}; /* no whole page */
	pci.dev.iova[1] = (struct pci_iova_range){0x18000, 0x4ffff};
	pci.dev.iova[2] = (struct pci_iova_range){0x60000, 0x80000};
	pci.dev.iova[3] = (struct pci_iova_range){UINT64_MAX - 0x1ffff, UINT64_MAX};
	pci.dev.iova[4] = (struct pci_iova_range){0, 0x7fff};
	pci.dev.n_iova = 5;
	dma_space_init(&s, &pci.dev);
	ck_assert_uint_eq(s.iova.n, 3);
	ck_assert_uint_eq(s.iova.range[0].first, 0x20000);
	ck_assert_uint_eq(s.iova.range[0].last, 0x4ffff);
	ck_assert_uint_eq(s.iova.range[1].first, 0x60000);
	ck_assert_uint_eq(s.iova.range[1].last, 0x7ffff);
	ck_assert_uint_eq(s.iova.range[2].first, UINT64_MAX - 0x1ffff);
	ck_assert_uint_eq(s.iova.range[2].last, UINT64_MAX);
	ck_assert_uint_eq(s.maps_limit, 8);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("arena");
	TCase *tc = tcase_create("arena");
	SRunner *run;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, failing_step_gives_everything_back, 0, ARRAY_SIZE(failures));
	tcase_add_test(tc, memory_that_nobody_pins_need_not_be_locked);
	tcase_add_test(tc, arena_is_zeroed_mapped_sealed_and_given_back);
	tcase_add_test(tc, zeroed_arena_can_be_freed);
	tcase_add_test(tc, arena_obeys_alignment_and_limit);
	tcase_add_test(tc, entry_limit_is_named);
	tcase_add_test(tc, address_that_stays_mapped_is_not_given_out_again);
	tcase_add_test(tc, memlock_error_names_limit_sum_and_cure);
	tcase_add_test(tc, memlock_error_blames_no_limit_that_does_not_bind);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	tcase_add_test(tc, real_lock_limit_is_met);
#endif
	tcase_add_test(tc, space_keeps_only_whole_pages);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed != 0;
}
