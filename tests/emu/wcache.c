/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A volatile write cache. Every write is kept as versions, one for each page that it touches, in the order of
 * arrival; a read lays them over what is below, oldest first. So the past of a block is known until it is destaged,
 * and a power cut can pick any of it.
 */
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"

#define PAGE_BLOCKS 8
#define BUCKETS	    4096

const char *const survive_names[N_SURVIVE] = {
	[SURVIVE_NONE] = "none",
	[SURVIVE_ALL] = "all",
	[SURVIVE_PREFIX] = "prefix",
	[SURVIVE_RANDOM] = "random",
	[SURVIVE_REORDER] = "reorder",
};

struct version {
	struct list age;    /* of all, oldest first */
	struct list bucket; /* of its page's bucket, oldest first */
	uint64_t lba;
	uint32_t n; /* within one page */
	uint8_t data[];
};

struct wcache {
	struct store store;
	struct store *below;
	struct rng *rng;
	uint64_t capacity;
	bool on;
	uint32_t n_versions;
	struct list age;
	struct list bucket[BUCKETS];
	struct wcache_stats stats;
};

static struct wcache *wcache_of(const struct store *s)
{
	return container_of(s, struct wcache, store);
}

static struct list *bucket_of(struct wcache *w, uint64_t lba)
{
	/* Neighbouring pages in neighbouring buckets, far ones mixed in. */
	uint64_t page = lba / PAGE_BLOCKS;

	return &w->bucket[(page ^ page >> 12) % BUCKETS];
}

static void drop(struct wcache *w, struct version *v)
{
	w->stats.dirty_bytes -= (uint64_t)v->n * w->store.block;
	w->n_versions--;
	list_remove(&v->age);
	list_remove(&v->bucket);
	free(v);
}

/* Only ever the oldest of its page, unless a power cut draws lots. */
static int destage(struct wcache *w, struct version *v)
{
	int r = w->below->ops->write(w->below, v->lba, v->n, v->data, false);

	if (r < 0)
		return r;
	w->stats.destaged++;
	drop(w, v);
	return 0;
}

static int destage_down_to(struct wcache *w, uint64_t bytes)
{
	int r = 0;

	while (r == 0 && w->stats.dirty_bytes > bytes)
		r = destage(w, list_first(&w->age, struct version, age));
	return r;
}

static void overlay(struct version *v, uint32_t block, uint64_t lba, uint32_t n, uint8_t *buf)
{
	uint64_t from = MAX(v->lba, lba), end = MIN(v->lba + v->n, lba + n);

	if (from < end)
		memcpy(buf + (from - lba) * block, v->data + (from - v->lba) * block, (end - from) * block);
}

static int wcache_read(struct store *s, uint64_t lba, uint32_t n, void *buf)
{
	struct wcache *w = wcache_of(s);
	int r = w->below->ops->read(w->below, lba, n, buf);

	if (r < 0 || list_empty(&w->age))
		return r;
	for (uint64_t page = lba / PAGE_BLOCKS; page <= (lba + n - 1) / PAGE_BLOCKS; page++) {
		struct list *head = bucket_of(w, page * PAGE_BLOCKS);

		list_for_each(pos, head) {
			struct version *v = container_of(pos, struct version, bucket);

			if (v->lba / PAGE_BLOCKS == page)
				overlay(v, s->block, lba, n, buf);
		}
	}
	return 0;
}

static int keep(struct wcache *w, uint64_t lba, uint32_t n, const void *data)
{
	size_t len = (size_t)n * w->store.block;
	struct version *v = malloc(sizeof(*v) + len);

	if (!v)
		return -ENOMEM;
	v->lba = lba;
	v->n = n;
	memcpy(v->data, data, len);
	list_append(&w->age, &v->age);
	list_append(bucket_of(w, lba), &v->bucket);
	w->stats.dirty_bytes += len;
	w->n_versions++;
	return 0;
}

/* What is in the way of a write that goes through: everything older must be below first. */
static int destage_range(struct wcache *w, uint64_t lba, uint64_t n)
{
	int r = 0;

	list_for_each_safe(pos, &w->age) {
		struct version *v = container_of(pos, struct version, age);

		/* Whole pages: an older version of the same page must not be passed. */
		if (v->lba / PAGE_BLOCKS >= lba / PAGE_BLOCKS &&
			v->lba < ALIGN_UP(lba + n, (uint64_t)PAGE_BLOCKS))
			r = destage(w, v);
		if (r < 0)
			break;
	}
	return r;
}

static int wcache_write(struct store *s, uint64_t lba, uint32_t n, const void *buf, bool through)
{
	struct wcache *w = wcache_of(s);
	const uint8_t *from = buf;
	int r = 0;

	w->stats.writes++;
	if (through || !w->on) {
		r = destage_range(w, lba, n);
		return r < 0 ? r : w->below->ops->write(w->below, lba, n, buf, through);
	}
	while (n && r == 0) {
		uint32_t part = (uint32_t)MIN((uint64_t)n, PAGE_BLOCKS - lba % PAGE_BLOCKS);

		r = keep(w, lba, part, from);
		lba += part;
		n -= part;
		from += (size_t)part * s->block;
	}
	/* A cache writes out when it likes to: now and then a little, and what is too much. */
	if (r == 0 && rng_below(w->rng, 64) == 0)
		r = destage_down_to(w, rng_below(w->rng, w->stats.dirty_bytes + 1));
	return r < 0 ? r : destage_down_to(w, w->capacity);
}

static int wcache_flush(struct store *s)
{
	return destage_down_to(wcache_of(s), 0);
}

static int wcache_discard(struct store *s, uint64_t lba, uint64_t n)
{
	struct wcache *w = wcache_of(s);
	int r = destage_range(w, lba, n);

	return r < 0 ? r : w->below->ops->discard(w->below, lba, n);
}

static int wcache_resize(struct store *s, uint64_t blocks)
{
	struct wcache *w = wcache_of(s);
	int r = destage_down_to(w, 0);

	if (r == 0)
		r = w->below->ops->resize(w->below, blocks);
	if (r == 0)
		s->blocks = blocks;
	return r;
}

/* Fisher and Yates. Without memory for it the order stays as it was, which is one of the possible ones. */
static void shuffle(struct wcache *w, struct rng *rng)
{
	uint32_t n = 0;
	struct version **all = calloc(w->n_versions, sizeof(*all));

	if (!all)
		return;
	list_for_each(pos, &w->age)
		all[n++] = container_of(pos, struct version, age);
	for (uint32_t i = n; i > 1; i--) {
		uint32_t j = (uint32_t)rng_below(rng, i);
		struct version *t = all[i - 1];

		all[i - 1] = all[j];
		all[j] = t;
	}
	for (uint32_t i = 0; i < n; i++) {
		list_remove(&all[i]->age);
		list_append(&w->age, &all[i]->age);
	}
	free(all);
}

static bool survives(const struct cut *cut, uint32_t *prefix)
{
	switch (cut->survive) {
	case SURVIVE_ALL:
		return true;
	case SURVIVE_PREFIX:
		return *prefix ? (*prefix)-- : false;
	case SURVIVE_RANDOM:
	case SURVIVE_REORDER:
		return rng_below(cut->rng, 2);
	default:
		return false;
	}
}

static void wcache_power_cut(struct store *s, const struct cut *cut)
{
	struct wcache *w = wcache_of(s);
	uint32_t prefix = (uint32_t)rng_below(cut->rng, (uint64_t)w->n_versions + 1);

	if (cut->survive == SURVIVE_REORDER)
		shuffle(w, cut->rng);
	while (!list_empty(&w->age)) {
		struct version *v = list_first(&w->age, struct version, age);

		if (survives(cut, &prefix) && destage(w, v) == 0)
			continue;
		w->stats.lost++;
		drop(w, v);
	}
}

static void wcache_free(struct store *s)
{
	struct wcache *w = wcache_of(s);

	while (!list_empty(&w->age))
		drop(w, list_first(&w->age, struct version, age));
	free(w);
}

static const struct store_ops wcache_ops = {
	.read = wcache_read,
	.write = wcache_write,
	.flush = wcache_flush,
	.discard = wcache_discard,
	.resize = wcache_resize,
	.power_cut = wcache_power_cut,
	.free = wcache_free,
};

int wcache_create(struct store *below, uint64_t capacity, struct rng *rng, struct store **ret)
{
	struct wcache *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->store = (struct store){.ops = &wcache_ops, .blocks = below->blocks, .block = below->block};
	w->below = below;
	w->rng = rng;
	w->capacity = capacity;
	w->on = true;
	list_init(&w->age);
	for (unsigned i = 0; i < BUCKETS; i++)
		list_init(&w->bucket[i]);
	*ret = &w->store;
	return 0;
}

int wcache_enable(struct store *s, bool on)
{
	struct wcache *w = wcache_of(s);

	w->on = on;
	return on ? 0 : destage_down_to(w, 0);
}

bool wcache_enabled(const struct store *s)
{
	return wcache_of(s)->on;
}

struct wcache_stats wcache_stats(const struct store *s)
{
	return wcache_of(s)->stats;
}
