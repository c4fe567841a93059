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
#define WRITE_VERIFY(nm, op, len, ...)                                                                       \
	AT_UNIT(nm, op, len, DMA_TO_DEVICE, FATE_TRANSLATE, TIME_MEDIA, OP_WRITE, cmd_write_verify,          \
		__VA_ARGS__)
/* Answered here, and there is no data */
#define EMULATE_NO_DATA(nm, op, len, fn, ...)                                                                \
	{                                                                                                    \
		.name = nm, .opcode = op, .cdb_len = len, .dir = DMA_NONE, .fate = FATE_EMULATE,             \
		.start = fn, .usage = {                                                                      \
			op,                                                                                  \
			__VA_ARGS__                                                                          \
		}                                                                                            \
	}
/* Some forms can do without data, which their function refuses unless the LUN allows it (NDOB; not shown). */
#define WRITE_SAME(nm, op, len, flg, ...)                                                                    \
	AT_UNIT(nm, op, len, DMA_TO_DEVICE, FATE_TRANSLATE, TIME_MEDIA, OP_WRITE | (flg), cmd_write_same,    \
		__VA_ARGS__)
/* A parameter list that is taken here */
#define EMULATE_OUT(nm, op, len, flg, fn, ...)                                                               \
	{                                                                                                    \
		.name = nm, .opcode = op, .cdb_len = len, .dir = DMA_TO_DEVICE, .fate = FATE_EMULATE,        \
		.flags = flg, .start = fn, .usage = {                                                        \
			op,                                                                                  \
			__VA_ARGS__                                                                          \
		}                                                                                            \
	}
/* Passed to the unit where the LUN's configuration allows it */
#define GUARDED(nm, op, len, dr, tm, flg, bit, fn, ...)                                                      \
	{                                                                                                    \
		.name = nm, .opcode = op, .cdb_len = len, .dir = dr, .fate = FATE_PASS, .time = tm,          \
		.flags = flg, .allow = bit, .start = fn, .usage = {                                          \
			op,                                                                                  \
			__VA_ARGS__                                                                          \
		}                                                                                            \
	}
/* dir of VERIFY is what BYTCHK says: the command's function sets it */
#define VERIFY(nm, op, len, ...)                                                                             \
	AT_UNIT(nm, op, len, DMA_NONE, FATE_TRANSLATE, TIME_MEDIA, 0, cmd_verify, __VA_ARGS__)
/* 32 bytes; bits: of byte 10, as those of byte 1 in the shorter ones. SBC-3 wants these for units with protection
 * information of type 2; here they are taken with the protection field 0, for what they can address. */
#define LONG_CDB(nm, svc, dr, ft, flg, fn, bits)                                                             \
	{                                                                                                    \
		.name = nm, .opcode = OP_VARIABLE, .sa = svc, .cdb_len = 32, .dir = dr, .fate = ft,          \
		.time = TIME_MEDIA, .flags = (flg) | OP_SERVICE_ACTION, .start = fn, .usage = {              \
			OP_VARIABLE,                                                                         \
			NACA,                                                                                \
			[7] = 0x18,                                                                          \
			(svc) >> 8,                                                                          \
			(svc)&0xff,                                                                          \
			bits,                                                                                \
			[12] = LBA64,                                                                        \
			[28] = LEN32                                                                         \
		}                                                                                            \
	}
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
#define COPY(nm, op, svc, fn, ...)                                                                           \
	{                                                                                                    \
		.name = nm, .opcode = op, .sa = svc, .cdb_len = 16, .dir = DMA_TO_DEVICE,                    \
		.fate = FATE_TRANSLATE, .time = TIME_SERVICE, .flags = OP_SERVICE_ACTION | OP_WRITE,         \
		.start = fn, .usage = {                                                                      \
			op,                                                                                  \
			svc,                                                                                 \
			0,                                                                                   \
			0,                                                                                   \
			0,                                                                                   \
			0,                                                                                   \
			0,                                                                                   \
			0,                                                                                   \
			0,                                                                                   \
			0,                                                                                   \
			LEN32,                                                                               \
			0,                                                                                   \
			NACA                                                                                 \
		}                                                                                            \
	}
/* id: of the list, in byte 2 */
#define COPY_RESULTS(nm, svc, fn, id)                                                                        \
	EMULATE_SA(nm, 0x84, svc, 16, 0, fn, id, 0, 0, 0, 0, 0, 0, 0, LEN32, 0, NACA)
#define REJECT(nm, op, len, flg)                                                                             \
	{                                                                                                    \
		.name = nm, .opcode = op, .cdb_len = len, .fate = FATE_REJECT, .flags = flg                  \
	}

#define REJECT_SA(nm, op, svc, len, flg)                                                                     \
	{                                                                                                    \
		.name = nm, .opcode = op, .sa = svc, .cdb_len = len, .fate = FATE_REJECT,                    \
		.flags = (flg) | OP_SERVICE_ACTION                                                           \
	}

#define LBA32 0xff, 0xff, 0xff, 0xff
#define LBA64 LBA32, LBA32
#define LEN16 0xff, 0xff
#define LEN24 0xff, 0xff, 0xff
#define LEN32 0xff, 0xff, 0xff, 0xff

/* Byte 1 of reads and writes: DPO, FUA, FUA_NV (obsolete, taken for FUA: it asks for no less than a cache
 * that keeps its content without power, and nobody here can vouch for one). The protection field is not
 * shown: only 0 is accepted in it. */
#define RW_BITS 0x1a
/* DPO and BYTCHK */
#define VERIFY_BITS 0x16

/* Sorted by opcode, then service action: scsi_op_lookup() searches by halves. */
static const struct scsi_op table[] = {
	AT_UNIT("TEST UNIT READY", 0x00, 6, DMA_NONE, FATE_PASS, TIME_SHORT, 0, cmd_test_unit_ready, 0, 0, 0,
		0, NACA),
	EMULATE("REQUEST SENSE", 0x03, 6, OP_ANY_GATE, cmd_request_sense, 0x01, 0, 0, 0xff, NACA),
	{.name = "FORMAT UNIT",
		.opcode = 0x04,
		.cdb_len = 6,
		.dir = DMA_TO_DEVICE,
		.fate = FATE_TRANSLATE,
		.time = TIME_WIPE,
		.flags = OP_WRITE | OP_DATALESS_WRITE,
		.allow = ALLOW_FORMAT,
		.start = cmd_format_unit,
		.usage = {0x04, 0x30, 0, 0, 0, NACA}},
	REJECT("REASSIGN BLOCKS", 0x07, 6, OP_WRITE),
	READ("READ(6)", 0x08, 6, 0x1f, 0xff, 0xff, 0xff, NACA),
	WRITE("WRITE(6)", 0x0a, 6, 0x1f, 0xff, 0xff, 0xff, NACA),
	EMULATE("INQUIRY", 0x12, 6, OP_ANY_GATE, cmd_inquiry, 0x01, 0xff, LEN16, NACA),
	EMULATE_OUT("MODE SELECT(6)", 0x15, 6, OP_WRITE | OP_STATE, cmd_mode_select6, 0x11, 0, 0, 0xff, NACA),
	LIO("RESERVE(6)", 0x16, 6, DMA_NONE, 0, 0, 0, 0, 0),
	LIO("RELEASE(6)", 0x17, 6, DMA_NONE, 0, 0, 0, 0, 0),
	EMULATE("MODE SENSE(6)", 0x1a, 6, 0, cmd_mode_sense6, 0x08, 0xff, 0xff, 0xff, NACA),
	/* Who may only read may start the unit; what else it can be asked to do, its function judges. */
	AT_UNIT("START STOP UNIT", 0x1b, 6, DMA_NONE, FATE_PASS, TIME_POWER, 0, cmd_start_stop, 0x01, 0, 0x0f,
		0xf7, NACA),
	EMULATE("RECEIVE DIAGNOSTIC RESULTS", 0x1c, 6, 0, cmd_receive_diagnostic, 0x01, 0xff, LEN16, NACA),
	/* dir: of the page that may be sent, which its function sets */
	AT_UNIT("SEND DIAGNOSTIC", 0x1d, 6, DMA_NONE, FATE_TRANSLATE, TIME_SHORT, 0, cmd_send_diagnostic,
		0xf4, 0, LEN16, NACA),
	EMULATE_NO_DATA("PREVENT ALLOW MEDIUM REMOVAL", 0x1e, 6, cmd_prevent_allow, 0, 0, 0, 0x03, NACA),
	EMULATE("READ CAPACITY(10)", 0x25, 10, 0, cmd_read_capacity10, 0, LBA32, 0, 0, 0x01, NACA),
	READ("READ(10)", 0x28, 10, RW_BITS, LBA32, 0, LEN16, NACA),
	WRITE("WRITE(10)", 0x2a, 10, RW_BITS, LBA32, 0, LEN16, NACA),
	WRITE_VERIFY("WRITE AND VERIFY(10)", 0x2e, 10, VERIFY_BITS, LBA32, 0, LEN16, NACA),
	VERIFY("VERIFY(10)", 0x2f, 10, VERIFY_BITS, LBA32, 0, LEN16, NACA),
	EMULATE_NO_DATA("PRE-FETCH(10)", 0x34, 10, cmd_prefetch, 0, LBA32, 0, LEN16, NACA),
	AT_UNIT("SYNCHRONIZE CACHE(10)", 0x35, 10, DMA_NONE, FATE_TRANSLATE, TIME_FLUSH, 0, cmd_sync_cache, 0,
		LBA32, 0, LEN16, NACA),
	AT_UNIT("READ DEFECT DATA(10)", 0x37, 10, DMA_FROM_DEVICE, FATE_PASS, TIME_MEDIA, 0,
		cmd_read_defect10, 0, 0x1f, 0, 0, 0, 0, LEN16, NACA),
	GUARDED("WRITE BUFFER", 0x3b, 10, DMA_TO_DEVICE, TIME_SERVICE,
		OP_WRITE | OP_DATALESS_WRITE | OP_STATE, ALLOW_BUFFER, cmd_write_buffer, 0xff, 0xff, LEN24,
		LEN24, NACA),
	GUARDED("READ BUFFER", 0x3c, 10, DMA_FROM_DEVICE, TIME_MEDIA, 0, ALLOW_BUFFER, cmd_read_buffer, 0xff,
		0xff, LEN24, LEN24, NACA),
	REJECT("WRITE LONG(10)", 0x3f, 10, OP_WRITE | OP_DATALESS_WRITE),
	WRITE_SAME("WRITE SAME(10)", 0x41, 10, 0, 0, LBA32, 0, LEN16, NACA),
	{.name = "UNMAP",
		.opcode = 0x42,
		.cdb_len = 10,
		.dir = DMA_TO_DEVICE,
		.fate = FATE_PASS,
		.time = TIME_MEDIA,
		.flags = OP_WRITE,
		.start = cmd_unmap,
		.able = can_unmap,
		.usage = {0x42, 0, 0, 0, 0, 0, 0, LEN16, NACA}},
	/* no BLOCK ERASE, no CRYPTOGRAPHIC ERASE: see sanitize.c */
	{.name = "SANITIZE, OVERWRITE",
		.opcode = 0x48,
		.sa = 0x01,
		.cdb_len = 10,
		.dir = DMA_TO_DEVICE,
		.fate = FATE_TRANSLATE,
		.time = TIME_WIPE,
		.flags = OP_SERVICE_ACTION | OP_WRITE | OP_DATALESS_WRITE,
		.allow = ALLOW_SANITIZE,
		.start = cmd_sanitize_overwrite,
		.usage = {0x48, 0xa1, 0, 0, 0, 0, 0, LEN16, NACA}},
	{.name = "SANITIZE, EXIT FAILURE MODE",
		.opcode = 0x48,
		.sa = 0x1f,
		.cdb_len = 10,
		.dir = DMA_NONE,
		.fate = FATE_EMULATE,
		.flags = OP_SERVICE_ACTION | OP_WRITE | OP_DATALESS_WRITE | OP_STATE,
		.allow = ALLOW_SANITIZE,
		.start = cmd_sanitize_exit,
		.usage = {0x48, 0x1f, 0, 0, 0, 0, 0, LEN16, NACA}},
	REJECT("LOG SELECT", 0x4c, 10, OP_WRITE | OP_DATALESS_WRITE),
	AT_UNIT("LOG SENSE", 0x4d, 10, DMA_FROM_DEVICE, FATE_PASS, TIME_SHORT, 0, cmd_log_sense, 0x01, 0xff,
		0xff, 0, LEN16, LEN16, NACA),
	EMULATE_OUT("MODE SELECT(10)", 0x55, 10, OP_WRITE | OP_STATE, cmd_mode_select10, 0x11, 0, 0, 0, 0, 0,
		LEN16, NACA),
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
	LONG_CDB("READ(32)", 0x0009, DMA_FROM_DEVICE, FATE_TRANSLATE, 0, cmd_read, RW_BITS),
	LONG_CDB("VERIFY(32)", 0x000a, DMA_NONE, FATE_TRANSLATE, 0, cmd_verify, VERIFY_BITS),
	LONG_CDB("WRITE(32)", 0x000b, DMA_TO_DEVICE, FATE_TRANSLATE, OP_WRITE, cmd_write, RW_BITS),
	LONG_CDB("WRITE AND VERIFY(32)", 0x000c, DMA_TO_DEVICE, FATE_TRANSLATE, OP_WRITE, cmd_write_verify,
		VERIFY_BITS),
	LONG_CDB("WRITE SAME(32)", 0x000d, DMA_TO_DEVICE, FATE_TRANSLATE, OP_WRITE | OP_DATALESS_WRITE,
		cmd_write_same, 0),
	COPY("EXTENDED COPY(LID1)", 0x83, 0x00, cmd_extended_copy, 0),
	COPY_RESULTS("RECEIVE COPY STATUS(LID1)", 0x00, cmd_copy_status, 0xff),
	COPY_RESULTS("RECEIVE COPY OPERATING PARAMETERS", 0x03, cmd_copy_parameters, 0),
	COPY_RESULTS("RECEIVE COPY FAILURE DETAILS(LID1)", 0x04, cmd_copy_failure, 0xff),
	/* dir of ATA PASS-THROUGH is what the CDB says: the command's function sets it */
	GUARDED("ATA PASS-THROUGH(16)", 0x85, 16, DMA_NONE, TIME_SERVICE, OP_WRITE | OP_DATALESS_WRITE,
		ALLOW_ATA, cmd_ata, 0xff, 0xff, LEN32, LEN32, LEN32, NACA),
	READ("READ(16)", 0x88, 16, RW_BITS, LBA64, LEN32, 0, NACA),
	AT_UNIT("COMPARE AND WRITE", 0x89, 16, DMA_TO_DEVICE, FATE_TRANSLATE, TIME_MEDIA, OP_WRITE,
		cmd_compare_and_write, RW_BITS, LBA64, 0, 0, 0, 0xff, 0, NACA),
	WRITE("WRITE(16)", 0x8a, 16, RW_BITS, LBA64, LEN32, 0, NACA),
	AT_UNIT("ORWRITE(16)", 0x8b, 16, DMA_TO_DEVICE, FATE_TRANSLATE, TIME_MEDIA, OP_WRITE, cmd_orwrite,
		RW_BITS, LBA64, LEN32, 0, NACA),
	WRITE_VERIFY("WRITE AND VERIFY(16)", 0x8e, 16, VERIFY_BITS, LBA64, LEN32, 0, NACA),
	VERIFY("VERIFY(16)", 0x8f, 16, VERIFY_BITS, LBA64, LEN32, 0, NACA),
	EMULATE_NO_DATA("PRE-FETCH(16)", 0x90, 16, cmd_prefetch, 0, LBA64, LEN32, 0, NACA),
	AT_UNIT("SYNCHRONIZE CACHE(16)", 0x91, 16, DMA_NONE, FATE_TRANSLATE, TIME_FLUSH, 0, cmd_sync_cache, 0,
		LBA64, LEN32, 0, NACA),
	WRITE_SAME("WRITE SAME(16)", 0x93, 16, OP_DATALESS_WRITE, 0, LBA64, LEN32, 0, NACA),
	REJECT("ZBC OUT", 0x94, 16, OP_WRITE | OP_DATALESS_WRITE),
	REJECT("ZBC IN", 0x95, 16, 0),
	{.name = "WRITE ATOMIC(16)",
		.opcode = 0x9c,
		.cdb_len = 16,
		.dir = DMA_TO_DEVICE,
		.fate = FATE_PASS,
		.time = TIME_MEDIA,
		.flags = OP_WRITE,
		.start = cmd_write_atomic,
		.able = atomic_able,
		.usage = {0x9c, RW_BITS, LBA64, LEN16, LEN16, 0, NACA}},
	EMULATE_SA("READ CAPACITY(16)", 0x9e, 0x10, 16, 0, cmd_read_capacity16, 0, 0, 0, 0, 0, 0, 0, 0, LEN32,
		0, NACA),
	{.name = "GET LBA STATUS",
		.opcode = 0x9e,
		.sa = 0x12,
		.cdb_len = 16,
		.dir = DMA_FROM_DEVICE,
		.fate = FATE_PASS,
		.time = TIME_SHORT,
		.flags = OP_SERVICE_ACTION,
		.start = cmd_get_lba_status,
		.usage = {0x9e, 0x12, LBA64, LEN32, 0, NACA}},
	/* LIO's as well, but SPC wants it of every logical unit. */
	EMULATE("REPORT LUNS", 0xa0, 12, OP_ANY_GATE, cmd_report_luns, 0, 0xff, 0, 0, 0, LEN32, 0, NACA),
	GUARDED("ATA PASS-THROUGH(12)", 0xa1, 12, DMA_NONE, TIME_SERVICE, OP_WRITE | OP_DATALESS_WRITE,
		ALLOW_ATA, cmd_ata, 0xff, 0xff, LEN24, LEN32, 0, NACA),
	GUARDED("SECURITY PROTOCOL IN", 0xa2, 12, DMA_FROM_DEVICE, TIME_SERVICE, 0, ALLOW_SECURITY,
		cmd_security_in, 0xff, LEN16, 0x80, 0, LEN32, 0, NACA),
	/* LIO has groups, but for pass-through back ends it does not answer for them, and it does not tell us by
	 * which port a command came: TPGS is 0. */
	REJECT_SA("REPORT TARGET PORT GROUPS", 0xa3, 0x0a, 12, 0),
	EMULATE_SA("REPORT SUPPORTED OPERATION CODES", 0xa3, 0x0c, 12, OP_ANY_GATE, cmd_report_opcodes, 0x87,
		0xff, 0xff, 0xff, LEN32, 0, NACA),
	EMULATE_SA("REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", 0xa3, 0x0d, 12, OP_ANY_GATE, cmd_report_tmfs,
		0x80, 0, 0, 0, LEN32, 0, NACA),
	REJECT_SA("SET TARGET PORT GROUPS", 0xa4, 0x0a, 12, OP_WRITE),
	READ("READ(12)", 0xa8, 12, RW_BITS, LBA32, LEN32, 0, NACA),
	WRITE("WRITE(12)", 0xaa, 12, RW_BITS, LBA32, LEN32, 0, NACA),
	WRITE_VERIFY("WRITE AND VERIFY(12)", 0xae, 12, VERIFY_BITS, LBA32, LEN32, 0, NACA),
	VERIFY("VERIFY(12)", 0xaf, 12, VERIFY_BITS, LBA32, LEN32, 0, NACA),
	GUARDED("SECURITY PROTOCOL OUT", 0xb5, 12, DMA_TO_DEVICE, TIME_SERVICE, OP_WRITE | OP_DATALESS_WRITE,
		ALLOW_SECURITY, cmd_security_out, 0xff, LEN16, 0x80, 0, LEN32, 0, NACA),
	AT_UNIT("READ DEFECT DATA(12)", 0xb7, 12, DMA_FROM_DEVICE, FATE_PASS, TIME_MEDIA, 0,
		cmd_read_defect12, 0x1f, LBA32, LEN32, 0, NACA),
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
	 * by disk. Service: downloads and what nobody here knows; a reset in the middle could ruin the unit. */
	static const uint16_t seconds[] = {
		[TIME_NONE] = 0,
		[TIME_SHORT] = 20,
		[TIME_MEDIA] = 60,
		[TIME_FLUSH] = 180,
		[TIME_POWER] = 180,
		[TIME_SERVICE] = 600,
		[TIME_WIPE] = UINT16_MAX,
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
	.fate = FATE_PASS,
	.time = TIME_SERVICE,
	.flags = OP_WRITE | OP_DATALESS_WRITE,
	.start = cmd_vendor,
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

/* Does the LUN answer any service action of the opcode? */
static bool any_offered(const struct scsi_lun *lun, const struct scsi_op *op)
{
	for (uint8_t opcode = op->opcode; op < table + ARRAY_SIZE(table) && op->opcode == opcode; op++)
		if (op->start && scsi_op_offered(op, lun))
			return true;
	return false;
}

const struct scsi_op *scsi_op_find(const struct scsi_lun *lun, const uint8_t *cdb, enum scsi_sense *ret_why)
{
	const struct scsi_op *op = scsi_op_first(cdb[0]);

	if (cdb[0] >= OP_VENDOR) {
		*ret_why = lun->cfg.vendor[cdb[0] - OP_VENDOR] ? SENSE_NONE : SENSE_INVALID_OPCODE;
		return &vendor_op;
	}
	*ret_why = SENSE_INVALID_OPCODE;
	if (op && op->flags & OP_SERVICE_ACTION) {
		/* Where others are answered, it is the service action that is wrong (SPC-4 4.3.1). */
		if (any_offered(lun, op))
			*ret_why = SENSE_INVALID_FIELD;
		op = scsi_op_lookup(cdb[0], service_action(cdb));
	}
	if (op && op->start && scsi_op_offered(op, lun))
		*ret_why = SENSE_NONE;
	return op;
}
