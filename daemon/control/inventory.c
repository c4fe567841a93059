/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inventory and statistics as JSON. */
#include "inventory.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <json-glib/json-glib.h>
#include "base/clock.h"
#include "proto.h"

struct request {
	const char *verb;
	bool has_since;
	uint64_t since;
};

static void add_str(JsonBuilder *b, const char *key, const char *value)
{
	g_autofree char *valid = g_utf8_make_valid(value, -1);

	json_builder_set_member_name(b, key);
	json_builder_add_string_value(b, valid);
}

static void add_int(JsonBuilder *b, const char *key, uint64_t value)
{
	json_builder_set_member_name(b, key);
	json_builder_add_int_value(b, (gint64)MIN(value, (uint64_t)INT64_MAX));
}

static void add_bool(JsonBuilder *b, const char *key, bool value)
{
	json_builder_set_member_name(b, key);
	json_builder_add_boolean_value(b, value);
}

/* --- units --- */

static const char *unit_state(enum hba_unit_state s)
{
	switch (s) {
	case HBA_UNIT_OPTIMAL:
		return "optimal";
	case HBA_UNIT_DEGRADED:
		return "degraded";
	default:
		return "offline";
	}
}

static void add_identity(JsonBuilder *b, const struct scsi_unit *u)
{
	static const struct scsi_identity none;
	const struct scsi_identity *id = u->identified ? &u->id : &none;
	uint64_t blocks = u->identified ? id->blocks : u->hba->blocks;

	add_str(b, "naa", id->naa_text);
	add_bool(b, "naa_from_unit", id->naa_from_unit);
	add_str(b, "serial", id->serial);
	add_str(b, "vendor", id->vendor);
	add_str(b, "product", id->product);
	add_str(b, "revision", id->revision);
	add_int(b, "blocks", blocks);
	add_int(b, "block_size", id->block_size);
	add_int(b, "size_bytes", blocks * id->block_size);
}

static void add_unit(JsonBuilder *b, const struct inventory *inv, const struct scsi_unit *u)
{
	const struct lun *lun = luns_user_of(inv->luns, u);

	json_builder_begin_object(b);
	add_str(b, "name", u->hba->name);
	add_str(b, "kind", u->hba->kind == HBA_UNIT_LD ? "ld" : "pd");
	add_str(b, "raid", u->hba->raid);
	add_str(b, "state", unit_state(__atomic_load_n(&u->hba->state, __ATOMIC_RELAXED)));
	add_identity(b, u);
	add_bool(b, "write_back", u->hba->write_back);
	add_bool(b, "cache_protected", u->hba->cache_protected);
	add_bool(b, "disk_cache", u->hba->disk_cache);
	add_bool(b, "exportable", u->identified);
	add_str(b, "problem", u->identified ? "" : u->problem);
	add_str(b, "exported_by", lun ? lun->device : "");
	json_builder_end_object(b);
}

static void add_units(JsonBuilder *b, const struct inventory *inv)
{
	const struct scsi_unit *units = NULL;
	/* Units point into the controller's object: without it they are not looked at. */
	unsigned n = inv->hba && inv->luns->attached ? scsi_host_units(inv->luns->host, &units) : 0;

	json_builder_set_member_name(b, "units");
	json_builder_begin_array(b);
	for (unsigned i = 0; i < n; i++)
		add_unit(b, inv, &units[i]);
	json_builder_end_array(b);
}

/* --- LUNs --- */

static const char *const lun_states[] = {
	[LUN_PREPARED] = "prepared",
	[LUN_HELD] = "held",
	[LUN_SERVING] = "serving",
	[LUN_DROPPED] = "dropped",
	[LUN_ORPHAN] = "orphan",
};

static const char *const gates[] = {
	[SCSI_GATE_OPEN] = "open",
	[SCSI_GATE_BECOMING_READY] = "becoming ready",
	[SCSI_GATE_NO_UNIT] = "no unit",
	[SCSI_GATE_GONE] = "gone",
	[SCSI_GATE_HELD] = "held",
};

static void add_lun_stats(JsonBuilder *b, const struct lun *lun)
{
	struct front_stats f = {0};
	struct scsi_lun_stats s = {0};

	if (lun->ring)
		front_get_stats(lun->ring, &f);
	if (lun->scsi)
		scsi_lun_get_stats(lun->scsi, &s);
	json_builder_set_member_name(b, "stats");
	json_builder_begin_object(b);
	add_int(b, "commands", f.commands);
	add_int(b, "completions", f.completions);
	add_int(b, "batches", f.batches);
	add_int(b, "tmrs", f.tmrs);
	add_int(b, "aged", f.aged);
	add_int(b, "residuals", f.residuals);
	add_int(b, "invalid", f.invalid);
	add_int(b, "tasks", s.tasks);
	add_int(b, "reads", s.reads);
	add_int(b, "writes", s.writes);
	add_int(b, "read_bytes", s.read_bytes);
	add_int(b, "write_bytes", s.write_bytes);
	add_int(b, "flushes", s.flushes);
	add_int(b, "errors", s.errors);
	json_builder_end_object(b);
}

static void add_lun(JsonBuilder *b, const struct inventory *inv, const struct lun *lun)
{
	const struct scsi_unit *u = inv->hba ? luns_unit(inv->luns, lun) : NULL;

	json_builder_begin_object(b);
	add_str(b, "device", lun->device);
	add_str(b, "cfgstring", lun->cfgstring);
	add_str(b, "unit", u ? u->hba->name : lun->cfg.unit);
	add_str(b, "state", lun_states[lun->state]);
	add_str(b, "reason", lun->reason ? lun->reason : "");
	add_str(b, "gate", gates[lun->scsi ? scsi_lun_gate(lun->scsi) : SCSI_GATE_GONE]);
	add_int(b, "io_thread", lun->lane);
	add_bool(b, "ro", lun->cfg.ro);
	add_int(b, "blocks", lun->cfg.blocks);
	add_int(b, "block_size", lun->cfg.block_size);
	add_int(b, "busy", lun->scsi ? scsi_lun_busy(lun->scsi) : 0);
	add_int(b, "outstanding", lun->ring ? front_outstanding(lun->ring) : 0);
	add_lun_stats(b, lun);
	json_builder_end_object(b);
}

static void add_luns(JsonBuilder *b, const struct inventory *inv)
{
	json_builder_set_member_name(b, "luns");
	json_builder_begin_array(b);
	list_for_each(pos, &inv->luns->all) {
		add_lun(b, inv, container_of(pos, struct lun, link));
	}
	json_builder_end_array(b);
}

/* --- I/O threads --- */

static uint64_t age_ms(uint64_t beat_ns)
{
	uint64_t now = clock_ns();

	return now > beat_ns ? (now - beat_ns) / NS_PER_MS : 0;
}

static void add_thread(JsonBuilder *b, const struct inventory *inv, unsigned n)
{
	const struct hba *h = inv->hba;

	json_builder_begin_object(b);
	add_int(b, "thread", n);
	add_int(b, "inflight", h && n < h->n_lanes ? hba_lane_inflight(h, n) : 0);
	add_int(b, "heartbeat_age_ms", age_ms(loop_heartbeat_ns(inv->luns->io->loop[n])));
	json_builder_set_member_name(b, "luns");
	json_builder_begin_array(b);
	list_for_each(pos, &inv->luns->all) {
		const struct lun *lun = container_of(pos, struct lun, link);
		g_autofree char *valid = g_utf8_make_valid(lun->device, -1);

		/* What is shown of others beside these is not served any more. */
		if (lun->lane == n && lun->state != LUN_DROPPED && lun->state != LUN_ORPHAN)
			json_builder_add_string_value(b, valid);
	}
	json_builder_end_array(b);
	json_builder_end_object(b);
}

static void add_threads(JsonBuilder *b, const struct inventory *inv)
{
	unsigned n = __atomic_load_n(&inv->luns->io->n_threads, __ATOMIC_ACQUIRE);

	json_builder_set_member_name(b, "io_threads");
	json_builder_begin_array(b);
	for (unsigned i = 0; i < n; i++)
		add_thread(b, inv, i);
	json_builder_end_array(b);
}

/* --- what was refused --- */

static void add_refusal(JsonBuilder *b, const struct refusal *r)
{
	g_autoptr(GDateTime) t = g_date_time_new_from_unix_utc(r->time_us / 1000000);
	g_autofree char *text = t ? g_date_time_format(t, "%FT%TZ") : NULL;

	json_builder_begin_object(b);
	add_str(b, "time", text ? text : "");
	add_str(b, "device", r->device);
	add_str(b, "cfgstring", r->cfgstring);
	add_str(b, "reason", r->reason);
	json_builder_end_object(b);
}

static void add_refused(JsonBuilder *b, const struct refusals *r)
{
	json_builder_set_member_name(b, "refused");
	json_builder_begin_array(b);
	for (unsigned i = 0; i < MIN(r->n, REFUSALS_SHOWN); i++)
		add_refusal(b, &r->newest_first[i]);
	json_builder_end_array(b);
}

/* --- controller --- */

static void add_stats(JsonBuilder *b, const struct inventory *inv)
{
	struct hba_stats s = {0};

	if (inv->hba)
		hba_get_stats(inv->hba, &s);
	json_builder_set_member_name(b, "stats");
	json_builder_begin_object(b);
	add_int(b, "requests", s.requests);
	add_int(b, "errors", s.errors);
	add_int(b, "timeouts", s.timeouts);
	add_int(b, "aborts", s.aborts);
	add_int(b, "resets", s.resets);
	add_int(b, "reset_pauses", s.pauses);
	add_int(b, "reissues", s.reissues);
	add_int(b, "interrupts", s.interrupts);
	add_int(b, "flushes", s.flushes);
	add_int(b, "inflight", inv->hba ? hba_inflight(inv->hba) : 0);
	add_int(b, "heartbeat_age_ms", age_ms(io_heartbeat_ns(inv->luns->io)));
	json_builder_end_object(b);
}

static void add_controller(JsonBuilder *b, const struct inventory *inv)
{
	const struct hba *h = inv->hba;

	json_builder_set_member_name(b, "controller");
	if (!h) {
		json_builder_add_null_value(b);
		return;
	}
	json_builder_begin_object(b);
	add_str(b, "product", h->info.product);
	add_str(b, "serial", h->info.serial);
	add_str(b, "firmware", h->info.firmware);
	add_str(b, "driver", h->info.driver);
	add_int(b, "cache_mb", h->info.cache_mb);
	add_bool(b, "battery", h->info.battery_present);
	json_builder_end_object(b);
}

static void add_limits(JsonBuilder *b, const struct inventory *inv)
{
	const struct hba *h = inv->hba;

	json_builder_set_member_name(b, "limits");
	if (!h) {
		json_builder_add_null_value(b);
		return;
	}
	json_builder_begin_object(b);
	add_int(b, "queue_depth", h->limits.queue_depth);
	add_int(b, "max_transfer", h->limits.max_transfer);
	add_int(b, "max_segments", h->limits.max_segments);
	add_int(b, "max_segment_bytes", h->limits.max_segment_bytes);
	json_builder_end_object(b);
}

static const char *state_name(const struct inventory *inv)
{
	if (inv->luns->state == HANDOFF_STOPPING)
		return "stopping";
	if (inv->removed)
		return "removed";
	if (inv->luns->state == HANDOFF_FAILED)
		return "failed";
	if (inv->luns->state == HANDOFF_BOOTING)
		return "booting";
	return inv->hba && hba_state(inv->hba) == HBA_RESETTING ? "resetting" : "ready";
}

static void add_handler(JsonBuilder *b, const struct inventory *inv)
{
	json_builder_set_member_name(b, "handler");
	json_builder_begin_object(b);
	add_bool(b, "connected", handoff_service_watched(inv->handoff));
	add_str(b, "version", handoff_service_peer(inv->handoff));
	json_builder_end_object(b);
}

static void add_rescans(JsonBuilder *b, const struct inventory *inv, bool rescanning)
{
	add_int(b, "rescans", inv->rescans);
	add_bool(b, "rescanning", rescanning);
	add_str(b, "rescan_problem", inv->rescan_problem);
}

static void add_status(JsonBuilder *b, const struct inventory *inv)
{
	add_int(b, "protocol", PROTO_VERSION);
	add_str(b, "name", inv->name);
	add_str(b, "version", HBAD_VERSION);
	add_int(b, "pid", (uint64_t)getpid());
	add_int(b, "uptime_s", (clock_ns() - inv->started_ns) / NS_PER_SEC);
	add_str(b, "state", state_name(inv));
	add_str(b, "problem", inv->problem);
	add_bool(b, "taken_over", inv->taken_over);
	add_str(b, "start_note", inv->start_note);
	add_str(b, "device", inv->config->device);
	add_str(b, "kernel_driver", inv->config->kernel_driver);
	add_controller(b, inv);
	add_limits(b, inv);
	add_handler(b, inv);
	add_rescans(b, inv, inv->rescanning);
	add_units(b, inv);
	add_luns(b, inv);
	add_threads(b, inv);
	add_refused(b, &inv->luns->refusals);
	add_stats(b, inv);
}

/* --- requests --- */

static void add_stats_and_luns(JsonBuilder *b, const struct inventory *inv)
{
	add_stats(b, inv);
	add_luns(b, inv);
}

static void start_rescan(JsonBuilder *b, const struct inventory *inv)
{
	struct err e = {""};

	if (inv->rescan(inv->user, &e))
		add_str(b, "error", e.text);
	else
		add_rescans(b, inv, true);
}

static void start_upgrade(JsonBuilder *b, const struct inventory *inv)
{
	struct err e = {""}, why_not = {""};

	if (!inv->may_upgrade) {
		add_str(b, "error", "an upgrade may be asked for by root only: use sudo");
		return;
	}
	if (inv->upgrade(inv->user, &why_not, &e)) {
		add_str(b, "error", e.text);
		return;
	}
	add_int(b, "pid", (uint64_t)getpid());
	add_bool(b, "in_place", !why_not.text[0]);
	add_str(b, "reason", why_not.text);
}

static void add_event(JsonBuilder *b, const struct event *e)
{
	json_builder_begin_object(b);
	add_int(b, "seq", e->seq);
	add_int(b, "time_us", (uint64_t)e->time_us);
	add_str(b, "event", e->what);
	add_str(b, "unit", e->unit);
	add_str(b, "naa", e->naa);
	add_str(b, "text", e->text);
	json_builder_end_object(b);
}

/* Without "since" there are none: who begins to follow learns where he is. */
static void add_events(JsonBuilder *b, const struct inventory *inv, const struct request *rq)
{
	uint64_t seq = rq->has_since ? rq->since : UINT64_MAX;
	const struct event *e;

	add_int(b, "pid", (uint64_t)getpid());
	add_str(b, "state", state_name(inv));
	add_int(b, "last", events_last(inv->events));
	json_builder_set_member_name(b, "events");
	json_builder_begin_array(b);
	for (; (e = events_after(inv->events, seq)); seq = e->seq)
		add_event(b, e);
	json_builder_end_array(b);
}

static const struct {
	const char *verb;
	void (*add)(JsonBuilder *b, const struct inventory *inv);
} verbs[] = {
	{"status", add_status},
	{"units", add_units},
	{"luns", add_luns},
	{"stats", add_stats_and_luns},
	{"rescan", start_rescan},
	{"upgrade", start_upgrade},
};

static void add_answer(JsonBuilder *b, const struct inventory *inv, const struct request *rq)
{
	g_autofree char *sentence = NULL;
	const char *verb = rq->verb;

	if (!strcmp(verb, "events")) {
		add_events(b, inv, rq);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (!strcmp(verb, verbs[i].verb)) {
			verbs[i].add(b, inv);
			return;
		}
	}
	sentence = g_strdup_printf(
		"hbad %s has no verb \"%.40s\": use status, units, luns, stats, events, rescan or upgrade",
		HBAD_VERSION, verb);
	add_str(b, "error", sentence);
}

/* False when the line is not {"verb": "…"}. */
static bool read_request(JsonNode *node, struct request *ret)
{
	JsonNode *verb, *since;

	if (!node || !JSON_NODE_HOLDS_OBJECT(node))
		return false;
	verb = json_object_get_member(json_node_get_object(node), "verb");
	since = json_object_get_member(json_node_get_object(node), "since");
	ret->verb = verb && JSON_NODE_HOLDS_VALUE(verb) ? json_node_get_string(verb) : NULL;
	ret->has_since = since && JSON_NODE_HOLDS_VALUE(since) &&
			 json_node_get_value_type(since) == G_TYPE_INT64 && json_node_get_int(since) >= 0;
	ret->since = ret->has_since ? (uint64_t)json_node_get_int(since) : 0;
	return ret->verb;
}

char *inventory_answer(const struct inventory *inv, const char *line)
{
	g_autoptr(JsonNode) request = g_utf8_validate(line, -1, NULL) ? json_from_string(line, NULL) : NULL;
	g_autoptr(JsonBuilder) b = json_builder_new();
	g_autoptr(JsonNode) root = NULL;
	g_autofree char *text = NULL;
	struct request rq = {NULL};

	json_builder_begin_object(b);
	if (read_request(request, &rq))
		add_answer(b, inv, &rq);
	else
		add_str(b, "error", "a request is one line such as {\"verb\": \"status\"}");
	json_builder_end_object(b);
	root = json_builder_get_root(b);
	text = json_to_string(root, FALSE);
	return g_strconcat(text, "\n", NULL);
}
