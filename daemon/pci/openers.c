/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has a device node open. */
#include "openers.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tree.h"

/* "" for the node itself, "1" or "p1" for a partition of it. */
static bool is_partition(const char *rest)
{
	if (rest[0] == 'p')
		rest++;
	return rest[0] && rest[strspn(rest, "0123456789")] == '\0';
}

static bool has_open(const char *root, const char *pid, const char *node, bool with_partitions)
{
	hb_autoclosedir DIR *dir = tree_opendir(root, "/proc/%s/fd", pid);
	size_t len = strlen(node);
	const char *fd;

	while (dir && (fd = tree_next(dir))) {
		char path[PATH_MAX], target[PATH_MAX];
		ssize_t n;

		if (tree_path(path, root, "/proc/%s/fd/%s", pid, fd) < 0)
			continue;
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		if (strncmp(target, node, len) == 0 &&
			(!target[len] || (with_partitions && is_partition(target + len))))
			return true;
	}
	return false;
}

unsigned openers_find(const char *root, const char *node, bool with_partitions, char *ret, size_t cap)
{
	hb_autoclosedir DIR *proc = tree_opendir(root, "/proc");
	const char *pid;
	unsigned n = 0;
	struct text t;

	text_init(&t, ret, cap);
	while (proc && (pid = tree_next(proc))) {
		char comm[64] = "?";

		if (!isdigit((unsigned char)pid[0]) || !has_open(root, pid, node, with_partitions))
			continue;
		tree_line(comm, sizeof(comm), root, "/proc/%s/comm", pid);
		text_item(&t, ", ", "process %s (%s)", pid, comm);
		n++;
	}
	return n;
}
