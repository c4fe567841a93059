/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which block devices LIO exports, from its backstores in configfs. */
#include "disks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tree.h"

#define CORE "/sys/kernel/config/target/core"

/* Name of the block device that a path like /dev/disk/by-id/x means. */
static void node_name(const char *root, const char *udev_path, char *ret, size_t cap)
{
	char path[PATH_MAX], real[PATH_MAX];
	const char *at = udev_path, *base;

	if (tree_path(path, root, "%s", udev_path) == 0 && realpath(path, real))
		at = real;
	base = strrchr(at, '/');
	snprintf(ret, cap, "%s", base ? base + 1 : at);
}

static int add(struct lio_disk **all, unsigned *n, const struct lio_disk *d)
{
	struct lio_disk *bigger = realloc(*all, (*n + 1) * sizeof(*bigger));

	if (!bigger)
		return -ENOMEM;
	bigger[(*n)++] = *d;
	*all = bigger;
	return 0;
}

/* One folder of core: "iblock_0", with one folder per backstore. */
static int read_hba(const char *root, const char *hba, struct lio_disk **all, unsigned *n)
{
	hb_autoclosedir DIR *dir = tree_opendir(root, CORE "/%s", hba);
	const char *name;
	int r = 0;

	while (r == 0 && dir && (name = tree_next(dir))) {
		char path[PATH_MAX];
		struct lio_disk d;

		if (tree_line(path, sizeof(path), root, CORE "/%s/%s/udev_path", hba, name) <= 0)
			continue;
		node_name(root, path, d.node, sizeof(d.node));
		snprintf(d.backstore, sizeof(d.backstore), "%.40s/%.50s", hba, name);
		r = add(all, n, &d);
	}
	return r;
}

int lio_read(const char *root, struct lio_disk **ret, unsigned *ret_n)
{
	hb_autoclosedir DIR *dir = tree_opendir(root, CORE);
	struct lio_disk *all = NULL;
	const char *hba;
	unsigned n = 0;
	int r = 0;

	while (r == 0 && dir && (hba = tree_next(dir)))
		r = read_hba(root, hba, &all, &n);
	if (r < 0) {
		free(all);
		return r;
	}
	*ret = all;
	*ret_n = n;
	return 0;
}
