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
};

#define OP_SERVICE_ACTION 0x01 /* byte 1 bits 4 to 0 select */
#define OP_WRITE	  0x02 /* changes the medium, or the unit's state for other users: refused with ro=1 */
/* Changes media without (or possibly without) data-out: LIO's read-only and reservation checks look at the
 * data direction and let it pass (hazard H16). Such a row may be FATE_REJECT only, until a LUN can be told to
 * allow it. */
#define OP_DATALESS_WRITE 0x04
#define OP_ANY_GATE                                                                                          \
	0x08 /* answered while the gate is closed (SPC-4 5.2: INQUIRY, REPORT LUNS, REQUEST SENSE) */

#define SCSI_USAGE_MAX 16

struct scsi_op {
	uint8_t opcode;
	uint8_t sa; /* with OP_SERVICE_ACTION */
	uint8_t cdb_len;
	enum dma_dir dir;
	enum scsi_fate fate;
	enum scsi_time time;
	uint8_t flags;
	const char *name;
	void (*start)(struct scsi_task *t); /* NULL: FATE_LIO, FATE_REJECT */
	uint8_t usage[SCSI_USAGE_MAX]; /* SPC-4 6.35.3: a bit for each bit of the CDB that is evaluated */
};

/* All rows, sorted by opcode and service action; any thread. */
const struct scsi_op *scsi_op_table(unsigned *ret_n);
const char *scsi_fate_name(enum scsi_fate fate);
unsigned scsi_time_seconds(enum scsi_time time);

/* The row for a CDB, or NULL and the sense to refuse it with. A rejected row is returned, too, with its
 * sense. */
const struct scsi_op *scsi_op_find(const uint8_t *cdb, enum scsi_sense *ret_why);
/* The row for (opcode, service action), rejected ones included; NULL if there is none. */
const struct scsi_op *scsi_op_lookup(uint8_t opcode, uint8_t sa);
/* The first row of an opcode, whatever its service action. */
const struct scsi_op *scsi_op_first(uint8_t opcode);

#endif
