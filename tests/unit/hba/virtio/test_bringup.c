/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capabilities, negotiation, limits, discovery, interrupts, the end. */
#include "rig.h"
#include "tests/unit/run_suite.h"

#include <errno.h>
#include <string.h>

#define NEED_1	UINT64_C(0x100000000) /* VERSION_1 */
#define NEED_AP UINT64_C(0x200000000) /* ACCESS_PLATFORM */

static void expect_attach_fails(struct rig *r, int error, const char *word)
{
	rig_must_not_attach(r, error, word);
	/* It was left reset, with nothing enabled. */
	rig_down(r);
}

static void expect_start_fails(struct rig *r, int error, const char *word)
{
	rig_must_not_start(r, error, word);
	rig_down(r);
}

/* --- a good device --- */

START_TEST(units_are_found)
{
	struct rig *r = rig_up();
	struct hba *h = r->h;

	ck_assert_uint_eq(h->n_units, 3); /* the tape is none */
	ck_assert_str_eq(h->unit[0].name, "t0l0");
	ck_assert_str_eq(h->unit[1].name, "t0l1");
	ck_assert_str_eq(h->unit[2].name, "t3l300");
	ck_assert_uint_eq(h->unit[2].target, 3);
	ck_assert_uint_eq(h->unit[2].index, 2);
	ck_assert_int_eq(h->unit[0].kind, HBA_UNIT_PD);
	ck_assert_int_eq(h->unit[0].state, HBA_UNIT_OPTIMAL);
	ck_assert_uint_eq(h->unit[0].blocks, 8192);
	ck_assert(h->unit[0].disk_cache);
	ck_assert(!h->unit[0].write_back);
	ck_assert(h->fua_native);
	ck_assert_uint_eq(r->model->fn.irq_kind, PCI_IRQ_MSIX);
	ck_assert(strlen(h->info.product) > 0 && strlen(h->info.firmware) > 0);
	rig_down(r);
}
END_TEST

START_TEST(features_taken_are_those_that_are_known)
{
	struct rig *r = rig_up();

	/* offered: INOUT HOTPLUG CHANGE INDIRECT EVENT_IDX VERSION_1 ACCESS_PLATFORM RING_PACKED */
	ck_assert_uint_eq(seen(r, accepted), 0x6 | UINT64_C(0x10000000) | NEED_1 | NEED_AP);
	rig_down(r);
}
END_TEST

START_TEST(limits_follow_the_device)
{
	static const struct {
		uint32_t seg_max, sectors, per_lun;
		uint16_t size;
		bool indirect;
		uint32_t segs, transfer, depth;
	} t[] = {
		{126, 0xffff, 1024, 256, true, 126, 126 * 16384, 255},
		{1000, 0xffff, 1024, 256, true, 128, 128 * 16384, 255},
		{1000, 0xffff, 1024, 64, true, 62, 62 * 16384, 63}, /* no chain is longer than the queue */
		{1, 0xffff, 128, 256, true, 1, 16384, 255},
		{126, 1024, 1024, 256, true, 126, 524288, 255},
		{126, 1023, 1024, 256, true, 126, 520192, 255}, /* whole 4 KiB */
		{126, 1, 1024, 256, true, 126, 4096, 255},
		{126, 0, 0, 4096, true, 126, 126 * 16384, 1023},
		{126, 0xffff, 1024, 256, false, 32, 32 * 16384, 6}, /* 256 / 34 is 7, one is set-up's */
		{126, 0xffff, 1024, 8, false, 2, 32768, 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct rig *r = rig_new();
		const struct hba_limits *l;

		model_config32(r->model, 0x04, t[i].seg_max);
		model_config32(r->model, 0x08, t[i].sectors);
		model_config32(r->model, 0x0c, t[i].per_lun);
		r->model->queue[2].max = t[i].size;
		if (!t[i].indirect)
			r->model->offered &= ~UINT64_C(0x10000000);
		ck_assert_msg(rig_start(r) == 0, "%zu: %s", i, r->e.text);
		l = &r->h->limits;
		ck_assert_msg(l->max_segments == t[i].segs && l->max_transfer == t[i].transfer &&
				      l->queue_depth == t[i].depth,
			"%zu: %u segments, %u bytes, %u commands", i, l->max_segments, l->max_transfer,
			l->queue_depth);
		ck_assert_uint_eq(l->max_cdb, 32);
		rig_down(r);
	}
}
END_TEST

START_TEST(device_left_running_is_reset_first)
{
	struct rig *r = rig_new();

	r->model->status = 0x0f;
	r->model->reset_slow = 3;
	r->model->fails_anew = 1;
	rig_must_start(r);
	ck_assert_uint_ge(seen(r, n_reset), 2);
	rig_down(r);
}
END_TEST

START_TEST(transitional_device_that_is_modern)
{
	struct rig *r = rig_new();

	r->model->fn.pci.id.device = 0x1004;
	rig_must_start(r);
	rig_down(r);
}
END_TEST

START_TEST(served_device_needs_no_iommu)
{
	struct rig *r = rig_new();

	r->model->offered &= ~NEED_AP;
	r->model->fn.pci.dma_unpinned = true;
	rig_must_start(r);
	rig_down(r);
}
END_TEST

START_TEST(configuration_is_read_in_one_piece)
{
	struct rig *r = rig_new();

	r->model->restless = 7;
	rig_must_start(r);
	rig_down(r);
}
END_TEST

START_TEST(sizes_of_cdb_and_sense_are_set)
{
	struct rig *r = rig_new();

	model_config32(r->model, 0x14, 252);
	model_config32(r->model, 0x18, 16);
	rig_must_start(r);
	ck_assert_uint_eq(r->model->live[0x14], 96);
	ck_assert_uint_eq(r->model->live[0x18], 32);
	rig_down(r);
}
END_TEST

START_TEST(shared_line_when_there_is_no_msix)
{
	struct rig *r = rig_new();
	struct job *job;

	r->model->fn.pci.n_vectors[PCI_IRQ_MSIX] = 0;
	rig_must_start(r);
	ck_assert_uint_eq(r->model->fn.irq_kind, PCI_IRQ_INTX);
	job = job_rw(r, 0, 0, DMA_FROM_DEVICE, 0, 1);
	ck_assert_int_eq(job_run(job)->result, HBA_DONE);
	rig_wait(seen(r, fn.n_unmask) > 0);
	ck_assert_uint_eq(seen(r, isr), 0);
	rig_down(r);
}
END_TEST

START_TEST(not_all_units_know_fua)
{
	struct rig *r = rig_new();

	r->model->unit[1].dpofua = false;
	rig_must_start(r);
	ck_assert(!r->h->fua_native);
	rig_down(r);
}
END_TEST

START_TEST(target_without_report_luns_has_lun_0)
{
	struct rig *r = rig_new();

	r->model->no_report_luns = true;
	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_units, 1);
	ck_assert_str_eq(r->h->unit[0].name, "t0l0");
	rig_down(r);
}
END_TEST

START_TEST(max_target_and_max_lun_bound_the_search)
{
	struct rig *r = rig_new();

	model_config32(r->model, 0x1c, 2u << 16); /* targets 0 to 2 */
	model_config32(r->model, 0x20, 0);
	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_units, 1);
	rig_down(r);
}
END_TEST

START_TEST(no_units_is_no_error)
{
	struct rig *r = rig_new();

	for (unsigned i = 0; i < MODEL_UNITS; i++)
		r->model->unit[i].present = false;
	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_units, 0);
	ck_assert(!r->h->fua_native);
	rig_down(r);
}
END_TEST

START_TEST(orderly_end_writes_caches_out)
{
	struct rig *r = rig_new();

	r->ladder.flush_ms = RIG_WAIT_MS;
	rig_must_start(r);
	ck_assert_int_eq(hba_stop(r->h), 0);
	ck_assert_uint_eq(r->model->unit[0].n_sync, 1);
	ck_assert_uint_eq(r->model->unit[1].n_sync, 1);
	ck_assert_uint_eq(r->model->unit[2].n_sync, 1);
	ck_assert_uint_eq(r->model->status, 0);
	rig_down(r);
}
END_TEST

/* --- bad capabilities --- */

START_TEST(capability_that_cannot_be_used)
{
	static const struct {
		uint8_t type, bar;
		uint32_t offset, length, multiplier;
		const char *word;
	} t[] = {
		{1, 4, 0, 0x37, 0, "common"},	     /* too short */
		{1, 4, 2, 0x1000, 0, "common"},	     /* not aligned */
		{1, 6, 0, 0x1000, 0, "common"},	     /* reserved BAR */
		{1, 255, 0, 0x1000, 0, "common"},    /* likewise */
		{1, 3, 0, 0x1000, 0, "common"},	     /* BAR that is not there */
		{1, 2, 0, 0x40, 0, "common"},	     /* ports */
		{1, 4, 0x3ffc, 0x1000, 0, "common"}, /* beyond the end */
		{1, 4, 0xfffffffc, 0x38, 0, "common"}, {1, 4, 0, 0xffffffff, 0, "common"},
		{3, 4, 0x1000, 0, 0, "interrupt status"}, {4, 4, 0x2000, 0x20, 0, "device"},
		{2, 4, 0x3000, 1, 4, "notification"},
		{2, 4, 0x3000, 0x1000, 3, "notification"},	    /* multiplier is odd */
		{2, 4, 0x3000, 0x1000, 0xfffffffe, "notification"}, /* ... or would overflow */
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		static const uint8_t at[] = {0, 0x40, 0x70, 0x50, 0x60}, next[] = {0, 0x50, 0x84, 0x60, 0x70};
		struct rig *r = rig_new();

		model_cap(r->model, at[t[i].type], next[t[i].type], t[i].type, t[i].bar, t[i].offset,
			t[i].length, t[i].multiplier);
		expect_attach_fails(r, -ENOTSUP, t[i].word);
	}
}
END_TEST

START_TEST(second_capability_of_a_kind_is_taken_when_the_first_is_no_use)
{
	struct rig *r = rig_new();

	/* Ports first, as with modern-pio-notify; then memory */
	model_cap(r->model, 0x84, 0xa4, 2, 2, 0, 4, 0);
	model_cap(r->model, 0xa4, 0x70, 1, 4, 0x0000, 0x1000, 0);
	r->model->fn.cfg[0x61] = 0x84;
	r->model->fn.cfg[0x71] = 0;
	rig_must_start(r);
	rig_down(r);
}
END_TEST

START_TEST(capabilities_in_a_circle)
{
	struct rig *r = rig_new();

	r->model->fn.cfg[0x41] = 0x40;
	expect_attach_fails(r, -ENOTSUP, "notification");
}
END_TEST

START_TEST(capability_at_the_end_of_configuration_space)
{
	struct rig *r = rig_new();

	r->model->fn.cfg[0x34] = 0xfc;
	r->model->fn.cfg[0xfc] = 0x09;
	r->model->fn.cfg[0xfe] = 16;
	r->model->fn.cfg[0xff] = 1;
	expect_attach_fails(r, -ENOTSUP, "common");
}
END_TEST

START_TEST(no_capabilities_at_all)
{
	struct rig *r = rig_new();

	r->model->fn.cfg[6] = 0;
	expect_attach_fails(r, -ENOTSUP, "legacy");
}
END_TEST

/* --- negotiation --- */

START_TEST(device_of_before_1_0)
{
	struct rig *r = rig_new();

	r->model->offered &= ~NEED_1;
	expect_attach_fails(r, -ENOTSUP, "VERSION_1");
}
END_TEST

START_TEST(device_that_would_go_past_the_iommu)
{
	struct rig *r = rig_new();

	r->model->offered &= ~NEED_AP;
	expect_attach_fails(r, -ENOTSUP, "iommu_platform=on");
}
END_TEST

START_TEST(device_that_refuses_what_it_offers)
{
	struct rig *r = rig_new();

	r->model->refuse_features = true;
	expect_attach_fails(r, -ENOTSUP, "refuses");
}
END_TEST

START_TEST(device_that_is_gone)
{
	struct rig *r = rig_new();

	ck_assert_int_eq(rig_create(r), 0);
	r->model->fn.gone = true;
	ck_assert_int_lt(hba_attach(r->h, &r->e), 0);
	r->model->fn.gone = false;
	rig_down(r);
}
END_TEST

START_TEST(reset_that_never_ends)
{
	struct rig *r = rig_new();

	rig_times(r)->reset = 200;
	r->model->reset_dead = true;
	expect_attach_fails(r, -ETIMEDOUT, "reset");
}
END_TEST

START_TEST(queues_that_are_no_use)
{
	static const struct {
		unsigned queue;
		uint16_t max;
	} t[] = {{0, 0}, {0, 1}, {1, 0}, {2, 0}, {2, 4}, {2, 100}, {0, 3}};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct rig *r = rig_new();

		r->model->queue[t[i].queue].max = t[i].max;
		expect_attach_fails(r, -EIO, "queues");
	}
}
END_TEST

START_TEST(configuration_that_makes_no_sense)
{
	static const unsigned zero[] = {0x00, 0x04};

	for (size_t i = 0; i < ARRAY_SIZE(zero); i++) {
		struct rig *r = rig_new();

		model_config32(r->model, zero[i], 0);
		expect_attach_fails(r, -EIO, "queues");
	}
	for (unsigned n = 0; n < 3; n++) {
		struct rig *r = rig_new();

		r->model->num_queues = (uint16_t)n;
		expect_attach_fails(r, -EIO, "queues");
	}
}
END_TEST

START_TEST(configuration_that_never_rests)
{
	struct rig *r = rig_new();

	r->model->restless = 1000000;
	expect_attach_fails(r, -EIO, "changes all the time");
}
END_TEST

START_TEST(vector_that_is_not_taken)
{
	struct rig *r = rig_new();

	r->model->vectors = 0;
	expect_start_fails(r, -EIO, "vector");
}
END_TEST

START_TEST(doorbell_outside_the_bar)
{
	struct rig *r = rig_new();

	/* Room for queues 0 and 1 only */
	model_cap(r->model, 0x70, 0x84, 2, 4, 0x3000, 9, 4);
	expect_start_fails(r, -EIO, "doorbell");
}
END_TEST

START_TEST(device_that_answers_no_command)
{
	struct rig *r = rig_new();

	rig_times(r)->polled = 300;
	r->model->silent = true;
	expect_start_fails(r, -ETIMEDOUT, "did not answer");
}
END_TEST

static void add(TCase *c, const TTest *t)
{
	tcase_add_test(c, t);
}

int main(void)
{
	Suite *s = suite_create("virtio bring-up");
	TCase *c = tcase_create("device");

	tcase_set_timeout(c, 60);
	add(c, units_are_found);
	add(c, features_taken_are_those_that_are_known);
	add(c, limits_follow_the_device);
	add(c, device_left_running_is_reset_first);
	add(c, transitional_device_that_is_modern);
	add(c, served_device_needs_no_iommu);
	add(c, configuration_is_read_in_one_piece);
	add(c, sizes_of_cdb_and_sense_are_set);
	add(c, shared_line_when_there_is_no_msix);
	add(c, not_all_units_know_fua);
	add(c, target_without_report_luns_has_lun_0);
	add(c, max_target_and_max_lun_bound_the_search);
	add(c, no_units_is_no_error);
	add(c, orderly_end_writes_caches_out);
	add(c, capability_that_cannot_be_used);
	add(c, second_capability_of_a_kind_is_taken_when_the_first_is_no_use);
	add(c, capabilities_in_a_circle);
	add(c, capability_at_the_end_of_configuration_space);
	add(c, no_capabilities_at_all);
	add(c, device_of_before_1_0);
	add(c, device_that_would_go_past_the_iommu);
	add(c, device_that_refuses_what_it_offers);
	add(c, device_that_is_gone);
	add(c, reset_that_never_ends);
	add(c, queues_that_are_no_use);
	add(c, configuration_that_makes_no_sense);
	add(c, configuration_that_never_rests);
	add(c, vector_that_is_not_taken);
	add(c, doorbell_outside_the_bar);
	add(c, device_that_answers_no_command);
	suite_add_tcase(s, c);
	return run_suite(s);
}
