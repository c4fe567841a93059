/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A controller that is plugged in again. It has no driver then, or the kernel's own, and hbad's user may not bind it: root does
 * when it is asked to (hbad-bind@.path). To ask is to write to a file, and what is in that means nothing: the configuration says
 * which device it is, and "hbactl bind" looks whether it may be taken, as at the start.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "hbad.h"
#include "pci/uevent.h"

#define ASK_FILE	 "unbound" /* hbad-bind@.path knows it, too */
#define FIRST_PAUSE_NS	 (10 * NS_PER_SEC)
#define LONGEST_PAUSE_NS (300 * NS_PER_SEC)

/* Root may have reasons to refuse that last: it is asked again, but more and more rarely. */
static void ask_root(struct hbad *d)
{
	struct returns *r = &d->returns;
	g_autofree char *path = g_strdup_printf("%s/%s/" ASK_FILE, d->runtime_dir, d->name);
	hb_autoclose int fd =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

	r->ask_ns = clock_ns() + r->pause_ns;
	r->pause_ns = MIN(2 * r->pause_ns, LONGEST_PAUSE_NS);
	if (fd < 0 || write(fd, "\n", 1) != 1)
		log_warn("%s cannot be written (%s): bind the controller by hand, hbactl bind %s --user hbad",
			path, strerror(errno), d->name);
}

static void arrived(struct hbad *d)
{
	d->returns.arrived = true;
	d->returns.pause_ns = FIRST_PAUSE_NS;
	log_info("something was plugged in at %s", d->config.device);
	ask_root(d);
	hbad_look_soon(d);
}

/* The configuration may have a short form. */
static bool is_its_place(const struct hbad *d, const struct pci_uevent *u)
{
	char addr[PCI_ADDR_LEN];

	return pci_addr_parse(d->config.device, addr, NULL) == 0 && !strcmp(addr, u->addr);
}

static gboolean on_uevents(gint fd, GIOCondition condition, gpointer user)
{
	struct hbad *d = user;
	struct pci_uevent u;

	while (uevents_next(d->returns.uevents, &u)) {
		if (d->phase != HBAD_AWAY || !is_its_place(d, &u))
			continue;
		if (u.kind == PCI_UEVENT_ADD)
			arrived(d);
		else if (u.kind == PCI_UEVENT_BIND && !strcmp(u.driver, "vfio-pci"))
			hbad_look_soon(d);
	}
	return G_SOURCE_CONTINUE;
}

void hbad_returned_begin(struct hbad *d)
{
	if (pci_uri_is_served(d->config.device))
		return;
	d->returns.uevents = uevents_open();
	if (d->returns.uevents)
		d->returns.source = g_unix_fd_add(uevents_fd(d->returns.uevents), G_IO_IN, on_uevents, d);
	else
		log_warn("there are no uevents: a controller that is plugged in again is noticed later");
}

void hbad_returned_end(struct hbad *d)
{
	if (d->returns.source)
		g_source_remove(d->returns.source);
	uevents_close(d->returns.uevents);
	d->returns = (struct returns){.uevents = NULL};
}

void hbad_returned_not(struct hbad *d, int result)
{
	struct returns *r = &d->returns;

	/* It was gone, so whatever is there next has come since: uevents may be lost. */
	if (result == -ENOENT && !r->arrived) {
		r->arrived = true;
		r->pause_ns = FIRST_PAUSE_NS;
		r->ask_ns = 0;
	}
	/* It is there with another driver or none. One that has never left was unbound by somebody who had a reason. */
	if (result == -ENXIO && r->arrived && clock_ns() >= r->ask_ns)
		ask_root(d);
}

void hbad_returned_found(struct hbad *d)
{
	d->returns.arrived = false;
}
