/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The opcode table. */
#include "opcodes.h"

#include "base/endian.h"
#include "commands.h"
#include "host.h"

#define NACA 0x04 /* the one bit of CONTROL that is evaluated */

/* name, opcode, length, direction, time, flags, function, usage of bytes 1.. */
#define EMULATE(nm, op, len, flg, fn, ...)                                                                   \
	{                                                                                                    \
		.name = nm, .opcode = op, .cdb_len = len, .dir = DMA_FROM_DEVICE, .fate = FATE_EMULATE,      \
		.flags = flg, .start = fn, .usage = {                                                        \
			op,                                                                                  \
			__VA_ARGS__                                                                          \
		}                                                                                            \
	}
#define EMULATE_SA(nm, op, svc, len, flg, fn, ...)                                                           \
	{                                                                                                    \
		.name = nm, .opcode = op, .sa = svc, .cdb_len = len, .dir = DMA_FROM_DEVICE,                 \
		.fate = FATE_EMULATE, .flags = (flg) | OP_SERVICE_ACTION, .start = fn, .usage = {            \
			op,                                                                                  \
			svc,                                                                                 \
			__VA_ARGS__                                                                          \
		}                                                                                            \
	}
#define AT_UNIT(nm, op, len, dr, ft, tm, flg, fn, ...)                                                       \
	{                                                                                                    \
		.name = nm, .opcode = op, .cdb_len = len, .dir = dr, .fate = ft, .time = tm, .flags = flg,   \
		.start = fn, .usage = {                                                                      \
			op,                                                                                  \
			__VA_ARGS__                                                                          \
		}                                                                                            \
	}
#define READ(nm, op, len, ...)                                                                               \
	AT_UNIT(nm, op, len, DMA_FROM_DEVICE, FATE_TRANSLATE, TIME_MEDIA, 0, cmd_read, __VA_ARGS__)
#define WRITE(nm, op, len, ...)                                                                              \
	AT_UNIT(nm, op, len, DMA_TO_DEVICE, FATE_TRANSLATE, TIME_MEDIA, OP_WRITE, cmd_write, __VA_ARGS__)
/* dir of VERIFY is what BYTCHK says: the command's function sets it */
#define VERIFY(nm, op, len, ...)                                                                             \
	AT_UNIT(nm, op, len, DMA_NONE, FATE_TRANSLATE, TIME_MEDIA, 0, cmd_verify, __VA_ARGS__)
#define LIO(nm, op, len, dr, ...)                                                                            \
	{                                                                                                    \
		.name = nm, .opcode = op, .cdb_len = len, .dir = dr, .fate = FATE_LIO, .usage = {            \
			op,                                                                                  \
			__VA_ARGS__                                                                          \
		}                                                                                            \
	}
#define LIO_SA(nm, op, svc, len, dr, ...)                                                                    \
	{                                                                                                    \
		.name = nm, .opcode = op, .sa = svc, .cdb_len = len, .dir = dr, .fate = FATE_LIO,            \
		.flags = OP_SERVICE_ACTION, .usage = {                                                       \
			op,                                                                                  \
			__VA_ARGS__                                                                          \
		}                                                                                            \
	}
#define PR_IN(nm, svc)                                                                                       \
	LIO_SA("PERSISTENT RESERVE IN, " nm, 0x5e, svc, 10, DMA_FROM_DEVICE, svc, 0, 0, 0, 0, 0, LEN16, 0)
#define PR_OUT(nm, svc)                                                                                      \
	LIO_SA("PERSISTENT RESERVE OUT, " nm, 0x5f, svc, 10, DMA_TO_DEVICE, svc, 0xff, 0, 0, LEN32, 0)
#define REJECT(nm, op, len, flg)                                                                             \
	{                                                                                                    \
		.name = nm, .opcode = op, .cdb_len = len, .fate = FATE_REJECT, .flags = flg                  \
	}

#define LBA32 0xff, 0xff, 0xff, 0xff
#define LBA64 LBA32, LBA32
#define LEN16 0xff, 0xff
#define LEN32 0xff, 0xff, 0xff, 0xff

/* Byte 1 of reads and writes: DPO, FUA, FUA_NV (obsolete, taken for FUA: it asks for no less than a cache
 * that keeps its content without power, and nobody here can vouch for one). The protection field is not
 * shown: only 0 is accepted in it. */
#define RW_BITS 0x1a
#define BYTCHK	0x06

/* Sorted by opcode, then service action: scsi_op_lookup() searches by halves. */
static const struct scsi_op table[] = {
	AT_UNIT("TEST UNIT READY", 0x00, 6, DMA_NONE, FATE_PASS, TIME_SHORT, 0, cmd_test_unit_ready, 0, 0, 0,
		0, NACA),
	EMULATE("REQUEST SENSE", 0x03, 6, OP_ANY_GATE, cmd_request_sense, 0x01, 0, 0, 0xff, NACA),
	REJECT("FORMAT UNIT", 0x04, 6, OP_WRITE | OP_DATALESS_WRITE),
	REJECT("REASSIGN BLOCKS", 0x07, 6, OP_WRITE),
	READ("READ(6)", 0x08, 6, 0x1f, 0xff, 0xff, 0xff, NACA),
	WRITE("WRITE(6)", 0x0a, 6, 0x1f, 0xff, 0xff, 0xff, NACA),
	EMULATE("INQUIRY", 0x12, 6, OP_ANY_GATE, cmd_inquiry, 0x01, 0xff, LEN16, NACA),
	REJECT("MODE SELECT(6)", 0x15, 6, OP_WRITE),
	LIO("RESERVE(6)", 0x16, 6, DMA_NONE, 0, 0, 0, 0, 0),
	LIO("RELEASE(6)", 0x17, 6, DMA_NONE, 0, 0, 0, 0, 0),
	EMULATE("MODE SENSE(6)", 0x1a, 6, 0, cmd_mode_sense6, 0x08, 0xff, 0xff, 0xff, NACA),
	/* Marked as a write: stopping the unit is felt by those who may write to it. */
	AT_UNIT("START STOP UNIT", 0x1b, 6, DMA_NONE, FATE_PASS, TIME_POWER, OP_WRITE, cmd_start_stop, 0x01,
		0, 0x0f, 0xf7, NACA),
	REJECT("RECEIVE DIAGNOSTIC RESULTS", 0x1c, 6, 0),
	REJECT("SEND DIAGNOSTIC", 0x1d, 6, OP_WRITE),
	REJECT("PREVENT ALLOW MEDIUM REMOVAL", 0x1e, 6, 0),
	EMULATE("READ CAPACITY(10)", 0x25, 10, 0, cmd_read_capacity10, 0, LBA32, 0, 0, 0x01, NACA),
	READ("READ(10)", 0x28, 10, RW_BITS, LBA32, 0, LEN16, NACA),
	WRITE("WRITE(10)", 0x2a, 10, RW_BITS, LBA32, 0, LEN16, NACA),
	REJECT("WRITE AND VERIFY(10)", 0x2e, 10, OP_WRITE),
	VERIFY("VERIFY(10)", 0x2f, 10, BYTCHK, LBA32, 0, LEN16, NACA),
	REJECT("PRE-FETCH(10)", 0x34, 10, 0),
	AT_UNIT("SYNCHRONIZE CACHE(10)", 0x35, 10, DMA_NONE, FATE_TRANSLATE, TIME_FLUSH, 0, cmd_sync_cache, 0,
		LBA32, 0, LEN16, NACA),
	REJECT("READ DEFECT DATA(10)", 0x37, 10, 0),
	REJECT("WRITE BUFFER", 0x3b, 10, OP_WRITE),
	REJECT("READ BUFFER", 0x3c, 10, 0),
	REJECT("WRITE LONG(10)", 0x3f, 10, OP_WRITE | OP_DATALESS_WRITE),
	REJECT("WRITE SAME(10)", 0x41, 10, OP_WRITE),
	REJECT("UNMAP", 0x42, 10, OP_WRITE),
	REJECT("SANITIZE", 0x48, 10, OP_WRITE | OP_DATALESS_WRITE),
	REJECT("LOG SELECT", 0x4c, 10, OP_WRITE | OP_DATALESS_WRITE),
	REJECT("LOG SENSE", 0x4d, 10, 0),
	REJECT("MODE SELECT(10)", 0x55, 10, OP_WRITE),
	LIO("RESERVE(10)", 0x56, 10, DMA_NONE, 0, 0, 0, 0, 0, 0, 0, 0, 0),
	LIO("RELEASE(10)", 0x57, 10, DMA_NONE, 0, 0, 0, 0, 0, 0, 0, 0, 0),
	EMULATE("MODE SENSE(10)", 0x5a, 10, 0, cmd_mode_sense10, 0x18, 0xff, 0xff, 0, 0, 0, LEN16, NACA),
	PR_IN("READ KEYS", 0x00),
	PR_IN("READ RESERVATION", 0x01),
	PR_IN("REPORT CAPABILITIES", 0x02),
	PR_IN("READ FULL STATUS", 0x03),
	PR_OUT("REGISTER", 0x00),
	PR_OUT("RESERVE", 0x01),
	PR_OUT("RELEASE", 0x02),
	PR_OUT("CLEAR", 0x03),
	PR_OUT("PREEMPT", 0x04),
	PR_OUT("PREEMPT AND ABORT", 0x05),
	PR_OUT("REGISTER AND IGNORE EXISTING KEY", 0x06),
	PR_OUT("REGISTER AND MOVE", 0x07),
	REJECT("EXTENDED COPY", 0x83, 16, OP_WRITE),
	REJECT("RECEIVE COPY RESULTS", 0x84, 16, 0),
	REJECT("ATA PASS-THROUGH(16)", 0x85, 16, OP_WRITE | OP_DATALESS_WRITE),
	READ("READ(16)", 0x88, 16, RW_BITS, LBA64, LEN32, 0, NACA),
	REJECT("COMPARE AND WRITE", 0x89, 16, OP_WRITE),
	WRITE("WRITE(16)", 0x8a, 16, RW_BITS, LBA64, LEN32, 0, NACA),
	REJECT("WRITE AND VERIFY(16)", 0x8e, 16, OP_WRITE),
	VERIFY("VERIFY(16)", 0x8f, 16, BYTCHK, LBA64, LEN32, 0, NACA),
	REJECT("PRE-FETCH(16)", 0x90, 16, 0),
	AT_UNIT("SYNCHRONIZE CACHE(16)", 0x91, 16, DMA_NONE, FATE_TRANSLATE, TIME_FLUSH, 0, cmd_sync_cache, 0,
		LBA64, LEN32, 0, NACA),
	REJECT("WRITE SAME(16)", 0x93, 16, OP_WRITE | OP_DATALESS_WRITE), /* NDOB */
	REJECT("ZBC OUT", 0x94, 16, OP_WRITE | OP_DATALESS_WRITE),
	REJECT("ZBC IN", 0x95, 16, 0),
	REJECT("WRITE ATOMIC(16)", 0x9c, 16, OP_WRITE),
	EMULATE_SA("READ CAPACITY(16)", 0x9e, 0x10, 16, 0, cmd_read_capacity16, 0, 0, 0, 0, 0, 0, 0, 0, LEN32,
		0, NACA),
	/* LIO's as well, but SPC wants it of every logical unit. */
	EMULATE("REPORT LUNS", 0xa0, 12, OP_ANY_GATE, cmd_report_luns, 0, 0xff, 0, 0, 0, LEN32, 0, NACA),
	REJECT("ATA PASS-THROUGH(12)", 0xa1, 12, OP_WRITE | OP_DATALESS_WRITE),
	REJECT("SECURITY PROTOCOL IN", 0xa2, 12, 0),
	LIO_SA("REPORT TARGET PORT GROUPS", 0xa3, 0x0a, 12, DMA_FROM_DEVICE, 0xea, 0, 0, 0, 0, LEN32, 0, 0),
	EMULATE_SA("REPORT SUPPORTED OPERATION CODES", 0xa3, 0x0c, 12, OP_ANY_GATE, cmd_report_opcodes, 0x87,
		0xff, 0xff, 0xff, LEN32, 0, NACA),
	EMULATE_SA("REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", 0xa3, 0x0d, 12, OP_ANY_GATE, cmd_report_tmfs,
		0x80, 0, 0, 0, LEN32, 0, NACA),
	LIO_SA("SET TARGET PORT GROUPS", 0xa4, 0x0a, 12, DMA_TO_DEVICE, 0x0a, 0, 0, 0, 0, LEN32, 0, 0),
	READ("READ(12)", 0xa8, 12, RW_BITS, LBA32, LEN32, 0, NACA),
	WRITE("WRITE(12)", 0xaa, 12, RW_BITS, LBA32, LEN32, 0, NACA),
	REJECT("WRITE AND VERIFY(12)", 0xae, 12, OP_WRITE),
	VERIFY("VERIFY(12)", 0xaf, 12, BYTCHK, LBA32, LEN32, 0, NACA),
	REJECT("SECURITY PROTOCOL OUT", 0xb5, 12, OP_WRITE | OP_DATALESS_WRITE),
};

const struct scsi_op *scsi_op_table(unsigned *ret_n)
{
	*ret_n = ARRAY_SIZE(table);
	return table;
}

const char *scsi_fate_name(enum scsi_fate fate)
{
	static const char *const names[] = {
		[FATE_PASS] = "pass",
		[FATE_TRANSLATE] = "translate",
		[FATE_EMULATE] = "emulate",
		[FATE_LIO] = "LIO",
		[FATE_REJECT] = "reject",
	};

	return names[fate];
}

unsigned scsi_time_seconds(enum scsi_time time)
{
	/* Media: a RAID controller that retries on a failing member disk needs tens of seconds, and giving up
	 * early costs a reset. Flush: a gigabyte of cache onto slow disks. Power: spin-up of an array, disk
	 * by disk. */
	static const uint16_t seconds[] = {
		[TIME_NONE] = 0,
		[TIME_SHORT] = 20,
		[TIME_MEDIA] = 60,
		[TIME_FLUSH] = 180,
		[TIME_POWER] = 180,
	};

	return seconds[time];
}

static unsigned key(uint8_t opcode, uint16_t sa)
{
	return (unsigned)opcode << 16 | sa;
}

/* The first row at or after (opcode, sa), or the end of the table. */
static const struct scsi_op *lower_bound(uint8_t opcode, uint16_t sa)
{
	unsigned lo = 0, hi = ARRAY_SIZE(table);

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (key(table[mid].opcode, table[mid].sa) < key(opcode, sa))
			lo = mid + 1;
		else
			hi = mid;
	}
	return table + lo;
}

const struct scsi_op *scsi_op_first(uint8_t opcode)
{
	const struct scsi_op *op = lower_bound(opcode, 0);

	return op < table + ARRAY_SIZE(table) && op->opcode == opcode ? op : NULL;
}

const struct scsi_op *scsi_op_lookup(uint8_t opcode, uint16_t sa)
{
	const struct scsi_op *op = lower_bound(opcode, sa);

	return op < table + ARRAY_SIZE(table) && op->opcode == opcode && op->sa == sa ? op : NULL;
}

/* Any opcode from C0h on that the LUN's configuration lets through. No row of the table: there is nothing to
 * tell about its CDB. */
static const struct scsi_op vendor_op = {
	.name = "vendor specific",
	.opcode = OP_VENDOR,
	.cdb_len = 10,
	.fate = FATE_REJECT,
	.flags = OP_WRITE | OP_DATALESS_WRITE,
};

bool scsi_op_offered(const struct scsi_op *op, const struct scsi_lun *lun)
{
	if (op->fate == FATE_REJECT || (op->allow && !(op->allow & lun->cfg.allow)))
		return false;
	return !op->able || op->able(lun);
}

static uint16_t service_action(const uint8_t *cdb)
{
	return cdb[0] == OP_VARIABLE ? get_be16(cdb + 8) : cdb[1] & 0x1f;
}

const struct scsi_op *scsi_op_find(const struct scsi_lun *lun, const uint8_t *cdb, enum scsi_sense *ret_why)
{
	const struct scsi_op *op = cdb[0] >= OP_VENDOR ? &vendor_op : scsi_op_first(cdb[0]);

	*ret_why = SENSE_INVALID_OPCODE;
	if (op && op->flags & OP_SERVICE_ACTION) {
		/* The opcode is known here: then it is the service action that is wrong. */
		op = scsi_op_lookup(cdb[0], service_action(cdb));
		*ret_why = SENSE_INVALID_FIELD;
	}
	if (op)
		*ret_why = op->start && scsi_op_offered(op, lun) ? SENSE_NONE : SENSE_INVALID_OPCODE;
	return op;
}
