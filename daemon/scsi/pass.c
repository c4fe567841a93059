/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands whose CDB the unit answers itself. */
#include "commands.h"

#include <string.h>
#include "task.h"

#define START_START    0x01
#define START_NO_FLUSH 0x04

static int cdb_fill(struct scsi_task *t, struct hba_req *req, uint64_t *ret_span)
{
	memcpy(req->cdb, t->cdb, t->op->cdb_len);
	req->cdb_len = t->op->cdb_len;
	*ret_span = 1;
	return 0;
}

/* One request, counted as one byte; data there is none. */
static const struct scsi_work work_cdb = {.max_children = 1, .fill = cdb_fill};

void cmd_test_unit_ready(struct scsi_task *t)
{
	task_work(t, &work_cdb, 1);
}

void cmd_start_stop(struct scsi_task *t)
{
	/* SBC-3 5.25: what is cached goes to the medium before the unit stops. Not left to the unit alone,
	 * since the cache may be the controller's. */
	if (!(t->cdb[4] & (START_START | START_NO_FLUSH)))
		t->flags |= TASK_FLUSH_BEFORE;
	task_work(t, &work_cdb, 1);
}
