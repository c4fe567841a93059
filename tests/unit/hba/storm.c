/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hba/storm.h"

#include <string.h>

/* So many writes have ended: enough. */
#define ENDS 600

struct block {
	unsigned unit;
	uint32_t gen;	 /* of the write that is under way, or was the last */
	bool busy, sure; /* sure: the last write has succeeded */
};

static struct block block[STORM_MAX_BLOCKS];
static const struct storm *s;
static struct rig *r;
static uint64_t dice;
static unsigned n_ends;

unsigned storm_dice(unsigned sides)
{
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(dice >> 33) % sides;
}

static uint32_t on_disk(unsigned b)
{
	const uint8_t *disk;
	uint32_t gen[2];

	pthread_mutex_lock(&r->fn->lock);
	disk = s->disk(r, block[b].unit) + (size_t)b * 512;
	memcpy(&gen[0], disk, 4);
	memcpy(&gen[1], disk + 508, 4);
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
	j = job_rw(r, b, block[b].unit, DMA_TO_DEVICE, b, 1);
	j->lane = storm_dice(r->h->n_lanes);
	j->tmpl.timeout_ms = 100 * RIG_WAIT_MS; /* resets are the test's alone */
	block[b].gen++;
	for (unsigned i = 0; i < 512; i += 4)
		memcpy(j->buf + i, &block[b].gen, 4);
	job_try(j);
	/* No slot while the controller is reset. */
	if (job_submitted(j) == 0)
		block[b].busy = true;
	else
		block[b].gen--;
}

/*
 * Not too many without an answer in between, or the controller would be given up for dead. The core's own count: an answer that
 * is collected now may have come before the last reset.
 */
static void provoke(void)
{
	uint64_t before = stat_of(r, resets);
	unsigned barren = __atomic_load_n(&r->h->core->barren_resets, __ATOMIC_RELAXED);

	if (barren >= HBA_MAX_BARREN_RESETS - 2 || hba_state(r->h) != HBA_RUNNING)
		return;
	s->provoke(r);
	rig_wait(stat_of(r, resets) > before);
	/* Half of the time what follows finds it in the middle of its reset. */
	if (storm_dice(2))
		rig_wait(hba_state(r->h) == HBA_RUNNING);
}

static void step(void)
{
	unsigned b = storm_dice(s->blocks), pending = model_pending(r->model);

	switch (storm_dice(16)) {
	case 0:
		if (block[b].busy)
			job_abort(&r->job[b]);
		return;
	case 1:
		s->finish_tmf(r);
		return;
	case 2:
		if (pending && !storm_dice(8))
			s->lose(r, storm_dice(pending));
		return;
	case 3:
		if (storm_dice(4))
			return;
		provoke();
		s->misbehave(r);
		return;
	case 4:
	case 5:
	case 6:
	case 7:
		if (pending)
			model_complete(r->model, storm_dice(pending));
		return;
	default:
		write_next(b);
	}
}

static bool all_over(void)
{
	for (unsigned b = 0; b < s->blocks; b++)
		collect(b);
	for (unsigned b = 0; b < s->blocks; b++)
		if (block[b].busy)
			return false;
	return true;
}

static void let_all_end(void)
{
	uint64_t until = clock_ns() + RIG_WAIT_MS * NS_PER_MS, resets;

	s->hold(r, false);
	/* What was lost comes back with a reset; one at a time. */
	rig_wait(hba_state(r->h) == HBA_RUNNING);
	resets = stat_of(r, resets);
	s->provoke(r);
	rig_wait(stat_of(r, resets) > resets);
	while (!all_over()) {
		ck_assert_msg(clock_ns() < until, "%u requests never ended", hba_inflight(r->h));
		s->finish_tmf(r);
		model_complete(r->model, 0);
		clock_sleep_ms(1);
	}
}

void storm_run(const struct storm *storm, struct rig *rig, uint64_t seed)
{
	uint64_t until = clock_ns() + RIG_WAIT_MS * NS_PER_MS;

	s = storm;
	r = rig;
	dice = seed;
	n_ends = 0;
	rig_must_start(r);
	s->hold(r, true);
	for (unsigned b = 0; b < s->blocks; b++)
		block[b] = (struct block){.unit = b % STORM_UNITS, .sure = true};
	/* A slow machine does less of it in that time. */
	while (n_ends < ENDS && clock_ns() < until)
		step();
	let_all_end();
	for (unsigned b = 0; b < s->blocks; b++)
		if (block[b].sure)
			ck_assert_uint_eq(on_disk(b), block[b].gen);
	/* All of it is of use again. */
	rig_wait(hba_state(r->h) == HBA_RUNNING);
	for (unsigned b = 0; b < s->blocks; b++) {
		write_next(b);
		ck_assert(block[b].busy);
		job_ends(&r->job[b], HBA_DONE);
	}
	ck_assert_uint_eq(hba_inflight(r->h), 0);
	rig_down(r);
}
