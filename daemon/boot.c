/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bringing the controller up: at the start, and when it is back after it was lost (away.c). */
#include <errno.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "control/notify.h"
#include "control/process.h"
#include "hbad.h"

struct boot {
	struct hbad *d;
	struct hba *hba;
	bool again;
	bool taken_over;
	int result;
	struct err e, note; /* note: why what was left could not be used */
};

/* After what was left has been closed, systemd may do the same a moment later. */
#define LET_GO_MS 5000

static int start_anew(struct boot *b, const struct hba_config *hc)
{
	bool closed = !b->again && (b->note.text[0] || b->d->start_note[0]);
	uint64_t until = clock_ns() + LET_GO_MS * NS_PER_MS;
	int r;

	while ((r = hba_open(hc, b->d->io.loop[0], &b->hba, &b->e)) == -EBUSY && closed && clock_ns() < until)
		clock_sleep_ms(50);
	if (!r)
		r = hba_attach(b->hba, &b->e);
	/* Before it is attached nobody knows how many it takes. */
	if (!r)
		r = io_start(&b->d->io, b->hba->n_lanes, &b->e);
	if (!r)
		r = hba_start(b->hba, &b->e);
	return r;
}

static int start_controller(struct boot *b, const struct hba_config *hc)
{
	struct kept *k = b->again ? NULL : b->d->kept;

	if (!k)
		return start_anew(b, hc);
	b->d->kept = NULL;
	b->taken_over = !hbad_adopt(k, hc, &b->d->io, &b->hba, &b->note);
	g_free(k);
	if (b->taken_over)
		return 0;
	log_warn("the controller is started anew, because the hbad before left what cannot be used: %s",
		b->note.text);
	return start_anew(b, hc);
}

static int bring_up(struct boot *b)
{
	const struct config *c = &b->d->config;
	struct hba_config hc = {
		.uri = c->device,
		.queue_depth = c->queue_depth,
		.bounce_bytes = c->bounce_mib << 20,
		.capture = c->capture[0] ? c->capture : NULL,
		.more_loops = &b->d->io.loop[1],
		/* Once the LUNs are distributed, more would be of no use. */
		.n_more_loops = (b->d->n_lanes ? b->d->n_lanes : b->d->io.n_loops) - 1,
	};
	bool no_capture = hc.capture && b->d->n_lanes > 1;
	int r;

	/* It makes one lane of them all, which LUNs that are distributed could not be served with. */
	if (no_capture)
		hc.capture = NULL;
	r = start_controller(b, &hc);

	/* Before any LUN is opened onto it. */
	if (!r && b->again)
		r = hbad_check_identity(b->d, b->hba, &b->e);
	if (!r)
		r = scsi_host_attach(b->d->host, b->hba, &b->e);
	if (!r && no_capture)
		log_warn("no capture before a restart of the service: it takes one I/O thread, the LUNs "
			 "have %u",
			b->d->n_lanes);
	/* Only a restart helps, as with another controller. */
	return r == -ERANGE ? -EEXIST : r;
}

static void boot_run(void *arg)
{
	struct boot *b = arg;

	b->result = bring_up(b);
	if (!b->result)
		return;
	/* LUNs that wait for it go on waiting. */
	scsi_host_detach(b->d->host, b->again ? SCSI_GATE_GONE : SCSI_GATE_BECOMING_READY);
	hba_close(b->hba); /* knows how far it came */
	b->hba = NULL;
}

static void booted(struct hbad *d, struct hba *h)
{
	const struct scsi_unit *units;

	d->hba = h;
	hbad_returned_up(d, h);
	memcpy(d->product, h->info.product, sizeof(d->product));
	memcpy(d->serial, h->info.serial, sizeof(d->serial));
	d->n_units = scsi_host_units(d->host, &units);
	d->n_lanes = scsi_host_lanes(d->host);
	luns_attached(&d->luns);
	scsi_host_trim(d->host);
	log_info("%s (%s, firmware %s) at %s is ready: %u units, %u commands at once, I/O threads: %u",
		h->info.product, h->info.driver, h->info.firmware[0] ? h->info.firmware : "unknown",
		d->config.device, d->n_units, h->limits.queue_depth, d->n_lanes);
	if (d->taken_over)
		log_info("it was not restarted: this hbad goes on where the one before left it");
	hbad_watch_begin(d);
	process_lock_memory();
	if (d->phase == HBAD_STOP) {
		hbad_stop_after_boot(d);
		return;
	}
	untold_taken(d);
	d->luns.state = HANDOFF_READY;
	if (d->phase == HBAD_AWAY)
		hbad_found(d);
	else
		notify_ready();
	d->phase = HBAD_RUN;
}

static void boot_done(void *arg)
{
	struct boot *b = arg;
	struct hbad *d = b->d;

	d->booting = false;
	d->taken_over = b->taken_over;
	if (b->note.text[0])
		g_strlcpy(d->start_note, b->note.text, sizeof(d->start_note));
	if (!b->result) {
		booted(d, b->hba);
	} else if (d->phase == HBAD_STOP) {
		hbad_stop_after_boot(d);
	} else {
		if (!b->e.text[0])
			err_set(&b->e, b->result, "the controller cannot be started: %s",
				strerror(-b->result));
		if (b->again) {
			hbad_not_found(d, b->result, &b->e);
			g_free(b);
			return;
		}
		log_err("%s: %s", d->config.device, b->e.text);
		d->problem = b->e;
		hbad_fail(d);
	}
	g_free(b);
}

static gboolean on_slow_boot(gpointer user)
{
	struct hbad *d = user;

	if (d->phase == HBAD_BOOT) {
		log_warn("the controller has not started within %u s; LUNs answer that it becomes ready",
			d->times.boot_ready_ms / 1000);
		notify_ready();
	}
	return G_SOURCE_REMOVE;
}

void hbad_boot(struct hbad *d, bool again)
{
	struct boot *b = g_new0(struct boot, 1);

	b->d = d;
	b->again = again;
	d->booting = true;
	if (!again) {
		hbad_status(d, "starting the controller at %s", d->config.device);
		g_timeout_add(d->times.boot_ready_ms, on_slow_boot, d);
	}
	worker_push(d->worker, boot_run, boot_done, b);
}
