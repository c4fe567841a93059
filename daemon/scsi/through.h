/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands that the unit answers itself, with data: one request, never split. */
#ifndef HBAD_SCSI_THROUGH_H
#define HBAD_SCSI_THROUGH_H

#include "task.h"

struct through {
	/* Where the CDB says how many bytes the data have, in units of so many bytes; width 0: nowhere. An
	 * allocation length is cut to what the initiator and the controller take. */
	uint8_t len_at, len_width;
	uint16_t unit;
	/* Where data-in say their own length, and how many bytes that leaves out; width 0: nowhere, and all
	 * that was asked for goes to the initiator, with zeros behind what the unit sent. */
	uint8_t head_at, head_width, head_len;
	bool once; /* doing it twice is not the same: it is not issued again after a reset */
};

/* Data-in of at most alloc bytes. */
void through_in(struct scsi_task *t, const struct through *how, uint64_t alloc);
/* Data of just len bytes; what does not fit is refused. */
void through_in_exact(struct scsi_task *t, const struct through *how, uint64_t len);
void through_out(struct scsi_task *t, const struct through *how, uint64_t len);
void through_no_data(struct scsi_task *t, const struct through *how);

#endif
