/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client's end of include/hbad/handoff.h: a connection to one hbad, and calls over it. Every function has a
 * deadline (hazard H24) and raises no signal. No locks; a link belongs to one thread at a time.
 */
#ifndef HBAD_HANDLER_LINK_H
#define HBAD_HANDLER_LINK_H

#include <hbad/handoff.h>
#include "base/err.h"
#include "proc.h"

struct link {
	int fd, pidfd;
	pid_t pid;
	uint32_t seq;
};

#define LINK_INIT ((struct link){.fd = -1, .pidfd = -1})

/*
 * Connects and takes a pidfd of the process that listens. -ENOENT or -ECONNREFUSED: nobody is there (and nobody
 * who was there has the socket any more); -ETIMEDOUT: it does not accept; -ECANCELED. *l is untouched on failure.
 */
int link_connect(struct link *l, const char *instance, struct until u);
void link_close(struct link *l); /* closed ones are fine; closes the pidfd too */

/*
 * Sends msg (its head is filled in here) with pass_fd (-1: none) and waits for the reply. 0: *ret is a valid reply,
 * whose head.status is the peer's verdict. Else *ret is untouched:
 *   -ENOTCONN	the message was not delivered
 *   -ECONNRESET	the connection ended instead of an answer
 *   -ETIMEDOUT	no answer
 *   -EBADMSG	the answer breaks the protocol
 *   -ECANCELED	u.cancel_fd became readable
 * After a failure the link is good for link_close() only: a late reply would be taken for the next one.
 */
int link_call(struct link *l, void *msg, size_t size, enum handoff_type type, int pass_fd, struct until u,
	struct handoff_reply *ret);
/* For people: what link_call() returned. */
const char *link_error(int r);

/* Without waiting for an answer. */
int link_send(struct link *l, void *msg, size_t size, enum handoff_type type, int pass_fd, struct until u);

/* What arrived, checked: a reply (to whichever request) or an event. */
union link_message {
	struct handoff_head head;
	struct handoff_reply reply;
	struct handoff_event event;
};
/* 1: *ret is valid; 0: nothing is there; -ECONNRESET, -EBADMSG. Does not wait. */
int link_receive(struct link *l, union link_message *ret);

#endif
