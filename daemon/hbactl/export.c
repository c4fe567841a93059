/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Units of a controller, and the targetcli commands that export them. */
#include "export.h"

#include <inttypes.h>
#include <string.h>
#include "hbad/handoff.h"
#include "table.h"

/* What initiators may send in one command, as LIO reports it; the kernel's own default for TCMU is 64 KiB,
 * which makes large sequential I/O slow on fabrics that obey it. hbad splits whatever the controller cannot
 * take. */
#define EXPORT_TRANSFER (4u << 20)

bool export_is_plain(const char *text)
{
	return *text && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
				strlen(text);
}

static bool size_is_sane(uint64_t bytes, uint64_t block_size)
{
	return block_size >= 512 && block_size <= 65536 && (block_size & (block_size - 1)) == 0 &&
	       bytes > 0 && bytes % block_size == 0;
}

char *export_command(const char *instance, JsonObject *unit)
{
	const char *name = json_str(unit, "name"), *naa = json_str(unit, "naa");
	uint64_t bytes = json_u64(unit, "size_bytes"), block_size = json_u64(unit, "block_size");
	const char *stable = *naa ? naa : name;
	g_autofree char *control = NULL;

	if (!json_bool(unit, "exportable") || *json_str(unit, "exported_by"))
		return NULL;
	if (!export_is_plain(name) || !export_is_plain(stable) || !size_is_sane(bytes, block_size))
		return NULL;
	/* The kernel takes 512 unless told; only its control string can say so, and only at creation. */
	control = block_size == 512 ? g_strdup("")
				    : g_strdup_printf(" control=hw_block_size=%" PRIu64, block_size);
	return g_strdup_printf("targetcli /backstores/user:" HBAD_SUBTYPE " create name=%s-%s size=%" PRIu64
			       " cfgstring=%s/%s hw_max_sectors=%" PRIu64 "%s",
		instance, name, bytes, instance, stable, EXPORT_TRANSFER / block_size, control);
}

/* "write-back, protected" */
static const char *cache_text(JsonObject *unit)
{
	bool disk = json_bool(unit, "disk_cache");

	if (!json_bool(unit, "write_back"))
		return disk ? "write-through, disk cache on" : "write-through";
	if (json_bool(unit, "cache_protected"))
		return disk ? "write-back, protected, disk cache on" : "write-back, protected";
	return disk ? "write-back, NOT protected, disk cache on" : "write-back, NOT protected";
}

static void add_row(struct table *t, JsonObject *u)
{
	g_autofree char *size = table_size(json_u64(u, "size_bytes"));
	const char *raid = json_str(u, "raid");

	table_cell(t, json_str(u, "name"));
	table_cell(t, *raid ? raid : strcmp(json_str(u, "kind"), "pd") == 0 ? "disk" : "");
	table_cell(t, size);
	table_cellf(t, "%" PRIu64, json_u64(u, "block_size"));
	table_cell(t, json_str(u, "state"));
	table_cell(t, cache_text(u));
	table_cell(t, json_str(u, "exported_by"));
	table_cell(t, json_str(u, "naa"));
}

static void print_problems(JsonArray *units, const char *indent, FILE *out)
{
	for (unsigned i = 0; i < json_arr_len(units); i++) {
		JsonObject *u = json_arr_obj(units, i);
		g_autofree char *name = table_clean(json_str(u, "name"));
		g_autofree char *problem = table_clean(json_str(u, "problem"));

		if (*problem)
			fprintf(out, "%s%s: %s\n", indent, name, problem);
	}
}

void export_print_units(JsonArray *units, const char *indent, FILE *out)
{
	static const char *const headings[] = {
		"UNIT", "RAID", ">SIZE", ">BLOCK", "STATE", "CACHE", "EXPORTED AS", "NAA", NULL};
	g_autoptr(table_t) t = table_new(headings);

	if (json_arr_len(units) == 0) {
		fprintf(out, "%sThe controller has no units: make a logical drive with its own tools.\n",
			indent);
		return;
	}
	for (unsigned i = 0; i < json_arr_len(units); i++)
		add_row(t, json_arr_obj(units, i));
	table_print(t, indent, out);
	print_problems(units, indent, out);
}

void export_print_commands(const char *instance, JsonArray *units, FILE *out)
{
	unsigned n = 0;

	for (unsigned i = 0; i < json_arr_len(units); i++) {
		g_autofree char *line = export_command(instance, json_arr_obj(units, i));

		if (line && n++ == 0)
			fputs("\nTo export:\n", out);
		if (line)
			fprintf(out, "  %s\n", line);
	}
}

static JsonObject *with_command(const char *instance, JsonObject *unit)
{
	g_autofree char *line = unit ? export_command(instance, unit) : NULL;
	/* in hbad's order, which an iterator does not keep */
	g_autoptr(GList) members = unit ? json_object_get_members(unit) : NULL;
	JsonObject *o = json_object_new();

	for (GList *m = members; m; m = m->next)
		json_object_set_member(o, m->data, json_object_dup_member(unit, m->data));
	json_object_set_string_member(o, "targetcli", line ? line : "");
	return o;
}

void export_json(JsonBuilder *b, const char *instance, JsonArray *units)
{
	json_builder_begin_array(b);
	for (unsigned i = 0; i < json_arr_len(units); i++) {
		JsonNode *node = json_node_new(JSON_NODE_OBJECT);

		json_node_take_object(node, with_command(instance, json_arr_obj(units, i)));
		json_builder_add_value(b, node);
	}
	json_builder_end_array(b);
}

void export_print_json(const char *instance, JsonArray *units, FILE *out)
{
	g_autoptr(JsonBuilder) b = json_builder_new();
	g_autoptr(JsonNode) root = NULL;

	json_builder_begin_object(b);
	json_put_str(b, "name", instance);
	json_builder_set_member_name(b, "units");
	export_json(b, instance, units);
	json_builder_end_object(b);
	root = json_builder_get_root(b);
	json_print(root, out);
}
