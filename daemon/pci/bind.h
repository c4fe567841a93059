/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private: what binding does to the machine, so that tests can play the kernel. */
#ifndef HBAD_PCI_BIND_H
#define HBAD_PCI_BIND_H

#include "disks.h"
#include "sysfs.h"

struct uevents;

struct bind_sys {
	/* One write(2) to a sysfs attribute, absolute path; -errno. May block as long as a driver's remove or
	 * probe runs: flushing a big cache takes minutes. */
	int (*write)(const char *path, const char *text);
	int (*load_module)(const char *name, struct err *e);
	disk_claim_fn claim;
	struct uevents *(*events_open)(void);
	void (*events_close)(struct uevents *u);
	void (*events_wait)(struct uevents *u, unsigned timeout_ms);
	unsigned node_wait_ms; /* for /dev/vfio/GROUP */
	unsigned lock_wait_ms; /* for another one that moves the same function */
	pci_known_fn known;    /* what may be bound; NULL: anything */
};

extern const struct bind_sys bind_linux;

int bind_vfio(
	const struct bind_sys *sys, const char *root, const char *addr, char ret_previous[32], struct err *e);
int unbind_vfio(const struct bind_sys *sys, const char *root, const char *addr, const char *previous,
	unsigned wait_ms, struct err *e);

#endif
