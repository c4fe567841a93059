/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * EXTENDED COPY with nearly right lists between LUNs that are let go of, deleted, made again, lose their controller and
 * wait for it, while others read, write and ask how far it is. Each command completes once, no copy touches a block that
 * no list names as a destination, and no memory of a LUN is used after its end. Seeded, so that it fails the same way.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/endian.h"
#include "fixture.h"

enum {
	UNITS = 3,
	BLOCKS = 4096,
	FROM = 0,
	TO = 2048,
	ROUNDS = 5000,
	PER_LUN = 6,
	LIST = 16 + 4 * 32 + 6 * 28
};

/* A LUN with those who send it commands. */
struct side {
	struct scsi_lun *lun;
	bool leaving;
	unsigned unit;
	struct tst t[PER_LUN];
};

static struct fx x;
static struct side side[UNITS];
static uint8_t designator[UNITS][24];
static uint64_t state;
static unsigned copied, left;

static uint32_t rnd(uint32_t n)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 33) % n;
}

/* --- lists --- */

static void put_cscd(uint8_t *d)
{
	memset(d, 0, 32);
	d[0] = rnd(40) ? 0xe4 : (uint8_t)rnd(256);
	memcpy(d + 4, designator[rnd(UNITS)], 24);
	put_be24(d + 29, rnd(20) ? 512 : rnd(5000));
	if (rnd(60) == 0)
		d[rnd(32)] ^= (uint8_t)(1 << rnd(8));
}

/* From the lower half to the upper one: what is written to the lower one was not asked for. */
static void put_segment(uint8_t *d, unsigned cscds)
{
	memset(d, 0, 28);
	d[0] = rnd(60) ? 0x02 : (uint8_t)rnd(256);
	d[1] = (uint8_t)(rnd(2) ? 0x02 : 0);
	d[3] = (uint8_t)(rnd(60) ? 0x18 : rnd(256));
	put_be16(d + 4, (uint16_t)(rnd(30) ? rnd(MAX(cscds, 1U)) : rnd(65536)));
	put_be16(d + 6, (uint16_t)(rnd(30) ? rnd(MAX(cscds, 1U)) : rnd(65536)));
	put_be16(d + 10, (uint16_t)(rnd(20) ? rnd(900) : rnd(65536)));
	put_be64(d + 12, rnd(30) ? FROM + rnd(TO) : UINT64_MAX - rnd(3));
	put_be64(d + 20, rnd(30) ? TO + rnd(BLOCKS - TO) : UINT64_MAX - rnd(3));
}

static size_t make_list(uint8_t *list)
{
	unsigned cscds = rnd(5), segments = rnd(7), at = 16;

	memset(list, 0, LIST);
	list[0] = (uint8_t)rnd(3);
	list[1] = (uint8_t)(rnd(4) << 3);
	if (list[1] == 0x18)
		list[0] = 0;
	put_be16(list + 2, (uint16_t)(rnd(30) ? cscds * 32 : rnd(65536)));
	put_be32(list + 8, rnd(30) ? segments * 28 : rnd(3) ? rnd(400) : UINT32_MAX - rnd(3));
	if (rnd(40) == 0)
		put_be32(list + 12, rnd(5));
	for (unsigned i = 0; i < cscds; i++, at += 32)
		put_cscd(list + at);
	for (unsigned i = 0; i < segments; i++, at += 28)
		put_segment(list + at, cscds);
	return rnd(30) ? at : rnd(at + 1);
}

/* --- initiators --- */

static void launch(struct side *s, struct tst *t)
{
	uint8_t cdb[16] = {0}, list[LIST];
	size_t len = 0;

	switch (rnd(6)) {
	case 0:
		cdb16(cdb, 0x88, 0, rnd(BLOCKS - 300), 1 + rnd(300));
		len = get_be32(cdb + 10) * 512U;
		break;
	case 1:
		cdb16(cdb, rnd(2) ? 0x8a : 0x8b, 0, TO + rnd(BLOCKS - TO - 300), 1 + rnd(300));
		len = get_be32(cdb + 10) * 512U;
		break;
	case 2: /* how far it is, and what is taken */
		cdb[0] = 0x84;
		cdb[1] = (uint8_t[]){0x00, 0x03, 0x04}[rnd(3)];
		cdb[2] = (uint8_t)rnd(3);
		put_be32(cdb + 10, len = 64);
		break;
	default:
		cdb[0] = 0x83;
		len = make_list(list);
		put_be32(cdb + 10, (uint32_t)(rnd(40) ? len : rnd(LIST)));
	}
	tst_init(t, s->lun, cdb, 16, len, len ? 1 + rnd(MIN((uint32_t)len, 4)) : 0);
	if (cdb[0] == 0x83)
		memcpy(t->buf, list, len);
	tst_submit(t);
}

static void land(struct tst *t)
{
	const struct scsi_task *k = &t->task;

	ck_assert_uint_eq(t->done, 1);
	ck_assert(k->status != SCSI_CHECK_CONDITION || k->sense_len);
	copied += k->cdb[0] == 0x83 && k->status == SCSI_GOOD;
	free(t->buf);
	t->buf = NULL;
}

static bool is_idle(struct side *s)
{
	bool idle = true;

	for (unsigned i = 0; i < PER_LUN; i++) {
		if (s->t[i].buf && s->t[i].done)
			land(&s->t[i]);
		idle &= !s->t[i].buf;
	}
	return idle;
}

/* --- LUNs --- */

static void make_lun(unsigned unit)
{
	static const char *const options[] = {";allow=copy", ";allow=copy;hold=20"};
	char text[64] = "ld0";

	text[2] = (char)('0' + unit);
	strcat(text, options[rnd(2)]);
	side[unit].lun = fx_lun(&x, text);
	side[unit].leaving = false;
}

/* As the ring does it. */
static void let_go(struct side *s)
{
	scsi_lun_retire(s->lun);
	s->leaving = true;
	for (unsigned i = PER_LUN; i-- > 0;)
		if (s->t[i].buf && !s->t[i].done)
			scsi_task_abort(&s->t[i].task);
	left++;
}

/* What is left of its own commands comes back; what copies have there may be still at the controller. */
static bool bury(struct side *s)
{
	if (!s->lun || !s->leaving || !is_idle(s))
		return false;
	scsi_lun_destroy(s->lun);
	s->lun = NULL;
	return true;
}

static void change_luns(void)
{
	unsigned unit = rnd(UNITS);
	struct side *s = &side[unit];

	bury(s);
	if (!s->lun) {
		make_lun(unit);
		return;
	}
	if (s->leaving || rnd(8))
		return;
	let_go(s);
	bury(s);
}

/* --- the world --- */

static void lose(struct fake *f)
{
	struct err e;

	f->state = HBA_REMOVED;
	while (f->n_flight)
		fake_end(f, rnd(f->n_flight), HBA_GONE, 0, NULL, 0);
	scsi_host_detach(x.host, SCSI_GATE_GONE);
	for (unsigned n = rnd(4); n; n--)
		change_luns();
	fake_now += rnd(30) * NS_PER_SEC;
	scsi_host_tick(x.host);
	f->state = HBA_RUNNING;
	ck_assert_int_eq(scsi_host_attach(x.host, &f->hba, &e), 0);
	scsi_host_trim(x.host);
}

static void trouble(struct fake *f)
{
	switch (rnd(20)) {
	case 0:
		f->fault.count = 1;
		f->fault.kind = HBA_REQ_RW;
		f->fault.result = rnd(2) ? HBA_DONE : HBA_TIMEOUT;
		f->fault.status = rnd(2) ? 0x02 : 0x08;
		f->fault.sense_len = 18;
		memset(f->fault.sense, 0, 18);
		f->fault.sense[0] = 0x70;
		f->fault.sense[2] = (uint8_t)(rnd(2) ? 0x06 : rnd(16));
		break;
	case 1:
		f->refuse_eagain = rnd(4);
		break;
	case 2:
		f->slots = 1 + rnd(FAKE_MAX_SLOTS);
		break;
	case 3:
		f->state = f->state == HBA_RUNNING ? HBA_RESETTING : HBA_RUNNING;
		break;
	default:
		break;
	}
	fake_ready(f);
}

static void end_all(struct fake *f)
{
	f->state = HBA_RUNNING;
	f->refuse_eagain = 0;
	f->slots = FAKE_MAX_SLOTS;
	f->fault.count = 0;
	fake_ready(f);
	fake_run(f, 1 + rnd(1000));
	for (unsigned unit = 0; unit < UNITS; unit++) {
		struct side *s = &side[unit];

		if (s->lun && !s->leaving)
			let_go(s);
		ck_assert(!s->lun || bury(s));
	}
}

static void ask_designators(void)
{
	struct tst t;

	for (unsigned i = 0; i < UNITS; i++) {
		tst_init(&t, side[i].lun, "\x12\x01\x83\x00\xff\x00", 6, 255, 1);
		tst_submit(&t);
		assert_good(&t);
		memcpy(designator[i], t.buf + 4, MIN(4U + t.buf[7], 24U));
		tst_fini(&t);
	}
}

START_TEST(copies_survive_whatever_luns_and_controllers_do)
{
	struct fake *f = fake_new(UNITS, BLOCKS, 512);

	state = (uint64_t)_i * 104729 + 1;
	f->slots = FAKE_MAX_SLOTS;
	f->hba.limits.max_transfer = 32768;
	memset(side, 0, sizeof(side));
	copied = left = 0;
	fx_attach(&x, f);
	scsi_lun_destroy(x.lun);
	x.lun = NULL;
	for (unsigned i = 0; i < UNITS; i++)
		make_lun(i);
	ask_designators();
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct side *s = &side[rnd(UNITS)];
		struct tst *t = &s->t[rnd(PER_LUN)];

		trouble(f);
		is_idle(s);
		if (s->lun && !s->leaving && !t->buf)
			launch(s, t);
		else if (s->lun && t->buf && !t->done && rnd(10) == 0)
			scsi_task_abort(&t->task);
		for (unsigned n = rnd(8); n && f->n_flight; n--)
			fake_complete(f, rnd(f->n_flight));
		if (rnd(30) == 0)
			change_luns();
		if (rnd(400) == 0)
			lose(f);
		f->n_log = 0;
	}
	end_all(f);
	ck_assert_uint_gt(copied, 50);
	ck_assert_uint_gt(left, 5);
	for (unsigned i = 0; i < UNITS; i++)
		ck_assert(is_pattern(f->disk[i].store, 0, (uint64_t)TO * 512, 512));
	x.lun = fx_lun(&x, "ld0");
	fx_teardown(&x);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scsi fuzz copy");
	TCase *c = tcase_create("fuzz copy");

	tcase_set_timeout(c, 100);
	tcase_add_loop_test(c, copies_survive_whatever_luns_and_controllers_do, 0, 6);
	suite_add_tcase(s, c);
	return run_suite(s);
}
