/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of scsi_host and scsi_lun.
 *
 * Threads. Lists, gates and queues belong to the I/O thread; the control and set-up threads reach them by
 * messages to the loop only, which run in the order they were posted. The table of units is built by the
 * set-up thread and then only read: control threads find it under `lock`, the I/O thread has a pointer of its
 * own, exchanged by message. An older table is freed after the I/O thread has taken the newer one.
 */
#ifndef HBAD_SCSI_HOST_H
#define HBAD_SCSI_HOST_H

#include <pthread.h>
#include <stdatomic.h>
#include "base/log.h"
#include "base/loop.h"
#include "base/tags.h"
#include "facts.h"
#include "wipe.h"

#define SCRATCH_COUNT 64
#define SCRATCH_BYTES 65536 /* what VERIFY compares and ORWRITE changes at a time */
#define SINK_IOVS     16
#define ATTENTIONS    4 /* that wait to be told, of one LUN */

struct scsi_units {
	struct scsi_units *older;
	unsigned n;
	struct scsi_unit unit[HBA_MAX_UNITS];
	struct scsi_facts facts[]; /* n of them */
};

/* What MODE SELECT has chosen for a unit. */
struct mode_choice {
	char naa[40]; /* its naa_text */
	bool d_sense, swp;
};

/* What a LUN that was let go of has left to the next one of its unit: writes without a flush, and what no initiator has
 * heard yet. */
struct scsi_debt {
	char naa[40];	/* its naa_text; empty: free */
	bool unflushed; /* as written != flushed */
	bool forgetful, lost;
	bool absent; /* the unit was not there when its LUN went: a flush of the controller is none of it */
	/* From scsi_host_inherit(): each lane has one, and the one on whose lane the unit is served counts. */
	bool inherited;
	uint32_t outages;
	enum scsi_sense attention[ATTENTIONS]; /* as in struct scsi_lun */
};

/* What one I/O thread has of a host. The first one's is the host, and knows the others. */
struct scsi_host {
	struct loop *loop;
	unsigned lane;	 /* of the controller */
	unsigned n_more; /* atomic; others, from the first attach on */
	struct scsi_host *more[HBA_MAX_LANES - 1];

	/* set-up and control threads; of the first lane, but for what is handed over */
	pthread_mutex_t lock;	    /* of units; never taken by the I/O thread */
	struct scsi_units *units;   /* NULL while no controller is attached */
	struct scsi_units *newest;  /* head of all tables not yet freed */
	struct hba *attaching;	    /* handed to each I/O thread ... */
	struct scsi_units *offered; /* ... with the newest table */

	/* any thread */
	_Atomic int closing; /* enum scsi_gate that scsi_host_detach() asks for */
	atomic_bool close_posted;
	struct loop_msg close_msg;
	atomic_uint holding; /* LUNs whose gate is SCSI_GATE_HELD */
	/* Of the first lane: LUNs that copies may be from or to, and whose lane is still to be chosen. */
	atomic_uint awaited;
	atomic_bool tick_posted;
	struct loop_msg tick_msg;

	/* I/O thread */
	struct hba *hba; /* NULL while detached */
	struct scsi_units *io_units;
	enum scsi_gate gate; /* SCSI_GATE_OPEN, or why no LUN is open */
	struct list luns;
	struct list ready;     /* LUNs that have tasks with something to hand down, in turn */
	struct list starved;   /* tasks that wait for a scratch buffer */
	struct copies *copies; /* see copy.h */
	struct hba_req *spare; /* taken, but not accepted by hba_submit(): giving it back would call ready()
				  at once */
	bool kicking, kick_again;
	struct log_limit refused;
	struct mode_choice choice[HBA_MAX_UNITS];
	unsigned n_choices; /* ever made; when there is no room, the oldest is forgotten */
	struct scsi_debt debt[HBA_MAX_UNITS];
	unsigned debts_given_up; /* for others, when there was no room */
	struct tags scratch;
	uint8_t *scratch_mem;
	struct iovec scratch_iov[SCRATCH_COUNT];
	/* Each row the start of one scratch buffer, again and again. */
	struct iovec pattern_iov[SCRATCH_COUNT][PATTERN_IOVS];
	struct iovec sink[SINK_IOVS]; /* all the same buffer: data that is read to be thrown away */
};

struct scsi_lun {
	struct scsi_host *host;	 /* its lane's */
	struct scsi_host *first; /* the first lane's */
	struct scsi_lun_config cfg;
	_Atomic int gate; /* written by the I/O thread */
	atomic_uint busy;
	struct loop_msg join;
	bool joined, dead; /* dead: destroyed; its memory is kept for what goes on without it */
	bool unsettled;	   /* its lane is still to be chosen: it does not open */
	bool sought;	   /* its lane has looked for its unit in vain; it may be held all the same */
	bool awaited;	   /* counted in first->awaited */
	/* The unit that its lane was chosen for; empty: whichever. */
	char placed[sizeof(((struct scsi_identity *)0)->naa_text)];
	/* Its ring was started and not let go of since: only then a copy of another LUN may use it. Before, the last
	 * owner of the ring may still be at work, and after, the next one. I/O thread. */
	bool serving;
	unsigned copying; /* tasks of copies */
	struct list all;  /* in host->luns */

	bool known; /* facts are those of the unit, of now or before the gate closed */
	struct scsi_facts facts;
	const struct hba_unit *unit; /* valid while the gate is open */
	uint32_t max_piece;	     /* bytes per request, a multiple of the block size */
	bool verify_by_read;	     /* the unit refused VERIFY */
	bool no_lba_status;	     /* ... or GET LBA STATUS */
	bool fua_native;	     /* of the controller; a task may still ask when that is gone */
	struct wipe wipe;
	struct scsi_lun *wiper; /* the one whose wipe this unit's is; NULL: there is none */

	bool d_sense, swp; /* of the control mode page: sense format, software write protection */
	struct log_limit refusals;

	uint64_t taken;	      /* tasks, ever */
	struct list parked;   /* tasks that wait for the controller's return, in the order they came */
	uint64_t hold_end_ns; /* while the gate is SCSI_GATE_HELD */
	/* Writes that were answered with GOOD, and those of them that a GOOD flush has covered. */
	uint64_t written, flushed;
	/* For the next commands of initiators, whoever they are (hazard H22), oldest first; SENSE_NONE behind the last. */
	enum scsi_sense attention[ATTENTIONS];
	bool forgetful; /* its unit may lose the others when its controller goes */
	bool absent; /* its unit, or the controller, was away since it was open last; a stop alone is not that */
	bool lost; /* some of them may have been lost with the controller, and no flush has said so yet */
	uint32_t outages; /* the unit's count, when it was looked at last */
	uint64_t doubted; /* flushes of tasks up to this one in order were taken before one has said so */

	struct list wait;   /* tasks with something to hand down, oldest first */
	struct list ranged; /* tasks that touch the medium, in the order they came; see range.c */
	unsigned exclusive; /* those of them with TASK_EXCLUSIVE */
	unsigned held;	    /* those of them with TASK_HELD */
	struct list turn;   /* in host->ready while wait is not empty */

	struct {
		_Atomic uint64_t tasks, reads, writes, read_bytes, write_bytes, flushes, errors;
	} stats; /* written by the I/O thread alone */
};

/* What its I/O thread has of the host; there must be such a lane. */
struct scsi_host *host_lane(const struct scsi_host *s, unsigned lane);
/* One more behind the others, unless it is among them; of more than ATTENTIONS the newest. */
void attention_add(enum scsi_sense to[ATTENTIONS], enum scsi_sense code);
/* Initiators are to be told. */
void lun_attention(struct scsi_lun *lun, enum scsi_sense code);
/* The unit has told it to a command that no initiator has sent, and will not say it again: the LUNs of the unit do. */
void lun_unit_attention(struct scsi_lun *lun, enum scsi_sense code);
/* The oldest, which is told now; SENSE_NONE: there is none. */
enum scsi_sense lun_take_attention(struct scsi_lun *lun);
/* Are they of one unit? */
bool lun_same_unit(const struct scsi_lun *a, const struct scsi_lun *b);
/* A copy's task at this LUN has ended: frees a LUN that waited for it. */
void lun_copy_left(struct scsi_lun *lun);
/* Looks the LUN's unit up in host->io_units and opens or closes its gate. I/O thread. */
void lun_resolve(struct scsi_lun *lun);
/* Closes: what waits is answered with the gate's condition, what is at the controller comes back through it. */
void lun_close(struct scsi_lun *lun, enum scsi_gate why);
/* I/O thread, whenever anything of that changes: counts the LUN, or no longer, among those that copies naming a unit which
 * is not found have to wait for. It counts while it is served, its lane is still to be chosen, and its unit may be there: not
 * when its lane has looked for that in vain, nor when no copy may use it. */
void lun_await(struct scsi_lun *lun);
/* A task that waits for the LUN's gate, or NULL. */
struct scsi_task *lun_first_waiting(struct scsi_lun *lun);
const struct scsi_unit *units_find(const struct scsi_units *units, const char *name);
/* Why the unit does not fit the configuration: 0, or an errno of scsi_lun_check() with its sentence. */
int lun_fits(const struct scsi_unit *u, const struct scsi_lun_config *cfg, struct err *e);
/* The controller has failed or was removed: close all gates. */
void host_lost(struct scsi_host *s, enum scsi_gate why);
/* ... if it has, and they are not closed yet. */
void host_notice_loss(struct scsi_host *s);

/* --- hold.c --- */

/* The gate that a LUN gets whose controller is gone: SCSI_GATE_HELD, or SCSI_GATE_GONE. */
enum scsi_gate hold_gate(struct scsi_lun *lun);
/* The gate changes to now. */
void hold_gate_changes(struct scsi_lun *lun, enum scsi_gate now);
/* The gate is open again, as are those of all LUNs that open with it: what waited is done, in the order it came. Does
 * nothing while it is closed. */
void hold_release(struct scsi_lun *lun);
void hold_tick(struct loop_msg *msg);

/* --- lost.c --- */

/* The gate changes to now: remembers writes that nobody can vouch for. */
void lost_gate_changes(struct scsi_lun *lun, enum scsi_gate now);
/* Whether its unit was without power since it was looked at last. Also when an outage that is over has just been told: what is
 * written from now on is none of it. */
void lost_look(struct scsi_lun *lun);
/* The LUN is let go of: whoever serves its unit next hears of its writes, and has its unit attentions. */
void lost_bequeath(struct scsi_lun *lun);
/* A new lane gets what the first one has inherited. */
void lost_copy(struct scsi_host *to, const struct scsi_host *from);
/* The controller is gone: so may be writes of LUNs that were let go of. */
void lost_host_gone(struct scsi_host *s);

static inline void stat_add(_Atomic uint64_t *counter, uint64_t n)
{
	/* One writer: a plain load and store is enough, and cheaper than a locked add. */
	atomic_store_explicit(
		counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline enum scsi_gate lun_gate(const struct scsi_lun *lun)
{
	return (enum scsi_gate)atomic_load_explicit(&lun->gate, memory_order_relaxed);
}

#endif
