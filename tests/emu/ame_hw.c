/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The AME box as the bus sees it: registers, doorbells, start-up, notices, and the models' tables [2, 3, 6]. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ame.h"
#include "base/clock.h"

struct ctrl {
	struct ame ame;
};

void ame_wrong(struct ame *a, const char *fmt, ...)
{
	static struct log_limit limit;
	char text[200];
	va_list ap;

	a->env->stats->protocol_errors++;
	if (!log_limit_ok(&limit, 20, 10 * NS_PER_SEC))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_warn("ame: the driver is wrong: %s", text);
}

/* A level: it falls when the host has taken all replies, and cleared all notices [6]. */
static uint32_t status(const struct ame *a)
{
	return (a->outbound ? 0x4u : 0) | (fifo_count(&a->replies) ? 0x8u : 0);
}

void ame_look(struct ame *a)
{
	a->env->bus->ops->line(a->env->bus, status(a) & ~a->mask);
}

static void notify(struct ame *a, uint32_t bits)
{
	a->outbound |= bits;
	ame_look(a);
}

/* --- start-up --- */

static void on_boot(struct wheel *w)
{
	struct ame *a = container_of(w, struct ame, boot);

	a->up = true;
	a->pad1 = 1;
	log_debug("ame: firmware is ready");
}

/* The answer to the handshake: bit 0, and only here. Firmware that is still starting answers when it is up. */
static void on_answer(struct wheel *w)
{
	struct ame *a = container_of(w, struct ame, answer);

	if (!a->up) {
		clockwork_after(a->env->clock, w, 10 * NS_PER_MS);
		return;
	}
	a->talking = true;
	a->env->stats->inits++;
	notify(a, NOTICE_READY);
	clockwork_after(a->env->clock, &a->heartbeat, NS_PER_SEC);
}

/* "Is the host alive?" It says so by clearing the bit. */
static void on_heartbeat(struct wheel *w)
{
	struct ame *a = container_of(w, struct ame, heartbeat);

	notify(a, NOTICE_RESUME);
	clockwork_after(a->env->clock, w, NS_PER_SEC);
}

static void boot(struct ame *a)
{
	clockwork_stop(&a->boot);
	clockwork_stop(&a->answer);
	clockwork_stop(&a->heartbeat);
	ame_queue_drop(a);
	a->frames.in = a->frames.out = 0;
	a->mask = UINT32_MAX;
	a->outbound = a->pad1 = a->pad2 = 0;
	a->lost |= a->talking;
	a->up = a->talking = a->events_on = false;
	a->events = 0;
	ame_look(a);
	clockwork_after(a->env->clock, &a->boot, a->env->opt.boot_ms * NS_PER_MS);
}

/* --- registers --- */

/* Reply frames are forgotten; what becomes of commands and of queued answers the page does not know [12.3, I], so that is an
 * option. */
static void write_inbound(struct ame *a, uint32_t val)
{
	if (val == INBOUND_FORGET) {
		a->frames.in = a->frames.out = 0;
		if (!a->env->opt.forget_keeps)
			ame_queue_drop(a);
		a->talking = a->lost = false;
		ame_look(a);
	} else if (val & INBOUND_HIGH) {
		a->high = val & ~INBOUND_HIGH;
		clockwork_after(a->env->clock, &a->answer, NS_PER_MS);
	}
}

static void write_reply(struct ame *a, uint32_t val)
{
	if (val & 0xff || fifo_count(&a->frames) >= AME_DEPTH)
		ame_wrong(a, "reply frame %08x (%u are there)", val, fifo_count(&a->frames));
	else
		fifo_push(&a->frames, val);
}

static uint32_t read_reply(struct ame *a)
{
	uint32_t v;

	if (!fifo_count(&a->replies))
		return UINT32_MAX;
	v = fifo_pop(&a->replies);
	ame_look(a);
	return v;
}

static uint32_t reg_read(struct ctrl *c, unsigned bar, uint32_t off)
{
	struct ame *a = &c->ame;

	if (bar != 1)
		return 0;
	switch (off) {
	case AREG_STATUS:
		return status(a);
	case AREG_MASK:
		return a->mask;
	case AREG_REQUEST:
		return a->n_flying + fifo_count(&a->requests) >= AME_DEPTH - 1 ? UINT32_MAX : 0;
	case AREG_REPLY:
		return read_reply(a);
	case AREG_OUTBOUND:
		return a->outbound;
	case AREG_PAD1:
		return a->pad1;
	case AREG_PAD2:
		return a->pad2;
	case AREG_TYPE:
		return (uint32_t)a->device << 16 | 0x14d6;
	default:
		return 0;
	}
}

static void reg_write(struct ctrl *c, unsigned bar, uint32_t off, uint32_t val)
{
	struct ame *a = &c->ame;

	if (bar != 1)
		return;
	switch (off) {
	case AREG_INBOUND:
		write_inbound(a, val);
		break;
	case AREG_MASK:
		a->mask = val;
		break;
	case AREG_REQUEST:
		if (fifo_count(&a->requests) < AME_DEPTH)
			fifo_push(&a->requests, val);
		else
			ame_wrong(a, "a request although the queue is full");
		break;
	case AREG_REPLY:
		write_reply(a, val);
		break;
	case AREG_OUTBOUND_CLEAR:
		a->outbound &= ~val;
		break;
	case AREG_PAD1:
		a->pad1 = val;
		break;
	case AREG_PAD2:
		a->pad2 = val;
		break;
	}
	ame_look(a);
}

/* --- life --- */

/* No command tells this firmware to write out its drives' caches, so it keeps them off. */
static void set_caches(struct units *us)
{
	for (unsigned i = 0; i < MAX_UNITS; i++)
		if (us->unit[i].used)
			wcache_enable(us->unit[i].drive_cache, false);
}

static int create(struct model_env *env, uint16_t device, struct ctrl **ret, struct err *e)
{
	struct ctrl *c = calloc(1, sizeof(*c));
	struct ame *a = &c->ame;

	if (!c || ame_queue_init(a) < 0) {
		free(c);
		return err_set(e, -ENOMEM, "out of memory");
	}
	a->env = env;
	a->device = device;
	a->boot.cb = on_boot;
	a->answer.cb = on_answer;
	a->heartbeat.cb = on_heartbeat;
	set_caches(env->units);
	boot(a);
	*ret = c;
	return 0;
}

static int create_6262(struct model_env *env, struct ctrl **ret, struct err *e)
{
	return create(env, 0x6262, ret, e);
}

static int create_626f(struct model_env *env, struct ctrl **ret, struct err *e)
{
	return create(env, 0x626f, ret, e);
}

static void destroy(struct ctrl *c)
{
	clockwork_stop(&c->ame.boot);
	clockwork_stop(&c->ame.answer);
	clockwork_stop(&c->ame.heartbeat);
	ame_late_stop(&c->ame);
	ame_queue_fini(&c->ame);
	free(c);
}

static void reset(struct ctrl *c, enum reset_kind kind)
{
	c->ame.env->stats->resets++;
	boot(&c->ame);
}

static bool work(struct ctrl *c)
{
	return ame_queue_work(&c->ame);
}

static void irq_changed(struct ctrl *c)
{
	ame_look(&c->ame);
}

static void unit_changed(struct ctrl *c, struct unit *u, enum unit_change what)
{
	set_caches(c->ame.env->units);
	c->ame.events++;
}

static int event_storm(struct ctrl *c, unsigned count)
{
	c->ame.events += count;
	return 0;
}

/* The box restarts: its bridge forgets the addresses that the host gave it [7]. */
static void fault(struct ctrl *c, uint16_t code)
{
	log_info("ame: the box restarts (%03x)", code);
	c->ame.env->lose_config(c->ame.env);
	boot(&c->ame);
	notify(&c->ame, NOTICE_RESTART);
}

/* [2]: flush lets the host fail all that is outstanding; it is not answered any more. */
static int notice(struct ctrl *c, uint32_t bits)
{
	if (bits & NOTICE_FLUSH && !c->ame.env->opt.forget_keeps)
		ame_queue_give_up(&c->ame);
	notify(&c->ame, bits);
	return 0;
}

static void describe(const struct ctrl *c, char *buf, size_t size)
{
	const struct ame *a = &c->ame;

	snprintf(buf, size,
		"\"state\":\"%s\",\"in_flight\":%u,\"most_in_flight\":%u,\"reply_frames\":%u,\"events\":%s",
		a->talking ? "talking"
		: a->up	   ? "ready"
			   : "booting",
		a->n_flying, a->most_flying, fifo_count(&a->frames), a->events_on ? "true" : "false");
}

#define AME_MODEL(id, text)                                                                                  \
	{                                                                                                    \
		.name = "ame-" #id, .about = text,                                                           \
		.pci = {.vendor = 0x14d6,                                                                    \
			.device = 0x##id,                                                                    \
			.subvendor = 0x14d6,                                                                 \
			.subdevice = 0x##id,                                                                 \
			.class_code = 0x010400,                                                              \
			.bar = {[0] = {.size = 256, .io = true}, [1] = {.size = 262144}},                    \
			.msix_bar = 6},                                                                      \
		.create = create_##id, .destroy = destroy, .read = reg_read, .write = reg_write,             \
		.reset = reset, .work = work, .irq_changed = irq_changed, .unit_changed = unit_changed,      \
		.event_storm = event_storm, .fault = fault, .notice = notice, .describe = describe,          \
	}

extern const struct model model_ame_6262, model_ame_626f;
const struct model model_ame_6262 = AME_MODEL(6262, "Accusys RAID box, LSI 3108 family (14d6:6262)");
const struct model model_ame_626f = AME_MODEL(626f, "Accusys Gamma Carry (14d6:626f), taken for a 3108");
