/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IOMMU groups from sysfs. */
#include "group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tree.h"

#define MAX_MEMBERS 256

int group_of(const char *root, const char *addr)
{
	char name[32], *end;
	int r = tree_link_name(name, sizeof(name), root, "/sys/bus/pci/devices/%s/iommu_group", addr);
	long n;

	if (r == -ENOENT)
		return -ENODEV;
	if (r < 0)
		return r;
	n = strtol(name, &end, 10);
	return end == name || *end || n < 0 || n > INT_MAX ? -EINVAL : (int)n;
}

static bool is_bridge(const char *root, const char *addr)
{
	uint64_t class;

	return tree_number(&class, root, "/sys/bus/pci/devices/%s/class", addr) == 0 && class >> 16 == 0x06;
}

/* Drivers that leave DMA to somebody else, so that the kernel counts the group as viable with them. */
static bool harmless_driver(const char *driver)
{
	return strstr(driver, "vfio") || strcmp(driver, "pci-stub") == 0 || strcmp(driver, "pcieport") == 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Members other than addr, sorted. */
static unsigned members(const char *root, const char *addr, char ret[MAX_MEMBERS][32])
{
	hb_autoclosedir DIR *dir = tree_opendir(root, "/sys/bus/pci/devices/%s/iommu_group/devices", addr);
	const char *name;
	unsigned n = 0;

	while (dir && n < MAX_MEMBERS && (name = tree_next(dir))) {
		if (strcmp(name, addr) == 0 || strlen(name) >= sizeof(ret[0]))
			continue;
		strcpy(ret[n++], name);
	}
	qsort(ret, n, sizeof(ret[0]), by_name);
	return n;
}

unsigned group_others(const char *root, const char *addr, char *ret, size_t cap)
{
	char name[MAX_MEMBERS][32];
	unsigned n = members(root, addr, name), found = 0;
	struct text t;

	text_init(&t, ret, cap);
	for (unsigned i = 0; i < n; i++) {
		if (is_bridge(root, name[i]))
			continue;
		text_item(&t, " ", "%s", name[i]);
		found++;
	}
	return found;
}

unsigned group_blockers(const char *root, const char *addr, char *ret, size_t cap)
{
	char name[MAX_MEMBERS][32];
	unsigned n = members(root, addr, name), found = 0;
	struct text t;

	text_init(&t, ret, cap);
	for (unsigned i = 0; i < n; i++) {
		char driver[32];

		if (tree_link_name(driver, sizeof(driver), root, "/sys/bus/pci/devices/%s/driver", name[i]) <
				0 ||
			harmless_driver(driver))
			continue;
		text_item(&t, ", ", "%s (%s)", name[i], driver);
		found++;
	}
	return found;
}
