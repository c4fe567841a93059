/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model's registers, its PCI function, and the test's hands. Sections 1 and 2 of facts/megaraid.md. */
#include "mfi_model.h"

#include <errno.h>
#include <string.h>

#include "mfi_model_fw.h"

static struct mfi_model *of(struct pci_dev *pci)
{
	return container_of(pci, struct mfi_model, pci);
}

/* --- registers --- */

static void soft_reset(struct mfi_model *m)
{
	m->queue_active = m->closed = false;
	m->n_pending = 0;
	m->flush_frame = 0;
	m->mask = 0xffffffff;
	m->status = 0;
	m->state = 0xb;
}

static void doorbell(struct mfi_model *m, uint32_t v)
{
	if (m->stuck)
		return;
	if (v & 0x40) {
		/* gen 1 resets its adapter this way */
		m->n_adapter_reset++;
		if (!m->adapter_dead) {
			soft_reset(m);
			m->state = m->adapter_faults ? 0xf : 0xb;
		}
		return;
	}
	switch (m->state) {
	case 0x6:
		if ((v & 0x18) == 0x18)
			m->state = 0xb;
		return;
	case 0x9:
		if (v & 0x10)
			m->state = 0xb;
		return;
	case 0xc:
		if ((v & 7) == 7) {
			m->n_soft_reset++;
			soft_reset(m);
		}
		return;
	}
}

static void diag_key(struct mfi_model *m, uint32_t v)
{
	static const uint8_t key[] = {0, 4, 0xb, 2, 7, 0xd};

	m->key_at = v == key[m->key_at] ? m->key_at + 1 : v == 0;
	if (m->key_at == ARRAY_SIZE(key)) {
		m->diag = 0x80;
		m->key_at = 0;
	}
}

static void diag(struct mfi_model *m, uint32_t v)
{
	if (!(m->diag & 0x80) || !(v & 4))
		return;
	m->n_adapter_reset++;
	if (m->adapter_dead) {
		m->diag = 0x84;
		return;
	}
	m->diag = 0;
	soft_reset(m);
	m->state = m->adapter_faults ? 0xf : 0xb;
}

static uint32_t state_word(struct mfi_model *m)
{
	if (m->boot_at < m->boot_n)
		m->state = m->boot[m->boot_at++];
	return m->state << 28 | 0x04000000 | m->fw_sge << 16 | m->fw_cmds;
}

static uint32_t bar_read32(struct pci_dev *pci, unsigned n, uint64_t off)
{
	struct mfi_model *m = of(pci);
	uint32_t v = 0;

	pthread_mutex_lock(&m->lock);
	if (m->gone)
		v = 0xffffffff;
	else if (off == 0xb0)
		v = state_word(m);
	else if (off == 0x30)
		v = m->status;
	else if (off == 0x34)
		v = m->mask;
	else if (off == (m->gen == SKINNY ? 0x08 : 0xf8))
		v = m->diag;
	pthread_mutex_unlock(&m->lock);
	return v;
}

static void bar_write32(struct pci_dev *pci, unsigned n, uint64_t off, uint32_t v)
{
	struct mfi_model *m = of(pci);

	pthread_mutex_lock(&m->lock);
	if (m->gone) {
		/* nobody is there */
	} else if (off == (m->gen == SKINNY ? 0x00 : 0x20)) {
		doorbell(m, v);
	} else if (off == (m->gen == SKINNY ? 0x30 : 0xa0)) {
		m->status &= ~v;
	} else if (off == 0x34) {
		m->mask = v;
		if (v == 0xffffffff && !m->stuck && (m->state == 0xb || m->state == 0xc))
			soft_reset(m);
	} else if (off == (m->gen == SKINNY ? 0x04 : 0xfc) && m->gen != GEN1) {
		diag_key(m, v);
	} else if (off == (m->gen == SKINNY ? 0x08 : 0xf8)) {
		diag(m, v);
	} else if (off == 0x40 && m->gen != SKINNY) {
		m->last_fire = v;
		fw_submit(m, v & ~31u);
	} else if (off == 0xc4 && m->gen == SKINNY) {
		m->fire_high = v;
	} else if (off == 0xc0 && m->gen == SKINNY) {
		m->last_fire = v;
		fw_submit(m, (v & ~31u) | (uint64_t)m->fire_high << 32);
	}
	pthread_mutex_unlock(&m->lock);
}

/* --- the PCI function --- */

static int cfg_read(struct pci_dev *pci, unsigned off, void *buf, unsigned len)
{
	struct mfi_model *m = of(pci);
	uint32_t v = 0;

	pthread_mutex_lock(&m->lock);
	if (m->gone)
		v = 0xffffffff;
	else if (off == 0)
		v = 0x1000;
	else if (off == 4)
		v = m->command;
	v = htole32(v);
	memcpy(buf, &v, len);
	pthread_mutex_unlock(&m->lock);
	return 0;
}

static int cfg_write(struct pci_dev *pci, unsigned off, const void *buf, unsigned len)
{
	struct mfi_model *m = of(pci);

	pthread_mutex_lock(&m->lock);
	if (off == 4 && len == 2) {
		m->command = (uint16_t)(((const uint8_t *)buf)[0] | ((const uint8_t *)buf)[1] << 8);
		m->bus_master = m->command & 4;
	}
	pthread_mutex_unlock(&m->lock);
	return 0;
}

static int map_bar(struct pci_dev *pci, unsigned n, struct err *e)
{
	return 0; /* the accessors above serve it */
}

static int irq_enable(
	struct pci_dev *pci, enum pci_irq_kind kind, const int *eventfds, unsigned n, struct err *e)
{
	struct mfi_model *m = of(pci);

	pthread_mutex_lock(&m->lock);
	m->irq_on = true;
	m->irq_kind = kind;
	m->irq_fd = eventfds[0];
	pthread_mutex_unlock(&m->lock);
	return n == 1 ? 0 : -EINVAL;
}

static void irq_disable(struct pci_dev *pci)
{
	struct mfi_model *m = of(pci);

	pthread_mutex_lock(&m->lock);
	m->irq_on = false;
	pthread_mutex_unlock(&m->lock);
}

static void intx_unmask(struct pci_dev *pci)
{
	struct mfi_model *m = of(pci);

	pthread_mutex_lock(&m->lock);
	m->n_unmask++;
	pthread_mutex_unlock(&m->lock);
}

static int dma_map(struct pci_dev *pci, void *va, uint64_t size, uint64_t iova, int memfd, uint64_t offset,
	struct err *e)
{
	struct mfi_model *m = of(pci);
	int r = -ENOSPC;

	pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < ARRAY_SIZE(m->map) && r < 0; i++)
		if (!m->map[i].size) {
			m->map[i] = (struct model_map){iova, size, va};
			r = 0;
		}
	pthread_mutex_unlock(&m->lock);
	return r;
}

static int dma_unmap(struct pci_dev *pci, uint64_t iova, uint64_t size)
{
	struct mfi_model *m = of(pci);
	int r = -ENOENT;

	pthread_mutex_lock(&m->lock);
	/* Memory must not be taken away from a device that can still write to it. */
	if (m->bus_master)
		m->protocol_errors++;
	for (unsigned i = 0; i < ARRAY_SIZE(m->map); i++)
		if (m->map[i].size == size && m->map[i].iova == iova) {
			m->map[i] = (struct model_map){0};
			r = 0;
		}
	pthread_mutex_unlock(&m->lock);
	return r;
}

static void model_close(struct pci_dev *pci)
{
	struct mfi_model *m = of(pci);

	for (unsigned i = 0; i < ARRAY_SIZE(m->map); i++)
		if (m->map[i].size)
			m->protocol_errors++;
	if (m->bus_master || m->irq_on)
		m->protocol_errors++;
}

static const struct pci_ops model_ops = {
	.name = "model",
	.close = model_close,
	.cfg_read = cfg_read,
	.cfg_write = cfg_write,
	.map_bar = map_bar,
	.bar_read32 = bar_read32,
	.bar_write32 = bar_write32,
	.irq_enable = irq_enable,
	.irq_disable = irq_disable,
	.intx_unmask = intx_unmask,
	.dma_map = dma_map,
	.dma_unmap = dma_unmap,
};

void model_init(struct mfi_model *m, enum model_gen gen)
{
	static const uint16_t device[] = {0x0060, 0x0079, 0x0073};

	memset(m, 0, sizeof(*m));
	pthread_mutex_init(&m->lock, NULL);
	m->gen = gen;
	m->fw_cmds = 400;
	m->fw_sge = 80;
	m->ld_count = MODEL_LDS;
	m->strip_min = 3;
	m->max_strips = 80;
	m->max_sectors = 0xffff;
	m->state = 0xb;
	m->mask = 0xffffffff;
	m->irq_fd = -1;
	m->pci = (struct pci_dev){
		.ops = &model_ops,
		.uri = "model",
		.id = {.vendor = 0x1000, .device = device[gen], .class_code = 0x010400},
		.iova = {{0x10000, 0xfedfffff}, {0xfef00000, UINT64_C(0x7fffffffff)}},
		.n_iova = 2,
		.dma_map_limit = 16,
		.dma_page = 4096,
		.request_fd = -1,
	};
	/* gen 1 has its registers first; gen 2 has I/O space before them. */
	m->pci.bar[0] = (struct pci_bar){.size = gen == GEN1 ? 16384 : 256, .is_io = gen != GEN1};
	m->pci.bar[1] = (struct pci_bar){.size = gen == GEN1 ? 0 : 16384};
	m->pci.n_vectors[PCI_IRQ_INTX] = 1;
	m->pci.n_vectors[PCI_IRQ_MSI] = 1;
	m->pci.n_vectors[PCI_IRQ_MSIX] = 15;
}

/* --- the test's hands --- */

void model_set_state(struct mfi_model *m, uint32_t state)
{
	pthread_mutex_lock(&m->lock);
	m->state = state;
	pthread_mutex_unlock(&m->lock);
}

unsigned model_pending(struct mfi_model *m)
{
	unsigned n;

	pthread_mutex_lock(&m->lock);
	n = m->n_pending;
	pthread_mutex_unlock(&m->lock);
	return n;
}

void model_complete(struct mfi_model *m, unsigned i)
{
	uint64_t frame;

	pthread_mutex_lock(&m->lock);
	frame = m->pending[i];
	fw_drop_pending(m, i);
	fw_execute(m, frame);
	pthread_mutex_unlock(&m->lock);
}

void model_lose(struct mfi_model *m, unsigned i)
{
	pthread_mutex_lock(&m->lock);
	fw_drop_pending(m, i);
	pthread_mutex_unlock(&m->lock);
}

uint32_t model_context(struct mfi_model *m, unsigned i)
{
	uint32_t v;

	pthread_mutex_lock(&m->lock);
	v = fw_dma_read32(m, m->pending[i] + 8);
	pthread_mutex_unlock(&m->lock);
	return v;
}

bool model_flush_waits(struct mfi_model *m)
{
	bool v;

	pthread_mutex_lock(&m->lock);
	v = m->flush_frame;
	pthread_mutex_unlock(&m->lock);
	return v;
}

void model_finish_flush(struct mfi_model *m)
{
	uint64_t frame;

	pthread_mutex_lock(&m->lock);
	frame = m->flush_frame;
	m->flush_frame = 0;
	fw_answer(m, frame, m->flush_status, 0);
	pthread_mutex_unlock(&m->lock);
}

void model_post(struct mfi_model *m, uint32_t context)
{
	pthread_mutex_lock(&m->lock);
	fw_post(m, context);
	pthread_mutex_unlock(&m->lock);
}

void model_set_producer(struct mfi_model *m, uint32_t value)
{
	pthread_mutex_lock(&m->lock);
	fw_dma_write32(m, m->producer_at, value);
	fw_interrupt(m);
	pthread_mutex_unlock(&m->lock);
}

void model_interrupt(struct mfi_model *m)
{
	pthread_mutex_lock(&m->lock);
	fw_interrupt(m);
	pthread_mutex_unlock(&m->lock);
}
