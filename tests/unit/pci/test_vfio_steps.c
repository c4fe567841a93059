/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening, mapping and arming a VFIO device, with every call to the kernel failing once: all of it is closed and
 * unmapped again, and a sentence says what failed. The made-up kernel is that of test_vfio.c. */
int vfio_tests_main(void);
#define main vfio_tests_main
#include "test_vfio.c"
#undef main

#include "tests/unit/steps.h"

static int s_open(const char *path, int flags)
{
	return steps_fail_here("open of VFIO", EMFILE) ? -1 : k_open(path, flags);
}

static const char *ioctl_name(unsigned long request, const void *arg)
{
	switch (request) {
	case VFIO_CHECK_EXTENSION:
		return "CHECK_EXTENSION";
	case VFIO_DEVICE_GET_IRQ_INFO:
		return ((const struct vfio_irq_info *)arg)->index == VFIO_PCI_REQ_IRQ_INDEX
			       ? "GET_IRQ_INFO of the notifier"
			       : "GET_IRQ_INFO";
	default:
		return "ioctl";
	}
}

static int s_ioctl(int fd, unsigned long request, void *arg)
{
	return steps_fail_here(ioctl_name(request, arg), EIO) ? -1 : k_ioctl(fd, request, arg);
}

static ssize_t s_pread(int fd, void *buf, size_t len, off_t off)
{
	return steps_fail_here("read of a register", EIO) ? -1 : k_pread(fd, buf, len, off);
}

static ssize_t s_pwrite(int fd, const void *buf, size_t len, off_t off)
{
	return steps_fail_here("write of a register", EIO) ? -1 : k_pwrite(fd, buf, len, off);
}

static void *s_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	return steps_fail_here("mmap of a BAR", ENOMEM) ? MAP_FAILED
							: k_mmap(addr, len, prot, flags, fd, off);
}

static int s_eventfd(unsigned initial, int flags)
{
	return steps_fail_here("eventfd of VFIO", EMFILE) ? -1 : k_eventfd(initial, flags);
}

static const struct vfio_sys failing = {
	s_open, k_close, s_ioctl, s_pread, s_pwrite, s_mmap, k_munmap, s_eventfd};

static int bring_up(struct err *err)
{
	static uint8_t memory[4096];
	static const int fd[2] = {200, 201};
	struct pci_dev *dev;
	int r = vfio_open(root, &failing, HBA, &dev, err);

	if (r < 0) {
		all_closed();
		return r;
	}
	r = pci_map_bar(dev, 1, err);
	if (r == 0)
		r = pci_irq_enable(dev, PCI_IRQ_MSIX, fd, 2, err);
	if (r == 0)
		r = dev->ops->dma_map(dev, memory, sizeof(memory), 0x100000, -1, 0, err);
	steps_up();
	pci_close(dev);
	all_closed();
	return r;
}

/* What another process has left. */
static int go_on(struct err *err)
{
	static const struct pci_descriptors left = {CONTAINER, GROUP, DEVICE};
	static const int fd[2] = {200, 201};
	struct pci_dev *dev;
	int r;

	k.open[CONTAINER] = k.open[GROUP] = k.open[DEVICE] = true;
	r = vfio_import(root, &failing, HBA, &left, &dev, err);
	if (r < 0) {
		all_closed();
		return r;
	}
	r = pci_map_bar(dev, 1, err);
	if (r == 0)
		r = pci_irq_enable(dev, PCI_IRQ_MSIX, fd, 2, err);
	steps_up();
	pci_close(dev);
	all_closed();
	return r;
}

static void before(void)
{
	if (root[0])
		root_remove();
	setup();
	k.in_container = true;
	k.cfg[4] = 7;	   /* it was left with DMA on */
	k.sparse = 0x2000; /* an answer that takes two calls */
}

START_TEST(every_step_gives_everything_back)
{
	/* CHECK_EXTENSION: type 1 does where v2 is unknown, and closing the container unmaps as well. The notifier is
	 * one of newer kernels. An open() that fails is that of a file in sysfs: it says whether the group is one
	 * without an IOMMU, which the container would refuse next. */
	static const char *const dispensable[] = {
		"CHECK_EXTENSION", "GET_IRQ_INFO of the notifier", "open", "fopen", NULL};
	static const struct steps s = {
		.attempt = bring_up, .before = before, .dispensable = dispensable, .at_least = 40};

	steps_run(&s);
}
END_TEST

START_TEST(every_step_of_going_on_gives_everything_back)
{
	static const char *const dispensable[] = {
		"CHECK_EXTENSION", "GET_IRQ_INFO of the notifier", "open", "fopen", NULL};
	static const struct steps s = {
		.attempt = go_on, .before = before, .dispensable = dispensable, .at_least = 25};

	steps_run(&s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pci vfio steps");
	TCase *t = tcase_create("steps");
	SRunner *sr;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, NULL, root_remove);
	tcase_add_test(t, every_step_gives_everything_back);
	tcase_add_test(t, every_step_of_going_on_gives_everything_back);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
