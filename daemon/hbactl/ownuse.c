/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Use of own LUNs: hbad tells its units, and this process sees more of the machine than hbad in its sandbox. */
#include "ownuse.h"

#include "control/sizes.h"
#include "pci/selfuse.h"

/* Beside this program, where both were installed. */
static char *program_path(void)
{
	g_autofree char *own = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *folder = own ? g_path_get_dirname(own) : g_strdup("/usr/sbin");

	return g_build_filename(folder, "hbad", NULL);
}

static GPtrArray *designators(JsonArray *units)
{
	GPtrArray *a = g_ptr_array_new();

	for (unsigned i = 0; i < json_arr_len(units); i++) {
		const char *naa = json_str(json_arr_obj(units, i), "naa");

		if (*naa)
			g_ptr_array_add(a, (gpointer)naa);
	}
	return a;
}

char **ownuse_read(const struct ctl *c, const struct instance *i)
{
	g_autoptr(GPtrArray) naa = designators(json_arr(instance_status(i), "units"));
	g_autoptr(GStrvBuilder) sentences = g_strv_builder_new();
	g_autofree char *program = program_path(), *config = instance_path(c, i->name);
	const struct selfuse_path paths[] = {
		{"hbad's program", program}, {"its configuration", config}, {"its state", HBAD_STATE_DIR}};
	const struct selfuse_query q = {
		.root = c->sysfs_root,
		.path = paths,
		.n_paths = G_N_ELEMENTS(paths),
		.naa = (const char *const *)naa->pdata,
		.n_naa = naa->len,
	};
	struct selfuse found[SELFUSE_MAX];
	unsigned n = naa->len ? selfuse_find(&q, found) : 0;

	for (unsigned k = 0; k < n; k++) {
		char text[400];

		selfuse_sentence(&found[k], text, sizeof(text));
		g_strv_builder_add(sentences, text);
	}
	return g_strv_builder_end(sentences);
}
