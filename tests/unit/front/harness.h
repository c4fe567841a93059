/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A ring consumed from the model: what the tests of front.c and life.c share. */
#ifndef HBAD_TESTS_FRONT_HARNESS_H
#define HBAD_TESTS_FRONT_HARNESS_H

#include "daemon/front/priv.h"
#include "tests/unit/front/fake_scsi.h"
#include "tests/unit/front/tcmu_model.h"

#define HARNESS_RING_BYTES (16 * 4096 - MODEL_CMDR_OFF)
#define HARNESS_BLOCKS	   256

struct harness {
	struct model m;
	struct loop *loop;
	struct front_ring *r;
	uint64_t now_ns;
	void (*before_ack)(void), (*after_kick)(void);
	int ack_fails, kick_fails; /* -errno */
	uint32_t cmd_time_out_s;
};
extern struct harness h;
extern const struct front_os harness_os;

/* Model and loop; the ring is created (harness_create()) but not started. */
void harness_open(uint32_t cmdr_size, uint32_t blocks);
void harness_create(void);
/* Stops and destroys the ring if it is still there; finishes nothing. */
void harness_close(void);
void harness_start(void); /* on this thread, which plays the I/O thread */
/* Open, created and started; the small one has a page and 64 blocks. */
void harness_setup(void);
void harness_setup_small(void);
/* Iterations until nothing happens any more. */
void harness_spin(void);
struct model_cmd *harness_queue(uint8_t opcode, uint32_t tag, enum model_dir dir, uint32_t len);
/* The initiator's buffer holds the pattern of the command's tag in its first n bytes, then only v. */
bool harness_data_is(const struct model_cmd *c, uint32_t n, uint8_t v);

struct front_stats harness_stats(void);
const char *harness_dropped(void); /* why, or NULL */
/* Of the whole mapping; to be freed. */
uint8_t *harness_snapshot(void);
/* One iteration that finds nothing to do sleeps its whole time. */
bool harness_sleeps(void);

#endif
