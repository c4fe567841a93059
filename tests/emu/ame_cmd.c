/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the AME box does with requests: SCSI, in-band pages, the event switch, task management [4, 5]. */
#include <string.h>

#include "ame.h"
#include "base/clock.h"

#define SENSE_BLOCK 64
enum { SB_FLAGS = 0x02, SB_STATUS = 0x03, SB_RESIDUAL = 0x04, SB_SENSE_LEN = 0x08, SB_DATA = 0x10 };
enum { SB_HAS_SENSE = 0x02, SB_UNDER = 0x08 };
enum { DIR_NONE, DIR_WRITE, DIR_READ };
#define BDL_LIST  0x40000000u
#define BDL_WRITE 0x20000000u
#define BDL_WIDE  0x10000000u

struct unit *ame_unit_of(const struct ame_cmd *c)
{
	return unit_find(c->a->env->units, UNIT_LD, c->f[AQ_LUN]);
}

/* --- data --- */

static bool is_rw(uint8_t op)
{
	return (op & 0x1d) == 0x08 && (op >> 5 == 0 || op >> 5 == 1 || op >> 5 == 4 || op >> 5 == 5);
}

/* 16 bytes of address, length, flags; 12 bytes of flags and length, address. */
static bool take(struct ame_cmd *c, const uint8_t *p, bool wide, bool write, bool *last)
{
	struct ame_sge *s = &c->sge[c->n_sge];
	uint32_t head = ame32(p, 0);

	if (c->n_sge == AME_SGES)
		return false;
	if (wide) {
		*s = (struct ame_sge){(uint64_t)ame32(p, 4) << 32 | head, ame32(p, 8)};
		*last = ame32(p, 12) & SG_LAST;
	} else {
		/* Short addresses are only defined, never used; the direction is said twice. */
		if (!(head & BDL_WIDE) || head & BDL_LIST || !!(head & BDL_WRITE) != write)
			return false;
		*s = (struct ame_sge){(uint64_t)ame32(p, 8) << 32 | ame32(p, 4), head & 0xffffff};
	}
	c->n_sge++;
	return true;
}

/* No count says how many there are: they end with the data, and on this family reads and writes mark the last. */
static bool take_all(struct ame_cmd *c, const uint8_t *p, uint32_t room, bool wide)
{
	uint32_t want = ame32(c->f, AQ_DATA_LEN), size = wide ? 16 : 12;
	bool write = (c->f[AQ_CONTROL] & 3) == DIR_WRITE, last = false;
	uint64_t have = 0;

	for (uint32_t at = 0; at + size <= room && have < want; at += size) {
		if (last || !take(c, p + at, wide, write, &last))
			return false;
		have += c->sge[c->n_sge - 1].len;
	}
	return have >= want && (!wide || last);
}

bool ame_sg_load(struct ame_cmd *c)
{
	bool wide = is_rw(c->f[AQ_CDB]);
	uint32_t head = ame32(c->f, AQ_BDL), n = head & 0xffffff, at = wide ? AQ_RW_SG : AQ_BDL;
	uint64_t addr = (uint64_t)ame32(c->f, 0x30) << 32 | ame32(c->f, 0x2c);
	uint8_t list[AME_SGES * 16];

	c->n_sge = 0;
	if (!ame32(c->f, AQ_DATA_LEN))
		return true;
	if (!(head & BDL_LIST))
		return take_all(c, c->f + at, AQ_SIZE - at, wide);
	if (!n || n > AME_SGES || bus_read(c->a->env->bus, addr, list, n * (wide ? 16 : 12)) < 0)
		return false;
	return take_all(c, list, n * (wide ? 16 : 12), wide);
}

static int move(struct ame_cmd *c, uint8_t *buf, uint32_t len, bool to_host)
{
	struct emu_bus *bus = c->a->env->bus;
	int r = 0;

	for (uint32_t i = 0; i < c->n_sge && len && r == 0; i++) {
		uint32_t part = MIN(len, c->sge[i].len);

		if (part)
			r = to_host ? bus_write(bus, c->sge[i].addr, buf, part)
				    : bus_read(bus, c->sge[i].addr, buf, part);
		buf += part;
		len -= part;
	}
	return r;
}

/* --- SCSI --- */

/* Residual and sense go to the block that the request names, not into the reply [5.3]. */
static void explain(struct ame_cmd *c, const struct scsi_cmd *s, uint32_t residual)
{
	uint64_t addr = (uint64_t)c->a->high << 32 | ame32(c->f, AQ_SENSE);
	uint8_t block[SENSE_BLOCK] = {0};

	block[SB_STATUS] = s->status;
	if (residual) {
		block[SB_FLAGS] |= SB_UNDER;
		ame_put32(block, SB_RESIDUAL, residual);
	}
	if (s->status == SCSI_CHECK_CONDITION) {
		block[SB_FLAGS] |= SB_HAS_SENSE;
		ame_put32(block, SB_SENSE_LEN, s->sense_len);
		memcpy(block + SB_DATA, s->sense, s->sense_len);
	}
	bus_write(c->a->env->bus, addr, block, sizeof(block));
	c->reply[AR_SCSI_STATUS] = s->status;
	c->reply[AR_SCSI_STATE] = 0x01;
	ame_put32(c->reply, AR_COUNT, ame32(c->f, AQ_DATA_LEN) - residual);
}

static bool faked(struct ame_cmd *c)
{
	struct scsi_cmd s = {0};

	if (c->fault == FAULT_STATUS) {
		c->reply[AR_STATUS] = (uint8_t)c->fault_arg;
		return true;
	}
	if (c->fault != FAULT_SENSE)
		return false;
	scsi_sense(&s, (enum sense_key)(c->fault_arg >> 16), (uint16_t)c->fault_arg);
	explain(c, &s, 0);
	return true;
}

static void run(struct ame_cmd *c, struct unit *u)
{
	uint32_t len = ame32(c->f, AQ_DATA_LEN);
	struct scsi_cmd s = {
		.cdb = c->f + AQ_CDB, .cdb_len = c->f[AQ_CDB_LEN], .data = c->a->buf, .data_len = len};
	bool read = (c->f[AQ_CONTROL] & 3) == DIR_READ;

	memset(s.data, 0, len);
	if (!read && len && move(c, s.data, len, false) < 0) {
		c->reply[AR_STATUS] = AST_INVALID_BDL;
		return;
	}
	scsi_exec(&u->disk, &s);
	c->delay_ms = MAX(c->delay_ms, s.delay_ms);
	if (read && s.moved && move(c, s.data, s.moved, true) < 0)
		c->reply[AR_STATUS] = AST_INVALID_BDL;
	else if (s.status != SCSI_GOOD || (read && s.moved < len))
		explain(c, &s, read ? len - s.moved : 0);
	else
		c->plain = true;
}

static void exec_scsi(struct ame_cmd *c)
{
	struct unit *u = ame_unit_of(c);
	uint32_t len = ame32(c->f, AQ_DATA_LEN);
	unsigned dir = c->f[AQ_CONTROL] & 3;

	if (!u || u->offline) {
		c->reply[AR_STATUS] = AST_NO_DEVICE;
		return;
	}
	if (len > AME_DATA || !len != (dir == DIR_NONE) || dir == 3 || c->f[AQ_CDB_LEN] > 16) {
		ame_wrong(c->a, "SCSI request %08x: %u bytes, direction %u, CDB of %u", c->id, len, dir,
			c->f[AQ_CDB_LEN]);
		c->reply[AR_STATUS] = AST_INVALID_FIELD;
	} else if (!ame_sg_load(c)) {
		ame_wrong(c->a, "SCSI request %08x: its list does not hold %u bytes", c->id, len);
		c->reply[AR_STATUS] = AST_INVALID_BDL;
	} else if (!faked(c)) {
		run(c, u);
	}
}

/* --- management --- */

/* Controller page 0 [4.3]: who it is, and which LUNs there are. */
static void page0(struct ame_cmd *c, uint8_t *p)
{
	memcpy(p, "Gamma Carry     ", 16);
	memcpy(p + 0x10, "A16S3-PS        ", 16);
	memcpy(p + 0x20, "EMU0000000000001", 16);
	memset(p + 0x80, 0xff, 128);
	for (unsigned i = 0; i < MAX_UNITS; i++) {
		const struct unit *u = &c->a->env->units->unit[i];

		if (u->used && u->kind == UNIT_LD && !u->offline) {
			p[0x80 + 2 * u->target] = (uint8_t)u->seq;
			p[0x81 + 2 * u->target] = 0;
		}
	}
}

static void exec_inband(struct ame_cmd *c)
{
	const uint8_t *cdb = c->f + AQ_INBAND_CDB;
	uint32_t head = ame32(c->f, AQ_INBAND_BDL), len = ame32(c->f, AQ_INBAND_LEN);
	uint64_t addr = (uint64_t)ame32(c->f, 0x38) << 32 | ame32(c->f, 0x34);
	uint8_t page[512] = {0};

	if (c->a->inband && c->a->inband != c) {
		ame_wrong(c->a, "a second in-band command");
		c->reply[AR_STATUS] = AST_BUSY;
		return;
	}
	if (cdb[0] != 0x01 || cdb[1] != 0x01 || cdb[2] != 0x00 || c->f[AQ_LUN] != DIR_READ) {
		c->reply[AR_STATUS] = AST_ILLEGAL_INBAND;
		return;
	}
	if (len != sizeof(page) || head != (BDL_WIDE | len)) {
		ame_wrong(c->a, "page 0 into %u bytes by element %08x", len, head);
		c->reply[AR_STATUS] = AST_INVALID_BDL;
		return;
	}
	page0(c, page);
	if (bus_write(c->a->env->bus, addr, page, sizeof(page)) < 0)
		c->reply[AR_STATUS] = AST_INVALID_BDL;
}

static void exec_event_switch(struct ame_cmd *c)
{
	c->a->events_on = c->f[AQ_LUN] & 1;
	/* Changes of before are in page 0, which the host reads at the start. */
	if (!c->a->events_on)
		c->a->events = 0;
	c->reply[AR_EVENT] = 0xaa;
}

static void on_late(struct wheel *w)
{
	struct ame_late *l = container_of(w, struct ame_late, timer);
	static uint8_t garbage[4096];

	memset(garbage, 0xdb, sizeof(garbage));
	log_info("ame: late DMA by fault rule: %u bytes at 0x%llx", l->sge.len,
		(unsigned long long)l->sge.addr);
	for (uint32_t done = 0, part; done < l->sge.len; done += part) {
		part = MIN(l->sge.len - done, (uint32_t)sizeof(garbage));
		if (bus_write(l->a->env->bus, l->sge.addr + done, garbage, part) < 0)
			break;
	}
}

/* After 0 ms is at once, before the command's end is told: late, but not too late. */
static void late_dma(struct ame_cmd *c)
{
	struct ame *a = c->a;

	if (!ame_sg_load(c) || !c->n_sge)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(a->late); i++) {
		struct ame_late *l = &a->late[i];

		if (clockwork_armed(&l->timer))
			continue;
		*l = (struct ame_late){.timer.cb = on_late, .a = a, .sge = c->sge[0]};
		if (c->fault_arg)
			clockwork_after(a->env->clock, &l->timer, c->fault_arg * NS_PER_MS);
		else
			on_late(&l->timer);
		return;
	}
}

void ame_late_stop(struct ame *a)
{
	for (unsigned i = 0; i < ARRAY_SIZE(a->late); i++)
		clockwork_stop(&a->late[i].timer);
}

/* [4.5], defined but never seen in use: the page cannot say whether real firmware does it. */
static void exec_task(struct ame_cmd *c)
{
	uint32_t ended = 0;

	list_for_each_safe(pos, &c->a->flying) {
		struct ame_cmd *v = container_of(pos, struct ame_cmd, link);
		bool named =
			c->f[AQ_LUN] == 1 ? v->id == ame32(c->f, AQ_TM_ID) : v->f[AQ_LUN] == c->f[AQ_TM_LUN];

		if (v == c || v->f[AQ_FUNCTION] != AFN_SCSI || v->executed || !named)
			continue;
		if (v->fault == FAULT_DROP && c->f[AQ_LUN] == 1)
			continue;
		clockwork_stop(&v->timer);
		if (v->fault == FAULT_LATE_DMA)
			late_dma(v);
		v->reply[AR_STATUS] = AST_TERMINATED;
		ame_finish(v);
		ended++;
	}
	c->reply[AR_STATUS] = c->f[AQ_LUN] == 1 && !ended ? AST_TASK_FAILED : AST_OK;
	c->reply[0x08] = c->f[AQ_LUN];
	ame_put32(c->reply, 0x0c, ended);
}

void ame_execute(struct ame_cmd *c)
{
	switch (c->f[AQ_FUNCTION]) {
	case AFN_SCSI:
		exec_scsi(c);
		return;
	case AFN_TASK:
		exec_task(c);
		return;
	case AFN_EVENT:
		exec_event_switch(c);
		return;
	case AFN_INBAND:
		exec_inband(c);
		return;
	default:
		c->reply[AR_STATUS] = AST_INVALID_FUNCTION;
	}
}
