/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The times that are used in earnest. */
#include "timing.h"

#include <assert.h>
#include <hbad/handoff.h>

/* A round in which nobody answers must not be forgiven (watch.c): to reach hbad takes two calls, the connection and WATCH. */
static_assert(
	2 * HANDOFF_CALL_MS < HANDOFF_OPEN_MS + HANDOFF_PING_MS, "an hbad that hangs would be forgiven");

struct timing timing = {
	.call = HANDOFF_CALL_MS,
	.open = HANDOFF_OPEN_MS,
	.hello = HANDOFF_HELLO_MS,
	.ping = HANDOFF_PING_MS,
	.silent = HANDOFF_SILENT_MS,
	.retry = 500,
	.offer_retry = 5000,
	.death = 10000,
	.alarm = 60000,
	.stop = 120000,
	.absent = 20000,
	.back = HANDOFF_BACK_S * 1000,
	.settle = 3000,
	.killed = 5000,
	.grace = 1000,
	.release = 2000,
	.drain = HANDOFF_DRAIN_MS,
	.leave = 5000,
	.stop_max = HANDOFF_STOP_MS + 5000,
	.unfenceable = 30000,
	.mute = 30000,
	.join = 10000,
};
