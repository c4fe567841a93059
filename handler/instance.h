/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instances of hbad that have, or had, devices of this runner, and their watchers.
 *
 * Locks, in the order in which they are taken:
 *	registry (instance.c, private)	the list of instances
 *	instance->lock			its list of devices; busy, closing and visited of each
 * Neither is held during a call to hbad, a configfs operation, a wait for a process, or logging.
 */
#ifndef HBAD_HANDLER_INSTANCE_H
#define HBAD_HANDLER_INSTANCE_H

#include <pthread.h>
#include <stdatomic.h>
#include "device.h"

struct instance {
	struct list link; /* registry's */
	char name[HANDOFF_NAME_MAX + 1];
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a device is not busy any more, or the watcher has ended */
	struct list devices;
	int wake_fd; /* eventfd: something changed for the watcher */
	int stop_fd; /* eventfd: the watcher is to end, and what it waits for too */
	pthread_t thread;
	bool running; /* the watcher was started; main thread */
	bool ended;   /* the watcher is about to return; under the lock */
	atomic_bool stop;
	_Atomic uint64_t unfenceable_ns; /* when killing this hbad last did not help; 0: never */
	uint64_t mute_ns;		 /* when it last gave no answer to open(); 0: never; main thread */
};

/* Random, one per process. */
const uint8_t *registry_nonce(void);
/* Makes it where needed; never goes away before registry_stop(). Main thread. NULL: out of resources. */
struct instance *registry_get(const char *name, struct err *e);
/* Does this process have the uio device? */
bool registry_has_uio(const char *uio);
/* Ends all watchers, then closes the gates of what instance_park() left. Main thread, once nothing is called any more. */
void registry_stop(void);

/* Adds a device, starting the watcher with the first one. -EAGAIN: no thread could be made. */
int instance_adopt(struct instance *i, struct device *d, struct err *e);
/* Takes the device out and waits until the watcher does not use it. -EBUSY: it still does; then leave d alone. */
int instance_release(struct instance *i, struct device *d);
/* For a moment the device is the caller's instead of the watcher's. Main thread. -EBUSY: the watcher does not let go
 * of it within timing.join. */
int instance_borrow(struct instance *i, struct device *d);
void instance_return(struct instance *i, struct device *d);
/*
 * For a device without a server, or with one that is about to end, when the runner stops: once all its devices are
 * closed, the runner opens their gates, and then nobody would answer. registry_stop() comes after that and closes this
 * one again; it resets the ring if nobody can be at work on it any more. Takes d over.
 */
void instance_park(struct device *d);
void instance_wake(struct instance *i);

/*
 * The watcher's way to walk: calls fn for each device that is neither being closed nor borrowed, without the lock, marked
 * busy. Returns how many there were, with those that are borrowed.
 */
unsigned instance_each(struct instance *i, void (*fn)(struct device *d, void *arg), void *arg);

#endif
