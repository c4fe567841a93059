/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the hand-off service does for each request. */
#include "handoff.h"

#include <errno.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "handoff_private.h"

/* What is left of it, and at least something; 0: nobody knows. */
static uint32_t ms_of_the_stop(const struct luns *l)
{
	uint64_t now = clock_ns();

	if (!l->stop_until_ns)
		return 0;
	return now < l->stop_until_ns ? (uint32_t)((l->stop_until_ns - now) / NS_PER_MS) + 1 : 1;
}

bool handoff_answer(struct handoff_conn *c, const struct handoff_head *request, uint64_t handle, int status,
	const struct err *e)
{
	struct handoff_reply reply;

	handoff_reply(request, status, e, &reply);
	reply.handle = handle;
	reply.state = c->service->luns->state;
	if (status == -EINPROGRESS)
		reply.wait_ms = ms_of_the_stop(c->service->luns);
	return handoff_conn_send(c, &reply, sizeof(reply));
}

/* Answered when the rings are back. A client waits for one reply before its next request. */
static bool defer(struct handoff_conn *c, const struct handoff_head *request)
{
	c->waiting = true;
	c->deferred = *request;
	return true;
}

/* --- requests --- */

static bool on_hello(struct handoff_conn *c, const union handoff_msg *m)
{
	static const uint8_t none[HANDOFF_NONCE_LEN];
	struct handoff_service *s = c->service;
	struct err e = {""};
	int r;

	if (!memcmp(m->hello.nonce, none, sizeof(none))) {
		r = err_set(&e, -EINVAL, "the handler's HELLO has no nonce");
		return handoff_answer(c, &m->head, 0, r, &e);
	}
	g_strlcpy(s->peer_version, m->hello.version, sizeof(s->peer_version));
	if (s->luns->away) {
		r = err_set(&e, -EINPROGRESS,
			"hbad \"%s\" is being stopped: it lets go of its rings when their commands have "
			"ended",
			s->luns->name);
		return handoff_answer(c, &m->head, 0, r, &e);
	}
	r = luns_release_strangers(s->luns, m->hello.nonce, &e);
	log_info("tcmu-runner's handler %s says hello", s->peer_version);
	return handoff_answer(c, &m->head, 0, r, &e);
}

static bool on_check(struct handoff_conn *c, const union handoff_msg *m)
{
	struct err e = {""};
	int r = luns_check(c->service->luns, m->check.cfgstring, &e);

	return handoff_answer(c, &m->head, 0, r, &e);
}

static void refuse(
	struct luns *l, const char *device, const char *cfgstring, bool again, const struct err *reason)
{
	log_warn("%s: %s", device[0] ? device : "a backstore", reason->text);
	luns_refused(l, device, cfgstring, again, reason);
}

static bool on_open(struct handoff_conn *c, const union handoff_msg *m, int fd)
{
	hb_autoclose int uio_fd = fd;
	struct luns *l = c->service->luns;
	struct lun *lun = NULL;
	struct err e = {""};
	int r = 0;

	/* A handler that this hbad has not met is a new one even when its HELLO got lost; there is one
	 * tcmu-runner. */
	if (!l->away)
		r = luns_release_strangers(l, m->open.nonce, &e);
	if (!r)
		r = luns_open(l, &m->open, &uio_fd, c, &lun, &e);
	if (r)
		refuse(l, m->open.device, m->open.cfgstring, m->open.known, &e);
	return handoff_answer(c, &m->head, lun ? lun->handle : 0, r, &e);
}

static int unknown(uint64_t handle, struct err *e)
{
	return err_set(e, -ENOENT, "hbad holds no device with handle %llx", (unsigned long long)handle);
}

/* The LUN of a failed one is gone. */
static int start(struct luns *l, struct lun *lun, struct err *e)
{
	g_autofree char *device = g_strdup(lun->device), *cfgstring = g_strdup(lun->cfgstring);
	int r = luns_start(l, lun, e);

	if (!r)
		refusals_forget(&l->refusals, device);
	else if (r != -EALREADY)
		refuse(l, device, cfgstring, true, e);
	return r;
}

static bool on_start(struct handoff_conn *c, const union handoff_msg *m)
{
	struct luns *l = c->service->luns;
	struct lun *lun = luns_find(l, m->handle.handle);
	struct err e = {""};
	int r;

	if (!lun)
		r = unknown(m->handle.handle, &e);
	else if (l->away || l->state == HANDOFF_STOPPING)
		r = err_set(&e, -ESHUTDOWN, "hbad \"%s\" is being stopped: try again when it runs", l->name);
	else if (lun->state == LUN_PREPARED && lun->owner != c)
		r = err_set(&e, -EPROTO, "\"%s\" was opened on another connection", lun->device);
	else
		r = start(l, lun, &e);
	return handoff_answer(c, &m->head, m->handle.handle, r, &e);
}

static int let_go(struct luns *l, struct lun *lun, struct err *e)
{
	/* Its backstore is being deleted: nobody waits for a size that was refused any more. */
	if (lun->state == LUN_SERVING)
		refusals_forget(&l->refusals, lun->device);
	return luns_release(l, lun, clock_ns() + LUNS_RELEASE_MS * NS_PER_MS, e);
}

static bool on_close(struct handoff_conn *c, const union handoff_msg *m)
{
	struct luns *l = c->service->luns;
	struct lun *lun = luns_find(l, m->handle.handle);
	struct err e = {""};
	int r;

	if (!lun)
		r = unknown(m->handle.handle, &e);
	else if (l->away)
		return defer(c, &m->head);
	else
		r = let_go(l, lun, &e);
	return handoff_answer(c, &m->head, m->handle.handle, r, &e);
}

static bool on_resize(struct handoff_conn *c, const union handoff_msg *m)
{
	struct luns *l = c->service->luns;
	struct lun *lun = luns_find(l, m->resize.handle);
	struct err e = {""};
	int r;

	if (!lun)
		r = unknown(m->resize.handle, &e);
	else
		r = luns_resize(l, lun, m->resize.blocks, &e);
	if (r)
		refuse(l, lun ? lun->device : "", lun ? lun->cfgstring : "", false, &e);
	else
		refusals_forget(&l->refusals, lun->device);
	return handoff_answer(c, &m->head, m->resize.handle, r, &e);
}

static bool send_stopping(struct handoff_conn *c)
{
	struct handoff_event event = {
		.head =
			{
				.size = sizeof(event),
				.version = HANDOFF_VERSION,
				.type = HANDOFF_EVENT,
				.magic = HANDOFF_MAGIC,
			},
		.what = HANDOFF_EVENT_STOPPING,
		.back_s = c->service->back_s,
	};

	return handoff_conn_send(c, &event, sizeof(event));
}

static bool on_watch(struct handoff_conn *c, const union handoff_msg *m)
{
	c->watch = true;
	return handoff_answer(c, &m->head, 0, 0, NULL) &&
	       (c->service->luns->state != HANDOFF_STOPPING || send_stopping(c));
}

/* Silence is the answer of hung I/O threads, or of one: the handler proves this process dead after HANDOFF_SILENT_MS. */
static bool on_ping(struct handoff_conn *c, const union handoff_msg *m)
{
	struct luns *l = c->service->luns;

	if (io_heartbeat_ns(l->io) + LUNS_ALIVE_AGE_MS * NS_PER_MS < clock_ns())
		return true;
	return handoff_answer(c, &m->head, l->away ? 0 : luns_next_dropped(l), 0, NULL);
}

/* --- stop --- */

static void finish_stopping(struct handoff_service *s, bool gated)
{
	void (*done)(bool, void *) = s->stop_done;

	if (!done)
		return;
	s->stop_done = NULL;
	if (s->stop_timer)
		g_source_remove(s->stop_timer);
	s->stop_timer = 0;
	done(gated, s->stop_user);
}

static void check_gated(struct handoff_service *s)
{
	bool any = false;

	list_for_each(pos, &s->conns) {
		const struct handoff_conn *c = container_of(pos, struct handoff_conn, link);

		if (c->watch && !c->gated)
			return;
		any |= c->watch;
	}
	finish_stopping(s, any);
}

static bool on_gated(struct handoff_conn *c, const union handoff_msg *m)
{
	bool keep;

	c->gated = true;
	keep = handoff_answer(c, &m->head, 0, 0, NULL);
	check_gated(c->service);
	return keep;
}

static gboolean on_stop_timer(gpointer user)
{
	struct handoff_service *s = user;

	s->stop_timer = 0;
	log_warn("tcmu-runner's handler did not close the gates in time");
	finish_stopping(s, false);
	return G_SOURCE_REMOVE;
}

void handoff_service_stopping(
	struct handoff_service *s, unsigned back_s, void (*done)(bool gated, void *user), void *user)
{
	s->back_s = back_s;
	s->stop_done = done;
	s->stop_user = user;
	s->stop_timer = g_timeout_add(HANDOFF_GATED_MS, on_stop_timer, s);
	list_for_each_safe(pos, &s->conns) {
		struct handoff_conn *c = container_of(pos, struct handoff_conn, link);

		if (c->watch && !send_stopping(c))
			handoff_conn_close(c);
	}
	check_gated(s);
}

void handoff_service_released(struct handoff_service *s)
{
	list_for_each_safe(pos, &s->conns) {
		struct handoff_conn *c = container_of(pos, struct handoff_conn, link);

		if (!c->waiting)
			continue;
		c->waiting = false;
		if (!handoff_answer(c, &c->deferred, 0, 0, NULL))
			handoff_conn_close(c);
	}
}

/* --- the service --- */

bool handoff_handle(struct handoff_conn *c, const union handoff_msg *m, int passed_fd)
{
	hb_autoclose int fd = passed_fd;

	switch (m->head.type) {
	case HANDOFF_HELLO:
		return on_hello(c, m);
	case HANDOFF_CHECK:
		return on_check(c, m);
	case HANDOFF_OPEN:
		return on_open(c, m, TAKE_FD(fd));
	case HANDOFF_START:
		return on_start(c, m);
	case HANDOFF_CLOSE:
		return on_close(c, m);
	case HANDOFF_WATCH:
		return on_watch(c, m);
	case HANDOFF_PING:
		return on_ping(c, m);
	case HANDOFF_GATED:
		return on_gated(c, m);
	case HANDOFF_RESIZE:
		return on_resize(c, m);
	default:
		return false; /* handoff_parse() lets nothing else through */
	}
}

/* The connection is off the list already. */
void handoff_conn_ended(struct handoff_conn *c)
{
	struct handoff_service *s = c->service;

	/* While the rings are away no LUN is merely OPENed: those were let go of before. */
	if (!s->luns->away)
		luns_release_owner(s->luns, c);
	if (c->watch)
		log_info("tcmu-runner's handler does not watch any more");
	if (c->watch && s->stop_done)
		check_gated(s);
}

struct handoff_service *handoff_service_new(const struct handoff_config *cfg)
{
	struct handoff_service *s = g_new0(struct handoff_service, 1);

	s->luns = cfg->luns;
	s->peer_uid = cfg->peer_uid;
	list_init(&s->conns);
	handoff_accept_start(s, cfg->listen_fd);
	return s;
}

void handoff_service_free(struct handoff_service *s)
{
	if (!s)
		return;
	s->stop_done = NULL;
	if (s->stop_timer)
		g_source_remove(s->stop_timer);
	listener_stop(&s->listener);
	while (!list_empty(&s->conns))
		handoff_conn_close(list_first(&s->conns, struct handoff_conn, link));
	g_free(s);
}

bool handoff_service_watched(const struct handoff_service *s)
{
	list_for_each(pos, &s->conns) {
		if (container_of(pos, struct handoff_conn, link)->watch)
			return true;
	}
	return false;
}

const char *handoff_service_peer(const struct handoff_service *s)
{
	return s->peer_version;
}
