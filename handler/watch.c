/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The watcher (hazards H4, H9, H10). Everything hangs on one fact per device: which process, if
 * any, may be consuming its ring (device->server). It changes in three ways only: hbad takes the device (offer.c),
 * hbad says that it has let go, or the process is proven dead through its pidfd. Only then is reset_ring allowed.
 *
 * The thread opens no path in configfs and holds no lock while it acts, so close() never waits for long (H12).
 */
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include "absence.h"
#include "base/cleanup.h"
#include "hlog.h"
#include "instance.h"
#include "timing.h"

struct watch {
	struct instance *i;
	struct link
		link; /* the WATCH connection; fd -1: there is none, and pidfd is who was at its other end */
	uint64_t next_connect_ns, next_ping_ns, next_attributes_ns;
	bool stopping;				       /* hbad has announced its end over this connection */
	char problem[sizeof(((struct err *)0)->text)]; /* why it cannot be watched; said once. "": it is */
	pid_t killed_pid;			       /* said once for all its devices */
	uint64_t heard_ns;			       /* the process at the other end was well */
	uint64_t judged_ns; /* the last round looked at who is silent; 0: none has yet */
	struct absence absence;
	/* of the running round */
	uint64_t now_ns, missed_ns;
	unsigned unserved;
	bool mute; /* hbad has left a question unanswered: what else there is to ask it waits for the next round */
	bool has_some; /* the process at the other end has devices */
};

static bool connected(const struct watch *w)
{
	return w->link.fd >= 0;
}

/* The pidfd stays: the process may be about to die, and then nothing is to be lost. */
static void disconnect(struct watch *w)
{
	hb_close(&w->link.fd);
	w->stopping = false;
	w->next_connect_ns = clock_ns() + timing.retry * NS_PER_MS;
}

/* It is dead, or of no interest any more. */
static void forget(struct watch *w)
{
	link_close(&w->link);
	w->stopping = false;
	w->next_connect_ns = 0;
}

/* --- signs of life --- */

/* The process at the other end is well: so are the devices that it serves. */
static void hear_device(struct device *d, void *arg)
{
	const struct watch *w = arg;

	if (d->server.pid == w->link.pid)
		d->heard_ns = w->heard_ns;
}

static void heard(struct watch *w)
{
	w->heard_ns = clock_ns();
	instance_each(w->i, hear_device, w);
}

static void say_down(struct watch *w, const char *why)
{
	if (!strcmp(w->problem, why))
		return;
	snprintf(w->problem, sizeof(w->problem), "%s", why);
	hlog_warn("hbad@%s cannot be watched: %s", w->i->name, why);
}

static int say_watch(struct watch *w)
{
	struct handoff_head msg;
	struct handoff_reply reply;
	int r = link_call(
		&w->link, &msg, sizeof(msg), HANDOFF_WATCH, -1, until_ms(timing.call, w->i->stop_fd), &reply);

	if (r == -ECANCELED)
		return r;
	if (r) {
		w->mute |= r == -ETIMEDOUT;
		say_down(w, link_error(r));
		return r;
	}
	heard(w);
	if (reply.head.status < 0)
		say_down(w, reply.reason);
	else
		absence_first_word(&w->absence, reply.state);
	return reply.head.status;
}

static void arm_ping(struct watch *w)
{
	unsigned pause = absence_awaits_start(&w->absence) ? timing.retry : timing.ping;

	w->next_ping_ns = clock_ns() + pause * NS_PER_MS;
}

static void connect_hbad(struct watch *w)
{
	struct link l = LINK_INIT;
	int r = link_connect(&l, w->i->name, until_ms(timing.call, w->i->stop_fd));

	w->next_connect_ns = clock_ns() + timing.retry * NS_PER_MS;
	if (r) {
		w->mute |= r == -ETIMEDOUT;
		if (r != -ECANCELED)
			say_down(w, r == -ENOENT || r == -ECONNREFUSED ? "it is not running" : link_error(r));
		return;
	}
	link_close(&w->link);
	w->link = l;
	if (say_watch(w)) {
		hb_close(&w->link.fd);
		return;
	}
	arm_ping(w);
	if (w->problem[0])
		hlog_info("hbad@%s (process %d) is watched", w->i->name, (int)w->link.pid);
	w->problem[0] = '\0';
}

/* Without waiting: the answer is heard or not, and one that is busy for a moment must not lose a reply. */
static void ping(struct watch *w)
{
	struct handoff_head msg;
	int r = link_send(&w->link, &msg, sizeof(msg), HANDOFF_PING, -1, until_ms(0, w->i->stop_fd));

	arm_ping(w);
	if (r == -ENOTCONN)
		disconnect(w);
}

/* --- what hbad says --- */

static void stop_device(struct device *d, void *arg)
{
	const struct watch *w = arg;

	device_block(d);
	if (d->server.pid == w->link.pid)
		d->stopping = true;
}

static void on_stopping(struct watch *w, const struct handoff_event *event)
{
	struct handoff_head msg;

	w->stopping = true;
	absence_announce(&w->absence, event->back_s);
	instance_each(w->i, stop_device, w);
	if (link_send(&w->link, &msg, sizeof(msg), HANDOFF_GATED, -1, until_ms(timing.call, w->i->stop_fd)) ==
		-ENOTCONN)
		disconnect(w);
	hlog_info("hbad@%s is being %s: gates are closed until it is back", w->i->name,
		w->absence.back_ms ? "upgraded" : "stopped");
}

struct dropped {
	const struct watch *w;
	uint64_t handle;
};

static void mark_dropped(struct device *d, void *arg)
{
	const struct dropped *x = arg;

	if (!device_served(d) || d->dropped || d->server.pid != x->w->link.pid ||
		d->server.handle != x->handle)
		return;
	device_block(d);
	hlog_err("%s (%s): hbad@%s had to let go of the ring; it is reset and handed over again", d->name,
		d->cfg.text, d->cfg.instance);
	d->dropped = true;
	d->next_offer_ns = 0;
}

/*
 * hbad lives and has let go of it: from now on it is like a device whose server died, but for the proof. Tried until
 * hbad confirms it: once it has heard CLOSE it names the device no more, even if its answer was lost.
 */
static void release_dropped(struct device *d, void *arg)
{
	struct watch *w = arg;

	if (!d->dropped || w->now_ns < d->next_offer_ns)
		return;
	/* Again: whoever opened the gate meanwhile lets commands into a ring that nobody reads. */
	device_block(d);
	if (w->mute)
		return;
	if (device_take_back(d)) {
		/* It may have died instead of confirming it. */
		device_publish(d);
		device_guard(d);
		d->next_offer_ns = 0;
		w->unserved++;
		return;
	}
	w->mute = true;
	if (!d->next_offer_ns)
		hlog_warn("%s (%s): hbad@%s (process %d) does not confirm that; asked again", d->name,
			d->cfg.text, d->cfg.instance, (int)d->server.pid);
	d->next_offer_ns = clock_ns() + timing.offer_retry * NS_PER_MS;
}

static void on_pong(struct watch *w, const struct handoff_reply *reply)
{
	struct dropped x = {.w = w, .handle = reply->handle};

	heard(w);
	absence_word(&w->absence, reply->state);
	if (x.handle)
		instance_each(w->i, mark_dropped, &x);
}

static void on_message(struct watch *w, const union link_message *m)
{
	if (m->head.type == HANDOFF_EVENT && m->event.what == HANDOFF_EVENT_STOPPING)
		on_stopping(w, &m->event);
	else if (m->head.type == (HANDOFF_PING | HANDOFF_REPLY) && !m->head.status)
		on_pong(w, &m->reply);
}

static void listen_hbad(struct watch *w)
{
	union link_message m;
	int r = 0;

	while (connected(w) && (r = link_receive(&w->link, &m)) > 0)
		on_message(w, &m);
	if (r >= 0 || !connected(w))
		return;
	/* Not a proof of death. That comes from the pidfds; meanwhile, and in any case, try to reach it again. */
	disconnect(w);
	say_down(w, link_error(r));
}

/* --- devices --- */

static void bury_server(struct device *d, void *arg)
{
	struct watch *w = arg;

	if (device_served(d) && proc_dead(d->server.pidfd)) {
		if (d->server.pid == w->link.pid)
			forget(w);
		device_seize(d);
	}
	w->has_some |= device_served(d) && d->server.pid == w->link.pid;
}

static void alarm_device(struct device *d, uint64_t now)
{
	if (now < d->next_alarm_ns)
		return;
	d->next_alarm_ns = now + timing.alarm * NS_PER_MS;
	hlog_err(
		"ALARM: hbad@%s (process %d) was killed %llu s ago and does not die, so that %s (%s) can be "
		"given to nobody else. Its gate stays closed. If the process never ends, the machine must be "
		"restarted.",
		d->cfg.instance, (int)d->server.pid, (unsigned long long)((now - d->killed_ns) / NS_PER_SEC),
		d->name, d->cfg.text);
}

static void forgive(struct device *d, void *arg)
{
	const struct watch *w = arg;

	d->heard_ns += MIN(w->missed_ns, w->now_ns - MIN(d->heard_ns, w->now_ns));
}

/*
 * A runner that was itself stopped (by a signal, a debugger, a paused machine), or was busy with many slow hand-overs,
 * has asked nobody meanwhile: that time is not hbad's silence. One OPEN that gets no answer is, or an hbad that hangs
 * would be forgiven for ever; hence one question at most is left unanswered in a round (mute).
 */
static void forgive_own_absence(struct watch *w)
{
	w->missed_ns = w->judged_ns ? w->now_ns - w->judged_ns : 0;
	w->judged_ns = w->now_ns;
	if (w->missed_ns <= (timing.open + timing.ping) * NS_PER_MS)
		return;
	instance_each(w->i, forgive, w);
	w->heard_ns += MIN(w->missed_ns, w->now_ns - MIN(w->heard_ns, w->now_ns));
}

/* Silent for too long: it is killed, and then bury_server() sees it die, or it does not die. */
static void judge_server(struct device *d, void *arg)
{
	struct watch *w = arg;
	unsigned limit = d->stopping ? timing.stop : timing.silent;
	/* It may have been borrowed when its process was heard, or forgiven. */
	uint64_t heard_ns = d->server.pid == w->link.pid ? MAX(d->heard_ns, w->heard_ns) : d->heard_ns;

	if (!device_served(d))
		return;
	if (!d->killed_ns && w->now_ns > heard_ns + limit * NS_PER_MS) {
		proc_kill(d->server.pidfd, d->server.pid);
		d->killed_ns = w->now_ns;
		if (w->killed_pid == d->server.pid)
			return;
		w->killed_pid = d->server.pid;
		hlog_err("hbad@%s (process %d) has not answered for %u s: it is killed", d->cfg.instance,
			(int)d->server.pid, limit / 1000);
	} else if (d->killed_ns && w->now_ns > d->killed_ns + timing.death * NS_PER_MS) {
		device_block(d);
		alarm_device(d, w->now_ns);
	}
}

static void guard_device(struct device *d, void *arg)
{
	struct watch *w = arg;

	if (!device_served(d)) {
		if (w->absence.failing)
			device_fail(d);
		else
			device_guard(d);
		w->unserved++;
	} else if (w->stopping) {
		/* Also one that open() handed over in the last moment, or that was borrowed when hbad said so. */
		stop_device(d, w);
	}
}

static void say_refusal(struct device *d, const struct err *e)
{
	if (!strcmp(d->refusal, e->text))
		return;
	strcpy(d->refusal, e->text);
	hlog_err("%s (%s) is not served, its gate stays closed: %s", d->name, d->cfg.text, e->text);
}

static void offer_device(struct device *d, void *arg)
{
	struct watch *w = arg;
	struct err e = {""};
	enum offer o;

	if (device_served(d) || w->mute || w->now_ns < d->next_offer_ns)
		return;
	/* The ring that changes hands is empty, also if its gate was open until now to fail commands. */
	device_guard(d);
	o = device_offer(d, &e);
	if (o == OFFER_SERVED) {
		device_unblock(d);
		d->refusal[0] = '\0';
		hlog_info("%s (%s) is served by hbad@%s, process %d", d->name, d->cfg.text, d->cfg.instance,
			(int)d->server.pid);
		return;
	}
	device_settle(d, o);
	d->next_offer_ns = clock_ns() + timing.offer_retry * NS_PER_MS;
	/* An hbad that does not answer now keeps this thread from hearing what it says; the others can wait. */
	w->mute = o != OFFER_REFUSED && o != OFFER_PREPARED;
	say_refusal(d, &e);
}

static void say_seized(struct device *d, void *arg)
{
	if (d->seized)
		hlog_warn("%s (%s): hbad@%s is dead; the gate is closed and the ring reset until it is back",
			d->name, d->cfg.text, d->cfg.instance);
	d->seized = false;
}

/*
 * What the kernel has given up has no mark in the ring (H2), so hbad has to know how old a command may become. It is told
 * with the ring: hence it lets go of that, as at a restart of the runner, and gets it again.
 */
static void tell_time_out(struct device *d, struct watch *w)
{
	int seconds = device_time_out(d);

	if (!device_served(d) || d->dropped || d->stopping || d->killed_ns || seconds < 0 ||
		(unsigned)seconds == d->told_time_out_s)
		return;
	if (seconds)
		hlog_warn("%s (%s) is handed over again: hbad@%s is to know that the kernel gives commands "
			  "up after %d s",
			d->name, d->cfg.text, d->cfg.instance, seconds);
	else
		hlog_info("%s (%s) is handed over again: the kernel gives no command up any more", d->name,
			d->cfg.text);
	d->dropped = true;
	d->next_offer_ns = 0;
	/* At once: it is served well, and whoever ends the runner before it was asked had better leave it so. */
	release_dropped(d, w);
}

static void check_attributes(struct device *d, void *arg)
{
	struct watch *w = arg;

	device_assert_attributes(d);
	tell_time_out(d, w);
	device_check_netlink(d, w->now_ns);
}

/* --- the loop --- */

static void talk(struct watch *w)
{
	if (!connected(w) && !w->mute && w->now_ns >= w->next_connect_ns)
		connect_hbad(w);
	else if (connected(w) && w->now_ns >= w->next_ping_ns)
		ping(w);
}

static void tend_attributes(struct watch *w)
{
	if (w->now_ns < w->next_attributes_ns)
		return;
	w->next_attributes_ns = w->now_ns + timing.ping * NS_PER_MS;
	instance_each(w->i, check_attributes, w);
}

/* All devices are made safe before anything is logged or asked: both can take their time. */
static bool do_round(struct watch *w)
{
	unsigned n;

	w->has_some = false;
	n = instance_each(w->i, bury_server, w);
	w->now_ns = clock_ns();
	w->unserved = 0;
	w->mute = false;
	if (!n) {
		forget(w);
		absence_end(&w->absence);
		return false;
	}
	forgive_own_absence(w);
	absence_judge(&w->absence, connected(w), w->now_ns <= w->heard_ns + timing.silent * NS_PER_MS,
		w->has_some, w->now_ns);
	instance_each(w->i, guard_device, w);
	instance_each(w->i, judge_server, w);
	absence_say(&w->absence, w->i->name, w->unserved);
	instance_each(w->i, say_seized, NULL);
	instance_each(w->i, release_dropped, w);
	w->now_ns = clock_ns();
	talk(w);
	w->now_ns = clock_ns();
	if (connected(w) && !w->stopping && w->unserved && !absence_awaits_start(&w->absence))
		instance_each(w->i, offer_device, w);
	tend_attributes(w);
	return true;
}

static int ms_to_next_round(const struct watch *w, bool idle)
{
	uint64_t now = clock_ns();

	if (idle)
		return -1;
	if (!connected(w) || w->unserved || w->stopping)
		return (int)timing.retry;
	return now >= w->next_ping_ns ? 0 : (int)DIV_ROUND_UP(w->next_ping_ns - now, NS_PER_MS);
}

static void rest(struct watch *w, bool idle)
{
	struct pollfd p[] = {
		{.fd = w->i->stop_fd, .events = POLLIN},
		{.fd = w->i->wake_fd, .events = POLLIN},
		{.fd = w->link.fd, .events = POLLIN},
		{.fd = w->link.pidfd, .events = POLLIN},
	};
	eventfd_t drained;

	poll(p, ARRAY_SIZE(p), ms_to_next_round(w, idle));
	/* Once: the next round looks at the devices' own pidfds. */
	if (p[3].revents)
		forget(w);
	eventfd_read(w->i->wake_fd, &drained);
}

void watch_run(struct instance *i)
{
	struct watch w = {.i = i, .link = LINK_INIT};
	char name[16];

	snprintf(name, sizeof(name), "hba-%.11s", i->name);
	pthread_setname_np(pthread_self(), name);
	while (!atomic_load(&i->stop)) {
		bool idle = !do_round(&w);

		rest(&w, idle);
		listen_hbad(&w);
	}
	link_close(&w.link);
}
