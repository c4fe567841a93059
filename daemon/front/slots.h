/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Command slots of one ring: as many as the ring has ids, so that intake never waits for one (hazard H7), and
 * the iovecs of their commands.
 *
 * How many iovecs there can be at once follows from the data area: the kernel makes an iovec for one or more
 * blocks that no other command has, and a block has at least 4096 bytes. So a size class for lists of more
 * than p iovecs needs (blocks / (p + 1)) lists at most. A ring that breaks this gets no storage, and is
 * broken.
 */
#ifndef HBAD_FRONT_SLOTS_H
#define HBAD_FRONT_SLOTS_H

#include <sys/uio.h>
#include "pool.h"
#include "ring.h"
#include "scsi/scsi.h"

#define FRONT_SLOTS	  65536 /* ids are 1..65535 */
#define FRONT_PREFAULT	  1024
#define FRONT_INLINE_IOV  8
#define FRONT_IOV_CLASSES 6
#define FRONT_BLOCK	  4096

enum front_cmd_state {
	FRONT_CMD_FREE,
	FRONT_CMD_TAKEN, /* the SCSI layer has it */
	FRONT_CMD_DONE,	 /* waits for its reply to be written */
};

struct front_cmd {
	struct scsi_task task;
	struct front_ring *ring;
	struct list link;    /* by age among the taken ones, or by completion among the done ones */
	uint32_t index;	     /* of this slot */
	uint32_t generation; /* changes with each use; odd while in use */
	uint64_t named_ns;   /* when a task management function named it; 0: none did */
	uint16_t id;	     /* for the reply; finds this slot only when a TMR entry names it */
	uint8_t state;	     /* enum front_cmd_state */
	bool aborted;
	uint8_t iov_class; /* 0: inline */
	uint32_t iov_index;
	struct iovec inline_iov[FRONT_INLINE_IOV];
};

struct slots {
	struct pool cmds;
	struct pool iovs[FRONT_IOV_CLASSES]; /* [0] unused: inline */
	uint32_t *by_id;		     /* slot + 1 of the command in use with that id, or 0 */
};

/* Set-up thread. data_bytes: size of the ring's data area. 0 or -ENOMEM. */
int slots_init(struct slots *s, uint64_t data_bytes);
void slots_fini(struct slots *s); /* zeroed memory is fine */

/* A slot for the command with this id, which must not be in use, and room for n_iov iovecs at *ret_iov. NULL:
 * there cannot be so much data. */
struct front_cmd *slots_get(struct slots *s, uint16_t id, uint32_t n_iov, struct iovec **ret_iov);
void slots_put(struct slots *s, struct front_cmd *c);
/* The command in use with this id, or NULL. */
struct front_cmd *slots_find(const struct slots *s, uint16_t id);

#endif
