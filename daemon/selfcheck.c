/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hazard H25: this program, its files or swap on a LUN that it serves itself. Looked at by the set-up thread when a LUN was
 * handed over, since from then on the machine may have it as a disk, and now and then, because it is mounted later. In its
 * sandbox hbad does not see the table of swaps: "hbactl show" does.
 */
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "hbad.h"
#include "pci/selfuse.h"

#define AGAIN_NS (600 * NS_PER_SEC)

struct check {
	struct hbad *d;
	char program[256];
	unsigned n_naa, n_found;
	char naa[HBA_MAX_UNITS][40];
	struct selfuse found[SELFUSE_MAX];
};

static void check_run(void *arg)
{
	struct check *c = arg;
	const char *naa[HBA_MAX_UNITS];
	const struct selfuse_path paths[] = {{"hbad's program", c->program},
		{"its configuration", c->d->config_path}, {"its state", c->d->state_dir}};
	const struct selfuse_query q = {
		.root = c->d->sysfs_root ? c->d->sysfs_root : "",
		.path = paths,
		.n_paths = G_N_ELEMENTS(paths),
		.naa = naa,
		.n_naa = c->n_naa,
	};

	for (unsigned i = 0; i < c->n_naa; i++)
		naa[i] = c->naa[i];
	c->n_found = selfuse_find(&q, c->found);
}

static bool was_told(const struct hbad *d, const struct selfuse *u)
{
	for (unsigned i = 0; i < d->n_self_told; i++)
		if (!strcmp(d->self_told[i], u->what))
			return true;
	return false;
}

static void check_done(void *arg)
{
	struct check *c = arg;
	struct hbad *d = c->d;

	for (unsigned i = 0; i < c->n_found; i++) {
		char text[400];

		if (was_told(d, &c->found[i]) || d->n_self_told == G_N_ELEMENTS(d->self_told))
			continue;
		g_strlcpy(d->self_told[d->n_self_told++], c->found[i].what, sizeof(d->self_told[0]));
		selfuse_sentence(&c->found[i], text, sizeof(text));
		events_add(d->events, LOG_LV_WARN, "own-use", "", "", "%s", text);
	}
	d->self_checking = false;
	g_free(c);
}

static void check_begin(struct hbad *d)
{
	struct check *c = g_new0(struct check, 1);
	const struct scsi_unit *units;
	unsigned n = scsi_host_units(d->host, &units);
	ssize_t len = readlink("/proc/self/exe", c->program, sizeof(c->program) - 1);

	c->d = d;
	if (len < 0)
		c->program[0] = '\0';
	for (unsigned i = 0; i < n && c->n_naa < G_N_ELEMENTS(c->naa); i++)
		if (units[i].identified)
			g_strlcpy(c->naa[c->n_naa++], units[i].id.naa_text, sizeof(c->naa[0]));
	d->self_checking = true;
	d->self_checked_ns = clock_ns();
	d->self_checked_starts = d->luns.starts;
	worker_push(d->worker, check_run, check_done, c);
}

void hbad_self_check(struct hbad *d)
{
	/* While the units are looked at, they change. */
	if (!d->luns.starts || d->self_checking || d->rescanning || d->booting)
		return;
	if (d->luns.starts != d->self_checked_starts || clock_ns() >= d->self_checked_ns + AGAIN_NS)
		check_begin(d);
}
