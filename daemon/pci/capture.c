/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A transport in front of another one, which writes down what passes. */
#include "capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* --- registers: a write is in the capture before the device has it, a read when its value is known --- */

static void put_reg(struct capture *c, enum capture_type type, uint8_t arg, uint64_t off, uint64_t value)
{
	const struct capture_reg rec = {.off = htole32((uint32_t)off), .value = htole64(value)};

	cap_put(c, type, arg, &rec, sizeof(rec), NULL, 0);
}

static uint32_t cap_bar_read_part(struct pci_dev *dev, unsigned n, uint64_t off, unsigned len)
{
	struct capture *c = capture_of(dev);
	uint32_t v;

	if (len == 4)
		v = pci_read32(c->inner, n, off);
	else if (len == 2)
		v = pci_read16(c->inner, n, off);
	else
		v = pci_read8(c->inner, n, off);
	put_reg(c, CAPTURE_READ, CAPTURE_ARG(n, len), off, v);
	return v;
}

static void cap_bar_write_part(struct pci_dev *dev, unsigned n, uint64_t off, uint32_t val, unsigned len)
{
	struct capture *c = capture_of(dev);

	put_reg(c, CAPTURE_WRITE, CAPTURE_ARG(n, len), off, val);
	if (len == 4)
		pci_write32(c->inner, n, off, val);
	else if (len == 2)
		pci_write16(c->inner, n, off, (uint16_t)val);
	else
		pci_write8(c->inner, n, off, (uint8_t)val);
}

static uint32_t cap_bar_read32(struct pci_dev *dev, unsigned n, uint64_t off)
{
	return cap_bar_read_part(dev, n, off, sizeof(uint32_t));
}

static void cap_bar_write32(struct pci_dev *dev, unsigned n, uint64_t off, uint32_t val)
{
	cap_bar_write_part(dev, n, off, val, sizeof(uint32_t));
}

/* What the device sees as two writes is written down as two. */
static void cap_bar_write64(struct pci_dev *dev, unsigned n, uint64_t off, uint64_t val)
{
	struct capture *c = capture_of(dev);

	if (!pci_can_write64(c->inner, n, off)) {
		cap_bar_write32(dev, n, off, (uint32_t)val);
		cap_bar_write32(dev, n, off + sizeof(uint32_t), (uint32_t)(val >> 32));
		return;
	}
	put_reg(c, CAPTURE_WRITE, CAPTURE_ARG(n, sizeof(val)), off, val);
	pci_write64(c->inner, n, off, val);
}

static bool cap_bar_whole64(struct pci_dev *dev, unsigned n, uint64_t off)
{
	return pci_can_write64(capture_of(dev)->inner, n, off);
}

/* Ours stays unmapped, so that every access comes through here. */
static int cap_map_bar(struct pci_dev *dev, unsigned n, struct err *e)
{
	struct capture *c = capture_of(dev);
	int r = pci_map_bar(c->inner, n, e);

	if (r == 0)
		cap_put(c, CAPTURE_MAP_BAR, (uint8_t)n, NULL, 0, NULL, 0);
	return r;
}

/* --- configuration space --- */

static int cap_cfg_read(struct pci_dev *dev, unsigned off, void *buf, unsigned len)
{
	struct capture *c = capture_of(dev);
	uint64_t v = 0;
	int r = c->inner->ops->cfg_read(c->inner, off, buf, len);

	if (r < 0)
		return r;
	memcpy(&v, buf, MIN(len, sizeof(v)));
	put_reg(c, CAPTURE_CFG_READ, (uint8_t)len, off, le64toh(v));
	return r;
}

static int cap_cfg_write(struct pci_dev *dev, unsigned off, const void *buf, unsigned len)
{
	struct capture *c = capture_of(dev);
	uint64_t v = 0;

	memcpy(&v, buf, MIN(len, sizeof(v)));
	put_reg(c, CAPTURE_CFG_WRITE, (uint8_t)len, off, le64toh(v));
	return c->inner->ops->cfg_write(c->inner, off, buf, len);
}

/* --- interrupts --- */

static int cap_irq_enable(
	struct pci_dev *dev, enum pci_irq_kind kind, const int *eventfds, unsigned n, struct err *e)
{
	struct capture *c = capture_of(dev);
	const struct capture_irq rec = {0, htole32(n)};
	int r = cap_irqs_start(c, kind, eventfds, n, e);

	if (r < 0)
		return r;
	cap_put(c, CAPTURE_IRQ_ENABLE, (uint8_t)(kind - PCI_IRQ_INTX), &rec, sizeof(rec), NULL, 0);
	r = pci_irq_enable(c->inner, kind, c->irqs.ours, n, e);
	if (r < 0)
		cap_irqs_stop(c);
	return r;
}

static void cap_irq_disable(struct pci_dev *dev)
{
	struct capture *c = capture_of(dev);

	pci_irq_disable(c->inner);
	cap_irqs_stop(c);
	cap_put(c, CAPTURE_IRQ_DISABLE, 0, NULL, 0, NULL, 0);
}

static void cap_intx_unmask(struct pci_dev *dev)
{
	struct capture *c = capture_of(dev);

	cap_put(c, CAPTURE_INTX_UNMASK, 0, NULL, 0, NULL, 0);
	c->inner->ops->intx_unmask(c->inner);
}

static int cap_reset(struct pci_dev *dev, struct err *e)
{
	struct capture *c = capture_of(dev);

	cap_put(c, CAPTURE_RESET, 0, NULL, 0, NULL, 0);
	return pci_reset(c->inner, e);
}

/* --- memory --- */

static int cap_dma_map(struct pci_dev *dev, void *vaddr, uint64_t size, uint64_t iova, int memfd,
	uint64_t offset, struct err *e)
{
	struct capture *c = capture_of(dev);
	const struct capture_map rec = {htole64(iova), htole64(size)};
	int r = c->inner->ops->dma_map(c->inner, vaddr, size, iova, memfd, offset, e);

	if (r == 0)
		cap_put(c, CAPTURE_MAP, 0, &rec, sizeof(rec), NULL, 0);
	return r;
}

static int cap_dma_unmap(struct pci_dev *dev, uint64_t iova, uint64_t size)
{
	struct capture *c = capture_of(dev);
	const struct capture_map rec = {htole64(iova), htole64(size)};

	cap_put(c, CAPTURE_UNMAP, 0, &rec, sizeof(rec), NULL, 0);
	return c->inner->ops->dma_unmap(c->inner, iova, size);
}

static void cap_note(struct pci_dev *dev, enum pci_note what, uint64_t iova, const void *mem, uint32_t len)
{
	enum capture_type type = what == PCI_NOTE_OUT ? CAPTURE_MEM_OUT : CAPTURE_MEM_IN;
	bool cut = len > CAP_NOTE_MAX;

	len = MIN(len, CAP_NOTE_MAX);
	for (uint32_t at = 0; at < len; at += CAPTURE_MAX_MEM) {
		uint64_t addr = htole64(iova + at);

		cap_put(capture_of(dev), type, cut, &addr, sizeof(addr), (const uint8_t *)mem + at,
			MIN(len - at, CAPTURE_MAX_MEM));
	}
}

/* --- life --- */

static void cap_free(struct capture *c)
{
	cap_irqs_stop(c);
	cap_file_close(c);
	cap_rings_fini(c);
	free(c);
}

static void cap_close(struct pci_dev *dev)
{
	struct capture *c = capture_of(dev);

	pci_close(c->inner);
	cap_free(c);
}

static const struct pci_ops cap_ops = {
	.name = "capture",
	.close = cap_close,
	.cfg_read = cap_cfg_read,
	.cfg_write = cap_cfg_write,
	.map_bar = cap_map_bar,
	.bar_read32 = cap_bar_read32,
	.bar_write32 = cap_bar_write32,
	.bar_read_part = cap_bar_read_part,
	.bar_write_part = cap_bar_write_part,
	.bar_write64 = cap_bar_write64,
	.bar_whole64 = cap_bar_whole64,
	.irq_enable = cap_irq_enable,
	.irq_disable = cap_irq_disable,
	.intx_unmask = cap_intx_unmask,
	.reset = cap_reset,
	.dma_map = cap_dma_map,
	.dma_unmap = cap_dma_unmap,
	.note = cap_note,
};

static void look_like(struct pci_dev *dev, const struct pci_dev *inner)
{
	*dev = *inner;
	dev->ops = &cap_ops;
	for (unsigned i = 0; i < PCI_NUM_BARS; i++) {
		dev->bar[i].map = NULL;
		dev->bar[i].map_len = 0;
	}
}

int pci_capture(struct pci_dev *inner, const char *path, struct pci_dev **ret, struct err *e)
{
	static uint64_t last_id;
	struct capture *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->inner = inner;
	look_like(&c->pci, inner);
	c->fd = c->irqs.stop_fd = c->irqs.epoll_fd = -1;
	c->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
	c->start_ns = clock_ns();
	c->max_bytes = CAPTURE_MAX_FILE;
	r = cap_rings_init(c);
	if (r < 0)
		err_set(e, r, "out of memory");
	else
		r = cap_file_open(c, path, e);
	if (r < 0) {
		cap_free(c);
		return r;
	}
	*ret = &c->pci;
	return 0;
}
