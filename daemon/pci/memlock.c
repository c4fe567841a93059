/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory that cannot be locked: the limit, what is used, what is needed. */
#include "memlock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "tree.h"

#define CAP_IPC_LOCK_BIT 14 /* include/uapi/linux/capability.h */

static unsigned long long status_field(const char *status, const char *name, int base)
{
	const char *line = status ? strstr(status, name) : NULL;

	return line ? strtoull(line + strlen(name), NULL, base) : 0;
}

int pci_memlock_error(struct err *e, int code, uint64_t bytes)
{
	unsigned long long used, want = bytes / 1024;
	hb_autofree char *status = NULL;
	struct rlimit lim;
	bool unlimited;

	tree_slurp(&status, "", "/proc/self/status");
	/* KiB that count against the limit now. mlock and VFIO share this counter. */
	used = status_field(status, "\nVmLck:", 10);
	unlimited = status_field(status, "\nCapEff:", 16) >> CAP_IPC_LOCK_BIT & 1;
	if (unlimited || getrlimit(RLIMIT_MEMLOCK, &lim) < 0 || lim.rlim_cur == RLIM_INFINITY)
		return err_set(e, code,
			"cannot lock %llu KiB of memory for the device: not enough memory is free", want);
	return err_set(e, code,
		"cannot lock %llu KiB of memory for the device: %llu KiB are locked already, so %llu KiB are "
		"needed, and "
		"the memlock limit is %llu KiB; set LimitMEMLOCK=infinity in the unit, or 'ulimit -l "
		"unlimited'",
		want, used, want + used, (unsigned long long)lim.rlim_cur / 1024);
}
