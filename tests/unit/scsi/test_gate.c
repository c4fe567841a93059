/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LUNs while their controller comes and goes, and tasks that are aborted. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "fixture.h"

#define BLOCKS 16384

static struct fx x;

static void setup(void)
{
	fake_loop_defer = false;
	fx_setup(&x, BLOCKS);
}
static void teardown(void)
{
	fx_teardown(&x);
}

static void read_init(struct tst *t, uint32_t lba, uint16_t n)
{
	uint8_t cdb[10];

	cdb10(cdb, 0x28, 0, lba, n);
	tst_init(t, x.lun, cdb, 10, n * 512U, 1);
}

/* --- closed gates --- */

static const struct {
	enum scsi_gate gate;
	uint8_t key, asc, ascq;
} gates[] = {
	{SCSI_GATE_BECOMING_READY, 0x02, 0x04, 0x01},
	{SCSI_GATE_NO_UNIT, 0x05, 0x25, 0x00},
	{SCSI_GATE_GONE, 0x02, 0x04, 0x03},
};

/* What it was in the life of another hbad. 1: it is the one */
START_TEST(a_lun_that_has_to_be_another_disk_does_not_open)
{
	struct scsi_lun_config cfg;
	const struct scsi_unit *units;
	struct err e = {""};

	ck_assert_int_eq(scsi_lun_parse("ld0", &cfg, &e), 0);
	ck_assert_uint_ge(scsi_host_units(x.host, &units), 1);
	strcpy(cfg.naa, _i ? units[0].id.naa_text : "naa.600605b000000000");
	ck_assert_int_eq(scsi_lun_check(x.host, &cfg, &e), _i ? 0 : -ESTALE);
	ck_assert(_i || (strstr(e.text, cfg.naa) && strstr(e.text, units[0].id.naa_text)));
	scsi_lun_destroy(x.lun);
	ck_assert_int_eq(scsi_lun_create(x.host, &cfg, &x.lun), 0);
	scsi_lun_serve(x.lun);
	ck_assert_int_eq(scsi_lun_gate(x.lun), _i ? SCSI_GATE_OPEN : SCSI_GATE_NO_UNIT);
}
END_TEST

/* H13: 04/01 until it is there. */
START_TEST(a_closed_gate_answers_with_its_condition)
{
	static const char *const cdbs[] = {"\0\0\0\0\0\0\0\0\0\0", "\x28\0\0\0\0\0\0\0\x01\0",
		"\x2a\0\0\0\0\0\0\0\x01\0", "\x35\0\0\0\0\0\0\0\0\0", "\x25\0\0\0\0\0\0\0\0\0",
		"\x1a\0\x3f\0\xff\0\0\0\0\0", "\xc1\0\0\0\0\0\0\0\0\0"};
	uint8_t want[8] = {0x72, gates[_i].key, gates[_i].asc, gates[_i].ascq};
	struct tst t;

	scsi_host_detach(x.host, gates[_i].gate);
	ck_assert_int_eq(scsi_lun_gate(x.lun), gates[_i].gate);
	for (unsigned i = 0; i < ARRAY_SIZE(cdbs); i++) {
		tst_do(&t, &x, cdbs[i], 10, 512);
		assert_check(&t, gates[_i].key, gates[_i].asc, gates[_i].ascq);
		tst_fini(&t);
	}
	tst_do(&t, &x, "\x03\x01\0\0\xff\0", 6, 255);
	assert_good(&t);
	ck_assert_mem_eq(t.buf, want, 8);
	tst_fini(&t);
	tst_do(&t, &x, "\xa3\x0c\0\0\0\0\0\0\x10\0\0\0", 12, 4096);
	assert_good(&t);
	tst_fini(&t);
	ck_assert_uint_eq(x.fake->n_log, 0);
}
END_TEST

START_TEST(inquiry_keeps_the_identity_while_the_controller_is_away)
{
	struct tst t;

	scsi_host_detach(x.host, _i ? SCSI_GATE_GONE : SCSI_GATE_BECOMING_READY);
	tst_do(&t, &x, "\x12\0\0\0\x24\0", 6, 36);
	assert_good(&t);
	ck_assert_mem_eq(t.buf + 8, "LSI     MR9260-8i       2.13", 28);
	tst_fini(&t);
	tst_do(&t, &x, "\x12\x01\x83\0\xff\0", 6, 255);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

START_TEST(a_unit_that_is_not_there_says_so_in_inquiry)
{
	struct tst t;

	scsi_host_detach(x.host, SCSI_GATE_NO_UNIT);
	tst_do(&t, &x, "\x12\0\0\0\xff\0", 6, 255);
	assert_good(&t);
	ck_assert_uint_eq(t.task.in_bytes, 36);
	ck_assert_uint_eq(t.buf[0], 0x7f);
	tst_fini(&t);
	tst_do(&t, &x, "\x12\x01\x83\0\xff\0", 6, 255);
	assert_check(&t, 0x05, 0x25, 0x00);
	tst_fini(&t);
}
END_TEST

/* An answer without identity would stick with the initiator. */
START_TEST(nobody_is_told_an_identity_that_is_not_known_yet)
{
	struct fx early = {.fake = fake_new(1, BLOCKS, 512)};
	struct tst t;

	ck_assert_int_eq(scsi_host_create((struct loop *)1, &early.host), 0);
	early.lun = fx_lun(&early, "ld0");
	ck_assert_int_eq(scsi_lun_gate(early.lun), SCSI_GATE_BECOMING_READY);
	tst_do(&t, &early, "\x12\0\0\0\xff\0", 6, 255);
	ck_assert_uint_eq(t.task.status, SCSI_BUSY);
	tst_fini(&t);
	tst_do(&t, &early, "\0\0\0\0\0\0", 6, 0);
	assert_check(&t, 0x02, 0x04, 0x01);
	tst_fini(&t);
	fx_host_attach(&early);
	ck_assert_int_eq(scsi_lun_gate(early.lun), SCSI_GATE_OPEN);
	tst_do(&t, &early, "\x28\0\0\0\0\x01\0\0\x01\0", 10, 512);
	assert_good(&t);
	tst_fini(&t);
	scsi_host_detach(early.host, SCSI_GATE_GONE);
	tst_do(&t, &early, "\x12\0\0\0\xff\0", 6, 255);
	assert_good(&t);
	tst_fini(&t);
	fx_teardown(&early);
}
END_TEST

START_TEST(a_controller_that_never_came_fails_inquiry)
{
	struct fx never = {.fake = fake_new(1, BLOCKS, 512)};
	struct tst t;

	ck_assert_int_eq(scsi_host_create((struct loop *)1, &never.host), 0);
	scsi_host_detach(never.host, SCSI_GATE_GONE);
	never.lun = fx_lun(&never, "ld0");
	tst_do(&t, &never, "\x12\0\0\0\xff\0", 6, 255);
	assert_check(&t, 0x02, 0x04, 0x03);
	tst_fini(&t);
	fx_teardown(&never);
}
END_TEST

/* --- coming and going --- */

START_TEST(what_waits_is_answered_when_the_gate_closes)
{
	struct tst waits, flies;

	x.fake->slots = 1;
	read_init(&flies, 0, 1);
	tst_submit(&flies);
	read_init(&waits, 1, 1);
	tst_submit(&waits);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	assert_check(&waits, 0x02, 0x04, 0x03);
	/* What the controller has completes through it, with what it says. */
	ck_assert_uint_eq(flies.done, 0);
	fake_run(x.fake, 0);
	assert_good(&flies);
	tst_fini(&flies);
	tst_fini(&waits);
}
END_TEST

START_TEST(half_a_command_ends_with_the_gate_when_its_parts_are_back)
{
	uint8_t cdb[16];
	struct tst t;

	cdb16(cdb, 0x88, 0, 0, 8192);
	tst_init(&t, x.lun, cdb, 16, 8192 * 512, 1);
	tst_submit(&t);
	fake_complete(x.fake, 0);
	fake_complete(x.fake, 0);
	scsi_host_detach(x.host, SCSI_GATE_BECOMING_READY);
	ck_assert_uint_eq(t.done, 0);
	ck_assert_uint_eq(x.fake->n_flight, 8);
	fake_run(x.fake, 9);
	assert_check(&t, 0x02, 0x04, 0x01);
	ck_assert_uint_eq(t.task.in_bytes, 10 * 131072);
	ck_assert(is_pattern(t.buf, 0, t.task.in_bytes, 512));
	free(t.buf);
}
END_TEST

/* Data is with the controller, the flush that FUA needs cannot be sent any more. */
START_TEST(a_fua_write_without_its_flush_is_not_good)
{
	struct tst t;

	tst_init(&t, x.lun, "\x2a\x08\0\0\0\0\0\0\x01\0", 10, 512, 1);
	tst_submit(&t);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	fake_run(x.fake, 0);
	assert_check(&t, 0x02, 0x04, 0x03);
	tst_fini(&t);
}
END_TEST

/* It would be read instead, but there is nobody to read from. */
START_TEST(a_verify_refused_after_the_controller_left_ends_with_the_gate)
{
	struct tst t;

	x.disk->verify = false;
	tst_init(&t, x.lun, "\x2f\0\0\0\0\0\0\0\x01\0", 10, 0, 0);
	tst_submit(&t);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	fake_run(x.fake, 0);
	assert_check(&t, 0x02, 0x04, 0x03);
	tst_fini(&t);
}
END_TEST

START_TEST(a_task_that_waits_for_scratch_is_answered_too)
{
	static struct tst t[65];

	x.fake->slots = 100;
	for (unsigned i = 0; i < 65; i++) {
		tst_init(&t[i], x.lun, "\x28\0\0\0\0\0\0\0\x01\0", 10, 100, 1);
		tst_submit(&t[i]);
	}
	ck_assert_uint_eq(x.fake->n_flight, 64);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	assert_check(&t[64], 0x02, 0x04, 0x03);
	fake_run(x.fake, 1);
	for (unsigned i = 0; i < 65; i++)
		tst_fini(&t[i]);
}
END_TEST

/* Those that were told of free scratch end before they take it: others must be told instead. */
START_TEST(scratch_that_its_next_user_does_not_take_goes_to_another)
{
	enum { HOLD = 64, N = 2 * HOLD + 1 };
	struct fake *f = fake_new(2, BLOCKS, 512);
	static struct tst t[N];
	struct scsi_lun *other;
	struct fx two;
	struct tst last;

	f->slots = 200;
	fx_attach(&two, f);
	other = fx_lun(&two, "ld1");
	for (unsigned i = 0; i < N; i++) {
		tst_init(&t[i], two.lun, "\x28\0\0\0\0\0\0\0\x01\0", 10, 100, 1);
		tst_submit(&t[i]);
	}
	tst_init(&last, other, "\x28\0\0\0\0\0\0\0\x01\0", 10, 100, 1);
	tst_submit(&last);
	ck_assert_uint_eq(f->n_flight, HOLD);
	f->state = HBA_RESETTING; /* no slots, but for the one that the host has kept */
	fake_run(f, 0);
	for (unsigned i = N; i-- > HOLD + 1;)
		scsi_task_abort(&t[i].task);
	f->state = HBA_RUNNING;
	fake_ready(f);
	fake_run(f, 0);
	assert_good(&last);
	tst_fini(&last);
	for (unsigned i = 0; i < N; i++) {
		ck_assert_uint_eq(t[i].done, 1);
		tst_fini(&t[i]);
	}
	scsi_lun_destroy(other);
	fx_teardown(&two);
}
END_TEST

START_TEST(a_failed_or_removed_controller_closes_the_gate_by_itself)
{
	struct tst waits, flies;

	x.fake->slots = 1;
	read_init(&flies, 0, 1);
	tst_submit(&flies);
	read_init(&waits, 1, 1);
	tst_submit(&waits);
	x.fake->state = _i ? HBA_REMOVED : HBA_FAILED;
	fake_ready(x.fake);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_GONE);
	assert_check(&waits, 0x02, 0x04, 0x03);
	fake_end(x.fake, 0, HBA_GONE, 0, NULL, 0);
	assert_check(&flies, 0x02, 0x04, 0x03);
	tst_fini(&waits);
	tst_fini(&flies);
}
END_TEST

START_TEST(a_task_finds_out_that_the_controller_failed_before_anybody_said_so)
{
	struct tst t;

	x.fake->state = HBA_FAILED;
	read_init(&t, 0, 1);
	tst_submit(&t);
	assert_check(&t, 0x02, 0x04, 0x03);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_GONE);
	tst_fini(&t);
}
END_TEST

START_TEST(the_same_disk_behind_another_controller_opens_again)
{
	struct fake *second = fake_new(1, BLOCKS, 512);
	struct fake *first = x.fake;
	struct tst t;

	scsi_host_detach(x.host, SCSI_GATE_GONE);
	fake_free(first);
	x.fake = second;
	x.disk = &second->disk[0];
	fx_host_attach(&x);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_OPEN);
	read_init(&t, 7, 3);
	tst_submit(&t);
	fake_run(second, 0);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

START_TEST(another_disk_under_the_same_name_stays_out)
{
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	fake_default_pages(x.disk, "OTHER");
	fx_host_attach(&x);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_NO_UNIT);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	fake_default_pages(x.disk, "SN0000");
	fx_host_attach(&x);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_OPEN);
}
END_TEST

/* Units are looked at again while commands are under way. */
START_TEST(a_second_look_at_the_same_controller_disturbs_nobody)
{
	struct tst t;

	read_init(&t, 5, 600);
	tst_submit(&t);
	fx_host_attach(&x);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_OPEN);
	fake_run(x.fake, 3);
	assert_good(&t);
	ck_assert(is_pattern(t.buf, 5, t.len, 512));
	tst_fini(&t);
	/* The unit is gone in the meantime. */
	read_init(&t, 5, 600);
	tst_submit(&t);
	x.fake->fault.count = 1;
	x.fake->fault.kind = HBA_REQ_CDB;
	x.fake->fault.result = HBA_NO_UNIT;
	fx_host_attach(&x);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_NO_UNIT);
	fake_run(x.fake, 3);
	assert_good(&t);
	tst_fini(&t);
}
END_TEST

START_TEST(a_disk_reformatted_to_other_blocks_stays_out)
{
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	x.disk->block_size = 4096;
	x.disk->blocks /= 8;
	fx_host_attach(&x);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_NO_UNIT);
}
END_TEST

START_TEST(a_disk_of_another_size_stays_out)
{
	struct scsi_lun_config cfg = {.unit = "ld0", .blocks = BLOCKS + 1, .block_size = 512};
	struct scsi_lun *lun;

	ck_assert_int_eq(scsi_lun_create(x.host, &cfg, &lun), 0);
	ck_assert_int_eq(scsi_lun_gate(lun), SCSI_GATE_NO_UNIT);
	scsi_lun_destroy(lun);
	cfg.blocks = BLOCKS;
	ck_assert_int_eq(scsi_lun_create(x.host, &cfg, &lun), 0);
	ck_assert_int_eq(scsi_lun_gate(lun), SCSI_GATE_OPEN);
	ck_assert_str_eq(scsi_lun_config(lun)->unit, "ld0");
	scsi_lun_destroy(lun);
}
END_TEST

/* H22: a new size is told to whoever comes first. */
START_TEST(a_lun_grows_with_its_unit_when_told)
{
	struct scsi_lun_config cfg = {.unit = "ld0", .blocks = BLOCKS, .block_size = 512};
	struct scsi_lun *lun;
	struct err e;
	struct tst t;

	ck_assert_int_eq(scsi_lun_create(x.host, &cfg, &lun), 0);
	x.disk->blocks = BLOCKS + 8;
	fx_host_attach(&x);
	/* A unit that has grown does not close the gate of a LUN that may be smaller, nor change what it shows. */
	ck_assert_int_eq(scsi_lun_gate(lun), SCSI_GATE_NO_UNIT);
	scsi_lun_destroy(lun);
	cfg.may_be_smaller = true;
	ck_assert_int_eq(scsi_lun_create(x.host, &cfg, &lun), 0);
	ck_assert_int_eq(scsi_lun_gate(lun), SCSI_GATE_OPEN);
	tst_do(&t, &(struct fx){x.fake, x.disk, x.host, lun}, "\x25\0\0\0\0\0\0\0\0\0", 10, 8);
	assert_good(&t);
	ck_assert_uint_eq(t.buf[2] << 8 | t.buf[3], (BLOCKS - 1) & 0xffff);
	tst_fini(&t);
	ck_assert_int_eq(scsi_lun_resize(lun, BLOCKS + 8, &e), 0);
	/* Whoever comes first learns of it; who only asks who it is does not. */
	tst_do(&t, &(struct fx){x.fake, x.disk, x.host, lun}, "\x12\0\0\0\x24\0", 6, 36);
	assert_good(&t);
	tst_fini(&t);
	tst_do(&t, &(struct fx){x.fake, x.disk, x.host, lun}, "\0\0\0\0\0\0", 6, 0);
	assert_check(&t, 0x06, 0x2a, 0x09);
	tst_fini(&t);
	tst_do(&t, &(struct fx){x.fake, x.disk, x.host, lun}, "\x25\0\0\0\0\0\0\0\0\0", 10, 8);
	assert_good(&t);
	ck_assert_uint_eq(t.buf[2] << 8 | t.buf[3], (BLOCKS + 7) & 0xffff);
	tst_fini(&t);
	/* More than the unit has: nothing is read beyond its end. */
	ck_assert_int_eq(scsi_lun_resize(lun, BLOCKS + 9, &e), 0);
	ck_assert_int_eq(scsi_lun_gate(lun), SCSI_GATE_NO_UNIT);
	scsi_lun_destroy(lun);
}
END_TEST

START_TEST(luns_join_in_order_with_what_is_posted_around_them)
{
	struct scsi_lun *lun, *dead;
	struct tst t;

	fake_loop_defer = true;
	lun = fx_lun(&x, "ld0");
	dead = fx_lun(&x, "ld0");
	ck_assert_int_eq(scsi_lun_gate(lun), SCSI_GATE_BECOMING_READY);
	tst_init(&t, lun, "\0\0\0\0\0\0", 6, 0, 0);
	tst_submit(&t);
	assert_check(&t, 0x02, 0x04, 0x01);
	tst_fini(&t);
	scsi_lun_destroy(dead); /* before it has joined */
	scsi_host_detach(x.host, SCSI_GATE_NO_UNIT);
	scsi_host_detach(x.host, SCSI_GATE_GONE); /* while the first is on its way: the later reason counts */
	fake_loop_run();
	ck_assert_int_eq(scsi_lun_gate(lun), SCSI_GATE_GONE);
	ck_assert_int_eq(scsi_lun_gate(x.lun), SCSI_GATE_GONE);
	fake_loop_defer = false;
	scsi_lun_destroy(lun);
	scsi_lun_destroy(NULL);
}
END_TEST

START_TEST(a_request_that_was_kept_is_given_back_at_detach)
{
	struct tst t;

	x.fake->refuse_eagain = 1000;
	read_init(&t, 0, 1);
	tst_submit(&t);
	ck_assert_uint_eq(t.done, 0);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	assert_check(&t, 0x02, 0x04, 0x03);
	tst_fini(&t);
	for (unsigned i = 0; i < x.fake->slots; i++)
		ck_assert(!x.fake->used[i]);
}
END_TEST

/* --- done() that acts --- */

static struct tst chain[50];
static unsigned chain_at;

static void chain_done(struct scsi_task *task)
{
	struct tst *t = container_of(task, struct tst, task);

	t->done++;
	if (chain_at < ARRAY_SIZE(chain)) {
		struct tst *next = &chain[chain_at++];

		read_init(next, chain_at, 1);
		next->task.done = chain_done;
		scsi_submit(&next->task);
	}
}

START_TEST(done_may_submit_the_next_command)
{
	x.fake->slots = 1;
	read_init(&chain[0], 0, 1);
	chain[0].task.done = chain_done;
	chain_at = 1;
	tst_submit(&chain[0]);
	fake_run(x.fake, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(chain); i++) {
		ck_assert_uint_eq(chain[i].done, 1);
		ck_assert_uint_eq(chain[i].task.status, SCSI_GOOD);
		tst_fini(&chain[i]);
	}
	/* And while the gate closes: each next one is answered at once. */
	memset(chain, 0, sizeof(chain));
	x.fake->refuse_eagain = 1;
	read_init(&chain[0], 0, 1);
	chain[0].task.done = chain_done;
	chain_at = 1;
	tst_submit(&chain[0]);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	for (unsigned i = 0; i < ARRAY_SIZE(chain); i++) {
		ck_assert_uint_eq(chain[i].done, 1);
		ck_assert_uint_eq(chain[i].task.status, SCSI_CHECK_CONDITION);
		tst_fini(&chain[i]);
	}
}
END_TEST

/* --- abort --- */

/* H7: who waits for a slot is aborted without one. */
START_TEST(a_waiting_task_is_aborted_at_once)
{
	struct tst a, b;

	x.fake->slots = 1;
	read_init(&a, 0, 1);
	tst_submit(&a);
	read_init(&b, 1, 1);
	tst_submit(&b);
	scsi_task_abort(&b.task);
	ck_assert_uint_eq(b.done, 1);
	ck_assert_uint_eq(b.task.status, SCSI_TASK_ABORTED);
	ck_assert_uint_eq(b.task.in_bytes, 0);
	fake_run(x.fake, 0);
	assert_good(&a);
	ck_assert_uint_eq(x.fake->n_log, 1);
	tst_fini(&a);
	tst_fini(&b);
}
END_TEST

/* H8: the answer waits for firmware. */
START_TEST(a_task_at_the_controller_ends_when_that_has_answered)
{
	uint8_t cdb[16];
	struct tst t;

	cdb16(cdb, 0x88, 0, 0, 8192);
	tst_init(&t, x.lun, cdb, 16, 8192 * 512, 1);
	tst_submit(&t);
	scsi_task_abort(&t.task);
	ck_assert_uint_eq(t.done, 0);
	for (unsigned i = 0; i < 7; i++)
		fake_complete(x.fake, 0);
	ck_assert_uint_eq(t.done, 0);
	fake_complete(x.fake, 0);
	ck_assert_uint_eq(t.done, 1);
	ck_assert_uint_eq(t.task.status, SCSI_TASK_ABORTED);
	ck_assert_uint_eq(t.task.in_bytes, 0);
	ck_assert_uint_eq(x.fake->n_log, 8); /* no further part */
	free(t.buf);
}
END_TEST

START_TEST(an_abort_that_comes_too_late_changes_nothing)
{
	struct tst t;

	read_init(&t, 0, 1);
	tst_submit(&t);
	scsi_task_abort(&t.task);
	scsi_task_abort(&t.task);
	fake_run(x.fake, 0);
	assert_good(&t); /* all of it was done */
	tst_fini(&t);
}
END_TEST

START_TEST(an_aborted_fua_write_is_not_flushed_and_not_good)
{
	struct tst t;

	tst_init(&t, x.lun, "\x2a\x08\0\0\0\0\0\0\x01\0", 10, 512, 1);
	tst_submit(&t);
	scsi_task_abort(&t.task);
	fake_run(x.fake, 0);
	ck_assert_uint_eq(t.task.status, SCSI_TASK_ABORTED);
	ck_assert_uint_eq(x.fake->n_log, 1);
	tst_fini(&t);
}
END_TEST

START_TEST(an_error_found_before_the_abort_is_told)
{
	struct tst t;

	x.disk->bad_lba = 1;
	read_init(&t, 0, 2);
	tst_submit(&t);
	scsi_task_abort(&t.task);
	fake_run(x.fake, 0);
	assert_check(&t, 0x03, 0x11, 0x00);
	tst_fini(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi gate");
	TCase *c = tcase_create("gate");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, a_closed_gate_answers_with_its_condition, 0, ARRAY_SIZE(gates));
	tcase_add_loop_test(c, a_lun_that_has_to_be_another_disk_does_not_open, 0, 2);
	tcase_add_loop_test(c, inquiry_keeps_the_identity_while_the_controller_is_away, 0, 2);
	tcase_add_test(c, a_unit_that_is_not_there_says_so_in_inquiry);
	tcase_add_test(c, nobody_is_told_an_identity_that_is_not_known_yet);
	tcase_add_test(c, a_controller_that_never_came_fails_inquiry);
	tcase_add_test(c, what_waits_is_answered_when_the_gate_closes);
	tcase_add_test(c, half_a_command_ends_with_the_gate_when_its_parts_are_back);
	tcase_add_test(c, a_fua_write_without_its_flush_is_not_good);
	tcase_add_test(c, a_verify_refused_after_the_controller_left_ends_with_the_gate);
	tcase_add_test(c, a_task_that_waits_for_scratch_is_answered_too);
	tcase_add_test(c, scratch_that_its_next_user_does_not_take_goes_to_another);
	tcase_add_loop_test(c, a_failed_or_removed_controller_closes_the_gate_by_itself, 0, 2);
	tcase_add_test(c, a_task_finds_out_that_the_controller_failed_before_anybody_said_so);
	tcase_add_test(c, the_same_disk_behind_another_controller_opens_again);
	tcase_add_test(c, another_disk_under_the_same_name_stays_out);
	tcase_add_test(c, a_second_look_at_the_same_controller_disturbs_nobody);
	tcase_add_test(c, a_disk_reformatted_to_other_blocks_stays_out);
	tcase_add_test(c, a_disk_of_another_size_stays_out);
	tcase_add_test(c, a_lun_grows_with_its_unit_when_told);
	tcase_add_test(c, luns_join_in_order_with_what_is_posted_around_them);
	tcase_add_test(c, a_request_that_was_kept_is_given_back_at_detach);
	tcase_add_test(c, done_may_submit_the_next_command);
	tcase_add_test(c, a_waiting_task_is_aborted_at_once);
	tcase_add_test(c, a_task_at_the_controller_ends_when_that_has_answered);
	tcase_add_test(c, an_abort_that_comes_too_late_changes_nothing);
	tcase_add_test(c, an_aborted_fua_write_is_not_flushed_and_not_good);
	tcase_add_test(c, an_error_found_before_the_abort_is_told);
	suite_add_tcase(s, c);
	return run_suite(s);
}
