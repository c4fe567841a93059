/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client's memory: what it has mapped for DMA, and access to it. Regions with a descriptor are mapped here (each
 * file once, however many regions it has: a virtual IOMMU maps page by page); those without are reached by messages.
 */
#ifndef HBAD_EMU_VU_DMA_H
#define HBAD_EMU_VU_DMA_H

#include "vu_conn.h"

struct vu_file;

struct vu_region {
	uint64_t addr, size;
	uint64_t offset;      /* in file */
	uint32_t flags;	      /* VU_DMA_x */
	struct vu_file *file; /* NULL: by messages */
};

struct vu_dma {
	struct vu_region *region; /* by address */
	uint32_t n, cap;
	struct list files;
};

void vu_dma_init(struct vu_dma *d);
void vu_dma_clear(struct vu_dma *d); /* forgets all */
/* fd (-1: none) stays the caller's. 1: the same mapping was there already. -EEXIST: overlaps another one. -EINVAL:
 * empty, wraps, or beyond the file's end. -EACCES, -ENOMEM... */
int vu_dma_map(struct vu_dma *d, const struct vu_dma_map *m, int fd);
/* -ENOENT: nothing is mapped there. -EINVAL: only a part of a mapping, or more than one. */
int vu_dma_unmap(struct vu_dma *d, uint64_t addr, uint64_t size);
/* Moves bytes from or to the client. -EFAULT: not (wholly) mapped, or against its flags; *ret_at is the first bad
 * address. */
int vu_dma_move(struct vu_dma *d, struct vu_conn *c, uint64_t addr, void *buf, uint32_t len, bool to_client,
	uint64_t *ret_at);

#endif
