/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One process leaves a controller with its firmware running, another goes on with it: no INIT in between. Firmware knows
 * where frames, ring and indices are, so these keep their memory and its addresses; what was at firmware is taken back
 * before, and nothing that was written down is believed after. But firmware may say that it has ended the wait for events, and not
 * do it (QEMU): then the next one has that wait.
 */
#include "mfi.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define OWED_MS	     5000  /* what firmware may still owe for aborts */
#define PROVE_MS     10000 /* for a command that takes firmware no time: initiators wait */
#define LEFT_VERSION 2

/* The driver's own words in struct hba_frozen. */
struct mfi_left {
	le32_t version;
	le32_t ready_word; /* the state word in READY, which says what firmware offers */
	le32_t consumer;
	le32_t ieee;
	le32_t event_next;
	le32_t event_flags;
};
static_assert(sizeof(struct mfi_left) == 24, "what is left");
static_assert(sizeof(struct mfi_left) <= HBA_FROZEN_BYTES, "what is left");

enum { LEFT_EVENT_KNOWN = 1, LEFT_WAIT_KEPT = 2, LEFT_EVENT_ALL = 3 };

int mfi_still_runs(const struct mfi *m, uint32_t *ret_word, struct err *e)
{
	uint32_t word = mfi_read(m, MFI_REG_STATE);
	char text[40];

	if (word == MFI_ALL_ONES)
		return err_set(e, -ENODEV, "the controller does not answer (all ones)");
	if (word >> MFI_STATE_SHIFT != MFI_ST_OPERATIONAL)
		return err_set(
			e, -EIO, "firmware is not running, but %s", mfi_state_text(word, text, sizeof(text)));
	*ret_word = word;
	return 0;
}

/* --- leaving --- */

static unsigned owed(const struct mfi *m)
{
	unsigned n = 0;

	/* The polled slot has a waiter, who looks at its frame alone. */
	for (uint32_t i = 0; i < m->depth + MFI_INTERNAL; i++)
		n += i != m->depth + MFI_SLOT_POLLED && m->slot[i].fired;
	return n - m->event.kept;
}

static int await_owed(struct mfi *m, struct err *e)
{
	uint64_t until = mfi_until(m, OWED_MS);

	for (;;) {
		if (mfi_ring_drain(m) < 0)
			return err_set(e, -EIO, "firmware's reply ring makes no sense");
		if (!owed(m))
			return 0;
		if (clock_ns() > until)
			return err_set(e, -EBUSY, "firmware has not answered %u of its commands", owed(m));
		clock_sleep_ms(1);
	}
}

void mfi_leave_memory(const struct mfi_memory *have, unsigned n, struct hba_frozen *ret)
{
	assert(n <= HBA_FROZEN_ARENAS);
	ret->n_arenas = n;
	for (unsigned i = 0; i < n; i++)
		ret->arena[i] = (struct hba_frozen_arena){
			have[i].arena->iova, have[i].arena->size, have[i].arena->memfd};
}

int mfi_freeze(struct hba *h, struct hba_frozen *ret, struct err *e)
{
	struct mfi *m = mfi_of(h);
	struct mfi_memory have[MFI_N_MEMORY];
	/* What comes from now on is the next one's to hear: here nobody listens any more. */
	uint32_t word, next = m->event.next, known = m->event.known ? LEFT_EVENT_KNOWN : 0;
	int r;

	m->live = false;
	r = mfi_still_runs(m, &word, e);
	if (r < 0)
		return r;
	r = mfi_events_stop(m);
	if (r < 0)
		return err_set(e, r, "firmware does not take the wait for events back (error %d)", -r);
	r = await_owed(m, e);
	if (r == 0)
		r = mfi_flush_polled(m, "the cache flush before the controller is handed over", e);
	if (r == 0)
		r = await_owed(m, e);
	if (r == 0)
		r = mfi_still_runs(m, &word, e);
	if (r < 0)
		return r;
	/* The line would stay up; as for the mask register, see mfi_intr_mask(). */
	mfi_intr_ack(m);
	pci_irq_disable(h->pci);
	mfi_memory(m, have);
	mfi_leave_memory(have, MFI_N_MEMORY, ret);
	ret->n_bytes = sizeof(struct mfi_left);
	*(struct mfi_left *)ret->bytes = (struct mfi_left){
		.version = cpu_to_le32(LEFT_VERSION),
		.ready_word = cpu_to_le32(m->boot.word),
		.consumer = cpu_to_le32(m->consumer),
		.ieee = cpu_to_le32(m->ieee),
		.event_next = cpu_to_le32(next),
		.event_flags = cpu_to_le32(known | (m->event.kept ? LEFT_WAIT_KEPT : 0)),
	};
	return 0;
}

/* --- going on --- */

int mfi_adopt_memory(
	struct mfi *m, const struct mfi_memory *want, unsigned n, struct hba_frozen *f, struct err *e)
{
	struct dma_space *s = &m->h->space;
	uint64_t page = MAX(s->pci->dma_page, (uint64_t)sysconf(_SC_PAGESIZE));
	int r = 0;

	if (f->n_arenas != n)
		return err_set(e, -EBADMSG, "%u pieces of memory were left instead of %u", f->n_arenas, n);
	for (unsigned i = 0; i < n && r == 0; i++) {
		struct hba_frozen_arena *a = &f->arena[i];

		if (a->size != ALIGN_UP(want[i].size, page))
			return err_set(e, -EBADMSG, "arena %s: %llu bytes were left instead of %llu",
				want[i].name, (unsigned long long)a->size, (unsigned long long)want[i].size);
		r = dma_arena_adopt(
			s, want[i].name, &a->memfd, a->iova, a->size, UINT32_MAX, want[i].arena, e);
	}
	return r;
}

void mfi_adopt_slots(struct mfi *m)
{
	for (uint32_t i = m->frame_base; i < m->depth + MFI_INTERNAL; i++) {
		const struct mfi_header *h = mfi_frame(m, i);

		/* Any number is good; the one that was there keeps late contexts apart from new ones. */
		m->slot[i].use = (uint16_t)(le32_to_cpu(h->context) >> 16);
	}
}

static int read_left(struct mfi *m, const struct hba_frozen *f, struct err *e)
{
	struct mfi_left left;

	if (f->n_bytes != sizeof(left))
		return err_set(e, -EBADMSG, "another version of the driver has left %u bytes", f->n_bytes);
	memcpy(&left, f->bytes, sizeof(left));
	if (le32_to_cpu(left.version) != LEFT_VERSION)
		return err_set(e, -EBADMSG, "another version of the driver has left it (%u)",
			le32_to_cpu(left.version));
	m->boot.word = le32_to_cpu(left.ready_word);
	m->consumer = le32_to_cpu(left.consumer);
	m->ieee = le32_to_cpu(left.ieee);
	m->event.next = le32_to_cpu(left.event_next);
	m->event.known = le32_to_cpu(left.event_flags) & LEFT_EVENT_KNOWN;
	m->event.kept = le32_to_cpu(left.event_flags) & LEFT_WAIT_KEPT;
	if (m->boot.word >> MFI_STATE_SHIFT != MFI_ST_READY || le32_to_cpu(left.ieee) > 1 ||
		le32_to_cpu(left.event_flags) > LEFT_EVENT_ALL)
		return err_set(e, -EBADMSG, "what was left makes no sense");
	return 0;
}

/* What is in the memory, which the device could write to. */
static int check_ring(const struct mfi *m, struct err *e)
{
	const le32_t *at = (const le32_t *)(m->control.cpu + MFI_CTL_CONSUMER);
	uint32_t consumer = le32_to_cpu(__atomic_load_n(at, __ATOMIC_RELAXED));

	if (m->consumer >= m->fw_cmds || consumer != m->consumer)
		return err_set(e, -EBADMSG, "the reply ring was left at %u of %u, and is at %u", m->consumer,
			m->fw_cmds, consumer);
	return 0;
}

/* The wait for events that firmware has kept is where it was, and may still be answered. */
static void adopt_wait(struct mfi *m)
{
	if (!m->event.kept)
		return;
	m->event.step = MFI_EVENTS_WAITING;
	m->slot[m->depth + MFI_SLOT_EVENT].fired = true;
	log_info("%s: firmware keeps the wait for events that it has ended, as it says; changes of its units "
		 "may not "
		 "be noticed",
		m->h->pci->uri);
}

int mfi_adopt(struct hba *h, const struct hba_match *match, struct hba_frozen *f, struct err *e)
{
	struct mfi *m = mfi_new(h, match);
	struct mfi_memory want[MFI_N_MEMORY];
	uint32_t word = 0;
	int r;

	if (!m)
		return err_set(e, -ENOMEM, "out of memory");
	r = read_left(m, f, e);
	if (r == 0)
		r = mfi_find_bar(m, e);
	if (r == 0)
		r = mfi_still_runs(m, &word, e);
	if (r == 0 && m->ieee != !!(word & MFI_STATE_BIT26))
		r = err_set(e, -EBADMSG, "firmware takes other lists of data than it did");
	if (r == 0)
		r = mfi_declare_limits(m, e);
	if (r == 0)
		r = mfi_alloc_slots(m, e);
	if (r < 0)
		return r;
	mfi_memory(m, want);
	r = mfi_adopt_memory(m, want, MFI_N_MEMORY, f, e);
	if (r == 0)
		r = check_ring(m, e);
	if (r < 0)
		return r;
	mfi_adopt_slots(m);
	adopt_wait(m);
	m->adopted = true;
	return 0;
}

int mfi_prove(struct mfi *m, struct err *e)
{
	const struct mfi_dcmd d = {
		.opcode = MFI_DCMD_CTRL_GET_INFO,
		.mbox = {1},
		.dir = DMA_FROM_DEVICE,
		.len = MFI_CTRL_INFO_OLD_SIZE,
	};
	uint32_t slot = m->depth + MFI_SLOT_POLLED;
	uint64_t until = clock_ns() + MIN(PROVE_MS, m->iop->times->dcmd) * NS_PER_MS;
	int r = m->iop->drain(m);

	/* Not polled: its context has to come back where we look for it. */
	mfi_build_dcmd(mfi_frame(m, slot), mfi_slot_use(m, slot), true, &d,
		(uint32_t)m->control.iova + MFI_CTL_DATA);
	if (r >= 0)
		mfi_fire(m, slot, 0);
	while (r >= 0 && m->slot[slot].fired) {
		clock_sleep_ms(1);
		r = m->iop->drain(m);
		if (r == 0 && m->slot[slot].fired && clock_ns() > until)
			r = -ETIMEDOUT;
	}
	if (r < 0)
		return err_set(
			e, r, "firmware does not go on with the reply queue that was left (error %d)", -r);
	/* Whatever it says of it. */
	return mfi_cmd_status(m, slot) == MFI_PENDING ? err_set(e, -EIO, "firmware answers nothing") : 0;
}
