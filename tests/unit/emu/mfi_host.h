/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver's side of MFI for tests: bytes at the offsets of the MegaRAID facts page (sections in brackets), laid
 * down one by one. Nothing here comes from the driver or from the model.
 */
#ifndef HBAD_TESTS_EMU_MFI_HOST_H
#define HBAD_TESTS_EMU_MFI_HOST_H

#include "client.h"
#include "tests/unit/run_suite.h"

/* Places in the client's memory; the device's addresses are these plus MEM_IOVA. */
enum place {
	AT_PRODUCER = 0x1000,
	AT_CONSUMER = 0x1040,
	AT_QUEUE_INFO = 0x1080,
	AT_RING = 0x10000,
	AT_FRAMES = 0x20000, /* 2 KiB each */
	AT_SENSE = 0x120000, /* 128 bytes each */
	AT_DATA = 0x200000,  /* 64 KiB each for the first few */
};
#define ENTRIES 1008

extern struct rig *rig;
extern struct client c;

uint8_t *frame(unsigned slot); /* zeroed, status FF, context 0x1000 + slot */
uint8_t *frame_again(unsigned slot);
uint32_t frame_addr(unsigned slot);
void le16(uint8_t *p, unsigned off, uint16_t v);
void le32(uint8_t *p, unsigned off, uint32_t v);
void le64(uint8_t *p, unsigned off, uint64_t v);
uint16_t get_le16(const uint8_t *p, unsigned off);
uint32_t get_le32(const uint8_t *p, unsigned off);
uint64_t get_le64(const uint8_t *p, unsigned off);
static inline uint8_t *data_at(unsigned n)
{
	return c.mem + AT_DATA + n * 0x10000u;
}

void fire(unsigned slot, unsigned extra);
uint32_t producer(void);
/* Waits until n replies are in the ring beyond what was taken; takes them. Returns the context of the last. */
uint32_t take(unsigned n);
bool nothing_comes(void);
/* Fires and waits for its context. Returns cmd_status. */
uint8_t run(unsigned slot, unsigned extra);

/* To READY, INIT, interrupts unmasked on an MSI-X eventfd. */
void bring_up(void);
void to_ready(void);
uint8_t init(unsigned entries, uint32_t flags);
extern int efd;
extern uint32_t consumer;

/* Frames [3.4 to 3.7] */
uint8_t *ld_rw(
	unsigned slot, bool write, uint8_t target, uint64_t lba, uint32_t blocks); /* SG64, one element */
uint8_t *ld_scsi(unsigned slot, uint8_t target, const void *cdb, uint8_t cdb_len, uint32_t len, uint16_t dir);
uint8_t *dcmd(unsigned slot, uint32_t opcode, uint32_t len); /* SG32 */
uint8_t *abort_of(unsigned slot, unsigned victim);

/* A sas2108 with ld0, ld5 (write-through), pd8 and pd9 (4 KiB blocks), READY, and a client with memory. The teardown
 * asserts that exactly so many breaches were counted as the test has announced. */
extern uint64_t forgiven_protocol, forgiven_dma;
void mfi_setup(void);
void mfi_teardown(void);

#endif
