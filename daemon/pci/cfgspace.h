/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private: configuration space at open, the same for every transport. Uses the device's ops table. */
#ifndef HBAD_PCI_CFGSPACE_H
#define HBAD_PCI_CFGSPACE_H

#include "pci.h"

/* Who it is, and DMA off with decoding on. The BARs' sizes must be known. Sentences name dev->uri. */
int cfgspace_open(struct pci_dev *dev, struct err *e);
/* Who it is, of a device that was left with DMA and decoding on; -ESTALE: they are off, so it was reset. */
int cfgspace_import(struct pci_dev *dev, struct err *e);
/* Is it ports instead of memory? */
int cfgspace_bar_is_io(struct pci_dev *dev, unsigned n, bool *ret);
/* Offset of the first capability with that id; 0 when there is none; -errno. */
int cfgspace_find_cap(struct pci_dev *dev, uint8_t id);

#endif
