/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See ame_model.h. Registers and queues; what the commands do is in ame_model_cmd.c. */
#include "ame_model_cmd.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct model *of(struct pci_dev *pci)
{
	return container_of(container_of(pci, struct model_fn, pci), struct model, fn);
}

/* --- queues --- */

static void look(struct model *m)
{
	bool up = m->outbound || m->reply_in != m->reply_out;

	if (up && !m->no_irq)
		fn_interrupt(&m->fn);
}

static void say(struct model *m, uint32_t message)
{
	m->reply[m->reply_in++ % MODEL_REPLIES] = message;
	look(m);
}

void model_reply_fast(struct model *m, const uint8_t *f)
{
	say(m, le32_at(f + 4));
}

uint32_t model_reply_frame(struct model *m, const uint8_t reply[96])
{
	uint32_t low;

	if (!m->n_frames) {
		fn_error(&m->fn, "no reply frame left");
		return 0;
	}
	low = m->frame[0];
	memmove(m->frame, m->frame + 1, --m->n_frames * sizeof(m->frame[0]));
	fn_write(&m->fn, (uint64_t)m->high << 32 | low, reply, 96);
	say(m, 0x80000000u | low >> 1);
	return low;
}

static void forget_frames(struct model *m)
{
	m->n_frames = 0;
	m->ring_in = m->ring_out = 0;
	m->talking = false;
}

static void forget(struct model *m)
{
	forget_frames(m);
	m->n_pending = 0;
	m->reply_in = m->reply_out = 0;
}

static void fetch(struct model *m, uint32_t low)
{
	struct model_request q;

	if (!m->talking) {
		fn_error(&m->fn, "a request before the handshake");
		return;
	}
	if (low & 0xff)
		fn_error(&m->fn, "a request that is not aligned");
	fn_read(&m->fn, q.f, (uint64_t)m->high << 32 | low, sizeof(q.f));
	memcpy(m->last, q.f, sizeof(q.f));
	m->n_cmds++;
	if (m->n_pending == MODEL_PENDING) {
		fn_error(&m->fn, "too many requests");
		return;
	}
	if ((q.f[3] == 0 && m->hold) || (q.f[3] != 0 && m->hold_inband && q.f[3] != 1))
		m->pending[m->n_pending++] = q;
	else
		model_execute(m, q.f);
}

static void post_frame(struct model *m, uint32_t low)
{
	if (low & 0xff || m->n_frames >= 512)
		fn_error(&m->fn, "reply frame");
	else if (m->family != BOX_2208)
		m->frame[m->n_frames++] = low;
	else if (m->ring_in - m->ring_out >= 15)
		fn_error(&m->fn, "the ring of reply frames is full");
	else
		m->ring[m->ring_in++ % 16] = low;
}

static void inbound(struct model *m, uint32_t val)
{
	if (m->family == BOX_341) {
		fn_error(&m->fn, "a 341 has no inbound doorbell");
	} else if (val == 0xffffffff && m->forget_keeps) {
		forget_frames(m);
	} else if (val == 0xffffffff) {
		forget(m);
	} else if (val & 0x80000000) {
		m->high = val & 0x7fffffff;
		m->talking = true;
		m->ready_left = m->ready_after;
	} else if (val == 0x10000000 && m->family == BOX_2208) {
		while (!m->ring_stuck && m->ring_in != m->ring_out)
			m->frame[m->n_frames++] = m->ring[m->ring_out++ % 16];
	} else {
		fn_error(&m->fn, "inbound doorbell");
	}
}

/* --- registers --- */

static uint32_t answer(struct model *m)
{
	/* Firmware that is not up says nothing. (The 341 has no mark by which that could be told.) */
	if (!m->talking || !m->ready_bits || (m->boot_reads && m->family != BOX_341))
		return m->outbound;
	if (m->ready_left && !--m->ready_left)
		m->outbound |= m->ready_bits;
	return m->outbound;
}

static uint32_t reg_read(struct model *m, unsigned bar, uint64_t off)
{
	unsigned mine = m->family == BOX_341 ? 0 : 1;

	if (bar != mine) {
		fn_error(&m->fn, "the wrong BAR");
		return 0xffffffff;
	}
	switch (off) {
	case 0x30:
		return m->family == BOX_341 ? answer(m) & 1 : 0;
	case 0x34:
		return m->mask;
	case 0x40:
		if (m->full_reads) {
			m->full_reads--;
			return 0xffffffff;
		}
		return 0x1234;
	case 0x44:
		return m->reply_in == m->reply_out ? 0xffffffff : m->reply[m->reply_out++ % MODEL_REPLIES];
	case 0x9c:
		return answer(m);
	case 0xb4:
		if (m->boot_reads && !--m->boot_reads)
			m->pad1 = 1;
		return m->pad1;
	}
	fn_error(&m->fn, "a register that nobody reads");
	return 0;
}

static void reg_write(struct model *m, unsigned bar, uint64_t off, uint32_t val)
{
	if (m->n_write < MODEL_WRITES) {
		m->write[m->n_write].off = (uint32_t)off;
		m->write[m->n_write++].val = val;
	}
	switch (off) {
	case 0x10:
		m->high = val;
		m->talking = true;
		m->ready_left = m->ready_after;
		return;
	case 0x20:
		inbound(m, val);
		return;
	case 0x30:
	case 0xa0:
		if (!m->stuck_doorbell)
			m->outbound &= ~val;
		return;
	case 0x34:
		m->mask = val;
		return;
	case 0x40:
		fetch(m, val);
		return;
	case 0x44:
		post_frame(m, val);
		return;
	case 0xb4:
		m->pad1 = val;
		return;
	case 0xb8:
		m->pad2 = val;
		return;
	}
	fn_error(&m->fn, "a register that nobody writes");
}

static uint32_t op_read(struct pci_dev *pci, unsigned bar, uint64_t off)
{
	struct model *m = of(pci);
	uint32_t v = 0xffffffff;

	pthread_mutex_lock(&m->fn.lock);
	if (!m->fn.gone)
		v = reg_read(m, bar, off);
	pthread_mutex_unlock(&m->fn.lock);
	return v;
}

static void op_write(struct pci_dev *pci, unsigned bar, uint64_t off, uint32_t val)
{
	struct model *m = of(pci);

	pthread_mutex_lock(&m->fn.lock);
	if (!m->fn.gone)
		reg_write(m, bar, off, val);
	pthread_mutex_unlock(&m->fn.lock);
}

/* The ring of the 2208, 16 bits each. */
static uint32_t op_read_part(struct pci_dev *pci, unsigned bar, uint64_t off, unsigned len)
{
	struct model *m = of(pci);
	uint32_t v = 0xffff;

	pthread_mutex_lock(&m->fn.lock);
	if (m->fn.gone)
		v = 0xffff;
	else if (m->family != BOX_2208 || len != 2 || (off != 0x68 && off != 0x6a))
		fn_error(&m->fn, "a 16-bit register that is not there");
	else
		v = (off == 0x68 ? m->ring_out : m->ring_in) % 16;
	pthread_mutex_unlock(&m->fn.lock);
	return v;
}

static int op_cfg_write(struct pci_dev *pci, unsigned off, const void *buf, unsigned len)
{
	struct model *m = of(pci);

	if (off == 4 && fn_locked(&m->fn, m->master_stuck))
		return -EIO;
	if ((off != 0x10 && off != 0x14) || len != 4)
		return fn_cfg_write(pci, off, buf, len);
	fn_do_locked(&m->fn, memcpy(m->fn.cfg + off, buf, len));
	return 0;
}

static void restart(struct model *m)
{
	forget(m);
	m->mask = 0xffffffff;
	m->outbound = 0;
	m->events_on = false;
	m->pad1 = 0;
	m->boot_reads = m->boot_reads ? m->boot_reads : 1;
}

static int op_reset(struct pci_dev *pci, struct err *e)
{
	struct model *m = of(pci);
	int r = 0;

	pthread_mutex_lock(&m->fn.lock);
	m->n_reset++;
	while (m->reset_blocks) {
		pthread_mutex_unlock(&m->fn.lock);
		usleep(1000);
		pthread_mutex_lock(&m->fn.lock);
	}
	if (m->master_stuck && !m->reset_fails)
		m->fn.bus_master = false;
	if (m->fn.bus_master && !m->master_stuck)
		fn_error(&m->fn, "a reset with bus mastering on");
	if (m->reset_fails)
		r = err_set(e, -ENOTSUP, "no reset");
	else if (m->reset_keeps_firmware)
		forget(m);
	else
		restart(m);
	if (m->reset_kills)
		m->ready_bits = 0;
	pthread_mutex_unlock(&m->fn.lock);
	return r;
}

static const struct pci_ops model_ops = {
	FN_OPS_BUT_CFG_WRITE,
	.cfg_write = op_cfg_write,
	.bar_read32 = op_read,
	.bar_write32 = op_write,
	.bar_read_part = op_read_part,
	.reset = op_reset,
};

void model_init(struct model *m, enum model_family family, uint16_t device)
{
	const struct pci_id id = {.vendor = 0x14d6, .device = device};
	static const uint8_t disks[] = {0, 3, 63};

	memset(m, 0, sizeof(*m));
	fn_init(&m->fn, &model_ops, &id);
	m->fn.cfg[4] = 2; /* memory */
	m->fn.cfg[0x10] = 0x01;
	m->fn.cfg[0x17] = 0xf0;
	m->fn.pci.n_vectors[PCI_IRQ_INTX] = 1;
	m->fn.pci.bar[0].size = family == BOX_341 ? 4096 : 256;
	m->fn.pci.bar[0].is_io = family != BOX_341;
	m->fn.pci.bar[1].size = family == BOX_341 ? 0 : 262144;
	m->family = family;
	m->ready_after = 1;
	m->ready_bits = 1;
	m->pad1 = 1;
	m->mask = 0xffffffff;
	for (unsigned i = 0; i < sizeof(disks); i++) {
		m->lun[disks[i]].present = true;
		m->lun[disks[i]].wce = true;
		m->lun[disks[i]].disk = (uint8_t)i;
	}
	m->lun[5].present = true;
	m->lun[5].type = 0x0d;
}

/* --- for tests --- */

unsigned model_pending(struct model *m)
{
	return fn_locked(&m->fn, m->n_pending);
}

static struct model_request take(struct model *m, unsigned i)
{
	struct model_request q = m->pending[i];

	memmove(&m->pending[i], &m->pending[i + 1], (--m->n_pending - i) * sizeof(m->pending[0]));
	return q;
}

void model_complete(struct model *m, unsigned i)
{
	struct model_request q;

	pthread_mutex_lock(&m->fn.lock);
	q = take(m, i);
	model_execute(m, q.f);
	pthread_mutex_unlock(&m->fn.lock);
}

void model_lose(struct model *m, unsigned i)
{
	fn_do_locked(&m->fn, take(m, i));
}

uint32_t model_id(struct model *m, unsigned i)
{
	return fn_locked(&m->fn, le32_at(m->pending[i].f + 4));
}

void model_say(struct model *m, uint32_t message)
{
	fn_do_locked(&m->fn, say(m, message));
}

uint32_t model_say_frame(struct model *m, const uint8_t reply[96])
{
	return fn_locked(&m->fn, model_reply_frame(m, reply));
}

void model_event(struct model *m, uint8_t what)
{
	const uint8_t reply[96] = {[3] = 0x02, [8] = what};

	model_say_frame(m, reply);
}

void model_notice(struct model *m, uint32_t bits)
{
	pthread_mutex_lock(&m->fn.lock);
	if (bits & 4 && !m->forget_keeps)
		m->n_pending = 0;
	m->outbound |= bits;
	look(m);
	pthread_mutex_unlock(&m->fn.lock);
}

void model_restart(struct model *m, bool config_too)
{
	pthread_mutex_lock(&m->fn.lock);
	restart(m);
	if (config_too) {
		memset(m->fn.cfg + 0x10, 0, 8);
		m->fn.cfg[4] = 0;
		m->fn.bus_master = false;
	}
	pthread_mutex_unlock(&m->fn.lock);
}

unsigned model_wrote(struct model *m, uint32_t off, uint32_t val)
{
	unsigned n = 0;

	pthread_mutex_lock(&m->fn.lock);
	for (unsigned i = 0; i < m->n_write; i++)
		n += m->write[i].off == off && m->write[i].val == val;
	pthread_mutex_unlock(&m->fn.lock);
	return n;
}
