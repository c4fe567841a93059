/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The virtio-scsi driver, as the core sees it. */
#ifndef HBAD_HBA_VIRTIO_VIRTIO_H
#define HBAD_HBA_VIRTIO_VIRTIO_H

#include "hba/hba.h"

extern const struct hba_ops vio_ops; /* virtio 1.x over PCI, device type 8 (SCSI host) */

#endif
