/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What differs between the generations of MFI controllers. */
#include "mfi.h"

#include <errno.h>

/* [2.3, 2.5] */
static const struct mfi_times production = {
	.poll = 100,
	.state = 180 * 1000,
	.bring_up = 900 * 1000,
	.soft = 60 * 1000,
	.key = 1000,
	.diag = 10 * 1000,
	.diag_reset = 10 * 1000,
	.diag_end = 100 * 1000,
	.settle = 30 * 1000,
	.dcmd = 180 * 1000,
	.health = 1000,
};

/* --- telling firmware of a frame --- */

static void fire_one(struct mfi *m, uint32_t frame, unsigned extra)
{
	mfi_write(m, MFI_REG_QUEUE, frame | extra << 1 | 1);
}

static void fire_pair(struct mfi *m, uint32_t frame, unsigned extra)
{
	/* The write of the low half submits. */
	mfi_write(m, MFI_REG_QUEUE_HIGH, 0);
	mfi_write(m, MFI_REG_QUEUE_LOW, frame | extra << 1 | 1);
}

/* --- interrupts --- */

/* Only before INIT and in a reset: QEMU takes all ones for a soft reset that forgets the reply queue. While the
 * controller runs, its interrupt is switched off at the vector and by bus mastering instead. */
void mfi_intr_mask(struct mfi *m)
{
	mfi_write(m, MFI_REG_INTR_MASK, MFI_ALL_ONES);
	mfi_read(m, MFI_REG_INTR_MASK);
}

void mfi_intr_unmask(struct mfi *m)
{
	if (m->iop->enable_ack)
		mfi_write(m, m->iop->ack, m->iop->enable_ack);
	mfi_write(m, MFI_REG_INTR_MASK, m->iop->enable_mask);
	mfi_read(m, MFI_REG_INTR_MASK);
}

uint32_t mfi_intr_ack(struct mfi *m)
{
	uint32_t status = mfi_read(m, MFI_REG_INTR_STATUS);

	if (status == MFI_ALL_ONES)
		return status;
	if (status || m->iop->ack_always) {
		mfi_write(m, m->iop->ack, status);
		/* The acknowledge must have arrived before the ring is read: a reply after it interrupts again. */
		mfi_read(m, m->iop->ack_flush);
	}
	return status;
}

/* --- adapter reset [2.5] --- */

static int after(uint64_t now, uint32_t ms, uint64_t *next)
{
	*next = now + ms * NS_PER_MS;
	return 1;
}

static int send_diag_key(struct mfi *m, uint64_t now, uint64_t *next)
{
	static const uint8_t key[] = {0x0, 0x4, 0xb, 0x2, 0x7, 0xd};

	for (unsigned i = 0; i < ARRAY_SIZE(key); i++)
		mfi_write(m, m->iop->diag_key, key[i]);
	m->reset.until_ns = now + (m->iop->times->key + m->iop->times->diag) * NS_PER_MS;
	return after(now, m->iop->times->key, next);
}

enum { DIAG_KEY, DIAG_UNLOCKED, DIAG_BUSY, DIAG_SETTLED };

static int reset_by_diag(struct mfi *m, unsigned *phase, uint64_t now, uint64_t *next)
{
	const struct mfi_times *t = m->iop->times;
	uint32_t v;

	switch (*phase) {
	case DIAG_KEY:
		*phase = DIAG_UNLOCKED;
		return send_diag_key(m, now, next);
	case DIAG_UNLOCKED:
		v = mfi_read(m, m->iop->diag);
		if (v == MFI_ALL_ONES)
			return -ENODEV;
		if (!(v & MFI_DIAG_WRITE_ENABLED))
			return now > m->reset.until_ns ? -EIO : after(now, t->poll, next);
		mfi_write(m, m->iop->diag, v | MFI_DIAG_RESET);
		m->reset.until_ns = now + (t->diag_reset + t->diag_end) * NS_PER_MS;
		*phase = DIAG_BUSY;
		return after(now, t->diag_reset, next);
	case DIAG_BUSY:
		/* All ones are no verdict yet: the chip is in the middle of its reset. */
		v = mfi_read(m, m->iop->diag);
		if (v & MFI_DIAG_RESET) {
			if (now <= m->reset.until_ns)
				return after(now, t->poll, next);
			return v == MFI_ALL_ONES ? -ENODEV : -EIO;
		}
		*phase = DIAG_SETTLED;
		return after(now, t->settle, next);
	default:
		return 0;
	}
}

enum { PPC_DOORBELL, PPC_CONFIG, PPC_MARKER, PPC_SETTLED };

static int reset_1078(struct mfi *m, unsigned *phase, uint64_t now, uint64_t *next)
{
	struct pci_dev *pci = m->h->pci;
	le32_t wire = cpu_to_le32(0);
	uint32_t v;

	switch (*phase) {
	case PPC_DOORBELL:
		mfi_write(m, m->iop->doorbell, MFI_DB_ADP_RESET);
		*phase = PPC_CONFIG;
		return after(now, 3 * m->iop->times->key, next);
	case PPC_CONFIG:
		if (pci->ops->cfg_read(pci, MFI_CFG_1078_RESET, &wire, 4) < 0)
			return -ENODEV;
		v = le32_to_cpu(wire);
		if (v == MFI_ALL_ONES)
			return -ENODEV;
		*phase = PPC_SETTLED;
		if (!(v & 2))
			return after(now, m->iop->times->settle, next);
		wire = cpu_to_le32(v & ~2u);
		pci->ops->cfg_write(pci, MFI_CFG_1078_RESET, &wire, 4);
		*phase = PPC_MARKER;
		return after(now, 2 * m->iop->times->key, next);
	case PPC_MARKER:
		if (pci->ops->cfg_read(pci, MFI_CFG_1078_MARKER, &wire, 4) < 0)
			return -ENODEV;
		if (le32_to_cpu(wire) >> 16 == 0xdddd) {
			wire = cpu_to_le32(0);
			pci->ops->cfg_write(pci, MFI_CFG_1078_MARKER, &wire, 4);
		}
		*phase = PPC_SETTLED;
		return after(now, m->iop->times->settle, next);
	default:
		return 0;
	}
}

/* --- the table --- */

/* The same for all of them: frames, and one ring of contexts. */
#define MFI_OPS                                                                                              \
	.driver = "megaraid-mfi", .drain = mfi_ring_drain, .send_cdb = mfi_send_cdb, .result = mfi_result,   \
	.keeps_wait = true

const struct mfi_iop mfi_iop_gen1 = {
	.name = "gen1",
	MFI_OPS,
	.doorbell = MFI_REG_DOORBELL,
	.ack = MFI_REG_ODCR0,
	.ack_flush = MFI_REG_ODCR0,
	.ack_always = true,
	.enable_ack = MFI_ALL_ONES,
	.enable_mask = ~0x80000000u,
	.intr_state = 0x00000004u,
	.fire = fire_one,
	.reset_step = reset_1078,
	.times = &production,
};

const struct mfi_iop mfi_iop_gen2 = {
	.name = "gen2",
	MFI_OPS,
	.doorbell = MFI_REG_DOORBELL,
	.ack = MFI_REG_ODCR0,
	.ack_flush = MFI_REG_INTR_STATUS,
	.enable_ack = MFI_ALL_ONES,
	.enable_mask = ~0x00000005u,
	.intr_state = 0x00000004u,
	.fire = fire_one,
	.reset_step = reset_by_diag,
	.diag_key = MFI_REG_GEN2_KEY,
	.diag = MFI_REG_GEN2_DIAG,
	.times = &production,
};

const struct mfi_iop mfi_iop_skinny = {
	.name = "skinny",
	MFI_OPS,
	.doorbell = MFI_REG_SKINNY_DOORBELL,
	.ack = MFI_REG_INTR_STATUS,
	.ack_flush = MFI_REG_INTR_STATUS,
	.enable_mask = ~0x00000001u,
	.intr_state = 0x00000001u, /* one bit for both: the state word tells */
	.fire = fire_pair,
	.reset_step = reset_by_diag,
	.diag_key = MFI_REG_SKINNY_KEY,
	.diag = MFI_REG_SKINNY_DIAG,
	.times = &production,
};
