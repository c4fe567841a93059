/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See ame_load.h. */
#include "ame_load.h"

struct ame_times box_times;

void ame_start(int model, const char *ld_sync, const char *const *more)
{
	static const char *const models[N_AME_MODELS] = {"ame-6262", "ame-626f"};
	static struct ame_family family;
	const char *options[32] = {"--model", models[model], "--unit", "ld0,size=64M", "--unit",
		"ld5,size=64M", "--unit", "ld63,size=16M", "--boot-ms", "20", "--latency-us", "200", "--seed",
		"11", "--ld-sync", ld_sync};
	unsigned n = 16;

	while (more && *more) {
		ck_assert_uint_lt(n, ARRAY_SIZE(options) - 1);
		options[n++] = *more++;
	}
	rig_start(42, options);
	box_times = *ame_3108.times;
	box_times.settle = 5;
	box_times.look = 2;
	box_times.linger = 20;
	box_times.retry = 10;
	box_times.health = 50;
	box_times.away = 5000;
	family = ame_3108;
	family.times = &box_times;
	load->match_data = &family;
}
