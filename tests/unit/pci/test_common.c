/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is the same for every transport: registers, command register, interrupts, a device that left. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pci/pci.h"

struct fake {
	struct pci_dev dev;
	uint8_t cfg[256];
	int cfg_err;
	uint32_t regs[64];
	unsigned reads, writes, enabled;
	bool closed;
};

static struct fake *fake_of(struct pci_dev *dev)
{
	return container_of(dev, struct fake, dev);
}
static void f_close(struct pci_dev *dev)
{
	fake_of(dev)->closed = true;
}
static int f_cfg_read(struct pci_dev *dev, unsigned off, void *buf, unsigned len)
{
	memcpy(buf, fake_of(dev)->cfg + off, len);
	return fake_of(dev)->cfg_err;
}
static int f_cfg_write(struct pci_dev *dev, unsigned off, const void *buf, unsigned len)
{
	memcpy(fake_of(dev)->cfg + off, buf, len);
	return fake_of(dev)->cfg_err;
}
static int f_map_bar(struct pci_dev *dev, unsigned n, struct err *e)
{
	dev->bar[n].map = (volatile uint8_t *)fake_of(dev)->regs;
	dev->bar[n].map_len = 128;
	return 0;
}
static uint32_t f_read32(struct pci_dev *dev, unsigned n, uint64_t off)
{
	fake_of(dev)->reads++;
	return 0x1000 + (uint32_t)off;
}
static void f_write32(struct pci_dev *dev, unsigned n, uint64_t off, uint32_t val)
{
	fake_of(dev)->writes++;
}
static int f_irq_enable(
	struct pci_dev *dev, enum pci_irq_kind kind, const int *fds, unsigned n, struct err *e)
{
	fake_of(dev)->enabled = n;
	return 0;
}

static const struct pci_ops ops = {
	.name = "fake",
	.close = f_close,
	.cfg_read = f_cfg_read,
	.cfg_write = f_cfg_write,
	.map_bar = f_map_bar,
	.bar_read32 = f_read32,
	.bar_write32 = f_write32,
	.irq_enable = f_irq_enable,
};

static struct fake f;
static struct err e;

static void setup(void)
{
	memset(&f, 0, sizeof(f));
	memset(&e, 0, sizeof(e));
	f.dev.ops = &ops;
	strcpy(f.dev.uri, "0000:03:00.0");
	f.dev.bar[1].size = 256;
	f.dev.n_vectors[PCI_IRQ_INTX] = 1;
	f.dev.n_vectors[PCI_IRQ_MSIX] = 15;
}

START_TEST(mapped_registers_are_accessed_directly_and_the_rest_by_calls)
{
	uint8_t *raw = (uint8_t *)f.regs;

	ck_assert_uint_eq(pci_read32(&f.dev, 1, 4), 0x1004);
	pci_write32(&f.dev, 1, 4, 1);
	ck_assert_uint_eq(f.reads + f.writes, 2);
	ck_assert_int_eq(pci_map_bar(&f.dev, 1, &e), 0);
	pci_write32(&f.dev, 1, 124, 0x11223344);
	/* little endian on the bus, whatever this machine is */
	ck_assert_uint_eq(raw[124], 0x44);
	ck_assert_uint_eq(raw[127], 0x11);
	ck_assert_uint_eq(pci_read32(&f.dev, 1, 124), 0x11223344);
	ck_assert_uint_eq(f.reads + f.writes, 2);
	/* behind the part that could be mapped */
	ck_assert_uint_eq(pci_read32(&f.dev, 1, 128), 0x1080);
	pci_write32(&f.dev, 1, 128, 1);
	ck_assert_uint_eq(f.reads + f.writes, 4);
}
END_TEST

START_TEST(bar_that_does_not_exist_is_an_error)
{
	ck_assert_int_eq(pci_map_bar(&f.dev, 0, &e), -EINVAL);
	ck_assert_msg(strstr(e.text, "no BAR 0"), "%s", e.text);
	ck_assert_int_eq(pci_map_bar(&f.dev, PCI_NUM_BARS, &e), -EINVAL);
}
END_TEST

START_TEST(bus_mastering_changes_only_its_bit)
{
	f.cfg[4] = 0x43;
	f.cfg[5] = 0x05;
	ck_assert_int_eq(pci_set_bus_master(&f.dev, true), 0);
	ck_assert_uint_eq(f.cfg[4], 0x47);
	ck_assert_uint_eq(f.cfg[5], 0x05);
	ck_assert_int_eq(pci_set_bus_master(&f.dev, false), 0);
	ck_assert_uint_eq(f.cfg[4], 0x43);
	f.cfg_err = -ENODEV;
	ck_assert_int_eq(pci_set_bus_master(&f.dev, true), -ENODEV);
}
END_TEST

START_TEST(device_that_left_reads_as_all_ones_or_not_at_all)
{
	memset(f.cfg, 0xff, sizeof(f.cfg));
	f.cfg[PCI_CFG_CLASS] = 0;
	ck_assert(!pci_is_gone(&f.dev));
	f.cfg[PCI_CFG_CLASS] = 0xff;
	ck_assert(pci_is_gone(&f.dev));
	/* The kernel's VFIO goes on telling these two. */
	memcpy(f.cfg, (uint8_t[]){0x00, 0x10, 0x79, 0x00}, 4);
	ck_assert(pci_is_gone(&f.dev));
	memset(f.cfg, 0, sizeof(f.cfg));
	f.cfg_err = -ENODEV;
	ck_assert(pci_is_gone(&f.dev));
}
END_TEST

START_TEST(interrupts_that_the_device_lacks_are_named)
{
	int fds[16] = {0};

	ck_assert_int_eq(pci_irq_enable(&f.dev, PCI_IRQ_MSI, fds, 1, &e), -ENOTSUP);
	ck_assert_msg(strstr(e.text, "no MSI interrupts"), "%s", e.text);
	ck_assert_int_eq(pci_irq_enable(&f.dev, PCI_IRQ_MSIX, fds, 16, &e), -ENOTSUP);
	ck_assert_msg(strstr(e.text, "15 MSI-X vectors, 16 were asked for"), "%s", e.text);
	ck_assert_int_eq(pci_irq_enable(&f.dev, PCI_IRQ_NONE, fds, 1, &e), -EINVAL);
	ck_assert_int_eq(pci_irq_enable(&f.dev, PCI_IRQ_MSIX, fds, 0, &e), -EINVAL);
	ck_assert_uint_eq(f.enabled, 0);
	ck_assert_int_eq(pci_irq_enable(&f.dev, PCI_IRQ_MSIX, fds, 15, &e), 0);
	ck_assert_uint_eq(f.enabled, 15);
}
END_TEST

START_TEST(closing_nothing_is_fine_and_reset_may_be_missing)
{
	pci_close(NULL);
	ck_assert_int_eq(pci_reset(&f.dev, &e), -ENOTSUP);
	pci_close(&f.dev);
	ck_assert(f.closed);
}
END_TEST

START_TEST(name_that_no_transport_knows_is_refused)
{
	struct pci_dev *dev = NULL;

	ck_assert_int_eq(pci_open("vfio:/run/x.sock", &dev, &e), -EINVAL);
	ck_assert_int_eq(pci_open("sda", &dev, &e), -EINVAL);
	ck_assert_msg(strstr(e.text, "sda"), "%s", e.text);
	ck_assert_ptr_null(dev);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pci");
	TCase *tc = tcase_create("common");
	SRunner *run;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, mapped_registers_are_accessed_directly_and_the_rest_by_calls);
	tcase_add_test(tc, bar_that_does_not_exist_is_an_error);
	tcase_add_test(tc, bus_mastering_changes_only_its_bit);
	tcase_add_test(tc, device_that_left_reads_as_all_ones_or_not_at_all);
	tcase_add_test(tc, interrupts_that_the_device_lacks_are_named);
	tcase_add_test(tc, closing_nothing_is_fine_and_reset_may_be_missing);
	tcase_add_test(tc, name_that_no_transport_knows_is_refused);
	suite_add_tcase(suite, tc);
	run = srunner_create(suite);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed != 0;
}
