/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See leaks.h. */
#include "soak.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What threads keep for themselves of what was freed comes and goes. */
#define HEAP_SLACK (256u * 1024)

static unsigned entries(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* Arenas are memfds. Heaps and stacks have no name, libraries are private. */
static unsigned shared_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512], perms[5];
	unsigned n = 0;

	while (f && fgets(line, sizeof(line), f))
		n += sscanf(line, "%*s %4s", perms) == 1 && perms[3] == 's';
	if (f)
		fclose(f);
	return n;
}

struct leaks leaks_count(void)
{
	return (struct leaks){
		.fds = entries("/proc/self/fd"),
		.threads = entries("/proc/self/task"),
		.shared = shared_mappings(),
		.heap = mallinfo2().uordblks,
	};
}

static void tell_fds(void)
{
	char path[64], target[256];

	for (int fd = 0; fd < 1024; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		fprintf(stderr, "soak: descriptor %d is %s\n", fd, target);
	}
}

void leaks_compare(const struct leaks *before, const struct leaks *now)
{
	if (now->fds != before->fds) {
		soak_wrong("LEAK: %u descriptors with the controller closed, %u the first time", now->fds,
			before->fds);
		tell_fds();
	}
	if (now->threads != before->threads)
		soak_wrong("LEAK: %u threads with the controller closed, %u the first time", now->threads,
			before->threads);
	if (now->shared != before->shared)
		soak_wrong("LEAK: %u shared mappings with the controller closed, %u the first time",
			now->shared, before->shared);
	if (before->heap && now->heap > before->heap + HEAP_SLACK)
		soak_wrong("LEAK: %zu bytes of heap with the controller closed, %zu the first time",
			now->heap, before->heap);
}
