/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a script and runs its lines when their time has come. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "emu.h"

/* "at MS command" or "after N command" */
static int parse(struct script_line *l, const char *text)
{
	char kind[8];
	uint64_t n;
	int used = 0;

	if (sscanf(text, "%7s %" SCNu64 " %n", kind, &n, &used) != 2 || !text[used])
		return -EINVAL;
	if (strcmp(kind, "at") == 0)
		l->ms = n;
	else if (strcmp(kind, "after") == 0 && n)
		l->after = n;
	else
		return -EINVAL;
	snprintf(l->text, sizeof(l->text), "%s", text + used);
	return 0;
}

int script_load(struct script *s, const char *path, struct err *e)
{
	FILE *f = fopen(path, "re");
	char text[256];
	unsigned number = 0;
	int r = 0;

	if (!f)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	while (r == 0 && fgets(text, sizeof(text), f)) {
		char *at = text + strspn(text, " \t");

		number++;
		at[strcspn(at, "\n")] = '\0';
		if (!*at || *at == '#')
			continue;
		if (s->n == SCRIPT_LINES)
			r = err_set(e, -E2BIG, "%s: more than %d lines", path, SCRIPT_LINES);
		else if (parse(&s->line[s->n], at) < 0)
			r = err_set(e, -EINVAL,
				"%s:%u: a line is 'at MILLISECONDS COMMAND' or 'after COMMANDS COMMAND'",
				path, number);
		else
			s->n++;
	}
	fclose(f);
	return r;
}

static void run(struct script_line *l)
{
	char *answer = NULL;
	size_t size;
	FILE *out = open_memstream(&answer, &size);

	if (!out)
		return;
	l->done = true;
	emu_command(l->script->emu, l->text, out);
	fclose(out);
	log_info("script: %s: %s", l->text, answer);
	free(answer);
}

static void on_timer(struct wheel *w)
{
	run(container_of(w, struct script_line, timer));
}

static bool on_hook(struct loop_hook *h)
{
	struct script *s = container_of(h, struct script, hook);
	bool any = false;

	for (unsigned i = 0; i < s->n; i++) {
		struct script_line *l = &s->line[i];

		if (l->done || !l->after || s->emu->stats.commands < l->after)
			continue;
		run(l);
		any = true;
	}
	return any;
}

void script_start(struct script *s, struct emu *emu)
{
	s->emu = emu;
	if (!s->n)
		return;
	s->hook.cb = on_hook;
	loop_add_hook(emu->loop, &s->hook);
	s->hooked = true;
	for (unsigned i = 0; i < s->n; i++) {
		s->line[i].script = s;
		s->line[i].timer.cb = on_timer;
		if (!s->line[i].after)
			clockwork_after(&emu->clock, &s->line[i].timer, s->line[i].ms * NS_PER_MS);
	}
}

void script_stop(struct script *s)
{
	if (s->hooked)
		loop_del_hook(&s->hook);
	s->hooked = false;
	for (unsigned i = 0; i < s->n; i++)
		clockwork_stop(&s->line[i].timer);
}
