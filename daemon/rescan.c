/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asks every unit again who it is and how big, while its LUNs are served: "hbactl rescan", and by itself. */
#include <errno.h>
#include "base/log.h"
#include "hbad.h"

struct rescan {
	struct hbad *d;
	struct hba *hba;
	int result;
	struct err e;
};

static void rescan_run(void *arg)
{
	struct rescan *r = arg;

	/* Whoever lets go of the controller does it in a job after this one. */
	r->result = scsi_host_attach(r->d->host, r->hba, &r->e);
}

static void rescan_start(struct hbad *d, bool quiet);

static bool is_ready(const struct hbad *d)
{
	return d->phase == HBAD_RUN && d->hba && hba_state(d->hba) == HBA_RUNNING;
}

static void take_over(struct hbad *d, bool quiet)
{
	const struct scsi_unit *units;

	scsi_host_trim(d->host);
	d->n_units = scsi_host_units(d->host, &units);
	luns_attached(&d->luns);
	hbad_watch_units(d);
	if (!quiet)
		log_info("%u units were looked at", d->n_units);
}

static void rescan_done(void *arg)
{
	struct rescan *r = arg;
	struct hbad *d = r->d;
	bool quiet = d->rescan_quiet;

	d->rescanning = false;
	if (!quiet) {
		d->rescans++;
		d->rescan_problem = r->e;
	}
	if (r->result)
		log_warn("the units could not be looked at: %s", r->e.text);
	else if (d->hba == r->hba && d->phase == HBAD_RUN)
		take_over(d, quiet);
	g_free(r);
	if (!d->rescan_asked)
		return;
	d->rescan_asked = false;
	if (is_ready(d)) {
		rescan_start(d, false);
		return;
	}
	d->rescans++;
	err_set(&d->rescan_problem, -EAGAIN, "the controller is not ready: see \"hbactl show %s\"", d->name);
}

static void rescan_start(struct hbad *d, bool quiet)
{
	struct rescan *r = g_new0(struct rescan, 1);

	r->d = d;
	r->hba = d->hba;
	d->rescanning = true;
	d->rescan_quiet = quiet;
	worker_push(d->worker, rescan_run, rescan_done, r);
}

int hbad_rescan(struct hbad *d, struct err *e)
{
	if (d->rescan_asked || (d->rescanning && !d->rescan_quiet))
		return err_set(e, -EALREADY, "a rescan is going on already");
	if (!is_ready(d))
		return err_set(e, -EAGAIN, "the controller is not ready: see \"hbactl show %s\"", d->name);
	/* What goes on has perhaps passed the unit that this one is meant for. */
	if (d->rescanning)
		d->rescan_asked = true;
	else
		rescan_start(d, false);
	return 0;
}

bool hbad_look_again(struct hbad *d)
{
	if (d->rescanning || !is_ready(d))
		return false;
	rescan_start(d, true);
	return true;
}
