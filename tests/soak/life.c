/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The controller's and the rings' life, as hbad's main program leads it (boot.c, away.c, stop.c): what belongs to a
 * loss and a return of the controller is in soak_down() and soak_return() alone.
 */
#include "soak.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/front/priv.h"

#define CACHES	      "2M"
#define DRAIN_MS      SOAK_STUCK_MS
#define HOLD	      ";hold=3000" /* longer than anything takes here */
#define GRACE_CHOICES 3

/* --- waiting --- */

bool soak_wait(struct soak *s, bool (*fn)(struct soak *s, uint64_t arg), uint64_t arg, const char *what)
{
	const uint64_t until = clock_ns() + SOAK_STUCK_MS * NS_PER_MS;

	while (!fn(s, arg)) {
		log_drain();
		if (soak_wrongs())
			return false;
		if (clock_ns() > until) {
			soak_wrong("STUCK: %s did not come within %u s", what, SOAK_STUCK_MS / 1000);
			return false;
		}
		clock_sleep_ms(1);
	}
	log_drain();
	return true;
}

bool soak_is_running(struct soak *s, uint64_t resets)
{
	struct hba_stats stats;

	if (!s->host.h || hba_state(s->host.h) != HBA_RUNNING)
		return false;
	hba_get_stats(s->host.h, &stats);
	return stats.resets >= resets;
}

static bool all_idle(struct soak *s, uint64_t arg)
{
	for (unsigned i = 0; i < s->n_luns; i++)
		if (!initiator_idle(&s->lun[i]))
			return false;
	return true;
}

static bool all_open(struct soak *s, uint64_t arg)
{
	for (unsigned i = 0; i < s->n_luns; i++)
		if (s->lun[i].lun && scsi_lun_gate(s->lun[i].lun) != SCSI_GATE_OPEN)
			return false;
	return true;
}

static uint64_t answers_of(struct soak *s, unsigned i)
{
	struct initiator_counts n;

	initiator_look(&s->lun[i], &n, NULL);
	return n.answers;
}

void soak_progress(struct soak *s, unsigned n)
{
	uint64_t want[SOAK_MAX_LUNS], until = clock_ns() + SOAK_STUCK_MS * NS_PER_MS;

	for (unsigned i = 0; i < s->n_luns; i++)
		want[i] = answers_of(s, i) + n;
	for (unsigned i = 0; i < s->n_luns && !soak_wrongs();) {
		if (answers_of(s, i) >= want[i]) {
			i++;
			continue;
		}
		log_drain();
		clock_sleep_ms(1);
		if (clock_ns() > until)
			soak_wrong("STUCK: LUN %u answers no more", i);
	}
}

/* --- load --- */

static void set_mode(struct soak *s, enum initiator_mode mode, enum disk_past past)
{
	for (unsigned i = 0; i < s->n_luns; i++)
		initiator_set_mode(&s->lun[i], mode, past);
}

void soak_load(struct soak *s)
{
	set_mode(s, INITIATOR_LOAD, DISK_LIVE);
}

void soak_halt(struct soak *s)
{
	set_mode(s, INITIATOR_IDLE, DISK_LIVE);
	soak_wait(s, all_idle, 0, "the answer to every command");
}

void soak_stop_sending(struct soak *s)
{
	set_mode(s, INITIATOR_IDLE, DISK_LIVE);
}

static bool errors_are_answered(struct soak *s, uint64_t arg)
{
	for (unsigned i = 0; i < s->n_luns; i++)
		if (!s->lun[i].held && !initiator_idle(&s->lun[i]))
			return false;
	return true;
}

void soak_errors(struct soak *s)
{
	soak_wait(s, errors_are_answered, 0, "the answer to every command while the controller is away");
}

void soak_shady(struct soak *s, bool shady)
{
	for (unsigned i = 0; i < s->n_luns; i++)
		initiator_shady(&s->lun[i], shady);
}

void soak_tolerate(struct soak *s, bool errors)
{
	for (unsigned i = 0; i < s->n_luns; i++)
		initiator_tolerate(&s->lun[i], errors);
}

void soak_verify(struct soak *s, enum disk_past past)
{
	uint64_t lost[SOAK_MAX_LUNS];

	if (soak_wrongs())
		return;
	for (unsigned i = 0; i < s->n_luns; i++)
		lost[i] = s->lun[i].disk.lost;
	set_mode(s, INITIATOR_SCAN, past);
	soak_wait(s, all_idle, 0, "the end of the verification");
	for (unsigned i = 0; i < s->n_luns; i++)
		if (s->lun[i].disk.lost > lost[i])
			initiator_lost(&s->lun[i]);
}

void soak_flush(struct soak *s)
{
	for (unsigned i = 0; i < s->n_luns; i++)
		initiator_flush(&s->lun[i]);
	soak_wait(s, all_idle, 0, "the end of the flushes");
}

/* --- the controller --- */

int soak_up(struct soak *s)
{
	struct err e = {""};
	int r = host_up(&s->host, &e);

	if (r < 0) {
		soak_wrong("FAILED: the controller does not start: %s (%s)", e.text, strerror(-r));
		return -1;
	}
	return soak_wait(s, all_open, 0, "the opening of all gates") ? 0 : -1;
}

static void nothing(void *arg)
{
}

static bool have_looked(struct soak *s, uint64_t index)
{
	if (initiator_passes(&s->lun[index]) >= s->passes)
		return true;
	initiator_poke(&s->lun[index]);
	return false;
}

/* What hbad has answered so far was looked at. */
static void settle(struct soak *s)
{
	/* The second call comes after the end of the iteration of the first, where replies are published. */
	for (unsigned n = 0; n < 2 * s->host.n_lanes; n++)
		loop_call(s->host.lane[n / 2].loop, nothing, NULL, SOAK_STUCK_MS);
	for (unsigned i = 0; i < s->n_luns; i++) {
		s->passes = initiator_passes(&s->lun[i]) + 2;
		soak_wait(s, have_looked, i, "an initiator's look at its answers");
	}
}

void soak_down(struct soak *s, enum scsi_gate why)
{
	struct hba_stats was;

	/* What a flush tells now is of the time before; and this comes before commands that wait are answered. */
	if (why == SCSI_GATE_GONE)
		settle(s);
	for (unsigned i = 0; i < s->n_luns && why == SCSI_GATE_GONE; i++)
		initiator_away(&s->lun[i]);
	was = host_down(&s->host, why);
	s->sum.requests += was.requests;
	s->sum.errors += was.errors;
	s->sum.timeouts += was.timeouts;
	s->sum.aborts += was.aborts;
	s->sum.resets += was.resets;
	s->sum.reissues += was.reissues;
	s->sum.interrupts += was.interrupts;
	s->sum.flushes += was.flushes;
	s->restarts++;
}

int soak_return(struct soak *s)
{
	int r = soak_up(s);

	for (unsigned i = 0; i < s->n_luns; i++)
		initiator_back(&s->lun[i]);
	return r;
}

/* --- leaks --- */

void soak_count_leaks(struct soak *s)
{
	struct leaks now = leaks_count();

	/* Commands that wait have memory, and not always the same. */
	if (!all_idle(s, 0))
		now.heap = 0;
	if (!s->leaks_known)
		s->leaks = now;
	else
		leaks_compare(&s->leaks, &now);
	if (!s->leaks.heap)
		s->leaks.heap = now.heap;
	s->leaks_known = true;
}

void soak_count_maps(struct soak *s)
{
	uint64_t maps = emulator_number(&s->emu, "status", "dma_maps");

	if (s->dma_maps && maps != s->dma_maps)
		soak_wrong("LEAK: %llu DMA mappings with nothing in flight, %llu the first time",
			(unsigned long long)maps, (unsigned long long)s->dma_maps);
	s->dma_maps = maps;
}

/* --- rings --- */

static int ring_up(struct soak *s, struct initiator *i)
{
	/* The product's is 2000 ms; with less, more commands are really aborted. */
	static const uint32_t grace[GRACE_CHOICES] = {0, 5, 50};
	struct front_config cfg = {
		.uio_fd = fcntl(i->model.event[0], F_DUPFD_CLOEXEC, 0),
		.map_len = i->model.map_len,
		.lun = i->lun,
		.loop = scsi_lun_loop(i->lun),
		.name = i->name,
		.abort_after_ms = grace[i->index % GRACE_CHOICES],
	};
	struct err e = {""};
	int r;

	__atomic_store_n(&i->uio_fd, cfg.uio_fd, __ATOMIC_RELEASE);
	r = front_create_os(&cfg, &initiator_os, &i->ring, &e);
	if (r == 0)
		r = front_start(i->ring, &e);
	if (r < 0)
		soak_wrong("FAILED: LUN %u: %s", i->index, e.text);
	return r;
}

static bool is_drained(struct soak *s, uint64_t index)
{
	return front_outstanding(s->lun[index].ring) == 0;
}

static void block(struct initiator *i, bool on)
{
	pthread_mutex_lock(&i->model.lock);
	i->model.blocked = on;
	pthread_mutex_unlock(&i->model.lock);
}

/* By force: commands that are at the controller lose their ring, their initiators are told BUSY, and nobody gets the
 * ring again before they have ended. */
void soak_hand_over(struct soak *s, struct initiator *i, bool by_force)
{
	const char *why;
	int r = 0;

	block(i, true);
	if (!by_force)
		r = front_drain(i->ring, DRAIN_MS);
	if (r == 0)
		r = front_stop(i->ring, 0);
	if (r < 0 || (r > 0 && !by_force))
		soak_wrong("FAILED: LUN %u: the ring was not let go of in order: %d", i->index, r);
	if (by_force)
		model_reset_ring(&i->model);
	if (r > 0)
		soak_wait(s, is_drained, i->index, "the end of a ring's last commands");
	if (front_dropped(i->ring, &why))
		soak_wrong("FAILED: LUN %u: the ring was dropped: %s", i->index, why);
	front_destroy(i->ring);
	i->ring = NULL;
	ring_up(s, i);
	block(i, false);
	initiator_poke(i);
}

/* --- all of it --- */

static int start_emulator(struct soak *s)
{
	const struct host_model *m = s->host.model;
	char seed[24], unit[SOAK_MAX_LUNS][48];
	unsigned n_sync = 0, n = 0;
	const char *options[32], *sync;

	while (m->ld_sync[n_sync])
		n_sync++;
	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)s->opt.seed);
	options[n++] = "--model";
	options[n++] = m->emulated;
	options[n++] = "--seed";
	options[n++] = seed;
	options[n++] = "--ld-sync";
	/* Drawn in any case: the lots behind it stay the same. */
	sync = m->ld_sync[rng_below(&s->rng, n_sync)];
	options[n++] = s->opt.ld_sync ? s->opt.ld_sync : sync;
	options[n++] = "--boot-ms";
	options[n++] = "10";
	options[n++] = "--latency-us";
	options[n++] = "200";
	options[n++] = "--max-cmds";
	/* Sometimes slots are scarce; but then there would be one lane. */
	options[n++] = rng_below(&s->rng, 2) || s->opt.lanes > 1 ? "400" : "48";
	options[n++] = "--drive-cache";
	options[n++] = CACHES;
	options[n++] = "--controller-cache";
	options[n++] = CACHES;
	for (s->n_luns = 0; s->n_luns < SOAK_MAX_LUNS && m->unit[s->n_luns]; s->n_luns++) {
		snprintf(unit[s->n_luns], sizeof(unit[0]), "%s,size=16M", m->unit[s->n_luns]);
		options[n++] = "--unit";
		options[n++] = unit[s->n_luns];
	}
	options[n] = NULL;
	printf("emulator:");
	for (unsigned i = 0; i < n; i++)
		printf(" %s", options[i]);
	printf("\n");
	return emulator_start(&s->emu, s->opt.emulator, options);
}

static int lun_up(struct soak *s, unsigned index)
{
	struct initiator *i = &s->lun[index];
	const char *name = s->host.model->lun[index];
	struct scsi_lun_config cfg;
	struct err e = {""};
	char text[64];
	int r;

	snprintf(text, sizeof(text), "%s%s", name, index % 2 ? HOLD : "");
	r = scsi_lun_parse(text, &cfg, &e);
	if (r == 0)
		r = initiator_create(i, index, name, s->opt.depth, rng_next(&s->rng));
	i->held = i->disk.repeats = index % 2;
	if (r == 0)
		r = scsi_lun_create_on(
			s->host.scsi, s->host.n_lanes > 1 ? SCSI_UNSETTLED : 0, NULL, &cfg, &i->lun);
	if (r == 0)
		r = ring_up(s, i);
	if (r == 0)
		r = initiator_start(i);
	/* Each LUN has its own unit. It is told that it becomes ready until then. */
	if (r == 0 && s->host.n_lanes > 1)
		r = front_settle(i->ring, index % s->host.n_lanes, "", &e);
	if (r < 0)
		soak_wrong("FAILED: LUN %s cannot be made: %s %s", name, strerror(-r), e.text);
	return r;
}

void soak_set_up(struct soak *s)
{
	s->rng.state = s->opt.seed;
	if (start_emulator(s) < 0)
		return;
	if (host_create(&s->host, s->host.model, s->emu.uri, s->opt.lanes, rng_next(&s->rng)) < 0) {
		soak_wrong("FAILED: no I/O thread");
		return;
	}
	if (soak_up(s) < 0)
		return;
	for (unsigned i = 0, n = s->n_luns; i < n; i++) {
		s->n_luns = i + 1;
		if (lun_up(s, i) < 0)
			return;
	}
	soak_wait(s, all_open, 0, "the opening of all gates");
	soak_count_maps(s);
}

static void retire(void *arg)
{
	scsi_lun_destroy(arg);
}

/* In order, when nothing was wrong: then what is left is a leak. */
void soak_tear_down(struct soak *s)
{
	if (!soak_wrongs()) {
		soak_down(s, SCSI_GATE_BECOMING_READY);
		for (unsigned i = 0; i < s->n_luns; i++) {
			front_stop(s->lun[i].ring, 0);
			front_destroy(s->lun[i].ring);
			initiator_destroy(&s->lun[i]);
			loop_call(scsi_lun_loop(s->lun[i].lun), retire, s->lun[i].lun, SOAK_STUCK_MS);
		}
		host_destroy(&s->host);
	}
	emulator_stop(&s->emu);
}
