/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "hbactl rescan": asks every unit again who it is and how big, while its LUNs are served. */
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

static void rescan_done(void *arg)
{
	struct rescan *r = arg;
	struct hbad *d = r->d;

	d->rescanning = false;
	d->rescans++;
	d->rescan_problem = r->e;
	if (r->result) {
		log_warn("the units could not be looked at: %s", r->e.text);
	} else if (d->hba == r->hba && d->phase == HBAD_RUN) {
		const struct scsi_unit *units;

		scsi_host_trim(d->host);
		d->n_units = scsi_host_units(d->host, &units);
		luns_attached(&d->luns);
		log_info("%u units were looked at", d->n_units);
	}
	g_free(r);
}

int hbad_rescan(struct hbad *d, struct err *e)
{
	struct rescan *r;

	if (d->rescanning)
		return err_set(e, -EALREADY, "a rescan is going on already");
	if (d->phase != HBAD_RUN || !d->hba || hba_state(d->hba) != HBA_RUNNING)
		return err_set(e, -EAGAIN, "the controller is not ready: see \"hbactl show %s\"", d->name);
	r = g_new0(struct rescan, 1);
	r->d = d;
	r->hba = d->hba;
	d->rescanning = true;
	worker_push(d->worker, rescan_run, rescan_done, r);
	return 0;
}
