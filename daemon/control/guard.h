/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guard: answers for a dead hbad (hazards H4 and H9). */
#ifndef HBAD_CONTROL_GUARD_H
#define HBAD_CONTROL_GUARD_H

#include "base/err.h"

#define GUARD_CONFIGFS	  "/sys/kernel/config"
#define GUARD_DEADLINE_MS 10000 /* for all writes together: they run side by side */

struct guard_config {
	const char *name;	   /* instance */
	const char *configfs_root; /* NULL: GUARD_CONFIGFS */
	const char *runtime_dir;   /* NULL: HBAD_RUNTIME_DIR */
	unsigned deadline_ms;	   /* 0: GUARD_DEADLINE_MS */
};

struct guard_result {
	unsigned guarded; /* LUNs blocked and reset */
	unsigned failed;  /* LUNs for which a write failed */
	unsigned stuck;	  /* LUNs (or backstore groups) on which configfs did not answer in time */
};

/*
 * For every "user" backstore whose configuration is hba/NAME/…: block_dev=1, then reset_ring=1, so that
 * initiators get BUSY and retry instead of waiting for ever, and so that LUNs can be deleted while hbad is
 * away. Refuses with -EBUSY while an hbad of that name lives (it holds the instance lock; a reset below a
 * live consumer loses writes), and keeps a new one from starting until it is done. Prints one line per LUN to
 * standard output. Bounded: paths below configfs are touched by helper processes only, and those that do not
 * answer in time are killed. Single-threaded callers only (it forks). 0: done, also when there was nothing to
 * do; -EIO when a LUN failed or is stuck (the sentence names them).
 */
int guard_run(const struct guard_config *cfg, struct guard_result *ret, struct err *e);

#endif
