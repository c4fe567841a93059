/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a driver did to the emulated controller, written down as a capture (hbad/capture.h): registers, resets,
 * interrupts, and the beginning of each transfer. Seen from the device: memory that the device read is what the driver
 * left there for it (CAPTURE_MEM_OUT), memory that it wrote is CAPTURE_MEM_IN.
 */
#ifndef HBAD_EMU_RECORD_H
#define HBAD_EMU_RECORD_H

#include "base/err.h"
#include "hbad/capture.h"

/* Of each transfer: all of a frame, and not much of what is somebody's data. */
#define RECORD_MEM 256
/* The file's largest size. */
#define RECORD_MAX (UINT64_C(64) << 20)

struct record;
struct pcifn;

/* Replaces the file. fn's model and configuration space are in its header. */
int record_open(const char *path, const struct pcifn *fn, struct record **ret, struct err *e);
void record_close(struct record *r); /* also NULL */
/* All of these do nothing without a recorder. width: 1, 2, 4 or 8; others are left out. */
void record_access(struct record *r, enum capture_type type, unsigned bar, uint64_t off, const void *value,
	uint32_t width);
void record_mem(struct record *r, enum capture_type type, uint64_t addr, const void *buf, uint32_t len);
/* kind: 0 INTx, 1 MSI, 2 MSI-X */
void record_irq(struct record *r, uint8_t kind, uint32_t vector);
void record_reset(struct record *r);

#endif
