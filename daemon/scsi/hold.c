/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands that wait while their controller is away. What may be lost with it: lost.c.
 *
 * When it is gone for good nobody can say which of the requests it had were carried out. A command of which none has
 * been answered can be done again from its beginning: reads and writes, flushes, whatever the layer below would issue
 * again after a reset. While a LUN is held nothing new of it goes to a controller, and of what was there an answer may
 * still come, so no later write has been acknowledged that such a repetition could undo, but one that was under way
 * together with it; and between those two no order was ever promised (SAM-5 8.6, SIMPLE). What must not be done twice
 * ends as it does after a reset.
 */
#include "task.h"

#include "base/clock.h"

/* --- tasks --- */

static bool can_wait(const struct scsi_task *t)
{
	if (t->flags & (TASK_INTERNAL | TASK_ABORTED | TASK_FAILED))
		return false;
	return !(t->flags & TASK_BEGUN) || !(t->once || t->flags & TASK_EXCLUSIVE);
}

/* From the end: nearly always it is the youngest. */
static void insert(struct scsi_task *t)
{
	struct list *at = t->lun->parked.prev;

	while (at != &t->lun->parked && container_of(at, struct scsi_task, link)->order > t->order)
		at = at->prev;
	list_prepend(at, &t->link);
	t->hold = HOLD_PARKED;
}

void hold_park(struct scsi_task *t)
{
	struct scsi_host *s = t->lun->host;
	int32_t scratch = t->scratch;

	assert(!t->children && !(t->flags & (TASK_WAITING | TASK_STARVED | TASK_HELD)));
	/* Its range first: who waits for it is parked, too, or has been. */
	range_leave(t);
	task_rewind(t);
	insert(t);
	if (scratch >= 0)
		scratch_release(s, scratch);
}

bool hold_takes(struct scsi_task *t)
{
	if (!can_wait(t)) {
		/* Of what was to be done again, nothing has come. What must not be done twice may be done half, and
		 * the gate's own NOT READY would deny that. */
		if (t->hold == HOLD_AGAIN || !(t->flags & (TASK_INTERNAL | TASK_ABORTED | TASK_FAILED)))
			task_fail_at(t, 0, SENSE_CLEARED, NULL);
		t->hold = HOLD_NO;
		return false;
	}
	task_unqueue(t);
	t->hold = HOLD_AGAIN;
	if (t->children)
		return true;
	hold_park(t);
	/* The gate changed while its last requests came back. */
	if (lun_gate(t->lun) == SCSI_GATE_HELD)
		return true;
	hold_leave(t);
	if (lun_gate(t->lun) == SCSI_GATE_OPEN)
		task_again(t);
	else
		task_check(t, gate_sense(lun_gate(t->lun)));
	return true;
}

bool hold_forgives(struct scsi_task *t, const struct hba_req *req, uint64_t offset)
{
	if (lun_gate(t->lun) != SCSI_GATE_HELD || t->flags & (TASK_INTERNAL | TASK_ABORTED | TASK_FAILED))
		return false;
	t->once |= req->no_reissue;
	if (can_wait(t))
		t->hold = HOLD_AGAIN;
	else
		task_fail_at(t, offset, SENSE_CLEARED, NULL);
	return true;
}

void hold_leave(struct scsi_task *t)
{
	if (t->hold == HOLD_PARKED)
		list_remove(&t->link);
	t->hold = HOLD_NO;
}

/* --- LUNs --- */

enum scsi_gate hold_gate(struct scsi_lun *lun)
{
	uint64_t now = loop_now(lun->host->loop);

	switch (lun_gate(lun)) {
	case SCSI_GATE_BECOMING_READY:
		/* One that was served is being stopped: its commands come again elsewhere. */
		if (lun->known)
			return SCSI_GATE_BECOMING_READY;
		lun->hold_end_ns = now + lun->cfg.hold_s * NS_PER_SEC;
		return lun->cfg.hold_s ? SCSI_GATE_HELD : SCSI_GATE_GONE;
	case SCSI_GATE_OPEN:
		lun->hold_end_ns = now + lun->cfg.hold_s * NS_PER_SEC;
		return lun->cfg.hold_s && !lun->dead ? SCSI_GATE_HELD : SCSI_GATE_GONE;
	case SCSI_GATE_HELD:
		return now < lun->hold_end_ns ? SCSI_GATE_HELD : SCSI_GATE_GONE;
	case SCSI_GATE_NO_UNIT:
	case SCSI_GATE_GONE:
		break;
	}
	return SCSI_GATE_GONE;
}

void hold_gate_changes(struct scsi_lun *lun, enum scsi_gate now)
{
	enum scsi_gate was = lun_gate(lun);

	lost_gate_changes(lun, now);
	if (was != SCSI_GATE_HELD && now == SCSI_GATE_HELD)
		atomic_fetch_add(&lun->host->holding, 1);
	if (was == SCSI_GATE_HELD && now != SCSI_GATE_HELD)
		atomic_fetch_sub(&lun->host->holding, 1);
}

void hold_release(struct scsi_lun *lun)
{
	struct scsi_task *t;

	/* The controller may be lost again meanwhile, and then they come back here. */
	while (lun_gate(lun) == SCSI_GATE_OPEN && (t = list_first(&lun->parked, struct scsi_task, link))) {
		hold_leave(t);
		task_again(t);
	}
}

/* --- time --- */

void hold_tick(struct loop_msg *msg)
{
	struct scsi_host *s = container_of(msg, struct scsi_host, tick_msg);

	atomic_exchange(&s->tick_posted, false);
	list_for_each_safe(pos, &s->luns) {
		struct scsi_lun *lun = container_of(pos, struct scsi_lun, all);

		if (lun_gate(lun) != SCSI_GATE_HELD || loop_now(s->loop) < lun->hold_end_ns)
			continue;
		log_err("%s: its controller has not come back within %u s: commands fail from now on",
			lun->cfg.unit, lun->cfg.hold_s);
		lun_close(lun, s->gate == SCSI_GATE_OPEN ? SCSI_GATE_NO_UNIT : s->gate);
	}
	host_kick(s);
}

void scsi_host_tick(struct scsi_host *s)
{
	for (unsigned i = 0; i < scsi_host_lanes(s); i++) {
		struct scsi_host *lane = host_lane(s, i);

		if (atomic_load(&lane->holding) && !atomic_exchange(&lane->tick_posted, true))
			loop_post(lane->loop, &lane->tick_msg);
	}
}
