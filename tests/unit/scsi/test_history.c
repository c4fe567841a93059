/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What reads may find. Each write has a number that stands in every block it writes. However commands are cut up, fail,
 * are aborted, or wait for a controller that was lost with their requests done or not done: a read that is GOOD finds in
 * each block the number of a write that was meant for that block, and none that had ended before another one began
 * which was answered with GOOD before the read came. So nothing acknowledged is lost, and nothing that was given up
 * is done later. Seeded, so that it fails the same way.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/endian.h"
#include "fixture.h"

enum { FLYING = 24, ROUNDS = 9000, SPAN = 48, BLOCKS = 16384, MAX_WRITES = ROUNDS * 2 };

struct write {
	uint64_t begin, end; /* UINT64_MAX: it has not ended */
	uint32_t lba, n;
};

struct flyer {
	struct tst t;
	uint8_t opcode;
	uint32_t lba, n, number;
	uint64_t begin, floor[SPAN];
};

static struct fx x;
static struct flyer fly[FLYING];
static struct write writes[MAX_WRITES]; /* [0]: what the disk held at first */
static uint32_t n_writes;
static uint64_t now;
static uint64_t floor_of[SPAN]; /* the latest beginning of a write of the block that was GOOD */
static uint64_t state;
static unsigned good_reads, good_writes, losses, aborts;

static uint32_t rnd(uint32_t n)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 33) % n;
}

static void put_number(uint8_t *block, uint32_t number)
{
	for (unsigned i = 0; i < 512; i += 4)
		put_be32(block + i, number);
}

static bool is_write(const struct flyer *f)
{
	return f->opcode != 0x88;
}

/* --- the judge --- */

static void check_block(const struct flyer *f, uint32_t lba, const uint8_t *block)
{
	uint32_t number = get_be32(block);
	uint8_t want[512];

	put_number(want, number);
	ck_assert_msg(memcmp(block, want, 512) == 0, "block %u is a mixture", lba);
	ck_assert_msg(number < n_writes, "block %u holds what nobody wrote", lba);
	ck_assert_msg(lba >= writes[number].lba && lba - writes[number].lba < writes[number].n,
		"block %u holds what was meant for others", lba);
	ck_assert_msg(writes[number].end >= f->floor[lba],
		"block %u is stale: write %u had ended before the last one that was acknowledged began", lba,
		number);
}

static void land(struct flyer *f)
{
	const struct scsi_task *k = &f->t.task;
	uint32_t blocks = 0;

	ck_assert_uint_eq(f->t.done, 1);
	ck_assert(k->status != SCSI_CHECK_CONDITION || k->sense_len);
	now++;
	if (!is_write(f) && (k->status == SCSI_GOOD || k->status == SCSI_CHECK_CONDITION))
		blocks = (uint32_t)k->in_bytes / 512;
	if (!is_write(f) && k->status == SCSI_GOOD)
		ck_assert_uint_eq(blocks, f->n);
	/* Also what came before an error. */
	for (uint32_t i = 0; i < blocks; i++)
		check_block(f, f->lba + i, f->t.buf + i * 512);
	good_reads += blocks > 0;
	if (is_write(f))
		writes[f->number].end = now;
	if (is_write(f) && k->status == SCSI_GOOD) {
		for (uint32_t i = 0; i < f->n; i++)
			floor_of[f->lba + i] = MAX(floor_of[f->lba + i], f->begin);
		good_writes++;
	}
	free(f->t.buf);
	f->t.buf = NULL;
}

/* A task ends at some moment within a call; until land() has seen it nobody may think that it is still under way. */
static void land_done(void)
{
	for (unsigned i = 0; i < FLYING; i++)
		if (fly[i].t.buf && fly[i].t.done)
			land(&fly[i]);
}

/* --- initiators --- */

static void number_write(struct flyer *f)
{
	ck_assert_uint_lt(n_writes, MAX_WRITES);
	f->number = n_writes++;
	writes[f->number] = (struct write){.begin = f->begin, .end = UINT64_MAX, .lba = f->lba, .n = f->n};
}

static void launch(struct flyer *f)
{
	static const uint8_t opcodes[] = {0x88, 0x88, 0x88, 0x8a, 0x8a, 0x93, 0x89};
	uint32_t count;
	uint8_t cdb[16];

	f->opcode = opcodes[rnd(sizeof(opcodes))];
	f->lba = rnd(SPAN);
	f->n = 1 + rnd(MIN(SPAN - f->lba, f->opcode == 0x89 ? 4U : 30U));
	f->begin = ++now;
	memcpy(f->floor, floor_of, sizeof(floor_of));
	cdb16(cdb, f->opcode, f->opcode != 0x93 && rnd(6) == 0 ? 0x08 : 0, f->lba, f->n);
	count = f->opcode == 0x93 ? 1 : f->n;
	if (f->opcode == 0x89) {
		put_be32(cdb + 10, 0);
		cdb[13] = (uint8_t)f->n;
		count *= 2;
	}
	tst_init(&f->t, x.lun, cdb, 16, count * 512, 1 + rnd(3));
	if (is_write(f)) {
		number_write(f);
		for (uint32_t i = 0; i < count; i++)
			put_number(f->t.buf + i * 512, f->number);
		/* Mostly it is still the same when its turn comes. */
		if (f->opcode == 0x89)
			memcpy(f->t.buf, x.disk->store + f->lba * 512, f->n * 512);
		f->t.filled = true;
	}
	tst_submit(&f->t);
	land_done();
}

/* --- the world --- */

static void trouble(struct fake *f)
{
	switch (rnd(24)) {
	case 0:
		f->refuse_eagain = rnd(4);
		break;
	case 1:
		f->state = f->state == HBA_RUNNING ? HBA_RESETTING : HBA_RUNNING;
		break;
	case 2:
		f->slots = 1 + rnd(32);
		break;
	case 3:
		x.disk->bad_lba = rnd(2) ? rnd(SPAN) : UINT64_MAX;
		break;
	case 4:
		fake_ready(f);
		break;
	case 5:
		if (!f->n_flight)
			break;
		/* Proven not to run any more, but it may have been done. */
		if (rnd(2))
			fake_execute(f, 0);
		fake_end(f, 0, rnd(2) ? HBA_TIMEOUT : HBA_IO_ERROR, 0, NULL, 0);
		break;
	default:
		break;
	}
	land_done();
}

/* With it goes what it had, done or not. */
static void lose(struct fake *f)
{
	bool told = rnd(2);

	losses++;
	f->state = rnd(2) ? HBA_REMOVED : HBA_FAILED;
	if (told)
		fake_ready(f);
	while (f->n_flight) {
		unsigned i = rnd(f->n_flight);

		if (rnd(2))
			fake_execute(f, i);
		/* The answers of some may have been on their way. */
		if (rnd(4))
			fake_end(f, i, HBA_GONE, 0, NULL, 0);
		else
			fake_complete(f, i);
		land_done();
		i = rnd(FLYING);
		if (rnd(4) == 0 && fly[i].t.buf)
			scsi_task_abort(&fly[i].t.task);
		land_done();
	}
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	land_done();
	for (unsigned n = rnd(6); n; n--) {
		struct flyer *a = &fly[rnd(FLYING)];

		if (!a->t.buf)
			launch(a);
		else if (rnd(3) == 0)
			scsi_task_abort(&a->t.task);
		land_done();
	}
	fake_now += rnd(40) * NS_PER_SEC;
	scsi_host_tick(x.host);
	land_done();
}

static void find_again(struct fake *f)
{
	struct err e;

	f->state = HBA_RUNNING;
	f->refuse_eagain = 0;
	f->hba.fua_native = rnd(2);
	ck_assert_int_eq(scsi_host_attach(x.host, &f->hba, &e), 0);
	scsi_host_trim(x.host);
	land_done();
}

static void end_all(struct fake *f)
{
	f->state = HBA_RUNNING;
	f->refuse_eagain = 0;
	f->slots = 32;
	x.disk->bad_lba = UINT64_MAX;
	fake_ready(f);
	while (f->n_flight) {
		fake_complete(f, rnd(f->n_flight));
		land_done();
	}
	for (unsigned i = 0; i < FLYING; i++)
		ck_assert_ptr_null(fly[i].t.buf);
	ck_assert_uint_eq(scsi_lun_busy(x.lun), 0);
}

static void begin(struct fake *f)
{
	now = 1;
	n_writes = 1;
	writes[0] = (struct write){.begin = 0, .end = 0, .lba = 0, .n = SPAN};
	memset(floor_of, 0, sizeof(floor_of));
	memset(fly, 0, sizeof(fly));
	for (unsigned i = 0; i < SPAN; i++)
		put_number(f->disk[0].store + i * 512, 0);
	good_reads = good_writes = losses = aborts = 0;
}

/* H3: aborted writes do not come after what was written next. */
START_TEST(reads_find_what_was_acknowledged_and_nothing_that_was_given_up)
{
	struct fake *f = fake_new(1, BLOCKS, 512);

	state = (uint64_t)_i * 7919 + 1;
	f->hba.limits.max_transfer = 2048;
	f->hba.fua_native = _i & 1;
	fx_attach(&x, f);
	scsi_lun_destroy(x.lun);
	x.lun = fx_lun(&x, _i & 2 ? "ld0;hold=30" : "ld0");
	begin(f);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct flyer *a = &fly[rnd(FLYING)];

		trouble(f);
		if (!a->t.buf) {
			launch(a);
		} else if (rnd(12) == 0) {
			aborts++;
			scsi_task_abort(&a->t.task);
			land_done();
		}
		for (unsigned n = rnd(4); n && f->n_flight; n--) {
			fake_complete(f, rnd(f->n_flight));
			land_done();
		}
		if (rnd(150) == 0) {
			lose(f);
			find_again(f);
		}
		f->n_log = 0;
	}
	end_all(f);
	ck_assert_uint_gt(good_reads, 500);
	ck_assert_uint_gt(good_writes, 500);
	ck_assert_uint_gt(losses, 20);
	ck_assert_uint_gt(aborts, 50);
	fx_teardown(&x);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi history");
	TCase *c = tcase_create("history");

	tcase_set_timeout(c, 100);
	tcase_add_loop_test(c, reads_find_what_was_acknowledged_and_nothing_that_was_given_up, 0, 8);
	suite_add_tcase(s, c);
	return run_suite(s);
}
