/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What keeps blocks: media at the bottom, and volatile caches stacked on it. A drive is a cache on media; a
 * logical drive of a controller with write-back cache is one more cache on that.
 */
#ifndef HBAD_EMU_STORE_H
#define HBAD_EMU_STORE_H

#include "base/compiler.h"
#include "rng.h"

/* Which of the blocks that were acknowledged and not flushed are found on the media after the power is cut. */
enum survive {
	SURVIVE_NONE,
	SURVIVE_ALL,
	SURVIVE_PREFIX,	 /* the oldest, up to a point drawn by lot */
	SURVIVE_RANDOM,	 /* each by lot */
	SURVIVE_REORDER, /* each by lot and in an order drawn by lot: an older one may win over a newer one */
	N_SURVIVE
};
extern const char *const survive_names[N_SURVIVE];

struct cut {
	enum survive survive;
	struct rng *rng;
};

struct store;

/* 0 or -errno. Ranges were checked against blocks. */
struct store_ops {
	int (*read)(struct store *s, uint64_t lba, uint32_t n, void *buf);
	/* through: on the layer below when it returns */
	int (*write)(struct store *s, uint64_t lba, uint32_t n, const void *buf, bool through);
	/* All that this layer holds goes to the one below, not further. */
	int (*flush)(struct store *s);
	int (*discard)(struct store *s, uint64_t lba, uint64_t n);
	int (*resize)(struct store *s, uint64_t blocks);
	/* This layer alone loses its power. Upper layers first. */
	void (*power_cut)(struct store *s, const struct cut *cut);
	void (*free)(struct store *s);
};

struct store {
	const struct store_ops *ops;
	uint64_t blocks;
	uint32_t block; /* bytes */
};

/* RAM (path NULL) or a file, both sparse: what was never written reads as zeros. A file is made and grown to size, and never cut
 * off: who makes the store smaller and larger again finds what was there. */
int media_open(const char *path, uint64_t blocks, uint32_t block, struct store **ret);

struct wcache_stats {
	uint64_t dirty_bytes, writes, destaged, lost;
};

/* A volatile write cache of at most capacity bytes on below, which stays the caller's. */
int wcache_create(struct store *below, uint64_t capacity, struct rng *rng, struct store **ret);
/* Off: what it holds goes down, and later writes go through. */
int wcache_enable(struct store *s, bool on);
bool wcache_enabled(const struct store *s);
struct wcache_stats wcache_stats(const struct store *s);

static inline bool store_holds(const struct store *s, uint64_t lba, uint64_t n)
{
	return lba <= s->blocks && n <= s->blocks - lba;
}

#endif
