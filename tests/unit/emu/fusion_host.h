/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host of the SAS3108 model, by hand: requests, descriptors and reply queues in the client's memory [5]. */
#ifndef TESTS_EMU_FUSION_HOST_H
#define TESTS_EMU_FUSION_HOST_H

#include "mfi_host.h"

/* Places in the client's memory. MFI frames, sense and data are where mfi_host.h has them. */
enum {
	AT_IOC_INIT = 0x1100,
	AT_RDPQ = 0x1200,
	AT_QUEUES = 0x4000, /* depth x 8 each, 2 KiB apart */
	AT_REQUESTS = 0xc0000,
	AT_CHAIN = 0x180000,
};
#define DEPTH	128
#define VECTORS 4

extern uint32_t host[VECTORS]; /* index of the next reply of each queue */
extern int vector_fd[VECTORS]; /* eventfds; -1 before bring_up_fusion() */

/* Firmware is up, and has no queues yet. teardown() wants no mistake of the driver's but those that are forgiven. */
void setup(void);
void teardown(void);
/* The request's 256 bytes, zeroed. */
uint8_t *request(unsigned smid);
void descriptor(unsigned type, unsigned vector, unsigned smid);
/* IOC INIT; returns its cmd_status. queues: the address of one queue, or of the array of their addresses. */
uint8_t ioc_init(unsigned vectors, bool array, uint64_t queues);
/* With all queues and vectors. */
void bring_up_fusion(void);
/* The place of the queue's next reply, and whether it is there. */
uint8_t *entry(unsigned vector);
bool there(unsigned vector);
/* The next reply of the queue: returns its SMID. */
unsigned reap(unsigned vector);
/* An LD I/O [10.2]: CDB, one element with the end flag. */
uint8_t *ld_io(
	unsigned smid, uint8_t target, const void *cdb, uint8_t cdb_len, uint32_t len, uint32_t control);
/* READ(10) or WRITE(10) of a logical drive. */
uint8_t *rw(unsigned smid, bool write, uint8_t target, uint32_t lba, uint16_t blocks);
/* Sends, reaps from queue 0, returns status << 8 | exStatus. */
unsigned run_io(unsigned smid, unsigned type);

#endif
