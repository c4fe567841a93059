/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A key file: a group for each unit, "[naa.6001…]", with blocks and block_size of the last LUN, and one for each backstore,
 * "[backstore vol1]", with the unit's name in its cfgstring and the naa of the disk that this was.
 */
#include "sizes.h"

#include <string.h>
#include <glib.h>
#include <glib/gstdio.h>
#include "base/log.h"

#define BACKSTORE      "backstore "
#define MAX_BACKSTORES 1024

struct sizes {
	char *path;
	GKeyFile *file;
	bool dirty;
};

struct sizes *sizes_open(const char *path)
{
	struct sizes *s = g_new0(struct sizes, 1);
	g_autoptr(GError) error = NULL;

	s->path = g_strdup(path);
	s->file = g_key_file_new();
	if (!g_key_file_load_from_file(s->file, path, G_KEY_FILE_NONE, &error) &&
		!g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
		log_warn("%s cannot be read (%s): backstores that are smaller than their units are refused, "
			 "and disks that were exchanged are not noticed",
			path, error->message);
	return s;
}

void sizes_close(struct sizes *s)
{
	if (!s)
		return;
	g_key_file_free(s->file);
	g_free(s->path);
	g_free(s);
}

bool sizes_had(const struct sizes *s, const char *naa, uint64_t blocks, uint32_t block_size)
{
	return s && blocks && g_key_file_get_uint64(s->file, naa, "blocks", NULL) == blocks &&
	       g_key_file_get_uint64(s->file, naa, "block_size", NULL) == block_size;
}

void sizes_note(struct sizes *s, const char *naa, uint64_t blocks, uint32_t block_size)
{
	if (!s || !naa[0] || !blocks || sizes_had(s, naa, blocks, block_size))
		return;
	g_key_file_set_uint64(s->file, naa, "blocks", blocks);
	g_key_file_set_uint64(s->file, naa, "block_size", block_size);
	s->dirty = true;
}

/* Its name is anything, a group's is not. */
static char *group_of(const char *backstore)
{
	g_autofree char *plain = g_uri_escape_string(backstore, NULL, FALSE);

	return g_strconcat(BACKSTORE, plain, NULL);
}

/* Names come and go for years: the first ones are forgotten some day. */
static void make_room(GKeyFile *file)
{
	g_auto(GStrv) all = g_key_file_get_groups(file, NULL);
	const char *first = NULL;
	unsigned n = 0;

	for (char **group = all; *group; group++)
		if (g_str_has_prefix(*group, BACKSTORE)) {
			first = first ? first : *group;
			n++;
		}
	if (n >= MAX_BACKSTORES)
		g_key_file_remove_group(file, first, NULL);
}

char *sizes_disk(const struct sizes *s, const char *backstore, const char *unit)
{
	g_autofree char *group = group_of(backstore);
	g_autofree char *name = s ? g_key_file_get_string(s->file, group, "unit", NULL) : NULL;

	return name && !strcmp(name, unit) ? g_key_file_get_string(s->file, group, "naa", NULL) : NULL;
}

void sizes_note_disk(struct sizes *s, const char *backstore, const char *unit, const char *naa)
{
	g_autofree char *had = sizes_disk(s, backstore, unit);
	g_autofree char *group = group_of(backstore);

	if (!s || !naa[0] || (had && !strcmp(had, naa)))
		return;
	if (!g_key_file_has_group(s->file, group))
		make_room(s->file);
	g_key_file_set_string(s->file, group, "unit", unit);
	g_key_file_set_string(s->file, group, "naa", naa);
	s->dirty = true;
}

struct save {
	char *path, *text;
	gsize len;
};

/* g_file_set_contents() writes another file and renames it over this one: no half-written one is ever read. */
static void save_run(void *arg)
{
	struct save *job = arg;
	g_autoptr(GError) error = NULL;
	g_autofree char *dir = g_path_get_dirname(job->path);

	g_mkdir_with_parents(dir, 0755);
	if (!g_file_set_contents(job->path, job->text, (gssize)job->len, &error))
		log_warn("the sizes of units cannot be remembered: %s", error->message);
	/* Here and not in done(), which is not called for the last jobs of all. */
	g_free(job->path);
	g_free(job->text);
	g_free(job);
}

static void save_done(void *arg)
{
}

void sizes_save(struct sizes *s, struct worker *w)
{
	struct save *job;

	if (!s || !s->dirty)
		return;
	s->dirty = false;
	job = g_new0(struct save, 1);
	job->path = g_strdup(s->path);
	job->text = g_key_file_to_data(s->file, &job->len, NULL);
	worker_push(w, save_run, save_done, job);
}
