/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands that the LUN's configuration does not allow: refused, and the administrator told why, without a
 * flood when an initiator insists. */
#include "task.h"

#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"

#define LINES	 5 /* per LUN and minute */
#define INTERVAL (60 * NS_PER_SEC)

/* "allow=format", "allow=nodata+copy" */
static void name_option(const struct scsi_task *t, enum scsi_allow bits, char *text, size_t size)
{
	size_t len = (size_t)snprintf(text, size, "allow=");
	bool first = true;

	if (t->cdb[0] >= OP_VENDOR) {
		snprintf(text, size, "allow=%02x-in, %02x-out or %02x-none, by its data", t->cdb[0],
			t->cdb[0], t->cdb[0]);
		return;
	}
	for (unsigned bit = 1; bit <= UINT16_MAX && len < size; bit <<= 1) {
		const char *name = bits & bit ? scsi_allow_name((enum scsi_allow)bit) : NULL;

		if (!name)
			continue;
		len += (size_t)snprintf(text + len, size - len, "%s%s", first ? "" : "+", name);
		first = false;
	}
}

void task_tell_not_allowed(struct scsi_task *t, enum scsi_allow bits)
{
	struct scsi_lun *lun = t->lun;
	char option[80];

	if (!log_limit_ok(&lun->refusals, LINES, INTERVAL))
		return;
	name_option(t, bits, option, sizeof(option));
	if (lun->refusals.suppressed)
		log_warn("%s: %u more commands were refused that the LUN's cfgstring does not allow",
			lun->cfg.unit, lun->refusals.suppressed);
	lun->refusals.suppressed = 0;
	log_warn("%s: refused %s (opcode %02xh) of an initiator: the LUN's cfgstring would allow it with %s",
		lun->cfg.unit, t->op->name, t->cdb[0], option);
}

void task_not_allowed(struct scsi_task *t, enum scsi_allow bits, unsigned byte, int bit)
{
	task_tell_not_allowed(t, bits);
	if (byte)
		task_bad_field(t, byte, bit);
	else
		task_check(t, SENSE_INVALID_OPCODE);
}
