/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which processes have a device node open, as far as /proc tells this user. */
#ifndef HBAD_PCI_OPENERS_H
#define HBAD_PCI_OPENERS_H

#include <stdbool.h>
#include <stddef.h>

/* "process 812 (hbad)"; several are separated by commas. Empty when none is seen. Returns how many.
 * with_partitions: /dev/sda1 counts for /dev/sda too. */
unsigned openers_find(const char *root, const char *node, bool with_partitions, char *ret, size_t cap);

#endif
