/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket's server: lines in, lines out (proto.h). Lives on the control thread's main loop. */
#ifndef HBAD_CONTROL_SERVER_H
#define HBAD_CONTROL_SERVER_H

#include <sys/types.h>

#define SERVER_MAX_CONNS 16

struct server;

/* answer: a request line without its end to a reply with it, which the server frees with g_free(); peer: whose process
 * asks. Takes listen_fd over. */
struct server *server_new(
	int listen_fd, char *(*answer)(const char *line, uid_t peer, void *user), void *user);
void server_free(struct server *s); /* NULL is fine */

#endif
