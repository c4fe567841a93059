/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sentence for memory that cannot be locked. */
#ifndef HBAD_PCI_MEMLOCK_H
#define HBAD_PCI_MEMLOCK_H

#include <stdint.h>

#include "base/err.h"

/* bytes: what was asked for on top of what is locked already. Names the limit, the sum needed, and the cure.
 * Returns code. */
int pci_memlock_error(struct err *e, int code, uint64_t bytes);

#endif
