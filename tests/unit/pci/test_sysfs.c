/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Functions as a made-up sysfs shows them: addresses, classes, groups, names. */
#include <errno.h>

#include "fake_tree.h"
#include "daemon/pci/group.h"
#include "daemon/pci/openers.h"
#include "daemon/pci/tree.h"
#include "pci/sysfs.h"

static struct err e;

static void setup(void)
{
	memset(&e, 0, sizeof(e));
	root_make();
	put_mounts("");
	put_function(HBA, "0x010400", 12, "megaraid_sas");
}

static const struct {
	const char *text, *full; /* NULL: refused */
} addresses[] = {
	{"0000:03:00.0", "0000:03:00.0"},
	{"03:00.0", "0000:03:00.0"},
	{"3:0.0", "0000:03:00.0"},
	{"abcd:FE:1f.7", "abcd:fe:1f.7"},
	{"1:2:3.4", "0001:02:03.4"},
	{"", NULL},
	{"03:00", NULL},
	{"03:00.", NULL},
	{"03:00.8", NULL},
	{"03:20.0", NULL},
	{"100:00.0", NULL},
	{"0000:100:00.0", NULL},
	{"10000:03:00.0", NULL},
	{"00003:00.0", NULL},
	{"0000:03:00.0 ", NULL},
	{"0000:03:00.00", NULL},
	{" 03:00.0", NULL},
	{":03:00.0", NULL},
	{"0000::00.0", NULL},
	{"0000:03:.0", NULL},
	{"0x00:03:00.0", NULL},
	{"0000:03:00.0/../../x", NULL},
	{"0000:03.00.0", NULL},
	{"1:0000:03:00.0", NULL},
};

START_TEST(address_is_completed_or_refused)
{
	char got[PCI_ADDR_LEN] = "untouched";
	int r = pci_addr_parse(addresses[_i].text, got, &e);

	if (addresses[_i].full) {
		ck_assert_int_eq(r, 0);
		ck_assert_str_eq(got, addresses[_i].full);
		return;
	}
	ck_assert_msg(
		r == -EINVAL && strstr(e.text, "is not a PCI address"), "\"%s\": %d", addresses[_i].text, r);
	ck_assert_str_eq(got, "untouched");
}
END_TEST

START_TEST(function_is_read_whole)
{
	struct pci_candidate c;

	put("/usr/share/misc/pci.ids",
		"# comment\n0fff  Wrong\n\t0079  wrong device\n1000  Broadcom / LSI\n\t0060  MegaRAID SAS "
		"1078\n"
		"\t0079  MegaRAID SAS 2108 [Liberator]\n\t\t1000 9261  MegaRAID SAS 9260-8i\n1001  After\n");
	put_disk(HBA, "sdb", "8:16");
	put_disk(HBA, "sda", "8:0");
	put_disk(HBA, "sdaa", "65:160");
	put_disk("0000:04:00.0", "sdc", "8:32");
	ck_assert_msg(pci_candidate_read(root, "3:0.0", &c, &e) == 0, "%s", e.text);
	ck_assert_str_eq(c.addr, HBA);
	ck_assert_uint_eq(c.vendor, 0x1000);
	ck_assert_uint_eq(c.device, 0x79);
	ck_assert_uint_eq(c.subvendor, 0x1000);
	ck_assert_uint_eq(c.subdevice, 0x9261);
	ck_assert_uint_eq(c.class_code, 0x010400);
	ck_assert_str_eq(c.driver, "megaraid_sas");
	ck_assert_int_eq(c.iommu_group, 12);
	ck_assert_str_eq(c.group_others, "");
	ck_assert_str_eq(c.name, "Broadcom / LSI MegaRAID SAS 2108 [Liberator]");
	ck_assert_uint_eq(c.n_disks, 3);
	ck_assert_str_eq(c.disks[0].name, "sda");
	ck_assert_str_eq(c.disks[0].model, "QEMU QEMU HARDDISK");
	ck_assert_uint_eq(c.disks[0].bytes, UINT64_C(2) << 30);
	ck_assert_str_eq(c.disks[0].use, "");
	ck_assert_str_eq(c.disks[1].name, "sdaa");
	pci_candidate_free(&c);
	drop("/sys/devices/pci0000:00/" HBA "/host0/block/sda/device/model");
	ck_assert_int_eq(pci_candidate_read(root, HBA, &c, &e), 0);
	ck_assert_str_eq(c.disks[0].model, "");
	ck_assert_str_eq(c.disks[2].name, "sdb");
	pci_candidate_free(&c);
}
END_TEST

START_TEST(function_that_does_not_exist_is_an_error)
{
	struct pci_candidate c;

	ck_assert_int_eq(pci_candidate_read(root, "0000:09:00.0", &c, &e), -ENOENT);
	ck_assert_msg(strstr(e.text, "no PCI device 0000:09:00.0") && strstr(e.text, "hbactl candidates"),
		"%s", e.text);
}
END_TEST

START_TEST(bare_function_has_no_driver_group_or_name)
{
	struct pci_candidate c;

	put_function("0000:05:00.0", "0x010700", -1, NULL);
	ck_assert_int_eq(pci_candidate_read(root, "0000:05:00.0", &c, &e), 0);
	ck_assert_str_eq(c.driver, "");
	ck_assert_int_eq(c.iommu_group, -1);
	ck_assert_str_eq(c.name, "");
	ck_assert_uint_eq(c.n_disks, 0);
	pci_candidate_free(&c);
}
END_TEST

START_TEST(candidates_are_hbas_in_the_order_of_their_addresses)
{
	struct pci_candidate *c;
	unsigned n;

	put_function("0000:00:1f.2", "0x010601", 3, "ahci");
	put_function("0000:00:1f.1", "0x01018a", 3, "ata_piix");
	put_function("0000:01:00.0", "0x010802", 4, "nvme");
	put_function("0000:02:00.0", "0x020000", 5, "e1000e");
	put_function("0000:00:04.0", "0x010000", 6, "virtio-pci");
	put_function("0000:82:00.1", "0x010700", 7, "mpt3sas");
	ck_assert_int_eq(pci_candidates(root, &c, &n, &e), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_str_eq(c[0].addr, "0000:00:04.0");
	ck_assert_str_eq(c[1].addr, HBA);
	ck_assert_str_eq(c[2].addr, "0000:82:00.1");
	pci_candidates_free(c, n);
}
END_TEST

static const struct {
	const char *vendor, *device;
	unsigned found; /* beside the one that is always there */
} classless[] = {
	{"0x1af4", "0x1048", 1},
	{"0x1af4", "0x1004", 1},
	{"0x1af4", "0x1041", 0},
	{"0x1000", "0x1048", 0},
};

START_TEST(virtio_scsi_host_without_a_class_is_a_candidate)
{
	struct pci_candidate *c;
	unsigned n;

	put_function("0000:00:03.0", "0x00ff00", 6, "virtio-pci");
	put("/sys/bus/pci/devices/0000:00:03.0/vendor", "%s\n", classless[_i].vendor);
	put("/sys/bus/pci/devices/0000:00:03.0/device", "%s\n", classless[_i].device);
	ck_assert_int_eq(pci_candidates(root, &c, &n, &e), 0);
	ck_assert_uint_eq(n, 1 + classless[_i].found);
	pci_candidates_free(c, n);
}
END_TEST

START_TEST(candidates_without_sysfs_are_an_error)
{
	struct pci_candidate *c;
	unsigned n;

	drop("/sys");
	ck_assert_int_eq(pci_candidates(root, &c, &n, &e), -ENOENT);
	ck_assert_msg(strstr(e.text, "sysfs"), "%s", e.text);
}
END_TEST

START_TEST(others_in_the_group_are_named_without_bridges)
{
	struct pci_candidate c;
	char who[128];

	put_function("0000:00:1c.0", "0x060400", 12, "pcieport");
	put_function("0000:03:00.1", "0x0c0330", 12, "xhci_hcd");
	put_function("0000:03:00.2", "0x010400", 12, "vfio-pci");
	put_function("0000:03:00.3", "0x020000", 12, NULL);
	ck_assert_int_eq(pci_candidate_read(root, HBA, &c, &e), 0);
	ck_assert_str_eq(c.group_others, "0000:03:00.1 0000:03:00.2 0000:03:00.3");
	pci_candidate_free(&c);
	/* only a driver that does DMA for the kernel keeps VFIO away */
	ck_assert_uint_eq(group_blockers(root, HBA, who, sizeof(who)), 1);
	ck_assert_str_eq(who, "0000:03:00.1 (xhci_hcd)");
}
END_TEST

START_TEST(long_group_is_cut_and_marked)
{
	struct pci_candidate c;

	for (unsigned i = 0; i < 40; i++)
		put_function(str("0000:04:%02x.0", i % 32 + i / 32 * 0), "0x020000", 12, NULL);
	ck_assert_int_eq(pci_candidate_read(root, HBA, &c, &e), 0);
	ck_assert_uint_eq(strlen(c.group_others), sizeof(c.group_others) - 1);
	ck_assert_str_eq(c.group_others + strlen(c.group_others) - 3, "...");
	pci_candidate_free(&c);
}
END_TEST

START_TEST(unknown_device_keeps_the_vendors_name)
{
	struct pci_candidate c;

	put("/usr/share/hwdata/pci.ids",
		"1000  Broadcom / LSI\n\t0060  MegaRAID SAS 1078\n1014  IBM\n\t0079  not this\n");
	ck_assert_int_eq(pci_candidate_read(root, HBA, &c, &e), 0);
	ck_assert_str_eq(c.name, "Broadcom / LSI");
	pci_candidate_free(&c);
}
END_TEST

START_TEST(openers_are_named_with_their_pid)
{
	char who[128];

	put_link("/proc/812/fd/7", "/dev/vfio/12");
	put("/proc/812/comm", "hbad\n");
	put_link("/proc/900/fd/3", "/dev/vfio/120");
	put_link("/proc/self/fd/3", "/dev/vfio/12");
	ck_assert_uint_eq(openers_find(root, "/dev/vfio/12", false, who, sizeof(who)), 1);
	ck_assert_str_eq(who, "process 812 (hbad)");
	ck_assert_uint_eq(openers_find(root, "/dev/vfio/13", false, who, sizeof(who)), 0);
	ck_assert_str_eq(who, "");
}
END_TEST

START_TEST(numbers_are_read_strictly)
{
	static const struct {
		const char *text;
		int r;
		uint64_t v;
	} rows[] = {{"0x010400\n", 0, 0x10400}, {"12\n", 0, 12}, {"0", 0, 0}, {"", -EINVAL, 7},
		{"-1\n", -EINVAL, 7}, {"12 34\n", -EINVAL, 7}, {"x12\n", -EINVAL, 7}, {"010\n", 0, 10}};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t v = 7;

		put("/n", "%s", rows[i].text);
		ck_assert_int_eq(tree_number(&v, root, "/n"), rows[i].r);
		ck_assert_uint_eq(v, rows[i].v);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sysfs");
	TCase *tc = tcase_create("sysfs");
	SRunner *run;
	int failed;

	tcase_add_checked_fixture(tc, setup, root_remove);
	tcase_add_loop_test(tc, address_is_completed_or_refused, 0, ARRAY_SIZE(addresses));
	tcase_add_test(tc, function_is_read_whole);
	tcase_add_test(tc, function_that_does_not_exist_is_an_error);
	tcase_add_test(tc, bare_function_has_no_driver_group_or_name);
	tcase_add_test(tc, candidates_are_hbas_in_the_order_of_their_addresses);
	tcase_add_loop_test(tc, virtio_scsi_host_without_a_class_is_a_candidate, 0, ARRAY_SIZE(classless));
	tcase_add_test(tc, candidates_without_sysfs_are_an_error);
	tcase_add_test(tc, others_in_the_group_are_named_without_bridges);
	tcase_add_test(tc, long_group_is_cut_and_marked);
	tcase_add_test(tc, unknown_device_keeps_the_vendors_name);
	tcase_add_test(tc, openers_are_named_with_their_pid);
	tcase_add_test(tc, numbers_are_read_strictly);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed != 0;
}
