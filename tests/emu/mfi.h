/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MegaRAID firmware: the SAS2108 model (MFI frames and a ring of contexts) and the SAS3108 model (Fusion: request
 * and reply descriptors, MFI frames wrapped in them). They share start-up, management and events. Written from the project's MegaRAID facts page (sections in
 * brackets), not from the driver's headers: the two must be able to disagree. [I] marks what the page infers.
 */
#ifndef HBAD_EMU_MFI_H
#define HBAD_EMU_MFI_H

#include "base/endian.h"
#include "base/log.h"
#include "model.h"

/* [1.3] */
enum reg {
	REG_DOORBELL = 0x20,
	REG_INTR_STATUS = 0x30,
	REG_INTR_MASK = 0x34,
	REG_QUEUE = 0x40,
	REG_ACK = 0xa0,
	REG_STATE = 0xb0,
	REG_DIAG = 0xf8,
	REG_KEY = 0xfc,
};
#define DIAG_WRITE_ENABLED 0x80u
#define DIAG_RESET	   0x04u

/* [2.1] */
enum fw_state {
	FW_UNDEFINED = 0x0,
	FW_BB_INIT = 0x1,
	FW_INIT = 0x4,
	FW_WAIT_HANDSHAKE = 0x6,
	FW_INIT_2 = 0x7,
	FW_DEVICE_SCAN = 0x8,
	FW_BOOT_MESSAGE = 0x9,
	FW_FLUSH_CACHE = 0xa,
	FW_READY = 0xb,
	FW_OPERATIONAL = 0xc,
	FW_FAULT = 0xf,
};
#define STATE_BIT26 0x04000000u

/* [2.2] */
enum doorbell {
	DB_ABORT = 0x01,
	DB_READY = 0x02,
	DB_CLEAR_HANDSHAKE = 0x08,
	DB_HOTPLUG = 0x10,
	DB_STOP = 0x20,
	DB_RESET = 0x40
};

/* Offsets in a frame [3.2 to 3.7] */
enum frame_off {
	FR_CMD = 0x00,
	FR_SENSE_LEN = 0x01,
	FR_STATUS = 0x02,
	FR_SCSI_STATUS = 0x03,
	FR_TARGET = 0x04,
	FR_LUN = 0x05, /* LD_READ, LD_WRITE: access byte */
	FR_CDB_LEN = 0x06,
	FR_SGE_COUNT = 0x07,
	FR_CONTEXT = 0x08,
	FR_FLAGS = 0x10,
	FR_DATA_LEN = 0x14,
	FR_INIT_INFO = 0x18,
	FR_SENSE = 0x18,
	FR_LBA = 0x20,
	FR_CDB = 0x20,
	FR_IO_SGL = 0x28,
	FR_SCSI_SGL = 0x30,
	FR_OPCODE = 0x18,
	FR_MBOX = 0x1c,
	FR_DCMD_SGL = 0x28,
	FR_ABORT_CONTEXT = 0x18,
	FR_ABORT_ADDR = 0x20,
	FR_UNIT = 64,
};
enum frame_cmd { CMD_INIT, CMD_LD_READ, CMD_LD_WRITE, CMD_LD_SCSI, CMD_PD_SCSI, CMD_DCMD, CMD_ABORT };
enum frame_flags {
	FRAME_DONT_POST = 0x0001,
	FRAME_SGL64 = 0x0002,
	FRAME_SENSE64 = 0x0004,
	FRAME_DIR_WRITE = 0x0008,
	FRAME_DIR_READ = 0x0010,
	FRAME_IEEE = 0x0020,
};

/* [3.10] */
enum status {
	ST_OK = 0x00,
	ST_INVALID_CMD = 0x01,
	ST_INVALID_DCMD = 0x02,
	ST_INVALID_PARAMETER = 0x03,
	ST_ABORT_NOT_POSSIBLE = 0x05,
	ST_DEVICE_NOT_FOUND = 0x0c,
	ST_FLUSH_FAILED = 0x15,
	ST_NOT_FOUND = 0x23,
	ST_SCSI_DONE_WITH_ERROR = 0x2d,
	ST_SCSI_IO_FAILED = 0x2e,
	ST_WRONG_STATE = 0x32,
	ST_LD_OFFLINE = 0x33,
	ST_MEMORY_NOT_AVAILABLE = 0x20,
	ST_INVALID_SGL = 0x3c,
	ST_CONFIG_SEQ_MISMATCH = 0x67,
};

#define MAX_CMDS    2048
#define MAX_SGES    255
#define MAX_DATA    (16u << 20)
#define EVENTS_KEPT 256

struct sge {
	uint64_t addr;
	uint32_t len;
};

/* A frame that was fetched and not yet answered. */
struct mfi;
struct fusion;

struct cmd {
	struct list link; /* free, flying, or stalled */
	struct mfi *m;
	struct wheel timer;
	uint32_t addr;	    /* of its MFI frame; 0: has none */
	unsigned announced; /* units of 64 bytes */
	uint8_t f[FR_UNIT];
	uint32_t classes, opcode; /* for fault rules */
	/* Fusion */
	uint16_t smid;
	uint8_t msix;
	uint8_t r[256];
	uint8_t status, scsi_status;
	uint32_t delay_ms;
	bool executed, waits; /* waits: a DCMD that firmware keeps */
	enum fault_action fault;
	uint32_t fault_arg;
	uint32_t twice; /* times its context is posted */
	uint32_t n_sge;
	struct sge sge[MAX_SGES];
};

struct event {
	uint32_t seq, time, code;
	uint16_t locale;
	int8_t class;
	uint8_t arg_type;
	uint8_t args[96];
	char text[128];
};

/* A write into the host's memory that comes too late. */
struct late_dma {
	struct wheel timer;
	struct mfi *m;
	struct sge sge;
};

/* What differs between the generations. */
struct family {
	const char *name; /* of the model, for the log */
	uint16_t device, subdevice;
	const char *product, *package;
	uint32_t intr_reply, intr_state; /* bits of REG_INTR_STATUS */
	const uint8_t *key;
	uint8_t key_len;
	/* What was written to the queue port. */
	void (*fetch)(struct mfi *m, uint64_t val);
	void (*execute)(struct cmd *c);
	/* Writes the verdict and posts the reply, then mfi_release(); or mfi_stall() when there is no room for it. */
	void (*finish)(struct cmd *c);
	/* Is there room now for what c would post? */
	bool (*room)(struct cmd *c);
	/* The host's queues are forgotten. */
	void (*forget)(struct mfi *m);
	void (*released)(struct cmd *c); /* NULL: nothing to do */
	/* Interrupts as they are now. */
	void (*look)(struct mfi *m);
	struct unit *(*unit)(const struct cmd *c);
	bool maps; /* has RAID maps */
};

struct mfi {
	const struct family *fam;
	struct model_env *env;
	/* registers */
	enum fw_state state;
	uint32_t state_low; /* progress, fault code */
	uint32_t intr_status, intr_mask, diag;
	unsigned key_at;
	bool raised; /* status & ~mask was not 0 at the last look */
	/* start-up */
	const struct boot_phase *phase;
	struct wheel boot;
	uint32_t boot_ticks;
	/* the reply queue of INIT */
	bool ready_for_io, wide_context;
	uint32_t entries, producer;
	uint64_t ring, producer_addr, consumer_addr;
	/* commands */
	uint64_t fetch[4096];
	uint32_t fetch_in, fetch_out;
	struct cmd *cmd;
	struct list free, flying, stalled;
	uint32_t n_flying, most_flying;
	struct cmd *aen;
	struct cmd *stopping; /* CTRL_SHUTDOWN, on its way to be answered */
	uint8_t *buf;
	struct fusion *fx; /* SAS3108 */
	struct cmd *map_wait;
	/* events */
	struct event event[EVENTS_KEPT];
	uint32_t next_seq, boot_seq, shutdown_seq;
	struct late_dma late[16];
};

static inline uint16_t fr16(const uint8_t *f, unsigned off)
{
	uint16_t v;

	memcpy(&v, f + off, sizeof(v));
	return le16toh(v);
}
static inline uint32_t fr32(const uint8_t *f, unsigned off)
{
	uint32_t v;

	memcpy(&v, f + off, sizeof(v));
	return le32toh(v);
}
static inline uint64_t fr64(const uint8_t *f, unsigned off)
{
	return (uint64_t)fr32(f, off + 4) << 32 | fr32(f, off);
}
static inline void to16(uint8_t *f, unsigned off, uint16_t v)
{
	v = htole16(v);
	memcpy(f + off, &v, sizeof(v));
}
static inline void to32(uint8_t *f, unsigned off, uint32_t v)
{
	v = htole32(v);
	memcpy(f + off, &v, sizeof(v));
}
static inline void to64(uint8_t *f, unsigned off, uint64_t v)
{
	v = htole64(v);
	memcpy(f + off, &v, sizeof(v));
}

/* --- mfi_hw.c --- */

void mfi_intr_raise(struct mfi *m, uint32_t bit);
void mfi_set_state(struct mfi *m, enum fw_state state, uint32_t low);
/* The driver broke the protocol of the controller: counted and told. */
void mfi_protocol_error(struct mfi *m, const char *fmt, ...) hb_printf(2, 3);

/* --- mfi_boot.c --- */

/* Starts firmware anew: all commands are gone, states are walked through in emulated time. */
void mfi_boot(struct mfi *m, bool power);
void mfi_boot_doorbell(struct mfi *m, uint32_t val);

/* --- mfi_queue.c: commands on their way, of both generations --- */

int mfi_queue_init(struct mfi *m);
void mfi_queue_fini(struct mfi *m);
/* Everything in flight is forgotten, and the reply queue too. */
void mfi_queue_drop(struct mfi *m);
void mfi_queue_push(struct mfi *m, uint64_t val);
bool mfi_queue_work(struct mfi *m);
/* A free one, cleared, in flight. NULL: none. */
struct cmd *mfi_cmd_new(struct mfi *m);
/* Goes through the fault rules, waits for its latency, is executed. */
void mfi_cmd_start(struct cmd *c, bool at_once);
void mfi_release(struct cmd *c);
void mfi_stall(struct cmd *c);
/* By its MFI frame. */
struct cmd *mfi_find(struct mfi *m, uint32_t addr, uint32_t context);
/* One for a unit that is still at work, or NULL. */
const struct cmd *mfi_another(const struct cmd *c);
/* Ends a command early with a status. */
void mfi_end(struct cmd *c, uint8_t status);
static inline void mfi_finish(struct cmd *c)
{
	c->m->fam->finish(c);
}

/* --- mfi_ring.c: the SAS2108's --- */

extern const struct family family_sas2108;

/* --- mfi_hw.c, fusion_hw.c --- */

/* A byte of the key that opens the diagnostic register. */
void mfi_key(struct mfi *m, uint32_t val);
void mfi_diag(struct mfi *m, uint32_t val);
uint32_t mfi_state_word(const struct mfi *m);
/* Common to both models' tables. */
/* Takes fx (or NULL) over when it succeeds. */
int mfi_create(
	struct model_env *env, const struct family *fam, struct fusion *fx, struct ctrl **ret, struct err *e);
void mfi_destroy(struct ctrl *c);
void mfi_reset(struct ctrl *c, enum reset_kind kind);
bool mfi_work(struct ctrl *c);
void mfi_irq_changed(struct ctrl *c);
void mfi_unit_changed(struct ctrl *c, struct unit *u, enum unit_change what);
int mfi_event_storm(struct ctrl *c, unsigned count);
void mfi_fault(struct ctrl *c, uint16_t code);
void mfi_describe(const struct ctrl *c, char *buf, size_t size);
struct mfi *mfi_of(struct ctrl *c);
void mfi_intr_look(struct mfi *m);

/* --- mfi_sgl.c --- */

/* Reads the SGL into c->sge. Returns a status. */
uint8_t mfi_sgl_load(struct cmd *c, unsigned off);
uint64_t mfi_sgl_bytes(const struct cmd *c);
/* 0, or -errno of the bus */
int mfi_sgl_read(struct cmd *c, void *buf, uint32_t len);
int mfi_sgl_write(struct cmd *c, const void *buf, uint32_t len);
/* Into the first elements, ms after now. */
void mfi_late_dma(struct cmd *c, uint32_t ms);

/* --- mfi_io.c --- */

void mfi_exec_io(struct cmd *c);
struct unit *mfi_unit_of(const struct cmd *c);

/* --- mfi_dcmd.c --- */

void mfi_exec_dcmd(struct cmd *c);
void mfi_exec_abort(struct cmd *c);

/* --- fusion_map.c --- */

void mfi_exec_map(struct cmd *c);
void mfi_map_changed(struct mfi *m);

/* --- fusion_pd.c --- */

void mfi_exec_pd_map(struct cmd *c);
void mfi_pd_changed(struct mfi *m, const struct unit *u, enum unit_change what);

/* --- mfi_event.c --- */

enum event_locale { LOCALE_LD = 0x01, LOCALE_PD = 0x02, LOCALE_CTRL = 0x20 };
void mfi_events_init(struct mfi *m);
void mfi_event(
	struct mfi *m, uint32_t code, int8_t class, uint16_t locale, const struct unit *u, const char *text);
uint8_t mfi_event_get_info(struct mfi *m, uint8_t *p, uint32_t *len);
/* True when the command stays with firmware. */
bool mfi_event_wait(struct cmd *c);

#endif
