/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A controller (HBA or RAID) and the requests it carries. hba.c is the part that all drivers share: request
 * slots, deadlines, freezing, reset and re-issue. A driver is one const struct hba_ops.
 *
 * Threads. Set-up thread: hba_open, hba_attach, hba_start, hba_drain, hba_stop, hba_close, hba_run (they may block;
 * one thread at a time). I/O thread: everything else. Units and limits are written before hba_start() returns and
 * read-only after it, but for unit->state, and for units that are added (hba_n_units()).
 *
 * A controller has one I/O thread (the one that runs hba->loop), or several, if its driver can: each is a lane, with
 * slots and bounce memory of its own. A request belongs to the lane whose slot it has, from hba_lane_req_get() to
 * hba_req_put(), and is for that lane's thread alone. What drivers have to do for the whole controller is done by the
 * first lane; resets while all others are halted, that is: they serve their loops, but nothing of the driver's.
 *
 * A request has one owner at every moment: its user (from hba_req_get until hba_submit, and from done() until
 * hba_req_put), else the core and its driver. done() is called exactly once for each accepted hba_submit().
 */
#ifndef HBAD_HBA_HBA_H
#define HBAD_HBA_HBA_H

#include "base/list.h"
#include "base/loop.h"
#include "base/tags.h"
#include "dma/dma.h"
#include "pci/pci.h"

#define HBA_MAX_UNITS	 256
#define HBA_MAX_CDB	 32
#define HBA_SENSE_SIZE	 96
#define HBA_MAX_SEGMENTS 128

#define HBA_STOP_MS	 240000 /* all of hba_stop(), also behind a hba_freeze() */

#define HBA_MAX_LANES	 8
#define HBA_LANE_SLOTS	 16 /* each of several has at least so many; a thread for less is not worth it */

struct hba;

/* Declared by the driver in attach(), obeyed by everything above. hba_attach() fails when one is zero. */
struct hba_limits {
	uint32_t max_segments;	    /* per request */
	uint32_t max_segment_bytes; /* per segment */
	uint32_t max_transfer;	    /* bytes per request */
	uint32_t queue_depth;	    /* requests at the hardware at once */
	uint64_t control_addr_max;  /* highest address of frames, sense, rings */
	uint64_t data_addr_max;	    /* highest address of data */
	uint32_t data_align;	    /* bytes: start of each segment */
	uint32_t max_cdb;	    /* bytes of HBA_REQ_CDB's cdb, at most HBA_MAX_CDB */
};

struct hba_info {
	char product[81], serial[33], firmware[97]; /* as firmware gives them, trimmed, printable ASCII */
	char driver[32];			    /* "megaraid-mfi gen2" */
	uint32_t cache_mb;
	bool battery_present;
};

enum hba_unit_kind { HBA_UNIT_LD, HBA_UNIT_PD };
enum hba_unit_state { HBA_UNIT_OFFLINE, HBA_UNIT_DEGRADED, HBA_UNIT_OPTIMAL };

struct hba_unit {
	char name[16]; /* "ld0", "pd8" */
	enum hba_unit_kind kind;
	uint16_t target; /* firmware's target or device id */
	enum hba_unit_state state;
	bool missing; /* firmware does not list it any more: offline, until it does; may change like state */
	/* How often its caches were without power while the controller was not, as far as is known: it was missing, or it has said
	 * so (29/01, 29/04). Atomic. */
	uint32_t outages;
	uint32_t goings; /* of those, how often it was missing. Atomic. */
	/* 1 + goings, of the last time that it said who it is although it was offline; 0: the driver has heard it. Atomic. */
	uint64_t answered;
	uint64_t blocks;      /* from firmware; the SCSI layer takes READ CAPACITY's word where they differ */
	char raid[16];	      /* "RAID 5", or empty */
	bool write_back;      /* the controller acknowledges writes from its cache */
	bool cache_protected; /* ... which survives a power cut (battery) */
	bool disk_cache;      /* member disks may cache volatile */
	bool flush_alone;     /* the driver's shutdown() and freeze() do not flush it: the core does */
	bool unflushed; /* after hba_stop() or hba_freeze(): what it acknowledged may not be on its media */
	uint8_t index;	/* in hba->unit[] */
};

enum hba_req_kind {
	HBA_REQ_RW,  /* lba, nblocks, xfer.dir */
	HBA_REQ_CDB, /* cdb passed to the unit */
	/* Everything that this unit has acknowledged before the request was submitted is on stable media
	 * when it completes GOOD. Drivers do whatever that takes and fail when they cannot know. */
	HBA_REQ_FLUSH,
};

enum hba_result {
	HBA_DONE,     /* the unit answered: scsi_status is valid, and sense with CHECK CONDITION */
	HBA_NO_UNIT,  /* the controller does not know the unit, or it is offline */
	HBA_IO_ERROR, /* firmware failed it without SCSI status; fw_status says how */
	HBA_TIMEOUT,  /* given up after abort or reset; it is proven not to run any more */
	HBA_ABORTED,  /* by hba_abort(); likewise */
	/* The controller is gone or has failed; it is quiet (cannot DMA), or its reset has no end, and then it keeps its memory. */
	HBA_GONE,
};

struct hba_req {
	/* --- the user's, filled before hba_submit() --- */
	const struct hba_unit *unit;
	enum hba_req_kind kind;
	uint64_t lba;
	uint32_t nblocks; /* HBA_REQ_RW: > 0, xfer.len == nblocks * block_size */
	uint32_t block_size;
	bool fua, dpo; /* HBA_REQ_RW. Drivers for which hba->fua_native is false never see fua: the SCSI layer
			* adds a flush. */
	uint8_t cdb[HBA_MAX_CDB];
	uint8_t cdb_len;
	bool no_reissue;      /* HBA_REQ_CDB that must not run twice: ends as HBA_ABORTED after a reset */
	struct dma_xfer xfer; /* dir DMA_NONE and len 0: no data */
	uint32_t timeout_ms;  /* > 0 */
	void (*done)(struct hba_req *req); /* I/O thread */
	void *user;

	/* --- result, valid in done() --- */
	enum hba_result result;
	uint8_t scsi_status;
	uint8_t fw_status;
	uint8_t sense_len;
	uint8_t sense[HBA_SENSE_SIZE];
	/* Bytes that the device moved. MegaRAID firmware does not tell, but for short answers of Fusion: then it is
	 * xfer.len after GOOD and RECOVERED ERROR, 0 after errors. A virtio device does. Pass-through data-in
	 * beyond what the unit sent reads as zeros in any case. */
	uint32_t moved;

	/* --- the core's and the driver's --- */
	struct hba *hba;
	uint8_t lane;
	uint32_t tag;	     /* 0 .. limits.queue_depth - 1: index of frame, sense and SGL */
	uint32_t generation; /* changes each time the slot is used */
	struct dma_seg seg[HBA_MAX_SEGMENTS];
	struct dma_sgl sgl;
	uint64_t deadline_ns;
	uint8_t state; /* enum req_state of core.h */
	uint8_t doom;  /* 0, HBA_TIMEOUT or HBA_ABORTED: its end, unless the unit answers first */
	uint8_t reissues;
	uint8_t drv_step;     /* for drivers whose request takes several frames */
	struct list link;     /* the core's: in flight, held, ending */
	struct list drv_link; /* the driver's, while it is at the hardware */
	struct loop_msg drv_msg;
};

enum hba_state {
	HBA_DOWN, /* not started */
	HBA_RUNNING,
	HBA_RESETTING, /* frozen: requests wait and are re-issued */
	HBA_FAILED,    /* reset did not help; nothing is at the hardware, everything fails */
	HBA_REMOVED,   /* unplugged */
};

/*
 * What a driver leaves behind, so that another process can go on with a controller whose firmware runs (hba_freeze() to
 * hba_adopt()): the memory that firmware knows, and the driver's own words. It travels outside of both processes; drivers
 * believe none of it.
 */
#define HBA_FROZEN_ARENAS 8
#define HBA_FROZEN_BYTES  512

struct hba_frozen_arena {
	uint64_t iova, size;
	int memfd; /* of the one who left it, then of the one who adopts: -1 once it is taken */
};

struct hba_frozen {
	char driver[32]; /* hba_ops.name */
	struct pci_id id;
	unsigned n_arenas;
	struct hba_frozen_arena arena[HBA_FROZEN_ARENAS]; /* in the driver's order */
	uint32_t n_bytes;
	uint8_t bytes[HBA_FROZEN_BYTES]; /* the driver's, little-endian, its own version first */
};

struct hba_match {
	uint16_t vendor, device;
	const void *data; /* driver's constant table for this generation */
	const char *name; /* for people: "SAS2108 (MegaRAID gen 2)" */
};

/* All callbacks Required unless marked. */
struct hba_ops {
	const char *name;
	const struct hba_match *match; /* ends with vendor 0 */
	/* Set-up thread; may block within firmware's own limits. Maps BARs, brings firmware to READY,
	 * declares limits, allocates arenas and hba->drv. No I/O. On failure gives back what it took. */
	int (*attach)(struct hba *h, const struct hba_match *m, struct err *e);
	/* Set-up thread. Initialises queues, reads info and units by polling, enables the interrupt onto
	 * hba->irq_fd. Interrupts may arrive before it returns; nobody looks at irq_fd until then. */
	int (*start)(struct hba *h, struct err *e);
	/* I/O thread. req->sgl is built, data is in place. Must not fail; trouble is a completion (never from
	 * within submit, but from poll). */
	void (*submit)(struct hba *h, struct hba_req *req);
	/* Optional. The lane's thread, once per iteration after a batch of its submits. */
	void (*ring_doorbell)(struct hba *h, unsigned lane);
	/* I/O thread: irq_fd was readable (already drained), or a poll. Calls hba_complete() for each reply.
	 * -ENODEV when registers read all ones, -EIO when firmware misbehaved (core resets). */
	int (*poll)(struct hba *h);
	/* Optional: the controller can have lanes, and this is poll() for one that is not the first. Never asked while the
	 * lane is halted, but once while it is being halted. */
	int (*poll_lane)(struct hba *h, unsigned lane);
	/* I/O thread. Asks firmware to abort; the outcome is hba_complete() of req from poll, or nothing.
	 * -EOPNOTSUPP; -EAGAIN: no place now, it is asked again on each turn of the lane, so that has to be cheap. */
	int (*abort)(struct hba *h, struct hba_req *req);
	/* Optional. I/O thread. This unit, which the driver calls offline, has just said who it is. */
	void (*unit_answers)(struct hba *h, struct hba_unit *u);
	/* I/O thread, with all other lanes halted. One step of a controller reset, never blocking. *phase is 0 at the first call and the
	 * driver's from then on. Returns 1 and the time of the next step, 0 when the controller runs again
	 * with empty queues (all requests handed to submit() before are forgotten), -errno when it is beyond
	 * help (-ENODEV: unplugged). The first step may still complete what firmware had answered. */
	int (*reset_step)(struct hba *h, unsigned *phase, uint64_t now_ns, uint64_t *next_ns);
	/* Any thread that owns the hba; registers may be gone. Not while the function is being reset. After it returns the device does no DMA and
	 * raises no interrupt (the core has cleared, or clears, bus mastering). Idempotent. */
	void (*quiesce)(struct hba *h);
	/* Set-up thread, orderly end: flush of the caches of all units without flush_alone and shutdown, by polling, over by
	 * hba->stop_until_ns. Called with nothing in flight. */
	int (*shutdown)(struct hba *h, struct err *e);
	/* Set-up thread, after quiesce. Frees all of attach and start. */
	void (*detach)(struct hba *h);

	/* --- optional, all or none: a restart of hbad without one of the controller --- */

	/* Set-up thread, with nothing in flight and off the loop. Flushes the caches as shutdown does, in the same time, takes
	 * back what is at firmware (its waits for events), interrupts off. Firmware goes on running, and bus mastering stays on. The
	 * descriptors in *ret stay the driver's. On failure shutdown must still be possible, and is what follows; so it
	 * may after success. */
	int (*freeze)(struct hba *h, struct hba_frozen *ret, struct err *e);
	/* In place of attach, and with start to follow, which then does without the controller's start. Takes arenas over.
	 * Checks everything: that firmware runs, what it said then, where the memory is and what is in it. After a
	 * failure quiesce and detach follow. */
	int (*adopt)(struct hba *h, const struct hba_match *match, struct hba_frozen *f, struct err *e);
	/* In place of detach, after freeze: frees what is the process's alone. */
	void (*leave)(struct hba *h);
};

struct hba {
	const struct hba_ops *ops;
	void *drv; /* the driver's */
	struct pci_dev *pci;
	struct dma_space space;
	struct loop *loop; /* of the first lane */
	/* Up to attach() or adopt() as many as there could be; a driver that cannot have them makes it less there. */
	unsigned n_lanes;
	struct hba_limits limits;
	struct hba_info info;
	struct hba_unit unit[HBA_MAX_UNITS];
	unsigned n_units;
	bool fua_native; /* FUA of HBA_REQ_RW is known to be honoured */
	int irq_fd;	 /* eventfd of the first lane */
	bool gone;	 /* unplugged: quiesce() touches no register */
	/* By when a stop that has begun is to be over, of clock_ns(); 0: none has. Set-up thread; the core reads it anywhere. */
	uint64_t stop_until_ns;

	/* Of each lane, on its thread: called when a request slot or bounce memory came free, and on state changes. NULL:
	 * nobody wants to know. */
	struct hba_listener {
		void (*ready)(void *user);
		void *user;
	} listener[HBA_MAX_LANES];

	struct hba_core *core; /* private */
};

struct hba_config {
	const char *uri;       /* see pci_open() */
	uint32_t queue_depth;  /* cap, 0: what the controller takes */
	uint32_t bounce_bytes; /* 0: default 64 MiB */
	const char *capture;   /* file for pci_capture(); NULL: none */
	/* Loops of further I/O threads, which run as long as the hba is attached: each a lane, if the driver can, and if there
	 * are HBA_LANE_SLOTS requests for each. */
	struct loop *const *more_loops;
	unsigned n_more_loops;
};

/* Opens the PCI device and finds the driver. loop: of the first lane. -ENOTSUP names the id and lists the supported families. */
int hba_open(const struct hba_config *cfg, struct loop *loop, struct hba **ret, struct err *e);
int hba_attach(struct hba *h, struct err *e);
/* Starts the controller and adds it to the loop, which must be running on the I/O thread. */
int hba_start(struct hba *h, struct err *e);
/* Waits (at most timeout_ms) until nothing is in flight. New requests are refused from the call on. */
int hba_drain(struct hba *h, unsigned timeout_ms);
/* Orderly when RUNNING: a flush of each unit that the firmware's does not cover, all at once and beside firmware's own (75 s; a
 * unit that does not answer costs an abort and perhaps a reset on top, which waits for firmware's flush for two minutes
 * at most), firmware flush and shutdown; when requests do not come back, a flush of each unit beside them first, again if some
 * come back meanwhile. Then quiesce, off the loop, detach. All within HBA_STOP_MS, with a hba_freeze() before it, also a reset
 * of the function that is under way, or the last way to end the device's DMA: then nothing is freed (-ETIMEDOUT). The I/O
 * thread still runs (or has been joined, and then units with flush_alone are not flushed).
 * 0: what the units had acknowledged is flushed. Negative: that is not certain of those with `unflushed`, which stays to be read
 * until hba_close(), and the log says why. After 0 a unit may have it, too, which is offline, away or stopped, or was without
 * power: nothing can be mended there. -ENODEV: the controller had failed or gone; -ETIMEDOUT: an I/O thread hangs; the others may
 * have left the controller before that, which may have been made quiet, and nothing is freed any more. */
int hba_stop(struct hba *h);
void hba_close(struct hba *h); /* NULL is fine */

/* --- a restart of this process without one of the controller; set-up thread --- */

/* Could it be frozen now, as far as can be told? -ENOTSUP with the reason: its driver or its transport cannot. */
int hba_can_freeze(struct hba *h, struct err *e);
/* After hba_drain(), in place of hba_stop(): flushed, off the loop, interrupts off, with firmware running and nothing at
 * it. What is to be handed on lives in h: duplicates first, then hba_leave(). hba_stop(), or hba_close(), after success
 * or failure still does all of what it does. */
int hba_freeze(struct hba *h, struct hba_frozen *ret, struct err *e);
/* After hba_freeze(), in place of hba_close(): nothing is done to the controller any more. Returns its device, which is the
 * caller's to pci_leave(). */
struct pci_dev *hba_leave(struct hba *h);
/* As hba_open(), for a device that another process has left. Takes the descriptors over in any case. */
int hba_import(const struct hba_config *cfg, const struct pci_descriptors *d, struct loop *loop,
	struct hba **ret, struct err *e);
/* In place of hba_attach(), after hba_import(); hba_start() follows. Closes the memory's descriptors in any case.
 * On failure there is nothing but hba_close(), which makes the controller start anew. */
int hba_adopt(struct hba *h, struct hba_frozen *f, struct err *e);

/* --- I/O thread --- */

enum hba_state hba_state(const struct hba *h); /* any thread */
/* What the lane goes by, on its thread: the controller's state, but it learns of a change later than the first one. As
 * long as it is RUNNING here answers are taken, whatever hba_state() says; behind FAILED and REMOVED there are none. */
enum hba_state hba_lane_state(const struct hba *h, unsigned lane);
unsigned hba_inflight(const struct hba *h);			/* any thread, a snapshot */
unsigned hba_lane_inflight(const struct hba *h, unsigned lane); /* likewise */

/* A free slot of this lane, zeroed but for the core's fields, or NULL: none free, or not RUNNING (see hba->listener). */
struct hba_req *hba_lane_req_get(struct hba *h, unsigned lane);
/* ... of the first lane */
struct hba_req *hba_req_get(struct hba *h);
void hba_req_put(struct hba_req *req);
/* 0: accepted; done() comes later, never from within the call. While RESETTING it is held until the
 * controller runs again. -EAGAIN: no bounce memory now; the request is still the user's, try again on
 * ready(). -E2BIG, -EINVAL: a bug of the caller; still the user's. -ENODEV: neither RUNNING nor RESETTING, or
 * draining. */
int hba_submit(struct hba_req *req);
/* Completes with HBA_ABORTED when the firmware confirmed (or after a reset), or as usual if it was faster;
 * never from within the call. An abort alone resets nothing: that is up to the request's own deadline (moved
 * to 10 s after the abort if it was nearer). */
void hba_abort(struct hba_req *req);

/* Set-up thread: runs one request and waits. tmpl's user fields count; data as in tmpl->xfer; results are
 * copied into tmpl. -ETIMEDOUT, -ENODEV, or 0 when it completed (look at result). */
int hba_run(struct hba *h, struct hba_req *tmpl);
/* Any thread, after hba_start(): hba_run() is over for good, because the controller is to be stopped and nobody wants to
 * wait for units that do not answer. Those that wait end with -ENODEV as soon as their commands are aborted, and so does
 * every later one. */
void hba_end_runs(struct hba *h);
/* Any thread, after hba_start(): the controller is to be stopped, so that resets in a row are not put off any more. hba_drain()
 * and hba_stop() do so themselves. */
void hba_hasten(struct hba *h);

/* Statistics; any thread, a snapshot. */
struct hba_stats {
	uint64_t requests, errors, timeouts, aborts, resets, reissues, interrupts, flushes;
	uint64_t pauses; /* before resets in a row */
};
void hba_get_stats(const struct hba *h, struct hba_stats *ret);

/* --- news, for one reader on a control thread --- */

#define HBA_EVENTS     64 /* kept until they are read; a power of two */
#define HBA_EVENT_TEXT 128

/* What firmware tells of itself and its drives, in its own words, without control characters. */
struct hba_event {
	uint32_t code;
	char text[HBA_EVENT_TEXT];
};
/* False: none. */
bool hba_next_event(struct hba *h, struct hba_event *ret);
/* How many were left out, ever, because nobody read the ones before. */
uint32_t hba_events_untold(const struct hba *h);
/* Another number than before (0 at first): units are new, have another size or another state, so that it is worth to ask
 * them. */
uint32_t hba_unit_news(const struct hba *h);
/* h->n_units, which grows while the controller runs; the units below it are all there. Any thread. */
unsigned hba_n_units(const struct hba *h);
/* Set-up thread. A unit that was offline has said who it is; goings is what its count of them was before it was asked. So it is
 * there, unless it went meanwhile: its driver is told. */
void hba_unit_answered(struct hba *h, const struct hba_unit *u, uint32_t goings);

/* --- for drivers --- */

/* I/O thread. */
void hba_tell(struct hba *h, uint32_t code, const char *text);
void hba_units_changed(struct hba *h);
/* Firmware lists the unit, or does not any more, or tells that it was pulled out: missing and pulled. */
void hba_unit_listed(struct hba_unit *u, bool listed);
/* I/O thread, while the controller runs: a unit that was not there before (u->index does not matter). False: there is
 * no room. Units are never taken away: one that is gone is offline. */
bool hba_add_unit(struct hba *h, const struct hba_unit *u);

/* The hardware is done with req: result fields are set. I/O thread. A request that is not at the hardware
 * (late or repeated reply) is ignored with a warning. */
void hba_complete(struct hba_req *req);
/* Starts the request's time limit anew: for requests that wait inside the driver for their turn. No effect once an
 * abort or time-out has been decided. Its lane's thread, or the first lane's. */
void hba_req_rearm(struct hba_req *req);
/* Of a lane; the eventfd is watched by its thread, which calls poll() or poll_lane() then. */
struct loop *hba_lane_loop(const struct hba *h, unsigned lane);
int hba_lane_irq_fd(const struct hba *h, unsigned lane);
/* Any thread. Has the lane polled soon, after its other descriptors had their turn, as if its eventfd had been signalled. */
void hba_lane_wake(const struct hba *h, unsigned lane);
/* Any thread. A place for aborts that all lanes share has come free: those that wait for one look. Places of the lane itself
 * need no word, as it looks on each turn. */
void hba_abort_room(const struct hba *h);
/* The slots of a lane: *ret_n of them, from this one on. After attach(). */
uint32_t hba_lane_tags(const struct hba *h, unsigned lane, uint32_t *ret_n);
/* The request at the hardware with this tag, or NULL: for replies from firmware, which are not trusted. Its lane's
 * thread. */
struct hba_req *hba_req_by_tag(struct hba *h, uint32_t tag);
/* For a capture, before the driver tells it of what vouches for the data (pci_note()): what a command at the hardware
 * brought, if that is the unit's word about itself (INQUIRY and the like), never data of users. */
void hba_note_data(const struct hba_req *req);
/* Begins a reset of the PCI function, which takes up to a minute; a thread that may block does it. First lane's thread, from
 * reset_step(), with bus mastering off. From 0 on until hba_function_reset_result() has another answer than -EINPROGRESS,
 * nothing of the device may be touched, because any access may wait for the end of it. -EBUSY: one is under way. */
int hba_function_reset(struct hba *h);
/* -EINPROGRESS; 0; -errno with a sentence in *e: -ENOTSUP it cannot be reset, -ENODEV it is gone, -ETIMEDOUT there is no end
 * of it, and the controller has to be given up. */
int hba_function_reset_result(const struct hba *h, struct err *e);
/* The controller misbehaved or faulted: freeze, reset, re-issue. First lane's thread, from poll() or a timer. */
void hba_fault(struct hba *h, const char *why);

/* The same, from any lane's thread, for a driver that can have several. */
void hba_lane_fault(struct hba *h, unsigned lane, const char *why);
/* Its thread: does the lane run, and so may touch the driver? */
bool hba_lane_runs(const struct hba *h, unsigned lane);

extern const struct hba_ops *const hba_drivers[]; /* ends with NULL; drivers.c */

#endif
