/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HBA_REQ_FLUSH. GOOD only when firmware has confirmed it:
 *
 *   1. SYNCHRONIZE CACHE (10) to the unit, but for logical drives of firmware that says that it does not honour it
 *      there. Firmware of older generations may not know it for logical drives, so
 *      INVALID COMMAND OPERATION CODE, or its own INVALID_CMD, is no failure there; anything else but GOOD (or a
 *      RECOVERED ERROR of this command) is.
 *   2. Logical drives: the DCMD that flushes controller cache and disk caches. It is one for the whole controller
 *      and may take long, so one runs at a time. Flushes that come while it runs share the next one, never the
 *      running one, which may have passed their data already.
 *
 * Physical drives have no controller cache in between: step 1 alone, and it must be GOOD.
 */
#include "mfi.h"

enum flush_step { FLUSH_SYNC, FLUSH_WAIT, FLUSH_RIDE };

#define OP_SYNCHRONIZE_CACHE_10	   0x35
#define SCSI_GOOD		   0x00
#define SCSI_CHECK_CONDITION	   0x02
#define ASC_INVALID_OPERATION_CODE 0x20

bool mfi_flush_abortable(const struct hba_req *req)
{
	return req->drv_step == FLUSH_SYNC;
}

/* Of this command: deferred sense (71h, 73h) is about another one. */
static bool not_implemented(const struct hba_req *req)
{
	const uint8_t *s = req->sense;
	uint8_t code = s[0] & 0x7f, key = 0, asc = 0;

	if (req->result == HBA_IO_ERROR)
		return req->fw_status == MFI_INVALID_CMD;
	if (req->result != HBA_DONE || req->scsi_status != SCSI_CHECK_CONDITION)
		return false;
	if (code == 0x70) {
		key = s[2] & 0xf;
		asc = s[12];
	} else if (code == 0x72) {
		key = s[1] & 0xf;
		asc = s[2];
	}
	return key == SENSE_KEY_ILLEGAL_REQUEST && asc == ASC_INVALID_OPERATION_CODE;
}

static void flush_start(struct mfi *m)
{
	const struct mfi_dcmd d = {
		.opcode = MFI_DCMD_CACHE_FLUSH,
		.mbox = {MFI_FLUSH_CONTROLLER_AND_DISKS},
	};
	uint32_t slot = m->depth + MFI_SLOT_FLUSH;

	/* In a reset the last replies are still taken, but nothing new is sent: the flushes are re-issued. */
	if (m->slot[slot].fired || list_empty(&m->flush_next) || hba_state(m->h) != HBA_RUNNING)
		return;
	list_splice(&m->flush_now, &m->flush_next);
	list_for_each(pos, &m->flush_now) {
		struct hba_req *req = container_of(pos, struct hba_req, drv_link);

		/* Its time limit is for the flush itself, not for the wait behind another one. */
		hba_req_rearm(req);
		req->drv_step = FLUSH_RIDE;
	}
	mfi_build_dcmd(mfi_frame(m, slot), mfi_slot_use(m, slot), true, &d, 0);
	mfi_fire(m, slot, 0);
}

static void enqueue_here(struct mfi *m, struct hba_req *req)
{
	/* Younger than the running round, which therefore expires first if it hangs. */
	hba_req_rearm(req);
	req->drv_step = FLUSH_WAIT;
	list_append(&m->flush_next, &req->drv_link);
	flush_start(m);
}

static void on_enqueue(struct loop_msg *msg)
{
	struct hba_req *req = container_of(msg, struct hba_req, drv_msg);

	enqueue_here(mfi_of(req->hba), req);
}

/* Step 2, with the next round. The rounds are the first lane's: requests of others go there, and come back. */
static void enqueue(struct mfi *m, struct hba_req *req)
{
	if (!req->lane) {
		enqueue_here(m, req);
		return;
	}
	/* On its way it is not to be found at firmware: if its time ended there, that would cost a reset. */
	hba_req_rearm(req);
	req->drv_msg.cb = on_enqueue;
	loop_post(m->h->loop, &req->drv_msg);
}

static void on_flushed(struct loop_msg *msg)
{
	hba_complete(container_of(msg, struct hba_req, drv_msg));
}

static void flushed(struct hba_req *req)
{
	if (!req->lane) {
		hba_complete(req);
		return;
	}
	req->drv_msg.cb = on_flushed;
	loop_post(hba_lane_loop(req->hba, req->lane), &req->drv_msg);
}

void mfi_flush_submit(struct mfi *m, struct hba_req *req)
{
	static const uint8_t cdb[10] = {OP_SYNCHRONIZE_CACHE_10};

	if (m->no_ld_sync && req->unit->kind == HBA_UNIT_LD) {
		enqueue(m, req);
		return;
	}
	req->drv_step = FLUSH_SYNC;
	m->iop->send_cdb(m, req, cdb, sizeof(cdb));
}

void mfi_flush_forget(struct mfi *m)
{
	list_scatter(&m->flush_now);
	list_scatter(&m->flush_next);
}

void mfi_flush_reply(struct mfi *m, struct hba_req *req)
{
	bool good;

	m->iop->result(m, req);
	if (hba_sense_key_is(req, SENSE_KEY_RECOVERED_ERROR))
		req->scsi_status = SCSI_GOOD;
	good = req->result == HBA_DONE && req->scsi_status == SCSI_GOOD;
	if (req->unit->kind == HBA_UNIT_PD || !(good || not_implemented(req))) {
		hba_complete(req);
		return;
	}
	if (req->doom) {
		/* Nobody waits for it any more: not a reason to go through step 2. */
		req->result = HBA_IO_ERROR;
		hba_complete(req);
		return;
	}
	enqueue(m, req);
}

void mfi_flush_dcmd_reply(struct mfi *m)
{
	uint8_t status = mfi_cmd_status(m, m->depth + MFI_SLOT_FLUSH);
	struct list now;

	/* Before any done(): flushes that it submits belong to the next round. */
	list_init(&now);
	list_splice(&now, &m->flush_now);
	flush_start(m);
	while (!list_empty(&now)) {
		struct hba_req *req = list_first(&now, struct hba_req, drv_link);

		list_remove(&req->drv_link);
		req->result = status == MFI_OK ? HBA_DONE : HBA_IO_ERROR;
		req->fw_status = status;
		req->scsi_status = 0;
		req->sense_len = 0;
		req->moved = 0;
		flushed(req);
	}
}
