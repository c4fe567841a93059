/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The drivers there are. */
#include "ame/ame.h"
#include "hba.h"
#include "megaraid/megaraid.h"
#include "virtio/virtio.h"

const struct hba_ops *const hba_drivers[] = {
	&mfi_ops,
	&fusion_ops,
	&vio_ops,
	&ame_ops,
	NULL,
};
