/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests as Fusion commands, and firmware's verdict on them [5.6 to 5.8]. */
#include <errno.h>
#include <string.h>

#include "fusion.h"

/* --- sending --- */

static void describe_drive(const struct fusion *f, const struct hba_req *req, struct fusion_io *io)
{
	const struct fusion_unit *u = &f->unit[req->unit->index];
	bool known = u->handle != FUSION_NO_HANDLE;

	io->plain = f->tag[req->tag].plain;
	io->handle = u->handle;
	io->target = known ? u->map_target : req->unit->target;
	io->seq = u->seq;
	/* Only reads and writes go to the drive directly; firmware looks after everything else. */
	io->fast_path = io->rw && known && !io->plain;
	io->function = io->fast_path ? FUSION_FN_SCSI_IO : FUSION_FN_LD_IO;
}

static void describe_ld(const struct fusion *f, const struct hba_req *req, struct fusion_io *io)
{
	io->ld = true;
	io->plain = f->no_seq || f->tag[req->tag].plain;
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
	uint32_t smid = fusion_smid_get(f, req->tag);
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
	fusion_send(f, smid, type_of(f, &io), rw ? smid % f->n_queues : 0, io.fast_path ? io.handle : 0);
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
	f->count.again++;
	send(f, req);
}

static void without_seq(struct fusion *f, const struct hba_req *req)
{
	f->tag[req->tag].plain = true;
	if (req->unit->kind != HBA_UNIT_LD || f->no_seq)
		return;
	log_info("%s: firmware checks sequence numbers of logical drives; going on without them",
		f->m.h->pci->uri);
	f->no_seq = true;
}

/* True: it stays at the controller, as far as the core knows. */
static bool goes_again(struct fusion *f, struct hba_req *req)
{
	bool refused = req->result == HBA_IO_ERROR && req->fw_status == FUSION_SEQ_MISMATCH;
	bool swept = req->result == HBA_IO_ERROR && req->fw_status == MFI_SCSI_IO_FAILED &&
		     f->unit[req->unit->index].resetting && !req->no_reissue;

	if ((!refused && !swept) || req->doom || f->tag[req->tag].again >= FUSION_AGAIN_MAX)
		return false;
	if (refused)
		without_seq(f, req);
	/* In a reset of the controller the core sends it again. */
	if (!f->live)
		return true;
	if (refused)
		send_again(f, req);
	else
		list_append(&f->swept, &req->drv_link);
	return true;
}

void fusion_send_swept(struct fusion *f, uint8_t unit)
{
	struct list again;

	list_init(&again);
	list_for_each_safe(pos, &f->swept) {
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
		if (req->doom)
			hba_complete(req);
		else
			send_again(f, req);
	}
}

void fusion_forget_swept(struct fusion *f)
{
	while (!list_empty(&f->swept))
		list_remove(f->swept.next);
}

/* --- answers --- */

void fusion_result(struct mfi *m, struct hba_req *req)
{
	const struct fusion *f = fusion_of(m);
	uint32_t smid = f->tag[req->tag].smid;
	const struct fusion_request *r = fusion_frame(f, smid);
	/* The same place in both kinds of context. Read once: firmware may still write there. */
	uint8_t status = __atomic_load_n(&r->ctx.status, __ATOMIC_RELAXED);
	uint8_t ex_status = __atomic_load_n(&r->ctx.ex_status, __ATOMIC_RELAXED);

	mfi_verdict(req, status, ex_status, fusion_sense(f, smid));
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
