/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests as the box reads them [4], and its word on them [5]. */
#include "box.h"

#include <string.h>

enum {
	SCSI_GOOD = 0x00,
	SCSI_CHECK_CONDITION = 0x02,
	SCSI_CONDITION_MET = 0x04,
	SCSI_BUSY = 0x08,
};
enum {
	OP_READ_6 = 0x08,
	OP_WRITE_6 = 0x0a,
	OP_READ_10 = 0x28,
	OP_WRITE_10 = 0x2a,
	OP_READ_16 = 0x88,
	OP_WRITE_16 = 0x8a,
	OP_READ_12 = 0xa8,
	OP_WRITE_12 = 0xaa,
};
#define CDB_FUA 0x08

/* --- building --- */

bool ame_is_rw(uint8_t opcode)
{
	switch (opcode) {
	case OP_READ_6:
	case OP_WRITE_6:
	case OP_READ_10:
	case OP_WRITE_10:
	case OP_READ_16:
	case OP_WRITE_16:
	case OP_READ_12:
	case OP_WRITE_12:
		return true;
	}
	return false;
}

/* DPO is a hint, which firmware that nobody has asked might refuse; FUA comes only where it is known to be honoured,
 * and is never left out. */
uint8_t ame_rw_cdb(const struct hba_req *req, uint8_t cdb[AME_MAX_CDB])
{
	bool write = req->xfer.dir == DMA_TO_DEVICE;

	memset(cdb, 0, AME_MAX_CDB);
	cdb[1] = req->fua ? CDB_FUA : 0;
	if (req->lba + req->nblocks <= UINT32_MAX && req->nblocks <= UINT16_MAX) {
		cdb[0] = write ? OP_WRITE_10 : OP_READ_10;
		put_be32(cdb + 2, (uint32_t)req->lba);
		put_be16(cdb + 7, (uint16_t)req->nblocks);
		return 10;
	}
	cdb[0] = write ? OP_WRITE_16 : OP_READ_16;
	put_be64(cdb + 2, req->lba);
	put_be32(cdb + 10, req->nblocks);
	return 16;
}

static struct ame_bdl bdl(uint32_t head, uint64_t addr)
{
	return (struct ame_bdl){
		cpu_to_le32(head), cpu_to_le32((uint32_t)addr), cpu_to_le32((uint32_t)(addr >> 32))};
}

static void put_sges(const struct ame *a, struct ame_sge *to, const struct ame_cmd *c)
{
	for (uint32_t i = 0; i < c->n_seg; i++)
		to[i] = (struct ame_sge){
			.addr_low = cpu_to_le32((uint32_t)c->seg[i].addr),
			.addr_high = cpu_to_le32((uint32_t)(c->seg[i].addr >> 32)),
			.len = cpu_to_le32(c->seg[i].len),
			.flags = cpu_to_le32(a->family->mark_last && i + 1 == c->n_seg ? AME_SGE_LAST : 0),
		};
}

static void put_bdls(struct ame_bdl *to, const struct ame_cmd *c)
{
	uint32_t head = AME_BDL_WIDE | (c->dir == DMA_TO_DEVICE ? AME_BDL_WRITE : 0);

	for (uint32_t i = 0; i < c->n_seg; i++)
		to[i] = bdl(head | (c->seg[i].len & AME_BDL_LEN), c->seg[i].addr);
}

/* Elements in the frame, or a pointer there to a list of them [4.2]. */
static void put_data(struct ame *a, uint32_t slot, struct ame_scsi *q, const struct ame_cmd *c)
{
	bool sge16 = a->family->sge16 && ame_is_rw(c->cdb[0]);
	uint8_t *list = ame_slot_at(a, slot, AME_AT_LIST);

	if (sge16 && c->n_seg <= AME_DIRECT_SGES) {
		put_sges(a, q->sge, c);
	} else if (!sge16 && c->n_seg <= AME_DIRECT_BDLS) {
		put_bdls(q->bdl, c);
	} else {
		q->bdl[0] = bdl(AME_BDL_LIST | AME_BDL_WIDE | c->n_seg, ame_iova(a, list));
		if (sge16)
			put_sges(a, (struct ame_sge *)list, c);
		else
			put_bdls((struct ame_bdl *)list, c);
	}
}

static void *cleared_frame(struct ame *a, uint32_t slot)
{
	return memset(ame_slot_at(a, slot, AME_AT_FRAME), 0, AME_FRAME_SIZE);
}

void ame_build_scsi(struct ame *a, uint32_t slot, const struct ame_cmd *c)
{
	static const uint32_t dir[] = {
		[DMA_NONE] = 0, [DMA_TO_DEVICE] = AME_CTL_WRITE, [DMA_FROM_DEVICE] = AME_CTL_READ};
	struct ame_scsi *q = cleared_frame(a, slot);
	uint8_t *sense = ame_slot_at(a, slot, AME_AT_SENSE);
	uint32_t bytes = 0;

	assert(c->cdb_len <= AME_MAX_CDB && c->n_seg <= HBA_MAX_SEGMENTS);
	/* An older command's sense must not be taken for this one's. */
	memset(sense, 0, AME_SENSE_SIZE);
	for (uint32_t i = 0; i < c->n_seg; i++)
		bytes += c->seg[i].len;
	q->lun = c->lun;
	q->function = AME_F_SCSI;
	q->id = cpu_to_le32(ame_id(slot));
	q->cdb_len = c->cdb_len;
	q->sense_len = AME_SENSE_SIZE;
	q->control = cpu_to_le32(AME_CTL_UNTAGGED | dir[c->dir]);
	memcpy(q->cdb, c->cdb, c->cdb_len);
	q->data_len = cpu_to_le32(bytes);
	q->sense_low = cpu_to_le32((uint32_t)ame_iova(a, sense));
	if (c->n_seg)
		put_data(a, slot, q, c);
}

void ame_build_page(struct ame *a, uint32_t slot, uint8_t page, uint64_t to)
{
	struct ame_inband *q = cleared_frame(a, slot);

	q->flags = AME_INBAND_READ;
	q->function = AME_F_INBAND;
	q->id = cpu_to_le32(ame_id(slot));
	q->cdb[0] = q->cdb[1] = AME_INBAND_GET;
	q->cdb[2] = page;
	q->data_len = cpu_to_le32(AME_PAGE_SIZE);
	q->bdl = bdl(AME_BDL_WIDE | AME_PAGE_SIZE, to);
}

void ame_build_switch(struct ame *a, uint32_t slot, bool on)
{
	struct ame_event_switch *q = cleared_frame(a, slot);

	q->on = on;
	q->function = AME_F_EVENT;
	q->id = cpu_to_le32(ame_id(slot));
}

void ame_build_task(struct ame *a, uint32_t slot, enum ame_task_type type, uint8_t lun, uint32_t victim)
{
	struct ame_task *q = cleared_frame(a, slot);

	q->type = (uint8_t)type;
	q->function = AME_F_TASK;
	q->id = cpu_to_le32(ame_id(slot));
	q->lun = lun;
	if (type == AME_T_ABORT)
		q->victim = cpu_to_le32(ame_id(victim));
}

/* --- results --- */

static void nothing_moved(struct hba_req *req, uint8_t status)
{
	req->fw_status = status;
	req->scsi_status = SCSI_GOOD;
	req->sense_len = 0;
	req->moved = 0;
}

void ame_result_fast(struct hba_req *req, uint32_t len)
{
	nothing_moved(req, AME_S_OK);
	req->result = HBA_DONE;
	req->moved = len;
}

/* Copies sense data; false when there is none that makes sense. Lengths are the box's: looked at once, and bounded by
 * where the data lies. */
static bool take_sense(struct hba_req *req, const struct ame_sense *s)
{
	uint32_t skip = s->flags & AME_SB_RESPONSE ? le32_to_cpu(s->response_len) : 0;
	uint32_t len = le32_to_cpu(s->sense_len);
	uint8_t code;

	if (!(s->flags & AME_SB_SENSE) || skip > sizeof(s->data))
		return false;
	len = MIN(len, (uint32_t)sizeof(s->data) - skip);
	if (len < 8)
		return false;
	code = s->data[skip] & 0x7f;
	if (code < 0x70 || code > 0x73)
		return false;
	static_assert(sizeof(s->data) <= HBA_SENSE_SIZE, "sense data fits");
	memset(req->sense, 0, sizeof(req->sense));
	memcpy(req->sense, s->data + skip, len);
	/* Byte 7 counts what follows it, in both formats. */
	req->sense_len = (uint8_t)MIN(req->sense[7] + 8u, len);
	return true;
}

/* Bytes left over: by the sense block, or else by the reply's count of bytes moved, which is only looked at after an
 * underrun [I]: the vendor's driver never uses it. Check on real hardware: in a capture, a reply to INQUIRY with status 24h
 * has the number of bytes that came at 0Ch. */
static bool take_moved(
	struct hba_req *req, uint32_t len, const struct ame_reply *r, const struct ame_sense *s)
{
	uint32_t residual = 0, count = le32_to_cpu(r->moved);

	if (s && s->flags & AME_SB_OVER)
		return false;
	if (s && s->flags & AME_SB_UNDER)
		residual = le32_to_cpu(s->residual);
	else if (r->status == AME_S_UNDERRUN)
		residual = count <= len ? len - count : UINT32_MAX;
	/* More left over than there was to move: nothing can be said of the data. */
	if (residual > len)
		return false;
	req->moved = len - residual;
	return true;
}

static void with_status(
	struct hba_req *req, uint32_t len, const struct ame_reply *r, const struct ame_sense *s)
{
	bool whole = r->scsi_status == SCSI_GOOD || r->scsi_status == SCSI_CONDITION_MET;

	req->result = HBA_DONE;
	req->scsi_status = r->scsi_status;
	if (r->scsi_status == SCSI_CHECK_CONDITION) {
		/* An error without sense is an error all the same. */
		if (!s || !take_sense(req, s)) {
			req->result = HBA_IO_ERROR;
			return;
		}
		/* A success that tells a story */
		whole = hba_sense_key_is(req, SENSE_KEY_RECOVERED_ERROR);
	}
	if (whole && !take_moved(req, len, r, s))
		req->result = HBA_IO_ERROR;
}

/* Statuses that are not wholly bad may come with a SCSI status that says more. */
static void half_bad(struct hba_req *req, uint32_t len, const struct ame_reply *r, const struct ame_sense *s)
{
	bool told = r->scsi_status == SCSI_CHECK_CONDITION;

	if (told || (r->status == AME_S_UNDERRUN && r->scsi_status == SCSI_GOOD))
		with_status(req, len, r, s);
}

void ame_result(struct hba_req *req, uint32_t len, const struct ame_reply *r, const struct ame_sense *s)
{
	nothing_moved(req, r->status);
	req->result = HBA_IO_ERROR;
	if (!(r->scsi_state & AME_STATE_SENSE))
		s = NULL;
	switch (r->status) {
	case AME_S_OK:
		if (r->scsi_state & AME_STATE_TERMINATED)
			req->result = HBA_ABORTED;
		else if (!(r->scsi_state & AME_STATE_NO_STATUS))
			with_status(req, len, r, s);
		return;
	case AME_S_RECOVERED:
	case AME_S_OVERRUN:
	case AME_S_UNDERRUN:
	case AME_S_DATA_ERROR:
		half_bad(req, len, r, s);
		return;
	case AME_S_BUSY:
	/* [I] the vendor's driver fails the command, but a want of something may pass. Check on real hardware: in a capture
	 * of full load, what was answered by status 05h succeeds when it comes again. */
	case AME_S_RESOURCES:
		req->result = HBA_DONE;
		req->scsi_status = SCSI_BUSY;
		return;
	case AME_S_NO_DEVICE:
		req->result = HBA_NO_UNIT;
		return;
	case AME_S_TERMINATED:
		req->result = HBA_ABORTED;
		return;
	}
}
