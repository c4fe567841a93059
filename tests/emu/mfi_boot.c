/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Firmware start-up: states in emulated time, with progress in the low bits [2.1, 2.3]. */
#include <string.h>

#include "base/clock.h"
#include "mfi.h"

#define TICKS 8 /* changes of the state word in each phase */

struct boot_phase {
	enum fw_state state;
	uint32_t share; /* per mille of the whole time; 0: until the driver's doorbell */
	uint32_t doorbell;
};

static const struct boot_phase after_power[] = {
	{FW_UNDEFINED, 20, 0},
	{FW_BB_INIT, 100, 0},
	{FW_INIT, 400, 0},
	{FW_WAIT_HANDSHAKE, 0, DB_CLEAR_HANDSHAKE},
	{FW_INIT_2, 180, 0},
	{FW_DEVICE_SCAN, 300, 0},
	{FW_READY, 0, 0},
};
static const struct boot_phase after_reset[] = {
	{FW_BB_INIT, 100, 0},
	{FW_INIT, 400, 0},
	{FW_INIT_2, 200, 0},
	{FW_DEVICE_SCAN, 300, 0},
	{FW_READY, 0, 0},
};
/* The driver sends running firmware back to READY. */
static const struct boot_phase to_ready[] = {
	{FW_OPERATIONAL, 20, 0},
	{FW_READY, 0, 0},
};

static void enter(struct mfi *m, const struct boot_phase *p)
{
	m->phase = p;
	m->boot_ticks = 0;
	mfi_set_state(m, p->state, 0);
	if (p->state == FW_READY) {
		m->diag = 0;
		return;
	}
	if (p->share)
		clockwork_after(m->env->clock, &m->boot,
			(uint64_t)m->env->opt.boot_ms * NS_PER_MS * p->share / 1000 / TICKS);
}

static void on_tick(struct wheel *w)
{
	struct mfi *m = container_of(w, struct mfi, boot);

	if (++m->boot_ticks >= TICKS) {
		enter(m, m->phase + 1);
		return;
	}
	/* "Progress": any change of the word. */
	if (m->phase->state != FW_OPERATIONAL)
		m->state_low = m->boot_ticks;
	/* The chip is out of its reset while firmware is still starting. */
	if (m->phase->state != FW_BB_INIT)
		m->diag &= ~DIAG_RESET;
	clockwork_after(m->env->clock, &m->boot,
		(uint64_t)m->env->opt.boot_ms * NS_PER_MS * m->phase->share / 1000 / TICKS);
}

void mfi_boot(struct mfi *m, bool power)
{
	m->boot.cb = on_tick;
	clockwork_stop(&m->boot);
	mfi_queue_drop(m);
	/* A reset stops the chip's DMA, whatever it had in mind. */
	for (unsigned i = 0; i < ARRAY_SIZE(m->late); i++)
		clockwork_stop(&m->late[i].timer);
	m->intr_mask = UINT32_MAX;
	m->intr_status = 0;
	m->raised = false;
	m->env->bus->ops->line(m->env->bus, false);
	m->key_at = 0;
	m->boot_seq = m->next_seq;
	enter(m, power ? after_power : after_reset);
	mfi_event(m, 0x00, 0, LOCALE_CTRL, NULL, "Firmware initialization started");
}

void mfi_boot_doorbell(struct mfi *m, uint32_t val)
{
	if (val & DB_STOP) {
		log_info("%s: the driver stopped the adapter", m->fam->name);
		clockwork_stop(&m->boot);
		mfi_queue_drop(m);
		mfi_set_state(m, FW_FAULT, 0);
	} else if (val & DB_RESET) {
		m->env->stats->resets++;
		mfi_boot(m, false);
	} else if (m->state == FW_WAIT_HANDSHAKE && val & DB_CLEAR_HANDSHAKE) {
		enter(m, m->phase + 1);
	} else if (m->state == FW_OPERATIONAL && val & DB_READY) {
		/* All that is outstanding is aborted without an answer. */
		clockwork_stop(&m->boot);
		mfi_queue_drop(m);
		enter(m, to_ready);
	}
}
