/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A PCI transport that only keeps book of DMA mappings, and fails when it is told to. */
#ifndef HBAD_TEST_FAKE_PCI_H
#define HBAD_TEST_FAKE_PCI_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dma/dma.h"

#define FAKE_MAPS 16

struct fake_pci {
	struct pci_dev dev;
	int map_fails, unmap_fails; /* errno, 0: works */
	struct {
		void *vaddr;
		uint64_t iova, size;
		int memfd;
	} map[FAKE_MAPS];
	unsigned n;
};

static int fake_dma_map(struct pci_dev *dev, void *vaddr, uint64_t size, uint64_t iova, int memfd,
	uint64_t offset, struct err *e)
{
	struct fake_pci *f = container_of(dev, struct fake_pci, dev);

	if (f->map_fails)
		return err_set(e, -f->map_fails, "fake map failure");
	f->map[f->n].vaddr = vaddr;
	f->map[f->n].iova = iova;
	f->map[f->n].size = size;
	f->map[f->n++].memfd = memfd;
	return 0;
}

static int fake_dma_unmap(struct pci_dev *dev, uint64_t iova, uint64_t size)
{
	struct fake_pci *f = container_of(dev, struct fake_pci, dev);

	if (f->unmap_fails)
		return -f->unmap_fails;
	for (unsigned i = 0; i < f->n; i++)
		if (f->map[i].iova == iova && f->map[i].size == size) {
			f->map[i] = f->map[--f->n];
			return 0;
		}
	return -EINVAL;
}

static const struct pci_ops fake_pci_ops = {
	.name = "fake",
	.dma_map = fake_dma_map,
	.dma_unmap = fake_dma_unmap,
};

/* 1 MiB to 2 GiB with a hole like the MSI window, then from 4 GiB to 1 TiB. */
static void fake_pci_init(struct fake_pci *f)
{
	memset(f, 0, sizeof(*f));
	f->dev.ops = &fake_pci_ops;
	f->dev.dma_page = 4096;
	f->dev.dma_map_limit = 8;
	f->dev.iova[0] = (struct pci_iova_range){0x100000, 0x7fffffff};
	f->dev.iova[1] = (struct pci_iova_range){0x100000000, 0xffffffffff};
	f->dev.n_iova = 2;
}

#endif
