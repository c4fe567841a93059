/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a test compares before and after: descriptors that nobody closes. */
#ifndef HBAD_TESTS_UNIT_OPEN_FDS_H
#define HBAD_TESTS_UNIT_OPEN_FDS_H

#include <dirent.h>

/* How many this process has, and always the same few more. */
static inline unsigned open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

#endif
