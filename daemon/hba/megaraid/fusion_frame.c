/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Builds Fusion request frames and descriptors. Pure: addresses in, bytes out. */
#include <string.h>

#include "fusion.h"

enum {
	OP_READ_10 = 0x28,
	OP_WRITE_10 = 0x2a,
	OP_READ_16 = 0x88,
	OP_WRITE_16 = 0x8a,
};
#define CDB_FUA		 0x08
#define CDB_DPO		 0x10
#define TIMEOUT_DISK_MAX 255 /* of a fast path command [5.8] */

/* --- elements [5.9] --- */

static void put_sge(struct fusion_sge *to, uint64_t addr, uint32_t len, uint8_t flags)
{
	*to = (struct fusion_sge){.addr = cpu_to_le64(addr), .len = cpu_to_le32(len), .flags = flags};
}

static void put_sgl(const struct fusion_gen *g, struct fusion_request *f, const struct fusion_io *io)
{
	bool chained = io->n_seg > FUSION_SGE_SLOTS;
	uint32_t here = chained ? FUSION_SGE_SLOTS - 1 : io->n_seg;
	struct fusion_sge *chain = io->chain_cpu;
	uint8_t end = g->marks_end ? FUSION_SGE_END : 0;

	for (uint32_t i = 0; i < io->n_seg; i++)
		put_sge(i < here ? &f->sge[i] : &chain[i - here], io->seg[i].addr, io->seg[i].len,
			i == io->n_seg - 1 ? end : 0);
	if (!chained)
		return;
	put_sge(&f->sge[here], io->chain, (io->n_seg - here) * (uint32_t)sizeof(*chain),
		FUSION_SGE_CHAIN | (g->marks_end ? 0 : FUSION_SGE_PLB_NTA));
	/* The newer chips find the chain of a fast path command by themselves. */
	f->chain_offset = io->fast_path && g->marks_end ? 0 : FUSION_CHAIN_AT_SLOT_7;
}

/* --- RAID context [5.7, 5.8] --- */

static uint16_t context_timeout(const struct fusion_io *io)
{
	/* Reads and writes of logical drives have the map's, which is not used: none. */
	if (io->rw && io->ld)
		return 0;
	if (io->function == FUSION_FN_SCSI_IO)
		return (uint16_t)MIN(io->timeout_s + 1u, (unsigned)TIMEOUT_DISK_MAX);
	return io->timeout_s;
}

/* What passes the chip's own queues names the configuration that it was made for. */
static bool is_checked(const struct fusion_io *io)
{
	return io->ld ? io->rw : io->handle != FUSION_NO_HANDLE;
}

static void put_context(const struct fusion_gen *g, struct fusion_request *f, const struct fusion_io *io)
{
	struct fusion_context *c = &f->ctx;

	c->timeout = cpu_to_le16(context_timeout(io));
	c->target = cpu_to_le16(io->target);
	c->raid_flags = io->ld ? 0 : FUSION_CTX_RAID_SYSPD;
	c->num_sge = (uint8_t)io->n_seg;
	/* The oldest chip checks those of drives alone. */
	if (!is_checked(io) || (io->ld && !g->marks_end))
		return;
	c->type_nseg = FUSION_CTX_TYPE_NSEG;
	if (io->plain)
		return;
	c->lock_flags = FUSION_CTX_SEQ_VALID | (io->ld ? 0 : FUSION_CTX_DEST_CUDA);
	c->config_seq = cpu_to_le16(io->seq);
}

static void put_context_g35(struct fusion_request *f, const struct fusion_io *io)
{
	struct fusion_context_g35 *c = &f->ctx35;

	c->timeout = cpu_to_le16(context_timeout(io));
	c->target = cpu_to_le16(io->target);
	c->raid_flags = io->ld ? 0 : FUSION_CTX_RAID_SYSPD;
	c->num_sge = cpu_to_le16((uint16_t)io->n_seg);
	if (!is_checked(io))
		return;
	c->type_nseg = cpu_to_le16(FUSION_CTX_TYPE_NSEG);
	if (io->plain)
		return;
	c->routing = cpu_to_le16(FUSION_CTX_ROUTING_SQN);
	c->config_seq = cpu_to_le16(io->seq);
}

/* --- frames [5.6] --- */

static uint32_t control_of(enum dma_dir dir)
{
	switch (dir) {
	case DMA_TO_DEVICE:
		return FUSION_CONTROL_WRITE;
	case DMA_FROM_DEVICE:
		return FUSION_CONTROL_READ;
	default:
		return 0;
	}
}

/* The whole frame is written anew: firmware reads slot 7 of the elements whether it is used or not, and status and
 * exStatus must be 0, because it is not known that all firmware stores them on success. */
void fusion_build_io(const struct fusion_gen *g, struct fusion_request *f, const struct fusion_io *io)
{
	assert(io->cdb_len <= MFI_CDB_MAX && io->n_seg <= HBA_MAX_SEGMENTS);
	memset(f, 0, sizeof(*f));
	f->handle = cpu_to_le16(io->handle);
	f->function = (uint8_t)io->function;
	f->sense = cpu_to_le32(io->sense);
	f->sgl_flags = cpu_to_le16(FUSION_SGL_64);
	f->sense_len = MFI_SENSE_LEN;
	f->sgl_offset = FUSION_SGL_OFFSET;
	f->data_len = cpu_to_le32(io->bytes);
	f->io_flags = cpu_to_le16(
		(uint16_t)(io->cdb_len | (io->fast_path && g->marks_end ? FUSION_IO_FAST_PATH : 0)));
	f->control = cpu_to_le32(control_of(io->dir));
	memcpy(f->cdb, io->cdb, io->cdb_len);
	put_sgl(g, f, io);
	if (g->g35)
		put_context_g35(f, io);
	else
		put_context(g, f, io);
}

/* [5.10] */
void fusion_build_pass(struct fusion_request *f, uint64_t frame)
{
	memset(f, 0, sizeof(*f));
	f->chain_offset = FUSION_CHAIN_PASS;
	f->function = FUSION_FN_PASS_THROUGH;
	f->sgl_offset = FUSION_SGL_OFFSET;
	put_sge(&f->sge[0], frame, FUSION_PASS_LEN, FUSION_SGE_CHAIN | FUSION_SGE_PLB_NTA);
}

/* [5.14] */
void fusion_build_task(
	struct fusion_task *f, enum fusion_task_type type, bool ld, uint16_t handle, uint16_t smid)
{
	memset(f, 0, sizeof(*f));
	f->handle = cpu_to_le16(handle);
	f->function = FUSION_FN_TASK;
	f->type = (uint8_t)type;
	f->smid = cpu_to_le16(smid);
	f->flags = cpu_to_le32(ld ? FUSION_TASK_FOR_LD : FUSION_TASK_FOR_PD);
}

uint8_t fusion_rw_cdb(const struct hba_req *req, uint8_t cdb[16])
{
	bool write = req->xfer.dir == DMA_TO_DEVICE;

	memset(cdb, 0, 16);
	cdb[1] = (uint8_t)((req->dpo ? CDB_DPO : 0) | (req->fua ? CDB_FUA : 0));
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

/* [5.5] */
uint64_t fusion_descriptor(enum fusion_type type, unsigned queue, uint32_t smid, uint16_t handle)
{
	return (uint64_t)type | (uint64_t)queue << 8 | (uint64_t)smid << 16 | (uint64_t)handle << 48;
}
