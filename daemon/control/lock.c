/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The instance lock. */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <glib.h>
#include "base/cleanup.h"

static int busy(int fd, const char *name, const char *path, struct err *e)
{
	char text[24] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	long pid = n > 0 ? strtol(text, NULL, 10) : 0;

	if (pid > 0)
		return err_set(e, -EBUSY,
			"\"%s\" is run by process %ld already (it holds %s): stop that one first, with "
			"\"systemctl stop hbad@%s\"",
			name, pid, path, name);
	return err_set(e, -EBUSY,
		"\"%s\" is run by another process already (it holds %s): find it with \"fuser %s\"", name,
		path, path);
}

/* A lock file may be removed (with its folder, by systemd) between our open() and our flock(): then the lock
 * that we got is on a file that nobody else will find. */
static bool still_there(int fd, const char *path)
{
	struct stat mine, named;

	return !fstat(fd, &mine) && !stat(path, &named) && mine.st_ino == named.st_ino &&
	       mine.st_dev == named.st_dev;
}

/* The guard runs as root before a hbad that does not, in a folder of hbad's: the lock is for both. */
static int give_to_folder_owner(int fd, const char *dir)
{
	struct stat folder, mine;

	if (geteuid() != 0)
		return 0;
	if (stat(dir, &folder) || fstat(fd, &mine))
		return -errno;
	if (mine.st_uid == folder.st_uid)
		return 0;
	/* A link that hbad's user has made to somebody else's file is not a lock. */
	if (!S_ISREG(mine.st_mode) || mine.st_nlink != 1)
		return -EPERM;
	return fchown(fd, folder.st_uid, folder.st_gid) ? -errno : 0;
}

static int write_pid(int fd)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n)
		return errno ? -errno : -EIO;
	return 0;
}

static int try_once(const char *dir, const char *path, const char *name, int *ret_fd, struct err *e)
{
	hb_autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	int r;

	if (fd < 0)
		return err_set(e, -errno, "cannot open %s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? busy(fd, name, path, e)
					    : err_set(e, -errno, "cannot lock %s: %s", path, strerror(errno));
	if (!still_there(fd, path))
		return -EAGAIN;
	r = give_to_folder_owner(fd, dir);
	if (!r)
		r = write_pid(fd);
	if (r)
		return err_set(e, r, "cannot take %s: %s", path, strerror(-r));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int lock_take(const char *runtime_dir, const char *name, int *ret_fd, struct err *e)
{
	g_autofree char *dir = g_strdup_printf("%s/%s", runtime_dir, name);
	g_autofree char *path = g_strdup_printf("%s/%s", dir, LOCK_FILE);

	for (int tries = 0; tries < 10; tries++) {
		int r;

		if (g_mkdir_with_parents(dir, 0755))
			return err_set(e, -errno, "cannot make the folder %s: %s", dir, strerror(errno));
		r = try_once(dir, path, name, ret_fd, e);
		if (r != -EAGAIN)
			return r;
	}
	return err_set(e, -EAGAIN, "%s is removed again and again: find out by whom, then try again", path);
}
