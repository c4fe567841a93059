/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The virtio SCSI host as a whole: its life, its interrupts, and the model's table. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "vscsi.h"

struct ctrl {
	struct vscsi vscsi;
};

struct vscsi *vscsi_of(struct ctrl *c)
{
	return &c->vscsi;
}

void vs_wrong(struct vscsi *v, const char *fmt, ...)
{
	static struct log_limit limit;
	char text[200];
	va_list ap;

	v->env->stats->protocol_errors++;
	if (!log_limit_ok(&limit, 20, 10 * NS_PER_SEC))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_warn("virtio: the driver is wrong: %s", text);
}

/* --- interrupts [4.1.5.1, 4.1.4.5] --- */

enum { ISR_QUEUE = 0x01, ISR_CONFIG = 0x02 };

/* With MSI-X the line goes nowhere, and nobody reads the ISR. */
static void notify(struct vscsi *v, uint8_t isr, uint16_t vector)
{
	v->isr |= isr;
	v->env->bus->ops->line(v->env->bus, true);
	if (vector != VS_NO_VECTOR)
		v->env->bus->ops->message(v->env->bus, vector);
}

void vs_notify_queue(struct vscsi *v, unsigned queue)
{
	notify(v, ISR_QUEUE, v->queue[queue].vector);
}

void vs_broken(struct vscsi *v)
{
	if (v->status & VST_NEEDS_RESET)
		return;
	log_info("virtio: the device needs a reset");
	vs_cmds_drop(v);
	v->status |= VST_NEEDS_RESET;
	if (v->status & VST_DRIVER_OK)
		notify(v, ISR_CONFIG, v->config_vector);
}

/* --- life --- */

/* An LD has one cache, which its SYNCHRONIZE CACHE empties, since there is no other flush here; and it says what FUA means to
 * it, since there is no firmware to say it. */
static void set_caches(struct units *us)
{
	uint8_t target, lun;

	for (unsigned i = 0; i < MAX_UNITS; i++) {
		struct unit *u = &us->unit[i];

		if (!u->used)
			continue;
		u->disk.says_dpofua = u->disk.honours_fua;
		if (u->kind == UNIT_LD)
			wcache_enable(u->drive_cache, false);
		else if (!vs_lun_of(u, &target, &lun))
			log_warn("virtio: nobody can reach %s, the last target is that of pd%u", u->name,
				VS_TARGETS - 2);
	}
}

/* A ring has the room that --max-cmds asks for, in powers of two. */
static void size_rings(struct vscsi *v)
{
	uint16_t size = VS_RING_MAX;

	while (size > v->env->opt.max_cmds)
		size /= 2;
	for (unsigned i = 0; i < VS_QUEUES; i++)
		v->queue[i].size_max = i < VQ_REQUEST ? VS_OTHER_RING : size;
}

void vs_reset(struct vscsi *v)
{
	vs_cmds_drop(v);
	v->status = v->isr = 0;
	v->features = 0;
	v->device_select = v->driver_select = v->queue_select = 0;
	v->sense_size = VS_SENSE_SIZE;
	v->cdb_size = VS_CDB_SIZE;
	v->config_vector = VS_NO_VECTOR;
	for (unsigned i = 0; i < VS_QUEUES; i++) {
		uint16_t size = v->queue[i].size_max;

		v->queue[i] = (struct vs_queue){.size = size, .size_max = size, .vector = VS_NO_VECTOR};
	}
	v->event_in = v->event_out = v->storm = 0;
	v->missed = false;
	v->env->bus->ops->line(v->env->bus, false);
}

static int create(struct model_env *env, struct ctrl **ret, struct err *e)
{
	struct ctrl *c = calloc(1, sizeof(*c));

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->vscsi.env = env;
	c->vscsi.n_queues = env->opt.queues;
	size_rings(&c->vscsi);
	if (vs_cmds_init(&c->vscsi) < 0) {
		free(c);
		return err_set(e, -ENOMEM, "out of memory");
	}
	set_caches(env->units);
	vs_reset(&c->vscsi);
	*ret = c;
	return 0;
}

static void destroy(struct ctrl *c)
{
	vs_late_stop(&c->vscsi);
	vs_cmds_fini(&c->vscsi);
	free(c);
}

static void reset(struct ctrl *c, enum reset_kind kind)
{
	c->vscsi.env->stats->resets++;
	memset(c->vscsi.msix, 0, sizeof(c->vscsi.msix));
	c->vscsi.lost |= c->vscsi.status != 0;
	vs_reset(&c->vscsi);
}

static bool work(struct ctrl *c)
{
	struct vscsi *v = &c->vscsi;
	bool any = false;

	for (unsigned i = 0; i < VQ_REQUEST + v->n_queues; i++) {
		if (!v->queue[i].kicked)
			continue;
		any = true;
		v->queue[i].kicked = false;
		if (i != VQ_EVENT && vs_runs(v))
			vs_take(v, i);
	}
	return vs_events_work(v) || any;
}

static void irq_changed(struct ctrl *c)
{
	c->vscsi.env->bus->ops->line(c->vscsi.env->bus, c->vscsi.isr);
}

static void unit_changed(struct ctrl *c, struct unit *u, enum unit_change what)
{
	set_caches(c->vscsi.env->units);
	vs_event_unit(&c->vscsi, u, what);
}

static int event_storm(struct ctrl *c, unsigned count)
{
	c->vscsi.storm += count;
	return 0;
}

static void fault(struct ctrl *c, uint16_t code)
{
	log_info("virtio: trouble inside (%03x)", code);
	vs_broken(&c->vscsi);
}

static void describe(const struct ctrl *c, char *buf, size_t size)
{
	const struct vscsi *v = &c->vscsi;
	size_t n = (size_t)snprintf(buf, size,
		"\"state\":\"%s\",\"device_status\":%u,\"features\":%" PRIu64
		",\"in_flight\":%u,\"most_in_flight\":%u",
		v->status & VST_NEEDS_RESET ? "needs reset"
		: v->status & VST_DRIVER_OK ? "running"
		: v->status		    ? "starting"
					    : "reset",
		v->status, v->features, v->n_flying, v->most_flying);

	for (unsigned i = 0; i < v->n_queues && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%" PRIu64, i ? "," : ",\"queue_replies\":[",
			v->queue[VQ_REQUEST + i].answers);
	if (n < size)
		snprintf(buf + n, size - n, "]");
}

/* The framework's way for accesses that no register of ours has: odd lengths and places. */
static uint32_t reg_read(struct ctrl *c, unsigned bar, uint32_t off)
{
	vs_wrong(&c->vscsi, "a read of odd size at %x of BAR %u", off, bar);
	return 0;
}

static void reg_write(struct ctrl *c, unsigned bar, uint32_t off, uint32_t val)
{
	vs_wrong(&c->vscsi, "a write of odd size at %x of BAR %u", off, bar);
}

extern const struct model model_virtio;
const struct model model_virtio = {
	.name = "virtio",
	.about = "virtio 1.x SCSI host",
	/* [4.1.2]: 1040h + 8, and a subsystem id and a revision that no transitional device has */
	.pci =
		{
			.vendor = 0x1af4,
			.device = 0x1048,
			.subvendor = 0x1af4,
			.subdevice = 0x1100,
			.class_code = 0x010000,
			.revision = 1,
			.bar = {[VBAR] = {.size = 16384, .wide = true}, [VBAR_MSIX] = {.size = 4096}},
			.n_msix = VS_VECTORS,
			.msix_bar = VBAR_MSIX,
			.msix_pba = 0x800,
		},
	.own_faults = 1u << FAULT_USED_LEN | 1u << FAULT_USED_INDEX,
	.no_boot = true,
	.create = create,
	.destroy = destroy,
	.read = reg_read,
	.write = reg_write,
	.access = vs_access,
	.config = vs_config,
	.config_window = vs_config_window,
	.reset = reset,
	.work = work,
	.irq_changed = irq_changed,
	.unit_changed = unit_changed,
	.event_storm = event_storm,
	.fault = fault,
	.describe = describe,
};
