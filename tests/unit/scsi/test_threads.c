/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The calls of control and set-up threads against a real loop. Worth most under ThreadSanitizer. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include "base/clock.h"
#include "fixture.h"

#define ATTACHES 30

static struct loop *loop;
static struct scsi_host *host;
static struct fake *fake;
static atomic_bool stop;

/* Posted calls run by themselves here. */
void fake_loop_run(void)
{
}

static void *io_thread(void *arg)
{
	loop_run(loop);
	return NULL;
}

/* Control thread: looks at units while the set-up thread exchanges them. */
static void *control_thread(void *arg)
{
	struct scsi_lun_config cfg = {.unit = "ld1", .blocks = 4096, .block_size = 512};
	struct err e;

	while (!atomic_load(&stop)) {
		scsi_lun_check(host, &cfg, &e);
		scsi_host_find(host, "ld0", &e);
		clock_sleep_ms(1);
	}
	return NULL;
}

static void destroy(void *arg)
{
	scsi_lun_destroy(arg);
}

/* As an administrator's creates and deletes. */
static void *lun_thread(void *arg)
{
	struct scsi_lun_config cfg = {.unit = "ld0"};
	struct scsi_lun_stats st;
	struct scsi_lun *lun;

	while (!atomic_load(&stop)) {
		ck_assert_int_eq(scsi_lun_create(host, &cfg, &lun), 0);
		scsi_lun_gate(lun);
		scsi_lun_get_stats(lun, &st);
		ck_assert_uint_eq(scsi_lun_busy(lun), 0);
		ck_assert_int_eq(loop_call(loop, destroy, lun, 10000), 0);
	}
	return NULL;
}

struct io {
	struct scsi_lun *lun;
	struct tst t;
};

static void one_read(void *arg)
{
	struct io *io = arg;

	tst_init(&io->t, io->lun, "\x28\0\0\0\0\0\0\0\x08\0", 10, 4096, 2);
	tst_submit(&io->t);
	fake_run(fake, 0);
	ck_assert_uint_eq(io->t.done, 1);
	tst_fini(&io->t);
}

START_TEST(attach_detach_create_and_destroy_from_their_threads)
{
	pthread_t io, control, admin;
	static struct io reader;
	struct scsi_lun_config cfg = {.unit = "ld0"};
	struct err e;

	fake = fake_new(2, 4096, 512);
	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(scsi_host_create(loop, &host), 0);
	ck_assert_int_eq(pthread_create(&io, NULL, io_thread, NULL), 0);
	ck_assert_int_eq(scsi_lun_create(host, &cfg, &reader.lun), 0);
	ck_assert_int_eq(pthread_create(&control, NULL, control_thread, NULL), 0);
	ck_assert_int_eq(pthread_create(&admin, NULL, lun_thread, NULL), 0);
	for (unsigned i = 0; i < ATTACHES; i++) {
		ck_assert_int_eq(scsi_host_attach(host, &fake->hba, &e), 0);
		ck_assert_int_eq(scsi_lun_gate(reader.lun), SCSI_GATE_OPEN);
		ck_assert_int_eq(loop_call(loop, one_read, &reader, 10000), 0);
		ck_assert_uint_eq(reader.t.task.status, SCSI_GOOD);
		scsi_host_detach(host, i & 1 ? SCSI_GATE_GONE : SCSI_GATE_BECOMING_READY);
		scsi_host_detach(host, SCSI_GATE_BECOMING_READY);
		ck_assert_int_eq(loop_call(loop, one_read, &reader, 10000), 0);
		ck_assert_uint_eq(reader.t.task.status, SCSI_CHECK_CONDITION);
		ck_assert_int_eq(scsi_lun_gate(reader.lun), SCSI_GATE_BECOMING_READY);
	}
	atomic_store(&stop, true);
	pthread_join(control, NULL);
	pthread_join(admin, NULL);
	loop_stop(loop);
	pthread_join(io, NULL);
	scsi_lun_destroy(reader.lun);
	scsi_host_destroy(host);
	loop_destroy(loop);
	fake_free(fake);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi threads");
	TCase *c = tcase_create("threads");

	tcase_set_timeout(c, 100);
	tcase_add_test(c, attach_detach_create_and_destroy_from_their_threads);
	suite_add_tcase(s, c);
	return run_suite(s);
}
