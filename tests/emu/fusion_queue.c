/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The SAS3108's queues: IOC INIT, request descriptors, reply descriptors and the host's indices [5.4, 5.5, 5.11]. */
#include <string.h>

#include "fusion.h"

#define REQUEST_QUADS 0x40 /* 256 bytes in units of 4 */

/* --- replies --- */

bool fusion_pending(const struct mfi *m)
{
	for (unsigned v = 0; v < m->fx->vectors; v++)
		if (m->fx->producer[v] != m->fx->host[v])
			return true;
	return false;
}

void fusion_host_index(struct mfi *m, unsigned vector, uint32_t index)
{
	struct fusion *fx = m->fx;

	if (!m->ready_for_io)
		return; /* drivers write it around resets too */
	if (vector >= fx->vectors || index >= fx->depth) {
		mfi_protocol_error(m, "host index %u of queue %u; there are %u queues of %u", index, vector,
			fx->vectors, fx->depth);
		return;
	}
	if ((index + fx->depth - fx->host[vector]) % fx->depth >
		(fx->producer[vector] + fx->depth - fx->host[vector]) % fx->depth)
		mfi_protocol_error(m, "the host took more of queue %u than was there", vector);
	fx->host[vector] = index;
	m->fam->look(m);
}

static bool room(struct cmd *c)
{
	const struct fusion *fx = c->m->fx;

	return (fx->producer[c->msix] + c->twice) % fx->depth != fx->host[c->msix];
}

static void post(struct mfi *m, unsigned vector, uint16_t smid)
{
	struct fusion *fx = m->fx;
	uint8_t entry[8] = {0x00, (uint8_t)vector};

	to16(entry, 2, smid);
	if (bus_write(m->env->bus, fx->queue[vector] + fx->producer[vector] * 8ull, entry, sizeof(entry)) < 0)
		return;
	fx->producer[vector] = (fx->producer[vector] + 1) % fx->depth;
	fx->posted[vector]++;
	fx->unsent |= 1u << vector;
	m->env->stats->replies++;
	m->fam->look(m);
}

static uint16_t smid_of(const struct cmd *c)
{
	const struct cmd *other = c->fault == FAULT_OTHER_CONTEXT ? mfi_another(c) : NULL;

	if (c->fault == FAULT_WRONG_CONTEXT)
		return c->smid ^ 0x4000;
	return other ? other->smid : c->smid;
}

static void finish(struct cmd *c)
{
	struct mfi *m = c->m;
	const uint8_t mfi[2] = {c->status, c->scsi_status}, io[2] = {c->scsi_status, c->status};

	if (!m->ready_for_io) {
		bus_write(m->env->bus, (uint64_t)c->addr + FR_STATUS, mfi, sizeof(mfi));
		mfi_release(c);
		return;
	}
	if (!room(c)) {
		if (list_empty(&m->stalled))
			mfi_protocol_error(m, "reply queue %u is full", c->msix);
		mfi_stall(c);
		return;
	}
	/* Data and sense are there; the verdict before the entry. */
	if (c->addr)
		bus_write(m->env->bus, (uint64_t)c->addr + FR_STATUS, mfi, sizeof(mfi));
	else if (c->r[RQ_FUNCTION] != FN_TASK)
		bus_write(m->env->bus, m->fx->requests + c->smid * 256ull + RQ_EX_STATUS, io, sizeof(io));
	for (uint32_t i = 0; i < c->twice; i++)
		post(m, c->msix, smid_of(c));
	mfi_release(c);
}

static void forget(struct mfi *m)
{
	struct fusion *fx = m->fx;

	m->ready_for_io = false;
	fx->vectors = 0;
	fx->unsent = 0;
	memset(fx->by_smid, 0, sizeof(fx->by_smid));
	fusion_pd_forget(fx);
}

static void released(struct cmd *c)
{
	c->m->fx->by_smid[c->smid] = NULL;
	if (c->m->fx->pd_wait == c)
		c->m->fx->pd_wait = NULL;
}

/* --- IOC INIT [5.4] --- */

enum ioc_init_off {
	II_WHO = 0x00,
	II_FUNCTION = 0x03,
	II_MSG_FLAGS = 0x07,
	II_VECTORS = 0x17,
	II_FRAME_SIZE = 0x1a,
	II_DEPTH = 0x1c,
	II_SENSE_HIGH = 0x20,
	II_REQUESTS = 0x28,
	II_QUEUES = 0x30,
	II_SIZE = 72,
};

/* This generation's control plane reaches 4 GiB only, unless it says otherwise in pad 1 [5.1]. */
static bool reachable(struct mfi *m, uint64_t addr, const char *what)
{
	if (addr <= UINT32_MAX)
		return true;
	m->env->stats->wrong_dma++;
	mfi_protocol_error(m, "%s above 4 GiB", what);
	return false;
}

static bool load_queues(struct mfi *m, const uint8_t *ii)
{
	struct fusion *fx = m->fx;
	uint64_t at = fr64(ii, II_QUEUES);
	uint8_t entry[16];

	for (unsigned v = 0; v < fx->vectors; v++) {
		fx->queue[v] = at + (uint64_t)v * fx->depth * 8;
		if (ii[II_MSG_FLAGS] & 1) {
			if (bus_read(m->env->bus, at + v * 16ull, entry, sizeof(entry)) < 0)
				return false;
			fx->queue[v] = fr64(entry, 0);
		}
		if (!reachable(m, fx->queue[v], "a reply queue"))
			return false;
		fx->producer[v] = fx->host[v] = 0;
	}
	return true;
}

static uint8_t ioc_init(struct mfi *m, const uint8_t *f)
{
	struct fusion *fx = m->fx;
	uint8_t ii[II_SIZE];

	if (f[FR_CMD] != CMD_INIT || fr32(f, FR_DATA_LEN) != II_SIZE ||
		bus_read(m->env->bus, fr64(f, FR_INIT_INFO), ii, sizeof(ii)) < 0)
		return ST_INVALID_PARAMETER;
	fx->vectors = MAX(ii[II_VECTORS], 1);
	fx->depth = fr16(ii, II_DEPTH);
	fx->requests = fr64(ii, II_REQUESTS);
	fx->sense_high = fr32(ii, II_SENSE_HIGH);
	if (ii[II_FUNCTION] != 0x02 || ii[II_WHO] != 0x04 || fr16(ii, II_FRAME_SIZE) != REQUEST_QUADS ||
		fx->vectors > m->env->opt.vectors || fx->depth < 16 || fx->requests & 15) {
		mfi_protocol_error(m, "IOC INIT: %u vectors, depth %u, frames of %u", fx->vectors, fx->depth,
			fr16(ii, II_FRAME_SIZE) * 4);
		fx->vectors = 0;
		return ST_INVALID_PARAMETER;
	}
	if (!reachable(m, fx->requests + 256ull * m->env->opt.max_cmds, "request frames") ||
		!reachable(m, (uint64_t)fx->sense_high << 32, "sense buffers") || !load_queues(m, ii)) {
		fx->vectors = 0;
		return ST_INVALID_PARAMETER;
	}
	return ST_OK;
}

/* No reply is posted for it: the host polls the frame. */
static void take_init(struct mfi *m, uint64_t addr)
{
	uint8_t f[FR_UNIT], verdict = ST_WRONG_STATE;

	if (!reachable(m, addr, "the INIT frame") || bus_read(m->env->bus, addr, f, sizeof(f)) < 0)
		return;
	m->env->stats->commands++;
	if (m->state != FW_READY || m->ready_for_io)
		mfi_protocol_error(m, "IOC INIT in state %x", m->state);
	else
		verdict = ioc_init(m, f);
	if (verdict == ST_OK) {
		m->ready_for_io = true;
		m->env->stats->inits++;
		mfi_set_state(m, FW_OPERATIONAL, 0);
	}
	bus_write(m->env->bus, addr + FR_STATUS, &verdict, sizeof(verdict));
}

/* --- requests --- */

/* An MFI frame in a request: SGE 0 points to it [5.10]. */
static bool unwrap(struct cmd *c)
{
	struct mfi *m = c->m;
	uint64_t addr = fr64(c->r, RQ_SGL);

	if (c->r[RQ_CHAIN] != 0x08 || !(c->r[RQ_SGL + 15] & SGE_CHAIN) || addr & 0x3f) {
		mfi_protocol_error(m, "pass-through %u: chain offset %02x, flags %02x, frame %llx", c->smid,
			c->r[RQ_CHAIN], c->r[RQ_SGL + 15], (unsigned long long)addr);
		return false;
	}
	if (!reachable(m, addr, "an MFI frame") || bus_read(m->env->bus, addr, c->f, sizeof(c->f)) < 0)
		return false;
	c->addr = (uint32_t)addr;
	c->announced = 8;
	c->classes = c->f[FR_CMD] == CMD_ABORT ? CLASS_ABORT : CLASS_DCMD;
	if (c->f[FR_CMD] == CMD_DCMD)
		c->opcode = fr32(c->f, FR_OPCODE);
	if (c->opcode == 0x01101000)
		c->classes |= CLASS_FLUSH;
	return true;
}

static void classify(struct cmd *c)
{
	uint8_t cdb0 = c->r[RQ_CDB];

	c->opcode = cdb0;
	c->classes = CLASS_SCSI;
	if ((cdb0 & 0x1f) == 0x08)
		c->classes |= CLASS_READ;
	else if ((cdb0 & 0x1f) == 0x0a)
		c->classes |= CLASS_WRITE;
	else if (cdb0 == 0x35 || cdb0 == 0x91)
		c->classes |= CLASS_FLUSH;
}

/* Does the descriptor's type go with the function? [5.8] */
static bool fits(uint8_t function, unsigned type)
{
	switch (function) {
	case FN_PASS_THROUGH:
		return type == TYPE_SCSI_IO;
	case FN_LD_IO:
		return type == TYPE_SCSI_IO || type == TYPE_NO_LOCK || type == TYPE_LD_IO;
	case FN_SCSI_IO:
		return type == TYPE_FP_IO || type == TYPE_SCSI_IO;
	case FN_TASK:
		return type == TYPE_HIGH_PRIORITY;
	}
	return false;
}

static bool acceptable(struct mfi *m, unsigned smid, unsigned vector)
{
	if (!m->ready_for_io)
		mfi_protocol_error(m, "request %u before IOC INIT", smid);
	else if (!smid || smid > m->env->opt.max_cmds)
		mfi_protocol_error(m, "request number %u; 1 to %u are there", smid, m->env->opt.max_cmds);
	else if (vector >= m->fx->vectors)
		mfi_protocol_error(
			m, "request %u wants its reply in queue %u of %u", smid, vector, m->fx->vectors);
	else if (m->fx->by_smid[smid])
		mfi_protocol_error(m, "request %u is at the controller already", smid);
	else
		return true;
	return false;
}

static void take_request(struct mfi *m, uint64_t desc)
{
	unsigned type = desc >> 1 & 7, vector = desc >> 8 & 0xff, smid = desc >> 16 & 0xffff;
	struct cmd *c;

	if (!acceptable(m, smid, vector))
		return;
	c = mfi_cmd_new(m);
	if (!c)
		return;
	c->smid = (uint16_t)smid;
	c->msix = (uint8_t)vector;
	m->fx->by_smid[smid] = c;
	if (bus_read(m->env->bus, m->fx->requests + smid * 256ull, c->r, sizeof(c->r)) < 0) {
		mfi_release(c);
		return;
	}
	if (!fits(c->r[RQ_FUNCTION], type)) {
		mfi_protocol_error(m, "request %u: function %02x by a descriptor of type %u", smid,
			c->r[RQ_FUNCTION], type);
		mfi_release(c);
		return;
	}
	if (c->r[RQ_FUNCTION] == FN_PASS_THROUGH && !unwrap(c)) {
		mfi_release(c);
		return;
	}
	if (c->r[RQ_FUNCTION] == FN_TASK)
		c->classes = CLASS_ABORT;
	else if (!c->addr)
		classify(c);
	mfi_cmd_start(c, c->classes & CLASS_ABORT);
}

/*
 * Boot firmware has no queues: it writes MFI frames to the older generations' port and polls them. SeaBIOS does that
 * with this one too, so it is likely to be right [I].
 */
void fusion_boot_frame(struct mfi *m, uint32_t val)
{
	uint32_t addr = val & ~0x3fu;
	struct cmd *c;

	if (m->state != FW_READY || m->ready_for_io)
		return;
	c = mfi_cmd_new(m);
	if (!c)
		return;
	if (bus_read(m->env->bus, addr, c->f, sizeof(c->f)) < 0 ||
		!(fr16(c->f, FR_FLAGS) & FRAME_DONT_POST)) {
		mfi_protocol_error(m, "a frame before IOC INIT that is not polled");
		mfi_release(c);
		return;
	}
	c->addr = addr;
	c->announced = (val >> 1 & 7) + 1;
	c->classes = c->f[FR_CMD] == CMD_DCMD ? CLASS_DCMD : CLASS_SCSI;
	c->r[RQ_FUNCTION] = FN_PASS_THROUGH;
	mfi_cmd_start(c, false);
}

static void fetch(struct mfi *m, uint64_t desc)
{
	if ((desc >> 1 & 7) == TYPE_MFA)
		take_init(m, desc & ~UINT64_C(0xff));
	else
		take_request(m, desc);
}

static void execute(struct cmd *c)
{
	if (c->r[RQ_FUNCTION] == FN_TASK)
		fusion_exec_task(c);
	else if (!c->addr)
		fusion_exec_io(c);
	else if (c->f[FR_CMD] == CMD_DCMD)
		mfi_exec_dcmd(c);
	else if (c->f[FR_CMD] == CMD_ABORT)
		mfi_exec_abort(c);
	else if (c->f[FR_CMD] == CMD_LD_SCSI && !c->m->ready_for_io)
		mfi_exec_io(c);
	else
		c->status = ST_INVALID_CMD;
}

static const uint8_t key[] = {0x0, 0xf, 0x4, 0xb, 0x2, 0x7, 0xd};

const struct family family_sas3108 = {
	.name = "sas3108",
	.device = 0x005d,
	.subdevice = 0x9361,
	.product = "AVAGO MegaRAID SAS 9361-8i",
	.package = "24.21.0-0132 (hba-emu)",
	.maps = true,
	.intr_state = FINTR_STATE,
	.key = key,
	.key_len = sizeof(key),
	.fetch = fetch,
	.execute = execute,
	.finish = finish,
	.room = room,
	.forget = forget,
	.released = released,
	.look = fusion_look,
	.unit = fusion_unit_of,
};
