/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What hbad says over the hand-off socket, as tcmu-runner, a process with other people's handlers in it, reads it: the input is a
 * packet. */
#include <errno.h>
#include <sys/socket.h>
#include "fuzz.h"
#include "handler/link.h"

static void check_string(const char *s, size_t size)
{
	const char *end = memchr(s, '\0', size);

	ck_assert_ptr_nonnull(end);
	for (; s < end; s++)
		ck_assert((unsigned char)*s >= 0x20 && *s != 0x7f);
}

static void check_reply(const struct handoff_reply *r)
{
	ck_assert(r->head.status <= 0);
	ck_assert(r->head.version == HANDOFF_VERSION || r->head.status == -EPROTO);
	check_string(r->version, sizeof(r->version));
	check_string(r->reason, sizeof(r->reason));
	ck_assert(!r->head.status || r->reason[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int ends[2] = {-1, -1};
	struct link l = LINK_INIT;
	union link_message m;
	int r;

	if (ends[0] < 0)
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	/* Nothing at all would look like its end. */
	if (!size)
		return 0;
	ck_assert_int_eq(send(ends[1], data, size, 0), (ssize_t)size);
	l.fd = ends[0];
	r = link_receive(&l, &m);
	ck_assert(r == 1 || r == -EBADMSG);
	ck_assert_uint_eq(link_receive(&l, &(union link_message){0}), 0);
	if (r == 1 && m.head.type != HANDOFF_EVENT)
		check_reply(&m.reply);
	return 0;
}
