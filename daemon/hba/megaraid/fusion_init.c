/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What firmware offers [5.2], and IOC INIT [5.4], which gives it our queues. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "fusion.h"

enum {
	WHO_HOST_DRIVER = 4,
	FN_IOC_INIT = 0x02,
	MSG_VERSION = 0x0200,
	HEADER_VERSION = 0x1000,
	PAGE_LOG2 = 12
};

/* --- the offer --- */

static uint32_t offered_commands(const struct fusion *f, bool *ret_ext)
{
	uint32_t plain = MFI_STATE_MAX_CMDS(f->m.boot.word), ext = 0;

	if (f->gen->ext_depth)
		ext = FUSION_PAD2_DEPTH(mfi_read(&f->m, FUSION_REG_PAD2));
	*ret_ext = ext && ext != FUSION_PAD2_DEPTH(MFI_ALL_ONES);
	return *ret_ext ? ext : plain;
}

static uint32_t offered_queues(const struct fusion *f)
{
	if (f->gen->old_queue_count)
		return (f->pad1 & FUSION_PAD1_QUEUES_OLD) + 1;
	return (f->pad1 & FUSION_PAD1_QUEUES) / (FUSION_PAD1_QUEUES & -FUSION_PAD1_QUEUES) + 1;
}

static uint32_t chain_bytes(const struct fusion *f)
{
	uint32_t unit = f->pad1 & FUSION_PAD1_CHAIN_512 ? 512 : 128;

	return MAX(FUSION_PAD1_CHAIN(f->pad1) * unit, FUSION_CHAIN_MIN);
}

/* A power of two of those that fit beside two that are left over, which is Linux's rule. */
static uint32_t sge_limit(uint32_t chain)
{
	uint32_t n = FUSION_SGE_SLOTS + chain / (uint32_t)sizeof(struct fusion_sge) - 2, power = 1;

	while (power * 2 <= n)
		power *= 2;
	return power;
}

static void take_pad1(struct fusion *f)
{
	f->pad1 = mfi_read(&f->m, FUSION_REG_PAD1);
	/* It says so before INIT only. */
	f->m.no_ld_sync = !(f->pad1 & FUSION_PAD1_SYNC_CACHE);
}

int fusion_read_offer(struct fusion *f, struct err *e)
{
	take_pad1(f);
	if (f->pad1 == MFI_ALL_ONES)
		return err_set(e, -ENODEV, "the controller does not answer (all ones); is its slot enabled?");
	f->m.fw_cmds = offered_commands(f, &f->ext_depth_used);
	return fusion_take_offer(f, e);
}

int fusion_take_offer(struct fusion *f, struct err *e)
{
	uint32_t plain = MFI_STATE_MAX_CMDS(f->m.boot.word);

	f->m.no_ld_sync = !(f->pad1 & FUSION_PAD1_SYNC_CACHE);
	f->m.fw_sge = sge_limit(chain_bytes(f));
	f->fw_queues = offered_queues(f);
	/* One less than firmware says; the driver's own, and those that stay free, off that. */
	f->n_smids = MIN(f->m.fw_cmds ? f->m.fw_cmds - 1 : 0, FUSION_SMIDS_MAX);
	if (f->n_smids < MFI_INTERNAL + FUSION_N_TASKS + 2 * FUSION_SPARE)
		return err_set(e, -EIO, "firmware offers %u commands, too few to work with; update it",
			f->m.fw_cmds);
	f->n_io = f->n_smids - MFI_INTERNAL - FUSION_N_TASKS;
	f->slot_smid = f->n_io + 1;
	f->task_smid = f->slot_smid + MFI_INTERNAL;
	f->m.depth = MIN(f->n_io - FUSION_SPARE, FUSION_DEPTH_MAX);
	/* Of reads and writes of logical drives it takes no more than this at once [5.2], and nobody tells how many
	 * of the requests will be those. */
	if (f->ext_depth_used && plain > FUSION_SPARE)
		f->m.depth = MIN(f->m.depth, plain - 3);
	f->m.frame_base = f->m.depth;
	f->queue_depth = 2 * (uint32_t)ALIGN_UP(f->n_smids + 1, (uint32_t)FUSION_REPLY_DEPTH);
	return 0;
}

bool fusion_offer_holds(struct fusion *f)
{
	bool ext;
	uint32_t cmds = offered_commands(f, &ext);

	take_pad1(f);
	return cmds >= f->m.fw_cmds && offered_queues(f) >= f->n_queues &&
	       sge_limit(chain_bytes(f)) >= f->m.fw_sge;
}

/* --- INIT --- */

static uint64_t unix_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void put_ioc_init(struct fusion *f, struct fusion_ioc_init *to)
{
	*to = (struct fusion_ioc_init){
		.who = WHO_HOST_DRIVER,
		.function = FN_IOC_INIT,
		.msg_version = cpu_to_le16(MSG_VERSION),
		.header_version = cpu_to_le16(HEADER_VERSION),
		.page_size = PAGE_LOG2,
		.vectors = (uint8_t)(f->m.irq == PCI_IRQ_MSIX ? f->n_queues : 0),
		.frame_size = cpu_to_le16(FUSION_REQUEST_SIZE / 4),
		.reply_depth = cpu_to_le16((uint16_t)f->queue_depth),
		/* All of it is below 4 GiB. */
		.sense_high = cpu_to_le32((uint32_t)(f->m.sense.iova >> 32)),
		.requests = cpu_to_le64(f->requests.iova),
		.replies = cpu_to_le64(f->replies.iova),
		.time = cpu_to_le64(unix_ms()),
	};
}

static uint32_t capabilities(const struct fusion *f)
{
	return FUSION_CAP_255_LDS | FUSION_CAP_SECURITY_CDBS | FUSION_CAP_PD_TARGET_ID |
	       (f->gen->old_queue_count ? 0 : FUSION_CAP_MORE_VECTORS) |
	       (f->ext_depth_used ? FUSION_CAP_EXT_DEPTH : 0) |
	       (chain_bytes(f) > FUSION_CHAIN_MIN ? FUSION_CAP_EXT_IO_SIZE : 0);
}

void fusion_init_fire(struct fusion *f)
{
	struct mfi *m = &f->m;
	uint32_t slot = m->depth + MFI_SLOT_POLLED;
	uint64_t info = m->control.iova + FUSION_CTL_IOC_INIT;
	struct mfi_init_frame *frame = mfi_frame(m, slot);
	le32_t caps = cpu_to_le32(capabilities(f));
	uint64_t desc = mfi_frame_addr(m, slot) | FUSION_TYPE_MFA;

	fusion_queue_reset(f);
	put_ioc_init(f, (struct fusion_ioc_init *)(m->control.cpu + FUSION_CTL_IOC_INIT));
	mfi_build_init(frame, mfi_slot_use(m, slot), info);
	frame->h.data_len = cpu_to_le32(sizeof(struct fusion_ioc_init));
	/* Where other frames have target, LUN, length of the CDB and number of elements. */
	memcpy(&frame->h.target_id, &caps, sizeof(caps));
	pci_note(m->h->pci, PCI_NOTE_OUT, info, m->control.cpu + FUSION_CTL_IOC_INIT,
		sizeof(struct fusion_ioc_init));
	pci_note(m->h->pci, PCI_NOTE_OUT, mfi_frame_addr(m, slot), frame, sizeof(*frame));
	/* Always the port of 64 bits. No descriptor comes back for it: the frame's status tells. */
	mfi_write64(m, FUSION_REG_QUEUE_LOW, desc);
}

int fusion_init_check(struct fusion *f)
{
	struct mfi *m = &f->m;
	uint32_t word;
	int r = mfi_init_verdict(m, "IOC INIT", &word);

	if (r)
		return r;
	/* The same bit, now with another meaning. */
	f->atomic = f->gen->atomic && mfi_read(m, FUSION_REG_PAD1) & FUSION_PAD1_ATOMIC;
	return 0;
}

int fusion_doorbell_free(const struct fusion *f)
{
	/* 0 is what a free one reads: no reason to doubt it. */
	uint32_t v = pci_read32(f->m.h->pci, f->m.bar, FUSION_REG_DOORBELL);

	if (v == MFI_ALL_ONES)
		return -ENODEV;
	return v & FUSION_DOORBELL_BUSY ? 1 : 0;
}

static int wait_for(struct fusion *f, int (*look)(struct fusion *f), uint32_t ms)
{
	uint64_t until = clock_ns() + ms * NS_PER_MS;
	unsigned looks = 0;
	int r;

	while ((r = look(f)) > 0) {
		if (clock_ns() > until)
			return -ETIMEDOUT;
		clock_sleep_ms(looks++ < 20 ? 1 : 20);
	}
	return r;
}

static int look_at_doorbell(struct fusion *f)
{
	return fusion_doorbell_free(f);
}

int fusion_init(struct fusion *f, struct err *e)
{
	int r;

	mfi_intr_mask(&f->m);
	r = wait_for(f, look_at_doorbell, f->m.iop->times->diag);
	if (r == 0) {
		fusion_init_fire(f);
		r = wait_for(f, fusion_init_check, f->m.iop->times->dcmd);
	}
	if (r == -ENODEV)
		return err_set(e, r, "the controller went away during IOC INIT");
	if (r < 0)
		return err_set(e, r,
			"firmware does not accept IOC INIT (error %d); power-cycle the machine, then update "
			"the "
			"controller's firmware",
			-r);
	return 0;
}
