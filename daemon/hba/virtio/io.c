/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests on their way to the device and back; polling. Each lane has its own queue, and nothing of another's. */
#include "vio.h"

#include <errno.h>
#include <string.h>

enum {
	OP_REQUEST_SENSE = 0x03,
	OP_INQUIRY = 0x12,
	OP_SYNCHRONIZE_CACHE_10 = 0x35,
	OP_REPORT_LUNS = 0xa0,
};
#define SCSI_GOOD	     0x00
#define SCSI_CHECK_CONDITION 0x02
#define ASC_RESET_OCCURRED   0x29
#define MAX_AGAIN	     3 /* times that a request is sent anew without a controller reset in between */

static struct vio_addr *addr_of(struct vio *v, const struct hba_req *req)
{
	return &v->addr[req->unit->index];
}

void vio_send(struct vio *v, struct hba_req *req)
{
	struct vio_cmd c = {
		.addr = addr_of(v, req),
		.id = (uint64_t)req->generation << 32 | req->tag,
		.cdb = req->cdb,
		.cdb_len = req->cdb_len,
		.dir = req->xfer.dir,
		.seg = req->seg,
		.n_seg = req->sgl.n,
	};
	uint8_t cdb[16] = {OP_SYNCHRONIZE_CACHE_10}; /* of all blocks */

	if (req->kind == HBA_REQ_FLUSH) {
		c.cdb = cdb;
		c.cdb_len = 10;
	} else if (req->kind == HBA_REQ_RW) {
		c.cdb_len = vio_rw_cdb(req, c.addr->dpofua, cdb);
		c.cdb = cdb;
	}
	v->slot[req->tag].behind_reset = __atomic_load_n(&addr_of(v, req)->expect_ua, __ATOMIC_RELAXED);
	vio_fire(v, req->lane, req->tag, &c);
}

void vio_submit(struct hba *h, struct hba_req *req)
{
	req->drv_step = 0;
	vio_turn_await(vio_of(h), req);
}

void vio_doorbell(struct hba *h, unsigned lane)
{
	struct vio *v = vio_of(h);

	vio_kick(v, vio_lane_ring(v, lane));
}

/* --- answers --- */

/* Commands that are answered whether or not a unit attention is pending (SPC-4 5.14). */
static bool passes_ua(const struct hba_req *req)
{
	uint8_t op = req->cdb[0];

	return req->kind == HBA_REQ_CDB &&
	       (op == OP_INQUIRY || op == OP_REPORT_LUNS || op == OP_REQUEST_SENSE);
}

/* The unit attention of our own reset is ours: re-issued commands are to go on as if nothing had been. The unit has
 * not run a command that it answers so, so even those that must not run twice can be sent again. No reset of ours takes
 * power away: one that tells of that tells what everybody has to know.
 *
 * Another lane may see the answer to a later command first. Commands that were sent before it did are told of the reset as
 * well, so what counts is what was known when they were sent. */
static bool is_our_ua(struct vio *v, const struct hba_req *req)
{
	if (!v->slot[req->tag].behind_reset)
		return false;
	if (hba_sense_is(req, SENSE_KEY_UNIT_ATTENTION, ASC_RESET_OCCURRED) && !hba_sense_is_outage(req))
		return true;
	/* It has been told, or there was none. */
	if (req->result == HBA_DONE && !passes_ua(req))
		__atomic_store_n(&addr_of(v, req)->expect_ua, false, __ATOMIC_RELAXED);
	return false;
}

/* True: it stays at the controller, as far as the core knows. Sent again here; or, when a controller reset has begun,
 * by the core after it. */
static bool goes_again(struct vio *v, struct hba_req *req)
{
	/* Somebody's reset swept it away, and nobody here asked for its end. */
	bool swept = req->result == HBA_ABORTED && !req->no_reissue;

	if (!is_our_ua(v, req) && !swept)
		return false;
	if (req->doom || req->drv_step >= MAX_AGAIN)
		return false;
	if (!hba_lane_runs(v->h, req->lane))
		return true;
	req->drv_step++;
	vio_send(v, req);
	return true;
}

/* The layers above have only sense data for it, which cannot say this. */
static void note_failure(struct vio *v, const struct hba_req *req, const struct vio_cmd_resp *resp)
{
	if (log_limit_ok(&v->lane[req->lane].failure_limit, 5, 60 * NS_PER_SEC))
		log_warn("%s: %s: request of kind %d failed: response %u, status %02xh, %u of %u bytes left, "
			 "%u bytes of "
			 "sense",
			v->h->pci->uri, req->unit->name, (int)req->kind, resp->response, resp->status,
			le32_to_cpu(resp->residual), req->xfer.len, le32_to_cpu(resp->sense_len));
}

static int request_reply(struct vio *v, struct hba_req *req)
{
	/* Snapshot: what is looked at twice below must not change in between. */
	struct vio_cmd_resp resp;
	unsigned lane = req->lane, unit = req->unit->index;
	int r;

	memcpy(&resp, vio_slot_mem(v, req->tag) + VIO_SLOT_RESP, sizeof(resp));
	r = vio_result(req, &resp);
	if (r < 0) {
		/* Not over: it must not look like one that waits for its turn before the reset. */
		v->slot[req->tag].at_device = true;
		return r;
	}
	if (goes_again(v, req))
		return 0;
	if (req->result == HBA_IO_ERROR)
		note_failure(v, req, &resp);
	/* A flush is GOOD or it is not. */
	if (req->kind == HBA_REQ_FLUSH && hba_sense_key_is(req, SENSE_KEY_RECOVERED_ERROR))
		req->scsi_status = SCSI_GOOD;
	hba_complete(req);
	vio_turn_over(v, lane, unit);
	return 0;
}

/* The slot of a number in this lane's queue, if it is at the device; else -1. */
static int64_t slot_at_device(const struct vio *v, unsigned lane, uint32_t number)
{
	const struct vio_lane *l = &v->lane[lane];
	uint32_t slot = l->first_tag + number;

	if (!lane && number == vio_slot_number(v, lane, vio_polled_slot(v)))
		slot = vio_polled_slot(v);
	else if (number >= l->n_tags)
		return -1;
	return v->slot[slot].at_device ? (int64_t)slot : -1;
}

static int one_used(struct vio *v, unsigned lane, uint32_t id, uint32_t len)
{
	int64_t slot = id % v->stride ? -1 : slot_at_device(v, lane, id / v->stride);
	struct hba_req *req = NULL;

	/* The buffers were offered, so it may have written into them, but not beyond. */
	if (slot < 0 || len > v->slot[slot].bytes)
		return -EIO;
	if (slot == vio_polled_slot(v)) {
		v->slot[slot].at_device = false;
		v->polled_done = true;
		return 0;
	}
	req = hba_req_by_tag(v->h, (uint32_t)slot);
	if (!req)
		return -EIO;
	v->slot[slot].at_device = false;
	return request_reply(v, req);
}

int vio_drain_requests(struct vio *v, unsigned lane)
{
	struct vio_ring *q = vio_lane_ring(v, lane);
	uint32_t budget = q->size; /* a device that goes on for ever must not hold the thread */
	uint32_t id = 0, len = 0;
	int r, bad = 0;

	while ((r = vio_ring_take(q, &id, &len)) > 0) {
		/* The rest of the ring is still good after one wild entry. */
		if (one_used(v, lane, id, len) < 0) {
			bad = -EIO;
			if (log_limit_ok(&v->lane[lane].garbage_limit, 5, 60 * NS_PER_SEC))
				log_warn("%s: the device answered descriptor %u of queue %u with %u bytes, "
					 "which "
					 "makes no sense",
					v->h->pci->uri, id, q->index, len);
		}
		if (!--budget)
			return bad < 0 ? bad : 1;
	}
	if (r < 0)
		log_warn("%s: the device's ring index of queue %u is wild", v->h->pci->uri, q->index);
	return r < 0 ? r : bad;
}

static int worse(int a, int b)
{
	return a < 0 ? a : b < 0 ? b : MAX(a, b);
}

int vio_drain(struct vio *v)
{
	/* Task management first: when it says that a command has ended, the command is in the ring already. */
	int r = vio_drain_control(v);

	r = worse(r, vio_drain_requests(v, 0));
	return worse(r, vio_drain_events(v));
}

/* --- polling --- */

/* A shared line stays up until this is read [4.1.4.5]. All ones is no value of it. */
static int read_isr(const struct vio *v)
{
	const struct vio_area *a = &v->area[VIO_CAP_ISR];

	return pci_read8(v->h->pci, a->bar, a->offset) == UINT8_MAX ? -ENODEV : 0;
}

/* A device may stop, or go, without an interrupt: it is asked once per second. */
static int check_health(struct vio *v)
{
	uint64_t now = clock_ns();

	if (now - v->health_ns < v->times->health * NS_PER_MS)
		return 0;
	v->health_ns = now;
	vio_doubt_look(v);
	return vio_health(v);
}

/* This interrupt may be theirs. */
static void wake_those_without(const struct vio *v)
{
	for (unsigned i = 1; i < v->h->n_lanes; i++)
		if (v->lane[i].by_first)
			hba_lane_wake(v->h, i);
}

/* What was taken may let others go; after vio_drain() or vio_drain_requests(), which have said r. */
static int after_drain(struct vio *v, unsigned lane, int r)
{
	vio_turns_end_given_up(v, lane);
	if (r >= 0 && hba_lane_runs(v->h, lane)) {
		/* The answer of one that is named may be in what is left. */
		if (r == 0)
			vio_tmfs_settle(v, lane);
		vio_turns_look(v, lane);
		vio_kick(v, vio_lane_ring(v, lane));
	}
	/* More is in the rings than one call takes, and its interrupt is spent. */
	if (r > 0)
		hba_lane_wake(v->h, lane);
	/* Garbage is what a device that has gone shows too. */
	return r < 0 && vio_status(v) == VIO_ST_ALL_ONES ? -ENODEV : r;
}

int vio_poll(struct hba *h)
{
	struct vio *v = vio_of(h);
	int r = v->irq == PCI_IRQ_INTX ? read_isr(v) : 0;

	if (r < 0)
		return r;
	r = after_drain(v, 0, vio_drain(v));
	if (r >= 0)
		vio_kick(v, &v->ring[VIO_Q_EVENT]);
	if (r >= 0)
		r = check_health(v);
	wake_those_without(v);
	if (v->irq == PCI_IRQ_INTX)
		h->pci->ops->intx_unmask(h->pci);
	return r;
}

int vio_poll_lane(struct hba *h, unsigned lane)
{
	struct vio *v = vio_of(h);

	return after_drain(v, lane, vio_drain_requests(v, lane));
}
