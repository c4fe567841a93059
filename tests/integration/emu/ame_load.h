/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hba-emu's AME boxes, and hbad's driver of them in a hurry. */
#ifndef HBAD_TESTS_INTEGRATION_AME_LOAD_H
#define HBAD_TESTS_INTEGRATION_AME_LOAD_H

#include "hba/ame/box.h"
#include "load_rig.h"

#define N_AME_MODELS 2

/* The driver's, short where waiting is all that there is, generous where a slow machine must not reach them. */
extern struct ame_times box_times;

/* Starts the emulator: lun0, lun5 and lun63. ld_sync as in --ld-sync; more (NULL: none) are further options. Nothing is
 * attached, and box_times may be changed until something is. */
void ame_start(int model, const char *ld_sync, const char *const *more);

#endif
