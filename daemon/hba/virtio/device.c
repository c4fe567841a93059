/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers of a virtio device: reset, feature negotiation, configuration, queues [2.1, 3.1, 4.1.4, 4.1.5]. */
#include "vio.h"

#include <errno.h>
#include <string.h>

#define CONFIG_TRIES 100

static uint8_t common_get8(const struct vio *v, unsigned reg)
{
	const struct vio_area *a = &v->area[VIO_CAP_COMMON];

	return pci_read8(v->h->pci, a->bar, a->offset + reg);
}

static uint16_t common_get16(const struct vio *v, unsigned reg)
{
	const struct vio_area *a = &v->area[VIO_CAP_COMMON];

	return pci_read16(v->h->pci, a->bar, a->offset + reg);
}

static uint32_t common_get32(const struct vio *v, unsigned reg)
{
	const struct vio_area *a = &v->area[VIO_CAP_COMMON];

	return pci_read32(v->h->pci, a->bar, a->offset + reg);
}

static void common_set8(const struct vio *v, unsigned reg, uint8_t val)
{
	const struct vio_area *a = &v->area[VIO_CAP_COMMON];

	pci_write8(v->h->pci, a->bar, a->offset + reg, val);
}

static void common_set16(const struct vio *v, unsigned reg, uint16_t val)
{
	const struct vio_area *a = &v->area[VIO_CAP_COMMON];

	pci_write16(v->h->pci, a->bar, a->offset + reg, val);
}

static void common_set32(const struct vio *v, unsigned reg, uint32_t val)
{
	const struct vio_area *a = &v->area[VIO_CAP_COMMON];

	pci_write32(v->h->pci, a->bar, a->offset + reg, val);
}

/* 64-bit registers are two of 32 bits, low part first [4.1.3.1]. */
static void common_set64(const struct vio *v, unsigned reg, uint64_t val)
{
	common_set32(v, reg, (uint32_t)val);
	common_set32(v, reg + 4, (uint32_t)(val >> 32));
}

uint8_t vio_status(const struct vio *v)
{
	return common_get8(v, VIO_STATUS);
}

static void status_add(const struct vio *v, uint8_t bit)
{
	common_set8(v, VIO_STATUS, vio_status(v) | bit);
}

/* --- reset --- */

void vio_reset_ask(struct vio *v)
{
	common_set8(v, VIO_STATUS, 0);
}

int vio_reset_look(struct vio *v)
{
	uint8_t status = vio_status(v);

	if (status == VIO_ST_ALL_ONES)
		return -ENODEV;
	/* Every other bit is gone: the reset is over, and the device has failed anew. This never becomes 0 by itself. */
	if (status == VIO_ST_NEEDS_RESET)
		vio_reset_ask(v);
	/* Nothing else may be written before this reads 0 [4.1.4.3.2]. */
	return status ? 1 : 0;
}

static int gone(struct err *e)
{
	return err_set(e, -ENODEV, "the device does not answer (all ones); is it still plugged in?");
}

int vio_reset_wait(struct vio *v, struct err *e)
{
	uint64_t until = clock_ns() + v->times->reset * NS_PER_MS;
	int r;

	if (vio_status(v) == VIO_ST_ALL_ONES)
		return gone(e);
	vio_reset_ask(v);
	while ((r = vio_reset_look(v)) > 0 && clock_ns() < until)
		clock_sleep_ms(1);
	if (r == -ENODEV)
		return gone(e);
	if (r > 0)
		return err_set(e, -ETIMEDOUT,
			"the device does not end its reset within %u s; restart the virtual machine, or the "
			"host's "
			"process that serves the device",
			v->times->reset / 1000);
	return 0;
}

/* --- features --- */

static uint64_t features_offered(const struct vio *v)
{
	uint64_t f;

	common_set32(v, VIO_DEVICE_FEATURE_SELECT, 0);
	f = common_get32(v, VIO_DEVICE_FEATURE);
	common_set32(v, VIO_DEVICE_FEATURE_SELECT, 1);
	return f | (uint64_t)common_get32(v, VIO_DEVICE_FEATURE) << 32;
}

static void features_accept(const struct vio *v, uint64_t f)
{
	common_set32(v, VIO_DRIVER_FEATURE_SELECT, 0);
	common_set32(v, VIO_DRIVER_FEATURE, (uint32_t)f);
	common_set32(v, VIO_DRIVER_FEATURE_SELECT, 1);
	common_set32(v, VIO_DRIVER_FEATURE, (uint32_t)(f >> 32));
}

/* Left out on purpose: INOUT and T10_PI (no such requests come), the packed ring, event suppression by index (the
 * flag does). Several request queues need no feature. */
static int choose(const struct vio *v, uint64_t offered, uint64_t *ret, struct err *e)
{
	const uint64_t wanted = VIO_F_SCSI_HOTPLUG | VIO_F_SCSI_CHANGE | VIO_F_INDIRECT_DESC |
				VIO_F_VERSION_1 | VIO_F_ACCESS_PLATFORM | VIO_F_ORDER_PLATFORM;

	if (!(offered & VIO_F_VERSION_1))
		return err_set(e, -ENOTSUP,
			"the device does not offer VERSION_1: it is older than virtio 1.0; in QEMU, set "
			"disable-modern=off");
	/* Such a device takes our I/O virtual addresses for physical ones: it would write into anybody's memory. One
	 * that another process serves over a socket knows no other memory than what we hand it. */
	if (!(offered & VIO_F_ACCESS_PLATFORM) && !v->h->pci->dma_unpinned)
		return err_set(e, -ENOTSUP,
			"the device does not offer ACCESS_PLATFORM, so its DMA would go past the IOMMU; in "
			"QEMU, set "
			"iommu_platform=on and disable-legacy=on for it");
	*ret = offered & wanted;
	return 0;
}

int vio_negotiate(struct vio *v, struct err *e)
{
	uint64_t offered, f = 0;
	int r;

	status_add(v, VIO_ST_ACKNOWLEDGE);
	status_add(v, VIO_ST_DRIVER);
	offered = features_offered(v);
	if (vio_status(v) == VIO_ST_ALL_ONES)
		return gone(e);
	r = choose(v, offered, &f, e);
	if (r < 0)
		return r;
	/* Limits were declared from what was agreed at first; memory is laid out for it. */
	if (v->features && f != v->features)
		return err_set(e, -EIO,
			"the device offers other features after a reset (%llxh) than before (%llxh)",
			(unsigned long long)f, (unsigned long long)v->features);
	features_accept(v, f);
	status_add(v, VIO_ST_FEATURES_OK);
	if (!(vio_status(v) & VIO_ST_FEATURES_OK))
		return err_set(e, -ENOTSUP,
			"the device refuses the features that it has offered (%llxh of %llxh)",
			(unsigned long long)f, (unsigned long long)offered);
	v->features = f;
	return 0;
}

/* --- device configuration [5.6.4] --- */

static uint32_t config_get32(const struct vio *v, unsigned field)
{
	const struct vio_area *a = &v->area[VIO_CAP_DEVICE];

	return pci_read32(v->h->pci, a->bar, a->offset + field);
}

static void config_set32(const struct vio *v, unsigned field, uint32_t val)
{
	const struct vio_area *a = &v->area[VIO_CAP_DEVICE];

	pci_write32(v->h->pci, a->bar, a->offset + field, val);
}

static void config_read_once(const struct vio *v, struct vio_config *c)
{
	const struct vio_area *a = &v->area[VIO_CAP_DEVICE];

	*c = (struct vio_config){
		.num_queues = config_get32(v, VIO_CFG_NUM_QUEUES),
		.seg_max = config_get32(v, VIO_CFG_SEG_MAX),
		.max_sectors = config_get32(v, VIO_CFG_MAX_SECTORS),
		.cmd_per_lun = config_get32(v, VIO_CFG_CMD_PER_LUN),
		.event_info_size = config_get32(v, VIO_CFG_EVENT_INFO_SIZE),
		.max_target = pci_read16(v->h->pci, a->bar, a->offset + VIO_CFG_MAX_TARGET),
		.max_lun = config_get32(v, VIO_CFG_MAX_LUN),
		.all_queues = common_get16(v, VIO_NUM_QUEUES),
	};
}

/* A reset sets both to what we want; a device that does otherwise is told. */
static int config_sizes(const struct vio *v, struct err *e)
{
	if (config_get32(v, VIO_CFG_SENSE_SIZE) != VIO_SENSE_SIZE)
		config_set32(v, VIO_CFG_SENSE_SIZE, VIO_SENSE_SIZE);
	if (config_get32(v, VIO_CFG_CDB_SIZE) != VIO_CDB_SIZE)
		config_set32(v, VIO_CFG_CDB_SIZE, VIO_CDB_SIZE);
	if (config_get32(v, VIO_CFG_SENSE_SIZE) != VIO_SENSE_SIZE ||
		config_get32(v, VIO_CFG_CDB_SIZE) != VIO_CDB_SIZE)
		return err_set(e, -EIO, "the device does not take CDBs of %u and sense data of %u bytes",
			VIO_CDB_SIZE, VIO_SENSE_SIZE);
	return 0;
}

int vio_config_read(struct vio *v, struct err *e)
{
	unsigned need = MAX(v->n_queues, VIO_Q_REQUEST + 1u), tries = 0;
	uint8_t before, after;

	/* The same generation before and after: all fields are of one moment [2.5.1]. */
	do {
		before = common_get8(v, VIO_CONFIG_GENERATION);
		config_read_once(v, &v->config);
		after = common_get8(v, VIO_CONFIG_GENERATION);
	} while (before != after && ++tries < CONFIG_TRIES);
	if (before != after)
		return err_set(e, -EIO, "the device's configuration changes all the time");
	if (v->config.num_queues < need - VIO_Q_REQUEST || !v->config.seg_max || v->config.all_queues < need)
		return err_set(e, -EIO,
			"the device has %u request queues, %u queues in all, and takes %u segments",
			v->config.num_queues, v->config.all_queues, v->config.seg_max);
	return config_sizes(v, e);
}

/* --- queues [4.1.5.1.3] --- */

uint16_t vio_queue_max(const struct vio *v, uint16_t index, uint16_t limit)
{
	uint16_t size;

	common_set16(v, VIO_QUEUE_SELECT, index);
	size = common_get16(v, VIO_QUEUE_SIZE);
	/* A power of two, or it is no split ring. */
	if (!size || size & (size - 1))
		return 0;
	return MIN(size, limit);
}

static bool vector_is_taken(const struct vio *v, unsigned reg, uint16_t vector)
{
	common_set16(v, reg, vector);
	/* A device that has no room for the vector says so by this [4.1.5.1.2]. */
	return common_get16(v, reg) == vector;
}

static int first_vector(const struct vio *v, unsigned reg, struct err *e)
{
	if (v->irq != PCI_IRQ_MSIX || vector_is_taken(v, reg, 0))
		return 0;
	return err_set(e, -EIO, "the device does not take an MSI-X vector");
}

/* A lane's own one, if there is one; else the first, which wakes the lane. */
static int queue_vector(struct vio *v, const struct vio_ring *q, struct err *e)
{
	unsigned lane = q->index > VIO_Q_REQUEST ? q->index - VIO_Q_REQUEST : 0;
	bool own = lane && v->irq == PCI_IRQ_MSIX && lane < v->n_vectors;

	own = own && vector_is_taken(v, VIO_QUEUE_VECTOR, (uint16_t)lane);
	v->lane[lane].by_first = lane && !own;
	return own ? 0 : first_vector(v, VIO_QUEUE_VECTOR, e);
}

static int queue_enable(struct vio *v, struct vio_ring *q, struct err *e)
{
	const struct vio_area *notify = &v->area[VIO_CAP_NOTIFY];
	uint64_t off;
	int r;

	if (vio_queue_max(v, q->index, q->size) != q->size || common_get16(v, VIO_QUEUE_ENABLE))
		return err_set(e, -EIO, "queue %u of the device is not as it was (size %u)", q->index,
			common_get16(v, VIO_QUEUE_SIZE));
	common_set16(v, VIO_QUEUE_SIZE, q->size);
	r = queue_vector(v, q, e);
	if (r < 0)
		return r;
	off = (uint64_t)common_get16(v, VIO_QUEUE_NOTIFY_OFF) * v->notify_multiplier;
	if (off + sizeof(uint16_t) > notify->length)
		return err_set(e, -EIO, "queue %u of the device has its doorbell outside the BAR", q->index);
	q->notify = notify->offset + off;
	vio_ring_clear(q);
	common_set64(v, VIO_QUEUE_DESC, q->iova_desc);
	common_set64(v, VIO_QUEUE_DRIVER, q->iova_avail);
	common_set64(v, VIO_QUEUE_DEVICE, q->iova_used);
	common_set16(v, VIO_QUEUE_ENABLE, 1);
	return 0;
}

static void forget_all(struct vio *v)
{
	for (uint32_t i = 0; i <= v->depth; i++)
		v->slot[i].at_device = false;
	memset(v->event_posted, 0, sizeof(v->event_posted));
	v->polled_done = false;
	vio_tmfs_forget(v);
	vio_turns_forget(v);
}

/* The core may have been told to use fewer than there are, which is not known before. */
static void share_slots(struct vio *v)
{
	for (unsigned i = 0; i < v->h->n_lanes; i++) {
		struct vio_lane *l = &v->lane[i];

		l->first_tag = hba_lane_tags(v->h, i, &l->n_tags);
		assert(l->n_tags <= v->ring[VIO_Q_REQUEST + i].size / v->stride);
	}
	assert(v->lane[0].n_tags <= v->per_lane);
}

int vio_run(struct vio *v, struct err *e)
{
	int r;

	forget_all(v);
	share_slots(v);
	r = first_vector(v, VIO_CONFIG_VECTOR, e);
	for (unsigned i = 0; r == 0 && i < v->n_queues; i++)
		r = queue_enable(v, &v->ring[i], e);
	if (r < 0)
		return r;
	status_add(v, VIO_ST_DRIVER_OK);
	vio_events_post(v);
	vio_kick(v, &v->ring[VIO_Q_EVENT]);
	v->health_ns = clock_ns();
	return 0;
}

int vio_health(struct vio *v)
{
	uint8_t status = vio_status(v);

	if (status == VIO_ST_ALL_ONES)
		return -ENODEV;
	if (status & VIO_ST_NEEDS_RESET || !(status & VIO_ST_DRIVER_OK)) {
		log_warn("%s: the device stopped (status %02xh)%s", v->h->pci->uri, status,
			status & VIO_ST_NEEDS_RESET ? " and asks for a reset" : "");
		return -EIO;
	}
	return 0;
}
