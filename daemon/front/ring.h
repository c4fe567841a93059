/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ring rule of TCMU over a piece of memory, and nothing else: no descriptors, no tasks, no threads.
 *
 * Three positions in the command ring, all owned by this side, run in this order:
 *
 *	published   what the mailbox's cmd_tail holds because we stored it
 *	tail        slots before it carry a reply that waits for ring_publish()
 *	read        slots before it were taken (copied); from here to cmd_head nobody has looked yet
 *
 * A reply goes into the command slot at tail, which need not be the slot that its command came in. Every
 * reply was preceded by a taken command slot, so tail never passes read and no unread entry is overwritten.
 *
 * The memory is shared with the kernel: everything is copied once, checked, and used from the copy.
 */
#ifndef HBAD_FRONT_RING_H
#define HBAD_FRONT_RING_H

#include <sys/uio.h>
#include "base/err.h"

#define RING_CDB_MAX	32
#define RING_SENSE_SIZE 96

struct ring {
	uint8_t *map;
	uint64_t map_len;
	uint64_t data_off; /* the data area is [data_off, map_len) */
	uint32_t cmdr_off, cmdr_size;
	uint16_t caps; /* TCMU_MAILBOX_FLAG_CAP_* */
	uint32_t published, tail, read;
	const char *problem; /* NULL, or why this ring must not be read any more */
	bool lost;	     /* ... nor be written: somebody else changed it */
};

enum ring_what {
	RING_EMPTY,
	RING_CMD,
	RING_TMR,
	RING_BROKEN, /* the entry at read is not one; replies to what was taken before may still go out */
	RING_LOST,   /* positions were changed behind our back: never read, reply or publish again */
};

/* The copy of one entry. */
struct ring_entry {
	uint32_t off; /* of the slot in the mapping */
	uint32_t len;
	uint32_t count; /* iovecs, or ids of a TMR entry */
	uint16_t id;
	uint8_t tmr_type;
	uint8_t cdb_len;
	bool refuse; /* a command that this transport does not carry: BIDI, DIF, or a CDB longer than cdb */
	uint8_t cdb[RING_CDB_MAX];
};

struct ring_reply {
	uint16_t id;
	uint8_t status;
	uint32_t read_len;    /* 0: not given */
	const uint8_t *sense; /* RING_SENSE_SIZE bytes, or NULL for zeros */
};

/* Checks the mailbox and fills the constant part of g; reads nothing but the mailbox. */
int ring_attach(struct ring *g, void *map, uint64_t map_len, struct err *e);
/* Takes over from the mailbox's cmd_tail on. -EIO when head or tail make no sense. */
int ring_start(struct ring *g, struct err *e);

/* Copies and checks the entry at read, stepping over PADs. RING_CMD and RING_TMR: *ret is filled, and stays
 * valid until ring_advance(). */
enum ring_what ring_peek(struct ring *g, struct ring_entry *ret);
/* Copies the entry's iovecs as addresses of this process, adjacent ones merged. dst has room for e->count.
 * -EINVAL: one is outside the data area, or together they are larger than it; g->problem is set. */
int ring_copy_iovs(
	struct ring *g, const struct ring_entry *e, struct iovec *dst, uint32_t *ret_n, uint64_t *ret_bytes);
uint16_t ring_tmr_id(const struct ring *g, const struct ring_entry *e, uint32_t i);
/* The entry is taken, and marked so in its slot. */
void ring_advance(struct ring *g, const struct ring_entry *e);

/* False when the kernel's positions do not continue what this side knows (g->problem says why): a reset. */
bool ring_intact(struct ring *g);
/* Writes a reply at tail. -ESTALE: the slot there is not one that was taken; the ring is lost. */
int ring_put_reply(struct ring *g, const struct ring_reply *reply);
/* Makes replies visible. 1: the kernel has to be told (uio write), 0: nothing new, -ESTALE: the ring is lost. */
int ring_publish(struct ring *g);
/* Nothing taken that is not published: true also means that no PAD or TMR slot is held back. */
static inline bool ring_settled(const struct ring *g)
{
	return g->published == g->read;
}
/* Nothing to read either. */
bool ring_empty(const struct ring *g);

/* Length of a CDB as LIO copies it into the ring, by the group of its opcode; 7Fh says it in byte 7. */
uint32_t ring_cdb_len(const uint8_t cdb[8]);

#endif
