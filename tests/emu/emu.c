/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Puts an emulated controller together. */
#include "emu.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

void emu_config_init(struct emu_config *c)
{
	*c = (struct emu_config){
		.model = models[0],
		.opt = {.max_cmds = 1008,
			.max_sge = 80,
			.max_strips = 42,
			.queues = 4,
			.vectors = 16,
			.boot_ms = 2000,
			.latency_us = 100},
		.seed = 1,
		.speed = 1,
		.units = {.drive_cache_bytes = 64u << 20, .ctrl_cache_bytes = 256u << 20},
	};
}

static struct emu *emu_of(struct model_env *env)
{
	return container_of(env, struct emu, env);
}

static void env_fault(struct model_env *env, uint16_t code)
{
	struct emu *m = emu_of(env);

	m->model->fault(m->fn.ctrl, code);
}

static void on_vanish(struct loop_msg *msg)
{
	struct emu *m = container_of(msg, struct emu, vanish);

	m->vanishing = false;
	m->fn.gone = true;
	log_info("the device is gone: all registers read as ones");
}

static void env_vanish(struct model_env *env)
{
	struct emu *m = emu_of(env);

	if (m->vanishing)
		return;
	m->vanishing = true;
	loop_post(m->loop, &m->vanish);
}

static void env_lose_config(struct model_env *env)
{
	pcifn_lose_config(&emu_of(env)->fn);
}

int emu_prepare(struct emu *m, const struct emu_config *c, struct err *e)
{
	int r;

	memset(m, 0, sizeof(*m));
	m->control.fd = -1;
	m->model = c->model;
	m->rng.state = c->seed;
	r = loop_create(&m->loop);
	if (r < 0)
		return err_set(e, r, "cannot make an event loop: %s", strerror(-r));
	clockwork_init(&m->clock, m->loop, c->speed);
	m->units = c->units;
	m->units.rng = &m->rng;
	m->faults.rng = &m->rng;
	m->faults.own = m->model->own_faults;
	m->vanish.cb = on_vanish;
	m->env = (struct model_env){
		.bus = &m->fn.bus,
		.clock = &m->clock,
		.rng = &m->rng,
		.units = &m->units,
		.faults = &m->faults,
		.stats = &m->stats,
		.fault = env_fault,
		.vanish = env_vanish,
		.lose_config = env_lose_config,
		.opt = c->opt,
	};
	if (c->script)
		return script_load(&m->script, c->script, e);
	return 0;
}

int emu_add_unit(struct emu *m, const char *spec, struct err *e)
{
	char path[256];
	struct unit_spec s;
	struct unit *u;
	int r = unit_spec_parse(spec, &s, path, sizeof(path), e);

	if (r == 0)
		r = unit_add(&m->units, &s, &u, e);
	if (r == 0 && m->fn.ctrl)
		m->model->unit_changed(m->fn.ctrl, u, UNIT_ADDED);
	return r;
}

int emu_start(struct emu *m, const struct emu_config *c, struct err *e)
{
	int r = pcifn_init(&m->fn, m->model, &m->stats);

	if (r < 0)
		return err_set(e, r, "cannot make the PCI function: %s", strerror(-r));
	m->fn.narrow = c->opt.narrow;
	m->fn.reset_ms = c->opt.reset_ms;
	if (c->capture)
		r = record_open(c->capture, &m->fn, &m->fn.record, e);
	if (r == 0)
		r = m->model->create(&m->env, &m->fn.ctrl, e);
	if (r == 0)
		r = vu_server_start(&m->server, m->loop, &m->fn, c->socket, e);
	if (r == 0 && c->control)
		r = control_start(&m->control, m, m->loop, c->control, e);
	if (r == 0)
		script_start(&m->script, m);
	return r;
}

void emu_stop(struct emu *m)
{
	if (!m->loop)
		return;
	script_stop(&m->script);
	control_stop(&m->control);
	vu_server_stop(&m->server);
	if (m->fn.ctrl)
		m->model->destroy(m->fn.ctrl);
	if (m->fn.model)
		pcifn_fini(&m->fn);
	record_close(m->fn.record);
	units_free(&m->units);
	clockwork_fini(&m->clock);
	loop_destroy(m->loop);
	m->loop = NULL;
}
