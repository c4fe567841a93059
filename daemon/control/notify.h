/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What systemd hears: readiness, status, and a watchdog that only living I/O threads feed. */
#ifndef HBAD_CONTROL_NOTIFY_H
#define HBAD_CONTROL_NOTIFY_H

#include "base/compiler.h"
#include "io.h"

void notify_status(const char *fmt, ...) hb_printf(1, 2);
void notify_ready(void); /* the first call counts */
void notify_stopping(void);
/* Feeds the watchdog at a quarter of its time while the heartbeats of all I/O threads are younger than LUNS_ALIVE_AGE_MS. Runs on
 * the control thread's main loop, which thereby vouches for itself. Nothing happens when the unit has no
 * watchdog. */
void notify_watchdog_start(const struct io *io);
void notify_watchdog_stop(void);

#endif
