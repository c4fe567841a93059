/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop of an I/O thread: epoll, timers, posted calls, and hooks that run once per iteration so that
 * work is batched (one doorbell, one uio write). Everything except loop_post(), loop_call() and loop_stop()
 * is for the thread that runs the loop, or for anybody while it does not run. Nothing here allocates after
 * loop_create(), except loop_call() in its caller's thread.
 *
 * One iteration: wait; run the callbacks of ready descriptors, due timers and posted calls; then every hook
 * in the order it was added, again and again until no hook reports progress (bounded); then sleep.
 */
#ifndef HBAD_BASE_LOOP_H
#define HBAD_BASE_LOOP_H

#include <stdint.h>
#include "list.h"

struct loop;

struct loop_fd {
	int fd;
	void (*cb)(struct loop_fd *self, uint32_t epoll_events);
	bool added; /* private */
};

struct loop_timer {
	void (*cb)(struct loop_timer *self);
	uint64_t due_ns;  /* private */
	struct list link; /* private; zero-initialised is fine before the first arm */
};

/* Runs once per iteration. Returns true if it did something that earlier hooks may have to react to. */
struct loop_hook {
	bool (*cb)(struct loop_hook *self);
	struct list link; /* private */
};

/* A message to the loop's thread: memory is the poster's until cb runs; may be reposted only after that. */
struct loop_msg {
	void (*cb)(struct loop_msg *self);
	struct loop_msg *next; /* private */
};

/* -errno */
int loop_create(struct loop **ret);
/* Loop must not run. Registered descriptors are the callers'; they are not closed. NULL is fine. */
void loop_destroy(struct loop *l);
/* Runs until loop_stop(). Returns 0. */
int loop_run(struct loop *l);
/* One iteration that waits at most timeout_ms (-1: for ever). For tests and for nested waits in set-up. */
int loop_once(struct loop *l, int timeout_ms);
void loop_stop(struct loop *l); /* any thread */
/* Is a thread inside loop_run()? Any thread. False also tells that what that thread did is visible. */
bool loop_is_running(const struct loop *l);

/* events: EPOLLIN etc., level triggered. -errno; -EEXIST if already added. */
int loop_add_fd(struct loop *l, struct loop_fd *f, uint32_t epoll_events);
/* Removes before close(): a descriptor that somebody else holds too would go on reporting (hazard H19).
 * Safe from within any callback; a pending event of f in the same batch is dropped. */
void loop_del_fd(struct loop *l, struct loop_fd *f);

/* Arms or re-arms. */
void loop_arm(struct loop *l, struct loop_timer *t, uint64_t due_ns);
void loop_disarm(struct loop_timer *t);

void loop_add_hook(struct loop *l, struct loop_hook *h);
/* Not from within another hook. */
void loop_del_hook(struct loop_hook *h);

/* Any thread, lock-free, never blocks; wakes the loop. Messages that one thread posts to one loop run in that order. */
void loop_post(struct loop *l, struct loop_msg *m);

#define LOOP_ALL_MAX 16

struct loop_all;
struct loop_all_part {
	struct loop_msg msg;
	struct loop_all *all;
};

/* A message to several loops, and one to whoever wants to know that all of them have run it. The memory is the poster's
 * again when done begins. */
struct loop_all {
	/* On each loop's thread, once; n is its place in the list of loops. */
	void (*fn)(struct loop_all *self, unsigned n);
	/* On home's thread, after all of them; it sees what they did. */
	void (*done)(struct loop_all *self);
	/* private */
	struct loop *home;
	unsigned left; /* atomic */
	struct loop_msg back;
	struct loop_all_part part[LOOP_ALL_MAX];
};

/* Any thread, lock-free, never blocks. 1 to LOOP_ALL_MAX loops, home may be one of them; fn and done are never called
 * from within. A loop that does not run any more never runs it, and done then never comes. */
void loop_post_all(struct loop_all *a, struct loop *const *loops, unsigned n, struct loop *home);
/* Runs fn(arg) on the loop's thread and waits for it; from another thread only. 0, or -ETIMEDOUT after
 * timeout_ms: fn may then still run later, so arg must be static, or be freed by fn. */
int loop_call(struct loop *l, void (*fn)(void *arg), void *arg, unsigned timeout_ms);
/* Time of the last completed iteration (ns, CLOCK_MONOTONIC): the thread's heartbeat. Any thread.
 * A sleeping loop wakes at least once per second to keep it fresh. */
uint64_t loop_heartbeat_ns(const struct loop *l);
/* Time read once per iteration; cheap. */
uint64_t loop_now(const struct loop *l);

#endif
