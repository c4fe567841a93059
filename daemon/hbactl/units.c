/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl units: what the controller of an instance has, and how to export it. */
#include "hbactl.h"

#include "export.h"
#include "instance.h"

static int run(struct ctl *c, int argc, char **argv)
{
	gboolean json = FALSE;
	const GOptionEntry entries[] = {
		{"json", 'j', 0, G_OPTION_ARG_NONE, &json, "Print JSON", NULL},
		G_OPTION_ENTRY_NULL,
	};
	const struct ctl_syntax syntax = {
		.command = "units",
		.operand = "NAME",
		.summary = "Lists the units (logical drives and disks) of a running instance's controller, "
			   "and the "
			   "targetcli\ncommands that export those which are not exported yet.",
		.entries = entries,
	};
	g_autoptr(JsonNode) status = NULL;
	struct err e = {""};
	const char *name;
	JsonObject *o;
	int exit_code;

	if (ctl_parse(c, &syntax, argc, argv, &name, &exit_code) == CTL_PARSE_EXIT)
		return exit_code;
	if (ctl_check_name(c, "units", name) != CTL_OK)
		return CTL_USAGE;
	if (status_read(c, name, &status, &e) < 0)
		return instance_fail(c, name, &e);
	o = json_node_get_object(status);
	if (!json_obj(o, "controller"))
		return ctl_fail(c, "the controller of %s is not up (state: %s): see 'hbactl show %s'", name,
			json_str(o, "state"), name);
	if (json) {
		export_print_json(name, json_arr(o, "units"), c->out);
		return CTL_OK;
	}
	export_print_units(json_arr(o, "units"), "", c->out);
	export_print_commands(name, json_arr(o, "units"), c->out);
	return CTL_OK;
}

const struct ctl_command cmd_units = {
	.name = "units",
	.summary = "List an instance's units and how to export them",
	.run = run,
};
