/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Online controller reset [2.5, 5.15]: a step machine that never blocks. The chip is reset through its diagnostic
 * register, firmware starts anew, IOC INIT with empty queues, and the core re-issues. Several tries, with pauses that
 * double in between.
 */
#include <errno.h>

#include "fusion.h"

#define TRIES 3

enum reset_phase { RESET_BEGIN, RESET_FLUSH, RESET_CHIP, RESET_BOOT, RESET_DOORBELL, RESET_INIT };

static int after(uint64_t now, uint32_t ms, uint64_t *next)
{
	*next = now + ms * NS_PER_MS;
	return 1;
}

static int soon(const struct fusion *f, uint64_t now, uint64_t *next)
{
	return after(now, MIN(f->m.iop->times->poll, 20u), next);
}

/* --- the chip --- */

enum chip_phase { CHIP_KEY, CHIP_UNLOCKED, CHIP_BUSY, CHIP_STARTS, CHIP_DONE };

/* "Reset permitted" is only said in FAULT. */
static int send_key(struct fusion *f, uint64_t now, uint64_t *next)
{
	static const uint8_t key[] = {0x0, 0xf, 0x4, 0xb, 0x2, 0x7, 0xd};
	const struct mfi_times *t = f->m.iop->times;
	uint32_t word = mfi_read(&f->m, MFI_REG_STATE);

	if (word == MFI_ALL_ONES)
		return -ENODEV;
	if (word >> MFI_STATE_SHIFT == MFI_ST_FAULT && !(word & FUSION_FAULT_RESET_OK)) {
		log_err("%s: firmware has faulted and does not permit a reset", f->m.h->pci->uri);
		return -EPERM;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(key); i++)
		mfi_write(&f->m, FUSION_REG_KEY, key[i]);
	f->reset.until_ns = now + (t->key + t->diag) * NS_PER_MS;
	return after(now, t->key, next);
}

static int pull(struct fusion *f, unsigned *phase, uint64_t now, uint64_t *next)
{
	const struct mfi_times *t = f->m.iop->times;
	uint32_t v = mfi_read(&f->m, FUSION_REG_DIAG);

	if (v == MFI_ALL_ONES)
		return -ENODEV;
	if (!(v & MFI_DIAG_WRITE_ENABLED))
		return now > f->reset.until_ns ? -EIO : after(now, t->poll, next);
	mfi_write(&f->m, FUSION_REG_DIAG, v | MFI_DIAG_RESET);
	f->reset.until_ns = now + (t->diag_reset + t->diag_end) * NS_PER_MS;
	*phase = CHIP_BUSY;
	return after(now, t->diag_reset, next);
}

static int wait_end(struct fusion *f, unsigned *phase, uint64_t now, uint64_t *next)
{
	const struct mfi_times *t = f->m.iop->times;
	/* All ones are no verdict yet: the chip is in the middle of its reset. */
	uint32_t v = mfi_read(&f->m, FUSION_REG_DIAG);

	if (v & MFI_DIAG_RESET) {
		if (now <= f->reset.until_ns)
			return after(now, t->poll, next);
		return v == MFI_ALL_ONES ? -ENODEV : -EIO;
	}
	f->reset.until_ns = now + t->diag_end * NS_PER_MS;
	*phase = CHIP_STARTS;
	return after(now, 0, next);
}

/* Firmware that shows FAULT here shows the old one. */
static int wait_start(struct fusion *f, unsigned *phase, uint64_t now, uint64_t *next)
{
	uint32_t word = mfi_read(&f->m, MFI_REG_STATE), st = word >> MFI_STATE_SHIFT;

	if (st > MFI_ST_FW_INIT && st != MFI_ST_FAULT) {
		*phase = CHIP_DONE;
		return 0;
	}
	if (now <= f->reset.until_ns)
		return after(now, f->m.iop->times->poll, next);
	return word == MFI_ALL_ONES ? -ENODEV : -EIO;
}

int fusion_chip_reset(struct mfi *m, unsigned *phase, uint64_t now, uint64_t *next)
{
	struct fusion *f = fusion_of(m);

	switch ((enum chip_phase) * phase) {
	case CHIP_KEY:
		*phase = CHIP_UNLOCKED;
		return send_key(f, now, next);
	case CHIP_UNLOCKED:
		return pull(f, phase, now, next);
	case CHIP_BUSY:
		return wait_end(f, phase, now, next);
	case CHIP_STARTS:
		return wait_start(f, phase, now, next);
	case CHIP_DONE:
		return 0;
	}
	return -EINVAL;
}

/* --- all of it --- */

static int reset_chip(struct fusion *f, unsigned *phase, uint64_t at, uint64_t *next)
{
	f->reset.sub = CHIP_KEY;
	*phase = RESET_CHIP;
	*next = at;
	return 1;
}

/* Another try, later; or the verdict. */
static int failed(struct fusion *f, int r, unsigned *phase, uint64_t now, uint64_t *next)
{
	uint32_t pause = f->m.iop->times->settle << f->reset.tries;

	if (r == -ENODEV || r == -EPERM || ++f->reset.tries >= TRIES)
		return r;
	log_warn("%s: the reset did not work (error %d), again in %u ms", f->m.h->pci->uri, -r, pause);
	return reset_chip(f, phase, now + pause * NS_PER_MS, next);
}

static int begin(struct fusion *f, unsigned *phase, uint64_t now, uint64_t *next)
{
	uint32_t word = mfi_read(&f->m, MFI_REG_STATE);

	if (word == MFI_ALL_ONES)
		return -ENODEV;
	/* What firmware has answered need not run again. */
	f->m.live = false;
	fusion_drain(&f->m);
	mfi_flush_forget(&f->m);
	fusion_forget_swept(f);
	fusion_tasks_forget(f);
	/* Firmware that starts anew may give a drive's handle and sequence number to another. */
	fusion_forget_pd_map(f);
	if (f->m.no_adapter_reset) {
		log_err("%s: the controller's properties forbid a reset (disable online controller reset)",
			f->m.h->pci->uri);
		return -EPERM;
	}
	mfi_intr_mask(&f->m);
	f->reset.tries = 0;
	f->reset.until_ns = now + f->m.iop->times->state * NS_PER_MS;
	*phase = RESET_FLUSH;
	*next = now;
	return 1;
}

/* Firmware that is writing out its cache must not be interrupted. */
static int step_flush(struct fusion *f, unsigned *phase, uint64_t now, uint64_t *next)
{
	uint32_t word = mfi_read(&f->m, MFI_REG_STATE);

	if (word == MFI_ALL_ONES)
		return -ENODEV;
	if (word >> MFI_STATE_SHIFT == MFI_ST_FLUSH_CACHE && now <= f->reset.until_ns)
		return after(now, f->m.iop->times->poll, next);
	return reset_chip(f, phase, now, next);
}

static int step_chip(struct fusion *f, unsigned *phase, uint64_t now, uint64_t *next)
{
	int r = fusion_chip_reset(&f->m, &f->reset.sub, now, next);

	if (r != 0)
		return r > 0 ? r : failed(f, r, phase, now, next);
	mfi_boot_start(&f->m, now, true);
	*phase = RESET_BOOT;
	*next = now;
	return 1;
}

static int step_boot(struct fusion *f, unsigned *phase, uint64_t now, uint64_t *next)
{
	int r = mfi_boot_step(&f->m, now, next);

	if (r != 0)
		return r > 0 ? r : failed(f, r, phase, now, next);
	if (!fusion_offer_holds(f)) {
		log_err("%s: firmware offers less after the reset than before it", f->m.h->pci->uri);
		return -EIO;
	}
	mfi_intr_mask(&f->m);
	f->reset.until_ns = now + f->m.iop->times->diag * NS_PER_MS;
	*phase = RESET_DOORBELL;
	*next = now;
	return 1;
}

static int step_doorbell(struct fusion *f, unsigned *phase, uint64_t now, uint64_t *next)
{
	int r = fusion_doorbell_free(f);

	if (r > 0 && now <= f->reset.until_ns)
		return soon(f, now, next);
	if (r != 0)
		return failed(f, r > 0 ? -ETIMEDOUT : r, phase, now, next);
	fusion_init_fire(f);
	f->reset.until_ns = now + f->m.iop->times->dcmd * NS_PER_MS;
	*phase = RESET_INIT;
	return soon(f, now, next);
}

static int step_init(struct fusion *f, unsigned *phase, uint64_t now, uint64_t *next)
{
	int r = fusion_init_check(f);

	if (r > 0 && now <= f->reset.until_ns)
		return soon(f, now, next);
	if (r != 0)
		return failed(f, r > 0 ? -ETIMEDOUT : r, phase, now, next);
	mfi_intr_unmask(&f->m);
	/* Its interrupt may have come, and been left alone, while the controller was frozen. */
	if (f->m.irq == PCI_IRQ_INTX)
		f->m.h->pci->ops->intx_unmask(f->m.h->pci);
	f->m.live = true;
	mfi_events_doubt(&f->m);
	mfi_events_resume(&f->m);
	return 0;
}

int fusion_reset_step(struct hba *h, unsigned *phase, uint64_t now, uint64_t *next)
{
	struct fusion *f = fusion_of(mfi_of(h));

	switch ((enum reset_phase) * phase) {
	case RESET_BEGIN:
		return begin(f, phase, now, next);
	case RESET_FLUSH:
		return step_flush(f, phase, now, next);
	case RESET_CHIP:
		return step_chip(f, phase, now, next);
	case RESET_BOOT:
		return step_boot(f, phase, now, next);
	case RESET_DOORBELL:
		return step_doorbell(f, phase, now, next);
	case RESET_INIT:
		return step_init(f, phase, now, next);
	}
	return -EINVAL;
}
