/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbad without privileges: the one device node that it opens belongs to its user. */
#include "grant.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "group.h"
#include "sysfs.h"
#include "tree.h"

#define LOCK_LOOK_MS  50
#define GRANT_WAIT_MS 5000

/* hbad's user has to pass through, whatever the umask of root is. */
static int make_folder(const char *root, const char *folder)
{
	char path[PATH_MAX];
	int r = tree_path(path, root, "%s", folder);

	if (r < 0)
		return r;
	if (mkdir(path, 0755))
		return errno == EEXIST ? 0 : -errno;
	return chmod(path, 0755) ? -errno : 0;
}

/* What the mark says: whose group it is. "" for one that says nothing (an earlier hbad's). */
static void marked_for(const char *root, const char *mark, char ret[PCI_ADDR_LEN])
{
	ret[0] = '\0';
	if (tree_line(ret, PCI_ADDR_LEN, root, GRANT_MARKS "/%s", mark) < 0)
		ret[0] = '\0';
}

/* All marks for the function, but for that of the group that it is in now. Its old group's number may be another device's
 * by now. */
static void unmark_others(const char *root, const char *addr, int keep)
{
	hb_autoclosedir DIR *dir = tree_opendir(root, GRANT_MARKS);
	struct dirent *de;

	while (dir && (de = readdir(dir))) {
		char whose[PCI_ADDR_LEN];

		if (de->d_name[0] < '0' || de->d_name[0] > '9' || atoi(de->d_name) == keep)
			continue;
		marked_for(root, de->d_name, whose);
		if (strcmp(whose, addr) == 0)
			unlinkat(dirfd(dir), de->d_name, 0);
	}
}

static int make_folders(const char *root)
{
	static const char *const folders[] = {"/run", "/run/hbad", GRANT_MARKS};
	int r = 0;

	for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(folders); i++)
		r = make_folder(root, folders[i]);
	return r;
}

/* A kernel driver may hang in its remove for good, and its HBA's lock with it. */
static int lock_within(int fd, unsigned wait_ms)
{
	uint64_t end = clock_ns() + wait_ms * NS_PER_MS;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (clock_ns() >= end)
			return -EBUSY;
		clock_sleep_ms(LOCK_LOOK_MS);
	}
	return 0;
}

/* Marks are numbers (60-hbad.rules), so this is none. */
#define LOCK_NAME GRANT_MARKS "/lock-%s"

int grant_lock(const char *root, const char *addr, unsigned wait_ms, struct err *e)
{
	hb_autoclose int fd = -1;
	char path[PATH_MAX];
	int r = make_folders(root);

	if (r == 0)
		r = tree_path(path, root, LOCK_NAME, addr);
	if (r == 0)
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (r == 0)
		r = fd < 0 ? -errno : lock_within(fd, wait_ms);
	if (r == -EBUSY)
		return err_set(e, r,
			"another hbactl is still moving %s to another driver: see the kernel log, and who "
			"has " LOCK_NAME,
			addr, addr);
	return r < 0 ? err_set(e, r, "cannot lock " LOCK_NAME ": %s", addr, strerror(-r)) : TAKE_FD(fd);
}

int grant_mark(const char *root, int group, const char *addr)
{
	hb_autoclose int fd = -1;
	char path[PATH_MAX];
	int r = make_folders(root);

	if (r == 0)
		r = tree_path(path, root, GRANT_MARKS "/%d", group);
	if (r < 0)
		return r;
	unmark_others(root, addr, group);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	return dprintf(fd, "%s\n", addr) < 0 ? -EIO : 0;
}

void grant_unmark(const char *root, int group)
{
	char path[PATH_MAX];

	if (tree_path(path, root, GRANT_MARKS "/%d", group) == 0)
		unlink(path);
}

void pci_revoke_vfio(const char *root, const char *addr)
{
	unmark_others(root, addr, -1);
}

static int user_ids(const char *user, uid_t *ret_uid, gid_t *ret_gid, struct err *e)
{
	struct passwd pw, *found = NULL;
	char text[4096];
	int r = getpwnam_r(user, &pw, text, sizeof(text), &found);

	if (!found)
		return err_set(e, r ? -r : -ENOENT,
			"there is no user \"%s\"%s%s: \"systemd-sysusers\" makes it from what hbad installed",
			user, r ? ", " : "", r ? strerror(r) : "");
	*ret_uid = pw.pw_uid;
	*ret_gid = pw.pw_gid;
	return 0;
}

static int give_node(const char *root, int group, uid_t uid, gid_t gid)
{
	char path[PATH_MAX];
	int r = tree_path(path, root, "/dev/vfio/%d", group);

	return r < 0 ? r : lchown(path, uid, gid) ? -errno : 0;
}

int pci_grant_vfio(const char *root, const char *addr, const char *user, struct err *e)
{
	hb_autoclose int lock = grant_lock(root, addr, GRANT_WAIT_MS, e);
	int group = group_of(root, addr);
	uid_t uid = 0;
	gid_t gid = 0;
	int r = lock < 0 ? lock : user_ids(user, &uid, &gid, e);

	if (r < 0)
		return r;
	if (group < 0)
		return err_set(
			e, -ENODEV, "%s has no IOMMU group: there is nothing to give to user %s", addr, user);
	/* Also for a function that somebody else has bound: the next event for the node is udev's. */
	r = grant_mark(root, group, addr);
	if (r == 0)
		r = give_node(root, group, uid, gid);
	if (r == 0)
		return 0;
	/* It was given back meanwhile: the number of its group may be another device's next. */
	grant_unmark(root, group);
	return err_set(e, r, "cannot give /dev/vfio/%d to user %s: %s", group, user, strerror(-r));
}
