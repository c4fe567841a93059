/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A LUN with a hold time, and a controller that is unplugged from it and comes back. */
#ifndef TESTS_SCSI_HOLD_RIG_H
#define TESTS_SCSI_HOLD_RIG_H

#include "fixture.h"

#define BLOCKS 16384
#define HOLD_S 30

extern struct fx x;
extern struct tst t[8];

/* ld0 in x, with hold=HOLD_S. */
void setup(void);
void teardown(void);
/* x.lun anew, with this cfgstring. */
void take_over(const char *text);
/* READ(10) or WRITE(10) in t[n], not submitted; written is n + 1 in each byte. */
void rw_init(unsigned n, bool write, uint32_t lba, uint16_t blocks);
/* What was at the controller ends, newest first if asked to. */
void unplug(bool newest_first);
void plug_in(void);

#endif
