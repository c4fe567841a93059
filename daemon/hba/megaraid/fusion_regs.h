/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MegaRAID Fusion as firmware sees it: registers, request frames, reply descriptors. Restated from the project's
 * MegaRAID facts page (sections in brackets), as mfi_regs.h, which holds what Fusion shares with MFI: management
 * frames and DCMDs. All fields are little-endian; nothing of this was checked on hardware.
 */
#ifndef HBAD_HBA_MEGARAID_FUSION_REGS_H
#define HBAD_HBA_MEGARAID_FUSION_REGS_H

#include "base/compiler.h"
#include "base/endian.h"

/* --- registers [1.3] --- */

enum fusion_reg {
	FUSION_REG_DOORBELL = 0x00,
	FUSION_REG_KEY = 0x04,
	FUSION_REG_DIAG = 0x08,
	FUSION_REG_HOST_INDEX = 0x6c,
	FUSION_REG_PAD1 = 0xb4,
	FUSION_REG_PAD2 = 0xb8,
	FUSION_REG_QUEUE_LOW = 0xc0,
	FUSION_REG_QUEUE_HIGH = 0xc4,
	FUSION_REG_QUEUE_ATOMIC = 0xc8,
	FUSION_REG_HOST_INDEX_N = 0x30c, /* each 10h further: 8 queues */
};
#define FUSION_DOORBELL_BUSY  0x1u
#define FUSION_INDEX_STRIDE   0x10
#define FUSION_INDEX_QUEUES   8	  /* behind one of those registers */
#define FUSION_INTR_ENABLE    ~9u /* doorbell and reply */
#define FUSION_FAULT_RESET_OK 0x2u

/* Scratch pad 1 [5.2] */
#define FUSION_PAD1_QUEUES_OLD 0x0000001fu
#define FUSION_PAD1_CHAIN(p)   (((p) >> 5) & 0x1fu)
#define FUSION_PAD1_QUEUES     0x003fc000u
#define FUSION_PAD1_CHAIN_512  0x00400000u
#define FUSION_PAD1_SYNC_CACHE                                                                               \
	0x01000000u /* before INIT: firmware takes SYNCHRONIZE CACHE for logical drives */
#define FUSION_PAD1_ATOMIC   0x01000000u /* after INIT, Aero: descriptors of 32 bits */
#define FUSION_PAD2_DEPTH(p) ((p)&0xffffu)
#define FUSION_CHAIN_MIN     1024u

/* --- request descriptors [5.5] --- */

enum fusion_type {
	FUSION_TYPE_SCSI_IO = 0x00,
	FUSION_TYPE_MFA = 0x02,
	FUSION_TYPE_NO_LOCK = 0x04,
	FUSION_TYPE_HIGH_PRIORITY = 0x06,
	FUSION_TYPE_FP_IO = 0x0c,
	FUSION_TYPE_LD_IO = 0x0e,
};

/* --- scatter-gather elements [5.9] --- */

struct fusion_sge {
	le64_t addr;
	le32_t len;
	le16_t reserved_c;
	uint8_t next_chain;
	uint8_t flags;
};
static_assert(sizeof(struct fusion_sge) == 16, "fusion sge");
static_assert(offsetof(struct fusion_sge, flags) == 15, "fusion sge");
#define FUSION_SGE_CHAIN   0x80
#define FUSION_SGE_END	   0x40
#define FUSION_SGE_PLB_NTA 0x03
#define FUSION_SGE_SLOTS   8 /* in a request frame; in the last is the chain when there are more */

/* --- RAID context [5.7] --- */

struct fusion_context {
	uint8_t type_nseg; /* type in the low nibble */
	uint8_t reserved_01;
	le16_t timeout;
	uint8_t lock_flags;
	uint8_t reserved_05;
	le16_t target;
	le64_t row;
	le32_t rows;
	le16_t next_lmid;
	uint8_t ex_status; /* firmware's: SCSI status */
	uint8_t status;	   /* firmware's: as an MFI frame's */
	uint8_t raid_flags;
	uint8_t num_sge;
	le16_t config_seq;
	uint8_t span_arm;
	uint8_t priority;
	uint8_t num_sge_ext;
	uint8_t reserved_1f;
};
static_assert(sizeof(struct fusion_context) == 32, "raid context");
static_assert(offsetof(struct fusion_context, target) == 0x06, "raid context");
static_assert(offsetof(struct fusion_context, ex_status) == 0x16, "raid context");
static_assert(offsetof(struct fusion_context, raid_flags) == 0x18, "raid context");
static_assert(offsetof(struct fusion_context, config_seq) == 0x1a, "raid context");

/* Ventura and later */
struct fusion_context_g35 {
	le16_t type_nseg;
	le16_t timeout;
	le16_t routing;
	le16_t target;
	le64_t row;
	le32_t rows;
	le16_t peer_smid;
	uint8_t ex_status;
	uint8_t status;
	uint8_t raid_flags;
	uint8_t span_arm;
	le16_t config_seq;
	le16_t num_sge;
	le16_t reserved_1e;
};
static_assert(sizeof(struct fusion_context_g35) == 32, "raid context");
static_assert(offsetof(struct fusion_context_g35, routing) == 0x04, "raid context");
static_assert(offsetof(struct fusion_context_g35, ex_status) == 0x16, "raid context");
static_assert(offsetof(struct fusion_context_g35, num_sge) == 0x1c, "raid context");

#define FUSION_CTX_TYPE_NSEG   0x12 /* type 2, one segment */
#define FUSION_CTX_SEQ_VALID   0x08
#define FUSION_CTX_DEST_CUDA   0x80
#define FUSION_CTX_ROUTING_SQN 0x0010u
#define FUSION_CTX_RAID_SYSPD  0x10 /* raid_flags: I/O of a system drive */

/* --- request frames [5.6] --- */

enum fusion_function {
	FUSION_FN_SCSI_IO = 0x00,
	FUSION_FN_TASK = 0x01,
	FUSION_FN_PASS_THROUGH = 0xf0,
	FUSION_FN_LD_IO = 0xf1,
};

struct fusion_request {
	le16_t handle;
	uint8_t chain_offset; /* in units of 16 bytes */
	uint8_t function;
	uint8_t reserved_04[8];
	le32_t sense;
	le16_t sgl_flags;
	uint8_t sense_len;
	uint8_t reserved_13;
	uint8_t sgl_offset; /* in units of 4 bytes */
	uint8_t reserved_15[7];
	le32_t data_len;
	le32_t bidi_len;
	le16_t io_flags; /* CDB length */
	uint8_t reserved_26[14];
	uint8_t lun[8];
	le32_t control;
	uint8_t cdb[32];
	union {
		struct fusion_context ctx;
		struct fusion_context_g35 ctx35;
	};
	struct fusion_sge sge[FUSION_SGE_SLOTS];
};
static_assert(sizeof(struct fusion_request) == 256, "fusion request");
static_assert(offsetof(struct fusion_request, sense) == 0x0c, "fusion request");
static_assert(offsetof(struct fusion_request, sgl_offset) == 0x14, "fusion request");
static_assert(offsetof(struct fusion_request, data_len) == 0x1c, "fusion request");
static_assert(offsetof(struct fusion_request, io_flags) == 0x24, "fusion request");
static_assert(offsetof(struct fusion_request, lun) == 0x34, "fusion request");
static_assert(offsetof(struct fusion_request, cdb) == 0x40, "fusion request");
static_assert(offsetof(struct fusion_request, ctx) == 0x60, "fusion request");
static_assert(offsetof(struct fusion_request, sge) == 0x80, "fusion request");

#define FUSION_REQUEST_SIZE    256
#define FUSION_SGL_64	       0x0002
#define FUSION_SGL_OFFSET      0x20
#define FUSION_CHAIN_AT_SLOT_7 0x0f
#define FUSION_CHAIN_PASS      0x08
#define FUSION_PASS_LEN	       256
#define FUSION_CONTROL_WRITE   0x01000000u
#define FUSION_CONTROL_READ    0x02000000u
#define FUSION_IO_FAST_PATH    0x4000u
#define FUSION_NO_HANDLE       0xffffu

/* --- task management [5.14] --- */

struct fusion_task {
	le16_t handle;
	uint8_t chain_offset;
	uint8_t function;
	uint8_t reserved_04;
	uint8_t type;
	uint8_t reserved_06[6];
	uint8_t lun[8];
	uint8_t reserved_14[28];
	le16_t smid; /* of the one to abort */
	uint8_t reserved_32[78];
	union {
		le32_t flags;
		struct {
			uint8_t reserved_80[4];
			uint8_t response;
			uint8_t reserved_85[123];
		} reply;
	};
};
static_assert(sizeof(struct fusion_task) == 256, "fusion task");
static_assert(offsetof(struct fusion_task, type) == 0x05, "fusion task");
static_assert(offsetof(struct fusion_task, lun) == 0x0c, "fusion task");
static_assert(offsetof(struct fusion_task, smid) == 0x30, "fusion task");
static_assert(offsetof(struct fusion_task, flags) == 0x80, "fusion task");
static_assert(offsetof(struct fusion_task, reply.response) == 0x84, "fusion task");

/* The two kinds that Linux sends: what firmware makes of others nobody has tried. */
enum fusion_task_type { FUSION_TASK_ABORT = 1, FUSION_TASK_TARGET_RESET = 3 };
#define FUSION_TASK_FOR_LD  1u
#define FUSION_TASK_FOR_PD  2u
#define FUSION_TM_COMPLETE  0x00
#define FUSION_TM_SUCCEEDED 0x08

/* --- IOC INIT [5.4] --- */

struct fusion_ioc_init {
	uint8_t who;
	uint8_t reserved_01;
	uint8_t chain_offset;
	uint8_t function;
	uint8_t reserved_04[3];
	uint8_t msg_flags;
	uint8_t reserved_08[4];
	le16_t msg_version;
	le16_t header_version;
	uint8_t reserved_10[6];
	uint8_t page_size; /* log2 */
	uint8_t vectors;
	le16_t reserved_18;
	le16_t frame_size; /* in units of 4 bytes */
	le16_t reply_depth;
	le16_t reply_free_depth;
	le32_t sense_high;
	le32_t reply_high;
	le64_t requests;
	le64_t replies;
	le64_t reply_free;
	le64_t time; /* ms since 1970 */
};
static_assert(sizeof(struct fusion_ioc_init) == 72, "ioc init");
static_assert(offsetof(struct fusion_ioc_init, msg_version) == 0x0c, "ioc init");
static_assert(offsetof(struct fusion_ioc_init, page_size) == 0x16, "ioc init");
static_assert(offsetof(struct fusion_ioc_init, frame_size) == 0x1a, "ioc init");
static_assert(offsetof(struct fusion_ioc_init, sense_high) == 0x20, "ioc init");
static_assert(offsetof(struct fusion_ioc_init, requests) == 0x28, "ioc init");

/* What the driver can do, in the INIT frame [5.3]: only what is true of this one. */
#define FUSION_CAP_MORE_VECTORS	 0x0002u
#define FUSION_CAP_255_LDS	 0x0008u
#define FUSION_CAP_SECURITY_CDBS 0x0040u
#define FUSION_CAP_EXT_DEPTH	 0x0080u
#define FUSION_CAP_EXT_IO_SIZE	 0x0100u
#define FUSION_CAP_PD_TARGET_ID	 0x1000u

/* --- reply descriptors [5.11]: all ones is "none"; the SMID is in bits 31:16 --- */

#define FUSION_REPLY_NONE  UINT64_MAX
#define FUSION_REPLY_DEPTH 16 /* queues are a multiple of this */

/* --- DCMDs that only Fusion has [4.8] --- */

enum fusion_dcmd { FUSION_DCMD_PD_MAP = 0x0200e102 };

#define FUSION_PD_MAP_MAX 256
enum fusion_pd_capability { FUSION_PD_TM = 0x01 }; /* task management reaches it [4.8] */
struct fusion_pd_map_entry {
	le16_t seq;
	le16_t handle;
	uint8_t capability; /* enum fusion_pd_capability */
	uint8_t reserved_5;
	le16_t target;
};
struct fusion_pd_map {
	le32_t size;
	le32_t count;
	struct fusion_pd_map_entry pd[FUSION_PD_MAP_MAX];
};
static_assert(sizeof(struct fusion_pd_map) == 2056, "pd map");

/* CTRL_GET_INFO [4.2] */
#define FUSION_OPS3_PD_MAP  0x01000000u
#define FUSION_OPS4_PD_ID   0x0040u

#define FUSION_SEQ_MISMATCH 0x67 /* status: the configuration has changed [3.11] */

#endif
