/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guard's helper processes, which alone touch configfs, and what they tell the guard through a pipe. */
#ifndef HBAD_CONTROL_GUARD_WALK_H
#define HBAD_CONTROL_GUARD_WALK_H

#include <limits.h>
#include "base/compiler.h"

enum guard_what {
	GUARD_BEGIN,   /* this group (user_3) is being looked at; device is empty */
	GUARD_WRITING, /* ... and this device of it is about to be blocked and reset */
	GUARD_DONE,    /* blocked and reset */
	GUARD_SKIPPED, /* has no ring: not enabled, or being deleted */
	GUARD_FAILED,  /* step failed with error */
	GUARD_END,     /* through with the group */
};

struct guard_record {
	enum guard_what what;
	int error; /* errno */
	char group[64], device[64], step[64];
};
/* Several processes write into one pipe: records must not mix. */
static_assert(sizeof(struct guard_record) <= PIPE_BUF, "a record is written in one piece");

/* Body of the first helper: starts one helper per group below ROOT/target/core, and ends. */
void guard_walk(const char *configfs_root, const char *name, int pipe_fd);

/* Does the text of an "info" attribute belong to instance name? */
bool guard_info_matches(const char *info, const char *name);

#endif
