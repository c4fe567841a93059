/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How far it has come, and what it did. */
#include "soak.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define PROGRESS_NS (10 * NS_PER_SEC)

static void sum_up(struct soak *s, struct initiator_counts *ret, struct latency *latency)
{
	memset(ret, 0, sizeof(*ret));
	for (unsigned i = 0; i < s->n_luns; i++) {
		struct latency one[N_PHASES];
		struct initiator_counts n;

		initiator_look(&s->lun[i], &n, one);
		ret->answers += n.answers;
		ret->reads += n.reads;
		ret->writes += n.writes;
		ret->flushes += n.flushes;
		ret->fua_writes += n.fua_writes;
		ret->starts += n.starts;
		ret->bytes += n.bytes;
		ret->retries += n.retries;
		ret->tolerated += n.tolerated;
		ret->told += n.told;
		ret->besides += n.besides;
		ret->aborted += n.aborted;
		ret->aborted_good += n.aborted_good;
		ret->tmfs += n.tmfs;
		ret->tmfs_unknown += n.tmfs_unknown;
		ret->longest_tmf_ns = MAX(ret->longest_tmf_ns, n.longest_tmf_ns);
		if (n.longest_ns > ret->longest_ns) {
			ret->longest_ns = n.longest_ns;
			ret->longest_opcode = n.longest_opcode;
		}
		for (unsigned p = 0; latency && p < N_PHASES; p++)
			latency_add(&latency[p], &one[p]);
	}
}

static unsigned seconds(const struct soak *s)
{
	return (unsigned)((clock_ns() - s->started_ns) / NS_PER_SEC);
}

void report_progress(struct soak *s)
{
	static uint64_t last_ns;
	struct initiator_counts n;

	if (clock_ns() - last_ns < PROGRESS_NS)
		return;
	last_ns = clock_ns();
	sum_up(s, &n, NULL);
	printf("%5u s: %u events (", seconds(s), s->n_events);
	for (unsigned i = 0, first = 1; i < N_SOAK_KINDS; i++) {
		if (!s->done[i])
			continue;
		printf("%s%s %u", first ? "" : ", ", soak_events[i].option, s->done[i]);
		first = 0;
	}
	printf("), %" PRIu64 " commands\n", n.answers);
	fflush(stdout);
}

static void report_latency(const struct latency *l)
{
	if (!l[PHASE_BESIDE_SLOW].n || !l[PHASE_BEFORE_SLOW].n)
		return;
	for (unsigned p = PHASE_BEFORE_SLOW; p <= PHASE_BESIDE_SLOW; p++)
		printf("neighbours %s a slow START: %" PRIu64 " commands, median %.2f ms, p99 %.2f ms\n",
			p == PHASE_BESIDE_SLOW ? "beside" : "before", l[p].n,
			(double)latency_at(&l[p], 0.5) / 1e6, (double)latency_at(&l[p], 0.99) / 1e6);
}

/* Only slower is worse. Those that stand still altogether have few commands, and so hardly any that took long. */
static void judge_latency(const struct soak *s, const struct latency *l)
{
	const struct latency *before = &l[PHASE_BEFORE_SLOW], *beside = &l[PHASE_BESIDE_SLOW];
	double more;

	if (!s->opt.slow_percent || soak_wrongs())
		return;
	if (!before->n || beside->n < before->n / 2) {
		soak_wrong("SLOW: %" PRIu64 " commands of neighbours before a START of one unit, %" PRIu64
			   " beside it",
			before->n, beside->n);
		return;
	}
	more = (double)latency_at(beside, 0.99) * 100 / (double)latency_at(before, 0.99) - 100;
	printf("p99 of neighbours beside a slow START: %+.1f %% (limit %u %%)\n", more, s->opt.slow_percent);
	if (more > s->opt.slow_percent)
		soak_wrong("SLOW: a START of one unit makes its neighbours slower");
}

/* An abort and a LUN RESET are races: of many some have to meet a command, and some to come too late. */
static void judge_tmfs(const struct soak *s, const struct initiator_counts *n)
{
	if (s->done[SOAK_ABORT] + s->done[SOAK_LUN_RESET] >= 10 && (!n->aborted || !n->aborted_good))
		soak_wrong("NOTHING SHOWN: task management has raced with no command");
}

void report(struct soak *s, int argc, char **argv)
{
	static struct latency latency[N_PHASES];
	struct initiator_counts n;

	sum_up(s, &n, latency);
	printf("--- report: model %s, seed %" PRIu64 ", %u s ---\n", s->opt.model, s->opt.seed, seconds(s));
	for (unsigned i = 0; i < N_SOAK_KINDS; i++)
		if (s->done[i])
			printf("%s: %u\n", soak_events[i].what, s->done[i]);
	printf("commands: %" PRIu64 " answered; GOOD: %" PRIu64 " reads, %" PRIu64 " writes (%" PRIu64
	       " FUA), %" PRIu64 " flushes, %" PRIu64 " starts; %" PRIu64 " MiB\n",
		n.answers, n.reads, n.writes, n.fua_writes, n.flushes, n.starts, n.bytes >> 20);
	printf("initiators: %" PRIu64 " retries, %" PRIu64
	       " errors while the controller or unit was away; unflushed blocks that "
	       "power cuts took: %" PRIu64 "; flushes that told of it: %" PRIu64
	       ", GOOD ones beside them: %" PRIu64 "\n",
		n.retries, n.tolerated, s->lost_unflushed, n.told, n.besides);
	printf("task management functions: %" PRIu64 " (%" PRIu64
	       " too late for all they named); commands: %" PRIu64 " aborted, %" PRIu64
	       " GOOD all the same; longest %.2f s\n",
		n.tmfs, n.tmfs_unknown, n.aborted, n.aborted_good, (double)n.longest_tmf_ns / 1e9);
	printf("hbad: %" PRIu64 " requests, %" PRIu64 " timeouts, %" PRIu64 " aborts, %" PRIu64
	       " resets, %" PRIu64 " re-issued, %" PRIu64 " interrupts; attached %" PRIu64 " times\n",
		s->sum.requests, s->sum.timeouts, s->sum.aborts, s->sum.resets, s->sum.reissues,
		s->sum.interrupts, s->restarts);
	printf("longest command: %.2f s (CDB %02x)\n", (double)n.longest_ns / 1e9, n.longest_opcode);
	report_latency(latency);
	judge_latency(s, latency);
	judge_tmfs(s, &n);
	printf("again:");
	for (int i = 0; i < argc; i++)
		printf(" %s", argv[i]);
	printf("\n");
}
