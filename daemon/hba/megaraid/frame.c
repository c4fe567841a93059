/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Builds MFI frames. Pure: addresses in, bytes out. */
#include "mfi.h"

#include <string.h>

static const uint8_t element_size[] = {
	[MFI_SG32] = sizeof(struct mfi_sge32),
	[MFI_SG64] = sizeof(struct mfi_sge64),
	[MFI_SG_IEEE] = sizeof(struct mfi_sge_ieee),
};

static const uint16_t format_flags[] = {
	[MFI_SG32] = 0,
	[MFI_SG64] = MFI_FRAME_SGL64,
	[MFI_SG_IEEE] = MFI_FRAME_SGL64 | MFI_FRAME_IEEE,
};

static uint16_t dir_flags(enum dma_dir dir)
{
	switch (dir) {
	case DMA_TO_DEVICE:
		return MFI_FRAME_DIR_WRITE;
	case DMA_FROM_DEVICE:
		return MFI_FRAME_DIR_READ;
	default:
		return 0;
	}
}

uint32_t mfi_sgl_room(enum mfi_sgl format)
{
	return (MFI_FRAME_SLOT - offsetof(struct mfi_scsi_frame, sgl)) / element_size[format];
}

static le32_t lo(uint64_t addr)
{
	return cpu_to_le32((uint32_t)addr);
}

static le32_t hi(uint64_t addr)
{
	return cpu_to_le32((uint32_t)(addr >> 32));
}

static void put_sgl(void *to, enum mfi_sgl format, const struct dma_seg *seg, uint32_t n)
{
	struct mfi_sge32 *sg32 = to;
	struct mfi_sge64 *sg64 = to;
	struct mfi_sge_ieee *ieee = to;

	for (uint32_t i = 0; i < n; i++) {
		le32_t len = cpu_to_le32(seg[i].len);

		if (format == MFI_SG32)
			sg32[i] = (struct mfi_sge32){lo(seg[i].addr), len};
		else if (format == MFI_SG64)
			sg64[i] = (struct mfi_sge64){lo(seg[i].addr), hi(seg[i].addr), len};
		else
			ieee[i] = (struct mfi_sge_ieee){lo(seg[i].addr), hi(seg[i].addr), len};
	}
}

/* Frames beyond the first that n elements reach into, by Linux's rule [3.8]: counted from the elements that fit
 * wholly into the first frame, and clamped, since firmware takes it as a hint of how much to prefetch. */
static unsigned extra_frames(size_t sgl_offset, enum mfi_sgl format, uint32_t n)
{
	size_t size = element_size[format];
	size_t first = (MFI_FRAME_UNIT - sgl_offset) / size;

	if (n <= first)
		return 0;
	return (unsigned)MIN(DIV_ROUND_UP((n - first) * size, MFI_FRAME_UNIT), (size_t)MFI_MAX_EXTRA);
}

static void put_header(struct mfi_header *h, enum mfi_cmd cmd, uint32_t context, uint16_t flags)
{
	*h = (struct mfi_header){
		.cmd = (uint8_t)cmd,
		.context = cpu_to_le32(context),
		.flags = cpu_to_le16(flags),
	};
}

/* cmd_status stays 0 in data commands, as in Linux: it is not known that all firmware stores it on success. */
static void put_io_header(struct mfi_header *h, const struct mfi_io *io, uint32_t data_len)
{
	put_header(h, io->cmd, io->context, (uint16_t)(format_flags[io->format] | dir_flags(io->dir)));
	h->sense_len = MFI_SENSE_LEN;
	h->target_id = io->target;
	h->sge_count = (uint8_t)io->n_seg;
	h->data_len = cpu_to_le32(data_len);
}

static unsigned build_ld(struct mfi_ld_frame *f, const struct mfi_io *io)
{
	put_io_header(&f->h, io, io->blocks);
	f->h.lun = io->access;
	f->sense_lo = cpu_to_le32(io->sense);
	f->sense_hi = cpu_to_le32(0);
	f->lba_lo = lo(io->lba);
	f->lba_hi = hi(io->lba);
	put_sgl(f->sgl, io->format, io->seg, io->n_seg);
	return extra_frames(offsetof(struct mfi_ld_frame, sgl), io->format, io->n_seg);
}

static unsigned build_scsi(struct mfi_scsi_frame *f, const struct mfi_io *io)
{
	assert(io->cdb_len <= sizeof(f->cdb));
	put_io_header(&f->h, io, io->bytes);
	f->h.cdb_len = io->cdb_len;
	f->sense_lo = cpu_to_le32(io->sense);
	f->sense_hi = cpu_to_le32(0);
	memset(f->cdb, 0, sizeof(f->cdb));
	memcpy(f->cdb, io->cdb, io->cdb_len);
	put_sgl(f->sgl, io->format, io->seg, io->n_seg);
	return extra_frames(offsetof(struct mfi_scsi_frame, sgl), io->format, io->n_seg);
}

unsigned mfi_build_io(void *frame, const struct mfi_io *io)
{
	assert(io->n_seg <= mfi_sgl_room(io->format) && io->n_seg <= UINT8_MAX);
	if (io->cmd == MFI_CMD_LD_READ || io->cmd == MFI_CMD_LD_WRITE)
		return build_ld(frame, io);
	return build_scsi(frame, io);
}

/* DCMDs have one element at most, of the 32-bit kind, as Linux sends them to MFI parts. */
void mfi_build_dcmd(void *frame, uint32_t context, bool post, const struct mfi_dcmd *d, uint32_t data)
{
	struct mfi_dcmd_frame *f = frame;
	struct dma_seg seg = {data, d->len};

	memset(frame, 0, MFI_FRAME_UNIT);
	put_header(&f->h, MFI_CMD_DCMD, context,
		(uint16_t)(dir_flags(d->dir) | (post ? 0 : MFI_FRAME_DONT_POST)));
	f->h.cmd_status = MFI_PENDING;
	f->h.sge_count = d->len ? 1 : 0;
	f->h.data_len = cpu_to_le32(d->len);
	f->opcode = cpu_to_le32(d->opcode);
	memcpy(f->mbox, d->mbox, sizeof(f->mbox));
	put_sgl(f->sgl, MFI_SG32, &seg, f->h.sge_count);
}

void mfi_build_abort(void *frame, uint32_t context, uint32_t victim_context, uint64_t victim_frame)
{
	struct mfi_abort_frame *f = frame;

	memset(frame, 0, sizeof(*f));
	put_header(&f->h, MFI_CMD_ABORT, context, 0);
	f->h.cmd_status = MFI_PENDING;
	f->abort_context = cpu_to_le32(victim_context);
	f->abort_lo = lo(victim_frame);
	f->abort_hi = hi(victim_frame);
}

void mfi_build_init(void *frame, uint32_t context, uint64_t queue_info)
{
	struct mfi_init_frame *f = frame;

	memset(frame, 0, sizeof(*f));
	put_header(&f->h, MFI_CMD_INIT, context, MFI_FRAME_DONT_POST);
	f->h.cmd_status = MFI_PENDING;
	f->h.data_len = cpu_to_le32(sizeof(struct mfi_queue_info));
	f->queue_info_lo = lo(queue_info);
	f->queue_info_hi = hi(queue_info);
}

void mfi_build_queue_info(void *info, uint32_t entries, uint64_t ring, uint64_t producer, uint64_t consumer)
{
	*(struct mfi_queue_info *)info = (struct mfi_queue_info){
		.entries = cpu_to_le32(entries),
		.ring_lo = lo(ring),
		.ring_hi = hi(ring),
		.producer_lo = lo(producer),
		.producer_hi = hi(producer),
		.consumer_lo = lo(consumer),
		.consumer_hi = hi(consumer),
	};
}
