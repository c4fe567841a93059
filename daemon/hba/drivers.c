/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The drivers there are. */
#include "hba.h"
#include "megaraid/megaraid.h"

const struct hba_ops *const hba_drivers[] = {
	&mfi_ops,
	NULL,
};
