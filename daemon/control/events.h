/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happened to the controller and its units, for "hbactl monitor" and the journal. Control thread. */
#ifndef HBAD_CONTROL_EVENTS_H
#define HBAD_CONTROL_EVENTS_H

#include <stdint.h>
#include "base/compiler.h"

#define EVENTS_KEPT 512 /* older ones are forgotten; who follows asks every second */

struct event {
	uint64_t seq;	 /* 1, 2, ... */
	int64_t time_us; /* since 1970, UTC */
	const char *what;
	char unit[16], naa[40]; /* empty: the controller */
	char text[512];
};

struct events;

struct events *events_new(void);
void events_free(struct events *ev); /* NULL is fine */
/* what: a word for programs, of proto.h's list; a static string. unit and naa may be "". The journal gets a line, too,
 * with urgency err, warning or info of log.h (what the I/O thread has told already is not told again: -1). */
void events_add(struct events *ev, int level, const char *what, const char *unit, const char *naa,
	const char *fmt, ...) hb_printf(6, 7);
/* The oldest one after seq that is still known, or NULL. */
const struct event *events_after(const struct events *ev, uint64_t seq);
uint64_t events_last(const struct events *ev); /* 0: none yet */

#endif
