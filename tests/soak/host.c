/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See host.h. */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOUNCE_BYTES (16u << 20)
#define JOIN_MS	     60000

const char *const host_sabotages[N_SABOTAGES] = {
	[SABOTAGE_NONE] = "none",
	[SABOTAGE_FLUSH] = "flush",
	[SABOTAGE_WRITE] = "write",
	[SABOTAGE_READ] = "read",
	[SABOTAGE_ABORT] = "abort",
	[SABOTAGE_LEAK] = "leak",
};

static const char *const any_sync[] = {"controller", "ignored", "rejected", "full", NULL};
/* A box has no other flush, so one that ignores it loses data whatever its driver does. */
static const char *const honest_sync[] = {"full", "controller", NULL};

const struct host_model host_models[] = {
	{"sas3108", "sas3108", {"ld0", "ld1", "ld2", "pd8"}, {"ld0", "ld1", "ld2", "pd8"}, any_sync},
	{"sas2108", "sas2108", {"ld0", "ld1", "ld2", "pd8"}, {"ld0", "ld1", "ld2", "pd8"}, any_sync},
	{"ame", "ame-6262", {"ld0", "ld1", "ld5", "ld63"}, {"lun0", "lun1", "lun5", "lun63"}, honest_sync,
		.notices = true, .is_ame = true},
	{"ame-626f", "ame-626f", {"ld0", "ld1", "ld5", "ld63"}, {"lun0", "lun1", "lun5", "lun63"},
		honest_sync, .notices = true, .is_ame = true},
	{"virtio", "virtio", {"ld0", "ld1", "ld5", "pd8"}, {"t0l0", "t0l1", "t0l5", "t9l0"}, honest_sync,
		.outages = true},
	{NULL},
};

const struct host_model *host_model_find(const char *name)
{
	for (const struct host_model *m = host_models; m->name; m++)
		if (strcmp(m->name, name) == 0)
			return m;
	return NULL;
}

/* --- between core and driver --- */

static struct host *host_of(const struct hba *h)
{
	return container_of(h->ops, struct host, ops);
}

/* Not from within the call, as in earnest: the next poll tells. False: no room, it is done honestly. */
static bool end_early(struct host *s, struct hba_req *req, enum hba_result result)
{
	if (s->n_early == ARRAY_SIZE(s->early))
		return false;
	s->early[s->n_early++] = (struct host_early){req, req->generation, result};
	return true;
}

/* True: the driver does not learn of it. */
static bool sabotage(struct host *s, struct hba_req *req)
{
	bool write = req->kind == HBA_REQ_RW && req->xfer.dir == DMA_TO_DEVICE;
	bool read = req->kind == HBA_REQ_RW && req->xfer.dir == DMA_FROM_DEVICE;

	if (s->sabotage == SABOTAGE_FLUSH && req->kind == HBA_REQ_FLUSH)
		return end_early(s, req, HBA_DONE);
	if (s->sabotage == SABOTAGE_WRITE && write && rng_below(&s->rng, 100) == 0)
		return end_early(s, req, HBA_DONE);
	if (s->sabotage == SABOTAGE_READ && read && rng_below(&s->rng, 100) == 0)
		req->lba++;
	return false;
}

/* Time limits are for real disks; dropped replies would have to be waited for. Whatever else is sent, START STOP UNIT
 * above all, may take as long as it likes. */
static void submit(struct hba *h, struct hba_req *req)
{
	struct host *s = host_of(h);
	uint32_t limit = req->kind == HBA_REQ_FLUSH ? 3 * s->limit_ms : s->limit_ms;

	if (req->timeout_ms > limit && req->kind != HBA_REQ_CDB) {
		req->timeout_ms = limit;
		req->deadline_ns = clock_ns() + limit * NS_PER_MS;
	}
	if (unlikely(s->sabotage) && sabotage(s, req))
		return;
	s->driver->submit(h, req);
}

static int sabotaged_abort(struct hba *h, struct hba_req *req)
{
	struct host *s = host_of(h);

	return end_early(s, req, HBA_ABORTED) ? 0 : s->driver->abort(h, req);
}

static int sabotaged_poll(struct hba *h)
{
	struct host *s = host_of(h);

	while (s->n_early) {
		struct host_early e = s->early[--s->n_early];

		if (hba_req_by_tag(h, e.req->tag) != e.req || e.req->generation != e.generation)
			continue;
		e.req->result = e.result;
		e.req->moved = e.result == HBA_DONE ? e.req->xfer.len : 0;
		hba_complete(e.req);
	}
	return s->driver->poll(h);
}

static void wrap(struct host *s)
{
	s->driver = s->h->ops;
	s->ops = *s->driver;
	s->ops.submit = submit;
	if (s->sabotage)
		s->ops.poll = sabotaged_poll;
	if (s->sabotage == SABOTAGE_ABORT)
		s->ops.abort = sabotaged_abort;
	s->n_early = 0;
	s->h->ops = &s->ops;
}

/* --- times --- */

/* The emulator's firmware is in a hurry, and so is its driver here. Limits are generous: no machine is that slow. */
static void make_tables(struct host *s)
{
	s->mfi_times = (struct mfi_times){
		.poll = 2,
		.state = 5000,
		.bring_up = 60000,
		.soft = 2000,
		.key = 5,
		.diag = 10000,
		.diag_reset = 5,
		.diag_end = 5000,
		.settle = 5,
		.dcmd = 5000,
		.health = 50,
	};
	s->iop = mfi_iop_gen2;
	s->iop.times = &s->mfi_times;
	s->gen = fusion_gen_invader;
	s->gen.iop.times = &s->mfi_times;
	s->ame_times = *ame_3108.times;
	s->ame_times.settle = 5;
	s->ame_times.look = 2;
	s->ame_times.retry = 10;
	s->ame_times.health = 50;
	s->ame_times.away = 5000;
	s->ame_times.ready = 5000;
	s->ame_times.boot = 5000;
	s->family = ame_3108;
	s->family.times = &s->ame_times;
}

static void use_tables(struct host *s)
{
	struct hba_core *c = s->h->core;

	s->match = *c->match;
	if (s->model->is_ame)
		s->match.data = &s->family;
	else if (strcmp(s->model->name, "sas3108") == 0)
		s->match.data = &s->gen;
	else if (strcmp(s->model->name, "sas2108") == 0)
		s->match.data = &s->iop;
	c->match = &s->match;
	c->times.tick_ms = 10;
	c->times.abort_ms = s->limit_ms / 4;
	c->times.pause_ms = 10;
	c->times.pause_max_ms = 300;
	c->times.calm_ms = 3000;
}

/* --- life --- */

static void *io_main(void *arg)
{
	log_this_thread_is_io();
	loop_run(arg);
	return NULL;
}

static int lane_create(struct host *s, unsigned n)
{
	struct host_lane *l = &s->lane[n];
	char name[16];
	int r = loop_create(&l->loop);

	if (r < 0)
		return r;
	r = -pthread_create(&l->io, NULL, io_main, l->loop);
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "soak-io%u", n);
	pthread_setname_np(l->io, name);
	return 0;
}

int host_create(
	struct host *s, const struct host_model *model, const char *uri, unsigned n_lanes, uint64_t seed)
{
	int r = 0;

	s->model = model;
	s->uri = uri;
	s->rng.state = seed;
	s->n_lanes = n_lanes;
	make_tables(s);
	for (unsigned i = 0; i < n_lanes && r == 0; i++)
		r = lane_create(s, i);
	return r == 0 ? scsi_host_create(s->lane[0].loop, &s->scsi) : r;
}

void host_destroy(struct host *s)
{
	for (unsigned i = 0; i < s->n_lanes; i++) {
		loop_stop(s->lane[i].loop);
		pthread_join(s->lane[i].io, NULL);
	}
	scsi_host_destroy(s->scsi);
	for (unsigned i = 0; i < s->n_lanes; i++)
		loop_destroy(s->lane[i].loop);
}

static int start(struct host *s, struct err *e)
{
	int r;

	use_tables(s);
	wrap(s);
	r = hba_attach(s->h, e);
	if (r == 0)
		r = hba_start(s->h, e);
	if (r == 0)
		r = scsi_host_attach(s->scsi, s->h, e);
	if (r == 0)
		scsi_host_trim(s->scsi);
	return r;
}

int host_up(struct host *s, struct err *e)
{
	struct loop *more[HBA_MAX_LANES];
	const struct hba_config cfg = {.uri = s->uri,
		.bounce_bytes = BOUNCE_BYTES,
		.more_loops = more,
		.n_more_loops = s->n_lanes - 1};
	int r;

	for (unsigned i = 1; i < s->n_lanes; i++)
		more[i - 1] = s->lane[i].loop;
	r = hba_open(&cfg, s->lane[0].loop, &s->h, e);
	if (r < 0)
		return r;
	if (s->sabotage == SABOTAGE_LEAK)
		(void)!open("/dev/null", O_RDONLY | O_CLOEXEC);
	r = start(s, e);
	if (r < 0)
		host_down(s, SCSI_GATE_GONE);
	return r;
}

struct hba_stats host_down(struct host *s, enum scsi_gate why)
{
	struct hba_stats stats = {0};

	if (!s->h)
		return stats;
	scsi_host_detach(s->scsi, why);
	hba_stop(s->h);
	hba_get_stats(s->h, &stats);
	hba_close(s->h);
	s->h = NULL;
	return stats;
}
