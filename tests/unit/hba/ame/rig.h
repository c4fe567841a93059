/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A model box, and the rig that all drivers' tests share. */
#ifndef HBAD_TESTS_HBA_AME_RIG_H
#define HBAD_TESTS_HBA_AME_RIG_H

#include "ame_model.h"
#include "hba/ame/box.h"
#include "hba/rig_base.h"

/* Makes model and rig, nothing attached. */
struct rig *rig_new(enum model_family family);
/* rig_new() and rig_start() that must succeed. */
struct rig *rig_up(enum model_family family);
/* The driver's time limits, generous as they are: for tests that want one to be reached. */
struct ame_times *rig_times(struct rig *r);
/* The box says these doorbell bits, and the driver has taken them. */
void rig_notice(struct rig *r, uint32_t bits);

#endif
