/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vfio-user: the thread that receives. Every byte of the server passes through here and is checked here. */
#include "vuc.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"

#define ERRNO_MAX 4095 /* the kernel's largest */

/* Descriptors of one message; all are closed that nobody took. */
struct fds {
	int fd[VU_CLIENT_MAX_FDS];
	unsigned n;
	bool too_many;
};

static void close_fds(struct fds *f)
{
	while (f->n)
		hb_close(&f->fd[--f->n]);
}

static void take_fds(struct fds *f, struct msghdr *msg)
{
	/* Those that did not fit into our control buffer were closed by the kernel. */
	if (msg->msg_flags & MSG_CTRUNC)
		f->too_many = true;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = c->cmsg_len / sizeof(int) - CMSG_LEN(0) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (f->n < VU_CLIENT_MAX_FDS) {
				f->fd[f->n++] = fd;
				continue;
			}
			f->too_many = true;
			hb_close(&fd);
		}
	}
}

/* 0, or -errno after the connection has ended. Descriptors may come with any byte. */
static int receive(struct vuc_dev *v, void *buf, size_t len, struct fds *f)
{
	while (len) {
		_Alignas(struct cmsghdr) char control[CMSG_SPACE(VU_CLIENT_MAX_FDS * sizeof(int))];
		struct iovec iov = {buf, len};
		struct msghdr msg = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(v->sock, &msg, MSG_CMSG_CLOEXEC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return vuc_fail(v, "the server closed the connection");
		if (n < 0)
			return vuc_fail(v, "nothing can be received from the server: %s", strerror(errno));
		take_fds(f, &msg);
		buf = (char *)buf + n;
		len -= (size_t)n;
	}
	if (f->too_many)
		return vuc_fail(
			v, "the server sent more than %d descriptors in a message", VU_CLIENT_MAX_FDS);
	return 0;
}

/* --- replies --- */

static struct vuc_call *find_call(struct vuc_dev *v, const struct vu_header *h)
{
	list_for_each(pos, &v->calls) {
		struct vuc_call *c = container_of(pos, struct vuc_call, link);

		if (c->id == h->id && c->cmd == h->cmd)
			return c;
	}
	return NULL;
}

/* NULL: accepted. Otherwise what is wrong with it. */
static const char *take_reply(struct vuc_dev *v, const struct vu_header *h, uint32_t len, struct fds *f)
{
	struct vuc_call *c = find_call(v, h);
	struct vuc_answer *a;

	if (!c)
		return "a reply to nothing that was asked";
	a = &c->answer;
	if (f->n && !a->ret_fd)
		return "descriptors that nobody asked for";
	/* What the server calls its error becomes our errno: it must be one. */
	if (h->flags & VU_F_ERROR) {
		vuc_call_end(c, h->error && h->error <= ERRNO_MAX ? -(int)h->error : -EIO);
		return NULL;
	}
	if (len < a->min || len > a->max)
		return "a reply of a wrong size";
	if (len)
		memcpy(a->buf, v->rx, len);
	if (a->ret_fd)
		*a->ret_fd = f->n ? TAKE_FD(f->fd[0]) : -1;
	vuc_call_end(c, (int)len);
	return NULL;
}

static int handle_reply(struct vuc_dev *v, const struct vu_header *h, uint32_t len, struct fds *f)
{
	const char *wrong;

	/* The call is on its thread's stack: it goes away as soon as the lock is let go. */
	pthread_mutex_lock(&v->lock);
	wrong = take_reply(v, h, len, f);
	pthread_mutex_unlock(&v->lock);
	return wrong ? vuc_fail(v, "the server sent %s (command %u, %u bytes)", wrong, h->cmd, len) : 0;
}

/* --- commands --- */

static int handle_command(struct vuc_dev *v, const struct vu_header *h, uint32_t len, const struct fds *f)
{
	if (f->n)
		return vuc_fail(v, "the server sent descriptors that nobody asked for");
	if (h->cmd == VU_DMA_READ || h->cmd == VU_DMA_WRITE)
		return vuc_dma_serve(v, h, len);
	return vuc_reply(v, h, ENOTSUP, NULL);
}

/* --- the thread --- */

static int handle_message(struct vuc_dev *v, struct fds *f)
{
	struct vu_header h;
	uint32_t len;
	int r = receive(v, &h, sizeof(h), f);

	if (r < 0)
		return r;
	if (h.size < sizeof(h) || h.size - sizeof(h) > sizeof(v->rx))
		return vuc_fail(v, "the server sent a message of %u bytes", h.size);
	if (h.flags & ~(uint32_t)(VU_TYPE_MASK | VU_F_NO_REPLY | VU_F_ERROR))
		return vuc_fail(v, "the server sent a message with unknown flags %#x", h.flags);
	len = h.size - (uint32_t)sizeof(h);
	r = receive(v, v->rx, len, f);
	if (r < 0)
		return r;
	/* What had come before the end is not carried out after it: the memory may have another use by now. */
	if (vuc_is_dead(v))
		return -ENODEV;
	switch (h.flags & VU_TYPE_MASK) {
	case VU_TYPE_COMMAND:
		return handle_command(v, &h, len, f);
	case VU_TYPE_REPLY:
		return handle_reply(v, &h, len, f);
	default:
		return vuc_fail(v, "the server sent a message of unknown type %u", h.flags & VU_TYPE_MASK);
	}
}

static void *reader_run(void *arg)
{
	struct vuc_dev *v = arg;
	struct err why;
	bool news;
	int r;

	do {
		struct fds f = {.n = 0};

		r = handle_message(v, &f);
		close_fds(&f);
	} while (r == 0);
	/* Nobody might ask for a long time why the device is gone. */
	pthread_mutex_lock(&v->lock);
	news = v->news;
	why = v->why;
	pthread_mutex_unlock(&v->lock);
	if (news)
		log_err("%s: %s: the device is gone", v->pci.uri, why.text);
	return NULL;
}

int vuc_reader_start(struct vuc_dev *v, struct err *e)
{
	sigset_t all, before;
	int r;

	/* Signals are for the threads that expect them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&v->reader, NULL, reader_run, v);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		return err_set(e, -r, "%s: cannot start a thread: %s", v->pci.uri, strerror(r));
	pthread_setname_np(v->reader, "hbad-vfio-user");
	v->has_reader = true;
	return 0;
}

void vuc_reader_stop(struct vuc_dev *v)
{
	if (!v->has_reader)
		return;
	pthread_mutex_lock(&v->lock);
	v->closing = true;
	pthread_mutex_unlock(&v->lock);
	vuc_fail(v, "closed");
	pthread_join(v->reader, NULL);
	v->has_reader = false;
}
