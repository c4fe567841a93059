/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SCSI commands as descriptors, and the device's word on them [5.6.6.1]. */
#include "vio.h"

#include <errno.h>
#include <string.h>

enum {
	SCSI_GOOD = 0x00,
	SCSI_CHECK_CONDITION = 0x02,
	SCSI_CONDITION_MET = 0x04,
	SCSI_BUSY = 0x08,
};
enum {
	OP_READ_10 = 0x28,
	OP_WRITE_10 = 0x2a,
	OP_READ_16 = 0x88,
	OP_WRITE_16 = 0x8a,
};
#define CDB_DPO 0x10
#define CDB_FUA 0x08

/* --- addresses --- */

/* Flat space addressing for small numbers too, as Linux sends it: every device knows that. */
void vio_lun_put(uint8_t lun[VIO_LUN_SIZE], uint8_t target, uint16_t number)
{
	memset(lun, 0, VIO_LUN_SIZE);
	lun[0] = 1;
	lun[1] = target;
	lun[2] = (uint8_t)(VIO_LUN_FLAT | (number >> 8 & 0x3f));
	lun[3] = (uint8_t)number;
}

bool vio_lun_get(const uint8_t lun[VIO_LUN_SIZE], uint8_t *ret_target, uint16_t *ret_number)
{
	uint8_t method = lun[2] & VIO_LUN_METHOD;

	/* Of peripheral device addressing only bus 0. */
	if (lun[0] != 1 || (method != VIO_LUN_FLAT && lun[2] != 0))
		return false;
	*ret_target = lun[1];
	*ret_number = (uint16_t)((lun[2] & 0x3f) << 8 | lun[3]);
	return true;
}

/* --- building --- */

uint8_t vio_rw_cdb(const struct hba_req *req, bool dpofua, uint8_t cdb[16])
{
	bool write = req->xfer.dir == DMA_TO_DEVICE;

	memset(cdb, 0, 16);
	/* DPO is a hint, and a unit that does not know it may refuse the command for it. FUA never is left out. */
	cdb[1] = (uint8_t)((req->dpo && dpofua ? CDB_DPO : 0) | (req->fua ? CDB_FUA : 0));
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

static void put_head(uint8_t *mem, const struct vio_cmd *c)
{
	struct vio_cmd_req *q = (struct vio_cmd_req *)(mem + VIO_SLOT_REQ);
	struct vio_cmd_resp *r = (struct vio_cmd_resp *)(mem + VIO_SLOT_RESP);
	le64_t id = cpu_to_le64(c->id);

	assert(c->cdb_len <= sizeof(q->cdb));
	memset(q, 0, sizeof(*q));
	vio_lun_put(q->lun, c->addr->target, c->addr->lun);
	memcpy(q->id, &id, sizeof(id));
	memcpy(q->cdb, c->cdb, c->cdb_len);
	/* An answer that the device never wrote is not to be taken for one, nor an older command's sense for this
	 * one's. */
	memset(r, 0, sizeof(*r));
	r->response = VIO_S_UNWRITTEN;
}

/* A chain under construction; its elements are numbered from first on. */
struct chain {
	struct vio_desc *d;
	uint16_t first;
	uint32_t n, end;
};

static void put_element(struct chain *c, uint64_t addr, uint32_t len, uint16_t flags)
{
	struct vio_desc *d = &c->d[c->n++];

	if (c->n < c->end)
		vio_desc_put(d, addr, len, flags | VIO_DESC_NEXT, (uint16_t)(c->first + c->n));
	else
		vio_desc_put(d, addr, len, flags, 0);
}

/* First what the device reads, then what it writes [2.7.4.2]. Returns the number of elements. */
static uint32_t put_chain(struct vio_desc *d, uint16_t first, uint64_t mem, const struct vio_cmd *c)
{
	struct chain to = {d, first, 0, VIO_SLOT_FIXED + c->n_seg};
	bool in = c->dir == DMA_FROM_DEVICE;

	put_element(&to, mem + VIO_SLOT_REQ, sizeof(struct vio_cmd_req), 0);
	for (uint32_t i = 0; !in && i < c->n_seg; i++)
		put_element(&to, c->seg[i].addr, c->seg[i].len, 0);
	put_element(&to, mem + VIO_SLOT_RESP, sizeof(struct vio_cmd_resp), VIO_DESC_WRITE);
	for (uint32_t i = 0; in && i < c->n_seg; i++)
		put_element(&to, c->seg[i].addr, c->seg[i].len, VIO_DESC_WRITE);
	return to.n;
}

static uint32_t bytes_of(const struct vio_cmd *c)
{
	uint32_t bytes = sizeof(struct vio_cmd_req) + sizeof(struct vio_cmd_resp);

	for (uint32_t i = 0; i < c->n_seg; i++)
		bytes += c->seg[i].len;
	return bytes;
}

void vio_fire(struct vio *v, unsigned lane, uint32_t slot, const struct vio_cmd *c)
{
	struct vio_ring *q = vio_lane_ring(v, lane);
	uint8_t *mem = vio_slot_mem(v, slot);
	uint64_t iova = vio_iova(v, mem);
	uint16_t head = (uint16_t)(vio_slot_number(v, lane, slot) * v->stride);
	struct vio_desc *list;
	uint32_t n;

	assert(c->n_seg <= v->segs && !v->slot[slot].at_device);
	put_head(mem, c);
	if (v->indirect) {
		list = vio_slot_list(v, slot);
		n = put_chain(list, 0, iova, c);
		vio_desc_put(
			&q->desc[head], vio_iova(v, list), n * (uint32_t)sizeof(*list), VIO_DESC_INDIRECT, 0);
	} else {
		put_chain(&q->desc[head], head, iova, c);
	}
	v->slot[slot].at_device = true;
	v->slot[slot].bytes = bytes_of(c);
	vio_ring_offer(q, head);
}

/* --- results --- */

/* Copies sense data; false when there is none that makes sense. */
static bool take_sense(struct hba_req *req, const struct vio_cmd_resp *r)
{
	uint32_t len = MIN(le32_to_cpu(r->sense_len), (uint32_t)MIN(sizeof(r->sense), sizeof(req->sense)));
	uint8_t code = r->sense[0] & 0x7f;

	if (len < 8 || code < 0x70 || code > 0x73)
		return false;
	memset(req->sense, 0, sizeof(req->sense));
	memcpy(req->sense, r->sense, len);
	/* Byte 7 counts what follows it, in both formats. */
	req->sense_len = (uint8_t)MIN(req->sense[7] + 8u, len);
	return true;
}

static void with_status(struct hba_req *req, const struct vio_cmd_resp *r)
{
	uint32_t residual = le32_to_cpu(r->residual);
	bool whole = r->status == SCSI_GOOD || r->status == SCSI_CONDITION_MET;

	req->result = HBA_DONE;
	req->scsi_status = r->status;
	if (r->status == SCSI_CHECK_CONDITION) {
		if (!take_sense(req, r)) {
			/* An error without sense is an error all the same. */
			req->result = HBA_IO_ERROR;
			return;
		}
		/* A success that tells a story */
		whole = hba_sense_key_is(req, SENSE_KEY_RECOVERED_ERROR);
	}
	/* More left over than there was to move: nothing can be said of the data. */
	if (whole && residual <= req->xfer.len)
		req->moved = req->xfer.len - residual;
	else if (whole)
		req->result = HBA_IO_ERROR;
}

int vio_result(struct hba_req *req, const struct vio_cmd_resp *r)
{
	req->fw_status = r->response;
	req->scsi_status = SCSI_GOOD;
	req->sense_len = 0;
	req->moved = 0;
	switch (r->response) {
	case VIO_S_OK:
		with_status(req, r);
		return 0;
	case VIO_S_BUSY:
		req->result = HBA_DONE;
		req->scsi_status = SCSI_BUSY;
		return 0;
	case VIO_S_BAD_TARGET:
	case VIO_S_INCORRECT_LUN:
		req->result = HBA_NO_UNIT;
		return 0;
	case VIO_S_ABORTED:
	case VIO_S_RESET:
		req->result = HBA_ABORTED;
		return 0;
	case VIO_S_UNWRITTEN:
		req->result = HBA_IO_ERROR;
		return -EIO;
	default:
		req->result = HBA_IO_ERROR;
		return 0;
	}
}
