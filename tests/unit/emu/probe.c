/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A DMA engine behind the server under test. */
#include "probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ctrl {
	struct model_env *env;
	uint32_t addr, addr_hi, len, command, result, resets, last;
	uint8_t buf[1 << 20];
};

static int create(struct model_env *env, struct ctrl **ret, struct err *e)
{
	*ret = calloc(1, sizeof(**ret));
	(*ret)->env = env;
	return 0;
}

static void destroy(struct ctrl *c)
{
	free(c);
}

static uint32_t reg_read(struct ctrl *c, unsigned bar, uint32_t off)
{
	uint32_t v;

	switch (off) {
	case 0x0c:
		return c->command ? UINT32_MAX : c->result;
	case 0x10:
		return c->resets;
	case 0x20:
		return c->last;
	}
	if (off < 0x100 || off >= 0x200)
		return 0;
	memcpy(&v, c->buf + (off - 0x100), sizeof(v));
	return v;
}

static void reg_write(struct ctrl *c, unsigned bar, uint32_t off, uint32_t val)
{
	if (off == 0x00)
		c->addr = val;
	else if (off == 0x04)
		c->addr_hi = val;
	else if (off == 0x08)
		c->len = val;
	else if (off == 0x0c)
		c->command = val;
	else if (off == 0x14 && val >= 0x100)
		c->env->bus->ops->line(c->env->bus, val == 0x100);
	else if (off == 0x14)
		c->env->bus->ops->message(c->env->bus, val);
	else if (off == 0x20)
		c->last = val;
	else if (off >= 0x100 && off < 0x200)
		memcpy(c->buf + (off - 0x100), &val, sizeof(val));
}

static void reset(struct ctrl *c, enum reset_kind kind)
{
	c->resets++;
}

static bool work(struct ctrl *c)
{
	uint64_t addr = (uint64_t)c->addr_hi << 32 | c->addr;
	int r;

	if (!c->command)
		return false;
	r = c->command == 1 ? bus_read(c->env->bus, addr, c->buf, c->len)
			    : bus_write(c->env->bus, addr, c->buf, c->len);
	c->result = (uint32_t)-r;
	c->command = 0;
	return true;
}

static void nothing(struct ctrl *c, struct unit *u, enum unit_change what)
{
}

static void describe(const struct ctrl *c, char *buf, size_t size)
{
	snprintf(buf, size, "\"state\":\"probe\"");
}

const struct model model_probe = {
	.name = "probe",
	.about = "test engine",
	.pci =
		{
			.vendor = 0x1234,
			.device = 0x5678,
			.subvendor = 0x1111,
			.subdevice = 0x2222,
			.class_code = 0x010400,
			.bar = {[0] = {.size = 4096}, [2] = {.size = 8192, .wide = true, .shared = true}},
			.n_msi = 1,
			.n_msix = 4,
			.msix_bar = 0,
			.msix_table = 0x800,
			.msix_pba = 0xc00,
		},
	.create = create,
	.destroy = destroy,
	.read = reg_read,
	.write = reg_write,
	.reset = reset,
	.work = work,
	.unit_changed = nothing,
	.describe = describe,
};
