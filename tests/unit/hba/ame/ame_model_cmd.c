/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the model box does with a request frame (sections 4 and 5 of the facts page). */
#include "ame_model_cmd.h"

#include <string.h>

#define MAX_BYTES (1u << 20)

static bool is_rw(uint8_t op)
{
	static const uint8_t ops[] = {0x08, 0x0a, 0x28, 0x2a, 0x88, 0x8a, 0xa8, 0xaa};

	return memchr(ops, op, sizeof(ops));
}

/* --- data --- */

struct piece {
	uint64_t addr;
	uint32_t len;
};

static struct piece piece16(struct model *m, const uint8_t *p, bool last)
{
	uint32_t flags = le32_at(p + 12), want = m->family == BOX_3108 && last ? 0x40000000 : 0;

	if (flags != want)
		fn_error(&m->fn, "flags of a 16-byte element");
	return (struct piece){(uint64_t)le32_at(p + 4) << 32 | le32_at(p), le32_at(p + 8)};
}

static struct piece piece12(struct model *m, const uint8_t *p, bool write)
{
	uint32_t head = le32_at(p);

	if (head >> 24 != (write ? 0x30 : 0x10))
		fn_error(&m->fn, "flags of a 12-byte element");
	return (struct piece){(uint64_t)le32_at(p + 8) << 32 | le32_at(p + 4), head & 0xffffff};
}

/* Copies between buf and the host's pieces: data of want bytes, of which len are moved. */
static void move(struct model *m, const uint8_t *f, uint8_t *buf, uint32_t len, bool write)
{
	uint32_t want = le32_at(f + 0x20), head = le32_at(f + 0x28), have = 0, done = 0;
	bool wide = m->family != BOX_341 && is_rw(f[0x10]), list = head & 0x40000000;
	uint32_t size = wide ? 16 : 12, n = list ? head & 0xffffff : (wide ? 29 : 39);
	const uint8_t *p = f + (wide ? 0x30 : 0x28);

	if (list) {
		uint64_t addr = (uint64_t)le32_at(f + 0x30) << 32 | le32_at(f + 0x2c);

		if (head >> 24 != 0x50 || n > 128 || n <= (wide ? 29u : 39u)) {
			fn_error(&m->fn, "list pointer");
			return;
		}
		fn_read(&m->fn, m->last_list, addr, n * size);
		p = m->last_list;
	}
	for (uint32_t i = 0; i < n && have < want; i++, p += size) {
		/* The length decides which is the last. */
		uint32_t part = wide ? le32_at(p + 8) : le32_at(p) & 0xffffff;
		struct piece s = wide ? piece16(m, p, have + part >= want) : piece12(m, p, write);

		have += s.len;
		part = done < len ? (len - done < s.len ? len - done : s.len) : 0;
		if (part && write)
			fn_read(&m->fn, buf + done, s.addr, part);
		else if (part)
			fn_write(&m->fn, s.addr, buf + done, part);
		done += part;
	}
	if (have < want)
		fn_error(&m->fn, "the elements hold less than the data");
}

/* --- SCSI --- */

struct outcome {
	uint8_t status; /* SCSI */
	uint8_t key, asc, ascq;
	uint32_t moved;
};

static void check(struct outcome *o, uint8_t key, uint8_t asc)
{
	o->status = 2;
	o->key = key;
	o->asc = asc;
	o->moved = 0;
}

static void reads_writes(struct model *m, const uint8_t *f, struct model_lun *l, struct outcome *o)
{
	const uint8_t *c = f + 0x10;
	bool write = c[0] & 2, long_form = c[0] & 0x80;
	uint64_t lba = long_form ? get_be64(c + 2) : get_be32(c + 2);
	uint32_t n = long_form ? get_be32(c + 10) : get_be16(c + 7);

	m->n_rw++;
	if (lba + n > MODEL_BLOCKS) {
		check(o, 5, 0x21);
		return;
	}
	o->moved = n * 512;
	move(m, f, m->disk[l->disk] + lba * 512, o->moved, write);
}

static void data_in(struct model *m, const uint8_t *f, const void *data, uint32_t len, struct outcome *o)
{
	uint8_t copy[256];
	uint32_t want = le32_at(f + 0x20);

	memcpy(copy, data, len);
	o->moved = len < want ? len : want;
	move(m, f, copy, o->moved, false);
}

static void mode_sense(struct model *m, const uint8_t *f, struct model_lun *l, struct outcome *o)
{
	uint8_t d[24] = {23, 0, 0x10, 0, 0x08, 18, l->wce ? 0x04 : 0x00};

	m->n_mode++;
	data_in(m, f, d, sizeof(d), o);
}

static void sync_cache(struct model *m, bool ten, struct outcome *o)
{
	if (ten)
		m->n_sync10++;
	else
		m->n_sync16++;
	if (ten ? m->no_sync10 : m->no_sync16)
		check(o, 5, 0x20);
	else if (m->sync_recovered)
		check(o, 1, 0x17);
}

static void scsi(struct model *m, const uint8_t *f, struct model_lun *l, struct outcome *o)
{
	static const uint8_t capacity[8] = {0, 0, 0x07, 0xff, 0, 0, 2, 0};
	uint8_t inquiry[96] = {l->type, 0, 6, 2, 91};

	if (l->attentions && f[0x10] != 0x12) {
		l->attentions--;
		check(o, 6, 0x29);
		return;
	}
	switch (f[0x10]) {
	case 0x00:
		return;
	case 0x12:
		data_in(m, f, inquiry, sizeof(inquiry), o);
		return;
	case 0x1a:
		mode_sense(m, f, l, o);
		return;
	case 0x25:
		data_in(m, f, capacity, sizeof(capacity), o);
		return;
	case 0x35:
	case 0x91:
		sync_cache(m, f[0x10] == 0x35, o);
		return;
	case 0x28:
	case 0x2a:
	case 0x88:
	case 0x8a:
		reads_writes(m, f, l, o);
		return;
	}
	check(o, 5, 0x20);
}

static void explain(struct model *m, const uint8_t *f, const struct outcome *o)
{
	uint64_t sense_at = (uint64_t)m->high << 32 | le32_at(f + 0x24);
	uint32_t want = le32_at(f + 0x20);
	uint8_t r[96] = {[3] = 0, [8] = o->status, [9] = 1}, s[64] = {[3] = o->status};

	put_le32(r + 4, le32_at(f + 4));
	if (o->moved < want) {
		s[2] |= 0x08;
		put_le32(s + 4, want - o->moved);
	}
	if (o->status == 2) {
		s[2] |= 0x02;
		put_le32(s + 8, 18);
		s[0x10] = 0x70;
		s[0x12] = o->key;
		s[0x17] = 10;
		s[0x1c] = o->asc;
		s[0x1d] = o->ascq;
	}
	fn_write(&m->fn, sense_at, s, sizeof(s));
	model_reply_frame(m, r);
}

static void only_status(struct model *m, const uint8_t *f, uint8_t status)
{
	uint8_t r[96] = {[1] = status, [3] = f[3]};

	put_le32(r + 4, le32_at(f + 4));
	model_reply_frame(m, r);
}

static void forced(struct model *m, const uint8_t *f)
{
	uint64_t sense_at = (uint64_t)m->high << 32 | le32_at(f + 0x24);
	uint8_t r[96];

	memcpy(r, m->force_reply, sizeof(r));
	put_le32(r + 4, le32_at(f + 4));
	fn_write(&m->fn, sense_at, m->force_sense, sizeof(m->force_sense));
	model_reply_frame(m, r);
}

static void exec_scsi(struct model *m, const uint8_t *f)
{
	struct model_lun *l = &m->lun[f[2] & 63];
	struct outcome o = {0};
	uint32_t want = le32_at(f + 0x20), dir = le32_at(f + 0x0c) & 3;

	if (le32_at(f + 0x0c) >> 2 != 0x0b || f[9] != 64 || f[8] > 16 || !want != !dir)
		fn_error(&m->fn, "fields of a SCSI request");
	if (!l->present || f[2] > 63) {
		only_status(m, f, 0x22);
		return;
	}
	if (m->forced && is_rw(f[0x10])) {
		forced(m, f);
		return;
	}
	scsi(m, f, l, &o);
	if (o.status == 0 && o.moved == want)
		model_reply_fast(m, f);
	else
		explain(m, f, &o);
}

/* --- management --- */

static void units_change(struct model *m)
{
	const uint8_t r[96] = {[3] = 2, [8] = 0x14};

	if (m->n_page == m->event_at_page)
		model_reply_frame(m, r);
}

static void exec_inband(struct model *m, const uint8_t *f)
{
	uint8_t page[512] = {0};
	uint64_t to = (uint64_t)le32_at(f + 0x38) << 32 | le32_at(f + 0x34);

	m->n_page++;
	if (f[2] != 2 || f[8] != 1 || f[9] != 1 || f[10] != 0 || le32_at(f + 0x28) != 512 ||
		le32_at(f + 0x30) != 0x10000200)
		fn_error(&m->fn, "get page");
	memcpy(page, "Model           Box one         0123456789      ", 48);
	memset(page + 0x80, 0xff, 128);
	for (unsigned i = 0; i < 64; i++)
		if (m->lun[i].present) {
			page[0x80 + 2 * i] = m->map_value;
			page[0x81 + 2 * i] = 0;
		}
	if (!m->page_status)
		fn_write(&m->fn, to, page, sizeof(page));
	if (!m->event_behind)
		units_change(m);
	only_status(m, f, m->page_status);
	if (m->event_behind)
		units_change(m);
}

static void exec_switch(struct model *m, const uint8_t *f)
{
	uint8_t r[96] = {[3] = 2, [8] = 0xaa};

	m->events_on = f[2];
	put_le32(r + 4, le32_at(f + 4));
	model_reply_frame(m, r);
}

/* Ends the held commands that it names; how many. */
static unsigned end_named(struct model *m, const uint8_t *f)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_pending;) {
		uint8_t *v = m->pending[i].f;
		bool named = f[2] == 1 ? le32_at(v + 4) == le32_at(f + 12) : v[2] == f[8];

		if (v[3] != 0 || !named) {
			i++;
			continue;
		}
		only_status(m, v, 0x27);
		memmove(&m->pending[i], &m->pending[i + 1], (--m->n_pending - i) * sizeof(m->pending[0]));
		n++;
	}
	return n;
}

static void exec_task(struct model *m, const uint8_t *f)
{
	if (f[2] == 1)
		m->n_abort++;
	else if (f[2] == 3)
		m->n_lun_reset++;
	else
		fn_error(&m->fn, "task management type");
	if (m->tm == TM_SILENT)
		return;
	if (m->tm == TM_UNKNOWN)
		only_status(m, f, 0x01);
	else if (m->tm == TM_REFUSES || (m->tm == TM_LUN_ONLY && f[2] == 1))
		only_status(m, f, 0x30);
	else
		only_status(m, f, end_named(m, f) ? 0x00 : 0x30);
}

void model_execute(struct model *m, const uint8_t f[512])
{
	uint32_t id = le32_at(f + 4);

	if (!id || id & 3 || id >> 2 > 510)
		fn_error(&m->fn, "identifier");
	switch (f[3]) {
	case 0:
		exec_scsi(m, f);
		return;
	case 1:
		exec_task(m, f);
		return;
	case 2:
		exec_switch(m, f);
		return;
	case 3:
		exec_inband(m, f);
		return;
	}
	fn_error(&m->fn, "function");
	only_status(m, f, 0x01);
}
