/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sense data (SPC-4 4.5): the conditions that this layer reports, each a named triple, and the one setter for
 * them. */
#ifndef HBAD_SCSI_SENSE_H
#define HBAD_SCSI_SENSE_H

#include "scsi.h"

/* sense key << 16 | additional sense code << 8 | qualifier */
enum scsi_sense {
	SENSE_NONE = 0x000000,
	SENSE_BECOMING_READY = 0x020401,
	SENSE_MANUAL_INTERVENTION = 0x020403,
	SENSE_FORMAT_IN_PROGRESS = 0x020404,
	SENSE_SANITIZE_IN_PROGRESS = 0x02041b,
	SENSE_FORMAT_CORRUPTED = 0x033100, /* medium format corrupted */
	SENSE_FORMAT_FAILED = 0x033101,
	SENSE_SANITIZE_FAILED = 0x033103,
	/* HARDWARE ERROR: a command that ends with MEDIUM ERROR is sent again by Linux, which would take the second answer for the
	 * first. Old Windows, and later ones with legacy error handling, do that with this one. */
	SENSE_WRITE_ERROR = 0x040c00,
	SENSE_INTERNAL_FAILURE = 0x044400, /* internal target failure */
	SENSE_INVALID_IU_FIELD = 0x050e03, /* invalid field in command information unit */
	SENSE_LIST_LENGTH = 0x051a00,	   /* parameter list length error */
	SENSE_INVALID_OPCODE = 0x052000,
	SENSE_LBA_OUT_OF_RANGE = 0x052100,
	SENSE_INVALID_FIELD = 0x052400,	     /* in CDB */
	SENSE_NO_SUCH_UNIT = 0x052500,	     /* logical unit not supported */
	SENSE_INVALID_LIST = 0x052600,	     /* invalid field in parameter list */
	SENSE_SAVING_UNSUPPORTED = 0x053900, /* saving parameters not supported */
	SENSE_CAPACITY_CHANGED = 0x062a09,
	SENSE_WRITE_PROTECTED = 0x072700,
	/* EXTENDED COPY: wrong lists, and then what happened with a segment */
	SENSE_COPY_TOO_MANY_CSCDS = 0x052606,
	SENSE_COPY_CSCD_CODE = 0x052607, /* unsupported descriptor type code */
	SENSE_COPY_TOO_MANY_SEGMENTS = 0x052608,
	SENSE_COPY_SEGMENT_CODE = 0x052609,
	SENSE_COPY_INLINE = 0x05260b, /* inline data length exceeded */
	SENSE_COPY_ABORTED = 0x0a0000,
	SENSE_COPY_UNREACHABLE = 0x0a0804,    /* unreachable copy target */
	SENSE_COPY_DEVICE_FAILURE = 0x0a0d01, /* third party device failure */
	SENSE_COPY_NOT_REACHABLE = 0x0a0d02,  /* copy target device not reachable */
	SENSE_COPY_DEVICE_TYPE = 0x0a0d03,
	SENSE_COPY_FIELD = 0x0a2600,   /* invalid field in parameter list */
	SENSE_COPY_INEXACT = 0x0a260a, /* unexpected inexact segment */
	SENSE_UNIT_TIMEOUT = 0x0b0801, /* logical unit communication time-out */
	SENSE_CLEARED = 0x0b2f02,      /* commands cleared by device server */
	SENSE_MISCOMPARE = 0x0e1d00,   /* miscompare during verify operation */
};

#define SENSE_KEY(s)  ((uint8_t)((uint32_t)(s) >> 16))
#define SENSE_ASC(s)  ((uint8_t)((uint32_t)(s) >> 8))
#define SENSE_ASCQ(s) ((uint8_t)(s))

enum sense_key { KEY_RECOVERED_ERROR = 0x1, KEY_UNIT_ATTENTION = 0x6, KEY_ABORTED_COMMAND = 0xb };

#define SENSE_FIXED_LEN 18
#define SENSE_NO_BIT	(-1)

/* What goes with the triple; zeros and SENSE_NO_BIT where there is nothing. */
struct sense_detail {
	bool has_info;
	uint64_t info;	/* an LBA */
	bool has_field; /* the byte of the CDB that is wrong, */
	bool in_list;	/* or of the parameter list */
	uint16_t field;
	int bit;	   /* its most significant wrong bit, or SENSE_NO_BIT */
	bool has_progress; /* of NOT READY and NO SENSE: of 65,536 parts this many are done */
	uint16_t progress;
};

/* Fill all of buf (zero-padded) and return the length of the sense data. detail may be NULL. Fixed format has
 * four bytes for the information: a larger value leaves VALID at 0, as SPC-4 table 48 wants. Descriptor format
 * is what initiators get that set D_SENSE, or DESC in REQUEST SENSE. */
uint8_t sense_fixed(uint8_t buf[SCSI_SENSE_SIZE], enum scsi_sense code, const struct sense_detail *detail);
uint8_t sense_descriptor(
	uint8_t buf[SCSI_SENSE_SIZE], enum scsi_sense code, const struct sense_detail *detail);
/* The unit's own sense data in descriptor format, in place; data in that format already stays as it is.
 * Returns the new length. */
uint8_t sense_to_descriptor(uint8_t buf[SCSI_SENSE_SIZE], uint8_t len);
/* Likewise in fixed format; it stays as it is when that has no room for what it says: addresses beyond 32 bits, the
 * registers of an ATA device. */
uint8_t sense_to_fixed(uint8_t buf[SCSI_SENSE_SIZE], uint8_t len);

/* Key, ASC and ASCQ of sense data in either format; false when there is none. */
bool sense_parse(const uint8_t *buf, size_t len, enum scsi_sense *ret);

#endif
