/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon as an object graph: one controller, its LUNs, the sockets, and the threads that run them. */
#ifndef HBAD_HBAD_H
#define HBAD_HBAD_H

#include <glib.h>
#include <pthread.h>
#include "control/config.h"
#include "control/handoff.h"
#include "control/luns.h"
#include "control/server.h"
#include "control/worker.h"
#include "hba/hba.h"

#define HBAD_TICK_MS 200

/* How long things may take. hbad_init() sets what the comments say. */
struct hbad_times {
	unsigned boot_ready_ms; /* 20 s: READY=1 at the latest, though the controller may still boot */
	unsigned drain_ms;	/* 20 s: all rings together */
	unsigned hba_drain_ms;	/* 10 s */
	unsigned stop_boot_ms;	/* 5 s: a stop waits so long for a controller that is being started */
	unsigned stop_ms;	/* 300 s: everything of a stop; firmware may take 180 s to flush its cache */
};

enum hbad_phase { HBAD_BOOT, HBAD_RUN, HBAD_GIVEN_UP, HBAD_STOP };

struct hbad {
	const char *name, *runtime_dir;
	const char *state_dir; /* NULL: nothing is remembered */
	struct config config;
	struct hbad_times times;
	uid_t peer_uid; /* of tcmu-runner: 0 */
	uint64_t started_ns;
	enum hbad_phase phase;
	int exit_code;
	GMainLoop *main;
	int lock_fd, handoff_fd, control_fd, signal_fd;

	struct loop *loop; /* of the I/O thread */
	pthread_t io_thread;

	struct worker *worker;
	struct scsi_host *host;
	struct hba *hba; /* while it is up; the main thread's */
	bool booting;	 /* boot.c's job is not done */
	bool rescanning; /* rescan.c's job is not done */
	unsigned rescans;
	struct err rescan_problem; /* of the last one */
	bool stop_waits;	   /* ... and the stop waits for it */
	bool removed;
	struct err problem;
	char product[sizeof(((struct hba_info *)0)->product)];
	unsigned n_units;
	char status[256]; /* what systemd was told last */

	struct luns luns;
	struct handoff_service *handoff;
	struct server *server;
};

void hbad_init(struct hbad *d, const char *name, const char *runtime_dir);
/* d->config is set. Takes the lock, makes the sockets; one thread only up to here. */
int hbad_prepare(struct hbad *d, struct err *e);
/* Runs until the end; returns the exit code. hbad_prepare() has succeeded. */
int hbad_run(struct hbad *d);

/* boot.c: brings the controller up on the worker thread, and gives it up when it is gone. */
void hbad_boot(struct hbad *d);
void hbad_give_up(struct hbad *d, bool removed);
/* rescan.c: looks at the units anew on the worker thread. One at a time. */
int hbad_rescan(struct hbad *d, struct err *e);
/* stop.c. failed: the controller could not be started. */
void hbad_begin_stop(struct hbad *d);
void hbad_fail(struct hbad *d);
/* The controller's start ended, well or not, while hbad stops. */
void hbad_stop_after_boot(struct hbad *d);
/* Tells systemd when it changed. */
void hbad_status(struct hbad *d, const char *fmt, ...) hb_printf(2, 3);

#endif
