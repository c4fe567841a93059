/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What uses the disks below a PCI function: file systems, swap, device-mapper and md (followed upwards), LIO,
 * and whoever else holds an exclusive claim (other mount namespaces, btrfs members, programs that open with
 * O_EXCL). A program that merely reads a disk cannot be seen.
 */
#include "disks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "tree.h"

#define STACK_MAX    8 /* dm on md on dm ... deeper than anybody builds */
#define CLAIM_TRIES  5 /* udev and smartd claim disks for moments */
#define CLAIM_GAP_MS 100

/* The machine's tables, read once for all disks. */
struct tables {
	const char *root;
	disk_claim_fn claim;
	char *mounts, *swaps;
	struct lio_disk *lio;
	unsigned n_lio;
};

static int tables_read(struct tables *t, const char *root, disk_claim_fn claim)
{
	*t = (struct tables){.root = root, .claim = claim};
	/* A missing table (no swap in the kernel) has nothing to say; the exclusive open stays as a net below
	 * it. */
	if (tree_slurp(&t->mounts, root, "/proc/self/mountinfo") == -ENOMEM ||
		tree_slurp(&t->swaps, root, "/proc/swaps") == -ENOMEM)
		return -ENOMEM;
	return lio_read(root, &t->lio, &t->n_lio);
}

static void tables_free(struct tables *t)
{
	free(t->mounts);
	free(t->swaps);
	free(t->lio);
}

/* One block device on the way up: the disk, a partition, or what is stacked on them. */
struct blk {
	char name[64];	  /* "sda1", "dm-0" */
	char dev[32];	  /* "8:1" */
	char mapper[128]; /* device-mapper's name, else empty */
	char via[160];	  /* " through dm-0 (LVM vg-root)", or " (sda1)", or empty for the disk itself */
};

static void blk_read(const struct tables *t, const char *name, struct blk *ret)
{
	*ret = (struct blk){0};
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	tree_line(ret->dev, sizeof(ret->dev), t->root, "/sys/class/block/%s/dev", name);
	tree_line(ret->mapper, sizeof(ret->mapper), t->root, "/sys/class/block/%s/dm/name", name);
}

/* --- mounts --------------------------------------------------------------------------------------------- */

/* mountinfo and swaps write blanks and such as backslash and three octal digits. */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
			s[3] <= '7') {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

static bool is_node_of(const struct blk *b, const char *source)
{
	if (strncmp(source, "/dev/", 5) != 0)
		return false;
	source += 5;
	if (strcmp(source, b->name) == 0)
		return true;
	return b->mapper[0] && strncmp(source, "mapper/", 7) == 0 && strcmp(source + 7, b->mapper) == 0;
}

/* "36 35 98:0 /root /mount/point options fields... - type source superoptions" (proc(5)). The number names
 * the device, except for file systems like btrfs that have their own: there the source does. */
static bool mount_line(const struct blk *b, char *line, char *ret, size_t cap)
{
	char *save, *dev = NULL, *point = NULL, *source = NULL, *word = strtok_r(line, " ", &save);

	for (int i = 0; word; i++, word = strtok_r(NULL, " ", &save)) {
		if (i == 2)
			dev = word;
		else if (i == 4)
			point = word;
		else if (i > 5 && strcmp(word, "-") == 0) {
			strtok_r(NULL, " ", &save);
			source = strtok_r(NULL, " ", &save);
			break;
		}
	}
	if (!point || !(strcmp(dev, b->dev) == 0 || (source && is_node_of(b, source))))
		return false;
	unescape(point);
	snprintf(ret, cap, "%s", point);
	return true;
}

static unsigned mounts_of(const struct tables *t, const struct blk *b, char *ret, size_t cap)
{
	hb_autofree char *copy = t->mounts ? strdup(t->mounts) : NULL;
	char *save, *line = copy ? strtok_r(copy, "\n", &save) : NULL, other[PATH_MAX];
	unsigned n = 0;

	for (; line; line = strtok_r(NULL, "\n", &save))
		if (mount_line(b, line, n ? other : ret, n ? sizeof(other) : cap))
			n++;
	return n;
}

/* --- other users of one block device -------------------------------------------------------------------- */

/* "Filename Type Size Used Priority", with a heading. */
static bool is_swap(const struct tables *t, const struct blk *b)
{
	hb_autofree char *copy = t->swaps ? strdup(t->swaps) : NULL;
	char *save, *line = copy ? strtok_r(copy, "\n", &save) : NULL;

	for (; line; line = strtok_r(NULL, "\n", &save)) {
		line[strcspn(line, " \t")] = '\0';
		unescape(line);
		if (is_node_of(b, line))
			return true;
	}
	return false;
}

static const char *lio_backstore(const struct tables *t, const struct blk *b)
{
	for (unsigned i = 0; i < t->n_lio; i++)
		if (strcmp(t->lio[i].node, b->name) == 0 ||
			(b->mapper[0] && strcmp(t->lio[i].node, b->mapper) == 0))
			return t->lio[i].backstore;
	return NULL;
}

/* Two partitions in one RAID lead to the same file system: said once. */
static void add_once(struct text *out, const char *item)
{
	if (!strstr(out->buf, item))
		text_item(out, ", ", "%s", item);
}

/* True when something uses b itself. */
static bool direct_use(const struct tables *t, const struct blk *b, struct text *out)
{
	const char *backstore = lio_backstore(t, b);
	char point[PATH_MAX], item[320];
	unsigned n = mounts_of(t, b, point, sizeof(point));
	bool swap = is_swap(t, b);

	if (n == 1)
		snprintf(item, sizeof(item), "mounted on %.60s%s", point, b->via);
	else if (n)
		snprintf(item, sizeof(item), "mounted on %.60s and %u more%s", point, n - 1, b->via);
	if (n)
		add_once(out, item);
	if (swap) {
		snprintf(item, sizeof(item), "swap%s", b->via);
		add_once(out, item);
	}
	if (backstore) {
		snprintf(item, sizeof(item), "exported by LIO as %s%s", backstore, b->via);
		add_once(out, item);
	}
	return n || swap || backstore;
}

/* "dm-0 (LVM vg-root)" */
static void holder_label(const struct tables *t, const char *name, char *ret, size_t cap)
{
	char uuid[160] = "", mapper[64] = "";
	const char *kind = "device-mapper";

	if (strncmp(name, "md", 2) == 0) {
		snprintf(ret, cap, "%s (md RAID)", name);
		return;
	}
	if (tree_line(uuid, sizeof(uuid), t->root, "/sys/class/block/%s/dm/uuid", name) < 0) {
		snprintf(ret, cap, "%s", name);
		return;
	}
	if (strncmp(uuid, "LVM-", 4) == 0)
		kind = "LVM";
	else if (strncmp(uuid, "mpath-", 6) == 0)
		kind = "multipath";
	else if (strncmp(uuid, "CRYPT-", 6) == 0)
		kind = "crypt";
	tree_line(mapper, sizeof(mapper), t->root, "/sys/class/block/%s/dm/name", name);
	snprintf(ret, cap, "%s (%s%s%s)", name, kind, mapper[0] ? " " : "", mapper);
}

static bool use_of(const struct tables *t, const struct blk *b, unsigned depth, struct text *out);

/* A holder is a use even when nothing is on top of it: it has an open descriptor and may write any time. */
static bool holders_use(const struct tables *t, const struct blk *b, unsigned depth, struct text *out)
{
	hb_autoclosedir DIR *dir = tree_opendir(t->root, "/sys/class/block/%s/holders", b->name);
	bool any = false;
	const char *name;

	while (dir && (name = tree_next(dir))) {
		char label[160], item[200];
		bool used = false;
		struct blk h;

		holder_label(t, name, label, sizeof(label));
		if (depth < STACK_MAX) {
			blk_read(t, name, &h);
			snprintf(h.via, sizeof(h.via), " through %.140s", label);
			used = use_of(t, &h, depth + 1, out);
		}
		if (!used) {
			snprintf(item, sizeof(item), "held by %s", label);
			add_once(out, item);
		}
		any = true;
	}
	return any;
}

/* Partitions are folders of their disk that have a number in "partition". */
static bool partitions_use(const struct tables *t, const struct blk *b, unsigned depth, struct text *out)
{
	hb_autoclosedir DIR *dir = tree_opendir(t->root, "/sys/class/block/%s", b->name);
	bool any = false;
	const char *name;

	while (dir && (name = tree_next(dir))) {
		struct blk p;

		if (!tree_exists(t->root, "/sys/class/block/%s/%s/partition", b->name, name))
			continue;
		blk_read(t, name, &p);
		snprintf(p.via, sizeof(p.via), " (%.32s)%.120s", name, b->via);
		any |= use_of(t, &p, depth + 1, out);
	}
	return any;
}

static bool use_of(const struct tables *t, const struct blk *b, unsigned depth, struct text *out)
{
	bool used = direct_use(t, b, out);

	if (depth < STACK_MAX) {
		used |= partitions_use(t, b, depth, out);
		used |= holders_use(t, b, depth, out);
	}
	return used;
}

/* --- exclusive opens ------------------------------------------------------------------------------------ */

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

static void disk_use(const struct tables *t, struct pci_disk *d)
{
	struct text out;
	struct blk b;
	int fd;

	text_init(&out, d->use, sizeof(d->use));
	blk_read(t, d->name, &b);
	if (use_of(t, &b, 0, &out))
		return;
	fd = claim_by_name(t->root, t->claim, d->name);
	if (fd == -EBUSY)
		text_add(&out, "open by another process, or mounted where this process cannot see it");
	hb_close(&fd);
}

/* --- disks of a function -------------------------------------------------------------------------------- */

static void disk_read(const struct tables *t, const char *name, struct pci_disk *d)
{
	char vendor[32] = "", model[48] = "";
	uint64_t sectors = 0;

	*d = (struct pci_disk){0};
	snprintf(d->name, sizeof(d->name), "%s", name);
	tree_line(vendor, sizeof(vendor), t->root, "/sys/class/block/%s/device/vendor", name);
	tree_line(model, sizeof(model), t->root, "/sys/class/block/%s/device/model", name);
	snprintf(d->model, sizeof(d->model), "%.14s%s%.48s", vendor, vendor[0] && model[0] ? " " : "", model);
	if (tree_number(&sectors, t->root, "/sys/class/block/%s/size", name) == 0)
		d->bytes = sectors * 512;
	disk_use(t, d);
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

static int disks_list(const struct tables *t, const char *addr, struct pci_disk **ret, unsigned *ret_n)
{
	hb_autoclosedir DIR *dir = tree_opendir(t->root, "/sys/block");
	struct pci_disk *all = NULL;
	const char *name;
	unsigned n = 0;

	while (dir && (name = tree_next(dir))) {
		struct pci_disk *bigger;

		if (!below(t->root, name, addr))
			continue;
		bigger = realloc(all, (n + 1) * sizeof(*all));
		if (!bigger) {
			free(all);
			return -ENOMEM;
		}
		all = bigger;
		disk_read(t, name, &all[n++]);
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
	struct tables t;
	int r = tables_read(&t, root, claim);

	if (r == 0)
		r = disks_list(&t, addr, ret, ret_n);
	tables_free(&t);
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
		/* A disk that cannot be opened at all (no medium, failed) can be used by nobody else either.
		 */
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
