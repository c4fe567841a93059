/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Equal elements handed out by index, from address space that costs memory only where it was used: sized for
 * the worst case, which hardly ever comes. Setting up maps; getting and putting never allocate. Not thread
 * safe.
 */
#ifndef HBAD_FRONT_POOL_H
#define HBAD_FRONT_POOL_H

#include "base/compiler.h"

#define POOL_NONE UINT32_MAX

struct pool {
	uint8_t *mem;
	uint32_t *free_stack;
	size_t elem_size;
	uint32_t cap;
	uint32_t fresh;	 /* elements from here on were never used */
	uint32_t n_free; /* on the stack */
};

/* 0 or -ENOMEM. cap 0 makes a pool that is always exhausted. */
int pool_init(struct pool *p, size_t elem_size, uint32_t cap);
void pool_fini(struct pool *p); /* zeroed memory is fine */
/* Takes the page faults of the first n elements now. */
void pool_prefault(struct pool *p, uint32_t n);
/* Index, or POOL_NONE. Most recently freed first, to stay warm; never-used ones only when there is no other.
 * An element keeps its bytes while it is free; a never-used one is zero. */
uint32_t pool_get(struct pool *p);
void pool_put(struct pool *p, uint32_t i);
static inline void *pool_at(const struct pool *p, uint32_t i)
{
	return p->mem + (size_t)i * p->elem_size;
}

/* Zeroed, not reserved, not inherited by children. NULL and errno. */
void *pool_map(size_t bytes);
void pool_unmap(void *p, size_t bytes); /* NULL is fine */

#endif
