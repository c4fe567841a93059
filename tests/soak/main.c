/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The order of events, from the first to the verdict. */
#include "soak.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

enum { EXIT_USAGE = 2 };

static bool is_time_left(const struct soak *s)
{
	return clock_ns() - s->started_ns < s->opt.minutes * 60 * NS_PER_SEC;
}

/* What is left of the counts, in an order drawn by lot; then whatever comes. N_SOAK_KINDS: it is over. */
static enum soak_kind next_kind(struct soak *s)
{
	unsigned left[N_SOAK_KINDS], total = 0, lot;

	for (unsigned i = 0; i < N_SOAK_KINDS; i++) {
		left[i] = s->opt.count[i] - MIN(s->opt.count[i], s->done[i]);
		total += left[i];
	}
	if (!total && !is_time_left(s))
		return N_SOAK_KINDS;
	for (unsigned i = 0; i < N_SOAK_KINDS && !total; i++)
		left[i] = soak_events[i].weight;
	for (unsigned i = total = 0; i < N_SOAK_KINDS; i++)
		total += left[i];
	lot = (unsigned)rng_below(&s->rng, total);
	for (unsigned i = 0; i < N_SOAK_KINDS; i++) {
		if (lot < left[i])
			return (enum soak_kind)i;
		lot -= left[i];
	}
	return N_SOAK_KINDS;
}

static void run_events(struct soak *s)
{
	for (;;) {
		enum soak_kind kind;

		/* Each event has lots of its own: what one draws does not change the next ones. */
		s->rng.state = s->opt.seed ^ (uint64_t)(s->n_events + 1) << 32;
		s->rng.state = rng_next(&s->rng);
		kind = next_kind(s);
		if (kind == N_SOAK_KINDS || soak_wrongs())
			return;
		fprintf(stderr, "soak: event %u: %s\n", s->n_events, soak_events[kind].option);
		soak_events[kind].run(s);
		if (soak_wrongs())
			printf("... in event %u: %s\n", s->n_events, soak_events[kind].what);
		s->done[kind]++;
		s->n_events++;
		report_progress(s);
	}
}

/* All is there, and after an orderly stop it still is when the power goes. Nothing leaks when nothing happens. */
static void finish(struct soak *s)
{
	soak_halt(s);
	soak_verify(s, DISK_LIVE);
	soak_count_maps(s);
	for (unsigned i = 0; i < 2 && !soak_wrongs(); i++) {
		soak_down(s, SCSI_GATE_BECOMING_READY);
		soak_count_leaks(s);
		for (unsigned k = 0; k < s->n_luns; k++)
			disk_is_durable(&s->lun[k].disk);
		emulator_do(&s->emu, "power-cut survive=none");
		if (soak_up(s) == 0)
			soak_verify(s, DISK_CUT);
	}
}

static struct soak soak = {
	.opt = {.model = "sas3108",
		.seed = 1,
		.slow_ms = 30000,
		.limit_ms = 2000,
		.depth = 16,
		.lanes = 1,
		.emulator = HBA_EMU},
};

int main(int argc, char **argv)
{
	struct soak *s = &soak;

	if (options_parse(argc, argv, &s->opt) < 0)
		return EXIT_USAGE;
	if (findings_begin(s->opt.verbose) < 0)
		return EXIT_FAILURE;
	s->host.model = host_model_find(s->opt.model);
	s->host.sabotage = s->opt.sabotage;
	s->host.limit_ms = s->opt.limit_ms;
	s->started_ns = clock_ns();
	soak_set_up(s);
	if (!soak_wrongs())
		run_events(s);
	if (!soak_wrongs())
		finish(s);
	soak_tear_down(s);
	report(s, argc, argv);
	findings_end(s->opt.sabotage == SABOTAGE_NONE);
	printf("verdict: %s\n",
		soak_wrongs() ? "SOMETHING IS WRONG" : "nothing wrong, stale, lost or stuck; no leak");
	/* Threads may still run when something was wrong. */
	fflush(stdout);
	if (soak_wrongs())
		_Exit(EXIT_FAILURE);
	return EXIT_SUCCESS;
}
