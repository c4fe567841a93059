/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The registry of instances. */
#include "instance.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include "base/cleanup.h"
#include "hlog.h"
#include "timing.h"
#include "watch.h"

static struct {
	pthread_mutex_t lock;
	struct list instances;
	struct list parked; /* devices; main thread and close(), which the main thread waits for */
	uint8_t nonce[HANDOFF_NONCE_LEN];
	bool have_nonce; /* main thread */
} registry = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.instances = {&registry.instances, &registry.instances},
	.parked = {&registry.parked, &registry.parked},
};

const uint8_t *registry_nonce(void)
{
	pthread_mutex_lock(&registry.lock);
	if (!registry.have_nonce) {
		/* Never zero; without random numbers (a kernel before 3.17) the clock has to do. */
		uint64_t fallback[2] = {clock_ns(), 1};

		static_assert(sizeof(fallback) == HANDOFF_NONCE_LEN, "nonce");
		if (getrandom(registry.nonce, sizeof(registry.nonce), 0) != sizeof(registry.nonce))
			memcpy(registry.nonce, fallback, sizeof(fallback));
		registry.have_nonce = true;
	}
	pthread_mutex_unlock(&registry.lock);
	return registry.nonce;
}

static struct instance *find(const char *name)
{
	list_for_each(pos, &registry.instances) {
		struct instance *i = container_of(pos, struct instance, link);

		if (!strcmp(i->name, name))
			return i;
	}
	return NULL;
}

static struct instance *instance_new(const char *name)
{
	struct instance *i = calloc(1, sizeof(*i));

	if (!i)
		return NULL;
	i->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	i->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (i->wake_fd < 0 || i->stop_fd < 0) {
		hb_close(&i->wake_fd);
		hb_close(&i->stop_fd);
		free(i);
		return NULL;
	}
	snprintf(i->name, sizeof(i->name), "%s", name);
	pthread_mutex_init(&i->lock, NULL);
	pthread_cond_init(&i->changed, NULL);
	list_init(&i->devices);
	list_init(&i->link);
	return i;
}

struct instance *registry_get(const char *name, struct err *e)
{
	struct instance *i;

	pthread_mutex_lock(&registry.lock);
	i = find(name);
	if (!i) {
		i = instance_new(name);
		if (i)
			list_append(&registry.instances, &i->link);
	}
	pthread_mutex_unlock(&registry.lock);
	if (!i)
		err_set(e, -ENOMEM, "out of memory or descriptors");
	return i;
}

static bool has_uio(struct instance *i, const char *uio)
{
	bool found = false;

	pthread_mutex_lock(&i->lock);
	list_for_each(pos, &i->devices) {
		const struct device *d = container_of(pos, struct device, link);

		/* One that its watcher did not let go of is ours no more, and its number may be another one's. */
		found |= !d->closing && !strcmp(d->uio, uio);
	}
	pthread_mutex_unlock(&i->lock);
	return found;
}

bool registry_has_uio(const char *uio)
{
	bool found = false;

	pthread_mutex_lock(&registry.lock);
	list_for_each(pos, &registry.instances)
		found |= has_uio(container_of(pos, struct instance, link), uio);
	pthread_mutex_unlock(&registry.lock);
	return found;
}

void instance_wake(struct instance *i)
{
	eventfd_write(i->wake_fd, 1);
}

static void *run_watcher(void *arg)
{
	struct instance *i = arg;

	watch_run(i);
	pthread_mutex_lock(&i->lock);
	i->ended = true;
	pthread_cond_broadcast(&i->changed);
	pthread_mutex_unlock(&i->lock);
	return NULL;
}

/* The runner handles signals in its own threads. */
static int start_watcher(struct instance *i)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&i->thread, NULL, run_watcher, i);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	i->running = !r;
	return -r;
}

int instance_adopt(struct instance *i, struct device *d, struct err *e)
{
	int r = i->running ? 0 : start_watcher(i);

	if (r)
		return err_set(e, r, "cannot start a thread: %s", strerror(-r));
	d->instance = i;
	d->adopted_ns = clock_ns();
	pthread_mutex_lock(&i->lock);
	list_append(&i->devices, &d->link);
	pthread_mutex_unlock(&i->lock);
	instance_wake(i);
	return 0;
}

/* The lock is held. Returns when *flag is value; false: it is not in time. */
static bool wait_for(struct instance *i, const bool *flag, bool value)
{
	uint64_t deadline = clock_ns() + timing.join * NS_PER_MS;
	struct timespec until = {
		.tv_sec = (time_t)(deadline / NS_PER_SEC), .tv_nsec = (long)(deadline % NS_PER_SEC)};
	int r = 0;

	while (*flag != value && !r)
		r = pthread_cond_clockwait(&i->changed, &i->lock, CLOCK_MONOTONIC, &until);
	return *flag == value;
}

int instance_release(struct instance *i, struct device *d)
{
	eventfd_t drained;
	bool mine;

	pthread_mutex_lock(&i->lock);
	d->closing = true;
	/* Ends a call to hbad that the watcher makes for this device. */
	eventfd_write(d->cancel_fd, 1);
	mine = wait_for(i, &d->busy, false);
	if (mine)
		list_remove(&d->link);
	pthread_mutex_unlock(&i->lock);
	if (!mine)
		return -EBUSY;
	eventfd_read(d->cancel_fd, &drained);
	instance_wake(i);
	return 0;
}

int instance_borrow(struct instance *i, struct device *d)
{
	bool mine;

	pthread_mutex_lock(&i->lock);
	mine = wait_for(i, &d->busy, false);
	if (mine)
		d->busy = true;
	pthread_mutex_unlock(&i->lock);
	return mine ? 0 : -EBUSY;
}

void instance_return(struct instance *i, struct device *d)
{
	pthread_mutex_lock(&i->lock);
	d->busy = false;
	pthread_cond_broadcast(&i->changed);
	pthread_mutex_unlock(&i->lock);
	/* It has been passed over meanwhile. */
	instance_wake(i);
}

void instance_park(struct device *d)
{
	list_append(&registry.parked, &d->link);
}

static struct device *next_unvisited(struct instance *i)
{
	list_for_each(pos, &i->devices) {
		struct device *d = container_of(pos, struct device, link);

		/* Busy: borrowed. */
		if (!d->visited && !d->closing && !d->busy)
			return d;
	}
	return NULL;
}

/* The lock is let go of in between, so start over each time; the marks say who had a turn. */
unsigned instance_each(struct instance *i, void (*fn)(struct device *d, void *arg), void *arg)
{
	struct device *d;
	unsigned n = 0;

	pthread_mutex_lock(&i->lock);
	list_for_each(pos, &i->devices) {
		d = container_of(pos, struct device, link);
		d->visited = false;
		/* One that is borrowed comes back: without it the watcher would go to sleep as if it had none. */
		n += !d->closing;
	}
	while ((d = next_unvisited(i))) {
		d->visited = d->busy = true;
		pthread_mutex_unlock(&i->lock);
		fn(d, arg);
		pthread_mutex_lock(&i->lock);
		d->busy = false;
		pthread_cond_broadcast(&i->changed);
	}
	pthread_mutex_unlock(&i->lock);
	return n;
}

/* False: the watcher does not end; what it uses stays. */
static bool stop_watcher(struct instance *i)
{
	bool ended;

	if (!i->running)
		return true;
	atomic_store(&i->stop, true);
	eventfd_write(i->stop_fd, 1);
	pthread_mutex_lock(&i->lock);
	ended = wait_for(i, &i->ended, true);
	pthread_mutex_unlock(&i->lock);
	return ended && !pthread_join(i->thread, NULL);
}

static void instance_free(struct instance *i)
{
	hb_close(&i->wake_fd);
	hb_close(&i->stop_fd);
	pthread_cond_destroy(&i->changed);
	pthread_mutex_destroy(&i->lock);
	free(i);
}

void registry_stop(void)
{
	list_for_each_safe(pos, &registry.instances) {
		struct instance *i = container_of(pos, struct instance, link);
		bool ended = stop_watcher(i);

		list_remove(&i->link);
		if (ended && list_empty(&i->devices))
			instance_free(i);
	}
	list_for_each_safe(pos, &registry.parked) {
		struct device *d = container_of(pos, struct device, link);

		list_remove(&d->link);
		/* While its process lives no ring is reset (H1); whoever ends it does so then. */
		if (device_served(d) && !proc_dead(d->server.pidfd))
			device_block(d);
		else
			device_guard(d);
		hlog_warn("%s (%s): nobody serves it, its gate stays closed", d->name, d->cfg.text);
		device_free(d);
	}
}
