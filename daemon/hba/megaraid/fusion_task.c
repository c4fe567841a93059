/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Task management [5.14]. What firmware answers proves nothing: the victim's own reply does, and if that does not
 * come the core resets the controller. A refused abort is followed by a reset of the unit; what that takes along is
 * sent again.
 */
#include <errno.h>

#include "fusion.h"

static struct fusion_tm *free_one(struct fusion *f)
{
	for (unsigned i = 0; i < FUSION_N_TASKS; i++)
		if (!f->task[i].fired && !f->task[i].answered)
			return &f->task[i];
	return NULL;
}

/* FUSION_NO_HANDLE: firmware cannot be told which unit it is. */
static uint16_t handle_of(const struct fusion *f, const struct hba_unit *u)
{
	return u->kind == HBA_UNIT_LD ? u->target : f->unit[u->index].handle;
}

static void send(struct fusion *f, struct fusion_tm *t, enum fusion_task_type type, const struct hba_req *req)
{
	uint32_t smid = f->task_smid + (uint32_t)(t - f->task);
	uint16_t victim = type == FUSION_TASK_ABORT ? f->tag[req->tag].smid : 0;

	fusion_build_task(
		fusion_frame(f, smid), type, req->unit->kind == HBA_UNIT_LD, handle_of(f, req->unit), victim);
	if (victim)
		fusion_smid_name(f, victim);
	*t = (struct fusion_tm){
		.fired = true,
		.unit_reset = type == FUSION_TASK_TARGET_RESET,
		.tag = req->tag,
		.generation = req->generation,
		.due_ns = clock_ns() + f->m.iop->times->dcmd * NS_PER_MS,
		.smid = victim,
		.unit = req->unit->index,
	};
	fusion_send(f, smid, FUSION_TYPE_HIGH_PRIORITY, 0, 0);
}

/* Is the request's own frame at firmware? It may also wait for a flush of others, or for a unit's reset. */
static bool at_firmware(const struct fusion *f, const struct hba_req *req)
{
	uint32_t smid = f->tag[req->tag].smid;

	return smid && f->smid[smid].fired && f->smid[smid].tag == req->tag;
}

int fusion_abort(struct hba *h, struct hba_req *req)
{
	struct fusion *f = fusion_of(mfi_of(h));
	struct fusion_tm *t;

	if (!at_firmware(f, req) || handle_of(f, req->unit) == FUSION_NO_HANDLE)
		return -EOPNOTSUPP;
	t = free_one(f);
	if (!t)
		return -EAGAIN;
	send(f, t, FUSION_TASK_ABORT, req);
	return 0;
}

void fusion_task_reply(struct fusion *f, unsigned n)
{
	const struct fusion_task *frame = fusion_frame(f, f->task_smid + n);
	uint8_t response = __atomic_load_n(&frame->reply.response, __ATOMIC_RELAXED);
	struct fusion_tm *t = &f->task[n];

	log_debug("%s: %s of request %u: response %02xh", f->m.h->pci->uri,
		t->unit_reset ? "unit reset" : "abort", t->tag, response);
	t->fired = false;
	t->answered = true;
	if (t->smid)
		fusion_smid_unname(f, t->smid);
	t->refused = response != FUSION_TM_COMPLETE && response != FUSION_TM_SUCCEEDED;
}

static struct hba_req *victim_of(struct fusion *f, const struct fusion_tm *t)
{
	struct hba_req *req = hba_req_by_tag(f->m.h, t->tag);

	return req && req->generation == t->generation && req->doom && at_firmware(f, req) ? req : NULL;
}

static void escalate(struct fusion *f, struct fusion_tm *t)
{
	struct hba_req *req = victim_of(f, t);

	if (!req || f->unit[req->unit->index].resetting)
		return;
	if (log_limit_ok(&f->unit_limit, 5, 60 * NS_PER_SEC))
		log_warn("%s: %s: firmware does not abort request %u; resetting the unit", f->m.h->pci->uri,
			req->unit->name, req->tag);
	f->count.unit_resets++;
	f->unit[req->unit->index].resetting = true;
	send(f, t, FUSION_TASK_TARGET_RESET, req);
}

void fusion_tasks_settle(struct fusion *f)
{
	for (unsigned i = 0; i < FUSION_N_TASKS; i++) {
		struct fusion_tm *t = &f->task[i];

		if (!t->answered)
			continue;
		t->answered = false;
		if (t->unit_reset) {
			f->unit[t->unit].resetting = false;
			fusion_send_swept(f, t->unit);
		} else if (t->refused) {
			escalate(f, t);
		}
	}
}

void fusion_tasks_forget(struct fusion *f)
{
	for (unsigned i = 0; i < FUSION_N_TASKS; i++) {
		if (f->task[i].fired && f->task[i].smid)
			fusion_smid_unname(f, f->task[i].smid);
		f->task[i] = (struct fusion_tm){0};
	}
	for (unsigned i = 0; i < HBA_MAX_UNITS; i++)
		f->unit[i].resetting = false;
}

/* Its victim may have come back by itself, so that nobody waits for this one; but as long as a reset of a unit is not
 * answered what the unit fails is put aside, and four of them are all that there are. */
int fusion_tasks_check(struct fusion *f, uint64_t now)
{
	for (unsigned i = 0; i < FUSION_N_TASKS; i++) {
		const struct fusion_tm *t = &f->task[i];

		if (!t->fired || now < t->due_ns)
			continue;
		log_warn("%s: firmware does not answer %s", f->m.h->pci->uri,
			t->unit_reset ? "the reset of a unit" : "an abort");
		return -EIO;
	}
	return 0;
}
