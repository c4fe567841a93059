/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The SAS3108 as the bus sees it: registers, scratch pads, interrupts, and the model's table [1.3, 2.4, 5.2]. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fusion.h"

/* Bit 3 is up as long as the host has something to take. */
static uint32_t intr_status(const struct mfi *m)
{
	return m->intr_status | (fusion_pending(m) ? FINTR_REPLY : 0);
}

/* Messages are sent where replies are posted; here only what had to wait for the mask, and the line. */
void fusion_look(struct mfi *m)
{
	uint32_t unsent = m->fx->unsent;

	m->env->bus->ops->line(m->env->bus, intr_status(m) & ~m->intr_mask);
	if (m->intr_mask & FINTR_REPLY)
		return;
	m->fx->unsent = 0;
	for (unsigned v = 0; v < FUSION_VECTORS; v++)
		if (unsent & 1u << v)
			m->env->bus->ops->message(m->env->bus, v);
}

/* [5.2]: 16 reply queues, chain frames of 4 KiB, queues by array, SYNCHRONIZE CACHE by firmware. */
static uint32_t pad1(const struct mfi *m)
{
	const uint32_t chain = 0x00400000u | 8u << 5, rdpq = 0x00800000u, sync = 0x01000000u;

	return chain | rdpq | (uint32_t)(m->env->opt.vectors - 1) << 14 |
	       (m->env->units->ld_sync == LD_SYNC_REJECTED ? 0 : sync);
}

static uint32_t reg_read(struct ctrl *c, unsigned bar, uint32_t off)
{
	struct mfi *m = mfi_of(c);

	switch (off) {
	case FREG_DIAG:
		return m->diag;
	case FREG_INTR_STATUS:
		return intr_status(m);
	case FREG_INTR_MASK:
		return m->intr_mask;
	case FREG_STATE:
		return mfi_state_word(m);
	case FREG_PAD1:
		return pad1(m);
	case FREG_PAD2:
		return m->env->opt.max_cmds;
	default:
		return 0; /* the doorbell too: never busy */
	}
}

static void write_doorbell(struct ctrl *c, uint32_t val)
{
	if (val & FDB_FORCE)
		mfi_fault(c, 0x0fc);
	else
		mfi_boot_doorbell(mfi_of(c), val);
}

static void write_queue(struct mfi *m, uint32_t off, uint32_t val)
{
	if (off == FREG_QUEUE_LOW)
		m->fx->low = val;
	else
		mfi_queue_push(m, (uint64_t)val << 32 | m->fx->low);
}

static void reg_write(struct ctrl *c, unsigned bar, uint32_t off, uint32_t val)
{
	struct mfi *m = mfi_of(c);

	switch (off) {
	case FREG_DOORBELL:
		write_doorbell(c, val);
		return;
	case FREG_KEY:
		mfi_key(m, val);
		return;
	case FREG_DIAG:
		mfi_diag(m, val);
		return;
	case FREG_INTR_STATUS:
		m->intr_status &= ~val;
		fusion_look(m);
		return;
	case FREG_INTR_MASK:
		m->intr_mask = val;
		fusion_look(m);
		return;
	case FREG_HOST_INDEX:
		fusion_host_index(m, val >> 24, val & 0xffffff);
		return;
	case FREG_BOOT_QUEUE:
		fusion_boot_frame(m, val);
		return;
	case FREG_QUEUE_LOW:
	case FREG_QUEUE_HIGH:
		write_queue(m, off, val);
		return;
	}
	if (off >= FREG_HOST_INDEX_N && off < FREG_HOST_INDEX_N + 0x100 && !((off - FREG_HOST_INDEX_N) & 0xf))
		fusion_host_index(m, (off - FREG_HOST_INDEX_N) / 0x10 * 8 + (val >> 24), val & 0xffffff);
}

/* Vectors were set up anew: what was posted before must not be forgotten. */
static void irq_changed(struct ctrl *c)
{
	struct mfi *m = mfi_of(c);

	for (unsigned v = 0; v < m->fx->vectors; v++)
		if (m->fx->producer[v] != m->fx->host[v])
			m->fx->unsent |= 1u << v;
	fusion_look(m);
}

static void describe(const struct ctrl *c, char *buf, size_t size)
{
	const struct fusion *fx = mfi_of((struct ctrl *)c)->fx;
	size_t n;

	mfi_describe(c, buf, size);
	n = strlen(buf);
	for (unsigned v = 0; v < FUSION_VECTORS && n < size; v++)
		n += (size_t)snprintf(
			buf + n, size - n, "%s%" PRIu64, v ? "," : ",\"queue_replies\":[", fx->posted[v]);
	if (n < size)
		snprintf(buf + n, size - n, "]");
}

static int create(struct model_env *env, struct ctrl **ret, struct err *e)
{
	struct fusion *fx = calloc(1, sizeof(*fx));
	int r = fx ? mfi_create(env, &family_sas3108, fx, ret, e) : err_set(e, -ENOMEM, "out of memory");

	if (r < 0)
		free(fx);
	return r;
}

extern const struct model model_sas3108;
const struct model model_sas3108 = {
	.name = "sas3108",
	.about = "LSI MegaRAID SAS 9361-8i (SAS3108, Fusion)",
	.pci =
		{
			.vendor = 0x1000,
			.device = 0x005d,
			.subvendor = 0x1000,
			.subdevice = 0x9361,
			.class_code = 0x010400,
			.revision = 2,
			.bar =
				{
					[0] = {.size = 256, .io = true},
					[1] = {.size = 65536, .wide = true},
					[3] = {.size = 1048576, .wide = true, .shared = true},
				},
			.n_msi = 1,
			.n_msix = FUSION_VECTORS,
			.msix_bar = 1,
			.msix_table = 0xe000,
			.msix_pba = 0xf000,
		},
	.create = create,
	.destroy = mfi_destroy,
	.read = reg_read,
	.write = reg_write,
	.reset = mfi_reset,
	.work = mfi_work,
	.irq_changed = irq_changed,
	.unit_changed = mfi_unit_changed,
	.event_storm = mfi_event_storm,
	.fault = mfi_fault,
	.describe = describe,
};
