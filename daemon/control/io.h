/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The I/O threads: an event loop for each lane that the controller may have, and a thread for each that it has. */
#ifndef HBAD_CONTROL_IO_H
#define HBAD_CONTROL_IO_H

#include <pthread.h>
#include "base/err.h"
#include "base/loop.h"
#include "hba/hba.h"

struct io {
	unsigned n_loops;
	unsigned n_threads; /* atomic: of the first so many loops */
	struct loop *loop[HBA_MAX_LANES];
	pthread_t thread[HBA_MAX_LANES];
};

/* Loops, 1 to HBA_MAX_LANES. -errno; io_destroy() in any case. */
int io_create(struct io *io, unsigned n);
/* Threads for the first n loops, if they have none yet. One thread at a time. -errno with a sentence: those that were
 * started run. */
int io_start(struct io *io, unsigned n, struct err *e);
/* Ends them. -ETIMEDOUT: one of them does not end. */
int io_stop(struct io *io);
/* No thread runs. */
void io_destroy(struct io *io);
/* The oldest of all threads; a loop's is loop_heartbeat_ns(). Any thread. */
uint64_t io_heartbeat_ns(const struct io *io);

#endif
