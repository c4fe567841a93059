/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mapped registers that the kernel takes back: a file that shrinks below its mapping faults like them. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pci/barguard.h"
#include "pci/pci.h"

#define PAGES 4

static size_t page;
static int file, wake;
static uint8_t *map;
static struct pci_dev dev;

static void setup(void)
{
	page = (size_t)sysconf(_SC_PAGESIZE);
	file = memfd_create("bar", MFD_CLOEXEC);
	wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(file, (off_t)(PAGES * page)), 0);
	map = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	dev = (struct pci_dev){.bar[1] = {.size = PAGES * page, .map = map, .map_len = PAGES * page}};
	barguard_add(map, PAGES * page, wake);
}

static void teardown(void)
{
	barguard_remove(map);
	munmap(map, PAGES * page);
	close(file);
	close(wake);
}

static bool woken(void)
{
	uint64_t n;

	return read(wake, &n, sizeof(n)) == sizeof(n);
}

START_TEST(registers_that_are_gone_read_all_ones_and_say_so_once_a_page)
{
	pci_write32(&dev, 1, 8, 0x12345678);
	ck_assert_uint_eq(pci_read32(&dev, 1, 8), 0x12345678);
	ck_assert(!woken());
	ck_assert_int_eq(ftruncate(file, 0), 0);
	ck_assert_uint_eq(pci_read32(&dev, 1, 8), UINT32_MAX);
	ck_assert(woken());
	ck_assert_uint_eq(pci_read32(&dev, 1, page - 4), UINT32_MAX);
	ck_assert(!woken());
	ck_assert_uint_eq(pci_read32(&dev, 1, (PAGES - 1) * page), UINT32_MAX);
	ck_assert(woken());
}
END_TEST

START_TEST(a_write_to_registers_that_are_gone_harms_nobody)
{
	ck_assert_int_eq(ftruncate(file, 0), 0);
	pci_write32(&dev, 1, 64, 0);
	ck_assert(woken());
	ck_assert_uint_eq(pci_read32(&dev, 1, 68), UINT32_MAX);
}
END_TEST

static void *reader(void *arg)
{
	uint32_t seen = 0;

	for (unsigned i = 0; i < 200000; i++)
		seen |= pci_read32(&dev, 1, (i % PAGES) * page + 16);
	return (void *)(uintptr_t)seen;
}

/* Zeros (what the registers held) or ones, never a fault, whoever is first. */
START_TEST(two_threads_may_notice_together)
{
	pthread_t t[2];

	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, reader, NULL), 0);
	ck_assert_int_eq(ftruncate(file, 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		void *seen;

		pthread_join(t[i], &seen);
		ck_assert((uintptr_t)seen == 0 || (uintptr_t)seen == UINT32_MAX);
	}
	ck_assert_uint_eq(pci_read32(&dev, 1, 16), UINT32_MAX);
}
END_TEST

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
/* AddressSanitizer reports it in its own way. */
#ifndef __SANITIZE_ADDRESS__
/* The signal of other memory kills as ever. */
START_TEST(memory_that_is_not_guarded_faults)
{
	barguard_remove(map);
	ck_assert_int_eq(ftruncate(file, 0), 0);
	pci_read32(&dev, 1, 8);
}
END_TEST
#endif

int main(void)
{
	Suite *s = suite_create("barguard");
	TCase *c = tcase_create("barguard");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, registers_that_are_gone_read_all_ones_and_say_so_once_a_page);
	tcase_add_test(c, a_write_to_registers_that_are_gone_harms_nobody);
	tcase_add_test(c, two_threads_may_notice_together);
#ifndef __SANITIZE_ADDRESS__
	tcase_add_test_raise_signal(c, memory_that_is_not_guarded_faults, SIGBUS);
#endif
	suite_add_tcase(s, c);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
