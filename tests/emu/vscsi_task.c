/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control queue of the virtio SCSI host: task management, and asynchronous notification [5.6.6.2]. */
#include <string.h>

#include "base/clock.h"
#include "vscsi.h"

enum { T_TMF = 0, T_AN_QUERY = 1, T_AN_SUBSCRIBE = 2 };
enum tmf {
	TMF_ABORT_TASK,
	TMF_ABORT_TASK_SET,
	TMF_CLEAR_ACA,
	TMF_CLEAR_TASK_SET,
	TMF_I_T_NEXUS_RESET,
	TMF_LOGICAL_UNIT_RESET,
	TMF_QUERY_TASK,
	TMF_QUERY_TASK_SET,
};
/* Offsets in a control request */
enum { TQ_TYPE = 0, TQ_SUBTYPE = 4, TQ_LUN = 8, TQ_ID = 16, TQ_SIZE = 24, AQ_LUN = 4, AQ_SIZE = 16 };

/* --- late DMA --- */

static void on_late(struct wheel *w)
{
	struct vs_late *l = container_of(w, struct vs_late, timer);
	static uint8_t garbage[4096];

	memset(garbage, 0xdb, sizeof(garbage));
	log_info("virtio: late DMA by fault rule: %u bytes at 0x%llx", l->seg.len,
		(unsigned long long)l->seg.addr);
	for (uint32_t done = 0, part; done < l->seg.len; done += part) {
		part = MIN(l->seg.len - done, (uint32_t)sizeof(garbage));
		if (bus_write(l->v->env->bus, l->seg.addr + done, garbage, part) < 0)
			break;
	}
}

/* The first piece of the command's data, in whichever direction. */
static bool data_of(const struct vs_cmd *c, struct vs_seg *ret)
{
	bool in = c->ch.in_len > RS_SENSE + c->v->sense_size;
	uint64_t skip = in ? RS_SENSE + c->v->sense_size : RQ_CDB + c->v->cdb_size;
	uint16_t i = in ? c->ch.n_out : 0, end = in ? (uint16_t)(c->ch.n_out + c->ch.n_in) : c->ch.n_out;

	for (; i < end && skip >= c->ch.seg[i].len; i++)
		skip -= c->ch.seg[i].len;
	if (i == end)
		return false;
	*ret = (struct vs_seg){c->ch.seg[i].addr + skip, c->ch.seg[i].len - (uint32_t)skip};
	return true;
}

/* After 0 ms is at once, before the command's end is told: late, but not too late. */
static void late_dma(const struct vs_cmd *c)
{
	struct vscsi *v = c->v;
	struct vs_seg seg;

	if (!data_of(c, &seg))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(v->late); i++) {
		struct vs_late *l = &v->late[i];

		if (clockwork_armed(&l->timer))
			continue;
		*l = (struct vs_late){.timer.cb = on_late, .v = v, .seg = seg};
		if (c->fault_arg)
			clockwork_after(v->env->clock, &l->timer, c->fault_arg * NS_PER_MS);
		else
			on_late(&l->timer);
		return;
	}
}

void vs_late_stop(struct vscsi *v)
{
	for (unsigned i = 0; i < ARRAY_SIZE(v->late); i++)
		clockwork_stop(&v->late[i].timer);
}

/* --- task management --- */

static bool named(const struct vs_cmd *c, const struct vs_cmd *tmf, enum tmf type)
{
	const uint8_t *a = c->req + RQ_LUN, *b = tmf->req + TQ_LUN;
	size_t n = type == TMF_I_T_NEXUS_RESET ? 2 : 8;

	if (c->queue < VQ_REQUEST || memcmp(a, b, n) != 0)
		return false;
	return (type != TMF_ABORT_TASK && type != TMF_QUERY_TASK) ||
	       memcmp(c->req + RQ_ID, tmf->req + TQ_ID, 8) == 0;
}

static bool resets(enum tmf type)
{
	return type == TMF_LOGICAL_UNIT_RESET || type == TMF_I_T_NEXUS_RESET;
}

/* What a fault has lost, no abort finds; a reset ends it. False if there was such a command. */
static bool end_all(struct vs_cmd *tmf, enum tmf type)
{
	bool found_all = true;

	list_for_each_safe(pos, &tmf->v->flying) {
		struct vs_cmd *c = container_of(pos, struct vs_cmd, link);

		if (!named(c, tmf, type))
			continue;
		if (c->fault == FAULT_DROP && !resets(type)) {
			found_all = false;
			continue;
		}
		clockwork_stop(&c->timer);
		if (c->fault == FAULT_LATE_DMA)
			late_dma(c);
		vs_reply(c, resets(type) ? VSR_RESET : VSR_ABORTED);
		vs_finish(c);
		if (!vs_runs(tmf->v))
			return true;
	}
	return found_all;
}

/* SAM-5 5.14: told by the first command that comes then. */
static void attention(const struct vscsi *v, const uint8_t *lun, enum tmf type)
{
	for (unsigned i = 0; i < MAX_UNITS; i++) {
		struct unit *u = &v->env->units->unit[i];
		uint8_t t, l;

		if (!u->used || !vs_lun_of(u, &t, &l) || t != lun[1])
			continue;
		if (type == TMF_I_T_NEXUS_RESET)
			u->disk.attention = 0x2907; /* I_T NEXUS LOSS OCCURRED */
		else if (l == lun[3])
			u->disk.attention = 0x2903; /* BUS DEVICE RESET FUNCTION OCCURRED */
	}
}

static enum vs_response query(const struct vs_cmd *tmf, enum tmf type)
{
	list_for_each(pos, &tmf->v->flying)
		if (named(container_of(pos, struct vs_cmd, link), tmf, type))
			return VSR_FUNCTION_SUCCEEDED;
	return VSR_FUNCTION_COMPLETE;
}

static enum vs_response task(struct vs_cmd *c)
{
	uint32_t type = vs_get32(c->req + TQ_SUBTYPE);
	bool target;
	const struct unit *u = vs_unit(c->v, c->req + TQ_LUN, &target);

	if (c->fault == FAULT_STATUS)
		return (enum vs_response)c->fault_arg;
	if (!target)
		return VSR_BAD_TARGET;
	if (!u && type != TMF_I_T_NEXUS_RESET)
		return VSR_INCORRECT_LUN;
	switch (type) {
	case TMF_ABORT_TASK:
	case TMF_ABORT_TASK_SET:
	case TMF_CLEAR_TASK_SET:
		return end_all(c, type) ? VSR_FUNCTION_COMPLETE : VSR_FAILURE;
	case TMF_I_T_NEXUS_RESET:
	case TMF_LOGICAL_UNIT_RESET:
		attention(c->v, c->req + TQ_LUN, type);
		end_all(c, type);
		return VSR_FUNCTION_COMPLETE;
	case TMF_QUERY_TASK:
	case TMF_QUERY_TASK_SET:
		return query(c, type);
	}
	/* Also CLEAR ACA: these disks have none. */
	return VSR_FUNCTION_REJECTED;
}

/* --- asynchronous notification --- */

/* None of its events ever happens to these disks: what is subscribed is nothing. */
static void async(struct vs_cmd *c)
{
	bool target;
	const struct unit *u = vs_unit(c->v, c->req + AQ_LUN, &target);

	memset(c->reply, 0, 5);
	c->reply[4] = !target ? VSR_BAD_TARGET : !u ? VSR_INCORRECT_LUN : VSR_OK;
	if (c->fault == FAULT_STATUS)
		c->reply[4] = (uint8_t)c->fault_arg;
	c->reply_len = 5;
}

void vs_exec_control(struct vs_cmd *c)
{
	uint32_t type = vs_get32(c->req + TQ_TYPE);

	if (type == T_TMF && c->ch.out_len >= TQ_SIZE) {
		enum vs_response r = task(c);

		if (vs_runs(c->v))
			vs_reply(c, r);
	} else if ((type == T_AN_QUERY || type == T_AN_SUBSCRIBE) && c->ch.out_len >= AQ_SIZE &&
		   c->ch.in_len >= 5) {
		async(c);
	} else {
		vs_wrong(c->v, "a control request of type %u in %llu bytes", type,
			(unsigned long long)c->ch.out_len);
		vs_reply(c, VSR_FAILURE);
	}
}
