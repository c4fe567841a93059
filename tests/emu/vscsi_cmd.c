/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands of the virtio SCSI host while it has them: taken, struck by faults, answered. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "vscsi.h"

int vs_cmds_init(struct vscsi *v)
{
	list_init(&v->free);
	list_init(&v->flying);
	v->n_cmds = VS_OTHER_RING + v->n_queues * v->queue[VQ_REQUEST].size_max;
	v->cmd = calloc(v->n_cmds, sizeof(*v->cmd));
	if (!v->cmd)
		return -ENOMEM;
	for (uint32_t i = 0; i < v->n_cmds; i++) {
		v->cmd[i].v = v;
		list_append(&v->free, &v->cmd[i].link);
	}
	return 0;
}

static void release(struct vs_cmd *c)
{
	clockwork_stop(&c->timer);
	list_remove(&c->link);
	list_append(&c->v->free, &c->link);
	c->v->n_flying--;
}

void vs_cmds_drop(struct vscsi *v)
{
	while (!list_empty(&v->flying))
		release(list_first(&v->flying, struct vs_cmd, link));
}

void vs_cmds_fini(struct vscsi *v)
{
	vs_cmds_drop(v);
	free(v->cmd);
	free(v->buf);
}

/* --- answers --- */

/* One of the same queue that is still at work, or NULL. */
static struct vs_cmd *another(const struct vs_cmd *c)
{
	list_for_each(pos, &c->v->flying) {
		struct vs_cmd *other = container_of(pos, struct vs_cmd, link);

		if (other != c && other->queue == c->queue && !other->executed && !other->told)
			return other;
	}
	return NULL;
}

static uint32_t told_head(struct vs_cmd *c)
{
	struct vs_cmd *other = c->fault == FAULT_OTHER_CONTEXT ? another(c) : NULL;

	/* A descriptor that no ring has. */
	if (c->fault == FAULT_WRONG_CONTEXT)
		return c->v->queue[c->queue].size_max + c->ch.head;
	if (!other)
		return c->ch.head;
	/* Whoever is told so may use that head again. */
	other->told = true;
	return other->ch.head;
}

void vs_finish(struct vs_cmd *c)
{
	struct vscsi *v = c->v;
	uint32_t len = c->written ? RS_SENSE + v->sense_size + c->written : c->reply_len;
	uint32_t head = told_head(c), times = c->twice;
	unsigned queue = c->queue;

	if (!vs_scatter(v, &c->ch, 0, c->reply, c->reply_len))
		return; /* broken: c is free already; or without bus mastering, it stays */
	if (c->fault == FAULT_USED_LEN)
		len = c->fault_arg;
	if (c->fault == FAULT_USED_INDEX)
		vs_jump(v, queue, (uint16_t)c->fault_arg);
	release(c);
	while (times--)
		vs_push(v, queue, head, len);
}

static void execute(struct vs_cmd *c)
{
	if (c->queue == VQ_CONTROL)
		vs_exec_control(c);
	else
		vs_exec_request(c);
}

static void on_due(struct wheel *w)
{
	struct vs_cmd *c = container_of(w, struct vs_cmd, timer);
	struct vscsi *v = c->v;

	if (!c->executed) {
		c->executed = true;
		execute(c);
		if (!vs_runs(v))
			return; /* it broke the device, and is forgotten */
		if (c->delay_ms) {
			clockwork_after(v->env->clock, w, c->delay_ms * NS_PER_MS);
			return;
		}
	}
	if (c->fault == FAULT_OTHER_CONTEXT && !another(c))
		clockwork_after(v->env->clock, w, FAULT_RETRY_NS);
	else
		vs_finish(c);
}

/* --- taking --- */

static uint32_t classes_of(const struct vs_cmd *c)
{
	uint8_t op = c->req[RQ_CDB];

	if (c->queue == VQ_CONTROL)
		return vs_get32(c->req) ? CLASS_DCMD : CLASS_ABORT;
	if ((op & 0x1f) == 0x08)
		return CLASS_SCSI | CLASS_READ;
	if ((op & 0x1f) == 0x0a)
		return CLASS_SCSI | CLASS_WRITE;
	return CLASS_SCSI | (op == 0x35 || op == 0x91 ? CLASS_FLUSH : 0);
}

static void apply_fault(struct vs_cmd *c)
{
	bool control = c->queue == VQ_CONTROL, target;
	const struct unit *u = control ? NULL : vs_unit(c->v, c->req + RQ_LUN, &target);
	const struct cmd_info info = {
		classes_of(c), u ? u->name : "", control ? vs_get32(c->req + 4) : c->req[RQ_CDB]};
	const struct fault *f = faults_match(c->v->env->faults, &info);

	if (!f)
		return;
	c->v->env->stats->faults++;
	c->fault = f->action;
	c->fault_arg = f->arg;
	c->twice = f->action == FAULT_TWICE ? 2 : 1;
	c->delay_ms = f->action == FAULT_DELAY ? f->arg : 0;
}

static void start(struct vs_cmd *c)
{
	struct model_env *env = c->v->env;

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

/* The fixed part must be there in both directions [5.6.6.1, 5.6.6.2], however it is cut into buffers [2.7.4]. */
static bool load(struct vs_cmd *c)
{
	struct vscsi *v = c->v;
	uint32_t head = RQ_CDB + v->cdb_size, tail = RS_SENSE + v->sense_size;

	memset(c->req, 0, sizeof(c->req));
	if (c->queue == VQ_CONTROL) {
		head = (uint32_t)MIN(c->ch.out_len, UINT64_C(24));
		tail = 1;
	}
	if (c->ch.out_len < MAX(head, 4u) || c->ch.in_len < tail) {
		vs_wrong(v, "queue %u: a request of %llu bytes, with room for %llu", c->queue,
			(unsigned long long)c->ch.out_len, (unsigned long long)c->ch.in_len);
		vs_broken(v);
		return false;
	}
	return vs_gather(v, &c->ch, 0, c->req, head);
}

/* True if there may be another one. */
static bool take_one(struct vscsi *v, unsigned queue)
{
	struct vs_cmd *c = list_first(&v->free, struct vs_cmd, link);

	/* There are as many as all rings have descriptors, and a head is at the device once; but for what a fault has given
	 * back too early. */
	if (!c || vs_pop(v, queue, &c->ch) <= 0)
		return false;
	list_remove(&c->link);
	list_append(&v->flying, &c->link);
	v->n_flying++;
	c->queue = queue;
	c->reply_len = c->written = c->delay_ms = 0;
	c->twice = 1;
	c->executed = c->told = false;
	c->fault = FAULT_NONE;
	if (!load(c))
		return false;
	v->most_flying = MAX(v->most_flying, v->n_flying);
	start(c);
	return true;
}

void vs_take(struct vscsi *v, unsigned queue)
{
	while (take_one(v, queue))
		;
}
