/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checking and building hand-off messages. */
#include "handoff_msg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <glib.h>

/* The handler inside another package's process is built against these: they may grow at the end only. */
static_assert(sizeof(struct handoff_head) == 24, "handoff_head");
static_assert(offsetof(struct handoff_head, magic) == 8, "handoff_head.magic");
static_assert(sizeof(struct handoff_hello) == 104, "handoff_hello");
static_assert(sizeof(struct handoff_reply) == 592, "handoff_reply");
static_assert(offsetof(struct handoff_reply, wait_ms) == 584, "handoff_reply.wait_ms");
static_assert(offsetof(struct handoff_reply, reason) == 104, "handoff_reply.reason");
static_assert(sizeof(struct handoff_check) == 280, "handoff_check");
static_assert(sizeof(struct handoff_open) == 400, "handoff_open");
static_assert(offsetof(struct handoff_open, cmd_time_out) == 392, "handoff_open.cmd_time_out");
static_assert(offsetof(struct handoff_open, map_len) == 360, "handoff_open.map_len");
static_assert(sizeof(struct handoff_handle) == 32, "handoff_handle");
static_assert(sizeof(struct handoff_event) == 32, "handoff_event");
static_assert(sizeof(struct handoff_resize) == 40, "handoff_resize");

static const struct {
	size_t size;
} kinds[] = {
	[HANDOFF_HELLO] = {sizeof(struct handoff_hello)},
	[HANDOFF_CHECK] = {sizeof(struct handoff_check)},
	[HANDOFF_OPEN] = {sizeof(struct handoff_open)},
	[HANDOFF_START] = {sizeof(struct handoff_handle)},
	[HANDOFF_CLOSE] = {sizeof(struct handoff_handle)},
	[HANDOFF_WATCH] = {sizeof(struct handoff_head)},
	[HANDOFF_PING] = {sizeof(struct handoff_head)},
	[HANDOFF_GATED] = {sizeof(struct handoff_head)},
	[HANDOFF_RESIZE] = {sizeof(struct handoff_resize)},
};

/* Strings go into logs, sentences and JSON. */
static int check_text(const char *what, const char *text, size_t size, struct err *e)
{
	size_t len = strnlen(text, size);

	if (len == size)
		return err_set(e, -EINVAL, "the handler's message has a %s without an end", what);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return err_set(e, -EINVAL, "the %s has a control character: remove it", what);
	if (!g_utf8_validate(text, (gssize)len, NULL))
		return err_set(e, -EINVAL, "the %s is not UTF-8: rename it", what);
	return 0;
}

static int check_body(const union handoff_msg *m, struct err *e)
{
	int r;

	switch (m->head.type) {
	case HANDOFF_HELLO:
		return check_text("version", m->hello.version, sizeof(m->hello.version), e);
	case HANDOFF_CHECK:
		return check_text("configuration string", m->check.cfgstring, sizeof(m->check.cfgstring), e);
	case HANDOFF_OPEN:
		r = check_text("configuration string", m->open.cfgstring, sizeof(m->open.cfgstring), e);
		return r ? r : check_text("name of the backstore", m->open.device, sizeof(m->open.device), e);
	default:
		return 0;
	}
}

int handoff_parse(const void *packet, size_t len, bool truncated, union handoff_msg *ret, struct err *e)
{
	struct handoff_head head;
	size_t want;

	if (len < sizeof(head))
		return err_set(e, -EBADMSG, "a packet of %zu bytes is no hand-off message", len);
	memcpy(&head, packet, sizeof(head));
	if (head.magic != HANDOFF_MAGIC)
		return err_set(e, -EBADMSG, "a packet without the hand-off protocol's mark");
	memset(ret, 0, sizeof(*ret));
	ret->head = head;
	if (head.version != HANDOFF_VERSION)
		return err_set(e, -EPROTO,
			"the handler speaks version %u of the hand-off protocol and hbad %s version %d: "
			"install both "
			"from the same release and restart tcmu-runner",
			head.version, HBAD_VERSION, HANDOFF_VERSION);
	if (truncated || head.size != len)
		return err_set(e, -EPROTO,
			"the handler's message says that it has %u bytes and came with %s%zu", head.size,
			truncated ? "more than " : "", len);
	if (head.type >= ARRAY_SIZE(kinds) || !kinds[head.type].size)
		return err_set(e, -EPROTO, "hbad %s knows no hand-off request %u", HBAD_VERSION, head.type);
	want = kinds[head.type].size;
	memcpy(ret, packet, MIN(len, want));
	return check_body(ret, e);
}

void handoff_reply(
	const struct handoff_head *request, int status, const struct err *e, struct handoff_reply *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->head.size = sizeof(*ret);
	ret->head.version = HANDOFF_VERSION;
	ret->head.type = (uint16_t)(request->type | HANDOFF_REPLY);
	ret->head.magic = HANDOFF_MAGIC;
	ret->head.seq = request->seq;
	ret->head.status = status;
	ret->pid = (uint32_t)getpid();
	g_strlcpy(ret->version, HBAD_VERSION, sizeof(ret->version));
	if (status < 0 && e)
		g_strlcpy(ret->reason, e->text, sizeof(ret->reason));
}
