/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The legacy RAID map [4.8, 5.12]: which LDs there are. It allows no fast path, so that all I/O passes firmware. */
#include <string.h>

#include "fusion.h"

enum map_off {
	MAP_TOTAL = 0x0000,
	MAP_LIMITS = 0x0004,
	MAP_COUNT = 0x0018,
	MAP_TARGETS = 0x0020,
	MAP_HANDLES = 0x20a8,
	MAP_SPANS = 0x28a8,
};
#define SPAN_MAP 0x9e0
#define MAX_LDS	 64
#define MAP_SIZE (MAP_SPANS + MAX_LDS * SPAN_MAP)

/* One span of one drive: RAID 0 with strips of 64 KiB. */
static void put_ld(uint8_t *p, const struct unit *u)
{
	uint8_t *span = p + 0xa0;

	to32(p, 0x08, 0x80);
	p[0x10] = 1; /* span depth */
	p[0x12] = 7; /* strip, log2 of sectors */
	p[0x13] = 1;
	p[0x14] = 1;
	p[0x15] = wcache_enabled(u->ctrl_cache);
	to16(p, 0x18, u->target);
	p[0x1a] = u->offline ? 0 : 3;
	to16(p, 0x1e, u->seq);
	to64(span, 0x00, DIV_ROUND_UP(u->top->blocks, 128));
	to64(span, 0x10, u->top->blocks);
	span[0x1a] = 1;
	span[0x1b] = 1;
}

static uint32_t build(const struct units *us, uint8_t *p)
{
	uint32_t n = 0;

	memset(p, 0, MAP_SIZE);
	memset(p + MAP_TARGETS, 0xff, 128);
	for (unsigned i = 0; i < 256; i++)
		to16(p, MAP_HANDLES + 8 * i, 0xffff);
	for (unsigned i = 0; i < MAX_UNITS; i++) {
		const struct unit *u = &us->unit[i];

		if (!u->used || u->kind != UNIT_LD)
			continue;
		p[MAP_TARGETS + u->target] = (uint8_t)n;
		put_ld(p + MAP_SPANS + n * SPAN_MAP, u);
		n++;
	}
	to32(p, MAP_LIMITS, MAX_LDS);
	to32(p, MAP_LIMITS + 4, 8);
	to32(p, MAP_LIMITS + 8, 32);
	to32(p, MAP_LIMITS + 12, 256);
	to32(p, MAP_LIMITS + 16, 128);
	to32(p, MAP_COUNT, n);
	to32(p, MAP_TOTAL, MAP_SPANS + n * SPAN_MAP);
	return MAP_SIZE;
}

static uint8_t write_map(struct cmd *c)
{
	static uint8_t map[MAP_SIZE];
	uint32_t len = MIN(build(c->m->env->units, map), fr32(c->f, FR_DATA_LEN));

	return mfi_sgl_write(c, map, len) < 0 ? ST_INVALID_SGL : ST_OK;
}

/* The driver says which sequence numbers it knows: target, 0, sequence. */
static bool up_to_date(struct cmd *c)
{
	unsigned n = c->f[FR_MBOX], lds = 0;
	uint8_t known[4 * 256];

	if (n && mfi_sgl_read(c, known, 4 * n) < 0)
		return false;
	for (unsigned i = 0; i < MAX_UNITS; i++)
		lds += c->m->env->units->unit[i].used && c->m->env->units->unit[i].kind == UNIT_LD;
	for (unsigned i = 0; i < n; i++) {
		const struct unit *u = unit_find(c->m->env->units, UNIT_LD, known[4 * i]);

		if (!u || u->seq != fr16(known, 4 * i + 2))
			return false;
	}
	return lds == n;
}

void mfi_exec_map(struct cmd *c)
{
	if (!c->f[FR_MBOX + 1]) {
		c->status = write_map(c);
		return;
	}
	if (c->m->map_wait) {
		mfi_protocol_error(c->m, "a second wait for the RAID map");
		c->status = ST_INVALID_PARAMETER;
		return;
	}
	if (!up_to_date(c)) {
		c->status = write_map(c);
		return;
	}
	c->m->map_wait = c;
	c->waits = true;
}

void mfi_map_changed(struct mfi *m)
{
	struct cmd *c = m->map_wait;

	if (!c)
		return;
	m->map_wait = NULL;
	c->status = write_map(c);
	mfi_finish(c);
}
