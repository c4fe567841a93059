/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private: the disks below a PCI function and what uses them. */
#ifndef HBAD_PCI_DISKS_H
#define HBAD_PCI_DISKS_H

#include "sysfs.h"

/* Opens for exclusive use (O_EXCL on a block device claims it): a descriptor, or -errno. A seam for tests. */
typedef int (*disk_claim_fn)(const char *path);
int disk_claim(const char *path);

/* Fills *ret (allocated) with the disks of the function, sorted. Use is looked up, and as the last means by
 * an exclusive open. */
int disks_read(const char *root, const char *addr, disk_claim_fn claim, struct pci_disk **ret,
	unsigned *ret_n, struct err *e);

/* Exclusive descriptors of all disks of a function, held while it changes hands, so that nobody mounts one
 * between the check and the removal. */
struct disk_claims {
	int *fd;
	unsigned n;
};
/* -EBUSY and the sentence of pci_check_unused() when something uses a disk. */
int disks_claim(
	const char *root, const char *addr, disk_claim_fn claim, struct disk_claims *ret, struct err *e);
void disks_release(struct disk_claims *c);

/* --- lio.c --- */
struct lio_disk {
	char node[64];	    /* block device name: "sda", "dm-0" */
	char backstore[96]; /* "iblock_0/disk1" */
};
/* Backstores of LIO that name a device; none when LIO is not loaded. */
int lio_read(const char *root, struct lio_disk **ret, unsigned *ret_n);

/* --- pciids.c --- */
void pciids_name(const char *root, const struct pci_candidate *c, char *ret, size_t cap);

#endif
