/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handing a device to hbad, and making sure what became of it when that fails. */
#include <errno.h>
#include <string.h>
#include "base/cleanup.h"
#include "device.h"
#include "hlog.h"
#include "instance.h"
#include "timing.h"

static void claim(struct device *d, struct link *l)
{
	hb_close(&d->server.pidfd);
	d->server = (struct server){.pidfd = TAKE_FD(l->pidfd), .pid = l->pid};
	d->heard_ns = clock_ns();
	d->killed_ns = 0;
	d->stopping = false;
}

static void unclaim(struct device *d)
{
	hb_close(&d->server.pidfd);
	d->server.handle = 0;
	d->dropped = false;
}

static enum offer send_open(struct device *d, struct link *l, struct err *e)
{
	struct handoff_open msg = {
		.map_len = d->map_len,
		.map_offset = d->map_offset,
		.blocks = d->blocks,
		.block_size = d->block_size,
		.known = d->known,
		.cmd_time_out = (uint32_t)MAX(device_time_out(d), 0),
	};
	struct handoff_reply reply;
	int r;

	d->told_time_out_s = msg.cmd_time_out;
	memcpy(msg.nonce, registry_nonce(), sizeof(msg.nonce));
	strcpy(msg.cfgstring, d->cfg.text);
	strcpy(msg.device, d->name);
	r = link_call(
		l, &msg, sizeof(msg), HANDOFF_OPEN, d->uio_fd, until_ms(timing.open, d->cancel_fd), &reply);
	if (r) {
		err_set(e, r, "hbad@%s (process %d) did not take the device: %s", d->cfg.instance,
			(int)l->pid, link_error(r));
		d->server.handle = 0;
		return r == -ENOTCONN ? OFFER_ABSENT : OFFER_LOST;
	}
	if (reply.head.status < 0) {
		err_set(e, reply.head.status, "%s", reply.reason);
		return OFFER_REFUSED;
	}
	d->server.handle = reply.handle;
	return OFFER_SERVED;
}

static enum offer send_start(struct device *d, struct link *l, struct err *e)
{
	struct handoff_handle msg = {.handle = d->server.handle};
	struct handoff_reply reply;
	int r = link_call(
		l, &msg, sizeof(msg), HANDOFF_START, -1, until_ms(timing.open, d->cancel_fd), &reply);

	if (r) {
		err_set(e, r, "hbad@%s (process %d) did not say whether it serves the device: %s",
			d->cfg.instance, (int)l->pid, link_error(r));
		return r == -ENOTCONN ? OFFER_PREPARED : OFFER_UNSURE;
	}
	if (reply.head.status < 0) {
		err_set(e, reply.head.status, "%s", reply.reason);
		return OFFER_PREPARED;
	}
	return OFFER_SERVED;
}

static enum offer offer_over(struct device *d, struct link *l, struct err *e)
{
	enum offer o = send_open(d, l, e);

	if (o != OFFER_SERVED)
		return o;
	/* Before START: from then on the kernel's mailbox moves, and the runner must not see it. */
	if (device_lay_decoy(d, e))
		return OFFER_PREPARED;
	return send_start(d, l, e);
}

enum offer device_offer(struct device *d, struct err *e)
{
	struct link l = LINK_INIT;
	enum offer o;
	int r = link_connect(&l, d->cfg.instance, until_ms(timing.call, d->cancel_fd));

	if (r) {
		err_set(e, r,
			r == -ETIMEDOUT ? "hbad@%s accepts no connections: see \"systemctl status hbad@%s\""
					: "hbad@%s is not running: systemctl start hbad@%s",
			d->cfg.instance, d->cfg.instance);
		return OFFER_ABSENT;
	}
	claim(d, &l);
	o = offer_over(d, &l, e);
	/* The connection's end lets hbad drop what it has OPENed and not STARTed. */
	link_close(&l);
	if (o == OFFER_SERVED)
		d->heard_ns = clock_ns();
	else if (o == OFFER_ABSENT || o == OFFER_REFUSED)
		unclaim(d);
	return o;
}

/* --- afterwards --- */

/* A call to the process that the device was offered to, on a connection of its own. */
static int call_server(
	struct device *d, void *msg, size_t size, enum handoff_type type, struct handoff_reply *ret)
{
	struct until u = until_ms(timing.call, d->cancel_fd);
	struct link l = LINK_INIT;
	int r = link_connect(&l, d->cfg.instance, u);

	if (r)
		return r;
	/* What another process says proves nothing. */
	r = l.pid == d->server.pid ? link_call(&l, msg, size, type, -1, u, ret) : -ESTALE;
	link_close(&l);
	return r;
}

static bool close_device(struct device *d)
{
	struct handoff_handle msg = {.handle = d->server.handle};
	struct handoff_reply reply;

	if (!d->server.handle || call_server(d, &msg, sizeof(msg), HANDOFF_CLOSE, &reply))
		return false;
	return !reply.head.status || reply.head.status == -ENOENT;
}

/*
 * The connection of a failed OPEN has ended, and hbad lives. Connections are one thread's business over there, so once
 * it takes a later one and answers, it is done with the end of the earlier one, and with letting go of the device.
 */
static bool passed_by(struct device *d)
{
	struct handoff_check msg = {.cfgstring = ""};
	struct handoff_reply reply;

	strcpy(msg.cfgstring, d->cfg.text);
	return !call_server(d, &msg, sizeof(msg), HANDOFF_CHECK, &reply);
}

static bool dies(struct device *d, unsigned ms)
{
	return !proc_wait(d->server.pidfd, until_ms(ms, d->cancel_fd));
}

static bool canceled(const struct device *d)
{
	return until_slept(until_ms(0, d->cancel_fd)) == -ECANCELED;
}

/* Not when it is only us who do not want to wait any longer. */
static bool kill_server(struct device *d)
{
	if (canceled(d))
		return false;
	hlog_err("hbad@%s (process %d) does not say what became of %s, and may hold its ring: it is killed",
		d->cfg.instance, (int)d->server.pid, d->cfg.text);
	proc_kill(d->server.pidfd, d->server.pid);
	d->killed_ns = clock_ns();
	return dies(d, timing.killed);
}

int device_resize(struct device *d, uint64_t blocks, struct err *e)
{
	struct handoff_resize msg = {.handle = d->server.handle, .blocks = blocks};
	struct handoff_reply reply;
	int r;

	if (!device_served(d) || !d->server.handle)
		return err_set(
			e, -EAGAIN, "hbad@%s does not serve it now: try again when it does", d->cfg.instance);
	r = call_server(d, &msg, sizeof(msg), HANDOFF_RESIZE, &reply);
	if (r)
		return err_set(e, r, "hbad@%s did not say whether it took the new size: %s", d->cfg.instance,
			link_error(r));
	if (reply.head.status < 0)
		return err_set(e, reply.head.status, "%s", reply.reason);
	d->blocks = blocks;
	return 0;
}

bool device_take_back(struct device *d)
{
	if (!device_served(d))
		return true;
	if (!close_device(d) && !proc_dead(d->server.pidfd))
		return false;
	unclaim(d);
	return true;
}

static bool settle_prepared(struct device *d)
{
	bool gone = d->known || close_device(d) || proc_dead(d->server.pidfd);

	/* Not consuming, so the gate may be guarded; but if it is not gone, the create must not fail. */
	unclaim(d);
	return gone;
}

static bool settle_lost(struct device *d)
{
	/* The last step is for an hbad that is silent, or that talks nonsense about a ring it has been given. */
	bool gone = d->known || dies(d, timing.grace) || passed_by(d) || kill_server(d);

	if (gone)
		unclaim(d);
	return gone;
}

static bool settle_unsure(struct device *d)
{
	bool gone = close_device(d) || dies(d, timing.grace) || kill_server(d);

	/* Else it stays claimed: blocked without a reset, until the watcher has proven the process dead. */
	if (gone)
		unclaim(d);
	return gone;
}

bool device_settle(struct device *d, enum offer o)
{
	switch (o) {
	case OFFER_PREPARED:
		return settle_prepared(d);
	case OFFER_LOST:
		return settle_lost(d);
	case OFFER_UNSURE:
		return settle_unsure(d);
	default:
		return true;
	}
}
