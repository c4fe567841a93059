/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * EXTENDED COPY (LID1) between the LUNs of one host: copy.c reads the parameter list, copy_run.c moves the data,
 * copy_results.c tells about it. I/O thread, but for copies_create() and copies_destroy().
 *
 * A copy is a task without requests of its own. Its data moves in pieces, each a task of this layer as if an
 * initiator had sent a READ(16) to the source and then a WRITE(16) to the destination: gates, write protection,
 * ranges that others hold, limits of the controller and turns between LUNs count for it as for everybody. Unit
 * attentions do not: they are for initiators.
 */
#ifndef HBAD_SCSI_COPY_H
#define HBAD_SCSI_COPY_H

#include "base/clock.h"
#include "task.h"

#define COPY_MAX_COPIES	  4 /* at once; the others wait for one of them to end */
#define COPY_PIECES	  4 /* of each, at once */
#define COPY_PIECE_BYTES  131072
#define COPY_MAX_CSCDS	  16
#define COPY_MAX_SEGMENTS 64
#define COPY_RECORDS	  16		    /* ended copies that are remembered, */
#define COPY_RECORD_NS	  (10 * NS_PER_SEC) /* and for how long */

#define COPY_HEADER_LEN	  16
#define COPY_CSCD_LEN	  32
#define COPY_SEGMENT_LEN  28
#define COPY_LIST_MAX	  (COPY_MAX_CSCDS * COPY_CSCD_LEN + COPY_MAX_SEGMENTS * COPY_SEGMENT_LEN)

/* What a segment can say in the largest blocks. */
#define COPY_MAX_SEGMENT_BYTES	 (UINT16_MAX * UINT32_C(4096))

#define COPY_CSCD_IDENTIFICATION 0xe4
#define COPY_BLOCK_TO_BLOCK	 0x02

/* LIST ID USAGE */
enum copy_usage { COPY_HOLD, COPY_USAGE_RESERVED, COPY_DISCARD, COPY_NO_ID };

struct copy_segment {
	struct scsi_lun *src, *dst;
	uint64_t src_lba, dst_lba, bytes;
	bool overlap; /* one piece at a time, or what is still to be read would be written over */
	bool backward;
};

struct copy_piece {
	struct copy *copy;
	struct scsi_task task;
	struct iovec iov;
	uint64_t offset; /* in the segment */
	uint32_t bytes;
	bool busy, writing;
	uint8_t tries;
};

struct copy {
	struct scsi_host *host;
	struct scsi_task *t; /* NULL: free */
	uint8_t list_id, usage;
	bool accepted; /* the list itself is right */
	unsigned n_cscds, n_segments;
	struct scsi_lun *cscd[COPY_MAX_CSCDS]; /* NULL: none of ours */
	unsigned segment;		       /* the one that is being copied */
	uint64_t next;			       /* bytes of it already handed out */
	uint64_t done;			       /* bytes of all segments written */
	unsigned busy;			       /* pieces */
	bool stop;			       /* failed or aborted: ends when no piece is busy */
	bool pumping;
	struct copy_segment seg[COPY_MAX_SEGMENTS];
	struct copy_piece piece[COPY_PIECES];
	uint8_t list[COPY_HEADER_LEN + COPY_LIST_MAX];
};

/* What RECEIVE COPY RESULTS tells of a copy that ended, COPY_RECORD_NS long. */
struct copy_record {
	const struct scsi_lun *lun; /* NULL: none */
	uint8_t list_id, status, sense_len;
	uint8_t sense[SCSI_SENSE_SIZE];
	uint16_t segments;
	uint64_t bytes;
	uint64_t ended_ns;
};

struct copies {
	struct copy copy[COPY_MAX_COPIES];
	struct list wait; /* tasks without a copy, TASK_STARVED */
	bool kicking;
	struct copy_record record[COPY_RECORDS];
	unsigned next_record;
	uint8_t *buffers;
};

/* Why a copy stops at a segment. */
struct copy_trouble {
	enum scsi_sense code; /* with COPY ABORTED */
	unsigned segment;
	uint16_t field;	     /* the wrong byte of the parameter list, 0: none */
	bool of_destination; /* of the following */
	uint8_t status;	     /* what the source or destination said; 0: nothing */
	const uint8_t *sense;
	uint8_t sense_len;
};

/* --- copy.c --- */

/* Reads and judges the list of c->t. False: it has failed, nothing is to be copied. */
bool copy_parse(struct copy *c);

/* --- copy_run.c --- */

int copies_create(struct scsi_host *s);
void copies_destroy(struct scsi_host *s);
/* Begins now or when another copy has ended. */
void copy_start(struct scsi_task *t);
void copy_fail(struct copy *c, const struct copy_trouble *trouble);

/* --- copy_results.c --- */

void copy_remember(struct copy *c);
void copy_forget(struct copies *all, const struct scsi_lun *lun);

#endif
