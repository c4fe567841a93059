/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The opcode table: what becomes of each command. It decides, it answers REPORT SUPPORTED OPERATION CODES,
 * and it prints the manual's list of commands, so these cannot disagree. A new command is one row and one
 * function.
 */
#ifndef HBAD_SCSI_OPCODES_H
#define HBAD_SCSI_OPCODES_H

#include "scsi.h"
#include "sense.h"

enum scsi_fate {
	FATE_PASS,	/* the unit answers the CDB itself */
	FATE_TRANSLATE, /* becomes one or more other requests at the controller */
	FATE_EMULATE,	/* answered here */
	FATE_LIO,	/* LIO answers before it gets here: a part of what initiators see, not ours */
	FATE_REJECT,	/* known by name, refused with INVALID COMMAND OPERATION CODE */
};

/* How long a request may take at the controller; on expiry the hba layer aborts, then resets. */
enum scsi_time {
	TIME_NONE, /* does not reach the controller */
	TIME_SHORT,
	TIME_MEDIA,
	TIME_FLUSH,
	TIME_POWER,
	TIME_SERVICE,
	TIME_WIPE, /* of the command; its requests are TIME_MEDIA */
};

#define OP_SERVICE_ACTION 0x01 /* byte 1 bits 4 to 0 select; of opcode 7Fh, bytes 8 and 9 */
#define OP_WRITE	  0x02 /* changes the medium, or the unit's state for other users: refused with ro=1 */
/* Changes media without (or possibly without) data-out: LIO's read-only and reservation checks look at the
 * data direction and let it pass (hazard H16). Such a row is FATE_REJECT or has an allow bit, unless its
 * function refuses what has no data. */
#define OP_DATALESS_WRITE 0x04
#define OP_ANY_GATE                                                                                          \
	0x08 /* answered while the gate is closed (SPC-4 5.2: INQUIRY, REPORT LUNS, REQUEST SENSE) */

#define OP_STATE                                                                                             \
	0x10 /* with OP_WRITE: what changes is the unit's state, not the medium: SWP does not forbid it */

#define SCSI_USAGE_MAX 32
#define OP_VARIABLE    0x7f /* opcode of variable-length CDBs */
#define OP_VENDOR      0xc0 /* the first vendor-specific opcode; LIO cuts their CDBs to 10 bytes (H17) */

struct scsi_op {
	uint8_t opcode;
	uint16_t sa; /* with OP_SERVICE_ACTION */
	uint8_t cdb_len;
	enum dma_dir dir;
	enum scsi_fate fate;
	enum scsi_time time;
	uint8_t flags;
	uint16_t allow; /* enum scsi_allow: one of these bits must be given to the LUN; 0: none is needed */
	const char *name;
	void (*start)(struct scsi_task *t); /* NULL: FATE_LIO, FATE_REJECT */
	/* Optional. Does the LUN's unit have what it takes? Must be the same for as long as its facts are. */
	bool (*able)(const struct scsi_lun *lun);
	uint8_t usage[SCSI_USAGE_MAX]; /* SPC-4 6.35.3: a bit for each bit of the CDB that is evaluated */
};

/* All rows, sorted by opcode and service action; any thread. */
const struct scsi_op *scsi_op_table(unsigned *ret_n);
const char *scsi_fate_name(enum scsi_fate fate);
unsigned scsi_time_seconds(enum scsi_time time);

/* The row for a CDB (SCSI_MAX_CDB bytes, zero-padded), or NULL and the sense to refuse it with. A row that
 * this LUN does not offer is returned, too, with its sense. */
const struct scsi_op *scsi_op_find(const struct scsi_lun *lun, const uint8_t *cdb, enum scsi_sense *ret_why);
/* Is the command answered, by us or by LIO, on this LUN? */
bool scsi_op_offered(const struct scsi_op *op, const struct scsi_lun *lun);
/* The row for (opcode, service action), rejected ones included; NULL if there is none. */
const struct scsi_op *scsi_op_lookup(uint8_t opcode, uint16_t sa);
/* The first row of an opcode, whatever its service action. */
const struct scsi_op *scsi_op_first(uint8_t opcode);

#endif
