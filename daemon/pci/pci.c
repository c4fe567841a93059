/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is the same for every transport. */
#include "pci.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sysfs.h"
#include "vfio.h"
#include "vuc.h"

#define COMMAND_MASTER 0x0004 /* PCI Local Bus Specification 3.0, 6.2.2 */

bool pci_uri_is_served(const char *uri)
{
	return strncmp(uri, VUC_URI, strlen(VUC_URI)) == 0;
}

int pci_open(const char *uri, struct pci_dev **ret, struct err *e)
{
	char addr[PCI_ADDR_LEN];
	int r;

	if (pci_uri_is_served(uri))
		return vuc_open(uri, &vuc_times, ret, e);
	r = pci_addr_parse(uri, addr, e);
	if (r < 0)
		return r;
	r = vfio_open("", &vfio_linux, addr, ret, e);
	if (r < 0)
		return r;
	snprintf((*ret)->uri, sizeof((*ret)->uri), "%s", uri);
	return 0;
}

int pci_import(const char *uri, const struct pci_descriptors *d, struct pci_dev **ret, struct err *e)
{
	char addr[PCI_ADDR_LEN];
	int r = pci_addr_parse(uri, addr, e);

	if (r < 0) {
		vfio_descriptors_close(&vfio_linux, d);
		return r;
	}
	r = vfio_import("", &vfio_linux, addr, d, ret, e);
	if (r < 0)
		return r;
	snprintf((*ret)->uri, sizeof((*ret)->uri), "%s", uri);
	return 0;
}

int pci_export(struct pci_dev *dev, struct pci_descriptors *ret, struct err *e)
{
	if (!dev->ops->export)
		return err_set(e, -ENOTSUP, "%s: a device behind %s cannot be handed to another process",
			dev->uri, dev->ops->name);
	return dev->ops->export(dev, ret, e);
}

void pci_leave(struct pci_dev *dev)
{
	dev->ops->leave(dev);
}

void pci_close(struct pci_dev *dev)
{
	if (dev)
		dev->ops->close(dev);
}

int pci_map_bar(struct pci_dev *dev, unsigned n, struct err *e)
{
	if (n >= PCI_NUM_BARS || !dev->bar[n].size)
		return err_set(e, -EINVAL, "%s has no BAR %u", dev->uri, n);
	return dev->bar[n].map ? 0 : dev->ops->map_bar(dev, n, e);
}

int pci_set_bus_master(struct pci_dev *dev, bool on)
{
	uint16_t cmd;
	int r = dev->ops->cfg_read(dev, PCI_CFG_COMMAND, &cmd, sizeof(cmd));

	if (r < 0)
		return r;
	cmd = le16toh(cmd);
	cmd = on ? cmd | COMMAND_MASTER : cmd & ~COMMAND_MASTER;
	cmd = htole16(cmd);
	r = dev->ops->cfg_write(dev, PCI_CFG_COMMAND, &cmd, sizeof(cmd));
	if (r < 0)
		return r;
	/* The answer to a read pushes writes to memory that the device posted before it: when this returns, none
	 * of its DMA is on the way any more. */
	return dev->ops->cfg_read(dev, PCI_CFG_COMMAND, &cmd, sizeof(cmd));
}

static const char *const kind_name[] = {"no", "INTx", "MSI", "MSI-X"};

int pci_irq_enable(
	struct pci_dev *dev, enum pci_irq_kind kind, const int *eventfds, unsigned n, struct err *e)
{
	if (kind <= PCI_IRQ_NONE || kind > PCI_IRQ_MSIX || !n)
		return err_set(e, -EINVAL, "%s: no kind or number of interrupts given", dev->uri);
	if (!dev->n_vectors[kind])
		return err_set(e, -ENOTSUP, "%s has no %s interrupts; choose another kind (irq=)", dev->uri,
			kind_name[kind]);
	if (n > dev->n_vectors[kind] || n > PCI_MAX_VECTORS)
		return err_set(e, -ENOTSUP, "%s has %u %s vectors, %u were asked for", dev->uri,
			dev->n_vectors[kind], kind_name[kind], n);
	return dev->ops->irq_enable(dev, kind, eventfds, n, e);
}

void pci_irq_disable(struct pci_dev *dev)
{
	dev->ops->irq_disable(dev);
}

int pci_reset(struct pci_dev *dev, struct err *e)
{
	if (!dev->ops->reset)
		return err_set(e, -ENOTSUP, "%s cannot be reset through this transport", dev->uri);
	return dev->ops->reset(dev, e);
}

bool pci_is_gone(struct pci_dev *dev)
{
	uint32_t class_revision;

	/* No class is 0xffffff, so all ones are a bus without an answer. Not the vendor id: the kernel's VFIO answers that and the
	 * device id from memory (vfio_pci_config.c, ALL_VIRT), as they were when the device was opened. */
	return dev->ops->cfg_read(dev, PCI_CFG_REVISION, &class_revision, sizeof(class_revision)) < 0 ||
	       class_revision == UINT32_MAX;
}
