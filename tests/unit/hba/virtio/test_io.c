/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests through slots, bounce memory, descriptors and rings; events. */
#include "rig.h"
#include "tests/unit/run_suite.h"

#include <sched.h>
#include <string.h>

/* _i: with lists, and without (two commands at once then, of few segments) */
static struct rig *up(int how)
{
	struct rig *r = rig_new();

	if (how)
		r->model->offered &= ~UINT64_C(0x10000000);
	rig_must_start(r);
	return r;
}

START_TEST(what_is_written_is_read)
{
	static const uint32_t blocks[] = {1, 31, 32, 33, 64, 255, 256, 1024};
	struct rig *r = up(_i);

	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		struct job *w = job_rw(r, 0, i % 3, DMA_TO_DEVICE, 100 * i + 1, blocks[i]);
		struct job *rd;

		job_fill(w, (unsigned)i);
		job_run_well(w);
		ck_assert_mem_eq(r->model->unit[i % 3].disk + (100 * i + 1) * 512, w->buf, w->iov.iov_len);
		rd = job_rw(r, 1, i % 3, DMA_FROM_DEVICE, 100 * i + 1, blocks[i]);
		job_run_well(rd);
		ck_assert_mem_eq(rd->buf, w->buf, w->iov.iov_len);
		ck_assert_uint_eq(rd->buf[rd->iov.iov_len], 0xee);
	}
	rig_down(r);
}
END_TEST

START_TEST(unit_is_addressed_by_target_and_lun)
{
	static const uint8_t tur[6];
	static const uint8_t head[8] = {1, 3, 0x41, 0x2c, 0, 0, 0, 0}; /* target 3, LUN 300 */
	struct rig *r = rig_up();

	job_run_well(job_cdb(r, 0, 2, tur, 6, DMA_NONE, 0));
	ck_assert_mem_eq(r->model->last_head, head, 8);
	rig_down(r);
}
END_TEST

START_TEST(fua_goes_into_the_cdb)
{
	struct rig *r = rig_up();
	struct job *w = job_rw(r, 0, 1, DMA_TO_DEVICE, 3, 16);

	w->tmpl.fua = true;
	job_run_well(w);
	ck_assert_uint_eq(r->model->last_head[19], 0x2a);
	ck_assert_uint_eq(r->model->last_head[20], 0x08);
	rig_down(r);
}
END_TEST

START_TEST(short_answer_leaves_zeros_not_what_was_there)
{
	static const uint8_t inquiry[6] = {0x12, 0, 0, 0, 96, 0};
	struct rig *r = rig_up();
	struct job *w = job_rw(r, 0, 0, DMA_TO_DEVICE, 0, 32), *q;

	memset(w->buf, 0x77, w->iov.iov_len);
	job_run_well(w); /* leaves 77h in the bounce chunk that the next one gets */
	q = job_cdb(r, 1, 0, inquiry, 6, DMA_FROM_DEVICE, 96);
	ck_assert_int_eq(job_run(q)->result, HBA_DONE);
	ck_assert_uint_eq(q->moved, 36); /* the true number */
	ck_assert_mem_eq(q->buf + 8, "MODEL", 5);
	for (unsigned i = 36; i < 96; i++)
		ck_assert_uint_eq(q->buf[i], 0);
	rig_down(r);
}
END_TEST

START_TEST(short_read_is_no_whole_one)
{
	struct rig *r = rig_up();
	struct job *rd = job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 8);

	tell(r, forced, true);
	tell(r, force_residual, 512);
	ck_assert_int_eq(job_run(rd)->result, HBA_DONE);
	ck_assert_uint_eq(rd->moved, 7 * 512);
	rig_down(r);
}
END_TEST

START_TEST(sense_comes_through)
{
	static const uint8_t sense[18] = {0x70, 0, 3, 0, 0, 0, 0x2a, 10, 0, 0, 0, 0, 0x11, 0x00};
	struct rig *r = rig_up();
	struct job *rd = job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 8);

	tell(r, forced, true);
	tell(r, force_status, 2);
	memcpy(r->model->force_sense, sense, sizeof(sense));
	tell(r, force_sense_len, 18);
	ck_assert_int_eq(job_run(rd)->result, HBA_DONE);
	ck_assert_uint_eq(rd->scsi_status, 2);
	ck_assert_uint_eq(rd->sense_len, 18);
	ck_assert_mem_eq(rd->sense, sense, 18);
	ck_assert_uint_eq(rd->moved, 0);
	ck_assert_uint_eq(rd->buf[0], 0xee);
	rig_down(r);
}
END_TEST

START_TEST(unit_that_left)
{
	struct rig *r = rig_up();
	struct job *rd = job_rw(r, 0, 2, DMA_FROM_DEVICE, 0, 8);

	tell(r, unit[2].present, false);
	ck_assert_int_eq(job_run(rd)->result, HBA_NO_UNIT);
	rig_down(r);
}
END_TEST

/* --- flush --- */

START_TEST(flush_reaches_the_unit_it_is_for)
{
	static const uint8_t cdb[32] = {0x35};
	struct rig *r = rig_up();

	job_run_well(job_flush(r, 0, 1));
	ck_assert_mem_eq(r->model->last_head + 19, cdb, 32);
	ck_assert_uint_eq(r->model->unit[0].n_sync, 0);
	ck_assert_uint_eq(r->model->unit[1].n_sync, 1);
	rig_down(r);
}
END_TEST

START_TEST(flush_that_is_not_known_is_not_good)
{
	static const enum model_sync how[] = {SYNC_UNKNOWN, SYNC_FAILS};
	struct rig *r = rig_up();
	struct job *f = job_flush(r, 0, 1);

	tell(r, unit[1].sync, how[_i]);
	ck_assert_int_eq(job_run(f)->result, HBA_DONE);
	ck_assert_uint_eq(f->scsi_status, 2);
	rig_down(r);
}
END_TEST

START_TEST(flush_with_a_recovered_error_is_good_but_not_with_a_deferred_one)
{
	static const struct {
		uint8_t code, status;
	} t[] = {{0x70, 0}, {0x71, 2}};
	struct rig *r = rig_up();
	struct job *f = job_flush(r, 0, 0);

	tell(r, forced, true);
	tell(r, force_status, 2);
	tell(r, force_sense[0], t[_i].code);
	tell(r, force_sense[2], 1);
	tell(r, force_sense[7], 10);
	tell(r, force_sense_len, 18);
	ck_assert_int_eq(job_run(f)->result, HBA_DONE);
	ck_assert_uint_eq(f->scsi_status, t[_i].status);
	tell(r, forced, false);
	rig_down(r);
}
END_TEST

/* --- many --- */

struct churn {
	struct rig *r;
	bool stop;
};

/* Completes what is pending, in random order. */
static void *churn_main(void *arg)
{
	struct churn *c = arg;
	unsigned seed = 7;

	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) {
		unsigned n = model_pending(c->r->model);

		if (!n) {
			sched_yield();
			continue;
		}
		model_complete(c->r->model, (unsigned)rand_r(&seed) % n);
	}
	return NULL;
}

/* Each job has blocks of its own, writes them with a new pattern and reads them back, over and over. */
struct stripe {
	unsigned round, seed;
	bool writes;
};
static struct stripe stripe[RIG_JOBS];
static unsigned bad_blocks, io_count, n_over, rounds;

#define STRIPE_BLOCKS 16

static void next_io(struct job *job)
{
	struct stripe *s = &stripe[job - job->rig->job];
	unsigned n = (unsigned)(job - job->rig->job);
	uint32_t blocks;

	if (s->writes) {
		s->writes = false;
	} else {
		for (uint32_t i = 0; s->round && i < job->iov.iov_len; i++)
			bad_blocks += job->buf[i] != (uint8_t)(i * 3 + n + s->round);
		if (s->round == rounds) {
			__atomic_add_fetch(&n_over, 1, __ATOMIC_RELAXED);
			return;
		}
		s->round++;
		s->writes = true;
	}
	blocks = 1 + (n * 7 + s->round) % STRIPE_BLOCKS;
	job->iov.iov_len = blocks * 512;
	job->tmpl.nblocks = blocks;
	job->tmpl.xfer.len = blocks * 512;
	job->tmpl.xfer.dir = s->writes ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
	for (uint32_t i = 0; i < blocks * 512; i++)
		job->buf[i] = s->writes ? (uint8_t)(i * 3 + n + s->round) : 0xee;
	__atomic_add_fetch(&io_count, 1, __ATOMIC_RELAXED);
	job_submit_here(job);
	/* The last one counts as done for the test's end. */
	__atomic_store_n(&job->done, 0, __ATOMIC_RELEASE);
}

static void many_then(struct job *job)
{
	if (job->result != HBA_DONE || job->scsi_status || job->moved != job->iov.iov_len)
		bad_blocks += 1000000;
	next_io(job);
}

static void start_io(void *arg)
{
	next_io(arg);
}

static bool all_over(unsigned n)
{
	return __atomic_load_n(&n_over, __ATOMIC_RELAXED) == n;
}

START_TEST(thousands_of_ios_in_any_order)
{
	struct rig *r = up(_i);
	unsigned n = _i ? 6 : 200;
	struct churn churn = {.r = r};
	pthread_t t;

	rounds = _i ? 200 : 25;
	bad_blocks = io_count = n_over = 0;
	memset(stripe, 0, sizeof(stripe));
	tell(r, hold, true);
	for (unsigned i = 0; i < n; i++) {
		struct job *job = job_rw(r, i, i % 3, DMA_TO_DEVICE, i / 3 * STRIPE_BLOCKS, STRIPE_BLOCKS);

		job->then = many_then;
		rig_io(r, start_io, job);
	}
	rig_wait(model_pending(r->model) == n);
	pthread_create(&t, NULL, churn_main, &churn);
	/* As long as it moves, it may take its time. */
	while (!all_over(n)) {
		unsigned before = __atomic_load_n(&io_count, __ATOMIC_RELAXED);

		rig_wait(__atomic_load_n(&io_count, __ATOMIC_RELAXED) != before || all_over(n));
	}
	__atomic_store_n(&churn.stop, true, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
	rig_sync(r); /* the last done() has returned */
	ck_assert_uint_eq(bad_blocks, 0);
	ck_assert_uint_eq(io_count, 2 * n * rounds);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	tell(r, hold, false);
	for (unsigned i = 0; i < n; i++)
		__atomic_store_n(&r->job[i].done, 1, __ATOMIC_RELAXED);
	rig_down(r);
}
END_TEST

/* --- turns --- */

static struct rig *up_with_few_per_unit(void)
{
	struct rig *r = rig_new();

	model_config32(r->model, 0x0c, 4); /* cmd_per_lun */
	rig_must_start(r);
	tell(r, hold, true);
	return r;
}

static void complete_first(struct rig *r, unsigned n)
{
	/* It may be on its way to the device only now. */
	rig_wait(model_pending(r->model) > 0);
	model_complete(r->model, 0);
	job_wait(&r->job[n]);
}

START_TEST(unit_gets_no_more_than_it_takes)
{
	struct rig *r = up_with_few_per_unit();

	for (unsigned i = 0; i < 20; i++)
		job_submit(job_rw(r, i, 0, DMA_FROM_DEVICE, i, 1));
	for (unsigned i = 20; i < 23; i++)
		job_submit(job_rw(r, i, 1, DMA_FROM_DEVICE, i, 1));
	rig_wait(model_pending(r->model) == 4 + 3);
	clock_sleep_ms(10);
	ck_assert_uint_eq(model_pending(r->model), 4 + 3);
	/* One comes back, one goes; in the order of submission */
	for (unsigned i = 0; i < 16; i++) {
		complete_first(r, i);
		if (i == 3) {
			/* the other unit's three stand first now */
			for (unsigned n = 20; n < 23; n++)
				complete_first(r, n);
		}
	}
	rig_pump(r);
	jobs_end(r, 0, 23, HBA_DONE);
	tell(r, hold, false);
	rig_down(r);
}
END_TEST

START_TEST(request_that_waits_for_its_turn_can_be_aborted)
{
	struct rig *r = up_with_few_per_unit();

	for (unsigned i = 0; i < 8; i++)
		job_submit(job_rw(r, i, 0, DMA_TO_DEVICE, i, 1));
	rig_wait(model_pending(r->model) == 4);
	job_abort(&r->job[5]);
	job_ends(&r->job[5], HBA_ABORTED);
	/* The device has not heard of it. */
	ck_assert_uint_eq(seen(r, n_abort), 0);
	ck_assert_uint_eq(model_pending(r->model), 4);
	rig_pump(r);
	for (unsigned i = 0; i < 8; i++) {
		job_wait(&r->job[i]);
		ck_assert_int_eq(r->job[i].result, i == 5 ? HBA_ABORTED : HBA_DONE);
	}
	tell(r, hold, false);
	rig_down(r);
}
END_TEST

static bool over_with_few_per_unit(struct rig *r, void *arg)
{
	ck_assert_uint_le(model_pending(r->model), 4);
	return hba_inflight(r->h) == 0;
}

START_TEST(those_that_wait_survive_a_reset)
{
	struct rig *r = up_with_few_per_unit();

	for (unsigned i = 0; i < 12; i++) {
		struct job *job = job_rw(r, i, 0, DMA_TO_DEVICE, i, 1);

		memset(job->buf, (int)i + 1, 512);
		job_submit(job);
	}
	rig_wait(model_pending(r->model) == 4);
	model_needs_reset(r->model);
	rig_wait(rig_was_reset(r, 1) && model_pending(r->model) == 4);
	rig_pump_until(r, over_with_few_per_unit, NULL);
	rig_sync(r);
	for (unsigned i = 0; i < 12; i++) {
		job_ends(&r->job[i], HBA_DONE);
		ck_assert_uint_eq(r->job[i].scsi_status, 0);
		ck_assert_uint_eq(r->model->unit[0].disk[i * 512], i + 1);
	}
	tell(r, hold, false);
	rig_down(r);
}
END_TEST

START_TEST(those_that_wait_end_with_the_device)
{
	struct rig *r = up_with_few_per_unit();

	rig_times(r)->reset = 200;
	for (unsigned i = 0; i < 12; i++)
		job_submit(job_rw(r, i, 0, DMA_TO_DEVICE, i, 1));
	tell(r, reset_dead, true);
	model_needs_reset(r->model);
	rig_wait(hba_state(r->h) == HBA_FAILED);
	jobs_end(r, 0, 12, HBA_GONE);
	rig_down(r);
}
END_TEST

START_TEST(lost_interrupt_costs_time_only)
{
	struct rig *r = rig_up();

	tell(r, no_irq, true);
	job_run_well(job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 8));
	ck_assert_uint_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

START_TEST(device_that_wants_no_notification)
{
	struct rig *r = rig_up();
	unsigned before;

	/* From the next notification on; it goes on looking by itself, which is the test's part. */
	tell(r, no_notify, true);
	job_run_well(job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 8));
	before = seen(r, n_notify);
	job_submit(job_rw(r, 1, 0, DMA_FROM_DEVICE, 8, 8));
	clock_sleep_ms(20);
	ck_assert_uint_eq(seen(r, n_notify), before);
	ck_assert_uint_eq(job_done(&r->job[1]), 0);
	tell(r, no_notify, false);
	r->model->fn.pci.ops->bar_write_part(&r->model->fn.pci, 4, 0x3008, 2, 2);
	job_ends(&r->job[1], HBA_DONE);
	rig_down(r);
}
END_TEST

/* --- events --- */

static struct vio *vio(struct rig *r)
{
	return r->h->drv;
}

START_TEST(events_are_counted_and_their_buffers_given_back)
{
	struct rig *r = rig_up();

	for (unsigned i = 0; i < 40; i++) {
		rig_wait(model_event(r->model, 3, 0, 1, 0x092a));
		rig_wait(__atomic_load_n(&vio(r)->events.capacity, __ATOMIC_RELAXED) == i + 1);
	}
	ck_assert_uint_eq(vio(r)->events.changed, 40);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

START_TEST(removed_unit_is_offline_until_it_is_back)
{
	struct rig *r = rig_up();

	ck_assert(model_event(r->model, 1, 3, 300, 2));
	rig_wait(__atomic_load_n(&r->h->unit[2].state, __ATOMIC_RELAXED) == HBA_UNIT_OFFLINE);
	ck_assert_int_eq(r->h->unit[0].state, HBA_UNIT_OPTIMAL);
	ck_assert(model_event(r->model, 1, 3, 300, 1));
	rig_wait(__atomic_load_n(&r->h->unit[2].state, __ATOMIC_RELAXED) == HBA_UNIT_OPTIMAL);
	rig_down(r);
}
END_TEST

static unsigned outages(const struct rig *r, unsigned unit)
{
	return __atomic_load_n(&r->h->unit[unit].outages, __ATOMIC_RELAXED);
}

static unsigned goings(const struct rig *r, unsigned unit)
{
	return __atomic_load_n(&r->h->unit[unit].goings, __ATOMIC_RELAXED);
}

static bool is_away(struct rig *r, unsigned unit)
{
	return __atomic_load_n(&r->h->unit[unit].state, __ATOMIC_RELAXED) == HBA_UNIT_OFFLINE;
}

/* Its return was told while the device was being reset, or when no buffer was there for it. */
START_TEST(unit_that_says_who_it_is_is_back_whoever_has_heard_it)
{
	struct rig *r = rig_up();
	const struct hba_unit *u = &r->h->unit[2];
	uint32_t news, before = goings(r, 2);

	/* Who is there need not come back. */
	news = hba_unit_news(r->h);
	hba_unit_answered(r->h, u, before);
	ck_assert_uint_eq(hba_unit_news(r->h), news);
	ck_assert(model_event(r->model, 1, 3, 300, 2));
	rig_wait(is_away(r, 2));
	/* Whether events were lost, or could not be heard: somebody has to ask. */
	news = hba_unit_news(r->h);
	ck_assert(model_event(r->model, 0x80000000, 0, 0, 0));
	rig_wait(hba_unit_news(r->h) == news + 1);
	model_needs_reset(r->model);
	rig_wait(rig_was_reset(r, 1));
	ck_assert_uint_eq(hba_unit_news(r->h), news + 2);
	/* Asked before it went: that proves nothing. */
	hba_unit_answered(r->h, u, before);
	ck_assert(is_away(r, 2));
	/* Nor when it has gone once more, after a return that nobody has heard of. */
	before = goings(r, 2);
	ck_assert(model_event(r->model, 1, 3, 300, 2));
	rig_wait(goings(r, 2) == before + 1);
	hba_unit_answered(r->h, u, before);
	ck_assert(is_away(r, 2));
	hba_unit_answered(r->h, u, goings(r, 2));
	ck_assert(!is_away(r, 2));
	ck_assert(!__atomic_load_n(&u->missing, __ATOMIC_RELAXED));
	/* Nobody is away: a reset is no news. */
	news = hba_unit_news(r->h);
	model_needs_reset(r->model);
	rig_wait(rig_was_reset(r, 2));
	ck_assert_uint_eq(hba_unit_news(r->h), news);
	rig_down(r);
}
END_TEST

/* The first lane was late for the first one's word, and hears both at once. */
START_TEST(two_units_that_say_who_they_are_are_both_back)
{
	struct rig *r = rig_up();

	ck_assert(model_event(r->model, 1, 3, 300, 2));
	rig_wait(is_away(r, 2));
	__atomic_store_n(&r->h->unit[1].state, HBA_UNIT_OFFLINE, __ATOMIC_RELAXED);
	__atomic_store_n(&r->h->unit[1].answered, goings(r, 1) + 1u, __ATOMIC_RELAXED);
	hba_unit_answered(r->h, &r->h->unit[2], goings(r, 2));
	ck_assert(!is_away(r, 1) && !is_away(r, 2));
	rig_down(r);
}
END_TEST

static void age_and_look(void *vio)
{
	struct vio *v = vio;

	v->doubt_limit.window_ns -= 700 * NS_PER_SEC;
	vio_doubt_look(v);
}

/* It is asked because of a reset, and costs one. */
START_TEST(unit_that_is_away_and_hangs_is_asked_ever_more_seldom)
{
	struct rig *r = rig_up();
	struct vio *v = vio_of(r->h);
	uint32_t news;

	ck_assert(model_event(r->model, 1, 3, 300, 2));
	rig_wait(is_away(r, 2));
	news = hba_unit_news(r->h);
	for (unsigned i = 1; i <= 3; i++) {
		model_needs_reset(r->model);
		rig_wait(rig_was_reset(r, i));
	}
	ck_assert_uint_eq(hba_unit_news(r->h), news + 2);
	/* Twice in 10 minutes, then in 20. */
	ck_assert_int_eq(loop_call(r->loop, age_and_look, v, RIG_WAIT_MS), 0);
	ck_assert_uint_eq(hba_unit_news(r->h), news + 2);
	ck_assert_int_eq(loop_call(r->loop, age_and_look, v, RIG_WAIT_MS), 0);
	ck_assert_uint_eq(hba_unit_news(r->h), news + 3);
	/* It was worth it. */
	hba_unit_answered(r->h, &r->h->unit[2], goings(r, 2));
	ck_assert(!is_away(r, 2));
	ck_assert(model_event(r->model, 1, 3, 300, 2));
	rig_wait(is_away(r, 2));
	news = hba_unit_news(r->h);
	model_needs_reset(r->model);
	rig_wait(rig_was_reset(r, 4));
	ck_assert_uint_eq(hba_unit_news(r->h), news + 1);
	rig_down(r);
}
END_TEST

/* A cache that went with its unit: the layer above must hear of it, whether the going was told or only the coming. */
START_TEST(unit_that_was_away_may_have_lost_writes)
{
	struct rig *r = rig_up();
	uint32_t news = hba_unit_news(r->h);

	ck_assert(model_event(r->model, 1, 0, 1, 2));
	rig_wait(hba_unit_news(r->h) == news + 1);
	ck_assert(__atomic_load_n(&r->h->unit[1].missing, __ATOMIC_RELAXED));
	ck_assert_uint_eq(outages(r, 1), 1);
	ck_assert(model_event(r->model, 1, 0, 1, 1));
	rig_wait(hba_unit_news(r->h) == news + 2);
	ck_assert(!__atomic_load_n(&r->h->unit[1].missing, __ATOMIC_RELAXED));
	ck_assert_uint_eq(outages(r, 1), 1);
	ck_assert(model_event(r->model, 1, 0, 1, 1));
	rig_wait(hba_unit_news(r->h) == news + 3);
	ck_assert_uint_eq(outages(r, 1), 2);
	/* A reset takes no power. */
	ck_assert(model_event(r->model, 1, 0, 1, 0));
	rig_wait(hba_unit_news(r->h) == news + 4);
	ck_assert_uint_eq(outages(r, 1), 2);
	ck_assert_uint_eq(outages(r, 0) + outages(r, 2), 0);
	rig_down(r);
}
END_TEST

START_TEST(events_that_mean_nothing)
{
	static const struct {
		uint32_t event, reason;
		uint8_t target;
		uint16_t lun;
	} t[] = {
		{0, 0, 0, 0},
		{0x80000000, 0, 0, 0},
		{1, 77, 0, 0},
		{1, 1, 200, 9},
		{2, 0xffffffff, 0, 0},
		{3, 0xffffffff, 255, 16383},
		{0x7fffffff, 0, 1, 2},
		{0xffffffff, 0xffffffff, 255, 0x3fff},
	};
	struct rig *r = rig_up();

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		rig_wait(model_event(r->model, t[i].event, t[i].target, t[i].lun, t[i].reason));
	rig_wait(__atomic_load_n(&vio(r)->events.missed, __ATOMIC_RELAXED) == 2);
	job_run_well(job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 8));
	ck_assert_uint_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio I/O");
	TCase *c = tcase_create("requests");

	tcase_set_timeout(c, 100);
	tcase_add_loop_test(c, what_is_written_is_read, 0, 2);
	tcase_add_test(c, unit_is_addressed_by_target_and_lun);
	tcase_add_test(c, fua_goes_into_the_cdb);
	tcase_add_test(c, short_answer_leaves_zeros_not_what_was_there);
	tcase_add_test(c, short_read_is_no_whole_one);
	tcase_add_test(c, sense_comes_through);
	tcase_add_test(c, unit_that_left);
	tcase_add_test(c, flush_reaches_the_unit_it_is_for);
	tcase_add_loop_test(c, flush_that_is_not_known_is_not_good, 0, 2);
	tcase_add_loop_test(c, flush_with_a_recovered_error_is_good_but_not_with_a_deferred_one, 0, 2);
	tcase_add_loop_test(c, thousands_of_ios_in_any_order, 0, 2);
	tcase_add_test(c, unit_gets_no_more_than_it_takes);
	tcase_add_test(c, request_that_waits_for_its_turn_can_be_aborted);
	tcase_add_test(c, those_that_wait_survive_a_reset);
	tcase_add_test(c, those_that_wait_end_with_the_device);
	tcase_add_test(c, lost_interrupt_costs_time_only);
	tcase_add_test(c, device_that_wants_no_notification);
	tcase_add_test(c, events_are_counted_and_their_buffers_given_back);
	tcase_add_test(c, removed_unit_is_offline_until_it_is_back);
	tcase_add_test(c, unit_that_was_away_may_have_lost_writes);
	tcase_add_test(c, unit_that_says_who_it_is_is_back_whoever_has_heard_it);
	tcase_add_test(c, two_units_that_say_who_they_are_are_both_back);
	tcase_add_test(c, unit_that_is_away_and_hangs_is_asked_ever_more_seldom);
	tcase_add_test(c, events_that_mean_nothing);
	suite_add_tcase(s, c);
	return run_suite(s);
}
