/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests on their way to the device and back; polling. */
#include "vio.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

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

static void fire(struct vio *v, struct hba_req *req)
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
	vio_fire(v, req->tag, &c);
}

/* --- turns --- */

static struct vio_turn *turn_of(struct vio *v, const struct hba_req *req)
{
	return &v->turn[req->unit->index];
}

void vio_turns_init(struct vio *v)
{
	for (unsigned i = 0; i < HBA_MAX_UNITS; i++)
		list_init(&v->turn[i].waiting);
	list_init(&v->given_up);
}

static void forget_list(struct list *l)
{
	while (!list_empty(l))
		list_remove(l->next);
}

void vio_turns_forget(struct vio *v)
{
	for (unsigned i = 0; i < HBA_MAX_UNITS; i++) {
		v->turn[i].busy = 0;
		forget_list(&v->turn[i].waiting);
	}
	forget_list(&v->given_up);
}

void vio_submit(struct hba *h, struct hba_req *req)
{
	struct vio *v = vio_of(h);
	struct vio_turn *t = turn_of(v, req);

	req->drv_step = 0;
	if (v->config.cmd_per_lun && t->busy >= v->config.cmd_per_lun) {
		list_append(&t->waiting, &req->drv_link);
		return;
	}
	t->busy++;
	fire(v, req);
}

/* One of the unit's commands has come back. In a reset nothing new is sent. */
static void next_turn(struct vio *v, struct vio_turn *t)
{
	struct hba_req *req = list_first(&t->waiting, struct hba_req, drv_link);

	t->busy--;
	if (!req || hba_state(v->h) != HBA_RUNNING)
		return;
	list_remove(&req->drv_link);
	/* Its time limit is for the unit, not for the wait behind others. */
	hba_req_rearm(req);
	t->busy++;
	fire(v, req);
}

/* Another poll, after the other descriptors had theirs. */
static void wake_again(struct vio *v)
{
	uint64_t one = 1;

	/* It fails only when the counter is full: then it is readable anyhow. */
	if (write(v->h->irq_fd, &one, sizeof(one)) < 0)
		return;
}

bool vio_give_up_waiting(struct vio *v, struct hba_req *req)
{
	if (v->slot[req->tag].at_device)
		return false;
	/* From one list to the other; never ended from within the call. */
	list_remove(&req->drv_link);
	list_append(&v->given_up, &req->drv_link);
	wake_again(v);
	return true;
}

static void end_given_up(struct vio *v)
{
	struct hba_req *req;

	while ((req = list_first(&v->given_up, struct hba_req, drv_link))) {
		list_remove(&req->drv_link);
		req->result = HBA_ABORTED;
		req->fw_status = VIO_S_ABORTED;
		req->scsi_status = 0;
		req->sense_len = 0;
		req->moved = 0;
		hba_complete(req);
	}
}

static void kick_requests(struct vio *v)
{
	for (unsigned i = VIO_Q_REQUEST; i < VIO_N_QUEUES; i++)
		vio_kick(v, &v->ring[i]);
}

void vio_doorbell(struct hba *h)
{
	kick_requests(vio_of(h));
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
 * power away: one that tells of that tells what everybody has to know. */
static bool is_our_ua(struct vio *v, const struct hba_req *req)
{
	struct vio_addr *a = addr_of(v, req);

	if (!a->expect_ua)
		return false;
	if (hba_sense_is(req, SENSE_KEY_UNIT_ATTENTION, ASC_RESET_OCCURRED) && !hba_sense_is_outage(req))
		return true;
	/* It has been told, or there was none. */
	if (req->result == HBA_DONE && !passes_ua(req))
		a->expect_ua = false;
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
	if (hba_state(v->h) != HBA_RUNNING)
		return true;
	req->drv_step++;
	fire(v, req);
	return true;
}

/* The layers above have only sense data for it, which cannot say this. */
static void note_failure(struct vio *v, const struct hba_req *req, const struct vio_cmd_resp *resp)
{
	if (log_limit_ok(&v->failure_limit, 5, 60 * NS_PER_SEC))
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
	struct vio_turn *t = turn_of(v, req);
	int r;

	memcpy(&resp, vio_slot_mem(v, req->tag) + VIO_SLOT_RESP, sizeof(resp));
	r = vio_result(req, &resp);
	if (r < 0 || goes_again(v, req))
		return r;
	if (req->result == HBA_IO_ERROR)
		note_failure(v, req, &resp);
	/* A flush is GOOD or it is not. */
	if (req->kind == HBA_REQ_FLUSH && hba_sense_key_is(req, SENSE_KEY_RECOVERED_ERROR))
		req->scsi_status = SCSI_GOOD;
	hba_complete(req);
	next_turn(v, t);
	return 0;
}

static int one_used(struct vio *v, uint32_t id, uint32_t len)
{
	uint32_t slot = id / v->stride;
	struct hba_req *req = NULL;

	if (slot > v->depth || id % v->stride || !v->slot[slot].at_device)
		return -EIO;
	/* The buffers were offered, so it may have written into them, but not beyond. */
	if (len > v->slot[slot].bytes)
		return -EIO;
	if (slot == vio_polled_slot(v)) {
		v->slot[slot].at_device = false;
		v->polled_done = true;
		return 0;
	}
	req = hba_req_by_tag(v->h, slot);
	if (!req)
		return -EIO;
	v->slot[slot].at_device = false;
	return request_reply(v, req);
}

int vio_drain_requests(struct vio *v, struct vio_ring *q)
{
	uint32_t budget = q->size; /* a device that goes on for ever must not hold the thread */
	uint32_t id = 0, len = 0;
	int r, bad = 0;

	while ((r = vio_ring_take(q, &id, &len)) > 0) {
		/* The rest of the ring is still good after one wild entry. */
		if (one_used(v, id, len) < 0) {
			bad = -EIO;
			if (log_limit_ok(&v->garbage_limit, 5, 60 * NS_PER_SEC))
				log_warn("%s: the device answered descriptor %u with %u bytes, which makes "
					 "no sense",
					v->h->pci->uri, id, len);
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

	for (unsigned i = VIO_Q_REQUEST; i < VIO_N_QUEUES; i++)
		r = worse(r, vio_drain_requests(v, &v->ring[i]));
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
	return vio_health(v);
}

int vio_poll(struct hba *h)
{
	struct vio *v = vio_of(h);
	int r = v->irq == PCI_IRQ_INTX ? read_isr(v) : 0;

	if (r < 0)
		return r;
	r = vio_drain(v);
	end_given_up(v);
	if (r >= 0) {
		vio_escalate(v);
		kick_requests(v);
		vio_kick(v, &v->ring[VIO_Q_EVENT]);
	}
	/* More is in the rings than one call takes, and its interrupt is spent. */
	if (r > 0)
		wake_again(v);
	/* Garbage is what a device that has gone shows too. */
	if (r < 0 && vio_status(v) == VIO_ST_ALL_ONES)
		r = -ENODEV;
	if (r >= 0)
		r = check_health(v);
	if (v->irq == PCI_IRQ_INTX)
		h->pci->ops->intx_unmask(h->pci);
	return r;
}
