/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hbad's layers up to scsi, with time limits that suit an emulator, and a place between the core and the driver where
 * a soak can sabotage the product to see that it would notice.
 */
#ifndef HBAD_TESTS_SOAK_HOST_H
#define HBAD_TESTS_SOAK_HOST_H

#include "emu/rng.h"
#include "hba/ame/box.h"
#include "hba/core.h"
#include "hba/megaraid/fusion.h"
#include "scsi/scsi.h"

enum host_sabotage {
	SABOTAGE_NONE,
	SABOTAGE_FLUSH, /* flushes are answered GOOD and never sent */
	SABOTAGE_WRITE, /* now and then a write is answered GOOD and never sent */
	SABOTAGE_READ,	/* now and then a read gets the block beside the one it asked for */
	SABOTAGE_ABORT, /* what is to be aborted is given back at once, while firmware still works on it */
	SABOTAGE_LEAK,	/* each start of the controller leaves a descriptor open */
	N_SABOTAGES
};
extern const char *const host_sabotages[N_SABOTAGES];

struct host_model {
	const char *name;	    /* the soak's: "ame" */
	const char *emulated;	    /* the emulator's: "ame-6262" */
	const char *unit[4];	    /* the emulator's names; the last one is the slow one; NULL: no more */
	const char *lun[4];	    /* what hbad calls them */
	const char *const *ld_sync; /* what its firmware may do with SYNCHRONIZE CACHE; ends with NULL */
	bool notices, is_ame;
	bool outages; /* a unit that comes back was without power, and the next flush says so */
};
extern const struct host_model host_models[]; /* ends with name NULL */
const struct host_model *host_model_find(const char *name);

/* A request that is ended without the driver. */
struct host_early {
	struct hba_req *req;
	uint32_t generation;
	enum hba_result result;
};

struct host {
	const struct host_model *model;
	const char *uri;
	enum host_sabotage sabotage;
	uint32_t limit_ms; /* of reads and writes; flushes have more */
	unsigned n_lanes;
	struct host_lane {
		struct loop *loop;
		pthread_t io;
	} lane[HBA_MAX_LANES];
	struct scsi_host *scsi;
	struct hba *h; /* while the controller is attached */
	/* in place of the driver's */
	struct hba_match match;
	struct hba_ops ops;
	const struct hba_ops *driver;
	struct mfi_times mfi_times;
	struct mfi_iop iop;
	struct fusion_gen gen;
	struct ame_times ame_times;
	struct ame_family family;
	/* of the sabotage; the I/O thread's */
	struct rng rng;
	struct host_early early[64];
	unsigned n_early;
};

/* Loops and I/O threads of all lanes, and the scsi host; no controller yet. -errno */
int host_create(
	struct host *s, const struct host_model *model, const char *uri, unsigned n_lanes, uint64_t seed);
void host_destroy(struct host *s);
/* As hbad does at start: opens, attaches, starts, asks the units. */
int host_up(struct host *s, struct err *e);
/* As hbad does when it stops, or gives the controller up. Returns what the controller's counters were. */
struct hba_stats host_down(struct host *s, enum scsi_gate why);

#endif
