/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hba-emu: command line, signals, and the verdict at the end. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "emu.h"
#include "replay.h"

enum { EXIT_USAGE = 2, EXIT_WRONG = 3 };

static const char usage[] =
	"Usage: hba-emu --socket PATH [OPTION]...\n"
	"\n"
	"Serves an emulated host bus adapter over the vfio-user protocol: to hbad (vfio-user:PATH), and to "
	"QEMU 10.1 and\n"
	"later (-device vfio-user-pci).\n"
	"\n"
	"  -s, --socket PATH      where it is served\n"
	"  -c, --control PATH     a socket for commands: lines in, one line of JSON for each out\n"
	"  -m, --model NAME       sas2108 (the default): SAS 9260-8i, MFI; sas3108: SAS 9361-8i, Fusion;\n"
	"                         ame-6262, ame-626f: Accusys RAID boxes; virtio: virtio 1.x SCSI host\n"
	"  -u, --unit SPEC        ldN or pdN, then ,size=N[KMGT] (1G) ,block=512|4096 ,file=PATH (else RAM) "
	",wt=1\n"
	"                         (write-through) ,serial=TEXT ,naa=0xHEX; may be repeated; without any: two "
	"LDs "
	"of 1 GiB\n"
	"      --replay FILE      the device of a capture (hbad --capture), in place of a model: answers as "
	"it did\n"
	"      --partial          also when the capture was cut off\n"
	"      --dump FILE        print a capture and leave\n"
	"      --capture FILE     write one: what the driver does to the model (64M at most)\n"
	"  -f, --fault RULE       what goes wrong, see below; may be repeated\n"
	"  -S, --script FILE      lines 'at MILLISECONDS COMMAND' or 'after N COMMAND' (N controller "
	"commands)\n"
	"      --seed N           of everything that is left to chance (1)\n"
	"      --speed N          emulated time runs so many times faster than real time (1)\n"
	"      --boot-ms N        firmware start-up (2000)\n"
	"      --latency-us N     a command takes 0 to twice this (100)\n"
	"      --reset-ms N       a reset of the function by the client takes this long (0)\n"
	"      --max-cmds N       commands that firmware offers (1008)\n"
	"      --max-sge N        segments per command (80)\n"
	"      --max-strips N     strips of 8 KiB per command (42)\n"
	"      --vectors N        reply queues of sas3108 (16)\n"
	"      --queues N         request queues of virtio (4)\n"
	"      --start-ms N       START STOP UNIT takes this long (0)\n"
	"      --ld-sync WHAT     what SYNCHRONIZE CACHE to an LD does: controller (default; its cache goes "
	"to the\n"
	"                         drives), ignored, full (down to the media), rejected\n"
	"      --ld-sync-ignored  the same as --ld-sync ignored\n"
	"      --ld-fua           FUA writes of LDs reach the media; else FUA means nothing there\n"
	"      --battery          the controller's cache survives a power cut\n"
	"      --drive-cache SIZE, --controller-cache SIZE   of each unit (64M, 256M)\n"
	"      --forget-keeps     ame: commands that are forgotten or given up are answered all the same\n"
	"      --narrow           DMA above 4 GiB is wrong\n"
	"      --strict           the exit status tells of protocol errors of the driver too\n"
	"  -v, --verbose\n"
	"  -h, --help\n"
	"      --version\n"
	"\n"
	"Commands of the control socket and of scripts:\n";
static const char usage_end[] =
	"\n"
	"Exit status: 0; 1 trouble at start; 2 wrong usage; 3 when there was wrong DMA (outside of the "
	"memory that the\n"
	"client mapped, or above the address limit), or with --strict a protocol error.\n";

enum opt {
	OPT_SEED = 256,
	OPT_SPEED,
	OPT_BOOT,
	OPT_LATENCY,
	OPT_RESET,
	OPT_CMDS,
	OPT_SGE,
	OPT_STRIPS,
	OPT_VECTORS,
	OPT_QUEUES,
	OPT_START,
	OPT_LD_SYNC,
	OPT_LD_SYNC_IGNORED,
	OPT_LD_FUA,
	OPT_BATTERY,
	OPT_DRIVE_CACHE,
	OPT_CTRL_CACHE,
	OPT_FORGET_KEEPS,
	OPT_NARROW,
	OPT_STRICT,
	OPT_REPLAY,
	OPT_PARTIAL,
	OPT_DUMP,
	OPT_CAPTURE,
	OPT_VERSION,
};

static const struct option options[] = {
	{"socket", required_argument, NULL, 's'},
	{"control", required_argument, NULL, 'c'},
	{"model", required_argument, NULL, 'm'},
	{"unit", required_argument, NULL, 'u'},
	{"fault", required_argument, NULL, 'f'},
	{"script", required_argument, NULL, 'S'},
	{"seed", required_argument, NULL, OPT_SEED},
	{"speed", required_argument, NULL, OPT_SPEED},
	{"boot-ms", required_argument, NULL, OPT_BOOT},
	{"latency-us", required_argument, NULL, OPT_LATENCY},
	{"reset-ms", required_argument, NULL, OPT_RESET},
	{"max-cmds", required_argument, NULL, OPT_CMDS},
	{"max-sge", required_argument, NULL, OPT_SGE},
	{"max-strips", required_argument, NULL, OPT_STRIPS},
	{"vectors", required_argument, NULL, OPT_VECTORS},
	{"queues", required_argument, NULL, OPT_QUEUES},
	{"start-ms", required_argument, NULL, OPT_START},
	{"ld-sync", required_argument, NULL, OPT_LD_SYNC},
	{"ld-sync-ignored", no_argument, NULL, OPT_LD_SYNC_IGNORED},
	{"ld-fua", no_argument, NULL, OPT_LD_FUA},
	{"battery", no_argument, NULL, OPT_BATTERY},
	{"drive-cache", required_argument, NULL, OPT_DRIVE_CACHE},
	{"controller-cache", required_argument, NULL, OPT_CTRL_CACHE},
	{"forget-keeps", no_argument, NULL, OPT_FORGET_KEEPS},
	{"narrow", no_argument, NULL, OPT_NARROW},
	{"strict", no_argument, NULL, OPT_STRICT},
	{"replay", required_argument, NULL, OPT_REPLAY},
	{"partial", no_argument, NULL, OPT_PARTIAL},
	{"dump", required_argument, NULL, OPT_DUMP},
	{"capture", required_argument, NULL, OPT_CAPTURE},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{0},
};

#define MAX_LIST 64
struct args {
	struct emu_config cfg;
	const char *unit[MAX_LIST], *fault[MAX_LIST];
	unsigned n_units, n_faults;
	const char *replay, *dump;
	bool partial;
	bool strict, done; /* done: help was given */
};

static int bad(const char *what, const char *value)
{
	fprintf(stderr, "hba-emu: %s '%s'\nTry 'hba-emu --help'.\n", what, value);
	return EXIT_USAGE;
}

static int set_number(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	if (size_parse(text, ret) < 0 || *ret < min || *ret > max) {
		fprintf(stderr, "hba-emu: --%s takes a number from %" PRIu64 " to %" PRIu64 ", not '%s'\n",
			name, min, max, text);
		return EXIT_USAGE;
	}
	return 0;
}

static int set_model(struct args *a, const char *name)
{
	for (unsigned i = 0; models[i]; i++)
		if (strcmp(models[i]->name, name) == 0) {
			a->cfg.model = models[i];
			return 0;
		}
	return bad("no such model:", name);
}

static int set_ld_sync(struct args *a, const char *name)
{
	for (unsigned i = 0; i < N_LD_SYNC; i++)
		if (strcmp(ld_sync_names[i], name) == 0) {
			a->cfg.units.ld_sync = (enum ld_sync)i;
			return 0;
		}
	return bad("--ld-sync is controller, ignored, full or rejected, not", name);
}

static int add_to(const char **list, unsigned *n, const char *value)
{
	if (*n == MAX_LIST)
		return bad("too many of these:", value);
	list[(*n)++] = value;
	return 0;
}

/* Options that are a number. -1: not one of them. */
static int take_number(struct args *a, int opt)
{
	struct emu_config *c = &a->cfg;
	const struct {
		int opt;
		const char *name;
		uint64_t min, max;
		uint32_t *u32;
		uint64_t *u64;
	} all[] = {
		{OPT_SEED, "seed", 0, UINT64_MAX, NULL, &c->seed},
		{OPT_SPEED, "speed", 1, 100000, &c->speed, NULL},
		{OPT_BOOT, "boot-ms", 0, 3600000, &c->opt.boot_ms, NULL},
		{OPT_LATENCY, "latency-us", 0, 1000000, &c->opt.latency_us, NULL},
		{OPT_RESET, "reset-ms", 0, 3600000, &c->opt.reset_ms, NULL},
		{OPT_CMDS, "max-cmds", 16, 2040, &c->opt.max_cmds, NULL},
		{OPT_SGE, "max-sge", 1, 255, &c->opt.max_sge, NULL},
		{OPT_STRIPS, "max-strips", 1, 65535, &c->opt.max_strips, NULL},
		{OPT_VECTORS, "vectors", 1, 16, &c->opt.vectors, NULL},
		{OPT_QUEUES, "queues", 1, 16, &c->opt.queues, NULL},
		{OPT_START, "start-ms", 0, 3600000, &c->units.start_ms, NULL},
		{OPT_DRIVE_CACHE, "drive-cache", 0, UINT64_C(1) << 40, NULL, &c->units.drive_cache_bytes},
		{OPT_CTRL_CACHE, "controller-cache", 0, UINT64_C(1) << 40, NULL, &c->units.ctrl_cache_bytes},
	};
	uint64_t v;

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		if (all[i].opt != opt)
			continue;
		if (set_number(all[i].name, optarg, all[i].min, all[i].max, &v))
			return EXIT_USAGE;
		if (all[i].u32)
			*all[i].u32 = (uint32_t)v;
		else
			*all[i].u64 = v;
		return 0;
	}
	return -1;
}

static int take_text(struct args *a, int opt)
{
	switch (opt) {
	case 's':
		a->cfg.socket = optarg;
		return 0;
	case 'c':
		a->cfg.control = optarg;
		return 0;
	case 'S':
		a->cfg.script = optarg;
		return 0;
	case 'm':
		return set_model(a, optarg);
	case 'u':
		return add_to(a->unit, &a->n_units, optarg);
	case 'f':
		return add_to(a->fault, &a->n_faults, optarg);
	case OPT_LD_SYNC:
		return set_ld_sync(a, optarg);
	case OPT_REPLAY:
		a->replay = optarg;
		return 0;
	case OPT_DUMP:
		a->dump = optarg;
		return 0;
	case OPT_CAPTURE:
		a->cfg.capture = optarg;
		return 0;
	}
	return EXIT_USAGE;
}

static void help(void)
{
	printf("%s", usage);
	printf("%s\n\nRULE: %s\n%s", emu_commands_help, faults_help, usage_end);
}

static int take(struct args *a, int opt)
{
	int r = take_number(a, opt);

	if (r >= 0)
		return r;
	switch (opt) {
	case OPT_LD_SYNC_IGNORED:
		a->cfg.units.ld_sync = LD_SYNC_IGNORED;
		return 0;
	case OPT_LD_FUA:
		a->cfg.units.ld_fua = true;
		return 0;
	case OPT_BATTERY:
		a->cfg.units.battery = true;
		return 0;
	case OPT_FORGET_KEEPS:
		a->cfg.opt.forget_keeps = true;
		return 0;
	case OPT_NARROW:
		a->cfg.opt.narrow = true;
		return 0;
	case OPT_STRICT:
		a->strict = true;
		return 0;
	case OPT_PARTIAL:
		a->partial = true;
		return 0;
	case 'v':
		log_set_level(LOG_LV_DEBUG);
		return 0;
	case 'h':
		help();
		a->done = true;
		return 0;
	case OPT_VERSION:
		puts("hba-emu " HBAD_VERSION);
		a->done = true;
		return 0;
	case '?':
		fputs("Try 'hba-emu --help'.\n", stderr);
		return EXIT_USAGE;
	}
	return take_text(a, opt);
}

static int parse(struct args *a, int argc, char **argv)
{
	int opt, r = 0;

	emu_config_init(&a->cfg);
	while (r == 0 && !a->done && (opt = getopt_long(argc, argv, "s:c:m:u:f:S:vh", options, NULL)) != -1)
		r = take(a, opt);
	if (r || a->done)
		return r;
	if (optind < argc)
		return bad("one argument too many:", argv[optind]);
	if (a->cfg.socket || a->dump)
		return 0;
	fputs("hba-emu: where is it to be served? --socket is missing\nTry 'hba-emu --help'.\n", stderr);
	return EXIT_USAGE;
}

static int dump(const struct args *a)
{
	struct replay_file f;
	struct err e = {""};

	if (replay_file_load(a->dump, a->partial, &f, &e) < 0) {
		fprintf(stderr, "hba-emu: %s\n", e.text);
		return EXIT_FAILURE;
	}
	replay_dump(&f, stdout);
	replay_file_free(&f);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("hba-emu: cannot write");
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

static int set_up(struct emu *m, struct args *a, struct err *e)
{
	static const char *const standard[] = {"ld0", "ld1"};
	int r = a->replay ? replay_open(a->replay, a->partial, &a->cfg.model, e) : 0;

	if (r == 0)
		r = emu_prepare(m, &a->cfg, e);
	for (unsigned i = 0; i < a->n_units && r == 0; i++)
		r = emu_add_unit(m, a->unit[i], e);
	for (unsigned i = 0; i < ARRAY_SIZE(standard) && r == 0 && !a->n_units; i++)
		r = emu_add_unit(m, standard[i], e);
	for (unsigned i = 0; i < a->n_faults && r == 0; i++)
		r = faults_add(&m->faults, a->fault[i], e);
	return r < 0 ? r : emu_start(m, &a->cfg, e);
}

struct stopper {
	struct loop_fd ev;
	struct loop *loop;
};

static void on_signal(struct loop_fd *f, uint32_t events)
{
	loop_stop(container_of(f, struct stopper, ev)->loop);
}

static int watch_signals(struct stopper *s, struct loop *loop)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* A log that nobody reads any more is no reason to end. */
	signal(SIGPIPE, SIG_IGN);
	*s = (struct stopper){
		.ev = {.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .cb = on_signal}, .loop = loop};
	return s->ev.fd < 0 ? -errno : loop_add_fd(loop, &s->ev, EPOLLIN);
}

static int verdict(const struct emu *m, bool strict)
{
	const struct emu_stats *s = &m->stats;

	log_info("%" PRIu64 " commands, %" PRIu64 " replies, %" PRIu64 " faults, %" PRIu64
		 " bad messages, %" PRIu64 " protocol errors, %" PRIu64 " wrong DMA",
		s->commands, s->replies, s->faults, s->bad_messages, s->protocol_errors, s->wrong_dma);
	return s->wrong_dma || (strict && s->protocol_errors) ? EXIT_WRONG : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static struct args args;
	static struct emu emu;
	struct stopper stopper;
	struct err e = {""};
	int r = parse(&args, argc, argv);

	if (r || args.done)
		return r;
	if (args.dump)
		return dump(&args);
	log_set_name("hba-emu");
	if (set_up(&emu, &args, &e) < 0 || watch_signals(&stopper, emu.loop) < 0) {
		fprintf(stderr, "hba-emu: %s\n", e.text[0] ? e.text : "cannot watch signals");
		emu_stop(&emu);
		return EXIT_FAILURE;
	}
	log_info("%s served at %s", emu.model->about, args.cfg.socket);
	loop_run(emu.loop);
	r = verdict(&emu, args.strict);
	loop_del_fd(emu.loop, &stopper.ev);
	close(stopper.ev.fd);
	emu_stop(&emu);
	replay_close();
	return r;
}
