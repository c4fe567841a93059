/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The map of system drives [4.8, 5.8]: each has a handle, which it loses with its place or with firmware's restart, and a
 * sequence number, which changes with its configuration. Requests that say that theirs is valid are checked [I].
 */
#include <string.h>

#include "fusion.h"

#define MAP_DRIVES   256
#define MAP_SIZE     (8 + 8 * MAP_DRIVES)
#define TM_CAPABLE   0x01
#define FIRST_HANDLE 0x10
#define SEQ_VALID    0x08 /* of RQ_LOCK_FLAGS */

static struct fusion_pd *entry_of(struct mfi *m, const struct unit *u)
{
	struct fusion_pd *pd = &m->fx->pd[u->target % MAP_DRIVES];

	if (pd->handle)
		return pd;
	pd->handle = (uint16_t)(FIRST_HANDLE + m->fx->handles++ % 0x1000);
	pd->seq++;
	return pd;
}

static uint8_t write_map(struct cmd *c)
{
	struct units *us = c->m->env->units;
	uint32_t len = MIN((uint32_t)MAP_SIZE, fr32(c->f, FR_DATA_LEN));
	uint8_t map[MAP_SIZE] = {0};

	to32(map, 0, MAP_SIZE);
	to32(map, 4, MAP_DRIVES);
	for (unsigned i = 0; i < MAP_DRIVES; i++) {
		struct unit *u = unit_find(us, UNIT_PD, i);
		uint8_t *e = map + 8 + 8 * i;

		to16(e, 2, FUSION_NO_DRIVE);
		if (!u)
			continue;
		to16(e, 0, entry_of(c->m, u)->seq);
		to16(e, 2, entry_of(c->m, u)->handle);
		e[4] = TM_CAPABLE;
		to16(e, 6, u->target);
	}
	c->m->fx->pd_untold = false;
	return mfi_sgl_write(c, map, len) < 0 ? ST_INVALID_SGL : ST_OK;
}

/* With mailbox byte 0 it waits for a change, of which the host was not told yet. */
void mfi_exec_pd_map(struct cmd *c)
{
	struct fusion *fx = c->m->fx;

	if (!c->f[FR_MBOX] || fx->pd_untold) {
		c->status = write_map(c);
		return;
	}
	if (fx->pd_wait) {
		mfi_protocol_error(c->m, "a second wait for the map of drives");
		c->status = ST_INVALID_PARAMETER;
		return;
	}
	fx->pd_wait = c;
	c->waits = true;
}

void mfi_pd_changed(struct mfi *m, const struct unit *u, enum unit_change what)
{
	struct fusion_pd *pd = &m->fx->pd[u->target % MAP_DRIVES];
	struct cmd *c = m->fx->pd_wait;

	pd->seq++;
	/* Another one may come to its place. */
	if (what == UNIT_REMOVED)
		pd->handle = 0;
	m->fx->pd_untold = true;
	if (!c)
		return;
	m->fx->pd_wait = NULL;
	c->status = write_map(c);
	mfi_finish(c);
}

void fusion_pd_forget(struct fusion *fx)
{
	fx->pd_wait = NULL;
	for (unsigned i = 0; i < ARRAY_SIZE(fx->pd); i++)
		fx->pd[i].handle = 0;
}

struct unit *fusion_unit_by_handle(struct mfi *m, uint16_t handle)
{
	for (unsigned i = 0; i < MAX_UNITS; i++) {
		struct unit *u = &m->env->units->unit[i];

		if (u->used && u->kind == UNIT_PD && entry_of(m, u)->handle == handle)
			return u;
	}
	return NULL;
}

uint8_t fusion_pd_check(struct cmd *c, const struct unit *u)
{
	const struct fusion_pd *pd = entry_of(c->m, u);
	uint16_t handle = fr16(c->r, RQ_HANDLE);

	/* Who has no map names none, and firmware finds the drive by its target. */
	if (handle == FUSION_NO_DRIVE)
		return ST_OK;
	if (c->r[RQ_LOCK_FLAGS] & SEQ_VALID && fr16(c->r, RQ_CONFIG_SEQ) != pd->seq)
		return ST_CONFIG_SEQ_MISMATCH;
	return handle == pd->handle ? ST_OK : ST_DEVICE_NOT_FOUND;
}
