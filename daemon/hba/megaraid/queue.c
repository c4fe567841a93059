/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reply ring [3.3]: firmware stores contexts and a producer index in host memory, we store a consumer index.
 * Nothing that firmware writes there is believed: indices are checked, and a context must name a slot that is at
 * firmware, in its present use.
 *
 * A context is (use << 16 | slot). Firmware only echoes it. With the use count a context that comes twice, or
 * late, cannot complete the command that has the slot by then.
 */
#include "mfi.h"

#include <errno.h>
#include <string.h>

static le32_t *control32(const struct mfi *m, unsigned offset)
{
	return (le32_t *)(m->control.cpu + offset);
}

static void store_consumer(struct mfi *m)
{
	/* Release: our read of the entry is done before firmware may overwrite it. */
	__atomic_store_n(control32(m, MFI_CTL_CONSUMER), cpu_to_le32(m->consumer), __ATOMIC_RELEASE);
}

void mfi_queue_reset(struct mfi *m)
{
	/* Use counts go on: a context from before the reset stays unknown after it. */
	for (uint32_t i = 0; i < m->depth + MFI_INTERNAL; i++)
		m->slot[i].fired = false;
	memset(m->control.cpu + MFI_CTL_RING, 0xff, (size_t)m->fw_cmds * sizeof(le32_t));
	memset(m->control.cpu + MFI_CTL_PRODUCER, 0, sizeof(le32_t));
	m->consumer = 0;
	m->polled_lost = false;
	store_consumer(m);
}

/* --- slots --- */

uint32_t mfi_slot_context(const struct mfi *m, uint32_t slot)
{
	return (uint32_t)m->slot[slot].use << 16 | slot;
}

uint32_t mfi_slot_use(struct mfi *m, uint32_t slot)
{
	m->slot[slot].use++;
	return mfi_slot_context(m, slot);
}

void mfi_fire(struct mfi *m, uint32_t slot, unsigned extra)
{
	m->slot[slot].fired = true;
	pci_note(m->h->pci, PCI_NOTE_OUT, mfi_frame_addr(m, slot), mfi_frame(m, slot),
		(extra + 1) * MFI_FRAME_UNIT);
	/* The register write orders itself behind the stores to the frame (pci_write32). */
	m->iop->fire(m, mfi_frame_addr(m, slot), extra);
}

uint8_t mfi_cmd_status(const struct mfi *m, uint32_t slot)
{
	const struct mfi_header *f = mfi_frame(m, slot);

	/* Acquire: data and sense that the status vouches for are read after it. */
	return __atomic_load_n(&f->cmd_status, __ATOMIC_ACQUIRE);
}

void mfi_note_status(struct mfi *m, uint32_t slot)
{
	if (slot == m->depth + MFI_SLOT_POLLED && m->polled_untold) {
		m->polled_untold = false;
		pci_note(m->h->pci, PCI_NOTE_IN, m->control.iova + MFI_CTL_DATA,
			m->control.cpu + MFI_CTL_DATA, m->polled_len);
	}
	if (slot == m->depth + MFI_SLOT_EVENT)
		pci_note(m->h->pci, PCI_NOTE_IN, m->control.iova + MFI_CTL_EVENT,
			m->control.cpu + MFI_CTL_EVENT, MFI_CTL_EVENT_LEN);
	pci_note(m->h->pci, PCI_NOTE_IN, mfi_frame_addr(m, slot), mfi_frame(m, slot),
		sizeof(struct mfi_header));
}

/* --- replies --- */

static void internal_reply(struct mfi *m, uint32_t slot)
{
	switch (slot - m->depth) {
	case MFI_SLOT_POLLED:
		return; /* its waiter looks at cmd_status alone; QEMU posts it all the same */
	case MFI_SLOT_FLUSH:
		mfi_flush_dcmd_reply(m);
		return;
	case MFI_SLOT_EVENT:
		mfi_event_reply(m);
		return;
	default:
		/* An abort was answered. What counts is the reply of its victim. */
		log_debug("%s: abort answered with status %02xh", m->h->pci->uri, mfi_cmd_status(m, slot));
	}
}

static int one_reply(struct mfi *m, uint32_t context)
{
	uint32_t slot = context & 0xffff;
	struct hba_req *req = NULL;

	if (slot >= m->depth + MFI_INTERNAL || !m->slot[slot].fired || context != mfi_slot_context(m, slot))
		goto wild;
	if (slot < m->depth) {
		req = hba_req_by_tag(m->h, slot);
		if (!req)
			goto wild;
	}
	m->slot[slot].fired = false;
	if (req)
		mfi_request_reply(m, req);
	else
		internal_reply(m, slot);
	return 0;
wild:
	/* A polled command may be posted after its waiter has seen the status and used the slot again. */
	if (slot == m->depth + MFI_SLOT_POLLED)
		return 0;
	if (log_limit_ok(&m->context_limit, 5, 60 * NS_PER_SEC))
		log_warn("%s: firmware replied with context %08x, which is not at the controller",
			m->h->pci->uri, context);
	return -EIO;
}

/* For a capture: what firmware wrote for the entries up to producer, and the index that vouches for them. */
static void note_replies(struct mfi *m, uint32_t producer)
{
	const le32_t *ring = control32(m, MFI_CTL_RING);
	struct pci_dev *pci = m->h->pci;

	for (uint32_t i = m->consumer; i != producer; i = i + 1 == m->fw_cmds ? 0 : i + 1) {
		uint32_t slot = le32_to_cpu(__atomic_load_n(&ring[i], __ATOMIC_RELAXED)) & 0xffff;

		if (slot < m->depth) {
			const struct hba_req *req = hba_req_by_tag(m->h, slot);

			if (req)
				hba_note_data(req);
			pci_note(pci, PCI_NOTE_IN, m->sense.iova + (uint64_t)slot * MFI_SENSE_SLOT,
				m->sense.cpu + (size_t)slot * MFI_SENSE_SLOT, MFI_SENSE_LEN);
		}
		if (slot < m->depth + MFI_INTERNAL)
			mfi_note_status(m, slot);
		pci_note(pci, PCI_NOTE_IN, m->control.iova + MFI_CTL_RING + i * sizeof(*ring), &ring[i],
			sizeof(*ring));
	}
	pci_note(pci, PCI_NOTE_IN, m->control.iova + MFI_CTL_PRODUCER, control32(m, MFI_CTL_PRODUCER),
		sizeof(le32_t));
}

int mfi_ring_drain(struct mfi *m)
{
	const le32_t *ring = control32(m, MFI_CTL_RING);
	/* One round at most: firmware that goes on for ever must not hold the thread. */
	uint32_t budget = m->fw_cmds;
	int r = 0;

	for (;;) {
		/* Acquire: entries below the producer, frames and data are read after it. */
		uint32_t producer =
			le32_to_cpu(__atomic_load_n(control32(m, MFI_CTL_PRODUCER), __ATOMIC_ACQUIRE));

		if (producer >= m->fw_cmds) {
			log_warn("%s: firmware set the reply index to %u of %u", m->h->pci->uri, producer,
				m->fw_cmds);
			return -EIO;
		}
		if (producer == m->consumer)
			return r;
		if (pci_is_noted(m->h->pci))
			note_replies(m, producer);
		for (; m->consumer != producer; budget--) {
			uint32_t context = le32_to_cpu(__atomic_load_n(&ring[m->consumer], __ATOMIC_RELAXED));

			if (!budget)
				return r < 0 ? r : 1;
			m->consumer = m->consumer + 1 == m->fw_cmds ? 0 : m->consumer + 1;
			store_consumer(m);
			/* The rest of the ring is still good after one wild entry. */
			if (one_reply(m, context) < 0)
				r = -EIO;
		}
	}
}

/* FAULT may come without an interrupt. A sleeping firmware is asked once per second. */
static int check_health(struct mfi *m, uint32_t status)
{
	uint64_t now = clock_ns();
	char text[40];
	uint32_t word;

	if (!(status & m->iop->intr_state) && now - m->health_ns < m->iop->times->health * NS_PER_MS)
		return 0;
	m->health_ns = now;
	mfi_events_check(m, now);
	word = mfi_read(m, MFI_REG_STATE);
	if (word == MFI_ALL_ONES)
		return -ENODEV;
	if (word >> MFI_STATE_SHIFT != MFI_ST_OPERATIONAL && word >> MFI_STATE_SHIFT != MFI_ST_FLUSH_CACHE) {
		log_warn("%s: firmware went to %s", m->h->pci->uri, mfi_state_text(word, text, sizeof(text)));
		return -EIO;
	}
	return 0;
}

int mfi_poll(struct hba *h)
{
	struct mfi *m = mfi_of(h);
	uint32_t status = mfi_intr_ack(m);
	int r;

	if (status == MFI_ALL_ONES)
		return -ENODEV;
	/* With MSI-X the status may read 0 although there are replies, so the ring is looked at in any case. */
	r = mfi_ring_drain(m);
	/* More is in the ring than one call takes, and its interrupt is spent: come back after the other
	 * descriptors. */
	if (r > 0)
		hba_lane_wake(h, 0);
	if (r >= 0)
		r = check_health(m, status);
	if (m->irq == PCI_IRQ_INTX)
		h->pci->ops->intx_unmask(h->pci);
	return r;
}

/* --- INIT --- */

void mfi_init_fire(struct mfi *m)
{
	uint32_t slot = m->depth + MFI_SLOT_POLLED;
	uint64_t base = m->control.iova;

	mfi_queue_reset(m);
	mfi_build_queue_info(m->control.cpu + MFI_CTL_QUEUE_INFO, m->fw_cmds, base + MFI_CTL_RING,
		base + MFI_CTL_PRODUCER, base + MFI_CTL_CONSUMER);
	pci_note(m->h->pci, PCI_NOTE_OUT, base + MFI_CTL_QUEUE_INFO, m->control.cpu + MFI_CTL_QUEUE_INFO,
		sizeof(struct mfi_queue_info));
	mfi_build_init(mfi_frame(m, slot), mfi_slot_use(m, slot), base + MFI_CTL_QUEUE_INFO);
	mfi_fire(m, slot, 0);
}

int mfi_init_verdict(struct mfi *m, const char *what, uint32_t *ret_word)
{
	uint8_t status = mfi_cmd_status(m, m->depth + MFI_SLOT_POLLED);
	char text[40];
	uint32_t word;

	if (status == MFI_PENDING) {
		word = mfi_read(m, MFI_REG_STATE);
		if (word == MFI_ALL_ONES)
			return -ENODEV;
		/* Firmware that has died over it will not answer. */
		return word >> MFI_STATE_SHIFT == MFI_ST_FAULT ? -EIO : 1;
	}
	mfi_note_status(m, m->depth + MFI_SLOT_POLLED);
	if (status != MFI_OK) {
		log_warn("%s: firmware refused %s with status %02xh", m->h->pci->uri, what, status);
		return -EIO;
	}
	word = mfi_read(m, MFI_REG_STATE);
	if (word == MFI_ALL_ONES)
		return -ENODEV;
	if (word >> MFI_STATE_SHIFT != MFI_ST_OPERATIONAL) {
		log_warn("%s: firmware is %s after %s", m->h->pci->uri,
			mfi_state_text(word, text, sizeof(text)), what);
		return -EIO;
	}
	*ret_word = word;
	return 0;
}

int mfi_init_check(struct mfi *m)
{
	uint32_t word;
	int r = mfi_init_verdict(m, "INIT", &word);

	if (r)
		return r;
	/* Again, now with the other meaning of bit 26 [2.1]. It can only fall on a reset, where nobody waits for
	 * the old format any more. */
	m->ieee = word & MFI_STATE_BIT26;
	return 0;
}
