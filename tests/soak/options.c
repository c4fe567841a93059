/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line. */
#include "soak.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_code {
	OPT_KIND = 256,
	OPT_MODEL = OPT_KIND + N_SOAK_KINDS,
	OPT_SEED,
	OPT_MINUTES,
	OPT_SLOW_MS,
	OPT_SLOW_PERCENT,
	OPT_LIMIT_MS,
	OPT_DEPTH,
	OPT_LANES,
	OPT_LD_SYNC,
	OPT_SABOTAGE,
	OPT_EMULATOR,
	OPT_VERBOSE,
	OPT_HELP
};

static const struct option common[] = {
	{"model", required_argument, NULL, OPT_MODEL},
	{"seed", required_argument, NULL, OPT_SEED},
	{"minutes", required_argument, NULL, OPT_MINUTES},
	{"slow-ms", required_argument, NULL, OPT_SLOW_MS},
	{"slow-percent", required_argument, NULL, OPT_SLOW_PERCENT},
	{"limit-ms", required_argument, NULL, OPT_LIMIT_MS},
	{"depth", required_argument, NULL, OPT_DEPTH},
	{"lanes", required_argument, NULL, OPT_LANES},
	{"ld-sync", required_argument, NULL, OPT_LD_SYNC},
	{"sabotage", required_argument, NULL, OPT_SABOTAGE},
	{"hba-emu", required_argument, NULL, OPT_EMULATOR},
	{"verbose", no_argument, NULL, OPT_VERBOSE},
	{"help", no_argument, NULL, OPT_HELP},
};

static void help(void)
{
	printf("Usage: soak [--model MODEL] [--seed N] [--minutes N] [--KIND N]... [OPTION]...\n\n"
	       "Runs hbad's layers on an emulated controller (hba-emu, another process) under verified load "
	       "on several LUNs,\nand makes trouble. Every block carries a generation, so wrong, stale and "
	       "lost "
	       "writes are noticed.\n\n"
	       "KIND, and how often it happens:\n");
	for (unsigned i = 0; i < N_SOAK_KINDS; i++)
		printf("  --%-12s N  %s: %s\n", soak_events[i].option, soak_events[i].what,
			soak_events[i].help);
	printf("\nWithout any KIND: all of them by lot, for the minutes (1). With both: the counts, and then "
	       "by lot until the\nminutes are over.\n\n"
	       "  --model MODEL      ");
	for (const struct host_model *m = host_models; m->name; m++)
		printf("%s%s", m == host_models ? "" : ", ", m->name);
	printf("\n"
	       "  --seed N           decides everything but how threads race (1)\n"
	       "  --slow-ms N        what a slow START STOP UNIT takes (30000; at most %u)\n"
	       "  --slow-percent N   it is wrong when the p99 latency of others grows by more than that "
	       "meanwhile; for a "
	       "machine\n"
	       "                     with nothing else to do, and for several --slow-starts, which take "
	       "turns with "
	       "as long a time\n"
	       "                     without (0: not judged)\n"
	       "  --limit-ms N       time limit of reads and writes in hbad, in place of 60 s (2000)\n"
	       "  --depth N          commands of each LUN at once (16, at most %u)\n"
	       "  --lanes N          I/O threads (1; at most %u): sas3108 and virtio can have several; "
	       "sabotage wants "
	       "one\n"
	       "  --ld-sync WHAT     what firmware makes of SYNCHRONIZE CACHE, as hba-emu has it (by lot): "
	       "controller, full;\n"
	       "                     MegaRAID: ignored, rejected\n"
	       "  --sabotage WHAT    breaks the product, to see that it is noticed:",
		SOAK_STUCK_MS / 2, INITIATOR_MOST, HBA_MAX_LANES);
	for (unsigned i = 1; i < N_SABOTAGES; i++)
		printf(" %s", host_sabotages[i]);
	printf("\n"
	       "  --hba-emu FILE     the emulator (%s)\n"
	       "  --verbose          what hbad and the emulator say, as they say it; else only when "
	       "something is "
	       "wrong\n"
	       "  --help\n\n"
	       "The last line is the verdict. Exit status: 0 nothing was wrong, stale or lost, and nothing "
	       "leaked; 1 something\nwas; 2 wrong usage.\n",
		HBA_EMU);
}

static int number(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || *ret > max) {
		fprintf(stderr, "soak: '%s' is not a number up to %" PRIu64 "\n", text, max);
		return -EINVAL;
	}
	return 0;
}

static int small_number(const char *text, unsigned *ret)
{
	uint64_t n;
	int r = number(text, 1000000, &n);

	*ret = (unsigned)n;
	return r;
}

static int take_sabotage(struct soak_options *o, const char *name)
{
	for (unsigned i = 1; i < N_SABOTAGES; i++)
		if (strcmp(name, host_sabotages[i]) == 0) {
			o->sabotage = (enum host_sabotage)i;
			return 0;
		}
	fprintf(stderr, "soak: --sabotage %s: see --help\n", name);
	return -EINVAL;
}

static int take_option(struct soak_options *o, int code)
{
	if (code >= OPT_KIND && code < OPT_KIND + N_SOAK_KINDS)
		return small_number(optarg, &o->count[code - OPT_KIND]);
	switch (code) {
	case OPT_MODEL:
		o->model = optarg;
		return 0;
	case OPT_SEED:
		return number(optarg, UINT64_MAX, &o->seed);
	case OPT_MINUTES:
		return small_number(optarg, &o->minutes);
	case OPT_SLOW_MS:
		return small_number(optarg, &o->slow_ms);
	case OPT_SLOW_PERCENT:
		return small_number(optarg, &o->slow_percent);
	case OPT_LIMIT_MS:
		return small_number(optarg, &o->limit_ms);
	case OPT_DEPTH:
		return small_number(optarg, &o->depth);
	case OPT_LANES:
		return small_number(optarg, &o->lanes);
	case OPT_LD_SYNC:
		o->ld_sync = optarg;
		return 0;
	case OPT_SABOTAGE:
		return take_sabotage(o, optarg);
	case OPT_EMULATOR:
		o->emulator = optarg;
		return 0;
	case OPT_VERBOSE:
		o->verbose = true;
		return 0;
	case OPT_HELP:
		help();
		exit(0);
	}
	return -EINVAL;
}

static bool lanes_fit(const struct soak_options *o)
{
	return o->lanes == 1 ||
	       (o->lanes && o->lanes <= HBA_MAX_LANES &&
		       (strcmp(o->model, "sas3108") == 0 || strcmp(o->model, "virtio") == 0) && !o->sabotage);
}

static bool sync_fits(const struct soak_options *o, const struct host_model *m)
{
	for (unsigned i = 0; o->ld_sync && m->ld_sync[i]; i++)
		if (strcmp(m->ld_sync[i], o->ld_sync) == 0)
			return true;
	return !o->ld_sync;
}

int options_parse(int argc, char **argv, struct soak_options *o)
{
	struct option all[N_SOAK_KINDS + ARRAY_SIZE(common) + 1] = {0};
	const struct host_model *m;
	unsigned total = 0;
	int code;

	for (unsigned i = 0; i < N_SOAK_KINDS; i++)
		all[i] = (struct option){soak_events[i].option, required_argument, NULL, OPT_KIND + (int)i};
	memcpy(all + N_SOAK_KINDS, common, sizeof(common));
	while ((code = getopt_long(argc, argv, "", all, NULL)) >= 0)
		if (take_option(o, code) < 0)
			return -EINVAL;
	m = host_model_find(o->model);
	if (optind < argc || !m || !sync_fits(o, m) || !o->depth || !o->limit_ms ||
		o->slow_ms > SOAK_STUCK_MS / 2 || !lanes_fit(o)) {
		fprintf(stderr, "soak: see --help\n");
		return -EINVAL;
	}
	for (unsigned i = 0; i < N_SOAK_KINDS; i++)
		total += o->count[i];
	if (!total && !o->minutes)
		o->minutes = 1;
	return 0;
}
