/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bringing firmware to READY [2.1, 2.3]: a loop over states, each with its own time limit, where any change of
 * the state word counts as progress. One step is one look, so that the same code serves set-up (which sleeps
 * between looks) and a reset on the I/O thread (which does not).
 */
#include "mfi.h"

#include <errno.h>
#include <stdio.h>

static const struct {
	const char *name;
	bool known;
	uint32_t doorbell; /* to get out of it */
} states[16] = {
	[MFI_ST_UNDEFINED] = {"UNDEFINED", true, 0},
	[MFI_ST_BB_INIT] = {"BB_INIT", true, 0},
	[MFI_ST_FW_INIT] = {"FW_INIT", true, 0},
	[MFI_ST_WAIT_HANDSHAKE] = {"WAIT_HANDSHAKE", true, MFI_DB_CLEAR_HANDSHAKE | MFI_DB_HOTPLUG},
	[MFI_ST_FW_INIT_2] = {"FW_INIT_2", true, 0},
	[MFI_ST_DEVICE_SCAN] = {"DEVICE_SCAN", true, 0},
	[MFI_ST_BOOT_MESSAGE] = {"BOOT_MESSAGE_PENDING", true, MFI_DB_HOTPLUG},
	[MFI_ST_FLUSH_CACHE] = {"FLUSH_CACHE", true, 0},
	[MFI_ST_READY] = {"READY", true, 0},
	/* Left running by a driver that has gone: its commands are aborted. */
	[MFI_ST_OPERATIONAL] = {"OPERATIONAL", true, MFI_DB_ABORT | MFI_DB_READY | MFI_DB_MFIMODE},
	[MFI_ST_FAULT] = {"FAULT", true, 0},
};

const char *mfi_state_text(uint32_t word, char *buf, size_t size)
{
	unsigned st = word >> MFI_STATE_SHIFT;

	if (word == MFI_ALL_ONES)
		snprintf(buf, size, "all ones");
	else if (st == MFI_ST_FAULT)
		snprintf(buf, size, "FAULT (code %03xh)", MFI_STATE_FAULT_CODE(word));
	else if (states[st].known)
		snprintf(buf, size, "%s", states[st].name);
	else
		snprintf(buf, size, "unknown state %xh", st);
	return buf;
}

void mfi_boot_start(struct mfi *m, uint64_t now, bool tolerate_fault)
{
	m->boot.word = MFI_ALL_ONES; /* no state: the first look is a change */
	m->boot.since_ns = m->boot.started_ns = now;
	m->boot.faulted = tolerate_fault;
}

/* What a state that has just been entered asks for. */
static void enter_state(struct mfi *m, uint32_t word)
{
	char old[40] = "(first look)", new[40];
	unsigned st = word >> MFI_STATE_SHIFT;

	if (m->boot.word != MFI_ALL_ONES)
		mfi_state_text(m->boot.word, old, sizeof(old));
	log_debug("%s: firmware %s -> %s", m->h->pci->uri, old, mfi_state_text(word, new, sizeof(new)));
	if (st == MFI_ST_OPERATIONAL)
		mfi_intr_mask(m);
	if (states[st].doorbell)
		mfi_write(m, m->iop->doorbell, states[st].doorbell);
}

int mfi_boot_step(struct mfi *m, uint64_t now, uint64_t *next)
{
	uint32_t word = mfi_read(m, MFI_REG_STATE);
	unsigned st = word >> MFI_STATE_SHIFT;
	bool first = m->boot.word == MFI_ALL_ONES;

	if (word == MFI_ALL_ONES)
		return -ENODEV;
	if (word != m->boot.word) {
		if (first || st != m->boot.word >> MFI_STATE_SHIFT)
			enter_state(m, word);
		m->boot.word = word;
		m->boot.since_ns = now;
	}
	if (st == MFI_ST_READY)
		return 0;
	if (!states[st].known)
		return -EPROTO;
	if (st == MFI_ST_FAULT && !m->boot.faulted)
		return -EIO;
	if (now - m->boot.since_ns > m->iop->times->state * NS_PER_MS ||
		now - m->boot.started_ns > m->iop->times->bring_up * NS_PER_MS)
		return st == MFI_ST_FAULT ? -EIO : -ETIMEDOUT;
	*next = now + m->iop->times->poll * NS_PER_MS;
	return 1;
}

static void sleep_until(uint64_t ns)
{
	uint64_t now = clock_ns();

	if (ns > now)
		clock_sleep_ms((unsigned)DIV_ROUND_UP(ns - now, NS_PER_MS));
}

static int boot_once(struct mfi *m, bool tolerate_fault)
{
	uint64_t next = 0;
	int r;

	mfi_boot_start(m, clock_ns(), tolerate_fault);
	while ((r = mfi_boot_step(m, clock_ns(), &next)) > 0)
		sleep_until(next);
	return r;
}

static int adapter_reset(struct mfi *m)
{
	unsigned phase = 0;
	uint64_t next = 0;
	int r;

	while ((r = m->iop->reset_step(m, &phase, clock_ns(), &next)) > 0)
		sleep_until(next);
	return r;
}

int mfi_boot(struct mfi *m, struct err *e)
{
	char text[40];
	int r = boot_once(m, false);

	if (r < 0 && r != -ENODEV) {
		log_warn("%s: firmware does not become ready (%s), resetting the adapter", m->h->pci->uri,
			mfi_state_text(m->boot.word, text, sizeof(text)));
		r = adapter_reset(m);
		if (r == 0)
			r = boot_once(m, true);
	}
	if (r == -ENODEV)
		return err_set(e, r,
			"the controller does not answer (all ones); is it powered, is its slot enabled?");
	if (r < 0)
		return err_set(e, r,
			"firmware does not become ready (%s); power-cycle the machine, and replace the "
			"controller if that does not help",
			mfi_state_text(m->boot.word, text, sizeof(text)));
	return 0;
}
