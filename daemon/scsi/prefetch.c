/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PRE-FETCH. Nobody here can tell what a controller keeps in its cache, and for how long. So none of the blocks is
 * promised to be there: that is GOOD (SBC-3 5.10: the cache did not take all of them); CONDITION MET would be the
 * promise. What is checked is the range.
 */
#include "commands.h"

#include "task.h"

void cmd_prefetch(struct scsi_task *t)
{
	uint32_t nblocks;

	if (!rw_range(t, &nblocks))
		return;
	/* It touches no block: it waits for nobody's range. */
	t->nblocks = 0;
	task_good(t);
}
