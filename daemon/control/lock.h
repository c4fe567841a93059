/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One hbad per instance: an exclusive flock() that dies with its holder (hazard H10). */
#ifndef HBAD_CONTROL_LOCK_H
#define HBAD_CONTROL_LOCK_H

#include "base/err.h"

#define LOCK_FILE "lock"

/* Makes RUNTIME_DIR/NAME (0755) where needed, takes its lock and writes this process's id into it. *ret_fd
 * holds the lock until it and all its duplicates are closed. -EBUSY names the process that has it. */
int lock_take(const char *runtime_dir, const char *name, int *ret_fd, struct err *e);

#endif
