/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stands in for the SCSI layer at link time: keeps tasks until the test finishes them, or finishes them at
 * once. */
#ifndef HBAD_TESTS_FAKE_SCSI_H
#define HBAD_TESTS_FAKE_SCSI_H

#include "scsi/scsi.h"

#define FAKE_MAX 65536

struct fake_scsi {
	bool immediate;	    /* finish from within scsi_submit() */
	bool abort_at_once; /* tasks are not at the controller yet: an abort ends them */
	uint64_t rng;
	struct scsi_task *task[FAKE_MAX];
	unsigned n;
	bool serving; /* the LUN, of all rings */
	bool unsettled, left;
	const char *naa; /* that it was settled for */
	unsigned lane;	 /* where it was settled */
	struct loop *lane_loop[2];
	unsigned submitted, aborts, bad_data, retired;
	struct scsi_task *aborted[FAKE_MAX]; /* in order */
	void (*on_submit)(struct scsi_task *task);
	void (*on_abort)(void);
};
extern struct fake_scsi fake;

void fake_reset(void);
uint32_t fake_tag(const struct scsi_task *task);
/* GOOD: a read gets the pattern of its tag, a write's data is compared with it. */
void fake_good(struct scsi_task *task);
/* A read that placed only so many bytes. */
void fake_short(struct scsi_task *task, uint64_t bytes);
void fake_status(struct scsi_task *task, enum scsi_status status);
/* CHECK CONDITION with this sense key and in_bytes of data before the error. */
void fake_check(struct scsi_task *task, uint8_t key, uint64_t in_bytes);
struct scsi_task *fake_by_tag(uint32_t tag);
void fake_finish_all(void); /* in random order, all GOOD */

#endif
