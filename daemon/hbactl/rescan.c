/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl rescan: has an instance look at its units anew, waits for it, and tells what changed. */
#include "hbactl.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "base/clock.h"
#include "export.h"
#include "instance.h"
#include "table.h"

#define POLL_MS	   200
#define PATIENCE_S 60 /* many units that spin up, one after the other */

static JsonObject *unit_named(JsonArray *units, const char *name)
{
	for (unsigned i = 0; i < json_arr_len(units); i++) {
		JsonObject *u = json_arr_obj(units, i);

		if (!strcmp(json_str(u, "name"), name))
			return u;
	}
	return NULL;
}

static void print_changes(struct ctl *c, JsonArray *before, JsonArray *after)
{
	bool any = false;

	for (unsigned i = 0; i < json_arr_len(after); i++) {
		JsonObject *now = json_arr_obj(after, i);
		JsonObject *was = unit_named(before, json_str(now, "name"));
		int64_t old_size = json_int(was, "size_bytes"), size = json_int(now, "size_bytes");
		g_autofree char *name = table_clean(json_str(now, "name"));
		const char *user = json_str(now, "exported_by");

		if (old_size == size)
			continue;
		any = true;
		fprintf(c->out, "%s: %" PRId64 " bytes, was %" PRId64 "\n", name, size, old_size);
		/* hbad is trusted no more than its firmware, and root pastes this. */
		if (size > old_size && export_is_plain(user))
			fprintf(c->out,
				"  targetcli /backstores/user:hba/%s set attribute dev_size=%" PRId64 "\n",
				user, size);
	}
	if (!any)
		fputs("No unit has changed its size.\n", c->out);
}

/* 0, or an errno with its sentence. *ret: the status afterwards. */
static int wait_for_end(struct ctl *c, const char *name, int64_t ended, JsonNode **ret, struct err *e)
{
	uint64_t deadline = c->ops->now_ns() + PATIENCE_S * NS_PER_SEC;

	for (;;) {
		g_autoptr(JsonNode) status = NULL;
		JsonObject *o;
		int r = status_read(c, name, &status, e);

		if (r < 0)
			return r;
		o = json_node_get_object(status);
		if (json_int(o, "rescans") > ended) {
			if (json_str(o, "rescan_problem")[0])
				return err_set(e, -EIO, "%s", json_str(o, "rescan_problem"));
			*ret = g_steal_pointer(&status);
			return 0;
		}
		if (c->ops->now_ns() >= deadline)
			return err_set(e, -ETIMEDOUT,
				"the units of %s are still being asked after %d s: see 'hbactl show %s'",
				name, PATIENCE_S, name);
		c->ops->sleep_ms(POLL_MS);
	}
}

static int start(struct ctl *c, const char *name, struct err *e)
{
	g_autofree char *reply = NULL;

	return c->ops->call(c->runtime_dir, name, "rescan", PROTO_CALL_MS, &reply, e);
}

static int run(struct ctl *c, int argc, char **argv)
{
	gboolean json = FALSE;
	const GOptionEntry entries[] = {
		{"json", 'j', 0, G_OPTION_ARG_NONE, &json, "Print the units as JSON", NULL},
		G_OPTION_ENTRY_NULL,
	};
	const struct ctl_syntax syntax = {
		.command = "rescan",
		.operand = "NAME",
		.summary = "Has a running instance ask its units again who they are and how big, and prints "
			   "what "
			   "has\nchanged. A LUN keeps its size until the backstore is given the new one.",
		.entries = entries,
	};
	g_autoptr(JsonNode) before = NULL, after = NULL;
	struct err e = {""};
	const char *name;
	int exit_code;

	if (ctl_parse(c, &syntax, argc, argv, &name, &exit_code) == CTL_PARSE_EXIT)
		return exit_code;
	if (ctl_check_name(c, "rescan", name) != CTL_OK)
		return CTL_USAGE;
	if (status_read(c, name, &before, &e) < 0 || start(c, name, &e) < 0 ||
		wait_for_end(c, name, json_int(json_node_get_object(before), "rescans"), &after, &e) < 0)
		return instance_fail(c, name, &e);
	if (json)
		export_print_json(name, json_arr(json_node_get_object(after), "units"), c->out);
	else
		print_changes(c, json_arr(json_node_get_object(before), "units"),
			json_arr(json_node_get_object(after), "units"));
	return CTL_OK;
}

const struct ctl_command cmd_rescan = {
	.name = "rescan",
	.summary = "Look at an instance's units anew, for example after one has grown",
	.run = run,
};
