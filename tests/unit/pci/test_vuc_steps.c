/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening, mapping and arming a vfio-user device, with every library call failing once: sockets, descriptors that the
 * server passed, the reader's thread and the mappings are given back. What a server can spoil is in test_vuc_open.c. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/pci/vuc.h"
#include "tests/unit/steps.h"
#include "vu_server.h"

static const struct vuc_times times = {.access_ms = 5000, .setup_ms = 5000, .reset_ms = 5000};

static struct srv s;

/* A BAR 1 that can be mapped: its size is sealed. */
static int sealed_file(void)
{
	int fd = memfd_create("bar1", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, SRV_BAR1_LEN), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	return fd;
}

static int use(struct pci_dev *dev, struct err *e)
{
	static uint8_t memory[4096];
	int fd[2], r = pci_map_bar(dev, 1, e);

	steps_pause(true);
	fd[0] = eventfd(0, EFD_CLOEXEC);
	fd[1] = eventfd(0, EFD_CLOEXEC);
	steps_pause(false);
	if (r == 0)
		r = pci_irq_enable(dev, PCI_IRQ_MSIX, fd, 2, e);
	if (r == 0)
		r = dev->ops->dma_map(dev, memory, sizeof(memory), 0x100000, -1, 0, e);
	close(fd[0]);
	close(fd[1]);
	return r;
}

/* The server's part of it is the test's own business, but its descriptors are counted. */
static int bring_up(struct err *e)
{
	struct pci_dev *dev = NULL;
	int r, bar1;

	steps_pause(true);
	srv_init(&s);
	s.bar1_fd = bar1 = sealed_file();
	srv_start(&s);
	steps_pause(false);

	r = vuc_open(s.uri, &times, &dev, e);
	if (r == 0)
		r = use(dev, e);
	steps_up();
	pci_close(dev);

	steps_pause(true);
	srv_stop(&s);
	close(bar1);
	steps_pause(false);
	return r;
}

START_TEST(every_step_gives_everything_back)
{
	/* A file that cannot be looked at, or mapped, costs speed: registers then go by messages. */
	static const char *const dispensable[] = {"fcntl", "fstat", "mmap", NULL};
	static const struct steps st = {.attempt = bring_up, .dispensable = dispensable, .at_least = 25};

	log_fd(); /* made once for the whole process, when there is something to say */
	steps_run(&st);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pci vuc steps");
	TCase *t = tcase_create("steps");
	SRunner *sr;
	int failed;

	tcase_set_timeout(t, 100);
	tcase_add_test(t, every_step_gives_everything_back);
	suite_add_tcase(suite, t);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
