/* SPDX-License-Identifier: GPL-2.0-or-later */
/* storm.h's on Fusion controllers, with one I/O thread and with several. */
#include "hba/storm.h"
#include "rig.h"
#include "tests/unit/run_suite.h"

static const uint8_t *disk(const struct rig *r, unsigned unit)
{
	return r->model->disk[unit];
}

static void hold(struct rig *r, bool on)
{
	tell(r, hold, on);
	if (!on)
		tell(r, hold_tasks, false);
}

static void provoke(struct rig *r)
{
	pthread_mutex_lock(&r->fn->lock);
	r->model->state = 0xf;
	r->model->pd_handle = (uint16_t)(0x20 + storm_dice(64));
	pthread_mutex_unlock(&r->fn->lock);
}

static void misbehave(struct rig *r)
{
	pthread_mutex_lock(&r->fn->lock);
	r->model->hold_tasks = storm_dice(2);
	r->model->abort_kills = storm_dice(2);
	r->model->reset_kills = storm_dice(4) > 0;
	r->model->abort_response = r->model->abort_kills && storm_dice(4) ? 0 : 5;
	pthread_mutex_unlock(&r->fn->lock);
}

static void finish_tmf(struct rig *r)
{
	model_finish_task(r->model);
}

static void lose(struct rig *r, unsigned i)
{
	model_lose(r->model, i);
}

static const struct storm fusion_storm = {24, disk, hold, provoke, misbehave, finish_tmf, lose};

/* H3: nothing is written behind the end of its command by firmware that holds it back. */
START_TEST(no_write_comes_after_its_end)
{
	struct rig *r = rig_new((enum model_gen)(_i % 4));

	r->model->pd_map = true;
	if (_i >= 8) {
		r->n_lanes = 3; /* each block's writes go by all of them */
		r->model->stray = (unsigned)_i - 8;
	} else if (_i >= 4) {
		r->model->ext_cmds = 0;
		r->model->fw_cmds = 64; /* the same numbers come soon again */
	}
	r->ladder.abort_ms = 100 * RIG_WAIT_MS;
	rig_times(r)->dcmd = 100 * RIG_WAIT_MS;
	storm_run(&fusion_storm, r, (unsigned)_i + 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fusion storm");
	TCase *t = tcase_create("storm");

	log_set_level(LOG_LV_ERR);
	tcase_set_timeout(t, 180);
	tcase_add_loop_test(t, no_write_comes_after_its_end, 0, 12);
	suite_add_tcase(s, t);
	return run_suite(s);
}
