/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sd_notify(). */
#include "notify.h"

#include <stdarg.h>
#include <stdio.h>
#include <glib.h>
#include <systemd/sd-daemon.h>
#include "base/clock.h"
#include "base/log.h"
#include "luns.h"

/* Beats per watchdog time. Two would do for an idle main loop; this one may be in a call to the I/O thread for some
 * seconds when a beat is due. */
#define BEATS	     4
#define STOP_STEP_US "30000000" /* each beat while stopping buys so much more time */

static struct {
	const struct io *io;
	guint source;
	bool ready, stopping, silent;
} notify; /* control thread only */

void notify_status(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sd_notifyf(0, "STATUS=%s", text);
}

void notify_ready(void)
{
	if (!notify.ready)
		sd_notify(0, "READY=1");
	notify.ready = true;
}

void notify_stopping(void)
{
	notify.stopping = true;
	sd_notify(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=" STOP_STEP_US);
}

static gboolean beat(gpointer user)
{
	bool alive = io_heartbeat_ns(notify.io) + LUNS_ALIVE_AGE_MS * NS_PER_MS >= clock_ns();

	if (!alive && !notify.silent)
		log_err("an I/O thread has not moved for %d s: the watchdog is not fed",
			LUNS_ALIVE_AGE_MS / 1000);
	notify.silent = !alive;
	if (alive)
		sd_notify(
			0, notify.stopping ? "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=" STOP_STEP_US : "WATCHDOG=1");
	return G_SOURCE_CONTINUE;
}

void notify_watchdog_start(const struct io *io)
{
	uint64_t us;

	notify.io = io;
	if (sd_watchdog_enabled(0, &us) > 0)
		notify.source = g_timeout_add((guint)MAX(us / BEATS / 1000, 1), beat, NULL);
}

void notify_watchdog_stop(void)
{
	if (notify.source)
		g_source_remove(notify.source);
	notify.source = 0;
}
