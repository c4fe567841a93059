/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any CDB with any room, on a controller that fails, refuses and reorders: each command completes exactly
 * once, claims no more data than there is room for, and CHECK CONDITION has sense. Seeded, so that it fails
 * the same way.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/endian.h"
#include "fixture.h"

#define ROUNDS 8000
#define FLYING 24

static struct fx x;
static struct tst tst[FLYING];
static uint64_t state;

static uint32_t rnd(uint32_t n)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 33) % n;
}

/* Lengths and LBAs that matter more often than chance would have it. */
static uint32_t interesting(void)
{
	static const uint32_t some[] = {
		0, 1, 2, 4, 8, 16, 255, 256, 257, 511, 512, 4095, 4096, 4097, 16383, 16384, UINT32_MAX};

	return rnd(3) ? some[rnd(ARRAY_SIZE(some))] : rnd(UINT32_MAX);
}

static void random_long(uint8_t cdb[32])
{
	cdb[1] = (uint8_t)(rnd(8) ? 0 : rnd(256));
	cdb[7] = (uint8_t)(rnd(8) ? 24 : rnd(256));
	put_be16(cdb + 8, (uint16_t)(rnd(8) ? 8 + rnd(8) : rnd(65536)));
	put_be64(cdb + 12, rnd(8) ? interesting() : UINT64_MAX - rnd(3));
	put_be32(cdb + 28, rnd(3) ? rnd(300) : interesting());
}

static void random_cdb(uint8_t cdb[32])
{
	static const uint8_t likely[] = {0x08, 0x0a, 0x28, 0x2a, 0x2e, 0x2f, 0x35, 0x7f, 0x88, 0x89, 0x8a,
		0x8b, 0x8e, 0x8f, 0x91, 0x9c, 0x12, 0x1a, 0x5a, 0xa3, 0x9e, 0xa8, 0xaa, 0xae, 0xaf, 0x1b,
		0x03,
		/* parameter lists and what is passed */
		0x15, 0x1c, 0x1d, 0x37, 0x3b, 0x3c, 0x4d, 0x55, 0x85, 0xa1, 0xa2, 0xb5, 0xb7, 0xc1, 0xc2};

	for (unsigned i = 0; i < 32; i++)
		cdb[i] = (uint8_t)(rnd(4) ? 0 : rnd(256));
	cdb[0] = rnd(4) ? likely[rnd(ARRAY_SIZE(likely))] : (uint8_t)rnd(256);
	if (cdb[0] == 0xa3)
		cdb[1] = (uint8_t)(0x0a + rnd(5));
	if (cdb[0] == 0x7f)
		random_long(cdb);
	if (rnd(3) == 0)
		return;
	if (cdb[0] >> 5 == 1) {
		cdb10(cdb, cdb[0], cdb[1], interesting(), (uint16_t)interesting());
	} else if (cdb[0] >> 5 == 4) {
		cdb16(cdb, cdb[0], cdb[1], rnd(8) ? interesting() : UINT64_MAX - rnd(3), interesting());
	}
}

static uint32_t asked_blocks(const uint8_t cdb[32])
{
	switch (cdb[0]) {
	case 0x89:
		return cdb[13] * 2U;
	case 0x9c:
		return get_be16(cdb + 12);
	case 0x7f:
		return get_be32(cdb + 28);
	}
	return cdb[0] >> 5 == 1 ? get_be16(cdb + 7) : cdb[0] >> 5 == 4 ? get_be32(cdb + 10) : cdb[4];
}

/* As much as the CDB asks for, mostly. */
static size_t random_room(const uint8_t cdb[32])
{
	uint64_t n = asked_blocks(cdb);

	if (rnd(3) == 0)
		return rnd(70000);
	return (size_t)MIN(n * 512, 1U << 17);
}

static void random_fault(void)
{
	struct fake *f = x.fake;
	static const uint8_t statuses[] = {0x00, 0x02, 0x08, 0x18, 0x28, 0x40, 0x30, 0xff};

	f->fault.count = 1;
	f->fault.skip = 0;
	f->fault.kind = (enum hba_req_kind)rnd(3);
	f->fault.result = (enum hba_result)rnd(HBA_GONE + 1);
	f->fault.status = statuses[rnd(sizeof(statuses))];
	f->fault.sense_len = (uint8_t)rnd(97);
	for (unsigned i = 0; i < HBA_SENSE_SIZE; i++)
		f->fault.sense[i] = (uint8_t)rnd(256);
	if (rnd(2))
		f->fault.sense[0] = (uint8_t)(0x70 + rnd(4));
}

static void step(struct tst *t)
{
	uint8_t cdb[32];
	size_t room;

	random_cdb(cdb);
	room = random_room(cdb);
	tst_init(t, x.lun, cdb, rnd(10) ? 32 : rnd(33), room,
		room ? 1 + rnd(MIN((uint32_t)room, 20)) : rnd(2));
	tst_submit(t);
}

static void disturb(void)
{
	struct fake *f = x.fake;

	switch (rnd(12)) {
	case 0:
		random_fault();
		break;
	case 1:
		f->refuse_eagain = rnd(4);
		break;
	case 2:
		f->state = f->state == HBA_RUNNING ? HBA_RESETTING : HBA_RUNNING;
		break;
	case 3:
		f->slots = 1 + rnd(FAKE_MAX_SLOTS);
		break;
	case 4:
		x.disk->bad_lba = rnd(2) ? rnd(16384) : UINT64_MAX;
		break;
	case 5:
		x.disk->verify = rnd(2);
		break;
	case 6:
		f->short_moved = rnd(8) ? 0 : 1;
		break;
	default:
		break;
	}
	fake_ready(f);
}

static void check_done(const struct tst *t)
{
	const struct scsi_task *k = &t->task;

	ck_assert_uint_eq(t->done, 1);
	ck_assert_uint_le(k->in_bytes, t->len);
	if (k->status == SCSI_CHECK_CONDITION)
		ck_assert_uint_gt(k->sense_len, 0);
	else
		ck_assert_uint_eq(k->sense_len, 0);
	if (k->dir != DMA_FROM_DEVICE || (k->status != SCSI_GOOD && k->status != SCSI_CHECK_CONDITION))
		ck_assert_uint_eq(k->in_bytes, 0);
}

static void drain(void)
{
	x.fake->state = HBA_RUNNING;
	x.fake->refuse_eagain = 0;
	x.fake->slots = FAKE_MAX_SLOTS;
	fake_ready(x.fake);
	fake_run(x.fake, 1 + rnd(1000));
	for (unsigned i = 0; i < FLYING; i++) {
		if (!tst[i].buf)
			continue;
		check_done(&tst[i]);
		free(tst[i].buf);
		tst[i].buf = NULL;
	}
	ck_assert_uint_eq(scsi_lun_busy(x.lun), 0);
}

/* The controller goes with all that it has, and comes back before or after those who wait for it have given up. */
static void lose(void)
{
	struct fake *f = x.fake;
	struct err e;

	f->state = rnd(2) ? HBA_REMOVED : HBA_FAILED;
	while (f->n_flight)
		fake_end(f, rnd(f->n_flight), HBA_GONE, 0, NULL, 0);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	for (unsigned n = rnd(4); n; n--) {
		unsigned i = rnd(FLYING);

		if (!tst[i].buf)
			step(&tst[i]);
		else if (!tst[i].done)
			scsi_task_abort(&tst[i].task);
	}
	fake_now += rnd(15) * NS_PER_SEC;
	scsi_host_tick(x.host);
	f->state = HBA_RUNNING;
	f->fault.count = 0;
	f->hba.fua_native = rnd(2);
	ck_assert_int_eq(scsi_host_attach(x.host, &f->hba, &e), 0);
}

START_TEST(every_command_completes_once)
{
	struct fake *f = fake_new(1, 16384, 512);

	state = (uint64_t)_i + 1;
	f->hba.limits.max_transfer = 16384;
	f->slots = FAKE_MAX_SLOTS; /* what fake_free() looks at */
	/* atomic writes of up to 32 blocks */
	memset(f->disk[0].vpd[0xb0].data + 44, 0, 20);
	f->disk[0].vpd[0xb0].data[47] = 32;
	for (unsigned opcode = 1; opcode < 256; opcode++)
		f->disk[0].passes[opcode] = strchr("\x37\x3b\x3c\x85\xa1\xa2\xb5\xb7\xc1\xc2", (int)opcode);
	fake_set_page(&f->disk[0].log[0x00], "\0\0\0\x02\0\x0d", 6);
	fx_attach(&x, f);
	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, _i & 1 ? "ld0;hold=10;allow=buffer+security+ata+nodata+c1-in+c2-out"
				  : "ld0;allow=buffer+security+ata+nodata+c1-in+c2-out");
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned i = rnd(FLYING);

		disturb();
		if (f->n_flight && rnd(2))
			fake_complete(f, rnd(f->n_flight));
		if (tst[i].buf && !tst[i].done && rnd(4) == 0)
			scsi_task_abort(&tst[i].task);
		if (tst[i].buf && tst[i].done) {
			check_done(&tst[i]);
			free(tst[i].buf);
			tst[i].buf = NULL;
		}
		if (!tst[i].buf)
			step(&tst[i]);
		if (rnd(500) == 0) {
			struct err e;

			scsi_host_detach(x.host, (enum scsi_gate)(1 + rnd(3)));
			/* Those who wait for it have waited long enough. */
			fake_now += 11 * NS_PER_SEC;
			scsi_host_tick(x.host);
			drain();
			f->fault.count = 0;
			f->hba.fua_native = rnd(2);
			ck_assert_int_eq(scsi_host_attach(x.host, &f->hba, &e), 0);
		}
		if (rnd(300) == 0)
			lose();
		f->n_log = 0;
	}
	drain();
	fx_teardown(&x);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi fuzz");
	TCase *c = tcase_create("fuzz");

	tcase_set_timeout(c, 100);
	tcase_add_loop_test(c, every_command_completes_once, 0, 4);
	suite_add_tcase(s, c);
	return run_suite(s);
}
