/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio SCSI hosts: set-up, orderly end, and the ops table. */
#include "virtio.h"

#include <errno.h>
#include <stdlib.h>

#include "vio.h"

#define REQUEST_QUEUE_MAX 1024
#define OTHER_QUEUE_MAX	  16
#define REQUEST_QUEUE_MIN 8    /* room for two commands, one of them polled, without lists of their own */
#define DIRECT_SEGS	  32   /* then segments cost commands */
#define DEPTH_MAX	  4096 /* of all lanes together */
#define BOUNCE_CHUNK	  16384
#define QUIET_MS	  100

static const struct vio_times times = {.reset = 10000, .polled = 30000, .health = 1000};

/* --- limits --- */

struct sizes {
	uint16_t control, event, request;
};

static int queue_sizes(struct vio *v, struct sizes *s, struct err *e)
{
	s->control = vio_queue_max(v, VIO_Q_CONTROL, OTHER_QUEUE_MAX);
	s->event = vio_queue_max(v, VIO_Q_EVENT, OTHER_QUEUE_MAX);
	s->request = vio_queue_max(v, VIO_Q_REQUEST, REQUEST_QUEUE_MAX);
	if (s->control < 2 || !s->event || s->request < REQUEST_QUEUE_MIN)
		return err_set(e, -EIO, "the device's queues are too small to work with (%u, %u, %u)",
			s->control, s->event, s->request);
	return 0;
}

/* Segments, and descriptors of a slot. */
static void shape_slots(struct vio *v, const struct sizes *s)
{
	/* No chain is longer than the queue, whether in a list or not [2.7.5.3.1, 2.7.5.1]. */
	v->segs = MIN(MIN(v->config.seg_max, HBA_MAX_SEGMENTS), s->request - (uint32_t)VIO_SLOT_FIXED);
	v->indirect = v->features & VIO_F_INDIRECT_DESC;
	if (!v->indirect)
		v->segs = MIN(MIN(v->segs, DIRECT_SEGS), s->request / 2u - VIO_SLOT_FIXED);
	v->stride = v->indirect ? 1 : v->segs + VIO_SLOT_FIXED;
}

/* Room is left in the first lane's queue for set-up's command, and in the last one's for what a smaller depth, divided by the
 * lanes, leaves over: one for each other lane, of which the last one has one less than its share before. */
static uint32_t room_per_lane(const struct vio *v, const struct sizes *s, unsigned lanes)
{
	uint32_t room = s->request / v->stride;

	return MIN(room - MIN(MAX(lanes - 1, 2u) - 1, room), (uint32_t)DEPTH_MAX / lanes);
}

/* As many as were asked for, if the device has a request queue of the same size, and an MSI-X vector, for each. A capture is made of one
 * thread's view: whoever plays it again has one. */
static void take_lanes(struct vio *v, const struct sizes *s)
{
	struct hba *h = v->h;
	unsigned most = MIN(v->config.num_queues, v->config.all_queues - (uint32_t)VIO_Q_REQUEST), n = 1;

	most = MIN(MIN(h->n_lanes, most), h->pci->n_vectors[PCI_IRQ_MSIX]);
	if (pci_is_noted(h->pci))
		most = 1;
	while (n < most && vio_queue_max(v, (uint16_t)(VIO_Q_REQUEST + n), s->request) == s->request)
		n++;
	while (n > 1 && room_per_lane(v, s, n) < HBA_LANE_SLOTS)
		n--;
	h->n_lanes = n;
	v->n_queues = VIO_Q_REQUEST + n;
	v->per_lane = room_per_lane(v, s, n);
	v->depth = n * v->per_lane;
}

static void declare_limits(struct vio *v)
{
	/* Every bounce chunk may be a segment of its own. max_sectors is a hint, and 0 none. */
	uint64_t bytes = (uint64_t)v->segs * BOUNCE_CHUNK;

	if (v->config.max_sectors)
		bytes = MIN(bytes, (uint64_t)v->config.max_sectors * VIO_SECTOR_BYTES);
	v->h->limits = (struct hba_limits){
		.max_segments = v->segs,
		.max_segment_bytes = 1u << 30,
		/* Whole 4 KiB, so that 4Kn units can use it all; never nothing. */
		.max_transfer = MAX((uint32_t)bytes & ~4095u, 4096u),
		.queue_depth = v->depth,
		.control_addr_max = UINT64_MAX,
		.data_addr_max = UINT64_MAX,
		.data_align = 4,
		.max_cdb = VIO_CDB_SIZE,
	};
}

/* --- memory --- */

/* Aligned so that slots, and what is for task management, lie within pages. */
static uint64_t take(uint64_t *end, uint64_t size)
{
	uint64_t at = *end;

	*end = ALIGN_UP(at + size, UINT64_C(256));
	return at;
}

static uint16_t size_of(const struct sizes *s, unsigned queue)
{
	return queue == VIO_Q_CONTROL ? s->control : queue == VIO_Q_EVENT ? s->event : s->request;
}

static int alloc_mem(struct vio *v, const struct sizes *s, struct err *e)
{
	uint64_t ring[VIO_N_QUEUES], slots, lists, tmfs, events, data, end = 0;
	int r;

	v->n_tmf = MIN(VIO_N_TMF, s->control / 2u);
	v->n_events = MIN(VIO_N_EVENTS, s->event);
	v->event_size = (uint32_t)ALIGN_UP(
		MAX(MIN(v->config.event_info_size, VIO_EVENT_LIMIT), sizeof(struct vio_event)),
		sizeof(uint64_t));
	for (unsigned i = 0; i < v->n_queues; i++)
		ring[i] = take(&end, vio_ring_bytes(size_of(s, i)));
	slots = take(&end, (uint64_t)(v->depth + 1) * VIO_SLOT_SIZE);
	lists = take(&end, (uint64_t)(v->depth + 1) * vio_list_size(v));
	tmfs = take(&end, VIO_N_TMF * VIO_TMF_MEM);
	events = take(&end, (uint64_t)VIO_N_EVENTS * v->event_size);
	data = take(&end, VIO_DATA_MEM);
	v->slot = calloc(v->depth + 1, sizeof(*v->slot));
	if (!v->slot)
		return err_set(e, -ENOMEM, "out of memory");
	r = dma_arena_alloc(&v->h->space, "hbad-virtio", end, 0, UINT64_MAX, &v->mem, e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < v->n_queues; i++)
		vio_ring_place(
			&v->ring[i], (uint16_t)i, size_of(s, i), v->mem.cpu + ring[i], v->mem.iova + ring[i]);
	v->slot_mem = v->mem.cpu + slots;
	v->list_mem = v->mem.cpu + lists;
	v->tmf_mem = v->mem.cpu + tmfs;
	v->event_mem = v->mem.cpu + events;
	v->data_mem = v->mem.cpu + data;
	return 0;
}

/* --- life --- */

/* The device forgets everything and touches memory no more. Bus mastering is off by now, so if it does not answer
 * that is no danger, and it is not waited for long. */
static void vio_quiesce(struct hba *h)
{
	struct vio *v = vio_of(h);
	uint64_t until = clock_ns() + QUIET_MS * NS_PER_MS;

	pci_irq_disable(h->pci);
	if (v)
		vio_turns_forget(v);
	if (!v || h->gone || !v->area[VIO_CAP_COMMON].length || vio_status(v) == VIO_ST_ALL_ONES)
		return;
	vio_reset_ask(v);
	while (vio_reset_look(v) > 0 && clock_ns() < until)
		clock_sleep_ms(1);
}

static void vio_detach(struct hba *h)
{
	struct vio *v = vio_of(h);

	if (!v)
		return;
	dma_arena_free(&v->mem);
	free(v->slot);
	free(v);
	h->drv = NULL;
}

/* Nothing is mapped and bus mastering is off until the device was reset: what a driver that died here left at it
 * cannot reach anybody's memory. */
static int bring_up(struct vio *v, struct err *e)
{
	struct sizes s = {0};
	int r = vio_caps_read(v, e);

	if (r == 0)
		r = vio_reset_wait(v, e);
	if (r == 0)
		r = vio_negotiate(v, e);
	if (r == 0)
		r = vio_config_read(v, e);
	if (r == 0)
		r = queue_sizes(v, &s, e);
	if (r < 0)
		return r;
	shape_slots(v, &s);
	take_lanes(v, &s);
	declare_limits(v);
	return alloc_mem(v, &s, e);
}

static int vio_attach(struct hba *h, const struct hba_match *match, struct err *e)
{
	struct vio *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return err_set(e, -ENOMEM, "out of memory");
	h->drv = v;
	v->h = h;
	v->times = match->data;
	v->mem.memfd = -1;
	vio_turns_init(v);
	r = bring_up(v, e);
	if (r < 0) {
		vio_quiesce(h);
		vio_detach(h);
	}
	return r;
}

/* A vector for each lane's queue: the first one is also that of all else. The kernel may have fewer to give than the device
 * has; then it is one for all. */
static int enable_msix(struct vio *v, struct err *e)
{
	struct hba *h = v->h;
	int fds[HBA_MAX_LANES], r;

	for (unsigned i = 0; i < h->n_lanes; i++)
		fds[i] = hba_lane_irq_fd(h, i);
	v->n_vectors = h->n_lanes;
	r = pci_irq_enable(h->pci, PCI_IRQ_MSIX, fds, h->n_lanes, e);
	if (r == 0 || h->n_lanes == 1)
		return r;
	v->n_vectors = 1;
	log_warn("%s: %u MSI-X vectors are not to be had, so I/O thread 0 has the interrupts of all",
		h->pci->uri, h->n_lanes);
	return pci_irq_enable(h->pci, PCI_IRQ_MSIX, fds, 1, e);
}

/* MSI-X, else the (possibly shared) line. virtio knows no MSI [4.1.5.1.2]. */
static int enable_irq(struct vio *v, struct err *e)
{
	struct pci_dev *pci = v->h->pci;
	int r = -ENOTSUP;

	v->irq = PCI_IRQ_MSIX;
	if (pci->n_vectors[PCI_IRQ_MSIX])
		r = enable_msix(v, e);
	if (r < 0 && pci->n_vectors[PCI_IRQ_INTX]) {
		v->irq = PCI_IRQ_INTX;
		r = pci_irq_enable(pci, PCI_IRQ_INTX, &v->h->irq_fd, 1, e);
	}
	if (r == -ENOTSUP)
		err_set(e, r,
			"the device has no interrupt; in QEMU, do not set vectors=0 without a routed pin");
	return r;
}

static int vio_start(struct hba *h, struct err *e)
{
	struct vio *v = vio_of(h);
	int r = pci_set_bus_master(h->pci, true);

	if (r < 0)
		return err_set(e, r, "cannot enable bus mastering (error %d)", -r);
	/* Vectors are asked for while queues are set up, so they come first. */
	r = enable_irq(v, e);
	if (r == 0)
		r = vio_reset_wait(v, e);
	if (r == 0)
		r = vio_negotiate(v, e);
	if (r == 0)
		r = vio_config_read(v, e);
	if (r == 0)
		r = vio_run(v, e);
	if (r == 0)
		r = vio_discover(v, e);
	return r;
}

static int vio_shutdown(struct hba *h, struct err *e)
{
	/* The device has no cache of its own, and wants to be told nothing: it is reset next. */
	return 0;
}

static const struct hba_match vio_match[] = {
	{VIO_PCI_VENDOR, VIO_PCI_SCSI, &times, "virtio SCSI host"},
	{VIO_PCI_VENDOR, VIO_PCI_TRANSITIONAL, &times, "virtio SCSI host"},
	{0},
};

const struct hba_ops vio_ops = {
	.name = "virtio-scsi",
	.match = vio_match,
	.attach = vio_attach,
	.start = vio_start,
	.submit = vio_submit,
	.ring_doorbell = vio_doorbell,
	.poll = vio_poll,
	.poll_lane = vio_poll_lane,
	.abort = vio_abort,
	.unit_answers = vio_unit_answers,
	.reset_step = vio_reset_step,
	.quiesce = vio_quiesce,
	.shutdown = vio_shutdown,
	.detach = vio_detach,
};
