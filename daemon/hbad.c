/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's object graph: made here, run here, taken down here in reverse. */
#include "hbad.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <glib-unix.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/inventory.h"
#include "control/lock.h"
#include "control/notify.h"
#include "control/proto.h"
#include "control/sizes.h"
#include "control/sock.h"

void hbad_status(struct hbad *d, const char *fmt, ...)
{
	char text[sizeof(d->status)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!strcmp(text, d->status))
		return;
	memcpy(d->status, text, sizeof(text));
	notify_status("%s", text);
}

/* See struct hbad_times. */
#define DRAIN_MS     20000
#define HBA_DRAIN_MS 10000
#define STOP_MS	     HANDOFF_STOP_MS

/* --- before any thread --- */

/* Signals come through the main loop. Blocked before other threads exist, which inherit that. */
static int take_signals(struct hbad *d, struct err *e)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP); /* a terminal that closes does not take the disks away */
	sigprocmask(SIG_BLOCK, &set, NULL);
	d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return d->signal_fd < 0 ? err_set(e, -errno, "cannot make a signalfd: %s", strerror(errno)) : 0;
}

void hbad_init(struct hbad *d, const char *name, const char *runtime_dir)
{
	memset(d, 0, sizeof(*d));
	d->name = name;
	d->runtime_dir = runtime_dir;
	d->times = (struct hbad_times){
		.boot_ready_ms = 20000,
		.drain_ms = DRAIN_MS,
		.hba_drain_ms = HBA_DRAIN_MS,
		.stop_boot_ms = 5000,
		.retry_min_ms = 500,
		.retry_max_ms = 10000,
		.stop_ms = STOP_MS,
	};
	d->lock_fd = d->handoff_fd = d->control_fd = d->signal_fd = -1;
	d->started_ns = clock_ns();
}

static_assert(CONFIG_MAX_IO_THREADS <= HBA_MAX_LANES, "each may have a lane");
static_assert(DRAIN_MS + HBA_DRAIN_MS + HANDOFF_GATED_MS + HBA_STOP_MS < STOP_MS, "a stop comes to its end");

int hbad_prepare(struct hbad *d, struct err *e)
{
	int r = take_signals(d, e);

	if (!r)
		r = lock_take(d->runtime_dir, d->name, &d->lock_fd, e);
	if (!r)
		r = sock_listen(d->runtime_dir, d->name, HBAD_HANDOFF_SOCKET, SOCK_SEQPACKET, 0600,
			&d->handoff_fd, e);
	if (!r)
		r = sock_listen(d->runtime_dir, d->name, PROTO_SOCKET, SOCK_STREAM, 0660, &d->control_fd, e);
	if (!r && io_create(&d->io, config_count_threads(&d->config)))
		r = err_set(
			e, -ENOMEM, "cannot make the I/O threads' event loops: out of memory or descriptors");
	if (!r && scsi_host_create(d->io.loop[0], &d->host))
		r = err_set(e, -ENOMEM, "cannot make the SCSI host: out of memory");
	if (!r)
		untold_load(d);
	return r;
}

/* --- running --- */

/* The others when the controller has told that it takes them (boot.c). */
static int start_first_thread(struct hbad *d)
{
	struct err e = {""};
	int r = io_start(&d->io, 1, &e);

	if (r)
		log_err("%s", e.text);
	return r;
}

static int on_rescan(void *user, struct err *e)
{
	return hbad_rescan(user, e);
}

static int on_upgrade(void *user, struct err *why_not, struct err *e)
{
	return hbad_upgrade(user, why_not, e);
}

static char *answer(const char *line, uid_t peer, void *user)
{
	struct hbad *d = user;
	struct inventory inv = {
		.name = d->name,
		.config = &d->config,
		.started_ns = d->started_ns,
		.problem = d->problem.text,
		.hba = d->hba,
		.removed = d->removed,
		.luns = &d->luns,
		.handoff = d->handoff,
		.rescanning = d->rescanning,
		.rescans = d->rescans,
		.rescan_problem = d->rescan_problem.text,
		.rescan = on_rescan,
		.taken_over = d->taken_over,
		.start_note = d->start_note,
		.may_upgrade = peer == 0 || peer == geteuid(),
		.upgrade = on_upgrade,
		.events = d->events,
		.user = d,
	};

	return inventory_answer(&inv, line);
}

static gboolean on_log(gint fd, GIOCondition condition, gpointer user)
{
	log_drain();
	return G_SOURCE_CONTINUE;
}

static gboolean on_signal(gint fd, GIOCondition condition, gpointer user)
{
	struct hbad *d = user;
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGTERM && info.ssi_signo != SIGINT)
			continue;
		/* Who wants it stopped does not want it to run on. */
		__atomic_store_n(&d->hand_over, false, __ATOMIC_RELAXED);
		d->upgrading = false;
		if (d->phase == HBAD_STOP)
			log_info("still stopping: %s", d->status);
		else
			hbad_begin_stop(d);
	}
	return G_SOURCE_CONTINUE;
}

static unsigned count_serving(const struct hbad *d)
{
	unsigned n = 0;

	list_for_each(pos, &d->luns.all) {
		n += container_of(pos, struct lun, link)->state == LUN_SERVING;
	}
	return n;
}

static gboolean on_tick(gpointer user)
{
	struct hbad *d = user;
	enum hba_state state = d->hba ? hba_state(d->hba) : HBA_DOWN;

	luns_tick(&d->luns);
	scsi_host_tick(d->host);
	if (d->phase != HBAD_RUN)
		return G_SOURCE_CONTINUE;
	sizes_save(d->luns.sizes, d->worker);
	if (state == HBA_REMOVED || state == HBA_FAILED)
		hbad_lose(d, state == HBA_REMOVED);
	else
		hbad_watch_tick(d);
	if (d->phase == HBAD_RUN)
		hbad_self_check(d);
	if (d->phase == HBAD_RUN)
		hbad_status(d, "%s%s, %u units, %u LUNs served", state == HBA_RESETTING ? "resetting " : "",
			d->product, d->n_units, count_serving(d));
	return G_SOURCE_CONTINUE;
}

static void open_sizes(struct hbad *d)
{
	g_autofree char *path = d->state_dir ? g_strdup_printf("%s/%s.sizes", d->state_dir, d->name) : NULL;

	if (path)
		d->luns.sizes = sizes_open(path);
}

static int start_services(struct hbad *d)
{
	struct handoff_config hc = {.luns = &d->luns, .peer_uid = d->peer_uid};

	d->worker = worker_new();
	if (!d->worker) {
		log_err("cannot start the set-up thread: too many threads or open files");
		return -EAGAIN;
	}
	d->events = events_new();
	luns_init(&d->luns, d->name, d->host, &d->io);
	d->luns.hold_s = d->config.hold_s;
	d->luns.events = d->events;
	open_sizes(d);
	hc.listen_fd = TAKE_FD(d->handoff_fd);
	d->handoff = handoff_service_new(&hc);
	d->server = server_new(TAKE_FD(d->control_fd), answer, d);
	hbad_returned_begin(d);
	g_unix_fd_add(d->signal_fd, G_IO_IN, on_signal, d);
	if (log_fd() >= 0)
		g_unix_fd_add(log_fd(), G_IO_IN, on_log, d);
	g_timeout_add(HBAD_TICK_MS, on_tick, d);
	notify_watchdog_start(&d->io);
	return 0;
}

/* --- the end --- */

/* All jobs are done, all LUNs released. What cannot be taken down in order is left to the end of the process. */
static void take_down(struct hbad *d)
{
	notify_watchdog_stop();
	server_free(d->server);
	handoff_service_free(d->handoff);
	worker_free(d->worker);
	sizes_close(d->luns.sizes);
	d->luns.sizes = NULL;
	if (io_stop(&d->io))
		return;
	d->luns.loop_gone = true;
	luns_tick(&d->luns);
	untold_save(d, d->hba);
	if (list_empty(&d->luns.all))
		scsi_host_destroy(d->host);
	else
		log_warn("some commands never ended");
	if (!d->upgrading)
		hbad_forget_note(d);
	if (d->handed_over)
		pci_leave(hba_leave(d->hba));
	else
		hba_close(d->hba);
	if (list_empty(&d->luns.all))
		io_destroy(&d->io);
	hbad_returned_end(d);
	g_main_loop_unref(d->main);
	events_free(d->events);
	hb_close(&d->signal_fd);
	hb_close(&d->lock_fd);
}

int hbad_run(struct hbad *d)
{
	/* On failure nothing is taken yet: the end of the process frees all. */
	if (start_first_thread(d) || start_services(d))
		return 1;
	d->main = g_main_loop_new(NULL, FALSE);
	hbad_boot(d, false);
	g_main_loop_run(d->main);
	take_down(d);
	log_info("ended");
	log_drain();
	return d->exit_code;
}
