/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * WRITE SAME, UNMAP, GET LBA STATUS, FORMAT UNIT and SANITIZE with nearly right CDBs and lists, on a unit that fails,
 * for LUNs and controllers that come and go: each command completes exactly once, and at the end the unit can be
 * made usable. Seeded, so that it fails the same way.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/endian.h"
#include "fixture.h"

#define ROUNDS 6000
#define FLYING 16
#define BLOCKS 2048
#define ROOM   700

static struct fx x;
static struct tst tst[FLYING];
static uint64_t state;

static uint32_t rnd(uint32_t n)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 33) % n;
}

static uint64_t some_lba(void)
{
	return rnd(10) ? rnd(BLOCKS + 2) : UINT64_MAX - rnd(2);
}

static uint32_t some_length(void)
{
	return rnd(10) ? rnd(40) : UINT32_MAX - rnd(2);
}

/* Each makes a CDB and a list and returns the length of the list. */

static size_t make_write_same(uint8_t *cdb, uint8_t *list)
{
	uint8_t bits = (uint8_t)(rnd(4) ? rnd(2) : rnd(256));

	if (rnd(2))
		cdb10(cdb, 0x41, bits, (uint32_t)some_lba(), (uint16_t)some_length());
	else
		cdb16(cdb, 0x93, bits, some_lba(), some_length());
	return cdb[0] == 0x93 && bits & 1 ? 0 : 512;
}

static size_t make_unmap(uint8_t *cdb, uint8_t *list)
{
	uint32_t n = rnd(40);

	cdb[0] = 0x42;
	put_be16(list, (uint16_t)(6 + 16 * n));
	put_be16(list + 2, (uint16_t)(rnd(8) ? 16 * n : rnd(65536)));
	for (uint32_t i = 0; i < n; i++) {
		put_be64(list + 8 + 16 * i, some_lba());
		put_be32(list + 16 + 16 * i, some_length());
	}
	put_be16(cdb + 7, (uint16_t)(8 + 16 * n));
	return 8 + 16 * n;
}

static size_t make_status(uint8_t *cdb, uint8_t *list)
{
	cdb16(cdb, 0x9e, 0x12, some_lba(), rnd(60));
	return rnd(60);
}

static size_t make_format(uint8_t *cdb, uint8_t *list)
{
	uint16_t pattern = (uint16_t)rnd(514);
	size_t at = rnd(2) ? 4 : 8;

	cdb[0] = 0x04;
	cdb[1] = (uint8_t)(rnd(4) ? 0x10 | (at == 8 ? 0x20 : 0) : rnd(256));
	list[1] = (uint8_t)(rnd(4) ? (rnd(2) ? 0x8a : 0x02) : rnd(256));
	if (!(list[1] & 0x08))
		return cdb[1] & 0x10 ? at : 0;
	list[at + 1] = (uint8_t)(rnd(8) ? 1 : rnd(3));
	put_be16(list + at + 2, pattern);
	return at + 4 + pattern;
}

static size_t make_sanitize(uint8_t *cdb, uint8_t *list)
{
	uint16_t pattern = (uint16_t)rnd(514);

	cdb[0] = 0x48;
	cdb[1] = (uint8_t)(rnd(3) ? 0x01 : 0x1f);
	cdb[1] |= (uint8_t)(rnd(4) << 5 & ~0x40);
	if (cdb[1] == 0x1f && rnd(4))
		return 0;
	list[0] = (uint8_t)(rnd(8) ? (rnd(2) ? 0x80 : 0) | rnd(3) : rnd(256));
	put_be16(list + 2, pattern);
	put_be16(cdb + 7, (uint16_t)(4 + pattern));
	return 4U + pattern;
}

static size_t make_other(uint8_t *cdb, uint8_t *list)
{
	static const uint8_t opcodes[] = {0x00, 0x03, 0x1b, 0x1e, 0x34, 0x35, 0x90, 0x12};

	if (rnd(2)) {
		uint32_t n = rnd(2);

		cdb16(cdb, rnd(2) ? 0x88 : 0x8a, 0, some_lba(), n);
		return n * 512;
	}
	cdb[0] = opcodes[rnd(ARRAY_SIZE(opcodes))];
	cdb[4] = (uint8_t)rnd(256);
	return cdb[0] == 0x03 || cdb[0] == 0x12 ? rnd(40) : 0;
}

static void step(struct tst *t)
{
	static size_t (*const make[])(uint8_t *, uint8_t *) = {
		make_write_same, make_unmap, make_status, make_other, make_other, make_format, make_sanitize};
	uint8_t cdb[32] = {0}, list[ROOM];
	uint32_t kind = rnd(20);
	size_t len;

	for (unsigned i = 0; i < ROOM; i++)
		list[i] = (uint8_t)(rnd(6) ? 0 : rnd(256));
	len = make[kind < ARRAY_SIZE(make) ? kind : kind % 5](cdb, list);
	if (rnd(20) == 0)
		cdb[rnd(16)] = (uint8_t)rnd(256);
	if (rnd(20) == 0)
		len = rnd(ROOM);
	tst_init(t, x.lun, cdb, 16, len, len ? 1 + rnd(MIN((uint32_t)len, 5)) : 0);
	memcpy(t->buf, list, len);
	t->filled = true;
	tst_submit(t);
}

static void check_done(struct tst *t)
{
	ck_assert_uint_eq(t->done, 1);
	ck_assert((t->task.status == SCSI_CHECK_CONDITION) == (t->task.sense_len > 0));
	free(t->buf);
	t->buf = NULL;
}

static void random_fault(void)
{
	struct fake *f = x.fake;

	f->fault.count = 1 + rnd(20);
	f->fault.skip = rnd(3);
	f->fault.kind = (enum hba_req_kind)rnd(3);
	f->fault.result = (enum hba_result)(rnd(2) ? HBA_DONE : rnd(HBA_GONE + 1));
	f->fault.status = 0x02;
	f->fault.sense_len = 18;
	memset(f->fault.sense, 0, 18);
	f->fault.sense[0] = 0x70;
	f->fault.sense[2] = (uint8_t)rnd(12);
	f->fault.sense[12] = (uint8_t)rnd(0x40);
}

static void drain(void)
{
	x.fake->state = HBA_RUNNING;
	x.fake->refuse_eagain = 0;
	x.fake->slots = FAKE_MAX_SLOTS;
	fake_ready(x.fake);
	fake_run(x.fake, 1 + rnd(1000));
	for (unsigned i = 0; i < FLYING; i++)
		if (tst[i].buf)
			check_done(&tst[i]);
	ck_assert_uint_eq(scsi_lun_busy(x.lun), 0);
}

/* As when tcmu-runner is restarted: commands are aborted, and another LUN takes the unit. */
static void change_lun(void)
{
	for (unsigned i = 0; i < FLYING; i++)
		if (tst[i].buf && !tst[i].done)
			scsi_task_abort(&tst[i].task);
	while (scsi_lun_busy(x.lun)) {
		x.fake->state = HBA_RUNNING;
		fake_ready(x.fake);
		fake_complete(x.fake, rnd(x.fake->n_flight));
	}
	for (unsigned i = 0; i < FLYING; i++)
		if (tst[i].buf)
			check_done(&tst[i]);
	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, "ld0;allow=format+sanitize+nodata");
}

static void disturb(void)
{
	struct fake *f = x.fake;
	struct err e = {""};

	switch (rnd(200)) {
	case 0:
		scsi_host_detach(x.host, (enum scsi_gate)(1 + rnd(3)));
		drain();
		f->fault.count = 0;
		ck_assert_int_eq(scsi_host_attach(x.host, &f->hba, &e), 0);
		break;
	case 1:
		change_lun();
		break;
	case 2:
		random_fault();
		break;
	case 3:
		f->state = f->state == HBA_RUNNING ? HBA_RESETTING : HBA_RUNNING;
		break;
	case 4:
		f->slots = 1 + rnd(8);
		break;
	case 5:
		x.disk->bad_lba = rnd(2) ? rnd(BLOCKS) : UINT64_MAX;
		break;
	case 6:
		fake_time_passes(rnd(40) * NS_PER_SEC);
		break;
	default:
		break;
	}
	fake_ready(f);
}

/* Whatever state the unit was left in, these two end it. */
static void make_usable(void)
{
	struct tst t;

	x.fake->fault.count = 0;
	x.disk->bad_lba = UINT64_MAX;
	tst_init(&t, x.lun, "\x48\x01\0\0\0\0\0\0\x05\0", 10, 5, 1);
	memcpy(t.buf, "\x01\0\0\x01\x42", 5);
	t.filled = true;
	tst_submit(&t);
	fake_run(x.fake, 0);
	assert_good(&t);
	tst_fini(&t);
	tst_do(&t, &x, "\x28\0\0\0\0\0\0\0\x01\0", 10, 512);
	assert_good(&t);
	for (unsigned i = 0; i < 512; i++)
		ck_assert_uint_eq(t.buf[i], 0x42);
	tst_fini(&t);
}

START_TEST(every_command_completes_once_and_the_unit_can_be_used_again)
{
	struct fake *f = fake_new(1, BLOCKS, 512);

	state = (uint64_t)_i + 77;
	f->disk[0].thin = true;
	f->hba.limits.max_transfer = 65536;
	f->slots = FAKE_MAX_SLOTS;
	put_be32(f->disk[0].vpd[0xb0].data + 20, 500);
	put_be32(f->disk[0].vpd[0xb0].data + 24, 30);
	fx_attach(&x, f);
	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, "ld0;allow=format+sanitize+nodata");
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned i = rnd(FLYING);

		disturb();
		for (unsigned n = rnd(6); n && f->n_flight; n--)
			fake_complete(f, rnd(f->n_flight));
		if (tst[i].buf && !tst[i].done && rnd(6) == 0)
			scsi_task_abort(&tst[i].task);
		if (tst[i].buf && tst[i].done)
			check_done(&tst[i]);
		if (!tst[i].buf)
			step(&tst[i]);
		f->n_log = 0;
	}
	drain();
	make_usable();
	fx_teardown(&x);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi fuzz of wipes");
	TCase *c = tcase_create("fuzz");

	tcase_set_timeout(c, 100);
	tcase_add_loop_test(c, every_command_completes_once_and_the_unit_can_be_used_again, 0, 6);
	suite_add_tcase(s, c);
	return run_suite(s);
}
