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
#define TASK_BEGUN	  0x0040 /* a request was handed down */
#define TASK_FAILED	  0x0100 /* status and sense are those of the first error so far */
#define TASK_ABORTED	  0x0200 /* a task management function wants it gone */
#define TASK_WAITING	  0x0400 /* linked in lun->wait */
#define TASK_STARVED	  0x0800 /* linked in host->starved */
#define TASK_HELD	  0x1000 /* waits until another task has left its range, see range.c */
#define TASK_EXCLUSIVE	  0x2000 /* nobody else may touch its range while it runs; set before task_work() */
#define TASK_OWN_COUNT	  0x4000 /* the command's functions set in_bytes */
#define TASK_INTERNAL	  0x8000 /* no initiator's: neither counted nor waited for */

enum task_hold {
	HOLD_NO,
	HOLD_AGAIN, /* will be done again from its beginning: waits until the controller has let go of all of it */
	HOLD_PARKED, /* waits in lun->parked for the return of the controller */
};

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
	bool rescue_flush; /* it is asked about flushes, too, which are then sent again */
	/* Optional. All of the body came back GOOD. True: task_next_body() was called, and that body follows;
	 * false: it was the last. May call task_fail_at() and return false. */
	bool (*next)(struct scsi_task *t);
	/* Optional, for a task without requests of its own: ends what it does instead, and completes it then or later. */
	void (*abort)(struct scsi_task *t);
};

/* --- results: the task completes --- */

void task_good(struct scsi_task *t);
/* Data-in of an emulated command: at most alloc bytes (the CDB's allocation length) go to the initiator. */
void task_reply(struct scsi_task *t, const void *data, size_t len, uint64_t alloc);
void task_check(struct scsi_task *t, enum scsi_sense code);
/* INVALID FIELD IN CDB with a pointer to the byte and, unless SENSE_NO_BIT, to the field's highest bit */
void task_bad_field(struct scsi_task *t, unsigned byte, int bit);
/* Likewise INVALID FIELD IN PARAMETER LIST */
void task_bad_list(struct scsi_task *t, unsigned byte, int bit);
/* The opcode, or this use of it, needs bits of enum scsi_allow that the LUN does not have: INVALID COMMAND
 * OPERATION CODE, or INVALID FIELD IN CDB with a pointer to byte (not 0) and bit. Tells the log what would allow it. */
void task_not_allowed(struct scsi_task *t, enum scsi_allow bits, unsigned byte, int bit);
void task_tell_not_allowed(struct scsi_task *t, enum scsi_allow bits); /* only to the log */
void task_status(struct scsi_task *t, enum scsi_status status);

/* --- work: the task completes later --- */

/* bytes: what work->fill covers in all; 0 leaves only the flushes that the flags ask for, whatever the range
 * says. Waits first until [lba, lba + nblocks) is free, see range.c: no scratch may be held by then. Once for
 * each task. */
void task_work(struct scsi_task *t, const struct scsi_work *work, uint64_t bytes);
/* As scsi_submit(), a command that no initiator has sent. What the LUN has to tell initiators (its unit attentions)
 * stays to be told. */
void task_submit(struct scsi_task *t);
/* Prepares a task that no initiator has sent, for task_work(). lun, iov and done are filled; its CDB means nothing. */
void task_begin(struct scsi_task *t, const struct scsi_op *op);
/* From work->next: another body, after a flush if TASK_FLUSH_BEFORE is set. The range stays taken. */
void task_next_body(struct scsi_task *t, const struct scsi_work *work, uint64_t bytes);
/* Sense data in the format that the LUN's D_SENSE asks for. */
void task_put_sense(struct scsi_task *t, enum scsi_sense code, const struct sense_detail *detail);
/* Records an error for the part at offset, unless one nearer to the start is known. Nothing more is handed
 * down. */
void task_fail_at(
	struct scsi_task *t, uint64_t offset, enum scsi_sense code, const struct sense_detail *detail);
void task_fail_status(struct scsi_task *t, uint64_t offset, uint8_t status);
/* The task's scratch buffer, taken when it has none yet; NULL when none is free. */
struct iovec *task_scratch(struct scsi_task *t);
void scratch_release(struct scsi_host *s, int32_t scratch);
/* Between two requests of a long command, whose buffer holds nothing any more: those who wait have their turn first. */
void scratch_share(struct scsi_task *t);

/* --- hold.c --- */

/* The controller is away, and t wants something of it: true if t waits for its return, and nothing else is to be done
 * with it now. */
bool hold_takes(struct scsi_task *t);
/* A new task of a LUN whose gate is SCSI_GATE_HELD. */
void hold_park(struct scsi_task *t);
/* The request ended because the controller is gone. True: that is taken care of. */
bool hold_forgives(struct scsi_task *t, const struct hba_req *req, uint64_t offset);
/* t waits no longer, if it did. */
void hold_leave(struct scsi_task *t);

/* task.c: as if it had just come; then, when the gate is open, it is done. */
void task_rewind(struct scsi_task *t);
void task_again(struct scsi_task *t);

/* --- lost.c --- */

/* A flush of t comes back GOOD: false if it must not be, for writes before it may have been lost with the controller.
 * That is said once. */
bool lost_flush_is_true(struct scsi_task *t);
/* A write was answered GOOD: if that comes behind the loss of the controller, it may be lost, too. */
void lost_written(struct scsi_lun *lun);

/* --- queue.c --- */

void task_advance(struct scsi_task *t); /* waits in its LUN's queue, or completes */
void task_unqueue(struct scsi_task *t);
void task_enqueue(struct scsi_task *t);
/* It holds no blocks that others wait for, and may go on for hours (VERIFY of a whole disk): each of its requests waits
 * for its turn. */
static inline bool task_is_patient(const struct scsi_task *t)
{
	return !t->nblocks;
}
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

/* Sets every bit of buf that is set in the iovecs at offset; returns how many bytes they held. */
uint64_t iov_or(const struct iovec *iov, uint32_t niov, uint64_t offset, void *buf, uint64_t len);

/* --- rw.c, for all commands with an LBA range --- */

/* Between the medium and iov, or with TASK_SINK from the medium to nowhere. */
extern const struct scsi_work work_rw;
int rw_fill(struct scsi_task *t, struct hba_req *req, uint64_t *ret_span);
/* The part of the body at t->next, base bytes into the task's range, between the medium and the scratch
 * buffer; req->xfer.len is the span. Bodies longer than the buffer use it again from its start. -ENOBUFS. */
int rw_fill_scratch(struct scsi_task *t, struct hba_req *req, uint64_t base, enum dma_dir dir);

/* Each returns false when it has completed the task. LBA and block count of a CDB of 6, 10, 12, 16 or 32 bytes
 * into t->lba and t->nblocks, too; else LBA OUT OF RANGE. */
bool rw_range(struct scsi_task *t, uint32_t *ret_nblocks);
/* The same for a CDB of another shape. */
bool rw_place(struct scsi_task *t, uint64_t lba, uint32_t nblocks);
/* Protection information is not kept: else INVALID FIELD IN CDB. */
bool rw_no_protection(struct scsi_task *t);
/* As many bytes of data-out came as the CDB means (hazard H15); else INVALID FIELD IN COMMAND INFORMATION
 * UNIT. */
bool rw_data_out(struct scsi_task *t, uint64_t bytes);

/* The byte of the CDB with protection field, DPO, FUA and BYTCHK. */
unsigned rw_bits_at(const struct scsi_task *t);
bool rw_has_fua(const struct scsi_task *t);
void rw_take_dpo(struct scsi_task *t);
/* What is read must come from the medium; what is written must be on it before GOOD. */
void rw_force_medium(struct scsi_task *t);
void rw_force_write(struct scsi_task *t);

/* --- write_same.c --- */

#define PATTERN_CHILDREN 4 /* half of what a long write may have */
/* The buffer of PATTERN_BYTES that all of iov point to, again and again, to the part of the body at t->next. */
void pattern_fill(
	struct scsi_task *t, struct hba_req *req, const struct iovec iov[PATTERN_IOVS], uint64_t *ret_span);
/* The buffer's first block to all of it. */
void pattern_repeat(uint8_t buf[PATTERN_BYTES], uint32_t block_size);

/* --- verify.c --- */

enum bytchk { BYTCHK_NONE, BYTCHK_ALL, BYTCHK_RESERVED, BYTCHK_ONE };

enum bytchk verify_bytchk(const struct scsi_task *t); /* of the CDB */
/* Prepares the task to verify its range on the medium, against data-out if bytchk says so. Returns the work for
 * task_work() or task_next_body(). */
const struct scsi_work *verify_work(struct scsi_task *t, enum bytchk bytchk);

#endif
