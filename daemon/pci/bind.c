/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Moving a PCI function between its kernel driver and vfio-pci. */
#include "bind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "grant.h"
#include "group.h"
#include "kmod.h"
#include "openers.h"
#include "tree.h"
#include "uevent.h"

#define VFIO_DRIVER "vfio-pci"
#define LOOK_MS	    250 /* sysfs is looked at that often even without events */

static int sysfs_write(const char *path, const char *text)
{
	hb_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

const struct bind_sys bind_linux = {
	.write = sysfs_write,
	.load_module = kmod_load,
	.claim = disk_claim,
	.events_open = uevents_open,
	.events_close = uevents_close,
	.events_wait = uevents_wait,
	.node_wait_ms = 30000,
	.lock_wait_ms = 5000,
};

/* One function that changes hands. */
struct move {
	const struct bind_sys *sys;
	const char *root;
	char addr[PCI_ADDR_LEN];
	int group;
	char had[32]; /* driver before, empty if none */
	struct uevents *events;
};

/* Driver now; empty if none. */
static void driver_of(const struct move *m, char ret[32])
{
	ret[0] = '\0';
	tree_link_name(ret, 32, m->root, "/sys/bus/pci/devices/%s/driver", m->addr);
}

static int set_override(const struct move *m, const char *text)
{
	char path[PATH_MAX];
	int r = tree_path(path, m->root, "/sys/bus/pci/devices/%s/driver_override", m->addr);

	return r < 0 ? r : m->sys->write(path, text);
}

/* action: "bind" or "unbind" */
static int driver_write(const struct move *m, const char *driver, const char *action)
{
	char path[PATH_MAX];
	int r = tree_path(path, m->root, "/sys/bus/pci/drivers/%s/%s", driver, action);

	return r < 0 ? r : m->sys->write(path, m->addr);
}

static int reprobe(const struct move *m)
{
	char path[PATH_MAX];
	int r = tree_path(path, m->root, "/sys/bus/pci/drivers_probe");

	return r < 0 ? r : m->sys->write(path, m->addr);
}

/* Looks at once, after each event, and every LOOK_MS, until it is so or the time is up. */
static bool wait_for(const struct move *m, bool (*so)(const struct move *m, const void *arg), const void *arg,
	unsigned timeout_ms)
{
	uint64_t end = clock_ns() + timeout_ms * NS_PER_MS, now;

	while (!so(m, arg)) {
		now = clock_ns();
		if (now >= end)
			return false;
		m->sys->events_wait(m->events, (unsigned)MIN(LOOK_MS, (end - now) / NS_PER_MS + 1));
	}
	return true;
}

/* What is at the address is looked at under the lock: two that begin with the same driver before them would undo each other's
 * work. */
static int move_init(struct move *m, const struct bind_sys *sys, const char *root, const char *addr,
	int *ret_lock, struct err *e)
{
	int r;

	*m = (struct move){.sys = sys, .root = root};
	r = pci_addr_parse(addr, m->addr, e);
	if (r == 0)
		r = *ret_lock = grant_lock(root, m->addr, sys->lock_wait_ms, e);
	if (r < 0)
		return r;
	if (!tree_exists(root, "/sys/bus/pci/devices/%s", m->addr)) {
		/* The number of its group may be another device's next. */
		pci_revoke_vfio(root, m->addr);
		return err_set(e, -ENOENT,
			"there is no PCI device %s; 'hbactl candidates' lists what there is", m->addr);
	}
	m->group = group_of(root, m->addr);
	driver_of(m, m->had);
	return 0;
}

/* --- to vfio-pci --- */

/* In the slot of the HBA there may be a network adapter by now, and its driver keeps it. */
static int check_known(const struct move *m, struct err *e)
{
	struct pci_place place;

	pci_place_read(m->root, m->addr, &place);
	if (!m->sys->known || m->sys->known(place.vendor, place.device))
		return 0;
	pci_revoke_vfio(m->root, m->addr);
	return err_set(e, -ENOTSUP,
		"%s (%04x:%04x) is no controller that hbad knows: 'hbactl candidates' says which are",
		m->addr, place.vendor, place.device);
}

static int check_group(const struct move *m, struct err *e)
{
	char who[256];

	if (m->group < 0)
		return err_set(e, -ENODEV,
			"%s has no IOMMU group: switch the IOMMU on (VT-d or AMD-Vi in the BIOS setup, "
			"intel_iommu=on on the "
			"kernel command line) and reboot",
			m->addr);
	/* VFIO would refuse the group afterwards: better not to take the disks away first. */
	if (!group_blockers(m->root, m->addr, who, sizeof(who)))
		return 0;
	return err_set(e, -EBUSY,
		"IOMMU group %d of %s is shared with %s: the IOMMU cannot keep them apart; unbind those from "
		"their drivers, or "
		"put the controller into another slot",
		m->group, m->addr, who);
}

static int check_function(const struct move *m, struct err *e)
{
	uint64_t class = 0;

	tree_number(&class, m->root, "/sys/bus/pci/devices/%s/class", m->addr);
	return class >> 16 == 0x06 ? err_set(e, -EINVAL, "%s is a bridge, not a storage controller", m->addr)
				   : 0;
}

/* A module that is built in has a folder too, but may have no file that libkmod could find. */
static int load_vfio(const struct move *m, struct err *e)
{
	static const char *const modules[] = {"vfio_pci", "vfio_iommu_type1"};
	int r = 0;

	for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(modules); i++)
		if (!tree_exists(m->root, "/sys/module/%s", modules[i]))
			r = m->sys->load_module(modules[i], e);
	return r;
}

static bool vfio_is_ready(const struct move *m, const void *arg)
{
	char driver[32];

	driver_of(m, driver);
	return strcmp(driver, VFIO_DRIVER) == 0 && tree_exists(m->root, "/dev/vfio/%d", m->group);
}

static int wait_ready(const struct move *m, struct err *e)
{
	char driver[32];

	if (wait_for(m, vfio_is_ready, NULL, m->sys->node_wait_ms))
		return 0;
	driver_of(m, driver);
	if (strcmp(driver, VFIO_DRIVER) != 0)
		return err_set(e, -EIO, "%s is not with " VFIO_DRIVER " but with %s; see the kernel log",
			m->addr, driver[0] ? driver : "no driver");
	return err_set(e, -ETIMEDOUT,
		"/dev/vfio/%d did not appear within %u s after %s was given to " VFIO_DRIVER, m->group,
		m->sys->node_wait_ms / 1000, m->addr);
}

/* Unplugged while somebody has it open: vfio-pci's remove waits for him, with the function locked, and every write of ours would
 * wait for that. By then the function shows no driver, but the group is still VFIO's. Where other functions share the group
 * its node tells nothing. */
static bool is_being_removed(const struct move *m)
{
	char others[64];

	return !m->had[0] && tree_exists(m->root, "/dev/vfio/%d", m->group) &&
	       group_others(m->root, m->addr, others, sizeof(others)) == 0;
}

/* From here on something has been changed; a failure leaves it to roll_back(). */
static int take(const struct move *m, struct err *e)
{
	int r = 0;

	/* The driver's remove flushes its caches and shuts the firmware down in this very write. */
	if (m->had[0] && strcmp(m->had, VFIO_DRIVER) != 0)
		r = driver_write(m, m->had, "unbind");
	if (r < 0)
		return err_set(e, r, "the kernel driver %s does not let go of %s: %s", m->had, m->addr,
			strerror(-r));
	r = driver_write(m, VFIO_DRIVER, "bind");
	if (r < 0 && !vfio_is_ready(m, NULL))
		return err_set(
			e, r, VFIO_DRIVER " does not take %s: %s; see the kernel log", m->addr, strerror(-r));
	return wait_ready(m, e);
}

static int roll_back(const struct move *m, int code, struct err *e)
{
	char driver[32];
	int r;

	grant_unmark(m->root, m->group);
	driver_of(m, driver);
	if (strcmp(driver, VFIO_DRIVER) == 0)
		driver_write(m, VFIO_DRIVER, "unbind");
	r = set_override(m, "\n");
	driver_of(m, driver);
	if (m->had[0] && strcmp(driver, m->had) != 0)
		r = driver_write(m, m->had, "bind");
	driver_of(m, driver);
	/* Of one that had none before, its kernel driver may have been the faster one. */
	if (!m->had[0] || strcmp(driver, m->had) == 0)
		return code;
	return err_prefix(e, code, "%s could not be given back to %s (%s), its disks are away; first cause",
		m->addr, m->had, r < 0 ? strerror(-r) : "no error told");
}

/* The kernel's driver may be in the middle of its probe, and show disks later. The write of the override waits until that is
 * over: who has the function, and what uses its disks, can be said only then. */
static int claim(struct move *m, struct disk_claims *ret, struct err *e)
{
	int r = set_override(m, VFIO_DRIVER);

	if (r < 0)
		return err_set(e, r, "cannot set driver_override of %s: %s", m->addr, strerror(-r));
	driver_of(m, m->had);
	return disks_claim(m->root, m->addr, m->sys->claim, ret, e);
}

static int move_over(struct move *m, struct err *e)
{
	struct disk_claims claims;
	int r = claim(m, &claims, e);

	if (r < 0) {
		set_override(m, "\n");
		return r;
	}
	r = grant_mark(m->root, m->group, m->addr);
	r = r < 0 ? err_set(e, r, "cannot make " GRANT_MARKS "/%d: %s", m->group, strerror(-r)) : take(m, e);
	/* The claims guarded the way out; a driver that comes back in a roll-back must find its disks free. */
	disks_release(&claims);
	return r < 0 ? roll_back(m, r, e) : 0;
}

static int check_function_and_group(const struct move *m, struct err *e)
{
	int r = check_known(m, e);

	if (r == 0)
		r = check_function(m, e);
	return r < 0 ? r : check_group(m, e);
}

int bind_vfio(
	const struct bind_sys *sys, const char *root, const char *addr, char ret_previous[32], struct err *e)
{
	hb_autoclose int lock = -1;
	bool is_vfio;
	struct move m;
	int r = move_init(&m, sys, root, addr, &lock, e);

	if (r == 0)
		r = check_function_and_group(&m, e);
	if (r < 0)
		return r;
	is_vfio = strcmp(m.had, VFIO_DRIVER) == 0;
	/* Who has one that is being removed may be waiting for this: the next hbad, whose descriptors systemd keeps. */
	if (is_vfio || is_being_removed(&m)) {
		ret_previous[0] = '\0';
		return is_vfio ? wait_ready(&m, e) : 0;
	}
	r = load_vfio(&m, e);
	if (r < 0)
		return r;
	m.events = sys->events_open();
	r = move_over(&m, e);
	sys->events_close(m.events);
	if (r == 0)
		strcpy(ret_previous, m.had);
	return r;
}

/* --- back to the kernel --- */

/* Unbinding blocks for as long as a process has the device open, so that is refused. */
static int check_closed(const struct move *m, struct err *e)
{
	char node[64], who[160];

	snprintf(node, sizeof(node), "/dev/vfio/%d", m->group);
	if (m->group < 0 || !openers_find(m->root, node, false, who, sizeof(who)))
		return 0;
	return err_set(e, -EBUSY, "%s is in use: %s has %s open; stop it first (systemctl stop hbad@NAME)",
		m->addr, who, node);
}

struct wanted {
	const char *driver; /* empty: any that is not vfio-pci */
};

static bool has_kernel_driver(const struct move *m, const void *arg)
{
	const struct wanted *w = arg;
	char driver[32];

	driver_of(m, driver);
	if (w->driver[0])
		return strcmp(driver, w->driver) == 0;
	return driver[0] && strcmp(driver, VFIO_DRIVER) != 0;
}

/* The module may have been unloaded, or never loaded since the boot. Its absence shows in the wait. */
static void load_driver(const struct move *m, const char *previous)
{
	char alias[256];

	if (previous[0] && tree_exists(m->root, "/sys/bus/pci/drivers/%s", previous))
		return;
	if (tree_line(alias, sizeof(alias), m->root, "/sys/bus/pci/devices/%s/modalias", m->addr) > 0)
		m->sys->load_module(alias, NULL);
}

static int give_back(const struct move *m, const char *previous, unsigned wait_ms, struct err *e)
{
	struct wanted want = {previous};
	char driver[32];
	int r = set_override(m, "\n");

	if (r < 0)
		return err_set(e, r, "cannot clear driver_override of %s: %s", m->addr, strerror(-r));
	if (strcmp(m->had, VFIO_DRIVER) == 0)
		r = driver_write(m, VFIO_DRIVER, "unbind");
	if (r < 0)
		return err_set(e, r, VFIO_DRIVER " does not let go of %s: %s", m->addr, strerror(-r));
	grant_unmark(m->root, m->group);
	load_driver(m, previous);
	/* Says nothing about success: a driver's probe may fail, or go on in the background. */
	r = has_kernel_driver(m, &want) ? 0 : reprobe(m);
	if (r < 0)
		return err_set(e, r, "cannot have a driver looked up for %s: %s", m->addr, strerror(-r));
	if (wait_for(m, has_kernel_driver, &want, wait_ms))
		return 0;
	driver_of(m, driver);
	return err_set(e, -ETIMEDOUT, "%s was given back, but after %u s %s%s has it%s%s; see the kernel log",
		m->addr, wait_ms / 1000, driver[0] ? "the driver " : "no driver", driver,
		previous[0] ? ", not " : "", previous);
}

int unbind_vfio(const struct bind_sys *sys, const char *root, const char *addr, const char *previous,
	unsigned wait_ms, struct err *e)
{
	hb_autoclose int lock = -1;
	struct move m;
	int r = move_init(&m, sys, root, addr, &lock, e);

	if (r < 0)
		return r;
	if (strcmp(m.had, VFIO_DRIVER) == 0)
		r = check_closed(&m, e);
	if (r < 0)
		return r;
	m.events = sys->events_open();
	r = give_back(&m, previous, wait_ms, e);
	sys->events_close(m.events);
	return r;
}

int pci_bind_vfio(
	const char *root, const char *addr, pci_known_fn known, char ret_previous[32], struct err *e)
{
	struct bind_sys sys = bind_linux;

	sys.known = known;
	return bind_vfio(&sys, root, addr, ret_previous, e);
}

int pci_unbind_vfio(const char *root, const char *addr, const char *previous, unsigned wait_s, struct err *e)
{
	return unbind_vfio(&bind_linux, root, addr, previous, wait_s * 1000, e);
}
