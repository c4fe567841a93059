/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A made-up PCI function. */
#include "fake_dev.h"

#include <errno.h>
#include <string.h>

static struct fake_dev *of(struct pci_dev *dev)
{
	return container_of(dev, struct fake_dev, pci);
}

static void f_close(struct pci_dev *dev)
{
	of(dev)->closes++;
}

static int f_cfg_read(struct pci_dev *dev, unsigned off, void *buf, unsigned len)
{
	struct fake_dev *d = of(dev);

	if (off + len > sizeof(d->cfg))
		return -EINVAL;
	memcpy(buf, d->cfg + off, len);
	if (off == PCI_CFG_REVISION && d->class_reads++ && d->cfg_gone)
		memset(buf, 0xff, len);
	return 0;
}

static int f_cfg_write(struct pci_dev *dev, unsigned off, const void *buf, unsigned len)
{
	of(dev)->writes++;
	return 0;
}

static int f_map_bar(struct pci_dev *dev, unsigned n, struct err *e)
{
	of(dev)->maps++;
	return 0;
}

static uint32_t f_read_part(struct pci_dev *dev, unsigned n, uint64_t off, unsigned len)
{
	struct fake_dev *d = of(dev);
	uint32_t v = 0;

	if (off + len > FAKE_DEV_BARS)
		return UINT32_MAX;
	for (unsigned i = 0; i < len; i++)
		d->read[n][off + i]++;
	if (d->zero_reads) {
		d->zero_reads--;
		return 0;
	}
	memcpy(&v, d->bar[n] + off, len);
	return le32toh(v);
}

static uint32_t f_read32(struct pci_dev *dev, unsigned n, uint64_t off)
{
	return f_read_part(dev, n, off, 4);
}

static void f_write_part(struct pci_dev *dev, unsigned n, uint64_t off, uint32_t val, unsigned len)
{
	of(dev)->writes++;
}

static void f_write32(struct pci_dev *dev, unsigned n, uint64_t off, uint32_t val)
{
	of(dev)->writes++;
}

static int f_irq_enable(
	struct pci_dev *dev, enum pci_irq_kind kind, const int *fds, unsigned n, struct err *e)
{
	of(dev)->irqs++;
	return 0;
}

static void f_irq_disable(struct pci_dev *dev)
{
}

static int f_reset(struct pci_dev *dev, struct err *e)
{
	of(dev)->resets++;
	return 0;
}

static const struct pci_ops ops = {
	.name = "fake",
	.close = f_close,
	.cfg_read = f_cfg_read,
	.cfg_write = f_cfg_write,
	.map_bar = f_map_bar,
	.bar_read32 = f_read32,
	.bar_write32 = f_write32,
	.bar_read_part = f_read_part,
	.bar_write_part = f_write_part,
	.irq_enable = f_irq_enable,
	.irq_disable = f_irq_disable,
	.reset = f_reset,
};

void fake_dev_reg(struct fake_dev *d, unsigned bar, unsigned off, uint32_t value)
{
	value = htole32(value);
	memcpy(d->bar[bar] + off, &value, sizeof(value));
}

void fake_dev_id(struct fake_dev *d, uint16_t vendor, uint16_t device, uint32_t class_code)
{
	d->pci.id.vendor = vendor;
	d->pci.id.device = device;
	d->pci.id.class_code = class_code;
	d->cfg[0] = (uint8_t)vendor;
	d->cfg[1] = (uint8_t)(vendor >> 8);
	d->cfg[2] = (uint8_t)device;
	d->cfg[3] = (uint8_t)(device >> 8);
}

void fake_dev_init(struct fake_dev *d)
{
	/* MSI: 2 vectors, 64-bit. MSI-X: 8 vectors, table BAR1+2000h, bits BAR1+3000h. Express: generation 3 of 3, 4 of 8
	 * lanes, function level reset. Power management: D0. */
	static const uint8_t caps[] = {
		[0x00] = 0x05,
		0x48,
		0x82,
		0x00,
		[0x08] = 0x11,
		0x58,
		0x07,
		0x00,
		0x01,
		0x20,
		0x00,
		0x00,
		0x01,
		0x30,
		0x00,
		0x00,
		[0x18] = 0x10,
		0x70,
		0x02,
		0x00,
		0x00,
		0x00,
		0x00,
		0x10,
		0x00,
		0x00,
		0x00,
		0x00,
		0x83,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x43,
		0x00,
		[0x30] = 0x01,
		0x00,
		0x03,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
	};

	memset(d, 0, sizeof(*d));
	d->pci.ops = &ops;
	d->pci.request_fd = -1;
	strcpy(d->pci.uri, "fake");
	fake_dev_id(d, 0x1000, 0x0079, 0x010400);
	d->cfg[0x06] = 0x10;
	d->cfg[0x14] = 0x04;
	d->cfg[0x34] = 0x40;
	memcpy(d->cfg + 0x40, caps, sizeof(caps));
	d->pci.bar[1].size = 0x4000;
	d->pci.n_vectors[PCI_IRQ_INTX] = 1;
	d->pci.n_vectors[PCI_IRQ_MSI] = 2;
	d->pci.n_vectors[PCI_IRQ_MSIX] = 8;
	fake_dev_reg(d, 1, 0x34, 0xffffffff);
	fake_dev_reg(d, 1, 0xb0, 0xb4500070);
}
