/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Address space of a device behind an IOMMU: which I/O virtual addresses are free. Pure: no system calls. */
#ifndef HBAD_DMA_IOVA_H
#define HBAD_DMA_IOVA_H

#include <stdint.h>
#include "base/compiler.h"

#define IOVA_MAX_FREE 512 /* free ranges; more fragments than that are refused, not lost */

struct iova_free {
	uint64_t first, last; /* inclusive */
};

struct iova_space {
	struct iova_free range[IOVA_MAX_FREE]; /* sorted, never touching each other */
	unsigned n;
};

/* Starts empty; ranges may be given in any order and may overlap. Page 0 is never given out,
 * because an address of 0 means "none" to some firmware. */
void iova_init(struct iova_space *s);
int iova_allow(struct iova_space *s, uint64_t first, uint64_t last); /* -EINVAL, -ENOSPC */
/* Takes size bytes (> 0), aligned to align (power of two), with the last byte at or below limit. Lowest fit.
 * *ret_iova untouched on failure (-ENOSPC, -EINVAL). */
int iova_take(struct iova_space *s, uint64_t size, uint64_t align, uint64_t limit, uint64_t *ret_iova);
/* Takes exactly these. -ENOSPC: not all of them are free; -EINVAL. */
int iova_take_at(struct iova_space *s, uint64_t iova, uint64_t size);
/* Gives back exactly what was taken. -EINVAL when it overlaps something free; -ENOSPC when that would
 * be one fragment too many: it then stays taken. */
int iova_put(struct iova_space *s, uint64_t iova, uint64_t size);
uint64_t iova_free_bytes(const struct iova_space *s);

#endif
