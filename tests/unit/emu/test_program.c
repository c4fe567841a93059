/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program itself: options, and what its exit status says. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mfi_host.h"

static char dir[64], sock[96];
static pid_t pid;
static struct rig place; /* only its socket's path is used */

static void setup(void)
{
	strcpy(dir, "/tmp/hba-emu-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(sock, sizeof(sock), "%s/s", dir);
	rig = &place;
}

static void teardown(void)
{
	unlink(sock);
	rmdir(dir);
}

static void start(const char *const *options)
{
	const char *argv[32] = {"hba-emu"};
	unsigned n = 1;

	while (*options)
		argv[n++] = *options++;
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid)
		return;
	if (!getenv("VERBOSE")) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 1);
		dup2(null, 2);
	}
	execv(HBA_EMU, (char *const *)argv);
	_exit(127);
}

static int ended(void)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "wait status %x", status);
	return WEXITSTATUS(status);
}

static const struct {
	const char *options[6];
	int status;
} lines[] = {
	{{"--help"}, 0},
	{{"--version"}, 0},
	{{NULL}, 2},
	{{"--socket"}, 2},
	{{"--socket", "SOCK", "more"}, 2},
	{{"--socket", "SOCK", "--model", "aha1542"}, 2},
	{{"--socket", "SOCK", "--speed", "0"}, 2},
	{{"--socket", "SOCK", "--max-sge", "256"}, 2},
	{{"--socket", "SOCK", "--seed", "-1"}, 2},
	{{"--socket", "SOCK", "--ld-sync", "perhaps"}, 2},
	{{"--socket", "SOCK", "--frobnicate"}, 2},
	{{"--socket", "/nonexistent/s"}, 1},
	{{"--socket", "SOCK", "--unit", "ld0,size=x"}, 1},
	{{"--socket", "SOCK", "--fault", "explode"}, 1},
	{{"--socket", "SOCK", "--script", "/nonexistent"}, 1},
};

START_TEST(command_lines)
{
	const char *options[7];

	memcpy(options, lines[_i].options, sizeof(lines[_i].options));
	options[6] = NULL;
	for (unsigned i = 0; i < 6; i++)
		if (options[i] && strcmp(options[i], "SOCK") == 0)
			options[i] = sock;
	start(options);
	ck_assert_int_eq(ended(), lines[_i].status);
}
END_TEST

static void serve(const char *extra)
{
	const char *const options[] = {"--socket", sock, "--boot-ms", "0", extra, NULL};

	start(options);
	for (unsigned i = 0; i < LIMIT_MS && client_connect(&c, sock) < 0; i++)
		usleep(1000);
	client_close(&c);
	client_up(&c, sock);
	to_ready();
	ck_assert_uint_eq(init(ENTRIES, 0), 0);
}

static int stop(void)
{
	client_read32(&c, 1, 0xb0);
	usleep(50000);
	client_close(&c);
	kill(pid, SIGTERM);
	return ended();
}

START_TEST(all_is_well)
{
	serve("--strict");
	ck_assert_int_eq(stop(), 0);
	ck_assert_int_lt(access(sock, F_OK), 0);
}
END_TEST

START_TEST(wrong_dma_is_told_by_the_exit_status)
{
	serve(NULL);
	client_write32(&c, 1, 0x40, 0x40000001);
	ck_assert_int_eq(stop(), 3);
}
END_TEST

START_TEST(breaches_of_the_protocol_are_told_if_wanted)
{
	serve(_i ? "--strict" : NULL);
	ld_rw(0, false, 0, 0, 1)[0] = 0x77;
	fire(0, 0);
	ck_assert_int_eq(stop(), _i ? 3 : 0);
}
END_TEST

START_TEST(a_socket_in_use_is_not_taken_and_an_orphan_is)
{
	const char *const options[] = {"--socket", sock, NULL};
	pid_t first;

	serve(NULL);
	first = pid;
	start(options);
	ck_assert_int_eq(ended(), 1);
	/* the first one still serves */
	ck_assert_uint_eq(client_read32(&c, 1, 0xb0) >> 28, 0xc);
	client_close(&c);
	kill(first, SIGKILL);
	waitpid(first, NULL, 0);
	serve(NULL);
	ck_assert_int_eq(stop(), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hba-emu");
	TCase *t = tcase_create("program");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, command_lines, 0, (int)ARRAY_SIZE(lines));
	tcase_add_test(t, all_is_well);
	tcase_add_test(t, wrong_dma_is_told_by_the_exit_status);
	tcase_add_loop_test(t, breaches_of_the_protocol_are_told_if_wanted, 0, 2);
	tcase_add_test(t, a_socket_in_use_is_not_taken_and_an_orphan_is);
	suite_add_tcase(s, t);
	return run_suite(s);
}
