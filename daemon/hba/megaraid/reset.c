/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Controller reset while running: a step machine that never blocks. Firmware that still runs is sent back to READY
 * through its doorbell, which aborts all commands; if that does not work, or firmware has faulted, the adapter is
 * reset, and again if firmware faults while it starts, with pauses that double in between. Then INIT with empty
 * queues, and the core re-issues.
 */
#include "mfi.h"

#include <errno.h>

#define TRIES 3

enum reset_phase { RESET_BEGIN, RESET_SOFT, RESET_HARD, RESET_BOOT, RESET_INIT };

static int soon(struct mfi *m, uint64_t now, uint64_t *next)
{
	*next = now + MIN(m->iop->times->poll, 20u) * NS_PER_MS;
	return 1;
}

static int go_hard(struct mfi *m, unsigned *phase, uint64_t now, uint64_t *next)
{
	/* Nothing before the first try. */
	uint32_t pause = m->reset.tries ? m->iop->times->settle << (m->reset.tries - 1) : 0;

	if (m->reset.tries >= TRIES)
		return -EIO;
	if (m->no_adapter_reset) {
		log_err("%s: the controller's properties forbid an adapter reset (disable online controller "
			"reset)",
			m->h->pci->uri);
		return -EIO;
	}
	if (m->reset.tries)
		log_warn("%s: the adapter reset did not work, again in %u ms", m->h->pci->uri, pause);
	else
		log_warn("%s: resetting the adapter", m->h->pci->uri);
	m->reset.tries++;
	m->reset.sub = 0;
	*phase = RESET_HARD;
	*next = now + pause * NS_PER_MS;
	return 1;
}

static int begin(struct mfi *m, unsigned *phase, uint64_t now, uint64_t *next)
{
	uint32_t word = mfi_read(m, MFI_REG_STATE), state = word >> MFI_STATE_SHIFT;

	if (word == MFI_ALL_ONES)
		return -ENODEV;
	/* What firmware has answered need not run again. */
	m->live = false;
	mfi_ring_drain(m);
	mfi_flush_forget(m);
	m->reset.tries = 0;
	/* Firmware that is writing out its cache must not be interrupted by an adapter reset. */
	if (state != MFI_ST_OPERATIONAL && state != MFI_ST_FLUSH_CACHE)
		return go_hard(m, phase, now, next);
	mfi_boot_start(m, now, false);
	m->reset.until_ns =
		now + (state == MFI_ST_FLUSH_CACHE ? m->iop->times->state : m->iop->times->soft) * NS_PER_MS;
	*phase = RESET_SOFT;
	*next = now;
	return 1;
}

static int send_init(struct mfi *m, unsigned *phase, uint64_t now, uint64_t *next)
{
	uint32_t cmds = MFI_STATE_MAX_CMDS(m->boot.word);

	if (cmds != m->fw_cmds) {
		log_err("%s: firmware takes %u commands after the reset, %u before it", m->h->pci->uri, cmds,
			m->fw_cmds);
		return -EIO;
	}
	/* All ones here also makes QEMU drop the queues of before, which INIT alone does not. */
	mfi_intr_mask(m);
	mfi_init_fire(m);
	m->reset.until_ns = now + m->iop->times->dcmd * NS_PER_MS;
	*phase = RESET_INIT;
	return soon(m, now, next);
}

static int step_soft(struct mfi *m, unsigned *phase, uint64_t now, uint64_t *next)
{
	int r = mfi_boot_step(m, now, next);

	if (r == 0)
		return send_init(m, phase, now, next);
	if (r == -ENODEV || (r > 0 && now <= m->reset.until_ns))
		return r;
	return go_hard(m, phase, now, next);
}

static int step_hard(struct mfi *m, unsigned *phase, uint64_t now, uint64_t *next)
{
	int r = m->iop->reset_step(m, &m->reset.sub, now, next);

	if (r < 0 && r != -ENODEV)
		return go_hard(m, phase, now, next);
	if (r != 0)
		return r;
	mfi_boot_start(m, now, true);
	*phase = RESET_BOOT;
	*next = now;
	return 1;
}

static int step_boot(struct mfi *m, unsigned *phase, uint64_t now, uint64_t *next)
{
	int r = mfi_boot_step(m, now, next);

	if (r < 0 && r != -ENODEV)
		return go_hard(m, phase, now, next);
	return r == 0 ? send_init(m, phase, now, next) : r;
}

static int step_init(struct mfi *m, unsigned *phase, uint64_t now, uint64_t *next)
{
	int r = mfi_init_check(m);

	if (r > 0 && now <= m->reset.until_ns)
		return soon(m, now, next);
	if (r == -ENODEV)
		return r;
	if (r != 0)
		return go_hard(m, phase, now, next);
	mfi_intr_unmask(m);
	/* Its interrupt may have come, and been left alone, while the controller was frozen. */
	if (m->irq == PCI_IRQ_INTX)
		m->h->pci->ops->intx_unmask(m->h->pci);
	m->live = true;
	mfi_events_doubt(m);
	mfi_events_resume(m);
	return 0;
}

int mfi_reset_step(struct hba *h, unsigned *phase, uint64_t now, uint64_t *next)
{
	struct mfi *m = mfi_of(h);

	switch ((enum reset_phase) * phase) {
	case RESET_BEGIN:
		return begin(m, phase, now, next);
	case RESET_SOFT:
		return step_soft(m, phase, now, next);
	case RESET_HARD:
		return step_hard(m, phase, now, next);
	case RESET_BOOT:
		return step_boot(m, phase, now, next);
	case RESET_INIT:
		return step_init(m, phase, now, next);
	}
	return -EINVAL;
}
