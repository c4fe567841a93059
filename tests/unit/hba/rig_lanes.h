/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests with several I/O threads, each of which they can hold up; of any driver. */
#ifndef HBAD_TESTS_HBA_RIG_LANES_H
#define HBAD_TESTS_HBA_RIG_LANES_H

#include "rig_base.h"

/* Before it is submitted. Returns job. */
struct job *on_lane(struct job *job, unsigned lane);

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
/* What the lane goes by, asked on its thread. */
enum hba_state lane_state(struct rig *r, unsigned lane);

#endif
