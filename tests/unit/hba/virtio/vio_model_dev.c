/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model's device: DMA, rings, commands, task management. Sections 2.7 and 5.6.6 of the specification. */
#include "vio_model_dev.h"
#include "hba/model_bytes.h"

#include <string.h>

/* --- rings --- */

static uint64_t area(const struct model_queue *q, unsigned which)
{
	return q->addr[2 * which] | (uint64_t)q->addr[2 * which + 1] << 32;
}

static void interrupt(struct model *m, unsigned queue)
{
	uint16_t vector = m->queue[queue].vector;

	if (!m->fn.irq_on || m->no_irq || m->silent_queues >> queue & 1)
		return;
	if (m->fn.irq_kind == PCI_IRQ_INTX)
		m->isr |= 1;
	else if (vector == 0xffff || (queue < 2 && vector))
		fn_error(&m->fn, "a queue has no vector, or one that is not for it");
	fn_interrupt_vector(&m->fn, m->fn.irq_kind == PCI_IRQ_INTX ? 0 : vector);
}

void dev_skip(struct model *m, unsigned queue, uint16_t by)
{
	struct model_queue *q = &m->queue[queue];

	/* Whatever the test wants it to do: it was reset. */
	if (!q->enable || !m->fn.bus_master)
		return;
	q->used = (uint16_t)(q->used + by);
	fn_write16(&m->fn, area(q, 2) + 2, q->used);
	interrupt(m, queue);
}

void dev_used(struct model *m, unsigned queue, uint32_t id, uint32_t len)
{
	struct model_queue *q = &m->queue[queue];
	uint8_t e[8];

	if (!q->enable || !m->fn.bus_master)
		return;
	put_le32(e, id);
	put_le32(e + 4, len);
	fn_write(&m->fn, area(q, 2) + 4 + 8 * (q->used % q->size), e, sizeof(e));
	m->n_used[queue]++;
	dev_skip(m, queue, 1);
}

static bool add_seg(struct model *m, struct model_chain *c, const uint8_t d[16])
{
	struct model_seg *s = &c->seg[c->n];

	if (c->n == MODEL_CHAIN) {
		fn_error(&m->fn, "chain without end");
		return false;
	}
	*s = (struct model_seg){le64_at(d), le32_at(d + 8), le16_at(d + 12) & 2};
	if (c->n && c->seg[c->n - 1].write && !s->write)
		fn_error(&m->fn, "readable element behind a writable one");
	if (!s->len)
		fn_error(&m->fn, "empty element");
	c->n++;
	return true;
}

static void walk(struct model *m, struct model_chain *c, uint64_t table, unsigned size, unsigned i)
{
	uint8_t d[16];

	do {
		if (i >= size) {
			fn_error(&m->fn, "next element outside the table");
			return;
		}
		fn_read(&m->fn, d, table + 16 * i, 16);
		if (le16_at(d + 12) & 4) {
			fn_error(&m->fn, "list in a list or in a chain");
			return;
		}
		if (!add_seg(m, c, d))
			return;
		i = le16_at(d + 14);
	} while (le16_at(d + 12) & 1);
}

static void parse(struct model *m, unsigned queue, uint16_t head, struct model_chain *c)
{
	const struct model_queue *q = &m->queue[queue];
	uint8_t d[16];

	c->queue = queue;
	c->head = head;
	c->n = 0;
	if (head >= q->size) {
		fn_error(&m->fn, "head outside the table");
		return;
	}
	fn_read(&m->fn, d, area(q, 0) + 16u * head, 16);
	if (!(le16_at(d + 12) & 4)) {
		walk(m, c, area(q, 0), q->size, head);
	} else {
		if (!(m->accepted & UINT64_C(0x10000000)) || le16_at(d + 12) != 4 || le32_at(d + 8) % 16)
			fn_error(&m->fn, "a list that was not agreed on");
		walk(m, c, le64_at(d), le32_at(d + 8) / 16, 0);
	}
	if (c->n > q->size)
		fn_error(&m->fn, "chain longer than the queue");
}

/* Moves bytes of the readable (or writable) part, from off on; what does not fit is left. Returns how many. */
static uint32_t move(
	struct model *m, const struct model_chain *c, bool write, uint32_t off, void *buf, uint32_t len)
{
	uint32_t done = 0;

	for (unsigned i = 0; i < c->n && done < len; i++) {
		const struct model_seg *s = &c->seg[i];
		uint32_t here;

		if (s->write != write)
			continue;
		if (off >= s->len) {
			off -= s->len;
			continue;
		}
		here = MIN(s->len - off, len - done);
		if (write)
			fn_write(&m->fn, s->addr + off, (uint8_t *)buf + done, here);
		else
			fn_read(&m->fn, (uint8_t *)buf + done, s->addr + off, here);
		done += here;
		off = 0;
	}
	return done;
}

static uint32_t part_bytes(const struct model_chain *c, bool write)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < c->n; i++)
		if (c->seg[i].write == write)
			n += c->seg[i].len;
	return n;
}

/* --- commands --- */

struct answer {
	uint8_t response, status;
	uint8_t sense[96];
	uint32_t sense_len;
	uint32_t moved;
};

static void check(struct answer *a, uint8_t key, uint8_t asc)
{
	a->status = 2;
	a->sense[0] = 0x70;
	a->sense[2] = key;
	a->sense[7] = 10;
	a->sense[12] = asc;
	a->sense_len = 18;
}

static void data_in(
	struct model *m, const struct model_chain *c, struct answer *a, const void *d, uint32_t len)
{
	a->moved = move(m, c, true, 108, (void *)(uintptr_t)d, len);
}

static void report_luns(struct model *m, const struct model_chain *c, uint8_t target, struct answer *a)
{
	uint8_t d[8 + 8 * MODEL_UNITS] = {0};
	unsigned n = 0;

	for (unsigned i = 0; i < MODEL_UNITS; i++) {
		const struct model_unit *u = &m->unit[i];

		if (!u->present || u->target != target)
			continue;
		n++;
		d[8 * n] = u->lun > 255 ? (uint8_t)(0x40 | u->lun >> 8) : 0;
		d[8 * n + 1] = (uint8_t)u->lun;
	}
	put_be32(d, 8 * n);
	data_in(m, c, a, d, 8 + 8 * n);
}

static void inquiry(
	struct model *m, const struct model_chain *c, const struct model_unit *u, struct answer *a)
{
	uint8_t d[36] = {u ? u->type : 0x7f, 0, 5, 2, 31, 0, 0, 2, 'M', 'O', 'D', 'E', 'L'};

	data_in(m, c, a, d, sizeof(d));
}

static void mode_sense(
	struct model *m, const struct model_chain *c, const struct model_unit *u, struct answer *a)
{
	uint8_t d[4 + 20] = {23, 0, u->dpofua ? 0x10 : 0, 0, 0x08, 0x12, u->wce ? 0x04 : 0};

	data_in(m, c, a, d, sizeof(d));
}

static void rw(struct model *m, const struct model_chain *c, struct model_unit *u, uint64_t lba, uint32_t n,
	bool read, struct answer *a)
{
	uint32_t len = n * 512;

	m->n_rw++;
	if (lba + n > MODEL_BLOCKS) {
		check(a, 5, 0x21);
	} else if (len > (read ? part_bytes(c, true) - 108 : part_bytes(c, false) - 51)) {
		a->response = 1;
	} else {
		a->moved = read ? move(m, c, true, 108, u->disk + lba * 512, len)
				: move(m, c, false, 51, u->disk + lba * 512, len);
	}
}

static void on_unit(struct model *m, const struct model_chain *c, struct model_unit *u, const uint8_t *cdb,
	struct answer *a)
{
	uint8_t cap[8] = {0, 0, 0x1f, 0xff, 0, 0, 2, 0};

	if (u->ua) {
		check(a, 6, u->ua);
		a->sense[13] = u->ua_q;
		u->ua = u->ua_q = 0;
		return;
	}
	switch (cdb[0]) {
	case 0x00:
		return;
	case 0x1a:
		mode_sense(m, c, u, a);
		return;
	case 0x25:
		data_in(m, c, a, cap, sizeof(cap));
		return;
	case 0x28:
	case 0x2a:
		rw(m, c, u, get_be32(cdb + 2), get_be16(cdb + 7), cdb[0] == 0x28, a);
		return;
	case 0x88:
	case 0x8a:
		rw(m, c, u, get_be64(cdb + 2), get_be32(cdb + 10), cdb[0] == 0x88, a);
		return;
	case 0x35:
		u->n_sync++;
		if (u->sync == SYNC_UNKNOWN)
			check(a, 5, 0x20);
		else if (u->sync == SYNC_FAILS)
			check(a, 4, 0x44);
		return;
	}
	check(a, 5, 0x20);
}

static struct model_unit *find(struct model *m, const uint8_t lun[8], bool *target)
{
	unsigned number = (lun[2] & 0x3fu) << 8 | lun[3];
	struct model_unit *found = NULL;

	*target = false;
	if (lun[0] != 1 || (lun[2] && (lun[2] & 0xc0) != 0x40) || lun[4] || lun[5] || lun[6] || lun[7])
		fn_error(&m->fn, "LUN field");
	for (unsigned i = 0; i < MODEL_UNITS; i++) {
		struct model_unit *u = &m->unit[i];

		if (!u->present || u->target != lun[1])
			continue;
		*target = true;
		if (u->lun == number)
			found = u;
	}
	return found;
}

static bool may_be_forced(uint8_t op)
{
	return op == 0x00 || op == 0x28 || op == 0x2a || op == 0x88 || op == 0x8a || op == 0x35;
}

static void run(struct model *m, const struct model_chain *c, const uint8_t *head, struct answer *a)
{
	const uint8_t *cdb = head + 19;
	bool target;
	struct model_unit *u = find(m, head, &target);

	if (m->forced && may_be_forced(cdb[0])) {
		a->response = m->force_response;
		a->status = m->force_status;
		memcpy(a->sense, m->force_sense, sizeof(a->sense));
		a->sense_len = m->force_sense_len;
		a->moved = UINT32_MAX;
	} else if (!target || (!u && cdb[0] != 0x12 && cdb[0] != 0xa0)) {
		a->response = 3;
	} else if (cdb[0] == 0xa0 && m->no_report_luns) {
		check(a, 5, 0x20);
	} else if (cdb[0] == 0xa0) {
		report_luns(m, c, head[1], a);
	} else if (cdb[0] == 0x12) {
		inquiry(m, c, u, a);
	} else {
		on_unit(m, c, u, cdb, a);
	}
}

static void answer(struct model *m, const struct model_chain *c, const struct answer *a)
{
	uint32_t data = part_bytes(c, true) > 108 ? part_bytes(c, true) - 108 : part_bytes(c, false) - 51;
	uint8_t r[108] = {0};

	put_le32(r, a->sense_len);
	put_le32(r + 4, a->moved == UINT32_MAX ? m->force_residual : a->status ? 0 : data - a->moved);
	r[10] = a->status;
	r[11] = a->response;
	memcpy(r + 12, a->sense, 96);
	if (!m->unwritten)
		move(m, c, true, 0, r, sizeof(r));
	dev_used(m, c->queue, c->head, part_bytes(c, true) + m->used_len_extra);
}

void dev_execute(struct model *m, unsigned queue, uint16_t head)
{
	struct model_chain c;
	struct answer a = {0};
	uint8_t h[51];

	parse(m, queue, head, &c);
	if (move(m, &c, false, 0, h, sizeof(h)) != sizeof(h) || part_bytes(&c, true) < 108) {
		fn_error(&m->fn, "request or response too short");
		return;
	}
	if (part_bytes(&c, true) > 108 && part_bytes(&c, false) > 51)
		fn_error(&m->fn, "data in both directions");
	/* QEMU, behind a virtual IOMMU, takes what follows the first piece of a head for data. */
	for (unsigned i = 0; i < c.n; i++)
		if ((c.seg[i].len == 51 || c.seg[i].len == 108) &&
			c.seg[i].addr / 4096 != (c.seg[i].addr + c.seg[i].len - 1) / 4096)
			fn_error(&m->fn, "a head crosses a page");
	if (h[16] || h[17] || h[18])
		fn_error(&m->fn, "task attribute, priority or CRN");
	m->n_cmds++;
	memcpy(m->last_head, h, sizeof(h));
	m->last_chain = c;
	run(m, &c, h, &a);
	answer(m, &c, &a);
}

void dev_drop_pending(struct model *m, unsigned i)
{
	m->n_pending--;
	memmove(&m->pending[i], &m->pending[i + 1], (m->n_pending - i) * sizeof(m->pending[0]));
	memmove(&m->pending_queue[i], &m->pending_queue[i + 1],
		(m->n_pending - i) * sizeof(m->pending_queue[0]));
	memmove(&m->pending_id[i], &m->pending_id[i + 1], (m->n_pending - i) * sizeof(m->pending_id[0]));
	memmove(&m->pending_lun[i], &m->pending_lun[i + 1], (m->n_pending - i) * sizeof(m->pending_lun[0]));
}

static void hold(struct model *m, unsigned queue, uint16_t head)
{
	struct model_chain c;
	uint8_t h[51] = {0};

	parse(m, queue, head, &c);
	move(m, &c, false, 0, h, sizeof(h));
	if (m->n_pending == MODEL_PENDING) {
		fn_error(&m->fn, "more commands than the queue holds");
		return;
	}
	m->pending[m->n_pending] = head;
	m->pending_queue[m->n_pending] = (uint8_t)queue;
	m->pending_id[m->n_pending] = le64_at(h + 8);
	memcpy(m->pending_lun[m->n_pending], h, 8);
	m->n_pending++;
}

/* --- task management --- */

static void sweep(struct model *m, unsigned i, uint8_t response)
{
	struct answer a = {.response = response};
	struct model_chain c;

	parse(m, m->pending_queue[i], m->pending[i], &c);
	dev_drop_pending(m, i);
	answer(m, &c, &a);
}

static uint8_t abort_task(struct model *m, uint64_t id)
{
	m->n_abort++;
	if (m->tmf == TMF_REFUSES)
		return 11;
	for (unsigned i = 0; m->tmf == TMF_WORKS && i < m->n_pending; i++)
		if (m->pending_id[i] == id) {
			sweep(m, i, 2);
			break;
		}
	return 10;
}

static uint8_t lun_reset(struct model *m, const uint8_t lun[8])
{
	bool target;
	struct model_unit *u = find(m, lun, &target);

	m->n_lun_reset++;
	if (!u)
		return 12;
	u->ua = 0x29;
	for (unsigned i = 0; i < m->n_pending;)
		if (memcmp(m->pending_lun[i], lun, 8) == 0)
			sweep(m, i, 4);
		else
			i++;
	return 0;
}

static void control(struct model *m, uint16_t head)
{
	struct model_chain c;
	uint8_t h[24], response;

	parse(m, 0, head, &c);
	if (move(m, &c, false, 0, h, sizeof(h)) != 24 || part_bytes(&c, false) != 24 ||
		part_bytes(&c, true) != 1 || le32_at(h) != 0) {
		fn_error(&m->fn, "task management request");
		return;
	}
	if (m->tmf == TMF_SILENT) {
		m->n_abort++;
		return;
	}
	if (le32_at(h + 4) == 0)
		response = abort_task(m, le64_at(h + 16));
	else if (le32_at(h + 4) == 5)
		response = lun_reset(m, h + 8);
	else
		response = 11;
	move(m, &c, true, 0, &response, 1);
	dev_used(m, 0, head, 1);
}

bool dev_finish_tmf(struct model *m)
{
	uint16_t head = m->held_tmf[0];

	if (!m->n_held_tmf)
		return false;
	memmove(&m->held_tmf[0], &m->held_tmf[1], --m->n_held_tmf * sizeof(m->held_tmf[0]));
	control(m, head);
	return true;
}

/* --- events, notifications --- */

static bool next_avail(struct model *m, struct model_queue *q, uint16_t *ret)
{
	if (fn_read16(&m->fn, area(q, 1) + 2) == q->seen)
		return false;
	*ret = fn_read16(&m->fn, area(q, 1) + 4 + 2 * (q->seen % q->size));
	q->seen++;
	return true;
}

void dev_notify(struct model *m, unsigned queue)
{
	struct model_queue *q = &m->queue[queue];
	uint16_t head;

	if (!(m->status & 4) || !q->enable) {
		fn_error(&m->fn, "notification before DRIVER_OK");
		return;
	}
	if (m->no_notify)
		fn_write16(&m->fn, area(q, 2), 1);
	if (queue == 1)
		return;
	while (next_avail(m, q, &head)) {
		if (queue == 0 && m->hold_tmf && m->n_held_tmf < ARRAY_SIZE(m->held_tmf))
			m->held_tmf[m->n_held_tmf++] = head;
		else if (queue == 0)
			control(m, head);
		else if (m->silent)
			continue;
		else if (m->hold)
			hold(m, queue, head);
		else
			dev_execute(m, queue, head);
	}
}

bool dev_event(struct model *m, uint32_t event, uint8_t target, uint16_t lun, uint32_t reason)
{
	uint8_t e[16] = {0};
	struct model_chain c;
	uint16_t head;

	if (!m->queue[1].enable || !m->fn.bus_master || !next_avail(m, &m->queue[1], &head))
		return false;
	parse(m, 1, head, &c);
	if (c.n != 1 || !c.seg[0].write || c.seg[0].len < 16)
		fn_error(&m->fn, "event buffer");
	put_le32(e, event);
	e[4] = 1;
	e[5] = target;
	e[6] = (uint8_t)(0x40 | lun >> 8);
	e[7] = (uint8_t)lun;
	put_le32(e + 12, reason);
	move(m, &c, true, 0, e, sizeof(e));
	dev_used(m, 1, head, 16);
	return true;
}
