/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One controller as the SCSI layer sees it: its units, and its coming and going. */
#include "copy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"

#define CALL_TIMEOUT_MS 5000
#define READY_BUDGET	60 /* x SCSI_READY_WAIT_MS for all units of an attach */

/* --- coming and going, as the I/O thread sees it --- */

static void host_ready(void *user)
{
	host_kick(user);
}

static void resolve_all(struct scsi_host *s)
{
	list_for_each_safe(pos, &s->luns)
		lun_resolve(container_of(pos, struct scsi_lun, all));
	/* When all are open: a copy that waited needs two of them. */
	list_for_each_safe(pos, &s->luns)
		hold_release(container_of(pos, struct scsi_lun, all));
}

static void close_all(struct scsi_host *s)
{
	list_for_each_safe(pos, &s->luns)
		lun_close(container_of(pos, struct scsi_lun, all), s->gate);
}

static void apply_attach(void *arg)
{
	struct scsi_host *s = arg;

	/* Another attach of the same controller looks at its units anew; another controller is detached
	 * first. */
	assert(!s->hba || s->hba == s->attaching);
	s->hba = s->attaching;
	s->io_units = s->offered;
	s->gate = SCSI_GATE_OPEN;
	s->hba->listener[s->lane] = (struct hba_listener){host_ready, s};
	/* What waited for the controller is handed down in turn, when all LUNs are open. */
	s->kicking = true;
	resolve_all(s);
	s->kicking = false;
	host_kick(s);
}

void host_lost(struct scsi_host *s, enum scsi_gate why)
{
	s->gate = why;
	if (why == SCSI_GATE_GONE)
		lost_host_gone(s);
	close_all(s);
}

static void apply_detach(struct loop_msg *msg)
{
	struct scsi_host *s = container_of(msg, struct scsi_host, close_msg);
	struct hba *h = s->hba;

	/* Before the reason is read: a detach that comes now posts again. Acquire pairs with the exchange
	 * there. */
	atomic_exchange(&s->close_posted, false);
	s->hba = NULL;
	s->io_units = NULL;
	host_lost(s, (enum scsi_gate)atomic_load(&s->closing));
	if (!h)
		return;
	h->listener[s->lane] = (struct hba_listener){NULL};
	if (s->spare)
		hba_req_put(s->spare);
	s->spare = NULL;
}

/* --- set-up thread --- */

static int make_scratch(struct scsi_host *s)
{
	int r = tags_init(&s->scratch, SCRATCH_COUNT);

	if (r < 0)
		return r;
	/* One more than tags: the sink. */
	s->scratch_mem = calloc(SCRATCH_COUNT + 1, SCRATCH_BYTES);
	if (!s->scratch_mem)
		return -ENOMEM;
	for (unsigned i = 0; i < SCRATCH_COUNT; i++)
		s->scratch_iov[i] = (struct iovec){s->scratch_mem + i * SCRATCH_BYTES, SCRATCH_BYTES};
	for (unsigned i = 0; i < SCRATCH_COUNT; i++)
		for (unsigned j = 0; j < PATTERN_IOVS; j++)
			s->pattern_iov[i][j] = (struct iovec){s->scratch_iov[i].iov_base, PATTERN_BYTES};
	for (unsigned i = 0; i < SINK_IOVS; i++)
		s->sink[i] = (struct iovec){s->scratch_mem + SCRATCH_COUNT * SCRATCH_BYTES, SCRATCH_BYTES};
	return 0;
}

static int create_lane(struct loop *loop, unsigned lane, struct scsi_host **ret)
{
	struct scsi_host *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->loop = loop;
	s->lane = lane;
	s->gate = SCSI_GATE_BECOMING_READY;
	s->close_msg.cb = apply_detach;
	s->tick_msg.cb = hold_tick;
	list_init(&s->luns);
	list_init(&s->ready);
	list_init(&s->starved);
	pthread_mutex_init(&s->lock, NULL);
	r = make_scratch(s);
	if (r == 0)
		r = copies_create(s);
	if (r < 0) {
		scsi_host_destroy(s);
		return r;
	}
	*ret = s;
	return 0;
}

int scsi_host_create(struct loop *loop, struct scsi_host **ret)
{
	return create_lane(loop, 0, ret);
}

unsigned scsi_host_lanes(const struct scsi_host *s)
{
	/* Acquire: who sees that they are there sees them. */
	return 1 + __atomic_load_n(&s->n_more, __ATOMIC_ACQUIRE);
}

struct scsi_host *host_lane(const struct scsi_host *s, unsigned lane)
{
	return lane ? s->more[lane - 1] : (struct scsi_host *)s;
}

static void free_older(struct scsi_host *s, struct scsi_units *keep)
{
	struct scsi_units *u = keep ? keep->older : s->newest;

	while (u) {
		struct scsi_units *older = u->older;

		free(u);
		u = older;
	}
	if (keep)
		keep->older = NULL;
}

void scsi_host_destroy(struct scsi_host *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->n_more; i++)
		scsi_host_destroy(s->more[i]);
	wipe_sweep(s, true);
	assert(list_empty(&s->luns));
	free_older(s, NULL);
	copies_destroy(s);
	tags_fini(&s->scratch);
	free(s->scratch_mem);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* Two units with one name would be taken for two paths to one disk: writes to the one would be read from the
 * other. */
static void refuse_duplicate(struct scsi_units *units, unsigned i)
{
	struct scsi_unit *u = &units->unit[i];

	for (unsigned j = 0; j < i; j++) {
		const struct scsi_unit *other = &units->unit[j];
		char naa[sizeof(u->id.naa_text)];

		if (!other->identified || strcmp(other->id.naa_text, u->id.naa_text) != 0)
			continue;
		u->identified = false;
		memcpy(naa, u->id.naa_text, sizeof(naa));
		snprintf(u->problem, sizeof(u->problem), "has the same identity %s as %s", naa,
			other->hba->name);
		return;
	}
}

static int look_at_unit(
	struct hba *h, struct scsi_units *units, unsigned i, struct scsi_raw *raw, unsigned *patience)
{
	struct scsi_unit *u = &units->unit[i];
	struct scsi_facts *facts = &units->facts[i];
	bool offline;
	uint32_t goings;
	int r;

	u->hba = &h->unit[i];
	offline = __atomic_load_n(&u->hba->state, __ATOMIC_RELAXED) == HBA_UNIT_OFFLINE;
	/* Not the outages: one that was without power says so to one of these questions. */
	goings = __atomic_load_n(&u->hba->goings, __ATOMIC_RELAXED);
	r = scsi_ask_unit(h, u->hba, raw, patience, u->problem);
	if (r == -ENODEV)
		return r;
	if (r == 0)
		r = scsi_identify(h, u->hba, raw, &u->id, u->problem);
	if (r == 0) {
		u->identified = true;
		if (offline)
			hba_unit_answered(h, u->hba, goings);
		refuse_duplicate(units, i);
	}
	if (u->identified) {
		facts->id = u->id;
		scsi_build_pages(u->hba, raw, facts);
		log_info("unit %s is %s, %s %s, serial number %s, %llu blocks of %u bytes", u->hba->name,
			u->id.naa_text, u->id.vendor, u->id.product, u->id.serial[0] ? u->id.serial : "none",
			(unsigned long long)u->id.blocks, u->id.block_size);
	} else {
		log_warn("unit %s cannot be exported: it %s", u->hba->name, u->problem);
	}
	return 0;
}

/* A unit that is mute costs a reset of the controller, and after several resets in a row that bring no answer the controller is
 * given up. So one that has answered is asked behind each one that has not: a shelf of dead drives is no dead controller. Until
 * one has answered, nobody can tell these two. */
static int look_at_units(struct hba *h, struct scsi_units *units, unsigned n)
{
	struct scsi_raw *raw = malloc(sizeof(*raw));
	unsigned patience = READY_BUDGET;
	const struct hba_unit *lively = NULL;
	int r = 0;

	if (!raw)
		return -ENOMEM;
	for (; r == 0 && units->n < n; units->n += r == 0) {
		r = look_at_unit(h, units, units->n, raw, &patience);
		if (r == 0 && units->unit[units->n].identified)
			lively = units->unit[units->n].hba;
		else if (r == 0 && lively)
			r = scsi_poke_unit(h, lively);
	}
	free(raw);
	return r;
}

/* The first time, when no LUN is anywhere but on the first lane. */
static int have_lanes(struct scsi_host *s, struct hba *h, struct err *e)
{
	unsigned n = scsi_host_lanes(s);
	int r = 0;

	if (h->n_lanes < n)
		return err_set(e, -ERANGE,
			"the controller can have %u I/O threads, and could have %u when its "
			"LUNs were distributed: restart the service",
			h->n_lanes, n);
	for (unsigned i = n; !s->attaching && i < h->n_lanes && r == 0; i++) {
		r = create_lane(hba_lane_loop(h, i), i, &s->more[i - 1]);
		if (r == 0)
			lost_copy(s->more[i - 1], s);
		/* Release: see scsi_host_lanes(). */
		if (r == 0)
			__atomic_store_n(&s->n_more, i, __ATOMIC_RELEASE);
	}
	return r < 0 ? err_set(e, r, "out of memory for the LUNs of %u I/O threads", h->n_lanes) : 0;
}

/* All lanes have the same table. One that does not answer may still take it, and then the one before is in use until
 * then: so neither is freed. */
static int offer(struct scsi_host *s, struct hba *h, struct scsi_units *units, struct err *e)
{
	for (unsigned i = 0; i < scsi_host_lanes(s); i++) {
		struct scsi_host *lane = host_lane(s, i);
		int r;

		lane->attaching = h;
		lane->offered = units;
		r = loop_call(lane->loop, apply_attach, lane, CALL_TIMEOUT_MS);
		if (r < 0)
			return err_set(e, r, "the I/O thread does not answer (%s): restart the service",
				strerror(-r));
	}
	return 0;
}

int scsi_host_attach(struct scsi_host *s, struct hba *h, struct err *e)
{
	unsigned n = hba_n_units(h);
	struct scsi_units *units;
	int r = have_lanes(s, h, e);

	if (r < 0)
		return r;
	units = calloc(1, sizeof(*units) + n * sizeof(units->facts[0]));
	if (!units)
		return err_set(e, -ENOMEM, "out of memory for the units of the controller");
	r = look_at_units(h, units, n);
	if (r < 0) {
		free(units);
		return err_set(e, r, "the controller went away while its units were asked who they are: %s",
			strerror(-r));
	}
	units->older = s->newest;
	s->newest = units;
	pthread_mutex_lock(&s->lock);
	s->units = units;
	pthread_mutex_unlock(&s->lock);
	return offer(s, h, units, e);
}

void scsi_host_trim(struct scsi_host *s)
{
	free_older(s, s->newest);
}

/* Posted, not waited for: hba_stop() and whatever else the caller does next reach the I/O thread after this. */
void scsi_host_detach(struct scsi_host *s, enum scsi_gate why)
{
	assert(why != SCSI_GATE_OPEN);
	pthread_mutex_lock(&s->lock);
	s->units = NULL;
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < scsi_host_lanes(s); i++) {
		struct scsi_host *lane = host_lane(s, i);

		atomic_store(&lane->closing, (int)why);
		if (!atomic_exchange(&lane->close_posted, true))
			loop_post(lane->loop, &lane->close_msg);
	}
}

/* --- control thread --- */

unsigned scsi_host_units(const struct scsi_host *s, const struct scsi_unit **ret)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&s->lock;
	unsigned n;

	pthread_mutex_lock(lock);
	n = s->units ? s->units->n : 0;
	*ret = s->units ? s->units->unit : NULL;
	pthread_mutex_unlock(lock);
	return n;
}

const struct scsi_unit *units_find(const struct scsi_units *units, const char *name)
{
	for (unsigned i = 0; units && i < units->n; i++) {
		const struct scsi_unit *u = &units->unit[i];

		if (strcmp(u->hba->name, name) == 0 || (u->identified && strcmp(u->id.naa_text, name) == 0))
			return u;
	}
	return NULL;
}

/* "ld0 (naa.6...), ld1 (not usable)", as far as it fits */
static void list_units(const struct scsi_units *units, char *text, size_t size)
{
	size_t len = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < units->n; i++) {
		const struct scsi_unit *u = &units->unit[i];
		int n = snprintf(text + len, size - len, "%s%s (%s)", i ? ", " : "", u->hba->name,
			u->identified ? u->id.naa_text : "not usable");

		/* room for what says that there are more */
		if (n < 0 || len + (size_t)n + sizeof(", ...") > size) {
			snprintf(text + len, size - len, ", ...");
			return;
		}
		len += (size_t)n;
	}
}

static const struct scsi_unit *find_or_explain(
	const struct scsi_units *units, const char *name, struct err *e)
{
	const struct scsi_unit *u = units_find(units, name);
	char text[300];

	if (u)
		return u;
	if (!units) {
		err_set(e, 0,
			"the controller is not ready, so nothing is known about unit %s; try again when it "
			"is",
			name);
	} else if (!units->n) {
		err_set(e, 0,
			"there is no unit %s: the controller has no units; create a logical drive first",
			name);
	} else {
		list_units(units, text, sizeof(text));
		err_set(e, 0, "there is no unit %s; use one of: %s", name, text);
	}
	return NULL;
}

const struct scsi_unit *scsi_host_find(const struct scsi_host *s, const char *unit, struct err *e)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&s->lock;
	const struct scsi_unit *u;

	pthread_mutex_lock(lock);
	u = find_or_explain(s->units, unit, e);
	pthread_mutex_unlock(lock);
	return u;
}

int scsi_lun_check(const struct scsi_host *s, const struct scsi_lun_config *cfg, struct err *e)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&s->lock;
	const struct scsi_unit *u;
	int r;

	pthread_mutex_lock(lock);
	u = find_or_explain(s->units, cfg->unit, e);
	if (u)
		r = lun_fits(u, cfg, e);
	else
		r = s->units ? -ENOENT : -EAGAIN;
	pthread_mutex_unlock(lock);
	return r;
}
