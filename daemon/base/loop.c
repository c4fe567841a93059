/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event loop over epoll. */
#include "loop.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"

#define BATCH		 64
#define HOOK_ROUNDS	 32 /* a pair of hooks that feed each other must not starve the descriptors */
#define HEARTBEAT_MAX_MS 1000

struct loop {
	int epfd, wakefd;
	atomic_bool stop, running;
	_Atomic(struct loop_msg *) posted; /* newest first */
	_Atomic uint64_t heartbeat;
	uint64_t now;
	struct list timers;
	struct list hooks;
	struct epoll_event batch[BATCH];
	int batch_n, batch_at;
};

int loop_create(struct loop **ret)
{
	struct loop *l = calloc(1, sizeof(*l));
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
	int r;

	if (!l)
		return -ENOMEM;
	list_init(&l->timers);
	list_init(&l->hooks);
	l->now = clock_ns();
	atomic_store(&l->heartbeat, l->now);
	l->wakefd = -1;
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epfd < 0)
		goto fail;
	l->wakefd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->wakefd < 0 || epoll_ctl(l->epfd, EPOLL_CTL_ADD, l->wakefd, &ev) < 0)
		goto fail;
	*ret = l;
	return 0;
fail:
	r = -errno;
	loop_destroy(l);
	return r;
}

void loop_destroy(struct loop *l)
{
	if (!l)
		return;
	hb_close(&l->epfd);
	hb_close(&l->wakefd);
	free(l);
}

static void loop_wake(struct loop *l)
{
	uint64_t one = 1;

	/* EAGAIN means that a wake-up is already pending: as good. */
	if (write(l->wakefd, &one, sizeof(one)) < 0)
		return;
}

void loop_stop(struct loop *l)
{
	atomic_store(&l->stop, true);
	loop_wake(l);
}

int loop_add_fd(struct loop *l, struct loop_fd *f, uint32_t epoll_events)
{
	struct epoll_event ev = {.events = epoll_events, .data.ptr = f};

	if (f->added)
		return -EEXIST;
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, f->fd, &ev) < 0)
		return -errno;
	f->added = true;
	return 0;
}

void loop_del_fd(struct loop *l, struct loop_fd *f)
{
	if (!f->added)
		return;
	epoll_ctl(l->epfd, EPOLL_CTL_DEL, f->fd, NULL);
	f->added = false;
	/* Its owner may be freed as soon as we return: forget events of this batch not yet delivered. */
	for (int i = l->batch_at; i < l->batch_n; i++)
		if (l->batch[i].data.ptr == f)
			l->batch[i].events = 0;
}

void loop_arm(struct loop *l, struct loop_timer *t, uint64_t due_ns)
{
	if (t->link.next)
		list_remove(&t->link);
	t->due_ns = due_ns;
	list_append(&l->timers, &t->link);
}

void loop_disarm(struct loop_timer *t)
{
	if (t->link.next)
		list_remove(&t->link);
}

void loop_add_hook(struct loop *l, struct loop_hook *h)
{
	list_append(&l->hooks, &h->link);
}

void loop_del_hook(struct loop_hook *h)
{
	if (h->link.next)
		list_remove(&h->link);
}

void loop_post(struct loop *l, struct loop_msg *m)
{
	struct loop_msg *old = atomic_load_explicit(&l->posted, memory_order_relaxed);

	/* Release: what the poster wrote before is visible to the callback, which acquires below. */
	do {
		m->next = old;
	} while (!atomic_compare_exchange_weak_explicit(
		&l->posted, &old, m, memory_order_release, memory_order_relaxed));
	/* A non-empty stack has been announced already and is not yet taken. */
	if (!old)
		loop_wake(l);
}

static void all_back(struct loop_msg *m)
{
	struct loop_all *a = container_of(m, struct loop_all, back);

	a->done(a);
}

static void all_part(struct loop_msg *m)
{
	struct loop_all_part *p = container_of(m, struct loop_all_part, msg);
	struct loop_all *a = p->all;

	a->fn(a, (unsigned)(p - a->part));
	/* Acquire and release: the last one has seen, and passes on, what the others did. */
	if (__atomic_sub_fetch(&a->left, 1, __ATOMIC_ACQ_REL) == 0)
		loop_post(a->home, &a->back);
}

void loop_post_all(struct loop_all *a, struct loop *const *loops, unsigned n, struct loop *home)
{
	assert(n > 0 && n <= LOOP_ALL_MAX);
	a->home = home;
	a->back.cb = all_back;
	__atomic_store_n(&a->left, n, __ATOMIC_RELAXED);
	/* All parts before the first post: once the last one is posted, a may be somebody else's. */
	for (unsigned i = 0; i < n; i++) {
		a->part[i].all = a;
		a->part[i].msg.cb = all_part;
	}
	for (unsigned i = 0; i < n; i++)
		loop_post(loops[i], &a->part[i].msg);
}

struct call {
	struct loop_msg msg;
	void (*fn)(void *arg);
	void *arg;
	sem_t done;
	atomic_bool ran;   /* says to ThreadSanitizer, which does not know sem_clockwait(), what done says */
	atomic_int owners; /* caller and loop: the last one frees */
};

static void call_unref(struct call *c)
{
	if (atomic_fetch_sub(&c->owners, 1) == 1) {
		sem_destroy(&c->done);
		free(c);
	}
}

static void call_run(struct loop_msg *m)
{
	struct call *c = container_of(m, struct call, msg);

	c->fn(c->arg);
	atomic_store(&c->ran, true);
	sem_post(&c->done);
	call_unref(c);
}

int loop_call(struct loop *l, void (*fn)(void *arg), void *arg, unsigned timeout_ms)
{
	struct call *c = calloc(1, sizeof(*c));
	struct timespec due;
	uint64_t ns = clock_ns() + timeout_ms * NS_PER_MS;
	int r;

	if (!c)
		return -ENOMEM;
	c->msg.cb = call_run;
	c->fn = fn;
	c->arg = arg;
	atomic_init(&c->owners, 2);
	sem_init(&c->done, 0, 0);
	due.tv_sec = (time_t)(ns / NS_PER_SEC);
	due.tv_nsec = (long)(ns % NS_PER_SEC);
	loop_post(l, &c->msg);
	do {
		r = sem_clockwait(&c->done, CLOCK_MONOTONIC, &due) < 0 ? -errno : 0;
	} while (r == -EINTR);
	if (r == 0)
		assert(atomic_load(&c->ran));
	call_unref(c);
	return r;
}

static bool run_posted(struct loop *l)
{
	struct loop_msg *m = atomic_exchange_explicit(&l->posted, NULL, memory_order_acquire);
	struct loop_msg *fifo = NULL;

	if (!m)
		return false;
	while (m) {
		struct loop_msg *next = m->next;

		m->next = fifo;
		fifo = m;
		m = next;
	}
	while (fifo) {
		/* The callback may free or repost the message. */
		struct loop_msg *next = fifo->next;

		fifo->cb(fifo);
		fifo = next;
	}
	return true;
}

/* The earliest due timer, or NULL. Few timers exist per thread, so a scan is the cheapest structure. */
static struct loop_timer *first_timer(struct loop *l)
{
	struct loop_timer *first = NULL;

	list_for_each(pos, &l->timers) {
		struct loop_timer *t = container_of(pos, struct loop_timer, link);

		if (!first || t->due_ns < first->due_ns)
			first = t;
	}
	return first;
}

static void run_timers(struct loop *l)
{
	struct loop_timer *t;
	unsigned budget = BATCH; /* a timer that re-arms itself in the past must not hold the loop */

	while (budget-- && (t = first_timer(l)) && t->due_ns <= l->now) {
		loop_disarm(t);
		t->cb(t);
	}
}

static void run_hooks(struct loop *l)
{
	bool again = true;

	for (unsigned round = 0; again && round < HOOK_ROUNDS; round++) {
		again = false;
		list_for_each_safe(pos, &l->hooks) {
			struct loop_hook *h = container_of(pos, struct loop_hook, link);

			again |= h->cb(h);
		}
	}
	/* Work is left: come straight back after a look at the descriptors. */
	if (again)
		loop_wake(l);
}

static int wait_ms(struct loop *l, int timeout_ms)
{
	struct loop_timer *t = first_timer(l);
	int64_t ms = timeout_ms < 0 || timeout_ms > HEARTBEAT_MAX_MS ? HEARTBEAT_MAX_MS : timeout_ms;

	if (t) {
		uint64_t now = clock_ns();
		int64_t until = t->due_ns <= now ? 0 : (int64_t)DIV_ROUND_UP(t->due_ns - now, NS_PER_MS);

		ms = MIN(ms, until);
	}
	return (int)ms;
}

int loop_once(struct loop *l, int timeout_ms)
{
	int n = epoll_wait(l->epfd, l->batch, BATCH, wait_ms(l, timeout_ms));

	if (n < 0 && errno != EINTR)
		return -errno;
	l->batch_n = MAX(n, 0);
	l->now = clock_ns();
	atomic_store_explicit(&l->heartbeat, l->now, memory_order_relaxed);
	for (l->batch_at = 0; l->batch_at < l->batch_n; l->batch_at++) {
		struct epoll_event *ev = &l->batch[l->batch_at];
		struct loop_fd *f = ev->data.ptr;

		if (f && ev->events) {
			f->cb(f, ev->events);
		} else if (!f) {
			uint64_t count;

			if (read(l->wakefd, &count, sizeof(count)) < 0)
				continue;
		}
	}
	l->batch_n = l->batch_at = 0;
	run_timers(l);
	run_posted(l);
	run_hooks(l);
	return 0;
}

int loop_run(struct loop *l)
{
	int r = 0;

	atomic_store(&l->running, true);
	while (!atomic_load(&l->stop) && r == 0)
		r = loop_once(l, -1);
	atomic_store(&l->stop, false);
	/* Last, and with release: whoever sees it may touch what was this thread's. */
	atomic_store(&l->running, false);
	return r;
}

bool loop_is_running(const struct loop *l)
{
	return atomic_load(&l->running);
}

uint64_t loop_heartbeat_ns(const struct loop *l)
{
	return atomic_load_explicit(&l->heartbeat, memory_order_relaxed);
}

uint64_t loop_now(const struct loop *l)
{
	return l->now;
}
