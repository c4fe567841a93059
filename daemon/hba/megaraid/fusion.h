/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to the Fusion driver: one controller, and what its files offer each other.
 *
 * It is an MFI controller (struct mfi) whose commands travel differently. A request at firmware has a SMID, which
 * names its request frame, sense and chain memory, and comes back in a reply descriptor. SMIDs:
 *
 *   1 .. n_io              requests; taken from a queue of free ones, so that a number is used again as late as can
 *                          be, and a reply that comes twice names nobody instead of the next request
 *   slot_smid + n          the internal MFI frames (slot depth + n of struct mfi), wrapped
 *   task_smid + n          task management
 *
 * With lanes (hba.h) each has its share of 1 .. n_io and of reply queues: reads and writes name their lane's, everything
 * else the first one, as other drivers do, too. What the first lane finds there for others it hands on by message; nobody
 * else may find such a thing. Queues without a lane are the first one's; lanes without a queue use the first.
 */
#ifndef HBAD_HBA_MEGARAID_FUSION_H
#define HBAD_HBA_MEGARAID_FUSION_H

#include "fusion_regs.h"
#include "mfi.h"

/* A generation [1.1, 5]. */
struct fusion_gen {
	struct mfi_iop iop;
	enum fusion_type ld_rw;	 /* of the descriptor of a logical drive's read or write */
	bool old_queue_count;	 /* number of reply queues in pad 1 bits 4:0 */
	bool marks_end;		 /* elements: the last is marked, chains are plain system memory */
	bool g35;		 /* RAID context of the later kind */
	bool ext_depth;		 /* pad 2 says how many commands there may be */
	bool atomic;		 /* descriptors of 32 bits, if pad 1 says so */
	unsigned combined_above; /* with more queues, host indices have their own registers */
	uint64_t data_addr_max;
};

#define FUSION_QUEUES_MAX 16
#define FUSION_SMIDS_MAX  2048
#define FUSION_DEPTH_MAX  1024
#define FUSION_SPARE	  16 /* at least so many numbers are free at any time */
#define FUSION_CHAIN_SLOT 2048
#define FUSION_N_TASKS	  4
#define FUSION_AGAIN_MAX  8
static_assert(
	(HBA_MAX_SEGMENTS - FUSION_SGE_SLOTS + 1) * sizeof(struct fusion_sge) <= FUSION_CHAIN_SLOT, "chain");

enum fusion_fired { FUSION_IDLE, FUSION_FIRED, FUSION_HANDED_ON };

struct fusion_smid {
	/* enum fusion_fired. Atomic, because whoever finds the descriptor that firmware owes for it may be on another thread
	 * than who has sent the command. The owner fires it (release: what follows was written before) and makes it idle
	 * again; in between whoever finds its descriptor claims it, once, and hands it on. */
	uint8_t fired;
	bool named;    /* in an abort that is not answered yet... */
	bool kept;     /* ... and so nobody else's, although it has come back */
	uint8_t queue; /* atomic: that the descriptor is owed in */
	uint16_t tag;
	bool stray;		  /* it was in another queue */
	struct loop_msg answered; /* to the owner: it is handed on */
	struct fusion *f;
};
static_assert(FUSION_SPARE > FUSION_N_TASKS, "an abort keeps one number from use");

/* What a request of the core has here, by tag. */
struct fusion_tag {
	uint16_t smid;
	uint8_t again; /* times it was sent again */
	bool plain;    /* without sequence number and fast path, which firmware has refused */
};

struct fusion_queue {
	le64_t *ring;
	uint32_t index; /* of the next descriptor */
	uint8_t apart[HB_APART];
};

/* Of one lane while f->task_owner says so. */
struct fusion_tm {
	bool fired, answered, refused, unit_reset;
	uint32_t tag, generation;
	uint64_t due_ns;
	uint16_t smid; /* that it names; 0: none */
	uint8_t unit;
};

/* After a unit's reset: every lane empties its queue, then every lane sends again what was swept. */
struct fusion_settling {
	struct loop_all all;
	struct fusion *f;
	bool busy;    /* atomic */
	bool sending; /* the second round */
	uint8_t unit;
	uint32_t epoch; /* it was begun in; after a reset of the controller there is nothing to be done */
};

/* Of a system drive, from the PD map; FUSION_NO_HANDLE: none. */
struct fusion_drive {
	uint16_t handle, seq, map_target;
	bool tm; /* task management can name it */
};

/* By unit->index. */
struct fusion_unit {
	/* In one piece: the first lane writes it while others send. */
	_Alignas(8) struct fusion_drive drive;
	uint8_t resetting; /* atomic: a bit for each lane that puts aside what its reset ends */
};
static_assert(sizeof(struct fusion_drive) == 8 && HBA_MAX_LANES <= 8, "one access");

/* What one lane has; its thread's. */
struct fusion_lane {
	uint32_t first_smid, n_smids;
	uint16_t *free_smid; /* a ring of n_smids */
	uint32_t free_first, n_free;
	struct list swept; /* by drv_link: ended by a unit reset that was not meant for them */
	struct log_limit wild_limit, unit_limit;
	uint8_t apart[HB_APART];
};

struct fusion {
	struct mfi m; /* hba->drv points here */
	const struct fusion_gen *gen;
	uint32_t pad1;				      /* before INIT */
	uint32_t n_io, slot_smid, task_smid, n_smids; /* n_smids: the highest */
	uint32_t queue_depth, n_queues, fw_queues;
	uint32_t ring_queues; /* as many have memory */
	bool combined, ext_depth_used, atomic;
	struct dma_arena requests, chains, replies;
	struct fusion_smid *smid; /* n_smids + 1 */
	struct fusion_tag *tag;	  /* m.depth */
	uint16_t *free_smid;	  /* of all lanes */
	uint8_t apart[HB_APART];  /* what all lanes read from what the first one writes */
	struct fusion_lane lane[HBA_MAX_LANES];
	struct fusion_queue queue[FUSION_QUEUES_MAX];
	uint8_t task_owner[FUSION_N_TASKS]; /* atomic: 0, or 1 + the lane that has it */
	struct fusion_tm task[FUSION_N_TASKS];
	struct fusion_settling settling[FUSION_N_TASKS];
	uint32_t epoch; /* of controller resets; changes while lanes are halted */
	struct fusion_unit unit[HBA_MAX_UNITS];
	bool no_seq; /* atomic: firmware has refused sequence numbers of logical drives */
	struct {
		unsigned sub, tries;
		uint64_t until_ns;
	} reset;
	struct {
		uint64_t unit_resets, again, strays; /* atomic */
	} count;
};

static inline struct fusion *fusion_of(const struct mfi *m)
{
	return container_of(m, struct fusion, m);
}

/* Layout of the control arena beside what enum mfi_control names. */
enum fusion_control {
	FUSION_CTL_IOC_INIT = 0x100,
	FUSION_CTL_SIZE = MFI_CTL_EVENT + MFI_CTL_EVENT_LEN,
};

/* --- fusion_gen.c --- */

extern const struct fusion_gen fusion_gen_thunderbolt, fusion_gen_invader, fusion_gen_ventura,
	fusion_gen_aero;

/* --- fusion_frame.c: pure; addresses in, bytes out --- */

struct fusion_io {
	enum fusion_function function;
	bool rw, ld, plain;
	bool fast_path;
	uint16_t handle, target, seq;
	uint16_t timeout_s;
	uint32_t sense;
	uint64_t chain;
	void *chain_cpu;
	const uint8_t *cdb;
	uint8_t cdb_len;
	enum dma_dir dir;
	uint32_t bytes;
	const struct dma_seg *seg;
	uint32_t n_seg;
};

void fusion_build_io(const struct fusion_gen *g, struct fusion_request *f, const struct fusion_io *io);
void fusion_build_pass(struct fusion_request *f, uint64_t frame);
void fusion_build_task(
	struct fusion_task *f, enum fusion_task_type type, bool ld, uint16_t handle, uint16_t smid);
/* The CDB of a read or write; returns its length. */
uint8_t fusion_rw_cdb(const struct hba_req *req, uint8_t cdb[16]);
uint64_t fusion_descriptor(enum fusion_type type, unsigned queue, uint32_t smid, uint16_t handle);

/* --- fusion_queue.c --- */

static inline void *fusion_frame(const struct fusion *f, uint32_t smid)
{
	return f->requests.cpu + (size_t)smid * FUSION_REQUEST_SIZE;
}
static inline uint8_t *fusion_sense(const struct fusion *f, uint32_t smid)
{
	return f->m.sense.cpu + (size_t)smid * MFI_SENSE_SLOT;
}
/* Is it with firmware, or on its way back to its owner? Any thread that owns it. */
static inline bool fusion_is_out(const struct fusion *f, uint32_t smid)
{
	return __atomic_load_n(&f->smid[smid].fired, __ATOMIC_RELAXED) != FUSION_IDLE;
}
/* Nothing is at firmware: queues are filled with "none", all numbers are free. */
void fusion_queue_reset(struct fusion *f);
uint32_t fusion_smid_get(struct fusion *f, unsigned lane, uint32_t tag);
/* An abort names this number: it is not used again before fusion_smid_unname(), lest firmware that looks at the abort
 * late ends another command. */
void fusion_smid_name(struct fusion *f, uint32_t smid);
void fusion_smid_unname(struct fusion *f, uint32_t smid);
/* The queue of a lane's reads and writes. */
unsigned fusion_lane_queue(const struct fusion *f, unsigned lane, uint32_t smid);
/* Sends what is in the frame of smid. */
void fusion_send(struct fusion *f, uint32_t smid, enum fusion_type type, unsigned queue, uint16_t handle);
/* mfi_iop.fire: an internal MFI frame. */
void fusion_fire(struct mfi *m, uint32_t frame, unsigned extra);
/* mfi_iop.drain: takes what is in the reply queues, without any other look at the device: of the first lane, and when the
 * driver does not live, and so no other lane does anything, of all. 0; 1: there is more than one call takes; -EIO:
 * something there was wild. */
int fusion_drain(struct mfi *m);
/* The same of another lane. */
int fusion_drain_lane(struct fusion *f, unsigned lane);
/* hba_ops.poll, hba_ops.poll_lane */
int fusion_poll(struct hba *h);
int fusion_poll_lane(struct hba *h, unsigned lane);

/* --- fusion_init.c --- */

/* Reads what firmware offers, once it is READY. */
int fusion_read_offer(struct fusion *f, struct err *e);
/* What is made of it: of the state word in READY, pad 1, and how many commands there may be. */
int fusion_take_offer(struct fusion *f, struct err *e);
/* Is it still enough for what was made of the first one? */
bool fusion_offer_holds(struct fusion *f);
void fusion_init_fire(struct fusion *f);
/* 0: operational. 1: not yet. -errno. */
int fusion_init_check(struct fusion *f);
/* May the INIT be sent? 0; 1: not yet; -ENODEV. */
int fusion_doorbell_free(const struct fusion *f);
/* All of it, blocking. */
int fusion_init(struct fusion *f, struct err *e);

/* --- fusion_io.c --- */

void fusion_submit(struct hba *h, struct hba_req *req);
void fusion_send_cdb(struct mfi *m, struct hba_req *req, const uint8_t *cdb, uint8_t cdb_len);
void fusion_result(struct mfi *m, struct hba_req *req);
void fusion_request_reply(struct fusion *f, struct hba_req *req);
/* Sends again what the reset of this unit took along. */
void fusion_send_swept(struct fusion *f, unsigned lane, uint8_t unit);
/* Of all lanes. */
void fusion_forget_swept(struct fusion *f);

/* --- fusion_pd.c --- */

/* Asks for handles and sequence numbers of system drives, by polling. */
int fusion_read_pd_map(struct fusion *f, struct err *e);
void fusion_take_pd_map(struct fusion *f, const struct fusion_pd_map *map);
/* mfi_iop.ask_drives, .drives_told: the same by the event slot. */
bool fusion_ask_pd_map(const struct mfi *m, struct mfi_dcmd *ret);
void fusion_pd_map_told(struct mfi *m, const void *data);
/* No drive has a handle: everything goes by firmware. */
void fusion_forget_pd_map(struct fusion *f);
/* Any thread. */
struct fusion_drive fusion_drive_of(const struct fusion *f, const struct hba_unit *u);
void fusion_set_drive(struct fusion_unit *u, const struct fusion_drive *d);

/* --- fusion_task.c --- */

int fusion_abort(struct hba *h, struct hba_req *req);
void fusion_task_reply(struct fusion *f, unsigned n);
/* Looks at the answers of task management of this lane. After all its reply queues were emptied: firmware ends its commands before it
 * says so, but in other queues. Commands whose abort was refused, and which did not come back since, lose their whole
 * unit's task set. */
void fusion_tasks_settle(struct fusion *f, unsigned lane);
/* With all lanes halted. */
void fusion_tasks_forget(struct fusion *f);
/* Once in a while: 0, or -EIO when firmware leaves one without answer. */
int fusion_tasks_check(const struct fusion *f, unsigned lane, uint64_t now);

/* --- fusion.c --- */

#define FUSION_N_MEMORY 6
struct fusion *fusion_new(struct hba *h, const struct fusion_gen *gen);
void fusion_memory(struct fusion *f, struct mfi_memory ret[FUSION_N_MEMORY]);
/* Limits, queues, lanes and tables, of what firmware offers. */
int fusion_declare(struct fusion *f, struct err *e);
/* n_queues rings in the memory of the replies. */
void fusion_place_queues(struct fusion *f);

/* --- fusion_handover.c --- */

int fusion_freeze(struct hba *h, struct hba_frozen *ret, struct err *e);
int fusion_adopt(struct hba *h, const struct hba_match *match, struct hba_frozen *f, struct err *e);

/* --- fusion_reset.c --- */

/* mfi_iop.reset_step: the chip alone */
int fusion_chip_reset(struct mfi *m, unsigned *phase, uint64_t now, uint64_t *next);
int fusion_reset_step(struct hba *h, unsigned *phase, uint64_t now, uint64_t *next);

#endif
