/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The SAS3108's own: request frames by number, several reply queues, task management, the RAID map [5]. */
#ifndef HBAD_EMU_FUSION_H
#define HBAD_EMU_FUSION_H

#include "mfi.h"

#define FUSION_VECTORS 16

/* [1.3] */
enum fusion_reg {
	FREG_DOORBELL = 0x00,
	FREG_KEY = 0x04,
	FREG_DIAG = 0x08,
	FREG_INTR_STATUS = 0x30,
	FREG_INTR_MASK = 0x34,
	FREG_BOOT_QUEUE = 0x40,
	FREG_HOST_INDEX = 0x6c,
	FREG_STATE = 0xb0,
	FREG_PAD1 = 0xb4,
	FREG_PAD2 = 0xb8,
	FREG_QUEUE_LOW = 0xc0,
	FREG_QUEUE_HIGH = 0xc4,
	FREG_HOST_INDEX_N = 0x30c, /* each 10h: the index of 8 vectors */
};
#define FINTR_REPLY 0x8u
#define FINTR_STATE 0x1u
#define FDB_FORCE   0x80u

/* Offsets in a request frame [5.6, 5.7, 5.14] */
enum request_off {
	RQ_HANDLE = 0x00,
	RQ_CHAIN = 0x02,
	RQ_FUNCTION = 0x03,
	RQ_TASK_TYPE = 0x05,
	RQ_SENSE = 0x0c,
	RQ_SENSE_LEN = 0x12,
	RQ_SGL_OFFSET = 0x14,
	RQ_DATA_LEN = 0x1c,
	RQ_IO_FLAGS = 0x24,
	RQ_TASK_SMID = 0x30,
	RQ_LUN = 0x34,
	RQ_CONTROL = 0x3c,
	RQ_CDB = 0x40,
	RQ_LOCK_FLAGS = 0x64,
	RQ_TARGET = 0x66,
	RQ_EX_STATUS = 0x76,
	RQ_STATUS = 0x77,
	RQ_RAID_FLAGS = 0x78,
	RQ_CONFIG_SEQ = 0x7a,
	RQ_SGL = 0x80,
	RQ_TM_FLAGS = 0x80,
	RQ_TM_REPLY = 0x80,
	RQ_SIZE = 256,
};
enum request_function { FN_SCSI_IO = 0x00, FN_TASK = 0x01, FN_PASS_THROUGH = 0xf0, FN_LD_IO = 0xf1 };
enum request_type {
	TYPE_SCSI_IO,
	TYPE_MFA,
	TYPE_NO_LOCK,
	TYPE_HIGH_PRIORITY,
	TYPE_FP_IO = 6,
	TYPE_LD_IO = 7
};
#define CONTROL_WRITE 0x01000000u
#define CONTROL_READ  0x02000000u
#define IO_FAST_PATH  0x4000u /* of RQ_IO_FLAGS */
#define SGE_CHAIN     0x80
#define SGE_LAST      0x40

/* Of a system drive, by its target. */
struct fusion_pd {
	uint16_t handle, seq; /* handle 0: it is given one when somebody asks */
};
#define FUSION_NO_DRIVE	  0xffff /* as a handle */
#define FUSION_PD_TARGETS 255	 /* on the direct way drives have targets from here on [5.8] */

struct fusion {
	uint32_t low; /* of a descriptor whose high half has not come */
	uint64_t requests;
	uint32_t sense_high;
	uint32_t depth;
	unsigned vectors;
	uint64_t queue[FUSION_VECTORS];
	uint32_t producer[FUSION_VECTORS], host[FUSION_VECTORS];
	uint64_t posted[FUSION_VECTORS]; /* ever */
	uint32_t unsent;		 /* vectors whose message waits for the mask to open */
	struct cmd *by_smid[MAX_CMDS + 1];
	struct fusion_pd pd[256];
	uint32_t handles;    /* given ever */
	bool pd_untold;	     /* the map has changed since it was read */
	struct cmd *pd_wait; /* that waits for a change */
};

extern const struct family family_sas3108;

/* --- fusion_hw.c --- */

/* Interrupts as they are now. */
void fusion_look(struct mfi *m);

/* --- fusion_queue.c --- */

void fusion_boot_frame(struct mfi *m, uint32_t val);
void fusion_host_index(struct mfi *m, unsigned vector, uint32_t index);
/* Entries that the host has not taken yet? */
bool fusion_pending(const struct mfi *m);

/* --- fusion_pd.c --- */

/* Firmware starts anew. */
void fusion_pd_forget(struct fusion *fx);
struct unit *fusion_unit_by_handle(struct mfi *m, uint16_t handle);
/* Is what a request for this drive says of it still true? A status. */
uint8_t fusion_pd_check(struct cmd *c, const struct unit *u);

/* --- fusion_io.c --- */

void fusion_exec_io(struct cmd *c);
void fusion_exec_task(struct cmd *c);
struct unit *fusion_unit_of(const struct cmd *c);
uint8_t fusion_sgl_load(struct cmd *c);

#endif
