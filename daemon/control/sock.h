/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Listening unix sockets in the instance's runtime folder. */
#ifndef HBAD_CONTROL_SOCK_H
#define HBAD_CONTROL_SOCK_H

#include <sys/types.h>
#include "base/err.h"

/* RUNTIME_DIR/NAME/FILE, non-blocking, with exactly this mode from its first moment. Removes what an earlier
 * hbad left there: only for the holder of the instance lock, in a process that has one thread (umask). */
int sock_listen(const char *runtime_dir, const char *name, const char *file, int type, mode_t mode,
	int *ret_fd, struct err *e);

#endif
