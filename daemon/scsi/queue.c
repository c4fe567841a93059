/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between tasks and the controller. LUNs take turns, one request each, so that a deep queue on one does not
 * starve another; when the controller has no slot or memory left, all wait for ready().
 */
#include "task.h"

#include <errno.h>
#include "base/clock.h"
#include "base/log.h"

static bool in_flush(const struct scsi_task *t)
{
	return t->phase != PHASE_BODY;
}

/* Where a request's part lies in the task's data. Flushes have none: their errors count as the first. */
static uint64_t offset_of(const struct scsi_task *t, const struct hba_req *req)
{
	if (req->kind == HBA_REQ_FLUSH)
		return 0;
	return (req->lba - t->lba) * t->lun->facts.id.block_size;
}

static void child_good(struct scsi_task *t, const struct hba_req *req)
{
	if (req->kind == HBA_REQ_FLUSH && !lost_flush_is_true(t))
		task_fail_at(t, 0, SENSE_WRITE_ERROR, NULL);
	else if (req->kind == HBA_REQ_FLUSH)
		t->phase = t->phase == PHASE_BEFORE ? PHASE_BODY : PHASE_END;
	else if (t->work->good)
		t->work->good(t, req, offset_of(t, req));
}

/* The unit says it once, and to this host, whose LUNs have initiators of their own to tell. */
static void keep_attention(struct scsi_task *t, const struct hba_req *req)
{
	enum scsi_sense code;

	if (t->ours && req_sense(req, &code) && SENSE_KEY(code) == KEY_UNIT_ATTENTION)
		lun_unit_attention(t->lun, code);
}

static void child_failed(struct scsi_task *t, const struct hba_req *req)
{
	uint64_t offset = offset_of(t, req);
	bool may_rescue = req->kind != HBA_REQ_FLUSH || (t->work && t->work->rescue_flush);

	lost_look(t->lun);
	keep_attention(t, req);
	if (may_rescue && t->work->rescue && t->work->rescue(t, req, offset))
		return;
	task_fail_req(t, req, offset);
}

static void remember_child(struct scsi_task *t, struct hba_req *req)
{
	for (unsigned i = 0; i < SCSI_MAX_CHILDREN; i++) {
		if (t->child[i])
			continue;
		t->child[i] = req;
		return;
	}
	assert(false);
}

static void forget_child(struct scsi_task *t, const struct hba_req *req)
{
	for (unsigned i = 0; i < SCSI_MAX_CHILDREN; i++)
		if (t->child[i] == req)
			t->child[i] = NULL;
}

static void child_done(struct hba_req *req)
{
	struct scsi_task *t = req->user;
	struct scsi_host *s = t->lun->host;
	bool kicking = s->kicking;

	assert(t->children);
	/* While t is still seen to have a request there. */
	if (req->result == HBA_GONE)
		host_notice_loss(s);
	t->children--;
	forget_child(t, req);
	if (req_is_good(req))
		child_good(t, req);
	else if (req->result != HBA_GONE || !hold_forgives(t, req, offset_of(t, req)))
		child_failed(t, req);
	/* ready() comes from here: it must not find t half way. */
	s->kicking = true;
	hba_req_put(req);
	s->kicking = kicking;
	task_advance(t);
	host_kick(s);
}

/* Every field that is ours, because a spare request has been filled before. */
static void prepare(struct hba_req *req, struct scsi_task *t, enum scsi_time time)
{
	req->unit = t->lun->unit;
	req->kind = HBA_REQ_CDB;
	req->lba = t->lba;
	req->nblocks = 0;
	req->block_size = t->lun->facts.id.block_size;
	req->fua = req->dpo = false;
	req->cdb_len = 0;
	req->no_reissue = false;
	req->xfer.iov = NULL;
	req->xfer.niov = 0;
	req->xfer.offset = 0;
	req->xfer.len = 0;
	req->xfer.dir = DMA_NONE;
	req->timeout_ms = scsi_time_seconds(time) * 1000;
	req->done = child_done;
	req->user = t;
}

static int fill(struct scsi_task *t, struct hba_req *req, uint64_t *ret_span)
{
	*ret_span = 0;
	if (in_flush(t)) {
		prepare(req, t, TIME_FLUSH);
		req->kind = HBA_REQ_FLUSH;
		return 0;
	}
	prepare(req, t, t->op->time);
	return t->work->fill(t, req, ret_span);
}

/* The layer below refused for good: a bug of this layer or a controller whose limits contradict each other. */
static void refused(struct scsi_task *t, int code)
{
	if (log_limit_ok(&t->lun->host->refused, 5, 60 * NS_PER_SEC))
		log_err("%s: request of %s refused (%d): failing the command", t->lun->cfg.unit, t->op->name,
			code);
	task_fail_at(t, t->next, SENSE_INTERNAL_FAILURE, NULL);
}

/* Hands one request down. -EAGAIN: no slot or memory now; -ENOBUFS: no scratch buffer. Other trouble is the
 * task's. */
static int issue(struct scsi_host *s, struct scsi_task *t)
{
	struct hba_req *req = s->spare ? s->spare : hba_lane_req_get(s->hba, s->lane);
	bool flush = in_flush(t);
	uint64_t span;
	int r;

	s->spare = NULL;
	if (!req)
		return -EAGAIN;
	r = fill(t, req, &span);
	if (r == 0) {
		t->children++;
		t->next += span;
		r = hba_submit(req);
	}
	if (r == 0) {
		remember_child(t, req);
		t->flags |= TASK_BEGUN;
		t->once |= req->no_reissue;
		if (flush)
			t->flush_mark = t->lun->written;
		if (flush)
			stat_add(&t->lun->stats.flushes, 1);
		return 0;
	}
	s->spare = req;
	if (r == -ENOBUFS)
		return r;
	t->children--;
	t->next -= span;
	/* -ENODEV: not running now; ready() tells when that has changed. */
	if (r == -EAGAIN || r == -ENODEV)
		return -EAGAIN;
	refused(t, r);
	return 0;
}

static void starve(struct scsi_host *s, struct scsi_task *t)
{
	task_unqueue(t);
	list_append(&s->starved, &t->link);
	t->flags |= TASK_STARVED;
}

/* Until nobody wants anything (true) or the controller takes no more (false). */
static bool kick_round(struct scsi_host *s)
{
	struct scsi_lun *lun;

	while ((lun = list_first(&s->ready, struct scsi_lun, turn))) {
		struct scsi_task *t = list_first(&lun->wait, struct scsi_task, link);
		int r = issue(s, t);

		if (r == -EAGAIN)
			return false;
		if (r == -ENOBUFS) {
			starve(s, t);
			continue;
		}
		if (!list_empty(&lun->turn)) {
			list_remove(&lun->turn);
			list_append(&s->ready, &lun->turn);
		}
		if (t->flags & TASK_WAITING && task_is_patient(t)) {
			list_remove(&t->link);
			list_append(&lun->wait, &t->link);
		}
		task_advance(t);
	}
	return true;
}

/* As this lane knows it: before that it still takes answers, and what has been answered must not look like what came
 * before the loss. */
static bool controller_lost(const struct scsi_host *s)
{
	enum hba_state state = hba_lane_state(s->hba, s->lane);

	return state == HBA_FAILED || state == HBA_REMOVED;
}

void host_notice_loss(struct scsi_host *s)
{
	if (s->hba && s->gate == SCSI_GATE_OPEN && controller_lost(s))
		host_lost(s, SCSI_GATE_GONE);
}

void host_kick(struct scsi_host *s)
{
	if (s->kicking || !s->hba) {
		s->kick_again = true;
		return;
	}
	s->kicking = true;
	host_notice_loss(s);
	do {
		s->kick_again = false;
		/* What came free in between has told us so by kick_again; what comes free later calls
		 * ready(). */
	} while (!kick_round(s) && s->kick_again);
	s->kicking = false;
}
