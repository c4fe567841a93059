/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model's registers, its PCI function, and the test's hands. */
#include "fusion_model.h"

#include <string.h>

#include "fusion_model_fw.h"
#include "hba/model_bytes.h"
#include "hba/model_megaraid.h"

static struct model *of(struct pci_dev *pci)
{
	return container_of(pci, struct model, fn.pci);
}

/* --- registers --- */

static void to_ready(struct model *m)
{
	fw_forget(m);
	m->mask = 0xffffffff;
	m->status = 0;
	m->state = 0xb;
}

static void doorbell(struct model *m, uint32_t v)
{
	if (megaraid_doorbell(&m->state, v)) {
		m->n_soft_reset++;
		to_ready(m);
	}
}

static void diag_key(struct model *m, uint32_t v)
{
	static const uint8_t key[] = {0, 0xf, 4, 0xb, 2, 7, 0xd};

	if (megaraid_key(&m->key_at, key, ARRAY_SIZE(key), v))
		m->diag = 0x80;
}

static void diag(struct model *m, uint32_t v)
{
	if (!megaraid_diag(&m->diag, v, &m->n_chip_reset, m->chip_dead))
		return;
	to_ready(m);
	if (m->resets_fail) {
		m->resets_fail--;
		m->state = 0xf;
	}
}

static uint32_t state_word(struct model *m)
{
	if (m->boot_at < m->boot_n)
		m->state = m->boot[m->boot_at++];
	if (m->state == 0xf)
		return 0xf0000000 | m->fault_bits;
	return m->state << 28 | (m->no_msix ? 0 : 0x04000000) | 0x00500000 | m->fw_cmds;
}

static uint32_t doorbell_word(struct model *m)
{
	if (!m->busy_reads)
		return 0;
	m->busy_reads--;
	return 1;
}

static uint32_t bar_read32(struct pci_dev *pci, unsigned n, uint64_t off)
{
	struct model *m = of(pci);
	uint32_t v = 0;

	pthread_mutex_lock(&m->fn.lock);
	switch (off) {
	case 0x00:
		v = doorbell_word(m);
		break;
	case 0x08:
		v = m->diag;
		break;
	case 0x30:
		v = m->status;
		break;
	case 0x34:
		v = m->mask;
		break;
	case 0xb0:
		v = state_word(m);
		break;
	case 0xb4:
		v = m->pad1;
		break;
	case 0xb8:
		v = m->ext_cmds;
		break;
	}
	if (m->fn.gone)
		v = 0xffffffff;
	pthread_mutex_unlock(&m->fn.lock);
	return v;
}

static void host_index(struct model *m, unsigned queue, uint32_t index)
{
	if (queue >= m->vectors || index >= m->depth)
		fn_error(&m->fn, "host index of no queue, or beyond its end");
	else
		m->host[queue] = index;
}

static void bar_write32(struct pci_dev *pci, unsigned n, uint64_t off, uint32_t v)
{
	struct model *m = of(pci);

	pthread_mutex_lock(&m->fn.lock);
	if (m->fn.gone)
		off = 0x1ffc;
	switch (off) {
	case 0x00:
		doorbell(m, v);
		break;
	case 0x04:
		diag_key(m, v);
		break;
	case 0x08:
		diag(m, v);
		break;
	case 0x30:
		m->status &= ~v;
		break;
	case 0x34:
		m->mask = v;
		break;
	case 0x6c:
		if (m->running)
			host_index(m, v >> 24, v & 0xffffff);
		break;
	case 0x30c:
	case 0x31c:
		/* The oldest have no such registers, the others only with more messages than fit behind one. */
		if (m->gen == THUNDERBOLT || m->no_msix)
			fn_error(&m->fn, "host index in a register that is not there");
		host_index(m, (unsigned)(off - 0x30c) / 2 + (v >> 24), v & 0xffffff);
		break;
	case 0xc0:
		m->low = v;
		break;
	case 0xc4:
		m->n_halves++;
		fw_descriptor(m, (uint64_t)v << 32 | m->low);
		break;
	case 0xc8:
		m->n_atomic++;
		fw_descriptor(m, v);
		break;
	}
	pthread_mutex_unlock(&m->fn.lock);
}

/* Only the request queue's port is that wide. */
static void bar_write64(struct pci_dev *pci, unsigned n, uint64_t off, uint64_t v)
{
	struct model *m = of(pci);

	pthread_mutex_lock(&m->fn.lock);
	if (off != 0xc0)
		fn_error(&m->fn, "64 bits at once to a register of 32");
	else if (!m->fn.gone)
		fw_descriptor(m, v);
	pthread_mutex_unlock(&m->fn.lock);
}

static bool bar_whole64(struct pci_dev *pci, unsigned n, uint64_t off)
{
	return !of(pci)->no_whole64;
}

static const struct pci_ops model_ops = {FN_OPS, .bar_read32 = bar_read32, .bar_write32 = bar_write32,
	.bar_write64 = bar_write64, .bar_whole64 = bar_whole64};

void model_init(struct model *m, enum model_gen gen)
{
	static const uint16_t device[] = {0x005b, 0x005d, 0x0014, 0x10e2};
	/* 16 queues (8 on the oldest), chains of 4 KiB, SYNCHRONIZE CACHE honoured */
	static const uint32_t pad1[] = {0x01400107, 0x0143c100, 0x0143c100, 0x0143c100};
	const struct pci_id id = {.vendor = 0x1000, .device = device[gen], .class_code = 0x010400};

	memset(m, 0, sizeof(*m));
	fn_init(&m->fn, &model_ops, &id);
	m->gen = gen;
	m->fw_cmds = 400;
	m->ext_cmds = gen == INVADER ? 500 : 0;
	m->pad1 = pad1[gen];
	m->fault_bits = 0x01230003;
	m->state = 0xb;
	m->mask = 0xffffffff;
	m->ld_state[0] = m->ld_state[1] = 3;
	m->pd_handle = 0x19;
	m->pd_seq = 0x77;
	m->pd_interface = 2; /* SAS */
	m->abort_kills = m->reset_kills = true;
	m->next_event = 1000;
	/* Registers come first on the newer ones, behind I/O space on the others. */
	m->fn.pci.bar[gen >= VENTURA ? 0 : 1] = (struct pci_bar){.size = 65536};
	if (gen < VENTURA)
		m->fn.pci.bar[0] = (struct pci_bar){.size = 256, .is_io = true};
	m->fn.pci.n_vectors[PCI_IRQ_INTX] = 1;
	m->fn.pci.n_vectors[PCI_IRQ_MSI] = 1;
	m->fn.pci.n_vectors[PCI_IRQ_MSIX] = MODEL_QUEUES;
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
		struct model_request q = m->pending[i];

		fw_drop_pending(m, i);
		fw_execute(m, q);
	}
	pthread_mutex_unlock(&m->fn.lock);
}

uint16_t model_smid(struct model *m, unsigned i)
{
	return fn_locked(&m->fn, m->pending[i].smid);
}

void model_lose(struct model *m, unsigned i)
{
	fn_do_locked(&m->fn, fw_drop_pending(m, i));
}

void model_post(struct model *m, unsigned queue, uint64_t descriptor)
{
	fn_do_locked(&m->fn, fw_post_raw(m, queue, descriptor));
}

bool model_flush_waits(struct model *m)
{
	return fn_locked(&m->fn, m->flush.smid);
}

void model_finish_flush(struct model *m)
{
	struct model_request q;

	pthread_mutex_lock(&m->fn.lock);
	q = m->flush;
	m->flush.smid = 0;
	fw_answer_mfi(m, q, m->flush_status);
	pthread_mutex_unlock(&m->fn.lock);
}

bool model_task_waits(struct model *m)
{
	return fn_locked(&m->fn, m->n_tasks);
}

void model_begin_task(struct model *m)
{
	fn_do_locked(&m->fn, fw_kill_for_task(m, m->task[0]));
}

void model_finish_task(struct model *m)
{
	pthread_mutex_lock(&m->fn.lock);
	if (m->n_tasks) {
		struct model_request q = m->task[0];

		memmove(&m->task[0], &m->task[1], --m->n_tasks * sizeof(q));
		fw_do_task(m, q);
	}
	pthread_mutex_unlock(&m->fn.lock);
}

static void record(struct model *m, uint32_t code, const char *text)
{
	megaraid_event(m->event_data, m->next_event++, code, text);
}

void model_event(struct model *m, uint32_t code, const char *text)
{
	pthread_mutex_lock(&m->fn.lock);
	record(m, code, text);
	fw_deliver_event(m);
	pthread_mutex_unlock(&m->fn.lock);
}

/* Of a drive it is the device id, the enclosure and the slot [4.7]. */
static void record_args(struct model *m, uint32_t code, uint8_t arg_type, uint16_t id)
{
	record(m, code, "");
	m->event_data[0x10] = arg_type;
	put_le16(m->event_data + 0x20, id);
	m->event_data[0x22] = 252;
	m->event_data[0x23] = 3;
}

void model_event_args(struct model *m, uint32_t code, uint8_t arg_type, uint16_t id)
{
	pthread_mutex_lock(&m->fn.lock);
	record_args(m, code, arg_type, id);
	fw_deliver_event(m);
	pthread_mutex_unlock(&m->fn.lock);
}

void model_event_missed(struct model *m, uint32_t code)
{
	fn_do_locked(&m->fn, record(m, code, ""));
}

void model_event_args_missed(struct model *m, uint32_t code, uint8_t arg_type, uint16_t id)
{
	fn_do_locked(&m->fn, record_args(m, code, arg_type, id));
}

void model_end_wait(struct model *m, uint8_t status, uint32_t next)
{
	struct model_request q;

	pthread_mutex_lock(&m->fn.lock);
	q = m->event;
	m->event.smid = 0;
	m->next_event = next;
	fw_answer_mfi(m, q, status);
	pthread_mutex_unlock(&m->fn.lock);
}
