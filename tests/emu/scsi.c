/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which function answers which SCSI command, and what stands before all of them. */
#include "scsi.h"

#include <string.h>

void scsi_sense(struct scsi_cmd *c, enum sense_key key, uint16_t asc)
{
	c->status = SCSI_CHECK_CONDITION;
	memset(c->sense, 0, sizeof(c->sense));
	c->sense[0] = 0x70; /* current, fixed format */
	c->sense[2] = (uint8_t)key;
	c->sense[7] = 10;
	put_be16(c->sense + 12, asc);
	c->sense_len = 18;
	c->moved = 0;
}

void scsi_data_in(struct scsi_cmd *c, const void *data, uint32_t len, uint32_t allocation)
{
	len = MIN(MIN(len, allocation), c->data_len);
	memcpy(c->data, data, len);
	c->moved = len;
}

static void test_unit_ready(struct scsi_disk *d, struct scsi_cmd *c)
{
}

enum need {
	ANYTIME = 1,	  /* also while stopped */
	NO_ATTENTION = 2, /* does not report, and does not clear, a unit attention (SAM-5 5.14) */
	CHANGES = 4,	  /* writes media */
	DRIVES_ONLY = 8,  /* logical drives do not know it */
};

static const struct {
	void (*run)(struct scsi_disk *d, struct scsi_cmd *c);
	uint8_t need;
} commands[256] = {
	[0x00] = {test_unit_ready, 0},
	[0x03] = {scsi_request_sense, ANYTIME | NO_ATTENTION},
	[0x08] = {scsi_read_write, 0},
	[0x0a] = {scsi_read_write, CHANGES},
	[0x12] = {scsi_inquiry, ANYTIME | NO_ATTENTION},
	[0x15] = {scsi_mode_select, ANYTIME},
	[0x1a] = {scsi_mode_sense, ANYTIME},
	[0x1b] = {scsi_start_stop, ANYTIME},
	[0x25] = {scsi_read_capacity10, 0},
	[0x28] = {scsi_read_write, 0},
	[0x2a] = {scsi_read_write, CHANGES},
	[0x2f] = {scsi_verify, 0},
	[0x35] = {scsi_sync_cache, 0},
	[0x41] = {scsi_write_same, CHANGES | DRIVES_ONLY},
	[0x42] = {scsi_unmap, CHANGES | DRIVES_ONLY},
	[0x4d] = {scsi_log_sense, ANYTIME},
	[0x55] = {scsi_mode_select, ANYTIME},
	[0x5a] = {scsi_mode_sense, ANYTIME},
	[0x88] = {scsi_read_write, 0},
	[0x8a] = {scsi_read_write, CHANGES},
	[0x8f] = {scsi_verify, 0},
	[0x91] = {scsi_sync_cache, 0},
	[0x93] = {scsi_write_same, CHANGES | DRIVES_ONLY},
	[0x9e] = {scsi_service_in16, 0},
	[0xa0] = {scsi_report_luns, ANYTIME | NO_ATTENTION},
	[0xa8] = {scsi_read_write, 0},
	[0xaa] = {scsi_read_write, CHANGES},
	[0xaf] = {scsi_verify, 0},
};

/* True when the command may run. */
static bool admitted(struct scsi_disk *d, struct scsi_cmd *c, uint8_t need)
{
	if (d->attention && !(need & NO_ATTENTION)) {
		scsi_sense(c, KEY_UNIT_ATTENTION, d->attention);
		d->attention = 0;
		return false;
	}
	if (d->stopped && !(need & ANYTIME)) {
		scsi_sense(c, KEY_NOT_READY, ASC_NOT_READY_INITIALIZE);
		return false;
	}
	if (d->read_only && need & CHANGES) {
		scsi_sense(c, KEY_DATA_PROTECT, ASC_WRITE_PROTECTED);
		return false;
	}
	return true;
}

void scsi_exec(struct scsi_disk *d, struct scsi_cmd *c)
{
	uint8_t op = c->cdb[0];

	c->status = SCSI_GOOD;
	c->sense_len = 0;
	c->moved = c->delay_ms = 0;
	if (!commands[op].run || (d->logical && commands[op].need & DRIVES_ONLY)) {
		scsi_sense(c, KEY_ILLEGAL, ASC_INVALID_OPCODE);
		return;
	}
	if (admitted(d, c, commands[op].need))
		commands[op].run(d, c);
}
