/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Split virtqueues from the device's side [2.7]. Nothing that the driver writes is believed. */
#include <errno.h>
#include <string.h>

#include "vscsi.h"

enum { D_NEXT = 1, D_WRITE = 2, D_INDIRECT = 4 };
#define NO_INTERRUPT 1u

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

/* Memory that cannot be reached breaks the device; without bus mastering nothing was tried, and nobody is to blame. */
static bool fetch(struct vscsi *v, uint64_t addr, void *buf, uint32_t len)
{
	int r = bus_read(v->env->bus, addr, buf, len);

	if (r == -EFAULT)
		vs_broken(v);
	return r == 0;
}

static bool store(struct vscsi *v, uint64_t addr, const void *buf, uint32_t len)
{
	int r = bus_write(v->env->bus, addr, buf, len);

	if (r == -EFAULT)
		vs_broken(v);
	return r == 0;
}

/* Flags and index lie beside each other; read in one piece, the index is never half old. */
static bool fetch_pair(struct vscsi *v, uint64_t addr, uint16_t *ret_first, uint16_t *ret_second)
{
	uint8_t p[4];

	if (!fetch(v, addr, p, sizeof(p)))
		return false;
	*ret_first = vs_get16(p);
	*ret_second = vs_get16(p + 2);
	return true;
}

/* --- chains [2.7.4, 2.7.5] --- */

static bool bad_chain(struct vscsi *v, unsigned queue, const struct vs_chain *ch, const char *why)
{
	vs_wrong(v, "queue %u: the chain that begins with descriptor %u %s", queue, ch->head, why);
	vs_broken(v);
	return false;
}

static bool fetch_desc(struct vscsi *v, uint64_t table, uint16_t index, struct desc *d)
{
	uint8_t p[16];

	if (!fetch(v, table + 16u * index, p, sizeof(p)))
		return false;
	*d = (struct desc){vs_get64(p), vs_get32(p + 8), vs_get16(p + 12), vs_get16(p + 14)};
	return true;
}

static bool add_buffer(struct vscsi *v, unsigned queue, struct vs_chain *ch, const struct desc *d)
{
	bool write = d->flags & D_WRITE;
	uint64_t *len = write ? &ch->in_len : &ch->out_len;

	/* Longer than the queue: also how a loop shows [2.7.5.3.1]. */
	if (ch->n_out + ch->n_in == v->queue[queue].size)
		return bad_chain(v, queue, ch, "has more buffers than the queue has descriptors");
	if (ch->n_in && !write)
		return bad_chain(v, queue, ch, "has something to read behind something to write");
	/* The specification has no word on these; no device that is in use takes them. */
	if (!d->len)
		return bad_chain(v, queue, ch, "has an empty buffer");
	ch->seg[ch->n_out + ch->n_in] = (struct vs_seg){d->addr, d->len};
	*(write ? &ch->n_in : &ch->n_out) += 1;
	*len += d->len;
	if (ch->out_len + ch->in_len > UINT32_MAX)
		return bad_chain(v, queue, ch, "has more than 4 GiB");
	return true;
}

/* An indirect table in place of the rest of the chain. n: of its descriptors. */
static bool walk_table(struct vscsi *v, unsigned queue, struct vs_chain *ch, uint64_t table, uint32_t n)
{
	struct desc d = {.flags = D_NEXT};
	uint16_t at = 0;

	while (d.flags & D_NEXT) {
		if (at >= n)
			return bad_chain(v, queue, ch, "leaves its indirect table");
		if (!fetch_desc(v, table, at, &d))
			return false;
		if (d.flags & D_INDIRECT)
			return bad_chain(v, queue, ch, "has an indirect table within another");
		if (!add_buffer(v, queue, ch, &d))
			return false;
		at = d.next;
	}
	return true;
}

static bool indirect(struct vscsi *v, unsigned queue, struct vs_chain *ch, const struct desc *d)
{
	if (!(v->features & VF_INDIRECT_DESC))
		return bad_chain(v, queue, ch, "is indirect, which was not agreed on");
	if (d->flags & D_NEXT)
		return bad_chain(v, queue, ch, "goes on behind an indirect table");
	if (!d->len || d->len % 16)
		return bad_chain(v, queue, ch, "has an indirect table of an odd length");
	return walk_table(v, queue, ch, d->addr, d->len / 16);
}

static bool walk(struct vscsi *v, unsigned queue, struct vs_chain *ch)
{
	const struct vs_queue *q = &v->queue[queue];
	struct desc d = {.flags = D_NEXT, .next = ch->head};

	while (d.flags & D_NEXT) {
		if (d.next >= q->size)
			return bad_chain(v, queue, ch, "goes on behind the table's end");
		if (!fetch_desc(v, q->desc, d.next, &d))
			return false;
		if (d.flags & D_INDIRECT)
			return indirect(v, queue, ch, &d);
		if (!add_buffer(v, queue, ch, &d))
			return false;
	}
	return true;
}

/* --- the available ring [2.7.6] --- */

/* 1, 0, or -1 as vs_pop(). */
static int next_head(struct vscsi *v, unsigned queue, uint16_t *ret)
{
	struct vs_queue *q = &v->queue[queue];
	uint8_t p[2];
	uint16_t flags, index, waiting;

	if (!fetch_pair(v, q->driver, &flags, &index))
		return -1;
	waiting = (uint16_t)(index - q->avail);
	if (waiting > q->size) {
		vs_wrong(v, "queue %u: the available index goes from %u to %u", queue, q->avail, index);
		vs_broken(v);
		return -1;
	}
	if (!waiting)
		return 0;
	/* What the index counts was written before it: nothing behind this may be read before it. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (!fetch(v, q->driver + 4 + 2u * (q->avail % q->size), p, sizeof(p)))
		return -1;
	*ret = vs_get16(p);
	return 1;
}

/* Asks for a notification when the driver adds one more [2.7.10]. */
static bool ask_for_notice(struct vscsi *v, const struct vs_queue *q)
{
	uint8_t p[2] = {(uint8_t)q->avail, (uint8_t)(q->avail >> 8)};
	bool ok = !(v->features & VF_EVENT_IDX) || store(v, q->device + 4 + 8u * q->size, p, sizeof(p));

	/* Before the index is looked at once more: else both sides could wait for each other. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return ok;
}

int vs_pop(struct vscsi *v, unsigned queue, struct vs_chain *ch)
{
	struct vs_queue *q = &v->queue[queue];
	uint16_t head = 0;
	int r;

	if (!vs_runs(v) || !q->enabled)
		return 0;
	r = next_head(v, queue, &head);
	if (r == 0)
		r = ask_for_notice(v, q) ? next_head(v, queue, &head) : -1;
	if (r <= 0)
		return r;
	ch->head = head;
	ch->n_out = ch->n_in = 0;
	ch->out_len = ch->in_len = 0;
	if (head < q->size && q->busy[head]) {
		bad_chain(v, queue, ch, "is at the device already");
		return -1;
	}
	if (!walk(v, queue, ch))
		return -1;
	q->busy[head] = true;
	q->avail++;
	return 1;
}

/* --- buffers --- */

/* Where the byte at *off of these segments is; *off becomes its place in the segment. */
static uint16_t find(const struct vs_seg *seg, uint16_t n, uint64_t *off)
{
	uint16_t i = 0;

	while (i < n && *off >= seg[i].len)
		*off -= seg[i++].len;
	return i;
}

static bool move(struct vscsi *v, const struct vs_seg *seg, uint16_t n, uint64_t off, uint8_t *buf,
	uint32_t len, bool out)
{
	for (uint16_t i = find(seg, n, &off); i < n && len; i++) {
		uint32_t part = (uint32_t)MIN(len, seg[i].len - off);
		uint64_t addr = seg[i].addr + off;

		if (out ? !fetch(v, addr, buf, part) : !store(v, addr, buf, part))
			return false;
		buf += part;
		len -= part;
		off = 0;
	}
	return true;
}

bool vs_gather(struct vscsi *v, const struct vs_chain *ch, uint64_t off, void *buf, uint32_t len)
{
	return move(v, ch->seg, ch->n_out, off, buf, len, true);
}

bool vs_scatter(struct vscsi *v, const struct vs_chain *ch, uint64_t off, const void *buf, uint32_t len)
{
	return move(v, ch->seg + ch->n_out, ch->n_in, off, (uint8_t *)buf, len, false);
}

/* --- the used ring [2.7.8] --- */

/* [2.7.7]: by a flag, or by an index that the driver waits for. */
static bool wanted(struct vscsi *v, const struct vs_queue *q, uint16_t before)
{
	uint16_t first, second;

	if (!(v->features & VF_EVENT_IDX))
		return fetch_pair(v, q->driver, &first, &second) && !(first & NO_INTERRUPT);
	/* The ring's last entry, and what is behind it. */
	if (!fetch_pair(v, q->driver + 2 + 2u * q->size, &first, &second))
		return false;
	return (uint16_t)(q->used - second - 1) < (uint16_t)(q->used - before);
}

/* Flags (none) and index in one piece. */
static void publish(struct vscsi *v, unsigned queue, uint16_t before)
{
	struct vs_queue *q = &v->queue[queue];
	uint8_t p[4] = {0, 0, (uint8_t)q->used, (uint8_t)(q->used >> 8)};

	/* The entry, and the data before it, are there when the index says so. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	if (!store(v, q->device, p, sizeof(p)))
		return;
	/* The index is out before it is asked whether the driver sleeps. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (wanted(v, q, before))
		vs_notify_queue(v, queue);
}

void vs_push(struct vscsi *v, unsigned queue, uint32_t id, uint32_t len)
{
	struct vs_queue *q = &v->queue[queue];
	uint8_t p[8];

	vs_put32(p, id);
	vs_put32(p + 4, len);
	if (!vs_runs(v) || !store(v, q->device + 4 + 8u * (q->used % q->size), p, sizeof(p)))
		return;
	q->answers++;
	v->env->stats->replies++;
	if (id < q->size)
		q->busy[id] = false;
	q->used++;
	publish(v, queue, (uint16_t)(q->used - 1));
}

void vs_jump(struct vscsi *v, unsigned queue, uint16_t entries)
{
	struct vs_queue *q = &v->queue[queue];
	uint16_t before = q->used;

	if (!vs_runs(v))
		return;
	q->used = (uint16_t)(q->used + entries);
	publish(v, queue, before);
}
