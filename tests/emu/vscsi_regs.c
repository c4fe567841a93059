/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers of the virtio SCSI host: its capabilities and the structures that they point to [4.1.4, 5.6.4]. */
#include <string.h>

#include "vscsi.h"

const uint64_t vs_features =
	VF_HOTPLUG | VF_CHANGE | VF_INDIRECT_DESC | VF_EVENT_IDX | VF_VERSION_1 | VF_ACCESS_PLATFORM;

/* --- capabilities [4.1.4] --- */

enum { CFG_CAP = 0x34, CAP_COMMON_AT = 0x40, CAP_NOTIFY_AT = 0x50, CAP_ISR_AT = 0x74, CAP_DEVICE_AT = 0x84 };
enum { CAP_ACCESS_AT = 0xdc };
enum { CAP_TYPE = 3, CAP_BAR = 4, CAP_OFFSET = 8, CAP_LENGTH = 12, CAP_NOTIFY_FACTOR = 16, CAP_WINDOW = 16 };
enum { TYPE_COMMON = 1, TYPE_NOTIFY, TYPE_ISR, TYPE_DEVICE, TYPE_ACCESS };
/* Nothing begins at 0, and they are not in the order of their types: a driver has to read this. */
enum { DEVICE_BASE = 0x400, ISR_BASE = 0x1000, COMMON_BASE = 0x2000, NOTIFY_BASE = 0x3000 };
enum { COMMON_SIZE = 0x38, DEVICE_SIZE = 0x24, NOTIFY_FACTOR = 16 };

static void put_cap(
	uint8_t *cfg, uint8_t at, uint8_t next, uint8_t len, uint8_t type, uint32_t offset, uint32_t length)
{
	uint8_t *p = cfg + at;

	p[0] = 0x09; /* vendor-specific */
	p[1] = next;
	p[2] = len;
	p[CAP_TYPE] = type;
	p[CAP_BAR] = VBAR;
	vs_put32(p + CAP_OFFSET, offset);
	vs_put32(p + CAP_LENGTH, length);
}

void vs_config(const struct model *m, uint8_t *cfg, uint8_t *writable)
{
	put_cap(cfg, CAP_NOTIFY_AT, CAP_COMMON_AT, 20, TYPE_NOTIFY, NOTIFY_BASE, VS_QUEUES * NOTIFY_FACTOR);
	vs_put32(cfg + CAP_NOTIFY_AT + CAP_NOTIFY_FACTOR, NOTIFY_FACTOR);
	put_cap(cfg, CAP_COMMON_AT, CAP_DEVICE_AT, 16, TYPE_COMMON, COMMON_BASE, COMMON_SIZE);
	put_cap(cfg, CAP_DEVICE_AT, CAP_ISR_AT, 16, TYPE_DEVICE, DEVICE_BASE, DEVICE_SIZE);
	put_cap(cfg, CAP_ISR_AT, CAP_ACCESS_AT, 16, TYPE_ISR, ISR_BASE, 1);
	put_cap(cfg, CAP_ACCESS_AT, cfg[CFG_CAP], 20, TYPE_ACCESS, 0, 0);
	cfg[CFG_CAP] = CAP_NOTIFY_AT;
	writable[CAP_ACCESS_AT + CAP_BAR] = 0xff;
	memset(writable + CAP_ACCESS_AT + CAP_OFFSET, 0xff, 12);
}

void vs_config_window(struct ctrl *c, uint8_t *cfg, uint64_t off, uint32_t len, bool write)
{
	uint8_t *p = cfg + CAP_ACCESS_AT;
	const uint64_t at = CAP_ACCESS_AT + CAP_WINDOW;
	uint32_t offset = vs_get32(p + CAP_OFFSET), width = vs_get32(p + CAP_LENGTH);
	uint64_t value = 0;

	if (off + len <= at || off >= at + 4)
		return;
	/* Whoever copies all of configuration space, as the kernel's VFIO does, reads it without having opened it. */
	if (!write && !width)
		return;
	/* [4.1.4.9.1]: 1, 2 or 4, aligned, and within the BAR */
	if (p[CAP_BAR] != VBAR || (width != 1 && width != 2 && width != 4) || offset % width ||
		offset >= 0x4000) {
		vs_wrong(vscsi_of(c), "the window is %u bytes at %x of BAR %u", width, offset, p[CAP_BAR]);
		return;
	}
	if (write) {
		memcpy(&value, p + CAP_WINDOW, width);
		vs_access(c, VBAR, offset, width, true, le64toh(value));
	} else {
		value = htole64(vs_access(c, VBAR, offset, width, false, 0));
		memcpy(p + CAP_WINDOW, &value, 4);
	}
}

/* --- common configuration [4.1.4.3] --- */

enum common {
	C_DEVICE_FEATURE_SELECT = 0x00,
	C_DEVICE_FEATURE = 0x04,
	C_DRIVER_FEATURE_SELECT = 0x08,
	C_DRIVER_FEATURE = 0x0c,
	C_CONFIG_VECTOR = 0x10,
	C_NUM_QUEUES = 0x12,
	C_STATUS = 0x14,
	C_GENERATION = 0x15,
	C_QUEUE_SELECT = 0x16,
	C_QUEUE_SIZE = 0x18,
	C_QUEUE_VECTOR = 0x1a,
	C_QUEUE_ENABLE = 0x1c,
	C_QUEUE_NOTIFY_OFF = 0x1e,
	C_QUEUE_DESC = 0x20,
	C_QUEUE_DRIVER = 0x28,
	C_QUEUE_DEVICE = 0x30,
};

static uint32_t half(uint64_t v, uint32_t which)
{
	return which == 0 ? (uint32_t)v : which == 1 ? (uint32_t)(v >> 32) : 0;
}

static void set_half(uint64_t *v, bool high, uint32_t to)
{
	*v = high ? (uint64_t)to << 32 | (uint32_t)*v : (*v & ~(uint64_t)UINT32_MAX) | to;
}

/* NULL for one that there is not; its size reads as 0 then. */
static struct vs_queue *selected(struct vscsi *v)
{
	return v->queue_select < VQ_REQUEST + v->n_queues ? &v->queue[v->queue_select] : NULL;
}

/* How wide each register is; the halves of addresses are registers of their own [4.1.3.1]. 0: there is none. */
static unsigned width_of(uint32_t off)
{
	if (off < C_CONFIG_VECTOR || off >= C_QUEUE_DESC)
		return off % 4 ? 0 : 4;
	if (off == C_STATUS || off == C_GENERATION)
		return 1;
	return off % 2 ? 0 : 2;
}

static uint32_t queue_read(const struct vscsi *v, const struct vs_queue *q, uint32_t off)
{
	const uint64_t *address[] = {&q->desc, &q->driver, &q->device};

	switch (off) {
	case C_QUEUE_SIZE:
		return q->size;
	case C_QUEUE_VECTOR:
		return q->vector;
	case C_QUEUE_ENABLE:
		return q->enabled;
	case C_QUEUE_NOTIFY_OFF:
		return v->queue_select;
	}
	return half(*address[(off - C_QUEUE_DESC) / 8], off >> 2 & 1);
}

static uint32_t common_read(struct vscsi *v, uint32_t off)
{
	const struct vs_queue *q = selected(v);

	switch (off) {
	case C_DEVICE_FEATURE_SELECT:
		return v->device_select;
	case C_DEVICE_FEATURE:
		return half(vs_features, v->device_select);
	case C_DRIVER_FEATURE_SELECT:
		return v->driver_select;
	case C_DRIVER_FEATURE:
		return half(v->features, v->driver_select);
	case C_CONFIG_VECTOR:
		return v->config_vector;
	case C_NUM_QUEUES:
		return VQ_REQUEST + v->n_queues;
	case C_STATUS:
		return v->status;
	case C_GENERATION:
		return 0; /* nothing in the device's configuration changes by itself */
	case C_QUEUE_SELECT:
		return v->queue_select;
	}
	return q ? queue_read(v, q, off) : 0;
}

static void write_feature(struct vscsi *v, uint32_t val)
{
	if (v->status & VST_FEATURES_OK)
		vs_wrong(v, "features are written after FEATURES_OK");
	else if (v->driver_select <= 1)
		set_half(&v->features, v->driver_select, val);
	else if (val)
		vs_wrong(v, "features of the word %u", v->driver_select);
}

/* [3.1.1, 2.2.2]: accepted only as a whole. */
static bool features_fit(struct vscsi *v)
{
	if (v->features & ~vs_features)
		vs_wrong(v, "features %llx were never offered",
			(unsigned long long)(v->features & ~vs_features));
	return !(v->features & ~vs_features) && v->features & VF_VERSION_1;
}

static void write_status(struct vscsi *v, uint8_t val)
{
	uint8_t fresh = val & (uint8_t)~v->status;

	v->lost = false;
	if (!val) {
		v->env->stats->resets += v->status != 0;
		vs_reset(v);
		return;
	}
	if (v->status & (uint8_t)~val & (uint8_t)~VST_NEEDS_RESET)
		vs_wrong(v, "status %02x after %02x takes bits back", val, v->status);
	if (fresh & VST_FEATURES_OK && !features_fit(v))
		fresh &= (uint8_t)~VST_FEATURES_OK;
	if (fresh & VST_DRIVER_OK && !((v->status | fresh) & VST_FEATURES_OK)) {
		vs_wrong(v, "DRIVER_OK without FEATURES_OK");
		fresh &= (uint8_t)~VST_DRIVER_OK;
	}
	v->status |= fresh & (uint8_t)~VST_NEEDS_RESET;
	if (fresh & VST_DRIVER_OK)
		v->env->stats->inits++;
}

/* A vector that there is not is refused by reading as none [4.1.5.1.2.1]. */
static uint16_t vector(uint32_t val)
{
	return val < VS_VECTORS ? (uint16_t)val : VS_NO_VECTOR;
}

static void enable(struct vscsi *v, struct vs_queue *q, uint32_t val)
{
	if (val != 1 || !(v->status & VST_FEATURES_OK)) {
		vs_wrong(v, "queue %u: enable is written %u at status %02x", v->queue_select, val, v->status);
		return;
	}
	/* [2.7]: alignment of the parts, and a power of two */
	if (q->desc % 16 || q->driver % 2 || q->device % 4 || !q->size || q->size & (q->size - 1)) {
		vs_wrong(v, "queue %u of %u: parts at %llx, %llx, %llx", v->queue_select, q->size,
			(unsigned long long)q->desc, (unsigned long long)q->driver,
			(unsigned long long)q->device);
		vs_broken(v);
		return;
	}
	q->enabled = true;
}

static void queue_write(struct vscsi *v, struct vs_queue *q, uint32_t off, uint32_t val)
{
	uint64_t *address[] = {&q->desc, &q->driver, &q->device};

	/* [4.1.4.3.2]: only its vector may change then. */
	if (q->enabled && off != C_QUEUE_VECTOR) {
		vs_wrong(v, "queue %u is set up again at %x although it is enabled", v->queue_select, off);
	} else if (off == C_QUEUE_SIZE) {
		if (val > q->size_max)
			vs_wrong(v, "queue %u: size %u of %u", v->queue_select, val, q->size_max);
		else
			q->size = (uint16_t)val;
	} else if (off == C_QUEUE_VECTOR) {
		q->vector = vector(val);
	} else if (off == C_QUEUE_ENABLE) {
		enable(v, q, val);
	} else if (off >= C_QUEUE_DESC) {
		set_half(address[(off - C_QUEUE_DESC) / 8], off >> 2 & 1, val);
	} else {
		vs_wrong(v, "%x cannot be written", off);
	}
}

static void common_write(struct vscsi *v, uint32_t off, uint32_t val)
{
	struct vs_queue *q = selected(v);

	switch (off) {
	case C_DEVICE_FEATURE_SELECT:
		v->device_select = val;
		return;
	case C_DRIVER_FEATURE_SELECT:
		v->driver_select = val;
		return;
	case C_DRIVER_FEATURE:
		write_feature(v, val);
		return;
	case C_CONFIG_VECTOR:
		v->config_vector = vector(val);
		return;
	case C_STATUS:
		write_status(v, (uint8_t)val);
		return;
	case C_QUEUE_SELECT:
		v->queue_select = (uint16_t)val;
		return;
	case C_DEVICE_FEATURE:
	case C_NUM_QUEUES:
	case C_GENERATION:
		vs_wrong(v, "%x cannot be written", off);
		return;
	}
	if (q)
		queue_write(v, q, off, val);
	else
		vs_wrong(v, "queue %u is set up, which there is not", v->queue_select);
}

static uint32_t common(struct vscsi *v, uint32_t off, unsigned width, bool write, uint32_t val)
{
	if (width != width_of(off)) {
		vs_wrong(v, "%u bytes at %x of the common configuration", width, off);
		return 0;
	}
	if (!write)
		return common_read(v, off);
	common_write(v, off, val);
	return 0;
}

/* --- the SCSI host's own [5.6.4] --- */

enum { D_SENSE_SIZE = 0x14, D_CDB_SIZE = 0x18 };

static void build_device(const struct vscsi *v, uint8_t *p)
{
	const struct model_options *o = &v->env->opt;

	vs_put32(p, v->n_queues);
	vs_put32(p + 0x04, o->max_sge);
	vs_put32(p + 0x08, MIN(o->max_strips, VS_DATA_MAX / 8192) * 16); /* sectors of 512 bytes */
	vs_put32(p + 0x0c, v->queue[VQ_REQUEST].size_max);
	vs_put32(p + 0x10, 16); /* of an event */
	vs_put32(p + D_SENSE_SIZE, v->sense_size);
	vs_put32(p + D_CDB_SIZE, v->cdb_size);
	vs_put32(p + 0x1c, (uint32_t)(VS_TARGETS - 1) << 16); /* max_channel 0, max_target */
	vs_put32(p + 0x20, VS_MAX_LUN);
}

static void device_write(struct vscsi *v, uint32_t off, unsigned width, uint32_t val)
{
	if (width != 4 || (off != D_SENSE_SIZE && off != D_CDB_SIZE) || val > VS_SIZES_MAX ||
		(off == D_CDB_SIZE && val < 16) || v->status & VST_DRIVER_OK)
		vs_wrong(v, "%u is written to %x of the configuration, in %u bytes", val, off, width);
	else if (off == D_SENSE_SIZE)
		v->sense_size = val;
	else
		v->cdb_size = val;
}

static uint64_t device(struct vscsi *v, uint32_t off, unsigned width, bool write, uint32_t val)
{
	uint8_t p[DEVICE_SIZE];
	/* max_channel and max_target are half words. */
	unsigned natural = off == 0x1c || off == 0x1e ? 2 : 4;
	uint32_t word;

	if (write) {
		device_write(v, off, width, val);
		return 0;
	}
	if (width != natural) {
		vs_wrong(v, "%u bytes at %x of the configuration", width, off);
		return 0;
	}
	build_device(v, p);
	word = vs_get32(p + (off & ~3u));
	return natural == 4 ? word : off & 2 ? word >> 16 : word & 0xffff;
}

/* --- the rest --- */

/* Reading it takes it back, and the line with it [4.1.4.5]. */
static uint64_t isr(struct vscsi *v, unsigned width, bool write)
{
	uint8_t was = v->isr;

	if (write || width != 1) {
		vs_wrong(v, "the ISR is a byte to be read");
		return 0;
	}
	v->isr = 0;
	v->env->bus->ops->line(v->env->bus, false);
	return was;
}

/* [4.1.4.4, 4.1.5.2]: the queue's number to its own place */
static void kick(struct vscsi *v, uint32_t off, unsigned width, uint32_t val)
{
	unsigned queue = off / NOTIFY_FACTOR;

	/* Who does not know yet that it needs a reset is not wrong. */
	if (v->status & VST_NEEDS_RESET || v->lost)
		return;
	if (width != 2 || off % NOTIFY_FACTOR || val != queue || queue >= VQ_REQUEST + v->n_queues)
		vs_wrong(v, "notification %x of %u bytes at %x", val, width, off);
	else if (!(v->status & VST_DRIVER_OK) || !v->queue[queue].enabled)
		vs_wrong(v, "notification of queue %u, which is not up", queue);
	else
		v->queue[queue].kicked = true;
}

static uint64_t msix(struct vscsi *v, uint64_t off, unsigned width, bool write, uint64_t val)
{
	if (off + width > sizeof(v->msix))
		return 0;
	if (write)
		memcpy((uint8_t *)v->msix + off, &val, width);
	else
		memcpy(&val, (uint8_t *)v->msix + off, width);
	return val;
}

uint64_t vs_access(struct ctrl *c, unsigned bar, uint64_t off, unsigned width, bool write, uint64_t value)
{
	struct vscsi *v = vscsi_of(c);
	uint32_t val = (uint32_t)value;

	if (bar == VBAR_MSIX)
		return msix(v, off, width, write, value);
	if (off >= NOTIFY_BASE && off < NOTIFY_BASE + VS_QUEUES * NOTIFY_FACTOR && write) {
		kick(v, (uint32_t)off - NOTIFY_BASE, width, val);
		return 0;
	}
	if (off >= COMMON_BASE && off < COMMON_BASE + COMMON_SIZE)
		return common(v, (uint32_t)off - COMMON_BASE, width, write, val);
	if (off == ISR_BASE)
		return isr(v, width, write);
	if (off >= DEVICE_BASE && off < DEVICE_BASE + DEVICE_SIZE)
		return device(v, (uint32_t)off - DEVICE_BASE, width, write, val);
	vs_wrong(v, "%u bytes at %x, where nothing is", width, (unsigned)off);
	return 0;
}
