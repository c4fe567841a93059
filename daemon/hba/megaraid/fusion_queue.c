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

static unsigned lane_of_io(const struct fusion *f, uint32_t smid)
{
	const struct hba *h = f->m.h;

	return h->n_lanes > 1 ? MIN((smid - 1) / f->lane[0].n_smids, h->n_lanes - 1) : 0;
}

/* Of a number that is at firmware. */
static unsigned owner_of(const struct fusion *f, uint32_t smid)
{
	uint8_t owner;

	if (is_io(f, smid))
		return lane_of_io(f, smid);
	if (smid < f->task_smid)
		return 0;
	owner = __atomic_load_n(&f->task_owner[smid - f->task_smid], __ATOMIC_RELAXED);
	return owner ? owner - 1u : 0;
}

/* Firmware owes a descriptor for it that nobody has found yet. */
static bool is_fired(const struct fusion *f, uint32_t smid)
{
	/* Acquire: whose it is, and in which queue, was written before. */
	return __atomic_load_n(&f->smid[smid].fired, __ATOMIC_ACQUIRE) == FUSION_FIRED;
}

static void set_fired(struct fusion *f, uint32_t smid, enum fusion_fired fired)
{
	/* Release: see is_fired(). */
	__atomic_store_n(&f->smid[smid].fired, (uint8_t)fired, __ATOMIC_RELEASE);
}

uint32_t fusion_smid_get(struct fusion *f, unsigned lane, uint32_t tag)
{
	struct fusion_lane *l = &f->lane[lane];
	uint16_t smid = l->free_smid[l->free_first];

	/* There are more numbers than tags, and a tag has one at most. */
	assert(l->n_free > 0);
	l->free_first = l->free_first + 1 == l->n_smids ? 0 : l->free_first + 1;
	l->n_free--;
	f->smid[smid].tag = (uint16_t)tag;
	f->tag[tag].smid = smid;
	return smid;
}

static void smid_put(struct fusion *f, uint32_t smid)
{
	struct fusion_lane *l = &f->lane[lane_of_io(f, smid)];

	f->smid[smid].kept = f->smid[smid].named;
	if (f->smid[smid].kept)
		return;
	l->free_smid[(l->free_first + l->n_free) % l->n_smids] = (uint16_t)smid;
	l->n_free++;
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
		if ((fusion_is_out(f, smid) || f->smid[smid].kept) && is_io(f, smid))
			smid_put(f, smid);
		set_fired(f, smid, FUSION_IDLE);
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

unsigned fusion_lane_queue(const struct fusion *f, unsigned lane, uint32_t smid)
{
	if (f->m.h->n_lanes == 1)
		return smid % f->n_queues;
	return lane < f->n_queues ? lane : 0;
}

void fusion_send(struct fusion *f, uint32_t smid, enum fusion_type type, unsigned queue, uint16_t handle)
{
	uint64_t desc = fusion_descriptor(type, queue, smid, handle);

	__atomic_store_n(&f->smid[smid].queue, (uint8_t)queue, __ATOMIC_RELAXED);
	set_fired(f, smid, FUSION_FIRED);
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
	else if (n == MFI_SLOT_EVENT)
		mfi_event_reply(&f->m);
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

	if (smid && smid <= f->n_smids && is_fired(f, smid)) {
		const struct hba_req *req = is_io(f, smid) ? hba_req_by_tag(f->m.h, f->smid[smid].tag) : NULL;

		if (req)
			hba_note_data(req);
		note_reply(f, smid);
	}
	pci_note(f->m.h->pci, PCI_NOTE_IN, f->replies.iova + (uint64_t)((const uint8_t *)at - f->replies.cpu),
		at, sizeof(*at));
}

static int wild(struct fusion *f, unsigned lane, uint32_t smid, uint64_t desc)
{
	if (log_limit_ok(&f->lane[lane].wild_limit, 5, 60 * NS_PER_SEC))
		log_warn("%s: firmware replied to number %u, which is not at the controller (%016llx)",
			f->m.h->pci->uri, smid, (unsigned long long)desc);
	return -EIO;
}

static int take_reply(struct fusion *f, unsigned lane, uint32_t smid, uint64_t desc)
{
	struct hba_req *req = NULL;

	if (is_io(f, smid)) {
		req = hba_req_by_tag(f->m.h, f->smid[smid].tag);
		if (!req)
			return wild(f, lane, smid, desc);
	}
	set_fired(f, smid, FUSION_IDLE);
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
}

/* What firmware had answered before it answered an abort is in this lane's queue, or was handed on before this was. */
static void on_answered(struct loop_msg *m)
{
	struct fusion_smid *s = container_of(m, struct fusion_smid, answered);
	struct fusion *f = s->f;
	uint32_t smid = (uint32_t)(s - f->smid);
	unsigned lane = owner_of(f, smid);

	/* From another lane than the first it may come behind the message that has halted this one, and from any behind that
	 * with which this one has left its loop: then it is as if it had come too late. The first one may be at work on what
	 * this would touch, and the end of a stop must not acknowledge what no flush has covered. Answers to task management
	 * are taken all the same: until then their numbers count as out, and an upgrade is refused. */
	if ((s->stray || is_io(f, smid)) && !hba_lane_runs(f->m.h, lane))
		return;
	if (take_reply(f, lane, smid, 0) < 0)
		hba_lane_fault(f->m.h, lane, "firmware misbehaved");
	if (smid >= f->task_smid && hba_lane_runs(f->m.h, lane) && fusion_poll_lane(f->m.h, lane) < 0)
		hba_lane_fault(f->m.h, lane, "firmware misbehaved");
}

/* Of several that find the same one, one has it. Acquire: see is_fired(). */
static bool claim(struct fusion *f, uint32_t smid)
{
	uint8_t fired = FUSION_FIRED;

	/* Not idle yet: an abort in between must find it at firmware. */
	return __atomic_compare_exchange_n(
		&f->smid[smid].fired, &fired, FUSION_HANDED_ON, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* It was found by a lane that is not its owner's. */
static int hand_on(struct fusion *f, unsigned lane, unsigned owner, uint32_t smid, bool stray, uint64_t desc)
{
	struct fusion_smid *s = &f->smid[smid];

	/* Requests of halted lanes are sent again, whatever is answered now: nobody can be told. Of task management
	 * nobody wants to be told any more. */
	if (!f->m.live && is_io(f, smid))
		return 0;
	if (!f->m.live)
		return take_reply(f, 0, smid, desc);
	if (!claim(f, smid))
		return wild(f, lane, smid, desc);
	s->answered.cb = on_answered;
	s->f = f;
	s->stray = stray;
	loop_post(hba_lane_loop(f->m.h, owner), &s->answered);
	return 0;
}

/* Slow, but no harm: other drivers take any reply from any queue, so firmware need not be wrong in this. */
static void note_stray(struct fusion *f, unsigned q, uint32_t smid)
{
	if (__atomic_fetch_add(&f->count.strays, 1, __ATOMIC_RELAXED) == 0)
		log_warn("%s: firmware replied to number %u in queue %u instead of %u; it is not said again",
			f->m.h->pci->uri, smid, q, __atomic_load_n(&f->smid[smid].queue, __ATOMIC_RELAXED));
}

static int one_reply(struct fusion *f, unsigned lane, unsigned q, uint64_t desc)
{
	uint32_t smid = desc >> 16 & 0xffff;
	unsigned owner;
	bool stray;

	if (!smid || smid > f->n_smids || !is_fired(f, smid))
		return wild(f, lane, smid, desc);
	if (f->m.h->n_lanes == 1)
		return take_reply(f, lane, smid, desc);
	owner = owner_of(f, smid);
	stray = __atomic_load_n(&f->smid[smid].queue, __ATOMIC_RELAXED) != q;
	if (stray)
		note_stray(f, q, smid);
	if (stray || owner != lane)
		return hand_on(f, lane, owner, smid, stray, desc);
	return claim(f, smid) ? take_reply(f, lane, smid, desc) : wild(f, lane, smid, desc);
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

static int drain_queue(struct fusion *f, unsigned lane, unsigned q)
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
		if (one_reply(f, lane, q, desc) < 0)
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
		int one;

		if (q && q < m->h->n_lanes && f->m.live)
			continue;
		one = drain_queue(f, 0, q);
		r = r < 0 || one < 0 ? -EIO : MAX(r, one);
	}
	return r;
}

int fusion_drain_lane(struct fusion *f, unsigned lane)
{
	if (!lane)
		return fusion_drain(&f->m);
	return lane < f->n_queues ? drain_queue(f, lane, lane) : 0;
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
	mfi_events_check(&f->m, now);
	word = mfi_read(&f->m, MFI_REG_STATE);
	if (word == MFI_ALL_ONES)
		return -ENODEV;
	if (word >> MFI_STATE_SHIFT == MFI_ST_OPERATIONAL || word >> MFI_STATE_SHIFT == MFI_ST_FLUSH_CACHE)
		return fusion_tasks_check(f, 0, now);
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
		hba_lane_wake(h, 0);
	if (r == 0)
		fusion_tasks_settle(f, 0);
	/* Nonsense is what a device that has gone shows too. */
	if (r >= 0)
		r = check_health(f, status & m->iop->intr_state);
	else if (check_health(f, true) == -ENODEV)
		r = -ENODEV;
	if (m->irq == PCI_IRQ_INTX)
		h->pci->ops->intx_unmask(h->pci);
	return r;
}

int fusion_poll_lane(struct hba *h, unsigned lane)
{
	struct fusion *f = fusion_of(mfi_of(h));
	int r = fusion_drain_lane(f, lane);

	/* As in fusion_poll(). */
	if (r > 0)
		hba_lane_wake(h, lane);
	if (r == 0)
		fusion_tasks_settle(f, lane);
	return r < 0 ? r : fusion_tasks_check(f, lane, clock_ns());
}
