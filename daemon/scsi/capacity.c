/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * READ CAPACITY. The size is the one that the LUN's reads and writes are checked against, read from the unit
 * when the controller was attached. No protection information: what would need it is rejected.
 */
#include "commands.h"

#include "base/endian.h"
#include "task.h"

#define LBPME 0x80
#define LBPRZ 0x40

void cmd_read_capacity10(struct scsi_task *t)
{
	const struct scsi_identity *id = &t->lun->facts.id;
	uint64_t last = id->blocks - 1;
	uint8_t data[8];

	/* SBC-2: an LBA means something only with PMI. */
	if (!(t->cdb[8] & 0x01) && get_be32(t->cdb + 2)) {
		task_bad_field(t, 2, 7);
		return;
	}
	put_be32(data, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last);
	put_be32(data + 4, id->block_size);
	task_reply(t, data, sizeof(data), sizeof(data));
}

void cmd_read_capacity16(struct scsi_task *t)
{
	const struct scsi_identity *id = &t->lun->facts.id;
	const struct scsi_thin *thin = &t->lun->facts.thin;
	uint8_t data[32] = {0};

	put_be64(data, id->blocks - 1);
	put_be32(data + 8, id->block_size);
	data[13] = id->lbppbe & 0x0f;
	put_be16(data + 14, id->lowest_aligned & 0x3fff);
	if (thin->unmap)
		data[14] |= (uint8_t)(LBPME | (thin->lbprz ? LBPRZ : 0));
	task_reply(t, data, sizeof(data), get_be32(t->cdb + 10));
}
