/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A temporary folder per case, and files in it. */
#ifndef TESTS_CONTROL_TEMP_H
#define TESTS_CONTROL_TEMP_H

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <glib.h>

static char *temp_dir;

static int temp_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static inline void temp_make(void)
{
	temp_dir = g_dir_make_tmp("hbad-test-XXXXXX", NULL);
	ck_assert_ptr_nonnull(temp_dir);
}

static inline void temp_remove(void)
{
	nftw(temp_dir, temp_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	g_free(temp_dir);
}

/* Below the temporary folder; valid until the 16th call after it. */
static inline const char *temp_path(const char *name)
{
	static char ring[16][256];
	static unsigned at;
	char *p = ring[at++ % 16];

	snprintf(p, sizeof(ring[0]), "%s/%s", temp_dir, name);
	return p;
}

static inline void temp_write(const char *name, const char *text)
{
	g_autofree char *dir = g_path_get_dirname(temp_path(name));

	ck_assert_int_eq(g_mkdir_with_parents(dir, 0755), 0);
	ck_assert(g_file_set_contents(temp_path(name), text, -1, NULL));
}

#endif
