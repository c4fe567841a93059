/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hbad's own driver on an emulated controller, and a load that knows what every block may hold.
 *
 * Each block is stamped with its place and a generation that grows with every write. For each block the load knows
 * the generation that a GOOD flush covers (durable), the newest acknowledged one, and the newest that was sent. A
 * read while all is well must return the newest acknowledged one; after a power cut anything from durable to sent.
 */
#ifndef HBAD_TESTS_INTEGRATION_LOAD_H
#define HBAD_TESTS_INTEGRATION_LOAD_H

#include <pthread.h>

#include "emu/rng.h"
#include "hba/core.h"
#include "hba/megaraid/fusion.h"
#include "proc.h"

#define LOAD_UNITS  2
#define LOAD_BLOCKS 4096 /* of each unit */
#define LOAD_JOBS   256
#define LOAD_MOST   64 /* blocks of one request */

struct load;

struct load_job {
	struct load *load;
	struct hba_req *req;
	struct iovec iov;
	uint8_t *buf;
	unsigned unit;
	enum hba_req_kind kind;
	bool write, busy;
	uint32_t lba, n;
	uint32_t *covered; /* of a flush: what was acknowledged when it was sent */
};

struct load_block {
	uint32_t durable, acked, sent;
	bool busy;
};

struct load {
	struct emu_proc *emu;
	struct loop *loop;
	pthread_t io;
	struct hba *h;
	struct mfi_iop iop;
	struct fusion_gen gen;
	struct mfi_times times;
	const void *match_data; /* the driver's table with short times; MFI's unless a test says otherwise */
	struct hba_match match;
	struct rng rng;
	struct load_job job[LOAD_JOBS];
	struct load_block block[LOAD_UNITS][LOAD_BLOCKS];
	/* of a run; the I/O thread's */
	uint32_t jobs, timeout_ms, flush_one_in;
	uint64_t left;
	/* for load_begin() */
	uint64_t next_left;
	uint32_t next_jobs;
	/* atomic */
	unsigned active;
	uint64_t reads, writes, flushes, gone, bad_results, wrong_blocks;
};

struct load *load_new(struct emu_proc *p, uint64_t seed);
/* The MegaRAID driver's table for this model of the emulator. */
void load_megaraid(struct load *l, const char *model);
void load_free(struct load *l);
/* A controller on a device that is open: to be attached and started. */
void load_on(struct load *l, struct pci_dev *pci);
/* Opens, attaches, starts. 0 or -errno with the sentence in e. */
int load_attach(struct load *l, struct err *e);
void load_up(struct load *l);	/* ... that must succeed */
void load_down(struct load *l); /* stops and closes; orderly where the controller still runs */

/* Sends total requests, jobs at once; returns at once. */
void load_begin(struct load *l, uint64_t total, uint32_t jobs);
/* Waits until n more requests have come back. */
void load_progress(struct load *l, uint64_t n);
/* Nothing new is sent any more, and all that was has come back. */
void load_stop(struct load *l);
/* All of total have come back. Fails the test after a minute in which none did. */
void load_wait(struct load *l);
/* A flush of each unit that must be GOOD. */
void load_flush(struct load *l);
/* Reads every block, which must hold its newest acknowledged generation. */
void load_verify(struct load *l);
/* After a cut: every block must be one of its possible ones, which is its only one from then on. Returns how many
 * acknowledged writes are lost. */
unsigned load_verify_cut(struct load *l);

#endif
