/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MegaRAID MFI as firmware sees it: registers, frames, DCMDs, replies. Restated from the project's MegaRAID
 * facts page (sections in brackets); nothing of this was checked on hardware other than QEMU's model.
 * All fields are little-endian; reserved fields are named by their offset.
 */
#ifndef HBAD_HBA_MEGARAID_MFI_REGS_H
#define HBAD_HBA_MEGARAID_MFI_REGS_H

#include "base/compiler.h"
#include "base/endian.h"

/* --- registers [1.3] --- */

enum mfi_reg {
	MFI_REG_SKINNY_DOORBELL = 0x00,
	MFI_REG_SKINNY_KEY = 0x04,
	MFI_REG_SKINNY_DIAG = 0x08,
	MFI_REG_DOORBELL = 0x20,
	MFI_REG_INTR_STATUS = 0x30,
	MFI_REG_INTR_MASK = 0x34,
	MFI_REG_QUEUE = 0x40,
	MFI_REG_ODCR0 = 0xa0, /* acknowledge */
	MFI_REG_STATE = 0xb0,
	MFI_REG_QUEUE_LOW = 0xc0,
	MFI_REG_QUEUE_HIGH = 0xc4,
	MFI_REG_GEN2_DIAG = 0xf8,
	MFI_REG_GEN2_KEY = 0xfc,
};
#define MFI_BAR_MIN	       0x2000 /* Linux maps this much of the first memory BAR [1.2] */

#define MFI_DIAG_WRITE_ENABLED 0x80u
#define MFI_DIAG_RESET	       0x04u

/* PCI configuration registers of the SAS1078's reset [2.5] */
#define MFI_CFG_1078_RESET  0x84
#define MFI_CFG_1078_MARKER 0x64

/* --- state word [2.1] --- */

#define MFI_STATE_MASK	0xf0000000u
#define MFI_STATE_SHIFT 28
enum mfi_state {
	MFI_ST_UNDEFINED = 0x0,
	MFI_ST_BB_INIT = 0x1,
	MFI_ST_FW_INIT = 0x4,
	MFI_ST_WAIT_HANDSHAKE = 0x6,
	MFI_ST_FW_INIT_2 = 0x7,
	MFI_ST_DEVICE_SCAN = 0x8,
	MFI_ST_BOOT_MESSAGE = 0x9,
	MFI_ST_FLUSH_CACHE = 0xa,
	MFI_ST_READY = 0xb,
	MFI_ST_OPERATIONAL = 0xc,
	MFI_ST_FAULT = 0xf,
};
#define MFI_STATE_MAX_CMDS(w)	((w)&0xffffu)
#define MFI_STATE_MAX_SGE(w)	(((w) >> 16) & 0xffu)
#define MFI_STATE_BIT26		0x04000000u /* READY: MSI-X; after INIT: IEEE SGLs */
#define MFI_STATE_FAULT_CODE(w) (((w) >> 16) & 0xfffu)
#define MFI_ALL_ONES		0xffffffffu

/* --- doorbell [2.2] --- */

#define MFI_DB_ABORT	       0x01u
#define MFI_DB_READY	       0x02u
#define MFI_DB_MFIMODE	       0x04u
#define MFI_DB_CLEAR_HANDSHAKE 0x08u
#define MFI_DB_HOTPLUG	       0x10u
#define MFI_DB_ADP_RESET       0x40u

/* --- frames [3] --- */

enum mfi_cmd {
	MFI_CMD_INIT = 0x00,
	MFI_CMD_LD_READ = 0x01,
	MFI_CMD_LD_WRITE = 0x02,
	MFI_CMD_LD_SCSI_IO = 0x03,
	MFI_CMD_PD_SCSI_IO = 0x04,
	MFI_CMD_DCMD = 0x05,
	MFI_CMD_ABORT = 0x06,
};

#define MFI_FRAME_DONT_POST 0x0001u
#define MFI_FRAME_SGL64	    0x0002u
#define MFI_FRAME_DIR_WRITE 0x0008u
#define MFI_FRAME_DIR_READ  0x0010u
#define MFI_FRAME_IEEE	    0x0020u

#define MFI_FRAME_UNIT	    64	  /* what firmware counts frames in */
#define MFI_FRAME_SLOT	    2048  /* QEMU wants so much readable memory behind every frame [7.2] */
#define MFI_MAX_EXTRA	    7	  /* extra frames announced with the address */
#define MFI_ACCESS_DPO	    0x10u /* access byte of LD_READ and LD_WRITE is CDB byte 1 */
#define MFI_ACCESS_FUA	    0x08u
#define MFI_LD_BLOCK	    512 /* the block of LD_READ and LD_WRITE */
#define MFI_CDB_MAX	    16
#define MFI_SENSE_LEN	    96
#define MFI_SENSE_SLOT	    128

struct mfi_header {
	uint8_t cmd;
	uint8_t sense_len;
	uint8_t cmd_status;  /* firmware's */
	uint8_t scsi_status; /* firmware's */
	uint8_t target_id;
	uint8_t lun; /* LD_READ, LD_WRITE: access byte */
	uint8_t cdb_len;
	uint8_t sge_count;
	le32_t context;
	le32_t reserved_0c;
	le16_t flags;
	le16_t timeout;	 /* seconds, 0: none */
	le32_t data_len; /* bytes; LD_READ and LD_WRITE: blocks */
};
static_assert(sizeof(struct mfi_header) == 0x18, "mfi header");
static_assert(offsetof(struct mfi_header, context) == 0x08, "mfi header");
static_assert(offsetof(struct mfi_header, flags) == 0x10, "mfi header");
static_assert(offsetof(struct mfi_header, data_len) == 0x14, "mfi header");

struct mfi_init_frame {
	struct mfi_header h;
	le32_t queue_info_lo, queue_info_hi;
	le32_t reserved_20[8];
};
static_assert(sizeof(struct mfi_init_frame) == 0x40, "init frame");

struct mfi_queue_info {
	le32_t flags; /* 0: contexts of 32 bits */
	le32_t entries;
	le32_t ring_lo, ring_hi;
	le32_t producer_lo, producer_hi;
	le32_t consumer_lo, consumer_hi;
};
static_assert(sizeof(struct mfi_queue_info) == 32, "queue info");

struct mfi_ld_frame {
	struct mfi_header h;
	le32_t sense_lo, sense_hi;
	le32_t lba_lo, lba_hi;
	uint8_t sgl[];
};
static_assert(offsetof(struct mfi_ld_frame, lba_lo) == 0x20, "ld frame");
static_assert(offsetof(struct mfi_ld_frame, sgl) == 0x28, "ld frame");

struct mfi_scsi_frame {
	struct mfi_header h;
	le32_t sense_lo, sense_hi;
	uint8_t cdb[MFI_CDB_MAX];
	uint8_t sgl[];
};
static_assert(offsetof(struct mfi_scsi_frame, cdb) == 0x20, "scsi frame");
static_assert(offsetof(struct mfi_scsi_frame, sgl) == 0x30, "scsi frame");

struct mfi_dcmd_frame {
	struct mfi_header h;
	le32_t opcode;
	uint8_t mbox[12];
	uint8_t sgl[];
};
static_assert(offsetof(struct mfi_dcmd_frame, mbox) == 0x1c, "dcmd frame");
static_assert(offsetof(struct mfi_dcmd_frame, sgl) == 0x28, "dcmd frame");

struct mfi_abort_frame {
	struct mfi_header h;
	le32_t abort_context;
	le32_t reserved_1c;
	le32_t abort_lo, abort_hi;
	le32_t reserved_28[6];
};
static_assert(offsetof(struct mfi_abort_frame, abort_lo) == 0x20, "abort frame");
static_assert(sizeof(struct mfi_abort_frame) == 0x40, "abort frame");

/* --- scatter-gather elements [3.8] --- */

struct mfi_sge32 {
	le32_t addr, len;
};
static_assert(sizeof(struct mfi_sge32) == 8, "sge32");

struct mfi_sge64 {
	le32_t addr_lo, addr_hi, len; /* packed: 12 bytes, so a 64-bit field would pad it */
};
static_assert(sizeof(struct mfi_sge64) == 12, "sge64");

struct mfi_sge_ieee {
	le32_t addr_lo, addr_hi, len, flags;
};
static_assert(sizeof(struct mfi_sge_ieee) == 16, "ieee sge");

/* --- cmd_status [3.10] --- */

enum mfi_status {
	MFI_OK = 0x00,
	MFI_INVALID_CMD = 0x01,
	MFI_DEVICE_NOT_FOUND = 0x0c,
	MFI_LD_INIT_IN_PROGRESS = 0x18,
	MFI_SCSI_DONE_WITH_ERROR = 0x2d,
	MFI_SCSI_IO_FAILED = 0x2e,
	MFI_LD_OFFLINE = 0x33,
	MFI_PENDING = 0xff,
};

/* --- DCMDs [4.1] --- */

enum mfi_dcmd_op {
	MFI_DCMD_CTRL_GET_INFO = 0x01010000,
	MFI_DCMD_EVENT_GET_INFO = 0x01040100,
	MFI_DCMD_EVENT_WAIT = 0x01040500,
	MFI_DCMD_CTRL_SHUTDOWN = 0x01050000,
	MFI_DCMD_CACHE_FLUSH = 0x01101000,
	MFI_DCMD_PD_LIST_QUERY = 0x02010100,
	MFI_DCMD_PD_GET_INFO = 0x02020000,
	MFI_DCMD_LD_GET_LIST = 0x03010000,
	MFI_DCMD_LD_GET_INFO = 0x03020000,
};
#define MFI_FLUSH_CONTROLLER_AND_DISKS 3
#define MFI_PD_QUERY_EXPOSED	       5

/* CTRL_GET_INFO [4.2]: what is used of it. Older firmware ends after 0x800 bytes. */
struct mfi_ctrl_info {
	uint8_t reserved_000[0x53f];
	uint8_t max_lds;
	char product[80];
	char serial[32];
	le32_t hw_present;
	le32_t fw_time;
	le16_t max_commands;
	le16_t max_sge;
	le32_t max_request_sectors;
	uint8_t reserved_5c0[0x10];
	le16_t memory_mb;
	uint8_t reserved_5d2[8];
	le16_t max_strips;
	uint8_t reserved_5dc[0xc];
	uint8_t strip_min, strip_max; /* log2 of sectors */
	uint8_t reserved_5ea[0x36];
	le32_t on_off; /* in the controller properties, 0x600 + 0x20 */
	uint8_t reserved_624[0x1c];
	char package_version[96];
	uint8_t reserved_6a0[0x148];
	le32_t operations3;
	uint8_t reserved_7ec[0x10];
	le16_t operations4;
	uint8_t reserved_7fe[0x152];
};
static_assert(offsetof(struct mfi_ctrl_info, product) == 0x540, "ctrl info");
static_assert(offsetof(struct mfi_ctrl_info, hw_present) == 0x5b0, "ctrl info");
static_assert(offsetof(struct mfi_ctrl_info, max_request_sectors) == 0x5bc, "ctrl info");
static_assert(offsetof(struct mfi_ctrl_info, memory_mb) == 0x5d0, "ctrl info");
static_assert(offsetof(struct mfi_ctrl_info, max_strips) == 0x5da, "ctrl info");
static_assert(offsetof(struct mfi_ctrl_info, strip_min) == 0x5e8, "ctrl info");
static_assert(offsetof(struct mfi_ctrl_info, on_off) == 0x620, "ctrl info");
static_assert(offsetof(struct mfi_ctrl_info, package_version) == 0x640, "ctrl info");
static_assert(offsetof(struct mfi_ctrl_info, operations3) == 0x7e8, "ctrl info");
static_assert(offsetof(struct mfi_ctrl_info, operations4) == 0x7fc, "ctrl info");
static_assert(sizeof(struct mfi_ctrl_info) == 0x950, "ctrl info");
#define MFI_CTRL_INFO_OLD_SIZE 0x800
#define MFI_HW_BBU	       0x01u
#define MFI_ONOFF_NO_OCR       0x400u /* online controller reset is switched off */

/* LD_GET_LIST [4.4] */
#define MFI_MAX_LDS 64
struct mfi_ld_entry {
	uint8_t target_id;
	uint8_t reserved_1;
	le16_t seq;
	uint8_t state;
	uint8_t reserved_5[3];
	le32_t blocks_lo, blocks_hi;
};
static_assert(sizeof(struct mfi_ld_entry) == 16, "ld entry");

struct mfi_ld_list {
	le32_t count;
	le32_t reserved_4;
	struct mfi_ld_entry ld[MFI_MAX_LDS];
};
static_assert(sizeof(struct mfi_ld_list) == 1032, "ld list");

/* The same from firmware that may have more of them, if it is asked for that. */
#define MFI_MAX_MANY_LDS 256
struct mfi_ld_list_many {
	le32_t count;
	le32_t reserved_4;
	struct mfi_ld_entry ld[MFI_MAX_MANY_LDS];
};
static_assert(sizeof(struct mfi_ld_list_many) == 4104, "ld list");
#define MFI_OPS3_MANY_LDS 0x00000020u

enum mfi_ld_state { MFI_LD_ST_OFFLINE, MFI_LD_ST_PARTIALLY_DEGRADED, MFI_LD_ST_DEGRADED, MFI_LD_ST_OPTIMAL };

/* LD_GET_INFO [4.4] */
struct mfi_ld_info {
	uint8_t target_id;
	uint8_t reserved_01[3];
	char name[16];
	uint8_t default_cache_policy;
	uint8_t access_policy;
	uint8_t disk_cache_policy;
	uint8_t current_cache_policy;
	uint8_t reserved_18[8];
	uint8_t raid_primary;
	uint8_t raid_qualifier;
	uint8_t raid_secondary;
	uint8_t stripe_size;
	uint8_t drives;
	uint8_t span_depth;
	uint8_t reserved_26[0x15a];
};
static_assert(offsetof(struct mfi_ld_info, disk_cache_policy) == 0x16, "ld info");
static_assert(offsetof(struct mfi_ld_info, raid_primary) == 0x20, "ld info");
static_assert(sizeof(struct mfi_ld_info) == 384, "ld info");
#define MFI_CACHE_WRITE_BACK	0x01u
#define MFI_DISK_CACHE_DISABLED 2

/* PD_LIST_QUERY [4.5] */
struct mfi_pd_entry {
	le16_t device_id;
	uint8_t reserved_2[4];
	uint8_t scsi_type;
	uint8_t reserved_7[17];
};
static_assert(sizeof(struct mfi_pd_entry) == 24, "pd entry");

#define MFI_PD_LIST_SIZE 8192
#define MFI_PD_LIST_MAX	 ((MFI_PD_LIST_SIZE - 8) / sizeof(struct mfi_pd_entry))
struct mfi_pd_list {
	le32_t size;
	le32_t count;
	struct mfi_pd_entry pd[MFI_PD_LIST_MAX];
};
static_assert(sizeof(struct mfi_pd_list) == 8 + 341 * 24, "pd list");

/* PD_GET_INFO [4.5] */
struct mfi_pd_info {
	uint8_t reserved_000[0xbc];
	le32_t type;
	uint8_t reserved_0c0[0x38];
	le32_t coerced_blocks_lo, coerced_blocks_hi;
	uint8_t reserved_100[0x100];
};
static_assert(offsetof(struct mfi_pd_info, type) == 0xbc, "pd info");
static_assert(offsetof(struct mfi_pd_info, coerced_blocks_lo) == 0xf8, "pd info");
static_assert(sizeof(struct mfi_pd_info) == 512, "pd info");
#define MFI_PD_INTERFACE(type) (((type) >> 12) & 0xfu)
enum mfi_pd_interface { MFI_PD_IF_UNKNOWN, MFI_PD_IF_NVME = 5 };

/* Events [4.7] */
struct mfi_event_info {
	le32_t newest, oldest, clear, shutdown, boot;
};
static_assert(sizeof(struct mfi_event_info) == 20, "event info");

struct mfi_event {
	le32_t seq;
	le32_t time;
	le32_t code;
	le32_t class_locale;
	uint8_t arg_type;
	uint8_t reserved_11[15];
	uint8_t args[96];
	char text[128];
};
static_assert(sizeof(struct mfi_event) == 256, "event");
static_assert(offsetof(struct mfi_event, args) == 0x20, "event");
static_assert(offsetof(struct mfi_event, text) == 0x80, "event");
/* All locales, of class 0 (informational) and worse: progress of rebuilds is nobody's business here. */
#define MFI_EVENT_FILTER 0x0000ffffu

/* What args begin with: of a drive its device id, 16 bits. */
enum mfi_event_arg { MFI_EV_ARG_PD = 10 };

enum mfi_event_code {
	MFI_EV_CFG_CLEARED = 0x004,
	MFI_EV_LD_STATE = 0x051,
	MFI_EV_PD_INSERTED = 0x05b,
	MFI_EV_PD_REMOVED = 0x070,
	MFI_EV_PD_STATE = 0x072,
	MFI_EV_LD_CREATED = 0x08a,
	MFI_EV_LD_DELETED = 0x08b,
	MFI_EV_FOREIGN_IMPORTED = 0x0db,
	MFI_EV_LD_OFFLINE = 0x0fc,
	MFI_EV_BUS_SCAN = 0x152,
};

#endif
