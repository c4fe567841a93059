/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What sysfs says about PCI functions, their drivers, IOMMU groups and the disks below them; and moving a
 * function between its kernel driver and vfio-pci. Control thread and command line tool only: these block.
 * Every path is below a root that tests replace by a made-up tree ("" in production).
 */
#ifndef HBAD_PCI_SYSFS_H
#define HBAD_PCI_SYSFS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

#define PCI_ADDR_LEN 13 /* "0000:03:00.0" and its terminator */

struct pci_disk {
	char name[32];	/* sda */
	char model[64]; /* "QEMU QEMU HARDDISK", blanks trimmed */
	uint64_t bytes;
	char use[160]; /* empty: free; else what holds it: "mounted on /srv", "swap", "held by dm-0 (LVM)",
			  "open" */
};

struct pci_candidate {
	char addr[PCI_ADDR_LEN];
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class_code;
	char driver[32];	/* bound driver, empty if none */
	int iommu_group;	/* -1: none */
	char group_others[256]; /* other endpoints of that group, blank separated; bridges are left out */
	char name[128];		/* from the hwdata/pci.ids file when installed, else empty */
	struct pci_disk *disks; /* allocated; pci_candidate_free() */
	unsigned n_disks;
};

/* Completes "3:0.0" or "03:00.0" to the full form. -EINVAL with a sentence. */
int pci_addr_parse(const char *text, char ret[PCI_ADDR_LEN], struct err *e);

/* One function. -ENOENT when there is no such device. */
int pci_candidate_read(const char *root, const char *addr, struct pci_candidate *ret, struct err *e);
void pci_candidate_free(struct pci_candidate *c);

/* What is at an address now. */
struct pci_place {
	uint16_t vendor, device;
	char driver[32];   /* bound driver, empty if none */
	uint64_t instance; /* another number each time that something is plugged in there; 0: nothing is */
};

/* By its whole address. False, and all of *ret 0: there is no such device. Two small files and a link: does not block. */
bool pci_place_read(const char *root, const char *addr, struct pci_place *ret);
/* All functions of the mass storage class (01xxxx) except NVMe, SATA AHCI and IDE, sorted by address. *ret is
 * allocated. */
int pci_candidates(const char *root, struct pci_candidate **ret, unsigned *ret_n, struct err *e);
void pci_candidates_free(struct pci_candidate *c, unsigned n);

/* 0 when nothing on this machine uses a disk below the function; -EBUSY with a sentence that names each disk,
 * what uses it (mounts with their mount point, swap, device-mapper or md holders, LIO backstores, open by
 * another process as far as an exclusive open can tell) and what to do. */
int pci_check_unused(const char *root, const struct pci_candidate *c, struct err *e);

/* The name of what may be bound, NULL for all else. */
typedef const char *(*pci_known_fn)(uint16_t vendor, uint16_t device);

/* Gives the function to vfio-pci by driver_override: loads vfio-pci and vfio_iommu_type1 through libkmod,
 * refuses a function that is not known (-ENOTSUP), in use (pci_check_unused) or without IOMMU group, flushes nothing (the
 * kernel driver's own remove does), unbinds, binds, waits (at most 30 s) until /dev/vfio/GROUP is there. Writes the name of
 * the driver that had it into ret_previous (empty if none). Does nothing when already bound, nor when it was unplugged and
 * the kernel waits for whoever has it open: then it would wait, too. Rolls back on failure. What is not known or not there
 * is revoked, too (pci_revoke_vfio). -EBUSY after 5 s when somebody else moves it. */
int pci_bind_vfio(
	const char *root, const char *addr, pci_known_fn known, char ret_previous[32], struct err *e);

/* Makes user the owner of /dev/vfio/GROUP, so that a process without privileges can open it. For a function that
 * pci_bind_vfio() has bound; may be repeated. -ENOENT: no such user. */
int pci_grant_vfio(const char *root, const char *addr, const char *user, struct err *e);

/* Nobody but root gets the group of this function, whichever it was: for one that was unplugged. pci_unbind_vfio() does it
 * for others. */
void pci_revoke_vfio(const char *root, const char *addr);

/* Gives it back to its kernel driver: clears driver_override, unbinds vfio-pci, reprobes, and waits (at most
 * wait_s seconds, listening for uevents) for a driver to bind. previous may be empty: any driver then. */
int pci_unbind_vfio(const char *root, const char *addr, const char *previous, unsigned wait_s, struct err *e);

#endif
