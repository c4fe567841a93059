/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests on their way to the box and back; polling. */
#include "box.h"

#include <errno.h>
#include <string.h>

#define MAX_AGAIN    3 /* times that a request is sent anew without a controller reset in between */
#define AGAIN_SHIFT  4 /* in drv_step; below it is the step of a flush */
#define DRAIN_BUDGET (2 * AME_REPLY_FRAMES)

/* --- to the box --- */

void ame_fire(struct ame *a, uint32_t slot, enum ame_function function)
{
	struct ame_slot *s = &a->slot[slot];

	assert(!s->at_box);
	s->at_box = true;
	s->function = (uint8_t)function;
	s->fired_ns = clock_ns();
	a->n_at_box++;
	if (pci_is_noted(a->h->pci))
		ame_note_request(a, slot);
	ame_write(a, AME_REQUEST, (uint32_t)ame_iova(a, ame_slot_at(a, slot, AME_AT_FRAME)));
	ame_pace(a);
}

/* A yes must be followed by send(). */
static bool can_send(const struct ame *a)
{
	return !ame_held(a) && ame_carrier_free(a) && ame_has_room(a);
}

static void send(struct ame *a, struct hba_req *req)
{
	uint32_t slot = ame_carrier_take(a, req->tag);
	struct ame_cmd c = {
		.lun = (uint8_t)req->unit->target,
		.cdb = req->cdb,
		.cdb_len = req->cdb_len,
		.dir = req->xfer.dir,
		.seg = req->seg,
		.n_seg = req->sgl.n,
	};
	uint8_t cdb[AME_MAX_CDB];
	struct dma_seg seg;

	if (req->kind == HBA_REQ_FLUSH) {
		ame_flush_cdb(a, req, slot, &c, &seg, cdb);
	} else if (req->kind == HBA_REQ_RW) {
		c.cdb_len = ame_rw_cdb(req, cdb);
		c.cdb = cdb;
	}
	ame_build_scsi(a, slot, &c);
	ame_fire(a, slot, AME_F_SCSI);
}

static void end_locally(struct ame *a, struct hba_req *req, enum hba_result result)
{
	req->result = result;
	req->fw_status = AME_S_OK;
	req->scsi_status = 0;
	req->sense_len = 0;
	req->moved = 0;
	list_append(&a->local, &req->drv_link);
	ame_wake(a);
}

/* Reads and writes without data never reach the box: there is no list of segments that says so [4.2]. Only those that
 * ask for nothing are good. */
static bool asks_for_nothing(const uint8_t *cdb)
{
	switch (cdb[0] >> 5) {
	case 0:
		return false; /* 0 means 256 blocks */
	case 1:
		return get_be16(cdb + 7) == 0;
	case 4:
		return get_be32(cdb + 10) == 0;
	default:
		return get_be32(cdb + 6) == 0;
	}
}

void ame_submit(struct hba *h, struct hba_req *req)
{
	struct ame *a = ame_of(h);

	req->drv_step = 0;
	if (req->kind == HBA_REQ_CDB && !req->xfer.len && ame_is_rw(req->cdb[0]))
		end_locally(a, req, asks_for_nothing(req->cdb) ? HBA_DONE : HBA_IO_ERROR);
	else if (!list_empty(&a->waiting) || !can_send(a))
		list_append(&a->waiting, &req->drv_link);
	else
		send(a, req);
}

static void send_waiting(struct ame *a)
{
	struct hba_req *req;

	while ((req = list_first(&a->waiting, struct hba_req, drv_link))) {
		if (hba_state(a->h) != HBA_RUNNING || !can_send(a))
			return;
		list_remove(&req->drv_link);
		/* Its time limit is for the unit, not for the wait before. */
		hba_req_rearm(req);
		send(a, req);
	}
}

bool ame_give_up_waiting(struct ame *a, struct hba_req *req)
{
	if (a->slot_of[req->tag] >= 0)
		return false;
	/* From one list to the other; never ended from within the call. */
	list_remove(&req->drv_link);
	end_locally(a, req, HBA_ABORTED);
	return true;
}

static void end_local(struct ame *a)
{
	struct hba_req *req;

	while ((req = list_first(&a->local, struct hba_req, drv_link))) {
		list_remove(&req->drv_link);
		hba_complete(req);
	}
}

void ame_forget(struct ame *a)
{
	list_scatter(&a->waiting);
	list_scatter(&a->local);
	ame_carriers_exile(a);
	for (uint32_t i = 0; i < AME_MAX_SLOTS; i++)
		a->slot[i] = (struct ame_slot){.exiled = a->slot[i].exiled};
	memset(a->task, 0, sizeof(a->task));
	memset(a->slot_of, 0xff, sizeof(a->slot_of));
	a->n_at_box = 0;
	a->map_stale = false;
	a->polled_done = false;
}

/* --- back --- */

/* Somebody's reset of the unit swept it away, and nobody here asked for its end. */
static bool swept(const struct hba_req *req)
{
	return req->result == HBA_ABORTED && !req->no_reissue && !req->doom &&
	       req->drv_step >> AGAIN_SHIFT < MAX_AGAIN;
}

/* The layers above have only sense data for it, which cannot say this. */
static void note_failure(struct ame *a, const struct hba_req *req)
{
	if (log_limit_ok(&a->failure_limit, 5, 60 * NS_PER_SEC))
		log_warn(
			"%s: %s: request of kind %d (CDB %02x) failed: reply status %02xh, SCSI status %02xh",
			a->h->pci->uri, req->unit->name, (int)req->kind, req->cdb[0], req->fw_status,
			req->scsi_status);
}

/* True: it is not over. r is NULL for a fast reply. */
static bool take_result(struct ame *a, struct hba_req *req, uint32_t slot, const struct ame_reply *r)
{
	uint32_t len = req->kind == HBA_REQ_FLUSH ? ame_flush_len(req) : req->xfer.len;
	struct ame_sense sense;

	if (r) {
		/* Snapshot: what is looked at twice must not change in between. */
		memcpy(&sense, ame_slot_at(a, slot, AME_AT_SENSE), sizeof(sense));
		ame_result(req, len, r, &sense);
	} else {
		ame_result_fast(req, len);
	}
	if (swept(req)) {
		req->drv_step += 1 << AGAIN_SHIFT;
		return true;
	}
	return req->kind == HBA_REQ_FLUSH && ame_flush_next(a, req, slot);
}

static void request_reply(struct ame *a, struct hba_req *req, uint32_t slot, const struct ame_reply *r)
{
	bool more = take_result(a, req, slot, r);

	ame_carrier_put(a, slot);
	if (more) {
		/* In a reset nothing new is sent: the core re-issues it, from its first step. */
		list_prepend(&a->waiting, &req->drv_link);
		return;
	}
	if (req->result == HBA_IO_ERROR)
		note_failure(a, req);
	hba_complete(req);
}

/* -1: nobody's */
static int slot_of_id(uint32_t id)
{
	uint32_t slot = (id >> AME_ID_SHIFT) - 1;

	return ame_id(slot) == id && slot < AME_MAX_SLOTS ? (int)slot : -1;
}

/* Slot of an identifier that the box may use now, or -1. */
static int slot_by_id(const struct ame *a, uint32_t id, uint8_t function)
{
	int slot = slot_of_id(id);

	return slot >= 0 && a->slot[slot].at_box && a->slot[slot].function == function ? slot : -1;
}

static int scsi_reply(struct ame *a, uint32_t slot, const struct ame_reply *r)
{
	struct hba_req *req;

	if (slot == AME_SLOT_POLLED) {
		a->polled_done = true;
		a->polled_fast = !r;
		if (r)
			a->polled_reply = *r;
		return 0;
	}
	req = hba_req_by_tag(a->h, a->slot[slot].tag);
	if (!req)
		return -EIO;
	request_reply(a, req, slot, r);
	return 0;
}

/* The box has said that it had given up all commands, and this was one of them: others may be at work, and their memory is
 * somebody else's. Only a reset of the function ends that, now and whenever it says so again. */
static void note_late(struct ame *a, uint32_t id)
{
	int slot = slot_of_id(id);

	if (slot < 0 || !a->slot[slot].exiled)
		return;
	if (!a->unforgetting)
		log_warn("%s: the box has answered a command that it had given up; it is reset now, and "
			 "whenever it says so again",
			a->h->pci->uri);
	a->unforgetting = true;
}

static int reply(struct ame *a, uint32_t id, uint8_t function, const struct ame_reply *r)
{
	int slot = slot_by_id(a, id, function);

	if (slot < 0) {
		note_late(a, id);
		return -EIO;
	}
	a->slot[slot].at_box = false;
	a->n_at_box--;
	switch (function) {
	case AME_F_SCSI:
		return scsi_reply(a, (uint32_t)slot, r);
	case AME_F_TASK:
		ame_task_reply(a, (uint32_t)slot, r);
		return 0;
	case AME_F_INBAND:
		ame_inband_reply(a, r);
		return 0;
	default:
		return -EIO;
	}
}

/* Untrusted, all of it. A fast reply says that a SCSI request went well, and nothing else. */
static int message(struct ame *a, uint32_t m)
{
	struct ame_reply r;
	int frame;

	if (!(m & AME_MSG_FRAME))
		return reply(a, m, AME_F_SCSI, NULL);
	frame = ame_frame_by_message(a, m);
	if (frame < 0)
		return -EIO;
	/* Snapshot, and the frame is ours again. */
	memcpy(&r, ame_reply_at(a, (uint32_t)frame), sizeof(r));
	ame_frame_returned(a, (uint32_t)frame);
	if (r.function == AME_F_EVENT) {
		ame_event_reply(a, &r);
		return 0;
	}
	return reply(a, le32_to_cpu(r.id), r.function, &r);
}

int ame_drain(struct ame *a)
{
	int r = a->family->doorbells ? ame_notices(a) : 0, bad = 0;
	uint32_t m, budget = DRAIN_BUDGET; /* a box that goes on for ever must not hold the thread */

	if (r < 0)
		return r;
	while ((m = ame_read(a, AME_REPLY)) != AME_ALL_ONES) {
		if (pci_is_noted(a->h->pci))
			ame_note_message(a, m);
		/* What follows one wild message is still good. */
		if (message(a, m) < 0) {
			bad = -EIO;
			if (log_limit_ok(&a->garbage_limit, 5, 60 * NS_PER_SEC))
				log_warn("%s: the box says %08xh, which makes no sense", a->h->pci->uri, m);
		}
		if (!--budget)
			return bad < 0 ? bad : 1;
	}
	return bad;
}

unsigned ame_drop_replies(struct ame *a, bool all)
{
	unsigned late = 0;
	uint32_t m;

	for (unsigned n = 0; n < DRAIN_BUDGET && (m = ame_read(a, AME_REPLY)) != AME_ALL_ONES; n++) {
		if (pci_is_noted(a->h->pci))
			ame_note_message(a, m);
		if (!(m & AME_MSG_FRAME) && slot_of_id(m) >= 0)
			late += all || a->slot[slot_of_id(m)].exiled;
	}
	return late;
}

/* --- polling --- */

/* A box may go, or restart, without an interrupt: it is looked at once per second. */
static int check_presence(struct ame *a)
{
	enum ame_presence p = ame_look(a);

	/* It said that it would go. The reset waits for it. */
	if (p == AME_GONE)
		return a->restart_ns ? -EIO : -ENODEV;
	if (!ame_restarted(a, p))
		return 0;
	log_warn("%s: the box has restarted", a->h->pci->uri);
	a->reset.restarted = true;
	return -EIO;
}

/* While the box has asked for patience, which has its own limits (ame_notice_limits()), no request's time runs: neither
 * errors nor a reset must come of it. An abort that was asked for is not put off. */
static void stop_the_clock(struct ame *a)
{
	list_for_each(pos, &a->waiting)
		hba_req_rearm(container_of(pos, struct hba_req, drv_link));
	for (uint32_t tag = 0; tag < AME_DEPTH; tag++) {
		struct hba_req *req = a->slot_of[tag] >= 0 ? hba_req_by_tag(a->h, tag) : NULL;

		if (req)
			hba_req_rearm(req);
	}
}

static int check_health(struct ame *a)
{
	uint64_t now = clock_ns();
	int r;

	if (now - a->health_ns < ame_times(a)->health * NS_PER_MS)
		return 0;
	a->health_ns = now;
	if (a->n_exile && now >= a->exile_until_ns)
		ame_carriers_pardon(a);
	if (ame_held(a))
		stop_the_clock(a);
	r = check_presence(a);
	if (r == 0)
		r = ame_notice_limits(a, now);
	return r < 0 ? r : ame_manage_limits(a, now);
}

int ame_poll(struct hba *h)
{
	struct ame *a = ame_of(h);
	int r = ame_drain(a);

	end_local(a);
	if (r >= 0) {
		ame_frames_lend(a);
		ame_escalate(a);
		ame_manage(a, clock_ns());
		send_waiting(a);
	}
	/* There is more than one call takes, and its interrupt is spent. */
	if (r > 0)
		ame_wake(a);
	if (r >= 0)
		r = check_health(a);
	ame_pace(a);
	if (a->irq == PCI_IRQ_INTX)
		h->pci->ops->intx_unmask(h->pci);
	return r;
}
