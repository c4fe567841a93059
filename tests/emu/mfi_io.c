/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads, writes and SCSI commands [3.4, 3.5]. */
#include <string.h>

#include "mfi.h"

#define ACCESS_FUA 0x08

struct unit *mfi_unit_of(const struct cmd *c)
{
	enum unit_kind kind = c->f[FR_CMD] == CMD_PD_SCSI ? UNIT_PD : UNIT_LD;

	return unit_find(c->m->env->units, kind, c->f[FR_TARGET]);
}

static void put_sense(struct cmd *c, const struct scsi_cmd *s)
{
	uint64_t addr = fr32(c->f, FR_SENSE);
	uint32_t len = MIN((uint32_t)c->f[FR_SENSE_LEN], (uint32_t)s->sense_len);

	if (fr16(c->f, FR_FLAGS) & FRAME_SENSE64)
		addr |= (uint64_t)fr32(c->f, FR_SENSE + 4) << 32;
	if (addr && len)
		bus_write(c->m->env->bus, addr, s->sense, len);
}

/* The verdict of the unit as firmware's [3.11]. */
static void conclude(struct cmd *c, const struct scsi_cmd *s)
{
	if (s->status == SCSI_GOOD)
		return;
	c->status = ST_SCSI_DONE_WITH_ERROR;
	c->scsi_status = s->status;
	if (s->status == SCSI_CHECK_CONDITION)
		put_sense(c, s);
}

/* Data that cannot be reached is the bus's complaint; the command fails like any transfer. */
static void transfer_failed(struct cmd *c)
{
	c->status = ST_SCSI_IO_FAILED;
}

static void exec_rw(struct cmd *c, struct unit *u)
{
	bool write = c->f[FR_CMD] == CMD_LD_WRITE;
	uint32_t blocks = fr32(c->f, FR_DATA_LEN);
	uint64_t bytes = (uint64_t)blocks * u->top->block;
	struct scsi_cmd s = {.data = c->m->buf, .data_len = (uint32_t)MIN(bytes, (uint64_t)MAX_DATA)};

	if (bytes > MAX_DATA || bytes > mfi_sgl_bytes(c)) {
		mfi_protocol_error(c->m, "%llu bytes of data in a list of %llu", (unsigned long long)bytes,
			(unsigned long long)mfi_sgl_bytes(c));
		c->status = ST_INVALID_SGL;
		return;
	}
	if (write && mfi_sgl_read(c, s.data, (uint32_t)bytes) < 0) {
		transfer_failed(c);
		return;
	}
	scsi_rw(&u->disk, &s, write, fr64(c->f, FR_LBA), blocks, c->f[FR_LUN] & ACCESS_FUA);
	if (!write && s.status == SCSI_GOOD && mfi_sgl_write(c, s.data, (uint32_t)bytes) < 0)
		transfer_failed(c);
	else
		conclude(c, &s);
}

static void exec_scsi(struct cmd *c, struct unit *u)
{
	uint32_t len = fr32(c->f, FR_DATA_LEN);
	uint16_t dir = fr16(c->f, FR_FLAGS) & (FRAME_DIR_READ | FRAME_DIR_WRITE);
	struct scsi_cmd s = {
		.cdb = c->f + FR_CDB, .cdb_len = c->f[FR_CDB_LEN], .data = c->m->buf, .data_len = len};

	/* Boot firmware (SeaBIOS) only reads, and does not say so. */
	if (!c->m->ready_for_io && !dir)
		dir = FRAME_DIR_READ;
	if (len > MAX_DATA || len > mfi_sgl_bytes(c) || s.cdb_len > 16 || (len && !dir)) {
		mfi_protocol_error(c->m, "SCSI frame: %u bytes in a list of %llu, flags %x, CDB of %u", len,
			(unsigned long long)mfi_sgl_bytes(c), fr16(c->f, FR_FLAGS), s.cdb_len);
		c->status = ST_INVALID_PARAMETER;
		return;
	}
	memset(s.data, 0, len);
	if (dir & FRAME_DIR_WRITE && mfi_sgl_read(c, s.data, len) < 0) {
		transfer_failed(c);
		return;
	}
	scsi_exec(&u->disk, &s);
	c->delay_ms = MAX(c->delay_ms, s.delay_ms);
	if (dir & FRAME_DIR_READ && s.moved && mfi_sgl_write(c, s.data, s.moved) < 0)
		transfer_failed(c);
	else
		conclude(c, &s);
}

/* A rule's answer in place of the unit's. */
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
	conclude(c, &s);
	return true;
}

void mfi_exec_io(struct cmd *c)
{
	bool rw = c->f[FR_CMD] == CMD_LD_READ || c->f[FR_CMD] == CMD_LD_WRITE;
	struct unit *u = mfi_unit_of(c);

	/* The second byte of the address is the LUN only for SCSI frames. */
	if (!u || (!rw && c->f[FR_LUN])) {
		c->status = ST_DEVICE_NOT_FOUND;
		return;
	}
	if (u->offline) {
		c->status = ST_LD_OFFLINE;
		return;
	}
	c->status = mfi_sgl_load(c, rw ? FR_IO_SGL : FR_SCSI_SGL);
	if (c->status != ST_OK || faked(c))
		return;
	rw ? exec_rw(c, u) : exec_scsi(c, u);
}
