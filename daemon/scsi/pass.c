/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TEST UNIT READY and START STOP UNIT, which the unit answers itself; PREVENT ALLOW MEDIUM REMOVAL. */
#include "commands.h"

#include <string.h>
#include "task.h"

#define START_START    0x01
#define START_LOEJ     0x02
#define START_NO_FLUSH 0x04
#define PREVENT	       0x03

/* SBC-3 table 79. What IDLE and STANDBY force or let a timer force is the unit's business. */
enum power_condition {
	START_VALID = 0x0,
	ACTIVE = 0x1,
	IDLE = 0x2,
	STANDBY = 0x3,
	LU_CONTROL = 0x7,
	FORCE_IDLE_0 = 0xa,
	FORCE_STANDBY_0 = 0xb,
};

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

/* --- START STOP UNIT --- */

static bool is_power_condition(uint8_t pc)
{
	switch (pc) {
	case START_VALID:
	case ACTIVE:
	case IDLE:
	case STANDBY:
	case LU_CONTROL:
	case FORCE_IDLE_0:
	case FORCE_STANDBY_0:
		return true;
	default:
		return false;
	}
}

/* Does the medium come to rest, at once or as soon as what is going on is done? START counts only where no power
 * condition is named. */
static bool stops(uint8_t pc, uint8_t bits)
{
	if (pc == START_VALID)
		return !(bits & START_START);
	return pc == STANDBY || pc == FORCE_STANDBY_0;
}

/*
 * A stopped unit is stopped for everybody, and the command has no data, so LIO lets it pass from an initiator that may
 * only read, or that another one's reservation keeps out (hazard H16). SBC-3 allows such a one to start the unit
 * and nothing else; who is one is not known here, so all are taken for such. LIO's own disks answer likewise.
 */
static bool may_change_power(struct scsi_task *t)
{
	uint8_t bits = t->cdb[4], pc = bits >> 4;

	if (pc == START_VALID && bits & START_START)
		return true;
	if (t->lun->cfg.ro)
		task_check(t, SENSE_WRITE_PROTECTED);
	else if (!(t->lun->cfg.allow & ALLOW_POWER))
		task_not_allowed(t, ALLOW_POWER, 4, pc == START_VALID ? 0 : 7);
	else
		return true;
	return false;
}

/* It takes one slot, however long the disks need; IMMED is for the unit to honour. */
void cmd_start_stop(struct scsi_task *t)
{
	uint8_t bits = t->cdb[4], pc = bits >> 4;

	if (!is_power_condition(pc)) {
		task_bad_field(t, 4, 7);
		return;
	}
	/* Nothing here can be loaded or ejected. */
	if (pc == START_VALID && bits & START_LOEJ) {
		task_bad_field(t, 4, 1);
		return;
	}
	if (!may_change_power(t))
		return;
	/* SBC-3 5.25: what is cached goes to the medium before the unit stops. Not left to the unit alone,
	 * since the cache may be the controller's. */
	if (stops(pc, bits) && !(bits & START_NO_FLUSH))
		t->flags |= TASK_FLUSH_BEFORE;
	task_work(t, &work_cdb, 1);
}

/* --- PREVENT ALLOW MEDIUM REMOVAL --- */

/* The medium is fixed: to keep it in is a promise that holds without doing anything, and to allow its removal
 * changes nothing. The values for medium changers are obsolete. */
void cmd_prevent_allow(struct scsi_task *t)
{
	if ((t->cdb[4] & PREVENT) > 1)
		task_bad_field(t, 4, 1);
	else
		task_good(t);
}
