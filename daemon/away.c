/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A controller that is lost, and found again. What was at it has ended, or waits in the SCSI layer for the LUN's hold
 * time (scsi/hold.c), by the time anything here runs. Letting go comes first, and without delay: the kernel cannot
 * remove a device that is open. Only then, with longer and longer pauses, it is looked for; to open it is all that
 * touches the machine meanwhile.
 */
#include <errno.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "hbad.h"

/* --- lost --- */

struct farewell {
	struct hbad *d;
	struct hba *hba;
};

static void farewell_run(void *arg)
{
	struct farewell *f = arg;

	scsi_host_detach(f->d->host, SCSI_GATE_GONE);
	hba_stop(f->hba);
	hba_close(f->hba);
}

/* It may be put into another slot: whoever says so to the configuration need not restart anything. All else in that
 * counts from the next start on. */
static void look_where(struct hbad *d)
{
	struct config now;

	if (!d->config_path || config_load(d->config_path, &now, NULL) ||
		!strcmp(now.device, d->config.device))
		return;
	log_info("%s is to be found at %s from now on", d->config.device, now.device);
	g_strlcpy(d->config.device, now.device, sizeof(d->config.device));
}

static gboolean on_retry(gpointer user)
{
	struct hbad *d = user;

	d->retry = 0;
	if (d->phase == HBAD_AWAY) {
		look_where(d);
		hbad_boot(d, true);
	}
	return G_SOURCE_REMOVE;
}

static void farewell_done(void *arg)
{
	struct farewell *f = arg;
	struct hbad *d = f->d;

	log_info("%s is let go of", d->config.device);
	if (d->phase == HBAD_AWAY)
		d->retry = g_timeout_add(d->retry_ms, on_retry, d);
	else if (d->phase == HBAD_STOP)
		/* The job's word may have been the later one: what waits for the controller would keep the stop. */
		scsi_host_detach(d->host, SCSI_GATE_BECOMING_READY);
	g_free(f);
}

static const char *what_happened(const struct hbad *d)
{
	return d->removed ? "was unplugged" : "has failed and could not be reset";
}

void hbad_lose(struct hbad *d, bool removed)
{
	struct farewell *f = g_new0(struct farewell, 1);

	f->d = d;
	f->hba = d->hba;
	d->hba = NULL;
	d->removed = removed;
	d->lost_ns = clock_ns();
	d->retry_ms = d->times.retry_min_ms;
	d->phase = HBAD_AWAY;
	d->luns.attached = false; /* units point into the controller's object */
	d->luns.state = HANDOFF_FAILED;
	err_set(&d->problem, -ENODEV,
		"%s %s: its LUNs answer with errors, at once or after their hold time, until it is back",
		d->config.device, what_happened(d));
	events_add(d->events, LOG_LV_ERR, removed ? "controller-gone" : "controller-failed", "", "", "%s",
		d->problem.text);
	hbad_status(d, "the controller at %s %s", d->config.device, removed ? "was unplugged" : "has failed");
	worker_push(d->worker, farewell_run, farewell_done, f);
}

/* --- found --- */

int hbad_check_identity(const struct hbad *d, const struct hba *h, struct err *e)
{
	/* Where firmware has no serial number to tell, each LUN still looks at the identity of its unit. */
	bool same = d->serial[0] || h->info.serial[0] ? !strcmp(d->serial, h->info.serial)
						      : !strcmp(d->product, h->info.product);

	if (same)
		return 0;
	return err_set(e, -EEXIST,
		"another controller is in its place, %s with serial number %s instead of %s with %s: put "
		"that one back, "
		"or, if the new one is to serve in its stead, \"systemctl restart hbad@%s\"",
		h->info.product, h->info.serial[0] ? h->info.serial : "unknown", d->product,
		d->serial[0] ? d->serial : "unknown", d->name);
}

void hbad_not_found(struct hbad *d, int result, const struct err *why)
{
	struct err now;

	err_set(&now, -ENODEV, "%s %s and is not back: %s", d->config.device, what_happened(d), why->text);
	/* Each answer once: it may be asked for years. */
	if (strcmp(now.text, d->problem.text))
		events_add(d->events, LOG_LV_WARN,
			result == -EEXIST ? "controller-refused" : "controller-away", "", "", "%s", now.text);
	d->problem = now;
	d->retry_ms = MIN(2 * d->retry_ms, d->times.retry_max_ms);
	/* Each look starts it, and it is not ours. */
	if (result == -EEXIST)
		d->retry_ms = 6 * d->times.retry_max_ms;
	hbad_returned_not(d, result);
	d->retry = g_timeout_add(d->retry_ms, on_retry, d);
}

void hbad_look_soon(struct hbad *d)
{
	d->retry_ms = d->times.retry_min_ms;
	/* 0: a look goes on, and the one after it will be soon. */
	if (!d->retry)
		return;
	g_source_remove(d->retry);
	d->retry = g_timeout_add(d->retry_ms, on_retry, d);
}

void hbad_found(struct hbad *d)
{
	events_add(d->events, LOG_LV_INFO, "controller-back", "", "", "%s is back after %llu s",
		d->config.device, (unsigned long long)((clock_ns() - d->lost_ns) / NS_PER_SEC));
	d->removed = false;
	d->problem.text[0] = '\0';
}
