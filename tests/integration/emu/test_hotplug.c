/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole of hbad below the rings, in this process, on hba-emu in another one: the controller is pulled out and
 * put back, again and again, under load. Each block is stamped with its place and a generation; each command must end
 * once, and GOOD, and each read must return the newest acknowledged generation. Built once for each model.
 *
 * HBAD_CYCLES: how often, 10 if it is not set.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon_rig.h"
#include "emu/rng.h"
#include "scsi/scsi.h"
#include "tests/unit/run_suite.h"

#define BLOCK	  512
#define BLOCKS	  2048 /* of each LUN that are used */
#define LUNS	  2
#define JOBS	  24
#define MOST	  64 /* blocks of one command */
#define HOLD_TEXT "3600"

enum kind { READ, WRITE, FLUSH };

struct block {
	uint32_t acked, sent;
	bool busy;
};

struct job {
	struct scsi_task task;
	struct iovec iov;
	uint8_t buf[MOST * BLOCK];
	enum kind kind;
	unsigned lun;
	uint32_t lba, n;
	bool busy;
};

static struct emu_proc emu;
static struct scsi_lun *lun[LUNS];
static const char *unit_name[LUNS];
static struct block block[LUNS][BLOCKS];
static struct job job[JOBS];
static struct rng rng;
static bool loading; /* the I/O thread's */
/* atomic */
static uint64_t n_good, n_bad, n_wrong, n_twice, n_flush_failed;
static unsigned n_active;

#define get(x)	  __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define add(x, v) __atomic_add_fetch(&(x), v, __ATOMIC_ACQ_REL)

/* --- the load, on the I/O thread --- */

static void stamp(uint8_t *p, unsigned unit, uint32_t lba, uint32_t generation)
{
	const uint32_t s[4] = {0x68626164, unit, lba, generation};

	for (unsigned i = 0; i < BLOCK; i += sizeof(s))
		memcpy(p + i, s, sizeof(s));
}

/* 0: never written; UINT32_MAX: torn, or another block's */
static uint32_t generation_of(const uint8_t *p, unsigned unit, uint32_t lba)
{
	static const uint8_t zeros[BLOCK];
	uint8_t whole[BLOCK];
	uint32_t s[4];

	if (memcmp(p, zeros, BLOCK) == 0)
		return 0;
	memcpy(s, p, sizeof(s));
	stamp(whole, unit, lba, s[3]);
	return memcmp(p, whole, BLOCK) == 0 ? s[3] : UINT32_MAX;
}

static bool claim(struct job *j)
{
	struct block *b;

	j->lun = (unsigned)rng_below(&rng, LUNS);
	j->n = 1 + (uint32_t)rng_below(&rng, MOST);
	j->lba = (uint32_t)rng_below(&rng, BLOCKS - j->n + 1);
	b = &block[j->lun][j->lba];
	for (uint32_t i = 0; i < j->n; i++)
		if (b[i].busy)
			return false;
	for (uint32_t i = 0; i < j->n; i++)
		b[i].busy = true;
	return true;
}

static void choose(struct job *j)
{
	uint8_t *c = j->task.cdb;

	j->kind = rng_below(&rng, 100) == 0 ? FLUSH : rng_below(&rng, 2) ? WRITE : READ;
	memset(c, 0, SCSI_MAX_CDB);
	j->lun = (unsigned)rng_below(&rng, LUNS);
	c[0] = 0x35;
	j->n = 0;
	if (j->kind == FLUSH)
		return;
	while (!claim(j))
		;
	c[0] = j->kind == WRITE ? 0x2a : 0x28;
	c[4] = (uint8_t)(j->lba >> 8);
	c[5] = (uint8_t)j->lba;
	c[8] = (uint8_t)j->n;
	for (uint32_t i = 0; i < j->n && j->kind == WRITE; i++)
		stamp(j->buf + i * BLOCK, j->lun, j->lba + i, ++block[j->lun][j->lba + i].sent);
	if (j->kind == READ)
		memset(j->buf, 0xee, j->n * BLOCK);
}

static void on_done(struct scsi_task *t);

static void send_job(struct job *j)
{
	choose(j);
	j->iov = (struct iovec){j->buf, j->n * BLOCK};
	j->task.lun = lun[j->lun];
	j->task.cdb_len = 10;
	j->task.iov = &j->iov;
	j->task.niov = j->n != 0;
	j->task.iov_bytes = j->iov.iov_len;
	j->task.done = on_done;
	j->busy = true;
	add(n_active, 1);
	scsi_submit(&j->task);
}

static void judge(struct job *j)
{
	const struct scsi_task *t = &j->task;

	for (uint32_t i = 0; i < j->n; i++) {
		struct block *b = &block[j->lun][j->lba + i];

		b->busy = false;
		if (t->status == SCSI_GOOD && j->kind == WRITE)
			b->acked = b->sent;
		if (t->status == SCSI_GOOD && j->kind == READ &&
			generation_of(j->buf + i * BLOCK, j->lun, j->lba + i) != b->acked)
			add(n_wrong, 1);
	}
	if (t->status == SCSI_GOOD) {
		add(n_good, 1);
	} else if (j->kind == FLUSH && (t->sense[2] & 0xf) == 4 && t->sense[12] == 0x0c) {
		/* As it has to be where a cache may have lost what it held. */
		add(n_flush_failed, 1);
	} else if (add(n_bad, 1) < 5) {
		fprintf(stderr, "CDB %02x: status %02x, sense %x/%02x/%02x\n", t->cdb[0], t->status,
			t->sense[2], t->sense[12], t->sense[13]);
	}
}

static void on_done(struct scsi_task *t)
{
	struct job *j = container_of(t, struct job, task);

	if (!j->busy) {
		add(n_twice, 1);
		return;
	}
	judge(j);
	j->busy = false;
	add(n_active, -1);
	/* Nobody is waited for within: a submit of its own would make the stack as deep as the load is long. */
}

static void top_up(void)
{
	for (unsigned i = 0; i < JOBS && loading; i++)
		if (!job[i].busy)
			send_job(&job[i]);
}

static bool on_hook(struct loop_hook *h)
{
	uint64_t before = get(n_active);

	top_up();
	return get(n_active) != before;
}

static struct loop_hook hook = {.cb = on_hook};

static void io_begin(void *arg)
{
	loading = true;
	loop_add_hook(d.io.loop[0], &hook);
}

static void io_end(void *arg)
{
	loading = false;
	loop_del_hook(&hook);
}

static void io(void (*fn)(void *arg))
{
	ck_assert_int_eq(loop_call(d.io.loop[0], fn, NULL, LIMIT_MS), 0);
}

static void load_begin(void)
{
	io(io_begin);
}

static void load_end(void)
{
	io(io_end);
	for (unsigned i = 0; get(n_active); i++) {
		ck_assert_msg(i < LIMIT_MS, "%u commands never came back", get(n_active));
		clock_sleep_ms(1);
	}
}

static void load_progress(uint64_t n)
{
	uint64_t want = get(n_good) + n;

	for (unsigned i = 0; get(n_good) < want; i++) {
		ck_assert_msg(i < LIMIT_MS, "the load does not get on");
		clock_sleep_ms(1);
	}
}

static void load_judge(void)
{
	ck_assert_uint_eq(get(n_bad), 0);
	ck_assert_uint_eq(get(n_wrong), 0);
	ck_assert_uint_eq(get(n_twice), 0);
}

/* --- one command from the test's thread --- */

static unsigned one_done;
static struct job one;

static void one_is_done(struct scsi_task *t)
{
	__atomic_store_n(&one_done, 1, __ATOMIC_RELEASE);
}

static void one_send(void *arg)
{
	scsi_submit(&one.task);
}

static void read_back(unsigned l, uint32_t lba, uint32_t n)
{
	one_done = 0;
	one.iov = (struct iovec){one.buf, n * BLOCK};
	one.task = (struct scsi_task){.lun = lun[l],
		.cdb = {0x28, 0, 0, 0, (uint8_t)(lba >> 8), (uint8_t)lba, 0, 0, (uint8_t)n},
		.cdb_len = 10,
		.iov = &one.iov,
		.niov = 1,
		.iov_bytes = n * BLOCK,
		.done = one_is_done};
	io(one_send);
	for (unsigned i = 0; !get(one_done); i++) {
		ck_assert_uint_lt(i, LIMIT_MS);
		clock_sleep_ms(1);
	}
	ck_assert_uint_eq(one.task.status, SCSI_GOOD);
	for (uint32_t i = 0; i < n; i++)
		ck_assert_uint_eq(generation_of(one.buf + i * BLOCK, l, lba + i), block[l][lba + i].acked);
}

static void verify(void)
{
	for (unsigned l = 0; l < LUNS; l++)
		for (uint32_t lba = 0; lba < BLOCKS; lba += MOST)
			read_back(l, lba, MOST);
}

/* --- hbad --- */

static void gates_become(enum scsi_gate gate)
{
	for (unsigned l = 0; l < LUNS; l++)
		for (unsigned i = 0; scsi_lun_gate(lun[l]) != gate; i++) {
			ck_assert_msg(i < LIMIT_MS, "the gate of LUN %u is %d, not %d", l,
				scsi_lun_gate(lun[l]), gate);
			clock_sleep_ms(1);
		}
}

static void luns_make(void)
{
	for (unsigned l = 0; l < LUNS; l++) {
		struct scsi_lun_config cfg;
		struct err e = {""};
		char text[64];

		snprintf(text, sizeof(text), "%s;hold=" HOLD_TEXT, unit_name[l]);
		ck_assert_msg(scsi_lun_parse(text, &cfg, &e) == 0, "%s", e.text);
		ck_assert_int_eq(scsi_lun_create(d.host, &cfg, &lun[l]), 0);
	}
	gates_become(SCSI_GATE_OPEN);
}

static void retire(void *arg)
{
	for (unsigned l = 0; l < LUNS; l++)
		scsi_lun_destroy(lun[l]);
}

/* --- the emulator --- */

static const struct {
	const char *family, *unit[2], *name[2];
	const char *other; /* of another family, and so with another serial number or none */
} families[] = {
	{"sas", {"ld0", "ld1"}, {"ld0", "ld1"}, "ame-6262"},
	{"ame", {"ld0", "ld5"}, {"lun0", "lun5"}, "sas2108"},
	{"virtio", {"ld0", "ld5"}, {"t0l0", "t0l5"}, "sas2108"},
};
static unsigned family;

static void find_family(void)
{
	for (family = 0; strncmp(MODEL, families[family].family, strlen(families[family].family)) != 0;)
		ck_assert_uint_lt(++family, ARRAY_SIZE(families));
	memcpy(unit_name, families[family].name, sizeof(unit_name));
}

static void setup(void)
{
	char unit[2][32];
	const char *const options[] = {
		"--model", MODEL, "--unit", unit[0], "--unit", unit[1], "--boot-ms", "20", NULL};

	find_family();
	for (unsigned i = 0; i < 2; i++)
		snprintf(unit[i], sizeof(unit[i]), "%s,size=16M", families[family].unit[i]);
	rng.state = 5;
	emu_start_proc(&emu, options);
	daemon_start(&emu);
	luns_make();
}

static void teardown(void)
{
	io(retire);
	daemon_stop(&emu);
	emu_end_proc(&emu);
}

static unsigned cycles(void)
{
	const char *text = getenv("HBAD_CYCLES");

	return text ? (unsigned)atoi(text) : 10;
}

/* All ways to go. Returns when hbad has noticed. */
static void pull_out(unsigned how)
{
	static const char *const ways[] = {"gone ff", "gone socket", "unplug-request", "disconnect"};

	emu_do(&emu, "%s", ways[how % ARRAY_SIZE(ways)]);
	if (how % ARRAY_SIZE(ways) < 2)
		gates_become(SCSI_GATE_HELD);
}

/* The last two have not taken it away: it is found again at once. */
static void put_back(unsigned how)
{
	if (how % 4 < 2)
		emu_do(&emu, "back");
}

START_TEST(pulled_out_and_put_back_under_load)
{
	unsigned n = cycles();

	load_begin();
	for (unsigned i = 0; i < n; i++) {
		load_progress(200 + rng_below(&(struct rng){i + 1}, 500));
		pull_out(i);
		/* Commands that came while it was away count too. */
		if (i % 3 == 0)
			clock_sleep_ms(20);
		put_back(i);
	}
	load_progress(500);
	load_end();
	gates_become(SCSI_GATE_OPEN);
	load_judge();
	/* Each that was under way once. */
	ck_assert_uint_le(get(n_flush_failed), (uint64_t)n * JOBS);
	verify();
	status_becomes(&emu, "\"state\":\"ready\"");
	printf(MODEL ": %u removals, %llu commands, %llu flushes told of writes that may be lost\n", n,
		(unsigned long long)get(n_good), (unsigned long long)get(n_flush_failed));
}
END_TEST

/* Firmware's n-th command from the return on is one too many: discovery, questions to units, load. */
static const unsigned phases[] = {1, 2, 3, 4, 6, 8, 11, 15, 20, 30, 50};

/* Soon after it the process that serves it hangs up. */
static void hang_up_after(unsigned n)
{
	uint64_t before = emu_number(&emu, "stats", "commands");

	emu_do(&emu, "back");
	for (unsigned i = 0; emu_number(&emu, "stats", "commands") < before + n; i++) {
		ck_assert_uint_lt(i, LIMIT_MS);
		clock_sleep_ms(1);
	}
	emu_do(&emu, "gone socket");
}

START_TEST(gone_again_in_each_phase_of_the_return)
{
	load_begin();
	for (unsigned i = 0; i < ARRAY_SIZE(phases); i++) {
		load_progress(50);
		emu_do(&emu, _i ? "gone socket" : "gone ff");
		gates_become(SCSI_GATE_HELD);
		if (_i)
			hang_up_after(phases[i]);
		else
			emu_vanish_at(&emu, phases[i]);
		emu_do(&emu, "back");
	}
	load_progress(200);
	load_end();
	load_judge();
	verify();
}
END_TEST

START_TEST(its_absence_is_survived_without_load_too)
{
	for (unsigned how = 0; how < 4; how++) {
		pull_out(how);
		put_back(how);
		gates_become(SCSI_GATE_OPEN);
		status_becomes(&emu, "\"state\":\"ready\"");
		verify();
	}
}
END_TEST

/* --- the process that serves it dies, and another one begins with the same media --- */

static const char *media[2]; /* "ld0,size=16M,file=..." */
static const char *own[9], *other[9];

static void fill_options(const char **o, const char *model)
{
	const char *const all[9] = {
		"--model", model, "--unit", media[0], "--unit", media[1], "--boot-ms", "20"};

	memcpy(o, all, sizeof(all));
}

static void setup_media(void)
{
	static char text[2][160];

	find_family();
	rng.state = 6;
	for (unsigned i = 0; i < 2; i++) {
		snprintf(text[i], sizeof(text[i]), "%s,size=16M,file=/tmp/hbad-hotplug-%d-%u",
			families[family].unit[i], getpid(), i);
		media[i] = text[i];
	}
	fill_options(own, MODEL);
	fill_options(other, families[family].other);
	emu_start_proc(&emu, own);
	daemon_start(&emu);
	luns_make();
}

static void teardown_media(void)
{
	teardown();
	for (unsigned i = 0; i < 2; i++)
		unlink(strstr(media[i], "file=") + 5);
}

static void flush(unsigned l)
{
	one_done = 0;
	one.task = (struct scsi_task){.lun = lun[l], .cdb = {0x35}, .cdb_len = 10, .done = one_is_done};
	io(one_send);
	for (unsigned i = 0; !get(one_done); i++) {
		ck_assert_uint_lt(i, LIMIT_MS);
		clock_sleep_ms(1);
	}
	ck_assert_uint_eq(one.task.status, SCSI_GOOD);
}

/* Nothing is in a cache when it dies, and all that comes afterwards waits. */
static void die_with_a_load_behind(void)
{
	load_progress(200);
	load_end();
	for (unsigned l = 0; l < LUNS; l++)
		flush(l);
	emu_kill_proc(&emu);
	gates_become(SCSI_GATE_HELD);
	load_begin();
}

START_TEST(a_server_that_dies_is_replaced)
{
	struct emu_proc old = emu;
	char path[160];
	struct config written;
	struct err e = {""};

	load_begin();
	die_with_a_load_behind();
	/* Another controller comes first. */
	emu_restart_proc(&emu, other);
	status_becomes(&emu, "another controller is in its place");
	ck_assert_uint_eq(get(n_active), JOBS);
	emu_kill_proc(&emu);
	emu_restart_proc(&emu, own);
	die_with_a_load_behind();
	/* It comes back in another slot. */
	snprintf(path, sizeof(path), "%s/conf", emu.dir);
	d.config_path = path;
	snprintf(emu.uri, sizeof(emu.uri), "vfio-user:%s/s2", emu.dir);
	emu_restart_proc(&emu, own);
	config_init(&written);
	strcpy(written.device, emu.uri);
	ck_assert_msg(config_save(path, &written, &e) == 0, "%s", e.text);
	load_progress(500);
	load_end();
	load_judge();
	verify();
	status_becomes(&emu, "/s2");
	unlink(path);
	unlink(old.uri + strlen("vfio-user:"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hot plug of " MODEL);
	TCase *t = tcase_create("hot plug"), *m = tcase_create("media");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 850);
	tcase_add_test(t, its_absence_is_survived_without_load_too);
	tcase_add_test(t, pulled_out_and_put_back_under_load);
	tcase_add_loop_test(t, gone_again_in_each_phase_of_the_return, 0, 2);
	tcase_add_checked_fixture(m, setup_media, teardown_media);
	tcase_set_timeout(m, 850);
	tcase_add_test(m, a_server_that_dies_is_replaced);
	suite_add_tcase(s, t);
	suite_add_tcase(s, m);
	return run_suite(s);
}
