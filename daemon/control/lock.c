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

/* The guard runs as root before a hbad that does not, in a folder of hbad's: the lock is for both. Only a file that was
 * made here is given away. What was there before may be a link of hbad's user to anybody's file, whatever its link count
 * says a moment later; it is taken out of the way, and the next try makes a new one. */
static int give_to_folder_owner(int fd, const char *dir, const char *path, bool made)
{
	struct stat folder, mine;

	if (geteuid() != 0)
		return 0;
	if (stat(dir, &folder) || fstat(fd, &mine))
		return -errno;
	if (mine.st_uid == folder.st_uid && S_ISREG(mine.st_mode))
		return 0;
	if (made)
		return fchown(fd, folder.st_uid, folder.st_gid) ? -errno : 0;
	return unlink(path) && errno != ENOENT ? -errno : -EAGAIN;
}

static int write_pid(int fd)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n)
		return errno ? -errno : -EIO;
	return 0;
}

/* -1 and errno, as open() */
static int open_or_make(const char *path, bool *ret_made)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	*ret_made = fd < 0 && errno == ENOENT;
	return *ret_made ? open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644) : fd;
}

static int try_once(const char *dir, const char *path, const char *name, int *ret_fd, struct err *e)
{
	bool made;
	hb_autoclose int fd = open_or_make(path, &made);
	int r;

	/* Made by somebody else in the meantime */
	if (fd < 0 && made && errno == EEXIST)
		return -EAGAIN;
	if (fd < 0)
		return err_set(e, -errno, "cannot open %s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? busy(fd, name, path, e)
					    : err_set(e, -errno, "cannot lock %s: %s", path, strerror(errno));
	if (!still_there(fd, path))
		return -EAGAIN;
	r = give_to_folder_owner(fd, dir, path, made);
	if (r == -EAGAIN)
		return r;
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
