/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vfio-user: interrupts as eventfds that the server signals. */
#include "vuc.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "cfgspace.h"

static const uint32_t irq_index[] = {
	[PCI_IRQ_INTX] = VFIO_PCI_INTX_IRQ_INDEX,
	[PCI_IRQ_MSI] = VFIO_PCI_MSI_IRQ_INDEX,
	[PCI_IRQ_MSIX] = VFIO_PCI_MSIX_IRQ_INDEX,
};

/* PCI Local Bus Specification 3.0, 6.8.1 and 6.8.2: capability ids, message control */
#define CAP_MSI		 0x05
#define CAP_MSIX	 0x11
#define MSG_CONTROL	 2
#define MSI_ENABLE	 0x0001
#define MSI_VECTORS_MASK 0x0070
#define MSIX_ENABLE	 0x8000
#define MSIX_MASK_ALL	 0x4000

/* The switch in configuration space. The kernel's VFIO turns it when vectors are set; here nobody else does, and
 * a device that is modelled after a real one looks at it. Without that capability there is nothing to turn. */
static int turn(struct vuc_dev *v, enum pci_irq_kind kind, unsigned n)
{
	unsigned off = v->irq_cap[kind] + MSG_CONTROL;
	uint16_t val;
	int r;

	if (!v->irq_cap[kind])
		return 0;
	r = vuc_ops.cfg_read(&v->pci, off, &val, sizeof(val));
	if (r < 0)
		return r;
	val = le16toh(val);
	if (kind == PCI_IRQ_MSIX) {
		val &= (uint16_t) ~(MSIX_ENABLE | MSIX_MASK_ALL);
		val |= n ? MSIX_ENABLE : 0;
	} else {
		val &= (uint16_t) ~(MSI_ENABLE | MSI_VECTORS_MASK);
		/* the power of two that holds them all */
		for (unsigned log2 = 0; n && log2 < 6; log2++)
			if (n <= 1u << log2) {
				val |= (uint16_t)(MSI_ENABLE | log2 << 4);
				break;
			}
	}
	val = htole16(val);
	return vuc_ops.cfg_write(&v->pci, off, &val, sizeof(val));
}

/* How many vectors there are that can signal an eventfd. */
static int read_irq(
	struct vuc_dev *v, uint32_t index, uint32_t *ret_flags, uint32_t *ret_count, struct err *e)
{
	struct vu_irq_info info = {.argsz = sizeof(info), .index = index}, got;
	const struct vuc_msg m = {.cmd = VU_DEVICE_GET_IRQ_INFO, .head = &info, .head_len = sizeof(info)};
	const struct vuc_answer a = {.buf = &got, .min = sizeof(got), .max = sizeof(got)};
	int r;

	*ret_flags = *ret_count = 0;
	if (index >= v->n_irqs)
		return 0;
	r = vuc_call(v, &m, &a, v->times->access_ms);
	if (r < 0)
		return vuc_error(v, r, e, "information on interrupts");
	if (got.index != index)
		return err_set(e, -EBADMSG, "%s: what the server says about interrupt kind %u makes no sense",
			v->pci.uri, index);
	*ret_flags = got.flags;
	if (got.flags & VFIO_IRQ_INFO_EVENTFD)
		*ret_count = MIN(got.count, (uint32_t)PCI_MAX_VECTORS);
	return 0;
}

int vuc_irqs_read(struct vuc_dev *v, struct err *e)
{
	static const uint8_t cap[] = {[PCI_IRQ_MSI] = CAP_MSI, [PCI_IRQ_MSIX] = CAP_MSIX};
	int r = 0;

	for (unsigned kind = PCI_IRQ_INTX; r == 0 && kind <= PCI_IRQ_MSIX; kind++) {
		r = read_irq(v, irq_index[kind], &v->irq_flags[kind], &v->pci.n_vectors[kind], e);
		if (r < 0 || kind == PCI_IRQ_INTX || !v->pci.n_vectors[kind])
			continue;
		r = cfgspace_find_cap(&v->pci, cap[kind]);
		if (r < 0)
			return vuc_error(v, r, e, "a read of configuration space");
		v->irq_cap[kind] = (unsigned)r;
		r = 0;
	}
	return r;
}

static struct vu_irq_set irq_set(uint32_t index, uint32_t flags, uint32_t start, uint32_t count)
{
	return (struct vu_irq_set){
		.argsz = sizeof(struct vu_irq_set),
		.flags = flags,
		.index = index,
		.start = start,
		.count = count,
	};
}

static int set_irqs(struct vuc_dev *v, const struct vu_irq_set *set, const int *fds, unsigned n_fds)
{
	const struct vuc_msg m = {
		.cmd = VU_DEVICE_SET_IRQS, .head = set, .head_len = sizeof(*set), .fds = fds, .n_fds = n_fds};

	return vuc_call(v, &m, NULL, v->times->access_ms);
}

static int disable(struct vuc_dev *v, enum pci_irq_kind kind)
{
	const struct vu_irq_set off =
		irq_set(irq_index[kind], VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0);

	turn(v, kind, 0);
	return set_irqs(v, &off, NULL, 0);
}

int vuc_irq_enable(
	struct pci_dev *dev, enum pci_irq_kind kind, const int *eventfds, unsigned n, struct err *e)
{
	struct vuc_dev *v = vuc_of(dev);
	int r = 0;

	vuc_irq_disable(dev);
	/* As many at a time as the server takes in one message. */
	for (unsigned done = 0; r == 0 && done < n;) {
		unsigned some = (unsigned)MIN((uint64_t)(n - done), v->caps.max_fds);
		const struct vu_irq_set set = irq_set(
			irq_index[kind], VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, done, some);

		r = set_irqs(v, &set, eventfds + done, some);
		done += some;
	}
	if (r == 0)
		r = turn(v, kind, n);
	if (r < 0) {
		disable(v, kind); /* those that it had taken */
		return vuc_error(v, r, e, "interrupts");
	}
	v->active = kind;
	return 0;
}

void vuc_irq_disable(struct pci_dev *dev)
{
	struct vuc_dev *v = vuc_of(dev);

	if (v->active == PCI_IRQ_NONE)
		return;
	disable(v, v->active);
	v->active = PCI_IRQ_NONE;
}

void vuc_intx_unmask(struct pci_dev *dev)
{
	struct vuc_dev *v = vuc_of(dev);
	const struct vu_irq_set set =
		irq_set(VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, 0, 1);
	const struct vuc_msg m = {.cmd = VU_DEVICE_SET_IRQS, .head = &set, .head_len = sizeof(set)};

	/* Posted: this runs once per interrupt, and nothing could be done about an error. A server whose line does not
	 * mask itself has nothing to unmask. */
	if (v->active == PCI_IRQ_INTX && v->irq_flags[PCI_IRQ_INTX] & VFIO_IRQ_INFO_AUTOMASKED)
		vuc_post(v, &m);
}

/* --- the server wants it back, or is gone --- */

static int watch(struct vuc_dev *v, int *fd)
{
	struct epoll_event ev = {.events = EPOLLIN};

	*fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return *fd < 0 || epoll_ctl(v->pci.request_fd, EPOLL_CTL_ADD, *fd, &ev) < 0 ? -errno : 0;
}

int vuc_request_open(struct vuc_dev *v, struct err *e)
{
	int r;

	v->pci.request_fd = epoll_create1(EPOLL_CLOEXEC);
	r = v->pci.request_fd < 0 ? -errno : watch(v, &v->end_fd);
	return r < 0 ? err_set(e, r, "%s: cannot create an eventfd: %s", v->pci.uri, strerror(-r)) : 0;
}

int vuc_request_enable(struct vuc_dev *v, struct err *e)
{
	const struct vu_irq_set set = irq_set(
		VFIO_PCI_REQ_IRQ_INDEX, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1);
	uint32_t flags, count;
	int r = read_irq(v, VFIO_PCI_REQ_IRQ_INDEX, &flags, &count, e);

	if (r < 0 || !count)
		return r;
	r = watch(v, &v->asked_fd);
	if (r < 0)
		return err_set(e, r, "%s: cannot create an eventfd: %s", v->pci.uri, strerror(-r));
	r = set_irqs(v, &set, &v->asked_fd, 1);
	return r < 0 ? vuc_error(v, r, e, "the notifier for unplugging") : 0;
}

void vuc_request_close(struct vuc_dev *v)
{
	hb_close(&v->pci.request_fd);
	hb_close(&v->end_fd);
	hb_close(&v->asked_fd);
}
