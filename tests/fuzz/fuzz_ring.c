/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * H18: a ring whose memory is the input, with a kernel that does whatever the input says: moves head and tail, writes into
 * entries. Nothing may be touched outside the mapping (its size is exact, ASan watches), replies never pass what was
 * taken, and what was published is what the mailbox holds.
 */
#include <errno.h>
#include <stdlib.h>
#include "front/ring.h"
#include "front/tcmu.h"
#include "fuzz.h"

#define RING_SIZE 1024
#define DATA_SIZE 4096
#define MAP_SIZE  (sizeof(struct tcmu_mailbox) + RING_SIZE + DATA_SIZE)
#define STEPS	  256

static uint8_t *new_map(struct input *in)
{
	uint8_t *map = aligned_alloc(64, (MAP_SIZE + 63) / 64 * 64);
	struct tcmu_mailbox *mb = (struct tcmu_mailbox *)map;

	memset(map, 0, MAP_SIZE);
	mb->version = TCMU_MAILBOX_VERSION;
	mb->flags = TCMU_MAILBOX_FLAG_CAP_OOOC | TCMU_MAILBOX_FLAG_CAP_READ_LEN;
	mb->cmdr_off = sizeof(*mb);
	mb->cmdr_size = RING_SIZE;
	/* Any mailbox at all now and then. */
	if (take8(in) == 0xff)
		take(in, map, 16);
	mb->cmd_tail = take8(in) * 8U;
	mb->cmd_head = take8(in) * 8U;
	return map;
}

static void touch_iovs(struct ring *g, const struct ring_entry *e, struct iovec *iov)
{
	uint64_t bytes, sum = 0;
	uint32_t n;

	if (ring_copy_iovs(g, e, iov, &n, &bytes) < 0)
		return;
	ck_assert_uint_le(n, e->count);
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *p = iov[i].iov_base;

		ck_assert(p >= g->map + g->data_off && iov[i].iov_len <= g->map_len &&
			  p + iov[i].iov_len <= g->map + g->map_len);
		sum += iov[i].iov_len;
	}
	ck_assert_uint_eq(sum, bytes);
	ck_assert_uint_le(bytes, g->map_len - g->data_off);
}

/* Takes entries; counts the commands among them. */
static unsigned take_some(struct ring *g, struct iovec *iov, unsigned most)
{
	struct ring_entry e;
	enum ring_what what;
	unsigned commands = 0;

	while (most-- && (what = ring_peek(g, &e)) != RING_EMPTY) {
		if (what == RING_BROKEN || what == RING_LOST) {
			ck_assert_ptr_nonnull(g->problem);
			break;
		}
		if (what == RING_CMD) {
			ck_assert_uint_le(e.cdb_len, RING_CDB_MAX);
			touch_iovs(g, &e, iov);
			commands++;
		}
		for (uint32_t i = 0; what == RING_TMR && i < e.count; i++)
			ring_tmr_id(g, &e, i);
		ring_advance(g, &e);
	}
	return commands;
}

static void kernel(struct input *in, uint8_t *map)
{
	struct tcmu_mailbox *mb = (struct tcmu_mailbox *)map;
	uint16_t at = take16(in);

	switch (at >> 14) {
	case 0:
		mb->cmd_head = at & 0x3fff;
		break;
	case 1:
		mb->cmd_tail = at & 0x3fff;
		break;
	default:
		take(in, map + sizeof(*mb) + at % RING_SIZE / 8 * 8, 8);
	}
}

/* An entry as the kernel makes them, at head; fields of it from the input. */
static void queue_entry(struct input *in, uint8_t *map)
{
	struct tcmu_mailbox *mb = (struct tcmu_mailbox *)map;
	uint32_t at = mb->cmd_head % RING_SIZE / 8 * 8, len = 136U + take8(in) % 8 * 8;
	struct tcmu_cmd_entry *e = (struct tcmu_cmd_entry *)(map + sizeof(*mb) + at);

	if (len > RING_SIZE - at) {
		e->hdr.len_op = (RING_SIZE - at) | TCMU_OP_PAD;
		e->hdr.uflags = 0;
		mb->cmd_head = 0;
		return;
	}
	memset(e, 0, len);
	e->hdr.len_op = len | TCMU_OP_CMD;
	e->hdr.cmd_id = take8(in);
	e->req.iov_cnt = take8(in) % 4;
	for (uint32_t i = 0; i < e->req.iov_cnt; i++) {
		e->req.iov[i].iov_base = (void *)(uintptr_t)(sizeof(*mb) + RING_SIZE + take16(in) % 4200);
		e->req.iov[i].iov_len = take16(in) % 2048;
	}
	e->req.cdb_off = sizeof(*mb) + at + len - 16 - take8(in) % 32;
	take(in, map + sizeof(*mb) + at + len - 16, 16);
	mb->cmd_head = (at + len) % RING_SIZE;
}

static unsigned reply_some(struct ring *g, struct input *in, unsigned owed)
{
	uint8_t sense[RING_SENSE_SIZE] = {0x70};
	unsigned n = owed ? take8(in) % owed + 1 : 0;

	while (n-- && ring_intact(g)) {
		struct ring_reply reply = {.id = take8(in), .status = take8(in), .read_len = take8(in)};

		reply.sense = reply.status == 2 ? sense : NULL;
		if (ring_put_reply(g, &reply) < 0) {
			ck_assert(g->lost);
			break;
		}
		owed--;
	}
	return owed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint8_t *map = new_map(&in);
	struct tcmu_mailbox *mb = (struct tcmu_mailbox *)map;
	struct iovec *iov = malloc(MAP_SIZE);
	struct err e = {""};
	struct ring g;
	unsigned owed = 0;

	if (ring_attach(&g, map, MAP_SIZE, &e) == 0 && ring_start(&g, &e) == 0) {
		for (unsigned i = 0; in.n && i < STEPS; i++) {
			switch (take8(&in) % 4) {
			case 0:
				kernel(&in, map);
				break;
			case 1:
				queue_entry(&in, map);
				break;
			case 2:
				owed += take_some(&g, iov, take8(&in) % 8 + 1);
				break;
			default:
				owed = reply_some(&g, &in, owed);
				if (!g.lost && ring_publish(&g) == 1)
					ck_assert_uint_eq(mb->cmd_tail, g.published);
			}
			ck_assert(g.read < g.cmdr_size && g.tail < g.cmdr_size);
		}
	} else {
		ck_assert(e.text[0]);
	}
	free(iov);
	free(map);
	return 0;
}
