/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rings on the control thread: create, start, drain, stop, destroy.
 *
 * A ring has references: its creator's until front_destroy(), the loop's while the ring is in it, one for all
 * orphans together, and one for each call on its way to the I/O thread. So an I/O thread that answers too
 * late finds everything still there.
 */
#include "priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define CALL_MS	     5000 /* for the I/O thread to answer */
#define POLL_MS	     1
#define DRAIN_MIN_MS 100u
#define MIN_EXACT_S  4 /* shorter cmd_time_outs leave no room for a margin of 2 s */

void front_get(struct front_ring *r)
{
	atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
}

void front_put(struct front_ring *r)
{
	/* Whoever frees sees everything that others did before they let go. */
	if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) > 1)
		return;
	if (r->ring.map)
		munmap(r->ring.map, r->ring.map_len);
	hb_close(&r->fd.fd);
	slots_fini(&r->slots);
	free(r);
}

/* --- calls to the I/O thread --- */

enum call_state { CALL_WAITING, CALL_RUNNING, CALL_CANCELLED, CALL_DONE };

struct front_call {
	struct front_ring *r;
	int (*fn)(struct front_ring *r, struct err *e);
	struct err err;
	int result;
	atomic_int state;
	atomic_uint refs; /* caller and I/O thread */
};

static void call_put(struct front_call *c)
{
	if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1)
		return;
	front_put(c->r);
	free(c);
}

static void call_run(void *arg)
{
	struct front_call *c = arg;
	int waiting = CALL_WAITING;

	if (atomic_compare_exchange_strong(&c->state, &waiting, CALL_RUNNING)) {
		c->result = c->fn(c->r, &c->err);
		/* Release: the caller that sees it sees the result, and what was done to the ring. */
		atomic_store_explicit(&c->state, CALL_DONE, memory_order_release);
	}
	call_put(c);
}

/* Runs fn on the I/O thread. -ETIMEDOUT: no answer in time; fn runs later. With ret_ran: it does not, unless
 * it had begun; *ret_ran tells. */
static int call_io(struct front_ring *r, int (*fn)(struct front_ring *r, struct err *e), unsigned timeout_ms,
	bool *ret_ran, struct err *e)
{
	struct front_call *c = calloc(1, sizeof(*c));
	int waiting = CALL_WAITING, ret;
	bool ran = true;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->r = r;
	c->fn = fn;
	atomic_init(&c->state, CALL_WAITING);
	atomic_init(&c->refs, 2);
	front_get(r);
	ret = loop_call(r->loop, call_run, c, timeout_ms);
	if (ret == 0) {
		(void)atomic_load_explicit(&c->state, memory_order_acquire); /* pairs with call_run() */
		ret = c->result;
		if (e && ret < 0)
			*e = c->err;
	} else {
		err_set(e, ret, "the I/O thread of %s does not answer; see whether its controller is stuck",
			r->name);
		if (ret_ran)
			ran = !atomic_compare_exchange_strong(&c->state, &waiting, CALL_CANCELLED);
		if (ret != -ETIMEDOUT)
			call_put(c); /* the call never left */
	}
	if (ret_ran)
		*ret_ran = ran;
	call_put(c);
	return ret;
}

static int do_start(struct front_ring *r, struct err *e)
{
	return front_io_start(r, e);
}

static int do_leave(struct front_ring *r, struct err *e)
{
	int ret = front_io_leave(r);

	return ret < 0 ? err_set(e, ret, "the ring of %s is not served any more", r->name) : ret;
}

static int do_join(struct front_ring *r, struct err *e)
{
	int ret = front_io_join(r);

	return ret < 0 ? err_set(e, ret, "the ring of %s is not served any more", r->name) : 0;
}

static int do_drain(struct front_ring *r, struct err *e)
{
	return front_io_drain(r);
}

static int do_quiet(struct front_ring *r, struct err *e)
{
	front_io_quiet(r);
	return 0;
}

static int do_stop(struct front_ring *r, struct err *e)
{
	return front_io_stop(r);
}

/* --- create --- */

static uint64_t age_bound(uint32_t cmd_time_out_s)
{
	if (cmd_time_out_s < MIN_EXACT_S)
		return cmd_time_out_s * NS_PER_SEC / 2;
	return (cmd_time_out_s - 2) * NS_PER_SEC;
}

static int map_ring(struct front_ring *r, const struct front_config *cfg, struct err *e)
{
	void *map = r->os->map(cfg->uio_fd, cfg->map_len, cfg->map_offset);
	int ret = -errno;

	if (map) {
		ret = ring_attach(&r->ring, map, cfg->map_len, e);
		if (ret < 0)
			munmap(map, cfg->map_len);
		return ret;
	}
	if (ret == -EAGAIN || ret == -ENOMEM)
		return err_set(e, ret,
			"the ring of %s (%llu MiB) cannot be mapped: %s; raise LimitMEMLOCK= of the service "
			"to infinity",
			r->name, (unsigned long long)(cfg->map_len >> 20), strerror(-ret));
	return err_set(e, ret, "the ring of %s cannot be mapped (%llu bytes at %llu): %s", r->name,
		(unsigned long long)cfg->map_len, (unsigned long long)cfg->map_offset, strerror(-ret));
}

/* read() must never block the I/O thread; the flag is shared with the descriptors of other processes, where
 * it is set already if tcmu-runner opened the device. */
static int prepare_fd(const struct front_ring *r, int fd, struct err *e)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_set(
			e, -errno, "the uio descriptor of %s cannot be used: %s", r->name, strerror(errno));
	return 0;
}

int front_create_os(
	const struct front_config *cfg, const struct front_os *os, struct front_ring **ret, struct err *e)
{
	struct front_ring *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	r->os = os;
	r->lun = cfg->lun;
	r->loop = cfg->loop;
	r->age_bound_ns = age_bound(cfg->cmd_time_out_s);
	r->grace_ns = cfg->abort_after_ms * NS_PER_MS;
	snprintf(r->name, sizeof(r->name), "%s", cfg->name);
	atomic_init(&r->refs, 1);
	list_init(&r->taken);
	list_init(&r->done);
	r->fd.fd = -1;
	err = prepare_fd(r, cfg->uio_fd, e);
	if (err == 0)
		err = map_ring(r, cfg, e);
	if (err == 0) {
		err = slots_init(&r->slots, r->ring.map_len - r->ring.data_off);
		if (err < 0)
			err_set(e, err, "out of memory for the command slots of %s", r->name);
	}
	if (err < 0) {
		front_put(r);
		return err;
	}
	r->fd.fd = cfg->uio_fd;
	*ret = r;
	return 0;
}

int front_create(const struct front_config *cfg, struct front_ring **ret, struct err *e)
{
	return front_create_os(cfg, &front_os_uio, ret, e);
}

/* --- the rest of a life --- */

int front_start(struct front_ring *r, struct err *e)
{
	if (r->in_loop)
		return err_set(e, -EALREADY, "the ring of %s was started before", r->name);
	return call_io(r, do_start, CALL_MS, &r->in_loop, e);
}

int front_settle(struct front_ring *r, unsigned lane, const char *naa, struct err *e)
{
	struct loop *was = r->loop;
	bool ran;
	int ret = call_io(r, do_leave, CALL_MS, &ran, e);

	/* Also when it goes on leaving at this moment: the next call finds it out. */
	if (ret < 0)
		return ret;
	/* A call before this one has settled it after all, on the lane that was chosen then. */
	if (ret > 0)
		return 0;
	r->lane = lane;
	snprintf(r->unit, sizeof(r->unit), "%s", naa);
	r->loop = scsi_lane_loop(r->lun, lane);
	ret = call_io(r, do_join, CALL_MS, &ran, e);
	/* On its way it is still the old thread's: that one need not hang too. */
	if (ret < 0 && !ran)
		r->loop = was;
	return ret;
}

int front_drain(struct front_ring *r, unsigned timeout_ms)
{
	const uint64_t due = clock_ns() + timeout_ms * NS_PER_MS;
	int ret;

	while ((ret = call_io(r, do_drain, MAX(timeout_ms, DRAIN_MIN_MS), NULL, NULL)) == -EAGAIN) {
		if (clock_ns() >= due)
			return -ETIMEDOUT;
		clock_sleep_ms(POLL_MS);
	}
	return ret;
}

/* Takes the ring off the I/O thread. Returns the number of orphans. */
static int stop_io(struct front_ring *r, unsigned timeout_ms)
{
	const uint64_t due = clock_ns() + timeout_ms * NS_PER_MS;
	int ret = call_io(r, do_quiet, CALL_MS, NULL, NULL);

	if (ret == 0) {
		while (front_outstanding(r) && clock_ns() < due)
			clock_sleep_ms(POLL_MS);
		ret = call_io(r, do_stop, CALL_MS, NULL, NULL);
	} else if (ret == -ETIMEDOUT && !r->stop_posted) {
		call_io(r, do_stop, 0, NULL, NULL);
	}
	if (ret == -ETIMEDOUT)
		r->stop_posted = true; /* it lets go when it comes back to life */
	return ret;
}

int front_stop(struct front_ring *r, unsigned timeout_ms)
{
	int ret;

	if (!r->in_loop)
		return (int)front_outstanding(r);
	ret = stop_io(r, timeout_ms);
	if (ret < 0)
		return ret;
	r->in_loop = false;
	/* Nobody uses it any more; unmapping a large area takes too long for the I/O thread. */
	if (ret == 0 && r->ring.map) {
		munmap(r->ring.map, r->ring.map_len);
		r->ring.map = NULL;
	}
	return ret;
}

unsigned front_outstanding(const struct front_ring *r)
{
	return atomic_load_explicit(&r->outstanding, memory_order_acquire);
}

void front_destroy(struct front_ring *r)
{
	if (!r)
		return;
	if (r->in_loop && (r->stop_posted || front_stop(r, 0) < 0))
		log_err("%s: the I/O thread does not let go of the ring; its memory stays", r->name);
	front_put(r);
}

bool front_dropped(const struct front_ring *r, const char **ret_reason)
{
	const char *why = atomic_load(&r->dropped);

	if (why && ret_reason)
		*ret_reason = why;
	return why;
}

void front_get_stats(const struct front_ring *r, struct front_stats *ret)
{
	*ret = (struct front_stats){
		.commands = atomic_load_explicit(&r->commands, memory_order_relaxed),
		.completions = atomic_load_explicit(&r->completions, memory_order_relaxed),
		.batches = atomic_load_explicit(&r->batches, memory_order_relaxed),
		.tmrs = atomic_load_explicit(&r->tmrs, memory_order_relaxed),
		.aged = atomic_load_explicit(&r->aged, memory_order_relaxed),
		.residuals = atomic_load_explicit(&r->residuals, memory_order_relaxed),
		.invalid = atomic_load_explicit(&r->invalid, memory_order_relaxed),
		.outstanding = front_outstanding(r),
	};
}
