/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rig of rig_base.h with a model virtio SCSI host. */
#ifndef HBAD_TESTS_HBA_VIO_RIG_H
#define HBAD_TESTS_HBA_VIO_RIG_H

#include "hba/rig_base.h"
#include "hba/virtio/vio.h"
#include "vio_model.h"

/* Nothing attached. */
struct rig *rig_new(void);
/* rig_new() and rig_start() that must succeed. */
struct rig *rig_up(void);
/* The driver's limits, to be changed before rig_start(). */
struct vio_times *rig_times(struct rig *r);
/* So many resets have come to their end since rig_start(). */
#define RIG_SET_UP_RESETS 2 /* by attach() and start() */
bool rig_was_reset(struct rig *r, unsigned times);

#endif
