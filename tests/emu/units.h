/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Units behind a controller: drives (PD), and logical drives (LD) which the controller shows in place of drives. Each
 * has media, a drive cache on it, and LDs have the controller's cache on top. A unit answers SCSI commands.
 */
#ifndef HBAD_EMU_UNITS_H
#define HBAD_EMU_UNITS_H

#include "base/err.h"
#include "bus.h"
#include "scsi.h"
#include "store.h"

#define MAX_UNITS 64

enum unit_kind { UNIT_LD, UNIT_PD };

struct unit {
	bool used;
	struct units *all;
	enum unit_kind kind;
	uint16_t target;
	uint16_t seq; /* of its configuration */
	bool offline;
	char name[16];					/* "ld0" */
	struct store *media, *drive_cache, *ctrl_cache; /* ctrl_cache: LDs only */
	struct store *top;				/* what SCSI commands reach */
	struct scsi_disk disk;
};

/* What SYNCHRONIZE CACHE to a logical drive does. */
enum ld_sync {
	LD_SYNC_CONTROLLER, /* writes the controller's cache to the drives, whose caches stay as they are */
	LD_SYNC_IGNORED,    /* GOOD, and nothing happens: how the ancestors of this project lost data */
	LD_SYNC_FULL,	    /* down to the media */
	LD_SYNC_REJECTED,   /* INVALID COMMAND OPERATION CODE */
	N_LD_SYNC
};
extern const char *const ld_sync_names[N_LD_SYNC];

struct units {
	struct unit unit[MAX_UNITS];
	struct rng *rng;
	enum ld_sync ld_sync;
	bool ld_fua;  /* FUA of a logical drive's writes reaches the media; else they are like others */
	bool battery; /* the controller's cache survives a power cut */
	uint64_t drive_cache_bytes, ctrl_cache_bytes;
	uint32_t start_ms; /* START STOP UNIT takes this */
};

struct unit_spec {
	enum unit_kind kind;
	uint16_t target;
	uint64_t blocks;
	uint32_t block;
	const char *path; /* NULL: RAM */
	bool write_through;
	char serial[21]; /* empty: made from the target */
	uint64_t naa;	 /* upper half of its identity; 0: the model's */
};

/* "8G" */
int size_parse(const char *text, uint64_t *ret);
/* "ld0,size=8G,block=512,file=/x,wt=1" */
int unit_spec_parse(const char *text, struct unit_spec *ret, char *path_buf, size_t path_size, struct err *e);
int unit_add(struct units *us, const struct unit_spec *spec, struct unit **ret, struct err *e);
void unit_remove(struct unit *u);
int unit_resize(struct unit *u, uint64_t blocks, struct err *e);
struct unit *unit_find(struct units *us, enum unit_kind kind, unsigned target);
struct unit *unit_by_name(struct units *us, const char *name);
void units_free(struct units *us);

/* Writes out what was acknowledged. 0 or -EIO */
int unit_flush_controller(struct unit *u);
int unit_flush_drive(struct unit *u);
/* Power goes, and is back: what is lost is decided by cut, and by battery. */
void units_power_cut(struct units *us, const struct cut *cut);

#endif
