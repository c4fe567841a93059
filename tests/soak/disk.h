/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every block of a LUN may hold. Each block is stamped with LUN, place and a generation that grows with every
 * write of it, so a stale block is as visible as a wrong one.
 *
 * One write of a block is under way at a time; reads may run beside it. A write that ended in an error may have been
 * done or not: the next read that nothing disturbs decides, and from then on it is wrong for the block to change its
 * mind. A power cut takes it back to any generation since the last flush, but never to one that was seen not to exist.
 */
#ifndef HBAD_TESTS_SOAK_DISK_H
#define HBAD_TESTS_SOAK_DISK_H

#include <stdbool.h>
#include <stdint.h>

#define DISK_BLOCK  512u
#define DISK_BLOCKS 2048u

enum disk_past {
	DISK_LIVE,  /* nothing was lost since */
	DISK_SHADY, /* the power may have been cut since */
	DISK_CUT,   /* it was, and nothing has been written since: what is read is what is left */
};

struct disk_block {
	uint32_t durable; /* the oldest that may be found after a power cut */
	uint32_t low;	  /* the oldest that may be read now */
	uint32_t sent;	  /* the newest that was ever written */
	bool busy;	  /* a write is under way */
	uint64_t dead;	  /* bit n: generation sent - n does not exist any more, or never did */
};

struct disk {
	unsigned lun;
	bool repeats; /* writes that were under way at a power cut are repeated after it */
	struct disk_block block[DISK_BLOCKS];
	uint64_t lost; /* acknowledged generations that power cuts took, as they may */
};

/* What was known of the blocks of a read or flush when it was sent. */
struct disk_view {
	uint32_t durable[DISK_BLOCKS], low[DISK_BLOCKS], sent[DISK_BLOCKS];
	bool quiet[DISK_BLOCKS];
};

bool disk_is_free(const struct disk *d, uint32_t lba, uint32_t n);
/* New generations, stamped into buf. */
void disk_write_begin(struct disk *d, uint32_t lba, uint32_t n, uint8_t *buf);
/* good: acknowledged. Else nobody knows. fua: and flushed. */
void disk_write_end(struct disk *d, uint32_t lba, uint32_t n, bool good, bool fua);
void disk_look(const struct disk *d, uint32_t lba, uint32_t n, struct disk_view *v);
/* Judges what was read. Returns the number of wrong blocks, after soak_wrong() for each. */
unsigned disk_judge(struct disk *d, uint32_t lba, uint32_t n, const struct disk_view *v, const uint8_t *buf,
	enum disk_past past);
/* A GOOD flush of these blocks that was sent when v was taken. */
void disk_flushed(struct disk *d, uint32_t lba, uint32_t n, const struct disk_view *v);

/* Nothing is in flight, and all that was acknowledged is on the media. */
void disk_is_durable(struct disk *d);

#endif
