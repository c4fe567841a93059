/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A SCSI disk on a store, as a good SAS drive behaves (SPC-4, SBC-3). */
#ifndef HBAD_EMU_SCSI_H
#define HBAD_EMU_SCSI_H

#include "base/endian.h"
#include "store.h"

#define SCSI_SENSE_MAX	    96
#define SCSI_WRITE_SAME_MAX (UINT32_C(1) << 22) /* blocks, also of UNMAP; told in VPD B0h */

enum scsi_status {
	SCSI_GOOD = 0x00,
	SCSI_CHECK_CONDITION = 0x02,
	SCSI_BUSY = 0x08,
	SCSI_RESERVATION_CONFLICT = 0x18
};
enum sense_key {
	KEY_NONE = 0x0,
	KEY_RECOVERED = 0x1,
	KEY_NOT_READY = 0x2,
	KEY_MEDIUM = 0x3,
	KEY_HARDWARE = 0x4,
	KEY_ILLEGAL = 0x5,
	KEY_UNIT_ATTENTION = 0x6,
	KEY_DATA_PROTECT = 0x7,
	KEY_ABORTED = 0xb,
	KEY_MISCOMPARE = 0xe,
};
/* additional sense code << 8 | qualifier */
enum asc {
	ASC_NONE = 0x0000,
	ASC_NOT_READY_BECOMING = 0x0401,
	ASC_NOT_READY_INITIALIZE = 0x0402,
	ASC_WRITE_ERROR = 0x0c00,
	ASC_READ_ERROR = 0x1100,
	ASC_PARAMETER_LENGTH = 0x1a00,
	ASC_MISCOMPARE = 0x1d00,
	ASC_INVALID_OPCODE = 0x2000,
	ASC_LBA_OUT_OF_RANGE = 0x2100,
	ASC_INVALID_FIELD_CDB = 0x2400,
	ASC_INVALID_FIELD_PARAMETER = 0x2600,
	ASC_WRITE_PROTECTED = 0x2700,
	ASC_POWER_ON = 0x2900,
	ASC_CAPACITY_CHANGED = 0x2a09,
	ASC_TARGET_FAILURE = 0x4400,
};

struct scsi_disk {
	struct store *store; /* the top of its stack */
	bool logical;	     /* an LD: identity and command set of the controller's firmware */
	bool read_only;
	char vendor[9], product[17], revision[5], serial[21];
	uint64_t naa, naa_low; /* low: of logical drives */
	bool stopped;
	uint32_t start_ms;
	uint16_t attention; /* pending unit attention, ASC_x; 0: none */
	uint8_t temperature;
	bool failing; /* informational exception: failure prediction */
	struct {
		bool wce, rcd, dra;
	} saved;
	void *owner;
	/* Flush and cache switches go to the owner: how far they reach depends on who sits above. */
	int (*sync)(struct scsi_disk *d);
	/* 1: not implemented, 0, -errno */
	int (*set_wce)(struct scsi_disk *d, bool on);
	bool (*get_wce)(const struct scsi_disk *d);
	bool sync_rejected;	       /* SYNCHRONIZE CACHE is an unknown opcode */
	bool honours_fua, says_dpofua; /* says so in MODE SENSE, true or not */
	uint64_t reads, writes, syncs;
};

struct scsi_cmd {
	const uint8_t *cdb; /* at least 16 bytes, zero padded */
	uint8_t cdb_len;
	uint8_t *data; /* out: all of it; in: room, zeroed */
	uint32_t data_len;
	/* results */
	uint8_t status;
	uint8_t sense[SCSI_SENSE_MAX];
	uint8_t sense_len;
	uint32_t moved;	   /* data-in bytes that are valid */
	uint32_t delay_ms; /* the answer comes so much later */
};

/* Executes at once. */
void scsi_exec(struct scsi_disk *d, struct scsi_cmd *c);
/* Reads and writes of controllers that do not use CDBs: checks the range, moves blocks. Sets status and sense. */
void scsi_rw(struct scsi_disk *d, struct scsi_cmd *c, bool write, uint64_t lba, uint32_t blocks, bool fua);

/* --- scsi.c, for the other scsi_*.c --- */

void scsi_sense(struct scsi_cmd *c, enum sense_key key, uint16_t asc);
static inline void scsi_invalid_field(struct scsi_cmd *c)
{
	scsi_sense(c, KEY_ILLEGAL, ASC_INVALID_FIELD_CDB);
}
/* Data-in of len bytes, cut at the allocation length and at what the transport moves. */
void scsi_data_in(struct scsi_cmd *c, const void *data, uint32_t len, uint32_t allocation);

void scsi_inquiry(struct scsi_disk *d, struct scsi_cmd *c);
void scsi_read_capacity10(struct scsi_disk *d, struct scsi_cmd *c);
void scsi_service_in16(struct scsi_disk *d, struct scsi_cmd *c);
void scsi_mode_sense(struct scsi_disk *d, struct scsi_cmd *c);
void scsi_mode_select(struct scsi_disk *d, struct scsi_cmd *c);
void scsi_log_sense(struct scsi_disk *d, struct scsi_cmd *c);
void scsi_request_sense(struct scsi_disk *d, struct scsi_cmd *c);
void scsi_start_stop(struct scsi_disk *d, struct scsi_cmd *c);
void scsi_report_luns(struct scsi_disk *d, struct scsi_cmd *c);
void scsi_read_write(struct scsi_disk *d, struct scsi_cmd *c);
void scsi_verify(struct scsi_disk *d, struct scsi_cmd *c);
void scsi_sync_cache(struct scsi_disk *d, struct scsi_cmd *c);
void scsi_write_same(struct scsi_disk *d, struct scsi_cmd *c);
void scsi_unmap(struct scsi_disk *d, struct scsi_cmd *c);

#endif
