/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to the MFI driver: one controller, and what its files offer each other. */
#ifndef HBAD_HBA_MEGARAID_MFI_H
#define HBAD_HBA_MEGARAID_MFI_H

#include "base/clock.h"
#include "base/log.h"
#include "hba/hba.h"
#include "hba/sense.h"
#include "mfi_regs.h"

struct mfi;
struct mfi_dcmd;

/* How long firmware may take. Tests have their own. Milliseconds. */
struct mfi_times {
	uint32_t poll;	     /* between two looks at the state or a diagnostic register */
	uint32_t state;	     /* in one value of the state word [2.3] */
	uint32_t bring_up;   /* to READY, whatever it shows meanwhile */
	uint32_t soft;	     /* to READY after the doorbell, before the adapter is reset */
	uint32_t key;	     /* from the diagnostic key to the first look */
	uint32_t diag;	     /* until the diagnostic register is writable */
	uint32_t diag_reset; /* until the first look at the reset bit */
	uint32_t diag_end;   /* until the reset bit is clear again */
	uint32_t settle;     /* after an adapter reset [2.5] */
	uint32_t dcmd;	     /* a DCMD, an INIT */
	uint32_t health;     /* between two looks at the state word while running */
};

/* A generation [1.3, 2.4, 2.5, 3.9]. */
struct mfi_iop {
	const char *name;   /* "gen2" */
	const char *driver; /* "megaraid-mfi" */
	uint16_t doorbell;
	uint16_t ack;	     /* the status read is written back here... */
	uint16_t ack_flush;  /* ... and this is read to push it out */
	bool ack_always;     /* also when the status was 0 */
	uint32_t enable_ack; /* written to ack before unmasking; 0: nothing */
	uint32_t enable_mask;
	uint32_t intr_state; /* "look at the state word"; 0: no such bit */
	/* Tells firmware of a frame (64-byte aligned, below 4 GiB) that goes on for extra times 64 bytes. */
	void (*fire)(struct mfi *m, uint32_t frame, unsigned extra);
	/* One step of an adapter reset, as hba_ops.reset_step; 0 when the settling time is over. */
	int (*reset_step)(struct mfi *m, unsigned *phase, uint64_t now, uint64_t *next);
	uint16_t diag_key, diag; /* for reset_step of the diagnostic kind */
	/* Takes all replies there are. */
	int (*drain)(struct mfi *m);
	/* Sends a CDB without data to the request's unit. */
	void (*send_cdb)(struct mfi *m, struct hba_req *req, const uint8_t *cdb, uint8_t cdb_len);
	/* Fills in result, status and sense of a request that was answered. */
	void (*result)(struct mfi *m, struct hba_req *req);
	/* Optional: what is asked for behind a new list of drives; false: nothing, this time. And its answer, which firmware
	 * could still change. */
	bool (*ask_drives)(const struct mfi *m, struct mfi_dcmd *ret);
	void (*drives_told)(struct mfi *m, const void *data);
	bool keeps_wait; /* may say that it has aborted the wait for events, and not end it, as QEMU [7.2] */
	bool posts_polled;  /* a reply comes for polled commands too, and is waited for [5.10] */
	bool wide;	    /* knows more than 64 logical drives, and drives' ids of 16 bits */
	uint8_t read_again; /* registers that read 0 may not mean it [1.3] */
	const struct mfi_times *times;
};

/* --- slots: a frame each, found by index. The first limits.queue_depth are the requests', by tag. --- */

enum mfi_internal {
	MFI_SLOT_POLLED,
	MFI_SLOT_FLUSH,
	MFI_SLOT_EVENT,
	MFI_SLOT_EVENT_ABORT,
	MFI_SLOT_ABORT,
	MFI_N_ABORTS = 2
};
#define MFI_INTERNAL (MFI_SLOT_ABORT + MFI_N_ABORTS)

struct mfi_slot {
	uint16_t use; /* counts, so that a repeated or late context is told from the right one */
	bool fired;   /* at firmware, which owes one context for it */
};

/* What the event slot is used for. */
enum mfi_event_step {
	MFI_EVENTS_OFF,
	MFI_EVENTS_WAITING,
	MFI_EVENTS_INFO,
	MFI_EVENTS_LDS,
	MFI_EVENTS_PDS,
	MFI_EVENTS_DRIVES
};

struct mfi {
	struct hba *h;
	const struct mfi_iop *iop;
	unsigned bar;
	uint32_t fw_cmds; /* entries of the reply ring [3.3] */
	uint32_t depth;	  /* slots of requests */
	uint32_t fw_sge;
	bool ieee; /* element format of data SGLs: IEEE, else SG64 */
	bool no_adapter_reset;
	bool no_ld_sync;    /* firmware does not honour SYNCHRONIZE CACHE to logical drives [6.1] */
	uint32_t ctrl_ops3; /* of CTRL_GET_INFO */
	uint16_t ctrl_ops4, ctrl_sge;
	bool many_lds;
	uint8_t pd_interface[HBA_MAX_UNITS]; /* by unit->index */
	uint32_t frame_base;		     /* the first slot that has a frame */
	enum pci_irq_kind irq;
	struct dma_arena frames, sense, control;
	struct mfi_slot *slot; /* depth + MFI_INTERNAL */

	/* reply ring */
	uint32_t consumer;
	uint32_t polled_len; /* data of the DCMD in the polled slot */
	bool polled_untold;  /* no capture was told of its answer yet */
	bool polled_lost;    /* firmware never answered the polled slot: it may still write there */
	bool live;	     /* new commands may be sent by the driver itself: I/O thread */
	bool adopted;	     /* start() finds firmware running, with our queues */
	uint64_t health_ns;  /* when the state word was last looked at */
	struct log_limit context_limit;

	/* flush.c */
	struct list flush_next, flush_now;

	/* event.c */
	struct {
		enum mfi_event_step step;
		uint32_t next; /* sequence number waited for */
		bool known;    /* that number: the log's end was found */
		bool lds_changed, pds_changed;
		bool lost;	 /* atomic, for tests: firmware does not answer what was asked */
		bool refused;	 /* the last wait */
		bool kept;	 /* firmware has aborted the wait, it says, and has not ended it */
		uint64_t due_ns; /* of what was asked, or after a refusal; a wait has none */
		uint64_t blocks[HBA_MAX_UNITS]; /* of units by the last list, and 1; 0: none had them */
		struct log_limit limit;
	} event;

	/* firmware.c, reset.c */
	struct {
		uint32_t word;
		uint64_t since_ns, started_ns;
		bool faulted; /* FAULT is waited for, not failed: an adapter reset is under way */
	} boot;
	struct {
		unsigned sub;
		uint64_t until_ns;
		unsigned tries; /* adapter resets */
	} reset;
};

static inline struct mfi *mfi_of(const struct hba *h)
{
	return h->drv;
}

/* Of MFI frames a target is one byte. A larger id cut to a byte would be another disk. */
static inline bool mfi_can_name(const struct mfi *m, unsigned target)
{
	return target <= (m->iop->wide ? UINT16_MAX - 1u : UINT8_MAX);
}

/* Layout of the control arena. Producer and consumer have their own cache lines. */
enum mfi_control {
	MFI_CTL_PRODUCER = 0x000,
	MFI_CTL_CONSUMER = 0x080,
	MFI_CTL_QUEUE_INFO = 0x100,
	MFI_CTL_DUMMY = 0x200, /* what a command without data points to [7.2] */
	MFI_CTL_DUMMY_LEN = 0x200,
	MFI_CTL_DATA = 0x1000, /* of DCMDs */
	MFI_CTL_DATA_LEN = 0x2000,
	MFI_CTL_EVENT = 0x3000, /* of the event slot */
	MFI_CTL_EVENT_LEN = 0x2000,
	MFI_CTL_RING = 0x5000,
};

/* --- registers */

static inline uint32_t mfi_read(const struct mfi *m, unsigned reg)
{
	uint32_t v = pci_read32(m->h->pci, m->bar, reg);

	for (unsigned n = m->iop->read_again; unlikely(!v && n); n--)
		v = pci_read32(m->h->pci, m->bar, reg);
	return v;
}
static inline void mfi_write(const struct mfi *m, unsigned reg, uint32_t val)
{
	pci_write32(m->h->pci, m->bar, reg, val);
}

static inline void mfi_write64(const struct mfi *m, unsigned reg, uint64_t val)
{
	pci_write64(m->h->pci, m->bar, reg, val);
}

/* --- iop.c */

extern const struct mfi_iop mfi_iop_gen1, mfi_iop_gen2, mfi_iop_skinny;
void mfi_intr_mask(struct mfi *m);
void mfi_intr_unmask(struct mfi *m);
/* Reads and acknowledges the interrupt status. Returns it. */
uint32_t mfi_intr_ack(struct mfi *m);

/* --- firmware.c */

/* Starts to bring firmware to READY. tolerate_fault: right after an adapter reset. */
void mfi_boot_start(struct mfi *m, uint64_t now, bool tolerate_fault);
/* One look. 0: READY. 1: look again at *next. -ENODEV: all ones. -EIO: FAULT. -EPROTO: unknown state.
 * -ETIMEDOUT. */
int mfi_boot_step(struct mfi *m, uint64_t now, uint64_t *next);
/* The same, blocking; with an adapter reset and a second attempt if the first fails. */
int mfi_boot(struct mfi *m, struct err *e);
/* "FAULT (code 123h)" */
const char *mfi_state_text(uint32_t word, char *buf, size_t size);

/* --- frame.c: pure; addresses in, bytes out */

enum mfi_sgl { MFI_SG32, MFI_SG64, MFI_SG_IEEE };

/* A data command. LD_READ and LD_WRITE use lba, blocks and access; the SCSI ones cdb and bytes. */
struct mfi_io {
	enum mfi_cmd cmd;
	uint8_t target;
	uint8_t access;
	uint32_t context;
	uint32_t sense;
	uint64_t lba;
	uint32_t blocks, bytes;
	const uint8_t *cdb;
	uint8_t cdb_len;
	enum dma_dir dir;
	enum mfi_sgl format;
	const struct dma_seg *seg;
	uint32_t n_seg;
};

/* How many elements fit behind the frame head of the larger (SCSI) kind. */
uint32_t mfi_sgl_room(enum mfi_sgl format);
/* Writes the frame; returns the number of extra frames to announce. */
unsigned mfi_build_io(void *frame, const struct mfi_io *io);

struct mfi_dcmd {
	uint32_t opcode;
	uint8_t mbox[12];
	enum dma_dir dir;
	uint32_t len;
};

void mfi_build_dcmd(void *frame, uint32_t context, bool post, const struct mfi_dcmd *d, uint32_t data);
void mfi_build_abort(void *frame, uint32_t context, uint32_t victim_context, uint64_t victim_frame);
void mfi_build_init(void *frame, uint32_t context, uint64_t queue_info);
void mfi_build_queue_info(void *info, uint32_t entries, uint64_t ring, uint64_t producer, uint64_t consumer);

/* --- mfi.c */

/* Finds and maps the registers. */
int mfi_find_bar(struct mfi *m, struct err *e);
/* NULL: no memory */
struct mfi *mfi_new(struct hba *h, const struct hba_match *match);
/* What firmware offers: of the state word in m->boot. */
int mfi_declare_limits(struct mfi *m, struct err *e);
int mfi_alloc_slots(struct mfi *m, struct err *e);

/* An arena and how it is to be. */
struct mfi_memory {
	const char *name;
	uint64_t size;
	struct dma_arena *arena;
};
#define MFI_N_MEMORY 3
void mfi_memory(struct mfi *m, struct mfi_memory ret[MFI_N_MEMORY]);
/* Caches on disk, by firmware's own command. */
int mfi_flush_polled(struct mfi *m, const char *what, struct err *e);

/* --- queue.c */

/* Zeroes ring, indices and slots: nothing is at firmware. */
void mfi_queue_reset(struct mfi *m);
static inline void *mfi_frame(const struct mfi *m, uint32_t slot)
{
	return m->frames.cpu + (size_t)(slot - m->frame_base) * MFI_FRAME_SLOT;
}
static inline uint32_t mfi_frame_addr(const struct mfi *m, uint32_t slot)
{
	return (uint32_t)m->frames.iova + (slot - m->frame_base) * MFI_FRAME_SLOT;
}
/* Claims a slot for one use and returns the context that will come back. */
uint32_t mfi_slot_use(struct mfi *m, uint32_t slot);
uint32_t mfi_slot_context(const struct mfi *m, uint32_t slot);
void mfi_fire(struct mfi *m, uint32_t slot, unsigned extra);
/* Tells a capture of firmware's word on a slot, behind the data of a polled DCMD. */
void mfi_note_status(struct mfi *m, uint32_t slot);
/* Firmware's word on a slot, read once. */
uint8_t mfi_cmd_status(const struct mfi *m, uint32_t slot);
/* hba_ops.poll */
int mfi_poll(struct hba *h);
/* Takes what is in the ring without any other look at the device. 0; 1 when there is more than one call takes; -EIO
 * when something there was wild. */
int mfi_ring_drain(struct mfi *m);
/* INIT: step 0 fires, then it is polled. 0 done, 1 wait, -errno. */
void mfi_init_fire(struct mfi *m);
int mfi_init_check(struct mfi *m);
/* How the polled frame of INIT, or of Fusion's IOC INIT, ended: 0 with the state word that was read after it, 1 wait,
 * -errno. what: its name, for the log. */
int mfi_init_verdict(struct mfi *m, const char *what, uint32_t *ret_word);

/* --- dcmd.c */

/* Runs a DCMD without data or with data-in, and waits; set-up thread, or whoever owns the hba alone. 0 and
 * firmware's status in *ret_status, or -ETIMEDOUT, -EIO (FAULT), -ENODEV: then the frame stays firmware's until the
 * next INIT, and -EBUSY is the answer to further ones. */
int mfi_dcmd(struct mfi *m, const struct mfi_dcmd *d, void *data, uint8_t *ret_status);
/* mfi_dcmd() that turns a status into a sentence and -EIO. */
int mfi_dcmd_ok(struct mfi *m, const struct mfi_dcmd *d, void *data, const char *what, struct err *e);
/* Polls a fired slot's status. */
int mfi_wait_status(struct mfi *m, uint32_t slot, uint32_t timeout_ms, uint8_t *ret_status);
/* So many milliseconds from now, or hba->stop_until_ns if that is sooner: what this file waits for is over by then. */
uint64_t mfi_until(const struct mfi *m, uint32_t ms);

/* --- io.c */

void mfi_submit(struct hba *h, struct hba_req *req);
int mfi_abort(struct hba *h, struct hba_req *req);
/* A context came back for the frame of this request. */
void mfi_request_reply(struct mfi *m, struct hba_req *req);
/* Fills in result, status and sense from the slot's frame. */
void mfi_result(struct mfi *m, struct hba_req *req);
/* The same from firmware's word, read once, and the memory where sense data would be. */
void mfi_verdict(struct hba_req *req, uint8_t status, uint8_t scsi_status, const uint8_t *sense);
/* Sends a CDB without data to the request's unit. */
void mfi_send_cdb(struct mfi *m, struct hba_req *req, const uint8_t *cdb, uint8_t cdb_len);

/* --- flush.c */

void mfi_flush_submit(struct mfi *m, struct hba_req *req);
void mfi_flush_reply(struct mfi *m, struct hba_req *req);
void mfi_flush_dcmd_reply(struct mfi *m);
/* True while req's frame is at firmware, so that it can be aborted. */
bool mfi_flush_abortable(const struct hba_req *req);
/* All flushes are somebody else's again: before a reset, and at the end. */
void mfi_flush_forget(struct mfi *m);

/* --- discover.c */

int mfi_discover(struct mfi *m, struct err *e);
/* LD_GET_LIST, as this firmware takes it */
struct mfi_dcmd mfi_ld_list_dcmd(const struct mfi *m);
enum hba_unit_state mfi_ld_state(uint8_t state);
/* Printable ASCII, blanks trimmed at both ends. dst holds n + 1 bytes. */
void mfi_clean_text(char *dst, const char *src, size_t n);

/* --- event.c --- */

/* Learns where the event log ends, by polling. */
int mfi_events_find(struct mfi *m, struct err *e);
/* Waits from the first event that was not seen: what happened meanwhile is told first. When that is not known, from the
 * log's end, which is asked for. */
void mfi_events_resume(struct mfi *m);
/* The event slot was answered. */
void mfi_event_reply(struct mfi *m);
/* Firmware has started anew: nothing is taken to be as it was, whatever its log tells. */
void mfi_events_doubt(struct mfi *m);
/* Once in a while: says so when firmware does not answer, and looks at the units when it does not tell of events. */
void mfi_events_check(struct mfi *m, uint64_t now);
/* Takes the wait back, by polling. 0; -errno; 1: firmware says that it has, but it is still there (event.kept). */
int mfi_events_stop(struct mfi *m);

/* --- handover.c: from one process to the next */

int mfi_freeze(struct hba *h, struct hba_frozen *ret, struct err *e);
int mfi_adopt(struct hba *h, const struct hba_match *match, struct hba_frozen *f, struct err *e);
/* In start(), in place of INIT: one command through the adopted ring and back. */
int mfi_prove(struct mfi *m, struct err *e);
/* The parts that Fusion has too. */
/* ... OPERATIONAL? With the state word. */
int mfi_still_runs(const struct mfi *m, uint32_t *ret_word, struct err *e);
void mfi_leave_memory(const struct mfi_memory *have, unsigned n, struct hba_frozen *ret);
int mfi_adopt_memory(
	struct mfi *m, const struct mfi_memory *want, unsigned n, struct hba_frozen *f, struct err *e);
/* Use counts go on where the frames say that they were. */
void mfi_adopt_slots(struct mfi *m);

/* --- reset.c */

int mfi_reset_step(struct hba *h, unsigned *phase, uint64_t now, uint64_t *next);

#endif
