/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The socket of the emulated function, and the life of its client. */
#include "vu_server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define HELLO_MS 10000
/* Commands of a turn; then timers and the controller have theirs. */
#define TURN 64

void vu_server_drop(struct vu_server *s, const char *why)
{
	if (!s->connected)
		return;
	log_info("client %llu: closed, %s", (unsigned long long)s->stats->connections, why);
	loop_disarm(&s->hello);
	loop_disarm(&s->reset_end);
	s->resetting = false;
	loop_del_fd(s->loop, &s->conn_ev);
	/* First nobody can reach its memory, then it is unmapped. */
	s->fn->host = NULL;
	s->connected = s->negotiated = false;
	pcifn_client_gone(s->fn);
	vu_dma_clear(&s->dma);
	vu_conn_fini(&s->conn);
}

static void judge(struct vu_server *s, int r)
{
	if (s->conn.broken) {
		log_warn("client %llu broke the protocol: %s", (unsigned long long)s->stats->connections,
			s->conn.broken);
		s->stats->bad_messages++;
		vu_server_drop(s, s->conn.broken);
	} else if (r == -EPIPE) {
		vu_server_drop(s, "it left");
	}
}

/* Up to n commands. True if there was one. */
static bool serve(struct vu_server *s, unsigned n)
{
	bool any = false;
	int r = 0;

	while (n-- && s->connected && !s->conn.broken && !s->resetting) {
		struct vu_msg *m;

		r = vu_conn_next(&s->conn, &m);
		if (r <= 0)
			break;
		any = true;
		r = vu_command(s, m);
		vu_msg_free(m);
		if (r < 0)
			break;
	}
	if (s->connected)
		judge(s, r);
	return any;
}

static void on_readable(struct loop_fd *f, uint32_t events)
{
	struct vu_server *s = container_of(f, struct vu_server, conn_ev);

	/* Nothing else is watched for then. */
	if (s->resetting)
		vu_server_drop(s, "it left during a reset");
	else
		serve(s, TURN);
}

static void watch(struct vu_server *s, uint32_t events)
{
	loop_del_fd(s->loop, &s->conn_ev);
	if (loop_add_fd(s->loop, &s->conn_ev, events) < 0)
		vu_server_drop(s, "its socket cannot be watched");
}

static void on_reset_end(struct loop_timer *t)
{
	struct vu_server *s = container_of(t, struct vu_server, reset_end);

	s->resetting = false;
	watch(s, EPOLLIN);
	if (s->connected)
		judge(s, vu_conn_reply(&s->conn, &s->reset, NULL, 0, NULL, 0, -1));
}

void vu_server_reset_lasts(struct vu_server *s, const struct vu_header *h, uint32_t ms)
{
	s->reset = *h;
	s->resetting = true;
	loop_arm(s->loop, &s->reset_end, clock_ns() + ms * NS_PER_MS);
	watch(s, EPOLLRDHUP);
}

/* The controller's turn, then what came while it waited for the client's memory. */
static bool on_hook(struct loop_hook *h)
{
	struct vu_server *s = container_of(h, struct vu_server, hook);
	bool any = s->fn->ctrl && s->fn->model->work(s->fn->ctrl);

	if (s->connected && s->conn.broken)
		judge(s, 0);
	if (s->connected && s->conn.n_backlog)
		any |= serve(s, s->conn.n_backlog);
	return any;
}

static void on_hello(struct loop_timer *t)
{
	struct vu_server *s = container_of(t, struct vu_server, hello);

	s->stats->bad_messages++;
	vu_server_drop(s, "it did not negotiate");
}

static int host_dma(
	struct pcifn_host *host, uint64_t addr, void *buf, uint32_t len, bool to_client, uint64_t *ret_at)
{
	struct vu_server *s = container_of(host, struct vu_server, host);

	return vu_dma_move(&s->dma, &s->conn, addr, buf, len, to_client, ret_at);
}

/* --- who may come --- */

static bool has_left(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void on_connect(struct loop_fd *f, uint32_t events)
{
	struct vu_server *s = container_of(f, struct vu_server, listen_ev);
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (s->connected && has_left(s->conn.fd))
		vu_server_drop(s, "it left");
	if (s->connected) {
		log_warn("another client was sent away: this device has one already");
		close(fd);
		return;
	}
	vu_conn_init(&s->conn, fd);
	s->conn_ev.fd = fd;
	if (loop_add_fd(s->loop, &s->conn_ev, EPOLLIN) < 0) {
		vu_conn_fini(&s->conn);
		return;
	}
	s->connected = true;
	s->stats->connections++;
	s->fn->host = &s->host;
	loop_arm(s->loop, &s->hello, clock_ns() + HELLO_MS * NS_PER_MS);
	log_info("client %llu: connected", (unsigned long long)s->stats->connections);
}

/* A socket file whose server died is in the way of bind(). */
static bool is_orphan(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool orphan =
		fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 && errno == ECONNREFUSED;

	if (fd >= 0)
		close(fd);
	return orphan;
}

static int bind_socket(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r;

	if (fd < 0)
		return -errno;
	r = bind(fd, (const struct sockaddr *)a, sizeof(*a));
	if (r < 0 && errno == EADDRINUSE && is_orphan(a)) {
		unlink(a->sun_path);
		r = bind(fd, (const struct sockaddr *)a, sizeof(*a));
	}
	if (r == 0)
		r = listen(fd, 8);
	if (r < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

int vu_listen(const char *path, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(e, -ENAMETOOLONG, "%s: the path of a socket has at most %zu characters", path,
			sizeof(a.sun_path) - 1);
	memcpy(a.sun_path, path, strlen(path) + 1);
	fd = bind_socket(&a);
	if (fd < 0)
		return err_set(e, fd, "%s: cannot make the socket (%s)%s", path, strerror(-fd),
			fd == -EADDRINUSE ? "; another program serves it" : "");
	return fd;
}

int vu_server_open(struct vu_server *s, struct err *e)
{
	int r;

	if (s->listen_fd >= 0)
		return 0;
	r = vu_listen(s->path, e);
	if (r < 0)
		return r;
	s->listen_fd = s->listen_ev.fd = r;
	r = loop_add_fd(s->loop, &s->listen_ev, EPOLLIN);
	if (r < 0)
		vu_server_close(s);
	return r;
}

int vu_server_close(struct vu_server *s)
{
	vu_server_drop(s, "the device is taken away");
	if (s->listen_fd < 0)
		return 0;
	loop_del_fd(s->loop, &s->listen_ev);
	close(s->listen_fd);
	s->listen_fd = -1;
	unlink(s->path);
	return 0;
}

int vu_server_start(struct vu_server *s, struct loop *loop, struct pcifn *fn, const char *path, struct err *e)
{
	memset(s, 0, sizeof(*s));
	s->loop = loop;
	s->fn = fn;
	s->stats = fn->stats;
	s->host.dma = host_dma;
	s->listen_fd = s->conn.fd = -1;
	s->listen_ev.cb = on_connect;
	s->conn_ev.cb = on_readable;
	s->hook.cb = on_hook;
	s->hello.cb = on_hello;
	s->reset_end.cb = on_reset_end;
	vu_dma_init(&s->dma);
	loop_add_hook(loop, &s->hook);
	snprintf(s->path, sizeof(s->path), "%s", path);
	if (strlen(path) >= sizeof(s->path)) {
		loop_del_hook(&s->hook);
		return err_set(e, -ENAMETOOLONG, "%s: too long for a socket", path);
	}
	return vu_server_open(s, e);
}

void vu_server_stop(struct vu_server *s)
{
	if (!s->loop)
		return;
	vu_server_close(s);
	loop_del_hook(&s->hook);
	s->loop = NULL;
}
