/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hbactl probe: what it reads, what it says of it, and what it does not touch. Values by hand from the facts pages. */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fake.h"
#include "fake_dev.h"
#include "hbactl/json.h"
#include "tests/unit/run_suite.h"

static struct fake_dev dev;

static void setup(void)
{
	fake_setup();
	fake_dev_init(&dev);
	fake->pci = &dev.pci;
	g_strlcpy(fake->hba[0].driver, "vfio-pci", sizeof(fake->hba[0].driver));
}

/* However it ends: nothing was written, mapped, reset or switched on, and what was opened is closed. */
static void untouched(unsigned opened)
{
	ck_assert_uint_eq(dev.writes + dev.maps + dev.irqs + dev.resets, 0);
	ck_assert_uint_eq(dev.closes, opened);
}

/* The first look at the function ends like this, and with all of these words. */
#define says(...)  looked(CTL_OK, &fake->out, (const char *const[]){__VA_ARGS__, NULL})
#define fails(...) looked(CTL_FAILED, &fake->err, (const char *const[]){__VA_ARGS__, NULL})

static void looked(int status, char **text, const char *const *words)
{
	ck_assert_int_eq(fake_run("probe 3:0.0"), status);
	for (; *words; words++)
		ck_has(*text, *words);
	untouched(1);
}

/* Exactly these registers were read. */
static void only_read(unsigned bar, const uint16_t *offsets, unsigned n)
{
	for (unsigned at = 0; at < FAKE_DEV_BARS; at++) {
		bool may = false;

		for (unsigned i = 0; i < n; i++)
			may = may || (at >= offsets[i] && at < offsets[i] + 4u);
		ck_assert_msg(!dev.read[bar][at] == !may, "byte 0x%x of BAR%u was read %u times", at, bar,
			dev.read[bar][at]);
	}
}

START_TEST(a_ready_sas2108_is_told_with_its_limits)
{
	static const char *const words[] = {
		"1000:0079",
		"class 010400",
		"hbad drives it: SAS2108 (MegaRAID gen 2)",
		"BAR1:        16.0 KiB, memory, 64-bit",
		"MSI, vectors: 2, 64-bit addresses",
		"MSI-X, vectors: 8, table BAR1+0x2000, pending bits BAR1+0x3000",
		"link generation 3 width 4 (it can 3 and 8), function level reset",
		"power management, D0",
		"READY: firmware waits for a driver",
		"Commands                     112\n",
		"SGEs per command             80\n",
		"MSI-X offered                yes\n",
		"b4500070",
		NULL,
	};
	static const uint16_t safe[] = {0x30, 0x34, 0xb0, 0xf8};

	looked(CTL_OK, &fake->out, words);
	only_read(1, safe, ARRAY_SIZE(safe));
}
END_TEST

START_TEST(a_fault_is_told_with_its_code)
{
	static const char *const words[] = {
		"FAULT: firmware has stopped",
		"123h, sub-code 45h",
		"Reset needed                 yes",
		"Adapter reset permitted      yes",
		"Crash dump done              no",
		NULL,
	};

	fake_dev_reg(&dev, 1, 0xb0, 0xf1234503);
	looked(CTL_OK, &fake->out, words);
	ck_hasnt(fake->out, "Commands");
}
END_TEST

START_TEST(a_state_that_no_firmware_has_is_told_as_such)
{
	fake_dev_reg(&dev, 1, 0xb0, 0x20000000);
	says("2h, which is no state of this family");
}
END_TEST

START_TEST(fusion_scratch_pads_are_decoded)
{
	static const char *const words[] = {
		"has no driver for it, but it is known: SAS3108 (Invader)",
		"Read as sas3108",
		"1024; 928 by scratch pad 2",
		"256, by chain frames of 4096 bytes",
		"96 if later",
		"Queue array (RDPQ)           yes",
		"Firmware syncs caches itself yes",
		"64-bit control structures    yes",
		"Doorbell                     busy",
		"writing enabled, adapter reset under way",
		NULL,
	};
	static const uint16_t safe[] = {0x00, 0x08, 0x30, 0x34, 0xb0, 0xb4, 0xb8, 0xbc};

	fake_dev_id(&dev, 0x1000, 0x005d, 0x010400);
	fake_dev_reg(&dev, 1, 0x00, 1);
	fake_dev_reg(&dev, 1, 0x08, 0x84);
	fake_dev_reg(&dev, 1, 0xb0, 0xb4000400);
	/* chain field 8 in units of 512: 4 KiB; 95 + 1 queues; RDPQ; 64-bit; syncs caches */
	fake_dev_reg(&dev, 1, 0xb4, 8u << 5 | 1u << 22 | 95u << 14 | 1u << 23 | 1u << 24 | 1u << 25);
	fake_dev_reg(&dev, 1, 0xb8, 928);
	looked(CTL_OK, &fake->out, words);
	only_read(1, safe, ARRAY_SIZE(safe));
}
END_TEST

START_TEST(a_passing_zero_of_an_aero_is_read_again)
{
	fake_dev_id(&dev, 0x1000, 0x10e2, 0x010400);
	fake_dev_reg(&dev, 1, 0x00, 1);
	dev.zero_reads = 2;
	says("Doorbell                     busy");
}
END_TEST

START_TEST(an_accusys_box_is_read_without_its_queue_ports)
{
	static const uint16_t safe[] = {0x34, 0x60, 0x64, 0x68, 0x9c, 0xb4, 0xbc};

	fake_dev_id(&dev, 0x14d6, 0x626f, 0x010400);
	fake_dev_reg(&dev, 1, 0x64, 0x00030001);
	fake_dev_reg(&dev, 1, 0x9c, 0x14);
	fake_dev_reg(&dev, 1, 0xb4, 1);
	fake_dev_reg(&dev, 1, 0xbc, 0x626214d6);
	says("Firmware ready               yes",
		"flush: commands may be failed, asks whether the host is alive", "14d6:6262, not the PCI id",
		"some (consumer 1, producer 3)");
	only_read(1, safe, ARRAY_SIZE(safe));
}
END_TEST

static void add_virtio_cap(unsigned at, unsigned next, uint8_t type, uint8_t bar, uint32_t off, uint32_t len)
{
	uint8_t *c = dev.cfg + at;

	memset(c, 0, 16);
	c[0] = 0x09;
	c[1] = (uint8_t)next;
	c[2] = 16;
	c[3] = type;
	c[4] = bar;
	off = htole32(off);
	len = htole32(len);
	memcpy(c + 8, &off, 4);
	memcpy(c + 12, &len, 4);
}

START_TEST(a_virtio_host_is_read_without_its_interrupt_status)
{
	fake_dev_id(&dev, 0x1af4, 0x1048, 0x010000);
	dev.cfg[0x34] = 0x80;
	add_virtio_cap(0x80, 0x90, 1, 1, 0x0, 0x38);
	add_virtio_cap(0x90, 0xa0, 3, 1, 0x1000, 1);
	add_virtio_cap(0xa0, 0x00, 4, 1, 0x2000, 0x24);
	dev.bar[1][0x12] = 6;
	dev.bar[1][0x14] = 0x0f;
	fake_dev_reg(&dev, 1, 0x2000, 4);
	fake_dev_reg(&dev, 1, 0x2004, 126);
	says("virtio: interrupt status, BAR1+0x1000, 0x1 bytes", "ACKNOWLEDGE DRIVER DRIVER_OK FEATURES_OK",
		"6, of them 4 for requests", "SGEs per command             126");
	ck_assert_uint_eq(dev.read[1][0x1000], 0);
	ck_assert_uint_eq(dev.read[1][0x20], 0);
}
END_TEST

/* --- ids that nobody knows --- */

static const struct {
	uint16_t vendor, device;
	uint32_t class_code;
	const char *part;
} strangers[] = {
	{0x1000, 0x9999, 0x010400, "look with --as sas3108"},
	{0x1000, 0x0097, 0x010700, "speaks MPT"},
	{0x1000, 0x0411, 0x010400, "XScale"},
	{0x1000, 0x10e0, 0x010400, "the kernel's driver refuses it too"},
	{0x14d6, 0x7777, 0x010400, "look with --as ame"},
	{0x1af4, 0x1041, 0x020000, "no SCSI host"},
	{0x9005, 0x028f, 0x010400, "a RAID controller of a maker"},
	{0x8086, 0x1234, 0x020000, "no storage controller at all"},
};

START_TEST(of_a_stranger_no_register_is_read_unless_asked)
{
	fake_dev_id(&dev, strangers[_i].vendor, strangers[_i].device, strangers[_i].class_code);
	says("hbad has no driver for it", strangers[_i].part, "No registers were read");
	only_read(1, NULL, 0);
}
END_TEST

START_TEST(as_reads_a_stranger_like_one_of_the_family)
{
	fake_dev_id(&dev, 0x1000, 0x9999, 0x010400);
	ck_assert_int_eq(fake_run("probe 3:0.0 --as sas2108"), CTL_OK);
	ck_has(fake->out, "READY");
	untouched(1);
}
END_TEST

START_TEST(as_takes_the_families_it_knows)
{
	ck_assert_int_eq(fake_run("probe 3:0.0 --as sas9999"), CTL_USAGE);
	ck_has(fake->err, "sas2108, sas2008, sas3108, ame");
	untouched(0);
}
END_TEST

/* --- trouble --- */

START_TEST(all_ones_are_told_with_their_cause)
{
	static const char *const part[] = {"hangs", "sleeps (D3)", "was removed"};

	for (unsigned i = 0; i < FAKE_DEV_BARS; i++)
		dev.bar[1][i] = 0xff;
	if (_i == 1)
		dev.cfg[0x74] = 3;
	dev.cfg_gone = _i == 2;
	fails("all ones", part[_i]);
	ck_hasnt(fake->out, "Firmware state");
}
END_TEST

START_TEST(a_function_that_is_gone_altogether_is_told)
{
	memset(dev.cfg, 0xff, sizeof(dev.cfg));
	fails("answers all ones: it was removed");
}
END_TEST

START_TEST(a_bar_that_is_too_short_is_not_read)
{
	dev.pci.bar[1].size = 0x80;
	fails("BAR1 has 128 bytes", "'state' is at 0xb0");
	only_read(1, NULL, 0);
}
END_TEST

START_TEST(a_missing_bar_is_told)
{
	dev.pci.bar[1].size = 0;
	ck_assert_int_eq(fake_run("probe 3:0.0"), CTL_FAILED);
	ck_has(fake->err, "no memory BAR");
	dev.pci.bar[0].size = 256;
	dev.pci.bar[0].is_io = true;
	ck_assert_int_eq(fake_run("probe 3:0.0 --as ame"), CTL_FAILED);
	ck_has(fake->err, "no BAR1, where ame");
	untouched(2);
}
END_TEST

START_TEST(virtio_structures_outside_of_their_bar_are_not_read)
{
	fake_dev_id(&dev, 0x1af4, 0x1048, 0x010000);
	dev.cfg[0x34] = 0x80;
	add_virtio_cap(0x80, 0x90, 1, 1, 0x3fe0, 0x38);
	add_virtio_cap(0x90, 0x00, 4, 1, 0xfffffff0, 0x24);
	fails("BAR1 has 16384 bytes");
	only_read(1, NULL, 0);
}
END_TEST

START_TEST(capabilities_in_a_circle_end)
{
	dev.cfg[0x41] = 0x40;
	ck_assert_int_eq(fake_run("probe 3:0.0"), CTL_OK);
}
END_TEST

START_TEST(a_function_of_a_kernel_driver_is_refused_with_the_way_to_bind_it)
{
	g_strlcpy(fake->hba[0].driver, "megaraid_sas", sizeof(fake->hba[0].driver));
	ck_assert_int_eq(fake_run("probe 3:0.0"), CTL_FAILED);
	ck_has(fake->err, "belongs to the kernel driver megaraid_sas");
	ck_has(fake->err, "echo vfio-pci > /sys/bus/pci/devices/0000:03:00.0/driver_override");
	ck_has(fake->err, "echo 0000:03:00.0 > /sys/bus/pci/devices/0000:03:00.0/driver/unbind");
	untouched(0);
}
END_TEST

START_TEST(a_function_whose_disks_are_in_use_is_refused)
{
	g_strlcpy(fake->hba[0].driver, "megaraid_sas", sizeof(fake->hba[0].driver));
	fake->in_use = true;
	ck_assert_int_eq(fake_run("probe 3:0.0"), CTL_FAILED);
	ck_hasnt(fake->err, "driver_override");
	untouched(0);
}
END_TEST

START_TEST(what_cannot_be_opened_is_told)
{
	fake->pci = NULL;
	ck_assert_int_eq(fake_run("probe 3:0.0"), CTL_FAILED);
	ck_has(fake->err, "cannot be opened");
	ck_assert_int_eq(fake_run("probe 9:9.9"), CTL_USAGE);
	ck_assert_int_eq(fake_run("probe 0000:77:00.0"), CTL_FAILED);
	ck_assert_int_eq(fake_run("probe"), CTL_USAGE);
	untouched(0);
}
END_TEST

START_TEST(a_socket_needs_no_binding)
{
	ck_assert_int_eq(fake_run("probe vfio-user:/run/x.sock"), CTL_OK);
	ck_has(fake->out, "vfio-user:/run/x.sock\n");
	untouched(1);
}
END_TEST

START_TEST(json_says_the_same)
{
	g_autoptr(JsonNode) root = NULL;
	JsonObject *o;

	ck_assert_int_eq(fake_run("probe 3:0.0 --json"), CTL_OK);
	ck_assert_int_eq(json_parse(fake->out, &root, NULL), 0);
	o = json_node_get_object(root);
	ck_assert_str_eq(json_str(o, "vendor"), "1000");
	ck_assert_str_eq(json_str(o, "device_id"), "0079");
	ck_assert_str_eq(json_str(o, "family"), "sas2108");
	ck_assert(json_bool(o, "supported"));
	ck_assert_uint_eq(json_arr_len(json_arr(o, "registers")), 4);
	ck_assert_str_eq(json_str(json_arr_obj(json_arr(o, "registers"), 2), "name"), "state");
	ck_assert_str_eq(json_str(json_arr_obj(json_arr(o, "registers"), 2), "offset"), "b0");
	ck_assert_str_eq(json_str(json_arr_obj(json_arr(o, "registers"), 2), "value"), "b4500070");
	ck_assert_int_eq(json_int(json_obj(o, "interrupts"), "msix"), 8);
	ck_assert_str_eq(json_str(o, "problem"), "");
}
END_TEST

START_TEST(json_of_trouble_has_the_problem)
{
	g_autoptr(JsonNode) root = NULL;

	dev.pci.bar[1].size = 0x80;
	ck_assert_int_eq(fake_run("probe 3:0.0 --json"), CTL_FAILED);
	ck_assert_int_eq(json_parse(fake->out, &root, NULL), 0);
	ck_has(json_str(json_node_get_object(root), "problem"), "BAR1 has 128 bytes");
}
END_TEST

START_TEST(a_capture_of_a_probe_is_written)
{
	g_autofree char *path = g_strdup_printf("%s/capture", fake->dir);
	g_autofree char *args = g_strdup_printf("probe 3:0.0 --capture %s", path);
	struct stat st;

	ck_assert_int_eq(fake_run(args), CTL_OK);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_gt(st.st_size, 1000);
	unlink(path);
	untouched(1);
}
END_TEST

static void add_all(TCase *t)
{
	tcase_add_test(t, a_ready_sas2108_is_told_with_its_limits);
	tcase_add_test(t, a_fault_is_told_with_its_code);
	tcase_add_test(t, a_state_that_no_firmware_has_is_told_as_such);
	tcase_add_test(t, fusion_scratch_pads_are_decoded);
	tcase_add_test(t, a_passing_zero_of_an_aero_is_read_again);
	tcase_add_test(t, an_accusys_box_is_read_without_its_queue_ports);
	tcase_add_test(t, a_virtio_host_is_read_without_its_interrupt_status);
	tcase_add_loop_test(t, of_a_stranger_no_register_is_read_unless_asked, 0, (int)ARRAY_SIZE(strangers));
	tcase_add_test(t, as_reads_a_stranger_like_one_of_the_family);
	tcase_add_test(t, as_takes_the_families_it_knows);
	tcase_add_loop_test(t, all_ones_are_told_with_their_cause, 0, 3);
	tcase_add_test(t, a_function_that_is_gone_altogether_is_told);
	tcase_add_test(t, a_bar_that_is_too_short_is_not_read);
	tcase_add_test(t, a_missing_bar_is_told);
	tcase_add_test(t, virtio_structures_outside_of_their_bar_are_not_read);
	tcase_add_test(t, capabilities_in_a_circle_end);
	tcase_add_test(t, a_function_of_a_kernel_driver_is_refused_with_the_way_to_bind_it);
	tcase_add_test(t, a_function_whose_disks_are_in_use_is_refused);
	tcase_add_test(t, what_cannot_be_opened_is_told);
	tcase_add_test(t, a_socket_needs_no_binding);
	tcase_add_test(t, json_says_the_same);
	tcase_add_test(t, json_of_trouble_has_the_problem);
	tcase_add_test(t, a_capture_of_a_probe_is_written);
}

int main(void)
{
	Suite *s = suite_create("hbactl probe");
	TCase *t = tcase_create("probe");

	tcase_add_checked_fixture(t, setup, fake_teardown);
	add_all(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
