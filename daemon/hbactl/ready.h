/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Starting an instance's unit and waiting, with progress, until hbad says that it is ready. */
#ifndef HBAD_HBACTL_READY_H
#define HBAD_HBACTL_READY_H

#include "hbactl.h"
#include "json.h"

/* Longer than the unit's TimeoutStartSec: systemd is to give up first. */
#define READY_TIMEOUT_S 300

/* systemctl VERB [OPTION] hbad@NAME. 0 or -EIO with systemctl's words. */
int ready_systemctl(struct ctl *c, const char *verb, const char *option, const char *name, struct err *e);
/* Ends the wait of hbad-bind@NAME for a returned HBA, which outlasts hbad: what is given back must not be taken again. */
int ready_stop_binding(struct ctl *c, const char *name, struct err *e);

/* Prints each change of state to progress. 0 with hbad's status; -EIO when it failed, -ETIMEDOUT, -EINTR. */
int ready_wait(
	struct ctl *c, const char *name, unsigned timeout_s, FILE *progress, JsonNode **ret, struct err *e);
/* The same for the hbad that comes after the one with this pid, when systemd had restarted the unit so often. */
int ready_wait_next(struct ctl *c, const char *name, int64_t pid, unsigned restarts, unsigned timeout_s,
	FILE *progress, JsonNode **ret, struct err *e);

/* The last lines that the unit wrote to the journal, if they can be had. */
void ready_print_journal(struct ctl *c, const char *name, FILE *out);

#endif
