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
#include <sys/stat.h>
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

/* Whatever has been put there in place of a file goes: systemd could not watch it, or would see no change. */
static int open_ask_file(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode) && unlink(path) < 0)
		rmdir(path);
	return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
}

static void ask_root(const struct hbad *d)
{
	g_autofree char *path = g_strdup_printf("%s/%s/" ASK_FILE, d->runtime_dir, d->name);
	hb_autoclose int fd = open_ask_file(path);
	ssize_t n = fd < 0 ? -1 : write(fd, "\n", 1);

	if (n != 1)
		log_warn("%s cannot be written (%s): bind the controller by hand, hbactl bind %s --user hbad",
			path, n < 0 ? strerror(errno) : "no space", d->name);
}

/* Root may have reasons to refuse that last: it is asked again, but more and more rarely. */
static void ask_for_it(struct hbad *d)
{
	struct returns *r = &d->returns;

	r->ask_ns = clock_ns() + r->pause_ns;
	r->pause_ns = MIN(2 * r->pause_ns, LONGEST_PAUSE_NS);
	if (++r->asked == ASKED_TOO_OFTEN)
		log_warn("what is at %s has still not been bound: \"journalctl -u hbad-bind@%s\" says why",
			d->config.device, d->name);
	ask_root(d);
}

static bool is_like_it(const struct hbad *d, const struct pci_place *p)
{
	return p->vendor == d->returns.vendor && p->device == d->returns.device;
}

/* The configuration may have a short form. */
static int its_place(const struct hbad *d, char ret[PCI_ADDR_LEN])
{
	return pci_addr_parse(d->config.device, ret, NULL);
}

static void look_at_place(const struct hbad *d, struct pci_place *ret)
{
	char addr[PCI_ADDR_LEN];

	*ret = (struct pci_place){0};
	if (its_place(d, addr) == 0)
		pci_place_read(d->sysfs_root ? d->sysfs_root : "", addr, ret);
}

static void note_instance(struct hbad *d, const struct pci_place *now)
{
	struct returns *r = &d->returns;

	if (r->instance == now->instance)
		return;
	r->instance = now->instance;
	r->asked = 0;
	r->pause_ns = FIRST_PAUSE_NS;
	r->ask_ns = 0;
	if (!now->instance)
		return;
	if (is_like_it(d, now))
		log_info("an HBA was plugged in at %s", d->config.device);
	else
		log_info("%04x:%04x was plugged in at %s, where %04x:%04x was: it is left alone", now->vendor,
			now->device, d->config.device, r->vendor, r->device);
}

/*
 * One that hbad had, or that was bound since it was plugged in, is none of hbad's business once it is not bound any more:
 * somebody has unbound it by hand and had a reason. What sysfs shows says so whatever uevents were missed. result is that of the
 * look, which is a little older than what sysfs shows.
 */
static bool is_settled(struct returns *r, const struct pci_place *now, int result)
{
	if (r->settled == now->instance)
		return true;
	if (strcmp(now->driver, "vfio-pci") != 0)
		return false;
	switch (result) {
	case -ENXIO:
	case -ENOENT:
		/* Bound since. By whom, and whether hbad may open it, the next look tells. */
		return true;
	case -EACCES:
	case -EPERM:
		/* Bound by somebody else (vfio-pci.ids=): hbad's user gets it from root, unless root does not give it. */
		if (r->asked < ASKED_TOO_OFTEN)
			return false;
		break;
	}
	r->settled = now->instance;
	return true;
}

static void consider(struct hbad *d, int result)
{
	struct returns *r = &d->returns;
	struct pci_place now;

	look_at_place(d, &now);
	note_instance(d, &now);
	if (is_settled(r, &now, result) || clock_ns() < r->ask_ns)
		return;
	if (is_like_it(d, &now)) {
		ask_for_it(d);
		return;
	}
	/* Empty, or a network adapter's by now. Root binds nothing then, but takes back what was granted: the number of the
	 * HBA's group is some other device's next. */
	r->settled = now.instance;
	ask_root(d);
}

static void heard(struct hbad *d, const struct pci_uevent *u)
{
	char addr[PCI_ADDR_LEN];

	if (its_place(d, addr) < 0 || strcmp(addr, u->addr) != 0)
		return;
	if (u->kind == PCI_UEVENT_ADD)
		consider(d, -ENXIO);
	else if (u->kind != PCI_UEVENT_BIND || strcmp(u->driver, "vfio-pci") != 0)
		return;
	hbad_look_soon(d);
}

static gboolean on_uevents(gint fd, GIOCondition condition, gpointer user)
{
	struct hbad *d = user;
	struct pci_uevent u;

	while (uevents_next(d->returns.uevents, &u)) {
		if (d->phase == HBAD_AWAY && u.kind != PCI_UEVENT_LOST)
			heard(d, &u);
		else if (d->phase == HBAD_AWAY)
			/* Its arrival may have been among them. */
			hbad_look_soon(d);
		/* Also what libnl says without memory: not again and again in here. */
		if (u.kind == PCI_UEVENT_LOST)
			break;
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
	if (!pci_uri_is_served(d->config.device))
		consider(d, result);
}

void hbad_returned_up(struct hbad *d, const struct hba *h)
{
	struct pci_place now;

	look_at_place(d, &now);
	d->returns.instance = d->returns.settled = now.instance;
	d->returns.vendor = h->pci->id.vendor;
	d->returns.device = h->pci->id.device;
}
