/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Saying HELLO. */
#include "hello.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include "hlog.h"
#include "instance.h"
#include "place.h"
#include "timing.h"

static void fill(struct handoff_hello *msg)
{
	*msg = (struct handoff_hello){.version = HBAD_VERSION};
	memcpy(msg->nonce, registry_nonce(), sizeof(msg->nonce));
}

int hello_one(struct link *l, struct until u, uint32_t *ret_wait_ms, struct err *e)
{
	struct handoff_hello msg;
	struct handoff_reply reply;
	int r;

	fill(&msg);
	r = link_call(l, &msg, sizeof(msg), HANDOFF_HELLO, -1, u, &reply);
	if (r)
		return err_set(e, r, "%s", link_error(r));
	*ret_wait_ms = reply.wait_ms;
	return reply.head.status ? err_set(e, reply.head.status, "%s", reply.reason) : 0;
}

/* Sends to all before it waits for any, so that the slowest one decides how long it takes. */
static bool say(struct link *l, const char *name, struct until u)
{
	/* A full backlog is not waited for here: it would take from the others' time. */
	struct until now = {.deadline_ns = 0, .cancel_fd = -1};
	struct handoff_hello msg;
	int r = link_connect(l, name, now);

	if (r == -ENOENT || r == -ECONNREFUSED)
		return false; /* nobody is there who could hold a ring */
	fill(&msg);
	if (!r)
		r = link_send(l, &msg, sizeof(msg), HANDOFF_HELLO, -1, u);
	if (!r)
		return true;
	hlog_warn("hbad@%s: cannot greet it: %s", name, link_error(r));
	link_close(l);
	return false;
}

static void hear(struct link *l, const char *name, struct until u)
{
	union link_message m = {.reply = {.handle = 0}};
	int r = until_ready(u, l->fd, POLLIN);

	if (!r)
		r = link_receive(l, &m);
	if (r == 1 && m.head.type == (HANDOFF_HELLO | HANDOFF_REPLY) && m.head.seq == l->seq)
		r = m.head.status;
	else if (r >= 0)
		r = -EBADMSG;
	if (!r)
		hlog_info("hbad@%s %s is there", name, m.reply.version);
	else
		hlog_warn("hbad@%s (process %d) did not let go of older rings: %s", name, (int)l->pid,
			m.head.status < 0 && r == m.head.status ? m.reply.reason : link_error(r));
}

void hello_all(void)
{
	struct until u = until_ms(timing.hello, -1);
	char names[PLACE_MAX_INSTANCES][33];
	struct link links[PLACE_MAX_INSTANCES];
	bool more, said[PLACE_MAX_INSTANCES];
	unsigned n = place_sockets(names, PLACE_MAX_INSTANCES, &more);

	for (unsigned i = 0; i < n; i++) {
		links[i] = LINK_INIT;
		said[i] = say(&links[i], names[i], u);
	}
	for (unsigned i = 0; i < n; i++) {
		if (said[i])
			hear(&links[i], names[i], u);
		link_close(&links[i]);
	}
	if (more)
		hlog_warn("more than %d instances of hbad: the rest is greeted when its devices are",
			PLACE_MAX_INSTANCES);
}
