/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of the I/O threads. */
#include "io.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/log.h"

#define JOIN_S	 5
#define START_MS 1000

int io_create(struct io *io, unsigned n)
{
	int r = 0;

	memset(io, 0, sizeof(*io));
	while (io->n_loops < n && r == 0) {
		r = loop_create(&io->loop[io->n_loops]);
		io->n_loops += r == 0;
	}
	return r;
}

static void *io_main(void *arg)
{
	log_this_thread_is_io();
	loop_run(arg);
	return NULL;
}

static void nothing(void *arg)
{
}

/* The first one has the name that it has always had. */
static void name_thread(pthread_t thread, unsigned n)
{
	char name[16] = "hbad-io";

	if (n)
		snprintf(name, sizeof(name), "hbad-io%u", n);
	pthread_setname_np(thread, name);
}

int io_start(struct io *io, unsigned n, struct err *e)
{
	for (unsigned i = io->n_threads; i < n; i++) {
		int r = pthread_create(&io->thread[i], NULL, io_main, io->loop[i]);

		if (r)
			return err_set(e, -r, "cannot start an I/O thread: %s", strerror(r));
		name_thread(io->thread[i], i);
		/* Its heart beats from now on; before, it had the age of its loop. */
		loop_call(io->loop[i], nothing, NULL, START_MS);
		/* Release: whoever counts it finds it. */
		__atomic_store_n(&io->n_threads, i + 1, __ATOMIC_RELEASE);
	}
	return 0;
}

int io_stop(struct io *io)
{
	struct timespec until;
	int r = 0;

	for (unsigned i = 0; i < io->n_threads; i++)
		loop_stop(io->loop[i]);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += JOIN_S;
	for (unsigned i = 0; i < io->n_threads; i++) {
		if (!pthread_timedjoin_np(io->thread[i], NULL, &until))
			continue;
		log_err("I/O thread %u does not end", i);
		r = -ETIMEDOUT;
	}
	return r;
}

void io_destroy(struct io *io)
{
	for (unsigned i = 0; i < io->n_loops; i++)
		loop_destroy(io->loop[i]);
	io->n_loops = io->n_threads = 0;
}

uint64_t io_heartbeat_ns(const struct io *io)
{
	unsigned n = __atomic_load_n(&io->n_threads, __ATOMIC_ACQUIRE);
	uint64_t oldest = UINT64_MAX;

	for (unsigned i = 0; i < n; i++)
		oldest = MIN(oldest, loop_heartbeat_ns(io->loop[i]));
	return oldest;
}
