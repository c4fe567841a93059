/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exclusive ranges: who waits for whom, and that each waits no longer than it must. */
#include <stdlib.h>
#include <string.h>
#include "base/endian.h"
#include "fixture.h"
#include "scsi/task.h"

#define BLOCKS 16384

static struct fx x;

static void setup(void)
{
	fx_setup(&x, BLOCKS);
}
static void teardown(void)
{
	fx_teardown(&x);
}

static void submit_rw(struct tst *t, uint8_t opcode, uint64_t lba, uint32_t n)
{
	uint8_t cdb[16];

	cdb16(cdb, opcode, 0, lba, n);
	tst_init(t, x.lun, cdb, 16, (size_t)n * 512, n ? 1 : 0);
	if (opcode != 0x88)
		tst_fill(t, 1);
	tst_submit(t);
}
static void submit_read(struct tst *t, uint64_t lba, uint32_t n)
{
	submit_rw(t, 0x88, lba, n);
}
static void submit_write(struct tst *t, uint64_t lba, uint32_t n)
{
	submit_rw(t, 0x8a, lba, n);
}
static void submit_or(struct tst *t, uint64_t lba, uint32_t n)
{
	submit_rw(t, 0x8b, lba, n);
}

/* COMPARE AND WRITE of what the disk holds now, plus one in the last byte of each block */
static void submit_caw(struct tst *t, uint64_t lba, uint8_t n)
{
	uint8_t cdb[16] = {0x89};
	size_t half = n * 512U;

	put_be64(cdb + 2, lba);
	cdb[13] = n;
	tst_init(t, x.lun, cdb, 16, 2 * half, n ? 2 : 0);
	memcpy(t->buf, x.disk->store + lba * 512, half);
	memcpy(t->buf + half, t->buf, half);
	for (unsigned i = 1; i <= n; i++)
		t->buf[half + i * 512 - 1]++;
	t->filled = true;
	tst_submit(t);
}

static void finish(struct tst *t)
{
	fake_run(x.fake, 0);
	assert_good(t);
	tst_fini(t);
}

/* --- who waits --- */

START_TEST(nobody_waits_for_an_ordinary_command)
{
	struct tst a, b, c;

	submit_write(&a, 10, 4);
	submit_read(&b, 10, 4);
	submit_write(&c, 12, 1);
	ck_assert_uint_eq(x.fake->n_flight, 3);
	fake_run(x.fake, 0);
	finish(&a);
	finish(&b);
	finish(&c);
}
END_TEST

/* Blocks 10 to 13 are taken. */
START_TEST(only_the_range_waits)
{
	static const struct {
		uint64_t lba;
		uint32_t n;
		bool waits;
	} rows[] = {{9, 1, false}, {14, 1, false}, {0, 10, false}, {14, 100, false}, {9, 2, true},
		{10, 1, true}, {13, 1, true}, {13, 50, true}, {11, 2, true}, {0, 100, true}, {10, 4, true},
		{9, 6, true}};
	struct tst e, t[ARRAY_SIZE(rows)];

	submit_caw(&e, 10, 4);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		unsigned before = x.fake->n_flight;

		submit_read(&t[i], rows[i].lba, rows[i].n);
		ck_assert_msg(x.fake->n_flight == before + !rows[i].waits, "row %u", i);
	}
	fake_complete(x.fake, 0);
	/* Between its comparison and its write, too: only the write has come. */
	ck_assert_uint_eq(x.fake->n_flight, 5);
	finish(&e);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		finish(&t[i]);
}
END_TEST

START_TEST(it_waits_for_those_that_came_before)
{
	struct tst w, r, e;

	submit_write(&w, 10, 4);
	submit_read(&r, 13, 4);
	submit_caw(&e, 13, 1);
	ck_assert_uint_eq(x.fake->n_flight, 2);
	fake_complete(x.fake, 0);
	ck_assert_uint_eq(w.done, 1);
	ck_assert_uint_eq(x.fake->n_flight, 1); /* the read is still there */
	fake_complete(x.fake, 0);
	ck_assert_uint_eq(r.done, 1);
	ck_assert_uint_eq(x.fake->n_flight, 1);
	ck_assert_ptr_eq(x.fake->flight[0]->user, &e.task);
	fake_run(x.fake, 0);
	/* What it had been given to compare is what was there before the write. */
	assert_check(&e, 0x0e, 0x1d, 0x00);
	tst_fini(&e);
	tst_fini(&w);
	tst_fini(&r);
}
END_TEST

/* A stream of readers does not starve the exclusive one: those that come later wait behind it. */
START_TEST(first_come_first_served)
{
	struct tst first, e1, r1, e2, r2;

	submit_read(&first, 20, 1);
	submit_or(&e1, 20, 1);
	submit_read(&r1, 20, 1);
	submit_or(&e2, 20, 1);
	submit_read(&r2, 20, 1);
	ck_assert_uint_eq(x.fake->n_flight, 1);
	fake_complete(x.fake, 0);
	ck_assert_ptr_eq(x.fake->flight[0]->user, &e1.task);
	fake_complete(x.fake, 0);
	fake_complete(x.fake, 0);
	ck_assert_uint_eq(e1.done, 1);
	ck_assert_uint_eq(x.fake->n_flight, 1);
	ck_assert_ptr_eq(x.fake->flight[0]->user, &r1.task);
	fake_complete(x.fake, 0);
	ck_assert_ptr_eq(x.fake->flight[0]->user, &e2.task);
	ck_assert_uint_eq(r2.done, 0);
	fake_run(x.fake, 0);
	finish(&first);
	finish(&e1);
	finish(&r1);
	finish(&e2);
	finish(&r2);
}
END_TEST

START_TEST(two_exclusive_ones_go_side_by_side_when_they_do_not_meet)
{
	struct tst a, b, c;

	submit_caw(&a, 10, 4);
	submit_caw(&b, 14, 4);
	ck_assert_uint_eq(x.fake->n_flight, 2);
	/* Held by both: goes when the second of them has left. */
	submit_read(&c, 12, 4);
	ck_assert_uint_eq(x.fake->n_flight, 2);
	fake_complete(x.fake, 0);
	fake_complete(x.fake, 1);
	ck_assert_uint_eq(a.done, 1);
	ck_assert_uint_eq(x.fake->n_flight, 1);
	fake_complete(x.fake, 0);
	fake_complete(x.fake, 0);
	ck_assert_uint_eq(b.done, 1);
	ck_assert_uint_eq(x.fake->n_flight, 1);
	finish(&a);
	finish(&b);
	finish(&c);
}
END_TEST

START_TEST(what_touches_no_block_waits_for_nobody)
{
	struct tst e, none, no_room, flush, empty;
	uint8_t cdb[16];

	submit_caw(&e, 10, 4);
	submit_read(&none, 11, 0);
	assert_good(&none);
	cdb16(cdb, 0x88, 0, 11, 2);
	tst_init(&no_room, x.lun, cdb, 16, 0, 0);
	tst_submit(&no_room);
	assert_good(&no_room);
	submit_caw(&empty, 11, 0);
	assert_good(&empty);
	cdb10(cdb, 0x35, 0, 10, 4);
	tst_init(&flush, x.lun, cdb, 10, 0, 0);
	tst_submit(&flush);
	ck_assert_uint_eq(x.fake->n_flight, 2);
	finish(&flush);
	finish(&e);
	tst_fini(&none);
	tst_fini(&no_room);
	tst_fini(&empty);
}
END_TEST

START_TEST(the_last_block_that_can_be_counted_is_a_range_like_others)
{
	struct fx big;
	struct tst e, r;
	uint8_t cdb[16] = {0x8b};

	/* 2^55 blocks of 512 bytes, so that bytes fit 64 bits */
	fx_setup(&big, UINT64_C(1) << 54);
	cdb16(cdb, 0x8b, 0, (UINT64_C(1) << 54) - 4, 4);
	tst_init(&e, big.lun, cdb, 16, 2048, 1);
	tst_fill(&e, 1);
	tst_submit(&e);
	cdb16(cdb, 0x88, 0, (UINT64_C(1) << 54) - 1, 1);
	tst_init(&r, big.lun, cdb, 16, 512, 1);
	tst_submit(&r);
	ck_assert_uint_eq(big.fake->n_flight, 1);
	fake_run(big.fake, 0);
	assert_good(&e);
	assert_good(&r);
	tst_fini(&e);
	tst_fini(&r);
	fx_teardown(&big);
}
END_TEST

START_TEST(luns_do_not_wait_for_each_other)
{
	struct fake *f = fake_new(2, BLOCKS, 512);
	struct fx two;
	struct scsi_lun *other;
	struct tst e, r;
	uint8_t cdb[16];

	fx_attach(&two, f);
	other = fx_lun(&two, "ld1");
	cdb16(cdb, 0x8b, 0, 0, 4);
	tst_init(&e, two.lun, cdb, 16, 2048, 1);
	tst_fill(&e, 1);
	tst_submit(&e);
	cdb16(cdb, 0x88, 0, 0, 4);
	tst_init(&r, other, cdb, 16, 2048, 1);
	tst_submit(&r);
	ck_assert_uint_eq(f->n_flight, 2);
	fake_run(f, 0);
	tst_fini(&e);
	tst_fini(&r);
	scsi_lun_destroy(other);
	fx_teardown(&two);
}
END_TEST

/* A disk that is scrubbed for hours: nothing is compared, so nobody's blocks have to stand still meanwhile. */
START_TEST(a_verification_of_the_medium_holds_up_nobody)
{
	struct tst v, e, w;
	uint8_t cdb[16];

	x.fake->disk[0].verify = _i == 0;
	submit_caw(&w, 8000, 1);
	cdb16(cdb, 0x8f, 0, 0, BLOCKS);
	tst_init(&v, x.lun, cdb, 16, 0, 0);
	tst_submit(&v);
	ck_assert_uint_eq(x.fake->n_flight, 2);
	submit_caw(&e, 30, 1);
	ck_assert_uint_eq(x.fake->n_flight, 3);
	finish(&w);
	finish(&e);
	finish(&v);
}
END_TEST

/* One block is compared with many, as often as there is scratch: others have their turn all the same. */
START_TEST(long_comparisons_share_the_scratch)
{
	enum { N = 64 };
	struct fake *f = fake_new(2, BLOCKS, 512);
	static struct tst v[N];
	struct scsi_lun *lun;
	uint8_t cdb[16];
	struct fx two;
	struct tst e;

	f->slots = 100;
	memset(f->disk[0].store, 0, 2048 * 512);
	fx_attach(&two, f);
	for (unsigned i = 0; i < N; i++) {
		cdb16(cdb, 0x8f, 0x06, 0, 2048);
		tst_init(&v[i], two.lun, cdb, 16, 512, 1);
		memset(v[i].buf, 0, 512);
		v[i].filled = true;
		tst_submit(&v[i]);
	}
	for (unsigned i = 0; i < N; i++)
		fake_complete(f, 0); /* the flushes before */
	lun = fx_lun(&two, "ld1");
	cdb16(cdb, 0x8b, 0, 0, 1);
	tst_init(&e, lun, cdb, 16, 512, 1);
	tst_fill(&e, 1);
	tst_submit(&e);
	for (unsigned i = 0; i < 3 * N; i++)
		fake_complete(f, 0);
	assert_good(&e);
	tst_fini(&e);
	fake_run(f, 0);
	for (unsigned i = 0; i < N; i++) {
		assert_good(&v[i]);
		tst_fini(&v[i]);
	}
	scsi_lun_destroy(lun);
	fx_teardown(&two);
}
END_TEST

/* The same within one LUN: what comes back first must not take again what it has just let go of. What is compared has a
 * range of its own in the second round, and goes in front of what waits for a slot. */
START_TEST(long_comparisons_share_the_scratch_with_their_own_lun)
{
	enum { N = 64, SMALL = 512 };
	static struct tst v[N];
	size_t len = _i ? SMALL * 512 : 512;
	uint8_t cdb[16];
	struct tst e[2];

	x.fake->slots = 100;
	memset(x.disk->store, 0, SMALL * 512);
	for (unsigned i = 0; i < N; i++) {
		cdb16(cdb, 0x8f, _i ? 0x02 : 0x06, 0, SMALL);
		tst_init(&v[i], x.lun, cdb, 16, len, 1);
		memset(v[i].buf, 0, len);
		v[i].filled = true;
		tst_submit(&v[i]);
	}
	for (unsigned i = 0; i < N; i++)
		fake_complete(x.fake, 0); /* the flushes before */
	submit_or(&e[0], 8000, 1);
	submit_or(&e[1], 8001, 1);
	/* Each comparison has four parts. Every one comes to its second, and the two to both of theirs. */
	for (unsigned i = 0; i < 2 * N + 4; i++)
		fake_complete(x.fake, 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_good(&e[i]);
		tst_fini(&e[i]);
	}
	fake_run(x.fake, 0);
	for (unsigned i = 0; i < N; i++) {
		assert_good(&v[i]);
		tst_fini(&v[i]);
	}
}
END_TEST

/* Verifications as long as the disk, one for each slot that there is: others have their turn all the same. */
START_TEST(long_verifications_share_the_slots_with_their_own_lun)
{
	struct tst v[2], r[4];
	uint8_t cdb[16];

	x.fake->slots = 2;
	for (unsigned i = 0; i < 2; i++) {
		cdb16(cdb, 0x8f, _i ? 0x06 : 0x00, 0, 1024);
		memset(x.disk->store, 0, 1024 * 512);
		tst_init(&v[i], x.lun, cdb, 16, _i ? 512 : 0, _i ? 1 : 0);
		memset(v[i].buf, 0, v[i].len);
		v[i].filled = true;
		tst_submit(&v[i]);
	}
	if (!_i)
		x.disk->verify = false; /* it is read then, in eight parts */
	for (unsigned i = 0; i < 4; i++)
		submit_read(&r[i], 2000 + i, 1);
	/* Of two slots at least every other one is for who waits. */
	for (unsigned i = 0; i < 12; i++)
		fake_complete(x.fake, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_good(&r[i]);
	ck_assert_uint_eq(v[0].done + v[1].done, 0);
	for (unsigned i = 0; i < 4; i++)
		finish(&r[i]);
	fake_run(x.fake, 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_good(&v[i]);
		tst_fini(&v[i]);
	}
}
END_TEST

/* More waiting commands than scratch buffers, all on one block, and others that need scratch meanwhile. */
START_TEST(a_crowd_on_one_block_gets_through)
{
	enum { N = 300 };
	static struct tst t[N], v[N];
	uint8_t cdb[10];

	x.fake->slots = 8;
	for (unsigned i = 0; i < N; i++) {
		submit_or(&t[i], 7, 1);
		cdb10(cdb, 0x2f, 0x02, 100 + i, 1);
		tst_init(&v[i], x.lun, cdb, 10, 512, 1);
		memcpy(v[i].buf, x.disk->store + (100 + i) * 512, 512);
		v[i].filled = true;
		tst_submit(&v[i]);
	}
	fake_run(x.fake, 5);
	for (unsigned i = 0; i < N; i++) {
		finish(&t[i]);
		finish(&v[i]);
	}
}
END_TEST

/* Its range is released the sooner. */
START_TEST(the_second_step_goes_before_what_waits_for_a_slot)
{
	struct tst e, r[5];

	x.fake->slots = 1;
	submit_caw(&e, 30, 1);
	for (unsigned i = 0; i < 5; i++)
		submit_read(&r[i], 100 + i, 1);
	fake_complete(x.fake, 0);
	ck_assert_ptr_eq(x.fake->flight[0]->user, &e.task);
	ck_assert_uint_eq(x.fake->flight[0]->xfer.dir, DMA_TO_DEVICE);
	finish(&e);
	for (unsigned i = 0; i < 5; i++)
		finish(&r[i]);
}
END_TEST

/* Reads whose last part needs scratch that nobody has, while their first parts come back. */
START_TEST(requests_come_back_while_their_command_waits_for_scratch)
{
	enum { N = 100 };
	static struct tst t[N];
	uint8_t cdb[16];

	x.fake->slots = FAKE_MAX_SLOTS;
	for (unsigned i = 0; i < N; i++) {
		cdb16(cdb, 0x88, 0, i, 258);
		tst_init(&t[i], x.lun, cdb, 16, 257 * 512 + 7, 2);
		tst_submit(&t[i]);
	}
	/* first parts first */
	for (unsigned i = 0; i < x.fake->n_flight;)
		if (x.fake->flight[i]->nblocks > 1)
			fake_complete(x.fake, i);
		else
			i++;
	fake_run(x.fake, 3);
	for (unsigned i = 0; i < N; i++) {
		assert_good(&t[i]);
		ck_assert(is_pattern(t[i].buf, i, t[i].len, 512));
		tst_fini(&t[i]);
	}
}
END_TEST

/* --- aborts and gates --- */

START_TEST(an_aborted_waiter_ends_at_once_and_lets_others_pass)
{
	struct tst w, e, r;

	submit_write(&w, 30, 2);
	submit_or(&e, 31, 2);
	submit_read(&r, 32, 1); /* waits for e alone */
	ck_assert_uint_eq(x.fake->n_flight, 1);
	scsi_task_abort(&e.task);
	ck_assert_uint_eq(e.done, 1);
	ck_assert_uint_eq(e.task.status, SCSI_TASK_ABORTED);
	ck_assert_uint_eq(x.fake->n_flight, 2);
	ck_assert_uint_eq(x.fake->n_aborts, 0);
	finish(&w);
	finish(&r);
	tst_fini(&e);
}
END_TEST

START_TEST(an_aborted_reader_in_the_queue_disturbs_nobody)
{
	struct tst e, r, s;

	submit_or(&e, 30, 2);
	submit_read(&r, 30, 1);
	submit_read(&s, 31, 1);
	scsi_task_abort(&r.task);
	ck_assert_uint_eq(r.done, 1);
	ck_assert_uint_eq(r.task.status, SCSI_TASK_ABORTED);
	ck_assert_uint_eq(s.done, 0);
	ck_assert_uint_eq(x.fake->n_flight, 1);
	finish(&e);
	finish(&s);
	free(r.buf);
}
END_TEST

/* Firmware may still write: its range stays taken until that is over. */
START_TEST(an_aborted_exclusive_command_keeps_its_range_until_firmware_has_answered)
{
	struct tst e, r;

	submit_caw(&e, 30, 2);
	submit_read(&r, 30, 1);
	fake_complete(x.fake, 0);
	ck_assert_uint_eq(x.fake->log[1].dir, DMA_TO_DEVICE);
	scsi_task_abort(&e.task);
	scsi_task_abort(&e.task);
	ck_assert_uint_eq(x.fake->n_aborts, 1);
	ck_assert_uint_eq(x.fake->n_flight, 1);
	ck_assert_uint_eq(e.done, 0);
	fake_end(x.fake, 0, HBA_ABORTED, 0, NULL, 0);
	ck_assert_uint_eq(e.done, 1);
	ck_assert_uint_eq(e.task.status, SCSI_TASK_ABORTED);
	ck_assert_uint_eq(x.fake->n_flight, 1);
	finish(&r);
	tst_fini(&e);
}
END_TEST

START_TEST(an_abort_between_the_steps_takes_no_further_one)
{
	struct tst e;
	uint8_t before[512];

	memcpy(before, x.disk->store + 30 * 512, 512);
	submit_caw(&e, 30, 1);
	scsi_task_abort(&e.task);
	fake_run(x.fake, 0);
	ck_assert_uint_eq(e.task.status, SCSI_TASK_ABORTED);
	ck_assert_uint_eq(x.fake->n_log, 1);
	ck_assert_mem_eq(before, x.disk->store + 30 * 512, 512);
	tst_fini(&e);
}
END_TEST

START_TEST(all_children_are_aborted_once)
{
	struct tst t;

	submit_read(&t, 0, 4096); /* 2 MiB: 8 requests at once */
	ck_assert_uint_eq(x.fake->n_flight, 8);
	fake_complete(x.fake, 3);
	ck_assert_uint_eq(x.fake->n_flight, 8);
	scsi_task_abort(&t.task);
	ck_assert_uint_eq(x.fake->n_aborts, 8);
	scsi_task_abort(&t.task);
	ck_assert_uint_eq(x.fake->n_aborts, 8);
	while (x.fake->n_flight)
		fake_end(x.fake, 0, HBA_ABORTED, 0, NULL, 0);
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(t.task.status, SCSI_TASK_ABORTED);
	ck_assert_uint_eq(x.fake->n_log, 9);
	free(t.buf);
}
END_TEST

START_TEST(held_commands_are_answered_once_when_the_gate_closes)
{
	struct tst e, f, r, w;

	submit_caw(&e, 30, 2);
	submit_caw(&f, 30, 2);
	submit_read(&r, 30, 1);
	submit_write(&w, 31, 1);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	assert_check(&f, 0x02, 0x04, 0x03);
	assert_check(&r, 0x02, 0x04, 0x03);
	assert_check(&w, 0x02, 0x04, 0x03);
	ck_assert_uint_eq(e.done, 0);
	/* It has compared, but will not write. */
	fake_run(x.fake, 0);
	assert_check(&e, 0x02, 0x04, 0x03);
	ck_assert_uint_eq(x.fake->n_log, 1);
	tst_fini(&e);
	tst_fini(&f);
	tst_fini(&r);
	tst_fini(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi range");
	TCase *c = tcase_create("range");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, nobody_waits_for_an_ordinary_command);
	tcase_add_test(c, only_the_range_waits);
	tcase_add_test(c, it_waits_for_those_that_came_before);
	tcase_add_test(c, first_come_first_served);
	tcase_add_test(c, two_exclusive_ones_go_side_by_side_when_they_do_not_meet);
	tcase_add_test(c, what_touches_no_block_waits_for_nobody);
	tcase_add_test(c, the_last_block_that_can_be_counted_is_a_range_like_others);
	tcase_add_test(c, luns_do_not_wait_for_each_other);
	tcase_add_loop_test(c, a_verification_of_the_medium_holds_up_nobody, 0, 2);
	tcase_add_test(c, long_comparisons_share_the_scratch);
	tcase_add_loop_test(c, long_comparisons_share_the_scratch_with_their_own_lun, 0, 2);
	tcase_add_loop_test(c, long_verifications_share_the_slots_with_their_own_lun, 0, 2);
	tcase_add_test(c, a_crowd_on_one_block_gets_through);
	tcase_add_test(c, the_second_step_goes_before_what_waits_for_a_slot);
	tcase_add_test(c, requests_come_back_while_their_command_waits_for_scratch);
	tcase_add_test(c, an_aborted_waiter_ends_at_once_and_lets_others_pass);
	tcase_add_test(c, an_aborted_reader_in_the_queue_disturbs_nobody);
	tcase_add_test(c, an_aborted_exclusive_command_keeps_its_range_until_firmware_has_answered);
	tcase_add_test(c, an_abort_between_the_steps_takes_no_further_one);
	tcase_add_test(c, all_children_are_aborted_once);
	tcase_add_test(c, held_commands_are_answered_once_when_the_gate_closes);
	suite_add_tcase(s, c);
	return run_suite(s);
}
