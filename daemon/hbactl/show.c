/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl show: everything there is to know about one instance. */
#include "hbactl.h"

#include <inttypes.h>
#include <string.h>
#include "export.h"
#include "instance.h"
#include "ownuse.h"
#include "table.h"

static void line(FILE *out, const char *label, const char *fmt, ...) hb_printf(3, 4);

static void line(FILE *out, const char *label, const char *fmt, ...)
{
	g_autofree char *text = NULL, *clean = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	clean = table_clean(text);
	fprintf(out, "  %-16s %s\n", label, *clean ? clean : "-");
}

static void print_unit_state(FILE *out, const struct unit_state *u)
{
	if (!u->known)
		line(out, "Unit:", "systemd does not answer");
	else if (u->restarts > 0)
		line(out, "Unit:", "%s (%s), %s, restarted %u times", u->active, u->sub, u->enabled,
			u->restarts);
	else
		line(out, "Unit:", "%s (%s), %s", u->active, u->sub, u->enabled);
}

/* The handler watches an instance from its first LUN on. */
static void print_handler(FILE *out, JsonObject *o)
{
	JsonObject *handler = json_obj(o, "handler");

	if (json_bool(handler, "connected"))
		line(out, "tcmu-runner:", "connected, handler %s", json_str(handler, "version"));
	else if (json_arr_len(json_arr(o, "luns")) == 0)
		line(out, "tcmu-runner:", "not connected: it has no LUN of this instance");
	else
		line(out, "tcmu-runner:", "NOT connected: see 'systemctl status tcmu-runner'");
}

static void print_instance(FILE *out, const struct instance *i)
{
	JsonObject *o = instance_status(i);
	uint64_t up = json_u64(o, "uptime_s");

	fprintf(out, "Instance %s\n", i->name);
	line(out, "State:", "%s", instance_state(i));
	if (*json_str(o, "problem"))
		line(out, "Problem:", "%s", json_str(o, "problem"));
	if (!i->configured)
		line(out, "Configuration:", "%s", i->config_err.text);
	line(out, "Device:", "%s", *json_str(o, "device") ? json_str(o, "device") : i->config.device);
	line(out, "Kernel driver:", "%s", i->config.kernel_driver);
	print_unit_state(out, &i->unit);
	if (!o) {
		line(out, "hbad:", "%s", i->status_err.text);
		return;
	}
	line(out, "hbad:", "%s, process %" PRIu64 ", up %" PRIu64 "d %02u:%02u:%02u", json_str(o, "version"),
		json_u64(o, "pid"), up / 86400, (unsigned)(up / 3600 % 24), (unsigned)(up / 60 % 60),
		(unsigned)(up % 60));
	if (json_bool(o, "taken_over"))
		line(out, "Upgrade:", "the controller was taken over as it ran");
	else if (*json_str(o, "start_note"))
		line(out, "Upgrade:", "the controller was started anew: %s", json_str(o, "start_note"));
	print_handler(out, o);
}

static void print_controller(FILE *out, JsonObject *o)
{
	JsonObject *ctrl = json_obj(o, "controller"), *limits = json_obj(o, "limits");
	g_autofree char *transfer = table_size(json_u64(limits, "max_transfer"));

	if (!ctrl)
		return;
	fputs("\nController\n", out);
	line(out, "Product:", "%s", json_str(ctrl, "product"));
	line(out, "Serial number:", "%s", json_str(ctrl, "serial"));
	line(out, "Firmware:", "%s", json_str(ctrl, "firmware"));
	line(out, "Driver:", "%s", json_str(ctrl, "driver"));
	line(out, "Cache:", "%" PRIu64 " MiB, battery %s", json_u64(ctrl, "cache_mb"),
		json_bool(ctrl, "battery") ? "present" : "absent");
	if (limits)
		line(out, "Limits:", "%" PRIu64 " commands at once, %s and %" PRIu64 " segments each",
			json_u64(limits, "queue_depth"), transfer, json_u64(limits, "max_segments"));
}

static void add_lun(struct table *t, JsonObject *lun)
{
	JsonObject *s = json_obj(lun, "stats");
	g_autofree char *rd = table_size(json_u64(s, "read_bytes"));
	g_autofree char *wr = table_size(json_u64(s, "write_bytes"));
	bool dropped = *json_str(lun, "reason") != '\0';

	table_cell(t, json_str(lun, "device"));
	table_cell(t, json_str(lun, "unit"));
	table_cellf(t, "%s%s%s", json_str(lun, "state"), dropped ? ": " : "", json_str(lun, "reason"));
	table_cell(t, json_str(lun, "gate"));
	table_cell(t, json_bool(lun, "ro") ? "ro" : "rw");
	table_cellf(t, "%" PRIu64, json_u64(lun, "busy"));
	table_cell(t, rd);
	table_cell(t, wr);
	table_cellf(t, "%" PRIu64, json_u64(s, "flushes"));
	table_cellf(t, "%" PRIu64, json_u64(s, "errors"));
}

static void print_luns(FILE *out, JsonArray *luns)
{
	static const char *const headings[] = {"BACKSTORE", "UNIT", "STATE", "GATE", "ACCESS", ">BUSY",
		">READ", ">WRITTEN", ">FLUSHES", ">ERRORS", NULL};
	g_autoptr(table_t) t = table_new(headings);

	fputs("\nLUNs\n", out);
	for (unsigned i = 0; i < json_arr_len(luns); i++)
		add_lun(t, json_arr_obj(luns, i));
	if (table_rows(t) > 0)
		table_print(t, "  ", out);
	else
		fputs("  none\n", out);
}

static void add_thread(struct table *t, JsonObject *thread)
{
	JsonArray *luns = json_arr(thread, "luns");
	g_autoptr(GString) names = g_string_new(NULL);

	for (unsigned i = 0; i < json_arr_len(luns); i++)
		g_string_append_printf(names, "%s%s", i ? ", " : "", json_arr_str(luns, i));
	table_cellf(t, "%" PRIu64, json_u64(thread, "thread"));
	table_cellf(t, "%" PRIu64, json_u64(thread, "inflight"));
	table_cell(t, names->str);
}

/* An hbad of before tells nothing of them. */
static void print_threads(FILE *out, JsonArray *threads)
{
	static const char *const headings[] = {">THREAD", ">IN FLIGHT", "BACKSTORES", NULL};
	g_autoptr(table_t) t = table_new(headings);

	if (json_arr_len(threads) == 0)
		return;
	fputs("\nI/O threads\n", out);
	for (unsigned i = 0; i < json_arr_len(threads); i++)
		add_thread(t, json_arr_obj(threads, i));
	table_print(t, "  ", out);
}

/* In local time, as the journal has it. */
static char *local_time(const char *utc)
{
	g_autoptr(GDateTime) t = g_date_time_new_from_iso8601(utc, NULL);
	g_autoptr(GDateTime) local = t ? g_date_time_to_local(t) : NULL;

	return local ? g_date_time_format(local, "%F %T") : g_strdup("?");
}

static void print_refused(FILE *out, JsonArray *refused)
{
	if (json_arr_len(refused) > 0)
		fputs("\nRefused: backstores that could not be created or resized, newest first\n", out);
	for (unsigned i = 0; i < json_arr_len(refused); i++) {
		JsonObject *r = json_arr_obj(refused, i);
		g_autofree char *when = local_time(json_str(r, "time"));
		g_autofree char *device = table_clean(json_str(r, "device"));
		g_autofree char *cfgstring = table_clean(json_str(r, "cfgstring"));
		g_autofree char *reason = table_clean(json_str(r, "reason"));

		fprintf(out, "  %s  %s (%s)\n    %s\n", when, device, cfgstring, reason);
	}
}

static void print_stats(FILE *out, JsonObject *stats)
{
	static const struct {
		const char *member, *label;
	} rows[] = {{"requests", "Requests:"}, {"inflight", "In flight:"}, {"errors", "Errors:"},
		{"timeouts", "Timeouts:"}, {"aborts", "Aborts:"}, {"resets", "Resets:"},
		{"reset_pauses", "Resets put off:"}, {"reissues", "Re-issued:"},
		{"interrupts", "Interrupts:"}, {"flushes", "Flushes:"}};

	fputs("\nCounters of the controller\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		line(out, rows[i].label, "%" PRIu64, json_u64(stats, rows[i].member));
}

static void print_own_use(struct ctl *c, const struct instance *i)
{
	g_auto(GStrv) sentences = ownuse_read(c, i);

	if (*sentences)
		fputs("\nWarning\n", c->out);
	for (char **s = sentences; *s; s++) {
		g_autofree char *clean = table_clean(*s);

		fprintf(c->out, "  %s\n", clean);
	}
}

static void print_text(struct ctl *c, const struct instance *i)
{
	JsonObject *o = instance_status(i);

	print_instance(c->out, i);
	if (!o)
		return;
	print_own_use(c, i);
	print_controller(c->out, o);
	if (json_obj(o, "controller")) {
		fputs("\nUnits\n", c->out);
		export_print_units(json_arr(o, "units"), "  ", c->out);
	}
	print_luns(c->out, json_arr(o, "luns"));
	print_threads(c->out, json_arr(o, "io_threads"));
	print_refused(c->out, json_arr(o, "refused"));
	if (json_obj(o, "stats"))
		print_stats(c->out, json_obj(o, "stats"));
}

static void put_own_use(JsonBuilder *b, struct ctl *c, const struct instance *i)
{
	g_auto(GStrv) sentences = ownuse_read(c, i);

	json_builder_set_member_name(b, "own_use");
	json_builder_begin_array(b);
	for (char **s = sentences; *s; s++) {
		g_autofree char *clean = table_clean(*s);

		json_builder_add_string_value(b, clean);
	}
	json_builder_end_array(b);
}

static void put_config(JsonBuilder *b, const struct config *config)
{
	json_builder_set_member_name(b, "configuration");
	json_builder_begin_object(b);
	json_put_str(b, "device", config->device);
	json_put_str(b, "kernel_driver", config->kernel_driver);
	json_put_int(b, "queue_depth", config->queue_depth);
	json_put_int(b, "hold_s", config->hold_s);
	json_put_int(b, "io_threads", config->io_threads);
	json_put_int(b, "bounce_mib", config->bounce_mib);
	json_put_str(b, "log_level", config_level_name(config->log_level));
	json_put_str(b, "capture", config->capture);
	json_builder_end_object(b);
}

static void put_unit(JsonBuilder *b, const struct unit_state *u)
{
	json_builder_set_member_name(b, "unit");
	json_builder_begin_object(b);
	json_put_str(b, "active", u->active);
	json_put_str(b, "sub", u->sub);
	json_put_str(b, "result", u->result);
	json_put_str(b, "enabled", u->enabled);
	json_put_int(b, "restarts", u->restarts);
	json_builder_end_object(b);
}

/* The first that there is to say: without a configuration, the rest follows from that. */
static const char *problem_of(const struct instance *i)
{
	if (!i->configured)
		return i->config_err.text;
	return i->status ? json_str(instance_status(i), "problem") : i->status_err.text;
}

static void print_json(struct ctl *c, const struct instance *i)
{
	g_autoptr(JsonBuilder) b = json_builder_new();
	g_autoptr(JsonNode) root = NULL;

	json_builder_begin_object(b);
	json_put_str(b, "name", i->name);
	json_put_str(b, "state", instance_state(i));
	json_put_str(b, "problem", problem_of(i));
	put_config(b, &i->config);
	put_unit(b, &i->unit);
	put_own_use(b, c, i);
	json_builder_set_member_name(b, "status");
	if (i->status)
		json_builder_add_value(b, json_node_copy(i->status));
	else
		json_builder_add_null_value(b);
	json_builder_end_object(b);
	root = json_builder_get_root(b);
	json_print(root, c->out);
}

static int run(struct ctl *c, int argc, char **argv)
{
	gboolean json = FALSE;
	const GOptionEntry entries[] = {
		{"json", 'j', 0, G_OPTION_ARG_NONE, &json, "Print JSON", NULL},
		G_OPTION_ENTRY_NULL,
	};
	const struct ctl_syntax syntax = {
		.command = "show",
		.operand = "NAME",
		.summary = "Shows everything about an instance: its state, controller, units, LUNs, "
			   "counters, and why\nbackstores were refused (targetcli says \"creation failed\" "
			   "only). Works while it is stopped, too,\nwith what is known then.",
		.entries = entries,
	};
	instance_auto struct instance i = {.name = ""};
	const char *name;
	int exit_code;

	if (ctl_parse(c, &syntax, argc, argv, &name, &exit_code) == CTL_PARSE_EXIT)
		return exit_code;
	if (ctl_check_name(c, "show", name) != CTL_OK)
		return CTL_USAGE;
	instance_read(c, name, &i);
	if (!i.status && !instance_exists(c, name))
		return instance_fail(c, name, &i.status_err);
	if (json)
		print_json(c, &i);
	else
		print_text(c, &i);
	return CTL_OK;
}

const struct ctl_command cmd_show = {
	.name = "show",
	.summary = "Show everything about one instance",
	.run = run,
};
