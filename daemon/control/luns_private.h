/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What luns.c and luns_release.c know of each other. */
#ifndef HBAD_CONTROL_LUNS_PRIVATE_H
#define HBAD_CONTROL_LUNS_PRIVATE_H

#include "luns.h"

bool luns_same_unit(const struct luns *l, const struct scsi_lun_config *a, const struct scsi_lun_config *b);
/* Ends orphans, and the SCSI side of dropped LUNs, that have nothing at the controller any more. */
void luns_reap(struct luns *l);
/* The kernel has removed the device or reset the ring, or the ring cannot be consumed: never touch it again
 * (hazards H5 and H1c). reason is a static string. */
void luns_drop(struct lun *lun, const char *reason);
/* The same for a ring that is whole: its commands have until deadline_ns. */
void luns_drop_whole(struct lun *lun, uint64_t deadline_ns, const char *reason);
void luns_start_held(struct luns *l);
/* To its lane, if that can be told by now. False: an I/O thread does not answer, which took seconds. */
bool luns_settle(struct luns *l, struct lun *lun);

#endif
