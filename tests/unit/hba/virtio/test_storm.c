/* SPDX-License-Identifier: GPL-2.0-or-later */
/* storm.h's on virtio SCSI hosts, by 1, 2 and 4 I/O threads. */
#include "hba/storm.h"
#include "lanes_rig.h"
#include "tests/unit/run_suite.h"

static const uint8_t *disk(const struct rig *r, unsigned unit)
{
	return r->model->unit[unit].disk;
}

static void hold(struct rig *r, bool on)
{
	tell(r, hold, on);
	if (on)
		return;
	tell(r, hold_tmf, false);
	tell(r, silent_queues, 0);
	tell(r, tmf, TMF_WORKS);
}

/* In a queue of its choice: garbage; or the device asks for it. */
static void provoke(struct rig *r)
{
	unsigned queue = 2 + storm_dice(r->h->n_lanes);

	if (storm_dice(2))
		model_needs_reset(r->model);
	else if (storm_dice(2))
		model_post(r->model, queue, 10000 + storm_dice(50000), 0);
	else
		model_skip(r->model, queue, (uint16_t)(1000 + storm_dice(50000)));
}

static void misbehave(struct rig *r)
{
	static const enum model_tmf how[] = {TMF_WORKS, TMF_WORKS, TMF_REFUSES, TMF_LIES};

	pthread_mutex_lock(&r->fn->lock);
	r->model->hold_tmf = storm_dice(2);
	r->model->tmf = how[storm_dice(ARRAY_SIZE(how))];
	r->model->silent_queues = storm_dice(4) ? 0 : 1u << (2 + storm_dice(LANES));
	pthread_mutex_unlock(&r->fn->lock);
}

static void finish_tmf(struct rig *r)
{
	model_finish_tmf(r->model);
}

static void lose(struct rig *r, unsigned i)
{
	model_lose(r->model, i);
}

static const struct storm virtio_storm = {32, disk, hold, provoke, misbehave, finish_tmf, lose};

/* H3: as on Fusion controllers. Every second time units take few commands at once. */
START_TEST(no_write_comes_after_its_end)
{
	static const unsigned lanes[] = {1, 2, LANES};
	struct rig *r = lanes_new(lanes[(unsigned)_i % ARRAY_SIZE(lanes)]);

	if ((unsigned)_i / ARRAY_SIZE(lanes) % 2)
		model_config32(r->model, 0x0c, 5); /* cmd_per_lun */
	r->ladder.abort_ms = 100 * RIG_WAIT_MS;
	storm_run(&virtio_storm, r, (unsigned)_i + 1);
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
