/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl upgrade: a new hbad in the place of the one that runs, on a controller that goes on running. */
#include "hbactl.h"

#include <string.h>
#include "instance.h"
#include "ready.h"
#include "table.h"

/* Firmware may take that long to write its cache out, before the new one starts. */
#define UPGRADE_TIMEOUT_S (READY_TIMEOUT_S + 300)

struct outcome {
	const char *name;
	char was[64];	 /* version of the hbad before */
	JsonObject *now; /* the status of the new one */
};

static int ask(struct ctl *c, const char *name, JsonNode **ret, struct err *e)
{
	g_autofree char *reply = NULL;
	int r = c->ops->call(c->runtime_dir, name, "upgrade", PROTO_CALL_MS, &reply, e);

	return r < 0 ? r : json_parse(reply, ret, e);
}

static void print_json(const struct outcome *o, FILE *out)
{
	g_autoptr(JsonBuilder) b = json_builder_new();
	g_autoptr(JsonNode) root = NULL;

	json_builder_begin_object(b);
	json_put_str(b, "name", o->name);
	json_put_bool(b, "in_place", json_bool(o->now, "taken_over"));
	json_put_str(b, "reason", json_str(o->now, "start_note"));
	json_put_str(b, "version_before", o->was);
	json_put_str(b, "version", json_str(o->now, "version"));
	json_builder_end_object(b);
	root = json_builder_get_root(b);
	json_print(root, out);
}

static void print_text(const struct outcome *o, FILE *out)
{
	g_autofree char *version = table_clean(json_str(o->now, "version"));
	g_autofree char *was = table_clean(o->was);
	g_autofree char *why = table_clean(json_str(o->now, "start_note"));

	fprintf(out, "hbad %s runs in the place of hbad %s.\n", version, was);
	if (json_bool(o->now, "taken_over"))
		fputs("The controller went on running.\n", out);
	else
		fprintf(out, "The controller was started anew: %s\n",
			*why ? why : "the hbad before had left nothing that could be used");
}

static int upgrade(
	struct ctl *c, const char *name, FILE *progress, struct outcome *o, JsonNode **ret, struct err *e)
{
	g_autoptr(JsonNode) before = NULL, answer = NULL;
	struct unit_state unit;
	JsonObject *was, *a;
	int r = status_read(c, name, &before, e);

	if (r < 0)
		return r;
	unit_read(c, name, &unit);
	was = json_node_get_object(before);
	g_strlcpy(o->was, json_str(was, "version"), sizeof(o->was));
	r = ask(c, name, &answer, e);
	if (r < 0)
		return r;
	a = json_node_get_object(answer);
	if (json_str(a, "reason")[0])
		ctl_warn(c, "the controller will be started anew: %s", json_str(a, "reason"));
	r = ready_wait_next(
		c, name, json_int(was, "pid"), unit.restarts, UPGRADE_TIMEOUT_S, progress, ret, e);
	if (r < 0)
		ready_print_journal(c, name, c->err);
	return r;
}

static int run(struct ctl *c, int argc, char **argv)
{
	gboolean json = FALSE;
	const GOptionEntry entries[] = {
		{"json", 'j', 0, G_OPTION_ARG_NONE, &json, "Print JSON; progress goes to standard error",
			NULL},
		G_OPTION_ENTRY_NULL,
	};
	const struct ctl_syntax syntax = {
		.command = "upgrade",
		.operand = "NAME",
		.summary = "Has the installed hbad take an instance over from the one that runs, without a "
			   "restart of\nthe controller: initiators see a short pause. Where that cannot be, "
			   "the controller is\nstarted anew, as by \"systemctl restart\", and the reason is "
			   "printed.",
		.entries = entries,
	};
	g_autoptr(JsonNode) status = NULL;
	struct outcome o = {0};
	struct err e = {""};
	int exit_code;

	if (ctl_parse(c, &syntax, argc, argv, &o.name, &exit_code) == CTL_PARSE_EXIT)
		return exit_code;
	if (ctl_check_name(c, "upgrade", o.name) != CTL_OK)
		return CTL_USAGE;
	if (ctl_need_root(c, "upgrade") != CTL_OK)
		return CTL_FAILED;
	if (upgrade(c, o.name, json ? c->err : c->out, &o, &status, &e) < 0)
		return instance_fail(c, o.name, &e);
	o.now = json_node_get_object(status);
	if (json)
		print_json(&o, c->out);
	else
		print_text(&o, c->out);
	return CTL_OK;
}

const struct ctl_command cmd_upgrade = {
	.name = "upgrade",
	.summary = "Replace a running hbad by the installed one, with the controller running on",
	.run = run,
};
