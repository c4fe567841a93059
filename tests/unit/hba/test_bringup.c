/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From any state of firmware to a running controller, and back. */
#include "rig.h"
#include "tests/unit/run_suite.h"

#include <errno.h>
#include <string.h>

static const enum model_gen gens[] = {GEN1, GEN2, SKINNY};

START_TEST(starts_and_stops_from_ready)
{
	struct rig *r = rig_up(gens[_i]);

	ck_assert_int_eq(hba_state(r->h), HBA_RUNNING);
	ck_assert_uint_eq(seen(r, n_init), 1);
	ck_assert_uint_eq(seen(r, n_adapter_reset), 0);
	ck_assert(seen(r, fn.bus_master) && seen(r, fn.irq_on));
	ck_assert_int_eq(seen(r, fn.irq_kind), PCI_IRQ_MSIX);
	ck_assert_str_eq(r->h->info.product, "LSI MegaRAID MODEL");
	hba_stop(r->h);
	ck_assert_int_eq(hba_state(r->h), HBA_DOWN);
	/* Orderly: flush, then shutdown, then quiet. */
	ck_assert_uint_eq(seen(r, n_flush), 1);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	ck_assert(!seen(r, fn.bus_master) && !seen(r, fn.irq_on));
	rig_down(r);
}
END_TEST

START_TEST(declares_limits)
{
	struct rig *r = rig_up(GEN2);
	const struct hba_limits *l = &r->h->limits;

	ck_assert_uint_eq(
		l->queue_depth, 400 - 1 - 6); /* the ring's one, and six frames of the driver's own */
	ck_assert_uint_eq(l->max_segments, 80);
	ck_assert_uint_eq(l->max_transfer, 256 * 512); /* IEEE SGLs */
	ck_assert_uint_eq(l->control_addr_max, UINT32_MAX);
	ck_assert_uint_eq(l->max_cdb, 16);
	ck_assert(!r->h->fua_native);
	rig_down(r);
}
END_TEST

START_TEST(depth_is_capped)
{
	struct rig *r = rig_new(GEN2);

	r->cfg.queue_depth = 7;
	rig_must_start(r);
	ck_assert_uint_eq(r->h->limits.queue_depth, 7);
	rig_down(r);
	r = rig_new(GEN2);
	tell(r, fw_cmds, 4000);
	rig_must_start(r);
	ck_assert_uint_eq(r->h->limits.queue_depth, 1024);
	rig_down(r);
}
END_TEST

START_TEST(polled_commands_need_not_be_posted)
{
	struct rig *r = rig_new(gens[_i]);

	r->model->real_dont_post = true;
	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_units, 3);
	hba_stop(r->h);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	rig_down(r);
}
END_TEST

/* H9: the controller is quiet before anything is started. */
START_TEST(takes_over_from_a_dead_driver)
{
	struct rig *r = rig_new(gens[_i]);

	/* OPERATIONAL, with a queue in memory that is not ours and a command in flight */
	r->model->state = 0xc;
	r->model->queue_active = true;
	r->model->ring = 0xdead0000;
	r->model->n_pending = 1;
	ck_assert_int_eq(rig_attach(r), 0);
	ck_assert_uint_eq(seen(r, state), 0xb);
	ck_assert_uint_eq(seen(r, n_pending), 0);
	ck_assert_uint_eq(seen(r, n_init), 0);
	ck_assert(!seen(r, fn.bus_master));
	ck_assert_int_eq(hba_start(r->h, &r->e), 0);
	rig_down(r);
}
END_TEST

START_TEST(starts_again_after_shutdown)
{
	struct rig *r = rig_up(gens[_i]);

	hba_close(r->h);
	r->open = false;
	ck_assert(seen(r, closed)); /* INIT says OK and does nothing until a soft reset */
	rig_must_start(r);
	ck_assert_int_eq(hba_state(r->h), HBA_RUNNING);
	ck_assert_uint_eq(seen(r, n_init), 2);
	rig_down(r);
}
END_TEST

START_TEST(answers_handshake_and_boot_message)
{
	static const uint32_t state[] = {0x6, 0x9};
	struct rig *r = rig_new(gens[_i / 2]);

	r->model->state = state[_i % 2];
	rig_must_start(r);
	rig_down(r);
}
END_TEST

START_TEST(waits_while_firmware_makes_progress)
{
	struct rig *r = rig_new(GEN2);
	static const uint32_t boot[] = {0x0, 0x1, 0x4, 0x7, 0x8, 0xa, 0xb};

	memcpy(r->model->boot, boot, sizeof(boot));
	r->model->boot_n = ARRAY_SIZE(boot);
	rig_must_start(r);
	rig_down(r);
}
END_TEST

START_TEST(fault_is_cured_by_one_adapter_reset)
{
	struct rig *r = rig_new(gens[_i]);

	/* At once: FAULT does not go away by waiting. Who waits runs into the test's own time limit. */
	rig_times(r)->state = rig_times(r)->bring_up = 3600 * 1000;
	r->model->state = 0xf;
	rig_must_start(r);
	ck_assert_uint_eq(seen(r, n_adapter_reset), 1);
	rig_down(r);
}
END_TEST

START_TEST(fault_that_stays_fails)
{
	struct rig *r = rig_new(gens[_i]);

	r->model->state = 0xf;
	tell(r, adapter_faults, UINT32_MAX);
	rig_must_not_attach(r, -EIO, NULL);
	ck_assert_uint_eq(seen(r, n_adapter_reset), 1);
	ck_assert_ptr_nonnull(strstr(r->e.text, "FAULT"));
	ck_assert_ptr_nonnull(strstr(r->e.text, "power-cycle"));
	ck_assert(!seen(r, fn.bus_master));
	rig_down(r);
}
END_TEST

START_TEST(dead_adapter_reset_fails)
{
	struct rig *r = rig_new(GEN2);

	r->model->state = 0xf;
	tell(r, adapter_dead, true);
	rig_must_not_attach(r, -EIO, NULL);
	rig_down(r);
}
END_TEST

START_TEST(stuck_state_times_out)
{
	struct rig *r = rig_new(GEN2);

	r->model->state = 0x4; /* FW_INIT for ever */
	tell(r, adapter_dead, true);
	rig_must_not_attach(r, -EIO, "FW_INIT");
	rig_down(r);
	/* OPERATIONAL that ignores doorbell and mask, and an adapter reset that brings the same back */
	r = rig_new(SKINNY);
	r->model->state = 0xc;
	tell(r, stuck, true);
	rig_must_start(r);
	ck_assert_uint_eq(seen(r, n_adapter_reset), 1);
	rig_down(r);
}
END_TEST

START_TEST(unknown_state_fails)
{
	struct rig *r = rig_new(GEN2);

	r->model->state = 0xd;
	tell(r, adapter_dead, true);
	rig_must_not_attach(r, 0, "unknown state dh");
	rig_down(r);
}
END_TEST

START_TEST(all_ones_is_no_device)
{
	struct rig *r = rig_new(GEN2);

	r->model->fn.gone = true;
	rig_must_not_attach(r, -ENODEV, NULL);
	ck_assert_uint_eq(seen(r, n_adapter_reset), 0);
	rig_down(r);
}
END_TEST

START_TEST(refused_init_fails)
{
	struct rig *r = rig_new(GEN2);

	tell(r, init_status, 0x03);
	rig_must_not_start(r, -EIO, "INIT");
	ck_assert_ptr_nonnull(strstr(r->e.text, "03h"));
	ck_assert(!seen(r, fn.bus_master));
	rig_down(r);
}
END_TEST

START_TEST(silent_init_fails_in_time)
{
	struct rig *r = rig_new(GEN2);

	rig_times(r)->dcmd = 30;
	tell(r, init_silent, true);
	rig_must_not_start(r, -ETIMEDOUT, NULL);
	rig_down(r);
}
END_TEST

START_TEST(silent_dcmd_fails_in_time)
{
	struct rig *r = rig_new(GEN2);

	rig_times(r)->dcmd = 30;
	r->model->silent_dcmd = 1;
	rig_must_not_start(r, 0, "CTRL_GET_INFO");
	rig_down(r);
}
END_TEST

START_TEST(falls_back_to_msi_and_intx)
{
	struct rig *r = rig_new(GEN2);

	r->model->fn.pci.n_vectors[PCI_IRQ_MSIX] = 0;
	rig_must_start(r);
	ck_assert_int_eq(seen(r, fn.irq_kind), PCI_IRQ_MSI);
	rig_down(r);
	r = rig_new(GEN2);
	r->model->fn.pci.n_vectors[PCI_IRQ_MSIX] = r->model->fn.pci.n_vectors[PCI_IRQ_MSI] = 0;
	rig_must_start(r);
	ck_assert_int_eq(seen(r, fn.irq_kind), PCI_IRQ_INTX);
	rig_down(r);
	r = rig_new(GEN2);
	memset(r->model->fn.pci.n_vectors, 0, sizeof(r->model->fn.pci.n_vectors));
	rig_must_not_start(r, 0, "interrupt");
	rig_down(r);
}
END_TEST

START_TEST(every_failing_mapping_unwinds)
{
	/* frames, sense, control, bounce: four mappings */
	for (unsigned n = 0; n < 4; n++) {
		struct rig *r = rig_new(GEN2);

		r->model->fn.pci.dma_map_limit = n;
		rig_must_not_attach(r, 0, NULL);
		for (unsigned i = 0; i < ARRAY_SIZE(r->model->fn.map); i++)
			ck_assert_uint_eq(r->model->fn.map[i].size, 0);
		rig_down(r);
	}
}
END_TEST

START_TEST(unknown_id_lists_what_is_supported)
{
	struct rig *r = rig_new(GEN2);

	r->model->fn.pci.id.device = 0x0099;
	ck_assert_int_eq(rig_create(r), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(r->e.text, "1000:0099"));
	ck_assert_ptr_nonnull(strstr(r->e.text, "SAS1078"));
	ck_assert_ptr_nonnull(strstr(r->e.text, "SAS2108"));
	rig_down(r);
}
END_TEST

START_TEST(small_or_missing_bar_is_refused)
{
	struct rig *r = rig_new(GEN2);

	r->model->fn.pci.bar[1].size = 4096;
	rig_must_not_attach(r, -EIO, NULL);
	rig_down(r);
	r = rig_new(GEN2);
	r->model->fn.pci.bar[1].size = 0;
	rig_must_not_attach(r, -EIO, NULL);
	rig_down(r);
}
END_TEST

START_TEST(too_few_commands_are_refused)
{
	struct rig *r = rig_new(GEN2);

	tell(r, fw_cmds, 7);
	rig_must_not_attach(r, -EIO, NULL);
	rig_down(r);
	r = rig_new(GEN2);
	r->model->fw_cmds = 8; /* one request at a time */
	rig_must_start(r);
	ck_assert_uint_eq(r->h->limits.queue_depth, 1);
	rig_down(r);
}
END_TEST

START_TEST(shutdown_that_is_refused_still_ends_quiet)
{
	struct rig *r = rig_up(GEN2);

	tell(r, flush_status, 0x15);
	hba_stop(r->h);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	ck_assert(!seen(r, fn.bus_master));
	rig_down(r);
}
END_TEST

static void *run_loop(void *arg)
{
	loop_run(arg);
	return NULL;
}

START_TEST(stops_after_the_io_thread_was_joined)
{
	struct rig *r = rig_up(GEN2);

	loop_stop(r->loop);
	pthread_join(r->io, NULL);
	hba_stop(r->h);
	ck_assert_uint_eq(seen(r, n_shutdown), 1);
	/* for rig_down() */
	hba_close(r->h);
	r->open = false;
	ck_assert_int_eq(pthread_create(&r->io, NULL, run_loop, r->loop), 0);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bring-up");
	TCase *c = tcase_create("mfi");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, starts_and_stops_from_ready, 0, 3);
	tcase_add_test(c, declares_limits);
	tcase_add_test(c, depth_is_capped);
	tcase_add_loop_test(c, polled_commands_need_not_be_posted, 0, 3);
	tcase_add_loop_test(c, takes_over_from_a_dead_driver, 0, 3);
	tcase_add_loop_test(c, starts_again_after_shutdown, 0, 3);
	tcase_add_loop_test(c, answers_handshake_and_boot_message, 0, 6);
	tcase_add_test(c, waits_while_firmware_makes_progress);
	tcase_add_loop_test(c, fault_is_cured_by_one_adapter_reset, 0, 3);
	tcase_add_loop_test(c, fault_that_stays_fails, 0, 3);
	tcase_add_test(c, dead_adapter_reset_fails);
	tcase_add_test(c, stuck_state_times_out);
	tcase_add_test(c, unknown_state_fails);
	tcase_add_test(c, all_ones_is_no_device);
	tcase_add_test(c, refused_init_fails);
	tcase_add_test(c, silent_init_fails_in_time);
	tcase_add_test(c, silent_dcmd_fails_in_time);
	tcase_add_test(c, falls_back_to_msi_and_intx);
	tcase_add_test(c, every_failing_mapping_unwinds);
	tcase_add_test(c, unknown_id_lists_what_is_supported);
	tcase_add_test(c, small_or_missing_bar_is_refused);
	tcase_add_test(c, too_few_commands_are_refused);
	tcase_add_test(c, shutdown_that_is_refused_still_ends_quiet);
	tcase_add_test(c, stops_after_the_io_thread_was_joined);
	suite_add_tcase(s, c);
	return run_suite(s);
}
