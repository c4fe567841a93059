/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to the AME driver: one box, and what its files offer each other.
 *
 * A slot is a request frame with its list of segments and its sense block, found by index: the first few are the
 * driver's own, the others carry requests. Its message identifier is (index + 1) << 2, as the vendor's driver has it,
 * so a reply says nothing of the command but its slot. That is why there are more slots than requests, and the one
 * that has been free for longest is taken: a reply that comes twice finds its slot empty, and so does one that comes when
 * its command was forgotten (carrier.c).
 *
 * Reply frames belong to no slot: each is either ours (spare) or the box's (lent).
 */
#ifndef HBAD_HBA_AME_BOX_H
#define HBAD_HBA_AME_BOX_H

#include <string.h>

#include "ame_wire.h"
#include "base/clock.h"
#include "base/log.h"
#include "hba/hba.h"
#include "hba/sense.h"

/* How long the box may take, and how long it is left alone. Tests have their own. Milliseconds. */
struct ame_times {
	uint32_t settle; /* after the box was told to forget, before it is talked to */
	uint32_t look;	 /* between two looks at a box that is starting */
	uint32_t strict; /* so long only the ready bit counts as ready, then anything */
	uint32_t ready;	 /* from the host's address to the box's answer */
	uint32_t boot;	 /* from a reset, or a restart of its own, to firmware that is up */
	uint32_t away;	 /* from the notice that it restarts until it does */
	uint32_t
		linger; /* commands that the box says to have given up may still reach for memory: it is kept from them */
	uint32_t exile;	     /* ... and may still be answered, after that: their identifiers are not used */
	uint32_t pause;	     /* from pause to resume */
	uint32_t inband;     /* a page, the event switch */
	uint32_t retry;	     /* before a page that could not be had is asked for again */
	uint32_t polled;     /* a SCSI command of set-up */
	uint32_t health;     /* between two looks at configuration space while running */
	uint32_t fast, slow; /* without an interrupt: between two polls while there are commands, or none */
};

/* Generations differ by this table. */
struct ame_family {
	const char *name;
	uint8_t bar;
	bool doorbells;	  /* the 2208's and 3108's way of starting, and their notices */
	bool ask_room;	  /* the request port is read before each request */
	bool ring_frames; /* empty reply frames go through a short ring, with a doorbell for each */
	bool sge16;	  /* reads and writes have elements of 16 bytes */
	bool mark_last;	  /* ... the last of which is marked */
	uint32_t mask_all, mask_run;
	const struct ame_times *times;
};
extern const struct ame_family ame_341, ame_2208, ame_3108;

enum ame_own_slot { AME_SLOT_INBAND, AME_SLOT_SWITCH, AME_SLOT_POLLED, AME_SLOT_TASK, AME_N_TASKS = 4 };
#define AME_N_OWN      (AME_SLOT_TASK + AME_N_TASKS)
#define AME_DEPTH      448 /* what the vendor's driver tells its SCSI layer */
#define AME_N_CARRIERS (AME_MAX_SLOTS - AME_N_OWN)
static_assert(AME_DEPTH < AME_N_CARRIERS, "a slot is always free for a request");
/* A power of two: the counters of the ring of free ones run on beyond 2^32. */
#define AME_CARRIER_RING 512
static_assert(AME_CARRIER_RING >= AME_N_CARRIERS && !(AME_CARRIER_RING & (AME_CARRIER_RING - 1)), "a ring");

/* Layout of a slot's memory. The list is also where a flush has the answer of its MODE SENSE. */
enum ame_slot_layout {
	AME_AT_FRAME = 0x000,
	AME_AT_LIST = 0x200,
	AME_AT_SENSE = 0xa00,
	AME_SLOT_SIZE = 0xb00,
};
#define AME_LIST_BYTES (AME_AT_SENSE - AME_AT_LIST)
static_assert(AME_LIST_BYTES >= HBA_MAX_SEGMENTS * sizeof(struct ame_sge), "list");
static_assert(AME_SLOT_SIZE % AME_ALIGN == 0 && AME_AT_SENSE + AME_SENSE_SIZE <= AME_SLOT_SIZE, "slot");
#define AME_REPLY_STRIDE AME_ALIGN
#define AME_DATA_BYTES	 4096 /* of polled commands */

struct ame_slot {
	bool at_box;
	bool exiled;	  /* see carrier.c */
	uint8_t function; /* what an answer must be about */
	uint32_t tag;	  /* of the request that it carries */
	uint64_t fired_ns;
};

struct ame_task_slot {
	bool refused;	/* answered, but not with success */
	bool lun_reset; /* the second attempt */
	uint32_t tag, generation;
};

enum ame_shake { AME_SHAKE_SETTLE, AME_SHAKE_READY };

struct ame {
	struct hba *h;
	const struct ame_family *family;
	enum pci_irq_kind irq;
	uint32_t saved_bar[2];
	uint16_t saved_command; /* 0: not yet saved */
	bool muted;		/* bus mastering was taken from it, so that it is off says nothing */
	uint32_t mask_read;	/* how the interrupt mask reads while all is well */
	bool mask_restless;	/* ... or it tells nothing */

	struct dma_arena mem;
	uint8_t *slot_mem, *reply_mem, *page_mem, *data_mem; /* in mem */
	struct ame_slot slot[AME_MAX_SLOTS];
	uint16_t carrier[AME_CARRIER_RING]; /* free ones: from carrier_out to carrier_in, modulo its size */
	uint32_t carrier_in, carrier_out;
	uint16_t exile[AME_N_CARRIERS]; /* by age */
	uint32_t n_exile;
	uint64_t exile_until_ns;    /* counts from the end of a recovery */
	int16_t slot_of[AME_DEPTH]; /* by tag; -1: not at the box */
	uint32_t n_at_box;
	bool pace_fast; /* without an interrupt */
	bool lent[AME_REPLY_FRAMES];
	uint16_t spare[AME_REPLY_FRAMES]; /* frames to be lent */
	uint32_t n_spare;

	struct list waiting; /* requests that have no room, or a pause: by drv_link */
	struct list local;   /* requests that end with the next poll without having been at the box */
	bool paused;
	uint64_t paused_ns;
	uint64_t restart_ns; /* when the box said that it restarts, or 0 */
	uint64_t health_ns;

	struct ame_task_slot task[AME_N_TASKS];
	bool no_tasks;	   /* firmware knows no task management */
	bool unforgetting; /* ... and has answered commands that it had given up */

	/* management, while running */
	bool want_switch, want_map, map_stale; /* stale: it changed while it was read */
	unsigned page_tries;
	uint64_t page_after_ns;
	bool map_known;
	uint16_t map[AME_MAX_LUNS];

	bool polled_done;
	struct ame_reply polled_reply;
	bool polled_fast;

	struct {
		enum ame_shake step;
		bool recovery;
		uint64_t until_ns, strict_until_ns, settled_ns;
	} shake;
	struct {
		bool flushed;	/* firmware said that it has given up all commands */
		bool restarted; /* ... that it restarts, or was seen to have */
		bool proven;	/* no command of before can be at work */
		bool awaited;	/* a restart that did not come */
		unsigned tries;
		uint64_t until_ns, linger_ns;
	} reset;
	struct log_limit garbage_limit, event_limit, failure_limit, notice_limit;
	struct {
		uint64_t luns, records, restart, flush, pause, resume, unknown;
	} seen;
};

static inline struct ame *ame_of(const struct hba *h)
{
	return h->drv;
}

static inline const struct ame_times *ame_times(const struct ame *a)
{
	return a->family->times;
}

/* Nothing is sent while the box does not want it. */
static inline bool ame_held(const struct ame *a)
{
	return a->paused || a->restart_ns;
}
static inline uint32_t ame_id(uint32_t slot)
{
	return (slot + 1) << AME_ID_SHIFT;
}

static inline uint8_t *ame_slot_at(const struct ame *a, uint32_t slot, enum ame_slot_layout at)
{
	return a->slot_mem + (size_t)slot * AME_SLOT_SIZE + at;
}
static inline uint8_t *ame_reply_at(const struct ame *a, uint32_t frame)
{
	return a->reply_mem + (size_t)frame * AME_REPLY_STRIDE;
}
static inline uint64_t ame_iova(const struct ame *a, const void *cpu)
{
	return a->mem.iova + (uint64_t)((const uint8_t *)cpu - a->mem.cpu);
}

static inline uint32_t ame_read(const struct ame *a, enum ame_reg reg)
{
	return pci_read32(a->h->pci, a->family->bar, reg);
}
static inline void ame_write(const struct ame *a, enum ame_reg reg, uint32_t val)
{
	pci_write32(a->h->pci, a->family->bar, reg, val);
}

/* --- hw.c: registers, configuration space, start of a conversation --- */

enum ame_presence { AME_HERE, AME_FORGOT /* its configuration: it has restarted */, AME_GONE };
enum ame_presence ame_look(const struct ame *a);
/* Has it started anew, by its configuration or by its interrupt mask? p is from ame_look(). */
bool ame_restarted(const struct ame *a, enum ame_presence p);
int ame_save_config(struct ame *a, struct err *e);
/* It is no bus master from now on, until it is talked to. */
void ame_mute(struct ame *a);
/* Gives back what it forgot; without bus mastering. */
void ame_restore_config(struct ame *a);
/* Begins anew: the box forgets reply frames. Of what else it forgets, see reset.c. */
void ame_shake_begin(struct ame *a, bool recovery, uint64_t now);
/* 1: look again at *next; 0: it answered; -ENODEV, -ETIMEDOUT. */
int ame_shake_step(struct ame *a, uint64_t now, uint64_t *next);
/* No interrupts, and no DMA into reply frames. */
void ame_hush(struct ame *a);
/* Room for a request? Each yes must be followed by one write. */
bool ame_has_room(const struct ame *a);
/* All reply frames are ours again. */
void ame_frames_take_back(struct ame *a);
/* Lends what is spare, as far as the box takes it now. */
void ame_frames_lend(struct ame *a);
/* By the address in a message: the frame's number, or -1 when the box has not got such a frame. */
int ame_frame_by_message(const struct ame *a, uint32_t message);
void ame_frame_returned(struct ame *a, uint32_t frame);

/* --- frame.c: pure, but for the slot's memory --- */

struct ame_cmd {
	uint8_t lun;
	const uint8_t *cdb;
	uint8_t cdb_len;
	enum dma_dir dir;
	const struct dma_seg *seg;
	uint32_t n_seg;
};
/* Does this CDB have elements of 16 bytes, where there are such? */
bool ame_is_rw(uint8_t opcode);
uint8_t ame_rw_cdb(const struct hba_req *req, uint8_t cdb[AME_MAX_CDB]);
void ame_build_scsi(struct ame *a, uint32_t slot, const struct ame_cmd *c);
void ame_build_page(struct ame *a, uint32_t slot, uint8_t page, uint64_t to);
void ame_build_switch(struct ame *a, uint32_t slot, bool on);
void ame_build_task(struct ame *a, uint32_t slot, enum ame_task_type type, uint8_t lun, uint32_t victim);
/* Result fields of req, whose command moves len bytes, from a fast reply, or from a reply frame and the sense block
 * that it may point to. */
void ame_result_fast(struct hba_req *req, uint32_t len);
void ame_result(struct hba_req *req, uint32_t len, const struct ame_reply *r, const struct ame_sense *s);

/* --- carrier.c --- */

void ame_carriers_init(struct ame *a);
bool ame_carrier_free(const struct ame *a);
/* There is a free one. */
uint32_t ame_carrier_take(struct ame *a, uint32_t tag);
void ame_carrier_put(struct ame *a, uint32_t slot);
/* Those that are at the box, before they are forgotten. */
void ame_carriers_exile(struct ame *a);
/* None of the commands of before is at work any more, or nobody believes in it. */
void ame_carriers_pardon(struct ame *a);

/* --- io.c --- */

void ame_submit(struct hba *h, struct hba_req *req);
int ame_poll(struct hba *h);
/* Hands a built frame to the box; there must be room. */
void ame_fire(struct ame *a, uint32_t slot, enum ame_function function);
/* Takes all answers and notices. 0; 1: there is more than one call takes; -EIO, -ENODEV. */
int ame_drain(struct ame *a);
/* Throws away what the box says; bounded. How many of it were answers to commands of before: to those in exile, or all. What
 * comes in frames may be news as well, so it does not count. */
unsigned ame_drop_replies(struct ame *a, bool all);
/* All requests are the core's again: before a reset, and at the end. */
void ame_forget(struct ame *a);
/* If it is not at the box, it ends with the next poll; false: it is at the box. */
bool ame_give_up_waiting(struct ame *a, struct hba_req *req);

/* --- pace.c: what calls for a poll --- */

/* The line; a timer in its place when there is none that can be used. */
int ame_irq_enable(struct ame *a, struct err *e);
/* Something went to the box, or came from it. */
void ame_pace(struct ame *a);
/* Another poll, after the other descriptors had theirs. */
void ame_wake(struct ame *a);

/* --- flush.c: HBA_REQ_FLUSH, in steps --- */

void ame_flush_cdb(struct ame *a, const struct hba_req *req, uint32_t slot, struct ame_cmd *c,
	struct dma_seg *seg, uint8_t cdb[AME_MAX_CDB]);
/* How many bytes this step moves. */
uint32_t ame_flush_len(const struct hba_req *req);
/* Write cache enable, from a mode parameter list of MODE SENSE (6) with the caching page; -1: it does not say. */
int ame_caching_wce(const uint8_t *mode, uint32_t len);
/* The result of a step is in req. True: the next step is to be sent. */
bool ame_flush_next(struct ame *a, struct hba_req *req, uint32_t slot);

/* --- notice.c: the outbound doorbell --- */

/* 0; -EIO: it cannot be cleared, or asks for a reset; -ENODEV: all ones */
int ame_notices(struct ame *a);
/* Once per health interval. */
int ame_notice_limits(struct ame *a, uint64_t now);

/* --- task.c: task management; see there --- */

int ame_abort(struct hba *h, struct hba_req *req);
void ame_task_reply(struct ame *a, uint32_t slot, const struct ame_reply *r);
/* Commands whose abort was refused, and which did not come back since, lose their whole unit's task set. */
void ame_escalate(struct ame *a);

/* --- manage.c: the LUN map and the event switch, while running --- */

void ame_manage(struct ame *a, uint64_t now);
/* -EIO: the box does not answer. */
int ame_manage_limits(const struct ame *a, uint64_t now);
void ame_inband_reply(struct ame *a, const struct ame_reply *r);
void ame_event_reply(struct ame *a, const struct ame_reply *r);
uint16_t ame_map_entry(const struct ame *a, unsigned lun);

/* --- discover.c: set-up thread, by polling --- */

int ame_discover(struct ame *a, struct err *e);
/* For the orderly end, within what hba_ops.shutdown() has. */
int ame_events_off(struct ame *a, struct err *e);

/* --- reset.c --- */

int ame_reset_step(struct hba *h, unsigned *phase, uint64_t now, uint64_t *next);

/* --- note.c: for captures, pci_note() */

/* Right before the box is told of the slot's frame. */
void ame_note_request(const struct ame *a, uint32_t slot);
/* When the box has said m, before anything is done about it. */
void ame_note_message(const struct ame *a, uint32_t m);

#endif
