/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupts of a VFIO device as eventfds, and the kernel's wish to have the device back. */
#include "vfio.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"

static const uint32_t irq_index[] = {
	[PCI_IRQ_INTX] = VFIO_PCI_INTX_IRQ_INDEX,
	[PCI_IRQ_MSI] = VFIO_PCI_MSI_IRQ_INDEX,
	[PCI_IRQ_MSIX] = VFIO_PCI_MSIX_IRQ_INDEX,
};

static int irq_count(struct vfio_dev *v, uint32_t index)
{
	struct vfio_irq_info info = {.argsz = sizeof(info), .index = index};

	if (v->sys->ioctl(v->device, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0)
		return -errno;
	return info.flags & VFIO_IRQ_INFO_EVENTFD ? (int)MIN(info.count, (uint32_t)INT16_MAX) : 0;
}

int vfio_irqs_read(struct vfio_dev *v, struct err *e)
{
	int n;

	for (unsigned kind = PCI_IRQ_INTX; kind <= PCI_IRQ_MSIX; kind++) {
		n = irq_count(v, irq_index[kind]);
		if (n < 0)
			return err_set(e, n, "%s: the kernel gives no interrupt information: %s", v->addr,
				strerror(-n));
		v->pci.n_vectors[kind] = MIN((unsigned)n, (unsigned)PCI_MAX_VECTORS);
	}
	/* Kernels without the notifier do not know its index. */
	v->can_request = irq_count(v, VFIO_PCI_REQ_IRQ_INDEX) > 0;
	return 0;
}

static_assert(sizeof(int) == sizeof(int32_t), "descriptors on the wire are s32");

static int set_irqs(struct vfio_dev *v, uint32_t index, uint32_t flags, const int *fds, unsigned n)
{
	/* The descriptors follow the struct. */
	_Alignas(struct vfio_irq_set)
		uint8_t req[sizeof(struct vfio_irq_set) + PCI_MAX_VECTORS * sizeof(int32_t)];
	struct vfio_irq_set set = {.argsz = sizeof(set), .flags = flags, .index = index, .count = n};
	int r;

	if (flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		memcpy(req + sizeof(set), fds, n * sizeof(int32_t));
		set.argsz += (uint32_t)(n * sizeof(int32_t));
	}
	memcpy(req, &set, sizeof(set));
	r = v->sys->ioctl(v->device, VFIO_DEVICE_SET_IRQS, req);
	return r < 0 ? -errno : r;
}

static const char *const kind_name[] = {"no", "INTx", "MSI", "MSI-X"};

int vfio_irq_enable(
	struct pci_dev *dev, enum pci_irq_kind kind, const int *eventfds, unsigned n, struct err *e)
{
	struct vfio_dev *v = vfio_of(dev);
	int r;

	vfio_irq_disable(dev);
	r = set_irqs(
		v, irq_index[kind], VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, eventfds, n);
	/* A positive answer is the number of vectors that this machine could give. */
	if (r > 0)
		return err_set(e, -ENOTSUP,
			"%s: this machine has only %d %s vectors left for it, %u were asked for", dev->uri, r,
			kind_name[kind], n);
	if (r < 0)
		return err_set(e, r, "%s: cannot enable %u %s vectors: %s", dev->uri, n, kind_name[kind],
			strerror(-r));
	v->active = kind;
	return 0;
}

void vfio_irq_disable(struct pci_dev *dev)
{
	struct vfio_dev *v = vfio_of(dev);

	if (v->active == PCI_IRQ_NONE)
		return;
	set_irqs(v, irq_index[v->active], VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, NULL, 0);
	v->active = PCI_IRQ_NONE;
}

void vfio_intx_unmask(struct pci_dev *dev)
{
	struct vfio_dev *v = vfio_of(dev);

	/* The kernel masked the line when it fired, because it cannot know how to quiet this device. */
	if (v->active == PCI_IRQ_INTX)
		set_irqs(v, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
			NULL, 1);
}

int vfio_request_enable(struct vfio_dev *v, struct err *e)
{
	int fd, r;

	if (!v->can_request)
		return 0;
	fd = v->sys->eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return err_set(e, -errno, "%s: cannot create an eventfd: %m", v->addr);
	r = set_irqs(
		v, VFIO_PCI_REQ_IRQ_INDEX, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, &fd, 1);
	if (r < 0) {
		v->sys->close(fd);
		return err_set(e, r, "%s: the kernel refuses the unplug notifier: %s", v->addr, strerror(-r));
	}
	v->pci.request_fd = fd;
	return 0;
}

void vfio_request_disable(struct vfio_dev *v)
{
	if (v->pci.request_fd < 0)
		return;
	set_irqs(v, VFIO_PCI_REQ_IRQ_INDEX, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, NULL, 0);
	v->sys->close(v->pci.request_fd);
	v->pci.request_fd = -1;
}
