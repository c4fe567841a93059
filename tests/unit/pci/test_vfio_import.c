/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VFIO device that one process leaves and another goes on with. The made-up kernel is that of test_vfio.c. */
int vfio_tests_main(void);
#define main vfio_tests_main
#include "test_vfio.c"
#undef main

static const struct pci_descriptors left = {CONTAINER, GROUP, DEVICE};

static void leave(void)
{
	k.in_container = true;
	k.cfg[4] = 7; /* decoding and DMA on */
	k.open[CONTAINER] = k.open[GROUP] = k.open[DEVICE] = true;
}

static struct pci_dev *imported(void)
{
	struct pci_dev *dev = NULL;

	ck_assert_msg(vfio_import(root, &kernel, HBA, &left, &dev, &e) == 0, "%s", e.text);
	return dev;
}

START_TEST(what_is_left_stays_open_and_as_it_is)
{
	struct pci_descriptors d = {-1, -1, -1};
	struct pci_dev *dev = opened();
	int fd[2] = {200, 201};

	ck_assert_int_eq(pci_map_bar(dev, 1, &e), 0);
	ck_assert_int_eq(pci_irq_enable(dev, PCI_IRQ_MSIX, fd, 2, &e), 0);
	ck_assert_int_eq(pci_set_bus_master(dev, true), 0);
	ck_assert_int_eq(pci_export(dev, &d, &e), 0);
	ck_assert_int_eq(d.container, CONTAINER);
	ck_assert_int_eq(d.group, GROUP);
	ck_assert_int_eq(d.device, DEVICE);
	k.log[0] = '\0';
	pci_leave(dev);
	/* Interrupts and notifier off; nothing is said to the device, nothing is unmapped for DMA. */
	ck_assert_str_eq(k.log, "irq2:21+0 irq4:21+0 close103 munmap close102 close101 close100");
	ck_assert_uint_eq(k.cfg[4], 0x07);
	all_closed();
}
END_TEST

START_TEST(going_on_asks_for_the_device_by_its_name)
{
	struct pci_dev *dev;

	leave();
	dev = imported();
	/* The kept descriptor is closed after there is another one. */
	ck_assert(k.open[AGAIN] && !k.open[DEVICE] && k.open[CONTAINER] && k.open[GROUP]);
	ck_assert_ptr_null(strstr(k.log, "type"));
	ck_assert_ptr_null(strstr(k.log, "cmd="));
	ck_assert_ptr_null(strstr(k.log, "reset"));
	ck_assert_uint_eq(k.cfg[4], 0x07);
	ck_assert_uint_eq(dev->id.device, 0x0079);
	ck_assert_uint_eq(dev->id.revision, 5);
	ck_assert_uint_eq(dev->bar[1].size, 0x4000);
	ck_assert_uint_eq(dev->n_vectors[PCI_IRQ_MSIX], 15);
	ck_assert_uint_eq(dev->n_iova, 2);
	ck_assert_int_eq(dev->request_fd, EVENT);
	ck_assert_int_eq(pci_map_bar(dev, 1, &e), 0);
	pci_close(dev);
	ck_assert_uint_eq(k.cfg[4], 0x03);
	all_closed();
}
END_TEST

static void gone_from_sysfs(void)
{
	drop("/sys/bus/pci/devices/" HBA);
}
static void other_container(void)
{
	k.api = 7;
}
static void group_not_viable(void)
{
	k.not_viable = true;
}
static void group_left(void)
{
	k.in_container = false;
}
static void no_group_descriptor(void)
{
	k.fail_request = VFIO_GROUP_GET_STATUS;
	k.fail_nth = 1;
	k.fail_errno = ENOTTY;
}
static void group_without_it(void)
{
	k.fail_request = VFIO_GROUP_GET_DEVICE_FD;
	k.fail_nth = 1;
	k.fail_errno = ENODEV;
}
static void no_pci(void)
{
	k.not_pci = true;
}
static void was_reset(void)
{
	k.cfg[4] = 3;
}
static void does_not_decode(void)
{
	k.cfg[4] = 5;
}
static void does_not_answer(void)
{
	memset(k.cfg, 0xff, sizeof(k.cfg));
}
static void no_iommu(void)
{
	k.no_iova = true;
}

static const struct {
	void (*spoil)(void);
	int code;
	const char *words;
} refusals[] = {
	{gone_from_sysfs, -ENOENT, "no PCI device"},
	{other_container, -EBADF, "container"},
	{group_not_viable, -EBADF, "group 12"},
	{group_left, -EBADF, "not kept in its container"},
	{no_group_descriptor, -EBADF, "IOMMU group is none"},
	{group_without_it, -ENODEV, "does not open"},
	{no_pci, -ENODEV, "not a PCI device"},
	{was_reset, -ESTALE, "was reset"},
	{does_not_decode, -ESTALE, "was reset"},
	{does_not_answer, -ENODEV, "does not answer"},
	{no_iommu, -ENOTSUP, "addresses"},
};

START_TEST(what_is_not_what_it_should_be_is_closed)
{
	struct pci_dev *dev = NULL;

	leave();
	refusals[_i].spoil();
	ck_assert_int_eq(vfio_import(root, &kernel, HBA, &left, &dev, &e), refusals[_i].code);
	ck_assert_msg(strstr(e.text, refusals[_i].words) != NULL, "%s", e.text);
	ck_assert_ptr_null(dev);
	all_closed();
}
END_TEST

START_TEST(descriptors_that_are_none_are_refused)
{
	static const struct pci_descriptors none = {-1, -1, -1};
	struct pci_dev *dev = NULL;

	/* Of this process there is no such device either. */
	ck_assert_int_lt(pci_import("0000:ff:1f.7", &none, &dev, &e), 0);
	ck_assert_int_lt(pci_import("nonsense", &none, &dev, &e), 0);
}
END_TEST

START_TEST(of_a_socket_nothing_can_be_left)
{
	static const struct pci_ops ops = {.name = "vfio-user"};
	struct pci_dev dev = {.ops = &ops, .uri = "vfio-user:/x"};
	struct pci_descriptors d;

	ck_assert_int_eq(pci_export(&dev, &d, &e), -ENOTSUP);
	ck_assert_msg(strstr(e.text, "vfio-user:/x"), "%s", e.text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pci vfio import");
	TCase *t = tcase_create("import");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, root_remove);
	tcase_add_test(t, what_is_left_stays_open_and_as_it_is);
	tcase_add_test(t, going_on_asks_for_the_device_by_its_name);
	tcase_add_loop_test(t, what_is_not_what_it_should_be_is_closed, 0, (int)ARRAY_SIZE(refusals));
	tcase_add_test(t, descriptors_that_are_none_are_refused);
	tcase_add_test(t, of_a_socket_nothing_can_be_left);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
