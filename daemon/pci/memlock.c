/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory that cannot be locked: the limit, what is used, what is needed. */
#include "memlock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "tree.h"

/* KiB that count against the limit now. mlock and VFIO share this counter. */
static unsigned long long locked_kib(void)
{
	hb_autofree char *status = NULL;
	const char *line;

	if (tree_slurp(&status, "", "/proc/self/status") < 0)
		return 0;
	line = strstr(status, "\nVmLck:");
	return line ? strtoull(line + strlen("\nVmLck:"), NULL, 10) : 0;
}

int pci_memlock_error(struct err *e, int code, uint64_t bytes)
{
	unsigned long long used = locked_kib(), want = bytes / 1024;
	struct rlimit lim;

	if (getrlimit(RLIMIT_MEMLOCK, &lim) < 0 || lim.rlim_cur == RLIM_INFINITY)
		return err_set(e, code,
			"cannot lock %llu KiB of memory for the device: not enough memory is free", want);
	return err_set(e, code,
		"cannot lock %llu KiB of memory for the device: %llu KiB are locked already, so %llu KiB are "
		"needed, and "
		"the memlock limit is %llu KiB; set LimitMEMLOCK=infinity in the unit, or 'ulimit -l "
		"unlimited'",
		want, used, want + used, (unsigned long long)lim.rlim_cur / 1024);
}
