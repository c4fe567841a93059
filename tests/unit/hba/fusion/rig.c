/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See rig.h. */
#include "rig.h"

#include <stdlib.h>

struct fusion_rig {
	struct rig rig; /* first: rig_down() frees it */
	struct fusion_gen gen;
	struct mfi_times times;
};

struct rig *rig_new(enum model_gen gen)
{
	static const struct fusion_gen *const gens[] = {
		&fusion_gen_thunderbolt, &fusion_gen_invader, &fusion_gen_ventura, &fusion_gen_aero};
	struct fusion_rig *r = calloc(1, sizeof(*r));
	struct model *model = malloc(sizeof(*model));

	model_init(model, gen);
	/* Long: a busy machine must not see time-outs that are none. Tests that wait for one make it short. */
	r->times = (struct mfi_times){
		.poll = 1,
		.state = 60000,
		.bring_up = 60000,
		.key = 1,
		.diag = 60000,
		.diag_reset = 1,
		.diag_end = 60000,
		.settle = 1,
		.dcmd = 60000,
		.health = 5,
	};
	r->gen = *gens[gen];
	r->gen.iop.times = &r->times;
	rig_init(&r->rig, model, &model->fn, &r->gen);
	return &r->rig;
}

struct rig *rig_up(enum model_gen gen)
{
	struct rig *r = rig_new(gen);

	rig_must_start(r);
	return r;
}

bool rig_was_reset(struct rig *r, unsigned times)
{
	return stat_of(r, resets) >= times && hba_state(r->h) == HBA_RUNNING;
}

struct mfi_times *rig_times(struct rig *r)
{
	return &container_of(r, struct fusion_rig, rig)->times;
}
