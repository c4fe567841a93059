/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hand-off service: hbad's end of include/hbad/handoff.h. Lives on the control thread's main loop. Calls
 * of the handler are answered at once, with two exceptions: PING stays unanswered while the I/O thread's
 * heartbeat is old, and CLOSE and HELLO wait while luns_drain() has the rings.
 */
#ifndef HBAD_CONTROL_HANDOFF_H
#define HBAD_CONTROL_HANDOFF_H

#include <sys/types.h>
#include "luns.h"

#define HANDOFF_MAX_CONNS 64
#define HANDOFF_GATED_MS  3000 /* how long GATED is waited for */

struct handoff_service;

struct handoff_config {
	struct luns *luns;
	int listen_fd;	/* taken over; SOCK_SEQPACKET, listening */
	uid_t peer_uid; /* whose connections are taken: 0 */
};

struct handoff_service *handoff_service_new(const struct handoff_config *cfg);
/* Closes everything; what was OPENed and not STARTed is released. NULL is fine. */
void handoff_service_free(struct handoff_service *s);

/* Tells every watcher that hbad stops, and that another one will come within back_s seconds (0: who knows); done runs once, when all of them have said GATED (gated is true), or
 * after HANDOFF_GATED_MS, or at once when nobody watches. */
void handoff_service_stopping(
	struct handoff_service *s, unsigned back_s, void (*done)(bool gated, void *user), void *user);
/* The rings are back, and all are released: answers what waited. */
void handoff_service_released(struct handoff_service *s);

/* For people: does a handler watch, and which release of it said HELLO ("" before it did)? */
bool handoff_service_watched(const struct handoff_service *s);
const char *handoff_service_peer(const struct handoff_service *s);

#endif
