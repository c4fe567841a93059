/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The disks below a PCI function, and whether anything uses them: the kernel's tables first, then processes that
 * have them open, then an exclusive open, which meets whoever else holds a claim (other mount namespaces, members
 * of a btrfs or ZFS pool).
 */
#include "disks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "blkuse.h"
#include "openers.h"

#define CLAIM_TRIES  5 /* udev and smartd open disks for moments */
#define CLAIM_GAP_MS 100

struct scan {
	struct blk_tables tables;
	disk_claim_fn claim;
};

/* --- exclusive opens --- */

int disk_claim(const char *path)
{
	int fd = open(path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* sysfs writes '!' for a '/' in a device's name. */
static int claim_by_name(const char *root, disk_claim_fn claim, const char *name)
{
	char path[PATH_MAX];
	int r = tree_path(path, root, "/dev/%s", name);

	if (r < 0)
		return r;
	for (char *p = path + strlen(path) - strlen(name); *p; p++)
		if (*p == '!')
			*p = '/';
	for (int i = 0; i < CLAIM_TRIES; i++) {
		if (i)
			clock_sleep_ms(CLAIM_GAP_MS);
		r = claim(path);
		if (r != -EBUSY)
			break;
	}
	return r;
}

/* Character devices of the same SCSI device, which pass commands by the block device and its claims. */
static const struct passage {
	const char *names; /* folder below the SCSI device */
	const char *nodes;
} passages[] = {
	{"scsi_generic", "/dev"},
	{"bsg", "/dev/bsg"},
};

static bool passage_open(const char *root, const char *disk, const struct passage *p, char *ret, size_t cap)
{
	hb_autoclosedir DIR *dir = tree_opendir(root, "/sys/class/block/%s/device/%s", disk, p->names);
	const char *name;

	while (dir && (name = tree_next(dir))) {
		char node[NAME_MAX + 16];
		struct text t;

		snprintf(node, sizeof(node), "%s/%s", p->nodes, name);
		if (!openers_find(root, node, false, ret, cap))
			continue;
		t = (struct text){ret, cap, strlen(ret)};
		text_add(&t, " as %s", node);
		return true;
	}
	return false;
}

static bool any_open(const char *root, const char *disk, char *ret, size_t cap)
{
	char node[64];

	snprintf(node, sizeof(node), "/dev/%s", disk);
	if (openers_find(root, node, true, ret, cap))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(passages); i++)
		if (passage_open(root, disk, &passages[i], ret, cap))
			return true;
	return false;
}

/* Who reads and writes the disk without a claim on it: a virtual machine, dd, a tcmu-runner handler. */
static bool stays_open(const char *root, const char *disk, char *ret, size_t cap)
{
	for (int i = 0; i < CLAIM_TRIES; i++) {
		if (i)
			clock_sleep_ms(CLAIM_GAP_MS);
		if (!any_open(root, disk, ret, cap))
			return false;
	}
	return true;
}

static void disk_use(const struct scan *s, struct pci_disk *d)
{
	struct text out;
	char who[100];
	int fd;

	text_init(&out, d->use, sizeof(d->use));
	if (blk_use(&s->tables, d->name, &out))
		return;
	if (stays_open(s->tables.root, d->name, who, sizeof(who))) {
		text_add(&out, "open by %s", who);
		return;
	}
	fd = claim_by_name(s->tables.root, s->claim, d->name);
	if (fd == -EBUSY)
		text_add(&out, "open by another process, or mounted where this process cannot see it");
	hb_close(&fd);
}

/* --- disks of a function --- */

static void disk_read(const struct scan *s, const char *name, struct pci_disk *d)
{
	char vendor[32] = "", model[48] = "";
	uint64_t sectors = 0;

	*d = (struct pci_disk){0};
	snprintf(d->name, sizeof(d->name), "%s", name);
	tree_line(vendor, sizeof(vendor), s->tables.root, "/sys/class/block/%s/device/vendor", name);
	tree_line(model, sizeof(model), s->tables.root, "/sys/class/block/%s/device/model", name);
	/* Not SCSI (virtio-blk has a PCI number there): no name to show. */
	if (!model[0])
		vendor[0] = '\0';
	snprintf(d->model, sizeof(d->model), "%.14s%s%.48s", vendor, vendor[0] && model[0] ? " " : "", model);
	if (tree_number(&sectors, s->tables.root, "/sys/class/block/%s/size", name) == 0)
		d->bytes = sectors * 512;
	disk_use(s, d);
}

/* /sys/block/sda points into the device tree, along the PCI functions above it. */
static bool below(const char *root, const char *name, const char *addr)
{
	char path[PATH_MAX], target[PATH_MAX], part[PCI_ADDR_LEN + 2];
	ssize_t n;

	if (tree_path(path, root, "/sys/block/%s", name) < 0)
		return false;
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	snprintf(part, sizeof(part), "/%s/", addr);
	return strstr(target, part);
}

static int by_version(const void *a, const void *b)
{
	return strverscmp(((const struct pci_disk *)a)->name, ((const struct pci_disk *)b)->name);
}

static int disks_list(const struct scan *s, const char *addr, struct pci_disk **ret, unsigned *ret_n)
{
	hb_autoclosedir DIR *dir = tree_opendir(s->tables.root, "/sys/block");
	struct pci_disk *all = NULL;
	const char *name;
	unsigned n = 0;

	while (dir && (name = tree_next(dir))) {
		struct pci_disk *bigger;

		if (!below(s->tables.root, name, addr))
			continue;
		bigger = realloc(all, (n + 1) * sizeof(*all));
		if (!bigger) {
			free(all);
			return -ENOMEM;
		}
		all = bigger;
		disk_read(s, name, &all[n++]);
	}
	if (n)
		qsort(all, n, sizeof(*all), by_version);
	*ret = all;
	*ret_n = n;
	return 0;
}

int disks_read(const char *root, const char *addr, disk_claim_fn claim, struct pci_disk **ret,
	unsigned *ret_n, struct err *e)
{
	struct scan s = {.claim = claim};
	int r = blk_tables_read(&s.tables, root);

	if (r == 0)
		r = disks_list(&s, addr, ret, ret_n);
	blk_tables_free(&s.tables);
	return r < 0 ? err_set(e, r, "%s: cannot look at its disks: %s", addr, strerror(-r)) : 0;
}

static int used_error(const char *addr, const struct pci_disk *d, unsigned n, struct err *e)
{
	char what[320];
	struct text t;

	text_init(&t, what, sizeof(what));
	for (unsigned i = 0; i < n; i++)
		if (d[i].use[0])
			text_item(&t, "; ", "%s is %s", d[i].name, d[i].use);
	if (!t.len)
		return 0;
	return err_set(e, -EBUSY, "%s is in use: %s. Unmount, swapoff or stop what uses its disks first",
		addr, what);
}

int pci_check_unused(const char *root, const struct pci_candidate *c, struct err *e)
{
	struct pci_disk *d = NULL;
	unsigned n = 0;
	/* Read again: what c says may be old. */
	int r = disks_read(root, c->addr, disk_claim, &d, &n, e);

	if (r == 0)
		r = used_error(c->addr, d, n, e);
	free(d);
	return r;
}

int disks_claim(
	const char *root, const char *addr, disk_claim_fn claim, struct disk_claims *ret, struct err *e)
{
	hb_autofree struct pci_disk *d = NULL;
	unsigned n = 0;
	int r = disks_read(root, addr, claim, &d, &n, e);

	*ret = (struct disk_claims){0};
	if (r == 0)
		r = used_error(addr, d, n, e);
	if (r < 0 || !n)
		return r;
	ret->fd = malloc(n * sizeof(*ret->fd));
	if (!ret->fd)
		return err_set(e, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < n; i++) {
		int fd = claim_by_name(root, claim, d[i].name);

		if (fd == -EBUSY) {
			disks_release(ret);
			return err_set(
				e, -EBUSY, "%s is in use: somebody has just opened %s", addr, d[i].name);
		}
		/* A disk that cannot be opened at all (no medium, failed) can be used by nobody else either. */
		if (fd >= 0)
			ret->fd[ret->n++] = fd;
	}
	return 0;
}

void disks_release(struct disk_claims *c)
{
	while (c->n)
		hb_close(&c->fd[--c->n]);
	free(c->fd);
	*c = (struct disk_claims){0};
}
