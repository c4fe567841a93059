/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to the files of this folder: what the core knows about a controller and about each request. */
#ifndef HBAD_HBA_CORE_H
#define HBAD_HBA_CORE_H

#include "base/clock.h"
#include "base/log.h"
#include "hba.h"
#include "pci/resetter.h"

/* Who has the request, and which list its link is in. */
enum req_state {
	REQ_FREE,     /* the tag allocator; no list */
	REQ_USER,     /* its user; no list */
	REQ_HELD,     /* the core, until the controller runs; held */
	REQ_FLIGHT,   /* the driver; flight */
	REQ_ABORTING, /* the driver, which has asked firmware to abort it (or cannot); flight */
	REQ_ENDING,   /* the core: the result is set, done() comes with the next hook; ending */
};

/* The time-out ladder. Tests shorten it between hba_create() and hba_start(). */
struct hba_times {
	uint32_t tick_ms;     /* deadlines are looked at this often */
	uint32_t abort_ms;    /* from an abort to the controller reset */
	uint32_t function_ms; /* a reset of the function that takes longer never ends */
	uint32_t reset_ms;    /* a stop waits so long for a reset that is under way */
	uint32_t flush_ms;    /* ... for the last flush of each unit that firmware's own does not cover */
	uint32_t cache_ms;    /* ... and for firmware's own */
	uint32_t stop_ms;     /* all of a stop, or of a freeze and what follows it */
	uint32_t shutdown_ms; /* of that, what is left to the driver's shutdown() in any case */
	/* ... and before it, to a reset that was put off for firmware's flush, and to that flush again */
	uint32_t again_ms;
	/* Of resets in a row (backoff.c): the pause before the third, which doubles up to pause_max_ms; 0: none. So long
	 * without a reset, and the next pause is one step shorter. */
	uint32_t pause_ms, pause_max_ms, calm_ms;
};

#define HBA_MAX_REISSUES      2
#define HBA_MAX_BARREN_RESETS 5			 /* in a row, without one request answered in between */
#define HBA_BARREN_NS	      (600 * NS_PER_SEC) /* resets further apart are no row */
#define HBA_CHUNK	      (16 * 1024)
#define HBA_BOUNCE_BYTES      (64u * 1024 * 1024)
#define HBA_LANE_TRANSFERS    4 /* of the largest kind fit in a lane's bounce memory, if there are several */
#define HBA_IO_CALL_MS	      5000 /* how long set-up calls wait for the I/O thread */
#define QUIET_LOOK_MS	      5	   /* between two looks at a reset that stops the device's DMA */
#define FLUSHES_BESIDE	      3	   /* so often again, when requests came back beside the last one */

/*
 * A part of the controller's requests that one I/O thread has to itself: their slots, deadlines, bounce memory and lists,
 * and, if the driver has several, a reply queue. Everything is that thread's, but while the lane is halted the driver's
 * part of it is the first lane's. See lane.c.
 */
struct hba_lane {
	struct hba *h;
	unsigned n;
	struct loop *loop;
	int irq_fd; /* of the first lane: hba->irq_fd */
	/* What the lane goes by: the controller's state, but it changes between two messages. Anything but HBA_RUNNING: it
	 * touches nothing of the driver's. */
	enum hba_state state;
	uint32_t first_tag; /* of tags, which counts from 0 */
	struct tags tags;
	struct dma_pool pool;
	struct list flight, held, ending;
	unsigned accepted; /* atomic: submitted and not yet done */
	bool draining;	   /* new requests are refused */
	bool rung;	   /* submits since the last doorbell */
	bool news;	   /* slots or bounce memory came free, or the state changed */
	bool slot_wanted;  /* somebody was refused a slot since the last news */
	bool abort_wanted; /* atomic, written by its own thread: the driver had no place for an abort */
	struct loop_fd irq;
	struct loop_timer tick;
	struct loop_msg look; /* at the deadlines, of a lane that is not the first */
	bool looking;	      /* look is on its way */
	struct loop_hook hook;
	struct log_limit late_limit, timeout_limit;
	struct hba_stats stats;
	/* what it has to tell the first lane */
	struct loop_msg trouble;
	bool trouble_posted; /* atomic */
	int trouble_error;
	const char *trouble_why;
	bool join_over; /* atomic: it has joined its loop, or must not any more */
	int join_result;
	uint8_t apart[HB_APART];
};

enum hba_round { ROUND_NONE, ROUND_HALT, ROUND_GO };

struct hba_core {
	struct hba *h;
	struct hba_times times;
	const struct hba_match *match;
	uint32_t depth_cap, bounce_bytes;
	enum hba_state state;	 /* atomic; written by the first lane, and by set-up while off the loop */
	struct hba_req *req;	 /* limits.queue_depth of them */
	uint8_t apart[HB_APART]; /* what all lanes read from what the first one writes */
	struct hba_lane lane[HBA_MAX_LANES];
	struct list runs;
	bool runs_over; /* hba_end_runs() */
	struct loop_msg end_runs;
	bool end_runs_posted; /* atomic */
	unsigned last_runs;   /* run_last_begin()'s among the requests in flight; the first lane's */
	unsigned others;      /* the rest of them, as lanes_others() has found them */
	unsigned beside;      /* so many of the rest when the last flush of a stop began... */
	unsigned left_beside; /* ... and when the loops were left; ... */
	unsigned left;	      /* ... of all, then */
	bool flushed_beside;
	unsigned cache_flushes; /* atomic; last flushes through firmware's cache that are at the controller */
	/* The unit said to its last flush that it may have lost what was not on its media. */
	bool doubted[HBA_MAX_UNITS];
	bool flush_failed[HBA_MAX_UNITS]; /* it was asked, and did not flush */
	unsigned reset_phase;
	unsigned barren_resets; /* atomic: any lane's answer ends the row */
	uint64_t reset_ended_ns;
	struct {
		unsigned level;
		uint64_t until_ns;
		bool pausing;  /* atomic; the reset has not begun */
		bool cut;      /* atomic; something at the controller is to end, which takes the reset */
		bool hastened; /* atomic; hba_hasten() */
	} backoff;
	struct pci_resetter *resetter; /* the first lane's; set-up's while off the loop */
	bool quiet_by_reset; /* its reset was begun for want of another way to stop the device's DMA */
	bool quieting; /* atomic: the controller is lost, but its requests end when it is quiet, which takes a reset */
	struct loop_fd request;
	struct loop_timer reset;
	struct {
		struct loop_all all;
		enum hba_round now, next;
		enum hba_state go; /* with ROUND_GO: what the lanes go by from then on */
		struct loop_timer late;
		bool over; /* the first lane has left: no more rounds */
	} round;
	/* event.c; atomic, told and untold and unit_news written by the first lane, heard by the reader */
	uint32_t told, heard, untold, unit_news;
	struct hba_event event[HBA_EVENTS];
	bool attached, on_loop;
	bool up;     /* started, and not shut down since */
	bool frozen; /* hba_freeze() has succeeded */
	bool stuck;  /* an I/O thread did not answer while it was in the loop: nothing may be freed */
};

/* --- hba.c */

/* As hba_open(), for a device that is open already. Takes it over on success. */
int hba_create(struct pci_dev *pci, const struct hba_config *cfg, struct loop *loop, struct hba **ret,
	struct err *e);
void hba_set_state(struct hba *h, enum hba_state state);

/* By when a stop is to be over; 0: there is none. Any thread. */
static inline uint64_t stop_until(const struct hba *h)
{
	return __atomic_load_n(&h->stop_until_ns, __ATOMIC_RELAXED);
}

/* --- quiet.c */

/* Makes the device unable to touch memory, then tells the driver. Never waits for a reset of the function. 0; -EAGAIN: one is
 * under way, and it must be asked again; -ETIMEDOUT: that reset does not end, or not within the time of a stop, so nothing of
 * the device can be touched, and nothing that it uses may be given back. */
int hba_try_quiet(struct hba *h);
/* The same, and waits; set-up thread, off the loop. 0 or -ETIMEDOUT. */
int hba_make_quiet(struct hba *h);

/* --- request.c */

/* After a failure, too, requests_fini() gives back what there is, when the device is quiet: one that is taken over runs. */
int requests_init(struct hba *h, struct err *e);
void requests_fini(struct hba *h);
/* The memory of data alone. */
void pools_fini(struct hba *h);
/* Hands a held or new request to the driver. */
void request_issue(struct hba_req *req);
/* Its end is decided, unless the unit answers until deadline_ns. */
void request_doom(struct hba_req *req, enum hba_result doom, uint64_t deadline_ns);
uint64_t request_deadline(const struct hba_req *req);
/* Sets the end of a request that the driver does not have (any more); done() follows from the hook. */
void request_end_later(struct hba_req *req, enum hba_result result);
/* Calls done() of all that are ending. True if there were any. */
bool requests_finish(struct hba_lane *l);
static inline struct hba_lane *lane_of(const struct hba_req *req)
{
	return &req->hba->core->lane[req->lane];
}

/* --- lane.c */

/* Of the first n of core->lane, with their descriptors. -errno: nothing was made. */
int lanes_create(struct hba *h, struct loop *loop, const struct hba_config *cfg);
void lanes_destroy(struct hba *h);
/* Set-up thread. Joins all loops; the first one last, with HBA_RUNNING. -ETIMEDOUT: some may still join, so they have to
 * leave as after success. After other errors none is in its loop. */
int lanes_join(struct hba *h);
/* Set-up thread. All leave, and what is at the controller ends after that was made quiet, for which a reset of the function is
 * waited for. -ETIMEDOUT: one does not answer, and nothing that it uses may be touched. */
int lanes_leave(struct hba *h);
/* fn(lane) on each lane's thread, one after the other; here, when that has left its loop. -ETIMEDOUT as above. */
int lanes_call(struct hba *h, void (*fn)(void *lane));

/* Set-up thread. Requests in flight that are not last flushes of a stop; all, when the first lane does not answer. */
unsigned lanes_others(struct hba *h);

/* The first lane's thread: halts the others, or lets them go with the state to. What follows is in recover.c: when all
 * others are halted, recover_halted() is called; at once when there are none. */
void lanes_halt(struct hba *h);
void lanes_go(struct hba *h, enum hba_state to);
/* For the first lane's decision; from any lane. error: -ENODEV, the controller is gone; others: it is to be reset. */
void lane_trouble(struct hba_lane *l, int error, const char *why);

/* --- recover.c */

void recover_init(struct hba *h);
/* Asks the hardware for replies of this lane, and judges the outcome. */
void recover_poll(struct hba_lane *l);
/* Deadlines of a lane. */
void recover_tick(struct loop_timer *t);
/* The first lane. The controller will not come back: quiet first, then everything ends as HBA_GONE. */
void recover_give_up(struct hba *h, enum hba_state state, const char *why);
/* All other lanes are halted. */
void recover_halted(struct hba *h);
/* This lane goes on after a reset: in the order of submission, what was at the hardware, then what came meanwhile. */
void recover_resume(struct hba_lane *l);
/* ... or everything of it ends. */
void recover_end_all(struct hba_lane *l);
/* Asks the driver to abort a request that has its doom. */
void recover_try_abort(struct hba_req *req);
/* ... for all of the lane that have none yet, until the driver has no more places. Their deadlines are the tick's affair. */
void recover_abort_more(struct hba_lane *l);

/* --- backoff.c */

/* First lane. A reset is to begin, in so many ms: then backoff_holds() is true until it may, and says when to ask again. */
uint32_t backoff_begin(struct hba *h);
bool backoff_holds(struct hba *h, uint64_t now_ns, uint64_t *ret_next_ns);
/* There is no reset to wait for. */
void backoff_end(struct hba *h);
/* The lane's thread, now and then: what has to end in a pause does. */
void backoff_look(struct hba_lane *l);

/* --- exec.c */

/* Starts the runs that wait for a slot. True if one did. */
bool runs_retry(struct hba *h);
/* Ends the runs that wait, when they can never start. */
void runs_cancel(struct hba *h);
/* As hba_run(), for what a stop itself has to ask, when nobody else may any more; several may be under way. After success of
 * the first the second has to follow: it waits, until this time of clock_ns() at most, and frees. */
struct run;
int run_last_begin(struct hba *h, const struct hba_req *tmpl, struct run **ret);
int run_last_finish(struct run *run, struct hba_req *tmpl, uint64_t until_ns);
/* A last flush that goes through firmware's cache? */
bool run_flushes_cache(const struct hba_req *req);

/* --- last_flush.c */

/* Set-up thread, before the loops are left: flushes all units that are not offline, and says in their `unflushed` what came of
 * it; those that shutdown() flushes only if there are others, or if that is not to follow (all). 0, or the error of the last
 * one that failed; the log names each. Takes flush_ms and a quarter, or cache_ms, at most, and when one does not answer an
 * abort and a reset, at most reset_ms, on top of it; but leaves shutdown_ms of the stop. */
int last_flush(struct hba *h, bool all);
/* By when that is over. */
uint64_t last_flush_until(const struct hba *h);
/* One that has failed, of those that shutdown() leaves out. */
bool last_flush_failed(const struct hba *h);
/* After shutdown() or freeze() has succeeded: the others are flushed. */
void last_flush_confirmed(struct hba *h);
/* Nothing is known (again) of all units, or only of those that shutdown() leaves out. */
void last_flush_void(struct hba *h, bool all);

/* Counters have one writer (the lane's thread) and may be read by any thread. */
static inline void stat_inc(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

#endif
