/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exported units: configuration, gate, counters. */
#include "task.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "mode.h"

#define RESIZE_TIMEOUT_MS 2000

/* --- the gate --- */

void lun_await(struct scsi_lun *lun)
{
	bool now = !lun->sought && lun->unsettled && lun->serving && !lun->dead &&
		   lun->cfg.allow & ALLOW_COPY && lun_gate(lun) != SCSI_GATE_NO_UNIT;

	if (now && !lun->awaited)
		atomic_fetch_add(&lun->first->awaited, 1);
	if (!now && lun->awaited)
		atomic_fetch_sub(&lun->first->awaited, 1);
	lun->awaited = now;
}

static struct scsi_task *first_starved(struct scsi_lun *lun)
{
	list_for_each_safe(pos, &lun->host->starved) {
		struct scsi_task *t = container_of(pos, struct scsi_task, link);

		if (t->lun == lun)
			return t;
	}
	return NULL;
}

struct scsi_task *lun_first_waiting(struct scsi_lun *lun)
{
	struct scsi_task *t = list_first(&lun->wait, struct scsi_task, link);

	if (!t)
		t = first_starved(lun);
	return t ? t : range_first_held(lun);
}

/* Why it is closed is asked for anew each time: done() of a task may do what it likes. */
static void fail_waiting(struct scsi_lun *lun)
{
	struct scsi_task *t;

	while ((t = lun_first_waiting(lun))) {
		/* While it is held, that takes those that can wait. */
		if (lun_gate(lun) != SCSI_GATE_HELD)
			task_fail_at(t, t->next, gate_sense(lun_gate(lun)), NULL);
		task_advance(t);
	}
	while (lun_gate(lun) != SCSI_GATE_HELD && lun_gate(lun) != SCSI_GATE_OPEN &&
		(t = list_first(&lun->parked, struct scsi_task, link))) {
		hold_leave(t);
		task_fail_at(t, 0, gate_sense(lun_gate(lun)), NULL);
		task_advance(t);
	}
}

void lun_close(struct scsi_lun *lun, enum scsi_gate why)
{
	if (why == SCSI_GATE_GONE)
		why = hold_gate(lun);
	/* Held on, it may find its unit at the next controller. */
	lun->sought = false;
	if (lun_gate(lun) == why) {
		lun_await(lun);
		return;
	}
	hold_gate_changes(lun, why);
	atomic_store_explicit(&lun->gate, (int)why, memory_order_relaxed);
	lun_await(lun);
	fail_waiting(lun);
	lun->unit = NULL;
	lun->absent |= why != SCSI_GATE_BECOMING_READY;
}

static void lun_open(struct scsi_lun *lun, const struct scsi_unit *u, const struct scsi_facts *facts)
{
	uint32_t max = lun->host->hba->limits.max_transfer;

	lun->facts = *facts;
	if (lun->cfg.blocks && lun->cfg.blocks < facts->id.blocks) {
		log_info("unit %s has %llu blocks, its LUN shows %llu of them until it is resized",
			lun->cfg.unit, (unsigned long long)facts->id.blocks,
			(unsigned long long)lun->cfg.blocks);
		lun->facts.id.blocks = lun->cfg.blocks;
	}
	if (!lun->known)
		mode_recall(lun);
	lun->known = true;
	lun->unit = u->hba;
	lun->absent = false;
	lun->max_piece = max - max % u->id.block_size;
	lun->verify_by_read = false;
	lun->no_lba_status = false;
	lun->wiper = wipe_find(lun);
	lun->fua_native = lun->host->hba->fua_native;
	hold_gate_changes(lun, SCSI_GATE_OPEN);
	atomic_store_explicit(&lun->gate, SCSI_GATE_OPEN, memory_order_relaxed);
}

/* A unit of the same name, but another disk: an initiator's cache and file systems belong to the old one. Before it has
 * been open: its lane was chosen for the old one, and what is known of the new one may be on another. */
static bool is_another(const struct scsi_lun *lun, const struct scsi_unit *u)
{
	if (!lun->known)
		return lun->placed[0] && strcmp(lun->placed, u->id.naa_text) != 0;
	return strcmp(lun->facts.id.naa_text, u->id.naa_text) != 0 ||
	       lun->facts.id.block_size != u->id.block_size;
}

static void say_another(const struct scsi_lun *lun, const struct scsi_unit *u, struct err *why)
{
	if (lun->known)
		err_set(why, 0,
			"it was %s with blocks of %u bytes and is now %s with %u: remove the LUN to use it",
			lun->facts.id.naa_text, lun->facts.id.block_size, u->id.naa_text, u->id.block_size);
	else
		err_set(why, 0,
			"its I/O thread was chosen for %s, and it is now %s: remove the LUN to use it",
			lun->placed, u->id.naa_text);
}

void lun_resolve(struct scsi_lun *lun)
{
	struct scsi_host *s = lun->host;
	const struct scsi_unit *u = units_find(s->io_units, lun->cfg.unit);
	struct err why = {.text = "there is no such unit"};

	lun->sought = false;
	if (s->gate != SCSI_GATE_OPEN) {
		lun_close(lun, s->gate);
		return;
	}
	if (u && lun_fits(u, &lun->cfg, &why) == 0 && !is_another(lun, u)) {
		/* A moment later, on its lane: what this one knows of the unit may be nothing. */
		if (lun->unsettled) {
			lun_await(lun);
			return;
		}
		lun_open(lun, u, &s->io_units->facts[u - s->io_units->unit]);
		return;
	}
	if (u && u->identified && is_another(lun, u))
		say_another(lun, u, &why);
	/* Drives may need longer than their controller. Another disk in place of the LUN's is not waited for. */
	if (lun_gate(lun) == SCSI_GATE_HELD && !(u && u->identified && is_another(lun, u)) &&
		loop_now(s->loop) < lun->hold_end_ns) {
		log_warn("the LUN of unit %s waits: %s", lun->cfg.unit, why.text);
		lun->sought = true;
		lun_await(lun);
		return;
	}
	log_warn("the LUN of unit %s answers that there is no unit: %s", lun->cfg.unit, why.text);
	lun_close(lun, SCSI_GATE_NO_UNIT);
}

/* --- unit attentions --- */

bool lun_same_unit(const struct scsi_lun *a, const struct scsi_lun *b)
{
	return a == b || (a->known && b->known && strcmp(a->facts.id.naa_text, b->facts.id.naa_text) == 0);
}

void attention_add(enum scsi_sense to[ATTENTIONS], enum scsi_sense code)
{
	unsigned i = 0;

	while (i < ATTENTIONS - 1 && to[i] != SENSE_NONE && to[i] != code)
		i++;
	to[i] = code;
}

void lun_attention(struct scsi_lun *lun, enum scsi_sense code)
{
	attention_add(lun->attention, code);
}

void lun_unit_attention(struct scsi_lun *lun, enum scsi_sense code)
{
	list_for_each(pos, &lun->host->luns) {
		struct scsi_lun *other = container_of(pos, struct scsi_lun, all);

		if (lun_same_unit(lun, other))
			lun_attention(other, code);
	}
}

enum scsi_sense lun_take_attention(struct scsi_lun *lun)
{
	enum scsi_sense code = lun->attention[0];

	memmove(lun->attention, lun->attention + 1, sizeof(lun->attention) - sizeof(lun->attention[0]));
	lun->attention[ATTENTIONS - 1] = SENSE_NONE;
	return code;
}

/* --- size --- */

struct resize {
	struct scsi_host *host;
	const struct scsi_lun *lun;
	uint64_t blocks;
};

static void apply_resize(void *arg)
{
	struct resize *r = arg;

	/* It may run after its caller has given up and let go of the LUN. */
	list_for_each(pos, &r->host->luns) {
		struct scsi_lun *lun = container_of(pos, struct scsi_lun, all);

		if (lun != r->lun)
			continue;
		lun->cfg.blocks = r->blocks;
		lun->cfg.may_be_smaller = true;
		lun_attention(lun, SENSE_CAPACITY_CHANGED);
		lun_resolve(lun);
		hold_release(lun);
		break;
	}
	/* Commands that ended with a gate may have made room for others. */
	host_kick(r->host);
	free(r);
}

int scsi_lun_resize(struct scsi_lun *lun, uint64_t blocks, struct err *e)
{
	struct resize *r = malloc(sizeof(*r));
	int result;

	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	*r = (struct resize){.host = lun->host, .lun = lun, .blocks = blocks};
	result = loop_call(lun->host->loop, apply_resize, r, RESIZE_TIMEOUT_MS);
	return result ? err_set(e, result, "the I/O thread does not answer") : 0;
}

/* --- life --- */

static void lun_join(struct loop_msg *msg)
{
	struct scsi_lun *lun = container_of(msg, struct scsi_lun, join);

	lun->joined = true;
	if (lun->dead) {
		free(lun);
		return;
	}
	wipe_sweep(lun->host, false);
	list_append(&lun->host->luns, &lun->all);
	lun_resolve(lun);
}

/* Joins by a message that nobody waits for: until it has run the LUN answers BECOMING READY, and what is
 * posted to the loop later (the start of its ring) finds it joined. */
int scsi_lun_create(struct scsi_host *s, const struct scsi_lun_config *cfg, struct scsi_lun **ret)
{
	return scsi_lun_create_on(s, 0, NULL, cfg, ret);
}

static void place(struct scsi_lun *lun, const char *naa)
{
	lun->placed[0] = '\0';
	if (naa)
		strncat(lun->placed, naa, sizeof(lun->placed) - 1);
}

int scsi_lun_create_on(struct scsi_host *s, unsigned lane, const char *naa, const struct scsi_lun_config *cfg,
	struct scsi_lun **ret)
{
	struct scsi_lun *lun;

	if (lane != SCSI_UNSETTLED && lane >= scsi_host_lanes(s))
		return -ERANGE;
	lun = calloc(1, sizeof(*lun));
	if (!lun)
		return -ENOMEM;
	lun->first = s;
	lun->unsettled = lane == SCSI_UNSETTLED;
	lun->host = host_lane(s, lun->unsettled ? 0 : lane);
	lun->cfg = *cfg;
	list_init(&lun->all);
	list_init(&lun->wait);
	list_init(&lun->parked);
	list_init(&lun->ranged);
	list_init(&lun->turn);
	lun->join.cb = lun_join;
	atomic_init(&lun->gate, SCSI_GATE_BECOMING_READY);
	place(lun, naa);
	*ret = lun;
	loop_post(lun->host->loop, &lun->join);
	return 0;
}

bool scsi_lun_is_settled(const struct scsi_lun *lun)
{
	return !lun->unsettled;
}

struct loop *scsi_lun_loop(const struct scsi_lun *lun)
{
	return lun->host->loop;
}

unsigned scsi_lun_lane(const struct scsi_lun *lun)
{
	return lun->host->lane;
}

struct loop *scsi_lane_loop(const struct scsi_lun *lun, unsigned lane)
{
	return host_lane(lun->first, lane)->loop;
}

/* It has never been open: nothing of it is at the controller, in a queue for that, or known to the lane by the unit's
 * name. */
void scsi_lun_leave(struct scsi_lun *lun)
{
	if (!lun->unsettled || list_empty(&lun->all))
		return;
	assert(lun->joined && !lun->known && list_empty(&lun->wait) && list_empty(&lun->ranged) &&
		!lun->copying);
	list_remove(&lun->all);
}

void scsi_lun_settle(struct scsi_lun *lun, unsigned lane, const char *naa)
{
	if (!lun->unsettled)
		return;
	assert(list_empty(&lun->all));
	lun->unsettled = false;
	if (lun_gate(lun) == SCSI_GATE_HELD) {
		atomic_fetch_sub(&lun->host->holding, 1);
		atomic_fetch_add(&host_lane(lun->first, lane)->holding, 1);
	}
	lun->host = host_lane(lun->first, lane);
	place(lun, naa);
	wipe_sweep(lun->host, false);
	list_append(&lun->host->luns, &lun->all);
	lun_resolve(lun);
	/* Not before: what it holds may be a copy that needs it. */
	lun_await(lun);
	hold_release(lun);
	host_kick(lun->host);
}

void scsi_lun_destroy(struct scsi_lun *lun)
{
	if (!lun)
		return;
	scsi_lun_retire(lun);
	assert(scsi_lun_busy(lun) == lun->copying);
	/* The message is still on its way: it frees. */
	if (!lun->joined) {
		lun->dead = true;
		lun_await(lun);
		return;
	}
	wipe_sweep(lun->host, false);
	if (lun_gate(lun) == SCSI_GATE_HELD)
		lun_close(lun, SCSI_GATE_NO_UNIT);
	lost_bequeath(lun);
	lun->dead = true;
	lun_await(lun);
	if (lun->wipe.state != WIPE_NONE)
		return;
	list_remove(&lun->turn);
	list_remove(&lun->all);
	if (!lun->copying)
		free(lun);
}

void lun_copy_left(struct scsi_lun *lun)
{
	lun->copying--;
	if (!lun->dead || lun->copying || lun->wipe.state != WIPE_NONE)
		return;
	list_remove(&lun->all);
	free(lun);
}

unsigned scsi_lun_busy(const struct scsi_lun *lun)
{
	return atomic_load_explicit(&lun->busy, memory_order_acquire);
}

enum scsi_gate scsi_lun_gate(const struct scsi_lun *lun)
{
	return lun_gate(lun);
}

const struct scsi_lun_config *scsi_lun_config(const struct scsi_lun *lun)
{
	return &lun->cfg;
}

void scsi_lun_get_stats(const struct scsi_lun *lun, struct scsi_lun_stats *ret)
{
	ret->tasks = atomic_load_explicit(&lun->stats.tasks, memory_order_relaxed);
	ret->reads = atomic_load_explicit(&lun->stats.reads, memory_order_relaxed);
	ret->writes = atomic_load_explicit(&lun->stats.writes, memory_order_relaxed);
	ret->read_bytes = atomic_load_explicit(&lun->stats.read_bytes, memory_order_relaxed);
	ret->write_bytes = atomic_load_explicit(&lun->stats.write_bytes, memory_order_relaxed);
	ret->flushes = atomic_load_explicit(&lun->stats.flushes, memory_order_relaxed);
	ret->errors = atomic_load_explicit(&lun->stats.errors, memory_order_relaxed);
}
