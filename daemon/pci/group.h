/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IOMMU groups: functions that the IOMMU cannot keep apart, so one owner must have them all. */
#ifndef HBAD_PCI_GROUP_H
#define HBAD_PCI_GROUP_H

#include <stddef.h>

/* Number of the function's group; -ENODEV when it has none, -errno when sysfs cannot be read. */
int group_of(const char *root, const char *addr);
/* Other endpoints of the function's group, blank separated; bridges are left out. Returns how many. */
unsigned group_others(const char *root, const char *addr, char *ret, size_t cap);
/* Those members that keep the group from being viable: bound to a driver that does DMA on the kernel's
 * behalf. "0000:03:00.1 (ahci), ...". Returns how many. */
unsigned group_blockers(const char *root, const char *addr, char *ret, size_t cap);

#endif
