/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests as MFI frames, and firmware's verdict on them [3.4, 3.5, 3.11]. */
#include "mfi.h"

#include <errno.h>
#include <string.h>

enum {
	SCSI_GOOD = 0x00,
	SCSI_CHECK_CONDITION = 0x02,
};
enum {
	OP_READ_10 = 0x28,
	OP_WRITE_10 = 0x2a,
	OP_READ_16 = 0x88,
	OP_WRITE_16 = 0x8a,
};

static enum mfi_sgl data_format(const struct mfi *m)
{
	return m->ieee ? MFI_SG_IEEE : MFI_SG64;
}

/* What all data commands of a request have in common. */
static struct mfi_io io_of(struct mfi *m, const struct hba_req *req)
{
	return (struct mfi_io){
		.target = (uint8_t)req->unit->target,
		.context = mfi_slot_use(m, req->tag),
		.sense = (uint32_t)m->sense.iova + req->tag * MFI_SENSE_SLOT,
		.format = data_format(m),
		.dir = req->xfer.dir,
		.seg = req->seg,
		.n_seg = req->sgl.n,
	};
}

static uint8_t access_bits(const struct hba_req *req)
{
	return (uint8_t)((req->dpo ? MFI_ACCESS_DPO : 0) | (req->fua ? MFI_ACCESS_FUA : 0));
}

static void fire_io(struct mfi *m, const struct hba_req *req, const struct mfi_io *io)
{
	uint8_t *sense = m->sense.cpu + (size_t)req->tag * MFI_SENSE_SLOT;

	/* Response code 0 is no sense: an older command's must not be taken for this one's. */
	memset(sense, 0, MFI_SENSE_LEN);
	mfi_fire(m, req->tag, mfi_build_io(mfi_frame(m, req->tag), io));
}

static void submit_ld_rw(struct mfi *m, struct hba_req *req)
{
	struct mfi_io io = io_of(m, req);

	io.cmd = req->xfer.dir == DMA_TO_DEVICE ? MFI_CMD_LD_WRITE : MFI_CMD_LD_READ;
	/* No DPO: it is a hint to a cache that is the controller's own, and QEMU's model takes this byte of
	 * LD I/O frames for a LUN, so that the command fails. */
	io.access = access_bits(req) & (uint8_t)~MFI_ACCESS_DPO;
	io.lba = req->lba;
	io.blocks = req->nblocks;
	fire_io(m, req, &io);
}

void mfi_send_cdb(struct mfi *m, struct hba_req *req, const uint8_t *cdb, uint8_t cdb_len)
{
	/* QEMU fails SCSI frames that have no SGE at all: one that is never used, with a data length of 0. */
	const struct dma_seg dummy = {m->control.iova + MFI_CTL_DUMMY, MFI_CTL_DUMMY_LEN};
	struct mfi_io io = io_of(m, req);

	io.cmd = req->unit->kind == HBA_UNIT_LD ? MFI_CMD_LD_SCSI_IO : MFI_CMD_PD_SCSI_IO;
	io.cdb = cdb;
	io.cdb_len = cdb_len;
	io.bytes = req->xfer.len;
	if (req->xfer.dir == DMA_NONE) {
		io.seg = &dummy;
		io.n_seg = 1;
	}
	fire_io(m, req, &io);
}

static void submit_cdb_rw(struct mfi *m, struct hba_req *req)
{
	bool write = req->xfer.dir == DMA_TO_DEVICE;
	uint8_t cdb[16] = {0};

	cdb[1] = access_bits(req);
	if (req->lba + req->nblocks <= UINT32_MAX && req->nblocks <= UINT16_MAX) {
		cdb[0] = write ? OP_WRITE_10 : OP_READ_10;
		put_be32(cdb + 2, (uint32_t)req->lba);
		put_be16(cdb + 7, (uint16_t)req->nblocks);
		mfi_send_cdb(m, req, cdb, 10);
		return;
	}
	cdb[0] = write ? OP_WRITE_16 : OP_READ_16;
	put_be64(cdb + 2, req->lba);
	put_be32(cdb + 10, req->nblocks);
	mfi_send_cdb(m, req, cdb, 16);
}

void mfi_submit(struct hba *h, struct hba_req *req)
{
	struct mfi *m = mfi_of(h);

	switch (req->kind) {
	case HBA_REQ_RW:
		/* The block of LD_READ is 512 bytes; whether firmware scales it for others is not known. */
		if (req->unit->kind == HBA_UNIT_LD && req->block_size == MFI_LD_BLOCK)
			submit_ld_rw(m, req);
		else
			submit_cdb_rw(m, req);
		return;
	case HBA_REQ_CDB:
		mfi_send_cdb(m, req, req->cdb, req->cdb_len);
		return;
	case HBA_REQ_FLUSH:
		mfi_flush_submit(m, req);
		return;
	}
}

/* Copies sense data; false when there is none that makes sense. */
static bool take_sense(struct hba_req *req, const uint8_t *sense)
{
	uint8_t code;

	memcpy(req->sense, sense, sizeof(req->sense));
	code = req->sense[0] & 0x7f;
	if (code < 0x70 || code > 0x73)
		return false;
	/* Byte 7 counts what follows it, in both formats. */
	req->sense_len = (uint8_t)MIN(req->sense[7] + 8u, sizeof(req->sense));
	return true;
}

static void with_scsi_status(struct hba_req *req, uint8_t scsi_status, const uint8_t *sense)
{
	req->result = HBA_DONE;
	req->scsi_status = scsi_status;
	if (scsi_status == SCSI_CHECK_CONDITION && take_sense(req, sense)) {
		/* A success that tells a story: all data was moved. */
		if (hba_sense_key_is(req, SENSE_KEY_RECOVERED_ERROR))
			req->moved = req->xfer.len;
	} else if (scsi_status == SCSI_CHECK_CONDITION || scsi_status == SCSI_GOOD) {
		/* An error without status or sense: an error all the same. */
		req->result = HBA_IO_ERROR;
	}
}

void mfi_verdict(struct hba_req *req, uint8_t status, uint8_t scsi_status, const uint8_t *sense)
{
	req->fw_status = status;
	req->scsi_status = SCSI_GOOD;
	req->sense_len = 0;
	req->moved = 0;
	switch (status) {
	case MFI_OK:
		req->result = HBA_DONE;
		req->moved = req->xfer.len;
		return;
	case MFI_SCSI_DONE_WITH_ERROR:
		with_scsi_status(req, scsi_status, sense);
		return;
	case MFI_DEVICE_NOT_FOUND:
	case MFI_LD_OFFLINE:
		req->result = HBA_NO_UNIT;
		return;
	default:
		req->result = HBA_IO_ERROR;
	}
}

void mfi_result(struct mfi *m, struct hba_req *req)
{
	const struct mfi_header *f = mfi_frame(m, req->tag);
	uint8_t status = mfi_cmd_status(m, req->tag);

	mfi_verdict(req, status, __atomic_load_n(&f->scsi_status, __ATOMIC_RELAXED),
		m->sense.cpu + (size_t)req->tag * MFI_SENSE_SLOT);
}

void mfi_request_reply(struct mfi *m, struct hba_req *req)
{
	if (req->kind == HBA_REQ_FLUSH) {
		mfi_flush_reply(m, req);
		return;
	}
	mfi_result(m, req);
	hba_complete(req);
}

/* A free slot for an ABORT frame, or -1. */
static int abort_slot(const struct mfi *m)
{
	for (unsigned i = 0; i < MFI_N_ABORTS; i++)
		if (!m->slot[m->depth + MFI_SLOT_ABORT + i].fired)
			return (int)(m->depth + MFI_SLOT_ABORT + i);
	return -1;
}

/* Firmware's answer to the ABORT proves nothing: QEMU says OK to commands that it has never heard of. The victim's
 * own reply does. */
int mfi_abort(struct hba *h, struct hba_req *req)
{
	struct mfi *m = mfi_of(h);
	int slot;

	if (req->kind == HBA_REQ_FLUSH && !mfi_flush_abortable(req))
		return -EOPNOTSUPP;
	slot = abort_slot(m);
	if (slot < 0)
		return -EAGAIN;
	mfi_build_abort(mfi_frame(m, (uint32_t)slot), mfi_slot_use(m, (uint32_t)slot),
		mfi_slot_context(m, req->tag), mfi_frame_addr(m, req->tag));
	mfi_fire(m, (uint32_t)slot, 0);
	return 0;
}
