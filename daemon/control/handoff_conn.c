/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections of the hand-off service: accepting, receiving packets with descriptors, sending. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <glib-unix.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "handoff_private.h"

#define MAX_PASSED 8

static bool may_log(struct handoff_service *s)
{
	return log_limit_ok(&s->log_limit, 10, 60 * NS_PER_SEC);
}

void handoff_conn_close(struct handoff_conn *c)
{
	list_remove(&c->link);
	c->service->n_conns--;
	if (c->source)
		g_source_remove(c->source);
	hb_close(&c->fd);
	handoff_conn_ended(c);
	g_free(c);
}

bool handoff_conn_send(struct handoff_conn *c, const void *msg, size_t size)
{
	ssize_t n;

	do
		n = send(c->fd, msg, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EPIPE && errno != ECONNRESET && may_log(c->service))
		log_warn("cannot answer tcmu-runner's handler: %s", strerror(errno));
	return n == (ssize_t)size;
}

/* Takes every descriptor out of the control messages, so that none leaks; keeps the first. Returns how many. */
static unsigned take_fds(struct msghdr *mh, int *ret_fd)
{
	unsigned n = 0;

	*ret_fd = -1;
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
		size_t count = cm->cmsg_len > CMSG_LEN(0) ? (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;

		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++, n++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(fd));
			if (!n)
				*ret_fd = fd;
			else
				hb_close(&fd);
		}
	}
	return n;
}

struct packet {
	uint8_t data[HANDOFF_MAX];
	size_t len;
	bool truncated;
	int fd; /* -1 or the one that came along */
	unsigned n_fds;
};

/* 1: a packet; 0: end of the connection; -EAGAIN: nothing there. */
static int receive(int fd, struct packet *p)
{
	union {
		char buf[CMSG_SPACE(MAX_PASSED * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = p->data, .iov_len = sizeof(p->data)};
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n;

	do
		n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : 0;
	p->len = (size_t)n;
	p->truncated = mh.msg_flags & MSG_TRUNC;
	p->n_fds = take_fds(&mh, &p->fd);
	if (mh.msg_flags & MSG_CTRUNC)
		p->n_fds = MAX_PASSED + 1;
	return n > 0;
}

static int check_fds(const union handoff_msg *m, unsigned n_fds, struct err *e)
{
	unsigned want = m->head.type == HANDOFF_OPEN;

	if (n_fds == want)
		return 0;
	return err_set(e, -EPROTO, "the handler's request %u came with %u descriptors instead of %u",
		m->head.type, n_fds, want);
}

/* A backstore whose name or configuration string cannot be taken is refused here already. */
static void note_refused(struct luns *l, union handoff_msg *m, const struct err *e)
{
	if (m->head.type != HANDOFF_OPEN)
		return;
	m->open.device[sizeof(m->open.device) - 1] = '\0';
	m->open.cfgstring[sizeof(m->open.cfgstring) - 1] = '\0';
	luns_refused(l, m->open.device, m->open.cfgstring, m->open.known, e);
}

static bool handle_packet(struct handoff_conn *c, struct packet *p)
{
	union handoff_msg m;
	struct err e = {""};
	int r = handoff_parse(p->data, p->len, p->truncated, &m, &e);

	if (!r)
		r = check_fds(&m, p->n_fds, &e);
	if (!r)
		return handoff_handle(c, &m, TAKE_FD(p->fd));
	if (may_log(c->service))
		log_warn("hand-off socket: %s", e.text);
	if (r == -EBADMSG)
		return false;
	note_refused(c->service->luns, &m, &e);
	return handoff_answer(c, &m.head, 0, r, &e);
}

static gboolean on_conn(gint fd, GIOCondition condition, gpointer user)
{
	struct handoff_conn *c = user;
	struct packet p = {.fd = -1};
	int r = receive(fd, &p);
	bool keep = r == -EAGAIN ? !(condition & (G_IO_HUP | G_IO_ERR)) : r > 0 && handle_packet(c, &p);

	hb_close(&p.fd);
	if (keep)
		return G_SOURCE_CONTINUE;
	c->source = 0; /* removed by the return value */
	handoff_conn_close(c);
	return G_SOURCE_REMOVE;
}

static bool peer_allowed(struct handoff_service *s, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) && cred.uid == s->peer_uid)
		return true;
	if (may_log(s))
		log_warn("hand-off socket: refused a process that does not run as user %u",
			(unsigned)s->peer_uid);
	return false;
}

static void accepted(int new_fd, void *user)
{
	hb_autoclose int fd = new_fd;
	struct handoff_service *s = user;
	struct handoff_conn *c;

	if (!peer_allowed(s, fd))
		return;
	if (s->n_conns >= HANDOFF_MAX_CONNS) {
		if (may_log(s))
			log_warn("hand-off socket: refused one more than %d connections", HANDOFF_MAX_CONNS);
		return;
	}
	c = g_new0(struct handoff_conn, 1);
	c->service = s;
	c->fd = TAKE_FD(fd);
	list_append(&s->conns, &c->link);
	s->n_conns++;
	c->source = g_unix_fd_add(c->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_conn, c);
}

void handoff_accept_start(struct handoff_service *s, int listen_fd)
{
	listener_start(&s->listener, listen_fd, accepted, s);
}
