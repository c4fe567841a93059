/* SPDX-License-Identifier: GPL-2.0-or-later */
/* handover.c for Fusion: the wait for events is taken back, and the reply queues go on where they were. */
#include <errno.h>
#include <string.h>

#include "fusion.h"

#define OWED_MS	     5000 /* what firmware may still owe for aborts */
#define LEFT_VERSION 1

struct fusion_left {
	le32_t version;
	le32_t ready_word; /* the state word in READY */
	le32_t pad1;	   /* before INIT */
	le32_t fw_cmds;
	le32_t flags;
	le32_t irq; /* enum pci_irq_kind */
	le32_t n_queues, ring_queues;
	le32_t event_next;
	le32_t index[FUSION_QUEUES_MAX];
};
static_assert(sizeof(struct fusion_left) == 36 + 4 * FUSION_QUEUES_MAX, "what is left");
static_assert(sizeof(struct fusion_left) <= HBA_FROZEN_BYTES, "what is left");

enum { LEFT_EXT_DEPTH = 1, LEFT_COMBINED = 2, LEFT_ATOMIC = 4, LEFT_NO_SEQ = 8, LEFT_ALL = 15 };

static uint32_t flags_of(const struct fusion *f)
{
	return (f->ext_depth_used ? LEFT_EXT_DEPTH : 0) | (f->combined ? LEFT_COMBINED : 0) |
	       (f->atomic ? LEFT_ATOMIC : 0) | (f->no_seq ? LEFT_NO_SEQ : 0);
}

/* --- leaving --- */

static unsigned owed(const struct fusion *f)
{
	unsigned n = 0;

	for (uint32_t smid = 1; smid <= f->n_smids; smid++)
		n += fusion_is_out(f, smid);
	return n;
}

static int await_owed(struct fusion *f, struct err *e)
{
	uint64_t until = mfi_until(&f->m, OWED_MS);

	for (;;) {
		if (fusion_drain(&f->m) < 0)
			return err_set(e, -EIO, "firmware's reply queues make no sense");
		if (!owed(f))
			return 0;
		if (clock_ns() > until)
			return err_set(e, -EBUSY, "firmware has not answered %u of its commands", owed(f));
		clock_sleep_ms(1);
	}
}

static void write_left(const struct fusion *f, uint32_t next, struct hba_frozen *ret)
{
	struct fusion_left left = {
		.version = cpu_to_le32(LEFT_VERSION),
		.ready_word = cpu_to_le32(f->m.boot.word),
		.pad1 = cpu_to_le32(f->pad1),
		.fw_cmds = cpu_to_le32(f->m.fw_cmds),
		.flags = cpu_to_le32(flags_of(f)),
		.irq = cpu_to_le32(f->m.irq),
		.n_queues = cpu_to_le32(f->n_queues),
		.ring_queues = cpu_to_le32(f->ring_queues),
		.event_next = cpu_to_le32(next),
	};

	for (unsigned q = 0; q < f->n_queues; q++)
		left.index[q] = cpu_to_le32(f->queue[q].index);
	ret->n_bytes = sizeof(left);
	memcpy(ret->bytes, &left, sizeof(left));
}

int fusion_freeze(struct hba *h, struct hba_frozen *ret, struct err *e)
{
	struct mfi *m = mfi_of(h);
	struct fusion *f = fusion_of(m);
	struct mfi_memory have[FUSION_N_MEMORY];
	/* What comes from now on is the next one's to hear: here nobody listens any more. */
	uint32_t word, next = f->m.event.next;
	int r;

	f->m.live = false;
	r = mfi_still_runs(m, &word, e);
	if (r < 0)
		return r;
	r = mfi_events_stop(&f->m);
	if (r < 0)
		return err_set(e, r, "firmware does not take the wait for events back (error %d)", -r);
	r = await_owed(f, e);
	if (r == 0)
		r = mfi_flush_polled(m, "the cache flush before the controller is handed over", e);
	if (r == 0)
		r = await_owed(f, e);
	if (r == 0)
		r = mfi_still_runs(m, &word, e);
	if (r < 0)
		return r;
	if (m->irq != PCI_IRQ_MSIX)
		mfi_intr_ack(m);
	pci_irq_disable(h->pci);
	fusion_memory(f, have);
	mfi_leave_memory(have, FUSION_N_MEMORY, ret);
	write_left(f, next, ret);
	return 0;
}

/* --- going on --- */

static int read_left(const struct hba_frozen *from, struct fusion_left *ret, struct err *e)
{
	if (from->n_bytes != sizeof(*ret))
		return err_set(e, -EBADMSG, "another version of the driver has left %u bytes", from->n_bytes);
	memcpy(ret, from->bytes, sizeof(*ret));
	if (le32_to_cpu(ret->version) != LEFT_VERSION)
		return err_set(e, -EBADMSG, "another version of the driver has left it (%u)",
			le32_to_cpu(ret->version));
	if (le32_to_cpu(ret->ready_word) >> MFI_STATE_SHIFT != MFI_ST_READY ||
		le32_to_cpu(ret->flags) > LEFT_ALL)
		return err_set(e, -EBADMSG, "what was left makes no sense");
	return 0;
}

static bool fits_irq(const struct fusion *f)
{
	const struct pci_dev *pci = f->m.h->pci;

	switch (f->m.irq) {
	case PCI_IRQ_MSIX:
		return f->m.boot.word & MFI_STATE_BIT26 && f->n_queues <= pci->n_vectors[PCI_IRQ_MSIX];
	case PCI_IRQ_MSI:
	case PCI_IRQ_INTX:
		return f->n_queues == 1 && pci->n_vectors[f->m.irq];
	default:
		return false;
	}
}

/* The same again, from what firmware offered: it has to come out as firmware was told. */
static int lay_out(struct fusion *f, const struct fusion_left *left, struct err *e)
{
	uint32_t flags = le32_to_cpu(left->flags), now;
	int r;

	f->m.boot.word = le32_to_cpu(left->ready_word);
	f->pad1 = le32_to_cpu(left->pad1);
	f->m.fw_cmds = le32_to_cpu(left->fw_cmds);
	f->ext_depth_used = flags & LEFT_EXT_DEPTH;
	f->no_seq = flags & LEFT_NO_SEQ;
	f->m.event.next = le32_to_cpu(left->event_next);
	f->m.event.known = true;
	r = fusion_take_offer(f, e);
	if (r == 0)
		r = fusion_declare(f, e);
	if (r < 0)
		return r;
	now = mfi_read(&f->m, FUSION_REG_PAD1);
	f->atomic = f->gen->atomic && now & FUSION_PAD1_ATOMIC;
	f->m.irq = le32_to_cpu(left->irq);
	f->n_queues = le32_to_cpu(left->n_queues);
	f->ring_queues = le32_to_cpu(left->ring_queues);
	if (f->queue_depth > UINT16_MAX || !f->n_queues || f->n_queues > f->ring_queues ||
		f->ring_queues > FUSION_QUEUES_MAX || f->ring_queues > f->fw_queues || !fits_irq(f) ||
		flags_of(f) != flags)
		return err_set(e, -EBADMSG, "what was left does not fit the controller");
	return 0;
}

/* Nothing was at firmware: nothing may have come, but for what one look misses and the next one finds. */
static int check_queues(struct fusion *f, const struct fusion_left *left, struct err *e)
{
	for (unsigned q = 0; q < f->n_queues; q++) {
		uint32_t index = le32_to_cpu(left->index[q]);

		if (index >= f->queue_depth)
			return err_set(
				e, -EBADMSG, "reply queue %u was left at %u of %u", q, index, f->queue_depth);
		f->queue[q].index = index;
	}
	return 0;
}

int fusion_adopt(struct hba *h, const struct hba_match *match, struct hba_frozen *from, struct err *e)
{
	struct fusion *f = fusion_new(h, match->data);
	struct mfi_memory want[FUSION_N_MEMORY];
	struct fusion_left left;
	uint32_t word;
	int r;

	if (!f)
		return err_set(e, -ENOMEM, "out of memory");
	r = read_left(from, &left, e);
	if (r == 0)
		r = mfi_find_bar(&f->m, e);
	if (r == 0)
		r = mfi_still_runs(&f->m, &word, e);
	if (r == 0)
		r = lay_out(f, &left, e);
	if (r < 0)
		return r;
	fusion_memory(f, want);
	r = mfi_adopt_memory(&f->m, want, FUSION_N_MEMORY, from, e);
	if (r == 0)
		r = check_queues(f, &left, e);
	if (r < 0)
		return r;
	fusion_place_queues(f);
	mfi_adopt_slots(&f->m);
	f->m.adopted = true;
	return 0;
}
