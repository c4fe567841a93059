/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happens to units of a controller whose firmware tells of it: inventory, LUNs, and what "hbactl monitor" gets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/proto.h"
#include "daemon_rig.h"
#include "tests/unit/run_suite.h"

static struct emu_proc emu;

static bool is_virtio(void)
{
	return strcmp(MODEL, "virtio") == 0;
}

/* What hbad calls this unit of the emulator's. */
static const char *name_of(const char *unit)
{
	static const char *const plain[][2] = {{"ld0", "t0l0"}, {"ld1", "t0l1"}, {"pd8", "t9l0"}};

	for (unsigned i = 0; i < ARRAY_SIZE(plain) && is_virtio(); i++)
		if (strcmp(plain[i][0], unit) == 0)
			return plain[i][1];
	return unit;
}

static void setup(void)
{
	static const char *const options[] = {"--model", MODEL, "--unit", "ld0,size=16M", "--unit",
		"ld1,size=16M", "--unit", "pd8,size=16M", "--boot-ms", "20", NULL};

	emu_start_proc(&emu, options);
	daemon_start(&emu);
}

static void teardown(void)
{
	daemon_stop(&emu);
	emu_end_proc(&emu);
}

static char *events(void)
{
	struct err e = {""};
	char *reply = NULL;

	ck_assert_msg(proto_events(emu.dir, "g2", 0, LIMIT_MS, &reply, &e) == 0, "%s", e.text);
	return reply;
}

/* Waits until there is such an event of that unit whose sentence begins with text. */
static void event_comes(const char *event, const char *unit, const char *text)
{
	char want[200];

	snprintf(want, sizeof(want), "\"event\":\"%s\",\"unit\":\"%s\"", event, name_of(unit));
	for (unsigned i = 0;; i++) {
		char *all = events(), *at = all;
		bool found = false;

		while (!found && (at = strstr(at, want))) {
			char *words = strstr(at, "\"text\":\"");

			found = words && strncmp(words + 8, text, strlen(text)) == 0;
			at++;
		}
		ck_assert_msg(found || i < LIMIT_MS / 20, "no %s of %s: %s in %s", event, unit, text, all);
		free(all);
		if (found)
			return;
		clock_sleep_ms(20);
	}
}

START_TEST(units_come_and_go_and_change)
{
	emu_do(&emu, "add ld7,size=8M");
	event_comes("unit-added", "ld7", "is new");
	status_becomes(&emu, "\"name\":\"ld7\",\"kind\":\"ld\"");
	emu_do(&emu, "resize ld0 32M");
	event_comes("unit-resized", "ld0", "has 33554432 bytes, had 16777216");
	emu_do(&emu, "offline ld1");
	event_comes("unit-offline", "ld1", "is offline");
	emu_do(&emu, "online ld1");
	event_comes("unit-online", "ld1", "is online");
	emu_do(&emu, "remove ld7");
	event_comes("unit-removed", "ld7", "was removed");
	emu_do(&emu, "add ld7,size=8M");
	event_comes("unit-added", "ld7", "is there again");
	emu_do(&emu, "remove pd8");
	event_comes("unit-removed", "pd8", "was removed");
	event_comes("controller-event", "", "");
}
END_TEST

/* A virtio host: new ones wait for the next start, and a unit that is offline is away. */
START_TEST(known_units_come_and_go_and_change)
{
	emu_do(&emu, "resize ld0 32M");
	event_comes("unit-resized", "ld0", "has 33554432 bytes, had 16777216");
	emu_do(&emu, "remove pd8");
	event_comes("unit-removed", "pd8", "was removed");
	emu_do(&emu, "add pd8,size=16M");
	event_comes("unit-added", "pd8", "is there again");
	emu_do(&emu, "offline ld1");
	event_comes("unit-removed", "ld1", "was removed");
	emu_do(&emu, "online ld1");
	event_comes("unit-added", "ld1", "is there again");
}
END_TEST

static void retire(void *lun)
{
	scsi_lun_destroy(lun);
}

/* A unit that was added while the controller runs is as good as others. */
static void lun_of(const char *text, enum scsi_gate gate)
{
	struct scsi_lun_config cfg;
	struct scsi_lun *lun;
	struct err e = {""};

	ck_assert_int_eq(scsi_lun_parse(text, &cfg, &e), 0);
	ck_assert_int_eq(scsi_lun_create(d.host, &cfg, &lun), 0);
	for (unsigned i = 0; scsi_lun_gate(lun) != gate; i++) {
		ck_assert_msg(i < LIMIT_MS, "%s: gate %d", text, scsi_lun_gate(lun));
		clock_sleep_ms(1);
	}
	ck_assert_int_eq(loop_call(d.io.loop[0], retire, lun, LIMIT_MS), 0);
}

START_TEST(new_units_are_served_and_old_ones_open_again)
{
	emu_do(&emu, "add ld7,size=8M");
	event_comes("unit-added", "ld7", "is new");
	lun_of("ld7", SCSI_GATE_OPEN);
	emu_do(&emu, "remove ld7");
	event_comes("unit-removed", "ld7", "was removed");
	status_becomes(&emu, "failed INQUIRY");
	lun_of("ld7", SCSI_GATE_NO_UNIT);
	emu_do(&emu, "add ld7,size=8M");
	event_comes("unit-added", "ld7", "is there again");
	lun_of("ld7", SCSI_GATE_OPEN);
}
END_TEST

/* More than anybody can read: some are counted only, and what is true at the end is told. */
START_TEST(a_storm_of_events_is_weathered)
{
	emu_do(&emu, "aen-storm 20000");
	emu_do(&emu, "resize ld0 32M");
	emu_do(&emu, "offline ld1");
	event_comes("unit-resized", "ld0", "has 33554432 bytes");
	event_comes(is_virtio() ? "unit-removed" : "unit-offline", "ld1",
		is_virtio() ? "was removed" : "is offline");
	status_becomes(&emu, "\"state\":\"ready\"");
}
END_TEST

START_TEST(coming_and_going_of_the_controller_is_told)
{
	emu_do(&emu, "gone ff");
	event_comes("controller-gone", "", emu.uri);
	emu_do(&emu, "remove ld1");
	emu_do(&emu, "back");
	event_comes("controller-back", "", emu.uri);
	event_comes("unit-removed", "ld1", "is not there any more");
	/* A virtio host's reset is over before anybody looks. */
	if (is_virtio())
		return;
	emu_do(&emu, "fw-fault");
	event_comes("controller-reset", "", "the controller is being reset");
	event_comes("controller-running", "", "the controller runs again");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("unit events");
	TCase *t = tcase_create("unit events");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 850);
	if (is_virtio()) {
		tcase_add_test(t, known_units_come_and_go_and_change);
	} else {
		tcase_add_test(t, units_come_and_go_and_change);
		tcase_add_test(t, new_units_are_served_and_old_ones_open_again);
	}
	tcase_add_test(t, a_storm_of_events_is_weathered);
	tcase_add_test(t, coming_and_going_of_the_controller_is_told);
	suite_add_tcase(s, t);
	return run_suite(s);
}
