/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines in, JSON out. */
#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "emu.h"

static void drop(struct control_client *cl)
{
	loop_del_fd(cl->control->loop, &cl->ev);
	close(cl->ev.fd);
	cl->used = false;
}

/* The answers are short; who does not read them is dropped. */
static int answer(struct control_client *cl, const char *line)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	ssize_t n = -1;

	if (!out)
		return -ENOMEM;
	emu_command(cl->control->emu, line, out);
	fputc('\n', out);
	if (fclose(out) == 0)
		n = send(cl->ev.fd, text, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	free(text);
	return n == (ssize_t)size ? 0 : -EPIPE;
}

/* Whole lines of what has come. False: drop. */
static bool take_lines(struct control_client *cl)
{
	for (;;) {
		char *end = memchr(cl->line, '\n', cl->have);
		uint32_t used;

		if (!end)
			return cl->have < sizeof(cl->line);
		*end = '\0';
		used = (uint32_t)(end - cl->line) + 1;
		if (strlen(cl->line) + 1 != used || answer(cl, cl->line) < 0)
			return false;
		cl->have -= used;
		memmove(cl->line, end + 1, cl->have);
	}
}

static void on_readable(struct loop_fd *f, uint32_t events)
{
	struct control_client *cl = container_of(f, struct control_client, ev);
	ssize_t n = recv(f->fd, cl->line + cl->have, sizeof(cl->line) - cl->have, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		cl->have += (uint32_t)n;
	if (n <= 0 || !take_lines(cl))
		drop(cl);
}

static void on_connect(struct loop_fd *f, uint32_t events)
{
	struct control *c = container_of(f, struct control, ev);
	int fd = accept4(f->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *cl = &c->client[i];

		if (cl->used)
			continue;
		*cl = (struct control_client){
			.control = c, .ev = {.fd = fd, .cb = on_readable}, .used = true};
		if (loop_add_fd(c->loop, &cl->ev, EPOLLIN) == 0)
			return;
		cl->used = false;
	}
	close(fd);
}

int control_start(struct control *c, struct emu *emu, struct loop *loop, const char *path, struct err *e)
{
	int r = vu_listen(path, e);

	if (r < 0)
		return r;
	c->emu = emu;
	c->loop = loop;
	c->fd = r;
	c->ev = (struct loop_fd){.fd = r, .cb = on_connect};
	snprintf(c->path, sizeof(c->path), "%s", path);
	r = loop_add_fd(loop, &c->ev, EPOLLIN);
	if (r < 0)
		control_stop(c);
	return r;
}

void control_stop(struct control *c)
{
	if (c->fd < 0)
		return;
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		if (c->client[i].used)
			drop(&c->client[i]);
	loop_del_fd(c->loop, &c->ev);
	close(c->fd);
	c->fd = -1;
	unlink(c->path);
}
