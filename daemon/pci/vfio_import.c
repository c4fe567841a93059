/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Going on with a function that another process has left open: container, group and device come as descriptors, which may
 * be anything. Each is asked what it is, and the device's own is only there to keep it open: the one that is used is
 * got from the group, by name.
 */
#include "vfio.h"

#include <errno.h>
#include <string.h>

#include "cfgspace.h"

void vfio_descriptors_close(const struct vfio_sys *sys, const struct pci_descriptors *d)
{
	/* In the order of vfio_close(). */
	const int fds[] = {d->device, d->group, d->container};

	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			sys->close(fds[i]);
}

static int check_container(struct vfio_dev *v, struct err *e)
{
	int api = v->sys->ioctl(v->container, VFIO_GET_API_VERSION, NULL);

	if (api != VFIO_API_VERSION)
		return err_set(
			e, -EBADF, "%s: what was kept as its VFIO container is none (%d)", v->addr, api);
	return 0;
}

static int check_group(struct vfio_dev *v, struct err *e)
{
	const uint32_t want = VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET;
	struct vfio_group_status st = {.argsz = sizeof(st)};

	if (v->sys->ioctl(v->group, VFIO_GROUP_GET_STATUS, &st) < 0)
		return err_set(e, -EBADF, "%s: what was kept as its IOMMU group is none: %m", v->addr);
	if ((st.flags & want) != want)
		return err_set(e, -EBADF,
			"%s: IOMMU group %d was not kept in its container, or is shared by now", v->addr,
			v->group_no);
	return 0;
}

/* The kernel opens a device as often as it is asked to, and resets it before the first time and after the last: while the
 * kept descriptor is open, neither. */
static int open_again(struct vfio_dev *v, struct err *e)
{
	int kept = v->device, r;

	v->device = -1;
	r = vfio_open_device(v, e);
	v->sys->close(kept);
	return r;
}

static int import_all(struct vfio_dev *v, struct err *e)
{
	int r = vfio_check_sysfs(v, e);

	if (r == 0)
		r = check_container(v, e);
	if (r == 0)
		r = check_group(v, e);
	if (r == 0)
		r = open_again(v, e);
	if (r == 0)
		r = vfio_regions_read(v, e);
	if (r == 0)
		r = cfgspace_import(&v->pci, e);
	if (r == 0)
		r = vfio_irqs_read(v, e);
	if (r == 0)
		r = vfio_iommu_read(v, e);
	if (r == 0)
		r = vfio_request_enable(v, e);
	return r;
}

int vfio_import(const char *root, const struct vfio_sys *sys, const char *addr,
	const struct pci_descriptors *d, struct pci_dev **ret, struct err *e)
{
	struct vfio_dev *v = vfio_new(root, sys, addr);
	int r;

	if (!v) {
		vfio_descriptors_close(sys, d);
		return err_set(e, -ENOMEM, "out of memory");
	}
	v->container = d->container;
	v->group = d->group;
	v->device = d->device;
	r = import_all(v, e);
	if (r < 0) {
		vfio_ops.close(&v->pci);
		return r;
	}
	*ret = &v->pci;
	return 0;
}
