/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes that are aborted, swept away by unit resets, lost, and sent again after resets of the device, in random order, by
 * 1, 2 and 4 I/O threads. Each block has one writer, who writes a newer generation as soon as the older write has ended in
 * whatever way: an older one that reaches the disk after that is a stale write.
 */
#include <string.h>

#include "lanes_rig.h"
#include "tests/unit/run_suite.h"

#define BLOCKS 32
#define ENDS   600

struct block {
	unsigned unit;
	uint32_t gen;	 /* of the write that is under way, or was the last */
	bool busy, sure; /* sure: the last write has succeeded */
};

static struct block block[BLOCKS];
static struct rig *r;
static uint64_t seed;
static unsigned n_ends;

static unsigned dice(unsigned sides)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % sides;
}

static uint32_t on_disk(unsigned b)
{
	uint32_t gen[2];

	pthread_mutex_lock(&r->fn->lock);
	memcpy(&gen[0], r->model->unit[block[b].unit].disk + b * 512, 4);
	memcpy(&gen[1], r->model->unit[block[b].unit].disk + b * 512 + 508, 4);
	pthread_mutex_unlock(&r->fn->lock);
	ck_assert_uint_eq(gen[0], gen[1]);
	return gen[0];
}

static void collect(unsigned b)
{
	struct job *j = &r->job[b];

	if (!block[b].busy || !job_done(j))
		return;
	ck_assert_uint_eq(job_done(j), 1);
	block[b].busy = false;
	block[b].sure = j->result == HBA_DONE && j->scsi_status == 0;
	n_ends++;
	ck_assert(j->result != HBA_GONE);
	if (block[b].sure)
		ck_assert_uint_eq(on_disk(b), block[b].gen);
	else
		ck_assert_uint_le(on_disk(b), block[b].gen);
}

static void write_next(unsigned b)
{
	struct job *j;

	collect(b);
	if (block[b].busy)
		return;
	if (block[b].sure)
		ck_assert_uint_eq(on_disk(b), block[b].gen);
	j = on_lane(job_rw(r, b, block[b].unit, DMA_TO_DEVICE, b, 1), dice(r->h->n_lanes));
	j->tmpl.timeout_ms = 100 * RIG_WAIT_MS; /* resets are the test's alone */
	block[b].gen++;
	for (unsigned i = 0; i < 512; i += 4)
		memcpy(j->buf + i, &block[b].gen, 4);
	job_try(j);
	/* No slot while the device is reset. */
	if (job_submitted(j) == 0)
		block[b].busy = true;
	else
		block[b].gen--;
}

/* In a queue of its choice: garbage; or the device asks for it. */
static void provoke(void)
{
	unsigned queue = 2 + dice(r->h->n_lanes);

	if (dice(2))
		model_needs_reset(r->model);
	else if (dice(2))
		model_post(r->model, queue, 10000 + dice(50000), 0);
	else
		model_skip(r->model, queue, (uint16_t)(1000 + dice(50000)));
}

/* Not too many without an answer in between, or the device would be given up for dead. The core's own count: an answer that
 * is collected now may have come before the last reset. */
static void break_it(void)
{
	uint64_t before = stat_of(r, resets);
	unsigned barren = __atomic_load_n(&r->h->core->barren_resets, __ATOMIC_RELAXED);

	if (barren >= HBA_MAX_BARREN_RESETS - 2 || hba_state(r->h) != HBA_RUNNING)
		return;
	provoke();
	rig_wait(stat_of(r, resets) > before);
	/* Half of the time what follows finds it in the middle of its reset. */
	if (dice(2))
		rig_wait(hba_state(r->h) == HBA_RUNNING);
}

static void misbehave(void)
{
	static const enum model_tmf how[] = {TMF_WORKS, TMF_WORKS, TMF_REFUSES, TMF_LIES};

	break_it();
	pthread_mutex_lock(&r->fn->lock);
	r->model->hold_tmf = dice(2);
	r->model->tmf = how[dice(ARRAY_SIZE(how))];
	r->model->silent_queues = dice(4) ? 0 : 1u << (2 + dice(LANES));
	pthread_mutex_unlock(&r->fn->lock);
}

static void step(void)
{
	unsigned b = dice(BLOCKS), pending = model_pending(r->model);

	switch (dice(16)) {
	case 0:
		if (block[b].busy)
			job_abort(&r->job[b]);
		return;
	case 1:
		model_finish_tmf(r->model);
		return;
	case 2:
		if (pending && !dice(8))
			model_lose(r->model, dice(pending));
		return;
	case 3:
		if (!dice(4))
			misbehave();
		return;
	case 4:
	case 5:
	case 6:
	case 7:
		if (pending)
			model_complete(r->model, dice(pending));
		return;
	default:
		write_next(b);
	}
}

static bool all_over(void)
{
	for (unsigned b = 0; b < BLOCKS; b++)
		collect(b);
	for (unsigned b = 0; b < BLOCKS; b++)
		if (block[b].busy)
			return false;
	return true;
}

static void let_all_end(void)
{
	uint64_t until = clock_ns() + RIG_WAIT_MS * NS_PER_MS, resets;

	tell(r, hold, false);
	tell(r, hold_tmf, false);
	tell(r, silent_queues, 0);
	tell(r, tmf, TMF_WORKS);
	/* What was lost comes back with a reset; one at a time. */
	rig_wait(hba_state(r->h) == HBA_RUNNING);
	resets = stat_of(r, resets);
	model_needs_reset(r->model);
	rig_wait(stat_of(r, resets) > resets);
	while (!all_over()) {
		ck_assert_msg(clock_ns() < until, "%u requests never ended", hba_inflight(r->h));
		model_finish_tmf(r->model);
		model_complete(r->model, 0);
		clock_sleep_ms(1);
	}
}

static const unsigned lanes[] = {1, 2, LANES};

/* Every second time units take few commands at once. */
START_TEST(no_write_comes_after_its_end)
{
	uint64_t until = clock_ns() + RIG_WAIT_MS * NS_PER_MS;

	r = lanes_new(lanes[(unsigned)_i % ARRAY_SIZE(lanes)]);
	seed = (unsigned)_i + 1;
	if ((unsigned)_i / ARRAY_SIZE(lanes) % 2)
		model_config32(r->model, 0x0c, 5); /* cmd_per_lun */
	r->ladder.abort_ms = 100 * RIG_WAIT_MS;
	rig_must_start(r);
	tell(r, hold, true);
	for (unsigned b = 0; b < BLOCKS; b++)
		block[b] = (struct block){.unit = b % 3, .sure = true};
	/* A slow machine does less of it in that time. */
	while (n_ends < ENDS && clock_ns() < until)
		step();
	let_all_end();
	for (unsigned b = 0; b < BLOCKS; b++)
		if (block[b].sure)
			ck_assert_uint_eq(on_disk(b), block[b].gen);
	/* All of it is of use again. */
	rig_wait(hba_state(r->h) == HBA_RUNNING);
	for (unsigned b = 0; b < BLOCKS; b++) {
		write_next(b);
		ck_assert(block[b].busy);
		job_ends(&r->job[b], HBA_DONE);
	}
	ck_assert_uint_eq(hba_inflight(r->h), 0);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio storm");
	TCase *t = tcase_create("storm");

	log_set_level(LOG_LV_ERR);
	tcase_set_timeout(t, 180);
	tcase_add_loop_test(t, no_write_comes_after_its_end, 0, 12);
	suite_add_tcase(s, t);
	return run_suite(s);
}
