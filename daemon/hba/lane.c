/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lanes: their places in their loops, and what the first one does to the others.
 *
 * Rounds. What the driver has to do for the whole controller it does on the first lane's thread while all others are
 * halted: that is a state of theirs, nobody sleeps. A halted lane serves its loop, takes requests (and holds them) and
 * may be stopped or asked anything, but it does not call the driver. One round is under way at a time: a message to all
 * others, and one back when all have had it. A thread that does not answer holds the round up for ever: it may be in the
 * middle of whatever it does to the controller. Its heartbeat tells those who watch the process.
 *
 * Leaving. Others first, then the first lane, which makes the controller quiet if anything is there; then the others end
 * what they have. Messages between lanes arrive in the order in which they were sent, so behind these calls there are none.
 */
#include "core.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"

#define ROUND_LATE_NS (5 * NS_PER_SEC)
#define SILENT_NS     (3 * NS_PER_SEC) /* a loop beats each second */

static struct hba_lane *first(struct hba *h)
{
	return &h->core->lane[0];
}

/* --- what they tell the first one --- */

static void on_trouble(struct loop_msg *m)
{
	struct hba_lane *l = container_of(m, struct hba_lane, trouble);
	int error = l->trouble_error;
	const char *why = l->trouble_why;

	/* Release: the lane may write its trouble again. */
	__atomic_store_n(&l->trouble_posted, false, __ATOMIC_RELEASE);
	if (!l->h->core->round.over)
		lane_trouble(first(l->h), error, why);
}

void lane_trouble(struct hba_lane *l, int error, const char *why)
{
	if (!l->n && error == -ENODEV) {
		recover_give_up(l->h, HBA_REMOVED, why);
	} else if (!l->n) {
		hba_fault(l->h, why);
	} else if (!__atomic_exchange_n(&l->trouble_posted, true, __ATOMIC_ACQUIRE)) {
		l->trouble.cb = on_trouble;
		l->trouble_error = error;
		l->trouble_why = why;
		loop_post(l->h->loop, &l->trouble);
	}
}

/* --- rounds --- */

static void begin_round(struct hba *h);

/* Its last answers are taken: what they have answered need not run again. */
static void halt(struct hba_lane *l)
{
	if (l->state != HBA_RUNNING)
		return;
	l->state = HBA_RESETTING;
	l->h->ops->poll_lane(l->h, l->n);
}

static void go(struct hba_lane *l, enum hba_state to)
{
	l->state = to;
	l->news = true;
	if (to == HBA_RUNNING)
		recover_resume(l);
	else
		recover_end_all(l);
}

static void round_fn(struct loop_all *all, unsigned n)
{
	struct hba_core *c = container_of(all, struct hba_core, round.all);
	struct hba_lane *l = &c->lane[n + 1];

	if (!l->hook.link.next) /* it has left */
		return;
	if (c->round.now == ROUND_HALT)
		halt(l);
	else
		go(l, c->round.go);
}

static void round_done(struct loop_all *all)
{
	struct hba_core *c = container_of(all, struct hba_core, round.all);
	enum hba_round was = c->round.now;

	loop_disarm(&c->round.late);
	c->round.now = ROUND_NONE;
	if (c->round.over)
		return;
	if (c->round.next != ROUND_NONE)
		begin_round(c->h);
	else if (was == ROUND_HALT)
		recover_halted(c->h);
}

static void on_late(struct loop_timer *t)
{
	struct hba_core *c = container_of(t, struct hba_core, round.late);
	struct hba *h = c->h;

	for (unsigned i = 1; i < h->n_lanes; i++)
		if (loop_heartbeat_ns(c->lane[i].loop) + SILENT_NS < loop_now(h->loop))
			log_err("%s: I/O thread %u does not answer, and the controller's recovery waits for "
				"it; the service is restarted if that lasts",
				h->pci->uri, i);
	loop_arm(h->loop, t, loop_now(h->loop) + ROUND_LATE_NS);
}

static void begin_round(struct hba *h)
{
	struct hba_core *c = h->core;
	struct loop *others[HBA_MAX_LANES];

	for (unsigned i = 1; i < h->n_lanes; i++)
		others[i - 1] = c->lane[i].loop;
	c->round.now = c->round.next;
	c->round.next = ROUND_NONE;
	c->round.all.fn = round_fn;
	c->round.all.done = round_done;
	c->round.late.cb = on_late;
	loop_arm(h->loop, &c->round.late, loop_now(h->loop) + ROUND_LATE_NS);
	loop_post_all(&c->round.all, others, h->n_lanes - 1, h->loop);
}

static void want(struct hba *h, enum hba_round round)
{
	struct hba_core *c = h->core;

	/* Of two that wait the later one counts: a controller that is to be reset before its lanes went on. */
	c->round.next = round;
	if (c->round.now == ROUND_NONE)
		begin_round(h);
}

void lanes_halt(struct hba *h)
{
	struct hba_core *c = h->core;

	if (h->n_lanes == 1 || c->round.over)
		recover_halted(h);
	else if (c->round.now != ROUND_HALT)
		want(h, ROUND_HALT);
	/* else: the round that is under way halts them for this, too */
}

void lanes_go(struct hba *h, enum hba_state to)
{
	struct hba_core *c = h->core;

	if (h->n_lanes == 1 || c->round.over)
		return;
	c->round.go = to;
	want(h, ROUND_GO);
}

/* --- in the loop --- */

static void on_irq(struct loop_fd *f, uint32_t events)
{
	struct hba_lane *l = container_of(f, struct hba_lane, irq);
	uint64_t count;

	if (read(f->fd, &count, sizeof(count)) != sizeof(count))
		return;
	stat_inc(&l->stats.interrupts);
	if (l->state == HBA_RUNNING)
		recover_poll(l);
}

/* Once per iteration: ends, news for the layer above, one doorbell for all that was submitted. */
static bool on_hook(struct loop_hook *hook)
{
	struct hba_lane *l = container_of(hook, struct hba_lane, hook);
	struct hba *h = l->h;
	const struct hba_listener *who = &h->listener[l->n];
	bool progress;

	if (l->abort_wanted && l->state == HBA_RUNNING)
		recover_abort_more(l);
	progress = requests_finish(l);
	if (l->news) {
		l->news = l->slot_wanted = false;
		if (!l->n)
			progress |= runs_retry(h);
		if (who->ready) {
			who->ready(who->user);
			progress = true;
		}
	}
	if (l->rung && l->state == HBA_RUNNING) {
		l->rung = false;
		if (h->ops->ring_doorbell)
			h->ops->ring_doorbell(h, l->n);
	}
	return progress;
}

static int watch(struct hba_lane *l)
{
	struct hba_core *c = l->h->core;
	int r;

	l->irq.fd = l->irq_fd;
	l->irq.cb = on_irq;
	r = loop_add_fd(l->loop, &l->irq, EPOLLIN);
	if (r == 0 && !l->n && c->request.fd >= 0)
		r = loop_add_fd(l->loop, &c->request, EPOLLIN);
	if (r < 0)
		loop_del_fd(l->loop, &l->irq);
	return r;
}

static void join_loop(void *arg)
{
	struct hba_lane *l = arg;

	if (__atomic_exchange_n(&l->join_over, true, __ATOMIC_ACQ_REL))
		return;
	l->join_result = watch(l);
	if (l->join_result < 0)
		return;
	l->hook.cb = on_hook;
	loop_add_hook(l->loop, &l->hook);
	l->tick.cb = recover_tick;
	loop_arm(l->loop, &l->tick, loop_now(l->loop) + l->h->core->times.tick_ms * NS_PER_MS);
	l->state = HBA_RUNNING;
	if (!l->n)
		hba_set_state(l->h, HBA_RUNNING);
}

static int join(struct hba_lane *l)
{
	int r = loop_call(l->loop, join_loop, l, HBA_IO_CALL_MS);

	/* It may still come: it will find join_over set, or has just run after all. */
	if (r == -ETIMEDOUT && !__atomic_exchange_n(&l->join_over, true, __ATOMIC_ACQ_REL))
		return r;
	return r == 0 || r == -ETIMEDOUT ? l->join_result : r;
}

/* Off its loop. What it has stays where it is. */
static void part(void *arg)
{
	struct hba_lane *l = arg;

	loop_disarm(&l->tick);
	loop_del_fd(l->loop, &l->irq);
	loop_del_hook(&l->hook);
	l->hook.link.next = NULL;
	if (l->n && l->state == HBA_RUNNING)
		l->state = HBA_RESETTING;
}

static bool is_quieting(const struct hba_core *c)
{
	return __atomic_load_n(&c->quieting, __ATOMIC_RELAXED);
}

/* Here, because done() of a run takes it out of both numbers. */
static void count_others(void *arg)
{
	struct hba_lane *l = arg;

	l->h->core->others = hba_inflight(l->h) - l->h->core->last_runs;
}

static void part_first(void *arg)
{
	struct hba_lane *l = arg;
	struct hba *h = l->h;
	struct hba_core *c = h->core;

	if (!c->round.over) {
		c->left = hba_inflight(h);
		count_others(l);
		c->left_beside = c->others;
	}
	c->round.over = true;
	loop_disarm(&c->round.late);
	if (c->left > 0 && (c->state == HBA_RUNNING || c->state == HBA_RESETTING))
		recover_give_up(h, HBA_FAILED, "stopped with requests at the controller");
	else if ((h->n_lanes > 1 && c->left > 0) || is_quieting(c))
		recover_halted(h); /* which had been put off until all others are, or until it is quiet */
	/* Whoever called comes again: see leave_first(). */
	if (is_quieting(c))
		return;
	loop_disarm(&c->reset);
	loop_del_fd(l->loop, &c->request);
	part(l);
	if (c->state == HBA_RESETTING)
		hba_set_state(h, HBA_FAILED);
	requests_finish(l);
	runs_cancel(h);
}

/* After the first one: nothing is at the controller, or it is quiet. */
static void end_rest(void *arg)
{
	struct hba_lane *l = arg;
	enum hba_state state = hba_state(l->h);

	/* Who is told of what ends here asks why. */
	if (state == HBA_FAILED || state == HBA_REMOVED)
		l->state = state;
	recover_end_all(l);
	requests_finish(l);
}

static void nothing(void *arg)
{
}

/* On the lane's thread; here, when that has left the loop. -ETIMEDOUT: it is in the loop and does not answer, so it may
 * still come to fn, and nothing that it uses may be touched. */
static int on_io_thread(struct hba_lane *l, void (*fn)(void *arg))
{
	int r = 0;

	if (!loop_is_running(l->loop)) {
		fn(l);
		return 0;
	}
	r = loop_call(l->loop, fn, l, HBA_IO_CALL_MS);
	if (r == 0)
		return 0;
	if (r == -ETIMEDOUT && loop_is_running(l->loop))
		return r;
	/* It has left meanwhile, and the call is still queued: run it, before h is gone. */
	if (r == -ETIMEDOUT)
		loop_once(l->loop, 0);
	else if (r == -ENOMEM)
		return r;
	return 0;
}

unsigned lanes_others(struct hba *h)
{
	return on_io_thread(first(h), count_others) == 0 ? h->core->others : hba_inflight(h);
}

static int call_others(struct hba *h, void (*fn)(void *lane))
{
	int r = 0;

	for (unsigned i = 1; i < h->n_lanes && r == 0; i++)
		r = on_io_thread(&h->core->lane[i], fn);
	return r;
}

int lanes_call(struct hba *h, void (*fn)(void *lane))
{
	int r = on_io_thread(first(h), fn);

	return r == 0 ? call_others(h, fn) : r;
}

int lanes_join(struct hba *h)
{
	int r = 0;

	/* The first one last: with it the controller is said to run. */
	for (unsigned i = h->n_lanes; i-- && r == 0;)
		r = join(&h->core->lane[i]);
	if (r == 0 || r == -ETIMEDOUT)
		return r;
	/* Behind that, what those that had joined have sent to the first one, and what came back. Whatever kept one from being
	 * asked (there may be no memory for it), it may still use what the caller would free. */
	return call_others(h, part) || lanes_call(h, nothing) ? -ETIMEDOUT : r;
}

/* Its requests end when the controller is quiet, which may take a reset of the function: as long as that has, at most. Whether
 * it has parted is asked, and not whether it is quiet: that may be true a moment after part_first() has put off its end. */
static int leave_first(struct hba *h)
{
	struct hba_lane *l = first(h);
	int r;

	while ((r = on_io_thread(l, part_first)) == 0 && l->hook.link.next)
		clock_sleep_ms(QUIET_LOOK_MS);
	return r;
}

int lanes_leave(struct hba *h)
{
	int r = call_others(h, part);

	if (r == 0)
		r = leave_first(h);
	if (r == 0)
		r = call_others(h, end_rest);
	/* What they have sent to the first one, and to each other, until then. */
	if (r == 0 && h->n_lanes > 1)
		r = lanes_call(h, nothing);
	return r;
}

/* --- making them --- */

static int make(struct hba *h, unsigned n, struct loop *loop)
{
	struct hba_lane *l = &h->core->lane[n];

	*l = (struct hba_lane){.h = h, .n = n, .loop = loop};
	list_init(&l->flight);
	list_init(&l->held);
	list_init(&l->ending);
	l->irq_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return l->irq_fd < 0 ? -errno : 0;
}

int lanes_create(struct hba *h, struct loop *loop, const struct hba_config *cfg)
{
	unsigned n = h->ops->poll_lane ? 1 + MIN(cfg->n_more_loops, HBA_MAX_LANES - 1u) : 1;
	int r = 0;

	/* Of few requests each would have fewer, or none, and the first one's are also those of set-up and stop. */
	if (cfg->queue_depth)
		n = MIN(n, MAX(cfg->queue_depth / HBA_LANE_SLOTS, 1u));
	h->loop = loop;
	h->core->h = h;
	list_init(&h->core->runs);
	while (h->n_lanes < n && r == 0) {
		r = make(h, h->n_lanes, h->n_lanes ? cfg->more_loops[h->n_lanes - 1] : loop);
		h->n_lanes += r == 0;
	}
	h->irq_fd = h->core->lane[0].irq_fd;
	if (r < 0)
		lanes_destroy(h);
	return r;
}

void lanes_destroy(struct hba *h)
{
	/* Also those that the driver did not want. */
	for (unsigned i = 0; i < HBA_MAX_LANES; i++)
		if (h->core->lane[i].h)
			hb_close(&h->core->lane[i].irq_fd);
}

void hba_lane_fault(struct hba *h, unsigned lane, const char *why)
{
	lane_trouble(&h->core->lane[lane], -EIO, why);
}

enum hba_state hba_lane_state(const struct hba *h, unsigned lane)
{
	return h->core->lane[lane].state;
}

bool hba_lane_runs(const struct hba *h, unsigned lane)
{
	return hba_lane_state(h, lane) == HBA_RUNNING;
}

struct loop *hba_lane_loop(const struct hba *h, unsigned lane)
{
	return h->core->lane[lane].loop;
}

int hba_lane_irq_fd(const struct hba *h, unsigned lane)
{
	return h->core->lane[lane].irq_fd;
}

/* Who says that he wants one just behind this look finds it by his tick. */
void hba_abort_room(const struct hba *h)
{
	for (unsigned i = 0; i < h->n_lanes; i++)
		if (__atomic_load_n(&h->core->lane[i].abort_wanted, __ATOMIC_RELAXED))
			hba_lane_wake(h, i);
}

void hba_lane_wake(const struct hba *h, unsigned lane)
{
	uint64_t one = 1;

	/* It fails only when the counter is full: then it is readable anyhow. */
	if (write(hba_lane_irq_fd(h, lane), &one, sizeof(one)) < 0)
		return;
}
