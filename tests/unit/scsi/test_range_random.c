/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exclusive ranges at random: no update is lost, and nobody is where an exclusive command is. */
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

/* --- no update is lost --- */

/* Initiators that each read the counter, then replace it by the next number if it is still what they read. */
enum { INITIATORS = 5, INCREMENTS = 60, COUNTER_LBA = 50 };

struct initiator {
	struct tst t;
	bool comparing;
	unsigned done, misses;
};

static uint32_t seed;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

static void initiator_step(struct initiator *i)
{
	uint32_t value;

	if (!i->t.buf) {
		uint8_t cdb[16];

		cdb16(cdb, 0x88, 0, COUNTER_LBA, 1);
		tst_init(&i->t, x.lun, cdb, 16, 512, 1);
		tst_submit(&i->t);
		i->comparing = false;
	} else if (!i->comparing) {
		uint8_t block[512] = {0}, cdb[16] = {0x89};

		ck_assert_uint_eq(i->t.task.status, SCSI_GOOD);
		value = get_be32(i->t.buf);
		tst_fini(&i->t);
		put_be64(cdb + 2, COUNTER_LBA);
		cdb[13] = 1;
		tst_init(&i->t, x.lun, cdb, 16, 1024, 3);
		put_be32(block, value);
		memcpy(i->t.buf, block, 512);
		put_be32(block, value + 1);
		memcpy(i->t.buf + 512, block, 512);
		i->t.filled = true;
		i->comparing = true;
		tst_submit(&i->t);
	} else {
		if (i->t.task.status == SCSI_GOOD)
			i->done++;
		else
			i->misses++;
		tst_fini(&i->t);
	}
}

START_TEST(no_increment_of_a_shared_counter_is_lost)
{
	static struct initiator in[INITIATORS];
	unsigned total = 0, misses = 0;

	seed = (uint32_t)_i + 1;
	memset(in, 0, sizeof(in));
	memset(x.disk->store + COUNTER_LBA * 512, 0, 512);
	while (total < INITIATORS * INCREMENTS) {
		struct initiator *i = &in[rnd(INITIATORS)];

		if (i->done < INCREMENTS && (!i->t.buf || i->t.done))
			initiator_step(i);
		if (x.fake->n_flight && rnd(3))
			fake_complete(x.fake, rnd(x.fake->n_flight));
		total = misses = 0;
		for (unsigned k = 0; k < INITIATORS; k++) {
			total += in[k].done;
			misses += in[k].misses;
		}
	}
	ck_assert_uint_eq(get_be32(x.disk->store + COUNTER_LBA * 512), INITIATORS * INCREMENTS);
	ck_assert_uint_gt(misses, 0); /* or they never met */
}
END_TEST

/* --- a model --- */

/* Whatever comes, fails, is aborted or is held up: at no moment is a command at work in a range that an
 * overlapping one, either of them exclusive, came to earlier and has not left; and each completes once. */
enum { FLYING = 40, ROUNDS = 6000, SPAN = 48 };

struct flyer {
	struct tst t;
	uint64_t seq;
	bool exclusive;
	uint64_t lba, n;
};

static struct flyer fly[FLYING];

static bool at_work(const struct flyer *f)
{
	return f->t.buf && !f->t.done && f->t.task.flags & TASK_BEGUN;
}

static bool meet(const struct flyer *a, const struct flyer *b)
{
	return a->lba < b->lba + b->n && b->lba < a->lba + a->n;
}

static void check_model(void)
{
	for (unsigned i = 0; i < FLYING; i++) {
		const struct flyer *a = &fly[i];

		if (!at_work(a))
			continue;
		for (unsigned j = 0; j < FLYING; j++) {
			const struct flyer *b = &fly[j];

			if (i == j || !b->t.buf || b->t.done || b->seq > a->seq || !meet(a, b))
				continue;
			ck_assert_msg(!a->exclusive && !b->exclusive,
				"%02x at %llu+%llu works while an earlier %02x at %llu+%llu has not ended",
				a->t.task.cdb[0], (unsigned long long)a->lba, (unsigned long long)a->n,
				b->t.task.cdb[0], (unsigned long long)b->lba, (unsigned long long)b->n);
		}
	}
}

static void launch(struct flyer *f)
{
	static const uint8_t opcodes[] = {0x88, 0x8a, 0x89, 0x8b, 0x8f, 0x8e};
	static uint64_t seq;
	uint8_t opcode = opcodes[rnd(sizeof(opcodes))], cdb[16];
	uint32_t factor = opcode == 0x89 ? 2 : 1;

	f->lba = rnd(SPAN);
	f->n = rnd(8) ? 1 + rnd(12) : 0;
	f->exclusive = opcode == 0x89 || opcode == 0x8b;
	f->seq = seq++;
	cdb16(cdb, opcode,
		(uint8_t)((opcode >= 0x8e ? 0x02 : 0) | (rnd(4)			? 0
								: opcode < 0x8e ? 0x08
										: 0)),
		f->lba, (uint32_t)f->n);
	tst_init(&f->t, x.lun, cdb, 16, f->n * 512 * factor, f->n ? 1 + rnd(3) : 0);
	/* Mostly what is there, so that comparisons go on. */
	if (opcode != 0x88) {
		memcpy(f->t.buf, x.disk->store + f->lba * 512, f->n * 512);
		if (f->n && rnd(3) == 0)
			f->t.buf[rnd((uint32_t)f->n * 512)] ^= 1;
		if (factor == 2)
			memset(f->t.buf + f->n * 512, 'B', f->n * 512);
		f->t.filled = true;
	}
	tst_submit(&f->t);
}

static void land(struct flyer *f)
{
	const struct scsi_task *k = &f->t.task;

	ck_assert_uint_eq(f->t.done, 1);
	ck_assert(k->status == SCSI_GOOD || k->status == SCSI_CHECK_CONDITION ||
		  k->status == SCSI_TASK_ABORTED);
	free(f->t.buf);
	f->t.buf = NULL;
}

static void trouble(struct fake *f)
{
	switch (rnd(16)) {
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
		f->fault.count = 1;
		f->fault.kind = rnd(4) ? HBA_REQ_RW : HBA_REQ_FLUSH;
		f->fault.result = rnd(2) ? HBA_TIMEOUT : HBA_ABORTED;
		break;
	case 4:
		fake_ready(f);
		break;
	default:
		break;
	}
}

static void land_all(struct fake *f)
{
	f->state = HBA_RUNNING;
	f->refuse_eagain = 0;
	f->slots = 32;
	fake_ready(f);
	while (f->n_flight) {
		fake_complete(f, rnd(f->n_flight));
		check_model();
	}
	for (unsigned i = 0; i < FLYING; i++)
		if (fly[i].t.buf)
			land(&fly[i]);
	ck_assert_uint_eq(scsi_lun_busy(x.lun), 0);
	ck_assert_uint_eq(x.lun->held, 0);
	ck_assert_uint_eq(x.lun->exclusive, 0);
	ck_assert(list_empty(&x.lun->ranged));
}

START_TEST(a_range_belongs_to_one_exclusive_command_at_a_time)
{
	struct fake *f = fake_new(1, BLOCKS, 512);
	unsigned waited = 0;
	struct err e;

	seed = (uint32_t)_i * 77 + 5;
	f->hba.limits.max_transfer = 2048;
	f->hba.fua_native = _i & 1;
	fx_attach(&x, f);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct flyer *a = &fly[rnd(FLYING)];

		trouble(f);
		if (a->t.buf && a->t.done)
			land(a);
		if (!a->t.buf)
			launch(a);
		else if (rnd(12) == 0)
			scsi_task_abort(&a->t.task);
		check_model();
		waited += x.lun->held > 0;
		for (unsigned n = rnd(4); n && f->n_flight; n--) {
			fake_complete(f, rnd(f->n_flight));
			check_model();
		}
		if (rnd(400) == 0) {
			scsi_host_detach(x.host, (enum scsi_gate)(1 + rnd(3)));
			land_all(f);
			f->fault.count = 0;
			ck_assert_int_eq(scsi_host_attach(x.host, &f->hba, &e), 0);
		}
		f->n_log = 0;
	}
	land_all(f);
	ck_assert_uint_gt(waited, ROUNDS / 10);
	fx_teardown(&x);
}
END_TEST
int main(void)
{
	Suite *s = suite_create("scsi range random");
	TCase *c = tcase_create("a counter"), *m = tcase_create("model");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, no_increment_of_a_shared_counter_is_lost, 0, 3);
	tcase_set_timeout(m, 100);
	tcase_add_loop_test(m, a_range_belongs_to_one_exclusive_command_at_a_time, 0, 6);
	suite_add_tcase(s, c);
	suite_add_tcase(s, m);
	return run_suite(s);
}
