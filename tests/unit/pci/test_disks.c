/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What uses the disks below a function, in a made-up sysfs and procfs. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "fake_tree.h"
#include "base/clock.h"
#include "daemon/pci/disks.h"

static struct err e;
static const char *busy_node; /* the claim on this one fails */
static unsigned busy_times, claims;

static int t_claim(const char *path)
{
	claims++;
	if (busy_node && strcmp(path + strlen(root), busy_node) == 0 && busy_times) {
		busy_times--;
		return -EBUSY;
	}
	return disk_claim(path);
}

static void setup(void)
{
	memset(&e, 0, sizeof(e));
	busy_node = NULL;
	claims = 0;
	root_make();
	put_mounts("");
	put("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n");
	put_function(HBA, "0x010400", 12, "megaraid_sas");
	put_disk(HBA, "sda", "8:0");
}

/* Use of the function's only disk. */
static const char *use(void)
{
	static char text[160];
	struct pci_disk *d;
	unsigned n;

	ck_assert_msg(disks_read(root, HBA, t_claim, &d, &n, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(n, 1);
	strcpy(text, d[0].use);
	free(d);
	return text;
}

static void put_dm(const char *below, const char *name, const char *dev, const char *uuid, const char *mapper)
{
	put_holder(below, name, dev);
	put(str("/sys/devices/virtual/block/%s/dm/uuid", name), "%s\n", uuid);
	put(str("/sys/devices/virtual/block/%s/dm/name", name), "%s\n", mapper);
}

START_TEST(free_disk_is_free)
{
	struct pci_candidate c;

	put_partition(HBA, "sda", 1, "8:1");
	ck_assert_str_eq(use(), "");
	ck_assert_int_eq(pci_candidate_read(root, HBA, &c, &e), 0);
	ck_assert_int_eq(pci_check_unused(root, &c, &e), 0);
	pci_candidate_free(&c);
}
END_TEST

START_TEST(mounted_disk_is_found_by_its_number)
{
	put_mounts("40 22 8:0 / /srv rw,relatime shared:20 - ext4 /dev/root rw\n");
	ck_assert_str_eq(use(), "mounted on /srv");
}
END_TEST

START_TEST(number_of_another_disk_is_not_ours)
{
	put_mounts("40 22 8:01 / /a rw - ext4 /dev/sdaa rw\n41 22 18:0 / /b rw - ext4 /dev/xsda rw\n"
		   "42 22 0:50 / /c rw - nfs host:/dev/sda rw\n43 22 0:51 / /8:0 rw - tmpfs tmpfs rw\n");
	ck_assert_str_eq(use(), "");
}
END_TEST

START_TEST(mounted_partition_is_found_and_named)
{
	put_partition(HBA, "sda", 1, "8:1");
	put_partition(HBA, "sda", 2, "8:2");
	put_mounts("40 22 8:2 / /srv/a\\040b rw shared:20 master:1 - ext4 /dev/sda2 rw\n");
	ck_assert_str_eq(use(), "mounted on /srv/a b (sda2)");
}
END_TEST

START_TEST(btrfs_is_found_by_its_source)
{
	put_partition(HBA, "sda", 1, "8:1");
	put_mounts("40 22 0:45 /@ /srv rw - btrfs /dev/sda1 rw,subvolid=256\n");
	ck_assert_str_eq(use(), "mounted on /srv (sda1)");
}
END_TEST

START_TEST(several_mounts_are_counted)
{
	put_mounts("40 22 8:0 / /srv rw - ext4 /dev/sda rw\n41 22 8:0 /x /y rw - ext4 /dev/sda rw\n"
		   "42 22 8:0 / /z rw - ext4 /dev/sda rw\n");
	ck_assert_str_eq(use(), "mounted on /srv and 2 more");
}
END_TEST

START_TEST(swap_is_found)
{
	put_partition(HBA, "sda", 1, "8:1");
	put("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/sdab partition 1 0 -2\n");
	ck_assert_str_eq(use(), "");
	put("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/sda1                               "
			   "partition\t1\t0\t-2\n");
	ck_assert_str_eq(use(), "swap (sda1)");
}
END_TEST

START_TEST(holder_is_a_use_even_when_idle)
{
	put_partition(HBA, "sda", 1, "8:1");
	put_dm("sda1", "dm-0", "254:0", "LVM-abcdef", "vg-root");
	ck_assert_str_eq(use(), "held by dm-0 (LVM vg-root)");
}
END_TEST

START_TEST(md_raid_is_a_holder)
{
	put_holder("sda", "md127", "9:127");
	ck_assert_str_eq(use(), "held by md127 (md RAID)");
}
END_TEST

START_TEST(file_system_on_a_stack_of_holders_is_found)
{
	put_partition(HBA, "sda", 1, "8:1");
	put_holder("sda1", "md0", "9:0");
	put_dm("md0", "dm-3", "254:3", "LVM-abcdef", "vg-srv");
	put_mounts("40 22 254:3 / /srv rw - xfs /dev/mapper/vg-srv rw\n");
	ck_assert_str_eq(use(), "mounted on /srv through dm-3 (LVM vg-srv)");
}
END_TEST

START_TEST(swap_and_btrfs_on_device_mapper_are_found_by_mapper_name)
{
	put_dm("sda", "dm-0", "254:0", "CRYPT-LUKS2-1", "secret");
	put("/proc/swaps", "Filename Type\n/dev/mapper/secret partition 1 0 -2\n");
	ck_assert_str_eq(use(), "swap through dm-0 (crypt secret)");
	put("/proc/swaps", "Filename Type\n");
	put_mounts("40 22 0:45 / /srv rw - btrfs /dev/mapper/secret rw\n");
	ck_assert_str_eq(use(), "mounted on /srv through dm-0 (crypt secret)");
}
END_TEST

START_TEST(holders_in_a_circle_end)
{
	put_dm("sda", "dm-0", "254:0", "mpath-1", "a");
	put_dm("dm-0", "dm-1", "254:1", "mpath-2", "b");
	put_link("/sys/devices/virtual/block/dm-1/holders/dm-0", "../../dm-0");
	ck_assert_msg(strstr(use(), "held by dm-") != NULL, "%s", use());
}
END_TEST

START_TEST(file_system_that_two_partitions_carry_is_named_once)
{
	put_partition(HBA, "sda", 1, "8:1");
	put_partition(HBA, "sda", 2, "8:2");
	put_holder("sda1", "md0", "9:0");
	put_link("/sys/devices/pci0000:00/" HBA "/host0/block/sda/sda2/holders/md0", "../../md0");
	put_mounts("40 22 9:0 / /srv rw - ext4 /dev/md0 rw\n");
	ck_assert_str_eq(use(), "mounted on /srv through md0 (md RAID)");
}
END_TEST

START_TEST(lio_backstore_is_found_through_a_link)
{
	put_link("/dev/disk/by-id/wwn-0x5000", "../../sda");
	put("/sys/kernel/config/target/core/alua/nothing", "%s", "");
	put("/sys/kernel/config/target/core/iblock_0/disk1/udev_path", "/dev/disk/by-id/wwn-0x5000\n");
	ck_assert_str_eq(use(), "exported by LIO as iblock_0/disk1");
	put("/sys/kernel/config/target/core/iblock_0/disk1/udev_path", "/dev/sdab\n");
	ck_assert_str_eq(use(), "");
	put("/sys/kernel/config/target/core/iblock_0/disk1/udev_path", "%s", "");
	ck_assert_str_eq(use(), "");
}
END_TEST

START_TEST(everything_that_uses_a_disk_is_listed)
{
	put_partition(HBA, "sda", 1, "8:1");
	put_partition(HBA, "sda", 2, "8:2");
	put_mounts("40 22 8:1 / /a rw - ext4 /dev/sda1 rw\n");
	put("/proc/swaps", "Filename Type\n/dev/sda2 partition 1 0 -2\n");
	ck_assert_msg(strstr(use(), "mounted on /a (sda1)") && strstr(use(), "swap (sda2)"), "%s", use());
}
END_TEST

START_TEST(loop_device_is_a_holder)
{
	put_partition(HBA, "sda", 1, "8:1");
	put_blk("virtual", "loop0", "7:0");
	put("/sys/devices/virtual/block/loop0/loop/backing_file", "/dev/sda1\n");
	ck_assert_str_eq(use(), "held by loop0 (sda1)");
	put("/sys/devices/virtual/block/loop0/loop/backing_file", "/srv/sda1\n");
	ck_assert_str_eq(use(), "");
}
END_TEST

START_TEST(process_that_has_the_disk_or_a_partition_open_is_named)
{
	put("/proc/900/comm", "qemu\n");
	put_link("/proc/900/fd/5", "/dev/sdab");
	put_link("/proc/900/fd/6", "/dev/sda_x");
	put_link("/proc/900/fd/7", "/dev/sda1x");
	ck_assert_str_eq(use(), "");
	put_link("/proc/900/fd/8", "/dev/sda12");
	ck_assert_str_eq(use(), "open by process 900 (qemu)");
	drop("/proc/900/fd/8");
	put_link("/proc/900/fd/9", "/dev/sda");
	ck_assert_str_eq(use(), "open by process 900 (qemu)");
}
END_TEST

/* Commands that are sent there go past the block device. */
START_TEST(process_that_has_the_disk_open_as_a_scsi_device_is_named)
{
	put_dir("/sys/devices/pci0000:00/" HBA "/host0/block/sda/device/scsi_generic/sg3");
	put_dir("/sys/devices/pci0000:00/" HBA "/host0/block/sda/device/bsg/2:0:0:0");
	put("/proc/560/comm", "qemu\n");
	put_link("/proc/560/fd/5", "/dev/sg31");
	put_link("/proc/560/fd/6", "/dev/sg");
	put_link("/proc/560/fd/7", "/dev/bsg/2:0:0:01");
	put_link("/proc/560/fd/8", "/dev/2:0:0:0");
	ck_assert_str_eq(use(), "");
	put_link("/proc/560/fd/9", "/dev/bsg/2:0:0:0");
	ck_assert_str_eq(use(), "open by process 560 (qemu) as /dev/bsg/2:0:0:0");
	put_link("/proc/560/fd/10", "/dev/sg3");
	ck_assert_str_eq(use(), "open by process 560 (qemu) as /dev/sg3");
}
END_TEST

static uint64_t closed_ns;

static void *close_soon(void *arg)
{
	clock_sleep_ms(150);
	drop("/proc/560/fd/9");
	closed_ns = clock_ns();
	return NULL;
}

START_TEST(short_open_of_a_scsi_device_is_waited_for)
{
	bool free_again = false;

	put_dir("/sys/devices/pci0000:00/" HBA "/host0/block/sda/device/scsi_generic/sg3");
	put("/proc/560/comm", "smartd\n");
	/* On a busy machine it may be closed only after the last look: that proves nothing, so once more. */
	for (unsigned left = 20; left && !free_again; left--) {
		uint64_t start = clock_ns();
		pthread_t t;

		put_link("/proc/560/fd/9", "/dev/sg3");
		ck_assert_int_eq(pthread_create(&t, NULL, close_soon, NULL), 0);
		free_again = !use()[0];
		pthread_join(t, NULL);
		ck_assert(free_again || closed_ns - start > 350 * NS_PER_MS);
	}
	ck_assert(free_again);
}
END_TEST

START_TEST(exclusive_open_finds_what_the_tables_do_not_show)
{
	busy_node = "/dev/sda";
	busy_times = 1000;
	ck_assert_str_eq(use(), "open by another process, or mounted where this process cannot see it");
}
END_TEST

START_TEST(short_claim_by_somebody_else_is_waited_for)
{
	busy_node = "/dev/sda";
	busy_times = 2;
	ck_assert_str_eq(use(), "");
	ck_assert_uint_eq(claims, 3);
}
END_TEST

START_TEST(node_that_cannot_be_opened_is_not_in_use)
{
	drop("/dev/sda");
	ck_assert_str_eq(use(), "");
}
END_TEST

START_TEST(refusal_names_each_disk_its_use_and_the_cure)
{
	struct pci_candidate c;

	put_disk(HBA, "sdb", "8:16");
	put_disk(HBA, "sdc", "8:32");
	ck_assert_int_eq(pci_candidate_read(root, HBA, &c, &e), 0);
	/* the mount comes after the candidate was read */
	put_mounts("40 22 8:0 / /srv rw - ext4 /dev/sda rw\n");
	put("/proc/swaps", "Filename Type\n/dev/sdc partition 1 0 -2\n");
	ck_assert_int_eq(pci_check_unused(root, &c, &e), -EBUSY);
	ck_assert_msg(
		strstr(e.text, HBA " is in use: sda is mounted on /srv; sdc is swap. Unmount"), "%s", e.text);
	pci_candidate_free(&c);
}
END_TEST

START_TEST(claims_are_taken_and_given_back)
{
	struct disk_claims c;

	put_disk(HBA, "sdb", "8:16");
	ck_assert_int_eq(disks_claim(root, HBA, t_claim, &c, &e), 0);
	ck_assert_uint_eq(c.n, 2);
	ck_assert_int_ge(c.fd[1], 0);
	disks_release(&c);
	ck_assert_uint_eq(c.n, 0);
	put_mounts("40 22 8:16 / /srv rw - ext4 /dev/sdb rw\n");
	ck_assert_int_eq(disks_claim(root, HBA, t_claim, &c, &e), -EBUSY);
	ck_assert_uint_eq(c.n, 0);
	ck_assert_msg(strstr(e.text, "sdb is mounted on /srv"), "%s", e.text);
}
END_TEST

START_TEST(very_long_use_is_cut_not_overrun)
{
	for (unsigned i = 1; i < 30; i++) {
		put_partition(HBA, "sda", i, str("8:%u", i));
		put_holder(str("sda%u", i), str("md%u", i), str("9:%u", i));
	}
	ck_assert_uint_eq(strlen(use()), 159);
	ck_assert_str_eq(use() + 156, "...");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("disks");
	TCase *tc = tcase_create("disks");
	SRunner *run;
	int failed;

	tcase_add_checked_fixture(tc, setup, root_remove);
	tcase_add_test(tc, free_disk_is_free);
	tcase_add_test(tc, mounted_disk_is_found_by_its_number);
	tcase_add_test(tc, number_of_another_disk_is_not_ours);
	tcase_add_test(tc, mounted_partition_is_found_and_named);
	tcase_add_test(tc, btrfs_is_found_by_its_source);
	tcase_add_test(tc, several_mounts_are_counted);
	tcase_add_test(tc, swap_is_found);
	tcase_add_test(tc, holder_is_a_use_even_when_idle);
	tcase_add_test(tc, md_raid_is_a_holder);
	tcase_add_test(tc, file_system_on_a_stack_of_holders_is_found);
	tcase_add_test(tc, swap_and_btrfs_on_device_mapper_are_found_by_mapper_name);
	tcase_add_test(tc, holders_in_a_circle_end);
	tcase_add_test(tc, file_system_that_two_partitions_carry_is_named_once);
	tcase_add_test(tc, lio_backstore_is_found_through_a_link);
	tcase_add_test(tc, everything_that_uses_a_disk_is_listed);
	tcase_add_test(tc, loop_device_is_a_holder);
	tcase_add_test(tc, process_that_has_the_disk_or_a_partition_open_is_named);
	tcase_add_test(tc, process_that_has_the_disk_open_as_a_scsi_device_is_named);
	tcase_add_test(tc, short_open_of_a_scsi_device_is_waited_for);
	tcase_add_test(tc, exclusive_open_finds_what_the_tables_do_not_show);
	tcase_add_test(tc, short_claim_by_somebody_else_is_waited_for);
	tcase_add_test(tc, node_that_cannot_be_opened_is_not_in_use);
	tcase_add_test(tc, refusal_names_each_disk_its_use_and_the_cure);
	tcase_add_test(tc, claims_are_taken_and_given_back);
	tcase_add_test(tc, very_long_use_is_cut_not_overrun);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed != 0;
}
