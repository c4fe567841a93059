/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A soak of hbad's layers (front, scsi, hba, dma, pci) in this process, on a controller that hba-emu emulates in
 * another one. Threads: this one's main thread is hbad's control thread and makes trouble (events.c), the I/O thread
 * is hbad's (host.c), and each LUN has an initiator's thread which sends and judges (initiator.c, disk.c) through a
 * model of the kernel's side of a TCMU ring.
 */
#ifndef HBAD_TESTS_SOAK_H
#define HBAD_TESTS_SOAK_H

#include <pthread.h>

#include "disk.h"
#include "emulator.h"
#include "host.h"
#include "initiator.h"
#include "leaks.h"

/* Nothing takes longer than this, however slow the machine: what does is stuck. */
#define SOAK_STUCK_MS 180000

enum soak_kind {
	SOAK_CUT,	/* power cuts with volatile caches */
	SOAK_RESET,	/* firmware faults, each of which costs a controller reset */
	SOAK_ABORT,	/* ABORT TASK racing with completions */
	SOAK_LUN_RESET, /* LUN RESET racing with completions */
	SOAK_FAULT,	/* replies dropped, delayed, doubled, under wrong names, sense */
	SOAK_LOST_IRQ,	/* lost interrupts */
	SOAK_SLOW,	/* START STOP UNIT that takes its time */
	SOAK_STORM,	/* controller events and notices */
	SOAK_REMOVAL,	/* the device vanishes, and returns */
	SOAK_HANDOVER,	/* a ring changes hands: drained, or taken away from commands in flight */
	N_SOAK_KINDS
};

struct soak_options {
	const char *model, *emulator;
	const char *ld_sync; /* as in host_model.ld_sync; NULL: by lot */
	uint64_t seed;
	unsigned minutes;
	unsigned count[N_SOAK_KINDS];
	unsigned slow_ms, limit_ms, depth, lanes;
	unsigned slow_percent; /* 0: how much slower neighbours get is not judged */
	enum host_sabotage sabotage;
	bool verbose;
};

struct soak {
	struct soak_options opt;
	struct emulator emu;
	struct host host;
	struct initiator lun[SOAK_MAX_LUNS];
	unsigned n_luns;
	struct rng rng; /* of the event that is under way */
	unsigned done[N_SOAK_KINDS], n_events;
	uint64_t started_ns, lost_unflushed, restarts;
	struct leaks leaks;
	bool leaks_known;
	unsigned passes;   /* that are waited for */
	uint64_t dma_maps; /* of the first attach; 0: not known yet */
	/* of the host, over all its lives */
	struct hba_stats sum;
};

/* --- findings.c: what is wrong, any thread --- */

/* Notes it; the first ones are printed. */
void soak_wrong(const char *fmt, ...) hb_printf(1, 2);
unsigned soak_wrongs(void);
/* hbad's and the emulator's words go to a file from then on, which is shown when something is wrong. */
int findings_begin(bool verbose);
/* keep: the file stays when something was wrong. */
void findings_end(bool keep);

/* --- options.c --- */

/* 0, or -EINVAL after words about it. */
int options_parse(int argc, char **argv, struct soak_options *o);

/* --- report.c --- */

/* A line now and then. */
void report_progress(struct soak *s);
void report(struct soak *s, int argc, char **argv);

/* --- events.c --- */

struct soak_event {
	const char *option, *what; /* "power-cuts", "power cuts" */
	unsigned weight;	   /* among the others when only a time is given */
	void (*run)(struct soak *s);
	const char *help;
};
extern const struct soak_event soak_events[N_SOAK_KINDS];

/* --- life.c: the controller and the rings, on the main thread --- */

/* 0, or -1 after soak_wrong(). */
int soak_up(struct soak *s);
/* The host goes, orderly or because the controller is gone already; LUNs say why. */
void soak_down(struct soak *s, enum scsi_gate why);
/* The controller is back: LUNs answer again. */
int soak_return(struct soak *s);
/* Load on; off and all answered; all blocks read and judged; all flushed. */
void soak_load(struct soak *s);
void soak_halt(struct soak *s);
void soak_verify(struct soak *s, enum disk_past past);
void soak_flush(struct soak *s);
/* Nothing new is sent; and what was sent is answered, but where it waits for the controller's return. */
void soak_stop_sending(struct soak *s);
void soak_errors(struct soak *s);
/* The load may read what a power cut left. */
void soak_shady(struct soak *s, bool shady);
/* Each LUN has answered n more commands. */
void soak_progress(struct soak *s, unsigned n);
void soak_tolerate(struct soak *s, bool errors);
/* Waits until fn is true; else what never happened is wrong. Gives up at the first thing that is wrong. */
bool soak_wait(struct soak *s, bool (*fn)(struct soak *s, uint64_t arg), uint64_t arg, const char *what);
bool soak_is_running(struct soak *s, uint64_t resets);
void soak_set_up(struct soak *s);
void soak_tear_down(struct soak *s);
/* The ring of one LUN changes hands: in order, or by force. */
void soak_hand_over(struct soak *s, struct initiator *i, bool by_force);
/* What must be the same each time: with the controller closed, and while it runs and nothing is under way. */
void soak_count_leaks(struct soak *s);
void soak_count_maps(struct soak *s);

#endif
