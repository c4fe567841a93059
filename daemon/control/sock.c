/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Listening unix sockets. */
#include "sock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <glib.h>
#include "base/cleanup.h"

#define BACKLOG 32

static int bind_with_mode(int fd, const struct sockaddr_un *sa, mode_t mode)
{
	/* A chmod() afterwards would leave a moment in which everybody may connect. */
	mode_t before = umask(0777 & ~mode);
	int r = bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) ? -errno : 0;

	umask(before);
	return r;
}

/* The handler speaks to the folder's owner only. One of before may have been hbad's user, and this one be root, started by
 * hand; systemd gives the folder back. */
static int own_folder(const char *runtime_dir, const char *name, struct err *e)
{
	g_autofree char *dir = g_strdup_printf("%s/%s", runtime_dir, name);
	struct stat st;

	if (geteuid() != 0 || stat(dir, &st) || st.st_uid == 0)
		return 0;
	return chown(dir, 0, 0) ? err_set(e, -errno, "cannot take the folder %s: %s", dir, strerror(errno))
				: 0;
}

int sock_listen(const char *runtime_dir, const char *name, const char *file, int type, mode_t mode,
	int *ret_fd, struct err *e)
{
	hb_autoclose int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s/%s", runtime_dir, name, file);
	int r;

	if (fd < 0)
		return err_set(e, -errno, "cannot make a socket: %s", strerror(errno));
	if (n < 0 || (size_t)n >= sizeof(sa.sun_path))
		return err_set(e, -ENAMETOOLONG,
			"the path %s/%s/%s is too long for a socket (%zu characters at most): choose a "
			"shorter runtime folder",
			runtime_dir, name, file, sizeof(sa.sun_path) - 1);
	r = own_folder(runtime_dir, name, e);
	if (r)
		return r;
	if (unlink(sa.sun_path) && errno != ENOENT)
		return err_set(
			e, -errno, "cannot remove the old socket %s: %s", sa.sun_path, strerror(errno));
	r = bind_with_mode(fd, &sa, mode);
	if (!r && listen(fd, BACKLOG))
		r = -errno;
	if (r)
		return err_set(e, r, "cannot listen on %s: %s", sa.sun_path, strerror(-r));
	*ret_fd = TAKE_FD(fd);
	return 0;
}
