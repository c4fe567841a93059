/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The trouble that there is, one function each. To add one: a line in soak_events[], and a kind in soak.h. */
#include "soak.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

static unsigned lots(struct soak *s, unsigned below)
{
	return (unsigned)rng_below(&s->rng, below);
}

static struct initiator *any_lun(struct soak *s)
{
	return &s->lun[lots(s, s->n_luns)];
}

static uint64_t resets(struct soak *s)
{
	struct hba_stats stats;

	hba_get_stats(s->host.h, &stats);
	return stats.resets;
}

static bool have_carried_out(struct soak *s, uint64_t arg)
{
	for (unsigned i = 0; i < s->n_luns; i++)
		if (initiator_ordered(&s->lun[i]))
			return false;
	return true;
}

static bool is_gone(struct soak *s, uint64_t arg)
{
	return hba_state(s->host.h) > HBA_RESETTING;
}

/* --- power cuts --- */

static uint64_t lost(const struct soak *s)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < s->n_luns; i++)
		n += s->lun[i].disk.lost;
	return n;
}

/* Nothing is in flight. */
static void expect_all_durable(struct soak *s)
{
	for (unsigned i = 0; i < s->n_luns; i++)
		disk_is_durable(&s->lun[i].disk);
}

static void power_cut(struct soak *s, const char *survive)
{
	emulator_do(&s->emu, "power-cut survive=%s seed=%u", survive, lots(s, UINT32_MAX));
}

static void cut_quiet(struct soak *s, bool orderly)
{
	soak_halt(s);
	if (orderly)
		soak_down(s, SCSI_GATE_BECOMING_READY);
	else
		soak_flush(s);
	expect_all_durable(s);
	power_cut(s, "none");
	if (!orderly)
		soak_down(s, SCSI_GATE_GONE);
}

/* It strikes in the middle of the load, and now and then in the middle of other trouble. */
static void cut_busy(struct soak *s)
{
	static const char *const survive[] = {"none", "random", "reorder", "prefix", "all"};

	switch (lots(s, 6)) {
	case 0:
		emulator_do(&s->emu, "fw-fault 77");
		break;
	case 1:
		initiator_tmf(any_lun(s), TMF_LUN_RESET, 1);
		break;
	case 2:
		emulator_do(&s->emu, "fault delay=20 on=write count=10");
		break;
	}
	soak_tolerate(s, true);
	soak_shady(s, true);
	power_cut(s, survive[lots(s, ARRAY_SIZE(survive))]);
	soak_stop_sending(s);
	soak_wait(s, is_gone, 0, "that the device is missed");
	soak_errors(s);
	soak_down(s, SCSI_GATE_GONE);
	emulator_do(&s->emu, "fault-clear");
}

static void run_cut(struct soak *s)
{
	unsigned kind = lots(s, 8);
	uint64_t before = lost(s);

	for (unsigned i = 0; i < s->n_luns && kind == 2; i++)
		initiator_flush_rate(&s->lun[i], 0);
	soak_load(s);
	soak_progress(s, 10 + lots(s, 60));
	if (kind < 2)
		cut_quiet(s, kind == 1);
	else
		cut_busy(s);
	soak_count_leaks(s);
	if (soak_wrongs() || soak_return(s) < 0)
		return;
	soak_halt(s);
	soak_tolerate(s, false);
	soak_shady(s, false);
	soak_verify(s, DISK_CUT);
	s->lost_unflushed += lost(s) - before;
	for (unsigned i = 0; i < s->n_luns; i++)
		initiator_flush_rate(&s->lun[i], 100);
	soak_count_maps(s);
}

/* --- resets --- */

static void run_reset(struct soak *s)
{
	/* One after the other: the order in which arguments are evaluated is the compiler's. */
	unsigned code = 1 + lots(s, 0xfff), nth = 1 + lots(s, 50);
	uint64_t before = resets(s);
	bool again;

	soak_load(s);
	soak_progress(s, 5 + lots(s, 40));
	switch (lots(s, s->host.model->is_ame ? 5 : 3)) {
	case 0:
		emulator_do(&s->emu, "fault fw-fault=%x on=write nth=%u", code, nth);
		break;
	case 1:
	case 2:
		emulator_do(&s->emu, "fw-fault %x", code);
		break;
	case 3:
		emulator_do(&s->emu, "power-cut survive=all keep-client");
		break;
	case 4:
		emulator_do(&s->emu, "notice 4");
		break;
	}
	again = lots(s, 5) == 0;
	if (lots(s, 4) == 0)
		initiator_tmf(any_lun(s), TMF_LUN_RESET, 1);
	if (again) {
		clock_sleep_ms(lots(s, 30));
		emulator_do(&s->emu, "fw-fault %x", 1 + lots(s, 0xfff));
	}
	soak_wait(s, soak_is_running, before + 1, "a controller reset's end");
	soak_progress(s, 20);
	soak_wait(s, have_carried_out, 0, "the end of a task management function");
}

/* --- task management --- */

static void make_slow(struct soak *s)
{
	const char *unit = s->host.model->unit[lots(s, s->n_luns)];
	unsigned ms = 1 + lots(s, 40), count = 1 + lots(s, 40);

	switch (lots(s, 8)) {
	case 0:
	case 1:
		emulator_do(&s->emu, "fault delay=%u on=read+write count=%u", ms, count);
		break;
	case 2:
		emulator_do(&s->emu, "fault drop on=read+write unit=%s", unit);
		break;
	}
}

static void task_management(struct soak *s, uint8_t type)
{
	soak_load(s);
	soak_progress(s, 1 + lots(s, 10));
	make_slow(s);
	if (lots(s, 2)) {
		for (unsigned i = 0; i < s->n_luns; i++)
			initiator_tmf(&s->lun[i], type, 1 + lots(s, 8));
	} else {
		initiator_tmf(any_lun(s), type, 1 + lots(s, 8));
	}
	soak_wait(s, have_carried_out, 0, "the end of a task management function");
	soak_progress(s, 3);
	emulator_do(&s->emu, "fault-clear");
}

static void run_abort(struct soak *s)
{
	task_management(s, TMF_ABORT_TASK);
}

static void run_lun_reset(struct soak *s)
{
	task_management(s, TMF_LUN_RESET);
}

/*
 * --- faults of firmware ---
 *
 * Not among them, because nobody can tell it from truth: an answer under the name of another command, and DMA of a
 * command that was answered already.
 */

static bool have_struck(struct soak *s, uint64_t faults)
{
	return emulator_number(&s->emu, "stats", "faults") >= faults;
}

static void run_fault(struct soak *s)
{
	static const char *const rules[] = {
		"drop on=read nth=%u",
		"drop on=write nth=%u",
		"drop on=flush nth=1",
		"delay=30 on=read+write one-in=5 count=%u",
		"wrong-context on=write nth=%u",
		"wrong-context on=read nth=%u",
		"twice on=read nth=%u",
		"twice on=write nth=%u",
		"sense=6/2900 on=read+write one-in=7 count=%u",
		"sense=b/4b00 on=read+write one-in=7 count=%u",
		"delay=100 on=flush count=3",
	};
	uint64_t before = emulator_number(&s->emu, "stats", "faults");
	const char *format = rules[lots(s, ARRAY_SIZE(rules))];
	unsigned n = 1 + lots(s, 60);
	char rule[96];

	/* One of the literals above. */
	snprintf(rule, sizeof(rule), format, n);
	soak_load(s);
	emulator_do(&s->emu, "fault %s", rule);
	initiator_flush(any_lun(s));
	soak_wait(s, have_struck, before + 1, "the fault's turn");
	soak_progress(s, 30);
	soak_halt(s);
	emulator_do(&s->emu, "fault-clear");
	soak_verify(s, DISK_LIVE);
}

static bool have_lost(struct soak *s, uint64_t irqs)
{
	return emulator_number(&s->emu, "stats", "lost_irqs") >= irqs;
}

static void run_lost_irq(struct soak *s)
{
	uint64_t before = emulator_number(&s->emu, "stats", "lost_irqs");
	unsigned n = 1 + lots(s, 20);

	soak_load(s);
	soak_progress(s, 3);
	emulator_do(&s->emu, "lose-irqs %u", n);
	soak_wait(s, have_lost, before + n, "the loss of interrupts");
	soak_progress(s, 20);
}

/* --- long commands --- */

static void set_phase(struct soak *s, enum initiator_phase phase)
{
	for (unsigned i = 0; i + 1 < s->n_luns; i++)
		initiator_phase(&s->lun[i], phase);
}

static bool is_over(struct soak *s, uint64_t ns)
{
	return clock_ns() >= ns;
}

static void run_slow(struct soak *s)
{
	const char *unit = s->host.model->unit[s->n_luns - 1];

	soak_load(s);
	soak_progress(s, 20);
	set_phase(s, PHASE_BEFORE_SLOW);
	/* In the same way as below: looking costs time, too. */
	soak_wait(s, is_over, clock_ns() + s->opt.slow_ms * NS_PER_MS, "the end of a while");
	set_phase(s, PHASE_OTHER);
	emulator_do(&s->emu, "set %s start-ms %u", unit, s->opt.slow_ms);
	set_phase(s, PHASE_BESIDE_SLOW);
	initiator_unit_start(&s->lun[s->n_luns - 1]);
	soak_wait(s, have_carried_out, 0, "the end of START STOP UNIT");
	set_phase(s, PHASE_OTHER);
	emulator_do(&s->emu, "set %s start-ms 0", unit);
}

/* --- events --- */

static bool is_optimal(struct soak *s, uint64_t unit)
{
	return __atomic_load_n(&s->host.h->unit[unit].state, __ATOMIC_RELAXED) == HBA_UNIT_OPTIMAL;
}

static bool is_missed(struct soak *s, uint64_t unit)
{
	return !is_optimal(s, unit);
}

static void unit_goes_and_comes(struct soak *s)
{
	/* The last one is a drive of its own, of which firmware may say nothing. */
	unsigned unit = lots(s, s->n_luns - 1);

	initiator_tolerate(&s->lun[unit], true);
	emulator_do(&s->emu, "offline %s", s->host.model->unit[unit]);
	/* Boxes tell of it by a notice, if at all. */
	if (!s->host.model->is_ame)
		soak_wait(s, is_missed, unit, "that the unit is missed");
	soak_progress(s, 5);
	emulator_do(&s->emu, "online %s", s->host.model->unit[unit]);
	soak_wait(s, is_optimal, unit, "the unit's return");
	/* Nothing that was sent while it was away is under way any more. */
	soak_halt(s);
	initiator_tolerate(&s->lun[unit], false);
	soak_load(s);
}

static void run_storm(struct soak *s)
{
	bool notice = s->host.model->notices && lots(s, 2);

	soak_load(s);
	if (!notice || lots(s, 2))
		emulator_do(&s->emu, "aen-storm %u", 1 + lots(s, 1000));
	if (notice) {
		emulator_do(&s->emu, "notice 8");
		clock_sleep_ms(lots(s, 20));
		emulator_do(&s->emu, "notice 10");
	}
	if (lots(s, 4) == 0 && !s->host.model->outages)
		unit_goes_and_comes(s);
	soak_progress(s, 20);
}

/* --- presence --- */

/* What a LUN was told before the device vanished must be there when it returns: its power was not cut. */
static void run_removal(struct soak *s)
{
	static const char *const how[] = {
		"gone ff", "gone socket", "fault gone on=write nth=20", "disconnect", "unplug-request"};

	soak_load(s);
	soak_progress(s, 5 + lots(s, 30));
	if (lots(s, 5) == 0)
		emulator_do(&s->emu, "fw-fault 55");
	/* Where commands wait for the return, nobody sees more than a pause. */
	for (unsigned i = 0; i < s->n_luns; i++)
		initiator_tolerate(&s->lun[i], !s->lun[i].held);
	emulator_do(&s->emu, "%s", how[lots(s, ARRAY_SIZE(how))]);
	soak_wait(s, is_gone, 0, "that the device is missed");
	soak_down(s, SCSI_GATE_GONE);
	emulator_do(&s->emu, "fault-clear");
	emulator_do(&s->emu, "back");
	if (soak_wrongs() || soak_return(s) < 0)
		return;
	soak_halt(s);
	soak_tolerate(s, false);
	soak_verify(s, DISK_LIVE);
	soak_count_maps(s);
}

/* --- rings --- */

static void run_handover(struct soak *s)
{
	soak_load(s);
	soak_progress(s, 1 + lots(s, 20));
	make_slow(s);
	soak_hand_over(s, any_lun(s), lots(s, 2));
	soak_progress(s, 3);
	emulator_do(&s->emu, "fault-clear");
}

const struct soak_event soak_events[N_SOAK_KINDS] = {
	[SOAK_CUT] = {"power-cuts", "power cuts", 20, run_cut,
		"the power goes, with caches that forget; then all is read"},
	[SOAK_RESET] = {"resets", "controller resets by fault", 10, run_reset, "firmware faults"},
	[SOAK_ABORT] = {"aborts", "ABORT TASKs", 20, run_abort, "racing with completions"},
	[SOAK_LUN_RESET] = {"lun-resets", "LUN RESETs", 20, run_lun_reset, "racing with completions"},
	[SOAK_FAULT] = {"faults", "faults of firmware", 10, run_fault,
		"replies dropped, delayed, doubled, under wrong names; sense"},
	[SOAK_LOST_IRQ] = {"lost-irqs", "lost interrupts", 10, run_lost_irq, "some in a row"},
	[SOAK_SLOW] = {"slow-starts", "slow START STOP UNITs", 1, run_slow, "beside neighbours under load"},
	[SOAK_STORM] = {"storms", "event storms", 10, run_storm,
		"controller events, notices, units that go and come"},
	[SOAK_REMOVAL] = {"removals", "removals and returns", 10, run_removal,
		"the device vanishes under load"},
	[SOAK_HANDOVER] = {"handovers", "rings that change hands", 10, run_handover, "drained, or by force"},
};
