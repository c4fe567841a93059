/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The AME box's queues: requests by address, fast replies, and replies in frames that the host lends [0, 5]. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ame.h"
#include "base/clock.h"

int ame_queue_init(struct ame *a)
{
	list_init(&a->free);
	list_init(&a->flying);
	list_init(&a->waiting);
	a->buf = malloc(AME_DATA);
	if (!a->buf)
		return -ENOMEM;
	for (unsigned i = 0; i < AME_DEPTH; i++) {
		a->cmd[i].a = a;
		list_append(&a->free, &a->cmd[i].link);
	}
	return 0;
}

static void release(struct ame_cmd *c)
{
	struct ame *a = c->a;

	clockwork_stop(&c->timer);
	if (a->inband == c)
		a->inband = NULL;
	list_remove(&c->link);
	list_append(&a->free, &c->link);
	a->n_flying--;
}

void ame_queue_give_up(struct ame *a)
{
	struct list *lists[] = {&a->flying, &a->waiting};

	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++)
		while (!list_empty(lists[i]))
			release(list_first(lists[i], struct ame_cmd, link));
	a->requests.in = a->requests.out = 0;
}

void ame_queue_drop(struct ame *a)
{
	ame_queue_give_up(a);
	a->replies.in = a->replies.out = 0;
}

void ame_queue_fini(struct ame *a)
{
	ame_queue_drop(a);
	free(a->buf);
}

/* --- replies --- */

static uint64_t wide(const struct ame *a, uint32_t low)
{
	return (uint64_t)a->high << 32 | low;
}

static void announce(struct ame *a, uint32_t message)
{
	fifo_push(&a->replies, message);
	a->env->stats->replies++;
	ame_look(a);
}

/* Into a frame of the host, which must be there. */
static void send_frame(struct ame *a, const uint8_t *reply)
{
	uint32_t low = fifo_pop(&a->frames);

	if (bus_write(a->env->bus, wide(a, low), reply, AR_SIZE) == 0)
		announce(a, 0x80000000u | low >> 1);
}

/* One that is still at work, or NULL. */
static const struct ame_cmd *another(const struct ame_cmd *c)
{
	list_for_each(pos, &c->a->flying) {
		const struct ame_cmd *other = container_of(pos, struct ame_cmd, link);

		if (other != c && other->f[AQ_FUNCTION] == c->f[AQ_FUNCTION] && !other->executed)
			return other;
	}
	return NULL;
}

/* The name under which a command is answered: its own, but for the faults. */
static uint32_t told_id(const struct ame_cmd *c)
{
	const struct ame_cmd *other = c->fault == FAULT_OTHER_CONTEXT ? another(c) : NULL;

	if (c->fault == FAULT_WRONG_CONTEXT)
		return c->id ^ 0x40000000u;
	return other ? other->id : c->id;
}

void ame_finish(struct ame_cmd *c)
{
	struct ame *a = c->a;
	uint32_t id = told_id(c);

	if (!c->plain && fifo_count(&a->frames) < c->twice) {
		list_remove(&c->link);
		list_append(&a->waiting, &c->link);
		return;
	}
	c->reply[AR_FUNCTION] = c->f[AQ_FUNCTION];
	ame_put32(c->reply, AR_ID, id);
	for (uint32_t i = 0; i < c->twice; i++) {
		if (c->plain)
			announce(a, id);
		else
			send_frame(a, c->reply);
	}
	release(c);
}

/* Unsolicited: identifier 0 [5.5]. Only while the host has switched them on. */
static bool send_events(struct ame *a)
{
	uint8_t reply[AR_SIZE] = {0};
	bool any = false;

	if (!a->events_on || !a->talking)
		return false;
	reply[AR_FUNCTION] = AFN_EVENT;
	reply[AR_EVENT] = EVENT_LUNS;
	for (; a->events && fifo_count(&a->frames); a->events--) {
		send_frame(a, reply);
		a->env->stats->events++;
		any = true;
	}
	return any;
}

/* --- requests --- */

static void on_due(struct wheel *w)
{
	struct ame_cmd *c = container_of(w, struct ame_cmd, timer);

	if (!c->executed) {
		c->executed = true;
		ame_execute(c);
		if (c->delay_ms) {
			clockwork_after(c->a->env->clock, w, c->delay_ms * NS_PER_MS);
			return;
		}
	}
	if (c->fault == FAULT_OTHER_CONTEXT && !another(c))
		clockwork_after(c->a->env->clock, w, FAULT_RETRY_NS);
	else
		ame_finish(c);
}

static uint32_t classes_of(const struct ame_cmd *c)
{
	uint8_t cdb0 = c->f[AQ_CDB];

	if (c->f[AQ_FUNCTION] == AFN_TASK)
		return CLASS_ABORT;
	if (c->f[AQ_FUNCTION] != AFN_SCSI)
		return CLASS_DCMD;
	if ((cdb0 & 0x1f) == 0x08)
		return CLASS_SCSI | CLASS_READ;
	if ((cdb0 & 0x1f) == 0x0a)
		return CLASS_SCSI | CLASS_WRITE;
	return CLASS_SCSI | (cdb0 == 0x35 || cdb0 == 0x91 ? CLASS_FLUSH : 0);
}

static void apply_fault(struct ame_cmd *c)
{
	const struct unit *u = c->f[AQ_FUNCTION] == AFN_SCSI ? ame_unit_of(c) : NULL;
	const struct cmd_info info = {classes_of(c), u ? u->name : "",
		c->f[AQ_FUNCTION] == AFN_SCSI ? c->f[AQ_CDB] : c->f[AQ_FUNCTION]};
	const struct fault *f = faults_match(c->a->env->faults, &info);

	if (!f)
		return;
	c->a->env->stats->faults++;
	c->fault = f->action;
	c->fault_arg = f->arg;
	c->twice = f->action == FAULT_TWICE ? 2 : 1;
	c->delay_ms = f->action == FAULT_DELAY ? f->arg : 0;
}

static void start(struct ame_cmd *c)
{
	struct model_env *env = c->a->env;

	c->timer.cb = on_due;
	env->stats->commands++;
	apply_fault(c);
	if (c->fault == FAULT_FIRMWARE)
		env->fault(env, (uint16_t)c->fault_arg);
	else if (c->fault == FAULT_GONE)
		env->vanish(env);
	else if (c->fault != FAULT_DROP && c->fault != FAULT_LATE_DMA)
		clockwork_after(
			env->clock, &c->timer, rng_below(env->rng, 2u * env->opt.latency_us + 1) * 1000);
}

static bool acceptable(struct ame *a, uint32_t id)
{
	if (!id || id >> 31) {
		ame_wrong(a, "message identifier %08x", id);
		return false;
	}
	list_for_each(pos, &a->flying) {
		if (container_of(pos, struct ame_cmd, link)->id == id) {
			ame_wrong(a, "message identifier %08x is at the controller already", id);
			return false;
		}
	}
	return true;
}

static void fetch(struct ame *a, uint32_t val)
{
	struct ame_cmd *c = list_first(&a->free, struct ame_cmd, link);
	uint8_t f[AQ_SIZE];

	if (!a->talking) {
		if (a->lost)
			return;
		ame_wrong(a, "request %08x before the handshake", val);
		return;
	}
	if (!c || bus_read(a->env->bus, wide(a, val & ~3u), f, sizeof(f)) < 0 ||
		!acceptable(a, ame32(f, AQ_ID)))
		return;
	list_remove(&c->link);
	list_append(&a->flying, &c->link);
	a->n_flying++;
	a->most_flying = MAX(a->most_flying, a->n_flying);
	memcpy(c->f, f, sizeof(f));
	memset(c->reply, 0, sizeof(c->reply));
	c->id = ame32(f, AQ_ID);
	c->executed = c->plain = false;
	c->fault = FAULT_NONE;
	c->twice = 1;
	c->delay_ms = c->n_sge = 0;
	if (f[AQ_FUNCTION] == AFN_INBAND && !a->inband)
		a->inband = c;
	start(c);
}

bool ame_queue_work(struct ame *a)
{
	bool any = fifo_count(&a->requests);

	while (fifo_count(&a->requests))
		fetch(a, fifo_pop(&a->requests));
	while (!list_empty(&a->waiting)) {
		struct ame_cmd *c = list_first(&a->waiting, struct ame_cmd, link);

		if (fifo_count(&a->frames) < c->twice)
			break;
		list_remove(&c->link);
		list_append(&a->flying, &c->link);
		ame_finish(c);
		any = true;
	}
	return send_events(a) || any;
}
