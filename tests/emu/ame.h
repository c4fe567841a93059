/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accusys AME RAID boxes of the 3108 family, direct attached. Written from the project's AME facts page (sections in
 * brackets), whose source is a vendor driver; [I] marks what the page infers. LUN n is the unit "ldN".
 */
#ifndef HBAD_EMU_AME_H
#define HBAD_EMU_AME_H

#include "base/endian.h"
#include "base/log.h"
#include "model.h"

/* [2] */
enum ame_reg {
	AREG_INBOUND = 0x20,
	AREG_STATUS = 0x30,
	AREG_MASK = 0x34,
	AREG_REQUEST = 0x40,
	AREG_REPLY = 0x44,
	AREG_OUTBOUND = 0x9c,
	AREG_OUTBOUND_CLEAR = 0xa0,
	AREG_PAD1 = 0xb4, /* 1: firmware is ready */
	AREG_PAD2 = 0xb8,
	AREG_TYPE = 0xbc,
};
enum ame_notice {
	NOTICE_READY = 0x01,
	NOTICE_RESTART = 0x02,
	NOTICE_FLUSH = 0x04,
	NOTICE_PAUSE = 0x08,
	NOTICE_RESUME = 0x10
};
#define INBOUND_FORGET 0xffffffffu
#define INBOUND_HIGH   0x80000000u

/* Offsets in requests [4] and replies [5] */
enum ame_off {
	AQ_LUN = 0x02, /* SCSI; else a flag byte */
	AQ_FUNCTION = 0x03,
	AQ_ID = 0x04,
	AQ_CDB_LEN = 0x08,
	AQ_TM_LUN = 0x08,
	AQ_INBAND_CDB = 0x08,
	AQ_TM_ID = 0x0c,
	AQ_CONTROL = 0x0c,
	AQ_CDB = 0x10,
	AQ_DATA_LEN = 0x20,
	AQ_SENSE = 0x24,
	AQ_BDL = 0x28,
	AQ_INBAND_LEN = 0x28,
	AQ_INBAND_BDL = 0x30,
	AQ_RW_SG = 0x30,
	AQ_SIZE = 0x200,
	AR_STATUS = 0x01,
	AR_FUNCTION = 0x03,
	AR_ID = 0x04,
	AR_SCSI_STATUS = 0x08,
	AR_SCSI_STATE = 0x09,
	AR_COUNT = 0x0c,
	AR_SENSE_COUNT = 0x10,
	AR_EVENT = 0x08,
	AR_SIZE = 96,
};
enum ame_function { AFN_SCSI = 0x00, AFN_TASK = 0x01, AFN_EVENT = 0x02, AFN_INBAND = 0x03 };
enum ame_status {
	AST_OK = 0x00,
	AST_INVALID_FUNCTION = 0x01,
	AST_BUSY = 0x02,
	AST_INVALID_BDL = 0x03,
	AST_INVALID_FIELD = 0x06,
	AST_ILLEGAL_INBAND = 0x11,
	AST_NO_DEVICE = 0x22,
	AST_TERMINATED = 0x27,
	AST_TASK_FAILED = 0x30,
};

#define AME_DEPTH  512
#define AME_SGES   160
#define AME_DATA   (1u << 20)
#define SG_LAST	   0x40000000u
#define EVENT_LUNS 0x14

struct ame;

struct ame_sge {
	uint64_t addr;
	uint32_t len;
};

struct ame_cmd {
	struct list link;
	struct ame *a;
	struct wheel timer;
	uint8_t f[AQ_SIZE];
	uint32_t id;
	bool executed, plain; /* plain: all is well, a fast reply says it */
	uint8_t reply[AR_SIZE];
	uint32_t delay_ms, twice;
	enum fault_action fault;
	uint32_t fault_arg;
	uint32_t n_sge;
	struct ame_sge sge[AME_SGES];
};

struct ame_fifo {
	uint32_t slot[2048], in, out;
};

/* What the fault "late-dma" still writes after the command has ended. */
struct ame_late {
	struct wheel timer;
	struct ame *a;
	struct ame_sge sge;
};

struct ame {
	struct model_env *env;
	uint16_t device;
	uint32_t mask, outbound, pad1, pad2, high;
	bool up;      /* firmware runs; pad1 says so once, and is the host's from then on */
	bool lost;    /* ... and has restarted since the host talked to it, who cannot know that yet */
	bool talking; /* the host has told the upper half of its addresses */
	struct wheel boot, answer, heartbeat;
	struct ame_fifo frames, replies, requests;
	struct ame_cmd cmd[AME_DEPTH];
	struct list free, flying, waiting; /* waiting: for a reply frame */
	uint32_t n_flying, most_flying;
	struct ame_cmd *inband;
	bool events_on;
	uint32_t events; /* not yet told */
	struct ame_late late[8];
	uint8_t *buf;
};

static inline uint32_t ame32(const uint8_t *p, unsigned off)
{
	uint32_t v;

	memcpy(&v, p + off, sizeof(v));
	return le32toh(v);
}
static inline void ame_put32(uint8_t *p, unsigned off, uint32_t v)
{
	v = htole32(v);
	memcpy(p + off, &v, sizeof(v));
}
static inline uint32_t fifo_count(const struct ame_fifo *f)
{
	return f->in - f->out;
}
static inline void fifo_push(struct ame_fifo *f, uint32_t v)
{
	f->slot[f->in++ % ARRAY_SIZE(f->slot)] = v;
}
static inline uint32_t fifo_pop(struct ame_fifo *f)
{
	return f->slot[f->out++ % ARRAY_SIZE(f->slot)];
}

/* --- ame_hw.c --- */

void ame_look(struct ame *a);
void ame_wrong(struct ame *a, const char *fmt, ...) hb_printf(2, 3);

/* --- ame_queue.c --- */

int ame_queue_init(struct ame *a);
void ame_queue_fini(struct ame *a);
/* All commands are forgotten; replies that were announced stay. */
void ame_queue_give_up(struct ame *a);
/* Everything is forgotten. */
void ame_queue_drop(struct ame *a);
bool ame_queue_work(struct ame *a);
void ame_finish(struct ame_cmd *c);

/* --- ame_cmd.c --- */

void ame_execute(struct ame_cmd *c);
struct unit *ame_unit_of(const struct ame_cmd *c);
bool ame_sg_load(struct ame_cmd *c);
/* No "late-dma" comes any more. */
void ame_late_stop(struct ame *a);

#endif
