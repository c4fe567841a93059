/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fusion controllers: start-up, IOC INIT, discovery, orderly end, and every step of it going wrong. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

static uint32_t at32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

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
	ck_assert_uint_eq(seen(r, n_flush), 1);
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
	ck_assert_uint_eq(at32(m->init_frame + 4), want[_i].caps);
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
	ck_assert_uint_eq(at32(r->model->init_frame + 4), 0x104a);
	rig_down(r);
}
END_TEST

START_TEST(too_few_commands_are_refused)
{
	struct rig *r = rig_new(VENTURA);

	r->model->fw_cmds = 40;
	ck_assert_int_eq(rig_attach(r), -EIO);
	ck_assert_ptr_nonnull(strstr(r->e.text, "40 commands"));
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
	job_submit(j);
	job_wait(j);
	ck_assert_int_eq(j->result, HBA_DONE);
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

		job_submit(j);
		job_wait(j);
		ck_assert_int_eq(j->result, HBA_DONE);
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

START_TEST(a_fault_that_forbids_the_reset_is_told)
{
	struct rig *r = rig_new(INVADER);

	r->model->state = 0xf;
	r->model->fault_bits = 0x01230001;
	ck_assert_int_lt(rig_attach(r), 0);
	ck_assert_ptr_nonnull(strstr(r->e.text, "FAULT (code 123h)"));
	ck_assert_uint_eq(seen(r, n_chip_reset), 0);
	rig_down(r);
}
END_TEST

START_TEST(a_chip_that_does_not_come_back_is_told)
{
	struct rig *r = rig_new(INVADER);

	rig_times(r)->diag_end = 20;
	r->model->state = 0xf;
	r->model->chip_dead = true;
	ck_assert_int_lt(rig_attach(r), 0);
	ck_assert_ptr_nonnull(strstr(r->e.text, "power-cycle"));
	rig_down(r);
}
END_TEST

START_TEST(nobody_there)
{
	struct rig *r = rig_new(INVADER);

	r->model->fn.gone = true;
	ck_assert_int_eq(rig_attach(r), -ENODEV);
	rig_down(r);
}
END_TEST

START_TEST(init_that_is_refused)
{
	struct rig *r = rig_new(INVADER);

	r->model->init_status = 0x03;
	ck_assert_int_eq(rig_start(r), -EIO);
	ck_assert_ptr_nonnull(strstr(r->e.text, "IOC INIT"));
	ck_assert(!seen(r, fn.bus_master));
	rig_down(r);
}
END_TEST

START_TEST(init_that_is_never_answered)
{
	struct rig *r = rig_new(INVADER);

	rig_times(r)->dcmd = 20;
	r->model->init_silent = true;
	ck_assert_int_eq(rig_start(r), -ETIMEDOUT);
	rig_down(r);
}
END_TEST

START_TEST(doorbell_that_stays_busy)
{
	struct rig *r = rig_new(INVADER);

	rig_times(r)->diag = 20;
	r->model->busy_reads = UINT32_MAX;
	ck_assert_int_eq(rig_start(r), -ETIMEDOUT);
	ck_assert_uint_eq(seen(r, n_init), 0);
	rig_down(r);
}
END_TEST

START_TEST(management_that_is_never_answered)
{
	struct rig *r = rig_new(INVADER);

	rig_times(r)->dcmd = 100;
	r->model->silent_dcmd = true;
	ck_assert_int_lt(rig_start(r), 0);
	ck_assert_ptr_nonnull(strstr(r->e.text, "CTRL_GET_INFO"));
	rig_down(r);
}
END_TEST

START_TEST(management_that_is_refused)
{
	struct rig *r = rig_new(INVADER);

	r->model->dcmd_status = 0x03;
	ck_assert_int_eq(rig_start(r), -EIO);
	rig_down(r);
}
END_TEST

START_TEST(more_drives_than_there_can_be)
{
	struct rig *r = rig_new(INVADER);

	r->model->ld_count = 65;
	ck_assert_int_eq(rig_start(r), -EIO);
	ck_assert_ptr_nonnull(strstr(r->e.text, "65 logical drives"));
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
	SRunner *sr;
	int failed;

	log_set_level(LOG_LV_ERR);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, starts_and_stops, 0, 4);
	tcase_add_loop_test(t, ioc_init_says_what_is_so, 0, 4);
	tcase_add_test(t, limits_follow_the_offer);
	tcase_add_test(t, small_offers_are_obeyed);
	tcase_add_test(t, too_few_commands_are_refused);
	tcase_add_test(t, an_old_chip_with_many_queues_has_one_host_index);
	tcase_add_test(t, without_msix_one_queue_and_the_line_is_enough);
	tcase_add_test(t, walks_through_the_states_of_start_up);
	tcase_add_test(t, takes_over_from_a_dead_driver);
	tcase_add_loop_test(t, a_fault_is_cured_by_a_chip_reset, 0, 4);
	tcase_add_test(t, a_fault_that_forbids_the_reset_is_told);
	tcase_add_test(t, a_chip_that_does_not_come_back_is_told);
	tcase_add_test(t, nobody_there);
	tcase_add_test(t, init_that_is_refused);
	tcase_add_test(t, init_that_is_never_answered);
	tcase_add_test(t, doorbell_that_stays_busy);
	tcase_add_test(t, management_that_is_never_answered);
	tcase_add_test(t, management_that_is_refused);
	tcase_add_test(t, more_drives_than_there_can_be);
	tcase_add_test(t, firmware_with_many_drives);
	tcase_add_test(t, a_refused_shutdown_is_no_disaster);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
