/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes that were acknowledged and may be lost: a cache without a battery may have lost them together with the
 * controller, and drives with their own power. A flush that follows says GOOD of all writes before it, so the first one
 * must not, and neither must any that was taken before the first one's answer: who sent it has not seen that.
 *
 * LUNs are let go of and made anew whenever tcmu-runner is restarted, which initiators do not notice: what one owes, the
 * next one of its unit inherits, and the unit attentions that it has not told. They do not notice a restart or an upgrade
 * of hbad itself either; only one that crashed leaves nothing.
 */
#include "task.h"

#include <errno.h>
#include <string.h>

/* --- caches --- */

/* The unit's own caching page is about the controller's cache where there is one, else about one that nobody knows. */
static void ask_whether_it_forgets(struct scsi_lun *lun)
{
	const struct hba_unit *u = lun->unit;

	if (u)
		lun->forgetful = u->disk_cache || (u->write_back ? !u->cache_protected : lun->facts.wce);
}

static bool is_unflushed(const struct scsi_lun *lun)
{
	return lun->written != lun->flushed;
}

/* Drives lose their power without their controller: the unit is gone for a while, which the drivers of Fusion, AME and virtio
 * learn, or it says so itself. Whoever comes to look may find it there again. */
void lost_look(struct scsi_lun *lun)
{
	const struct hba_unit *u = lun->unit;
	uint32_t outages;

	if (!u)
		return;
	outages = __atomic_load_n(&u->outages, __ATOMIC_RELAXED);
	/* Less: those of another struct hba, and the loss of the first has been told by the gate. */
	if (outages > lun->outages && u->disk_cache && is_unflushed(lun))
		lun->lost = true;
	lun->outages = outages;
}

/* --- writes of LUNs that were let go of --- */

/* Whoever serves its unit by now: a LUN lives until its last command has ended. */
static struct scsi_lun *heir_of(const struct scsi_lun *lun)
{
	list_for_each(pos, &lun->host->luns) {
		struct scsi_lun *other = container_of(pos, struct scsi_lun, all);

		if (other != lun && !other->dead && lun_same_unit(lun, other))
			return other;
	}
	return NULL;
}

/* Its own, a free one, or one that is given up for it. */
static struct scsi_debt *debt_for(struct scsi_host *s, const char *naa)
{
	struct scsi_debt *unused = NULL;

	for (unsigned i = 0; i < ARRAY_SIZE(s->debt); i++) {
		if (!strcmp(s->debt[i].naa, naa))
			return &s->debt[i];
		if (!s->debt[i].naa[0])
			unused = &s->debt[i];
	}
	if (!unused)
		unused = &s->debt[s->debts_given_up++ % ARRAY_SIZE(s->debt)];
	*unused = (struct scsi_debt){.lost = false};
	static_assert(sizeof(unused->naa) >= sizeof(((struct scsi_identity *)0)->naa_text), "holds it");
	strcpy(unused->naa, naa);
	return unused;
}

static void pass_attentions(enum scsi_sense to[ATTENTIONS], const enum scsi_sense from[ATTENTIONS])
{
	for (unsigned i = 0; i < ATTENTIONS && from[i] != SENSE_NONE; i++)
		attention_add(to, from[i]);
}

static bool owes(const struct scsi_lun *lun)
{
	return lun->known && (is_unflushed(lun) || lun->lost || lun->attention[0] != SENSE_NONE);
}

static void leave_debt(struct scsi_lun *lun)
{
	struct scsi_debt *d = debt_for(lun->host, lun->facts.id.naa_text);

	d->unflushed |= is_unflushed(lun);
	d->forgetful |= lun->forgetful;
	d->lost |= lun->lost;
	d->absent |= is_unflushed(lun) && lun->absent;
	d->outages = lun->outages;
	pass_attentions(d->attention, lun->attention);
}

void lost_bequeath(struct scsi_lun *lun)
{
	struct scsi_lun *heir;

	lost_look(lun);
	if (!owes(lun))
		return;
	heir = heir_of(lun);
	if (heir) {
		pass_attentions(heir->attention, lun->attention);
		heir->written += is_unflushed(lun);
		heir->lost |= lun->lost;
		heir->outages = MIN(heir->outages, lun->outages);
		return;
	}
	ask_whether_it_forgets(lun);
	leave_debt(lun);
}

static void inherit(struct scsi_lun *lun)
{
	struct scsi_host *s = lun->host;

	for (unsigned i = 0; i < ARRAY_SIZE(s->debt); i++) {
		struct scsi_debt *d = &s->debt[i];

		if (strcmp(d->naa, lun->facts.id.naa_text) != 0)
			continue;
		lun->written += d->unflushed;
		lun->lost |= d->lost;
		lun->outages = d->outages;
		pass_attentions(lun->attention, d->attention);
		*d = (struct scsi_debt){.lost = false};
	}
}

void lost_host_gone(struct scsi_host *s)
{
	for (unsigned i = 0; i < ARRAY_SIZE(s->debt); i++)
		s->debt[i].lost |= s->debt[i].unflushed && s->debt[i].forgetful;
}

/* --- from one hbad to the next --- */

static bool is_inherited(const struct scsi_host *lane, const char *naa)
{
	for (unsigned i = 0; i < ARRAY_SIZE(lane->debt); i++)
		if (lane->debt[i].inherited && !strcmp(lane->debt[i].naa, naa))
			return true;
	return false;
}

/* What was inherited lies on all lanes until one of them has served the unit: then it has been told there, and what the
 * others have is nothing any more. Else the first one's counts. */
static bool counts(const struct scsi_host *s, const struct scsi_host *lane, const struct scsi_debt *d)
{
	if (!d->naa[0] || !d->inherited)
		return d->naa[0];
	for (unsigned i = 0; i < scsi_host_lanes(s); i++)
		if (!is_inherited(host_lane(s, i), d->naa))
			return false;
	return lane == s;
}

/* The unit as the controller's last flush has left it; NULL: none that is known. */
static const struct hba_unit *left_as(const struct scsi_host *s, const struct hba *h, const char *naa)
{
	const struct scsi_unit *u = h ? units_find(s->newest, naa) : NULL;

	/* Nothing but this controller's can be in the table, but what follows a wrong pointer is nothing to guess about. */
	return u && u->hba >= h->unit && u->hba < h->unit + HBA_MAX_UNITS ? u->hba : NULL;
}

static bool settle_debt(const struct scsi_debt *d, const struct hba_unit *u, struct scsi_untold *ret)
{
	/* A unit that was away has been without power, for all we know: the flush of what is there now says nothing of what was
	 * there before. */
	bool flushed = u && !u->unflushed && !d->absent &&
		       !(u->disk_cache && __atomic_load_n(&u->outages, __ATOMIC_RELAXED) > d->outages);
	/* Whatever comes next, a reset as the device is closed or the loss of its power, a cache may forget then. */
	bool lost = d->lost || (d->unflushed && d->forgetful && !flushed);

	static_assert(sizeof(ret->naa) == sizeof(d->naa) && SCSI_UNTOLD >= ATTENTIONS, "room");
	if (!lost && d->attention[0] == SENSE_NONE)
		return false;
	*ret = (struct scsi_untold){.lost = lost};
	strcpy(ret->naa, d->naa);
	for (unsigned j = 0; j < ATTENTIONS; j++)
		ret->attention[j] = d->attention[j];
	return true;
}

/* Those whose commands have never ended, or that nobody had the time to let go of. Without a controller of which that is known
 * to be there still, what they point to is not looked at. */
static void leave_living(struct scsi_host *lane, const struct hba *h)
{
	list_for_each(pos, &lane->luns) {
		struct scsi_lun *lun = container_of(pos, struct scsi_lun, all);

		if (lun->dead)
			continue;
		if (h) {
			lost_look(lun);
			ask_whether_it_forgets(lun);
		}
		if (owes(lun))
			leave_debt(lun);
	}
}

unsigned scsi_host_leave(struct scsi_host *s, const struct hba *h, struct scsi_untold ret[HBA_MAX_UNITS])
{
	unsigned n = 0;

	for (unsigned l = 0; l < scsi_host_lanes(s); l++)
		leave_living(host_lane(s, l), h);
	for (unsigned l = 0; l < scsi_host_lanes(s); l++) {
		const struct scsi_host *lane = host_lane(s, l);

		for (unsigned i = 0; i < ARRAY_SIZE(lane->debt) && n < HBA_MAX_UNITS; i++)
			if (counts(s, lane, &lane->debt[i]) &&
				settle_debt(&lane->debt[i], left_as(s, h, lane->debt[i].naa), &ret[n]))
				n++;
	}
	return n;
}

int scsi_host_inherit(struct scsi_host *s, const struct scsi_untold *u)
{
	struct scsi_debt *d;

	if (!u->naa[0] || !memchr(u->naa, '\0', sizeof(u->naa)))
		return -EINVAL;
	for (unsigned i = 0; i < SCSI_UNTOLD; i++)
		if (u->attention[i] && u->attention[i] >> 16 != KEY_UNIT_ATTENTION)
			return -EINVAL;
	d = debt_for(s, u->naa);
	d->inherited = true;
	d->lost |= u->lost;
	for (unsigned i = 0; i < SCSI_UNTOLD && u->attention[i]; i++)
		attention_add(d->attention, (enum scsi_sense)u->attention[i]);
	return 0;
}

void lost_copy(struct scsi_host *to, const struct scsi_host *from)
{
	static_assert(sizeof(to->debt) == sizeof(from->debt), "the same");
	/* Nobody has served anything yet, so there is nothing else. */
	memcpy(to->debt, from->debt, sizeof(to->debt));
}

/* --- what happens --- */

void lost_gate_changes(struct scsi_lun *lun, enum scsi_gate now)
{
	ask_whether_it_forgets(lun);
	/* Whatever the gate was: a unit may have been missing when its controller went, too. */
	if ((now == SCSI_GATE_HELD || now == SCSI_GATE_GONE) && is_unflushed(lun) && lun->forgetful)
		lun->lost = true;
	if (now != SCSI_GATE_OPEN)
		return;
	inherit(lun);
	lost_look(lun);
}

void lost_written(struct scsi_lun *lun)
{
	enum scsi_gate gate = lun_gate(lun);

	lun->written++;
	/* The gate's change has not counted it, and nobody looks again. */
	if ((gate == SCSI_GATE_HELD || gate == SCSI_GATE_GONE) && lun->forgetful)
		lun->lost = true;
}

bool lost_flush_is_true(struct scsi_task *t)
{
	struct scsi_lun *lun = t->lun;

	lost_look(lun);
	lun->flushed = MAX(lun->flushed, t->flush_mark);
	/* Only SYNCHRONIZE CACHE, which has no work but its flush, speaks of others' writes. FUA and the like vouch for
	 * blocks of their own, and who sends them need not be the one who has to hear this. */
	if (t->work)
		return true;
	if (!lun->lost)
		return t->order > lun->doubted;
	/* Nobody hears what this one says. */
	if (t->unheard || t->flags & TASK_ABORTED)
		return false;
	/* Those that are under way beside it may be of initiators whose writes they were. */
	lun->lost = false;
	lun->doubted = lun->taken;
	log_err("%s: writes that were acknowledged but not flushed may have been lost with the controller: a "
		"flush fails",
		lun->cfg.unit);
	return false;
}
