/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See rig.h. */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

struct mfi_rig {
	struct rig rig; /* first: rig_down() frees it */
	struct mfi_iop iop;
	struct mfi_times times;
};

struct rig *rig_new(enum model_gen gen)
{
	static const struct mfi_iop *const iop[] = {&mfi_iop_gen1, &mfi_iop_gen2, &mfi_iop_skinny};
	struct mfi_rig *r = calloc(1, sizeof(*r));
	struct model *model = malloc(sizeof(*model));

	model_init(model, gen);
	/* Short where something is waited for that does not come; long where a test expects an answer, or else a busy
	 * machine would see time-outs that are none. */
	r->times = (struct mfi_times){
		.poll = 1,
		.state = 60,
		.bring_up = 60000,
		.soft = 60000,
		.key = 1,
		.diag = 20,
		.diag_reset = 1,
		.diag_end = 40,
		.settle = 2,
		.dcmd = 300,
		.health = 5,
	};
	r->iop = *iop[gen];
	r->iop.times = &r->times;
	rig_init(&r->rig, model, &model->fn, &r->iop);
	return &r->rig;
}

struct rig *rig_up(enum model_gen gen)
{
	struct rig *r = rig_new(gen);

	rig_must_start(r);
	/* What the driver asks for by itself when it starts is over. */
	rig_wait(seen(r, n_event_wait) == 1);
	return r;
}

struct mfi_times *rig_times(struct rig *r)
{
	return &container_of(r, struct mfi_rig, rig)->times;
}

void hold_writes(struct rig *r, unsigned n)
{
	tell(r, hold, true);
	for (unsigned i = 0; i < n; i++) {
		struct job *job = job_rw(r, i, 0, DMA_TO_DEVICE, i, 1);

		memset(job->buf, (int)(i + 1), 512);
		job_submit(job);
	}
	ck_assert_uint_eq(model_pending(r->model), n);
}
