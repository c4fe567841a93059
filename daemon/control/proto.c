/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The client's side of the control protocol. */
#include "proto.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <json-glib/json-glib.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "hbad/handoff.h"

#define MAX_BRACKETS 16384 /* that open in a reply: a hundred units and LUNs have some hundreds */

/* Waits for events; 0, -ETIMEDOUT or -errno. */
static int wait_for(int fd, short events, uint64_t deadline)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		uint64_t now = clock_ns();
		int r;

		if (now >= deadline)
			return -ETIMEDOUT;
		r = poll(&p, 1, (int)((deadline - now) / NS_PER_MS) + 1);
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return -errno;
	}
}

static int send_line(int fd, const char *line, uint64_t deadline)
{
	size_t len = strlen(line);

	while (len) {
		ssize_t n = send(fd, line, len, MSG_NOSIGNAL);
		int r;

		if (n >= 0) {
			line += n;
			len -= (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		r = wait_for(fd, POLLOUT, deadline);
		if (r)
			return r;
	}
	return 0;
}

static int receive_line(int fd, GString *line, uint64_t deadline)
{
	char chunk[4096];

	while (line->len <= PROTO_MAX_REPLY) {
		ssize_t n = recv(fd, chunk, sizeof(chunk), 0);
		const char *end;
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			r = wait_for(fd, POLLIN, deadline);
			if (r)
				return r;
			continue;
		}
		if (n <= 0)
			return n ? -errno : -EPROTO;
		end = memchr(chunk, '\n', (size_t)n);
		g_string_append_len(line, chunk, end ? end - chunk : n);
		if (end)
			return 0;
	}
	return -EPROTO;
}

static int explain(const char *name, int r, struct err *e)
{
	switch (r) {
	case -ENOENT:
	case -ECONNREFUSED:
		return err_set(e, r, "hbad \"%s\" does not run: start it with \"systemctl start hbad@%s\"",
			name, name);
	case -EACCES:
		return err_set(e, r,
			"hbad \"%s\" may be asked by root and by members of group hbad only: use sudo", name);
	case -ETIMEDOUT:
		return err_set(
			e, r, "hbad \"%s\" does not answer: look at \"journalctl -u hbad@%s\"", name, name);
	case -EPROTO:
		return err_set(e, r,
			"the answer of hbad \"%s\" makes no sense: are hbactl and hbad of one version? "
			"\"systemctl "
			"restart hbad@%s\" starts the one that is installed",
			name, name);
	default:
		return err_set(e, r, "talking to hbad \"%s\" failed: %s", name, strerror(-r));
	}
}

static int open_socket(const char *runtime_dir, const char *name, uint64_t deadline, int *ret_fd)
{
	hb_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s/%s", runtime_dir, name, PROTO_SOCKET);

	if (fd < 0)
		return -errno;
	if (n < 0 || (size_t)n >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	/* A unix socket connects at once, or its backlog is full: then it is tried again until the deadline. */
	while (connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (clock_ns() >= deadline)
			return -ETIMEDOUT;
		clock_sleep_ms(20);
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* JSON-GLib's parser calls itself for each level: a reply that is nothing but brackets would end us. All that open are
 * counted, those inside strings as well: no reading of strings and comments that could differ from the parser's. */
static bool is_too_deep(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == '[' || *text == '{';
	return n > MAX_BRACKETS;
}

/* A reply is one object; {"error": sentence} is hbad's refusal. */
static int judge(const char *name, GString *line, char **ret, struct err *e)
{
	g_autoptr(JsonNode) node = is_too_deep(line->str) ? NULL : json_from_string(line->str, NULL);
	JsonObject *o = node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
	JsonNode *refusal;

	if (!o)
		return explain(name, -EPROTO, e);
	refusal = json_object_get_member(o, "error");
	if (refusal)
		return err_set(e, -EREMOTEIO, "%s",
			JSON_NODE_HOLDS_VALUE(refusal) && json_node_get_string(refusal)
				? json_node_get_string(refusal)
				: "hbad refused without a reason");
	*ret = strdup(line->str);
	return *ret ? 0 : explain(name, -ENOMEM, e);
}

static int ask(const char *runtime_dir, const char *name, const char *request, unsigned timeout_ms,
	char **ret, struct err *e)
{
	uint64_t deadline = clock_ns() + timeout_ms * NS_PER_MS;
	g_autoptr(GString) line = g_string_new(NULL);
	hb_autoclose int fd = -1;
	int r = open_socket(runtime_dir ? runtime_dir : HBAD_RUNTIME_DIR, name, deadline, &fd);

	if (!r)
		r = send_line(fd, request, deadline);
	if (!r)
		r = receive_line(fd, line, deadline);
	return r ? explain(name, r, e) : judge(name, line, ret, e);
}

int proto_call(const char *runtime_dir, const char *name, const char *verb, unsigned timeout_ms, char **ret,
	struct err *e)
{
	g_autofree char *request = g_strdup_printf("{\"verb\": \"%s\"}\n", verb);

	return ask(runtime_dir, name, request, timeout_ms, ret, e);
}

int proto_events(const char *runtime_dir, const char *name, int64_t since, unsigned timeout_ms, char **ret,
	struct err *e)
{
	g_autofree char *request =
		since < 0 ? g_strdup("{\"verb\": \"events\"}\n")
			  : g_strdup_printf("{\"verb\": \"events\", \"since\": %" PRId64 "}\n", since);

	return ask(runtime_dir, name, request, timeout_ms, ret, e);
}
