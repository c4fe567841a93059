/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ring rule: taking entries, replying, publishing. */
#include "ring.h"

#include <errno.h>
#include <string.h>

#include "tcmu.h"

#define HDR_SIZE  sizeof(struct tcmu_cmd_entry_hdr)
#define IOV_OFF	  offsetof(struct tcmu_cmd_entry, req.iov)
#define CMD_MIN	  sizeof(struct tcmu_cmd_entry) /* the reply always fits */
#define TMR_MIN	  sizeof(struct tcmu_tmr_entry)
#define VARLEN_OP 0x7f

/* In the uflags of a slot: we took this entry. The kernel clears it in each entry that it makes, and never
 * looks at it: a reply overwrites it, and of PAD and TMR slots only the length counts. */
#define UFLAG_TAKEN 0x80

static_assert(offsetof(struct tcmu_mailbox, cmdr_off) == 4, "mailbox layout");
static_assert(offsetof(struct tcmu_mailbox, cmd_head) == 12, "mailbox layout");
static_assert(offsetof(struct tcmu_mailbox, cmd_tail) == 64, "mailbox layout");
static_assert(sizeof(struct tcmu_cmd_entry_hdr) == 8, "entry layout");
static_assert(sizeof(struct tcmu_cmd_entry) == 112, "entry layout");
static_assert(offsetof(struct tcmu_cmd_entry, req.cdb_off) == 24, "entry layout");
static_assert(offsetof(struct tcmu_cmd_entry, req.iov) == 48, "entry layout");
static_assert(offsetof(struct tcmu_cmd_entry, rsp.read_len) == 12, "entry layout");
static_assert(offsetof(struct tcmu_cmd_entry, rsp.sense_buffer) == 16, "entry layout");
static_assert(sizeof(struct tcmu_tmr_entry) == 32, "entry layout");
static_assert(RING_SENSE_SIZE == TCMU_SENSE_BUFFERSIZE, "sense size");

/* The kernel writes it with release after the entries before it; acquire makes their bytes visible. */
static uint32_t load_head(const struct ring *g)
{
	return __atomic_load_n(
		(uint32_t *)(g->map + offsetof(struct tcmu_mailbox, cmd_head)), __ATOMIC_ACQUIRE);
}

static uint32_t load_tail(const struct ring *g)
{
	return __atomic_load_n(
		(uint32_t *)(g->map + offsetof(struct tcmu_mailbox, cmd_tail)), __ATOMIC_RELAXED);
}

/* Bytes from a forward to b, around the end. */
static uint32_t distance(const struct ring *g, uint32_t a, uint32_t b)
{
	return b >= a ? b - a : g->cmdr_size - (a - b);
}

static uint32_t step(const struct ring *g, uint32_t at, uint32_t len)
{
	return at + len == g->cmdr_size ? 0 : at + len;
}

static bool is_position(const struct ring *g, uint32_t at)
{
	return at < g->cmdr_size && at % TCMU_OP_ALIGN_SIZE == 0;
}

static enum ring_what broken(struct ring *g, const char *why)
{
	g->problem = why;
	return RING_BROKEN;
}

static void lost(struct ring *g, const char *why)
{
	g->problem = why;
	g->lost = true;
}

int ring_attach(struct ring *g, void *map, uint64_t map_len, struct err *e)
{
	struct tcmu_mailbox mb;

	if (map_len < sizeof(mb))
		return err_set(e, -EINVAL, "the ring's mapping has %llu bytes, less than a mailbox",
			(unsigned long long)map_len);
	memcpy(&mb, map, sizeof(mb));
	if (mb.version != TCMU_MAILBOX_VERSION)
		return err_set(e, -EPROTO,
			"the kernel's ring has version %u, this program knows %u; use a kernel from 6.1 on",
			mb.version, TCMU_MAILBOX_VERSION);
	if (!(mb.flags & TCMU_MAILBOX_FLAG_CAP_OOOC))
		return err_set(e, -EPROTO,
			"the kernel's ring takes replies only in order; use a kernel from 6.1 on");
	if (mb.cmdr_off < sizeof(mb) || mb.cmdr_off % TCMU_OP_ALIGN_SIZE || mb.cmdr_size < 2 * CMD_MIN ||
		mb.cmdr_size % TCMU_OP_ALIGN_SIZE || (uint64_t)mb.cmdr_off + mb.cmdr_size > map_len)
		return err_set(e, -EINVAL,
			"the ring's mailbox makes no sense: ring of %u bytes at %u, mapping of %llu",
			mb.cmdr_size, mb.cmdr_off, (unsigned long long)map_len);
	*g = (struct ring){
		.map = map,
		.map_len = map_len,
		.data_off = (uint64_t)mb.cmdr_off + mb.cmdr_size,
		.cmdr_off = mb.cmdr_off,
		.cmdr_size = mb.cmdr_size,
		.caps = mb.flags,
	};
	return 0;
}

int ring_start(struct ring *g, struct err *e)
{
	uint32_t head = load_head(g), tail = load_tail(g);

	if (!is_position(g, head) || !is_position(g, tail))
		return err_set(e, -EIO,
			"the ring's head %u or tail %u is outside its %u bytes; reset the ring", head, tail,
			g->cmdr_size);
	g->published = g->tail = g->read = tail;
	g->problem = NULL;
	g->lost = false;
	return 0;
}

/* Reads head first: a reset clears both, and new entries follow it; whoever sees their head (acquire) sees
 * the cleared tail too. Only a reset while published is 0 escapes the first test: then either head went back
 * behind what was taken, or new entries lie where taken ones were and lack our mark (slot_at_tail()). */
static bool look(struct ring *g, uint32_t *ret_head)
{
	uint32_t head = load_head(g);

	if (g->lost)
		return false;
	if (load_tail(g) != g->published)
		lost(g, "the kernel's ring was reset while this process was using it");
	else if (!is_position(g, head))
		lost(g, "the kernel's ring has its head outside the ring");
	else if (distance(g, g->published, head) < distance(g, g->published, g->read))
		lost(g, "the kernel's ring went backwards: it was reset while this process was using it");
	*ret_head = head;
	return !g->lost;
}

bool ring_intact(struct ring *g)
{
	uint32_t head;

	return look(g, &head);
}

bool ring_empty(const struct ring *g)
{
	return ring_settled(g) && load_head(g) == g->read;
}

uint32_t ring_cdb_len(const uint8_t cdb[8])
{
	static const uint8_t by_group[8] = {6, 10, 10, 12, 16, 12, 10, 10};

	return cdb[0] == VARLEN_OP ? 8u + cdb[7] : by_group[cdb[0] >> 5];
}

/* The CDB lies behind the iovecs, inside the entry; the kernel pads it to 8 bytes. */
static enum ring_what copy_cdb(struct ring *g, struct ring_entry *e, uint64_t cdb_off, uint64_t iov_end)
{
	uint64_t end = (uint64_t)e->off + e->len;
	uint8_t start[8];
	uint32_t len;

	if (cdb_off < iov_end || cdb_off > end - sizeof(start))
		return broken(g, "an entry of the kernel's ring has its CDB outside the entry");
	memcpy(start, g->map + cdb_off, sizeof(start));
	len = ring_cdb_len(start);
	if (len > end - cdb_off)
		return broken(g, "an entry of the kernel's ring has a CDB longer than the entry");
	e->cdb_len = (uint8_t)MIN(len, sizeof(e->cdb));
	e->refuse |= len > sizeof(e->cdb);
	/* What decided about the length comes from the same copy. */
	memcpy(e->cdb, start, MIN(len, sizeof(start)));
	if (e->cdb_len > sizeof(start))
		memcpy(e->cdb + sizeof(start), g->map + cdb_off + sizeof(start), e->cdb_len - sizeof(start));
	return RING_CMD;
}

static enum ring_what peek_cmd(struct ring *g, struct ring_entry *e)
{
	struct tcmu_cmd_entry ent;
	uint64_t iovs;

	if (e->len < CMD_MIN)
		return broken(g, "a command entry of the kernel's ring is shorter than a reply");
	memcpy((uint8_t *)&ent + HDR_SIZE, g->map + e->off + HDR_SIZE, IOV_OFF - HDR_SIZE);
	if (e->id == 0)
		return broken(g, "a command entry of the kernel's ring has no id");
	iovs = (uint64_t)ent.req.iov_cnt + ent.req.iov_bidi_cnt + ent.req.iov_dif_cnt;
	if (iovs > (e->len - IOV_OFF) / sizeof(struct iovec))
		return broken(g, "a command entry of the kernel's ring is too short for its iovecs");
	e->count = ent.req.iov_cnt;
	e->refuse = ent.req.iov_bidi_cnt || ent.req.iov_dif_cnt;
	return copy_cdb(g, e, ent.req.cdb_off, e->off + IOV_OFF + iovs * sizeof(struct iovec));
}

static enum ring_what peek_tmr(struct ring *g, struct ring_entry *e)
{
	struct tcmu_tmr_entry ent;

	if (e->len < TMR_MIN)
		return broken(g, "a TMR entry of the kernel's ring is too short");
	memcpy((uint8_t *)&ent + HDR_SIZE, g->map + e->off + HDR_SIZE, TMR_MIN - HDR_SIZE);
	if (ent.cmd_cnt > (e->len - TMR_MIN) / sizeof(ent.cmd_ids[0]))
		return broken(g, "a TMR entry of the kernel's ring is too short for its ids");
	e->count = ent.cmd_cnt;
	e->tmr_type = ent.tmr_type;
	return RING_TMR;
}

/* Entries are contiguous: none crosses the end of the ring, none reaches beyond head. */
static bool peek_header(struct ring *g, struct ring_entry *e, uint32_t head, uint32_t *ret_op)
{
	struct tcmu_cmd_entry_hdr hdr;

	*e = (struct ring_entry){.off = g->cmdr_off + g->read};
	memcpy(&hdr, g->map + e->off, sizeof(hdr));
	e->len = tcmu_hdr_get_len(hdr.len_op);
	e->id = hdr.cmd_id;
	*ret_op = tcmu_hdr_get_op(hdr.len_op);
	return e->len >= HDR_SIZE && e->len <= g->cmdr_size - g->read && e->len <= distance(g, g->read, head);
}

enum ring_what ring_peek(struct ring *g, struct ring_entry *ret)
{
	uint32_t head, op;

	while (look(g, &head)) {
		if (g->problem)
			return RING_BROKEN;
		if (head == g->read)
			return RING_EMPTY;
		if (!peek_header(g, ret, head, &op))
			return broken(g, "an entry of the kernel's ring has an impossible length");
		if (op == TCMU_OP_CMD)
			return peek_cmd(g, ret);
		if (op == TCMU_OP_TMR)
			return peek_tmr(g, ret);
		if (op != TCMU_OP_PAD)
			return broken(g, "an entry of the kernel's ring has an unknown type");
		ring_advance(g, ret);
	}
	return RING_LOST;
}

int ring_copy_iovs(
	struct ring *g, const struct ring_entry *e, struct iovec *dst, uint32_t *ret_n, uint64_t *ret_bytes)
{
	/* LIO counts a command's data in 32 bits, and no byte of the area is there twice. */
	const uint64_t most = MIN(g->map_len - g->data_off, (uint64_t)UINT32_MAX);
	const uint8_t *src = g->map + e->off + IOV_OFF;
	uint64_t bytes = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < e->count; i++) {
		struct iovec v;
		uint64_t off;

		memcpy(&v, src + i * sizeof(v), sizeof(v));
		off = (uintptr_t)v.iov_base;
		if (off < g->data_off || off > g->map_len || !v.iov_len || v.iov_len > g->map_len - off ||
			v.iov_len > most - bytes) {
			broken(g, "a command entry of the kernel's ring has data outside the data area");
			return -EINVAL;
		}
		bytes += v.iov_len;
		v.iov_base = g->map + off;
		if (n && (uint8_t *)dst[n - 1].iov_base + dst[n - 1].iov_len == v.iov_base)
			dst[n - 1].iov_len += v.iov_len;
		else
			dst[n++] = v;
	}
	*ret_n = n;
	*ret_bytes = bytes;
	return 0;
}

uint16_t ring_tmr_id(const struct ring *g, const struct ring_entry *e, uint32_t i)
{
	uint16_t id;

	memcpy(&id, g->map + e->off + TMR_MIN + i * sizeof(id), sizeof(id));
	return id;
}

void ring_advance(struct ring *g, const struct ring_entry *e)
{
	g->map[e->off + offsetof(struct tcmu_cmd_entry_hdr, uflags)] = UFLAG_TAKEN;
	g->read = step(g, g->read, e->len);
}

/* Length and type of the slot at tail, which was checked when it was taken. The kernel does not change a
 * taken entry, and neither do we change len_op, so a difference, or a lost mark, means that the ring is no
 * longer ours. */
static bool slot_at_tail(struct ring *g, uint32_t *ret_len, uint32_t *ret_op)
{
	struct tcmu_cmd_entry_hdr hdr;

	memcpy(&hdr, g->map + g->cmdr_off + g->tail, sizeof(hdr));
	*ret_len = tcmu_hdr_get_len(hdr.len_op);
	*ret_op = tcmu_hdr_get_op(hdr.len_op);
	if (*ret_len >= (*ret_op == TCMU_OP_CMD ? CMD_MIN : HDR_SIZE) && *ret_len <= g->cmdr_size - g->tail &&
		*ret_len <= distance(g, g->tail, g->read) && *ret_op <= TCMU_OP_TMR &&
		hdr.uflags == UFLAG_TAKEN)
		return true;
	lost(g, "the kernel's ring has other entries than those taken from it");
	return false;
}

/* Steps over PAD and TMR slots, which get no reply. Stops at read, or at a command slot. */
static int skip_silent(struct ring *g)
{
	uint32_t len, op;

	while (g->tail != g->read) {
		if (!slot_at_tail(g, &len, &op))
			return -ESTALE;
		if (op == TCMU_OP_CMD)
			break;
		g->tail = step(g, g->tail, len);
	}
	return 0;
}

int ring_put_reply(struct ring *g, const struct ring_reply *reply)
{
	struct tcmu_cmd_entry ent = {0};
	uint8_t *slot;
	uint32_t len, op;

	if (g->lost || skip_silent(g) < 0)
		return -ESTALE;
	if (g->tail == g->read) {
		lost(g, "more replies than commands for the kernel's ring");
		return -ESTALE;
	}
	if (!slot_at_tail(g, &len, &op))
		return -ESTALE;
	ent.hdr.uflags = reply->read_len ? TCMU_UFLAG_READ_LEN : 0;
	ent.rsp.scsi_status = reply->status;
	ent.rsp.read_len = reply->read_len;
	if (reply->sense)
		memcpy(ent.rsp.sense_buffer, reply->sense, RING_SENSE_SIZE);
	/* Everything but len_op and kflags, which are the kernel's. */
	slot = g->map + g->cmdr_off + g->tail;
	memcpy(slot + offsetof(struct tcmu_cmd_entry_hdr, cmd_id), &reply->id, sizeof(reply->id));
	slot[offsetof(struct tcmu_cmd_entry_hdr, uflags)] = ent.hdr.uflags;
	memcpy(slot + HDR_SIZE, (const uint8_t *)&ent + HDR_SIZE, CMD_MIN - HDR_SIZE);
	g->tail = step(g, g->tail, len);
	return 0;
}

/* A store after a check would leave a moment in which the kernel clears the tail: it would then take whatever lies
 * between 0 and our tail for replies, new requests among them (hazard H1). An exchange has no such moment: a reset
 * before it makes it fail, a reset after it clears what it stored.
 * Release: the kernel may read a reply as soon as it sees the tail behind it. */
static bool store_tail(struct ring *g)
{
	uint32_t *tail = (uint32_t *)(g->map + offsetof(struct tcmu_mailbox, cmd_tail));
	uint32_t expected = g->published;

	return __atomic_compare_exchange_n(
		tail, &expected, g->tail, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

int ring_publish(struct ring *g)
{
	uint32_t head;

	if (g->lost || skip_silent(g) < 0)
		return -ESTALE;
	if (g->tail == g->published)
		return 0;
	if (!look(g, &head))
		return -ESTALE;
	if (!store_tail(g)) {
		lost(g, "the kernel's ring was reset while this process was using it");
		return -ESTALE;
	}
	g->published = g->tail;
	return 1;
}
