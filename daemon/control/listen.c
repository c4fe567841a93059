/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Accepting connections on the main loop. */
#include "listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <glib-unix.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#define REST_MS 1000

static void watch(struct listener *l);

static gboolean on_rested(gpointer user)
{
	struct listener *l = user;

	watch(l);
	return G_SOURCE_REMOVE;
}

/* Of a connection that nobody wants any more, the kernel takes back the report by itself. */
static bool must_rest(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static gboolean on_connection(gint listen_fd, GIOCondition condition, gpointer user)
{
	static struct log_limit limit;
	struct listener *l = user;
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0) {
		l->accepted(fd, l->user);
		return G_SOURCE_CONTINUE;
	}
	if (!must_rest(errno))
		return G_SOURCE_CONTINUE;
	if (log_limit_ok(&limit, 2, 60 * NS_PER_SEC))
		log_warn("connections have to wait: %s; see LimitNOFILE= of the unit", strerror(errno));
	l->source = g_timeout_add(REST_MS, on_rested, l);
	return G_SOURCE_REMOVE;
}

static void watch(struct listener *l)
{
	l->source = g_unix_fd_add(l->fd, G_IO_IN, on_connection, l);
}

void listener_start(struct listener *l, int fd, void (*accepted)(int fd, void *user), void *user)
{
	*l = (struct listener){.fd = fd, .accepted = accepted, .user = user};
	watch(l);
}

void listener_stop(struct listener *l)
{
	if (!l->source)
		return;
	g_source_remove(l->source);
	l->source = 0;
	hb_close(&l->fd);
}
