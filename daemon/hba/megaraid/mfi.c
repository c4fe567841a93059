/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MegaRAID controllers with MFI firmware: set-up, orderly end, and the ops table. */
#include "mfi.h"

#include <errno.h>
#include <stdlib.h>

#include "megaraid.h"

#define MFI_DEPTH_MAX 1024

int mfi_find_bar(struct mfi *m, struct err *e)
{
	const struct pci_dev *pci = m->h->pci;

	for (unsigned i = 0; i < PCI_NUM_BARS; i++)
		if (pci->bar[i].size && !pci->bar[i].is_io) {
			m->bar = i;
			if (pci->bar[i].size < MFI_BAR_MIN)
				break;
			return pci_map_bar(m->h->pci, i, e);
		}
	return err_set(e, -EIO, "no register BAR of at least 8 KiB; is memory decoding enabled?");
}

int mfi_declare_limits(struct mfi *m, struct err *e)
{
	uint32_t word = m->boot.word;
	struct hba_limits *l = &m->h->limits;
	uint32_t sge;

	m->fw_cmds = MFI_STATE_MAX_CMDS(word);
	m->fw_sge = MFI_STATE_MAX_SGE(word);
	if (m->fw_cmds < MFI_INTERNAL + 2 || !m->fw_sge)
		return err_set(e, -EIO, "firmware offers %u commands of %u segments, too few to work with",
			m->fw_cmds, m->fw_sge);
	/* One less than the ring has entries, so that it never fills [3.3]. */
	m->depth = MIN(m->fw_cmds - 1 - MFI_INTERNAL, MFI_DEPTH_MAX);
	/* IEEE elements are the largest; which format it will be is only known after INIT. */
	sge = MIN(MIN(m->fw_sge, mfi_sgl_room(MFI_SG_IEEE)), HBA_MAX_SEGMENTS);
	*l = (struct hba_limits){
		.max_segments = sge,
		.max_segment_bytes = 1u << 30,
		.max_transfer = sge * 16384, /* a segment for each bounce chunk; start() lowers it */
		.queue_depth = m->depth,
		.control_addr_max = UINT32_MAX,
		.data_addr_max = UINT64_MAX,
		.data_align = 4,
		.max_cdb = MFI_CDB_MAX,
	};
	return 0;
}

int mfi_alloc_slots(struct mfi *m, struct err *e)
{
	m->slot = calloc(m->depth + MFI_INTERNAL, sizeof(*m->slot));
	return m->slot ? 0 : err_set(e, -ENOMEM, "out of memory");
}

void mfi_memory(struct mfi *m, struct mfi_memory ret[MFI_N_MEMORY])
{
	const uint64_t slots = m->depth + MFI_INTERNAL;

	ret[0] = (struct mfi_memory){"hbad-mfi-frames", slots * MFI_FRAME_SLOT, &m->frames};
	ret[1] = (struct mfi_memory){"hbad-mfi-sense", (uint64_t)m->depth * MFI_SENSE_SLOT, &m->sense};
	ret[2] = (struct mfi_memory){
		"hbad-mfi-control", MFI_CTL_RING + (uint64_t)m->fw_cmds * sizeof(le32_t), &m->control};
}

static int alloc_arenas(struct mfi *m, struct err *e)
{
	struct mfi_memory want[MFI_N_MEMORY];
	int r = mfi_alloc_slots(m, e);

	mfi_memory(m, want);
	for (unsigned i = 0; i < MFI_N_MEMORY && r == 0; i++)
		r = dma_arena_alloc(
			&m->h->space, want[i].name, want[i].size, 0, UINT32_MAX, want[i].arena, e);
	return r;
}

static void mfi_detach(struct hba *h)
{
	struct mfi *m = mfi_of(h);

	if (!m)
		return;
	dma_arena_free(&m->control);
	dma_arena_free(&m->sense);
	dma_arena_free(&m->frames);
	free(m->slot);
	free(m);
	h->drv = NULL;
}

static void mfi_leave(struct hba *h)
{
	struct mfi *m = mfi_of(h);

	dma_arena_leave(&m->control);
	dma_arena_leave(&m->sense);
	dma_arena_leave(&m->frames);
	mfi_detach(h);
}

struct mfi *mfi_new(struct hba *h, const struct hba_match *match)
{
	struct mfi *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	h->drv = m;
	m->h = h;
	m->iop = match->data;
	m->frames.memfd = m->sense.memfd = m->control.memfd = -1;
	list_init(&m->flush_next);
	list_init(&m->flush_now);
	return m;
}

/* Nothing is mapped and bus mastering is off until firmware is READY: the commands of a driver that died here
 * cannot reach anybody's memory. */
static int mfi_attach(struct hba *h, const struct hba_match *match, struct err *e)
{
	struct mfi *m = mfi_new(h, match);
	int r;

	if (!m)
		return err_set(e, -ENOMEM, "out of memory");
	r = mfi_find_bar(m, e);
	if (r == 0)
		r = mfi_boot(m, e);
	if (r == 0)
		r = mfi_declare_limits(m, e);
	if (r == 0)
		r = alloc_arenas(m, e);
	if (r < 0)
		mfi_detach(h);
	return r;
}

static int init_queues(struct mfi *m, struct err *e)
{
	uint8_t status = MFI_PENDING;
	int r;

	/* Also undoes what an orderly shutdown leaves behind in QEMU: a READY that ignores INIT. */
	mfi_intr_mask(m);
	mfi_init_fire(m);
	r = mfi_wait_status(m, m->depth + MFI_SLOT_POLLED, m->iop->times->dcmd, &status);
	if (r == 0)
		r = mfi_init_check(m);
	if (r < 0)
		return err_set(e, r,
			"firmware does not accept INIT (error %d, status %02xh); power-cycle the machine, "
			"then update the controller's firmware",
			-r, status);
	return 0;
}

/* MSI-X when firmware says that it can, else MSI, else the (possibly shared) line. */
static int enable_irq(struct mfi *m, struct err *e)
{
	static const enum pci_irq_kind order[] = {PCI_IRQ_MSIX, PCI_IRQ_MSI, PCI_IRQ_INTX};
	struct pci_dev *pci = m->h->pci;
	int r = -ENOTSUP;

	for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
		if (!pci->n_vectors[order[i]] ||
			(order[i] == PCI_IRQ_MSIX && !(m->boot.word & MFI_STATE_BIT26)))
			continue;
		r = pci_irq_enable(pci, order[i], &m->h->irq_fd, 1, e);
		if (r == 0) {
			m->irq = order[i];
			return 0;
		}
	}
	if (r == -ENOTSUP)
		err_set(e, r, "the device has no interrupt; check that the slot's interrupt is routed");
	return r;
}

static int mfi_start(struct hba *h, struct err *e)
{
	struct mfi *m = mfi_of(h);
	int r = pci_set_bus_master(h->pci, true);

	if (r < 0)
		return err_set(e, r, "cannot enable bus mastering (error %d)", -r);
	r = m->adopted ? mfi_prove(m, e) : init_queues(m, e);
	if (r == 0)
		r = mfi_discover(m, e);
	if (r == 0)
		r = enable_irq(m, e);
	if (r < 0)
		return r;
	mfi_intr_unmask(m);
	m->live = true;
	/* Of one that was left it is known which event was the last that was seen; else the units may have changed since they
	 * were listed. */
	if (!m->event.known)
		mfi_events_doubt(m);
	mfi_events_resume(m);
	/* Of one that ran meanwhile, an interrupt may be lost. */
	if (m->adopted)
		hba_lane_wake(h, 0);
	m->adopted = false;
	return 0;
}

int mfi_flush_polled(struct mfi *m, const char *what, struct err *e)
{
	const struct mfi_dcmd flush = {
		.opcode = MFI_DCMD_CACHE_FLUSH,
		.mbox = {MFI_FLUSH_CONTROLLER_AND_DISKS},
	};

	return mfi_dcmd_ok(m, &flush, NULL, what, e);
}

static int mfi_shutdown(struct hba *h, struct err *e)
{
	struct mfi *m = mfi_of(h);
	const struct mfi_dcmd stop = {.opcode = MFI_DCMD_CTRL_SHUTDOWN};
	int r, s;

	m->live = false;
	r = mfi_flush_polled(m, "the cache flush at shutdown", e);
	if (r < 0 && m->polled_lost)
		return r;
	/* One that it keeps ends with the shutdown. */
	s = mfi_events_stop(m);
	if (s < 0)
		log_warn("%s: firmware does not take the wait for events back (error %d)", h->pci->uri, -s);
	/* Even if the flush was refused: the shutdown writes the caches back too. */
	s = mfi_dcmd_ok(m, &stop, NULL, "CTRL_SHUTDOWN", r < 0 ? NULL : e);
	return r < 0 ? r : s;
}

/* The mask register is left alone, see mfi_intr_mask(): the vector goes, and bus mastering is off. */
static void mfi_quiesce(struct hba *h)
{
	struct mfi *m = mfi_of(h);

	pci_irq_disable(h->pci);
	if (!m)
		return;
	m->live = false;
	mfi_flush_forget(m);
}

static const struct hba_match mfi_match[] = {
	{0x1000, 0x0060, &mfi_iop_gen1, "MegaRAID SAS1078 (MFI gen 1)"},
	{0x1000, 0x007c, &mfi_iop_gen1, "MegaRAID SAS1078 (MFI gen 1)"},
	{0x1000, 0x0078, &mfi_iop_gen2, "MegaRAID SAS2108 (MFI gen 2)"},
	{0x1000, 0x0079, &mfi_iop_gen2, "MegaRAID SAS2108 (MFI gen 2)"},
	{0x1000, 0x0071, &mfi_iop_skinny, "MegaRAID SAS2008 (MFI skinny)"},
	{0x1000, 0x0073, &mfi_iop_skinny, "MegaRAID SAS2008 (MFI skinny)"},
	{0},
};

const struct hba_ops mfi_ops = {
	.name = "megaraid-mfi",
	.match = mfi_match,
	.attach = mfi_attach,
	.start = mfi_start,
	.submit = mfi_submit,
	.poll = mfi_poll,
	.abort = mfi_abort,
	.reset_step = mfi_reset_step,
	.quiesce = mfi_quiesce,
	.shutdown = mfi_shutdown,
	.detach = mfi_detach,
	.freeze = mfi_freeze,
	.adopt = mfi_adopt,
	.leave = mfi_leave,
};
