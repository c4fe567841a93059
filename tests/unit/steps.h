/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Set-up that fails at its first step, at its second, ... at its last: each library call that can fail is a step.
 *
 * hbad_steps_test() of tests/CMakeLists.txt links the calls named in steps_wrap.txt to those of steps.c, so that
 * nothing in the code under test knows of it. Only calls of the thread that runs steps_run() fail; what a step took is
 * counted for all threads: heap, mappings, descriptors, threads.
 */
#ifndef HBAD_TESTS_STEPS_H
#define HBAD_TESTS_STEPS_H

#include <stdbool.h>
#include "base/err.h"

struct steps {
	/* Sets up once. On failure -errno and a sentence; on success it takes everything down again and returns 0. */
	int (*attempt)(struct err *e);
	/* Between attempts, nothing fails there. Optional. */
	void (*before)(void);
	/* Calls that the code can do without: it may succeed although one of these failed. Ends with NULL; optional. */
	const char *const *dispensable;
	/* At least so many steps, lest a test lose what it is for. */
	unsigned at_least;
};

/* Runs attempt() until it has failed at each of its calls, one at a time, and succeeds when none does. After each run
 * everything that it took must have been given back. */
void steps_run(const struct steps *s);

/* For attempt(): it is set up now, and what follows takes it down: nothing fails any more. */
void steps_up(void);

/* For attempt(): what this thread does in between is the test's own business. */
void steps_pause(bool on);

/* For other seams (an ops table, a protocol): is this the call that has to fail? Then errno is err. */
bool steps_fail_here(const char *name, int err);

#endif
