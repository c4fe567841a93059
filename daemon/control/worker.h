/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The set-up thread: jobs that may block for minutes, one after the other, so that the main loop does not. */
#ifndef HBAD_CONTROL_WORKER_H
#define HBAD_CONTROL_WORKER_H

#include "base/compiler.h"

struct worker;

struct worker *worker_new(void); /* NULL: no thread or descriptor to be had */
/* run(arg) on the worker's thread, then done(arg) on the main loop of the default context. */
void worker_push(struct worker *w, void (*run)(void *arg), void (*done)(void *arg), void *arg);
/* Waits for all jobs; done() of those that did not get there is not called. NULL is fine. */
void worker_free(struct worker *w);

#endif
