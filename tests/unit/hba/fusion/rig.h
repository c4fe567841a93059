/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rig of rig_base.h with a model Fusion controller. */
#ifndef HBAD_TESTS_HBA_FUSION_RIG_H
#define HBAD_TESTS_HBA_FUSION_RIG_H

#include "fusion_model.h"
#include "hba/megaraid/fusion.h"
#include "hba/rig_base.h"

enum { LD0, LD5, PD8 }; /* units of the model, as the driver finds them */

/* Nothing attached. */
struct rig *rig_new(enum model_gen gen);
/* rig_new() and rig_start() that must succeed. */
struct rig *rig_up(enum model_gen gen);
/* The driver's limits, to be changed before rig_start(). */
struct mfi_times *rig_times(struct rig *r);

/* At least so many resets have come to their end. */
bool rig_was_reset(struct rig *r, unsigned times);

/* Firmware's flushes in n stops: beside the drive's own a round for each logical drive or one for both, and one behind. */
#define assert_last_flushes(r, n)                                                                            \
	do {                                                                                                 \
		unsigned _flushes = seen(r, n_flush);                                                        \
		ck_assert_uint_ge(_flushes, 2 * (n));                                                        \
		ck_assert_uint_le(_flushes, 3 * (n));                                                        \
		ck_assert_uint_eq(seen(r, n_flush_polled), n);                                               \
	} while (0)

static inline struct fusion *rig_fusion(const struct rig *r)
{
	return fusion_of(mfi_of(r->h));
}

#endif
