/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The questions behind check_config: would it work, and does somebody still hold the ring? */
#include "check.h"

#include <errno.h>
#include <string.h>
#include "cfgstring.h"
#include "hello.h"
#include "hlog.h"
#include "instance.h"
#include "place.h"
#include "timing.h"

#define MAX_CANDIDATES 16
#define POLL_MS	       100

static int explain_absence(const struct cfgstring *c, int r, struct err *e)
{
	char names[256];

	if (r == -ETIMEDOUT)
		return err_set(e, r, "hbad@%s accepts no connections: see \"systemctl status hbad@%s\"",
			c->instance, c->instance);
	if (r != -ENOENT && r != -ECONNREFUSED)
		return err_set(e, r, "cannot reach hbad@%s: %s", c->instance, strerror(-r));
	if (place_known(c->instance))
		return err_set(
			e, r, "hbad@%s is not running: systemctl start hbad@%s", c->instance, c->instance);
	place_list(names, sizeof(names));
	if (!strcmp(c->instance, HBAD_SUBTYPE))
		return err_set(e, r,
			"there is no controller \"" HBAD_SUBTYPE
			"\"; known: %s. targetcli puts \"" HBAD_SUBTYPE
			"/\" in front by itself: write it like \"cfgstring=g2/ld0\"",
			names);
	return err_set(e, r,
		"there is no controller \"%s\"; known: %s (see \"hbactl list\"); to add one: hbactl attach "
		"PCI-ADDRESS "
		"--name %s",
		c->instance, names, c->instance);
}

static int check_new(const struct cfgstring *c, struct err *e)
{
	struct until u = until_ms(timing.call, -1);
	struct handoff_check msg = {.cfgstring = ""};
	struct handoff_reply reply;
	struct link l = LINK_INIT;
	int r = link_connect(&l, c->instance, u);

	if (r)
		return explain_absence(c, r, e);
	strcpy(msg.cfgstring, c->text);
	r = link_call(&l, &msg, sizeof(msg), HANDOFF_CHECK, -1, u, &reply);
	if (r)
		err_set(e, r, "hbad@%s (process %d) cannot be asked: %s; see \"systemctl status hbad@%s\"",
			c->instance, (int)l.pid, link_error(r), c->instance);
	else if (reply.head.status < 0)
		r = err_set(e, reply.head.status, "%s", reply.reason);
	link_close(&l);
	return r;
}

/* --- the veto --- */

static bool freed_within(const char *uio, unsigned ms)
{
	struct until u = until_ms(ms, -1);

	while (uio_held(uio)) {
		if (clock_ns() >= u.deadline_ns)
			return false;
		clock_sleep_ms(POLL_MS);
	}
	return true;
}

static int veto(const struct cfgstring *c, const char *uio, const char *why, struct err *e)
{
	char holders[160];

	uio_holders(uio, holders, sizeof(holders));
	return err_set(e, -EBUSY,
		"the ring %s of %s is still held by %s, and resetting it now could lose data (%s): end that "
		"process "
		"(systemctl stop hbad@%s), then systemctl restart tcmu-runner",
		uio, c->text, holders, why, c->instance);
}

/* Killed, because of something that it does not do while it may hold a ring that is about to be reset. */
static int fence(
	const struct cfgstring *c, struct instance *i, const struct link *l, const char *why, struct err *e)
{
	hlog_err("hbad@%s (process %d) %s and may hold the ring of %s: it is killed", c->instance,
		(int)l->pid, why, c->text);
	proc_kill(l->pidfd, l->pid);
	if (!proc_wait(l->pidfd, until_ms(timing.killed, -1)))
		return 0;
	if (i)
		atomic_store(&i->unfenceable_ns, clock_ns());
	return err_set(e, -EBUSY, "process %d was killed and does not die", (int)l->pid);
}

/* It answers, and says that all its threads are alive. */
static bool is_well(const struct cfgstring *c, const struct link *l)
{
	struct until u = until_ms(timing.call, -1);
	struct handoff_head msg;
	struct handoff_reply reply;
	struct link other = LINK_INIT;
	bool well = !link_connect(&other, c->instance, u) && other.pid == l->pid &&
		    !link_call(&other, &msg, sizeof(msg), HANDOFF_PING, -1, u, &reply) && !reply.head.status;

	link_close(&other);
	return well;
}

/* When its time is over it ends by itself, and still writes down what its LUNs owe. */
static uint64_t patience_ms(uint32_t wait_ms)
{
	return wait_ms ? MIN((uint64_t)wait_ms + timing.leave, (uint64_t)timing.stop_max) : timing.drain;
}

/*
 * Killed in the middle of its stop it would not flush the controller. What has to end before its rings' commands are
 * finished may take longer than those, so it is waited for while it shows that it is well, and no longer than it has said.
 */
static bool lets_go(const struct cfgstring *c, const char *uio, const struct link *l, uint32_t wait_ms)
{
	uint64_t now = clock_ns(), heard = now, next = now;
	uint64_t until = now + patience_ms(wait_ms) * NS_PER_MS;

	while (uio_held(uio)) {
		now = clock_ns();
		if (now >= until || now > heard + timing.silent * NS_PER_MS)
			return false;
		if (now >= next) {
			if (is_well(c, l))
				heard = clock_ns();
			next = clock_ns() + timing.ping * NS_PER_MS;
		}
		clock_sleep_ms(POLL_MS);
	}
	return true;
}

static int ask_to_let_go(const struct cfgstring *c, struct instance *i, const char *uio, struct err *e)
{
	struct until u = until_ms(timing.call, -1);
	struct link l = LINK_INIT;
	uint32_t wait_ms = 0;
	int r = link_connect(&l, c->instance, u);

	if (r)
		return err_set(e, r, "hbad@%s cannot be reached: %s", c->instance, strerror(-r));
	r = hello_one(&l, u, &wait_ms, e);
	/* No answer, or its own word for an I/O thread that gives none: that thread may use the ring at any time. */
	if (r == -ETIMEDOUT)
		r = fence(c, i, &l, "does not answer", e);
	if (r == -EINPROGRESS && !lets_go(c, uio, &l, wait_ms))
		r = fence(c, i, &l, "is being stopped, does not let go in time", e);
	link_close(&l);
	return r;
}

static bool given_up(struct instance *i)
{
	uint64_t when = i ? atomic_load(&i->unfenceable_ns) : 0;

	return when && clock_ns() < when + timing.unfenceable * NS_PER_MS;
}

static int check_ring(const struct cfgstring *c, const char *uio, struct err *e)
{
	struct instance *i = registry_get(c->instance, NULL);
	struct err why = {"it was asked to let go"};

	if (!uio_held(uio))
		return 0;
	/* The runner has one thread for all handlers (H24): a dead end is walked into once, not once per LUN. */
	if (given_up(i))
		return veto(c, uio, "its process was killed and does not die", e);
	ask_to_let_go(c, i, uio, &why);
	return freed_within(uio, timing.release) ? 0 : veto(c, uio, why.text, e);
}

int check_configuration(const char *cfgstring, struct err *e)
{
	char found[MAX_CANDIDATES][UIO_NAME_LEN];
	struct cfgstring c;
	bool asked = false;
	int r = cfgstring_parse(cfgstring, &c, e);
	unsigned n;

	if (r)
		return r;
	n = uio_find(c.text, found, MAX_CANDIDATES);
	for (unsigned i = 0; !r && i < n; i++) {
		if (registry_has_uio(found[i]))
			continue;
		asked = true;
		r = check_ring(&c, found[i], e);
	}
	return asked ? r : check_new(&c, e);
}
