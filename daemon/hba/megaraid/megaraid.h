/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The MegaRAID drivers, as the core sees them. */
#ifndef HBAD_HBA_MEGARAID_MEGARAID_H
#define HBAD_HBA_MEGARAID_MEGARAID_H

#include "hba/hba.h"

extern const struct hba_ops mfi_ops;	/* MFI firmware: SAS1078, SAS2108, SAS2008 */
extern const struct hba_ops fusion_ops; /* Fusion firmware: SAS2208, SAS3108, SAS35xx, SAS39xx */

#endif
