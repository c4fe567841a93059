/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small AME box of any family behind struct pci_ops: registers, request frames and reply frames, read from the
 * driver's own memory by I/O virtual address. Written from the facts page with offsets of its own, so that it does not
 * share the driver's mistakes. Misbehaves on request.
 */
#ifndef HBAD_TESTS_HBA_AME_MODEL_H
#define HBAD_TESTS_HBA_AME_MODEL_H

#include "hba/model_fn.h"

#define MODEL_BLOCKS  2048
#define MODEL_PENDING 600
#define MODEL_WRITES  8192
#define MODEL_REPLIES 4096

enum model_family { BOX_341, BOX_2208, BOX_3108 };
enum model_tm { TM_WORKS, TM_UNKNOWN, TM_REFUSES, TM_LUN_ONLY, TM_SILENT };

struct model_request {
	uint8_t f[512];
};

struct model_lun {
	bool present;
	uint8_t type;
	unsigned attentions; /* so many commands are answered by UNIT ATTENTION 29h */
	bool wce;
	uint8_t disk; /* in disk[] */
};

struct model {
	struct model_fn fn;
	enum model_family family;

	/* --- set by the test before or between accesses (under the lock once the driver runs) --- */
	unsigned ready_after; /* looks at the doorbell until the answer is there */
	uint32_t ready_bits;  /* the answer; 0: never */
	unsigned boot_reads;  /* looks at the ready mark after a reset until it is 1 */
	unsigned full_reads;  /* looks at the request port that say full */
	bool hold;	      /* SCSI commands wait for model_complete() */
	bool hold_inband;     /* others too */
	bool no_irq;
	bool stuck_doorbell; /* bits cannot be cleared */
	bool ring_stuck;     /* 2208: empty reply frames are not taken out of the ring */
	bool reset_fails, reset_kills;
	bool reset_blocks; /* until it is false */
	bool master_stuck; /* the command register cannot be written: only a reset ends bus mastering */
	bool forget_keeps; /* commands and answers: told to forget, and when it says itself that it has given them up */
	bool reset_keeps_firmware; /* it goes on as if nothing had been, and does not say that it is up */
	unsigned event_at_page;	   /* the units change while this page is read, or right behind it */
	bool event_behind;
	enum model_tm tm;
	uint8_t page_status; /* of get page */
	bool no_sync10, no_sync16, sync_recovered;
	bool forced; /* reads and writes are answered by these, and not executed */
	uint8_t force_reply[96], force_sense[64];
	uint8_t map_value;
	struct model_lun lun[64];
	uint8_t disk[3][MODEL_BLOCKS * 512];

	/* --- observed by the test --- */
	struct {
		uint32_t off, val;
	} write[MODEL_WRITES]; /* of registers */
	unsigned n_write;
	unsigned n_reset, n_abort, n_lun_reset, n_rw, n_cmds, n_page, n_sync10, n_sync16, n_mode;
	uint32_t n_frames; /* reply frames that the box has */
	uint8_t last[512]; /* request */
	uint8_t last_list[128 * 16];

	/* --- private, but to be poked at --- */
	uint32_t mask, outbound, high, pad1, pad2;
	unsigned ready_left;
	bool talking, events_on;
	uint32_t frame[512], ring[16];
	unsigned ring_in, ring_out;
	uint32_t reply[MODEL_REPLIES];
	unsigned reply_in, reply_out;
	struct model_request pending[MODEL_PENDING];
	unsigned n_pending;
};

/* LUNs 0 and 3 are disks, 63 too, 5 is none. */
void model_init(struct model *m, enum model_family family, uint16_t device);

/* All below take the lock. */
unsigned model_pending(struct model *m);
void model_complete(struct model *m, unsigned i);
void model_lose(struct model *m, unsigned i);
/* The identifier of a held command. */
uint32_t model_id(struct model *m, unsigned i);
/* Puts any message into the reply queue, and interrupts. */
void model_say(struct model *m, uint32_t message);
/* Fills the next reply frame, and says so. Its address. */
uint32_t model_say_frame(struct model *m, const uint8_t reply[96]);
void model_event(struct model *m, uint8_t what);
void model_notice(struct model *m, uint32_t bits);
/* The box restarts by itself and forgets everything. */
void model_restart(struct model *m, bool config_too);
/* How often this register was written with this value. */
unsigned model_wrote(struct model *m, uint32_t off, uint32_t val);

#endif
