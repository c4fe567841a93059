/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arenas that another process has left: what does not fit is refused and stays the caller's. */
#include <check.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_pci.h"
#include "tests/unit/run_suite.h"

#define SIZE 8192

static struct fake_pci pci;
static struct dma_space space;
static struct dma_arena arena;
static struct err e;

/* An arena that was left: its mapping is there, and arena.memfd a duplicate. */
static void setup(void)
{
	int fd;

	memset(&e, 0, sizeof(e));
	fake_pci_init(&pci);
	dma_space_init(&space, &pci.dev);
	ck_assert_int_eq(dma_arena_alloc(&space, "t", SIZE, 0, UINT32_MAX, &arena, &e), 0);
	strcpy((char *)arena.cpu + 5000, "still there");
	fd = dup(arena.memfd);
	dma_arena_leave(&arena);
	ck_assert_ptr_null(arena.cpu);
	ck_assert_uint_eq(pci.n, 1);
	arena.memfd = fd;
	arena.iova = pci.map[0].iova;
	/* Another process's: it knows of nothing that is mapped. */
	pci.dev.dma_map_limit = 7;
	dma_space_init(&space, &pci.dev);
}

static void teardown(void)
{
	if (arena.memfd >= 0)
		close(arena.memfd);
}

/* H11: frames lie in memory that is handed over, at the addresses that the controller knows. */
START_TEST(memory_is_as_it_was_left)
{
	struct dma_arena a, b;

	pci.map_fails = EEXIST;
	ck_assert_msg(!dma_arena_adopt(&space, "t", &arena.memfd, arena.iova, SIZE, UINT32_MAX, &a, &e), "%s",
		e.text);
	ck_assert_int_eq(arena.memfd, -1);
	ck_assert_str_eq((char *)a.cpu + 5000, "still there");
	ck_assert_uint_eq(pci.n, 1);
	ck_assert_uint_eq(space.maps_limit - space.maps, 7);
	/* Nobody else gets these addresses. */
	pci.map_fails = 0;
	ck_assert_int_eq(dma_arena_alloc(&space, "u", SIZE, 0, UINT32_MAX, &b, &e), 0);
	ck_assert_uint_ge(b.iova, a.iova + SIZE);
	dma_arena_free(&b);
	dma_arena_free(&a);
	ck_assert_uint_eq(pci.n, 0);
	ck_assert_uint_eq(space.maps, 0);
	ck_assert_int_eq(dma_arena_alloc(&space, "u", SIZE, 0, UINT32_MAX, &b, &e), 0);
	ck_assert_uint_eq(b.iova, 0x100000);
	dma_arena_free(&b);
}
END_TEST

START_TEST(a_mapping_that_is_not_there_is_made)
{
	struct dma_arena a;

	pci.n = 0;
	ck_assert_int_eq(dma_arena_adopt(&space, "t", &arena.memfd, arena.iova, SIZE, UINT32_MAX, &a, &e), 0);
	ck_assert_uint_eq(pci.n, 1);
	ck_assert_uint_eq(pci.map[0].iova, arena.iova);
	dma_arena_free(&a);
}
END_TEST

static void refused(int fd, uint64_t iova, uint64_t size, uint64_t limit, int code, const char *word)
{
	uint64_t before = iova_free_bytes(&space.iova);
	struct dma_arena a = {.memfd = 77};
	int mine = fd;

	e.text[0] = '\0';
	ck_assert_int_eq(dma_arena_adopt(&space, "t", &mine, iova, size, limit, &a, &e), code);
	ck_assert_msg(strstr(e.text, word) && strstr(e.text, "arena t"), "%s", e.text);
	ck_assert_int_eq(mine, fd);
	ck_assert_int_eq(a.memfd, -1);
	ck_assert_ptr_null(a.cpu);
	ck_assert_uint_eq(iova_free_bytes(&space.iova), before);
	ck_assert_uint_eq(space.maps, 0);
}

START_TEST(places_that_there_are_not_are_refused)
{
	static const struct {
		uint64_t iova, size, limit;
		int code;
	} bad[] = {
		{0x100000, 0, UINT32_MAX, -EBADF}, /* not the file's size */
		{0x100000, 4096, UINT32_MAX, -EBADF},
		{0x100000, 3 * 4096, UINT32_MAX, -EBADF},
		{0x100000, UINT64_MAX, UINT32_MAX, -EBADF},
		{0x100001, SIZE, UINT32_MAX, -EINVAL},
		{0x100800, SIZE, UINT32_MAX, -EINVAL},
		{0x100000, SIZE, 0x101ffe, -EINVAL}, /* one byte above the limit */
		{0x100000, SIZE, 100, -EINVAL},
		{UINT64_MAX - 4095, SIZE, UINT64_MAX, -EINVAL},
		{0x100000000, SIZE, UINT32_MAX, -EINVAL},
		{0, SIZE, UINT32_MAX, -ENOSPC},
		{0xff000, SIZE, UINT32_MAX, -ENOSPC},
		{0x7ffff000, SIZE, UINT32_MAX, -ENOSPC}, /* over the end of a range */
		{0x80000000, SIZE, UINT32_MAX, -ENOSPC},
		{0xfffffff000, SIZE, UINT64_MAX, -ENOSPC},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		refused(arena.memfd, bad[i].iova, bad[i].size, bad[i].limit, bad[i].code, "");
}
END_TEST

START_TEST(no_two_at_one_place)
{
	struct dma_arena a;
	int fd = dup(arena.memfd);

	pci.map_fails = EEXIST;
	ck_assert_int_eq(dma_arena_adopt(&space, "t", &fd, arena.iova, SIZE, UINT32_MAX, &a, &e), 0);
	ck_assert_int_eq(
		dma_arena_adopt(&space, "u", &arena.memfd, arena.iova + 4096, SIZE, UINT32_MAX, &arena, &e),
		-ENOSPC);
	ck_assert_msg(strstr(e.text, "is taken"), "%s", e.text);
	dma_arena_free(&a);
}
END_TEST

static int file_with(int seals, uint64_t size)
{
	int fd = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

START_TEST(other_files_are_refused)
{
	/* It could shrink under us; it could not be written to; it is no memory file; nothing. */
	int shrinks = file_with(F_SEAL_GROW | F_SEAL_SEAL, SIZE);
	int read_only = file_with(F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_SEAL, SIZE);
	int open_seals = file_with(F_SEAL_GROW | F_SEAL_SHRINK, SIZE);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), for_reading;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", arena.memfd);
	for_reading = open(path, O_RDONLY | O_CLOEXEC);
	refused(shrinks, arena.iova, SIZE, UINT32_MAX, -EBADF, "another file");
	refused(read_only, arena.iova, SIZE, UINT32_MAX, -EBADF, "another file");
	refused(open_seals, arena.iova, SIZE, UINT32_MAX, -EBADF, "another file");
	refused(for_reading, arena.iova, SIZE, UINT32_MAX, -EBADF, "another file");
	refused(null, arena.iova, SIZE, UINT32_MAX, -EBADF, "no memory file");
	refused(-1, arena.iova, SIZE, UINT32_MAX, -EBADF, "no memory file");
	close(shrinks);
	close(read_only);
	close(open_seals);
	close(for_reading);
	close(null);
}
END_TEST

START_TEST(a_container_that_fails_is_told)
{
	pci.map_fails = ENOMEM;
	refused(arena.memfd, arena.iova, SIZE, UINT32_MAX, -ENOMEM, "fake map failure");
}
END_TEST

START_TEST(exact_places_are_taken_and_given_back)
{
	struct iova_space s;

	iova_init(&s);
	iova_allow(&s, 0x10000, 0x1ffff);
	ck_assert_int_eq(iova_take_at(&s, 0x14000, 0x4000), 0);
	ck_assert_uint_eq(s.n, 2);
	ck_assert_int_eq(iova_take_at(&s, 0x14000, 1), -ENOSPC);
	ck_assert_int_eq(iova_take_at(&s, 0x13fff, 2), -ENOSPC);
	ck_assert_int_eq(iova_take_at(&s, 0x17fff, 1), -ENOSPC);
	ck_assert_int_eq(iova_take_at(&s, 0x10000, 0x4000), 0);
	ck_assert_int_eq(iova_take_at(&s, 0x18000, 0x8000), 0);
	ck_assert_uint_eq(s.n, 0);
	ck_assert_int_eq(iova_take_at(&s, 0x10000, 1), -ENOSPC);
	ck_assert_int_eq(iova_take_at(&s, 0x10000, 0), -EINVAL);
	ck_assert_int_eq(iova_take_at(&s, UINT64_MAX, 2), -EINVAL);
	ck_assert_int_eq(iova_put(&s, 0x14000, 0x4000), 0);
	ck_assert_uint_eq(iova_free_bytes(&s), 0x4000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dma adopt");
	TCase *t = tcase_create("adopt");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, memory_is_as_it_was_left);
	tcase_add_test(t, a_mapping_that_is_not_there_is_made);
	tcase_add_test(t, places_that_there_are_not_are_refused);
	tcase_add_test(t, no_two_at_one_place);
	tcase_add_test(t, other_files_are_refused);
	tcase_add_test(t, a_container_that_fails_is_told);
	tcase_add_test(t, exact_places_are_taken_and_given_back);
	suite_add_tcase(s, t);
	return run_suite(s);
}
