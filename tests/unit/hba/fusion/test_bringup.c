/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fusion controllers: start-up, IOC INIT, discovery, orderly end, and every step of it going wrong. */
#include <errno.h>
#include <string.h>

#include "hba/model_bytes.h"
#include "rig.h"
#include "tests/unit/run_suite.h"

START_TEST(starts_and_stops)
{
	static const struct {
		unsigned queues;
		const char *driver;
	} want[] = {
		{8, "megaraid-fusion sas2208"},
		{16, "megaraid-fusion sas3108"},
		{16, "megaraid-fusion sas35xx"},
		{16, "megaraid-fusion sas39xx"},
	};
	struct rig *r = rig_up((enum model_gen)_i);

	ck_assert_str_eq(r->h->info.driver, want[_i].driver);
	ck_assert_str_eq(r->h->info.product, "AVAGO MegaRAID MODEL");
	ck_assert_str_eq(r->h->info.serial, "SV12345678");
	ck_assert(r->h->info.battery_present);
	ck_assert_uint_eq(r->h->info.cache_mb, 2048);
	ck_assert_uint_eq(seen(r, fn.n_irqs), want[_i].queues);
	ck_assert_int_eq(seen(r, fn.irq_kind), PCI_IRQ_MSIX);
	ck_assert_uint_eq(seen(r, n_init), 1);
	ck_assert_uint_eq(seen(r, n_chip_reset), 0);
	ck_assert_uint_eq(r->h->n_units, 3);
	ck_assert_str_eq(r->h->unit[LD0].name, "ld0");
	ck_assert_str_eq(r->h->unit[LD5].name, "ld5");
	ck_assert_str_eq(r->h->unit[PD8].name, "pd8");
	ck_assert_str_eq(r->h->unit[LD0].raid, "RAID 5");
	ck_assert_uint_eq(r->h->unit[PD8].blocks, MODEL_BLOCKS);
	hba_stop(r->h);
	assert_last_flushes(r, 1);
	ck_assert_uint_eq(seen(r, n_mfi_abort), 1);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	rig_down(r);
}
END_TEST

/* Offsets and values of [5.4] and [5.3]; the model looks at the rest of it. */
START_TEST(ioc_init_says_what_is_so)
{
	static const struct {
		uint32_t vectors, depth, caps;
	} want[] = {
		{8, 800, 0x1148},   /* 2 x 400 */
		{16, 1024, 0x11ca}, /* 500 by pad 2: 2 x 512; more vectors, extended depth */
		{16, 800, 0x114a},
		{16, 800, 0x114a},
	};
	struct rig *r = rig_up((enum model_gen)_i);
	const struct model *m = r->model;

	ck_assert_uint_eq(m->ioc_init[0x17], want[_i].vectors);
	ck_assert_uint_eq(m->ioc_init[0x1c] | (unsigned)m->ioc_init[0x1d] << 8, want[_i].depth);
	ck_assert_uint_eq(le32_at(m->init_frame + 4), want[_i].caps);
	ck_assert_uint_eq(m->ioc_init[0x07], 0);
	rig_down(r);
}
END_TEST

START_TEST(limits_follow_the_offer)
{
	struct rig *r = rig_new(INVADER);
	const struct hba_limits *l;

	rig_must_start(r);
	l = &r->h->limits;
	/* 4 KiB of chain: 8 + 256 - 2 is 256 as a power of two, 128 is what the core takes; 400 - 3 commands */
	ck_assert_uint_eq(l->max_segments, 128);
	ck_assert_uint_eq(l->queue_depth, 397);
	/* 16 sectors x 168 strips is more than 256 x 8 sectors: 1 MiB */
	ck_assert_uint_eq(l->max_transfer, 1 << 20);
	ck_assert_uint_eq(l->control_addr_max, UINT32_MAX);
	ck_assert_uint_eq(l->data_addr_max, UINT64_MAX >> 1);
	rig_down(r);
}
END_TEST

START_TEST(small_offers_are_obeyed)
{
	struct rig *r = rig_new(INVADER);

	r->model->pad1 = 0x00000000; /* one queue, no chain size: 1 KiB */
	r->model->ext_cmds = 0;
	r->model->fw_cmds = 128;
	r->model->info_sge = 40;
	rig_must_start(r);
	ck_assert_uint_eq(seen(r, fn.n_irqs), 1);
	ck_assert_uint_eq(r->h->limits.max_segments, 40);
	ck_assert_uint_eq(r->h->limits.max_transfer, 64 * 4096);
	/* 127 numbers, 10 of the driver's own, 16 free */
	ck_assert_uint_eq(r->h->limits.queue_depth, 101);
	ck_assert_uint_eq(le32_at(r->model->init_frame + 4), 0x104a);
	rig_down(r);
}
END_TEST

START_TEST(without_msix_one_queue_and_the_line_is_enough)
{
	struct rig *r = rig_new(INVADER);
	struct job *j;

	r->model->no_msix = true;
	r->model->fn.pci.n_vectors[PCI_IRQ_MSI] = 0;
	rig_must_start(r);
	ck_assert_int_eq(seen(r, fn.irq_kind), PCI_IRQ_INTX);
	j = job_rw(r, 0, LD0, DMA_FROM_DEVICE, 0, 8);
	ck_assert_int_eq(job_run(j)->result, HBA_DONE);
	ck_assert_uint_gt(seen(r, fn.n_unmask), 0);
	rig_down(r);
}
END_TEST

/* More queues than one register serves: where the chip is that old there is one register all the same. */
START_TEST(an_old_chip_with_many_queues_has_one_host_index)
{
	struct rig *r = rig_new(THUNDERBOLT);

	r->model->pad1 |= 0x1f;
	rig_must_start(r);
	ck_assert_uint_eq(seen(r, fn.n_irqs), 16);
	/* More than the queue holds: a host index that does not arrive stops it. */
	for (unsigned n = 0; n < 2000; n++) {
		struct job *j = job_cdb(r, n % 50, LD0, (const uint8_t[6]){0}, 6, DMA_NONE, 0);

		ck_assert_int_eq(job_run(j)->result, HBA_DONE);
	}
	rig_down(r);
}
END_TEST

START_TEST(walks_through_the_states_of_start_up)
{
	static const uint32_t states[] = {0x0, 0x1, 0x4, 0x6};
	struct rig *r = rig_new(INVADER);

	memcpy(r->model->boot, states, sizeof(states));
	r->model->boot_n = ARRAY_SIZE(states);
	r->model->busy_reads = 3;
	rig_must_start(r);
	ck_assert_uint_eq(seen(r, n_chip_reset), 0);
	ck_assert_uint_eq(seen(r, busy_reads), 0);
	rig_down(r);
}
END_TEST

START_TEST(takes_over_from_a_dead_driver)
{
	struct rig *r = rig_new(INVADER);

	r->model->state = 0xc;
	rig_must_start(r);
	ck_assert_uint_eq(seen(r, n_soft_reset), 1);
	ck_assert_uint_eq(seen(r, n_chip_reset), 0);
	rig_down(r);
}
END_TEST

START_TEST(a_fault_is_cured_by_a_chip_reset)
{
	struct rig *r = rig_new((enum model_gen)_i);

	r->model->state = 0xf;
	rig_must_start(r);
	ck_assert_uint_eq(seen(r, n_chip_reset), 1);
	rig_down(r);
}
END_TEST

/* What firmware or the chip does (0: as usual), and how the start ends for it. */
static const struct failure {
	bool gone, chip_dead, init_silent, silent_dcmd;
	uint8_t init_status, dcmd_status;
	uint32_t state, fault_bits, fw_cmds, ld_count;
	unsigned busy_reads;
	struct mfi_times times;
	int error;	  /* 0: any */
	const char *word; /* in its sentence */
	bool attached;	  /* that much went well */
	unsigned init, chip_reset;
} failures[] = {
	{.gone = true, .error = -ENODEV},
	{.fw_cmds = 40, .error = -EIO, .word = "40 commands"},
	{.state = 0xf, .fault_bits = 0x01230001, .word = "FAULT (code 123h)"},
	{.state = 0xf, .chip_dead = true, .times.diag_end = 20, .word = "power-cycle", .chip_reset = 1},
	{.attached = true, .busy_reads = UINT32_MAX, .times.diag = 20, .error = -ETIMEDOUT},
	{.attached = true, .init_status = 0x03, .error = -EIO, .word = "IOC INIT", .init = 1},
	{.attached = true, .init_silent = true, .times.dcmd = 20, .error = -ETIMEDOUT, .init = 1},
	{.attached = true, .silent_dcmd = true, .times.dcmd = 100, .word = "CTRL_GET_INFO", .init = 1},
	{.attached = true, .dcmd_status = 0x03, .error = -EIO, .init = 1},
	{.attached = true, .ld_count = 65, .error = -EIO, .word = "65 logical drives", .init = 1},
};

static void make_it_fail(struct rig *r, const struct failure *f)
{
	struct model *m = r->model;

	m->fn.gone = f->gone;
	m->chip_dead = f->chip_dead;
	m->init_silent = f->init_silent;
	m->silent_dcmd = f->silent_dcmd;
	m->init_status = f->init_status;
	m->dcmd_status = f->dcmd_status;
	m->ld_count = f->ld_count;
	m->busy_reads = f->busy_reads;
	m->state = f->state ? f->state : m->state;
	m->fault_bits = f->fault_bits ? f->fault_bits : m->fault_bits;
	if (f->fw_cmds) {
		m->fw_cmds = f->fw_cmds;
		m->ext_cmds = 0;
	}
	if (f->times.diag)
		rig_times(r)->diag = f->times.diag;
	if (f->times.diag_end)
		rig_times(r)->diag_end = f->times.diag_end;
	if (f->times.dcmd)
		rig_times(r)->dcmd = f->times.dcmd;
}

START_TEST(a_start_that_cannot_succeed_fails_with_its_cause)
{
	const struct failure *f = &failures[_i % ARRAY_SIZE(failures)];
	struct rig *r = rig_new((enum model_gen)(_i / ARRAY_SIZE(failures)));

	make_it_fail(r, f);
	if (f->attached)
		rig_must_not_start(r, f->error, f->word);
	else
		rig_must_not_attach(r, f->error, f->word);
	ck_assert_uint_eq(seen(r, n_init), f->init);
	ck_assert_uint_eq(seen(r, n_chip_reset), f->chip_reset);
	rig_down(r);
}
END_TEST

/* The model checks that the list is asked for in the larger format. */
START_TEST(firmware_with_many_drives)
{
	struct rig *r = rig_new(INVADER);

	r->model->many_lds = true;
	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_units, 3);
	rig_down(r);
}
END_TEST

START_TEST(a_refused_shutdown_is_no_disaster)
{
	struct rig *r = rig_up(INVADER);

	tell(r, flush_status, 0x15);
	tell(r, stop_status, 0x30);
	hba_stop(r->h);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fusion bring-up");
	TCase *t = tcase_create("set-up");

	log_set_level(LOG_LV_ERR);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, starts_and_stops, 0, 4);
	tcase_add_loop_test(t, ioc_init_says_what_is_so, 0, 4);
	tcase_add_test(t, limits_follow_the_offer);
	tcase_add_test(t, small_offers_are_obeyed);
	tcase_add_test(t, an_old_chip_with_many_queues_has_one_host_index);
	tcase_add_test(t, without_msix_one_queue_and_the_line_is_enough);
	tcase_add_test(t, walks_through_the_states_of_start_up);
	tcase_add_test(t, takes_over_from_a_dead_driver);
	tcase_add_loop_test(t, a_fault_is_cured_by_a_chip_reset, 0, 4);
	tcase_add_loop_test(
		t, a_start_that_cannot_succeed_fails_with_its_cause, 0, 4 * (int)ARRAY_SIZE(failures));
	tcase_add_test(t, firmware_with_many_drives);
	tcase_add_test(t, a_refused_shutdown_is_no_disaster);
	suite_add_tcase(s, t);
	return run_suite(s);
}
