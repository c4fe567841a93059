/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From what the controller says, or does not say, to status and sense. */
#include "task.h"

#include <string.h>

bool req_sense(const struct hba_req *req, enum scsi_sense *ret)
{
	return req->result == HBA_DONE && req->scsi_status == SCSI_CHECK_CONDITION &&
	       sense_parse(req->sense, req->sense_len, ret);
}

bool req_recovered(const struct hba_req *req)
{
	enum scsi_sense code;
	uint8_t format = req->sense[0] & 0x7f;

	/* Deferred sense (71h, 73h) tells of an earlier command, and then this one has not run (SPC-4 4.5.7). */
	return req_sense(req, &code) && SENSE_KEY(code) == KEY_RECOVERED_ERROR &&
	       (format == 0x70 || format == 0x72);
}

/* RECOVERED ERROR is a success with a story, which we do not offer to report (no PER bit in a mode page): one
 * part of a split command must not end the others for it. Data that was not moved whole is none, and a flush is
 * done only when the driver says GOOD. */
bool req_is_good(const struct hba_req *req)
{
	if (req->kind == HBA_REQ_RW && req->moved < req->xfer.len)
		return false;
	if (req->kind == HBA_REQ_RW && req_recovered(req))
		return true;
	return req->result == HBA_DONE && req->scsi_status == SCSI_GOOD;
}

enum scsi_sense gate_sense(enum scsi_gate gate)
{
	switch (gate) {
	case SCSI_GATE_OPEN:
		return SENSE_NONE;
	case SCSI_GATE_BECOMING_READY:
	case SCSI_GATE_HELD: /* what is asked for in the meantime is told that it is worth waiting */
		return SENSE_BECOMING_READY;
	case SCSI_GATE_NO_UNIT:
		return SENSE_NO_SUCH_UNIT;
	case SCSI_GATE_GONE:
		break;
	}
	return SENSE_MANUAL_INTERVENTION;
}

/*
 * Requests that ended without a SCSI status.
 *
 * NO_UNIT: 05/25/00: the controller says that there is no such unit; initiators with several paths try another.
 *
 * IO_ERROR: 04/44/00: firmware failed it without telling why. Not retried blindly by Linux.
 *
 * TIMEOUT: 0B/08/01: it is proven not to run any more, so it can be sent again, and ABORTED COMMAND makes initiators do
 * that. Not 2E/02 (command timeout), which newer Linux takes for an expired duration limit and gives up on.
 *
 * GONE: 02/04/03, as for every command that comes later: nobody can say whether it was done, and only a person can bring
 * the controller back.
 */
static enum scsi_sense sense_of_result(enum hba_result result)
{
	switch (result) {
	case HBA_NO_UNIT:
		return SENSE_NO_SUCH_UNIT;
	case HBA_TIMEOUT:
		return SENSE_UNIT_TIMEOUT;
	case HBA_GONE:
		return SENSE_MANUAL_INTERVENTION;
	case HBA_DONE:
	case HBA_IO_ERROR:
	case HBA_ABORTED:
		break;
	}
	return SENSE_INTERNAL_FAILURE;
}

/* Statuses that an initiator understands without our having to add anything. */
static bool is_plain_status(uint8_t status)
{
	switch (status) {
	case SCSI_BUSY:
	case SCSI_RESERVATION_CONFLICT:
	case SCSI_TASK_SET_FULL:
	case SCSI_TASK_ABORTED:
		return true;
	default:
		return false;
	}
}

/* Of two parts that failed one answers for the command. What the unit has said to the other it will not say again when
 * it is a unit attention: the next command hears it. */
static void pass_on_attention(struct scsi_task *t, const uint8_t *sense, size_t len)
{
	enum scsi_sense code;

	if (sense_parse(sense, len, &code) && SENSE_KEY(code) == KEY_UNIT_ATTENTION)
		lun_attention(t->lun, code);
}

/* True if this error replaces what is recorded: it is the first, or nearer to the start of the data. */
static bool is_nearer(struct scsi_task *t, uint64_t offset)
{
	if (t->flags & TASK_FAILED && offset >= t->error_at)
		return false;
	if (t->flags & TASK_FAILED && !t->ours)
		pass_on_attention(t, t->sense, t->sense_len);
	t->flags |= TASK_FAILED;
	t->error_at = offset;
	t->sense_len = 0;
	task_unqueue(t);
	return true;
}

void task_fail_at(
	struct scsi_task *t, uint64_t offset, enum scsi_sense code, const struct sense_detail *detail)
{
	if (!is_nearer(t, offset))
		return;
	t->status = SCSI_CHECK_CONDITION;
	task_put_sense(t, code, detail);
}

void task_fail_status(struct scsi_task *t, uint64_t offset, uint8_t status)
{
	if (is_nearer(t, offset))
		t->status = status;
}

/* The unit's own sense, bounded and padded: it is as good as the unit can say it, LBA included. */
static void fail_with_sense(struct scsi_task *t, uint64_t offset, const uint8_t *sense, size_t len)
{
	len = MIN(len, (size_t)SCSI_SENSE_SIZE);
	if (!is_nearer(t, offset)) {
		if (!t->ours)
			pass_on_attention(t, sense, len);
		return;
	}
	t->status = SCSI_CHECK_CONDITION;
	memset(t->sense, 0, sizeof(t->sense));
	memcpy(t->sense, sense, len);
	t->sense_len = t->lun->d_sense ? sense_to_descriptor(t->sense, (uint8_t)len)
				       : sense_to_fixed(t->sense, (uint8_t)len);
}

/* Whole blocks of the initiator's data that a driver knows to have arrived in spite of the error. */
static uint64_t arrived(const struct scsi_task *t, const struct hba_req *req)
{
	uint32_t moved = MIN(req->moved, req->xfer.len);

	if (req->kind != HBA_REQ_RW || req->xfer.dir != DMA_FROM_DEVICE || req->xfer.iov != t->iov)
		return 0;
	return moved - moved % req->block_size;
}

/*
 * TASK ABORTED means that an initiator has asked for the end (SAM-5 5.3.1). What a reset of the controller has ended,
 * because it must not be done twice (no_reissue), nobody asked for, and all that can be said of it is that it may have
 * been done, in part or whole. ABORTED COMMAND leaves that open; UNIT ATTENTION would say that it has not run.
 */
static void fail_aborted(struct scsi_task *t, uint64_t offset)
{
	if (t->flags & TASK_ABORTED)
		task_fail_status(t, offset, SCSI_TASK_ABORTED);
	else
		task_fail_at(t, offset, SENSE_CLEARED, NULL);
}

void task_fail_req(struct scsi_task *t, const struct hba_req *req, uint64_t offset)
{
	enum scsi_sense code;

	offset += arrived(t, req);
	if (req->result == HBA_ABORTED) {
		fail_aborted(t, offset);
	} else if (req->result != HBA_DONE) {
		task_fail_at(t, offset, sense_of_result(req->result), NULL);
	} else if (req_sense(req, &code)) {
		fail_with_sense(t, offset, req->sense, req->sense_len);
	} else if (is_plain_status(req->scsi_status)) {
		task_fail_status(t, offset, req->scsi_status);
	} else {
		/* CHECK CONDITION without sense, or a status that this layer does not know */
		task_fail_at(t, offset, SENSE_INTERNAL_FAILURE, NULL);
	}
}
