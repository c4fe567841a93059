/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Model of the kernel's side of a TCMU ring. */
#include "tcmu_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define IOV_AT 48

void model_init(struct model *m, uint32_t cmdr_size, uint32_t nblocks)
{
	memset(m, 0, sizeof(*m));
	m->cmdr_size = cmdr_size;
	m->nblocks = nblocks;
	m->data_off = (uint64_t)MODEL_CMDR_OFF + cmdr_size;
	must(m->data_off % 4096 == 0);
	m->map_len = m->data_off + (uint64_t)nblocks * MODEL_BLOCK;
	m->memfd = memfd_create("ring", MFD_CLOEXEC);
	must(m->memfd >= 0 && ftruncate(m->memfd, (off_t)m->map_len) == 0);
	m->map = mmap(NULL, m->map_len, PROT_READ | PROT_WRITE, MAP_SHARED, m->memfd, 0);
	must(m->map != MAP_FAILED);
	m->shadow = calloc(1, cmdr_size);
	m->by_id = calloc(65536, sizeof(*m->by_id));
	m->used = calloc(nblocks ? nblocks : 1, 1);
	m->lowest_free_id = 1;
	must(m->shadow && m->by_id && m->used);
	m->mb = (struct tcmu_mailbox *)m->map;
	m->mb->version = 2;
	m->mb->flags = 0xf;
	m->mb->cmdr_off = MODEL_CMDR_OFF;
	m->mb->cmdr_size = cmdr_size;
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, m->event) == 0);
	pthread_mutex_init(&m->lock, NULL);
}

void model_fini(struct model *m)
{
	munmap(m->map, m->map_len);
	close(m->memfd);
	/* event[0] belongs to the consumer */
	if (m->event[1] >= 0)
		close(m->event[1]);
	free(m->shadow);
	free(m->by_id);
	free(m->used);
	pthread_mutex_destroy(&m->lock);
}

void model_set_position(struct model *m, uint32_t at)
{
	m->mb->cmd_head = m->mb->cmd_tail = m->last_cleaned = at;
}

uint32_t model_head(struct model *m)
{
	return __atomic_load_n((uint32_t *)(m->map + 12), __ATOMIC_ACQUIRE);
}

uint32_t model_tail(struct model *m)
{
	return __atomic_load_n((uint32_t *)(m->map + 64), __ATOMIC_ACQUIRE);
}

static void set_head(struct model *m, uint32_t at)
{
	__atomic_store_n((uint32_t *)(m->map + 12), at % m->cmdr_size, __ATOMIC_RELEASE);
}

uint32_t model_cdb_len(const uint8_t *cdb)
{
	static const uint8_t tbl[8] = {6, 10, 10, 12, 16, 12, 10, 10};

	return cdb[0] == 0x7f ? cdb[7] + 8u : tbl[cdb[0] / 32];
}

uint8_t model_pattern(uint32_t tag, uint64_t i)
{
	return (uint8_t)((tag * 2654435761u >> 13) + i * 7 + (i >> 8));
}

struct model_cmd *model_cmd_new(uint8_t opcode, uint32_t tag, enum model_dir dir, uint32_t len)
{
	struct model_cmd *c = calloc(1, sizeof(*c));

	must(c);
	c->cdb[0] = opcode;
	for (int i = 0; i < 4; i++)
		c->cdb[2 + i] = (uint8_t)(tag >> (24 - 8 * i));
	if (opcode == 0x7f)
		c->cdb[7] = 24;
	c->tag = tag;
	c->dir = dir;
	c->len = len;
	c->buf = malloc(len ? len : 1);
	must(c->buf);
	for (uint32_t i = 0; i < len; i++)
		c->buf[i] = dir == MODEL_WRITE ? model_pattern(tag, i) : 0xee;
	return c;
}

void model_cmd_free(struct model_cmd *c)
{
	if (!c)
		return;
	free(c->block);
	free(c->buf);
	free(c);
}

uint32_t model_rand(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

/* --- queueing --- */

static uint32_t ring_free(const struct model *m, uint32_t head)
{
	uint32_t used =
		head >= m->last_cleaned ? head - m->last_cleaned : m->cmdr_size + head - m->last_cleaned;

	return m->cmdr_size - used - 1;
}

/* Lowest free blocks first; stride 2 leaves a hole after each. */
static int take_blocks(struct model *m, struct model_cmd *c, uint32_t stride)
{
	uint32_t need = (c->len + MODEL_BLOCK - 1) / MODEL_BLOCK, n = 0;

	free(c->block);
	c->block = calloc(need ? need : 1, sizeof(*c->block));
	must(c->block);
	c->nblocks = need;
	for (uint32_t b = 0; b < m->nblocks && n < need; b++)
		if (!m->used[b] && (stride == 1 || !n || b >= c->block[n - 1] + stride))
			c->block[n++] = b;
	if (n < need)
		return -ENOSPC;
	for (n = 0; n < need; n++)
		m->used[c->block[n]] = 1;
	return 0;
}

static void give_blocks(struct model *m, struct model_cmd *c)
{
	for (uint32_t i = 0; i < c->nblocks; i++)
		m->used[c->block[i]] = 0;
	free(c->block);
	c->block = NULL;
	c->nblocks = 0;
}

static uint32_t count_iovs(const struct model_cmd *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->nblocks; i++)
		n += i == 0 || c->block[i] != c->block[i - 1] + 1;
	return n;
}

uint32_t model_entry_size(const struct model *m, const struct model_cmd *c, uint32_t iovs)
{
	uint32_t base = IOV_AT + 16 * iovs;

	return (base < 112 ? 112 : base) + (model_cdb_len(c->cdb) + 7) / 8 * 8;
}

/* Offset in the ring for an entry of that size, after a PAD if need be; -1 when it does not fit. */
static int64_t place(struct model *m, uint32_t size)
{
	uint32_t head = model_head(m), to_end = m->cmdr_size - head;
	uint32_t need = to_end >= size ? size : size + to_end;

	if (size > m->cmdr_size / 2 || ring_free(m, head) < need)
		return -1;
	if (to_end < size) {
		const uint32_t pad[2] = {to_end | TCMU_OP_PAD, 0};

		memcpy(m->map + MODEL_CMDR_OFF + head, pad, sizeof(pad));
		memcpy(m->shadow + head, pad, sizeof(pad));
		set_head(m, head + to_end);
		head = 0;
	}
	return head;
}

static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static void put64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

static void write_iovs(struct model *m, const struct model_cmd *c, uint8_t *ent)
{
	uint8_t *iov = ent + IOV_AT - 16;
	uint64_t len = 0;

	for (uint32_t i = 0; i < c->nblocks; i++) {
		uint32_t here =
			c->len - i * MODEL_BLOCK < MODEL_BLOCK ? c->len - i * MODEL_BLOCK : MODEL_BLOCK;

		if (i == 0 || c->block[i] != c->block[i - 1] + 1) {
			iov += 16;
			len = 0;
			put64(iov, m->data_off + (uint64_t)c->block[i] * MODEL_BLOCK);
		}
		len += here;
		put64(iov + 8, len);
		if (c->dir == MODEL_WRITE)
			memcpy(m->map + m->data_off + (uint64_t)c->block[i] * MODEL_BLOCK,
				c->buf + (uint64_t)i * MODEL_BLOCK, here);
	}
}

static void fill_entry(struct model *m, const struct model_cmd *c, uint32_t at, uint32_t size, uint32_t iovs)
{
	uint32_t base = size - (model_cdb_len(c->cdb) + 7) / 8 * 8;
	uint8_t *ent = m->map + MODEL_CMDR_OFF + at;

	memset(ent, 0, size);
	put32(ent, size | TCMU_OP_CMD);
	memcpy(ent + 4, &c->id, 2);
	put32(ent + 8, iovs);
	put64(ent + 24, MODEL_CMDR_OFF + (uint64_t)at + base);
	memcpy(ent + base, c->cdb, model_cdb_len(c->cdb));
	write_iovs(m, c, ent);
	memcpy(m->shadow + at, ent, size);
}

static int queue(struct model *m, struct model_cmd *c, uint32_t stride)
{
	uint32_t iovs, size, id = m->lowest_free_id;
	int64_t at;

	if (m->blocked)
		return -EBUSY;
	if (m->broken)
		return -EIO;
	while (id < 65536 && m->by_id[id])
		id++;
	m->lowest_free_id = id;
	if (id > 65535 || take_blocks(m, c, stride) < 0)
		return -ENOSPC;
	iovs = count_iovs(c);
	size = model_entry_size(m, c, iovs);
	at = place(m, size);
	if (at < 0) {
		give_blocks(m, c);
		return -ENOSPC;
	}
	c->id = (uint16_t)id;
	m->by_id[id] = c;
	m->in_ring++;
	fill_entry(m, c, (uint32_t)at, size, iovs);
	set_head(m, (uint32_t)at + size);
	model_notify(m);
	return 0;
}

int model_queue(struct model *m, struct model_cmd *c)
{
	int ret;

	pthread_mutex_lock(&m->lock);
	ret = queue(m, c, 1);
	pthread_mutex_unlock(&m->lock);
	return ret;
}

int model_queue_scattered(struct model *m, struct model_cmd *c)
{
	int ret;

	pthread_mutex_lock(&m->lock);
	ret = queue(m, c, 2);
	pthread_mutex_unlock(&m->lock);
	return ret;
}

int model_tmr(struct model *m, uint8_t type, const uint16_t *ids, uint32_t n)
{
	uint32_t size = (32 + 2 * n + 7) / 8 * 8;
	int64_t at;

	pthread_mutex_lock(&m->lock);
	at = m->broken ? -1 : place(m, size);
	if (at >= 0) {
		uint8_t *ent = m->map + MODEL_CMDR_OFF + at;

		memset(ent, 0, size);
		put32(ent, size | TCMU_OP_TMR);
		ent[8] = type;
		put32(ent + 12, n);
		if (n)
			memcpy(ent + 32, ids, 2 * n);
		memcpy(m->shadow + at, ent, size);
		set_head(m, (uint32_t)at + size);
		model_notify(m);
	}
	pthread_mutex_unlock(&m->lock);
	return at < 0 ? -ENOSPC : 0;
}

void model_notify(struct model *m)
{
	const uint32_t one = 1;

	if (m->event_pending || m->removed)
		return;
	m->event_pending = true;
	if (send(m->event[1], &one, sizeof(one), MSG_NOSIGNAL) < 0)
		m->event_pending = false;
}

void model_acked(struct model *m)
{
	pthread_mutex_lock(&m->lock);
	m->event_pending = false;
	pthread_mutex_unlock(&m->lock);
}

/* --- completions --- */

static void give_to_initiator(struct model *m, struct model_cmd *c, uint32_t len)
{
	for (uint32_t i = 0; i < c->nblocks && (uint64_t)i * MODEL_BLOCK < len; i++) {
		uint32_t here = len - i * MODEL_BLOCK < MODEL_BLOCK ? len - i * MODEL_BLOCK : MODEL_BLOCK;

		memcpy(c->buf + (uint64_t)i * MODEL_BLOCK,
			m->map + m->data_off + (uint64_t)c->block[i] * MODEL_BLOCK, here);
	}
}

static void answer(struct model *m, struct model_cmd *c, const uint8_t *ent)
{
	uint32_t want, len = c->len;

	c->answers++;
	c->status = ent[8];
	memcpy(&want, ent + 12, 4);
	memcpy(c->sense, ent + 16, 96);
	c->has_read_len = c->dir == MODEL_READ && (ent[7] & TCMU_UFLAG_READ_LEN) && want;
	if (c->has_read_len) {
		c->read_len = want;
		len = want < len ? want : len;
	}
	if (ent[7] & ~TCMU_UFLAG_READ_LEN || ent[9] || ent[10] || ent[11])
		m->dirty_reserved++;
	if (c->dir == MODEL_READ && (c->status != 2 || c->has_read_len))
		give_to_initiator(m, c, len);
}

static void forget(struct model *m, struct model_cmd *c)
{
	m->by_id[c->id] = NULL;
	if (c->id < m->lowest_free_id)
		m->lowest_free_id = c->id;
	m->in_ring--;
	c->id = 0;
	give_blocks(m, c);
}

static void completions(struct model *m)
{
	m->kicks++;
	while (!m->broken && m->last_cleaned != model_tail(m)) {
		const uint8_t *ent = m->map + MODEL_CMDR_OFF + m->last_cleaned;
		struct model_cmd *c;
		uint32_t len_op, was;
		uint16_t id;

		memcpy(&len_op, ent, 4);
		memcpy(&was, m->shadow + m->last_cleaned, 4);
		/* The kernel would walk on with whatever length it finds, for ever if it is 0. */
		if (len_op != was || !(len_op & ~7u) || m->last_cleaned >= m->cmdr_size) {
			m->bad_slots++;
			m->broken = true;
			return;
		}
		if ((len_op & 7) == TCMU_OP_CMD) {
			memcpy(&id, ent + 4, 2);
			c = m->by_id[id];
			if (!c) {
				m->unknown_ids++;
				m->broken = true;
				return;
			}
			m->completions++;
			if (!c->expired)
				answer(m, c, ent);
			forget(m, c);
		}
		m->last_cleaned = (m->last_cleaned + (len_op & ~7u)) % m->cmdr_size;
	}
}

void model_completions(struct model *m)
{
	pthread_mutex_lock(&m->lock);
	completions(m);
	pthread_mutex_unlock(&m->lock);
}

void model_expire(struct model *m, struct model_cmd *c)
{
	c->expired = true;
	c->answers++;
	c->status = 2;
}

void model_reset_ring(struct model *m)
{
	pthread_mutex_lock(&m->lock);
	for (unsigned i = 1; i < 65536; i++) {
		struct model_cmd *c = m->by_id[i];

		if (!c)
			continue;
		if (!c->expired) {
			c->answers++;
			c->by_reset = true;
			c->status = 8;
		}
		forget(m, c);
	}
	m->last_cleaned = 0;
	__atomic_store_n((uint32_t *)(m->map + 64), 0, __ATOMIC_RELEASE);
	set_head(m, 0);
	m->broken = false;
	pthread_mutex_unlock(&m->lock);
}

void model_remove(struct model *m)
{
	pthread_mutex_lock(&m->lock);
	m->removed = true;
	close(m->event[1]);
	m->event[1] = -1;
	pthread_mutex_unlock(&m->lock);
}

bool model_unread_intact(struct model *m, uint32_t from)
{
	const uint8_t *ring = m->map + MODEL_CMDR_OFF;
	uint32_t head = model_head(m);

	while (from != head) {
		uint32_t len_op, len;

		memcpy(&len_op, m->shadow + from, 4);
		len = len_op & ~7u;
		/* Of a PAD only the header was written. */
		if (!len || memcmp(ring + from, m->shadow + from, (len_op & 7) == TCMU_OP_PAD ? 8 : len))
			return false;
		from = (from + len) % m->cmdr_size;
	}
	return true;
}
