/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Overwriting all of a unit in the background, for FORMAT UNIT and SANITIZE. It belongs to the unit, not to the command
 * that began it nor to the LUN that got this command: task management functions do not end it, and when its LUN is let
 * go of, the LUN's memory stays until it has ended. It does not outlive the process, the controller's attachment, or
 * a failed write; and that it has failed is not remembered by the next process.
 */
#ifndef HBAD_SCSI_WIPE_H
#define HBAD_SCSI_WIPE_H

#include "base/log.h"
#include "base/loop.h"
#include "scsi.h"
#include "sense.h"

#define PATTERN_BYTES 8192 /* times PATTERN_IOVS: what one request writes to many blocks */
#define PATTERN_IOVS  64

enum wipe_state {
	WIPE_NONE,
	WIPE_FORMAT,
	WIPE_SANITIZE,
	/* It ended half way; commands are refused until it is done again. */
	WIPE_FORMAT_FAILED,
	WIPE_SANITIZE_FAILED,
};

/* Of one LUN. At most one LUN of a unit has a state. */
struct wipe {
	enum wipe_state state;
	bool invert; /* the pattern, after each pass */
	bool ause;   /* EXIT FAILURE MODE is allowed */
	uint8_t pass, passes;
	uint8_t retries;	    /* left for this part */
	struct scsi_task task;	    /* the writes */
	struct scsi_task *waits;    /* the command, when it wants to hear how it ended */
	struct loop_timer patience; /* armed as long as it waits */
	/* What is written, again and again. Not in a scratch buffer: that would be kept for hours, and enough units
	 * that are overwritten at once would leave none for the commands of others. */
	uint8_t pattern[PATTERN_BYTES];
	struct iovec piece[PATTERN_IOVS];
	struct log_limit told, told_failures;
};

struct wipe_plan {
	enum wipe_state state; /* WIPE_FORMAT or WIPE_SANITIZE */
	bool immed, invert, ause;
	uint8_t passes;
	uint16_t pattern_at, pattern_len; /* in the command's data-out; 0 bytes: zeros */
};

/* Begins, or ends the command with trouble. */
void wipe_start(struct scsi_task *t, const struct wipe_plan *plan);
/* The state of the LUN's unit, to report with REQUEST SENSE; SENSE_NONE when there is nothing to report. */
enum scsi_sense wipe_sense(const struct scsi_lun *lun, struct sense_detail *ret);
/* Does the state of the unit forbid the command? Then it was completed. */
bool wipe_refuses(struct scsi_task *t);
/* The state of the unit, and the end of a failed one. */
const struct wipe *wipe_of(const struct scsi_lun *lun);
void wipe_clear(struct scsi_lun *lun);

/* --- lun.c --- */

/* The LUN of the same unit, itself or another one, that has a state; NULL: none. */
struct scsi_lun *wipe_find(const struct scsi_lun *lun);
/* Frees LUNs that were kept for their wipe and need not be any more; all: whether it has ended or not. */
void wipe_sweep(struct scsi_host *s, bool all);

#endif
