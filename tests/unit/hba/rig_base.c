/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See rig_base.h. */
#include "rig_base.h"

#include <stdlib.h>
#include <string.h>

/* No log_this_thread_is_io(): what it has queued would be lost when a test fails. */
static void *io_main(void *arg)
{
	loop_run(arg);
	return NULL;
}

void rig_init(struct rig *r, struct model *model, struct model_fn *fn, const void *match_data)
{
	r->model = model;
	r->fn = fn;
	r->match_data = match_data;
	r->ladder = (struct hba_times){
		.tick_ms = 5,
		.abort_ms = 30,
		.function_ms = RIG_WAIT_MS,
		.flush_ms = 30,
		.cache_ms = 1000, /* what takes longer costs a reset */
		.stop_ms = 3 * RIG_WAIT_MS,
		.shutdown_ms = RIG_WAIT_MS,
		.again_ms = 30,
	};
	r->cfg.bounce_bytes = 8u << 20;
	ck_assert_int_eq(loop_create(&r->loop), 0);
	ck_assert_int_eq(pthread_create(&r->io, NULL, io_main, r->loop), 0);
	r->io_runs = true;
}

static void on_ready(void *user)
{
	struct rig *r = user;

	__atomic_add_fetch(&r->n_ready, 1, __ATOMIC_RELAXED);
}

void rig_make_lanes(struct rig *r)
{
	r->lane_loop[0] = r->loop;
	r->lane_io[0] = r->io;
	for (unsigned i = 1; i < r->n_lanes; i++) {
		if (r->lane_loop[i])
			continue;
		ck_assert_int_eq(loop_create(&r->lane_loop[i]), 0);
		ck_assert_int_eq(pthread_create(&r->lane_io[i], NULL, io_main, r->lane_loop[i]), 0);
	}
	r->cfg.more_loops = &r->lane_loop[1];
	r->cfg.n_more_loops = r->n_lanes ? r->n_lanes - 1 : 0;
}

/* All threads before the first loop: one that a stop has left in its loop may still post to the others. */
static void end_threads(struct rig *r)
{
	for (unsigned i = 1; i < HBA_MAX_LANES; i++) {
		if (!r->lane_loop[i])
			continue;
		loop_stop(r->lane_loop[i]);
		pthread_join(r->lane_io[i], NULL);
	}
	loop_stop(r->loop);
	pthread_join(r->io, NULL);
	for (unsigned i = 1; i < HBA_MAX_LANES; i++)
		loop_destroy(r->lane_loop[i]);
	loop_destroy(r->loop);
}

int rig_create(struct rig *r)
{
	int rc;

	rig_make_lanes(r);
	rc = hba_create(&r->fn->pci, &r->cfg, r->loop, &r->h, &r->e);

	if (rc < 0)
		return rc;
	r->open = true;
	r->match = *r->h->core->match;
	r->match.data = r->match_data;
	r->h->core->match = &r->match;
	r->h->core->times = r->ladder;
	r->h->listener[0] = (struct hba_listener){on_ready, r};
	return 0;
}

int rig_attach(struct rig *r)
{
	int rc = rig_create(r);

	return rc < 0 ? rc : hba_attach(r->h, &r->e);
}

int rig_start(struct rig *r)
{
	int rc = rig_attach(r);

	if (rc == 0)
		rc = hba_start(r->h, &r->e);
	r->started = rc == 0;
	return rc;
}

void rig_must_start(struct rig *r)
{
	int rc = rig_start(r);

	ck_assert_msg(rc == 0, "start: %d %s", rc, r->e.text);
}

static void expect_failure(struct rig *r, int rc, int error, const char *word)
{
	ck_assert_msg(rc < 0 && (!error || rc == error), "%d instead of %d: %s", rc, error, r->e.text);
	if (word)
		ck_assert_msg(strstr(r->e.text, word), "no '%s' in: %s", word, r->e.text);
	fn_do_locked(r->fn, ck_assert(!r->fn->bus_master));
}

void rig_must_not_attach(struct rig *r, int error, const char *word)
{
	expect_failure(r, rig_attach(r), error, word);
}

void rig_must_not_start(struct rig *r, int error, const char *word)
{
	expect_failure(r, rig_start(r), error, word);
}

void rig_down(struct rig *r)
{
	if (r->open)
		hba_close(r->h);
	end_threads(r);
	ck_assert_uint_eq(r->fn->dma_faults, 0);
	ck_assert_msg(r->fn->protocol_errors == 0, "the model says: %s", r->fn->protocol_what);
	for (unsigned i = 0; i < RIG_JOBS; i++) {
		ck_assert_uint_le(job_done(&r->job[i]), 1);
		ck_assert(!r->job[i].elsewhere);
		free(r->job[i].buf);
	}
	free(r->model);
	free(r);
}

void rig_io(struct rig *r, void (*fn)(void *arg), void *arg)
{
	rig_lane_io(r, 0, fn, arg);
}

void rig_lane_io(struct rig *r, unsigned lane, void (*fn)(void *arg), void *arg)
{
	ck_assert_int_eq(loop_call(r->lane_loop[lane], fn, arg, RIG_WAIT_MS), 0);
}

static void nothing(void *arg)
{
}

void rig_sync(struct rig *r)
{
	for (unsigned i = 0; i < MAX(r->n_lanes, 1u); i++)
		rig_lane_io(r, i, nothing, NULL);
}

/* --- jobs --- */

static struct job *job_new(struct rig *r, unsigned n, unsigned u, uint32_t len, enum dma_dir dir)
{
	struct job *job = &r->job[n];

	ck_assert_uint_lt(u, r->h->n_units);
	free(job->buf);
	memset(job, 0, sizeof(*job));
	job->rig = r;
	job->buf = malloc(len + 1);
	memset(job->buf, 0xee, len + 1);
	job->iov = (struct iovec){job->buf, len};
	job->tmpl.unit = &r->h->unit[u];
	job->tmpl.timeout_ms = 30000;
	job->tmpl.xfer = (struct dma_xfer){.iov = &job->iov, .niov = 1, .len = len, .dir = dir};
	return job;
}

struct job *job_rw(struct rig *r, unsigned n, unsigned u, enum dma_dir dir, uint64_t lba, uint32_t nblocks)
{
	struct job *job = job_new(r, n, u, nblocks * 512, dir);

	job->tmpl.kind = HBA_REQ_RW;
	job->tmpl.lba = lba;
	job->tmpl.nblocks = nblocks;
	job->tmpl.block_size = 512;
	return job;
}

struct job *job_cdb(struct rig *r, unsigned n, unsigned u, const uint8_t *cdb, uint8_t cdb_len,
	enum dma_dir dir, uint32_t len)
{
	struct job *job = job_new(r, n, u, len, dir);

	job->tmpl.kind = HBA_REQ_CDB;
	memcpy(job->tmpl.cdb, cdb, MIN(cdb_len, HBA_MAX_CDB));
	job->tmpl.cdb_len = cdb_len;
	return job;
}

struct job *job_flush(struct rig *r, unsigned n, unsigned u)
{
	struct job *job = job_new(r, n, u, 0, DMA_NONE);

	job->tmpl.kind = HBA_REQ_FLUSH;
	return job;
}

void job_fill(struct job *job, unsigned seed)
{
	for (size_t i = 0; i < job->iov.iov_len; i++)
		job->buf[i] = (uint8_t)(i * 7 + seed + i / 251);
}

static void on_done(struct hba_req *req)
{
	struct job *job = req->user;
	struct rig *r = job->rig;

	job->result = req->result;
	job->scsi_status = req->scsi_status;
	job->fw_status = req->fw_status;
	job->sense_len = req->sense_len;
	memcpy(job->sense, req->sense, sizeof(job->sense));
	job->moved = req->moved;
	job->lane_state = hba_lane_state(r->h, job->lane);
	job->elsewhere = !pthread_equal(pthread_self(), r->lane_io[job->lane]);
	job->order = __atomic_add_fetch(&r->n_done, 1, __ATOMIC_RELAXED);
	fn_do_locked(r->fn, job->quiet = !r->fn->bus_master && !r->fn->irq_on);
	hba_req_put(req);
	job->req = NULL;
	if (job->then)
		job->then(job);
	__atomic_add_fetch(&job->done, 1, __ATOMIC_RELEASE);
}

void job_submit_here(struct job *job)
{
	struct hba_req *req = job->req ? job->req : hba_lane_req_get(job->rig->h, job->lane);
	const struct hba_req *t = &job->tmpl;
	int rc;

	if (!req) {
		__atomic_store_n(&job->submit_result, 1, __ATOMIC_RELAXED);
		return;
	}
	req->unit = t->unit;
	req->kind = t->kind;
	req->lba = t->lba;
	req->nblocks = t->nblocks;
	req->block_size = t->block_size;
	req->fua = t->fua;
	req->dpo = t->dpo;
	memcpy(req->cdb, t->cdb, sizeof(req->cdb));
	req->cdb_len = t->cdb_len;
	req->no_reissue = t->no_reissue;
	req->xfer = t->xfer;
	req->timeout_ms = t->timeout_ms;
	req->done = on_done;
	req->user = job;
	job->req = req;
	rc = hba_submit(req);
	__atomic_store_n(&job->submit_result, rc, __ATOMIC_RELAXED);
	if (rc < 0) {
		job->req = NULL;
		hba_req_put(req);
	}
}

static void take_cb(void *arg)
{
	struct job *job = arg;

	job->req = hba_lane_req_get(job->rig->h, job->lane);
}

void job_take(struct job *job)
{
	rig_lane_io(job->rig, job->lane, take_cb, job);
	ck_assert_ptr_nonnull(job->req);
}

static void submit_cb(void *arg)
{
	job_submit_here(arg);
}

void job_try(struct job *job)
{
	rig_lane_io(job->rig, job->lane, submit_cb, job);
}

void job_submit(struct job *job)
{
	job_try(job);
	ck_assert_int_eq(job_submitted(job), 0);
}

int job_submitted(struct job *job)
{
	return __atomic_load_n(&job->submit_result, __ATOMIC_RELAXED);
}

unsigned job_done(struct job *job)
{
	return __atomic_load_n(&job->done, __ATOMIC_ACQUIRE);
}

void job_wait(struct job *job)
{
	rig_wait(job_done(job) > 0);
	ck_assert_uint_eq(job_done(job), 1);
}

void job_ends(struct job *job, enum hba_result result)
{
	job_wait(job);
	ck_assert_msg(job->result == result, "job %d: result %d instead of %d", (int)(job - job->rig->job),
		(int)job->result, (int)result);
}

void jobs_end(struct rig *r, unsigned first, unsigned n, enum hba_result result)
{
	for (unsigned i = first; i < first + n; i++)
		job_ends(&r->job[i], result);
}

void job_ends_well(struct job *job)
{
	job_ends(job, HBA_DONE);
	ck_assert_uint_eq(job->scsi_status, 0);
}

struct job *job_run(struct job *job)
{
	job_submit(job);
	job_wait(job);
	return job;
}

void job_run_well(struct job *job)
{
	job_ends_well(job_run(job));
	ck_assert_uint_eq(job->moved, job->iov.iov_len);
}

struct job *job_send_read(struct rig *r, unsigned n, unsigned u)
{
	struct job *job = job_rw(r, n, u, DMA_FROM_DEVICE, n, 1);

	job_submit(job);
	return job;
}

static void abort_cb(void *arg)
{
	struct job *job = arg;

	if (job->req) {
		hba_abort(job->req);
		/* Never from within the call. */
		ck_assert_ptr_nonnull(job->req);
	}
}

void job_abort(struct job *job)
{
	rig_lane_io(job->rig, job->lane, abort_cb, job);
}

void rig_do_io(struct rig *r, unsigned n)
{
	struct job *job = job_rw(r, 0, n % 2, DMA_TO_DEVICE, n, 1);
	uint8_t want[512];

	job_fill(job, n);
	memcpy(want, job->buf, sizeof(want));
	job_run_well(job);
	job = job_rw(r, 0, n % 2, DMA_FROM_DEVICE, n, 1);
	job_run_well(job);
	ck_assert_mem_eq(job->buf, want, sizeof(want));
}

unsigned rig_take_events(struct rig *r)
{
	struct hba_event ev;
	unsigned n = 0;

	while (hba_next_event(r->h, &ev))
		n++;
	return n;
}
