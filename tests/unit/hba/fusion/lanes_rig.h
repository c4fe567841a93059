/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rig with several I/O threads, each of which a test can hold up. */
#ifndef HBAD_TESTS_HBA_FUSION_LANES_RIG_H
#define HBAD_TESTS_HBA_FUSION_LANES_RIG_H

#include "rig.h"

#define LANES 4

/* Nothing attached; n threads. */
struct rig *lanes_new(enum model_gen gen, unsigned n);
/* Started, with LANES. */
struct rig *lanes_up(enum model_gen gen);
/* Before it is submitted. Returns job. */
struct job *on_lane(struct job *job, unsigned lane);

/* Job n is a write of block n by lane n % LANES, held by the model. */
void hold_on_all(struct rig *r, unsigned n_jobs);
/* They end well, and their data is on the disks. */
void release_all(struct rig *r, unsigned n_jobs);

/* A thread that is held up. */
struct stall {
	struct loop_msg msg;
	unsigned begun, over; /* atomic */
};

/* Returns when the lane's thread is held up; until stall_end(). */
void stall_begin(struct rig *r, unsigned lane, struct stall *s);
/* The same in two steps: behind what was posted to it up to now, and before all that is posted later. */
void stall_post(struct rig *r, unsigned lane, struct stall *s);
void stall_await(struct stall *s);
void stall_end(struct stall *s);

/* The first lane finds that the controller has to be reset; all others have been sent the message that halts them. */
void fault(struct rig *r);
/* Has a lane that is not its owner's found the reply to it? */
bool was_handed_on(struct rig *r, uint16_t smid);
/* What the lane goes by, asked on its thread. */
enum hba_state lane_state(struct rig *r, unsigned lane);

#endif
