/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One thread, one queue of jobs. */
#include "worker.h"

#include <glib.h>

struct worker {
	GThread *thread;
	GAsyncQueue *jobs;
	unsigned open; /* jobs whose done() has not run; main loop's thread only */
};

struct job {
	struct worker *worker;
	void (*run)(void *arg); /* NULL: the thread ends */
	void (*done)(void *arg);
	void *arg;
};

static gboolean on_done(gpointer user)
{
	struct job *job = user;

	job->worker->open--;
	job->done(job->arg);
	g_free(job);
	return G_SOURCE_REMOVE;
}

static gpointer worker_thread(gpointer user)
{
	struct worker *w = user;

	for (;;) {
		struct job *job = g_async_queue_pop(w->jobs);

		if (!job->run) {
			g_free(job);
			return NULL;
		}
		job->run(job->arg);
		g_idle_add_full(G_PRIORITY_DEFAULT, on_done, job, NULL);
	}
}

static void push(struct worker *w, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
	struct job *job = g_new0(struct job, 1);

	job->worker = w;
	job->run = run;
	job->done = done;
	job->arg = arg;
	g_async_queue_push(w->jobs, job);
}

struct worker *worker_new(void)
{
	struct worker *w = g_new0(struct worker, 1);

	w->jobs = g_async_queue_new();
	w->thread = g_thread_new("hbad-setup", worker_thread, w);
	return w;
}

void worker_push(struct worker *w, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
	w->open++;
	push(w, run, done, arg);
}

bool worker_idle(const struct worker *w)
{
	return !w->open;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	push(w, NULL, NULL, NULL);
	g_thread_join(w->thread);
	g_async_queue_unref(w->jobs);
	g_free(w);
}
