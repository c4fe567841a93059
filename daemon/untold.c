/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What initiators have still to be told, from one hbad to the next: a key file, with a group for each unit. */
#include <glib.h>
#include <glib/gstdio.h>
#include "base/log.h"
#include "hbad.h"

#define UNTOLD_FILE "untold"
#define MAX_BYTES   (1 << 20)

/* In memory, though a reboot forgets it: what is on disks may be on a LUN of ours, which nobody serves at the end. */
static char *untold_path(const struct hbad *d)
{
	return g_strdup_printf("%s/%s/" UNTOLD_FILE, d->runtime_dir, d->name);
}

static void put(GKeyFile *file, const struct scsi_untold *u)
{
	int codes[SCSI_UNTOLD];
	gsize n = 0;

	while (n < SCSI_UNTOLD && u->attention[n]) {
		codes[n] = (int)u->attention[n];
		n++;
	}
	g_key_file_set_boolean(file, u->naa, "lost", u->lost);
	if (n)
		g_key_file_set_integer_list(file, u->naa, "attention", codes, n);
}

void untold_save(const struct hbad *d, const struct hba *h)
{
	static struct scsi_untold left[HBA_MAX_UNITS];
	g_autofree char *path = untold_path(d);
	g_autoptr(GKeyFile) file = g_key_file_new();
	g_autoptr(GError) error = NULL;
	unsigned n = scsi_host_leave(d->host, h, left);

	for (unsigned i = 0; i < n; i++)
		put(file, &left[i]);
	if (!n)
		g_unlink(path);
	else if (!g_key_file_save_to_file(file, path, &error))
		log_warn("what initiators have still to be told is forgotten: %s", error->message);
}

static bool get(GKeyFile *file, const char *naa, struct scsi_untold *u)
{
	gsize n = 0;
	g_autofree int *codes = g_key_file_get_integer_list(file, naa, "attention", &n, NULL);

	*u = (struct scsi_untold){.lost = g_key_file_get_boolean(file, naa, "lost", NULL)};
	if (n > SCSI_UNTOLD || g_strlcpy(u->naa, naa, sizeof(u->naa)) >= sizeof(u->naa))
		return false;
	for (gsize i = 0; i < n; i++)
		u->attention[i] = (uint32_t)codes[i];
	return true;
}

static void take(struct hbad *d, GKeyFile *file)
{
	gsize n;
	g_auto(GStrv) units = g_key_file_get_groups(file, &n);
	struct scsi_untold u;

	for (gsize i = 0; i < MIN(n, (gsize)HBA_MAX_UNITS); i++)
		if (!get(file, units[i], &u) || scsi_host_inherit(d->host, &u) < 0)
			log_warn("what the hbad before has left of unit \"%.40s\" makes no sense", units[i]);
}

void untold_load(struct hbad *d)
{
	g_autofree char *path = untold_path(d);
	g_autoptr(GKeyFile) file = g_key_file_new();
	g_autoptr(GError) error = NULL;
	GStatBuf st;

	if (g_stat(path, &st) < 0)
		return;
	if (st.st_size <= MAX_BYTES && g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, &error))
		take(d, file);
	else
		log_warn("%s cannot be read: %s", path, error ? error->message : "it is too long");
}

void untold_taken(const struct hbad *d)
{
	g_autofree char *path = untold_path(d);

	g_unlink(path);
}
