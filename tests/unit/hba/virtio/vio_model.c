/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model's registers, its PCI function and the test's hands. Sections 2.1, 4.1.4 and 5.6.4 of the specification. */
#include "vio_model.h"

#include <string.h>

#include "hba/model_bytes.h"
#include "vio_model_dev.h"

static struct model *of(struct pci_dev *pci)
{
	return container_of(pci, struct model, fn.pci);
}

/* --- registers --- */

static void power_on(struct model *m)
{
	m->n_reset++;
	m->n_pending = m->n_held_tmf = 0;
	m->isr = 0;
	m->accepted = 0;
	m->dfs = m->gfs = 0;
	m->queue_select = 0;
	m->config_vector = 0xffff;
	memcpy(m->live, m->config, sizeof(m->live));
	for (unsigned i = 0; i < MODEL_QUEUES; i++) {
		uint16_t max = m->queue[i].max;

		m->queue[i] = (struct model_queue){.max = max, .size = max, .vector = 0xffff};
	}
	for (unsigned i = 0; i < MODEL_UNITS; i++)
		m->unit[i].ua = 0x29;
}

static void set_status(struct model *m, uint8_t v)
{
	if (v == 0) {
		power_on(m);
		m->slow_left = m->reset_slow;
		if (!m->reset_dead && !m->slow_left)
			m->status = 0;
		if (m->fails_anew) {
			m->fails_anew--;
			m->status |= 0x40;
		}
		return;
	}
	if (m->slow_left || (v & m->status) != m->status)
		fn_error(&m->fn, "status bits were cleared, or written during a reset");
	if (v & 8 && !(m->status & 8)) {
		/* FEATURES_OK */
		if (!(m->status & 2) || m->accepted & ~m->offered)
			fn_error(&m->fn, "features");
		if (m->refuse_features)
			v &= (uint8_t)~8;
	}
	if (v & 4 && !(m->status & 4)) {
		/* DRIVER_OK */
		if (!(m->status & 8) || !m->fn.bus_master)
			fn_error(&m->fn, "DRIVER_OK before features or bus mastering");
	}
	m->status = v;
}

static uint8_t get_status(struct model *m)
{
	if (m->slow_left && --m->slow_left == 0)
		m->status = 0;
	return m->status;
}

static struct model_queue *selected(struct model *m)
{
	static struct model_queue none;

	none = (struct model_queue){0};
	return m->queue_select < MIN(m->num_queues, (uint16_t)MODEL_QUEUES) ? &m->queue[m->queue_select]
									    : &none;
}

static uint32_t common_read(struct model *m, unsigned off, unsigned len)
{
	const struct model_queue *q = selected(m);
	uint64_t f = m->offered;

	switch (off | len << 8) {
	case 0x404:
		return m->dfs == 0 ? (uint32_t)f : m->dfs == 1 ? (uint32_t)(f >> 32) : 0;
	case 0x210:
		return m->config_vector;
	case 0x212:
		return m->num_queues;
	case 0x114:
		return get_status(m);
	case 0x115:
		if (m->restless) {
			m->restless--;
			m->generation++;
		}
		return m->generation;
	case 0x218:
		return q->size;
	case 0x21a:
		return q->vector;
	case 0x21c:
		return q->enable;
	case 0x21e:
		return m->queue_select; /* as notification offset, in units of the multiplier */
	}
	fn_error(&m->fn, "read of another width or place in the common structure");
	return 0;
}

static void queue_write(struct model *m, unsigned off, uint32_t v)
{
	struct model_queue *q = selected(m);

	if (q->enable || !(m->status & 8))
		fn_error(&m->fn, "queue set up while enabled, or before FEATURES_OK");
	if (off == 0x18) {
		if (v & (v - 1) || !v || v > q->max)
			fn_error(&m->fn, "queue size");
		q->size = (uint16_t)v;
	} else if (off == 0x1a) {
		q->vector = v < m->vectors ? (uint16_t)v : 0xffff;
	} else if (off == 0x1c) {
		if (v != 1)
			fn_error(&m->fn, "queue enable");
		q->enable = 1;
	} else {
		q->addr[(off - 0x20) / 4] = v;
	}
}

static void common_write(struct model *m, unsigned off, uint32_t v, unsigned len)
{
	unsigned want = off < 0x10 || off >= 0x20 ? 4 : off == 0x14 ? 1 : 2;

	if (len != want) {
		fn_error(&m->fn, "write of another width in the common structure");
	} else if (off == 0x00) {
		m->dfs = v;
	} else if (off == 0x08) {
		m->gfs = v;
	} else if (off == 0x0c && m->gfs < 2) {
		m->accepted &= m->gfs ? 0xffffffff : ~UINT64_C(0xffffffff);
		m->accepted |= (uint64_t)v << (32 * m->gfs);
	} else if (off == 0x10) {
		m->config_vector = v < m->vectors ? (uint16_t)v : 0xffff;
	} else if (off == 0x14) {
		set_status(m, (uint8_t)v);
	} else if (off == 0x16) {
		m->queue_select = (uint16_t)v;
	} else if (off >= 0x18 && off < 0x38 && off != 0x1e) {
		queue_write(m, off, v);
	} else {
		fn_error(&m->fn, "write to a read-only register");
	}
}

static uint32_t config_read(struct model *m, unsigned off, unsigned len)
{
	unsigned want = off >= 0x1c && off < 0x20 ? 2 : 4;
	uint32_t v = 0;

	if (len != want || off % len || off + len > sizeof(m->live)) {
		fn_error(&m->fn, "read of another width in the device structure");
		return 0;
	}
	memcpy(&v, m->live + off, len);
	return le32toh(v);
}

static uint32_t bar_read(struct pci_dev *pci, unsigned n, uint64_t off, unsigned len)
{
	struct model *m = of(pci);
	uint32_t v = 0;

	pthread_mutex_lock(&m->fn.lock);
	if (m->fn.gone) {
		v = 0xffffffff;
	} else if (n == 4 && off < 0x38) {
		v = common_read(m, (unsigned)off, len);
	} else if (n == 4 && off == 0x1000 && len == 1) {
		v = m->isr;
		m->isr = 0;
	} else if (n == 4 && off >= 0x2000 && off < 0x2024) {
		v = config_read(m, (unsigned)off - 0x2000, len);
	} else {
		fn_error(&m->fn, "read where no structure is");
	}
	pthread_mutex_unlock(&m->fn.lock);
	return v;
}

static void bar_write(struct pci_dev *pci, unsigned n, uint64_t off, uint32_t v, unsigned len)
{
	struct model *m = of(pci);

	pthread_mutex_lock(&m->fn.lock);
	if (m->fn.gone) {
		/* nobody is there */
	} else if (n == 4 && off < 0x38) {
		common_write(m, (unsigned)off, v, len);
	} else if (n == 4 && (off == 0x2014 || off == 0x2018) && len == 4) {
		v = htole32(v);
		memcpy(m->live + (off - 0x2000), &v, 4);
	} else if (n == 4 && off >= 0x3000 && off < 0x3000 + 4 * MODEL_QUEUES && len == 2 &&
		   v == (off - 0x3000) / 4) {
		m->n_notify++;
		dev_notify(m, v);
	} else {
		fn_error(&m->fn, "write where no register is");
	}
	pthread_mutex_unlock(&m->fn.lock);
}

static uint32_t bar_read32(struct pci_dev *pci, unsigned n, uint64_t off)
{
	return bar_read(pci, n, off, 4);
}

static void bar_write32(struct pci_dev *pci, unsigned n, uint64_t off, uint32_t v)
{
	bar_write(pci, n, off, v, 4);
}

/* --- the PCI function --- */

/* A device that was not reset goes on, whatever becomes of bus mastering. */
static bool still_runs(const struct model_fn *f)
{
	const struct model *m = container_of(f, struct model, fn);

	return m->status & 4 && !f->gone && !m->reset_dead;
}

static const struct pci_ops model_ops = {
	FN_OPS,
	.bar_read32 = bar_read32,
	.bar_write32 = bar_write32,
	.bar_read_part = bar_read,
	.bar_write_part = bar_write,
};

/* --- set-up --- */

unsigned model_cap(struct model *m, unsigned at, uint8_t next, uint8_t type, uint8_t bar, uint32_t offset,
	uint32_t length, uint32_t multiplier)
{
	uint8_t *p = m->fn.cfg + at;

	p[0] = 0x09;
	p[1] = next;
	p[2] = type == 2 ? 20 : 16;
	p[3] = type;
	p[4] = bar;
	put_le32(p + 8, offset);
	put_le32(p + 12, length);
	if (type == 2)
		put_le32(p + 16, multiplier);
	return at + p[2];
}

void model_config32(struct model *m, unsigned off, uint32_t v)
{
	put_le32(m->config + off, v);
}

void model_request_queues(struct model *m, unsigned n)
{
	m->num_queues = (uint16_t)(2 + n);
	model_config32(m, 0x00, n);
	m->fn.pci.n_vectors[PCI_IRQ_MSIX] = 3 + n;
}

static void init_units(struct model *m)
{
	static const struct {
		uint8_t target, type;
		uint16_t lun;
	} at[MODEL_UNITS] = {{0, 0, 0}, {0, 0, 1}, {3, 0, 300}, {5, 1, 0}};

	for (unsigned i = 0; i < MODEL_UNITS; i++) {
		m->unit[i].target = at[i].target;
		m->unit[i].lun = at[i].lun;
		m->unit[i].type = at[i].type;
		m->unit[i].present = m->unit[i].wce = m->unit[i].dpofua = true;
	}
}

void model_init(struct model *m)
{
	static const struct pci_id id = {
		.vendor = 0x1af4, .device = 0x1048, .class_code = 0x010000, .revision = 1};

	memset(m, 0, sizeof(*m));
	fn_init(&m->fn, &model_ops, &id);
	m->fn.runs = still_runs;
	/* As QEMU lays it out; another capability (MSI-X) stands first. */
	m->fn.cfg[6] = 0x10;
	m->fn.cfg[0x34] = 0x98;
	m->fn.cfg[0x98] = 0x11;
	m->fn.cfg[0x99] = 0x40;
	model_cap(m, 0x40, 0x50, 1, 4, 0x0000, 0x1000, 0);
	model_cap(m, 0x50, 0x60, 3, 4, 0x1000, 0x1000, 0);
	model_cap(m, 0x60, 0x70, 4, 4, 0x2000, 0x1000, 0);
	model_cap(m, 0x70, 0x84, 2, 4, 0x3000, 0x1000, 4);
	model_cap(m, 0x84, 0x00, 5, 0, 0, 0, 0);
	/* HOTPLUG CHANGE, INOUT which must not be taken, INDIRECT EVENT_IDX, VERSION_1 ACCESS_PLATFORM, packed */
	m->offered = 0x7 | UINT64_C(0x30000000) | UINT64_C(0x700000000);
	m->num_queues = 3;
	m->vectors = 16;
	for (unsigned i = 0; i < MODEL_QUEUES; i++)
		m->queue[i].max = i < 2 ? 64 : 256;
	model_config32(m, 0x00, 1);
	model_config32(m, 0x04, 126);
	model_config32(m, 0x08, 0xffff);
	model_config32(m, 0x0c, 1024);
	model_config32(m, 0x10, 16);
	model_config32(m, 0x14, 96);
	model_config32(m, 0x18, 32);
	model_config32(m, 0x1c, 7u << 16);
	model_config32(m, 0x20, 16383);
	init_units(m);
	m->status = 7; /* as another driver left it */
	m->fn.pci.bar[1] = (struct pci_bar){.size = 4096};
	m->fn.pci.bar[2] = (struct pci_bar){.size = 64, .is_io = true};
	m->fn.pci.bar[4] = (struct pci_bar){.size = 16384};
	m->fn.pci.n_vectors[PCI_IRQ_INTX] = 1;
	m->fn.pci.n_vectors[PCI_IRQ_MSIX] = 4;
}

/* --- the test's hands --- */

unsigned model_pending(struct model *m)
{
	return fn_locked(&m->fn, m->n_pending);
}

void model_complete(struct model *m, unsigned i)
{
	unsigned queue;
	uint16_t head;

	pthread_mutex_lock(&m->fn.lock);
	if (i < m->n_pending) {
		head = m->pending[i];
		queue = m->pending_queue[i];
		dev_drop_pending(m, i);
		dev_execute(m, queue, head);
	}
	pthread_mutex_unlock(&m->fn.lock);
}

void model_lose(struct model *m, unsigned i)
{
	fn_do_locked(&m->fn, dev_drop_pending(m, i));
}

uint16_t model_head(struct model *m, unsigned i)
{
	return fn_locked(&m->fn, m->pending[i]);
}

unsigned model_queue_of(struct model *m, unsigned i)
{
	return fn_locked(&m->fn, m->pending_queue[i]);
}

bool model_finish_tmf(struct model *m)
{
	return fn_locked(&m->fn, dev_finish_tmf(m));
}

void model_post(struct model *m, unsigned queue, uint32_t id, uint32_t len)
{
	fn_do_locked(&m->fn, dev_used(m, queue, id, len));
}

void model_skip(struct model *m, unsigned queue, uint16_t by)
{
	fn_do_locked(&m->fn, dev_skip(m, queue, by));
}

void model_needs_reset(struct model *m)
{
	fn_do_locked(&m->fn, m->status |= 0x40);
}

bool model_event(struct model *m, uint32_t event, uint8_t target, uint16_t lun, uint32_t reason)
{
	return fn_locked(&m->fn, dev_event(m, event, target, lun, reason));
}
