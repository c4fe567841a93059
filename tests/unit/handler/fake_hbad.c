/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A scripted hbad: one process, one thread, poll(). Uses only what is safe after a fork. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fake.h"
#include "fake_hbad.h"

#define MAX_CONNS 32

struct conn {
	int fd;
	bool watch, gone;
	int ring_fd; /* OPENed over this connection and not STARTed */
};

static struct conn conns[MAX_CONNS];
static int listen_fd = -1;
static int held_fd = -1; /* a ring that was STARTed */

static const char *const names[] = {
	[HANDOFF_HELLO] = "HELLO",
	[HANDOFF_CHECK] = "CHECK",
	[HANDOFF_OPEN] = "OPEN",
	[HANDOFF_START] = "START",
	[HANDOFF_CLOSE] = "CLOSE",
	[HANDOFF_WATCH] = "WATCH",
	[HANDOFF_PING] = "PING",
	[HANDOFF_GATED] = "GATED",
	[HANDOFF_RESIZE] = "RESIZE",
};

static void say(struct fake_hbad *h, const char *text)
{
	unsigned n = atomic_load(&h->n_log);

	if (n < 512) {
		snprintf(h->log[n], sizeof(h->log[n]), "%s", text);
		atomic_store(&h->n_log, n + 1);
	}
}

/* Can the descriptor be mapped, and is it the ring? */
static const char *look_at_ring(int fd, uint64_t len, uint64_t offset)
{
	const char *verdict = "bad";
	uint64_t *map;

	if (fd < 0)
		return "none";
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
	if (map == MAP_FAILED)
		return "unmappable";
	if (map[4096 / 8] == RING_MAGIC) {
		map[4096 / 8 + 1] = RING_MAGIC;
		verdict = "ok";
	}
	munmap(map, len);
	return verdict;
}

static void log_request(struct fake_hbad *h, const uint8_t *data, size_t n, int fd)
{
	const struct handoff_head *head = (const void *)data;
	const struct handoff_open *o = (const void *)data;
	const struct handoff_handle *handle = (const void *)data;
	const struct handoff_check *c = (const void *)data;
	char text[128];

	snprintf(text, sizeof(text), "%s", names[head->type & 15]);
	if (head->size != n || head->magic != 0x44414248 || head->version != 1 || !head->seq || head->status)
		snprintf(text, sizeof(text), "MALFORMED %u", head->type);
	else if (head->type == HANDOFF_OPEN)
		snprintf(text, sizeof(text), "OPEN %.20s %.30s known=%u blocks=%llu*%u ring=%s", o->device,
			o->cfgstring, o->known, (unsigned long long)o->blocks, o->block_size,
			look_at_ring(fd, o->map_len, o->map_offset));
	else if (head->type == HANDOFF_CHECK)
		snprintf(text, sizeof(text), "CHECK %.60s", c->cfgstring);
	else if (head->type == HANDOFF_RESIZE)
		snprintf(text, sizeof(text), "RESIZE %llx blocks=%llu", (unsigned long long)handle->handle,
			(unsigned long long)((const struct handoff_resize *)data)->blocks);
	else if (head->type == HANDOFF_START || head->type == HANDOFF_CLOSE)
		snprintf(
			text, sizeof(text), "%s %llx", names[head->type], (unsigned long long)handle->handle);
	if (head->type == HANDOFF_OPEN && o->cmd_time_out)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " time_out=%u", o->cmd_time_out);
	say(h, text);
}

static void spoil(enum act act, struct handoff_reply *r, size_t *size)
{
	switch (act) {
	case ACT_REFUSE:
		r->head.status = -EINVAL;
		strcpy(r->reason, "the unit is on holiday: \nwait");
		break;
	case ACT_NOENT:
		r->head.status = -ENOENT;
		break;
	case ACT_DRAINING:
		r->head.status = -EINPROGRESS;
		break;
	case ACT_SHORT:
		r->head.size = 20;
		*size = 20;
		break;
	case ACT_SEQ:
		r->head.seq++;
		break;
	case ACT_MAGIC:
		r->head.magic ^= 1;
		break;
	case ACT_LONG:
		*size = HANDOFF_MAX + 8;
		r->head.size = (uint32_t)*size;
		break;
	case ACT_SIZE:
		r->head.size += 8;
		break;
	case ACT_TYPE:
		r->head.type = HANDOFF_REPLY | HANDOFF_PING;
		break;
	case ACT_POSITIVE:
		r->head.status = 1;
		break;
	case ACT_VERSION:
		r->head.version = 2;
		break;
	case ACT_EPROTO:
		r->head.version = 2;
		r->head.status = -EPROTO;
		break;
	default:
		break;
	}
}

static void answer(struct fake_hbad *h, struct conn *c, enum act act, const struct handoff_head *request)
{
	union {
		struct handoff_reply reply;
		uint8_t bytes[HANDOFF_MAX + 64];
	} m;
	size_t size = sizeof(m.reply);

	memset(&m, 0, sizeof(m));
	m.reply.head.size = sizeof(m.reply);
	m.reply.head.version = 1;
	m.reply.head.type = request->type | 0x80;
	m.reply.head.magic = 0x44414248;
	m.reply.head.seq = request->seq;
	m.reply.handle = request->type == HANDOFF_PING && act != ACT_DROPPED ? 0 : FAKE_HANDLE;
	m.reply.state = atomic_load(&h->state) ? atomic_load(&h->state) : HANDOFF_READY;
	m.reply.pid = (uint32_t)getpid();
	m.reply.wait_ms = atomic_load(&h->wait_ms);
	strcpy(m.reply.version, "9.9-fake");
	spoil(act, &m.reply, &size);
	send(c->fd, &m, size, MSG_NOSIGNAL);
}

static void let_go(struct fake_hbad *h, struct conn *c)
{
	if (c->ring_fd >= 0) {
		close(c->ring_fd);
		c->ring_fd = -1;
		say(h, "dropped");
	}
}

static void obey(struct fake_hbad *h, struct conn *c, const struct handoff_head *request)
{
	enum act act = atomic_load(&h->act[request->type & 15]);

	if (act == ACT_DIE)
		_exit(1);
	if (act == ACT_FREEZE) {
		raise(SIGSTOP);
		return;
	}
	c->gone = act == ACT_HANG_UP;
	if (act == ACT_SILENT || act == ACT_HANG_UP)
		return;
	if (!act && request->type == HANDOFF_WATCH)
		c->watch = true;
	if (!act && request->type == HANDOFF_START) {
		held_fd = c->ring_fd;
		c->ring_fd = -1;
	}
	if (!act && request->type == HANDOFF_CLOSE && held_fd >= 0) {
		close(held_fd);
		held_fd = -1;
	}
	answer(h, c, act, request);
}

static int passed_fd(struct msghdr *mh)
{
	struct cmsghdr *cm = CMSG_FIRSTHDR(mh);
	int fd = -1;

	if (cm && cm->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
	return fd;
}

static void serve(struct fake_hbad *h, struct conn *c)
{
	union {
		struct handoff_head head;
		uint8_t bytes[HANDOFF_MAX];
	} m;
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr cm;
	} control;
	struct iovec iov = {.iov_base = &m, .iov_len = sizeof(m)};
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(c->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n < (ssize_t)sizeof(m.head)) {
		c->gone = true;
		return;
	}
	fd = passed_fd(&mh);
	log_request(h, m.bytes, (size_t)n, fd);
	if (fd >= 0)
		c->ring_fd = fd;
	obey(h, c, &m.head);
}

static void open_socket(struct fake_hbad *h)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/run/%s/handoff.sock", fake.root, h->instance);
	unlink(addr.sun_path);
	listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(listen_fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(listen_fd, 8))
		_exit(3);
	atomic_store(&h->ready, 1);
}

static void take_connection(void)
{
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (int i = 0; fd >= 0 && i < MAX_CONNS; i++) {
		if (conns[i].fd < 0) {
			conns[i] = (struct conn){.fd = fd, .ring_fd = -1};
			return;
		}
	}
}

static void send_stopping(struct conn *c, uint32_t back_s)
{
	struct handoff_event event;

	memset(&event, 0, sizeof(event));
	event.head.size = sizeof(event);
	event.head.version = 1;
	event.head.type = 0x40;
	event.head.magic = 0x44414248;
	event.what = 1;
	event.back_s = back_s;
	send(c->fd, &event, sizeof(event), MSG_NOSIGNAL);
}

static void do_orders(struct fake_hbad *h)
{
	bool stop = atomic_exchange(&h->stop_event, 0), hang_up = atomic_exchange(&h->hang_up_watch, 0);

	if (atomic_load(&h->exit_now))
		_exit(0);
	for (int i = 0; i < MAX_CONNS; i++) {
		if (conns[i].fd < 0 || !conns[i].watch)
			continue;
		if (stop)
			send_stopping(&conns[i], atomic_load(&h->back_s));
		conns[i].gone |= hang_up;
	}
}

static void poll_once(struct fake_hbad *h)
{
	struct pollfd p[MAX_CONNS + 1] = {{.fd = listen_fd, .events = POLLIN}};

	for (int i = 0; i < MAX_CONNS; i++)
		p[i + 1] = (struct pollfd){.fd = conns[i].fd, .events = POLLIN};
	poll(p, MAX_CONNS + 1, 5);
	for (int i = 0; i < MAX_CONNS; i++)
		if (conns[i].fd >= 0 && p[i + 1].revents)
			serve(h, &conns[i]);
	if (p[0].revents)
		take_connection();
	do_orders(h);
	for (int i = 0; i < MAX_CONNS; i++) {
		if (conns[i].fd < 0 || !conns[i].gone)
			continue;
		close(conns[i].fd);
		let_go(h, &conns[i]);
		conns[i].fd = -1;
	}
}

static void live(struct fake_hbad *h)
{
	for (int i = 0; i < MAX_CONNS; i++)
		conns[i].fd = conns[i].ring_fd = -1;
	while (!atomic_load(&h->go) && !atomic_load(&h->exit_now))
		usleep(2000);
	if (atomic_load(&h->exit_now))
		_exit(0);
	open_socket(h);
	for (;;)
		poll_once(h);
}

struct fake_hbad *hbad_new(const char *instance)
{
	struct fake_hbad *h =
		mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t parent = getpid(), pid;

	snprintf(h->instance, sizeof(h->instance), "%s", instance);
	pid = fork();
	if (!pid) {
		/* Whatever becomes of the test, this process does not outlive it. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		live(h);
	}
	h->pid = pid;
	return h;
}

void hbad_start(struct fake_hbad *h)
{
	atomic_store(&h->go, 1);
	while (!atomic_load(&h->ready))
		usleep(1000);
}

const char *hbad_log(struct fake_hbad *h, const char *prefix, unsigned n)
{
	unsigned total = atomic_load(&h->n_log);

	for (unsigned i = 0; i < total; i++)
		if (!strncmp(h->log[i], prefix, strlen(prefix)) && !n--)
			return h->log[i];
	return NULL;
}

unsigned hbad_count(struct fake_hbad *h, const char *prefix)
{
	unsigned n = 0;

	while (hbad_log(h, prefix, n))
		n++;
	return n;
}

bool hbad_alive(struct fake_hbad *h)
{
	siginfo_t info = {0};

	/* Does not reap it: the plugin has a pidfd of it. */
	return !waitid(P_PID, (id_t)h->pid, &info, WEXITED | WNOHANG | WNOWAIT) && !info.si_pid;
}

void hbad_wait_dead(struct fake_hbad *h)
{
	siginfo_t info;

	waitid(P_PID, (id_t)h->pid, &info, WEXITED | WNOWAIT);
}

void hbad_free(struct fake_hbad *h)
{
	kill(h->pid, SIGKILL);
	waitpid(h->pid, NULL, 0);
	munmap(h, sizeof(*h));
}
