/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * READ DEFECT DATA. A disk answers itself. A logical drive has no defects that anybody could address: its
 * controller keeps those of the member disks to itself and puts other sectors in their place. So its lists are
 * empty.
 */
#include "commands.h"

#include "base/endian.h"
#include "through.h"

#define LISTS  0x18 /* PLIST and GLIST, asked for and valid */
#define FORMAT 0x07

static const struct through list10 = {
	.len_at = 7, .len_width = 2, .unit = 1, .head_at = 2, .head_width = 2, .head_len = 4};
static const struct through list12 = {
	.len_at = 6, .len_width = 4, .unit = 1, .head_at = 4, .head_width = 4, .head_len = 8};

static bool is_disk(const struct scsi_task *t)
{
	return t->lun->unit->kind == HBA_UNIT_PD;
}

/* The header alone, in the format asked for; at: the byte of the CDB that says what is wanted. */
static void reply_empty(struct scsi_task *t, unsigned at, size_t header, uint32_t alloc)
{
	uint8_t data[8] = {0, t->cdb[at] & (LISTS | FORMAT)};

	if ((t->cdb[at] & FORMAT) == FORMAT) /* reserved */
		task_bad_field(t, at, 2);
	else
		task_reply(t, data, header, alloc);
}

void cmd_read_defect10(struct scsi_task *t)
{
	uint16_t alloc = get_be16(t->cdb + 7);

	if (is_disk(t))
		through_in(t, &list10, alloc);
	else
		reply_empty(t, 2, 4, alloc);
}

void cmd_read_defect12(struct scsi_task *t)
{
	uint32_t alloc = get_be32(t->cdb + 6);

	if (is_disk(t))
		through_in(t, &list12, alloc);
	else if (get_be32(t->cdb + 2)) /* beyond the end of the list */
		task_bad_field(t, 2, 7);
	else
		reply_empty(t, 1, 8, alloc);
}
