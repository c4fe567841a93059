/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket, scripts, and the grammar of fault rules. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <json-glib/json-glib.h>

#include "mfi_host.h"

extern const struct model model_sas2108;

static void setup(void)
{
	rig = rig_new(&model_sas2108);
	rig_unit(rig, "ld0,size=1M");
	rig_unit(rig, "pd4,size=1M");
}

static void up(void)
{
	rig_up(rig);
	client_up(&c, rig->socket);
}

static void teardown(void)
{
	client_close(&c);
	rig_down(rig);
}

static void check_json(const char *text)
{
	g_autoptr(JsonParser) parser = json_parser_new();
	GError *error = NULL;

	if (!json_parser_load_from_data(parser, text, -1, &error))
		ck_abort_msg("%s: %s", text, error->message);
}

START_TEST(every_answer_is_json)
{
	static const char *const lines[] = {"help", "status", "stats", "peek ld0 0", "peek pd4 2047 media",
		"nonsense \"\\", "", "peek ld0 999999999", "add ld0", "power-cut x\ty", "set ld0", "fault",
		"resize pd4 0"};

	up();
	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
		const char *answer = rig_try(rig, lines[i]);

		check_json(answer);
		ck_assert_int_eq(strncmp(answer, "{\"ok\":true", 10) == 0, i < 5);
	}
}
END_TEST

static const struct {
	const char *line, *part; /* of the answer */
} refused[] = {
	{"remove ld9", "there is no unit 'ld9'"},
	{"add ld0,size=1M", "ld0 is there already"},
	{"add xx", "ldN or pdN"},
	{"resize ld0", "the new size is missing"},
	{"resize ld0 0", "at least one block"},
	{"power-cut survive=some", "none|all|prefix|random|reorder"},
	{"power-cut seed=x", "seed=NUMBER"},
	{"gone away", "gone ff, or gone socket"},
	{"set ld0 color 3", "start-ms"},
	{"set ld0 failing", "the value is missing"},
	{"aen-storm many", "the number of events"},
	{"lose-irqs", "the number of interrupts"},
	{"boot-ms 3600001", "the firmware's start-up"},
	{"fault explode", "'explode' is not understood"},
	{"fault used-len=1", "this model gives no such answer"},
	{"fault used-index=1", "this model gives no such answer"},
	{"stats now", "'now' was too much"},
	{"frobnicate", "no such command: 'frobnicate'"},
};

START_TEST(mistakes_are_told)
{
	up();
	ck_assert_ptr_nonnull(strstr(rig_try(rig, refused[_i].line), refused[_i].part));
}
END_TEST

START_TEST(units_can_be_watched_and_changed)
{
	up();
	rig_do(rig, "add pd9,size=2M,block=4096");
	ck_assert_ptr_nonnull(
		strstr(rig_do(rig, "status"), "{\"name\":\"pd9\",\"blocks\":512,\"block\":4096"));
	rig_do(rig, "resize pd9 4M");
	ck_assert_ptr_nonnull(strstr(rig_do(rig, "status"), "{\"name\":\"pd9\",\"blocks\":1024"));
	rig_do(rig, "set ld0 write-back 0");
	ck_assert_ptr_nonnull(strstr(rig_do(rig, "status"), "\"write_back\":false"));
	rig_do(rig, "remove pd9");
	ck_assert_ptr_null(strstr(rig_do(rig, "status"), "pd9"));
	for (const char *const *l = (const char *const[]){"set pd4 temperature 50", "set pd4 failing 1",
		     "set pd4 read-only 1", "set pd4 start-ms 5", "offline ld0", "online ld0",
		     "unplug-request", "fault-clear", "disconnect", NULL};
		*l; l++)
		rig_do(rig, *l);
}
END_TEST

/* 0xb in the upper bits of the status register: READY */
START_TEST(the_next_start_of_firmware_takes_as_long_as_was_said)
{
	up();
	to_ready();
	rig_do(rig, "boot-ms 3600000");
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0) >> 28, 0xb);
	rig_do(rig, "power-cut keep-client");
	usleep(50000);
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0) >> 28, 0x0);
	rig_do(rig, "boot-ms 0");
	rig_do(rig, "power-cut keep-client");
	to_ready();
}
END_TEST

static int dial(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct timeval two = {.tv_sec = 2};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(a.sun_path, rig->control);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &two, sizeof(two));
	return fd;
}

START_TEST(clients_that_talk_nonsense_are_dropped_and_others_served)
{
	char junk[2048], answer[256];
	int rude, crowd[12];

	up();
	memset(junk, 'x', sizeof(junk));
	rude = dial();
	send(rude, junk, sizeof(junk), MSG_NOSIGNAL);
	ck_assert_int_le(recv(rude, answer, sizeof(answer), 0), 0);
	close(rude);
	rude = dial();
	send(rude, "st\0ats\n", 7, MSG_NOSIGNAL);
	ck_assert_int_le(recv(rude, answer, sizeof(answer), 0), 0);
	close(rude);
	for (unsigned i = 0; i < 12; i++)
		crowd[i] = dial();
	ck_assert_int_le(recv(crowd[11], answer, sizeof(answer), 0), 0);
	for (unsigned i = 0; i < 12; i++)
		close(crowd[i]);
	/* As soon as the emulator has seen them leave. */
	for (ssize_t n = 0; n <= 0; usleep(1000)) {
		rude = dial();
		send(rude, "status\n", 7, MSG_NOSIGNAL);
		n = recv(rude, answer, sizeof(answer), 0);
		close(rude);
	}
}
END_TEST

START_TEST(several_lines_at_once_are_answered_in_order)
{
	char answer[4096];
	size_t n = 0;
	int fd;

	up();
	fd = dial();
	send(fd, "online ld0\nnonsense\non", 22, 0);
	send(fd, "line ld0\n", 9, 0);
	for (unsigned lines = 0; lines < 3;) {
		ssize_t got = recv(fd, answer + n, sizeof(answer) - 1 - n, 0);

		ck_assert_int_gt(got, 0);
		for (ssize_t i = 0; i < got; i++)
			lines += answer[n + (size_t)i] == '\n';
		n += (size_t)got;
	}
	answer[n] = '\0';
	ck_assert_int_eq(strncmp(answer, "{\"ok\":true}\n{\"ok\":false,", 24), 0);
	ck_assert_ptr_nonnull(strstr(answer, "}\n{\"ok\":true}\n"));
	close(fd);
}
END_TEST

/* --- scripts --- */

static char path[96];

static void script(const char *text)
{
	FILE *f;

	snprintf(path, sizeof(path), "%s.script", rig->dir);
	f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
	rig->cfg.script = path;
}

static void setup_script(void)
{
	rig = rig_new(&model_sas2108);
}

static void teardown_script(void)
{
	unlink(path);
}

START_TEST(a_script_acts_at_its_times_and_after_its_commands)
{
	script("# comment\n\n  at 50 add ld3,size=1M\nafter 3 aen-storm 2\nat 60 nonsense\n");
	rig_unit(rig, "ld0,size=1M");
	up();
	to_ready();
	bring_up();
	rig_wait(strstr(rig_do(rig, "status"), "\"ld3\""));
	for (unsigned i = 0; i < 3; i++) {
		ld_rw(0, false, 0, 0, 1);
		ck_assert_uint_eq(run(0, 0), 0);
	}
	dcmd(9, 0x01040100, 20);
	ck_assert_uint_eq(run(9, 0), 0);
	/* start, the added unit, and the storm */
	ck_assert_uint_eq(get_le32(data_at(9), 0), 4);
	teardown();
	close(efd);
	efd = -1;
}
END_TEST

START_TEST(a_script_with_a_mistake_is_refused_with_its_line)
{
	static const char *const bad[] = {"at 5\n", "at x power-cut\n", "when 5 stats\n", "after 0 stats\n"};
	struct err e = {""};

	script(bad[_i]);
	ck_assert_int_lt(emu_prepare(&rig->emu, &rig->cfg, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.text, ".script:1:"));
	emu_stop(&rig->emu);
	rmdir(rig->dir);
	free(rig);
}
END_TEST

/* --- fault rules --- */

static const struct {
	const char *text;
	bool good;
} rules[] = {
	{"drop", true},
	{"delay=100 on=read+write unit=ld0 nth=5 count=3 one-in=2", true},
	{"sense=3/1100 op=28", true},
	{"fw-fault", true},
	{"fw-fault=12a", true},
	{"status=21 op=01101000 count=0", true},
	{"", false},
	{"delay", false},
	{"delay=x", false},
	{"drop=1", false},
	{"sense=3", false},
	{"sense=10/0000", false},
	{"sense=3/1100x", false},
	{"drop on=", false},
	{"drop on=sometimes", false},
	{"drop nth=0", false},
	{"drop one-in=0", false},
	{"drop nth=-1", false},
	{"drop unit=averyverylongname", false},
	{"drop op=123456789", false},
	{"drop color=red", false},
};

START_TEST(grammar)
{
	struct faults f = {0};
	struct err e = {""};

	ck_assert_int_eq(faults_add(&f, rules[_i].text, &e) == 0, rules[_i].good);
	ck_assert_int_eq(!e.text[0], rules[_i].good);
}
END_TEST

START_TEST(a_rule_strikes_whom_it_names_from_the_nth_and_so_often)
{
	struct rng rng = {1};
	struct faults f = {.rng = &rng};
	struct err e;
	const struct cmd_info read = {CLASS_READ | CLASS_SCSI, "ld0", 0x28},
			      other = {CLASS_READ, "ld1", 0x28}, write = {CLASS_WRITE, "ld0", 0x2a};

	ck_assert_int_eq(faults_add(&f, "drop on=read unit=ld0 op=28 nth=3 count=2", &e), 0);
	for (unsigned i = 1; i < 10; i++) {
		ck_assert_ptr_null(faults_match(&f, &other));
		ck_assert_ptr_null(faults_match(&f, &write));
		ck_assert_int_eq(faults_match(&f, &read) != NULL, i == 3 || i == 4);
	}
	ck_assert_uint_eq(f.hits, 2);
	for (unsigned i = 0; i < MAX_FAULTS; i++)
		ck_assert_int_eq(faults_add(&f, "drop nth=1000", &e), 0);
	ck_assert_int_eq(faults_add(&f, "drop", &e), -ENOSPC);
	faults_clear(&f);
	ck_assert_int_eq(faults_add(&f, "twice count=0 one-in=4", &e), 0);
	for (unsigned i = 0; i < 4000; i++)
		faults_match(&f, &read);
	ck_assert_uint_gt(f.hits, 850);
	ck_assert_uint_lt(f.hits, 1150);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("emulator's control");
	TCase *t = tcase_create("socket"), *scripts = tcase_create("scripts"),
	      *grammars = tcase_create("rules");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, every_answer_is_json);
	tcase_add_loop_test(t, mistakes_are_told, 0, (int)ARRAY_SIZE(refused));
	tcase_add_test(t, units_can_be_watched_and_changed);
	tcase_add_test(t, the_next_start_of_firmware_takes_as_long_as_was_said);
	tcase_add_test(t, clients_that_talk_nonsense_are_dropped_and_others_served);
	tcase_add_test(t, several_lines_at_once_are_answered_in_order);
	tcase_add_checked_fixture(scripts, setup_script, teardown_script);
	tcase_set_timeout(scripts, 30);
	tcase_add_test(scripts, a_script_acts_at_its_times_and_after_its_commands);
	tcase_add_loop_test(scripts, a_script_with_a_mistake_is_refused_with_its_line, 0, 4);
	tcase_add_loop_test(grammars, grammar, 0, (int)ARRAY_SIZE(rules));
	tcase_add_test(grammars, a_rule_strikes_whom_it_names_from_the_nth_and_so_often);
	suite_add_tcase(s, t);
	suite_add_tcase(s, scripts);
	suite_add_tcase(s, grammars);
	return run_suite(s);
}
