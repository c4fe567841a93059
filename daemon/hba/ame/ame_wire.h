/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stands in registers and shared memory of a directly attached Accusys AME box, from the project's facts page:
 * numbers in brackets are its sections. Everything is little-endian, for all families.
 *
 * What the page does not know from a driver at work is marked: [H] is only defined in a header that firmware and host
 * share, [I] is inferred, [?] is unknown. Each such mark in this folder says how to check it on real hardware, or that nothing
 * hangs on it; hbad-controllers(7) has all the checks.
 */
#ifndef HBAD_HBA_AME_AME_WIRE_H
#define HBAD_HBA_AME_AME_WIRE_H

#include "base/compiler.h"
#include "base/endian.h"

#define AME_PCI_VENDOR 0x14d6
#define AME_ALL_ONES   0xffffffffu

/* --- registers [2] --- */

enum ame_reg {
	AME_MESSAGE = 0x10,	    /* 341: upper half of the host's addresses */
	AME_INBOUND = 0x20,	    /* doorbell: AME_IN_ */
	AME_STATUS = 0x30,	    /* 341: bit 0 is ready; writing 1 clears it */
	AME_MASK = 0x34,	    /* 1: masked */
	AME_REQUEST = 0x40,	    /* read: all ones when full; write: a request frame */
	AME_REPLY = 0x44,	    /* read: the next message; write: an empty reply frame */
	AME_FRAMES_CONSUMER = 0x68, /* 2208, 16 bits: where its list of empty reply frames stands */
	AME_FRAMES_PRODUCER = 0x6a,
	AME_OUTBOUND = 0x9c, /* doorbell: AME_OUT_ */
	AME_OUTBOUND_CLEAR = 0xa0,
	AME_PAD_READY = 0xb4, /* 1: firmware is up */
	AME_PAD_HOST = 0xb8,  /* what the host is about: AME_HOST_ */
	AME_REGS_END = 0xc0,
};

#define AME_STATUS_READY 0x01

#define AME_IN_FRAME	 0x10000000u /* 2208: an empty reply frame was written to AME_REPLY */
#define AME_IN_HIGH	 0x80000000u /* or-ed with the upper half of the host's addresses */
#define AME_IN_FORGET	 0xffffffffu /* all empty reply frames */

enum ame_outbound {
	AME_OUT_READY = 0x01,
	AME_OUT_RESTART = 0x02, /* the box is about to restart */
	AME_OUT_FLUSH = 0x04,	/* the host may give up all commands */
	AME_OUT_PAUSE = 0x08,	/* no more commands */
	AME_OUT_RESUME = 0x10,	/* commands again; and, once per second, "is the host alive?" */
};

#define AME_HOST_NORMAL	    0x00010000u /* protocol 1, all is well */
#define AME_HOST_RECOVERY   0x0001ffffu /* protocol 1, recovering from an error */

#define AME_MASK_ALL_341    0x1f /* [I]: no bit above 4 is known; check: no interrupt after hbad has stopped */
#define AME_MASK_RUN_341    0x17
#define AME_MASK_ALL	    0x0f
#define AME_MASK_RUN	    0x01
#define AME_FRAME_RING_2208 16 /* entries, of which one stays empty */

/* --- requests [4] --- */

enum ame_function { AME_F_SCSI = 0, AME_F_TASK = 1, AME_F_EVENT = 2, AME_F_INBAND = 3 };

#define AME_ALIGN      256 /* of request and reply frames */
#define AME_FRAME_SIZE 512
#define AME_REPLY_SIZE 96
#define AME_SENSE_SIZE 64
#define AME_MAX_LUNS   64
#define AME_MAX_CDB    16
#define AME_ID_SHIFT   2   /* message identifier = slot number << 2, from 1 on */
#define AME_MAX_SLOTS  510 /* identifiers 1 to 510 */
#define AME_REPLY_FRAMES                                                                                     \
	510 /* as many as the vendor's driver lends; whether firmware needs them all is [?], and it gets them all */
#define AME_INBAND_CDB	32
#define AME_DIRECT_SGES 29
#define AME_DIRECT_BDLS 39

/* One piece of data, for all but reads and writes of 2208 and 3108 [4.2] */
struct ame_bdl {
	le32_t head; /* AME_BDL_, and 24 bits of length */
	le32_t addr_low, addr_high;
};
static_assert(sizeof(struct ame_bdl) == 12, "buffer descriptor");

/* One piece of data of a read or write, 2208 and 3108 */
struct ame_sge {
	le32_t addr_low, addr_high;
	le32_t len;
	le32_t flags; /* AME_SGE_LAST */
};
static_assert(sizeof(struct ame_sge) == 16, "scatter-gather element");

#define AME_BDL_LEN   0x00ffffffu
#define AME_BDL_WIDE  0x10000000u /* 64-bit address: always */
#define AME_BDL_WRITE 0x20000000u
#define AME_BDL_LIST  0x40000000u /* points to a list; the length is a number of elements */
#define AME_SGE_LAST  0x40000000u /* 3108 */

struct ame_scsi { /* [4.1] */
	uint8_t reserved_00[2];
	uint8_t lun;
	uint8_t function;
	le32_t id;
	uint8_t cdb_len;
	uint8_t sense_len;
	uint8_t reserved_0a[2];
	le32_t control; /* AME_CTL_ */
	uint8_t cdb[AME_MAX_CDB];
	le32_t data_len;
	le32_t sense_low;
	union { /* at 28h */
		struct ame_bdl bdl[AME_DIRECT_BDLS];
		struct {
			uint8_t zero[8];
			struct ame_sge sge[AME_DIRECT_SGES]; /* at 30h */
		};
	};
};
static_assert(sizeof(struct ame_scsi) <= AME_FRAME_SIZE, "SCSI request");
static_assert(offsetof(struct ame_scsi, cdb) == 0x10 && offsetof(struct ame_scsi, sense_low) == 0x24 &&
		      offsetof(struct ame_scsi, bdl) == 0x28 && offsetof(struct ame_scsi, sge) == 0x30,
	"SCSI request");

#define AME_CTL_WRITE 0x01
#define AME_CTL_READ  0x02
#define AME_CTL_UNTAGGED                                                                                     \
	0x2c /* and a sense address whose upper half is the global one: as the vendor's driver */

struct ame_inband { /* [4.3] */
	uint8_t reserved_00[2];
	uint8_t flags; /* AME_INBAND_READ */
	uint8_t function;
	le32_t id;
	uint8_t cdb[AME_INBAND_CDB];
	le32_t data_len;
	uint8_t reserved_2c[4];
	struct ame_bdl bdl;
};
static_assert(offsetof(struct ame_inband, data_len) == 0x28 && offsetof(struct ame_inband, bdl) == 0x30 &&
		      sizeof(struct ame_inband) == 0x3c,
	"in-band request");
#define AME_INBAND_READ	  2
#define AME_INBAND_GET	  0x01 /* CDB bytes 0 and 1; byte 2 is the page */
#define AME_PAGE_SIZE	  512
#define AME_LUN_NOT_THERE 0xffff

struct ame_page0 { /* what of it is known */
	char product[16], model[16], serial[16];
	uint8_t unknown_30[0x50];
	uint8_t map[AME_MAX_LUNS][2]; /* AME_LUN_NOT_THERE, or anything else */
	uint8_t unknown_100[0x100];
};
static_assert(sizeof(struct ame_page0) == AME_PAGE_SIZE && offsetof(struct ame_page0, map) == 0x80, "page 0");

struct ame_event_switch { /* [4.4] */
	uint8_t reserved_00[2];
	uint8_t on;
	uint8_t function;
	le32_t id;
};
static_assert(sizeof(struct ame_event_switch) == 8, "event switch");

struct ame_task { /* [4.5] [H]: see task.c */
	uint8_t reserved_00[2];
	uint8_t type; /* enum ame_task_type */
	uint8_t function;
	le32_t id;
	uint8_t lun;
	uint8_t reserved_09[3];
	le32_t victim;
};
static_assert(sizeof(struct ame_task) == 16, "task management");
enum ame_task_type { AME_T_ABORT = 1, AME_T_LUN_RESET = 3 };

/* --- replies [5] --- */

#define AME_MSG_FRAME                                                                                        \
	0x80000000u /* the rest, << 1, is the address of a reply frame; else it is an identifier */

struct ame_reply {
	uint8_t flags;
	uint8_t status; /* enum ame_status */
	uint8_t length; /* of an unknown unit [?]: nothing looks at it */
	uint8_t function;
	le32_t id;
	union {
		struct {		     /* SCSI [5.3] */
			uint8_t scsi_status; /* at 08h */
			uint8_t scsi_state;  /* AME_STATE_ */
			uint8_t reserved_0a[2];
			le32_t moved;
		};
		le16_t inband_error; /* [5.4] */
		uint8_t event[88];   /* [5.5] */
	};
};
static_assert(sizeof(struct ame_reply) == AME_REPLY_SIZE && offsetof(struct ame_reply, event) == 8 &&
		      offsetof(struct ame_reply, moved) == 0x0c,
	"reply");

enum ame_status {
	AME_S_OK = 0x00,
	AME_S_INVALID_FUNCTION = 0x01,
	AME_S_BUSY = 0x02,
	AME_S_INVALID_BDL = 0x03,
	AME_S_INTERNAL = 0x04,
	AME_S_RESOURCES = 0x05,
	AME_S_INVALID_FIELD = 0x06,
	AME_S_INBAND_ILLEGAL = 0x11,
	AME_S_RECOVERED = 0x21,
	AME_S_NO_DEVICE = 0x22,
	AME_S_OVERRUN = 0x23,
	AME_S_UNDERRUN = 0x24,
	AME_S_DATA_ERROR = 0x25,
	AME_S_TERMINATED = 0x27,
	AME_S_TASK_FAILED = 0x30,
};

#define AME_STATE_SENSE	     0x01 /* the sense block of the request is filled */
#define AME_STATE_NO_SENSE   0x02
#define AME_STATE_NO_STATUS  0x04
#define AME_STATE_TERMINATED 0x08

enum ame_event { AME_E_USING = 0x55, AME_E_COMPLETE = 0xaa, AME_E_LUNS = 0x14, AME_E_RAID_ERROR = 0xff };

/* Where the SCSI request says; looked at only with AME_STATE_SENSE [5.3] */
struct ame_sense {
	uint8_t reserved_00[2];
	uint8_t flags; /* AME_SB_ */
	uint8_t scsi_status;
	le32_t residual;
	le32_t sense_len, response_len;
	uint8_t data[48]; /* response data if there is any, then sense data */
};
static_assert(
	sizeof(struct ame_sense) == AME_SENSE_SIZE && offsetof(struct ame_sense, data) == 0x10, "sense");
#define AME_SB_RESPONSE 0x01
#define AME_SB_SENSE	0x02
#define AME_SB_OVER	0x04
#define AME_SB_UNDER	0x08

#endif
