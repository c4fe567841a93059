/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Logging: direct on control threads, through a lock-free ring on I/O threads. */
#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define LINE  256
#define SLOTS 256 /* power of two */

/* Bounded queue after Vyukov: seq == position when free for the writer at position, position + 1 when full. */
struct slot {
	_Atomic uint32_t seq;
	uint8_t level;
	char text[LINE];
};

static struct {
	_Atomic int level;
	_Atomic(const char *) name;
	struct slot slot[SLOTS];
	_Atomic uint32_t head; /* next to write */
	uint32_t tail;	       /* next to read; reader's own */
	_Atomic uint32_t dropped;
	int fd;
	bool journal;
	pthread_once_t once;
} g = {.level = LOG_LV_INFO, .fd = -1, .once = PTHREAD_ONCE_INIT};

static _Thread_local bool io_thread;

static void init_once(void)
{
	for (uint32_t i = 0; i < SLOTS; i++)
		atomic_init(&g.slot[i].seq, i);
	g.journal = getenv("JOURNAL_STREAM") != NULL;
	g.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

void log_set_level(enum log_level level)
{
	atomic_store(&g.level, (int)level);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&g.level, memory_order_relaxed);
}

void log_set_name(const char *name)
{
	atomic_store(&g.name, name);
}

/* One writev per line, so that lines of several processes on one pipe do not mix. */
static void emit(int level, const char *text)
{
	char head[64];
	const char *name = atomic_load(&g.name);
	struct iovec iov[3];

	if (g.journal)
		snprintf(head, sizeof(head), "<%d>", level);
	else
		snprintf(head, sizeof(head), "%s%s", name ? name : "", name ? ": " : "");
	iov[0] = (struct iovec){head, strlen(head)};
	iov[1] = (struct iovec){(void *)text, strlen(text)};
	iov[2] = (struct iovec){(void *)"\n", 1};
	if (writev(STDERR_FILENO, iov, 3) < 0)
		return; /* there is nobody left to tell */
}

static void enqueue(int level, const char *text)
{
	uint32_t pos = atomic_load_explicit(&g.head, memory_order_relaxed);
	uint64_t one = 1;
	struct slot *s;

	for (;;) {
		uint32_t seq;

		s = &g.slot[pos % SLOTS];
		/* Acquire pairs with the reader's release: the slot's text has been read before we reuse it. */
		seq = atomic_load_explicit(&s->seq, memory_order_acquire);
		if (seq == pos) {
			if (atomic_compare_exchange_weak_explicit(
				    &g.head, &pos, pos + 1, memory_order_relaxed, memory_order_relaxed))
				break;
		} else if ((int32_t)(seq - pos) < 0) {
			atomic_fetch_add_explicit(&g.dropped, 1, memory_order_relaxed);
			return;
		} else {
			pos = atomic_load_explicit(&g.head, memory_order_relaxed);
		}
	}
	s->level = (uint8_t)level;
	snprintf(s->text, sizeof(s->text), "%s", text);
	/* Release: the reader that sees the new seq sees the text. */
	atomic_store_explicit(&s->seq, pos + 1, memory_order_release);
	if (write(g.fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: the reader has been told */
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char text[1024];
	int saved = errno;
	va_list ap;

	if (!log_enabled(level))
		return;
	pthread_once(&g.once, init_once);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (io_thread)
		enqueue((int)level, text);
	else
		emit((int)level, text);
	errno = saved;
}

bool log_limit_ok(struct log_limit *l, unsigned burst, uint64_t interval_ns)
{
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	now = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	if (!l->window_ns || now - l->window_ns >= interval_ns) {
		l->window_ns = now;
		l->count = 0;
	}
	if (l->count < burst) {
		l->count++;
		return true;
	}
	l->suppressed++;
	return false;
}

void log_this_thread_is_io(void)
{
	pthread_once(&g.once, init_once);
	io_thread = g.fd >= 0;
}

int log_fd(void)
{
	pthread_once(&g.once, init_once);
	return g.fd;
}

void log_drain(void)
{
	uint64_t count;
	uint32_t dropped;

	pthread_once(&g.once, init_once);
	if (g.fd >= 0 && read(g.fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	for (;;) {
		struct slot *s = &g.slot[g.tail % SLOTS];

		if (atomic_load_explicit(&s->seq, memory_order_acquire) != g.tail + 1)
			break;
		emit(s->level, s->text);
		/* Release: our reads of the text come before the writer's next use of the slot. */
		atomic_store_explicit(&s->seq, g.tail + SLOTS, memory_order_release);
		g.tail++;
	}
	dropped = atomic_exchange(&g.dropped, 0);
	if (dropped) {
		char text[64];

		snprintf(text, sizeof(text), "%u log lines of I/O threads were dropped", dropped);
		emit(LOG_LV_WARN, text);
	}
}
