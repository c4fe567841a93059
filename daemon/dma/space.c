/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The address space of one device, from what its transport reports. */
#include "dma.h"

void dma_space_init(struct dma_space *s, struct pci_dev *pci)
{
	uint64_t mask = pci->dma_page - 1;

	*s = (struct dma_space){.pci = pci, .maps_limit = pci->dma_map_limit};
	iova_init(&s->iova);
	for (unsigned i = 0; i < pci->n_iova; i++) {
		uint64_t first = pci->iova[i].first, last = pci->iova[i].last;

		/* Only whole pages can be mapped. A range that has none is left out. */
		if (first & mask) {
			if (first > UINT64_MAX - mask)
				continue;
			first = ALIGN_UP(first, mask + 1);
		}
		if ((last & mask) != mask) {
			if (last < mask)
				continue;
			last = ((last + 1) & ~mask) - 1;
		}
		if (first <= last)
			iova_allow(&s->iova, first, last);
	}
}
