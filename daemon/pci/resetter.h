/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reset of a function that nobody has to wait for: a thread of its own does. The kernel may take a minute for one (Linux,
 * drivers/pci/pci.c, pci_dev_wait() with PCIE_RESET_READY_POLL_MS), and who touches the function meanwhile, its
 * configuration space or its registers, waits for the end of it (pci_cfg_access_trylock(); memory_lock in
 * drivers/vfio/pci/vfio_pci_core.c). So does who speaks to a vfio-user server, which works in order.
 */
#ifndef HBAD_PCI_RESETTER_H
#define HBAD_PCI_RESETTER_H

#include "pci.h"

struct pci_resetter;

/* May block, and allocates. dev must outlive the thread. -errno with a sentence. */
int pci_resetter_start(struct pci_dev *dev, struct pci_resetter **ret, struct err *e);
/* false: a reset is under way, the thread stays, and so must everything that it uses. May block for moments. NULL is fine. */
bool pci_resetter_stop(struct pci_resetter *r);

/* The rest never blocks. One thread at a time, in an order that its callers see to. */

/* -EBUSY: one is under way. From 0 on until pci_resetter_result() has another answer, nothing of dev may be touched. */
int pci_resetter_begin(struct pci_resetter *r);
/* -EINPROGRESS; else what pci_reset() said last, with its sentence in *e (may be NULL). -ENODATA: there was none. */
int pci_resetter_result(const struct pci_resetter *r, struct err *e);
/* Since the last one was begun. */
uint64_t pci_resetter_age_ns(const struct pci_resetter *r);

#endif
