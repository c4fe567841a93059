/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stands in registers and shared memory of a virtio SCSI host, from the OASIS specification "Virtual I/O Device
 * (VIRTIO) Version 1.2": numbers in brackets are its sections. Everything is little-endian [1.4, 4.1.3].
 */
#ifndef HBAD_HBA_VIRTIO_VIO_WIRE_H
#define HBAD_HBA_VIRTIO_VIO_WIRE_H

#include "base/compiler.h"
#include "base/endian.h"

/* --- PCI [4.1] --- */

#define VIO_PCI_VENDOR	     0x1af4
#define VIO_PCI_SCSI	     0x1048 /* 1040h + device type 8 [4.1.2] */
#define VIO_PCI_TRANSITIONAL 0x1004
#define VIO_DEVICE_TYPE	     8 /* a transitional device has it as subsystem id [4.1.2.3] */

/* A vendor-specific capability that says where a structure is [4.1.4] */
#define VIO_PCI_CAP_ID 0x09
enum vio_cap {
	VIO_CAP_NEXT = 1,
	VIO_CAP_LEN = 2,
	VIO_CAP_TYPE = 3,
	VIO_CAP_BAR = 4,
	VIO_CAP_OFFSET = 8,
	VIO_CAP_LENGTH = 12,
	VIO_CAP_SIZE = 16,
	VIO_CAP_NOTIFY_MULTIPLIER = 16, /* of the notify capability only [4.1.4.4] */
	VIO_CAP_NOTIFY_SIZE = 20,
};
enum vio_cap_type { VIO_CAP_COMMON = 1, VIO_CAP_NOTIFY, VIO_CAP_ISR, VIO_CAP_DEVICE, VIO_N_CAPS };

/* Common configuration structure [4.1.4.3] */
enum vio_common {
	VIO_DEVICE_FEATURE_SELECT = 0x00, /* 32 bits */
	VIO_DEVICE_FEATURE = 0x04,	  /* 32 */
	VIO_DRIVER_FEATURE_SELECT = 0x08, /* 32 */
	VIO_DRIVER_FEATURE = 0x0c,	  /* 32 */
	VIO_CONFIG_VECTOR = 0x10,	  /* 16 */
	VIO_NUM_QUEUES = 0x12,		  /* 16 */
	VIO_STATUS = 0x14,		  /* 8 */
	VIO_CONFIG_GENERATION = 0x15,	  /* 8 */
	VIO_QUEUE_SELECT = 0x16,	  /* 16, as those up to VIO_QUEUE_NOTIFY_OFF */
	VIO_QUEUE_SIZE = 0x18,
	VIO_QUEUE_VECTOR = 0x1a,
	VIO_QUEUE_ENABLE = 0x1c,
	VIO_QUEUE_NOTIFY_OFF = 0x1e,
	VIO_QUEUE_DESC = 0x20, /* 64, to be written as twice 32 */
	VIO_QUEUE_DRIVER = 0x28,
	VIO_QUEUE_DEVICE = 0x30,
	VIO_COMMON_SIZE = 0x38,
};
#define VIO_NO_VECTOR 0xffff /* [4.1.5.1.2] */

/* Device status [2.1] */
enum vio_status {
	VIO_ST_ACKNOWLEDGE = 0x01,
	VIO_ST_DRIVER = 0x02,
	VIO_ST_DRIVER_OK = 0x04,
	VIO_ST_FEATURES_OK = 0x08,
	VIO_ST_NEEDS_RESET = 0x40,
	VIO_ST_FAILED = 0x80,
	VIO_ST_ALL_ONES = 0xff, /* no value that a device can show: nobody is there */
};

/* Feature bits [5.6.3, 6] */
#define VIO_F_SCSI_HOTPLUG    (UINT64_C(1) << 1)
#define VIO_F_SCSI_CHANGE     (UINT64_C(1) << 2)
#define VIO_F_INDIRECT_DESC   (UINT64_C(1) << 28)
#define VIO_F_VERSION_1	      (UINT64_C(1) << 32)
#define VIO_F_ACCESS_PLATFORM (UINT64_C(1) << 33)
#define VIO_F_ORDER_PLATFORM  (UINT64_C(1) << 36)

/* --- split virtqueues [2.7] --- */

struct vio_desc { /* [2.7.5] */
	le64_t addr;
	le32_t len;
	le16_t flags; /* VIO_DESC_ */
	le16_t next;
};
static_assert(sizeof(struct vio_desc) == 16, "descriptor");
#define VIO_DESC_NEXT	  1
#define VIO_DESC_WRITE	  2 /* the device writes */
#define VIO_DESC_INDIRECT 4

struct vio_avail { /* [2.7.6] */
	le16_t flags;
	le16_t idx;
	le16_t ring[];
};

struct vio_used_elem { /* [2.7.8] */
	le32_t id;
	le32_t len;
};
struct vio_used {
	le16_t flags; /* VIO_USED_NO_NOTIFY */
	le16_t idx;
	struct vio_used_elem ring[];
};
static_assert(sizeof(struct vio_used_elem) == 8 && offsetof(struct vio_used, ring) == 4, "used ring");
#define VIO_USED_NO_NOTIFY 1

/* --- SCSI host [5.6] --- */

enum vio_queue { VIO_Q_CONTROL, VIO_Q_EVENT, VIO_Q_REQUEST }; /* [5.6.2] */

/* Device configuration [5.6.4]: offsets of 32-bit fields but where said */
enum vio_config_field {
	VIO_CFG_NUM_QUEUES = 0x00,
	VIO_CFG_SEG_MAX = 0x04,
	VIO_CFG_MAX_SECTORS = 0x08,
	VIO_CFG_CMD_PER_LUN = 0x0c,
	VIO_CFG_EVENT_INFO_SIZE = 0x10,
	VIO_CFG_SENSE_SIZE = 0x14,
	VIO_CFG_CDB_SIZE = 0x18,
	VIO_CFG_MAX_CHANNEL = 0x1c, /* 16 */
	VIO_CFG_MAX_TARGET = 0x1e,  /* 16 */
	VIO_CFG_MAX_LUN = 0x20,
	VIO_CFG_SIZE = 0x24,
};
#define VIO_SENSE_SIZE 96 /* what a reset sets both to */
#define VIO_CDB_SIZE   32

/* Eight bytes that name target and LUN, or the REPORT LUNS well-known logical unit [5.6.6.1] */
#define VIO_LUN_SIZE	 8
#define VIO_MAX_TARGET	 255
#define VIO_MAX_LUN	 16383
#define VIO_LUN_FLAT	 0x40 /* SAM-5 4.7.7.3: flat space addressing */
#define VIO_LUN_METHOD	 0xc0
#define VIO_SECTOR_BYTES 512 /* of max_sectors */

/* Request queue [5.6.6.1]; the device-readable part, then the device-writable one */
struct vio_cmd_req {
	uint8_t lun[VIO_LUN_SIZE];
	uint8_t id[8]; /* le64, at any alignment of the whole */
	uint8_t task_attr, prio, crn;
	uint8_t cdb[VIO_CDB_SIZE];
};
static_assert(sizeof(struct vio_cmd_req) == 51 && offsetof(struct vio_cmd_req, cdb) == 19, "request");

struct vio_cmd_resp {
	le32_t sense_len;
	le32_t residual;
	le16_t status_qualifier;
	uint8_t status;
	uint8_t response; /* enum vio_response */
	uint8_t sense[VIO_SENSE_SIZE];
};
static_assert(
	sizeof(struct vio_cmd_resp) == 108 && offsetof(struct vio_cmd_resp, response) == 11, "response");

enum vio_response {
	VIO_S_OK = 0,
	VIO_S_OVERRUN = 1,
	VIO_S_ABORTED = 2,
	VIO_S_BAD_TARGET = 3,
	VIO_S_RESET = 4,
	VIO_S_BUSY = 5,
	VIO_S_TRANSPORT_FAILURE = 6,
	VIO_S_TARGET_FAILURE = 7,
	VIO_S_NEXUS_FAILURE = 8,
	VIO_S_FAILURE = 9,
	VIO_S_FUNCTION_SUCCEEDED = 10,
	VIO_S_FUNCTION_REJECTED = 11,
	VIO_S_INCORRECT_LUN = 12,
	VIO_S_UNWRITTEN = 0xff, /* ours: no response has this value, so the device has not written one */
};

/* Control queue [5.6.6.2] */
#define VIO_T_TMF 0
enum vio_tmf_type { VIO_TMF_ABORT_TASK = 0, VIO_TMF_LOGICAL_UNIT_RESET = 5 };

struct vio_tmf_req {
	le32_t type;
	le32_t subtype;
	uint8_t lun[VIO_LUN_SIZE];
	uint8_t id[8]; /* le64 of the command */
};
static_assert(sizeof(struct vio_tmf_req) == 24, "task management");

/* Event queue [5.6.6.3] */
struct vio_event {
	le32_t event;
	uint8_t lun[VIO_LUN_SIZE];
	le32_t reason;
};
static_assert(sizeof(struct vio_event) == 16, "event");

#define VIO_EVENTS_MISSED 0x80000000u
enum vio_event_type {
	VIO_T_NO_EVENT = 0,
	VIO_T_TRANSPORT_RESET = 1,
	VIO_T_ASYNC_NOTIFY = 2,
	VIO_T_PARAM_CHANGE = 3
};
enum vio_reset_reason { VIO_RESET_HARD = 0, VIO_RESET_RESCAN = 1, VIO_RESET_REMOVED = 2 };

#endif
