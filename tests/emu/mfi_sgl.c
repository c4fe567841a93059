/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scatter-gather lists of MFI frames [3.8], and the data that they point to. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "mfi.h"

static void decode(const uint8_t *p, uint16_t flags, struct sge *ret)
{
	if (flags & FRAME_SGL64) /* 12 bytes, or 16 with a flag word: both begin alike */
		*ret = (struct sge){fr64(p, 0), fr32(p, 8)};
	else
		*ret = (struct sge){fr32(p, 0), fr32(p, 4)};
}

static unsigned element_size(uint16_t flags)
{
	if (flags & FRAME_IEEE)
		return 16;
	return flags & FRAME_SGL64 ? 12 : 8;
}

/* Firmware fetches so many frames as were announced; more than eight cannot be [3.8, 3.9]. */
static void check_announced(struct cmd *c, unsigned end)
{
	unsigned needed = DIV_ROUND_UP(end, FR_UNIT);

	if (MIN(needed, 8u) > c->announced)
		mfi_protocol_error(c->m, "frame %08x goes on for %u units, %u were announced", c->addr,
			needed, c->announced);
}

uint8_t mfi_sgl_load(struct cmd *c, unsigned off)
{
	uint16_t flags = fr16(c->f, FR_FLAGS);
	unsigned n = c->f[FR_SGE_COUNT], size = element_size(flags);
	uint8_t list[MAX_SGES * 16];

	c->n_sge = 0;
	if (!n)
		return ST_OK;
	if (flags & FRAME_IEEE && !(flags & FRAME_SGL64)) {
		mfi_protocol_error(c->m, "frame %08x has IEEE elements without the 64-bit flag", c->addr);
		return ST_INVALID_SGL;
	}
	if (n > c->m->env->opt.max_sge) {
		mfi_protocol_error(c->m, "frame %08x has %u elements, %u are offered", c->addr, n,
			c->m->env->opt.max_sge);
		return ST_INVALID_SGL;
	}
	check_announced(c, off + n * size);
	if (bus_read(c->m->env->bus, (uint64_t)c->addr + off, list, n * size) < 0)
		return ST_INVALID_SGL;
	for (unsigned i = 0; i < n; i++)
		decode(list + i * size, flags, &c->sge[i]);
	c->n_sge = n;
	return ST_OK;
}

uint64_t mfi_sgl_bytes(const struct cmd *c)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < c->n_sge; i++)
		sum += c->sge[i].len;
	return sum;
}

static int move(struct cmd *c, uint8_t *buf, uint32_t len, bool to_host)
{
	struct emu_bus *bus = c->m->env->bus;
	int r = 0;

	for (uint32_t i = 0; i < c->n_sge && len && r == 0; i++) {
		uint32_t part = MIN(len, c->sge[i].len);

		if (part)
			r = to_host ? bus_write(bus, c->sge[i].addr, buf, part)
				    : bus_read(bus, c->sge[i].addr, buf, part);
		buf += part;
		len -= part;
	}
	return r < 0 ? r : (len ? -EOVERFLOW : 0);
}

int mfi_sgl_read(struct cmd *c, void *buf, uint32_t len)
{
	return move(c, buf, len, false);
}

int mfi_sgl_write(struct cmd *c, const void *buf, uint32_t len)
{
	return move(c, (void *)buf, len, true);
}

/* --- too late --- */

static void on_late(struct wheel *w)
{
	struct late_dma *l = container_of(w, struct late_dma, timer);
	static uint8_t garbage[4096];

	memset(garbage, 0xdb, sizeof(garbage));
	log_info("%s: late DMA by fault rule: %u bytes at 0x%llx", l->m->fam->name, l->sge.len,
		(unsigned long long)l->sge.addr);
	for (uint32_t done = 0, part; done < l->sge.len; done += part) {
		part = MIN(l->sge.len - done, (uint32_t)sizeof(garbage));
		if (bus_write(l->m->env->bus, l->sge.addr + done, garbage, part) < 0)
			break;
	}
}

void mfi_late_dma(struct cmd *c, uint32_t ms)
{
	for (unsigned i = 0; i < ARRAY_SIZE(c->m->late) && c->n_sge; i++) {
		struct late_dma *l = &c->m->late[i];

		if (clockwork_armed(&l->timer))
			continue;
		l->m = c->m;
		l->sge = c->sge[0];
		l->timer.cb = on_late;
		clockwork_after(c->m->env->clock, &l->timer, ms * NS_PER_MS);
		return;
	}
}
