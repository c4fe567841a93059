/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stop of a controller: what it had acknowledged is flushed, or somebody is told. */
#include "rig.h"
#include "tests/unit/run_suite.h"

#include <errno.h>
#include <pthread.h>

/* A request that does not come back. A stop waits five seconds for it first. */
static struct rig *with_one_stuck(uint32_t flush_ms)
{
	struct rig *r = rig_new(GEN2);

	r->ladder.flush_ms = r->ladder.cache_ms = flush_ms;
	rig_must_start(r);
	tell(r, hold, true);
	job_submit(job_rw(r, 0, 0, DMA_TO_DEVICE, 0, 1));
	rig_wait(model_pending(r->model) == 1);
	return r;
}

static void ended_quietly(struct rig *r)
{
	ck_assert_uint_eq(job_done(&r->job[0]), 1);
	ck_assert_int_eq(r->job[0].result, HBA_GONE);
	ck_assert(r->job[0].quiet);
	ck_assert_uint_eq(seen(r, n_shutdown), 0);
	rig_down(r);
}

/* H27: firmware that answers nobody: neither the flushes. */
START_TEST(stop_ends_what_is_in_flight_quietly)
{
	struct rig *r = with_one_stuck(30);

	ck_assert_int_lt(hba_stop(r->h), 0);
	ended_quietly(r);
}
END_TEST

START_TEST(stop_flushes_every_unit_beside_what_does_not_come_back)
{
	struct rig *r = with_one_stuck(RIG_WAIT_MS);

	tell(r, hold, false);
	ck_assert_int_eq(hba_stop(r->h), 0);
	/* The third logical drive is offline. */
	ck_assert_uint_eq(seen(r, n_sync[0]), 1);
	ck_assert_uint_eq(seen(r, n_sync[1]), 1);
	ck_assert_uint_eq(seen(r, n_sync[2]), 0);
	ck_assert_uint_eq(seen(r, n_flush), 2);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	ended_quietly(r);
}
END_TEST

/* The flush of one unit fails: the others are asked all the same. */
START_TEST(stop_tells_of_a_flush_that_failed)
{
	struct rig *r = with_one_stuck(RIG_WAIT_MS);

	tell(r, hold, false);
	tell(r, flush_status, MFI_LD_OFFLINE);
	ck_assert_int_eq(hba_stop(r->h), -EIO);
	ck_assert_uint_eq(seen(r, n_flush), 2);
	ended_quietly(r);
}
END_TEST

static void *stop(void *rig)
{
	struct rig *r = rig;

	return (void *)(intptr_t)hba_stop(r->h);
}

/* What does not come back, but does while the units are flushed, one write in each round: GOOD, and perhaps behind its unit's
 * flush. Once is mended by another round; when it does not end, the stop has to tell. */
START_TEST(a_write_that_comes_back_beside_a_flush_is_flushed_too)
{
	const unsigned rounds = _i ? FLUSHES_BESIDE + 1 : 1;
	struct rig *r = with_one_stuck(RIG_WAIT_MS);
	pthread_t stopper;
	void *result;

	for (unsigned i = 1; i <= rounds; i++)
		job_submit(job_rw(r, i, 0, DMA_TO_DEVICE, i, 1));
	rig_wait(model_pending(r->model) == rounds + 1);
	tell(r, hold, false);
	tell(r, hold_flush, true);
	ck_assert_int_eq(pthread_create(&stopper, NULL, stop, r), 0);
	for (unsigned i = 1; i <= rounds; i++) {
		rig_wait(seen(r, n_flush) == 2 * i - 1);
		model_complete(r->model, 1);
		rig_wait(job_done(&r->job[i]) == 1);
		ck_assert_int_eq(r->job[i].result, HBA_DONE);
		model_finish_flush(r->model);
		rig_wait(seen(r, n_flush) == 2 * i);
		tell(r, hold_flush, i < rounds);
		model_finish_flush(r->model);
	}
	ck_assert_int_eq(pthread_join(stopper, &result), 0);
	ck_assert_int_eq((intptr_t)result, _i ? -EIO : 0);
	ck_assert_uint_eq(seen(r, n_flush), _i ? 2 * rounds : 4);
	ended_quietly(r);
}
END_TEST

/* Also when runs had been ended for it, and drained before. */
START_TEST(an_ended_run_does_not_keep_a_stop_from_its_flushes)
{
	struct rig *r = with_one_stuck(RIG_WAIT_MS);

	hba_end_runs(r->h);
	ck_assert_int_eq(hba_drain(r->h, 1), -ETIMEDOUT);
	tell(r, hold, false);
	ck_assert_int_eq(hba_stop(r->h), 0);
	ck_assert_uint_eq(seen(r, n_flush), 2);
	ended_quietly(r);
}
END_TEST

START_TEST(a_stop_tells_of_a_shutdown_that_failed)
{
	struct rig *r = rig_up(GEN2);

	tell(r, flush_status, MFI_LD_OFFLINE);
	ck_assert_int_lt(hba_stop(r->h), 0);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	ck_assert_int_eq(hba_stop(r->h), 0); /* it was told */
	rig_down(r);
}
END_TEST

/* --- system drives, which the firmware's flush is not known to reach --- */

/* Units 3 and on, behind three logical drives of which the last is offline. */
#define DRIVE 3

static struct rig *with_drives(unsigned n)
{
	struct rig *r = rig_new(GEN2);

	r->ladder.flush_ms = r->ladder.cache_ms = r->ladder.reset_ms = RIG_WAIT_MS;
	r->model->pd_count = n;
	for (unsigned i = 0; i < n; i++)
		r->model->pd_ids[i] = (uint16_t)(i + 1);
	return r;
}

static void assert_unflushed(struct rig *r, unsigned n, const char *units)
{
	for (unsigned i = 0; i < DRIVE + n; i++)
		ck_assert_msg(r->h->unit[i].unflushed == (units[i] == 'x'), "unit %u of \"%s\"", i, units);
}

START_TEST(stop_flushes_each_system_drive_by_itself)
{
	struct rig *r = with_drives(3);

	rig_must_start(r);
	ck_assert_int_eq(hba_stop(r->h), 0);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(seen(r, n_pd_sync[i]), 1);
	/* Firmware's own beside them, a round for each logical drive or one for both, and the one at shutdown. */
	ck_assert_uint_eq(seen(r, n_sync[0]), 1);
	ck_assert_uint_eq(seen(r, n_sync[1]), 1);
	ck_assert_uint_ge(seen(r, n_flush), 2);
	ck_assert_uint_le(seen(r, n_flush), 3);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	assert_unflushed(r, 3, "  x   ");
	rig_down(r);
}
END_TEST

enum fate { SAFE, NOT_SAFE, FAILS }; /* NOT_SAFE: the next hbad has to tell; FAILS: the stop, too */

/* What the second of three drives answers, how often it is asked, and what becomes of its data. */
static const struct {
	uint32_t says[MODEL_SAYS];
	unsigned asked;
	enum fate fate;
} answers[] = {
	{{0x044400}, 1, FAILS},
	{{0x010b01}, 1, SAFE},		     /* RECOVERED ERROR */
	{{0x020402}, 1, NOT_SAFE},	     /* it is stopped, and perhaps did not flush before */
	{{0x020401, 0x0b4700}, 3, SAFE},     /* it becomes ready; ABORTED COMMAND */
	{{0x052000}, 1, FAILS},		     /* it has a cache, and does not know the command */
	{{0x062a01}, 2, SAFE},		     /* MODE PARAMETERS CHANGED */
	{{0x062903, 0x062a09}, 3, SAFE},     /* a reset that takes no power */
	{{0x062901}, 2, NOT_SAFE},	     /* POWER ON: what is flushed then is not what was there */
	{{0x062900}, 2, NOT_SAFE},	     /* ... or perhaps, and nobody here has reset anything */
	{{0x062a01, 0x062904}, 3, NOT_SAFE}, /* INTERNAL RESET */
	{{0x71030c00}, 2, NOT_SAFE},	     /* a write before has failed */
	{{0x062901, 0x044400}, 2, FAILS},
	{{0x062a01, 0x062a01, 0x062a01, 0x062a01, 0x062a01, 0x062a01, 0x062a01, 0x062a01}, 9, SAFE},
};

START_TEST(each_drive_is_flushed_or_told_of)
{
	struct rig *r = with_drives(3);

	for (unsigned i = 0; i < MODEL_SAYS; i++)
		r->model->pd_says[1][i] = answers[_i].says[i];
	rig_must_start(r);
	ck_assert_int_eq(hba_stop(r->h), answers[_i].fate == FAILS ? -EIO : 0);
	ck_assert_uint_eq(seen(r, n_pd_sync[0]), 1);
	ck_assert_uint_eq(seen(r, n_pd_sync[1]), answers[_i].asked);
	ck_assert_uint_eq(seen(r, n_pd_sync[2]), 1);
	/* In any case the controller is shut down, and its own cache written out. */
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	assert_unflushed(r, 3, answers[_i].fate == SAFE ? "  x   " : "  x x ");
	rig_down(r);
}
END_TEST

/* Firmware does not know it any more, and has told nobody. */
START_TEST(a_drive_that_is_not_there_is_no_failure)
{
	struct rig *r = with_drives(1);

	rig_must_start(r);
	tell(r, io_status, MFI_DEVICE_NOT_FOUND);
	ck_assert_int_eq(hba_stop(r->h), 0);
	assert_unflushed(r, 1, "  xx");
	rig_down(r);
}
END_TEST

/* Drives that know one code for all resets say it after ours, too. */
START_TEST(a_reset_of_ours_takes_no_drives_power)
{
	struct rig *r = with_drives(1);

	rig_must_start(r);
	model_post(r->model, 0xffff0123);
	rig_wait(hba_state(r->h) == HBA_RUNNING && seen(r, n_init) == 2);
	tell(r, pd_says[0][0], 0x062900);
	ck_assert_int_eq(hba_stop(r->h), 0);
	ck_assert_uint_eq(seen(r, n_pd_sync[0]), 2);
	assert_unflushed(r, 1, "  x ");
	rig_down(r);
}
END_TEST

/* One that is offline is not asked, nor is the stop a bad one for it; that its writes are safe nobody can say. */
START_TEST(a_drive_that_is_offline_is_not_asked)
{
	struct rig *r = with_drives(2);

	rig_must_start(r);
	rig_wait(seen(r, n_event_wait) == 1);
	tell(r, pd_count, 1);
	model_drive_event(r->model, 0x70, 2);
	rig_wait(seen(r, n_event_wait) == 2);
	ck_assert_int_eq(__atomic_load_n(&r->h->unit[DRIVE + 1].state, __ATOMIC_RELAXED), HBA_UNIT_OFFLINE);
	ck_assert_int_eq(hba_stop(r->h), 0);
	ck_assert_uint_eq(seen(r, n_pd_sync[0]), 1);
	ck_assert_uint_eq(seen(r, n_pd_sync[1]), 0);
	assert_unflushed(r, 2, "  x x");
	rig_down(r);
}
END_TEST

/* H27: one that answers nothing costs an abort, or a reset; the others are asked again if that took theirs. */
START_TEST(a_drive_that_hangs_is_given_up)
{
	struct rig *r = with_drives(3);

	r->model->pd_says[0][0] = MODEL_SILENT;
	r->ladder.flush_ms = 100;
	rig_must_start(r);
	ck_assert_int_eq(hba_stop(r->h), -EIO);
	assert_unflushed(r, 3, "  xx  ");
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	rig_down(r);
}
END_TEST

/* The firmware's flush fails: what the drives have confirmed is safe all the same. */
START_TEST(drives_are_safe_behind_a_shutdown_that_failed)
{
	struct rig *r = with_drives(1);

	rig_must_start(r);
	tell(r, flush_status, MFI_LD_OFFLINE);
	ck_assert_int_lt(hba_stop(r->h), 0);
	assert_unflushed(r, 1, "xxx ");
	rig_down(r);
}
END_TEST

/* A write comes back behind its drive's flush, and the flush of another one fails: what is known of the first is nothing.
 * 1: another request never comes back */
START_TEST(a_write_behind_its_flush_counts_though_another_flush_fails)
{
	struct rig *r = with_drives(2);
	pthread_t stopper;
	void *result;

	for (unsigned i = 0; i < MODEL_SAYS; i++)
		r->model->pd_says[1][i] = 0x044400;
	rig_must_start(r);
	tell(r, hold, true);
	job_submit(job_rw(r, 0, DRIVE, DMA_TO_DEVICE, 0, 1));
	if (_i)
		job_submit(job_rw(r, 1, 0, DMA_TO_DEVICE, 0, 1));
	rig_wait(model_pending(r->model) == 1u + (unsigned)_i);
	tell(r, hold, false);
	tell(r, hold_flush, true);
	ck_assert_int_eq(pthread_create(&stopper, NULL, stop, r), 0);
	rig_wait(seen(r, n_pd_sync[0]) == 1 && seen(r, n_pd_sync[1]) == 1 && seen(r, n_flush) == 1);
	model_complete(r->model, 0);
	rig_wait(job_done(&r->job[0]) == 1);
	ck_assert_int_eq(r->job[0].result, HBA_DONE);
	tell(r, hold_flush, false);
	model_finish_flush(r->model);
	ck_assert_int_eq(pthread_join(stopper, &result), 0);
	ck_assert_int_eq((intptr_t)result, -EIO);
	/* It is flushed again, beside the other one or when nothing is at the controller any more. */
	ck_assert_uint_eq(seen(r, n_pd_sync[0]), 2);
	ck_assert(!r->h->unit[DRIVE].unflushed);
	ck_assert(r->h->unit[DRIVE + 1].unflushed);
	rig_down(r);
}
END_TEST

/* A drive's flush stays at the controller, beside a write that does: what the others flushed is flushed. 1: the write comes
 * back meanwhile, and its drive may have flushed before it. */
START_TEST(a_flush_that_hangs_is_none_of_the_requests_beside_it)
{
	struct rig *r = with_drives(2);
	pthread_t stopper;
	void *result;

	r->model->pd_says[0][0] = MODEL_SILENT;
	r->ladder.flush_ms = 300;
	r->ladder.abort_ms = 2 * RIG_WAIT_MS;
	r->ladder.stop_ms = 10000; /* of which half is the drain */
	r->ladder.shutdown_ms = 1000;
	rig_must_start(r);
	tell(r, abort_lies, true);
	tell(r, hold, true);
	job_submit(job_rw(r, 0, DRIVE + 1, DMA_TO_DEVICE, 0, 1));
	rig_wait(model_pending(r->model) == 1);
	tell(r, hold, false);
	ck_assert_int_eq(pthread_create(&stopper, NULL, stop, r), 0);
	rig_wait(seen(r, n_pd_sync[0]) == 1 && seen(r, n_pd_sync[1]) == 1);
	if (_i) {
		model_complete(r->model, 0);
		job_ends(&r->job[0], HBA_DONE);
	}
	ck_assert_int_eq(pthread_join(stopper, &result), 0);
	ck_assert_int_eq((intptr_t)result, -EIO);
	/* Once: nobody had come back, or there was no more time. */
	ck_assert_uint_eq(seen(r, n_pd_sync[1]), 1);
	assert_unflushed(r, 2, _i ? "xxxxx" : "  xx ");
	rig_down(r);
}
END_TEST

static uint64_t flush_of_two_that_hang_ms(void)
{
	struct rig *r = with_drives(2);
	uint64_t began, took;

	r->model->pd_says[0][0] = 0x062a01;
	r->model->pd_says[0][1] = r->model->pd_says[1][0] = MODEL_SILENT;
	r->ladder.flush_ms = 4000;
	rig_must_start(r);
	began = clock_ns();
	ck_assert_int_eq(hba_stop(r->h), -EIO);
	took = (clock_ns() - began) / NS_PER_MS;
	assert_unflushed(r, 2, "  xxx");
	rig_down(r);
	return took;
}

/* Two that hang, one of them only when it is asked again: the time is that of one. What takes longer does so each time; a
 * machine that was busy elsewhere is not. */
START_TEST(last_flushes_are_bounded_all_in_all)
{
	uint64_t took = UINT64_MAX;

	for (unsigned i = 0; i < 3 && took >= 7000; i++)
		took = flush_of_two_that_hang_ms();
	ck_assert_uint_lt(took, 7000);
}
END_TEST

static struct rig *with_a_drive_that_hangs(void)
{
	struct rig *r = with_drives(1);

	r->model->pd_says[0][0] = MODEL_SILENT;
	r->ladder.flush_ms = 100;
	return r;
}

/* What only a reset would end waits with it until firmware's cache is flushed. */
START_TEST(a_drive_that_hangs_does_not_cut_the_firmwares_flush_short)
{
	struct rig *r = with_a_drive_that_hangs();
	pthread_t stopper;
	void *result;

	rig_must_start(r);
	tell(r, hold_flush, true);
	ck_assert_int_eq(pthread_create(&stopper, NULL, stop, r), 0);
	rig_wait(seen(r, n_flush) == 1);
	/* Its time, and that of its abort, are over many times. */
	rig_wait(stat_of(r, timeouts) == 1);
	clock_sleep_ms(500);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	tell(r, hold_flush, false);
	model_finish_flush(r->model);
	rig_wait(stat_of(r, resets) == 1);
	ck_assert_int_eq(pthread_join(stopper, &result), 0);
	ck_assert_int_eq((intptr_t)result, -EIO);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	assert_unflushed(r, 1, "  xx");
	rig_down(r);
}
END_TEST

static void must_stop_in_time(struct rig *r, int result)
{
	uint64_t began = clock_ns();

	ck_assert_int_eq(hba_stop(r->h), result);
	ck_assert_uint_lt((clock_ns() - began) / NS_PER_MS, r->ladder.stop_ms + RIG_WAIT_MS / 8);
}

/* ... and the reset that it costs does not come to its end: there is no shutdown, but what went through the controller's cache
 * is safe. */
START_TEST(a_stop_is_over_in_time_though_a_reset_is_not)
{
	struct rig *r = with_a_drive_that_hangs();

	rig_times(r)->soft = 10;
	rig_times(r)->diag_end = 2 * RIG_WAIT_MS;
	r->ladder.stop_ms = 2000;
	r->ladder.shutdown_ms = 1000;
	rig_must_start(r);
	tell(r, stuck, true);
	tell(r, adapter_dead, true);
	must_stop_in_time(r, -EIO);
	ck_assert_uint_ge(seen(r, n_flush), 1);
	ck_assert_uint_eq(seen(r, n_shutdown), 0);
	assert_unflushed(r, 1, "  xx");
	rig_down(r);
}
END_TEST

/* Firmware that flushes for ever, beside the drives or alone. */
START_TEST(a_stop_is_over_in_time_though_firmwares_flush_is_not)
{
	struct rig *r = with_drives((unsigned)_i);

	rig_times(r)->dcmd = 2 * RIG_WAIT_MS;
	r->ladder.stop_ms = 2000;
	r->ladder.shutdown_ms = 1000;
	rig_must_start(r);
	tell(r, hold_flush, true);
	must_stop_in_time(r, _i ? -EIO : -ETIMEDOUT);
	assert_unflushed(r, (unsigned)_i, _i ? "xxx " : "xxx");
	rig_down(r);
}
END_TEST

/* A reset that does not end leaves the time that a shutdown takes, of which there is then none. */
START_TEST(a_stop_does_not_wait_for_a_reset_until_its_own_end)
{
	struct rig *r = with_drives(1);

	rig_times(r)->soft = 10;
	rig_times(r)->diag_end = 2 * RIG_WAIT_MS;
	r->ladder.stop_ms = 2000;
	r->ladder.shutdown_ms = 1000;
	rig_must_start(r);
	tell(r, stuck, true);
	tell(r, adapter_dead, true);
	model_post(r->model, 0xffff0123);
	rig_wait(hba_state(r->h) == HBA_RESETTING);
	must_stop_in_time(r, -ENODEV);
	rig_down(r);
}
END_TEST

/* There is no slot for the last flushes: nothing is waited for for ever. */
START_TEST(last_flushes_that_never_begin_end)
{
	struct rig *r = with_drives(1);

	r->cfg.queue_depth = 1;
	r->ladder.flush_ms = 100;
	r->ladder.reset_ms = 0;
	rig_must_start(r);
	tell(r, hold, true);
	job_submit(job_rw(r, 0, 0, DMA_TO_DEVICE, 0, 1));
	rig_wait(model_pending(r->model) == 1);
	ck_assert_int_lt(hba_stop(r->h), 0);
	assert_unflushed(r, 1, "xxxx");
	rig_down(r);
}
END_TEST

/* Beside requests that do not come back drives are flushed with the others. */
START_TEST(drives_are_flushed_beside_what_does_not_come_back)
{
	struct rig *r = with_drives(2);

	r->model->pd_says[1][0] = 0x062901;
	rig_must_start(r);
	tell(r, hold, true);
	job_submit(job_rw(r, 0, 0, DMA_TO_DEVICE, 0, 1));
	rig_wait(model_pending(r->model) == 1);
	tell(r, hold, false);
	ck_assert_int_eq(hba_stop(r->h), 0);
	ck_assert_uint_eq(seen(r, n_pd_sync[0]), 1);
	assert_unflushed(r, 2, "  x x");
	ended_quietly(r);
}
END_TEST

START_TEST(drives_are_flushed_before_a_hand_over)
{
	struct rig *r = with_drives(2);
	struct hba_frozen f;

	r->model->pd_says[1][0] = 0x044400;
	rig_must_start(r);
	ck_assert_int_eq(hba_drain(r->h, RIG_WAIT_MS), 0);
	ck_assert_msg(hba_freeze(r->h, &f, &r->e) == 0, "%s", r->e.text);
	ck_assert_uint_eq(seen(r, n_pd_sync[0]), 1);
	assert_unflushed(r, 2, "  x x");
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stop");
	TCase *c = tcase_create("mfi");

	tcase_set_timeout(c, 60);
	tcase_add_test(c, stop_ends_what_is_in_flight_quietly);
	tcase_add_test(c, stop_flushes_every_unit_beside_what_does_not_come_back);
	tcase_add_loop_test(c, a_write_that_comes_back_beside_a_flush_is_flushed_too, 0, 2);
	tcase_add_test(c, stop_tells_of_a_flush_that_failed);
	tcase_add_test(c, an_ended_run_does_not_keep_a_stop_from_its_flushes);
	tcase_add_test(c, a_stop_tells_of_a_shutdown_that_failed);
	suite_add_tcase(s, c);
	c = tcase_create("system drives");
	tcase_set_timeout(c, 60);
	tcase_add_test(c, stop_flushes_each_system_drive_by_itself);
	tcase_add_loop_test(c, each_drive_is_flushed_or_told_of, 0, ARRAY_SIZE(answers));
	tcase_add_test(c, a_reset_of_ours_takes_no_drives_power);
	tcase_add_test(c, a_drive_that_is_offline_is_not_asked);
	tcase_add_test(c, a_drive_that_is_not_there_is_no_failure);
	tcase_add_test(c, a_drive_that_hangs_is_given_up);
	tcase_add_loop_test(c, a_write_behind_its_flush_counts_though_another_flush_fails, 0, 2);
	tcase_add_test(c, last_flushes_are_bounded_all_in_all);
	tcase_add_test(c, last_flushes_that_never_begin_end);
	tcase_add_test(c, a_drive_that_hangs_does_not_cut_the_firmwares_flush_short);
	tcase_add_test(c, a_stop_is_over_in_time_though_a_reset_is_not);
	tcase_add_loop_test(c, a_stop_is_over_in_time_though_firmwares_flush_is_not, 0, 2);
	tcase_add_test(c, a_stop_does_not_wait_for_a_reset_until_its_own_end);
	tcase_add_test(c, drives_are_safe_behind_a_shutdown_that_failed);
	tcase_add_test(c, drives_are_flushed_beside_what_does_not_come_back);
	tcase_add_test(c, drives_are_flushed_before_a_hand_over);
	suite_add_tcase(s, c);
	c = tcase_create("flush that hangs");
	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, a_flush_that_hangs_is_none_of_the_requests_beside_it, 0, 2);
	suite_add_tcase(s, c);
	return run_suite(s);
}
