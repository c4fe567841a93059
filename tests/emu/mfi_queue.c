/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands on their way, of both generations: what was written to the queue port is fetched in the controller's own
 * time, executed after a latency drawn by lot (so commands overtake each other), and answered.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "mfi.h"

#define TO_UNITS   (CLASS_READ | CLASS_WRITE | CLASS_SCSI)
#define FETCH_MASK (ARRAY_SIZE(((struct mfi *)0)->fetch) - 1)

int mfi_queue_init(struct mfi *m)
{
	list_init(&m->free);
	list_init(&m->flying);
	list_init(&m->stalled);
	m->cmd = calloc(MAX_CMDS, sizeof(*m->cmd));
	m->buf = malloc(MAX_DATA);
	if (!m->cmd || !m->buf) {
		free(m->cmd);
		free(m->buf);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < MAX_CMDS; i++) {
		m->cmd[i].m = m;
		list_append(&m->free, &m->cmd[i].link);
	}
	return 0;
}

static void give_back(struct cmd *c)
{
	struct mfi *m = c->m;

	clockwork_stop(&c->timer);
	if (m->aen == c)
		m->aen = NULL;
	if (m->map_wait == c)
		m->map_wait = NULL;
	if (m->fam->released)
		m->fam->released(c);
	list_remove(&c->link);
	list_append(&m->free, &c->link);
	m->n_flying--;
}

void mfi_queue_drop(struct mfi *m)
{
	struct list *lists[] = {&m->flying, &m->stalled};

	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++)
		while (!list_empty(lists[i]))
			give_back(list_first(lists[i], struct cmd, link));
	m->fetch_in = m->fetch_out = 0;
	m->stopping = NULL;
	m->fam->forget(m);
}

void mfi_queue_fini(struct mfi *m)
{
	mfi_queue_drop(m);
	free(m->cmd);
	free(m->buf);
}

void mfi_release(struct cmd *c)
{
	struct mfi *m = c->m;

	give_back(c);
	if (m->stopping != c)
		return;
	/* CTRL_SHUTDOWN was answered [4.6]: INIT is needed before further use. */
	mfi_queue_drop(m);
	mfi_set_state(m, FW_READY, 0);
}

void mfi_stall(struct cmd *c)
{
	list_remove(&c->link);
	list_append(&c->m->stalled, &c->link);
}

void mfi_queue_push(struct mfi *m, uint64_t val)
{
	if (m->fetch_in - m->fetch_out > FETCH_MASK) {
		mfi_protocol_error(m, "more commands than the controller can hold");
		return;
	}
	m->fetch[m->fetch_in++ & FETCH_MASK] = val;
}

struct cmd *mfi_find(struct mfi *m, uint32_t addr, uint32_t context)
{
	list_for_each(pos, &m->flying) {
		struct cmd *c = container_of(pos, struct cmd, link);

		if (c->addr && c->addr == addr && fr32(c->f, FR_CONTEXT) == context)
			return c;
	}
	return NULL;
}

const struct cmd *mfi_another(const struct cmd *c)
{
	list_for_each(pos, &c->m->flying) {
		const struct cmd *other = container_of(pos, struct cmd, link);

		if (other != c && other->classes & TO_UNITS && !other->executed)
			return other;
	}
	return NULL;
}

void mfi_end(struct cmd *c, uint8_t status)
{
	c->status = status;
	c->scsi_status = 0;
	clockwork_stop(&c->timer);
	mfi_finish(c);
}

struct cmd *mfi_cmd_new(struct mfi *m)
{
	struct cmd *c = list_first(&m->free, struct cmd, link);

	if (!c) {
		mfi_protocol_error(m, "more commands than the controller can hold");
		return NULL;
	}
	list_remove(&c->link);
	list_append(&m->flying, &c->link);
	m->n_flying++;
	m->most_flying = MAX(m->most_flying, m->n_flying);
	c->addr = c->classes = c->opcode = c->delay_ms = c->n_sge = 0;
	c->smid = 0;
	c->msix = c->status = c->scsi_status = 0;
	memset(c->f, 0, sizeof(c->f));
	memset(c->r, 0, sizeof(c->r));
	c->executed = c->waits = false;
	c->fault = FAULT_NONE;
	c->twice = 1;
	return c;
}

/* --- execution --- */

static void on_due(struct wheel *w)
{
	struct cmd *c = container_of(w, struct cmd, timer);

	if (!c->executed) {
		c->executed = true;
		c->m->fam->execute(c);
		if (c->waits)
			return;
		if (c->delay_ms) {
			/* Done, and the answer takes its time. */
			clockwork_after(c->m->env->clock, w, c->delay_ms * NS_PER_MS);
			return;
		}
	}
	if (c->fault == FAULT_OTHER_CONTEXT && !mfi_another(c))
		clockwork_after(c->m->env->clock, w, FAULT_RETRY_NS);
	else
		mfi_finish(c);
}

static void apply_fault(struct cmd *c)
{
	const struct unit *u = c->classes & TO_UNITS ? c->m->fam->unit(c) : NULL;
	const struct cmd_info info = {c->classes, u ? u->name : "", c->opcode};
	const struct fault *f = faults_match(c->m->env->faults, &info);

	if (!f)
		return;
	c->m->env->stats->faults++;
	c->fault = f->action;
	c->fault_arg = f->arg;
	if (f->action == FAULT_TWICE)
		c->twice = 2;
	if (f->action == FAULT_DELAY)
		c->delay_ms = f->arg;
}

/* What a rule does to a command in place of its execution. True when that is all there is. */
static bool struck(struct cmd *c)
{
	struct model_env *env = c->m->env;

	switch (c->fault) {
	case FAULT_FIRMWARE:
		env->fault(env, (uint16_t)c->fault_arg);
		return true;
	case FAULT_GONE:
		env->vanish(env);
		return true;
	case FAULT_LATE_DMA:
	case FAULT_DROP:
		return true;
	default:
		return false;
	}
}

void mfi_cmd_start(struct cmd *c, bool at_once)
{
	struct model_env *env = c->m->env;
	uint64_t us = at_once ? 0 : rng_below(env->rng, 2u * env->opt.latency_us + 1);

	c->timer.cb = on_due;
	env->stats->commands++;
	apply_fault(c);
	if (!struck(c))
		clockwork_after(env->clock, &c->timer, us * 1000);
}

bool mfi_queue_work(struct mfi *m)
{
	bool any = m->fetch_out != m->fetch_in;

	while (m->fetch_out != m->fetch_in) {
		uint64_t val = m->fetch[m->fetch_out++ & FETCH_MASK];

		/* Firmware that does not run takes nothing. */
		if (m->state == FW_READY || m->state == FW_OPERATIONAL)
			m->fam->fetch(m, val);
	}
	while (!list_empty(&m->stalled)) {
		struct cmd *c = list_first(&m->stalled, struct cmd, link);

		if (!m->fam->room(c))
			break;
		list_remove(&c->link);
		list_append(&m->flying, &c->link);
		mfi_finish(c);
		any = true;
	}
	return any;
}
