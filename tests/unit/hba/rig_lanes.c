/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See rig_lanes.h. */
#include "rig_lanes.h"

struct job *on_lane(struct job *job, unsigned lane)
{
	job->lane = lane;
	return job;
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
