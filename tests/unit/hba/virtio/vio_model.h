/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small virtio SCSI host behind struct pci_ops: registers without a BAR mapping, rings and buffers read from the
 * driver's own memory by I/O virtual address. Written from the OASIS specification with offsets of its own, so that it
 * does not share the driver's mistakes. Misbehaves on request.
 *
 * Register accesses come from the driver's threads, everything else from the test: one mutex covers both.
 */
#ifndef HBAD_TESTS_HBA_VIO_MODEL_H
#define HBAD_TESTS_HBA_VIO_MODEL_H

#include "hba/model_fn.h"

#define MODEL_UNITS   4
#define MODEL_BLOCKS  8192
#define MODEL_PENDING 2048
#define MODEL_QUEUES  10 /* request queues from the third one on */
#define MODEL_CHAIN   256

enum model_tmf { TMF_WORKS, TMF_LIES, TMF_REFUSES, TMF_SILENT };
enum model_sync { SYNC_GOOD, SYNC_UNKNOWN, SYNC_FAILS };

struct model_unit {
	uint8_t target;
	uint16_t lun;
	bool present;
	uint8_t type;
	uint8_t ua, ua_q; /* ASC and ASCQ of a pending unit attention, ASC 0: none */
	bool wce, dpofua;
	enum model_sync sync;
	unsigned n_sync;
	uint8_t disk[MODEL_BLOCKS * 512];
};

struct model_queue {
	uint16_t max; /* told after a reset; 0: there is none */
	uint16_t size, vector, enable;
	uint32_t addr[6]; /* desc, driver, device: low and high */
	uint16_t seen, used;
};

struct model_seg {
	uint64_t addr;
	uint32_t len;
	bool write;
};

struct model_chain {
	unsigned queue;
	uint16_t head;
	unsigned n;
	struct model_seg seg[MODEL_CHAIN];
};

struct model {
	struct model_fn fn; /* first; see rig_base.h */

	/* --- set by the test before or between accesses (under the lock once the driver runs) --- */
	uint64_t offered;     /* feature bits */
	bool refuse_features; /* FEATURES_OK does not stick */
	uint16_t vectors;     /* no others are taken */
	uint16_t num_queues;
	uint8_t config[36]; /* device configuration after a reset */
	struct model_queue queue[MODEL_QUEUES];
	struct model_unit unit[MODEL_UNITS];
	unsigned restless;   /* so often the configuration generation changes while it is read */
	unsigned reset_slow; /* the status reads its old value so often after 0 was written */
	unsigned fails_anew; /* so many resets end with the device asking for another one */
	bool reset_dead;
	bool hold;		/* commands wait for model_complete() */
	bool no_irq;		/* interrupts are lost */
	unsigned silent_queues; /* a bit for each queue: so are its */
	bool no_notify;		/* the used ring says that notifications are not wanted */
	bool silent;		/* requests are swallowed */
	bool hold_tmf;		/* task management waits for model_finish_tmf() */
	enum model_tmf tmf;
	bool no_report_luns; /* CHECK CONDITION 5/20/00 */
	bool forced;	     /* reads, writes and TEST UNIT READY are answered with: */
	uint8_t force_response, force_status;
	uint32_t force_residual, force_sense_len;
	uint8_t force_sense[96];
	bool unwritten; /* used without a response having been written */
	uint32_t used_len_extra;

	/* --- observed by the test --- */
	uint64_t accepted;
	unsigned n_reset, n_abort, n_lun_reset, n_rw, n_notify, n_cmds;
	unsigned n_used[MODEL_QUEUES]; /* answers */
	uint8_t last_head[64];
	struct model_chain last_chain;

	/* --- private --- */
	uint16_t queue_select, config_vector;
	uint8_t status, isr, generation;
	uint32_t dfs, gfs;
	unsigned slow_left;
	uint8_t live[36];
	uint16_t pending[MODEL_PENDING]; /* heads, in the order of arrival */
	uint8_t pending_queue[MODEL_PENDING];
	unsigned n_pending;
	uint16_t held_tmf[8];
	unsigned n_held_tmf;
	uint64_t pending_id[MODEL_PENDING];
	uint8_t pending_lun[MODEL_PENDING][8];
};

/* One target 0 with LUNs 0 and 1, target 3 with LUN 300, target 5 with LUN 0, which is no disk. */
void model_init(struct model *m);
/* So many request queues. */
void model_request_queues(struct model *m, unsigned n);
/* A capability at at; returns where the next one may be. */
unsigned model_cap(struct model *m, unsigned at, uint8_t next, uint8_t type, uint8_t bar, uint32_t offset,
	uint32_t length, uint32_t multiplier);
void model_config32(struct model *m, unsigned off, uint32_t v);

/* All below take the lock, as do model_pending() and model_complete() of model_fn.h. */
void model_lose(struct model *m, unsigned i);
uint16_t model_head(struct model *m, unsigned i);
unsigned model_queue_of(struct model *m, unsigned i);
/* Executes the oldest held one; false: there is none. */
bool model_finish_tmf(struct model *m);
/* Puts any element into the used ring of a queue, and interrupts. */
void model_post(struct model *m, unsigned queue, uint32_t id, uint32_t len);
/* Moves the used index by any amount. */
void model_skip(struct model *m, unsigned queue, uint16_t by);
void model_needs_reset(struct model *m);
/* False: the driver has no buffer there. */
bool model_event(struct model *m, uint32_t event, uint8_t target, uint16_t lun, uint32_t reason);

#endif
