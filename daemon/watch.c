/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What changed since the last look: states, which any driver keeps up to date by itself, with each tick;
 * identity and size, whenever the units were asked. Firmware's own events are passed on in its words, and are the
 * reason to ask the units anew: what they say about a unit is not believed before the unit says so, too.
 */
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "hbad.h"

#define EVENTS_A_TICK 4
#define LOOK_PAUSE_NS                                                                                        \
	(2 * NS_PER_SEC) /* between two looks that nobody has asked for: a storm of events is one reason */

static struct seen *find(struct watch *w, const char *name)
{
	for (unsigned i = 0; i < w->n; i++)
		if (!strcmp(w->seen[i].name, name))
			return &w->seen[i];
	return NULL;
}

static const char *user_of(struct hbad *d, const struct scsi_unit *u)
{
	const struct lun *lun = luns_user_of(&d->luns, u);

	return lun ? lun->device : NULL;
}

/* --- states --- */

static const char *state_word(enum hba_unit_state was, enum hba_unit_state is)
{
	if (is == HBA_UNIT_OFFLINE)
		return "unit-offline";
	if (is == HBA_UNIT_DEGRADED)
		return "unit-degraded";
	return was == HBA_UNIT_DEGRADED ? "unit-optimal" : "unit-online";
}

static const char *state_text(const char *word)
{
	static const struct {
		const char *word, *text;
	} texts[] = {
		{"unit-offline", "is offline: its commands fail until it is back"},
		{"unit-degraded", "is degraded: one more failure of a drive may be one too many"},
		{"unit-optimal", "has all of its redundancy again"},
		{"unit-online", "is online"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
		if (!strcmp(texts[i].word, word))
			return texts[i].text;
	return "";
}

static void look_at_state(struct hbad *d, const struct scsi_unit *u, struct seen *s)
{
	enum hba_unit_state state = __atomic_load_n(&u->hba->state, __ATOMIC_RELAXED);
	bool missing = __atomic_load_n(&u->hba->missing, __ATOMIC_RELAXED);
	const char *user = user_of(d, u), *word = state_word(s->state, state);

	if (missing && !s->missing)
		events_add(d->events, user ? LOG_LV_ERR : LOG_LV_INFO, "unit-removed", s->name, s->naa,
			"was removed%s%s", user ? "; it was exported by " : "", user ? user : "");
	else if (!missing && s->missing)
		events_add(d->events, LOG_LV_INFO, "unit-added", s->name, s->naa, "is there again");
	else if (state != s->state)
		events_add(d->events, state == HBA_UNIT_OPTIMAL ? LOG_LV_INFO : LOG_LV_WARN, word, s->name,
			s->naa, "%s%s%s", state_text(word), user ? "; exported by " : "", user ? user : "");
	s->state = state;
	s->missing = missing;
}

/* --- identity and size --- */

static void look_at_size(struct hbad *d, const struct scsi_unit *u, const struct seen *s)
{
	unsigned long long was = s->blocks * s->block_size, is = u->id.blocks * u->id.block_size;
	const char *user = user_of(d, u);

	if (was == is)
		return;
	if (user && is > was)
		events_add(d->events, LOG_LV_INFO, "unit-resized", s->name, s->naa,
			"has %llu bytes, had %llu; for its initiators to see that: targetcli "
			"/backstores/user:hba/%s set "
			"attribute dev_size=%llu",
			is, was, user, is);
	else
		events_add(d->events, user ? LOG_LV_ERR : LOG_LV_INFO, "unit-resized", s->name, s->naa,
			"has %llu bytes, had %llu", is, was);
}

static void remember(struct seen *s, const struct scsi_unit *u)
{
	g_strlcpy(s->name, u->hba->name, sizeof(s->name));
	if (!u->identified)
		return;
	g_strlcpy(s->naa, u->id.naa_text, sizeof(s->naa));
	s->blocks = u->id.blocks;
	s->block_size = u->id.block_size;
}

static void look_at_unit(struct hbad *d, const struct scsi_unit *u)
{
	struct seen *s = find(&d->watch, u->hba->name);

	if (!s) {
		if (d->watch.n == ARRAY_SIZE(d->watch.seen))
			return;
		s = &d->watch.seen[d->watch.n++];
		*s = (struct seen){.state = __atomic_load_n(&u->hba->state, __ATOMIC_RELAXED)};
		remember(s, u);
		if (d->watch.known)
			events_add(d->events, LOG_LV_INFO, "unit-added", s->name, s->naa, "is new%s%s",
				u->identified ? "" : ", and cannot be exported: it ",
				u->identified ? "" : u->problem);
		return;
	}
	if (u->identified && s->naa[0] && strcmp(s->naa, u->id.naa_text) != 0)
		events_add(d->events, LOG_LV_ERR, "unit-replaced", s->name, u->id.naa_text,
			"is another disk: it was %s and is %s", s->naa, u->id.naa_text);
	else if (u->identified && s->naa[0])
		look_at_size(d, u, s);
	remember(s, u);
}

/* Those that were there before the controller was lost, and did not come back with it. */
static void look_for_missing(struct hbad *d, const struct scsi_unit *units, unsigned n)
{
	for (unsigned i = 0; i < d->watch.n; i++) {
		struct seen *s = &d->watch.seen[i];
		bool there = false;

		for (unsigned j = 0; j < n; j++)
			there |= !strcmp(units[j].hba->name, s->name);
		if (!there && !s->missing)
			events_add(d->events, LOG_LV_WARN, "unit-removed", s->name, s->naa,
				"is not there any more");
		s->missing |= !there;
	}
}

void hbad_watch_units(struct hbad *d)
{
	const struct scsi_unit *units;
	unsigned n = scsi_host_units(d->host, &units);

	for (unsigned i = 0; i < n; i++) {
		look_at_unit(d, &units[i]);
		if (find(&d->watch, units[i].hba->name))
			look_at_state(d, &units[i], find(&d->watch, units[i].hba->name));
	}
	look_for_missing(d, units, n);
	d->watch.known = true;
}

/* --- now and then --- */

/* A few at a time: in a storm they must not drive out what is told of units. What is left out then is counted, and told
 * when it is over. */
static void pass_on(struct hbad *d)
{
	uint32_t untold;
	struct hba_event e;

	for (unsigned n = 0; n < EVENTS_A_TICK; n++) {
		if (!hba_next_event(d->hba, &e)) {
			untold = hba_events_untold(d->hba);
			if (untold != d->watch.untold)
				events_add(d->events, LOG_LV_WARN, "events-lost", "", "",
					"%u events of the controller came too fast to be told",
					untold - d->watch.untold);
			d->watch.untold = untold;
			return;
		}
		events_add(d->events, -1, strcasestr(e.text, "rebuil") ? "rebuild" : "controller-event", "",
			"", "%03xh: %s", e.code, e.text);
	}
}

static void watch_controller(struct hbad *d)
{
	enum hba_state state = hba_state(d->hba);

	if (state == d->watch.state)
		return;
	if (state == HBA_RESETTING)
		events_add(d->events, -1, "controller-reset", "", "", "the controller is being reset");
	else if (state == HBA_RUNNING && d->watch.state == HBA_RESETTING)
		events_add(d->events, -1, "controller-running", "", "",
			"the controller runs again after its reset");
	d->watch.state = state;
}

void hbad_watch_begin(struct hbad *d)
{
	d->watch.state = HBA_RUNNING;
	d->watch.untold = 0;
	/* What it begins with, and not what it is: its units have been asked by now, and what was told while they were
	 * may be of one that was asked before. */
	d->watch.news = 0;
	hbad_watch_units(d);
}

void hbad_watch_tick(struct hbad *d)
{
	const struct scsi_unit *units;
	unsigned n = scsi_host_units(d->host, &units);
	uint32_t news = hba_unit_news(d->hba);

	watch_controller(d);
	pass_on(d);
	for (unsigned i = 0; i < n; i++) {
		struct seen *s = find(&d->watch, units[i].hba->name);

		if (s)
			look_at_state(d, &units[i], s);
	}
	if (news == d->watch.news || clock_ns() - d->watch.looked_ns < LOOK_PAUSE_NS)
		return;
	if (hbad_look_again(d)) {
		d->watch.news = news;
		d->watch.looked_ns = clock_ns();
	}
}
