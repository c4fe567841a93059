/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vfio-user: connecting, agreeing on a version, learning what the device has; and saying why it cannot be done. */
#include "vuc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "cfgspace.h"

#define VERSION_MAX 4096 /* bytes of the server's answer */

/* Below the 15 s after which a watchdog takes hbad for dead; but for a reset, which may be one of the kernel's own behind it, and
 * for which no I/O thread waits: see resetter.h. */
const struct vuc_times vuc_times = {.access_ms = 5000, .setup_ms = 10000, .reset_ms = 65000};

/* --- the socket --- */

static int connect_error(int err, const char *path, struct err *e)
{
	switch (err) {
	case ENOENT:
		return err_set(e, -err,
			"there is no socket %s: start the process that serves the device first", path);
	case ECONNREFUSED:
		return err_set(
			e, -err, "nobody serves %s any more: start the process that serves it again", path);
	case EACCES:
	case EPERM:
		return err_set(e, -err, "no permission to use the socket %s", path);
	case EAGAIN:
		return err_set(
			e, -EBUSY, "the server of %s accepts no connection: it hangs, or it is busy", path);
	default:
		return err_set(e, -err, "cannot connect to %s: %s", path, strerror(err));
	}
}

static int connect_to(struct vuc_dev *v, const char *path, struct err *e)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval limit = {v->times->setup_ms / 1000, v->times->setup_ms % 1000 * 1000};

	if (path[0] != '/' || strlen(path) >= sizeof(sun.sun_path))
		return err_set(e, -EINVAL, "%s: write %s and the whole path of a socket, %zu bytes at most",
			v->pci.uri, VUC_URI, sizeof(sun.sun_path) - 1);
	strcpy(sun.sun_path, path);
	v->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (v->sock < 0)
		return err_set(e, -errno, "%s: cannot create a socket: %m", v->pci.uri);
	/* connect() waits while the server's queue is full: this bounds it. Messages have deadlines of their own. */
	if (setsockopt(v->sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
		connect(v->sock, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return connect_error(errno, path, e);
	return 0;
}

/* --- version --- */

static int check_version(
	struct vuc_dev *v, const struct vu_version *ver, const char *json, size_t len, struct err *e)
{
	if (ver->major != VU_MAJOR || ver->minor > VU_MINOR)
		return err_set(e, -EPROTO, "%s: the server speaks vfio-user %u.%u, hbad speaks %u.%u",
			v->pci.uri, ver->major, ver->minor, VU_MAJOR, VU_MINOR);
	if (vuc_caps_parse(json, len, &v->caps) < 0)
		return err_set(e, -EBADMSG, "%s: the server's capabilities are no JSON that makes sense",
			v->pci.uri);
	if (!v->caps.max_fds || v->caps.max_xfer < 8 || !v->caps.max_maps || !v->caps.pgsizes)
		return err_set(e, -ENOTSUP,
			"%s: the server takes no descriptors (%llu), data (%llu bytes), mappings (%llu) or "
			"pages (%#llx): hbad needs them",
			v->pci.uri, (unsigned long long)v->caps.max_fds, (unsigned long long)v->caps.max_xfer,
			(unsigned long long)v->caps.max_maps, (unsigned long long)v->caps.pgsizes);
	return 0;
}

static int negotiate(struct vuc_dev *v, struct err *e)
{
	const struct vu_version want = {VU_MAJOR, VU_MINOR};
	struct {
		struct vu_version ver;
		char json[VERSION_MAX];
	} got;
	const struct vuc_answer a = {.buf = &got, .min = sizeof(got.ver), .max = sizeof(got)};
	char json[256];
	struct vuc_msg m = {.cmd = VU_VERSION, .head = &want, .head_len = sizeof(want), .data = json};
	int r;

	snprintf(json, sizeof(json),
		"{\"" VU_CAPS_KEY "\":{\"" VU_CAP_MAX_FDS "\":%d,\"" VU_CAP_MAX_XFER
		"\":%d,\"" VU_CAP_MAX_MAPS "\":%d,\"" VU_CAP_PGSIZES "\":%ld}}",
		VU_CLIENT_MAX_FDS, VU_CLIENT_MAX_XFER, VUC_MAX_MAPS, sysconf(_SC_PAGESIZE));
	m.data_len = (uint32_t)strlen(json) + 1;
	r = vuc_call(v, &m, &a, v->times->setup_ms);
	if (r < 0) {
		r = vuc_error(v, r, e, "vfio-user's VERSION");
		return err_prefix(e, r, "no agreement (does the server have another client?)");
	}
	return check_version(v, &got.ver, got.json, (size_t)r - sizeof(got.ver), e);
}

/* --- the device --- */

static int read_info(struct vuc_dev *v, struct err *e)
{
	const struct vu_device_info want = {.argsz = sizeof(want)};
	const struct vuc_msg m = {.cmd = VU_DEVICE_GET_INFO, .head = &want, .head_len = sizeof(want)};
	struct vu_device_info got;
	const struct vuc_answer a = {.buf = &got, .min = sizeof(got), .max = sizeof(got)};
	int r = vuc_call(v, &m, &a, v->times->access_ms);

	if (r < 0)
		return vuc_error(v, r, e, "information on the device");
	if (!(got.flags & VFIO_DEVICE_FLAGS_PCI) || got.num_regions <= VFIO_PCI_CONFIG_REGION_INDEX)
		return err_set(e, -ENODEV, "%s: the server's device is not a PCI device", v->pci.uri);
	v->can_reset = got.flags & VFIO_DEVICE_FLAGS_RESET;
	v->n_regions = got.num_regions;
	v->n_irqs = got.num_irqs;
	return 0;
}

static int open_all(struct vuc_dev *v, const char *path, struct err *e)
{
	int r = connect_to(v, path, e);

	if (r == 0)
		r = vuc_request_open(v, e);
	if (r == 0)
		r = vuc_reader_start(v, e);
	if (r == 0)
		r = negotiate(v, e);
	if (r == 0)
		r = read_info(v, e);
	if (r == 0)
		r = vuc_regions_read(v, e);
	if (r == 0)
		r = cfgspace_open(&v->pci, e);
	if (r == 0)
		r = vuc_irqs_read(v, e);
	if (r == 0)
		r = vuc_request_enable(v, e);
	if (r == 0)
		vuc_dma_limits(v);
	return r;
}

static struct vuc_dev *create(const char *uri, const struct vuc_times *times)
{
	struct vuc_dev *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	if (vuc_conn_init(v) < 0) {
		free(v);
		return NULL;
	}
	v->times = times;
	v->sock = v->pci.request_fd = v->end_fd = v->asked_fd = v->cfg.fd = -1;
	for (unsigned i = 0; i < PCI_NUM_BARS; i++)
		v->bar[i].fd = -1;
	v->pci.ops = &vuc_ops;
	snprintf(v->pci.uri, sizeof(v->pci.uri), "%s", uri);
	return v;
}

int vuc_open(const char *uri, const struct vuc_times *times, struct pci_dev **ret, struct err *e)
{
	struct vuc_dev *v = create(uri, times);
	int r;

	if (!v)
		return err_set(e, -ENOMEM, "out of memory");
	r = open_all(v, uri + strlen(VUC_URI), e);
	if (r < 0) {
		vuc_ops.close(&v->pci);
		return r;
	}
	pthread_mutex_lock(&v->lock);
	v->ready = true;
	pthread_mutex_unlock(&v->lock);
	*ret = &v->pci;
	return 0;
}
