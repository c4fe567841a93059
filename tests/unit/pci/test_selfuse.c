/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What hbad needs for its restart, on its own LUN: found through whatever lies in between, and nowhere else. */
#include "fake_tree.h"
#include "pci/selfuse.h"
#include "tests/unit/run_suite.h"

/* Device Identification pages: a T10 designator, as drives have it, in front of the logical unit's NAA name; that of the
 * target port behind it is nobody's business here. */
#define T10  "\2\1\0\12ACME    d1"
#define PORT "\1\23\0\10\x60\x06\x05\xb0\x01\x23\x45\x67"

static const char own[] = "\0\x83\0\46" T10 "\1\3\0\10\x60\x06\x05\xb0\x01\x23\x45\x67" PORT;
static const char other[] = "\0\x83\0\46" T10 "\1\3\0\10\x50\x0a\x0b\x80\0\0\0\1" PORT;

static struct selfuse found[SELFUSE_MAX];

static void put_page(const char *name, const char *page, size_t n)
{
	const char *path =
		str("%s/sys/devices/pci0000:00/%s/host0/block/%s/device/vpd_pg83", root, HBA, name);
	FILE *f;

	make_above(strcpy((char[PATH_MAX]){0}, path));
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(page, 1, n, f), n);
	fclose(f);
}

/* sda is another disk with the machine on it, sdb the own LUN; sysfs as the kernel lays it out. */
static void put_sd(const char *name, const char *dev, const char page[sizeof(own)])
{
	put_disk(HBA, name, dev);
	put_link(str("/sys/dev/block/%s", dev), str("../../devices/pci0000:00/%s/host0/block/%s", HBA, name));
	put_page(name, page, sizeof(own) - 1);
}

static void put_part(const char *disk, unsigned n, const char *dev)
{
	put_partition(HBA, disk, n, dev);
	put_link(str("/sys/dev/block/%s", dev),
		str("../../devices/pci0000:00/%s/host0/block/%s/%s%u", HBA, disk, disk, n));
}

static void put_virtual(const char *name, const char *dev, const char *below)
{
	put_blk("virtual", name, dev);
	put_link(str("/sys/dev/block/%s", dev), str("../../devices/virtual/block/%s", name));
	if (below)
		put_link(str("/sys/devices/virtual/block/%s/slaves/%s", name, below),
			str("../../../../../class/block/%s", below));
}

static void setup(void)
{
	root_make();
	put_sd("sda", "8:0", other);
	put_part("sda", 1, "8:1");
	put_sd("sdb", "8:16", own);
	put_part("sdb", 1, "8:17");
}

static void mounts(const char *more)
{
	put("/proc/self/mountinfo",
		"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n23 22 0:21 / /proc rw - proc proc "
		"rw\n%s",
		more);
}

static unsigned look(void)
{
	static const struct selfuse_path paths[] = {
		{"hbad's program", "/usr/sbin/hbad"}, {"its configuration", "/etc/hbad/g2.conf"}};
	static const char *const naa[] = {"", "naa.600605B001234567"};
	const struct selfuse_query q = {.root = root, .path = paths, .n_paths = 2, .naa = naa, .n_naa = 2};

	return selfuse_find(&q, found);
}

static void expect(const char *what)
{
	ck_assert_uint_eq(look(), 1);
	ck_assert_str_eq(found[0].what, what);
	ck_assert_str_eq(found[0].disk, "sdb");
}

START_TEST(a_machine_on_another_disk_is_well)
{
	mounts("30 22 8:17 / /mnt rw - ext4 /dev/sdb1 rw\n31 22 8:17 / /etc/hba rw - ext4 /dev/sdb1 rw\n");
	put("/proc/swaps",
		"Filename\tType\tSize\tUsed\tPriority\n/dev/sda1 partition 1 0 -2\n/swap file 1 0 -3\n");
	ck_assert_uint_eq(look(), 0);
}
END_TEST

START_TEST(a_machine_without_tables_is_not_judged)
{
	ck_assert_uint_eq(look(), 0);
}
END_TEST

START_TEST(a_file_system_on_the_own_lun_is_found)
{
	mounts("30 22 8:17 / /etc/hbad rw - ext4 /dev/sdb1 rw\n");
	expect("its configuration (/etc/hbad/g2.conf)");
	/* Something else lies over it. */
	mounts("30 22 8:17 / /etc/hbad rw - ext4 /dev/sdb1 rw\n31 30 8:1 /x /etc/hbad rw - ext4 /dev/sda1 "
	       "rw\n");
	ck_assert_uint_eq(look(), 0);
}
END_TEST

START_TEST(the_root_file_system_has_all_of_it)
{
	put("/proc/self/mountinfo", "22 1 8:16 / / rw - ext4 /dev/sdb rw\n");
	ck_assert_uint_eq(look(), 2);
	ck_assert_str_eq(found[0].what, "hbad's program (/usr/sbin/hbad)");
}
END_TEST

START_TEST(it_is_found_through_what_lies_between)
{
	put_virtual("md0", "9:0", "sdb1");
	put_virtual("dm-3", "253:3", "md0");
	mounts("30 22 253:3 / /usr/sbin rw - xfs /dev/mapper/vg-usr rw\n");
	expect("hbad's program (/usr/sbin/hbad)");
	/* btrfs: the number is its own */
	put_link("/dev/mapper/vg-usr", "../dm-3");
	mounts("30 22 0:44 /@ /usr/sbin rw - btrfs /dev/mapper/vg-usr rw\n");
	expect("hbad's program (/usr/sbin/hbad)");
	/* a file */
	put_virtual("loop7", "7:7", NULL);
	put("/sys/devices/virtual/block/loop7/loop/backing_file", "/srv/my images/usr.img\n");
	mounts("30 22 7:7 / /usr/sbin ro - squashfs /dev/loop7 ro\n"
	       "31 22 8:17 / /srv/my\\040images rw - ext4 /dev/sdb1 rw\n");
	expect("hbad's program (/usr/sbin/hbad)");
}
END_TEST

START_TEST(swap_on_the_own_lun_is_found)
{
	mounts("31 22 8:17 / /srv rw - ext4 /dev/sdb1 rw\n");
	put("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/sda1 partition 1 0 -2\n%s",
		_i ? "/srv/swap file 1 0 -3\n" : "/dev/sdb1 partition 1 0 -3\n");
	expect(_i ? "swap (/srv/swap)" : "swap (/dev/sdb1)");
}
END_TEST

/* Cut at each byte, or lying about its length: no more than what is there is looked at. */
START_TEST(a_page_that_is_cut_names_nobody)
{
	char page[sizeof(own)];
	size_t whole = 4 + 14 + 12;

	mounts("30 22 8:17 / /etc/hbad rw - ext4 /dev/sdb1 rw\n");
	for (size_t n = 0; n <= whole; n++) {
		put_page("sdb", own, n);
		ck_assert_uint_eq(look(), n == whole);
	}
	memcpy(page, own, sizeof(page));
	page[3] = (char)(whole - 4 - 1);
	put_page("sdb", page, sizeof(page) - 1);
	ck_assert_uint_eq(look(), 0);
	memcpy(page, own, sizeof(page));
	page[4 + 14 + 3] = 20;
	put_page("sdb", page, sizeof(page) - 1);
	ck_assert_uint_eq(look(), 0);
}
END_TEST

/* Nobody lays a disk upon itself, but whoever does must not hang hbad. */
START_TEST(a_circle_ends)
{
	put_virtual("dm-1", "253:1", "dm-2");
	put_virtual("dm-2", "253:2", "dm-1");
	mounts("30 22 253:1 / /etc/hbad rw - ext4 /dev/dm-1 rw\n");
	ck_assert_uint_eq(look(), 0);
}
END_TEST

START_TEST(the_sentence_names_all)
{
	char text[400];

	mounts("30 22 8:17 / /etc/hbad rw - ext4 /dev/sdb1 rw\n");
	ck_assert_uint_eq(look(), 1);
	selfuse_sentence(&found[0], text, sizeof(text));
	ck_assert_msg(
		strstr(text, "/etc/hbad/g2.conf") && strstr(text, "sdb") && strstr(text, "behind this HBA"),
		"%s", text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("use of own LUNs");
	TCase *t = tcase_create("selfuse");

	tcase_add_checked_fixture(t, setup, root_remove);
	tcase_add_test(t, a_machine_on_another_disk_is_well);
	tcase_add_test(t, a_machine_without_tables_is_not_judged);
	tcase_add_test(t, a_file_system_on_the_own_lun_is_found);
	tcase_add_test(t, the_root_file_system_has_all_of_it);
	tcase_add_test(t, it_is_found_through_what_lies_between);
	tcase_add_loop_test(t, swap_on_the_own_lun_is_found, 0, 2);
	tcase_add_test(t, a_page_that_is_cut_names_nobody);
	tcase_add_test(t, a_circle_ends);
	tcase_add_test(t, the_sentence_names_all);
	suite_add_tcase(s, t);
	return run_suite(s);
}
