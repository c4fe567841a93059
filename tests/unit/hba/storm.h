/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes that are aborted, swept away by resets of their unit, lost, and sent again after resets of the controller, in random
 * order, by any of the rig's I/O threads. Each block has one writer, who writes a newer generation as soon as the older write
 * has ended in whatever way: an older one that reaches the disk after that is a stale write (hazard H3).
 */
#ifndef HBAD_TESTS_HBA_STORM_H
#define HBAD_TESTS_HBA_STORM_H

#include "hba/rig_base.h"

#define STORM_MAX_BLOCKS 32
#define STORM_UNITS	 3

/* What a driver's model has of its own. A call takes the model's lock itself, unless it says otherwise. */
struct storm {
	unsigned blocks; /* this many commands at once, at most */
	/* Under the model's lock: the medium of a unit. */
	const uint8_t *(*disk)(const struct rig *r, unsigned unit);
	/* Holds commands from now on, or answers them at once; not holding, task management works and is answered, too. */
	void (*hold)(struct rig *r, bool on);
	/* Now the controller has to be reset. */
	void (*provoke)(struct rig *r);
	/* What task management does from now on. */
	void (*misbehave)(struct rig *r);
	void (*finish_tmf)(struct rig *r);
	void (*lose)(struct rig *r, unsigned i); /* i < model_pending() */
};

/* A number below sides, by the seed. */
unsigned storm_dice(unsigned sides);

/* Starts the rig, and takes it down in the end. Its time limits must be out of reach: resets are provoked ones. */
void storm_run(const struct storm *s, struct rig *r, uint64_t seed);

#endif
