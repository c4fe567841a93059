/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model's registers, its PCI function, and the test's hands. */
#include "mfi_model.h"

#include <string.h>

#include "mfi_model_fw.h"
#include "model_megaraid.h"

static struct model *of(struct pci_dev *pci)
{
	return container_of(pci, struct model, fn.pci);
}

/* --- registers --- */

static void soft_reset(struct model *m)
{
	m->queue_active = m->closed = false;
	m->n_pending = 0;
	m->flush_frame = m->event_frame = 0;
	m->mask = 0xffffffff;
	m->status = 0;
	m->state = 0xb;
}

static uint32_t after_adapter_reset(struct model *m)
{
	if (!m->adapter_faults)
		return 0xb;
	m->adapter_faults--;
	return 0xf;
}

static void doorbell(struct model *m, uint32_t v)
{
	if (m->stuck)
		return;
	if (v & 0x40) {
		/* gen 1 resets its adapter this way */
		m->n_adapter_reset++;
		if (!m->adapter_dead) {
			soft_reset(m);
			m->state = after_adapter_reset(m);
		}
		return;
	}
	if (megaraid_doorbell(&m->state, v)) {
		m->n_soft_reset++;
		soft_reset(m);
	}
}

static void diag_key(struct model *m, uint32_t v)
{
	static const uint8_t key[] = {0, 4, 0xb, 2, 7, 0xd};

	if (megaraid_key(&m->key_at, key, ARRAY_SIZE(key), v))
		m->diag = 0x80;
}

static void diag(struct model *m, uint32_t v)
{
	if (!megaraid_diag(&m->diag, v, &m->n_adapter_reset, m->adapter_dead))
		return;
	soft_reset(m);
	m->state = after_adapter_reset(m);
}

static uint32_t state_word(struct model *m)
{
	if (m->boot_at < m->boot_n)
		m->state = m->boot[m->boot_at++];
	return m->state << 28 | 0x04000000 | m->fw_sge << 16 | m->fw_cmds;
}

static uint32_t bar_read32(struct pci_dev *pci, unsigned n, uint64_t off)
{
	struct model *m = of(pci);
	uint32_t v = 0;

	pthread_mutex_lock(&m->fn.lock);
	if (m->fn.gone)
		v = 0xffffffff;
	else if (off == 0xb0)
		v = state_word(m);
	else if (off == 0x30)
		v = m->status;
	else if (off == 0x34)
		v = m->mask;
	else if (off == (m->gen == SKINNY ? 0x08 : 0xf8))
		v = m->diag;
	pthread_mutex_unlock(&m->fn.lock);
	return v;
}

static void bar_write32(struct pci_dev *pci, unsigned n, uint64_t off, uint32_t v)
{
	struct model *m = of(pci);

	pthread_mutex_lock(&m->fn.lock);
	if (m->fn.gone) {
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
		fw_submit(m, v & ~31u, v);
	} else if (off == 0xc4 && m->gen == SKINNY) {
		m->fire_high = v;
	} else if (off == 0xc0 && m->gen == SKINNY) {
		fw_submit(m, (v & ~31u) | (uint64_t)m->fire_high << 32, v);
	}
	pthread_mutex_unlock(&m->fn.lock);
}

static const struct pci_ops model_ops = {FN_OPS, .bar_read32 = bar_read32, .bar_write32 = bar_write32};

void model_init(struct model *m, enum model_gen gen)
{
	static const uint16_t device[] = {0x0060, 0x0079, 0x0073};
	const struct pci_id id = {.vendor = 0x1000, .device = device[gen], .class_code = 0x010400};

	memset(m, 0, sizeof(*m));
	fn_init(&m->fn, &model_ops, &id);
	m->gen = gen;
	m->fw_cmds = 400;
	m->fw_sge = 80;
	m->ld_count = MODEL_LDS;
	m->ld_state[0] = 3;
	m->ld_state[1] = 2;
	m->ld_blocks = MODEL_LD_BLOCKS;
	m->next_event = 1000;
	m->strip_min = 3;
	m->max_strips = 80;
	m->max_sectors = 0xffff;
	m->state = 0xb;
	m->mask = 0xffffffff;
	/* gen 1 has its registers first; gen 2 has I/O space before them. */
	m->fn.pci.bar[0] = (struct pci_bar){.size = gen == GEN1 ? 16384 : 256, .is_io = gen != GEN1};
	m->fn.pci.bar[1] = (struct pci_bar){.size = gen == GEN1 ? 0 : 16384};
	m->fn.pci.n_vectors[PCI_IRQ_INTX] = 1;
	m->fn.pci.n_vectors[PCI_IRQ_MSI] = 1;
	m->fn.pci.n_vectors[PCI_IRQ_MSIX] = 15;
}

/* --- the test's hands --- */

void model_set_state(struct model *m, uint32_t state)
{
	fn_do_locked(&m->fn, m->state = state);
}

unsigned model_pending(struct model *m)
{
	return fn_locked(&m->fn, m->n_pending);
}

void model_complete(struct model *m, unsigned i)
{
	pthread_mutex_lock(&m->fn.lock);
	/* A reset may have taken it away since the test looked. */
	if (i < m->n_pending) {
		uint64_t frame = m->pending[i];

		fw_drop_pending(m, i);
		fw_execute(m, frame);
	}
	pthread_mutex_unlock(&m->fn.lock);
}

void model_lose(struct model *m, unsigned i)
{
	fn_do_locked(&m->fn, fw_drop_pending(m, i));
}

uint32_t model_context(struct model *m, unsigned i)
{
	return fn_locked(&m->fn, fn_read32(&m->fn, m->pending[i] + 8));
}

bool model_flush_waits(struct model *m)
{
	return fn_locked(&m->fn, m->flush_frame);
}

void model_finish_flush(struct model *m)
{
	uint64_t frame;

	pthread_mutex_lock(&m->fn.lock);
	frame = m->flush_frame;
	m->flush_frame = 0;
	fw_answer(m, frame, m->flush_status, 0);
	pthread_mutex_unlock(&m->fn.lock);
}

void model_post(struct model *m, uint32_t context)
{
	fn_do_locked(&m->fn, fw_post(m, context));
}

void model_set_producer(struct model *m, uint32_t value)
{
	pthread_mutex_lock(&m->fn.lock);
	fn_write32(&m->fn, m->producer_at, value);
	fw_interrupt(m);
	pthread_mutex_unlock(&m->fn.lock);
}

void model_interrupt(struct model *m)
{
	fn_do_locked(&m->fn, fw_interrupt(m));
}
