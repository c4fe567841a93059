/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of a request: slot, data, hand-over to the driver, and exactly one done(). */
#include "core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sense.h"

/* Its share of slots and bounce memory. One command of the largest kind fits in any case, and a few if the memory is
 * divided: the default is enough for that in any case. */
static int lane_init(struct hba_lane *l, struct err *e)
{
	struct hba *h = l->h;
	uint32_t least = h->n_lanes > 1 ? HBA_LANE_TRANSFERS : 1;
	uint32_t chunks = MAX(h->core->bounce_bytes / h->n_lanes / HBA_CHUNK,
		least * DIV_ROUND_UP(h->limits.max_transfer, HBA_CHUNK));
	uint32_t n;

	l->first_tag = hba_lane_tags(h, l->n, &n);
	assert(n > 0);
	if (tags_init(&l->tags, n) < 0)
		return err_set(e, -ENOMEM, "out of memory for %u requests", n);
	for (uint32_t i = l->first_tag; i < l->first_tag + n; i++)
		h->core->req[i].lane = (uint8_t)l->n;
	return dma_pool_init(&l->pool, &h->space, HBA_CHUNK, chunks, h->limits.data_addr_max, e);
}

uint32_t hba_lane_tags(const struct hba *h, unsigned lane, uint32_t *ret_n)
{
	uint32_t n = h->limits.queue_depth / h->n_lanes, first = n * lane;

	/* What is left over is the last one's. */
	*ret_n = lane + 1 < h->n_lanes ? n : h->limits.queue_depth - first;
	return first;
}

int requests_init(struct hba *h, struct err *e)
{
	struct hba_core *c = h->core;
	uint32_t n = h->limits.queue_depth;
	int r = 0;

	c->req = calloc(n, sizeof(*c->req));
	if (!c->req)
		return err_set(e, -ENOMEM, "out of memory for %u requests", n);
	for (uint32_t i = 0; i < n; i++) {
		c->req[i].hba = h;
		c->req[i].tag = i;
		list_init(&c->req[i].link);
		list_init(&c->req[i].drv_link);
	}
	for (unsigned i = 0; i < h->n_lanes && r == 0; i++)
		r = lane_init(&c->lane[i], e);
	return r;
}

void pools_fini(struct hba *h)
{
	for (unsigned i = 0; i < h->n_lanes; i++)
		if (h->core->lane[i].pool.n)
			dma_pool_fini(&h->core->lane[i].pool);
}

void requests_fini(struct hba *h)
{
	struct hba_core *c = h->core;

	pools_fini(h);
	for (unsigned i = 0; i < h->n_lanes; i++)
		tags_fini(&c->lane[i].tags);
	free(c->req);
	c->req = NULL;
}

struct hba_req *hba_lane_req_get(struct hba *h, unsigned lane)
{
	struct hba_lane *l = &h->core->lane[lane];
	struct hba_req *req;
	int32_t tag;

	if (l->state != HBA_RUNNING || l->draining)
		return NULL;
	tag = tags_get(&l->tags);
	if (tag < 0) {
		l->slot_wanted = true;
		return NULL;
	}
	req = &h->core->req[l->first_tag + (uint32_t)tag];
	assert(req->state == REQ_FREE);
	/* Everything of the user's and the result; what follows is the core's. */
	memset(req, 0, offsetof(struct hba_req, hba));
	req->generation = l->tags.generation[tag];
	req->sgl = (struct dma_sgl){.seg = req->seg, .cap = MIN(h->limits.max_segments, HBA_MAX_SEGMENTS)};
	req->state = REQ_USER;
	req->doom = 0;
	req->reissues = 0;
	req->drv_step = 0;
	return req;
}

struct hba_req *hba_req_get(struct hba *h)
{
	return hba_lane_req_get(h, 0);
}

void hba_req_put(struct hba_req *req)
{
	struct hba_lane *l = lane_of(req);

	assert(req->state == REQ_USER);
	req->state = REQ_FREE;
	tags_put(&l->tags, req->tag - l->first_tag);
	/* No news if nobody missed it: who puts a slot back for want of bounce memory would wake himself. */
	l->news |= l->slot_wanted;
}

/* What the caller owes us. Answers are the same on every controller with the same limits. */
static int check_request(const struct hba *h, const struct hba_req *req)
{
	bool data = req->xfer.dir != DMA_NONE;

	if (!req->unit || req->unit < h->unit || req->unit >= h->unit + hba_n_units(h) || !req->done ||
		!req->timeout_ms || data != (req->xfer.len > 0))
		return -EINVAL;
	if (req->xfer.len > h->limits.max_transfer)
		return -E2BIG;
	switch (req->kind) {
	case HBA_REQ_RW:
		return data && req->block_size && (uint64_t)req->nblocks * req->block_size == req->xfer.len
			       ? 0
			       : -EINVAL;
	case HBA_REQ_CDB:
		return req->cdb_len && req->cdb_len <= h->limits.max_cdb ? 0 : -EINVAL;
	case HBA_REQ_FLUSH:
		return data ? -EINVAL : 0;
	}
	return -EINVAL;
}

/* Firmware does not say how much of a pass-through read the unit filled. What it left out must read as zeros,
 * not as another command's data. */
static void clear_data_in(const struct dma_arena *a, const struct hba_req *req)
{
	for (uint32_t i = 0; i < req->sgl.n; i++)
		memset(a->cpu + (req->seg[i].addr - a->iova), 0, req->seg[i].len);
}

int hba_submit(struct hba_req *req)
{
	struct hba *h = req->hba;
	struct hba_lane *l = lane_of(req);
	int r;

	assert(req->state == REQ_USER);
	if ((l->state != HBA_RUNNING && l->state != HBA_RESETTING) || l->draining)
		return -ENODEV;
	r = check_request(h, req);
	if (r < 0)
		return r;
	if (req->xfer.dir != DMA_NONE) {
		r = dma_xfer_map(&l->pool, &req->xfer, &req->sgl, h->limits.max_segment_bytes);
		if (r < 0)
			return r;
		if (req->kind == HBA_REQ_CDB && req->xfer.dir == DMA_FROM_DEVICE)
			clear_data_in(&l->pool.arena, req);
	}
	__atomic_store_n(&l->accepted, l->accepted + 1, __ATOMIC_RELAXED);
	stat_inc(&l->stats.requests);
	if (req->kind == HBA_REQ_FLUSH)
		stat_inc(&l->stats.flushes);
	if (l->state == HBA_RUNNING) {
		request_issue(req);
	} else {
		/* Only while a reset is put off: it begins anew when the request is issued. */
		req->deadline_ns = loop_now(l->loop) + req->timeout_ms * NS_PER_MS;
		req->state = REQ_HELD;
		list_append(&l->held, &req->link);
	}
	return 0;
}

void request_issue(struct hba_req *req)
{
	struct hba *h = req->hba;
	struct hba_lane *l = lane_of(req);

	req->deadline_ns = loop_now(l->loop) + req->timeout_ms * NS_PER_MS;
	req->state = REQ_FLIGHT;
	list_append(&l->flight, &req->link);
	l->rung = true;
	h->ops->submit(h, req);
}

/* The first lane writes the time limit of others' flushes while these wait there: both are atomic, and a doom that comes
 * at that very moment may get a later end than it should. */
void hba_req_rearm(struct hba_req *req)
{
	if (!__atomic_load_n(&req->doom, __ATOMIC_RELAXED))
		__atomic_store_n(
			&req->deadline_ns, clock_ns() + req->timeout_ms * NS_PER_MS, __ATOMIC_RELAXED);
}

void request_doom(struct hba_req *req, enum hba_result doom, uint64_t deadline_ns)
{
	__atomic_store_n(&req->doom, (uint8_t)doom, __ATOMIC_RELAXED);
	__atomic_store_n(&req->deadline_ns, deadline_ns, __ATOMIC_RELAXED);
}

uint64_t request_deadline(const struct hba_req *req)
{
	return __atomic_load_n(&req->deadline_ns, __ATOMIC_RELAXED);
}

/* Of a pass-through read the user gets all that it asked for, or nothing: what lies beyond the bytes that a driver
 * knows to have been moved are the zeros of clear_data_in(), not what the user's memory held before. */
static uint32_t bytes_for_user(const struct hba_req *req)
{
	bool good = req->result == HBA_DONE && req->scsi_status == 0;

	return req->kind == HBA_REQ_CDB && (good || req->moved) ? req->xfer.len : req->moved;
}

/* The unit says it once, to whoever comes first, a question of our own among them. */
static void hear_of_outage(const struct hba_req *req)
{
	if (hba_sense_is_outage(req))
		__atomic_fetch_add(&req->hba->unit[req->unit->index].outages, 1, __ATOMIC_RELAXED);
}

/* Gives the data back and calls done(), after which req may be somebody else's already. */
static void finish(struct hba_req *req)
{
	struct hba_lane *l = lane_of(req);

	if (req->xfer.dir != DMA_NONE)
		dma_xfer_unmap(&l->pool, &req->xfer, bytes_for_user(req));
	req->sgl.n = 0;
	req->sgl.bytes = 0;
	if (req->result != HBA_DONE)
		stat_inc(&l->stats.errors);
	hear_of_outage(req);
	__atomic_store_n(&l->accepted, l->accepted - 1, __ATOMIC_RELAXED);
	l->news = true;
	req->state = REQ_USER;
	req->done(req);
}

void hba_complete(struct hba_req *req)
{
	struct hba_core *c = req->hba->core;

	if (req->state != REQ_FLIGHT && req->state != REQ_ABORTING) {
		if (log_limit_ok(&lane_of(req)->late_limit, 5, 60 * NS_PER_SEC))
			log_warn("%s: ignoring a reply for request %u, which is not at the controller",
				req->hba->pci->uri, req->tag);
		return;
	}
	list_remove(&req->link);
	if (__atomic_load_n(&c->barren_resets, __ATOMIC_RELAXED))
		__atomic_store_n(&c->barren_resets, 0, __ATOMIC_RELAXED);
	if (req->doom && req->result != HBA_DONE)
		req->result = req->doom;
	finish(req);
}

void request_end_later(struct hba_req *req, enum hba_result result)
{
	req->result = result;
	req->scsi_status = 0;
	req->sense_len = 0;
	req->moved = 0;
	req->state = REQ_ENDING;
	list_remove(&req->link);
	list_append(&lane_of(req)->ending, &req->link);
}

bool requests_finish(struct hba_lane *l)
{
	struct hba_req *req = list_first(&l->ending, struct hba_req, link);
	bool any = req;

	while (req) {
		list_remove(&req->link);
		finish(req);
		req = list_first(&l->ending, struct hba_req, link);
	}
	return any;
}

static bool tells_of_unit(const struct hba_req *req)
{
	/* REQUEST SENSE, INQUIRY, MODE SENSE (6, 10), READ CAPACITY (10, 16), REPORT LUNS */
	static const uint8_t opcodes[] = {0x03, 0x12, 0x1a, 0x5a, 0x25, 0x9e, 0xa0};

	for (unsigned i = 0; i < ARRAY_SIZE(opcodes); i++)
		if (req->cdb[0] == opcodes[i])
			return req->kind == HBA_REQ_CDB && req->xfer.dir == DMA_FROM_DEVICE;
	return false;
}

void hba_note_data(const struct hba_req *req)
{
	const struct dma_arena *a = &lane_of(req)->pool.arena;

	if (!pci_is_noted(req->hba->pci) || !tells_of_unit(req))
		return;
	for (uint32_t i = 0; i < req->sgl.n; i++) {
		const struct dma_seg *s = &req->sgl.seg[i];

		if (s->addr >= a->iova && s->addr - a->iova < a->size &&
			s->len <= a->size - (s->addr - a->iova))
			pci_note(req->hba->pci, PCI_NOTE_IN, s->addr, a->cpu + (s->addr - a->iova), s->len);
	}
}

struct hba_req *hba_req_by_tag(struct hba *h, uint32_t tag)
{
	struct hba_req *req;

	if (tag >= h->limits.queue_depth)
		return NULL;
	req = &h->core->req[tag];
	return req->state == REQ_FLIGHT || req->state == REQ_ABORTING ? req : NULL;
}

void hba_abort(struct hba_req *req)
{
	struct hba_lane *l = lane_of(req);
	uint64_t soonest = loop_now(l->loop) + req->hba->core->times.abort_ms * NS_PER_MS;

	switch (req->state) {
	case REQ_HELD:
		stat_inc(&l->stats.aborts);
		request_end_later(req, HBA_ABORTED);
		return;
	case REQ_FLIGHT:
		if (req->doom)
			return;
		stat_inc(&l->stats.aborts);
		request_doom(req, HBA_ABORTED, MAX(request_deadline(req), soonest));
		if (l->state == HBA_RUNNING)
			recover_try_abort(req);
		return;
	default:
		return; /* already on its way back, or being aborted */
	}
}
