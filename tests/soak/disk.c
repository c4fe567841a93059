/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See disk.h. */
#include "soak.h"

#include <string.h>

#define MAGIC	 0x6b616f73u
#define NOBODY	 UINT32_MAX
#define MASK_LEN 64u

struct stamp {
	uint32_t magic, lun, lba, generation;
};
static_assert(DISK_BLOCK % sizeof(struct stamp) == 0, "whole stamps");

static void stamp(uint8_t *p, unsigned lun, uint32_t lba, uint32_t generation)
{
	const struct stamp s = {MAGIC, lun, lba, generation};

	for (unsigned i = 0; i < DISK_BLOCK; i += sizeof(s))
		memcpy(p + i, &s, sizeof(s));
}

/* 0: never written. NOBODY: torn, or another block's. */
static uint32_t generation_of(const uint8_t *p, unsigned lun, uint32_t lba)
{
	static const uint8_t zeros[DISK_BLOCK];
	uint8_t whole[DISK_BLOCK];
	struct stamp s;

	if (memcmp(p, zeros, DISK_BLOCK) == 0)
		return 0;
	memcpy(&s, p, sizeof(s));
	stamp(whole, lun, lba, s.generation);
	return memcmp(p, whole, DISK_BLOCK) == 0 ? s.generation : NOBODY;
}

static bool is_dead(const struct disk_block *b, uint32_t g)
{
	uint32_t age = b->sent - g;

	return age < MASK_LEN && b->dead >> age & 1;
}

/* It is g: what is newer was lost, or was never done. */
static void settle(struct disk_block *b, uint32_t g)
{
	for (uint32_t newer = g + 1; newer <= b->sent; newer++)
		if (b->sent - newer < MASK_LEN)
			b->dead |= UINT64_C(1) << (b->sent - newer);
	b->low = g;
}

bool disk_is_free(const struct disk *d, uint32_t lba, uint32_t n)
{
	for (uint32_t i = lba; i < lba + n; i++)
		if (d->block[i].busy)
			return false;
	return true;
}

void disk_write_begin(struct disk *d, uint32_t lba, uint32_t n, uint8_t *buf)
{
	for (uint32_t i = 0; i < n; i++) {
		struct disk_block *b = &d->block[lba + i];

		b->busy = true;
		b->sent++;
		b->dead <<= 1;
		stamp(buf + i * DISK_BLOCK, d->lun, lba + i, b->sent);
	}
}

void disk_write_end(struct disk *d, uint32_t lba, uint32_t n, bool good, bool fua)
{
	for (uint32_t i = lba; i < lba + n; i++) {
		struct disk_block *b = &d->block[i];

		b->busy = false;
		if (good)
			b->low = b->sent;
		if (good && fua)
			b->durable = b->sent;
	}
}

void disk_look(const struct disk *d, uint32_t lba, uint32_t n, struct disk_view *v)
{
	for (uint32_t i = lba; i < lba + n; i++) {
		v->durable[i] = d->block[i].durable;
		v->low[i] = d->block[i].low;
		v->sent[i] = d->block[i].sent;
		v->quiet[i] = !d->block[i].busy;
	}
}

static void tell(const struct disk *d, uint32_t lba, uint32_t g, uint32_t low, const char *when)
{
	const struct disk_block *b = &d->block[lba];
	const char *what = "STALE";

	if (g == NOBODY || g > b->sent)
		what = "WRONG";
	else if (when[0] == 'a')
		what = "LOST";
	if (g == NOBODY)
		soak_wrong("%s: LUN %u, block %u: bytes of no generation of it, %s", what, d->lun, lba, when);
	else
		soak_wrong("%s: LUN %u, block %u: generation %u%s, %s; at least %u expected; flushed %u, "
			   "acknowledged %u, sent %u",
			what, d->lun, lba, g, is_dead(b, g) ? " (which did not exist any more)" : "", when,
			low, b->durable, b->low, b->sent);
}

static bool judge_shady(const struct disk *d, uint32_t lba, uint32_t g, uint32_t durable)
{
	const struct disk_block *b = &d->block[lba];

	if (g >= durable && g <= b->sent && !is_dead(b, g))
		return true;
	tell(d, lba, g, durable, "after a power cut");
	return false;
}

static bool judge_live(struct disk *d, uint32_t lba, uint32_t g, const struct disk_view *v)
{
	struct disk_block *b = &d->block[lba];

	if (g < v->low[lba] || g > b->sent || is_dead(b, g)) {
		tell(d, lba, g, v->low[lba], "read");
		return false;
	}
	if (v->quiet[lba] && !b->busy && v->sent[lba] == b->sent && g >= b->low)
		settle(b, g);
	return true;
}

static bool judge_cut(struct disk *d, uint32_t lba, uint32_t g)
{
	struct disk_block *b = &d->block[lba];

	if (!judge_shady(d, lba, g, b->durable))
		return false;
	d->lost += b->low > g ? b->low - g : 0;
	settle(b, g);
	/* What was repeated is in a cache again. */
	if (!d->repeats)
		b->durable = g;
	return true;
}

unsigned disk_judge(struct disk *d, uint32_t lba, uint32_t n, const struct disk_view *v, const uint8_t *buf,
	enum disk_past past)
{
	unsigned wrong = 0;

	for (uint32_t i = lba; i < lba + n; i++) {
		uint32_t g = generation_of(buf + (i - lba) * DISK_BLOCK, d->lun, i);

		if (past == DISK_CUT)
			wrong += !judge_cut(d, i, g);
		else if (past == DISK_SHADY)
			wrong += !judge_shady(d, i, g, v->durable[i]);
		else
			wrong += !judge_live(d, i, g, v);
	}
	return wrong;
}

void disk_flushed(struct disk *d, uint32_t lba, uint32_t n, const struct disk_view *v)
{
	for (uint32_t i = lba; i < lba + n; i++)
		if (v->low[i] > d->block[i].durable)
			d->block[i].durable = v->low[i];
}

void disk_is_durable(struct disk *d)
{
	for (uint32_t i = 0; i < DISK_BLOCKS; i++)
		d->block[i].durable = d->block[i].low;
}
