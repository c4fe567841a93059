/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Starting an instance and waiting until it is ready. */
#include "ready.h"

#include <errno.h>
#include <string.h>
#include "base/clock.h"
#include "instance.h"
#include "table.h"

#define POLL_MS	      500
#define REMIND_S      15 /* without a change of state, say that we still wait */
#define MAX_RESTARTS  2	 /* a unit that systemd had to start again so often will not do better */
#define MAX_IDLE_LOOK 4	 /* looks at a unit that is neither running nor has a job */

int ready_systemctl(struct ctl *c, const char *verb, const char *option, const char *name, struct err *e)
{
	g_autofree char *unit = instance_unit(name), *out = NULL;
	const char *const argv[] = {"systemctl", verb, option ? option : unit, option ? unit : NULL, NULL};
	int r = c->ops->run(argv, &out, e);

	if (r > 0)
		return err_prefix(e, -EIO, "systemctl %s %s", verb, unit);
	return r;
}

int ready_stop_binding(struct ctl *c, const char *name, struct err *e)
{
	g_autofree char *path = g_strdup_printf("hbad-bind@%s.path", name);
	g_autofree char *service = g_strdup_printf("hbad-bind@%s.service", name);
	g_autofree char *out = NULL, *more_out = NULL;
	const char *const stop[] = {"systemctl", "stop", path, service, NULL};
	const char *const forget[] = {"systemctl", "reset-failed", path, service, NULL};
	int r = c->ops->run(stop, &out, e);

	if (r != 0)
		return err_prefix(e, r < 0 ? r : -EIO, "systemctl stop %s %s", path, service);
	/* One that has not failed is none of its units to systemd, and that is fine. */
	c->ops->run(forget, &more_out, NULL);
	return 0;
}

/* What is waited for. */
struct wait {
	int64_t not_pid; /* the one that is still there; 0: none */
	unsigned restarts, idle;
};

/* 1 ready, 0 go on waiting, -EIO failed */
static int judge_status(const struct instance *i, const struct wait *w, struct err *e)
{
	JsonObject *o = instance_status(i);
	const char *state = json_str(o, "state"), *problem = json_str(o, "problem");

	if (w->not_pid && json_int(o, "pid") == w->not_pid)
		return 0;
	if (strcmp(state, "ready") == 0)
		return 1;
	if (strcmp(state, "failed") == 0 || strcmp(state, "removed") == 0)
		return err_set(e, -EIO, "hbad@%s says '%s': %s", i->name, state,
			*problem ? problem : "no reason given");
	return 0;
}

static int judge_unit(const struct instance *i, struct wait *w, struct err *e)
{
	const struct unit_state *u = &i->unit;

	if (!u->known)
		return 0; /* systemd is busy; the deadline ends this */
	if (strcmp(u->active, "failed") == 0 || u->restarts >= w->restarts + MAX_RESTARTS)
		return err_set(e, -EIO, "hbad@%s does not start (%s)", i->name, u->result);
	if (strcmp(u->active, "inactive") == 0 && !u->has_job) {
		if (++w->idle >= MAX_IDLE_LOOK)
			return err_set(e, -EIO, "hbad@%s was not started (%s)", i->name, u->result);
	} else {
		w->idle = 0;
	}
	return 0;
}

struct progress {
	FILE *out;
	char state[24];
	uint64_t began_ns, told_ns;
};

static void tell(struct progress *p, const struct instance *i, uint64_t now)
{
	const char *state = instance_state(i);
	unsigned after = (unsigned)((now - p->began_ns) / NS_PER_SEC);

	if (strcmp(p->state, state) != 0) {
		g_strlcpy(p->state, state, sizeof(p->state));
		fprintf(p->out, "  %s\n", state);
	} else if (now - p->told_ns >= REMIND_S * NS_PER_SEC) {
		fprintf(p->out, "  still %s after %u s\n", state, after);
	} else {
		return;
	}
	fflush(p->out);
	p->told_ns = now;
}

static int wait_ready(struct ctl *c, const char *name, struct wait *w, unsigned timeout_s, FILE *progress,
	JsonNode **ret, struct err *e)
{
	struct progress p = {.out = progress, .began_ns = c->ops->now_ns()};

	for (;;) {
		instance_auto struct instance i;
		uint64_t now;
		int r;

		instance_read(c, name, &i);
		now = c->ops->now_ns();
		tell(&p, &i, now);
		r = i.status ? judge_status(&i, w, e) : judge_unit(&i, w, e);
		if (r > 0)
			*ret = g_steal_pointer(&i.status);
		if (r != 0)
			return MIN(r, 0);
		if (c->ops->interrupted())
			return err_set(e, -EINTR, "interrupted");
		if (now - p.began_ns >= timeout_s * NS_PER_SEC)
			return err_set(e, -ETIMEDOUT, "hbad@%s is not ready after %u s (%s)", name, timeout_s,
				instance_state(&i));
		c->ops->sleep_ms(POLL_MS);
	}
}

int ready_wait(
	struct ctl *c, const char *name, unsigned timeout_s, FILE *progress, JsonNode **ret, struct err *e)
{
	struct wait w = {0};

	return wait_ready(c, name, &w, timeout_s, progress, ret, e);
}

int ready_wait_next(struct ctl *c, const char *name, int64_t pid, unsigned restarts, unsigned timeout_s,
	FILE *progress, JsonNode **ret, struct err *e)
{
	/* The one that is asked for. */
	struct wait w = {.not_pid = pid, .restarts = restarts + 1};

	return wait_ready(c, name, &w, timeout_s, progress, ret, e);
}

void ready_print_journal(struct ctl *c, const char *name, FILE *out)
{
	g_autofree char *unit = instance_unit(name), *text = NULL;
	const char *const argv[] = {
		"journalctl", "--no-pager", "--quiet", "--lines=8", "--output=cat", "--unit", unit, NULL};
	g_auto(GStrv) lines = NULL;

	if (c->ops->run(argv, &text, NULL) != 0)
		return;
	lines = g_strsplit(text, "\n", -1);
	for (char **l = lines; *l; l++) {
		g_autofree char *clean = table_clean(*l);

		if (*clean)
			fprintf(out, "  | %s\n", clean);
	}
}
