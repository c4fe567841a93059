/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scatter-gather lists: as few segments as the controller's limits allow. */
#include "dma.h"

#include <errno.h>

/* A segment's length has 32 bits; stay page aligned below that. */
#define SEG_MAX UINT32_C(0xfffff000)

/* How many bytes a segment that starts at addr may have. */
static uint64_t seg_room(uint64_t addr, uint32_t max_seg, uint64_t boundary)
{
	uint64_t room = max_seg ? max_seg : SEG_MAX;

	if (boundary)
		room = MIN(room, boundary - addr % boundary);
	return room;
}

/* Bytes that melt into the last segment, 0 when addr does not continue it. */
static uint32_t grow_last(struct dma_sgl *l, uint64_t addr, uint64_t len, uint32_t max_seg, uint64_t boundary)
{
	struct dma_seg *last;
	uint64_t room;

	if (!l->n)
		return 0;
	last = &l->seg[l->n - 1];
	room = seg_room(last->addr, max_seg, boundary);
	/* Other limits may have held when that segment was made: then it has no room left. */
	if (last->addr + last->len != addr || room <= last->len)
		return 0;
	len = MIN(len, room - last->len);
	last->len += (uint32_t)len;
	return (uint32_t)len;
}

int dma_sgl_add(struct dma_sgl *l, uint64_t addr, uint64_t len, uint32_t max_seg, uint64_t boundary)
{
	uint32_t n_before = l->n, grown;
	uint64_t left = len;

	if (!len)
		return 0;
	if (addr + (len - 1) < addr)
		return -EINVAL;
	grown = grow_last(l, addr, left, max_seg, boundary);
	addr += grown;
	left -= grown;
	while (left) {
		uint64_t part = MIN(left, seg_room(addr, max_seg, boundary));

		if (l->n == l->cap)
			goto undo;
		l->seg[l->n++] = (struct dma_seg){.addr = addr, .len = (uint32_t)part};
		addr += part;
		left -= part;
	}
	l->bytes += len;
	return 0;
undo:
	l->n = n_before;
	if (grown)
		l->seg[n_before - 1].len -= grown;
	return -E2BIG;
}
