/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Task management [5.14]. What firmware answers proves nothing: the victim's own reply does, and if that does not
 * come the core resets the controller. A refused abort is followed by a reset of the unit; what that takes along is
 * sent again.
 */
#include <errno.h>

#include "fusion.h"

static unsigned owner_of(const struct fusion *f, unsigned n)
{
	return __atomic_load_n(&f->task_owner[n], __ATOMIC_ACQUIRE);
}

/* There are few of them, and all lanes have these. Acquire and release: what the last owner wrote is over. */
static struct fusion_tm *free_one(struct fusion *f, unsigned lane)
{
	for (unsigned i = 0; i < FUSION_N_TASKS; i++) {
		uint8_t nobody = 0;

		if (__atomic_compare_exchange_n(&f->task_owner[i], &nobody, (uint8_t)(lane + 1), false,
			    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return &f->task[i];
	}
	return NULL;
}

/* Acquire: what the rounds did is over. */
static bool is_settling(const struct fusion *f, unsigned n)
{
	return __atomic_load_n(&f->settling[n].busy, __ATOMIC_ACQUIRE);
}

static void release(struct fusion *f, unsigned n)
{
	if (f->task[n].fired || f->task[n].answered || is_settling(f, n))
		return;
	__atomic_store_n(&f->task_owner[n], 0, __ATOMIC_RELEASE);
	hba_abort_room(f->m.h);
}

/* FUSION_NO_HANDLE: firmware cannot be told which unit it is, or cannot manage its tasks; what then has to end takes a reset
 * of the controller, as it does in Linux's driver. */
static uint16_t handle_of(const struct fusion *f, const struct hba_unit *u)
{
	struct fusion_drive d;

	/* Whether a logical drive's can be managed is in the RAID map, which is not read: firmware says so by refusing. */
	if (u->kind == HBA_UNIT_LD)
		return u->target;
	d = fusion_drive_of(f, u);
	return d.tm ? d.handle : FUSION_NO_HANDLE;
}

/* handle: of its unit, looked up once, for the first lane may take it away at any time. */
static void send(struct fusion *f, struct fusion_tm *t, enum fusion_task_type type, const struct hba_req *req,
	uint16_t handle)
{
	uint32_t smid = f->task_smid + (uint32_t)(t - f->task);
	uint16_t victim = type == FUSION_TASK_ABORT ? f->tag[req->tag].smid : 0;

	fusion_build_task(fusion_frame(f, smid), type, req->unit->kind == HBA_UNIT_LD, handle, victim);
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

	return smid && fusion_is_out(f, smid) && f->smid[smid].tag == req->tag;
}

int fusion_abort(struct hba *h, struct hba_req *req)
{
	struct fusion *f = fusion_of(mfi_of(h));
	uint16_t handle = handle_of(f, req->unit);
	struct fusion_tm *t;

	if (!at_firmware(f, req) || handle == FUSION_NO_HANDLE)
		return -EOPNOTSUPP;
	t = free_one(f, req->lane);
	if (!t)
		return -EAGAIN;
	send(f, t, FUSION_TASK_ABORT, req, handle);
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

static uint8_t all_lanes(const struct fusion *f)
{
	return (uint8_t)((1u << f->m.h->n_lanes) - 1);
}

static void escalate(struct fusion *f, struct fusion_tm *t)
{
	struct hba_req *req = victim_of(f, t);
	uint16_t handle = req ? handle_of(f, req->unit) : FUSION_NO_HANDLE;
	uint8_t none = 0;

	if (handle == FUSION_NO_HANDLE ||
		!__atomic_compare_exchange_n(&f->unit[req->unit->index].resetting, &none, all_lanes(f), false,
			__ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return;
	if (log_limit_ok(&f->lane[req->lane].unit_limit, 5, 60 * NS_PER_SEC))
		log_warn("%s: %s: firmware does not abort request %u; resetting the unit", f->m.h->pci->uri,
			req->unit->name, req->tag);
	__atomic_fetch_add(&f->count.unit_resets, 1, __ATOMIC_RELAXED);
	send(f, t, FUSION_TASK_TARGET_RESET, req, handle);
}

/* --- after the reset of a unit --- */

static void end_unit_reset(struct fusion *f, unsigned lane, uint8_t unit)
{
	__atomic_fetch_and(&f->unit[unit].resetting, (uint8_t) ~(1u << lane), __ATOMIC_RELAXED);
	fusion_send_swept(f, lane, unit);
}

static void settle_lane(struct loop_all *all, unsigned lane)
{
	struct fusion_settling *s = container_of(all, struct fusion_settling, all);
	struct fusion *f = s->f;

	/* A halted lane has no part in it: the controller's reset ends all of this, and changes the epoch. */
	if (!hba_lane_runs(f->m.h, lane) || s->epoch != f->epoch)
		return;
	if (s->sending)
		end_unit_reset(f, lane, s->unit);
	else if (fusion_drain_lane(f, lane) < 0)
		hba_lane_fault(f->m.h, lane, "firmware misbehaved");
}

static void post_settling(struct fusion_settling *s);

/* All queues were emptied while everybody still put aside what the reset has ended; what the first lane found for others
 * was posted before this is. */
static void settled(struct loop_all *all)
{
	struct fusion_settling *s = container_of(all, struct fusion_settling, all);
	struct fusion *f = s->f;
	unsigned n = (unsigned)(s - f->settling);
	bool runs;

	runs = hba_lane_runs(f->m.h, owner_of(f, n) - 1);
	if (!s->sending && runs) {
		s->sending = true;
		post_settling(s);
		return;
	}
	/* A lane that has been halted, or has left, must not touch more than this: the first one is at work there. The
	 * frame is given back by that, or when the lane runs again. */
	__atomic_store_n(&s->busy, false, __ATOMIC_RELEASE);
	if (runs)
		release(f, n);
}

static void post_settling(struct fusion_settling *s)
{
	const struct hba *h = s->f->m.h;
	unsigned n = (unsigned)(s - s->f->settling);
	struct loop *loops[HBA_MAX_LANES];

	for (unsigned i = 0; i < h->n_lanes; i++)
		loops[i] = hba_lane_loop(h, i);
	s->all.fn = settle_lane;
	s->all.done = settled;
	loop_post_all(&s->all, loops, h->n_lanes, loops[owner_of(s->f, n) - 1]);
}

static void settle_all(struct fusion *f, unsigned n, uint8_t unit)
{
	struct fusion_settling *s = &f->settling[n];

	s->f = f;
	s->unit = unit;
	s->epoch = f->epoch;
	s->sending = false;
	__atomic_store_n(&s->busy, true, __ATOMIC_RELAXED);
	post_settling(s);
}

static void settle(struct fusion *f, unsigned n, unsigned lane)
{
	struct fusion_tm *t = &f->task[n];

	t->answered = false;
	if (t->unit_reset && f->m.h->n_lanes > 1)
		settle_all(f, n, t->unit);
	else if (t->unit_reset)
		end_unit_reset(f, lane, t->unit);
	else if (t->refused)
		escalate(f, t);
}

void fusion_tasks_settle(struct fusion *f, unsigned lane)
{
	for (unsigned i = 0; i < FUSION_N_TASKS; i++) {
		if (owner_of(f, i) != lane + 1)
			continue;
		if (f->task[i].answered)
			settle(f, i, lane);
		release(f, i);
	}
}

void fusion_tasks_forget(struct fusion *f)
{
	f->epoch++;
	for (unsigned i = 0; i < FUSION_N_TASKS; i++) {
		if (f->task[i].fired && f->task[i].smid)
			fusion_smid_unname(f, f->task[i].smid);
		f->task[i] = (struct fusion_tm){0};
		release(f, i);
	}
	for (unsigned i = 0; i < HBA_MAX_UNITS; i++)
		__atomic_store_n(&f->unit[i].resetting, 0, __ATOMIC_RELAXED);
}

/* Its victim may have come back by itself, so that nobody waits for this one; but as long as a reset of a unit is not
 * answered what the unit fails is put aside, and four of them are all that there are. */
int fusion_tasks_check(const struct fusion *f, unsigned lane, uint64_t now)
{
	for (unsigned i = 0; i < FUSION_N_TASKS; i++) {
		const struct fusion_tm *t = &f->task[i];

		if (owner_of(f, i) != lane + 1 || !t->fired || now < t->due_ns)
			continue;
		log_warn("%s: firmware does not answer %s", f->m.h->pci->uri,
			t->unit_reset ? "the reset of a unit" : "an abort");
		return -EIO;
	}
	return 0;
}
