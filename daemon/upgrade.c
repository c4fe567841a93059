/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "hbactl upgrade": another hbad in this one's place, without a restart of the controller. A stop like any other up to the
 * point where nothing is at the controller; then, instead of its shutdown, it is frozen, and what the next hbad needs goes
 * through systemd (control/kept.h). Whatever does not work out on the way ends in what "systemctl restart" does: the
 * controller is shut down, or what was kept is closed, whereupon the kernel resets it, and it is started.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <glib/gstdio.h>
#include "base/cleanup.h"
#include "base/log.h"
#include "hbad.h"
#include "pci/sysfs.h"

/* --- why not, for the next hbad to tell --- */

#define NOTE_FILE "upgrade"

static char *note_path(const struct hbad *d)
{
	return g_strdup_printf("%s/%s/" NOTE_FILE, d->runtime_dir, d->name);
}

static void leave_note(const struct hbad *d, const char *why)
{
	g_autofree char *path = note_path(d);
	g_autoptr(GError) error = NULL;

	log_warn("the controller is not handed over as it runs: %s", why);
	if (!g_file_set_contents(path, why, -1, &error))
		log_warn("%s", error->message);
}

void hbad_forget_note(const struct hbad *d)
{
	g_autofree char *path = note_path(d);

	g_unlink(path);
}

static void read_note(struct hbad *d)
{
	g_autofree char *path = note_path(d);
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return;
	n = fread(d->start_note, 1, sizeof(d->start_note) - 1, f);
	d->start_note[n] = '\0';
	fclose(f);
	g_unlink(path);
}

/* --- the end of this one --- */

static int check_upgrade(struct hbad *d, struct err *e)
{
	int r = kept_store_check(e);

	if (r == 0 && d->config.capture[0])
		r = err_set(
			e, -ENOTSUP, "a capture is configured, which begins with a start of the controller");
	return r < 0 ? r : hba_can_freeze(d->hba, e);
}

static gboolean on_upgrade(gpointer user)
{
	struct hbad *d = user;

	/* A signal may have been faster, or the controller is lost. */
	if (d->phase == HBAD_RUN || d->phase == HBAD_AWAY)
		hbad_begin_stop(d);
	return G_SOURCE_REMOVE;
}

int hbad_upgrade(struct hbad *d, struct err *why_not, struct err *e)
{
	int r;

	if (d->phase != HBAD_RUN || !d->hba || hba_state(d->hba) != HBA_RUNNING)
		return err_set(e, -EAGAIN, "the controller is not ready: see \"hbactl show %s\"", d->name);
	r = check_upgrade(d, why_not);
	/* Without systemd it would be a stop for good. */
	if (r == -ENOTCONN)
		return err_set(e, r, "%s", why_not->text);
	d->upgrading = true;
	__atomic_store_n(&d->hand_over, r == 0, __ATOMIC_RELAXED);
	if (r < 0)
		leave_note(d, why_not->text);
	log_info("upgrade: another hbad takes over%s", r < 0 ? ", and starts the controller anew" : "");
	/* Whoever asked gets an answer first. */
	g_idle_add(on_upgrade, d);
	return 0;
}

static int keep(struct hbad *d, struct err *e)
{
	struct kept k;
	int r;

	kept_init(&k);
	if (pci_addr_parse(d->config.device, k.addr, e) < 0)
		return -EINVAL;
	r = hba_freeze(d->hba, &k.hba, e);
	if (r == 0)
		r = pci_export(d->hba->pci, &k.pci, e);
	return r == 0 ? kept_store(&k, e) : r;
}

bool hbad_hand_over(struct hbad *d, bool drained)
{
	struct err e = {""};
	int r = drained ? 0 : err_set(&e, -ETIMEDOUT, "not all commands were done in time");

	if (r == 0)
		r = keep(d, &e);
	if (r < 0)
		leave_note(d, e.text);
	return r == 0;
}

/* --- the beginning of the next --- */

void hbad_take_over(struct hbad *d)
{
	struct kept *k = g_new0(struct kept, 1);
	struct err e = {""};
	int r;

	read_note(d);
	r = kept_take(k, &e);
	if (r == 0) {
		d->kept = k;
		return;
	}
	g_free(k);
	if (r == -ENOENT)
		return;
	g_strlcpy(d->start_note, e.text, sizeof(d->start_note));
	log_warn("%s; the controller is started anew", e.text);
}

static int check_kept(const struct hba_config *hc, const struct kept *k, struct err *e)
{
	char addr[PCI_ADDR_LEN] = "";

	if (pci_addr_parse(hc->uri, addr, NULL) < 0 || strcmp(addr, k->addr) != 0)
		return err_set(e, -EXDEV,
			"the configuration says another device (%s) than the hbad before had (%s)", hc->uri,
			k->addr);
	if (hc->capture)
		return err_set(e, -ENOTSUP,
			"the configuration asks for a capture, which begins with a start of the controller");
	return 0;
}

int hbad_adopt(struct kept *k, const struct hba_config *hc, struct io *io, struct hba **ret, struct err *e)
{
	const struct pci_descriptors fds = k->pci;
	struct hba *h = NULL;
	int r = check_kept(hc, k, e);

	if (r == 0) {
		k->pci = (struct pci_descriptors){-1, -1, -1};
		r = hba_import(hc, &fds, io->loop[0], &h, e);
	}
	if (r == 0)
		r = hba_adopt(h, &k->hba, e);
	if (r == 0)
		r = io_start(io, h->n_lanes, e);
	if (r == 0)
		r = hba_start(h, e);
	kept_close(k);
	if (r < 0)
		hba_close(h);
	else
		*ret = h;
	return r;
}
