/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backstores that were refused lately, and why: targetcli only says that the creation failed, and the sentence that names
 * the cure would stand in logs alone. Control thread. Lost with the process.
 */
#ifndef HBAD_CONTROL_REFUSALS_H
#define HBAD_CONTROL_REFUSALS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "hbad/handoff.h"

#define REFUSALS_SHOWN 8
/* The oldest one makes room. As many as a controller may have units: those that are tried again all the time are all known,
 * else each try would be news. */
#define REFUSALS_KEPT 256

struct refusal {
	int64_t time_us;	       /* since 1970, UTC */
	char device[HANDOFF_NAME_LEN]; /* these two: maybe not UTF-8 */
	char cfgstring[HANDOFF_CFG_LEN];
	char reason[sizeof(((struct err *)0)->text)];
};

struct refusals {
	unsigned n;
	struct refusal newest_first[REFUSALS_KEPT];
};

#define REFUSALS_SAME_S 10

/* Takes the place of what is known of the device. False: that one said the same, and is not older than REFUSALS_SAME_S
 * (targetcli tries each create twice) or somebody tries again all the time. */
bool refusals_add(
	struct refusals *r, const char *device, const char *cfgstring, bool again, const char *reason);
void refusals_forget(struct refusals *r, const char *device);

#endif
