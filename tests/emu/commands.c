/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of the control socket and of scripts. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "emu.h"

/* A command writes members (each with a leading comma) after "ok":true, or fails with a sentence. */
struct call {
	struct emu *m;
	char *rest; /* of the line; words are cut off with word() */
	FILE *out;
	struct err e;
};

static void put_string(FILE *out, const char *s)
{
	fputc('"', out);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			fprintf(out, "\\u%04x", *s);
		else
			fputc(*s, out);
	}
	fputc('"', out);
}

static const char *word(struct call *c)
{
	char *w = c->rest + strspn(c->rest, " \t\r");

	if (!*w)
		return NULL;
	c->rest = w + strcspn(w, " \t\r");
	if (*c->rest)
		*c->rest++ = '\0';
	return w;
}

static int number(struct call *c, const char *what, uint64_t max, uint64_t *ret)
{
	const char *w = word(c);

	if (!w || size_parse(w, ret) < 0 || *ret > max)
		return err_set(&c->e, -EINVAL, "%s is missing, or not a number up to %" PRIu64, what, max);
	return 0;
}

static int unit(struct call *c, struct unit **ret)
{
	const char *w = word(c);

	*ret = w ? unit_by_name(&c->m->units, w) : NULL;
	return *ret ? 0 : err_set(&c->e, -ENOENT, "there is no unit '%s'", w ? w : "");
}

static void changed(struct call *c, struct unit *u, enum unit_change what)
{
	c->m->model->unit_changed(c->m->fn.ctrl, u, what);
}

/* --- looking --- */

static int cmd_help(struct call *c)
{
	fputs(",\"help\":", c->out);
	put_string(c->out, emu_commands_help);
	return 0;
}

static void put_unit(FILE *out, const struct unit *u, bool first)
{
	struct wcache_stats drive = wcache_stats(u->drive_cache);

	fprintf(out,
		"%s{\"name\":\"%s\",\"blocks\":%" PRIu64
		",\"block\":%u,\"write_back\":%s,\"offline\":%s,\"reads\":%" PRIu64 ",\"writes\":%" PRIu64
		",\"syncs\":%" PRIu64 ",\"drive_dirty\":%" PRIu64 ",\"drive_lost\":%" PRIu64,
		first ? "" : ",", u->name, u->top->blocks, u->top->block,
		wcache_enabled(u->top) ? "true" : "false", u->offline ? "true" : "false", u->disk.reads,
		u->disk.writes, u->disk.syncs, drive.dirty_bytes, drive.lost);
	if (u->ctrl_cache) {
		struct wcache_stats ctrl = wcache_stats(u->ctrl_cache);

		fprintf(out, ",\"controller_dirty\":%" PRIu64 ",\"controller_lost\":%" PRIu64,
			ctrl.dirty_bytes, ctrl.lost);
	}
	fputc('}', out);
}

static int cmd_status(struct call *c)
{
	const struct units *us = &c->m->units;
	bool first = true;
	char text[768];

	c->m->model->describe(c->m->fn.ctrl, text, sizeof(text));
	fprintf(c->out, ",\"model\":\"%s\",\"client\":%s,\"gone\":%s,\"dma_maps\":%u,%s,\"units\":[",
		c->m->model->name, c->m->server.negotiated ? "true" : "false",
		c->m->fn.gone ? "true" : "false", c->m->server.dma.n, text);
	for (unsigned i = 0; i < MAX_UNITS; i++) {
		if (!us->unit[i].used)
			continue;
		put_unit(c->out, &us->unit[i], first);
		first = false;
	}
	fputc(']', c->out);
	return 0;
}

static int cmd_stats(struct call *c)
{
	static const struct {
		const char *name;
		size_t at;
	} all[] = {
#define STAT(x) {#x, offsetof(struct emu_stats, x)}
		STAT(connections),
		STAT(bad_messages),
		STAT(dma_reads),
		STAT(dma_writes),
		STAT(dma_bytes),
		STAT(wrong_dma),
		STAT(dma_blocked),
		STAT(odd_maps),
		STAT(interrupts),
		STAT(lost_irqs),
		STAT(protocol_errors),
		STAT(commands),
		STAT(replies),
		STAT(faults),
		STAT(resets),
		STAT(inits),
		STAT(events),
		STAT(flushes),
		STAT(power_cuts),
#undef STAT
	};

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		fprintf(c->out, ",\"%s\":%" PRIu64, all[i].name,
			*(const uint64_t *)((const char *)&c->m->stats + all[i].at));
	return 0;
}

/* The bytes of one block, as the host sees it, or as it is on the media. */
static int cmd_peek(struct call *c)
{
	struct unit *u;
	uint64_t lba;
	uint8_t buf[4096];
	const char *layer;
	struct store *s;
	int r = unit(c, &u);

	if (r == 0)
		r = number(c, "the block", UINT64_MAX, &lba);
	if (r < 0)
		return r;
	layer = word(c);
	s = layer && strcmp(layer, "media") == 0 ? u->media : u->top;
	if (!store_holds(s, lba, 1) || s->ops->read(s, lba, 1, buf) < 0)
		return err_set(&c->e, -EINVAL, "that block cannot be read");
	fputs(",\"data\":\"", c->out);
	for (uint32_t i = 0; i < s->block; i++)
		fprintf(c->out, "%02x", buf[i]);
	fputc('"', c->out);
	return 0;
}

/* --- power, presence --- */

static int parse_survive(struct call *c, const char *name, enum survive *ret)
{
	for (unsigned i = 0; i < N_SURVIVE; i++)
		if (strcmp(name, survive_names[i]) == 0) {
			*ret = (enum survive)i;
			return 0;
		}
	return err_set(&c->e, -EINVAL, "survive=none|all|prefix|random|reorder");
}

static int cmd_power_cut(struct call *c)
{
	struct rng lots = {rng_next(&c->m->rng)};
	struct cut cut = {SURVIVE_NONE, &lots};
	bool keep = false;
	const char *w;
	int r = 0;

	while (r == 0 && (w = word(c))) {
		if (strncmp(w, "survive=", 8) == 0)
			r = parse_survive(c, w + 8, &cut.survive);
		else if (strncmp(w, "seed=", 5) == 0)
			r = size_parse(w + 5, &lots.state) < 0 ? err_set(&c->e, -EINVAL, "seed=NUMBER") : 0;
		else if (strcmp(w, "keep-client") == 0)
			keep = true;
		else
			r = err_set(&c->e, -EINVAL, "'%s' is not understood", w);
	}
	if (r < 0)
		return r;
	c->m->stats.power_cuts++;
	log_info("power cut, survivors: %s", survive_names[cut.survive]);
	/* The host goes down with it, unless the box has its own plug: then the slot's configuration stays. */
	if (!keep)
		vu_server_drop(&c->m->server, "the power was cut");
	units_power_cut(&c->m->units, &cut);
	if (keep)
		c->m->model->reset(c->m->fn.ctrl, RESET_POWER);
	else
		pcifn_reset(&c->m->fn, RESET_POWER);
	return 0;
}

static int cmd_gone(struct call *c)
{
	const char *how = word(c);

	if (how && strcmp(how, "ff") != 0 && strcmp(how, "socket") != 0)
		return err_set(&c->e, -EINVAL, "gone ff, or gone socket");
	if (how && strcmp(how, "socket") == 0)
		vu_server_close(&c->m->server);
	c->m->fn.gone = true;
	return 0;
}

static int cmd_back(struct call *c)
{
	c->m->fn.gone = false;
	pcifn_reset(&c->m->fn, RESET_POWER);
	return vu_server_open(&c->m->server, &c->e);
}

static int cmd_disconnect(struct call *c)
{
	vu_server_drop(&c->m->server, "by order");
	return 0;
}

static int cmd_unplug_request(struct call *c)
{
	pcifn_irq_trigger(&c->m->fn, VFIO_PCI_REQ_IRQ_INDEX, 0);
	return 0;
}

static int cmd_lose_irqs(struct call *c)
{
	uint64_t n;
	int r = number(c, "the number of interrupts", UINT32_MAX, &n);

	if (r == 0)
		c->m->fn.lose_irqs = (uint32_t)n;
	return r;
}

/* From the next start of the firmware on. */
static int cmd_boot_ms(struct call *c)
{
	uint64_t ms;
	int r = number(c, "the firmware's start-up in milliseconds", 3600000, &ms);

	if (r == 0 && c->m->model->no_boot)
		return err_set(&c->e, -ENOTSUP, "%s has no firmware that starts", c->m->model->name);
	if (r == 0)
		c->m->env.opt.boot_ms = (uint32_t)ms;
	return r;
}

/* From the client's next reset of the function on. */
static int cmd_reset_ms(struct call *c)
{
	uint64_t ms;
	int r = number(c, "the reset's duration in milliseconds", 3600000, &ms);

	if (r == 0)
		c->m->fn.reset_ms = (uint32_t)ms;
	return r;
}

static int cmd_fw_fault(struct call *c)
{
	const char *w = word(c);

	c->m->model->fault(c->m->fn.ctrl, w ? (uint16_t)strtoul(w, NULL, 16) : 0x123);
	return 0;
}

/* --- faults --- */

static int cmd_fault(struct call *c)
{
	char *text = c->rest;

	c->rest += strlen(c->rest);
	return faults_add(&c->m->faults, text, &c->e);
}

static int cmd_fault_clear(struct call *c)
{
	faults_clear(&c->m->faults);
	return 0;
}

static int cmd_notice(struct call *c)
{
	const char *w = word(c);
	char *end = NULL;
	unsigned long bits = w ? strtoul(w, &end, 16) : 0;

	if (!c->m->model->notice)
		return err_set(&c->e, -ENOTSUP, "%s has no notices", c->m->model->name);
	if (!bits || *end || bits > UINT32_MAX)
		return err_set(&c->e, -EINVAL, "notice HEX");
	return c->m->model->notice(c->m->fn.ctrl, (uint32_t)bits);
}

static int cmd_aen_storm(struct call *c)
{
	uint64_t n;
	int r = number(c, "the number of events", 1000000, &n);

	return r < 0 ? r : c->m->model->event_storm(c->m->fn.ctrl, (unsigned)n);
}

/* --- units --- */

static int cmd_add(struct call *c)
{
	const char *spec = word(c);

	return spec ? emu_add_unit(c->m, spec, &c->e) : err_set(&c->e, -EINVAL, "a unit is missing");
}

static int cmd_remove(struct call *c)
{
	struct unit *u, gone;
	int r = unit(c, &u);

	if (r < 0)
		return r;
	gone = *u;
	unit_remove(u);
	changed(c, &gone, UNIT_REMOVED);
	return 0;
}

static int cmd_resize(struct call *c)
{
	struct unit *u;
	uint64_t size;
	int r = unit(c, &u);

	if (r == 0)
		r = number(c, "the new size", UINT64_MAX, &size);
	if (r == 0)
		r = unit_resize(u, size / u->top->block, &c->e);
	if (r == 0)
		changed(c, u, UNIT_RESIZED);
	return r;
}

static int set_offline(struct call *c, bool offline)
{
	struct unit *u;
	int r = unit(c, &u);

	if (r < 0)
		return r;
	u->offline = offline;
	u->seq++;
	changed(c, u, UNIT_STATE);
	return 0;
}

static int cmd_offline(struct call *c)
{
	return set_offline(c, true);
}

static int cmd_online(struct call *c)
{
	return set_offline(c, false);
}

static int cmd_set(struct call *c)
{
	struct unit *u;
	uint64_t v;
	int r = unit(c, &u);
	const char *what = r == 0 ? word(c) : "";

	if (r == 0)
		r = number(c, "the value", UINT32_MAX, &v);
	if (r < 0)
		return r;
	if (strcmp(what, "start-ms") == 0)
		u->disk.start_ms = (uint32_t)v;
	else if (strcmp(what, "temperature") == 0)
		u->disk.temperature = (uint8_t)v;
	else if (strcmp(what, "failing") == 0)
		u->disk.failing = v;
	else if (strcmp(what, "read-only") == 0)
		u->disk.read_only = v;
	else if (strcmp(what, "write-back") == 0)
		r = wcache_enable(u->top, v);
	else
		r = err_set(
			&c->e, -EINVAL, "set UNIT start-ms|temperature|failing|read-only|write-back VALUE");
	return r;
}

static int cmd_quit(struct call *c)
{
	loop_stop(c->m->loop);
	return 0;
}

const char emu_commands_help[] =
	"help, status, stats, quit\n"
	"power-cut [survive=none|all|prefix|random|reorder] [seed=N] [keep-client]\n"
	"gone [ff|socket], back, disconnect, unplug-request, fw-fault [HEX], lose-irqs N, boot-ms N, "
	"reset-ms N\n"
	"fault RULE, fault-clear (see --help for rules), aen-storm N,\n"
	"notice HEX (ame: 2 restart, 4 flush, 8 pause, 10 resume)\n"
	"add SPEC, remove UNIT, resize UNIT SIZE, offline UNIT, online UNIT\n"
	"set UNIT start-ms|temperature|failing|read-only|write-back VALUE, peek UNIT LBA [media]";

static const struct {
	const char *name;
	int (*run)(struct call *c);
} commands[] = {
	{"help", cmd_help},
	{"status", cmd_status},
	{"stats", cmd_stats},
	{"peek", cmd_peek},
	{"power-cut", cmd_power_cut},
	{"gone", cmd_gone},
	{"back", cmd_back},
	{"disconnect", cmd_disconnect},
	{"unplug-request", cmd_unplug_request},
	{"fw-fault", cmd_fw_fault},
	{"lose-irqs", cmd_lose_irqs},
	{"boot-ms", cmd_boot_ms},
	{"reset-ms", cmd_reset_ms},
	{"fault", cmd_fault},
	{"fault-clear", cmd_fault_clear},
	{"aen-storm", cmd_aen_storm},
	{"notice", cmd_notice},
	{"add", cmd_add},
	{"remove", cmd_remove},
	{"resize", cmd_resize},
	{"offline", cmd_offline},
	{"online", cmd_online},
	{"set", cmd_set},
	{"quit", cmd_quit},
};

static int dispatch(struct call *c)
{
	const char *name = word(c), *more;
	int r = -EINVAL;

	if (!name)
		return err_set(&c->e, -EINVAL, "no command; 'help' lists them");
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(name, commands[i].name) != 0)
			continue;
		r = commands[i].run(c);
		more = r == 0 ? word(c) : NULL;
		return more ? err_set(&c->e, -EINVAL, "done, but '%s' was too much", more) : r;
	}
	return err_set(&c->e, r, "no such command: '%s'; 'help' lists them", name);
}

int emu_command(struct emu *m, const char *line, FILE *out)
{
	char *members = NULL;
	size_t size = 0;
	char copy[CONTROL_LINE];
	struct call c = {.m = m, .rest = copy, .out = open_memstream(&members, &size)};
	int r;

	snprintf(copy, sizeof(copy), "%s", line);
	if (!c.out) {
		fputs("{\"ok\":false,\"error\":\"out of memory\"}", out);
		return -ENOMEM;
	}
	r = dispatch(&c);
	fclose(c.out);
	if (r < 0) {
		fputs("{\"ok\":false,\"error\":", out);
		put_string(out, c.e.text[0] ? c.e.text : strerror(-r));
		fputc('}', out);
	} else {
		fprintf(out, "{\"ok\":true%s}", members);
	}
	free(members);
	return r;
}
