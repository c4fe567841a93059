/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HBA_REQ_FLUSH. GOOD only when the unit has confirmed it:
 *
 *   1. SYNCHRONIZE CACHE (10). The vendor's driver never sends it, and answers it with GOOD by itself [7]: that is how
 *      the ancestors of this project lost data. What firmware does with it is [?].
 *   2. If firmware does not know that opcode: SYNCHRONIZE CACHE (16), which the vendor's driver does send.
 *   3. If it knows neither: the caching mode page. A unit that says that its write cache is off needs no flush; any
 *      other answer is an error, for then nobody knows where the data is.
 *
 * No command of the firmware's own that writes out its cache is known. Check on real hardware: write, flush, cut the
 * box's power, compare.
 */
#include "box.h"

#include <string.h>

enum flush_step { FLUSH_SYNC_10, FLUSH_SYNC_16, FLUSH_MODE };
#define STEP_MASK 0x0f

enum {
	OP_MODE_SENSE_6 = 0x1a,
	OP_SYNCHRONIZE_CACHE_10 = 0x35,
	OP_SYNCHRONIZE_CACHE_16 = 0x91,
};
#define SCSI_GOOD	   0x00
#define ASC_INVALID_OPCODE 0x20
#define DBD		   0x08 /* no block descriptors */
#define PAGE_CACHING	   0x08
#define WCE		   0x04
#define MODE_BYTES	   192

static enum flush_step step_of(const struct hba_req *req)
{
	return req->drv_step & STEP_MASK;
}

uint32_t ame_flush_len(const struct hba_req *req)
{
	return step_of(req) == FLUSH_MODE ? MODE_BYTES : 0;
}

void ame_flush_cdb(struct ame *a, const struct hba_req *req, uint32_t slot, struct ame_cmd *c,
	struct dma_seg *seg, uint8_t cdb[AME_MAX_CDB])
{
	uint8_t *list = ame_slot_at(a, slot, AME_AT_LIST);

	memset(cdb, 0, AME_MAX_CDB);
	c->cdb = cdb;
	switch (step_of(req)) {
	case FLUSH_SYNC_10: /* of all blocks */
		cdb[0] = OP_SYNCHRONIZE_CACHE_10;
		c->cdb_len = 10;
		return;
	case FLUSH_SYNC_16:
		cdb[0] = OP_SYNCHRONIZE_CACHE_16;
		c->cdb_len = 16;
		return;
	case FLUSH_MODE:
		cdb[0] = OP_MODE_SENSE_6;
		cdb[1] = DBD;
		cdb[2] = PAGE_CACHING;
		cdb[4] = MODE_BYTES;
		c->cdb_len = 6;
		/* One element needs no list, so its place is free. */
		memset(list, 0, MODE_BYTES);
		*seg = (struct dma_seg){ame_iova(a, list), MODE_BYTES};
		c->seg = seg;
		c->n_seg = 1;
		c->dir = DMA_FROM_DEVICE;
		return;
	}
}

int ame_caching_wce(const uint8_t *mode, uint32_t len)
{
	uint32_t page = len > 3 ? 4u + mode[3] : len; /* behind block descriptors, DBD or not */

	if (page + 3 > len || (mode[page] & 0x3f) != PAGE_CACHING || !mode[page + 1])
		return -1;
	return mode[page + 2] & WCE ? 1 : 0;
}

static bool cache_is_off(struct ame *a, const struct hba_req *req, uint32_t slot)
{
	uint8_t mode[MODE_BYTES];

	if (req->result != HBA_DONE || req->scsi_status != SCSI_GOOD)
		return false;
	memcpy(mode, ame_slot_at(a, slot, AME_AT_LIST), sizeof(mode));
	return ame_caching_wce(mode, MIN(req->moved, (uint32_t)sizeof(mode))) == 0;
}

static bool next_step(struct hba_req *req)
{
	if (!req->doom) {
		req->drv_step++;
		return true;
	}
	/* Nobody waits for it any more. */
	req->result = HBA_IO_ERROR;
	return false;
}

bool ame_flush_next(struct ame *a, struct hba_req *req, uint32_t slot)
{
	if (step_of(req) != FLUSH_MODE) {
		if (hba_sense_is(req, SENSE_KEY_ILLEGAL_REQUEST, ASC_INVALID_OPCODE))
			return next_step(req);
		if (hba_sense_key_is(req, SENSE_KEY_RECOVERED_ERROR))
			req->scsi_status = SCSI_GOOD;
	} else {
		req->result = cache_is_off(a, req, slot) ? HBA_DONE : HBA_IO_ERROR;
	}
	req->moved = 0;
	return false;
}
