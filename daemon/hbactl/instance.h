/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One configured instance as seen from three sides: its configuration, its systemd unit, its control socket. */
#ifndef HBAD_HBACTL_INSTANCE_H
#define HBAD_HBACTL_INSTANCE_H

#include "hbad/handoff.h"
#include "hbactl.h"
#include "json.h"

#define STATUS_MS 3000

struct unit_state {
	bool known;	  /* systemd answered; else the rest is empty */
	char active[24];  /* "active", "activating", "inactive", "failed" */
	char sub[24];	  /* "running", "auto-restart" */
	char result[24];  /* "success", "exit-code", "watchdog" */
	char enabled[24]; /* "enabled", "disabled", "masked" */
	unsigned restarts;
	bool has_job; /* a start or stop is queued or running */
};

struct instance {
	char name[HANDOFF_NAME_LEN];
	bool configured; /* config is valid; else config_err says why not */
	struct config config;
	struct err config_err;
	struct unit_state unit;
	JsonNode *status; /* NULL: it did not answer, status_err says why */
	struct err status_err;
};

char *instance_unit(const char *name);			    /* "hbad@NAME.service"; g_free() */
char *instance_path(const struct ctl *c, const char *name); /* its configuration; g_free() */

/* Names of all *.conf files, sorted; files whose name cannot be an instance's are warned of. g_strfreev(). */
char **instance_names(struct ctl *c);
/* Name of the instance whose configuration has this PCI address, or NULL; g_free(). Quiet. */
char *instance_by_device(struct ctl *c, char *const *names, const char *addr);

void unit_read(struct ctl *c, const char *name, struct unit_state *ret);
int status_read(struct ctl *c, const char *name, JsonNode **ret, struct err *e);

bool instance_exists(const struct ctl *c, const char *name);
/* Ends a command about an instance that did not answer (e says why not): perhaps there is no such instance. */
int instance_fail(struct ctl *c, const char *name, const struct err *e);

/* Never fails: what cannot be read is described. */
void instance_read(struct ctl *c, const char *name, struct instance *ret);
void instance_clear(struct instance *i);
#define instance_auto __attribute__((cleanup(instance_clear)))
/* The one word for people: hbad's own state, or what systemd knows: "stopped", "starting", "restarting",
 * "stopping", "silent" (runs but does not answer), "unknown". */
const char *instance_state(const struct instance *i);
JsonObject *instance_status(const struct instance *i); /* NULL when it did not answer */

#endif
