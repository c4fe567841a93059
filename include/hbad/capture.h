/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A capture: what passed between a driver and its device, in a file. hbad writes it (hbad --capture, hbactl probe
 * --capture), hba-emu plays the device's part of it again (hba-emu --replay) and prints it (hba-emu --dump).
 *
 * All fields are little-endian. The file is one struct capture_header, then records: a struct capture_record and len
 * bytes behind it, padded with zeros to a multiple of 8. The last one is CAPTURE_END; a file without it was cut off.
 *
 * Each thread that used the device has its records in order; those of several threads may stand out of order by a
 * few milliseconds in the file, so readers sort by seq, which counts from 0 without holes (in a capture that ended
 * early, up to its first hole). A write has taken its seq before it reached the device, a read when its value was
 * there.
 *
 * Memory of the message plane (frames, reply rings, answers of firmware) is in it as far as the driver tells of it,
 * data of users is not. But who has CDBs, serial numbers and sense data has been told something: files have mode 0600.
 *
 * A later minor version adds record types, which readers skip, and fields at the end of the header.
 */
#ifndef HBAD_CAPTURE_H
#define HBAD_CAPTURE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define CAPTURE_MAGIC	    "HBADCAP\n"
#define CAPTURE_MAJOR	    1
#define CAPTURE_MINOR	    0
#define CAPTURE_CONFIG_SIZE 256
#define CAPTURE_MAX_IOVA    16
#define CAPTURE_MAX_MEM	    4096 /* bytes of one CAPTURE_MEM_x; more are several records */
#define CAPTURE_MAX_PAYLOAD (8 + CAPTURE_MAX_MEM)
#define CAPTURE_MAX_FILE    (UINT64_C(1) << 30)

struct capture_header {
	uint8_t magic[8];
	uint16_t major, minor;
	uint32_t header_len;  /* where the first record is; a multiple of 8 */
	uint64_t realtime_ns; /* of time 0 of the records, since 1970 */
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class_rev;    /* class code << 8 | revision */
	uint32_t n_vectors[3]; /* INTx, MSI, MSI-X */
	uint64_t bar_size[6];  /* 0: none, or the upper half of a wide one */
	uint64_t dma_page;
	uint32_t n_iova, reserved_6c;
	uint64_t iova[CAPTURE_MAX_IOVA][2];  /* first and last; the lowest ranges */
	uint8_t config[CAPTURE_CONFIG_SIZE]; /* as it was before the first record */
	char program[32];		     /* "hbad 0.1.0"; zero padded, as is transport */
	char transport[16];		     /* "vfio", "vfio-user" */
};
static_assert(offsetof(struct capture_header, bar_size) == 0x30, "capture header");
static_assert(offsetof(struct capture_header, n_iova) == 0x68, "capture header");
static_assert(offsetof(struct capture_header, config) == 0x170, "capture header");
static_assert(sizeof(struct capture_header) == 0x2a0, "capture header");

enum capture_type {
	CAPTURE_READ = 1,	/* arg: CAPTURE_ARG(bar, width); struct capture_reg */
	CAPTURE_WRITE = 2,	/* the same */
	CAPTURE_CFG_READ = 3,	/* arg: width; struct capture_reg */
	CAPTURE_CFG_WRITE = 4,	/* the same */
	CAPTURE_IRQ = 5,	/* arg: kind; struct capture_irq: the device interrupted */
	CAPTURE_IRQ_ENABLE = 6, /* arg: kind; struct capture_irq: count vectors from 0 */
	CAPTURE_IRQ_DISABLE = 7,
	CAPTURE_INTX_UNMASK = 8,
	CAPTURE_RESET = 9,  /* of the function, by the bus */
	CAPTURE_MAP = 10,   /* struct capture_map */
	CAPTURE_UNMAP = 11, /* the same */
	/* u64 address, then the bytes: what the driver left there for the device before its next write; what it found
	 * there from the device. arg 1: the rest was left out. */
	CAPTURE_MEM_OUT = 12,
	CAPTURE_MEM_IN = 13,
	CAPTURE_DROPPED =
		14, /* struct capture_dropped: so many records of this thread are missing in front of it */
	CAPTURE_MAP_BAR = 15, /* arg: BAR */
	CAPTURE_END = 255,    /* struct capture_end */
};

/* Interrupts' kinds, which are indices of n_vectors too: 0 INTx, 1 MSI, 2 MSI-X. */
#define CAPTURE_ARG(bar, width) ((uint8_t)((bar) << 4 | (width)))
#define CAPTURE_BAR(arg)	((unsigned)(arg) >> 4)
#define CAPTURE_WIDTH(arg)	((unsigned)(arg)&0xf) /* 1, 2, 4 or 8 bytes */

struct capture_record {
	uint8_t type, arg;
	uint16_t len; /* of what follows, without padding */
	uint32_t seq;
	uint64_t time_ns;
};
static_assert(sizeof(struct capture_record) == 16, "capture record");

struct capture_reg {
	uint32_t off, reserved_4;
	uint64_t value;
};
struct capture_irq {
	uint32_t vector, count;
};
struct capture_map {
	uint64_t iova, size;
};
struct capture_dropped {
	uint64_t records;
};
struct capture_end {
	uint64_t records; /* in front of this one */
	uint64_t dropped; /* in all */
	uint32_t crc;	  /* capture_crc() of every byte in front of this record */
	uint32_t why;	  /* enum capture_why */
};
static_assert(sizeof(struct capture_reg) == 16 && sizeof(struct capture_irq) == 8, "capture payload");
static_assert(sizeof(struct capture_map) == 16 && sizeof(struct capture_end) == 24, "capture payload");

enum capture_why {
	CAPTURE_CLOSED, /* the driver gave the device back */
	CAPTURE_FULL,	/* the file had its largest size; what came after is missing */
	CAPTURE_FAILED, /* the file could not be written for a time: disk full, say */
};

#define CAPTURE_PAD(len) (((uint32_t)(len) + 7) & ~UINT32_C(7))

/* CRC-32 of IEEE 802.3, continued: crc is 0 at the beginning. Four bits at a time: the table is small, and who
 * captures has time. */
static inline uint32_t capture_crc(uint32_t crc, const void *data, size_t len)
{
	static const uint32_t nibble[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190,
		0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
	const uint8_t *p = data;

	crc = ~crc;
	while (len--) {
		crc ^= *p++;
		crc = crc >> 4 ^ nibble[crc & 0xf];
		crc = crc >> 4 ^ nibble[crc & 0xf];
	}
	return ~crc;
}

#endif
