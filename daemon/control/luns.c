/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LUNs from OPEN to their last command. Letting go of them: luns_release.c. */
#include "luns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <glib.h>
#include "base/clock.h"
#include "base/log.h"
#include "luns_private.h"
#include "sizes.h"

void luns_init(struct luns *l, const char *name, struct scsi_host *host, const struct io *io)
{
	memset(l, 0, sizeof(*l));
	l->name = name;
	l->host = host;
	l->io = io;
	l->place.n_lanes = io->n_loops == 1;
	l->state = HANDOFF_BOOTING;
	list_init(&l->all);
	/* A handle that an earlier hbad gave must not name a LUN of this one. */
	l->last_handle = (uint64_t)getpid() << 32;
}

struct lun *luns_find(const struct luns *l, uint64_t handle)
{
	list_for_each(pos, &l->all) {
		struct lun *lun = container_of(pos, struct lun, link);

		if (lun->handle == handle && lun->state != LUN_ORPHAN)
			return lun;
	}
	return NULL;
}

static const struct scsi_unit *unit_of(const struct luns *l, const struct scsi_lun_config *cfg)
{
	return l->attached ? scsi_host_find(l->host, cfg->unit, NULL) : NULL;
}

const struct scsi_unit *luns_unit(const struct luns *l, const struct lun *lun)
{
	return unit_of(l, &lun->cfg);
}

static bool is_user(const struct lun *lun)
{
	return lun->state == LUN_PREPARED || lun->state == LUN_HELD || lun->state == LUN_SERVING;
}

const struct lun *luns_user_of(const struct luns *l, const struct scsi_unit *unit)
{
	list_for_each(pos, &l->all) {
		const struct lun *lun = container_of(pos, struct lun, link);

		if (is_user(lun) && unit_of(l, &lun->cfg) == unit)
			return lun;
	}
	return NULL;
}

/* One unit has two names ("ld0", "naa.…"); before the controller is up only equal names can be compared. */
bool luns_same_unit(const struct luns *l, const struct scsi_lun_config *a, const struct scsi_lun_config *b)
{
	const struct scsi_unit *ua = unit_of(l, a), *ub = unit_of(l, b);

	return ua && ub ? ua == ub : !strcmp(a->unit, b->unit);
}

/* --- lanes --- */

struct lane_choice {
	unsigned lane;
	/* Of the unit that it is for: the host's, so it is to be used at once. NULL: there is one lane. */
	const char *naa;
	bool apart;
};

/* A LUN whose unit nobody has seen may turn out to be of one that has a lane already; one that does not fit its unit now may
 * be of another unit when it does. */
static unsigned choose_lane(struct luns *l, const struct scsi_lun_config *cfg, struct lane_choice *ret)
{
	const struct scsi_unit *u = unit_of(l, cfg);
	unsigned load[HBA_MAX_LANES] = {0};

	*ret = (struct lane_choice){.lane = 0};
	if (l->place.n_lanes == 1)
		return 0;
	ret->lane = SCSI_UNSETTLED;
	if (!l->place.n_lanes || !u || !u->identified || scsi_lun_check(l->host, cfg, NULL))
		return SCSI_UNSETTLED;
	list_for_each(pos, &l->all) {
		const struct lun *lun = container_of(pos, struct lun, link);

		if (is_user(lun) && lun->settled)
			load[lun->lane]++;
	}
	ret->naa = u->id.naa_text;
	ret->lane = place_unit(&l->place, ret->naa, cfg->allow & ALLOW_COPY, load, &ret->apart);
	return ret->lane;
}

static void tell_if_apart(const struct luns *l, const char *device, const struct lane_choice *c)
{
	if (c->apart)
		log_warn("%s: its unit was served before copies were allowed, by another I/O thread than "
			 "other LUNs with allow=copy: copies to and from those end with an error until "
			 "\"hbactl upgrade %s\" or a restart",
			device, l->name);
}

bool luns_settle(struct luns *l, struct lun *lun)
{
	struct lane_choice choice;
	struct err e = {""};
	int r;

	if (lun->settled || !lun->ring || !is_user(lun) || l->loop_gone ||
		choose_lane(l, &lun->cfg, &choice) == SCSI_UNSETTLED)
		return true;
	/* Whatever is wrong with it, its I/O thread or its ring, is noticed elsewhere. */
	r = front_settle(lun->ring, choice.lane, choice.naa ? choice.naa : "", &e);
	if (r) {
		log_debug("%s: %s", lun->device, e.text);
		return r != -ETIMEDOUT;
	}
	lun->settled = true;
	lun->lane = scsi_lun_lane(lun->scsi);
	tell_if_apart(l, lun->device, &choice);
	return true;
}

static void settle_all(struct luns *l)
{
	list_for_each(pos, &l->all)
		if (!luns_settle(l, container_of(pos, struct lun, link)))
			return;
}

/* An older LUN that serves the same unit. */
static bool is_second(const struct luns *l, const struct lun *lun)
{
	const struct scsi_unit *unit = unit_of(l, &lun->cfg);

	list_for_each(pos, &l->all) {
		const struct lun *other = container_of(pos, struct lun, link);

		if (unit && is_user(other) && other->handle < lun->handle && unit_of(l, &other->cfg) == unit)
			return true;
	}
	return false;
}

/* What the unit was served with, for the day on which it has grown, or is another one. */
static void remember_unit(const struct luns *l, struct lun *lun)
{
	const struct scsi_unit *u = unit_of(l, &lun->cfg);

	/* What was taken on trust may not fit: its gate stays closed. */
	if (!u || !u->identified || scsi_lun_check(l->host, &lun->cfg, NULL))
		return;
	sizes_note(l->sizes, u->id.naa_text, lun->cfg.blocks, lun->cfg.block_size);
	sizes_note_disk(l->sizes, lun->device, lun->cfg.unit, u->id.naa_text);
	/* Another one may come under that name while this LUN lives, closed: that is not to be remembered. */
	g_strlcpy(lun->cfg.naa, u->id.naa_text, sizeof(lun->cfg.naa));
}

void luns_attached(struct luns *l)
{
	uint64_t deadline = clock_ns() + LUNS_RELEASE_MS * NS_PER_MS;

	l->attached = true;
	if (!l->place.n_lanes)
		l->place.n_lanes = scsi_host_lanes(l->host);
	list_for_each(pos, &l->all) {
		struct lun *lun = container_of(pos, struct lun, link);

		if (lun->state == LUN_SERVING)
			remember_unit(l, lun);
	}
	/* Two backstores that were taken on trust under two names of one unit. The handler gives the dropped one
	 * back and offers it again now and then, which check_free() refuses, with the other one's name, while that
	 * one lives. */
	list_for_each(pos, &l->all) {
		struct lun *lun = container_of(pos, struct lun, link);

		if (is_user(lun) && is_second(l, lun))
			luns_drop_whole(lun, deadline, "its unit is served as another LUN already");
	}
	settle_all(l);
}

static int check_free(const struct luns *l, const struct scsi_lun_config *cfg, struct err *e)
{
	list_for_each(pos, &l->all) {
		const struct lun *lun = container_of(pos, struct lun, link);

		if (is_user(lun) && luns_same_unit(l, cfg, &lun->cfg))
			return err_set(e, -EBUSY,
				"%s of \"%s\" is exported by the backstore \"%s\" already: delete that one "
				"first, or choose "
				"another unit (\"hbactl units %s\")",
				cfg->unit, l->name, lun->device, l->name);
	}
	return 0;
}

/* "hba/NAME/UNIT;options" */
static int parse_cfgstring(const struct luns *l, const char *text, struct scsi_lun_config *ret, struct err *e)
{
	g_autofree char *prefix = g_strdup_printf("%s/%s/", HBAD_SUBTYPE, l->name);

	if (!g_str_has_prefix(text, prefix))
		return err_set(e, -EINVAL, "\"%.100s\" is not for this hbad: write %sUNIT, such as %sld0",
			text, prefix, prefix);
	return scsi_lun_parse(text + strlen(prefix), ret, e);
}

/* A LUN that hbad has not served before: its unit has to be there. */
static int check_new(const struct luns *l, const struct scsi_lun_config *cfg, struct err *e)
{
	/* LIO's restore at boot creates its backstores once, and forgets those that fail (H13): taken on trust,
	 * with a closed gate until the unit can be asked; a mismatch then keeps it closed. */
	if (l->state == HANDOFF_BOOTING)
		return 0;
	if (!l->attached)
		return err_set(e, -ENODEV,
			"the controller of \"%s\" is gone or has failed: try again when it is back, see "
			"\"hbactl "
			"show %s\"",
			l->name, l->name);
	return scsi_lun_check(l->host, cfg, e);
}

int luns_check(const struct luns *l, const char *cfgstring, struct err *e)
{
	struct scsi_lun_config cfg;
	int r = parse_cfgstring(l, cfgstring, &cfg, e);

	if (r)
		return r;
	if (l->state == HANDOFF_STOPPING)
		return err_set(
			e, -ESHUTDOWN, "hbad \"%s\" is being stopped: try again when it runs", l->name);
	/* The veto of hazard H1: whoever gets a yes resets the ring of this unit's backstore next. */
	r = check_free(l, &cfg, e);
	return r ? r : check_new(l, &cfg, e);
}

/* A backstore that is smaller than its unit is most likely a mistake, unless the unit has grown since: then it was
 * served with this size before. While the controller boots nothing can be said. */
static bool may_be_smaller(
	const struct luns *l, const struct handoff_open *msg, const struct scsi_lun_config *cfg)
{
	const struct scsi_unit *u = unit_of(l, cfg);

	if (msg->known || !u || !u->identified)
		return true;
	return sizes_had(l->sizes, u->id.naa_text, msg->blocks, msg->block_size);
}

/* The kernel's saved configuration has the unit's name only, and firmware may give it to another disk. Who writes the identity into
 * the cfgstring has said which one is meant. */
static void require_same_disk(const struct luns *l, const char *device, struct scsi_lun_config *cfg)
{
	g_autofree char *naa = sizes_disk(l->sizes, device, cfg->unit);

	if (naa)
		g_strlcpy(cfg->naa, naa, sizeof(cfg->naa));
}

/* A LUN that was served before is taken also when its unit is missing or cannot be asked now: tcmu-runner does not
 * try a second time (H6), and the gate stays closed until the unit is there. Not when it is another disk by now. */
static int check_known(const struct luns *l, const struct scsi_lun_config *cfg, struct err *e)
{
	const struct scsi_unit *u = unit_of(l, cfg);

	return u && u->identified ? scsi_lun_check(l->host, cfg, e) : 0;
}

static int check_open(
	const struct luns *l, const struct handoff_open *msg, struct scsi_lun_config *ret, struct err *e)
{
	int r = parse_cfgstring(l, msg->cfgstring, ret, e);

	if (r)
		return r;
	if (l->state == HANDOFF_STOPPING)
		return err_set(
			e, -ESHUTDOWN, "hbad \"%s\" is being stopped: try again when it runs", l->name);
	if (!msg->map_len || !msg->device[0])
		return err_set(e, -EINVAL, "the handler's OPEN lacks the %s",
			msg->map_len ? "device's name" : "ring's length");
	if (!msg->blocks || !msg->block_size)
		return err_set(e, -EINVAL,
			"the backstore \"%s\" has no size: delete it and create it with the unit's size "
			"(\"hbactl units %s\")",
			msg->device, l->name);
	ret->blocks = msg->blocks;
	ret->block_size = msg->block_size;
	ret->may_be_smaller = may_be_smaller(l, msg, ret);
	require_same_disk(l, msg->device, ret);
	r = check_free(l, ret, e);
	if (r)
		return r;
	return msg->known ? check_known(l, ret, e) : check_new(l, ret, e);
}

/* What is left of an earlier life of the same backstore is not worth showing any more. */
static void forget_dropped(struct luns *l, const char *device)
{
	list_for_each_safe(pos, &l->all) {
		struct lun *lun = container_of(pos, struct lun, link);

		if (lun->state == LUN_DROPPED && !strcmp(lun->device, device))
			lun->state = LUN_ORPHAN; /* luns_reap() */
	}
	luns_reap(l);
}

static struct lun *new_lun(
	struct luns *l, const struct handoff_open *msg, const struct scsi_lun_config *cfg, const void *owner)
{
	struct lun *lun = g_new0(struct lun, 1);

	list_init(&lun->link);
	lun->handle = ++l->last_handle;
	lun->cfg = *cfg;
	lun->owner = owner;
	memcpy(lun->nonce, msg->nonce, sizeof(lun->nonce));
	g_strlcpy(lun->cfgstring, msg->cfgstring, sizeof(lun->cfgstring));
	g_strlcpy(lun->device, msg->device, sizeof(lun->device));
	return lun;
}

/* A command that is well ends sooner, and initiators wait longer for a task management function (open-iscsi: 15 s). */
#define ABORT_AFTER_MS 2000

static int make_ring(struct luns *l, struct lun *lun, const struct handoff_open *msg, int *fd, struct err *e)
{
	struct front_config fc = {
		.uio_fd = *fd,
		.map_len = msg->map_len,
		.map_offset = msg->map_offset,
		.lun = lun->scsi,
		.loop = scsi_lun_loop(lun->scsi),
		.name = lun->device,
		.cmd_time_out_s = msg->cmd_time_out,
		.abort_after_ms = ABORT_AFTER_MS,
	};
	int r = front_create(&fc, &lun->ring, e);

	if (!r)
		*fd = -1;
	return r;
}

int luns_open(struct luns *l, const struct handoff_open *msg, int *fd, const void *owner, struct lun **ret,
	struct err *e)
{
	struct scsi_lun_config cfg;
	struct lane_choice choice;
	struct lun *lun;
	int r = check_open(l, msg, &cfg, e);

	if (r)
		return r;
	/* It fits now. When the unit grows, it is served on. */
	cfg.may_be_smaller = true;
	if (!cfg.own_hold)
		cfg.hold_s = l->hold_s;
	forget_dropped(l, msg->device);
	lun = new_lun(l, msg, &cfg, owner);
	choose_lane(l, &cfg, &choice);
	lun->settled = choice.lane != SCSI_UNSETTLED;
	lun->lane = lun->settled ? choice.lane : 0;
	r = scsi_lun_create_on(l->host, choice.lane, choice.naa, &cfg, &lun->scsi);
	if (r) {
		g_free(lun);
		return err_set(e, r, "cannot prepare \"%s\": %s", msg->device, strerror(-r));
	}
	r = make_ring(l, lun, msg, fd, e);
	list_append(&l->all, &lun->link);
	if (r) {
		lun->state = LUN_ORPHAN;
		luns_reap(l);
		return r;
	}
	tell_if_apart(l, lun->device, &choice);
	log_info("%s: %s is prepared (%s)", lun->device, lun->cfgstring, msg->known ? "known" : "new");
	*ret = lun;
	return 0;
}

int luns_resize(struct luns *l, struct lun *lun, uint64_t blocks, struct err *e)
{
	const struct scsi_unit *u = unit_of(l, &lun->cfg);
	int r;

	/* On its way to its I/O thread neither of them would find it. */
	if (l->away || lun->state != LUN_SERVING || !lun->settled)
		return err_set(e, -EAGAIN, "\"%s\" is not served now: try again when it is", lun->device);
	if (blocks == lun->cfg.blocks)
		return 0;
	if (blocks < lun->cfg.blocks)
		return err_set(e, -EINVAL,
			"\"%s\" cannot become smaller while it is in use: delete the backstore and create it "
			"anew",
			lun->device);
	if (!u || !u->identified || blocks > u->id.blocks)
		return err_set(e, -EINVAL,
			"unit %s has %llu bytes as far as hbad knows, not %llu: if it has grown, \"hbactl "
			"rescan "
			"%s\" first",
			lun->cfg.unit,
			u && u->identified ? (unsigned long long)u->id.blocks * u->id.block_size : 0ULL,
			(unsigned long long)blocks * lun->cfg.block_size, l->name);
	r = scsi_lun_resize(lun->scsi, blocks, e);
	if (r)
		return r;
	log_info("%s: has grown from %llu to %llu blocks", lun->device, (unsigned long long)lun->cfg.blocks,
		(unsigned long long)blocks);
	lun->cfg.blocks = blocks;
	remember_unit(l, lun);
	return 0;
}

void luns_refused(
	struct luns *l, const char *device, const char *cfgstring, bool again, const struct err *reason)
{
	const struct scsi_unit *u = NULL;
	struct scsi_lun_config cfg;

	if (!device[0] || !refusals_add(&l->refusals, device, cfgstring, again, reason->text))
		return;
	if (!parse_cfgstring(l, cfgstring, &cfg, NULL))
		u = unit_of(l, &cfg);
	/* The journal has it from the caller. */
	events_add(l->events, -1, "refused", u ? u->hba->name : "", u && u->identified ? u->id.naa_text : "",
		"backstore \"%s\": %s", device, reason->text);
}

/* Commands of an earlier ring of the unit: what the new ring brings must not overtake them. */
static bool must_wait(const struct luns *l, const struct lun *lun)
{
	list_for_each(pos, &l->all) {
		const struct lun *other = container_of(pos, struct lun, link);

		if (other != lun && !is_user(other) && other->scsi &&
			luns_same_unit(l, &lun->cfg, &other->cfg))
			return true;
	}
	return false;
}

static int really_start(struct luns *l, struct lun *lun, struct err *e)
{
	int r = front_start(lun->ring, e);

	if (r)
		return r;
	lun->state = LUN_SERVING;
	lun->owner = NULL;
	l->starts++;
	remember_unit(l, lun);
	log_info("%s: serving %s", lun->device, lun->cfgstring);
	return 0;
}

int luns_start(struct luns *l, struct lun *lun, struct err *e)
{
	int r;

	if (lun->state == LUN_DROPPED)
		return err_set(e, -EBUSY, "\"%s\" is not served any more: %s", lun->device, lun->reason);
	if (lun->state != LUN_PREPARED)
		return err_set(e, -EALREADY, "\"%s\" is started already", lun->device);
	luns_reap(l);
	if (must_wait(l, lun)) {
		/* The caller need not know: entries wait unread in the ring, which the kernel's clock does
		 * not touch. */
		log_info("%s: waits for commands of %s that are still at the controller", lun->device,
			lun->cfg.unit);
		lun->state = LUN_HELD;
		lun->owner = NULL;
		return 0;
	}
	r = really_start(l, lun, e);
	/* The failed create frees the ring's memory next: nothing of it may be mapped then (H5). */
	if (r && luns_release(l, lun, clock_ns(), NULL))
		log_err("%s: its ring cannot be let go of", lun->device);
	return r;
}

void luns_start_held(struct luns *l)
{
	list_for_each(pos, &l->all) {
		struct lun *lun = container_of(pos, struct lun, link);
		struct err e = {""};

		if (lun->state != LUN_HELD || must_wait(l, lun) || !really_start(l, lun, &e))
			continue;
		log_err("%s: %s", lun->device, e.text);
		luns_drop(lun, "its ring could not be started: see the log");
	}
}
