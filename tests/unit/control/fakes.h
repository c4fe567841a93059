/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The layers below control/, as far as it calls them: every call is written down, every answer can be chosen. */
#ifndef TESTS_CONTROL_FAKES_H
#define TESTS_CONTROL_FAKES_H

#include "control/io.h"
#include "front/front.h"
#include "scsi/scsi.h"

struct scsi_lun {
	struct scsi_lun_config cfg;
	unsigned busy;
	bool destroyed;
	unsigned lane; /* SCSI_UNSETTLED: not settled yet */
};

struct front_ring {
	char name[64];
	int fd;
	uint64_t map_len, map_offset;
	uint32_t cmd_time_out_s;
	struct scsi_lun *lun;
	bool started, stopped, destroyed;
	const char *dropped;
	unsigned outstanding;
	unsigned stop_ms; /* how long the last front_stop() was allowed to take */
};

/* What the next calls answer; zero: success. Shared with processes forked after the program's start. */
struct fake_answers {
	int create_lun, create_ring, start, stop, drain; /* -errno; stop: or a number of orphans */
	int check;					 /* scsi_lun_check() */
	int resize;
	unsigned lanes;		  /* that the host has after an attach; 0: one */
	int settle;		  /* front_settle() */
	const char *unidentified; /* unit ld2's problem */
	unsigned stop_sleep_ms;	  /* how long front_stop() takes; it is never longer than it may be */
	bool boot_held;		  /* hba_start() takes until it is false */
	bool boot_reached;	  /* set when hba_start() was called */
	bool stop_held;		  /* hba_stop() takes until it is false */
	bool attach_held;	  /* scsi_host_attach() takes until hba_end_runs(), and fails then */
	bool hastened;		  /* set by hba_hasten() */
	bool untold;		  /* of a unit: whether it was flushed, and one unit attention */
	int hba_open, hba_attach, hba_start, host_attach, hba_drain, hba_stop;
	int can_freeze, hba_freeze, hba_import, hba_adopt;
	enum hba_state state;
	bool tell; /* hba_next_event() has one; false then */
	uint32_t unit_news;
	const char *
		serial; /* of the controller; NULL: SV1. A literal: it is shared with processes that were forked */
};

extern struct fake_answers *fake_shared;
#define fake (*fake_shared)
extern struct loop *fake_loop; /* runs on a thread of its own, ... */
extern struct io fake_io;      /* ... the only one of these */

void fakes_reset(void);
void fakes_start(void);
void fakes_stop(void);
/* From its return the I/O thread's heartbeat stands still. */
void fakes_hang_io(bool hang);
#define FAKE_LIMIT_MS 30000 /* for what must come, however slow the machine */

/* "create a, start a, ..." since the last call, oldest first */
const char *fake_calls(void);
/* Waits until the calls, of which none is forgotten, are these or begin with them; false: they never are. */
bool fake_calls_become(const char *calls);
/* Waits until hba_start() was called, which is held; then lets it go on. */
void fake_boot_reached(void);
void fake_boot_go(void);
/* The n-th ring that was made, destroyed ones included */
struct front_ring *fake_ring(unsigned n);
struct scsi_host *fake_host(void);

#endif
