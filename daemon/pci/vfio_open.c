/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening a function through VFIO, and saying why it cannot be done. */
#include "vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cfgspace.h"
#include "group.h"
#include "openers.h"
#include "tree.h"

#define CONTAINER "/dev/vfio/vfio"
#define TO_VFIO                                                                                              \
	"give it to vfio-pci: hbactl bind NAME --user hbad, or hbactl attach %s when no instance has it"

/* --- what sysfs can tell before anything is opened --- */

static int check_group(struct vfio_dev *v, struct err *e)
{
	char name[32] = "";

	v->group_no = group_of(v->root, v->addr);
	if (v->group_no < 0)
		return err_set(e, v->group_no,
			"%s has no IOMMU group: switch the IOMMU on (VT-d or AMD-Vi in the BIOS setup, "
			"intel_iommu=on on the "
			"kernel command line) and reboot",
			v->addr);
	tree_line(name, sizeof(name), v->root, "/sys/bus/pci/devices/%s/iommu_group/name", v->addr);
	if (strcmp(name, "vfio-noiommu") == 0)
		return err_set(e, -EPERM,
			"%s is in VFIO's no-IOMMU mode, where the controller could overwrite any memory; "
			"hbad does not run like "
			"that: switch the IOMMU on (BIOS setup, intel_iommu=on)",
			v->addr);
	return 0;
}

static int check_driver(struct vfio_dev *v, struct err *e)
{
	char driver[64];
	int r = tree_link_name(driver, sizeof(driver), v->root, "/sys/bus/pci/devices/%s/driver", v->addr);

	if (r < 0)
		return err_set(e, -ENXIO, "%s has no driver; " TO_VFIO, v->addr, v->addr);
	if (!strstr(driver, "vfio"))
		return err_set(
			e, -ENXIO, "%s belongs to the kernel driver %s; " TO_VFIO, v->addr, driver, v->addr);
	return 0;
}

int vfio_check_sysfs(struct vfio_dev *v, struct err *e)
{
	int r;

	if (!tree_exists(v->root, "/sys/bus/pci/devices/%s", v->addr))
		return err_set(e, -ENOENT,
			"there is no PCI device %s; 'hbactl candidates' lists what there is", v->addr);
	r = check_group(v, e);
	return r < 0 ? r : check_driver(v, e);
}

/* --- container and group --- */

static int container_error(int err, struct err *e)
{
	switch (err) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return err_set(e, -err, CONTAINER " is missing: the kernel has no VFIO; modprobe vfio-pci");
	case EACCES:
	case EPERM:
		return err_set(e, -err,
			"no permission to open " CONTAINER "; hbad must run as root or in its group");
	default:
		return err_set(e, -err, "cannot open " CONTAINER ": %s", strerror(err));
	}
}

static int open_container(struct vfio_dev *v, int *ret_type, struct err *e)
{
	static const int types[] = {VFIO_TYPE1v2_IOMMU, VFIO_TYPE1_IOMMU};
	int api;

	v->container = v->sys->open(CONTAINER, O_RDWR);
	if (v->container < 0)
		return container_error(errno, e);
	api = v->sys->ioctl(v->container, VFIO_GET_API_VERSION, NULL);
	if (api != VFIO_API_VERSION)
		return err_set(e, -ENOTSUP, CONTAINER " speaks VFIO version %d, hbad speaks %d", api,
			VFIO_API_VERSION);
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
		if (v->sys->ioctl(v->container, VFIO_CHECK_EXTENSION, (void *)(uintptr_t)types[i]) > 0) {
			*ret_type = types[i];
			return 0;
		}
	return err_set(
		e, -ENOTSUP, "the kernel has no type 1 IOMMU support for VFIO; modprobe vfio_iommu_type1");
}

static int group_error(struct vfio_dev *v, int err, const char *node, struct err *e)
{
	char who[160], noiommu[64];

	snprintf(noiommu, sizeof(noiommu), "/dev/vfio/noiommu-%d", v->group_no);
	switch (err) {
	case EBUSY:
		if (!openers_find(v->root, node, false, who, sizeof(who)))
			snprintf(who, sizeof(who), "another process");
		return err_set(e, -EBUSY, "%s is in use: %s has %s open; stop it first", v->addr, who, node);
	case ENOENT:
		if (tree_exists(v->root, "%s", noiommu))
			return err_set(e, -EPERM,
				"%s is in VFIO's no-IOMMU mode, which hbad refuses: switch the IOMMU on",
				v->addr);
		return err_set(e, -ENOENT,
			"%s is missing although %s has a VFIO driver; is it still being set up?", node,
			v->addr);
	case EACCES:
	case EPERM:
		return err_set(e, -err,
			"no permission to open %s for %s; hbad must run as root or own that node: hbactl "
			"bind "
			"NAME --user hbad",
			node, v->addr);
	case ENODEV:
		return err_set(e, -ENODEV, "%s has just left: its group %s is gone", v->addr, node);
	default:
		return err_set(e, -err, "cannot open %s for %s: %s", node, v->addr, strerror(err));
	}
}

static int check_viable(struct vfio_dev *v, struct err *e)
{
	struct vfio_group_status st = {.argsz = sizeof(st)};
	char who[256];

	if (v->sys->ioctl(v->group, VFIO_GROUP_GET_STATUS, &st) < 0)
		return err_set(e, -errno, "%s: cannot ask for the state of IOMMU group %d: %m", v->addr,
			v->group_no);
	if (st.flags & VFIO_GROUP_FLAGS_VIABLE)
		return 0;
	if (!group_blockers(v->root, v->addr, who, sizeof(who)))
		snprintf(who, sizeof(who), "devices that sysfs does not name");
	return err_set(e, -EBUSY,
		"IOMMU group %d of %s is shared with %s: the IOMMU cannot keep them apart; unbind those from "
		"their drivers, or "
		"put the controller into another slot",
		v->group_no, v->addr, who);
}

static int open_group(struct vfio_dev *v, struct err *e)
{
	char node[64];

	snprintf(node, sizeof(node), "/dev/vfio/%d", v->group_no);
	v->group = v->sys->open(node, O_RDWR);
	return v->group < 0 ? group_error(v, errno, node, e) : check_viable(v, e);
}

static int join(struct vfio_dev *v, int type, struct err *e)
{
	if (v->sys->ioctl(v->group, VFIO_GROUP_SET_CONTAINER, &v->container) < 0)
		return err_set(
			e, -errno, "%s: IOMMU group %d cannot join a container: %m", v->addr, v->group_no);
	if (v->sys->ioctl(v->container, VFIO_SET_IOMMU, (void *)(uintptr_t)type) == 0)
		return 0;
	if (errno == EPERM)
		return err_set(e, -EPERM,
			"the IOMMU does not take %s: no interrupt remapping (switch it on in the BIOS "
			"setup), or memory that the "
			"firmware reserved for the device (RMRR); the kernel log says which",
			v->addr);
	return err_set(e, -errno, "the IOMMU does not take group %d of %s: %m; see the kernel log",
		v->group_no, v->addr);
}

/* --- the device --- */

int vfio_open_device(struct vfio_dev *v, struct err *e)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};

	v->device = v->sys->ioctl(v->group, VFIO_GROUP_GET_DEVICE_FD, v->addr);
	if (v->device < 0 && errno == EBUSY)
		return err_set(e, -EBUSY, "%s is in use by another process", v->addr);
	if (v->device < 0)
		return err_set(e, -errno, "VFIO does not open %s: %m; see the kernel log", v->addr);
	if (v->sys->ioctl(v->device, VFIO_DEVICE_GET_INFO, &info) < 0)
		return err_set(e, -errno, "%s: the kernel gives no device information: %m", v->addr);
	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI))
		return err_set(e, -ENODEV, "%s is not a PCI device to VFIO", v->addr);
	v->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	return 0;
}

static int open_all(struct vfio_dev *v, struct err *e)
{
	int type = 0, r = vfio_check_sysfs(v, e);

	if (r == 0)
		r = open_container(v, &type, e);
	if (r == 0)
		r = open_group(v, e);
	if (r == 0)
		r = join(v, type, e);
	if (r == 0)
		r = vfio_open_device(v, e);
	if (r == 0)
		r = vfio_regions_read(v, e);
	if (r == 0)
		r = cfgspace_open(&v->pci, e); /* the kernel brought it to D0 */
	if (r == 0)
		r = vfio_irqs_read(v, e);
	if (r == 0)
		r = vfio_iommu_read(v, e);
	if (r == 0)
		r = vfio_request_enable(v, e);
	return r;
}

struct vfio_dev *vfio_new(const char *root, const struct vfio_sys *sys, const char *addr)
{
	struct vfio_dev *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->sys = sys;
	v->root = root;
	v->container = v->group = v->device = -1;
	v->pci.ops = &vfio_ops;
	v->pci.request_fd = -1;
	snprintf(v->addr, sizeof(v->addr), "%s", addr);
	snprintf(v->pci.uri, sizeof(v->pci.uri), "%s", addr);
	return v;
}

int vfio_open(
	const char *root, const struct vfio_sys *sys, const char *addr, struct pci_dev **ret, struct err *e)
{
	struct vfio_dev *v = vfio_new(root, sys, addr);
	int r;

	if (!v)
		return err_set(e, -ENOMEM, "out of memory");
	r = open_all(v, e);
	if (r < 0) {
		vfio_ops.close(&v->pci);
		return r;
	}
	*ret = &v->pci;
	return 0;
}
