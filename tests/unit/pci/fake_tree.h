/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A made-up machine in a temporary folder: sysfs, procfs, devices. Every path begins with a slash. */
#ifndef HBAD_TEST_FAKE_TREE_H
#define HBAD_TEST_FAKE_TREE_H

#include <check.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HBA "0000:03:00.0"

static char root[64];

static inline void root_make(void)
{
	strcpy(root, "/tmp/hbad-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static inline void root_remove(void)
{
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Folders above path. */
static inline void make_above(char *path)
{
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
}

static inline void put(const char *path, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void put(const char *path, const char *fmt, ...)
{
	char full[PATH_MAX];
	va_list ap;
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	make_above(full);
	f = fopen(full, "w");
	ck_assert_msg(f != NULL, "%s", full);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
}

static inline void put_link(const char *path, const char *target)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", root, path);
	make_above(full);
	unlink(full);
	ck_assert_msg(symlink(target, full) == 0, "%s", full);
}

static inline void put_dir(const char *path)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s%s/", root, path);
	make_above(full);
}

static inline void drop(const char *path)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", root, path);
	nftw(full, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline const char *str(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline const char *str(const char *fmt, ...)
{
	static char ring[32][PATH_MAX];
	static unsigned next;
	char *buf = ring[next++ % 32];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, PATH_MAX, fmt, ap);
	va_end(ap);
	return buf;
}

/* A function of group number (-1: none) with a driver (NULL: none). */
static inline void put_function(const char *addr, const char *class, int group, const char *driver)
{
	put(str("/sys/bus/pci/devices/%s/vendor", addr), "0x1000\n");
	put(str("/sys/bus/pci/devices/%s/device", addr), "0x0079\n");
	put(str("/sys/bus/pci/devices/%s/subsystem_vendor", addr), "0x1000\n");
	put(str("/sys/bus/pci/devices/%s/subsystem_device", addr), "0x9261\n");
	put(str("/sys/bus/pci/devices/%s/class", addr), "%s\n", class);
	put(str("/sys/bus/pci/devices/%s/modalias", addr), "pci:v00001000d00000079\n");
	if (group >= 0) {
		put_link(str("/sys/bus/pci/devices/%s/iommu_group", addr),
			str("../../../../kernel/iommu_groups/%d", group));
		put_link(str("/sys/kernel/iommu_groups/%d/devices/%s", group, addr),
			str("../../../../bus/pci/devices/%s", addr));
	}
	if (driver) {
		put_dir(str("/sys/bus/pci/drivers/%s", driver));
		put_link(str("/sys/bus/pci/devices/%s/driver", addr), str("../../drivers/%s", driver));
	}
}

/* A block device at a place in the device tree: "pci0000:00/0000:03:00.0/host0" or "virtual". */
static inline void put_blk(const char *place, const char *name, const char *dev)
{
	put(str("/sys/devices/%s/block/%s/dev", place, name), "%s\n", dev);
	put(str("/sys/devices/%s/block/%s/size", place, name), "4194304\n");
	put_dir(str("/sys/devices/%s/block/%s/holders", place, name));
	put_link(str("/sys/block/%s", name), str("../devices/%s/block/%s", place, name));
	put_link(str("/sys/class/block/%s", name), str("../../devices/%s/block/%s", place, name));
	put(str("/dev/%s", name), "%s", "");
}

static inline void put_disk(const char *addr, const char *name, const char *dev)
{
	const char *place = str("pci0000:00/%s/host0", addr);

	put_blk(place, name, dev);
	put(str("/sys/devices/%s/block/%s/device/vendor", place, name), "QEMU    \n");
	put(str("/sys/devices/%s/block/%s/device/model", place, name), "QEMU HARDDISK   \n");
}

static inline void put_partition(const char *addr, const char *disk, unsigned n, const char *dev)
{
	const char *place = str("pci0000:00/%s/host0/block/%s/%s%u", addr, disk, disk, n);

	put(str("/sys/devices/%s/dev", place), "%s\n", dev);
	put(str("/sys/devices/%s/partition", place), "%u\n", n);
	put_dir(str("/sys/devices/%s/holders", place));
	put_link(str("/sys/class/block/%s%u", disk, n), str("../../devices/%s", place));
	put(str("/dev/%s%u", disk, n), "%s", "");
}

/* Device-mapper or md on top of a block device. */
static inline void put_holder(const char *below, const char *name, const char *dev)
{
	char real[PATH_MAX];

	put_blk("virtual", name, dev);
	ck_assert_ptr_nonnull(realpath(str("%s/sys/class/block/%s/holders", root, below), real));
	put_link(str("%s/%s", real + strlen(root), name), str("../../%s", name));
}

static inline void put_mounts(const char *more)
{
	put("/proc/self/mountinfo",
		"22 1 252:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
		"23 22 0:21 / /proc rw - proc proc rw\n%s",
		more);
}

#endif
