/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See lanes_rig.h. */
#include "lanes_rig.h"

#include <string.h>

struct rig *lanes_new(enum model_gen gen, unsigned n)
{
	struct rig *r = rig_new(gen);

	r->n_lanes = n;
	return r;
}

struct rig *lanes_up(enum model_gen gen)
{
	struct rig *r = lanes_new(gen, LANES);

	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_lanes, LANES);
	return r;
}

struct job *on_lane(struct job *job, unsigned lane)
{
	job->lane = lane;
	return job;
}

void hold_on_all(struct rig *r, unsigned n_jobs)
{
	tell(r, hold, true);
	for (unsigned n = 0; n < n_jobs; n++) {
		struct job *job = on_lane(job_rw(r, n, n % 3, DMA_TO_DEVICE, n, 1), n % LANES);

		job_fill(job, n);
		job_submit(job);
	}
	rig_wait(model_pending(r->model) == n_jobs);
}

void release_all(struct rig *r, unsigned n_jobs)
{
	while (model_pending(r->model))
		model_complete(r->model, 0);
	jobs_end(r, 0, n_jobs, HBA_DONE);
	for (unsigned n = 0; n < n_jobs; n++)
		ck_assert_int_eq(memcmp(r->model->disk[n % 3] + n * 512, r->job[n].buf, 512), 0);
}

static void stall(struct loop_msg *m)
{
	struct stall *s = container_of(m, struct stall, msg);

	__atomic_store_n(&s->begun, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&s->over, __ATOMIC_ACQUIRE))
		clock_sleep_ms(1);
}

void stall_post(struct rig *r, unsigned lane, struct stall *s)
{
	*s = (struct stall){.msg.cb = stall};
	loop_post(r->lane_loop[lane], &s->msg);
}

void stall_await(struct stall *s)
{
	rig_wait(__atomic_load_n(&s->begun, __ATOMIC_ACQUIRE));
}

void stall_begin(struct rig *r, unsigned lane, struct stall *s)
{
	stall_post(r, lane, s);
	stall_await(s);
}

void stall_end(struct stall *s)
{
	__atomic_store_n(&s->over, 1, __ATOMIC_RELEASE);
}

static void fault_here(void *arg)
{
	hba_fault(arg, "a test");
}

void fault(struct rig *r)
{
	rig_io(r, fault_here, r->h);
}

bool was_handed_on(struct rig *r, uint16_t smid)
{
	return __atomic_load_n(&rig_fusion(r)->smid[smid].fired, __ATOMIC_RELAXED) == FUSION_HANDED_ON;
}

struct asked {
	struct rig *r;
	unsigned lane;
	enum hba_state state;
};

static void ask(void *arg)
{
	struct asked *a = arg;

	a->state = hba_lane_state(a->r->h, a->lane);
}

enum hba_state lane_state(struct rig *r, unsigned lane)
{
	struct asked a = {.r = r, .lane = lane};

	rig_lane_io(r, lane, ask, &a);
	return a.state;
}
