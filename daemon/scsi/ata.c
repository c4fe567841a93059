/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ATA PASS-THROUGH(12) and (16), passed where the LUN allows it. What the CDB says about its data (SAT-4 13.2) is
 * spread over PROTOCOL, T_LENGTH, T_DIR, BYT_BLOK and T_TYPE, and wrong combinations would move data in a direction
 * or length that nobody has prepared: they are refused here.
 */
#include "commands.h"

#include "base/endian.h"
#include "through.h"

#define EXTEND	 0x01 /* byte 1: of the 16-byte CDB, 48-bit command */
#define T_TYPE	 0x10 /* byte 2: blocks are the device's, not 512 bytes */
#define T_DIR	 0x08 /* from the device */
#define BYT_BLOK 0x04 /* the length counts blocks */
#define T_LENGTH 0x03

enum t_length { LENGTH_NONE, LENGTH_FEATURES, LENGTH_COUNT, LENGTH_TRANSPORT };

enum protocol {
	HARD_RESET = 0,
	SOFT_RESET = 1,
	NON_DATA = 3,
	PIO_IN = 4,
	PIO_OUT = 5,
	DMA = 6,
	DIAGNOSTIC = 8,
	DEVICE_RESET = 9,
	UDMA_IN = 10,
	UDMA_OUT = 11,
	NCQ = 12,
	RESPONSE = 15,
};

/* Not issued again after a reset: what an ATA command does is not known here. */
static const struct through ata = {.unit = 1, .once = true};

static enum protocol protocol_of(const struct scsi_task *t)
{
	return (enum protocol)(t->cdb[1] >> 1 & 0x0f);
}

/* FEATURES and COUNT: two bytes with EXTEND of the long CDB, else one. */
static uint32_t field(const struct scsi_task *t, enum t_length which)
{
	unsigned at = which == LENGTH_FEATURES ? 3 : 5;

	if (t->op->cdb_len == 12)
		return t->cdb[which == LENGTH_FEATURES ? 3 : 4];
	return t->cdb[1] & EXTEND ? get_be16(t->cdb + at) : t->cdb[at + 1];
}

static uint64_t length(const struct scsi_task *t)
{
	enum t_length which = (enum t_length)(t->cdb[2] & T_LENGTH);
	uint32_t block = 1;

	if (which == LENGTH_TRANSPORT)
		return t->iov_bytes;
	if (t->cdb[2] & BYT_BLOK)
		block = t->cdb[2] & T_TYPE ? t->lun->facts.id.block_size : 512;
	return (uint64_t)field(t, which) * block;
}

static void move_data(struct scsi_task *t, bool in)
{
	uint64_t len = length(t);

	if (!(t->cdb[2] & T_LENGTH) || !len)
		task_bad_field(t, 2, 1);
	else if (in != !!(t->cdb[2] & T_DIR))
		task_bad_field(t, 2, 3);
	else if (in)
		through_in_exact(t, &ata, len);
	else
		through_out(t, &ata, len);
}

void cmd_ata(struct scsi_task *t)
{
	switch (protocol_of(t)) {
	case PIO_IN:
	case UDMA_IN:
		move_data(t, true);
		return;
	case PIO_OUT:
	case UDMA_OUT:
		move_data(t, false);
		return;
	case DMA:
	case NCQ:
		move_data(t, t->cdb[2] & T_DIR);
		return;
	case NON_DATA:
	case DIAGNOSTIC:
	case DEVICE_RESET:
	case RESPONSE:
		if (t->cdb[2] & T_LENGTH)
			task_bad_field(t, 2, 1);
		else
			through_no_data(t, &ata);
		return;
	case HARD_RESET: /* would end commands of others behind the controller's back */
	case SOFT_RESET:
	default:
		task_bad_field(t, 1, 4);
	}
}
