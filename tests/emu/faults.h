/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scripted misbehaviour: rules that wait for a command, and what happens to it then. */
#ifndef HBAD_EMU_FAULTS_H
#define HBAD_EMU_FAULTS_H

#include "base/err.h"
#include "rng.h"

enum fault_action {
	FAULT_NONE,
	FAULT_DELAY,	     /* ms */
	FAULT_DROP,	     /* never answered */
	FAULT_WRONG_CONTEXT, /* answered under a name that nobody has */
	FAULT_OTHER_CONTEXT, /* answered, when there is one, under the name of another that is still at work */
	FAULT_TWICE,	     /* answered twice */
	FAULT_SENSE,	     /* CHECK CONDITION with key and code, nothing executed */
	FAULT_STATUS,	     /* failed by firmware with this status, nothing executed */
	FAULT_FIRMWARE,	     /* the controller faults with this code before it answers */
	FAULT_LATE_DMA,	     /* hangs until aborted; ms after that it writes into its buffers all the same */
	FAULT_USED_LEN,	     /* told to be so long */
	FAULT_USED_INDEX,    /* so many answers that nobody gave are told before it */
	FAULT_GONE,	     /* the device is away from then on: all registers read as ones */
	N_FAULT_ACTIONS
};

enum cmd_class {
	CLASS_READ = 1,
	CLASS_WRITE = 2,
	CLASS_FLUSH = 4,
	CLASS_SCSI = 8,
	CLASS_DCMD = 16,
	CLASS_ABORT = 32
};

#define FAULT_RETRY_NS 100000 /* how often one that waits looks again */

struct fault {
	bool used;
	enum fault_action action;
	uint32_t arg;	  /* ms, key << 16 | asc, status, code, length, number */
	uint32_t classes; /* CLASS_x that it waits for */
	char unit[16];	  /* "" for any */
	bool any_opcode;
	uint32_t opcode; /* of the CDB, or of the DCMD */
	uint64_t skip;	 /* so many matching commands are left alone first */
	uint64_t count;	 /* so many are hit */
	uint64_t one_in; /* each by lot, 1: all */
};

#define MAX_FAULTS 64

struct faults {
	struct fault rule[MAX_FAULTS];
	struct rng *rng;
	uint32_t own; /* the model's, of those that not every one has */
	uint64_t hits;
};

struct cmd_info {
	uint32_t classes;
	const char *unit; /* "" if there is none */
	uint32_t opcode;
};

/* "drop on=read unit=ld0 nth=5 count=2". */
int faults_add(struct faults *f, const char *text, struct err *e);
void faults_clear(struct faults *f);
/* The rule that strikes this command, or NULL. */
const struct fault *faults_match(struct faults *f, const struct cmd_info *c);
/* The grammar, for help. */
extern const char faults_help[];

#endif
