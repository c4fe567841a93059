/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hba_run(): a set-up thread runs one request, on the first lane, and sleeps until it is done. The run has its own copy of
 * request and data, owned by both threads until each has let go: the set-up thread can give up without
 * anybody writing into memory that it has freed.
 */
#include "core.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

/* Beyond the request's own time limit: abort and a controller reset with its re-issue. */
#define LADDER_MS (10 * 60 * 1000)

struct run {
	struct hba *h;
	struct hba_req user; /* the caller's fields, then the result */
	struct iovec iov;
	struct loop_msg msg;
	struct list link;
	sem_t ended;
	bool over; /* atomic; says to ThreadSanitizer, which does not know sem_clockwait(), what ended says */
	unsigned owners; /* atomic; the last one frees */
	bool last;	 /* run_last_begin() */
	int ret;
};

static void run_unref(struct run *run)
{
	/* Acquire and release: the one who frees sees all that the other did. */
	if (__atomic_sub_fetch(&run->owners, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	sem_destroy(&run->ended);
	free(run->iov.iov_base);
	free(run);
}

/* I/O thread: the run is over. */
static void run_end(struct run *run, int ret)
{
	run->ret = ret;
	__atomic_store_n(&run->over, true, __ATOMIC_RELEASE);
	sem_post(&run->ended);
	run_unref(run);
}

static void run_done(struct hba_req *req);

bool run_flushes_cache(const struct hba_req *req)
{
	return req->done == run_done && ((const struct run *)req->user)->last && req->kind == HBA_REQ_FLUSH &&
	       !req->unit->flush_alone;
}

static void run_done(struct hba_req *req)
{
	struct run *run = req->user;
	int ret;

	req->hba->core->last_runs -= run->last;
	if (run_flushes_cache(req))
		__atomic_sub_fetch(&req->hba->core->cache_flushes, 1, __ATOMIC_RELAXED);
	run->user.result = req->result;
	run->user.scsi_status = req->scsi_status;
	run->user.fw_status = req->fw_status;
	run->user.sense_len = req->sense_len;
	memcpy(run->user.sense, req->sense, sizeof(req->sense));
	run->user.moved = req->moved;
	/* An answer that came in time is one. */
	ret = req->hba->core->runs_over && !run->last && req->result != HBA_DONE ? -ENODEV : 0;
	hba_req_put(req);
	run_end(run, ret);
}

static void fill(struct hba_req *req, struct run *run)
{
	const struct hba_req *from = &run->user;

	req->unit = from->unit;
	req->kind = from->kind;
	req->lba = from->lba;
	req->nblocks = from->nblocks;
	req->block_size = from->block_size;
	req->fua = from->fua;
	req->dpo = from->dpo;
	memcpy(req->cdb, from->cdb, sizeof(req->cdb));
	req->cdb_len = from->cdb_len;
	req->no_reissue = from->no_reissue;
	req->xfer =
		(struct dma_xfer){.iov = &run->iov, .niov = 1, .len = from->xfer.len, .dir = from->xfer.dir};
	req->timeout_ms = from->timeout_ms;
	req->done = run_done;
	req->user = run;
}

static bool run_submit(struct run *run)
{
	struct hba_req *req;
	unsigned cache;
	int r;

	req = hba_req_get(run->h);
	if (!req)
		return false;
	fill(req, run);
	cache = run_flushes_cache(req);
	__atomic_add_fetch(&run->h->core->cache_flushes, cache, __ATOMIC_RELAXED);
	r = hba_submit(req);
	if (r == 0) {
		run->h->core->last_runs += run->last;
		return true;
	}
	__atomic_sub_fetch(&run->h->core->cache_flushes, cache, __ATOMIC_RELAXED);
	hba_req_put(req);
	if (r == -EAGAIN)
		return false;
	run_end(run, r);
	return true;
}

/* False: it has to wait for a slot or bounce memory. */
static bool run_try(struct run *run)
{
	struct hba_core *c = run->h->core;
	struct hba_lane *l = &c->lane[0];
	bool draining = l->draining, ended;

	if ((c->state != HBA_RUNNING && c->state != HBA_RESETTING) ||
		(!run->last && (draining || c->runs_over))) {
		run_end(run, -ENODEV);
		return true;
	}
	/* The last ones go past the gate that hba_drain() has closed. */
	l->draining = false;
	ended = run_submit(run);
	l->draining = draining;
	return ended;
}

static void run_start(struct loop_msg *m)
{
	struct run *run = container_of(m, struct run, msg);

	if (!run_try(run))
		list_append(&run->h->core->runs, &run->link);
}

bool runs_retry(struct hba *h)
{
	struct run *run;
	bool any = false;

	while ((run = list_first(&h->core->runs, struct run, link))) {
		list_remove(&run->link);
		if (!run_try(run)) {
			list_prepend(&h->core->runs, &run->link);
			break;
		}
		any = true;
	}
	return any;
}

void runs_cancel(struct hba *h)
{
	struct run *run;

	while ((run = list_first(&h->core->runs, struct run, link))) {
		list_remove(&run->link);
		run_end(run, -ENODEV);
	}
}

static void end_runs(struct loop_msg *m)
{
	struct hba_core *c = container_of(m, struct hba_core, end_runs);

	c->runs_over = true;
	runs_cancel(c->h);
	for (uint32_t i = 0; i < c->lane[0].tags.n; i++)
		if (c->req[i].state != REQ_FREE && c->req[i].done == run_done)
			hba_abort(&c->req[i]);
}

void hba_end_runs(struct hba *h)
{
	struct hba_core *c = h->core;

	if (__atomic_exchange_n(&c->end_runs_posted, true, __ATOMIC_RELAXED))
		return;
	c->end_runs.cb = end_runs;
	loop_post(h->loop, &c->end_runs);
}

/* Copies len bytes between the caller's iovecs (from offset on) and the run's buffer; false when they are
 * short. */
static bool copy_iov(const struct dma_xfer *x, uint8_t *buf, uint64_t len, bool to_iov)
{
	uint64_t skip = x->offset;

	for (uint32_t i = 0; i < x->niov && len; i++) {
		uint8_t *base = x->iov[i].iov_base;
		uint64_t size = x->iov[i].iov_len, here;

		if (skip >= size) {
			skip -= size;
			continue;
		}
		here = MIN(size - skip, len);
		if (to_iov)
			memcpy(base + skip, buf, here);
		else
			memcpy(buf, base + skip, here);
		skip = 0;
		buf += here;
		len -= here;
	}
	return len == 0;
}

static int run_new(struct hba *h, const struct hba_req *tmpl, struct run **ret)
{
	struct run *run = calloc(1, sizeof(*run));

	if (!run)
		return -ENOMEM;
	run->iov.iov_len = tmpl->xfer.len;
	run->iov.iov_base = calloc(1, tmpl->xfer.len ? tmpl->xfer.len : 1);
	if (!run->iov.iov_base) {
		free(run);
		return -ENOMEM;
	}
	/* Also proves that the caller's list is long enough for the copy back. */
	if (!copy_iov(&tmpl->xfer, run->iov.iov_base, tmpl->xfer.len, false)) {
		free(run->iov.iov_base);
		free(run);
		return -EINVAL;
	}
	run->h = h;
	run->user = *tmpl;
	run->msg.cb = run_start;
	run->owners = 2;
	list_init(&run->link);
	sem_init(&run->ended, 0, 0);
	*ret = run;
	return 0;
}

static int wait_ended(struct run *run, uint64_t until)
{
	struct timespec due = {.tv_sec = (time_t)(until / NS_PER_SEC), .tv_nsec = (long)(until % NS_PER_SEC)};
	int r;

	do {
		r = sem_clockwait(&run->ended, CLOCK_MONOTONIC, &due) < 0 ? -errno : 0;
	} while (r == -EINTR);
	if (r == 0)
		assert(__atomic_load_n(&run->over, __ATOMIC_ACQUIRE));
	return r;
}

static int run_begin(struct hba *h, const struct hba_req *tmpl, bool last, struct run **ret)
{
	int r = h->core->on_loop ? run_new(h, tmpl, ret) : -ENODEV;

	if (r < 0)
		return r;
	(*ret)->last = last;
	loop_post(h->loop, &(*ret)->msg);
	return 0;
}

static int run_finish(struct run *run, struct hba_req *tmpl, uint64_t until)
{
	int r = wait_ended(run, until);

	if (r == 0)
		r = run->ret;
	if (r == 0) {
		tmpl->result = run->user.result;
		tmpl->scsi_status = run->user.scsi_status;
		tmpl->fw_status = run->user.fw_status;
		tmpl->sense_len = run->user.sense_len;
		memcpy(tmpl->sense, run->user.sense, sizeof(tmpl->sense));
		tmpl->moved = run->user.moved;
		if (tmpl->xfer.dir == DMA_FROM_DEVICE)
			copy_iov(&tmpl->xfer, run->iov.iov_base, MIN(tmpl->moved, tmpl->xfer.len), true);
	}
	run_unref(run);
	return r;
}

int hba_run(struct hba *h, struct hba_req *tmpl)
{
	uint64_t until = clock_ns() + (tmpl->timeout_ms + (uint64_t)LADDER_MS) * NS_PER_MS;
	struct run *run;
	int r = run_begin(h, tmpl, false, &run);

	return r < 0 ? r : run_finish(run, tmpl, until);
}

int run_last_begin(struct hba *h, const struct hba_req *tmpl, struct run **ret)
{
	return run_begin(h, tmpl, true, ret);
}

int run_last_finish(struct run *run, struct hba_req *tmpl, uint64_t until_ns)
{
	return run_finish(run, tmpl, until_ns);
}
