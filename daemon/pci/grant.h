/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private: who may open /dev/vfio/GROUP besides root. udev gives the node its owner when the kernel announces it, which
 * may be before or after anybody else's chown(); so binding leaves a mark that our udev rule looks for, and the owner
 * comes out the same in either order.
 */
#ifndef HBAD_PCI_GRANT_H
#define HBAD_PCI_GRANT_H

#include "base/err.h"

/* Below /run/hbad, where no instance can have this name. systemd/60-hbad.rules knows the path as well. */
#define GRANT_MARKS "/run/hbad/.vfio"

/* A function changes hands once at a time: a descriptor that holds its lock until it is closed, after waiting wait_ms at most
 * for whoever has it, or -errno with a sentence; -EBUSY: it is still changing hands. addr is the whole address. */
int grant_lock(const char *root, const char *addr, unsigned wait_ms, struct err *e);
/* Before the node appears. The mark says for which function it is; older ones for the same function go. 0 or -errno. */
int grant_mark(const char *root, int group, const char *addr);
void grant_unmark(const char *root, int group);

#endif
