/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bring-up is captured at one emulator and replayed by another: what was seen on somebody's card is seen again at a
 * desk, without the card.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "hba/core.h"
#include "hbad/capture.h"
#include "proc.h"
#include "tests/unit/run_suite.h"

static struct emu_proc emu;
static struct loop *loop;
static pthread_t io;
static struct hba *hba;
static char dir[64], file[96];

static void *io_main(void *arg)
{
	log_this_thread_is_io();
	loop_run(arg);
	return NULL;
}

static void setup(void)
{
	log_set_level(getenv("VERBOSE") ? LOG_LV_DEBUG : LOG_LV_ERR);
	strcpy(dir, "/tmp/hbad-capture-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/capture", dir);
	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(pthread_create(&io, NULL, io_main, loop), 0);
	while (!loop_is_running(loop))
		usleep(1000);
}

static void teardown(void)
{
	char old[sizeof(file) + 4];

	hba_close(hba);
	hba = NULL;
	loop_stop(loop);
	pthread_join(io, NULL);
	loop_destroy(loop);
	snprintf(old, sizeof(old), "%s.old", file);
	unlink(old);
	unlink(file);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void start_model(const char *model, const char *fault)
{
	const char *options[] = {"--model", model, "--unit", "ld0,size=64M", "--unit", "pd8,size=16M",
		"--boot-ms", "50", "--latency-us", "200", "--seed", "3", fault ? "--fault" : NULL, fault,
		NULL};

	emu_start_proc(&emu, options);
}

static void start_replay(void)
{
	const char *const options[] = {"--replay", file, NULL};

	emu_start_proc(&emu, options);
}

static int bring_up(bool captured, struct err *e)
{
	const struct hba_config cfg = {
		.uri = emu.uri, .bounce_bytes = 16u << 20, .capture = captured ? file : NULL};
	int r = hba_open(&cfg, loop, &hba, e);

	if (r == 0)
		r = hba_attach(hba, e);
	return r == 0 ? hba_start(hba, e) : r;
}

static void let_go(void)
{
	hba_close(hba);
	hba = NULL;
}

/* What the bring-up found out. */
struct findings {
	struct hba_info info;
	struct hba_limits limits;
	unsigned n_units;
	struct hba_unit unit[4];
};

static void look(struct findings *f)
{
	memset(f, 0, sizeof(*f));
	f->info = hba->info;
	f->limits = hba->limits;
	f->n_units = hba->n_units;
	ck_assert_uint_le(f->n_units, ARRAY_SIZE(f->unit));
	memcpy(f->unit, hba->unit, f->n_units * sizeof(f->unit[0]));
}

static void same(const struct findings *a, const struct findings *b)
{
	ck_assert_str_eq(a->info.product, b->info.product);
	ck_assert_str_eq(a->info.serial, b->info.serial);
	ck_assert_str_eq(a->info.firmware, b->info.firmware);
	ck_assert_mem_eq(&a->limits, &b->limits, sizeof(a->limits));
	ck_assert_uint_eq(a->n_units, b->n_units);
	for (unsigned i = 0; i < a->n_units; i++) {
		ck_assert_str_eq(a->unit[i].name, b->unit[i].name);
		ck_assert_uint_eq(a->unit[i].blocks, b->unit[i].blocks);
		ck_assert_int_eq(a->unit[i].state, b->unit[i].state);
	}
}

static void some_io(void)
{
	static const uint8_t tur[6];
	static uint8_t block[512];
	struct iovec iov = {block, sizeof(block)};

	for (unsigned i = 0; i < 20; i++) {
		struct hba_req t = {.unit = &hba->unit[0],
			.kind = HBA_REQ_CDB,
			.cdb_len = sizeof(tur),
			.timeout_ms = 30000};
		struct hba_req w = {.unit = &hba->unit[0],
			.kind = HBA_REQ_RW,
			.lba = i,
			.nblocks = 1,
			.block_size = sizeof(block),
			.timeout_ms = 30000};

		memset(block, 'S', sizeof(block));
		w.xfer =
			(struct dma_xfer){.iov = &iov, .niov = 1, .len = sizeof(block), .dir = DMA_TO_DEVICE};
		ck_assert_int_eq(hba_run(hba, i % 2 ? &w : &t), 0);
		if (i % 4 != 3)
			continue;
		memset(block, 0, sizeof(block));
		w.xfer.dir = DMA_FROM_DEVICE;
		ck_assert_int_eq(hba_run(hba, &w), 0);
		ck_assert_uint_eq(block[511], 'S');
	}
}

static size_t read_capture(uint8_t *to, size_t size)
{
	int fd = open(file, O_RDONLY);
	ssize_t n = read(fd, to, size);

	ck_assert_int_gt(n, 0);
	close(fd);
	return (size_t)n;
}

static void replay_says(const char *part)
{
	const char *text = emu_do(&emu, "status");

	ck_assert_msg(strstr(text, part), "'%s' is not in: %s", part, text);
}

static const char *const replayed[] = {"sas2108", "sas3108", "ame-6262"};

START_TEST(a_bring_up_goes_the_same_way_again)
{
	struct findings first, again;
	struct err e = {""};
	int r;

	start_model(replayed[_i], NULL);
	ck_assert_msg(bring_up(true, &e) == 0, "%s", e.text);
	look(&first);
	some_io();
	let_go();
	emu_end_proc(&emu);

	start_replay();
	r = bring_up(false, &e);
	ck_assert_msg(r == 0, "%s; %s", e.text, emu_do(&emu, "status"));
	look(&again);
	same(&first, &again);
	replay_says("\"state\":\"replaying\"");
	ck_assert_uint_ge(emu_number(&emu, "status", "matched"), 10);
	/* No wrong DMA, no divergence: the exit status tells. */
	emu_end_proc(&emu);
	let_go();
}
END_TEST

START_TEST(a_failure_fails_again_with_the_same_sentence)
{
	struct err e = {""}, again = {""};
	int r, s;

	/* The third DCMD: firmware faults in the middle of discovery. */
	start_model("sas2108", "fw-fault=321 op=03010000");
	r = bring_up(true, &e);
	ck_assert_int_lt(r, 0);
	let_go();
	emu_end_proc(&emu);

	start_replay();
	s = bring_up(false, &again);
	ck_assert_msg(s == r, "%d instead of %d: %s; %s", s, r, again.text, emu_do(&emu, "status"));
	/* The sockets have different names, which sentences may begin with. */
	ck_assert_str_eq(strstr(again.text, "firmware"), strstr(e.text, "firmware"));
	emu_end_proc(&emu);
	let_go();
}
END_TEST

START_TEST(data_of_users_is_not_in_a_capture_and_nobody_else_reads_it)
{
	static uint8_t bytes[8 << 20];
	uint8_t data[64];
	struct err e = {""};
	struct stat st;
	size_t n;

	start_model(replayed[_i], NULL);
	ck_assert_msg(bring_up(true, &e) == 0, "%s", e.text);
	some_io();
	let_go();
	emu_end_proc(&emu);
	n = read_capture(bytes, sizeof(bytes));
	memset(data, 'S', sizeof(data));
	ck_assert_ptr_null(memmem(bytes, n, data, sizeof(data)));
	ck_assert_int_eq(stat(file, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(an_older_capture_is_kept)
{
	char old[sizeof(file) + 4];
	struct err e = {""};
	struct stat before, kept;

	start_model("sas2108", NULL);
	for (unsigned i = 0; i < 2; i++) {
		if (i)
			ck_assert_int_eq(stat(file, &before), 0);
		ck_assert_msg(bring_up(true, &e) == 0, "%s", e.text);
		let_go();
	}
	emu_end_proc(&emu);
	snprintf(old, sizeof(old), "%s.old", file);
	ck_assert_int_eq(stat(old, &kept), 0);
	ck_assert_uint_eq(kept.st_ino, before.st_ino);
}
END_TEST

/* A driver of the next version, say, which does one thing differently. */
START_TEST(the_first_access_that_differs_is_named)
{
	struct pci_dev *dev;
	struct err e = {""};
	int status;

	start_model("sas2108", NULL);
	ck_assert_msg(bring_up(true, &e) == 0, "%s", e.text);
	let_go();
	emu_end_proc(&emu);

	start_replay();
	ck_assert_msg(pci_open(emu.uri, &dev, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(dev->id.device, 0x0079);
	/* The driver looks at the state until it is WAIT_HANDSHAKE, and then answers with 18h. */
	for (unsigned i = 0; i < 1000 && pci_read32(dev, 1, 0xb0) >> 28 != 0x6; i++)
		;
	pci_write32(dev, 1, 0x20, 0x1234);
	ck_assert_uint_eq(pci_read32(dev, 1, 0xb0), UINT32_MAX);
	replay_says("\"state\":\"diverged\"");
	replay_says("the capture has write32 BAR1+0x20 = 0x00000018, the driver did write32 BAR1+0x20 = "
		    "0x00001234");
	pci_close(dev);
	/* --strict: a replay that did not go through is no success. */
	kill(emu.pid, SIGTERM);
	ck_assert_int_eq(waitpid(emu.pid, &status, 0), emu.pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 3, "wait status %x", status);
	rmdir(emu.dir);
}
END_TEST

START_TEST(a_file_that_cannot_be_written_is_told_plainly)
{
	struct err e = {""};

	start_model("sas2108", NULL);
	snprintf(file, sizeof(file), "%s/missing/capture", dir);
	ck_assert_int_eq(bring_up(true, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, file));
	ck_assert_ptr_null(hba);
	/* The device was let go. */
	ck_assert_msg(bring_up(false, &e) == 0, "%s", e.text);
	let_go();
	emu_end_proc(&emu);
}
END_TEST

START_TEST(a_disk_that_is_full_costs_the_capture_only)
{
	struct rlimit before, none;
	struct err e = {""};

	start_model("sas2108", NULL);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = before;
	none.rlim_cur = 100;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	ck_assert_int_eq(
		hba_open(&(struct hba_config){.uri = emu.uri, .bounce_bytes = 16u << 20, .capture = file},
			loop, &hba, &e),
		0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	ck_assert_msg(hba_attach(hba, &e) == 0, "%s", e.text);
	ck_assert_msg(hba_start(hba, &e) == 0, "%s", e.text);
	some_io();
	let_go();
	ck_assert_int_ne(access(file, F_OK), 0);
	emu_end_proc(&emu);
}
END_TEST

/* --- hbactl probe --- */

static char output[16384];

static int run_hbactl(const char *const *args)
{
	char *argv[12] = {(char *)"hbactl"};
	int out[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	for (unsigned i = 0; args[i]; i++)
		argv[i + 1] = (char *)args[i];
	ck_assert_int_eq(pipe(out), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		dup2(out[1], 1);
		dup2(out[1], 2);
		close(out[0]);
		close(out[1]);
		execv(HBACTL, argv);
		_exit(127);
	}
	close(out[1]);
	while ((n = read(out[0], output + len, sizeof(output) - 1 - len)) > 0)
		len += (size_t)n;
	output[len] = '\0';
	close(out[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "wait status %x: %s", status, output);
	return WEXITSTATUS(status);
}

static void printed(const char *part)
{
	ck_assert_msg(strstr(output, part), "'%s' is not in: %s", part, output);
}

static const struct {
	const char *model, *id, *family, *says;
} looks[] = {
	{"sas2108", "1000:0079", "Read as sas2108", "Firmware state"},
	{"sas3108", "1000:005d", "Read as sas3108", "Firmware state"},
	{"ame-6262", "14d6:6262", "Read as ame", "14d6:6262, as the PCI id"},
	{"ame-626f", "14d6:626f", "Read as ame", "14d6:626f, as the PCI id"},
};

/* A look changes nothing: the exit status of the emulator would tell of a wrong access, and the one who comes after
 * it finds firmware as it was. */
START_TEST(each_model_can_be_looked_at)
{
	const char *const args[] = {"probe", emu.uri, NULL};

	start_model(looks[_i].model, NULL);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_msg(run_hbactl(args) == 0, "%s", output);
		printed(looks[_i].id);
		printed(looks[_i].family);
		printed(looks[_i].says);
	}
	ck_assert_uint_eq(emu_number(&emu, "stats", "dma_blocked"), 0);
	ck_assert_uint_eq(emu_number(&emu, "stats", "resets"), 0);
	ck_assert_uint_eq(emu_number(&emu, "stats", "commands"), 0);
	emu_end_proc(&emu);
}
END_TEST

START_TEST(firmware_that_faulted_is_told_so)
{
	const char *const args[] = {"probe", emu.uri, NULL};

	start_model("sas2108", NULL);
	emu_do(&emu, "fw-fault 123");
	ck_assert_int_eq(run_hbactl(args), 0);
	printed("FAULT");
	printed("123h");
	emu_end_proc(&emu);
}
END_TEST

START_TEST(a_device_that_is_gone_is_told_so)
{
	const char *const args[] = {"probe", emu.uri, NULL};

	start_model("sas2108", NULL);
	emu_do(&emu, "gone ff");
	ck_assert_int_eq(run_hbactl(args), 1);
	printed("does not answer");
	emu_end_proc(&emu);
}
END_TEST

START_TEST(a_look_can_be_captured_and_replayed)
{
	const char *const write_it[] = {"probe", emu.uri, "--capture", file, NULL};
	const char *const again[] = {"probe", emu.uri, NULL};
	char first[sizeof(output)];

	start_model("sas3108", NULL);
	ck_assert_int_eq(run_hbactl(write_it), 0);
	strcpy(first, strchr(output, '\n'));
	emu_end_proc(&emu);
	start_replay();
	ck_assert_int_eq(run_hbactl(again), 0);
	/* All but the socket's name. */
	ck_assert_str_eq(strchr(output, '\n'), first);
	emu_end_proc(&emu);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("captures");
	TCase *t = tcase_create("sas2108");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(
		t, a_bring_up_goes_the_same_way_again, 0, (int)(sizeof(replayed) / sizeof(replayed[0])));
	tcase_add_test(t, a_failure_fails_again_with_the_same_sentence);
	tcase_add_loop_test(
		t, data_of_users_is_not_in_a_capture_and_nobody_else_reads_it, 0, (int)ARRAY_SIZE(replayed));
	tcase_add_test(t, an_older_capture_is_kept);
	tcase_add_test(t, the_first_access_that_differs_is_named);
	tcase_add_test(t, a_file_that_cannot_be_written_is_told_plainly);
	tcase_add_test(t, a_disk_that_is_full_costs_the_capture_only);
	tcase_add_loop_test(t, each_model_can_be_looked_at, 0, (int)(sizeof(looks) / sizeof(looks[0])));
	tcase_add_test(t, firmware_that_faulted_is_told_so);
	tcase_add_test(t, a_device_that_is_gone_is_told_so);
	tcase_add_test(t, a_look_can_be_captured_and_replayed);
	suite_add_tcase(s, t);
	return run_suite(s);
}
