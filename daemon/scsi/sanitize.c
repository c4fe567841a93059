/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SANITIZE. OVERWRITE is done by writing all blocks and emptying the caches after each pass. That reaches what can be
 * addressed through the controller; what it or its disks have set aside (replaced sectors, spares, flash held back) is
 * out of reach, which is why a LUN has to allow it, and why the manual says so. BLOCK ERASE and CRYPTOGRAPHIC
 * ERASE cannot be done from here: no row in the table.
 */
#include "commands.h"

#include <string.h>
#include "base/endian.h"
#include "task.h"

#define IMMED	  0x80
#define ZNR	  0x40
#define AUSE	  0x20
#define LENGTH_AT 7 /* PARAMETER LIST LENGTH in the CDB */

/* byte 0 of the list of OVERWRITE */
#define INVERT 0x80
#define TEST   0x60
#define COUNT  0x1f
#define HEADER 4

/* False: completed. */
static bool check_reserved(struct scsi_task *t)
{
	if (t->cdb[1] & ZNR) {
		task_bad_field(t, 1, 6);
		return false;
	}
	for (unsigned i = 2; i < LENGTH_AT; i++) {
		if (!t->cdb[i])
			continue;
		task_bad_field(t, i, 7);
		return false;
	}
	return true;
}

/* SBC-3 5.24: who did not allow unrestricted exit cannot have it by another SANITIZE. */
static bool check_exit(struct scsi_task *t)
{
	const struct wipe *w = wipe_of(t->lun);

	if (w->state != WIPE_SANITIZE_FAILED || w->ause || !(t->cdb[1] & AUSE))
		return true;
	task_bad_field(t, 1, 5);
	return false;
}

/* False: completed. */
static bool read_list(struct scsi_task *t, struct wipe_plan *plan)
{
	uint16_t len = get_be16(t->cdb + LENGTH_AT);
	uint32_t bs = t->lun->facts.id.block_size;
	uint8_t header[HEADER] = {0};

	if (len <= HEADER || len > bs + HEADER) {
		task_bad_field(t, LENGTH_AT, 7);
		return false;
	}
	if (!rw_data_out(t, len))
		return false;
	iov_get(t->iov, t->niov, 0, header, sizeof(header));
	plan->passes = header[0] & COUNT;
	plan->invert = header[0] & INVERT;
	plan->pattern_at = HEADER;
	plan->pattern_len = get_be16(header + 2);
	if (header[0] & TEST)
		task_bad_list(t, 0, 6);
	else if (!plan->passes)
		task_bad_list(t, 0, 4);
	else if (!plan->pattern_len || plan->pattern_len > len - HEADER)
		task_bad_list(t, 2, 7);
	else
		return true;
	return false;
}

void cmd_sanitize_overwrite(struct scsi_task *t)
{
	struct wipe_plan plan = {
		.state = WIPE_SANITIZE, .immed = t->cdb[1] & IMMED, .ause = t->cdb[1] & AUSE};

	if (check_reserved(t) && check_exit(t) && read_list(t, &plan))
		wipe_start(t, &plan);
}

/* Without a failure there is nothing to exit from, which is fine. */
void cmd_sanitize_exit(struct scsi_task *t)
{
	const struct wipe *w = wipe_of(t->lun);

	if (!check_reserved(t))
		return;
	if (get_be16(t->cdb + LENGTH_AT)) {
		task_bad_field(t, LENGTH_AT, 7);
		return;
	}
	if (!rw_data_out(t, 0))
		return;
	if (w->state == WIPE_SANITIZE_FAILED && !w->ause) {
		task_bad_field(t, 1, 4);
		return;
	}
	if (w->state == WIPE_SANITIZE_FAILED)
		wipe_clear(t->lun);
	task_good(t);
}
