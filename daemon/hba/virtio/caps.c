/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a device has its structures: the vendor-specific capabilities of configuration space [4.1.4]. What they say is
 * checked against the BARs; a structure that cannot be used is passed over for the next one of its type.
 */
#include "vio.h"

#include <errno.h>
#include <string.h>

/* PCI Local Bus Specification 3.0, 6.2.3 and 6.7 */
#define CFG_STATUS	 0x06
#define CFG_STATUS_CAPS	 0x0010
#define CFG_CAPS	 0x34
#define CFG_FIRST	 0x40
#define CFG_SIZE	 0x100
#define CFG_MAX_CAPS	 48 /* as many fit behind the header; more is a circle */
#define STRUCTURE_MAX	 (16u << 20)
#define MULTIPLIER_LIMIT (1u << 20)

/* What must fit into each structure, and how it must lie [4.1.4.3 to 4.1.4.6] */
static const struct {
	const char *name;
	uint32_t min, align;
} need[VIO_N_CAPS] = {
	[VIO_CAP_COMMON] = {"common configuration", VIO_COMMON_SIZE, 4},
	[VIO_CAP_NOTIFY] = {"notification", 2, 2},
	[VIO_CAP_ISR] = {"interrupt status", 1, 1},
	[VIO_CAP_DEVICE] = {"device configuration", VIO_CFG_SIZE, 4},
};

static int cfg32(const struct vio *v, unsigned off, uint32_t *ret)
{
	uint32_t raw;
	int r = v->h->pci->ops->cfg_read(v->h->pci, off, &raw, sizeof(raw));

	if (r == 0)
		*ret = le32toh(raw);
	return r;
}

static bool usable(const struct vio *v, unsigned type, const struct vio_area *a)
{
	const struct pci_bar *bar;

	if (a->bar >= PCI_NUM_BARS)
		return false; /* reserved values are to be ignored */
	bar = &v->h->pci->bar[a->bar];
	/* Ports are left to those without memory. */
	return bar->size && !bar->is_io && a->length >= need[type].min && a->offset % need[type].align == 0 &&
	       a->offset <= bar->size && a->length <= bar->size - a->offset;
}

static int take_multiplier(struct vio *v, unsigned at, unsigned cap_len)
{
	uint32_t m = 0;
	int r;

	if (cap_len < VIO_CAP_NOTIFY_SIZE || at + VIO_CAP_NOTIFY_SIZE > CFG_SIZE)
		return -EBADMSG;
	r = cfg32(v, at + VIO_CAP_NOTIFY_MULTIPLIER, &m);
	if (r < 0)
		return r;
	/* Even, so that 16-bit registers are aligned; bounded, so that the sums below cannot overflow. */
	if (m % 2 || m > MULTIPLIER_LIMIT)
		return -EBADMSG;
	v->notify_multiplier = m;
	return 0;
}

/* One vendor-specific capability. What does not make sense is passed over; an error is one of the bus. */
static int take_cap(struct vio *v, unsigned at, uint32_t head)
{
	unsigned cap_len = head >> (8 * VIO_CAP_LEN) & 0xff, type = head >> (8 * VIO_CAP_TYPE) & 0xff;
	struct vio_area a = {0};
	uint32_t bar = 0;
	int r;

	if (type < VIO_CAP_COMMON || type >= VIO_N_CAPS || v->area[type].length || cap_len < VIO_CAP_SIZE ||
		at + VIO_CAP_SIZE > CFG_SIZE)
		return 0;
	r = cfg32(v, at + VIO_CAP_BAR, &bar);
	if (r == 0)
		r = cfg32(v, at + VIO_CAP_OFFSET, &a.offset);
	if (r == 0)
		r = cfg32(v, at + VIO_CAP_LENGTH, &a.length);
	if (r < 0)
		return r;
	a.bar = (uint8_t)bar;
	if (!usable(v, type, &a))
		return 0;
	if (type == VIO_CAP_NOTIFY) {
		r = take_multiplier(v, at, cap_len);
		if (r < 0)
			return r == -EBADMSG ? 0 : r;
	}
	/* A structure may be larger than any that exists now. */
	a.length = MIN(a.length, STRUCTURE_MAX);
	v->area[type] = a;
	return 0;
}

static int walk(struct vio *v)
{
	uint32_t word = 0;
	unsigned at;
	int r = cfg32(v, PCI_CFG_COMMAND, &word);

	if (r < 0)
		return r;
	if (!(word >> 16 & CFG_STATUS_CAPS))
		return 0;
	r = cfg32(v, CFG_CAPS, &word);
	at = word & 0xfc;
	for (unsigned i = 0; r == 0 && i < CFG_MAX_CAPS && at >= CFG_FIRST; i++) {
		r = cfg32(v, at, &word);
		if (r == 0 && (word & 0xff) == VIO_PCI_CAP_ID)
			r = take_cap(v, at, word);
		at = word >> 8 & 0xfc;
	}
	return r;
}

static int map_areas(struct vio *v, struct err *e)
{
	int r = 0;

	for (unsigned t = VIO_CAP_COMMON; r == 0 && t < VIO_N_CAPS; t++)
		r = pci_map_bar(v->h->pci, v->area[t].bar, e);
	return r;
}

int vio_caps_read(struct vio *v, struct err *e)
{
	int r;

	memset(v->area, 0, sizeof(v->area));
	r = walk(v);
	if (r < 0)
		return err_set(e, r, "configuration space cannot be read: %s", strerror(-r));
	for (unsigned t = VIO_CAP_COMMON; t < VIO_N_CAPS; t++)
		if (!v->area[t].length)
			return err_set(e, -ENOTSUP,
				"the device has no usable %s structure in a memory BAR: it is not a virtio "
				"1.x "
				"device, or offers only the legacy interface; in QEMU, set "
				"disable-modern=off",
				need[t].name);
	return map_areas(v, e);
}
