/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small MFI controller behind struct pci_ops: registers without a BAR mapping, frames read from the driver's own
 * memory by I/O virtual address. Written from public knowledge and with its own offsets, so that it does not share
 * the driver's mistakes. Misbehaves on request.
 *
 * Register accesses come from the driver's threads, everything else from the test: one mutex covers both.
 */
#ifndef HBAD_TESTS_HBA_MFI_MODEL_H
#define HBAD_TESTS_HBA_MFI_MODEL_H

#include "hba/model_fn.h"

enum model_gen { GEN1, GEN2, SKINNY };

#define MODEL_LDS	   3
#define MODEL_LD_BLOCKS	   8192
#define MODEL_PENDING	   512
#define MODEL_SYNC_GOOD	   0
#define MODEL_SYNC_UNKNOWN 1 /* CHECK CONDITION 5/20/00 */
#define MODEL_SYNC_FAILS   2 /* CHECK CONDITION 4/44/00 */
#define MODEL_PDS	   8
#define MODEL_SAYS	   8
#define MODEL_SILENT	   UINT32_MAX

struct model {
	struct model_fn fn; /* first; see rig_base.h */
	enum model_gen gen;

	/* --- set by the test before or between accesses (under the lock once the driver runs) --- */
	uint32_t fw_cmds, fw_sge;
	uint32_t boot[8]; /* states that it walks through by itself, one for each read of the state word */
	unsigned boot_n;
	bool stuck;		 /* doorbells change nothing */
	bool adapter_dead;	 /* the adapter reset never ends */
	unsigned adapter_faults; /* so many adapter resets leave firmware in FAULT for good */
	uint8_t init_status;
	bool init_silent;
	bool real_dont_post; /* DONT_POST is honoured, as real firmware does; QEMU does not */
	bool hold;	     /* data and SCSI commands wait for model_complete() */
	bool hold_flush;     /* the flush DCMD waits for model_finish_flush() */
	bool abort_lies;     /* ABORT is answered with OK and does nothing */
	int sync_mode;	     /* MODEL_SYNC_* */
	uint8_t flush_status, shutdown_status;
	uint8_t ctrl_info_status, ctrl_info_old; /* old: refuses more than 2048 bytes */
	uint8_t ld_list_status, ld_info_status, pd_list_status;
	uint8_t silent_dcmd; /* 1: DCMDs are never answered */
	uint32_t silent_op;  /* this one neither */
	uint32_t ld_count;   /* as told in the list */
	uint8_t ld_state[MODEL_LDS];
	uint32_t ld_blocks;
	uint8_t event_info_status, event_status;
	bool info_changes_ld; /* the first logical drive goes offline when the log's end is asked for */
	bool keeps_wait; /* ABORT of the wait for events is answered with OK and does nothing, as in QEMU */
	bool wait_abort_silent, wait_abort_late; /* late: the wait ends with the recorded event instead */
	uint16_t pd_ids[MODEL_PDS];
	uint8_t pd_types[MODEL_PDS];
	/* What each drive answers to its SYNCHRONIZE CACHEs, one after the other: response code (0: 70h), sense key, ASC, ASCQ;
	 * or 0: what sync_mode says; or MODEL_SILENT: nothing, ever. */
	uint32_t pd_says[MODEL_PDS][MODEL_SAYS];
	uint32_t pd_count;
	uint32_t on_off; /* controller properties */
	uint8_t cache_policy, disk_cache_policy;
	uint32_t strip_min, max_strips, max_sectors;
	uint8_t io_status, io_scsi_status; /* forced on data and SCSI commands unless 0 */
	uint8_t io_sense[32];
	uint32_t io_short; /* SCSI data-in: only so many bytes are written; 0: all */

	/* --- observed by the test --- */
	unsigned n_init, n_soft_reset, n_adapter_reset, n_flush, n_shutdown, n_abort, n_sync[MODEL_LDS];
	unsigned n_pd_sync[MODEL_PDS];
	unsigned n_ld_rw, n_scsi;
	unsigned n_event_info, n_event_wait, n_wait_abort, n_ld_list, n_pd_list;
	uint32_t event_from, event_filter;
	uint8_t last_frame[256]; /* that is no DCMD: the driver has reasons of its own for those */
	uint32_t last_fire;
	uint8_t ld[MODEL_LDS][MODEL_LD_BLOCKS * 512];

	/* --- private --- */
	uint32_t state, mask, status, diag, fire_high;
	unsigned boot_at, key_at;
	bool queue_active, closed;
	uint64_t ring, producer_at, consumer_at;
	uint32_t head;
	uint64_t pending[MODEL_PENDING]; /* frame addresses, in the order of arrival */
	unsigned n_pending;
	uint64_t flush_frame, event_frame;
	uint32_t next_event;
	uint8_t event_data[256];
};

void model_init(struct model *m, enum model_gen gen);
void model_set_state(struct model *m, uint32_t state);

/* All below take the lock, as do model_pending() and model_complete() of model_fn.h. */
/* Executes it, but tells nobody. */
void model_lose(struct model *m, unsigned i);
uint32_t model_context(struct model *m, unsigned i); /* of the i-th held command */
bool model_flush_waits(struct model *m);
void model_finish_flush(struct model *m);
/* Puts any context into the ring and interrupts. */
void model_post(struct model *m, uint32_t context);
/* Sets the producer index to any value and interrupts. */
void model_set_producer(struct model *m, uint32_t value);
void model_interrupt(struct model *m);
/* An event happens: the wait is answered, if it is for this one. Of a drive it says its id. */
void model_event(struct model *m, uint32_t code, const char *text);
void model_drive_event(struct model *m, uint32_t code, uint16_t id);
/* The same without anybody's telling: found by the next wait. */
void model_event_missed(struct model *m, uint32_t code);
/* The wait ends without an event; the next one has this number. */
void model_end_wait(struct model *m, uint8_t status, uint32_t next);

#endif
