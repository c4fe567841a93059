/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tasks inside the layer. A command's function ends in exactly one of the calls below; after it the task may
 * be gone. Work at the controller has three phases: a flush before, a body of requests, a flush after; each
 * starts when all requests of the one before came back GOOD. The task completes when nothing is left to hand
 * down and nothing is at the controller.
 */
#ifndef HBAD_SCSI_TASK_H
#define HBAD_SCSI_TASK_H

#include "host.h"
#include "opcodes.h"

#define TASK_FUA	  0x0001 /* for requests, when the controller honours it */
#define TASK_DPO	  0x0002
#define TASK_FLUSH_BEFORE 0x0004
#define TASK_FLUSH_AFTER  0x0008
#define TASK_SINK	  0x0010 /* read and throw away */
#define TASK_ONE_BLOCK	  0x0020 /* VERIFY: one block of data-out is compared with each block */
#define TASK_FAILED	  0x0100 /* status and sense are those of the first error so far */
#define TASK_ABORTED	  0x0200 /* a task management function wants it gone */
#define TASK_WAITING	  0x0400 /* linked in lun->wait */
#define TASK_STARVED	  0x0800 /* linked in host->starved */
#define TASK_HELD	  0x1000 /* waits until another task has left its range, see range.c */
#define TASK_EXCLUSIVE	  0x2000 /* nobody else may touch its range while it runs; set before task_work() */
#define TASK_OWN_COUNT	  0x4000 /* the command's functions set in_bytes */

enum task_phase { PHASE_BEFORE, PHASE_BODY, PHASE_AFTER, PHASE_END };

/* The body of a task. */
struct scsi_work {
	uint16_t max_children; /* 1 to SCSI_MAX_CHILDREN */
	/* Fills req (prepared with unit, time limit and back pointer) with the part at task->next and says
	 * how many of task->bytes it covers. Changes nothing in the task but its scratch: the request may
	 * have to wait. -ENOBUFS: no scratch. */
	int (*fill)(struct scsi_task *t, struct hba_req *req, uint64_t *ret_span);
	/* Optional. A request came back GOOD; offset: of its part in task->bytes. May call task_fail_at(). */
	void (*good)(struct scsi_task *t, const struct hba_req *req, uint64_t offset);
	/* Optional. A request failed; true: taken care of. */
	bool (*rescue)(struct scsi_task *t, const struct hba_req *req, uint64_t offset);
	/* Optional. All of the body came back GOOD. True: task_next_body() was called, and that body follows;
	 * false: it was the last. May call task_fail_at() and return false. */
	bool (*next)(struct scsi_task *t);
};

/* --- results: the task completes --- */

void task_good(struct scsi_task *t);
/* Data-in of an emulated command: at most alloc bytes (the CDB's allocation length) go to the initiator. */
void task_reply(struct scsi_task *t, const void *data, size_t len, uint64_t alloc);
void task_check(struct scsi_task *t, enum scsi_sense code);
/* INVALID FIELD IN CDB with a pointer to the byte and, unless SENSE_NO_BIT, to the field's highest bit */
void task_bad_field(struct scsi_task *t, unsigned byte, int bit);
void task_status(struct scsi_task *t, enum scsi_status status);

/* --- work: the task completes later --- */

/* bytes: what work->fill covers in all; 0 leaves only the flushes that the flags ask for. Waits first until
 * [lba, lba + nblocks) is free, see range.c. Once for each task. */
void task_work(struct scsi_task *t, const struct scsi_work *work, uint64_t bytes);
/* From work->next: another body, after a flush if TASK_FLUSH_BEFORE is set. The range stays taken. */
void task_next_body(struct scsi_task *t, const struct scsi_work *work, uint64_t bytes);
/* Records an error for the part at offset, unless one nearer to the start is known. Nothing more is handed
 * down. */
void task_fail_at(
	struct scsi_task *t, uint64_t offset, enum scsi_sense code, const struct sense_detail *detail);
/* The task's scratch buffer, taken when it has none yet; NULL when none is free. */
struct iovec *task_scratch(struct scsi_task *t);
void scratch_release(struct scsi_host *s, int32_t scratch);

/* --- queue.c --- */

void task_advance(struct scsi_task *t); /* waits in its LUN's queue, or completes */
void task_unqueue(struct scsi_task *t);
void task_enqueue(struct scsi_task *t);
void host_kick(struct scsi_host *s); /* hands down what can be */

/* --- range.c --- */

/* Joins the tasks that touch the medium. False: it has to wait for its range (TASK_HELD). */
bool range_enter(struct scsi_task *t);
/* Leaves; who waited for it and for nobody else joins lun->wait. Nothing completes within. */
void range_leave(struct scsi_task *t);
void range_unhold(struct scsi_task *t);
struct scsi_task *range_first_held(struct scsi_lun *lun);

/* --- results.c --- */

/* Why a request did not end in GOOD, as the task's status and sense. */
void task_fail_req(struct scsi_task *t, const struct hba_req *req, uint64_t offset);
/* CHECK CONDITION with RECOVERED ERROR about this very command: it was done. */
bool req_recovered(const struct hba_req *req);
bool req_is_good(const struct hba_req *req);
/* The sense that came with CHECK CONDITION; false when there is none. */
bool req_sense(const struct hba_req *req, enum scsi_sense *ret);
enum scsi_sense gate_sense(enum scsi_gate gate);

/* --- iov.c --- */

/* Copies len bytes out of the iovecs from offset on; returns what was copied. Parameter lists are read once,
 * with this: the initiator's memory may change while we look at it. */
uint64_t iov_get(const struct iovec *iov, uint32_t niov, uint64_t offset, void *dst, uint64_t len);

/* Copies into the iovecs from offset on, as much as fits. Returns what was copied. */
uint64_t iov_put(const struct iovec *iov, uint32_t niov, uint64_t offset, const void *src, uint64_t len);
/* Index of the first byte in which buf differs from the iovecs at offset, or len. Bytes that the iovecs do
 * not hold differ. */
uint64_t iov_differs(const struct iovec *iov, uint32_t niov, uint64_t offset, const void *buf, uint64_t len);

/* --- rw.c, for verify.c --- */

extern const struct scsi_work work_rw;
/* LBA and block count of a CDB of 6, 10, 12, 16 or 32 bytes, into t->lba and t->nblocks, too; false:
 * completed with LBA OUT OF RANGE. */
bool rw_range(struct scsi_task *t, uint32_t *ret_nblocks);
/* Protection information is not kept; false: completed with INVALID FIELD IN CDB. */
bool rw_no_protection(struct scsi_task *t);
/* What is read must come from the medium. */
void rw_force_medium(struct scsi_task *t);

#endif
