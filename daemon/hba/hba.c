/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Set-up ladder of a controller, and its place in the loop. */
#include "core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* --- open --- */

static const struct hba_match *find_match(const struct pci_id *id, const struct hba_ops **ret_ops)
{
	for (unsigned i = 0; hba_drivers[i]; i++)
		for (const struct hba_match *m = hba_drivers[i]->match; m->vendor; m++)
			if (m->vendor == id->vendor && m->device == id->device) {
				*ret_ops = hba_drivers[i];
				return m;
			}
	return NULL;
}

static int no_driver(const struct pci_dev *pci, struct err *e)
{
	char known[320] = "";
	size_t at = 0;
	const char *last = "";

	for (unsigned i = 0; hba_drivers[i]; i++)
		for (const struct hba_match *m = hba_drivers[i]->match; m->vendor; m++) {
			/* Ids of one family stand together and share the name. */
			if (m->name != last && at < sizeof(known))
				at += (size_t)snprintf(
					known + at, sizeof(known) - at, "%s%s", at ? ", " : "", m->name);
			last = m->name;
		}
	return err_set(e, -ENOTSUP, "%s: no driver for PCI id %04x:%04x; supported are %s", pci->uri,
		pci->id.vendor, pci->id.device, known);
}

int hba_create(
	struct pci_dev *pci, const struct hba_config *cfg, struct loop *loop, struct hba **ret, struct err *e)
{
	const struct hba_ops *ops = NULL;
	const struct hba_match *m = find_match(&pci->id, &ops);
	struct hba *h;
	int r;

	if (!m)
		return no_driver(pci, e);
	h = calloc(1, sizeof(*h));
	if (!h)
		return err_set(e, -ENOMEM, "out of memory");
	h->ops = ops;
	h->pci = pci;
	h->core = calloc(1, sizeof(*h->core));
	if (!h->core || lanes_create(h, loop, cfg) < 0) {
		free(h->core);
		free(h);
		return err_set(e, -ENOMEM, "%s: out of memory or descriptors", pci->uri);
	}
	r = pci_resetter_start(pci, &h->core->resetter, e);
	if (r < 0) {
		lanes_destroy(h);
		free(h->core);
		free(h);
		return r;
	}
	dma_space_init(&h->space, pci);
	h->core->times = (struct hba_times){
		.tick_ms = 500,
		.abort_ms = 10000,
		.reset_ms = 120000,
		.function_ms = 90000,
		.flush_ms = 60000,
		.cache_ms = 180000,
		.stop_ms = HBA_STOP_MS,
		.shutdown_ms = 60000,
		.again_ms = 60000, /* so flushes have two minutes: more than a drive's takes with its abort */
		.pause_ms = 1000,
		.pause_max_ms = 30000,
		.calm_ms = 30000,
	};
	h->core->match = m;
	h->core->depth_cap = cfg->queue_depth;
	h->core->bounce_bytes = cfg->bounce_bytes ? cfg->bounce_bytes : HBA_BOUNCE_BYTES;
	*ret = h;
	return 0;
}

/* A disk that is full costs the capture, as it does later, and not what the controller is there for. */
static int capture(const char *path, struct pci_dev **pci, struct err *e)
{
	struct err why = {""};
	int r = pci_capture(*pci, path, pci, &why);

	if (r != -ENOSPC && r != -EDQUOT && r != -EFBIG)
		return r < 0 ? err_set(e, r, "%s", why.text) : 0;
	log_warn("%s: %s; there is no capture this time", (*pci)->uri, why.text);
	return 0;
}

int hba_open(const struct hba_config *cfg, struct loop *loop, struct hba **ret, struct err *e)
{
	struct pci_dev *pci;
	int r = pci_open(cfg->uri, &pci, e);

	if (r < 0)
		return r;
	if (cfg->capture)
		r = capture(cfg->capture, &pci, e);
	if (r == 0)
		r = hba_create(pci, cfg, loop, ret, e);
	if (r < 0)
		pci_close(pci);
	return r;
}

int hba_import(const struct hba_config *cfg, const struct pci_descriptors *d, struct loop *loop,
	struct hba **ret, struct err *e)
{
	struct pci_dev *pci;
	int r = pci_import(cfg->uri, d, &pci, e);

	if (r < 0)
		return r;
	r = hba_create(pci, cfg, loop, ret, e);
	if (r < 0)
		pci_close(pci);
	return r;
}

/* --- attach --- */

static int check_limits(const struct hba *h, struct err *e)
{
	const struct hba_limits *l = &h->limits;

	if (!l->max_segments || !l->max_segment_bytes || !l->max_transfer || !l->queue_depth ||
		!l->control_addr_max || !l->data_addr_max || !l->data_align || !l->max_cdb ||
		l->max_cdb > HBA_MAX_CDB)
		return err_set(e, -EIO, "%s: the %s driver left a limit open", h->pci->uri, h->ops->name);
	return 0;
}

/* The driver is attached. */
static int attach_core(struct hba *h, struct err *e)
{
	struct hba_core *c = h->core;
	int r = check_limits(h, e);

	if (r == 0) {
		if (c->depth_cap)
			h->limits.queue_depth = MIN(h->limits.queue_depth, c->depth_cap);
		r = requests_init(h, e);
	}
	if (r < 0) {
		if (hba_make_quiet(h) == 0) {
			h->ops->detach(h);
			requests_fini(h);
		}
		return r;
	}
	recover_init(h);
	c->attached = true;
	return 0;
}

int hba_attach(struct hba *h, struct err *e)
{
	int r = h->ops->attach(h, h->core->match, e);

	return r < 0 ? err_prefix(e, r, "%s", h->pci->uri) : attach_core(h, e);
}

static bool same_id(const struct pci_id *a, const struct pci_id *b)
{
	return a->vendor == b->vendor && a->device == b->device && a->subvendor == b->subvendor &&
	       a->subdevice == b->subdevice && a->class_code == b->class_code && a->revision == b->revision;
}

static int adopt_driver(struct hba *h, struct hba_frozen *f, struct err *e)
{
	int r;

	if (!h->ops->adopt || strcmp(h->ops->name, f->driver) != 0)
		return err_set(e, -ENOTSUP, "it was left by the driver %s, and %s has it now", f->driver,
			h->ops->name);
	if (!same_id(&h->pci->id, &f->id))
		return err_set(e, -EEXIST, "another device is in its place");
	if (f->n_arenas > HBA_FROZEN_ARENAS || f->n_bytes > HBA_FROZEN_BYTES)
		return err_set(e, -EINVAL, "more was left than there can be");
	r = h->ops->adopt(h, h->core->match, f, e);
	if (r < 0 && hba_make_quiet(h) == 0)
		h->ops->detach(h);
	return r;
}

int hba_adopt(struct hba *h, struct hba_frozen *f, struct err *e)
{
	int r = adopt_driver(h, f, e);

	for (unsigned i = 0; i < MIN(f->n_arenas, (unsigned)HBA_FROZEN_ARENAS); i++)
		hb_close(&f->arena[i].memfd);
	return r < 0 ? err_prefix(e, r, "%s", h->pci->uri) : attach_core(h, e);
}

/* --- start and stop --- */

int hba_start(struct hba *h, struct err *e)
{
	struct hba_core *c = h->core;
	int r;

	__atomic_store_n(&h->stop_until_ns, 0, __ATOMIC_RELAXED);
	r = h->ops->start(h, e);
	if (r == 0)
		r = check_limits(h, e);
	if (r < 0) {
		hba_make_quiet(h);
		return err_prefix(e, r, "%s", h->pci->uri);
	}
	r = lanes_join(h);
	/* After a time-out hba_stop() has to wait behind what may still come. */
	c->on_loop = c->up = r == 0 || r == -ETIMEDOUT;
	if (r == 0)
		return 0;
	hba_make_quiet(h);
	if (r == -ETIMEDOUT)
		return err_set(e, r, "%s: the I/O thread does not answer", h->pci->uri);
	return err_set(e, r, "%s: its interrupt cannot be watched: %s", h->pci->uri, strerror(-r));
}

static void set_draining(void *arg)
{
	struct hba_lane *l = arg;

	l->draining = true;
}

int hba_drain(struct hba *h, unsigned timeout_ms)
{
	uint64_t until = clock_ns() + timeout_ms * NS_PER_MS;
	int r;

	if (!h->core->on_loop)
		return 0;
	hba_hasten(h);
	r = lanes_call(h, set_draining);
	if (r < 0)
		return r;
	while (hba_inflight(h) > 0) {
		if (clock_ns() >= until)
			return -ETIMEDOUT;
		clock_sleep_ms(5);
	}
	return 0;
}

/* A controller in the middle of a reset cannot write its cache out, and may lose it when it loses power next: it gets
 * the time to come back. */
static void await_reset(const struct hba *h)
{
	uint64_t until = MIN(clock_ns() + h->core->times.reset_ms * NS_PER_MS, last_flush_until(h));

	while (hba_state(h) == HBA_RESETTING && loop_is_running(h->loop) && clock_ns() < until)
		clock_sleep_ms(5);
}

/* Beside requests that do not come back there is no orderly shutdown, but what has been acknowledged must not be lost: flushes
 * go past them. One that does come back meanwhile may be a write that was acknowledged behind its unit's flush; a flush of ours
 * that does not come back is none of them. */
static int flush_beside(struct hba *h)
{
	uint64_t until = clock_ns() + h->core->times.flush_ms * NS_PER_MS;
	unsigned left;
	int r;

	h->core->flushed_beside = true;
	log_warn("%s: %u requests do not come back; the units are flushed beside them", h->pci->uri,
		lanes_others(h));
	for (unsigned again = 0;; again++) {
		h->core->beside = lanes_others(h);
		r = last_flush(h, true);
		left = lanes_others(h);
		if (!hba_inflight(h) || left == h->core->beside || again == FLUSHES_BESIDE ||
			clock_ns() >= until)
			return r;
	}
}

/* Nobody runs requests of a loop whose thread has ended or hangs. */
static bool is_served(struct hba *h)
{
	return loop_is_running(h->loop) && lanes_call(h, set_draining) == 0;
}

/* What is left to be done while requests are still served. 0: all units were asked. Negative: one has failed, or not all were
 * asked; -ENODEV also when the rest is the shutdown's. */
static int flush_last(struct hba *h)
{
	enum hba_state state = hba_state(h);
	int r;

	last_flush_void(h, true);
	/* What waits for a lost controller to be quiet is nothing to flush beside. */
	if (state == HBA_FAILED || state == HBA_REMOVED)
		return -ENODEV;
	hba_drain(h, HBA_IO_CALL_MS);
	if (!is_served(h))
		return -ENODEV;
	if (hba_inflight(h) > 0) {
		r = flush_beside(h);
		if (hba_inflight(h) > 0)
			return r;
		/* All came back, some perhaps behind the flush of their unit: this is an ordinary stop again. */
		h->core->flushed_beside = false;
		last_flush_void(h, true);
	}
	r = hba_state(h) == HBA_RUNNING ? last_flush(h, false) : -ENODEV;
	/* One that hangs beyond its time keeps the controller from its shutdown. */
	return hba_inflight(h) > 0 ? r : -ENODEV;
}

/* Off the loop. 0: the units were flushed beside requests that did not come back. -ENODEV: there were none, or nobody
 * could be asked. -ETIMEDOUT, and stuck: it stays there, and so does everything else. */
static int get_off_loop(struct hba *h)
{
	struct hba_core *c = h->core;
	int r;

	await_reset(h);
	r = flush_last(h);
	if (lanes_leave(h) < 0) {
		log_err("%s: the I/O thread does not answer; its controller is left as it is until the "
			"process ends",
			h->pci->uri);
		c->stuck = true;
		last_flush_void(h, true);
		return -ETIMEDOUT;
	}
	c->on_loop = false;
	if (!c->flushed_beside || c->left_beside == c->beside)
		return r;
	log_err("%s: requests came back behind the last flush; what they wrote may be lost", h->pci->uri);
	/* What runs on is shut down next, and that flushes the others. */
	last_flush_void(h, c->state != HBA_RUNNING);
	return -EIO;
}

/* One time limit for all of it, also of a freeze that a stop follows. */
static void begin_stop(struct hba *h)
{
	hba_hasten(h);
	if (!h->stop_until_ns)
		__atomic_store_n(
			&h->stop_until_ns, clock_ns() + h->core->times.stop_ms * NS_PER_MS, __ATOMIC_RELAXED);
}

static int shut_down(struct hba *h)
{
	struct err e = {""};
	int r = h->ops->shutdown(h, &e);

	if (r < 0) {
		log_err("%s: shutdown: %s", h->pci->uri, e.text);
		return r;
	}
	last_flush_confirmed(h);
	return last_flush_failed(h) ? -EIO : 0;
}

int hba_stop(struct hba *h)
{
	struct hba_core *c = h->core;
	int r = c->up ? -ENODEV : 0;

	if (!c->attached || c->stuck)
		return c->stuck ? -ETIMEDOUT : 0;
	begin_stop(h);
	if (c->on_loop)
		r = get_off_loop(h);
	if (c->stuck)
		return r;
	if (c->up && c->state == HBA_RUNNING)
		r = shut_down(h);
	c->up = c->frozen = false;
	if (c->state == HBA_RUNNING)
		hba_set_state(h, HBA_DOWN);
	if (hba_make_quiet(h) < 0)
		return -ETIMEDOUT;
	h->ops->detach(h);
	requests_fini(h);
	c->attached = false;
	return r;
}

void hba_close(struct hba *h)
{
	if (!h)
		return;
	hba_stop(h);
	/* A thread that may wake up at any time still uses it: the end of the process closes the device. */
	if (h->core->stuck || !pci_resetter_stop(h->core->resetter))
		return;
	pci_close(h->pci);
	lanes_destroy(h);
	free(h->core);
	free(h);
}

/* --- from one process to the next --- */

int hba_can_freeze(struct hba *h, struct err *e)
{
	struct pci_descriptors d;

	if (!h->ops->freeze)
		return err_set(e, -ENOTSUP,
			"the %s driver cannot go on with a controller that another process has started",
			h->ops->name);
	return pci_export(h->pci, &d, e);
}

/* The memory of data ends with this process. As always, the device is quiet when memory goes. */
static int take_data_away(struct hba *h)
{
	int r = pci_set_bus_master(h->pci, false);

	if (r < 0)
		return r;
	pools_fini(h);
	return pci_set_bus_master(h->pci, true);
}

int hba_freeze(struct hba *h, struct hba_frozen *ret, struct err *e)
{
	struct hba_core *c = h->core;
	int r;

	*ret = (struct hba_frozen){.id = h->pci->id};
	if (!h->ops->freeze)
		return err_set(e, -ENOTSUP, "the %s driver cannot freeze its controller", h->ops->name);
	if (!c->on_loop || c->stuck || hba_state(h) != HBA_RUNNING)
		return err_set(e, -EAGAIN, "%s: the controller does not run", h->pci->uri);
	if (hba_inflight(h) > 0)
		return err_set(e, -EBUSY, "%s: commands are at the controller", h->pci->uri);
	begin_stop(h);
	get_off_loop(h);
	if (c->stuck)
		return err_set(e, -ETIMEDOUT, "%s: the I/O thread does not answer", h->pci->uri);
	/* A fault may have been noticed until here. */
	if (c->state != HBA_RUNNING)
		return err_set(e, -EIO, "%s: the controller has failed meanwhile", h->pci->uri);
	r = h->ops->freeze(h, ret, e);
	if (r < 0)
		return err_prefix(e, r, "%s", h->pci->uri);
	last_flush_confirmed(h);
	snprintf(ret->driver, sizeof(ret->driver), "%s", h->ops->name);
	r = take_data_away(h);
	if (r < 0)
		return err_set(e, r, "%s: bus mastering cannot be switched: %s", h->pci->uri, strerror(-r));
	c->frozen = true;
	return 0;
}

struct pci_dev *hba_leave(struct hba *h)
{
	struct pci_dev *pci = h->pci;

	assert(h->core->frozen);
	/* There is none under way: the controller ran. */
	pci_resetter_stop(h->core->resetter);
	h->ops->leave(h);
	requests_fini(h);
	lanes_destroy(h);
	free(h->core);
	free(h);
	return pci;
}

/* --- state --- */

void hba_set_state(struct hba *h, enum hba_state state)
{
	/* Release: who sees RUNNING sees units and limits. */
	__atomic_store_n(&h->core->state, state, __ATOMIC_RELEASE);
	h->core->lane[0].state = state;
	h->core->lane[0].news = true;
}

enum hba_state hba_state(const struct hba *h)
{
	return __atomic_load_n(&h->core->state, __ATOMIC_ACQUIRE);
}

unsigned hba_lane_inflight(const struct hba *h, unsigned lane)
{
	return __atomic_load_n(&h->core->lane[lane].accepted, __ATOMIC_RELAXED);
}

unsigned hba_inflight(const struct hba *h)
{
	unsigned n = 0;

	for (unsigned i = 0; i < h->n_lanes; i++)
		n += hba_lane_inflight(h, i);
	return n;
}

void hba_get_stats(const struct hba *h, struct hba_stats *ret)
{
	uint64_t *to = (uint64_t *)ret;

	static_assert(sizeof(*ret) % sizeof(*to) == 0, "counters only");
	memset(ret, 0, sizeof(*ret));
	for (unsigned n = 0; n < h->n_lanes; n++) {
		const uint64_t *from = (const uint64_t *)&h->core->lane[n].stats;

		for (unsigned i = 0; i < sizeof(*ret) / sizeof(*to); i++)
			to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	}
}
