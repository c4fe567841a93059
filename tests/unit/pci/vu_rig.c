/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See vu_rig.h. */
#include "vu_rig.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

struct srv s;
struct pci_dev *dev;
struct err e;
size_t page;

void vu_setup(void)
{
	page = (size_t)sysconf(_SC_PAGESIZE);
	srv_init(&s);
	dev = NULL;
	e.text[0] = '\0';
}

void vu_teardown(void)
{
	pci_close(dev);
	srv_stop(&s);
}

void open_with(const struct vuc_times *t)
{
	srv_start(&s);
	ck_assert_msg(vuc_open(s.uri, t, &dev, &e) == 0, "%s", e.text);
}

bool readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

void expect_gone(void)
{
	uint8_t mem[8];
	uint16_t cmd;
	int fd = 0;

	ck_assert(readable(dev->request_fd, SRV_LIMIT_MS));
	ck_assert(pci_is_gone(dev));
	ck_assert_uint_eq(pci_read32(dev, 0, 0), UINT32_MAX);
	ck_assert_uint_eq(pci_read32(dev, 1, 0), UINT32_MAX);
	ck_assert_uint_eq(pci_read32(dev, 1, 0x3ffc), UINT32_MAX);
	pci_write32(dev, 1, 0, 0);
	ck_assert_int_eq(dev->ops->cfg_read(dev, 4, &cmd, 2), -ENODEV);
	ck_assert_int_eq(pci_set_bus_master(dev, true), -ENODEV);
	ck_assert_int_eq(pci_reset(dev, &e), -ENODEV);
	ck_assert_int_eq(pci_irq_enable(dev, PCI_IRQ_INTX, &fd, 1, &e), -ENODEV);
	ck_assert_int_eq(dev->ops->dma_map(dev, mem, page, 0x900000, -1, 0, &e), -ENODEV);
	ck_assert_msg(strstr(e.text, "vfio-user:") == e.text, "%s", e.text);
}
