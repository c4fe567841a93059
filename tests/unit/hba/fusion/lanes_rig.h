/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rig with several I/O threads. */
#ifndef HBAD_TESTS_HBA_FUSION_LANES_RIG_H
#define HBAD_TESTS_HBA_FUSION_LANES_RIG_H

#include "hba/rig_lanes.h"
#include "rig.h"

#define LANES 4

/* Nothing attached; n threads. */
struct rig *lanes_new(enum model_gen gen, unsigned n);
/* Started, with LANES. */
struct rig *lanes_up(enum model_gen gen);

/* Job n is a write of block n by lane n % LANES, held by the model. */
void hold_on_all(struct rig *r, unsigned n_jobs);
/* They end well, and their data is on the disks. */
void release_all(struct rig *r, unsigned n_jobs);

/* Has a lane that is not its owner's found the reply to it? */
bool was_handed_on(struct rig *r, uint16_t smid);

#endif
