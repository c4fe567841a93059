/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands about commands: REQUEST SENSE, REPORT LUNS, supported operation codes and task management
 * functions. */
#include "commands.h"

#include <string.h>
#include "base/endian.h"
#include "task.h"

/* --- REQUEST SENSE --- */

/* Sense goes out with the command that caused it; what is left to report is the state of the gate, and how
 * far a format or a sanitizing has come. */
void cmd_request_sense(struct scsi_task *t)
{
	struct sense_detail detail = {.bit = SENSE_NO_BIT};
	enum scsi_sense code = gate_sense(lun_gate(t->lun));
	uint8_t data[SCSI_SENSE_SIZE], len;

	if (code == SENSE_NONE)
		code = wipe_sense(t->lun, &detail);
	len = t->cdb[1] & 0x01 ? sense_descriptor(data, code, &detail) : sense_fixed(data, code, &detail);
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
enum support { SUPPORT_NO = 1, SUPPORT_STANDARD = 3, SUPPORT_VENDOR = 5 };

/* SPC-4 table 247. Nominal times are not known; the recommended one is when we give up ourselves. */
static unsigned put_timeouts(uint8_t *p, const struct scsi_op *op)
{
	memset(p, 0, TIMEOUTS_LEN);
	put_be16(p, TIMEOUTS_LEN - 2);
	put_be32(p + 8, scsi_time_seconds(op->time));
	return TIMEOUTS_LEN;
}

#define COMMAND_MAX (8 + TIMEOUTS_LEN)

static unsigned put_command(uint8_t *p, const struct scsi_op *op, uint8_t opcode, bool rctd)
{
	memset(p, 0, 8);
	p[0] = opcode;
	put_be16(p + 2, op->sa);
	p[5] = (uint8_t)((rctd ? 0x02 : 0) | (op->flags & OP_SERVICE_ACTION ? 0x01 : 0));
	put_be16(p + 6, op->cdb_len);
	return 8 + (rctd ? put_timeouts(p + 8, op) : 0);
}

/* The i-th command that there may be: rows of the table, then vendor specific opcodes. False: no more of them. */
static bool nth_command(
	const struct scsi_lun *lun, unsigned i, const struct scsi_op **ret, uint8_t *ret_opcode)
{
	unsigned n;
	const struct scsi_op *op = scsi_op_table(&n);
	uint8_t cdb[SCSI_MAX_CDB] = {0};
	enum scsi_sense why;

	if (i < n) {
		*ret_opcode = op[i].opcode;
		*ret = scsi_op_offered(op + i, lun) ? op + i : NULL;
		return true;
	}
	if (i - n >= sizeof(lun->cfg.vendor))
		return false;
	*ret_opcode = cdb[0] = (uint8_t)(OP_VENDOR + i - n);
	op = scsi_op_find(lun, cdb, &why);
	*ret = why == SENSE_NONE ? op : NULL;
	return true;
}

/* Straight into the initiator's memory: how much it is depends on the LUN. */
static void report_all(struct scsi_task *t, uint32_t alloc, bool rctd)
{
	uint64_t room = MIN((uint64_t)alloc, t->iov_bytes), at = 4;
	uint8_t data[COMMAND_MAX], header[4], opcode;
	const struct scsi_op *op;

	for (unsigned i = 0; nth_command(t->lun, i, &op, &opcode); i++) {
		unsigned n = op ? put_command(data, op, opcode, rctd) : 0;

		if (at < room)
			iov_put(t->iov, t->niov, at, data, MIN(n, room - at));
		at += n;
	}
	put_be32(header, (uint32_t)at - 4);
	iov_put(t->iov, t->niov, 0, header, MIN(sizeof(header), room));
	t->in_bytes = MIN(at, room);
	task_good(t);
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

/* What its CDB means, the vendor knows: all of it counts. */
static void report_vendor(struct scsi_task *t, uint8_t opcode, uint32_t alloc, bool rctd)
{
	const uint8_t cdb[SCSI_MAX_CDB] = {opcode};
	enum scsi_sense why;
	const struct scsi_op *op = scsi_op_find(t->lun, cdb, &why);
	uint8_t data[4 + SCSI_USAGE_MAX + TIMEOUTS_LEN] = {0, SUPPORT_NO};
	unsigned len = 4;

	if (why == SENSE_NONE) {
		data[1] = (uint8_t)(SUPPORT_VENDOR | (rctd ? 0x80 : 0));
		put_be16(data + 2, op->cdb_len);
		memset(data + len, 0xff, op->cdb_len);
		data[len] = opcode;
		len += op->cdb_len;
		if (rctd)
			len += put_timeouts(data + len, op);
	}
	task_reply(t, data, len, alloc);
}

/* One command. REPORT_EITHER takes a service action where there are some, and 0 where there are none. */
static void report_some(struct scsi_task *t, enum report_option option, uint32_t alloc, bool rctd)
{
	uint8_t opcode = t->cdb[3];
	uint16_t sa = get_be16(t->cdb + 4);
	const struct scsi_op *first = scsi_op_first(opcode);
	bool by_sa = first && first->flags & OP_SERVICE_ACTION;

	if ((option == REPORT_OPCODE && by_sa) ||
		(option == REPORT_SERVICE_ACTION && !by_sa && (first || opcode >= OP_VENDOR)))
		task_bad_field(t, 2, 2);
	else if (opcode >= OP_VENDOR && (option == REPORT_OPCODE || !sa))
		report_vendor(t, opcode, alloc, rctd);
	else
		report_one(t, option == REPORT_OPCODE ? first : scsi_op_lookup(opcode, sa), alloc, rctd);
}

void cmd_report_opcodes(struct scsi_task *t)
{
	enum report_option option = (enum report_option)(t->cdb[2] & 7);
	uint32_t alloc = get_be32(t->cdb + 6);
	bool rctd = t->cdb[2] & RCTD;

	if (option > REPORT_EITHER)
		task_bad_field(t, 2, 2);
	else if (option == REPORT_ALL)
		report_all(t, alloc, rctd);
	else
		report_some(t, option, alloc, rctd);
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
