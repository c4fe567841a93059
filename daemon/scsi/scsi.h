/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The SCSI layer: a task (one CDB with its data) goes in, a status with sense and residual comes out. What
 * happens in between is decided by one table over opcode and service action (opcodes.c).
 *
 * One scsi_host per controller, one scsi_lun per exported unit, tasks embedded in whatever the layer above
 * queues. I/O thread for everything but the calls marked otherwise. Nothing here allocates on the I/O path.
 */
#ifndef HBAD_SCSI_SCSI_H
#define HBAD_SCSI_SCSI_H

#include <sys/uio.h>
#include "base/list.h"
#include "hba/hba.h"

#define SCSI_SENSE_SIZE 96
#define SCSI_MAX_CDB	32
#define SCSI_MAX_CHILDREN                                                                                    \
	8 /* requests of one task at once, so that one big command does not take all slots */

/* SAM-5 table 37 */
enum scsi_status {
	SCSI_GOOD = 0x00,
	SCSI_CHECK_CONDITION = 0x02,
	SCSI_BUSY = 0x08,
	SCSI_RESERVATION_CONFLICT = 0x18,
	SCSI_TASK_SET_FULL = 0x28,
	SCSI_TASK_ABORTED = 0x40,
};

struct scsi_lun;
struct scsi_host;
struct scsi_op;
struct scsi_work;

struct scsi_task {
	/* --- filled by the submitter; iovecs stay valid and untouched until done() --- */
	struct scsi_lun *lun;
	uint8_t cdb[SCSI_MAX_CDB];
	uint8_t cdb_len; /* bytes of cdb that the transport delivered */
	const struct iovec *iov;
	uint32_t niov;
	uint64_t iov_bytes; /* sum of iov: what the initiator expects to move, in a direction nobody tells */
	void (*done)(struct scsi_task *task); /* exactly once, maybe from within scsi_submit() */
	/* A task management function has named it, so that its initiator will not see how it ends: false after
	 * scsi_submit(), and may be set on the I/O thread until done(). */
	bool unheard;

	/* --- result --- */
	uint8_t status;			/* enum scsi_status */
	uint8_t sense_len;		/* > 0 with CHECK CONDITION, always */
	uint8_t sense[SCSI_SENSE_SIZE]; /* all bytes defined, zero-padded */
	enum dma_dir dir;		/* what the CDB means; DMA_NONE also when it could not be told */
	uint64_t
		in_bytes; /* DMA_FROM_DEVICE: bytes placed at the start of iov, in GOOD and CHECK CONDITION */

	/* --- private --- */
	const struct scsi_op *op;
	const struct scsi_work *work; /* what it does at the controller; NULL: nothing, or only flushes */
	uint64_t lba, nblocks;	      /* the range of the medium that it touches; nblocks 0: none */
	uint64_t bytes;		      /* of the body, see task.h */
	uint64_t next;		      /* bytes already handed down */
	uint64_t iov_base;	      /* where the body's byte 0 lies in iov */
	uint64_t arg[2];	      /* of the command's own functions, 0 at start */
	uint16_t children;	      /* requests at the controller */
	uint16_t flags;		      /* TASK_* of task.h */
	uint8_t phase;		      /* enum task_phase of task.h */
	int32_t scratch;	      /* index of a scratch buffer, or -1 */
	uint64_t error_at;	      /* byte offset of the first error so far */
	uint64_t started_ns;
	struct hba_req *child[SCSI_MAX_CHILDREN]; /* those at the controller, NULL between them */
	uint64_t flush_mark;			  /* lun->written when its flush was handed down */
	uint64_t order;				  /* in which the LUN has taken them */
	uint8_t hold;				  /* enum task_hold of task.h */
	bool once;				  /* a part that must not be done twice was handed down */
	bool ours;				  /* no initiator's: unit attentions are not for it */
	struct list link;			  /* in the host's queues, or in lun->parked */
	struct list ranged;			  /* in lun->ranged */
};

/* Why a LUN does not take commands now. */
enum scsi_gate {
	SCSI_GATE_OPEN,
	SCSI_GATE_BECOMING_READY, /* 02/04/01: controller boots or the unit is not yet looked at */
	SCSI_GATE_NO_UNIT, /* 05/25/00: the unit is not there, or is not what the LUN was created for */
	SCSI_GATE_GONE,	   /* 02/04/03: the controller is gone or failed, manual intervention */
	SCSI_GATE_HELD,	   /* likewise, but for the LUN's hold time commands wait for its return */
};

/* What the unit is, found by asking it (INQUIRY, VPD 80h and 83h, READ CAPACITY). Stable across slots. */
struct scsi_identity {
	uint8_t type; /* peripheral device type; only 00h is exported */
	char vendor[9], product[17], revision[5];
	char serial[65]; /* VPD 80h, trimmed */
	uint8_t naa[16]; /* designator; 8 or 16 bytes */
	uint8_t naa_len;
	bool naa_from_unit; /* else derived (NAA 3h) from vendor, product and serial number */
	char naa_text[40];  /* "naa.6001…", lower case */
	uint64_t blocks;
	uint32_t block_size;
	uint8_t lbppbe; /* log2 of logical blocks per physical block */
	uint16_t lowest_aligned;
};

struct scsi_unit {
	const struct hba_unit *hba;
	bool identified; /* id is valid; else problem says why it cannot be exported */
	char problem[160];
	struct scsi_identity id;
};

/* What a LUN refuses unless its cfgstring allows it ("allow=NAME+NAME"): it destroys data or hardware, or it
 * passes guards of LIO that look at the data direction only (hazard H16). */
enum scsi_allow {
	ALLOW_FORMAT = 0x01,   /* FORMAT UNIT */
	ALLOW_SANITIZE = 0x02, /* SANITIZE */
	ALLOW_BUFFER = 0x04,   /* WRITE BUFFER, READ BUFFER: firmware download */
	ALLOW_SECURITY = 0x08, /* SECURITY PROTOCOL IN and OUT */
	ALLOW_ATA = 0x10,      /* ATA PASS-THROUGH */
	ALLOW_NODATA = 0x20,   /* commands and modifiers that write without data-out: WRITE SAME with NDOB */
	ALLOW_COPY = 0x40, /* EXTENDED COPY from or to another LUN that allows it, too: LIO has checked access
				* to the LUN that got the command only */
	ALLOW_POWER = 0x80, /* START STOP UNIT that does more than to start */
};

/* Its name in a cfgstring, of one bit. */
const char *scsi_allow_name(enum scsi_allow bit);

/* Per-LUN options of the cfgstring. */
struct scsi_lun_config {
	char unit[64]; /* "ld0", "naa.…" */
	char naa[40];  /* the disk that has to be there under that name, "naa.…"; empty: any */
	bool ro;
	uint16_t allow; /* enum scsi_allow */
	/* Opcodes C0h to FFh: 0, refused; else 1 + enum dma_dir: they reach the unit, with data in that
	 * direction, which no CDB tells. */
	uint8_t vendor[64];
	uint64_t blocks; /* as the backstore was created or resized; 0: not known yet */
	uint32_t block_size;
	bool may_be_smaller; /* than its unit, which may have grown; initiators see the LUN's size */
	/* How long commands wait for a controller that is gone before they fail; 0: not at all. */
	uint32_t hold_s;
	bool own_hold; /* the cfgstring said so */
};

/* --- set-up thread --- */

/* The host exists before its controller is up (LUNs answer BECOMING READY then). -errno. */
int scsi_host_create(struct loop *loop, struct scsi_host **ret);
/* Controller is started and its lanes' loops run, the first of them the host's: asks every unit who it is. Resolves
 * waiting LUNs and opens their gates. The same controller may be attached again to look at its units anew (their sizes,
 * whether they are still the same). What scsi_host_units() gave before stays valid until scsi_host_trim(). The first
 * attach decides how many lanes the host has: later ones use no more, and with fewer they fail, because LUNs are on
 * them (-ERANGE). -ENODEV: it went away; -ETIMEDOUT: an I/O thread does not answer. */
int scsi_host_attach(struct scsi_host *s, struct hba *h, struct err *e);
/* After the first attach; any thread that knows of it. */
unsigned scsi_host_lanes(const struct scsi_host *s);
/* Control thread, after an attach that succeeded: frees what earlier ones have found. */
void scsi_host_trim(struct scsi_host *s);
/* Controller is about to stop or is gone: gates close with the given reason; tasks that are at the controller
 * complete through it. With SCSI_GATE_GONE, LUNs with a hold time keep what can be done again, and new commands, until
 * that is over (SCSI_GATE_HELD). Returns at once; the I/O thread lets go of the controller before it sees anything that
 * is posted to the loop later, so hba_stop() may follow. */
void scsi_host_detach(struct scsi_host *s, enum scsi_gate why);
void scsi_host_destroy(struct scsi_host *s); /* no LUNs and tasks left; NULL is fine */

/* What initiators have not been told of a unit: kept from one hbad to the next, since they do not notice that one. */
#define SCSI_UNTOLD 4
struct scsi_untold {
	char naa[40]; /* the unit's */
	bool lost;    /* writes that were acknowledged may have been lost: a flush has to say so */
	uint32_t attention[SCSI_UNTOLD]; /* unit attentions: sense key, ASC and ASCQ; 0: no more */
};
/* The end of a host, when the I/O threads run no more. h: the controller that it had, stopped or frozen since the last LUN went,
 * so that its units' `unflushed` says what of them is on media; NULL: it was lost, or nobody knows what its flush has reached.
 * LUNs that are left owe as if they had been let go of; they may not be used any more. Returns how many there are. */
unsigned scsi_host_leave(struct scsi_host *s, const struct hba *h, struct scsi_untold ret[HBA_MAX_UNITS]);
/* Its beginning, before the I/O thread runs. -EINVAL: it makes no sense. */
int scsi_host_inherit(struct scsi_host *s, const struct scsi_untold *u);
/* Control thread, now and then: has hold times that are over noticed. Costs nothing while nobody waits. */
void scsi_host_tick(struct scsi_host *s);

/* Units as found, none while detached; valid until scsi_host_trim(), and their hba pointers until
 * scsi_host_detach(). Control thread. */
unsigned scsi_host_units(const struct scsi_host *s, const struct scsi_unit **ret);
/* "ldN", "pdN" or "naa.…". NULL with a sentence that lists what there is. */
const struct scsi_unit *scsi_host_find(const struct scsi_host *s, const char *unit, struct err *e);

#define SCSI_MAX_HOLD_S 3600
/* Parses "UNIT[;ro=1][;hold=SECONDS][;allow=NAME+NAME...]": the part of a cfgstring after "hba/CONTROLLER/". Pure; any thread.
 * Unknown options and names are errors that list the known ones. */
int scsi_lun_parse(const char *text, struct scsi_lun_config *ret, struct err *e);
/* Does the configuration fit the unit? Names size and block size that would. 0, -ENOENT, -EINVAL (size, block
 * size), -ESTALE (another disk than cfg->naa), -EMEDIUMTYPE (not a disk), -EAGAIN (controller still booting: nothing can be said). */
int scsi_lun_check(const struct scsi_host *s, const struct scsi_lun_config *cfg, struct err *e);

/* Control thread; joins the host by a message to the I/O thread, until when it answers BECOMING READY. Not
 * checked here (see scsi_lun_check). -ENOMEM. */
int scsi_lun_create(struct scsi_host *s, const struct scsi_lun_config *cfg, struct scsi_lun **ret);
/* The same on a lane of the host: lanes know nothing of each other, so LUNs of one unit, ever, and LUNs between which
 * there are to be copies, belong to one lane. SCSI_UNSETTLED: that is not known yet, so it is on the first one, and does
 * not open before scsi_lun_settle(). naa: of the unit that the lane was chosen for (NULL: the host has one lane); when
 * there is another one under the name, the LUN does not open. -ERANGE: there is no such lane. */
#define SCSI_UNSETTLED HBA_MAX_LANES
int scsi_lun_create_on(struct scsi_host *s, unsigned lane, const char *naa, const struct scsi_lun_config *cfg,
	struct scsi_lun **ret);
/* For a LUN that is not settled. I/O thread that has it: takes it out, with the tasks that wait for its controller. From
 * then on nobody may touch it until its new I/O thread settles it, which opens it if its unit is there. Both idempotent,
 * and nothing happens to one that is settled. */
void scsi_lun_leave(struct scsi_lun *lun);
void scsi_lun_settle(struct scsi_lun *lun, unsigned lane, const char *naa);
bool scsi_lun_is_settled(const struct scsi_lun *lun);
/* Its lane, and its I/O thread's loop; control thread, while it is not being settled. And that of a lane of its host, which
 * must be there. */
unsigned scsi_lun_lane(const struct scsi_lun *lun);
struct loop *scsi_lun_loop(const struct scsi_lun *lun);
struct loop *scsi_lane_loop(const struct scsi_lun *lun, unsigned lane);
/* Control thread, for a LUN that runs: from now on it has so many blocks. The caller has seen that the unit has
 * them. -ETIMEDOUT: the I/O thread does not answer. */
int scsi_lun_resize(struct scsi_lun *lun, uint64_t blocks, struct err *e);
/* I/O thread: its submitter begins. Until then no copy (EXTENDED COPY) of any LUN reads from or writes to it.
 * Idempotent. */
void scsi_lun_serve(struct scsi_lun *lun);
/* I/O thread: its submitter will not come back. Copies of other LUNs from or to it end, and none begins any more.
 * Idempotent. */
void scsi_lun_retire(struct scsi_lun *lun);
/* I/O thread or loop stopped. No task of its submitter may be left. What is left of copies of other LUNs lives on
 * to its end, and so does a FORMAT UNIT or SANITIZE of its unit. */
void scsi_lun_destroy(struct scsi_lun *lun);

/* --- I/O thread --- */

/* Takes the task; never refuses; queues without bound (tasks are the submitter's memory). */
void scsi_submit(struct scsi_task *task);
/* A task management function names the task. Not yet at the controller: completes at once with TASK ABORTED.
 * Else no further part of it is issued, firmware is asked to abort what it has, and the task completes when
 * firmware confirmed or answered all of it, or after a reset (hazard H8). Idempotent. Of several that are named
 * at once, the youngest first: it may wait for an older one's range. */
void scsi_task_abort(struct scsi_task *task);
unsigned scsi_lun_busy(const struct scsi_lun *lun); /* tasks taken and not done; any thread, a snapshot */
enum scsi_gate scsi_lun_gate(const struct scsi_lun *lun); /* any thread, a snapshot */
const struct scsi_lun_config *scsi_lun_config(const struct scsi_lun *lun);

struct scsi_lun_stats {
	uint64_t tasks, reads, writes, read_bytes, write_bytes, flushes, errors;
};
void scsi_lun_get_stats(const struct scsi_lun *lun, struct scsi_lun_stats *ret); /* any thread, a snapshot */

#endif
