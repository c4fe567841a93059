/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rig of rig_base.h with a model MFI controller. */
#ifndef HBAD_TESTS_HBA_RIG_H
#define HBAD_TESTS_HBA_RIG_H

#include "hba/megaraid/mfi.h"
#include "mfi_model.h"
#include "rig_base.h"

/* Nothing attached. */
struct rig *rig_new(enum model_gen gen);
/* rig_new() and rig_start() that must succeed. */
struct rig *rig_up(enum model_gen gen);
/* The driver's limits, to be changed before rig_start(). */
struct mfi_times *rig_times(struct rig *r);
/* Jobs 0 to n - 1 are writes of block 0 to n - 1, each with its own pattern, that the model holds. */
void hold_writes(struct rig *r, unsigned n);

#endif
