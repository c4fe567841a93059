/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs in processes of its own, one per backstore group: looking a path up in configfs waits without limit
 * and without a signal when somebody deletes a backstore and is stuck in it, and one such group must not keep
 * the others from being guarded.
 */
#include "guard_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "hbad/handoff.h"

#define WALK_PATH 512

struct walk {
	const char *root, *name;
	int pipe_fd;
};

static void tell(const struct walk *w, enum guard_what what, const char *group, const char *device,
	const char *step, int error)
{
	struct guard_record rec = {.what = what, .error = error};

	snprintf(rec.group, sizeof(rec.group), "%s", group);
	snprintf(rec.device, sizeof(rec.device), "%s", device);
	snprintf(rec.step, sizeof(rec.step), "%s", step);
	/* The guard may have given up and gone: there is nobody else to tell. */
	if (write(w->pipe_fd, &rec, sizeof(rec)) != sizeof(rec))
		_exit(1);
}

/* The kernel writes "Status: … \n        Config: hba/g2/ld0 Size: …". */
bool guard_info_matches(const char *info, const char *name)
{
	char want[HANDOFF_NAME_MAX + 16];
	const char *config = strstr(info, "Config: ");
	int n = snprintf(want, sizeof(want), "Config: %s/%s/", HBAD_SUBTYPE, name);

	return config && n > 0 && (size_t)n < sizeof(want) && !strncmp(config, want, (size_t)n);
}

static bool belongs(const char *dir, const char *name)
{
	char path[WALK_PATH], info[4096];
	hb_autoclose int fd = -1;
	ssize_t n;

	if (snprintf(path, sizeof(path), "%s/info", dir) >= (int)sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, info, sizeof(info) - 1);
	if (n <= 0)
		return false;
	info[n] = 0;
	return guard_info_matches(info, name);
}

/* 0 or errno */
static int write_one(const char *dir, const char *attribute)
{
	char path[WALK_PATH];
	hb_autoclose int fd = -1;

	if (snprintf(path, sizeof(path), "%s/%s", dir, attribute) >= (int)sizeof(path))
		return ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	return write(fd, "1\n", 2) == 2 ? 0 : errno;
}

/* Blocked first: it publishes what the dead hbad had finished, which a reset would report as BUSY and have
 * executed again; and nothing new may enter a ring that is being reset (hazard H9). */
static void guard_device(const struct walk *w, const char *group, const char *device, const char *dir)
{
	static const char *const steps[] = {"action/block_dev", "action/reset_ring"};

	tell(w, GUARD_WRITING, group, device, "", 0);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int error = write_one(dir, steps[i]);

		if (!i && (error == EINVAL || error == ENOENT)) {
			tell(w, GUARD_SKIPPED, group, device, "", 0);
			return;
		}
		if (error) {
			tell(w, GUARD_FAILED, group, device, steps[i], error);
			return;
		}
	}
	tell(w, GUARD_DONE, group, device, "", 0);
}

static void guard_group(const struct walk *w, const char *group)
{
	char dir[WALK_PATH];
	hb_autoclosedir DIR *d = NULL;
	struct dirent *de;

	if (snprintf(dir, sizeof(dir), "%s/target/core/%s", w->root, group) >= (int)sizeof(dir))
		return;
	d = opendir(dir);
	while (d && (de = readdir(d))) {
		char device[WALK_PATH];

		if (de->d_name[0] == '.' || de->d_type == DT_REG ||
			snprintf(device, sizeof(device), "%s/%s", dir, de->d_name) >= (int)sizeof(device))
			continue;
		if (belongs(device, w->name))
			guard_device(w, group, de->d_name, device);
	}
}

static void start_group(const struct walk *w, const char *group)
{
	pid_t pid;

	tell(w, GUARD_BEGIN, group, "", "", 0);
	pid = fork();
	if (pid > 0)
		return;
	if (pid < 0) {
		tell(w, GUARD_FAILED, group, "", "fork", errno);
	} else {
		guard_group(w, group);
	}
	tell(w, GUARD_END, group, "", "", 0);
	if (!pid)
		_exit(0);
}

void guard_walk(const char *configfs_root, const char *name, int pipe_fd)
{
	struct walk w = {.root = configfs_root, .name = name, .pipe_fd = pipe_fd};
	static const char list[] = "the list of backstores";
	char dir[WALK_PATH];
	hb_autoclosedir DIR *d = NULL;
	struct dirent *de;

	if (snprintf(dir, sizeof(dir), "%s/target/core", configfs_root) >= (int)sizeof(dir))
		return;
	tell(&w, GUARD_BEGIN, list, "", "", 0);
	d = opendir(dir);
	/* No target core: nothing is exported, nobody waits. */
	if (!d && errno != ENOENT)
		tell(&w, GUARD_FAILED, list, "", "open", errno);
	while (d && (de = readdir(d)))
		if (!strncmp(de->d_name, "user_", 5))
			start_group(&w, de->d_name);
	tell(&w, GUARD_END, list, "", "", 0);
}
