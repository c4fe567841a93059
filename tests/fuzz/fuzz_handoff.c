/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets of the hand-off socket: the input is one, its first byte says whether it was cut. */
#include <errno.h>
#include "control/handoff_msg.h"
#include "fuzz.h"

static void check_string(const char *s, size_t size)
{
	const char *end = memchr(s, '\0', size);

	ck_assert_ptr_nonnull(end);
	for (; s < end; s++)
		ck_assert((unsigned char)*s >= 0x20 && *s != 0x7f);
}

static void check_message(const union handoff_msg *m)
{
	switch (m->head.type) {
	case HANDOFF_HELLO:
		check_string(m->hello.version, sizeof(m->hello.version));
		break;
	case HANDOFF_CHECK:
		check_string(m->check.cfgstring, sizeof(m->check.cfgstring));
		break;
	case HANDOFF_OPEN:
		check_string(m->open.cfgstring, sizeof(m->open.cfgstring));
		check_string(m->open.device, sizeof(m->open.device));
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	bool truncated = take8(&in) & 1;
	struct handoff_reply reply;
	struct err e = {""};
	union handoff_msg m;
	int r = handoff_parse(in.p, in.n, truncated, &m, &e);

	ck_assert(r == 0 || r == -EBADMSG || r == -EPROTO || r == -EINVAL);
	ck_assert(r == 0 || e.text[0]);
	if (r == 0)
		check_message(&m);
	if (r == -EBADMSG)
		return 0;
	handoff_reply(&m.head, r, &e, &reply);
	ck_assert_uint_eq(reply.head.seq, m.head.seq);
	ck_assert_ptr_nonnull(memchr(reply.reason, '\0', sizeof(reply.reason)));
	return 0;
}
