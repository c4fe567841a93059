/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See rig.h. */
#include "rig.h"

#include <stdlib.h>

struct vio_rig {
	struct rig rig; /* first: rig_down() frees it */
	struct vio_times times;
};

struct rig *rig_new(void)
{
	struct vio_rig *r = calloc(1, sizeof(*r));
	struct model *model = malloc(sizeof(*model));

	model_init(model);
	/* Long: a busy machine must not see time-outs that are none. Tests that wait for one make it short. The flush at
	 * the end is often for a device that the test has spoiled, and only one test looks at it. */
	r->times = (struct vio_times){.reset = 60000, .polled = 60000, .health = 5};
	rig_init(&r->rig, model, &model->fn, &r->times);
	return &r->rig;
}

struct rig *rig_up(void)
{
	struct rig *r = rig_new();

	rig_must_start(r);
	return r;
}

struct vio_times *rig_times(struct rig *r)
{
	return &container_of(r, struct vio_rig, rig)->times;
}

bool rig_was_reset(struct rig *r, unsigned times)
{
	/* The model's count grows when the core has left RUNNING for long; the core's own, shortly before. */
	return stat_of(r, resets) == times && seen(r, n_reset) >= RIG_SET_UP_RESETS + times &&
	       hba_state(r->h) == HBA_RUNNING;
}
