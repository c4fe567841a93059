/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The whole daemon above fake layers: start, stop, failure and unplugging. */
#include <linux/netlink.h>

#include "daemon.h"

/* Units that do not answer may keep it for minutes. */
START_TEST(stop_does_not_wait_for_a_rescan)
{
	g_autofree char *reply = NULL;
	struct err e = {""};

	spawn();
	ck_assert(told("READY=1"));
	fake_calls();
	fake.attach_held = true;
	ck_assert_int_eq(proto_call(temp_dir, "g2", "rescan", FAKE_LIMIT_MS, &reply, &e), 0);
	ck_assert_ptr_nonnull(strstr(reply, "\"rescanning\":true"));
	kill(pid, SIGTERM);
	ck_assert_int_eq(ended(), 0);
	ck_assert(fake_calls_become("end-runs, host-attach, " DOWN));
}
END_TEST

START_TEST(rescan_looks_at_the_units_again)
{
	g_autofree char *reply = NULL;
	struct err e = {""};

	spawn();
	ck_assert(told("READY=1"));
	fake_calls();
	expect_status("\"rescans\":0");
	ck_assert_int_eq(proto_call(temp_dir, "g2", "rescan", FAKE_LIMIT_MS, &reply, &e), 0);
	ck_assert_ptr_nonnull(strstr(reply, "\"rescanning\":true"));
	status_becomes("\"rescans\":1");
	status_becomes("\"rescanning\":false");
	expect_status("\"rescan_problem\":\"\"");
	ck_assert_str_eq(fake_calls(), "host-attach, trim");
	fake.host_attach = -ENODEV;
	g_free(g_steal_pointer(&reply));
	ck_assert_int_eq(proto_call(temp_dir, "g2", "rescan", FAKE_LIMIT_MS, &reply, &e), 0);
	status_becomes("\"rescans\":2");
	ck_assert_str_eq(fake_calls(), "host-attach");
	fake.host_attach = 0;
	kill(pid, SIGTERM);
	ck_assert_int_eq(ended(), 0);
}
END_TEST

START_TEST(daemon_starts_gets_ready_and_stops_in_order)
{
	spawn();
	ck_assert(told("READY=1"));
	ck_assert(told("STATUS=Fake, 3 units, 0 LUNs served"));
	ck_assert_str_eq(fake_calls(), "open, attach, start, host-attach, trim");
	expect_status("\"state\":\"ready\"");
	kill(pid, SIGTERM);
	ck_assert_int_eq(ended(), 0);
	ck_assert(told_already("STOPPING=1"));
	ck_assert_str_eq(fake_calls(), DOWN);
}
END_TEST

static const struct {
	size_t step; /* offset in struct fake_answers */
	const char *calls;
} failures[] = {
	{offsetof(struct fake_answers, hba_open), "open, host-detach, host-destroy"},
	{offsetof(struct fake_answers, hba_attach), "open, attach, host-detach, close, host-destroy"},
	{offsetof(struct fake_answers, hba_start), "open, attach, start, host-detach, close, host-destroy"},
	{offsetof(struct fake_answers, host_attach),
		"open, attach, start, host-attach, host-detach, close, host-destroy"},
};

START_TEST(controller_that_cannot_start_ends_the_daemon_with_1)
{
	memcpy((char *)&fake + failures[_i].step, &(int){-EIO}, sizeof(int));
	spawn();
	ck_assert_int_eq(ended(), 1);
	ck_assert(!told_already("READY=1"));
	ck_assert_str_eq(fake_calls(), failures[_i].calls);
}
END_TEST

/* H13: a controller that boots for long does not hold up the boot, and known LUNs are taken meanwhile. */
START_TEST(slow_controller_is_announced_and_its_known_luns_are_taken)
{
	struct handoff_open m = open_msg("a", "hba/g2/ld0", 1);
	uint64_t start_ns = clock_ns();
	int fd;

	fake.boot_held = true;
	spawn();
	wait_for_socket();
	fd = client_connect();
	m.known = 1;
	m.head.seq = next_seq;
	ck_assert_uint_eq(client_send_open(fd, &m).state, HANDOFF_BOOTING);
	ck_assert(told("READY=1"));
	ck_assert_uint_ge((clock_ns() - start_ns) / NS_PER_MS, BOOT_READY_MS);
	expect_status("\"state\":\"booting\"");
	fake_boot_go();
	ck_assert(told("STATUS=Fake"));
	expect_status("\"state\":\"ready\"");
	ck_assert_ptr_null(strstr(strstr(hear(), "READY=1") + 1, "READY=1"));
	close(fd);
}
END_TEST

static void events_become(int64_t since, const char *words)
{
	for (unsigned left = FAKE_LIMIT_MS / 10;; left--) {
		struct err e = {""};
		char *reply = NULL;
		bool has;

		ck_assert_msg(!proto_events(temp_dir, "g2", since, FAKE_LIMIT_MS, &reply, &e), "%s", e.text);
		has = strstr(reply, words);
		ck_assert_msg(has || left, "%s is not in %s", words, reply);
		free(reply);
		if (has)
			return;
		clock_sleep_ms(10);
	}
}

/* As many I/O threads as the controller takes; LUNs that were taken before that was known are distributed then. */
START_TEST(io_threads_are_told_with_their_luns)
{
	int fd;

	io_threads = 3;
	fake.lanes = 2;
	fake.boot_held = true;
	spawn();
	wait_for_socket();
	fake_boot_reached();
	fd = client_connect();
	client_hello(fd, 1);
	client_serve(fd, "a", "hba/g2/ld0", 1);
	client_serve(fd, "b", "hba/g2/ld1", 1);
	fake_calls();
	fake_boot_go();
	status_becomes("\"state\":\"ready\"");
	ck_assert_str_eq(fake_calls(), "start, host-attach, settle a, settle b, trim");
	expect_status("\"io_threads\":[{\"thread\":0,\"inflight\":2,\"heartbeat_age_ms\":");
	expect_status(",\"luns\":[\"a\"]},{\"thread\":1,\"inflight\":1,\"heartbeat_age_ms\":");
	expect_status(",\"luns\":[\"b\"]}]");
	kill(pid, SIGTERM);
	ck_assert_int_eq(ended(), 0);
	close(fd);
}
END_TEST

START_TEST(a_controller_that_is_back_with_fewer_queues_is_refused)
{
	io_threads = 0;
	retry_ms = 10;
	fake.lanes = 1;
	spawn();
	ck_assert(told("STATUS=Fake"));
	fake.host_attach = -ERANGE;
	fake.state = HBA_REMOVED;
	status_becomes("host-attach failed");
	expect_status("\"state\":\"removed\"");
	events_become(0, "\"controller-refused\"");
	fake.state = HBA_RUNNING;
	fake.host_attach = 0;
	status_becomes("\"state\":\"ready\"");
}
END_TEST

START_TEST(failed_start_lets_go_of_the_luns_taken_meanwhile)
{
	struct handoff_open m = open_msg("a", "hba/g2/ld0", 1);
	struct handoff_reply r;
	int fd;

	fake.boot_held = true;
	fake.hba_start = -EIO;
	spawn();
	wait_for_socket();
	fake_boot_reached();
	fd = client_connect();
	m.known = 1;
	r = client_send_open(fd, &m);
	ck_assert_int_eq(client_handle(fd, HANDOFF_START, r.handle).head.status, 0);
	fake_calls();
	fake_boot_go();
	ck_assert_int_eq(ended(), 1);
	ck_assert_str_eq(
		fake_calls(), "start, host-detach, close, stop a, destroy a, unlun ld0, host-destroy");
	close(fd);
}
END_TEST

START_TEST(stop_waits_for_the_gates_then_drains)
{
	int watch = serve_and_watch();

	kill(pid, SIGINT);
	client_expect_stopping(watch, 0);
	/* Commands that are to end do not wait for the pause before a reset. */
	ck_assert(__atomic_load_n(&fake.hastened, __ATOMIC_ACQUIRE));
	clock_sleep_ms(100);
	ck_assert_str_eq(fake_calls(), "");
	client_plain(watch, HANDOFF_GATED);
	ck_assert_int_eq(ended(), 0);
	ck_assert_str_eq(fake_calls(), "drain a, stop a, destroy a, unlun ld0, " DOWN);
	close(watch);
}
END_TEST

static void put_bytes(const char *name, const char *bytes, gssize n)
{
	const char *path = temp_path(name);
	g_autofree char *folder = g_path_get_dirname(path);

	ck_assert_int_eq(g_mkdir_with_parents(folder, 0755), 0);
	ck_assert(g_file_set_contents(path, bytes, n, NULL));
}

static void put(const char *name, const char *text)
{
	put_bytes(name, text, -1);
}

static void put_link(const char *name, const char *target)
{
	const char *path = temp_path(name);
	g_autofree char *folder = g_path_get_dirname(path);

	ck_assert_int_eq(g_mkdir_with_parents(folder, 0755), 0);
	ck_assert_int_eq(symlink(target, path), 0);
}

/* H25: the machine runs from ld0. Once, however many LUNs are handed over. */
START_TEST(a_machine_on_its_own_lun_is_told_of)
{
	g_autofree char *events = NULL;
	struct err e = {""};
	const char *first;
	int watch, fd;

	put("proc/self/mountinfo", "22 1 8:16 / / rw - ext4 /dev/sdb rw\n");
	put("sys/devices/x/block/sdb/dev", "8:16\n");
	put_bytes("sys/devices/x/block/sdb/device/vpd_pg83", "\0\203\0\6\1\3\0\2\x60\xa0", 10);
	put_link("sys/dev/block/8:16", "../../devices/x/block/sdb");
	put_link("sys/class/block/sdb", "../../devices/x/block/sdb");
	watch = serve_and_watch();
	events_become(0, "\"event\":\"own-use\",\"unit\":\"\",\"naa\":\"\",\"text\":\"hbad's program (");
	fd = client_connect();
	client_serve(fd, "b", "hba/g2/ld1", 1);
	ck_assert(told("2 LUNs served"));
	clock_sleep_ms(3 * HBAD_TICK_MS);
	ck_assert_int_eq(proto_events(temp_dir, "g2", 0, FAKE_LIMIT_MS, &events, &e), 0);
	first = strstr(events, "own-use");
	ck_assert_ptr_null(strstr(first + 1, "own-use"));
	kill(pid, SIGTERM);
	client_expect_stopping(watch, 0);
	client_plain(watch, HANDOFF_GATED);
	ck_assert_int_eq(ended(), 0);
	close(fd);
	close(watch);
}
END_TEST

/* What firmware could not write out must not look like a good stop. */
START_TEST(stop_that_flushed_not_all_ends_with_an_error)
{
	fake.hba_stop = -EIO;
	close(serve_and_watch());
	kill(pid, SIGTERM);
	ck_assert_int_eq(ended(), 1);
}
END_TEST

/* 1: the flush failed */
START_TEST(what_initiators_have_still_to_hear_is_left_to_the_next)
{
	fake.untold = true;
	fake.hba_stop = _i ? -EIO : 0;
	spawn();
	ck_assert(told("READY=1"));
	kill(pid, SIGTERM);
	ck_assert_int_eq(ended(), _i);
	fake_calls();
	fake.untold = false;
	fake.hba_stop = 0;
	heard[0] = 0;
	spawn();
	ck_assert(told("READY=1"));
	ck_assert_int_lt(access(temp_path("g2/untold"), F_OK), 0);
	kill(pid, SIGTERM);
	ck_assert_int_eq(ended(), 0);
	ck_assert(g_str_has_prefix(fake_calls(),
		_i ? "inherit naa.1 1 62a09 62a01 0, open, " : "inherit naa.1 0 62a09 62a01 0, open, "));
	ck_assert_int_lt(access(temp_path("g2/untold"), F_OK), 0);
}
END_TEST

START_TEST(what_was_left_may_be_anything)
{
	static const char *const text[] = {"", "nothing", "[naa.1]", "[naa.1]\nlost=perhaps\nattention=x;y",
		"[naa.12345678901234567890123456789012345678901234567890]\nlost=true\n",
		"[naa.1]\nattention=1;2;3;4;5;\n"};
	bool any = _i == 2 || _i == 3;

	temp_write("g2/untold", text[_i]);
	spawn();
	ck_assert(told("READY=1"));
	ck_assert_int_lt(access(temp_path("g2/untold"), F_OK), 0);
	kill(pid, SIGTERM);
	ck_assert_int_eq(ended(), 0);
	ck_assert(any == (strstr(fake_calls(), "inherit naa.1 0 0 0 0, ") != NULL));
}
END_TEST

START_TEST(stop_without_handler_leaves_unread_entries)
{
	close(serve_and_watch());
	clock_sleep_ms(50);
	kill(pid, SIGTERM);
	ck_assert_int_eq(ended(), 0);
	ck_assert_str_eq(fake_calls(), "stop a, destroy a, unlun ld0, " DOWN);
}
END_TEST

START_TEST(second_signal_shortens_nothing)
{
	int watch = serve_and_watch();

	kill(pid, SIGTERM);
	clock_sleep_ms(50);
	kill(pid, SIGTERM);
	kill(pid, SIGINT);
	kill(pid, SIGHUP);
	clock_sleep_ms(200);
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
	ck_assert_int_eq(ended(), 0);
	ck_assert_str_eq(fake_calls(), "stop a, destroy a, unlun ld0, " DOWN);
	close(watch);
}
END_TEST

static void stop_while_it_boots(void)
{
	wait_for_socket();
	fake_boot_reached();
	kill(pid, SIGTERM);
	ck_assert(told("STATUS=stopping: waiting for the controller's start to end"));
}

START_TEST(stop_during_a_short_boot_stops_the_controller)
{
	fake.boot_held = true;
	spawn();
	stop_while_it_boots();
	fake_boot_go();
	ck_assert_int_eq(ended(), 0);
	ck_assert_str_eq(fake_calls(), "open, attach, start, host-attach, trim, " DOWN);
}
END_TEST

/* It has told nobody. 1: a stop that does not wait */
START_TEST(who_does_not_come_so_far_as_to_serve_leaves_what_was_left)
{
	fake.boot_held = true;
	fake.hba_start = -EIO;
	fake.untold = true;
	stop_boot_ms = _i ? 100 : stop_boot_ms;
	temp_write("g2/untold", "[naa.1]\nlost=true\n");
	spawn();
	stop_while_it_boots();
	if (!_i)
		fake_boot_go();
	ck_assert_int_eq(ended(), 0);
	ck_assert_int_eq(access(temp_path("g2/untold"), F_OK), 0);
}
END_TEST

START_TEST(stop_during_a_failing_boot_ends_well)
{
	fake.boot_held = true;
	fake.hba_start = -EIO;
	spawn();
	stop_while_it_boots();
	fake_boot_go();
	ck_assert_int_eq(ended(), 0);
}
END_TEST

START_TEST(stop_during_a_long_boot_does_not_wait_for_it)
{
	uint64_t start_ns;

	fake.boot_held = true;
	stop_boot_ms = 500;
	spawn();
	start_ns = clock_ns();
	stop_while_it_boots();
	ck_assert_int_eq(ended(), 0);
	ck_assert_uint_ge((clock_ns() - start_ns) / NS_PER_MS, 450);
}
END_TEST

static const struct {
	enum hba_state state;
	const char *name;
} losses[] = {
	{HBA_REMOVED, "\"state\":\"removed\""},
	{HBA_FAILED, "\"state\":\"failed\""},
};

START_TEST(lost_controller_is_given_back_and_the_daemon_stays)
{
	int watch = serve_and_watch();

	fake.state = losses[_i].state;
	ck_assert(told("STATUS=the controller at 0000:03:00.0"));
	ck_assert(fake_calls_become("host-detach gone, halt, close"));
	ck_assert_str_eq(fake_calls(), "host-detach gone, halt, close");
	expect_status(losses[_i].name);
	expect_status("until it is back");
	ck_assert_uint_eq(client_plain(watch, HANDOFF_PING).state, HANDOFF_FAILED);
	kill(pid, SIGTERM);
	client_expect_stopping(watch, 0);
	client_plain(watch, HANDOFF_GATED);
	ck_assert_int_eq(ended(), 0);
	ck_assert_str_eq(fake_calls(), "host-detach, drain a, stop a, destroy a, unlun ld0, host-destroy");
	close(watch);
}
END_TEST

START_TEST(lost_controller_is_looked_for_until_it_is_back)
{
	int watch;

	retry_ms = 10;
	watch = serve_and_watch();
	fake.hba_open = -ENOENT;
	fake.state = losses[_i].state;
	ck_assert(fake_calls_become(
		"host-detach gone, halt, close, open, host-detach gone, open, host-detach gone"));
	status_becomes("is not back: open failed");
	expect_status(losses[_i].name);
	/* It is there, but does not start. */
	fake.hba_start = -EIO;
	fake.hba_open = 0;
	status_becomes("is not back: start failed");
	fake.state = HBA_RUNNING;
	fake.hba_start = 0;
	status_becomes("\"state\":\"ready\"");
	expect_status("\"problem\":\"\"");
	ck_assert_uint_eq(client_plain(watch, HANDOFF_PING).state, HANDOFF_READY);
	/* systemd was told once. */
	ck_assert(told("STATUS=the controller at"));
	ck_assert_ptr_null(strstr(strstr(hear(), "READY=1") + 1, "READY=1"));
	close(watch);
}
END_TEST

#define SLOT "sys/bus/pci/devices/0000:03:00.0"

/* libnl makes a port's number from that of the process, and another one above its 22 bits. */
static bool listens_to_uevents(void)
{
	g_autofree char *text = NULL;
	unsigned long sock, port;
	int protocol;

	ck_assert(g_file_get_contents("/proc/net/netlink", &text, NULL, NULL));
	for (const char *line = strchr(text, '\n'); line && line[1]; line = strchr(line + 1, '\n'))
		if (sscanf(line + 1, "%lx %d %lu", &sock, &protocol, &port) == 3 &&
			protocol == NETLINK_KOBJECT_UEVENT && (pid_t)(port & 0x3fffff) == pid)
			return true;
	return false;
}

START_TEST(one_that_is_plugged_in_again_is_asked_for)
{
	int watch;

	retry_ms = 10;
	temp_write(SLOT "/vendor", "0x0000\n");
	temp_write("g2/unbound", "");
	ck_assert_int_eq(unlink(temp_path("g2/unbound")), 0);
	watch = serve_and_watch();
	ck_assert(listens_to_uevents());
	fake.hba_open = -ENXIO;
	fake.state = HBA_REMOVED;
	ck_assert(fake_calls_become(
		"host-detach gone, halt, close, open, host-detach gone, open, host-detach gone"));
	/* Nobody has pulled it. */
	ck_assert_int_ne(access(temp_path("g2/unbound"), F_OK), 0);
	ck_assert_int_eq(rename(temp_path(SLOT), temp_path("pulled")), 0);
	temp_write(SLOT "/vendor", "0x0000\n");
	for (unsigned left = FAKE_LIMIT_MS; left && access(temp_path("g2/unbound"), F_OK); left--)
		usleep(1000);
	ck_assert_int_eq(access(temp_path("g2/unbound"), F_OK), 0);
	close(watch);
}
END_TEST

START_TEST(another_controller_in_its_place_is_refused)
{
	retry_ms = 10;
	spawn();
	ck_assert(told("STATUS=Fake"));
	fake.serial = "other";
	fake.state = HBA_REMOVED;
	status_becomes(
		"another controller is in its place, Fake with serial number other instead of Fake with SV1");
	expect_status("\"state\":\"removed\"");
	expect_status("systemctl restart hbad@g2");
	fake.state = HBA_RUNNING;
	fake.serial = NULL;
	status_becomes("\"state\":\"ready\"");
}
END_TEST

START_TEST(events_are_told_and_units_looked_at_when_firmware_says_so)
{
	spawn();
	ck_assert(told("STATUS=Fake"));
	fake_calls();
	/* Without a number only where one is. */
	events_become(-1, "\"last\":0,\"events\":[]");
	fake.tell = true;
	events_become(0, "\"event\":\"rebuild\",\"unit\":\"\",\"naa\":\"\",\"text\":\"06ah: Rebuild started "
			 "on PD 08\"");
	events_become(1, "\"last\":1,\"events\":[]");
	events_become(-1, "\"last\":1,\"events\":[]");
	/* Nobody asked for it: it is none of the rescans that are counted. */
	fake.unit_news = 1;
	ck_assert(fake_calls_become("host-attach, trim"));
	expect_status("\"rescans\":0");
	fake.state = HBA_RESETTING;
	events_become(1, "controller-reset");
	fake.state = HBA_RUNNING;
	events_become(1, "controller-running");
	fake.state = HBA_REMOVED;
	events_become(3, "controller-gone");
	kill(pid, SIGTERM);
	ck_assert_int_eq(ended(), 0);
}
END_TEST

START_TEST(stop_while_it_is_looked_for_does_not_wait_for_it)
{
	retry_ms = 10;
	spawn();
	ck_assert(told("STATUS=Fake"));
	fake.hba_start = -EIO;
	fake.state = HBA_REMOVED;
	status_becomes("is not back");
	if (_i) {
		fake.boot_held = true;
		fake.boot_reached = false;
		fake_boot_reached();
	}
	kill(pid, SIGTERM);
	ck_assert(told("STOPPING=1"));
	fake_boot_go();
	ck_assert_int_eq(ended(), 0);
}
END_TEST

/* 0: while a lost controller is started again; 1: while one is flushed, and nobody knows how far that came */
START_TEST(a_stop_that_does_not_wait_leaves_what_is_owed_to_the_next)
{
	char *text;
	int watch;

	fake.untold = true;
	retry_ms = 10;
	stop_boot_ms = 100;
	stop_ms = _i ? 500 : stop_ms;
	watch = serve_and_watch();
	if (_i) {
		fake.stop_held = true;
	} else {
		fake.boot_held = true;
		fake.boot_reached = false;
		fake.state = HBA_REMOVED;
		fake_boot_reached();
	}
	kill(pid, SIGTERM);
	client_expect_stopping(watch, 0);
	client_plain(watch, HANDOFF_GATED);
	ck_assert_int_eq(ended(), _i);
	ck_assert(strstr(fake_calls(), "stop a, destroy a, unlun ld0"));
	ck_assert(g_file_get_contents(temp_path("g2/untold"), &text, NULL, NULL));
	ck_assert_ptr_nonnull(strstr(text, "[naa.1]\nlost=true\n"));
	g_free(text);
	close(watch);
}
END_TEST

/* H10: one hbad of a name. */
START_TEST(second_daemon_of_a_name_is_refused)
{
	struct hbad d;
	struct err e = {""};
	char want[32];

	spawn();
	ck_assert(told("READY=1"));
	hbad_init(&d, "g2", temp_dir);
	ck_assert_int_eq(hbad_prepare(&d, &e), -EBUSY);
	snprintf(want, sizeof(want), "process %d", pid);
	ck_assert_ptr_nonnull(strstr(e.text, want));
	/* The first one's sockets are still there. */
	expect_status("\"state\":\"ready\"");
}
END_TEST

START_TEST(watchdog_is_fed)
{
	setenv("WATCHDOG_USEC", "200000", 1);
	spawn();
	ck_assert(told("WATCHDOG=1"));
	unsetenv("WATCHDOG_USEC");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("daemon");
	TCase *t = tcase_create("daemon");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, start, stop);
	tcase_add_test(t, daemon_starts_gets_ready_and_stops_in_order);
	tcase_add_test(t, stop_does_not_wait_for_a_rescan);
	tcase_add_test(t, rescan_looks_at_the_units_again);
	tcase_add_loop_test(t, controller_that_cannot_start_ends_the_daemon_with_1, 0, ARRAY_SIZE(failures));
	tcase_add_test(t, slow_controller_is_announced_and_its_known_luns_are_taken);
	tcase_add_test(t, failed_start_lets_go_of_the_luns_taken_meanwhile);
	tcase_add_test(t, stop_waits_for_the_gates_then_drains);
	tcase_add_test(t, a_machine_on_its_own_lun_is_told_of);
	tcase_add_test(t, stop_that_flushed_not_all_ends_with_an_error);
	tcase_add_loop_test(t, what_initiators_have_still_to_hear_is_left_to_the_next, 0, 2);
	tcase_add_loop_test(t, what_was_left_may_be_anything, 0, 6);
	tcase_add_test(t, stop_without_handler_leaves_unread_entries);
	tcase_add_test(t, second_signal_shortens_nothing);
	tcase_add_test(t, stop_during_a_short_boot_stops_the_controller);
	tcase_add_test(t, stop_during_a_failing_boot_ends_well);
	tcase_add_loop_test(t, who_does_not_come_so_far_as_to_serve_leaves_what_was_left, 0, 2);
	tcase_add_test(t, stop_during_a_long_boot_does_not_wait_for_it);
	tcase_add_loop_test(t, a_stop_that_does_not_wait_leaves_what_is_owed_to_the_next, 0, 2);
	tcase_add_loop_test(t, lost_controller_is_given_back_and_the_daemon_stays, 0, ARRAY_SIZE(losses));
	tcase_add_loop_test(t, lost_controller_is_looked_for_until_it_is_back, 0, ARRAY_SIZE(losses));
	tcase_add_test(t, one_that_is_plugged_in_again_is_asked_for);
	tcase_add_test(t, another_controller_in_its_place_is_refused);
	tcase_add_test(t, a_controller_that_is_back_with_fewer_queues_is_refused);
	tcase_add_test(t, io_threads_are_told_with_their_luns);
	tcase_add_test(t, events_are_told_and_units_looked_at_when_firmware_says_so);
	tcase_add_loop_test(t, stop_while_it_is_looked_for_does_not_wait_for_it, 0, 2);
	tcase_add_test(t, second_daemon_of_a_name_is_refused);
	tcase_add_test(t, watchdog_is_fed);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
