/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernel VFIO, type 1 IOMMU, groups: the ops table, configuration space, reset, close. */
#include "vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int sys_open(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC);
}

static int sys_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg);
}

static int sys_eventfd(unsigned initial, int flags)
{
	return eventfd(initial, flags);
}

const struct vfio_sys vfio_linux = {
	.open = sys_open,
	.close = close,
	.ioctl = sys_ioctl,
	.pread = pread,
	.pwrite = pwrite,
	.mmap = mmap,
	.munmap = munmap,
	.eventfd = sys_eventfd,
};

static bool cfg_ok(const struct vfio_dev *v, unsigned off, unsigned len)
{
	return (len == 1 || len == 2 || len == 4) && off % len == 0 && off < v->cfg.size &&
	       len <= v->cfg.size - off;
}

/* A device that left during the call is ENODEV, whatever name the kernel's path had for it. */
static int cfg_result(ssize_t n, unsigned len)
{
	if (n < 0)
		return errno == EIO || errno == ENXIO ? -ENODEV : -errno;
	return (size_t)n == len ? 0 : -ENODEV;
}

static int vfio_cfg_read(struct pci_dev *dev, unsigned off, void *buf, unsigned len)
{
	struct vfio_dev *v = vfio_of(dev);

	if (!cfg_ok(v, off, len))
		return -EINVAL;
	return cfg_result(v->sys->pread(v->device, buf, len, (off_t)(v->cfg.off + off)), len);
}

static int vfio_cfg_write(struct pci_dev *dev, unsigned off, const void *buf, unsigned len)
{
	struct vfio_dev *v = vfio_of(dev);

	if (!cfg_ok(v, off, len))
		return -EINVAL;
	return cfg_result(v->sys->pwrite(v->device, buf, len, (off_t)(v->cfg.off + off)), len);
}

static int vfio_reset(struct pci_dev *dev, struct err *e)
{
	struct vfio_dev *v = vfio_of(dev);

	if (!v->can_reset)
		return err_set(e, -ENOTSUP, "%s cannot be reset by itself (no FLR, and not alone on its bus)",
			dev->uri);
	if (v->sys->ioctl(v->device, VFIO_DEVICE_RESET, NULL) < 0)
		return err_set(e, -errno, "%s: reset failed: %m", dev->uri);
	return 0;
}

static void close_fd(struct vfio_dev *v, int *fd)
{
	if (*fd >= 0)
		v->sys->close(*fd);
	*fd = -1;
}

/* First the device is made quiet, then what it could reach is taken away. Any descriptor may be missing. */
static void vfio_close(struct pci_dev *dev)
{
	struct vfio_dev *v = vfio_of(dev);

	if (v->device >= 0) {
		vfio_irq_disable(dev);
		vfio_request_disable(v);
		if (v->cfg.size)
			pci_set_bus_master(dev, false);
		vfio_unmap_bars(v);
	}
	if (v->container >= 0)
		vfio_dma_unmap_all(v);
	close_fd(v, &v->device);
	close_fd(v, &v->group);
	close_fd(v, &v->container);
	free(v);
}

static int vfio_export(struct pci_dev *dev, struct pci_descriptors *ret, struct err *e)
{
	const struct vfio_dev *v = vfio_of(dev);

	*ret = (struct pci_descriptors){v->container, v->group, v->device};
	return 0;
}

static void vfio_leave(struct pci_dev *dev)
{
	struct vfio_dev *v = vfio_of(dev);

	vfio_irq_disable(dev);
	vfio_request_disable(v);
	vfio_unmap_bars(v);
	close_fd(v, &v->device);
	close_fd(v, &v->group);
	close_fd(v, &v->container);
	free(v);
}

const struct pci_ops vfio_ops = {
	.name = "vfio",
	.close = vfio_close,
	.cfg_read = vfio_cfg_read,
	.cfg_write = vfio_cfg_write,
	.map_bar = vfio_map_bar,
	.bar_read32 = vfio_bar_read32,
	.bar_write32 = vfio_bar_write32,
	.bar_read_part = vfio_bar_read_part,
	.bar_write_part = vfio_bar_write_part,
	.bar_write64 = vfio_bar_write64,
	.irq_enable = vfio_irq_enable,
	.irq_disable = vfio_irq_disable,
	.intx_unmask = vfio_intx_unmask,
	.reset = vfio_reset,
	.dma_map = vfio_dma_map,
	.dma_unmap = vfio_dma_unmap,
	.export = vfio_export,
	.leave = vfio_leave,
};
