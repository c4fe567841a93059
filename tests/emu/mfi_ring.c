/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The SAS2108's queues: frames by their address, and the reply ring of contexts [3.3]. */
#include <string.h>

#include "mfi.h"

/* --- the end --- */

static bool ring_full(struct mfi *m)
{
	uint32_t consumer;

	if (bus_read(m->env->bus, m->consumer_addr, &consumer, sizeof(consumer)) < 0)
		return false;
	return (m->producer + 1) % m->entries == le32toh(consumer);
}

/* The entry before the producer, always: the host trusts what lies below it. */
static void post(struct mfi *m, const uint8_t *context)
{
	unsigned size = m->wide_context ? 8 : 4;
	uint32_t wire;

	if (bus_write(m->env->bus, m->ring + (uint64_t)m->producer * size, context, size) < 0)
		return;
	m->producer = (m->producer + 1) % m->entries;
	wire = htole32(m->producer);
	bus_write(m->env->bus, m->producer_addr, &wire, sizeof(wire));
	m->env->stats->replies++;
	mfi_intr_raise(m, m->fam->intr_reply);
}

static void post_all(struct cmd *c)
{
	const struct cmd *other = c->fault == FAULT_OTHER_CONTEXT ? mfi_another(c) : NULL;
	uint8_t context[8];

	memcpy(context, (other ? other : c)->f + FR_CONTEXT, sizeof(context));
	if (c->fault == FAULT_WRONG_CONTEXT)
		to32(context, 0, fr32(context, 0) ^ 0x80000000u);
	for (uint32_t i = 0; i < c->twice; i++)
		post(c->m, context);
}

static void finish(struct cmd *c)
{
	struct mfi *m = c->m;
	const uint8_t verdict[2] = {c->status, c->scsi_status};
	bool silent = fr16(c->f, FR_FLAGS) & FRAME_DONT_POST || !m->ready_for_io;

	/* Checked before the status is there: a host that polls must not see it twice. */
	if (!silent && ring_full(m)) {
		if (list_empty(&m->stalled))
			mfi_protocol_error(m, "the reply ring is full");
		mfi_stall(c);
		return;
	}
	bus_write(m->env->bus, (uint64_t)c->addr + FR_STATUS, verdict, sizeof(verdict));
	if (!silent)
		post_all(c);
	mfi_release(c);
}

static bool room(struct cmd *c)
{
	return !ring_full(c->m);
}

static void forget(struct mfi *m)
{
	m->ready_for_io = false;
}

/* --- INIT [3.3] --- */

static void exec_init(struct cmd *c)
{
	struct mfi *m = c->m;
	uint64_t info_addr = fr64(c->f, FR_INIT_INFO);
	uint8_t q[32];
	uint32_t entries;

	c->status = ST_INVALID_PARAMETER;
	if (m->state != FW_READY || m->ready_for_io) {
		mfi_protocol_error(m, "INIT in state %x", m->state);
		c->status = ST_WRONG_STATE;
		return;
	}
	if (bus_read(m->env->bus, info_addr, q, sizeof(q)) < 0)
		return;
	entries = fr32(q, 4);
	if (entries != m->env->opt.max_cmds || fr32(q, 0) & ~2u || info_addr > UINT32_MAX) {
		mfi_protocol_error(m, "INIT with %u entries, flags %x; %u are needed", entries, fr32(q, 0),
			m->env->opt.max_cmds);
		return;
	}
	m->ring = fr64(q, 0x08);
	m->producer_addr = fr64(q, 0x10);
	m->consumer_addr = fr64(q, 0x18);
	if ((m->ring | m->producer_addr | m->consumer_addr) > UINT32_MAX) {
		/* This generation's control plane reaches 4 GiB only [0]. */
		m->env->stats->wrong_dma++;
		mfi_protocol_error(m, "a reply queue above 4 GiB");
		return;
	}
	m->wide_context = fr32(q, 0) & 2;
	m->entries = entries;
	m->producer = 0;
	m->ready_for_io = true;
	m->env->stats->inits++;
	mfi_set_state(m, FW_OPERATIONAL, 0);
	c->status = ST_OK;
}

/* --- execution --- */

static uint32_t classes_of(const struct cmd *c)
{
	uint8_t cdb0 = c->f[FR_CDB];
	uint32_t opcode = fr32(c->f, FR_OPCODE);

	switch (c->f[FR_CMD]) {
	case CMD_LD_READ:
		return CLASS_READ;
	case CMD_LD_WRITE:
		return CLASS_WRITE;
	case CMD_LD_SCSI:
	case CMD_PD_SCSI:
		if ((cdb0 & 0x1f) == 0x08)
			return CLASS_SCSI | CLASS_READ;
		if ((cdb0 & 0x1f) == 0x0a)
			return CLASS_SCSI | CLASS_WRITE;
		return CLASS_SCSI | (cdb0 == 0x35 || cdb0 == 0x91 ? CLASS_FLUSH : 0);
	case CMD_DCMD:
		return CLASS_DCMD | (opcode == 0x01101000 ? CLASS_FLUSH : 0);
	case CMD_ABORT:
		return CLASS_ABORT;
	}
	return 0;
}

static void execute(struct cmd *c)
{
	switch (c->f[FR_CMD]) {
	case CMD_INIT:
		exec_init(c);
		return;
	case CMD_LD_READ:
	case CMD_LD_WRITE:
	case CMD_LD_SCSI:
	case CMD_PD_SCSI:
		mfi_exec_io(c);
		return;
	case CMD_DCMD:
		mfi_exec_dcmd(c);
		return;
	case CMD_ABORT:
		mfi_exec_abort(c);
		return;
	default:
		mfi_protocol_error(c->m, "unknown frame command %02x", c->f[FR_CMD]);
		c->status = ST_INVALID_CMD;
	}
}

static bool acceptable(struct mfi *m, uint32_t addr, const uint8_t *f)
{
	/* Boot firmware works without a reply queue, and polls: SeaBIOS's driver of this generation does. */
	if (f[FR_CMD] != CMD_INIT && !m->ready_for_io && !(fr16(f, FR_FLAGS) & FRAME_DONT_POST)) {
		mfi_protocol_error(m, "frame %08x with command %02x before INIT", addr, f[FR_CMD]);
		return false;
	}
	list_for_each(pos, &m->flying) {
		if (container_of(pos, struct cmd, link)->addr == addr) {
			mfi_protocol_error(m, "frame %08x is at the controller already", addr);
			return false;
		}
	}
	if (m->n_flying + 1 >= m->env->opt.max_cmds)
		mfi_protocol_error(
			m, "%u commands at once, %u are offered", m->n_flying + 1, m->env->opt.max_cmds - 1);
	return true;
}

static uint32_t opcode_of(const struct cmd *c)
{
	return c->f[FR_CMD] == CMD_DCMD ? fr32(c->f, FR_OPCODE) : c->f[FR_CDB];
}

static void fetch(struct mfi *m, uint64_t desc)
{
	uint32_t val = (uint32_t)desc;
	uint8_t f[FR_UNIT];
	struct cmd *c;

	/* bit 0: always there; 3:1: further frames; 5:4 are part of no address, frames are aligned to 64 [3.9] */
	if ((val & 0x31) != 1)
		mfi_protocol_error(m, "queue port written with %08x", val);
	if (bus_read(m->env->bus, val & ~0x3fu, f, sizeof(f)) < 0 || !acceptable(m, val & ~0x3fu, f))
		return;
	c = mfi_cmd_new(m);
	if (!c)
		return;
	c->addr = val & ~0x3fu;
	c->announced = (val >> 1 & 7) + 1;
	memcpy(c->f, f, sizeof(f));
	c->classes = classes_of(c);
	c->opcode = opcode_of(c);
	mfi_cmd_start(c, f[FR_CMD] == CMD_ABORT || f[FR_CMD] == CMD_INIT);
}

static const uint8_t key[] = {0x0, 0x4, 0xb, 0x2, 0x7, 0xd};

const struct family family_sas2108 = {
	.name = "sas2108",
	.device = 0x0079,
	.subdevice = 0x9261,
	.product = "LSI MegaRAID SAS 9260-8i",
	.package = "12.15.0-0239 (hba-emu)",
	.intr_reply = 0x1,
	.intr_state = 0x4,
	.key = key,
	.key_len = sizeof(key),
	.fetch = fetch,
	.execute = execute,
	.finish = finish,
	.room = room,
	.forget = forget,
	.look = mfi_intr_look,
	.unit = mfi_unit_of,
};
