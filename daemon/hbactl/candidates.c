/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl candidates: the HBAs of this machine, and whether hbad can have them. */
#include "hbactl.h"

#include "instance.h"
#include "table.h"

struct found {
	struct pci_candidate *c;
	unsigned n;
	char **attached_as; /* c[i] belongs to this instance, or "" */
};

static void found_clear(struct found *f)
{
	pci_candidates_free(f->c, f->n);
	g_clear_pointer(&f->attached_as, g_strfreev);
}

static int find(struct ctl *c, struct found *ret, struct err *e)
{
	g_auto(GStrv) names = NULL;
	int r = c->ops->candidates(c->sysfs_root, &ret->c, &ret->n, e);

	if (r < 0)
		return r;
	names = instance_names(c);
	ret->attached_as = g_new0(char *, ret->n + 1);
	for (unsigned i = 0; i < ret->n; i++) {
		char *name = instance_by_device(c, names, ret->c[i].addr);

		ret->attached_as[i] = name ? name : g_strdup("");
	}
	return 0;
}

static void put_disks(JsonBuilder *b, const struct pci_candidate *p)
{
	json_builder_set_member_name(b, "disks");
	json_builder_begin_array(b);
	for (unsigned i = 0; i < p->n_disks; i++) {
		json_builder_begin_object(b);
		json_put_str(b, "name", p->disks[i].name);
		json_put_str(b, "model", p->disks[i].model);
		json_put_int(b, "size_bytes", (int64_t)p->disks[i].bytes);
		json_put_str(b, "use", p->disks[i].use);
		json_builder_end_object(b);
	}
	json_builder_end_array(b);
}

static void put_words(JsonBuilder *b, const char *member, const char *text)
{
	g_auto(GStrv) words = g_strsplit(text, " ", -1);

	json_builder_set_member_name(b, member);
	json_builder_begin_array(b);
	for (char **w = words; *w; w++)
		if (**w)
			json_builder_add_string_value(b, *w);
	json_builder_end_array(b);
}

static void put_id(JsonBuilder *b, const char *member, uint16_t id)
{
	g_autofree char *hex = g_strdup_printf("%04x", id);

	json_put_str(b, member, hex);
}

static void put_candidate(
	JsonBuilder *b, const struct ctl *c, const struct pci_candidate *p, const char *attached_as)
{
	const char *driver = c->ops->supported(p->vendor, p->device);

	json_builder_begin_object(b);
	json_put_str(b, "address", p->addr);
	put_id(b, "vendor", p->vendor);
	put_id(b, "device", p->device);
	put_id(b, "subvendor", p->subvendor);
	put_id(b, "subdevice", p->subdevice);
	json_put_str(b, "name", p->name);
	json_put_str(b, "driver", p->driver);
	json_put_int(b, "iommu_group", p->iommu_group);
	put_words(b, "group_others", p->group_others);
	json_put_bool(b, "supported", driver != NULL);
	json_put_str(b, "supported_as", driver);
	json_put_str(b, "attached_as", attached_as);
	put_disks(b, p);
	json_builder_end_object(b);
}

static int print_json(const struct ctl *c, const struct found *f)
{
	g_autoptr(JsonBuilder) b = json_builder_new();
	g_autoptr(JsonNode) root = NULL;

	json_builder_begin_object(b);
	json_builder_set_member_name(b, "candidates");
	json_builder_begin_array(b);
	for (unsigned i = 0; i < f->n; i++)
		put_candidate(b, c, &f->c[i], f->attached_as[i]);
	json_builder_end_array(b);
	json_builder_end_object(b);
	root = json_builder_get_root(b);
	json_print(root, c->out);
	return CTL_OK;
}

static void print_hbas(const struct ctl *c, const struct found *f)
{
	static const char *const headings[] = {
		"ADDRESS", "IDS", "DRIVER", ">GROUP", "SUPPORTED BY HBAD", "ATTACHED AS", "NAME", NULL};
	g_autoptr(table_t) t = table_new(headings);

	for (unsigned i = 0; i < f->n; i++) {
		const struct pci_candidate *p = &f->c[i];
		const char *driver = c->ops->supported(p->vendor, p->device);

		table_cell(t, p->addr);
		table_cellf(t, "%04x:%04x", p->vendor, p->device);
		table_cell(t, p->driver);
		if (p->iommu_group < 0)
			table_cell(t, "");
		else
			table_cellf(t, "%d", p->iommu_group);
		table_cellf(t, "%s%s", driver ? "yes: " : "no", driver ? driver : "");
		table_cell(t, f->attached_as[i]);
		table_cell(t, p->name);
	}
	table_print(t, "", c->out);
}

static void print_disks(const struct ctl *c, const struct found *f)
{
	static const char *const headings[] = {"DISK", "OF", ">SIZE", "MODEL", "USED BY", NULL};
	g_autoptr(table_t) t = table_new(headings);

	for (unsigned i = 0; i < f->n; i++) {
		for (unsigned d = 0; d < f->c[i].n_disks; d++) {
			const struct pci_disk *disk = &f->c[i].disks[d];
			g_autofree char *size = table_size(disk->bytes);

			table_cell(t, disk->name);
			table_cell(t, f->c[i].addr);
			table_cell(t, size);
			table_cell(t, disk->model);
			table_cell(t, disk->use);
		}
	}
	if (table_rows(t) > 0) {
		fputc('\n', c->out);
		table_print(t, "", c->out);
	}
}

static void print_hints(const struct ctl *c, const struct found *f)
{
	bool no_iommu = false;

	for (unsigned i = 0; i < f->n; i++) {
		const struct pci_candidate *p = &f->c[i];

		no_iommu |= p->iommu_group < 0;
		if (p->group_others[0])
			fprintf(c->out,
				"\n%s shares IOMMU group %d with %s: VFIO takes groups whole, so these must "
				"be "
				"without a kernel driver, or bound to vfio-pci as well.\n",
				p->addr, p->iommu_group, p->group_others);
	}
	if (no_iommu)
		fputs("\nHBAs without an IOMMU group cannot be attached: switch on VT-d or AMD-Vi in the "
		      "firmware's "
		      "set-up, and on Intel machines boot with intel_iommu=on.\n",
			c->out);
}

static int run(struct ctl *c, int argc, char **argv)
{
	gboolean json = FALSE;
	const GOptionEntry entries[] = {
		{"json", 'j', 0, G_OPTION_ARG_NONE, &json, "Print JSON", NULL},
		G_OPTION_ENTRY_NULL,
	};
	const struct ctl_syntax syntax = {
		.command = "candidates",
		.summary = "Lists the SCSI HBAs and RAID controllers of this machine, with their disks and "
			   "what uses "
			   "them,\nand says which of them hbad has a driver for.",
		.entries = entries,
	};
	__attribute__((cleanup(found_clear))) struct found f = {0};
	struct err e = {""};
	int exit_code;

	if (ctl_parse(c, &syntax, argc, argv, NULL, &exit_code) == CTL_PARSE_EXIT)
		return exit_code;
	if (find(c, &f, &e) < 0)
		return ctl_fail(c, "%s", e.text);
	if (json)
		return print_json(c, &f);
	if (f.n == 0) {
		fputs("There is no SCSI HBA or RAID controller in this machine.\n", c->out);
		return CTL_OK;
	}
	print_hbas(c, &f);
	print_disks(c, &f);
	print_hints(c, &f);
	return CTL_OK;
}

const struct ctl_command cmd_candidates = {
	.name = "candidates",
	.summary = "List the HBAs of this machine",
	.run = run,
};
