/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parts of the DMA memory that nobody has any business in: the address sanitizer, if it is there, watches them. */
#ifndef HBAD_TESTS_FUZZ_REDZONE_H
#define HBAD_TESTS_FUZZ_REDZONE_H

#include <stddef.h>

#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)	  ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

/* p is a multiple of 8. */
static inline void redzone(void *p, size_t n)
{
	ASAN_POISON_MEMORY_REGION(p, n);
}

/* Before the memory is given back: whatever comes to the same place may be used. */
static inline void redzones_off(void *p, size_t n)
{
	ASAN_UNPOISON_MEMORY_REGION(p, n);
}

#endif
