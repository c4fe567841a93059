/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TCMU command ring consumed by this process. Comments name the hazards of that by number; README.md has the list.
 * Knows rings; of SCSI only status, sense and residual.
 *
 * Threads: control thread for create, start, stop, destroy (they hand over to the I/O thread by messages and
 * wait with a deadline where noted); the ring itself is touched by the I/O thread alone.
 */
#ifndef HBAD_FRONT_FRONT_H
#define HBAD_FRONT_FRONT_H

#include <stdint.h>
#include "base/err.h"
#include "base/loop.h"
#include "scsi/scsi.h"

struct front_ring;

struct front_config {
	int uio_fd;		      /* taken over on success */
	uint64_t map_len, map_offset; /* as libtcmu mapped it */
	struct scsi_lun *lun;	      /* not owned */
	struct loop *loop;
	const char *name; /* for messages; copied */
	/* The device's attribute, 0: nothing expires (as it should be, hazard H3). Otherwise a command that
	 * may be older than this, less a margin, when it is found is answered BUSY and not executed (hazard
	 * H2). */
	uint32_t cmd_time_out_s;
	/* How long a command that a task management function names may go on to its own end, from the first one
	 * that names it, before it is aborted; 0: not at all. LIO waits for it either way. What it was told to
	 * abort it does not answer with our status, and tcm_loop then says GOOD: true for what was done, and wrong
	 * data for what was not. */
	uint32_t abort_after_ms;
};

struct front_stats {
	uint64_t commands, completions; /* taken, replied to */
	uint64_t batches;		/* uio writes */
	uint64_t tmrs;
	uint64_t aged;	    /* answered BUSY for their age */
	uint64_t residuals; /* GOOD with less data than expected */
	uint64_t invalid;   /* entries refused, or malformed */
	uint32_t outstanding;
};

/* Maps the ring and checks the mailbox (version, sizes, flags); touches no data page (hazard H5). Nothing is
 * consumed. On failure uio_fd is still the caller's. Preallocates command slots. */
int front_create(const struct front_config *cfg, struct front_ring **ret, struct err *e);
/* Consumes from the mailbox's cmd_tail on. Waits for the I/O thread, 5 s at most: -ETIMEDOUT, and it does
 * not start later unless it was just doing so. -EIO: the ring makes no sense. After any failure:
 * front_destroy(). */
int front_start(struct front_ring *r, struct err *e);
/* Of a LUN that is not settled (scsi.h): ring and LUN go to the I/O thread of this lane, which must be there, started or not,
 * and with all commands that were taken; the LUN opens there if it can, and if its unit is still naa. Nothing is consumed
 * meanwhile. Waits for both threads, 5 s each at most. 0 also when it was settled before, on this lane or another
 * (scsi_lun_lane()). After any failure it may be tried again: then the ring is
 * where it was, or on its way, which front_stop() can deal with as well. */
int front_settle(struct front_ring *r, unsigned lane, const char *naa, struct err *e);
/* Drain for a ring that changes hands (hazard H2): the gate is closed outside; consume everything, complete
 * everything. 0 when the ring is empty, -ETIMEDOUT when time is over (it goes on consuming), -EIO when it was
 * dropped: it will never be empty. */
int front_drain(struct front_ring *r, unsigned timeout_ms);
/* Stops intake (unread entries stay unread), waits at most timeout_ms for commands at the controller (and 5 s
 * for each of two answers of the I/O thread), publishes, closes uio_fd, then never touches the ring again.
 * Commands still at the SCSI layer are aborted there and, as far as the controller has them, become orphans:
 * they run to their end without an entry to complete, and their late data goes to private memory that takes
 * the place of the mapping. Returns how many (>= 0), or -ETIMEDOUT when the I/O thread does not answer (it
 * then lets go as soon as it does). */
int front_stop(struct front_ring *r, unsigned timeout_ms);
/* Commands that this process has at the controller for the ring, orphans included. Any thread. */
unsigned front_outstanding(const struct front_ring *r);
/* After front_stop() (or stops with no wait): unmaps, closes. Orphans keep the memory of their slots alive
 * until they are done; the object is freed with the last. NULL is fine. */
void front_destroy(struct front_ring *r);

/* True once the kernel has removed the device below us (POLLERR, EIO) or changed the ring behind our back
 * (hazard H1c), or an entry was malformed; the reason is a static string. Nothing is consumed from then on;
 * after a malformed entry the commands taken before still get their replies. Stop and destroy it as usual.
 * Any thread. */
bool front_dropped(const struct front_ring *r, const char **ret_reason);
void front_get_stats(const struct front_ring *r, struct front_stats *ret);

#endif
