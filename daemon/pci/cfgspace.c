/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Configuration space at open: identity, command register. */
#include "cfgspace.h"

#include <errno.h>
#include <string.h>

/* PCI Local Bus Specification 3.0, 6.2.2 and 6.2.5.1 */
#define COMMAND_IO     0x0001
#define COMMAND_MEMORY 0x0002
#define COMMAND_MASTER 0x0004
#define BAR_IS_IO      0x1
#define PCI_CFG_BAR0   0x10

/* 6.2.3 and 6.7 */
#define PCI_CFG_STATUS 0x06
#define STATUS_CAPS    0x0010
#define PCI_CFG_CAPS   0x34
#define CAPS_FIRST     0x40
#define CAPS_MAX       48 /* as many fit behind the header; more is a circle */

static int read_id(struct pci_dev *dev)
{
	static const unsigned off[] = {PCI_CFG_VENDOR, PCI_CFG_REVISION, PCI_CFG_SUBSYS_VENDOR};
	uint32_t raw[ARRAY_SIZE(off)];

	for (unsigned i = 0; i < ARRAY_SIZE(off); i++) {
		int r = dev->ops->cfg_read(dev, off[i], &raw[i], sizeof(raw[i]));

		if (r < 0)
			return r;
		raw[i] = le32toh(raw[i]);
	}
	if ((raw[0] & 0xffff) == 0xffff)
		return -ENODEV;
	dev->id = (struct pci_id){
		.vendor = (uint16_t)raw[0],
		.device = (uint16_t)(raw[0] >> 16),
		.subvendor = (uint16_t)raw[2],
		.subdevice = (uint16_t)(raw[2] >> 16),
		.class_code = raw[1] >> 8,
		.revision = (uint8_t)raw[1],
	};
	return 0;
}

/* Decoding on, so that mapped registers do not fault; DMA off until the driver above has set its rings up. */
static int set_command(struct pci_dev *dev)
{
	uint16_t cmd;
	int r = dev->ops->cfg_read(dev, PCI_CFG_COMMAND, &cmd, sizeof(cmd));

	if (r < 0)
		return r;
	cmd = le16toh(cmd);
	cmd &= (uint16_t)~COMMAND_MASTER;
	for (unsigned i = 0; i < PCI_NUM_BARS; i++)
		if (dev->bar[i].size)
			cmd |= dev->bar[i].is_io ? COMMAND_IO : COMMAND_MEMORY;
	cmd = htole16(cmd);
	return dev->ops->cfg_write(dev, PCI_CFG_COMMAND, &cmd, sizeof(cmd));
}

int cfgspace_open(struct pci_dev *dev, struct err *e)
{
	int r = read_id(dev);

	if (r == 0)
		r = set_command(dev);
	if (r == -ENODEV)
		return err_set(e, r, "%s does not answer: it is unplugged, without power, or hung", dev->uri);
	if (r < 0)
		return err_set(e, r, "%s: configuration space cannot be read: %s", dev->uri, strerror(-r));
	return 0;
}

int cfgspace_import(struct pci_dev *dev, struct err *e)
{
	uint16_t cmd, want = COMMAND_MASTER;
	int r = read_id(dev);

	if (r == 0)
		r = dev->ops->cfg_read(dev, PCI_CFG_COMMAND, &cmd, sizeof(cmd));
	if (r < 0)
		return err_set(e, r, "%s does not answer: it is unplugged, without power, or hung", dev->uri);
	for (unsigned i = 0; i < PCI_NUM_BARS; i++)
		if (dev->bar[i].size)
			want |= dev->bar[i].is_io ? COMMAND_IO : COMMAND_MEMORY;
	if ((le16toh(cmd) & want) != want)
		return err_set(e, -ESTALE, "%s was reset while nobody used it", dev->uri);
	return 0;
}

int cfgspace_bar_is_io(struct pci_dev *dev, unsigned n, bool *ret)
{
	uint32_t raw;
	int r = dev->ops->cfg_read(dev, PCI_CFG_BAR0 + 4 * n, &raw, sizeof(raw));

	if (r == 0)
		*ret = le32toh(raw) & BAR_IS_IO;
	return r;
}

int cfgspace_find_cap(struct pci_dev *dev, uint8_t id)
{
	uint16_t status;
	uint8_t at, found;
	int r = dev->ops->cfg_read(dev, PCI_CFG_STATUS, &status, sizeof(status));

	if (r < 0)
		return r;
	if (!(le16toh(status) & STATUS_CAPS))
		return 0;
	r = dev->ops->cfg_read(dev, PCI_CFG_CAPS, &at, sizeof(at));
	for (unsigned i = 0; r == 0 && i < CAPS_MAX; i++) {
		at &= 0xfc;
		if (at < CAPS_FIRST)
			return 0;
		r = dev->ops->cfg_read(dev, at, &found, sizeof(found));
		if (r == 0 && found == id)
			return at;
		if (r == 0)
			r = dev->ops->cfg_read(dev, at + 1u, &at, sizeof(at));
	}
	return r;
}
