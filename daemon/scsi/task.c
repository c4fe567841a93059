/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of a task: taken, checked against the table and the gate, ended once. */
#include "task.h"

#include <string.h>

/* Its data, if the unit has a cache; what was forced to the medium is there. */
static bool may_be_cached(const struct scsi_task *t)
{
	if (!t->op || !(t->op->flags & OP_WRITE) || t->op->flags & OP_STATE || t->flags & TASK_FLUSH_AFTER)
		return false;
	return !(t->flags & TASK_FUA && t->lun->fua_native);
}

static void count_result(struct scsi_lun *lun, const struct scsi_task *t)
{
	bool good = t->status == SCSI_GOOD;

	if (good && may_be_cached(t))
		lost_written(lun);
	if (!good)
		stat_add(&lun->stats.errors, 1);
	if (!t->op || t->op->fate != FATE_TRANSLATE)
		return;
	if (t->op->dir == DMA_FROM_DEVICE) {
		stat_add(&lun->stats.reads, 1);
		stat_add(&lun->stats.read_bytes, t->in_bytes);
	} else if (t->op->dir == DMA_TO_DEVICE) {
		stat_add(&lun->stats.writes, 1);
		stat_add(&lun->stats.write_bytes, good ? t->nblocks * lun->facts.id.block_size : 0);
	}
}

/* The only place where done() is called. */
static void task_end(struct scsi_task *t)
{
	struct scsi_lun *lun = t->lun;
	struct scsi_host *s = lun->host;
	int32_t scratch = t->scratch;

	assert(!t->children && !(t->flags & (TASK_WAITING | TASK_STARVED | TASK_HELD)));
	assert(t->status != SCSI_CHECK_CONDITION || t->sense_len);
	t->phase = PHASE_END;
	t->scratch = -1;
	range_leave(t);
	if (!(t->flags & TASK_INTERNAL)) {
		count_result(lun, t);
		atomic_fetch_sub_explicit(&lun->busy, 1, memory_order_release);
	}
	if (scratch >= 0)
		scratch_release(s, scratch);
	t->done(t);
}

/* --- results --- */

void task_status(struct scsi_task *t, enum scsi_status status)
{
	t->status = (uint8_t)status;
	task_end(t);
}

void task_good(struct scsi_task *t)
{
	task_status(t, SCSI_GOOD);
}

void task_reply(struct scsi_task *t, const void *data, size_t len, uint64_t alloc)
{
	uint64_t n = MIN(MIN((uint64_t)len, alloc), t->iov_bytes);

	t->in_bytes = iov_put(t->iov, t->niov, 0, data, n);
	task_good(t);
}

void task_put_sense(struct scsi_task *t, enum scsi_sense code, const struct sense_detail *detail)
{
	t->sense_len = t->lun->d_sense ? sense_descriptor(t->sense, code, detail)
				       : sense_fixed(t->sense, code, detail);
}

static void check(struct scsi_task *t, enum scsi_sense code, const struct sense_detail *detail)
{
	task_put_sense(t, code, detail);
	task_status(t, SCSI_CHECK_CONDITION);
}

void task_check(struct scsi_task *t, enum scsi_sense code)
{
	check(t, code, NULL);
}

void task_bad_field(struct scsi_task *t, unsigned byte, int bit)
{
	struct sense_detail detail = {.has_field = true, .field = (uint16_t)byte, .bit = bit};

	check(t, SENSE_INVALID_FIELD, &detail);
}

void task_bad_list(struct scsi_task *t, unsigned byte, int bit)
{
	struct sense_detail detail = {
		.has_field = true, .in_list = true, .field = (uint16_t)byte, .bit = bit};

	check(t, SENSE_INVALID_LIST, &detail);
}

/* --- work --- */

/* All requests are back and none will follow. */
static void end_work(struct scsi_task *t)
{
	if (t->flags & TASK_ABORTED && !(t->flags & TASK_FAILED) && t->phase != PHASE_END)
		t->status = SCSI_TASK_ABORTED;
	if (t->dir == DMA_FROM_DEVICE && !(t->flags & TASK_OWN_COUNT)) {
		/* Parts are handed down in order: what lies before the first error has arrived. */
		if (t->status == SCSI_GOOD)
			t->in_bytes = t->bytes;
		else if (t->status == SCSI_CHECK_CONDITION)
			t->in_bytes = MIN(t->error_at, t->bytes);
	}
	task_end(t);
}

static bool is_body_done(const struct scsi_task *t)
{
	return t->phase == PHASE_BODY && t->next >= t->bytes && !t->children && !(t->flags & TASK_FAILED);
}

/* A phase with nothing left makes way for the next one. */
static void next_phase(struct scsi_task *t)
{
	while (is_body_done(t)) {
		if (t->work && t->work->next) {
			if (t->flags & TASK_ABORTED)
				return;
			if (t->work->next(t))
				continue;
		}
		if (!(t->flags & TASK_FAILED))
			t->phase = t->flags & TASK_FLUSH_AFTER ? PHASE_AFTER : PHASE_END;
	}
}

static bool wants_more(const struct scsi_task *t)
{
	if (t->flags & (TASK_FAILED | TASK_ABORTED))
		return false;
	if (t->phase == PHASE_BODY)
		return t->next < t->bytes && t->children < t->work->max_children;
	return t->phase != PHASE_END && !t->children;
}

void task_enqueue(struct scsi_task *t)
{
	struct scsi_lun *lun = t->lun;

	/* One that has begun goes in front: the sooner it ends, the sooner its slots and its range are others'. */
	if (t->flags & TASK_BEGUN && !task_is_patient(t))
		list_prepend(&lun->wait, &t->link);
	else
		list_append(&lun->wait, &t->link);
	t->flags |= TASK_WAITING;
	if (list_empty(&lun->turn))
		list_append(&lun->host->ready, &lun->turn);
}

void task_unqueue(struct scsi_task *t)
{
	struct scsi_lun *lun = t->lun;

	if (t->flags & TASK_HELD)
		range_unhold(t);
	if (!(t->flags & (TASK_WAITING | TASK_STARVED)))
		return;
	list_remove(&t->link);
	t->flags &= (uint16_t) ~(TASK_WAITING | TASK_STARVED);
	if (list_empty(&lun->wait))
		list_remove(&lun->turn);
}

void task_advance(struct scsi_task *t)
{
	enum scsi_gate gate = lun_gate(t->lun);

	/* First: what was lost with the controller must not look like what is done. */
	if (t->hold == HOLD_AGAIN && hold_takes(t))
		return;
	next_phase(t);
	if (gate == SCSI_GATE_HELD && wants_more(t) && hold_takes(t))
		return;
	if (wants_more(t) && gate != SCSI_GATE_OPEN)
		task_fail_at(t, t->next, gate_sense(gate), NULL);
	if (t->flags & (TASK_STARVED | TASK_HELD))
		return;
	if (wants_more(t)) {
		if (!(t->flags & TASK_WAITING))
			task_enqueue(t);
		return;
	}
	task_unqueue(t);
	if (!t->children)
		end_work(t);
}

void task_work(struct scsi_task *t, const struct scsi_work *work, uint64_t bytes)
{
	struct scsi_host *s = t->lun->host;

	task_next_body(t, work, bytes);
	if (range_enter(t))
		task_advance(t);
	host_kick(s);
}

void task_next_body(struct scsi_task *t, const struct scsi_work *work, uint64_t bytes)
{
	assert(!work || (work->max_children && work->max_children <= SCSI_MAX_CHILDREN));
	t->work = work;
	t->bytes = bytes;
	t->next = 0;
	t->phase = t->flags & TASK_FLUSH_BEFORE ? PHASE_BEFORE : PHASE_BODY;
}

struct iovec *task_scratch(struct scsi_task *t)
{
	struct scsi_host *s = t->lun->host;

	if (t->scratch < 0)
		t->scratch = tags_get(&s->scratch);
	return t->scratch < 0 ? NULL : &s->scratch_iov[t->scratch];
}

/* To the one that has waited longest, at once: if it were only told, others could be faster, again and again. So while
 * somebody waits none is free. */
void scratch_release(struct scsi_host *s, int32_t scratch)
{
	struct scsi_task *t = list_first(&s->starved, struct scsi_task, link);

	tags_put(&s->scratch, (uint32_t)scratch);
	if (!t)
		return;
	task_scratch(t);
	list_remove(&t->link);
	t->flags &= (uint16_t)~TASK_STARVED;
	task_enqueue(t);
	s->kick_again = true;
}

void scratch_share(struct scsi_task *t)
{
	struct scsi_host *s = t->lun->host;
	int32_t scratch = t->scratch;

	assert(!t->children);
	if (scratch < 0 || list_empty(&s->starved))
		return;
	t->scratch = -1;
	scratch_release(s, scratch);
}

/* --- from outside --- */

/* What lies behind the bytes that came is nobody's. */
static void pad_cdb(struct scsi_task *t)
{
	if (t->cdb_len > SCSI_MAX_CDB)
		t->cdb_len = SCSI_MAX_CDB;
	memset(t->cdb + t->cdb_len, 0, SCSI_MAX_CDB - t->cdb_len);
}

static void task_init(struct scsi_task *t)
{
	t->hold = HOLD_NO;
	t->once = false;
	t->flush_mark = 0;
	t->status = SCSI_GOOD;
	t->sense_len = 0;
	memset(t->sense, 0, sizeof(t->sense));
	t->dir = DMA_NONE;
	t->in_bytes = 0;
	t->op = NULL;
	t->work = NULL;
	t->lba = t->nblocks = t->bytes = t->next = t->iov_base = 0;
	t->arg[0] = t->arg[1] = 0;
	memset(t->child, 0, sizeof(t->child));
	t->children = 0;
	t->flags = 0;
	t->phase = PHASE_BODY;
	t->scratch = -1;
	t->error_at = UINT64_MAX;
	t->started_ns = loop_now(t->lun->host->loop);
	list_init(&t->link);
	list_init(&t->ranged);
	pad_cdb(t);
}

void task_begin(struct scsi_task *t, const struct scsi_op *op)
{
	t->unheard = false;
	t->ours = true;
	task_init(t);
	t->op = op;
	t->dir = op->dir;
	t->order = t->lun->taken + 1; /* after all that came before it, and among initiators' it is none */
	t->flags = TASK_INTERNAL;
}

/* SAM-5 5.2: the last byte, but of variable-length CDBs the second. */
static unsigned control_byte(const struct scsi_op *op)
{
	return op->opcode == OP_VARIABLE ? 1 : op->cdb_len - 1U;
}

/* Normal ACA: the CONTROL byte's one bit with a meaning here. There is no ACA to establish. */
static bool wants_naca(const struct scsi_task *t)
{
	/* How long a vendor's CDB is, and so where its CONTROL byte, nobody knows. */
	return t->op->opcode < OP_VENDOR && t->cdb[control_byte(t->op)] & 0x04;
}

static void refuse_opcode(struct scsi_task *t, enum scsi_sense why)
{
	const struct scsi_op *op = t->op;

	if (op && (op->opcode == OP_VENDOR || (op->allow && !(op->allow & t->lun->cfg.allow))))
		task_not_allowed(t, (enum scsi_allow)op->allow, 0, SENSE_NO_BIT);
	else if (why != SENSE_INVALID_FIELD)
		task_check(t, why);
	else if (t->cdb[0] == OP_VARIABLE)
		task_bad_field(t, 8, 7);
	else
		task_bad_field(t, 1, 4);
}

/* SPC-4 4.2.3: a variable-length CDB says how long it is, and that must be what its service action takes. */
static bool has_wrong_length(const struct scsi_task *t)
{
	return t->op->opcode == OP_VARIABLE && t->cdb[7] + 8U != t->op->cdb_len;
}

/* Software write protection (SWP of the control mode page) is of the medium only. */
static bool is_write_protected(const struct scsi_task *t)
{
	const struct scsi_lun *lun = t->lun;

	return t->op->flags & OP_WRITE && (lun->cfg.ro || (lun->swp && !(t->op->flags & OP_STATE)));
}

/* What the CDB says, or why not. The gate is open, or the command does not mind. */
static void dispatch(struct scsi_task *t, enum scsi_sense why)
{
	struct scsi_lun *lun = t->lun;

	if (why != SENSE_NONE)
		refuse_opcode(t, why);
	else if (has_wrong_length(t))
		task_bad_field(t, 7, 7);
	else if (t->cdb_len < t->op->cdb_len)
		task_bad_field(t, t->cdb_len, SENSE_NO_BIT);
	else if (wants_naca(t))
		task_bad_field(t, control_byte(t->op), 2);
	else if (lun->wiper && wipe_refuses(t))
		return;
	else if (is_write_protected(t))
		task_check(t, SENSE_WRITE_PROTECTED);
	else
		t->op->start(t);
}

static enum scsi_sense find_op(struct scsi_task *t)
{
	enum scsi_sense why;

	t->op = scsi_op_find(t->lun, t->cdb, &why);
	if (t->op)
		t->dir = t->op->dir;
	return why;
}

void task_rewind(struct scsi_task *t)
{
	task_init(t);
	find_op(t);
}

void task_again(struct scsi_task *t)
{
	dispatch(t, find_op(t));
}

/* Once for the LUN: which initiator sends a command nobody tells us. A unit attention is for each initiator by itself
 * (SAM-5 5.14), and the copy manager of EXTENDED COPY would be one more. It has none to hear: what it knows of its LUNs is
 * the facts that they have now. */
static bool hears_attention(const struct scsi_task *t)
{
	return t->lun->attention[0] != SENSE_NONE && !t->ours && !(t->op && t->op->flags & OP_ANY_GATE);
}

static void submit(struct scsi_task *t, bool ours)
{
	struct scsi_lun *lun = t->lun;
	enum scsi_gate gate = lun_gate(lun);
	enum scsi_sense why;

	t->unheard = false;
	t->ours = ours;
	task_init(t);
	why = find_op(t);
	t->order = ++lun->taken;
	atomic_fetch_add_explicit(&lun->busy, 1, memory_order_relaxed);
	stat_add(&lun->stats.tasks, 1);
	if (!t->cdb_len)
		task_check(t, SENSE_INVALID_OPCODE);
	else if (gate == SCSI_GATE_OPEN && hears_attention(t))
		task_check(t, lun_take_attention(lun));
	else if (gate == SCSI_GATE_OPEN || (t->op && t->op->flags & OP_ANY_GATE))
		dispatch(t, why);
	else if (gate == SCSI_GATE_HELD && t->op)
		hold_park(t);
	else
		task_check(t, gate_sense(gate));
}

void scsi_submit(struct scsi_task *t)
{
	submit(t, false);
}

void task_submit(struct scsi_task *t)
{
	submit(t, true);
}

void scsi_task_abort(struct scsi_task *t)
{
	struct scsi_host *s = t->lun->host;

	if (t->flags & TASK_ABORTED)
		return;
	t->flags |= TASK_ABORTED;
	task_unqueue(t);
	if (t->hold == HOLD_PARKED) {
		hold_leave(t);
		task_status(t, SCSI_TASK_ABORTED);
		host_kick(s);
		return;
	}
	if (t->work && t->work->abort) {
		t->work->abort(t);
		host_kick(s);
		return;
	}
	for (unsigned i = 0; i < SCSI_MAX_CHILDREN; i++)
		if (t->child[i])
			hba_abort(t->child[i]);
	task_advance(t);
	host_kick(s);
}
