/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A ring over the model's memory: what the tests of ring.c share. */
#ifndef HBAD_TESTS_FRONT_RING_RIG_H
#define HBAD_TESTS_FRONT_RING_RIG_H

#include "daemon/front/ring.h"
#include "tests/unit/front/tcmu_model.h"

#define RIG_RING_BYTES (4096 - MODEL_CMDR_OFF)
#define RIG_BLOCKS     64
#define RIG_IOVS       1024

extern struct model m;
extern struct ring g;
extern struct ring_entry e;

void rig_open(uint32_t cmdr_size, uint32_t blocks);
void rig_setup(void); /* of RIG_RING_BYTES and RIG_BLOCKS */
void rig_close(void);

/* The entry at this place of the command ring, and bytes at an offset of it. */
uint8_t *rig_slot(uint32_t at);
void rig_put(uint32_t at, uint32_t off, const void *bytes, size_t n);
void rig_put16(uint32_t at, uint32_t off, uint16_t v);
void rig_put32(uint32_t at, uint32_t off, uint32_t v);
void rig_put64(uint32_t at, uint32_t off, uint64_t v);
void rig_set_head(uint32_t v);
/* READ(10) of one 4096-byte iovec, id 5. */
void rig_write_read10(uint32_t at);
void rig_reply(uint16_t id); /* GOOD */

#endif
