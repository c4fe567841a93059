/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Overwriting all of a unit in the background. */
#include "wipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "task.h"

#define OP_FORMAT   0x04
#define OP_UNMAP    0x42
#define OP_SANITIZE 0x48
#define OP_ATOMIC   0x9c
#define RETRIES	    16

#define LINES	    6 /* of each kind, per LUN and minute */
#define INTERVAL    (60 * NS_PER_SEC)

/* An overwritten disk takes hours, and Linux-IO takes no LUN away before its commands have ended, be it in a deletion or in
 * an initiator's relogin. So the command that wants to hear of the end hears after this time how far it is (hazard H27). */
#define PATIENCE (30 * NS_PER_SEC)

static bool is_running(const struct wipe *w)
{
	return w->state == WIPE_FORMAT || w->state == WIPE_SANITIZE;
}

static const char *name_of(const struct wipe *w)
{
	return w->state == WIPE_FORMAT || w->state == WIPE_FORMAT_FAILED ? "FORMAT UNIT" : "SANITIZE";
}

/* --- whose state it is --- */

struct scsi_lun *wipe_find(const struct scsi_lun *lun)
{
	list_for_each_safe(pos, &lun->host->luns) {
		struct scsi_lun *other = container_of(pos, struct scsi_lun, all);

		if (other->wipe.state != WIPE_NONE && lun_same_unit(lun, other))
			return other;
	}
	return NULL;
}

static void tell_all(struct scsi_host *s)
{
	list_for_each_safe(pos, &s->luns) {
		struct scsi_lun *lun = container_of(pos, struct scsi_lun, all);

		lun->wiper = wipe_find(lun);
	}
}

const struct wipe *wipe_of(const struct scsi_lun *lun)
{
	static const struct wipe none;

	return lun->wiper ? &lun->wiper->wipe : &none;
}

void wipe_clear(struct scsi_lun *lun)
{
	if (!lun->wiper)
		return;
	assert(!is_running(&lun->wiper->wipe));
	lun->wiper->wipe.state = WIPE_NONE;
	tell_all(lun->host);
}

/* Called where nobody up the stack still looks at such a LUN. */
void wipe_sweep(struct scsi_host *s, bool all)
{
	list_for_each_safe(pos, &s->luns) {
		struct scsi_lun *lun = container_of(pos, struct scsi_lun, all);

		if (!lun->dead || (!all && (lun->copying || lun->wipe.state != WIPE_NONE)))
			continue;
		loop_disarm(&lun->wipe.patience);
		list_remove(&lun->turn);
		list_remove(&lun->all);
		free(lun);
	}
}

/* --- what initiators hear of it --- */

/* Of 65,536 parts of all passes, those handed down */
static uint16_t progress(const struct wipe *w)
{
	uint64_t part = w->task.next / (w->task.bytes / 65536 + 1);

	return (uint16_t)((w->pass * UINT64_C(65536) + part) / w->passes);
}

enum scsi_sense wipe_sense(const struct scsi_lun *lun, struct sense_detail *ret)
{
	const struct wipe *w = wipe_of(lun);

	*ret = (struct sense_detail){.bit = SENSE_NO_BIT};
	if (is_running(w)) {
		ret->has_progress = true;
		ret->progress = progress(w);
	}
	switch (w->state) {
	case WIPE_NONE:
		break;
	case WIPE_FORMAT:
		return SENSE_FORMAT_IN_PROGRESS;
	case WIPE_SANITIZE:
		return SENSE_SANITIZE_IN_PROGRESS;
	case WIPE_FORMAT_FAILED:
		return SENSE_FORMAT_CORRUPTED;
	case WIPE_SANITIZE_FAILED:
		return SENSE_SANITIZE_FAILED;
	}
	return SENSE_NONE;
}

/* SBC-3 4.11.2 and 5.3: nothing but questions while it runs. After a failed SANITIZE, likewise, and another
 * SANITIZE; after a failed FORMAT UNIT all that does not touch the medium, and both. */
static bool forbids(const struct wipe *w, const struct scsi_op *op)
{
	if (w->state == WIPE_NONE || op->flags & OP_ANY_GATE)
		return false;
	if (is_running(w))
		return true;
	if (op->opcode == OP_SANITIZE)
		return false;
	if (w->state == WIPE_SANITIZE_FAILED)
		return true;
	return op->opcode == OP_UNMAP || op->opcode == OP_ATOMIC ||
	       (op->fate == FATE_TRANSLATE && op->opcode != OP_FORMAT);
}

static void tell_state(struct scsi_task *t)
{
	struct sense_detail detail;
	enum scsi_sense code = wipe_sense(t->lun, &detail);

	task_put_sense(t, code, &detail);
	task_status(t, SCSI_CHECK_CONDITION);
}

bool wipe_refuses(struct scsi_task *t)
{
	if (!forbids(wipe_of(t->lun), t->op))
		return false;
	tell_state(t);
	return true;
}

/* --- the writes --- */

static struct wipe *wipe_with(struct scsi_task *t)
{
	return container_of(t, struct wipe, task);
}

static int wipe_fill(struct scsi_task *t, struct hba_req *req, uint64_t *ret_span)
{
	pattern_fill(t, req, wipe_with(t)->piece, ret_span);
	return 0;
}

static void wipe_good(struct scsi_task *t, const struct hba_req *req, uint64_t offset)
{
	wipe_with(t)->retries = RETRIES;
}

/* What the unit has to tell about itself, and what was lost on the way, must not end the work of hours. */
static bool wipe_rescue(struct scsi_task *t, const struct hba_req *req, uint64_t offset)
{
	struct wipe *w = wipe_with(t);
	enum scsi_sense code;

	if (!w->retries || !req_sense(req, &code) ||
		(SENSE_KEY(code) != KEY_UNIT_ATTENTION && SENSE_KEY(code) != KEY_ABORTED_COMMAND))
		return false;
	w->retries--;
	/* From there on again; to write a part twice is harmless. A flush is the same one again. */
	if (req->kind != HBA_REQ_FLUSH)
		t->next = MIN(t->next, offset);
	return true;
}

static bool wipe_next(struct scsi_task *t)
{
	struct wipe *w = wipe_with(t);

	if (w->pass + 1 >= w->passes)
		return false;
	w->pass++;
	for (size_t i = 0; w->invert && i < sizeof(w->pattern); i++)
		w->pattern[i] ^= 0xff;
	task_next_body(t, t->work, t->bytes);
	return true;
}

static const struct scsi_work work_wipe = {.max_children = PATTERN_CHILDREN,
	.fill = wipe_fill,
	.good = wipe_good,
	.rescue = wipe_rescue,
	.rescue_flush = true,
	.next = wipe_next};

/* Between a pass and the next, and at the end, all of it is on the medium. */
static const struct scsi_op wipe_op = {
	.name = "overwriting", .dir = DMA_TO_DEVICE, .fate = FATE_TRANSLATE, .time = TIME_MEDIA};

/* An initiator may begin as many as it likes. */
static bool may_tell(struct log_limit *limit)
{
	return log_limit_ok(limit, LINES, INTERVAL);
}

static void tell_end(struct scsi_lun *lun, bool good)
{
	struct wipe *w = &lun->wipe;

	if (good) {
		if (may_tell(&w->told))
			log_info("unit %s: %s has overwritten all of it", lun->cfg.unit, name_of(w));
		return;
	}
	if (!may_tell(&w->told_failures))
		return;
	if (w->told_failures.suppressed)
		log_err("unit %s: %u more of them failed", lun->cfg.unit, w->told_failures.suppressed);
	w->told_failures.suppressed = 0;
	log_err("unit %s: %s failed half way: the unit is unusable until it is done again", lun->cfg.unit,
		name_of(w));
}

/* Who waited; NULL: nobody. */
static struct scsi_task *waits_no_more(struct wipe *w)
{
	struct scsi_task *t = w->waits;

	w->waits = NULL;
	loop_disarm(&w->patience);
	return t;
}

static void wipe_done(struct scsi_task *t)
{
	struct scsi_lun *lun = t->lun;
	struct wipe *w = wipe_with(t);
	struct scsi_task *waits = waits_no_more(w);
	bool format = w->state == WIPE_FORMAT, good = t->status == SCSI_GOOD;

	tell_end(lun, good);
	if (good)
		w->state = WIPE_NONE;
	else
		w->state = format ? WIPE_FORMAT_FAILED : WIPE_SANITIZE_FAILED;
	tell_all(lun->host);
	if (!waits)
		return;
	if (good)
		task_good(waits);
	else
		task_check(waits, format ? SENSE_FORMAT_FAILED : SENSE_SANITIZE_FAILED);
}

/* --- the command --- */

static void wait_abort(struct scsi_task *t)
{
	waits_no_more(&t->lun->wipe);
	task_status(t, SCSI_TASK_ABORTED);
}

static void on_patience(struct loop_timer *self)
{
	tell_state(waits_no_more(container_of(self, struct wipe, patience)));
}

/* The command itself has no requests: it waits, and what it began goes on when it is aborted. */
static const struct scsi_work work_wait = {.max_children = 1, .abort = wait_abort};

static void take_pattern(const struct scsi_task *t, const struct wipe_plan *plan, struct wipe *w)
{
	uint32_t bs = t->lun->facts.id.block_size;

	memset(w->pattern, 0, sizeof(w->pattern));
	if (plan->pattern_len)
		iov_get(t->iov, t->niov, plan->pattern_at, w->pattern, plan->pattern_len);
	for (uint32_t at = plan->pattern_len; at && at < bs; at++)
		w->pattern[at] = w->pattern[at - plan->pattern_len];
	pattern_repeat(w->pattern, bs);
	for (unsigned i = 0; i < PATTERN_IOVS; i++)
		w->piece[i] = (struct iovec){w->pattern, PATTERN_BYTES};
}

static void begin(struct scsi_lun *lun)
{
	struct wipe *w = &lun->wipe;
	struct scsi_task *t = &w->task;

	t->lun = lun;
	t->cdb_len = 0;
	t->iov = NULL;
	t->niov = 0;
	t->iov_bytes = 0;
	t->done = wipe_done;
	task_begin(t, &wipe_op);
	t->nblocks = lun->facts.id.blocks;
	/* Commands that came before have their blocks to the end; those that come later are refused. */
	t->flags |= TASK_EXCLUSIVE | TASK_FLUSH_BEFORE | TASK_FLUSH_AFTER;
	task_work(t, &work_wipe, t->nblocks * lun->facts.id.block_size);
}

void wipe_start(struct scsi_task *t, const struct wipe_plan *plan)
{
	struct scsi_lun *lun = t->lun;
	struct wipe *w = &lun->wipe;
	bool immed = plan->immed;

	wipe_clear(lun); /* a failed one */
	take_pattern(t, plan, w);
	w->state = plan->state;
	w->invert = plan->invert;
	w->ause = plan->ause;
	w->pass = 0;
	w->passes = plan->passes;
	w->retries = RETRIES;
	w->waits = NULL;
	tell_all(lun->host);
	if (may_tell(&w->told))
		log_warn("unit %s: %s overwrites all of it", lun->cfg.unit, name_of(w));
	if (!immed) {
		w->waits = t;
		t->work = &work_wait;
		w->patience.cb = on_patience;
		loop_arm(lun->host->loop, &w->patience, loop_now(lun->host->loop) + PATIENCE);
	}
	begin(lun);
	if (immed)
		task_good(t);
}
