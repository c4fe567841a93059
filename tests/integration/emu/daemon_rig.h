/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbad in a thread of the test's process, on hba-emu in another process. */
#ifndef HBAD_TESTS_INTEGRATION_DAEMON_RIG_H
#define HBAD_TESTS_INTEGRATION_DAEMON_RIG_H

#include "hbad.h"
#include "proc.h"

#define LIMIT_MS 120000 /* for what must come, however slow the machine */

extern struct hbad d;

/* With one I/O thread, as it is by default. Waits until the controller is ready. Its sockets are below p->dir. */
void daemon_start(struct emu_proc *p);
/* The same without waiting; io_threads as in the configuration. */
void daemon_begin(struct emu_proc *p, unsigned io_threads);
void daemon_stop(struct emu_proc *p);
bool status_has(struct emu_proc *p, const char *words);
void status_becomes(struct emu_proc *p, const char *words);
/* The emulator's own status has these words, or no longer. */
void emu_becomes(struct emu_proc *p, const char *words, bool there);
/* The controller, which is gone, comes back, and at firmware's n-th command its registers read all ones. Returns when hbad
 * has noticed. */
void emu_vanish_at(struct emu_proc *p, unsigned n);

#endif
