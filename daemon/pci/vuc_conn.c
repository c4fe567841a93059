/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vfio-user: commands, who waits for them and how long, and the one way in which a connection ends. */
#include "vuc.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/clock.h"

int vuc_conn_init(struct vuc_dev *v)
{
	pthread_condattr_t attr;
	int r;

	list_init(&v->calls);
	pthread_mutex_init(&v->lock, NULL);
	pthread_mutex_init(&v->maps_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	r = pthread_cond_init(&v->turn, &attr);
	pthread_condattr_destroy(&attr);
	return -r;
}

void vuc_conn_fini(struct vuc_dev *v)
{
	pthread_cond_destroy(&v->turn);
	pthread_mutex_destroy(&v->maps_lock);
	pthread_mutex_destroy(&v->lock);
}

/* --- the end --- */

void vuc_call_end(struct vuc_call *c, int result)
{
	list_remove(&c->link);
	c->result = result;
	c->done = true;
	pthread_cond_signal(&c->ended);
}

static void fail_locked(struct vuc_dev *v, const char *why)
{
	if (v->dead)
		return;
	v->dead = true;
	v->news = v->ready && !v->closing;
	err_set(&v->why, 0, "%s", why);
	list_for_each_safe(pos, &v->calls)
		vuc_call_end(container_of(pos, struct vuc_call, link), -ENODEV);
	if (!v->closing)
		vuc_blank_bars(v);
	pthread_cond_broadcast(&v->turn);
	/* Wakes the reader, and whoever polls for room. None of these calls waits. */
	shutdown(v->sock, SHUT_RDWR);
	if (v->end_fd >= 0)
		eventfd_write(v->end_fd, 1);
}

int vuc_fail(struct vuc_dev *v, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&v->lock);
	fail_locked(v, why);
	pthread_mutex_unlock(&v->lock);
	return -ENODEV;
}

bool vuc_is_dead(struct vuc_dev *v)
{
	bool dead;

	pthread_mutex_lock(&v->lock);
	dead = v->dead;
	pthread_mutex_unlock(&v->lock);
	return dead;
}

int vuc_error(struct vuc_dev *v, int r, struct err *e, const char *what)
{
	struct err why = {""};

	pthread_mutex_lock(&v->lock);
	if (v->dead)
		why = v->why;
	pthread_mutex_unlock(&v->lock);
	if (why.text[0])
		return err_set(e, -ENODEV, "%s: %s", v->pci.uri, why.text);
	return err_set(e, r, "%s: the server refuses %s: %s", v->pci.uri, what, strerror(-r));
}

/* --- time --- */

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){(time_t)(ns / NS_PER_SEC), (long)(ns % NS_PER_SEC)};
}

static int wait_until(struct vuc_dev *v, pthread_cond_t *cond, uint64_t deadline)
{
	struct timespec ts = to_timespec(deadline);

	return pthread_cond_timedwait(cond, &v->lock, &ts);
}

/* The server works in order, so what is sent now may have to wait for what was sent before. With lock held. */
static uint64_t deadline_after(struct vuc_dev *v, unsigned ms)
{
	uint64_t d = clock_ns() + ms * NS_PER_MS;

	list_for_each(pos, &v->calls)
		d = MAX(d, container_of(pos, struct vuc_call, link)->deadline);
	return d;
}

/* --- sending --- */

static int wait_for_room(struct vuc_dev *v, uint64_t deadline)
{
	struct pollfd p = {.fd = v->sock, .events = POLLOUT};
	uint64_t now = clock_ns();
	struct timespec left = to_timespec(deadline > now ? deadline - now : 0);
	int n = ppoll(&p, 1, &left, NULL);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n ? 0 : -ETIMEDOUT;
}

static void skip(struct msghdr *msg, size_t n)
{
	/* The descriptors went with the first byte. */
	msg->msg_control = NULL;
	msg->msg_controllen = 0;
	while (msg->msg_iovlen && n >= msg->msg_iov->iov_len) {
		n -= msg->msg_iov->iov_len;
		msg->msg_iov++;
		msg->msg_iovlen--;
	}
	if (msg->msg_iovlen) {
		msg->msg_iov->iov_base = (char *)msg->msg_iov->iov_base + n;
		msg->msg_iov->iov_len -= n;
	}
}

static int push(struct vuc_dev *v, struct msghdr *msg, uint64_t deadline)
{
	while (msg->msg_iovlen) {
		ssize_t n = sendmsg(v->sock, msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		int r = 0;

		if (n >= 0)
			skip(msg, (size_t)n);
		else if (errno == EAGAIN)
			r = wait_for_room(v, deadline);
		else if (errno != EINTR)
			r = -errno;
		if (r < 0)
			return r;
	}
	return 0;
}

/* Waits for our turn. */
static int begin_sending(struct vuc_dev *v, uint64_t deadline)
{
	int r = 0;

	pthread_mutex_lock(&v->lock);
	while (v->sending && !v->dead && r != ETIMEDOUT)
		r = wait_until(v, &v->turn, deadline);
	r = v->dead ? -ENODEV : v->sending ? -ETIMEDOUT : 0;
	if (r == 0)
		v->sending = true;
	pthread_mutex_unlock(&v->lock);
	return r;
}

static void end_sending(struct vuc_dev *v)
{
	pthread_mutex_lock(&v->lock);
	v->sending = false;
	pthread_cond_signal(&v->turn);
	pthread_mutex_unlock(&v->lock);
}

static void attach_fds(struct msghdr *msg, const struct vuc_msg *m, void *control)
{
	struct cmsghdr *c;

	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(m->n_fds * sizeof(int));
	c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(m->n_fds * sizeof(int));
	memcpy(CMSG_DATA(c), m->fds, m->n_fds * sizeof(int));
}

static int send_failed(struct vuc_dev *v, int r)
{
	if (r == -ETIMEDOUT)
		return vuc_fail(v, "the server does not read its socket");
	if (r == -EPIPE || r == -ECONNRESET)
		return vuc_fail(v, "the server closed the connection");
	return vuc_fail(v, "nothing can be sent to the server: %s", strerror(-r));
}

static int send_msg(struct vuc_dev *v, struct vu_header *h, const struct vuc_msg *m, uint64_t deadline)
{
	/* Room for all vectors at once, which is less than the kernel lets through in a message (253). */
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(PCI_MAX_VECTORS * sizeof(int))] = {0};
	struct iovec iov[] = {
		{h, sizeof(*h)}, {(void *)m->head, m->head_len}, {(void *)m->data, m->data_len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = ARRAY_SIZE(iov)};
	int r;

	assert(m->n_fds <= PCI_MAX_VECTORS);
	h->size = (uint32_t)sizeof(*h) + m->head_len + m->data_len;
	if (m->n_fds)
		attach_fds(&msg, m, control);
	r = begin_sending(v, deadline);
	if (r == -ETIMEDOUT)
		return send_failed(v, r);
	if (r < 0)
		return r;
	r = push(v, &msg, deadline);
	/* Half a message cannot be taken back: the end comes before anybody else has a turn. */
	if (r < 0)
		r = send_failed(v, r);
	end_sending(v);
	return r;
}

/* --- commands --- */

static const char *const cmd_name[] = {
	[VU_VERSION] = "VERSION",
	[VU_DMA_MAP] = "DMA_MAP",
	[VU_DMA_UNMAP] = "DMA_UNMAP",
	[VU_DEVICE_GET_INFO] = "DEVICE_GET_INFO",
	[VU_DEVICE_GET_REGION_INFO] = "DEVICE_GET_REGION_INFO",
	[VU_DEVICE_GET_IRQ_INFO] = "DEVICE_GET_IRQ_INFO",
	[VU_DEVICE_SET_IRQS] = "DEVICE_SET_IRQS",
	[VU_REGION_READ] = "REGION_READ",
	[VU_REGION_WRITE] = "REGION_WRITE",
	[VU_DEVICE_RESET] = "DEVICE_RESET",
};

static bool id_in_use(struct vuc_dev *v, uint16_t id)
{
	list_for_each(pos, &v->calls)
		if (container_of(pos, struct vuc_call, link)->id == id)
			return true;
	return false;
}

static int call_begin(struct vuc_dev *v, struct vuc_call *c, unsigned ms)
{
	pthread_condattr_t attr;
	int r = -ENODEV;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->ended, &attr);
	pthread_condattr_destroy(&attr);
	list_init(&c->link);
	pthread_mutex_lock(&v->lock);
	if (!v->dead) {
		do
			c->id = v->next_id++;
		while (id_in_use(v, c->id));
		c->deadline = deadline_after(v, ms);
		list_append(&v->calls, &c->link);
		r = 0;
	}
	pthread_mutex_unlock(&v->lock);
	return r;
}

static int call_wait(struct vuc_dev *v, struct vuc_call *c, unsigned ms)
{
	char why[96];
	int r = 0;

	pthread_mutex_lock(&v->lock);
	while (!c->done && r != ETIMEDOUT)
		r = wait_until(v, &c->ended, c->deadline);
	if (!c->done) {
		snprintf(why, sizeof(why), "the server did not answer %s within %u ms", cmd_name[c->cmd], ms);
		fail_locked(v, why); /* ends this call too */
	}
	r = c->result;
	pthread_mutex_unlock(&v->lock);
	return r;
}

int vuc_call(struct vuc_dev *v, const struct vuc_msg *m, const struct vuc_answer *answer, unsigned ms)
{
	struct vuc_call c = {.cmd = m->cmd};
	struct vu_header h = {.cmd = m->cmd, .flags = VU_TYPE_COMMAND};
	int r;

	if (answer)
		c.answer = *answer;
	r = call_begin(v, &c, ms);
	if (r == 0) {
		h.id = c.id;
		/* When this fails, the connection has ended, and the call with it. */
		send_msg(v, &h, m, c.deadline);
		r = call_wait(v, &c, ms);
	}
	pthread_cond_destroy(&c.ended);
	return r;
}

int vuc_post(struct vuc_dev *v, const struct vuc_msg *m)
{
	struct vu_header h = {.cmd = m->cmd, .flags = VU_TYPE_COMMAND | VU_F_NO_REPLY};
	uint64_t deadline;

	pthread_mutex_lock(&v->lock);
	deadline = deadline_after(v, v->times->access_ms);
	do
		h.id = v->next_id++;
	while (id_in_use(v, h.id));
	pthread_mutex_unlock(&v->lock);
	return send_msg(v, &h, m, deadline);
}

int vuc_reply(struct vuc_dev *v, const struct vu_header *h, int error, const struct vuc_msg *m)
{
	static const struct vuc_msg none = {0};
	struct vu_header reply = {.id = h->id,
		.cmd = h->cmd,
		.flags = VU_TYPE_REPLY | (error ? VU_F_ERROR : 0),
		.error = (uint32_t)error};

	if (h->flags & VU_F_NO_REPLY)
		return 0;
	return send_msg(v, &reply, error ? &none : m, clock_ns() + v->times->access_ms * NS_PER_MS);
}
