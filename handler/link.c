/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections to hbad: SOCK_SEQPACKET, one packet per message. */
#include "link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "base/cleanup.h"
#include "place.h"

#define BACKLOG_RETRY_MS 50

/* Both ends are built from the same header, but not always from the same release. */
static_assert(sizeof(struct handoff_head) == 24, "handoff_head");
static_assert(offsetof(struct handoff_head, magic) == 8, "handoff_head.magic");
static_assert(offsetof(struct handoff_head, status) == 16, "handoff_head.status");
static_assert(sizeof(struct handoff_hello) == 104, "handoff_hello");
static_assert(offsetof(struct handoff_reply, handle) == 24, "handoff_reply.handle");
static_assert(offsetof(struct handoff_reply, reason) == 104, "handoff_reply.reason");
static_assert(offsetof(struct handoff_reply, wait_ms) == 584, "handoff_reply.wait_ms");
static_assert(sizeof(struct handoff_check) == 280, "handoff_check");
static_assert(offsetof(struct handoff_open, cfgstring) == 40, "handoff_open.cfgstring");
static_assert(offsetof(struct handoff_open, map_len) == 360, "handoff_open.map_len");
static_assert(offsetof(struct handoff_open, cmd_time_out) == 392, "handoff_open.cmd_time_out");
static_assert(sizeof(struct handoff_open) == 400, "handoff_open");
static_assert(sizeof(struct handoff_handle) == 32, "handoff_handle");
static_assert(offsetof(struct handoff_event, what) == 24, "handoff_event.what");
static_assert(sizeof(struct handoff_resize) == 40, "handoff_resize");

/* Whoever listens may be killed by us, who are root; and hbad's user, who owns the folder, may lay anybody's socket
 * there, or keep one open whose listener has long ended and left its id to another process. So both must be the
 * folder's owner. The folder itself lies in one of root's. */
static int check_owner(const char *folder, uid_t listener, pid_t pid)
{
	struct stat st;
	uid_t user;
	int r;

	if (lstat(folder, &st))
		return -errno;
	r = proc_user(pid, &user);
	if (r)
		return r == -ESRCH ? -ECONNREFUSED : r;
	return S_ISDIR(st.st_mode) && st.st_uid == listener && st.st_uid == user ? 0 : -EPERM;
}

/* Who listens. The socket must still be connected afterwards: a process closes its sockets before its id can be
 * used again, so the id named the process that listens when the pidfd was made. */
static int take_pidfd(int fd, const char *folder, int *ret_pidfd, pid_t *ret_pid)
{
	struct pollfd p = {.fd = fd};
	struct ucred cred;
	socklen_t len = sizeof(cred);
	hb_autoclose int pidfd = -1;
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return -errno;
	pidfd = proc_open(cred.pid);
	if (pidfd < 0)
		return pidfd == -ESRCH ? -ECONNREFUSED : pidfd;
	/* The pidfd holds on to the process: if it is alive afterwards, it was that one's user. */
	r = check_owner(folder, cred.uid, cred.pid);
	if (r)
		return r;
	if (proc_dead(pidfd))
		return -ECONNREFUSED;
	if (poll(&p, 1, 0) < 0 || (p.revents & (POLLHUP | POLLERR)))
		return -ECONNREFUSED;
	*ret_pidfd = TAKE_FD(pidfd);
	*ret_pid = cred.pid;
	return 0;
}

/* A full backlog (a process that does not accept) cannot be waited for with poll(). */
static int connect_until(int fd, const struct sockaddr_un *addr, struct until u)
{
	while (connect(fd, (const struct sockaddr *)addr, sizeof(*addr))) {
		struct until pause = until_ms(BACKLOG_RETRY_MS, u.cancel_fd);

		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (clock_ns() >= u.deadline_ns)
			return -ETIMEDOUT;
		pause.deadline_ns = MIN(pause.deadline_ns, u.deadline_ns);
		if (until_slept(pause))
			return -ECANCELED;
	}
	return 0;
}

int link_connect(struct link *l, const char *instance, struct until u)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char folder[sizeof(addr.sun_path)];
	hb_autoclose int fd = -1;
	int n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s/" HBAD_HANDOFF_SOCKET, place_runtime(),
		instance);
	int pidfd = -1, r;
	pid_t pid = -1;

	if (n < 0 || (size_t)n >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	snprintf(folder, sizeof(folder), "%s/%s", place_runtime(), instance);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = connect_until(fd, &addr, u);
	if (!r)
		r = take_pidfd(fd, folder, &pidfd, &pid);
	if (r)
		return r;
	*l = (struct link){.fd = TAKE_FD(fd), .pidfd = pidfd, .pid = pid};
	return 0;
}

void link_close(struct link *l)
{
	hb_close(&l->fd);
	hb_close(&l->pidfd);
}

const char *link_error(int r)
{
	switch (r) {
	case -ENOTCONN:
	case -ECONNRESET:
		return "it closed the connection";
	case -ETIMEDOUT:
		return "it does not answer";
	case -EBADMSG:
		return "its answer breaks the hand-off protocol";
	case -ECANCELED:
		return "the device is being closed";
	case -EPERM:
		return "who listens is not the owner of its folder";
	default:
		return strerror(-r);
	}
}

static void attach_fd(struct msghdr *mh, struct cmsghdr *cm, int fd)
{
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
	mh->msg_control = cm;
	mh->msg_controllen = CMSG_SPACE(sizeof(fd));
}

int link_send(struct link *l, void *msg, size_t size, enum handoff_type type, int pass_fd, struct until u)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr cm;
	} control = {{0}};
	struct iovec iov = {.iov_base = msg, .iov_len = size};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	struct handoff_head *head = msg;

	*head = (struct handoff_head){
		.size = (uint32_t)size,
		.version = HANDOFF_VERSION,
		.type = (uint16_t)type,
		.magic = HANDOFF_MAGIC,
		.seq = ++l->seq,
	};
	if (pass_fd >= 0)
		attach_fd(&mh, &control.cm, pass_fd);
	while (sendmsg(l->fd, &mh, MSG_NOSIGNAL) < 0) {
		int r = -ENOTCONN;

		if (errno == EINTR)
			continue;
		if (errno == EAGAIN)
			r = until_ready(u, l->fd, POLLOUT);
		if (r)
			return r;
	}
	return 0;
}

/* --- what comes back --- */

/* Texts of the peer end up in logs and on terminals. */
static void make_text(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

static void finish_reply(struct handoff_reply *r)
{
	make_text(r->version, sizeof(r->version));
	make_text(r->reason, sizeof(r->reason));
	if (r->head.status < 0 && !r->reason[0] && r->head.version != HANDOFF_VERSION)
		snprintf(r->reason, sizeof(r->reason),
			"hbad %s speaks version %u of the hand-off protocol and this plugin version %d: "
			"install both "
			"from the same release, then restart tcmu-runner",
			r->version, r->head.version, HANDOFF_VERSION);
	else if (r->head.status < 0 && !r->reason[0])
		snprintf(r->reason, sizeof(r->reason), "hbad refuses: %s", strerror(-r->head.status));
}

/* The head of a packet of n bytes: is it a reply or an event of a version that we understand? */
static int check_head(const struct handoff_head *h, size_t n)
{
	if (h->magic != HANDOFF_MAGIC || h->size != n)
		return -EBADMSG;
	if (h->type == HANDOFF_EVENT)
		return h->version == HANDOFF_VERSION ? 0 : -EBADMSG;
	if (!(h->type & HANDOFF_REPLY) || h->status > 0 || h->status == INT32_MIN)
		return -EBADMSG;
	/* All that one may say in a version which the other does not know is that it is so. */
	return h->version == HANDOFF_VERSION || h->status == -EPROTO ? 0 : -EBADMSG;
}

static int parse(const uint8_t *data, size_t n, union link_message *ret)
{
	union link_message m = {.reply = {.handle = 0}};
	size_t own;
	int r;

	if (n < sizeof(m.head))
		return -EBADMSG;
	memcpy(&m.head, data, sizeof(m.head));
	r = check_head(&m.head, n);
	if (r)
		return r;
	own = m.head.type == HANDOFF_EVENT ? sizeof(m.event) : sizeof(m.reply);
	memcpy(&m, data, MIN(n, own));
	if (m.head.type != HANDOFF_EVENT)
		finish_reply(&m.reply);
	*ret = m;
	return 1;
}

int link_receive(struct link *l, union link_message *ret)
{
	uint8_t data[HANDOFF_MAX];
	struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
	/* No room for control messages: the kernel drops descriptors that somebody may attach. */
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	do
		n = recvmsg(l->fd, &mh, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return -ECONNRESET;
	return mh.msg_flags & MSG_TRUNC ? -EBADMSG : parse(data, (size_t)n, ret);
}

static int wait_reply(struct link *l, enum handoff_type type, struct until u, struct handoff_reply *ret)
{
	union link_message m;
	int r;

	for (;;) {
		r = until_ready(u, l->fd, POLLIN);
		if (!r)
			r = link_receive(l, &m);
		if (r < 0)
			return r;
		/* Events are for the watcher's own loop; hbad sends none before it has answered WATCH. */
		if (r && m.head.type != HANDOFF_EVENT)
			break;
	}
	if (m.head.type != (type | HANDOFF_REPLY) || m.head.seq != l->seq)
		return -EBADMSG;
	*ret = m.reply;
	return 0;
}

int link_call(struct link *l, void *msg, size_t size, enum handoff_type type, int pass_fd, struct until u,
	struct handoff_reply *ret)
{
	int r = link_send(l, msg, size, type, pass_fd, u);

	return r ? r : wait_reply(l, type, u, ret);
}
