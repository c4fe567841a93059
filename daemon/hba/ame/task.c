/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Task management [4.5] is [H]: a header defines it, and no driver has been seen to use it. So it is tried, and what
 * counts is the command's own answer, whatever firmware says to this; without that the core resets the controller.
 * Check on real hardware: abort a long VERIFY, and see in the debug log which status comes and whether the command does.
 */
#include "box.h"

#include <errno.h>

static int free_task(const struct ame *a)
{
	for (unsigned i = 0; i < AME_N_TASKS; i++)
		if (!a->slot[AME_SLOT_TASK + i].at_box && !a->task[i].refused)
			return (int)i;
	return -1;
}

static void fire(struct ame *a, unsigned n, enum ame_task_type type, const struct hba_req *req)
{
	a->task[n] = (struct ame_task_slot){
		.lun_reset = type == AME_T_LUN_RESET,
		.tag = req->tag,
		.generation = req->generation,
	};
	ame_build_task(
		a, AME_SLOT_TASK + n, type, (uint8_t)req->unit->target, (uint32_t)a->slot_of[req->tag]);
	ame_fire(a, AME_SLOT_TASK + n, AME_F_TASK);
}

int ame_abort(struct hba *h, struct hba_req *req)
{
	struct ame *a = ame_of(h);
	int n = free_task(a);

	if (ame_give_up_waiting(a, req))
		return 0;
	/* Then waiting is all that is left; it may still come back by itself. */
	if (a->no_tasks)
		return 0;
	if (n < 0 || ame_held(a) || !ame_has_room(a))
		return -EAGAIN;
	fire(a, (unsigned)n, AME_T_ABORT, req);
	return 0;
}

/* The command that it was for, if that is still at the box and to be ended. */
static struct hba_req *victim(struct ame *a, const struct ame_task_slot *t)
{
	struct hba_req *req = hba_req_by_tag(a->h, t->tag);

	return req && req->generation == t->generation && req->doom && a->slot_of[req->tag] >= 0 ? req : NULL;
}

void ame_task_reply(struct ame *a, uint32_t slot, const struct ame_reply *r)
{
	struct ame_task_slot *t = &a->task[slot - AME_SLOT_TASK];

	log_debug("%s: task management %u of request %u: status %02xh", a->h->pci->uri, t->lun_reset, t->tag,
		r->status);
	if (r->status == AME_S_INVALID_FUNCTION) {
		if (!a->no_tasks)
			log_info(
				"%s: the box's firmware has no task management: a command that hangs costs a "
				"reset",
				a->h->pci->uri);
		a->no_tasks = true;
		return;
	}
	t->refused = !t->lun_reset && r->status != AME_S_OK;
}

void ame_escalate(struct ame *a)
{
	if (hba_state(a->h) != HBA_RUNNING || ame_held(a))
		return;
	for (unsigned i = 0; i < AME_N_TASKS; i++) {
		struct ame_task_slot *t = &a->task[i];
		struct hba_req *req = t->refused ? victim(a, t) : NULL;

		if (req && !ame_has_room(a))
			return;
		t->refused = false;
		if (!req)
			continue;
		log_warn("%s: %s: the box does not abort request %u; resetting the unit", a->h->pci->uri,
			req->unit->name, req->tag);
		fire(a, i, AME_T_LUN_RESET, req);
	}
}
