/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An orderly end (hazard H2): the handler closes the kernel's gates, the rings run empty, are let go of, and the
 * controller flushes its cache. Steps on the main loop and on the worker thread take turns:
 *
 *	hbad_begin_stop		tell the watchers
 *	on_gated		all gates are closed, or nobody answered
 *	drain_run, drain_done	rings empty, then unmapped
 *	down_run, down_done	controller flushed and quiet, or handed over (upgrade.c); the main loop ends
 */
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "control/notify.h"
#include "hbad.h"

struct drain {
	struct hbad *d;
	bool gated;
	unsigned missed;
};

/* The worker may be at the controller, and stays there. What LUNs owe is kept all the same, once there were any: before the first
 * start nobody was served, and what the hbad before has left lies where it was. */
static void leave_now(struct hbad *d, int code, const char *why)
{
	if (d->n_lanes && !io_stop(&d->io))
		untold_save(d, NULL);
	log_err("%s", why);
	log_drain();
	_exit(code);
}

/* --- the controller --- */

static void down_run(void *arg)
{
	struct hbad *d = arg;

	if (!d->hba)
		return;
	scsi_host_detach(d->host, SCSI_GATE_BECOMING_READY);
	if (hba_drain(d->hba, d->times.hba_drain_ms)) {
		log_warn("the controller still has %u commands: they are given up", hba_inflight(d->hba));
		d->drained = false;
	}
	d->handed_over = __atomic_load_n(&d->hand_over, __ATOMIC_RELAXED) && hbad_hand_over(d, d->drained);
	if (!d->handed_over)
		d->unflushed = hba_stop(d->hba) < 0;
}

static void down_done(void *arg)
{
	struct hbad *d = arg;

	if (d->unflushed) {
		log_err("the controller is stopped, but its cache is perhaps not on its disks: leave its "
			"power on, "
			"start hbad again, and let initiators flush");
		d->exit_code = 1;
	} else if (d->hba) {
		log_info(d->handed_over ? "the controller is handed over as it runs"
					: "the controller is flushed and stopped");
	}
	g_main_loop_quit(d->main);
}

static void stop_controller(struct hbad *d)
{
	hbad_status(d, "stopping: the controller flushes its cache");
	worker_push(d->worker, down_run, down_done, d);
}

/* --- the rings --- */

static void release_rings(struct hbad *d)
{
	struct err e = {""};

	if (luns_release_all(&d->luns, &e))
		leave_now(d, 1, e.text);
	handoff_service_released(d->handoff);
}

static void drain_run(void *arg)
{
	struct drain *dr = arg;

	dr->missed = luns_drain(&dr->d->luns, dr->gated, dr->d->times.drain_ms);
}

static void drain_done(void *arg)
{
	struct drain *dr = arg;
	struct hbad *d = dr->d;

	if (dr->missed)
		log_warn("%u LUNs were not drained in time", dr->missed);
	d->drained = !dr->missed;
	g_free(dr);
	d->luns.away = false;
	release_rings(d);
	stop_controller(d);
}

static void drain_rings(struct hbad *d, bool gated)
{
	struct drain *dr = g_new0(struct drain, 1);

	dr->d = d;
	dr->gated = gated;
	d->luns.away = true;
	hbad_status(d, "stopping: finishing commands");
	worker_push(d->worker, drain_run, drain_done, dr);
}

/* --- beginning --- */

static gboolean on_boot_too_long(gpointer user)
{
	struct hbad *d = user;

	if (!d->stop_waits)
		return G_SOURCE_REMOVE;
	/* No LUN's command is at the controller. The kernel resets it when it closes the device for us. */
	leave_now(d, 0, "stopped while the controller was still starting");
	return G_SOURCE_REMOVE;
}

static void on_gated(bool gated, void *user)
{
	struct hbad *d = user;

	if (!d->booting) {
		drain_rings(d, gated);
		return;
	}
	/* The worker is busy, and no gate has been open yet: nothing is at the controller for any ring. */
	release_rings(d);
	hbad_status(d, "stopping: waiting for the controller's start to end");
	d->stop_waits = true;
	g_timeout_add(d->times.stop_boot_ms, on_boot_too_long, d);
}

static gboolean on_stop_too_long(gpointer user)
{
	leave_now(user, 1, "the stop took too long: what is left is for the guard and for the kernel");
	return G_SOURCE_REMOVE;
}

void hbad_begin_stop(struct hbad *d)
{
	/* Commands that wait for a lost controller come again to whoever serves the ring next. */
	if (d->phase == HBAD_AWAY)
		scsi_host_detach(d->host, SCSI_GATE_BECOMING_READY);
	d->phase = HBAD_STOP;
	d->luns.state = HANDOFF_STOPPING;
	log_info("stopping");
	/* The worker is needed now; units that do not answer may keep it for minutes. */
	if (d->rescanning && d->hba)
		hba_end_runs(d->hba);
	/* Commands that are to be finished do not wait for the pause before a reset. */
	if (d->hba)
		hba_hasten(d->hba);
	notify_stopping();
	hbad_status(d, "stopping: waiting for the gates");
	d->luns.stop_until_ns = clock_ns() + d->times.stop_ms * NS_PER_MS;
	g_timeout_add(d->times.stop_ms, on_stop_too_long, d);
	luns_release_idle(&d->luns);
	handoff_service_stopping(d->handoff, d->upgrading ? HANDOFF_UPGRADE_S : 0, on_gated, d);
}

void hbad_stop_after_boot(struct hbad *d)
{
	if (!d->stop_waits)
		return; /* on_gated() comes */
	d->stop_waits = false;
	stop_controller(d);
}

void hbad_fail(struct hbad *d)
{
	d->phase = HBAD_STOP;
	d->exit_code = 1;
	d->luns.state = HANDOFF_FAILED;
	hbad_status(d, "the controller could not be started");
	notify_stopping();
	release_rings(d);
	g_main_loop_quit(d->main);
}
