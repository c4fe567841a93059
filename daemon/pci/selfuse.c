/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Paths and swap on own LUNs: downwards, from what is used to the disk. */
#include "selfuse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/vpd83.h"
#include "tree.h"

#define DEPTH_MAX 12 /* a file in a loop device on dm on md on a partition ... */

struct look {
	const struct selfuse_query *q;
	const char *mounts; /* NULL: there is no table */
	char disk[32];	    /* the one that was found */
};

/* --- downwards --- */

static bool path_is_on_own(struct look *l, const char *path, unsigned depth);
static bool is_on_own(struct look *l, const char *dev, unsigned depth);

/* id: the bytes behind "naa." */
static bool is_own_naa(const struct look *l, const uint8_t *id, size_t len)
{
	char name[4 + 2 * 16 + 1] = "naa.";

	if (len > 16)
		return false;
	for (size_t i = 0; i < len; i++)
		sprintf(name + 4 + 2 * i, "%02x", id[i]);
	for (unsigned i = 0; i < l->q->n_naa; i++)
		if (l->q->naa[i][0] && !strcasecmp(name, l->q->naa[i]))
			return true;
	return false;
}

/* The Device Identification page [SPC-4 7.8.6], of which the kernel's wwid is one designator: which one depends on all of
 * them. */
static bool has_own_designator(struct look *l, const char *name)
{
	uint8_t page[4096];
	int n = tree_bytes(page, sizeof(page), l->q->root, "/sys/class/block/%s/device/vpd_pg83", name);
	size_t at = 4, len, end = n < 4 ? 0 : MIN((size_t)n, 4u + (page[2] << 8 | page[3]));
	const uint8_t *d;

	while (vpd83_next(page, end, &at, &d, &len)) {
		/* NAA, of the logical unit */
		if ((d[1] & 0x3f) == 3 && is_own_naa(l, d + 4, len - 4)) {
			snprintf(l->disk, sizeof(l->disk), "%.31s", name);
			return true;
		}
	}
	return false;
}

static bool slave_is_own(struct look *l, const char *name, unsigned depth)
{
	hb_autoclosedir DIR *dir = tree_opendir(l->q->root, "/sys/class/block/%s/slaves", name);
	const char *slave;
	char dev[32];

	while (dir && (slave = tree_next(dir)))
		if (tree_line(dev, sizeof(dev), l->q->root, "/sys/class/block/%s/dev", slave) >= 0 &&
			is_on_own(l, dev, depth + 1))
			return true;
	return false;
}

/* dev: "8:17" */
static bool is_on_own(struct look *l, const char *dev, unsigned depth)
{
	const char *root = l->q->root;
	char name[64], below[PATH_MAX];

	if (depth > DEPTH_MAX || tree_link_name(name, sizeof(name), root, "/sys/dev/block/%s", dev) < 0)
		return false;
	if (tree_exists(root, "/sys/class/block/%s/partition", name))
		return tree_line(below, sizeof(below), root, "/sys/class/block/%s/../dev", name) >= 0 &&
		       is_on_own(l, below, depth + 1);
	if (tree_line(below, sizeof(below), root, "/sys/class/block/%s/loop/backing_file", name) >= 0)
		return path_is_on_own(l, below, depth + 1);
	return has_own_designator(l, name) || slave_is_own(l, name, depth);
}

/* "/dev/sdb2", or a name of it like "/dev/mapper/vg-swap" */
static bool node_is_on_own(struct look *l, const char *node, unsigned depth)
{
	const char *last = strrchr(node, '/');
	char name[64], dev[32];

	if (tree_link_name(name, sizeof(name), l->q->root, "%s", node) < 0)
		snprintf(name, sizeof(name), "%.63s", last ? last + 1 : node);
	return tree_line(dev, sizeof(dev), l->q->root, "/sys/class/block/%s/dev", name) >= 0 &&
	       is_on_own(l, dev, depth + 1);
}

/* --- mounts --- */

static bool is_below(const char *path, const char *point)
{
	size_t n = strlen(point);

	return !strcmp(point, "/") || (!strncmp(path, point, n) && (path[n] == '/' || !path[n]));
}

/* The mount that shows path: the longest point, and of several at one point the last. */
static bool mount_of(char *table, const char *path, struct tree_mount *ret)
{
	char *save, *line = strtok_r(table, "\n", &save);
	size_t longest = 0;

	for (; line; line = strtok_r(NULL, "\n", &save)) {
		struct tree_mount m;

		if (!tree_mount_parse(line, &m) || !is_below(path, m.point) || strlen(m.point) < longest)
			continue;
		longest = strlen(m.point);
		*ret = m;
	}
	return longest;
}

/* File systems over several disks, like btrfs, have a number of their own; the source names one of the disks. */
static bool path_is_on_own(struct look *l, const char *path, unsigned depth)
{
	hb_autofree char *table = l->mounts ? strdup(l->mounts) : NULL;
	struct tree_mount m;

	if (depth > DEPTH_MAX || !table || !mount_of(table, path, &m))
		return false;
	if (strncmp(m.dev, "0:", 2))
		return is_on_own(l, m.dev, depth + 1);
	return m.source && !strncmp(m.source, "/dev/", 5) && node_is_on_own(l, m.source, depth + 1);
}

/* --- what is asked for --- */

static unsigned add(struct look *l, const char *what, const char *path, struct selfuse *ret, unsigned n)
{
	if (n < SELFUSE_MAX) {
		snprintf(ret[n].what, sizeof(ret[n].what), "%.40s (%.80s)", what, path);
		snprintf(ret[n].disk, sizeof(ret[n].disk), "%s", l->disk);
		n++;
	}
	return n;
}

/* "Filename Type Size Used Priority", with a heading. */
static unsigned find_swap(struct look *l, struct selfuse *ret, unsigned n)
{
	hb_autofree char *swaps = NULL;
	char *save, *line;

	if (tree_slurp(&swaps, l->q->root, "/proc/swaps") < 0)
		return n;
	for (line = strtok_r(swaps, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		line[strcspn(line, " \t")] = '\0';
		tree_unescape(line);
		if (!strncmp(line, "/dev/", 5) ? node_is_on_own(l, line, 0)
					       : line[0] == '/' && path_is_on_own(l, line, 0))
			n = add(l, "swap", line, ret, n);
	}
	return n;
}

unsigned selfuse_find(const struct selfuse_query *q, struct selfuse ret[SELFUSE_MAX])
{
	hb_autofree char *mounts = NULL;
	struct look l = {.q = q};
	unsigned n = 0;

	if (tree_slurp(&mounts, q->root, "/proc/self/mountinfo") >= 0)
		l.mounts = mounts;
	for (unsigned i = 0; i < q->n_paths; i++)
		if (q->path[i].path && q->path[i].path[0] == '/' && path_is_on_own(&l, q->path[i].path, 0))
			n = add(&l, q->path[i].what, q->path[i].path, ret, n);
	return find_swap(&l, ret, n);
}

void selfuse_sentence(const struct selfuse *u, char *ret, size_t cap)
{
	snprintf(ret, cap,
		"%s is on %s, a LUN of this hbad: one that is restarted would have to read from it before "
		"it can serve it, and may hang for ever with all of its LUNs; move it to a disk that is not "
		"behind this HBA",
		u->what, u->disk);
}
