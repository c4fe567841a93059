/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real machine below struct ctl_ops: what no library layer has already. */
#ifndef HBAD_HBACTL_MACHINE_H
#define HBAD_HBACTL_MACHINE_H

#include "hbactl.h"

#define BACKSTORES_DEADLINE_MS 5000

extern const struct ctl_ops machine_ops;

int machine_run(const char *const *argv, char **ret_out, struct err *e);
int machine_config_remove(const char *path, struct err *e);
/* Reads configfs in a child, because a path below it can block for as long as the kernel deletes a backstore
 * (hazard H12). -ETIMEDOUT after BACKSTORES_DEADLINE_MS. */
int machine_backstores(const char *configfs, const char *name, char ***ret, struct err *e);

#endif
