/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of the tests' rigs that all drivers share: a model controller, the daemon's hba layer on top of it, an I/O
 * thread, and jobs that count their completions. A driver's rig.h includes it after its own "struct model", whose
 * first member is struct model_fn fn, and adds rig_new() and rig_up().
 */
#ifndef HBAD_TESTS_HBA_RIG_BASE_H
#define HBAD_TESTS_HBA_RIG_BASE_H

#include <check.h>

#include "hba/core.h"
#include "hba/model_fn.h"

#define RIG_JOBS    512
#define RIG_WAIT_MS 40000 /* only a broken driver needs that long, however slow the machine */

struct job {
	struct rig *rig;
	struct hba_req *req;
	struct iovec iov;
	uint8_t *buf;
	/* the request's user part, before job_submit() */
	struct hba_req tmpl;
	unsigned lane;
	/* outcome */
	int submit_result;
	unsigned done; /* atomic: how often done() was called */
	enum hba_result result;
	uint8_t scsi_status, fw_status, sense_len, sense[HBA_SENSE_SIZE];
	uint32_t moved;
	unsigned order;		   /* n-th to be done, from 1 */
	bool quiet;		   /* bus mastering was off when done() was called */
	enum hba_state lane_state; /* what its lane went by then */
	bool elsewhere;		   /* done() was called by another thread than its lane's */
	/* called in done(), after the outcome was noted and the slot was put */
	void (*then)(struct job *job);
};

struct rig {
	struct model *model; /* the rig's: freed by rig_down() */
	struct model_fn *fn; /* &model->fn */
	struct loop *loop;
	pthread_t io;
	unsigned n_lanes; /* 0: one; set before rig_create() */
	struct loop *lane_loop[HBA_MAX_LANES];
	pthread_t lane_io[HBA_MAX_LANES];
	bool io_runs, open, started;
	struct hba *h;
	const void *match_data; /* the driver's table with short times, in place of its own */
	struct hba_times ladder;
	struct hba_match match;
	struct hba_config cfg;
	struct err e;
	struct job job[RIG_JOBS];
	unsigned n_done;  /* atomic */
	unsigned n_ready; /* atomic: calls of hba->ready */
};

/* For rig_new(): r is zeroed, model is from malloc() and initialised, match_data lives as long as the rig. */
void rig_init(struct rig *r, struct model *model, struct model_fn *fn, const void *match_data);

void rig_make_lanes(struct rig *r); /* the loops of n_lanes, which rig_create() makes if they are not there */
int rig_create(struct rig *r);	    /* hba_create() with short times */
int rig_attach(struct rig *r);	    /* ... and hba_attach() */
int rig_start(struct rig *r);	    /* ... and hba_start(); asserts nothing */
void rig_must_start(struct rig *r);
/* They must not succeed, with this error (0: any) and a sentence with this word in it (NULL: whatever it says), and
 * leave a device that is no bus master. */
void rig_must_not_attach(struct rig *r, int error, const char *word);
void rig_must_not_start(struct rig *r, int error, const char *word);
/* Stops and frees; asserts that the model saw no wild DMA and no protocol error. */
void rig_down(struct rig *r);

/* Runs fn on the I/O thread and waits. */
void rig_io(struct rig *r, void (*fn)(void *arg), void *arg);
void rig_lane_io(struct rig *r, unsigned lane, void (*fn)(void *arg), void *arg);
/* Waits until the expression is true; fails the test if it never is. */
#define rig_wait(expr)                                                                                       \
	do {                                                                                                 \
		uint64_t _until = clock_ns() + RIG_WAIT_MS * NS_PER_MS;                                      \
		bool _true;                                                                                  \
		while (!(_true = (expr)) && clock_ns() < _until)                                             \
			clock_sleep_ms(1);                                                                   \
		ck_assert_msg(_true, "never true: %s", #expr);                                               \
	} while (0)

/* The model's fields, read and written under its lock. */
#define seen(r, field)	      fn_locked((r)->fn, (r)->model->field)
#define tell(r, field, value) fn_do_locked((r)->fn, (r)->model->field = (value))
/* One counter of the controller. */
#define stat_of(r, counter)                                                                                  \
	({                                                                                                   \
		struct hba_stats _stats;                                                                     \
		hba_get_stats((r)->h, &_stats);                                                              \
		_stats.counter;                                                                              \
	})

/* Job n as a read or write of nblocks at lba of unit u, or a CDB, or a flush. Buffers are the rig's, of the right
 * size, filled with 0xee. */
struct job *job_rw(struct rig *r, unsigned n, unsigned u, enum dma_dir dir, uint64_t lba, uint32_t nblocks);
struct job *job_cdb(struct rig *r, unsigned n, unsigned u, const uint8_t *cdb, uint8_t cdb_len,
	enum dma_dir dir, uint32_t len);
struct job *job_flush(struct rig *r, unsigned n, unsigned u);
void job_fill(struct job *job, unsigned seed); /* its buffer, with a pattern that tells its places apart */
/* Its lane is 0, unless the test has changed that before. */
void job_submit(struct job *job);      /* asserts that it was accepted */
void job_try(struct job *job);	       /* leaves submit_result to the test; 1: no slot */
void job_take(struct job *job);	       /* its slot, on its lane; submitted with that later */
void job_submit_here(struct job *job); /* as job_try(), on the I/O thread */
int job_submitted(struct job *job);    /* its submit_result */
unsigned job_done(struct job *job);
void job_wait(struct job *job); /* until done, exactly once so far */
/* job_wait(); the result must be this one. */
void job_ends(struct job *job, enum hba_result result);
void jobs_end(struct rig *r, unsigned first, unsigned n, enum hba_result result);
void job_ends_well(struct job *job); /* HBA_DONE, and status GOOD */
/* job_submit() and job_wait(). Returns job. */
struct job *job_run(struct job *job);
void job_run_well(struct job *job); /* ... and job_ends_well() with all data moved */
/* Job n as a read of block n of this unit, submitted. */
struct job *job_send_read(struct rig *r, unsigned n, unsigned u);
void job_abort(struct job *job);

/* Block n of a unit is written, and read back. */
void rig_do_io(struct rig *r, unsigned n);
/* All that wait are taken; how many. */
unsigned rig_take_events(struct rig *r);

/* --- for models that hold commands --- */

/* Completes the oldest one again and again, until over() is true (fails the test if it never is), or until nothing is
 * in flight and every done() has returned. */
void rig_pump_until(struct rig *r, bool (*over)(struct rig *r, void *arg), void *arg);
void rig_pump(struct rig *r);
/* Waits until everything that the I/O thread has begun is over. */
void rig_sync(struct rig *r);

#endif
