/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MegaRAID controllers with Fusion firmware: set-up, orderly end, and the ops table. */
#include "fusion.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "megaraid.h"

#define BOUNCE_CHUNK 16384

/* --- attach --- */

static void declare_limits(struct fusion *f)
{
	struct hba_limits *l = &f->m.h->limits;
	uint32_t sge = MIN(f->m.fw_sge, HBA_MAX_SEGMENTS);

	*l = (struct hba_limits){
		.max_segments = sge,
		.max_segment_bytes = 1u << 30,
		.max_transfer = sge * BOUNCE_CHUNK, /* a segment for each bounce chunk; start() lowers it */
		.queue_depth = f->m.depth,
		.control_addr_max =
			UINT32_MAX, /* of all generations: the later ones reach further, and need not */
		.data_addr_max = f->gen->data_addr_max,
		.data_align = 4,
		.max_cdb = MFI_CDB_MAX,
	};
}

static void pick_queues(struct fusion *f)
{
	const struct pci_dev *pci = f->m.h->pci;
	unsigned vectors = f->m.boot.word & MFI_STATE_BIT26 ? pci->n_vectors[PCI_IRQ_MSIX] : 0;

	f->n_queues = MAX(MIN(MIN(f->fw_queues, vectors), (unsigned)FUSION_QUEUES_MAX), 1u);
	/* By what firmware has, not by how many of them are used; but only in a mode that has several. */
	f->combined = f->m.boot.word & MFI_STATE_BIT26 && f->fw_queues > f->gen->combined_above;
}

/* As many as were asked for, if there is a reply queue for each, if descriptors arrive whole when several threads post them,
 * and if firmware takes enough commands. A capture is made of one thread's view: whoever plays it again has one. */
static void take_lanes(struct fusion *f)
{
	struct hba *h = f->m.h;

	if (pci_is_noted(h->pci) || !pci_can_write64(h->pci, f->m.bar, FUSION_REG_QUEUE_LOW))
		h->n_lanes = 1;
	h->n_lanes = MIN(h->n_lanes, f->n_queues);
	h->n_lanes = MIN(h->n_lanes, f->n_io / (HBA_LANE_SLOTS + FUSION_SPARE));
	/* There may be many numbers, and few of them that may be used at once. */
	h->n_lanes = MAX(MIN(h->n_lanes, f->m.depth / HBA_LANE_SLOTS), 1u);
	/* A lane has numbers for all its requests, and as many to spare as a controller with one. */
	if (h->n_lanes > 1)
		f->m.depth = MIN(f->m.depth, (f->n_io / h->n_lanes - FUSION_SPARE) * h->n_lanes);
	f->m.frame_base = f->m.depth;
}

static void share_numbers(struct fusion *f)
{
	unsigned n = f->m.h->n_lanes;

	for (unsigned i = 0; i < n; i++) {
		struct fusion_lane *l = &f->lane[i];

		l->first_smid = 1 + i * (f->n_io / n);
		/* What is left over is the last one's. */
		l->n_smids = (i + 1 < n ? l->first_smid + f->n_io / n : f->n_io + 1) - l->first_smid;
		l->free_smid = f->free_smid + l->first_smid - 1;
		l->free_first = 0;
		l->n_free = l->n_smids;
		for (uint32_t k = 0; k < l->n_smids; k++)
			l->free_smid[k] = (uint16_t)(l->first_smid + k);
	}
}

static int alloc_tables(struct fusion *f, struct err *e)
{
	f->m.slot = calloc(f->m.depth + MFI_INTERNAL, sizeof(*f->m.slot));
	f->smid = calloc(f->n_smids + 1, sizeof(*f->smid));
	f->tag = calloc(f->m.depth, sizeof(*f->tag));
	f->free_smid = calloc(f->n_io, sizeof(*f->free_smid));
	if (!f->m.slot || !f->smid || !f->tag || !f->free_smid)
		return err_set(e, -ENOMEM, "out of memory");
	share_numbers(f);
	return 0;
}

/* Everything that firmware reads or writes, but the data, below 4 GiB [5.1]. */
void fusion_memory(struct fusion *f, struct mfi_memory ret[FUSION_N_MEMORY])
{
	struct mfi *m = &f->m;
	const uint64_t numbers = f->n_smids + 1;
	const struct mfi_memory all[] = {
		{"hbad-fusion-frames", (uint64_t)MFI_INTERNAL * MFI_FRAME_SLOT, &m->frames},
		{"hbad-fusion-sense", numbers * MFI_SENSE_SLOT, &m->sense},
		{"hbad-fusion-control", FUSION_CTL_SIZE, &m->control},
		{"hbad-fusion-requests", (numbers + 1) * FUSION_REQUEST_SIZE, &f->requests},
		{"hbad-fusion-chains", (f->n_io + 1ull) * FUSION_CHAIN_SLOT, &f->chains},
		{"hbad-fusion-replies", (uint64_t)f->ring_queues * f->queue_depth * sizeof(le64_t),
			&f->replies},
	};

	static_assert(ARRAY_SIZE(all) == FUSION_N_MEMORY && FUSION_N_MEMORY <= HBA_FROZEN_ARENAS, "memory");
	memcpy(ret, all, sizeof(all));
}

void fusion_place_queues(struct fusion *f)
{
	for (unsigned q = 0; q < f->n_queues; q++)
		f->queue[q].ring = (le64_t *)f->replies.cpu + (size_t)q * f->queue_depth;
}

static int alloc_arenas(struct fusion *f, struct err *e)
{
	struct mfi_memory want[FUSION_N_MEMORY];
	int r = 0;

	fusion_memory(f, want);
	for (unsigned i = 0; i < FUSION_N_MEMORY && r == 0; i++)
		r = dma_arena_alloc(
			&f->m.h->space, want[i].name, want[i].size, 0, UINT32_MAX, want[i].arena, e);
	if (r == 0)
		fusion_place_queues(f);
	return r;
}

static void fusion_detach(struct hba *h)
{
	struct mfi *m = mfi_of(h);
	struct fusion *f;

	if (!m)
		return;
	f = fusion_of(m);
	dma_arena_free(&f->replies);
	dma_arena_free(&f->chains);
	dma_arena_free(&f->requests);
	dma_arena_free(&m->control);
	dma_arena_free(&m->sense);
	dma_arena_free(&m->frames);
	free(f->free_smid);
	free(f->tag);
	free(f->smid);
	free(m->slot);
	free(f);
	h->drv = NULL;
}

static void fusion_leave(struct hba *h)
{
	struct fusion *f = fusion_of(mfi_of(h));
	struct mfi_memory all[FUSION_N_MEMORY];

	fusion_memory(f, all);
	for (unsigned i = 0; i < FUSION_N_MEMORY; i++)
		dma_arena_leave(all[i].arena);
	fusion_detach(h);
}

struct fusion *fusion_new(struct hba *h, const struct fusion_gen *gen)
{
	struct fusion *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->gen = gen;
	f->m.h = h;
	f->m.iop = &gen->iop;
	f->m.frames.memfd = f->m.sense.memfd = f->m.control.memfd = -1;
	f->requests.memfd = f->chains.memfd = f->replies.memfd = -1;
	list_init(&f->m.flush_next);
	list_init(&f->m.flush_now);
	for (unsigned i = 0; i < HBA_MAX_LANES; i++)
		list_init(&f->lane[i].swept);
	fusion_forget_pd_map(f);
	h->drv = &f->m;
	return f;
}

int fusion_declare(struct fusion *f, struct err *e)
{
	pick_queues(f);
	take_lanes(f);
	declare_limits(f);
	f->ring_queues = f->n_queues;
	return alloc_tables(f, e);
}

/* Nothing is mapped and bus mastering is off until firmware is READY: the commands of a driver that died here
 * cannot reach anybody's memory. */
static int fusion_attach(struct hba *h, const struct hba_match *match, struct err *e)
{
	struct fusion *f = fusion_new(h, match->data);
	int r;

	if (!f)
		return err_set(e, -ENOMEM, "out of memory");
	r = mfi_find_bar(&f->m, e);
	if (r == 0)
		r = mfi_boot(&f->m, e);
	if (r == 0)
		r = fusion_read_offer(f, e);
	if (r == 0)
		r = fusion_declare(f, e);
	if (r == 0)
		r = alloc_arenas(f, e);
	if (r < 0)
		fusion_detach(h);
	return r;
}

/* --- start --- */

/* The queue of a lane signals the lane's descriptor, all others the first one's. */
static int enable_vectors(struct fusion *f, unsigned n, struct err *e)
{
	int fds[FUSION_QUEUES_MAX];

	for (unsigned i = 0; i < n; i++)
		fds[i] = hba_lane_irq_fd(f->m.h, i < f->m.h->n_lanes ? i : 0);
	return pci_irq_enable(f->m.h->pci, PCI_IRQ_MSIX, fds, n, e);
}

/* MSI-X when firmware says that it can, else MSI, else the (possibly shared) line. IOC INIT wants to know. */
static int enable_irq(struct fusion *f, struct err *e)
{
	static const enum pci_irq_kind others[] = {PCI_IRQ_MSI, PCI_IRQ_INTX};
	struct pci_dev *pci = f->m.h->pci;
	int r = -ENOTSUP;

	if (pci->n_vectors[PCI_IRQ_MSIX] && f->m.boot.word & MFI_STATE_BIT26) {
		r = enable_vectors(f, f->n_queues, e);
		f->m.irq = PCI_IRQ_MSIX;
	}
	if (r < 0)
		f->n_queues = 1;
	if (r < 0 && f->m.h->n_lanes > 1)
		log_warn("%s: MSI-X is not to be had, so all answers come through I/O thread 0", pci->uri);
	for (unsigned i = 0; i < ARRAY_SIZE(others) && r < 0; i++) {
		if (!pci->n_vectors[others[i]])
			continue;
		r = pci_irq_enable(pci, others[i], &f->m.h->irq_fd, 1, e);
		f->m.irq = others[i];
	}
	if (r == -ENOTSUP)
		err_set(e, r, "the device has no interrupt; check that the slot's interrupt is routed");
	return r;
}

/* As it was when firmware was told of it. */
static int enable_same_irq(struct fusion *f, struct err *e)
{
	if (f->m.irq == PCI_IRQ_MSIX)
		return enable_vectors(f, f->n_queues, e);
	return pci_irq_enable(f->m.h->pci, f->m.irq, &f->m.h->irq_fd, 1, e);
}

/* What the controller says beside its scratch pads. */
static void obey_info(struct fusion *f)
{
	struct hba_limits *l = &f->m.h->limits;

	if (f->m.ctrl_sge >= 2)
		l->max_segments = MIN(l->max_segments, (uint32_t)f->m.ctrl_sge);
	l->max_transfer = MIN(l->max_transfer, l->max_segments * BOUNCE_CHUNK);
}

static int fusion_start(struct hba *h, struct err *e)
{
	struct fusion *f = fusion_of(mfi_of(h));
	int r = pci_set_bus_master(h->pci, true);

	if (r < 0)
		return err_set(e, r, "cannot enable bus mastering (error %d)", -r);
	mfi_intr_mask(&f->m);
	r = f->m.adopted ? enable_same_irq(f, e) : enable_irq(f, e);
	if (r == 0)
		r = f->m.adopted ? mfi_prove(&f->m, e) : fusion_init(f, e);
	if (r == 0)
		r = mfi_discover(&f->m, e);
	if (r == 0)
		r = fusion_read_pd_map(f, e);
	/* One that was left knows the last event that was seen. */
	if (r == 0 && !f->m.adopted)
		r = mfi_events_find(&f->m, e);
	if (r < 0)
		return r;
	obey_info(f);
	mfi_intr_unmask(&f->m);
	f->m.live = true;
	mfi_events_resume(&f->m);
	/* Of one that ran meanwhile, an interrupt may be lost. */
	if (f->m.adopted)
		hba_lane_wake(h, 0);
	f->m.adopted = false;
	return 0;
}

/* --- the end --- */

static int fusion_shutdown(struct hba *h, struct err *e)
{
	struct fusion *f = fusion_of(mfi_of(h));
	const struct mfi_dcmd stop = {.opcode = MFI_DCMD_CTRL_SHUTDOWN};
	int r, s;

	f->m.live = false;
	r = mfi_flush_polled(&f->m, "the cache flush at shutdown", e);
	if (r < 0 && f->m.polled_lost)
		return r;
	s = mfi_events_stop(&f->m);
	if (s < 0)
		log_warn("%s: firmware does not take the wait for events back (error %d)", h->pci->uri, -s);
	/* Even if the flush was refused: the shutdown writes the caches back too. */
	s = mfi_dcmd_ok(&f->m, &stop, NULL, "CTRL_SHUTDOWN", r < 0 ? NULL : e);
	return r < 0 ? r : s;
}

static void fusion_quiesce(struct hba *h)
{
	struct mfi *m = mfi_of(h);

	pci_irq_disable(h->pci);
	if (!m)
		return;
	m->live = false;
	mfi_flush_forget(m);
	fusion_forget_swept(fusion_of(m));
}

static const struct hba_match fusion_match[] = {
	{0x1000, 0x005b, &fusion_gen_thunderbolt, "MegaRAID SAS2208 (Fusion)"},
	{0x1000, 0x002f, &fusion_gen_thunderbolt, "MegaRAID SAS2208 (Fusion)"},
	{0x1000, 0x005d, &fusion_gen_invader, "MegaRAID SAS3108 (Fusion)"},
	{0x1000, 0x005f, &fusion_gen_invader, "MegaRAID SAS3108 (Fusion)"},
	{0x1000, 0x00ce, &fusion_gen_invader, "MegaRAID SAS3108 (Fusion)"},
	{0x1000, 0x00cf, &fusion_gen_invader, "MegaRAID SAS3108 (Fusion)"},
	{0x1000, 0x0052, &fusion_gen_invader, "MegaRAID SAS3108 (Fusion)"},
	{0x1000, 0x0053, &fusion_gen_invader, "MegaRAID SAS3108 (Fusion)"},
	{0x1000, 0x0014, &fusion_gen_ventura, "MegaRAID SAS35xx (Fusion)"},
	{0x1000, 0x0015, &fusion_gen_ventura, "MegaRAID SAS35xx (Fusion)"},
	{0x1000, 0x0016, &fusion_gen_ventura, "MegaRAID SAS35xx (Fusion)"},
	{0x1000, 0x0017, &fusion_gen_ventura, "MegaRAID SAS35xx (Fusion)"},
	{0x1000, 0x001b, &fusion_gen_ventura, "MegaRAID SAS35xx (Fusion)"},
	{0x1000, 0x001c, &fusion_gen_ventura, "MegaRAID SAS35xx (Fusion)"},
	{0x1000, 0x10e1, &fusion_gen_aero, "MegaRAID SAS39xx (Fusion)"},
	{0x1000, 0x10e2, &fusion_gen_aero, "MegaRAID SAS39xx (Fusion)"},
	{0x1000, 0x10e5, &fusion_gen_aero, "MegaRAID SAS39xx (Fusion)"},
	{0x1000, 0x10e6, &fusion_gen_aero, "MegaRAID SAS39xx (Fusion)"},
	{0},
};

const struct hba_ops fusion_ops = {
	.name = "megaraid-fusion",
	.match = fusion_match,
	.attach = fusion_attach,
	.start = fusion_start,
	.submit = fusion_submit,
	.poll = fusion_poll,
	.poll_lane = fusion_poll_lane,
	.abort = fusion_abort,
	.reset_step = fusion_reset_step,
	.quiesce = fusion_quiesce,
	.shutdown = fusion_shutdown,
	.detach = fusion_detach,
	.freeze = fusion_freeze,
	.adopt = fusion_adopt,
	.leave = fusion_leave,
};
