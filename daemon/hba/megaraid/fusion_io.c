/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests as Fusion commands, and firmware's verdict on them [5.6 to 5.8]. */
#include <errno.h>
#include <string.h>

#include "fusion.h"

/* --- sending --- */

/* NVMe drives take large commands on the direct way only with lists in their own format, which is not built here. */
static bool takes_direct(const struct fusion *f, const struct hba_unit *u)
{
	uint8_t interface = f->m.pd_interface[u->index];

	return !f->gen->g35 || (interface != MFI_PD_IF_UNKNOWN && interface != MFI_PD_IF_NVME);
}

static void describe_drive(const struct fusion *f, const struct hba_req *req, struct fusion_io *io)
{
	const struct fusion_drive d = fusion_drive_of(f, req->unit);

	io->plain = f->tag[req->tag].plain;
	/* After a refusal nothing of the map is believed. */
	io->handle = io->plain ? FUSION_NO_HANDLE : d.handle;
	io->seq = d.seq;
	/* Only reads and writes go to the drive directly; firmware looks after everything else. */
	io->fast_path = io->rw && io->handle != FUSION_NO_HANDLE && takes_direct(f, req->unit);
	io->function = io->fast_path ? FUSION_FN_SCSI_IO : FUSION_FN_LD_IO;
	/* The map's number of it is for the direct way alone: to firmware it would name another drive, or none. */
	io->target = io->fast_path ? d.map_target : req->unit->target;
}

static void describe_ld(const struct fusion *f, const struct hba_req *req, struct fusion_io *io)
{
	io->ld = true;
	io->plain = __atomic_load_n(&f->no_seq, __ATOMIC_RELAXED) || f->tag[req->tag].plain;
	io->handle = io->target = req->unit->target;
	io->function = FUSION_FN_LD_IO;
}

static enum fusion_type type_of(const struct fusion *f, const struct fusion_io *io)
{
	if (io->fast_path)
		return FUSION_TYPE_FP_IO;
	return io->ld && io->rw ? f->gen->ld_rw : FUSION_TYPE_SCSI_IO;
}

static void send_cdb(struct fusion *f, struct hba_req *req, bool rw, const uint8_t *cdb, uint8_t cdb_len)
{
	uint32_t smid = fusion_smid_get(f, req->lane, req->tag);
	struct fusion_io io = {
		.rw = rw,
		.timeout_s = (uint16_t)MIN(DIV_ROUND_UP(req->timeout_ms, 1000u), UINT16_MAX),
		.sense = (uint32_t)f->m.sense.iova + smid * MFI_SENSE_SLOT,
		.chain = f->chains.iova + (uint64_t)smid * FUSION_CHAIN_SLOT,
		.chain_cpu = f->chains.cpu + (size_t)smid * FUSION_CHAIN_SLOT,
		.cdb = cdb,
		.cdb_len = cdb_len,
		.dir = req->xfer.dir,
		.bytes = req->xfer.len,
		.seg = req->seg,
		.n_seg = req->sgl.n,
	};

	if (req->unit->kind == HBA_UNIT_LD)
		describe_ld(f, req, &io);
	else
		describe_drive(f, req, &io);
	/* Response code 0 is no sense: an older command's must not be taken for this one's. */
	memset(fusion_sense(f, smid), 0, MFI_SENSE_LEN);
	fusion_build_io(f->gen, fusion_frame(f, smid), &io);
	fusion_send(f, smid, type_of(f, &io), rw ? fusion_lane_queue(f, req->lane, smid) : 0,
		io.fast_path ? io.handle : 0);
}

void fusion_send_cdb(struct mfi *m, struct hba_req *req, const uint8_t *cdb, uint8_t cdb_len)
{
	send_cdb(fusion_of(m), req, false, cdb, cdb_len);
}

static void send(struct fusion *f, struct hba_req *req)
{
	uint8_t cdb[16];
	uint8_t len;

	switch (req->kind) {
	case HBA_REQ_RW:
		len = fusion_rw_cdb(req, cdb);
		send_cdb(f, req, true, cdb, len);
		return;
	case HBA_REQ_CDB:
		send_cdb(f, req, false, req->cdb, req->cdb_len);
		return;
	case HBA_REQ_FLUSH:
		mfi_flush_submit(&f->m, req);
		return;
	}
}

void fusion_submit(struct hba *h, struct hba_req *req)
{
	struct fusion *f = fusion_of(mfi_of(h));

	f->tag[req->tag] = (struct fusion_tag){0};
	send(f, req);
}

/* --- sending again --- */

static void send_again(struct fusion *f, struct hba_req *req)
{
	f->tag[req->tag].again++;
	__atomic_fetch_add(&f->count.again, 1, __ATOMIC_RELAXED);
	send(f, req);
}

static void without_seq(struct fusion *f, const struct hba_req *req)
{
	f->tag[req->tag].plain = true;
	if (req->unit->kind != HBA_UNIT_LD || __atomic_exchange_n(&f->no_seq, true, __ATOMIC_RELAXED))
		return;
	log_info("%s: firmware checks sequence numbers of logical drives; going on without them",
		f->m.h->pci->uri);
}

/* Its lane has yet to end what was put aside for the reset of its unit. */
static bool is_resetting(const struct fusion *f, const struct hba_req *req)
{
	return __atomic_load_n(&f->unit[req->unit->index].resetting, __ATOMIC_RELAXED) & 1u << req->lane;
}

/* True: it stays at the controller, as far as the core knows. */
static bool goes_again(struct fusion *f, struct hba_req *req)
{
	bool refused = req->result == HBA_IO_ERROR && req->fw_status == FUSION_SEQ_MISMATCH;
	bool swept = req->result == HBA_IO_ERROR && req->fw_status == MFI_SCSI_IO_FAILED &&
		     is_resetting(f, req) && !req->no_reissue;

	if ((!refused && !swept) || req->doom || f->tag[req->tag].again >= FUSION_AGAIN_MAX)
		return false;
	if (refused)
		without_seq(f, req);
	/* In a reset of the controller the core sends it again. */
	if (!f->m.live)
		return true;
	if (refused) {
		send_again(f, req);
		return true;
	}
	/* It cannot be aborted while nobody has it: if its time were over before the unit's reset is, that would cost all
	 * units a reset of the controller. */
	hba_req_rearm(req);
	list_append(&f->lane[req->lane].swept, &req->drv_link);
	return true;
}

void fusion_send_swept(struct fusion *f, unsigned lane, uint8_t unit)
{
	struct list again;

	list_init(&again);
	list_for_each_safe(pos, &f->lane[lane].swept) {
		struct hba_req *req = container_of(pos, struct hba_req, drv_link);

		if (req->unit->index != unit)
			continue;
		list_remove(pos);
		list_append(&again, pos);
	}
	while (!list_empty(&again)) {
		struct hba_req *req = list_first(&again, struct hba_req, drv_link);

		list_remove(&req->drv_link);
		/* It was swept away, and meanwhile nobody wants it any more. */
		if (req->doom) {
			hba_complete(req);
			continue;
		}
		/* Its time limit is not for the reset that another one needed. */
		hba_req_rearm(req);
		send_again(f, req);
	}
}

void fusion_forget_swept(struct fusion *f)
{
	for (unsigned i = 0; i < f->m.h->n_lanes; i++)
		list_scatter(&f->lane[i].swept);
}

/* --- answers --- */

/* A unit that had less to send than was asked for: firmware calls that done with an error, without saying which, and
 * leaves the number of bytes in the frame [5.6, 5.7]. Of blocks there must be all. */
static void take_short(struct hba_req *req, uint8_t ex_status, uint32_t moved)
{
	if (req->kind != HBA_REQ_CDB || req->xfer.dir != DMA_FROM_DEVICE || ex_status != 0 ||
		req->fw_status != MFI_SCSI_DONE_WITH_ERROR || moved > req->xfer.len)
		return;
	req->result = HBA_DONE;
	req->moved = moved;
}

void fusion_result(struct mfi *m, struct hba_req *req)
{
	const struct fusion *f = fusion_of(m);
	uint32_t smid = f->tag[req->tag].smid;
	const struct fusion_request *r = fusion_frame(f, smid);
	/* The same place in both kinds of context. Read once: firmware may still write there. */
	uint8_t status = __atomic_load_n(&r->ctx.status, __ATOMIC_RELAXED);
	uint8_t ex_status = __atomic_load_n(&r->ctx.ex_status, __ATOMIC_RELAXED);
	uint32_t moved = le32_to_cpu(__atomic_load_n(&r->data_len, __ATOMIC_RELAXED));

	mfi_verdict(req, status, ex_status, fusion_sense(f, smid));
	take_short(req, ex_status, moved);
}

void fusion_request_reply(struct fusion *f, struct hba_req *req)
{
	fusion_result(&f->m, req);
	if (goes_again(f, req))
		return;
	if (req->kind == HBA_REQ_FLUSH)
		mfi_flush_reply(&f->m, req);
	else
		hba_complete(req);
}
