/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices: making, guarding. Handing them over: offer.c. */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "decoy.h"
#include "hlog.h"
#include "tcmu_abi.h"
#include "timing.h"

bool device_served(const struct device *d)
{
	return d->server.pidfd >= 0;
}

static int read_ring(struct device *d, struct tcmu_device *dev, struct err *e)
{
	hb_autofree char *node = NULL;
	size_t len = 0;
	off_t offset = 0;

	node = tcmu_dev_get_memory_info(dev, &d->map, &len, &offset);
	if (!node)
		return err_set(e, -EIO, "libtcmu does not know the ring of %s", d->uio);
	d->map_len = len;
	d->map_offset = (uint64_t)offset;
	d->blocks = tcmu_dev_get_num_lbas(dev);
	d->block_size = tcmu_dev_get_block_size(dev);
	d->runner_fd = tcmu_dev_get_fd(dev);
	d->uio_fd = fcntl(d->runner_fd, F_DUPFD_CLOEXEC, 0);
	if (d->uio_fd < 0)
		return err_set(
			e, -errno, "cannot duplicate the descriptor of %s: %s", d->uio, strerror(errno));
	return 0;
}

/* The protocol's field is shorter than what LIO allows; it is for messages only. No half of a UTF-8 character. */
static void set_name(struct device *d, const char *name)
{
	size_t len = strlen(name);

	if (len >= sizeof(d->name)) {
		len = sizeof(d->name) - 1;
		while (len && ((unsigned char)name[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(d->name, name, len);
	d->name[len] = '\0';
}

static int read_identity(struct device *d, struct tcmu_device *dev, struct err *e)
{
	struct uio_name name;
	int r;

	snprintf(d->uio, sizeof(d->uio), "%s", tcmu_dev_get_uio_name(dev));
	r = cfgstring_parse(tcmu_dev_get_cfgstring(dev), &d->cfg, e);
	if (!r)
		r = uio_describe(d->uio, &name, e);
	if (r)
		return r;
	set_name(d, name.device);
	return cfgfs_open(&d->cfgfs, name.hba, name.device, e);
}

static int fill(struct device *d, struct tcmu_device *dev, struct err *e)
{
	int r = read_identity(d, dev, e);

	if (!r)
		r = read_ring(d, dev, e);
	if (r)
		return r;
	d->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->cancel_fd < 0)
		return err_set(e, -errno, "cannot make an eventfd: %s", strerror(errno));
	d->known = d->cfgfs.configured;
	device_assert_attributes(d);
	return 0;
}

int device_new(struct tcmu_device *dev, struct device **ret, struct err *e)
{
	struct device *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_set(e, -ENOMEM, "out of memory");
	list_init(&d->link);
	d->cfgfs = CFGFS_INIT;
	d->server.pidfd = d->uio_fd = d->quiet_fd = d->cancel_fd = d->runner_fd = -1;
	r = fill(d, dev, e);
	if (r) {
		device_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

void device_free(struct device *d)
{
	if (!d)
		return;
	cfgfs_close(&d->cfgfs);
	hb_close(&d->uio_fd);
	hb_close(&d->quiet_fd);
	hb_close(&d->cancel_fd);
	hb_close(&d->server.pidfd);
	free(d);
}

int device_lay_decoy(struct device *d, struct err *e)
{
	return d->quiet_fd >= 0 ? 0 : decoy_lay(d->runner_fd, d->map, d->map_len, &d->quiet_fd, e);
}

/* --- attributes --- */

int device_time_out(const struct device *d)
{
	char text[32];
	int r = cfgfs_read(d->cfgfs.cmd_time_out, text, sizeof(text));

	return r < 0 ? r : (int)MIN(strtoul(text, NULL, 10), (unsigned long)INT_MAX);
}

/* Once the device is exported the value cannot change any more: look at it one last time. */
static void check_time_out(struct device *d)
{
	int seconds = device_time_out(d);

	if (atomic_exchange(&d->exported, true) || seconds <= 0)
		return;
	hlog_err("ALARM: %s (%s) has cmd_time_out=%d, because a saved configuration says so: an initiator "
		 "may see "
		 "errors, and a write that it gave up may still be executed later. Unmap its LUNs, set the "
		 "backstore's attribute cmd_time_out to 0, map them again and save the configuration.",
		d->name, d->cfg.text, seconds);
}

void device_assert_attributes(struct device *d)
{
	int r;

	if (d->cfgfs.tmr_notification >= 0)
		cfgfs_write(d->cfgfs.tmr_notification, "1");
	if (atomic_load(&d->exported) || device_time_out(d) == 0)
		return;
	/* -EINVAL: LUNs exist. The kernel says so in its own log too, hence never again after the first time. */
	r = cfgfs_write(d->cfgfs.cmd_time_out, "0");
	if (r == -EINVAL)
		check_time_out(d);
}

/*
 * The kernel looks at this value twice for each event it sends: whether to note the event, and whether to wait for
 * the answer. A change from 0 to 1 in between would make it wait for ever. So not in open() or reconfig(), which run
 * because of an event, and only where it is needed.
 */
void device_check_netlink(struct device *d, uint64_t now_ns)
{
	char text[32];

	if (d->netlink_checked || now_ns < d->adopted_ns + timing.settle * NS_PER_MS)
		return;
	d->netlink_checked = true;
	if (d->cfgfs.nl_reply_supported >= 0 &&
		!cfgfs_read(d->cfgfs.nl_reply_supported, text, sizeof(text)) && !strcmp(text, "0"))
		cfgfs_write(d->cfgfs.nl_reply_supported, "1");
}

/* --- the gate --- */

/*
 * Refusals are expected here and mean nothing: -EINVAL before the backstore's creation is finished, -ENOENT while it
 * is being deleted. Other ones leave the gate as it is, which the next round finds out.
 */
void device_block(struct device *d)
{
	cfgfs_write(d->cfgfs.block_dev, "1");
}

void device_unblock(struct device *d)
{
	cfgfs_write(d->cfgfs.block_dev, "0");
}

/*
 * Only for a device without a server, so that no consumer is alive (H1). Done again and again while nobody serves
 * the device, because the runner opens the gate right after open() has returned, also when open() could only leave it
 * closed; and we cannot write after the runner does. What initiators send in between sits unread in the ring for half
 * a second at most: nobody executes it, the kernel's clock is off, so it cannot go stale either, and then reset_ring
 * answers it with BUSY.
 */
void device_guard(struct device *d)
{
	device_block(d);
	cfgfs_write(d->cfgfs.reset_ring, "1");
}

/*
 * BUSY makes an initiator come again for minutes, and whoever removes the LUN waits with it: Linux's loopback sends a
 * last SYNCHRONIZE CACHE when its LUN is unlinked, so that "targetcli clearconfig" would take as long (H4). 2 answers
 * with ABORTED COMMAND, which is retried a few times only. The gate must be open for that, because a closed one says
 * BUSY; nothing is executed, as nobody reads the ring. Before the device is offered again, device_guard() empties it.
 */
void device_fail(struct device *d)
{
	device_unblock(d);
	cfgfs_write(d->cfgfs.reset_ring, "2");
}

/*
 * Writing to the uio device publishes completions that a process which is gone had put into the ring. block_dev does so
 * too, but only when the gate was open; and after reset_ring they are lost, and done twice. The write fails when the
 * device is being removed; then there is nobody to publish to.
 */
void device_publish(struct device *d)
{
	const int32_t kick = 0;

	(void)!write(d->uio_fd, &kick, sizeof(kick));
}

void device_seize(struct device *d)
{
	device_publish(d);
	device_guard(d);
	d->seized = true;
	hb_close(&d->server.pidfd);
	d->server.handle = 0;
	d->killed_ns = 0;
	d->stopping = d->dropped = false;
	d->next_offer_ns = 0;
}

/* --- the end --- */

enum device_fate device_fate(struct device *d)
{
	char text[32];
	int r = cfgfs_read(d->cfgfs.fate, text, sizeof(text));

	if (r == -ENOENT || r == -ENODEV)
		return DEVICE_DYING;
	/*
	 * A create that fails after our open() closes us too, and then the kernel frees the ring (H5). Until the
	 * create is done, actions are refused. When the runner stops, it has closed the gate already, so that this
	 * changes nothing.
	 */
	r = cfgfs_write(d->cfgfs.block_dev, "1");
	return r == -EINVAL ? DEVICE_UNBORN : r == -ENOENT ? DEVICE_DYING : DEVICE_STAYS;
}
