/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The event queue of the virtio SCSI host [5.6.6.3]. */
#include <string.h>

#include "vscsi.h"

enum { E_NONE = 0, E_TRANSPORT_RESET = 1, E_PARAM_CHANGE = 3 };
#define E_MISSED UINT32_C(0x80000000)
enum { R_RESCAN = 1, R_REMOVED = 2 };
#define REASON(asc)  ((uint32_t)((asc) >> 8) | ((uint32_t)(asc)&0xff) << 8)
#define MODE_CHANGED 0x2a01 /* MODE PARAMETERS CHANGED, which is what storms are made of */
#define EVENT_SIZE   16

static void add(struct vscsi *v, const struct vs_event *e)
{
	if (v->event_in - v->event_out == VS_EVENTS)
		v->missed = true;
	else
		v->event[v->event_in++ % VS_EVENTS] = *e;
}

static bool build(const struct vscsi *v, const struct unit *u, enum unit_change what, struct vs_event *e)
{
	if (!(v->status & VST_DRIVER_OK) || !vs_lun_of(u, &e->target, &e->lun))
		return false;
	if (what == UNIT_RESIZED) {
		e->event = E_PARAM_CHANGE;
		e->reason = REASON(ASC_CAPACITY_CHANGED);
		return v->features & VF_CHANGE;
	}
	e->event = E_TRANSPORT_RESET;
	e->reason = what == UNIT_REMOVED || u->offline ? R_REMOVED : R_RESCAN;
	return v->features & VF_HOTPLUG;
}

void vs_event_unit(struct vscsi *v, const struct unit *u, enum unit_change what)
{
	struct vs_event e;

	if (build(v, u, what, &e))
		add(v, &e);
}

/* False without a buffer. */
static bool send(struct vscsi *v, const struct vs_event *e)
{
	static struct vs_chain ch;
	uint8_t p[EVENT_SIZE] = {0};

	if (vs_pop(v, VQ_EVENT, &ch) <= 0)
		return false;
	if (ch.n_out || ch.in_len < EVENT_SIZE) {
		vs_wrong(v, "a buffer for events with %llu bytes, and %u to read",
			(unsigned long long)ch.in_len, ch.n_out);
		vs_broken(v);
		return false;
	}
	vs_put32(p, e->event | (v->missed ? E_MISSED : 0));
	if (e->event != E_NONE) {
		p[4] = 1;
		p[5] = e->target;
		p[7] = e->lun;
	}
	vs_put32(p + 12, e->reason);
	if (!vs_scatter(v, &ch, 0, p, sizeof(p)))
		return false;
	v->missed = false;
	v->env->stats->events++;
	vs_push(v, VQ_EVENT, ch.head, sizeof(p));
	return true;
}

bool vs_events_work(struct vscsi *v)
{
	const struct vs_event storm = {.event = E_PARAM_CHANGE, .reason = REASON(MODE_CHANGED)};
	const struct vs_event none = {.event = E_NONE};
	bool any = false;

	if (!vs_runs(v)) {
		v->storm = 0;
		return false;
	}
	for (; v->event_out != v->event_in && send(v, &v->event[v->event_out % VS_EVENTS]); v->event_out++)
		any = true;
	if (!(v->features & VF_CHANGE))
		v->storm = 0;
	for (; v->storm && v->event_out == v->event_in && send(v, &storm); v->storm--)
		any = true;
	/* Of those that were missed, the driver hears even when no other one follows. */
	if (v->missed && v->event_out == v->event_in && send(v, &none))
		any = true;
	return any;
}
