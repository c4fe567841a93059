/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this process holds of the kernel and of the heap. */
#ifndef HBAD_TESTS_SOAK_LEAKS_H
#define HBAD_TESTS_SOAK_LEAKS_H

#include <stddef.h>

struct leaks {
	unsigned fds, threads, shared; /* shared: mappings of memory that a device or a ring may use */
	size_t heap;		       /* 0 where the allocator does not tell */
};

struct leaks leaks_count(void);
/* Says what grew, if anything did. */
void leaks_compare(const struct leaks *before, const struct leaks *now);

#endif
