/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Control connections. A client that does not read its reply, or says nothing, is closed after PROTO_IDLE_MS. */
#include "server.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <glib-unix.h>
#include "base/cleanup.h"
#include "base/list.h"
#include "base/log.h"
#include "listen.h"
#include "proto.h"

struct server {
	struct listener listener;
	char *(*answer)(const char *line, uid_t peer, void *user);
	void *user;
	struct list conns;
	unsigned n_conns;
};

struct conn {
	struct list link;
	struct server *server;
	int fd;
	uid_t peer;
	guint source, idle;
	char in[PROTO_MAX_REQUEST + 1];
	size_t n_in;
	GString *out; /* what is still to be sent; a request is read only when it is empty */
	size_t sent;
};

static void conn_free(struct conn *c)
{
	list_remove(&c->link);
	c->server->n_conns--;
	if (c->source)
		g_source_remove(c->source);
	if (c->idle)
		g_source_remove(c->idle);
	hb_close(&c->fd);
	g_string_free(c->out, TRUE);
	g_free(c);
}

static gboolean on_idle(gpointer user)
{
	struct conn *c = user;

	c->idle = 0;
	conn_free(c);
	return G_SOURCE_REMOVE;
}

static void rearm_idle(struct conn *c)
{
	if (c->idle)
		g_source_remove(c->idle);
	c->idle = g_timeout_add(PROTO_IDLE_MS, on_idle, c);
}

/* false: the connection is broken */
static bool flush_out(struct conn *c)
{
	while (c->sent < c->out->len) {
		ssize_t n = send(
			c->fd, c->out->str + c->sent, c->out->len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		c->sent += (size_t)n;
	}
	g_string_truncate(c->out, 0);
	c->sent = 0;
	return true;
}

/* Takes the first line out of c->in. false: there is none yet. */
static bool take_line(struct conn *c, char *ret)
{
	char *end = memchr(c->in, '\n', c->n_in);
	size_t len;

	if (!end)
		return false;
	len = (size_t)(end - c->in);
	memcpy(ret, c->in, len);
	ret[len] = 0;
	c->n_in -= len + 1;
	memmove(c->in, end + 1, c->n_in);
	return true;
}

static bool answer_lines(struct conn *c)
{
	char line[PROTO_MAX_REQUEST + 1];

	while (!c->out->len && take_line(c, line)) {
		g_autofree char *reply = c->server->answer(line, c->peer, c->server->user);

		g_string_assign(c->out, reply);
		if (!flush_out(c))
			return false;
	}
	/* Full and without an end: such a line never becomes a request. */
	return c->out->len || c->n_in < PROTO_MAX_REQUEST;
}

static bool receive_some(struct conn *c)
{
	size_t room = PROTO_MAX_REQUEST - c->n_in;
	ssize_t n;

	n = recv(c->fd, c->in + c->n_in, room, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->n_in += (size_t)n;
	return n > 0;
}

static gboolean on_conn(gint fd, GIOCondition condition, gpointer user);

static void watch(struct conn *c)
{
	c->source = g_unix_fd_add(c->fd, c->out->len ? G_IO_OUT : G_IO_IN, on_conn, c);
}

static gboolean on_conn(gint fd, GIOCondition condition, gpointer user)
{
	struct conn *c = user;
	bool was_sending = c->out->len;
	bool ok = was_sending ? flush_out(c) : receive_some(c);

	ok = ok && answer_lines(c);
	if (!ok) {
		c->source = 0;
		conn_free(c);
		return G_SOURCE_REMOVE;
	}
	rearm_idle(c);
	if (was_sending == !!c->out->len)
		return G_SOURCE_CONTINUE;
	watch(c); /* for the other direction */
	return G_SOURCE_REMOVE;
}

static void accepted(int new_fd, void *user)
{
	hb_autoclose int fd = new_fd;
	struct server *s = user;
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct conn *c;

	if (s->n_conns >= SERVER_MAX_CONNS || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return;
	c = g_new0(struct conn, 1);
	c->server = s;
	c->peer = cred.uid;
	c->fd = TAKE_FD(fd);
	c->out = g_string_new(NULL);
	list_append(&s->conns, &c->link);
	s->n_conns++;
	rearm_idle(c);
	watch(c);
}

struct server *server_new(
	int listen_fd, char *(*answer)(const char *line, uid_t peer, void *user), void *user)
{
	struct server *s = g_new0(struct server, 1);

	s->answer = answer;
	s->user = user;
	list_init(&s->conns);
	listener_start(&s->listener, listen_fd, accepted, s);
	return s;
}

void server_free(struct server *s)
{
	if (!s)
		return;
	listener_stop(&s->listener);
	while (!list_empty(&s->conns))
		conn_free(list_first(&s->conns, struct conn, link));
	g_free(s);
}
