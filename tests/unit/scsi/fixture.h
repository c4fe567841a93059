/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host with a fake controller and one LUN, and tasks that know whether they came back right. */
#ifndef TESTS_SCSI_FIXTURE_H
#define TESTS_SCSI_FIXTURE_H

#include <check.h>
#include "fake_hba.h"
#include "scsi/scsi.h"

struct fx {
	struct fake *fake;
	struct fake_disk *disk; /* of ld0 */
	struct scsi_host *host;
	struct scsi_lun *lun; /* of ld0 */
};

/* One unit of 512-byte blocks. */
void fx_setup(struct fx *x, uint64_t blocks);
/* With units set up by the test; ld0 is opened. */
void fx_attach(struct fx *x, struct fake *fake);
/* The controller alone is there (again). */
void fx_host_attach(struct fx *x);
void fx_teardown(struct fx *x);
struct scsi_lun *fx_lun(struct fx *x, const char *text);

#define POISON 0xee

struct tst {
	struct scsi_task task;
	unsigned done;
	bool filled; /* data-out */
	uint32_t niov;
	struct iovec iov[300];
	uint8_t *buf; /* all of the data in one piece, POISON where nobody wrote; guard bytes behind it */
	size_t len;
};

/* CDB bytes as a string literal; pieces: iovecs that the len bytes are cut into (0 with len 0). */
void tst_init(
	struct tst *t, struct scsi_lun *lun, const void *cdb, size_t cdb_len, size_t len, unsigned pieces);
/* Data-out: bytes of a sequence that seed chooses. */
void tst_fill(struct tst *t, uint8_t seed);
void tst_fini(struct tst *t); /* checks guard bytes and that bytes beyond in_bytes of a read are untouched */
void tst_submit(struct tst *t);
/* init, submit, run everything in flight, check that it completed once */
void tst_do(struct tst *t, struct fx *x, const void *cdb, size_t cdb_len, size_t len);

#define assert_good(t)                                                                                       \
	do {                                                                                                 \
		ck_assert_uint_eq((t)->done, 1);                                                             \
		ck_assert_uint_eq((t)->task.status, SCSI_GOOD);                                              \
		ck_assert_uint_eq((t)->task.sense_len, 0);                                                   \
	} while (0)

#define assert_code(t, format, min, key, key_at, asc, asc_at, ascq)                                          \
	do {                                                                                                 \
		ck_assert_uint_eq((t)->done, 1);                                                             \
		ck_assert_uint_eq((t)->task.status, SCSI_CHECK_CONDITION);                                   \
		ck_assert_uint_ge((t)->task.sense_len, min);                                                 \
		ck_assert_uint_eq((t)->task.sense[0] & 0x7f, format);                                        \
		ck_assert_uint_eq((t)->task.sense[key_at], key);                                             \
		ck_assert_uint_eq((t)->task.sense[asc_at], asc);                                             \
		ck_assert_uint_eq((t)->task.sense[(asc_at) + 1], ascq);                                      \
	} while (0)
/* Key, ASC, ASCQ of fixed format sense, and of descriptor format, which LUNs beyond 2^32 blocks begin with. */
#define assert_check(t, key, asc, ascq)	     assert_code(t, 0x70, 18, key, 2, asc, 12, ascq)
#define assert_check_desc(t, key, asc, ascq) assert_code(t, 0x72, 8, key, 1, asc, 2, ascq)

/* READ(16) and WRITE(16), byte 1 given */
void cdb16(uint8_t cdb[16], uint8_t opcode, uint8_t byte1, uint64_t lba, uint32_t n);
void cdb10(uint8_t cdb[10], uint8_t opcode, uint8_t byte1, uint32_t lba, uint16_t n);
/* Does buf hold n blocks as they are on a disk that nobody has written to? */
bool is_pattern(const uint8_t *buf, uint64_t lba, uint64_t bytes, uint32_t block_size);

/* What the log got while run() ran, with standard error in a file meanwhile; valid until the next call. */
const char *fx_logged(void (*run)(struct fx *), struct fx *x);
unsigned fx_lines(const char *text);

int run_suite(Suite *s);

#endif
