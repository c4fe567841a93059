/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lazily touched element pools. */
#include "pool.h"

#include <errno.h>
#include <sys/mman.h>

void *pool_map(size_t bytes)
{
	void *p =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* A short-lived child must not make us copy pages on the I/O path. */
	madvise(p, bytes, MADV_DONTFORK);
	return p;
}

void pool_unmap(void *p, size_t bytes)
{
	if (p)
		munmap(p, bytes);
}

int pool_init(struct pool *p, size_t elem_size, uint32_t cap)
{
	*p = (struct pool){.elem_size = elem_size, .cap = cap};
	if (!cap)
		return 0;
	p->mem = pool_map(elem_size * cap);
	p->free_stack = pool_map(sizeof(*p->free_stack) * cap);
	if (p->mem && p->free_stack)
		return 0;
	pool_fini(p);
	return -ENOMEM;
}

void pool_fini(struct pool *p)
{
	pool_unmap(p->mem, p->elem_size * p->cap);
	pool_unmap(p->free_stack, sizeof(*p->free_stack) * p->cap);
	*p = (struct pool){0};
}

void pool_prefault(struct pool *p, uint32_t n)
{
	const size_t page = 4096;
	size_t bytes = p->elem_size * MIN(n, p->cap);

	/* Writes: a read would only map the zero page. */
	for (size_t at = 0; at < bytes; at += page)
		((volatile uint8_t *)p->mem)[at] = 0;
	bytes = sizeof(*p->free_stack) * MIN(n, p->cap);
	for (size_t at = 0; at < bytes; at += page)
		((volatile uint8_t *)p->free_stack)[at] = 0;
}

uint32_t pool_get(struct pool *p)
{
	if (p->n_free)
		return p->free_stack[--p->n_free];
	return p->fresh < p->cap ? p->fresh++ : POOL_NONE;
}

void pool_put(struct pool *p, uint32_t i)
{
	assert(i < p->fresh && p->n_free < p->fresh);
	p->free_stack[p->n_free++] = i;
}
