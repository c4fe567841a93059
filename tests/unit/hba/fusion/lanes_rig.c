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

bool was_handed_on(struct rig *r, uint16_t smid)
{
	return __atomic_load_n(&rig_fusion(r)->smid[smid].fired, __ATOMIC_RELAXED) == FUSION_HANDED_ON;
}
