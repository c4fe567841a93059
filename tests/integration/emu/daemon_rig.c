/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Starts and ends hbad. */
#include "daemon_rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/proto.h"

struct hbad d;
static pthread_t thread;
static int result;

static void *daemon_main(void *arg)
{
	result = hbad_run(&d);
	return NULL;
}

bool status_has(struct emu_proc *p, const char *words)
{
	char *reply = NULL;
	bool has;

	if (proto_call(p->dir, "g2", "status", LIMIT_MS, &reply, NULL))
		return false;
	has = strstr(reply, words);
	free(reply);
	return has;
}

void status_becomes(struct emu_proc *p, const char *words)
{
	for (unsigned i = 0; !status_has(p, words); i++) {
		ck_assert_msg(i < LIMIT_MS / 20, "hbad's status never had %s", words);
		clock_sleep_ms(20);
	}
}

void daemon_begin(struct emu_proc *p, unsigned io_threads)
{
	struct err e = {""};

	log_set_level(getenv("VERBOSE") ? LOG_LV_DEBUG : LOG_LV_ERR - 1);
	hbad_init(&d, "g2", p->dir);
	d.peer_uid = getuid();
	d.times.retry_min_ms = 20;
	d.times.retry_max_ms = 200;
	config_init(&d.config);
	strcpy(d.config.device, p->uri);
	d.config.bounce_mib = 8;
	d.config.io_threads = io_threads;
	ck_assert_msg(hbad_prepare(&d, &e) == 0, "%s", e.text);
	ck_assert_int_eq(pthread_create(&thread, NULL, daemon_main, NULL), 0);
}

void daemon_start(struct emu_proc *p)
{
	daemon_begin(p, 1);
	status_becomes(p, "\"state\":\"ready\"");
}

void daemon_stop(struct emu_proc *p)
{
	static const char *const names[] = {"lock", "handoff.sock", "control.sock"};
	char path[160];

	kill(getpid(), SIGTERM);
	pthread_join(thread, NULL);
	ck_assert_int_eq(result, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/g2/%s", p->dir, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/g2", p->dir);
	rmdir(path);
}

void emu_becomes(struct emu_proc *p, const char *words, bool there)
{
	for (unsigned n = 0; !!strstr(emu_do(p, "status"), words) != there; n++) {
		ck_assert_msg(n < LIMIT_MS, "the emulator's status: %s", words);
		clock_sleep_ms(1);
	}
}

void emu_vanish_at(struct emu_proc *p, unsigned n)
{
	emu_do(p, "fault gone nth=%u", n);
	emu_do(p, "back");
	emu_becomes(p, "\"gone\":true", true);
	emu_do(p, "fault-clear");
	/* A return so quick that nobody sees the gap is a reset that nobody has asked for: another test. */
	emu_becomes(p, "\"client\":true", false);
}
