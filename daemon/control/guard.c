/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guard: starts the helpers of guard_walk.c, prints what they did, and gives up on those that are stuck. */
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <glib.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "guard_walk.h"
#include "hbad/handoff.h"
#include "lock.h"

struct guard {
	GHashTable *open; /* group -> what it is at, for those that have not ended */
	GString *bad;	  /* list for the sentence */
	struct guard_result result;
};

static void add_bad(struct guard *g, const char *what, const char *why)
{
	g_string_append_printf(g->bad, "%s%s (%s)", g->bad->len ? ", " : "", what, why);
}

static void take_failure(struct guard *g, const struct guard_record *rec)
{
	const char *what = rec->device[0] ? rec->device : rec->group;
	g_autofree char *why = g_strdup_printf("%s: %s", rec->step, strerror(rec->error));

	printf("%s: %s\n", what, why);
	g->result.failed++;
	add_bad(g, what, why);
}

static void take(struct guard *g, const struct guard_record *rec)
{
	switch (rec->what) {
	case GUARD_BEGIN:
		g_hash_table_replace(g->open, g_strdup(rec->group), g_strdup(rec->group));
		break;
	case GUARD_WRITING:
		g_hash_table_replace(g->open, g_strdup(rec->group), g_strdup(rec->device));
		break;
	case GUARD_DONE:
		printf("%s: blocked and reset\n", rec->device);
		g->result.guarded++;
		break;
	case GUARD_SKIPPED:
		printf("%s: has no ring now (not enabled, or being deleted)\n", rec->device);
		break;
	case GUARD_FAILED:
		take_failure(g, rec);
		break;
	case GUARD_END:
		g_hash_table_remove(g->open, rec->group);
		break;
	}
}

/* Until every helper has closed its end of the pipe, or the deadline. */
static void collect(struct guard *g, int fd, uint64_t deadline)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		struct guard_record rec;
		uint64_t now = clock_ns();
		int r = now < deadline ? poll(&p, 1, (int)((deadline - now) / NS_PER_MS) + 1) : 0;

		if (r < 0 && errno == EINTR)
			continue;
		/* The records of a pipe come whole: each was written in one piece. */
		if (r <= 0 || read(fd, &rec, sizeof(rec)) != sizeof(rec))
			return;
		take(g, &rec);
	}
}

static void name_stuck(struct guard *g)
{
	GHashTableIter it;
	gpointer group, at;

	g_hash_table_iter_init(&it, g->open);
	while (g_hash_table_iter_next(&it, &group, &at)) {
		printf("%s: configfs does not answer\n", (char *)at);
		g->result.stuck++;
		add_bad(g, at, "configfs does not answer");
	}
}

/* The helpers die at the end of the system call that they are stuck in, before they could write anything
 * late. */
static void end_helpers(pid_t pid)
{
	kill(-pid, SIGKILL);
	for (int i = 0; i < 50; i++) {
		if (waitpid(pid, NULL, WNOHANG))
			return;
		clock_sleep_ms(10);
	}
}

/* lock_fd is closed in the helpers: one that is stuck for ever must not keep the next hbad from starting. */
static pid_t start_helpers(const struct guard_config *cfg, int lock_fd, int pipe_fds[2])
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid > 0) {
		setpgid(pid, pid); /* in both processes: whoever is first */
		return pid;
	}
	if (pid < 0)
		return -errno;
	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	close(lock_fd);
	close(pipe_fds[0]);
	guard_walk(cfg->configfs_root ? cfg->configfs_root : GUARD_CONFIGFS, cfg->name, pipe_fds[1]);
	_exit(0);
}

static int judge(struct guard *g, const char *name, struct err *e)
{
	if (!g->result.failed && !g->result.stuck)
		return 0;
	return err_set(e, -EIO,
		"not every LUN of \"%s\" could be blocked and reset: %s. Their initiators wait until hbad@%s "
		"serves "
		"them again or the LUN is deleted",
		name, g->bad->str, name);
}

int guard_run(const struct guard_config *cfg, struct guard_result *ret, struct err *e)
{
	unsigned ms = cfg->deadline_ms ? cfg->deadline_ms : GUARD_DEADLINE_MS;
	struct guard g = {0};
	hb_autoclose int lock_fd = -1;
	int fds[2];
	pid_t pid;
	int r = lock_take(cfg->runtime_dir ? cfg->runtime_dir : HBAD_RUNTIME_DIR, cfg->name, &lock_fd, e);

	if (r)
		return err_prefix(e, r, "the LUNs of \"%s\" are not touched", cfg->name);
	if (pipe2(fds, O_CLOEXEC))
		return err_set(e, -errno, "cannot make a pipe: %s", strerror(errno));
	pid = start_helpers(cfg, lock_fd, fds);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return err_set(e, pid, "cannot start a helper process: %s", strerror(-pid));
	}
	g.open = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g.bad = g_string_new(NULL);
	collect(&g, fds[0], clock_ns() + ms * NS_PER_MS);
	end_helpers(pid);
	name_stuck(&g);
	r = judge(&g, cfg->name, e);
	*ret = g.result;
	close(fds[0]);
	g_hash_table_destroy(g.open);
	g_string_free(g.bad, TRUE);
	fflush(stdout);
	return r;
}
