/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Management commands [4], and ABORT [3.7]. */
#include <stdio.h>
#include <string.h>

#include "mfi.h"

#define REPLY_MAX 12304

/* One DCMD: fills p (zeroed, REPLY_MAX) and len. Returns a status. */
struct dcmd {
	struct cmd *c;
	const uint8_t *mbox;
	uint8_t p[REPLY_MAX];
	uint32_t len;
};

static struct units *units_of(const struct dcmd *d)
{
	return d->c->m->env->units;
}

static unsigned count(const struct units *us, enum unit_kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MAX_UNITS; i++)
		n += us->unit[i].used && us->unit[i].kind == kind;
	return n;
}

/* --- controller --- */

static void put_text(uint8_t *to, size_t n, const char *text)
{
	memcpy(to, text, MIN(strlen(text), n));
}

#define OPS3_PD_MAP 0x01000000u /* drives have sequence numbers, and a map that says which [4.2] */

static uint8_t ctrl_get_info(struct dcmd *d)
{
	const struct model_options *o = &d->c->m->env->opt;
	const struct units *us = units_of(d);
	uint8_t *p = d->p;

	to16(p, 0x000, 0x1000);
	to16(p, 0x002, d->c->m->fam->device);
	to16(p, 0x004, 0x1000);
	to16(p, 0x006, d->c->m->fam->subdevice);
	p[0x020] = 0x02; /* PCI Express */
	p[0x027] = 8;
	p[0x53c] = 32;
	p[0x53d] = 8;
	p[0x53e] = 128;
	p[0x53f] = 64;
	put_text(p + 0x540, 80, d->c->m->fam->product);
	put_text(p + 0x590, 32, "SV00000001");
	to32(p, 0x5b0, 0x10 | 0x20 | 0x04 | (us->battery ? 0x01 : 0));
	to16(p, 0x5b8, (uint16_t)o->max_cmds);
	to16(p, 0x5ba, (uint16_t)o->max_sge);
	to32(p, 0x5bc, 8192);
	to16(p, 0x5c0, (uint16_t)count(us, UNIT_LD));
	to16(p, 0x5c6, (uint16_t)(count(us, UNIT_PD) + 1));
	to16(p, 0x5c8, (uint16_t)count(us, UNIT_PD));
	to16(p, 0x5d0, 512);
	to16(p, 0x5da, (uint16_t)o->max_strips);
	to32(p, 0x5dc, 0x3f);
	p[0x5e8] = 4; /* strips of 8 KiB to 1 MiB */
	p[0x5e9] = 11;
	p[0x60d] = 4; /* cache flush interval */
	put_text(p + 0x640, 96, d->c->m->fam->package);
	to32(p, 0x7e8, d->c->m->fam->maps ? OPS3_PD_MAP : 0);
	to32(p, 0x800, 0x950);
	d->len = 0x950;
	return ST_OK;
}

static uint8_t ctrl_get_properties(struct dcmd *d)
{
	d->p[0x0d] = 4;
	d->len = 64;
	return ST_OK;
}

static uint8_t event_get_info(struct dcmd *d)
{
	return mfi_event_get_info(d->c->m, d->p, &d->len);
}

/* [4.6]: bit 0 the controller's cache, bit 1 the drives'. Which drives is not said; those behind logical drives are believed to
 * be among them, and system drives, whose caches are their owner's business, are not: who counts on it loses data here. */
static int flush(struct units *us, uint8_t what)
{
	int r = 0;

	for (unsigned i = 0; i < MAX_UNITS && r == 0; i++) {
		if (us->unit[i].used && what & 1)
			r = unit_flush_controller(&us->unit[i]);
		if (us->unit[i].used && what & 2 && us->unit[i].kind == UNIT_LD && r == 0)
			r = unit_flush_drive(&us->unit[i]);
	}
	return r;
}

static uint8_t cache_flush(struct dcmd *d)
{
	if (!(d->mbox[0] & 3))
		return ST_INVALID_PARAMETER;
	d->c->m->env->stats->flushes++;
	return flush(units_of(d), d->mbox[0]) < 0 ? ST_FLUSH_FAILED : ST_OK;
}

/* Its answer must still be posted; READY comes after it. */
static uint8_t ctrl_shutdown(struct dcmd *d)
{
	struct mfi *m = d->c->m;

	if (flush(units_of(d), 3) < 0)
		return ST_FLUSH_FAILED;
	m->shutdown_seq = m->next_seq;
	mfi_event(m, 0x01, 0, LOCALE_CTRL, NULL, "Host driver requested shutdown");
	m->stopping = d->c;
	return ST_OK;
}

/* --- logical drives [4.4] --- */

static uint8_t ld_get_list(struct dcmd *d)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < MAX_UNITS; i++) {
		const struct unit *u = &units_of(d)->unit[i];
		uint8_t *e = d->p + 8 + 16 * n;

		if (!u->used || u->kind != UNIT_LD)
			continue;
		e[0] = (uint8_t)u->target;
		to16(e, 2, u->seq);
		e[4] = u->offline ? 0 : 3;
		to64(e, 8, u->top->blocks);
		n++;
	}
	to32(d->p, 0, n);
	d->len = 8 + 16 * 64;
	return ST_OK;
}

static uint8_t ld_list_query(struct dcmd *d)
{
	uint32_t n = 0;

	if (d->mbox[0] > 4)
		return ST_INVALID_PARAMETER;
	for (unsigned i = 0; i < MAX_UNITS; i++) {
		const struct unit *u = &units_of(d)->unit[i];

		if (u->used && u->kind == UNIT_LD && (d->mbox[0] != 1 || !u->offline))
			d->p[0x0b + n++] = (uint8_t)u->target;
	}
	to32(d->p, 0, 0x0b + 64);
	to32(d->p, 4, n);
	d->len = 0x0b + 64;
	return ST_OK;
}

/* VPD page 83h, 64 bytes of it. */
static void vpd_ids(struct unit *u, uint8_t *p)
{
	static const uint8_t cdb[16] = {0x12, 1, 0x83, 0, 64};
	struct scsi_cmd s = {.cdb = cdb, .cdb_len = 6, .data = p, .data_len = 64};

	scsi_exec(&u->disk, &s);
}

static uint8_t ld_get_info(struct dcmd *d)
{
	struct unit *u = unit_find(units_of(d), UNIT_LD, d->mbox[0]);
	uint8_t *p = d->p, policy;

	if (!u)
		return ST_DEVICE_NOT_FOUND;
	/* write-back even without a battery is a choice of the administrator: that is what the model stands for */
	policy = (uint8_t)((wcache_enabled(u->ctrl_cache) ? 0x01 : 0x00) | (u->all->battery ? 0 : 0x10) |
			   0x04);
	p[0x00] = (uint8_t)u->target;
	to16(p, 0x02, u->seq);
	put_text(p + 0x04, 16, u->name);
	p[0x14] = policy;
	p[0x16] = wcache_enabled(u->drive_cache) ? 1 : 2;
	p[0x17] = policy;
	p[0x23] = 7; /* 64 KiB */
	p[0x24] = 1;
	p[0x25] = 1;
	p[0x26] = u->offline ? 0 : 3;
	p[0x28] = 1;
	to64(p, 0x48, u->top->blocks);
	to64(p, 0x100, u->top->blocks);
	vpd_ids(u, p + 0x130);
	d->len = 384;
	return ST_OK;
}

/* --- drives [4.5]: all of them are shown to the host --- */

static uint8_t pd_list(struct dcmd *d)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < MAX_UNITS; i++) {
		const struct unit *u = &units_of(d)->unit[i];
		uint8_t *e = d->p + 8 + 24 * n;

		if (!u->used || u->kind != UNIT_PD)
			continue;
		to16(e, 0, u->target);
		to16(e, 2, 252);
		e[5] = (uint8_t)n;
		e[7] = 1;
		to64(e, 8, u->disk.naa + 1);
		n++;
	}
	to32(d->p, 0, 8 + 24 * n);
	to32(d->p, 4, n);
	d->len = 8 + 24 * n;
	return ST_OK;
}

static uint8_t pd_get_info(struct dcmd *d)
{
	struct unit *u = unit_find(units_of(d), UNIT_PD, fr16(d->mbox, 0));
	static const uint8_t cdb[16] = {0x12, 0, 0, 0, 96};
	uint8_t *p = d->p;
	struct scsi_cmd s;

	if (!u)
		return ST_DEVICE_NOT_FOUND;
	to16(p, 0x00, u->target);
	to16(p, 0x02, u->seq);
	s = (struct scsi_cmd){.cdb = cdb, .cdb_len = 6, .data = p + 0x04, .data_len = 96};
	scsi_exec(&u->disk, &s);
	vpd_ids(u, p + 0x64);
	to16(p, 0xb8, 0x40);   /* system drive */
	to32(p, 0xbc, 0x2000); /* SAS */
	to64(p, 0xe8, u->top->blocks);
	to64(p, 0xf0, u->top->blocks);
	to64(p, 0xf8, u->top->blocks);
	p[0x192] = u->disk.temperature;
	to16(p, 0x194, (uint16_t)u->top->block);
	d->len = 512;
	return ST_OK;
}

/* --- which is which --- */

static const struct {
	uint32_t opcode;
	bool data;
	uint8_t (*run)(struct dcmd *d);
} dcmds[] = {
	{0x01010000, true, ctrl_get_info},
	{0x01020100, true, ctrl_get_properties},
	{0x01040100, true, event_get_info},
	{0x01050000, false, ctrl_shutdown},
	{0x01101000, false, cache_flush},
	{0x02010000, true, pd_list},
	{0x02010100, true, pd_list},
	{0x02020000, true, pd_get_info},
	{0x03010000, true, ld_get_list},
	{0x03010100, true, ld_list_query},
	{0x03020000, true, ld_get_info},
};
#define EVENT_WAIT 0x01040500
#define LD_MAP	   0x0300e101
#define PD_MAP	   0x0200e102

/* Firmware writes what it has, at most what the driver has room for. */
static uint8_t answer(struct cmd *c, const struct dcmd *d)
{
	uint32_t room = fr32(c->f, FR_DATA_LEN);

	if (!(fr16(c->f, FR_FLAGS) & FRAME_DIR_READ) || !c->n_sge || c->n_sge > 1 ||
		mfi_sgl_bytes(c) < room) {
		mfi_protocol_error(c->m, "DCMD %08x: %u bytes in, %u elements, flags %x",
			fr32(c->f, FR_OPCODE), room, c->n_sge, fr16(c->f, FR_FLAGS));
		return ST_INVALID_PARAMETER;
	}
	return mfi_sgl_write(c, d->p, MIN(room, d->len)) < 0 ? ST_INVALID_SGL : ST_OK;
}

void mfi_exec_dcmd(struct cmd *c)
{
	uint32_t opcode = fr32(c->f, FR_OPCODE);
	static struct dcmd d; /* one at a time, on one thread */

	c->status = mfi_sgl_load(c, FR_DCMD_SGL);
	if (c->status == ST_OK && c->fault == FAULT_STATUS)
		c->status = (uint8_t)c->fault_arg;
	if (c->status != ST_OK)
		return;
	if (opcode == EVENT_WAIT) {
		c->waits = mfi_event_wait(c);
		return;
	}
	if (opcode == LD_MAP && c->m->fam->maps) {
		mfi_exec_map(c);
		return;
	}
	if (opcode == PD_MAP && c->m->fam->maps) {
		mfi_exec_pd_map(c);
		return;
	}
	c->status = ST_INVALID_DCMD;
	for (unsigned i = 0; i < ARRAY_SIZE(dcmds); i++) {
		if (dcmds[i].opcode != opcode)
			continue;
		memset(&d, 0, sizeof(d));
		d.c = c;
		d.mbox = c->f + FR_MBOX;
		c->status = dcmds[i].run(&d);
		if (c->status == ST_OK && dcmds[i].data)
			c->status = answer(c, &d);
	}
}

/* --- ABORT --- */

/* What has run is past help: its answer is on the way. What waits ends with a status that is not OK. */
void mfi_exec_abort(struct cmd *c)
{
	struct mfi *m = c->m;
	uint64_t addr = fr64(c->f, FR_ABORT_ADDR);
	struct cmd *victim =
		addr > UINT32_MAX ? NULL : mfi_find(m, (uint32_t)addr, fr32(c->f, FR_ABORT_CONTEXT));

	c->status = ST_ABORT_NOT_POSSIBLE;
	if (!victim || victim == c || victim->f[FR_CMD] == CMD_INIT || victim->fault == FAULT_DROP)
		return;
	if (victim->executed && !victim->waits)
		return;
	if (victim->fault == FAULT_LATE_DMA) {
		mfi_sgl_load(victim, victim->f[FR_CMD] <= CMD_LD_WRITE ? FR_IO_SGL : FR_SCSI_SGL);
		mfi_late_dma(victim, victim->fault_arg);
	}
	c->status = ST_OK;
	/* The wait for a map is only given up for this one [3.7]. */
	mfi_end(victim, victim == m->map_wait ? ST_NOT_FOUND : ST_SCSI_IO_FAILED);
}
