/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands about commands: REQUEST SENSE, REPORT LUNS, supported operation codes and task management
 * functions. */
#include "commands.h"

#include <string.h>
#include "base/endian.h"
#include "task.h"

/* --- REQUEST SENSE --- */

/* Sense goes out with the command that caused it; what is left to report is the state of the gate. */
void cmd_request_sense(struct scsi_task *t)
{
	enum scsi_sense code = gate_sense(lun_gate(t->lun));
	uint8_t data[SCSI_SENSE_SIZE];
	uint8_t len = t->cdb[1] & 0x01 ? sense_descriptor(data, code) : sense_fixed(data, code, NULL);

	task_reply(t, data, len, t->cdb[4]);
}

/* --- REPORT LUNS --- */

/* LIO answers it for all LUNs of a port. This LUN knows itself only. */
void cmd_report_luns(struct scsi_task *t)
{
	uint32_t alloc = get_be32(t->cdb + 6);
	uint8_t data[16] = {0};
	size_t len = sizeof(data);

	if (t->cdb[2] > 2) {
		task_bad_field(t, 2, 7);
		return;
	}
	if (alloc < 16) {
		task_bad_field(t, 6, 7);
		return;
	}
	if (t->cdb[2] == 1) /* well known logical units: none */
		len = 8;
	put_be32(data, (uint32_t)len - 8);
	task_reply(t, data, len, alloc);
}

/* --- REPORT SUPPORTED OPERATION CODES --- */

#define RCTD	     0x80
#define TIMEOUTS_LEN 12

enum report_option { REPORT_ALL, REPORT_OPCODE, REPORT_SERVICE_ACTION, REPORT_EITHER };
enum support { SUPPORT_NO = 1, SUPPORT_STANDARD = 3 };

/* SPC-4 table 247. Nominal times are not known; the recommended one is when we give up ourselves. */
static unsigned put_timeouts(uint8_t *p, const struct scsi_op *op)
{
	memset(p, 0, TIMEOUTS_LEN);
	put_be16(p, TIMEOUTS_LEN - 2);
	put_be32(p + 8, scsi_time_seconds(op->time));
	return TIMEOUTS_LEN;
}

static unsigned put_command(uint8_t *p, const struct scsi_op *op, bool rctd)
{
	memset(p, 0, 8);
	p[0] = op->opcode;
	put_be16(p + 2, op->sa);
	p[5] = (uint8_t)((rctd ? 0x02 : 0) | (op->flags & OP_SERVICE_ACTION ? 0x01 : 0));
	put_be16(p + 6, op->cdb_len);
	return 8 + (rctd ? put_timeouts(p + 8, op) : 0);
}

static void report_all(struct scsi_task *t, uint32_t alloc, bool rctd)
{
	uint8_t data[4096];
	unsigned n, len = 4;
	const struct scsi_op *op = scsi_op_table(&n);

	assert(4 + n * (8 + TIMEOUTS_LEN) <= sizeof(data));
	for (; n--; op++)
		if (scsi_op_offered(op, t->lun))
			len += put_command(data + len, op, rctd);
	put_be32(data, len - 4);
	task_reply(t, data, len, alloc);
}

static void report_one(struct scsi_task *t, const struct scsi_op *op, uint32_t alloc, bool rctd)
{
	uint8_t data[4 + SCSI_USAGE_MAX + TIMEOUTS_LEN] = {0};
	unsigned len = 4;

	data[1] = SUPPORT_NO;
	if (op && scsi_op_offered(op, t->lun)) {
		data[1] = (uint8_t)(SUPPORT_STANDARD | (rctd ? 0x80 : 0));
		put_be16(data + 2, op->cdb_len);
		memcpy(data + len, op->usage, op->cdb_len);
		len += op->cdb_len;
		if (rctd)
			len += put_timeouts(data + len, op);
	}
	task_reply(t, data, len, alloc);
}

void cmd_report_opcodes(struct scsi_task *t)
{
	bool rctd = t->cdb[2] & RCTD;
	uint8_t opcode = t->cdb[3];
	uint16_t sa = get_be16(t->cdb + 4);
	uint32_t alloc = get_be32(t->cdb + 6);
	const struct scsi_op *first = scsi_op_first(opcode);
	bool by_sa = first && first->flags & OP_SERVICE_ACTION;

	switch (t->cdb[2] & 7) {
	case REPORT_ALL:
		report_all(t, alloc, rctd);
		return;
	case REPORT_OPCODE:
		if (!by_sa) {
			report_one(t, first, alloc, rctd);
			return;
		}
		task_bad_field(t, 2, 2); /* it takes a service action to tell */
		return;
	case REPORT_SERVICE_ACTION:
		if (first && !by_sa) {
			task_bad_field(t, 2, 2);
			return;
		}
		/* fall through */
	case REPORT_EITHER:
		report_one(t, scsi_op_lookup(opcode, sa), alloc, rctd);
		return;
	default:
		task_bad_field(t, 2, 2);
	}
}

/* --- REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS --- */

/* Those that LIO lets reach a unit: ABORT TASK and LOGICAL UNIT RESET. */
void cmd_report_tmfs(struct scsi_task *t)
{
	uint32_t alloc = get_be32(t->cdb + 6);
	bool extended = t->cdb[2] & 0x80;
	uint8_t data[16] = {0x80 | 0x08};

	if (alloc < 4) {
		task_bad_field(t, 6, 7);
		return;
	}
	if (extended)
		data[3] = sizeof(data) - 4;
	task_reply(t, data, extended ? sizeof(data) : 4, alloc);
}
