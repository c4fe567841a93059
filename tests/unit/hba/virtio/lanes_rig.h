/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rig with several I/O threads. */
#ifndef HBAD_TESTS_HBA_VIO_LANES_RIG_H
#define HBAD_TESTS_HBA_VIO_LANES_RIG_H

#include "hba/rig_lanes.h"
#include "rig.h"

#define LANES 4

/* Nothing attached; n threads, and a request queue for each. */
struct rig *lanes_new(unsigned n);
/* Started, with LANES. */
struct rig *lanes_up(void);

/* Job n is a write of block n by lane n % LANES (or as many as there are), held by the model. */
void hold_on_all(struct rig *r, unsigned n_jobs);
/* They end well, and their data is on the disks. */
void release_all(struct rig *r, unsigned n_jobs);
/* Answers the oldest one of this lane: lanes' doorbells ring in any order. */
void complete_of(struct rig *r, unsigned lane);
struct vio *rig_vio(struct rig *r);

#endif
