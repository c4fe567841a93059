/* SPDX-License-Identifier: GPL-2.0-or-later */
/* configfs files of one backstore. */
#include "cfgfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "place.h"

/* At offset 0, always: some 5.13 and 5.14 kernels put what is written at the file's offset into the buffer. */
int cfgfs_write(int fd, const char *value)
{
	ssize_t n = pwrite(fd, value, strlen(value), 0);

	return n < 0 ? -errno : 0;
}

int cfgfs_read(int fd, char *text, size_t size)
{
	ssize_t n;

	/* Through one descriptor configfs shows what it has shown before, until something is written: be it nothing,
	 * which it refuses. */
	(void)!pwrite(fd, "", 0, 0);
	n = pread(fd, text, size - 1, 0);
	if (n < 0)
		return -errno;
	while (n && (text[n - 1] == '\n' || text[n - 1] == ' ' || text[n - 1] == '\0'))
		n--;
	text[n] = '\0';
	return 0;
}

static int open_file(unsigned hba, const char *device, const char *file, int flags)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/target/core/user_%u/%s/%s", place_configfs(), hba, device, file);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Of a file that is looked at only once. Returns fallback when it cannot be read. */
static long read_number(unsigned hba, const char *device, const char *file, long fallback)
{
	hb_autoclose int fd = open_file(hba, device, file, O_RDONLY);
	char text[32], *end;
	long value;

	if (fd < 0 || cfgfs_read(fd, text, sizeof(text)))
		return fallback;
	value = strtol(text, &end, 10);
	return end == text ? fallback : value;
}

static int open_required(struct cfgfs *c, unsigned hba, const char *device, struct err *e)
{
	const struct {
		int *fd;
		const char *file;
		int flags;
	} files[] = {
		{&c->block_dev, "action/block_dev", O_RDWR},
		{&c->fate, "action/block_dev", O_RDONLY},
		{&c->reset_ring, "action/reset_ring", O_WRONLY},
		{&c->cmd_time_out, "attrib/cmd_time_out", O_RDWR},
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		*files[i].fd = open_file(hba, device, files[i].file, files[i].flags);
		if (*files[i].fd < 0)
			return err_set(e, *files[i].fd, "cannot open %s of user_%u/%s in configfs: %s",
				files[i].file, hba, device, strerror(-*files[i].fd));
	}
	return 0;
}

int cfgfs_open(struct cfgfs *c, unsigned hba, const char *device, struct err *e)
{
	int r;

	*c = CFGFS_INIT;
	r = open_required(c, hba, device, e);
	if (r) {
		cfgfs_close(c);
		return r;
	}
	c->tmr_notification = open_file(hba, device, "attrib/tmr_notification", O_WRONLY);
	/* A negative value says that the administrator wants no replies; that is left alone. */
	if (read_number(hba, device, "attrib/nl_reply_supported", -1) >= 0)
		c->nl_reply_supported = open_file(hba, device, "attrib/nl_reply_supported", O_RDWR);
	c->write_cache = read_number(hba, device, "attrib/emulate_write_cache", 0) > 0;
	c->configured = read_number(hba, device, "enable", 0) == 1;
	return 0;
}

void cfgfs_close(struct cfgfs *c)
{
	hb_close(&c->block_dev);
	hb_close(&c->reset_ring);
	hb_close(&c->fate);
	hb_close(&c->cmd_time_out);
	hb_close(&c->tmr_notification);
	hb_close(&c->nl_reply_supported);
}
