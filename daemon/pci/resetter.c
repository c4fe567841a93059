/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resetter.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct pci_resetter {
	struct pci_dev *dev;
	pthread_t thread;
	sem_t asked; /* its post never blocks */
	bool stop;
	bool busy; /* atomic: what follows is the thread's */
	int result;
	struct err why;
	uint64_t begun_ns; /* the callers' */
};

static void *run(void *arg)
{
	struct pci_resetter *r = arg;

	for (;;) {
		if (sem_wait(&r->asked) < 0)
			continue; /* EINTR is all that there is */
		if (r->stop)
			return NULL;
		r->why.text[0] = '\0';
		r->result = pci_reset(r->dev, &r->why);
		/* Release: who sees the end of it sees its result, and touches the function behind it. */
		__atomic_store_n(&r->busy, false, __ATOMIC_RELEASE);
	}
}

int pci_resetter_start(struct pci_dev *dev, struct pci_resetter **ret, struct err *e)
{
	struct pci_resetter *r = calloc(1, sizeof(*r));
	sigset_t all, before;
	int rc;

	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	r->dev = dev;
	r->result = -ENODATA;
	sem_init(&r->asked, 0, 0);
	/* Signals are for the threads that expect them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&r->thread, NULL, run, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc) {
		sem_destroy(&r->asked);
		free(r);
		return err_set(e, -rc, "%s: cannot start a thread: %s", dev->uri, strerror(rc));
	}
	pthread_setname_np(r->thread, "hbad-reset");
	*ret = r;
	return 0;
}

static bool is_busy(const struct pci_resetter *r)
{
	/* Acquire: see run(). */
	return __atomic_load_n(&r->busy, __ATOMIC_ACQUIRE);
}

bool pci_resetter_stop(struct pci_resetter *r)
{
	if (!r)
		return true;
	if (is_busy(r))
		return false;
	r->stop = true;
	sem_post(&r->asked);
	pthread_join(r->thread, NULL);
	sem_destroy(&r->asked);
	free(r);
	return true;
}

int pci_resetter_begin(struct pci_resetter *r)
{
	if (is_busy(r))
		return -EBUSY;
	r->begun_ns = clock_ns();
	__atomic_store_n(&r->busy, true, __ATOMIC_RELAXED);
	/* The thread sees all of it: a post comes before the wait that it ends. */
	sem_post(&r->asked);
	return 0;
}

int pci_resetter_result(const struct pci_resetter *r, struct err *e)
{
	if (is_busy(r))
		return -EINPROGRESS;
	if (e && r->result < 0)
		*e = r->why;
	return r->result;
}

uint64_t pci_resetter_age_ns(const struct pci_resetter *r)
{
	return clock_ns() - r->begun_ns;
}
