/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this process asks of the kernel because the pages that the kernel wants to write may live on its own
 * LUNs (hazards H20 and H25).
 */
#ifndef HBAD_CONTROL_PROCESS_H
#define HBAD_CONTROL_PROCESS_H

#include <stdint.h>
#include "base/err.h"

/* Marks the process as one that writes back others' pages. Per task and inherited: before any other thread.
 * Warns when the kernel refuses. */
void process_io_flusher(void);
/* Gives up all capabilities for good, unless the process runs as root (by hand, in tests). Per thread and inherited:
 * before any other thread, after process_io_flusher(). Warns when the kernel refuses. */
void process_drop_capabilities(void);
/* May so much be locked? -ENOMEM with the sums when the limit on locked memory is too low for the bounce
 * memory, so many I/O threads, and one LUN's ring. */
int process_check_memlock(uint32_t bounce_mib, unsigned n_threads, struct err *e);
/* Locks what is there and what comes, each page when it is first touched: a ring of 1 GiB is mapped whole and
 * used in part. Warns on failure. */
void process_lock_memory(void);

#endif
