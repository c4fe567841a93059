/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One thread, one queue of jobs. Plain POSIX primitives and not GLib's, whose hand-overs ThreadSanitizer cannot
 * see: it would report every job as a race.
 */
#include "worker.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <glib-unix.h>
#include "base/cleanup.h"
#include "base/list.h"

struct worker {
	pthread_t thread;
	pthread_mutex_t lock; /* of the two lists and of quit */
	pthread_cond_t wake;
	struct list jobs, finished;
	bool quit;
	int event_fd; /* readable: there are finished jobs */
	guint source;
};

struct job {
	struct list link;
	void (*run)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

static struct job *take(struct worker *w, struct list *from)
{
	struct job *job;

	pthread_mutex_lock(&w->lock);
	while (from == &w->jobs && list_empty(from) && !w->quit)
		pthread_cond_wait(&w->wake, &w->lock);
	job = list_first(from, struct job, link);
	if (job)
		list_remove(&job->link);
	pthread_mutex_unlock(&w->lock);
	return job;
}

static void *worker_thread(void *arg)
{
	struct worker *w = arg;
	struct job *job;

	while ((job = take(w, &w->jobs))) {
		job->run(job->arg);
		pthread_mutex_lock(&w->lock);
		list_append(&w->finished, &job->link);
		pthread_mutex_unlock(&w->lock);
		eventfd_write(w->event_fd, 1);
	}
	return NULL;
}

static gboolean on_finished(gint fd, GIOCondition condition, gpointer user)
{
	struct worker *w = user;
	struct job *job;
	eventfd_t n;

	eventfd_read(fd, &n);
	while ((job = take(w, &w->finished))) {
		job->done(job->arg);
		g_free(job);
	}
	return G_SOURCE_CONTINUE;
}

struct worker *worker_new(void)
{
	struct worker *w = g_new0(struct worker, 1);

	list_init(&w->jobs);
	list_init(&w->finished);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->event_fd < 0 || pthread_create(&w->thread, NULL, worker_thread, w)) {
		hb_close(&w->event_fd);
		g_free(w);
		return NULL;
	}
	pthread_setname_np(w->thread, "hbad-setup");
	w->source = g_unix_fd_add(w->event_fd, G_IO_IN, on_finished, w);
	return w;
}

void worker_push(struct worker *w, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
	struct job *job = g_new0(struct job, 1);

	job->run = run;
	job->done = done;
	job->arg = arg;
	pthread_mutex_lock(&w->lock);
	list_append(&w->jobs, &job->link);
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

void worker_free(struct worker *w)
{
	struct job *job;

	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->quit = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	while ((job = take(w, &w->finished)))
		g_free(job);
	g_source_remove(w->source);
	hb_close(&w->event_fd);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	g_free(w);
}
