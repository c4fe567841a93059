/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Regions of a VFIO device: where they are, mapping BARs, and access to what cannot be mapped. */
#include "vfio.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "barguard.h"
#include "base/cleanup.h"
#include "cfgspace.h"

#define REGION_MIN sizeof(struct vfio_region_info)

/* How much of a region can be mapped, from its beginning. An MSI-X table in the BAR makes kernels before 4.16
 * leave a hole; firmware registers lie in front of it on every controller we know, the rest goes through read
 * and write. */
static int mappable(const struct vfio_region_info *info, const uint8_t *buf, size_t len, uint64_t *ret)
{
	uint32_t first = info->flags & VFIO_REGION_INFO_FLAG_CAPS ? info->cap_offset : 0;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	int off, r;

	*ret = 0;
	if (!(info->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;
	off = vfio_cap_find(buf, len, first, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	if (off == -ENOENT) {
		*ret = info->size;
		return 0;
	}
	if (off < 0)
		return off;
	r = vfio_cap_sparse(buf, len, (size_t)off, info->size, ret);
	if (*ret < info->size)
		*ret &= ~(page - 1);
	return r;
}

static int read_region(struct vfio_dev *v, uint32_t index, struct vfio_region *ret, struct err *e)
{
	struct vfio_region_info info = {.argsz = REGION_MIN, .index = index};
	hb_autofree uint8_t *buf = NULL;
	int r = vfio_info(v->sys, v->device, VFIO_DEVICE_GET_REGION_INFO, &info, REGION_MIN, &buf);

	if (r >= 0) {
		memcpy(&info, buf, sizeof(info));
		*ret = (struct vfio_region){.off = info.offset, .size = info.size, .flags = info.flags};
		r = mappable(&info, buf, (size_t)r, &ret->mappable);
	}
	if (r < 0)
		return err_set(e, r, "%s: the kernel's information on region %u makes no sense: %s", v->addr,
			index, strerror(-r));
	return 0;
}

int vfio_regions_read(struct vfio_dev *v, struct err *e)
{
	int r = read_region(v, VFIO_PCI_CONFIG_REGION_INDEX, &v->cfg, e);

	for (unsigned i = 0; r == 0 && i < PCI_NUM_BARS; i++) {
		r = read_region(v, VFIO_PCI_BAR0_REGION_INDEX + i, &v->bar[i], e);
		if (r < 0 || !v->bar[i].size)
			continue;
		r = cfgspace_bar_is_io(&v->pci, i, &v->pci.bar[i].is_io);
		if (r < 0)
			return err_set(
				e, r, "%s: cannot read configuration space: %s", v->addr, strerror(-r));
		v->pci.bar[i].size = v->bar[i].size;
	}
	return r;
}

int vfio_map_bar(struct pci_dev *dev, unsigned n, struct err *e)
{
	struct vfio_dev *v = vfio_of(dev);
	const struct vfio_region *b = &v->bar[n];
	int prot = 0;
	void *p;

	if (!b->mappable)
		return 0;
	if (b->flags & VFIO_REGION_INFO_FLAG_READ)
		prot |= PROT_READ;
	if (b->flags & VFIO_REGION_INFO_FLAG_WRITE)
		prot |= PROT_WRITE;
	p = v->sys->mmap(NULL, b->mappable, prot, MAP_SHARED, v->device, (off_t)b->off);
	/* Old kernels announce a mapping that they then refuse, for the sake of the MSI-X table. */
	if (p == MAP_FAILED && errno == EINVAL)
		return 0;
	if (p == MAP_FAILED)
		return err_set(e, -errno, "%s: cannot map BAR %u (%llu bytes): %m%s", dev->uri, n,
			(unsigned long long)b->size,
			errno == EBUSY ? "; another kernel driver has claimed its addresses, see /proc/iomem"
				       : "");
	dev->bar[n].map = p;
	dev->bar[n].map_len = b->mappable;
	barguard_add(p, b->mappable, dev->request_fd);
	return 0;
}

void vfio_unmap_bars(struct vfio_dev *v)
{
	for (unsigned i = 0; i < PCI_NUM_BARS; i++) {
		struct pci_bar *b = &v->pci.bar[i];

		if (b->map)
			barguard_remove(b->map);
		if (b->map)
			v->sys->munmap((void *)(uintptr_t)b->map, b->map_len);
		b->map = NULL;
		b->map_len = 0;
	}
}

static bool in_bar(const struct vfio_region *b, uint64_t off, unsigned len)
{
	return b->size >= len && off <= b->size - len;
}

uint32_t vfio_bar_read_part(struct pci_dev *dev, unsigned n, uint64_t off, unsigned len)
{
	struct vfio_dev *v = vfio_of(dev);
	uint32_t val = 0;

	if (!in_bar(&v->bar[n], off, len) ||
		v->sys->pread(v->device, &val, len, (off_t)(v->bar[n].off + off)) != (ssize_t)len)
		return UINT32_MAX;
	return le32toh(val);
}

void vfio_bar_write_part(struct pci_dev *dev, unsigned n, uint64_t off, uint32_t val, unsigned len)
{
	struct vfio_dev *v = vfio_of(dev);
	uint32_t le = htole32(val);
	ssize_t done = 0;

	/* A write has no answer on the bus either: who needs to know reads afterwards, and gets all ones. */
	if (in_bar(&v->bar[n], off, len))
		done = v->sys->pwrite(v->device, &le, len, (off_t)(v->bar[n].off + off));
	(void)done;
}

void vfio_bar_write64(struct pci_dev *dev, unsigned n, uint64_t off, uint64_t val)
{
	struct vfio_dev *v = vfio_of(dev);
	uint64_t le = htole64(val);
	ssize_t done = 0;

	/* Kernels that know no writes of 8 bytes here make two of it, in this order. */
	if (in_bar(&v->bar[n], off, sizeof(le)))
		done = v->sys->pwrite(v->device, &le, sizeof(le), (off_t)(v->bar[n].off + off));
	(void)done;
}

uint32_t vfio_bar_read32(struct pci_dev *dev, unsigned n, uint64_t off)
{
	return vfio_bar_read_part(dev, n, off, sizeof(uint32_t));
}

void vfio_bar_write32(struct pci_dev *dev, unsigned n, uint64_t off, uint32_t val)
{
	vfio_bar_write_part(dev, n, off, val, sizeof(uint32_t));
}
