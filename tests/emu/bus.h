/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a controller model sees of its host: memory by DMA, and interrupts. Behind it: pcifn.c, or a test. */
#ifndef HBAD_EMU_BUS_H
#define HBAD_EMU_BUS_H

#include "base/compiler.h"

/* All of the emulator's counters that a test may want to be zero, or not to be. */
struct emu_stats {
	uint64_t connections;
	uint64_t bad_messages; /* the client broke the protocol of the socket; its connection was closed */
	uint64_t dma_reads, dma_writes, dma_bytes;
	uint64_t
		wrong_dma; /* outside of mapped memory, against its permissions, or above the address limit */
	uint64_t dma_blocked; /* attempted by the device while bus mastering was off: nothing was touched */
	uint64_t odd_maps;    /* repeated or unknown mappings, answered calmly */
	uint64_t interrupts, lost_irqs; /* the latter: those that were to be lost */
	uint64_t protocol_errors;	/* the driver broke the protocol of the controller */
	uint64_t commands, replies, faults, resets, inits, events, flushes, power_cuts;
};

struct emu_bus;

struct emu_bus_ops {
	/* 0, or -EFAULT when any byte is out of reach (counted; nothing or a part was moved), -EPERM without bus
	 * mastering. */
	int (*read)(struct emu_bus *bus, uint64_t addr, void *buf, uint32_t len);
	int (*write)(struct emu_bus *bus, uint64_t addr, const void *buf, uint32_t len);
	/* A message interrupt, if the host has MSI or MSI-X on. */
	void (*message)(struct emu_bus *bus, unsigned vector);
	/* The interrupt line, if it has not. */
	void (*line)(struct emu_bus *bus, bool level);
};

struct emu_bus {
	const struct emu_bus_ops *ops;
	struct emu_stats *stats;
};

static inline int bus_read(struct emu_bus *b, uint64_t addr, void *buf, uint32_t len)
{
	return b->ops->read(b, addr, buf, len);
}
static inline int bus_write(struct emu_bus *b, uint64_t addr, const void *buf, uint32_t len)
{
	return b->ops->write(b, addr, buf, len);
}

#endif
