/* SPDX-License-Identifier: GPL-2.0-or-later */
/* INQUIRY, from the pages that were built when the controller was attached. */
#include "commands.h"

#include "base/endian.h"
#include "task.h"

#define BYTE1_EVPD   0x01
#define BYTE1_CMDDT  0x02 /* obsolete: asked for command support data */
#define RESERVED     0xfc
#define NO_UNIT_HERE 0x7f /* peripheral qualifier 011b, type 1Fh */

static const struct scsi_page *find_page(const struct scsi_lun *lun, uint8_t code)
{
	for (unsigned i = PAGE_VPD_00; i < PAGE_COUNT; i++)
		if (scsi_page_code[i] == code && lun->facts.page[i].len)
			return &lun->facts.page[i];
	return NULL;
}

/* SPC-4 6.6.2: what cannot be accessed says so in byte 0, here and now. */
static void reply_no_unit(struct scsi_task *t, bool evpd, uint64_t alloc)
{
	uint8_t data[36] = {NO_UNIT_HERE, 0, 0x06, 0x02, sizeof(data) - 5};

	if (evpd)
		task_check(t, SENSE_NO_SUCH_UNIT);
	else
		task_reply(t, data, sizeof(data), alloc);
}

/*
 * Nobody has seen the unit yet. An answer without its identity would stick: initiators look once, and tell
 * the paths to two disks apart by what they saw. While the controller starts, BUSY makes them come back.
 */
static void reply_unknown(struct scsi_task *t, enum scsi_gate gate)
{
	if (gate == SCSI_GATE_BECOMING_READY)
		task_status(t, SCSI_BUSY);
	else
		task_check(t, gate_sense(gate));
}

void cmd_inquiry(struct scsi_task *t)
{
	const struct scsi_lun *lun = t->lun;
	enum scsi_gate gate = lun_gate(lun);
	bool evpd = t->cdb[1] & BYTE1_EVPD;
	uint16_t alloc = get_be16(t->cdb + 3);
	const struct scsi_page *page = &lun->facts.page[PAGE_INQUIRY];

	if (t->cdb[1] & RESERVED)
		task_bad_field(t, 1, 7);
	else if (t->cdb[1] & BYTE1_CMDDT)
		task_bad_field(t, 1, 1);
	else if (!evpd && t->cdb[2])
		task_bad_field(t, 2, 7);
	else if (gate == SCSI_GATE_NO_UNIT)
		reply_no_unit(t, evpd, alloc);
	else if (!lun->known)
		reply_unknown(t, gate);
	else if (evpd && !(page = find_page(lun, t->cdb[2])))
		task_bad_field(t, 2, 7);
	else
		task_reply(t, page->data, page->len, alloc);
}
