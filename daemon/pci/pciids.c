/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names from the hwdata file: "VVVV  vendor", tab "DDDD  device", tab tab "SSSS SSSS  subsystem". */
#include "disks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tree.h"

static FILE *open_ids(const char *root)
{
	static const char *const places[] = {"/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids"};

	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		char path[PATH_MAX];
		FILE *f = tree_path(path, root, "%s", places[i]) == 0 ? fopen(path, "re") : NULL;

		if (f)
			return f;
	}
	return NULL;
}

/* The name behind a hexadecimal number of four digits, or NULL when the line is about another. */
static const char *name_of(const char *line, unsigned id)
{
	char *end;
	unsigned long v = strtoul(line, &end, 16);

	return end == line + 4 && *end == ' ' && v == id ? end + strspn(end, " ") : NULL;
}

void pciids_name(const char *root, const struct pci_candidate *c, char *ret, size_t cap)
{
	hb_autofclose FILE *f = open_ids(root);
	bool in_vendor = false;
	char line[512];
	const char *name;
	struct text t;

	text_init(&t, ret, cap);
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || line[0] == '\0' || (line[0] == '\t' && (!in_vendor || line[1] == '\t')))
			continue;
		if (line[0] != '\t') {
			/* The vendor's block is over, or "C xx" begins the classes. */
			if (in_vendor)
				return;
			name = name_of(line, c->vendor);
			in_vendor = name;
		} else {
			name = name_of(line + 1, c->device);
		}
		if (name)
			text_item(&t, " ", "%s", name);
		if (name && line[0] == '\t')
			return;
	}
}
