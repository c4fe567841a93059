/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See lanes_rig.h. */
#include "lanes_rig.h"

#include <string.h>

struct rig *lanes_new(unsigned n)
{
	struct rig *r = rig_new();

	r->n_lanes = n;
	model_request_queues(r->model, n);
	return r;
}

struct rig *lanes_up(void)
{
	struct rig *r = lanes_new(LANES);

	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_lanes, LANES);
	return r;
}

void hold_on_all(struct rig *r, unsigned n_jobs)
{
	tell(r, hold, true);
	for (unsigned n = 0; n < n_jobs; n++) {
		struct job *job = on_lane(job_rw(r, n, n % 3, DMA_TO_DEVICE, n, 1), n % r->h->n_lanes);

		job_fill(job, n);
		job_submit(job);
	}
	rig_wait(model_pending(r->model) == n_jobs);
}

void release_all(struct rig *r, unsigned n_jobs)
{
	rig_pump(r);
	for (unsigned n = 0; n < n_jobs; n++) {
		job_ends_well(&r->job[n]);
		ck_assert_mem_eq(r->model->unit[n % 3].disk + n * 512, r->job[n].buf, 512);
	}
	tell(r, hold, false);
}

void complete_of(struct rig *r, unsigned lane)
{
	unsigned n = model_pending(r->model), i = 0;

	while (i < n && model_queue_of(r->model, i) != VIO_Q_REQUEST + lane)
		i++;
	ck_assert_uint_lt(i, n);
	model_complete(r->model, i);
}

struct vio *rig_vio(struct rig *r)
{
	return r->h->drv;
}
