/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests through slots, bounce memory, frames and reply ring. */
#include "rig.h"
#include "tests/unit/run_suite.h"

#include <errno.h>
#include <string.h>

static const enum model_gen gens[] = {GEN1, GEN2, SKINNY};

START_TEST(what_is_written_is_read)
{
	static const uint32_t blocks[] = {1, 31, 32, 33, 64, 255, 256};
	struct rig *r = rig_up(gens[_i]);

	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		struct job *w = job_rw(r, 0, i % 3, DMA_TO_DEVICE, 100 * i + 1, blocks[i]);
		struct job *rd;

		job_fill(w, (unsigned)i);
		job_run_well(w);
		ck_assert_mem_eq(r->model->ld[i % 3] + (100 * i + 1) * 512, w->buf, w->iov.iov_len);
		rd = job_rw(r, 1, i % 3, DMA_FROM_DEVICE, 100 * i + 1, blocks[i]);
		job_run_well(rd);
		ck_assert_mem_eq(rd->buf, w->buf, w->iov.iov_len);
		ck_assert_uint_eq(rd->buf[rd->iov.iov_len], 0xee);
	}
	/* LD_READ and LD_WRITE frames, one each */
	ck_assert_uint_eq(seen(r, n_ld_rw), 2 * ARRAY_SIZE(blocks));
	ck_assert_uint_eq(seen(r, n_scsi), 0);
	rig_down(r);
}
END_TEST

START_TEST(data_lies_in_several_iovecs)
{
	struct rig *r = rig_up(GEN2);
	struct job *w = job_rw(r, 0, 0, DMA_TO_DEVICE, 0, 70);
	struct iovec iov[4];

	job_fill(w, 3);
	iov[0] = (struct iovec){w->buf, 100};
	iov[1] = (struct iovec){w->buf, 0};
	iov[2] = (struct iovec){w->buf + 100, 20000};
	iov[3] = (struct iovec){w->buf + 20100, 70 * 512 - 20100};
	/* The last 40 blocks of the list: a piece of a split command. */
	w->tmpl.xfer = (struct dma_xfer){
		.iov = iov, .niov = 4, .offset = 30 * 512, .len = 40 * 512, .dir = DMA_TO_DEVICE};
	w->tmpl.nblocks = 40;
	ck_assert_int_eq(job_run(w)->result, HBA_DONE);
	ck_assert_mem_eq(r->model->ld[0], w->buf + 30 * 512, 40 * 512);
	rig_down(r);
}
END_TEST

/* QEMU's model takes the access byte for a LUN. */
START_TEST(dpo_is_kept_out_of_ld_frames)
{
	struct rig *r = rig_up(GEN2);
	struct job *w = job_rw(r, 0, 1, DMA_TO_DEVICE, 3, 16);

	job_fill(w, 9);
	w->tmpl.dpo = true;
	job_run_well(w);
	ck_assert_uint_eq(seen(r, last_frame[0]), 0x02);
	ck_assert_uint_eq(seen(r, last_frame[5]), 0);
	rig_down(r);
}
END_TEST

START_TEST(four_k_blocks_go_as_cdb)
{
	struct rig *r = rig_up(GEN2);
	struct job *w = job_rw(r, 0, 1, DMA_TO_DEVICE, 3, 16);

	/* 2 blocks of 4096 at block 3 */
	job_fill(w, 9);
	w->tmpl.block_size = 4096;
	w->tmpl.nblocks = 2;
	w->tmpl.dpo = true;
	job_run_well(w);
	ck_assert_uint_eq(seen(r, last_frame[0]), 0x03);
	ck_assert_uint_eq(seen(r, last_frame[0x20]), 0x2a);
	ck_assert_uint_eq(seen(r, last_frame[0x21]), 0x10);
	ck_assert_mem_eq(r->model->ld[1] + 3 * 4096, w->buf, 8192);
	rig_down(r);
}
END_TEST

START_TEST(system_drives_take_cdbs)
{
	struct rig *r = rig_new(GEN2);
	struct job *w;

	r->model->pd_count = 1;
	r->model->pd_ids[0] = 9;
	rig_must_start(r);
	w = job_rw(r, 0, 3, DMA_TO_DEVICE, 5, 8);
	job_fill(w, 1);
	job_run_well(w);
	ck_assert_uint_eq(seen(r, last_frame[0]), 0x04);
	ck_assert_uint_eq(seen(r, last_frame[4]), 9);
	ck_assert_uint_eq(seen(r, last_frame[0x20]), 0x2a);
	ck_assert_mem_eq(r->model->ld[0] + 5 * 512, w->buf, 4096);
	/* LBAs that ten bytes cannot name */
	w = job_rw(r, 0, 3, DMA_FROM_DEVICE, UINT64_C(0xfffffffff), 1);
	job_run(w);
	ck_assert_uint_eq(seen(r, last_frame[0x20]), 0x88);
	ck_assert_uint_eq(get_be64(r->model->last_frame + 0x22), UINT64_C(0xfffffffff));
	ck_assert_uint_eq(get_be32(r->model->last_frame + 0x2a), 1);
	ck_assert_uint_eq(w->scsi_status, 2);
	rig_down(r);
}
END_TEST

START_TEST(pass_through_reads_no_stale_data)
{
	static const uint8_t inquiry[6] = {0x12, 0, 0, 0, 96, 0};
	struct rig *r = rig_up(gens[_i]);
	struct job *w = job_rw(r, 0, 0, DMA_TO_DEVICE, 0, 32), *q;

	memset(w->buf, 0x77, w->iov.iov_len);
	job_run_well(w); /* leaves 77h in the bounce chunk that the next one gets */
	q = job_cdb(r, 1, 0, inquiry, 6, DMA_FROM_DEVICE, 96);
	job_run_well(q);
	ck_assert_mem_eq(q->buf + 8, "MODEL", 5);
	for (unsigned i = 36; i < 96; i++)
		ck_assert_uint_eq(q->buf[i], 0);
	rig_down(r);
}
END_TEST

START_TEST(command_without_data_has_a_dummy_element)
{
	static const uint8_t tur[6];
	struct rig *r = rig_up(GEN2);

	job_run_well(job_cdb(r, 0, 0, tur, 6, DMA_NONE, 0));
	ck_assert_uint_eq(seen(r, last_frame[7]), 1);
	ck_assert_uint_eq(seen(r, last_frame[0x14]), 0);
	ck_assert_uint_eq(seen(r, last_frame[0x10]) & 0x18, 0);
	rig_down(r);
}
END_TEST

START_TEST(two_hundred_in_random_order)
{
	struct rig *r = rig_up(gens[_i]);
	unsigned seed = 12345;

	tell(r, hold, true);
	for (unsigned i = 0; i < 200; i++) {
		struct job *job = job_rw(r, i, i % 2, i % 4 < 2 ? DMA_TO_DEVICE : DMA_FROM_DEVICE, i * 8, 8);

		job_fill(job, i);
		if (i % 4 >= 2)
			memset(r->model->ld[i % 2] + i * 8 * 512, (int)i, 8 * 512);
		job_submit(job);
	}
	ck_assert_uint_eq(model_pending(r->model), 200);
	ck_assert_uint_eq(hba_inflight(r->h), 200);
	for (unsigned left = 200; left; left--) {
		seed = seed * 1103515245 + 12345;
		model_complete(r->model, (seed >> 16) % left);
	}
	for (unsigned i = 0; i < 200; i++) {
		struct job *job = &r->job[i];

		job_ends(job, HBA_DONE);
		if (i % 4 < 2)
			ck_assert_mem_eq(r->model->ld[i % 2] + i * 8 * 512, job->buf, 8 * 512);
		else
			ck_assert_uint_eq(job->buf[4095], (uint8_t)i);
	}
	rig_wait(hba_inflight(r->h) == 0);
	ck_assert_uint_eq(__atomic_load_n(&r->n_done, __ATOMIC_RELAXED), 200);
	rig_down(r);
}
END_TEST

static void again(struct job *job)
{
	if (job->order < 500)
		job_submit_here(job);
}

START_TEST(ring_wraps)
{
	struct rig *r = rig_new(GEN2);

	/* 14 entries, 7 requests that each submit themselves again from done() */
	tell(r, fw_cmds, 14);
	rig_must_start(r);
	ck_assert_uint_eq(r->h->limits.queue_depth, 7);
	for (unsigned i = 0; i < 7; i++) {
		struct job *job = job_rw(r, i, 0, DMA_FROM_DEVICE, i, 1);

		job->then = again;
		job_submit(job);
	}
	rig_wait(__atomic_load_n(&r->n_done, __ATOMIC_RELAXED) >= 500 && hba_inflight(r->h) == 0);
	rig_sync(r); /* the last done() has returned */
	ck_assert_uint_ge(seen(r, n_ld_rw), 500);
	for (unsigned i = 0; i < 7; i++)
		r->job[i].done = 1; /* many times, here */
	rig_down(r);
}
END_TEST

START_TEST(works_over_a_shared_line)
{
	struct rig *r = rig_new(gens[_i]);
	struct job *job;

	r->model->fn.pci.n_vectors[PCI_IRQ_MSIX] = r->model->fn.pci.n_vectors[PCI_IRQ_MSI] = 0;
	rig_must_start(r);
	for (unsigned i = 0; i < 3; i++) {
		job = job_rw(r, i, 0, DMA_FROM_DEVICE, 0, 1);
		job_run_well(job);
	}
	/* Another device's interrupt */
	model_interrupt(r->model);
	rig_wait(seen(r, fn.n_unmask) >= 4);
	rig_wait(seen(r, status) == 0); /* acknowledged */
	rig_down(r);
}
END_TEST

START_TEST(lost_interrupt_costs_a_tick)
{
	struct rig *r = rig_up(GEN2);
	struct job *job = job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 1);

	tell(r, fn.irq_on, false);
	job_run_well(job);
	ck_assert_uint_eq(stat_of(r, timeouts), 0);
	rig_down(r);
}
END_TEST

/* --- errors --- */

START_TEST(firmware_status_is_mapped)
{
	static const struct {
		uint8_t status, scsi_status, sense[8];
		enum hba_result result;
		uint8_t want_status, want_sense_len;
		bool moved;
	} t[] = {
		{0x2e, 0x00, {0}, HBA_IO_ERROR, 0, 0, false}, {0x18, 0x00, {0}, HBA_IO_ERROR, 0, 0, false},
		{0x67, 0x00, {0}, HBA_IO_ERROR, 0, 0, false},
		{0xff, 0x00, {0}, HBA_IO_ERROR, 0, 0, false}, /* "pending", yet posted */
		{0x33, 0x00, {0}, HBA_NO_UNIT, 0, 0, false}, {0x0c, 0x00, {0}, HBA_NO_UNIT, 0, 0, false},
		{0x2d, 0x08, {0}, HBA_DONE, 0x08, 0, false}, {0x2d, 0x18, {0}, HBA_DONE, 0x18, 0, false},
		{0x2d, 0x02, {0x70, 0, 3, 0, 0, 0, 0, 10}, HBA_DONE, 0x02, 18, false},
		{0x2d, 0x02, {0xf0, 0, 3, 0, 0, 0, 0, 250}, HBA_DONE, 0x02, 96, false},
		{0x2d, 0x02, {0x72, 3, 0x11, 0, 0, 0, 0, 24}, HBA_DONE, 0x02, 32, false},
		{0x2d, 0x02, {0x70, 0, 1, 0, 0, 0, 0, 10}, HBA_DONE, 0x02, 18, true},  /* recovered error */
		{0x2d, 0x02, {0x72, 1, 0x17, 0, 0, 0, 0, 0}, HBA_DONE, 0x02, 8, true}, /* likewise */
		{0x2d, 0x02, {0x71, 0, 1, 0, 0, 0, 0, 10}, HBA_DONE, 0x02, 18,
			false}, /* deferred: not ours */
		{0x2d, 0x02, {0x73, 1, 0x17, 0, 0, 0, 0, 0}, HBA_DONE, 0x02, 8, false},
		{0x2d, 0x02, {0}, HBA_IO_ERROR, 0x02, 0, false},	  /* CHECK CONDITION without sense */
		{0x2d, 0x02, {0x12, 0x34}, HBA_IO_ERROR, 0x02, 0, false}, /* with rubbish for sense */
		{0x2d, 0x00, {0}, HBA_IO_ERROR, 0x00, 0, false},	  /* an error that is none */
	};
	struct rig *r = rig_up(GEN2);

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct job *job = job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 1);

		tell(r, io_status, t[i].status);
		tell(r, io_scsi_status, t[i].scsi_status);
		memset(r->model->io_sense, 0, sizeof(r->model->io_sense));
		memcpy(r->model->io_sense, t[i].sense, sizeof(t[i].sense));
		job_run(job);
		ck_assert_msg(job->result == t[i].result, "row %zu: result %d", i, (int)job->result);
		ck_assert_uint_eq(job->fw_status, t[i].status);
		ck_assert_msg(job->sense_len == t[i].want_sense_len, "row %zu: sense %u", i, job->sense_len);
		if (t[i].result == HBA_DONE)
			ck_assert_uint_eq(job->scsi_status, t[i].want_status);
		if (t[i].want_sense_len)
			ck_assert_mem_eq(job->sense, t[i].sense, 8);
		ck_assert_uint_eq(job->moved, t[i].moved ? 512 : 0);
		if (!t[i].moved)
			ck_assert_uint_eq(job->buf[0], 0xee);
	}
	ck_assert_int_eq(hba_state(r->h), HBA_RUNNING);
	rig_down(r);
}
END_TEST

START_TEST(sense_is_not_left_over)
{
	struct rig *r = rig_up(GEN2);
	struct job *job = job_rw(r, 0, 0, DMA_FROM_DEVICE, MODEL_LD_BLOCKS, 1);

	job_run(job);
	ck_assert_uint_eq(job->scsi_status, 2);
	ck_assert_uint_eq(job->sense[12], 0x21);
	/* Same slot, CHECK CONDITION without storing sense */
	tell(r, io_status, 0x2d);
	tell(r, io_scsi_status, 2);
	job = job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 1);
	ck_assert_int_eq(job_run(job)->result, HBA_IO_ERROR);
	rig_down(r);
}
END_TEST

/* Only what means that caches were without power, and only of this unit. */
START_TEST(a_unit_that_was_without_power_is_counted)
{
	static const struct {
		uint8_t code, key, asc, ascq;
		bool counts;
	} t[] = {
		{0x70, 6, 0x29, 0x01, true},
		{0x70, 6, 0x29, 0x04, true},
		{0x70, 6, 0x29, 0x00, false}, /* ours, for all we know */
		{0x70, 6, 0x29, 0x02, false},
		{0x70, 6, 0x29, 0x03, false},
		{0x70, 6, 0x28, 0x01, false},
		{0x70, 4, 0x29, 0x01, false},
		{0x71, 6, 0x29, 0x01, false},
	};
	struct rig *r = rig_up(GEN2);
	uint32_t before;

	tell(r, io_status, 0x2d);
	tell(r, io_scsi_status, 2);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		const uint8_t sense[] = {
			t[i].code, 0, t[i].key, 0, 0, 0, 0, 10, 0, 0, 0, 0, t[i].asc, t[i].ascq};

		memcpy(r->model->io_sense, sense, sizeof(sense));
		before = r->h->unit[1].outages;
		ck_assert_int_eq(job_run(job_rw(r, 0, 1, DMA_FROM_DEVICE, 0, 1))->result, HBA_DONE);
		ck_assert_msg(r->h->unit[1].outages == before + t[i].counts, "row %zu", i);
	}
	ck_assert_uint_eq(r->h->unit[0].outages, 0);
	rig_down(r);
}
END_TEST

START_TEST(callers_bugs_are_refused)
{
	static const uint8_t tur[6];
	struct rig *r = rig_up(GEN2);
	struct hba_unit stranger = {.name = "ld9"};
	struct job *job;

#define REFUSED(make, change, code)                                                                          \
	do {                                                                                                 \
		job = make;                                                                                  \
		change;                                                                                      \
		job_try(job);                                                                                \
		ck_assert_int_eq(job_submitted(job), code);                                                  \
	} while (0)
#define RW job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 8)
	REFUSED(RW, job->tmpl.unit = NULL, -EINVAL);
	REFUSED(RW, job->tmpl.unit = &stranger, -EINVAL);
	REFUSED(RW, job->tmpl.timeout_ms = 0, -EINVAL);
	REFUSED(RW, job->tmpl.nblocks = 7, -EINVAL);
	REFUSED(RW, job->tmpl.block_size = 0, -EINVAL);
	REFUSED(RW, job->tmpl.block_size = 0x80000200; job->tmpl.nblocks = 0x800000, -EINVAL);
	REFUSED(RW, job->tmpl.xfer.dir = DMA_NONE, -EINVAL);
	REFUSED(RW, job->tmpl.xfer.len = 0, -EINVAL);
	REFUSED(RW, job->iov.iov_len = 4095, -EINVAL);
	REFUSED(job_rw(r, 0, 0, DMA_TO_DEVICE, 0, 257), (void)0, -E2BIG);
	REFUSED(job_cdb(r, 0, 0, tur, 6, DMA_NONE, 0), job->tmpl.cdb_len = 0, -EINVAL);
	REFUSED(job_cdb(r, 0, 0, tur, 6, DMA_NONE, 0), job->tmpl.cdb_len = 17, -EINVAL);
	REFUSED(job_flush(r, 0, 0), job->tmpl.xfer.dir = DMA_TO_DEVICE; job->tmpl.xfer.len = 1, -EINVAL);
	/* and nothing of them is left */
	ck_assert_uint_eq(hba_inflight(r->h), 0);
	ck_assert_uint_eq(r->h->core->lane[0].pool.n_free, r->h->core->lane[0].pool.n);
	ck_assert_uint_eq(r->h->core->lane[0].tags.n_free, r->h->core->lane[0].tags.n);
	rig_down(r);
}
END_TEST

/* --- scarcity --- */

START_TEST(no_slot_then_ready)
{
	struct rig *r = rig_new(GEN2);
	unsigned before;

	r->cfg.queue_depth = 2;
	rig_must_start(r);
	tell(r, hold, true);
	job_submit(job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 1));
	job_submit(job_rw(r, 1, 0, DMA_FROM_DEVICE, 1, 1));
	job_try(job_rw(r, 2, 0, DMA_FROM_DEVICE, 2, 1));
	ck_assert_int_eq(job_submitted(&r->job[2]), 1);
	before = __atomic_load_n(&r->n_ready, __ATOMIC_RELAXED);
	model_complete(r->model, 0);
	job_wait(&r->job[0]);
	rig_wait(__atomic_load_n(&r->n_ready, __ATOMIC_RELAXED) > before);
	job_submit(&r->job[2]);
	model_complete(r->model, 0);
	model_complete(r->model, 0);
	job_wait(&r->job[1]);
	job_wait(&r->job[2]);
	rig_down(r);
}
END_TEST

static void take_and_put_back(void *arg)
{
	struct rig *r = arg;
	struct hba_req *req = hba_req_get(r->h);

	ck_assert_ptr_nonnull(req);
	ck_assert_ptr_null(hba_req_get(r->h)); /* somebody else goes away empty-handed */
	__atomic_store_n(&r->n_ready, 0, __ATOMIC_RELAXED);
	hba_req_put(req);
}

START_TEST(slot_put_back_unused_is_news_to_who_missed_it)
{
	struct rig *r = rig_new(GEN2);

	r->cfg.queue_depth = 1;
	rig_must_start(r);
	rig_io(r, take_and_put_back, r);
	rig_wait(__atomic_load_n(&r->n_ready, __ATOMIC_RELAXED) == 1);
	rig_down(r);
}
END_TEST

static void greedy_ready(void *user)
{
	struct rig *r = user;

	__atomic_add_fetch(&r->n_ready, 1, __ATOMIC_RELAXED);
	if (job_submitted(&r->job[9]) != 0)
		job_submit_here(&r->job[9]);
}

static void be_greedy(void *arg)
{
	struct rig *r = arg;

	r->h->listener[0].ready = greedy_ready;
	job_submit_here(&r->job[9]);
}

START_TEST(no_bounce_memory_then_ready)
{
	struct rig *r = rig_new(GEN2);
	unsigned calls;

	r->cfg.bounce_bytes = 128 * 1024; /* one request of the largest size */
	rig_must_start(r);
	ck_assert_uint_eq(
		r->h->core->lane[0].pool.n, 80); /* but never less than the driver's first word needs */
	tell(r, hold, true);
	for (unsigned i = 0; i < 10; i++)
		job_submit(job_rw(r, 100 + i, 0, DMA_FROM_DEVICE, 0, 256));
	job_try(job_rw(r, 9, 0, DMA_FROM_DEVICE, 0, 1));
	ck_assert_int_eq(job_submitted(&r->job[9]), -EAGAIN);
	/* Who tries again whenever he is told gets no endless loop out of putting his slot back. */
	rig_io(r, be_greedy, r);
	clock_sleep_ms(50);
	calls = __atomic_load_n(&r->n_ready, __ATOMIC_RELAXED);
	ck_assert_uint_lt(calls, 20);
	model_complete(r->model, 3);
	rig_wait(job_submitted(&r->job[9]) == 0);
	rig_pump(r);
	job_wait(&r->job[9]);
	for (unsigned i = 0; i < 10; i++)
		job_wait(&r->job[100 + i]);
	rig_down(r);
}
END_TEST

/* --- hba_run, drain --- */

START_TEST(run_waits_for_the_answer)
{
	struct rig *r = rig_up(GEN2);
	struct job *w = job_rw(r, 0, 0, DMA_TO_DEVICE, 4, 4), *rd = job_rw(r, 1, 0, DMA_FROM_DEVICE, 4, 4);
	struct iovec iov[2];

	job_fill(w, 5);
	ck_assert_int_eq(hba_run(r->h, &w->tmpl), 0);
	ck_assert_int_eq(w->tmpl.result, HBA_DONE);
	iov[0] = (struct iovec){rd->buf, 700};
	iov[1] = (struct iovec){rd->buf + 700, 4 * 512 - 700};
	rd->tmpl.xfer.iov = iov;
	rd->tmpl.xfer.niov = 2;
	ck_assert_int_eq(hba_run(r->h, &rd->tmpl), 0);
	ck_assert_uint_eq(rd->tmpl.moved, 2048);
	ck_assert_mem_eq(rd->buf, w->buf, 2048);
	/* errors come back as results */
	rd->tmpl.lba = MODEL_LD_BLOCKS;
	ck_assert_int_eq(hba_run(r->h, &rd->tmpl), 0);
	ck_assert_uint_eq(rd->tmpl.scsi_status, 2);
	ck_assert_uint_eq(rd->tmpl.sense[12], 0x21);
	/* the caller's bugs as errors */
	rd->tmpl.nblocks = 3;
	ck_assert_int_eq(hba_run(r->h, &rd->tmpl), -EINVAL);
	iov[1].iov_len = 1;
	ck_assert_int_eq(hba_run(r->h, &rd->tmpl), -EINVAL);
	rig_down(r);
}
END_TEST

static void *run_main(void *arg)
{
	struct job *job = arg;

	job->submit_result = hba_run(job->rig->h, &job->tmpl);
	return NULL;
}

START_TEST(run_waits_for_a_slot)
{
	struct rig *r = rig_new(GEN2);
	pthread_t t;

	r->cfg.queue_depth = 1;
	rig_must_start(r);
	tell(r, hold, true);
	job_submit(job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 1));
	pthread_create(&t, NULL, run_main, job_rw(r, 1, 0, DMA_FROM_DEVICE, 0, 1));
	clock_sleep_ms(20);
	ck_assert_uint_eq(model_pending(r->model), 1);
	model_complete(r->model, 0);
	rig_wait(model_pending(r->model) == 1);
	model_complete(r->model, 0);
	pthread_join(t, NULL);
	ck_assert_int_eq(job_submitted(&r->job[1]), 0);
	ck_assert_int_eq(r->job[1].tmpl.result, HBA_DONE);
	rig_down(r);
}
END_TEST

START_TEST(drain_refuses_and_waits)
{
	struct rig *r = rig_up(GEN2);

	tell(r, hold, true);
	job_submit(job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 1));
	ck_assert_int_eq(hba_drain(r->h, 30), -ETIMEDOUT);
	job_try(job_rw(r, 1, 0, DMA_FROM_DEVICE, 0, 1));
	ck_assert_int_eq(job_submitted(&r->job[1]), 1);
	ck_assert_int_eq(hba_run(r->h, &r->job[1].tmpl), -ENODEV);
	model_complete(r->model, 0);
	ck_assert_int_eq(hba_drain(r->h, RIG_WAIT_MS), 0);
	job_wait(&r->job[0]);
	rig_down(r);
}
END_TEST

/* One at the controller, one that waits for a slot, and one that comes later; and what is not a run goes on. */
START_TEST(runs_can_be_ended)
{
	struct rig *r = rig_new(GEN2);
	pthread_t t[2];

	r->cfg.queue_depth = 2;
	rig_must_start(r);
	tell(r, hold, true);
	job_submit(job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 1));
	pthread_create(&t[0], NULL, run_main, job_rw(r, 1, 0, DMA_FROM_DEVICE, 0, 1));
	rig_wait(model_pending(r->model) == 2);
	pthread_create(&t[1], NULL, run_main, job_rw(r, 2, 0, DMA_FROM_DEVICE, 0, 1));
	clock_sleep_ms(10);
	hba_end_runs(r->h);
	hba_end_runs(r->h);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(t[i], NULL);
		ck_assert_int_eq(job_submitted(&r->job[1 + i]), -ENODEV);
	}
	ck_assert_int_eq(hba_run(r->h, &r->job[1].tmpl), -ENODEV);
	ck_assert_uint_eq(job_done(&r->job[0]), 0);
	model_complete(r->model, 0);
	job_ends(&r->job[0], HBA_DONE);
	ck_assert_uint_eq(stat_of(r, resets), 0);
	rig_down(r);
}
END_TEST

START_TEST(statistics_count)
{
	struct rig *r = rig_new(GEN2);
	struct hba_stats s;

	r->ladder.tick_ms = 3600 * 1000; /* nothing is found by looking: each answer takes its interrupt */
	rig_must_start(r);
	job_run_well(job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 1));
	job_run(job_flush(r, 1, 0));
	tell(r, io_status, 0x2e);
	job_run(job_rw(r, 2, 0, DMA_FROM_DEVICE, 0, 1));
	hba_get_stats(r->h, &s);
	ck_assert_uint_eq(s.requests, 3);
	ck_assert_uint_eq(s.flushes, 1);
	ck_assert_uint_eq(s.errors, 1);
	ck_assert_uint_ge(s.interrupts, 3);
	ck_assert_uint_eq(s.resets + s.timeouts + s.aborts + s.reissues, 0);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("requests");
	TCase *c = tcase_create("mfi");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, what_is_written_is_read, 0, 3);
	tcase_add_test(c, data_lies_in_several_iovecs);
	tcase_add_test(c, dpo_is_kept_out_of_ld_frames);
	tcase_add_test(c, four_k_blocks_go_as_cdb);
	tcase_add_test(c, system_drives_take_cdbs);
	tcase_add_loop_test(c, pass_through_reads_no_stale_data, 0, 3);
	tcase_add_test(c, command_without_data_has_a_dummy_element);
	tcase_add_loop_test(c, two_hundred_in_random_order, 0, 3);
	tcase_add_test(c, ring_wraps);
	tcase_add_loop_test(c, works_over_a_shared_line, 0, 3);
	tcase_add_test(c, lost_interrupt_costs_a_tick);
	tcase_add_test(c, firmware_status_is_mapped);
	tcase_add_test(c, sense_is_not_left_over);
	tcase_add_test(c, a_unit_that_was_without_power_is_counted);
	tcase_add_test(c, callers_bugs_are_refused);
	tcase_add_test(c, no_slot_then_ready);
	tcase_add_test(c, slot_put_back_unused_is_news_to_who_missed_it);
	tcase_add_test(c, no_bounce_memory_then_ready);
	tcase_add_test(c, run_waits_for_the_answer);
	tcase_add_test(c, run_waits_for_a_slot);
	tcase_add_test(c, runs_can_be_ended);
	tcase_add_test(c, drain_refuses_and_waits);
	tcase_add_test(c, statistics_count);
	suite_add_tcase(s, c);
	return run_suite(s);
}
