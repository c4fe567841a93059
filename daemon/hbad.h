/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon as an object graph: one controller, its LUNs, the sockets, and the threads that run them. */
#ifndef HBAD_HBAD_H
#define HBAD_HBAD_H

#include <glib.h>
#include <pthread.h>
#include "control/config.h"
#include "control/events.h"
#include "control/handoff.h"
#include "control/io.h"
#include "control/kept.h"
#include "control/luns.h"
#include "control/server.h"
#include "control/worker.h"
#include "hba/hba.h"
#include "pci/selfuse.h"

#define HBAD_TICK_MS 200

/* How long things may take. hbad_init() sets what the comments say. */
struct hbad_times {
	unsigned boot_ready_ms; /* 20 s: READY=1 at the latest, though the controller may still boot */
	unsigned drain_ms;	/* 20 s: all rings together */
	unsigned hba_drain_ms;	/* 10 s */
	unsigned stop_boot_ms;	/* 5 s: a stop waits so long for a controller that is being started */
	unsigned
		retry_min_ms; /* 500 ms: from the loss of the controller to the first look for it, then doubled ... */
	unsigned retry_max_ms; /* ... up to 10 s */
	unsigned stop_ms;      /* 300 s: everything of a stop, of which HBA_STOP_MS are the controller's */
};

enum hbad_phase { HBAD_BOOT, HBAD_RUN, HBAD_AWAY, HBAD_STOP };

/* A unit as it was when it was looked at last. */
struct seen {
	char name[16], naa[40]; /* naa empty: it never told */
	uint64_t blocks;
	uint32_t block_size;
	enum hba_unit_state state;
	bool missing;
};

struct watch {
	bool known; /* the units were looked at before */
	unsigned n;
	struct seen seen[HBA_MAX_UNITS];
	uint32_t news, untold; /* of hba_unit_news() and hba_events_untold() */
	enum hba_state state;
	uint64_t looked_ns;
};

/* What is known of the return of a controller that is away (returned.c). */
struct returns {
	struct uevents *uevents; /* NULL: nobody tells */
	guint source;
	uint16_t vendor, device; /* of the HBA that is served: nothing else is asked for */
	/* What is in its place (pci_place), and the last one there that nobody is to be asked for. */
	uint64_t instance, settled;
	unsigned asked;		   /* so often, for this instance */
	uint64_t ask_ns, pause_ns; /* when root is to be asked again, and how long after that once more */
};

struct hbad {
	const char *name, *runtime_dir;
	const char *state_dir;	/* NULL: nothing is remembered */
	const char *sysfs_root; /* NULL: the machine's */
	struct config config;
	const char *
		config_path; /* read again for the device's address while that is gone; NULL: it never moves */
	struct hbad_times times;
	uid_t peer_uid; /* of tcmu-runner: 0 */
	uint64_t started_ns;
	enum hbad_phase phase;
	int exit_code;
	GMainLoop *main;
	int lock_fd, handoff_fd, control_fd, signal_fd;

	struct io io;

	struct worker *worker;
	struct scsi_host *host;
	struct hba *hba;	   /* while it is up; the main thread's */
	bool booting;		   /* boot.c's job is not done */
	bool rescanning;	   /* rescan.c's job is not done */
	bool rescan_quiet;	   /* ... and nobody asked for it */
	bool rescan_asked;	   /* by somebody, while that one went on */
	unsigned rescans;	   /* that were asked for */
	struct err rescan_problem; /* of the last one */
	bool stop_waits;	   /* ... and the stop waits for it */
	bool upgrading;		   /* ... and another hbad is going to come (upgrade.c) */
	bool hand_over;		   /* atomic: ... with the controller, if that works out */
	bool handed_over;	   /* ... which it has */
	bool drained;	   /* nothing of any LUN is at the controller: the set-up thread's from then on */
	bool unflushed;	   /* by the stop, as far as it can tell */
	struct kept *kept; /* what the hbad before has left, until the first start takes it */
	bool taken_over;   /* ... with success */
	char start_note[sizeof(
		((struct err *)0)->text)]; /* why the controller was started in spite of an upgrade */
	bool removed;			   /* HBAD_AWAY: unplugged, else failed */
	uint64_t lost_ns;		   /* HBAD_AWAY: since when */
	guint retry;			   /* timer of the next look for it; 0: none */
	unsigned retry_ms;		   /* how long that waits */
	struct returns returns;
	struct err problem;
	/* Of the controller whose units are served: once known, no other takes its place. */
	char product[sizeof(((struct hba_info *)0)->product)];
	char serial[sizeof(((struct hba_info *)0)->serial)];
	unsigned n_units;
	unsigned n_lanes; /* of the host, once it was attached; 0: not yet */
	char status[256]; /* what systemd was told last */

	/* selfcheck.c: what was told, and when it looked last */
	char self_told[SELFUSE_MAX][sizeof(((struct selfuse *)0)->what)];
	unsigned n_self_told, self_checked_starts;
	uint64_t self_checked_ns;
	bool self_checking;

	struct events *events;
	struct watch watch;
	struct luns luns;
	struct handoff_service *handoff;
	struct server *server;
};

void hbad_init(struct hbad *d, const char *name, const char *runtime_dir);
/* d->config is set. Takes the lock, makes the sockets; one thread only up to here. */
int hbad_prepare(struct hbad *d, struct err *e);
/* Runs until the end; returns the exit code. hbad_prepare() has succeeded. */
int hbad_run(struct hbad *d);

/* boot.c: brings the controller up on the worker thread; again: after it was lost. */
void hbad_boot(struct hbad *d, bool again);
/* away.c: lets go of a controller that is gone or has failed, and looks for it until it is back. */
void hbad_lose(struct hbad *d, bool removed);
void hbad_found(struct hbad *d);
/* HBAD_AWAY: the next look comes soon, and so do those after it. */
void hbad_look_soon(struct hbad *d);
/* returned.c: has a controller bound that is plugged in again; begin and end are of the main loop. ... */
void hbad_returned_begin(struct hbad *d);
void hbad_returned_end(struct hbad *d);
/* ... What came of a look for it; h is up, at the start or again. */
void hbad_returned_not(struct hbad *d, int result);
void hbad_returned_up(struct hbad *d, const struct hba *h);
void hbad_not_found(struct hbad *d, int result, const struct err *why);
/* Is it the one whose units are served? -EEXIST with a sentence: no. Set-up thread. */
int hbad_check_identity(const struct hbad *d, const struct hba *h, struct err *e);
/* rescan.c: looks at the units anew on the worker thread. One at a time. */
int hbad_rescan(struct hbad *d, struct err *e);
/* The same, because something seems to have changed. False: not now. */
bool hbad_look_again(struct hbad *d);
/* watch.c: notices and tells changes. begin: the controller has been brought up; units: they were asked anew. */
void hbad_watch_begin(struct hbad *d);
void hbad_watch_units(struct hbad *d);
void hbad_watch_tick(struct hbad *d);
/* selfcheck.c: with each tick while LUNs are served; whether the machine has what hbad needs on one of them. */
void hbad_self_check(struct hbad *d);
/* stop.c. failed: the controller could not be started. */
void hbad_begin_stop(struct hbad *d);
void hbad_fail(struct hbad *d);
/* The controller's start ended, well or not, while hbad stops. */
void hbad_stop_after_boot(struct hbad *d);
/* upgrade.c. why_not: why the controller will have to be started anew; "" when it need not, as far as can be told. */
int hbad_upgrade(struct hbad *d, struct err *why_not, struct err *e);
/* No other hbad comes: whoever is started some day is not the next one that the note is for. */
void hbad_forget_note(const struct hbad *d);
/* In the stop, in place of hba_stop(), which is still due when this is false. Set-up thread. */
bool hbad_hand_over(struct hbad *d, bool drained);
/* First of all: what the hbad before has left. */
void hbad_take_over(struct hbad *d);
/* In place of hba_open(), hba_attach() and hba_start(). Closes what k has in any case. Set-up thread. */
int hbad_adopt(struct kept *k, const struct hba_config *hc, struct io *io, struct hba **ret, struct err *e);
/* untold.c. The host's, when the I/O threads have ended; h: scsi_host_leave()'s; ... */
void untold_save(const struct hbad *d, const struct hba *h);
/* ... and before it begins. An hbad that does not come so far as to serve leaves it as it is, ... */
void untold_load(struct hbad *d);
/* ... and one that serves takes it away: after a crash it would be told twice, and a flush fail for nothing. */
void untold_taken(const struct hbad *d);
/* Tells systemd when it changed. */
void hbad_status(struct hbad *d, const char *fmt, ...) hb_printf(2, 3);

#endif
