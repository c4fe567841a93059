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
#include "pci/sysfs.h"
#include "pci/uevent.h"

#define ASK_FILE	 "unbound" /* hbad-bind@.path knows it, too */
#define FIRST_PAUSE_NS	 (10 * NS_PER_SEC)
#define LONGEST_PAUSE_NS (300 * NS_PER_SEC)
/* "hbactl bind" waits for 20 s before it gives up, and those who ask by then have not been refused yet. */
#define ASKED_TOO_OFTEN 3

/* Root may have reasons to refuse that last: it is asked again, but more and more rarely. */
static void ask_root(struct hbad *d)
{
	struct returns *r = &d->returns;
	g_autofree char *path = g_strdup_printf("%s/%s/" ASK_FILE, d->runtime_dir, d->name);
	hb_autoclose int fd =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

	r->ask_ns = clock_ns() + r->pause_ns;
	r->pause_ns = MIN(2 * r->pause_ns, LONGEST_PAUSE_NS);
	if (++r->asked == ASKED_TOO_OFTEN)
		log_warn("what is at %s has still not been bound: \"journalctl -u hbad-bind@%s\" says why",
			d->config.device, d->name);
	if (fd < 0 || write(fd, "\n", 1) != 1)
		log_warn("%s cannot be written (%s): bind the controller by hand, hbactl bind %s --user hbad",
			path, strerror(errno), d->name);
}

/* Whatever is in its place, or will be, has come since it was lost. */
static void was_gone(struct hbad *d)
{
	d->returns.arrived = true;
	d->returns.asked = 0;
	d->returns.pause_ns = FIRST_PAUSE_NS;
	d->returns.ask_ns = 0;
}

static bool is_like_it(const struct hbad *d, uint16_t vendor, uint16_t device)
{
	return vendor == d->returns.vendor && device == d->returns.device;
}

/* A network adapter in its slot is nobody's to take from its driver; which one of those HBAs it is, the start tells. */
static void arrived(struct hbad *d, const struct pci_uevent *u)
{
	if (!is_like_it(d, u->vendor, u->device)) {
		d->returns.arrived = false;
		log_info("%04x:%04x was plugged in at %s, where %04x:%04x was: it is left alone", u->vendor,
			u->device, d->config.device, d->returns.vendor, d->returns.device);
		return;
	}
	log_info("an HBA was plugged in at %s", d->config.device);
	was_gone(d);
	ask_root(d);
	hbad_look_soon(d);
}

/* The configuration may have a short form. */
static int its_place(const struct hbad *d, char ret[PCI_ADDR_LEN])
{
	return pci_addr_parse(d->config.device, ret, NULL);
}

enum place { PLACE_EMPTY, PLACE_OTHER, PLACE_LIKE_IT };

static enum place look_at_place(const struct hbad *d)
{
	const char *root = d->sysfs_root ? d->sysfs_root : "";
	char addr[PCI_ADDR_LEN];
	uint16_t vendor, device;

	if (its_place(d, addr) < 0 || !pci_ids_read(root, addr, &vendor, &device))
		return PLACE_EMPTY;
	return is_like_it(d, vendor, device) ? PLACE_LIKE_IT : PLACE_OTHER;
}

static void heard(struct hbad *d, const struct pci_uevent *u)
{
	char addr[PCI_ADDR_LEN];

	if (its_place(d, addr) < 0 || strcmp(addr, u->addr) != 0)
		return;
	if (u->kind == PCI_UEVENT_ADD)
		arrived(d, u);
	else if (u->kind == PCI_UEVENT_BIND && !strcmp(u->driver, "vfio-pci"))
		hbad_look_soon(d);
}

static gboolean on_uevents(gint fd, GIOCondition condition, gpointer user)
{
	struct hbad *d = user;
	struct pci_uevent u;

	while (uevents_next(d->returns.uevents, &u)) {
		if (d->phase != HBAD_AWAY)
			continue;
		if (u.kind != PCI_UEVENT_LOST) {
			heard(d, &u);
			continue;
		}
		/* Its arrival may have been among them. */
		was_gone(d);
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

	switch (result) {
	case -ENOENT:
		/* Uevents may be lost. The look may also miss a device node of VFIO's: that is no absence. */
		if (look_at_place(d) == PLACE_EMPTY)
			was_gone(d);
		break;
	case -ENXIO:  /* It is there with another driver or none, ... */
	case -EACCES: /* ... or was bound by somebody else (vfio-pci.ids=), and hbad may not open it. */
		if (r->arrived && clock_ns() >= r->ask_ns && look_at_place(d) == PLACE_LIKE_IT)
			ask_root(d);
		break;
	case -ENODEV:
		break;
	default:
		/* It was bound. When it is not any more, somebody has unbound it by hand and had a reason. */
		r->arrived = false;
	}
}

void hbad_returned_up(struct hbad *d, const struct hba *h)
{
	d->returns.arrived = false;
	d->returns.vendor = h->pci->id.vendor;
	d->returns.device = h->pci->id.device;
}
