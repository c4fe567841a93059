/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Accusys AME driver, as the core sees it. */
#ifndef HBAD_HBA_AME_AME_H
#define HBAD_HBA_AME_AME_H

#include "hba/hba.h"

extern const struct hba_ops ame_ops; /* directly attached boxes: 341, 2208, 3108 */

#endif
