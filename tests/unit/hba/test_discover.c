/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is found on the controller, also when firmware says odd things. */
#include "rig.h"
#include "tests/unit/run_suite.h"

#include <errno.h>
#include <string.h>

START_TEST(finds_logical_drives_sorted)
{
	struct rig *r = rig_new(GEN2);
	const struct hba_unit *u;

	r->model->cache_policy = 0x01;	 /* write-back */
	r->model->disk_cache_policy = 2; /* disabled */
	rig_must_start(r);
	u = r->h->unit;
	ck_assert_uint_eq(r->h->n_units, 3);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(u[i].target, i);
		ck_assert_uint_eq(u[i].index, i);
		ck_assert_int_eq(u[i].kind, HBA_UNIT_LD);
		ck_assert_uint_eq(u[i].blocks, MODEL_LD_BLOCKS);
		ck_assert(u[i].write_back && u[i].cache_protected && !u[i].disk_cache);
	}
	ck_assert_str_eq(u[0].name, "ld0");
	ck_assert_str_eq(u[2].name, "ld2");
	ck_assert_str_eq(u[0].raid, "RAID 10");
	ck_assert_str_eq(u[1].raid, "RAID 5");
	ck_assert_int_eq(u[0].state, HBA_UNIT_OPTIMAL);
	ck_assert_int_eq(u[1].state, HBA_UNIT_DEGRADED);
	ck_assert_int_eq(u[2].state, HBA_UNIT_OFFLINE);
	rig_down(r);
}
END_TEST

START_TEST(cleans_texts)
{
	struct rig *r = rig_up(GEN1);

	ck_assert_str_eq(r->h->info.product, "LSI MegaRAID MODEL");
	ck_assert_str_eq(r->h->info.serial, "SV?234");
	ck_assert_str_eq(r->h->info.firmware, "12.3.4");
	ck_assert_str_eq(r->h->info.driver, "megaraid-mfi gen1");
	ck_assert_uint_eq(r->h->info.cache_mb, 512);
	ck_assert(r->h->info.battery_present);
	rig_down(r);
}
END_TEST

START_TEST(unknown_cache_state_counts_as_volatile)
{
	struct rig *r = rig_new(GEN2);

	r->model->ld_info_status = 0x02;
	rig_must_start(r);
	ck_assert(r->h->unit[0].write_back && r->h->unit[0].disk_cache);
	rig_down(r);
	/* "unchanged" is not "disabled" */
	r = rig_new(GEN2);
	r->model->disk_cache_policy = 0;
	rig_must_start(r);
	ck_assert(!r->h->unit[0].write_back && r->h->unit[0].disk_cache);
	rig_down(r);
}
END_TEST

START_TEST(old_firmware_gives_short_info)
{
	struct rig *r = rig_new(GEN1);

	r->model->ctrl_info_old = 1;
	rig_must_start(r);
	ck_assert_str_eq(r->h->info.firmware, "12.3.4");
	rig_down(r);
}
END_TEST

START_TEST(limits_follow_controller_info)
{
	static const struct {
		uint32_t strip_min, strips, max, sge, want;
	} t[] = {
		/* IEEE: 256 sectors, whatever is told */
		{3, 80, 0xffff, 80, 131072},
		{3, 2, 0xffff, 80, 131072},
		/* but no more than one bounce chunk of 16 KiB for each element */
		{3, 80, 0xffff, 4, 65536},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct rig *r = rig_new(GEN2);

		r->model->strip_min = t[i].strip_min;
		r->model->max_strips = t[i].strips;
		r->model->max_sectors = t[i].max;
		r->model->fw_sge = t[i].sge;
		rig_must_start(r);
		ck_assert_uint_eq(r->h->limits.max_transfer, t[i].want);
		rig_down(r);
	}
}
END_TEST

START_TEST(more_lds_than_can_be_fails)
{
	struct rig *r = rig_new(GEN2);

	r->model->ld_count = 65;
	rig_must_not_start(r, -EIO, "65 logical drives");
	rig_down(r);
}
END_TEST

START_TEST(refused_list_fails)
{
	struct rig *r = rig_new(GEN2);

	r->model->ld_list_status = 0x20;
	rig_must_not_start(r, -EIO, "LD_GET_LIST");
	ck_assert_ptr_nonnull(strstr(r->e.text, "20h"));
	rig_down(r);
	r = rig_new(GEN2);
	r->model->ctrl_info_status = 0x01;
	rig_must_not_start(r, -EIO, "CTRL_GET_INFO");
	rig_down(r);
}
END_TEST

START_TEST(no_drives_is_fine)
{
	struct rig *r = rig_new(GEN2);

	r->model->ld_count = 0;
	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_units, 0);
	rig_down(r);
}
END_TEST

START_TEST(finds_system_drives)
{
	struct rig *r = rig_new(GEN2);

	r->model->pd_count = 5;
	r->model->pd_ids[0] = 9;
	r->model->pd_ids[1] = 0x100; /* cut to a byte it would be drive 0 */
	r->model->pd_ids[2] = 252;
	r->model->pd_types[2] = 0x0d; /* an enclosure */
	r->model->pd_ids[3] = 9;      /* twice */
	r->model->pd_ids[4] = 255;
	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_units, 3 + 2);
	ck_assert_str_eq(r->h->unit[3].name, "pd9");
	ck_assert_int_eq(r->h->unit[3].kind, HBA_UNIT_PD);
	ck_assert_uint_eq(r->h->unit[3].blocks, 0x1009);
	ck_assert(r->h->unit[3].disk_cache && !r->h->unit[3].write_back);
	ck_assert_str_eq(r->h->unit[4].name, "pd255");
	rig_down(r);
}
END_TEST

START_TEST(wild_drive_count_fails)
{
	struct rig *r = rig_new(GEN2);

	r->model->pd_count = 342; /* 341 fit into the reply */
	rig_must_not_start(r, -EIO, NULL);
	rig_down(r);
}
END_TEST

START_TEST(firmware_without_system_drives_is_fine)
{
	struct rig *r = rig_new(GEN1);

	r->model->pd_list_status = 0x02;
	rig_must_start(r);
	ck_assert_uint_eq(r->h->n_units, 3);
	rig_down(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("discovery");
	TCase *c = tcase_create("mfi");

	tcase_set_timeout(c, 60);
	tcase_add_test(c, finds_logical_drives_sorted);
	tcase_add_test(c, cleans_texts);
	tcase_add_test(c, unknown_cache_state_counts_as_volatile);
	tcase_add_test(c, old_firmware_gives_short_info);
	tcase_add_test(c, limits_follow_controller_info);
	tcase_add_test(c, more_lds_than_can_be_fails);
	tcase_add_test(c, refused_list_fails);
	tcase_add_test(c, no_drives_is_fine);
	tcase_add_test(c, finds_system_drives);
	tcase_add_test(c, wild_drive_count_fails);
	tcase_add_test(c, firmware_without_system_drives_is_fine);
	suite_add_tcase(s, c);
	return run_suite(s);
}
