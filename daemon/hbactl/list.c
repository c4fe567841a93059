/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl list: all configured instances, one line each. */
#include "hbactl.h"

#include "instance.h"
#include "table.h"

static unsigned count_exported(JsonArray *units)
{
	unsigned n = 0;

	for (unsigned i = 0; i < json_arr_len(units); i++)
		n += *json_str(json_arr_obj(units, i), "exported_by") != '\0';
	return n;
}

static void add_row(struct table *t, const struct instance *i)
{
	JsonObject *o = instance_status(i);

	table_cell(t, i->name);
	table_cell(t, i->config.device);
	table_cell(t, instance_state(i));
	table_cell(t, i->unit.enabled);
	table_cell(t, json_str(json_obj(o, "controller"), "product"));
	if (o) {
		table_cellf(t, "%u", json_arr_len(json_arr(o, "units")));
		table_cellf(t, "%u", json_arr_len(json_arr(o, "luns")));
	} else {
		table_cell(t, "");
		table_cell(t, "");
	}
}

static void put_instance(JsonBuilder *b, const struct instance *i)
{
	JsonObject *o = instance_status(i), *controller = json_obj(o, "controller");

	json_builder_begin_object(b);
	json_put_str(b, "name", i->name);
	json_put_str(b, "device", i->config.device);
	json_put_str(b, "state", instance_state(i));
	json_put_str(b, "problem", i->configured ? json_str(o, "problem") : i->config_err.text);
	json_put_str(b, "enabled", i->unit.enabled);
	json_put_str(b, "controller", json_str(controller, "product"));
	json_put_str(b, "firmware", json_str(controller, "firmware"));
	json_put_int(b, "units", json_arr_len(json_arr(o, "units")));
	json_put_int(b, "exported", count_exported(json_arr(o, "units")));
	json_put_int(b, "luns", json_arr_len(json_arr(o, "luns")));
	json_builder_end_object(b);
}

static void print_json(struct ctl *c, char *const *names)
{
	g_autoptr(JsonBuilder) b = json_builder_new();
	g_autoptr(JsonNode) root = NULL;

	json_builder_begin_object(b);
	json_builder_set_member_name(b, "instances");
	json_builder_begin_array(b);
	for (; *names; names++) {
		instance_auto struct instance i;

		instance_read(c, *names, &i);
		put_instance(b, &i);
	}
	json_builder_end_array(b);
	json_builder_end_object(b);
	root = json_builder_get_root(b);
	json_print(root, c->out);
}

static void print_problem(struct ctl *c, const struct instance *i)
{
	g_autofree char *problem = table_clean(json_str(instance_status(i), "problem"));

	if (!i->configured)
		ctl_warn(c, "%s", i->config_err.text);
	else if (*problem)
		ctl_warn(c, "%s: %s", i->name, problem);
}

static void print_table(struct ctl *c, char *const *names)
{
	static const char *const headings[] = {
		"NAME", "DEVICE", "STATE", "AT BOOT", "CONTROLLER", ">UNITS", ">LUNS", NULL};
	g_autoptr(table_t) t = table_new(headings);

	if (!*names) {
		fputs("No HBA is attached: 'hbactl candidates' lists what there is, 'hbactl attach' attaches "
		      "one.\n",
			c->out);
		return;
	}
	for (; *names; names++) {
		instance_auto struct instance i;

		instance_read(c, *names, &i);
		add_row(t, &i);
		print_problem(c, &i);
	}
	table_print(t, "", c->out);
}

static int run(struct ctl *c, int argc, char **argv)
{
	gboolean json = FALSE;
	const GOptionEntry entries[] = {
		{"json", 'j', 0, G_OPTION_ARG_NONE, &json, "Print JSON", NULL},
		G_OPTION_ENTRY_NULL,
	};
	const struct ctl_syntax syntax = {
		.command = "list",
		.summary = "Lists the instances (HBAs that were attached) and how they are.",
		.entries = entries,
	};
	g_auto(GStrv) names = NULL;
	int exit_code;

	if (ctl_parse(c, &syntax, argc, argv, NULL, &exit_code) == CTL_PARSE_EXIT)
		return exit_code;
	names = instance_names(c);
	if (json)
		print_json(c, names);
	else
		print_table(c, names);
	return CTL_OK;
}

const struct ctl_command cmd_list = {
	.name = "list",
	.summary = "List the instances",
	.run = run,
};
