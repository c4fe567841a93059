/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SCSI requests of the SAS3108 [5.6 to 5.9], and task management [5.14]. */
#include <string.h>

#include "fusion.h"

#define SLOTS	    8 /* elements in the request frame */
#define SUB_PD	    1 /* RAID flags 7:4: a system drive */
#define CHAIN_BYTES 4096

struct unit *fusion_unit_of(const struct cmd *c)
{
	enum unit_kind kind = c->r[RQ_RAID_FLAGS] >> 4 == SUB_PD ? UNIT_PD : UNIT_LD;
	unsigned target = fr16(c->r, RQ_TARGET);

	if (kind == UNIT_PD && c->r[RQ_FUNCTION] == FN_SCSI_IO && target >= FUSION_PD_TARGETS)
		target -= FUSION_PD_TARGETS;
	return unit_find(c->m->env->units, kind, target);
}

/* --- elements: address, length, reserved, next chain, flags --- */

static bool take_element(struct cmd *c, const uint8_t *p)
{
	if (p[15] & 0x0f || c->n_sge == MAX_SGES)
		return false;
	c->sge[c->n_sge++] = (struct sge){fr64(p, 0), fr32(p, 8)};
	return true;
}

static uint8_t load_chain(struct cmd *c, const uint8_t *p)
{
	uint32_t len = fr32(p, 8);
	uint8_t chain[CHAIN_BYTES];

	if (!len || len > sizeof(chain) || len % 16 || fr64(p, 0) > UINT32_MAX ||
		bus_read(c->m->env->bus, fr64(p, 0), chain, len) < 0)
		return ST_INVALID_SGL;
	for (uint32_t i = 0; i < len; i += 16) {
		if (!take_element(c, chain + i))
			return ST_INVALID_SGL;
		if (chain[i + 15] & SGE_LAST)
			break;
	}
	return ST_OK;
}

/* The chip finds the chain of a fast path request by itself [5.9]. */
static uint8_t chain_offset(const struct cmd *c)
{
	return fr16(c->r, RQ_IO_FLAGS) & IO_FAST_PATH ? 0x00 : 0x0f;
}

/* Elements follow each other until the last, or until there is room for all data. */
uint8_t fusion_sgl_load(struct cmd *c)
{
	uint32_t want = fr32(c->r, RQ_DATA_LEN);
	uint64_t have = 0;

	c->n_sge = 0;
	for (unsigned i = 0; i < SLOTS && have < want; i++) {
		const uint8_t *p = c->r + RQ_SGL + 16 * i;

		if (p[15] & SGE_CHAIN)
			return i == SLOTS - 1 && c->r[RQ_CHAIN] == chain_offset(c) ? load_chain(c, p)
										   : ST_INVALID_SGL;
		if (!take_element(c, p))
			return ST_INVALID_SGL;
		have += fr32(p, 8);
		if (p[15] & SGE_LAST)
			break;
	}
	return ST_OK;
}

/* --- SCSI --- */

static void put_sense(struct cmd *c, const struct scsi_cmd *s)
{
	uint64_t addr = (uint64_t)c->m->fx->sense_high << 32 | fr32(c->r, RQ_SENSE);
	uint32_t len = MIN((uint32_t)c->r[RQ_SENSE_LEN], (uint32_t)s->sense_len);

	if (addr && len)
		bus_write(c->m->env->bus, addr, s->sense, len);
}

static void conclude(struct cmd *c, const struct scsi_cmd *s, uint32_t moved)
{
	uint8_t wire[4];

	if (s->status == SCSI_GOOD)
		return;
	c->status = ST_SCSI_DONE_WITH_ERROR;
	c->scsi_status = s->status;
	if (s->status == SCSI_CHECK_CONDITION)
		put_sense(c, s);
	to32(wire, 0, moved);
	bus_write(c->m->env->bus, c->m->fx->requests + c->smid * 256ull + RQ_DATA_LEN, wire, sizeof(wire));
}

/* What the list says must hold what the request moves. */
static bool consistent(struct cmd *c)
{
	uint32_t len = fr32(c->r, RQ_DATA_LEN), control = fr32(c->r, RQ_CONTROL);

	if (len <= MAX_DATA && len <= mfi_sgl_bytes(c) && (fr16(c->r, RQ_IO_FLAGS) & 0x1ff) <= 32 &&
		c->r[RQ_SGL_OFFSET] == RQ_SGL / 4 && !len == !(control & (CONTROL_READ | CONTROL_WRITE)))
		return true;
	mfi_protocol_error(c->m, "request %u: %u bytes in a list of %llu, control %08x, list at %u", c->smid,
		len, (unsigned long long)mfi_sgl_bytes(c), control, c->r[RQ_SGL_OFFSET] * 4);
	c->status = ST_INVALID_PARAMETER;
	return false;
}

static void run(struct cmd *c, struct unit *u)
{
	uint32_t control = fr32(c->r, RQ_CONTROL);
	struct scsi_cmd s = {
		.cdb = c->r + RQ_CDB,
		.cdb_len = (uint8_t)(fr16(c->r, RQ_IO_FLAGS) & 0x1f),
		.data = c->m->buf,
		.data_len = fr32(c->r, RQ_DATA_LEN),
	};

	memset(s.data, 0, s.data_len);
	if (control & CONTROL_WRITE && mfi_sgl_read(c, s.data, s.data_len) < 0) {
		c->status = ST_SCSI_IO_FAILED;
		return;
	}
	scsi_exec(&u->disk, &s);
	c->delay_ms = MAX(c->delay_ms, s.delay_ms);
	if (control & CONTROL_READ && s.moved && mfi_sgl_write(c, s.data, s.moved) < 0)
		c->status = ST_SCSI_IO_FAILED;
	else
		conclude(c, &s, s.moved);
}

static bool faked(struct cmd *c)
{
	struct scsi_cmd s = {0};

	if (c->fault == FAULT_STATUS) {
		c->status = (uint8_t)c->fault_arg;
		return true;
	}
	if (c->fault != FAULT_SENSE)
		return false;
	scsi_sense(&s, (enum sense_key)(c->fault_arg >> 16), (uint16_t)c->fault_arg);
	conclude(c, &s, 0);
	return true;
}

void fusion_exec_io(struct cmd *c)
{
	struct unit *u = fusion_unit_of(c);

	if (!u || c->r[RQ_LUN + 1]) {
		c->status = ST_DEVICE_NOT_FOUND;
		return;
	}
	if (u->offline) {
		c->status = ST_LD_OFFLINE;
		return;
	}
	c->status = u->kind == UNIT_PD ? fusion_pd_check(c, u) : ST_OK;
	if (c->status != ST_OK)
		return;
	c->status = fusion_sgl_load(c);
	if (c->status != ST_OK)
		mfi_protocol_error(c->m, "request %u: its list makes no sense", c->smid);
	if (c->status == ST_OK && !faked(c) && consistent(c))
		run(c, u);
}

/* --- task management --- */

enum { TASK_ABORT = 1, TASK_ABORT_SET = 2, TASK_TARGET_RESET = 3, TASK_LUN_RESET = 5, TASK_QUERY = 7 };
enum { TM_COMPLETE = 0x00, TM_NOT_SUPPORTED = 0x04, TM_FAILED = 0x05, TM_SUCCEEDED = 0x08 };

/* The victim is answered first: when the answer to the abort comes it is gone. */
static bool kill_one(struct cmd *victim)
{
	if (!victim || victim->addr || victim->executed || victim->fault == FAULT_DROP)
		return false;
	if (victim->fault == FAULT_LATE_DMA && fusion_sgl_load(victim) == ST_OK)
		mfi_late_dma(victim, victim->fault_arg);
	mfi_end(victim, ST_SCSI_IO_FAILED);
	return true;
}

/* A reset of a unit also takes what firmware has lost. */
static void kill_all(struct mfi *m, const struct unit *u)
{
	list_for_each_safe(pos, &m->flying) {
		struct cmd *c = container_of(pos, struct cmd, link);

		if (c->addr || c->r[RQ_FUNCTION] == FN_TASK || fusion_unit_of(c) != u || c->executed)
			continue;
		if (c->fault == FAULT_DROP)
			c->fault = FAULT_NONE;
		kill_one(c);
	}
}

static uint8_t task(struct cmd *c)
{
	struct mfi *m = c->m;
	uint16_t smid = fr16(c->r, RQ_TASK_SMID), handle = fr16(c->r, RQ_HANDLE);
	bool pd = c->r[RQ_TM_FLAGS] & 2;
	struct unit *u = pd ? fusion_unit_by_handle(m, handle) : unit_find(m->env->units, UNIT_LD, handle);

	/* The way to a drive is its handle. */
	if (pd && !u)
		return TM_FAILED;
	switch (c->r[RQ_TASK_TYPE]) {
	case TASK_ABORT:
		if (smid > MAX_CMDS || !m->fx->by_smid[smid])
			return TM_COMPLETE;
		return kill_one(m->fx->by_smid[smid]) ? TM_COMPLETE : TM_FAILED;
	case TASK_QUERY:
		return smid <= MAX_CMDS && m->fx->by_smid[smid] ? TM_SUCCEEDED : TM_COMPLETE;
	case TASK_ABORT_SET:
	case TASK_TARGET_RESET:
	case TASK_LUN_RESET:
		if (!u)
			return TM_FAILED;
		kill_all(m, u);
		return TM_COMPLETE;
	}
	return TM_NOT_SUPPORTED;
}

void fusion_exec_task(struct cmd *c)
{
	uint8_t reply[24] = {0};

	memcpy(reply, c->r, 2);
	reply[2] = sizeof(reply) / 4;
	reply[3] = FN_TASK;
	reply[4] = task(c);
	reply[5] = c->r[RQ_TASK_TYPE];
	bus_write(c->m->env->bus, c->m->fx->requests + c->smid * 256ull + RQ_TM_REPLY, reply, sizeof(reply));
}
