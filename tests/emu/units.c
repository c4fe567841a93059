/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of units, and how their caches hang together. */
#include "units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int unit_flush_drive(struct unit *u)
{
	return u->drive_cache->ops->flush(u->drive_cache);
}

int unit_flush_controller(struct unit *u)
{
	return u->ctrl_cache ? u->ctrl_cache->ops->flush(u->ctrl_cache) : 0;
}

static struct unit *unit_of(const struct scsi_disk *d)
{
	return d->owner;
}

const char *const ld_sync_names[N_LD_SYNC] = {
	[LD_SYNC_CONTROLLER] = "controller",
	[LD_SYNC_IGNORED] = "ignored",
	[LD_SYNC_FULL] = "full",
	[LD_SYNC_REJECTED] = "rejected",
};

static int ld_sync(struct scsi_disk *d)
{
	struct unit *u = unit_of(d);
	int r = 0;

	if (u->all->ld_sync != LD_SYNC_IGNORED)
		r = unit_flush_controller(u);
	if (r == 0 && u->all->ld_sync == LD_SYNC_FULL)
		r = unit_flush_drive(u);
	return r;
}

static int drive_sync(struct scsi_disk *d)
{
	return unit_flush_drive(unit_of(d));
}

static int drive_set_wce(struct scsi_disk *d, bool on)
{
	return wcache_enable(unit_of(d)->drive_cache, on);
}

static bool top_wce(const struct scsi_disk *d)
{
	return wcache_enabled(unit_of(d)->top);
}

static int stack_up(struct units *us, const struct unit_spec *spec, struct unit *u)
{
	int r = media_open(spec->path, spec->blocks, spec->block, &u->media);

	if (r == 0)
		r = wcache_create(u->media, us->drive_cache_bytes, us->rng, &u->drive_cache);
	u->top = u->drive_cache;
	if (r == 0 && spec->kind == UNIT_LD) {
		r = wcache_create(u->drive_cache, us->ctrl_cache_bytes, us->rng, &u->ctrl_cache);
		u->top = u->ctrl_cache;
	}
	if (r == 0 && spec->write_through)
		r = wcache_enable(u->top, false);
	return r;
}

static void set_identity(struct unit *u, const struct unit_spec *spec)
{
	struct scsi_disk *d = &u->disk;
	bool ld = u->kind == UNIT_LD;

	*d = (struct scsi_disk){
		.store = u->top,
		.logical = ld,
		.naa = ld ? UINT64_C(0x600605b0a1b2c3d0) : UINT64_C(0x5000c500a1b2c300) + u->target,
		.naa_low = UINT64_C(0x2a5e000000000000) + u->target,
		.temperature = 34,
		.start_ms = u->all->start_ms,
		/* Firmware takes the drives' and does not tell of its own. */
		.attention = ld ? 0 : ASC_POWER_ON,
		.saved.wce = true,
		.owner = u,
		.sync = ld ? ld_sync : drive_sync,
		.set_wce = drive_set_wce,
		.get_wce = top_wce,
		.sync_rejected = ld && u->all->ld_sync == LD_SYNC_REJECTED,
		.honours_fua = !ld || u->all->ld_fua,
		.says_dpofua = true,
	};
	snprintf(d->vendor, sizeof(d->vendor), "%s", ld ? "LSI" : "SEAGATE");
	snprintf(d->product, sizeof(d->product), "%s", ld ? "MR9260-8i" : "ST2000NM0023");
	snprintf(d->revision, sizeof(d->revision), "%s", ld ? "2.13" : "0004");
	snprintf(d->serial, sizeof(d->serial), "%s%08x", ld ? "00a1b2c3" : "Z1X0", (unsigned)u->target);
	if (spec->serial[0])
		memcpy(d->serial, spec->serial, sizeof(d->serial));
	if (spec->naa)
		d->naa = spec->naa;
}

static void take_down(struct unit *u)
{
	struct store *layers[] = {u->ctrl_cache, u->drive_cache, u->media};

	for (unsigned i = 0; i < ARRAY_SIZE(layers); i++)
		if (layers[i])
			layers[i]->ops->free(layers[i]);
	memset(u, 0, sizeof(*u));
}

int unit_add(struct units *us, const struct unit_spec *spec, struct unit **ret, struct err *e)
{
	struct unit *u = NULL;
	int r;

	if (unit_find(us, spec->kind, spec->target))
		return err_set(e, -EEXIST, "%s%u is there already", spec->kind == UNIT_LD ? "ld" : "pd",
			spec->target);
	for (unsigned i = 0; i < MAX_UNITS && !u; i++)
		if (!us->unit[i].used)
			u = &us->unit[i];
	if (!u)
		return err_set(e, -ENOSPC, "no more than %d units", MAX_UNITS);
	r = stack_up(us, spec, u);
	if (r < 0) {
		take_down(u);
		return err_set(e, r, "cannot make the media%s%s: %s", spec->path ? " " : "",
			spec->path ? spec->path : "", strerror(-r));
	}
	u->used = true;
	u->all = us;
	u->kind = spec->kind;
	u->target = spec->target;
	u->seq = 1;
	snprintf(u->name, sizeof(u->name), "%s%u", spec->kind == UNIT_LD ? "ld" : "pd", spec->target);
	set_identity(u, spec);
	*ret = u;
	return 0;
}

void unit_remove(struct unit *u)
{
	take_down(u);
}

int unit_resize(struct unit *u, uint64_t blocks, struct err *e)
{
	int r;

	if (!blocks)
		return err_set(e, -EINVAL, "a unit has at least one block");
	r = u->top->ops->resize(u->top, blocks);
	if (r < 0)
		return err_set(e, r, "cannot resize the media: %s", strerror(-r));
	u->seq++;
	u->disk.attention = ASC_CAPACITY_CHANGED;
	return 0;
}

struct unit *unit_find(struct units *us, enum unit_kind kind, unsigned target)
{
	for (unsigned i = 0; i < MAX_UNITS; i++) {
		struct unit *u = &us->unit[i];

		if (u->used && u->kind == kind && u->target == target)
			return u;
	}
	return NULL;
}

struct unit *unit_by_name(struct units *us, const char *name)
{
	for (unsigned i = 0; i < MAX_UNITS; i++)
		if (us->unit[i].used && strcmp(us->unit[i].name, name) == 0)
			return &us->unit[i];
	return NULL;
}

void units_free(struct units *us)
{
	for (unsigned i = 0; i < MAX_UNITS; i++)
		if (us->unit[i].used)
			take_down(&us->unit[i]);
}

void units_power_cut(struct units *us, const struct cut *cut)
{
	for (unsigned i = 0; i < MAX_UNITS; i++) {
		struct unit *u = &us->unit[i];

		if (!u->used)
			continue;
		/* What a battery keeps is written out after the power is back, onto drives that lost their caches. */
		if (u->ctrl_cache && !us->battery)
			u->ctrl_cache->ops->power_cut(u->ctrl_cache, cut);
		u->drive_cache->ops->power_cut(u->drive_cache, cut);
		u->disk.attention = u->kind == UNIT_LD ? 0 : ASC_POWER_ON;
		u->disk.stopped = false;
	}
}

/* --- "ld0,size=8G,block=512,file=/x,wt=1,serial=A1,naa=0x600605b000000001" --- */

int size_parse(const char *text, uint64_t *ret)
{
	static const char units[] = "KMGT";
	char *end;
	const char *at;
	uint64_t v;

	errno = 0;
	v = strtoull(text, &end, 0);
	if (errno || end == text || *text == '-')
		return -EINVAL;
	at = *end ? strchr(units, *end) : NULL;
	if (*end && (!at || end[1]))
		return -EINVAL;
	for (; at && at >= units; at--) {
		if (v > UINT64_MAX / 1024)
			return -EINVAL;
		v *= 1024;
	}
	*ret = v;
	return 0;
}

static int option(
	struct unit_spec *s, const char *key, const char *value, uint64_t *size, char *path, size_t n)
{
	uint64_t v;

	if (strcmp(key, "file") == 0) {
		if ((size_t)snprintf(path, n, "%s", value) >= n)
			return -EINVAL;
		s->path = path;
		return 0;
	}
	if (strcmp(key, "serial") == 0)
		return (size_t)snprintf(s->serial, sizeof(s->serial), "%s", value) < sizeof(s->serial)
			       ? 0
			       : -EINVAL;
	if (size_parse(value, &v) < 0)
		return -EINVAL;
	if (strcmp(key, "size") == 0)
		*size = v;
	else if (strcmp(key, "block") == 0 && (v == 512 || v == 4096))
		s->block = (uint32_t)v;
	else if (strcmp(key, "wt") == 0 && v <= 1)
		s->write_through = v;
	else if (strcmp(key, "naa") == 0)
		s->naa = v;
	else
		return -EINVAL;
	return 0;
}

int unit_spec_parse(const char *text, struct unit_spec *ret, char *path_buf, size_t path_size, struct err *e)
{
	uint64_t size = UINT64_C(1) << 30;
	char copy[512], *save = NULL, *word, *end;
	unsigned long target;

	*ret = (struct unit_spec){.block = 512};
	if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
		return err_set(e, -EINVAL, "'%s': too long", text);
	word = strtok_r(copy, ",", &save);
	if (!word || (strncmp(word, "ld", 2) != 0 && strncmp(word, "pd", 2) != 0))
		return err_set(e, -EINVAL, "'%s': a unit begins with its name, ldN or pdN", text);
	ret->kind = word[0] == 'l' ? UNIT_LD : UNIT_PD;
	target = strtoul(word + 2, &end, 10);
	if (end == word + 2 || *end || target > (ret->kind == UNIT_LD ? 63 : 255))
		return err_set(e, -EINVAL, "'%s': ld0 to ld63 or pd0 to pd255", text);
	ret->target = (uint16_t)target;
	while ((word = strtok_r(NULL, ",", &save))) {
		char *value = strchr(word, '=');

		if (value)
			*value++ = '\0';
		if (!value || option(ret, word, value, &size, path_buf, path_size) < 0)
			return err_set(e, -EINVAL,
				"'%s': '%s' is not size=N[KMGT], block=512|4096, file=PATH, wt=0|1, "
				"serial=TEXT (20) or naa=0xHEX (16)",
				text, word);
	}
	ret->blocks = size / ret->block;
	return ret->blocks ? 0 : err_set(e, -EINVAL, "'%s': too small", text);
}
