/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One command's data through bounce chunks. Chunks hold what earlier commands left in them: the caller says
 * how many bytes of a read are valid, and only those leave the pool.
 */
#include "dma.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int dma_pool_init(
	struct dma_pool *p, struct dma_space *s, uint32_t chunk, uint32_t n, uint64_t limit, struct err *e)
{
	int r;

	*p = (struct dma_pool){.arena.memfd = -1, .chunk = chunk};
	if (!chunk || (chunk & (chunk - 1)) || !n)
		return err_set(e, -EINVAL, "bounce pool: %u chunks of %u bytes", n, chunk);
	p->free_stack = calloc(n, sizeof(*p->free_stack));
	if (!p->free_stack)
		return err_set(e, -ENOMEM, "bounce pool: out of memory");
	/* Aligned to its size, so that no chunk crosses a boundary of a power of two that is not smaller. */
	r = dma_arena_alloc(s, "hbad-bounce", (uint64_t)chunk * n, chunk, limit, &p->arena, e);
	if (r < 0) {
		dma_pool_fini(p);
		return r;
	}
	p->n = p->n_free = n;
	/* Lowest on top: chunks taken together are then neighbours and melt into one segment. */
	for (uint32_t i = 0; i < n; i++)
		p->free_stack[i] = n - 1 - i;
	return 0;
}

void dma_pool_fini(struct dma_pool *p)
{
	dma_arena_free(&p->arena);
	free(p->free_stack);
	*p = (struct dma_pool){.arena.memfd = -1};
}

/* A place in an iovec list. */
struct cursor {
	const struct iovec *iov;
	uint32_t left; /* entries from iov on */
	size_t off;    /* in *iov */
};

/* Moves over n bytes; false when the list ends before. */
static bool cursor_skip(struct cursor *c, uint64_t n)
{
	while (n) {
		size_t here;

		if (!c->left)
			return false;
		here = c->iov->iov_len - c->off;
		if (n < here) {
			c->off += (size_t)n;
			return true;
		}
		n -= here;
		c->iov++;
		c->left--;
		c->off = 0;
	}
	return true;
}

/* Copies n bytes between the list and buf; the caller made sure that the list holds them. */
static void cursor_copy(struct cursor *c, uint8_t *buf, uint32_t n, bool to_list)
{
	while (n) {
		size_t here = c->iov->iov_len - c->off;
		uint8_t *at = (uint8_t *)c->iov->iov_base + c->off;

		if (!here) {
			c->iov++;
			c->left--;
			c->off = 0;
			continue;
		}
		here = MIN(here, n);
		if (to_list)
			memcpy(at, buf, here);
		else
			memcpy(buf, at, here);
		c->off += here;
		buf += here;
		n -= (uint32_t)here;
	}
}

/* Copies the first n bytes of the transfer between its chunks and its iovecs. */
static void copy_chunks(struct dma_pool *p, const struct dma_xfer *x, uint32_t n, bool to_list)
{
	struct cursor c = {x->iov, x->niov, 0};

	if (!n)
		return;
	cursor_skip(&c, x->offset);
	for (uint32_t i = 0; n; i++) {
		uint32_t part = MIN(n, p->chunk);

		cursor_copy(&c, p->arena.cpu + (uint64_t)x->chunk[i] * p->chunk, part, to_list);
		n -= part;
	}
}

/* Most segments that len bytes can need, when no two chunks are neighbours. The answer must not depend on
 * which chunks happen to be free: a command that does not fit would otherwise fail only now and then. */
static uint64_t most_segs(const struct dma_pool *p, uint32_t len, uint32_t max_seg)
{
	uint32_t seg = max_seg ? MIN(max_seg, p->chunk) : p->chunk;
	uint64_t whole = len / p->chunk, rest = len % p->chunk;

	return whole * DIV_ROUND_UP((uint64_t)p->chunk, seg) + DIV_ROUND_UP(rest, seg);
}

static void put_chunks(struct dma_pool *p, struct dma_xfer *x)
{
	assert(x->n_chunks <= p->n - p->n_free);
	/* Reverse order of taking, so that they lie on the stack as before. */
	while (x->n_chunks)
		p->free_stack[p->n_free++] = x->chunk[--x->n_chunks];
}

int dma_xfer_map(struct dma_pool *p, struct dma_xfer *x, struct dma_sgl *sgl, uint32_t max_seg)
{
	struct cursor c = {x->iov, x->niov, 0};
	uint64_t need = DIV_ROUND_UP((uint64_t)x->len, p->chunk);
	uint32_t left = x->len;

	x->n_chunks = 0;
	if (sgl->n)
		return -EINVAL;
	if (!cursor_skip(&c, x->offset) || !cursor_skip(&c, x->len))
		return -EINVAL;
	if (need > p->n || need > DMA_XFER_MAX_CHUNKS || most_segs(p, x->len, max_seg) > sgl->cap)
		return -E2BIG;
	if (need > p->n_free)
		return -EAGAIN;
	while (left) {
		uint32_t part = MIN(left, p->chunk), id = p->free_stack[--p->n_free];

		x->chunk[x->n_chunks++] = id;
		if (dma_sgl_add(sgl, p->arena.iova + (uint64_t)id * p->chunk, part, max_seg, 0) < 0)
			goto undo;
		left -= part;
	}
	if (x->dir == DMA_TO_DEVICE)
		copy_chunks(p, x, x->len, false);
	return 0;
undo:
	/* Not reached while most_segs() tells the truth; if it ever lies, nothing is lost. */
	put_chunks(p, x);
	sgl->n = 0;
	sgl->bytes = 0;
	return -E2BIG;
}

void dma_xfer_unmap(struct dma_pool *p, struct dma_xfer *x, uint32_t valid)
{
	if (!x->n_chunks)
		return;
	if (x->dir == DMA_FROM_DEVICE)
		copy_chunks(p, x, MIN(valid, x->len), true);
	put_chunks(p, x);
}
