/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replay: the driver does what the captured one did, and gets what that one got.
 *
 * Its accesses to registers are compared in order with the captured ones. A read is answered with the captured value.
 * What the device had written to memory, and its interrupts, come with the access behind which they stand: before the
 * answer, when that is a read, because a driver that was told something looks at memory next.
 *
 * Polling is elastic, as no driver reads the same number of times twice: reads that told nothing new may be left out,
 * and a register may be read more often than in the capture; it then has its last value. A driver that waits for
 * memory without doing the reads in front of it gets it when it was silent for a moment. All else must come as it was.
 * The first access that does
 * not is told with what was expected, and the device is dead from then on: nobody knows what it would have done.
 *
 * Addresses are those of the capture: hbad gives them out by a rule, from the lowest up, and a driver that asks for
 * memory of the same sizes in the same order gets the same ones. Configuration space is the one at the capture's begin.
 */
#include "replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/endian.h"
#include "base/log.h"
#include "pcifn.h"

#define PATIENCE   2000 /* reads of one register in a row that the capture does not have */
#define SILENCE_MS 100	/* a driver that does nothing for so long waits for memory or an interrupt */

struct ctrl {
	struct model_env *env;
	const struct replay_file *f;
	struct wheel silence;
	uint32_t pos;	/* next access */
	uint32_t given; /* memory and interrupts in front of it were delivered */
	uint64_t matched, extra, left_out;
	unsigned same; /* extra reads since the last match */
	bool ended, diverged;
	char why[400];
};

static struct replay {
	struct model model;
	struct replay_file file;
} replay;

/* --- ends --- */

static bool is_access(const struct replay_rec *r)
{
	return r->type == CAPTURE_READ || r->type == CAPTURE_WRITE;
}

static void diverge(struct ctrl *c, uint32_t at, const char *came)
{
	const struct replay_rec *r = &c->f->rec[at];
	char expected[120];

	c->diverged = true;
	c->env->stats->protocol_errors++;
	snprintf(c->why, sizeof(c->why),
		"access %" PRIu64 ", record %u at %.6f s: the capture has %s, the driver did %s",
		c->matched + 1, r->seq, (double)r->time_ns / 1e9,
		replay_rec_text(r, expected, sizeof(expected)), came);
	log_warn("replay: %s; from here on the device is dead (all ones)", c->why);
}

static void end(struct ctrl *c, const char *why)
{
	c->ended = true;
	snprintf(c->why, sizeof(c->why), "%s", why);
	log_info("replay: after %" PRIu64 " accesses as captured %s; registers keep their last values",
		c->matched, why);
}

/* --- what the device did by itself --- */

static void deliver(struct ctrl *c, const struct replay_rec *r)
{
	if (r->type == CAPTURE_MEM_IN && bus_write(c->env->bus, r->value, r->data, r->len) < 0)
		log_warn("replay: the driver has no memory at 0x%" PRIx64
			 ", where the captured one had %u bytes",
			r->value, r->len);
	if (r->type != CAPTURE_IRQ)
		return;
	if (r->arg == 0) {
		/* VFIO masks the line when it has told of it, so its end does no harm. */
		c->env->bus->ops->line(c->env->bus, true);
		c->env->bus->ops->line(c->env->bus, false);
	} else {
		c->env->bus->ops->message(c->env->bus, (unsigned)r->value);
	}
}

/* Up to the next access, which is the driver's turn. */
static bool deliver_next(struct ctrl *c)
{
	uint32_t before = c->given = MAX(c->given, c->pos);

	while (c->given < c->f->n && !is_access(&c->f->rec[c->given]))
		deliver(c, &c->f->rec[c->given++]);
	return c->given != before;
}

static bool work(struct ctrl *c)
{
	return !c->diverged && c->matched && deliver_next(c);
}

static void on_silence(struct wheel *w)
{
	struct ctrl *c = container_of(w, struct ctrl, silence);

	if (c->diverged || c->ended)
		return;
	/* Reads that told nothing new, and that this driver may not do at all. */
	deliver_next(c);
	while (c->given < c->f->n && c->f->rec[c->given].old_news) {
		c->left_out++;
		c->pos = c->given + 1;
		if (deliver_next(c))
			return;
	}
}

/* What is passed over on the way to a match. */
static void deliver_up_to(struct ctrl *c, uint32_t end_at)
{
	for (c->given = MAX(c->given, c->pos); c->given < end_at; c->given++)
		if (!is_access(&c->f->rec[c->given]))
			deliver(c, &c->f->rec[c->given]);
}

/* --- what the driver does --- */

struct access {
	uint8_t type, arg;
	uint32_t off;
	uint64_t value;
};

static bool same_register(const struct replay_rec *r, const struct access *a)
{
	return r->type == a->type && r->arg == a->arg && r->off == a->off;
}

/* The next captured access that may come now and is a. When there is none: the one that must come now, UINT32_MAX when
 * the capture says nothing of that any more. */
static bool find(const struct ctrl *c, const struct access *a, uint32_t *ret)
{
	for (uint32_t i = c->pos; i < c->f->n; i++) {
		const struct replay_rec *r = &c->f->rec[i];

		if (r->type == CAPTURE_DROPPED)
			break;
		if (!is_access(r))
			continue;
		if (same_register(r, a) && (a->type == CAPTURE_READ || r->value == a->value)) {
			*ret = i;
			return true;
		}
		if (!r->old_news) {
			*ret = i;
			return false;
		}
	}
	*ret = UINT32_MAX;
	return false;
}

static bool last_value(const struct ctrl *c, const struct access *a, uint64_t *ret)
{
	for (uint32_t i = c->pos; i-- > 0;)
		if (same_register(&c->f->rec[i], a)) {
			*ret = c->f->rec[i].value;
			return true;
		}
	return false;
}

static void go_to(struct ctrl *c, uint32_t at)
{
	deliver_up_to(c, at);
	for (; c->pos < at; c->pos++)
		c->left_out += is_access(&c->f->rec[c->pos]);
	c->pos = at + 1;
	c->matched++;
	c->same = 0;
	if (c->f->rec[at].type == CAPTURE_READ)
		deliver_next(c);
}

static const char *access_text(const struct access *a, char *buf, size_t size)
{
	const struct replay_rec r = {.type = a->type, .arg = a->arg, .off = a->off, .value = a->value};

	replay_rec_text(&r, buf, size);
	/* The value of a read is not known yet. */
	if (a->type == CAPTURE_READ && strchr(buf, '='))
		strchr(buf, '=')[-1] = '\0';
	return buf;
}

static void poll_again(struct ctrl *c, const struct access *a, uint32_t at)
{
	char came[120], next[120];

	c->extra++;
	if (++c->same != PATIENCE || at == UINT32_MAX)
		return;
	log_warn("replay: the driver waits with %s; the capture goes on with %s",
		access_text(a, came, sizeof(came)), replay_rec_text(&c->f->rec[at], next, sizeof(next)));
}

/* One access. Its value, for a read. */
static uint64_t step(struct ctrl *c, const struct access *a)
{
	uint64_t value = UINT64_MAX;
	uint32_t at = UINT32_MAX;
	char came[120];

	if (c->diverged)
		return UINT64_MAX;
	if (c->env->clock)
		clockwork_after(c->env->clock, &c->silence, SILENCE_MS * NS_PER_MS);
	if (!c->ended && find(c, a, &at)) {
		value = c->f->rec[at].value;
		go_to(c, at);
		return value;
	}
	if (!c->ended && at == UINT32_MAX)
		end(c, c->f->dropped ? "records are missing in the capture" : "the capture ends");
	if (a->type == CAPTURE_READ && last_value(c, a, &value)) {
		poll_again(c, a, at);
		return value;
	}
	if (!c->ended)
		diverge(c, at, access_text(a, came, sizeof(came)));
	return c->ended ? 0 : UINT64_MAX;
}

static uint64_t bar_access(
	struct ctrl *c, unsigned bar, uint64_t off, unsigned width, bool write, uint64_t value)
{
	const struct access a = {
		.type = write ? CAPTURE_WRITE : CAPTURE_READ,
		.arg = CAPTURE_ARG(bar, width),
		.off = (uint32_t)off,
		.value = value,
	};

	return step(c, &a);
}

static uint32_t reg_read(struct ctrl *c, unsigned bar, uint32_t off)
{
	return (uint32_t)bar_access(c, bar, off, 4, false, 0);
}

static void reg_write(struct ctrl *c, unsigned bar, uint32_t off, uint32_t val)
{
	bar_access(c, bar, off, 4, true, val);
}

/* --- the model --- */

static int create(struct model_env *env, struct ctrl **ret, struct err *e)
{
	struct ctrl *c = calloc(1, sizeof(*c));

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->env = env;
	c->f = &replay.file;
	c->silence.cb = on_silence;
	*ret = c;
	return 0;
}

static void destroy(struct ctrl *c)
{
	clockwork_stop(&c->silence);
	free(c);
}

/* A reset by the bus is in the capture as the registers that follow it. Power begins anew. */
static void reset(struct ctrl *c, enum reset_kind kind)
{
	if (kind != RESET_POWER)
		return;
	clockwork_stop(&c->silence);
	*c = (struct ctrl){.env = c->env, .f = c->f, .silence.cb = on_silence};
}

static void unit_changed(struct ctrl *c, struct unit *u, enum unit_change what)
{
}

static int event_storm(struct ctrl *c, unsigned count)
{
	return -ENOTSUP;
}

static void fault(struct ctrl *c, uint16_t code)
{
}

static void describe(const struct ctrl *c, char *buf, size_t size)
{
	snprintf(buf, size,
		"\"state\":\"%s\",\"matched\":%" PRIu64 ",\"extra_reads\":%" PRIu64 ",\"left_out\":%" PRIu64
		",\"records\":%u,\"position\":%u,\"why\":\"%s\"",
		c->diverged ? "diverged"
		: c->ended  ? "ended"
			    : "replaying",
		c->matched, c->extra, c->left_out, c->f->n, c->pos, c->why);
}

/* Message interrupts can be switched on where the captured device has them; the rest stays as it was. */
static void config(const struct model *m, uint8_t *cfg, uint8_t *writable)
{
	const uint8_t *from = replay.file.h.config;
	uint8_t at = from[0x34] & 0xfc;

	memset(cfg + 0x40, 0, PCIFN_CFG_SIZE - 0x40);
	memset(writable + 0x40, 0, PCIFN_CFG_SIZE - 0x40);
	memcpy(cfg, from, CAPTURE_CONFIG_SIZE);
	cfg[0x04] &= 0xfb; /* bus mastering is the driver's */
	for (unsigned i = 0; i < 48 && at >= 0x40 && from[0x06] & 0x10; i++, at = from[at + 1] & 0xfc) {
		if (from[at] == 0x05 && at <= CAPTURE_CONFIG_SIZE - 0x18) {
			writable[at + 2] = 0x71;
			memset(writable + at + 4, 0xff, 0x14);
		} else if (from[at] == 0x11 && at <= CAPTURE_CONFIG_SIZE - 0x0c) {
			writable[at + 3] = 0xc0;
		}
	}
}

/* --- opening --- */

static void describe_bars(struct model_pci *p, const struct capture_header *h)
{
	for (unsigned i = 0; i < ARRAY_SIZE(p->bar); i++) {
		uint8_t kind = h->config[0x10 + 4 * i];

		p->bar[i].size = (uint32_t)h->bar_size[i];
		p->bar[i].io = kind & 1;
		p->bar[i].wide = !(kind & 1) && (kind & 6) == 4 && i + 1 < ARRAY_SIZE(p->bar);
	}
}

/* The table is not in the capture: kernel and transport keep it. Ours goes behind everything. */
static void describe_msix(struct model_pci *p, const struct capture_header *h)
{
	p->n_msi = (uint8_t)MIN(h->n_vectors[1], MODEL_MAX_VECTORS);
	p->n_msix = (uint8_t)MIN(h->n_vectors[2], MODEL_MAX_VECTORS);
	p->msix_bar = UINT8_MAX;
}

int replay_open(const char *path, bool partial, const struct model **ret, struct err *e)
{
	int r = replay_file_load(path, partial, &replay.file, e);
	const struct capture_header *h = &replay.file.h;

	if (r < 0)
		return r;
	replay.model = (struct model){
		.name = "replay",
		.about = "the device of a capture",
		.pci = {.vendor = h->vendor,
			.device = h->device,
			.subvendor = h->subvendor,
			.subdevice = h->subdevice,
			.class_code = h->class_rev >> 8,
			.revision = (uint8_t)h->class_rev},
		.create = create,
		.destroy = destroy,
		.read = reg_read,
		.write = reg_write,
		.reset = reset,
		.work = work,
		.unit_changed = unit_changed,
		.event_storm = event_storm,
		.fault = fault,
		.describe = describe,
		.access = bar_access,
		.config = config,
	};
	describe_bars(&replay.model.pci, h);
	describe_msix(&replay.model.pci, h);
	if (replay.file.dropped)
		log_warn("replay: %" PRIu64 " records are missing in %s: it ends where the first one is",
			replay.file.dropped, path);
	*ret = &replay.model;
	return 0;
}

void replay_close(void)
{
	replay_file_free(&replay.file);
}
