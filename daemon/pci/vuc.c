/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vfio-user: the ops table, configuration space, reset, close. */
#include "vuc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static bool cfg_ok(const struct vuc_dev *v, unsigned off, unsigned len)
{
	return (len == 1 || len == 2 || len == 4) && off % len == 0 && off < v->cfg.size &&
	       len <= v->cfg.size - off;
}

static int vuc_cfg_read(struct pci_dev *dev, unsigned off, void *buf, unsigned len)
{
	struct vuc_dev *v = vuc_of(dev);

	if (!cfg_ok(v, off, len))
		return -EINVAL;
	return vuc_region_read(v, VFIO_PCI_CONFIG_REGION_INDEX, off, buf, len);
}

/* Waits for the answer: who switches bus mastering off must know that it is. */
static int vuc_cfg_write(struct pci_dev *dev, unsigned off, const void *buf, unsigned len)
{
	struct vuc_dev *v = vuc_of(dev);

	if (!cfg_ok(v, off, len))
		return -EINVAL;
	return vuc_region_write(v, VFIO_PCI_CONFIG_REGION_INDEX, off, buf, len, false);
}

static int vuc_reset(struct pci_dev *dev, struct err *e)
{
	static const struct vuc_msg m = {.cmd = VU_DEVICE_RESET};
	struct vuc_dev *v = vuc_of(dev);
	int r;

	if (!v->can_reset)
		return err_set(e, -ENOTSUP, "%s cannot be reset: its server has no reset", dev->uri);
	r = vuc_call(v, &m, NULL, v->times->reset_ms);
	return r < 0 ? vuc_error(v, r, e, "the reset") : 0;
}

/* First the device is made quiet, then what it could reach is taken away. Anything may be missing. */
static void vuc_close(struct pci_dev *dev)
{
	struct vuc_dev *v = vuc_of(dev);

	vuc_irq_disable(dev);
	if (v->cfg.size)
		pci_set_bus_master(dev, false);
	vuc_dma_unmap_all(v);
	vuc_reader_stop(v);
	vuc_unmap_bars(v);
	vuc_request_close(v);
	hb_close(&v->sock);
	vuc_conn_fini(v);
	free(v);
}

const struct pci_ops vuc_ops = {
	.name = "vfio-user",
	.close = vuc_close,
	.cfg_read = vuc_cfg_read,
	.cfg_write = vuc_cfg_write,
	.map_bar = vuc_map_bar,
	.bar_read32 = vuc_bar_read32,
	.bar_write32 = vuc_bar_write32,
	.bar_read_part = vuc_bar_read_part,
	.bar_write_part = vuc_bar_write_part,
	.bar_write64 = vuc_bar_write64,
	.bar_whole64 = vuc_bar_whole64,
	.irq_enable = vuc_irq_enable,
	.irq_disable = vuc_irq_disable,
	.intx_unmask = vuc_intx_unmask,
	.reset = vuc_reset,
	.dma_map = vuc_dma_map,
	.dma_unmap = vuc_dma_unmap,
};
