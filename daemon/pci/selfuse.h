/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What hbad needs for its own restart and has on one of its own LUNs, seen as a disk of this machine again (over LIO's
 * loopback, or iSCSI to itself): an hbad that is started to serve that disk would have to read from it first (hazard H25).
 *
 * Only the kernel's tables are read: mounts, swaps and sysfs, where a disk's designator is kept from when it was found. No file
 * system is touched, which could wait for the LUN. Allocates; any thread.
 */
#ifndef HBAD_PCI_SELFUSE_H
#define HBAD_PCI_SELFUSE_H

#include <stddef.h>

#define SELFUSE_MAX 16

struct selfuse_path {
	const char *what; /* "hbad's program" */
	const char *
		path; /* absolute, without symbolic links as far as it matters; NULL or anything else: left out */
};

struct selfuse_query {
	const char *root; /* of /sys, /proc and /dev; "": the machine's */
	const struct selfuse_path *path;
	unsigned n_paths;
	const char *const *naa; /* of own units: "naa.6001…" */
	unsigned n_naa;
};

struct selfuse {
	char what[128]; /* "hbad's program (/usr/sbin/hbad)", "swap (/dev/dm-1)" */
	char disk[32];	/* "sdb" */
};

/* Of the paths, and of all active swap, what is on a disk with one of these designators, directly or through partitions,
 * device-mapper, md and loop devices. What cannot be looked up (a file system without a block device, a table that this
 * process does not see) is left out. Returns how many, at most SELFUSE_MAX. */
unsigned selfuse_find(const struct selfuse_query *q, struct selfuse ret[SELFUSE_MAX]);
/* With the reason and the cure. */
void selfuse_sentence(const struct selfuse *u, char *ret, size_t cap);

#endif
