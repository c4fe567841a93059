/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel's tables say about the use of a block device: file systems, swap, device-mapper and md (followed
 * upwards), loop devices, LIO.
 */
#include "blkuse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define STACK_MAX 8 /* dm on md on dm ... deeper than anybody builds */

int blk_tables_read(struct blk_tables *t, const char *root)
{
	*t = (struct blk_tables){.root = root};
	/* A missing table (no swap in the kernel) has nothing to say; the exclusive open stays as a net below
	 * it. */
	if (tree_slurp(&t->mounts, root, "/proc/self/mountinfo") == -ENOMEM ||
		tree_slurp(&t->swaps, root, "/proc/swaps") == -ENOMEM)
		return -ENOMEM;
	return lio_read(root, &t->lio, &t->n_lio);
}

void blk_tables_free(struct blk_tables *t)
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

static void blk_read(const struct blk_tables *t, const char *name, struct blk *ret)
{
	*ret = (struct blk){0};
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	tree_line(ret->dev, sizeof(ret->dev), t->root, "/sys/class/block/%s/dev", name);
	tree_line(ret->mapper, sizeof(ret->mapper), t->root, "/sys/class/block/%s/dm/name", name);
}

/* --- mounts --- */

static bool is_node_of(const struct blk *b, const char *source)
{
	if (strncmp(source, "/dev/", 5) != 0)
		return false;
	source += 5;
	if (strcmp(source, b->name) == 0)
		return true;
	return b->mapper[0] && strncmp(source, "mapper/", 7) == 0 && strcmp(source + 7, b->mapper) == 0;
}

static bool mount_line(const struct blk *b, char *line, char *ret, size_t cap)
{
	struct tree_mount m;

	if (!tree_mount_parse(line, &m) ||
		!(strcmp(m.dev, b->dev) == 0 || (m.source && is_node_of(b, m.source))))
		return false;
	snprintf(ret, cap, "%s", m.point);
	return true;
}

static unsigned mounts_of(const struct blk_tables *t, const struct blk *b, char *ret, size_t cap)
{
	hb_autofree char *copy = t->mounts ? strdup(t->mounts) : NULL;
	char *save, *line = copy ? strtok_r(copy, "\n", &save) : NULL, other[PATH_MAX];
	unsigned n = 0;

	for (; line; line = strtok_r(NULL, "\n", &save))
		if (mount_line(b, line, n ? other : ret, n ? sizeof(other) : cap))
			n++;
	return n;
}

/* --- other users of one block device --- */

/* "Filename Type Size Used Priority", with a heading. */
static bool is_swap(const struct blk_tables *t, const struct blk *b)
{
	hb_autofree char *copy = t->swaps ? strdup(t->swaps) : NULL;
	char *save, *line = copy ? strtok_r(copy, "\n", &save) : NULL;

	for (; line; line = strtok_r(NULL, "\n", &save)) {
		line[strcspn(line, " \t")] = '\0';
		tree_unescape(line);
		if (is_node_of(b, line))
			return true;
	}
	return false;
}

static const char *lio_backstore(const struct blk_tables *t, const struct blk *b)
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
static bool direct_use(const struct blk_tables *t, const struct blk *b, struct text *out)
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
static void holder_label(const struct blk_tables *t, const char *name, char *ret, size_t cap)
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

/* Loop devices leave no entry in holders. */
static bool loops_use(const struct blk_tables *t, const struct blk *b, struct text *out)
{
	hb_autoclosedir DIR *dir = tree_opendir(t->root, "/sys/block");
	bool any = false;
	const char *name;

	while (dir && (name = tree_next(dir))) {
		char file[128], item[200];

		if (strncmp(name, "loop", 4) != 0 ||
			tree_line(file, sizeof(file), t->root, "/sys/block/%s/loop/backing_file", name) < 0 ||
			!is_node_of(b, file))
			continue;
		snprintf(item, sizeof(item), "held by %.32s%.120s", name, b->via);
		add_once(out, item);
		any = true;
	}
	return any;
}

static bool use_of(const struct blk_tables *t, const struct blk *b, unsigned depth, struct text *out);

/* A holder is a use even when nothing is on top of it: it has an open descriptor and may write any time. */
static bool holders_use(const struct blk_tables *t, const struct blk *b, unsigned depth, struct text *out)
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
static bool partitions_use(const struct blk_tables *t, const struct blk *b, unsigned depth, struct text *out)
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

static bool use_of(const struct blk_tables *t, const struct blk *b, unsigned depth, struct text *out)
{
	bool used = direct_use(t, b, out);

	used |= loops_use(t, b, out);
	if (depth < STACK_MAX) {
		used |= partitions_use(t, b, depth, out);
		used |= holders_use(t, b, depth, out);
	}
	return used;
}

bool blk_use(const struct blk_tables *t, const char *name, struct text *out)
{
	struct blk b;

	blk_read(t, name, &b);
	return use_of(t, &b, 0, out);
}
