/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FORMAT UNIT and SANITIZE on one small unit that allows them. */
#ifndef TESTS_SCSI_WIPE_RIG_H
#define TESTS_SCSI_WIPE_RIG_H

#include "fixture.h"

#define BLOCKS 4096 /* 2 MiB: 16 requests */

extern struct fx x;

/* x.lun anew, with this cfgstring. */
void use_lun(const char *text);
void setup(void);
void teardown(void);
/* Submits a command with its parameter list, and runs nothing. */
void start(struct tst *t, const void *cdb, size_t cdb_len, const void *list, size_t len);
void format(struct tst *t, uint8_t byte1, const void *list, size_t len);
/* SANITIZE OVERWRITE; byte1: IMMED and AUSE */
void overwrite(struct tst *t, uint8_t byte1, uint8_t byte0, const void *pattern, uint16_t len);
/* SANITIZE EXIT FAILURE MODE */
void exit_failure(struct tst *t);
/* TEST UNIT READY, and what it ends with */
void tur(struct tst *t);
void assert_tur_good(void);
void assert_tur(uint8_t key, uint8_t asc, uint8_t ascq);
/* Does each block of the disk start with the pattern, repeated? */
bool holds(const uint8_t *pattern, size_t len);

#endif
