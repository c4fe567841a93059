/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Accepting connections on the main loop. */
#ifndef HBAD_CONTROL_LISTEN_H
#define HBAD_CONTROL_LISTEN_H

#include <glib.h>

/* Zeroed, it listens to nothing. */
struct listener {
	int fd;
	guint source; /* what is waited for: connections, or the end of a rest */
	void (*accepted)(int fd, void *user);
	void *user;
};

/* Takes fd over. accepted() gets each connection, non-blocking, which is its own from then on. When there are no
 * descriptors or memory left for one, connections wait for a while instead of keeping the loop busy: the kernel reports
 * them again and again. */
void listener_start(struct listener *l, int fd, void (*accepted)(int fd, void *user), void *user);
void listener_stop(struct listener *l);

#endif
