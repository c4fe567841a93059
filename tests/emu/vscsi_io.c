/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests of the virtio SCSI host: addresses, data, and what the unit answers [5.6.6.1]. */
#include <stdlib.h>
#include <string.h>

#include "vscsi.h"

#define LUN_INVALID	0x2500 /* LOGICAL UNIT NOT SUPPORTED */
#define LUN_METHOD_FLAT 0x40

/* --- addresses --- */

bool vs_lun_of(const struct unit *u, uint8_t *ret_target, uint8_t *ret_lun)
{
	bool ld = u->kind == UNIT_LD;

	if (!ld && u->target + 1 >= VS_TARGETS)
		return false;
	*ret_target = ld ? 0 : (uint8_t)(u->target + 1);
	*ret_lun = ld ? (uint8_t)u->target : 0;
	return true;
}

/* 1, target, a single level LUN (SAM-5 4.7.7: peripheral or flat), zeros. */
static bool decode(const uint8_t *lun, uint8_t *ret_target, uint16_t *ret_lun)
{
	static const uint8_t zeros[4];

	*ret_target = lun[1];
	*ret_lun = (uint16_t)((lun[2] & 0x3f) << 8 | lun[3]);
	return lun[0] == 1 && (lun[2] == 0 || (lun[2] & 0xc0) == LUN_METHOD_FLAT) &&
	       memcmp(lun + 4, zeros, sizeof(zeros)) == 0;
}

struct unit *vs_unit(const struct vscsi *v, const uint8_t *lun, bool *ret_target)
{
	struct unit *found = NULL;
	uint8_t target, t, l;
	uint16_t number;

	*ret_target = false;
	if (!decode(lun, &target, &number))
		return NULL;
	for (unsigned i = 0; i < MAX_UNITS; i++) {
		struct unit *u = &v->env->units->unit[i];

		/* One that is offline does not answer, as if its cable were out. */
		if (!u->used || u->offline || !vs_lun_of(u, &t, &l) || t != target)
			continue;
		*ret_target = true;
		if (l == number)
			found = u;
	}
	return found;
}

/* --- answers --- */

void vs_reply(struct vs_cmd *c, enum vs_response response)
{
	memset(c->reply, 0, sizeof(c->reply));
	c->written = 0;
	if (c->queue == VQ_CONTROL) {
		c->reply[0] = (uint8_t)response;
		c->reply_len = 1;
		return;
	}
	c->reply[RS_RESPONSE] = (uint8_t)response;
	c->reply_len = RS_SENSE + c->v->sense_size;
}

static void conclude(struct vs_cmd *c, const struct scsi_cmd *s, uint64_t residual)
{
	uint32_t sense = MIN(s->sense_len, c->v->sense_size);

	vs_reply(c, VSR_OK);
	vs_put32(c->reply + RS_RESIDUAL, (uint32_t)residual);
	c->reply[RS_STATUS] = s->status;
	if (s->status != SCSI_CHECK_CONDITION)
		return;
	vs_put32(c->reply + RS_SENSE_LEN, sense);
	memcpy(c->reply + RS_SENSE, s->sense, sense);
}

/* --- data --- */

static bool is_rw(uint8_t op)
{
	return (op & 0x1d) == 0x08 && (op >> 5 == 0 || op >> 5 == 1 || op >> 5 == 4 || op >> 5 == 5);
}

/* Those of the disk's commands that take data. */
static bool takes_data(const uint8_t *cdb)
{
	static const uint8_t ops[] = {0x0a, 0x15, 0x2a, 0x41, 0x42, 0x55, 0x8a, 0x93, 0xaa};

	for (unsigned i = 0; i < sizeof(ops); i++)
		if (ops[i] == cdb[0])
			return true;
	return (cdb[0] & 0x1f) == 0x0f && cdb[1] & 0x02; /* VERIFY with BYTCHK */
}

/* Bytes that a read or a write moves; 0 for others. */
static uint64_t rw_bytes(const uint8_t *cdb, uint32_t block)
{
	uint64_t n;

	if (!is_rw(cdb[0]))
		return 0;
	switch (cdb[0] >> 5) {
	case 0:
		n = cdb[4] ? cdb[4] : 256;
		break;
	case 1:
		n = get_be16(cdb + 7);
		break;
	case 4:
		n = get_be32(cdb + 10);
		break;
	default:
		n = get_be32(cdb + 6);
	}
	return n * block;
}

static bool room(struct vscsi *v, uint32_t len)
{
	uint8_t *buf = len > v->buf_size ? realloc(v->buf, len) : v->buf;

	if (len > v->buf_size && !buf)
		return false;
	v->buf = buf;
	v->buf_size = MAX(v->buf_size, len);
	return true;
}

static void run(struct vs_cmd *c, struct unit *u)
{
	struct vscsi *v = c->v;
	const uint8_t *cdb = c->req + RQ_CDB;
	uint32_t head = RQ_CDB + v->cdb_size, tail = RS_SENSE + v->sense_size;
	uint64_t out = c->ch.out_len - head, in = c->ch.in_len - tail, bytes = rw_bytes(cdb, u->top->block);
	bool takes = takes_data(cdb);
	struct scsi_cmd s = {.cdb = cdb, .cdb_len = 16, .data_len = (uint32_t)(takes ? out : in)};

	if (bytes > s.data_len) {
		vs_reply(c, VSR_OVERRUN);
		return;
	}
	if (out + in > VS_DATA_MAX || !room(v, MAX(s.data_len, 4096u))) {
		vs_reply(c, VSR_FAILURE);
		return;
	}
	s.data = v->buf;
	memset(s.data, 0, s.data_len);
	if (takes && !vs_gather(v, &c->ch, head, s.data, s.data_len))
		return;
	scsi_exec(&u->disk, &s);
	v->env->stats->flushes += s.status == SCSI_GOOD && (cdb[0] == 0x35 || cdb[0] == 0x91);
	c->delay_ms = MAX(c->delay_ms, s.delay_ms);
	if (!takes && s.moved && !vs_scatter(v, &c->ch, tail, s.data, s.moved))
		return;
	/* Of data out, a command that went well has taken what it says, or all of it. */
	conclude(c, &s, takes ? (s.status ? out : bytes ? out - bytes : 0) : out + in - s.moved);
	c->written = takes ? 0 : s.moved;
}

/* --- a target without that LUN --- */

static uint32_t list_luns(const struct vscsi *v, uint8_t target, uint8_t *p)
{
	uint32_t n = 0;
	uint8_t t, l;

	for (unsigned number = 0; number < 256; number++)
		for (unsigned i = 0; i < MAX_UNITS; i++) {
			const struct unit *u = &v->env->units->unit[i];

			if (u->used && !u->offline && vs_lun_of(u, &t, &l) && t == target && l == number)
				p[8 + 8 * n++ + 1] = l;
		}
	put_be32(p, 8 * n);
	return 8 + 8 * n;
}

/* LUN 0 of every target answers REPORT LUNS and INQUIRY (SPC-4 6.33, 6.6.2), and the list is the target's, not the disk's. */
static bool target_answers(struct vs_cmd *c, const struct unit *u)
{
	uint8_t p[8 + 8 * MAX_UNITS] = {0};
	const uint8_t *cdb = c->req + RQ_CDB;
	uint32_t tail = RS_SENSE + c->v->sense_size, in = (uint32_t)MIN(c->ch.in_len - tail, UINT64_C(65536));
	struct scsi_cmd s = {.cdb = cdb, .data = p};
	uint32_t len;

	if (cdb[0] == 0xa0) {
		len = MIN(list_luns(c->v, c->req[RQ_LUN + 1], p), get_be32(cdb + 6));
		if (get_be32(cdb + 6) < 16)
			scsi_invalid_field(&s);
	} else if (u) {
		return false;
	} else if (cdb[0] == 0x12 && !(cdb[1] & 1)) {
		p[0] = 0x7f; /* no such unit, and none could be there */
		p[2] = 0x06;
		p[3] = 0x02;
		p[4] = 31;
		len = MIN(36u, get_be16(cdb + 3));
	} else {
		len = 0;
		scsi_sense(&s, KEY_ILLEGAL, LUN_INVALID);
	}
	len = s.status ? 0 : MIN(len, in);
	if (len && !vs_scatter(c->v, &c->ch, tail, p, len))
		return true;
	conclude(c, &s, c->ch.in_len - tail - len);
	c->written = len;
	return true;
}

/* --- a request --- */

static bool faked(struct vs_cmd *c)
{
	struct scsi_cmd s = {0};

	if (c->fault == FAULT_STATUS) {
		vs_reply(c, (enum vs_response)c->fault_arg);
		return true;
	}
	if (c->fault != FAULT_SENSE)
		return false;
	scsi_sense(&s, (enum sense_key)(c->fault_arg >> 16), (uint16_t)c->fault_arg);
	conclude(c, &s, c->ch.out_len + c->ch.in_len - RQ_CDB - c->v->cdb_size - RS_SENSE - c->v->sense_size);
	return true;
}

void vs_exec_request(struct vs_cmd *c)
{
	struct vscsi *v = c->v;
	bool target, out = c->ch.out_len > RQ_CDB + v->cdb_size, in = c->ch.in_len > RS_SENSE + v->sense_size;
	struct unit *u = vs_unit(v, c->req + RQ_LUN, &target);

	if (out && in) {
		/* Only with VIRTIO_SCSI_F_INOUT, which is not offered. */
		vs_wrong(v, "a request with data in both directions");
		vs_reply(c, VSR_FAILURE);
	} else if (!target) {
		vs_reply(c, VSR_BAD_TARGET);
	} else if (!faked(c) && !target_answers(c, u)) {
		run(c, u);
	}
}
