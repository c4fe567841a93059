/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See load_rig.h. */
#include "load_rig.h"

#include <string.h>
#include <unistd.h>

#include "hba/virtio/vio.h"

struct emu_proc emu;
struct load *load;

void rig_start(uint64_t seed, const char *const *options)
{
	emu_start_proc(&emu, options);
	load = load_new(&emu, seed);
}

static void start(const char *model, uint64_t seed, const char *const *more)
{
	const char *options[32] = {"--model", model, "--unit", "ld0,size=64M", "--unit", "ld1,size=64M",
		"--unit", "pd8,size=16M", "--boot-ms", "20"};
	unsigned n = 10;

	while (*more) {
		ck_assert_uint_lt(n, ARRAY_SIZE(options) - 1);
		options[n++] = *more++;
	}
	rig_start(seed, options);
}

void megaraid_start(const char *model, uint64_t seed, const char *const *more)
{
	start(model, seed, more);
	load_megaraid(load, model);
}

void virtio_start(uint64_t seed, const char *const *more)
{
	/* Limits are generous: a slow machine must not hit them. */
	static const struct vio_times times = {.reset = 10000, .polled = 30000, .health = 50};

	start("virtio", seed, more);
	load->match_data = &times;
}

void rig_teardown(void)
{
	load_free(load);
	emu_end_proc(&emu);
}

void take_attention(void)
{
	for (unsigned u = 0; u < load->h->n_units; u++) {
		/* TEST UNIT READY */
		struct hba_req t = {
			.unit = &load->h->unit[u], .kind = HBA_REQ_CDB, .cdb_len = 6, .timeout_ms = LIMIT_MS};

		ck_assert_int_eq(hba_run(load->h, &t), 0);
	}
}

enum hba_unit_state state_of(unsigned unit)
{
	return __atomic_load_n(&load->h->unit[unit].state, __ATOMIC_RELAXED);
}

static uint64_t resets_so_far(void)
{
	struct hba_stats s;

	hba_get_stats(load->h, &s);
	return s.resets;
}

void wait_for_resets(unsigned resets)
{
	wait_until(resets_so_far() >= resets && hba_state(load->h) == HBA_RUNNING);
}

void expect_recovery(unsigned resets)
{
	load_wait(load);
	ck_assert_uint_eq(load->bad_results, 0);
	ck_assert_uint_eq(load->gone, 0);
	ck_assert_uint_ge(resets_so_far(), resets);
	load_verify(load);
}

uint64_t random_io(uint64_t total, uint32_t jobs)
{
	uint64_t most;

	load_begin(load, total, jobs);
	load_wait(load);
	ck_assert_uint_eq(load->bad_results, 0);
	ck_assert_uint_eq(load->gone, 0);
	ck_assert_uint_eq(load->reads + load->writes + load->flushes, total);
	/* Before there are those that verify it. */
	most = emu_number(&emu, "status", "most_in_flight");
	load_verify(load);
	return most;
}

/* --- under load --- */

void answer_under_anothers_names(void)
{
	emu_do(&emu, "fault other-context on=write nth=50 count=3");
	load_begin(load, UINT64_MAX, 64);
	wait_for_resets(1);
	emu_do(&emu, "fault-clear");
	load_stop(load);
	ck_assert_uint_eq(load->bad_results, 0);
	ck_assert_uint_eq(load->gone, 0);
}

/* Endless: on a quiet machine a counted load may be over before the fault. */
static void begin_endless(void)
{
	load_begin(load, UINT64_MAX, 100);
	usleep(20000);
}

void disturb(const char *command, unsigned resets)
{
	begin_endless();
	emu_do(&emu, "%s", command);
	wait_for_resets(resets);
	load_stop(load);
}

void misbehave(const char *rule)
{
	load->timeout_ms = 3000;
	emu_do(&emu, "fault %s", rule);
	load_begin(load, 3000, 64);
	load_wait(load);
}

/* Strikes in the middle of the load. */
static unsigned cut(unsigned n)
{
	static const char *const survive[] = {"none", "random", "reorder", "prefix", "all"};
	struct rng lots = {n};

	load_begin(load, UINT64_MAX, 64);
	/* So many, and not so long: a slow machine would lose nothing. */
	load_progress(load, 100 + rng_below(&lots, 300));
	usleep((unsigned)rng_below(&lots, 3000));
	emu_do(&emu, "power-cut survive=%s seed=%u", survive[n % 5], n);
	load_stop(load);
	load_down(load);
	load_up(load);
	return load_verify_cut(load);
}

unsigned power_cuts(unsigned first, unsigned n)
{
	unsigned lost = 0;

	for (unsigned i = 0; i < n; i++)
		lost += cut(first + i);
	ck_assert_uint_eq(load->wrong_blocks, 0);
	ck_assert_uint_eq(load->bad_results, 0);
	return lost;
}

void cut_after_flushes(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		load_begin(load, 150, 48);
		load_wait(load);
		load_flush(load);
		emu_do(&emu, "power-cut survive=none seed=%u", i);
		load_down(load);
		load_up(load);
		ck_assert_uint_eq(load_verify_cut(load), 0);
	}
	ck_assert_uint_eq(load->bad_results, 0);
}

void vanish_and_come_back(unsigned way, unsigned times)
{
	static const char *const how[N_VANISHINGS] = {
		"gone ff", "gone socket", "fault gone on=write nth=300", "disconnect"};

	for (unsigned i = 0; i < times; i++) {
		begin_endless();
		emu_do(&emu, "%s", how[way]);
		wait_until(hba_state(load->h) > HBA_RESETTING);
		load_stop(load);
		load_down(load);
		emu_do(&emu, "back");
		load_up(load);
		load_verify_cut(load);
	}
	ck_assert_uint_eq(load->wrong_blocks, 0);
	ck_assert_uint_eq(load->bad_results, 0);
}

/* --- attach and detach --- */

void stop_in_order(void)
{
	load_begin(load, 1000, 48);
	load_wait(load);
	load_down(load);
	emu_do(&emu, "power-cut survive=none");
	load_up(load);
	ck_assert_uint_eq(load_verify_cut(load), 0);
}

void attach_again(unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		load_begin(load, 50, 16);
		load_wait(load);
		load_down(load);
		load_up(load);
	}
}

void attach_to_nobody(const char *command)
{
	struct err e = {""};

	load_down(load);
	emu_do(&emu, "%s", command);
	ck_assert_int_lt(load_attach(load, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.text, emu.dir));
	emu_do(&emu, "back");
	load_up(load);
}
