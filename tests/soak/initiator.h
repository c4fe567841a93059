/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One LUN with its ring, and an initiator with its own thread: keeps many commands in flight, repeats what initiators
 * repeat, sends task management functions as LIO does, and judges every answer.
 */
#ifndef HBAD_TESTS_SOAK_INITIATOR_H
#define HBAD_TESTS_SOAK_INITIATOR_H

#include <pthread.h>

#include "disk.h"
#include "emu/rng.h"
#include "front/front.h"
#include "latency.h"
#include "tests/unit/front/tcmu_model.h"

#define SOAK_MAX_LUNS  4
#define INITIATOR_MOST 64 /* commands at once */

enum initiator_mode {
	INITIATOR_IDLE,
	INITIATOR_LOAD,
	INITIATOR_SCAN, /* reads every block once, then is idle */
};

enum initiator_kind { IO_READ, IO_WRITE, IO_FLUSH, IO_START };

struct slot {
	enum { SLOT_FREE, SLOT_WAITING, SLOT_QUEUED } state;
	enum initiator_kind kind;
	bool fua, ordered, named;
	uint32_t lba, n; /* within the region; n 0: all of it (flushes) */
	unsigned tries;
	uint64_t begun_ns, queued_ns, due_ns;
	unsigned phase; /* it was queued in: what a phase keeps waiting may end in a later one */
	struct model_cmd *c;
	struct disk_view *view;
};

/* The main thread's; under the lock. */
struct initiator_orders {
	enum initiator_mode mode;
	enum disk_past past;   /* of a scan */
	unsigned flush_one_in; /* 0: never */
	unsigned tolerant, quit, phase;
	unsigned shady; /* what is read by the load may be what a power cut left */
	/* The controller was away, and may have lost what was not flushed: the next flush may say so, or must. */
	bool may_tell, must_tell;
	bool told_away;		   /* one has told since: of this loss, or still of the one before */
	uint64_t back_ns, told_ns; /* since when it is back; when a flush told of it */
	unsigned flushes, starts;
	unsigned tmfs; /* so many commands to name */
	uint8_t tmf_type;
};

enum initiator_phase { PHASE_OTHER, PHASE_BEFORE_SLOW, PHASE_BESIDE_SLOW, N_PHASES };

struct initiator_counts {
	uint64_t answers, reads, writes, flushes, fua_writes, starts, bytes;
	uint64_t retries, tolerated, aborted, aborted_good;
	uint64_t told, besides;	     /* flushes that said that writes may be lost; GOOD ones beside them */
	uint64_t tmfs, tmfs_unknown; /* the latter: named nothing that was still in the ring */
	uint64_t longest_ns, longest_tmf_ns;
	uint8_t longest_opcode;
};

struct initiator {
	unsigned index;
	const char *name; /* of the unit */
	struct scsi_lun *lun;
	struct front_ring *ring;
	struct model model;
	int uio_fd; /* atomic: the descriptor that hbad has */
	int wake_fd;
	pthread_t thread;
	bool started;
	bool held; /* its commands wait while the controller is away */
	unsigned depth;

	pthread_mutex_t lock;
	struct initiator_orders orders;
	bool idle;	 /* nothing in flight, and nothing to do */
	unsigned passes; /* how often it has looked at what was answered */
	struct initiator_counts counts;
	struct latency latency[N_PHASES];

	/* the thread's own */
	struct rng rng;
	struct disk disk;
	uint32_t scan_at;
	struct slot slot[INITIATOR_MOST];
	uint64_t tmf_began_ns;
	bool tmf_waits;
};

#define TMF_ABORT_TASK 1
#define TMF_LUN_RESET  5

/* 0 or -errno. The LUN exists; the ring is the caller's to make. */
int initiator_create(struct initiator *i, unsigned index, const char *name, unsigned depth, uint64_t seed);
int initiator_start(struct initiator *i);
void initiator_destroy(struct initiator *i);
/* The initiator of a ring by its uio descriptor: for the kernel's side of it. */
extern const struct front_os initiator_os;

void initiator_set_mode(struct initiator *i, enum initiator_mode mode, enum disk_past past);
/* Errors end commands, and are no finding. */
void initiator_tolerate(struct initiator *i, bool errors);
void initiator_flush_rate(struct initiator *i, unsigned one_in);
void initiator_shady(struct initiator *i, bool shady);
/* The controller goes; is back; writes that were acknowledged are gone. */
void initiator_away(struct initiator *i);
void initiator_back(struct initiator *i);
void initiator_lost(struct initiator *i);
void initiator_phase(struct initiator *i, enum initiator_phase phase);
bool initiator_idle(struct initiator *i);
/* ret_latency: of N_PHASES, or NULL. */
void initiator_look(struct initiator *i, struct initiator_counts *ret_counts, struct latency *ret_latency);
/* Orders; initiator_ordered() tells how many are not carried out yet. */
void initiator_flush(struct initiator *i);
void initiator_unit_start(struct initiator *i);
/* ABORT TASK for so many commands, or LUN RESET. */
void initiator_tmf(struct initiator *i, uint8_t type, unsigned commands);
unsigned initiator_ordered(struct initiator *i);
unsigned initiator_passes(struct initiator *i);
/* The ring was emptied behind its back, or takes commands again. */
void initiator_poke(struct initiator *i);

/* --- between initiator.c and orders.c --- */

void *initiator_main(void *initiator);
struct initiator_orders initiator_orders_now(struct initiator *i);

#endif
