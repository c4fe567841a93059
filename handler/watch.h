/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The watcher of one instance: a thread that guards its devices and hands them to the next hbad. */
#ifndef HBAD_HANDLER_WATCH_H
#define HBAD_HANDLER_WATCH_H

struct instance;

/* The thread's work. Returns when it is told to stop. */
void watch_run(struct instance *i);

#endif
