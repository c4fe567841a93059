/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The IOMMU behind a VFIO container: what it can map, mapping, unmapping. */
#include "vfio.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "memlock.h"

/* What kernels without the "available" capability (before 5.10) had as a default. */
#define MAPS_DEFAULT 65535u

#define INFO_MIN     sizeof(struct vfio_iommu_type1_info)

static uint64_t smallest_page(const struct vfio_iommu_type1_info *info)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), pages = info->iova_pgsizes;

	if (!(info->flags & VFIO_IOMMU_INFO_PGSIZES) || !pages)
		return page;
	return MAX(page, pages & -pages);
}

/* info is buf's beginning. */
static int read_caps(struct vfio_dev *v, const uint8_t *buf, size_t len, struct err *e)
{
	struct vfio_iommu_type1_info_dma_avail avail = {.avail = MAPS_DEFAULT};
	struct vfio_iommu_type1_info info;
	uint32_t first;
	int off, r;

	memcpy(&info, buf, sizeof(info));
	v->pci.dma_page = smallest_page(&info);
	first = info.flags & VFIO_IOMMU_INFO_CAPS ? info.cap_offset : 0;
	off = vfio_cap_find(buf, len, first, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	if (off == -ENOENT)
		return err_set(e, -ENOTSUP,
			"the kernel does not tell which addresses the IOMMU can map; Linux 5.4 or newer is "
			"needed");
	r = off < 0 ? off
		    : vfio_cap_iova(
			      buf, len, (size_t)off, v->pci.iova, ARRAY_SIZE(v->pci.iova), &v->pci.n_iova);
	if (r == 0 && !v->pci.n_iova)
		r = -EBADMSG;
	if (r < 0)
		return err_set(e, r, "%s: the kernel's list of IOMMU address ranges makes no sense", v->addr);
	off = vfio_cap_find(buf, len, first, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	if (off >= 0 && len - (size_t)off >= sizeof(avail))
		memcpy(&avail, buf + off, sizeof(avail));
	v->pci.dma_map_limit = avail.avail;
	return 0;
}

int vfio_iommu_read(struct vfio_dev *v, struct err *e)
{
	struct vfio_iommu_type1_info want = {.argsz = INFO_MIN};
	hb_autofree uint8_t *buf = NULL;
	int len = vfio_info(v->sys, v->container, VFIO_IOMMU_GET_INFO, &want, INFO_MIN, &buf);

	if (len < 0)
		return err_set(
			e, len, "%s: the kernel gives no IOMMU information: %s", v->addr, strerror(-len));
	v->can_unmap_all =
		v->sys->ioctl(v->container, VFIO_CHECK_EXTENSION, (void *)(uintptr_t)VFIO_UNMAP_ALL) > 0;
	return read_caps(v, buf, (size_t)len, e);
}

static int map_error(struct vfio_dev *v, int err, uint64_t size, uint64_t iova, struct err *e)
{
	unsigned long long kib = size / 1024, at = iova;

	switch (err) {
	case ENOMEM:
		return pci_memlock_error(e, -ENOMEM, size);
	case ENOSPC:
		return err_set(e, -ENOSPC,
			"%s: the IOMMU container takes no more mappings (limit at open: %u); raise the "
			"module parameter "
			"vfio_iommu_type1.dma_entry_limit",
			v->pci.uri, v->pci.dma_map_limit);
	case EEXIST:
		return err_set(e, -EEXIST, "%s: device address %#llx is mapped already", v->pci.uri, at);
	case EINVAL:
		return err_set(e, -EINVAL, "%s: the IOMMU cannot map %llu KiB at device address %#llx",
			v->pci.uri, kib, at);
	default:
		return err_set(e, -err, "%s: mapping %llu KiB at device address %#llx failed: %s", v->pci.uri,
			kib, at, strerror(err));
	}
}

int vfio_dma_map(struct pci_dev *dev, void *vaddr, uint64_t size, uint64_t iova, int memfd, uint64_t offset,
	struct err *e)
{
	struct vfio_dev *v = vfio_of(dev);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)vaddr,
		.iova = iova,
		.size = size,
	};

	if (v->sys->ioctl(v->container, VFIO_IOMMU_MAP_DMA, &map) < 0)
		return map_error(v, errno, size, iova, e);
	return 0;
}

int vfio_dma_unmap(struct pci_dev *dev, uint64_t iova, uint64_t size)
{
	struct vfio_dev *v = vfio_of(dev);
	struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof(unmap), .iova = iova, .size = size};

	if (v->sys->ioctl(v->container, VFIO_IOMMU_UNMAP_DMA, &unmap) < 0)
		return -errno;
	/* The kernel says how much it found: less means that something else was mapped there than we believe. */
	return unmap.size == size ? 0 : -EINVAL;
}

void vfio_dma_unmap_all(struct vfio_dev *v)
{
	struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof(unmap), .flags = VFIO_DMA_UNMAP_FLAG_ALL};

	/* Kernels before 5.12 cannot; closing the container does the same a moment later. */
	if (v->can_unmap_all)
		v->sys->ioctl(v->container, VFIO_IOMMU_UNMAP_DMA, &unmap);
}
