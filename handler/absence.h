/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long an instance's LUNs have been without an hbad that serves, as its watcher knows it: from what hbad says of its
 * state (handoff_reply.state), and from what was announced.
 *
 * To be there is not enough: one that starts, is watched and fails, again and again, would keep initiators waiting for ever.
 * So time counts until one says that its controller runs. The first one that comes in time has the devices while its
 * controller starts, which may take minutes and is a pause; if it fails, that time was absence.
 */
#ifndef HBAD_HANDLER_ABSENCE_H
#define HBAD_HANDLER_ABSENCE_H

#include <stdbool.h>
#include <stdint.h>

struct absence {
	uint64_t since_ns; /* 0: somebody serves, or there is nothing to be served */
	unsigned back_ms;  /* the last one has announced that the next one may take so long to come */
	bool booting;	   /* the one that is there has said that its controller is being started, ... */
	bool serves;	   /* ... or that it runs, or that it is being stopped, having run */
	bool in_time; /* the one that is there had devices before that, and starts its controller: what comes loose waits */
	bool failing; /* for too long: commands fail instead of being answered with BUSY */
	bool said;    /* that it is so */
};

/* A new connection's answer to WATCH, and each answer after that; state: enum handoff_state. */
void absence_first_word(struct absence *a, uint32_t state);
void absence_word(struct absence *a, uint32_t state);
/* It is going to end; another one comes within back_s (0: who knows). */
void absence_announce(struct absence *a, uint32_t back_s);
/* connected: the one that the words were of is still there. well: it was heard of lately. has_some: it has devices. */
void absence_judge(struct absence *a, bool connected, bool well, bool has_some, uint64_t now_ns);
/* There are no devices: whatever was is over. */
void absence_end(struct absence *a);
/* Devices are not handed to the one that is there while it starts its controller: commands fail until it serves. */
bool absence_awaits_start(const struct absence *a);
/* Logs, once, that commands of unserved devices fail. */
void absence_say(struct absence *a, const char *instance, unsigned unserved);

#endif
