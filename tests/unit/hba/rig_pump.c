/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lets a model that holds its commands answer them; for models that have model_pending() and model_complete(). */
#include "rig_base.h"

void rig_pump_until(struct rig *r, bool (*over)(struct rig *r, void *arg), void *arg)
{
	uint64_t until = clock_ns() + RIG_WAIT_MS * NS_PER_MS;

	while (!over(r, arg)) {
		ck_assert_msg(clock_ns() < until, "it does not end: %u in flight, %u held by the model",
			hba_inflight(r->h), model_pending(r->model));
		if (model_pending(r->model))
			model_complete(r->model, 0);
		else
			clock_sleep_ms(1);
	}
}

static bool nothing_in_flight(struct rig *r, void *arg)
{
	return hba_inflight(r->h) == 0;
}

void rig_pump(struct rig *r)
{
	rig_pump_until(r, nothing_in_flight, NULL);
	/* It is counted as over before its done() is called. */
	rig_sync(r);
}
