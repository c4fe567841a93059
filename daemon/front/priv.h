/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of this layer share. front.c runs on the I/O thread, life.c on the control thread. */
#ifndef HBAD_FRONT_PRIV_H
#define HBAD_FRONT_PRIV_H

#include <stdatomic.h>
#include "base/log.h"
#include "front.h"
#include "ring.h"
#include "slots.h"

/* The outside: a uio device and the clock. Tests give their own. */
struct front_os {
	/* Maps the ring, shared and writable. NULL and errno. */
	void *(*map)(int fd, uint64_t len, uint64_t offset);
	/* Takes the pending event. 0, -EAGAIN when there is none, another -errno when the device is gone. */
	int (*ack)(int fd);
	/* Makes the kernel look at the tail. 0, or -errno when the device is gone. */
	int (*kick)(int fd);
	uint64_t (*now)(void);
};
extern const struct front_os front_os_uio;

enum front_state {
	FRONT_IDLE,	/* created, not in the loop */
	FRONT_RUNNING,	/* takes and replies */
	FRONT_QUIET,	/* takes no more, still replies */
	FRONT_DETACHED, /* the mapping is not the kernel's any more, or will not be touched again */
};

struct front_ring {
	/* Constant after front_create(). */
	const struct front_os *os;
	struct scsi_lun *lun;
	char name[64];
	uint64_t age_bound_ns; /* 0: nothing expires */
	uint64_t grace_ns;     /* from a task management function to the aborts */

	/* Changes while no I/O thread has the ring. */
	struct loop *loop;
	unsigned lane;
	char unit[sizeof(((struct scsi_identity *)0)->naa_text)]; /* that the lane was chosen for */

	/* Any thread. */
	atomic_uint refs;
	atomic_uint outstanding; /* slots in use, or soon to be orphans */
	_Atomic(const char *) dropped;
	atomic_uint_fast64_t commands, completions, batches, tmrs, aged, residuals, invalid;

	/* I/O thread, from front_start() to front_stop(). */
	enum front_state state;
	struct loop_fd fd;
	struct loop_hook hook;
	struct loop_timer look_timer;
	struct loop_timer abort_timer;
	bool abort_armed;
	struct ring ring;
	struct slots slots;
	struct list taken;    /* front_cmd, oldest first */
	struct list done;     /* front_cmd, in order of completion */
	uint64_t looked_ns;   /* last look at cmd_head; 0: none yet */
	uint64_t found_after; /* the look before: what is found now may be as old */
	bool orphans;	      /* hold a reference until the last is done */
	bool started;	      /* a loop holds a reference, even on the way to another loop */
	struct log_limit limit;

	/* Control thread. */
	bool in_loop;
	bool stop_posted; /* to an I/O thread that did not answer */
};

int front_create_os(
	const struct front_config *cfg, const struct front_os *os, struct front_ring **ret, struct err *e);
void front_get(struct front_ring *r);
void front_put(struct front_ring *r); /* the last one unmaps, closes and frees */

/* --- I/O thread --- */

/* Joins the loop and takes what is there. */
int front_io_start(struct front_ring *r, struct err *e);
/* Takes and replies. 0: the ring is empty, -EAGAIN: not yet, -EIO: it was dropped. */
int front_io_drain(struct front_ring *r);
/* Out of the loop, with the LUN, and into the one of r->lane: see front_settle(). Both idempotent. -EIO: it was dropped. The
 * former returns 1 when the LUN is settled. */
int front_io_leave(struct front_ring *r);
int front_io_join(struct front_ring *r);
/* Takes nothing more; still replies. */
void front_io_quiet(struct front_ring *r);
/* Publishes what is done, lets go of the ring, leaves the loop. Returns how many commands are orphans now. */
int front_io_stop(struct front_ring *r);

#endif
