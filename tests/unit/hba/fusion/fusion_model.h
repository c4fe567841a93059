/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small Fusion controller behind struct pci_ops. Written from public knowledge and with its own offsets, so that it
 * does not share the driver's mistakes. Misbehaves on request.
 */
#ifndef HBAD_TESTS_HBA_FUSION_MODEL_H
#define HBAD_TESTS_HBA_FUSION_MODEL_H

#include "hba/model_fn.h"

enum model_gen { THUNDERBOLT, INVADER, VENTURA, AERO };

#define MODEL_UNITS   3 /* ld0, ld5, pd8 */
#define MODEL_BLOCKS  8192
#define MODEL_PENDING 1024
#define MODEL_QUEUES  16

struct model_request {
	uint16_t smid;
	uint8_t queue;
};

struct model {
	struct model_fn fn; /* first; see rig_base.h */
	enum model_gen gen;

	/* --- set by the test before or between accesses (under the lock once the driver runs) --- */
	uint32_t fw_cmds, ext_cmds, pad1;
	uint32_t boot[12]; /* states that it walks through by itself, one for each read of the state word */
	unsigned boot_n;
	uint32_t fault_bits;  /* low bits of the state word while in FAULT */
	unsigned resets_fail; /* so many chip resets end in FAULT */
	bool chip_dead;	      /* the reset bit stays */
	unsigned busy_reads;  /* so many reads of the doorbell say "busy" */
	uint8_t init_status;
	unsigned init_faults; /* so many INITs kill firmware */
	bool no_whole64;      /* its transport makes two writes of one */
	bool init_silent, no_msix;
	unsigned stray;		/* replies come in the queue so many further than they should */
	uint16_t silent_queues; /* a bit for each: no interrupt tells of its replies */
	bool hold;		/* requests wait for model_complete() */
	bool hold_flush;	/* the flush DCMD too */
	bool hold_tasks;
	uint8_t abort_response, reset_response;
	bool abort_kills, reset_kills; /* the commands come back, failed */
	bool check_seq;		       /* refuses commands with a sequence number */
	bool no_ld_sync, pd_map, pd_no_tm;
	uint16_t pd_handle, pd_seq;
	uint8_t pd_interface, pd_info_status;
	uint32_t pd_map_count; /* as told, if not 0 */
	uint8_t dcmd_status;   /* of all DCMDs but the flush */
	uint8_t flush_status, event_info_status, event_status, stop_status;
	bool silent_dcmd, silent_lists, many_lds, no_ocr;
	bool abort_too_late; /* the wait for events ends with the recorded one instead */
	bool abort_silent;   /* it is not given back, nor is that said */
	uint32_t ld_count;   /* as told, if not 0 */
	uint8_t ld_state[2];
	bool pd_gone;
	uint16_t info_sge;
	uint8_t io_status, io_scsi_status; /* forced on SCSI requests unless 0 */
	uint8_t io_sense[32];
	uint32_t io_moved; /* told with status 2D, if not 0 */

	/* --- observed by the test --- */
	unsigned n_init, n_soft_reset, n_chip_reset, n_flush, n_shutdown, n_abort, n_unit_reset,
		n_sync[MODEL_UNITS];
	unsigned n_flush_polled; /* of n_flush: the one behind everything at a shutdown or a hand-over */
	unsigned n_mfi_abort, n_event_wait, n_ld_list, n_pd_list, n_fast_path, n_atomic;
	unsigned n_halves; /* descriptors that came as two writes */
	unsigned n_posted[MODEL_QUEUES];
	uint8_t last_request[256], last_task[256], ioc_init[72], init_frame[64];
	uint32_t event_from, event_filter;
	uint64_t last_desc;
	uint32_t most_pending;
	uint8_t disk[MODEL_UNITS][MODEL_BLOCKS * 512];

	/* --- private --- */
	uint32_t state, mask, status, diag, low;
	unsigned boot_at, key_at;
	bool running;
	uint64_t requests, replies;
	uint32_t depth, vectors, producer[MODEL_QUEUES], host[MODEL_QUEUES];
	bool at_firmware[65536];
	struct model_request pending[MODEL_PENDING];
	unsigned n_pending;
	struct model_request flush, event, task[8];
	unsigned n_tasks;
	uint32_t next_event;
	uint8_t event_data[256];
};

void model_init(struct model *m, enum model_gen gen);

/* All below take the lock, as do model_pending() and model_complete() of model_fn.h. */
void model_set_state(struct model *m, uint32_t state);
uint16_t model_smid(struct model *m, unsigned i); /* of the i-th held request */
void model_lose(struct model *m, unsigned i);	  /* executes it not, and tells nobody */
/* A descriptor out of the blue. */
void model_post(struct model *m, unsigned queue, uint64_t descriptor);
bool model_flush_waits(struct model *m);
void model_finish_flush(struct model *m);
bool model_task_waits(struct model *m);
/* The first of them: what it takes along ends, but it is not answered yet. */
void model_begin_task(struct model *m);
void model_finish_task(struct model *m); /* the first, if there is one */
/* An event happens: the wait is answered, if it is for this one. */
void model_event(struct model *m, uint32_t code, const char *text);
/* One with an argument: 2 a logical drive, 10 a drive, which both begin with their id. */
void model_event_args(struct model *m, uint32_t code, uint8_t arg_type, uint16_t id);
/* The same without anybody's telling: found by the next wait. */
void model_event_missed(struct model *m, uint32_t code);
void model_event_args_missed(struct model *m, uint32_t code, uint8_t arg_type, uint16_t id);
/* The wait ends without an event; the next one has this number. */
void model_end_wait(struct model *m, uint8_t status, uint32_t next);

#endif
