/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands that must be atomic against all others to their blocks (SBC-3 5.2 COMPARE AND WRITE, 5.16 ORWRITE).
 *
 * Every task that touches the medium is in lun->ranged, in the order it came. An exclusive one waits until
 * nobody before it has any of its blocks, and everybody after it who wants one of them waits for it: first come,
 * first served, so that neither starves. All else goes on; while a LUN has no exclusive task, and that is nearly
 * always, it costs a link and an unlink.
 *
 * The hand-off refuses a second LUN of one unit, so these are all tasks that reach the unit through this controller.
 * What another controller does to a shared enclosure nobody here can see.
 */
#include "task.h"

static bool is_exclusive(const struct scsi_task *t)
{
	return t->flags & TASK_EXCLUSIVE;
}

static bool overlap(const struct scsi_task *a, const struct scsi_task *b)
{
	/* No sum: a range may end at the last block that 64 bits can count. */
	return a->lba <= b->lba ? b->lba - a->lba < a->nblocks : a->lba - b->lba < b->nblocks;
}

/* Does one that came before have a block that t wants? */
static bool must_wait(const struct scsi_task *t)
{
	list_for_each_safe(pos, &t->lun->ranged) {
		const struct scsi_task *before = container_of(pos, struct scsi_task, ranged);

		if (before == t)
			return false;
		if ((is_exclusive(before) || is_exclusive(t)) && overlap(before, t))
			return true;
	}
	return false;
}

bool range_enter(struct scsi_task *t)
{
	struct scsi_lun *lun = t->lun;

	/* A first body of no bytes is all there is: no block will be touched. */
	if (!t->nblocks || !t->bytes)
		return true;
	/* Who holds scratch must not wait here: the one it waits for may need scratch to go on. */
	assert(t->scratch < 0);
	list_append(&lun->ranged, &t->ranged);
	if (is_exclusive(t))
		lun->exclusive++;
	if (!lun->exclusive || !must_wait(t))
		return true;
	t->flags |= TASK_HELD;
	lun->held++;
	return false;
}

void range_unhold(struct scsi_task *t)
{
	assert(t->flags & TASK_HELD && t->lun->held);
	t->flags &= (uint16_t)~TASK_HELD;
	t->lun->held--;
}

void range_leave(struct scsi_task *t)
{
	struct scsi_lun *lun = t->lun;

	if (list_empty(&t->ranged))
		return;
	list_remove(&t->ranged);
	if (is_exclusive(t))
		lun->exclusive--;
	if (!lun->held)
		return;
	list_for_each_safe(pos, &lun->ranged) {
		struct scsi_task *waits = container_of(pos, struct scsi_task, ranged);

		if (!(waits->flags & TASK_HELD) || !overlap(waits, t) || must_wait(waits))
			continue;
		range_unhold(waits);
		task_enqueue(waits);
		/* Whoever ends a task kicks the host later; when that happens while it hands down, this does. */
		lun->host->kick_again = true;
	}
}

struct scsi_task *range_first_held(struct scsi_lun *lun)
{
	if (!lun->held)
		return NULL;
	list_for_each_safe(pos, &lun->ranged) {
		struct scsi_task *t = container_of(pos, struct scsi_task, ranged);

		if (t->flags & TASK_HELD)
			return t;
	}
	return NULL;
}
