/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See rig.h. */
#include "rig.h"

#include <stdlib.h>

struct ame_rig {
	struct rig rig; /* first: rig_down() frees it */
	struct ame_times times;
	struct ame_family family;
};

struct rig *rig_new(enum model_family family)
{
	static const struct ame_family *const families[] = {&ame_341, &ame_2208, &ame_3108};
	static const uint16_t ids[] = {0x6201, 0x6233, 0x626f};
	struct ame_rig *r = calloc(1, sizeof(*r));
	struct model *model = malloc(sizeof(*model));

	model_init(model, family, ids[family]);
	r->family = *families[family];
	r->times = *r->family.times;
	r->times.settle = 3;
	r->times.look = 1;
	r->times.linger = 5;
	r->times.retry = 5;
	r->times.health = 5;
	r->times.slow = 5;
	r->family.times = &r->times;
	rig_init(&r->rig, model, &model->fn, &r->family);
	return &r->rig;
}

struct rig *rig_up(enum model_family family)
{
	struct rig *r = rig_new(family);

	rig_must_start(r);
	return r;
}

struct ame_times *rig_times(struct rig *r)
{
	return &container_of(r, struct ame_rig, rig)->times;
}

void rig_notice(struct rig *r, uint32_t bits)
{
	model_notice(r->model, bits);
	rig_wait(seen(r, outbound) == 0);
}
