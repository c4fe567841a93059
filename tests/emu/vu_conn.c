/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Framing of vfio-user messages on a unix stream socket. */
#include "vu_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"

#define PEER_MS 5000 /* a peer that does not read, or does not answer, for so long is broken */

static void close_fds(int *fd, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

void vu_msg_free(struct vu_msg *m)
{
	if (!m)
		return;
	close_fds(m->fd, m->n_fds);
	free(m);
}

void vu_conn_init(struct vu_conn *c, int fd)
{
	*c = (struct vu_conn){
		.fd = fd, .peer_max_xfer = VU_DEFAULT_MAX_XFER, .peer_max_fds = VU_DEFAULT_MAX_FDS};
	list_init(&c->backlog);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void vu_conn_fini(struct vu_conn *c)
{
	if (c->fd < 0)
		return;
	close(c->fd);
	c->fd = -1;
	close_fds(c->fds, c->n_fds);
	c->n_fds = 0;
	vu_msg_free(c->rx);
	c->rx = NULL;
	while (!list_empty(&c->backlog)) {
		struct vu_msg *m = list_first(&c->backlog, struct vu_msg, link);

		list_remove(&m->link);
		vu_msg_free(m);
	}
}

static int broken(struct vu_conn *c, int code, const char *why)
{
	if (!c->broken)
		c->broken = why;
	return code;
}

/* --- in --- */

static int take_fds(struct vu_conn *c, struct msghdr *mh)
{
	int r = 0;

	for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
		unsigned n;
		int fd;

		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		n = (unsigned)((cm->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (unsigned i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(fd));
			if (c->n_fds < VU_SERVER_MAX_FDS) {
				c->fds[c->n_fds++] = fd;
				continue;
			}
			close(fd);
			r = broken(c, -EPROTO, "too many descriptors in one message");
		}
	}
	if (mh->msg_flags & MSG_CTRUNC)
		r = broken(c, -EPROTO, "descriptors were cut off");
	return r;
}

/* 1: the wanted bytes are there. 0: not yet. Never reads beyond the message, so descriptors belong to it. */
static int read_some(struct vu_conn *c, void *to, uint32_t want)
{
	char control[CMSG_SPACE(sizeof(int) * 32)];
	struct iovec iov = {to, want};
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(c->fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	int r;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : broken(c, -EPIPE, "the socket failed");
	if (n == 0)
		return c->have ? broken(c, -EPROTO, "the client left in the middle of a message") : -EPIPE;
	c->have += (uint32_t)n;
	r = take_fds(c, &mh);
	return r < 0 ? r : (uint32_t)n == want;
}

static int check_head(struct vu_conn *c)
{
	const struct vu_header *h = &c->head;

	if (h->size < sizeof(*h))
		return broken(c, -EPROTO, "a message is shorter than its header");
	if (h->size > VU_MAX_MESSAGE)
		return broken(c, -EPROTO, "a message is too long");
	if ((h->flags & VU_TYPE_MASK) > VU_TYPE_REPLY)
		return broken(c, -EPROTO, "a message is neither command nor reply");
	c->rx = malloc(sizeof(*c->rx) + h->size - sizeof(*h));
	if (!c->rx)
		return broken(c, -ENOMEM, "out of memory");
	c->rx->h = *h;
	c->rx->len = h->size - (uint32_t)sizeof(*h);
	c->rx->n_fds = 0;
	return 0;
}

/* One whole message. 1, 0, -errno. */
static int receive(struct vu_conn *c, struct vu_msg **ret)
{
	int r = 1;

	if (c->broken)
		return -EPROTO;
	if (c->have < sizeof(c->head)) {
		r = read_some(c, (uint8_t *)&c->head + c->have, (uint32_t)sizeof(c->head) - c->have);
		if (r <= 0)
			return r;
	}
	if (!c->rx) {
		r = check_head(c);
		if (r < 0)
			return r;
	}
	if (c->have < c->head.size) {
		r = read_some(c, c->rx->data + (c->have - sizeof(c->head)), c->head.size - c->have);
		if (r <= 0)
			return r;
	}
	*ret = c->rx;
	c->rx = NULL;
	(*ret)->n_fds = c->n_fds;
	memcpy((*ret)->fd, c->fds, c->n_fds * sizeof(int));
	c->n_fds = 0;
	c->have = 0;
	return 1;
}

int vu_conn_next(struct vu_conn *c, struct vu_msg **ret)
{
	struct vu_msg *m = list_first(&c->backlog, struct vu_msg, link);
	int r;

	if (m) {
		list_remove(&m->link);
		c->n_backlog--;
		*ret = m;
		return 1;
	}
	r = receive(c, &m);
	if (r <= 0)
		return r;
	if ((m->h.flags & VU_TYPE_MASK) == VU_TYPE_REPLY) {
		vu_msg_free(m);
		return broken(c, -EPROTO, "a reply to nothing");
	}
	*ret = m;
	return 1;
}

/* --- out --- */

static int wait_for(struct vu_conn *c, short events, uint64_t until)
{
	struct pollfd p = {.fd = c->fd, .events = events};
	uint64_t now = clock_ns();

	if (now >= until)
		return broken(c, -ETIMEDOUT, "the client does not read, or does not answer");
	if (poll(&p, 1, (int)DIV_ROUND_UP(until - now, NS_PER_MS)) < 0 && errno != EINTR)
		return broken(c, -EPIPE, "the socket failed");
	return 0;
}

static void advance(struct msghdr *mh, size_t n)
{
	while (n) {
		size_t part = MIN(n, mh->msg_iov->iov_len);

		mh->msg_iov->iov_base = (char *)mh->msg_iov->iov_base + part;
		mh->msg_iov->iov_len -= part;
		n -= part;
		if (!mh->msg_iov->iov_len && mh->msg_iovlen > 1) {
			mh->msg_iov++;
			mh->msg_iovlen--;
		}
	}
}

static int send_all(struct vu_conn *c, struct iovec *iov, unsigned n, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct msghdr mh = {.msg_iov = iov, .msg_iovlen = n};
	uint64_t until = clock_ns() + PEER_MS * NS_PER_MS;
	size_t left = 0;
	int r = 0;

	for (unsigned i = 0; i < n; i++)
		left += iov[i].iov_len;
	if (fd >= 0) {
		mh.msg_control = control;
		mh.msg_controllen = sizeof(control);
		*CMSG_FIRSTHDR(&mh) = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&mh)), &fd, sizeof(fd));
	}
	while (left && r == 0) {
		ssize_t done = sendmsg(c->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (done < 0 && errno != EAGAIN && errno != EINTR)
			return broken(c, -EPIPE, "the client left");
		if (done < 0) {
			r = wait_for(c, POLLOUT, until);
			continue;
		}
		left -= (size_t)done;
		advance(&mh, (size_t)done);
		/* Descriptors go with the first byte. */
		mh.msg_control = NULL;
		mh.msg_controllen = 0;
	}
	return r;
}

int vu_conn_reply(struct vu_conn *c, const struct vu_header *to, const void *a, size_t a_len, const void *b,
	size_t b_len, int fd)
{
	struct vu_header h = {
		.id = to->id,
		.cmd = to->cmd,
		.size = (uint32_t)(sizeof(h) + a_len + b_len),
		.flags = VU_TYPE_REPLY,
	};
	struct iovec iov[] = {{&h, sizeof(h)}, {(void *)a, a_len}, {(void *)b, b_len}};

	if (to->flags & VU_F_NO_REPLY)
		return 0;
	return send_all(c, iov, 3, fd);
}

int vu_conn_reply_error(struct vu_conn *c, const struct vu_header *to, int error)
{
	struct vu_header h = {
		.id = to->id,
		.cmd = to->cmd,
		.size = sizeof(h),
		.flags = VU_TYPE_REPLY | VU_F_ERROR,
		.error = (uint32_t)error,
	};
	struct iovec iov = {&h, sizeof(h)};

	if (to->flags & VU_F_NO_REPLY)
		return 0;
	return send_all(c, &iov, 1, -1);
}

/* The reply to id, while commands pile up. */
static int await_reply(struct vu_conn *c, uint16_t id, uint16_t cmd, struct vu_msg **ret)
{
	uint64_t until = clock_ns() + PEER_MS * NS_PER_MS;
	struct vu_msg *m;
	int r;

	for (;;) {
		r = receive(c, &m);
		if (r == 0)
			r = wait_for(c, POLLIN, until);
		else if (r > 0 && (m->h.flags & VU_TYPE_MASK) == VU_TYPE_REPLY) {
			*ret = m;
			if (m->h.id == id && m->h.cmd == cmd)
				return 0;
			vu_msg_free(m);
			return broken(c, -EPROTO, "a reply to nothing");
		} else if (r > 0) {
			list_append(&c->backlog, &m->link);
			if (++c->n_backlog > VU_MAX_BACKLOG)
				return broken(c, -EPROTO, "too many commands at once");
		}
		if (r < 0)
			return broken(c, r, "the client left");
	}
}

int vu_conn_call(struct vu_conn *c, uint16_t cmd, const void *a, size_t a_len, const void *b, size_t b_len,
	struct vu_msg **ret)
{
	struct vu_header h = {
		.id = c->next_id++,
		.cmd = cmd,
		.size = (uint32_t)(sizeof(h) + a_len + b_len),
		.flags = VU_TYPE_COMMAND,
	};
	struct iovec iov[] = {{&h, sizeof(h)}, {(void *)a, a_len}, {(void *)b, b_len}};
	int r = c->broken ? -EPROTO : send_all(c, iov, 3, -1);

	if (r == 0)
		r = await_reply(c, h.id, cmd, ret);
	if (r == 0 && (*ret)->h.flags & VU_F_ERROR) {
		vu_msg_free(*ret);
		r = -EIO;
	}
	return r;
}
