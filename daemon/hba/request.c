/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of a request: slot, data, hand-over to the driver, and exactly one done(). */
#include "core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int requests_init(struct hba *h, struct err *e)
{
	struct hba_core *c = h->core;
	uint32_t n = h->limits.queue_depth;
	uint32_t chunks = MAX(c->bounce_bytes / HBA_CHUNK, DIV_ROUND_UP(h->limits.max_transfer, HBA_CHUNK));
	int r;

	c->req = calloc(n, sizeof(*c->req));
	if (!c->req || tags_init(&c->tags, n) < 0) {
		requests_fini(h);
		return err_set(e, -ENOMEM, "out of memory for %u requests", n);
	}
	for (uint32_t i = 0; i < n; i++) {
		c->req[i].hba = h;
		c->req[i].tag = i;
		list_init(&c->req[i].link);
		list_init(&c->req[i].drv_link);
	}
	r = dma_pool_init(&c->pool, &h->space, HBA_CHUNK, chunks, h->limits.data_addr_max, e);
	if (r < 0)
		requests_fini(h);
	return r;
}

void requests_fini(struct hba *h)
{
	struct hba_core *c = h->core;

	if (c->pool.n)
		dma_pool_fini(&c->pool);
	tags_fini(&c->tags);
	free(c->req);
	c->req = NULL;
}

struct hba_req *hba_req_get(struct hba *h)
{
	struct hba_core *c = h->core;
	struct hba_req *req;
	int32_t tag;

	if (c->state != HBA_RUNNING || c->draining)
		return NULL;
	tag = tags_get(&c->tags);
	if (tag < 0) {
		c->slot_wanted = true;
		return NULL;
	}
	req = &c->req[tag];
	assert(req->state == REQ_FREE);
	/* Everything of the user's and the result; what follows is the core's. */
	memset(req, 0, offsetof(struct hba_req, hba));
	req->generation = c->tags.generation[tag];
	req->sgl = (struct dma_sgl){.seg = req->seg, .cap = MIN(h->limits.max_segments, HBA_MAX_SEGMENTS)};
	req->state = REQ_USER;
	req->doom = 0;
	req->reissues = 0;
	req->drv_step = 0;
	return req;
}

void hba_req_put(struct hba_req *req)
{
	struct hba_core *c = req->hba->core;

	assert(req->state == REQ_USER);
	req->state = REQ_FREE;
	tags_put(&c->tags, req->tag);
	/* No news if nobody missed it: who puts a slot back for want of bounce memory would wake himself. */
	c->news |= c->slot_wanted;
}

/* What the caller owes us. Answers are the same on every controller with the same limits. */
static int check_request(const struct hba *h, const struct hba_req *req)
{
	bool data = req->xfer.dir != DMA_NONE;

	if (!req->unit || req->unit < h->unit || req->unit >= h->unit + h->n_units || !req->done ||
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
static void clear_data_in(struct hba_core *c, const struct hba_req *req)
{
	for (uint32_t i = 0; i < req->sgl.n; i++)
		memset(c->pool.arena.cpu + (req->seg[i].addr - c->pool.arena.iova), 0, req->seg[i].len);
}

int hba_submit(struct hba_req *req)
{
	struct hba *h = req->hba;
	struct hba_core *c = h->core;
	int r;

	assert(req->state == REQ_USER);
	if ((c->state != HBA_RUNNING && c->state != HBA_RESETTING) || c->draining)
		return -ENODEV;
	r = check_request(h, req);
	if (r < 0)
		return r;
	if (req->xfer.dir != DMA_NONE) {
		r = dma_xfer_map(&c->pool, &req->xfer, &req->sgl, h->limits.max_segment_bytes);
		if (r < 0)
			return r;
		if (req->kind == HBA_REQ_CDB && req->xfer.dir == DMA_FROM_DEVICE)
			clear_data_in(c, req);
	}
	__atomic_store_n(&c->accepted, c->accepted + 1, __ATOMIC_RELAXED);
	stat_inc(&c->stats.requests);
	if (req->kind == HBA_REQ_FLUSH)
		stat_inc(&c->stats.flushes);
	if (c->state == HBA_RUNNING) {
		request_issue(req);
	} else {
		req->state = REQ_HELD;
		list_append(&c->held, &req->link);
	}
	return 0;
}

void request_issue(struct hba_req *req)
{
	struct hba *h = req->hba;

	req->deadline_ns = loop_now(h->loop) + req->timeout_ms * NS_PER_MS;
	req->state = REQ_FLIGHT;
	list_append(&h->core->flight, &req->link);
	h->core->rung = true;
	h->ops->submit(h, req);
}

void hba_req_rearm(struct hba_req *req)
{
	if (!req->doom)
		req->deadline_ns = loop_now(req->hba->loop) + req->timeout_ms * NS_PER_MS;
}

/* Of a pass-through read the user gets all that it asked for, or nothing: what lies beyond the bytes that a driver
 * knows to have been moved are the zeros of clear_data_in(), not what the user's memory held before. */
static uint32_t bytes_for_user(const struct hba_req *req)
{
	bool good = req->result == HBA_DONE && req->scsi_status == 0;

	return req->kind == HBA_REQ_CDB && (good || req->moved) ? req->xfer.len : req->moved;
}

/* Gives the data back and calls done(), after which req may be somebody else's already. */
static void finish(struct hba_req *req)
{
	struct hba_core *c = req->hba->core;

	if (req->xfer.dir != DMA_NONE)
		dma_xfer_unmap(&c->pool, &req->xfer, bytes_for_user(req));
	req->sgl.n = 0;
	req->sgl.bytes = 0;
	if (req->result != HBA_DONE)
		stat_inc(&c->stats.errors);
	__atomic_store_n(&c->accepted, c->accepted - 1, __ATOMIC_RELAXED);
	c->news = true;
	req->state = REQ_USER;
	req->done(req);
}

void hba_complete(struct hba_req *req)
{
	struct hba_core *c = req->hba->core;

	if (req->state != REQ_FLIGHT && req->state != REQ_ABORTING) {
		if (log_limit_ok(&c->late_limit, 5, 60 * NS_PER_SEC))
			log_warn("%s: ignoring a reply for request %u, which is not at the controller",
				req->hba->pci->uri, req->tag);
		return;
	}
	list_remove(&req->link);
	c->barren_resets = 0;
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
	list_append(&req->hba->core->ending, &req->link);
}

bool requests_finish(struct hba *h)
{
	struct hba_core *c = h->core;
	struct hba_req *req = list_first(&c->ending, struct hba_req, link);
	bool any = req;

	while (req) {
		list_remove(&req->link);
		finish(req);
		req = list_first(&c->ending, struct hba_req, link);
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
	const struct dma_arena *a = &req->hba->core->pool.arena;

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
	struct hba *h = req->hba;
	uint64_t soonest = loop_now(h->loop) + h->core->times.abort_ms * NS_PER_MS;

	switch (req->state) {
	case REQ_HELD:
		stat_inc(&h->core->stats.aborts);
		request_end_later(req, HBA_ABORTED);
		return;
	case REQ_FLIGHT:
		if (req->doom)
			return;
		stat_inc(&h->core->stats.aborts);
		req->doom = HBA_ABORTED;
		req->deadline_ns = MAX(req->deadline_ns, soonest);
		if (h->core->state == HBA_RUNNING)
			recover_try_abort(req);
		return;
	default:
		return; /* already on its way back, or being aborted */
	}
}
