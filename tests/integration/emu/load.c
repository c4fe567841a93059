/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The load and its bookkeeping. */
#include "load.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define BLOCK		512
#define VERIFY_AT_ONCE	256
#define add(counter, v) __atomic_add_fetch(&(counter), v, __ATOMIC_ACQ_REL)
#define get(counter)	__atomic_load_n(&(counter), __ATOMIC_ACQUIRE)

/* --- blocks --- */

struct stamp {
	uint32_t magic, unit, lba, generation;
};

static void stamp(uint8_t *p, unsigned unit, uint32_t lba, uint32_t generation)
{
	const struct stamp s = {0x68626164, unit, lba, generation};

	for (unsigned i = 0; i < BLOCK; i += sizeof(s))
		memcpy(p + i, &s, sizeof(s));
}

/* The generation of a block's bytes: 0 for never written. UINT32_MAX: torn, or another block's. */
static uint32_t generation_of(const uint8_t *p, unsigned unit, uint32_t lba)
{
	static const uint8_t zeros[BLOCK];
	uint8_t whole[BLOCK];
	struct stamp s;

	memcpy(&s, p, sizeof(s));
	if (memcmp(p, zeros, BLOCK) == 0)
		return 0;
	stamp(whole, unit, lba, s.generation);
	return memcmp(p, whole, BLOCK) == 0 ? s.generation : UINT32_MAX;
}

/* --- set-up --- */

static void *io_main(void *arg)
{
	log_this_thread_is_io();
	loop_run(arg);
	return NULL;
}

void load_megaraid(struct load *l, const char *model)
{
	l->iop = mfi_iop_gen2;
	l->iop.times = &l->times;
	l->gen = fusion_gen_invader;
	l->gen.iop.times = &l->times;
	l->match_data = strcmp(model, "sas3108") == 0 ? (void *)&l->gen : &l->iop;
}

struct load *load_new(struct emu_proc *p, uint64_t seed)
{
	struct load *l = calloc(1, sizeof(*l));

	log_set_level(getenv("VERBOSE") ? LOG_LV_DEBUG : LOG_LV_ERR);
	l->emu = p;
	l->rng.state = seed;
	l->timeout_ms = 20000;
	l->flush_one_in = 200;
	/* The emulator's firmware is in a hurry, and so is its driver here. */
	l->times = (struct mfi_times){
		.poll = 2,
		.state = 5000,
		.bring_up = 10000,
		.soft = 2000,
		.key = 5,
		.diag = 2000,
		.diag_reset = 5,
		.diag_end = 5000,
		.settle = 5,
		.dcmd = 10000,
		.health = 50,
	};
	load_megaraid(l, "sas2108");
	ck_assert_int_eq(loop_create(&l->loop), 0);
	ck_assert_int_eq(pthread_create(&l->io, NULL, io_main, l->loop), 0);
	for (unsigned i = 0; i < LOAD_JOBS; i++) {
		l->job[i].load = l;
		l->job[i].buf = malloc(LOAD_MOST * BLOCK);
		l->job[i].covered = malloc(LOAD_BLOCKS * sizeof(uint32_t));
	}
	return l;
}

void load_free(struct load *l)
{
	if (l->h)
		load_down(l);
	loop_stop(l->loop);
	pthread_join(l->io, NULL);
	loop_destroy(l->loop);
	for (unsigned i = 0; i < LOAD_JOBS; i++) {
		free(l->job[i].buf);
		free(l->job[i].covered);
	}
	free(l);
}

static void on_ready(void *user);

static void prepare(struct load *l)
{
	l->match = *l->h->core->match;
	l->match.data = l->match_data;
	l->h->core->match = &l->match;
	l->h->core->times.tick_ms = 10;
	l->h->core->times.abort_ms = 200;
	l->h->listener[0] = (struct hba_listener){on_ready, l};
}

static struct hba_config config_of(const struct load *l)
{
	return (struct hba_config){.uri = l->emu->uri, .bounce_bytes = 16u << 20};
}

void load_on(struct load *l, struct pci_dev *pci)
{
	const struct hba_config cfg = config_of(l);
	struct err e = {""};
	int r = hba_create(pci, &cfg, l->loop, &l->h, &e);

	ck_assert_msg(r == 0, "%s", e.text);
	prepare(l);
}

int load_attach(struct load *l, struct err *e)
{
	const struct hba_config cfg = config_of(l);
	int r = hba_open(&cfg, l->loop, &l->h, e);

	if (r < 0)
		return r;
	prepare(l);
	r = hba_attach(l->h, e);
	if (r == 0)
		r = hba_start(l->h, e);
	if (r < 0) {
		hba_close(l->h);
		l->h = NULL;
	}
	return r;
}

void load_up(struct load *l)
{
	struct err e = {""};
	int r = load_attach(l, &e);

	ck_assert_msg(r == 0, "attach: %d %s", r, e.text);
	ck_assert_uint_ge(l->h->n_units, LOAD_UNITS);
}

void load_down(struct load *l)
{
	hba_close(l->h);
	l->h = NULL;
}

/* --- jobs, on the I/O thread --- */

static void go_on(struct load_job *j);

static bool claim(struct load_job *j)
{
	struct load_block *b;

	j->n = 1 + (uint32_t)rng_below(&j->load->rng, LOAD_MOST);
	j->lba = (uint32_t)rng_below(&j->load->rng, LOAD_BLOCKS - j->n + 1);
	b = &j->load->block[j->unit][j->lba];
	for (uint32_t i = 0; i < j->n; i++)
		if (b[i].busy)
			return false;
	for (uint32_t i = 0; i < j->n; i++)
		b[i].busy = true;
	return true;
}

static void pick(struct load_job *j)
{
	struct load *l = j->load;

	j->unit = (unsigned)rng_below(&l->rng, LOAD_UNITS);
	if (rng_below(&l->rng, l->flush_one_in) == 0) {
		j->kind = HBA_REQ_FLUSH;
		for (unsigned i = 0; i < LOAD_BLOCKS; i++)
			j->covered[i] = l->block[j->unit][i].acked;
		return;
	}
	j->kind = HBA_REQ_RW;
	j->write = rng_below(&l->rng, 2);
	while (!claim(j))
		j->unit = (unsigned)rng_below(&l->rng, LOAD_UNITS);
	for (uint32_t i = 0; i < j->n && j->write; i++)
		stamp(j->buf + i * BLOCK, j->unit, j->lba + i, ++l->block[j->unit][j->lba + i].sent);
	if (!j->write)
		memset(j->buf, 0xee, j->n * BLOCK);
}

static void read_done(struct load_job *j)
{
	for (uint32_t i = 0; i < j->n; i++)
		if (generation_of(j->buf + i * BLOCK, j->unit, j->lba + i) !=
			j->load->block[j->unit][j->lba + i].acked)
			add(j->load->wrong_blocks, 1);
	add(j->load->reads, 1);
}

static void flush_done(struct load_job *j)
{
	for (unsigned i = 0; i < LOAD_BLOCKS; i++) {
		struct load_block *b = &j->load->block[j->unit][i];

		b->durable = MAX(b->durable, j->covered[i]);
	}
	add(j->load->flushes, 1);
}

static void good(struct load_job *j)
{
	if (j->kind == HBA_REQ_FLUSH) {
		flush_done(j);
	} else if (j->write) {
		for (uint32_t i = 0; i < j->n; i++)
			j->load->block[j->unit][j->lba + i].acked = j->load->block[j->unit][j->lba + i].sent;
		add(j->load->writes, 1);
	} else {
		read_done(j);
	}
}

static void judge(struct load_job *j, const struct hba_req *req)
{
	if (req->result == HBA_DONE && req->scsi_status == 0)
		good(j);
	else if (req->result == HBA_GONE)
		add(j->load->gone, 1);
	else {
		if (add(j->load->bad_results, 1) < 5)
			fprintf(stderr, "result %d, fw %02x, scsi %02x, sense %02x %02x %02x\n", req->result,
				req->fw_status, req->scsi_status, req->sense[2], req->sense[12],
				req->sense[13]);
	}
	if (j->kind == HBA_REQ_RW)
		for (uint32_t i = 0; i < j->n; i++)
			j->load->block[j->unit][j->lba + i].busy = false;
}

static void on_done(struct hba_req *req)
{
	struct load_job *j = req->user;

	judge(j, req);
	j->busy = false;
	j->req = NULL;
	hba_req_put(req);
	add(j->load->active, -1);
	go_on(j);
}

static void fill(struct load_job *j, struct hba_req *req)
{
	bool rw = j->kind == HBA_REQ_RW;

	j->iov = (struct iovec){j->buf, j->n * BLOCK};
	req->unit = &j->load->h->unit[j->unit];
	req->kind = j->kind;
	req->lba = j->lba;
	req->nblocks = rw ? j->n : 0;
	req->block_size = BLOCK;
	req->xfer = (struct dma_xfer){.iov = &j->iov,
		.niov = rw,
		.len = rw ? j->n * BLOCK : 0,
		.dir = !rw	  ? DMA_NONE
		       : j->write ? DMA_TO_DEVICE
				  : DMA_FROM_DEVICE};
	req->timeout_ms = j->load->timeout_ms;
	req->done = on_done;
	req->user = j;
}

/* Sends the job's next request, if there is one left and a slot for it. */
static void go_on(struct load_job *j)
{
	struct load *l = j->load;
	struct hba_req *req;

	if (j->busy || !l->left || j >= &l->job[l->jobs])
		return;
	req = hba_req_get(l->h);
	if (!req)
		return;
	add(l->left, -1);
	pick(j);
	fill(j, req);
	j->busy = true;
	j->req = req;
	add(l->active, 1);
	if (hba_submit(req) < 0) {
		/* No memory now, or gone: as if it had never been. */
		for (uint32_t i = 0; i < j->n && j->kind == HBA_REQ_RW; i++)
			l->block[j->unit][j->lba + i].busy = false;
		j->busy = false;
		j->req = NULL;
		add(l->active, -1);
		hba_req_put(req);
	}
}

static void kick(void *arg)
{
	struct load *l = arg;

	for (unsigned i = 0; i < l->jobs && l->left; i++)
		go_on(&l->job[i]);
}

static void on_ready(void *user)
{
	kick(user);
}

static void halt(void *arg)
{
	__atomic_store_n(&((struct load *)arg)->left, 0, __ATOMIC_RELEASE);
}

static void begin(void *arg)
{
	struct load *l = arg;

	__atomic_store_n(&l->left, l->next_left, __ATOMIC_RELEASE);
	l->jobs = l->next_jobs;
	kick(l);
}

void load_begin(struct load *l, uint64_t total, uint32_t jobs)
{
	l->next_left = total;
	l->next_jobs = jobs;
	ck_assert_int_eq(loop_call(l->loop, begin, l, 60000), 0);
}

static uint64_t ended(struct load *l)
{
	return get(l->reads) + get(l->writes) + get(l->flushes) + get(l->gone) + get(l->bad_results);
}

/* As long as requests come back it may take its time. */
static void settle(struct load *l)
{
	uint64_t seen = ended(l);

	for (unsigned i = 0; i < 60000; i++) {
		if (!get(l->active) && (!get(l->left) || hba_state(l->h) > HBA_RESETTING))
			return;
		clock_sleep_ms(1);
		if (i % 100 == 99) { /* a submit may have been refused for want of bounce memory */
			loop_call(l->loop, kick, l, 60000);
			i = ended(l) == seen ? i : 0;
			seen = ended(l);
		}
	}
	ck_abort_msg("%u requests never came back", get(l->active));
}

void load_progress(struct load *l, uint64_t n)
{
	uint64_t want = ended(l) + n;

	for (unsigned i = 0; ended(l) < want; i++) {
		ck_assert_msg(i < 60000, "the load does not get on");
		clock_sleep_ms(1);
	}
}

void load_stop(struct load *l)
{
	loop_call(l->loop, halt, l, 60000);
	settle(l);
}

void load_wait(struct load *l)
{
	settle(l);
	ck_assert_uint_eq(get(l->wrong_blocks), 0);
}

/* --- from the test's thread --- */

void load_flush(struct load *l)
{
	for (unsigned u = 0; u < LOAD_UNITS; u++) {
		struct hba_req t = {
			.unit = &l->h->unit[u], .kind = HBA_REQ_FLUSH, .timeout_ms = l->timeout_ms};

		ck_assert_int_eq(hba_run(l->h, &t), 0);
		ck_assert_int_eq(t.result, HBA_DONE);
		ck_assert_uint_eq(t.scsi_status, 0);
		for (unsigned i = 0; i < LOAD_BLOCKS; i++)
			l->block[u][i].durable = l->block[u][i].acked;
	}
}

static void read_blocks(struct load *l, unsigned unit, uint32_t lba, uint32_t n, uint8_t *buf)
{
	struct iovec iov = {buf, n * BLOCK};
	struct hba_req t = {
		.unit = &l->h->unit[unit],
		.kind = HBA_REQ_RW,
		.lba = lba,
		.nblocks = n,
		.block_size = BLOCK,
		.xfer = {.iov = &iov, .niov = 1, .len = n * BLOCK, .dir = DMA_FROM_DEVICE},
		.timeout_ms = l->timeout_ms,
	};
	int r = hba_run(l->h, &t);

	/* The first command after a power cut gets the unit attention. */
	if (r == 0 && t.result == HBA_DONE && t.scsi_status == 2 && (t.sense[2] & 0xf) == 6)
		r = hba_run(l->h, &t);
	ck_assert_msg(r == 0 && t.result == HBA_DONE && t.scsi_status == 0,
		"read of unit %u, block %u: %d, result %d, fw %02x, scsi %02x, sense %02x/%02x", unit, lba, r,
		t.result, t.fw_status, t.scsi_status, t.sense[2], t.sense[12]);
}

static unsigned verify(struct load *l, bool cut)
{
	static uint8_t buf[VERIFY_AT_ONCE * BLOCK];
	unsigned lost = 0;

	for (unsigned u = 0; u < LOAD_UNITS; u++)
		for (uint32_t lba = 0; lba < LOAD_BLOCKS; lba += VERIFY_AT_ONCE) {
			read_blocks(l, u, lba, VERIFY_AT_ONCE, buf);
			for (uint32_t i = 0; i < VERIFY_AT_ONCE; i++) {
				struct load_block *b = &l->block[u][lba + i];
				uint32_t g = generation_of(buf + i * BLOCK, u, lba + i);

				if (g < (cut ? b->durable : b->acked) || g > (cut ? b->sent : b->acked))
					ck_abort_msg("unit %u, block %u: generation %u; flushed %u, "
						     "acknowledged %u, sent %u",
						u, lba + i, g, b->durable, b->acked, b->sent);
				lost += b->acked > g ? b->acked - g : 0;
				*b = (struct load_block){g, g, g, false};
			}
		}
	return lost;
}

void load_verify(struct load *l)
{
	for (unsigned u = 0; u < LOAD_UNITS; u++)
		for (unsigned i = 0; i < LOAD_BLOCKS; i++)
			ck_assert_msg(!l->block[u][i].busy, "block %u is still busy", i);
	verify(l, false);
}

unsigned load_verify_cut(struct load *l)
{
	return verify(l, true);
}
