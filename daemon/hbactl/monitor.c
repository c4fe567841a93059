/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl monitor: follows what happens to an instance's controller and units. It asks every second, so an instance
 * that is restarted, or was never told to talk, is followed as well. */
#include "hbactl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include "base/clock.h"
#include "instance.h"
#include "json.h"
#include "table.h"

#define PAUSE_MS 1000

struct follow {
	struct ctl *c;
	const char *name;
	gboolean json;
	bool silent; /* the instance did not answer the last time */
	int64_t pid, last;
};

/* --- output --- */

static void print_json(
	const struct follow *f, const char *event, JsonObject *o, int64_t time_us, const char *text)
{
	g_autoptr(JsonBuilder) b = json_builder_new();
	g_autoptr(JsonNode) root = NULL;
	g_autofree char *line = NULL;

	json_builder_begin_object(b);
	json_put_str(b, "instance", f->name);
	json_put_int(b, "time_us", time_us);
	json_put_str(b, "event", event);
	json_put_str(b, "unit", o ? json_str(o, "unit") : "");
	json_put_str(b, "naa", o ? json_str(o, "naa") : "");
	json_put_str(b, "text", text);
	json_builder_end_object(b);
	root = json_builder_get_root(b);
	line = json_to_string(root, FALSE);
	fprintf(f->c->out, "%s\n", line);
}

/* o: hbad's own; NULL: what this program has seen. */
static void print(const struct follow *f, const char *event, JsonObject *o, const char *text)
{
	int64_t time_us = o ? json_int(o, "time_us") : g_get_real_time();
	g_autoptr(GDateTime) t = g_date_time_new_from_unix_local(time_us / 1000000);
	g_autofree char *when = t ? g_date_time_format(t, "%F %T") : g_strdup("?");
	g_autofree char *what = table_clean(event), *unit = table_clean(o ? json_str(o, "unit") : "");
	g_autofree char *words = table_clean(text);

	if (f->json)
		print_json(f, event, o, time_us, text);
	else
		fprintf(f->c->out, "%s  %-18s %s%s%s\n", when, what, unit, unit[0] ? " " : "", words);
	/* Whoever reads a pipe wants it now. */
	fflush(f->c->out);
}

/* --- one answer --- */

static void another_process(struct follow *f, JsonObject *o)
{
	g_autofree char *text =
		g_strdup_printf("hbad \"%s\" runs (process %" PRId64 ")", f->name, json_int(o, "pid"));

	print(f, "instance-started", NULL, text);
	f->pid = json_int(o, "pid");
	f->last = 0;
}

static void print_events(struct follow *f, JsonArray *events)
{
	for (unsigned i = 0; i < json_arr_len(events); i++) {
		JsonObject *e = json_arr_obj(events, i);
		int64_t seq = json_int(e, "seq");

		if (seq <= f->last)
			continue;
		if (seq > f->last + 1) {
			g_autofree char *text = g_strdup_printf(
				"%" PRId64 " events are forgotten already", seq - f->last - 1);

			print(f, "events-lost", NULL, text);
		}
		f->last = seq;
		print(f, json_str(e, "event"), e, json_str(e, "text"));
	}
}

static int ask(struct follow *f, int64_t since, JsonNode **ret, struct err *e)
{
	char *text = NULL;
	int r = f->c->ops->events(f->c->runtime_dir, f->name, since, STATUS_MS, &text, e);

	if (r == 0)
		r = json_parse(text, ret, e);
	free(text);
	return r;
}

/* -errno: it does not know what it is asked for. That it does not answer is an event like others. */
static int look(struct follow *f, struct err *e)
{
	g_autoptr(JsonNode) answer = NULL;
	int r = ask(f, f->last, &answer, e);

	if (r == -EREMOTEIO || r == -EACCES)
		return r;
	if (r < 0) {
		if (!f->silent)
			print(f, "instance-silent", NULL, e->text);
		f->silent = true;
		return 0;
	}
	if (json_int(json_node_get_object(answer), "pid") != f->pid) {
		another_process(f, json_node_get_object(answer));
		f->silent = false;
		return look(f, e);
	}
	if (f->silent)
		print(f, "instance-answers", NULL, "hbad answers again");
	f->silent = false;
	print_events(f, json_arr(json_node_get_object(answer), "events"));
	return 0;
}

static int run(struct ctl *c, int argc, char **argv)
{
	gboolean json = FALSE, all = FALSE;
	const GOptionEntry entries[] = {
		{"all", 'a', 0, G_OPTION_ARG_NONE, &all,
			"Begin with what happened before, as far as hbad remembers", NULL},
		{"json", 'j', 0, G_OPTION_ARG_NONE, &json, "Print one line of JSON for each event", NULL},
		G_OPTION_ENTRY_NULL,
	};
	const struct ctl_syntax syntax = {
		.command = "monitor",
		.operand = "NAME",
		.summary = "Prints what happens to an instance's controller and units, one line for each "
			   "event, until "
			   "^C:\nunits that are added, removed, offline, degraded or resized, a controller "
			   "that is gone or "
			   "back,\nfirmware's own events, and backstores that are refused.",
		.entries = entries,
	};
	struct follow f = {.c = c};
	g_autoptr(JsonNode) first = NULL;
	struct err e = {""};
	int exit_code;

	if (ctl_parse(c, &syntax, argc, argv, &f.name, &exit_code) == CTL_PARSE_EXIT)
		return exit_code;
	if (ctl_check_name(c, "monitor", f.name) != CTL_OK)
		return CTL_USAGE;
	if (ask(&f, -1, &first, &e) < 0)
		return instance_fail(c, f.name, &e);
	f.json = json;
	f.pid = json_int(json_node_get_object(first), "pid");
	f.last = all ? 0 : json_int(json_node_get_object(first), "last");
	while (!c->ops->interrupted()) {
		if (look(&f, &e) < 0)
			return instance_fail(c, f.name, &e);
		c->ops->sleep_ms(PAUSE_MS);
	}
	return CTL_OK;
}

const struct ctl_command cmd_monitor = {
	.name = "monitor",
	.summary = "Follow what happens to an instance's controller and units",
	.run = run,
};
