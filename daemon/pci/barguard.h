/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers that are mapped fault (SIGBUS) when the kernel has taken the BAR back: the device was unplugged, put to
 * sleep or reset by somebody else. For mappings that are guarded such a page reads all ones from then on, as a bus
 * does on which nobody answers, writes to it go nowhere, and wake_fd (an eventfd, or -1) becomes readable.
 */
#ifndef HBAD_PCI_BARGUARD_H
#define HBAD_PCI_BARGUARD_H

#include <stddef.h>

/* addr: the beginning of a page. More than there is room for are not guarded. */
void barguard_add(volatile void *addr, size_t len, int wake_fd);
/* Before it is unmapped. Fine when it was never added. */
void barguard_remove(volatile void *addr);

#endif
