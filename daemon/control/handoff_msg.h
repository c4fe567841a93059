/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages of the hand-off protocol: what came from the socket is checked here before anything looks into it. */
#ifndef HBAD_CONTROL_HANDOFF_MSG_H
#define HBAD_CONTROL_HANDOFF_MSG_H

#include "base/err.h"
#include "hbad/handoff.h"

union handoff_msg {
	struct handoff_head head;
	struct handoff_hello hello;
	struct handoff_check check;
	struct handoff_open open;
	struct handoff_handle handle; /* START, CLOSE */
	struct handoff_resize resize;
};

/*
 * Copies a packet into *ret; what a shorter body lacks is zero, what a longer one has beyond is left out.
 * 0: a request of this version with terminated, printable strings.
 * -EBADMSG: not this protocol, *ret is not to be used: end the connection.
 * -EPROTO, -EINVAL: answer it with the sentence; ret->head is valid.
 */
int handoff_parse(const void *packet, size_t len, bool truncated, union handoff_msg *ret, struct err *e);

/* A reply to the request, all fields defined; reason is copied when status < 0 and e is given. */
void handoff_reply(
	const struct handoff_head *request, int status, const struct err *e, struct handoff_reply *ret);

#endif
