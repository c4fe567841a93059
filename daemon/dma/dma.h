/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that a device can reach: arenas (mapped once), bounce chunks, and scatter-gather lists.
 *
 * Set-up calls belong to the control thread before the I/O thread runs, or after it has ended. dma_xfer_*
 * belong to the one I/O thread that owns the pool; they neither allocate nor lock. Rule of release: the
 * device must be quiet (bus mastering off, or reset) before an arena is freed.
 */
#ifndef HBAD_DMA_DMA_H
#define HBAD_DMA_DMA_H

#include <sys/uio.h>
#include "iova.h"
#include "pci/pci.h"

struct dma_space {
	struct pci_dev *pci;
	struct iova_space iova;
	uint32_t maps, maps_limit; /* entries in use in the IOMMU container, and how many it takes */
};

void dma_space_init(struct dma_space *s, struct pci_dev *pci);

/* Physically contiguous for the device, page aligned, zeroed, locked, in a memfd, not inherited by children. */
struct dma_arena {
	struct dma_space *space;
	uint8_t *cpu;
	uint64_t iova;
	uint64_t size;
	int memfd;
};

/* align: of the IOVA, a power of two, 0 for a page. limit: highest address the device can use. The error
 * names the memlock limit when that is the cause. On failure *ret is zeroed with memfd -1. */
int dma_arena_alloc(struct dma_space *s, const char *name, uint64_t size, uint64_t align, uint64_t limit,
	struct dma_arena *ret, struct err *e);
void dma_arena_free(struct dma_arena *a); /* zeroed or freed ones are fine */

/* --- from one process to the next --- */

/* For dma_arena_adopt(): lets go of the memory, which stays mapped for the device. Zeroed or freed ones are fine. */
void dma_arena_leave(struct dma_arena *a);
/* An arena that another process has left: its descriptor, which *memfd loses on success only, and where the device finds
 * it. Neither is believed: it must be a sealed memory file of exactly this size, and all of the addresses below limit
 * and free. */
int dma_arena_adopt(struct dma_space *s, const char *name, int *memfd, uint64_t iova, uint64_t size,
	uint64_t limit, struct dma_arena *ret, struct err *e);

/* --- scatter-gather lists --- */

struct dma_seg {
	uint64_t addr;
	uint32_t len;
};

struct dma_sgl {
	struct dma_seg *seg; /* the request's, cap entries */
	uint32_t n, cap;
	uint64_t bytes;
};

/* Appends; merges with the last segment when adjacent; splits at max_seg bytes (0: no limit) and so that no
 * segment crosses a multiple of boundary (0: none). -E2BIG when cap is not enough; the list is then
 * unchanged. */
int dma_sgl_add(struct dma_sgl *l, uint64_t addr, uint64_t len, uint32_t max_seg, uint64_t boundary);

/* --- transfers: an iovec list made reachable for the device --- */

enum dma_dir { DMA_NONE, DMA_TO_DEVICE, DMA_FROM_DEVICE };

/* Fixed-size bounce chunks in one arena. */
struct dma_pool {
	struct dma_arena arena;
	uint32_t chunk; /* bytes, power of two */
	uint32_t n, n_free;
	uint32_t *free_stack;
};

int dma_pool_init(
	struct dma_pool *p, struct dma_space *s, uint32_t chunk, uint32_t n, uint64_t limit, struct err *e);
void dma_pool_fini(struct dma_pool *p);

#define DMA_XFER_MAX_CHUNKS 128

/* One command's data. The caller fills the first group and owns the iovecs until unmap. */
struct dma_xfer {
	const struct iovec *iov;
	uint32_t niov;
	uint64_t offset; /* bytes to skip at the start of the list: a piece of a split command */
	uint32_t len;	 /* bytes to move; the list must hold offset + len */
	enum dma_dir dir;
	/* private */
	uint32_t n_chunks;
	uint32_t chunk[DMA_XFER_MAX_CHUNKS];
};

/* Makes the data reachable and fills sgl (which must be empty, with room). TO_DEVICE data is copied now.
 * -EAGAIN: no chunk is free now, nothing was taken; -E2BIG: more than the pool or sgl can ever hold;
 * -EINVAL: the iovecs hold less than offset + len. This one file is where zero copy will go. */
int dma_xfer_map(struct dma_pool *p, struct dma_xfer *x, struct dma_sgl *sgl, uint32_t max_seg);
/* The device is done with it. FROM_DEVICE: the first valid bytes (at most len) are copied to the iovecs,
 * nothing else in them is touched. Idempotent. */
void dma_xfer_unmap(struct dma_pool *p, struct dma_xfer *x, uint32_t valid);

#endif
