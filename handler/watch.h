/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The watcher of one instance: a thread that guards its devices and hands them to the next hbad. */
#ifndef HBAD_HANDLER_WATCH_H
#define HBAD_HANDLER_WATCH_H

/* arg is a struct instance. Returns NULL when it is told to stop. */
void *watch_main(void *arg);

#endif
