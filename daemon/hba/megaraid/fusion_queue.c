/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers of requests, and the reply queues [5.11]: firmware stores descriptors, we put "none" back and tell it how
 * far we got. Nothing that firmware writes there is believed: a descriptor must name a number that is at firmware.
 */
#include <errno.h>
#include <string.h>

#include "fusion.h"

/* --- numbers --- */

static bool is_io(const struct fusion *f, uint32_t smid)
{
	return smid <= f->n_io;
}

uint32_t fusion_smid_get(struct fusion *f, uint32_t tag)
{
	uint16_t smid = f->free_smid[f->free_first];

	/* There are more numbers than tags, and a tag has one at most. */
	assert(f->n_free > 0);
	f->free_first = f->free_first + 1 == f->n_io ? 0 : f->free_first + 1;
	f->n_free--;
	f->smid[smid].tag = (uint16_t)tag;
	f->tag[tag].smid = smid;
	return smid;
}

static void smid_put(struct fusion *f, uint32_t smid)
{
	f->smid[smid].kept = f->smid[smid].named;
	if (f->smid[smid].kept)
		return;
	f->free_smid[(f->free_first + f->n_free) % f->n_io] = (uint16_t)smid;
	f->n_free++;
}

void fusion_smid_name(struct fusion *f, uint32_t smid)
{
	f->smid[smid].named = true;
}

void fusion_smid_unname(struct fusion *f, uint32_t smid)
{
	f->smid[smid].named = false;
	if (f->smid[smid].kept)
		smid_put(f, smid);
}

void fusion_queue_reset(struct fusion *f)
{
	/* The order of the free numbers goes on: those that were at firmware come last. */
	for (uint32_t smid = 1; smid <= f->n_smids; smid++) {
		f->smid[smid].named = false;
		if ((f->smid[smid].fired || f->smid[smid].kept) && is_io(f, smid))
			smid_put(f, smid);
		f->smid[smid].fired = false;
	}
	for (uint32_t i = 0; i < f->m.depth + MFI_INTERNAL; i++)
		f->m.slot[i].fired = false;
	for (unsigned q = 0; q < f->n_queues; q++) {
		memset(f->queue[q].ring, 0xff, f->queue_depth * sizeof(le64_t));
		f->queue[q].index = 0;
	}
	f->m.polled_lost = false;
}

/* --- requests --- */

/* For a capture: what firmware is about to read. */
static void note_request(const struct fusion *f, uint32_t smid)
{
	const struct fusion_request *r = fusion_frame(f, smid);
	struct pci_dev *pci = f->m.h->pci;
	uint64_t chain = f->chains.iova + (uint64_t)smid * FUSION_CHAIN_SLOT;

	if (is_io(f, smid) && r->sge[FUSION_SGE_SLOTS - 1].flags & FUSION_SGE_CHAIN)
		pci_note(pci, PCI_NOTE_OUT, chain, f->chains.cpu + (size_t)smid * FUSION_CHAIN_SLOT,
			le32_to_cpu(r->sge[FUSION_SGE_SLOTS - 1].len));
	pci_note(pci, PCI_NOTE_OUT, f->requests.iova + (uint64_t)smid * FUSION_REQUEST_SIZE, r, sizeof(*r));
}

void fusion_send(struct fusion *f, uint32_t smid, enum fusion_type type, unsigned queue, uint16_t handle)
{
	uint64_t desc = fusion_descriptor(type, queue, smid, handle);

	f->smid[smid].fired = true;
	if (pci_is_noted(f->m.h->pci))
		note_request(f, smid);
	/* The register writes order themselves behind the stores to the frame (pci_write32). */
	if (f->atomic) {
		mfi_write(&f->m, FUSION_REG_QUEUE_ATOMIC, (uint32_t)desc);
		return;
	}
	/* In one piece: the write of the high half submits whatever the low half is then [5.5]. */
	mfi_write64(&f->m, FUSION_REG_QUEUE_LOW, desc);
}

void fusion_fire(struct mfi *m, uint32_t frame, unsigned extra)
{
	struct fusion *f = fusion_of(m);
	uint32_t smid = f->slot_smid + (frame - (uint32_t)m->frames.iova) / MFI_FRAME_SLOT;

	fusion_build_pass(fusion_frame(f, smid), frame);
	fusion_send(f, smid, FUSION_TYPE_SCSI_IO, 0, 0);
}

/* --- replies --- */

static void internal_reply(struct fusion *f, uint32_t n)
{
	f->m.slot[f->m.depth + n].fired = false;
	if (n == MFI_SLOT_FLUSH)
		mfi_flush_dcmd_reply(&f->m);
	else if (n == FUSION_SLOT_EVENT)
		fusion_event_reply(f);
	/* The others have a waiter, who looks by himself. */
}

/* For a capture: what firmware wrote before it stored the descriptor. */
static void note_reply(struct fusion *f, uint32_t smid)
{
	struct pci_dev *pci = f->m.h->pci;

	if (smid >= f->slot_smid && smid < f->task_smid) {
		mfi_note_status(&f->m, f->m.depth + smid - f->slot_smid);
		return;
	}
	if (is_io(f, smid))
		pci_note(pci, PCI_NOTE_IN, f->m.sense.iova + (uint64_t)smid * MFI_SENSE_SLOT,
			fusion_sense(f, smid), MFI_SENSE_LEN);
	pci_note(pci, PCI_NOTE_IN, f->requests.iova + (uint64_t)smid * FUSION_REQUEST_SIZE,
		fusion_frame(f, smid), FUSION_REQUEST_SIZE);
}

/* ... and the descriptor, which vouches for it, last. */
static void note_entry(struct fusion *f, uint64_t desc, const le64_t *at)
{
	uint32_t smid = desc >> 16 & 0xffff;

	if (smid && smid <= f->n_smids && f->smid[smid].fired) {
		const struct hba_req *req = is_io(f, smid) ? hba_req_by_tag(f->m.h, f->smid[smid].tag) : NULL;

		if (req)
			hba_note_data(req);
		note_reply(f, smid);
	}
	pci_note(f->m.h->pci, PCI_NOTE_IN, f->replies.iova + (uint64_t)((const uint8_t *)at - f->replies.cpu),
		at, sizeof(*at));
}

static int one_reply(struct fusion *f, uint64_t desc)
{
	uint32_t smid = desc >> 16 & 0xffff;
	struct hba_req *req = NULL;

	if (!smid || smid > f->n_smids || !f->smid[smid].fired)
		goto wild;
	if (is_io(f, smid)) {
		req = hba_req_by_tag(f->m.h, f->smid[smid].tag);
		if (!req)
			goto wild;
	}
	f->smid[smid].fired = false;
	if (req) {
		/* Its frame is read before anybody gets the number again. */
		smid_put(f, smid);
		fusion_request_reply(f, req);
	} else if (smid >= f->task_smid) {
		fusion_task_reply(f, smid - f->task_smid);
	} else {
		internal_reply(f, smid - f->slot_smid);
	}
	return 0;
wild:
	if (log_limit_ok(&f->m.context_limit, 5, 60 * NS_PER_SEC))
		log_warn("%s: firmware replied to number %u, which is not at the controller (%016llx)",
			f->m.h->pci->uri, smid, (unsigned long long)desc);
	return -EIO;
}

static void tell_index(struct fusion *f, unsigned q)
{
	uint32_t index = f->queue[q].index;

	/* Our "none" is in its place before firmware may store there again (pci_write32). */
	if (f->combined)
		mfi_write(&f->m, FUSION_REG_HOST_INDEX_N + q / FUSION_INDEX_QUEUES * FUSION_INDEX_STRIDE,
			q % FUSION_INDEX_QUEUES << 24 | index);
	else
		mfi_write(&f->m, FUSION_REG_HOST_INDEX, q << 24 | index);
}

/* Half of a descriptor may be there before the other. */
static bool is_there(uint64_t desc)
{
	return (uint32_t)desc != UINT32_MAX && desc >> 32 != UINT32_MAX;
}

static int drain_queue(struct fusion *f, unsigned q)
{
	struct fusion_queue *queue = &f->queue[q];
	/* One round at most: firmware that goes on for ever must not hold the thread. Told in between, so that the
	 * queue does not fill up meanwhile. */
	uint32_t budget = f->queue_depth, untold = 0;
	int r = 0;

	for (; budget; budget--) {
		le64_t *at = &queue->ring[queue->index];
		/* Acquire: frame, sense and data are read after it. */
		uint64_t desc = le64_to_cpu(__atomic_load_n(at, __ATOMIC_ACQUIRE));

		if (!is_there(desc))
			break;
		if (pci_is_noted(f->m.h->pci))
			note_entry(f, desc, at);
		__atomic_store_n(at, cpu_to_le64(FUSION_REPLY_NONE), __ATOMIC_RELAXED);
		queue->index = queue->index + 1 == f->queue_depth ? 0 : queue->index + 1;
		/* The rest of the queue is still good after one wild entry. */
		if (one_reply(f, desc) < 0)
			r = -EIO;
		if (++untold >= f->queue_depth / 4) {
			tell_index(f, q);
			untold = 0;
		}
	}
	if (untold)
		tell_index(f, q);
	return r < 0 || budget ? r : 1;
}

int fusion_drain(struct mfi *m)
{
	struct fusion *f = fusion_of(m);
	int r = 0;

	for (unsigned q = 0; q < f->n_queues; q++) {
		int one = drain_queue(f, q);

		r = r < 0 || one < 0 ? -EIO : MAX(r, one);
	}
	return r;
}

/* --- polling --- */

/* FAULT may come without an interrupt. A sleeping firmware is asked once per second. */
static int check_health(struct fusion *f, bool at_once)
{
	uint64_t now = clock_ns();
	char text[40];
	uint32_t word;

	if (!at_once && now - f->m.health_ns < f->m.iop->times->health * NS_PER_MS)
		return 0;
	f->m.health_ns = now;
	fusion_events_check(f, now);
	word = mfi_read(&f->m, MFI_REG_STATE);
	if (word == MFI_ALL_ONES)
		return -ENODEV;
	if (word >> MFI_STATE_SHIFT == MFI_ST_OPERATIONAL || word >> MFI_STATE_SHIFT == MFI_ST_FLUSH_CACHE)
		return fusion_tasks_check(f, now);
	log_warn("%s: firmware went to %s", f->m.h->pci->uri, mfi_state_text(word, text, sizeof(text)));
	return -EIO;
}

int fusion_poll(struct hba *h)
{
	struct mfi *m = mfi_of(h);
	struct fusion *f = fusion_of(m);
	uint32_t status = 0;
	int r;

	/* Messages need no acknowledge, and registers are slow. The line stays up until this is done. */
	if (m->irq != PCI_IRQ_MSIX)
		status = mfi_intr_ack(m);
	if (status == MFI_ALL_ONES)
		return -ENODEV;
	r = fusion_drain(m);
	/* More is in the queues than one call takes, and its interrupt is spent: come back after the other
	 * descriptors. */
	if (r > 0)
		mfi_wake(m);
	if (r == 0)
		fusion_tasks_settle(f);
	/* Nonsense is what a device that has gone shows too. */
	if (r >= 0)
		r = check_health(f, status & m->iop->intr_state);
	else if (check_health(f, true) == -ENODEV)
		r = -ENODEV;
	if (m->irq == PCI_IRQ_INTX)
		h->pci->ops->intx_unmask(h->pci);
	return r;
}
