/* SPDX-License-Identifier: GPL-2.0-or-later */
/* EXTENDED COPY lists in the making, four units, and copies from and to them. */
#ifndef TESTS_SCSI_COPY_RIG_H
#define TESTS_SCSI_COPY_RIG_H

#include "fixture.h"

#define BLOCKS 8192
#define UNITS  4

extern struct fx x;
extern struct scsi_lun *other[UNITS]; /* of ld1 to ld3 */

/* A list in the making. */
struct list_bytes {
	uint8_t data[8192];
	unsigned cscds, segments;
};

/* ld0 in x, with nothing allowed. */
void setup(void);
/* All LUNs with allow=copy; ld2 has blocks of 4096 bytes. */
void setup_allowed(void);
/* The LUNs of ld1 and up, with these options behind their names. */
void open_all(const char *options);
void teardown(void);
/* The NAA designator of a LUN's VPD page 83h, its first one, as 4 + n bytes. */
void designator(struct scsi_lun *lun, uint8_t to[24]);
/* The LUN as the list's next CSCD. */
void add_cscd(struct list_bytes *l, struct scsi_lun *lun, uint32_t block_size);
/* After all descriptors of CSCDs. */
uint8_t *add_segment(struct list_bytes *l, uint16_t src, uint16_t dst, uint16_t blocks, uint64_t src_lba,
	uint64_t dst_lba);
/* Writes the lengths; returns the list's. */
unsigned finish_list(struct list_bytes *l);
/* A command with the list's first len bytes, not submitted. */
void xcopy_init(struct tst *t, const struct list_bytes *l, uint32_t len);
/* Submitted and run to its end: the list's first len bytes, or all. */
void xcopy_len(struct tst *t, struct list_bytes *l, uint32_t len);
void xcopy(struct tst *t, struct list_bytes *l);
/* A list of one segment within ld0. */
void in_lun(struct list_bytes *l, uint16_t blocks, uint64_t src_lba, uint64_t dst_lba);
/* Writes that the controller was given. */
unsigned writes(void);
/* Do the disk's blocks from lba hold what a fresh disk has from pattern_lba? */
bool holds(unsigned disk, uint64_t lba, uint64_t pattern_lba, unsigned blocks);

#endif
